//! What a request asks of its server, checked in the order of RFC 3261 section 8.2.

use crate::{Core, HeaderError, Message, Method, Name};

/// What the server can do.
#[derive(Copy, Clone, Debug)]
pub struct Abilities<'a> {
    /// Methods it serves.
    pub methods: &'a [Method],
    /// Option tags it understands in Require.
    pub extensions: &'a [&'a str],
    /// Media types of bodies it understands, such as `application/sdp`.
    pub bodies: &'a [&'a str],
    /// True when it takes `tel:` as request URI besides `sip:` and `sips:`.
    pub tel: bool,
}

/// Why a request is refused, with the headers that the status owes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The reason phrase, or what is wrong with the message.
    pub reason: String,
    /// Headers that go with it: Allow, Unsupported, Accept, Accept-Encoding.
    pub headers: Vec<(Name, String)>,
}

impl Message {
    /// Reads the core of a request and checks that it can be served: 400 or 505 by [`Message::core`], 501 or 405 by method, 416 by
    /// scheme, 420 by Require, 415 by body. An ACK is never refused with a response, and Require in ACK and CANCEL means nothing.
    ///
    /// ```
    /// use sip_codec::{Abilities, Limits, Message, Method};
    /// let text = "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n\
    ///     To: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";
    /// let request = Message::parse(text.into(), &Limits::default()).unwrap();
    /// let able = Abilities { methods: &[Method::Options], extensions: &[], bodies: &["application/sdp"], tel: true };
    /// assert_eq!(request.inspect(&able).unwrap_err().status, 416);
    /// ```
    pub fn inspect(&self, able: &Abilities<'_>) -> Result<Core<'_>, Refusal> {
        let core = self.core().map_err(|flaw| Refusal::of(&flaw))?;
        let method = self.method().ok_or_else(|| Refusal::new(400, "Not A Request"))?;
        if !able.methods.contains(&method) {
            let allow = able.methods.iter().map(|method| method.text()).collect::<Vec<_>>().join(", ");
            return Err(match method {
                Method::Other => Refusal::new(501, "Not Implemented"),
                _ => Refusal::new(405, "Method Not Allowed"),
            }
            .with(Name::Allow, allow));
        }
        let uri = self.uri().map_err(|flaw| Refusal::of(&flaw))?;
        let served = uri.is_sip() || (able.tel && uri.is_tel());
        if !served {
            return Err(Refusal::new(416, "Unsupported URI Scheme"));
        }
        if !matches!(method, Method::Ack | Method::Cancel) {
            let missing: Vec<_> = self.unsupported(able.extensions).map(String::from_utf8_lossy).collect();
            if !missing.is_empty() {
                return Err(Refusal::new(420, "Bad Extension").with(Name::Unsupported, missing.join(", ")));
            }
        }
        if !self.body().is_empty() {
            self.inspect_body(able)?;
        }
        Ok(core)
    }

    /// The option tags of Require that are not among the supported ones.
    pub fn unsupported<'a>(&'a self, supported: &[&str]) -> impl Iterator<Item = &'a [u8]> {
        self.values(Name::Require)
            .filter(|tag| !supported.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(tag)))
    }

    /// True when the sender takes bodies of this media type in a response (RFC 3261 section 20.1); without Accept that is SDP alone.
    pub fn accepts(&self, essence: &str) -> bool {
        if self.header(Name::Accept).is_none() {
            return essence.eq_ignore_ascii_case("application/sdp");
        }
        self.values(Name::Accept).filter_map(crate::MediaType::parse).any(|accepted| accepted.covers(essence))
    }

    fn inspect_body(&self, able: &Abilities<'_>) -> Result<(), Refusal> {
        let encoded = self.values(Name::ContentEncoding).any(|coding| !coding.eq_ignore_ascii_case(b"identity"));
        if encoded {
            return Err(Refusal::new(415, "Unsupported Media Type").with(Name::AcceptEncoding, "identity".to_owned()));
        }
        let kind = self.content_type().map_err(|flaw| Refusal::of(&flaw))?;
        let kind = kind.ok_or_else(|| Refusal::of(&HeaderError::Missing(Name::ContentType)))?;
        // A body that may be ignored is no reason to refuse (RFC 3261 section 20.11).
        let optional = self.header(Name::ContentDisposition).is_some_and(|value| {
            crate::Params::new(&value[memchr::memchr(b';', value).unwrap_or(value.len())..])
                .value(b"handling")
                .is_some_and(|handling| handling.eq_ignore_ascii_case(b"optional"))
        });
        if optional || able.bodies.iter().any(|known| kind.is(known)) {
            return Ok(());
        }
        Err(Refusal::new(415, "Unsupported Media Type").with(Name::Accept, able.bodies.join(", ")))
    }
}

impl Refusal {
    fn new(status: u16, reason: &str) -> Self {
        Self { status, reason: reason.to_owned(), headers: Vec::new() }
    }

    fn of(flaw: &HeaderError) -> Self {
        match flaw {
            HeaderError::Version => Self::new(505, "Version Not Supported"),
            flaw => Self::new(flaw.status(), &format!("Bad Request ({flaw})")),
        }
    }

    fn with(mut self, name: Name, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}
