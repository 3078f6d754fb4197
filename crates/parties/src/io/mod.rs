//! Parties with sockets, on tokio.

mod agent;
mod audio;
mod call;
mod control;
mod demo;
mod dialog;
mod incoming;
mod outgoing;
mod party;

pub use audio::{Audio, Keep, Sending, now};
pub use call::{Call, Refused, Status};
pub use control::{Answer, ControlClient, ControlError, Events};
pub use demo::{Demo, KEYS};
pub use party::{Party, Traced, Voice};
