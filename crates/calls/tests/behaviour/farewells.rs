//! A caller who is told goodbye hears it to its end, and nobody takes them any more. Seeds of the virtual world found an AI that hung up
//! meanwhile: the call went on with another AI, and a caller who had been told that they would be called back was not let go.

use crate::world::{World, config};
use calls::{Callbacks, Config, EndCause, Request};
use serde_json::json;

const RULES: &str = r#"
version: 1
destinations:
  plain: { dial: "sip:100@192.0.2.40", whisper: none }
defaults:
  transfer: { start: now }
rules:
  - id: goodbye
    when: { intent: goodbye }
    end: { say: sorry }
  - id: goodbye-from-a-human
    while: human
    when: { intent: goodbye }
    end: { say: sorry }
  - id: later
    when: { intent: later }
    callback: true
"#;

fn desk() -> World {
    let callbacks = Callbacks { allow: vec!["+49".into()], ..Callbacks::default() };
    let mut world = World::with(Config { callbacks, ..config() }, RULES, 7);
    world.connect();
    world
}

fn says(world: &mut World, intent: &str) {
    world.event(json!({ "type": "intent", "name": intent }));
}

#[test]
fn the_ai_leaves_with_the_farewell_and_no_other_comes() {
    for (intent, cause) in [("goodbye", EndCause::Rule), ("later", EndCause::Callback)] {
        let mut world = desk();
        let (caller, ai) = (world.caller, world.leg("bot@"));
        says(&mut world, intent);
        assert!(world.legs[&ai].ended, "{intent}: the AI has no part any more");
        assert!(matches!(world.caller_hears(), media_relay::Source::Play(play) if !play.first.is_empty()));
        world.secs(1);
        assert!(!world.is_dialled("backup@"), "{intent}: nobody else is dialled");
        world.prompt_over(caller);
        let told = world.now;
        world.all_gone(told);
        assert_eq!(world.cdrs[0].cause, cause);
    }
}

#[test]
fn a_human_leaves_with_the_farewell_too() {
    let mut world = desk();
    world.transfer("plain");
    let human = world.dialled("100@");
    world.answer(human);
    says(&mut world, "goodbye");
    assert!(world.legs[&human].ended);
    let call = world.call;
    assert!(world.reply(Request::Handback { call, body: calls::HandbackBody::default() }).is_err());
    let caller = world.caller;
    world.prompt_over(caller);
    assert_eq!(world.cdrs[0].cause, EndCause::Rule);
}
