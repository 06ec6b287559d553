//! How fast this machine's cores compute `align`: `cargo run --release -p assay-kernels --example align_speed`.
//!
//! Random proteins of the usual lengths in a database of 2,000 against one query; tiles and all, the best of twenty runs. Then
//! the textbook's loop over the same sequences on one core, and how much faster the executor is. With a file name as
//! argument the sequences are written there, for a comparison with other programs: kernels/align/parasail_speed.py.
#![allow(clippy::arithmetic_side_effects, reason = "numbers of this file's own sequences")]

use std::time::Instant;

use assay_kernels::align::import::{self, Record};
use assay_kernels::align::{AMINO_ACIDS, Align, Scoring, result};
use assay_kernels::executor::{Backend, Cpu, Inputs};
use assay_kernels::kernel::Kernel;

/// Pairs of symbols a second, in thousands of millions, and the time.
fn rate(pairs: u64, seconds: f64) -> String {
    format!("{seconds:.3} s, {:.2} GCUPS", pairs as f64 / seconds / 1e9)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state >> 40
    };
    let mut record =
        |name: String, length: u64| Record { name, symbols: (0..length).map(|_| (next() % 20) as u8).collect() };
    let query = vec![record("query".into(), 350)];
    let database: Vec<Record> = (0..2_000u64).map(|i| record(format!("s{i}"), 50 + i * i * 31 % 700)).collect();
    if let Some(path) = std::env::args().nth(1) {
        let line =
            |symbols: &[u8]| symbols.iter().map(|code| char::from(AMINO_ACIDS[usize::from(*code)])).collect::<String>();
        let text: String = query
            .iter()
            .chain(&database)
            .map(|record| format!(">{}\n{}\n", record.name, line(&record.symbols)))
            .collect();
        std::fs::write(path, text)?;
    }
    let params = import::params(Scoring::PROTEIN, &query, &database, 1)?;
    let (queries, rows) = (import::queries_input(&params, &query), import::database_input(&params, &database));
    let inputs = Inputs { inputs: [&queries, &rows, &[], &[]] };
    let real: u64 = database.iter().map(|record| record.symbols.len() as u64 * 350).sum();
    let tiles = params.pairs() * params.tiles();
    println!(
        "{}; {} rows of {} tiles, {} of each query, {real} pairs of symbols",
        Cpu.name(),
        params.rows,
        params.row_tiles,
        params.query_tiles
    );
    let mut best = f64::INFINITY;
    let mut leaves = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        leaves = Cpu.run(Align::ID, &params.to_bytes(), &inputs, 0..tiles)?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("executor: {} of the sequences, {} with padding", rate(real, best), rate(tiles * 48 * 128, best));
    let mut known = Vec::new();
    let mut plain = 0.0;
    // Each sequence on its own, the better of two: a busy machine stops programs now and then.
    for record in &database {
        let mut best = f64::INFINITY;
        for _ in 0..2 {
            let start = Instant::now();
            let (found, _) = result::local(&params.scoring, &query[0].symbols, &record.symbols);
            best = best.min(start.elapsed().as_secs_f64());
            known.push(found);
        }
        known.pop();
        plain += best;
    }
    println!("one core, symbol by symbol: {}; the executor is {:.1} times as fast", rate(real, plain), plain / best);
    if result::best(&params, &leaves) != Some(known) {
        return Err("other scores".into());
    }
    Ok(())
}
