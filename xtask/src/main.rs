//! The project's own commands: `cargo xtask --help`.
//!
//! Everything that a newcomer, a developer or CI needs is behind one of them, with its set-up.

mod bench;
mod check;
mod cuda;
mod demo;
mod fuzz;
mod host;
mod idl;
mod invariants;
mod kernels;
mod mutants;
mod paths;
mod program;
mod run;
mod sbf;
mod sim;
mod tally;
mod wheels;

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
    /// Runs random sequences of every instruction against a model
    Invariants(invariants::Options),
    /// Plays simulations of the protocol
    Sim(sim::Options),
    /// Fuzzes the settlement program, or replays what earlier runs found
    Fuzz(fuzz::Options),
    /// Takes every check out of the settlement program in turn and shows that a test notices
    Mutants(mutants::Options),
    /// Compiles the kernels for each graphics architecture: a table of what they need, and cubins for the worker
    Cubins(cuda::Options),
    /// Compares a graphics card with the processor on random jobs, bit for bit, and measures it
    GpuSuite(kernels::SuiteOptions),
    /// Measures what things cost
    Bench(bench::Options),
}

fn main() -> ExitCode {
    // rustc calls this binary as the linker of the programs: see `sbf::linker`.
    if let Some(home) = std::env::var_os(sbf::linker::MODE) {
        return sbf::linker::main(home.as_ref());
    }
    let done = |()| ExitCode::SUCCESS;
    let result = match Arguments::parse().command {
        Command::Program(options) => program::main(&options).map(done),
        Command::Test(options) => check::main(&options).map(done),
        Command::Demo(options) => demo::main(&options).map(done),
        Command::Invariants(options) => invariants::main(&options).map(done),
        Command::Sim(options) => sim::main(&options).map(done),
        Command::Fuzz(options) => fuzz::main(&options).map(done),
        Command::Mutants(options) => mutants::main(&options).map(done),
        Command::Cubins(options) => cuda::main(&options).map(done),
        Command::GpuSuite(options) => kernels::suite(&options),
        Command::Bench(options) => bench::main(&options).map(done),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
