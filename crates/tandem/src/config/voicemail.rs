//! Section `voicemail`.

use super::{people::check_name, reader::Section, sections::Places, values};
use std::{path::PathBuf, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

/// Section `voicemail`.
#[derive(Clone, Debug)]
pub struct Voicemail {
    /// Where messages are.
    pub directory: PathBuf,
    /// How long messages are kept; zero: for ever.
    pub retention: Duration,
    /// Mailboxes, each with its name.
    pub mailboxes: Vec<(String, Mailbox)>,
}

/// A mailbox.
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// The prompt before the beep.
    pub greeting: Option<String>,
    /// How long a message may be.
    pub longest: Duration,
    /// Shorter ones are thrown away.
    pub shortest: Duration,
    /// A caller who says nothing for so long has finished.
    pub silence: Duration,
}

pub(super) fn voicemail(mut section: Section<'_>, places: &Places) -> Voicemail {
    let directory = section.or("directory", places.messages.clone(), |text| Ok(places.of(text)));
    let retention = section.duration("retention", Duration::ZERO, Duration::ZERO..=SECOND * 3_600 * 24 * 3_660);
    let mut mailboxes = Vec::new();
    for (name, mut mailbox) in section.sections("mailboxes") {
        check_name(&name, &mailbox);
        let greeting = mailbox.optional("greeting", values::clip).map(|placed| placed.value);
        let longest = mailbox.duration("max_length", SECOND * 180, SECOND * 5..=SECOND * 3_600);
        let shortest = mailbox.duration("min_length", SECOND * 2, Duration::ZERO..=SECOND * 60);
        let silence = mailbox.duration("silence", SECOND * 6, SECOND * 2..=SECOND * 60);
        if shortest >= longest {
            let why = format!("every message of `{name}` is too short");
            mailbox.wrong(None, why, Some("`min_length` is below `max_length`"));
        }
        mailbox.done();
        mailboxes.push((name, Mailbox { greeting, longest, shortest, silence }));
    }
    section.done();
    Voicemail { directory, retention, mailboxes }
}
