//! `tandem demo`: a whole handoff on this machine, every party simulated, measured from the packets.
//!
//! The daemon is a child process of the same binary with the shipped files; only addresses and paths are its own. Caller, AI
//! and human are parties of `crates/parties`, which share no code with what they measure.

mod ladder;
pub(crate) mod live;
mod measure;
mod scene;
mod stage;
mod story;

use crate::cli::say;
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
    /// Also show the daemon's log.
    #[arg(long)]
    log: bool,
}

pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let stage = stage::Stage::set().await?;
        let story = story::Story::begin();
        let played = tokio::time::timeout(scene::LONGEST, scene::play(&stage, &story)).await;
        let log = stage.strike().await?;
        let show_log = || {
            if args.log || !matches!(played, Ok(Ok(_))) {
                say(&format!("\n{}", story.colour().bold("the daemon's log")));
                say(&crate::cli::plain(log.trim_end()));
            }
        };
        match &played {
            Ok(Ok(scene)) => {
                let measured = measure::Measured::of(scene);
                if args.ladder {
                    say(&ladder::draw(scene, story.colour()));
                }
                show_log();
                measured.table(story.colour()).iter().for_each(|line| say(line));
                if args.json {
                    say(&measured.json(scene).to_string());
                }
                Ok(if measured.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Ok(Err(error)) => {
                show_log();
                if args.json {
                    say(&serde_json::json!({ "ok": false, "error": format!("{error:#}") }).to_string());
                }
                anyhow::bail!("the handoff failed: {error:#}")
            }
            Err(_) => {
                show_log();
                if args.json {
                    say(&serde_json::json!({ "ok": false, "error": "the handoff took too long" }).to_string());
                }
                anyhow::bail!("the handoff took longer than {} s", scene::LONGEST.as_secs())
            }
        }
    })
}
