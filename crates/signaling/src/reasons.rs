//! Reason phrases, and the Reason header (RFC 3326).

use crate::Reason;
use sip_codec::{Message, Name};

/// The standard phrase of a status.
pub(crate) const fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        199 => "Early Dialog Terminated",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        380 => "Alternative Service",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        433 => "Anonymity Disallowed",
        469 => "Bad Info Package",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        580 => "Precondition Failure",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        607 => "Unwanted",
        608 => "Rejected",
        _ => match status / 100 {
            1 => "Progress",
            2 => "OK",
            3 => "Redirection",
            5 => "Server Failure",
            6 => "Global Failure",
            _ => "Request Failure",
        },
    }
}

/// The header's value; `None` when the protocol is no token.
pub(crate) fn print(reason: &Reason) -> Option<String> {
    let protocol = &reason.protocol;
    if protocol.is_empty() || !protocol.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        return None;
    }
    let mut value = protocol.clone();
    if let Some(cause) = reason.cause {
        value.push_str(&format!(";cause={cause}"));
    }
    if let Some(text) = reason.text.as_deref().filter(|text| text.len() <= 256 && !text.chars().any(char::is_control)) {
        value.push_str(";text=\"");
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                value.push('\\');
            }
            value.push(c);
        }
        value.push('"');
    }
    Some(value)
}

/// The first Reason of a message.
pub(crate) fn read(message: &Message) -> Option<Reason> {
    let value = crate::message::text(message.values(Name::Reason).next()?);
    let (protocol, rest) = value.split_once(';').unwrap_or((&value, ""));
    let mut reason = Reason { protocol: protocol.trim().to_owned(), cause: None, text: None };
    if reason.protocol.is_empty() {
        return None;
    }
    let mut rest = rest;
    while !rest.is_empty() {
        let quoted = rest.find('"').filter(|quote| rest.find(';').is_none_or(|semicolon| *quote < semicolon));
        let end = match quoted {
            None => rest.find(';').unwrap_or(rest.len()),
            Some(open) => {
                let close = rest[open + 1..].find('"').map_or(rest.len(), |at| open + 1 + at);
                rest[close..].find(';').map_or(rest.len(), |at| close + at)
            }
        };
        if let Some((name, value)) = rest[..end].split_once('=') {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "cause" => reason.cause = value.parse().ok(),
                "text" => reason.text = Some(value.to_owned()),
                _ => {}
            }
        }
        rest = rest.get(end + 1..).unwrap_or("");
    }
    Some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use sip_codec::Limits;

    fn parsed(value: &str) -> Option<Reason> {
        let text = format!("BYE sip:a SIP/2.0\r\nReason: {value}\r\n\r\n");
        read(&Message::parse(Bytes::from(text), &Limits::default()).unwrap())
    }

    #[test]
    fn rfc3326_2_a_reason_is_read_and_printed() {
        let reason = parsed("Q.850 ;cause=16 ;text=\"a; b\"").unwrap();
        assert_eq!(reason, Reason { protocol: "Q.850".into(), cause: Some(16), text: Some("a; b".into()) });
        assert_eq!(print(&reason).unwrap(), "Q.850;cause=16;text=\"a; b\"");
        assert_eq!(parsed("SIP").unwrap(), Reason { protocol: "SIP".into(), cause: None, text: None });
        assert_eq!(parsed(";cause=1"), None);
    }

    #[test]
    fn what_no_header_can_hold_is_not_printed() {
        let reason =
            |protocol: &str, text: &str| Reason { protocol: protocol.into(), cause: Some(1), text: Some(text.into()) };
        assert_eq!(print(&reason("SIP\r\nX: y", "x")), None);
        assert_eq!(print(&reason("SIP", "x\r\nX: y")).unwrap(), "SIP;cause=1");
    }
}
