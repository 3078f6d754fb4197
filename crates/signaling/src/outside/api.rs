//! What crosses the border about requests outside of a dialog.

use crate::{Credentials, EndedBy, Flow, Party};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// One OPTIONS under way, or one registration that is kept. Chosen by who asks; free again once it is over.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OutsideId(pub u64);

/// What can be asked for outside of a dialog.
#[derive(Clone, Debug)]
pub enum OutsideCommand {
    /// Ask a peer whether it is there. Outcome: [`OutsideEvent::Pong`], after [`Ping::timeout`] at the latest. While one is
    /// under way under this id, another is not begun.
    Ping {
        /// Its name.
        id: OutsideId,
        /// Whom, and how.
        ping: Box<Ping>,
    },
    /// Register with a peer and stay registered: [`OutsideEvent::Registered`] and [`OutsideEvent::RegistrationFailed`] follow,
    /// as often as either happens, until [`Self::Unregister`]. For a registration that is kept already, the new order holds
    /// from its next request on.
    Register {
        /// Its name.
        id: OutsideId,
        /// Where, as whom, and how.
        order: Box<Register>,
    },
    /// Requests from these addresses are let in, beside [`crate::Config::allowed`]: a trunk that is known by name was found
    /// there. Replaces what was let in under this id; there is no event.
    Allow {
        /// Its name.
        id: OutsideId,
        /// At most sixteen count.
        addresses: Vec<IpAddr>,
        /// The session timer of what comes from there; none: that of everybody, unless [`crate::Config::session_timers`] names it.
        session_timer: Option<crate::SessionTimer>,
    },
    /// Ask a peer to tell how something stands, and go on asking: [`OutsideEvent::Notified`] and
    /// [`OutsideEvent::SubscriptionFailed`] follow, as often as either happens, until [`Self::Unsubscribe`]. While one is kept under
    /// this id, another is not begun.
    Subscribe {
        /// Its name.
        id: OutsideId,
        /// Whom, and about what.
        order: Box<Subscribe>,
    },
    /// End a subscription. [`OutsideEvent::Unsubscribed`] follows, whatever the peer says.
    Unsubscribe {
        /// Its name.
        id: OutsideId,
    },
    /// Take a registration back. [`OutsideEvent::Unregistered`] follows, whatever the peer says.
    Unregister {
        /// Its name.
        id: OutsideId,
    },
}

/// An OPTIONS request (RFC 3261 section 11).
#[derive(Clone, Debug)]
pub struct Ping {
    /// The Request-URI and the To.
    pub target: String,
    /// Which of our listeners sends it, and where to.
    pub flow: Flow,
    /// Whose certificate the peer must show over TLS (see [`crate::Dial::peer_name`]).
    pub peer_name: Option<Arc<str>>,
    /// Who asks. An empty URI stands for `sip:<host of the listener>`.
    pub from: Party,
    /// Without any response for this long, nobody is there.
    pub timeout: Duration,
}

/// A registration (RFC 3261 section 10.2).
#[derive(Clone, Debug)]
pub struct Register {
    /// The Request-URI: `sip:` and the registrar's domain.
    pub registrar: String,
    /// The address-of-record, `sip:user@domain`: To and From.
    pub address: Party,
    /// Which of our listeners sends it and is the Contact, and where to.
    pub flow: Flow,
    /// Whose certificate the registrar must show over TLS (see [`crate::Dial::peer_name`]).
    pub peer_name: Option<Arc<str>>,
    /// The user of our Contact: what calls through this registration have in their Request-URI.
    pub contact_user: String,
    /// How long a registration is asked for, in whole seconds; the registrar may grant less, or ask for more (423).
    pub expires: Duration,
    /// For the registrar's challenges, and for nobody else's.
    pub credentials: Option<Credentials>,
    /// How long to wait after a first failure; doubled after each further one up to half an hour (RFC 5626 section 4.5).
    pub retry: Duration,
}

/// A subscription (RFC 6665).
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// The Request-URI and the To.
    pub target: String,
    /// Which of our listeners sends it and is the Contact, and where to.
    pub flow: Flow,
    /// Whose certificate the peer must show over TLS (see [`crate::Dial::peer_name`]).
    pub peer_name: Option<Arc<str>>,
    /// Who asks. An empty URI stands for `sip:<host of the listener>`.
    pub from: Party,
    /// The event package, like `dialog` (RFC 4235).
    pub package: &'static str,
    /// The only media type that is taken, in lower case, like `application/dialog-info+xml`.
    pub accept: &'static str,
    /// How long a subscription is asked for, in whole seconds; the peer may grant less, or ask for more (423).
    pub expires: Duration,
    /// For the peer's challenges, and for nobody else's.
    pub credentials: Option<Credentials>,
    /// How long to wait after a first failure; doubled after each further one up to half an hour.
    pub retry: Duration,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutsideEvent {
    /// The outcome of [`OutsideCommand::Ping`]: the final status, or why there was none.
    Pong {
        /// 200 to 699, or timeout, transport failure, not sent.
        result: Result<u16, EndedBy>,
    },
    /// The registrar knows us.
    Registered {
        /// For how long; it is renewed before.
        expires: Duration,
        /// The Route that requests through this registrar take, first hop first (RFC 3608).
        service_route: Vec<String>,
    },
    /// A request to register or to renew was refused, or not answered.
    RegistrationFailed {
        /// Why.
        by: EndedBy,
        /// The final status, if one came.
        status: Option<u16>,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The registration was taken back; nothing follows.
    Unregistered,
    /// A peer tells how what was subscribed to stands.
    Notified {
        /// Of the type that was asked for; never empty.
        body: Bytes,
    },
    /// A subscription was refused, not answered, or ended by the peer: what was told is no longer known to be so.
    SubscriptionFailed {
        /// Why; [`EndedBy::Peer`] by a NOTIFY.
        by: EndedBy,
        /// The final status, if one came.
        status: Option<u16>,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The subscription was ended; nothing follows.
    Unsubscribed,
}
