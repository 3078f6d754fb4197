//! What goes beyond RFC 3261: reliable provisional responses (RFC 3262), session timers (RFC 4028), REFER and its NOTIFYs (RFC 3515).

use super::{Awaited, line};
use crate::{Evidence, trace::Read};
use clock::Monotonic;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

/// The number of a reliable provisional response to an INVITE.
fn rseq(read: &Read) -> Option<u32> {
    let required = read.message.values("Require").flat_map(|value| value.split(',')).any(|tag| tag.trim() == "100rel");
    let number = read.message.header("RSeq")?.parse().ok()?;
    (required && read.answers("INVITE", 101, 200)).then_some(number)
}

/// RSeq and CSeq of a PRACK.
fn rack(read: &Read) -> Option<(u32, u32)> {
    let mut parts = read.message.header("RAck")?.split(' ');
    let numbers = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (parts.next() == Some("INVITE")).then_some(numbers)
}

/// Ours: one at a time and numbered in order, each kept up until its PRACK, and no 2xx before the PRACK of one with a session (section 3).
pub(super) fn reliable_responses_are_in_order(evidence: &Evidence) -> Vec<String> {
    #[derive(Default)]
    struct Sent<'a> {
        last: Option<(u32, &'a Read)>,
        acknowledged: bool,
    }
    let mut wrong = Vec::new();
    // By Call-ID and the INVITE's number.
    let mut invites: HashMap<(&str, u32), Sent<'_>> = HashMap::new();
    for (sent, it) in evidence.seen() {
        let read = &*it.message;
        if !sent && read.is("PRACK") {
            let Some((rseq, cseq)) = rack(read) else { continue };
            if let Some(invite) = invites.get_mut(&(read.call_id.as_str(), cseq)) {
                invite.acknowledged |= invite.last.is_some_and(|(last, _)| last == rseq);
            }
        } else if sent && read.status > 100 && read.cseq_method == "INVITE" {
            let invite = invites.entry((read.call_id.as_str(), read.cseq)).or_default();
            match (rseq(read), invite.last) {
                (Some(0), _) => wrong.push(format!("number 0: {}", line(read))),
                (Some(new), Some((last, _))) if new == last => {}
                (Some(new), Some((last, _))) if new != last + 1 => {
                    wrong.push(format!("{} with number {new} follows {last}", line(read)));
                }
                (Some(_), Some(_)) if !invite.acknowledged => {
                    wrong.push(format!("{} before the PRACK of the one before", line(read)));
                }
                (Some(new), _) => (invite.last, invite.acknowledged) = (Some((new, read)), false),
                (None, Some((_, last))) if read.answers("INVITE", 200, 300) => {
                    if last.has_session() && !invite.acknowledged {
                        wrong.push(format!("{} before the PRACK of a response with a session", line(read)));
                    }
                }
                (None, _) => {}
            }
        }
    }
    wrong
}

/// Theirs: each that comes in order is acknowledged by one PRACK, in its own early dialog, and nothing else is (section 4).
pub(super) fn reliable_responses_are_acknowledged(evidence: &Evidence) -> Vec<String> {
    /// By Call-ID, tag and the INVITE's number.
    type Key<'a> = (&'a str, &'a str, u32);
    let mut wrong = Vec::new();
    let mut awaited = Awaited::default();
    let mut last: HashMap<Key<'_>, u32> = HashMap::new();
    let mut owed: BTreeMap<(Key<'_>, u32), (Monotonic, &Read)> = BTreeMap::new();
    let mut given: HashSet<(Key<'_>, u32)> = HashSet::new();
    // From when on an INVITE needs nothing any more: its final response came, its CANCEL left.
    let mut closed: HashMap<(&str, u32), Monotonic> = HashMap::new();
    let mut pracks: HashSet<&str> = HashSet::new();
    for (sent, it) in evidence.seen() {
        let read = &*it.message;
        let key = (read.call_id.as_str(), read.to_tag.as_str(), read.cseq);
        let expected = awaited.see(sent, it);
        if !sent && read.answers("INVITE", 200, 700) || sent && read.is("CANCEL") {
            closed.entry((read.call_id.as_str(), read.cseq)).or_insert(it.at);
        } else if let Some(new) = rseq(read).filter(|_| !sent && expected) {
            if last.get(&key).is_none_or(|last| last + 1 == new) {
                last.insert(key, new);
                owed.insert((key, new), (it.at, read));
            }
        } else if sent && read.is("PRACK") && pracks.insert(&read.branch) {
            let Some((rseq, cseq)) = rack(read) else {
                wrong.push(format!("without RAck: {}", line(read)));
                continue;
            };
            let key = (read.call_id.as_str(), read.to_tag.as_str(), cseq);
            if !owed.contains_key(&(key, rseq)) {
                wrong.push(format!("{} acknowledges {rseq}, which is not due", line(read)));
            }
            if !given.insert((key, rseq)) {
                wrong.push(format!("{} acknowledges {rseq} again", line(read)));
            }
        }
    }
    for ((key, rseq), (at, read)) in owed {
        // In the moment of the end either may come first.
        let open = closed.get(&(key.0, key.2)).is_none_or(|closed| *closed > at);
        if open && !given.contains(&(key, rseq)) {
            wrong.push(format!("{} with number {rseq} at {} ms has no PRACK", line(read), evidence.ms(at)));
        }
    }
    wrong
}

/// A session that was agreed to last for so long is refreshed or ended by then, and refreshed in time where that is ours to do
/// (RFC 4028 section 10).
pub(super) fn no_session_outlives_its_interval(evidence: &Evidence) -> Vec<String> {
    struct Session {
        since: Monotonic,
        until: Monotonic,
        /// When we have to have asked for more.
        refresh_by: Option<Monotonic>,
        /// Our 2xx that agreed on it has no ACK yet: until then there is nothing to refresh, and without one it ends (13.3.1.4).
        unacked: bool,
    }
    let mut wrong = Vec::new();
    // By Call-ID and the peer's tag.
    let mut sessions: HashMap<(&str, &str), Session> = HashMap::new();
    let mut finals: HashSet<(&str, &str)> = HashSet::new();
    let mut over: HashSet<(&str, &str)> = HashSet::new();
    let mut awaited = Awaited::default();
    for (sent, it) in evidence.seen() {
        let read = &*it.message;
        let expected = awaited.see(sent, it);
        let call = read.call_id.as_str();
        let ours = sent == (read.status == 0);
        let peer = if ours { read.to_tag.as_str() } else { read.from_tag.as_str() };
        if let Some(session) = sessions.get_mut(&(call, peer)) {
            if it.at > session.until {
                wrong.push(format!("{} at {} ms, after its session's end", line(read), evidence.ms(it.at)));
                sessions.remove(&(call, peer));
                continue;
            }
            if !sent && read.is("ACK") && std::mem::take(&mut session.unacked) {
                // At the next of its tries.
                let late = it.at + session.until.since(session.since) / 8 + Duration::from_secs(1);
                session.refresh_by = session.refresh_by.map(|by| by.max(late));
            }
            if let Some(by) = session.refresh_by.filter(|_| !session.unacked) {
                if it.at > by {
                    wrong.push(format!(
                        "{} ms: nobody asked for more of {call} by {} ms",
                        evidence.ms(it.at),
                        evidence.ms(by)
                    ));
                }
                if it.at > by || ours && sent && matches!(read.method.as_str(), "INVITE" | "UPDATE") {
                    session.refresh_by = None;
                }
            }
        }
        if read.is("BYE") {
            sessions.remove(&(call, peer));
            over.insert((call, peer));
            continue;
        }
        // What comes when nobody waits for it any more, or after the end, agrees on nothing.
        if over.contains(&(call, peer)) || !sent && read.answers("INVITE", 200, 300) && !expected {
            continue;
        }
        let confirms = (200..300).contains(&read.status) && matches!(read.cseq_method.as_str(), "INVITE" | "UPDATE");
        if !confirms || !finals.insert((&read.branch, &read.cseq_method)) {
            continue;
        }
        match read.message.header("Session-Expires") {
            Some(value) => {
                let seconds = value.split(';').next().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
                // Nothing shorter than half a minute is kept to: nobody makes us send more than that.
                let interval = Duration::from_secs(seconds).max(Duration::from_secs(30));
                let by_sender = !value.contains("refresher=uas");
                let refresh_by = (by_sender == ours).then(|| it.at + interval / 2 + Duration::from_secs(1));
                let unacked = sent && read.cseq_method == "INVITE";
                let (since, until) = (it.at, it.at + interval);
                sessions.insert((call, peer), Session { since, until, refresh_by, unacked });
            }
            None => drop(sessions.remove(&(call, peer))),
        }
    }
    let end = evidence.wire.last().map(|it| it.at);
    for ((call, peer), session) in sessions {
        if end.is_some_and(|end| end > session.until) {
            wrong.push(format!("the session of {call} with {peer} never ended"));
        }
    }
    wrong
}

/// Whoever asked us to call and was told 202 is told how it goes, up to its end and not beyond; whoever was not told 202, or did not
/// want to know, is told nothing (RFC 3515 section 2.4; RFC 4488).
pub(super) fn every_refer_is_followed_to_its_end(evidence: &Evidence) -> Vec<String> {
    #[derive(Default)]
    struct Told<'a> {
        /// The last NOTIFY that left for the first time.
        first: Option<&'a Read>,
        ended: Option<&'a Read>,
        /// The peer does not want to hear it, or does not answer.
        deaf: bool,
        open: Option<&'a Read>,
    }
    let state = |read: &Read| read.message.header("Subscription-State").unwrap_or_default().to_owned();
    let mut wrong = Vec::new();
    let mut dialogs: BTreeMap<(&str, &str), Told<'_>> = BTreeMap::new();
    let mut refers: HashMap<&str, &Read> = HashMap::new();
    let mut answered: HashSet<&str> = HashSet::new();
    let mut notifies: HashMap<&str, bool> = HashMap::new();
    for (sent, it) in evidence.seen() {
        let read = &*it.message;
        match (sent, read.method.as_str(), read.cseq_method.as_str()) {
            (false, "REFER", _) => drop(refers.insert(&read.branch, read)),
            (true, "", "REFER") if read.status < 300 && answered.insert(&read.branch) => {
                let Some(refer) = refers.get(read.branch.as_str()) else { continue };
                let quiet = refer.message.header("Refer-Sub") == Some("false");
                let told = dialogs.entry((&read.call_id, &read.from_tag)).or_default();
                if quiet {
                    if read.message.header("Refer-Sub") != Some("false") {
                        wrong.push(format!("{} does not say that nothing will be told", line(read)));
                    }
                } else {
                    if let Some(open) = told.open.filter(|_| !told.deaf) {
                        wrong.push(format!("{} while {} is open", line(read), line(open)));
                    }
                    *told = Told { open: Some(refer), ..Told::default() };
                }
            }
            (true, "NOTIFY", _) if notifies.insert(&read.branch, false).is_none() => {
                let told = dialogs.entry((&read.call_id, &read.to_tag)).or_default();
                let body = &read.message.body;
                if let Some(ended) = told.ended {
                    wrong.push(format!("{} after {}", line(read), line(ended)));
                } else if told.open.is_none() {
                    wrong.push(format!("{} that nobody asked for", line(read)));
                }
                if told.first.is_none() && !(state(read).starts_with("active") && body.starts_with("SIP/2.0 100")) {
                    wrong.push(format!("{} is the first and says {} {body}", line(read), state(read)));
                }
                told.first = told.first.or(Some(read));
                if state(read).starts_with("terminated") {
                    let last = body.as_bytes().get(8).copied();
                    if !state(read).contains("timeout") && !last.is_some_and(|digit| (b'2'..=b'6').contains(&digit)) {
                        wrong.push(format!("{} is the last and says {body}", line(read)));
                    }
                    (told.ended, told.open) = (Some(read), None);
                }
            }
            (false, "", "NOTIFY") if read.status >= 200 => {
                notifies.insert(&read.branch, true);
                if read.status >= 300
                    && let Some(told) = dialogs.get_mut(&(read.call_id.as_str(), read.to_tag.as_str()))
                {
                    told.deaf = true;
                }
            }
            _ => {}
        }
    }
    let silent: HashSet<(&str, &str)> = evidence
        .sent()
        .filter(|it| it.message.is("NOTIFY") && notifies.get(it.message.branch.as_str()) == Some(&false))
        .map(|it| (it.message.call_id.as_str(), it.message.to_tag.as_str()))
        .collect();
    for (dialog, told) in dialogs {
        if let Some(open) = told.open.filter(|_| !told.deaf && !silent.contains(&dialog)) {
            wrong.push(format!("{} was never told the end", line(open)));
        }
    }
    wrong
}
