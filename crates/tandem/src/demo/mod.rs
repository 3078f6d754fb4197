//! `tandem demo`: a whole handoff on this machine, every party simulated, measured from the packets.

use clap::Args;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// End with one line of JSON with everything measured.
    #[arg(long)]
    json: bool,
    /// Also show the SIP ladder.
    #[arg(long)]
    ladder: bool,
}

pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let _ = (args.json, args.ladder);
    anyhow::bail!("the demonstration is not built yet")
}
