//! Transfers by REFER (RFC 5589): from the AI, from the human, and between two calls of one phone; heard packet by packet.

use crate::house::{House, Phone};
use calls::{EndCause, Happening, Source, TransferState};
use policy::Mode;
use rand::{Rng, SeedableRng, rngs::StdRng};
use signaling::Referral;
use std::time::Duration;

const TANDEM: &str = "10.0.0.1";

fn quick(house: &mut House, name: &str, phone: Phone) {
    house.parties.get_mut(name).unwrap().phone = phone;
}

/// A caller with a human, and the AI gone.
fn with_human() -> House {
    let mut house = House::with_ai();
    quick(&mut house, "human", Phone::Answers(Duration::from_millis(500)));
    house.transfer("human", Mode::Cold);
    house.ms(7_000);
    assert_eq!((house.hears("caller"), house.hears("human")), (Some("human"), Some("caller")));
    house
}

fn done(status: u16) -> Referral {
    Referral::Done { status: Some(status) }
}

#[test]
fn rfc5589_6_1_the_ai_refers_the_caller_to_a_destination_by_name_and_hears_the_outcome() {
    let mut house = House::with_ai();
    quick(&mut house, "other", Phone::Answers(Duration::from_secs(7)));
    house.refer("bot", &format!("sip:other@{TANDEM}?User-to-User=c0ffee%3Bencoding%3Dhex"), false);
    house.ms(5_500);
    assert_eq!(house.hears("caller"), Some("clip"), "music while the phone rings");
    assert_eq!(house.parties["bot"].legs.len(), 1, "the AI stays until it knows");
    house.ms(3_000);
    assert_eq!((house.hears("caller"), house.hears("other")), (Some("other"), Some("caller")));
    let expected = [
        Referral::Accepted { subscribed: true },
        Referral::Progress { status: 100 },
        Referral::Progress { status: 180 },
        done(200),
    ];
    assert_eq!(house.referrals, expected);
    assert!(house.parties["bot"].legs.is_empty(), "released");
    let invite = house.sent("INVITE sip:other@");
    assert!(invite.contains("\r\nUser-to-User: c0ffee;encoding=hex\r\n"), "{invite}");
    assert!(invite.contains("\r\nReferred-By: <sip:bot@10.0.0.20>\r\n"));
    house.check_caller();
    house.hang_up("caller");
    house.ms(200);
    house.nothing_left();
    let transfer = &house.cdrs[0].transfers[0];
    let source = Source::Refer { leg: "ai-1".into(), referred_by: Some("sip:bot@10.0.0.20".into()) };
    assert_eq!((transfer.state, &transfer.source, transfer.to.as_str()), (TransferState::Bridged, &source, "other"));
    assert_eq!(house.cdrs[0].decisions[0].trigger, "refer");
}

#[test]
fn rfc5589_6_1_a_number_goes_through_a_trunk_and_stays_a_number() {
    for to in ["tel:+15550199".to_owned(), format!("sip:+15550199@{TANDEM}")] {
        let mut house = House::with_ai();
        house.refer("bot", &to, false);
        house.ms(6_000);
        assert!(house.sent("INVITE tel:+15550199 SIP/2.0").contains("INVITE"), "{to}");
    }
}

#[test]
fn rfc5589_6_2_a_refer_that_cannot_be_carried_out_is_refused_and_the_call_goes_on() {
    for (to, status) in [
        (format!("sip:nobody@{TANDEM}"), 404),
        (format!("sip:ai@{TANDEM}"), 404),
        ("sips:a@192.0.2.1;transport=udp".to_owned(), 416),
        ("sip:a@192.0.2.1;transport=sctp".to_owned(), 404),
    ] {
        let mut house = House::with_ai();
        house.refer("bot", &to, false);
        house.ms(100);
        assert_eq!(house.referrals, [Referral::Refused { status }], "{to}");
        assert!(house.said("transfer.refused"));
        assert_eq!((house.hears("caller"), house.hears("bot")), (Some("bot"), Some("caller")));
    }
    // And one of the caller, who may not send us away.
    let mut house = House::with_ai();
    house.refer("caller", "sip:other@10.0.0.31", false);
    house.ms(100);
    assert_eq!(house.referrals, [Referral::Refused { status: 603 }]);
}

#[test]
fn rfc5589_6_2_the_ai_whose_transfer_failed_is_told_the_status_and_has_the_caller_again() {
    let mut house = House::with_ai();
    quick(&mut house, "human", Phone::Refuses(603));
    house.refer("bot", &format!("sip:human@{TANDEM}"), false);
    house.ms(6_500);
    assert_eq!(house.referrals.last(), Some(&done(603)));
    assert_eq!((house.hears("caller"), house.hears("bot")), (Some("bot"), Some("caller")));
    assert_eq!(house.parties["bot"].invites.len(), 1, "the same leg: it never left");
    house.check_caller();
    house.hang_up("caller");
    house.ms(200);
    house.nothing_left();
}

#[test]
fn rfc5589_6_1_an_ai_that_hangs_up_after_its_refer_loses_nobody() {
    for fails in [false, true] {
        let mut house = House::with_ai();
        let phone = if fails { Phone::Rings } else { Phone::Answers(Duration::from_secs(1)) };
        quick(&mut house, "human", phone);
        house.refer("bot", &format!("sip:human@{TANDEM}"), false);
        house.ms(50);
        house.hang_up("bot");
        house.ms(if fails { 23_000 } else { 5_000 });
        assert!(!house.said("ai.lost"), "{fails} {:?}", house.story());
        let with = if fails { "bot" } else { "human" };
        assert_eq!(house.hears("caller"), Some(with));
        house.check_caller();
        house.hang_up("caller");
        house.ms(200);
        house.nothing_left();
    }
}

#[test]
fn rfc3515_a_refer_during_a_transfer_is_refused_with_491() {
    let mut house = House::with_ai();
    house.transfer("human", Mode::Warm);
    house.ms(1_000);
    house.refer("bot", &format!("sip:other@{TANDEM}"), false);
    house.ms(100);
    assert_eq!(house.referrals, [Referral::Refused { status: 491 }]);
}

#[test]
fn rfc5589_6_1_the_human_transfers_the_caller_on_and_is_released() {
    let mut house = with_human();
    house.refer("human", "sip:other@10.0.0.31", false);
    house.ms(1_000);
    assert_eq!((house.hears("caller"), house.hears("human")), (Some("clip"), Some("silence")));
    house.ms(2_000);
    assert_eq!((house.hears("caller"), house.hears("other")), (Some("other"), Some("caller")));
    assert!(house.parties["human"].legs.is_empty());
    assert_eq!(house.referrals.last(), Some(&done(200)));
    house.check_caller();
    house.hang_up("other");
    house.ms(200);
    house.nothing_left();
    let cdr = &house.cdrs[0];
    let source = Source::Refer { leg: "human-1".into(), referred_by: Some("sip:human@10.0.0.30".into()) };
    assert_eq!((cdr.cause, &cdr.transfers[1].source), (EndCause::HumanHungUp, &source));
}

#[test]
fn rfc5589_6_2_the_human_whose_transfer_failed_has_the_caller_again() {
    for (phone, status) in [(Phone::Refuses(486), 486), (Phone::Refuses(404), 404), (Phone::Rings, 408)] {
        let mut house = with_human();
        quick(&mut house, "other", phone);
        house.refer("human", "sip:other@10.0.0.31", false);
        house.ms(if status == 408 { 31_000 } else { 500 });
        assert_eq!(house.referrals.last(), Some(&done(status)));
        assert_eq!((house.hears("caller"), house.hears("human")), (Some("human"), Some("caller")), "{status}");
        assert!(house.said("call.returned"));
        house.check_caller();
        // They may try again.
        quick(&mut house, "other", Phone::Answers(Duration::from_millis(500)));
        house.refer("human", &format!("sip:other@{TANDEM}"), false);
        house.ms(2_000);
        assert_eq!(house.hears("caller"), Some("other"));
        house.hang_up("caller");
        house.ms(200);
        house.nothing_left();
    }
}

#[test]
fn rfc5589_6_1_a_human_who_hangs_up_at_once_leaves_the_caller_to_the_transfer_or_to_the_ai() {
    for fails in [false, true] {
        let mut house = with_human();
        if fails {
            quick(&mut house, "other", Phone::Refuses(486));
        }
        // The refusal crosses the BYE, or comes before it.
        house.refer("human", "sip:other@10.0.0.31", false);
        house.ms(if fails { 20 } else { 2 });
        house.hang_up("human");
        house.ms(4_000);
        assert_eq!(house.hears("caller"), Some(if fails { "bot" } else { "other" }));
        house.check_caller();
        house.hang_up("caller");
        house.ms(200);
        house.nothing_left();
    }
}

#[test]
fn a_human_who_refers_the_caller_to_the_ai_hands_them_back() {
    for to in ["sip:bot@10.0.0.20".to_owned(), format!("sip:ai@{TANDEM}")] {
        let mut house = with_human();
        house.refer("human", &to, false);
        house.ms(1_500);
        assert_eq!((house.hears("caller"), house.hears("bot")), (Some("bot"), Some("caller")), "{to}");
        assert!(house.parties["human"].legs.is_empty());
        assert_eq!(house.referrals.last(), Some(&done(200)));
        house.hang_up("caller");
        house.ms(200);
        house.nothing_left();
    }
}

#[test]
fn the_caller_who_hangs_up_during_the_humans_transfer_ends_all() {
    let mut house = with_human();
    house.refer("human", "sip:other@10.0.0.31", false);
    house.ms(1_000);
    house.hang_up("caller");
    house.ms(200);
    assert_eq!(house.referrals.last(), Some(&done(487)));
    house.nothing_left();
}

#[test]
fn rfc5589_7_1_a_human_joins_their_caller_with_the_party_they_consulted() {
    let mut house = with_human();
    let first = house.call();
    house.hold("human");
    // They call through us, reach another human, and put the two together.
    house.place_call_of("human", &[]);
    house.ms(1_500);
    assert_eq!(house.parties["human"].legs.len(), 2);
    let second = house.published.iter().filter_map(|event| event.call).find(|call| *call != first).unwrap();
    house.transfer_of(second, "other", Mode::Cold);
    house.ms(8_000);
    assert_eq!(house.hears("other"), Some("human"));
    house.refer("human", &format!("sip:other@{TANDEM}"), true);
    house.ms(100);
    assert_eq!((house.hears("caller"), house.hears("other")), (Some("other"), Some("caller")));
    assert!(house.parties["human"].legs.is_empty(), "the transferor's legs end");
    assert_eq!(house.referrals.last(), Some(&done(200)));
    house.check_caller();
    let (consulted, kept) = (&house.cdrs[0], first);
    assert_eq!((house.cdrs.len(), consulted.call, consulted.cause), (1, second, EndCause::Joined));
    let moved = consulted.legs.iter().find(|leg| leg.party == calls::Party::Human).unwrap();
    assert_eq!(moved.ended_by.as_deref(), Some("joined"));
    house.hang_up("other");
    house.ms(200);
    house.nothing_left();
    let cdr = &house.cdrs[1];
    assert_eq!((cdr.call, cdr.cause), (kept, EndCause::HumanHungUp));
    assert!(cdr.legs.iter().any(|leg| leg.name == "joined-1" && leg.via == second.to_string()));
    let joined = cdr.transfers.last().unwrap();
    assert_eq!((joined.state, joined.to.as_str()), (TransferState::Bridged, second.to_string().as_str()));
    assert!(matches!(&joined.source, Source::Refer { leg, .. } if leg == "human-1"));
    assert!(house.published.iter().any(|event| matches!(event.what, Happening::LegJoined { .. })));
}

#[test]
fn rfc5589_7_1_a_human_with_two_callers_joins_them() {
    let mut house = with_human();
    house.hold("human");
    house.place_call_of("second", &[]);
    house.ms(1_500);
    let first = house.call();
    let second = house.published.iter().filter_map(|event| event.call).find(|call| *call != first).unwrap();
    house.transfer_of(second, "human", Mode::Cold);
    house.ms(7_000);
    assert_eq!(house.hears("second"), Some("human"));
    house.refer("human", &format!("sip:{TANDEM}"), true);
    house.ms(100);
    assert_eq!((house.hears("caller"), house.hears("second")), (Some("second"), Some("caller")));
    assert!(house.parties["human"].legs.is_empty());
    house.check_caller();
    house.hang_up("second");
    house.ms(200);
    house.nothing_left();
    assert_eq!(house.cdrs.len(), 2);
}

#[test]
fn rfc5589_7_a_consulted_ai_takes_the_caller() {
    let mut house = with_human();
    house.hold("human");
    house.place_call_of("human", &[]);
    house.ms(1_500);
    house.refer("human", &format!("sip:{TANDEM}"), true);
    house.ms(100);
    assert_eq!((house.hears("caller"), house.hears("bot")), (Some("bot"), Some("caller")));
    house.check_caller();
    // It is this call's AI now: what it posts is heard, and a transfer goes on from it.
    house.transfer("other", Mode::Cold);
    house.ms(8_000);
    assert_eq!(house.hears("caller"), Some("other"));
    house.hang_up("caller");
    house.ms(200);
    house.nothing_left();
}

#[test]
fn rfc5589_7_a_dialog_that_is_gone_refuses_the_refer_and_the_call_goes_on() {
    let mut house = with_human();
    house.refer("human", &format!("sip:{TANDEM}?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2"), false);
    house.ms(100);
    assert_eq!(house.referrals, [Referral::Refused { status: 481 }]);
    assert_eq!(house.hears("caller"), Some("human"));
}

/// Parties refer, hang up, answer and refuse at random moments; whatever happens, nobody is left over and nothing stays.
#[test]
fn whenever_somebody_refers_or_hangs_up_nothing_is_left() {
    for seed in 0..40_u64 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut below = |most: u64| random.next_u64() % most;
        let mut house = House::with_ai();
        for name in ["human", "other"] {
            let phone = match below(4) {
                0 => Phone::Refuses(486),
                1 => Phone::Rings,
                _ => Phone::Answers(Duration::from_millis(below(1_500))),
            };
            quick(&mut house, name, phone);
        }
        for _ in 0..8 {
            let name = ["bot", "human", "other", "caller"][usize::try_from(below(4)).unwrap()];
            let up = house.parties[name].legs.iter().any(|(_, up)| *up);
            match below(6) {
                0 => house.hang_up(name),
                1 if house.parties["human"].legs.is_empty() => house.place_call_of("human", &[]),
                2 if house.parties[name].legs.len() > 1 => house.refer(name, "sip:10.0.0.1", true),
                _ if up => {
                    let to = ["sip:other@10.0.0.31", "sip:human@10.0.0.1", "sip:bot@10.0.0.20", "sip:x@10.0.0.1"];
                    house.refer(name, to[usize::try_from(below(4)).unwrap()], false);
                }
                _ => {}
            }
            house.ms(below(1_500));
        }
        for name in ["caller", "human", "second"] {
            house.hang_up(name);
        }
        house.ms(1_000);
        for name in ["bot", "backup", "other"] {
            house.hang_up(name);
        }
        house.ms(41_000);
        assert!(house.parties.values().all(|party| party.legs.is_empty()), "seed {seed}: somebody is left");
        house.nothing_left();
    }
}
