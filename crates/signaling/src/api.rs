//! What crosses the border of this room: commands and messages in, events and messages out.
//!
//! Legs speak call control, not SIP. Bodies cross as bytes that are an offer or an answer by where they stand; nothing in
//! this room looks inside them.

use crate::{Flow, Refer, ReferRequest, Referral};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc, time::Duration};

/// One party's INVITE usage: from its INVITE to its [`Event::Ended`].
///
/// The caller of [`Command::Dial`] chooses the ids of outgoing legs, with the top bit clear; this room allocates those of
/// incoming legs, with the top bit set. An id is never used twice.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LegId(pub u64);

impl LegId {
    pub(crate) const INCOMING: u64 = 1 << 63;

    /// True for a leg whose INVITE came to us.
    pub const fn is_incoming(self) -> bool {
        self.0 & Self::INCOMING != 0
    }
}

impl fmt::Debug for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (way, number) = if self.is_incoming() { ("in", self.0 & !Self::INCOMING) } else { ("out", self.0) };
        write!(f, "{way}-{number}")
    }
}

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What comes in.
#[derive(Clone, Debug)]
pub enum Input {
    /// A datagram came, or a whole message of a stream.
    Received {
        /// Which way.
        flow: Flow,
        /// What was in it.
        bytes: Bytes,
    },
    /// The network said that nobody is there: an ICMP error, a destination the socket refused, a connection that could not be
    /// opened or broke.
    TransmitFailed {
        /// Which way.
        flow: Flow,
    },
    /// Call control wants something done.
    Command(Command),
    /// Something is wanted outside of any dialog.
    Outside(crate::OutsideCommand),
}

/// What call control can ask for.
///
/// A command for a leg that has ended, or that makes no sense in the leg's state, does nothing: the event that says why is
/// already on its way.
#[derive(Clone, Debug)]
pub enum Command {
    /// Call somebody. First event: [`Event::Dialling`], or [`Event::Ended`] when the INVITE could not be sent.
    Dial {
        /// The new leg, top bit clear.
        leg: LegId,
        /// Whom, and how.
        dial: Box<Dial>,
    },
    /// Send a provisional response toward an incoming leg.
    Progress {
        /// An incoming leg that is not answered yet.
        leg: LegId,
        /// 101 to 199.
        status: u16,
        /// A session description: early media.
        answer: Option<Bytes>,
        /// Further headers.
        headers: Vec<(String, String)>,
    },
    /// Answer an incoming leg with 200. It is repeated inside until the ACK comes ([`Event::Acked`]).
    Answer {
        /// An incoming leg that is not answered yet.
        leg: LegId,
        /// The answer, or our offer when the INVITE carried none.
        body: Option<Bytes>,
        /// Further headers.
        headers: Vec<(String, String)>,
    },
    /// Refuse an incoming leg.
    Reject {
        /// An incoming leg that is not answered yet.
        leg: LegId,
        /// 300 to 699.
        status: u16,
        /// The reason phrase; the standard one when absent.
        reason: Option<String>,
        /// Further headers (`Retry-After`, `Contact` of a redirection, `Reason`).
        headers: Vec<(String, String)>,
    },
    /// Reply to [`Event::Offer`] (re-INVITE, UPDATE, PRACK): the answer, or our offer when the event's body was `None`.
    AcceptOffer {
        /// The leg.
        leg: LegId,
        /// A session description.
        answer: Bytes,
    },
    /// Reply to [`Event::Offer`]: no. The session stays as it was.
    RefuseOffer {
        /// The leg.
        leg: LegId,
        /// 400 to 699; 488 as a rule.
        status: u16,
    },
    /// Offer a new session description: by re-INVITE, or by UPDATE while the leg is not answered yet. Outcome:
    /// [`Event::OfferDone`].
    Offer {
        /// A leg without an open offer: answered, or with an early session whose peer takes UPDATE.
        leg: LegId,
        /// A session description.
        offer: Bytes,
    },
    /// Our answer to the offer that came in a 2xx ([`Event::Answered`] of a leg dialled without an offer), sent in the ACK;
    /// or in a reliable provisional response ([`Event::Provisional`]), sent in the PRACK.
    AnswerLate {
        /// The dialled leg.
        leg: LegId,
        /// A session description.
        answer: Bytes,
    },
    /// Ask the peer to call somebody else (RFC 3515). Outcome: [`Event::Referral`].
    Refer {
        /// An answered leg.
        leg: LegId,
        /// Whom, and how.
        refer: Box<Refer>,
    },
    /// Reply to [`Event::Refer`]: we shall call. The peer is told so (202) and how it goes, first that we try. To be
    /// followed by [`Command::NotifyRefer`] up to a final status within [`crate::Config::refer_expires`], even when the leg
    /// ends meanwhile.
    AcceptRefer {
        /// The leg.
        leg: LegId,
    },
    /// Reply to [`Event::Refer`]: no.
    RefuseRefer {
        /// The leg.
        leg: LegId,
        /// 400 to 699; 603 as a rule.
        status: u16,
    },
    /// How the call stands that the peer asked for. A final status is the last; a peer that does not want to be told is not.
    NotifyRefer {
        /// The leg, which may have ended.
        leg: LegId,
        /// 101 to 699.
        status: u16,
    },
    /// End the leg by CANCEL, BYE or 487, as its state wants. May be repeated. [`Event::Ended`] follows at once; what the
    /// standard still owes the peer (CANCEL after the first provisional response, BYE after the ACK, ACK and BYE to a 200
    /// that crossed) is carried out inside.
    Hangup {
        /// Any leg.
        leg: LegId,
        /// Told to the peer in a Reason header (RFC 3326).
        reason: Option<Reason>,
    },
}

impl Command {
    /// The leg it is for.
    pub const fn leg(&self) -> LegId {
        match self {
            Self::Dial { leg, .. }
            | Self::Progress { leg, .. }
            | Self::Answer { leg, .. }
            | Self::Reject { leg, .. }
            | Self::AcceptOffer { leg, .. }
            | Self::RefuseOffer { leg, .. }
            | Self::Offer { leg, .. }
            | Self::AnswerLate { leg, .. }
            | Self::Refer { leg, .. }
            | Self::AcceptRefer { leg }
            | Self::RefuseRefer { leg, .. }
            | Self::NotifyRefer { leg, .. }
            | Self::Hangup { leg, .. } => *leg,
        }
    }
}

/// An outgoing call.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The Request-URI as text: `sip:`, `sips:` or `tel:`.
    pub target: String,
    /// Which of our listeners sends the INVITE, and where to: the trunk, or the resolved target. A datagram that would be longer
    /// than 1,300 bytes goes over TCP where there is a TCP listener, and over UDP after all where the peer has none
    /// (RFC 3261 section 18.1.1).
    pub flow: Flow,
    /// Whose certificate the next hop must show over TLS: the name that was resolved (RFC 5922). None: the address itself.
    pub peer_name: Option<Arc<str>>,
    /// Who calls. An empty URI stands for `sip:<host of the listener>`.
    pub from: Party,
    /// Who is called. An empty URI stands for the target.
    pub to: Party,
    /// Further headers, in order. Names that belong to this room (Via, From, Contact, Content-Length, …) and values that a
    /// header cannot hold (CR, LF, NUL, control characters, too long) are left out and counted, never sent.
    pub headers: Vec<(String, String)>,
    /// Our session description; none for a late offer (the 2xx then carries the peer's, see [`Command::AnswerLate`]).
    pub offer: Option<Bytes>,
    /// For challenges of the next hop, and of nobody else.
    pub credentials: Option<Credentials>,
    /// Max-Forwards of the INVITE: one less than the incoming leg's, 70 for a call of our own. 0 is not sent.
    pub max_forwards: u8,
    /// How long until the INVITE is given up when nobody answers it finally (it is then cancelled).
    pub invite_timeout: Duration,
    /// How long until it is given up when nobody has answered at all, not even by 100: [`Event::Ended`] by a timeout. None:
    /// 64·T1, as the standard has it (timer B).
    pub first_response: Option<Duration>,
    /// Its session timer (RFC 4028), where who is called is known by more than an address. None: that of the next hop's address.
    pub session_timer: Option<crate::SessionTimer>,
    /// Route headers, first hop first (RFC 3608); `next_hop` is the first one's.
    pub routes: Vec<String>,
}

/// A name and an address, as in From and To.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The display name, unquoted; empty when there is none.
    pub display: String,
    /// The URI without angle brackets and without header parameters.
    pub uri: String,
}

impl Party {
    /// The user of a `sip:` or `sips:` URI (without its parameters and password), or the number of a `tel:` URI; as
    /// written, escapes untouched.
    pub fn user(&self) -> Option<&str> {
        let (scheme, rest) = self.uri.split_once(':')?;
        let user = if scheme.eq_ignore_ascii_case("sip") || scheme.eq_ignore_ascii_case("sips") {
            rest.split_once('@')?.0.split([';', ':']).next()?
        } else if scheme.eq_ignore_ascii_case("tel") {
            rest.split(';').next()?
        } else {
            return None;
        };
        (!user.is_empty()).then_some(user)
    }
}

/// A username and password for digest challenges (RFC 3261 section 22, RFC 8760).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The realm they are for. When absent, the first realm that the leg's next hop names, and no other after that.
    pub realm: Option<String>,
    /// The username.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("realm", &self.realm)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Why a leg ended, as in a Reason header (RFC 3326).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// `SIP`, `Q.850`, …
    pub protocol: String,
    /// The protocol's cause.
    pub cause: Option<u16>,
    /// For people.
    pub text: Option<String>,
}

/// What comes out.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send a message.
    Transmit {
        /// Which way.
        flow: Flow,
        /// Whose certificate a TLS connection that must be opened for it has to show.
        peer_name: Option<Arc<str>>,
        /// A repeated message is the same buffer again.
        bytes: Bytes,
    },
    /// Something happened to a leg.
    Event {
        /// Which.
        leg: LegId,
        /// What.
        event: Event,
    },
    /// Something came of a request outside of any dialog.
    Outside {
        /// Which.
        id: crate::OutsideId,
        /// What.
        event: crate::OutsideEvent,
    },
    /// A phone registered or unregistered, or its registration expired.
    Contacts {
        /// Whose.
        account: String,
        /// Everywhere the account is registered now; empty when nowhere.
        contacts: Vec<crate::Contact>,
    },
}

/// What can happen to a leg.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new call: first event of an incoming leg. 100 is sent already. Reply by [`Command::Progress`], then
    /// [`Command::Answer`] or [`Command::Reject`], within [`crate::Config::answer_timeout`].
    Incoming(Box<Incoming>),
    /// A new call that is to take the place of one of our legs (RFC 3891): the other first event of an incoming leg. Reply
    /// as to [`Event::Incoming`]; once it is answered, [`Command::Hangup`] the leg it replaces.
    Replacing {
        /// The leg to be replaced: answered, or dialled and not answered yet.
        replaces: LegId,
        /// The call.
        incoming: Box<Incoming>,
    },
    /// The peer wants us to call somebody else (REFER). Reply by [`Command::AcceptRefer`] or [`Command::RefuseRefer`];
    /// without a reply for [`crate::Config::offer_timeout`] it is refused.
    Refer(Box<ReferRequest>),
    /// What became of a [`Command::Refer`].
    Referral(Referral),
    /// The INVITE of a dialled leg left: first event of a dialled leg.
    Dialling {
        /// Its Call-ID, for records and for finding the call by it.
        call_id: String,
    },
    /// The peer of a dialled leg rings or has something to say (101 to 199; 100 is not reported).
    Provisional {
        /// The status.
        status: u16,
        /// A session description: early media. Forks may send different ones. On a leg dialled without an offer it is the
        /// peer's offer: reply by [`Command::AnswerLate`], or the leg ends.
        body: Option<Bytes>,
    },
    /// The peer's answer to the offer that our provisional response carried, in its PRACK (RFC 3262).
    EarlyAnswer {
        /// The answer.
        body: Bytes,
    },
    /// The session must be refreshed (RFC 4028) and the peer takes no UPDATE: reply by [`Command::Offer`] of what is agreed
    /// on. Without one the session ends when its interval does.
    Refresh,
    /// The peer of a dialled leg has moved: it answered 300 to 399, and [`Event::Ended`] follows with the status.
    Redirected {
        /// The URIs of its Contacts, the most wanted first (by `q`); at most [`crate::Limits::contacts`].
        contacts: Vec<String>,
    },
    /// The peer of a dialled leg answered. The first 2xx alone is reported; those of other forks are acknowledged and ended.
    Answered {
        /// The answer; the peer's offer when the leg was dialled without one (reply by [`Command::AnswerLate`]).
        body: Option<Bytes>,
        /// Headers that [`crate::Config::passed_headers`] lets through, and every `X-…`.
        headers: Vec<(String, String)>,
    },
    /// Our 200 has not left: it waits for the PRACK of a provisional response with a session description (RFC 3262 section 3). Then it
    /// leaves ([`Self::AnswerSent`]); without the PRACK the leg ends, and was never answered.
    AnswerWaits,
    /// The 200 that waited has left.
    AnswerSent,
    /// The peer acknowledged our 200 to its INVITE or re-INVITE.
    Acked {
        /// The answer, when our 200 carried an offer.
        body: Option<Bytes>,
    },
    /// The peer wants the session changed (re-INVITE or UPDATE). Reply by [`Command::AcceptOffer`] or
    /// [`Command::RefuseOffer`]; without a reply for [`crate::Config::offer_timeout`] it is refused.
    Offer {
        /// Its offer; `None` for a re-INVITE that asks for ours.
        body: Option<Bytes>,
    },
    /// Outcome of [`Command::Offer`].
    OfferDone {
        /// The peer's answer, or the status that refused it. 491 is retried inside; it is reported only when an offer of
        /// the peer came first ([`Event::Offer`] follows) or the retries were spent.
        result: Result<Bytes, u16>,
    },
    /// An INFO request with digits (`application/dtmf-relay` or `application/dtmf`); it is answered already.
    Info {
        /// Lower case, without parameters.
        content_type: String,
        /// As sent.
        body: Bytes,
    },
    /// The leg is over. Exactly once a leg, always the last event, always.
    Ended {
        /// Who or what ended it.
        by: EndedBy,
        /// The final status that ended the INVITE, if one did; 408 for a timeout, 503 for a transport failure.
        status: Option<u16>,
        /// The peer's Reason header.
        reason: Option<Reason>,
        /// The peer's Retry-After header.
        retry_after: Option<Duration>,
    },
}

/// Who or what ended a leg.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The peer's BYE.
    Peer,
    /// [`Command::Hangup`] or [`Command::Reject`].
    Us,
    /// The caller gave up before the answer.
    Cancel,
    /// Nobody answered in time: no final response, no ACK, or no reply within the dialog.
    Timeout,
    /// The network refused to carry it.
    Transport,
    /// The peer answered the INVITE with 300 to 699.
    Refused,
    /// Nothing was sent: the dial was not valid (400), Max-Forwards was spent (483) or a limit was reached (503).
    Unsent,
}

/// A call that comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Which way the INVITE came: to which listener, from whom.
    pub flow: Flow,
    /// The trunk that has shown its password; none for a call that comes from an allowed network.
    pub gate: Option<String>,
    /// The account that a registered phone has shown its password for; none for a call that comes from an allowed network.
    pub account: Option<String>,
    /// The Request-URI as written.
    pub request_uri: String,
    /// Who calls.
    pub from: Party,
    /// Who is called, as the caller wrote it.
    pub to: Party,
    /// The Call-ID.
    pub call_id: String,
    /// The peer requires reliable provisional responses (RFC 3262): without an offer of its own, the first of ours must
    /// carry our offer.
    pub reliable: bool,
    /// Headers that [`crate::Config::passed_headers`] lets through, and every `X-…`, in order; text that is not UTF-8 is
    /// replaced, folds are one space.
    pub headers: Vec<(String, String)>,
    /// The session description; none when the caller wants ours.
    pub offer: Option<Bytes>,
    /// What is left of Max-Forwards (70 when absent): dial on with one less.
    pub max_forwards: u8,
}

impl Incoming {
    /// The first header of that name, if it was let through.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_of_a_party_is_found_in_sip_and_tel_uris() {
        let user = |uri: &str| Party { display: String::new(), uri: uri.to_owned() }.user().map(str::to_owned);
        assert_eq!(user("sip:+4930123;cpc=x:secret@example.com:5070;user=phone"), Some("+4930123".into()));
        assert_eq!(user("SIPS:alice@example.com"), Some("alice".into()));
        assert_eq!(user("tel:+49-30-123;phone-context=x"), Some("+49-30-123".into()));
        assert_eq!(user("sip:example.com"), None);
        assert_eq!(user("mailto:a@b"), None);
        assert_eq!(user(""), None);
    }

    #[test]
    fn a_password_is_never_printed() {
        let credentials = Credentials { realm: None, username: "bob".into(), password: "canary".into() };
        assert!(!format!("{credentials:?}").contains("canary"));
    }

    #[test]
    fn legs_say_which_way_they_go() {
        assert_eq!(LegId(7).to_string(), "out-7");
        assert_eq!(LegId(LegId::INCOMING | 7).to_string(), "in-7");
    }
}
