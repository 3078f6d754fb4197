//! Who hears whom (design, section 5), from what the relay sent and what the control API was told meanwhile.

use crate::{
    Evidence, Seat,
    house::{Sound, Voiced},
};
use calls::{CallId, Happening};
use clock::Monotonic;
use std::time::Duration;

/// A stretch of a call as far as ears are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scene {
    /// Nobody has the caller.
    Nobody,
    /// The AI does.
    Ai,
    /// The AI may be heard to the end of its sentence, and hears nothing.
    LastWords,
    /// The human at this address does.
    Human(String),
}

pub(super) fn nobody_hears_a_leg_that_is_not_theirs(evidence: &Evidence) -> Vec<String> {
    evidence.voices.iter().filter_map(|voiced| judge(evidence, voiced)).collect()
}

fn judge(evidence: &Evidence, voiced: &Voiced) -> Option<String> {
    let Some(listener) = evidence.seats.iter().find(|seat| seat.rtp == voiced.to) else {
        return Some(format!("{:?} went to {}, where nobody is", voiced.sound, voiced.to));
    };
    let wrong = |what: String| {
        Some(format!(
            "{} heard {what} from {} to {} ms",
            listener.party,
            evidence.ms(voiced.from),
            evidence.ms(voiced.until)
        ))
    };
    match voiced.sound {
        Sound::Silence | Sound::Mixed => None,
        Sound::Clip(word) => {
            let clips = evidence.clips;
            let allowed = match role(listener) {
                Role::Caller => word != clips.whisper,
                Role::Ai => false,
                Role::Human => word == clips.whisper,
            };
            if allowed { None } else { wrong(format!("clip {word:#04x}")) }
        }
        Sound::Word(word) => {
            let Some(speaker) = evidence.seats.iter().find(|seat| seat.word == word) else {
                return wrong(format!("an unknown word {word:#04x}"));
            };
            let Some(call) = listener.call.filter(|call| Some(*call) == speaker.call) else {
                let joined = joined(evidence, listener.call, speaker.call).is_some_and(|at| at <= voiced.from);
                return if joined { None } else { wrong(format!("{}, who is in another call", speaker.party)) };
            };
            let stand_ins = stand_ins(evidence, call);
            let has = |scene: &Scene, seat: &Seat| match scene {
                Scene::Human(host) => *host == self::host(seat) || stand_ins.contains(&self::host(seat)),
                _ => false,
            };
            let lawful = |scene: &Scene| match (role(listener), role(speaker)) {
                (Role::Caller, Role::Ai) => matches!(scene, Scene::Ai | Scene::LastWords),
                (Role::Ai, Role::Caller) => *scene == Scene::Ai,
                (Role::Caller, Role::Human) => has(scene, speaker),
                (Role::Human, Role::Caller) => has(scene, listener),
                _ => false,
            };
            let during = during(evidence, call, voiced.from, voiced.until);
            match during.into_iter().find(|scene| !lawful(scene)) {
                Some(scene) => wrong(format!("{} while {scene:?}", speaker.party)),
                None => None,
            }
        }
    }
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Role {
    Caller,
    Ai,
    Human,
}

fn role(seat: &Seat) -> Role {
    match seat.party {
        "trunk" if seat.placed => Role::Caller,
        "bot" | "backup" => Role::Ai,
        _ => Role::Human,
    }
}

fn host(seat: &Seat) -> String {
    seat.rtp.ip().to_string()
}

/// Two packets of 20 ms: a scene that is shorter may pass without one.
const UNHEARD: Duration = Duration::from_millis(40);

/// The scenes of a call that lie strictly within a stretch of time. What is sent in the moment of a change may belong to either side of it.
fn during(evidence: &Evidence, call: CallId, from: Monotonic, until: Monotonic) -> Vec<Scene> {
    let mut scene = Scene::Nobody;
    let mut scenes = Vec::new();
    let mut since = evidence.start;
    // The human who asked for a transfer by REFER has the caller again when it fails.
    let mut parked = None;
    for (at, event) in evidence.told.iter().filter(|(_, event)| event.call == Some(call)) {
        let next = match &event.what {
            Happening::AiConnected { .. } => Scene::Ai,
            Happening::TransferStarted { .. } => match scene {
                Scene::Ai => Scene::LastWords,
                Scene::Human(_) => {
                    parked = Some(scene.clone());
                    Scene::Nobody
                }
                _ => Scene::Nobody,
            },
            Happening::CallReturned { .. } => parked.take().unwrap_or(Scene::Nobody),
            Happening::AiMuted { .. } | Happening::AiLost { .. } if !matches!(scene, Scene::Human(_)) => Scene::Nobody,
            Happening::HandedBack { .. } | Happening::CallEnded { .. } => Scene::Nobody,
            Happening::TransferBridged { target, .. } => {
                let host = target.rsplit('@').next().unwrap_or_default();
                Scene::Human(match host {
                    // The one name of this world, and the numbers behind its trunk.
                    "desk.example" => "10.0.0.32".to_owned(),
                    number if number.starts_with("tel:") => "10.0.0.10".to_owned(),
                    host => host.to_owned(),
                })
            }
            _ => continue,
        };
        if since < until && *at > from && at.since(since) > UNHEARD {
            scenes.push(scene);
        }
        (scene, since) = (next, *at);
    }
    if since < until {
        scenes.push(scene);
    }
    scenes
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
