//! Finding line ends, folds, commas and parameters in bytes.

use memchr::{Memchr2, memchr, memchr_iter, memchr2_iter};

/// The length of the head, blank line included, if it is complete.
pub(crate) fn head(bytes: &[u8]) -> Option<usize> {
    memchr_iter(b'\n', bytes)
        .find(|at| bytes[at + 1..].starts_with(b"\r\n") && *at > 0 && bytes[at - 1] == b'\r')
        .map(|at| at + 3)
}

/// Logical lines of a head: the start line, then one item a header, folds included, without the line end.
pub(crate) fn lines(head: &[u8]) -> Lines<'_> {
    Lines { head, ends: memchr2_iter(b'\r', b'\n', head), begun: 0, bare: false }
}

pub(crate) struct Lines<'a> {
    head: &'a [u8],
    ends: Memchr2<'a>,
    begun: usize,
    /// A carriage return or a line feed stood alone, as in [`has_bare_line_end`], in what was read so far.
    pub(crate) bare: bool,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (head, begun) = (self.head, self.begun);
        if begun >= head.len() {
            return None;
        }
        while let Some(at) = self.ends.next() {
            if head[at] == b'\n' || head.get(at + 1) != Some(&b'\n') {
                self.bare = true;
                continue;
            }
            // The line feed of this pair.
            let _ = self.ends.next();
            if at == begun {
                self.begun = head.len();
                return None;
            }
            if !matches!(head.get(at + 2), Some(b' ' | b'\t')) {
                self.begun = at + 2;
                return Some(&head[begun..at]);
            }
        }
        self.begun = head.len();
        Some(&head[begun..])
    }
}

/// A header line's name and value: white space around the colon belongs to neither.
pub(crate) fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr(b':', line)?;
    Some((line[..colon].trim_ascii_end(), line[colon + 1..].trim_ascii()))
}

/// Splits at a byte that stands outside of quotes and angle brackets.
pub(crate) fn outside(value: &[u8], separator: u8) -> Outside<'_> {
    Outside { rest: Some(value), separator }
}

pub(crate) struct Outside<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Iterator for Outside<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        match position_outside(rest, self.separator) {
            Some(at) => {
                self.rest = Some(&rest[at + 1..]);
                Some(&rest[..at])
            }
            None => self.rest.take(),
        }
    }
}

/// The first place of a byte outside of quotes and angle brackets.
#[inline]
pub(crate) fn position_outside(value: &[u8], wanted: u8) -> Option<usize> {
    let first = value.iter().position(|byte| *byte == wanted)?;
    // Without quotes and brackets before it, the first one is it: so it is in nearly every header.
    if any(&value[..first], |byte| byte == b'"' || byte == b'<') { position_walking(value, wanted) } else { Some(first) }
}

/// The same, with an eye on every quote and bracket.
fn position_walking(value: &[u8], wanted: u8) -> Option<usize> {
    let (mut quoted, mut escaped, mut angled) = (false, false, false);
    for (at, byte) in value.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' if !angled => quoted = !quoted,
            b'<' if !quoted => {
                if wanted == b'<' {
                    return Some(at);
                }
                angled = true;
            }
            b'>' if !quoted => angled = false,
            byte if *byte == wanted && !quoted && !angled => return Some(at),
            _ => {}
        }
    }
    None
}

/// True when some byte is such: every byte is looked at, so that many are looked at together.
#[inline]
pub(crate) fn any(bytes: &[u8], is: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(false, |found, byte| found | is(*byte))
}

/// True for a token of RFC 3261 section 25.1.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && !any(bytes, |byte| !TOKEN[usize::from(byte)])
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let mark = matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        table[byte as usize] = mark || byte.is_ascii_alphanumeric();
        byte += 1;
    }
    table
};

/// True when a carriage return or a line feed stands alone. What one party reads as the end of a line and another does not is how
/// requests are smuggled, so neither is ever taken for one.
pub(crate) fn has_bare_line_end(head: &[u8]) -> bool {
    memchr2_iter(b'\r', b'\n', head).any(|at| match head[at] {
        b'\r' => head.get(at + 1) != Some(&b'\n'),
        _ => at == 0 || head[at - 1] != b'\r',
    })
}

/// True for a quoted string and nothing else, closed by its last byte.
pub(crate) fn is_quoted(value: &[u8]) -> bool {
    let [b'"', inner @ .., b'"'] = value else { return false };
    let mut escaped = false;
    for byte in inner {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return false,
            _ => {}
        }
    }
    !escaped
}
