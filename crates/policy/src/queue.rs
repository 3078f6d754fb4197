//! Queues: which skills a caller needs, and who of the agents there are takes them. Ranking is a pure function of a snapshot.

use crate::duration;
use clock::Monotonic;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// Skills by name, each with its level from 1 to 10.
pub type Skills = BTreeMap<Arc<str>, u8>;

/// What else is known of an agent, such as `language: [de, en]`.
pub type Attributes = BTreeMap<Arc<str>, BTreeSet<Arc<str>>>;

/// What a caller prefers of an agent: attribute (or skill) and value.
pub type Preferences = Vec<(Arc<str>, Arc<str>)>;

/// The level of a skill that is named without one.
pub const LEVEL: u8 = 5;

/// A queue, as a destination states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Skills an agent must have, each at this level or above.
    pub skills: Skills,
    /// Whom of several free agents the caller gets.
    pub pick: Pick,
    /// Whether the agent who had this caller last comes first.
    pub sticky: bool,
    /// How long the caller waits for an agent of their preferences before any will do.
    #[serde(with = "duration::as_text")]
    pub relax_after: Duration,
    /// How long a caller waits; then the cause is `no_agent`.
    #[serde(with = "duration::as_text")]
    pub overflow_after: Duration,
    /// At this many callers waiting, another is not taken: the cause is `no_agent` at once.
    pub overflow_at: u32,
    /// Whether callers wait although nobody who has the skills is signed in.
    pub wait_unstaffed: bool,
    /// What callers are told of their place.
    pub announce: Option<PositionAnnouncement>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            skills: Skills::new(),
            pick: Pick::default(),
            sticky: false,
            relax_after: Duration::ZERO,
            overflow_after: Self::OVERFLOW_AFTER,
            overflow_at: Self::OVERFLOW_AT,
            wait_unstaffed: false,
            announce: None,
        }
    }
}

/// Callers are told which place they have: a prompt, then the number digit by digit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionAnnouncement {
    /// Said before the number, for example "you are number".
    pub position: Arc<str>,
    /// The prompts of the digits begin so; `digit` stands for `digit-0` to `digit-9`.
    pub digits: Arc<str>,
    /// How often.
    #[serde(with = "duration::as_text")]
    pub every: Duration,
}

/// Whom of several free agents a caller gets.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// Who has had nothing to do for longest.
    #[default]
    LongestIdle,
    /// Who has taken the fewest calls.
    LeastCalls,
    /// Who has the highest levels of the skills.
    Best,
    /// The first by the configuration's order.
    Ordered,
    /// All of them ring at once; the first who takes the call has it.
    Simultaneous,
}

/// How an agent stands at a moment.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// Can be given a call.
    Available,
    /// Is being offered one, or is promised to a caller.
    Ringing,
    /// Has as many calls as they take, or says so.
    Busy,
    /// Finishes what belongs to the last call.
    WrapUp,
    /// Did not take the last offer and is left in peace for a moment.
    Resting,
    /// Signed out, or taken out after offers that nobody answered.
    Away,
    /// None of their phones is registered.
    Offline,
}

impl AgentState {
    /// Every state.
    pub const ALL: [Self; 7] =
        [Self::Available, Self::Ringing, Self::Busy, Self::WrapUp, Self::Resting, Self::Away, Self::Offline];

    /// The name in rules, API and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Ringing => "ringing",
            Self::Busy => "busy",
            Self::WrapUp => "wrap_up",
            Self::Resting => "resting",
            Self::Away => "away",
            Self::Offline => "offline",
        }
    }

    /// Whether callers may wait for such an agent: they are at work.
    pub const fn is_staffed(self) -> bool {
        !matches!(self, Self::Away | Self::Offline)
    }
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One agent of a snapshot.
#[derive(Copy, Clone, Debug)]
pub struct AgentView<'a> {
    /// The name.
    pub name: &'a Arc<str>,
    /// The skills.
    pub skills: &'a Skills,
    /// What else is known.
    pub attributes: &'a Attributes,
    /// How they stand.
    pub state: AgentState,
    /// Since when they have had nothing to do.
    pub idle_since: Monotonic,
    /// Calls taken.
    pub calls: u64,
    /// They had this caller last.
    pub had_caller: bool,
    /// Place in the configuration.
    pub place: usize,
}

/// Why an agent is not given a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passed {
    /// A skill is missing, or not good enough.
    Skill {
        /// Which.
        skill: Arc<str>,
        /// The level needed.
        needs: u8,
        /// The level they have.
        has: Option<u8>,
    },
    /// The caller still waits for somebody of their preference.
    Preference {
        /// Which.
        key: Arc<str>,
        /// What is preferred.
        value: Arc<str>,
    },
    /// They are not free.
    State(AgentState),
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skill { skill, has: None, .. } => write!(f, "does not have the skill {skill}"),
            Self::Skill { skill, needs, has: Some(has) } => write!(f, "has {skill} at {has}, needs {needs}"),
            Self::Preference { key, value } => write!(f, "is not {key} {value}, which the caller still waits for"),
            Self::State(state) => write!(f, "is {state}"),
        }
    }
}

/// One candidate of a destination in an explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The agent.
    pub agent: Arc<str>,
    /// How they stood.
    pub state: AgentState,
    /// Whether they could have been given the caller.
    pub eligible: bool,
    /// Why, or why not, in words.
    pub because: String,
}

impl Queue {
    /// Where a destination does not say how long its callers wait.
    pub const OVERFLOW_AFTER: Duration = Duration::from_secs(300);
    /// Where a destination does not say how many wait.
    pub const OVERFLOW_AT: u32 = 1_000;

    /// Whether an agent has the skills.
    pub fn takes(&self, agent: &AgentView<'_>) -> Result<(), Passed> {
        for (skill, needs) in &self.skills {
            let has = agent.skills.get(skill).copied();
            if has.is_none_or(|has| has < *needs) {
                return Err(Passed::Skill { skill: Arc::clone(skill), needs: *needs, has });
            }
        }
        Ok(())
    }

    /// Why an agent is not given a caller who has waited for so long; `Ok` when they can be.
    pub fn judge(
        &self,
        preferences: &[(Arc<str>, Arc<str>)],
        waited: Duration,
        agent: &AgentView<'_>,
    ) -> Result<(), Passed> {
        self.takes(agent)?;
        if agent.state != AgentState::Available {
            return Err(Passed::State(agent.state));
        }
        if waited < self.relax_after
            && let Some((key, value)) = preferences.iter().find(|wanted| !is_preferred(agent, wanted))
        {
            return Err(Passed::Preference { key: Arc::clone(key), value: Arc::clone(value) });
        }
        Ok(())
    }

    /// The free agents among `agents` in the order in which they are asked; those of [`Pick::Simultaneous`] are asked at once.
    pub fn rank<'a>(
        &self,
        preferences: &[(Arc<str>, Arc<str>)],
        waited: Duration,
        agents: impl Iterator<Item = AgentView<'a>>,
    ) -> Vec<Arc<str>> {
        let mut free: Vec<AgentView<'a>> =
            agents.filter(|agent| self.judge(preferences, waited, agent).is_ok()).collect();
        free.sort_by_cached_key(|agent| {
            let missed = preferences.iter().filter(|wanted| !is_preferred(agent, wanted)).count();
            let levels: u32 =
                self.skills.keys().filter_map(|skill| agent.skills.get(skill)).copied().map(u32::from).sum();
            let by_pick = match self.pick {
                Pick::LongestIdle | Pick::Simultaneous => 0,
                Pick::LeastCalls => agent.calls,
                Pick::Best => u64::from(u32::MAX - levels),
                Pick::Ordered => agent.place as u64,
            };
            (Reverse(self.sticky && agent.had_caller), missed, by_pick, agent.idle_since, agent.place)
        });
        free.into_iter().map(|agent| Arc::clone(agent.name)).collect()
    }

    /// Everything an explanation says of the agents, the free ones first in their order.
    pub fn explain<'a>(
        &self,
        preferences: &[(Arc<str>, Arc<str>)],
        waited: Duration,
        agents: impl Iterator<Item = AgentView<'a>> + Clone,
    ) -> Vec<Candidate> {
        let ranked = self.rank(preferences, waited, agents.clone());
        let mut candidates: Vec<Candidate> = agents
            .map(|agent| {
                let verdict = self.judge(preferences, waited, &agent);
                let because = match &verdict {
                    Ok(()) => "is free".to_owned(),
                    Err(passed) => passed.to_string(),
                };
                let eligible = verdict.is_ok();
                Candidate { agent: Arc::clone(agent.name), state: agent.state, eligible, because }
            })
            .collect();
        let place = |candidate: &Candidate| ranked.iter().position(|name| *name == candidate.agent);
        candidates.sort_by_key(|candidate| place(candidate).unwrap_or(usize::MAX));
        candidates
    }
}

fn is_preferred(agent: &AgentView<'_>, (key, value): &(Arc<str>, Arc<str>)) -> bool {
    agent.attributes.get(key).is_some_and(|values| values.contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Someone {
        name: Arc<str>,
        skills: Skills,
        attributes: Attributes,
        state: AgentState,
        idle: u64,
        calls: u64,
        had_caller: bool,
    }

    fn someone(name: &str, level: u8, idle: u64, calls: u64) -> Someone {
        Someone {
            name: name.into(),
            skills: [("fraud".into(), level)].into(),
            attributes: Attributes::new(),
            state: AgentState::Available,
            idle,
            calls,
            had_caller: false,
        }
    }

    fn views(people: &[Someone]) -> impl Iterator<Item = AgentView<'_>> + Clone {
        people.iter().enumerate().map(|(place, it)| AgentView {
            name: &it.name,
            skills: &it.skills,
            attributes: &it.attributes,
            state: it.state,
            idle_since: Monotonic::ORIGIN + Duration::from_secs(it.idle),
            calls: it.calls,
            had_caller: it.had_caller,
            place,
        })
    }

    fn fraud(pick: Pick) -> Queue {
        Queue { skills: [("fraud".into(), 1)].into(), pick, ..Queue::default() }
    }

    fn order(queue: &Queue, people: &[Someone]) -> String {
        queue.rank(&[], Duration::ZERO, views(people)).join(" ")
    }

    #[test]
    fn each_way_to_pick_has_its_order() {
        let people = [someone("anna", 3, 50, 9), someone("ben", 9, 70, 2), someone("carl", 5, 10, 4)];
        for (pick, expected) in [
            (Pick::LongestIdle, "carl anna ben"),
            (Pick::LeastCalls, "ben carl anna"),
            (Pick::Best, "ben carl anna"),
            (Pick::Ordered, "anna ben carl"),
            (Pick::Simultaneous, "carl anna ben"),
        ] {
            assert_eq!(order(&fraud(pick), &people), expected, "{pick:?}");
        }
        let mut people = people;
        people[0].had_caller = true;
        let sticky = Queue { sticky: true, ..fraud(Pick::Best) };
        assert_eq!(order(&sticky, &people), "anna ben carl", "who had the caller last comes first");
        assert_eq!(order(&fraud(Pick::Best), &people), "ben carl anna");
    }

    #[test]
    fn who_is_not_free_or_not_good_enough_is_passed_over_and_the_reason_is_said() {
        let mut people = [someone("anna", 3, 0, 0), someone("ben", 9, 1, 0), someone("carl", 9, 2, 0)];
        people[1].state = AgentState::WrapUp;
        people[2].skills = [("sales".into(), 5)].into();
        let queue = Queue { skills: [("fraud".into(), 4)].into(), ..Queue::default() };
        assert_eq!(order(&queue, &people), "");
        let said: Vec<String> = queue
            .explain(&[], Duration::ZERO, views(&people))
            .into_iter()
            .map(|it| format!("{} {}", it.agent, it.because))
            .collect();
        assert_eq!(said, ["anna has fraud at 3, needs 4", "ben is wrap_up", "carl does not have the skill fraud"]);
    }

    #[test]
    fn a_preference_binds_until_it_is_relaxed_and_orders_afterwards() {
        let mut people = [someone("anna", 5, 0, 0), someone("ben", 5, 9, 0)];
        let wanted: Preferences = vec![("language".into(), "de".into())];
        let queue = Queue { relax_after: Duration::from_secs(20), ..fraud(Pick::LongestIdle) };
        let after =
            |people: &[Someone], seconds| queue.rank(&wanted, Duration::from_secs(seconds), views(people)).join(" ");
        assert_eq!(after(&people, 19), "");
        assert_eq!(after(&people, 20), "anna ben");
        people[1].attributes = [("language".into(), ["de".into(), "en".into()].into())].into();
        assert_eq!(after(&people, 0), "ben");
        assert_eq!(after(&people, 20), "ben anna", "still preferred");
    }
}
