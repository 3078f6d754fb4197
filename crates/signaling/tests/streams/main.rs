//! Streams on loopback, as the engine sees them: what is shared, what is bounded, what is believed.
#![cfg(feature = "io")]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test says what it expects, plays peers by hand, and writes certificates"
)]

mod bounds;
mod carrying;
mod keep_alive;
mod shell;
mod tls;
