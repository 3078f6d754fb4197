//! Writing our side of a session.

use crate::{Codec, Direction, LocalMedia, crypto::Crypto, description::Line};
use bytes::Bytes;
use core::{fmt::Write as _, time::Duration};
use serde::{Deserialize, Serialize};

/// Our audio stream as the next body describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OurStream {
    /// Which media line it is.
    pub(crate) line: usize,
    pub(crate) codecs: Vec<(Codec, u8)>,
    /// Payload types of telephone-event, one a clock rate.
    pub(crate) telephone_event: Vec<(u32, u8)>,
    pub(crate) ptime: Duration,
    pub(crate) direction: Direction,
    /// Our keys: in an offer all we have, in an answer the one that was chosen.
    pub(crate) keys: Vec<Crypto>,
    pub(crate) rtcp_mux: bool,
}

/// The body with all `lines` in order: `ours` at its place, every other switched off (RFC 8866 section 5, RFC 3264 section 6). Media and
/// protocols are words of the peer's own description, which has been read: they hold no white space.
pub(crate) fn body(local: &LocalMedia, version: u64, lines: &[Line], ours: Option<&OurStream>) -> Bytes {
    let mut text = String::with_capacity(512);
    write(&mut text, local, version, lines, ours).expect("writing to memory does not fail");
    text.into()
}

fn write(
    text: &mut String,
    local: &LocalMedia,
    version: u64,
    lines: &[Line],
    ours: Option<&OurStream>,
) -> core::fmt::Result {
    let family = if local.address.is_ipv4() { "IP4" } else { "IP6" };
    let (id, address) = (local.session_id, local.address);
    write!(text, "v=0\r\no=- {id} {version} IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n")?;
    for (index, line) in lines.iter().enumerate() {
        match ours {
            Some(ours) if ours.line == index => audio(text, local, line, ours)?,
            _ => write!(text, "m={} 0 {} {}\r\n", line.media, line.proto, line.format)?,
        }
    }
    Ok(())
}

fn audio(text: &mut String, local: &LocalMedia, line: &Line, ours: &OurStream) -> core::fmt::Result {
    write!(text, "m={} {} {}", line.media, local.port, line.proto)?;
    for number in
        ours.codecs.iter().map(|(_, number)| number).chain(ours.telephone_event.iter().map(|(_, number)| number))
    {
        write!(text, " {number}")?;
    }
    text.push_str("\r\n");
    for (codec, number) in &ours.codecs {
        write!(text, "a=rtpmap:{number} {codec}/{}", codec.clock_rate())?;
        text.push_str(match codec {
            Codec::Opus => "/2\r\n",
            _ => "\r\n",
        });
        if *codec == Codec::Opus {
            // What is decoded here is wideband, one channel (RFC 7587 section 6.1).
            write!(text, "a=fmtp:{number} maxplaybackrate=16000;useinbandfec=1\r\n")?;
        }
    }
    for (clock, number) in &ours.telephone_event {
        write!(text, "a=rtpmap:{number} telephone-event/{clock}\r\na=fmtp:{number} 0-15\r\n")?;
    }
    for crypto in &ours.keys {
        crypto.write(text)?;
    }
    if ours.rtcp_mux {
        text.push_str("a=rtcp-mux\r\n");
    }
    write!(text, "a=ptime:{}\r\na={}\r\n", ours.ptime.as_millis(), ours.direction.name())
}
