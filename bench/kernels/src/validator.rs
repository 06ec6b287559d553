//! What it costs to check a result by samples, beside computing all of it.

use anyhow::{Context, Result, ensure};
use assay_kernels::{
    abi::Geometry,
    executor::{Backend, Cpu, Leaves, reference_cell_after},
    random::Random,
    registry::AnyKernel,
};
use serde_json::json;

use crate::{
    report::Section,
    round::{median, seconds},
    work::{Work, spell},
};

/// Seconds that the whole job takes at least.
const LEAST: f64 = 0.15;
/// Cells that are drawn.
const SAMPLES: u64 = 16;
const ROUNDS: usize = 5;

const TEXT: &str = "\
Sixteen cells of a whole job, drawn as likely as each other: by the reference, one cell after the other as the chain computes
them, and by the executor, which computes each cell's leaf. Earlier stages that a cell reads are taken from the result. Over
the time of the whole job on all cores: the larger the job, the smaller the part. **Of a million cells**: the same cells of a
job that has so many. Jobs here are small; that of `search` has only 32 cells.
";

fn leaves_of(geometry: &Geometry, result: &[u8]) -> Option<Leaves> {
    let (mut leaves, mut rest) = (Leaves::new(), result);
    for leaf in 0..geometry.leaves()? {
        let (bytes, behind) = rest.split_at_checked(geometry.leaf_span(leaf)?.bytes as usize)?;
        leaves.insert(leaf, bytes.to_vec());
        rest = behind;
    }
    Some(leaves)
}

/// Measures every kernel.
///
/// # Errors
/// An executor failed, or differs from the reference.
pub fn section() -> Result<Section> {
    let mut section = Section::new("validator", "Checking by samples", TEXT);
    section.columns(&[
        "Kernel",
        "Cells of the job",
        "Whole job, s",
        "16 cells by reference, s",
        "Of the job",
        "Of a million cells",
        "Their leaves by executor, s",
        "Of the job",
        "Of a million cells",
    ]);
    for kernel in AnyKernel::ALL {
        eprintln!("checking {}", kernel.name());
        let work = Work::of_seconds(&Cpu, *kernel, LEAST)?;
        let (id, params, inputs) = (kernel.id(), &work.job.params, work.job.inputs());
        let geometry = kernel.geometry(params)?;
        let cells = geometry.cells().context("too many cells")?;
        let result = work.result()?;
        // What a validator has in its hands: not part of the check.
        let leaves = leaves_of(&geometry, &result).context("another number of bytes")?;
        let mut random = Random::new(9);
        let (mut whole, mut reference, mut executor) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let drawn: Vec<_> = (0..SAMPLES).filter_map(|_| geometry.locate(random.below(cells))).collect();
            whole.push(work.units / work.run(&Cpu)?);
            let (checked, time) = seconds(|| {
                drawn.iter().try_for_each(|at| {
                    let cell = reference_cell_after(id, params, &inputs, &leaves, at.leaf, at.cell)?;
                    let start = at.cell as usize * cell.len();
                    let same =
                        leaves.get(&at.leaf).and_then(|leaf| leaf.get(start..)?.get(..cell.len())) == Some(&cell);
                    ensure!(same, "{}: cell {} of leaf {} differs", kernel.name(), at.cell, at.leaf);
                    Ok(())
                })
            });
            checked?;
            reference.push(time);
            let (checked, time) = seconds(|| {
                drawn.iter().try_for_each(|at| {
                    let leaf = Cpu.run(id, params, &inputs, at.leaf..at.leaf + 1)?;
                    ensure!(leaves.get(&at.leaf) == Some(&leaf), "{}: leaf {} differs", kernel.name(), at.leaf);
                    Ok(())
                })
            });
            checked?;
            executor.push(time);
        }
        let (whole, reference, executor) = (median(&whole), median(&reference), median(&executor));
        let part = |time: f64| format!("{:.3} %", time / whole * 100.0);
        let million = |time: f64| format!("{:.4} %", time / whole * cells as f64 / 1e6 * 100.0);
        let row = [
            kernel.name(),
            &spell(cells as f64),
            &format!("{whole:.3}"),
            &format!("{reference:.6}"),
            &part(reference),
            &million(reference),
            &format!("{executor:.6}"),
            &part(executor),
            &million(executor),
        ];
        let json = json!({
            "kernel": kernel.name(),
            "cells": cells,
            "samples": SAMPLES,
            "seconds_whole": whole,
            "seconds_by_reference": reference,
            "seconds_by_executor": executor,
            "reference_over_whole": reference / whole,
            "executor_over_whole": executor / whole,
            "reference_over_a_million_cells": reference / whole * cells as f64 / 1e6,
            "executor_over_a_million_cells": executor / whole * cells as f64 / 1e6,
        });
        section.add(&row, json);
    }
    Ok(section)
}
