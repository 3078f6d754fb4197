//! The registrar (RFC 3261 section 10.3): bindings come, are refreshed, and go.

use crate::{
    phone::{Phone, contacts, desk, home, registration, told, with},
    world::{World, a, config, header, ms, request, status},
};
use signaling::{Config, Network, Reach};
use std::time::Duration;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn rfc3261_10_3_a_phone_that_shows_its_password_is_registered_until_its_time_is_over() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    let answer = phone.online(&mut world, 120);
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(contacts(&answer), ["<sip:anna@203.0.113.5:5060>;expires=120"]);
    assert_eq!(told(&world, "anna"), ["sip:anna@203.0.113.5:5060"]);
    assert_eq!(world.contacts[0].1[0].flow.remote, home());
    world.pass(seconds(119));
    assert_eq!((world.contacts.len(), world.cores[0].1.registrations()), (1, 1));
    world.pass(seconds(2));
    assert_eq!(world.contacts.last().unwrap(), &("anna".to_owned(), vec![]));
    assert_eq!(world.cores[0].1.registrations(), 0);
    world.assert_nothing_left();
}

#[test]
fn rfc3261_10_2_4_a_refresh_prolongs_and_is_no_news() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    phone.online(&mut world, 120);
    world.pass(seconds(100));
    assert_eq!(contacts(&phone.online(&mut world, 120)), ["<sip:anna@203.0.113.5:5060>;expires=120"]);
    world.pass(seconds(100));
    assert_eq!((world.contacts.len(), world.cores[0].1.registrations()), (1, 1));
}

#[test]
fn rfc3261_10_2_3_without_a_contact_the_bindings_are_told_and_nothing_changes() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    assert_eq!(contacts(&phone.register(&mut world, "")), [""; 0]);
    phone.online(&mut world, 120);
    world.pass(seconds(20));
    let answer = phone.register(&mut world, "");
    assert_eq!(contacts(&answer), ["<sip:anna@203.0.113.5:5060>;expires=99"], "{answer}");
}

#[test]
fn rfc3261_10_2_2_expires_zero_removes_one_and_a_star_removes_all() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    phone.register(&mut world, "Contact: <sip:anna@203.0.113.5:5060>, <sip:anna@203.0.113.5:5062>\nExpires: 300\n");
    assert_eq!(told(&world, "anna").len(), 2);
    phone.register(&mut world, "Contact: <sip:anna@203.0.113.5:5062>;expires=0\n");
    assert_eq!(told(&world, "anna"), ["sip:anna@203.0.113.5:5060"]);
    let answer = phone.register(&mut world, "Contact: *\nExpires: 0\n");
    assert_eq!((status(&answer), contacts(&answer).len(), told(&world, "anna").len()), (200, 0, 0));
}

#[test]
fn rfc3261_10_3_6_a_star_needs_expires_zero_and_stands_alone() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    phone.online(&mut world, 120);
    for wrong in ["Contact: *\n", "Contact: *\nExpires: 60\n"] {
        assert_eq!(status(&phone.register(&mut world, wrong)), 400, "{wrong}");
    }
    // A star beside others cannot be read at all, and who sends such things was not asked for a password yet.
    assert_eq!(phone.register(&mut world, "Contact: *, <sip:anna@203.0.113.5>\nExpires: 0\n"), "");
    assert_eq!(world.cores[0].1.registrations(), 1);
}

#[test]
fn rfc3261_10_3_7_too_brief_gets_423_with_min_expires_and_too_long_is_cut() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    let answer = phone.online(&mut world, 59);
    assert_eq!((status(&answer), header(&answer, "Min-Expires")), (423, Some("60")));
    assert!(world.contacts.is_empty());
    assert_eq!(contacts(&phone.online(&mut world, 86_400)), ["<sip:anna@203.0.113.5:5060>;expires=600"]);
    let contact = phone.contact();
    let answer = phone.register(&mut world, &format!("Contact: {contact}\n"));
    assert_eq!(contacts(&answer), ["<sip:anna@203.0.113.5:5060>;expires=600"], "no time named");
    let answer = phone.register(&mut world, &format!("Contact: {contact};expires=soon\nExpires: 100\n"));
    assert_eq!(contacts(&answer), ["<sip:anna@203.0.113.5:5060>;expires=100"], "one that cannot be read");
}

#[test]
fn rfc3261_10_3_7_an_older_number_of_the_same_call_id_changes_nothing() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    phone.cseq = 10;
    phone.online(&mut world, 120);
    let mut late = phone.clone();
    late.cseq = 4;
    let two = "Contact: <sip:anna@203.0.113.5:5060>;expires=0, <sip:anna@203.0.113.5:5070>\n";
    assert_eq!(status(&late.register(&mut world, two)), 500);
    assert_eq!(told(&world, "anna"), ["sip:anna@203.0.113.5:5060"], "all or nothing");
    assert_eq!(status(&late.register(&mut world, "Contact: *\nExpires: 0\n")), 500);
    // Another Call-ID is another life of the phone: it may.
    late.call_id = "after-the-reboot".into();
    assert_eq!(status(&late.register(&mut world, "Contact: *\nExpires: 0\n")), 200);
    assert!(told(&world, "anna").is_empty());
}

#[test]
fn rfc3261_10_3_7_contacts_are_compared_as_uris() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    phone.register(&mut world, "Contact: <sip:anna@Phone.Example:5060;transport=udp>\n");
    phone.register(&mut world, "Contact: <sip:%61nna@phone.example:5060;transport=UDP>\n");
    assert_eq!(world.cores[0].1.registrations(), 1);
    phone.register(&mut world, "Contact: <sip:anna@phone.example;transport=udp>\n");
    assert_eq!(world.cores[0].1.registrations(), 2, "a port that is written is not the default one");
}

#[test]
fn one_phone_too_many_takes_the_place_of_the_one_heard_of_least_lately() {
    let mut world = desk();
    for (at, port) in [5060, 5062, 5064, 5060].into_iter().enumerate() {
        let mut phone = Phone { call_id: format!("phone-{at}"), ..Phone::new("anna") };
        phone.source.set_port(port);
        assert_eq!(status(&phone.online(&mut world, 300)), 200);
        world.pass(seconds(1));
    }
    assert_eq!(told(&world, "anna"), ["sip:anna@203.0.113.5:5060", "sip:anna@203.0.113.5:5064"]);
    let many = (0..40).map(|n| format!("<sip:anna@203.0.113.5:{}>", 6000 + n)).collect::<Vec<_>>().join(", ");
    assert_eq!(status(&Phone::new("anna").register(&mut world, &format!("Contact: {many}\n"))), 400);
}

#[test]
fn rfc3261_10_3_3_an_account_speaks_for_itself_alone() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    let challenged = phone.ask(&mut world, "");
    let authorization = phone.authorization(&challenged, "REGISTER", "sip:desk.example", 1);
    let forged = phone
        .request(&format!("Authorization: {authorization}\nContact: <sip:ben@203.0.113.5>\n"))
        .replace("To: <sip:anna@", "To: <sip:ben@");
    assert_eq!(status(&world.say_from(home(), &forged)[0]), 403);
    assert!(world.contacts.is_empty());
}

#[test]
fn a_register_for_a_domain_that_is_not_ours_is_a_stranger_s() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    let foreign = phone.request("").replace("desk.example", "elsewhere.example");
    assert!(world.say_from(home(), &foreign).is_empty());
    assert_eq!(world.cores[0].1.counters().unknown_sources, 1);
    // The address of a listener is a domain of ours, too: many phones know no other.
    let by_address = phone.request("").replace("desk.example", "192.0.2.1");
    assert_eq!(status(&world.say_from(home(), &by_address)[0]), 401);
}

#[test]
fn without_accounts_a_register_is_refused_as_ever() {
    let mut world = World::alone();
    assert_eq!(status(&world.say(&request("REGISTER", ""))[0]), 405);
    let mut world = World::alone();
    assert!(world.say_from(home(), &request("REGISTER", "")).is_empty());
}

#[test]
fn a_copy_of_a_register_gets_the_same_answer_and_is_carried_out_once() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    let challenged = phone.ask(&mut world, "");
    let authorization = phone.authorization(&challenged, "REGISTER", "sip:desk.example", 1);
    let contact = phone.contact();
    let asked = phone.request(&format!("Authorization: {authorization}\nContact: {contact}\n"));
    let first = world.say_from(home(), &asked);
    assert_eq!(world.say_from(home(), &asked), first);
    assert_eq!((status(&first[0]), world.contacts.len()), (200, 1));
}

#[test]
fn a_contact_behind_a_nat_is_reached_where_its_registration_came_from() {
    let reached = |reach, contact: &str| {
        let mut world = with(signaling::Registration { reach, ..registration() });
        let mut phone = Phone::new("anna");
        phone.source.set_port(40_001);
        let answer = phone.register(&mut world, &format!("Contact: {contact}\n"));
        assert_eq!(status(&answer), 200, "{answer}");
        world.contacts[0].1[0].flow.remote.to_string()
    };
    let (natted, public, named) =
        ("<sip:anna@10.0.0.7:5060>", "<sip:anna@203.0.113.5:5062>", "<sip:anna@phone.example>");
    assert_eq!(reached(Reach::Auto, natted), "203.0.113.5:40001");
    assert_eq!(reached(Reach::Auto, public), "203.0.113.5:5062");
    assert_eq!(reached(Reach::Contact, natted), "10.0.0.7:5060");
    assert_eq!(reached(Reach::Contact, named), "203.0.113.5:40001");
    assert_eq!(reached(Reach::Source, public), "203.0.113.5:40001");
}

#[test]
fn what_no_message_can_hold_or_nobody_can_ring_is_not_registered() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    let long = format!("<sip:{}@203.0.113.5>", "a".repeat(600));
    for wrong in ["<mailto:anna@desk.example>", "<sip:anna@203.0.113.5?Subject=x>", &long] {
        assert_eq!(status(&phone.register(&mut world, &format!("Contact: {wrong}\n"))), 400, "{wrong}");
    }
    for broken in ["<sip:an\0na@203.0.113.5>", "<sip:an\rna@203.0.113.5>", "<sip:an\u{1}na@203.0.113.5>"] {
        let answer = phone.register(&mut world, &format!("Contact: {broken}\n"));
        assert_ne!(status(&answer), 200, "{broken:?}");
    }
    assert!(world.contacts.is_empty());
    // Escaped line ends stay escaped: they are letters of a name.
    phone.register(&mut world, "Contact: <sip:anna%0d%0aX-Evil:1@203.0.113.5>\n");
    assert_eq!(told(&world, "anna"), ["sip:anna%0d%0aX-Evil:1@203.0.113.5"]);
}

#[test]
fn a_phone_may_stand_where_a_trunk_is_and_is_asked_for_its_password_all_the_same() {
    let allowed = vec!["203.0.113.0/24".parse::<Network>().unwrap()];
    let registration = Some(registration());
    let mut world = World::with(1, [Config { allowed, registration, ..config(a()) }]);
    let mut phone = Phone::new("anna");
    assert_eq!(status(&phone.ask(&mut world, "")), 401);
    assert_eq!(status(&phone.online(&mut world, 120)), 200);
    let foreign = phone.request("").replace("desk.example", "elsewhere.example");
    assert_eq!(status(&world.say_from(home(), &foreign)[0]), 401);
    world.pass(ms(1));
}
