//! The stage: a daemon of one's own with the shipped files, on a loopback address that nobody else uses.

use anyhow::{Context as _, bail};
use parties::io::ControlClient;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    net::UnixDatagram,
    process::{Child, Command},
};

/// Where the shipped rules dial humans.
const SHIPPED_HUMANS: &str = "127.0.0.1:5090";
/// Where they live here.
pub(super) const HUMANS: u16 = 5091;
/// What the fraud specialist is told.
pub(super) const WHISPER: &[&str] = &["prompts/said/unknown-transaction.wav", "prompts/said/angry.wav"];

/// The shipped files, so that the demonstration runs from anywhere.
const SHIPPED: [(&str, &[u8]); 8] = [
    ("tandem.yaml", include_bytes!("../../../../etc/tandem.yaml")),
    ("rules.yaml", include_bytes!("../../../../etc/rules.yaml")),
    ("prompts/please-hold.wav", include_bytes!("../../../../etc/prompts/please-hold.wav")),
    ("prompts/incoming-handoff.wav", include_bytes!("../../../../etc/prompts/incoming-handoff.wav")),
    ("prompts/said/unknown-transaction.wav", include_bytes!("../../../../etc/prompts/said/unknown-transaction.wav")),
    ("prompts/said/angry.wav", include_bytes!("../../../../etc/prompts/said/angry.wav")),
    ("prompts/said/press-1.wav", include_bytes!("../../../../etc/prompts/said/press-1.wav")),
    ("music/default.wav", include_bytes!("../../../../etc/music/default.wav")),
];

/// A shipped file by its name below `etc/`.
pub(super) fn shipped(name: &str) -> Option<&'static [u8]> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// A running daemon and its addresses.
pub(super) struct Stage {
    daemon: Child,
    folder: TempDir,
    ip: IpAddr,
}

impl Stage {
    /// Starts the daemon and waits until it takes calls.
    pub(super) async fn set(records: bool) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let ip = own_address();
        let config = unpack(folder.path(), ip)?;
        let notify = folder.path().join("notify");
        let ready = UnixDatagram::bind(&notify)?;
        let log = fs::File::create(folder.path().join("log"))?;
        let own = |name: &str| folder.path().join(name).display().to_string();
        let daemon = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg("--config")
            .arg(config)
            .env("NOTIFY_SOCKET", &notify)
            .env_remove("WATCHDOG_USEC")
            .env_remove("TANDEM_CONFIG")
            .env("TANDEM__SIP__LISTENERS", format!("[\"udp:{ip}:5060\"]"))
            .env("TANDEM__MEDIA__ADDRESS", ip.to_string())
            .env("TANDEM__TRUNKS__LOCAL__ADDRESS", format!("{ip}:5070"))
            .env("TANDEM__AI__DEMO__URI", format!("sip:ai@{ip}:5090"))
            .env("TANDEM__CONTROL__SOCKET", own("control.sock"))
            .env("TANDEM__CDR__PATH", own("cdr.jsonl"))
            .env("TANDEM__RECORDING__WHEN", if records { "answer" } else { "never" })
            .env("TANDEM__RECORDING__DIRECTORY", own("recordings"))
            .env("TANDEM__LEDGER__PATH", own("ledger.db"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the daemon")?;
        let mut stage = Self { daemon, folder, ip };
        stage.until_ready(&ready).await?;
        Ok(stage)
    }

    async fn until_ready(&mut self, socket: &UnixDatagram) -> anyhow::Result<()> {
        let mut buffer = [0; 512];
        let ready = async {
            loop {
                let length = socket.recv(&mut buffer).await?;
                if String::from_utf8_lossy(&buffer[..length]).contains("READY=1") {
                    return anyhow::Ok(());
                }
            }
        };
        tokio::select! {
            told = ready => told,
            status = self.daemon.wait() => bail!("the daemon ended with {} before it was ready:\n{}", status?, self.log()),
            () = tokio::time::sleep(Duration::from_secs(15)) => bail!("the daemon was not ready in time:\n{}", self.log()),
        }
    }

    /// Where a party of this name lives.
    pub(super) fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip, port)
    }

    /// The daemon's control API.
    pub(super) fn control(&self) -> ControlClient {
        ControlClient::new(self.folder.path().join("control.sock"))
    }

    /// The records of ended calls.
    pub(super) fn records(&self) -> PathBuf {
        self.folder.path().join("cdr.jsonl")
    }

    /// The folder of recordings.
    pub(super) fn recordings(&self) -> PathBuf {
        self.folder.path().join("recordings")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Ends the daemon as systemd would, and answers its log.
    pub(super) async fn strike(mut self) -> anyhow::Result<String> {
        if let Some(id) = self.daemon.id().and_then(|id| i32::try_from(id).ok()) {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM)?;
        }
        let _ = tokio::time::timeout(Duration::from_secs(8), self.daemon.wait()).await;
        Ok(self.log())
    }
}

/// All of 127.0.0.0/8 is this machine's; an address made of the process's id is nobody else's.
fn own_address() -> IpAddr {
    let [_, second, third, fourth] = std::process::id().to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 64 | second, third, fourth.clamp(1, 254)))
}

/// The shipped files in a folder, with two changes to the rules: humans live on the demonstration's own address, and the
/// front desk takes a call by pressing 1, so that this is seen too.
fn unpack(folder: &Path, ip: IpAddr) -> anyhow::Result<PathBuf> {
    for (name, bytes) in SHIPPED {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, bytes)?;
    }
    let rules = folder.join("rules.yaml");
    let text = fs::read_to_string(&rules)?;
    let dial = format!("    dial: \"sip:frontdesk@{SHIPPED_HUMANS}\"\n");
    let asked = format!("{dial}    accept: {{ press: \"1\", within: 10s }}\n");
    fs::write(&rules, text.replace(&dial, &asked).replace(SHIPPED_HUMANS, &format!("{ip}:{HUMANS}")))?;
    Ok(folder.join("tandem.yaml"))
}
