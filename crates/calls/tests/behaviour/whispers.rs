//! What a human is told before the bridge: by recorded words, and by the AI itself.

use crate::world::{RULES, World, config, holding};
use calls::{Config, Happening, TransferBody, WhisperedBy};
use media_relay::{Source, Words};
use policy::Whisper;
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

fn whispering(whisper: Whisper, to: &str) -> (World, signaling::LegId) {
    let clips = ["music/default", "said/billing-dispute", "said/angry", "said/press-1"];
    let clips: BTreeSet<String> = clips.into_iter().map(str::to_owned).collect();
    let media = calls::Media { clips: Arc::new(clips), ..calls::Media::default() };
    let mut world = World::with(Config { media, ..config() }, RULES, 7);
    world.connect();
    world.event(json!({ "type": "intent", "name": "billing_dispute", "confidence": 0.9 }));
    world.event(json!({ "type": "sentiment", "score": -0.4, "label": "angry" }));
    world.transfer_as(TransferBody { whisper: Some(whisper), ..TransferBody::to(to) }).unwrap();
    world.ms(500);
    let human = world.dialled(if to == "closer" { "tel:" } else { "100@" });
    (world, human)
}

fn started(world: &World) -> Vec<(WhisperedBy, Vec<String>, Option<String>)> {
    let of = |what: &Happening| match what {
        Happening::WhisperStarted { by, said, task, .. } => Some((*by, said.clone(), task.clone())),
        _ => None,
    };
    world.published.iter().filter_map(|event| of(&event.what)).collect()
}

fn context() -> Whisper {
    Whisper::Context { keys: vec!["intent".into(), "sentiment".into(), "account".into()], prompt: None }
}

fn by_ai() -> Whisper {
    Whisper::Ai("brief".into())
}

#[test]
fn what_is_known_is_whispered_in_recorded_words_and_which_key_takes_the_call() {
    let (mut world, human) = whispering(context(), "closer");
    world.ai_quiet();
    world.answer(human);
    let said = ["said/billing-dispute", "said/angry", "said/press-1"];
    assert_eq!(started(&world), [(WhisperedBy::Context, said.map(str::to_owned).to_vec(), None)]);
    let Source::Play(play) = world.hears(human) else { panic!("{:?}", world.hears(human)) };
    assert_eq!(play.first.iter().map(|clip| &**clip).collect::<Vec<_>>(), said);
    assert!(world.hears_music());
    world.press(human, '1');
    assert!(world.hears_leg(world.caller, human));
    let (mut world, human) = whispering(context(), "frontdesk");
    world.ai_quiet();
    world.answer(human);
    assert_eq!(started(&world)[0].1, said[..2], "no key is asked for, and none is named");
    world.prompt_over(human);
    assert!(world.hears_leg(world.caller, human));
}

#[test]
fn the_ai_tells_the_human_alone_and_its_word_joins_them() {
    let (mut world, human) = whispering(by_ai(), "frontdesk");
    let (caller, ai) = (world.caller, world.leg("bot@"));
    world.answer(human);
    assert!(world.hears_leg(caller, ai), "its last words are the caller's");
    assert_eq!(*world.hears(human), Source::Silence);
    assert_eq!(started(&world), [], "it has somebody to speak to");
    world.ms(500);
    world.ai_quiet();
    assert_eq!(started(&world), [(WhisperedBy::Ai, vec![], Some("brief".to_owned()))]);
    assert!(world.hears_music());
    assert!(world.hears_leg(ai, human) && world.hears_leg(human, ai));
    world.secs(3);
    world.event(json!({ "type": "ready" }));
    assert!(world.hears_leg(caller, human) && world.hears_leg(human, caller));
    assert!(world.legs[&ai].ended);
}

#[test]
fn a_key_interrupts_the_ai_and_an_ai_that_never_ends_or_leaves_keeps_nobody_waiting() {
    let (mut world, human) = whispering(by_ai(), "closer");
    let caller = world.caller;
    world.ai_quiet();
    world.answer(human);
    world.press(human, '1');
    assert!(world.hears_leg(caller, human));

    let (mut world, human) = whispering(by_ai(), "frontdesk");
    world.ai_quiet();
    world.answer(human);
    world.secs(60);
    assert!(world.hears_leg(world.caller, human), "a minute is enough for everybody");

    let (mut world, human) = whispering(by_ai(), "frontdesk");
    let ai = world.leg("bot@");
    world.ai_quiet();
    world.answer(human);
    world.hang_up(ai);
    assert!(world.hears_leg(world.caller, human), "nobody is there to tell them");
}

#[test]
fn where_no_ai_is_left_a_whisper_of_its_names_the_key_at_most() {
    for (to, said) in [("closer", vec!["said/press-1".to_owned()]), ("frontdesk", vec![])] {
        let (mut world, human) = whispering(by_ai(), to);
        let ai = world.leg("bot@");
        world.hang_up(ai);
        world.answer(human);
        let all: Vec<String> = started(&world).into_iter().flat_map(|(_, said, _)| said).collect();
        assert_eq!(all, said);
        assert_eq!(world.hears_leg(world.caller, human), to == "frontdesk");
    }
}

const SIX: Duration = Duration::from_secs(6);

/// A caller and the AI, where the front desk hears what the caller said last.
fn quoting(config: Config) -> World {
    let desk = "dial: \"sip:100@192.0.2.40\"";
    let rules = RULES.replacen(desk, &format!("{desk}, whisper: {{ clip: 6s, prompt: incoming-handoff }}"), 1);
    let mut world = World::with(config, &rules, 7);
    world.connect();
    world
}

#[test]
fn what_the_caller_said_last_is_told_to_the_human_alone_in_their_own_voice() {
    let mut world = quoting(config());
    let (caller, port) = (world.caller, world.legs[&world.caller].port.unwrap());
    assert_eq!(world.remembered[&port], (Some(SIX), true));
    world.transfer("frontdesk");
    assert_eq!(world.remembered[&port], (Some(SIX), false), "what they say while they wait is not why they called");
    world.ms(500);
    world.ai_quiet();
    let human = world.dialled("100@");
    world.answer(human);
    assert_eq!(started(&world), [(WhisperedBy::Clip, vec!["incoming-handoff".to_owned()], None)]);
    let Source::Play(play) = world.hears(human) else { panic!("{:?}", world.hears(human)) };
    assert_eq!(play.words, Some(Words { of: port, lasting: SIX, after: 1 }));
    assert!(world.hears_music());
    world.prompt_over(human);
    assert!(world.hears_leg(caller, human) && world.hears_leg(human, caller));
    assert_eq!(world.remembered[&port], (Some(SIX), true), "for the next human");
    world.transfer("second");
    world.refuse(world.dialled("200@"), 486);
    assert_eq!(world.remembered[&port], (Some(SIX), false), "the AI is called again");
    world.answer(world.dialled("bot@"));
    assert_eq!(world.remembered[&port], (Some(SIX), true), "it has them again");
}

#[test]
fn what_is_to_stay_out_of_the_recording_and_the_music_of_a_caller_who_holds_us_is_not_kept() {
    let recording = calls::Recording { when: calls::RecordingWhen::Answer, ..calls::Recording::default() };
    let mut world = quoting(Config { recording, ..config() });
    let (caller, port, call) = (world.caller, world.legs[&world.caller].port.unwrap(), world.call);
    holding(&mut world, caller, true);
    assert_eq!(world.remembered[&port], (Some(SIX), false));
    holding(&mut world, caller, false);
    assert_eq!(world.remembered[&port], (Some(SIX), true));
    let pause = |action| calls::Request::Recording { call, action };
    world.reply(pause(calls::RecordingAction::Pause { lasting: None })).unwrap();
    assert_eq!(world.remembered[&port], (Some(SIX), false));
    world.reply(pause(calls::RecordingAction::Resume)).unwrap();
    assert_eq!(world.remembered[&port], (Some(SIX), true));
}

#[test]
fn nothing_is_kept_where_no_rule_whispers_it_and_a_request_for_it_names_the_key_at_most() {
    let clip = Whisper::Clip { lasting: SIX, prompt: None };
    let (mut world, human) = whispering(clip, "closer");
    assert!(world.remembered.is_empty());
    world.ai_quiet();
    world.answer(human);
    assert_eq!(started(&world), [(WhisperedBy::Prompt, vec!["said/press-1".to_owned()], None)]);
    let Source::Play(play) = world.hears(human) else { panic!("{:?}", world.hears(human)) };
    assert_eq!(play.words, None);
}
