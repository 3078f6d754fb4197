//! The emulated network, a machine as pure as the cores: datagrams go in, and come out late, twice, in another order, or never.

use crate::{chance::Chance, trace::Read};
use clock::Monotonic;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

/// What the network does to datagrams, by chance. Shares are of a thousand.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Weather {
    /// What presets are asked for by.
    pub name: &'static str,
    /// Lost outside of bursts.
    pub lost: u64,
    /// A burst begins.
    pub bursts: u64,
    /// A burst ends; meanwhile nine of ten datagrams are lost.
    pub burst_ends: u64,
    /// Delivered twice.
    pub doubled: u64,
    /// Shortest and longest way, in milliseconds: what lies between is how far datagrams overtake each other.
    pub delay: (u64, u64),
    /// Held back by up to `held_back_by` milliseconds more.
    pub held_back: u64,
    /// How long, at most.
    pub held_back_by: u64,
}

impl Weather {
    /// Nothing is lost and nothing overtakes.
    pub const CALM: Self = Self {
        name: "calm",
        lost: 0,
        bursts: 0,
        burst_ends: 1_000,
        doubled: 0,
        delay: (1, 1),
        held_back: 0,
        held_back_by: 0,
    };
    /// One in twenty lost, one in twenty doubled, a fifth overtaken.
    pub const ROUGH: Self =
        Self { name: "rough", lost: 50, doubled: 50, delay: (5, 60), held_back: 50, held_back_by: 400, ..Self::CALM };
    /// Calm between bursts in which almost everything is lost.
    pub const BURSTS: Self =
        Self { name: "bursts", lost: 5, bursts: 20, burst_ends: 150, delay: (5, 30), ..Self::CALM };
    /// Half a second each way, so that everything crosses everything.
    pub const FAR: Self = Self { name: "far", lost: 10, doubled: 10, delay: (350, 650), ..Self::CALM };
    /// A fifth lost, a fifth doubled, seconds late.
    pub const STORM: Self = Self {
        name: "storm",
        lost: 200,
        doubled: 200,
        delay: (5, 900),
        held_back: 100,
        held_back_by: 3_000,
        ..Self::CALM
    };
    /// All presets.
    pub const ALL: [Self; 5] = [Self::CALM, Self::ROUGH, Self::BURSTS, Self::FAR, Self::STORM];

    /// The preset of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|weather| weather.name == name)
    }
}

/// One datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Sip(Rc<Read>),
    Rtp(Rc<[u8]>),
}

/// A SIP message that is lost on purpose, so that a rare race happens often.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spoil {
    Ack,
    Answer,
    Bye,
    ByeAnswer,
    Cancel,
    Refusal,
    Provisional,
}

impl Spoil {
    pub(crate) const ALL: [Self; 7] =
        [Self::Ack, Self::Answer, Self::Bye, Self::ByeAnswer, Self::Cancel, Self::Refusal, Self::Provisional];

    fn hits(self, message: &Read) -> bool {
        let (status, of) = (message.status, message.cseq_method.as_str());
        match self {
            Self::Ack => message.method == "ACK",
            Self::Answer => (200..300).contains(&status) && of == "INVITE",
            Self::Bye => message.method == "BYE",
            Self::ByeAnswer => status >= 200 && of == "BYE",
            Self::Cancel => message.method == "CANCEL",
            Self::Refusal => status >= 300 && of == "INVITE",
            Self::Provisional => (100..200).contains(&status),
        }
    }
}

/// From when until when an address is cut off.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) address: IpAddr,
    pub(crate) from: Monotonic,
    pub(crate) until: Monotonic,
}

#[derive(Debug)]
pub(crate) struct Network {
    weather: Weather,
    chance: Chance,
    in_burst: bool,
    partitions: Vec<Partition>,
    /// What is lost on purpose, and how often still.
    spoils: Vec<(Spoil, u32)>,
    flying: BTreeMap<(Monotonic, u64), Packet>,
    sent: u64,
}

impl Network {
    pub(crate) fn new(weather: Weather, chance: Chance) -> Self {
        Self {
            weather,
            chance,
            in_burst: false,
            partitions: Vec::new(),
            spoils: Vec::new(),
            flying: BTreeMap::new(),
            sent: 0,
        }
    }

    pub(crate) fn cut(&mut self, partition: Partition) {
        self.partitions.push(partition);
    }

    pub(crate) fn spoil(&mut self, what: Spoil, times: u32) {
        self.spoils.push((what, times));
    }

    /// Takes a datagram. False when it will never arrive.
    pub(crate) fn handle_input(&mut self, now: Monotonic, packet: &Packet) -> bool {
        if self.is_cut(now, packet.from.ip()) || self.is_cut(now, packet.to.ip()) || self.is_spoiled(packet) {
            return false;
        }
        let copies = if self.chance.per_mille(self.weather.doubled) { 2 } else { 1 };
        let mut arrives = false;
        for _ in 0..copies {
            if self.loses() {
                continue;
            }
            arrives = true;
            let (low, high) = self.weather.delay;
            let mut way = self.chance.ms(low, high);
            if self.chance.per_mille(self.weather.held_back) {
                way += self.chance.ms(0, self.weather.held_back_by);
            }
            self.sent += 1;
            self.flying.insert((now + way, self.sent), packet.clone());
        }
        arrives
    }

    /// The next datagram that has arrived.
    pub(crate) fn poll_output(&mut self, now: Monotonic) -> Option<Packet> {
        let entry = self.flying.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    pub(crate) fn poll_timeout(&self) -> Option<Monotonic> {
        self.flying.first_key_value().map(|((at, _), _)| *at)
    }

    fn is_cut(&self, now: Monotonic, address: IpAddr) -> bool {
        self.partitions.iter().any(|cut| cut.address == address && (cut.from..cut.until).contains(&now))
    }

    fn is_spoiled(&mut self, packet: &Packet) -> bool {
        let Content::Sip(message) = &packet.content else { return false };
        let hit = self.spoils.iter_mut().find(|(what, times)| *times > 0 && what.hits(message));
        hit.map(|(_, times)| *times -= 1).is_some()
    }

    fn loses(&mut self) -> bool {
        let Weather { lost, bursts, burst_ends, .. } = self.weather;
        if bursts > 0 {
            self.in_burst =
                if self.in_burst { !self.chance.per_mille(burst_ends) } else { self.chance.per_mille(bursts) };
        }
        self.chance.per_mille(if self.in_burst { 900 } else { lost })
    }
}

/// The longest way a datagram of this weather takes.
pub(crate) fn longest_way(weather: Weather) -> Duration {
    Duration::from_millis(weather.delay.1 + weather.held_back_by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn run(weather: Weather, seed: u64) -> Vec<(u64, u64)> {
        let mut network = Network::new(weather, Chance::new(seed));
        let at = |ms: u64| Monotonic::from_nanos(ms * 1_000_000);
        for number in 0..1_000 {
            let content = Content::Rtp(Rc::from(u64::to_be_bytes(number)));
            let (from, to) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:1".parse().unwrap());
            network.handle_input(at(number * 10), &Packet { from, to, content });
        }
        let mut arrived = Vec::new();
        while let Some(now) = network.poll_timeout() {
            while let Some(packet) = network.poll_output(now) {
                let Content::Rtp(bytes) = packet.content else { unreachable!() };
                arrived.push((now.as_nanos() / 1_000_000, u64::from_be_bytes(bytes[..].try_into().unwrap())));
            }
        }
        arrived
    }

    #[test]
    fn presets_do_what_they_say_and_a_seed_repeats_itself() {
        let calm = run(Weather::CALM, 1);
        assert_eq!(calm, (0..1_000).map(|number| (number * 10 + 1, number)).collect::<Vec<_>>());
        let rough = run(Weather::ROUGH, 1);
        assert_eq!(rough, run(Weather::ROUGH, 1));
        assert_ne!(rough, run(Weather::ROUGH, 2));
        assert!((970..1_030).contains(&rough.len()), "as many are doubled as are lost: {}", rough.len());
        let mut numbers: Vec<u64> = rough.iter().map(|(_, number)| *number).collect();
        let overtaken = numbers.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!(overtaken > 200, "{overtaken}");
        numbers.sort_unstable();
        numbers.dedup();
        assert!((920..980).contains(&numbers.len()), "{} of 1000 arrive", numbers.len());
        let bursts = run(Weather::BURSTS, 1);
        let gap = bursts.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0)).max();
        assert!(gap > Some(100), "losses come together: {gap:?}");
        for weather in Weather::ALL {
            assert_eq!(Weather::named(weather.name), Some(weather));
            let late = run(weather, 3).iter().map(|(at, number)| at - number * 10).max();
            assert!(late <= Some(u64::try_from(longest_way(weather).as_millis()).unwrap()));
        }
    }

    #[test]
    fn an_address_that_is_cut_off_neither_hears_nor_is_heard() {
        let mut network = Network::new(Weather::CALM, Chance::new(1));
        let at = |ms: u64| Monotonic::from_nanos(ms * 1_000_000);
        network.cut(Partition { address: "10.0.0.2".parse().unwrap(), from: at(10), until: at(20) });
        let packet = |from: &str, to: &str| Packet {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            content: Content::Rtp(Rc::from([0])),
        };
        let mut pass = |ms, from, to| network.handle_input(at(ms), &packet(from, to));
        assert!(pass(9, "10.0.0.1:1", "10.0.0.2:1"));
        assert!(!pass(10, "10.0.0.1:1", "10.0.0.2:1"));
        assert!(!pass(19, "10.0.0.2:1", "10.0.0.1:1"));
        assert!(pass(19, "10.0.0.3:1", "10.0.0.1:1"));
        assert!(pass(20, "10.0.0.1:1", "10.0.0.2:1"));
    }

    #[test]
    fn what_is_spoiled_is_lost_as_often_as_said() {
        let mut network = Network::new(Weather::CALM, Chance::new(1));
        network.spoil(Spoil::Ack, 2);
        let message = |line: &str, cseq: &str| {
            let text = format!("{line}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nCSeq: {cseq}\r\n\r\n");
            Rc::new(Read::of(Bytes::from(text)).unwrap())
        };
        let mut pass = |message: &Rc<Read>| {
            let (from, to) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:1".parse().unwrap());
            network.handle_input(Monotonic::ORIGIN, &Packet { from, to, content: Content::Sip(Rc::clone(message)) })
        };
        let ack = message("ACK sip:a@b SIP/2.0", "1 ACK");
        assert!(pass(&message("SIP/2.0 200 OK", "1 INVITE")));
        assert_eq!([pass(&ack), pass(&ack), pass(&ack)], [false, false, true]);
    }
}
