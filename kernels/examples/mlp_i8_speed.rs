//! How fast this machine's cores compute `mlp_i8`: `cargo run --release -p assay-kernels --example mlp_i8_speed`.
//!
//! Random samples and weights; the best of three runs of each network, result and all.
#![allow(clippy::arithmetic_side_effects, reason = "numbers of this file's own networks")]

use std::time::Instant;

use assay_kernels::executor::{Backend, Cpu, Inputs};
use assay_kernels::mlp_i8::{Activation, Layer, MlpI8, Output, Params};
use assay_kernels::{kernel::Kernel, registry};

fn random(len: u64) -> Vec<u8> {
    let mut state = 1u64;
    let next = |_| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state.to_le_bytes()[7]
    };
    (0..len).map(next).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{}", Cpu.name());
    for (batch, widths) in
        [(65_536, &[64, 48, 32, 10][..]), (8_192, &[784, 512, 256, 10]), (1_024, &[4_096, 4_096, 4_096, 1_000])]
    {
        let layer = |width: &u32| Layer { width: *width, multiplier: 1 << 30, shift: 9, activation: Activation::Relu };
        let mut layers: Vec<Layer> = widths.iter().skip(1).map(layer).collect();
        if let Some(last) = layers.last_mut() {
            *last = Layer::last(last.width);
        }
        let params = Params::new(batch, 1, Output::Argmax, widths.first().copied().unwrap_or(1), &layers)?;
        let (samples, weights) = params.input_chunks();
        let (samples, weights) = (random(samples * 1_024), random(weights * 1_024));
        let inputs = Inputs { inputs: [&samples, &weights, &[], &[]] };
        let leaves = registry::geometry(MlpI8::ID, &params.to_vec())?.leaves().unwrap_or(0);
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let start = Instant::now();
            Cpu.run(MlpI8::ID, &params.to_vec(), &inputs, 0..leaves)?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        let products: u64 = widths.windows(2).map(|pair| u64::from(pair.iter().product::<u32>())).sum();
        let all = products * u64::from(batch);
        println!("{batch} samples, {widths:?}: {best:.3} s, {:.1} G multiply-adds a second", all as f64 / best / 1e9);
    }
    Ok(())
}
