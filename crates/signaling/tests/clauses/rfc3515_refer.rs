//! REFER received: judged, answered, and its sender told how it goes (RFC 3515, RFC 6665).

use crate::world::{Caller, World, header, ms, request, status};
use signaling::{Command, Event, ReferRequest};
use std::time::Duration;

fn asked(caller: &mut Caller) -> Option<ReferRequest> {
    caller.world.events_of(0).into_iter().find_map(|event| match event {
        Event::Refer(asked) => Some(*asked),
        _ => None,
    })
}

fn refer(caller: &mut Caller, refer_to: &str) -> Vec<String> {
    caller.say("REFER", &format!("Refer-To: {refer_to}\n"))
}

/// A caller whose REFER was accepted, and the NOTIFY that followed at once.
fn accepted() -> (Caller, String) {
    let mut caller = Caller::answered();
    assert!(refer(&mut caller, "<sip:bob@192.0.2.7>").is_empty(), "the answer is call control's");
    let leg = caller.leg;
    let heard = caller.command(Command::AcceptRefer { leg });
    assert_eq!(heard.len(), 2);
    assert_eq!(status(&heard[0]), 202);
    (caller, heard[1].clone())
}

fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn rfc3515_2_4_2_a_refer_is_told_with_whom_to_call_and_by_whose_wish() {
    let mut caller = Caller::answered();
    let more = "Refer-To: \"Bob\" <sip:+4930@192.0.2.7;user=phone;method=INVITE>\nReferred-By: <sip:alice@example.com>;cid=x\nX-Why: because\n";
    assert!(caller.say("REFER", more).is_empty());
    let asked = asked(&mut caller).unwrap();
    assert_eq!(asked.to, "sip:+4930@192.0.2.7;user=phone");
    assert_eq!(asked.referred_by.as_deref(), Some("sip:alice@example.com"));
    assert_eq!(asked.headers, [("X-Why".to_owned(), "because".to_owned())]);
    assert!(asked.subscribe && asked.replaces.is_none() && asked.asked.is_empty());
}

#[test]
fn rfc3515_2_4_4_the_peer_is_told_at_once_that_we_try_and_at_the_end_how_it_went() {
    let (mut caller, trying) = accepted();
    assert!(trying.starts_with("NOTIFY sip:caller@192.0.2.9:5070 SIP/2.0"));
    assert_eq!(header(&trying, "Event"), Some("refer"));
    assert_eq!(header(&trying, "Subscription-State"), Some("active;expires=180"));
    assert_eq!(header(&trying, "Content-Type"), Some("message/sipfrag;version=2.0"));
    assert_eq!(header(&trying, "From"), Some(caller.to.as_str()));
    assert!(header(&trying, "Contact").is_some());
    assert_eq!(body(&trying), "SIP/2.0 100 Trying\r\n");
    let leg = caller.leg;
    assert!(caller.command(Command::NotifyRefer { leg, status: 180 }).is_empty(), "one NOTIFY at a time");
    let ringing = caller.answer(&trying, "200 OK").remove(0);
    assert_eq!(body(&ringing), "SIP/2.0 180 Ringing\r\n");
    assert!(caller.answer(&ringing, "200 OK").is_empty());
    let busy = caller.command(Command::NotifyRefer { leg, status: 486 }).remove(0);
    assert_eq!(header(&busy, "Subscription-State"), Some("terminated;reason=noresource"));
    assert_eq!(body(&busy), "SIP/2.0 486 Busy Here\r\n");
    caller.answer(&busy, "200 OK");
    assert!(caller.command(Command::NotifyRefer { leg, status: 200 }).is_empty(), "nothing follows the last");
    caller.command(Command::Hangup { leg, reason: None });
    caller.world.assert_nothing_left();
}

/// Seed 7104 of the simulator, far: the NOTIFY overtook the BYE, which was out of order then, and its peer stayed in the call for ever.
#[test]
fn rfc3261_12_2_2_a_bye_that_a_notify_overtook_is_sent_again_and_no_other() {
    let (mut caller, trying) = accepted();
    caller.answer(&trying, "200 OK");
    let leg = caller.leg;
    let bye = caller.command(Command::Hangup { leg, reason: None }).remove(0);
    let last = caller.command(Command::NotifyRefer { leg, status: 487 }).remove(0);
    caller.answer(&last, "200 OK");
    let again = caller.answer(&bye, "500 Server Internal Error").remove(0);
    let number = |message: &str| header(message, "CSeq").unwrap().split(' ').next().unwrap().parse::<u32>().unwrap();
    assert!(again.starts_with("BYE ") && number(&again) > number(&last), "{again}");
    assert!(caller.answer(&again, "500 Server Internal Error").is_empty(), "nothing overtook this one");
    caller.world.assert_nothing_left();
}

#[test]
fn rfc3515_2_4_6_a_second_refer_is_told_apart_by_its_number() {
    let (mut caller, trying) = accepted();
    caller.answer(&trying, "200 OK");
    let leg = caller.leg;
    let last = caller.command(Command::NotifyRefer { leg, status: 603 }).remove(0);
    caller.answer(&last, "200 OK");
    refer(&mut caller, "<sip:carol@192.0.2.7>");
    let number = caller.number();
    let heard = caller.command(Command::AcceptRefer { leg });
    assert_eq!(header(&heard[1], "Event"), Some(format!("refer;id={number}").as_str()));
}

#[test]
fn rfc3515_2_4_2_exactly_one_refer_to_is_expected() {
    let mut caller = Caller::answered();
    assert_eq!(status(&caller.say("REFER", "")[0]), 400);
    assert_eq!(status(&caller.say("REFER", "Refer-To: <sip:a@b>\nRefer-To: <sip:c@d>\n")[0]), 400);
    assert_eq!(status(&caller.say("REFER", "r: <sip:a@b>, <sip:c@d>\n")[0]), 400);
    assert!(asked(&mut caller).is_none());
}

#[test]
fn rfc3515_what_cannot_be_called_is_refused_and_the_call_stays() {
    let mut caller = Caller::answered();
    for (refer_to, expected) in [
        ("<http://example.com>", 416),
        ("<mailto:a@b>", 416),
        ("<sip:a@b;method=BYE>", 603),
        ("<sip:a@b;method=SUBSCRIBE>", 603),
        ("<sip:a@b?Replaces=x>", 400),
        ("<sip:a@b?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=y%3Bto-tag%3D1%3Bfrom-tag%3D2>", 400),
        ("<sip:a b@c>", 400),
        ("sip:", 400),
    ] {
        assert_eq!(status(&refer(&mut caller, refer_to)[0]), expected, "{refer_to}");
    }
    assert_eq!(status(&caller.say("REFER", "Refer-To: <sip:a@b>\nRequire: explicitsub\n")[0]), 420);
    assert!(caller.world.events_of(0).is_empty());
    assert!(refer(&mut caller, "<tel:+15550199>").is_empty());
    assert_eq!(asked(&mut caller).unwrap().to, "tel:+15550199");
}

#[test]
fn only_known_headers_are_taken_out_of_a_refer_to_and_only_whole_ones() {
    let mut caller = Caller::answered();
    refer(&mut caller, "<sip:a@b?User-to-User=a4%3Bencoding%3Dhex&Route=%3Csip:evil%3E&X-Y=z&body=v%3D0>");
    assert_eq!(asked(&mut caller).unwrap().asked, [("User-to-User".to_owned(), "a4;encoding=hex".to_owned())]);
    let leg = caller.leg;
    caller.command(Command::RefuseRefer { leg, status: 603 });
    for wrong in ["a%0D%0AX-Evil%3A%20y", "a%00", "", "%C2%85"] {
        refer(&mut caller, &format!("<sip:a@b?User-to-User={wrong}>"));
        let asked = asked(&mut caller).unwrap();
        assert_eq!((asked.to.as_str(), asked.asked.len()), ("sip:a@b", 0), "{wrong}");
        caller.command(Command::RefuseRefer { leg, status: 603 });
    }
}

#[test]
fn rfc3515_a_second_refer_while_the_first_goes_on_is_refused_with_491() {
    let (mut caller, _) = accepted();
    assert_eq!(status(&refer(&mut caller, "<sip:carol@192.0.2.7>")[0]), 491);
    assert!(asked(&mut caller).is_some_and(|asked| asked.to == "sip:bob@192.0.2.7"), "the first alone was told");
}

#[test]
fn rfc6665_4_2_2_a_peer_that_knows_no_subscription_is_told_nothing_more_and_the_call_stays() {
    let (mut caller, trying) = accepted();
    assert!(caller.answer(&trying, "481 Call/Transaction Does Not Exist").is_empty());
    let leg = caller.leg;
    assert!(caller.command(Command::NotifyRefer { leg, status: 200 }).is_empty());
    assert!(!caller.world.events_of(0).iter().any(|event| matches!(event, Event::Ended { .. })));
}

#[test]
fn rfc6665_4_2_2_a_notify_that_nobody_answers_ends_quietly() {
    let (mut caller, _) = accepted();
    caller.world.pass(Duration::from_secs(33));
    caller.world.heard();
    let leg = caller.leg;
    assert!(caller.command(Command::NotifyRefer { leg, status: 200 }).is_empty());
    assert!(caller.world.events_of(0).iter().all(|event| matches!(event, Event::Refer(_))), "the call stays");
    caller.command(Command::Hangup { leg, reason: None });
    caller.world.assert_nothing_left();
}

#[test]
fn rfc6665_4_1_3_a_subscription_that_expires_says_so() {
    let (mut caller, trying) = accepted();
    caller.answer(&trying, "200 OK");
    caller.world.pass(Duration::from_secs(180));
    let last = caller.world.heard().remove(0);
    assert_eq!(header(&last, "Subscription-State"), Some("terminated;reason=timeout"));
    caller.answer(&last, "200 OK");
}

#[test]
fn rfc5057_5_2_a_peer_that_hung_up_is_still_told_how_it_went() {
    let (mut caller, trying) = accepted();
    caller.answer(&trying, "200 OK");
    assert_eq!(status(&caller.say("BYE", "")[0]), 200);
    let leg = caller.leg;
    let last = caller.command(Command::NotifyRefer { leg, status: 200 }).remove(0);
    assert_eq!(body(&last), "SIP/2.0 200 OK\r\n");
    caller.answer(&last, "200 OK");
    caller.world.assert_nothing_left();
}

#[test]
fn a_refer_that_call_control_leaves_alone_is_refused() {
    let mut caller = Caller::answered();
    refer(&mut caller, "<sip:bob@192.0.2.7>");
    caller.world.pass(Duration::from_secs(10));
    assert_eq!(status(&caller.world.heard()[0]), 500);
    // And one whose leg ends under it.
    refer(&mut caller, "<sip:bob@192.0.2.7>");
    let leg = caller.leg;
    let heard = caller.command(Command::Hangup { leg, reason: None });
    assert!(heard.iter().any(|message| status(message) == 481 && message.contains("REFER")), "{heard:?}");
    let bye = heard.iter().find(|message| message.starts_with("BYE")).unwrap().clone();
    caller.answer(&bye, "200 OK");
    caller.world.assert_nothing_left();
}

#[test]
fn rfc7647_a_refer_outside_of_a_dialog_is_refused() {
    let mut world = World::alone();
    assert_eq!(status(&world.say(&request("REFER", "Refer-To: <sip:bob@192.0.2.7>\n"))[0]), 403);
}

#[test]
fn rfc3515_before_the_answer_there_is_nobody_to_refer() {
    let mut world = World::alone();
    world.say(&request("INVITE", ""));
    let (leg, _) = world.incoming(0);
    world.command(0, Command::Progress { leg, status: 180, answer: None, headers: vec![] });
    world.pass(ms(5));
    let ringing = world.heard().pop().unwrap();
    let to = header(&ringing, "To").unwrap().to_owned();
    let refer = request("REFER", "Refer-To: <sip:bob@192.0.2.7>\n");
    let heard =
        world.say(&refer.replace("To: <sip:line@192.0.2.1>", &format!("To: {to}")).replace("CSeq: 1", "CSeq: 2"));
    assert_eq!(status(&heard[0]), 491);
}
