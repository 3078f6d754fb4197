//! RFC 3263 section 4: from a host to targets, as tables over a small DNS in memory.

use signaling::{
    Transport::{self, Tcp, Tls, Udp},
    locate::{Able, Answer, Found, Kind, MOST_TARGETS, Naptr, Question, Srv, Target, Wanted, targets},
};
use std::{collections::BTreeMap, net::IpAddr};

#[test]
fn rfc3263_4_1_a_numeric_host_is_asked_of_nobody() {
    let zone = Zone::default();
    for (wanted, found) in [
        (sip("192.0.2.7"), "udp 192.0.2.7:5060 -"),
        (port(sip("192.0.2.7"), 5070), "udp 192.0.2.7:5070 -"),
        (over(sip("192.0.2.7"), Tcp), "tcp 192.0.2.7:5060 -"),
        (over(sip("192.0.2.7"), Tls), "tls 192.0.2.7:5061 -"),
        (sips("192.0.2.7"), "tls 192.0.2.7:5061 -"),
        (over(sips("192.0.2.7"), Tcp), "tls 192.0.2.7:5061 -"),
        (sip("[2001:db8::7]"), "udp [2001:db8::7]:5060 -"),
        (sip("2001:db8::7"), "udp [2001:db8::7]:5060 -"),
    ] {
        assert_eq!(zone.asked(&wanted, &everything()), Vec::<String>::new(), "{wanted}");
        assert_eq!(zone.locate(&wanted), [found], "{wanted}");
    }
}

#[test]
fn rfc3263_4_1_naptr_records_choose_the_transport_in_their_order() {
    let zone = Zone::default()
        .naptr("example.com", (90, 50), "SIP+D2T", "_sip._tcp.example.com")
        .naptr("example.com", (100, 50), "SIP+D2U", "_sip._udp.example.com")
        .naptr("example.com", (50, 60), "SIPS+D2T", "_sips._tcp.example.com")
        .naptr("example.com", (50, 50), "E2U+sip", "nowhere.example.com")
        .srv("_sips._tcp.example.com", (0, 1), "server.example.com", 5061)
        .srv("_sip._tcp.example.com", (0, 1), "server.example.com", 5060)
        .srv("_sip._udp.example.com", (0, 1), "server.example.com", 5062)
        .a("server.example.com", "192.0.2.1");
    let all = ["tls 192.0.2.1:5061 example.com", "tcp 192.0.2.1:5060 example.com", "udp 192.0.2.1:5062 example.com"];
    assert_eq!(zone.locate(&sip("example.com")), all);
    assert_eq!(zone.locate(&sips("example.com")), [all[0]], "a secure URI takes only SIPS services");
    assert_eq!(
        zone.locate_with(&sip("example.com"), &udp_only()),
        [all[2]],
        "transports that we do not have are passed over"
    );
    assert_eq!(zone.locate(&over(sip("example.com"), Tcp)), [all[1]], "a written transport needs no NAPTR");
    assert!(!zone.asked(&over(sip("example.com"), Tcp), &everything()).iter().any(|it| it.contains("NAPTR")));
}

#[test]
fn rfc3263_4_1_naptr_records_may_lead_to_another_domain_but_the_certificate_is_of_the_one_that_was_wanted() {
    let zone = Zone::default()
        .naptr("example.com", (1, 1), "SIPS+D2T", "_sips._tcp.hosting.example")
        .srv("_sips._tcp.hosting.example", (0, 1), "sbc.hosting.example", 5071)
        .a("sbc.hosting.example", "192.0.2.1");
    assert_eq!(zone.locate(&sips("example.com")), ["tls 192.0.2.1:5071 example.com"]);
}

#[test]
fn rfc3263_4_1_without_naptr_records_the_srv_records_of_every_transport_are_asked_for() {
    let zone = Zone::default()
        .srv("_sip._tcp.example.com", (0, 1), "server.example.com", 5070)
        .srv("_sip._udp.example.com", (0, 1), "server.example.com", 5080)
        .srv("_sips._tcp.example.com", (0, 1), "server.example.com", 5081)
        .a("server.example.com", "192.0.2.1");
    let found = ["udp 192.0.2.1:5080 example.com", "tcp 192.0.2.1:5070 example.com"];
    assert_eq!(zone.locate(&sip("example.com")), found);
    assert_eq!(zone.locate(&sips("example.com")), ["tls 192.0.2.1:5081 example.com"]);
    assert_eq!(zone.locate(&over(sip("example.com"), Tls)), ["tls 192.0.2.1:5081 example.com"]);
}

#[test]
fn rfc3263_4_1_naptr_and_srv_are_asked_for_together_and_only_the_transports_that_we_have() {
    let zone = Zone::default();
    let first = |able: &Able| zone.questions(&sip("example.com"), able, &BTreeMap::new());
    assert_eq!(first(&everything()), ["example.com NAPTR", "_sip._udp.example.com SRV", "_sip._tcp.example.com SRV"]);
    assert_eq!(first(&udp_only()), ["example.com NAPTR", "_sip._udp.example.com SRV"]);
}

#[test]
fn rfc3263_4_1_records_that_are_not_for_us_are_passed_over() {
    let zone = Zone::default()
        .naptr_with_flags("example.com", "u", "SIP+D2U", "_sip._udp.wrong.example")
        .naptr_with_flags("example.com", "", "SIP+D2U", "example.com")
        .naptr("example.com", (1, 1), "SIP+D2S", "_sip._sctp.example.com")
        .naptr("example.com", (1, 1), "SIP+D2U", "..")
        .srv("_sip._udp.example.com", (0, 1), "server.example.com", 5060)
        .a("server.example.com", "192.0.2.1");
    assert_eq!(zone.locate(&sip("example.com")), ["udp 192.0.2.1:5060 example.com"]);
}

#[test]
fn rfc3263_4_1_a_secure_uri_never_goes_in_the_clear() {
    let zone =
        Zone::default().srv("_sip._udp.example.com", (0, 1), "server.example.com", 5060).a("example.com", "192.0.2.1");
    assert_eq!(zone.locate(&over(sips("example.com"), Udp)), Vec::<String>::new());
    assert_eq!(zone.locate_with(&sips("example.com"), &udp_only()), Vec::<String>::new());
    assert_eq!(zone.locate(&sips("example.com")), ["tls 192.0.2.1:5061 example.com"]);
}

#[test]
fn rfc3263_4_2_a_written_port_means_addresses_alone() {
    let zone = Zone::default()
        .srv("_sip._udp.example.com", (0, 1), "server.example.com", 5999)
        .a("example.com", "192.0.2.1")
        .aaaa("example.com", "2001:db8::1");
    let wanted = port(sip("example.com"), 5070);
    assert_eq!(zone.asked(&wanted, &everything()), ["example.com A", "example.com AAAA"]);
    let found = ["udp 192.0.2.1:5070 example.com", "udp [2001:db8::1]:5070 example.com"];
    assert_eq!(zone.locate(&wanted), found);
    assert_eq!(zone.locate(&port(sips("example.com"), 5070))[0], "tls 192.0.2.1:5070 example.com");
    assert_eq!(zone.locate_with(&wanted, &udp_only()), [found[0]], "no listener of ours speaks IPv6");
}

#[test]
fn rfc3263_4_2_without_srv_records_the_name_itself_is_the_server() {
    let zone = Zone::default().a("example.com", "192.0.2.1");
    assert_eq!(zone.locate(&sip("example.com")), ["udp 192.0.2.1:5060 example.com"]);
    assert_eq!(zone.locate(&over(sip("example.com"), Tcp)), ["tcp 192.0.2.1:5060 example.com"]);
    assert_eq!(zone.locate(&sips("example.com")), ["tls 192.0.2.1:5061 example.com"]);
    let named = zone.naptr("example.com", (1, 1), "SIP+D2T", "_sip._tcp.example.com");
    assert_eq!(
        named.locate(&sip("example.com")),
        ["tcp 192.0.2.1:5060 example.com"],
        "the transport of the NAPTR record"
    );
}

#[test]
fn rfc3263_4_2_srv_records_come_by_priority_and_a_hosts_addresses_together() {
    let zone = Zone::default()
        .srv("_sip._udp.example.com", (20, 1), "b.example.com", 5060)
        .srv("_sip._udp.example.com", (10, 1), "a.example.com", 5070)
        .a("a.example.com", "192.0.2.1")
        .a("a.example.com", "192.0.2.2")
        .aaaa("a.example.com", "2001:db8::1")
        .a("b.example.com", "192.0.2.9");
    let mut first = BTreeMap::new();
    for seed in 0..200 {
        let found = zone.locate_by(&over(sip("example.com"), Udp), &everything(), seed);
        assert_eq!(found.len(), 4);
        assert_eq!(found[2..], ["udp [2001:db8::1]:5070 example.com", "udp 192.0.2.9:5060 example.com"]);
        *first.entry(found[0].clone()).or_insert(0) += 1;
    }
    assert!(first.len() == 2 && first.values().all(|count| *count > 60), "equals share: {first:?}");
}

#[test]
fn rfc2782_a_target_of_a_dot_says_that_there_is_decidedly_none() {
    let zone = Zone::default().srv("_sip._udp.example.com", (0, 0), "", 0).a("example.com", "192.0.2.1");
    assert_eq!(zone.locate(&over(sip("example.com"), Udp)), Vec::<String>::new());
    let zone = zone.srv("_sip._tcp.example.com", (0, 0), "example.com", 5060);
    assert_eq!(zone.locate(&sip("example.com")), ["tcp 192.0.2.1:5060 example.com"]);
}

#[test]
fn fault_25_a_hundred_records_are_sixteen_targets_and_as_many_questions() {
    let mut zone = Zone::default();
    for at in 0..200 {
        let host = format!("h{at}.example.com");
        zone = zone.srv("_sip._udp.example.com", (at / 10, 1), &host, 5060).a(&host, &format!("192.0.2.{}", at % 250));
    }
    let found = zone.locate_with(&sip("example.com"), &udp_only());
    assert_eq!(found.len(), MOST_TARGETS);
    let addresses = |asked: Vec<String>| asked.iter().filter(|it| it.ends_with(" A")).count();
    assert_eq!(addresses(zone.asked(&sip("example.com"), &udp_only())), MOST_TARGETS);
    let mut zone = Zone::default();
    for at in 0..200 {
        zone = zone.a("example.com", &format!("192.0.2.{at}"));
    }
    assert_eq!(zone.locate(&sip("example.com")).len(), MOST_TARGETS);
}

#[test]
fn fault_25_names_that_lead_in_a_circle_come_to_an_end() {
    // A NAPTR record that names its own domain, an SRV record that names its own name.
    let zone = Zone::default().naptr("example.com", (1, 1), "SIP+D2U", "_sip._udp.example.com").srv(
        "_sip._udp.example.com",
        (0, 1),
        "_sip._udp.example.com",
        5060,
    );
    assert_eq!(zone.locate(&sip("example.com")), Vec::<String>::new());
    assert!(zone.asked(&sip("example.com"), &everything()).len() <= 6);
}

#[test]
fn fault_25_what_is_no_host_name_is_asked_of_nobody() {
    let zone = Zone::default();
    for host in ["", ".", ".1", "1", "256.1.1.1", "a..b", &"a.".repeat(200), &"a".repeat(64), "[192.0.2.1]", "a b"] {
        let wanted = sip(host);
        assert_eq!(zone.asked(&wanted, &everything()), Vec::<String>::new(), "{host:?}");
        assert_eq!(zone.locate(&wanted), Vec::<String>::new(), "{host:?}");
    }
}

#[test]
fn fault_25_a_question_that_failed_is_one_without_records() {
    let zone = Zone::default()
        .failed("example.com", Kind::Naptr)
        .failed("_sip._udp.example.com", Kind::Srv)
        .a("example.com", "192.0.2.1");
    assert_eq!(zone.locate(&sip("example.com")), ["udp 192.0.2.1:5060 example.com"]);
}

fn sip(host: &str) -> Wanted {
    Wanted::host(host, None)
}

fn sips(host: &str) -> Wanted {
    Wanted { secure: true, ..sip(host) }
}

fn port(wanted: Wanted, port: u16) -> Wanted {
    Wanted { port: Some(port), ..wanted }
}

fn over(wanted: Wanted, transport: Transport) -> Wanted {
    Wanted { transport: Some(transport), ..wanted }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn everything() -> Able {
    Able::of([Udp, Tcp, Tls].into_iter().flat_map(|transport| [(transport, ip("192.0.2.9")), (transport, ip("::1"))]))
}

fn udp_only() -> Able {
    Able::of([(Udp, ip("192.0.2.9"))])
}

/// A DNS in memory; what is not in it does not exist.
#[derive(Default)]
struct Zone(BTreeMap<Question, Answer>);

impl Zone {
    fn answer(&mut self, name: &str, kind: Kind) -> &mut Answer {
        let empty = match kind {
            Kind::Naptr => Answer::Naptr(Vec::new()),
            Kind::Srv => Answer::Srv(Vec::new()),
            Kind::A | Kind::Aaaa => Answer::Addresses(Vec::new()),
        };
        self.0.entry(Question { name: name.into(), kind }).or_insert(empty)
    }

    fn naptr(mut self, name: &str, (order, preference): (u16, u16), service: &str, replacement: &str) -> Self {
        let record =
            Naptr { order, preference, flags: "S".into(), service: service.into(), replacement: replacement.into() };
        let Answer::Naptr(records) = self.answer(name, Kind::Naptr) else { unreachable!() };
        records.push(record);
        self
    }

    fn naptr_with_flags(mut self, name: &str, flags: &str, service: &str, replacement: &str) -> Self {
        self = self.naptr(name, (0, 0), service, replacement);
        let Answer::Naptr(records) = self.answer(name, Kind::Naptr) else { unreachable!() };
        records.last_mut().unwrap().flags = flags.into();
        self
    }

    fn srv(mut self, name: &str, (priority, weight): (u16, u16), target: &str, port: u16) -> Self {
        let Answer::Srv(records) = self.answer(name, Kind::Srv) else { unreachable!() };
        records.push(Srv { priority, weight, port, target: target.into() });
        self
    }

    fn address(mut self, name: &str, kind: Kind, address: &str) -> Self {
        let Answer::Addresses(records) = self.answer(name, kind) else { unreachable!() };
        records.push(ip(address));
        self
    }

    fn a(self, name: &str, address: &str) -> Self {
        self.address(name, Kind::A, address)
    }

    fn aaaa(self, name: &str, address: &str) -> Self {
        self.address(name, Kind::Aaaa, address)
    }

    fn failed(mut self, name: &str, kind: Kind) -> Self {
        *self.answer(name, kind) = Answer::Failed;
        self
    }

    fn questions(&self, wanted: &Wanted, able: &Able, known: &BTreeMap<Question, Answer>) -> Vec<String> {
        match targets(wanted, able, 1, |question| known.get(question)) {
            Found::Questions(questions) => questions.iter().map(ToString::to_string).collect(),
            Found::Targets(_) => Vec::new(),
        }
    }

    /// The targets, and all that was asked on the way.
    fn run(&self, wanted: &Wanted, able: &Able, seed: u64) -> (Vec<Target>, Vec<String>) {
        let mut known: BTreeMap<Question, Answer> = BTreeMap::new();
        let mut asked = Vec::new();
        for _ in 0..4 {
            match targets(wanted, able, seed, |question| known.get(question)) {
                Found::Targets(targets) => return (targets, asked),
                Found::Questions(questions) => {
                    assert!(!questions.is_empty());
                    for question in questions {
                        asked.push(question.to_string());
                        let answer = self.0.get(&question).cloned().unwrap_or(Answer::Nothing);
                        assert!(known.insert(question, answer).is_none(), "nothing is asked twice");
                    }
                }
            }
        }
        panic!("more than three round trips for {wanted}");
    }

    fn asked(&self, wanted: &Wanted, able: &Able) -> Vec<String> {
        self.run(wanted, able, 1).1
    }

    fn locate(&self, wanted: &Wanted) -> Vec<String> {
        self.locate_with(wanted, &everything())
    }

    fn locate_with(&self, wanted: &Wanted, able: &Able) -> Vec<String> {
        self.locate_by(wanted, able, 1)
    }

    /// Each target as `transport address name`.
    fn locate_by(&self, wanted: &Wanted, able: &Able, seed: u64) -> Vec<String> {
        let (targets, _) = self.run(wanted, able, seed);
        targets
            .iter()
            .map(|it| format!("{} {} {}", it.transport, it.address, it.name.as_deref().unwrap_or("-")))
            .collect()
    }
}
