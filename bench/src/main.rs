//! What every instruction of the settlement program costs, measured on the built programs in a Solana virtual machine:
//! `cargo xtask bench cu`.
//!
//! - `cases`: one small function for each line of the table. `scene`: the world they play in, its keys chosen.
//! - `measure`: one instruction alone in a transaction. `logs`: what the programs it called used.
//! - `whole`: the transactions of a whole shard.
//! - `report`, `table`, `compare`: what is printed, committed and checked. `idl`: no instruction is left out.

// A harness like `assay-tests`: where it cannot go on it panics, and its sums are of small amounts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::arithmetic_side_effects, reason = "test code")]

mod cases;
mod compare;
mod idl;
mod logs;
mod measure;
mod report;
mod scene;
mod spell;
mod table;
mod whole;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;

/// Measures what every instruction of the settlement program costs, and prints the table.
#[derive(Parser)]
#[command(name = "bench-cu")]
struct Options {
    /// Write the table to docs/bench-cu.md
    #[arg(long, conflicts_with_all = ["check", "json"])]
    write: bool,
    /// Fail where a figure differs by more than 2 % from docs/bench-cu.md
    #[arg(long, conflicts_with = "json")]
    check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn committed() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/bench-cu.md")
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
    idl::covered(&cases::all())?;
    let report = report::run()?;
    let path = committed();
    if options.json {
        println!("{}", report.json());
    } else if options.check {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{}: write it with `cargo xtask bench cu --write`", path.display()))?;
        compare::check(&table::tables(&text), &table::tables(&table::page(&report)))?;
        println!("every figure is within 2 % of docs/bench-cu.md");
    } else if options.write {
        std::fs::write(&path, table::page(&report)).with_context(|| path.display().to_string())?;
        println!("docs/bench-cu.md written");
    } else {
        print!("{}", table::page(&report));
    }
    Ok(())
}
