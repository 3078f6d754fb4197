//! Where each call was at each moment, from what the control API was told alone.

use crate::Evidence;
use calls::{CallId, Happening, SuperviseMode, WhisperedBy};
use clock::Monotonic;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// Who has the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Nobody yet, or nobody any more: they wait.
    Nobody,
    /// The AI does.
    Ai,
    /// The AI may be heard to the end of its sentence, and hears nothing.
    LastWords,
    /// The AI introduces them to the human at this address.
    Introduction(String),
    /// The human at this address does.
    Human(String),
    /// They leave a message.
    Mailbox,
    /// They are told something, and that is the end.
    Farewell,
}

/// A stretch of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scene {
    pub(super) who: Who,
    /// The AI is there and heard by nobody.
    pub(super) copilot: bool,
    /// The human at this address is told by the AI.
    pub(super) briefed: Option<String>,
    /// By name: where they are, and who hears them.
    pub(super) supervisors: BTreeMap<String, (String, SuperviseMode)>,
    /// The call is not over.
    pub(super) alive: bool,
}

/// All calls' scenes, each from its moment on.
pub(super) type Stories = BTreeMap<CallId, Vec<(Monotonic, Scene)>>;

/// Two packets of 20 ms: a scene that is shorter may pass without one.
const UNHEARD: Duration = Duration::from_millis(40);

#[derive(Debug)]
struct Telling {
    scene: Scene,
    /// The human who asked for a transfer by REFER has the caller again when it fails.
    parked: Option<Scene>,
    /// Where the attempts of the transfer under way went.
    attempts: HashMap<u32, String>,
    /// Which of them is told by the AI.
    briefed: u32,
    /// They are told their last words: a callback, or the end by a rule.
    leaves: bool,
}

pub(super) fn stories(evidence: &Evidence) -> Stories {
    let mut tellings: BTreeMap<CallId, Telling> = BTreeMap::new();
    let mut stories = Stories::new();
    for (at, event) in &evidence.told {
        let Some(call) = event.call else { continue };
        let telling = tellings.entry(call).or_insert_with(|| Telling {
            scene: Scene { who: Who::Nobody, copilot: false, briefed: None, supervisors: BTreeMap::new(), alive: true },
            parked: None,
            attempts: HashMap::new(),
            briefed: 0,
            leaves: false,
        });
        let story = stories.entry(call).or_insert_with(|| vec![(*at, telling.scene.clone())]);
        telling.goes_on(&event.what);
        if story.last().is_none_or(|(_, last)| *last != telling.scene) {
            story.push((*at, telling.scene.clone()));
        }
    }
    stories
}

impl Telling {
    fn goes_on(&mut self, what: &Happening) {
        let scene = &mut self.scene;
        match what {
            Happening::AiConnected { .. } => {
                (scene.who, scene.copilot, scene.briefed) = (Who::Ai, false, None);
                self.leaves = false;
            }
            Happening::TransferStarted { .. } => {
                self.attempts.clear();
                self.leaves = false;
                match &scene.who {
                    Who::Ai => scene.who = Who::LastWords,
                    Who::Human(_) => {
                        self.parked = Some(scene.clone());
                        (scene.who, scene.copilot) = (Who::Nobody, false);
                    }
                    _ => scene.who = Who::Nobody,
                }
            }
            Happening::AgentOffered { attempt, target, .. } => drop(self.attempts.insert(*attempt, host_of(target))),
            Happening::WhisperStarted { attempt, by: WhisperedBy::Ai, .. } => {
                self.briefed = *attempt;
                scene.briefed = self.attempts.get(attempt).cloned();
            }
            Happening::IntroductionStarted { target, .. } => {
                (scene.who, scene.briefed) = (Who::Introduction(host_of(target)), None);
            }
            Happening::IntroductionEnded { by: calls::IntroductionEnd::GivenUp, .. } => scene.who = Who::Nobody,
            Happening::CallReturned { .. } => {
                let Some(parked) = self.parked.take() else { return scene.who = Who::Nobody };
                (scene.who, scene.copilot, scene.briefed) = (parked.who, parked.copilot, None);
            }
            Happening::AiMuted { .. } => scene.who = Who::Nobody,
            Happening::AiLost { .. } => {
                (scene.copilot, scene.briefed) = (false, None);
                if let Some(parked) = &mut self.parked {
                    parked.copilot = false;
                }
                if !matches!(scene.who, Who::Human(_) | Who::Introduction(_) | Who::Mailbox) {
                    scene.who = Who::Nobody;
                }
            }
            Happening::HandedBack { .. } => (scene.who, scene.briefed) = (Who::Nobody, None),
            Happening::TransferFailed { attempt, .. } if *attempt != self.briefed => {}
            Happening::TransferFailed { .. } | Happening::TransferCancelled { .. } => scene.briefed = None,
            Happening::TransferBridged { target, .. } => {
                (scene.who, scene.copilot, scene.briefed) = (Who::Human(host_of(target)), false, None);
                self.parked = None;
            }
            Happening::CopilotStarted { .. } => scene.copilot = true,
            Happening::VoicemailStarted { .. } => (scene.who, scene.copilot) = (Who::Mailbox, false),
            Happening::CallbackRequested { .. } if scene.who == Who::Nobody => self.leaves = true,
            Happening::PolicyDecided { does, .. } if does == "end" => self.leaves = true,
            Happening::AnnouncementStarted { .. } if self.leaves => scene.who = Who::Farewell,
            Happening::SupervisorJoined { supervisor, to, mode } => {
                scene.supervisors.insert(supervisor.clone(), (host_of(to), *mode));
            }
            Happening::SupervisorChanged { supervisor, mode } => {
                if let Some(known) = scene.supervisors.get_mut(supervisor) {
                    known.1 = *mode;
                }
            }
            Happening::SupervisorLeft { supervisor, .. } => drop(scene.supervisors.remove(supervisor)),
            Happening::CallEnded { .. } => (scene.who, scene.alive, scene.copilot) = (Who::Nobody, false, false),
            _ => {}
        }
    }
}

/// The scenes that lie strictly within a stretch of time. What is sent in the moment of a change may belong to either side of it.
pub(super) fn during(story: &[(Monotonic, Scene)], from: Monotonic, until: Monotonic) -> impl Iterator<Item = &Scene> {
    touching(story, from, until)
        .filter(|(_, lasting)| lasting.is_none_or(|lasting| lasting > UNHEARD))
        .map(|(scene, _)| scene)
}

/// The scenes of which a part lies within a stretch of time, however short they are, and how long they last.
pub(super) fn touching(
    story: &[(Monotonic, Scene)],
    from: Monotonic,
    until: Monotonic,
) -> impl Iterator<Item = (&Scene, Option<Duration>)> {
    story.iter().enumerate().filter_map(move |(at, (since, scene))| {
        let end = story.get(at + 1).map(|(end, _)| *end);
        let within = *since < until && end.is_none_or(|end| end > from);
        within.then_some((scene, end.map(|end| end.since(*since))))
    })
}

/// Where whoever is dialled as this target is.
pub(super) fn host_of(target: &str) -> String {
    match target.rsplit('@').next().unwrap_or_default() {
        // The one name of these worlds, the numbers behind its trunk, and agents.
        "desk.example" => "10.0.0.32",
        "anna" => "10.0.0.33",
        "ben" => "10.0.0.34",
        number if number.starts_with("tel:") => "10.0.0.10",
        host => host.split([':', ';']).next().unwrap_or(host),
    }
    .to_owned()
}
