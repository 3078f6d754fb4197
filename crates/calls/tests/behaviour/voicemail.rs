//! Callers who leave a message: where they come from, what ends it, and when nothing is kept.

use crate::world::{SDP, World, config};
use calls::{
    AiFailureStep, CallState, Config, EndCause, Input, Mailbox, MessageEnd, MessageLeft, Recorded, TransferState,
};
use core::time::Duration;
use media_relay::{Event, Source};
use serde_json::json;

const RULES: &str = r#"
version: 1
destinations:
  plain:   { dial: "sip:100@192.0.2.40", whisper: none }
  message: { voicemail: default }
  closed:  { voicemail: default, hours: never }
  nobody:  { voicemail: gone, on_failure: [message] }
hours:
  never: { timezone: Europe/Berlin, open: { mon: ["00:00-00:01"] } }
defaults:
  transfer: { on_failure: { no_answer: [message], busy: ["voicemail:sales", end], declined: [ai], else: [end] } }
rules:
  - id: leave-a-message
    when: { intent: leave_message }
    voicemail: sales
"#;

/// What a caller does after the beep.
type Happens<'a> = &'a dyn Fn(&mut World);

fn mailboxes() -> Config {
    let mailbox = Mailbox { greeting: Some("leave-a-message".into()), ..Mailbox::default() };
    let sales = Mailbox { silence: Duration::from_secs(3), ..Mailbox::default() };
    Config { mailboxes: [("default".to_owned(), mailbox), ("sales".to_owned(), sales)].into(), ..config() }
}

fn world() -> World {
    let mut world = World::with(mailboxes(), RULES, 3);
    world.connect();
    world
}

/// A caller at the end of the beep.
fn greeted() -> World {
    let mut world = world();
    world.transfer("message");
    world.ai_quiet();
    world.ms(500);
    assert_eq!((world.state(), played(&world)), (CallState::Voicemail, vec!["leave-a-message", "beep"]));
    world.prompt_over(world.caller);
    world
}

fn played(world: &World) -> Vec<&str> {
    match world.caller_hears() {
        Source::Play(play) => play.first.iter().map(AsRef::as_ref).collect(),
        _ => Vec::new(),
    }
}

/// The orders in short.
fn orders(world: &World) -> Vec<String> {
    let short = |order: &calls::RecordOrder| match order {
        calls::RecordOrder::Message { message, .. } => format!("message for {}", message.mailbox),
        calls::RecordOrder::Keep { ended_by, .. } => format!("keep: {}", ended_by.name()),
        calls::RecordOrder::Discard { .. } => "discard".to_owned(),
        other => format!("{other:?}"),
    };
    world.orders.iter().map(short).collect()
}

fn quiet(world: &mut World, lasting: u64) {
    let port = world.legs[&world.caller].port.unwrap();
    world.media(Event::Quiet { port, lasting: Duration::from_secs(lasting) });
}

fn speaks(world: &mut World) {
    let port = world.legs[&world.caller].port.unwrap();
    world.media(Event::Speech { port });
}

#[test]
fn the_greeting_waits_for_the_ais_last_words_and_the_message_for_the_beep() {
    let mut world = world();
    let transfer = world.transfer("message");
    let ai = world.leg("bot@");
    assert!(world.hears_leg(world.caller, ai), "the AI finishes its sentence");
    world.ai_quiet();
    world.ms(500);
    assert_eq!(played(&world), ["leave-a-message", "beep"]);
    assert!(world.legs[&ai].ended, "nobody but the caller is left");
    assert!(world.orders.is_empty() && world.message_taps.is_empty(), "nothing is kept before the beep's end");
    assert_eq!(world.transfer_record(transfer).state, TransferState::Voicemail);
    world.prompt_over(world.caller);
    let port = world.legs[&world.caller].port.unwrap();
    let tap = world.message_taps[&port];
    assert_eq!((tap.received, tap.sent, orders(&world)), (Some(0), None, vec!["message for default".to_owned()]));
    let now = world.now;
    world.secs(3);
    world.hang_up(world.caller);
    world.all_gone(now.after(Duration::from_secs(3)));
    assert!(world.message_taps.is_empty());
    assert_eq!(orders(&world)[1..], ["keep: hung_up"]);
    let cdr = &world.cdrs[0];
    assert_eq!((cdr.cause, cdr.voicemails[0].kept, cdr.voicemails[0].spoken_ms), (EndCause::CallerHungUp, true, 3_000));
}

/// Two minutes after a caller had put us on hold in the greeting their message began, without a beep, and there was nothing in it.
#[test]
fn a_caller_who_holds_us_in_the_greeting_hears_the_rest_and_the_beep_before_their_message() {
    let mut world = world();
    world.transfer("message");
    world.ai_quiet();
    world.ms(500);
    let caller = world.caller;
    crate::world::holding(&mut world, caller, true);
    world.secs(600);
    assert!(orders(&world).is_empty(), "nobody has heard the beep");
    crate::world::holding(&mut world, caller, false);
    assert_eq!(played(&world), ["leave-a-message", "beep"]);
    world.prompt_over(world.caller);
    assert_eq!(orders(&world), ["message for default"]);
}

#[test]
fn silence_the_limit_and_a_key_end_a_message_and_the_call() {
    let silent = |world: &mut World| {
        quiet(world, 1);
        world.secs(2);
        speaks(world);
        world.secs(20);
        quiet(world, 1);
        world.ms(4_900);
        assert_eq!(world.state(), CallState::Voicemail, "six seconds are not over");
        world.ms(200);
    };
    let talkative = |world: &mut World| {
        world.secs(179);
        assert_eq!(world.state(), CallState::Voicemail);
        world.secs(2);
    };
    let pressed = |world: &mut World| {
        world.secs(10);
        world.press(world.caller, '5');
        assert_eq!(world.state(), CallState::Voicemail);
        world.press(world.caller, '#');
    };
    let ends: [(MessageEnd, u64, Happens<'_>); 3] = [
        (MessageEnd::Silence, 21_000, &silent),
        (MessageEnd::Limit, 180_000, &talkative),
        (MessageEnd::Key, 10_000, &pressed),
    ];
    for (ended_by, spoken_ms, happens) in ends {
        let mut world = greeted();
        happens(&mut world);
        let now = world.now;
        world.all_gone(now);
        assert_eq!(orders(&world)[1..], [format!("keep: {}", ended_by.name())]);
        let (cdr, told) = (&world.cdrs[0], &world.cdrs[0].voicemails[0]);
        assert_eq!((cdr.cause, told.ended_by, told.spoken_ms), (EndCause::Voicemail, ended_by, spoken_ms));
    }
}

#[test]
fn what_is_too_short_is_thrown_away_and_said_so_and_silence_is_no_message() {
    let mut world = greeted();
    world.ms(1_900);
    let now = world.now;
    world.hang_up(world.caller);
    world.all_gone(now);
    assert_eq!((orders(&world)[1..].to_vec(), world.count("voicemail.discarded")), (vec!["discard".to_owned()], 1));
    assert!(!world.cdrs[0].voicemails[0].kept);
    // A caller who never says a word was quiet before the beep already: nobody tells it again.
    let mut world = world_quiet_before_the_beep();
    world.ms(5_900);
    assert_eq!(world.state(), CallState::Voicemail);
    world.ms(200);
    let now = world.now;
    world.all_gone(now);
    assert_eq!((&*orders(&world)[1], world.cdrs[0].voicemails[0].spoken_ms), ("discard", 0));
}

fn world_quiet_before_the_beep() -> World {
    let mut world = world();
    world.transfer("message");
    world.ai_quiet();
    world.ms(500);
    quiet(&mut world, 1);
    world.secs(4);
    world.prompt_over(world.caller);
    world
}

#[test]
fn a_human_who_does_not_answer_a_busy_one_a_rule_and_a_lost_ai_lead_to_a_mailbox() {
    let mut world = world();
    world.transfer("plain");
    world.secs(30);
    assert_eq!((world.state(), played(&world)), (CallState::Voicemail, vec!["leave-a-message", "beep"]));
    let mut world = self::world();
    world.transfer("plain");
    world.refuse(world.dialled("100@"), 486);
    assert!(world.state() == CallState::Transferring, "while the AI has its last words");
    world.secs(6);
    assert_eq!((world.state(), played(&world)), (CallState::Voicemail, vec!["beep"]), "sales has no greeting");
    let mut world = self::world();
    let reply = world.event(json!({ "type": "intent", "name": "leave_message" }));
    let decision = reply.results[0].decision.clone().unwrap();
    assert_eq!((&*decision.does, decision.to.as_deref()), ("voicemail", Some("voicemail:sales")));
    world.secs(6);
    assert_eq!(world.state(), CallState::Voicemail);
    let mut config = mailboxes();
    config.ai.get_mut("main").unwrap().on_ai_failure = vec![AiFailureStep::Destination("voicemail".into())];
    let mut world = World::with(config, RULES, 1);
    world.caller_comes(Some(SDP));
    world.refuse(world.dialled("bot@"), 404);
    assert!(world.legs[&world.caller].answered, "who was never answered is answered for the greeting");
    assert_eq!(played(&world), ["leave-a-message", "beep"]);
}

#[test]
fn a_mailbox_that_is_closed_or_gone_is_a_failure_like_any_other() {
    let mut world = world();
    world.transfer("nobody");
    world.secs(6);
    assert_eq!((world.state(), world.failures()[0].0), (CallState::Voicemail, policy::Cause::Failed));
    let mut world = self::world();
    world.transfer("closed");
    world.secs(6);
    assert_eq!((world.failures()[0].0, world.state()), (policy::Cause::Closed, CallState::Ended));
}

#[test]
fn a_message_is_kept_when_the_call_goes_on_otherwise() {
    let mut world = greeted();
    world.secs(10);
    world.transfer("plain");
    assert_eq!(orders(&world)[1..], ["keep: other"]);
    assert!(world.message_taps.is_empty());
    let human = world.dialled("100@");
    world.answer(human);
    assert_eq!(world.state(), CallState::WithHuman);
    world.secs(600);
    assert_eq!(world.state(), CallState::WithHuman, "its limit is gone with it");
}

#[test]
fn a_greeting_that_never_reports_its_end_is_over_some_time() {
    let mut world = world();
    world.transfer("message");
    world.secs(130);
    assert_eq!(orders(&world), ["message for default"]);
}

#[test]
fn a_caller_who_holds_us_leaves_nothing_of_their_music() {
    let mut world = greeted();
    world.secs(3);
    let hold = SDP.replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n");
    let offer = |world: &mut World, sdp: &str| {
        let body = Some(bytes::Bytes::copy_from_slice(sdp.as_bytes()));
        world.tell(world.caller, signaling::Event::Offer { body });
    };
    offer(&mut world, &hold);
    assert!(world.message_taps.is_empty());
    offer(&mut world, SDP);
    assert_eq!(world.message_taps.len(), 1);
}

#[test]
fn what_came_of_a_message_is_told_after_the_call_too() {
    let mut world = greeted();
    world.secs(3);
    let (call, line) = (world.call, "support".to_owned());
    let voicemail = match &world.orders[0] {
        calls::RecordOrder::Message { message, .. } => message.id,
        other => panic!("{other:?}"),
    };
    let what = Recorded::MessageFailed { voicemail, reason: "No space left on device".to_owned() };
    world.give(Input::Recorded { call, line: line.clone(), what });
    world.hang_up(world.caller);
    assert_eq!(world.cdrs[0].voicemails[0].failed.as_deref(), Some("No space left on device"));
    let left = MessageLeft {
        voicemail,
        mailbox: "default".to_owned(),
        from: None,
        duration_ms: 3_000,
        bytes: 1,
        file: None,
        ended_by: MessageEnd::HungUp,
        complete: false,
        encrypted_to: Vec::new(),
    };
    world.give(Input::Recorded { call, line, what: Recorded::Message(Box::new(left)) });
    assert_eq!((world.count("voicemail.failed"), world.count("voicemail.left")), (1, 1));
}
