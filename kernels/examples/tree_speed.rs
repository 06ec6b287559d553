//! How fast this machine's cores hash leaves and build trees:
//! `cargo run --release -p assay-kernels --example tree_speed [-- --json | -- --shard [LEAVES]]`.
//!
//! Every way is timed in turn, five rounds of all, and the best counts; the ratios are to the library one by one on as
//! many cores. `--shard` commits a whole shard instead, 10^8 leaves of 256 bytes when no number is given: its 25.6 GB are
//! made piece by piece, hashed and forgotten, and the most memory that was allocated is held against the stated bound.
#![allow(clippy::arithmetic_side_effects, reason = "numbers of this file's own trees")]

#[path = "../tests/counting/mod.rs"]
mod counting;

use std::error::Error;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use assay_kernels::abi::Geometry;
use assay_kernels::executor::Commit;
use assay_kernels::hash::many::{Messages, Way, hash_all_by};
use assay_kernels::merkle::{CrownBuilder, KEPT_LEVEL, Tree, salted_leaf_hash, salted_leaf_hashes, verify_leaf};
use counting::{MOST, NOW};

const LEAF_BYTES: usize = 256;
const ROUNDS: usize = 5;

struct Row {
    what: &'static str,
    way: Way,
    threads: usize,
    seconds: f64,
    /// Hashes made.
    hashes: usize,
    /// Bytes hashed, without tags and salts.
    bytes: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => speeds(false),
        ["--json"] => speeds(true),
        ["--shard"] => shard(100_000_000),
        ["--shard", leaves] => shard(leaves.parse()?),
        _ => Err("usage: tree_speed [--json | --shard [LEAVES]]".into()),
    }
}

fn speeds(json: bool) -> Result<(), Box<dyn Error>> {
    let mut state = 1u64;
    let random = |_| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state.to_le_bytes()[7]
    };
    let bytes: Vec<u8> = (0..64 << 20).map(random).collect();
    let salt = [7; 32];
    let leaves = Messages { tag: 0, prefix: &salt, bytes: &bytes, each: LEAF_BYTES };
    let nodes = Messages { tag: 1, prefix: &[], bytes: &bytes[..16 << 20], each: 64 };
    let mut out = vec![[0; 32]; bytes.len() / LEAF_BYTES];
    let mut rows: Vec<Row> = Vec::new();
    let cores = rayon::current_num_threads();
    let ways: Vec<Way> = Way::ALL.into_iter().filter(|way| way.is_here()).collect();
    for _ in 0..ROUNDS {
        let mut at = 0;
        for (what, messages) in [("leaves of 256 bytes", &leaves), ("nodes", &nodes)] {
            let hashes = messages.bytes.len() / messages.each;
            for threads in [1, cores] {
                for way in &ways {
                    let began = Instant::now();
                    if threads == 1 {
                        way.hash(messages, &mut out[..hashes]);
                    } else {
                        hash_all_by(*way, messages, &mut out[..hashes]);
                    }
                    let seconds = began.elapsed().as_secs_f64();
                    match rows.get_mut(at) {
                        Some(row) => row.seconds = row.seconds.min(seconds),
                        None => {
                            rows.push(Row { what, way: *way, threads, seconds, hashes, bytes: messages.bytes.len() });
                        }
                    }
                    at += 1;
                }
            }
        }
    }
    let mut whole = f64::INFINITY;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        Tree::from_bytes(&bytes, LEAF_BYTES, Some(&salt));
        whole = whole.min(began.elapsed().as_secs_f64());
    }
    let ratio = |row: &Row| {
        let base =
            rows.iter().find(|other| (other.what, other.threads, other.way) == (row.what, row.threads, Way::One));
        base.map_or(0.0, |base| base.seconds / row.seconds)
    };
    let per_second = |count: usize, seconds: f64| count as f64 / seconds;
    if json {
        let row = |row: &Row| {
            format!(
                r#"{{"what":"{}","way":"{}","threads":{},"hashes_per_second":{:.0},"bytes_per_second":{:.0},"ratio":{:.3}}}"#,
                row.what,
                row.way.name(),
                row.threads,
                per_second(row.hashes, row.seconds),
                per_second(row.bytes, row.seconds),
                ratio(row)
            )
        };
        let rows: Vec<String> = rows.iter().map(row).collect();
        let tree = per_second(bytes.len(), whole);
        let (leaves, nodes) = (Way::fastest_for(LEAF_BYTES).name(), Way::fastest().name());
        let chosen = format!(r#""leaves":"{leaves}","nodes":"{nodes}""#);
        println!(r#"{{"rows":[{}],"tree_bytes_per_second":{tree:.0},"chosen":{{{chosen}}}}}"#, rows.join(","));
        return Ok(());
    }
    for row in &rows {
        println!(
            "{:20} {:18} {:3} threads: {:7.2} M/s, {:6.2} GB/s, {:.2} times one by one",
            row.what,
            row.way.name(),
            row.threads,
            per_second(row.hashes, row.seconds) / 1e6,
            per_second(row.bytes, row.seconds) / 1e9,
            ratio(row)
        );
    }
    println!("chosen here: {} for leaves, {} for nodes", Way::fastest_for(LEAF_BYTES).name(), Way::fastest().name());
    println!("a whole tree over leaves of 256 bytes: {:.2} GB/s", per_second(bytes.len(), whole) / 1e9);
    Ok(())
}

/// Makes leaves `from ..` into `bytes`, different from each other.
fn fill(from: u64, bytes: &mut [u8]) {
    for (leaf, index) in bytes.chunks_exact_mut(LEAF_BYTES).zip(from..) {
        leaf.fill(index as u8);
        leaf[..8].copy_from_slice(&index.to_le_bytes());
    }
}

fn shard(size: u64) -> Result<(), Box<dyn Error>> {
    const PIECE: u64 = 1 << 18;
    let cells = size.max(1);
    let geometry = Geometry::uniform(cells, 1, LEAF_BYTES as u32);
    let commit = Commit { salt: [7; 32], level: KEPT_LEVEL };
    let wrong = "the shard does not fit its own geometry";
    let began = Instant::now();
    let before = NOW.load(Relaxed);
    let mut builder = CrownBuilder::new(KEPT_LEVEL, cells).ok_or("no memory")?;
    let mut piece = vec![0; (PIECE as usize) * LEAF_BYTES];
    while builder.len() < cells {
        let leaves = builder.len()..cells.min(builder.len() + PIECE);
        let count = leaves.end - leaves.start;
        let bytes = &mut piece[..count as usize * LEAF_BYTES];
        fill(leaves.start, bytes);
        let nodes = commit.nodes(&geometry, leaves, bytes).ok_or(wrong)?;
        builder.push(KEPT_LEVEL, count, nodes).ok_or(wrong)?;
    }
    let crown = builder.finish();
    let seconds = began.elapsed().as_secs_f64();
    let tree = (2 * cells.div_ceil(256) + 41) * 32;
    let bound = tree + PIECE * (LEAF_BYTES as u64 + 32 + 16) + (1 << 20);
    let most = (MOST.load(Relaxed) - before) as u64;
    println!("{cells} leaves of {LEAF_BYTES} bytes in {seconds:.1} s, leaves made on the way");
    println!("{} nodes kept; at most {most} bytes allocated at a time, the bound is {bound}", crown.nodes());
    if most > bound {
        return Err("more memory than the bound".into());
    }
    for index in [0, cells / 3, cells - 1] {
        let run = crown.run_of(index).ok_or(wrong)?;
        let mut bytes = vec![0; (run.end - run.start) as usize * LEAF_BYTES];
        fill(run.start, &mut bytes);
        let began = Instant::now();
        let below = salted_leaf_hashes(&geometry, run.clone(), &bytes, &commit.salt).ok_or(wrong)?;
        let path = crown.path(index, below).ok_or(wrong)?;
        let took = began.elapsed();
        let own = (index - run.start) as usize * LEAF_BYTES;
        let hash = salted_leaf_hash(&commit.salt, &bytes[own..own + LEAF_BYTES]);
        if !verify_leaf(&hash, index, cells, &path, &crown.root()) {
            return Err(format!("the path of leaf {index} does not lead to the root").into());
        }
        println!("leaf {index}: a path of {} nodes in {took:.1?}, right", path.len());
    }
    Ok(())
}
