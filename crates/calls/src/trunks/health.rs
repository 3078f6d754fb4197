//! Whether a trunk is there: OPTIONS answers and misses, with hysteresis so that one lost packet changes nothing.

/// What one OPTIONS showed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Somebody is there and takes requests, whatever the status.
    Answer,
    /// Nobody answered in time.
    Miss,
    /// It said itself that it takes nothing (503 and the like), or the network said that nobody is there.
    Gone,
}

impl Heard {
    /// The outcome of a ping. 408, 502, 503 and 504 are what a proxy says of somebody behind it who is not there.
    pub(crate) fn of(result: Result<u16, signaling::EndedBy>) -> Self {
        match result {
            Ok(408 | 502..=504) | Err(signaling::EndedBy::Transport) => Self::Gone,
            Ok(_) => Self::Answer,
            Err(_) => Self::Miss,
        }
    }
}

/// ```text
///        `down_after` misses in a row, or gone
///   Up ─────────────────────────────────────────> Down
///      <─────────────────────────────────────────
///        `up_after` answers in a row
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It takes calls.
    Up {
        /// Misses in a row.
        misses: u32,
    },
    /// It is passed over.
    Down {
        /// Answers in a row.
        answers: u32,
    },
}

impl Health {
    /// Takes one outcome. True when it changed sides.
    pub(crate) fn hear(&mut self, heard: Heard, down_after: u32, up_after: u32) -> bool {
        let before = self.is_up();
        *self = match (*self, heard) {
            (Self::Up { .. }, Heard::Answer) => Self::Up { misses: 0 },
            (Self::Up { misses }, Heard::Miss) if misses + 1 < down_after => Self::Up { misses: misses + 1 },
            (Self::Down { answers }, Heard::Answer) if answers + 1 < up_after => Self::Down { answers: answers + 1 },
            (Self::Down { .. }, Heard::Answer) => Self::Up { misses: 0 },
            (_, Heard::Miss | Heard::Gone) => Self::Down { answers: 0 },
        };
        self.is_up() != before
    }

    pub(crate) const fn is_up(self) -> bool {
        matches!(self, Self::Up { .. })
    }

    /// Something is missed or not yet believed: the next ping need not wait its whole interval.
    pub(crate) const fn in_doubt(self) -> bool {
        matches!(self, Self::Up { misses: 1.. } | Self::Down { answers: 1.. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signaling::EndedBy;

    #[test]
    fn a_trunk_goes_down_after_misses_in_a_row_and_comes_back_after_answers_in_a_row() {
        use Heard::{Answer, Gone, Miss};
        for (story, up) in [
            (&[][..], true),
            (&[Miss], true),
            (&[Miss, Answer, Miss], true),
            (&[Miss, Miss], false),
            (&[Gone], false),
            (&[Gone, Answer], false),
            (&[Gone, Answer, Miss, Answer], false),
            (&[Gone, Answer, Answer], true),
            (&[Gone, Answer, Answer, Miss], true),
        ] {
            let mut health = Health::Up { misses: 0 };
            let changes = story.iter().filter(|heard| health.hear(**heard, 2, 2)).count();
            assert_eq!(health.is_up(), up, "{story:?}");
            assert_eq!(changes % 2 == 0, up, "{story:?}: each change is told once");
        }
    }

    #[test]
    fn a_status_shows_a_trunk_unless_it_says_that_nothing_is_taken() {
        for status in [200, 401, 403, 404, 405, 407, 420, 480, 483, 486, 500, 501] {
            assert_eq!(Heard::of(Ok(status)), Heard::Answer, "{status}");
        }
        for status in [408, 502, 503, 504] {
            assert_eq!(Heard::of(Ok(status)), Heard::Gone, "{status}");
        }
        assert_eq!(Heard::of(Err(EndedBy::Transport)), Heard::Gone);
        assert_eq!(Heard::of(Err(EndedBy::Timeout)), Heard::Miss);
    }
}
