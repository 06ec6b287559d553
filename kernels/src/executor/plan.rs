//! What is to be hashed on a card: leaves as their bytes come, tile by tile, then level above level.

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

/// The leaves of a run, of which some have come.
#[derive(Clone, Debug)]
pub struct Plan {
    geometry: Geometry,
    leaves: Range<u64>,
    /// Leaves that have come: in order, with gaps between.
    come: Vec<Range<u64>>,
    /// A tile came that does not begin and end where leaves do, or that had come before.
    is_broken: bool,
}

impl Plan {
    /// For these leaves of a job.
    pub fn new(geometry: &Geometry, leaves: Range<u64>) -> Self {
        Self { geometry: *geometry, leaves, come: Vec::new(), is_broken: false }
    }

    /// Number of leaves.
    pub fn leaves(&self) -> u64 {
        self.leaves.end.saturating_sub(self.leaves.start)
    }

    /// Whether all leaves have come.
    pub fn is_complete(&self) -> bool {
        let all = self.leaves.is_empty() || self.come == core::slice::from_ref(&self.leaves);
        all && !self.is_broken
    }

    /// What of the bytes `tile` of the result is to be hashed: all of it. Nothing, from then on either, when the tile does
    /// not begin and end where leaves do, or came before: then somebody else hashes.
    pub fn take(&mut self, tile: Range<u64>) -> Vec<LeafRun> {
        if tile.is_empty() || self.is_broken {
            return Vec::new();
        }
        let taken = self.runs(&tile).filter(|(_, leaves)| self.add(leaves.clone()));
        self.is_broken = taken.is_none();
        taken.map_or(Vec::new(), |(runs, _)| runs)
    }

    /// Notes that leaves have come; not if some of them had before.
    fn add(&mut self, leaves: Range<u64>) -> bool {
        let at = self.come.partition_point(|come| come.end < leaves.start);
        let (mut from, mut to) = (leaves.start, leaves.end);
        let mut touched = 0usize;
        for come in self.come.iter().skip(at).take_while(|come| come.start <= leaves.end) {
            if come.start < leaves.end && leaves.start < come.end {
                return false;
            }
            (from, to) = (from.min(come.start), to.max(come.end));
            touched = touched.saturating_add(1);
        }
        drop(self.come.splice(at..at.saturating_add(touched), core::iter::once(from..to)));
        true
    }

    /// Byte of the result with which a leaf begins.
    fn byte(&self, leaf: u64) -> Option<u64> {
        self.geometry.bytes_before(leaf)?.checked_sub(self.geometry.bytes_before(self.leaves.start)?)
    }

    /// The leaf that begins with this byte.
    fn leaf(&self, byte: u64) -> Option<u64> {
        let (mut low, mut high) = (self.leaves.start, self.leaves.end);
        while low < high {
            let middle = low.midpoint(high);
            if self.byte(middle)? < byte {
                low = middle.checked_add(1)?;
            } else {
                high = middle;
            }
        }
        (self.byte(low)? == byte).then_some(low)
    }

    /// The leaves that make up a tile, by length and all together.
    fn runs(&self, tile: &Range<u64>) -> Option<(Vec<LeafRun>, Range<u64>)> {
        let first = self.leaf(tile.start)?;
        let (mut runs, mut at, mut leaf) = (Vec::new(), tile.start, first);
        while at < tile.end {
            if leaf >= self.leaves.end {
                return None;
            }
            let (alike, leaf_bytes) = leaves_alike(&self.geometry, leaf..self.leaves.end)?;
            let fit = tile.end.checked_sub(at)?.checked_div(u64::from(leaf_bytes))?;
            let count = u32::try_from(alike.min(fit)).ok().filter(|count| *count > 0)?;
            let (from, to) = (at.checked_sub(tile.start)?, leaf.checked_sub(self.leaves.start)?);
            runs.push(LeafRun { from, to, leaf_bytes, count });
            at = at.checked_add(u64::from(leaf_bytes).checked_mul(u64::from(count))?)?;
            leaf = leaf.checked_add(u64::from(count))?;
        }
        Some((runs, first..leaf))
    }
}

/// Where `part` lies in what begins at the address `start` and has `len` bytes; none where it lies elsewhere.
pub(super) fn place_of(start: usize, len: usize, part: &[u8]) -> Option<Range<u64>> {
    let from = part.as_ptr().addr().checked_sub(start)?;
    let to = from.checked_add(part.len())?;
    (to <= len).then_some(from as u64..to as u64)
}

/// The levels above `leaves` leaf hashes up to `level`: how many nodes the one below has each time.
pub fn levels(leaves: u64, level: u8) -> impl Iterator<Item = u64> {
    let below = core::iter::successors(Some(leaves), |nodes| Some(nodes.div_ceil(2)));
    below.take(usize::from(level)).take_while(|nodes| *nodes > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_may_come_in_any_order_but_once() {
        let geometry = Geometry::uniform(100, 1, 8);
        let take = |tiles: &[Range<u64>]| {
            let mut plan = Plan::new(&geometry, 10..20);
            let runs: Vec<LeafRun> = tiles.iter().flat_map(|tile| plan.take(tile.clone())).collect();
            (runs.iter().map(|run| run.count).sum::<u32>(), plan.is_complete())
        };
        assert_eq!(take(core::slice::from_ref(&(0..80))), (10, true));
        assert_eq!(take(&[40..80, 0..8, 24..40, 8..24]), (10, true));
        assert_eq!(take(&[0..40, 48..80]), (9, false), "one is missing");
        assert_eq!(take(&[0..40, 32..80]), (5, false), "one comes twice");
        assert_eq!(take(&[0..40, 40..80, 0..8]), (10, false));
        assert_eq!(take(&[0..44, 44..80]), (0, false), "a tile ends within a leaf");
        assert_eq!(take(core::slice::from_ref(&(0..88))), (0, false), "there are no such leaves");
        assert_eq!(take(&[0..0, 0..80, 80..80]), (10, true), "empty tiles are none");
        assert!(Plan::new(&geometry, 5..5).is_complete());
        let mut plan = Plan::new(&geometry, 10..20);
        let run = LeafRun { from: 0, to: 4, leaf_bytes: 8, count: 2 };
        assert_eq!(plan.take(32..48), vec![run], "counted from the first that is computed");
    }

    #[test]
    fn parts_are_found_by_where_they_lie() {
        let (all, other) = ([0u8; 100], [0u8; 10]);
        let inside = &all[10..90];
        let place = |part: &[u8]| place_of(inside.as_ptr().addr(), inside.len(), part);
        assert_eq!(place(inside), Some(0..80));
        assert_eq!(place(&all[30..40]), Some(20..30));
        assert_eq!((place(&all[9..20]), place(&all[80..91]), place(&other)), (None, None, None));
    }
}
