//! A party as an agent's phone: it registers and calls by digest, computed here and not by what is tested.

use crate::SOON;
use anyhow::{Context, Result};
use parties::{io::Party, message::Message};
use sha2::{Digest as _, Sha256};
use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// A user with a password, at a party's address.
#[derive(Debug)]
pub struct Phone<'a> {
    /// Whose socket it speaks from.
    pub party: &'a Party,
    /// The daemon.
    pub registrar: SocketAddr,
    /// The account.
    pub user: &'a str,
    /// Its password, or a guess.
    pub password: &'a str,
}

impl Phone<'_> {
    /// Registers the party's address for so many seconds; the final status, `None` for silence.
    pub async fn register(&self, seconds: u32) -> Result<Option<u16>> {
        let uri = format!("sip:{}", self.registrar.ip());
        self.with_digest("REGISTER", &uri, &format!("Expires: {seconds}\r\n")).await
    }

    /// Sends an INVITE to `user` of the daemon; the status of the first answer after the challenge, `None` for silence.
    pub async fn invite(&self, user: &str) -> Result<Option<u16>> {
        self.with_digest("INVITE", &format!("sip:{user}@{}", self.registrar), "").await
    }

    async fn with_digest(&self, method: &str, uri: &str, more: &str) -> Result<Option<u16>> {
        let Some(challenged) = self.ask(method, uri, more).await else { return Ok(None) };
        let (asks, answers) = match challenged.status() {
            Some(401) => ("WWW-Authenticate", "Authorization"),
            Some(407) => ("Proxy-Authenticate", "Proxy-Authorization"),
            other => return Ok(other),
        };
        let challenge = challenged.header(asks).context("a challenge without its header")?;
        let value = |name: &str| {
            let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        let (realm, nonce) = (value("realm").context("no realm")?, value("nonce").context("no nonce")?);
        let a1 = hex(&format!("{}:{realm}:{}", self.user, self.password));
        let a2 = hex(&format!("{method}:{uri}"));
        let response = hex(&format!("{a1}:{nonce}:00000001:c0ffee:auth:{a2}"));
        let more = format!(
            "{answers}: Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm=SHA-256, \
             response=\"{response}\", qop=auth, nc=00000001, cnonce=\"c0ffee\"\r\n{more}",
            self.user
        );
        Ok(self.ask(method, uri, &more).await.and_then(|answer| answer.status()))
    }

    /// Sends a request and waits for the first response.
    async fn ask(&self, method: &str, uri: &str, more: &str) -> Option<Message> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (user, own, domain) = (self.user, self.party.address(), self.registrar.ip());
        let to = if method == "REGISTER" { format!("sip:{user}@{domain}") } else { uri.to_owned() };
        let branch = format!("z9hG4bKphone{number}");
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch={branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{domain}>;tag=p{number}\r\nTo: <{to}>\r\nCall-ID: phone-{own}-{user}\r\nCSeq: {number} {method}\r\n\
             Contact: <sip:{user}@{own}>\r\nUser-Agent: a phone\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\n{more}Content-Length: 0\r\n\r\n",
        );
        self.party.send_raw(text.as_bytes(), self.registrar);
        let answer = async {
            loop {
                let trace = self.party.trace();
                let found = trace.iter().find(|traced| {
                    !traced.sent
                        && traced.message.status().is_some()
                        && traced.message.branch() == Some(branch.as_str())
                });
                if let Some(traced) = found {
                    return traced.message.clone();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON / 4, answer).await.ok()
    }
}

fn hex(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
