//! How fast this machine's cores compute `option_risk`: `cargo run --release -p assay-kernels --example option_risk_speed`.
//!
//! The best of three runs of the executor on all cores, and of the reference, which is one path after the other on one core,
//! in turn, so that both meet the same load.
#![allow(clippy::arithmetic_side_effects, reason = "numbers of this file's own jobs")]

use std::time::Instant;

use assay_kernels::executor::{Backend, Cpu, Inputs, reference_leaf};
use assay_kernels::kernel::Kernel;
use assay_kernels::option_risk::example::example;
use assay_kernels::option_risk::import::{Job, Model, Position};
use assay_kernels::option_risk::{AVERAGES, OptionRisk, Params};

/// Leaves that the reference computes.
const FEW: u64 = 24;

fn measure(what: &str, job: &Job) -> Result<(), Box<dyn std::error::Error>> {
    let Params { steps, assets, flags, .. } = job.params;
    let bytes = job.params.to_bytes();
    let inputs = Inputs { inputs: [&job.input, &[], &[], &[]] };
    let geometry = OptionRisk::geometry(&job.params)?;
    let leaves = geometry.leaves().unwrap_or(0);
    let few = FEW.min(leaves);
    let few_paths = few * u64::from(job.params.cells_per_leaf()) * u64::from(job.params.paths);
    let (mut fast, mut slow) = (0f64, 0f64);
    for _ in 0..3 {
        let start = Instant::now();
        let result = Cpu.run(OptionRisk::ID, &bytes, &inputs, 0..leaves)?;
        fast = fast.max(job.params.all_paths() as f64 / start.elapsed().as_secs_f64());
        let start = Instant::now();
        let mut expected = Vec::new();
        for leaf in 0..few {
            expected.extend(reference_leaf(OptionRisk::ID, &bytes, &inputs, leaf)?);
        }
        slow = slow.max(few_paths as f64 / start.elapsed().as_secs_f64());
        assert!(result.starts_with(&expected), "the executor is not the reference");
    }
    let kept = if flags & AVERAGES != 0 { ", averages" } else { "" };
    let normals = fast * f64::from(steps) * f64::from(assets) / 1e6;
    println!(
        "{what}, {steps} steps, {assets} assets{kept}: {:.3} million paths a second, {normals:.1} million normals; \
         reference {:.4}; ratio {:.1}",
        fast / 1e6,
        slow / 1e6,
        fast / slow
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{}", Cpu.name());
    let five = example();
    let plain = |position: &Position| Position { average: false, ..*position };
    let without = Model { positions: five.positions.iter().map(plain).collect(), ..five.clone() };
    let one = Model {
        assets: five.assets.iter().copied().take(1).collect(),
        correlation: vec![vec![1.0]],
        baskets: vec![],
        positions: five.positions.iter().copied().skip(1).take(1).collect(),
        ..five.clone()
    };
    measure("the example", &five.job(63, 200_000, 7, false)?)?;
    measure("without its average", &without.job(63, 200_000, 7, false)?)?;
    measure("one European put", &one.job(1, 10_000_000, 7, false)?)?;
    Ok(())
}
