//! `tandem serve`: the daemon.

mod bridge;
pub(crate) mod cdr;
mod control_socket;
mod inbox;
pub(crate) mod logging;
pub(crate) mod outbox;
mod process;
mod resolver;
mod story;
mod teller;
mod wiring;

use std::{path::Path, process::ExitCode};

pub(crate) fn run(path: &Path, demo: bool) -> anyhow::Result<ExitCode> {
    let configuration = crate::config::load(path, &crate::config::Environment::of_process())?;
    let _ = (configuration, demo);
    anyhow::bail!("the engine is not built yet")
}
