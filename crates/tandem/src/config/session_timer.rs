//! Session timers (RFC 4028): of the daemon, and of a trunk that differs.

use super::reader::Section;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Keys `session_timer.*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    /// Whether sessions are timed at all.
    pub enabled: bool,
    /// The interval we ask for.
    pub expires: Duration,
    /// The smallest interval we take.
    pub min: Duration,
}

impl Default for SessionTimer {
    fn default() -> Self {
        Self { enabled: true, expires: SECOND * 1800, min: SECOND * 90 }
    }
}

/// Section `sip.session_timer`.
pub(super) fn global(section: &mut Section<'_>) -> SessionTimer {
    let mut timer = section.section("session_timer");
    let enabled = timer.flag("enabled", true);
    let read = intervals(timer, SessionTimer::default());
    SessionTimer { enabled, ..read }
}

/// Section `trunks.NAME.session_timer`; nothing when the trunk says nothing.
pub(super) fn of_trunk(section: &mut Section<'_>, global: SessionTimer) -> Option<SessionTimer> {
    let timer = section.section("session_timer");
    if !timer.is_present() {
        return None;
    }
    Some(intervals(timer, global))
}

fn intervals(mut timer: Section<'_>, default: SessionTimer) -> SessionTimer {
    // RFC 4028 section 5: nobody may ask for less than 90 s.
    let range = SECOND * 90..=SECOND * 86_400;
    let expires = timer.duration("expires", default.expires, range.clone());
    let min = timer.duration("min", default.min.min(expires), range);
    if min > expires {
        let place = timer.place();
        timer.wrong(place, "`min` is longer than `expires`", Some("we would refuse what we ask for ourselves"));
    }
    timer.done();
    SessionTimer { expires, min, ..default }
}
