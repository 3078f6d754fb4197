//! A trunk that is asked by REFER to call the caller away (RFC 3515; pains, row 1): it refuses, says nothing, says failure, or does it. And
//! one that wants to know who calls through it, and shows a password of its own where it is asked for one (RFC 3261 section 22.2).

use super::{Agent, State, Timer, extensions::header, read};
use crate::trace::Read;
use md5::{Digest as _, Md5};
use std::{net::SocketAddr, rc::Rc};

/// What whoever was asked by REFER tells next.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A NOTIFY with this status; the last says that it is.
    Status { status: u16, last: bool },
    /// BYE.
    Leaves,
}

/// Who may call through a trunk.
pub(crate) const USERNAME: &str = "tandem";
pub(crate) const PASSWORD: &str = "canary";
const REALM: &str = "carrier";

impl Agent {
    pub(super) fn refer_came(&mut self, at: usize, from: SocketAddr, request: &Rc<Read>, leg: usize) {
        let status = |status, last| News::Status { status, last };
        let outcome = self.chance.pick(&[486, 503, 408, 603]);
        let (answer, news) = match self.chance.below(12) {
            0 => (603, vec![]),
            1 => (405, vec![]),
            // Nothing at all, not even an answer.
            2 => return,
            3 => (202, vec![]),
            4 => (202, vec![News::Leaves]),
            5 => (202, vec![status(100, false), status(outcome, true)]),
            6 => (202, vec![status(100, false), status(180, false), status(outcome, true)]),
            7 => (202, vec![status(200, true)]),
            8 => (200, vec![status(100, false), status(180, false), status(200, true)]),
            9 => (202, vec![status(100, true)]),
            _ => (202, vec![status(100, false), status(200, true), News::Leaves]),
        };
        self.respond(at, from, request, answer, None);
        self.legs[leg].extensions.news = news.into();
        self.news_later(leg);
    }

    fn news_later(&mut self, leg: usize) {
        if !self.legs[leg].extensions.news.is_empty() {
            let wait = self.chance.ms(20, 4_000);
            self.timers.set(Timer::News(leg), self.now + wait);
        }
    }

    pub(super) fn tell_news(&mut self, leg: usize) {
        if self.legs[leg].state != State::Up {
            return;
        }
        match self.legs[leg].extensions.news.pop_front() {
            None => return,
            Some(News::Leaves) => return self.bye(leg),
            Some(News::Status { status, last }) => {
                let mut notify = self.request(leg, "NOTIFY", None);
                let state = if last { "terminated;reason=noresource" } else { "active;expires=60" };
                notify.headers.extend([
                    header("Event", "refer"),
                    header("Subscription-State", state),
                    header("Content-Type", "message/sipfrag"),
                ]);
                notify.body = format!("SIP/2.0 {status} Told\r\n");
                let peer = self.legs[leg].peer;
                self.start_client(Some(leg), peer, read(&notify));
            }
        }
        self.news_later(leg);
    }

    /// Whether an INVITE is refused because it does not show who sends it. One in three calls is not asked.
    pub(super) fn is_challenged(&mut self, at: usize, from: SocketAddr, request: &Rc<Read>) -> bool {
        let Some(chance) = self.challenges.filter(|_| self.name == "trunk") else { return false };
        let shown = request.message.header("Authorization");
        let of_ours = |shown: &str| field(shown, "realm").as_deref() == Some(REALM) && answers(shown, request);
        let lawful = shown.is_some_and(of_ours);
        if lawful || shown.is_none() && !self.chance.percent(chance) {
            return false;
        }
        let nonce = format!("{:016x}", self.chance.word());
        let mut response = request.message.response(401, Some(&format!("{}-s", self.name)));
        let challenge = format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"");
        response.headers.push(header("WWW-Authenticate", &challenge));
        let packet = self.transmit(from, read(&response));
        self.servers[at].last = Some(packet);
        true
    }
}

impl Agent {
    /// Calls again with a password, where one was asked for by a digest that this party knows. False: it does not, or has shown it already.
    pub(super) fn show_password(&mut self, leg: usize, response: &Read) -> bool {
        let it = &self.legs[leg];
        let before = it.invite.message.header("Proxy-Authorization").is_some();
        let mut asked = response.message.values("Proxy-Authenticate");
        let Some(asked) = asked.find(|it| field(it, "algorithm").as_deref() == Some("MD5")).filter(|_| !before) else {
            return false;
        };
        let text = |name| field(asked, name).unwrap_or_default();
        let (realm, nonce) = (text("realm"), text("nonce"));
        let password = if it.manner.wrong_password { "budgie" } else { PASSWORD };
        let uri = it.invite.message.uri().unwrap_or_default().to_owned();
        let cnonce = self.name("n");
        let whose = hash(format!("{USERNAME}:{realm}:{password}"));
        let what = hash(format!("INVITE:{uri}"));
        let answer = hash(format!("{whose}:{nonce}:00000001:{cnonce}:auth:{what}"));
        let shown = format!(
            "Digest username=\"{USERNAME}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{answer}\", \
             algorithm=MD5, cnonce=\"{cnonce}\", qop=auth, nc=00000001"
        );
        self.call_again(leg, &[("Proxy-Authorization", &shown)]);
        true
    }
}

/// Whether a request shows the password that opens this realm (RFC 7616 section 3.4).
pub(crate) fn answers(shown: &str, request: &Read) -> bool {
    let text = |name| field(shown, name).unwrap_or_default();
    let whose = hash(format!("{USERNAME}:{}:{PASSWORD}", text("realm")));
    let what = hash(format!("{}:{}", request.method, text("uri")));
    let expected = match field(shown, "qop") {
        Some(qop) => format!("{whose}:{}:{}:{}:{qop}:{what}", text("nonce"), text("nc"), text("cnonce")),
        None => format!("{whose}:{}:{what}", text("nonce")),
    };
    text("username") == USERNAME && text("response") == hash(expected)
}

/// A parameter of a challenge, or of what answers one.
fn field(header: &str, name: &str) -> Option<String> {
    let fields = header.strip_prefix("Digest ")?.split(',');
    let mut pairs = fields.filter_map(|field| field.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.trim_matches('"').to_owned())
}

fn hash(text: String) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
