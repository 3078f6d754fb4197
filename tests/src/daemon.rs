//! The daemon under test: the real binary with a test's own files.

use crate::{Usage, own_address};
use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::net::UnixDatagram;

/// The files a test gives the daemon.
#[derive(Clone, Debug)]
pub struct Files {
    /// `tandem.yaml`. `{ip}` stands for the daemon's own address, `{dir}` for its folder.
    pub configuration: String,
    /// `rules.yaml`, with the same two stand-ins.
    pub rules: String,
}

/// A running daemon; asked to end when dropped.
pub struct Daemon {
    child: Child,
    folder: TempDir,
    address: Ipv4Addr,
}

impl Daemon {
    /// Starts the binary on a loopback address of its own and waits until it says READY.
    pub async fn start(files: &Files) -> Result<Self> {
        Self::start_at(own_address(), files).await
    }

    /// As [`Daemon::start`], on an address the test has chosen.
    pub async fn start_at(address: Ipv4Addr, files: &Files) -> Result<Self> {
        Self::start_under(&[], address, files).await
    }

    /// As [`Daemon::start_at`], under a program that becomes the daemon (`exec`): its command line is appended to this one.
    pub async fn start_under(wrapper: &[&str], address: Ipv4Addr, files: &Files) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let fill = |text: &str| {
            text.replace("{ip}", &address.to_string()).replace("{dir}", &folder.path().display().to_string())
        };
        fs::write(folder.path().join("tandem.yaml"), fill(&files.configuration))?;
        fs::write(folder.path().join("rules.yaml"), fill(&files.rules))?;
        // One piece of the music that is shipped: hundreds of daemons need not read all of it.
        fs::create_dir(folder.path().join("music"))?;
        symlink(crate::root().join("etc/music/default.wav"), folder.path().join("music/default.wav"))?;
        let notify = folder.path().join("notify");
        let ready = UnixDatagram::bind(&notify)?;
        let log = fs::File::create(folder.path().join("log"))?;
        let binary = binary()?;
        let mut command = match wrapper.split_first() {
            None => Command::new(binary),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary);
                command
            }
        };
        let child = command
            .arg("serve")
            .arg("--config")
            .arg(folder.path().join("tandem.yaml"))
            .env("NOTIFY_SOCKET", &notify)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut daemon = Self { child, folder, address };
        daemon.until_ready(&ready).await?;
        Ok(daemon)
    }

    async fn until_ready(&mut self, socket: &UnixDatagram) -> Result<()> {
        let mut buffer = [0; 512];
        let told = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                tokio::select! {
                    read = socket.recv(&mut buffer) => {
                        if String::from_utf8_lossy(&buffer[..read?]).contains("READY=1") {
                            return Ok(());
                        }
                    }
                    () = tokio::time::sleep(Duration::from_millis(50)) => {
                        if let Some(status) = self.child.try_wait()? {
                            bail!("the daemon ended with {status} before it was ready");
                        }
                    }
                }
            }
        })
        .await
        .context("the daemon did not say READY within 20 s");
        told.and_then(|result| result).with_context(|| format!("its log:\n{}", self.log()))
    }

    /// Its SIP address.
    pub fn sip(&self) -> SocketAddr {
        SocketAddr::from((self.address, 5060))
    }

    /// Its IP address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its control socket.
    pub fn control(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    /// Its folder: `tandem.yaml`, `rules.yaml`, `control.sock`, `cdr.jsonl`, `log`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The lines of its CDR file, parsed.
    pub fn records(&self) -> Result<Vec<serde_json::Value>> {
        let text = fs::read_to_string(self.folder.path().join("cdr.jsonl")).unwrap_or_default();
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// What the kernel counts of it.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.id())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.id())?), signal)?)
    }

    /// Ends it without a warning (SIGKILL) and starts it again on the same files.
    pub async fn kill_and_start_again(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        let notify = self.folder.path().join("notify");
        fs::remove_file(&notify)?;
        let ready = UnixDatagram::bind(&notify)?;
        let log = fs::OpenOptions::new().append(true).open(self.folder.path().join("log"))?;
        self.child = Command::new(binary()?)
            .arg("serve")
            .arg("--config")
            .arg(self.folder.path().join("tandem.yaml"))
            .env("NOTIFY_SOCKET", &notify)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.until_ready(&ready).await
    }

    /// Asks it to end and waits for it; it must end with exit code 0 within ten seconds.
    pub async fn stop(mut self) -> Result<TempDir> {
        self.signal(Signal::SIGTERM)?;
        let status = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                if let Some(status) = self.child.try_wait()? {
                    return anyhow::Ok(status);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .with_context(|| format!("the daemon did not end within 10 s of SIGTERM; its log:\n{}", self.log()))??;
        ensure!(status.success(), "the daemon ended with {status}; its log:\n{}", self.log());
        let empty = tempfile::tempdir()?;
        Ok(std::mem::replace(&mut self.folder, empty))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            #[expect(clippy::print_stderr, reason = "a failed test shows the daemon's last words")]
            for line in tail.iter().rev() {
                eprintln!("daemon: {line}");
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The daemon's binary: beside the test's own in the target folder, where `make test` has built it.
pub fn binary() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().find(|folder| folder.join("deps").is_dir()).context("not in a target folder")?;
    let path = target.join("tandem");
    ensure!(path.is_file(), "{} is missing; build it with: cargo build -p tandem", path.display());
    if let Some(source) = newer_source(&path) {
        bail!("{} is older than {source}; build it with: cargo build -p tandem --all-features", path.display());
    }
    Ok(path)
}

/// A source that was changed after the binary was built: `cargo test -p tests` does not build the daemon, and an old one fails
/// new tests in ways that look like defects. Cargo lists the sources beside the binary; what it lists no more says nothing.
fn newer_source(binary: &Path) -> Option<String> {
    let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    let built = changed(binary)?;
    let list = fs::read_to_string(binary.with_extension("d")).ok()?;
    let (_, sources) = list.split_once(": ")?;
    sources.split_whitespace().find(|source| changed(Path::new(source)).is_some_and(|at| at > built)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn a_binary_that_is_older_than_one_of_its_sources_is_found_out() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let [binary, list, old, new] = ["tandem", "tandem.d", "old.rs", "new.rs"].map(|name| folder.path().join(name));
        let now = SystemTime::now();
        let minute = Duration::from_secs(60);
        for (path, changed) in [(&binary, now), (&old, now - minute), (&new, now - minute)] {
            fs::File::create(path)?.set_modified(changed)?;
        }
        fs::write(&list, format!("{}: {} /gone.rs {}\n", binary.display(), old.display(), new.display()))?;
        assert_eq!(newer_source(&binary), None);
        fs::File::create(&new)?.set_modified(now + minute)?;
        assert_eq!(newer_source(&binary), Some(new.display().to_string()));
        fs::remove_file(&list)?;
        assert_eq!(newer_source(&binary), None, "nothing is known of a binary that cargo did not build here");
        Ok(())
    }
}
