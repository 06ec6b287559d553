//! `cargo xtask test`: every check and test, with its set-up.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::{
    bench, cuda,
    demo::SELECTION,
    host, paths, program,
    run::{cargo, run, say, spell},
    tally::run_tests,
};

#[derive(Args)]
pub struct Options {
    /// Only this step; may be given several times
    #[arg(long, value_enum)]
    only: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// System packages
    System,
    /// rustfmt
    Format,
    /// clippy, on the crates that do not compile a chain
    Lint,
    /// The committed programs and IDL are what the sources give
    Program,
    /// Two builds of the programs give the same bytes
    Reproduce,
    /// The committed PTX and the table of what it needs of cards are what the CUDA sources give
    Ptx,
    /// Every instruction and cell costs what the committed tables say
    Bench,
    /// All tests
    Tests,
}

const STEPS: [Step; 8] =
    [Step::System, Step::Format, Step::Lint, Step::Program, Step::Reproduce, Step::Ptx, Step::Bench, Step::Tests];
/// Crates that clippy checks: those that compile no chain, so that it stays cheap.
const LINTED: [&str; 13] = [
    "assay-kernels",
    "assay-settlement",
    "assay-verifier",
    "assay-client",
    "assay-device",
    "assay-device-faults",
    "assay-worker",
    "assay-migrations",
    "assay-cli",
    "assay-sim",
    "assay-kernel-bench",
    "xtask",
    "assay-idl",
];

pub fn main(options: &Options) -> Result<()> {
    let chosen: Vec<_> =
        STEPS.into_iter().filter(|step| options.only.is_empty() || options.only.contains(step)).collect();
    let all = Instant::now();
    let mut times: Vec<(String, Duration)> = Vec::new();
    let mut result = Ok(());
    for step in chosen {
        let name = step.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        say(&format!("step {name}"));
        let start = Instant::now();
        result = step.run().with_context(|| format!("step `{name}` failed (again: cargo xtask test --only {name})"));
        times.push((name, start.elapsed()));
        if result.is_err() {
            break;
        }
    }
    say("steps");
    for (name, time) in &times {
        eprintln!("   {name:<10} {}", spell(*time));
    }
    eprintln!("   {:<10} {}", "all", spell(all.elapsed()));
    if result.is_ok() {
        say("all passed");
    }
    result
}

impl Step {
    fn run(self) -> Result<()> {
        let workspace = paths::workspace()?;
        let cargo = || {
            let mut cargo = cargo();
            cargo.current_dir(&workspace);
            cargo
        };
        match self {
            Step::System => host::provide(&[&host::COMPILER, &host::PKG_CONFIG, &host::OPENSSL]),
            Step::Format => {
                run(cargo().args(["fmt", "--all", "--check"]))?;
                // The fuzzer is a workspace of its own.
                run(cargo().args(["fmt", "--check"]).current_dir(workspace.join("fuzz")))
            }
            Step::Lint => {
                let mut clippy = cargo();
                clippy.args(["clippy", "--locked", "--all-targets"]);
                for name in LINTED {
                    clippy.args(["--package", name]);
                }
                run(clippy.args(["--", "-D", "warnings"]))
            }
            Step::Program => program::check_all(),
            Step::Reproduce => program::reproduce_all(),
            Step::Ptx => cuda::check(),
            Step::Bench => bench::check(),
            Step::Tests => {
                say("all tests in one build (about 15 minutes on two cores the first time)");
                // Kinds named, because documentation has no tests: their empty runs would close the output.
                let mut tests = cargo();
                tests.args(["test", "--locked", "--lib", "--bins", "--tests"]).args(SELECTION);
                run_tests(&mut tests, &mut std::io::stdout()).map(drop)
            }
        }
    }
}
