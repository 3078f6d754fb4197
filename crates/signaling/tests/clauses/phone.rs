//! A phone that a test plays: its REGISTERs, and the digest that it computes for itself.

use crate::world::{World, a, config};
use sha2::{Digest as _, Sha256};
use signaling::{Account, Config, Reach, Registration};
use std::{fmt::Write as _, net::SocketAddr, time::Duration};

pub(crate) const PASSWORD: &str = "canary";

/// Where no trunk is.
pub(crate) fn home() -> SocketAddr {
    "203.0.113.5:5060".parse().unwrap()
}

pub(crate) fn registration() -> Registration {
    let account =
        |username: &str, max_contacts| Account { username: username.into(), password: PASSWORD.into(), max_contacts };
    Registration {
        domains: vec!["desk.example".into()],
        realm: "desk.example".into(),
        digests: signaling::Digests::Both,
        nonce_lifetime: Duration::from_secs(300),
        expires_min: Duration::from_secs(60),
        expires_max: Duration::from_secs(600),
        reach: Reach::Auto,
        accounts: vec![account("anna", 2), account("ben", 4)],
    }
}

/// A core where phones may register, and a phone at home.
pub(crate) fn desk() -> World {
    with(registration())
}

pub(crate) fn with(registration: Registration) -> World {
    World::with(1, [Config { registration: Some(registration), ..config(a()) }])
}

/// A phone at one address.
#[derive(Clone)]
pub(crate) struct Phone {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) source: SocketAddr,
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
    pub(crate) algorithm: &'static str,
}

impl Phone {
    pub(crate) fn new(user: &str) -> Self {
        Self {
            user: user.into(),
            password: PASSWORD.into(),
            source: home(),
            call_id: format!("registrations-of-{user}"),
            cseq: 0,
            algorithm: "SHA-256",
        }
    }

    pub(crate) fn contact(&self) -> String {
        format!("<sip:{}@{}>", self.user, self.source)
    }

    /// A REGISTER as this phone would write it, with the next number.
    pub(crate) fn request(&mut self, more: &str) -> String {
        self.cseq += 1;
        let Self { user, source, call_id, cseq, .. } = self;
        format!(
            "REGISTER sip:desk.example SIP/2.0\n\
             Via: SIP/2.0/UDP {source};branch=z9hG4bK-{call_id}-{cseq};rport\n\
             Max-Forwards: 70\n\
             From: <sip:{user}@desk.example>;tag=f1\n\
             To: <sip:{user}@desk.example>\n\
             Call-ID: {call_id}\n\
             CSeq: {cseq} REGISTER\n\
             User-Agent: a phone of a test that has a name as long as phones have\n\
             Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, REFER, NOTIFY, SUBSCRIBE, INFO, MESSAGE, UPDATE\n\
             {more}Content-Length: 0\n\n"
        )
    }

    /// Sends a REGISTER, answers its challenge, and returns the last answer.
    pub(crate) fn register(&mut self, world: &mut World, more: &str) -> String {
        let challenged = self.ask(world, more);
        if !challenged.starts_with("SIP/2.0 401") {
            return challenged;
        }
        let authorization = self.authorization(&challenged, "REGISTER", "sip:desk.example", 1);
        self.ask(world, &format!("Authorization: {authorization}\n{more}"))
    }

    /// Sends a REGISTER and returns what came back; empty when nothing did.
    pub(crate) fn ask(&mut self, world: &mut World, more: &str) -> String {
        let request = self.request(more);
        world.say_from(self.source, &request).pop().unwrap_or_default()
    }

    /// Registers its one contact for so long.
    pub(crate) fn online(&mut self, world: &mut World, seconds: u32) -> String {
        let contact = self.contact();
        self.register(world, &format!("Contact: {contact};expires={seconds}\n"))
    }

    /// What answers a challenge, computed here and not by what is tested.
    pub(crate) fn authorization(&self, challenged: &str, method: &str, uri: &str, count: u32) -> String {
        let challenge = challenges(challenged)
            .into_iter()
            .find(|challenge| challenge.contains(&format!("algorithm={},", self.algorithm)))
            .unwrap_or_else(|| panic!("no challenge for {}: {challenged}", self.algorithm));
        let (realm, nonce) = (parameter(&challenge, "realm"), parameter(&challenge, "nonce"));
        let digest = |text: String| match self.algorithm {
            "MD5" => hex(&md5::Md5::digest(text)),
            _ => hex(&Sha256::digest(text)),
        };
        let a1 = digest(format!("{}:{realm}:{}", self.user, self.password));
        let a2 = digest(format!("{method}:{uri}"));
        let response = digest(format!("{a1}:{nonce}:{count:08x}:0a4f113b:auth:{a2}"));
        format!(
            "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm={}, qop=auth, nc={count:08x}, cnonce=\"0a4f113b\"",
            self.user, self.algorithm
        )
    }
}

pub(crate) fn challenges(message: &str) -> Vec<String> {
    let named = |line: &&str| line.starts_with("WWW-Authenticate:") || line.starts_with("Proxy-Authenticate:");
    message.lines().filter(named).map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
}

/// A quoted parameter's value.
pub(crate) fn parameter<'a>(challenge: &'a str, name: &str) -> &'a str {
    let (_, rest) = challenge.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name} in {challenge}"));
    rest.split_once('"').unwrap().0
}

/// The values of all Contacts of a response.
pub(crate) fn contacts(message: &str) -> Vec<String> {
    message.lines().filter_map(|line| line.strip_prefix("Contact: ")).map(str::to_owned).collect()
}

/// The account's contacts as they were last told.
pub(crate) fn told(world: &World, account: &str) -> Vec<String> {
    let last = world.contacts.iter().rev().find(|(name, _)| name == account);
    last.map(|(_, contacts)| contacts.iter().map(|contact| contact.uri.clone()).collect()).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
