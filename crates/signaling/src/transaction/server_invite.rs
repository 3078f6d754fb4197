//! The INVITE server transaction (RFC 3261 section 17.2.1, RFC 6026 section 7.1).

use super::act::{Act, Acts, Class};
use crate::timer::{Timer, Timing};
use smallvec::smallvec;
use std::time::Duration;

/// ```text
///   INVITE: 100 at once
///      |
///  Proceeding --1xx from above--> send      (a copy of the INVITE draws the last response again)
///      |  \
///      |   2xx from above --> Accepted --L--> end      (copies of the INVITE are absorbed, ACKs go up; the user repeats the 2xx)
///  3xx-6xx
///      |
///  Completed --G--> send again, doubling up to T2      --H--> timed out, end
///      |
///     ACK
///      |
///  Confirmed --I--> end      (copies of the ACK are absorbed)
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerInvite {
    /// No final response yet.
    Proceeding,
    /// The user sent a 2xx.
    Accepted,
    /// A refusal was sent, its ACK is awaited.
    Completed {
        /// What timer G waits this time.
        interval: Duration,
    },
    /// The refusal was acknowledged.
    Confirmed,
}

impl ServerInvite {
    /// True until the final response, and for a refusal until its ACK.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Proceeding | Self::Completed { .. })
    }

    /// A copy of the INVITE came.
    pub(crate) fn request(self) -> Acts {
        match self {
            Self::Proceeding | Self::Completed { .. } => smallvec![Act::Repeat],
            Self::Accepted | Self::Confirmed => Acts::new(),
        }
    }

    /// The user answers. What it may not say any more is dropped.
    pub(crate) fn respond(&mut self, class: Class, timing: &Timing) -> Acts {
        match (*self, class) {
            (Self::Proceeding, Class::Provisional) => smallvec![Act::Send],
            (Self::Proceeding, Class::Success) => {
                *self = Self::Accepted;
                smallvec![Act::Send, Act::Arm(Timer::L, timing.give_up())]
            }
            (Self::Proceeding, Class::Refusal) => {
                *self = Self::Completed { interval: timing.t1 };
                let mut acts: Acts = smallvec![Act::Send, Act::Arm(Timer::H, timing.give_up())];
                if !timing.reliable {
                    acts.push(Act::Arm(Timer::G, timing.t1));
                }
                acts
            }
            // The user repeats its 2xx through us (RFC 6026 section 7.1).
            (Self::Accepted, Class::Success) => smallvec![Act::Repeat],
            _ => Acts::new(),
        }
    }

    /// An ACK of this transaction came.
    pub(crate) fn ack(&mut self, timing: &Timing) -> Acts {
        match *self {
            Self::Completed { .. } => {
                *self = Self::Confirmed;
                smallvec![Act::Disarm(Timer::G), Act::Disarm(Timer::H), Act::Arm(Timer::I, timing.linger(timing.t4))]
            }
            Self::Accepted => smallvec![Act::Up],
            Self::Proceeding | Self::Confirmed => Acts::new(),
        }
    }

    pub(crate) fn timer(&mut self, timer: Timer, timing: &Timing) -> Acts {
        match (self, timer) {
            (Self::Completed { interval }, Timer::G) => {
                *interval = (*interval * 2).min(timing.t2);
                smallvec![Act::Repeat, Act::Arm(Timer::G, *interval)]
            }
            (Self::Completed { .. }, Timer::H) => smallvec![Act::TimedOut, Act::End],
            (Self::Confirmed, Timer::I) | (Self::Accepted, Timer::L) => smallvec![Act::End],
            _ => Acts::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::tests::{TIMING, arm};

    #[test]
    fn rfc3261_17_2_1_a_copy_of_the_invite_draws_the_last_response_until_it_is_acknowledged() {
        let mut machine = ServerInvite::Proceeding;
        assert_eq!(machine.request()[..], [Act::Repeat]);
        assert_eq!(machine.respond(Class::Provisional, &TIMING)[..], [Act::Send]);
        assert_eq!(machine.request()[..], [Act::Repeat]);
        machine.respond(Class::Refusal, &TIMING);
        assert_eq!(machine.request()[..], [Act::Repeat]);
        machine.ack(&TIMING);
        assert_eq!(machine.request()[..], []);
    }

    #[test]
    fn rfc3261_17_2_1_timer_g_doubles_up_to_t2_until_timer_h() {
        let mut machine = ServerInvite::Proceeding;
        let acts = machine.respond(Class::Refusal, &TIMING);
        assert_eq!(acts[..], [Act::Send, arm(Timer::H, 32.0), arm(Timer::G, 0.5)]);
        for expected in [1.0, 2.0, 4.0, 4.0] {
            assert_eq!(machine.timer(Timer::G, &TIMING)[..], [Act::Repeat, arm(Timer::G, expected)]);
        }
        assert_eq!(machine.timer(Timer::H, &TIMING)[..], [Act::TimedOut, Act::End]);
    }

    #[test]
    fn rfc3261_17_2_1_the_ack_stops_the_copies_and_its_own_copies_are_absorbed_until_timer_i() {
        let mut machine = ServerInvite::Proceeding;
        machine.respond(Class::Refusal, &TIMING);
        let acts = machine.ack(&TIMING);
        assert_eq!(acts[..], [Act::Disarm(Timer::G), Act::Disarm(Timer::H), arm(Timer::I, 5.0)]);
        assert_eq!(machine.ack(&TIMING)[..], []);
        assert_eq!(machine.timer(Timer::G, &TIMING)[..], []);
        assert_eq!(machine.timer(Timer::I, &TIMING)[..], [Act::End]);
    }

    #[test]
    fn rfc3261_17_2_1_a_reliable_transport_has_no_timer_g_and_no_wait_in_i() {
        let timing = Timing { reliable: true, ..TIMING };
        let mut machine = ServerInvite::Proceeding;
        assert_eq!(machine.respond(Class::Refusal, &timing)[..], [Act::Send, arm(Timer::H, 32.0)]);
        assert_eq!(machine.ack(&timing).last(), Some(&arm(Timer::I, 0.0)));
    }

    #[test]
    fn rfc6026_7_1_accepted_absorbs_copies_of_the_invite_and_passes_acks_until_timer_l() {
        let mut machine = ServerInvite::Proceeding;
        assert_eq!(machine.respond(Class::Success, &TIMING)[..], [Act::Send, arm(Timer::L, 32.0)]);
        assert_eq!(machine.request()[..], []);
        assert_eq!(machine.ack(&TIMING)[..], [Act::Up]);
        assert_eq!(machine.respond(Class::Success, &TIMING)[..], [Act::Repeat], "the user repeats its 2xx");
        assert_eq!(machine.respond(Class::Refusal, &TIMING)[..], [], "one final response an INVITE");
        assert_eq!(machine.timer(Timer::L, &TIMING)[..], [Act::End]);
    }
}
