//! A caller whom nobody could take is called back: asked for, claimed, dialled, and never by two at the same time.

use crate::world::{World, config};
use calls::{
    AgentConfig, Agents, Callback, CallbackAction, CallbackId, CallbackState, Callbacks, ClaimBody, Config, DialBody,
    DoneBody, EndCause, Happening, Input, Kept, LedgerNews, Reply, Request, Restored, Stored, TransferState,
};
use policy::Cause;
use serde_json::json;
use std::time::Duration;

const RULES: &str = r#"
version: 1
destinations:
  frontdesk: { dial: "sip:100@192.0.2.40", on_failure: { no_answer: [later], busy: [callback], else: [message] } }
  later:     { callback: { list: sales, say: will-call } }
  plain:     { dial: "sip:200@192.0.2.41" }
defaults:
  transfer: { start: now, ring_timeout: 20s, whisper: none, on_failure: [ai] }
rules:
  - id: wants-one
    when: { intent: call_me_back }
    callback: true
  - id: one-while-waiting
    while: waiting
    when: { dtmf: "1" }
    callback: sales
  - id: enough
    while: waiting
    when: { intent: enough }
    end: { say: sorry }
"#;

fn settings() -> Config {
    let agent = |address: &str| AgentConfig { dial: Some(address.into()), ..AgentConfig::default() };
    let people =
        vec![("anna".to_owned(), agent("sip:anna@192.0.2.30")), ("ben".to_owned(), agent("sip:ben@192.0.2.31"))];
    Config {
        agents: Agents { people, ..Agents::default() },
        callbacks: Callbacks { allow: vec!["+49".into()], most: 3, ..Callbacks::default() },
        ..config()
    }
}

fn desk() -> World {
    let mut world = World::with(settings(), RULES, 7);
    world.connect();
    world
}

/// A caller who is to be called back because nobody answered.
fn missed() -> (World, CallbackId) {
    let mut world = desk();
    world.transfer("frontdesk");
    world.secs(20);
    let callback = list(&mut world)[0].id;
    let caller = world.caller;
    world.prompt_over(caller);
    world.secs(60);
    (world, callback)
}

fn list(world: &mut World) -> Vec<Callback> {
    match world.reply(Request::Callbacks { state: None, list: None }) {
        Ok(Reply::Callbacks(list)) => list.callbacks,
        other => panic!("{other:?}"),
    }
}

fn act(world: &mut World, callback: CallbackId, action: CallbackAction) -> Result<Callback, (u16, String)> {
    match world.reply(Request::Callback { callback, action }) {
        Ok(Reply::Callback(callback)) => Ok(*callback),
        Err(problem) => Err((problem.status, problem.detail.unwrap_or_default())),
        other => panic!("{other:?}"),
    }
}

fn claim(world: &mut World, callback: CallbackId, agent: &str) -> Result<Callback, (u16, String)> {
    act(world, callback, CallbackAction::Claim(ClaimBody { agent: agent.into() }))
}

fn dial(world: &mut World, callback: CallbackId, agent: Option<&str>) -> Result<Callback, (u16, String)> {
    act(world, callback, CallbackAction::Dial(DialBody { agent: agent.map(str::to_owned) }))
}

fn show(world: &mut World, callback: CallbackId) -> Callback {
    act(world, callback, CallbackAction::Show).unwrap()
}

fn ended(world: &World) -> EndCause {
    world.cdrs.last().expect("a record").cause
}

#[test]
fn whom_nobody_answers_is_told_that_they_will_be_called_and_stands_in_the_list() {
    let mut world = desk();
    world.event(json!({ "type": "context", "name": "Ann" }));
    world.transfer("frontdesk");
    let transfer = world.published.iter().rev().find_map(|event| match event.what {
        Happening::TransferStarted { transfer, .. } => Some(transfer),
        _ => None,
    });
    world.ring(world.dialled("100@"));
    world.secs(20);
    assert_eq!(world.failures(), [(Cause::NoAnswer, None, 1, "later".into())]);
    assert_eq!(world.transfer_record(transfer.unwrap()).state, TransferState::Callback);
    let callback = list(&mut world).remove(0);
    assert_eq!((callback.number.as_str(), callback.list.as_str()), ("+493055512345", "sales"));
    assert_eq!((callback.reason.as_deref(), callback.state), (Some("no_answer"), CallbackState::Open));
    assert_eq!((callback.called.as_str(), callback.call), ("+4930900", world.call));
    assert_eq!(callback.context["name"], "Ann");
    assert_eq!(world.stored, [Stored::Callback(callback)]);
    let media_relay::Source::Play(play) = world.caller_hears() else { panic!("{:?}", world.caller_hears()) };
    assert_eq!(&*play.first[0], "will-call");
    let (caller, told) = (world.caller, world.now);
    world.prompt_over(caller);
    world.all_gone(told);
    assert_eq!(ended(&world), EndCause::Callback);
    assert_eq!(world.count("callback.requested"), 1);
}

/// The caller was told before the disk had it, and a crash in between forgot them.
#[test]
fn a_caller_is_told_when_the_disk_has_it_and_not_before() {
    let mut world = desk();
    let caller = world.caller;
    world.unkept = Some(Vec::new());
    world.transfer("frontdesk");
    world.secs(20);
    world.ms(500);
    assert!(world.hears_music() && world.count("callback.requested") == 1);
    let [id] = world.unkept.take().unwrap()[..] else { panic!("one thing is to be kept") };
    world.give(Input::Stored { id, kept: true });
    let media_relay::Source::Play(play) = world.caller_hears() else { panic!("{:?}", world.caller_hears()) };
    assert_eq!(&*play.first[0], "will-call");
    world.prompt_over(caller);
    world.secs(3);
    assert_eq!(ended(&world), EndCause::Callback);
    assert_eq!(list(&mut world)[0].state, CallbackState::Open);
}

#[test]
fn what_the_disk_does_not_take_or_not_in_time_is_not_promised_and_the_next_step_is_taken() {
    for slow in [false, true] {
        let mut world = desk();
        (world.no_ledger, world.unkept) = (true, slow.then(Vec::new));
        world.transfer("frontdesk");
        world.secs(20);
        world.secs(2);
        assert!(world.hears_leg(world.caller, world.leg("bot@")), "{slow}: the AI has them again");
        assert_eq!(world.failures()[1].0, Cause::Failed, "{slow}: {:?}", world.failures());
        let withdrawn = list(&mut world).remove(0);
        let (state, outcome) = (withdrawn.state, withdrawn.outcome.as_deref());
        assert_eq!((state, outcome), (CallbackState::Done, Some("not_kept")), "{slow}: nobody calls whom nobody told");
        for id in world.unkept.take().unwrap_or_default() {
            world.give(Input::Stored { id, kept: true });
        }
        assert_eq!(world.state(), calls::CallState::WithAi, "{slow}: a disk that comes too late changes nothing");
    }
}

#[test]
fn a_caller_who_hangs_up_while_the_disk_writes_is_called_back_all_the_same_and_one_who_is_taken_back_is_not() {
    for cancelled in [false, true] {
        let mut world = desk();
        world.unkept = Some(Vec::new());
        let transfer = world.transfer("frontdesk");
        world.secs(20);
        let caller = world.caller;
        if cancelled {
            world.reply(Request::CancelTransfer { transfer }).unwrap();
        } else {
            world.hang_up(caller);
        }
        for id in world.unkept.take().unwrap() {
            world.give(Input::Stored { id, kept: true });
        }
        world.secs(3);
        let state = if cancelled { CallbackState::Done } else { CallbackState::Open };
        assert_eq!(list(&mut world)[0].state, state, "cancelled: {cancelled}");
    }
}

#[test]
fn a_rule_decides_it_and_a_caller_who_waits_may_choose_it() {
    let mut world = desk();
    let reply = world.event(json!({ "type": "intent", "name": "call_me_back" }));
    assert_eq!(reply.results[0].decision.as_ref().unwrap().does, "callback");
    let callback = list(&mut world).remove(0);
    assert_eq!((callback.list.as_str(), callback.reason.as_deref()), ("support", Some("wants-one")), "the line's own");
    let caller = world.caller;
    world.prompt_over(caller);
    world.connect();
    let transfer = world.transfer("plain");
    let (caller, human) = (world.caller, world.dialled("200@"));
    world.press(caller, '1');
    assert!(world.legs[&human].ended, "nobody is rung for them any more");
    assert_eq!(world.transfer_record(transfer).state, TransferState::Cancelled);
    assert_eq!(list(&mut world)[1].list, "sales");
    world.prompt_over(caller);
    world.secs(1);
    assert_eq!(ended(&world), EndCause::Callback);
}

#[test]
fn whose_number_is_withheld_or_not_allowed_goes_down_the_chain_to_the_ai() {
    let rules = RULES.replace("busy: [callback]", "busy: [callback, plain]");
    let nobody = Config { callbacks: Callbacks::default(), ..settings() };
    let deny = vec!["+4930555".to_owned()];
    let ruled_out = Config { dialling: calls::Dialling { deny, ..calls::Dialling::default() }, ..settings() };
    for config in [nobody, ruled_out] {
        let mut world = World::with(config, &rules, 7);
        world.connect();
        world.transfer("frontdesk");
        world.refuse(world.dialled("100@"), 486);
        assert!(world.is_dialled("200@"), "the next step: {:?}", world.failures());
        assert_eq!(world.failures()[1].0, Cause::Unreachable);
        assert_eq!(list(&mut world), []);
    }
}

#[test]
fn an_ai_asks_for_one_by_event_and_goes_on_talking() {
    let mut world = desk();
    let asked =
        json!({ "type": "callback_requested", "number": "030 555-99 99", "at": "tomorrow at nine", "reason": "price" });
    let kept = world.event(asked).results.remove(0).kept;
    assert!(matches!(kept, Some(Kept::Refused(_))), "not E.164, and the trunk says no country: {kept:?}");
    let asked = json!({ "type": "callback_requested", "at": "tomorrow at nine", "reason": "price" });
    let Some(Kept::Callback(id)) = world.event(asked).results.remove(0).kept else { panic!("it is kept") };
    let callback = show(&mut world, id);
    assert_eq!((callback.at.as_deref(), callback.reason.as_deref()), (Some("tomorrow at nine"), Some("price")));
    let again = json!({ "type": "callback_requested", "at": "today" });
    assert_eq!(world.event(again).results[0].kept, Some(Kept::Callback(id)), "one entry a caller and list");
    assert_eq!(show(&mut world, id).at.as_deref(), Some("today"));
    let other = |number: &str| json!({ "type": "callback_requested", "number": number });
    assert!(matches!(world.event(other("+4930 1")).results[0].kept, Some(Kept::Callback(_))));
    assert!(matches!(world.event(other("+49 (30) 2")).results[0].kept, Some(Kept::Refused(_))), "three a call");
    assert!(matches!(world.event(other("+49900123")).results[0].kept, Some(Kept::Refused(_))), "a premium number");
    assert_eq!(world.state(), calls::CallState::WithAi);
}

#[test]
fn a_full_table_takes_the_next_step() {
    let mut world = desk();
    world.event(json!({ "type": "callback_requested", "number": "+4930111" }));
    world.event(json!({ "type": "callback_requested", "number": "+4930112" }));
    world.event(json!({ "type": "callback_requested", "number": "+4930113" }));
    world.transfer("frontdesk");
    world.secs(20);
    assert_eq!(world.failures()[1].0, Cause::Unreachable, "{:?}", world.failures());
    assert_eq!(list(&mut world).len(), 3);
    assert_eq!(world.state(), calls::CallState::WithAi, "and the AI has them");
}

#[test]
fn the_agent_is_rung_first_then_the_caller_and_they_talk() {
    let (mut world, id) = missed();
    world.cdrs.clear();
    claim(&mut world, id, "anna").unwrap();
    let callback = dial(&mut world, id, None).unwrap();
    assert_eq!((callback.state, callback.tries), (CallbackState::Dialling, 1));
    let anna = world.dialled("anna@");
    assert!(!world.is_dialled("tel:+493055512345"), "the agent first");
    assert!(world.header(anna, "X-Tandem-Call-Id").is_some());
    assert_eq!(dial(&mut world, id, Some("ben")).unwrap_err().0, 409, "never twice at the same time");
    world.ring(anna);
    world.answer(anna);
    let caller = world.dialled("tel:+493055512345");
    let shown = world.legs[&caller].dial.as_ref().unwrap().from.uri.clone();
    assert!(shown.contains("+4930900"), "they see the number they had called: {shown}");
    world.ring(caller);
    assert_eq!(*world.hears(anna), media_relay::Source::Play(ringback(&world, anna)));
    world.answer(caller);
    assert!(world.hears_leg(anna, caller) && world.hears_leg(caller, anna));
    let done = show(&mut world, id);
    assert_eq!((done.state, done.outcome.as_deref()), (CallbackState::Done, Some("connected")));
    let told = world.now;
    world.hang_up(anna);
    world.all_gone(told);
    let record = &world.cdrs[0];
    assert_eq!((record.callback, record.cause), (Some(id), EndCause::HumanHungUp));
    assert_eq!((record.from.as_deref(), record.trunk.as_str()), (Some("+493055512345"), "carrier"));
    assert!(record.answered.is_some() && record.bridged.is_some());
    assert_eq!(record.transfers[0].state, TransferState::Bridged);
    assert_eq!(dial(&mut world, id, Some("anna")).unwrap_err().0, 409, "done is done");
}

/// What an agent hears who waits for the caller: a ringing tone and nothing before it.
fn ringback(world: &World, leg: signaling::LegId) -> media_relay::Play {
    let media_relay::Source::Play(play) = world.hears(leg) else { panic!("{:?}", world.hears(leg)) };
    assert_eq!((play.first.len(), &play.then), (0, &media_relay::Then::Ringback));
    play.clone()
}

#[test]
fn an_agent_who_does_not_answer_gives_it_back_to_the_list_with_a_try_counted() {
    let (mut world, id) = missed();
    let dialled = dial(&mut world, id, Some("anna")).unwrap();
    assert_eq!(dialled.agent.as_deref(), Some("anna"));
    world.ring(world.dialled("anna@"));
    world.secs(30);
    let callback = show(&mut world, id);
    assert_eq!((callback.state, callback.tries, callback.agent), (CallbackState::Open, 1, None));
    assert_eq!(callback.outcome.as_deref(), Some("agent: no_answer"));
    assert!(!world.is_dialled("tel:+4930"), "nobody was called for nobody");
    assert_eq!(ended(&world), EndCause::NobodyLeft);
    let (status, why) = dial(&mut world, id, Some("anna")).unwrap_err();
    assert_eq!((status, why.as_str()), (409, "anna is resting"), "who did not answer rests first");
    dial(&mut world, id, Some("ben")).unwrap();
    world.answer(world.dialled("ben@"));
    world.answer(world.dialled("tel:+4930"));
    assert_eq!((show(&mut world, id).state, show(&mut world, id).tries), (CallbackState::Done, 2));
}

#[test]
fn a_caller_who_does_not_answer_leaves_it_with_the_agent() {
    let (mut world, id) = missed();
    for (way, outcome) in [("busy", "caller: busy"), ("silent", "caller: no_answer"), ("gone", "agent: not_accepted")] {
        dial(&mut world, id, Some("anna")).unwrap();
        let anna = world.dialled("anna@");
        world.answer(anna);
        let caller = world.dialled("tel:+4930");
        world.ring(caller);
        match way {
            "busy" => world.refuse(caller, 486),
            "silent" => world.secs(30),
            _ => world.hang_up(anna),
        }
        assert!(world.legs[&anna].ended && world.legs[&caller].ended, "{way}");
        let callback = show(&mut world, id);
        assert_eq!(callback.outcome.as_deref(), Some(outcome));
        let state = if way == "gone" { CallbackState::Open } else { CallbackState::Claimed };
        assert_eq!(callback.state, state, "{way}");
        world.secs(10);
    }
    assert_eq!(show(&mut world, id).tries, 3);
    assert!(world.core.gauges().is_empty());
}

#[test]
fn a_claim_keeps_others_away_until_it_lapses_or_is_given_back() {
    let (mut world, id) = missed();
    claim(&mut world, id, "anna").unwrap();
    claim(&mut world, id, "anna").unwrap();
    assert_eq!(claim(&mut world, id, "ben").unwrap_err(), (409, "anna has it: claimed".into()));
    assert_eq!(dial(&mut world, id, Some("ben")).unwrap_err().0, 409);
    assert_eq!(claim(&mut world, id, "nobody").unwrap_err().0, 404);
    world.secs(30 * 60);
    assert_eq!(show(&mut world, id).state, CallbackState::Open, "it lapsed");
    claim(&mut world, id, "ben").unwrap();
    act(&mut world, id, CallbackAction::Release).unwrap();
    assert_eq!(dial(&mut world, id, None).unwrap_err().0, 422, "who calls?");
    let outcome = Some("by mail".to_owned());
    let done = act(&mut world, id, CallbackAction::Done(DoneBody { outcome })).unwrap();
    assert_eq!((done.state, done.outcome.as_deref()), (CallbackState::Done, Some("by mail")));
    assert_eq!(claim(&mut world, id, "anna").unwrap_err().0, 409);
    let unknown = "b_00000000000000000000000000".parse().unwrap();
    assert_eq!(claim(&mut world, unknown, "anna").unwrap_err().0, 404);
}

#[test]
fn an_agent_who_is_busy_is_not_rung_and_nothing_is_counted() {
    let (mut world, id) = missed();
    world.connect();
    let agent = "agent:anna".to_owned();
    let _ = agent;
    world.transfer("plain");
    // Another callback of another caller has anna.
    world.event(json!({ "type": "callback_requested", "number": "+4930777" }));
    let other = list(&mut world)[1].id;
    dial(&mut world, other, Some("anna")).unwrap();
    let (status, why) = dial(&mut world, id, Some("anna")).unwrap_err();
    assert_eq!((status, why.as_str()), (409, "anna is ringing"));
    assert_eq!((show(&mut world, id).tries, show(&mut world, id).state), (0, CallbackState::Open));
}

#[test]
fn what_was_kept_is_taken_up_and_what_was_being_dialled_is_open_again() {
    let (mut world, id) = missed();
    claim(&mut world, id, "anna").unwrap();
    dial(&mut world, id, None).unwrap();
    let kept = world.stored.iter().rev().find_map(|stored| match stored {
        Stored::Callback(callback) => Some(callback.clone()),
        _ => None,
    });
    let kept = kept.unwrap();
    assert_eq!(kept.state, CallbackState::Dialling);
    let mut anew = World::with(settings(), RULES, 8);
    let restored = Restored { callbacks: vec![kept.clone()], presences: Vec::new() };
    anew.give(Input::Ledger(LedgerNews::Opened(Box::new(restored))));
    let callback = show(&mut anew, id);
    assert_eq!((callback.state, callback.tries), (CallbackState::Open, 1));
    assert_eq!(callback.outcome.as_deref(), Some("interrupted"));
    assert_eq!(anew.stored, [Stored::Callback(callback)]);
    dial(&mut anew, id, Some("ben")).unwrap();
    anew.answer(anew.dialled("ben@"));
    anew.answer(anew.dialled("tel:+4930"));
    assert_eq!(show(&mut anew, id).state, CallbackState::Done);
}

#[test]
fn a_shutdown_in_the_middle_leaves_it_to_be_called_again() {
    let (mut world, id) = missed();
    dial(&mut world, id, Some("anna")).unwrap();
    world.answer(world.dialled("anna@"));
    world.give(Input::Shutdown);
    let Some(Stored::Callback(kept)) = world.stored.last() else { panic!("{:?}", world.stored) };
    assert_eq!((kept.id, kept.state, kept.outcome.as_deref()), (id, CallbackState::Open, Some("agent: interrupted")));
}

#[test]
fn a_caller_who_was_called_back_can_be_handed_to_the_ai_like_any_other() {
    let (mut world, id) = missed();
    dial(&mut world, id, Some("anna")).unwrap();
    let call = show(&mut world, id).tried_in.unwrap();
    world.answer(world.dialled("anna@"));
    let caller = world.dialled("tel:+4930");
    world.answer(caller);
    world.reply(Request::Handback { call, body: calls::HandbackBody::default() }).unwrap();
    let ai = world.dialled("bot@");
    world.answer(ai);
    assert!(world.hears_leg(caller, ai) && world.hears_leg(ai, caller));
    world.hang_up(caller);
    world.pass(Duration::from_secs(1));
    assert_eq!(ended(&world), EndCause::CallerHungUp);
}

/// The agent was to be introduced by an AI that was not there to a caller whom nobody had called, and heard silence for ever.
#[test]
fn an_agent_is_not_introduced_to_a_caller_who_is_yet_to_be_called() {
    let rules = RULES.replace("whisper: none, on", "whisper: none, introduce: { within: 20s }, release_ai: stay, on");
    assert_ne!(rules, RULES);
    let mut world = World::with(settings(), &rules, 7);
    world.connect();
    world.event(json!({ "type": "callback_requested" }));
    let id = list(&mut world)[0].id;
    dial(&mut world, id, Some("anna")).unwrap();
    let anna = world.dialled("anna@");
    world.answer(anna);
    let caller = world.dialled("tel:+493055512345");
    world.answer(caller);
    assert!(world.hears_leg(anna, caller) && world.hears_leg(caller, anna));
}

/// An AI was dialled for a caller who was not there, and waited for them with nobody else in the call.
#[test]
fn a_call_back_that_is_cancelled_before_the_caller_is_there_ends() {
    for answered in [false, true] {
        let (mut world, id) = missed();
        dial(&mut world, id, Some("anna")).unwrap();
        let anna = world.dialled("anna@");
        world.ring(anna);
        if answered {
            world.answer(anna);
            world.ring(world.dialled("tel:+49"));
        }
        let transfer = world.published.iter().rev().find_map(|event| match event.what {
            Happening::TransferStarted { transfer, .. } => Some(transfer),
            _ => None,
        });
        world.cdrs.clear();
        world.reply(Request::CancelTransfer { transfer: transfer.unwrap() }).unwrap();
        world.secs(1);
        assert_eq!(ended(&world), EndCause::Command, "answered: {answered}");
        let callback = show(&mut world, id);
        assert_eq!((callback.state, callback.outcome.as_deref()), (CallbackState::Open, Some("agent: by command")));
        assert!(world.core.gauges().is_empty());
    }
}

/// The farewell waited for a caller who was never called: a call without a leg, for ever.
#[test]
fn a_call_back_that_a_rule_ends_before_the_caller_is_there_ends_without_a_word() {
    let (mut world, id) = missed();
    dial(&mut world, id, Some("anna")).unwrap();
    world.ring(world.dialled("anna@"));
    world.cdrs.clear();
    world.call = show(&mut world, id).tried_in.unwrap();
    world.event(json!({ "type": "intent", "name": "enough" }));
    world.secs(1);
    assert_eq!(ended(&world), EndCause::Rule);
    assert_eq!(show(&mut world, id).state, CallbackState::Open);
    assert!(world.core.gauges().is_empty());
}
