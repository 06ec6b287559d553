//! Which cells of a shard a seed demands, and where a cell lies (protocol.md, section 6, "Draw").
//!
//! Cells of a shard are numbered from 0 in leaf order. A class is a contiguous run of leaves whose cells cost the same.

use crate::{constants::MAX_CELLS, error::AssayError, rules::Result, state::CostClass};
use assay_kernels::hash::{Hash, sha256};

const DRAW_TAG: &[u8] = b"assay:draw:v1";

/// A contiguous range of a job's leaves, cut into classes by the job's geometry.
#[derive(Clone, Copy, Debug)]
pub struct Shard<'a> {
    /// The classes of the whole job, in leaf order.
    pub classes: &'a [CostClass],
    /// Job-wide index of the shard's first leaf.
    pub first_leaf: u64,
    /// Leaves of the shard.
    pub leaves: u64,
}

/// The part of a class that lies inside a shard.
#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    class: &'a CostClass,
    /// Job-wide index of the part's first leaf.
    first_leaf: u64,
    cells: u64,
}

/// Where a cell lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Job-wide leaf.
    pub leaf: u64,
    /// Cell inside the leaf.
    pub cell: u32,
}

/// What a leaf holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafSpan {
    /// Cells of this leaf (the last leaf of a class may be short).
    pub cells: u32,
    /// Bytes of one cell.
    pub cell_bytes: u32,
    /// Number inside the shard of the leaf's first cell.
    pub first_cell: u64,
}

impl LeafSpan {
    /// Bytes of the leaf.
    pub fn bytes(&self) -> Result<u32> {
        self.cells.checked_mul(self.cell_bytes).ok_or(AssayError::Overflow)
    }
}

/// Leaves of a class: its cells, `cells_per_leaf` to a leaf, the last one short.
pub fn class_leaves(class: &CostClass) -> Result<u64> {
    if class.cells_per_leaf == 0 {
        return Err(AssayError::Overflow);
    }
    Ok(class.cells.div_ceil(u64::from(class.cells_per_leaf)))
}

impl<'a> Shard<'a> {
    /// The part of `class`, whose leaves begin at `start`, that lies in the shard, if any; and where the next class begins.
    fn part(&self, class: &'a CostClass, start: u64) -> Result<(Option<Part<'a>>, u64)> {
        let end = start.checked_add(class_leaves(class)?).ok_or(AssayError::Overflow)?;
        let (from, to) = (self.first_leaf.max(start), self.first_leaf.saturating_add(self.leaves).min(end));
        if from >= to {
            return Ok((None, end));
        }
        let cells_until = |leaf: u64| {
            leaf.checked_sub(start)
                .and_then(|l| l.checked_mul(u64::from(class.cells_per_leaf)))
                .map(|c| c.min(class.cells))
                .ok_or(AssayError::Overflow)
        };
        let cells = cells_until(to)?.checked_sub(cells_until(from)?).ok_or(AssayError::Overflow)?;
        Ok((Some(Part { class, first_leaf: from, cells }), end))
    }

    fn parts(&self) -> impl Iterator<Item = Result<Part<'a>>> + '_ {
        let mut start = 0u64;
        self.classes.iter().filter_map(move |class| match self.part(class, start) {
            Ok((part, next)) => {
                start = next;
                part.map(Ok)
            }
            Err(error) => Some(Err(error)),
        })
    }

    /// Cells of the shard.
    pub fn cells(&self) -> Result<u64> {
        self.parts().try_fold(0u64, |n, p| n.checked_add(p?.cells).ok_or(AssayError::Overflow))
    }

    /// Where cell `number` lies.
    pub fn place(&self, number: u64) -> Result<Place> {
        let mut left = number;
        for part in self.parts() {
            let part = part?;
            if let Some(next) = left.checked_sub(part.cells) {
                left = next;
                continue;
            }
            let per = u64::from(part.class.cells_per_leaf);
            let leaf =
                left.checked_div(per).and_then(|l| l.checked_add(part.first_leaf)).ok_or(AssayError::Overflow)?;
            let cell = left.checked_rem(per).ok_or(AssayError::Overflow)?;
            return Ok(Place { leaf, cell: u32::try_from(cell).map_err(|_| AssayError::Overflow)? });
        }
        Err(AssayError::NoSuchCell)
    }

    /// What the job-wide `leaf`, which must lie in this shard, holds.
    pub fn leaf(&self, leaf: u64) -> Result<LeafSpan> {
        let mut before = 0u64;
        for part in self.parts() {
            let part = part?;
            let per = u64::from(part.class.cells_per_leaf);
            let Some(inside) = leaf.checked_sub(part.first_leaf) else { break };
            let skipped = inside.checked_mul(per).ok_or(AssayError::Overflow)?;
            if let Some(rest) = part.cells.checked_sub(skipped)
                && rest > 0
            {
                return Ok(LeafSpan {
                    cells: u32::try_from(rest.min(per)).map_err(|_| AssayError::Overflow)?,
                    cell_bytes: part.class.cell_bytes,
                    first_cell: before.checked_add(skipped).ok_or(AssayError::Overflow)?,
                });
            }
            before = before.checked_add(part.cells).ok_or(AssayError::Overflow)?;
        }
        Err(AssayError::NoSuchCell)
    }

    /// The cells that `seed` demands of the shard with address `shard` and commitment `root`: at most `k`, all of them
    /// when the shard has no more than `k`. Writes them to `out` and returns how many.
    ///
    /// `x_i` = first 8 bytes, little-endian, of `SHA-256("assay:draw:v1", seed, shard, root, i as u8)`. Draws
    /// `0..S-1` of a kernel with S > 1 stages take one cell of each stage, uniformly; the others are drawn by cost.
    pub fn draw(&self, seed: &Hash, shard: &[u8; 32], root: &Hash, k: u8, out: &mut [u64; MAX_CELLS]) -> Result<u8> {
        let mut parts = Parts(Vec::with_capacity(self.classes.len()));
        for part in self.parts() {
            parts.0.push(part?);
        }
        let cells = parts.cells()?;
        let k = k.min(u8::try_from(MAX_CELLS).map_err(|_| AssayError::Overflow)?);
        if cells <= u64::from(k) {
            for (slot, number) in out.iter_mut().zip(0..cells) {
                *slot = number;
            }
            return u8::try_from(cells).map_err(|_| AssayError::Overflow);
        }
        // With one class stages and cost change nothing: floor(floor(x N c / 2^64) / c) is floor(x N / 2^64).
        let plain = parts.0.len() == 1;
        let cost = if plain { 0 } else { parts.cost()? };
        let stages = if plain { 0 } else { self.classes.iter().map(|c| c.stage).max().unwrap_or(0) };
        for (slot, i) in out.iter_mut().zip(0..k) {
            let digest = sha256(&[DRAW_TAG, seed, shard, root, &[i]]);
            let x = digest.first_chunk().map(|first| u64::from_le_bytes(*first)).ok_or(AssayError::Overflow)?;
            if plain {
                *slot = scale(x, cells)?;
                continue;
            }
            let staged =
                if stages > 0 && u32::from(i) <= stages { parts.draw_in_stage(x, u32::from(i))? } else { None };
            *slot = match staged {
                Some(number) => number,
                None => parts.draw_by_cost(x, cost)?,
            };
        }
        Ok(k)
    }
}

/// The parts of a shard, walked once for all of its draws.
struct Parts<'a>(Vec<Part<'a>>);

impl Parts<'_> {
    fn cells(&self) -> Result<u64> {
        self.0.iter().try_fold(0u64, |n, p| n.checked_add(p.cells).ok_or(AssayError::Overflow))
    }

    fn cost(&self) -> Result<u64> {
        self.0.iter().try_fold(0u64, |n, p| {
            p.cells.checked_mul(p.class.cost).and_then(|c| n.checked_add(c)).ok_or(AssayError::Overflow)
        })
    }

    fn draw_by_cost(&self, x: u64, cost: u64) -> Result<u64> {
        let mut target = scale(x, cost)?;
        let mut before = 0u64;
        for part in &self.0 {
            let weight = part.cells.checked_mul(part.class.cost).ok_or(AssayError::Overflow)?;
            if let Some(next) = target.checked_sub(weight) {
                target = next;
                before = before.checked_add(part.cells).ok_or(AssayError::Overflow)?;
                continue;
            }
            let inside = target.checked_div(part.class.cost).ok_or(AssayError::Overflow)?;
            return before.checked_add(inside).ok_or(AssayError::Overflow);
        }
        Err(AssayError::NoSuchCell)
    }

    /// A uniform cell of one stage; none when the shard has no cell of it.
    fn draw_in_stage(&self, x: u64, stage: u32) -> Result<Option<u64>> {
        let of_stage = self
            .0
            .iter()
            .filter(|part| part.class.stage == stage)
            .try_fold(0u64, |n, part| n.checked_add(part.cells).ok_or(AssayError::Overflow))?;
        if of_stage == 0 {
            return Ok(None);
        }
        let mut target = scale(x, of_stage)?;
        let mut before = 0u64;
        for part in &self.0 {
            if part.class.stage == stage {
                match target.checked_sub(part.cells) {
                    Some(next) => target = next,
                    None => return before.checked_add(target).map(Some).ok_or(AssayError::Overflow),
                }
            }
            before = before.checked_add(part.cells).ok_or(AssayError::Overflow)?;
        }
        Err(AssayError::NoSuchCell)
    }
}

/// `floor(x * n / 2^64)`.
fn scale(x: u64, n: u64) -> Result<u64> {
    let wide = u128::from(x).checked_mul(u128::from(n)).ok_or(AssayError::Overflow)?;
    u64::try_from(wide >> 64).map_err(|_| AssayError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;
    use proptest::prelude::*;

    fn class(cells: u64, cost: u64, cells_per_leaf: u32, stage: u32) -> CostClass {
        CostClass { cells, cost, cells_per_leaf, cell_bytes: 4, stage, ..CostClass::zeroed() }
    }
    fn job() -> Vec<CostClass> {
        vec![class(100, 1, 8, 0), class(50, 10, 16, 1), class(7, 3, 7, 1)]
    }

    #[test]
    fn leaves_and_cells_of_ragged_classes() {
        let classes = job();
        let whole = Shard { classes: &classes, first_leaf: 0, leaves: 13 + 4 + 1 };
        assert_eq!(whole.cells(), Ok(157));
        assert_eq!(Parts(whole.parts().collect::<Result<_>>().unwrap()).cost(), Ok(100 + 500 + 21));
        assert_eq!(whole.leaf(12).unwrap().cells, 4, "the last leaf of a class is short");
        assert_eq!(whole.leaf(13).unwrap(), LeafSpan { cells: 16, cell_bytes: 4, first_cell: 100 });
        assert_eq!(whole.place(99).unwrap(), Place { leaf: 12, cell: 3 });
        assert_eq!(whole.place(100).unwrap(), Place { leaf: 13, cell: 0 });
        assert_eq!(whole.place(157), Err(AssayError::NoSuchCell));
        assert_eq!(whole.leaf(18), Err(AssayError::NoSuchCell));
        let tail = Shard { classes: &classes, first_leaf: 12, leaves: 2 };
        assert_eq!(tail.cells(), Ok(20));
        assert_eq!(tail.leaf(11), Err(AssayError::NoSuchCell));
    }

    #[test]
    fn a_small_shard_is_drawn_whole() {
        let classes = [class(3, 1, 1, 0)];
        let mut out = [9; MAX_CELLS];
        let n = Shard { classes: &classes, first_leaf: 0, leaves: 3 }.draw(&[1; 32], &[2; 32], &[3; 32], 3, &mut out);
        assert_eq!((n, &out[..3]), (Ok(3), &[0, 1, 2][..]));
    }

    proptest! {
        #[test]
        fn place_and_leaf_agree(first in 0u64..17, leaves in 1u64..18) {
            let classes = job();
            let shard = Shard { classes: &classes, first_leaf: first, leaves: leaves.min(18 - first) };
            for number in 0..shard.cells().unwrap() {
                let place = shard.place(number).unwrap();
                let span = shard.leaf(place.leaf).unwrap();
                prop_assert!(place.cell < span.cells);
                prop_assert_eq!(span.first_cell + u64::from(place.cell), number);
            }
        }

        #[test]
        fn drawn_cells_exist_and_every_stage_is_hit(seed: [u8; 32], root: [u8; 32], k in 3u8..=32) {
            let classes = job();
            let shard = Shard { classes: &classes, first_leaf: 0, leaves: 18 };
            let mut out = [0; MAX_CELLS];
            let n = shard.draw(&seed, &[5; 32], &root, k, &mut out).unwrap();
            prop_assert_eq!(n, k);
            prop_assert!(out[..usize::from(k)].iter().all(|c| *c < 157));
            prop_assert!(out[0] < 100, "draw 0 is of stage 0");
            prop_assert!(out[1] >= 100, "draw 1 is of stage 1");
        }

        #[test]
        fn equal_cost_is_the_plain_scaling(x: u64, cost in 1u64..1000) {
            let classes = [class(1000, cost, 8, 0)];
            let shard = Shard { classes: &classes, first_leaf: 0, leaves: 125 };
            let parts = Parts(shard.parts().collect::<Result<_>>().unwrap());
            let expected = u64::try_from((u128::from(x) * 1000) >> 64).unwrap();
            prop_assert_eq!(parts.draw_by_cost(x, 1000 * cost), Ok(expected));
            // What the general rule gives is the same.
            prop_assert_eq!(scale(x, 1000 * cost).unwrap() / cost, expected);
        }
    }

    /// Chi-square over 10,000 seeds: cells of cost 10 are drawn ten times as often as cells of cost 1.
    #[test]
    fn draws_follow_cost() {
        let classes = [class(100, 1, 8, 0), class(50, 10, 16, 0)];
        let shard = Shard { classes: &classes, first_leaf: 0, leaves: 17 };
        let mut seen = [0u32; 150];
        for s in 0..10_000u32 {
            let mut out = [0; MAX_CELLS];
            let n = shard.draw(&sha256(&[&s.to_le_bytes()]), &[5; 32], &[6; 32], 3, &mut out).unwrap();
            out[..usize::from(n)].iter().for_each(|c| seen[usize::try_from(*c).unwrap()] += 1);
        }
        let chi: f64 = seen
            .iter()
            .enumerate()
            .map(|(i, n)| {
                let e = 30_000.0 * if i < 100 { 1.0 } else { 10.0 } / 600.0;
                (f64::from(*n) - e).powi(2) / e
            })
            .sum();
        // 149 degrees of freedom: 99.99 % lie below 219. The seeds are fixed, so this can't flake.
        assert!(chi < 219.0, "{chi}");
    }
}
