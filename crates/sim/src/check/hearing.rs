//! Who hears whom (design, section 5), from what the relay sent and what the control API was told meanwhile.

use super::scenes::{Scene, Stories, Who, during, stories, touching};
use crate::{
    Evidence, Role, Seat,
    house::{Sound, Voiced},
};
use calls::{CallId, Happening, SuperviseMode};
use clock::Monotonic;

pub(super) fn nobody_hears_a_leg_that_is_not_theirs(evidence: &Evidence) -> Vec<String> {
    let stories = stories(evidence);
    evidence.voices.iter().flat_map(|voiced| judge(evidence, &stories, voiced)).collect()
}

fn judge(evidence: &Evidence, stories: &Stories, voiced: &Voiced) -> Vec<String> {
    let Some(listener) = evidence.seats.iter().find(|seat| seat.rtp == voiced.to) else {
        return vec![format!("{:?} went to {}, where nobody is", voiced.sound, voiced.to)];
    };
    let wrong = |what: String| {
        let (from, until) = (evidence.ms(voiced.from), evidence.ms(voiced.until));
        format!("{} heard {what} from {from} to {until} ms", listener.party)
    };
    let clips = evidence.clips;
    let is_called_back = |seat: &Seat| {
        let placed = evidence.cdrs.iter().find(|cdr| Some(cdr.call) == seat.call);
        placed.is_some_and(|cdr| cdr.callback.is_some())
    };
    let allowed = match voiced.sound {
        Sound::Word(word) => return hears(evidence, stories, voiced, listener, word).map(wrong).into_iter().collect(),
        Sound::Words(words) => {
            let words = words.iter().filter(|word| **word != crate::agent::Words::NONE);
            return words.filter_map(|word| hears(evidence, stories, voiced, listener, *word)).map(wrong).collect();
        }
        Sound::Silence | Sound::Mixed => true,
        // While somebody is called for them.
        Sound::Tone => listener.role == Role::Caller || listener.role == Role::Human && is_called_back(listener),
        Sound::Clip(clip) => match listener.role {
            Role::Caller => ![clips.whisper, clips.said].contains(&clip),
            Role::Human => [clips.whisper, clips.said].contains(&clip),
            Role::Ai | Role::Supervisor => false,
        },
    };
    if allowed { Vec::new() } else { vec![wrong(format!("{:02x?}", voiced.sound))] }
}

/// What is wrong with a listener's hearing a word.
fn hears(evidence: &Evidence, stories: &Stories, voiced: &Voiced, listener: &Seat, word: u8) -> Option<String> {
    if word == crate::agent::Words::NONE {
        return None;
    }
    // Of real packets with several words in them nothing can be said: together they sound like another.
    if evidence.sampled && hears_several(evidence, stories, voiced, listener) {
        return None;
    }
    let Some(speaker) = evidence.seats.iter().find(|seat| seat.word == word) else {
        return Some(format!("an unknown word {word:#04x}"));
    };
    let Some(call) = listener.call.filter(|call| Some(*call) == speaker.call) else {
        let joined = joined(evidence, listener.call, speaker.call).is_some_and(|at| at <= voiced.from);
        return if joined { None } else { Some(format!("{}, who is in another call", speaker.party)) };
    };
    let stand_ins = stand_ins(evidence, call);
    let story = stories.get(&call).map(Vec::as_slice).unwrap_or_default();
    let mut scenes = during(story, voiced.from, voiced.until);
    let unlawful = scenes.find(|scene| !lawful(scene, listener, speaker, &stand_ins))?;
    Some(format!("{} while {unlawful:?}", speaker.party))
}

/// Whether a listener may have been sent several words at once.
fn hears_several(evidence: &Evidence, stories: &Stories, voiced: &Voiced, listener: &Seat) -> bool {
    // In the call that they came with, and in that which they were joined to.
    let joined = evidence.told.iter().find_map(|(_, event)| match &event.what {
        Happening::CallJoined { into, .. } if event.call == listener.call => Some(*into),
        _ => None,
    });
    let of = |call: CallId| stories.get(&call).map(Vec::as_slice).unwrap_or_default();
    let several =
        |scene: &Scene| scene.copilot || !scene.supervisors.is_empty() || matches!(scene.who, Who::Introduction(_));
    // The packet of the very change, too, and that of a scene which was over after one.
    let change = std::time::Duration::from_millis(20);
    let (from, until) = (voiced.from - change, voiced.until + change);
    listener.call.into_iter().chain(joined).any(|call| touching(of(call), from, until).any(|(scene, _)| several(scene)))
}

fn lawful(scene: &Scene, listener: &Seat, speaker: &Seat, stand_ins: &[String]) -> bool {
    let is = |host: &String, seat: &Seat| *host == self::host(seat) || stand_ins.contains(&self::host(seat));
    let introduced = |seat: &Seat| matches!(&scene.who, Who::Introduction(host) if is(host, seat));
    let has = |seat: &Seat| matches!(&scene.who, Who::Human(host) if is(host, seat)) || introduced(seat);
    let is_told = |seat: &Seat| scene.briefed.as_ref().is_some_and(|host| is(host, seat));
    let ai_is_heard = matches!(scene.who, Who::Ai | Who::LastWords | Who::Introduction(_));
    let listens_in = matches!(scene.who, Who::Human(_)) && scene.copilot;
    let supervises = |seat: &Seat, mode: SuperviseMode| {
        let mut all = scene.supervisors.values();
        all.any(|(host, its)| *host == self::host(seat) && *its >= mode)
    };
    let with_human = matches!(scene.who, Who::Human(_) | Who::Introduction(_));
    if !scene.alive {
        return false;
    }
    match (listener.role, speaker.role) {
        (Role::Caller, Role::Ai) => ai_is_heard,
        (Role::Caller, Role::Human) => has(speaker),
        (Role::Caller, Role::Supervisor) => supervises(speaker, SuperviseMode::Barge) && (ai_is_heard || with_human),
        (Role::Ai, Role::Caller) => matches!(scene.who, Who::Ai | Who::Introduction(_)) || listens_in,
        (Role::Ai, Role::Human) => introduced(speaker) || listens_in && has(speaker) || is_told(speaker),
        (Role::Human, Role::Caller) => has(listener),
        (Role::Human, Role::Ai) => introduced(listener) || is_told(listener),
        (Role::Human, Role::Supervisor) => has(listener) && supervises(speaker, SuperviseMode::Whisper),
        (Role::Supervisor, Role::Caller) => supervises(listener, SuperviseMode::Listen),
        (Role::Supervisor, Role::Ai) => supervises(listener, SuperviseMode::Listen) && ai_is_heard,
        (Role::Supervisor, Role::Human) => supervises(listener, SuperviseMode::Listen) && has(speaker),
        (Role::Supervisor, Role::Supervisor) => {
            supervises(listener, SuperviseMode::Listen) && supervises(speaker, SuperviseMode::Barge)
        }
        (Role::Caller, Role::Caller) | (Role::Ai, Role::Ai | Role::Supervisor) | (Role::Human, Role::Human) => false,
    }
}

fn host(seat: &Seat) -> String {
    seat.rtp.ip().to_string()
}

/// Where those are who took the place of a human of the call (RFC 3891).
fn stand_ins(evidence: &Evidence, call: CallId) -> Vec<String> {
    let mut callers = vec!["caller".to_owned()];
    let mut hosts = Vec::new();
    for (_, event) in evidence.told.iter().filter(|(_, event)| event.call == Some(call)) {
        if let Happening::LegReplaced { leg, by, peer } = &event.what {
            if callers.contains(leg) {
                callers.push(by.clone());
            } else {
                hosts.extend(peer.rsplit('@').next().map(str::to_owned));
            }
        }
    }
    hosts
}

/// When two calls became one, if they did.
fn joined(evidence: &Evidence, one: Option<CallId>, other: Option<CallId>) -> Option<Monotonic> {
    evidence.told.iter().find_map(|(at, event)| match &event.what {
        Happening::CallJoined { into, .. } => {
            let pair = (event.call, Some(*into));
            (pair == (one, other) || pair == (other, one)).then_some(*at)
        }
        _ => None,
    })
}
