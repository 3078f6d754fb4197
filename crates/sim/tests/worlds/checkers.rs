//! A checker that cannot fail is a defect: each is shown a run that is well, and the same run with one thing put wrong.

use calls::EndCause;
use sim::{Evidence, Options, Premises, Read, Sound, Traffic, Way, Weather, Wire, check, run};
use std::{collections::BTreeSet, net::SocketAddr, rc::Rc, time::Duration};

/// What is put wrong, and who must notice.
type Wrong = (&'static str, fn(&mut Evidence));

#[rustfmt::skip]
const WRONGS: &[Wrong] = &[
    ("one final response per INVITE",           |it| answer_again(it, 486)),
    ("one final response per INVITE",           |it| answer_again(it, 180)),
    ("one final response per INVITE",           |it| drop_sent(it, |read| read.answers("INVITE", 200, 700))),
    ("every request is answered",               |it| drop_sent(it, |read| read.answers("BYE", 200, 700))),
    ("copies are identical",                    copy_differently),
    ("CANCEL waits for a provisional response", |it| it.wire.retain(|it| !it.message.answers("INVITE", 100, 200))),
    ("every 2xx is acknowledged",               |it| drop_sent(it, |read| read.is("ACK"))),
    ("every 2xx is ended",                      |it| it.wire.retain(|it| !it.message.is("BYE"))),
    ("CSeq rises",                              |it| change(it, "BYE", |read| read.cseq = 1)),
    ("CSeq rises",                              |it| change(it, "ACK", |read| read.cseq += 7)),
    ("CSeq rises",                              |it| change(it, "CANCEL", |read| read.branch.push('x'))),
    ("one open offer per dialog",               offer_twice),
    ("one open offer per dialog",               accept_while_offering),
    ("reliable responses are in order",         |it| it.wire.retain(|it| it.way != Way::Arrived || !it.message.is("PRACK"))),
    ("reliable responses are in order",         number_anew),
    ("reliable responses are acknowledged",     |it| drop_sent(it, |read| read.is("PRACK"))),
    ("reliable responses are acknowledged",     |it| change(it, "PRACK", |read| set(read, "RAck", "1 1 INVITE"))),
    ("no session outlives its interval",        |it| delay(it, "BYE", Duration::from_secs(3_600))),
    ("no session outlives its interval",        |it| it.wire.retain(|it| it.message.cseq_method != "UPDATE")),
    ("every REFER is followed to its end",      |it| drop_sent(it, |read| read.is("NOTIFY"))),
    ("every REFER is followed to its end",      |it| change(it, "NOTIFY", |read| set(read, "Subscription-State", "active"))),
    ("every REFER is followed to its end",      |it| change(it, "NOTIFY", |read| set(read, "Subscription-State", "terminated"))),
    ("nobody hears a leg that is not theirs",   hear_another_call),
    ("nobody hears a leg that is not theirs",   hear_the_whisper),
    ("nobody hears a leg that is not theirs",   hear_too_early),
    ("nobody hears a leg that is not theirs",   |it| it.voices[0].to.set_port(9)),
    ("every call ends",                         |it| it.told.retain(|(_, event)| event.what.name() != "call.ended")),
    ("every call ends",                         |it| it.told.extend_from_within(..)),
    ("every caller ends where they may",        |it| it.cdrs[0].cause = EndCause::MaxDuration),
    ("every caller ends where they may",        |it| it.cdrs[0].cause = EndCause::Voicemail),
    ("every caller ends where they may",        |it| it.wire.retain(|it| it.way != Way::Arrived || !it.message.is("BYE"))),
    ("nobody waits for nothing",                |it| it.told.retain(|(_, event)| event.what.name() == "call.started" || event.what.name() == "call.ended")),
    ("whoever has the caller is there",         |it| it.wire.retain(|it| it.way != Way::Arrived || !it.message.answers("INVITE", 200, 300))),
    ("nobody stays who has no part",            |it| it.told.retain(|(_, event)| event.what.name() != "copilot.started")),
    ("whoever waits hears something",           hear_nothing_while_waiting),
    ("no agent is left reserved",               |it| it.agents[0].calls_now = 1),
    ("no agent is left reserved",               |it| it.queues[0].waiting = 1),
    ("no agent is rung twice",                  ring_twice),
    ("supervisors come and go",                 |it| it.told.retain(|(_, event)| event.what.name() != "supervisor.left")),
    ("callbacks are kept as they are",          |it| it.kept.clear()),
    ("callbacks are kept as they are",          |it| it.callbacks.clear()),
    ("callbacks are kept as they are",          |it| it.callbacks[0].tries += 1),
    ("every question is answered once",         |it| it.answers.extend_from_within(..)),
    ("every question is answered once",         |it| it.answers.clear()),
    ("nobody is called twice",                  call_twice),
    ("nobody is called twice",                  |it| it.cdrs.extend_from_within(..)),
    ("nobody comes in without the password",    |it| knock(it, |read| read.message.headers.retain(|(name, _)| name != "Proxy-Authorization"))),
    ("nobody comes in without the password",    |it| knock(it, |read| set(read, "Proxy-Authorization", "Digest username=\"tandem\""))),
    ("nobody comes in without the password",    |it| it.wire.iter_mut().for_each(|wire| if wire.message.status == 180 { Rc::make_mut(&mut wire.message).status = 407 })),
    ("whoever talks elsewhere is left alone",   talk_elsewhere),
    ("nobody is left alone",                    |it| it.seats.iter_mut().for_each(|seat| seat.over = None)),
    ("everybody is gone within 200 ms",         |it| delay(it, "BYE", Duration::from_millis(300))),
    ("everybody is gone within 200 ms",         |it| delay(it, "INVITE", Duration::from_secs(600))),
    ("one CDR per call",                        |it| it.cdrs.extend_from_within(..)),
    ("one CDR per call",                        |it| it.cdrs.clear()),
    ("one CDR per call",                        |it| it.told.retain(|(_, event)| event.what.name() != "call.started")),
    ("the CDR says what the wire says",         |it| it.cdrs[0].answered = None),
    ("the CDR says what the wire says",         |it| it.cdrs[0].legs[0].ended = None),
    ("the CDR says what the wire says",         |it| it.cdrs[0].legs.truncate(1)),
    ("nothing is left over",                    |it| it.left.tapes = 1),
    ("nothing is left over",                    |it| it.left.ports = 1),
    ("nothing is left over",                    |it| it.left.signaling.timers = 1),
    ("nothing is left over",                    |it| it.left.calls.outstanding = 1),
    ("nothing is broken",                       |it| it.errors = 1),
    ("nothing is broken",                       |it| it.panicked = 1),
    ("the world comes to rest",                 |it| it.rested = false),
];

#[test]
fn each_checker_notices_what_it_is_for() {
    let good = good();
    assert_eq!(check::judge(&good), []);
    let rich = MUST_HAVE.map(|(name, traffic, needed)| (name, rich(traffic, needed)));
    for (at, (name, put_wrong)) in WRONGS.iter().enumerate() {
        let of_extension = rich.iter().find(|(checker, _)| checker == name).map(|(_, evidence)| evidence);
        let mut evidence = of_extension.unwrap_or(&good).clone();
        put_wrong(&mut evidence);
        let found = check::judge(&evidence);
        assert!(found.iter().any(|violation| violation.checker == *name), "number {at}, {name}: {found:?}");
    }
    let shown: BTreeSet<&str> = WRONGS.iter().map(|(name, _)| *name).collect();
    let all: BTreeSet<&str> = check::CHECKERS.iter().map(|(name, _)| *name).collect();
    assert_eq!(shown, all, "a checker is not shown to fail");
}

/// A lawful run with everything in it that is to be put wrong: two calls, a bridge, a whisper, a CANCEL of ours, a re-INVITE.
fn good() -> Evidence {
    let premises = Premises::new();
    let of = |seed, sampled| {
        run(seed, &premises, Options { weather: Weather::CALM, sampled, traffic: Traffic::Plain, written_down: false })
    };
    let rich = |it: &Evidence| {
        let told = |name| told(it, name) > 0;
        it.placed > 1
            && it.cdrs.iter().all(|cdr| cdr.answered.is_some())
            && it.cdrs[0].legs.len() > 2
            && told("transfer.bridged")
            && told("whisper.started")
            && it.wire.iter().any(|wire| sent(wire, it.house) && wire.message.is("CANCEL"))
            && it.wire.iter().any(|wire| is_reinvite(it, wire))
    };
    let heard = |it: &Evidence| {
        let human = |word: u8| it.seats.iter().any(|seat| seat.word == word && !AI_OR_CALLER.contains(&seat.party));
        let bridged = |voiced: &sim::Voiced| matches!(voiced.sound, Sound::Word(word) if human(word));
        it.voices.iter().any(|voiced| voiced.sound == Sound::Clip(it.clips.whisper)) && it.voices.iter().any(bridged)
    };
    let candidates = (1..20_000).filter(|seed| rich(&of(*seed, false).evidence));
    let mut runs = candidates.map(|seed| of(seed, true)).filter(|outcome| outcome.violations.is_empty());
    runs.find(|outcome| rich(&outcome.evidence) && heard(&outcome.evidence)).unwrap().evidence
}

/// A checker, and what it needs of which traffic.
type Needed = (&'static str, Traffic, fn(&Evidence) -> bool);

/// What a run must have in it for a checker of more than the plain traffic to have anything to check.
const MUST_HAVE: [Needed; 16] = [
    ("reliable responses are in order", Traffic::Rich, |it| {
        let offered = |wire: &Wire| wire.message.answers("INVITE", 180, 181) && wire.message.has_session();
        it.wire.iter().any(|wire| sent(wire, it.house) && offered(wire)) && it.cdrs[0].answered.is_some()
    }),
    ("reliable responses are acknowledged", Traffic::Rich, |it| sends(it, "PRACK") > 0 && it.cdrs[0].legs.len() > 1),
    ("no session outlives its interval", Traffic::Rich, |it| sends(it, "UPDATE") > 0 && it.placed == 1),
    ("every REFER is followed to its end", Traffic::Rich, |it| sends(it, "NOTIFY") > 1 && it.placed == 1),
    ("every caller ends where they may", Traffic::Whole, |it| {
        it.placed == 1 && it.cdrs[0].cause == EndCause::CallerHungUp
    }),
    ("nobody waits for nothing", Traffic::Whole, |it| it.cdrs[0].duration_ms > 45_000),
    ("whoever has the caller is there", Traffic::Whole, |it| told(it, "transfer.bridged") > 0),
    ("nobody stays who has no part", Traffic::Whole, |it| {
        told(it, "copilot.started") > 0 && it.cdrs[0].duration_ms > 20_000
    }),
    ("whoever waits hears something", Traffic::Whole, |it| told(it, "queue.entered") > 0 && told(it, "leg.hold") == 0),
    ("no agent is left reserved", Traffic::Whole, |it| it.queues.len() > 1),
    ("no agent is rung twice", Traffic::Whole, |it| rung(it).is_some()),
    ("supervisors come and go", Traffic::Whole, |it| told(it, "supervisor.joined") > 0),
    ("callbacks are kept as they are", Traffic::Whole, |it| {
        told(it, "callback.requested") > 0 && told(it, "callback.changed") > 0
    }),
    ("nobody is called twice", Traffic::Wide, |it| called(it).is_some()),
    ("nobody comes in without the password", Traffic::Wide, |it| {
        let rings = |wire: &Wire| sent(wire, it.house) && wire.message.status == 180;
        it.gated && it.wire.iter().any(rings) && it.cdrs.iter().all(|cdr| cdr.answered.is_some())
    }),
    ("whoever talks elsewhere is left alone", Traffic::Wide, |it| {
        let Some((_, invite)) = rung(it) else { return false };
        let tells = |wire: &Wire| wire.message.is("NOTIFY") && wire.from.ip() == invite.to.ip();
        it.wire.iter().any(|wire| tells(wire) && wire.at + Duration::from_secs(1) < invite.at)
    }),
];

fn told(evidence: &Evidence, name: &str) -> usize {
    evidence.told.iter().filter(|(_, event)| event.what.name() == name).count()
}

/// Where an agent's phone says that it rings, and the INVITE that it rings for.
fn rung(evidence: &Evidence) -> Option<(usize, Wire)> {
    let agents = ["10.0.0.33:5060", "10.0.0.34:5060"];
    let rings = |wire: &Wire| {
        let party = wire.from.to_string();
        wire.way == Way::Arrived && agents.contains(&party.as_str()) && wire.message.answers("INVITE", 180, 181)
    };
    let at = evidence.wire.iter().position(rings)?;
    let call_id = &evidence.wire[at].message.call_id;
    let invited =
        |wire: &&Wire| sent(wire, evidence.house) && wire.message.is("INVITE") && wire.message.call_id == *call_id;
    Some((at, evidence.wire.iter().find(invited)?.clone()))
}

fn ring_twice(evidence: &mut Evidence) {
    let (at, mut other) = rung(evidence).unwrap();
    let read = Rc::make_mut(&mut other.message);
    (read.branch, read.call_id) = ("z9hG4bKother".to_owned(), "another".to_owned());
    evidence.wire.insert(at + 1, other);
}

/// The INVITE to somebody who is called and has answered.
fn called(evidence: &Evidence) -> Option<Wire> {
    let theirs = |wire: &&Wire| {
        let uri = wire.message.message.uri().unwrap_or_default();
        sent(wire, evidence.house)
            && wire.message.is("INVITE")
            && evidence.persons.iter().any(|person| uri.contains(person))
    };
    let up = |wire: &&Wire| {
        let answers = |it: &Wire| it.message.answers("INVITE", 200, 300) && it.message.call_id == wire.message.call_id;
        evidence.wire.iter().any(|it| it.way == Way::Arrived && answers(it))
    };
    evidence.wire.iter().filter(theirs).find(up).cloned()
}

fn call_twice(evidence: &mut Evidence) {
    let mut other = called(evidence).unwrap();
    let read = Rc::make_mut(&mut other.message);
    (read.branch, read.call_id) = ("z9hG4bKother".to_owned(), "another".to_owned());
    evidence.wire.push(other);
}

/// Changes every INVITE that came from the trunk.
fn knock(evidence: &mut Evidence, how: fn(&mut Read)) {
    let knocks = |wire: &&mut Wire| wire.message.is("INVITE") && wire.from.to_string() == "10.0.0.10:5060";
    for wire in evidence.wire.iter_mut().filter(knocks) {
        how(Rc::make_mut(&mut wire.message));
    }
}

/// Agents' phones say from the beginning that they have a call of their own.
fn talk_elsewhere(evidence: &mut Evidence) {
    for wire in evidence.wire.iter_mut().filter(|wire| wire.message.is("NOTIFY")) {
        let body = &mut Rc::make_mut(&mut wire.message).message.body;
        *body =
            "<dialog-info state=\"full\"><dialog id=\"own\"><state>confirmed</state></dialog></dialog-info>".to_owned();
    }
}

fn hear_nothing_while_waiting(evidence: &mut Evidence) {
    for voiced in &mut evidence.voices {
        if matches!(voiced.sound, Sound::Clip(_) | Sound::Tone) {
            voiced.sound = Sound::Silence;
        }
    }
}

fn sends(evidence: &Evidence, method: &str) -> usize {
    evidence.wire.iter().filter(|wire| sent(wire, evidence.house) && wire.message.is(method)).count()
}

/// A lawful run with that in it.
fn rich(traffic: Traffic, needed: fn(&Evidence) -> bool) -> Evidence {
    let premises = Premises::new();
    let options = Options { weather: Weather::CALM, sampled: false, traffic, written_down: false };
    let mut runs = (1..20_000).map(|seed| run(seed, &premises, options).evidence);
    runs.find(|it| needed(it) && check::judge(it).is_empty()).unwrap()
}

fn set(read: &mut Read, name: &str, value: &str) {
    for (_, old) in read.message.headers.iter_mut().filter(|(known, _)| known == name) {
        value.clone_into(old);
    }
}

/// What we said reliably is followed by something with a number too high.
fn number_anew(evidence: &mut Evidence) {
    let house = evidence.house;
    let reliable = |it: &&Wire| sent(it, house) && it.message.answers("INVITE", 180, 181) && it.message.has_session();
    let mut second = evidence.wire.iter().find(reliable).unwrap().clone();
    set(Rc::make_mut(&mut second.message), "RSeq", "2000000000");
    evidence.wire.push(second);
}

const AI_OR_CALLER: [&str; 3] = ["trunk", "bot", "backup"];

fn sent(wire: &Wire, house: SocketAddr) -> bool {
    wire.from == house && wire.way != Way::Arrived
}

fn is_reinvite(evidence: &Evidence, wire: &Wire) -> bool {
    let read = &wire.message;
    wire.way == Way::Arrived
        && wire.to == evidence.house
        && read.is("INVITE")
        && read.has_session()
        && !read.to_tag.is_empty()
}

fn drop_sent(evidence: &mut Evidence, which: fn(&Read) -> bool) {
    let house = evidence.house;
    evidence.wire.retain(|it| it.from != house || !which(&it.message));
}

fn change(evidence: &mut Evidence, method: &str, how: fn(&mut Read)) {
    let house = evidence.house;
    for it in evidence.wire.iter_mut().filter(|it| it.from == house && it.message.is(method)) {
        how(Rc::make_mut(&mut it.message));
    }
}

fn delay(evidence: &mut Evidence, method: &str, by: Duration) {
    for it in evidence.wire.iter_mut().filter(|it| it.message.is(method)) {
        it.at = it.at + by;
    }
}

/// The last final response to an INVITE is followed by another.
fn answer_again(evidence: &mut Evidence, status: u16) {
    let house = evidence.house;
    let answers = |it: &&Wire| sent(it, house) && it.message.answers("INVITE", 200, 700);
    let mut again = evidence.wire.iter().rev().find(answers).unwrap().clone();
    let read = Rc::make_mut(&mut again.message);
    read.status = status;
    read.bytes = format!("SIP/2.0 {status} Another\r\n").into();
    evidence.wire.push(again);
}

fn copy_differently(evidence: &mut Evidence) {
    let house = evidence.house;
    let mut copy = evidence.wire.iter().find(|it| sent(it, house) && it.message.is("BYE")).unwrap().clone();
    Rc::make_mut(&mut copy.message).bytes = "BYE as it was not\r\n".into();
    evidence.wire.push(copy);
}

/// The daemon offers again before its first offer has an answer.
fn offer_twice(evidence: &mut Evidence) {
    let house = evidence.house;
    let at = evidence.wire.iter().position(|it| sent(it, house) && it.message.is("INVITE")).unwrap();
    let mut second = evidence.wire[at].clone();
    let read = Rc::make_mut(&mut second.message);
    read.branch.push('2');
    evidence.wire.insert(at + 1, second);
}

/// A peer's re-INVITE is accepted although the daemon has just offered itself.
fn accept_while_offering(evidence: &mut Evidence) {
    let at = evidence.wire.iter().position(|it| is_reinvite(evidence, it)).unwrap();
    let mut ours = evidence.wire[at].clone();
    (ours.from, ours.to, ours.way) = (ours.to, ours.from, Way::Sent);
    Rc::make_mut(&mut ours.message).branch.push('2');
    evidence.wire.insert(at, ours);
}

fn hear_another_call(evidence: &mut Evidence) {
    let (word, at) = a_word(evidence);
    let mine = evidence.seats.iter().find(|seat| seat.word == word).unwrap().call;
    let stranger = evidence.seats.iter().find(|seat| seat.call.is_some() && seat.call != mine).unwrap().word;
    evidence.voices[at].sound = Sound::Word(stranger);
}

fn hear_the_whisper(evidence: &mut Evidence) {
    let caller = evidence.seats.iter().find(|seat| seat.party == "trunk").unwrap().rtp;
    let whisper = evidence.clips.whisper;
    evidence.voices.iter_mut().find(|voiced| voiced.to == caller).unwrap().sound = Sound::Clip(whisper);
}

/// The human is heard by the caller from the first moment on.
fn hear_too_early(evidence: &mut Evidence) {
    let is_human = |word: u8| {
        let speaker = evidence.seats.iter().find(|seat| seat.word == word);
        speaker.is_some_and(|seat| !AI_OR_CALLER.contains(&seat.party))
    };
    let heard = evidence.voices.iter().position(|voiced| matches!(voiced.sound, Sound::Word(word) if is_human(word)));
    let start = evidence.start;
    evidence.voices[heard.unwrap()].from = start;
}

fn a_word(evidence: &Evidence) -> (u8, usize) {
    let word = |(at, voiced): (usize, &sim::Voiced)| match voiced.sound {
        Sound::Word(word) => Some((word, at)),
        _ => None,
    };
    evidence.voices.iter().enumerate().find_map(word).unwrap()
}
