//! SIP on the wire: messages, headers, URIs and stream framing over one buffer of bytes.
//!
//! [`Message::parse`] keeps one buffer and where its parts lie in it; headers stay byte for byte and in order, and are read on demand
//! by typed views. [`Message::core`] checks what every message must have. [`frame`] finds the boundaries on a stream with the same
//! scan. [`Builder`] writes.
#![forbid(unsafe_code)]

mod accept;
mod builder;
mod challenge;
#[cfg(feature = "codec")]
mod codec;
mod error;
mod framing;
mod limits;
mod media_type;
mod message;
mod method;
mod name;
mod param;
mod scan;
mod uri;
mod via;

pub use builder::{Builder, unfold};
pub use challenge::Challenge;
#[cfg(feature = "codec")]
pub use codec::{Codec, CodecError, Framer};
pub use error::{BuildError, HeaderError, ParseError};
pub use framing::{Frame, FrameError, frame};
pub use limits::Limits;
pub use media_type::MediaType;
pub use message::{CSeq, Core, Message, RawHeader};
pub use method::Method;
pub use name::Name;
pub use param::Params;
pub use uri::{NameAddr, Uri};
pub use via::Via;
