//! Prompts that rules say to a caller, wherever the caller is: at once, over what they hear, which goes on afterwards.

use crate::world::{RULES, World, config};
use calls::{CallState, TransferBody};
use media_relay::Source;
use policy::ReleaseAi;

/// Rules that say something to whoever presses 5.
fn world() -> World {
    let rule = |phase: &str| {
        format!(
            "  - {{ id: notice-{phase}, while: {phase}, when: {{ dtmf: \"5\" }}, cooldown: 0s, announce: we-are-closed }}\n"
        )
    };
    let rules = format!("{RULES}{}{}{}", rule("ai"), rule("waiting"), rule("human"));
    let mut world = World::with(config(), &rules, 7);
    world.connect();
    world
}

fn is_told(world: &World, leg: signaling::LegId) -> bool {
    matches!(world.hears(leg), Source::Play(play) if play.first.first().is_some_and(|clip| &**clip == "we-are-closed"))
}

/// It was said when the human had left, to a caller who wondered why.
#[test]
fn while_a_human_has_the_caller_both_hear_it_at_once_and_then_one_another_again() {
    for release in [None, Some(ReleaseAi::Stay)] {
        let mut world = world();
        world.together = true;
        world.transfer_as(TransferBody { release_ai: release, ..TransferBody::to("plain") }).unwrap();
        world.ms(500);
        world.ai_quiet();
        let (caller, ai, human) = (world.caller, world.leg("bot@"), world.dialled("100@"));
        world.answer(human);
        assert!(world.hears_leg(caller, human));
        world.press(caller, '5');
        assert!(is_told(&world, caller) && is_told(&world, human), "{:?}", world.caller_hears());
        if release.is_some() {
            assert_eq!(*world.hears(ai), Source::Silence, "a co-pilot has nothing to follow");
        }
        world.prompt_over(human);
        assert!(is_told(&world, caller), "the caller's own end counts");
        world.prompt_over(caller);
        assert!(world.hears_leg(caller, human) && world.hears_leg(human, caller));
        assert_eq!(world.state(), CallState::WithHuman);
    }
}

#[test]
fn who_waits_hears_it_over_the_music_and_nobody_hears_the_rest_of_it_with_the_human() {
    let mut world = world();
    world.transfer("plain");
    let (caller, ai) = (world.caller, world.leg("bot@"));
    world.press(caller, '5');
    assert!(world.hears_leg(caller, ai), "its last words first");
    world.ms(500);
    world.ai_quiet();
    assert!(is_told(&world, caller), "{:?}", world.caller_hears());
    world.prompt_over(caller);
    assert!(world.hears_music());
    let music = world.caller_hears().clone();
    world.press(caller, '5');
    assert!(is_told(&world, caller));
    world.prompt_over(caller);
    assert_eq!(*world.caller_hears(), music, "it goes on where it was");
    world.press(caller, '5');
    let human = world.dialled("100@");
    world.answer(human);
    assert!(world.hears_leg(caller, human) && world.hears_leg(human, caller), "{:?}", world.caller_hears());
}
