//! Any ERROR the daemon logs fails the run: a subscriber that counts them and is deaf to everything else.

use std::cell::Cell;
use tracing::{
    Event, Level, Metadata, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
};

thread_local! {
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

/// How many ERRORs were logged while `act` ran.
pub(crate) fn count(act: impl FnOnce()) -> u64 {
    SEEN.set(0);
    tracing::subscriber::with_default(Counter, act);
    SEEN.get()
}

struct Counter;

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        SEEN.set(SEEN.get() + 1);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
