//! A party's end of the audio: where it listens, what it says. Every leg of a world says a word of its own, by which listeners can be
//! told whom they hear.

use super::{Agent, Leg, Note, State, Timer};
use crate::{
    network::{Content, Packet},
    paper::Voice,
};
use parties::{g711::Law, message::Description};
use std::{net::SocketAddr, rc::Rc, time::Duration};

const FRAME: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(crate) struct Media {
    /// Where it listens.
    pub(crate) port: u16,
    /// What it says, in every second sample; its negative in the others.
    pub(crate) word: u8,
    /// Where the daemon listens.
    remote: Option<SocketAddr>,
    /// What the daemon was told of its voice.
    said: Voice,
    sequence: u16,
    timestamp: u32,
}

impl Media {
    pub(super) fn description(&self, address: SocketAddr, direction: &'static str) -> Description {
        Description::of(SocketAddr::new(address.ip(), self.port), &[Law::Mu], direction)
    }
}

impl Agent {
    pub(super) fn new_media(&self) -> Media {
        let no = self.legs.len();
        let port = 4_000 + 2 * u16::try_from(no).unwrap_or(0);
        let word = self.words.next(no);
        Media { port, word, remote: None, said: Voice::Gone, sequence: 100, timestamp: 0 }
    }

    /// Takes where the daemon listens from its description.
    pub(super) fn hear(&mut self, leg: usize, body: &str) {
        if let Some(description) = Description::read(body) {
            self.legs[leg].media.remote = Some(description.rtp);
            self.speak(leg);
        }
    }

    /// Says what its manner says, from now on.
    pub(super) fn speak(&mut self, leg: usize) {
        let it = &mut self.legs[leg];
        let (Some(to), State::Up) = (it.media.remote, it.state) else { return };
        let voice = it.manner.voice;
        if it.media.said == voice {
            return;
        }
        it.media.said = voice;
        if self.sampled {
            if self.timers.deadline(Timer::Frame).is_none() {
                self.timers.set(Timer::Frame, self.now + FRAME);
            }
        } else {
            let word = self.legs[leg].media.word;
            self.note(leg, Note::Voice { to, voice, word });
        }
    }

    pub(super) fn hush(&mut self, leg: usize) {
        self.legs[leg].manner.voice = Voice::Gone;
        self.speak(leg);
    }

    pub(super) fn press(&mut self, leg: usize, digit: char) {
        let Some(to) = self.legs[leg].media.remote else { return };
        if !self.sampled {
            return self.note(leg, Note::Digit { to, digit });
        }
        let event = u8::try_from(digit.to_digit(10).unwrap_or(11)).unwrap_or(11);
        let from = SocketAddr::new(self.address.ip(), self.legs[leg].media.port);
        for (lasting, end) in [(0_u16, 0_u8), (320, 0), (640, 0), (960, 0x80), (960, 0x80), (960, 0x80)] {
            let media = &mut self.legs[leg].media;
            media.sequence = media.sequence.wrapping_add(1);
            let mut packet = header(media, 101);
            packet.extend([event, end | 10]);
            packet.extend(lasting.to_be_bytes());
            self.out.push_back(Packet { from, to, content: Content::Rtp(Rc::from(packet)) });
        }
    }

    /// Everybody who is up says 20 ms.
    pub(super) fn frame(&mut self) {
        let address = self.address.ip();
        let mut speaking = false;
        for leg in &mut self.legs {
            let (State::Up, Some(to)) = (leg.state, leg.media.remote) else { continue };
            let Some(packet) = frame(leg) else { continue };
            speaking = true;
            let from = SocketAddr::new(address, leg.media.port);
            self.out.push_back(Packet { from, to, content: Content::Rtp(packet) });
        }
        if speaking {
            self.timers.set(Timer::Frame, self.now + FRAME);
        }
    }
}

fn frame(leg: &mut Leg) -> Option<Rc<[u8]>> {
    let media = &mut leg.media;
    let word = match leg.manner.voice {
        Voice::Talks => media.word,
        Voice::Hushed => 0x7f,
        Voice::Gone => return None,
    };
    media.sequence = media.sequence.wrapping_add(1);
    media.timestamp = media.timestamp.wrapping_add(160);
    let mut packet = header(media, 0);
    packet.extend(std::iter::repeat_n([word | 0x80, word & 0x7f], 80).flatten());
    Some(Rc::from(packet))
}

fn header(media: &Media, payload_type: u8) -> Vec<u8> {
    let mut packet = Vec::with_capacity(172);
    packet.extend([0x80, payload_type]);
    packet.extend(media.sequence.to_be_bytes());
    packet.extend(media.timestamp.to_be_bytes());
    packet.extend((u32::from(media.word) << 16 | u32::from(media.port)).to_be_bytes());
    packet
}
