//! Random schedules by seed: whatever the parties do, and in whatever order, every plan is lawful, every leg ends, nothing
//! is left. A seed that ever failed stays in the list.

use crate::world::{RULES, SDP, World, config, targets};
use calls::{IntroduceBody, Request, SuperviseBody, SuperviseMode, TransferBody};
use media_relay::{Answerer, Because, Finding};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use signaling::{EndedBy, LegId};

const FAILED_ONCE: [u64; 0] = [];

#[test]
fn random_parties_leave_nothing_behind() {
    for seed in FAILED_ONCE.into_iter().chain(0..400) {
        let outcome = std::panic::catch_unwind(|| run(seed));
        if let Err(panic) = outcome {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn run(seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut config = config();
    if chance.random_bool(0.5) {
        config.ai.get_mut("main").unwrap().after_human = calls::AfterHuman::Ai;
    }
    let mut world = World::with(config, RULES, seed);
    world.together = true;
    world.caller_comes(Some(SDP));
    for _ in 0..chance.random_range(1..60) {
        if world.legs[&world.caller].ended {
            break;
        }
        step(&mut world, &mut chance);
    }
    let now = world.now;
    if !world.legs[&world.caller].ended {
        world.hang_up(world.caller);
    }
    for (id, ..) in std::mem::take(&mut world.resolves) {
        world.give(calls::Input::Resolved { id, targets: Vec::new() });
    }
    world.all_gone(now);
    let record = &world.cdrs[0];
    assert!(record.transfers.iter().all(|transfer| transfer.state.is_over()));
    assert!(record.legs.iter().all(|leg| leg.ended.is_some()), "{:?}", record.legs);
}

fn step(world: &mut World, chance: &mut StdRng) {
    let out: Vec<LegId> =
        world.legs.iter().filter(|(_, far)| !far.ended && far.dial.is_some()).map(|(leg, _)| *leg).collect();
    let some = (!out.is_empty()).then(|| out[chance.random_range(0..out.len().max(1))]);
    let call = world.call;
    match (chance.random_range(0..19), some) {
        (0, Some(leg)) if !world.legs[&leg].answered => world.ring(leg),
        (1..=4, Some(leg)) if !world.legs[&leg].answered => world.answer(leg),
        (5, Some(leg)) if !world.legs[&leg].answered => {
            let status = [486, 480, 603, 404, 503, 500, 302][chance.random_range(0..7)];
            world.refuse(leg, status);
        }
        (5, Some(leg)) => world.hang_up(leg),
        (6, Some(leg)) if !world.legs[&leg].answered => world.end_leg(leg, EndedBy::Timeout, Some(408)),
        (7, Some(leg)) if world.legs[&leg].answered => world.press(leg, ['1', '5'][chance.random_range(0..2)]),
        (8, Some(leg)) if world.legs[&leg].answered => {
            let port = world.legs[&leg].port.unwrap();
            if let Some(media_relay::Source::Play(play)) = world.plan.get(&port) {
                let (play, clips) = (play.id, play.first.len());
                world.media(media_relay::Event::PlayDone { port, play, clips });
            }
        }
        (9, _) => {
            let to = ["frontdesk", "retention", "team", "closer", "night", "plain", "named", "sip:x@192.0.2.50"];
            let mut body = Box::new(TransferBody::to(to[chance.random_range(0..to.len())]));
            if chance.random_bool(0.3) {
                body.release_ai = Some(policy::ReleaseAi::Stay);
            }
            if chance.random_bool(0.4) {
                body.detect = Some(policy::Detect::Machine);
            }
            if chance.random_bool(0.3) {
                let within = std::time::Duration::from_secs(chance.random_range(1..20));
                body.introduce = Some(IntroduceBody::Within(policy::Introduce { within, press: Some('5') }));
            }
            world.ask(Request::Transfer { call, body, idempotency_key: None, wait: None });
        }
        (10, _) => {
            let kind = ["no_match", "ready"][chance.random_range(0..2)];
            let events = policy::Posted::list_from_json(&json!({"type": kind})).unwrap();
            world.ask(Request::Events { call, events });
        }
        (11, _) => {
            let transfers: Vec<_> = world
                .published
                .iter()
                .filter_map(|event| match &event.what {
                    calls::Happening::TransferStarted { transfer, .. } => Some(*transfer),
                    _ => None,
                })
                .collect();
            if let Some(transfer) = transfers.last().copied() {
                let request = match chance.random_range(0..3) {
                    0 => Request::CancelTransfer { transfer },
                    1 => Request::AcceptTransfer { transfer, attempt: None },
                    _ => Request::DeclineTransfer { transfer, attempt: None },
                };
                world.ask(request);
            }
        }
        (12, _) => {
            if let Some((id, ..)) = world.resolves.pop() {
                let found = &["192.0.2.88:5060", "192.0.2.89:5060"][..chance.random_range(0..3)];
                world.give(calls::Input::Resolved { id, targets: targets(found) });
            }
        }
        (13, Some(leg)) if world.legs[&leg].answered && chance.random_bool(0.3) => {
            let port = world.legs[&leg].port.unwrap();
            world.media(media_relay::Event::Dead { port, before_first: false });
        }
        (14, Some(leg)) if world.legs[&leg].answered => {
            let direction = ["sendonly", "sendrecv", "inactive"][chance.random_range(0..3)];
            let body = bytes::Bytes::from(format!("{SDP}a={direction}\r\n"));
            world.tell(leg, signaling::Event::Offer { body: Some(body) });
        }
        (16, _) => {
            let mode = [SuperviseMode::Listen, SuperviseMode::Whisper, SuperviseMode::Barge][chance.random_range(0..3)];
            let request = match chance.random_range(0..4) {
                0 => Request::EndSupervisor { call, supervisor: "supervisor-1".into() },
                1 => Request::ChangeSupervisor { call, supervisor: "supervisor-1".into(), mode },
                to => {
                    let to = ["sip:boss@192.0.2.60", "tel:+15550177"][to - 2].to_owned();
                    Request::Supervise { call, body: SuperviseBody { to, mode, ring_timeout: None } }
                }
            };
            world.ask(request);
        }
        (17, Some(leg)) if world.legs[&leg].answered => {
            let answerer = [Answerer::Human, Answerer::Machine, Answerer::Unknown][chance.random_range(0..3)];
            let finding = Finding { answerer, because: Because::OutOfTime, after: std::time::Duration::from_secs(2) };
            let port = world.legs[&leg].port.unwrap();
            world.media(media_relay::Event::Answerer { port, finding });
        }
        (15, _) => {
            world.ask(Request::Handback { call, body: calls::HandbackBody::default() });
        }
        _ => world.ms(chance.random_range(0..8_000)),
    }
}
