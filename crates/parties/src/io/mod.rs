//! Parties with sockets, on tokio.

mod audio;

pub use audio::{Audio, Keep, Sending, now};
