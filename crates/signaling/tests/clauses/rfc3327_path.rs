//! Path (RFC 3327): a registration that came through an edge proxy is reached through it.

use crate::{
    phone::{Phone, desk, home},
    world::{header, status},
};

#[test]
fn rfc3327_5_3_a_path_is_kept_told_and_taken_as_route() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    let path = "Path: <sip:203.0.113.9:5070;lr>, <sip:inner.example;lr>\nSupported: path\n";
    let answer = phone.register(&mut world, &format!("{path}Contact: <sip:anna@10.0.0.7>\n"));
    assert_eq!((status(&answer), header(&answer, "Path")), (200, Some("<sip:203.0.113.9:5070;lr>")), "{answer}");
    assert_eq!(answer.matches("Path: ").count(), 2);
    let contact = &world.contacts[0].1[0];
    assert_eq!(contact.uri, "sip:anna@10.0.0.7");
    assert_eq!(contact.routes, ["<sip:203.0.113.9:5070;lr>", "<sip:inner.example;lr>"]);
    assert_eq!(contact.flow.remote.to_string(), "203.0.113.9:5070");
}

#[test]
fn rfc3327_5_3_a_proxy_with_a_name_is_reached_where_the_registration_came_from() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    phone.register(&mut world, "Path: <sip:edge.example;lr>\nContact: <sip:anna@10.0.0.7>\n");
    assert_eq!(world.contacts[0].1[0].flow.remote, home());
}

#[test]
fn rfc3327_5_1_path_may_be_required_and_another_extension_may_not() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    let contact = phone.contact();
    assert_eq!(status(&phone.register(&mut world, &format!("Require: path\nContact: {contact}\n"))), 200);
    let answer = phone.ask(&mut world, &format!("Require: gruu, path\nContact: {contact}\n"));
    assert_eq!((status(&answer), header(&answer, "Unsupported")), (420, Some("gruu")));
}

#[test]
fn a_path_without_end_is_refused() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    let contact = phone.contact();
    let hops = ["<sip:203.0.113.9;lr>"; 9].join(", ");
    assert_eq!(status(&phone.register(&mut world, &format!("Path: {hops}\nContact: {contact}\n"))), 400);
    let long = format!("<sip:{}.example;lr>", "a".repeat(600));
    assert_eq!(status(&phone.register(&mut world, &format!("Path: {long}\nContact: {contact}\n"))), 400);
}
