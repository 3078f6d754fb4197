//! Calls as wholes: that they end, what is written of them, and what is left.

use super::{Awaited, stranded::is_placed};
use crate::{Evidence, house::Left, trace::Way};
use calls::{CallId, Happening, Party};
use clock::Monotonic;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

pub(super) fn every_call_ends(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut live: BTreeMap<CallId, bool> = BTreeMap::new();
    for (at, event) in &evidence.told {
        let Some(id) = event.call else { continue };
        let name = event.what.name();
        match (&event.what, live.get(&id).copied()) {
            (Happening::CallStarted { .. }, None) => drop(live.insert(id, true)),
            (Happening::CallEnded { .. }, Some(true)) => drop(live.insert(id, false)),
            // Measured and reported as the ports close; and what the recorder has to say comes when its files are there.
            (Happening::TransferMeasured { .. }, Some(_)) | (_, Some(true)) => {}
            (_, Some(false)) if name.starts_with("recording.") || name.starts_with("voicemail.") => {}
            (_, state) => wrong.push(format!("{name} of {id} at {} ms, alive: {state:?}", evidence.ms(*at))),
        }
    }
    wrong.extend(live.iter().filter(|(_, alive)| **alive).map(|(id, _)| format!("{id} never ended")));
    wrong
}

/// A party that is still in its call was told of the end as often as the standard wants, and never heard of it.
pub(super) fn nobody_is_left_alone(evidence: &Evidence) -> Vec<String> {
    let left = evidence.seats.iter().filter(|seat| seat.up.is_some() && seat.over.is_none());
    let abandoned = left.filter(|seat| {
        let ends = |it: &&crate::Wire| {
            let read = &it.message;
            it.from == evidence.house && read.is("BYE") && read.call_id == seat.call_id && read.to_tag == seat.tag
        };
        let told = evidence.wire.iter().filter(|it| it.way != Way::Arrived).filter(ends).count();
        let heard = evidence.wire.iter().filter(|it| it.way == Way::Arrived).filter(ends).count();
        told == 0 || heard > 0
    });
    abandoned.map(|seat| format!("{} in {}", seat.party, seat.call_id)).collect()
}

/// When a call has ended, whoever had answered by then is gone at once (faults, row 18).
pub(super) fn everybody_is_gone_within_200_ms(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let ends: BTreeMap<CallId, Monotonic> = evidence
        .told
        .iter()
        .filter(|(_, event)| matches!(event.what, Happening::CallEnded { .. }))
        .filter_map(|(at, event)| Some((event.call?, *at)))
        .collect();
    for (call_id, dialled) in dialled(evidence) {
        let Some(end) = dialled.call.and_then(|call| ends.get(&call)) else { continue };
        if dialled.first > *end {
            wrong.push(format!("{call_id} was dialled after its call had ended"));
        }
        let answered = dialled.answered.is_some_and(|at| at < *end);
        let gone = dialled.ended.is_some_and(|at| at <= *end + Duration::from_millis(200));
        if answered && !gone {
            let after = dialled.ended.map(|at| at.since(*end));
            wrong.push(format!("{call_id} got its BYE {after:?} after its call's end"));
        }
    }
    wrong
}

pub(super) fn one_cdr_per_call(evidence: &Evidence) -> Vec<String> {
    let started: BTreeSet<CallId> = evidence
        .told
        .iter()
        .filter(|(_, event)| matches!(event.what, Happening::CallStarted { .. }))
        .filter_map(|(_, event)| event.call)
        .collect();
    let mut wrong = Vec::new();
    let mut written = BTreeSet::new();
    for cdr in &evidence.cdrs {
        if !started.contains(&cdr.call) {
            wrong.push(format!("a record of {}, which never began", cdr.call));
        }
        if !written.insert(cdr.call) {
            wrong.push(format!("a second record of {}", cdr.call));
        }
    }
    wrong.extend(started.difference(&written).map(|call| format!("no record of {call}")));
    wrong
}

pub(super) fn the_cdr_says_what_the_wire_says(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let dialled = dialled(evidence);
    for cdr in &evidence.cdrs {
        let call = cdr.call;
        for leg in cdr.legs.iter().filter(|leg| leg.ended.is_none()) {
            wrong.push(format!("{call}: {} has no end", leg.name));
        }
        for transfer in cdr.transfers.iter().filter(|transfer| !transfer.state.is_over()) {
            wrong.push(format!("{call}: the transfer to {} is not over", transfer.to));
        }
        let answers =
            |it: &crate::Wire| it.message.answers("INVITE", 200, 300) && it.message.call_id == cdr.sip_call_id;
        // Whom we called answered us.
        let answered = if is_placed(cdr) { evidence.reached().any(answers) } else { evidence.sent().any(answers) };
        if answered != cdr.answered.is_some() {
            wrong.push(format!("{call}: the caller was answered: {answered}; the record says {:?}", cdr.answered));
        }
        let mine: Vec<_> = dialled.values().filter(|it| it.call == Some(call)).collect();
        let legs: Vec<_> = cdr.legs.iter().filter(|leg| leg.party != Party::Caller).collect();
        // An attempt may go through several targets of a name, and is one leg.
        let rang = mine.iter().filter(|it| it.rang).count();
        if rang > legs.len() {
            wrong.push(format!("{call}: {rang} legs rang, {} are recorded", legs.len()));
        }
        // What took another leg's place was not dialled.
        let came = |name: &str| name.starts_with("replacement-") || name.starts_with("joined-");
        let up = legs.iter().filter(|leg| leg.answered.is_some() && !came(&leg.name)).count();
        let answers = mine.iter().filter(|it| it.answered.is_some()).count();
        if up > answers {
            wrong.push(format!("{call}: {up} legs answered by the record, {answers} by the wire"));
        }
    }
    wrong
}

pub(super) fn nothing_is_left_over(evidence: &Evidence) -> Vec<String> {
    if evidence.left == Left::default() { Vec::new() } else { vec![format!("{:?}", evidence.left)] }
}

pub(super) fn nothing_is_broken(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    if evidence.panicked > 0 {
        wrong.push(format!("{} steps panicked", evidence.panicked));
    }
    if evidence.errors > 0 {
        wrong.push(format!("{} lines at ERROR", evidence.errors));
    }
    wrong
}

pub(super) fn the_world_comes_to_rest(evidence: &Evidence) -> Vec<String> {
    if evidence.rested { Vec::new() } else { vec!["it had to be stopped".to_owned()] }
}

/// A leg that the daemon dialled, as the wire shows it.
#[derive(Debug)]
struct Dialled {
    call: Option<CallId>,
    first: Monotonic,
    rang: bool,
    answered: Option<Monotonic>,
    /// The first BYE, of either side.
    ended: Option<Monotonic>,
}

fn dialled(evidence: &Evidence) -> BTreeMap<&str, Dialled> {
    let mut all: BTreeMap<&str, Dialled> = BTreeMap::new();
    let mut awaited = Awaited::default();
    for (sent, it) in evidence.seen() {
        let read = &it.message;
        let expected = awaited.see(sent, it);
        if sent && read.is("INVITE") && read.to_tag.is_empty() {
            let call = read.message.header("X-Tandem-Call-Id").and_then(|id| id.parse().ok());
            all.entry(&read.call_id).or_insert(Dialled {
                call,
                first: it.at,
                rang: false,
                answered: None,
                ended: None,
            });
        } else if let Some(leg) = all.get_mut(read.call_id.as_str()) {
            if expected && read.answers("INVITE", 200, 300) {
                leg.answered.get_or_insert(it.at);
                leg.rang = true;
            } else if expected && read.status > 100 {
                leg.rang = true;
            } else if read.is("BYE") {
                leg.ended.get_or_insert(it.at);
            }
        }
    }
    all
}
