//! How fast this machine's cores compute `gemm_i8`: `cargo run --release -p assay-kernels --example gemm_i8_speed`.
//!
//! Random matrices, result and all; the best of several runs. Every way that this processor has, and beside them what
//! others have on it: NumPy's int32 product and its float32 product (BLAS; not exact from k of about 1,000 on), where
//! `python3` has NumPy.
#![allow(clippy::arithmetic_side_effects, reason = "numbers of this file's own matrices")]

use std::process::Command;
use std::time::Instant;

use assay_kernels::gemm_i8::Params;
use assay_kernels::gemm_i8::cpu::{multiply_by, ways};
use assay_kernels::handling::noise;

/// Seconds of NumPy's products of the same shape, for the types named.
const NUMPY: &str = "
import sys, time, numpy
m, n, k = map(int, sys.argv[1:4])
for kind in sys.argv[4:]:
    a = numpy.random.randint(-128, 128, (m, k)).astype(kind)
    b = numpy.random.randint(-128, 128, (k, n)).astype(kind)
    best = 1e9
    for _ in range(2 if kind == 'int32' else 7):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    print(best)
";

fn numpy(params: &Params, kinds: &[&str]) -> Vec<f64> {
    let shape = [params.m, params.n, params.k].map(|side| side.to_string());
    let output = Command::new("python3").args(["-c", NUMPY]).args(shape).args(kinds).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{} threads, G multiply-adds a second", rayon::current_num_threads());
    for (m, n, k) in
        [(1_024, 1_024, 1_024), (2_048, 2_048, 4_096), (256, 256, 131_071), (16, 8_192, 1_000), (1, 8_192, 8_192)]
    {
        let params = Params { m, n, k };
        let work = params.elements() as f64 * f64::from(k) / 1e9;
        let [a, b] = [(m, 1), (n, 2)].map(|(rows, seed)| noise(u64::from(rows) * params.row_bytes(), seed));
        println!("\n{m} x {n} x {k}");
        let mut rows: Vec<(String, f64)> = ways().iter().map(|way| (way.name().to_owned(), f64::INFINITY)).collect();
        let mut first: Option<Vec<u8>> = None;
        // In turns, so that what else the machine does meets all alike.
        for _ in 0..7 {
            for (way, (name, best)) in ways().into_iter().zip(&mut rows) {
                let mut out = vec![0; params.elements() as usize * 4];
                let start = Instant::now();
                multiply_by(way, &params, &a, &b, 0..params.elements(), &mut out)?;
                *best = best.min(start.elapsed().as_secs_f64());
                if *first.get_or_insert_with(|| out.clone()) != out {
                    return Err(format!("{name} gives other numbers").into());
                }
            }
        }
        // NumPy's int32 takes a second for each G.
        let kinds: &[&str] = if work <= 2.0 { &["float32", "int32"] } else { &["float32"] };
        rows.extend(kinds.iter().map(|kind| format!("NumPy {kind}")).zip(numpy(&params, kinds)));
        let fastest = rows.first().map_or(0.0, |(_, seconds)| *seconds);
        for (name, seconds) in &rows {
            println!("{name:20} {:8.1}   {:6.2} times the time of the first", work / seconds, seconds / fastest);
        }
    }
    Ok(())
}
