//! A new call takes the place of a leg (RFC 3891): same call, same part, no gap.

use crate::house::{House, Phone};
use calls::EndCause;
use policy::Mode;
use std::time::Duration;

#[test]
fn rfc3891_3_a_human_moves_to_another_phone_and_the_caller_hears_on() {
    let mut house = House::with_ai();
    house.parties.get_mut("human").unwrap().phone = Phone::Answers(Duration::from_millis(500));
    house.transfer("human", Mode::Cold);
    house.ms(7_000);
    let replaces = house.replaces("human");
    house.place_call_of("other", &[("Replaces", replaces)]);
    house.ms(100);
    assert_eq!((house.hears("caller"), house.hears("other")), (Some("other"), Some("caller")));
    assert!(house.parties["human"].legs.is_empty(), "the replaced dialog got its BYE");
    house.ms(1_000);
    house.check_caller();
    house.hang_up("other");
    house.ms(200);
    house.nothing_left();
    let cdr = &house.cdrs[0];
    assert_eq!((house.cdrs.len(), cdr.cause), (1, EndCause::HumanHungUp));
    assert!(cdr.legs.iter().any(|leg| leg.name == "replacement-1" && leg.party == calls::Party::Human));
    assert!(house.said("leg.replaced"));
}

#[test]
fn rfc3891_3_a_ringing_phone_is_picked_up_from_another() {
    let mut house = House::with_ai();
    house.parties.get_mut("human").unwrap().phone = Phone::Rings;
    house.transfer("human", Mode::Cold);
    house.ms(7_000);
    assert_eq!(house.hears("caller"), Some("clip"));
    let replaces = house.replaces("human");
    house.place_call_of("other", &[("Replaces", format!("{replaces};early-only"))]);
    house.ms(100);
    assert_eq!((house.hears("caller"), house.hears("other")), (Some("other"), Some("caller")));
    assert!(house.parties["human"].legs.is_empty(), "cancelled");
    house.check_caller();
    house.hang_up("caller");
    house.ms(200);
    house.nothing_left();
    let attempt = &house.cdrs[0].transfers[0].attempts[0];
    assert!(attempt.answered.is_some() && attempt.accepted.is_some());
}

#[test]
fn rfc3891_3_the_callers_side_moves_to_another_phone_and_the_call_stays_one() {
    let mut house = House::with_ai();
    house.ms(2_000);
    let replaces = house.replaces_of_caller();
    house.place_call_of("second", &[("Replaces", replaces)]);
    house.ms(100);
    assert_eq!((house.hears("second"), house.hears("bot")), (Some("bot"), Some("second")));
    assert!(house.parties["caller"].legs.is_empty());
    house.misses(3);
    house.ms(15_000);
    assert_eq!(house.hears("second"), Some("human"), "a handoff goes on from there");
    house.hang_up("second");
    house.ms(200);
    house.nothing_left();
    let cdr = &house.cdrs[0];
    assert_eq!((house.cdrs.len(), cdr.cause), (1, EndCause::CallerHungUp));
    assert!(cdr.duration_ms >= 17_000, "from the first answer: {}", cdr.duration_ms);
}

#[test]
fn rfc3891_3_a_dialog_that_nobody_has_is_refused_and_becomes_no_call() {
    let mut house = House::with_ai();
    house.place_call_of("other", &[("Replaces", "x;to-tag=1;from-tag=2".to_owned())]);
    house.ms(100);
    assert!(house.parties["other"].legs.is_empty());
    assert_eq!(house.hears("caller"), Some("bot"));
    assert_eq!(house.calls.gauges().legs.iter().sum::<usize>(), 2);
}
