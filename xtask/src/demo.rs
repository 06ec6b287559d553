//! `cargo xtask demo`: the main job, end to end, on an embedded chain.

use std::{process::Command, time::Instant};

use anyhow::Result;
use clap::Args;

use crate::{
    host, paths,
    run::{cargo, run, say, spell},
};

#[derive(Args)]
pub struct Options {
    /// Arguments for `assay demo`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// What selects the crates and features of every ordinary build here. One selection, so that nothing heavy compiles twice.
pub const SELECTION: [&str; 3] = ["--workspace", "--features", "assay-cli/localnet"];

pub fn main(options: &Options) -> Result<()> {
    let workspace = paths::workspace()?;
    host::provide(&[&host::COMPILER, &host::PKG_CONFIG, &host::OPENSSL])?;
    say("compiling assay with an embedded chain (about 10 minutes on two cores the first time, then seconds)");
    let start = Instant::now();
    run(cargo().args(["build", "--bin", "assay"]).args(SELECTION).current_dir(&workspace))?;
    say(&format!("compiled in {}", spell(start.elapsed())));
    run(Command::new(paths::target()?.join("debug/assay")).arg("demo").args(&options.arguments).current_dir(&workspace))
}
