//! Writing our side of a session.

use crate::{Codec, Direction, LocalMedia, description::Line};
use bytes::Bytes;
use core::time::Duration;
use sdp_types::{Attribute, Connection, Media, Origin, Session};
use serde::{Deserialize, Serialize};

/// Our audio stream as the next body describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OurStream {
    /// Which media line it is.
    pub(crate) line: usize,
    pub(crate) codecs: Vec<(Codec, u8)>,
    pub(crate) telephone_event: Option<u8>,
    pub(crate) ptime: Duration,
    pub(crate) direction: Direction,
}

/// The body with all `lines` in order: `ours` at its place, every other switched off.
pub(crate) fn body(local: &LocalMedia, version: u64, lines: &[Line], ours: Option<&OurStream>) -> Bytes {
    let mut session = Session::new(Origin::with_ip_addr(local.session_id, version, local.address), "-");
    session.connection = Some(Connection::from_ip_addr(local.address));
    session.medias = lines
        .iter()
        .enumerate()
        .map(|(index, line)| match ours {
            Some(ours) if ours.line == index => audio(local, line, ours),
            _ => media(line, 0, line.format.clone()),
        })
        .collect();
    let mut text = Vec::with_capacity(512);
    session.write(&mut text).expect("writing to memory does not fail");
    text.into()
}

fn audio(local: &LocalMedia, line: &Line, ours: &OurStream) -> Media {
    let formats = ours.codecs.iter().map(|(_, number)| *number).chain(ours.telephone_event);
    let formats: Vec<String> = formats.map(|number| number.to_string()).collect();
    let mut media = media(line, local.port, formats.join(" "));
    let attributes = &mut media.attributes;
    for (codec, number) in &ours.codecs {
        attributes.push(Attribute::with_value("rtpmap", format_args!("{number} {codec}/{}", codec.clock_rate())));
    }
    if let Some(number) = ours.telephone_event {
        attributes.push(Attribute::with_value("rtpmap", format_args!("{number} telephone-event/8000")));
        attributes.push(Attribute::with_value("fmtp", format_args!("{number} 0-15")));
    }
    attributes.push(Attribute::with_value("ptime", ours.ptime.as_millis()));
    attributes.push(Attribute::new(ours.direction.name()));
    media
}

fn media(line: &Line, port: u16, fmt: String) -> Media {
    Media {
        media: line.media.clone(),
        port,
        num_ports: None,
        proto: line.proto.clone(),
        fmt,
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    }
}
