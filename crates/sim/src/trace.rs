//! What was seen from outside: every SIP datagram that left and arrived, what the control API was told, and a hash over all of it.

use bytes::Bytes;
use clock::Monotonic;
use parties::message::Message;
use std::{
    fmt::Write,
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    rc::Rc,
};

/// A SIP message, taken apart by code that is not the daemon's.
#[derive(Clone, Debug)]
pub struct Read {
    /// As sent.
    pub bytes: Bytes,
    /// Its lines.
    pub message: Message,
    /// The method of a request; empty for a response.
    pub method: String,
    /// The status of a response; 0 for a request.
    pub status: u16,
    /// CSeq's number.
    pub cseq: u32,
    /// CSeq's method.
    pub cseq_method: String,
    /// The branch of the topmost Via.
    pub branch: String,
    /// Call-ID.
    pub call_id: String,
    /// From's tag.
    pub from_tag: String,
    /// To's tag; empty when there is none.
    pub to_tag: String,
}

impl Read {
    /// Reads one datagram; `None` when it is no SIP message.
    pub fn of(bytes: Bytes) -> Option<Self> {
        let message = Message::read(&bytes)?;
        let (cseq, cseq_method) = message.cseq().map(|(number, method)| (number, method.to_owned()))?;
        let text = |found: Option<&str>| found.unwrap_or_default().to_owned();
        Some(Self {
            method: text(message.method()),
            status: message.status().unwrap_or(0),
            cseq,
            cseq_method,
            branch: text(message.branch()),
            call_id: text(message.header("Call-ID")),
            from_tag: text(message.tag("From")),
            to_tag: text(message.tag("To")),
            message,
            bytes,
        })
    }

    /// True for a request of that method.
    pub fn is(&self, method: &str) -> bool {
        self.method == method
    }

    /// True for a response with a status from `low` up to, and without, `high` to a request of that method.
    pub fn answers(&self, method: &str, low: u16, high: u16) -> bool {
        (low..high).contains(&self.status) && self.cseq_method == method
    }

    /// True when it carries a session description.
    pub fn has_session(&self) -> bool {
        self.message.body.starts_with("v=0")
    }
}

/// Whether a datagram left or arrived.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// It left, and the network will deliver it at least once.
    Sent,
    /// It left, and the network lost it.
    Lost,
    /// It arrived.
    Arrived,
}

/// One datagram seen on the wire.
#[derive(Clone, Debug)]
pub struct Wire {
    /// When.
    pub at: Monotonic,
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// What became of it.
    pub way: Way,
    /// What it says.
    pub message: Rc<Read>,
}

/// Gathers a hash of everything that happens.
#[derive(Debug, Default)]
pub(crate) struct Fingerprint(DefaultHasher);

impl Fingerprint {
    pub(crate) fn wire(&mut self, wire: &Wire) {
        (wire.at, wire.from, wire.to, wire.way == Way::Arrived, &wire.message.bytes[..]).hash(&mut self.0);
    }

    pub(crate) fn bytes(&mut self, at: Monotonic, bytes: &[u8]) {
        (at, bytes).hash(&mut self.0);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.finish()
    }
}

/// The datagrams that left, and what the API was told, one line each, in order.
pub(crate) fn ladder(
    start: Monotonic,
    wire: &[Wire],
    told: &[(Monotonic, String)],
    names: &dyn Fn(SocketAddr) -> String,
) -> String {
    // What arrives in a moment is its cause, what is told comes next, what leaves is its effect.
    let mut lines: Vec<(Monotonic, u8, String)> = Vec::new();
    for it in wire {
        let arrow = match it.way {
            Way::Sent => "-->",
            Way::Lost => "--x",
            Way::Arrived => "  >",
        };
        let Read { message, call_id, cseq, cseq_method, to_tag, .. } = &*it.message;
        let session = if it.message.has_session() { " (SDP)" } else { "" };
        let tail = |text: &str| text.chars().rev().take(6).collect::<Vec<_>>().into_iter().rev().collect::<String>();
        let (from, to, line) = (names(it.from), names(it.to), &message.start);
        let mut text = String::new();
        let _ =
            write!(text, "{from:>8} {arrow} {to:<8} {line}{session}  [{cseq} {cseq_method}, call …{}", tail(call_id));
        if !to_tag.is_empty() {
            let _ = write!(text, ", to …{}", tail(to_tag));
        }
        text.push(']');
        lines.push((it.at, if it.way == Way::Arrived { 0 } else { 2 }, text));
    }
    lines.extend(told.iter().map(|(at, text)| (*at, 1, format!("         ###          {text}"))));
    lines.sort_by_key(|(at, order, _)| (*at, *order));
    let mut all = String::new();
    for (at, _, line) in lines {
        let ms = at.since(start).as_millis();
        let _ = writeln!(all, "{:>5}.{:03} {line}", ms / 1_000, ms % 1_000);
    }
    all
}
