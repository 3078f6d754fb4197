//! Runs random calls in the virtual world, or one seed again with its trace: see CONTRIBUTING.md.
#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "says how long the run took")]
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use clap::Parser;
use sim::{Options, Outcome, Premises, Soaked, Soaking, Traffic, Weather};
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

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
    /// What happens: plain (RFC 3261 alone), rich (with its extensions, REFER and Replaces), whole (all that a caller can meet) or wide (with
    /// calls that are placed, agents who talk elsewhere, and a trunk that shows a password).
    #[arg(long, default_value = "whole", value_parser = traffic)]
    traffic: Traffic,
    /// One seed in so many is run again with its calls written down and taken up at moments by chance; 0: none is.
    #[arg(long, default_value_t = 10)]
    written_down: u64,
    /// One seed in so many carries every packet of its audio; 0: none does.
    #[arg(long, default_value_t = 8)]
    sample: u64,
    /// Instead of worlds: one daemon under calls for so many minutes of virtual time, and what stays in its tables.
    #[arg(long, value_name = "MINUTES")]
    soak: Option<u64>,
    /// Calls a second of a soak.
    #[arg(long, default_value_t = 20)]
    rate: u32,
}

fn weather(name: &str) -> Result<Weather, String> {
    let names: Vec<&str> = Weather::ALL.iter().map(|weather| weather.name).collect();
    Weather::named(name).ok_or_else(|| format!("found `{name}`, expected one of {}", names.join(", ")))
}

fn traffic(name: &str) -> Result<Traffic, String> {
    let names = Traffic::ALL.map(|(_, name)| name);
    let found = Traffic::ALL.into_iter().find(|(_, its)| *its == name);
    found.map(|(traffic, _)| traffic).ok_or_else(|| format!("found `{name}`, expected one of {}", names.join(", ")))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let premises = Premises::new();
    let (first, count) = arguments.seed.map_or((arguments.base, arguments.seeds), |seed| (seed, 1));
    if let Some(minutes) = arguments.soak {
        return soaked(&arguments, &premises, minutes);
    }
    println!("seeds {first} to {}, weather {}", first + count.max(1) - 1, arguments.weather.name);
    let began = Instant::now();
    let (mut calls, mut failed) = (0, 0);
    for seed in first..first + count {
        let sampled = arguments.sample > 0 && seed % arguments.sample == 0;
        let options = Options { weather: arguments.weather, sampled, traffic: arguments.traffic, written_down: false };
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

fn soaked(arguments: &Arguments, premises: &Premises, minutes: u64) -> ExitCode {
    let Arguments { seed, base, weather, rate, .. } = *arguments;
    // By then what is remembered of what is over is as much as it may be, in every table.
    let (warm, lasting) = (Duration::from_secs(20 * 60), Duration::from_secs(minutes * 60));
    println!("{minutes} minutes of {rate} calls a second, weather {}", weather.name);
    let began = Instant::now();
    let mut resident = Vec::new();
    let soaking = Soaking { seed: seed.unwrap_or(base), weather, rate, warm, lasting };
    let soaked = sim::soak(premises, soaking, || resident.push(resident_kib()));
    for ((name, before), (_, after)) in
        soaked.before.iter().zip(&soaked.after).filter(|(before, after)| before.1 + after.1 > 0)
    {
        println!("  {name:<32} {before:>8} {after:>8}");
    }
    let seconds = began.elapsed().as_secs_f64();
    let Soaked { calls, bridged, mut wrong, .. } = soaked;
    println!("{calls} calls in {seconds:.1} s, {bridged} of them with a human");
    if let [Some(before), Some(after)] = resident[..] {
        let per = (after as f64 - before as f64) * 10_000.0 / calls.max(1) as f64;
        println!("resident memory {before} KiB, then {after} KiB: {per:.0} KiB per 10,000 calls, at most 1024");
        // Fewer calls than that say more of the allocator than of what stays.
        if calls >= MOST_SAID_BY && per > 1024.0 {
            wrong.push(format!("{per:.0} KiB stay of 10,000 calls"));
        }
    }
    for wrong in &wrong {
        println!("  {wrong}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// From so many calls on, memory counts.
const MOST_SAID_BY: u64 = 50_000;

/// What this process takes of the memory, where the system says.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn report(outcome: &Outcome) {
    println!("seed {} (hash {:016x})", outcome.seed, outcome.hash);
    for violation in &outcome.violations {
        println!("  {violation}");
    }
}
