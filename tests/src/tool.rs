//! A program of the distribution, run as a party of a test.

use anyhow::Context as _;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use parties::{g711::Law, signal};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// A running program with a folder of its own for what it writes; ended when dropped.
pub struct Tool {
    child: Child,
    name: String,
    folder: TempDir,
    /// How it is asked to end before it is killed, for a program that has children of its own.
    gently: bool,
}

/// How a program ended and what it printed.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// Standard output, then standard error.
    pub printed: String,
}

impl Tool {
    /// Starts `program` with these arguments in a fresh folder. A missing program fails the test with the line that installs it.
    ///
    /// # Panics
    /// When the program is not installed.
    pub fn start(program: &str, package: &str, arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary folder"), program, package, arguments)
    }

    /// As [`Tool::start`], in a folder that the test has filled.
    ///
    /// # Panics
    /// When the program is not installed.
    pub fn start_in(folder: TempDir, program: &str, package: &str, arguments: &[&str]) -> Self {
        Self::spawn(folder, program, package, arguments, Stdio::null())
    }

    /// As [`Tool::start_in`], for a program that is told what to do line by line.
    ///
    /// # Panics
    /// When the program is not installed.
    pub fn start_talking(folder: TempDir, program: &str, package: &str, arguments: &[&str]) -> Self {
        Self::spawn(folder, program, package, arguments, Stdio::piped())
    }

    fn spawn(folder: TempDir, program: &str, package: &str, arguments: &[&str], stdin: Stdio) -> Self {
        let output = |name: &str| fs::File::create(folder.path().join(name)).expect("an output file");
        let child = Command::new(program)
            .args(arguments)
            .current_dir(folder.path())
            .stdin(stdin)
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; install it with: apt-get install {package}"));
        Self { child, name: program.to_owned(), folder, gently: false }
    }

    /// SIPp with a scenario of `tests/sipp/`; `voice.ulaw` in its folder is ten seconds of `Signal::Noise(1)`.
    pub fn sipp(scenario: &str, arguments: &[&str]) -> Self {
        let path = scenario_path(scenario);
        let mut all = vec!["-sf", path.to_str().expect("a UTF-8 path"), "-nostdin"];
        all.extend(arguments);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let voice: Vec<u8> =
            signal::Signal::Noise(1).samples(0, 80_000).into_iter().map(|sample| Law::Mu.encode(sample)).collect();
        fs::write(folder.path().join("voice.ulaw"), voice).expect("a temporary folder can be written");
        Self::start_in(folder, "sipp", "sip-tester", &all)
    }

    /// When dropped, it is asked to end (SIGTERM) and given two seconds to end its children.
    #[must_use]
    pub fn ended_gently(mut self) -> Self {
        self.gently = true;
        self
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// When it has ended, or was not started to be talked to.
    pub fn say(&mut self, line: &str) -> anyhow::Result<()> {
        let stdin = self.child.stdin.as_mut().context("it is not listening")?;
        Ok(writeln!(stdin, "{line}")?)
    }

    /// The folder it runs in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end, at most `within`.
    ///
    /// # Panics
    /// When it does not end in time; what it printed is part of the message.
    pub async fn finished(mut self, within: Duration) -> Finished {
        match self.ended(within).await {
            Some(status) => Finished { status, printed: self.printed() },
            None => panic!("{} did not end within {within:?}; it printed:\n{}", self.name, self.printed()),
        }
    }

    /// Waits for its end, at most `within`; none when it goes on.
    ///
    /// # Panics
    /// When the system does not let a child be waited for.
    pub async fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let deadline = tokio::time::Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return Some(status);
            }
            if tokio::time::Instant::now() >= deadline {
                return None;
            }
            // A child's end is no event that std lets one await together with a deadline; look every few milliseconds.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What it has printed so far.
    pub fn printed(&self) -> String {
        ["stdout", "stderr"]
            .iter()
            .map(|name| {
                String::from_utf8_lossy(&fs::read(self.folder.path().join(name)).unwrap_or_default()).into_owned()
            })
            .collect()
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        if self.gently
            && let Ok(id) = i32::try_from(self.child.id())
        {
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
            // Who has not ended by then is made to.
            let (ended, waits) = std::sync::mpsc::sync_channel::<()>(1);
            let guard = std::thread::spawn(move || {
                if waits.recv_timeout(Duration::from_secs(2)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                    let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
                }
            });
            let _ = self.child.wait();
            drop(ended);
            let _ = guard.join();
            return;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn scenario_path(scenario: &str) -> PathBuf {
    crate::root().join("tests/sipp").join(scenario)
}
