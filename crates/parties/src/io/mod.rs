//! Parties with sockets, on tokio.

mod audio;
mod call;
mod party;

pub use audio::{Audio, Keep, Sending, now};
pub use call::{Call, Refused, Status};
pub use party::{Party, Traced, Voice};
