//! A Merkle tree with all its levels in memory, built on all cores: what a provider proves from.

use rayon::prelude::*;

use super::{MAX_LEVEL, leaf_hash, node_hash, salted_leaf_hash};
use crate::hash::{Hash, sha256};

/// Every node of an RFC 6962 tree; 64 bytes of memory per leaf.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Level 0 holds the leaf hashes, the last level the root alone. A node without right sibling stands for itself
    /// one level up, which gives the same root as RFC 6962's recursive definition.
    levels: Vec<Vec<Hash>>,
}

/// Below this many nodes a level is hashed on the calling thread: handing it out costs more.
const SERIAL_NODES: usize = 256;

impl Tree {
    /// The tree over given leaf hashes, in order.
    pub fn from_leaf_hashes(leaves: Vec<Hash>) -> Self {
        let mut levels = Vec::new();
        let mut level = leaves;
        while level.len() > 1 {
            let join = |pair: &[Hash]| match pair {
                [left, right] => node_hash(left, right),
                [single] => *single,
                _ => [0; 32],
            };
            let above = if level.len() < SERIAL_NODES {
                level.chunks(2).map(join).collect()
            } else {
                level.par_chunks(2).map(join).collect()
            };
            levels.push(core::mem::replace(&mut level, above));
        }
        levels.push(level);
        Self { levels }
    }

    /// The tree over `bytes` cut into leaves of `leaf_bytes` (at least 1 is taken; the last may be short), hashed
    /// with `salt` where there is one.
    pub fn from_bytes(bytes: &[u8], leaf_bytes: usize, salt: Option<&Hash>) -> Self {
        let hash = |leaf: &[u8]| match salt {
            Some(salt) => salted_leaf_hash(salt, leaf),
            None => leaf_hash(leaf),
        };
        Self::from_leaf_hashes(bytes.par_chunks(leaf_bytes.max(1)).with_min_len(64).map(hash).collect())
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
