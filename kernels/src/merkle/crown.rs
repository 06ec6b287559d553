//! A Merkle tree of which only the upper levels are in memory. What lies below is made again, where a proof needs it,
//! from the leaves themselves, which lie on disk.

use core::ops::Range;

use super::tree::above;
use super::{MAX_LEVEL, Tree, node_hash};
use crate::hash::Hash;

/// The lowest level that a shard's tree keeps: a node for 256 leaves.
///
/// Per leaf a quarter of a byte is kept instead of 64, so 10^8 leaves take 25 MB instead of 6.4 GB. A proof
/// reads and hashes 256 leaves again, at most 256 KiB, which takes less than a millisecond; and a block of 256 threads of
/// a graphics card makes a node by itself.
pub const KEPT_LEVEL: u8 = 8;

/// The levels of an RFC 6962 tree from some level on: at most `2 * ceil(n / 2^level) + 41` nodes for n leaves, of 32
/// bytes each.
#[derive(Clone, Debug)]
pub struct Crown {
    leaves: u64,
    level: u8,
    /// The kept level's nodes are the leaves of this tree.
    tree: Tree,
}

impl Crown {
    /// The root; SHA-256 of nothing for a tree without leaves.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Number of leaves.
    pub fn len(&self) -> u64 {
        self.leaves
    }

    /// Whether the tree has no leaves.
    pub fn is_empty(&self) -> bool {
        self.leaves == 0
    }

    /// The lowest level that is kept.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Nodes in memory.
    pub fn nodes(&self) -> u64 {
        self.tree.nodes()
    }

    /// The leaves below the lowest kept node over leaf `index`: what its path is made of. None outside the tree.
    pub fn run_of(&self, index: u64) -> Option<Range<u64>> {
        if index >= self.leaves {
            return None;
        }
        let start = (index >> self.level).checked_shl(u32::from(self.level))?;
        Some(start..start.saturating_add(1 << self.level).min(self.leaves))
    }

    /// Inclusion proof of leaf `index`, lowest node first. `below`: the hashes of the leaves of
    /// [`run_of`](Self::run_of); None where they are others than those that the tree was built of.
    pub fn path(&self, index: u64, below: Vec<Hash>) -> Option<Vec<Hash>> {
        let run = self.run_of(index)?;
        let below = Tree::from_leaf_hashes(below);
        let kept = self.tree.run_root(index >> self.level, 0)?;
        if below.len() != run.end.checked_sub(run.start)? || below.root() != kept {
            return None;
        }
        let mut path = below.path(index.checked_sub(run.start)?);
        path.extend(self.tree.path(index >> self.level));
        Some(path)
    }
}

/// Builds a [`Crown`] from nodes that come piece by piece.
#[derive(Clone, Debug)]
pub struct CrownBuilder {
    level: u8,
    leaves: u64,
    /// Complete nodes of the kept level.
    nodes: Vec<Hash>,
    /// Roots of complete subtrees that wait for a right neighbour, widest first: one for each bit set in the number of
    /// leaves below the kept level's.
    waiting: Vec<Hash>,
    /// The last node stands for fewer leaves than its level has: nothing fits behind it.
    has_ended: bool,
}

impl CrownBuilder {
    /// For a tree of about `leaves` leaves that keeps `level` (at most [`MAX_LEVEL`](super::MAX_LEVEL)) and what lies
    /// above it. None where there is no memory for it.
    pub fn new(level: u8, leaves: u64) -> Option<Self> {
        let level = level.min(MAX_LEVEL);
        let mut nodes = Vec::new();
        nodes.try_reserve_exact(usize::try_from(leaves.div_ceil(1 << level)).ok()?).ok()?;
        Some(Self { level, leaves: 0, nodes, waiting: Vec::new(), has_ended: false })
    }

    /// Leaves so far.
    pub fn len(&self) -> u64 {
        self.leaves
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.leaves == 0
    }

    /// The highest level that nodes of the next `leaves` leaves may have: each must begin where a node of the tree
    /// does, and only the last of all may stand for fewer leaves. `is_last`: whether these leaves are the last.
    pub fn level_for(&self, leaves: u64, is_last: bool) -> u8 {
        let edges = if is_last { self.leaves } else { self.leaves | leaves };
        u8::try_from(edges.trailing_zeros()).unwrap_or(self.level).min(self.level)
    }

    /// Adds the nodes at `level` over the next `leaves` leaves; the last of them stands for what is left. None, and
    /// then nothing is added, where there are more or fewer, or they do not begin where a node of this level does.
    pub fn push(&mut self, level: u8, leaves: u64, nodes: Vec<Hash>) -> Option<()> {
        let width = 1u64.checked_shl(u32::from(level))?;
        let fits = level <= self.level && !self.has_ended && self.leaves & width.wrapping_sub(1) == 0;
        let total = self.leaves.checked_add(leaves)?;
        if !fits || nodes.len() as u64 != leaves.div_ceil(width) || total > 1 << MAX_LEVEL {
            return None;
        }
        self.join(level, self.leaves >> level, nodes);
        self.leaves = total;
        self.has_ended = total & width.wrapping_sub(1) != 0;
        Some(())
    }

    /// Joins nodes, of which the first is node `first` of its level, with those that wait.
    fn join(&mut self, level: u8, first: u64, nodes: Vec<Hash>) {
        if nodes.is_empty() {
            return;
        }
        if level >= self.level {
            self.nodes.extend(nodes);
            return;
        }
        let mut rest = nodes.as_slice();
        let mut joined = Vec::new();
        if first & 1 == 1
            && let (Some(left), Some((right, behind))) = (self.waiting.pop(), rest.split_first())
        {
            joined.push(node_hash(&left, right));
            rest = behind;
        }
        let (pairs, single) = rest.as_chunks::<2>();
        joined.extend(above(pairs.as_flattened()));
        self.join(level.saturating_add(1), first >> 1, joined);
        self.waiting.extend_from_slice(single);
    }

    /// The tree over all that was added.
    pub fn finish(mut self) -> Crown {
        let mut waiting = self.waiting.iter().rev();
        if let Some(last) = waiting.next() {
            self.nodes.push(waiting.fold(*last, |node, left| node_hash(left, &node)));
        }
        Crown { leaves: self.leaves, level: self.level, tree: Tree::from_leaf_hashes(self.nodes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{leaf_hash, nodes_of, verify_leaf};
    use proptest::prelude::*;

    fn leaf(index: u64) -> Hash {
        leaf_hash(&index.to_le_bytes())
    }

    /// A crown of pieces of these lengths, each given at the highest level that it may have, at most `most`.
    fn crown(kept: u8, most: u8, pieces: &[u64]) -> Crown {
        let size: u64 = pieces.iter().sum();
        let mut builder = CrownBuilder::new(kept, size).unwrap();
        for piece in pieces {
            let start = builder.len();
            let level = builder.level_for(*piece, start + piece == size).min(most);
            let nodes = nodes_of((start..start + piece).map(leaf).collect(), level);
            builder.push(level, *piece, nodes).unwrap();
        }
        builder.finish()
    }

    proptest! {
        /// However its nodes come, a crown has the root and the paths of the tree with all levels.
        #[test]
        fn crowns_are_trees(
            kept in 0u8..7, most in 0u8..8, pieces in prop::collection::vec(1u64..90, 1..20),
            index in any::<prop::sample::Index>(),
        ) {
            let crown = crown(kept, most, &pieces);
            let size: u64 = pieces.iter().sum();
            let leaves: Vec<Hash> = (0..size).map(leaf).collect();
            let tree = Tree::from_leaf_hashes(leaves.clone());
            prop_assert_eq!((crown.root(), crown.len()), (tree.root(), size));
            prop_assert!(crown.nodes() <= 2 * size.div_ceil(1 << kept) + 41);
            let index = index.index(size as usize) as u64;
            let run = crown.run_of(index).unwrap();
            prop_assert!(run.contains(&index) && run.start.is_multiple_of(1 << kept));
            let below = leaves[run.start as usize..run.end as usize].to_vec();
            let path = crown.path(index, below.clone()).unwrap();
            prop_assert_eq!(&path, &tree.path(index));
            prop_assert!(verify_leaf(&leaves[index as usize], index, size, &path, &crown.root()));
            // Other leaves below make no path.
            let mut other = below.clone();
            other[(index - run.start) as usize][0] ^= 1;
            prop_assert_eq!(crown.path(index, other), None);
            prop_assert_eq!(crown.path(index, below[1..].to_vec()), None);
            prop_assert_eq!(crown.path(size, below), None);
        }
    }

    #[test]
    fn what_does_not_fit_is_not_taken() {
        let mut builder = CrownBuilder::new(3, 100).unwrap();
        assert_eq!(builder.push(4, 16, vec![[1; 32]]), None, "above the kept level");
        assert_eq!(builder.push(1, 4, vec![[1; 32]]), None, "too few nodes");
        assert_eq!((builder.level_for(12, false), builder.level_for(12, true)), (2, 3));
        builder.push(1, 6, vec![[1; 32], [2; 32], [3; 32]]).unwrap();
        assert_eq!(builder.push(2, 4, vec![[1; 32]]), None, "it does not begin where such a node does");
        assert_eq!(builder.level_for(4, false), 1);
        builder.push(1, 3, vec![[4; 32], [5; 32]]).unwrap();
        assert_eq!(builder.push(0, 1, vec![[6; 32]]), None, "behind the end");
        assert_eq!(builder.len(), 9);
        let left = node_hash(&node_hash(&[1; 32], &[2; 32]), &node_hash(&[3; 32], &[4; 32]));
        assert_eq!(builder.finish().root(), node_hash(&left, &[5; 32]));
        let empty = CrownBuilder::new(8, 0).unwrap().finish();
        assert!(empty.is_empty() && empty.run_of(0).is_none());
        assert_eq!(empty.root(), Tree::from_leaf_hashes(Vec::new()).root());
    }

    /// 10^8 leaves whose nodes come from elsewhere: the kept nodes, counted, and the root against the tree of what was
    /// given. A millionth of the leaves is hashed; `tree_speed --shard` goes the whole way.
    #[test]
    fn a_shard_of_a_hundred_million_leaves_keeps_a_quarter_of_a_byte_for_each() {
        const LEAVES: u64 = 100_000_000;
        let mut builder = CrownBuilder::new(KEPT_LEVEL, LEAVES).unwrap();
        let node = |index: u64| {
            let mut node = [0; 32];
            node[..8].copy_from_slice(&index.to_le_bytes());
            node
        };
        let run = 1u64 << 20;
        while builder.len() < LEAVES {
            let (start, count) = (builder.len(), run.min(LEAVES - builder.len()));
            let nodes = (start >> KEPT_LEVEL..(start + count).div_ceil(1 << KEPT_LEVEL)).map(node).collect();
            builder.push(KEPT_LEVEL, count, nodes).unwrap();
        }
        let crown = builder.finish();
        let kept = LEAVES.div_ceil(1 << KEPT_LEVEL);
        assert_eq!(crown.root(), Tree::from_leaf_hashes((0..kept).map(node).collect()).root());
        assert_eq!(crown.len(), LEAVES);
        assert!(crown.nodes() <= 2 * kept + 41 && crown.nodes() * 32 < 25_010_000, "{}", crown.nodes());
    }
}
