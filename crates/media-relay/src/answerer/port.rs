//! A port's detection: what comes is decoded, and what does not come is silence.

use super::{Detection, Detector, FRAME, Finding};
use crate::{
    Codec,
    codec::{Decoder, MAX_DECODED},
    packet::Rtp,
    port::Port,
};
use clock::Monotonic;
use std::time::Duration;

/// Packets that are later than this are taken to be missing.
const MISSING: Duration = Duration::from_millis(200);
/// No more frames of silence are heard at once than housekeeping has to make up for: after a stall of our own, what was said meanwhile
/// waits in the socket.
const MOST_AT_ONCE: usize = 6;
/// Samples a second that the detector hears.
const RATE: u32 = 8000;

/// Somebody wants to know who speaks at a port.
#[derive(Debug)]
pub(crate) struct Listening {
    detector: Detector,
    began: Monotonic,
    /// Where a payload is no G.711, and room for its samples.
    decoding: Option<Box<(Decoder, [i16; MAX_DECODED])>>,
}

impl Listening {
    fn new(detection: Detection, now: Monotonic) -> Self {
        Self { detector: Detector::new(detection), began: now, decoding: None }
    }

    fn hear(&mut self, codec: Codec, payload: &[u8]) -> Option<Finding> {
        if codec.is_g711() {
            return payload.iter().find_map(|word| self.detector.hear(codec.decode(*word)));
        }
        let decoding = match &mut self.decoding {
            Some(decoding) if decoding.0.codec == codec => decoding,
            other => other.insert(Box::new((Decoder::new(codec), [0; MAX_DECODED]))),
        };
        let (decoder, room) = &mut **decoding;
        let count = decoder.decode(payload, room);
        // Energy and cadence need no better filter than the mean of two neighbours, and beeps above 2.2 kHz are none.
        let every = (codec.sample_rate() / RATE).max(1) as usize;
        room[..count].chunks(every).find_map(|samples| {
            let sum: i32 = samples.iter().map(|sample| i32::from(*sample)).sum();
            let mean = sum / i32::try_from(samples.len()).unwrap_or(1);
            self.detector.hear(i16::try_from(mean).unwrap_or(0))
        })
    }

    /// What has not come by now is silence.
    fn miss(&mut self, now: Monotonic) -> Option<Finding> {
        (0..MOST_AT_ONCE).find_map(|_| {
            let late = now.since(self.began) > self.detector.heard() + MISSING;
            if late { (0..FRAME).find_map(|_| self.detector.hear(0)) } else { None }
        })
    }
}

impl Port {
    /// Who speaks is to be found out from now on; or no longer.
    pub(crate) fn detect(&mut self, now: Monotonic, detection: Option<Detection>) {
        self.outbox.answerer = None;
        self.detecting = detection.map(|detection| Box::new(Listening::new(detection, now)));
    }

    /// Audio came, and the direction agreed allows hearing it; true when something was found out.
    pub(crate) fn detect_in(&mut self, codec: Codec, packet: &Rtp, bytes: &[u8]) -> bool {
        let allowed = self.stream.as_ref().is_some_and(|stream| stream.may_receive);
        let Some(listening) = self.detecting.as_mut().filter(|_| allowed) else { return false };
        let found = listening.hear(codec, &bytes[packet.payload.clone()]);
        self.found(found)
    }

    /// Nothing may have come: to be called ten times a second. True when something was found out.
    pub(crate) fn detect_silence(&mut self, now: Monotonic) -> bool {
        let found = self.detecting.as_mut().and_then(|listening| listening.miss(now));
        self.found(found)
    }

    fn found(&mut self, found: Option<Finding>) -> bool {
        if found.is_some() {
            self.outbox.answerer = found;
            self.detecting = None;
        }
        found.is_some()
    }
}
