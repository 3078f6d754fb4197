//! A message over one buffer of bytes.

use crate::{
    Challenge, FrameError, HeaderError, Limits, MediaType, Method, Name, NameAddr, ParseError, Uri, Via,
    framing::{agreed_length, length},
    scan,
};
use bytes::{Buf, Bytes};
use std::ops::Range;

/// A SIP message: one buffer, and where its parts lie in it. Cloning is cheap; an unchanged message prints as the bytes it came in.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Bytes,
    start: Start,
    headers: Vec<Header>,
    body: Span,
    flaw: Option<HeaderError>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

#[derive(Copy, Clone, Debug)]
enum Start {
    Request { method: Method, token: Span, uri: Span, version: bool },
    Response { status: u16, reason: Span, version: bool },
}

#[derive(Copy, Clone, Debug)]
struct Header {
    name: Name,
    written: Span,
    value: Span,
    line: Span,
}

/// A header line as it stands in a message.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct RawHeader<'a> {
    /// What the name means.
    pub kind: Name,
    /// The name as written.
    pub name: &'a [u8],
    /// The value as written, folds included, without white space around it.
    pub value: &'a [u8],
}

/// CSeq.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The number.
    pub number: u32,
    /// The method's meaning.
    pub method: Method,
    /// The method as written.
    pub token: &'a [u8],
}

/// The headers that every message must have (RFC 3261 section 8.1.1), read once.
#[derive(Clone, Debug)]
pub struct Core<'a> {
    /// The topmost Via.
    pub via: Via<'a>,
    /// From.
    pub from: NameAddr<'a>,
    /// To.
    pub to: NameAddr<'a>,
    /// Call-ID.
    pub call_id: &'a [u8],
    /// CSeq.
    pub cseq: CSeq<'a>,
    /// Max-Forwards, where it is present.
    pub max_forwards: Option<u8>,
}

impl Message {
    /// Reads one datagram or one frame. Over UDP a missing Content-Length means "to the end", and what follows the body is ignored
    /// (RFC 3261 section 18.3). Broken headers do not fail here: their typed views and [`Message::core`] do, so that a 400 can be
    /// answered.
    pub fn parse(bytes: Bytes, limits: &Limits) -> Result<Self, ParseError> {
        if bytes.len() > limits.message {
            return Err(FrameError::TooLong(limits.message).into());
        }
        let bytes = without_keepalive(bytes);
        let (mut message, head) = Self::read(bytes, limits, false)?;
        let rest = message.bytes.len() - head;
        let length = match agreed_length(message.raw(Name::ContentLength)) {
            Ok(declared) => declared.unwrap_or(rest),
            // What it says cannot be known, so nothing is taken for the next message and nothing for a body.
            Err(_) => {
                message.flaw.get_or_insert(HeaderError::Malformed(Name::ContentLength, "expected one number of bytes"));
                0
            }
        };
        if length > rest {
            message.flaw.get_or_insert(HeaderError::Truncated);
        }
        message.body = Span::of(head, length.min(rest));
        let end = message.body.end as usize;
        message.bytes.truncate(end);
        Ok(message)
    }

    /// What can be read of a request that [`Message::parse`] refuses: one that is answered with [`ParseError::status`], if it is
    /// answerable at all. It has no body, and its [`Message::core`] always fails.
    pub fn salvage(mut bytes: Bytes, limits: &Limits) -> Option<Self> {
        bytes.truncate(limits.message);
        let bytes = without_keepalive(bytes);
        let limits = Limits { headers: limits.headers, line: usize::MAX, message: 0 };
        let (mut message, head) = Self::read(bytes, &limits, true).ok()?;
        message.body = Span::of(head, 0);
        message.flaw = Some(HeaderError::Salvaged);
        message.is_answerable().then_some(message)
    }

    /// True for a request, no ACK, with everything of which a response is made (RFC 3261 section 8.2.6.2), however it is written.
    /// Where its topmost Via cannot be read, the answer goes where the request came from.
    pub fn is_answerable(&self) -> bool {
        let there = |name| self.header(name).is_some_and(|value| !value.is_empty());
        self.method().is_some_and(|method| method != Method::Ack)
            && [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq].into_iter().all(there)
    }

    /// Start line and headers, and the length of both with the blank line.
    fn read(bytes: Bytes, limits: &Limits, salvage: bool) -> Result<(Self, usize), ParseError> {
        let origin = bytes.as_ptr() as usize;
        let span = |part: &[u8]| Span::of(part.as_ptr() as usize - origin, part.len());
        let mut flaw = None;
        let mut lines = scan::lines(&bytes);
        let first = lines.next().ok_or(ParseError::StartLine)?;
        if first.len() > limits.line {
            return Err(ParseError::LineTooLong(limits.line));
        }
        let trimmed = first.trim_ascii_end();
        let start = start_line(first, span);
        let start = match start {
            Some(start) => start,
            None => {
                flaw = flaw.or(Some(HeaderError::StartLine));
                start_line(trimmed, span).ok_or(ParseError::StartLine)?
            }
        };
        let mut headers = Vec::with_capacity(32);
        for line in lines.by_ref() {
            if headers.len() == limits.headers {
                if salvage {
                    break;
                }
                return Err(ParseError::TooManyHeaders(limits.headers));
            }
            if line.len() > limits.line {
                return Err(ParseError::LineTooLong(limits.line));
            }
            // A line without a colon is kept as a header without a value: nothing is lost, and nothing is found in it.
            let (written, value) = scan::split(line).unwrap_or((line, &line[line.len()..]));
            let name = Name::of(written);
            if name == Name::Other && (written.len() == line.len() || !scan::is_token(written)) {
                flaw = flaw.or(Some(HeaderError::Line));
            }
            headers.push(Header { name, written: span(written), value: span(value), line: span(line) });
        }
        // A line end that may be read in two ways makes every other reading doubtful, so it is named first.
        let flaw = if lines.has_bare_line_end() { Some(HeaderError::LineEnd) } else { flaw };
        let head = match lines.end {
            Some(head) => head,
            None if salvage => bytes.len(),
            None => return Err(ParseError::NoEnd),
        };
        Ok((Self { bytes, start, headers, body: Span::of(head, 0), flaw }, head))
    }

    /// The whole message as it stands on the wire.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The start line as written.
    pub fn start_line(&self) -> &[u8] {
        memchr::memmem::find(&self.bytes, b"\r\n").map_or(&self.bytes[..], |end| &self.bytes[..end])
    }

    /// True for a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The request's method.
    pub fn method(&self) -> Option<Method> {
        match self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The request's method as written.
    pub fn method_token(&self) -> Option<&[u8]> {
        match self.start {
            Start::Request { token, .. } => Some(self.at(token)),
            Start::Response { .. } => None,
        }
    }

    /// The request URI as written.
    pub fn uri_bytes(&self) -> Option<&[u8]> {
        match self.start {
            Start::Request { uri, .. } => Some(self.at(uri)),
            Start::Response { .. } => None,
        }
    }

    /// The request URI.
    pub fn uri(&self) -> Result<Uri<'_>, HeaderError> {
        self.uri_bytes().and_then(Uri::parse).ok_or(HeaderError::RequestUri)
    }

    /// The response's status.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Response { status, .. } => Some(status),
            Start::Request { .. } => None,
        }
    }

    /// The response's reason phrase.
    pub fn reason(&self) -> Option<&[u8]> {
        match self.start {
            Start::Response { reason, .. } => Some(self.at(reason)),
            Start::Request { .. } => None,
        }
    }

    /// True for SIP/2.0.
    pub fn is_version_2(&self) -> bool {
        match self.start {
            Start::Request { version, .. } | Start::Response { version, .. } => version,
        }
    }

    /// Every header line, in order.
    pub fn headers(&self) -> impl Iterator<Item = RawHeader<'_>> {
        self.headers.iter().map(|header| RawHeader {
            kind: header.name,
            name: self.at(header.written),
            value: self.at(header.value),
        })
    }

    /// Whole lines, as written, of one header.
    pub fn lines(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().filter(move |header| header.name == name).map(|header| self.at(header.line))
    }

    /// The first line's value of a header.
    pub fn header(&self, name: Name) -> Option<&[u8]> {
        self.raw(name).next()
    }

    /// The first value of a header by its name as text, in any case.
    pub fn header_named(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|header| header.name.eq_ignore_ascii_case(name.as_bytes())).map(|header| header.value)
    }

    /// Every line's value of a header, as written.
    pub fn raw(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().filter(move |header| header.name == name).map(|header| self.at(header.value))
    }

    /// Every value of a header over all its lines, split at commas outside of quotes and angle brackets.
    pub fn values(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.raw(name)
            .flat_map(|line| scan::outside(line, b','))
            .map(<[u8]>::trim_ascii)
            .filter(|value| !value.is_empty())
    }

    /// The topmost Via.
    pub fn top_via(&self) -> Result<Via<'_>, HeaderError> {
        let value = self.values(Name::Via).next().ok_or(HeaderError::Missing(Name::Via))?;
        Via::parse(value).ok_or(HeaderError::Malformed(Name::Via, "expected SIP/2.0/TRANSPORT host;branch=..."))
    }

    /// From.
    pub fn from(&self) -> Result<NameAddr<'_>, HeaderError> {
        self.address(Name::From)
    }

    /// To.
    pub fn to(&self) -> Result<NameAddr<'_>, HeaderError> {
        self.address(Name::To)
    }

    fn address(&self, name: Name) -> Result<NameAddr<'_>, HeaderError> {
        let value = self.single(name)?;
        NameAddr::parse(value).ok_or(HeaderError::Malformed(name, "expected a URI or <URI> with parameters"))
    }

    /// The one value of a header that may stand only once.
    fn single(&self, name: Name) -> Result<&[u8], HeaderError> {
        let mut all = self.raw(name);
        let value = all.next().ok_or(HeaderError::Missing(name))?;
        if all.next().is_some() { Err(HeaderError::Repeated(name)) } else { Ok(value) }
    }

    /// The Contacts.
    pub fn contacts(&self) -> impl Iterator<Item = Result<NameAddr<'_>, HeaderError>> {
        self.addresses(Name::Contact)
    }

    /// The addresses of a header such as Route or Record-Route, in order.
    pub fn addresses(&self, name: Name) -> impl Iterator<Item = Result<NameAddr<'_>, HeaderError>> {
        self.values(name)
            .map(move |value| NameAddr::parse(value).ok_or(HeaderError::Malformed(name, "expected addresses")))
    }

    /// Call-ID.
    pub fn call_id(&self) -> Result<&[u8], HeaderError> {
        let value = self.single(Name::CallId)?;
        let wrong = value.is_empty() || scan::any(value, |byte| byte.is_ascii_whitespace());
        if wrong { Err(HeaderError::Malformed(Name::CallId, "expected one word")) } else { Ok(value) }
    }

    /// CSeq.
    pub fn cseq(&self) -> Result<CSeq<'_>, HeaderError> {
        let value = self.single(Name::CSeq)?;
        let wrong = HeaderError::Malformed(Name::CSeq, "expected a number below 2^31 and a method");
        let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (number, token) = (words.next().ok_or(wrong)?, words.next().ok_or(wrong)?);
        let number =
            length(number).ok().and_then(|number| u32::try_from(number).ok()).or_else(|| large(number)).ok_or(wrong)?;
        if !scan::is_token(token) || words.next().is_some() || number >= 1 << 31 {
            return Err(wrong);
        }
        Ok(CSeq { number, method: Method::of(token), token })
    }

    /// Max-Forwards, where present: 0 to 255.
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        match self.number(Name::MaxForwards)?.map(u8::try_from) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => Err(HeaderError::Malformed(Name::MaxForwards, "expected a number up to 255")),
        }
    }

    /// Expires, where present, in seconds; values above 2^32 are cut there (RFC 4475 section 3.1.2.5).
    pub fn expires(&self) -> Result<Option<u32>, HeaderError> {
        self.number(Name::Expires)
    }

    /// Retry-After in seconds, its comment and parameters left aside.
    pub fn retry_after(&self) -> Option<u32> {
        let value = self.header(Name::RetryAfter)?;
        let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
        saturated(&value[..digits])
    }

    fn number(&self, name: Name) -> Result<Option<u32>, HeaderError> {
        if self.header(name).is_none() {
            return Ok(None);
        }
        let value = self.single(name)?;
        saturated(value).map(Some).ok_or(HeaderError::Malformed(name, "expected a number"))
    }

    /// The challenges of WWW-Authenticate and Proxy-Authenticate. Digest parameters contain commas, so each line is one challenge.
    pub fn challenges(&self, name: Name) -> impl Iterator<Item = Challenge<'_>> {
        self.raw(name).filter_map(Challenge::parse)
    }

    /// Content-Type, where present.
    pub fn content_type(&self) -> Result<Option<MediaType<'_>>, HeaderError> {
        if self.header(Name::ContentType).is_none() {
            return Ok(None);
        }
        let wrong = HeaderError::Malformed(Name::ContentType, "expected type/subtype with parameters");
        MediaType::parse(self.single(Name::ContentType)?).map(Some).ok_or(wrong)
    }

    /// Checks and reads what every message must have, and that nothing in its head is open to two readings. For a request the flaw's
    /// [`HeaderError::status`] answers it; a response with a flaw is dropped.
    pub fn core(&self) -> Result<Core<'_>, HeaderError> {
        if !self.is_version_2() {
            return Err(HeaderError::Version);
        }
        if let Some(flaw) = self.flaw {
            return Err(flaw);
        }
        let core = Core {
            via: self.top_via()?,
            from: self.from()?,
            to: self.to()?,
            call_id: self.call_id()?,
            cseq: self.cseq()?,
            max_forwards: self.max_forwards()?,
        };
        if let Start::Request { token, .. } = self.start {
            if self.at(token) != core.cseq.token {
                return Err(HeaderError::MethodMismatch);
            }
            // Headers belong into a URI that makes a request, not into the request (RFC 3261 section 19.1.1).
            if !self.uri()?.headers.is_empty() {
                return Err(HeaderError::RequestUri);
            }
            if let Some(flaw) =
                self.contacts().find_map(Result::err).filter(|_| self.header(Name::Contact) != Some(b"*"))
            {
                return Err(flaw);
            }
        }
        Ok(core)
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.at(self.body)
    }

    /// The body, sharing the message's buffer.
    pub fn body_bytes(&self) -> Bytes {
        self.bytes.slice(self.body.range())
    }

    fn at(&self, span: Span) -> &[u8] {
        &self.bytes[span.range()]
    }
}

impl Span {
    #[expect(clippy::cast_possible_truncation, reason = "messages are far below 4 GiB by their limit")]
    fn of(start: usize, length: usize) -> Self {
        Self { start: start as u32, end: (start + length) as u32 }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Line ends before a message are keep-alives (RFC 3261 section 7.5).
fn without_keepalive(mut bytes: Bytes) -> Bytes {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    bytes.advance(blank);
    bytes
}

fn start_line(line: &[u8], span: impl Fn(&[u8]) -> Span) -> Option<Start> {
    if line.len() > 8 && line[..4].eq_ignore_ascii_case(b"SIP/") {
        let space = memchr::memchr(b' ', line)?;
        let version = line[..space].eq_ignore_ascii_case(b"SIP/2.0");
        let rest = &line[space + 1..];
        let digits = rest.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        let reason = match rest.get(3) {
            None => &rest[3..],
            Some(b' ') => &rest[4..],
            Some(_) => return None,
        };
        let status = digits.iter().fold(0u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        return (100..700).contains(&status).then(|| Start::Response { status, reason: span(reason), version });
    }
    let (first, last) = (memchr::memchr(b' ', line)?, memchr::memrchr(b' ', line)?);
    let (token, uri, version) = (&line[..first], line.get(first + 1..last)?, &line[last + 1..]);
    if !scan::is_token(token) || version.len() < 4 || !version[..4].eq_ignore_ascii_case(b"SIP/") {
        return None;
    }
    let version = version.eq_ignore_ascii_case(b"SIP/2.0");
    Some(Start::Request { method: Method::of(token), token: span(token), uri: span(uri), version })
}

/// Ten digits that fit.
fn large(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

/// A number of any length, cut at the largest that fits.
fn saturated(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0u32, |sum, digit| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0'))))
}
