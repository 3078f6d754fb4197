//! Every timer of the room, by name.

use crate::slab::Id;
use std::time::Duration;

/// Whose timer it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Owner {
    /// A client transaction.
    Client(Id),
    /// A server transaction.
    Server(Id),
    /// A leg.
    Leg(Id),
    /// A usage outside of any dialog.
    Outside(Id),
}

/// The timers of RFC 3261 (table 4) and RFC 6026 by their letters, then those of the usages above the transactions.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// When an INVITE that nobody has answered at all is sent again: T1, doubling.
    A,
    /// When an INVITE that nobody has answered at all is given up: 64·T1.
    B,
    /// When an INVITE that has only been answered provisionally is given up and cancelled: the dial's `invite_timeout`. (A
    /// proxy's timer in the standard; a B2BUA owes its callers the same.)
    C,
    /// When an INVITE that nobody has answered at all is given up before timer B: the dial's `first_response`.
    Unheard,
    /// When an INVITE's client transaction has acknowledged a refusal long enough: 32 s.
    D,
    /// When a request other than INVITE is sent again: T1, doubling up to T2.
    E,
    /// When a request other than INVITE is given up: 64·T1.
    F,
    /// When our refusal of an INVITE is sent again: T1, doubling up to T2.
    G,
    /// When the ACK to our refusal of an INVITE is no longer waited for: 64·T1.
    H,
    /// When copies of the ACK to our refusal have had time to arrive: T4.
    I,
    /// When copies of a request other than INVITE have had time to arrive after its final response: 64·T1.
    J,
    /// When copies of the final response to a request other than INVITE have had time to arrive: T4.
    K,
    /// When copies of an INVITE have had time to arrive after its 2xx: 64·T1 (RFC 6026).
    L,
    /// When copies of a 2xx, and 2xx of other forks, have had time to arrive: 64·T1 (RFC 6026).
    M,
    /// When our 2xx to an INVITE or re-INVITE that was not acknowledged is sent again: T1, doubling up to T2 (13.3.1.4).
    Repeat2xx,
    /// When the ACK to our 2xx is no longer waited for and the call is ended: 64·T1 (13.3.1.4).
    AwaitAck,
    /// When a provisional response is repeated so that proxies on the way keep waiting: one minute (13.3.1.1).
    KeepRinging,
    /// When call control has left an INVITE without a final answer for too long.
    Answer,
    /// When call control has left a peer's offer without a reply for too long.
    OfferReply,
    /// When call control has left the offer in a 2xx without an answer for too long: the ACK must go.
    LateAnswer,
    /// When a cancelled INVITE that still has no final response is forgotten: 64·T1 (9.1).
    CancelGrace,
    /// When a re-INVITE that lost against the peer's is tried again (14.1).
    Glare,
    /// When our re-INVITE, answered only provisionally, is given up.
    ReInvite,
    /// When an OPTIONS without any response counts as unanswered.
    Pong,
    /// When a registration is renewed, or tried again.
    Refresh,
    /// When call control has left a peer's REFER without a reply for too long.
    ReferReply,
    /// When the peer has been told long enough how the call stands that it asked for: `refer_expires`.
    ReferExpires,
    /// When a peer that was asked to call somebody has told nothing for too long.
    Referral,
    /// When a provisional response that no PRACK has acknowledged is sent again: T1, doubling (RFC 3262 section 3).
    RepeatReliable,
    /// When the PRACK to a provisional response is no longer waited for and its INVITE is refused: 64·T1.
    AwaitPrack,
    /// When we refresh the session: half its interval (RFC 4028 section 10).
    RefreshSession,
    /// When a session that nobody has refreshed is ended: 32 s, or a third of its interval, before it expires.
    Expire,
}

impl Timer {
    /// Nothing happens on the wire and nobody is told when it fires: memory kept for late copies is let go. Later is as good.
    pub(crate) const fn only_clears_away(self) -> bool {
        matches!(self, Self::D | Self::I | Self::J | Self::K | Self::L | Self::M)
    }
}

/// The intervals that the transaction machines need.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Timing {
    pub(crate) t1: Duration,
    pub(crate) t2: Duration,
    pub(crate) t4: Duration,
    /// The transport repeats what is lost: no copies of ours, no waiting for theirs.
    pub(crate) reliable: bool,
}

impl Timing {
    /// 64·T1: how long anything is tried.
    pub(crate) fn give_up(&self) -> Duration {
        self.t1 * 64
    }

    /// `wait` for copies to arrive, which a reliable transport does not make.
    pub(crate) fn linger(&self, wait: Duration) -> Duration {
        if self.reliable { Duration::ZERO } else { wait }
    }
}
