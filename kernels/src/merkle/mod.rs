//! RFC 6962 (section 2.1) Merkle trees over SHA-256: what a proof must look like, and checking it without memory
//! of its own. The trees that make proofs are [`Tree`], with all levels in memory, and [`Crown`], with only the upper
//! ones (feature `std`).
//!
//! Index and tree size come from the job, never from whoever brings the proof; together they fix the order of the
//! hashes in it and their number, so under one root a place holds one value.

use crate::hash::{Hash, sha256, sha256_into};

#[cfg(feature = "std")]
mod crown;
#[cfg(feature = "std")]
mod leaves;
#[cfg(feature = "std")]
mod tree;
#[cfg(feature = "std")]
pub use crown::{Crown, CrownBuilder, KEPT_LEVEL};
#[cfg(feature = "std")]
pub(crate) use leaves::leaves_alike;
#[cfg(feature = "std")]
pub use leaves::{nodes_of, salted_leaf_hashes};
#[cfg(feature = "std")]
pub use tree::Tree;

/// First byte of what is hashed for a leaf.
pub const LEAF_TAG: u8 = 0;
/// First byte of what is hashed for an inner node.
pub const NODE_TAG: u8 = 1;
/// Bytes of one leaf of an input's tree.
pub const CHUNK_BYTES: usize = 1024;
/// The highest level a run may have: 2^40 leaves.
pub const MAX_LEVEL: u8 = 40;

/// The salt of a shard's leaf hashes: it makes a root worthless to any other provider and in any other place.
pub fn salt(program: &[u8; 32], shard: &[u8; 32], provider: &[u8; 32]) -> Hash {
    sha256(&[b"assay:salt:v1", program, shard, provider])
}

/// Hash of a leaf without salt (inputs, receipts): SHA-256(0x00, bytes).
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    sha256(&[&[LEAF_TAG], bytes])
}

/// Hash of a leaf of a shard's result: SHA-256(0x00, salt, bytes).
pub fn salted_leaf_hash(salt: &Hash, bytes: &[u8]) -> Hash {
    sha256(&[&[LEAF_TAG], salt, bytes])
}

/// Hash of an inner node: SHA-256(0x01, left, right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[NODE_TAG], left, right])
}

/// Most subtrees that wait for a right neighbour at one time: one per level, and the root.
const STACK: usize = MAX_LEVEL as usize + 1;

/// Root of leaf hashes that are delivered one by one, in a fixed stack (1,312 bytes) and without allocation.
///
/// Over n leaves it is the RFC 6962 root of an n-leaf tree, which for an aligned run is the node above it.
pub struct RunHasher {
    /// Roots of complete subtrees, widest first: one for each bit set in `count`.
    stack: [Hash; STACK],
    count: u64,
}

impl RunHasher {
    /// A hasher that has seen no leaf.
    pub fn new() -> Self {
        Self { stack: [[0; 32]; STACK], count: 0 }
    }

    /// Adds the next leaf hash. Beyond 2^40 leaves [`finish`](Self::finish) returns `None`.
    pub fn push(&mut self, leaf: Hash) {
        let waiting = self.count.count_ones() as usize;
        let merged = self.count.trailing_ones() as usize;
        let Some(kept) = waiting.checked_sub(merged) else { return };
        if self.count >> MAX_LEVEL != 0 {
            self.count = u64::MAX;
            return;
        }
        let mut node = leaf;
        for left in self.stack.iter().take(waiting).rev().take(merged) {
            node = node_hash(left, &node);
        }
        if let Some(place) = self.stack.get_mut(kept) {
            *place = node;
            self.count = self.count.saturating_add(1);
        }
    }

    /// The root, or `None` when no leaf or more than 2^40 were pushed.
    pub fn finish(self) -> Option<Hash> {
        if self.count > 1 << MAX_LEVEL {
            return None;
        }
        let mut waiting = self.stack.iter().take(self.count.count_ones() as usize).rev();
        let mut node = *waiting.next()?;
        for left in waiting {
            node = node_hash(left, &node);
        }
        Some(node)
    }
}

impl Default for RunHasher {
    fn default() -> Self {
        Self::new()
    }
}

/// Leaves in the run of `level` that starts at `start` in a tree of `size` leaves: `min(2^level, size - start)`.
///
/// Such a run is node `start >> level` of an RFC 6962 tree over `ceil(size / 2^level)` nodes, so the path above it
/// is that node's inclusion proof. `None` when `start` is no multiple of 2^level or lies outside, or level > 40.
pub fn run_count(start: u64, level: u8, size: u64) -> Option<u64> {
    if level > MAX_LEVEL || start >= size {
        return None;
    }
    let width = 1u64 << level;
    if start & width.wrapping_sub(1) != 0 {
        return None;
    }
    Some(width.min(size.checked_sub(start)?))
}

/// Whether `path` leads from the root of the run (`start`, `level`) to `root` in a tree of `size` leaves.
///
/// The path must have exactly the nodes that the place requires, lowest first.
pub fn verify_run(run_root: &Hash, start: u64, level: u8, size: u64, path: &[Hash], root: &Hash) -> bool {
    if run_count(start, level, size).is_none() {
        return false;
    }
    // RFC 9162, 2.1.3.2, over runs instead of leaves; `size >= 1` was just checked.
    let mut index = start >> level;
    let mut last = size.wrapping_sub(1) >> level;
    // The node so far and room for the next, which change places: on chain copying a hash costs a third of making it.
    let (mut below, mut above) = (*run_root, [0u8; 32]);
    let (mut node, mut next) = (&mut below, &mut above);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if index & 1 == 1 || index == last {
            sha256_into(&[&[NODE_TAG], sibling, node], next);
            // A right-most node without a sibling moves up unhashed.
            while index & 1 == 0 && index != 0 {
                index >>= 1;
                last >>= 1;
            }
        } else {
            sha256_into(&[&[NODE_TAG], node, sibling], next);
        }
        core::mem::swap(&mut node, &mut next);
        index >>= 1;
        last >>= 1;
    }
    last == 0 && node == root
}

/// Whether `path` leads from leaf `index` to `root` in a tree of `size` leaves: a run of level 0.
pub fn verify_leaf(leaf_hash: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    verify_run(leaf_hash, index, 0, size, path, root)
}

/// Number of hashes in the proof of leaf `index` in a tree of `size` leaves; 0 when there is no such leaf.
pub fn path_len(index: u64, size: u64) -> u32 {
    let Some(last) = size.checked_sub(1).filter(|last| index <= *last) else { return 0 };
    // Below the level where its way joins that of the last leaf every node has a sibling; above it only left ones.
    let inner = 64u32.saturating_sub((index ^ last).leading_zeros());
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    inner.saturating_add(border)
}

/// An aligned run of leaves, opened by one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First leaf; a multiple of 2^level.
    pub start: u64,
    /// Height of the node above the run.
    pub level: u8,
    /// Leaves in it: 2^level, or fewer where the tree ends.
    pub count: u64,
}

/// The fewest aligned runs that cover the leaves `start .. end` of a tree of `size` leaves, and nothing else.
/// Empty when the range is empty or does not lie in the tree.
pub fn runs(start: u64, end: u64, size: u64) -> impl Iterator<Item = Run> {
    let mut next = if end <= size { start } else { end };
    core::iter::from_fn(move || {
        let left = end.checked_sub(next).filter(|left| *left > 0)?;
        let aligned = next.trailing_zeros().min(u32::from(MAX_LEVEL)) as u8;
        // A short run is allowed only where the tree ends, so there the level may exceed what is left.
        let mut level = aligned;
        while level > 0 && run_count(next, level, size).is_none_or(|count| count > left) {
            level = level.saturating_sub(1);
        }
        // The lowest level that still holds the run gives it one canonical form.
        let count = run_count(next, level, size)?;
        while level > 0 && run_count(next, level.saturating_sub(1), size) == Some(count) {
            level = level.saturating_sub(1);
        }
        let run = Run { start: next, level, count };
        next = next.checked_add(count)?;
        Some(run)
    })
}

#[cfg(all(test, feature = "std"))]
mod tests;
