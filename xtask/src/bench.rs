//! `cargo xtask bench`: what things cost, measured.

use std::process::Command;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{
    demo::SELECTION,
    host, kernels, paths,
    run::{cargo, run, say},
};

#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Compute units, accounts, bytes and signatures of every instruction of the settlement program
    Cu(CuOptions),
    /// Compute units and evidence of a cell of every kernel, and how they grow with the job
    Cells(CellsOptions),
    /// Shards that the genuine Agave test validator, which ASSAY_TEST_VALIDATOR names, settles in a second
    Throughput(ThroughputOptions),
    /// Kernels beside others' libraries, hashing, checking by samples; on a graphics card as well
    Kernels(kernels::BenchOptions),
}

#[derive(Args)]
struct CuOptions {
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

#[derive(Args)]
struct CellsOptions {
    /// Write the table to docs/bench-cells.md
    #[arg(long, conflicts_with_all = ["check", "json"])]
    write: bool,
    /// Fail where a figure differs from docs/bench-cells.md
    #[arg(long, conflicts_with = "json")]
    check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ThroughputOptions {
    /// Write the table to docs/bench-throughput.md
    #[arg(long, conflicts_with = "json")]
    write: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn main(options: &Options) -> Result<()> {
    // The others have a chain in them.
    if !matches!(options.what, What::Kernels(_)) {
        host::provide(&[&host::COMPILER, &host::PKG_CONFIG, &host::OPENSSL])?;
    }
    match &options.what {
        What::Cu(options) => {
            cu(&chosen(&[("--write", options.write), ("--check", options.check), ("--json", options.json)]))
        }
        What::Cells(options) => bench(
            "bench-cells",
            &chosen(&[("--write", options.write), ("--check", options.check), ("--json", options.json)]),
        ),
        What::Throughput(options) => {
            bench("bench-throughput", &chosen(&[("--write", options.write), ("--json", options.json)]))
        }
        What::Kernels(options) => kernels::bench(options),
    }
}

fn chosen<'a>(flags: &[(&'a str, bool)]) -> Vec<&'a str> {
    flags.iter().filter(|(_, chosen)| *chosen).map(|(flag, _)| *flag).collect()
}

/// Fails where an instruction or a cell costs something else than the committed tables say.
pub fn check() -> Result<()> {
    cu(&["--check"])?;
    bench("bench-cells", &["--check"])
}

fn cu(arguments: &[&str]) -> Result<()> {
    bench("bench-cu", arguments)
}

fn bench(binary: &str, arguments: &[&str]) -> Result<()> {
    let workspace = paths::workspace()?;
    say("compiling the bench with a chain in it (about 10 minutes on two cores the first time, then seconds)");
    run(cargo().args(["build", "--locked", "--bin", binary]).args(SELECTION).current_dir(&workspace))?;
    run(Command::new(paths::target()?.join("debug").join(binary)).args(arguments).current_dir(&workspace))
}
