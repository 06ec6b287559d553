//! How a product goes through a card's memory: which rows of A and of B lie there together, and what one launch makes.
//!
//! One matrix is the resident one, the smaller. As many of its rows as fit lie on the card while the other streams by, a
//! launch's worth at a time. So where the smaller fits whole, every byte of both goes to the card once.

use core::ops::Range;

use super::{ELEMENT_BYTES, Params};

/// Rows behind a matrix on the card that cuBLASLt may read: it counts B's rows in fours.
pub(crate) const SPARE_ROWS: u64 = 3;
/// Sides of what a launch makes are multiples of this, where they are longer: whole tiles of all entries.
const TILE: u64 = 256;

/// The rectangle of C that a range of elements lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub rows: Range<u64>,
    pub columns: Range<u64>,
}

impl Area {
    /// All of the rows that the elements lie in, or a part of one; `None` without elements.
    pub(super) fn of(params: &Params, elements: &Range<u64>) -> Option<Self> {
        let last = elements.end.checked_sub(1).filter(|_| !elements.is_empty())?;
        let (first, last) = (params.place(elements.start), params.place(last));
        let columns = if first.0 == last.0 { first.1..last.1.saturating_add(1) } else { 0..u64::from(params.n) };
        Some(Self { rows: first.0..last.0.saturating_add(1), columns })
    }
}

/// What a card lets one launch have.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of memory for both matrices and the result of a launch.
    pub memory: u64,
    /// Products.
    pub work: u64,
    /// Bytes of result.
    pub out: u64,
    /// Bytes that stream by at a time, unless [`TILE`] rows have more.
    pub streamed: u64,
}

/// A way of making an area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    area: Area,
    /// Whether A is the resident matrix.
    a_stays: bool,
    /// Rows of the resident matrix on the card.
    resident: u64,
    /// Of those, rows in one launch.
    part: u64,
    /// Rows of the other matrix on the card and in a launch.
    streamed: u64,
}

/// One launch of a plan. Rows of A and B are those of the whole inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// What is made.
    pub area: Area,
    /// Rows of A that lie on the card.
    pub a: Range<u64>,
    /// Whether they are others than before.
    pub new_a: bool,
    /// Rows of B transposed that lie on the card.
    pub b: Range<u64>,
    /// Whether they are others than before.
    pub new_b: bool,
}

fn len(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

/// Whole tiles below or at `most`, or `most` where it has none; at least one.
fn tiles(most: u64) -> u64 {
    if most < TILE { most.max(1) } else { most & !(TILE - 1) }
}

/// Bytes of `rows` rows of C with `columns` columns, in a stride of fours.
fn out_bytes(rows: u64, columns: u64) -> u64 {
    rows.saturating_mul(columns.next_multiple_of(4)).saturating_mul(u64::from(ELEMENT_BYTES))
}

impl Plan {
    /// The plan for an area, `None` where not even a single element fits.
    pub(super) fn new(area: &Area, params: &Params, limits: &Limits) -> Option<Self> {
        let (rows, columns) = (len(&area.rows), len(&area.columns));
        let row_bytes = params.row_bytes();
        let by_work = limits.work.checked_div(u64::from(params.k))?;
        let elements = by_work.min(limits.out.checked_div(u64::from(ELEMENT_BYTES))?).max(1);
        let a_stays = rows <= columns;
        let streamed_most = tiles(limits.streamed.checked_div(row_bytes)?.max(TILE));
        // As near to a square as the area lets it be: that moves the least for what it makes.
        let side = tiles(elements.isqrt());
        let height = rows.min(side);
        let width = columns.min(tiles(elements.checked_div(height)?));
        let height = rows.min(tiles(elements.checked_div(width)?));
        let (mut part, mut streamed) = if a_stays { (height, width) } else { (width, height) };
        streamed = streamed.min(streamed_most);
        loop {
            let fixed = streamed.saturating_add(2 * SPARE_ROWS).saturating_mul(row_bytes);
            let out = if a_stays { out_bytes(part, streamed) } else { out_bytes(streamed, part) };
            let left = limits.memory.saturating_sub(fixed.saturating_add(out));
            let fit = left.checked_div(row_bytes)?;
            if fit >= part {
                let all = if a_stays { rows } else { columns };
                // Whole parts, so that no launch is a small rest in the middle.
                let whole = fit.checked_div(part)?.saturating_mul(part);
                let resident = if fit >= all { all } else { whole };
                return Some(Self { area: area.clone(), a_stays, resident, part, streamed });
            }
            if part <= 1 && streamed <= 1 {
                return None;
            }
            let larger = if part >= streamed { &mut part } else { &mut streamed };
            *larger = tiles(*larger / 2);
        }
    }

    /// Rows of A and of B transposed that lie on the card at most, [`SPARE_ROWS`] not counted.
    pub(super) fn held(&self) -> (u64, u64) {
        if self.a_stays { (self.resident, self.streamed) } else { (self.streamed, self.resident) }
    }

    /// Bytes of the largest launch's result.
    pub(super) fn out_bytes(&self) -> u64 {
        if self.a_stays { out_bytes(self.part, self.streamed) } else { out_bytes(self.streamed, self.part) }
    }

    /// All launches, in their order.
    pub(super) fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        let (stays, streams) =
            if self.a_stays { (&self.area.rows, &self.area.columns) } else { (&self.area.columns, &self.area.rows) };
        pieces(stays.clone(), self.resident).flat_map(move |resident| {
            pieces(streams.clone(), self.streamed).flat_map(move |streamed| {
                let (resident, first) = (resident.clone(), streamed.start == streams.start);
                pieces(resident.clone(), self.part).map(move |part| {
                    let begins = part.start == resident.start;
                    let (resident, streamed) = (resident.clone(), streamed.clone());
                    let (new_resident, new_streamed) = (begins && first, begins);
                    if self.a_stays {
                        let area = Area { rows: part, columns: streamed.clone() };
                        Step { area, a: resident, new_a: new_resident, b: streamed, new_b: new_streamed }
                    } else {
                        let area = Area { rows: streamed.clone(), columns: part };
                        Step { area, a: streamed, new_a: new_streamed, b: resident, new_b: new_resident }
                    }
                })
            })
        })
    }
}

/// A range in pieces of `most`.
fn pieces(range: Range<u64>, most: u64) -> impl Iterator<Item = Range<u64>> {
    let most = most.max(1);
    let count = len(&range).div_ceil(most);
    (0..count).map(move |piece| {
        let start = range.start.saturating_add(piece.saturating_mul(most));
        start..start.saturating_add(most).min(range.end)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What goes wrong with a plan, in words.
    fn follow(area: &Area, params: &Params, limits: &Limits, plan: &Plan) -> Result<(u64, u64), TestCaseError> {
        let (rows, columns) = (len(&area.rows) as usize, len(&area.columns) as usize);
        let mut made = vec![0u8; rows * columns];
        let (held_a, held_b) = plan.held();
        let memory = (held_a + held_b + 2 * SPARE_ROWS) * params.row_bytes() + plan.out_bytes();
        prop_assert!(memory <= limits.memory, "{memory} of {}", limits.memory);
        let (mut a, mut b) = (0..0, 0..0);
        let mut moved = (0, 0);
        for step in plan.steps() {
            // What lies on the card is what was last brought there.
            if step.new_a {
                (a, moved.0) = (step.a.clone(), moved.0 + len(&step.a));
            }
            if step.new_b {
                (b, moved.1) = (step.b.clone(), moved.1 + len(&step.b));
            }
            prop_assert_eq!((&step.a, &step.b), (&a, &b));
            prop_assert!(len(&a) <= held_a && len(&b) <= held_b);
            let Area { rows, columns: across } = step.area;
            prop_assert!(a.start <= rows.start && rows.end <= a.end && b.start <= across.start && across.end <= b.end);
            prop_assert!(out_bytes(len(&rows), len(&across)) <= plan.out_bytes());
            for row in rows {
                for column in across.clone() {
                    let at = (row - area.rows.start) as usize * columns + (column - area.columns.start) as usize;
                    made[at] += 1;
                }
            }
        }
        prop_assert!(made.iter().all(|count| *count == 1));
        Ok(moved)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn a_plan_makes_every_element_once_in_the_memory_that_it_has(
            m in 1u32..900, n in 1u32..900, k in 1u32..5000, memory in 0u64..8_000_000, work in 1u64..1_000_000_000,
            out in 1u64..1_000_000, streamed in 1u64..1_000_000,
            from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
        ) {
            let params = Params { m, n, k };
            let (from, to) = (from.index(params.elements() as usize) as u64, to.index(params.elements() as usize) as u64);
            let elements = from.min(to)..from.max(to) + 1;
            let area = Area::of(&params, &elements).unwrap();
            for element in [elements.start, elements.end - 1] {
                let (row, column) = params.place(element);
                prop_assert!(area.rows.contains(&row) && area.columns.contains(&column));
            }
            let limits = Limits { memory, work, out, streamed };
            // The least: a row of each, the spare ones, a number in a stride of four.
            let least = (2 + 2 * SPARE_ROWS) * params.row_bytes() + 16;
            let plan = Plan::new(&area, &params, &limits);
            prop_assert_eq!(plan.is_some(), memory >= least);
            if let Some(plan) = plan {
                let moved = follow(&area, &params, &limits, &plan)?;
                let (rows, columns) = (len(&area.rows), len(&area.columns));
                // Where the smaller lies there whole, everything is brought once.
                if plan.resident == rows.min(columns) {
                    prop_assert_eq!(moved, (rows, columns));
                }
            }
        }
    }

    #[test]
    fn with_much_memory_launches_are_large_squares_and_bytes_go_once() {
        let limits = Limits { memory: 120 << 30, work: 1 << 40, out: 1 << 28, streamed: 1 << 30 };
        let plan = |m, n, k| {
            let params = Params { m, n, k };
            Plan::new(&Area::of(&params, &(0..params.elements())).unwrap(), &params, &limits).unwrap()
        };
        let large = plan(1 << 20, 1 << 20, 32_768);
        assert_eq!((large.part, large.streamed, large.resident), (5_632, 5_888, 1 << 20));
        let deep = plan(1 << 17, 1 << 17, 131_071);
        assert_eq!((deep.part, deep.streamed, deep.resident), (2_816, 2_816, 1 << 17));
        assert_eq!(plan(16, 16, 100).steps().count(), 1);
        // A row of C: B streams by.
        let row = plan(1, 1 << 20, 32_768);
        assert_eq!((row.part, row.streamed, row.resident, row.a_stays), (1, 32_768, 1, true));
    }

    #[test]
    fn with_little_memory_the_smaller_matrix_is_cut() {
        let params = Params { m: 1 << 17, n: 1 << 16, k: 131_071 };
        let limits = Limits { memory: 7 << 30, work: 1 << 40, out: 1 << 28, streamed: 1 << 30 };
        let area = Area::of(&params, &(0..params.elements())).unwrap();
        let plan = Plan::new(&area, &params, &limits).unwrap();
        assert!(!plan.a_stays && plan.resident < 1 << 16 && plan.resident > 1 << 15);
        let (a, b) = plan.steps().fold((0, 0), |(a, b), step| {
            (a + if step.new_a { len(&step.a) } else { 0 }, b + if step.new_b { len(&step.b) } else { 0 })
        });
        assert_eq!((a, b), (2 << 17, 1 << 16));
    }

    #[test]
    fn no_elements_have_no_area() {
        let params = Params { m: 3, n: 3, k: 1 };
        assert_eq!(Area::of(&params, &(4..4)), None);
        assert_eq!(Area::of(&params, &(4..5)), Some(Area { rows: 1..2, columns: 1..2 }));
        assert_eq!(Area::of(&params, &(5..7)), Some(Area { rows: 1..3, columns: 0..3 }));
    }
}
