//! Finding line ends, folds, commas and parameters in bytes.

use memchr::{memchr, memchr_iter, memchr2_iter};

/// The length of the head, blank line included, if it is complete.
pub(crate) fn head(bytes: &[u8]) -> Option<usize> {
    memchr_iter(b'\n', bytes)
        .find(|at| bytes[at + 1..].starts_with(b"\r\n") && *at > 0 && bytes[at - 1] == b'\r')
        .map(|at| at + 3)
}

/// Logical lines of a head: the start line, then one item a header, folds included, without the line end; up to the blank line.
pub(crate) fn lines(bytes: &[u8]) -> Lines<'_> {
    Lines { bytes, begun: 0, pairs: 0, bare: false, end: None }
}

pub(crate) struct Lines<'a> {
    bytes: &'a [u8],
    /// Where the next line begins.
    begun: usize,
    /// Line ends seen.
    pairs: usize,
    /// A carriage return stood alone.
    bare: bool,
    /// The length of the head, blank line included, once that was reached.
    pub(crate) end: Option<usize>,
}

impl Lines<'_> {
    /// True when a carriage return or a line feed stood alone in what was read. What one party reads as the end of a line and another does
    /// not is how requests are smuggled, so neither is ever taken for one. To be asked when there are no more lines.
    pub(crate) fn has_bare_line_end(&self) -> bool {
        let read = self.end.unwrap_or(self.begun.min(self.bytes.len()));
        self.bare || memchr_iter(b'\n', &self.bytes[..read]).count() != self.pairs
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (bytes, begun) = (self.bytes, self.begun);
        if begun >= bytes.len() || self.end.is_some() {
            return None;
        }
        let mut from = begun;
        while let Some(at) = memchr(b'\r', &bytes[from..]).map(|at| from + at) {
            if bytes.get(at + 1) != Some(&b'\n') {
                self.bare = true;
                from = at + 1;
                continue;
            }
            self.pairs += 1;
            from = at + 2;
            if at == begun {
                self.end = Some(from);
                return None;
            }
            if !matches!(bytes.get(from), Some(b' ' | b'\t')) {
                self.begun = from;
                return Some(&bytes[begun..at]);
            }
        }
        self.begun = bytes.len();
        Some(&bytes[begun..])
    }
}

/// A header line's name and value: white space around the colon belongs to neither.
pub(crate) fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
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
    if any(&value[..first], |byte| byte == b'"' || byte == b'<') {
        position_walking(value, wanted)
    } else {
        Some(first)
    }
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

/// True when a carriage return or a line feed stands alone.
pub(crate) fn has_bare_line_end(text: &[u8]) -> bool {
    memchr2_iter(b'\r', b'\n', text).any(|at| match text[at] {
        b'\r' => text.get(at + 1) != Some(&b'\n'),
        _ => at == 0 || text[at - 1] != b'\r',
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
