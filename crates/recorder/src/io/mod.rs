//! The shell: the thread that writes recordings, and the folder they end in.

mod active;
mod archive;
mod closer;
mod desk;
mod disk;
mod names;
mod recipients;
mod sealed;
mod spool;
#[cfg(test)]
mod tests;
mod thread;

pub use active::Beginning;
pub use archive::{Archive, ArchiveError};
pub use closer::Closer;
pub use desk::{Desk, Left, News, Order, Outcome};
pub use disk::{Disk, RealDisk, Store};
pub use recipients::{Recipient, RecipientError, Recipients};
pub use spool::Spool;
pub use thread::{Config, Gauges, Handle, Recorder};
