//! Session timers (RFC 4028): a dialog that nobody refreshes ends by itself, whoever has vanished.

use super::{Leg, Phase, World};
use crate::{
    EndedBy, Event, Reason, SessionTimer as Policy,
    compose::{Extras, Response},
    context::Context,
    message::Request,
    slab::Id,
    timer::Timer,
    transaction::Role,
};
use serde::{Deserialize, Serialize};
use sip_codec::{Builder, Message, Method, Name};
use std::{net::IpAddr, time::Duration};

/// No interval counts that is shorter, whatever a peer says, in seconds: nobody makes us send more than this.
const SHORTEST: u32 = 30;

/// The longest time before the end of an interval at which a session that was not refreshed is ended (section 10).
const MARGIN: Duration = Duration::from_secs(32);

/// Who refreshes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refresher {
    Us,
    Peer,
}

/// The session timer of one dialog.
///
/// ```text
///  dialled    Asking --2xx with Session-Expires--> Running      --2xx without--> Off
///                `--422--> Asking for the peer's minimum
///  incoming   Asked --our 2xx--> Running                        (not asked, and the peer has no timers: none at all)
///
///  Running, we refresh        --half the interval--> UPDATE, or a re-INVITE of call control
///                                 |  2xx: Running anew   422: again, longer   408, 481, silence: BYE   else: later again
///  Running, either way        --interval - min(32 s, interval / 3)--> BYE
///  a re-INVITE or UPDATE of the peer, accepted: Running anew
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionTimer {
    policy: Policy,
    /// The largest Min-SE that a peer has named, and ours (section 8): nothing below is asked for.
    min: u32,
    state: State,
    /// The UPDATE that refreshes, while it is out.
    #[serde(skip)]
    update: Option<Id>,
    /// How often its interval had to grow, or credentials were asked for.
    tries: u8,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// Our INVITE asks for an interval.
    Asking {
        interval: u32,
    },
    /// Its INVITE asks, or may be told, what our 2xx will say.
    Asked {
        expires: Expires,
        refresher: Refresher,
    },
    Running {
        interval: u32,
        refresher: Refresher,
    },
    Off,
}

/// The headers of a message.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expires {
    interval: u32,
    /// True for `uac`: the sender of the request.
    refresher: Option<bool>,
    min: Option<u32>,
    /// `Require: timer` of a 2xx.
    require: bool,
}

impl Expires {
    pub(crate) fn write(self, builder: Builder) -> Builder {
        let Self { interval, refresher, min, require } = self;
        let mut builder = match refresher {
            None => builder.header(Name::SessionExpires, interval),
            Some(true) => builder.header(Name::SessionExpires, format_args!("{interval};refresher=uac")),
            Some(false) => builder.header(Name::SessionExpires, format_args!("{interval};refresher=uas")),
        };
        if let Some(min) = min {
            builder = builder.header(Name::MinSe, min);
        }
        if require {
            builder = builder.header(Name::Require, "timer");
        }
        builder
    }
}

/// What a message says about session timers.
struct Said {
    supported: bool,
    interval: Option<u32>,
    /// True for `uac`.
    refresher: Option<bool>,
    min: Option<u32>,
}

impl Said {
    fn by(message: &Message) -> Self {
        let (interval, refresher) = message.header(Name::SessionExpires).map_or((None, None), |value| {
            let mut parts = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let interval = parts.next().and_then(seconds);
            let refresher = parts.find_map(|part| {
                let (name, value) = part.split_at(part.iter().position(|byte| *byte == b'=')?);
                let value = value[1..].trim_ascii();
                name.trim_ascii().eq_ignore_ascii_case(b"refresher").then(|| value.eq_ignore_ascii_case(b"uac"))
            });
            (interval, refresher)
        });
        Self {
            supported: message.values(Name::Supported).any(|tag| tag.eq_ignore_ascii_case(b"timer")),
            interval,
            refresher,
            min: min_se(message),
        }
    }
}

fn min_se(message: &Message) -> Option<u32> {
    let value = message.header(Name::MinSe)?;
    seconds(value.split(|byte| *byte == b';').next()?.trim_ascii())
}

fn seconds(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// The 422 that an interval below our minimum draws; only from a peer that knows what it means (section 9). `own` is the timer of
/// the dialog that it speaks of.
pub(crate) fn too_small(cx: &Context, request: &Request, own: Option<Policy>) -> Option<Response<'static>> {
    if !cx.config.session_timer.enabled {
        return None;
    }
    request.message.header(Name::SessionExpires)?;
    let said = Said::by(&request.message);
    let least = whole_seconds(own.unwrap_or_else(|| cx.session_timer_of(request.flow.remote.ip())).min);
    let small = said.supported && said.interval.is_some_and(|interval| interval < least);
    small.then(|| Response::new(422).with(Name::MinSe, least.to_string()))
}

impl SessionTimer {
    /// Of a leg that is dialled; `own` is what its dial says.
    pub(super) fn asking(cx: &Context, peer: IpAddr, own: Option<Policy>) -> Option<Box<Self>> {
        let policy = own.map_or_else(|| cx.session_timer_of(peer), |own| cx.timed(own));
        let interval = whole_seconds(policy.expires);
        policy.enabled.then(|| Box::new(Self::new(policy, State::Asking { interval })))
    }

    /// Of a leg that comes in; nothing when its peer has no timers and nobody on the way asks for one.
    pub(super) fn asked(cx: &Context, request: &Request) -> Option<Box<Self>> {
        let policy = cx.session_timer_of(request.flow.remote.ip());
        if !policy.enabled {
            return None;
        }
        let mut timer = Self::new(policy, State::Off);
        timer.asked_by(&request.message);
        (timer.state != State::Off).then(|| Box::new(timer))
    }

    fn new(policy: Policy, state: State) -> Self {
        Self { policy, min: whole_seconds(policy.min), state, update: None, tries: 0 }
    }

    /// A request of the peer: what our 2xx will say (section 9, table 2). True when it will say anything.
    fn asked_by(&mut self, message: &Message) -> bool {
        let said = Said::by(message);
        if let Some(min) = said.min {
            self.min = self.min.max(min);
        }
        let ours = whole_seconds(self.policy.expires);
        let before = self.state;
        let interval = match said.interval {
            // An interval may be made shorter, never below the Min-SE.
            Some(asked) => asked.min(ours.max(self.min)),
            None if said.supported => ours.max(self.min),
            None => {
                self.state = State::Off;
                return false;
            }
        };
        let by_sender = match (said.supported, said.refresher) {
            // One that has no timers never refreshes: something between us asked for them.
            (false, _) => false,
            (true, Some(by_sender)) => by_sender,
            (true, None) => !matches!(before, State::Running { refresher: Refresher::Us, .. }),
        };
        let expires = Expires { interval, refresher: Some(by_sender), min: None, require: by_sender };
        self.state = State::Asked { expires, refresher: if by_sender { Refresher::Peer } else { Refresher::Us } };
        true
    }

    /// What it goes by.
    pub(super) fn policy(&self) -> Policy {
        self.policy
    }

    /// True while an UPDATE that refreshes is out.
    pub(super) fn is_refreshing(&self) -> bool {
        self.update.is_some()
    }

    /// What a request of ours says.
    fn asks(&self) -> Option<Expires> {
        let min = Some(self.min).filter(|min| *min > 90);
        let (interval, refresher) = match self.state {
            State::Asking { interval } => (interval, None),
            State::Running { interval, refresher } => (interval, Some(refresher == Refresher::Us)),
            State::Asked { expires, refresher } => (expires.interval, Some(refresher == Refresher::Us)),
            State::Off => return None,
        };
        Some(Expires { interval: interval.max(self.min), refresher, min, require: false })
    }

    /// A 422. True when asking again for longer makes sense.
    fn grow(&mut self, message: &Message) -> bool {
        let Some(least) = min_se(message).filter(|least| *least > self.min) else { return false };
        self.min = least;
        if let State::Asking { interval } | State::Running { interval, .. } = &mut self.state {
            *interval = (*interval).max(least);
        }
        self.tries += 1;
        self.tries <= 3
    }
}

impl Leg {
    /// The session timer's headers of an INVITE or UPDATE of ours.
    pub(super) fn session_asks(&self) -> Option<Expires> {
        self.session.as_ref()?.asks()
    }

    /// A 422 to an INVITE or UPDATE of ours (section 7.3). True when it may be sent again.
    pub(super) fn interval_too_small(&mut self, status: u16, message: &Message) -> bool {
        status == 422 && self.session.as_mut().is_some_and(|session| session.grow(message))
    }

    /// A re-INVITE or UPDATE of the peer is being accepted: what the 2xx says.
    pub(super) fn session_answers(&mut self, w: &mut World<'_>, message: &Message) -> Option<Expires> {
        let relevant = message.header(Name::SessionExpires).is_some() || self.session.is_some();
        if !relevant || !w.cx.config.session_timer.enabled {
            return None;
        }
        let peer = self.dialog.as_ref()?.peer();
        let policy = w.cx.session_timer_of(peer);
        let session = self.session.get_or_insert_with(|| Box::new(SessionTimer::new(policy, State::Off)));
        session.asked_by(message);
        self.session_agreed(w)
    }

    /// Our 2xx leaves: what the INVITE asked for is in force.
    pub(super) fn session_agreed(&mut self, w: &mut World<'_>) -> Option<Expires> {
        let session = self.session.as_mut()?;
        let State::Asked { expires, refresher } = session.state else {
            self.stop_session(w);
            return None;
        };
        session.state = State::Running { interval: expires.interval.max(SHORTEST), refresher };
        self.run_session(w);
        Some(expires)
    }

    /// A 2xx to an INVITE or UPDATE of ours (section 7.2).
    pub(super) fn session_answered(&mut self, w: &mut World<'_>, message: &Message) {
        let Some(session) = &mut self.session else { return };
        let said = if message.header(Name::SessionExpires).is_some() { Said::by(message).interval } else { None };
        let Some(interval) = said else {
            session.state = State::Off;
            self.stop_session(w);
            return;
        };
        let by_us = Said::by(message).refresher.unwrap_or(true);
        let refresher = if by_us { Refresher::Us } else { Refresher::Peer };
        session.state = State::Running { interval: interval.max(SHORTEST), refresher };
        self.run_session(w);
    }

    /// The interval begins anew.
    fn run_session(&mut self, w: &mut World<'_>) {
        let Some(session) = &mut self.session else { return };
        let State::Running { interval, refresher } = session.state else { return };
        session.tries = 0;
        let interval = Duration::from_secs(interval.into());
        if self.ended {
            return;
        }
        self.arm(w, Timer::Expire, interval - MARGIN.min(interval / 3));
        match refresher {
            Refresher::Us => self.arm(w, Timer::RefreshSession, interval / 2),
            Refresher::Peer => self.disarm(w, Timer::RefreshSession),
        }
    }

    pub(super) fn stop_session(&self, w: &mut World<'_>) {
        self.disarm(w, Timer::RefreshSession);
        self.disarm(w, Timer::Expire);
    }

    /// Timer [`Timer::RefreshSession`].
    pub(super) fn refresh_session(&mut self, w: &mut World<'_>) {
        if self.phase != Phase::Up || self.session.as_ref().is_none_or(|session| session.update.is_some()) {
            return;
        }
        if self.offers() {
            // What is under way, or waits for its next try after a 491, refreshes the session too (section 7.4).
            self.refresh_later(w);
        } else if self.dialog.as_ref().is_some_and(|dialog| dialog.takes_update) {
            self.send_refresh(w);
        } else {
            // A re-INVITE has a session description, which is call control's.
            self.refresh_later(w);
            self.tell(w, Event::Refresh);
        }
    }

    fn send_refresh(&mut self, w: &mut World<'_>) {
        let Some(dialog) = &mut self.dialog else { return };
        let branch = w.transactions.clients.branch(w.cx);
        let (parts, destination) = dialog.request(&w.cx.config, Method::Update, branch);
        let contact = self.contact.clone();
        let extras = Extras { contact: Some(&contact), expires: self.session_asks(), ..Extras::default() };
        let update = self.send(w, Role::Update, parts, destination, extras);
        if let Some(session) = &mut self.session {
            session.update = update;
        }
    }

    /// Another try before the session ends.
    fn refresh_later(&self, w: &mut World<'_>) {
        let Some(State::Running { interval, .. }) = self.session.as_ref().map(|session| session.state) else { return };
        self.arm(w, Timer::RefreshSession, Duration::from_secs(interval.into()) / 8);
    }

    /// A final response to an UPDATE; false when it is not the one that refreshes.
    pub(super) fn refresh_response(&mut self, w: &mut World<'_>, id: Id, status: u16, message: &Message) -> bool {
        let Some(session) = self.session.as_mut().filter(|session| session.update == Some(id)) else { return false };
        if status < 200 {
            return true;
        }
        session.update = None;
        let tries = session.tries;
        match status {
            200..300 => {
                if let Some(dialog) = &mut self.dialog {
                    dialog.refresh(message);
                }
                self.session_answered(w, message);
            }
            422 if self.interval_too_small(status, message) => self.send_refresh(w),
            401 | 407 if self.challenged(w, id, status, message, tries) => {
                if let Some(session) = &mut self.session {
                    session.tries += 1;
                }
                self.send_refresh(w);
            }
            408 | 481 => self.reinvite_failed(w, EndedBy::Peer, status),
            405 | 415 | 420 | 488 | 501 => {
                if let Some(dialog) = &mut self.dialog {
                    dialog.takes_update = false;
                }
                self.refresh_later(w);
                self.tell(w, Event::Refresh);
            }
            _ => self.refresh_later(w),
        }
        true
    }

    /// Timer [`Timer::Expire`]: the peer is gone, or nothing reaches it.
    pub(super) fn session_expired(&mut self, w: &mut World<'_>) {
        if self.phase != Phase::Up || self.ended {
            return;
        }
        self.end(w, EndedBy::Timeout, Some(408), None, None);
        let reason = Reason { protocol: "SIP".into(), cause: Some(408), text: Some("Session timer expired".into()) };
        self.bye(w, Some(reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_codec::Limits;

    fn message(headers: &str) -> Message {
        Message::parse(format!("SIP/2.0 200 OK\r\n{headers}\r\n").into(), &Limits::default()).unwrap()
    }

    fn timer() -> SessionTimer {
        SessionTimer::new(Policy::default(), State::Off)
    }

    fn answer(headers: &str) -> Option<(u32, Option<bool>, bool)> {
        let mut timer = timer();
        timer.asked_by(&message(headers)).then(|| match timer.state {
            State::Asked { expires, .. } => (expires.interval, expires.refresher, expires.require),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn rfc4028_9_table_2_says_who_refreshes() {
        assert_eq!(answer(""), None, "nobody asks");
        assert_eq!(answer("Supported: timer\r\n"), Some((1800, Some(true), true)));
        assert_eq!(answer("Session-Expires: 600\r\n"), Some((600, Some(false), false)), "never Require: timer");
        assert_eq!(answer("Supported: timer\r\nSession-Expires: 600\r\n"), Some((600, Some(true), true)));
        assert_eq!(
            answer("Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n"),
            Some((600, Some(false), false))
        );
        assert_eq!(answer("k: 100rel, timer\r\nx: 600 ; Refresher = UAC\r\n"), Some((600, Some(true), true)));
    }

    #[test]
    fn rfc4028_9_a_long_interval_is_made_shorter_but_not_below_the_min_se() {
        assert_eq!(answer("Supported: timer\r\nSession-Expires: 7200\r\n"), Some((1800, Some(true), true)));
        assert_eq!(
            answer("Supported: timer\r\nSession-Expires: 7200\r\nMin-SE: 3600\r\n"),
            Some((3600, Some(true), true))
        );
    }

    #[test]
    fn rfc4028_7_3_an_interval_grows_only_when_the_peer_names_a_larger_one() {
        let mut timer = timer();
        timer.state = State::Asking { interval: 300 };
        assert!(!timer.grow(&message("")), "a 422 must name its minimum");
        assert!(timer.grow(&message("Min-SE: 900\r\n")));
        assert_eq!(timer.asks(), Some(Expires { interval: 900, refresher: None, min: Some(900), require: false }));
        assert!(!timer.grow(&message("Min-SE: 900\r\n")), "it had its will");
    }
}
