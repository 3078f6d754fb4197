//! The caller hangs up, or a transfer is cancelled, in each state: everybody else is gone within 200 ms.

use crate::world::{SDP, World, targets};
use calls::{CallState, Request, TransferState};

/// Every state a call with a transfer goes through, by name.
fn states() -> Vec<(&'static str, World)> {
    let mut states = Vec::new();
    let mut world = World::new();
    world.caller_comes(Some(SDP));
    states.push(("AI dialled", world));
    let mut world = World::new();
    world.caller_comes(Some(SDP));
    world.ring(world.dialled("bot@"));
    states.push(("AI rings", world));
    states.push(("with AI", World::with_ai()));
    states.extend(transferring());
    let mut world = World::with_ai();
    world.transfer("plain");
    world.secs(5);
    world.answer(world.dialled("100@"));
    states.push(("with human", world));
    let mut world = World::with_ai();
    world.hang_up(world.leg("bot@"));
    states.push(("AI lost, backup dialled", world));
    states
}

fn transferring() -> Vec<(&'static str, World)> {
    let mut states = Vec::new();
    let mut world = World::with_ai();
    world.transfer("frontdesk");
    states.push(("last words, human dialled", world));
    let mut world = World::with_ai();
    world.transfer("frontdesk");
    world.answer(world.dialled("100@"));
    states.push(("last words, human in whisper", world));
    let mut world = World::with_ai();
    world.transfer("plain");
    world.answer(world.dialled("100@"));
    states.push(("last words, human accepted", world));
    let mut world = World::with_ai();
    world.transfer("named");
    states.push(("last words, name being resolved", world));
    let mut world = World::with_ai();
    world.transfer("frontdesk");
    world.secs(5);
    states.push(("waiting, human dialled", world));
    let mut world = World::with_ai();
    world.transfer("frontdesk");
    world.secs(5);
    world.ring(world.dialled("100@"));
    states.push(("waiting, human rings", world));
    let mut world = World::with_ai();
    world.transfer("frontdesk");
    world.secs(5);
    world.answer(world.dialled("100@"));
    states.push(("whisper", world));
    let mut world = World::with_ai();
    world.transfer("team");
    world.secs(5);
    world.answer(world.dialled("anna@"));
    world.prompt_over(world.dialled("anna@"));
    states.push(("one decides, one rings", world));
    let mut world = World::with_ai();
    world.transfer("frontdesk");
    world.secs(5);
    world.refuse(world.dialled("100@"), 486);
    states.push(("second destination rings", world));
    let mut world = World::with_ai();
    for _ in 0..3 {
        world.event(serde_json::json!({"type": "no_match"}));
    }
    world.secs(5);
    states.push(("cold, AI gone", world));
    let mut world = World::with_ai();
    world.transfer("frontdesk");
    world.hang_up(world.leg("bot@"));
    states.push(("AI hung up in the transfer", world));
    states
}

#[test]
fn the_caller_hangs_up_in_each_state_and_everybody_leaves_at_once() {
    for (state, mut world) in states() {
        eprintln!("{state}");
        let now = world.now;
        world.hang_up(world.caller);
        for (id, ..) in std::mem::take(&mut world.resolves) {
            world.give(calls::Input::Resolved { id, targets: targets(&["192.0.2.99:5060"]) });
        }
        world.all_gone(now);
        assert_eq!(world.cdrs[0].cause, calls::EndCause::CallerHungUp, "{state}");
        for transfer in &world.cdrs[0].transfers {
            let over = [TransferState::CallEnded, TransferState::Bridged];
            assert!(over.contains(&transfer.state), "{state}: {:?}", transfer.state);
        }
        // Whatever comes late is nobody's.
        let dialled: Vec<_> = world.legs.keys().copied().collect();
        for leg in dialled {
            world.tell(leg, signaling::Event::Provisional { status: 180, body: None });
            world.tell(leg, signaling::Event::Answered { body: None, headers: Vec::new() });
        }
        assert!(world.core.gauges().is_empty());
    }
}

#[test]
fn a_hang_up_by_command_ends_each_state_the_same_way() {
    for (state, mut world) in states() {
        eprintln!("{state}");
        let (now, call) = (world.now, world.call);
        world.reply(Request::Hangup { call }).unwrap();
        for (id, ..) in std::mem::take(&mut world.resolves) {
            world.give(calls::Input::Resolved { id, targets: Vec::new() });
        }
        world.all_gone(now);
        assert_eq!(world.cdrs[0].cause, calls::EndCause::Command, "{state}");
        assert_eq!(world.reply(Request::Hangup { call }).unwrap_err().status, 410, "{state}");
        assert!(world.reply(Request::Call { call }).is_ok(), "an ended call can still be read");
    }
}

#[test]
fn a_transfer_cancelled_in_each_state_gives_the_caller_back_to_the_ai() {
    for (state, mut world) in transferring() {
        eprintln!("{state}");
        let transfer = world
            .published
            .iter()
            .find_map(|event| match &event.what {
                calls::Happening::TransferStarted { transfer, .. } => Some(*transfer),
                _ => None,
            })
            .unwrap();
        world.reply(Request::CancelTransfer { transfer }).unwrap();
        assert!(!world.is_dialled("100@") && !world.is_dialled("anna@") && !world.is_dialled("200@"), "{state}");
        let ai = world.dialled("bot@");
        if !world.legs[&ai].answered {
            world.answer(ai);
        }
        assert_eq!(world.state(), CallState::WithAi, "{state}");
        assert!(world.hears_leg(world.caller, ai) && world.hears_leg(ai, world.caller), "{state}");
        assert_eq!(world.reply(Request::CancelTransfer { transfer }).unwrap_err().status, 409, "{state}");
        assert_eq!(world.transfer_record(transfer).state, TransferState::Cancelled);
    }
}

#[test]
fn a_bridged_transfer_cannot_be_cancelled() {
    let mut world = World::with_ai();
    let transfer = world.transfer("plain");
    world.secs(5);
    world.answer(world.dialled("100@"));
    assert_eq!(world.reply(Request::CancelTransfer { transfer }).unwrap_err().status, 409);
}

#[test]
fn the_human_hangs_up_after_the_bridge_and_the_call_ends() {
    let mut world = World::with_ai();
    world.transfer("plain");
    world.secs(5);
    let human = world.dialled("100@");
    world.answer(human);
    let now = world.now;
    world.hang_up(human);
    world.all_gone(now);
    assert_eq!(world.cdrs[0].cause, calls::EndCause::HumanHungUp);
}
