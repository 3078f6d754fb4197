//! Framing for streams with `tokio_util`.

use crate::{Frame, FrameError, Limits, Message, ParseError, framing::frame_after, scan};
use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// Cuts a stream into messages without reading them, for an owner who answers even those that cannot be read. Line ends between
/// messages are keep-alives and are passed over; a ping of two of them is answered by whoever owns the connection, which finds
/// it counted in [`Framer::pings`].
#[derive(Clone, Debug, Default)]
pub struct Framer {
    limits: Limits,
    seen: usize,
    pings: u32,
}

/// Reads messages from a stream and writes them to it: a [`Framer`] that reads what it cuts.
#[derive(Clone, Debug, Default)]
pub struct Codec {
    framer: Framer,
}

/// Why a stream cannot go on. After any of these it is closed: no boundary behind it can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// No boundary.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A boundary, but no message.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The stream itself failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Framer {
    /// A framer with these limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, seen: 0, pings: 0 }
    }

    /// How many keep-alive pings (two line ends, RFC 5626 section 3.5.1) came since this was asked last; each is owed one line end.
    pub fn pings(&mut self) -> u32 {
        std::mem::take(&mut self.pings)
    }
}

impl Codec {
    /// A codec with these limits.
    pub fn new(limits: Limits) -> Self {
        Self { framer: Framer::new(limits) }
    }

    /// See [`Framer::pings`].
    pub fn pings(&mut self) -> u32 {
        self.framer.pings()
    }
}

impl Decoder for Codec {
    type Item = Message;
    type Error = CodecError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Message>, CodecError> {
        match self.framer.decode(buffer)? {
            Some(bytes) => Ok(Some(Message::parse(bytes, &self.framer.limits)?)),
            None => Ok(None),
        }
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Message>, CodecError> {
        let message = self.decode(buffer)?;
        if message.is_none() && !buffer.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        if message.is_none() {
            buffer.clear();
        }
        Ok(message)
    }
}

impl Decoder for Framer {
    type Item = Bytes;
    type Error = CodecError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, CodecError> {
        loop {
            match frame_after(buffer, self.seen, &self.limits) {
                Frame::Need => {
                    // A head that is there already must be found again while its body is awaited.
                    if scan::head(&buffer[self.seen.saturating_sub(3).min(buffer.len())..]).is_none() {
                        self.seen = buffer.len();
                    }
                    return Ok(None);
                }
                Frame::Keepalive(length) => {
                    // Half of a ping waits for its other half; in front of a message it is a stray line end.
                    let whole = length == buffer.len();
                    self.pings = self.pings.saturating_add(u32::try_from(length / 4).unwrap_or(u32::MAX));
                    let taken = if whole { length / 4 * 4 } else { length };
                    buffer.advance(taken);
                    self.seen = 0;
                    if whole {
                        return Ok(None);
                    }
                }
                Frame::Message(length) => {
                    self.seen = 0;
                    return Ok(Some(buffer.split_to(length).freeze()));
                }
                Frame::Bad(error) => return Err(error.into()),
            }
        }
    }
}

impl Encoder<&Message> for Codec {
    type Error = CodecError;

    fn encode(&mut self, message: &Message, buffer: &mut BytesMut) -> Result<(), CodecError> {
        buffer.extend_from_slice(message.as_bytes());
        Ok(())
    }
}

impl Encoder<Bytes> for Codec {
    type Error = CodecError;

    fn encode(&mut self, bytes: Bytes, buffer: &mut BytesMut) -> Result<(), CodecError> {
        buffer.extend_from_slice(&bytes);
        Ok(())
    }
}
