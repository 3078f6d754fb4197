//! The implicit subscription that a REFER makes, from both sides (RFC 3515 section 2.4, RFC 6665 section 4). The machines
//! themselves touch nothing.

use crate::{Referral, slab::Id};
use clock::Monotonic;
use sip_codec::{Message, Name, Params};
use std::time::Duration;

/// The longest that a peer's word about its subscription is taken for.
const LONGEST: Duration = Duration::from_secs(300);

/// We tell how the call stands that the peer asked us to make.
///
/// ```text
///  Asked ──accepted──> Telling ──final status──> Last ──its NOTIFY answered──> over
///    │ refused, Refer-Sub: false: over              (from both: NOTIFY refused or unanswered, expired: over)
/// ```
/// One NOTIFY is under way at a time, so that none overtakes another, and what changes meanwhile is told with the next; but
/// the last leaves at once, because a BYE may follow it.
#[derive(Debug)]
pub(super) struct Notifier {
    pub(super) state: Notifying,
    /// Of the Event header; the first REFER of a dialog needs none (RFC 3515 section 2.4.6).
    pub(super) id: Option<u32>,
    pub(super) subscribe: bool,
    pub(super) tries: u8,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notifying {
    /// The REFER waits for call control in this transaction.
    Asked(Id),
    /// The subscription is on until then.
    Telling {
        until: Monotonic,
        /// What the peer was told last.
        told: News,
        /// What it is to be told next.
        next: Option<News>,
        /// NOTIFYs that wait for their answers.
        flying: u8,
    },
}

/// How the call stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct News {
    pub(super) status: u16,
    /// Why this is the last of it: RFC 6665 section 4.1.3.
    pub(super) ends: Option<&'static str>,
}

impl News {
    pub(super) const fn of(status: u16) -> Self {
        Self { status, ends: if status >= 200 { Some("noresource") } else { None } }
    }
}

/// What follows from an answer to a NOTIFY.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    Send(News),
    Over,
}

impl Notifier {
    pub(super) const fn new(server: Id, id: Option<u32>, subscribe: bool) -> Self {
        Self { state: Notifying::Asked(server), id, subscribe, tries: 0 }
    }

    /// Call control said yes: the peer is told at once that we try (RFC 3515 section 2.4.4).
    pub(super) fn begin(&mut self, until: Monotonic) -> News {
        let told = News::of(100);
        self.state = Notifying::Telling { until, told, next: None, flying: 1 };
        told
    }

    /// There is news; `Some` when it can be sent now.
    pub(super) fn tell(&mut self, news: News) -> Option<News> {
        let Notifying::Telling { told, next, flying, .. } = &mut self.state else { return None };
        if told.ends.is_some() || *told == news {
            return None;
        }
        if *flying > 0 && news.ends.is_none() {
            *next = Some(news);
            return None;
        }
        (*told, *next, *flying) = (news, None, flying.saturating_add(1));
        Some(news)
    }

    /// The NOTIFY under way was answered with a final status.
    pub(super) fn answered(&mut self, status: u16) -> Then {
        let Notifying::Telling { told, next, flying, .. } = &mut self.state else { return Then::Nothing };
        *flying = flying.saturating_sub(1);
        if status >= 300 || (told.ends.is_some() && *flying == 0) {
            return Then::Over;
        }
        match next.take() {
            Some(news) => {
                (*told, *flying) = (news, 1);
                Then::Send(news)
            }
            None => Then::Nothing,
        }
    }

    /// What was sent last, to be sent again with credentials.
    pub(super) fn last(&self) -> Option<News> {
        match &self.state {
            Notifying::Telling { told, .. } => Some(*told),
            Notifying::Asked(_) => None,
        }
    }

    /// The value of Subscription-State.
    pub(super) fn state(&self, news: News, now: Monotonic) -> String {
        match (news.ends, &self.state) {
            (Some(reason), _) => format!("terminated;reason={reason}"),
            (None, Notifying::Telling { until, .. }) => format!("active;expires={}", until.since(now).as_secs()),
            (None, Notifying::Asked(_)) => "pending".to_owned(),
        }
    }
}

/// The peer tells how the call stands that we asked it to make.
///
/// ```text
///  Asked ──2xx or NOTIFY──> Told ──terminated──> over
///    │ refused, unanswered: over   │ final status: told, and whatever follows is answered until it ends
///    │ no subscription: over       └ no news for too long: over
/// ```
#[derive(Debug)]
pub(super) struct Follower {
    /// The number of the REFER, which may be the id in the Event header.
    pub(super) cseq: u32,
    /// What the REFER had beside its parts, for another try with credentials.
    pub(super) headers: Vec<(String, String)>,
    pub(super) timeout: Duration,
    pub(super) tries: u8,
    pub(super) state: Following,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Following {
    Asked,
    /// The status told last.
    Told {
        status: Option<u16>,
    },
    /// The outcome was told.
    Known,
}

/// A NOTIFY, read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) status: Option<u16>,
    pub(super) terminated: bool,
    pub(super) expires: Option<Duration>,
}

impl Follower {
    /// True when a NOTIFY with this Event header is about our REFER.
    pub(super) fn is_meant(&self, event: &[u8]) -> bool {
        let id = parameters(event).value(b"id");
        id.is_none_or(|id| std::str::from_utf8(id).ok().and_then(|id| id.parse().ok()) == Some(self.cseq))
    }

    /// What a NOTIFY tells call control, and for how long to wait for the next; `None`: over.
    pub(super) fn noticed(&mut self, notice: Notice) -> (Vec<Referral>, Option<Duration>) {
        let mut tell = Vec::new();
        // A NOTIFY may come before the answer to its REFER (RFC 6665 section 4.1.2.4).
        if self.state == Following::Asked {
            tell.push(Referral::Accepted { subscribed: true });
            self.state = Following::Told { status: None };
        }
        if let Following::Told { status } = &mut self.state {
            match notice.status {
                Some(new) if new >= 200 => {
                    tell.push(Referral::Done { status: Some(new) });
                    self.state = Following::Known;
                }
                _ if notice.terminated => {
                    tell.push(Referral::Done { status: None });
                    self.state = Following::Known;
                }
                Some(new) if *status != Some(new) => {
                    *status = Some(new);
                    tell.push(Referral::Progress { status: new });
                }
                _ => {}
            }
        }
        (tell, (!notice.terminated).then(|| notice.expires.map_or(self.timeout, |wait| wait.min(LONGEST))))
    }
}

/// Reads a NOTIFY of a REFER; the status that refuses one that tells nothing.
pub(super) fn notice(message: &Message, content_type: &str) -> Result<Notice, u16> {
    let state = message.header_named("Subscription-State").ok_or(400_u16)?;
    let word = state.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let expires = parameters(state).value(b"expires").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    let body = message.body();
    if !body.is_empty() && content_type != "message/sipfrag" {
        return Err(415);
    }
    Ok(Notice {
        status: sipfrag_status(body),
        terminated: word.eq_ignore_ascii_case(b"terminated"),
        expires: expires.map(Duration::from_secs),
    })
}

/// The status in the first line of a fragment (RFC 3420).
fn sipfrag_status(body: &[u8]) -> Option<u16> {
    let rest = body.trim_ascii_start().strip_prefix(b"SIP/2.0")?;
    let rest = rest.strip_prefix(b" ")?.trim_ascii_start();
    let (digits, after) = (rest.get(..3)?, rest.get(3));
    let alone = after.is_none_or(|byte| byte.is_ascii_whitespace());
    let status: u16 = std::str::from_utf8(digits).ok().filter(|_| alone)?.parse().ok()?;
    (100..700).contains(&status).then_some(status)
}

/// The package of an Event header, in lower case.
pub(super) fn package(message: &Message) -> Option<String> {
    let event = message.header(Name::Event)?;
    let word = event.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    Some(String::from_utf8_lossy(word).to_ascii_lowercase())
}

fn parameters(value: &[u8]) -> Params<'_> {
    let at = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
    Params::new(&value[at..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Slab;

    fn telling() -> Notifier {
        let mut notifier = Notifier::new(Slab::default().insert(()), None, true);
        assert_eq!(notifier.begin(Monotonic::from_nanos(0) + Duration::from_secs(60)), News::of(100));
        notifier
    }

    #[test]
    fn rfc6665_4_2_2_one_notify_is_under_way_at_a_time_and_the_newest_news_wins() {
        let mut notifier = telling();
        assert_eq!(notifier.tell(News::of(180)), None);
        assert_eq!(notifier.tell(News::of(183)), None);
        assert_eq!(notifier.answered(200), Then::Send(News::of(183)));
        assert_eq!(notifier.answered(200), Then::Nothing);
        assert_eq!(notifier.tell(News::of(183)), None, "told already");
        assert_eq!(notifier.tell(News::of(200)), Some(News::of(200)));
        assert_eq!(notifier.tell(News::of(486)), None, "nothing follows the last");
        assert_eq!(notifier.answered(200), Then::Over);
    }

    #[test]
    fn the_last_news_does_not_wait_for_the_answer_to_what_came_before() {
        let mut notifier = telling();
        assert_eq!(notifier.tell(News::of(180)), None);
        assert_eq!(notifier.tell(News::of(200)), Some(News::of(200)));
        assert_eq!(notifier.answered(200), Then::Nothing, "to the first");
        assert_eq!(notifier.answered(200), Then::Over);
    }

    #[test]
    fn rfc6665_4_2_2_a_notify_that_is_refused_ends_the_subscription() {
        for status in [481, 408, 489, 500] {
            assert_eq!(telling().answered(status), Then::Over);
        }
    }

    #[test]
    fn rfc6665_4_1_3_the_state_says_how_long_it_lasts_or_why_it_ended() {
        let notifier = telling();
        let now = Monotonic::from_nanos(0) + Duration::from_secs(15);
        assert_eq!(notifier.state(News::of(180), now), "active;expires=45");
        assert_eq!(notifier.state(News::of(486), now), "terminated;reason=noresource");
    }

    fn follower() -> Follower {
        let timeout = Duration::from_secs(30);
        Follower { cseq: 7, headers: Vec::new(), timeout, tries: 0, state: Following::Asked }
    }

    fn said(status: Option<u16>, terminated: bool) -> Notice {
        Notice { status, terminated, expires: None }
    }

    #[test]
    fn rfc6665_4_1_2_4_a_notify_before_the_answer_to_its_refer_counts() {
        let mut follower = follower();
        let (told, wait) = follower.noticed(said(Some(100), false));
        assert_eq!(told, [Referral::Accepted { subscribed: true }, Referral::Progress { status: 100 }]);
        assert_eq!(wait, Some(Duration::from_secs(30)));
        let (told, wait) = follower.noticed(said(Some(200), true));
        assert_eq!((told.as_slice(), wait), (&[Referral::Done { status: Some(200) }][..], None));
    }

    #[test]
    fn rfc3515_2_4_4_a_subscription_that_ends_without_a_final_status_says_so() {
        let mut follower = follower();
        follower.noticed(said(Some(180), false));
        assert_eq!(follower.noticed(said(Some(180), true)).0, [Referral::Done { status: None }]);
        let mut follower = self::follower();
        follower.noticed(said(Some(503), false));
        assert_eq!(follower.noticed(said(None, true)), (vec![], None), "the outcome was told already");
    }

    #[test]
    fn rfc3515_2_4_6_the_id_of_an_event_is_the_number_of_its_refer() {
        let follower = follower();
        assert!(follower.is_meant(b"refer"));
        assert!(follower.is_meant(b"refer;id=7"));
        assert!(!follower.is_meant(b"refer;id=8"));
        assert!(!follower.is_meant(b"refer;id=x"));
    }

    #[test]
    fn rfc3420_the_status_is_that_of_the_fragments_first_line() {
        assert_eq!(sipfrag_status(b"SIP/2.0 200 OK"), Some(200));
        assert_eq!(sipfrag_status(b"SIP/2.0 180 Ringing\r\nTo: x\r\n"), Some(180));
        for none in [&b""[..], b"SIP/2.0", b"SIP/2.0 20", b"SIP/2.0 2000 OK", b"SIP/2.0 099 x", b"INVITE sip:a SIP/2.0"]
        {
            assert_eq!(sipfrag_status(none), None);
        }
    }
}
