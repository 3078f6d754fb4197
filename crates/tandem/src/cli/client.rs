//! The command line's side of the control socket: HTTP over a unix socket, and errors that say what to do.

use super::{say, terminal::plain, warn};
use crate::{cli::Colour, config};
use anyhow::{Context as _, anyhow};
use clap::Args;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use tokio::{io::AsyncWriteExt as _, net::UnixStream};

/// The largest answer that is read.
const LARGEST: usize = 64 << 20;

/// Which daemon.
#[derive(Args, Clone)]
pub(crate) struct DaemonArg {
    /// The daemon's control socket [default: that of the service, else that of a daemon of your own].
    #[arg(long, env = "TANDEM_SOCKET", value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
}

/// What the daemon answered.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body; null when there was none.
    pub(crate) body: Value,
}

impl DaemonArg {
    /// Sends one request and waits for its answer.
    pub(crate) fn request(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let environment = config::Environment::of_process();
        let socket = self.socket.clone().unwrap_or_else(|| config::default_socket(&environment));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(request(&socket, method, path, body))
    }

    /// Fetches a file and says where it is.
    pub(crate) fn fetch(&self, path: &str, output: Option<&Path>) -> anyhow::Result<ExitCode> {
        let environment = config::Environment::of_process();
        let socket = self.socket.clone().unwrap_or_else(|| config::default_socket(&environment));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match runtime.block_on(download(&socket, path, output))? {
            Ok(file) => {
                say(&file.display().to_string());
                Ok(ExitCode::SUCCESS)
            }
            Err(refused) => refused.refusal(),
        }
    }
}

/// Fetches a file to `output`; without it, to the name that the daemon gives it, in the folder one is in. What is there already is never
/// overwritten. Says where it is, or the daemon's refusal.
async fn download(socket: &Path, path: &str, output: Option<&Path>) -> anyhow::Result<Result<PathBuf, Answer>> {
    let stream = UnixStream::connect(socket).await.map_err(|error| unreachable(socket, &error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = Request::builder().uri(path).header("host", "tandem").body(Full::new(Bytes::new()))?;
    let response = sender.send_request(request).await.context("the daemon closed the connection")?;
    let status = response.status().as_u16();
    if status != 200 {
        let bytes = Limited::new(response.into_body(), LARGEST).collect().await;
        let bytes = bytes.map_err(|error| anyhow!("the answer could not be read: {error}"))?.to_bytes();
        return Ok(Err(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() }));
    }
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let length: Option<u64> = header("content-length").and_then(|length| length.parse().ok());
    let named = header("content-disposition").and_then(|value| value.split('"').nth(1)).filter(|name| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')) && !name.starts_with('.')
    });
    let to = match (output, named) {
        (Some(output), _) => output.to_owned(),
        (None, Some(name)) => PathBuf::from(name),
        (None, None) => {
            return Err(anyhow!("the daemon does not say what the file is called; name it with --output FILE"));
        }
    };
    let made = tokio::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to).await;
    let mut file = made.with_context(|| format!("cannot make {}", to.display()))?;
    let (mut body, mut written) = (response.into_body(), 0);
    let fetched = async {
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.context("the daemon closed the connection")?.into_data() else { continue };
            file.write_all(&piece).await?;
            written += piece.len() as u64;
        }
        file.flush().await?;
        match length.is_none_or(|length| length == written) {
            true => anyhow::Ok(()),
            false => Err(anyhow!("only {written} bytes came")),
        }
    };
    let fetched = fetched.await;
    driver.abort();
    if fetched.is_err() {
        // Half a file looks like a whole one.
        let _ = tokio::fs::remove_file(&to).await;
    }
    fetched.map(|()| Ok(to))
}

/// Sends one request over `socket`.
pub(crate) async fn request(socket: &Path, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
    let stream = UnixStream::connect(socket).await.map_err(|error| unreachable(socket, &error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let mut request = Request::builder().method(method).uri(path).header("host", "tandem");
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let answer = async {
        let response = sender.send_request(request.body(Full::new(bytes))?).await?;
        let status = response.status().as_u16();
        let collected = Limited::new(response.into_body(), LARGEST).collect().await;
        let bytes = collected.map_err(|error| anyhow!("the answer could not be read: {error}"))?.to_bytes();
        let body = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned())),
        };
        anyhow::Ok(Answer { status, body })
    };
    let answer = tokio::time::timeout(Duration::from_secs(180), answer)
        .await
        .context("the daemon did not answer within three minutes")?;
    driver.abort();
    answer.context("the daemon closed the connection")
}

fn unreachable(socket: &Path, error: &io::Error) -> anyhow::Error {
    let path = socket.display();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => anyhow!(
            "no daemon listens at {path}\n  start it with: systemctl start tandem   (or, from a checkout: make run)\n  \
             is its socket elsewhere (`control.socket`)? then name it: --socket PATH, or TANDEM_SOCKET"
        ),
        io::ErrorKind::PermissionDenied => anyhow!(
            "you may not use {path}\n  its group may: sudo usermod -aG $(stat -c %G {path}) $USER, then log in anew; or use sudo"
        ),
        _ => anyhow!("cannot connect to {path}: {error}"),
    }
}

impl Answer {
    /// 2xx.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// 0 for 2xx, else 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Tells why the daemon refused (RFC 9457) and answers exit code 1.
    pub(crate) fn refusal(&self) -> anyhow::Result<ExitCode> {
        let text = |key: &str| self.body.get(key).and_then(Value::as_str).map(plain);
        let title = text("title").unwrap_or_else(|| format!("the daemon answered {}", self.status));
        let mut line = format!("{} {title}", Colour::of_stderr().red("error:"));
        if let Some(field) = text("field") {
            line.push_str(&format!(" (`{field}`)"));
        }
        if let Some(detail) = text("detail") {
            line.push_str(&format!("\n  {}", detail.replace('\n', "\n  ")));
        }
        warn(&line);
        Ok(ExitCode::FAILURE)
    }

    /// Prints the body as JSON, or lets `human` print it; a refusal is told in either case.
    pub(crate) fn show(&self, json: bool, human: impl FnOnce(&Value)) -> anyhow::Result<ExitCode> {
        if json {
            say(&self.body.to_string());
            return Ok(self.exit_code());
        }
        if !self.is_success() {
            return self.refusal();
        }
        human(&self.body);
        Ok(ExitCode::SUCCESS)
    }
}

/// A path segment: ids have no characters that need more.
pub(crate) fn segment(text: &str) -> anyhow::Result<&str> {
    let good = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if good { Ok(text) } else { Err(anyhow!("`{text}` is not an id; `tandem calls` lists those there are")) }
}
