//! The session description among the parts of a body (RFC 2046 section 5.1, RFC 5621): carriers send others beside it.

use bytes::Bytes;
use sip_codec::Params;

/// Parts of a body; one with more is not understood.
const MOST: usize = 16;
/// Bytes of a boundary (RFC 2046 section 5.1.1).
const LONGEST_BOUNDARY: usize = 70;

/// The first part that is a session description. None when there is none, when another part says that it must be understood, and when
/// the body is not what its type says: no boundary, no part, none that closes it.
///
/// A part that says nothing of itself may be left aside: by the standard it may not, but what carriers put beside a session description
/// (ISUP, locations) rarely says so, and a refused call helps nobody.
pub(crate) fn session(content_type: &[u8], body: &Bytes) -> Option<Bytes> {
    let parameters = content_type.iter().position(|byte| *byte == b';').map(|at| Params::new(&content_type[at..]))?;
    let boundary = parameters.value(b"boundary").filter(|it| !it.is_empty() && it.len() <= LONGEST_BOUNDARY)?;
    let mut found = None;
    for (from, to) in parts(boundary, body)? {
        let part = &body[from..to];
        let (head, at) = match part.windows(4).position(|four| four == b"\r\n\r\n") {
            _ if part.starts_with(b"\r\n") => (&part[..0], 2),
            Some(end) => (&part[..end], end + 4),
            None => (part, part.len()),
        };
        let is = |name: &str, what: &str| header(head, name).is_some_and(|value| value.starts_with(what));
        let encoded = header(head, "content-transfer-encoding")
            .is_some_and(|how| !["7bit", "8bit", "binary"].contains(&how.as_str()));
        if is("content-type", "application/sdp") && !encoded && found.is_none() {
            found = Some(body.slice(from + at..to));
        } else if header(head, "content-disposition").is_some_and(|value| value.contains("handling=required")) {
            return None;
        }
    }
    found.filter(|session| !session.is_empty())
}

/// From where to where each part goes, without the line end that belongs to the boundary after it.
fn parts(boundary: &[u8], body: &[u8]) -> Option<Vec<(usize, usize)>> {
    let mut parts = Vec::new();
    let mut begun: Option<usize> = None;
    let mut at = 0;
    while at < body.len() {
        let end = body[at..].iter().position(|byte| *byte == b'\n').map_or(body.len(), |length| at + length + 1);
        let line = body[at..end].trim_ascii_end();
        let rest = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary));
        if let Some(rest) = rest.filter(|rest| rest.is_empty() || *rest == b"--") {
            if let Some(from) = begun {
                let to = body[..at].strip_suffix(b"\r\n").map_or(at, <[u8]>::len).max(from);
                parts.push((from, to));
            }
            if rest == b"--" || parts.len() > MOST {
                return (!parts.is_empty() && parts.len() <= MOST).then_some(parts);
            }
            begun = Some(end);
        }
        at = end;
    }
    None
}

/// The value of a part's header, in lower case.
fn header(head: &[u8], name: &str) -> Option<String> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (found, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
        let same = found.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        same.then(|| String::from_utf8_lossy(value[1..].trim_ascii()).to_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &[u8] = b"multipart/mixed;boundary=\"b1\"";

    fn found(body: &str) -> Option<String> {
        let body = Bytes::from(body.replace('\n', "\r\n"));
        session(TYPE, &body).map(|session| String::from_utf8(session.to_vec()).unwrap())
    }

    #[test]
    fn rfc5621_the_session_description_is_found_among_the_parts() {
        let sdp = "Content-Type: application/sdp\n\nv=0\ns=-\n";
        let isup = "Content-Type: application/isup;version=x\nContent-Disposition: signal;handling=optional\n\n--b\n";
        let expected = Some("v=0\r\ns=-".to_owned());
        assert_eq!(found(&format!("--b1\n{sdp}--b1--\n")), expected);
        assert_eq!(found(&format!("preamble\n--b1\n{isup}--b1 \n{sdp}--b1--")), expected);
        assert_eq!(found(&format!("--b1\n{sdp}--b1\n{isup}--b1--\nepilogue")), expected);
        assert_eq!(found(&format!("--b1\n\nplain\n--b1\n{sdp}--b1--")), expected);
    }

    #[test]
    fn faults_3_without_a_closing_boundary_or_without_parts_it_is_nothing() {
        let sdp = "Content-Type: application/sdp\n\nv=0\n";
        for broken in [
            String::new(),
            "--b1--\n".to_owned(),
            "--b1\n".to_owned(),
            format!("--b1\n{sdp}"),
            format!("--b1\n{sdp}--b1"),
            format!("--b2\n{sdp}--b2--"),
            "--b1\nContent-Type: application/sdp\n--b1--".to_owned(),
            "--b1\nContent-Type: application/sdp\n\n--b1--".to_owned(),
            "--b1\nContent-Type: text/plain\n\nhi\n--b1--".to_owned(),
            format!("--b1\n{}--b1--", format!("{sdp}--b1\n").repeat(40)),
        ] {
            assert_eq!(found(&broken), None, "{broken}");
        }
        for no_boundary in [&b"multipart/mixed"[..], b"multipart/mixed;boundary=", b"multipart/mixed;boundary=\"\""] {
            assert_eq!(session(no_boundary, &Bytes::from_static(b"--\r\n\r\n----")), None);
        }
    }

    #[test]
    fn rfc5621_3_a_part_that_must_be_understood_and_an_encoded_one_are_not_passed_over() {
        let must = "Content-Type: application/isup\nContent-Disposition: signal;handling=required\n\nx\n";
        assert_eq!(found(&format!("--b1\nContent-Type: application/sdp\n\nv=0\n--b1\n{must}--b1--")), None);
        let encoded = "Content-Type: application/sdp\nContent-Transfer-Encoding: base64\n\ndj0w\n";
        assert_eq!(found(&format!("--b1\n{encoded}--b1--")), None);
    }
}
