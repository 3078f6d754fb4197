//! Sections `ledger` and `callbacks`: what outlives the daemon, and who may be called back.

use super::{reader::Section, sections::Places, types::Trunk, values};
use std::{path::PathBuf, time::Duration};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// The longest that anything is kept.
const LONGEST: Duration = Duration::from_secs(24 * 3_600 * 3_660);

/// Section `ledger`.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Its file.
    pub path: PathBuf,
    /// How long ended calls are kept.
    pub keep_calls: Duration,
    /// How many of them at the most.
    pub most_calls: u64,
    /// How long callbacks are kept that are done.
    pub keep_callbacks: Duration,
    /// How long messages are kept.
    pub keep_messages: Duration,
    /// How many of them at the most.
    pub most_messages: u64,
}

pub(super) fn ledger(mut section: Section<'_>, places: &Places) -> Ledger {
    let path = section.or("path", places.ledger.clone(), |text| Ok(places.of(text)));
    let keep_calls = section.duration("keep_calls", DAY * 30, SECOND * 3_600..=LONGEST);
    let most_calls = section.number("most_calls", 1_000_000, 1_000..=1_000_000_000);
    let keep_callbacks = section.duration("keep_callbacks", DAY * 90, SECOND * 3_600..=LONGEST);
    let keep_messages = section.duration("keep_messages", DAY * 90, SECOND * 3_600..=LONGEST);
    let most_messages = section.number("most_messages", 100_000, 1_000..=1_000_000_000);
    section.done();
    Ledger { path, keep_calls, most_calls, keep_callbacks, keep_messages, most_messages }
}

pub(super) fn callbacks(mut section: Section<'_>, trunks: &[Trunk]) -> calls::Callbacks {
    let allow = section.list("allow", values::number_prefix).unwrap_or_default();
    let trunk = section.optional("trunk", values::name);
    if let Some(named) = &trunk {
        match trunks.iter().find(|trunk| trunk.name == named.value) {
            None => section.wrong(named.place, format!("there is no trunk `{}`", named.value), None),
            Some(trunk) if trunk.address.is_none() || trunk.tel.is_empty() => {
                let help = "it needs `address` and `tel: [\"+49\"]`";
                section.wrong(named.place, format!("the trunk `{}` carries no numbers", named.value), Some(help));
            }
            Some(_) => {}
        }
    }
    let ring_timeout = section.duration("ring_timeout", SECOND * 30, SECOND * 5..=SECOND * 180);
    let claim_lapses = section.duration("claim_lapses", SECOND * 1_800, Duration::ZERO..=DAY * 7);
    let most = section.number("most", 10_000, 1..=100_000);
    section.done();
    calls::Callbacks {
        allow: allow.into_iter().map(|placed| placed.value).collect(),
        trunk: trunk.map(|placed| placed.value),
        ring_timeout,
        claim_lapses,
        most: usize::try_from(most).unwrap_or(usize::MAX),
    }
}
