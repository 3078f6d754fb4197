//! Agents and waiting callers without any call around them.

use super::*;
use crate::{AgentBody, QueueOutcome};
use policy::{Pick, Queue};
use std::collections::BTreeMap;

fn then(s: u64) -> Now {
    Now { monotonic: at(s), unix: Duration::from_secs(1_790_000_000 + s) }
}

fn at(seconds: u64) -> Monotonic {
    Monotonic::ORIGIN + Duration::from_secs(seconds)
}

fn skilled(skill: &str) -> AgentConfig {
    AgentConfig { dial: Some("sip:x@192.0.2.1".into()), skills: [(skill.into(), 5)].into(), ..AgentConfig::default() }
}

fn desk(names: &[&str]) -> Directory {
    let agents: Vec<_> = names.iter().map(|name| ((*name).to_owned(), skilled("fraud"))).collect();
    Directory::new(&agents, at(0))
}

fn waiter(call: u64, priority: u32) -> Waiter {
    let queue = Queue { skills: [("fraud".into(), 1)].into(), ..Queue::default() };
    Waiter {
        call: CallKey(call),
        name: "fraud".into(),
        queue: Box::new(queue),
        preferences: Vec::new(),
        priority,
        from: None,
        entered: at(0),
    }
}

fn state(directory: &Directory, name: &str, now: u64) -> AgentState {
    directory.agent(name).expect("configured").state(at(now))
}

/// Every grant there is, each of which rings its agents by a leg of the call's number.
fn grants(directory: &mut Directory, now: u64) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    while let Some(grant) = directory.poll_grant(at(now)) {
        for agent in &grant.agents {
            directory.reserve(agent, LegId(grant.call.0), grant.call, at(now)).expect("granted");
        }
        all.push((grant.call.0, grant.agents.join(" ")));
    }
    all
}

#[test]
fn two_calls_never_ring_one_agent() {
    let mut desk = desk(&["anna"]);
    let (one, other) = (CallKey(1), CallKey(2));
    assert_eq!(desk.reserve("anna", LegId(1), one, at(0)), Ok(()));
    assert_eq!(desk.reserve("anna", LegId(2), other, at(0)), Err(Cause::Busy));
    assert_eq!(desk.reserve("anna", LegId(3), one, at(0)), Ok(()), "a second phone of hers");
    desk.release(LegId(1), at(1));
    assert_eq!(desk.reserve("anna", LegId(2), other, at(1)), Err(Cause::Busy), "her other phone still rings");
    desk.release(LegId(3), at(1));
    assert_eq!(state(&desk, "anna", 1), AgentState::Available);
    assert_eq!(desk.reserve("nobody", LegId(9), one, at(0)), Ok(()), "who is not ours is not held");
}

#[test]
fn whoever_took_a_call_wraps_up_and_is_free_again() {
    let agents = [("anna".to_owned(), AgentConfig { wrap_up: Duration::from_secs(10), ..skilled("fraud") })];
    let mut desk = Directory::new(&agents, at(0));
    desk.reserve("anna", LegId(1), CallKey(1), at(0)).unwrap();
    assert_eq!(state(&desk, "anna", 0), AgentState::Ringing);
    desk.answered(LegId(1), at(1));
    desk.taken(LegId(1), None, at(1));
    assert_eq!(state(&desk, "anna", 1), AgentState::Busy);
    desk.release(LegId(1), at(60));
    assert_eq!(state(&desk, "anna", 60), AgentState::WrapUp);
    assert_eq!(desk.poll_timeout(), Some(at(70)));
    desk.handle_timeout(then(70));
    assert_eq!(state(&desk, "anna", 70), AgentState::Available);
    let told: Vec<String> = std::iter::from_fn(|| desk.poll_happening())
        .map(|it| match it {
            Happening::AgentState { state, .. } => state.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["ringing", "busy", "wrap_up", "available"]);
}

#[test]
fn what_is_asked_for_during_a_call_takes_effect_after_it() {
    let mut desk = desk(&["anna"]);
    desk.reserve("anna", LegId(1), CallKey(1), at(0)).unwrap();
    desk.taken(LegId(1), None, at(1));
    let body = AgentBody { presence: Some(Presence::Away), ..AgentBody::default() };
    let told = desk.change("anna", &body, then(2)).unwrap();
    assert_eq!(
        (told.state, told.presence, told.after_call),
        (AgentState::Busy, Presence::Available, Some(Presence::Away))
    );
    desk.release(LegId(1), at(3));
    assert_eq!(state(&desk, "anna", 3), AgentState::Away);
}

#[test]
fn offers_in_a_row_that_nobody_answers_take_an_agent_out() {
    let mut desk = desk(&["anna"]);
    let fail = |desk: &mut Directory, leg: u64, cause: Option<Cause>| {
        let now = leg * 10;
        desk.handle_timeout(then(now));
        desk.reserve("anna", LegId(leg), CallKey(leg), at(now)).unwrap();
        if let Some(cause) = cause {
            desk.failed(LegId(leg), cause);
        }
        desk.release(LegId(leg), at(now));
        state(desk, "anna", now)
    };
    assert_eq!(fail(&mut desk, 1, Some(Cause::NoAnswer)), AgentState::Resting, "not rung again at once");
    assert_eq!(fail(&mut desk, 2, Some(Cause::Declined)), AgentState::Resting, "somebody was there");
    assert_eq!(fail(&mut desk, 3, None), AgentState::Available, "another took the call, or the caller left");
    assert_eq!(fail(&mut desk, 4, Some(Cause::NoAnswer)), AgentState::Resting);
    assert_eq!(fail(&mut desk, 5, Some(Cause::NotAccepted)), AgentState::Away, "the third");
    let back = AgentBody { presence: Some(Presence::Available), ..AgentBody::default() };
    assert_eq!(desk.change("anna", &back, then(60)).unwrap().state, AgentState::Available);
}

#[test]
fn callers_are_served_by_priority_and_then_by_arrival() {
    let mut desk = desk(&["anna"]);
    desk.reserve("anna", LegId(99), CallKey(99), at(0)).unwrap();
    for (call, priority) in [(1, 0), (2, 5), (3, 0), (4, 5)] {
        desk.enqueue(waiter(call, priority), at(0)).unwrap();
    }
    assert!(grants(&mut desk, 1).is_empty(), "she is on the line");
    assert_eq!([1, 2, 3, 4].map(|call| desk.position(CallKey(call))), [Some(3), Some(1), Some(4), Some(2)]);
    let mut served = Vec::new();
    let mut before = 99;
    for round in 1..=4 {
        desk.release(LegId(before), at(round));
        let granted = grants(&mut desk, round);
        assert_eq!(granted.len(), 1, "one agent, one caller: {granted:?}");
        before = granted[0].0;
        served.push(before);
        desk.leave(CallKey(before), QueueOutcome::Connected, at(round));
    }
    assert_eq!(served, [2, 4, 1, 3]);
}

#[test]
fn an_agent_goes_past_those_whom_they_cannot_serve_to_the_first_they_can() {
    let agents = [("anna".to_owned(), skilled("fraud")), ("ben".to_owned(), skilled("sales"))];
    let mut desk = Directory::new(&agents, at(0));
    desk.reserve("anna", LegId(98), CallKey(98), at(0)).unwrap();
    desk.reserve("ben", LegId(99), CallKey(99), at(0)).unwrap();
    desk.enqueue(waiter(1, 9), at(0)).unwrap();
    let mut sales = waiter(2, 0);
    (sales.name, sales.queue.skills) = ("sales".into(), [("sales".into(), 1)].into());
    desk.enqueue(sales, at(0)).unwrap();
    desk.release(LegId(99), at(1));
    assert_eq!(grants(&mut desk, 1), [(2, "ben".to_owned())]);
    assert_eq!(desk.position(CallKey(1)), Some(1), "places are counted per queue");
}

#[test]
fn who_was_not_taken_waits_on_at_the_old_place() {
    let mut desk = desk(&["anna", "ben"]);
    desk.enqueue(waiter(1, 0), at(0)).unwrap();
    desk.enqueue(waiter(2, 0), at(0)).unwrap();
    assert_eq!(grants(&mut desk, 0), [(1, "anna".to_owned()), (2, "ben".to_owned())]);
    desk.failed(LegId(1), Cause::NoAnswer);
    desk.waits_on(CallKey(1));
    desk.release(LegId(1), at(20));
    assert!(grants(&mut desk, 20).is_empty(), "anna rests, ben rings for the other");
    assert_eq!(desk.position(CallKey(1)), Some(1));
    desk.handle_timeout(then(25));
    assert_eq!(grants(&mut desk, 25), [(1, "anna".to_owned())]);
}

#[test]
fn simultaneous_rings_everybody_who_is_free() {
    let mut desk = desk(&["anna", "ben", "carl"]);
    desk.reserve("ben", LegId(99), CallKey(99), at(0)).unwrap();
    let mut all = waiter(1, 0);
    all.queue.pick = Pick::Simultaneous;
    desk.enqueue(all, at(0)).unwrap();
    let grant = desk.poll_grant(at(0)).unwrap();
    assert_eq!(grant.agents.join(" "), "anna carl");
}

#[test]
fn a_full_queue_and_one_without_anybody_at_work_take_nobody() {
    let mut desk = desk(&["anna"]);
    desk.reserve("anna", LegId(99), CallKey(99), at(0)).unwrap();
    for call in 1..=2 {
        let mut short = waiter(call, 0);
        short.queue.overflow_at = 2;
        desk.enqueue(short, at(0)).unwrap();
    }
    let mut third = waiter(3, 0);
    third.queue.overflow_at = 2;
    assert_eq!(desk.enqueue(third, at(0)), Err(Cause::NoAgent));
    let mut unskilled = waiter(4, 0);
    unskilled.queue.skills = [("sales".into(), 1)].into();
    assert_eq!(desk.enqueue(unskilled.clone(), at(0)), Err(Cause::NoAgent), "nobody sells");
    unskilled.queue.wait_unstaffed = true;
    assert_eq!(desk.enqueue(unskilled, at(0)), Ok(()));
}

#[test]
fn who_had_the_caller_last_gets_them_again_where_the_queue_is_sticky() {
    let mut desk = desk(&["anna", "ben"]);
    desk.reserve("ben", LegId(1), CallKey(1), at(0)).unwrap();
    desk.taken(LegId(1), Some("+49301"), at(0));
    desk.release(LegId(1), at(50));
    let mut again = waiter(2, 0);
    (again.queue.sticky, again.from) = (true, Some("+49301".into()));
    desk.enqueue(again, at(60)).unwrap();
    assert_eq!(grants(&mut desk, 60), [(2, "ben".to_owned())], "although anna has been idle for longer");
}

#[test]
fn a_promise_holds_an_agent_for_one_call_until_it_is_over() {
    let mut desk = desk(&["anna"]);
    assert!(desk.promise("anna", CallKey(1), Duration::from_secs(20), at(0)));
    assert!(!desk.promise("anna", CallKey(2), Duration::from_secs(20), at(0)));
    desk.enqueue(waiter(2, 9), at(0)).unwrap();
    assert!(grants(&mut desk, 0).is_empty());
    desk.enqueue(waiter(1, 0), at(1)).unwrap();
    assert_eq!(grants(&mut desk, 1), [(1, "anna".to_owned())], "whom it was promised to comes first");
    desk.leave(CallKey(1), QueueOutcome::Connected, at(1));
    desk.release(LegId(1), at(2));
    assert_eq!(grants(&mut desk, 2), [(2, "anna".to_owned())]);
    desk.call_gone(CallKey(2), at(3));
    assert!(desk.promise("anna", CallKey(3), Duration::from_secs(20), at(3)));
    desk.handle_timeout(then(23));
    assert_eq!(state(&desk, "anna", 23), AgentState::Available);
}

#[test]
fn a_call_that_is_gone_leaves_nobody_held() {
    let mut desk = desk(&["anna"]);
    desk.enqueue(waiter(1, 0), at(0)).unwrap();
    assert_eq!(grants(&mut desk, 0).len(), 1);
    desk.call_gone(CallKey(1), at(5));
    assert_eq!((state(&desk, "anna", 5), desk.length("fraud")), (AgentState::Available, 0));
    let left = std::iter::from_fn(|| desk.poll_observation()).collect::<Vec<_>>();
    assert!(
        matches!(left[..], [Observation::QueueLeft { outcome: QueueOutcome::Abandoned, waited, .. }] if waited.as_secs() == 5),
        "{left:?}"
    );
}

#[test]
fn an_account_without_a_phone_is_offline_and_an_own_call_is_a_call() {
    let agents = [("anna".to_owned(), AgentConfig { dial: None, ..skilled("fraud") })];
    let mut desk = Directory::new(&agents, at(0));
    assert_eq!(state(&desk, "anna", 0), AgentState::Offline);
    assert_eq!(desk.reserve("anna", LegId(1), CallKey(1), at(0)), Err(Cause::Unreachable));
    desk.registered("anna", true, at(1));
    assert_eq!(state(&desk, "anna", 1), AgentState::Available);
    desk.calls_out("anna", LegId(1), CallKey(1), at(2));
    assert_eq!(state(&desk, "anna", 2), AgentState::Busy);
    desk.release(LegId(1), at(3));
    assert_eq!(state(&desk, "anna", 3), AgentState::Available);
    desk.registered("anna", false, at(4));
    assert_eq!(state(&desk, "anna", 4), AgentState::Offline);
}

/// Random offers, answers, failures, promises and hang-ups against what must never be: an agent held by two calls, or by none that is there.
#[test]
fn whatever_happens_nobody_is_held_twice_and_nobody_stays_held() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut chance = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let mut desk = desk(&["anna", "ben", "carl", "dora", "emil"]);
    let mut rings: BTreeMap<u64, Vec<Arc<str>>> = BTreeMap::new();
    let mut waiting = std::collections::BTreeSet::new();
    for now in 0..20_000_u64 {
        desk.handle_timeout(then(now));
        match chance(6) {
            0 | 1
                if waiting.len() < 50
                    && desk.enqueue(waiter(now + 1, u32::try_from(chance(3)).unwrap()), at(now)).is_ok() =>
            {
                waiting.insert(now + 1);
            }
            2 => {
                if let Some(call) = rings.keys().next().copied() {
                    desk.answered(LegId(call), at(now));
                    desk.taken(LegId(call), None, at(now));
                    desk.leave(CallKey(call), QueueOutcome::Connected, at(now));
                    waiting.remove(&call);
                }
            }
            3 => {
                if let Some((call, _)) = rings.pop_first() {
                    desk.failed(LegId(call), Cause::Declined);
                    desk.waits_on(CallKey(call));
                    desk.release(LegId(call), at(now));
                }
            }
            4 => {
                if let Some(call) = waiting.pop_last() {
                    desk.call_gone(CallKey(call), at(now));
                    rings.remove(&call);
                }
            }
            _ => {
                if let Some((call, _)) = rings.pop_last() {
                    desk.call_gone(CallKey(call), at(now));
                    waiting.remove(&call);
                }
            }
        }
        while let Some(grant) = desk.poll_grant(at(now)) {
            for agent in &grant.agents {
                assert!(!rings.values().flatten().any(|held| held == agent), "{agent} is held by two calls");
                desk.reserve(agent, LegId(grant.call.0), grant.call, at(now)).unwrap();
            }
            rings.insert(grant.call.0, grant.agents);
        }
        let held = desk.agents.iter().filter(|agent| !agent.holds.is_empty()).count();
        assert_eq!(held, rings.values().flatten().count(), "held without a call");
    }
    for call in rings.into_keys().chain(waiting) {
        desk.call_gone(CallKey(call), at(30_000));
    }
    assert!(desk.legs.is_empty() && desk.agents.iter().all(|agent| agent.holds.is_empty()));
    assert_eq!(desk.length("fraud"), 0);
}

#[test]
fn what_another_system_says_of_an_agent_counts_beside_what_we_know() {
    for (unsaid, at_first) in [(Unsaid::Free, AgentState::Available), (Unsaid::Away, AgentState::Away)] {
        let agents = [("anna".to_owned(), AgentConfig { asked: Some(unsaid), ..skilled("fraud") })];
        let mut desk = Directory::new(&agents, at(0));
        assert_eq!(state(&desk, "anna", 0), at_first);
        for (said, stands) in [
            (Some(Elsewhere::Free), AgentState::Available),
            (Some(Elsewhere::Busy), AgentState::Busy),
            (Some(Elsewhere::Away), AgentState::Away),
            (None, at_first),
        ] {
            desk.is_elsewhere("anna", said, at(1));
            assert_eq!(state(&desk, "anna", 1), stands, "{said:?}");
        }
        desk.is_elsewhere("nobody", Some(Elsewhere::Busy), at(1));
        desk.is_elsewhere("anna", Some(Elsewhere::Free), at(2));
        desk.reserve("anna", LegId(1), CallKey(1), at(2)).unwrap();
        desk.is_elsewhere("anna", Some(Elsewhere::Away), at(2));
        assert_eq!(state(&desk, "anna", 2), AgentState::Ringing, "our own call is what is told");
    }
}
