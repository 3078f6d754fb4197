//! A rule fires, a human takes over: cold and warm, last words, whisper, acceptance, several phones at once.

use crate::world::{RULES, SDP, World, config, targets};
use calls::{CallState, Guidance, Happening, TransferBody, TransferState};
use media_relay::Source;
use serde_json::json;
use std::time::Duration;

#[test]
fn three_misses_take_the_caller_to_a_human_and_the_ai_gets_its_bye() {
    let mut world = World::with_ai();
    let (caller, ai) = (world.caller, world.leg("bot@"));
    assert!(world.hears_leg(caller, ai) && world.hears_leg(ai, caller));
    for miss in 1..=2 {
        let reply = world.event(json!({"type": "no_match"}));
        assert!(reply.results[0].decision.is_none());
        assert_eq!(reply.guidance, Guidance::Continue);
        let explanation = reply.results[0].explanation.as_ref().unwrap();
        assert_eq!(explanation.rules.len(), 3, "rule by rule, miss {miss}");
    }
    let reply = world.event(json!({"type": "no_match"}));
    let decision = reply.results[0].decision.as_ref().unwrap();
    assert_eq!((decision.rule.as_str(), decision.to.as_deref()), ("three-misses", Some("frontdesk")));
    assert_eq!(reply.guidance, Guidance::FinishSentence);
    assert!(reply.speak_by_ms.unwrap() >= world.now.unix_ms());
    // The human is dialled while the AI still speaks; the caller still hears it, it no longer hears the caller.
    let human = world.dialled("100@");
    assert_eq!(world.header(human, "X-Tandem-Call-Id"), Some(world.call.to_string()));
    assert!(world.hears_leg(caller, ai));
    assert_eq!(*world.hears(ai), Source::Silence);
    world.ms(600);
    world.ai_quiet();
    assert!(world.hears_music(), "{:?}", world.caller_hears());
    assert!(world.legs[&ai].ended, "a cold transfer releases the AI when the music starts");
    world.ring(human);
    world.secs(3);
    world.answer(human);
    assert!(world.hears_leg(caller, human) && world.hears_leg(human, caller), "nobody is introduced in a cold one");
    assert_eq!(world.state(), CallState::WithHuman);
    let ended = world.now;
    world.hang_up(caller);
    world.all_gone(ended);
    let cdr = &world.cdrs[0];
    assert_eq!(cdr.transfers[0].state, TransferState::Bridged);
    assert_eq!(cdr.transfers[0].attempts.len(), 1);
    assert_eq!(cdr.handoff_silence_ms, Some(20));
    assert_eq!(cdr.legs.len(), 3);
    assert_eq!(cdr.decisions[0].rule.as_deref(), Some("three-misses"));
    let line = serde_json::to_string(cdr).unwrap();
    assert!(!line.contains('\n'));
    assert_eq!(serde_json::to_value(serde_json::from_str::<calls::Cdr>(&line).unwrap()).unwrap(), json!(cdr));
}

#[test]
fn a_warm_transfer_whispers_and_keeps_the_ai_muted_until_the_bridge() {
    let mut world = World::with_ai();
    let (caller, ai) = (world.caller, world.leg("bot@"));
    let transfer = world.transfer("frontdesk");
    let human = world.dialled("100@");
    world.answer(human);
    // Answered before the AI's last words ended: told already, and not joined.
    assert!(matches!(world.hears(human), Source::Play(play) if &*play.first[0] == "incoming-handoff"));
    assert!(world.hears_leg(caller, ai));
    world.ms(500);
    world.ai_quiet();
    assert!(world.hears_music());
    assert_eq!(*world.hears(ai), Source::Silence);
    assert!(!world.legs[&ai].ended, "warm: the AI stays until the bridge");
    world.prompt_over(human);
    assert!(world.hears_leg(caller, human) && world.hears_leg(human, caller));
    assert!(world.legs[&ai].ended);
    assert_eq!(world.transfer_record(transfer).state, TransferState::Bridged);
    let story: Vec<_> = world.story().into_iter().filter(|name| *name != "facts.changed").collect();
    assert_eq!(
        story,
        [
            "call.started",
            "call.answered",
            "ai.connected",
            "transfer.started",
            "agent.offered",
            "agent.answered",
            "whisper.started",
            "ai.muted",
            "agent.accepted",
            "transfer.bridged"
        ]
    );
    world.secs(2);
    assert_eq!(world.count("transfer.measured"), 1, "one second after the bridge the silence is known");
}

#[test]
fn an_ai_that_was_quiet_at_the_decision_gets_its_chance_to_begin_a_sentence() {
    let mut world = World::with_ai();
    let ai = world.leg("bot@");
    world.secs(5);
    world.transfer("frontdesk");
    let port = world.legs[&ai].port.unwrap();
    world.media(media_relay::Event::Quiet { port, lasting: Duration::from_secs(3) });
    assert!(world.hears_leg(world.caller, ai), "quiet for long, but not since it was told");
    world.ms(200);
    world.media(media_relay::Event::Speech { port });
    world.ms(1_000);
    assert!(world.hears_leg(world.caller, ai), "it speaks its last words");
    world.media(media_relay::Event::Quiet { port, lasting: Duration::from_millis(400) });
    assert!(world.hears_music());
}

#[test]
fn last_words_are_capped_by_drain_max() {
    let mut world = World::with_ai();
    world.transfer("frontdesk");
    world.ms(4_999);
    assert!(!world.hears_music());
    world.ms(1);
    assert!(world.hears_music());
}

#[test]
fn on_ready_waits_for_the_ais_word_and_now_waits_for_nothing() {
    let mut world = World::with_ai();
    world.transfer_as(TransferBody { start: Some(policy::Start::OnReady), ..TransferBody::to("frontdesk") }).unwrap();
    world.ms(1_000);
    assert!(!world.hears_music());
    let reply = world.event(json!({"type": "ready"}));
    assert_eq!(reply.guidance, Guidance::Stop);
    assert!(world.hears_music());
    let mut world = World::with_ai();
    world.transfer_as(TransferBody { start: Some(policy::Start::Now), ..TransferBody::to("frontdesk") }).unwrap();
    assert!(world.hears_music());
}

#[test]
fn without_predial_the_phone_rings_only_when_the_caller_waits() {
    let mut world = World::with_ai();
    world.transfer_as(TransferBody { predial: Some(false), ..TransferBody::to("frontdesk") }).unwrap();
    assert!(!world.is_dialled("100@"));
    world.secs(5);
    assert!(world.is_dialled("100@"));
}

#[test]
fn acceptance_is_a_key_or_a_click_and_the_key_may_interrupt_the_prompt() {
    let mut world = World::with_ai();
    world.transfer("closer");
    world.secs(5);
    let human = world.dialled("tel:+15550199");
    assert_eq!(world.header(human, "X-Tandem-Call-Id"), None, "a carrier sees nothing");
    world.answer(human);
    world.press(human, '5');
    assert!(world.hears_music());
    world.press(human, '1');
    assert!(world.hears_leg(world.caller, human));
    let mut world = World::with_ai();
    let by_screen = world.transfer("closer");
    world.secs(5);
    let early = world.reply(calls::Request::AcceptTransfer { transfer: by_screen, attempt: None });
    assert_eq!(early.unwrap_err().status, 409);
    let human = world.dialled("tel:+15550199");
    world.answer(human);
    world.reply(calls::Request::AcceptTransfer { transfer: by_screen, attempt: None }).unwrap();
    assert!(world.hears_leg(world.caller, human));
}

#[test]
fn with_simultaneous_ringing_the_first_to_accept_wins() {
    let mut world = World::with_ai();
    world.transfer("team");
    world.secs(5);
    let (anna, ben) = (world.dialled("anna@"), world.dialled("ben@"));
    world.answer(anna);
    world.answer(ben);
    assert!(matches!(world.hears(anna), Source::Play(_)) && matches!(world.hears(ben), Source::Play(_)));
    world.prompt_over(anna);
    world.press(ben, '1');
    assert!(world.hears_leg(world.caller, ben));
    assert!(world.legs[&anna].ended, "the other phone is given up at once");
    assert_eq!(world.failures(), [], "and that is no failure");
    world.press(ben, '1');
}

#[test]
fn the_context_reaches_the_human_before_the_phone_rings() {
    let mut world = World::with_ai();
    world.event(json!({"type": "context", "customer_name": "Jörg", "balance": 12}));
    world.event(json!([{"type": "sentiment", "score": -0.9}, {"type": "sentiment", "score": -0.8}]));
    let anna = world.dialled("anna@");
    assert_eq!(world.header(anna, "X-Tandem-Context-Customer-Name").as_deref(), Some("J%C3%B6rg"));
    let offered = world.published.iter().find_map(|event| match &event.what {
        Happening::AgentOffered { context, .. } => Some(context.clone()),
        _ => None,
    });
    assert_eq!(offered.unwrap()["customer_name"], json!("Jörg"));
}

#[test]
fn a_direct_uri_and_a_number_are_reached_by_command_and_get_no_context() {
    let mut world = World::with_ai();
    world.event(json!({"type": "context", "customer_name": "Jo"}));
    world.transfer("sip:direct@192.0.2.77");
    let direct = world.dialled("direct@");
    assert_eq!(world.header(direct, "X-Tandem-Call-Id"), Some(world.call.to_string()));
    assert_eq!(world.header(direct, "X-Tandem-Context-Customer-Name"), None);
    let dial = world.legs[&direct].dial.clone().unwrap();
    assert_eq!(dial.flow.remote, "192.0.2.77:5060".parse().unwrap());
    assert_eq!(dial.from.user(), Some("+493055512345"));
    assert_eq!(dial.max_forwards, 69);
}

#[test]
fn a_name_is_resolved_off_the_engine_and_a_name_without_address_is_unreachable() {
    let mut world = World::with_ai();
    world.transfer("named");
    let (id, wanted) = world.resolves.pop().unwrap();
    assert_eq!((wanted.host.as_str(), wanted.port), ("pbx.example.net", None));
    world.give(calls::Input::Resolved { id, targets: targets(&["198.51.100.7:5060"]) });
    let human = world.dialled("pbx.example.net");
    assert_eq!(world.legs[&human].dial.as_ref().unwrap().flow.remote, "198.51.100.7:5060".parse().unwrap());
    let mut world = World::with_ai();
    world.transfer("named");
    let (id, ..) = world.resolves.pop().unwrap();
    world.give(calls::Input::Resolved { id, targets: Vec::new() });
    assert_eq!(world.failures()[0].0, policy::Cause::Unreachable);
    assert_eq!(world.state(), CallState::WithAi);
}

#[test]
fn after_the_human_the_ai_takes_the_caller_again_where_the_profile_says_so() {
    let mut config = config();
    config.ai.get_mut("main").unwrap().after_human = calls::AfterHuman::Ai;
    let mut world = World::with(config, RULES, 1);
    world.connect();
    world.transfer("plain");
    world.secs(5);
    let human = world.dialled("100@");
    world.answer(human);
    world.hang_up(human);
    assert!(world.hears_music());
    let ai = world.dialled("bot@");
    assert_eq!(world.header(ai, "X-Tandem-Reason").as_deref(), Some("human_hung_up"));
    world.answer(ai);
    assert!(world.hears_leg(world.caller, ai));
    assert_eq!(world.count("call.handed_back"), 1);
}

#[test]
fn a_handback_gives_the_caller_to_the_ai_with_a_note() {
    let mut world = World::with_ai();
    world.transfer("plain");
    world.secs(5);
    let human = world.dialled("100@");
    world.answer(human);
    let call = world.call;
    let body = calls::HandbackBody { disposition: Some("solved".into()), note: Some("say\r\nbye".into()), to_ai: None };
    world.reply(calls::Request::Handback { call, body }).unwrap();
    assert!(world.legs[&human].ended);
    let ai = world.dialled("bot@");
    assert_eq!(world.header(ai, "X-Tandem-Note").as_deref(), Some("say%0D%0Abye"));
    world.answer(ai);
    assert!(world.hears_leg(world.caller, ai));
}

#[test]
fn a_human_without_an_ai_takes_a_caller_who_still_hears_ringing() {
    let mut world = World::new();
    world.caller_comes(Some(SDP));
    world.refuse(world.dialled("bot@"), 503);
    world.refuse(world.dialled("backup@"), 486);
    let human = world.dialled("100@");
    assert!(!world.legs[&world.caller].answered);
    world.answer(human);
    assert!(world.legs[&world.caller].answered);
    assert!(world.hears_leg(world.caller, human));
}

fn showing() -> World {
    let mut world = World::with(calls::Config { context_wait: Duration::from_millis(50), ..config() }, RULES, 7);
    world.connect();
    world.transfer("frontdesk");
    world
}

/// The phone rang before the screen had its context: the event was told beside the INVITE, some milliseconds after it.
#[test]
fn a_phone_rings_when_what_it_is_about_is_on_the_screens() {
    let mut world = showing();
    assert_eq!(world.count("agent.offered"), 1);
    assert!(!world.is_dialled("100@"));
    let leg = world.showing[0];
    world.ms(49);
    assert!(!world.is_dialled("100@"));
    world.give(calls::Input::Shown { leg });
    assert!(world.is_dialled("100@"));
    let human = world.dialled("100@");
    world.give(calls::Input::Shown { leg });
    world.ms(100);
    assert_eq!(world.dialled("100@"), human, "said twice, or too late as well, it rings once");
    world.answer(human);
    world.ms(500);
    world.ai_quiet();
    world.prompt_over(human);
    assert!(world.hears_leg(world.caller, human));
}

#[test]
fn no_screen_keeps_a_phone_from_ringing_for_longer_than_the_context_wait() {
    let mut world = showing();
    world.ms(50);
    assert!(world.is_dialled("100@"));
    let own = RULES.replace("dial: \"sip:100@192.0.2.40\" }", "dial: \"sip:100@192.0.2.40\", context_wait: 300ms }");
    let mut world = World::with(config(), &own, 7);
    world.connect();
    world.transfer("frontdesk");
    world.ms(299);
    assert!(!world.is_dialled("100@"), "the destination's own");
    world.ms(1);
    assert!(world.is_dialled("100@"));
}

#[test]
fn a_caller_who_leaves_before_the_screen_has_the_context_rings_nobody() {
    let mut world = showing();
    let leg = world.showing[0];
    let ended = world.now;
    world.hang_up(world.caller);
    world.give(calls::Input::Shown { leg });
    world.all_gone(ended);
    assert!(!world.is_dialled("100@"));
}

/// Whoever waited heard silence where rules named music that was not there, and took the call for dead.
#[test]
fn music_that_is_not_there_is_the_music_for_all_and_without_that_ringing() {
    let rules = RULES.replace("then: music/default", "then: music/defalt");
    for (there, heard) in [(&["music/default"][..], "music/default"), (&["hello"][..], "ringing")] {
        let mut config = config();
        config.media.clips = std::sync::Arc::new(there.iter().map(|name| (*name).to_owned()).collect());
        let mut world = World::with(config, &rules, 7);
        world.connect();
        world.transfer("frontdesk");
        world.secs(5);
        let Source::Play(play) = world.caller_hears() else { panic!("{:?}", world.caller_hears()) };
        let then = match &play.then {
            media_relay::Then::Loop(name) => &**name,
            media_relay::Then::Ringback => "ringing",
            media_relay::Then::Silence => "silence",
        };
        assert_eq!(then, heard);
    }
}
