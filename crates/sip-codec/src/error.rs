//! What can be wrong with a message, and the status that says so.

use crate::{FrameError, Name};

/// Bytes that cannot be taken for a message with certainty. Where enough of a request can still be read,
/// [`Message::salvage`](crate::Message::salvage) gives what a refusal with [`ParseError::status`] is built from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No blank line ends the head.
    #[error("the header section does not end with a blank line")]
    NoEnd,
    /// Neither a request line nor a status line.
    #[error("the first line is neither a request line nor a status line")]
    StartLine,
    /// The boundary of the message cannot be found.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// More header lines than allowed.
    #[error("more than {0} header lines")]
    TooManyHeaders(usize),
    /// A line longer than allowed.
    #[error("a line is longer than {0} bytes")]
    LineTooLong(usize),
}

impl ParseError {
    /// The status with which a request that has this flaw is answered, if it can be.
    pub fn status(&self) -> u16 {
        match self {
            Self::Frame(FrameError::HeadTooLong(_) | FrameError::TooLong(_))
            | Self::TooManyHeaders(_)
            | Self::LineTooLong(_) => 513,
            _ => 400,
        }
    }
}

/// A header that is absent or does not say what it must.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The header is not there.
    #[error("{} is missing", .0.text().unwrap_or("a header"))]
    Missing(Name),
    /// The header stands there more than once and may not.
    #[error("{} stands more than once", .0.text().unwrap_or("a header"))]
    Repeated(Name),
    /// The value cannot be read.
    #[error("{} cannot be read: {}", .0.text().unwrap_or("a header"), .1)]
    Malformed(Name, &'static str),
    /// Request and CSeq name different methods.
    #[error("CSeq names another method than the request line")]
    MethodMismatch,
    /// The version is not SIP/2.0.
    #[error("the version is not SIP/2.0")]
    Version,
    /// Over UDP: the body is shorter than Content-Length says.
    #[error("the body is shorter than Content-Length says")]
    Truncated,
    /// The request URI cannot be read, or has headers.
    #[error("the request URI cannot be read")]
    RequestUri,
    /// The start line has white space where none may stand, or is no start line.
    #[error("the start line cannot be read")]
    StartLine,
    /// A line has no colon, or no token before it.
    #[error("a line is no header")]
    Line,
    /// A carriage return or a line feed stands alone.
    #[error("a line ends in something else than CR LF")]
    LineEnd,
    /// The message was salvaged from bytes that are none.
    #[error("the message cannot be read as a whole")]
    Salvaged,
}

impl HeaderError {
    /// The status with which a request that has this flaw is answered.
    pub fn status(self) -> u16 {
        match self {
            Self::Version => 505,
            _ => 400,
        }
    }
}

/// A value that may not stand in a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A header's name is no token.
    #[error("`{0}` is no header name")]
    Name(String),
    /// What stands as request URI has white space or is empty.
    #[error("`{0}` is no URI")]
    Uri(String),
    /// A value has a line end, NUL or another control character.
    #[error("a value of {0} has a control character")]
    Control(String),
}
