//! REFER without a subscription (RFC 4488).

use crate::world::{Caller, header, status};
use signaling::{Command, Event, Refer, Referral};
use std::time::Duration;

#[test]
fn rfc4488_4_refer_sub_false_is_answered_with_200_and_nothing_is_told() {
    let mut caller = Caller::answered();
    let more = "Refer-To: <sip:bob@192.0.2.7>\nRefer-Sub: false\nRequire: norefersub\n";
    assert!(caller.say("REFER", more).is_empty());
    let asked = caller.world.events_of(0);
    assert!(matches!(&asked[0], Event::Refer(asked) if !asked.subscribe));
    let leg = caller.leg;
    let heard = caller.command(Command::AcceptRefer { leg });
    assert_eq!(heard.len(), 1);
    assert_eq!((status(&heard[0]), header(&heard[0], "Refer-Sub")), (200, Some("false")));
    for status in [180, 200] {
        assert!(caller.command(Command::NotifyRefer { leg, status }).is_empty());
    }
    // Nothing stands in the way of another.
    assert!(caller.say("REFER", more).is_empty());
}

#[test]
fn rfc4488_4_refer_sub_true_makes_a_subscription() {
    let mut caller = Caller::answered();
    caller.say("REFER", "Refer-To: <sip:bob@192.0.2.7>\nRefer-Sub: true\n");
    let leg = caller.leg;
    let heard = caller.command(Command::AcceptRefer { leg });
    assert_eq!((status(&heard[0]), header(&heard[0], "Refer-Sub")), (202, None));
    assert!(heard[1].starts_with("NOTIFY"));
}

fn referred(caller: &mut Caller) -> String {
    let timeout = Duration::from_secs(30);
    let refer = Refer { to: "sip:bob@192.0.2.7".into(), replaces: None, referred_by: None, subscribe: false, timeout };
    let leg = caller.leg;
    caller.command(Command::Refer { leg, refer: Box::new(refer) }).remove(0)
}

fn referrals(caller: &mut Caller) -> Vec<Referral> {
    let referral = |event| match event {
        Event::Referral(referral) => Some(referral),
        _ => None,
    };
    caller.world.events_of(0).into_iter().filter_map(referral).collect()
}

#[test]
fn rfc4488_4_a_peer_that_agrees_tells_nothing_more() {
    let mut caller = Caller::answered();
    let sent = referred(&mut caller);
    assert_eq!(header(&sent, "Refer-Sub"), Some("false"));
    caller.world.say(&crate::world::reply(&sent, "200 OK", "", "Refer-Sub: false\n", ""));
    assert_eq!(referrals(&mut caller), [Referral::Accepted { subscribed: false }]);
    caller.world.pass(Duration::from_secs(60));
    assert_eq!(referrals(&mut caller), []);
}

#[test]
fn rfc4488_4_a_peer_that_knows_nothing_of_it_makes_a_subscription_all_the_same() {
    let mut caller = Caller::answered();
    let sent = referred(&mut caller);
    caller.answer(&sent, "202 Accepted");
    let more = "Event: refer\nSubscription-State: terminated\nContent-Type: message/sipfrag\n";
    let message = caller.written("NOTIFY", more, "SIP/2.0 200 OK\r\n");
    assert_eq!(status(&caller.world.say(&message)[0]), 200);
    let expected = [Referral::Accepted { subscribed: true }, Referral::Done { status: Some(200) }];
    assert_eq!(referrals(&mut caller), expected);
}
