//! The control socket's file: its folder, its owner, its leftovers.

use crate::config::Control;
use anyhow::{Context as _, bail};
use std::{
    fs,
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

/// Binds the socket with its mode and group. A socket that nobody listens at is a leftover and is replaced.
pub(crate) fn bind(control: &Control) -> anyhow::Result<UnixListener> {
    let path = &control.socket;
    if let Some(folder) = path.parent() {
        make_folder(folder).with_context(|| format!("cannot use {} for the control socket", folder.display()))?;
    }
    if let Ok(about) = fs::symlink_metadata(path) {
        if !about.file_type().is_socket() {
            bail!("{} exists and is no socket; `control.socket` must name another path", path.display());
        }
        if UnixStream::connect(path).is_ok() {
            bail!("another daemon is listening at {}; `control.socket` must name another path", path.display());
        }
        fs::remove_file(path)?;
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot bind the control socket {}", path.display()))?;
    if let Some(name) = &control.group {
        let group = nix::unistd::Group::from_name(name)?
            .with_context(|| format!("there is no group `{name}` (`control.group`)"))?;
        std::os::unix::fs::chown(path, None, Some(group.gid.as_raw()))
            .with_context(|| format!("cannot give {} to the group `{name}`", path.display()))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(control.mode))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The socket's file, removed when the daemon ends or does not even start, unless the next daemon has put its own there meanwhile.
pub(crate) struct File<'a> {
    path: &'a Path,
    identity: Option<Identity>,
}

impl<'a> File<'a> {
    /// Of the socket that was just bound.
    pub(crate) fn of(path: &'a Path) -> Self {
        Self { path, identity: identity(path) }
    }
}

impl Drop for File<'_> {
    fn drop(&mut self) {
        if self.identity.is_some() && self.identity == identity(self.path) {
            let _ = fs::remove_file(self.path);
        }
    }
}

/// Device, inode, and when it was made: inodes are used again.
type Identity = (u64, u64, i64, i64);

fn identity(path: &Path) -> Option<Identity> {
    let about = fs::symlink_metadata(path).ok()?;
    Some((about.dev(), about.ino(), about.mtime(), about.mtime_nsec()))
}

/// A folder of our own is for its owner alone; one that somebody else made in a shared place is not trusted.
fn make_folder(folder: &Path) -> anyhow::Result<()> {
    if folder.as_os_str().is_empty() {
        return Ok(());
    }
    if !folder.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
    }
    let about = fs::metadata(folder)?;
    let own = about.uid() == nix::unistd::getuid().as_raw();
    if !own && about.uid() != 0 && folder.starts_with("/tmp") {
        bail!("it belongs to another user");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A daemon that was slow to end removed the socket of the one that had started in its place, which nobody could reach any more.
    #[test]
    fn the_file_of_the_next_daemon_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control.sock");
        let control = Control { socket: socket.clone(), mode: 0o660, group: None };
        let old = bind(&control).unwrap();
        let file = File::of(&socket);
        drop(old);
        let _new = bind(&control).unwrap();
        drop(file);
        assert!(UnixStream::connect(&socket).is_ok());
        let file = File::of(&socket);
        drop(file);
        assert!(!socket.exists());
    }
}
