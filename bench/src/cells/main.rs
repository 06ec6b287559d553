//! What a cell of each kernel costs on chain, and how that grows with the job: compute units of the committed verifier in a
//! Solana virtual machine, and what has to be brought as evidence: `cargo xtask bench cells`.
//!
//! - `cases`: the jobs. `measure`: a cell of one. `page`: what is printed and committed.

// A harness like `assay-tests`: where it cannot go on it panics, and its sums are of small amounts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::arithmetic_side_effects, reason = "test code")]

mod cases;
mod measure;
mod page;
#[path = "../spell.rs"]
mod spell;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Parser;

/// Measures what cells cost on chain, and prints the table.
#[derive(Parser)]
#[command(name = "bench-cells")]
struct Options {
    /// Write the table to docs/bench-cells.md
    #[arg(long, conflicts_with_all = ["check", "json"])]
    write: bool,
    /// Fail where docs/bench-cells.md is not what is measured
    #[arg(long, conflicts_with = "json")]
    check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/bench-cells.md");
    let figures = measure::all();
    if options.json {
        println!("{}", page::json(&figures));
    } else if options.check {
        let committed = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        // The same program, jobs and machine: the same figures to the unit.
        ensure!(
            committed == page::text(&figures),
            "docs/bench-cells.md is not what is measured: `cargo xtask bench cells --write`"
        );
        println!("docs/bench-cells.md is what is measured");
    } else if options.write {
        std::fs::write(&path, page::text(&figures)).with_context(|| path.display().to_string())?;
        println!("docs/bench-cells.md written");
    } else {
        print!("{}", page::text(&figures));
    }
    Ok(())
}
