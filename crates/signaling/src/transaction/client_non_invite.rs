//! The client transaction of every method but INVITE and ACK (RFC 3261 section 17.1.2).

use super::act::{Act, Acts, Class};
use crate::timer::{Timer, Timing};
use smallvec::smallvec;
use std::time::Duration;

/// ```text
///   start: send, E, F
///      |
///   Trying --1xx--> Proceeding        E: send again (Trying: doubling up to T2; Proceeding: every T2)
///      |               |              F: timed out, end
///      +---- final ----+
///              |
///          Completed --K--> end
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientNonInvite {
    /// Nobody has answered at all.
    Trying {
        /// What timer E waits this time.
        interval: Duration,
    },
    /// A provisional response came.
    Proceeding,
    /// A final response came.
    Completed,
}

impl ClientNonInvite {
    pub(crate) fn start(timing: &Timing) -> (Self, Acts) {
        let mut acts: Acts = smallvec![Act::Send, Act::Arm(Timer::F, timing.give_up())];
        if !timing.reliable {
            acts.push(Act::Arm(Timer::E, timing.t1));
        }
        (Self::Trying { interval: timing.t1 }, acts)
    }

    /// True until the final response; what follows is for copies alone.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Trying { .. } | Self::Proceeding)
    }

    pub(crate) fn response(&mut self, class: Class, timing: &Timing) -> Acts {
        match (*self, class) {
            (Self::Completed, _) => Acts::new(),
            (_, Class::Provisional) => {
                *self = Self::Proceeding;
                smallvec![Act::Up]
            }
            _ => {
                *self = Self::Completed;
                smallvec![
                    Act::Disarm(Timer::E),
                    Act::Disarm(Timer::F),
                    Act::Up,
                    Act::Arm(Timer::K, timing.linger(timing.t4))
                ]
            }
        }
    }

    pub(crate) fn timer(&mut self, timer: Timer, timing: &Timing) -> Acts {
        match (self, timer) {
            (Self::Trying { interval }, Timer::E) => {
                *interval = (*interval * 2).min(timing.t2);
                smallvec![Act::Repeat, Act::Arm(Timer::E, *interval)]
            }
            (Self::Proceeding, Timer::E) => smallvec![Act::Repeat, Act::Arm(Timer::E, timing.t2)],
            (Self::Trying { .. } | Self::Proceeding, Timer::F) => smallvec![Act::TimedOut, Act::End],
            (Self::Completed, Timer::K) => smallvec![Act::End],
            _ => Acts::new(),
        }
    }

    /// The network refused to carry the request.
    pub(crate) fn transport_failed(self) -> Acts {
        match self {
            Self::Trying { .. } => smallvec![Act::Failed, Act::End],
            _ => Acts::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::tests::{TIMING, arm};

    #[test]
    fn rfc3261_17_1_2_2_timer_e_doubles_up_to_t2_until_timer_f() {
        let (mut machine, acts) = ClientNonInvite::start(&TIMING);
        assert_eq!(acts[..], [Act::Send, arm(Timer::F, 32.0), arm(Timer::E, 0.5)]);
        for expected in [1.0, 2.0, 4.0, 4.0, 4.0] {
            assert_eq!(machine.timer(Timer::E, &TIMING)[..], [Act::Repeat, arm(Timer::E, expected)]);
        }
        assert_eq!(machine.timer(Timer::F, &TIMING)[..], [Act::TimedOut, Act::End]);
    }

    #[test]
    fn rfc3261_17_1_2_2_proceeding_repeats_every_t2_and_still_gives_up() {
        let (mut machine, _) = ClientNonInvite::start(&TIMING);
        assert_eq!(machine.response(Class::Provisional, &TIMING)[..], [Act::Up]);
        assert_eq!(machine.timer(Timer::E, &TIMING)[..], [Act::Repeat, arm(Timer::E, 4.0)]);
        assert_eq!(machine.timer(Timer::F, &TIMING)[..], [Act::TimedOut, Act::End]);
    }

    #[test]
    fn rfc3261_17_1_2_2_copies_of_the_final_response_are_absorbed_until_timer_k() {
        let (mut machine, _) = ClientNonInvite::start(&TIMING);
        let acts = machine.response(Class::Refusal, &TIMING);
        assert_eq!(acts[..], [Act::Disarm(Timer::E), Act::Disarm(Timer::F), Act::Up, arm(Timer::K, 5.0)]);
        assert_eq!(machine.response(Class::Refusal, &TIMING)[..], []);
        assert_eq!(machine.response(Class::Success, &TIMING)[..], []);
        assert_eq!(machine.timer(Timer::E, &TIMING)[..], []);
        assert_eq!(machine.timer(Timer::K, &TIMING)[..], [Act::End]);
    }

    #[test]
    fn rfc3261_17_1_2_2_timer_k_is_zero_on_a_reliable_transport() {
        let timing = Timing { reliable: true, ..TIMING };
        let (mut machine, acts) = ClientNonInvite::start(&timing);
        assert_eq!(acts[..], [Act::Send, arm(Timer::F, 32.0)]);
        assert_eq!(machine.response(Class::Success, &timing).last(), Some(&arm(Timer::K, 0.0)));
    }
}
