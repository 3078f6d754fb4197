//! Replaces: which dialog is meant, and when it may be replaced (RFC 3891).

use crate::world::{ANSWER, OUT, World, a, dial, hand, header, ms, reply, request, status};
use bytes::Bytes;
use signaling::{Command, EndedBy, Event, LegId, Refer};
use std::time::Duration;

/// A call of ours to the hand, with the given answer: the Replaces that names it, as its peer sees it.
fn dialled(world: &mut World, status_line: &str) -> (String, String) {
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    let sdp = if status_line.starts_with('2') { "v=0" } else { "" };
    world.say(&reply(&invite, status_line, "peer", "Contact: <sip:bob@192.0.2.9:5070>\n", sdp));
    world.heard();
    world.events.clear();
    let ours = header(&invite, "From").unwrap().split("tag=").nth(1).unwrap().to_owned();
    (format!("{};to-tag={ours};from-tag=peer", header(&invite, "Call-ID").unwrap()), invite)
}

fn invite(more: &str) -> String {
    request("INVITE", more)
        .replace("call-1", "call-2")
        .replace("z9hG4bK-INVITE", "z9hG4bK-other")
        .replace("tag=f1", "tag=f2")
}

fn replacing(world: &mut World) -> Option<(LegId, LegId)> {
    let found = world.events.iter().find_map(|(_, leg, event)| match event {
        Event::Replacing { replaces, .. } => Some((*leg, *replaces)),
        _ => None,
    });
    world.events.clear();
    found
}

#[test]
fn rfc3891_3_an_invite_that_names_a_dialog_of_ours_is_told_with_its_leg() {
    let mut world = World::alone();
    let (replaces, _) = dialled(&mut world, "200 OK");
    let heard = world.say(&invite(&format!("Replaces: {replaces}\nRequire: replaces\n")));
    assert_eq!(status(&heard[0]), 100);
    let (new, old) = replacing(&mut world).unwrap();
    assert_eq!(old, OUT);
    world.command(0, Command::Answer { leg: new, body: Some(Bytes::from_static(ANSWER)), headers: vec![] });
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.pass(ms(5));
    let heard = world.heard();
    assert!(heard.iter().any(|message| status(message) == 200));
    assert!(heard.iter().any(|message| message.starts_with("BYE sip:bob@192.0.2.9:5070")), "the replaced dialog ends");
}

#[test]
fn rfc3891_3_what_matches_nothing_gets_481() {
    let mut world = World::alone();
    let (replaces, _) = dialled(&mut world, "200 OK");
    for wrong in [
        "nothing;to-tag=1;from-tag=2".to_owned(),
        replaces.replace("from-tag=peer", "from-tag=peeR"),
        replaces.replace("to-tag=", "to-tag=x"),
        format!("x{replaces}"),
    ] {
        let message = invite(&format!("Replaces: {wrong}\n"))
            .replace("z9hG4bK-other", &format!("z9hG4bK-{}", wrong.len() * 7 + wrong.len() % 5));
        let message = message.replace("call-2", &format!("call-{wrong}"));
        assert_eq!(status(&world.say(&message)[0]), 481, "{wrong}");
    }
    assert!(replacing(&mut world).is_none());
}

#[test]
fn rfc3891_3_more_than_one_or_one_beside_join_or_one_that_cannot_be_read_gets_400() {
    for wrong in [
        "Replaces: a;to-tag=1;from-tag=2\nReplaces: b;to-tag=1;from-tag=2\n",
        "Replaces: a;to-tag=1;from-tag=2\nJoin: a;to-tag=1;from-tag=2\n",
        "Replaces: a\n",
        "Replaces: a;to-tag=1\n",
    ] {
        let mut world = World::alone();
        assert_eq!(status(&world.say(&invite(wrong))[0]), 400, "{wrong}");
    }
}

#[test]
fn rfc3891_3_early_only_spares_a_dialog_that_is_answered() {
    let mut world = World::alone();
    let (replaces, _) = dialled(&mut world, "200 OK");
    assert_eq!(status(&world.say(&invite(&format!("Replaces: {replaces};early-only\n")))[0]), 486);
    assert!(replacing(&mut world).is_none());
}

#[test]
fn rfc3891_3_an_early_dialog_of_ours_may_be_replaced_and_is_cancelled() {
    let mut world = World::alone();
    let (replaces, _) = dialled(&mut world, "180 Ringing");
    world.say(&invite(&format!("Replaces: {replaces};early-only\n")));
    assert_eq!(replacing(&mut world).map(|(_, old)| old), Some(OUT));
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.pass(ms(5));
    assert!(world.heard().iter().any(|message| message.starts_with("CANCEL")));
}

#[test]
fn rfc3891_3_an_early_dialog_that_its_peer_began_gets_481() {
    let mut world = World::alone();
    world.say(&request("INVITE", ""));
    let (leg, _) = world.incoming(0);
    world.command(0, Command::Progress { leg, status: 180, answer: None, headers: vec![] });
    world.pass(ms(5));
    let ringing = world.heard().pop().unwrap();
    let tag = header(&ringing, "To").unwrap().split("tag=").nth(1).unwrap().to_owned();
    let heard = world.say(&invite(&format!("Replaces: call-1;to-tag={tag};from-tag=f1\n")));
    assert_eq!(status(&heard[0]), 481);
}

#[test]
fn rfc3891_3_a_dialog_that_has_ended_gets_603() {
    let mut world = World::alone();
    let (replaces, _) = dialled(&mut world, "200 OK");
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.pass(ms(5));
    assert!(world.heard()[0].starts_with("BYE"));
    assert_eq!(status(&world.say(&invite(&format!("Replaces: {replaces}\n")))[0]), 603);
    assert_eq!(
        world.events_of(0).into_iter().filter(|event| matches!(event, Event::Ended { by: EndedBy::Us, .. })).count(),
        1
    );
}

#[test]
fn rfc3891_4_a_refer_names_the_dialog_with_its_target_as_the_target_knows_it() {
    // Two calls of ours to the hand; the first's peer is asked to take the place of the second dialog's other end: ours.
    let mut world = World::alone();
    dialled(&mut world, "200 OK");
    let second = LegId(2);
    world.command(0, Command::Dial { leg: second, dial: dial(hand(), a()) });
    world.pass(ms(5));
    let other = world.heard().remove(0);
    world.say(&reply(&other, "200 OK", "other", "Contact: <sip:carol@192.0.2.9:5070>\n", "v=0"));
    world.heard();
    let refer = Refer {
        to: "sip:carol@192.0.2.9:5070".into(),
        replaces: Some(second),
        referred_by: None,
        subscribe: true,
        timeout: Duration::from_secs(30),
    };
    world.command(0, Command::Refer { leg: OUT, refer: Box::new(refer) });
    world.pass(ms(5));
    let sent = world.heard().remove(0);
    let ours = header(&other, "From").unwrap().split("tag=").nth(1).unwrap();
    let expected = format!(
        "<sip:carol@192.0.2.9:5070?Replaces={}%3Bto-tag%3Dother%3Bfrom-tag%3D{ours}>",
        header(&other, "Call-ID").unwrap()
    );
    assert_eq!(header(&sent, "Refer-To"), Some(expected.as_str()));
}

#[test]
fn rfc5589_7_a_refer_that_names_another_leg_of_ours_is_told_with_that_leg() {
    let mut caller = crate::world::Caller::answered();
    let (replaces, _) = {
        let world = &mut caller.world;
        dialled(world, "200 OK")
    };
    let escaped = replaces.replace(';', "%3B").replace('=', "%3D");
    caller.say("REFER", &format!("Refer-To: <sip:192.0.2.1?Replaces={escaped}>\n"));
    let asked = caller.world.events_of(0).into_iter().find_map(|event| match event {
        Event::Refer(asked) => Some(*asked),
        _ => None,
    });
    let asked = asked.unwrap();
    assert_eq!(asked.replaced, Some(OUT));
    assert_eq!(asked.replaces.unwrap().print(), replaces);
    assert_eq!(asked.to, "sip:192.0.2.1");
}
