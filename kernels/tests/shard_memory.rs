//! How much memory committing a large result takes: its bytes come piece by piece, are hashed and are gone.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]

mod counting;

use std::sync::atomic::Ordering::Relaxed;

use assay_kernels::abi::Geometry;
use assay_kernels::executor::Commit;
use assay_kernels::merkle::{CrownBuilder, KEPT_LEVEL, Tree, salted_leaf_hash, salted_leaf_hashes, verify_leaf};
use counting::{MOST, NOW};

const LEAF_BYTES: u64 = 256;

/// Leaf `index`, made up.
fn leaf(index: u64) -> [u8; LEAF_BYTES as usize] {
    let mut leaf = [index as u8; LEAF_BYTES as usize];
    leaf[..8].copy_from_slice(&index.to_le_bytes());
    leaf
}

/// Beyond the piece itself, at most: two nodes of 32 bytes for every 256 leaves of the shard, and for those of the piece
/// leaf hashes and the level above them. The bound is the same formula for every number of leaves; here it is held to
/// for one and for eight times as many, in pieces of one size.
#[test]
fn memory_is_a_piece_and_a_quarter_of_a_byte_for_each_leaf() {
    // Threads and what a first use sets up are no part of it.
    rayon::join(|| (), || ());
    let warm = vec![0; 1 << 20];
    Tree::from_bytes(&warm, 256, None);
    drop(warm);

    const PIECE: u64 = 1 << 14;
    let commit = Commit { salt: [7; 32], level: KEPT_LEVEL };
    for size in [100_000u64, 800_000] {
        let geometry = Geometry::uniform(size, 1, LEAF_BYTES as u32);
        let before = NOW.load(Relaxed);
        MOST.store(before, Relaxed);
        let mut builder = CrownBuilder::new(KEPT_LEVEL, size).unwrap();
        while builder.len() < size {
            let leaves = builder.len()..size.min(builder.len() + PIECE);
            let mut bytes = Vec::with_capacity(((leaves.end - leaves.start) * LEAF_BYTES) as usize);
            leaves.clone().for_each(|index| bytes.extend_from_slice(&leaf(index)));
            let nodes = commit.nodes(&geometry, leaves.clone(), &bytes).unwrap();
            builder.push(KEPT_LEVEL, leaves.end - leaves.start, nodes).unwrap();
        }
        let crown = builder.finish();
        let most = MOST.load(Relaxed) - before;
        let kept = NOW.load(Relaxed) - before;
        let tree = (2 * size.div_ceil(256) + 41) * 32;
        let piece = PIECE * (LEAF_BYTES + 32 + 16);
        // Room for what the threads take.
        let room = 1 << 18;
        // While the upper levels are made, a level exists twice.
        let bound = (tree + piece + room) as usize;
        assert!(most <= bound, "{most} bytes, at most {bound} for {size} leaves");
        assert!(kept as u64 <= tree + 8_192, "{kept} bytes stay");

        // And it is the tree: a leaf out of the middle and the last.
        for index in [size / 3, size - 1] {
            let run = crown.run_of(index).unwrap();
            let bytes: Vec<u8> = run.clone().flat_map(leaf).collect();
            let below = salted_leaf_hashes(&geometry, run, &bytes, &commit.salt).unwrap();
            let path = crown.path(index, below).unwrap();
            let hash = salted_leaf_hash(&commit.salt, &leaf(index));
            assert!(verify_leaf(&hash, index, size, &path, &crown.root()));
        }
    }
}
