//! Every message we write is written here, by the codec's builder, which refuses what a header cannot hold.

use crate::{Config, Listener, Party, Transport, context::Context, legs::Expires, message::Request, reasons};
use bytes::Bytes;
use sip_codec::{Builder, Message, Method, Name, Uri};
use std::{borrow::Cow, net::SocketAddr};

/// The methods we take.
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY";
/// The extensions we know (RFC 3262, RFC 3891, RFC 4488), without and with session timers (RFC 4028).
const EXTENSIONS: [&str; 2] = ["100rel, replaces, norefersub", "100rel, replaces, norefersub, timer"];
const SDP: &str = "application/sdp";
const SIPFRAG: &str = "message/sipfrag;version=2.0";

/// The option tags of Supported.
pub(crate) fn supported(config: &Config) -> &'static str {
    EXTENSIONS[usize::from(config.session_timer.enabled)]
}

/// True for an option tag that a peer may require of us.
pub(crate) fn is_supported(config: &Config, tag: &[u8]) -> bool {
    supported(config).split(", ").any(|known| known.as_bytes().eq_ignore_ascii_case(tag))
}

/// What a request is made of, beside what only it has; enough to make its ACK and its CANCEL.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) method: Method,
    pub(crate) uri: String,
    pub(crate) branch: String,
    pub(crate) transport: Transport,
    pub(crate) sent_by: SocketAddr,
    pub(crate) routes: Vec<Bytes>,
    pub(crate) from: Bytes,
    pub(crate) to: Bytes,
    pub(crate) call_id: Bytes,
    pub(crate) cseq: u32,
    pub(crate) max_forwards: u8,
}

/// What a request has beside its parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras<'a> {
    /// Whose Contact, for requests that make or refresh a target; they tell what we take as well.
    pub(crate) contact: Option<&'a str>,
    pub(crate) credentials: &'a [(&'static str, String)],
    pub(crate) reason: Option<&'a crate::Reason>,
    pub(crate) headers: &'a [(String, String)],
    /// Session timers (RFC 4028).
    pub(crate) expires: Option<Expires>,
    /// The numbers of RAck: the provisional response's and its INVITE's (RFC 3262).
    pub(crate) rack: Option<(u32, u32)>,
    pub(crate) session: Option<Bytes>,
    /// The body of a NOTIFY (RFC 3420).
    pub(crate) fragment: Option<Bytes>,
}

impl Parts {
    fn begin(&self) -> Builder {
        let transport = self.transport.name();
        let mut builder = Builder::request(self.method, &self.uri)
            .header(Name::Via, format_args!("SIP/2.0/{} {};branch={};rport", transport, self.sent_by, self.branch))
            .header(Name::MaxForwards, self.max_forwards);
        for route in &self.routes {
            builder = builder.header_bytes(Name::Route, route);
        }
        builder
            .header_bytes(Name::From, &self.from)
            .header_bytes(Name::To, &self.to)
            .header_bytes(Name::CallId, &self.call_id)
            .header(Name::CSeq, format_args!("{} {}", self.cseq, self.method.text()))
    }

    /// The CANCEL of this INVITE (9.1).
    pub(crate) fn cancel(&self) -> Self {
        Self { method: Method::Cancel, ..self.clone() }
    }
}

/// A whole request.
pub(crate) fn request(config: &Config, parts: &Parts, extras: Extras<'_>) -> Option<Bytes> {
    let mut builder = parts.begin();
    if let Some(contact) = extras.contact {
        builder = builder.header(Name::Contact, contact).header(Name::Allow, ALLOW);
    }
    if let Some(expires) = extras.expires {
        builder = expires.write(builder);
    }
    if let Some((rseq, cseq)) = extras.rack {
        builder = builder.header(Name::RAck, format_args!("{rseq} {cseq} INVITE"));
    }
    // What a REGISTER supports is its own affair (RFC 3327).
    if extras.contact.is_some() && parts.method != Method::Register {
        builder = builder.header(Name::Supported, supported(config));
    }
    for (name, value) in extras.credentials {
        builder = builder.header_named(name, value);
    }
    if let Some(reason) = extras.reason.and_then(reasons::print) {
        builder = builder.header(Name::Reason, reason);
    }
    for (name, value) in extras.headers {
        builder = builder.header_named(name, value);
    }
    if !config.user_agent.is_empty() {
        builder = builder.header(Name::UserAgent, &config.user_agent);
    }
    if let Some(session) = extras.session {
        builder = builder.body(SDP, session);
    }
    if let Some(fragment) = extras.fragment {
        builder = builder.body(SIPFRAG, fragment);
    }
    finish(builder)
}

/// The ACK to a refusal (17.1.1.3).
pub(crate) fn ack_to_refusal(invite: &Parts, response: &Message) -> Option<Bytes> {
    let to = Bytes::copy_from_slice(response.header(Name::To)?);
    finish(Parts { method: Method::Ack, to, ..invite.clone() }.begin())
}

/// A response.
#[derive(Debug, Default)]
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    pub(crate) phrase: Option<&'a str>,
    pub(crate) to_tag: Option<&'a str>,
    pub(crate) contact: Option<&'a str>,
    pub(crate) own: Vec<(Name, Cow<'a, str>)>,
    pub(crate) headers: &'a [(String, String)],
    /// Session timers (RFC 4028).
    pub(crate) expires: Option<Expires>,
    /// The number of a provisional response that is sent reliably (RFC 3262).
    pub(crate) rseq: Option<u32>,
    pub(crate) session: Option<Bytes>,
}

impl<'a> Response<'a> {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn tagged(status: u16, tag: &'a str) -> Self {
        Self { status, to_tag: Some(tag), ..Self::default() }
    }

    pub(crate) fn with(mut self, name: Name, value: impl Into<Cow<'a, str>>) -> Self {
        self.own.push((name, value.into()));
        self
    }
}

/// A whole response to a request.
pub(crate) fn response(config: &Config, request: &Request, response: &Response<'_>) -> Option<Bytes> {
    let phrase = response.phrase.unwrap_or_else(|| reasons::phrase(response.status));
    let tag = response.to_tag.filter(|_| request.to_tag().is_none());
    let mut builder = Builder::response(&request.message, response.status, phrase, request.flow.remote, tag);
    if let Some(contact) = response.contact {
        builder = builder.header(Name::Contact, contact);
        // Who may send UPDATE before the answer must know that we take it (RFC 3311 section 5.1).
        if response.status >= 200 || response.rseq.is_some() {
            builder = builder.header(Name::Allow, ALLOW).header(Name::Supported, supported(config));
        }
    }
    if let Some(expires) = response.expires {
        builder = expires.write(builder);
    }
    if let Some(rseq) = response.rseq {
        builder = builder.header(Name::Require, "100rel").header(Name::RSeq, rseq);
    }
    for (name, value) in &response.own {
        builder = builder.header(*name, value);
    }
    for (name, value) in response.headers {
        builder = builder.header_named(name, value);
    }
    if !config.user_agent.is_empty() && response.status != 100 {
        builder = builder.header(Name::Server, &config.user_agent);
    }
    if let Some(session) = &response.session {
        builder = builder.body(SDP, session.clone());
    }
    finish(builder)
}

/// A response to a message that is not worth a transaction: broken, unknown, or one too many.
pub(crate) fn bare_response(message: &Message, source: SocketAddr, response: &Response<'_>) -> Option<Bytes> {
    let phrase = response.phrase.unwrap_or_else(|| reasons::phrase(response.status));
    let mut builder = Builder::response(message, response.status, phrase, source, response.to_tag);
    for (name, value) in &response.own {
        builder = builder.header(*name, value);
    }
    finish(builder)
}

fn finish(builder: Builder) -> Option<Bytes> {
    match builder.bytes() {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            tracing::warn!(%error, "a message could not be written");
            None
        }
    }
}

/// The headers of call control that a message may hold: names that are not ours, values that a header can hold.
pub(crate) fn addable(cx: &mut Context, headers: Vec<(String, String)>) -> Vec<(String, String)> {
    let limits = cx.config.limits;
    let before = headers.len();
    let mut headers = headers;
    headers.retain(|(name, value)| {
        let token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b));
        let fits = value.len() <= limits.header_value && !value.chars().any(char::is_control);
        token && fits && !is_ours(Name::of(name.as_bytes()))
    });
    headers.truncate(limits.added_headers);
    let left_out = before - headers.len();
    if left_out > 0 {
        cx.counters.headers_left_out += left_out as u64;
        tracing::warn!(left_out, "headers that no message can hold were left out");
    }
    headers
}

/// Names that call control may not write.
fn is_ours(name: Name) -> bool {
    matches!(
        name,
        Name::Via
            | Name::From
            | Name::To
            | Name::CallId
            | Name::CSeq
            | Name::MaxForwards
            | Name::RecordRoute
            | Name::Route
            | Name::ContentType
            | Name::ContentLength
            | Name::ContentEncoding
            | Name::Require
            | Name::ProxyRequire
            | Name::Supported
            | Name::Allow
            | Name::ReferTo
            | Name::Event
            | Name::WwwAuthenticate
            | Name::ProxyAuthenticate
            | Name::Authorization
            | Name::ProxyAuthorization
            | Name::RSeq
            | Name::RAck
            | Name::SessionExpires
            | Name::MinSe
    )
}

/// From or To of a request of ours; `None` when the URI is none.
pub(crate) fn address(party: &Party, otherwise: &str, tag: Option<&str>) -> Option<Bytes> {
    let uri = if party.uri.is_empty() { otherwise } else { &party.uri };
    Uri::parse(uri.as_bytes())?;
    let mut text = String::with_capacity(uri.len() + party.display.len() + 48);
    if !party.display.is_empty() {
        if party.display.chars().any(char::is_control) {
            return None;
        }
        text.push('"');
        for c in party.display.chars() {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push_str("\" ");
    }
    text.push('<');
    text.push_str(uri);
    text.push('>');
    if let Some(tag) = tag {
        text.push_str(";tag=");
        text.push_str(tag);
    }
    Some(text.into())
}

/// Our Contact at a listener. A dialog that a `sips:` URI opened has one as well (12.1.1); else the URI says its transport.
pub(crate) fn contact(listener: Listener, secure: bool) -> String {
    match listener.transport {
        _ if secure => format!("<sips:{}>", listener.advertised),
        Transport::Udp => format!("<sip:{}>", listener.advertised),
        stream => format!("<sip:{};transport={stream}>", listener.advertised),
    }
}

/// A display name and a URI as call control sees them.
pub(crate) fn party(message: &Message, name: Name) -> Party {
    let found = if name == Name::From { message.from() } else { message.to() };
    found.map_or_else(
        |_| Party::default(),
        |address| Party {
            display: unescaped(&crate::message::text(address.display)),
            uri: crate::message::text(address.uri.text),
        },
    )
}

/// A quoted string's content without its backslashes, and without the control characters that may hide behind them: a name is shown
/// and sent on.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let c = if c == '\\' { chars.next() } else { Some(c) };
        plain.extend(c.filter(|c| !c.is_control()));
    }
    plain
}
