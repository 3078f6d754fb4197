//! Encrypted media: what a trunk, a profile or the agents ask for holds on every path that leads to a leg, and nothing
//! takes it back. (Elsewhere a requirement was lost on outbound calls through inheritance of the configuration, for two hours.)

use crate::world::{RULES, SDP, World, config, targets};
use bytes::Bytes;
use calls::{Agents, Config, Input, Network, Trunk};
use sdp::Srtp::{self, Off, Optional, Required};
use signaling::{Command, Contact, EndedBy, Event, LegId};

const KEY: &str = "AES_CM_128_HMAC_SHA1_80 inline:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB";
const SECURE: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\r\n";

/// How the offer of an INVITE wants its media: by its transport, and whether it holds keys.
fn wants(offer: &[u8]) -> Srtp {
    let text = String::from_utf8_lossy(offer);
    match (text.contains(" RTP/SAVP "), text.contains("a=crypto:")) {
        (true, true) => Required,
        (false, true) => Optional,
        (false, false) => Off,
        (true, false) => panic!("RTP/SAVP without a key: {text}"),
    }
}

fn offered(world: &World, leg: LegId) -> Srtp {
    wants(world.legs[&leg].dial.as_ref().unwrap().offer.as_ref().unwrap())
}

/// The keys of an offer.
fn keys(world: &World, leg: LegId) -> Vec<String> {
    let offer = world.legs[&leg].dial.as_ref().unwrap().offer.clone().unwrap();
    let text = String::from_utf8_lossy(&offer).into_owned();
    text.lines().filter_map(|line| Some(line.strip_prefix("a=crypto:")?.split_once("inline:")?.1.to_owned())).collect()
}

/// The line of our offer that the peer takes, answered.
fn accepted(world: &World, leg: LegId) -> String {
    let offer = world.legs[&leg].dial.as_ref().unwrap().offer.clone().unwrap();
    let text = String::from_utf8_lossy(&offer).into_owned();
    let line = text.lines().find(|line| line.contains("AES_CM_128_HMAC_SHA1_80")).unwrap();
    let tag = line.strip_prefix("a=crypto:").unwrap().split(' ').next().unwrap();
    SECURE.replace("a=crypto:1 ", &format!("a=crypto:{tag} "))
}

fn answer(world: &mut World, leg: LegId) {
    let body = accepted(world, leg);
    answer_with(world, leg, body);
}

fn answer_with(world: &mut World, leg: LegId, body: impl Into<Bytes>) {
    world.legs.get_mut(&leg).unwrap().answered = true;
    world.tell(leg, Event::Answered { body: Some(body.into()), headers: Vec::new() });
}

fn trunk(config: &mut Config, name: &str, host: &str, srtp: Srtp) {
    let network = Network { address: host.parse().unwrap(), prefix: 32 };
    config
        .trunks
        .insert(name.to_owned(), Trunk { host: host.into(), allowed: vec![network], srtp, ..Trunk::default() });
}

/// With a caller in plain and the AI of the configuration, which may want keys.
fn connected(config: Config, rules: &str) -> World {
    let mut world = World::with(config, rules, 7);
    world.caller_comes(Some(SDP));
    let ai = world.dialled("bot@");
    match offered(&world, ai) {
        Required => answer(&mut world, ai),
        _ => world.answer(ai),
    }
    world
}

#[test]
fn a_callers_trunk_decides_about_the_callers_leg() {
    for (srtp, offer, status, encrypted) in [
        (Off, SDP, None, false),
        (Off, SECURE, Some(488), false),
        (Optional, SDP, None, false),
        (Optional, SECURE, None, true),
        (Required, SDP, Some(488), false),
        (Required, SECURE, None, true),
    ] {
        let mut config = config();
        config.trunks.get_mut("carrier").unwrap().srtp = srtp;
        let mut world = World::with(config, RULES, 7);
        world.caller_comes(Some(offer));
        assert_eq!(world.legs[&world.caller].status, status, "{srtp:?}");
        if status.is_none() {
            let ai = world.dialled("bot@");
            world.answer(ai);
            let port = world.legs[&world.caller].port.unwrap();
            assert_eq!(world.streams[&port].srtp.is_some(), encrypted, "{srtp:?}");
        }
    }
}

#[test]
fn a_caller_who_leaves_the_offer_to_us_is_offered_keys() {
    let mut config = config();
    config.trunks.get_mut("carrier").unwrap().srtp = Required;
    let mut world = World::with(config, RULES, 7);
    world.caller_comes(None);
    let ai = world.dialled("bot@");
    world.answer(ai);
    let offer = world.commands.iter().find_map(|command| match command {
        Command::Answer { body: Some(body), .. } => Some(body.clone()),
        _ => None,
    });
    assert_eq!(wants(&offer.unwrap()), Required);
    // An ACK that answers in plain ends the call: nothing flows in plain.
    world.tell(world.caller, Event::Acked { body: Some(Bytes::from_static(SDP.as_bytes())) });
    assert!(world.legs[&world.caller].ended);
}

#[test]
fn registered_phones_are_asked_as_callers_and_as_agents() {
    let mut config = config();
    config.agents = Agents {
        domains: vec!["desk.example".into()],
        caller: Trunk { srtp: Required, ..Trunk::default() },
        ..Agents::default()
    };
    let mut world = World::with(config.clone(), RULES, 7);
    world.account = Some("anna".into());
    world.caller_comes(Some(SDP));
    assert_eq!(world.legs[&world.caller].status, Some(488));
    let mut world = connected(config, RULES);
    let flow = signaling::Flow::udp("192.0.2.1:5060".parse().unwrap(), "203.0.113.5:40001".parse().unwrap());
    let contact = Contact { uri: "sip:desk@10.0.0.7".into(), flow, routes: Vec::new() };
    world.give(Input::Contacts { account: "anna".into(), contacts: vec![contact] });
    world.transfer("sip:anna@desk.example");
    world.secs(5);
    assert_eq!(offered(&world, world.dialled("desk@")), Required);
}

/// Every way to an AI, by what its profile, its trunk and the media section say.
#[test]
fn no_way_to_an_ai_is_weaker_than_what_was_asked_for() {
    for (profile, by_trunk, media, expected) in [
        (None, None, Off, Off),
        (None, None, Required, Required),
        (Some(Required), None, Off, Required),
        (Some(Optional), None, Off, Optional),
        (Some(Off), None, Required, Off),
        (None, Some(Required), Off, Required),
        (None, Some(Off), Required, Off),
        (Some(Off), Some(Required), Off, Required),
        (Some(Required), Some(Off), Off, Required),
        (Some(Optional), Some(Required), Off, Required),
    ] {
        let mut config = config();
        config.media.srtp = media;
        config.ai.get_mut("main").unwrap().srtp = profile;
        if let Some(srtp) = by_trunk {
            trunk(&mut config, "ai-trunk", "192.0.2.60", srtp);
            config.ai.get_mut("main").unwrap().trunks = vec!["ai-trunk".into()];
        }
        let mut world = World::with(config, RULES, 7);
        world.caller_comes(Some(SDP));
        let found = offered(&world, world.dialled("bot@"));
        assert_eq!(found, expected, "profile {profile:?}, trunk {by_trunk:?}, media {media:?}");
    }
}

#[test]
fn an_ai_that_is_dialled_by_the_next_trunk_or_as_a_fallback_is_asked_all_the_same() {
    let mut config = config();
    trunk(&mut config, "one", "192.0.2.61", Off);
    trunk(&mut config, "two", "192.0.2.62", Off);
    config.ai.get_mut("main").unwrap().trunks = vec!["one".into(), "two".into()];
    config.ai.get_mut("main").unwrap().srtp = Some(Required);
    config.ai.get_mut("backup").unwrap().srtp = Some(Required);
    let mut world = World::with(config, RULES, 7);
    world.caller_comes(Some(SDP));
    let first = world.dialled("bot@");
    world.end_leg(first, EndedBy::Refused, Some(503));
    let second = world.dialled("bot@");
    assert_eq!((offered(&world, first), offered(&world, second)), (Required, Required));
    assert!(keys(&world, first).iter().all(|key| !keys(&world, second).contains(key)), "keys of its own");
    world.end_leg(second, EndedBy::Refused, Some(603));
    assert_eq!(offered(&world, world.dialled("backup@")), Required);
}

/// Every way to a human.
#[test]
fn whoever_leads_to_a_human_says_whether_they_are_asked() {
    let required = |config: &mut Config, name: &str| config.trunks.get_mut(name).unwrap().srtp = Required;
    let mut ways: Vec<(&str, Config, &str, &str)> = Vec::new();
    // By a number and the trunk that its destination names, and by whichever trunk reaches it.
    let mut by_trunk = config();
    required(&mut by_trunk, "carrier");
    ways.push(("a destination's trunk", by_trunk.clone(), "closer", "tel:"));
    ways.push(("a number", by_trunk, "tel:+15550199", "tel:"));
    // By an address that is a trunk's.
    let mut by_host = config();
    trunk(&mut by_host, "pbx", "192.0.2.40", Required);
    ways.push(("a trunk's host", by_host.clone(), "frontdesk", "100@"));
    ways.push(("a URI of a command at a trunk's host", by_host, "sip:500@192.0.2.40", "500@"));
    // By no trunk at all.
    let mut direct = config();
    direct.media.srtp = Required;
    direct.ai.get_mut("main").unwrap().srtp = Some(Off);
    ways.push(("a destination's address", direct.clone(), "frontdesk", "100@"));
    ways.push(("a URI of a command", direct, "sip:500@192.0.2.77", "500@"));
    for (way, mut config, to, part) in ways {
        // The caller's own leg stays in plain here.
        let caller = Trunk { srtp: Off, host: String::new(), tel: Vec::new(), ..config.trunks["carrier"].clone() };
        config.trunks.get_mut("carrier").unwrap().allowed.clear();
        config.trunks.insert(
            "caller".into(),
            Trunk { allowed: vec![Network { address: "192.0.2.10".parse().unwrap(), prefix: 32 }], ..caller },
        );
        let mut world = connected(config, RULES);
        world.transfer(to);
        world.secs(6);
        assert_eq!(offered(&world, world.dialled(part)), Required, "{way}");
    }
}

#[test]
fn a_located_target_that_fails_hands_its_keys_to_no_other() {
    let mut config = config();
    config.media.srtp = Required;
    config.ai.get_mut("main").unwrap().srtp = Some(Off);
    let mut world = connected(config, RULES);
    world.transfer("named");
    world.secs(6);
    let (id, _) = world.resolves.pop().unwrap();
    let located = targets(&["192.0.2.91:5060", "192.0.2.92:5060"]);
    world.give(Input::Resolved { id, targets: located });
    let first = world.dialled("100@");
    world.end_leg(first, EndedBy::Timeout, Some(408));
    let second = world.dialled("100@");
    assert_ne!(first, second);
    assert_eq!((offered(&world, first), offered(&world, second)), (Required, Required));
    let (seen, new) = (keys(&world, first), keys(&world, second));
    assert_eq!((seen.len(), new.len()), (4, 4));
    assert!(seen.iter().all(|key| !new.contains(key)));
}

#[test]
fn a_redirection_leads_to_a_leg_that_is_asked_too() {
    let mut config = config();
    let carrier = config.trunks.get_mut("carrier").unwrap();
    (carrier.srtp, carrier.follows_redirects) = (Optional, true);
    let mut world = connected(config, RULES);
    world.transfer("closer");
    world.secs(6);
    let first = world.dialled("tel:");
    assert_eq!(offered(&world, first), Optional);
    world.tell(first, Event::Redirected { contacts: vec!["tel:+15550200".into()] });
    world.end_leg(first, EndedBy::Refused, Some(302));
    assert_eq!(offered(&world, world.dialled("tel:+15550200")), Optional);
}

#[test]
fn a_human_who_answers_in_plain_where_keys_are_required_does_not_get_the_caller() {
    let mut config = config();
    config.media.srtp = Required;
    config.ai.get_mut("main").unwrap().srtp = Some(Off);
    let mut world = connected(config, RULES);
    world.transfer("plain");
    world.secs(6);
    let human = world.dialled("100@");
    answer_with(&mut world, human, Bytes::from_static(SDP.as_bytes()));
    assert!(world.legs[&human].ended);
    assert!(world.streams.values().all(|stream| stream.remote.port() != 0));
    let port = world.legs[&human].port.unwrap();
    assert!(!world.streams.contains_key(&port), "nothing of it reached the relay");
}

/// Fault row 9.
#[test]
fn a_re_invite_that_downgrades_gets_488_and_the_old_media_stays() {
    for srtp in [Optional, Required] {
        let mut config = config();
        config.trunks.get_mut("carrier").unwrap().srtp = srtp;
        let mut world = World::with(config, RULES, 7);
        world.caller_comes(Some(SECURE));
        let ai = world.dialled("bot@");
        world.answer(ai);
        let port = world.legs[&world.caller].port.unwrap();
        let before = world.streams[&port].clone();
        assert!(before.srtp.is_some());
        let said = world.commands.len();
        for downgraded in [SDP.to_owned(), SECURE.replace("a=crypto", "a=cryptic"), SECURE.replace("QUFBQUFB", "QQ==")]
        {
            world.streams.clear();
            world.tell(world.caller, Event::Offer { body: Some(downgraded.into()) });
            let last = world.commands.last().cloned();
            assert!(matches!(last, Some(Command::RefuseOffer { status: 488, .. })), "{last:?}");
            assert!(world.streams.is_empty(), "the relay hears of nothing");
        }
        assert_eq!(world.commands.len(), said + 3, "and nobody is hung up on");
        // A new key is taken, and ours stays.
        world.tell(world.caller, Event::Offer { body: Some(SECURE.replace("QUFB", "QkJC").into()) });
        let keys = world.streams[&port].srtp.clone().unwrap();
        let old = before.srtp.unwrap();
        assert_ne!(keys.receive, old.receive);
        assert_eq!(keys.send, old.send);
    }
}

#[test]
fn every_leg_has_keys_of_its_own_and_none_shows_in_what_is_told_of_a_call() {
    let mut config = config();
    (config.media.srtp, config.ai.get_mut("main").unwrap().srtp) = (Required, Some(Required));
    config.trunks.get_mut("carrier").unwrap().srtp = Required;
    let mut world = World::with(config, RULES, 7);
    world.caller_comes(Some(SECURE));
    let ai = world.dialled("bot@");
    answer(&mut world, ai);
    world.transfer("plain");
    world.secs(6);
    let human = world.dialled("100@");
    answer(&mut world, human);
    assert!(world.hears_leg(world.caller, human));
    let sent: Vec<_> = world.streams.values().map(|stream| stream.srtp.clone().unwrap().send.key).collect();
    assert_eq!(sent.len(), 3);
    assert!(sent[0] != sent[1] && sent[1] != sent[2] && sent[0] != sent[2]);
    let shown = |world: &mut World| {
        let detail = world.reply(calls::Request::Call { call: world.call });
        format!("{detail:?} {:?} {:?}", world.published, world.cdrs)
    };
    let mut told = shown(&mut world);
    world.hang_up(world.caller);
    world.secs(60);
    told += &shown(&mut world);
    let canaries: Vec<String> = [ai, human]
        .iter()
        .flat_map(|leg| keys(&world, *leg))
        .chain([KEY.split(':').nth(1).unwrap().to_owned()])
        .collect();
    assert_eq!(canaries.len(), 9);
    for canary in canaries {
        assert!(!told.contains(&canary[..12]), "a key is told");
    }
    assert!(!format!("{:?}", world.streams).contains("65, 65"), "nor does one show in what the relay is told");
}

#[test]
fn the_daemons_secret_makes_the_keys() {
    let dialled = |secret| {
        let mut config = config();
        config.ai.get_mut("main").unwrap().srtp = Some(Required);
        let mut world = World::with(config, RULES, 7);
        let core = std::mem::replace(
            &mut world.core,
            calls::Core::new(std::sync::Arc::default(), crate::world::rules(RULES), 1, world.now),
        );
        world.core = core.with_secret(secret);
        world.caller_comes(Some(SDP));
        let ai = world.dialled("bot@");
        keys(&world, ai)
    };
    assert_eq!(dialled([1; 32]), dialled([1; 32]));
    assert_ne!(dialled([1; 32]), dialled([2; 32]));
}
