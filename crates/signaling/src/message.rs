//! A request as the room sees it: the message, where it came from, where its responses go, and its names in our tables.

use crate::{Flow, multipart, transaction::Key};
use bytes::Bytes;
use sip_codec::{Message, Method, Name, Via, unfold};
use std::net::SocketAddr;

/// A request whose core headers have been checked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) message: Message,
    pub(crate) method: Method,
    /// Which way it came.
    pub(crate) flow: Flow,
    /// Where responses go (RFC 3261 section 18.2.2, RFC 3581).
    pub(crate) reply_to: Flow,
    pub(crate) cseq: u32,
    pub(crate) max_forwards: Option<u8>,
    /// Whose credentials it brought, once they were found right.
    pub(crate) account: Option<String>,
    /// The trunk whose password it showed.
    pub(crate) gate: Option<String>,
    key: Key,
    sender_tag: Option<Bytes>,
    to_tag: Option<Bytes>,
}

/// A request whose core headers cannot be read.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) message: Message,
    /// What answers it.
    pub(crate) status: u16,
    pub(crate) why: String,
}

impl Request {
    /// Reads what the room needs.
    pub(crate) fn read(message: Message, flow: Flow) -> Result<Self, Box<Broken>> {
        let core = match message.core() {
            Ok(core) => core,
            Err(error) => {
                let (status, why) = (error.status(), error.to_string());
                return Err(Box::new(Broken { message, status, why }));
            }
        };
        let method = core.cseq.method;
        let (cseq, max_forwards) = (core.cseq.number, core.max_forwards);
        let shared = |tag: Option<&[u8]>| tag.map(|tag| message.as_bytes().slice_ref(tag));
        let (sender_tag, to_tag) = (shared(core.from.tag()), shared(core.to.tag()));
        let reply_to = reply_to(&core.via, flow);
        // RFC 3261 section 17.2.3: branch and sent-by; without the cookie, what RFC 2543 compared.
        let mut key = Key::new();
        key.extend_from_slice(match method {
            Method::Invite | Method::Ack => b"INVITE",
            _ => core.cseq.token,
        });
        key.push(0);
        match core.via.transaction_branch() {
            Some(branch) => key.extend(branch.iter().map(u8::to_ascii_lowercase)),
            None => {
                key.extend_from_slice(message.uri_bytes().unwrap_or_default());
                key.push(0);
                key.extend_from_slice(sender_tag.as_deref().unwrap_or_default());
                key.push(0);
                key.extend_from_slice(core.call_id);
                key.push(0);
                key.extend_from_slice(&core.cseq.number.to_be_bytes());
                key.extend_from_slice(core.via.branch().unwrap_or_default());
            }
        }
        key.push(0);
        key.extend(core.via.host.iter().map(u8::to_ascii_lowercase));
        key.extend_from_slice(&core.via.port.unwrap_or(5060).to_be_bytes());
        Ok(Self {
            message,
            method,
            flow,
            reply_to,
            cseq,
            max_forwards,
            account: None,
            gate: None,
            key,
            sender_tag,
            to_tag,
        })
    }

    /// The same request at another time of reading: what a response is made from.
    pub(crate) fn is_ack(&self) -> bool {
        self.method == Method::Ack
    }

    pub(crate) fn is_invite(&self) -> bool {
        self.method == Method::Invite
    }

    /// For counters.
    pub(crate) fn method_name(&self) -> &'static str {
        method_name(self.method)
    }

    /// Its transaction's name.
    pub(crate) fn transaction_key(&self) -> &Key {
        &self.key
    }

    /// The name of the transaction of the INVITE that this CANCEL means.
    pub(crate) fn invite_key(&self) -> Key {
        let mut key = Key::from_slice(b"INVITE");
        key.extend_from_slice(self.key.get(b"CANCEL".len()..).unwrap_or_default());
        key
    }

    /// Its name whichever way it came (8.2.2.2), for requests outside of a dialog.
    pub(crate) fn merge_key(&self) -> Option<Key> {
        if self.to_tag().is_some() || matches!(self.method, Method::Cancel | Method::Ack) {
            return None;
        }
        let mut key = Key::new();
        key.extend_from_slice(self.message.method_token().unwrap_or_default());
        key.push(0);
        key.extend_from_slice(self.call_id());
        key.push(0);
        key.extend_from_slice(self.sender_tag().unwrap_or_default());
        key.push(0);
        key.extend_from_slice(&self.cseq.to_be_bytes());
        Some(key)
    }

    pub(crate) fn call_id(&self) -> &[u8] {
        self.message.header(Name::CallId).unwrap_or_default()
    }

    pub(crate) fn sender_tag(&self) -> Option<&[u8]> {
        self.sender_tag.as_deref()
    }

    pub(crate) fn to_tag(&self) -> Option<&[u8]> {
        self.to_tag.as_deref()
    }

    /// The body as a session description. `Err` when it is something else that must be understood (415).
    pub(crate) fn session(&self) -> Result<Option<Bytes>, ()> {
        session(&self.message)
    }
}

/// Where responses to what came by `flow` go: back over its connection, and where that is gone to a new one to the address it
/// came from and the port of sent-by (18.2.2); a datagram's to where it came from, when asked (RFC 3581).
pub(crate) fn reply_to(via: &Via<'_>, flow: Flow) -> Flow {
    if !flow.transport.is_reliable() && via.has_rport() {
        return flow;
    }
    let port = via.port.unwrap_or(flow.transport.default_port());
    Flow { remote: SocketAddr::new(flow.remote.ip(), port), ..flow }
}

/// A body that is a session description; absent when there is no body, or one that may be ignored.
pub(crate) fn session(message: &Message) -> Result<Option<Bytes>, ()> {
    if message.body().is_empty() {
        return Ok(None);
    }
    let optional = message
        .header(Name::ContentDisposition)
        .is_some_and(|value| value.to_ascii_lowercase().windows(17).any(|part| part == b"handling=optional"));
    let encoded = message.header(Name::ContentEncoding).is_some_and(|value| !value.eq_ignore_ascii_case(b"identity"));
    let content_type = content_type(message);
    let found = match content_type.as_str() {
        _ if encoded => None,
        "application/sdp" => Some(message.body_bytes()),
        several if several.starts_with("multipart/") => {
            multipart::session(message.header(Name::ContentType).unwrap_or_default(), &message.body_bytes())
        }
        _ => None,
    };
    match (found, optional) {
        (Some(session), _) => Ok(Some(session)),
        (None, true) => Ok(None),
        (None, false) => Err(()),
    }
}

/// The type of the body in lower case, without parameters.
pub(crate) fn content_type(message: &Message) -> String {
    let value = message.header(Name::ContentType).unwrap_or_default();
    let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
    text(value[..end].trim_ascii()).to_ascii_lowercase()
}

/// A header's value for people and for records: folds are spaces, what is not UTF-8 is replaced.
pub(crate) fn text(value: &[u8]) -> String {
    if value.contains(&b'\n') {
        return String::from_utf8_lossy(&unfold(value)).into_owned();
    }
    String::from_utf8_lossy(value).into_owned()
}

/// The headers that call control may see.
pub(crate) fn passed(message: &Message, names: &[String]) -> Vec<(String, String)> {
    message
        .headers()
        .filter(|header| {
            let name = header.name;
            let extension = name.len() > 2 && name[..2].eq_ignore_ascii_case(b"x-");
            extension || names.iter().any(|known| is_named(header.kind, name, known))
        })
        .map(|header| (text(header.name), text(header.value)))
        .collect()
}

/// A compact form is its long form.
fn is_named(kind: Name, written: &[u8], known: &str) -> bool {
    written.eq_ignore_ascii_case(known.as_bytes()) || kind.text().is_some_and(|text| text.eq_ignore_ascii_case(known))
}

pub(crate) fn method_name(method: Method) -> &'static str {
    if method == Method::Other { "other" } else { method.text() }
}
