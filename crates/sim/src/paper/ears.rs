//! What would be sent to whom, from the plans and from what parties say.

use super::{Paper, Port, Timer, Voice};
use crate::house::{Sound, Voiced};
use clock::Monotonic;
use media_relay::{CallKey, Codec, PortId, Source, Then};
use std::{net::SocketAddr, time::Duration};

/// One port's.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// What its party says when it talks.
    pub(super) word: u8,
    /// Its party wants to be sent something.
    pub(super) may_send: bool,
    pub(super) source: Source,
    /// What is sent, where to, and since when.
    sent: Option<(Sound, SocketAddr, Monotonic)>,
}

impl Paper {
    /// What is sent to the parties of a call may have changed.
    pub(super) fn listen(&mut self, now: Monotonic, call: CallKey) {
        let ports = self.ports.iter().filter(|(_, it)| it.call == call);
        let heard: Vec<_> = ports.map(|(port, it)| (*port, self.sound(*port, it))).collect();
        for (port, sound) in heard {
            let Some(it) = self.ports.get_mut(&port) else { continue };
            let new = sound.zip(it.stream);
            if it.hearing.sent.map(|(sound, to, _)| (sound, to)) == new {
                continue;
            }
            let before = std::mem::replace(&mut it.hearing.sent, new.map(|(sound, to)| (sound, to, now)));
            self.was_sent(before, now);
        }
    }

    /// Nothing more is sent from a port.
    pub(super) fn ceases(&mut self, now: Monotonic, port: PortId) {
        let sent = self.ports.get_mut(&port).and_then(|it| it.hearing.sent.take());
        self.was_sent(sent, now);
    }

    /// Nor from any.
    pub(crate) fn all_is_said(&mut self, now: Monotonic) {
        let ports: Vec<PortId> = self.ports.keys().copied().collect();
        for port in ports {
            self.ceases(now, port);
        }
    }

    fn was_sent(&mut self, sent: Option<(Sound, SocketAddr, Monotonic)>, until: Monotonic) {
        if let Some((sound, to, from)) = sent.filter(|(_, _, from)| *from < until) {
            self.voices.push(Voiced { from, until, to, sound });
        }
    }

    fn sound(&self, id: PortId, port: &Port) -> Option<Sound> {
        if port.stream.is_none() || !port.hearing.may_send {
            return None;
        }
        Some(match &port.hearing.source {
            Source::Nothing => return None,
            Source::Silence => Sound::Silence,
            Source::Port(one) => self.words(std::slice::from_ref(one)),
            Source::Mix(several) => self.words(several),
            Source::Ringback => Sound::Tone,
            Source::Play(play) => match play.first.first() {
                Some(clip) if port.left.get(&play.id) != Some(&Duration::ZERO) || self.still_plays(id) => {
                    self.clip(clip)
                }
                _ => match &play.then {
                    Then::Silence => Sound::Silence,
                    Then::Loop(name) => self.clip(name),
                    Then::Ringback => Sound::Tone,
                },
            },
        })
    }

    /// The clips that come once are not over.
    fn still_plays(&self, port: PortId) -> bool {
        self.timers.deadline((port, Timer::Play)).is_some()
    }

    fn clip(&self, name: &str) -> Sound {
        match self.library.clip(name) {
            Some(_) if name == "beep" => Sound::Tone,
            Some(clip) => Sound::Clip(clip.encoded(Codec::Pcmu).first().copied().unwrap_or_default() & 0x7f),
            None => Sound::Silence,
        }
    }

    fn words(&self, ports: &[PortId]) -> Sound {
        let talk = |port: &PortId| self.ports.get(port).filter(|it| it.voice == Voice::Talks).map(|it| it.hearing.word);
        let mut words: Vec<u8> = ports.iter().filter_map(talk).collect();
        words.sort_unstable();
        match words[..] {
            [] => Sound::Silence,
            [one] => Sound::Word(one),
            _ => {
                let mut all = [0; 6];
                for (at, word) in all.iter_mut().zip(&words) {
                    *at = *word;
                }
                Sound::Words(all)
            }
        }
    }
}
