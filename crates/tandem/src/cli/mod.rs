//! The command line.

mod agents;
mod call;
mod callbacks;
mod calls;
mod check;
mod client;
mod completions;
mod event;
mod messages;
mod recordings;
mod supervise;
mod terminal;
mod transfer;
mod trunks;
mod voicemails;

use clap::{Args, Parser, Subcommand};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};
pub(crate) use terminal::{Colour, plain, say, warn};

/// Hands callers from AI voice agents to humans, and back.
#[derive(Parser)]
#[command(name = "tandem", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon.
    Serve(ServeArgs),
    /// Check the configuration and the rules, and run the rules' own tests.
    Check(check::CheckArgs),
    /// List live and recent calls, or show one.
    Calls(calls::CallsArgs),
    /// List the trunks: which take calls, what pings and registrations showed.
    Trunks(trunks::TrunksArgs),
    /// List the agents and how they stand, change one's presence, or list the queues.
    Agents(agents::AgentsArgs),
    /// List the callers who are to be called back, or claim, release, dial or finish one.
    Callbacks(callbacks::CallbacksArgs),
    /// List the messages that callers left with the AI, or show, mark as read or delete one.
    Messages(messages::MessagesArgs),
    /// Post an event about a call, as its AI would.
    Event(event::EventArgs),
    /// Call somebody: an AI, or a destination, has them when they answer.
    Call(call::CallArgs),
    /// Transfer a caller to a destination or a URI.
    Transfer(transfer::TransferArgs),
    /// Ring a supervisor: to listen to a call, to speak to its human alone, or to both.
    Supervise(supervise::SuperviseArgs),
    /// List recordings.
    Recordings(recordings::RecordingsArgs),
    /// Show a call's recording, fetch it, pause, resume or stop it while it grows, or delete it.
    Recording(recordings::RecordingArgs),
    /// List the messages that callers left in mailboxes, or show, fetch or delete one.
    Voicemails(voicemails::VoicemailsArgs),
    /// Load the rules anew; a mistake leaves the old ones in force.
    Reload(ReloadArgs),
    /// Show a whole handoff on this machine, every party simulated, measured from the packets.
    Demo(crate::demo::DemoArgs),
    /// Print completions for a shell.
    Completions(completions::CompletionsArgs),
}

#[derive(Args)]
struct ServeArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Also run a demo AI and a demo human on loopback: call the daemon with a softphone and press digits.
    #[arg(long)]
    demo: bool,
}

#[derive(Args)]
struct ReloadArgs {
    #[command(flatten)]
    daemon: client::DaemonArg,
    /// Print the daemon's answer as JSON.
    #[arg(long)]
    json: bool,
}

/// Which configuration.
#[derive(Args, Clone)]
pub(crate) struct ConfigArg {
    /// The configuration file [default: /etc/tandem/tandem.yaml, else etc/tandem.yaml].
    #[arg(long, short, env = "TANDEM_CONFIG", value_name = "PATH")]
    config: Option<PathBuf>,
}

impl ConfigArg {
    /// The file to read.
    pub(crate) fn path(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(default_config)
    }
}

fn default_config() -> PathBuf {
    let installed = Path::new("/etc/tandem/tandem.yaml");
    let here = Path::new("etc/tandem.yaml");
    if !installed.exists() && here.exists() { here.to_owned() } else { installed.to_owned() }
}

/// Runs what the command line asks for.
pub(crate) fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(args) => crate::serve::run(&args.config.path(), args.demo),
        Command::Check(args) => check::run(&args),
        Command::Calls(args) => calls::run(&args),
        Command::Trunks(args) => trunks::run(&args),
        Command::Agents(args) => agents::run(&args),
        Command::Callbacks(args) => callbacks::run(&args),
        Command::Messages(args) => messages::run(&args),
        Command::Event(args) => event::run(&args),
        Command::Call(args) => call::run(&args),
        Command::Transfer(args) => transfer::run(&args),
        Command::Supervise(args) => supervise::run(&args),
        Command::Recordings(args) => recordings::list(&args),
        Command::Recording(args) => recordings::one(&args),
        Command::Voicemails(args) => voicemails::run(&args),
        Command::Reload(args) => reload(&args),
        Command::Demo(args) => crate::demo::run(&args),
        Command::Completions(args) => completions::run(&args),
    };
    done.unwrap_or_else(|error| {
        warn(&format!("{} {error:#}", Colour::of_stderr().red("error:")));
        ExitCode::FAILURE
    })
}

fn reload(args: &ReloadArgs) -> anyhow::Result<ExitCode> {
    let answer = args.daemon.request("POST", "/v1/rules/reload", None)?;
    if args.json {
        say(&answer.body.to_string());
        return Ok(answer.exit_code());
    }
    if answer.is_success() {
        let rules = answer.body.get("rules").and_then(serde_json::Value::as_u64);
        say(&rules.map_or_else(|| "the rules were loaded anew".to_owned(), |rules| format!("{rules} rules in force")));
        for warning in answer.body.get("warnings").and_then(serde_json::Value::as_array).into_iter().flatten() {
            warn(&plain(warning.as_str().unwrap_or_default()));
        }
        return Ok(ExitCode::SUCCESS);
    }
    answer.refusal()
}

/// The definition that completions are made from.
fn definition() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        super::definition().debug_assert();
    }
}
