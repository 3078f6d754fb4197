//! `tandem completions`.

use clap::Args;
use std::{io, process::ExitCode};

#[derive(Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell.
    shell: clap_complete::Shell,
}

#[expect(clippy::unnecessary_wraps, reason = "every command answers the same")]
pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    clap_complete::generate(args.shell, &mut super::definition(), "tandem", &mut io::stdout().lock());
    Ok(ExitCode::SUCCESS)
}
