//! The story as it happens, line by line.

use crate::cli::{Colour, plain, say};
use parties::io::now;
use std::time::Duration;

/// Prints lines with the time since the beginning.
pub(super) struct Story {
    began: Duration,
    colour: Colour,
}

impl Story {
    pub(super) fn begin(title: &str) -> Self {
        let story = Self { began: now(), colour: Colour::of_stdout() };
        say(&story.colour.bold(title));
        story
    }

    pub(super) fn colour(&self) -> Colour {
        self.colour
    }

    fn line(&self, who: &str, what: &str) {
        let at = now().saturating_sub(self.began).as_secs_f64();
        say(&format!("{} {who} {}", self.colour.dim(&format!("{at:7.3}s")), plain(what).replace('\n', " ")));
    }

    /// A party does something.
    pub(super) fn party(&self, who: &str, what: &str) {
        self.line(&self.colour.blue(&format!("{who:<7}")), what);
    }

    /// Who hears whom has changed.
    pub(super) fn hears(&self, who: &str, whom: &str) {
        let at = now().saturating_sub(self.began).as_secs_f64();
        let (at, who) = (self.colour.dim(&format!("{at:7.3}s")), self.colour.blue(&format!("{who:<7}")));
        say(&format!("{at} {who} {}", self.colour.green(&format!("♪ hears {whom}"))));
    }

    /// The daemon says something.
    pub(super) fn tandem(&self, what: &str) {
        self.line(&self.colour.yellow("tandem "), what);
    }

    /// A detail of the line before.
    pub(super) fn detail(&self, what: &str) {
        say(&format!("{:17} {}", "", self.colour.dim(&plain(what))));
    }
}
