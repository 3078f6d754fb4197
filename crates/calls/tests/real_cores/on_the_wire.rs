//! The handoff and its failures, heard packet by packet.

use crate::house::{House, Phone};
use calls::{EndCause, Happening, Request};
use clock::Monotonic;
use policy::{Cause, Mode};
use std::time::Duration;

fn failures(house: &House) -> Vec<(Cause, Option<u16>, u32)> {
    let failure = |event: &calls::PublicEvent| match &event.what {
        Happening::TransferFailed { cause, sip_code, attempt, .. } => Some((*cause, *sip_code, *attempt)),
        _ => None,
    };
    house.published.iter().filter_map(failure).collect()
}

#[test]
fn three_misses_music_then_the_human_and_the_bye_of_the_caller_ends_all() {
    let mut house = House::with_ai();
    assert_eq!((house.hears("caller"), house.hears("bot")), (Some("bot"), Some("caller")));
    house.misses(3);
    house.ms(100);
    assert_eq!((house.hears("caller"), house.hears("bot")), (Some("bot"), Some("silence")), "its last words");
    house.ms(5_500);
    assert_eq!(house.hears("caller"), Some("clip"), "music while the human's phone rings");
    assert!(house.parties["bot"].legs.is_empty(), "cold: the AI got its BYE");
    let invite = &house.parties["human"].invites[0];
    assert_eq!(invite.header("X-Tandem-Call-Id"), Some(house.call().to_string().as_str()));
    house.ms(3_000);
    assert_eq!((house.hears("caller"), house.hears("human")), (Some("human"), Some("caller")));
    house.ms(2_000);
    house.check_caller();
    house.hang_up("caller");
    house.ms(200);
    house.nothing_left();
    let cdr = &house.cdrs[0];
    assert_eq!(cdr.cause, EndCause::CallerHungUp);
    assert!(cdr.handoff_silence_ms.unwrap() <= 40, "{:?}", cdr.handoff_silence_ms);
    assert!(cdr.legs.iter().all(|leg| leg.media.as_ref().is_some_and(|media| media.packets_sent > 0)));
}

#[test]
fn a_warm_transfer_is_whispered_accepted_by_a_key_and_bridged_without_a_gap() {
    let mut house = House::with_ai();
    house.transfer("keyed", Mode::Warm);
    house.ms(7_200);
    assert_eq!((house.hears("caller"), house.hears("human")), (Some("clip"), Some("clip")), "music and whisper");
    assert_eq!(house.hears("bot"), Some("silence"), "muted, and it never hears the music");
    house.ms(2_000);
    assert_eq!(house.hears("human"), Some("silence"), "the prompt is over, the key not pressed");
    house.press("human", 1);
    house.ms(100);
    assert_eq!((house.hears("caller"), house.hears("human")), (Some("human"), Some("caller")));
    house.ms(1_500);
    assert!(house.parties["bot"].legs.is_empty());
    assert!(house.parties["caller"].heard.iter().all(|it| it.ssrc == house.parties["caller"].heard[0].ssrc));
    house.check_caller();
    house.hang_up("human");
    house.ms(200);
    assert!(house.parties["caller"].legs.is_empty(), "after_human: end");
    house.nothing_left();
}

#[test]
fn whatever_the_human_does_the_caller_is_back_with_the_ai_that_is_told_why() {
    for (phone, cause, code, within) in [
        (Phone::Refuses(603), Cause::Declined, Some(603), 6_000),
        (Phone::Refuses(480), Cause::NoAnswer, Some(480), 6_000),
        (Phone::Refuses(404), Cause::Unreachable, Some(404), 6_000),
        (Phone::Rings, Cause::NoAnswer, None, 22_000),
        (Phone::Answers(Duration::from_secs(1)), Cause::NotAccepted, None, 14_000),
    ] {
        for mode in [Mode::Warm, Mode::Cold] {
            let mut house = House::with_ai();
            house.parties.get_mut("human").unwrap().phone = phone;
            house.transfer("keyed", mode);
            house.ms(within);
            assert_eq!(failures(&house), [(cause, code, 1)], "{phone:?} {mode:?}");
            house.ms(1_000);
            assert_eq!(house.hears("caller"), Some("bot"), "{phone:?} {mode:?}");
            assert_eq!(house.hears("bot"), Some("caller"), "{phone:?} {mode:?}");
            assert!(house.parties["human"].legs.is_empty());
            let redial = house.parties["bot"].invites.get(1);
            assert_eq!(redial.and_then(|it| it.header("X-Tandem-Cause")), redial.map(|_| cause.name()));
            house.check_caller();
            house.hang_up("caller");
            house.ms(200);
            house.nothing_left();
        }
    }
}

#[test]
fn a_busy_human_is_followed_by_the_next_and_an_unplugged_one_is_given_up() {
    let mut house = House::with_ai();
    house.parties.get_mut("human").unwrap().phone = Phone::Refuses(486);
    house.transfer("human", Mode::Warm);
    house.ms(8_000);
    assert_eq!(failures(&house), [(Cause::Busy, Some(486), 1)]);
    assert_eq!(house.hears("caller"), Some("other"));
    house.check_caller();
    let mut house = House::with_ai();
    house.parties.get_mut("human").unwrap().phone = Phone::Unplugged;
    house.transfer("human", Mode::Warm);
    house.ms(21_000);
    assert_eq!(failures(&house)[0].0, Cause::NoAnswer, "its ring_timeout is over before timer B");
    assert_eq!(house.hears("caller"), Some("bot"));
    house.check_caller();
}

#[test]
fn a_human_who_hangs_up_in_the_whisper_is_not_accepted() {
    let mut house = House::with_ai();
    house.transfer("keyed", Mode::Warm);
    house.ms(7_500);
    house.hang_up("human");
    house.ms(200);
    assert_eq!(failures(&house), [(Cause::NotAccepted, None, 1)]);
    assert_eq!(house.hears("caller"), Some("bot"));
    house.check_caller();
}

#[test]
fn two_phones_ring_and_the_first_key_wins() {
    let mut house = House::with_ai();
    house.transfer("both", Mode::Warm);
    house.ms(9_500);
    assert!(!house.parties["human"].legs.is_empty() && !house.parties["other"].legs.is_empty());
    house.press("other", 1);
    house.ms(300);
    assert_eq!((house.hears("caller"), house.hears("other")), (Some("other"), Some("caller")));
    assert!(house.parties["human"].legs.is_empty());
    house.check_caller();
}

#[test]
fn an_ai_that_refuses_hangs_up_or_falls_silent_is_replaced() {
    let mut house = House::new();
    house.parties.get_mut("bot").unwrap().phone = Phone::Refuses(503);
    house.place_call();
    house.ms(2_000);
    assert_eq!(house.hears("caller"), Some("backup"));
    let mut house = House::with_ai();
    house.hang_up("bot");
    house.ms(1_500);
    assert_eq!(house.hears("caller"), Some("backup"));
    house.check_caller();
    let mut house = House::with_ai();
    house.parties.get_mut("bot").unwrap().says = None;
    house.ms(14_500);
    assert!(!house.said("ai.lost"));
    house.ms(2_000);
    assert!(house.said("ai.lost"));
    assert_eq!(house.hears("caller"), Some("backup"));
    assert!(house.parties["bot"].legs.is_empty());
}

#[test]
fn the_caller_hangs_up_at_any_moment_and_everybody_is_gone_in_200_ms() {
    // The whole of a warm transfer, cut at every half second; and of a call's beginning, every 20 ms.
    let cuts = (0..40).map(|n| n * 500).map(|at| (at, true)).chain((0..30).map(|n| (n * 20, false)));
    for (at, transfers) in cuts {
        let mut house = if transfers { House::with_ai() } else { House::new() };
        if transfers {
            house.transfer("keyed", Mode::Warm);
        } else {
            house.place_call();
        }
        house.ms(at);
        let now: Monotonic = house.now.monotonic;
        house.hang_up("caller");
        house.ms(200);
        for (name, party) in &house.parties {
            assert!(party.legs.is_empty(), "{name} is left, cut at {at}");
            let last = party.ended.iter().map(|(_, at)| at.since(now)).max();
            assert!(last.is_none_or(|after| after <= Duration::from_millis(200)));
        }
        house.nothing_left();
        assert!(house.cdrs.len() <= 1);
    }
}

#[test]
fn a_large_context_never_makes_the_invite_larger_than_1300_bytes() {
    let mut house = House::with_ai();
    let call = house.call();
    let context = (0..40).map(|n| (format!("key_{n}"), serde_json::json!("ä".repeat(60)))).collect();
    house.ask(Request::Context { call, context }).unwrap();
    house.transfer("human", Mode::Cold);
    house.ms(500);
    let invite = &house.parties["human"].invites[0];
    assert!(invite.headers.iter().any(|(name, _)| name.starts_with("X-Tandem-Context-")));
    assert!(house.largest_invite <= 1_300, "{}", house.largest_invite);
    assert!(house.largest_invite >= 1_000, "room is used: {}", house.largest_invite);
}
