//! SIP over TCP and TLS, over IPv4 and IPv6, through the real daemon: calls, certificates, and peers who mean no good.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use sip_codec::{Message, Method, Name};
use std::{
    net::{Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};
use tests::{
    Daemon, Files, own_address, standard,
    wire::{Authority, Wire, session},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};

/// The standard files with other listeners and another way to the AI.
fn files(listeners: &str, sip: &str, ai: SocketAddr, transport: &str) -> Files {
    let mut files = standard(ai, ai);
    files.configuration = files
        .configuration
        .replace("listeners: [\"udp:{ip}:5060\"]", &format!("listeners: [{listeners}]\n  {sip}"))
        .replace(&format!("sip:agent@{ai}"), &format!("sip:agent@{ai};transport={transport}"));
    files
}

fn text(message: &Message, name: Name) -> String {
    message.header(name).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

/// A whole call: the caller's stream in, the AI's stream out, hung up by the caller.
async fn call(caller: &mut Wire, daemon: SocketAddr, ai: impl Future<Output = Result<Wire>>) -> Result<Wire> {
    let uri = format!("sip:support@{daemon}");
    caller.ask("INVITE", &uri, 1, &format!("<{uri}>"), &session(caller.local())).await?;
    let mut ai = ai.await?;
    let invite = ai.request(Method::Invite).await?;
    let body = String::from_utf8_lossy(invite.body()).into_owned();
    ensure!(body.contains("m=audio"), "{body}");
    ai.answer(&invite, "180 Ringing", "").await?;
    ai.answer(&invite, "200 OK", &session(ai.local())).await?;
    ai.request(Method::Ack).await?;
    let answered = caller.final_response().await?;
    ensure!(answered.status() == Some(200), "{answered:?}");
    let to = text(&answered, Name::To);
    let contact = answered.contacts().next().context("a Contact")??;
    let target = String::from_utf8_lossy(contact.uri.text).into_owned();
    caller.ask("ACK", &target, 1, &to, "").await?;
    caller.ask("BYE", &target, 2, &to, "").await?;
    ensure!(caller.final_response().await?.status() == Some(200), "the BYE was refused");
    let bye = ai.request(Method::Bye).await?;
    ai.answer(&bye, "200 OK", "").await?;
    let way = |message: &Message| text(message, Name::Via).split(' ').next().unwrap_or_default().to_owned();
    ensure!(way(&invite) == way(&bye), "the BYE goes the way of the INVITE");
    Ok(ai)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_tcp_both_ways() -> Result<()> {
    let ai = TcpListener::bind((own_address(), 5090)).await?;
    let files = files("\"udp:{ip}:5060\", \"tcp:{ip}:5060\"", "dscp: 26", ai.local_addr()?, "tcp");
    let daemon = Daemon::start(&files).await?;
    let mut caller = Wire::tcp(daemon.sip()).await?;
    let mut agent = call(&mut caller, daemon.sip(), Wire::accept_tcp(&ai)).await?;
    // A second call of the same caller takes the streams that are there.
    caller.ask("OPTIONS", &format!("sip:{}", daemon.sip()), 3, &format!("<sip:{}>", daemon.sip()), "").await?;
    ensure!(caller.final_response().await?.status() == Some(200));
    ensure!(tokio::time::timeout(Duration::from_millis(200), agent.hear()).await.is_err(), "nothing more was said");
    daemon.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_tls_both_ways_and_a_certificate_that_is_replaced() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = folder.path();
    let authority = Authority::new(at)?;
    let (own, ai) = (own_address(), TcpListener::bind((own_address(), 5091)).await?);
    authority.sign(at, "daemon", &own.to_string())?;
    authority.sign(at, "ai", &ai.local_addr()?.ip().to_string())?;
    let tls =
        format!("tls: {{ certificate: {0}/daemon.pem, private_key: {0}/daemon.key, ca: {0}/ca.pem }}", at.display());
    let files = files("\"udp:{ip}:5060\", \"tls:{ip}\"", &tls, ai.local_addr()?, "tls");
    let daemon = Daemon::start_at(own, &files).await?;
    let sips = SocketAddr::from((own, 5061));
    let mut caller = Wire::tls(sips, at).await?;
    call(&mut caller, sips, Wire::accept_tls(&ai, at, "ai")).await?;
    let first = caller.peer().context("a certificate")?.clone();

    authority.sign(at, "daemon", &own.to_string())?;
    daemon.signal(Signal::SIGHUP)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let next = Wire::tls(sips, at).await?;
        if next.peer().context("a certificate")? != &first {
            break;
        }
        ensure!(Instant::now() < deadline, "the new certificate is not shown; the log:\n{}", daemon.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The old connection goes on.
    caller.ask("OPTIONS", &format!("sip:{sips}"), 5, &format!("<sip:{sips}>"), "").await?;
    ensure!(caller.final_response().await?.status() == Some(200));

    // An AI whose certificate names somebody else is not called.
    authority.sign(at, "impostor", "impostor.example")?;
    let mut other = Wire::tls(sips, at).await?;
    let failed = call(&mut other, sips, Wire::accept_tls(&ai, at, "impostor")).await;
    ensure!(failed.is_err(), "somebody else's certificate was believed");
    let deadline = Instant::now() + Duration::from_secs(5);
    while !daemon.log().contains("NotValidForName") {
        ensure!(Instant::now() < deadline, "the log does not say why:\n{}", daemon.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    daemon.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_ipv6() -> Result<()> {
    let ai = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await?;
    let port = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await?.local_addr()?.port();
    let daemon_at = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    let listeners = format!("\"tcp:{daemon_at}\", \"udp:{{ip}}:5060\"");
    let mut files = files(&listeners, "unknown_sources: silent", ai.local_addr()?, "tcp");
    let address = format!("address: {}\n", ai.local_addr()?);
    files.configuration = files
        .configuration
        .replace("allowed: [127.0.0.0/8]", "allowed: [\"::1\"]")
        .replace(&address, "address: \"::1\"\n    transport: tcp\n")
        .replace("address: {ip}\n", "address: \"::1\"\n");
    let daemon = Daemon::start(&files).await?;
    let mut caller = Wire::tcp(daemon_at).await?;
    call(&mut caller, daemon_at, Wire::accept_tcp(&ai)).await?;
    daemon.stop().await?;
    Ok(())
}

/// Connects from an address of a test's own.
async fn connect_from(source: std::net::Ipv4Addr, to: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    Ok(socket.connect(to).await?)
}

/// A well-formed request with other headers in place of its Content-Length.
fn options(length: &str) -> String {
    format!(
        "OPTIONS sip:support@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5999;branch=z9hG4bKrow3\r\nMax-Forwards: 70\r\n\
         From: <sip:x@127.0.0.1>;tag=1\r\nTo: <sip:support@127.0.0.1>\r\nCall-ID: row3@x\r\nCSeq: 1 OPTIONS\r\n{length}\r\n"
    )
}

/// Everything that comes until the daemon closes.
async fn until_closed(stream: &mut TcpStream, within: Duration) -> Result<String> {
    let mut heard = Vec::new();
    match tokio::time::timeout(within, stream.read_to_end(&mut heard)).await.context("the stream stays open")? {
        Ok(_) => {}
        Err(error) => ensure!(error.kind() == std::io::ErrorKind::ConnectionReset, "{error}"),
    }
    Ok(String::from_utf8_lossy(&heard).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_lie_drip_stay_silent_or_come_by_the_thousand() -> Result<()> {
    let ai = TcpListener::bind((own_address(), 5090)).await?;
    let daemon =
        Daemon::start(&files("\"udp:{ip}:5060\", \"tcp:{ip}:5060\"", "dscp: 24", ai.local_addr()?, "tcp")).await?;
    let (sip, stranger) = (daemon.sip(), own_address());
    // Silent, and a header that never ends: both must be gone within 30 s.
    let began = Instant::now();
    let mut silent = connect_from(stranger, sip).await?;
    let mut endless = connect_from(stranger, sip).await?;
    endless.write_all(b"OPTIONS sip:support@127.0.0.1 SIP/2.0\r\nX: ").await?;
    let dripping = tokio::spawn(async move {
        while endless.write_all(b"x").await.is_ok() && began.elapsed() < Duration::from_secs(40) {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        began.elapsed()
    });

    for length in
        ["Content-Length: 4294967328\r\n", "Content-Length: -1\r\n", "Content-Length: 0\r\nContent-Length: 40\r\n", ""]
    {
        let mut stream = connect_from(stranger, sip).await?;
        stream.write_all(options(length).as_bytes()).await?;
        let _ = stream.write_all(options("Content-Length: 0\r\n").replace("row3", "smuggled").as_bytes()).await;
        let heard = until_closed(&mut stream, Duration::from_secs(5)).await?;
        ensure!(!heard.contains("200 OK") && !heard.contains("smuggled"), "{length:?} drew {heard}");
    }
    // A space before the colon hides nothing, and one byte a write is as good as one write.
    let mut slow = connect_from(stranger, sip).await?;
    slow.set_nodelay(true)?;
    for byte in format!("{}hello", options("Content-Length : 5\r\n")).bytes() {
        slow.write_all(&[byte]).await?;
    }
    let mut heard = vec![0; 2048];
    let count = tokio::time::timeout(Duration::from_secs(5), slow.read(&mut heard)).await.context("no answer")??;
    ensure!(heard[..count].starts_with(b"SIP/2.0 200"), "{}", String::from_utf8_lossy(&heard[..count]));

    // Five thousand from one address, in lots that the descriptors of this test allow; a trunk is served meanwhile.
    let flood = own_address();
    let mut open = 0;
    for lot in 0..10 {
        let mut held = Vec::new();
        for _ in 0..500 {
            held.push(connect_from(flood, sip).await?);
        }
        if lot == 0 {
            let mut caller = Wire::tcp(sip).await?;
            call(&mut caller, sip, Wire::accept_tcp(&ai)).await?;
        }
        for stream in &mut held {
            let mut byte = [0];
            if tokio::time::timeout(Duration::from_millis(20), stream.read(&mut byte)).await.is_err() {
                open += 1;
            }
        }
        if lot == 0 {
            ensure!((90..=100).contains(&open), "{open} of 500 connections of one source were kept");
        }
    }
    until_closed(&mut silent, Duration::from_secs(32)).await?;
    ensure!(began.elapsed() < Duration::from_secs(33), "{:?}", began.elapsed());
    let dripped = dripping.await?;
    ensure!(dripped < Duration::from_secs(33), "a header that never ends was listened to for {dripped:?}");
    let mut caller = Wire::tcp(sip).await?;
    caller.ask("OPTIONS", &format!("sip:{sip}"), 9, &format!("<sip:{sip}>"), "").await?;
    ensure!(caller.final_response().await?.status() == Some(200));
    daemon.stop().await?;
    Ok(())
}
