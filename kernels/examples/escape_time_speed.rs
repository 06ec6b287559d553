//! How fast `escape_time` is on this machine's processor, and whether some pixels take longer than others:
//! `cargo run --release -p assay-kernels --example escape_time_speed`. With `RAYON_NUM_THREADS=1` it says it of one core.
//!
//! Every picture is computed as the reference does, pixel by pixel on one core, and by the executor; turn by turn, so that
//! what else the machine does falls on all alike. The least of five times counts.
#![allow(clippy::arithmetic_side_effects, reason = "numbers of this file's own pictures")]

use std::time::{Duration, Instant};

use assay_kernels::escape_time::{EscapeTime, Params, pixel};
use assay_kernels::executor::{Backend, Cpu, ExecError, Inputs};
use assay_kernels::kernel::Kernel;

const SIDE: u32 = 128;
const MAX_ITER: u32 = 4_096;
const ROUNDS: usize = 5;

/// A picture of so many pixels from this point on.
fn picture(x: i64, y: i64, step: i64) -> Params {
    Params { width: SIDE, height: SIDE, max_iter: MAX_ITER, x0: x, y0: y, step }
}

fn main() -> Result<(), ExecError> {
    let one = 1i64 << 28;
    let pictures = [
        ("inside the set", picture(-one / 8, -one / 8, one / 1_024)),
        ("outside, all soon away", picture(2 * one, one, one / 1_024)),
        ("the whole set", picture(-2 * one, -one * 5 / 4, one * 5 / 2 / i64::from(SIDE))),
        ("Seahorse Valley", picture(-one * 3 / 4, one / 10, one / 8_192)),
    ];
    let iterations = f64::from(SIDE) * f64::from(SIDE) * f64::from(MAX_ITER);
    let mut times = [(Duration::MAX, Duration::MAX); 4];
    for _ in 0..ROUNDS {
        for ((_, params), (reference, executor)) in pictures.iter().zip(&mut times) {
            // A sixteenth of it: the reference is slow.
            let started = Instant::now();
            for at in 0..i64::from(SIDE) * i64::from(SIDE) / 16 {
                std::hint::black_box(pixel(params.x0 + at * params.step / 256, params.y0, params.max_iter));
            }
            *reference = started.elapsed().min(*reference);
            let bytes = params.to_bytes();
            let leaves = EscapeTime::geometry(params)?.leaves().unwrap_or(0);
            let started = Instant::now();
            std::hint::black_box(Cpu.run(EscapeTime::ID, &bytes, &Inputs::default(), 0..leaves)?);
            *executor = started.elapsed().min(*executor);
        }
    }
    println!("{}; million iterations a second: the reference on one core, and this", Cpu.name());
    for ((name, _), (reference, executor)) in pictures.iter().zip(times) {
        let (slow, fast) = (iterations / 16e6 / reference.as_secs_f64(), iterations / 1e6 / executor.as_secs_f64());
        println!("{name:<24} {slow:>8.0} {fast:>8.0}   x {:.1}", fast / slow);
    }
    Ok(())
}
