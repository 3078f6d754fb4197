//! Agents, supervisors, and callers who wait to be called back: nobody is held for longer than they are needed, and nothing of them is lost.

use super::{
    Awaited,
    asked::{PHONES, tells_of_a_call},
    scenes::host_of,
    stranded::is_closed_by,
};
use crate::Evidence;
use calls::{CallId, CallbackState, Happening, Presence};
use clock::Monotonic;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

pub(super) fn no_agent_is_left_reserved(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for agent in &evidence.agents {
        let says_so = agent.presence == Presence::Busy || tells_of_a_call(evidence, &host_of(&agent.id));
        let held = matches!(agent.state, policy::AgentState::Ringing)
            || matches!(agent.state, policy::AgentState::Busy) && !says_so;
        if held || agent.calls_now > 0 || agent.after_call.is_some() {
            wrong.push(format!("{} is {:?} with {} calls", agent.id, agent.state, agent.calls_now));
        }
    }
    for queue in evidence.queues.iter().filter(|queue| queue.waiting > 0) {
        wrong.push(format!("{} wait in {}", queue.waiting, queue.name));
    }
    wrong
}

/// Agents' phones: no second INVITE before the first call is over, as far as the daemon can know.
pub(super) fn no_agent_is_rung_twice(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    // By phone and Call-ID: since when, and whether anything came back.
    let mut known: HashSet<&str> = HashSet::new();
    let mut open: BTreeMap<String, BTreeMap<&str, (Monotonic, bool)>> = BTreeMap::new();
    for (sent, it) in evidence.seen() {
        let read = &it.message;
        let host = if sent { it.to.ip() } else { it.from.ip() }.to_string();
        if !PHONES.contains(&host.as_str()) {
            continue;
        }
        let calls = open.entry(host.clone()).or_default();
        let id = read.call_id.as_str();
        if sent && read.is("INVITE") && read.to_tag.is_empty() && known.insert(id) {
            // One that nobody has ever heard of rings nowhere; it is cancelled as soon as anything comes back (RFC 3261 section 9.1).
            calls.retain(|_, (_, heard)| *heard);
            if let Some((other, (since, _))) = calls.iter().find(|(other, _)| **other != id) {
                let (at, since) = (evidence.ms(it.at), evidence.ms(*since));
                wrong.push(format!("{host} is rung for {id} at {at} ms, and has {other} since {since} ms"));
            }
            calls.entry(id).or_insert((it.at, false));
        } else if read.is("BYE") || sent && read.is("CANCEL") || !sent && read.answers("INVITE", 300, 700) {
            calls.remove(id);
        } else if let Some((_, heard)) = calls.get_mut(id).filter(|_| !sent) {
            *heard = true;
        }
    }
    wrong
}

/// Each supervisor who joined left, by the end of the call, and whoever left is told so on the wire at once.
pub(super) fn supervisors_come_and_go(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut there: BTreeMap<(CallId, &str), Monotonic> = BTreeMap::new();
    // The legs of each supervisor: those that were dialled while the name was new.
    let mut legs: HashMap<(CallId, String), Vec<&str>> = HashMap::new();
    // When each leg was answered by a 2xx that found its INVITE.
    let (mut awaited, mut up) = (Awaited::default(), HashMap::new());
    for (sent, it) in evidence.seen() {
        let read = &it.message;
        if awaited.see(sent, it) && read.answers("INVITE", 200, 300) {
            up.entry(read.call_id.as_str()).or_insert(it.at);
        }
        let call = read.message.header("X-Tandem-Call-Id").and_then(|id| id.parse().ok());
        if let (true, true, Some(call)) = (sent, read.is("INVITE") && read.to_tag.is_empty(), call)
            && read.message.header("X-Tandem-Supervise").is_some()
        {
            let all = legs.entry((call, it.to.ip().to_string())).or_default();
            if !all.contains(&read.call_id.as_str()) {
                all.push(&read.call_id);
            }
        }
    }
    for (at, event) in &evidence.told {
        let Some(call) = event.call else { continue };
        match &event.what {
            Happening::SupervisorJoined { supervisor, .. } => {
                let before = there.insert((call, supervisor), *at);
                wrong.extend(before.map(|_| format!("{call}: {supervisor} joined again")));
            }
            Happening::SupervisorLeft { supervisor, .. } => drop(there.remove(&(call, supervisor.as_str()))),
            Happening::SupervisorChanged { .. } => {}
            Happening::CallEnded { .. } => {
                for ((_, supervisor), _) in there.iter().filter(|((its, _), _)| *its == call) {
                    wrong.push(format!("{call}: {supervisor} never left"));
                }
                there.retain(|(its, _), _| *its != call);
                let mine = legs.iter().filter(|((its, _), _)| *its == call).flat_map(|(_, legs)| legs);
                for leg in mine.filter(|leg| !answered_late(evidence, leg, *at)) {
                    if !is_closed_by(evidence, leg, *at + Duration::from_millis(200))
                        && up.get(leg).is_some_and(|up| up < at)
                    {
                        wrong.push(format!("{call}: the supervisor's {leg} goes on after the call"));
                    }
                }
            }
            _ => {}
        }
    }
    wrong.extend(there.keys().map(|(call, supervisor)| format!("{call}: {supervisor} is still there")));
    wrong
}

fn answered_late(evidence: &Evidence, call_id: &str, at: Monotonic) -> bool {
    evidence.reached().any(|it| it.at >= at && it.message.call_id == call_id && it.message.answers("INVITE", 200, 300))
}

/// Nobody is being called any more; what was said of a callback last is what is listed; and the ledger has each as it is listed.
pub(super) fn callbacks_are_kept_as_they_are(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for callback in &evidence.callbacks {
        let id = callback.id;
        if callback.state == CallbackState::Dialling {
            wrong.push(format!("{id} is being dialled"));
        }
        let told = evidence.told.iter().rev().find_map(|(_, event)| match &event.what {
            Happening::CallbackChanged { callback, state, tries, .. } if *callback == id => Some((*state, *tries)),
            _ => None,
        });
        if told.is_some_and(|told| told != (callback.state, callback.tries)) {
            wrong.push(format!("{id} is {:?}, told was {told:?}", (callback.state, callback.tries)));
        }
        if evidence.kept.iter().find(|kept| kept.id == id) != Some(callback) {
            wrong.push(format!("{id} is not kept as it is"));
        }
    }
    let asked = evidence.told.iter().filter_map(|(_, event)| match &event.what {
        Happening::CallbackRequested { callback, .. } => Some(*callback),
        _ => None,
    });
    for id in asked {
        if !evidence.callbacks.iter().any(|callback| callback.id == id) {
            wrong.push(format!("{id} was asked for and is not listed"));
        }
    }
    wrong
}
