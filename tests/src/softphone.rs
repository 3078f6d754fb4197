//! Softphones that are not ours, as agents' phones and as AI: baresip and pjsua2. Each answers by itself and sends back what it
//! hears, so that a party of ours who hears itself through one has proven both directions. baresip can say a signal instead, and
//! what it decodes is written down.

use crate::{
    SOON, Tool, own_address,
    rates::{narrowed, widened},
    wire::Authority,
};
use anyhow::{Context, Result, ensure};
use parties::{analysis::find, signal::Signal};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;

/// Which program.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// Debian's baresip 1.0.
    Baresip,
    /// PJSIP by its Python package, driven by `tests/peers/softphone.py`.
    Pjsua2,
}

/// Who a softphone is.
#[derive(Copy, Clone, Debug)]
pub struct Who<'a> {
    /// Its program.
    pub program: Program,
    /// `udp`, `tcp` or `tls`.
    pub transport: &'a str,
    /// The user of its address; `sesame` is the password.
    pub user: &'a str,
    /// The daemon it registers with; none: it is only called.
    pub registrar: Option<SocketAddr>,
    /// The codecs it speaks, best first: `pcmu`, `pcma`, `g722`, `opus`, `l16`.
    pub codecs: &'a [&'a str],
    /// Signs its certificate.
    pub authority: &'a Authority,
    /// What it says instead of what it hears (baresip alone, which speaks the first codec then).
    pub says: Option<Signal>,
}

/// A running softphone; ended when dropped.
pub struct Softphone {
    tool: Tool,
    address: SocketAddr,
    transport: String,
    heard: Arc<Mutex<Vec<Value>>>,
    /// How many of them were waited for.
    seen: usize,
    /// baresip's control connection.
    control: Option<TcpStream>,
}

impl Softphone {
    /// Starts it; when this returns it listens, and is registered where it should.
    pub async fn start(who: Who<'_>) -> Result<Self> {
        let mut phone = match who.program {
            Program::Baresip => baresip(who).await?,
            Program::Pjsua2 => pjsua2(who)?,
        };
        match (who.registrar, who.program) {
            (None, Program::Baresip) => {}
            (None, Program::Pjsua2) => phone.until_all(&["READY"]).await?,
            // In whichever order.
            (Some(_), Program::Pjsua2) => phone.until_all(&["READY", "REGISTER_OK"]).await?,
            // It may have said so before anybody listened; it is printed as well.
            (Some(_), Program::Baresip) => phone.until_printed("} 200 OK").await?,
        }
        Ok(phone)
    }

    async fn until_all(&mut self, kinds: &[&str]) -> Result<()> {
        let (from, mut last) = (self.seen, self.seen);
        for kind in kinds {
            self.seen = from;
            self.until(kind).await?;
            last = last.max(self.seen);
        }
        self.seen = last;
        Ok(())
    }

    /// Where it is called without a registration.
    pub fn uri(&self, user: &str) -> String {
        format!("sip:{user}@{};transport={}", self.address, self.transport)
    }

    /// Makes it do something: `dial`, `hangup`, `transfer`, and for pjsua2 `attended`, `hold`, `resume`.
    pub fn does(&mut self, command: &str, params: &str) -> Result<()> {
        self.orders(&json!({ "command": command, "params": params }))
    }

    /// As [`Softphone::does`], with whatever else the program understands.
    pub fn orders(&mut self, order: &Value) -> Result<()> {
        let text = order.to_string();
        match &mut self.control {
            Some(control) => Ok(write!(control, "{}:{text},", text.len())?),
            None => self.tool.say(&text),
        }
    }

    /// Waits for its next event of a type; those before it are passed over.
    pub async fn until(&mut self, kind: &str) -> Result<Value> {
        let deadline = tokio::time::Instant::now() + SOON;
        loop {
            if self.control.is_none() {
                let printed = self.tool.printed();
                let said: Vec<Value> = printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
                *self.heard.lock().expect("no panic holds it") = said;
            }
            let heard = self.heard.lock().expect("no panic holds it").clone();
            let found = heard.iter().enumerate().skip(self.seen).find(|(_, event)| event["type"] == kind);
            if let Some((at, event)) = found {
                self.seen = at + 1;
                return Ok(event.clone());
            }
            ensure!(tokio::time::Instant::now() < deadline, "no {kind} from the phone, but {}", self.story());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until_printed(&self, words: &str) -> Result<()> {
        let deadline = tokio::time::Instant::now() + SOON;
        while !self.tool.printed().contains(words) {
            ensure!(tokio::time::Instant::now() < deadline, "the phone printed no `{words}`, but {}", self.story());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// How well one of the last seconds that baresip decoded is a stretch of a signal; none before there is one.
    pub fn heard(&self, signal: Signal) -> Result<Option<f64>> {
        let dump = fs::read_dir(self.tool.folder())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.to_string_lossy().ends_with("dec.wav"));
        let Some(dump) = dump else { return Ok(None) };
        let bytes = fs::read(dump)?;
        let Some((head, data)) = bytes.split_at_checked(44) else { return Ok(None) };
        let channels = usize::from(u16::from_le_bytes([head[22], head[23]]));
        let factor = u32::from_le_bytes([head[24], head[25], head[26], head[27]]) as usize / 8000;
        let first = data.chunks_exact(2 * channels).map(|frame| i16::from_le_bytes([frame[0], frame[1]]));
        let decoded: Vec<i16> = first.collect();
        let (second, end) = (8000 * factor, decoded.len().saturating_sub(1600 * factor));
        let Some(from) = end.checked_sub(second) else { return Ok(None) };
        // The codecs' delays are of whole samples at their own rates.
        let phases = (0..factor).map(|phase| narrowed(&decoded[from + phase..], factor, 8000));
        Ok(phases.map(|heard| find(&heard, signal, 0..480_000).correlation).reduce(f64::max))
    }

    /// Everything it said, for a test that failed.
    pub fn story(&self) -> String {
        let mut story = String::new();
        for event in self.heard.lock().expect("no panic holds it").iter() {
            let _ = writeln!(story, "{event}");
        }
        story + &self.tool.printed()
    }
}

async fn baresip(who: Who<'_>) -> Result<Softphone> {
    // It sends RTP from a socket without an address: only on 127.0.0.1 it comes from where its SDP says.
    let ip = Ipv4Addr::LOCALHOST;
    let (port, control) = (free_ports()?, free_ports()?);
    let modules = "/usr/lib/baresip/modules";
    ensure!(
        Path::new(modules).is_dir(),
        "baresip is missing; install it with: apt-get install baresip-core baresip-ffmpeg"
    );
    let folder = tempfile::tempdir()?;
    let at = folder.path();
    let audio = match who.says {
        Some(signal) => {
            fs::write(at.join("says.wav"), spoken_file(signal, who.codecs.first().context("a codec")?))?;
            format!(
                "audio_source aufile,{dir}/says.wav\naudio_player aufile,{dir}/played.wav\nsnd_path {dir}\n\
                 module aufile.so\nmodule sndfile.so\n",
                dir = at.display()
            )
        }
        None => "audio_source aubridge,echo\naudio_player aubridge,echo\nmodule aubridge.so\n".to_owned(),
    };
    who.authority.sign(at, "peer", &ip.to_string())?;
    fs::write(at.join("ca.pem"), who.authority.pem())?;
    fs::write(at.join("both.pem"), [fs::read(at.join("peer.pem"))?, fs::read(at.join("peer.key"))?].concat())?;
    let dir = at.display();
    fs::write(
        at.join("config"),
        format!(
            "sip_listen {ip}:{port}\nsip_certificate {dir}/both.pem\nsip_cafile {dir}/ca.pem\nnet_interface {ip}\n\
             rtp_ports 40000-48000\nmodule_path {modules}\n{audio}\
             ctrl_tcp_listen {ip}:{control}\nmodule g711.so\nmodule g722.so\n\
             module opus.so\nmodule l16.so\nmodule_tmp account.so\n\
             module_app menu.so\nmodule_app ctrl_tcp.so\n"
        ),
    )?;
    let Who { user, transport, .. } = who;
    let registration = match who.registrar {
        Some(registrar) => {
            format!(";auth_user={user};auth_pass=sesame;regint=120;outbound=\"sip:{registrar};transport={transport}\"")
        }
        None => ";regint=0".to_owned(),
    };
    let domain = who.registrar.map_or(ip.to_string(), |registrar| registrar.ip().to_string());
    let codecs: Vec<&str> = who.codecs.iter().map(|codec| baresip_codec(codec)).collect();
    let codecs = codecs.join(",");
    fs::write(
        at.join("accounts"),
        format!("<sip:{user}@{domain};transport={transport}>{registration};answermode=auto;audio_codecs={codecs}\n"),
    )?;
    fs::write(at.join("contacts"), "")?;
    let path = at.display().to_string();
    let tool = Tool::start_in(folder, "baresip", "baresip-core baresip-ffmpeg", &["-f", &path]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let deadline = tokio::time::Instant::now() + SOON;
    let control = loop {
        match TcpStream::connect((ip, control)) {
            Ok(control) => break control,
            Err(error) => ensure!(tokio::time::Instant::now() < deadline, "baresip: {error}; {}", tool.printed()),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    listen(control.try_clone()?, Arc::clone(&heard));
    // TLS listens one port higher.
    let port = if transport == "tls" { port + 1 } else { port };
    let address = SocketAddr::from((ip, port));
    Ok(Softphone { tool, address, transport: transport.to_owned(), heard, seen: 0, control: Some(control) })
}

/// How baresip's accounts name a codec: with its rate and channels.
fn baresip_codec(name: &str) -> &str {
    match name {
        "pcmu" => "PCMU/8000/1",
        "pcma" => "PCMA/8000/1",
        "g722" => "G722/16000/1",
        "opus" => "opus/48000/2",
        "l16" => "L16/16000/1",
        other => other,
    }
}

/// A minute of a signal as a WAV file at the rate and with the channels of a codec: baresip converts neither.
fn spoken_file(signal: Signal, codec: &str) -> Vec<u8> {
    let (factor, channels): (u16, u16) = match codec {
        "opus" => (6, 2),
        "g722" | "l16" => (2, 1),
        _ => (1, 1),
    };
    let samples = widened(&signal.samples(0, 60 * 8000), usize::from(factor));
    let (rate, frame) = (8000 * u32::from(factor), 2 * channels);
    let length = u32::try_from(samples.len() * usize::from(frame)).expect("a short file");
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(frame)).to_le_bytes());
    file.extend(frame.to_le_bytes());
    file.extend(b"\x10\0data");
    file.extend(length.to_le_bytes());
    let frames = samples.iter().flat_map(|sample| std::iter::repeat_n(sample, channels.into()));
    file.extend(frames.flat_map(|sample| sample.to_le_bytes()));
    file
}

/// Reads baresip's netstrings until it ends.
fn listen(mut control: TcpStream, heard: Arc<Mutex<Vec<Value>>>) {
    std::thread::spawn(move || {
        let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = control.read(&mut buffer) {
            kept.extend_from_slice(&buffer[..length]);
            while let Some(colon) = kept.iter().position(|byte| *byte == b':') {
                let Some(length) = std::str::from_utf8(&kept[..colon]).ok().and_then(|text| text.parse::<usize>().ok())
                else {
                    return;
                };
                // The payload, then a comma.
                if kept.len() < colon + length + 2 {
                    break;
                }
                let payload: Vec<u8> = kept.drain(..colon + length + 2).skip(colon + 1).take(length).collect();
                if let Ok(event) = serde_json::from_slice(&payload) {
                    heard.lock().expect("no panic holds it").push(event);
                }
            }
        }
    });
}

fn pjsua2(who: Who<'_>) -> Result<Softphone> {
    ensure!(who.says.is_none(), "pjsua2 says what it hears");
    let python = crate::root().join("target/python/bin/python");
    ensure!(python.is_file(), "pjsua2 is missing; install it with: make python");
    let folder = tempfile::tempdir()?;
    let at = folder.path();
    let ip = own_address();
    who.authority.sign(at, "peer", &ip.to_string())?;
    fs::write(at.join("ca.pem"), who.authority.pem())?;
    let transport = who.transport;
    let about = json!({
        "address": ip.to_string(), "port": 5070, "transport": transport, "user": who.user, "password": "sesame",
        "domain": who.registrar.map_or(ip.to_string(), |registrar| registrar.ip().to_string()),
        "registrar": who.registrar.map(|registrar| format!("sip:{registrar};transport={transport}")),
        "folder": at.display().to_string(), "codecs": who.codecs,
    });
    let program = crate::root().join("tests/peers/softphone.py");
    let arguments = [program.display().to_string(), about.to_string()];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let tool = Tool::start_talking(folder, &python.display().to_string(), "python3-venv", &arguments);
    Ok(Softphone {
        tool,
        address: SocketAddr::from((ip, 5070)),
        transport: transport.to_owned(),
        heard: Arc::default(),
        seen: 0,
        control: None,
    })
}

/// A port of 127.0.0.1 that was free just now, with the next one.
fn free_ports() -> Result<u16> {
    for _ in 0..50 {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let free = |port| {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
                && std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        };
        if port < u16::MAX && free(port) && free(port + 1) {
            return Ok(port);
        }
    }
    None.context("no two free ports beside each other")
}

/// A folder in which a daemon at `ip` finds `daemon.pem`, `daemon.key` and `ca.pem`, and whose authority signs for its peers.
pub fn certificates(ip: Ipv4Addr) -> Result<(TempDir, Authority)> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    authority.sign(folder.path(), "daemon", &ip.to_string())?;
    Ok((folder, authority))
}
