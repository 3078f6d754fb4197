//! Finding line ends, folds, commas and parameters in bytes.

use memchr::{memchr, memchr_iter, memchr2_iter, memmem};

/// The length of the head, blank line included, if it is complete.
pub(crate) fn head(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// Logical lines of a head: the start line, then one item a header, folds included, without the line end.
pub(crate) fn lines(head: &[u8]) -> Lines<'_> {
    Lines { rest: head }
}

pub(crate) struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() || self.rest.starts_with(b"\r\n") {
            return None;
        }
        for at in memchr_iter(b'\r', self.rest) {
            if self.rest.get(at + 1) == Some(&b'\n') && !matches!(self.rest.get(at + 2), Some(b' ' | b'\t')) {
                let line = &self.rest[..at];
                self.rest = &self.rest[at + 2..];
                return Some(line);
            }
        }
        Some(std::mem::take(&mut self.rest))
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
pub(crate) fn position_outside(value: &[u8], wanted: u8) -> Option<usize> {
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

/// True for a token of RFC 3261 section 25.1.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| TOKEN[usize::from(*byte)])
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
