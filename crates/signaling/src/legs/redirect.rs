//! What refusals of an INVITE say about other calls: Contacts of a redirection (RFC 3261 section 8.1.3.4), and next hops
//! that want no more for a while (section 21.5.4).

use crate::context::Context;
use clock::Monotonic;
use rustc_hash::FxHashMap;
use sip_codec::Message;
use std::{net::SocketAddr, time::Duration};

/// No peer keeps us away for longer than this, whatever its Retry-After says.
const LONGEST_REST: Duration = Duration::from_secs(300);

/// The URIs of a 3xx, the most wanted first.
pub(super) fn contacts(cx: &Context, message: &Message) -> Vec<String> {
    let mut found: Vec<(u16, String)> = message
        .contacts()
        .filter_map(Result::ok)
        .filter(|contact| contact.uri.is_sip() || contact.uri.is_tel())
        .filter_map(|contact| {
            let uri = std::str::from_utf8(contact.uri.text).ok()?.to_owned();
            Some((thousandths(contact.params().value(b"q")), uri))
        })
        // The order is by want, but a list without end is not sorted either.
        .take(cx.config.limits.contacts * 4)
        .collect();
    found.sort_by_key(|(wanted, _)| std::cmp::Reverse(*wanted));
    found.truncate(cx.config.limits.contacts);
    found.into_iter().map(|(_, uri)| uri).collect()
}

/// A `q` value in thousandths; 1 when there is none.
fn thousandths(q: Option<&[u8]>) -> u16 {
    let Some(text) = q.and_then(|q| std::str::from_utf8(q).ok()) else { return 1_000 };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if whole != "0" {
        return 1_000;
    }
    part.bytes()
        .chain(std::iter::repeat(b'0'))
        .take(3)
        .fold(0, |sum, digit| sum * 10 + u16::from(digit.wrapping_sub(b'0') % 10))
}

/// Next hops that answered 503 with Retry-After, and until when they are left alone.
#[derive(Debug, Default)]
pub(crate) struct Resting {
    until: FxHashMap<SocketAddr, Monotonic>,
}

impl Resting {
    pub(crate) fn len(&self) -> usize {
        self.until.len()
    }

    pub(crate) fn rest(&mut self, hop: SocketAddr, now: Monotonic, rest: Duration, limit: usize) {
        if rest.is_zero() || limit == 0 {
            return;
        }
        self.until.retain(|_, until| *until > now);
        if self.until.len() >= limit && !self.until.contains_key(&hop) {
            let soonest = self.until.iter().min_by_key(|(hop, until)| (**until, **hop)).map(|(hop, _)| *hop);
            self.until.remove(&soonest.unwrap_or(hop));
        }
        self.until.insert(hop, now + rest.min(LONGEST_REST));
    }

    /// How much longer a next hop rests, if it does.
    pub(crate) fn rest_of(&self, hop: SocketAddr, now: Monotonic) -> Option<Duration> {
        if self.until.is_empty() {
            return None;
        }
        self.until.get(&hop).map(|until| until.since(now)).filter(|rest| !rest.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_hop_rests_for_its_time_and_never_longer_than_five_minutes() {
        let mut resting = Resting::default();
        let (hop, now) = ("192.0.2.1:5060".parse().unwrap(), Monotonic::ORIGIN);
        resting.rest(hop, now, Duration::from_secs(10), 4);
        assert_eq!(resting.rest_of(hop, now + Duration::from_secs(4)), Some(Duration::from_secs(6)));
        assert_eq!(resting.rest_of(hop, now + Duration::from_secs(10)), None);
        resting.rest(hop, now, Duration::from_secs(100_000), 4);
        assert_eq!(resting.rest_of(hop, now), Some(LONGEST_REST));
    }

    #[test]
    fn the_table_of_resting_next_hops_is_bounded_and_forgets_the_soonest() {
        let mut resting = Resting::default();
        let hop = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
        for port in 1..=9 {
            resting.rest(hop(port), Monotonic::ORIGIN, Duration::from_secs(u64::from(10 - port) * 10), 4);
        }
        assert_eq!(resting.until.len(), 4);
        assert!(resting.rest_of(hop(1), Monotonic::ORIGIN).is_some(), "the longest is kept");
        assert!(resting.rest_of(hop(9), Monotonic::ORIGIN).is_some(), "and the newest");
    }

    #[test]
    fn rfc3261_20_10_q_values_are_thousandths() {
        let of = |text: &str| thousandths(Some(text.as_bytes()));
        assert_eq!((of("1"), of("1.0"), of("0.5"), of("0.05"), of("0"), of("0.999")), (1_000, 1_000, 500, 50, 0, 999));
        assert_eq!(thousandths(None), 1_000);
    }
}
