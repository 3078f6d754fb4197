//! Whether agents are on calls that are not ours: their switchboard is asked to tell (RFC 4235, RFC 6665).

use super::{
    AgentConfig, Directory,
    dialog_info::{Dialogs, Heard, Unread},
};
use crate::{
    Config, Output, ResolveId,
    dial::{self, Hop},
};
use clock::{Monotonic, Timers};
use core::time::Duration;
use rustc_hash::FxHashMap;
use signaling::{
    EndedBy, OutsideCommand, OutsideEvent, OutsideId, Subscribe,
    locate::{Target, Wanted},
};
use std::{collections::VecDeque, sync::Arc};

/// What tells agents' subscriptions and look-ups from pings and from the trunks'.
const OURS: u64 = 1 << 61;
/// How long after a first failure it is tried again; doubled after each.
const RETRY: Duration = Duration::from_secs(10);
/// More often it is not doubled: the longest wait is half an hour anyway.
const MOST_DOUBLINGS: u32 = 8;

/// Agents whose switchboard tells of their calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogWatch {
    /// How long a subscription is asked for.
    pub expires: Duration,
    /// For the switchboard's challenges.
    pub credentials: Option<signaling::Credentials>,
    /// While the switchboard tells nothing, its agent counts as busy.
    pub busy_unless_told: bool,
}

/// The agents whose calls are watched.
#[derive(Debug, Default)]
pub(super) struct Watches {
    watched: Vec<Watched>,
    /// Whose switchboard is to be found, by place.
    timers: Timers<usize>,
    resolving: FxHashMap<ResolveId, usize>,
    next_resolve: u64,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct Watched {
    /// Place in the directory.
    agent: usize,
    target: Arc<str>,
    wanted: Wanted,
    watch: DialogWatch,
    dialogs: Dialogs,
    /// A document that could not be read was told in the log.
    told: bool,
    /// Tries in a row that nobody answered.
    unanswered: u32,
}

impl Watched {
    fn hear(&mut self, body: &[u8]) -> Result<Heard, Unread> {
        self.unanswered = 0;
        self.dialogs.hear(body)
    }
}

impl Watches {
    /// From now on this agent's calls are watched, if they can be.
    pub(super) fn add(&mut self, agent: usize, config: &AgentConfig, now: Monotonic) {
        let (Some(target), Some(watch)) = (&config.dial, &config.dialogs) else { return };
        let Some(wanted) = dial::wanted(target) else { return };
        self.timers.set(self.watched.len(), now);
        let (target, watch) = (Arc::clone(target), watch.clone());
        self.watched.push(Watched {
            agent,
            target,
            wanted,
            watch,
            dialogs: Dialogs::default(),
            told: false,
            unanswered: 0,
        });
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(super) fn poll_timeout(&self) -> Option<Monotonic> {
        self.timers.next_timeout()
    }

    /// What was to be located, if it was asked for here.
    pub(super) fn resolving(&mut self, id: ResolveId) -> Option<usize> {
        self.resolving.remove(&id)
    }

    /// Looks for every switchboard whose time has come.
    pub(super) fn look(&mut self, config: &Config, now: Monotonic) {
        while let Some(at) = self.timers.pop_expired(now) {
            let Some(watched) = self.watched.get(at) else { continue };
            match dial::hop(&watched.wanted, None) {
                Hop::Targets(targets) => self.located(config, now, at, targets.into_vec()),
                Hop::Wanted(wanted) => {
                    self.next_resolve += 1;
                    let id = ResolveId(self.next_resolve | OURS | 1 << 63);
                    self.resolving.insert(id, at);
                    self.outputs.push_back(Output::Resolve { id, wanted });
                }
            }
        }
    }

    /// Where a switchboard is.
    pub(super) fn located(&mut self, config: &Config, now: Monotonic, at: usize, targets: Vec<Target>) {
        let Some(watched) = self.watched.get(at) else { return };
        let Some((flow, peer_name)) = dial::reached(config, targets) else { return self.timers.set(at, now + RETRY) };
        let order = Subscribe {
            target: watched.target.to_string(),
            flow,
            peer_name,
            from: signaling::Party::default(),
            package: "dialog",
            accept: "application/dialog-info+xml",
            expires: watched.watch.expires,
            credentials: watched.watch.credentials.clone(),
            retry: RETRY.saturating_mul(1 << watched.unanswered.min(MOST_DOUBLINGS)),
        };
        self.command(OutsideCommand::Subscribe { id: OutsideId(at as u64 | OURS), order: Box::new(order) });
    }

    fn command(&mut self, command: OutsideCommand) {
        self.outputs.push_back(Output::Outside(command));
    }

    /// What a switchboard said: whose calls they are, and how many are up; none: it is not known any more.
    fn heard(&mut self, now: Monotonic, at: usize, event: &OutsideEvent) -> Option<(usize, Option<usize>)> {
        let watched = self.watched.get_mut(at)?;
        let agent = watched.agent;
        match event {
            OutsideEvent::Notified { body } => match watched.hear(body) {
                Ok(Heard::Up(up)) => Some((agent, Some(up))),
                Ok(Heard::Old) => None,
                Ok(Heard::Gap(up)) => {
                    // Subscribed anew, the whole is told.
                    watched.dialogs = Dialogs::default();
                    self.command(OutsideCommand::Unsubscribe { id: OutsideId(at as u64 | OURS) });
                    Some((agent, Some(up)))
                }
                Err(error) => {
                    if !std::mem::replace(&mut watched.told, true) {
                        tracing::warn!(target = %watched.target, %error, "what is told of an agent's calls cannot be read");
                    }
                    None
                }
            },
            OutsideEvent::SubscriptionFailed { by, status, retry_in } => {
                watched.dialogs = Dialogs::default();
                let (target, retry_s) = (Arc::clone(&watched.target), retry_in.as_secs());
                tracing::warn!(%target, ?by, status, retry_s, "an agent's switchboard does not tell of their calls");
                // It may be somewhere else by then.
                if matches!(by, EndedBy::Timeout | EndedBy::Transport | EndedBy::Unsent) {
                    watched.unanswered = watched.unanswered.saturating_add(1);
                    self.command(OutsideCommand::Unsubscribe { id: OutsideId(at as u64 | OURS) });
                    self.timers.set(at, now + *retry_in);
                }
                Some((agent, None))
            }
            OutsideEvent::Unsubscribed => {
                if self.timers.deadline(at).is_none() {
                    self.timers.set(at, now);
                }
                None
            }
            _ => None,
        }
    }
}

impl Directory {
    /// What came of a subscription; false when it was not ours.
    pub(super) fn watched(&mut self, now: Monotonic, id: OutsideId, event: &OutsideEvent) -> bool {
        if id.0 & OURS == 0 {
            return false;
        }
        let Ok(at) = usize::try_from(id.0 & !OURS) else { return true };
        if let Some((agent, up)) = self.watches.heard(now, at, event) {
            self.is_on_calls(agent, up, now);
        }
        true
    }

    /// How many calls an agent's switchboard knows of, ours among them.
    fn is_on_calls(&mut self, at: usize, up: Option<usize>, now: Monotonic) {
        let agent = &mut self.agents[at];
        let unknown = agent.config.dialogs.as_ref().is_some_and(|watch| watch.busy_unless_told);
        let before = agent.elsewhere;
        agent.elsewhere = up.unwrap_or(if unknown { usize::MAX } else { 0 });
        let more = agent.elsewhere > before;
        self.dirty |= agent.elsewhere < before;
        self.tell(at, now, if more { "on_a_call" } else { "off_a_call" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clock::Now;
    use media_relay::CallKey;
    use policy::{AgentState, Cause};
    use signaling::LegId;

    fn config() -> Config {
        Config {
            listeners: vec!["192.0.2.1:5060".parse::<std::net::SocketAddr>().unwrap().into()],
            ..Config::default()
        }
    }

    /// Carl, at a switchboard that is asked to tell of his calls.
    fn desk(capacity: u32, busy_unless_told: bool) -> (Directory, OutsideId) {
        let watch = DialogWatch { expires: Duration::from_secs(3600), credentials: None, busy_unless_told };
        let carl = AgentConfig {
            dial: Some("sip:carl@192.0.2.9".into()),
            dialogs: Some(watch),
            capacity,
            ..AgentConfig::default()
        };
        let mut desk = Directory::new(&[("carl".to_owned(), carl)], at(0));
        desk.ask(&config(), at(0));
        let (id, order) = subscribed(&mut desk).expect("a subscription");
        assert_eq!((&*order.target, order.package, order.flow.remote.port()), ("sip:carl@192.0.2.9", "dialog", 5060));
        (desk, id)
    }

    fn at(seconds: u64) -> Monotonic {
        Now::default().monotonic + Duration::from_secs(seconds)
    }

    fn subscribed(desk: &mut Directory) -> Option<(OutsideId, Box<Subscribe>)> {
        match desk.poll_output()? {
            Output::Outside(OutsideCommand::Subscribe { id, order }) => Some((id, order)),
            other => panic!("{other:?}"),
        }
    }

    fn told(desk: &mut Directory, id: OutsideId, version: u32, state: &str, calls: &[&str]) -> AgentState {
        let dialogs: String =
            calls.iter().map(|call| format!("<dialog id=\"{call}\"><state>confirmed</state></dialog>")).collect();
        let body =
            format!("<dialog-info version=\"{version}\" state=\"{state}\" entity=\"sip:c\">{dialogs}</dialog-info>");
        assert!(desk.outside(at(0), id, &OutsideEvent::Notified { body: body.into() }));
        desk.agent("carl").unwrap().state(at(0))
    }

    #[test]
    fn who_is_on_a_call_at_their_switchboard_is_busy_until_it_is_over() {
        let (mut desk, id) = desk(1, false);
        assert_eq!(desk.agent("carl").unwrap().state(at(0)), AgentState::Available, "until something is told");
        assert_eq!(told(&mut desk, id, 0, "full", &["a"]), AgentState::Busy);
        assert_eq!(desk.reserve("carl", LegId(1), CallKey(1), at(0)), Err(Cause::Busy));
        assert!(!std::mem::take(&mut desk.dirty));
        assert_eq!(told(&mut desk, id, 1, "full", &[]), AgentState::Available);
        assert!(desk.dirty, "whoever waits may be served now");
        assert_eq!(desk.reserve("carl", LegId(1), CallKey(1), at(0)), Ok(()));
    }

    #[test]
    fn our_own_call_at_the_switchboard_is_not_counted_twice() {
        let (mut desk, id) = desk(2, false);
        desk.reserve("carl", LegId(1), CallKey(1), at(0)).unwrap();
        desk.answered(LegId(1), at(0));
        desk.taken(LegId(1), None, at(0));
        assert_eq!(told(&mut desk, id, 0, "full", &["ours"]), AgentState::Available, "one of two");
        assert_eq!(told(&mut desk, id, 1, "full", &["ours", "another"]), AgentState::Busy);
    }

    #[test]
    fn a_switchboard_that_tells_nothing_leaves_its_agent_free_or_busy_as_configured() {
        for (busy, state) in [(false, AgentState::Available), (true, AgentState::Busy)] {
            let (mut desk, id) = desk(1, busy);
            assert_eq!(desk.agent("carl").unwrap().state(at(0)), state);
            told(&mut desk, id, 0, "full", &[]);
            assert_eq!(desk.agent("carl").unwrap().state(at(0)), AgentState::Available);
            let retry_in = Duration::from_secs(20);
            let failed = OutsideEvent::SubscriptionFailed { by: EndedBy::Timeout, status: None, retry_in };
            assert!(desk.outside(at(0), id, &failed));
            assert_eq!(desk.agent("carl").unwrap().state(at(0)), state);
        }
    }

    #[test]
    fn a_silent_switchboard_is_looked_for_anew_when_it_is_time() {
        let (mut desk, id) = desk(1, false);
        let retry_in = Duration::from_secs(20);
        desk.outside(at(0), id, &OutsideEvent::SubscriptionFailed { by: EndedBy::Timeout, status: None, retry_in });
        assert!(
            matches!(desk.poll_output(), Some(Output::Outside(OutsideCommand::Unsubscribe { id: it })) if it == id)
        );
        desk.outside(at(0), id, &OutsideEvent::Unsubscribed);
        assert_eq!(desk.poll_timeout(), Some(at(20)));
        desk.ask(&config(), at(20));
        assert!(subscribed(&mut desk).is_some());
    }

    /// It was looked for anew each time as if it had never been: every ten seconds, for ever.
    #[test]
    fn a_switchboard_that_stays_silent_is_asked_ever_more_seldom_until_it_tells_something() {
        let (mut desk, id) = desk(1, false);
        let mut now = 0;
        let mut silent = |desk: &mut Directory| {
            let retry_in = Duration::from_secs(20);
            now += 20;
            desk.outside(
                at(now),
                id,
                &OutsideEvent::SubscriptionFailed { by: EndedBy::Timeout, status: None, retry_in },
            );
            desk.poll_output();
            desk.outside(at(now), id, &OutsideEvent::Unsubscribed);
            desk.ask(&config(), at(now + 20));
            subscribed(desk).map(|(_, order)| order.retry.as_secs())
        };
        assert_eq!([1, 2, 3].map(|_| silent(&mut desk)), [20, 40, 80].map(Some));
        told(&mut desk, id, 0, "full", &[]);
        assert_eq!(silent(&mut desk), Some(20));
    }

    #[test]
    fn rfc4235_4_2_after_a_gap_the_whole_is_asked_for() {
        let (mut desk, id) = desk(1, false);
        told(&mut desk, id, 0, "full", &[]);
        assert_eq!(told(&mut desk, id, 5, "partial", &["a"]), AgentState::Busy);
        assert!(matches!(desk.poll_output(), Some(Output::Outside(OutsideCommand::Unsubscribe { .. }))));
        desk.outside(at(0), id, &OutsideEvent::Unsubscribed);
        desk.ask(&config(), at(0));
        assert!(subscribed(&mut desk).is_some());
        assert_eq!(told(&mut desk, id, 0, "full", &[]), AgentState::Available, "the new one counts from the beginning");
    }
}
