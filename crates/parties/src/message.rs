//! SIP and SDP as plain text, as far as a well-behaved party needs them: independent of the daemon's codec.

use crate::g711::Law;
use std::net::{IpAddr, SocketAddr};

/// A SIP message taken apart at its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The start line.
    pub start: String,
    /// Header fields in order, names as written.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Message {
    /// Reads one datagram; `None` when it has no start line, or a header without a colon.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let start = lines.next().filter(|line| line.contains("SIP/2.0"))?.to_owned();
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.starts_with([' ', '\t']) {
                let (_, value) = headers.last_mut()?;
                value.push(' ');
                value.push_str(line.trim());
            } else {
                let (name, value) = line.split_once(':')?;
                headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        Some(Self { start, headers, body: body.to_owned() })
    }

    /// The bytes to send; Content-Length is written here.
    pub fn write(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!("Content-Length: {}\r\n\r\n{}", self.body.len(), self.body);
        text.into_bytes()
    }

    /// The request's method.
    pub fn method(&self) -> Option<&str> {
        self.start.split(' ').next().filter(|word| *word != "SIP/2.0")
    }

    /// The response's status.
    pub fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.split(' ').next()?.parse().ok()
    }

    /// The request's URI.
    pub fn uri(&self) -> Option<&str> {
        self.method().and_then(|_| self.start.split(' ').nth(1))
    }

    /// The first value of a header, by its long name in any case; compact forms are found too.
    pub fn header<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name).next()
    }

    /// Every line of a header.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let compact = match name.to_ascii_lowercase().as_str() {
            "via" => "v",
            "from" => "f",
            "to" => "t",
            "call-id" => "i",
            "contact" => "m",
            "content-type" => "c",
            _ => name,
        };
        let same = move |found: &str| found.eq_ignore_ascii_case(name) || found.eq_ignore_ascii_case(compact);
        self.headers.iter().filter(move |(found, _)| same(found)).map(|(_, value)| value.as_str())
    }

    /// Number and method of CSeq.
    pub fn cseq(&self) -> Option<(u32, &str)> {
        let (number, method) = self.header("CSeq")?.split_once(' ')?;
        Some((number.trim().parse().ok()?, method.trim()))
    }

    /// The tag of From or To.
    pub fn tag<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        parameter(self.header(name)?, "tag")
    }

    /// What tells it from the other requests of its dialog, and its responses from theirs: number and method of CSeq.
    pub fn key(&self) -> (u32, String) {
        self.cseq().map_or((0, String::new()), |(number, method)| (number, method.to_owned()))
    }

    /// Takes a session description as its body.
    pub fn describe(&mut self, description: &Description, version: u64) {
        self.headers.push(("Content-Type".to_owned(), "application/sdp".to_owned()));
        self.body = description.write(version);
    }

    /// A response to this request, with the headers that RFC 3261 section 8.2.6.2 copies; `tag` goes to the To that has none.
    pub fn response(&self, status: u16, tag: Option<&str>) -> Self {
        let mut headers = Vec::new();
        for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
            for value in self.values(name) {
                let mut value = value.to_owned();
                if name == "To" && status > 100 && self.tag("To").is_none() {
                    value += &tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
                }
                headers.push((name.to_owned(), value));
            }
        }
        Self { start: format!("SIP/2.0 {status} {}", phrase(status)), headers, body: String::new() }
    }

    /// The CANCEL of this INVITE (RFC 3261 section 9.1).
    pub fn cancel(&self) -> Self {
        let kept = ["Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Route"];
        let headers = self.headers.iter().filter(|(name, _)| kept.contains(&name.as_str()));
        let headers = headers.map(|(name, value)| match name.as_str() {
            "CSeq" => (name.clone(), value.replace("INVITE", "CANCEL")),
            _ => (name.clone(), value.clone()),
        });
        Self { start: self.start.replacen("INVITE", "CANCEL", 1), headers: headers.collect(), body: String::new() }
    }

    /// The ACK of this refusal of an INVITE to `uri` (RFC 3261 section 17.1.1.3).
    pub fn ack_of_refusal(&self, uri: &str) -> Self {
        let mut headers = Vec::new();
        for name in ["Via", "From", "To", "Call-ID"] {
            headers.extend(self.header(name).map(|value| (name.to_owned(), value.to_owned())));
        }
        headers.push(("CSeq".to_owned(), format!("{} ACK", self.cseq().map_or(0, |(number, _)| number))));
        headers.push(("Max-Forwards".to_owned(), "70".to_owned()));
        Self { start: format!("ACK {uri} SIP/2.0"), headers, body: String::new() }
    }

    /// The branch of the topmost Via.
    pub fn branch(&self) -> Option<&str> {
        parameter(self.header("Via")?.split(',').next()?, "branch")
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        404 => "Not Found",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Party Says So",
    }
}

/// A header's parameter after its last `>`.
fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let parameters = value.rsplit('>').next()?;
    parameters.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The URI of a name-addr or addr-spec, without its header parameters.
pub fn uri_of(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or(rest),
        None => value.split(';').next().unwrap_or(value).trim(),
    }
}

/// Host and port of a SIP URI whose host is an IP address; the port is 5060 when absent.
pub fn address_of(uri: &str) -> Option<SocketAddr> {
    let rest = uri.strip_prefix("sip:")?;
    let rest = rest.rsplit('@').next()?;
    let host = rest.split([';', '?', '>']).next()?;
    host.parse().ok().or_else(|| Some(SocketAddr::new(host.trim_matches(['[', ']']).parse().ok()?, 5060)))
}

/// A session description with one audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Where its sender wants RTP.
    pub rtp: SocketAddr,
    /// The laws it lists, in order, each with its payload type.
    pub laws: Vec<(Law, u8)>,
    /// The payload type of telephone-events.
    pub telephone_event: Option<u8>,
    /// `sendrecv`, `sendonly`, `recvonly` or `inactive`.
    pub direction: &'static str,
}

impl Description {
    /// What a party at `rtp` offers or answers.
    pub fn of(rtp: SocketAddr, laws: &[Law], direction: &'static str) -> Self {
        let laws = laws.iter().map(|law| (*law, law.payload_type())).collect();
        Self { rtp, laws, telephone_event: Some(101), direction }
    }

    /// Reads the audio stream of a body; `None` when there is none, or it is refused by port 0.
    pub fn read(body: &str) -> Option<Self> {
        let mut address: Option<IpAddr> = None;
        let (mut port, mut listed, mut names) = (None, Vec::new(), Vec::new());
        let mut direction = "sendrecv";
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("c=IN IP") {
                address = rest.split(' ').nth(1)?.parse().ok();
            } else if let Some(rest) = line.strip_prefix("m=audio ") {
                let mut words = rest.split(' ');
                port = words.next()?.parse::<u16>().ok();
                listed = words.skip(1).filter_map(|word| word.parse::<u8>().ok()).collect();
            } else if let Some(rest) = line.strip_prefix("a=rtpmap:") {
                let (number, name) = rest.split_once(' ')?;
                names.push((number.parse::<u8>().ok()?, name.to_ascii_uppercase()));
            } else if let Some(found) =
                ["sendrecv", "sendonly", "recvonly", "inactive"].into_iter().find(|word| line == format!("a={word}"))
            {
                direction = found;
            }
        }
        let name = |number: u8| names.iter().find(|(known, _)| *known == number).map(|(_, name)| name.as_str());
        let law = |number: u8| match (number, name(number)) {
            (0, None) => Some(Law::Mu),
            (8, None) => Some(Law::A),
            (_, Some(name)) if name.starts_with("PCMU/8000") => Some(Law::Mu),
            (_, Some(name)) if name.starts_with("PCMA/8000") => Some(Law::A),
            _ => None,
        };
        Some(Self {
            rtp: SocketAddr::new(address?, port.filter(|port| *port != 0)?),
            laws: listed.iter().filter_map(|number| Some((law(*number)?, *number))).collect(),
            telephone_event: listed
                .iter()
                .copied()
                .find(|number| name(*number).is_some_and(|name| name.starts_with("TELEPHONE-EVENT/8000"))),
            direction,
        })
    }

    /// The body to send.
    pub fn write(&self, version: u64) -> String {
        let family = if self.rtp.is_ipv4() { 4 } else { 6 };
        let ip = self.rtp.ip();
        let mut numbers: Vec<String> = self.laws.iter().map(|(_, number)| number.to_string()).collect();
        numbers.extend(self.telephone_event.map(|number| number.to_string()));
        let mut body = format!(
            "v=0\r\no=party 1 {version} IN IP{family} {ip}\r\ns=-\r\nc=IN IP{family} {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP {}\r\n",
            self.rtp.port(),
            numbers.join(" ")
        );
        for (law, number) in &self.laws {
            body += &format!("a=rtpmap:{number} {}/8000\r\n", if *law == Law::Mu { "PCMU" } else { "PCMA" });
        }
        if let Some(number) = self.telephone_event {
            body += &format!("a=rtpmap:{number} telephone-event/8000\r\na=fmtp:{number} 0-15\r\n");
        }
        body + &format!("a=ptime:20\r\na={}\r\n", self.direction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_is_written() {
        let text = "SIP/2.0 200 OK\r\nv: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nTo: \"A;tag=no\" <sip:a@b;x=1>;tag=yes\r\n\
                    CSeq: 7 INVITE\r\nSubject: one\r\n two\r\n\r\nbody";
        let message = Message::read(text.as_bytes()).expect("a message");
        assert_eq!((message.status(), message.method()), (Some(200), None));
        assert_eq!((message.tag("To"), message.branch()), (Some("yes"), Some("z9hG4bK1")));
        assert_eq!((message.cseq(), message.header("subject")), (Some((7, "INVITE")), Some("one two")));
        let again = Message::read(&message.write()).expect("a message");
        assert_eq!((again.header("Content-Length"), again.body.as_str()), (Some("4"), "body"));
        assert_eq!(Message::read(b"nonsense"), None);
        assert_eq!(uri_of("\"X\" <sip:x@1.2.3.4:5>;tag=1"), "sip:x@1.2.3.4:5");
        assert_eq!(address_of("sip:x@1.2.3.4:5;lr"), "1.2.3.4:5".parse().ok());
        assert_eq!(address_of("sip:[::1]"), "[::1]:5060".parse().ok());
    }

    #[test]
    fn a_description_comes_back_as_it_went_out() {
        let description =
            Description::of("127.0.0.1:4000".parse().expect("an address"), &[Law::A, Law::Mu], "sendonly");
        assert_eq!(Description::read(&description.write(1)), Some(description));
        assert_eq!(Description::read("v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 0 RTP/AVP 0\r\n"), None);
        let bare = Description::read(
            "v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 6 RTP/AVP 8 0 97\r\na=rtpmap:97 telephone-event/8000\r\n",
        );
        let bare = bare.expect("a description");
        assert_eq!((bare.laws, bare.telephone_event), (vec![(Law::A, 8), (Law::Mu, 0)], Some(97)));
    }
}
