//! A caller who waits hears so: music, ringing, a prompt (pains, row 4).

use super::scenes::{Who, stories};
use crate::{Evidence, Role, house::Sound};
use calls::{CallId, Happening};
use clock::Monotonic;
use std::{collections::BTreeSet, time::Duration};

/// The longest window without anything to be heard.
const LONGEST: Duration = Duration::from_secs(1);
/// How long the question for consent takes, and the time to think of an answer.
const QUESTION: Duration = Duration::from_millis(900 + 3_000);
/// Where packets are real, ringing has its pauses.
const LONGEST_PAUSE: Duration = Duration::from_millis(4_100);

pub(super) fn whoever_waits_hears_something(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let stories = stories(evidence);
    let excused = excused(evidence);
    for seat in evidence.seats.iter().filter(|seat| seat.role == Role::Caller) {
        let Some(call) = seat.call.filter(|call| !excused.contains(call)) else { continue };
        let Some(story) = stories.get(&call) else { continue };
        let mut sent: Vec<_> = evidence.voices.iter().filter(|voiced| voiced.to == seat.rtp).collect();
        sent.sort_by_key(|voiced| voiced.from);
        // Nothing can be sent before the caller has said where to, and nothing is owed before anybody was looked for.
        let (Some(first), Some(begins), Some(up)) = (sent.first(), begins(evidence, call), seat.up) else { continue };
        let earliest = first.from.max(begins).max(up);
        let over = seat.over.unwrap_or(evidence.start + Duration::from_secs(86_400));
        for (at, (since, scene)) in story.iter().enumerate() {
            if !matches!(scene.who, Who::Nobody | Who::Farewell) || !scene.alive {
                continue;
            }
            let Some((until, _)) = story.get(at + 1) else { continue };
            let (from, until) = ((*since).max(earliest), (*until).min(over));
            let mut silent_since = from;
            let audible = sent.iter().filter(|voiced| voiced.sound != Sound::Silence && voiced.until > from);
            let ends = audible.map(|voiced| (voiced.from, voiced.until)).chain([(until, until)]);
            for (begins, ends) in ends.filter(|(begins, _)| *begins <= until) {
                let longest = if evidence.sampled { LONGEST_PAUSE } else { LONGEST };
                if begins > silent_since && begins.since(silent_since) > longest {
                    let (from, until) = (evidence.ms(silent_since), evidence.ms(begins));
                    wrong.push(format!("{call}: the caller heard nothing from {from} to {until} ms"));
                }
                silent_since = silent_since.max(ends);
            }
        }
    }
    wrong
}

/// When somebody was first looked for who could take the caller, and a caller who was asked before that has had their time to think.
fn begins(evidence: &Evidence, call: CallId) -> Option<Monotonic> {
    let names = ["ai.connected", "ai.lost", "transfer.started"];
    let told = || evidence.told.iter().filter(|(_, event)| event.call == Some(call));
    let begins = told().find(|(_, event)| names.contains(&event.what.name())).map(|(at, _)| *at)?;
    let asked = told().find_map(|(at, event)| match &event.what {
        Happening::AnnouncementStarted { prompt } if prompt == "consent" => Some(*at + QUESTION),
        _ => None,
    });
    Some(asked.map_or(begins, |thought| thought.max(begins)))
}

/// Calls whose caller holds us at times, or is another than at the beginning.
fn excused(evidence: &Evidence) -> BTreeSet<CallId> {
    let excuses = |what: &Happening| match what {
        Happening::LegHold { leg, .. } => leg == "caller",
        Happening::LegReplaced { .. } | Happening::LegJoined { .. } | Happening::CallJoined { .. } => true,
        _ => false,
    };
    evidence.told.iter().filter(|(_, event)| excuses(&event.what)).filter_map(|(_, event)| event.call).collect()
}
