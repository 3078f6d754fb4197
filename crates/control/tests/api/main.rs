//! The real API on a real unix socket, with a daemon behind it that is only pretended.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod bounds;
mod browser_defence;
mod event_stream;
mod lasting;
mod openapi;
mod requests;
mod rfc9457_refusals;
mod scrapes;
mod support;
