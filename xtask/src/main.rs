//! The project's own commands: `cargo xtask --help`.
//!
//! Everything that a newcomer, a developer or CI needs is behind one of them, with its set-up.

mod check;
mod demo;
mod host;
mod idl;
mod nvrtc;
mod paths;
mod program;
mod run;
mod sbf;
mod tally;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, tests and shows Assay", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds the on-chain programs and their IDL
    Program(program::Options),
    /// Sets up what is missing and runs every check and test
    Test(check::Options),
    /// Sets up what is missing and runs the demonstration on an embedded chain
    Demo(demo::Options),
}

fn main() -> ExitCode {
    // rustc calls this binary as the linker of the programs: see `sbf::linker`.
    if let Some(home) = std::env::var_os(sbf::linker::MODE) {
        return sbf::linker::main(home.as_ref());
    }
    let result = match Arguments::parse().command {
        Command::Program(options) => program::main(&options),
        Command::Test(options) => check::main(&options),
        Command::Demo(options) => demo::main(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
