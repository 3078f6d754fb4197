//! Design, section 7: whatever the human does, the caller ends with somebody.

use crate::world::World;
use calls::{CallState, TransferState};
use policy::Cause;
use signaling::EndedBy;
use std::time::Duration;

/// A caller who waits (cold or warm) while the first human rings.
fn waiting(to: &str) -> World {
    let mut world = World::with_ai();
    world.transfer(to);
    world.secs(5);
    assert!(world.hears_music());
    world
}

fn back_with_the_ai(world: &mut World) {
    let ai = world.dialled("bot@");
    if !world.legs[&ai].answered {
        assert!(world.hears_music(), "music until the AI is back");
        world.answer(ai);
    }
    assert!(world.hears_leg(world.caller, ai) && world.hears_leg(ai, world.caller));
    assert_eq!(world.state(), CallState::WithAi);
}

#[test]
fn busy_goes_on_by_its_own_list_and_then_to_the_ai() {
    let mut world = waiting("frontdesk");
    world.refuse(world.dialled("100@"), 486);
    assert!(world.hears_music());
    world.refuse(world.dialled("200@"), 603);
    assert_eq!(
        world.failures(),
        [(Cause::Busy, Some(486), 1, "second".into()), (Cause::Declined, Some(603), 2, "ai".into())]
    );
    back_with_the_ai(&mut world);
}

#[test]
fn a_decline_brings_the_caller_back_to_the_muted_ai() {
    let mut world = waiting("frontdesk");
    let ai = world.leg("bot@");
    world.refuse(world.dialled("100@"), 603);
    assert_eq!(world.failures(), [(Cause::Declined, Some(603), 1, "ai".into())]);
    assert_eq!(world.leg("bot@"), ai, "the same leg, unmuted");
    back_with_the_ai(&mut world);
    assert_eq!(world.count("ai.connected"), 2, "a new stint");
}

/// Each transfer once counted its humans from 1, and what the port of the second transfer's human had counted was written down of the
/// first's, who had refused.
#[test]
fn no_two_legs_of_a_call_have_one_name_and_each_keeps_what_its_own_port_counted() {
    let mut world = waiting("frontdesk");
    world.refuse(world.dialled("100@"), 603);
    back_with_the_ai(&mut world);
    let second = world.transfer("second");
    world.secs(5);
    let human = world.dialled("200@");
    world.answer(human);
    world.prompt_over(human);
    assert_eq!(world.transfer_record(second).attempts[0].leg, "human-2");
    world.hang_up(world.caller);
    let legs = &world.cdrs[0].legs;
    let mut names: Vec<&str> = legs.iter().map(|leg| leg.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["ai-1", "caller", "human-1", "human-2"]);
    let counted = |name: &str| {
        let leg = legs.iter().find(|leg| leg.name == name).expect("a leg of that name");
        leg.media.as_ref().map(|media| media.packets_received)
    };
    let port = |leg| world.legs[&leg].port.map(|port| u64::from(port.0));
    assert_eq!((counted("caller"), counted("human-2")), (port(world.caller), port(human)));
    assert_ne!(counted("human-1"), port(human), "of whoever refused nothing of theirs is told");
}

#[test]
fn ringing_out_is_no_answer_after_ring_timeout() {
    let mut world = waiting("frontdesk");
    let human = world.dialled("100@");
    world.ring(human);
    world.ms(14_999);
    assert!(!world.legs[&human].ended);
    world.ms(1);
    assert!(world.legs[&human].ended, "cancelled");
    assert_eq!(world.failures(), [(Cause::NoAnswer, None, 1, "ai".into())]);
    back_with_the_ai(&mut world);
}

#[test]
fn an_unreachable_phone_is_told_by_transport_or_silence() {
    for (by, status) in [(EndedBy::Transport, Some(503)), (EndedBy::Timeout, Some(408)), (EndedBy::Refused, Some(404))]
    {
        let mut world = waiting("frontdesk");
        world.end_leg(world.dialled("100@"), by, status);
        assert_eq!(world.failures()[0].0, Cause::Unreachable, "{by:?}");
        back_with_the_ai(&mut world);
    }
}

#[test]
fn hanging_up_in_the_whisper_is_not_accepted() {
    let mut world = waiting("frontdesk");
    let human = world.dialled("100@");
    world.answer(human);
    world.hang_up(human);
    assert_eq!(world.failures(), [(Cause::NotAccepted, None, 1, "ai".into())]);
    back_with_the_ai(&mut world);
}

#[test]
fn not_pressing_the_key_is_not_accepted_within_its_time_after_the_prompt() {
    let mut world = waiting("closer");
    let human = world.dialled("tel:+15550199");
    world.answer(human);
    world.secs(4);
    world.prompt_over(human);
    world.ms(9_999);
    assert!(!world.legs[&human].ended);
    world.ms(1);
    assert!(world.legs[&human].ended);
    assert_eq!(world.failures(), [(Cause::NotAccepted, None, 1, "ai".into())]);
    back_with_the_ai(&mut world);
}

#[test]
fn a_prompt_that_never_ends_does_not_keep_the_caller_waiting_for_ever() {
    let mut world = waiting("frontdesk");
    let human = world.dialled("100@");
    world.answer(human);
    world.secs(60);
    assert!(world.hears_leg(world.caller, human));
}

#[test]
fn a_destination_exhausts_its_own_targets_first() {
    let mut world = waiting("retention");
    world.refuse(world.dialled("anna@"), 480);
    assert_eq!(world.failures()[0].3, "next target");
    let ben = world.dialled("ben@");
    world.answer(ben);
    world.prompt_over(ben);
    assert!(world.hears_leg(world.caller, ben));
}

#[test]
fn a_closed_destination_is_not_dialled_and_its_list_is_walked() {
    let mut world = World::with_ai();
    world.transfer("night");
    assert!(!world.is_dialled("300@"));
    assert_eq!(world.failures(), [(Cause::Closed, None, 1, "second".into())]);
    assert!(world.is_dialled("200@"));
}

#[test]
fn a_cold_transfer_that_fails_redials_the_ai_and_tells_it_why() {
    let mut world = World::with_ai();
    let first = world.leg("bot@");
    for _ in 0..3 {
        world.event(serde_json::json!({"type": "no_match"}));
    }
    world.secs(5);
    assert!(world.legs[&first].ended);
    world.refuse(world.dialled("100@"), 603);
    let ai = world.dialled("bot@");
    assert_ne!(ai, first);
    for (name, value) in [
        ("X-Tandem-Reason", "transfer_failed"),
        ("X-Tandem-Cause", "declined"),
        ("X-Tandem-Sip-Code", "603"),
        ("X-Tandem-Attempt", "1"),
    ] {
        assert_eq!(world.header(ai, name).as_deref(), Some(value), "{name}");
    }
    back_with_the_ai(&mut world);
    // The rule rests for its cooldown, and its count begins anew with the stint.
    for _ in 0..3 {
        assert!(world.event(serde_json::json!({"type": "no_match"})).results[0].decision.is_none());
    }
}

#[test]
fn a_phone_that_fails_while_the_ai_still_speaks_leaves_it_speaking() {
    let mut world = World::with_ai();
    let ai = world.leg("bot@");
    world.transfer("frontdesk");
    world.refuse(world.dialled("100@"), 603);
    assert!(world.hears_leg(world.caller, ai) && world.hears_leg(ai, world.caller));
    assert!(world.plans.iter().all(|(_, plan)| !plan.values().any(|it| matches!(it, media_relay::Source::Play(_)))));
}

#[test]
fn the_winner_who_hangs_up_before_the_last_words_end_has_not_accepted() {
    let mut world = World::with_ai();
    world.transfer("plain");
    let human = world.dialled("100@");
    world.answer(human);
    world.hang_up(human);
    assert_eq!(world.failures(), [(Cause::NotAccepted, None, 1, "ai".into())]);
    back_with_the_ai(&mut world);
}

#[test]
fn a_list_that_says_end_ends_the_call() {
    let mut world = World::with_ai();
    let body = calls::TransferBody {
        on_failure: Some(calls::OnFailureBody::Always(vec![policy::Step::End])),
        ..calls::TransferBody::to("frontdesk")
    };
    let transfer = world.transfer_as(body).unwrap();
    world.secs(5);
    let now = world.now;
    world.refuse(world.dialled("100@"), 486);
    world.all_gone(now);
    let record = world.cdrs[0].transfers.iter().find(|it| it.id == transfer).unwrap();
    assert_eq!((record.state, record.cause), (TransferState::Failed, Some(Cause::Busy)));
}

#[test]
fn an_answer_without_a_common_codec_is_a_failure_of_that_phone_alone() {
    let mut world = waiting("frontdesk");
    let human = world.dialled("100@");
    let body = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n";
    world.tell(human, signaling::Event::Answered { body: Some(bytes::Bytes::from_static(body)), headers: Vec::new() });
    assert!(world.legs[&human].ended, "its answered leg is ended, not forgotten");
    assert_eq!(world.failures(), [(Cause::Failed, Some(488), 1, "ai".into())]);
    back_with_the_ai(&mut world);
}

/// Civil time is for records and opening hours: whatever it does, a timer keeps its time and nothing else ends.
#[test]
fn faults_22_civil_time_set_back_or_on_by_an_hour_moves_no_timer() {
    for back in [true, false] {
        let step = |world: &mut World| {
            let hour = Duration::from_secs(3600);
            world.now.unix = if back { world.now.unix - hour } else { world.now.unix + hour };
        };
        let mut world = World::with_ai();
        step(&mut world);
        world.secs(5);
        let (caller, ai) = (world.caller, world.leg("bot@"));
        assert!(world.cdrs.is_empty() && world.hears_leg(caller, ai), "the call goes on");
        world.transfer("frontdesk");
        world.secs(5);
        let human = world.dialled("100@");
        world.ring(human);
        world.secs(5);
        step(&mut world);
        world.secs(9);
        assert!(!world.legs[&human].ended, "20 s of ringing are not over after 19");
        world.secs(2);
        assert!(world.legs[&human].ended, "they are after 21");
        back_with_the_ai(&mut world);
    }
}
