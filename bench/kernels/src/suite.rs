//! A graphics card against the processor: whether it computes the right bits, for as long as wanted, and then how fast.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use assay_kernels::{
    executor::{Backend, Compared, Cpu, Cuda, Limit, Mismatch, check, compare},
    registry::AnyKernel,
};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    card,
    machine::Machine,
    report::{Section, json, page},
};

/// The exit code where a card computed wrong bits.
const WRONG: u8 = 1;
/// The exit code where there is no card.
const NO_CARD: u8 = 3;

#[derive(Args)]
pub struct Options {
    /// Minutes of comparing, all kernels together; measuring comes on top, about two minutes
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Where the random jobs begin; else the time chooses
    #[arg(long)]
    seed: Option<u64>,
    /// Only this kernel; may be given several times
    #[arg(long)]
    kernel: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Do not measure
    #[arg(long)]
    no_bench: bool,
    /// Take the processor for the card: tries this program where there is none
    #[arg(long)]
    on_processor: bool,
}

/// How a kernel came out.
struct Verdict {
    kernel: AnyKernel,
    /// The small jobs against the reference.
    checks: Result<(), String>,
    /// The random ones against the processor.
    compared: Result<Compared, Box<Mismatch>>,
    seconds: f64,
}

impl Verdict {
    fn is_right(&self) -> bool {
        self.checks.is_ok() && self.compared.is_ok()
    }
}

const HEAD: &str = "# A graphics card against the processor

Written by `cargo xtask gpu-suite` (docs/cuda.md).
";

const TEXT: &str = "\
Small jobs of every kernel against its reference; then random jobs against the processor's cores, every byte, half of them
with their hashes, and some cells of each with the reference. The same seed gives the same jobs.
";

/// Compares, measures and reports.
///
/// # Errors
/// A kernel that is none, or a report that cannot be written.
pub fn main(options: &Options) -> Result<ExitCode> {
    let kernels = chosen(&options.kernel)?;
    let card: Box<dyn Backend> = if options.on_processor {
        Box::new(Cpu)
    } else {
        match Cuda::probe() {
            Ok(cuda) => Box::new(cuda),
            Err(finding) => {
                eprintln!("no graphics card that computes: {finding}");
                return Ok(ExitCode::from(NO_CARD));
            }
        }
    };
    let machine = Machine::this();
    let time = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs());
    let seed = options.seed.unwrap_or_else(time);
    let verdicts = compare_all(&*card, &kernels, Duration::try_from_secs_f64(options.minutes * 60.0)?, seed);
    let right = verdicts.iter().all(Verdict::is_right);
    let mut sections = vec![comparison(&*card, seed, &verdicts)];
    // What was compared is kept, whatever happens while the card is measured.
    report(&machine, &sections)?;
    let measured = match (right, options.no_bench) {
        (false, _) => Err("the card is not right".to_owned()),
        (true, true) => Err("not asked for".to_owned()),
        (true, false) => card::section(&*card, &kernels, &card::SIZES).map_err(|error| format!("{error:#}")),
    };
    sections.push(measured.unwrap_or_else(|why| card::not_measured(&why)));
    report(&machine, &sections)?;
    if options.json {
        println!("{}", json(&machine, &sections));
    } else {
        print!("{}", page(HEAD, &machine, &sections));
    }
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::from(WRONG) })
}

/// Writes the report into the folder that `OUT` names, if it is set: for people and for programs.
fn report(machine: &Machine, sections: &[Section]) -> Result<()> {
    let Some(folder) = std::env::var_os("OUT").map(PathBuf::from) else { return Ok(()) };
    for (name, text) in
        [("gpu-suite.md", page(HEAD, machine, sections)), ("gpu-suite.json", json(machine, sections).to_string())]
    {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<AnyKernel>> {
    if names.is_empty() {
        return Ok(AnyKernel::ALL.to_vec());
    }
    let named = |name: &String| AnyKernel::from_name(name).with_context(|| format!("there is no kernel {name}"));
    names.iter().map(named).collect()
}

/// Compares kernel after kernel, each for its share of the time that is left.
fn compare_all(card: &dyn Backend, kernels: &[AnyKernel], time: Duration, seed: u64) -> Vec<Verdict> {
    let end = Instant::now() + time;
    let mut verdicts = Vec::new();
    for (done, kernel) in kernels.iter().enumerate() {
        let start = Instant::now();
        let left = end.saturating_duration_since(start) / (kernels.len() - done) as u32;
        eprintln!("comparing {} for {:.0} s", kernel.name(), left.as_secs_f64());
        let checks = check(card, *kernel);
        let compared = compare(card, *kernel, Limit::until(start + left), seed);
        if let Err(mismatch) = &compared {
            eprintln!("DIFFERENT: {mismatch}");
        }
        verdicts.push(Verdict { kernel: *kernel, checks, compared, seconds: start.elapsed().as_secs_f64() });
    }
    verdicts
}

fn comparison(card: &dyn Backend, seed: u64, verdicts: &[Verdict]) -> Section {
    let mut section = Section::new("comparison", "Bit for bit", TEXT);
    section.note = format!("{}, from seed {seed}.", card.name());
    section.columns(&[
        "Kernel",
        "Small jobs",
        "Random jobs",
        "Cells",
        "By reference",
        "Leaves hashed",
        "Seconds",
        "Result",
    ]);
    for verdict in verdicts {
        let compared = verdict.compared.as_ref().ok().copied().unwrap_or_default();
        let jobs = verdict.compared.as_ref().map_or_else(|mismatch| mismatch.jobs_before, |compared| compared.jobs);
        let small = verdict.checks.as_ref().map_or_else(Clone::clone, |()| "right".to_owned());
        let result = verdict.compared.as_ref().map_or_else(ToString::to_string, |_| "the same".to_owned());
        let row = [
            verdict.kernel.name(),
            &small,
            &jobs.to_string(),
            &compared.cells.to_string(),
            &compared.reference_cells.to_string(),
            &compared.hashed_leaves.to_string(),
            &format!("{:.0}", verdict.seconds),
            &result,
        ];
        let mismatch = verdict.compared.as_ref().err().map_or(Value::Null, |mismatch| {
            json!({ "seed": mismatch.seed, "jobs_before": mismatch.jobs_before, "text": mismatch.to_string() })
        });
        let json = json!({
            "kernel": verdict.kernel.name(),
            "right": verdict.is_right(),
            "seed": seed,
            "small_jobs": small,
            "jobs": jobs,
            "cells": compared.cells,
            "reference_cells": compared.reference_cells,
            "hashed_leaves": compared.hashed_leaves,
            "jobs_too_large_for_the_card": compared.too_large,
            "seconds": verdict.seconds,
            "mismatch": mismatch,
        });
        section.add(&row, json);
    }
    section
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_kernels::executor::{ExecError, Inputs};
    use std::ops::Range;

    /// A card that is wrong in one kernel only.
    struct Wrong;

    impl Backend for Wrong {
        fn name(&self) -> String {
            "wrong card".into()
        }

        fn run(&self, kernel: u16, params: &[u8], inputs: &Inputs, leaves: Range<u64>) -> Result<Vec<u8>, ExecError> {
            let mut bytes = Cpu.run(kernel, params, inputs, leaves)?;
            if kernel == AnyKernel::Search.id() {
                bytes[0] ^= 1;
            }
            Ok(bytes)
        }
    }

    #[test]
    fn a_wrong_kernel_is_reported_with_its_seed_and_the_others_go_on() {
        let verdicts = compare_all(&Wrong, AnyKernel::ALL, Duration::ZERO, 11);
        assert_eq!(verdicts.len(), AnyKernel::ALL.len());
        for verdict in &verdicts {
            assert_eq!(verdict.is_right(), verdict.kernel != AnyKernel::Search);
        }
        let section = comparison(&Wrong, 11, &verdicts);
        let row = section.rows.iter().find(|row| row[0] == "search").unwrap();
        assert!(row[1].contains("other bytes") && row[7].contains("seed 11"), "{row:?}");
        let (_, lines) = section.json();
        let right: Vec<_> = lines.as_array().unwrap().iter().filter(|line| line["right"] == true).collect();
        assert_eq!(right.len(), AnyKernel::ALL.len() - 1);
    }

    #[test]
    fn kernels_are_chosen_by_name() {
        assert_eq!(chosen(&["search".into()]).unwrap(), [AnyKernel::Search]);
        assert_eq!(chosen(&[]).unwrap(), AnyKernel::ALL);
        assert!(chosen(&["none".into()]).is_err());
    }
}
