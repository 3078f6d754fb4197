//! Where one message ends and the next begins. The same scan frames a stream and parses a message, so that the two can never
//! disagree about a boundary (RFC 3261 sections 7.5 and 18.3).

use crate::{Limits, Name, scan};

/// What stands at the beginning of a stream's buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// More bytes are needed.
    Need,
    /// So many bytes of line ends: keep-alives (RFC 5626 section 4.4.1).
    Keepalive(usize),
    /// A message of so many bytes.
    Message(usize),
    /// No message can be framed here any more; the stream must be closed.
    Bad(FrameError),
}

/// Why a boundary cannot be found.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The head does not end within the limits.
    #[error("the header section is longer than {0} bytes")]
    HeadTooLong(usize),
    /// Head and body together exceed the limit.
    #[error("the message is longer than {0} bytes")]
    TooLong(usize),
    /// A stream's message must say its length.
    #[error("a message on a stream has no Content-Length")]
    NoLength,
    /// A carriage return or a line feed stands alone.
    #[error("a line ends in something else than CR LF")]
    LineEnd,
    /// Content-Length is not a number that fits, or two of them differ.
    #[error("Content-Length is no single number of bytes")]
    Length,
}

/// Looks for one message at the beginning of a stream's buffer.
pub fn frame(buffer: &[u8], limits: &Limits) -> Frame {
    frame_after(buffer, 0, limits)
}

/// The same where the first `seen` bytes are known to hold no blank line, so that a slow sender costs no more than a fast one.
pub(crate) fn frame_after(buffer: &[u8], seen: usize, limits: &Limits) -> Frame {
    let blank = buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    if blank > 0 {
        return Frame::Keepalive(blank);
    }
    let window = &buffer[..buffer.len().min(limits.message)];
    let from = seen.saturating_sub(3).min(window.len());
    let Some(head) = scan::head(&window[from..]).map(|length| from + length) else {
        return if buffer.len() >= limits.message {
            Frame::Bad(FrameError::HeadTooLong(limits.message))
        } else {
            Frame::Need
        };
    };
    let mut lines = scan::lines(&buffer[..head]);
    let declared = declared_length(&mut lines);
    // To the end, even if a length was wrong: a line end that may be read in two ways is the graver fault.
    lines.by_ref().for_each(drop);
    if lines.has_bare_line_end() {
        return Frame::Bad(FrameError::LineEnd);
    }
    match declared {
        Err(error) => Frame::Bad(error),
        Ok(None) => Frame::Bad(FrameError::NoLength),
        Ok(Some(body)) => match head.checked_add(body).filter(|whole| *whole <= limits.message) {
            None => Frame::Bad(FrameError::TooLong(limits.message)),
            Some(whole) if whole <= buffer.len() => Frame::Message(whole),
            Some(_) => Frame::Need,
        },
    }
}

/// The Content-Length of a head's lines (start line first), if it has one.
fn declared_length(lines: &mut scan::Lines<'_>) -> Result<Option<usize>, FrameError> {
    let named = |line| scan::split(line).filter(|(name, _)| Name::of(name) == Name::ContentLength);
    agreed_length(lines.skip(1).filter_map(named).map(|(_, value)| value))
}

/// What all Content-Length values of a message say together.
pub(crate) fn agreed_length<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Option<usize>, FrameError> {
    let mut found = None;
    for value in values {
        let length = length(value)?;
        if found.is_some_and(|earlier| earlier != length) {
            return Err(FrameError::Length);
        }
        found = Some(length);
    }
    Ok(found)
}

/// A Content-Length value: digits alone.
pub(crate) fn length(value: &[u8]) -> Result<usize, FrameError> {
    if value.is_empty() || value.len() > 9 || !value.iter().all(u8::is_ascii_digit) {
        // Leading zeros may make a small number long.
        let digits = value.iter().position(|byte| *byte != b'0').map_or(&value[..0], |at| &value[at..]);
        let all = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        return if all && digits.len() <= 9 { Ok(number(digits)) } else { Err(FrameError::Length) };
    }
    Ok(number(value))
}

fn number(digits: &[u8]) -> usize {
    digits.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
}
