//! What peers do to their own session: hold, refresh, late offer, codecs; no other leg is touched.

use crate::world::{SDP, World};
use bytes::Bytes;
use calls::Happening;
use media_relay::Source;
use signaling::Event;

fn sdp(direction: &str) -> Bytes {
    Bytes::from(format!("{SDP}a={direction}\r\n"))
}

#[test]
fn a_caller_who_holds_hears_nothing_and_nobody_hears_their_music() {
    let mut world = World::with_ai();
    let (caller, ai) = (world.caller, world.leg("bot@"));
    world.tell(caller, Event::Offer { body: Some(sdp("sendonly")) });
    assert_eq!((world.caller_hears(), world.hears(ai)), (&Source::Nothing, &Source::Silence));
    world.tell(caller, Event::Offer { body: Some(sdp("sendrecv")) });
    assert!(world.hears_leg(caller, ai) && world.hears_leg(ai, caller));
    let holds: Vec<bool> = world
        .published
        .iter()
        .filter_map(|event| match &event.what {
            Happening::LegHold { holds, .. } => Some(*holds),
            _ => None,
        })
        .collect();
    assert_eq!(holds, [true, false]);
}

#[test]
fn a_human_who_holds_the_caller_leaves_them_with_music() {
    let mut world = World::with_ai();
    world.transfer("plain");
    world.secs(5);
    let human = world.dialled("100@");
    world.answer(human);
    world.tell(human, Event::Offer { body: Some(sdp("inactive")) });
    assert!(world.hears_music());
    assert_eq!(*world.hears(human), Source::Nothing);
    world.tell(human, Event::Offer { body: Some(sdp("sendrecv")) });
    assert!(world.hears_leg(world.caller, human));
}

#[test]
fn a_refresh_changes_no_plan_and_an_unusable_offer_keeps_what_was() {
    let mut world = World::with_ai();
    let plans = world.plans.len();
    let caller = world.caller;
    world.tell(caller, Event::Offer { body: Some(sdp("sendrecv")) });
    world.tell(caller, Event::Offer { body: Some(Bytes::from_static(b"no session description")) });
    world.tell(caller, Event::Offer { body: None });
    world.tell(caller, Event::Acked { body: Some(sdp("sendrecv")) });
    assert_eq!(world.plans.len(), plans);
}

#[test]
fn rfc3261_13_2_1_a_caller_without_an_offer_gets_ours_in_the_200() {
    let mut world = World::new();
    world.caller_comes(None);
    let ai = world.dialled("bot@");
    world.answer(ai);
    assert!(world.legs[&world.caller].answered);
    world.tell(world.caller, Event::Acked { body: Some(Bytes::from_static(SDP.as_bytes())) });
    assert!(world.hears_leg(world.caller, ai));
}

#[test]
fn the_ai_is_offered_the_callers_codecs_first() {
    let mut world = World::new();
    world.caller_comes(Some(SDP));
    let dial = world.legs[&world.dialled("bot@")].dial.clone().unwrap();
    let offer = String::from_utf8_lossy(dial.offer.as_ref().unwrap()).into_owned();
    let media = offer.lines().find(|line| line.starts_with("m=audio")).unwrap();
    assert!(media.contains("RTP/AVP 8 0"), "{media}");
}

#[test]
fn an_offer_nobody_can_take_is_refused_before_there_is_a_call() {
    let mut world = World::new();
    world.caller_comes(Some("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n"));
    assert_eq!(world.legs[&world.caller].status, Some(488));
    assert!(world.core.gauges().is_empty());
}
