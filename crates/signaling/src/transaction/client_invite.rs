//! The INVITE client transaction (RFC 3261 section 17.1.1, RFC 6026 section 7.2).

use super::act::{Act, Acts, Class};
use crate::timer::{Timer, Timing};
use smallvec::smallvec;
use std::time::Duration;

/// ```text
///            start: send, A, B
///               |
///            Calling --A--> send again, A doubles      --B--> timed out, end
///           /   |   \
///        1xx   2xx   3xx-6xx
///         |     |      |
///  Proceeding --2xx--> Accepted --M--> end     (each 2xx goes up: copies, forks)
///         |
///         +--3xx-6xx--> Completed --D--> end   (each refusal is acknowledged)
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientInvite {
    /// Nobody has answered at all.
    Calling {
        /// What timer A waits this time.
        interval: Duration,
    },
    /// A provisional response came.
    Proceeding,
    /// A 2xx came.
    Accepted,
    /// A refusal came.
    Completed,
}

impl ClientInvite {
    pub(crate) fn start(timing: &Timing) -> (Self, Acts) {
        let mut acts: Acts = smallvec![Act::Send, Act::Arm(Timer::B, timing.give_up())];
        if !timing.reliable {
            acts.push(Act::Arm(Timer::A, timing.t1));
        }
        (Self::Calling { interval: timing.t1 }, acts)
    }

    /// True until the final response; what follows is for copies alone.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Calling { .. } | Self::Proceeding)
    }

    pub(crate) fn response(&mut self, class: Class, timing: &Timing) -> Acts {
        let mut acts = Acts::new();
        let waiting = matches!(self, Self::Calling { .. } | Self::Proceeding);
        if matches!(self, Self::Calling { .. }) {
            acts.extend([Act::Disarm(Timer::A), Act::Disarm(Timer::B)]);
        }
        match (*self, class) {
            (Self::Calling { .. } | Self::Proceeding, Class::Provisional) => {
                *self = Self::Proceeding;
                acts.push(Act::Up);
            }
            (_, Class::Success) if waiting => {
                *self = Self::Accepted;
                acts.extend([Act::Up, Act::Arm(Timer::M, timing.give_up())]);
            }
            (_, Class::Refusal) if waiting => {
                *self = Self::Completed;
                let linger = timing.linger(timing.give_up().max(Duration::from_secs(32)));
                acts.extend([Act::Acknowledge, Act::Up, Act::Arm(Timer::D, linger)]);
            }
            (Self::Accepted, Class::Success) => acts.push(Act::Up),
            (Self::Completed, Class::Refusal) => acts.push(Act::Acknowledge),
            _ => {}
        }
        acts
    }

    pub(crate) fn timer(&mut self, timer: Timer) -> Acts {
        match (self, timer) {
            (Self::Calling { interval }, Timer::A) => {
                *interval *= 2;
                smallvec![Act::Repeat, Act::Arm(Timer::A, *interval)]
            }
            (Self::Calling { .. }, Timer::B) => smallvec![Act::TimedOut, Act::End],
            (Self::Completed, Timer::D) | (Self::Accepted, Timer::M) => smallvec![Act::End],
            _ => Acts::new(),
        }
    }

    /// The network refused to carry the request or our ACK.
    pub(crate) fn transport_failed(self) -> Acts {
        match self {
            Self::Calling { .. } => smallvec![Act::Failed, Act::End],
            _ => Acts::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::tests::{TIMING, arm, seconds};

    fn calling() -> ClientInvite {
        ClientInvite::start(&TIMING).0
    }

    #[test]
    fn rfc3261_17_1_1_2_start_sends_and_arms_a_and_b() {
        let (machine, acts) = ClientInvite::start(&TIMING);
        assert_eq!(acts[..], [Act::Send, arm(Timer::B, 32.0), arm(Timer::A, 0.5)]);
        assert_eq!(machine, ClientInvite::Calling { interval: seconds(0.5) });
    }

    #[test]
    fn rfc3261_17_1_1_2_a_reliable_transport_has_no_timer_a() {
        let (_, acts) = ClientInvite::start(&Timing { reliable: true, ..TIMING });
        assert_eq!(acts[..], [Act::Send, arm(Timer::B, 32.0)]);
    }

    #[test]
    fn rfc3261_17_1_1_2_timer_a_doubles_until_timer_b() {
        let mut machine = calling();
        for expected in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0] {
            assert_eq!(machine.timer(Timer::A)[..], [Act::Repeat, arm(Timer::A, expected)]);
        }
        assert_eq!(machine.timer(Timer::B)[..], [Act::TimedOut, Act::End]);
    }

    #[test]
    fn rfc3261_17_1_1_2_a_provisional_response_stops_the_copies_and_timer_b() {
        let mut machine = calling();
        let acts = machine.response(Class::Provisional, &TIMING);
        assert_eq!(acts[..], [Act::Disarm(Timer::A), Act::Disarm(Timer::B), Act::Up]);
        assert_eq!(machine.timer(Timer::A)[..], []);
        assert_eq!(machine.timer(Timer::B)[..], []);
        assert_eq!(machine.response(Class::Provisional, &TIMING)[..], [Act::Up]);
    }

    #[test]
    fn rfc3261_17_1_1_2_each_refusal_is_acknowledged_but_goes_up_once() {
        let mut machine = calling();
        machine.response(Class::Provisional, &TIMING);
        let first = machine.response(Class::Refusal, &TIMING);
        assert_eq!(first[..], [Act::Acknowledge, Act::Up, arm(Timer::D, 32.0)]);
        assert_eq!(machine.response(Class::Refusal, &TIMING)[..], [Act::Acknowledge]);
        assert_eq!(machine.response(Class::Provisional, &TIMING)[..], []);
        assert_eq!(machine.response(Class::Success, &TIMING)[..], [], "a 2xx after a refusal is stray");
        assert_eq!(machine.timer(Timer::D)[..], [Act::End]);
    }

    #[test]
    fn rfc6026_7_2_each_2xx_goes_up_until_timer_m() {
        let mut machine = calling();
        let first = machine.response(Class::Success, &TIMING);
        assert_eq!(first[..], [Act::Disarm(Timer::A), Act::Disarm(Timer::B), Act::Up, arm(Timer::M, 32.0)]);
        assert_eq!(machine.response(Class::Success, &TIMING)[..], [Act::Up]);
        assert_eq!(machine.response(Class::Provisional, &TIMING)[..], []);
        assert_eq!(machine.response(Class::Refusal, &TIMING)[..], []);
        assert_eq!(machine.timer(Timer::M)[..], [Act::End]);
    }

    #[test]
    fn rfc3261_17_1_4_a_transport_failure_ends_it_only_while_nobody_has_answered() {
        assert_eq!(calling().transport_failed()[..], [Act::Failed, Act::End]);
        let mut machine = calling();
        machine.response(Class::Provisional, &TIMING);
        assert_eq!(machine.transport_failed()[..], []);
    }
}
