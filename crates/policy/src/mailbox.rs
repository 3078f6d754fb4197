//! Mailboxes as destinations: declared ones, and each mailbox of tandem.yaml by `voicemail:NAME`, without a declaration.

use crate::{
    ruleset::RuleSet,
    transfer::{Destination, Place, TransferOptions},
};
use std::sync::Arc;

/// Which mailbox is meant where none is named.
pub const DEFAULT_MAILBOX: &str = "default";

/// The mailbox that a destination's name is of: `voicemail:NAME`, or `voicemail` for the default one.
pub fn mailbox_of(destination: &str) -> Option<&str> {
    if destination == "voicemail" {
        return Some(DEFAULT_MAILBOX);
    }
    destination.strip_prefix("voicemail:").filter(|mailbox| !mailbox.is_empty())
}

/// The destination's name that stands for a mailbox.
pub(crate) fn name_of(mailbox: &str) -> Arc<str> {
    format!("voicemail:{mailbox}").into()
}

impl RuleSet {
    /// Whether a destination, or a mailbox, goes by this name.
    pub fn knows(&self, destination: &str) -> bool {
        self.destinations.contains_key(destination) || self.mailbox(destination).is_some()
    }

    /// The destination that nobody declared, of a mailbox that is there.
    pub(crate) fn mailbox(&self, destination: &str) -> Option<Destination> {
        let mailbox = mailbox_of(destination)?;
        let there = self.mailboxes.as_ref().is_none_or(|known| known.contains(mailbox));
        there.then(|| Destination {
            name: name_of(mailbox),
            place: Place::Voicemail { mailbox: mailbox.into() },
            hours: None,
            options: TransferOptions::default(),
        })
    }
}
