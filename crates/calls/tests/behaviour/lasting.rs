//! What outlives the daemon beside callbacks: messages and agents' presence, with a ledger that works and one that does not.

use crate::world::{World, config};
use calls::{
    AgentBody, AgentConfig, AgentPresence, Agents, Config, Happening, Input, Kept, LedgerNews, Presence, Reply,
    Request, Restored, Stored, Time,
};
use serde_json::json;

const RULES: &str = r#"
version: 1
destinations:
  frontdesk: { dial: "sip:100@192.0.2.40", on_failure: [message] }
defaults:
  transfer: { start: now, ring_timeout: 20s, whisper: none, on_failure: [ai] }
"#;

fn desk() -> World {
    let agent = AgentConfig { dial: Some("sip:anna@192.0.2.30".into()), ..AgentConfig::default() };
    let people = vec![("anna".to_owned(), agent.clone()), ("ben".to_owned(), agent)];
    World::with(Config { agents: Agents { people, ..Agents::default() }, ..config() }, RULES, 7)
}

fn presence(world: &mut World, agent: &str) -> Presence {
    match world.reply(Request::Agent { agent: agent.into() }) {
        Ok(Reply::Agent(agent)) => agent.presence,
        other => panic!("{other:?}"),
    }
}

fn say(world: &mut World, agent: &str, presence: Presence) {
    let body = AgentBody { presence: Some(presence), ..AgentBody::default() };
    world.reply(Request::ChangeAgent { agent: agent.into(), body }).unwrap();
}

fn kept(agent: &str, presence: Presence, since: Time) -> AgentPresence {
    AgentPresence { agent: agent.into(), presence: Some(presence), skills: None, capacity: None, since }
}

fn said(agent: &str, presence: Presence, since: Time) -> Stored {
    Stored::Presence(kept(agent, presence, since))
}

#[test]
fn a_message_is_told_and_kept_and_a_repeated_event_leaves_no_second_one() {
    let mut world = desk();
    world.connect();
    let left = json!({ "type": "message", "id": "m-1", "text": "please send the invoice" });
    let Some(Kept::Message(id)) = world.event(left.clone()).results[0].kept else { panic!("it is kept") };
    assert_eq!(world.event(left).results[0].kept, None, "a repeat");
    let [Stored::Message(message)] = &world.stored[..] else { panic!("{:?}", world.stored) };
    assert_eq!((message.id, message.text.as_str(), message.call), (id, "please send the invoice", world.call));
    assert_eq!((message.from.as_deref(), message.read), (Some("+493055512345"), None));
    let told =
        |event: &calls::PublicEvent| matches!(&event.what, Happening::MessageLeft { message, .. } if *message == id);
    assert_eq!(world.published.iter().filter(|event| told(event)).count(), 1);
    for _ in 1..10 {
        world.event(json!({ "type": "message", "text": "and another" }));
    }
    let refused = world.event(json!({ "type": "message", "text": "one too many" })).results[0].kept.clone();
    assert!(matches!(refused, Some(Kept::Refused(_))), "{refused:?}");
    assert_eq!(world.stored.len(), 10);
}

#[test]
fn the_step_message_brings_the_caller_back_to_an_ai_that_is_told_to_take_one() {
    for mode in [policy::Mode::Warm, policy::Mode::Cold] {
        let mut world = desk();
        world.connect();
        let ai = world.dialled("bot@");
        world.transfer_as(calls::TransferBody { mode: Some(mode), ..calls::TransferBody::to("frontdesk") }).unwrap();
        world.refuse(world.dialled("100@"), 486);
        assert_eq!(world.failures()[0].3, "message");
        assert_eq!(world.count("message.wanted"), 1);
        match mode {
            policy::Mode::Warm => assert!(world.hears_leg(world.caller, ai), "it has them again"),
            policy::Mode::Cold => {
                let again = world.dialled("bot@");
                assert_eq!(world.header(again, "X-Tandem-Reason").as_deref(), Some("take_message"));
                assert_eq!(world.header(again, "X-Tandem-Cause").as_deref(), Some("busy"));
            }
        }
    }
}

#[test]
fn what_agents_say_of_themselves_is_kept_and_taken_up() {
    let mut world = desk();
    say(&mut world, "anna", Presence::Away);
    let since = Time::from(world.now);
    assert_eq!(world.stored, [said("anna", Presence::Away, since)]);
    let mut anew = desk();
    let kept = |agent: &str, presence| kept(agent, presence, since);
    say(&mut anew, "ben", Presence::Busy);
    let presences = vec![kept("anna", Presence::Away), kept("ben", Presence::Away), kept("gone", Presence::Away)];
    anew.give(Input::Ledger(LedgerNews::Opened(Box::new(Restored { callbacks: Vec::new(), presences }))));
    assert_eq!(presence(&mut anew, "anna"), Presence::Away);
    assert_eq!(presence(&mut anew, "ben"), Presence::Busy, "what was said since then counts");
}

#[test]
fn skills_and_capacity_that_were_changed_are_kept_and_taken_up_over_the_configuration() {
    let mut world = desk();
    let skills: std::collections::BTreeMap<String, u8> = [("fraud".to_owned(), 9)].into();
    let body = AgentBody { skills: Some(skills.clone()), capacity: Some(4), ..AgentBody::default() };
    world.reply(Request::ChangeAgent { agent: "anna".into(), body }).unwrap();
    let since = Time::from(world.now);
    let changed = AgentPresence {
        presence: None,
        skills: Some(skills.clone()),
        capacity: Some(4),
        ..kept("anna", Presence::Away, since)
    };
    assert_eq!(world.stored, [Stored::Presence(changed.clone())]);
    let mut anew = desk();
    let presences = vec![changed];
    anew.give(Input::Ledger(LedgerNews::Opened(Box::new(Restored { callbacks: Vec::new(), presences }))));
    let Ok(Reply::Agent(anna)) = anew.reply(Request::Agent { agent: "anna".into() }) else { panic!("no agent") };
    assert_eq!((anna.skills, anna.capacity, anna.presence), (skills, 4, Presence::Available));
}

#[test]
fn what_could_not_be_kept_is_kept_when_there_is_a_ledger_again() {
    let mut world = desk();
    world.no_ledger = true;
    world.give(Input::Ledger(LedgerNews::Failing { reason: "no room".into() }));
    say(&mut world, "anna", Presence::Away);
    say(&mut world, "anna", Presence::Busy);
    assert_eq!(presence(&mut world, "anna"), Presence::Busy, "it holds all the same");
    world.no_ledger = false;
    world.stored.clear();
    world.give(Input::Ledger(LedgerNews::Working));
    assert_eq!(world.stored, [said("anna", Presence::Busy, Time::from(world.now))], "the latest word");
    assert_eq!((world.count("ledger.failing"), world.count("ledger.working")), (1, 1));
}
