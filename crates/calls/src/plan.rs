//! Who hears what (design, section 5): one pure function from a call's scene to the audio plan, and its table as a test.
//!
//! Architecture invariants: the AI never hears hold music; a caller never hears a whisper; nobody hears a party whose leg
//! is not seated; silence is encoded ("nothing" in the table), no packets at all only toward a party that holds us.

use media_relay::PortId;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::Arc;

/// What one leg hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hears {
    /// No packets: it holds us.
    Nothing,
    /// Encoded silence.
    Silence,
    /// Another leg.
    Leg(PortId),
    /// A player.
    Playing(Playing),
    /// A ringing tone.
    Ringback,
}

/// A player: clips by name, once each, then one in a loop. The number keeps a player itself across plans: the same number
/// goes on where it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Playing {
    pub(crate) number: u32,
    pub(crate) first: SmallVec<[Arc<str>; 2]>,
    pub(crate) then: Then,
}

/// What follows the clips said once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Then {
    Silence,
    Loop(Arc<str>),
    Ringback,
}

/// Where the call is, as far as ears are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// Nobody has the caller yet.
    Connecting,
    /// The AI has the caller.
    WithAi,
    /// The AI finishes its sentence and no longer hears the caller.
    LastWords,
    /// The caller waits: for a human, or for an AI that is dialled again.
    Waiting(Playing),
    /// Caller and human are joined; what plays while one of them holds the other.
    WithHuman { held: Playing },
    /// The caller is told something, and the call ends.
    Announcing(Playing),
    /// Legs are being closed.
    Over,
}

/// A leg with an open port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) port: PortId,
    pub(crate) part: Part,
    /// Its peer holds us: it wants to hear nothing, and what it sends is its own hold music.
    pub(crate) holds: bool,
}

/// The part a leg has in the scene.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Caller,
    /// The AI; what the caller hears while it holds us.
    Ai,
    /// A human who has answered and does not have the caller yet, and what is whispered to them.
    Candidate(Option<Playing>),
    /// The human who has the caller.
    Human,
}

impl Part {
    #[cfg(test)]
    fn party(&self) -> crate::Party {
        use crate::Party;
        match self {
            Self::Caller => Party::Caller,
            Self::Ai => Party::Ai,
            Self::Candidate(_) | Self::Human => Party::Human,
        }
    }
}

/// A whole plan.
pub(crate) type Plan = SmallVec<[(PortId, Hears); 4]>;

/// Who hears what.
pub(crate) fn plan(scene: &Scene, seats: &[Seat]) -> Plan {
    let caller = seats.iter().find(|seat| seat.part == Part::Caller);
    let ai = seats.iter().find(|seat| seat.part == Part::Ai);
    let human = seats.iter().find(|seat| seat.part == Part::Human);
    let voice = |seat: Option<&Seat>| match seat {
        Some(seat) if !seat.holds => Hears::Leg(seat.port),
        _ => Hears::Silence,
    };
    let hears = |seat: &Seat| -> Hears {
        if seat.holds {
            return Hears::Nothing;
        }
        match (&seat.part, scene) {
            (_, Scene::Over) => Hears::Silence,
            (Part::Caller, Scene::Connecting) => Hears::Ringback,
            (Part::Caller, Scene::WithAi | Scene::LastWords) => voice(ai),
            (Part::Caller, Scene::Waiting(playing) | Scene::Announcing(playing)) => Hears::Playing(playing.clone()),
            (Part::Caller, Scene::WithHuman { held }) => match human {
                Some(human) if human.holds => Hears::Playing(held.clone()),
                human => voice(human),
            },
            (Part::Ai, Scene::WithAi) => voice(caller),
            (Part::Ai, _) => Hears::Silence,
            (Part::Candidate(Some(whisper)), _) => Hears::Playing(whisper.clone()),
            (Part::Candidate(None), _) => Hears::Silence,
            (Part::Human, Scene::WithHuman { .. }) => voice(caller),
            (Part::Human, _) => Hears::Silence,
        }
    };
    seats.iter().map(|seat| (seat.port, hears(seat))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Party;

    const CALLER: PortId = PortId(1);
    const AI: PortId = PortId(2);
    const HUMAN: PortId = PortId(3);
    const OTHER: PortId = PortId(4);

    fn player(number: u32, then: Then) -> Playing {
        Playing { number, first: SmallVec::new(), then }
    }

    fn music() -> Playing {
        player(1, Then::Loop("music/default".into()))
    }

    fn whisper() -> Playing {
        Playing { number: 2, first: SmallVec::from_iter([Arc::from("incoming-handoff")]), then: Then::Silence }
    }

    fn seat(port: PortId, part: Part) -> Seat {
        Seat { port, part, holds: false }
    }

    fn holding(port: PortId, part: Part) -> Seat {
        Seat { port, part, holds: true }
    }

    /// One cell of the design's table, in its words.
    fn word(hears: &Hears) -> &'static str {
        match hears {
            Hears::Nothing => "-",
            Hears::Silence => "nothing",
            Hears::Leg(CALLER) => "caller",
            Hears::Leg(AI) => "AI",
            Hears::Leg(HUMAN) => "human",
            Hears::Leg(_) => "stranger",
            Hears::Playing(playing) if playing.number == 1 => "hold music",
            Hears::Playing(playing) if playing.number == 2 => "whisper",
            Hears::Playing(_) => "announcement",
            Hears::Ringback => "ringback",
        }
    }

    /// The design's table, section 5, row by row: state, seats, and what each of them hears in the order of the seats.
    #[test]
    fn the_table_of_who_hears_what() {
        use Part::{Ai, Caller, Candidate, Human};
        let waiting = || Scene::Waiting(music());
        let with_human = || Scene::WithHuman { held: music() };
        let announcing = || Scene::Announcing(player(3, Then::Silence));
        let c = || seat(CALLER, Caller);
        let a = || seat(AI, Ai);
        let told = || seat(HUMAN, Candidate(Some(whisper())));
        let untold = || seat(HUMAN, Candidate(None));
        let other = || seat(OTHER, Candidate(Some(whisper())));
        #[rustfmt::skip]
        let table: Vec<(&str, Scene, Vec<Seat>, &[&str])> = vec![
            ("AI ringing",                              Scene::Connecting, vec![c()],                          &["ringback"]),
            ("with AI",                                 Scene::WithAi,     vec![c(), a()],                     &["AI", "caller"]),
            ("AI's last words",                         Scene::LastWords,  vec![c(), a()],                     &["AI", "nothing"]),
            ("AI's last words, human told already",     Scene::LastWords,  vec![c(), a(), told()],             &["AI", "nothing", "whisper"]),
            ("AI's last words, human waits",            Scene::LastWords,  vec![c(), a(), untold()],           &["AI", "nothing", "nothing"]),
            ("AI gone in its last words",               Scene::LastWords,  vec![c()],                          &["nothing"]),
            ("waiting, warm",                           waiting(),         vec![c(), a()],                     &["hold music", "nothing"]),
            ("waiting, cold",                           waiting(),         vec![c()],                          &["hold music"]),
            ("whisper by prompt",                       waiting(),         vec![c(), a(), told()],             &["hold music", "nothing", "whisper"]),
            ("two humans told at once",                 waiting(),         vec![c(), a(), told(), other()],    &["hold music", "nothing", "whisper", "whisper"]),
            ("human told, has yet to accept",           waiting(),         vec![c(), a(), untold()],           &["hold music", "nothing", "nothing"]),
            ("with human",                              with_human(),      vec![c(), seat(HUMAN, Human)],      &["human", "caller"]),
            ("with human, AI still closing",            with_human(),      vec![c(), a(), seat(HUMAN, Human)], &["human", "nothing", "caller"]),
            ("human holds the caller",                  with_human(),      vec![c(), a(), holding(HUMAN, Human)], &["hold music", "nothing", "-"]),
            ("caller holds us, with AI",                Scene::WithAi,     vec![holding(CALLER, Caller), a()], &["-", "nothing"]),
            ("caller holds us, with human",             with_human(),      vec![holding(CALLER, Caller), seat(HUMAN, Human)], &["-", "nothing"]),
            ("caller holds us, whisper goes on",        waiting(),         vec![holding(CALLER, Caller), a(), told()], &["-", "nothing", "whisper"]),
            ("AI holds us",                             Scene::WithAi,     vec![c(), holding(AI, Ai)],         &["nothing", "-"]),
            ("AI lost",                                 waiting(),         vec![c()],                          &["hold music"]),
            ("announcement before the end",             announcing(),      vec![c()],                          &["announcement"]),
            ("over",                                    Scene::Over,       vec![c(), a(), seat(HUMAN, Human)], &["nothing", "nothing", "nothing"]),
        ];
        for (state, scene, seats, expected) in table {
            let heard: Vec<_> = plan(&scene, &seats).iter().map(|(_, hears)| word(hears)).collect();
            assert_eq!(heard, expected, "{state}");
        }
    }

    /// Every scene with every set of seats, holding or not: what must be absent is absent.
    #[test]
    fn nobody_hears_what_is_not_theirs() {
        let scenes = [
            Scene::Connecting,
            Scene::WithAi,
            Scene::LastWords,
            Scene::Waiting(music()),
            Scene::WithHuman { held: music() },
            Scene::Announcing(player(3, Then::Silence)),
            Scene::Over,
        ];
        let parts =
            [(CALLER, Part::Caller), (AI, Part::Ai), (HUMAN, Part::Human), (OTHER, Part::Candidate(Some(whisper())))];
        for scene in &scenes {
            for set in 0..16_u32 {
                for held in 0..16_u32 {
                    let seats: Vec<_> = (0..4)
                        .filter(|i| set >> i & 1 == 1)
                        .map(|i| Seat { port: parts[i].0, part: parts[i].1.clone(), holds: held >> i & 1 == 1 })
                        .collect();
                    check(scene, &seats);
                }
            }
        }
    }

    fn check(scene: &Scene, seats: &[Seat]) {
        let plan = plan(scene, seats);
        assert_eq!(plan.len(), seats.len());
        for ((port, hears), seat) in plan.iter().zip(seats) {
            assert_eq!(*port, seat.port);
            if let Hears::Leg(heard) = hears {
                let other =
                    seats.iter().find(|other| other.port == *heard).expect("nobody hears a leg that is not seated");
                assert_ne!(other.port, seat.port, "nobody hears themselves");
                assert!(!other.holds, "nobody hears another's hold music");
                assert!(!matches!(other.part, Part::Candidate(_)), "nobody hears a human who has not accepted");
            }
            match seat.part.party() {
                Party::Ai => assert!(!matches!(hears, Hears::Playing(_) | Hears::Ringback), "the AI hears no music"),
                Party::Caller => {
                    assert!(!matches!(hears, Hears::Playing(p) if p.number == 2), "a caller never hears a whisper");
                }
                Party::Human => assert!(!matches!(hears, Hears::Leg(AI)), "no human hears the AI in this table"),
            }
            assert_eq!(seat.holds, *hears == Hears::Nothing);
        }
    }
}
