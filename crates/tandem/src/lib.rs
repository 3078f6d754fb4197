//! The Tandem daemon and its command line: configuration, wiring, threads, signals, demonstration.
//!
//! A thin library so that tests can reach the parts; the binary is `main.rs`.
#![forbid(unsafe_code)]

pub mod config;
mod serve;
