//! What the chain is shown of a cell: bytes, transactions and steps. Counted, not measured.

use anyhow::{Context, Result};
use assay_kernels::{
    abi::SOURCE_LEAVES,
    escape_time, gemm_i8,
    merkle::{CHUNK_BYTES, path_len, runs},
    mlp_i8,
    registry::AnyKernel,
    search,
};
use serde_json::json;

use crate::report::Section;

const TEXT: &str = "\
A cell in the middle of a job of usual size, and how it grows. **Opened**: bytes of inputs and earlier leaves that the cell
reads, in all of its steps. **Paths**: bytes of the Merkle paths of what is opened, and of the cell's own leaf. **Steps**:
transactions that compute. **Transactions**: at most, evidence uploaded in v0 transactions, as the kernel's `check` states it.
**CU a step at most**: as its `describe` states it, inside the verifier. What the chain's instructions cost on top:
docs/bench-cu.md.
";

/// Jobs by name: typical sizes of what each kernel's evidence grows with.
fn jobs() -> Result<Vec<(AnyKernel, String, Vec<u8>)>> {
    let mut jobs = Vec::new();
    let one = 1i64 << escape_time::FRACTION_BITS;
    for side in [1_024u32, 16_384] {
        let (x0, y0, step) = (-2 * one, -one, (2 * one / i64::from(side)).max(1));
        let image = escape_time::Params { width: side, height: side, max_iter: 1_000, x0, y0, step };
        jobs.push((AnyKernel::EscapeTime, format!("{side} x {side} pixels"), image.to_bytes().to_vec()));
    }
    for k in [256u32, 1_024, 4_096, 16_384, 65_536, gemm_i8::MAX_K] {
        let product = gemm_i8::Params { m: 4_096, n: 4_096, k };
        jobs.push((AnyKernel::GemmI8, format!("4,096 x 4,096, K = {k}"), product.to_bytes().to_vec()));
    }
    for size in [0, 4, search::MAX_SIZE] {
        let header = search::Params::of(&[0; 80]).context("a header fits")?;
        let flags = search::DOUBLE | search::REVERSED;
        let search = search::Params { cells: 1 << 16, flags, size, nonce_at: 76, ..header };
        jobs.push((AnyKernel::Search, format!("65,536 cells of {} headers", 512u32 << size), search.to_bytes()));
    }
    for (widths, name) in [
        (&[784u32, 128, 10][..], "784-128-10"),
        (&[784, 512, 256, 10], "784-512-256-10"),
        (&[4_096, 4_096, 4_096, 1_000], "4,096-4,096-4,096-1,000"),
    ] {
        let activation = mlp_i8::Activation::Relu;
        let layer = |width: &u32| mlp_i8::Layer { width: *width, multiplier: 1 << 30, shift: 9, activation };
        let (last, hidden) = widths[1..].split_last().context("layers")?;
        let layers: Vec<_> = hidden.iter().map(layer).chain([mlp_i8::Layer::last(*last)]).collect();
        let params = mlp_i8::Params::new(4_096, 1, mlp_i8::Output::Argmax, widths[0], &layers)?;
        jobs.push((AnyKernel::MlpI8, format!("4,096 samples, {name}"), params.to_vec()));
    }
    // Kernels without a line above: their smallest and largest trial.
    for kernel in AnyKernel::ALL {
        if jobs.iter().any(|(named, _, _)| named == kernel) {
            continue;
        }
        let sizes: Vec<u32> = (0..64).take_while(|size| kernel.handling().trial(*size).is_some()).collect();
        for size in [sizes.first(), sizes.last()].into_iter().flatten() {
            let trial = kernel.handling().trial(*size).context("a trial")?;
            jobs.push((*kernel, format!("trial {size}"), trial.params));
        }
    }
    Ok(jobs)
}

/// What a cell in the middle of each cost class of a job is shown: the class's stage, bytes, bytes of paths.
fn shown(kernel: AnyKernel, params: &[u8]) -> Result<Vec<(u32, u64, u64)>> {
    let geometry = kernel.geometry(params)?;
    let leaves = geometry.leaves().context("too many leaves")?;
    let mut found: Vec<(u32, u64, u64)> = Vec::new();
    let mut cells_before = 0;
    for class in geometry.used_classes() {
        let at = geometry.locate(cells_before + class.cells / 2).context("no such cell")?;
        cells_before += class.cells;
        // Groups have the same stages again.
        if found.iter().any(|(stage, _, _)| *stage == class.stage) {
            continue;
        }
        // The cell's own leaf, which is shown with it.
        let mut opened = u64::from(geometry.leaf_span(at.leaf).context("no such leaf")?.bytes);
        let mut paths = u64::from(path_len(at.leaf, leaves)) * 32;
        for step in 0..kernel.steps(params)? {
            kernel.step_reads(params, at.leaf, at.cell, step, &mut |read| {
                let own = usize::from(read.source);
                if read.source == SOURCE_LEAVES {
                    for leaf in read.start..read.start + read.count {
                        opened += geometry.leaf_span(leaf).map_or(0, |span| u64::from(span.bytes));
                        paths += u64::from(path_len(leaf, leaves)) * 32;
                    }
                } else {
                    let chunks = geometry.input_bytes[own] / CHUNK_BYTES as u64;
                    opened += read.count * CHUNK_BYTES as u64;
                    for run in runs(read.start, read.start + read.count, chunks) {
                        let nodes = chunks.div_ceil(1 << run.level);
                        paths += u64::from(path_len(run.start >> run.level, nodes)) * 32;
                    }
                }
            })?;
        }
        found.push((class.stage, opened, paths));
    }
    Ok(found)
}

/// Counts every job above.
///
/// # Errors
/// A job that is none.
pub fn section() -> Result<Section> {
    let mut section = Section::new("evidence", "What the chain is shown", TEXT);
    section.columns(&["Kernel", "Job", "Stage", "Opened", "Paths", "Steps", "Transactions", "CU a step at most"]);
    for (kernel, name, params) in jobs()? {
        let (geometry, describe) = (kernel.geometry(&params)?, kernel.describe());
        let steps = kernel.steps(&params)?;
        let transactions = match geometry.answer_transactions {
            0 => describe.answer_transactions,
            stated => stated,
        };
        for (stage, opened, paths) in shown(kernel, &params)? {
            let row = [
                kernel.name(),
                &name,
                &stage.to_string(),
                &thousands(opened),
                &thousands(paths),
                &steps.to_string(),
                &transactions.to_string(),
                &thousands(describe.cell_cu_max.into()),
            ];
            let json = json!({
                "kernel": kernel.name(),
                "job": name,
                "stage": stage,
                "opened_bytes": opened,
                "path_bytes": paths,
                "steps": steps,
                "transactions_at_most": transactions,
                "compute_units_a_step_at_most": describe.cell_cu_max,
            });
            section.add(&row, json);
        }
    }
    Ok(section)
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let part = |(at, digit): (usize, char)| {
        let comma = at > 0 && (digits.len() - at).is_multiple_of(3);
        if comma { format!(",{digit}") } else { digit.to_string() }
    };
    digits.chars().enumerate().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gemm_cell_is_shown_two_rows() {
        let params = gemm_i8::Params { m: 4, n: 4, k: 2_000 }.to_bytes();
        // Two rows of two chunks of eight: a run of two, under two nodes each; one leaf, whose path is empty.
        assert_eq!(shown(AnyKernel::GemmI8, &params).unwrap(), [(0, 64 + 4 * 1_024, 2 * 2 * 32)]);
        let images = escape_time::Params { width: 256, height: 2, max_iter: 9, x0: 0, y0: 0, step: 1 };
        assert_eq!(shown(AnyKernel::EscapeTime, &images.to_bytes()).unwrap(), [(0, 256, 3 * 32)]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn every_kernel_is_counted_and_grows() {
        let section = section().unwrap();
        for kernel in AnyKernel::ALL {
            assert!(section.rows.iter().filter(|row| row[0] == kernel.name()).count() >= 2, "{}", kernel.name());
        }
    }
}
