//! The real daemon against real programs and parties, over loopback: what every end-to-end test stands on.
//!
//! [`Daemon`] starts the binary with files of the test's own on a loopback address of the test's own and waits for its
//! READY notification; [`Tool`] runs SIPp and friends. Both end what they started when they are dropped.
#![forbid(unsafe_code)]

mod address;
mod bucket;
mod daemon;
mod files;
mod lossy;
mod phone;
mod rates;
pub mod recorded;
mod softphone;
mod stage;
pub mod tones;
mod tool;
mod usage;
pub mod wire;

pub use address::own_address;
pub use bucket::{Bucket, Fault};
pub use daemon::{Daemon, Files, binary};
pub use files::standard;
pub use lossy::{Outcome, Series};
pub use phone::Phone;
pub use softphone::{Program, Softphone, Who, certificates};
pub use stage::{
    AI_SAYS, CALLER_SAYS, HUMAN_SAYS, SOON, Stage, Talk, hears, hears_nothing_of, is_hung_up, sum_of_metric,
};
pub use tool::{Finished, Tool};
pub use usage::Usage;

use std::path::{Path, PathBuf};

/// The checkout's top folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests folder lies in the checkout").to_owned()
}
