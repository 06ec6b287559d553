//! How many shards a second the genuine Agave test validator settles: `cargo xtask bench throughput`.
//!
//! - `scene`: renters and providers, each with a job of its own. `work`: a job's shards, and the transactions of each phase.
//! - `flood`: many transactions at once, until each is confirmed. `drawing`: seeds recorded while they can be.
//! - `run`: the phases and their times. `report`: what is printed and committed.

// A harness like `assay-tests`: where it cannot go on it ends, and its sums are of small amounts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::arithmetic_side_effects, reason = "test code")]

mod drawing;
mod flood;
mod report;
mod run;
mod scene;
mod work;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use assay_localnet::{Chain, TestValidator, validator::PATH_VARIABLE};
use assay_migrations::terms;
use assay_tests::stage::{Stage, at_their_ids, programs};
use clap::Parser;

/// Measures how many shards a second the genuine Agave test validator settles.
#[derive(Parser)]
#[command(name = "bench-throughput")]
struct Options {
    /// Write the table to docs/bench-throughput.md
    #[arg(long, conflicts_with = "json")]
    write: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Shards of each renter
    #[arg(long, default_value_t = 64)]
    shards: u32,
    /// Renters, a run for each number
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64])]
    renters: Vec<usize>,
}

/// Challenges are not waited for: a shard settles when its cells are answered.
const CHALLENGE_SECONDS: u32 = 0;
const RESPONSE_SECONDS: u32 = 600;

fn main() -> ExitCode {
    let options = Options::parse();
    let Some(validator) = TestValidator::from_environment() else {
        eprintln!(
            "skipped: {PATH_VARIABLE} names no validator. It is Agave's solana-test-validator: \
             `cargo install agave-validator --version 4.2.2 --locked --bin solana-test-validator`"
        );
        return ExitCode::SUCCESS;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts");
    match runtime.block_on(measure(&options, validator)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: &Options, validator: PathBuf) -> Result<()> {
    let conditions = report::Conditions::of_this_machine(options.shards);
    let mut runs = Vec::new();
    for renters in &options.renters {
        // A fresh chain each time: none has the other's accounts to carry.
        let elfs = programs();
        let chain = Chain::TestValidator(TestValidator::start(&validator, &at_their_ids(&elfs)).await?);
        let stage = Stage::with_terms(&chain, terms::experimental(CHALLENGE_SECONDS, RESPONSE_SECONDS)).await?;
        eprintln!("{renters} renters with {} shards each", options.shards);
        runs.push(run::of(&chain, &stage, *renters, options.shards).await?);
        chain.stop();
    }
    let report = report::Report { conditions, runs };
    if options.json {
        println!("{}", report.json());
    } else if options.write {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/bench-throughput.md");
        std::fs::write(&path, report.page()).with_context(|| path.display().to_string())?;
        println!("docs/bench-throughput.md written");
    } else {
        print!("{}", report.page());
    }
    Ok(())
}
