//! Who hears what (design, section 5): one pure function from a call's scene to the audio plan, and its table as a test.
//!
//! Architecture invariants: the AI never hears hold music; a caller never hears a whisper; nobody hears a party whose leg
//! is not seated; silence is encoded ("nothing" in the table), no packets at all only toward a party that holds us.

use crate::SuperviseMode;
use media_relay::{PortId, Words};
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
    /// Several legs at once.
    Mix(SmallVec<[PortId; 2]>),
    /// A player.
    Playing(Playing),
    /// A ringing tone.
    Ringback,
}

impl Hears {
    /// The legs that are heard.
    pub(crate) fn voices(&self) -> &[PortId] {
        match self {
            Self::Leg(one) => std::slice::from_ref(one),
            Self::Mix(several) => several,
            _ => &[],
        }
    }
}

/// A player: clips by name, once each, then one in a loop. The number keeps a player itself across plans: the same number
/// goes on where it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Playing {
    pub(crate) number: u32,
    pub(crate) first: SmallVec<[Arc<str>; 2]>,
    /// What the caller said last, among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) words: Option<Words>,
    pub(crate) then: Then,
}

/// What follows the clips said once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Then {
    Silence,
    Loop(Arc<str>),
    Ringback,
}

impl From<policy::Hold> for Then {
    fn from(hold: policy::Hold) -> Self {
        match hold {
            policy::Hold::Music(name) => Self::Loop(name),
            policy::Hold::Ringback => Self::Ringback,
        }
    }
}

/// Where the call is, as far as ears are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// Nobody has the caller yet.
    Connecting,
    /// Whom we called has answered, and nobody has them yet.
    Quiet,
    /// The AI has the caller.
    WithAi,
    /// The AI finishes its sentence and no longer hears the caller.
    LastWords,
    /// The caller waits: for a human, or for an AI that is dialled again.
    Waiting(Playing),
    /// The AI introduces the caller to the human: all three hear one another.
    Introducing,
    /// Caller and human are joined; what plays while one of them holds the other.
    WithHuman { held: Playing },
    /// Caller and human are told something, and talk on.
    Told(Playing),
    /// The caller is told something, and the call ends.
    Announcing(Playing),
    /// The caller hears a mailbox's greeting and its beep, then nothing while they speak.
    Voicemail(Playing),
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
    /// The AI that has stayed with them: it hears, and is heard by nobody.
    Copilot,
    /// A human who has answered and does not have the caller yet, and what is whispered to them.
    Candidate(Option<Playing>),
    /// A human who is told by the AI what it is about.
    Briefed,
    /// The human who has the caller.
    Human,
    /// Somebody who watches over the call, and who is to hear them.
    Supervisor(SuperviseMode),
}

impl Part {
    #[cfg(test)]
    fn party(&self) -> crate::Party {
        use crate::Party;
        match self {
            Self::Caller => Party::Caller,
            Self::Ai | Self::Copilot => Party::Ai,
            Self::Candidate(_) | Self::Briefed | Self::Human => Party::Human,
            Self::Supervisor(_) => Party::Supervisor,
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
    let briefed = seats.iter().find(|seat| seat.part == Part::Briefed);
    // Supervisors who are to be heard by whoever hears those of this mode.
    let supervisors = |mode: SuperviseMode| {
        seats.iter().filter(move |seat| matches!(seat.part, Part::Supervisor(its) if its >= mode))
    };
    let barging = || supervisors(SuperviseMode::Barge);
    let hears = |seat: &Seat| -> Hears {
        if seat.holds {
            return Hears::Nothing;
        }
        match (&seat.part, scene) {
            (_, Scene::Over) => Hears::Silence,
            (Part::Caller, Scene::Connecting) => Hears::Ringback,
            (Part::Caller, Scene::Quiet) => Hears::Silence,
            (Part::Caller, Scene::WithAi | Scene::LastWords) => voices(ai.into_iter().chain(barging())),
            (Part::Caller, Scene::Waiting(playing) | Scene::Announcing(playing) | Scene::Voicemail(playing)) => {
                Hears::Playing(playing.clone())
            }
            // Both of them: nobody speaks to somebody who does not hear it.
            (Part::Caller | Part::Human, Scene::Told(playing)) => Hears::Playing(playing.clone()),
            (Part::Caller, Scene::Introducing) => voices(ai.into_iter().chain(human).chain(barging())),
            (Part::Caller, Scene::WithHuman { held }) => match human {
                Some(human) if human.holds => Hears::Playing(held.clone()),
                human => voices(human.into_iter().chain(barging())),
            },
            (Part::Ai, Scene::WithAi) => voices(caller),
            (Part::Ai, Scene::Waiting(_)) => voices(briefed),
            (Part::Ai, Scene::Introducing) => voices(caller.into_iter().chain(human)),
            // While one of them holds the other there is no conversation to follow.
            (Part::Copilot, Scene::WithHuman { .. }) if !caller.into_iter().chain(human).any(|seat| seat.holds) => {
                voices(caller.into_iter().chain(human))
            }
            (Part::Ai | Part::Copilot, _) => Hears::Silence,
            (Part::Briefed, Scene::Waiting(_)) => voices(ai),
            (Part::Briefed, _) => Hears::Silence,
            (Part::Candidate(Some(whisper)), _) => Hears::Playing(whisper.clone()),
            (Part::Candidate(None), _) => Hears::Silence,
            (Part::Human, Scene::WithHuman { .. }) => {
                voices(caller.into_iter().chain(supervisors(SuperviseMode::Whisper)))
            }
            (Part::Human, Scene::Introducing) => {
                voices(caller.into_iter().chain(ai).chain(supervisors(SuperviseMode::Whisper)))
            }
            (Part::Human, _) => Hears::Silence,
            // Whoever has part in the conversation, nothing that is played, and nobody who is told what it is about.
            (Part::Supervisor(_), scene) => {
                let ai = ai.filter(|_| matches!(scene, Scene::WithAi | Scene::LastWords | Scene::Introducing));
                let others = barging().filter(|other| other.port != seat.port);
                voices(caller.into_iter().chain(ai).chain(human).chain(others))
            }
        }
    };
    seats.iter().map(|seat| (seat.port, hears(seat))).collect()
}

/// These together. Whoever holds us sends music of their own, which nobody hears.
fn voices<'a>(seats: impl IntoIterator<Item = &'a Seat>) -> Hears {
    let ports: SmallVec<[PortId; 2]> = seats.into_iter().filter(|seat| !seat.holds).map(|seat| seat.port).collect();
    match ports[..] {
        [] => Hears::Silence,
        [one] => Hears::Leg(one),
        _ => Hears::Mix(ports),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Party;

    const CALLER: PortId = PortId(1);
    const AI: PortId = PortId(2);
    const HUMAN: PortId = PortId(3);
    const OTHER: PortId = PortId(4);
    const SUPERVISOR: PortId = PortId(5);

    fn player(number: u32, then: Then) -> Playing {
        Playing { number, first: SmallVec::new(), words: None, then }
    }

    fn music() -> Playing {
        player(1, Then::Loop("music/default".into()))
    }

    fn whisper() -> Playing {
        let first = SmallVec::from_iter([Arc::from("incoming-handoff")]);
        Playing { number: 2, first, words: None, then: Then::Silence }
    }

    fn seat(port: PortId, part: Part) -> Seat {
        Seat { port, part, holds: false }
    }

    fn holding(port: PortId, part: Part) -> Seat {
        Seat { port, part, holds: true }
    }

    /// One cell of the design's table, in its words.
    fn word(hears: &Hears) -> String {
        let name = |port: PortId| match port {
            CALLER => "caller",
            AI => "AI",
            HUMAN => "human",
            SUPERVISOR => "supervisor",
            _ => "stranger",
        };
        match hears {
            Hears::Nothing => "-",
            Hears::Silence => "nothing",
            Hears::Leg(one) => name(*one),
            Hears::Mix(several) => return several.iter().map(|one| name(*one)).collect::<Vec<_>>().join(" + "),
            Hears::Playing(playing) if playing.number == 1 => "hold music",
            Hears::Playing(playing) if playing.number == 2 => "whisper",
            Hears::Playing(playing) if playing.number == 4 => "greeting, then beep",
            Hears::Playing(_) => "announcement",
            Hears::Ringback => "ringback",
        }
        .to_owned()
    }

    /// The design's table, section 5, row by row: state, seats, and what each of them hears in the order of the seats.
    #[test]
    fn the_table_of_who_hears_what() {
        use Part::{Ai, Briefed, Caller, Candidate, Copilot, Human, Supervisor};
        use SuperviseMode::{Barge, Listen, Whisper};
        let waiting = || Scene::Waiting(music());
        let with_human = || Scene::WithHuman { held: music() };
        let announcing = || Scene::Announcing(player(3, Then::Silence));
        let voicemail = || Scene::Voicemail(player(4, Then::Silence));
        let c = || seat(CALLER, Caller);
        let a = || seat(AI, Ai);
        let told = || seat(HUMAN, Candidate(Some(whisper())));
        let untold = || seat(HUMAN, Candidate(None));
        let other = || seat(OTHER, Candidate(Some(whisper())));
        let (h, p) = (|| seat(HUMAN, Human), || seat(AI, Copilot));
        let s = |mode| seat(SUPERVISOR, Supervisor(mode));
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
            ("whisper by AI",                           waiting(),         vec![c(), a(), seat(HUMAN, Briefed)],  &["hold music", "human", "AI"]),
            ("whisper by AI, another human told",       waiting(),         vec![c(), a(), seat(HUMAN, Briefed), other()], &["hold music", "human", "AI", "whisper"]),
            ("whisper by AI, which has not finished with the caller", Scene::LastWords, vec![c(), a(), seat(HUMAN, Briefed)], &["AI", "nothing", "nothing"]),
            ("whisper by AI, the human holds us",       waiting(),         vec![c(), a(), holding(HUMAN, Briefed)], &["hold music", "nothing", "-"]),
            ("whisper by an AI that is gone",           waiting(),         vec![c(), seat(HUMAN, Briefed)],    &["hold music", "nothing"]),
            ("two humans told at once",                 waiting(),         vec![c(), a(), told(), other()],    &["hold music", "nothing", "whisper", "whisper"]),
            ("human told, has yet to accept",           waiting(),         vec![c(), a(), untold()],           &["hold music", "nothing", "nothing"]),
            ("with human, both told something",         Scene::Told(player(3, Then::Silence)), vec![c(), p(), h(), s(Barge)], &["announcement", "nothing", "announcement", "caller + human"]),
            ("the same, the human holds the caller",    Scene::Told(player(3, Then::Silence)), vec![c(), holding(HUMAN, Human)], &["announcement", "-"]),
            ("with human",                              with_human(),      vec![c(), seat(HUMAN, Human)],      &["human", "caller"]),
            ("with human, AI still closing",            with_human(),      vec![c(), a(), seat(HUMAN, Human)], &["human", "nothing", "caller"]),
            ("human holds the caller",                  with_human(),      vec![c(), a(), holding(HUMAN, Human)], &["hold music", "nothing", "-"]),
            ("caller holds us, with AI",                Scene::WithAi,     vec![holding(CALLER, Caller), a()], &["-", "nothing"]),
            ("caller holds us, with human",             with_human(),      vec![holding(CALLER, Caller), seat(HUMAN, Human)], &["-", "nothing"]),
            ("caller holds us, whisper goes on",        waiting(),         vec![holding(CALLER, Caller), a(), told()], &["-", "nothing", "whisper"]),
            ("AI holds us",                             Scene::WithAi,     vec![c(), holding(AI, Ai)],         &["nothing", "-"]),
            ("AI lost",                                 waiting(),         vec![c()],                          &["hold music"]),
            ("announcement before the end",             announcing(),      vec![c()],                          &["announcement"]),
            ("introduction",                            Scene::Introducing, vec![c(), a(), h()],                   &["AI + human", "caller + human", "caller + AI"]),
            ("introduction, supervisor listening",      Scene::Introducing, vec![c(), a(), h(), s(Listen)],        &["AI + human", "caller + human", "caller + AI", "caller + AI + human"]),
            ("introduction, supervisor whispering",     Scene::Introducing, vec![c(), a(), h(), s(Whisper)],       &["AI + human", "caller + human", "caller + AI + supervisor", "caller + AI + human"]),
            ("introduction, supervisor barging",        Scene::Introducing, vec![c(), a(), h(), s(Barge)],         &["AI + human + supervisor", "caller + human", "caller + AI + supervisor", "caller + AI + human"]),
            ("introduction, caller holds us",           Scene::Introducing, vec![holding(CALLER, Caller), a(), h()], &["-", "human", "AI"]),
            ("introduction, human holds us",            Scene::Introducing, vec![c(), a(), holding(HUMAN, Human)], &["AI", "caller", "-"]),
            ("with human, AI co-pilot",                 with_human(),      vec![c(), p(), h()],                    &["human", "caller + human", "caller"]),
            ("co-pilot, supervisor barging",            with_human(),      vec![c(), p(), h(), s(Barge)],          &["human + supervisor", "caller + human", "caller + supervisor", "caller + human"]),
            ("co-pilot, human holds the caller",        with_human(),      vec![c(), p(), holding(HUMAN, Human)],  &["hold music", "nothing", "-"]),
            ("co-pilot, caller holds us",               with_human(),      vec![holding(CALLER, Caller), p(), h()], &["-", "nothing", "nothing"]),
            ("co-pilot holds us",                       with_human(),      vec![c(), holding(AI, Copilot), h()],   &["human", "-", "caller"]),
            ("human transfers on, co-pilot waits",      waiting(),         vec![c(), p(), untold()],               &["hold music", "nothing", "nothing"]),
            ("with human, supervisor listening",        with_human(),      vec![c(), h(), s(Listen)],              &["human", "caller", "caller + human"]),
            ("with human, supervisor whispering",       with_human(),      vec![c(), h(), s(Whisper)],             &["human", "caller + supervisor", "caller + human"]),
            ("with human, supervisor barging",          with_human(),      vec![c(), h(), s(Barge)],               &["human + supervisor", "caller + supervisor", "caller + human"]),
            ("with AI, supervisor listening",           Scene::WithAi,     vec![c(), a(), s(Listen)],              &["AI", "caller", "caller + AI"]),
            ("with AI, supervisor whispering",          Scene::WithAi,     vec![c(), a(), s(Whisper)],             &["AI", "caller", "caller + AI"]),
            ("with AI, supervisor barging",             Scene::WithAi,     vec![c(), a(), s(Barge)],               &["AI + supervisor", "caller", "caller + AI"]),
            ("AI's last words, supervisor listening",   Scene::LastWords,  vec![c(), a(), s(Listen)],              &["AI", "nothing", "caller + AI"]),
            ("waiting, supervisor barging",             waiting(),         vec![c(), a(), told(), s(Barge)],       &["hold music", "nothing", "whisper", "caller"]),
            ("AI lost, supervisor listening",           waiting(),         vec![c(), s(Listen)],                   &["hold music", "caller"]),
            ("human holds, supervisor barging",         with_human(),      vec![c(), holding(HUMAN, Human), s(Barge)], &["hold music", "-", "caller"]),
            ("caller holds us, supervisor whispering",  with_human(),      vec![holding(CALLER, Caller), h(), s(Whisper)], &["-", "supervisor", "human"]),
            ("supervisor holds us",                     with_human(),      vec![c(), h(), holding(SUPERVISOR, Supervisor(Barge))], &["human", "caller", "-"]),
            ("one supervisor listens, another barges",  with_human(),      vec![c(), h(), s(Barge), seat(OTHER, Supervisor(Listen))], &["human + supervisor", "caller + supervisor", "caller + human", "caller + human + supervisor"]),
            ("over, supervisor listening",              Scene::Over,       vec![c(), h(), s(Listen)],              &["nothing", "nothing", "nothing"]),
            ("voicemail: greeting, then beep",          voicemail(),       vec![c()],                          &["greeting, then beep"]),
            ("voicemail, AI still closing",             voicemail(),       vec![c(), a()],                     &["greeting, then beep", "nothing"]),
            ("voicemail, caller holds us",              voicemail(),       vec![holding(CALLER, Caller)],      &["-"]),
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
            Scene::Introducing,
            Scene::WithHuman { held: music() },
            Scene::Announcing(player(3, Then::Silence)),
            Scene::Voicemail(player(4, Then::Silence)),
            Scene::Over,
        ];
        let modes = [SuperviseMode::Listen, SuperviseMode::Whisper, SuperviseMode::Barge];
        for (mode, ai) in modes.into_iter().flat_map(|mode| [(mode, Part::Ai), (mode, Part::Copilot)]) {
            let parts = [
                (CALLER, Part::Caller),
                (AI, ai),
                (HUMAN, Part::Human),
                (OTHER, Part::Candidate(Some(whisper()))),
                (SUPERVISOR, Part::Supervisor(mode)),
            ];
            for scene in &scenes {
                for set in 0..32_u32 {
                    for held in 0..64_u32 {
                        // The fourth is told by a prompt, or by the AI.
                        let mut parts = parts.clone();
                        if held & 32 != 0 {
                            parts[3].1 = Part::Briefed;
                        }
                        let seats: Vec<_> = (0..5)
                            .filter(|i| set >> i & 1 == 1)
                            .map(|i| Seat { port: parts[i].0, part: parts[i].1.clone(), holds: held >> i & 1 == 1 })
                            .collect();
                        check(scene, &seats);
                    }
                }
            }
        }
    }

    fn check(scene: &Scene, seats: &[Seat]) {
        let plan = plan(scene, seats);
        assert_eq!(plan.len(), seats.len());
        for ((port, hears), seat) in plan.iter().zip(seats) {
            assert_eq!(*port, seat.port);
            let heard = hears.voices();
            for heard in heard {
                let other =
                    seats.iter().find(|other| other.port == *heard).expect("nobody hears a leg that is not seated");
                assert_ne!(other.port, seat.port, "nobody hears themselves");
                assert!(!other.holds, "nobody hears another's hold music");
                assert!(!matches!(other.part, Part::Candidate(_)), "nobody hears a human who has not accepted");
                let heard_by = |party| seat.part.party() == party;
                match other.part {
                    Part::Copilot => panic!("nobody hears a co-pilot"),
                    Part::Supervisor(SuperviseMode::Listen) => panic!("nobody hears a supervisor who listens"),
                    Part::Supervisor(SuperviseMode::Whisper) => assert!(heard_by(Party::Human), "only the human"),
                    Part::Supervisor(SuperviseMode::Barge) => assert!(!heard_by(Party::Ai), "never the AI"),
                    Part::Briefed => assert!(heard_by(Party::Ai), "only the AI hears whom it tells"),
                    _ => {}
                }
            }
            match seat.part.party() {
                Party::Ai => assert!(!matches!(hears, Hears::Playing(_) | Hears::Ringback), "the AI hears no music"),
                Party::Caller => {
                    assert!(!matches!(hears, Hears::Playing(p) if p.number == 2), "a caller never hears a whisper");
                }
                Party::Human => {
                    let told = seat.part == Part::Briefed && matches!(scene, Scene::Waiting(_));
                    let introduced = *scene == Scene::Introducing;
                    assert!(told || introduced || !heard.contains(&AI), "no human hears the AI but whom it tells");
                }
                Party::Supervisor => assert!(!matches!(hears, Hears::Playing(_) | Hears::Ringback), "no music either"),
            }
            assert_eq!(seat.holds, *hears == Hears::Nothing);
        }
    }
}
