//! Nobody is stranded (design, section 7): every caller ends with a human, the AI, a mailbox, a callback, a message or their own hang-up,
//! and meanwhile whoever has them is there, and nobody else.

use super::{
    Awaited,
    scenes::{Scene, Who, stories},
};
use crate::{Evidence, trace::Way};
use calls::{CallId, Cdr, EndCause, Happening};
use clock::Monotonic;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

/// How long whoever has no part any more may still be there, and whoever has one not yet.
const AT_ONCE: Duration = Duration::from_millis(300);
/// The longest that a caller waits for the next thing to happen: a phone that rings, a queue that is left, an AI that is dialled, or a
/// ringing of ours that nobody acknowledges.
const LONGEST_WAIT: Duration = Duration::from_secs(40);
/// The same while a human is told what it is about, and has time to accept.
const LONGEST_TELLING: Duration = Duration::from_secs(72);

/// Why a call ended agrees with what was seen of it.
pub(super) fn every_caller_ends_where_they_may(evidence: &Evidence) -> Vec<String> {
    evidence.cdrs.iter().filter_map(|cdr| Some(format!("{}: {}", cdr.call, unfounded(evidence, cdr)?))).collect()
}

/// What is missing for a call to have ended as its record says.
fn unfounded(evidence: &Evidence, cdr: &Cdr) -> Option<String> {
    let told: Vec<&Happening> =
        evidence.told.iter().filter(|(_, event)| event.call == Some(cdr.call)).map(|(_, event)| &event.what).collect();
    let any = |name: &str| told.iter().any(|what| what.name() == name);
    let replaced = any("leg.replaced") || any("leg.joined");
    let last_failure = told.iter().rev().find_map(|what| match what {
        Happening::TransferFailed { next, .. } => Some(next.as_str()),
        _ => None,
    });
    let founded = match cdr.cause {
        EndCause::CallerHungUp => replaced || caller_left(evidence, cdr),
        EndCause::HumanHungUp => any("transfer.bridged") || replaced,
        EndCause::AiLost => told.iter().any(|what| match what {
            Happening::AiLost { next, .. } => next == "end" || next.starts_with("announce"),
            _ => false,
        }),
        EndCause::NobodyLeft => last_failure == Some("end"),
        EndCause::Voicemail => any("voicemail.started"),
        EndCause::Callback => {
            let requested = told.iter().position(|what| what.name() == "callback.requested");
            let said = told.iter().rposition(|what| what.name() == "announcement.started");
            // Whom we have not reached yet cannot be told.
            let unheard = is_placed(cdr) && cdr.answered.is_none();
            requested.is_some_and(|requested| unheard || said.is_some_and(|said| requested < said))
        }
        EndCause::NotReached => is_placed(cdr) && cdr.answered.is_none(),
        EndCause::Command => evidence.hung_up.contains(&cdr.call),
        EndCause::Rule => {
            told.iter().any(|what| matches!(what, Happening::PolicyDecided { does, .. } if does == "end"))
        }
        EndCause::Joined => any("call.joined"),
        EndCause::Referred => any("transfer.referred"),
        // They sent nothing (before they ever acknowledged our answer, perhaps), their own signaling failed, or there is nothing that both
        // sides speak.
        EndCause::MediaTimeout | EndCause::Refused => true,
        EndCause::MaxDuration | EndCause::Shutdown | EndCause::InternalError => false,
    };
    (!founded).then(|| format!("ended by {:?}, of which nothing was seen", cdr.cause))
}

/// Whether the daemon called, and was not called.
pub(super) fn is_placed(cdr: &Cdr) -> bool {
    cdr.direction == policy::Direction::Outbound
}

/// BYE or CANCEL of the caller's came.
fn caller_left(evidence: &Evidence, cdr: &Cdr) -> bool {
    evidence.reached().any(|it| {
        let read = &it.message;
        read.call_id == cdr.sip_call_id && (read.is("BYE") || read.is("CANCEL"))
    })
}

/// While nobody has the caller, something goes on.
pub(super) fn nobody_waits_for_nothing(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let end = evidence.wire.last().map_or(evidence.start, |it| it.at);
    for (call, story) in stories(evidence) {
        let held = held(evidence, call, end);
        let told: Vec<_> = evidence.told.iter().filter(|(_, event)| event.call == Some(call)).collect();
        for (scene, since, until) in stretches(&story, end) {
            if scene.who != Who::Nobody || !scene.alive {
                continue;
            }
            let (mut last, mut telling) = ((since, ""), false);
            let steps = told.iter().filter(|(at, event)| (since..=until).contains(at) && goes_on(&event.what));
            let steps = steps.map(|(at, event)| (*at, event.what.name())).chain([(until, "")]);
            for (at, name) in steps {
                telling |= last.1 == "whisper.started";
                let longest = if telling { LONGEST_TELLING } else { LONGEST_WAIT };
                // Whoever puts us on hold does not wait for us.
                let apart = |(from, until): &(Monotonic, Monotonic)| (*until).min(at).since((*from).max(last.0));
                if at.since(last.0) > longest + held.iter().map(apart).sum::<Duration>() {
                    let (from, until) = (evidence.ms(last.0), evidence.ms(at));
                    wrong.push(format!("{call}: nothing from {from} to {until} ms, last {:?}", last.1));
                }
                last = (at, name);
            }
        }
    }
    wrong
}

/// When the caller held us.
fn held(evidence: &Evidence, call: CallId, end: Monotonic) -> Vec<(Monotonic, Monotonic)> {
    let (mut all, mut since) = (Vec::new(), None);
    for (at, event) in evidence.told.iter().filter(|(_, event)| event.call == Some(call)) {
        match &event.what {
            Happening::LegHold { leg, holds: true } if leg == "caller" => since = Some(*at),
            Happening::LegHold { leg, holds: false } if leg == "caller" => {
                all.extend(since.take().map(|since| (since, *at)));
            }
            _ => {}
        }
    }
    all.extend(since.map(|since| (since, end)));
    all
}

/// Whether it brings a caller who waits any further.
fn goes_on(what: &Happening) -> bool {
    let aside = ["dtmf", "leg.hold", "facts.changed", "queue.position", "leg.one_way_audio", "transfer.measured"];
    let name = what.name();
    !aside.contains(&name) && !name.starts_with("supervisor.") && !name.starts_with("recording.")
}

/// A dialog with somebody who was dialled for a call, from its answer on.
#[derive(Debug)]
struct Dialog<'a> {
    call: CallId,
    host: IpAddr,
    call_id: &'a str,
    answered: Monotonic,
    ended: Option<Monotonic>,
}

/// Those that were answered, without supervisors.
fn dialogs(evidence: &Evidence) -> Vec<Dialog<'_>> {
    let mut invited: BTreeMap<&str, (CallId, IpAddr)> = BTreeMap::new();
    let mut answered: BTreeMap<(&str, &str), Dialog<'_>> = BTreeMap::new();
    let mut awaited = Awaited::default();
    for (sent, it) in evidence.seen() {
        let read = &it.message;
        let expected = awaited.see(sent, it);
        let ours = sent == (read.status == 0);
        let tag = if ours { read.to_tag.as_str() } else { read.from_tag.as_str() };
        let key = (read.call_id.as_str(), tag);
        if sent && read.is("INVITE") && read.to_tag.is_empty() && read.message.header("X-Tandem-Supervise").is_none() {
            let call = read.message.header("X-Tandem-Call-Id").and_then(|id| id.parse().ok());
            if let Some(call) = call {
                invited.entry(&read.call_id).or_insert((call, it.to.ip()));
            }
        } else if expected && read.answers("INVITE", 200, 300) {
            if let Some((call, host)) = invited.get(read.call_id.as_str()).copied() {
                let (call_id, at) = (read.call_id.as_str(), it.at);
                answered.entry(key).or_insert(Dialog { call, host, call_id, answered: at, ended: None });
            }
        } else if read.is("BYE")
            && let Some(dialog) = answered.get_mut(&key)
        {
            dialog.ended.get_or_insert(it.at);
        }
    }
    answered.into_values().collect()
}

/// Calls in which phones took the place of others: who is who there is told elsewhere.
fn exchanged(evidence: &Evidence) -> BTreeSet<CallId> {
    let exchanges = ["leg.replaced", "leg.joined", "call.joined"];
    let found = evidence.told.iter().filter(|(_, event)| exchanges.contains(&event.what.name()));
    found.filter_map(|(_, event)| event.call).collect()
}

fn is_ai(host: IpAddr) -> bool {
    ["10.0.0.20", "10.0.0.21"].contains(&host.to_string().as_str())
}

/// Stretches of a call with the same person at the caller's ear: who, from, until.
fn stretches(story: &[(Monotonic, Scene)], end: Monotonic) -> Vec<(&Scene, Monotonic, Monotonic)> {
    let mut all: Vec<(&Scene, Monotonic, Monotonic)> = Vec::new();
    for (at, (since, scene)) in story.iter().enumerate() {
        let until = story.get(at + 1).map_or(end, |(until, _)| *until);
        match all.last_mut() {
            Some((last, _, its))
                if last.who == scene.who && last.copilot == scene.copilot && last.alive == scene.alive =>
            {
                *its = until;
            }
            _ => all.push((scene, *since, until)),
        }
    }
    all
}

pub(super) fn whoever_has_the_caller_is_there(evidence: &Evidence) -> Vec<String> {
    let (dialogs, exchanged) = (dialogs(evidence), exchanged(evidence));
    let end = evidence.wire.last().map_or(evidence.start, |it| it.at);
    let mut wrong = Vec::new();
    for (call, story) in stories(evidence).iter().filter(|(call, _)| !exchanged.contains(call)) {
        for (scene, from, until) in stretches(story, end) {
            let fits = |host: IpAddr| match &scene.who {
                Who::Ai => is_ai(host),
                Who::Human(human) => host.to_string() == *human,
                _ => false,
            };
            if !matches!(scene.who, Who::Ai | Who::Human(_)) {
                continue;
            }
            let mut there: Vec<_> = dialogs.iter().filter(|it| it.call == *call && fits(it.host)).collect();
            there.sort_by_key(|it| it.answered);
            // How far somebody was there without a gap.
            let mut covered = from;
            for dialog in there {
                if dialog.answered <= covered + AT_ONCE {
                    covered = covered.max(dialog.ended.unwrap_or(end));
                }
            }
            if until.since(covered) > AT_ONCE && until > covered {
                let (covered, until) = (evidence.ms(covered), evidence.ms(until));
                wrong.push(format!("{call}: {:?} was not there from {covered} to {until} ms", scene.who));
            }
        }
    }
    wrong
}

pub(super) fn nobody_stays_who_has_no_part(evidence: &Evidence) -> Vec<String> {
    let (dialogs, exchanged) = (dialogs(evidence), exchanged(evidence));
    let end = evidence.wire.last().map_or(evidence.start, |it| it.at);
    let mut wrong = Vec::new();
    for (call, story) in stories(evidence).iter().filter(|(call, _)| !exchanged.contains(call)) {
        for (scene, from, until) in stretches(story, end) {
            // How many AIs, and how many humans, may be there.
            let (ais, humans) = match &scene.who {
                Who::Ai => (1, 0),
                Who::Human(_) => (usize::from(scene.copilot), 1),
                Who::Mailbox => (0, 0),
                _ => continue,
            };
            let stays = |it: &&Dialog<'_>| {
                let since = from.max(it.answered);
                it.call == *call && it.ended.unwrap_or(end).min(until) > since + AT_ONCE
            };
            let there: Vec<_> = dialogs.iter().filter(stays).collect();
            for (what, most, there) in [
                ("AIs", ais, there.iter().filter(|it| is_ai(it.host)).collect::<Vec<_>>()),
                ("humans", humans, there.iter().filter(|it| !is_ai(it.host)).collect::<Vec<_>>()),
            ] {
                let ids: BTreeSet<&str> = there.iter().map(|it| it.call_id).collect();
                if ids.len() > most && !one_after_the_other(&there, most) {
                    let (from, until) = (evidence.ms(from), evidence.ms(until));
                    wrong.push(format!("{call}: {what} {ids:?} while {:?} from {from} to {until} ms", scene.who));
                }
            }
        }
    }
    wrong
}

/// One was lost and another came, in the same stretch.
fn one_after_the_other(there: &[&&Dialog<'_>], most: usize) -> bool {
    let mut sorted: Vec<_> = there.iter().map(|it| (it.answered, it.ended)).collect();
    sorted.sort_by_key(|(answered, _)| *answered);
    most == 1 && sorted.windows(2).all(|pair| pair[0].1.is_some_and(|ended| ended <= pair[1].0 + AT_ONCE))
}

/// Whether anything that the daemon sent to a dialog of a call ended it, in time.
pub(super) fn is_closed_by(evidence: &Evidence, call_id: &str, until: Monotonic) -> bool {
    evidence.wire.iter().any(|it| {
        let read = &it.message;
        let seen = it.at <= until && read.call_id == call_id;
        let ours = it.way != Way::Arrived && it.from == evidence.house;
        let theirs = it.way == Way::Arrived && it.to == evidence.house;
        seen && (ours && (read.is("BYE") || read.is("CANCEL"))
            || theirs && (read.is("BYE") || read.answers("INVITE", 300, 700)))
    })
}
