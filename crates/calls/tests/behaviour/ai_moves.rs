//! An AI that says that it is elsewhere (3xx): followed as far as its profile says, told of, and never for ever.

use crate::world::{RULES, SDP, World, config};
use calls::{AiLoss, CallState, Config, Happening, Network, RedirectHost, Trunk};
use signaling::{EndedBy, Event, LegId};

/// The caller's AI is at 192.0.2.20 and may name hosts of 192.0.2.48/28.
fn following() -> Config {
    let mut config = config();
    let main = config.ai.get_mut("main").unwrap();
    main.follows_redirects = true;
    main.redirect_hosts = vec![RedirectHost::Network(Network { address: "192.0.2.48".parse().unwrap(), prefix: 28 })];
    config
}

fn called(config: Config) -> World {
    let mut world = World::with(config, RULES, 7);
    world.caller_comes(Some(SDP));
    world
}

fn moved(world: &mut World, leg: LegId, contacts: &[&str]) {
    let contacts = contacts.iter().map(|text| (*text).to_owned()).collect();
    world.tell(leg, Event::Redirected { contacts });
    world.refuse(leg, 302);
}

type Told = (Option<u16>, String, Vec<String>, Vec<String>);

fn told(world: &World) -> Vec<Told> {
    let one = |event: &calls::PublicEvent| match &event.what {
        Happening::AiRedirected { sip_code, from, to, passed_over, .. } => {
            let passed = passed_over.iter().map(|it| format!("{}: {}", it.contact, it.why)).collect();
            Some((*sip_code, from.clone(), to.clone(), passed))
        }
        _ => None,
    };
    world.published.iter().filter_map(one).collect()
}

fn losses(world: &World) -> Vec<(AiLoss, Option<u16>, String)> {
    let loss = |event: &calls::PublicEvent| match &event.what {
        Happening::AiLost { cause, sip_code, next, .. } => Some((*cause, *sip_code, next.clone())),
        _ => None,
    };
    world.published.iter().filter_map(loss).collect()
}

#[test]
fn rfc3261_8_1_3_4_an_ai_is_called_where_it_says_that_it_is() {
    let mut world = called(following());
    let first = world.dialled("bot@");
    moved(&mut world, first, &["sip:other@192.0.2.50:5080", "sip:third@192.0.2.51", "sip:evil@203.0.113.9"]);
    let why = "its host is none of the profile's, nor of its `redirect_hosts`";
    let told = told(&world);
    let [(code, _, to, passed)] = &told[..] else { panic!("told once") };
    assert_eq!((*code, to.len()), (Some(302), 2));
    assert_eq!(passed[..], [format!("sip:evil@203.0.113.9: {why}")]);
    let other = world.dialled("other@");
    let dial = world.legs[&other].dial.as_ref().unwrap();
    assert_eq!(dial.flow.remote.to_string(), "192.0.2.50:5080");
    let call_id = world.header(first, "X-Tandem-Call-Id");
    assert!(call_id.is_some() && world.header(other, "X-Tandem-Call-Id") == call_id, "it is told the same");
    world.refuse(other, 486);
    world.answer(world.dialled("third@"));
    assert!(losses(&world).is_empty(), "the AI was not lost");
    assert!(world.hears_leg(world.caller, world.leg("third@")));
    assert_eq!(world.state(), CallState::WithAi);
    let now = world.now;
    world.hang_up(world.caller);
    world.all_gone(now);
}

#[test]
fn a_redirection_is_a_refusal_where_the_profile_does_not_follow_and_the_next_profile_is_called() {
    for contact in ["sip:other@192.0.2.50", "sip:other@192.0.2.20"] {
        let mut world = called(config());
        let first = world.dialled("bot@");
        moved(&mut world, first, &[contact]);
        assert!(!world.is_dialled("other@"));
        assert_eq!(losses(&world), [(AiLoss::Refused, Some(302), "profile backup".into())]);
        assert!(world.is_dialled("backup@"));
        assert!(told(&world)[0].3[0].ends_with("`redirects` is `refuse`"));
    }
}

#[test]
fn an_ai_that_moves_on_and_on_is_lost_in_the_end() {
    let mut world = called(following());
    for depth in 0..10_u32 {
        let Some(leg) = world.legs.iter().rev().find(|(leg, far)| **leg != world.caller && !far.ended).map(|it| *it.0)
        else {
            panic!("nobody is dialled");
        };
        if world.is_dialled("backup@") {
            assert_eq!(depth, 4, "three deep");
            assert_eq!(told(&world).len(), 4);
            return;
        }
        moved(&mut world, leg, &[&format!("sip:{depth}@192.0.2.50"), "sip:bot@192.0.2.20"]);
    }
    panic!("redirected for ever");
}

#[test]
fn all_places_of_an_ai_together_take_no_longer_than_it_may_take() {
    let mut world = called(following());
    let first = world.dialled("bot@");
    world.secs(6);
    moved(&mut world, first, &["sip:other@192.0.2.50", "sip:third@192.0.2.51"]);
    world.ring(world.dialled("other@"));
    world.secs(4);
    assert_eq!(losses(&world)[0].0, AiLoss::NoAnswer);
    assert!(!world.is_dialled("other@") && !world.is_dialled("third@"));
    assert!(world.is_dialled("backup@"));
}

#[test]
fn an_ai_that_is_lost_after_it_moved_is_looked_for_from_the_start() {
    let mut config = following();
    config.ai.get_mut("backup").unwrap().follows_redirects = true;
    config.ai.get_mut("backup").unwrap().redirect_hosts =
        vec![RedirectHost::Network(Network { address: "192.0.2.48".parse().unwrap(), prefix: 28 })];
    let mut world = called(config);
    let first = world.dialled("bot@");
    moved(&mut world, first, &["sip:other@192.0.2.50"]);
    world.answer(world.dialled("other@"));
    world.hang_up(world.leg("other@"));
    // The chain's next is called at its own place, and may move too, even to where the first was.
    let backup = world.dialled("backup@");
    moved(&mut world, backup, &["sip:other@192.0.2.50"]);
    let again = world.dialled("other@");
    assert_eq!(world.header(again, "X-Tandem-Reason").as_deref(), Some("ai_lost"), "and is told why");
    world.answer(again);
    assert!(world.hears_leg(world.caller, again));
}

#[test]
fn an_ai_behind_a_trunk_is_followed_by_its_profiles_word_and_not_by_the_trunks() {
    for follows in [true, false] {
        let mut config = following();
        let trunk = Trunk { host: "192.0.2.60".into(), follows_redirects: !follows, ..Trunk::default() };
        config.trunks.insert("bots".into(), trunk);
        let main = config.ai.get_mut("main").unwrap();
        (main.trunks, main.follows_redirects) = (vec!["bots".into()], follows);
        let mut world = called(config);
        let first = world.dialled("bot@");
        moved(&mut world, first, &["sip:other@192.0.2.60", "sip:third@192.0.2.50"]);
        assert_eq!(world.is_dialled("other@"), follows);
        if follows {
            // Its trunk is down: nothing but the next contact is left.
            world.end_leg(world.dialled("other@"), EndedBy::Transport, Some(503));
            world.answer(world.dialled("third@"));
            assert_eq!(world.state(), CallState::WithAi);
        }
    }
}

#[test]
fn a_caller_who_hangs_up_while_the_ai_moves_leaves_nothing_behind() {
    let mut world = called(following());
    let first = world.dialled("bot@");
    moved(&mut world, first, &["sip:other@192.0.2.50"]);
    let other = world.dialled("other@");
    world.tell(other, Event::Redirected { contacts: vec!["sip:third@192.0.2.51".into()] });
    let now = world.now;
    world.hang_up(world.caller);
    assert!(world.legs[&other].ended && !world.is_dialled("third@"));
    world.all_gone(now);
}
