//! merkle.cu gives the nodes that the cores give.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used)]

use assay_cuda_host::{merkle_leaves, merkle_nodes};
use assay_kernels::abi::{CostClass, Geometry};
use assay_kernels::executor::{Commit, Plan, levels};
use assay_kernels::hash::Hash;
use core::ops::Range;
use proptest::prelude::*;

/// Hashes as a card would: the tiles as they come, then level above level.
fn by_card(
    geometry: &Geometry,
    leaves: Range<u64>,
    bytes: &[u8],
    tiles: &[usize],
    commit: &Commit,
) -> Option<Vec<Hash>> {
    let mut plan = Plan::new(geometry, leaves);
    let mut hashes = vec![[0xaaaa_aaaa; 8]; plan.leaves() as usize];
    let mut at = 0;
    for tile in tiles {
        let tile = at..(at + tile).min(bytes.len());
        for run in plan.take(tile.start as u64..tile.end as u64) {
            merkle_leaves(&bytes[tile.clone()], &commit.salt, run, &mut hashes).unwrap();
        }
        at = tile.end;
    }
    if !plan.is_complete() {
        return None;
    }
    for nodes in levels(plan.leaves(), commit.level) {
        assert_eq!(nodes, hashes.len() as u64);
        hashes = merkle_nodes(&hashes).unwrap();
    }
    Some(hashes.iter().map(|node| *node.map(u32::to_le_bytes).as_flattened().first_chunk().unwrap()).collect())
}

fn bytes(len: usize, seed: u64) -> Vec<u8> {
    (0..len as u64).map(|i| ((i + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// Byte with which each leaf begins, and the end.
fn places(geometry: &Geometry, leaves: &Range<u64>) -> Vec<usize> {
    let first = geometry.bytes_before(leaves.start).unwrap();
    (leaves.start..=leaves.end).map(|leaf| (geometry.bytes_before(leaf).unwrap() - first) as usize).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Leaves of all lengths, in tiles that end with leaves: the nodes of every level are those of the cores.
    #[test]
    fn a_card_hashes_what_the_cores_hash(
        classes in prop::collection::vec((1u64..200, 1u32..6, 1u32..50), 1..4), a in any::<prop::sample::Index>(),
        b in any::<prop::sample::Index>(), level in 0u8..10, salt in any::<[u8; 32]>(), tile_leaves in 1usize..90,
    ) {
        let mut geometry = Geometry::uniform(1, 1, 1);
        geometry.classes = classes.len() as u16;
        for (to, (cells, cells_per_leaf, cell_bytes)) in geometry.class.iter_mut().zip(&classes) {
            let (cells, cells_per_leaf, cell_bytes) = (*cells, *cells_per_leaf, *cell_bytes);
            *to = CostClass { cells, cells_per_leaf, cell_bytes, cost: 1, stage: 0, reserved: 0 };
        }
        let all = geometry.leaves().unwrap();
        let (a, b) = (a.index(all as usize + 1) as u64, b.index(all as usize + 1) as u64);
        let leaves = a.min(b)..a.max(b);
        let places = places(&geometry, &leaves);
        let bytes = bytes(*places.last().unwrap(), a);
        let ends: Vec<usize> = places.iter().copied().step_by(tile_leaves).chain([bytes.len()]).collect();
        let tiles: Vec<usize> = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let commit = Commit { salt, level };
        let expected = commit.nodes(&geometry, leaves.clone(), &bytes);
        prop_assert_eq!(by_card(&geometry, leaves.clone(), &bytes, &tiles, &commit), expected);
        // A tile that ends within a leaf, or is left out, is not hashed at all.
        if bytes.len() > 1 && !places.contains(&1) {
            prop_assert_eq!(by_card(&geometry, leaves.clone(), &bytes, &[1, bytes.len()], &commit), None);
        }
        if tiles.last().is_some_and(|tile| *tile > 0) {
            prop_assert_eq!(by_card(&geometry, leaves, &bytes, &tiles[..tiles.len() - 1], &commit), None);
        }
    }
}

/// Every length of a leaf around the ends of blocks and words, and leaves that begin at odd places.
#[test]
fn every_length_of_a_leaf() {
    for leaf_bytes in (1..200).chain([255, 256, 1_000, 1_023, 1_024]) {
        let geometry = Geometry::uniform(150, 1, leaf_bytes);
        let commit = Commit { salt: [0x5a; 32], level: 0 };
        let bytes = bytes(150 * leaf_bytes as usize, 3);
        let expected = commit.nodes(&geometry, 0..150, &bytes);
        assert_eq!(by_card(&geometry, 0..150, &bytes, &[bytes.len()], &commit), expected, "{leaf_bytes} bytes");
    }
}
