//! Runs random calls in the virtual world, or one seed again with its trace: see CONTRIBUTING.md.
#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "says how long the run took")]
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use clap::Parser;
use sim::{Options, Outcome, Premises, Weather};
use std::{process::ExitCode, time::Instant};

/// Random calls with transfers in virtual time: the daemon's cores, scripted parties, a bad network, and checkers.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    base: u64,
    /// Run this seed alone.
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Print every message and event of the seeds that are run.
    #[arg(long)]
    trace: bool,
    /// The network: calm, rough, bursts, far or storm.
    #[arg(long, default_value = "rough", value_parser = weather)]
    weather: Weather,
    /// The plain traffic of RFC 3261 alone, without extensions, REFER and Replaces.
    #[arg(long)]
    plain: bool,
    /// One seed in so many is run again with its calls written down and taken up at moments by chance; 0: none is.
    #[arg(long, default_value_t = 10)]
    written_down: u64,
    /// One seed in so many carries every packet of its audio; 0: none does.
    #[arg(long, default_value_t = 8)]
    sample: u64,
}

fn weather(name: &str) -> Result<Weather, String> {
    let names: Vec<&str> = Weather::ALL.iter().map(|weather| weather.name).collect();
    Weather::named(name).ok_or_else(|| format!("found `{name}`, expected one of {}", names.join(", ")))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let premises = Premises::new();
    let (first, count) = arguments.seed.map_or((arguments.base, arguments.seeds), |seed| (seed, 1));
    println!("seeds {first} to {}, weather {}", first + count.max(1) - 1, arguments.weather.name);
    let began = Instant::now();
    let (mut calls, mut failed) = (0, 0);
    for seed in first..first + count {
        let sampled = arguments.sample > 0 && seed % arguments.sample == 0;
        let options = Options { weather: arguments.weather, sampled, rich: !arguments.plain, written_down: false };
        let mut outcome = sim::run(seed, &premises, options);
        if arguments.written_down > 0 && seed % arguments.written_down == 0 {
            outcome.violations.extend(sim::taken_up(&outcome, &premises, options));
        }
        calls += outcome.evidence.placed;
        let wrong = !outcome.violations.is_empty();
        failed += u64::from(wrong);
        if arguments.trace {
            println!("{}", outcome.ladder());
        }
        if wrong || arguments.trace {
            report(&outcome);
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{calls} calls of {count} seeds in {seconds:.1} s; {failed} seeds with violations");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(outcome: &Outcome) {
    println!("seed {} (hash {:016x})", outcome.seed, outcome.hash);
    for violation in &outcome.violations {
        println!("  {violation}");
    }
}
