//! Trunks: one that dies is left for the other, one that asks for a registration gets it, and no call shows what is inside.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use parties::{
    io::{Call, Party, Voice},
    message::Message,
};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tests::{AI_SAYS, Daemon, Files, HUMAN_SAYS, SOON, Stage, own_address, standard};
use tokio::{net::UdpSocket, time::Instant};

/// Fault section 1: when ping knows.
const PING_KNOWS: Duration = Duration::from_secs(2);
/// When it does not.
const PING_DOES_NOT_KNOW: Duration = Duration::from_secs(4);

/// The standard stage with two trunks for numbers, `one` before `two`; the callers' trunk carries none.
async fn two_trunks(one: SocketAddr, two: SocketAddr, ping: &str) -> Result<Stage> {
    Stage::with(|files| {
        let trunk = |name: &str, address, priority| {
            format!("  {name}: {{ address: {address}, tel: [\"+\"], priority: {priority}{ping} }}\n")
        };
        let trunks = format!("trunks:\n{}{}", trunk("one", one, 1), trunk("two", two, 2));
        let configuration = files.configuration.replace("trunks:\n", &trunks).replace("    tel: [\"+\"]\n", "");
        Files { configuration, ..files }
    })
    .await
}

async fn carrier() -> Result<Party> {
    Ok(Party::bind("carrier", own_address().into(), Voice::of(HUMAN_SAYS)).await?)
}

/// One more call of the series: from the decision to the INVITE at `carrier`.
async fn next_call(stage: &Stage, carrier: &Party) -> Result<(Duration, Call)> {
    let talk = stage.connect().await?;
    let began = Instant::now();
    stage.transfer(&talk.id, json!({ "to": "tel:+15550199", "ring_timeout": "20s" })).await?;
    let human = carrier.incoming(SOON).await.context("the call did not leave by this trunk")?;
    let took = began.elapsed();
    human.answer();
    human.answered(SOON).await?;
    talk.caller.hang_up();
    human.ended(SOON).await?;
    Ok((took, human))
}

async fn until_trunk(stage: &Stage, name: &str, up: bool) -> Result<Value> {
    let deadline = Instant::now() + SOON;
    loop {
        let answer = stage.control.get("/v1/trunks").await?;
        let trunks = answer.body["trunks"].as_array().cloned().unwrap_or_default();
        let found = trunks.into_iter().find(|trunk| trunk["name"] == name).context("no such trunk")?;
        if found["up"] == up {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "still {found}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_dies_mid_series_is_left_for_the_other_at_the_next_call() -> Result<()> {
    let (one, two) = (carrier().await?, carrier().await?);
    let stage = two_trunks(one.address(), two.address(), "").await?;
    for _ in 0..2 {
        next_call(&stage, &one).await?;
    }
    drop(one);
    // Nobody is at its port any more: the network says so.
    let (took, _) = next_call(&stage, &two).await?;
    ensure!(took <= PING_KNOWS, "the next call left after {took:?}");
    let (took, _) = next_call(&stage, &two).await?;
    ensure!(took <= PING_KNOWS, "the call after it left after {took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_falls_silent_is_known_by_ping_and_comes_back_within_two() -> Result<()> {
    let one = carrier().await?;
    let (address, two) = (one.address(), carrier().await?);
    let ping = ", ping: { interval: 1s, timeout: 300ms }";
    let stage = two_trunks(address, two.address(), ping).await?;
    next_call(&stage, &one).await?;
    drop(one);
    let silent = silent_at(address).await?;
    let down = until_trunk(&stage, "one", false).await?;
    ensure!(down["ping"] == "silent" || down["ping"] == "unreachable", "{down}");
    ensure!((stage.metric("tandem_trunk_up").await? - 2.0).abs() < f64::EPSILON, "two of three trunks are up");
    let (took, _) = next_call(&stage, &two).await?;
    ensure!(took <= PING_KNOWS, "the next call left after {took:?}");
    drop(silent);
    let back = Party::bind_to("carrier", address, Voice::of(HUMAN_SAYS)).await?;
    let since = Instant::now();
    until_trunk(&stage, "one", true).await?;
    ensure!(since.elapsed() <= Duration::from_secs(4), "two pings of a second: {:?}", since.elapsed());
    next_call(&stage, &back).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_is_silent_and_not_asked_costs_one_call_less_than_four_seconds() -> Result<()> {
    let (silent, two) = (silent_at(SocketAddr::from((own_address(), 5060))).await?, carrier().await?);
    let stage = two_trunks(silent.local_addr()?, two.address(), "").await?;
    let (took, _) = next_call(&stage, &two).await?;
    ensure!(took <= PING_DOES_NOT_KNOW, "the call left after {took:?}");
    let (took, _) = next_call(&stage, &two).await?;
    ensure!(took <= PING_KNOWS, "what a call has shown counts for the next: {took:?}");
    Ok(())
}

/// A socket that takes everything and answers nothing.
async fn silent_at(address: SocketAddr) -> Result<UdpSocket> {
    let deadline = Instant::now() + SOON;
    loop {
        match UdpSocket::bind(address).await {
            Ok(socket) => return Ok(socket),
            Err(error) => ensure!(Instant::now() < deadline, "{address}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A registrar that wants digest: the next request, which must be a REGISTER.
async fn register(socket: &UdpSocket) -> Result<(Message, SocketAddr)> {
    let mut buffer = vec![0; 65_536];
    let (length, from) =
        tokio::time::timeout(SOON, socket.recv_from(&mut buffer)).await.context("no REGISTER came")??;
    let message = Message::read(&buffer[..length]).context("no SIP message")?;
    ensure!(message.method() == Some("REGISTER"), "{message:?}");
    Ok((message, from))
}

async fn answer(
    socket: &UdpSocket,
    to: SocketAddr,
    request: &Message,
    status: u16,
    more: &[(&str, &str)],
) -> Result<()> {
    let mut response = request.response(status, Some("registrar"));
    response.headers.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    socket.send_to(&response.write(), to).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_wants_a_registration_gets_it_with_digest_and_it_is_taken_back_at_the_end() -> Result<()> {
    let registrar = UdpSocket::bind((own_address(), 5060)).await?;
    let address = registrar.local_addr()?;
    let ai = Party::bind("agent", own_address().into(), Voice::of(AI_SAYS)).await?;
    let files = standard(ai.address(), ai.address());
    let trunk = format!(
        "trunks:\n  provider: {{ address: {address}, auth: {{ username: \"4930100\", password: s3cr3t }}, register: {{ domain: provider.example }} }}\n"
    );
    let configuration = files.configuration.replace("trunks:\n", &trunk);
    let daemon = Daemon::start(&Files { configuration, ..files }).await?;

    let (first, from) = register(&registrar).await?;
    ensure!(first.uri() == Some("sip:provider.example"), "{:?}", first.uri());
    ensure!(first.header("Authorization").is_none(), "credentials before they were asked for");
    let challenge = "Digest realm=\"provider.example\", nonce=\"n0nce\", algorithm=SHA-256, qop=\"auth\"";
    answer(&registrar, from, &first, 401, &[("WWW-Authenticate", challenge)]).await?;
    let (second, from) = register(&registrar).await?;
    let authorization = second.header("Authorization").context("no credentials")?.to_owned();
    ensure!(!authorization.contains("s3cr3t"), "{authorization}");
    check_digest(&authorization, "REGISTER", "4930100", "provider.example", "s3cr3t")?;
    let contact = second.header("Contact").context("no Contact")?.to_owned();
    ensure!(contact == format!("<sip:4930100@{}>", daemon.sip()), "{contact}");
    answer(&registrar, from, &second, 200, &[("Contact", &format!("{contact};expires=600"))]).await?;

    let control = parties::io::ControlClient::new(daemon.control());
    let deadline = Instant::now() + SOON;
    loop {
        let trunks = control.get("/v1/trunks").await?.body;
        let provider =
            trunks["trunks"].as_array().and_then(|all| all.iter().find(|it| it["name"] == "provider")).cloned();
        let provider = provider.context("no such trunk")?;
        if provider["registration"] == "registered" && provider["up"] == true {
            break;
        }
        ensure!(Instant::now() < deadline, "still {provider}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    daemon.signal(Signal::SIGTERM)?;
    let (last, from) = register(&registrar).await?;
    ensure!(last.header("Expires") == Some("0"), "{:?}", last.header("Expires"));
    check_digest(
        last.header("Authorization").context("no credentials")?,
        "REGISTER",
        "4930100",
        "provider.example",
        "s3cr3t",
    )?;
    answer(&registrar, from, &last, 200, &[]).await?;
    ensure!(!daemon.log().contains("s3cr3t"), "the password is in the log");
    Ok(())
}

/// A PBX by hand: sends an INVITE and takes what comes first that is no 100.
async fn invited(pbx: &UdpSocket, daemon: SocketAddr, number: u32, authorization: Option<&str>) -> Result<Message> {
    let local = pbx.local_addr()?;
    let mut headers = vec![
        ("Via", format!("SIP/2.0/UDP {local};branch=z9hG4bKpbx{number};rport")),
        ("Max-Forwards", "70".to_owned()),
        ("From", format!("<sip:+493055512345@{local}>;tag=pbx")),
        ("To", format!("<sip:support@{daemon}>")),
        ("Call-ID", format!("pbx-{local}")),
        ("CSeq", format!("{number} INVITE")),
        ("Contact", format!("<sip:pbx@{local}>")),
        ("User-Agent", "a branch's PBX with a name as long as such names are, so that no answer is a lever".to_owned()),
    ];
    headers.extend(authorization.map(|value| ("Proxy-Authorization", value.to_owned())));
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let invite = Message { start: format!("INVITE sip:support@{daemon} SIP/2.0"), headers, body: String::new() };
    pbx.send_to(&invite.write(), daemon).await?;
    let mut buffer = vec![0; 65_536];
    loop {
        let (length, _) =
            tokio::time::timeout(SOON, pbx.recv_from(&mut buffer)).await.context("no answer to the INVITE")??;
        let message = Message::read(&buffer[..length]).context("no SIP message")?;
        if message.status().is_some_and(|status| status > 100) {
            return Ok(message);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_shows_a_password_is_taken_by_it_and_by_nothing_else() -> Result<()> {
    let stage = Stage::with(|files| {
        let digest = "    allowed: [127.0.0.0/8]\n    digest: { username: branch, password: canary, realm: desk }\n";
        let configuration = files.configuration.replace("    allowed: [127.0.0.0/8]\n", digest);
        Files { configuration, ..files }
    })
    .await?;
    let pbx = UdpSocket::bind((own_address(), 5060)).await?;
    let asked = invited(&pbx, stage.sip(), 1, None).await?;
    ensure!(asked.status() == Some(407), "{asked:?}");
    let challenge = asked.header("Proxy-Authenticate").context("no challenge")?.to_owned();
    let nonce = challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).context("no nonce")?;
    let uri = format!("sip:support@{}", stage.sip());
    let authorization = |password: &str| {
        let a1 = sha256(&format!("branch:desk:{password}"));
        let response = sha256(&format!("{a1}:{nonce}:00000001:c:auth:{}", sha256(&format!("INVITE:{uri}"))));
        format!(
            "Digest username=\"branch\", realm=\"desk\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c\""
        )
    };
    let wrong = invited(&pbx, stage.sip(), 2, Some(&authorization("guess"))).await?;
    ensure!(wrong.status() == Some(407), "{wrong:?}");
    let mut events = stage.control.subscribe("").await?;
    let calling = async {
        let ai = stage.ai_rings().await?;
        ai.ring(180);
        anyhow::Ok(ai)
    };
    let right = authorization("canary");
    let (taken, ai) = tokio::join!(invited(&pbx, stage.sip(), 3, Some(&right)), calling);
    ensure!(taken?.status() == Some(180), "the call does not ring");
    let started = events.until("call.started", SOON).await.context("no call")?;
    ensure!(started["data"]["trunk"] == "carrier", "{started}");
    ensure!(!stage.daemon.log().contains("canary"), "the password is in the log");
    drop(ai?);
    Ok(())
}

fn sha256(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 7616, section 3.4.1, computed anew.
fn check_digest(authorization: &str, method: &str, username: &str, realm: &str, password: &str) -> Result<()> {
    let value = |name: &str| {
        let rest = authorization.split([' ', ',']).find_map(|part| part.trim().strip_prefix(&format!("{name}=")));
        rest.map(|value| value.trim_matches('"').to_owned()).with_context(|| format!("no {name} in {authorization}"))
    };
    ensure!(value("username")? == username && value("realm")? == realm, "{authorization}");
    let a1 = sha256(&format!("{username}:{realm}:{password}"));
    let a2 = sha256(&format!("{method}:{}", value("uri")?));
    let (nonce, count, cnonce) = (value("nonce")?, value("nc")?, value("cnonce")?);
    let expected = sha256(&format!("{a1}:{nonce}:{count}:{cnonce}:auth:{a2}"));
    ensure!(value("response")? == expected, "the digest is wrong: {authorization}");
    Ok(())
}

/// Fault row 13.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_the_callers_side_is_on_the_wire_of_the_called_side() -> Result<()> {
    let (one, two) = (carrier().await?, carrier().await?);
    let stage = two_trunks(one.address(), two.address(), "").await?;
    let talk = stage.connect().await?;
    stage.transfer(&talk.id, json!({ "to": "tel:+15550199" })).await?;
    let human = one.incoming(SOON).await.context("nobody was called")?;
    let invite = String::from_utf8_lossy(&human.invite().write()).into_owned();
    for inside in
        [stage.caller.address().ip().to_string(), talk.caller.id().to_owned(), "X-".to_owned(), talk.id.clone()]
    {
        ensure!(!invite.contains(&inside), "`{inside}` is in\n{invite}");
    }
    Ok(())
}
