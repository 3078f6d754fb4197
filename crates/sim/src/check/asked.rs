//! What is asked of the daemon, and who may ask: requests to the control API, calls that are placed, passwords, and agents who are on calls of
//! their own.

use super::GIVE_UP;
use crate::{
    Evidence,
    agent::{OWN, answers},
    trace::Read,
};
use clock::Monotonic;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

/// Where agents' phones are.
pub(super) const PHONES: [&str; 2] = ["10.0.0.33", "10.0.0.34"];
/// How long after a phone was chosen its INVITE may leave: screens are shown first what it rings for.
const ON_ITS_WAY: Duration = Duration::from_millis(500);

pub(super) fn every_question_is_answered_once(evidence: &Evidence) -> Vec<String> {
    let mut answers: BTreeMap<u64, u32> = (1..=evidence.asked).map(|id| (id, 0)).collect();
    for id in &evidence.answers {
        *answers.entry(*id).or_default() += 1;
    }
    let wrong = answers.iter().filter(|(_, count)| **count != 1);
    wrong.map(|(id, count)| format!("request {id} was answered {count} times")).collect()
}

/// Whoever is called is rung for one call at a time; and whoever was asked for once, however often they were asked for, is called once.
pub(super) fn nobody_is_called_twice(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for person in &evidence.persons {
        // Whoever asked to be called back is called back.
        let back = evidence.callbacks.iter().any(|callback| callback.number == *person);
        let (mut calls, mut open): (HashSet<&str>, HashMap<&str, Monotonic>) = Default::default();
        let mut answered = None;
        for (sent, it) in evidence.seen() {
            let read = &it.message;
            let id = read.call_id.as_str();
            let theirs = sent && read.is("INVITE") && read.to_tag.is_empty();
            if theirs && read.message.uri().is_some_and(|uri| uri.contains(person)) && calls.insert(id) {
                let at = evidence.ms(it.at);
                if let Some((other, since)) = open.iter().next() {
                    let since = evidence.ms(*since);
                    wrong.push(format!("{person} is called by {id} at {at} ms, and by {other} since {since} ms"));
                }
                if let Some(other) = answered.filter(|_| !back) {
                    wrong.push(format!("{person} is called by {id} at {at} ms, and has answered {other}"));
                }
                open.insert(id, it.at);
            } else if calls.contains(id) && !sent && read.answers("INVITE", 200, 300) {
                answered.get_or_insert(id);
            } else if read.is("BYE") || sent && read.is("CANCEL") || !sent && read.answers("INVITE", 300, 700) {
                open.remove(id);
            }
        }
        let for_them = |cdr: &&calls::Cdr| cdr.from.as_deref() == Some(person) && cdr.callback.is_none();
        let placed = evidence.cdrs.iter().filter(for_them).count();
        if placed > 1 {
            wrong.push(format!("{placed} calls to {person}"));
        }
    }
    wrong
}

/// What comes from before a gate begins nothing without its password, and with it is not asked again.
pub(super) fn nobody_comes_in_without_the_password(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut knocks: HashMap<&str, (Monotonic, bool)> = HashMap::new();
    for (sent, it) in evidence.seen().filter(|_| evidence.gated) {
        let read = &it.message;
        let opens = read.is("INVITE") && read.to_tag.is_empty() && it.from.ip().to_string() == "10.0.0.10";
        if !sent && opens {
            let shown = read.message.header("Proxy-Authorization");
            knocks.entry(&read.branch).or_insert((it.at, shown.is_some_and(|shown| answers(shown, read))));
        } else if sent && read.cseq_method == "INVITE" && read.status > 0 {
            let Some((first, right)) = knocks.get(read.branch.as_str()).copied() else { continue };
            // A copy that comes when its transaction is gone shows what was used already.
            let fresh = it.at < first + GIVE_UP;
            if right == (read.status == 407) && fresh {
                wrong.push(format!("{} to {} password", super::line(read), if right { "the right" } else { "no" }));
            }
        }
    }
    wrong
}

/// An agent whose phone has told of a call of their own is not rung.
pub(super) fn whoever_talks_elsewhere_is_left_alone(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut told: HashMap<String, Told> = HashMap::new();
    let mut rung: HashSet<&str> = HashSet::new();
    for (sent, it) in evidence.seen() {
        let read = &it.message;
        let host = if sent { it.to.ip() } else { it.from.ip() }.to_string();
        if !PHONES.contains(&host.as_str()) {
            continue;
        }
        let known = told.entry(host.clone()).or_default();
        if !sent && read.is("NOTIFY") {
            known.hear(read, it.at);
        } else if sent
            && read.is("INVITE")
            && read.to_tag.is_empty()
            && rung.insert(&read.call_id)
            && let Some(since) = known.since.filter(|since| it.at > *since + ON_ITS_WAY)
        {
            let (at, since) = (evidence.ms(it.at), evidence.ms(since));
            wrong.push(format!("{host} is rung at {at} ms and has said since {since} ms that they talk"));
        }
    }
    wrong
}

/// What a phone has told of its calls.
#[derive(Debug, Default)]
struct Told {
    subscription: String,
    cseq: u32,
    up: BTreeSet<String>,
    /// Since when there is one of its own.
    since: Option<Monotonic>,
}

impl Told {
    fn hear(&mut self, notify: &Read, at: Monotonic) {
        if self.subscription != notify.call_id {
            *self = Self { subscription: notify.call_id.clone(), since: self.since, ..Self::default() };
        }
        if notify.cseq <= self.cseq {
            return;
        }
        self.cseq = notify.cseq;
        let body = &notify.message.body;
        if body.contains("state=\"full\"") {
            self.up.clear();
        }
        for part in body.split("<dialog id=\"").skip(1) {
            let id = part.split('"').next().unwrap_or_default();
            if part.contains("terminated") {
                self.up.remove(id);
            } else {
                self.up.insert(id.to_owned());
            }
        }
        if notify.message.header("Subscription-State").is_some_and(|state| state.starts_with("terminated")) {
            // Nobody knows any more.
            self.up.clear();
        }
        self.since = self.up.contains(OWN).then_some(self.since.unwrap_or(at));
    }
}

/// Whether an agent's phone has said last that it has a call.
pub(super) fn tells_of_a_call(evidence: &Evidence, host: &str) -> bool {
    let mut told = Told::default();
    for it in evidence.reached().filter(|it| it.message.is("NOTIFY") && it.from.ip().to_string() == host) {
        told.hear(&it.message, it.at);
    }
    !told.up.is_empty()
}
