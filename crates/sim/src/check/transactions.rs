//! Requests and their responses (RFC 3261 sections 8, 9 and 17).

use super::{GIVE_UP, line};
use crate::{Evidence, trace::Read};
use clock::Monotonic;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

pub(super) fn one_final_response_per_invite(evidence: &Evidence) -> Vec<String> {
    let invites: BTreeSet<&str> =
        evidence.reached().filter(|it| it.message.is("INVITE")).map(|it| it.message.branch.as_str()).collect();
    let mut finals: BTreeMap<&str, (Monotonic, Cow<'_, [u8]>)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for it in evidence.sent().filter(|it| it.message.answers("INVITE", 100, 700)) {
        let read = &it.message;
        // A copy of an INVITE that comes later finds its transaction gone (17.2.1, RFC 6026's timer L) and begins another.
        let first = finals.get(read.branch.as_str()).filter(|(at, _)| it.at < *at + GIVE_UP);
        match first.map(|(_, said)| said) {
            Some(first) if read.status < 200 => wrong.push(format!(
                "{} after the final response {}",
                line(read),
                String::from_utf8_lossy(first).lines().next().unwrap_or_default()
            )),
            Some(first) if **first != *said(read) => wrong.push(format!("a second final response: {}", line(read))),
            None if read.status >= 200 => drop(finals.insert(&read.branch, (it.at, said(read)))),
            _ => {}
        }
    }
    wrong.extend(
        invites
            .iter()
            .filter(|branch| !finals.contains_key(*branch))
            .map(|branch| format!("the INVITE with branch {branch} got no final response")),
    );
    wrong
}

pub(super) fn every_request_is_answered(evidence: &Evidence) -> Vec<String> {
    let finals: HashSet<(&str, &str)> = evidence
        .sent()
        .filter(|it| it.message.status >= 200)
        .map(|it| (it.message.branch.as_str(), it.message.cseq_method.as_str()))
        .collect();
    let requests = evidence.reached().filter(|it| it.message.status == 0 && !it.message.is("ACK"));
    let unanswered = requests.filter(|it| !finals.contains(&(it.message.branch.as_str(), it.message.method.as_str())));
    unanswered.map(|it| format!("{} at {} ms", line(&it.message), evidence.ms(it.at))).collect()
}

pub(super) fn copies_are_identical(evidence: &Evidence) -> Vec<String> {
    let mut first: HashMap<(&str, &str, u16), Cow<'_, [u8]>> = HashMap::new();
    let mut wrong = Vec::new();
    for it in evidence.sent() {
        let read = &it.message;
        let method = if read.status == 0 { read.method.as_str() } else { read.cseq_method.as_str() };
        // Provisional responses may differ from each other.
        if read.status == 0 || read.status >= 200 {
            let known = first.entry((&read.branch, method, read.status)).or_insert_with(|| said(read));
            if **known != *said(read) {
                wrong.push(line(read));
            }
        }
    }
    wrong
}

/// What a message says. Whoever is asked for a password is asked without a trace of it (8.2.7): each time by a nonce of its own.
fn said(read: &Read) -> Cow<'_, [u8]> {
    if read.status != 407 {
        return Cow::Borrowed(&read.bytes);
    }
    let text = String::from_utf8_lossy(&read.bytes);
    let parts = text.split("nonce=\"").enumerate();
    let parts = parts.map(|(at, part)| if at == 0 { part } else { part.split_once('"').map_or("", |(_, rest)| rest) });
    Cow::Owned(parts.collect::<String>().into_bytes())
}

pub(super) fn cancel_waits_for_a_provisional_response(evidence: &Evidence) -> Vec<String> {
    let (mut provisional, mut done): (HashSet<&str>, HashSet<&str>) = (HashSet::new(), HashSet::new());
    let mut cancelled: HashSet<&str> = HashSet::new();
    let mut wrong = Vec::new();
    for (sent, it) in evidence.seen() {
        let read = &it.message;
        let branch = read.branch.as_str();
        match sent {
            false if read.answers("INVITE", 100, 200) => drop(provisional.insert(branch)),
            false if read.answers("INVITE", 200, 700) => drop(done.insert(branch)),
            true if read.is("CANCEL") && cancelled.insert(branch) => {
                if !provisional.contains(branch) {
                    wrong.push(format!("{} before any provisional response", line(read)));
                }
                if done.contains(branch) {
                    wrong.push(format!("{} after the final response", line(read)));
                }
            }
            _ => {}
        }
    }
    wrong
}
