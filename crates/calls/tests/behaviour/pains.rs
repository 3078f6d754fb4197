//! What hurts elsewhere and must not happen here: see docs/pains.md.

use crate::world::World;
use calls::CallState;
use serde_json::json;

/// Elsewhere every second transfer was cut a minute after the bot had left: its session ended, and took the call along.
#[test]
fn pain_3_a_caller_and_a_human_talk_for_hours_after_the_ai_has_left() {
    let mut world = World::with_ai();
    let (caller, ai) = (world.caller, world.leg("bot@"));
    world.transfer("plain");
    world.secs(5);
    let human = world.dialled("100@");
    world.answer(human);
    assert!(world.legs[&ai].ended);
    for hour in 1..=3 {
        world.secs(3_600);
        // What is left of the AI's program goes on posting.
        world.event(json!({ "type": "no_input" }));
        world.event(json!({ "type": "sentiment", "score": -1.0 }));
        assert!(world.hears_leg(caller, human) && world.hears_leg(human, caller), "after {hour} h");
        assert_eq!(world.state(), CallState::WithHuman);
    }
    let ended = world.now;
    world.hang_up(human);
    world.all_gone(ended);
}
