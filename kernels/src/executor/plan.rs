//! What is to be hashed on a card, and when: leaves as their bytes come tile by tile, then level above level.

use core::ops::Range;

use crate::abi::Geometry;
use crate::merkle::leaves_alike;

/// Leaves of one length that lie one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafRun {
    /// Byte of the tile with which the first of them begins.
    pub from: u64,
    /// The first of them, counted from the first that is computed.
    pub to: u64,
    /// Bytes of each.
    pub leaf_bytes: u32,
    /// How many.
    pub count: u32,
}

/// The leaves of a run, of which the first ones have come.
#[derive(Clone, Debug)]
pub struct Plan {
    geometry: Geometry,
    leaves: Range<u64>,
    /// The first leaf that has not come yet.
    next: u64,
    /// A tile came that is not the next, or does not end with a leaf.
    is_broken: bool,
}

impl Plan {
    /// For these leaves of a job.
    pub fn new(geometry: &Geometry, leaves: Range<u64>) -> Self {
        Self { geometry: *geometry, next: leaves.start, leaves, is_broken: false }
    }

    /// Number of leaves.
    pub fn leaves(&self) -> u64 {
        self.leaves.end.saturating_sub(self.leaves.start)
    }

    /// Whether all leaves have come.
    pub fn is_complete(&self) -> bool {
        !self.is_broken && self.next == self.leaves.end
    }

    /// What of the bytes `tile` of the result is to be hashed: all of it. Nothing, from then on either, when the tile is
    /// not the next one or does not end where a leaf does: then somebody else hashes.
    pub fn take(&mut self, tile: Range<u64>) -> Vec<LeafRun> {
        match self.runs(tile) {
            Some((runs, next)) if !self.is_broken => {
                self.next = next;
                runs
            }
            _ => {
                self.is_broken = true;
                Vec::new()
            }
        }
    }

    fn runs(&self, tile: Range<u64>) -> Option<(Vec<LeafRun>, u64)> {
        let first = self.geometry.bytes_before(self.leaves.start)?;
        let start = self.geometry.bytes_before(self.next)?.checked_sub(first)?;
        if start != tile.start {
            return None;
        }
        let (mut runs, mut at, mut leaf) = (Vec::new(), start, self.next);
        while at < tile.end {
            if leaf >= self.leaves.end {
                return None;
            }
            let (alike, leaf_bytes) = leaves_alike(&self.geometry, leaf..self.leaves.end)?;
            let fit = tile.end.checked_sub(at)?.checked_div(u64::from(leaf_bytes))?;
            let count = u32::try_from(alike.min(fit)).ok().filter(|count| *count > 0)?;
            let (from, to) = (at.checked_sub(start)?, leaf.checked_sub(self.leaves.start)?);
            runs.push(LeafRun { from, to, leaf_bytes, count });
            at = at.checked_add(u64::from(leaf_bytes).checked_mul(u64::from(count))?)?;
            leaf = leaf.checked_add(u64::from(count))?;
        }
        Some((runs, leaf))
    }
}

/// The levels above `leaves` leaf hashes up to `level`: how many nodes the one below has each time.
pub fn levels(leaves: u64, level: u8) -> impl Iterator<Item = u64> {
    let below = core::iter::successors(Some(leaves), |nodes| Some(nodes.div_ceil(2)));
    below.take(usize::from(level)).take_while(|nodes| *nodes > 1)
}
