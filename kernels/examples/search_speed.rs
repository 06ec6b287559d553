//! How fast `search` is on this machine's processor, one core, way by way:
//! `cargo run --release -p assay-kernels --example search_speed`.
//!
//! The ways take turns, so that what else the machine does falls on all alike. The least of five times counts. All of them
//! must come to the same.
#![allow(clippy::arithmetic_side_effects, reason = "numbers of this file's own searches")]

use std::time::{Duration, Instant};

use assay_kernels::search::{DOUBLE, Params, REVERSED, SEGMENT, ways};

const ROUNDS: usize = 5;
const SEGMENTS: u64 = 2_048;

fn main() -> Result<(), String> {
    let message = |bytes: usize| Params::of(&vec![7; bytes]).ok_or("a message that is too long");
    let short = Params { nonce_at: 16, ..message(20)? };
    let double = Params { flags: DOUBLE | REVERSED, nonce_at: 76, ..message(80)? };
    let ways = ways();
    println!("million candidates a second, on one core, and how often the first way");
    for (name, params) in [("a short message", short), ("80 bytes, twice", double)] {
        let mut times = vec![Duration::MAX; ways.len()];
        let mut cells = Vec::new();
        for _ in 0..ROUNDS {
            for (way, least) in ways.iter().zip(&mut times) {
                let started = Instant::now();
                cells.push(way.cell(&params, SEGMENTS));
                *least = started.elapsed().min(*least);
            }
        }
        if cells.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(format!("{name}: the ways differ"));
        }
        let first = times.first().map_or(0.0, Duration::as_secs_f64);
        for (way, time) in ways.iter().zip(&times) {
            let rate = (SEGMENTS * SEGMENT) as f64 / time.as_secs_f64() / 1e6;
            println!("{name:<16} {:<12} {rate:>8.1}   x {:.1}", way.name, first / time.as_secs_f64());
        }
    }
    Ok(())
}
