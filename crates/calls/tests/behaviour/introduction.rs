//! The AI introduces the caller to the human, and may stay as their silent co-pilot.

use crate::world::{World, config, holding};
use calls::{
    AfterHuman, CallState, Guidance, HandbackBody, Happening, IntroduceBody, IntroductionEnd, Reply, Request,
    TransferBody, TransferId, TransferState,
};
use media_relay::Source;
use policy::{Introduce, Mode, ReleaseAi};
use serde_json::json;
use signaling::LegId;
use std::time::Duration;

fn introduce(press: Option<char>) -> Option<IntroduceBody> {
    Some(IntroduceBody::Within(Introduce { within: Duration::from_secs(15), press }))
}

/// A caller whom the AI introduces to a human.
fn introducing(body: TransferBody) -> (World, LegId, TransferId) {
    let mut world = World::with_ai();
    world.together = true;
    let transfer = world.transfer_as(body).unwrap();
    let human = world.dialled("100@");
    world.ring(human);
    world.answer(human);
    assert!(world.hears_leg(world.caller, world.leg("bot@")), "the AI's last words first");
    world.ai_quiet();
    world.secs(1);
    assert_eq!(world.count("introduction.started"), 1);
    (world, human, transfer)
}

/// A caller with a human, the AI beside them.
fn with_copilot() -> (World, LegId) {
    let body = TransferBody { release_ai: Some(ReleaseAi::Stay), ..TransferBody::to("plain") };
    let mut world = World::with_ai();
    world.together = true;
    world.transfer_as(body).unwrap();
    world.answer(world.dialled("100@"));
    world.secs(6);
    let human = world.leg("100@");
    assert_eq!(world.count("copilot.started"), 1);
    (world, human)
}

fn all_hear_one_another(world: &World, legs: [LegId; 3]) -> bool {
    legs.iter().all(|listener| {
        let others: Vec<_> =
            legs.iter().filter(|leg| *leg != listener).map(|leg| world.legs[leg].port.unwrap()).collect();
        match world.hears(*listener) {
            Source::Mix(heard) => heard.len() == 2 && others.iter().all(|other| heard.contains(other)),
            _ => false,
        }
    })
}

fn ended_by(world: &World) -> Vec<IntroductionEnd> {
    let ended = |event: &calls::PublicEvent| match &event.what {
        Happening::IntroductionEnded { by, .. } => Some(*by),
        _ => None,
    };
    world.published.iter().filter_map(ended).collect()
}

#[test]
fn an_introduction_lasts_until_ready_a_key_the_screen_or_its_time() {
    for by in [IntroductionEnd::Ready, IntroductionEnd::Digit, IntroductionEnd::Command, IntroductionEnd::Timeout] {
        let body = TransferBody { introduce: introduce(Some('#')), ..TransferBody::to("plain") };
        let (mut world, human, transfer) = introducing(body);
        let (caller, ai) = (world.caller, world.leg("bot@"));
        assert!(all_hear_one_another(&world, [caller, ai, human]));
        assert_eq!(world.transfer_record(transfer).state, TransferState::Introduction);
        assert_eq!(world.event(json!({"type": "no_match"})).guidance, Guidance::Continue, "the AI may speak");
        world.press(human, '1');
        assert!(all_hear_one_another(&world, [caller, ai, human]), "another key means nothing");
        match by {
            IntroductionEnd::Ready => drop(world.event(json!({"type": "ready"}))),
            IntroductionEnd::Digit => world.press(human, '#'),
            IntroductionEnd::Command => {
                world.reply(Request::AcceptTransfer { transfer, attempt: None }).unwrap();
            }
            _ => world.secs(15),
        }
        assert_eq!(ended_by(&world), [by]);
        assert!(world.hears_leg(caller, human) && world.hears_leg(human, caller), "{by:?}");
        assert!(world.legs[&ai].ended, "the AI leaves");
        assert_eq!(world.transfer_record(transfer).state, TransferState::Bridged);
        world.hang_up(caller);
        let now = world.now;
        world.all_gone(now);
    }
}

#[test]
fn an_introduction_comes_after_whisper_and_acceptance_and_the_ai_may_stay() {
    let mut world = World::with_ai();
    world.together = true;
    let body = TransferBody {
        introduce: introduce(None),
        release_ai: Some(ReleaseAi::Stay),
        accept: Some(calls::AcceptBody::Press(policy::Accept { press: '1', within: Duration::from_secs(10) })),
        ..TransferBody::to("frontdesk")
    };
    world.transfer_as(body).unwrap();
    let (caller, ai, human) = (world.caller, world.leg("bot@"), world.dialled("100@"));
    world.answer(human);
    world.secs(6);
    assert!(world.hears_music() && world.count("introduction.started") == 0);
    world.prompt_over(human);
    world.press(human, '1');
    assert!(all_hear_one_another(&world, [caller, ai, human]));
    world.event(json!({"type": "ready"}));
    assert!(world.hears_leg(caller, human) && !world.legs[&ai].ended);
    assert_eq!((world.count("copilot.started"), world.count("transfer.bridged")), (1, 1));
}

#[test]
fn whoever_leaves_an_introduction_strands_nobody() {
    for who in ["human", "declined", "cancelled", "ai", "caller"] {
        let (mut world, human, transfer) =
            introducing(TransferBody { introduce: introduce(None), ..TransferBody::to("plain") });
        let (caller, ai) = (world.caller, world.leg("bot@"));
        match who {
            "human" => world.hang_up(human),
            "declined" => drop(world.reply(Request::DeclineTransfer { transfer, attempt: None }).unwrap()),
            "cancelled" => drop(world.reply(Request::CancelTransfer { transfer }).unwrap()),
            "ai" => world.hang_up(ai),
            _ => world.hang_up(caller),
        }
        match who {
            "caller" => {}
            "ai" => {
                assert_eq!(ended_by(&world), [IntroductionEnd::AiLost]);
                assert!(world.hears_leg(caller, human) && world.count("transfer.bridged") == 1);
                world.hang_up(caller);
            }
            _ => {
                assert_eq!(ended_by(&world), [IntroductionEnd::GivenUp], "{who}");
                assert!(world.hears_leg(caller, ai) && world.hears_leg(ai, caller), "{who}: the AI has the caller");
                assert!(world.legs[&human].ended && world.state() == CallState::WithAi, "{who}");
                world.hang_up(caller);
            }
        }
        let now = world.now;
        world.all_gone(now);
    }
}

/// The next destination is dialled while the caller hears music, not the AI that was to introduce them.
#[test]
fn after_an_introduction_that_came_to_nothing_the_chain_goes_on() {
    let steps = vec![policy::Step::Destination("second".into())];
    let on_failure = Some(calls::OnFailureBody::Always(steps));
    let body = TransferBody { introduce: introduce(None), on_failure, ..TransferBody::to("plain") };
    let (mut world, human, _) = introducing(body);
    world.hang_up(human);
    assert!(world.hears_music() && *world.hears(world.leg("bot@")) == Source::Silence);
    let second = world.dialled("200@");
    world.answer(second);
    world.prompt_over(second);
    assert_eq!(world.count("introduction.started"), 2, "what the request says holds for the next one too");
    assert!(all_hear_one_another(&world, [world.caller, world.leg("bot@"), second]));
}

#[test]
fn without_an_ai_there_is_no_introduction_and_no_co_pilot() {
    let (mut world, human) = {
        let mut world = World::with_ai();
        let release_ai = Some(ReleaseAi::AtOnce);
        let body = TransferBody {
            introduce: introduce(None),
            mode: Some(Mode::Cold),
            release_ai,
            ..TransferBody::to("plain")
        };
        world.transfer_as(body).unwrap();
        world.secs(6);
        let human = world.dialled("100@");
        world.answer(human);
        (world, human)
    };
    assert!(world.hears_leg(world.caller, human), "joined at once");
    assert_eq!(world.count("introduction.started"), 0);
    let body = TransferBody { release_ai: Some(ReleaseAi::Stay), ..TransferBody::to("second") };
    world.transfer_as(body).unwrap();
    let second = world.dialled("200@");
    world.answer(second);
    world.prompt_over(second);
    assert!(world.hears_leg(world.caller, second) && world.count("copilot.started") == 0);
}

#[test]
fn a_co_pilot_hears_both_is_heard_by_nobody_and_tells_the_agents_screen() {
    let (mut world, human) = with_copilot();
    let (caller, ai) = (world.caller, world.leg("bot@"));
    let port = |leg: LegId| world.legs[&leg].port.unwrap();
    assert_eq!(*world.hears(ai), Source::Mix(vec![port(caller), port(human)]));
    assert!(world.hears_leg(caller, human) && world.hears_leg(human, caller));
    let reply = world.event(json!([
        {"type": "summary", "text": "A refund."}, {"type": "transcript", "speaker": "human", "text": "Hello."},
        {"type": "custom", "name": "offer", "data": {"percent": 10}}, {"type": "no_match"},
    ]));
    assert_eq!((reply.results.len(), reply.guidance), (4, Guidance::Stop));
    let told = world.published.iter().filter_map(|event| match &event.what {
        Happening::CopilotEvent { leg, event } => Some((leg.as_str(), event["type"].as_str().unwrap())),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told, [("human-1", "summary"), ("human-1", "transcript"), ("human-1", "custom")]);
    // No music, no side of a conversation that is not one.
    holding(&mut world, human, true);
    assert!(world.hears_music() && *world.hears(ai) == Source::Silence);
    holding(&mut world, human, false);
    holding(&mut world, caller, true);
    assert_eq!(*world.hears(ai), Source::Silence);
    holding(&mut world, caller, false);
    assert!(matches!(world.hears(ai), Source::Mix(_)));
    world.hang_up(human);
    assert!(world.legs[&caller].ended && world.legs[&ai].ended, "`after_human: end`");
    let now = world.now;
    world.all_gone(now);
    let call = world.call;
    let Ok(Reply::Call(detail)) = world.reply(Request::Call { call }) else { panic!("it is remembered") };
    assert!(!serde_json::to_string(&detail.timeline).unwrap().contains("A refund."), "not in the timeline");
}

#[test]
fn a_co_pilot_takes_the_caller_back_without_being_dialled() {
    for how in ["handback", "hangs up"] {
        let mut config = config();
        config.ai.get_mut("main").unwrap().after_human = AfterHuman::Ai;
        let mut world = World::with(config, crate::world::RULES, 7);
        world.together = true;
        world.connect();
        let body = TransferBody { release_ai: Some(ReleaseAi::Stay), ..TransferBody::to("plain") };
        world.transfer_as(body).unwrap();
        let human = world.dialled("100@");
        world.answer(human);
        world.secs(6);
        let (caller, ai, call) = (world.caller, world.leg("bot@"), world.call);
        if how == "handback" {
            world.reply(Request::Handback { call, body: HandbackBody::default() }).unwrap();
        } else {
            world.hang_up(human);
        }
        assert!(world.hears_leg(caller, ai) && world.hears_leg(ai, caller), "{how}: at once");
        assert!(world.legs[&human].ended && world.legs.values().filter(|far| far.target.contains("bot@")).count() == 1);
        assert_eq!((world.state(), world.count("ai.connected")), (CallState::WithAi, 2));
    }
}

#[test]
fn a_co_pilot_that_leaves_changes_nothing_and_one_in_a_further_transfer_waits() {
    let (mut world, human) = with_copilot();
    let (caller, ai) = (world.caller, world.leg("bot@"));
    world.transfer("second");
    assert!(world.hears_music() && world.legs[&human].ended);
    assert!(!world.legs[&ai].ended && *world.hears(ai) == Source::Silence, "it waits, and hears no music");
    let second = world.dialled("200@");
    world.refuse(second, 486);
    assert!(world.hears_leg(caller, ai), "the chain comes back to it");
    let (mut world, human) = with_copilot();
    let (caller, ai) = (world.caller, world.leg("bot@"));
    world.hang_up(ai);
    assert!(world.hears_leg(caller, human) && world.hears_leg(human, caller));
    assert_eq!((world.count("ai.lost"), world.count("call.ended")), (1, 0));
    world.event(json!({"type": "summary", "text": "late"}));
    assert_eq!(world.count("copilot.event"), 0, "there is no co-pilot any more");
}

/// The human handed the caller on, and the AI that had stayed as their co-pilot left with them.
#[test]
fn a_co_pilot_stays_with_the_next_human_unless_somebody_says_otherwise() {
    for (mode, release, stays) in [
        (None, None, true),
        (Some(Mode::Cold), None, true),
        (None, Some(ReleaseAi::AtBridge), false),
        (Some(Mode::Cold), Some(ReleaseAi::AtOnce), false),
    ] {
        let (mut world, first) = with_copilot();
        let (caller, ai) = (world.caller, world.leg("bot@"));
        world.transfer_as(TransferBody { mode, release_ai: release, ..TransferBody::to("second") }).unwrap();
        assert!(world.legs[&first].ended, "{mode:?} {release:?}");
        let second = world.dialled("200@");
        world.answer(second);
        world.secs(1);
        if world.count("transfer.bridged") < 2 {
            world.prompt_over(second);
        }
        assert!(world.hears_leg(caller, second), "{mode:?} {release:?}");
        assert_eq!(world.legs[&ai].ended, !stays, "{mode:?} {release:?}");
        assert_eq!(world.count("copilot.started"), 1 + usize::from(stays), "{mode:?} {release:?}");
        if stays {
            assert!(matches!(world.hears(ai), Source::Mix(both) if both.len() == 2), "it hears both");
        }
    }
}
