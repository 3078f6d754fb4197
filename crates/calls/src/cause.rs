//! From how a leg ended to why, in the words of rules and events.

use crate::AiLoss;
use policy::Cause;
use signaling::EndedBy;

/// Why a human's leg that never had the caller could not take them.
///
/// RFC 3261, section 21: 486 and 600 say busy; 603, 403, 401 and 407 are refusals, 607 (RFC 8197) and 608 (RFC 8688) too;
/// 408, 480 and 487 after ringing mean nobody came; 404, 410, 484, 485, 604, 502, 503, 504 and no response at all mean no
/// way leads there.
pub(crate) fn of_attempt(by: EndedBy, status: Option<u16>) -> Cause {
    match (by, status) {
        (_, Some(486 | 600)) => Cause::Busy,
        (_, Some(603 | 403 | 401 | 407 | 433 | 607 | 608)) => Cause::Declined,
        (EndedBy::Transport, _) => Cause::Unreachable,
        (EndedBy::Unsent, Some(503)) => Cause::Unreachable,
        (EndedBy::Unsent, _) => Cause::Failed,
        (EndedBy::Timeout, _) => Cause::Unreachable,
        (_, Some(408 | 480 | 487)) => Cause::NoAnswer,
        (_, Some(404 | 410 | 416 | 484 | 485 | 604 | 502 | 503 | 504)) => Cause::Unreachable,
        (EndedBy::Us, None) => Cause::NoAnswer,
        _ => Cause::Failed,
    }
}

/// Whether an INVITE failed by its trunk's fault, so that another may carry it: nobody answered at all, the network did not
/// carry it, or a 5xx (RFC 3261, section 21.5: the server failed). 4xx and 6xx are the callee's answer.
pub(crate) fn is_of_the_trunk(by: EndedBy, status: Option<u16>) -> bool {
    match by {
        EndedBy::Transport | EndedBy::Timeout => true,
        EndedBy::Refused => matches!(status, Some(500..=599)),
        _ => false,
    }
}

/// Whether it says that the trunk takes nothing for a while, whoever calls.
pub(crate) fn is_trunk_lost(by: EndedBy, status: Option<u16>) -> bool {
    is_of_the_trunk(by, status) && (by != EndedBy::Refused || matches!(status, Some(502..=504)))
}

/// How an AI that had not answered yet was lost.
pub(crate) fn of_ai(by: EndedBy, status: Option<u16>) -> AiLoss {
    match of_attempt(by, status) {
        Cause::NoAnswer => AiLoss::NoAnswer,
        Cause::Unreachable => AiLoss::Unreachable,
        _ => AiLoss::Refused,
    }
}

/// The word for records.
pub(crate) fn ended_by(by: EndedBy) -> &'static str {
    match by {
        EndedBy::Peer => "peer",
        EndedBy::Us => "us",
        EndedBy::Cancel => "cancel",
        EndedBy::Timeout => "timeout",
        EndedBy::Transport => "transport",
        EndedBy::Refused => "refused",
        EndedBy::Unsent => "unsent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_trunk_is_tried_when_the_trunk_failed_and_never_on_the_callees_answer() {
        for status in [500, 502, 503, 504, 513, 580] {
            assert!(is_of_the_trunk(EndedBy::Refused, Some(status)), "{status}");
        }
        for status in [301, 400, 403, 404, 408, 480, 484, 486, 487, 488, 600, 603, 604, 606, 607] {
            assert!(!is_of_the_trunk(EndedBy::Refused, Some(status)), "{status}");
        }
        assert!(is_of_the_trunk(EndedBy::Transport, Some(503)) && is_of_the_trunk(EndedBy::Timeout, Some(408)));
        for by in [EndedBy::Us, EndedBy::Peer, EndedBy::Cancel, EndedBy::Unsent] {
            assert!(!is_of_the_trunk(by, Some(503)), "{by:?}");
        }
        assert!(is_trunk_lost(EndedBy::Refused, Some(503)) && !is_trunk_lost(EndedBy::Refused, Some(500)));
    }

    #[test]
    fn rfc3261_21_final_statuses_become_the_causes_of_the_rules() {
        for (status, cause) in [
            (486, Cause::Busy),
            (600, Cause::Busy),
            (603, Cause::Declined),
            (403, Cause::Declined),
            (408, Cause::NoAnswer),
            (480, Cause::NoAnswer),
            (404, Cause::Unreachable),
            (503, Cause::Unreachable),
            (488, Cause::Failed),
            (500, Cause::Failed),
            (302, Cause::Failed),
        ] {
            assert_eq!(of_attempt(EndedBy::Refused, Some(status)), cause, "{status}");
        }
        assert_eq!(of_attempt(EndedBy::Transport, None), Cause::Unreachable);
        assert_eq!(of_attempt(EndedBy::Timeout, None), Cause::Unreachable);
        assert_eq!(of_ai(EndedBy::Refused, Some(486)), AiLoss::Refused);
    }
}
