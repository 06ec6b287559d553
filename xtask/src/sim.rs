//! `cargo xtask sim`: simulations of the protocol.

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{
    host, paths,
    run::{cargo, run, say},
};

#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    simulation: Simulation,
}

#[derive(Subcommand)]
enum Simulation {
    /// Cheaters, griefers and honest providers against the default terms: what docs/economics.md rests on
    Economics {
        /// Arguments for `assay-sim economics`: --seed N, --runs N, --json, and what is assumed (see its --help)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

pub fn main(options: &Options) -> Result<()> {
    let Simulation::Economics { arguments } = &options.simulation;
    host::provide(&[&host::COMPILER])?;
    say("compiling the simulation (about 2 minutes on two cores the first time; it then plays for some seconds)");
    // On its own and optimised: it needs no chain, and plays twenty times faster than in the profile of the tests.
    run(cargo()
        .args(["run", "--release", "--quiet", "--package", "assay-sim", "--", "economics"])
        .args(arguments)
        .current_dir(paths::workspace()?))
}
