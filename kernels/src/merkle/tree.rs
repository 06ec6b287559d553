//! A Merkle tree with all its levels in memory, built on all cores: what a provider proves from.

use super::{LEAF_TAG, MAX_LEVEL, NODE_TAG, leaf_hash, salted_leaf_hash};
use crate::hash::many::{Messages, hash_all};
use crate::hash::{Hash, sha256};

/// Every node of an RFC 6962 tree; 64 bytes of memory per leaf.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Level 0 holds the leaf hashes, the last level the root alone. A node without right sibling stands for itself
    /// one level up, which gives the same root as RFC 6962's recursive definition.
    levels: Vec<Vec<Hash>>,
}

/// The level above: each pair's node, and the last as it is where it has no neighbour.
pub(super) fn above(nodes: &[Hash]) -> Vec<Hash> {
    let (pairs, single) = nodes.as_chunks::<2>();
    // Room for the single one from the start: growing would take twice as much.
    let mut above = Vec::with_capacity(nodes.len().div_ceil(2));
    above.resize(pairs.len(), [0; 32]);
    let bytes = pairs.as_flattened().as_flattened();
    hash_all(&Messages { tag: NODE_TAG, prefix: &[], bytes, each: 64 }, &mut above);
    above.extend_from_slice(single);
    above
}

/// Hashes leaves of one length, on all cores; as many as there are whole ones and places for.
pub(super) fn leaf_hashes(bytes: &[u8], leaf_bytes: usize, salt: Option<&Hash>, out: &mut [Hash]) {
    let prefix = salt.map_or(&[][..], |salt| &salt[..]);
    hash_all(&Messages { tag: LEAF_TAG, prefix, bytes, each: leaf_bytes.max(1) }, out);
}

impl Tree {
    /// The tree over given leaf hashes, in order.
    pub fn from_leaf_hashes(leaves: Vec<Hash>) -> Self {
        let mut levels = Vec::new();
        let mut level = leaves;
        while level.len() > 1 {
            let above = above(&level);
            levels.push(core::mem::replace(&mut level, above));
        }
        levels.push(level);
        Self { levels }
    }

    /// The tree over `bytes` cut into leaves of `leaf_bytes` (at least 1 is taken; the last may be short), hashed
    /// with `salt` where there is one.
    pub fn from_bytes(bytes: &[u8], leaf_bytes: usize, salt: Option<&Hash>) -> Self {
        let mut hashes = Vec::with_capacity(bytes.len().div_ceil(leaf_bytes.max(1)));
        hashes.resize(bytes.chunks_exact(leaf_bytes.max(1)).len(), [0; 32]);
        leaf_hashes(bytes, leaf_bytes, salt, &mut hashes);
        match (bytes.chunks_exact(leaf_bytes.max(1)).remainder(), salt) {
            ([], _) => {}
            (short, Some(salt)) => hashes.push(salted_leaf_hash(salt, short)),
            (short, None) => hashes.push(leaf_hash(short)),
        }
        Self::from_leaf_hashes(hashes)
    }

    /// The root; SHA-256 of nothing for a tree without leaves, as RFC 6962 has it.
    pub fn root(&self) -> Hash {
        self.levels.last().and_then(|top| top.first()).copied().unwrap_or_else(|| sha256(&[]))
    }

    /// Number of leaves.
    pub fn len(&self) -> u64 {
        self.leaf_hashes().len() as u64
    }

    /// Whether the tree has no leaves.
    pub fn is_empty(&self) -> bool {
        self.leaf_hashes().is_empty()
    }

    /// All leaf hashes, in order.
    pub fn leaf_hashes(&self) -> &[Hash] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// Nodes that are kept, on all levels.
    pub fn nodes(&self) -> u64 {
        self.levels.iter().fold(0, |sum, level| sum.saturating_add(level.len() as u64))
    }

    /// Inclusion proof of leaf `index`, lowest node first; empty when there is no such leaf.
    pub fn path(&self, index: u64) -> Vec<Hash> {
        self.run_path(index, 0)
    }

    /// Root of the run of `level` that holds leaf `start`; `None` outside the tree.
    pub fn run_root(&self, start: u64, level: u8) -> Option<Hash> {
        if start >= self.len() || level > MAX_LEVEL {
            return None;
        }
        // Above the top level the only node is the root, at index 0.
        let nodes = self.levels.get(usize::from(level)).or(self.levels.last())?;
        nodes.get(usize::try_from(start >> level).ok()?).copied()
    }

    /// Inclusion proof of the run of `level` that holds leaf `start`, lowest node first; empty when there is none.
    pub fn run_path(&self, start: u64, level: u8) -> Vec<Hash> {
        if start >= self.len() || level > MAX_LEVEL {
            return Vec::new();
        }
        let mut index = start >> level;
        let mut path = Vec::new();
        for nodes in self.levels.iter().skip(usize::from(level)) {
            // The last node of an odd level has no sibling there.
            if let Some(sibling) = usize::try_from(index ^ 1).ok().and_then(|i| nodes.get(i)) {
                path.push(*sibling);
            }
            index >>= 1;
        }
        path
    }
}
