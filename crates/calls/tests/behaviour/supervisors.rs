//! Supervisors: who hears them, whom they hear, and that the call never waits for them.

use crate::world::{RULES, World, config, holding};
use calls::{
    AgentConfig, Agents, Config, Happening, Input, Limits, Party, Problem, Reply, Request, SuperviseBody,
    SuperviseMode, SupervisorState, SupervisorSummary, Trunk,
};
use media_relay::Source;
use policy::Cause;
use signaling::{Contact, EndedBy, LegId};
use std::time::Duration;

const BOSS: &str = "sip:boss@192.0.2.60";

fn supervise(world: &mut World, to: &str, mode: SuperviseMode) -> Result<SupervisorSummary, Problem> {
    let call = world.call;
    let body = SuperviseBody { to: to.into(), mode, ring_timeout: None };
    match world.reply(Request::Supervise { call, body })? {
        Reply::Supervisor(summary) => Ok(summary),
        other => panic!("{other:?}"),
    }
}

fn change(world: &mut World, supervisor: &str, mode: SuperviseMode) -> Result<SupervisorSummary, Problem> {
    let call = world.call;
    match world.reply(Request::ChangeSupervisor { call, supervisor: supervisor.into(), mode })? {
        Reply::Supervisor(summary) => Ok(summary),
        other => panic!("{other:?}"),
    }
}

fn supervisors(world: &mut World) -> Vec<SupervisorSummary> {
    let call = world.call;
    match world.reply(Request::Call { call }) {
        Ok(Reply::Call(detail)) => detail.supervisors,
        other => panic!("{other:?}"),
    }
}

/// A caller with a human.
fn with_human() -> (World, LegId) {
    let mut world = World::with_ai();
    world.transfer("plain");
    let human = world.dialled("100@");
    world.answer(human);
    world.secs(5);
    assert!(world.hears_leg(world.caller, human));
    (world, human)
}

fn joined(world: &mut World, mode: SuperviseMode) -> LegId {
    let summary = supervise(world, BOSS, mode).unwrap();
    assert_eq!((summary.supervisor.as_str(), summary.state), ("supervisor-1", SupervisorState::Ringing));
    let boss = world.dialled("boss@");
    world.ring(boss);
    world.answer(boss);
    boss
}

/// What a leg hears, by the legs' names, in order.
fn heard(world: &World, listener: LegId) -> Vec<LegId> {
    let of = |port| *world.legs.iter().find(|(_, far)| far.port == Some(port)).unwrap().0;
    match world.hears(listener) {
        Source::Port(port) => vec![of(*port)],
        Source::Mix(ports) => ports.iter().map(|port| of(*port)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn a_supervisor_listens_whispers_and_barges_by_command_and_leaves() {
    let (mut world, human) = with_human();
    let caller = world.caller;
    let before = world.plan.clone();
    let boss = joined(&mut world, SuperviseMode::Listen);
    assert_eq!(world.header(boss, "X-Tandem-Supervise").as_deref(), Some("listen"));
    assert_eq!(heard(&world, boss), [caller, human]);
    assert_eq!((heard(&world, caller), heard(&world, human)), (vec![human], vec![caller]), "they notice nothing");
    change(&mut world, "supervisor-1", SuperviseMode::Whisper).unwrap();
    assert_eq!((heard(&world, caller), heard(&world, human)), (vec![human], vec![caller, boss]));
    // A further POST changes the mode as well.
    assert_eq!(supervise(&mut world, BOSS, SuperviseMode::Barge).unwrap().state, SupervisorState::Joined);
    assert_eq!((heard(&world, caller), heard(&world, human)), (vec![human, boss], vec![caller, boss]));
    assert_eq!(heard(&world, boss), [caller, human]);
    let list = supervisors(&mut world);
    assert_eq!((list.len(), list[0].mode, list[0].to.as_str()), (1, SuperviseMode::Barge, BOSS));
    let call = world.call;
    let end = |world: &mut World| world.reply(Request::EndSupervisor { call, supervisor: "supervisor-1".into() });
    assert!(end(&mut world).is_ok() && world.legs[&boss].ended);
    assert_eq!(world.plan, before, "as if nobody had been there");
    assert_eq!(end(&mut world).unwrap_err().status, 404);
    assert_eq!(change(&mut world, "supervisor-1", SuperviseMode::Listen).unwrap_err().status, 404);
    let told = ["supervisor.joined", "supervisor.changed", "supervisor.left"].map(|name| world.count(name));
    assert_eq!(told, [1, 2, 1]);
    world.hang_up(caller);
    let now = world.now;
    world.all_gone(now);
    let leg = world.cdrs[0].legs.iter().find(|leg| leg.party == Party::Supervisor).unwrap();
    assert_eq!((leg.name.as_str(), leg.via.as_str()), ("supervisor-1", BOSS));
    assert!(leg.answered.is_some() && leg.media.is_some());
}

/// From the AI through its last words, hold music, a human, their hold, and back to the AI.
#[test]
fn a_supervisor_follows_the_call_wherever_it_goes_and_the_ai_never_hears_them() {
    let mut world = World::with_ai();
    let (caller, ai) = (world.caller, world.leg("bot@"));
    let boss = joined(&mut world, SuperviseMode::Barge);
    assert_eq!(
        (heard(&world, caller), heard(&world, ai), heard(&world, boss)),
        (vec![ai, boss], vec![caller], vec![caller, ai])
    );
    world.transfer("plain");
    assert_eq!(
        (heard(&world, caller), heard(&world, ai), heard(&world, boss)),
        (vec![ai, boss], vec![], vec![caller, ai])
    );
    world.secs(6);
    assert!(world.hears_music());
    assert_eq!((heard(&world, boss), world.hears(ai)), (vec![caller], &Source::Silence), "and no music");
    let human = world.dialled("100@");
    world.answer(human);
    assert_eq!(
        (heard(&world, caller), heard(&world, human), heard(&world, boss)),
        (vec![human, boss], vec![caller, boss], vec![caller, human])
    );
    holding(&mut world, human, true);
    assert!(world.hears_music() && world.hears(human) == &Source::Nothing);
    assert_eq!(heard(&world, boss), [caller]);
    holding(&mut world, human, false);
    holding(&mut world, caller, true);
    assert_eq!((heard(&world, human), heard(&world, boss)), (vec![boss], vec![human]));
    holding(&mut world, caller, false);
    let call = world.call;
    world.reply(Request::Handback { call, body: calls::HandbackBody::default() }).unwrap();
    assert_eq!(heard(&world, boss), [caller], "while the AI is redialled");
    let ai = world.dialled("bot@");
    world.answer(ai);
    assert_eq!(
        (heard(&world, caller), heard(&world, ai), heard(&world, boss)),
        (vec![ai, boss], vec![caller], vec![caller, ai])
    );
    world.hang_up(caller);
    let now = world.now;
    world.all_gone(now);
    assert_eq!(world.count("supervisor.left"), 1);
}

#[test]
fn a_call_goes_on_untouched_when_its_supervisor_cannot_be_reached() {
    for how in ["busy", "silence", "nowhere", "hangs up", "given up"] {
        let (mut world, human) = with_human();
        let before = (world.plan.clone(), world.plans.len());
        if how == "nowhere" {
            world.no_ports = true;
        }
        supervise(&mut world, BOSS, SuperviseMode::Barge).unwrap();
        let call = world.call;
        match how {
            "busy" => world.refuse(world.dialled("boss@"), 486),
            "silence" => {
                world.ring(world.dialled("boss@"));
                world.secs(20);
            }
            "hangs up" => world.end_leg(world.dialled("boss@"), EndedBy::Transport, None),
            "given up" => {
                let request = Request::EndSupervisor { call, supervisor: "supervisor-1".into() };
                assert!(world.reply(request).is_ok());
            }
            _ => {}
        }
        assert!(!world.is_dialled("boss@"), "{how}");
        assert_eq!((world.plan.clone(), world.plans.len()), before, "{how}");
        assert!(world.hears_leg(world.caller, human) && supervisors(&mut world).is_empty(), "{how}");
        let failed = world.published.iter().find_map(|event| match &event.what {
            Happening::SupervisorFailed { cause, sip_code, .. } => Some((*cause, *sip_code)),
            _ => None,
        });
        let expected = match how {
            "busy" => Some((Cause::Busy, Some(486))),
            "silence" => Some((Cause::NoAnswer, None)),
            "nowhere" => Some((Cause::Failed, None)),
            "hangs up" => Some((Cause::Unreachable, None)),
            _ => None,
        };
        assert_eq!(failed, expected, "{how}");
        assert_eq!(world.count("supervisor.left"), usize::from(how == "given up"), "{how}");
        assert_eq!(world.count("call.ended") + world.count("transfer.failed"), 0, "{how}");
        world.no_ports = false;
        world.hang_up(world.caller);
        let now = world.now;
        world.all_gone(now);
    }
}

#[test]
fn a_supervisor_who_hangs_up_or_whose_human_leaves_changes_nothing_for_the_others() {
    let (mut world, human) = with_human();
    let boss = joined(&mut world, SuperviseMode::Whisper);
    world.hang_up(boss);
    assert!(world.hears_leg(world.caller, human) && world.hears_leg(human, world.caller));
    assert_eq!(world.count("supervisor.left"), 1);
    supervise(&mut world, BOSS, SuperviseMode::Listen).unwrap();
    let boss = world.dialled("boss@");
    world.answer(boss);
    world.hang_up(human);
    assert!(world.legs[&boss].ended, "the call is over, and they hear nobody any more");
    let now = world.now;
    world.all_gone(now);
}

#[test]
fn supervisors_are_bounded_and_mistakes_say_what_was_expected() {
    let limits = Limits { supervisors: 2, transfers_per_call: 4, ..Limits::default() };
    let mut world = World::with(Config { limits, ..config() }, RULES, 7);
    world.connect();
    let status = |result: Result<SupervisorSummary, Problem>| result.unwrap_err().status;
    let ask = |world: &mut World, to: &str| supervise(world, to, SuperviseMode::Listen);
    ask(&mut world, BOSS).unwrap();
    ask(&mut world, "sip:chief@192.0.2.61").unwrap();
    assert_eq!(status(ask(&mut world, "sip:third@192.0.2.62")), 429);
    assert_eq!(ask(&mut world, BOSS).unwrap().supervisor, "supervisor-1", "who is rung already is no third one");
    for _ in 0..2 {
        world.refuse(world.dialled("chief@"), 486);
        ask(&mut world, "sip:chief@192.0.2.61").unwrap();
    }
    world.refuse(world.dialled("chief@"), 486);
    assert_eq!(status(ask(&mut world, "sip:chief@192.0.2.61")), 429, "nobody rings phones for ever");
    let (mut world, _) = with_human();
    for wrong in ["nobody", "", "sip:", "mailto:boss@example.net", "sip:a b@example.net"] {
        let problem = ask(&mut world, wrong).unwrap_err();
        assert_eq!((problem.status, problem.field.as_deref()), (422, Some("to")), "{wrong}");
    }
    let call = world.call;
    let ring_timeout = Some(Duration::from_millis(10));
    let body = SuperviseBody { to: BOSS.into(), mode: SuperviseMode::Listen, ring_timeout };
    assert_eq!(world.reply(Request::Supervise { call, body }).unwrap_err().field.as_deref(), Some("ring_timeout"));
    world.hang_up(world.caller);
    assert_eq!(status(ask(&mut world, BOSS)), 410);
}

#[test]
fn an_agent_supervises_from_all_phones_of_theirs_and_gets_no_caller_meanwhile() {
    let people = ["boss", "anna"].map(|name| (name.to_owned(), AgentConfig::default())).to_vec();
    let agents = Agents { domains: vec!["desk.example".into()], people, ..Agents::default() };
    const DESK: &str = r#"
version: 1
destinations:
  anna: { agent: anna, whisper: none }
  boss: { agent: boss, whisper: none }
defaults:
  transfer: { start: now, ring_timeout: 20s }
"#;
    let mut world = World::with(Config { agents, ..config() }, DESK, 7);
    world.connect();
    let flow = signaling::Flow::udp("192.0.2.1:5060".parse().unwrap(), "203.0.113.5:40001".parse().unwrap());
    for (account, phones) in
        [("boss", &["sip:boss@10.0.0.7", "sip:bossmobile@10.0.0.8"][..]), ("anna", &["sip:anna@10.0.0.9"])]
    {
        let contact = |uri: &&str| Contact { uri: (*uri).into(), flow, routes: Vec::new() };
        world.give(Input::Contacts { account: account.into(), contacts: phones.iter().map(contact).collect() });
    }
    supervise(&mut world, "boss", SuperviseMode::Listen).unwrap();
    let (desk, mobile) = (world.dialled("boss@"), world.dialled("bossmobile@"));
    world.ring(desk);
    world.refuse(desk, 486);
    world.answer(mobile);
    assert_eq!(heard(&world, mobile), [world.caller, world.leg("bot@")]);
    world.transfer("boss");
    assert_eq!(world.failures()[0].0, Cause::NoAgent, "whoever supervises is rung for nobody");
    world.transfer("anna");
    world.answer(world.dialled("anna@"));
    let problem = supervise(&mut world, "anna", SuperviseMode::Listen).unwrap_err();
    assert_eq!(problem.status, 409, "whoever has the caller cannot watch over themselves");
    world.hang_up(mobile);
    world.transfer("boss");
    assert!(world.is_dialled("boss@"), "and is free again");
}

#[test]
fn a_supervisor_at_a_number_is_reached_by_the_next_trunk_when_one_fails() {
    let mut config = config();
    config.trunks.get_mut("carrier").unwrap().tel.clear();
    for (name, host, priority) in [("first", "192.0.2.51", 1), ("second", "192.0.2.52", 2)] {
        config.trunks.insert(name.into(), Trunk { host: host.into(), priority, ..Trunk::default() });
    }
    let mut world = World::with(config, RULES, 7);
    world.connect();
    supervise(&mut world, "tel:+15550177", SuperviseMode::Listen).unwrap();
    let by = |world: &World| {
        let leg = world.dialled("+15550177");
        (leg, world.legs[&leg].dial.as_ref().unwrap().flow.remote.ip().to_string())
    };
    let (first, host) = by(&world);
    assert_eq!(host, "192.0.2.51");
    assert_eq!(world.header(first, "X-Tandem-Supervise"), None, "a carrier is told nothing");
    world.refuse(first, 503);
    let (second, host) = by(&world);
    assert_eq!((host.as_str(), world.count("supervisor.failed")), ("192.0.2.52", 0));
    world.answer(second);
    assert_eq!(world.count("supervisor.joined"), 1);
    world.hang_up(world.caller);
    let now = world.now;
    world.all_gone(now);
    let names: Vec<&str> = world.cdrs[0].legs.iter().map(|leg| leg.name.as_str()).collect();
    assert!(names.contains(&"supervisor-1") && names.contains(&"supervisor-1.2"), "{names:?}");
}
