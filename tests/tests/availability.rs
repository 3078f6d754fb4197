//! Who is free, as others know it: a switchboard that tells of its agents' calls, and a system that is asked over HTTP.

use anyhow::{Context, Result, ensure};
use parties::io::{ControlClient, Events};
use sip_codec::{Limits, Message, Method, Name};
use std::{net::SocketAddr, time::Duration};
use tests::{Daemon, own_address, standard};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UdpSocket},
};

const SOON: Duration = Duration::from_secs(10);

/// A switchboard that can be subscribed to, by hand.
struct Switchboard {
    socket: UdpSocket,
    /// Of the last SUBSCRIBE, and where it came from.
    asked: Option<(Message, SocketAddr)>,
    notified: u32,
}

impl Switchboard {
    async fn bind() -> Result<Self> {
        Ok(Self { socket: UdpSocket::bind((own_address(), 5060)).await?, asked: None, notified: 0 })
    }

    /// The next message of this kind; copies of others are passed over.
    async fn hear(&mut self, wanted: impl Fn(&Message) -> bool) -> Result<(Message, SocketAddr)> {
        let mut buffer = vec![0; 65_536];
        tokio::time::timeout(SOON, async {
            loop {
                let (length, from) = self.socket.recv_from(&mut buffer).await?;
                let message = Message::parse(bytes::Bytes::copy_from_slice(&buffer[..length]), &Limits::default())?;
                if wanted(&message) {
                    return Ok((message, from));
                }
            }
        })
        .await
        .context("nothing was heard")?
    }

    /// Takes a SUBSCRIBE and grants it.
    async fn is_subscribed(&mut self) -> Result<()> {
        let (asked, from) = self.hear(|message| message.method() == Some(Method::Subscribe)).await?;
        let text = |name| String::from_utf8_lossy(asked.header(name).unwrap_or_default()).into_owned();
        ensure!(text(Name::Event) == "dialog", "{}", text(Name::Event));
        let answer = format!(
            "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=pbx\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:carl@{}>\r\n\
             Expires: 600\r\nContent-Length: 0\r\n\r\n",
            text(Name::Via),
            text(Name::From),
            text(Name::To),
            text(Name::CallId),
            text(Name::CSeq),
            self.socket.local_addr()?,
        );
        self.socket.send_to(answer.as_bytes(), from).await?;
        self.asked = Some((asked, from));
        Ok(())
    }

    /// Tells that so many calls are up, and waits for the answer.
    async fn tells(&mut self, calls: usize) -> Result<()> {
        let (asked, to) = self.asked.clone().context("nobody has subscribed")?;
        let text = |name| String::from_utf8_lossy(asked.header(name).unwrap_or_default()).into_owned();
        self.notified += 1;
        let number = self.notified;
        let dialogs: String =
            (0..calls).map(|at| format!("<dialog id=\"{at}\"><state>confirmed</state></dialog>")).collect();
        let body = format!(
            "<?xml version=\"1.0\"?><dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{number}\" state=\"full\" \
             entity=\"sip:carl@pbx\">{dialogs}</dialog-info>"
        );
        let own = self.socket.local_addr()?;
        let notify = format!(
            "NOTIFY sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKn{number}\r\nMax-Forwards: 70\r\nFrom: {};tag=pbx\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: {number} NOTIFY\r\nContact: <sip:carl@{own}>\r\nEvent: dialog\r\n\
             Subscription-State: active;expires=600\r\nContent-Type: application/dialog-info+xml\r\nContent-Length: {}\r\n\r\n{body}",
            text(Name::To),
            text(Name::From),
            text(Name::CallId),
            body.len(),
        );
        self.socket.send_to(notify.as_bytes(), to).await?;
        let answered = |message: &Message| {
            message.status().is_some() && message.core().is_ok_and(|core| core.cseq.method == Method::Notify)
        };
        let (answer, _) = self.hear(answered).await?;
        ensure!(answer.status() == Some(200), "NOTIFY was answered {:?}", answer.status());
        Ok(())
    }
}

async fn until_carl_is(events: &mut Events, state: &str) -> Result<()> {
    tokio::time::timeout(SOON, async {
        loop {
            let event = events.next().await.context("the event stream ended")?;
            if event["type"] == "agent.state" && event["data"]["agent"] == "carl" && event["data"]["state"] == state {
                return Ok(());
            }
        }
    })
    .await
    .with_context(|| format!("carl did not become {state}"))?
}

/// An agent whose calls a switchboard knows of is not offered, and not promised, while they are on one.
#[tokio::test]
async fn rfc4235_a_switchboard_tells_that_its_agent_is_on_a_call_and_nobody_is_promised_them() -> Result<()> {
    let mut switchboard = Switchboard::bind().await?;
    let at = switchboard.socket.local_addr()?;
    let mut files = standard(at, at);
    files.configuration += &format!(
        "agents:\n  static:\n    carl: {{ dial: \"sip:carl@{at}\", skills: {{ fraud: 5 }}, dialogs: {{}} }}\n"
    );
    files.rules = files.rules.replace(&format!("{{ dial: \"sip:fraud@{at}\" }}"), "{ queue: { skills: [fraud] } }");
    let daemon = Daemon::start(&files).await?;
    let control = ControlClient::new(daemon.control());
    let mut events = control.subscribe("").await?;
    switchboard.is_subscribed().await?;

    switchboard.tells(1).await?;
    until_carl_is(&mut events, "busy").await?;
    let promise = control.get("/v1/destinations/fraud/availability").await?.body;
    ensure!(promise["available"] == false, "{promise}");

    switchboard.tells(0).await?;
    until_carl_is(&mut events, "available").await?;
    let promise = control.get("/v1/destinations/fraud/availability").await?.body;
    ensure!(promise["available"] == true, "{promise}");
    daemon.stop().await?;
    Ok(())
}

/// Another system, by hand: answers each GET with what it is to say, and nothing at all while that is `None`.
struct Crm {
    address: SocketAddr,
    says: tokio::sync::watch::Sender<Option<String>>,
}

impl Crm {
    async fn bind() -> Result<Self> {
        let listener = TcpListener::bind((own_address(), 0)).await?;
        let address = listener.local_addr()?;
        let (says, told) = tokio::sync::watch::channel(None::<String>);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let told = told.clone();
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let read = stream.read(&mut request).await.unwrap_or(0);
                    let text = String::from_utf8_lossy(&request[..read]).into_owned();
                    let shown = text.contains("authorization: Bearer sesame\r\n");
                    let says = told.borrow().clone();
                    let answer = match says {
                        None => return,
                        Some(_) if !shown => "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_owned(),
                        Some(says) => format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{says}", says.len()),
                    };
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Ok(Self { address, says })
    }

    fn says(&self, answer: Option<&str>) {
        self.says.send_replace(answer.map(str::to_owned));
    }
}

/// What a CRM says of an agent counts, until it says nothing for too long: then they are away, as configured.
#[tokio::test]
async fn a_crm_is_asked_who_is_free_and_while_it_is_silent_nobody_is_promised() -> Result<()> {
    let crm = Crm::bind().await?;
    let at: SocketAddr = (own_address(), 5060).into();
    let mut files = standard(at, at);
    let token = tempfile::NamedTempFile::new()?;
    std::fs::write(token.path(), "sesame\n")?;
    files.configuration += &format!(
        "agents:\n  availability: {{ url: \"http://{}/agents\", every: 1s, keep: 2s, unknown: away, token_file: {} }}\n  static:\n    \
         carl: {{ dial: \"sip:carl@{at}\", skills: {{ fraud: 5 }} }}\n",
        crm.address,
        token.path().display(),
    );
    files.rules = files.rules.replace(&format!("{{ dial: \"sip:fraud@{at}\" }}"), "{ queue: { skills: [fraud] } }");
    let daemon = Daemon::start(&files).await?;
    let control = ControlClient::new(daemon.control());
    let mut events = control.subscribe("").await?;
    let agent = control.get("/v1/agents/carl").await?.body;
    ensure!(agent["state"] == "away", "nothing is known yet: {agent}");
    for (says, state, available) in [
        (Some("{\"carl\": \"available\"}"), "available", true),
        (Some("{\"agents\": {\"carl\": {\"state\": \"on_call\"}}}"), "busy", false),
        (Some("{\"carl\": \"free\"}"), "available", true),
        (None, "away", false),
        (Some("{\"carl\": true}"), "available", true),
    ] {
        crm.says(says);
        until_carl_is(&mut events, state).await.with_context(|| format!("{says:?}\n{}", daemon.log()))?;
        let promise = control.get("/v1/destinations/fraud/availability").await?.body;
        ensure!(promise["available"] == available, "{says:?}: {promise}");
    }
    daemon.stop().await?;
    Ok(())
}
