//! `tandem serve`: the daemon.

pub(crate) mod cdr;
pub(crate) mod logging;
pub(crate) mod outbox;
