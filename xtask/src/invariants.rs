//! `cargo xtask invariants`: random sequences of every instruction against a model.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::{
    demo::SELECTION,
    host, paths,
    run::{cargo, run, say},
};

#[derive(Args)]
pub struct Options {
    /// Everything random follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Instructions at least; the last episode is finished
    #[arg(long, default_value_t = 100_000)]
    steps: u64,
    /// Only this episode of the run
    #[arg(long)]
    episode: Option<u64>,
    /// Threads; what happens in an episode does not depend on them
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Compile with optimisation: several minutes more, and then five times the speed. For runs of millions
    #[arg(long)]
    optimized: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn main(options: &Options) -> Result<()> {
    let workspace = paths::workspace()?;
    host::provide(&[&host::COMPILER, &host::PKG_CONFIG, &host::OPENSSL])?;
    let mut build = cargo();
    build.args(["build", "--locked", "--bin", "invariants"]).current_dir(&workspace);
    let binary = if options.optimized {
        say("compiling the invariants with a chain in them, optimised (about 7 minutes on two cores the first time)");
        build.args(["--profile", "long", "--package", "assay-invariants"]);
        "long/invariants"
    } else {
        say(
            "compiling the invariants with a chain in them (about 5 minutes on two cores the first time, then seconds)",
        );
        build.args(SELECTION);
        "debug/invariants"
    };
    run(&mut build)?;
    let mut command = Command::new(paths::target()?.join(binary));
    command.current_dir(&workspace);
    for (flag, value) in [
        ("--seed", Some(options.seed)),
        ("--steps", Some(options.steps)),
        ("--episode", options.episode),
        ("--threads", u64::try_from(options.threads).ok()),
    ] {
        if let Some(value) = value {
            command.args([flag, &value.to_string()]);
        }
    }
    if options.json {
        command.arg("--json");
    }
    run(&mut command)
}
