//! `tandem demo`: a whole handoff on this machine, every party simulated, measured from the packets.
//!
//! The daemon is a child process of the same binary with the shipped files; only addresses and paths are its own. Caller, AI
//! and human are parties of `crates/parties`, which share no code with what they measure.

mod bank;
mod ladder;
pub(crate) mod live;
mod measure;
mod scene;
mod stage;
mod story;

use crate::cli::{Colour, say, warn};
use clap::Args;
use serde_json::Value;
use stage::Stage;
use std::{path::PathBuf, process::ExitCode};
use story::Story;

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Which story is played; without a name, the names are listed.
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_value = "handoff", default_missing_value = "")]
    story: String,
    /// Keep the recording of a story that is recorded (bank) as this WAV file.
    #[arg(long, value_name = "PATH")]
    keep: Option<PathBuf>,
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

/// The stories, and what each is about.
#[derive(Clone, Copy, PartialEq)]
enum Tale {
    Handoff,
    Bank,
}

impl Tale {
    const ALL: [(Self, &str, &str); 2] = [
        (
            Self::Handoff,
            "handoff",
            "an AI that does not understand three times hands its caller to the front desk, cold",
        ),
        (
            Self::Bank,
            "bank",
            "an angry bank caller with an unknown payment reaches a fraud specialist who knows why, warm and recorded",
        ),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(tale, ..)| *tale)
    }
}

/// What came of it.
struct Told {
    ladder: ladder::Ladder,
    table: Vec<String>,
    json: Value,
    good: bool,
}

pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let Some(tale) = Tale::named(&args.story) else {
        let list = Tale::ALL.map(|(_, name, about)| format!("  {name:<10} {about}")).join("\n");
        if args.story.is_empty() {
            say(&format!("stories (tandem demo --story NAME):\n{list}"));
            return Ok(ExitCode::SUCCESS);
        }
        warn(&format!("there is no story `{}`; there are:\n{list}", crate::cli::plain(&args.story)));
        return Ok(ExitCode::FAILURE);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let stage = Stage::set(tale == Tale::Bank).await?;
        let story = Story::begin(match tale {
            Tale::Handoff => "A caller, an AI agent and a human, all simulated; SIP and RTP over loopback are real.",
            Tale::Bank => "An angry bank caller, an AI agent and a fraud specialist, all simulated; SIP, RTP and the screen's WebSocket are real.",
        });
        let colour = story.colour();
        let told = tokio::time::timeout(scene::LONGEST, tell(tale, &stage, &story, args)).await;
        let log = stage.strike().await?;
        if args.ladder && let Ok(Ok(told)) = &told {
            say(&ladder::draw(&told.ladder, colour));
        }
        if args.log || !matches!(told, Ok(Ok(_))) {
            say(&format!("\n{}", colour.bold("the daemon's log")));
            say(&crate::cli::plain(log.trim_end()));
        }
        let failed = match told {
            Ok(Ok(told)) => {
                told.table.iter().for_each(|line| say(line));
                if args.json {
                    say(&told.json.to_string());
                }
                return Ok(if told.good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => format!("it took longer than {} s", scene::LONGEST.as_secs()),
        };
        if args.json {
            say(&serde_json::json!({ "ok": false, "error": failed }).to_string());
        }
        anyhow::bail!("the handoff failed: {failed}")
    })
}

async fn tell(tale: Tale, stage: &Stage, story: &Story, args: &DemoArgs) -> anyhow::Result<Told> {
    let colour: Colour = story.colour();
    match tale {
        Tale::Handoff => {
            let scene = scene::play(stage, story).await?;
            let measured = measure::Measured::of(&scene);
            let (table, json, good) = (measured.table(colour), measured.json(&scene), measured.is_good());
            Ok(Told { table, json, good, ladder: scene.ladder })
        }
        Tale::Bank => {
            let scene = bank::play(stage, story, args.keep.as_ref()).await?;
            let measured = bank::Measured::of(&scene)?;
            let (table, json, good) = (measured.table(colour), measured.json(), measured.is_good());
            Ok(Told { table, json, good, ladder: scene.ladder })
        }
    }
}
