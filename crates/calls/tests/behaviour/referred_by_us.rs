//! Cold transfers that the caller's trunk is asked to carry out by REFER, and their way back to bridging (RFC 5589 section 6).

use crate::world::{RULES, World, config};
use calls::{EndCause, Reply, Request, TransferBody, TransferId, TransferState};
use policy::{Cause, ColdBy, Mode};
use signaling::{Command, Event, Refer, Referral};

/// With an AI, the carrier that brought the call being one that may be asked.
fn refers() -> World {
    let mut config = config();
    config.trunks.get_mut("carrier").unwrap().refers = true;
    let mut world = World::with(config, RULES, 7);
    world.connect();
    world
}

fn cold(world: &mut World, to: &str) -> TransferId {
    let body = TransferBody { mode: Some(Mode::Cold), cold_by: Some(ColdBy::Refer), ..TransferBody::to(to) };
    world.transfer_as(body).unwrap()
}

fn asked(world: &World) -> Vec<&Refer> {
    let refer = |command| match command {
        &Command::Refer { leg, ref refer } => {
            assert_eq!(leg, world.caller, "it is the caller's dialog that is asked in");
            Some(&**refer)
        }
        _ => None,
    };
    world.commands.iter().filter_map(refer).collect()
}

fn told(world: &mut World, referral: Referral) {
    world.tell(world.caller, Event::Referral(referral));
}

fn capability(world: &mut World) -> Option<String> {
    let Ok(Reply::Trunks(list)) = world.reply(Request::Trunks) else { panic!("no list") };
    list.trunks.into_iter().find(|trunk| trunk.name == "carrier").unwrap().refer
}

#[test]
fn rfc5589_6_1_the_trunk_that_brought_the_caller_calls_them_away_and_the_call_ends_here() {
    let mut world = refers();
    assert_eq!(capability(&mut world).as_deref(), Some("not_asked"));
    let ai = world.dialled("bot@");
    let transfer = cold(&mut world, "tel:+15550199");
    assert!(asked(&world).is_empty(), "the AI has its last words first");
    world.secs(6);
    assert_eq!(asked(&world).len(), 1);
    let refer = asked(&world)[0];
    assert_eq!((refer.to.as_str(), refer.subscribe), ("tel:+15550199", true));
    assert!(world.legs[&ai].ended, "in a cold transfer the AI leaves at once");
    assert!(world.hears_music(), "while the trunk calls");
    assert!(!world.is_dialled("+15550199"), "and we do not");
    for referral in [Referral::Accepted { subscribed: true }, Referral::Progress { status: 180 }] {
        told(&mut world, referral);
    }
    assert_eq!(world.count("agent.ringing"), 1);
    told(&mut world, Referral::Done { status: Some(200) });
    assert!(world.story().ends_with(&["transfer.referred", "call.ended"]), "{:?}", world.story());
    assert_eq!(capability(&mut world).as_deref(), Some("takes"));
    world.secs(1);
    let cdr = &world.cdrs[0];
    assert_eq!((cdr.cause, cdr.transfers[0].state), (EndCause::Referred, TransferState::Referred));
    assert_eq!(cdr.transfers[0].id, transfer);
    let attempt = &cdr.transfers[0].attempts[0];
    assert_eq!((attempt.leg.as_str(), attempt.cause), ("caller", None));
    assert!(attempt.ringing.is_some() && attempt.answered.is_some());
}

#[test]
fn a_refer_that_is_refused_silent_or_fails_turns_into_bridging_within_the_same_transfer() {
    let accepted = Referral::Accepted { subscribed: true };
    for (news, cause, code, learned) in [
        (vec![Referral::Refused { status: 405 }], Cause::Failed, Some(405), "refuses"),
        (vec![Referral::Refused { status: 500 }], Cause::Failed, Some(500), "not_asked"),
        (vec![accepted, Referral::Done { status: Some(486) }], Cause::Busy, Some(486), "takes"),
        (vec![accepted, Referral::Done { status: None }], Cause::Failed, None, "takes"),
        (vec![accepted, Referral::TimedOut], Cause::NoAnswer, None, "takes"),
    ] {
        let mut world = refers();
        let transfer = cold(&mut world, "plain");
        world.secs(6);
        assert!(!world.is_dialled("100@"));
        for referral in &news {
            told(&mut world, *referral);
        }
        assert_eq!(world.failures(), [(cause, code, 1, "bridging".to_owned())], "{news:?}");
        let human = world.dialled("100@");
        assert!(world.hears_music());
        world.answer(human);
        assert!(world.hears_leg(world.caller, human));
        let record = world.transfer_record(transfer);
        assert_eq!((record.state, record.attempts.len()), (TransferState::Bridged, 2), "one transfer, two attempts");
        assert_eq!(asked(&world).len(), 1);
        assert_eq!(capability(&mut world).as_deref(), Some(learned));
    }
}

#[test]
fn a_trunk_that_took_it_and_tells_nothing_has_as_long_as_a_phone_may_ring() {
    let mut world = refers();
    cold(&mut world, "plain");
    world.secs(6);
    told(&mut world, Referral::Accepted { subscribed: false });
    world.secs(18);
    assert!(!world.is_dialled("100@"));
    world.secs(3);
    assert_eq!(world.failures()[0].0, Cause::NoAnswer);
    assert!(world.is_dialled("100@"));
    // Too late: the human we rang has the caller, or the AI again.
    told(&mut world, Referral::Done { status: Some(200) });
    assert_eq!(world.count("transfer.referred"), 0);
}

#[test]
fn a_trunk_that_takes_no_refer_is_not_asked_again_for_an_hour() {
    let mut world = refers();
    cold(&mut world, "plain");
    world.secs(6);
    told(&mut world, Referral::Refused { status: 501 });
    let human = world.dialled("100@");
    world.refuse(human, 500);
    let ai = world.dialled("bot@");
    world.answer(ai);
    cold(&mut world, "plain");
    world.secs(6);
    assert_eq!(asked(&world).len(), 1, "only the first");
    assert_eq!(world.failures().len(), 2, "what is known costs no failure");
}

#[test]
fn who_may_not_be_asked_or_is_not_to_be_is_not_asked() {
    // The trunk's profile says nothing.
    let mut world = World::with_ai();
    cold(&mut world, "plain");
    world.secs(6);
    assert!(asked(&world).is_empty() && world.is_dialled("100@"));
    assert_eq!(capability(&mut world), None);
    // A warm transfer is bridged, whatever `cold_by` says, and a cold one that does not ask for it.
    for (mode, cold_by) in [(Mode::Warm, Some(ColdBy::Refer)), (Mode::Cold, None), (Mode::Cold, Some(ColdBy::Bridge))] {
        let mut world = refers();
        world.transfer_as(TransferBody { mode: Some(mode), cold_by, ..TransferBody::to("plain") }).unwrap();
        world.secs(6);
        assert!(asked(&world).is_empty() && world.is_dialled("100@"), "{mode:?} {cold_by:?}");
    }
}

#[test]
fn a_caller_who_hangs_up_meanwhile_and_a_command_that_cancels_end_it() {
    let mut world = refers();
    cold(&mut world, "plain");
    world.secs(6);
    told(&mut world, Referral::Accepted { subscribed: true });
    world.hang_up(world.caller);
    world.secs(1);
    assert_eq!(world.cdrs[0].transfers[0].state, TransferState::CallEnded);
    assert!(!world.is_dialled("100@"));

    let mut world = refers();
    let second = cold(&mut world, "plain");
    world.secs(6);
    assert!(world.reply(Request::CancelTransfer { transfer: second }).is_ok());
    assert_eq!(world.transfer_record(second).state, TransferState::Cancelled);
    told(&mut world, Referral::Done { status: Some(200) });
    assert_eq!(world.count("transfer.referred"), 0, "nobody waits for it any more");
}
