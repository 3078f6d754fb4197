//! Dialogs and the offers in them (RFC 3261 sections 12 to 15, RFC 3264, RFC 6337).

use super::{Awaited, line};
use crate::{Evidence, trace::Read};
use std::collections::{BTreeMap, HashMap, HashSet};

pub(super) fn every_2xx_is_acknowledged(evidence: &Evidence) -> Vec<String> {
    // By Call-ID, To tag and number: how often the 2xx arrived, and how often its ACK left from then on.
    let mut answers: BTreeMap<(&str, &str, u32), (usize, usize)> = BTreeMap::new();
    let mut awaited = Awaited::default();
    for (sent, it) in evidence.seen() {
        let read = &it.message;
        let key = (read.call_id.as_str(), read.to_tag.as_str(), read.cseq);
        if awaited.see(sent, it) && read.answers("INVITE", 200, 300) {
            answers.entry(key).or_default().0 += 1;
        } else if sent
            && read.is("ACK")
            && let Some((_, acks)) = answers.get_mut(&key)
        {
            *acks += 1;
        }
    }
    let missing = answers.iter().filter(|(_, (arrived, acks))| acks < arrived);
    missing
        .map(|((call, tag, cseq), (arrived, acks))| {
            format!("the 2xx {cseq} of {tag} in {call} arrived {arrived} times and was acknowledged {acks} times")
        })
        .collect()
}

pub(super) fn every_2xx_is_ended(evidence: &Evidence) -> Vec<String> {
    let mut byes: HashSet<(&str, &str)> = HashSet::new();
    let mut dialogs: BTreeMap<(&str, &str), &Read> = BTreeMap::new();
    let mut awaited = Awaited::default();
    for (sent, it) in evidence.seen() {
        let read = &*it.message;
        // One that comes when its INVITE is long given up finds nobody; its sender ends it when no ACK comes.
        let expected = awaited.see(sent, it) || sent;
        if read.is("BYE") {
            byes.extend([(read.call_id.as_str(), read.to_tag.as_str()), (&read.call_id, &read.from_tag)]);
        }
        if expected && read.answers("INVITE", 200, 300) {
            dialogs.entry((&read.call_id, &read.to_tag)).or_insert(read);
        }
    }
    // A re-INVITE's 2xx has the tags of its dialog the other way round where the daemon was called.
    let ended = |read: &Read| {
        byes.contains(&(read.call_id.as_str(), read.to_tag.as_str()))
            && byes.contains(&(read.call_id.as_str(), read.from_tag.as_str()))
    };
    dialogs.into_values().filter(|read| !ended(read)).map(|read| format!("no BYE follows {}", line(read))).collect()
}

pub(super) fn cseq_rises(evidence: &Evidence) -> Vec<String> {
    // By Call-ID, our tag and theirs: what opens a dialog has no tag of theirs, and counts for each dialog it opens.
    let mut last: HashMap<(&str, &str, &str), u32> = HashMap::new();
    let mut invites: HashMap<(&str, &str, u32), &str> = HashMap::new();
    let mut seen: HashSet<(&str, &str)> = HashSet::new();
    let mut wrong = Vec::new();
    for it in evidence.sent().filter(|it| it.message.status == 0) {
        let read = &it.message;
        if read.cseq_method != read.method {
            wrong.push(format!("CSeq names another method: {}", line(read)));
        }
        if !seen.insert((&read.branch, &read.method)) {
            continue;
        }
        let invite = (read.call_id.as_str(), read.from_tag.as_str(), read.cseq);
        match read.method.as_str() {
            "ACK" if !invites.contains_key(&invite) => wrong.push(format!("acknowledges no INVITE: {}", line(read))),
            "CANCEL" if invites.get(&invite) != Some(&read.branch.as_str()) => {
                wrong.push(format!("cancels no INVITE: {}", line(read)));
            }
            "ACK" | "CANCEL" => {}
            method => {
                let opening = last.get(&(&read.call_id, &read.from_tag, "")).copied();
                let before = last.insert((&read.call_id, &read.from_tag, &read.to_tag), read.cseq).max(opening);
                if before.is_some_and(|before| before >= read.cseq) {
                    wrong.push(format!("{} follows number {}", line(read), before.unwrap_or(0)));
                }
                if method == "INVITE" {
                    invites.insert(invite, &read.branch);
                }
            }
        }
    }
    wrong
}

/// An offer that has no answer yet, and which message will close it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Open<'a> {
    /// Ours, in a request: closed by its final response.
    Ours(&'a str),
    /// Theirs, in a request: closed by our final response.
    Theirs(&'a str),
    /// Ours, in a 2xx to an INVITE without one: closed by the ACK with that number.
    OursInAnswer(u32),
    /// Theirs, in a 2xx: closed by our ACK.
    TheirsInAnswer(u32),
}

impl Open<'_> {
    const fn is_ours(&self) -> bool {
        matches!(self, Self::Ours(_) | Self::OursInAnswer(_))
    }
}

pub(super) fn one_open_offer(evidence: &Evidence) -> Vec<String> {
    let mut open: HashMap<&str, Vec<Open<'_>>> = HashMap::new();
    // Requests by branch: whether they carried an offer. A copy changes nothing.
    let mut requests: HashMap<(&str, &str), bool> = HashMap::new();
    let mut answered: HashSet<(&str, &str)> = HashSet::new();
    let mut wrong = Vec::new();
    for (sent, it) in evidence.seen() {
        let read = &*it.message;
        let branch = read.branch.as_str();
        let offers = open.entry(&read.call_id).or_default();
        match read.method.as_str() {
            "INVITE" | "UPDATE" => {
                if requests.insert((branch, &read.method), read.has_session()).is_some() || !read.has_session() {
                    continue;
                }
                if sent && !offers.is_empty() {
                    wrong.push(format!("{} while {:?} is open", line(read), offers[0]));
                }
                offers.push(if sent { Open::Ours(branch) } else { Open::Theirs(branch) });
            }
            "ACK" if sent => offers.retain(|offer| *offer != Open::TheirsInAnswer(read.cseq)),
            "ACK" => offers.retain(|offer| *offer != Open::OursInAnswer(read.cseq)),
            "BYE" => offers.clear(),
            "" if read.status >= 200 && matches!(read.cseq_method.as_str(), "INVITE" | "UPDATE") => {
                let key = (branch, read.cseq_method.as_str());
                let Some(offered) = requests.get(&key).copied() else { continue };
                if !answered.insert(key) {
                    continue;
                }
                let success = read.status < 300;
                if sent {
                    offers.retain(|offer| *offer != Open::Theirs(branch));
                    let other = offers.iter().find(|offer| offer.is_ours());
                    if let Some(other) = other.filter(|_| success && offered) {
                        wrong.push(format!("{} accepts an offer while {other:?} is open", line(read)));
                    }
                    if success && !offered && read.has_session() {
                        if let Some(other) = offers.first() {
                            wrong.push(format!("{} offers while {other:?} is open", line(read)));
                        }
                        offers.push(Open::OursInAnswer(read.cseq));
                    }
                } else {
                    offers.retain(|offer| *offer != Open::Ours(branch));
                    if success && !offered && read.has_session() {
                        offers.push(Open::TheirsInAnswer(read.cseq));
                    }
                }
            }
            _ => {}
        }
    }
    wrong
}
