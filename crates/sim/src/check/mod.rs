//! The judges. They stand outside: they see datagrams, public events, records and what is left at the end, never a core's insides, and
//! they read SIP with code of their own.

mod asked;
mod calls;
mod dialogs;
mod extensions;
mod hearing;
mod people;
mod scenes;
mod silence;
mod stranded;
mod transactions;

use crate::{
    Evidence,
    trace::{Read, Way, Wire},
};
use clock::Monotonic;
use std::{collections::HashMap, fmt, time::Duration};

/// Something that must never happen, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which checker found it.
    pub checker: &'static str,
    /// What it found.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.checker, self.what)
    }
}

/// Finds what is wrong in its field.
pub type Checker = fn(&Evidence) -> Vec<String>;

/// All of them.
pub const CHECKERS: [(&str, Checker); 34] = [
    ("one final response per INVITE", transactions::one_final_response_per_invite),
    ("every request is answered", transactions::every_request_is_answered),
    ("copies are identical", transactions::copies_are_identical),
    ("CANCEL waits for a provisional response", transactions::cancel_waits_for_a_provisional_response),
    ("every 2xx is acknowledged", dialogs::every_2xx_is_acknowledged),
    ("every 2xx is ended", dialogs::every_2xx_is_ended),
    ("CSeq rises", dialogs::cseq_rises),
    ("one open offer per dialog", dialogs::one_open_offer),
    ("reliable responses are in order", extensions::reliable_responses_are_in_order),
    ("reliable responses are acknowledged", extensions::reliable_responses_are_acknowledged),
    ("no session outlives its interval", extensions::no_session_outlives_its_interval),
    ("every REFER is followed to its end", extensions::every_refer_is_followed_to_its_end),
    ("nobody hears a leg that is not theirs", hearing::nobody_hears_a_leg_that_is_not_theirs),
    ("every call ends", calls::every_call_ends),
    ("every caller ends where they may", stranded::every_caller_ends_where_they_may),
    ("nobody waits for nothing", stranded::nobody_waits_for_nothing),
    ("whoever has the caller is there", stranded::whoever_has_the_caller_is_there),
    ("nobody stays who has no part", stranded::nobody_stays_who_has_no_part),
    ("whoever waits hears something", silence::whoever_waits_hears_something),
    ("no agent is left reserved", people::no_agent_is_left_reserved),
    ("no agent is rung twice", people::no_agent_is_rung_twice),
    ("supervisors come and go", people::supervisors_come_and_go),
    ("callbacks are kept as they are", people::callbacks_are_kept_as_they_are),
    ("every question is answered once", asked::every_question_is_answered_once),
    ("nobody is called twice", asked::nobody_is_called_twice),
    ("nobody comes in without the password", asked::nobody_comes_in_without_the_password),
    ("whoever talks elsewhere is left alone", asked::whoever_talks_elsewhere_is_left_alone),
    ("nobody is left alone", calls::nobody_is_left_alone),
    ("everybody is gone within 200 ms", calls::everybody_is_gone_within_200_ms),
    ("one CDR per call", calls::one_cdr_per_call),
    ("the CDR says what the wire says", calls::the_cdr_says_what_the_wire_says),
    ("nothing is left over", calls::nothing_is_left_over),
    ("nothing is broken", calls::nothing_is_broken),
    ("the world comes to rest", calls::the_world_comes_to_rest),
];

/// Everything that is wrong.
pub fn judge(evidence: &Evidence) -> Vec<Violation> {
    let found = |&(checker, check): &(&'static str, Checker)| {
        check(evidence).into_iter().map(move |what| Violation { checker, what })
    };
    CHECKERS.iter().flat_map(found).collect()
}

impl Evidence {
    /// What the daemon sent, in order.
    fn sent(&self) -> impl Iterator<Item = &Wire> {
        self.wire.iter().filter(|it| it.way != Way::Arrived && it.from == self.house)
    }

    /// What reached the daemon, in order.
    fn reached(&self) -> impl Iterator<Item = &Wire> {
        self.wire.iter().filter(|it| it.way == Way::Arrived && it.to == self.house)
    }

    /// Both, in order; true: sent.
    fn seen(&self) -> impl Iterator<Item = (bool, &Wire)> {
        self.wire.iter().filter_map(|it| match it.way {
            Way::Arrived => (it.to == self.house).then_some((false, it)),
            _ => (it.from == self.house).then_some((true, it)),
        })
    }

    fn ms(&self, at: Monotonic) -> u128 {
        at.since(self.start).as_millis()
    }
}

/// Which responses still find the INVITE they answer. One that comes later than 64·T1 after everything (the first try of an INVITE nobody
/// heard, its CANCEL, its first final response) belongs to no transaction any more, and nobody owes it anything.
#[derive(Debug, Default)]
struct Awaited<'a> {
    invites: HashMap<&'a str, Patience>,
}

#[derive(Copy, Clone, Debug)]
struct Patience {
    /// `None`: it rings, for as long as the caller wants.
    until: Option<Monotonic>,
    cancelled: bool,
    done: bool,
}

/// 64·T1.
const GIVE_UP: Duration = Duration::from_secs(32);

impl<'a> Awaited<'a> {
    /// Takes what is seen, in order. True for a response that is awaited.
    fn see(&mut self, sent: bool, it: &'a Wire) -> bool {
        let read = &it.message;
        let until = Some(it.at + GIVE_UP);
        if sent && read.is("INVITE") {
            self.invites.entry(&read.branch).or_insert(Patience { until, cancelled: false, done: false });
        }
        let Some(patience) = self.invites.get_mut(read.branch.as_str()) else { return false };
        if sent && read.is("CANCEL") && !patience.cancelled {
            (patience.until, patience.cancelled) = (until, true);
        }
        if sent || read.cseq_method != "INVITE" || read.status == 0 || patience.until.is_some_and(|end| it.at >= end) {
            return false;
        }
        if read.status < 200 && !patience.cancelled && !patience.done {
            patience.until = None;
        } else if read.status >= 200 && !patience.done {
            (patience.until, patience.done) = (until, true);
        }
        true
    }
}

/// One message in a line of a report.
fn line(read: &Read) -> String {
    format!("{} ({} {}, call {})", read.message.start, read.cseq, read.cseq_method, read.call_id)
}
