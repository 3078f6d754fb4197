//! The disk, as far as recordings need one: behind a trait, so that tests can show what happens when it is full or broken.
#![expect(clippy::disallowed_types, reason = "the shell is where files live")]

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::Path,
};

/// Files and folders.
pub trait Disk: Send + 'static {
    /// A new file, in folders that are made where they are missing.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Store>>;
    /// A file that is there, to be read from its beginning.
    fn open(&self, path: &Path) -> io::Result<Box<dyn io::Read>>;
    /// This file holds these bytes from now on: all or none of them.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// The same, and it is on the medium when this returns.
    fn replace_for_good(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// The names in a folder are on the medium when this returns.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Another name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// No longer there.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// A folder with nothing in it is no longer there; any other stays.
    fn remove_empty(&self, folder: &Path);
}

/// An open file.
pub trait Store: Send {
    /// Writes all of it at this place.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// All of it is on the medium when this returns.
    fn sync(&mut self) -> io::Result<()>;
}

/// The real one. Its files are readable by owner and group alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Store>> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(path)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn io::Read>> {
        Ok(Box::new(File::open(path)?))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        replace(path, bytes, |_| Ok(()))
    }

    fn replace_for_good(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        replace(path, bytes, File::sync_all)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn remove_empty(&self, folder: &Path) {
        let _ = fs::remove_dir(folder);
    }
}

fn replace(path: &Path, bytes: &[u8], sync: impl Fn(&File) -> io::Result<()>) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&fresh);
    let write = |file: File| file.write_all_at(bytes, 0).and_then(|()| sync(&file));
    let done = written.and_then(write).and_then(|()| fs::rename(&fresh, path));
    if done.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    done
}

impl Store for File {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}
