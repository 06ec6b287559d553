//! `assay-sim economics`: plays the attacks and prints the tables.

use std::process::ExitCode;

use anyhow::{Result, anyhow, ensure};
use assay_sim::{assume::Assumptions, scenes};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "assay-sim", about = "Plays the economics of the protocol", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Cheaters, griefers, watchers and honest providers against the default terms
    Economics {
        #[command(flatten)]
        assumptions: Assumptions,
        /// JSON on standard output
        #[arg(long)]
        json: bool,
    },
}

/// Beyond this many standard errors the model is wrong, not unlucky.
const MOST_SIGMA: f64 = 6.0;

fn run() -> Result<()> {
    let Command::Economics { assumptions, json } = Arguments::parse().command;
    ensure!(
        assumptions.price_usd >= 0.001 && assumptions.price_usd <= 1e9 && (0.0..=1.0).contains(&assumptions.work),
        "the price must lie between 0.001 and 1e9 USD, and the work between 0 and 1 of it"
    );
    let report = scenes::play(&assumptions).map_err(|e| anyhow!("the program's rules refused a step: {e}"))?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.text());
    }
    ensure!(
        report.worst_sigma <= MOST_SIGMA,
        "what was played lies {:.1} standard errors from its formula: one of the two is wrong",
        report.worst_sigma
    );
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
