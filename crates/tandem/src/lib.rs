//! The Tandem daemon and its command line: configuration, wiring, threads, signals, demonstration.
//!
//! A thin library so that tests can reach the configuration; the binary is `main.rs`.
#![forbid(unsafe_code)]

mod cli;
pub mod config;
mod demo;
mod rules;
mod serve;

/// Runs what the command line asks for.
pub fn main() -> std::process::ExitCode {
    cli::run()
}
