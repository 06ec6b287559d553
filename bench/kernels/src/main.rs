//! How fast kernels are beside others' libraries for the same work, and whether a graphics card computes them right.
//!
//! One program without a chain in it, that can be carried to a machine with a card: `cargo xtask bench kernels` and
//! `cargo xtask gpu-suite` run it.
//!
//! - `work`: jobs to measure with. `round`: two things measured in turns. `peer`: others' libraries, in `peers/peers.py`.
//! - `cores`, `hashing`, `validator`, `evidence`, `card`: what is measured. `report`: how it is printed.
//! - `suite`: a card against the processor. `machine`: what it ran on.

// A harness: where it cannot go on it ends, and its sums are of small amounts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "measures, decides nothing"
)]

mod card;
mod cores;
mod evidence;
mod hashing;
mod machine;
mod peer;
mod report;
mod round;
mod suite;
mod validator;
mod work;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "kernel-bench")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures kernels beside others' libraries
    Bench(report::Options),
    /// Compares a graphics card with the processor on random jobs, then measures it
    Suite(suite::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Bench(options) => report::main(&options),
        Command::Suite(options) => suite::main(&options),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
