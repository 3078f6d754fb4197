//! Writing messages. Values with line ends or other control characters are refused, never cleaned.

use crate::{BuildError, Message, Method, Name, Via, scan, uri::host_ip};
use bytes::Bytes;
use std::{borrow::Cow, fmt::Write, net::SocketAddr};

/// A message being written, head first; [`Builder::build`] adds Content-Length and the body.
#[derive(Clone, Debug)]
pub struct Builder {
    text: Vec<u8>,
    error: Option<BuildError>,
    body: Bytes,
    content_type: Option<String>,
}

impl Builder {
    fn starting(line: std::fmt::Arguments<'_>) -> Self {
        let mut builder = Self { text: Vec::with_capacity(1024), error: None, body: Bytes::new(), content_type: None };
        // Writing into memory cannot fail unless the value itself refuses; then its text ends there.
        let _ = write!(Sink(&mut builder.text), "{line}");
        builder.end_of_start_line()
    }

    fn starting_as(line: &[&[u8]]) -> Self {
        let mut builder = Self { text: Vec::with_capacity(1024), error: None, body: Bytes::new(), content_type: None };
        for part in line {
            builder.text.extend_from_slice(part);
        }
        builder.end_of_start_line()
    }

    fn end_of_start_line(mut self) -> Self {
        if !is_clean(&self.text) {
            self.refuse("the start line");
        }
        self.text.extend_from_slice(b"\r\n");
        self
    }

    /// A request.
    pub fn request(method: Method, uri: &str) -> Self {
        let mut builder = Self::starting_as(&[method.text().as_bytes(), b" ", uri.as_bytes(), b" SIP/2.0"]);
        if crate::Uri::parse(uri.as_bytes()).is_none() {
            builder.error.get_or_insert_with(|| BuildError::Uri(uri.escape_debug().to_string()));
        }
        builder
    }

    /// A response to `request` with what RFC 3261 section 8.2.6.2 copies: every Via (the topmost with `received` and `rport` of where the
    /// request really came from, RFC 3581), From, To (with `tag`, where it has none), Call-ID, CSeq; Record-Route too where a
    /// dialog may begin (101 to 299).
    pub fn response(request: &Message, status: u16, reason: &str, source: SocketAddr, tag: Option<&str>) -> Self {
        let mut builder = Self::starting(format_args!("SIP/2.0 {status} {reason}"));
        let mut top = true;
        for header in request.headers() {
            match header.kind {
                Name::Via if top => {
                    top = false;
                    builder.received_via(header.value, source);
                }
                Name::To => {
                    builder.copy(header.name, header.value);
                    if let Some(tag) = tag.filter(|_| request.to().is_ok_and(|to| to.tag().is_none())) {
                        builder.text.truncate(builder.text.len() - 2);
                        for part in [";tag=", tag, "\r\n"] {
                            builder.text.extend_from_slice(part.as_bytes());
                        }
                    }
                }
                Name::Via | Name::From | Name::CallId | Name::CSeq => builder.copy(header.name, header.value),
                Name::RecordRoute if (101..300).contains(&status) => builder.copy(header.name, header.value),
                Name::Timestamp if status == 100 => builder.copy(header.name, header.value),
                _ => {}
            }
        }
        builder
    }

    /// A message as it stands, its body too, without the lines of some headers, to which others are then added. Taking one out and
    /// adding it replaces it.
    pub fn like(message: &Message, without: &[Name]) -> Self {
        let mut builder = Self::starting_as(&[message.start_line()]);
        for header in message.headers() {
            if header.kind != Name::ContentLength && !without.contains(&header.kind) {
                builder.copy(header.name, header.value);
            }
        }
        builder.body = message.body_bytes();
        builder
    }

    /// Puts a header line before all others, where a proxy's Via or Route goes.
    #[must_use]
    pub fn header_first(mut self, name: Name, value: impl std::fmt::Display) -> Self {
        let start = memchr::memmem::find(&self.text, b"\r\n").map_or(self.text.len(), |at| at + 2);
        let others = self.text.split_off(start);
        self = self.header(name, value);
        self.text.extend_from_slice(&others);
        self
    }

    /// The ACK of a final response that is no 2xx (RFC 3261 section 17.1.1.3).
    pub fn ack_of(invite: &Message, response: &Message) -> Self {
        let mut builder = Self::within(invite, Method::Ack);
        let to = response.header(Name::To).or(invite.header(Name::To)).unwrap_or_default().to_vec();
        builder.copy(b"To", &to);
        builder
    }

    /// The CANCEL of an INVITE (RFC 3261 section 9.1).
    pub fn cancel_of(invite: &Message) -> Self {
        let mut builder = Self::within(invite, Method::Cancel);
        let to = invite.header(Name::To).unwrap_or_default().to_vec();
        builder.copy(b"To", &to);
        builder
    }

    /// Everything of an INVITE that its hop-by-hop ACK and CANCEL share, To excepted.
    fn within(invite: &Message, method: Method) -> Self {
        let uri = invite.uri_bytes().unwrap_or_default();
        let mut builder = Self::starting_as(&[method.text().as_bytes(), b" ", uri, b" SIP/2.0"]);
        let via = invite.values(Name::Via).next().unwrap_or_default().to_vec();
        builder.copy(b"Via", &via);
        for header in invite.headers() {
            if matches!(header.kind, Name::From | Name::CallId | Name::Route | Name::MaxForwards) {
                builder.copy(header.name, header.value);
            }
        }
        let number = invite.cseq().map_or(0, |cseq| cseq.number);
        builder.header(Name::CSeq, format_args!("{number} {}", method.text()))
    }

    fn received_via(&mut self, line: &[u8], source: SocketAddr) {
        let end = scan::position_outside(line, b',').unwrap_or(line.len());
        let (first, others) = line.split_at(end);
        let mut text = Vec::with_capacity(line.len() + 40);
        let mut wants_port = false;
        for (at, part) in scan::outside(first, b';').enumerate() {
            if at > 0 {
                let name = part.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
                let is_port = name.eq_ignore_ascii_case(b"rport");
                wants_port |= is_port;
                if is_port || name.eq_ignore_ascii_case(b"received") {
                    continue;
                }
                text.push(b';');
            }
            text.extend_from_slice(part);
        }
        if let Some(via) = Via::parse(first.trim_ascii()) {
            if wants_port {
                let _ = write!(Sink(&mut text), ";rport={}", source.port());
            }
            if wants_port || host_ip(via.host) != Some(source.ip()) {
                let _ = write!(Sink(&mut text), ";received={}", source.ip());
            }
        }
        text.extend_from_slice(others);
        self.copy(b"Via", &text);
    }

    /// A line of another message as it was written there, folds included.
    fn copy(&mut self, name: &[u8], value: &[u8]) {
        // Folds and quoted pairs are a peer's good right; a line end that may be read in two ways is not.
        if scan::has_bare_line_end(value) || !scan::is_token(name) {
            self.refuse(&String::from_utf8_lossy(name));
            return;
        }
        self.line(name, value);
    }

    fn line(&mut self, name: &[u8], value: &[u8]) {
        for part in [name, b": ", value, b"\r\n"] {
            self.text.extend_from_slice(part);
        }
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(self, name: Name, value: impl std::fmt::Display) -> Self {
        self.header_named(name.text().unwrap_or_default(), value)
    }

    /// Adds a header line of any name.
    #[must_use]
    pub fn header_named(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        if !scan::is_token(name.as_bytes()) {
            self.error.get_or_insert_with(|| BuildError::Name(name.escape_debug().to_string()));
            return self;
        }
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b": ");
        let start = self.text.len();
        let mut sink = Sink(&mut self.text);
        // Writing into memory cannot fail unless the value itself refuses; then its text ends there.
        let _ = write!(sink, "{value}");
        if !is_clean(&self.text[start..]) {
            self.refuse(name);
        }
        self.text.extend_from_slice(b"\r\n");
        self
    }

    /// Adds a header line whose value is bytes, such as one copied from a peer.
    #[must_use]
    pub fn header_bytes(mut self, name: Name, value: &[u8]) -> Self {
        let text = name.text().unwrap_or_default();
        // Folds of the peer are white space to everybody else.
        let value = if value.contains(&b'\r') { Cow::Owned(unfold(value)) } else { Cow::Borrowed(value) };
        if !is_clean(&value) {
            self.refuse(text);
        }
        self.line(text.as_bytes(), &value);
        self
    }

    /// The body and its type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: Bytes) -> Self {
        self.content_type = Some(content_type.to_owned());
        self.body = body;
        self
    }

    fn refuse(&mut self, what: &str) {
        self.error.get_or_insert_with(|| BuildError::Control(what.escape_debug().to_string()));
    }

    /// The bytes to send.
    pub fn bytes(mut self) -> Result<Bytes, BuildError> {
        if let Some(content_type) = self.content_type.take() {
            self = self.header(Name::ContentType, content_type);
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut text = self.text;
        let _ = write!(Sink(&mut text), "Content-Length: {}\r\n\r\n", self.body.len());
        text.extend_from_slice(&self.body);
        Ok(text.into())
    }

    /// The message to send.
    pub fn build(self) -> Result<Message, BuildError> {
        let bytes = self.bytes()?;
        let limits = crate::Limits { message: usize::MAX, headers: usize::MAX, line: usize::MAX };
        // What is written above is a message by construction; only its start line can be wrong.
        Message::parse(bytes, &limits).map_err(|error| BuildError::Control(format!("the start line ({error})")))
    }
}

/// True for a value without control characters. The second set of them (U+0080 to U+009F) moves terminals as the first does.
fn is_clean(value: &[u8]) -> bool {
    !scan::any(value, |byte| (byte < b' ' && byte != b'\t') || byte == 0x7f)
        && !memchr::memchr_iter(0xc2, value).any(|at| value.get(at + 1).is_some_and(|next| (0x80..0xa0).contains(next)))
}

/// A value with its folds replaced by single spaces.
pub fn unfold(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = memchr::memmem::find(rest, b"\r\n") {
        out.extend_from_slice(rest[..at].trim_ascii_end());
        out.push(b' ');
        rest = rest[at + 2..].trim_ascii_start();
    }
    out.extend_from_slice(rest);
    out
}

struct Sink<'a>(&'a mut Vec<u8>);

impl Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
