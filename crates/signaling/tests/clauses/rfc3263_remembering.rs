//! What a locator remembers, for how long, and what it does on bad days (fault row 25), in virtual time.

use clock::Now;
use signaling::{
    Transport::Udp,
    locate::{Able, Answer, Config, Input, Kind, Limits, LocateId, Locator, Output, Question, Srv, Wanted},
};
use std::{collections::BTreeMap, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_answer_is_used_for_its_ttl_between_floor_and_ceiling() {
    for (ttl, used) in [(0, 5), (60, 60), (100_000, 3_600)] {
        let mut world = World::new();
        world.a("pbx.example", "192.0.2.1", ttl);
        assert_eq!(world.locate_port("pbx.example"), ["192.0.2.1:5060"]);
        assert_eq!(world.asked(), 1);
        world.pass(SECOND * used - Duration::from_millis(1));
        assert_eq!(world.locate_port("pbx.example"), ["192.0.2.1:5060"]);
        assert_eq!(world.asked(), 0, "TTL {ttl}: still remembered");
        world.pass(Duration::from_millis(1));
        world.locate_port("pbx.example");
        assert_eq!(world.asked(), 1, "TTL {ttl}: asked anew");
    }
}

#[test]
fn what_does_not_exist_is_remembered_for_a_minute_at_most() {
    let mut world = World::new();
    world.say("pbx.example", Kind::A, Answer::Nothing, 3_600);
    assert!(world.locate_port("pbx.example").is_empty());
    world.pass(SECOND * 59);
    assert!(world.locate_port("pbx.example").is_empty());
    assert_eq!(world.asked(), 1);
    world.a("pbx.example", "192.0.2.1", 60);
    world.pass(SECOND);
    assert_eq!(world.locate_port("pbx.example"), ["192.0.2.1:5060"]);
}

#[test]
fn many_calls_ask_one_question_once() {
    let mut world = World::new();
    let ids: Vec<u64> = (0..100).map(|_| world.begin(&port("pbx.example"))).collect();
    assert_eq!(world.asked(), 1);
    world.a("pbx.example", "192.0.2.1", 60);
    world.answer_open();
    assert!(ids.iter().all(|id| world.located[id] == ["192.0.2.1:5060"]));
    assert_eq!(world.locator.sizes(), (0, 0, 1), "nothing is left over");
    assert_eq!(world.locator.poll_timeout(), None);
}

#[test]
fn fault_25_a_dns_that_says_nothing_costs_half_the_timeout_a_question_and_never_more_than_the_timeout() {
    let mut world = World::new();
    let began = world.now;
    let id = world.begin(&Wanted::host("carrier.example", None));
    world.pass(SECOND - Duration::from_millis(1));
    assert!(!world.located.contains_key(&id));
    // NAPTR and SRV are given up; the name itself is tried.
    world.pass(Duration::from_millis(1));
    world.a("carrier.example", "192.0.2.1", 60);
    world.answer_open();
    assert_eq!(world.located[&id], ["192.0.2.1:5060"]);

    let id = world.begin(&Wanted::host("silent.example", None));
    world.pass(SECOND * 2);
    assert_eq!(world.located[&id], Vec::<String>::new());
    assert!(world.now.monotonic.since(began.monotonic) <= SECOND * 3);
    assert_eq!(world.locator.sizes().0, 0);
}

#[test]
fn fault_25_the_last_good_answer_stands_in_while_the_dns_is_silent_and_the_dns_is_left_alone() {
    let mut world = World::new();
    world.srv("_sip._udp.carrier.example", "sbc.example", 60);
    world.a("sbc.example", "192.0.2.1", 60);
    let wanted = Wanted::host("carrier.example", None);
    assert_eq!(world.locate(&wanted), ["192.0.2.1:5070"]);
    world.pass(SECOND * 120);
    world.asked();
    // The server is dead from here on.
    let id = world.begin(&wanted);
    world.pass(SECOND * 2);
    assert_eq!(world.located[&id], ["192.0.2.1:5070"]);
    world.asked();
    for _ in 0..65 {
        let id = world.begin(&wanted);
        assert_eq!(world.located.get(&id).map(Vec::len), Some(1), "the next calls do not wait");
        world.pass(SECOND);
    }
    assert_eq!(world.asked(), 6, "NAPTR, SRV and A are asked for again every 30 s, beside the calls");
    // Back again, with another address.
    world.pass(SECOND * 60);
    world.a("sbc.example", "192.0.2.2", 60);
    assert_eq!(world.locate(&wanted), ["192.0.2.1:5070"], "it asks, but does not wait");
    assert_eq!(world.locate(&wanted), ["192.0.2.2:5070"]);
}

#[test]
fn fault_25_failures_without_an_older_answer_are_asked_again_ever_less_often() {
    let mut world = World::new();
    world.say("pbx.example", Kind::A, Answer::Failed, 0);
    let mut asked = 0;
    for _ in 0..300 {
        assert!(world.locate_port("pbx.example").is_empty());
        asked += world.asked();
        world.pass(SECOND);
    }
    assert!((8..=12).contains(&asked), "1, 2, 4, … 60 s apart: {asked}");
    world.a("pbx.example", "192.0.2.1", 60);
    world.pass(SECOND * 60);
    assert_eq!(world.locate_port("pbx.example"), ["192.0.2.1:5060"]);
}

#[test]
fn fault_25_a_name_that_vanished_is_believed_only_where_something_else_leads_to_a_server() {
    let mut world = World::new();
    world.srv("_sip._udp.carrier.example", "sbc.example", 60);
    world.a("sbc.example", "192.0.2.1", 60);
    world.a("carrier.example", "192.0.2.9", 60);
    let wanted = Wanted::host("carrier.example", None);
    assert_eq!(world.locate(&wanted), ["192.0.2.1:5070"]);
    world.pass(SECOND * 120);
    world.say("_sip._udp.carrier.example", Kind::Srv, Answer::Nothing, 60);
    assert_eq!(world.locate(&wanted), ["192.0.2.9:5060"], "the records were taken away on purpose");
    world.pass(SECOND * 120);
    world.say("carrier.example", Kind::A, Answer::Nothing, 60);
    world.say("sbc.example", Kind::A, Answer::Nothing, 60);
    assert_eq!(world.locate(&wanted), ["192.0.2.1:5070"], "the whole zone is gone: as it was");
    world.pass(SECOND * 86_400);
    assert!(world.locate(&wanted).is_empty(), "but not for ever");
}

#[test]
fn a_late_answer_is_remembered_for_the_next_call() {
    let mut world = World::new();
    let id = world.begin(&port("slow.example"));
    world.pass(SECOND * 2);
    assert!(world.located[&id].is_empty());
    world.a("slow.example", "192.0.2.1", 60);
    world.answer_open();
    assert_eq!(world.locate_port("slow.example"), ["192.0.2.1:5060"]);
}

#[test]
fn every_table_has_a_bound_and_beyond_it_memory_answers_at_once() {
    let mut world = World::with(Limits { locations: 3, questions: 2, answers: 4 });
    world.a("known.example", "192.0.2.1", 5);
    assert_eq!(world.locate_port("known.example").len(), 1);
    world.pass(SECOND * 10);
    let first = world.begin(&port("a.example"));
    let second = world.begin(&port("b.example"));
    assert!(!world.located.contains_key(&first) && !world.located.contains_key(&second));
    let third = world.begin(&port("c.example"));
    assert_eq!(world.located[&third], Vec::<String>::new(), "no third question");
    let known = world.begin(&port("known.example"));
    assert_eq!(world.located[&known], ["192.0.2.1:5060"], "what it was last");
    let again = world.begin(&port("a.example"));
    assert!(!world.located.contains_key(&again), "it waits with the first");
    let fourth = world.begin(&port("b.example"));
    assert_eq!(world.located[&fourth], Vec::<String>::new(), "no fourth location");
    world.pass(SECOND * 2);
    for at in 0..20 {
        world.locate_port(&format!("h{at}.example"));
        world.pass(Duration::from_millis(10));
        assert!(world.locator.sizes().2 <= 4);
    }
    assert_eq!(world.locator.sizes().0, 0);
}

#[test]
fn srv_weights_are_drawn_anew_for_each_call_though_the_answer_is_remembered() {
    let mut world = World::new();
    let record = |target: &str| Srv { priority: 1, weight: 1, port: 5060, target: target.into() };
    world.say(
        "_sip._udp.carrier.example",
        Kind::Srv,
        Answer::Srv(vec![record("a.example"), record("b.example")]),
        3_600,
    );
    world.a("a.example", "192.0.2.1", 3_600);
    world.a("b.example", "192.0.2.2", 3_600);
    let mut first = BTreeMap::new();
    for _ in 0..400 {
        let found = world.locate(&Wanted::host("carrier.example", None));
        assert_eq!(found.len(), 2);
        *first.entry(found[0].clone()).or_insert(0) += 1;
    }
    assert!(first.values().all(|count| (150..250).contains(count)), "{first:?}");
}

fn port(host: &str) -> Wanted {
    Wanted::host(host, Some(5060))
}

/// A locator, a DNS in memory that answers when told to, and a clock.
struct World {
    locator: Locator,
    now: Now,
    zone: BTreeMap<Question, (Answer, Duration)>,
    open: Vec<Question>,
    asked: usize,
    located: BTreeMap<u64, Vec<String>>,
    next: u64,
}

impl World {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let config = Config {
            able: Able::of([(Udp, "192.0.2.9".parse().unwrap())]),
            timeout: SECOND * 2,
            ttl_min: SECOND * 5,
            ttl_max: SECOND * 3_600,
            last_good: SECOND * 86_400,
            limits,
        };
        let now = Now::default().after(SECOND);
        Self {
            locator: Locator::new(config, 7, now),
            now,
            zone: BTreeMap::new(),
            open: Vec::new(),
            asked: 0,
            located: BTreeMap::new(),
            next: 0,
        }
    }

    fn say(&mut self, name: &str, kind: Kind, answer: Answer, ttl: u64) {
        self.zone.insert(Question { name: name.into(), kind }, (answer, SECOND * u32::try_from(ttl).unwrap()));
    }

    fn a(&mut self, name: &str, address: &str, ttl: u64) {
        self.say(name, Kind::A, Answer::Addresses(vec![address.parse().unwrap()]), ttl);
    }

    fn srv(&mut self, name: &str, target: &str, ttl: u64) {
        let record = Srv { priority: 1, weight: 1, port: 5070, target: target.into() };
        self.say(name, Kind::Srv, Answer::Srv(vec![record]), ttl);
    }

    /// Begins a location; nobody answers its questions.
    fn begin(&mut self, wanted: &Wanted) -> u64 {
        self.next += 1;
        let id = LocateId(self.next);
        self.locator.handle_input(self.now, Input::Locate { id, wanted: wanted.clone() });
        self.drain();
        self.next
    }

    /// Locates with a DNS that answers at once; what is not in it does not exist.
    fn locate(&mut self, wanted: &Wanted) -> Vec<String> {
        let id = self.begin(wanted);
        self.answer_open();
        self.located[&id].clone()
    }

    fn locate_port(&mut self, host: &str) -> Vec<String> {
        self.locate(&port(host))
    }

    fn answer_open(&mut self) {
        for _ in 0..10 {
            for question in std::mem::take(&mut self.open) {
                let (answer, ttl) = self.zone.get(&question).cloned().unwrap_or((Answer::Nothing, SECOND * 60));
                self.locator.handle_input(self.now, Input::Answered { question, answer, ttl });
                self.drain();
            }
        }
        assert!(self.open.is_empty(), "questions without end");
    }

    /// How many questions were asked since the last time.
    fn asked(&mut self) -> usize {
        std::mem::take(&mut self.asked)
    }

    fn pass(&mut self, duration: Duration) {
        let until = self.now.after(duration);
        while let Some(at) = self.locator.poll_timeout().filter(|at| *at <= until.monotonic) {
            self.now = self.now.after(at.since(self.now.monotonic));
            self.locator.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn drain(&mut self) {
        while let Some(output) = self.locator.poll_output() {
            match output {
                Output::Ask(question) => {
                    self.asked += 1;
                    self.open.push(question);
                }
                Output::Located { id, targets } => {
                    let addresses = targets.iter().map(|target| target.address.to_string()).collect();
                    assert!(self.located.insert(id.0, addresses).is_none(), "exactly once");
                }
            }
        }
    }
}
