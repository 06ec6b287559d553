//! Which cells of a shard are wrong.

use assay_settlement::state::CostClass;
use rand::Rng;

/// How many cells of each class are wrong.
#[derive(Clone, Debug)]
pub struct Wrong {
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    first: u64,
    class: CostClass,
    wrong: u64,
}

/// The wrong cells of one shard: in each class a run of cells that begins anywhere. Draws of one shard are independent,
/// so a run is found exactly as often as any other set of its size.
#[derive(Clone, Debug)]
pub struct Placed {
    runs: Vec<(Run, u64)>,
}

impl Wrong {
    /// `shares[i]` of the cells of class i, rounded.
    pub fn shares(classes: &[CostClass], shares: &[f64]) -> Self {
        let mut first = 0u64;
        let runs = classes
            .iter()
            .zip(shares)
            .map(|(class, share)| {
                let wrong = ((class.cells as f64 * share).round() as u64).min(class.cells);
                let run = Run { first, class: *class, wrong };
                first = first.saturating_add(class.cells);
                run
            })
            .collect();
        Wrong { runs }
    }

    /// The same share of every class.
    pub fn everywhere(classes: &[CostClass], share: f64) -> Self {
        Self::shares(classes, &vec![share; classes.len()])
    }

    /// Wrong cells.
    pub fn count(&self) -> u64 {
        self.runs.iter().fold(0, |n, r| n.saturating_add(r.wrong))
    }

    /// Their share of the shard's cost: what skipping them saves, and what a draw by cost hits.
    pub fn cost_share(&self) -> f64 {
        let (wrong, all) = self.runs.iter().fold((0.0, 0.0), |(wrong, all), r| {
            let cost = r.class.cost as f64;
            (wrong + r.wrong as f64 * cost, all + r.class.cells as f64 * cost)
        });
        wrong / all
    }

    /// Their share of the cells of a stage.
    pub fn stage_share(&self, stage: u32) -> f64 {
        let of_stage = self.runs.iter().filter(|r| r.class.stage == stage);
        let (wrong, all) = of_stage
            .fold((0u64, 0u64), |(wrong, all), r| (wrong.saturating_add(r.wrong), all.saturating_add(r.class.cells)));
        wrong as f64 / all as f64
    }

    /// The chance that `draws` draws find one: one of each stage first where there are several, the rest by cost.
    pub fn found(&self, draws: u8) -> f64 {
        let stages = self.runs.iter().map(|r| r.class.stage).max().unwrap_or(0);
        let by_stage = if stages == 0 { 0 } else { u32::from(draws).min(stages.saturating_add(1)) };
        let missed_by_stage: f64 = (0..by_stage).map(|s| 1.0 - self.stage_share(s)).product();
        let by_cost = u32::from(draws).saturating_sub(by_stage);
        1.0 - missed_by_stage * (1.0 - self.cost_share()).powi(i32::try_from(by_cost).unwrap_or(i32::MAX))
    }

    /// Puts them somewhere.
    pub fn place(&self, chance: &mut impl Rng) -> Placed {
        Placed { runs: self.runs.iter().map(|r| (*r, chance.random_range(0..r.class.cells.max(1)))).collect() }
    }
}

impl Placed {
    /// True for a wrong cell.
    pub fn contains(&self, cell: u64) -> bool {
        self.runs.iter().any(|(r, start)| {
            let Some(inside) = cell.checked_sub(r.first).filter(|i| *i < r.class.cells) else { return false };
            let turned = if inside >= *start { inside } else { inside.saturating_add(r.class.cells) };
            turned.saturating_sub(*start) < r.wrong
        })
    }

    /// A wrong cell, as somebody finds who computes everything again.
    pub fn any(&self) -> Option<u64> {
        self.runs.iter().find(|(r, _)| r.wrong > 0).map(|(r, start)| r.first.saturating_add(*start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deal::class;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn as_many_cells_are_wrong_as_were_asked_for_wherever_they_lie() {
        let classes = [class(100, 1, 0), class(40, 5, 1)];
        let mut chance = StdRng::seed_from_u64(5);
        for _ in 0..50 {
            let wrong = Wrong::shares(&classes, &[0.07, 0.5]);
            let placed = wrong.place(&mut chance);
            let cells: Vec<u64> = (0..140).filter(|c| placed.contains(*c)).collect();
            assert_eq!(cells.iter().filter(|c| **c < 100).count(), 7);
            assert_eq!(cells.len(), 27);
            assert_eq!(wrong.count(), 27);
            assert!(placed.any().is_some_and(|c| placed.contains(c)));
        }
        assert_eq!(Wrong::everywhere(&classes, 0.0).place(&mut chance).any(), None);
    }

    #[test]
    fn shares_count_cost_and_stages() {
        let wrong = Wrong::shares(&[class(100, 1, 0), class(40, 5, 1)], &[0.1, 0.5]);
        assert!((wrong.cost_share() - 110.0 / 300.0).abs() < 1e-12);
        assert!((wrong.stage_share(1) - 0.5).abs() < 1e-12);
        let missed = 0.9 * 0.5 * (1.0 - 110.0 / 300.0f64).powi(2);
        assert!((wrong.found(4) - (1.0 - missed)).abs() < 1e-12);
    }
}
