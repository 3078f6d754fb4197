//! The AI refuses, does not answer, hangs up or falls silent: the profile's `on_ai_failure`, never a stranded caller.

use crate::world::{SDP, World, config};
use calls::{AiFailureStep, AiLoss, CallState, EndCause, Happening};

fn losses(world: &World) -> Vec<(AiLoss, Option<u16>, String)> {
    let loss = |event: &calls::PublicEvent| match &event.what {
        Happening::AiLost { cause, sip_code, next, .. } => Some((*cause, *sip_code, next.clone())),
        _ => None,
    };
    world.published.iter().filter_map(loss).collect()
}

#[test]
fn an_ai_that_refuses_is_replaced_while_the_caller_still_hears_ringing() {
    let mut world = World::new();
    world.caller_comes(Some(SDP));
    world.refuse(world.dialled("bot@"), 503);
    assert_eq!(losses(&world), [(AiLoss::Unreachable, Some(503), "profile backup".into())]);
    let backup = world.dialled("backup@");
    assert_eq!(world.header(backup, "X-Tandem-Reason").as_deref(), Some("ai_lost"));
    assert!(!world.legs[&world.caller].answered);
    world.answer(backup);
    assert!(world.hears_leg(world.caller, backup));
}

#[test]
fn an_ai_that_does_not_answer_in_its_time_is_cancelled() {
    let mut world = World::new();
    world.caller_comes(Some(SDP));
    let ai = world.dialled("bot@");
    world.ring(ai);
    world.secs(10);
    assert!(world.legs[&ai].ended);
    assert_eq!(losses(&world)[0].0, AiLoss::NoAnswer);
    assert!(world.is_dialled("backup@"));
}

#[test]
fn an_ai_that_hangs_up_leaves_music_and_then_another_ai() {
    let mut world = World::with_ai();
    world.hang_up(world.leg("bot@"));
    assert_eq!(losses(&world), [(AiLoss::HungUp, None, "profile backup".into())]);
    assert_eq!(world.state(), CallState::Reconnecting);
    assert!(world.hears_music());
    let backup = world.dialled("backup@");
    world.answer(backup);
    assert!(world.hears_leg(world.caller, backup));
    assert_eq!(world.state(), CallState::WithAi);
}

#[test]
fn an_ai_whose_audio_stops_is_lost_and_its_leg_is_ended() {
    let mut world = World::with_ai();
    let ai = world.leg("bot@");
    let port = world.legs[&ai].port.unwrap();
    world.media(media_relay::Event::Dead { port, before_first: false });
    assert!(world.legs[&ai].ended);
    assert_eq!(losses(&world)[0].0, AiLoss::DeadMedia);
    world.answer(world.dialled("backup@"));
    let now = world.now;
    world.hang_up(world.caller);
    world.all_gone(now);
    let leg = world.cdrs[0].legs.iter().find(|leg| leg.name == "ai-1").unwrap();
    assert_eq!(leg.ended_by.as_deref(), Some("media"));
}

#[test]
fn when_no_ai_is_left_a_human_takes_the_caller() {
    let mut world = World::with_ai();
    world.hang_up(world.leg("bot@"));
    world.refuse(world.dialled("backup@"), 500);
    let human = world.dialled("100@");
    assert!(world.hears_music());
    world.answer(human);
    assert!(world.hears_leg(world.caller, human));
}

#[test]
fn when_nobody_is_left_the_call_ends_and_never_redials_for_ever() {
    let mut world = World::with_ai();
    world.hang_up(world.leg("bot@"));
    world.refuse(world.dialled("backup@"), 500);
    world.refuse(world.dialled("100@"), 603);
    // The chain comes back to an AI once more; it is not there either.
    let now = world.now;
    world.refuse(world.dialled("backup@"), 500);
    world.all_gone(now);
    assert_eq!(world.cdrs[0].cause, EndCause::AiLost);
}

#[test]
fn a_caller_who_was_never_answered_is_refused_when_nobody_is_left() {
    let mut config = config();
    config.ai.get_mut("main").unwrap().on_ai_failure.clear();
    let mut world = World::with(config, crate::world::RULES, 1);
    world.caller_comes(Some(SDP));
    let now = world.now;
    world.refuse(world.dialled("bot@"), 404);
    assert_eq!(world.legs[&world.caller].status, Some(480));
    world.all_gone(now);
    assert_eq!(world.cdrs[0].sip_code, Some(480));
}

#[test]
fn an_announcement_before_the_end_is_heard_to_its_end() {
    let mut config = config();
    config.ai.get_mut("main").unwrap().on_ai_failure = vec![AiFailureStep::Announce("ai-lost".into())];
    let mut world = World::with(config, crate::world::RULES, 1);
    world.caller_comes(Some(SDP));
    world.refuse(world.dialled("bot@"), 404);
    assert!(world.legs[&world.caller].answered);
    assert!(matches!(world.caller_hears(), media_relay::Source::Play(play) if &*play.first[0] == "ai-lost"));
    let now = world.now;
    world.prompt_over(world.caller);
    world.all_gone(now);
}

/// A second prompt once made the caller hear the first from its beginning again: it was another play, of both.
#[test]
fn a_prompt_that_is_added_is_said_after_the_first_which_goes_on() {
    let rules = format!(
        "{}  - {{ id: one, when: {{ intent: one }}, announce: we-are-closed }}\n  - {{ id: two, when: {{ intent: two }}, announce: ai-lost }}\n",
        crate::world::RULES
    );
    let mut world = World::with(config(), &rules, 1);
    world.connect();
    let ai = world.leg("bot@");
    world.event(serde_json::json!({ "type": "intent", "name": "one" }));
    let media_relay::Source::Play(first) = world.caller_hears().clone() else { panic!("{:?}", world.caller_hears()) };
    world.event(serde_json::json!({ "type": "intent", "name": "two" }));
    let media_relay::Source::Play(both) = world.caller_hears().clone() else { panic!("{:?}", world.caller_hears()) };
    assert_eq!((both.id, &both.first[..1], &*both.first[1]), (first.id, &first.first[..], "ai-lost"));
    // The first was over when the second was on its way.
    let port = world.legs[&world.caller].port.unwrap();
    world.media(media_relay::Event::PlayDone { port, play: first.id, clips: 1 });
    assert!(matches!(world.caller_hears(), media_relay::Source::Play(_)), "the second is still to come");
    world.prompt_over(world.caller);
    assert!(world.hears_leg(world.caller, ai));
}

#[test]
fn an_ai_that_ends_during_a_transfer_does_not_end_the_transfer() {
    let mut world = World::with_ai();
    world.transfer("frontdesk");
    let ai = world.leg("bot@");
    world.hang_up(ai);
    assert!(world.hears_music(), "its last words are over");
    let human = world.dialled("100@");
    world.answer(human);
    world.prompt_over(human);
    assert!(world.hears_leg(world.caller, human));
    assert_eq!(losses(&world)[0].2, "the transfer goes on");
}

#[test]
fn an_ai_that_ended_during_a_transfer_that_fails_is_redialled() {
    let mut world = World::with_ai();
    world.transfer("frontdesk");
    world.hang_up(world.leg("bot@"));
    world.refuse(world.dialled("100@"), 603);
    let ai = world.dialled("bot@");
    assert_eq!(world.header(ai, "X-Tandem-Cause").as_deref(), Some("declined"));
    world.answer(ai);
    assert!(world.hears_leg(world.caller, ai));
}

#[test]
fn an_ai_that_comes_and_goes_is_given_up_after_ten_losses() {
    let mut config = config();
    config.ai.get_mut("main").unwrap().on_ai_failure = vec![AiFailureStep::Profile("main".into())];
    let mut world = World::with(config, crate::world::RULES, 1);
    world.connect();
    for _ in 0..10 {
        let ai = world.dialled("bot@");
        world.hang_up(ai);
        world.answer(world.dialled("bot@"));
    }
    let now = world.now;
    world.hang_up(world.dialled("bot@"));
    world.all_gone(now);
}

#[test]
fn a_silent_human_or_caller_ends_by_media_timeout() {
    let mut world = World::with_ai();
    let port = world.legs[&world.caller].port.unwrap();
    let now = world.now;
    world.media(media_relay::Event::Dead { port, before_first: true });
    world.all_gone(now);
    assert_eq!(world.cdrs[0].cause, EndCause::MediaTimeout);
}

/// A panic in the relay took a call's ports: nobody told the call, and caller and AI sat in silence until their own timeouts.
#[test]
fn ports_that_a_defect_took_end_their_call_at_once_and_it_waits_for_no_counts() {
    let mut world = World::with_ai();
    let ports: Vec<_> = world.ports.keys().copied().collect();
    assert_eq!(ports.len(), 2);
    let now = world.now;
    for port in ports {
        world.ports.insert(port, false);
        world.media(media_relay::Event::Lost { port });
    }
    world.all_gone(now);
    assert_eq!(world.cdrs[0].cause, EndCause::InternalError);
}
