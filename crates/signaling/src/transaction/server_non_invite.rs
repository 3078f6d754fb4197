//! The server transaction of every method but INVITE and ACK (RFC 3261 section 17.2.2).

use super::act::{Act, Acts, Class};
use crate::timer::{Timer, Timing};
use smallvec::smallvec;

/// ```text
///  Trying --1xx from above--> Proceeding      (a copy of the request draws the last response, if there is one)
///     |                           |
///     +------ final from above ---+
///                 |
///             Completed --J--> end
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerNonInvite {
    /// Nothing was answered yet.
    Trying,
    /// A provisional response was sent.
    Proceeding,
    /// A final response was sent.
    Completed,
}

impl ServerNonInvite {
    /// True until the final response; what follows is for copies alone.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Trying | Self::Proceeding)
    }

    /// A copy of the request came.
    pub(crate) fn request(self) -> Acts {
        match self {
            Self::Trying => Acts::new(),
            Self::Proceeding | Self::Completed => smallvec![Act::Repeat],
        }
    }

    /// The user answers. What it may not say any more is dropped.
    pub(crate) fn respond(&mut self, class: Class, timing: &Timing) -> Acts {
        match (*self, class) {
            (Self::Completed, _) => Acts::new(),
            (_, Class::Provisional) => {
                *self = Self::Proceeding;
                smallvec![Act::Send]
            }
            _ => {
                *self = Self::Completed;
                smallvec![Act::Send, Act::Arm(Timer::J, timing.linger(timing.give_up()))]
            }
        }
    }

    pub(crate) fn timer(self, timer: Timer) -> Acts {
        match (self, timer) {
            (Self::Completed, Timer::J) => smallvec![Act::End],
            _ => Acts::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::tests::{TIMING, arm};

    #[test]
    fn rfc3261_17_2_2_copies_draw_nothing_before_the_first_response_and_the_last_one_after_it() {
        let mut machine = ServerNonInvite::Trying;
        assert_eq!(machine.request()[..], []);
        assert_eq!(machine.respond(Class::Provisional, &TIMING)[..], [Act::Send]);
        assert_eq!(machine.request()[..], [Act::Repeat]);
        assert_eq!(machine.respond(Class::Success, &TIMING)[..], [Act::Send, arm(Timer::J, 32.0)]);
        assert_eq!(machine.request()[..], [Act::Repeat]);
        assert_eq!(machine.respond(Class::Refusal, &TIMING)[..], [], "one final response a request");
        assert_eq!(machine.timer(Timer::J)[..], [Act::End]);
    }

    #[test]
    fn rfc3261_17_2_2_timer_j_is_zero_on_a_reliable_transport() {
        let timing = Timing { reliable: true, ..TIMING };
        assert_eq!(ServerNonInvite::Trying.respond(Class::Refusal, &timing)[..], [Act::Send, arm(Timer::J, 0.0)]);
    }
}
