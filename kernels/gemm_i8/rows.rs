//! A product in whole leaves: B transposed lies on the card, rows of A go by, and runs of C leave it one after the other,
//! each beginning and ending where leaves do, so that the card can hash them.

use core::ops::Range;

use super::plan::{Area, SPARE_ROWS};
use super::stream::{Limits, Part};
use super::{ELEMENT_BYTES, ELEMENTS_PER_LEAF, Params, slice};
use crate::executor::ExecError;

/// Elements of C that leave the card at a time, where rows are short: 64 MiB.
const RUN: u64 = 1 << 24;
/// Rows of C that are made at a time, where rows are long and there is room: below that, reading B is what takes long.
const ROWS: u64 = 512;
/// Fewest rows at a time, of a product that has so many: a plan that does not hold all of B serves better.
const FEWEST_ROWS: u64 = 64;

/// What multiplies, with results that leave it run by run.
pub trait Tiled {
    /// Rows of A take the place of those before, cleaned as [`Machine::load_a`](super::stream::Machine::load_a) does.
    ///
    /// # Errors
    /// Whatever the machine refuses.
    fn load_a(&mut self, rows: &[u8]) -> Result<(), ExecError>;

    /// All rows of B transposed that any run needs.
    ///
    /// # Errors
    /// Whatever the machine refuses.
    fn load_b(&mut self, rows: &[u8]) -> Result<(), ExecError>;

    /// Bytes of the result that come next; none after the last.
    fn upcoming(&self) -> Option<Range<usize>>;

    /// Makes a rectangle of C: in the run that comes next where that is `direct`, else in the room beside it.
    ///
    /// # Errors
    /// Whatever the machine refuses.
    fn multiply(&mut self, part: &Part, direct: bool) -> Result<(), ExecError>;

    /// Moves numbers from the room beside it to the front of the run that comes next.
    ///
    /// # Errors
    /// Whatever the machine refuses.
    fn pack(&mut self, pack: &Pack) -> Result<(), ExecError>;

    /// The run that comes next is made.
    ///
    /// # Errors
    /// Whatever the machine refuses.
    fn emit(&mut self) -> Result<(), ExecError>;
}

/// `count` numbers one after the other, which lie in rows of `stride` of which `columns` count, the first `skip` left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pack {
    /// Numbers of a row.
    pub columns: u32,
    /// Numbers from a row to the next.
    pub stride: u32,
    /// Numbers before the first.
    pub skip: u32,
    /// Numbers.
    pub count: u32,
}

/// How the elements of a range are made run by run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    params: Params,
    range: Range<u64>,
    columns: Range<u64>,
    /// Elements of a run.
    run: u64,
    /// Rows of A that a run needs at most.
    held: u64,
    /// Products of a launch at most.
    work: u64,
}

/// What one run takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Rows of A.
    pub rows: Range<u64>,
    /// What is multiplied, [`Part::a`] always 0.
    pub parts: Vec<Part>,
    /// Whether the parts are the run as it is; else they are packed.
    pub pack: Option<Pack>,
}

fn len(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

fn gcd(a: u64, b: u64) -> u64 {
    b.checked_rem(a).map_or(b, |rest| gcd(rest, a))
}

impl Rows {
    /// How these elements are made; `None` without elements, or where B and enough rows of A don't fit.
    pub fn new(params: &Params, range: &Range<u64>, limits: &Limits) -> Option<Self> {
        let area = Area::of(params, range)?;
        let (columns, leaf) = (u64::from(params.n), u64::from(ELEMENTS_PER_LEAF));
        let most_rows = limits.out.checked_div(u64::from(ELEMENT_BYTES).saturating_mul(columns))?;
        let by_a = limits.streamed.checked_div(params.row_bytes())?.max(1);
        let wanted = RUN.checked_div(columns)?.max(ROWS).min(most_rows).min(by_a);
        let fewest = FEWEST_ROWS.min(len(&area.rows)).min(by_a);
        let mut rows = wanted;
        loop {
            let plan = Self::with(params, range, &area, limits, rows)?;
            if plan.memory() <= limits.memory {
                return Some(plan);
            }
            if rows <= fewest || plan.run <= leaf {
                return None;
            }
            rows /= 2;
        }
    }

    /// With runs of `rows` rows, or of less than one.
    fn with(params: &Params, range: &Range<u64>, area: &Area, limits: &Limits, rows: u64) -> Option<Self> {
        let (n, leaf) = (u64::from(params.n), u64::from(ELEMENTS_PER_LEAF));
        // So many rows are whole leaves.
        let step = leaf.checked_div(gcd(n, leaf))?;
        let run = if rows >= step {
            rows.checked_div(step)?.saturating_mul(step).saturating_mul(n)
        } else {
            let most = limits.out.checked_div(u64::from(ELEMENT_BYTES))?;
            let elements = if rows == 0 { most } else { rows.saturating_mul(n) };
            elements.checked_div(leaf)?.max(1).saturating_mul(leaf)
        };
        let run = run.min(len(range));
        // It begins and ends within rows unless both it and the range are whole ones.
        let whole = run.is_multiple_of(n) && range.start.is_multiple_of(n);
        let held = if whole { run.checked_div(n)? } else { run.div_ceil(n).saturating_add(1) };
        let held = held.min(len(&area.rows));
        Some(Self {
            params: *params,
            range: range.clone(),
            columns: area.columns.clone(),
            run,
            held,
            work: limits.work,
        })
    }

    /// Bytes of a run.
    pub fn run_bytes(&self) -> u64 {
        self.run.saturating_mul(u64::from(ELEMENT_BYTES))
    }

    /// Bytes of the room for rows of A, for those of B, and beside the runs.
    pub fn rooms(&self) -> [u64; 3] {
        let bytes = |rows: u64| rows.saturating_add(SPARE_ROWS).saturating_mul(self.params.row_bytes());
        [bytes(self.held), bytes(len(&self.columns)), self.beside()]
    }

    /// Bytes of the room beside the runs; none where every run is made as it is.
    fn beside(&self) -> u64 {
        let n = u64::from(self.params.n);
        let whole = [self.range.start, self.range.end, self.run].iter().all(|place| place.is_multiple_of(n));
        let bytes = |columns: u64| self.held.saturating_mul(columns.next_multiple_of(4)).saturating_mul(4);
        if whole && n.is_multiple_of(4) { 0 } else { bytes(len(&self.columns)) }
    }

    /// Bytes of all of it: two runs, A, B, and what is beside.
    fn memory(&self) -> u64 {
        self.rooms().into_iter().fold(self.run_bytes().saturating_mul(2), u64::saturating_add)
    }

    /// What makes these bytes of the result; `None` where they are no elements of it.
    pub fn run(&self, bytes: &Range<usize>) -> Option<Run> {
        let element = |byte: usize| self.range.start.checked_add((byte as u64).checked_div(u64::from(ELEMENT_BYTES))?);
        let elements = element(bytes.start)?..element(bytes.end)?;
        let area = Area::of(&self.params, &elements)?;
        let n = u64::from(self.params.n);
        let (rows, columns) = (len(&area.rows), len(&area.columns));
        let stride = columns.next_multiple_of(4);
        let is_whole = area.columns == (0..n) && elements.start.is_multiple_of(n) && elements.end.is_multiple_of(n);
        // In a single row the columns are those that are asked for.
        let begin = area.rows.start.checked_mul(n)?.checked_add(area.columns.start)?;
        let pack = if stride == columns && (is_whole || rows == 1) {
            None
        } else {
            let skip = u32::try_from(elements.start.checked_sub(begin)?).ok()?;
            let (columns, stride) = (u32::try_from(columns).ok()?, u32::try_from(stride).ok()?);
            Some(Pack { columns, stride, skip, count: u32::try_from(len(&elements)).ok()? })
        };
        let by_work = self.work.checked_div(u64::from(self.params.k))?.checked_div(rows)?;
        // Whole tiles of all entries where they are so wide, and always what begins at 16 bytes.
        let width = if by_work >= 256 { by_work & !255 } else { (by_work & !3).max(4) };
        let mut parts = Vec::new();
        let mut at = 0;
        while at < columns {
            let b = area.columns.start.checked_add(at)?.checked_sub(self.columns.start)?;
            let wide = width.min(columns.checked_sub(at)?);
            parts.push(Part {
                a: 0,
                b: b.checked_mul(self.params.row_bytes())?,
                out: at.checked_mul(u64::from(ELEMENT_BYTES))?,
                rows: u32::try_from(rows).ok()?,
                columns: u32::try_from(wide).ok()?,
                stride: u32::try_from(stride).ok()?,
            });
            at = at.checked_add(wide)?;
        }
        Some(Run { rows: area.rows, parts, pack })
    }
}

/// Makes all runs.
///
/// # Errors
/// [`ExecError::LeafRange`] where inputs are not what params require, and whatever the machine refuses.
pub fn by_rows(machine: &mut impl Tiled, plan: &Rows, [a, b]: [&[u8]; 2]) -> Result<(), ExecError> {
    let row_bytes = plan.params.row_bytes();
    let rows_of = |input, rows: &Range<u64>| {
        slice(input, rows.start.saturating_mul(row_bytes), len(rows).saturating_mul(row_bytes))
    };
    machine.load_b(rows_of(b, &plan.columns)?)?;
    while let Some(bytes) = machine.upcoming() {
        let Run { rows, parts, pack } = plan.run(&bytes).ok_or(ExecError::LeafRange)?;
        machine.load_a(rows_of(a, &rows)?)?;
        for part in &parts {
            machine.multiply(part, pack.is_none())?;
        }
        if let Some(pack) = pack {
            machine.pack(&pack)?;
        }
        machine.emit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The elements that a run gives, in order.
    fn elements(plan: &Rows, run: &Run, count: u64) -> Vec<(u64, u64)> {
        let n = u64::from(plan.params.n);
        let stride = u64::from(run.parts[0].stride);
        let rows = u64::from(run.parts[0].rows);
        let mut room = vec![None; (rows * stride) as usize];
        for part in &run.parts {
            assert_eq!((part.a, part.out % 16, u64::from(part.stride), u64::from(part.rows)), (0, 0, stride, rows));
            for row in 0..rows {
                for column in 0..u64::from(part.columns) {
                    let place = &mut room[(part.out / 4 + row * stride + column) as usize];
                    assert!(place.is_none());
                    let b = part.b / plan.params.row_bytes() + plan.columns.start + column;
                    assert!(b < plan.columns.end);
                    *place = Some((run.rows.start + row, b));
                }
            }
        }
        let pack =
            run.pack.unwrap_or(Pack { columns: stride as u32, stride: stride as u32, skip: 0, count: count as u32 });
        assert_eq!(u64::from(pack.count), count);
        assert!(stride >= n.min(u64::from(pack.columns)));
        (0..count)
            .map(|i| {
                let at = u64::from(pack.skip) + i;
                let (row, column) = (at / u64::from(pack.columns), at % u64::from(pack.columns));
                room[(row * stride + column) as usize].unwrap()
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn every_element_comes_once_in_order_and_in_whole_leaves(
            m in 1u32..200, n in prop_oneof![1u32..20, 60u32..70, 120u32..400], k in 1u32..300,
            memory in 0u64..4_000_000, work in 1u64..3_000_000, out in 4u64..200_000, streamed in 1u64..100_000,
            from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
        ) {
            let params = Params { m, n, k };
            let leaves = params.elements().div_ceil(64) as usize;
            let (from, to) = (from.index(leaves) as u64, to.index(leaves) as u64);
            let range = from.min(to) * 64..((from.max(to) + 1) * 64).min(params.elements());
            let limits = Limits { memory, work, out, streamed };
            let Some(plan) = Rows::new(&params, &range, &limits) else {
                prop_assert!(memory < 3_000_000);
                return Ok(());
            };
            prop_assert!(plan.memory() <= memory);
            let (bytes, each) = (len(&range) as usize * 4, plan.run_bytes() as usize);
            let (mut at, mut next) = (0, range.start);
            while at < bytes {
                let run = at..(at + each).min(bytes);
                let made = plan.run(&run).unwrap();
                let count = run.len() as u64 / 4;
                prop_assert!(next.is_multiple_of(64), "a run begins with a leaf");
                prop_assert!(len(&made.rows) <= plan.held && made.rows.end <= m.into());
                let rooms = u64::from(made.parts[0].rows) * u64::from(made.parts[0].stride) * 4;
                let room = if made.pack.is_some() { plan.beside() } else { run.len() as u64 };
                prop_assert!(rooms <= room);
                for place in elements(&plan, &made, count) {
                    prop_assert_eq!(place, params.place(next));
                    next += 1;
                }
                at = run.end;
            }
            prop_assert_eq!(next, range.end);
        }
    }

    #[test]
    fn large_products_are_made_in_many_rows_and_those_that_fit_no_card_are_not() {
        let limits = Limits { memory: 120 << 30, work: 1 << 40, out: 1 << 29, streamed: 1 << 30 };
        let plan = |m, n, k| {
            let params = Params { m, n, k };
            Rows::new(&params, &(0..params.elements()), &limits)
        };
        let square = plan(1 << 14, 1 << 14, 4_096).unwrap();
        assert_eq!((square.held, square.run, square.beside()), (1_024, 1 << 24, 0));
        let wide = plan(1 << 20, 1 << 20, 32_768).unwrap();
        assert_eq!((wide.held, wide.run_bytes()), (128, 1 << 29));
        // Rows of 1,000 are whole leaves eight at a time; of 1,001, 64 at a time, and packed.
        let (even, odd) = (plan(1 << 16, 1_000, 100).unwrap(), plan(1 << 16, 1_001, 100).unwrap());
        assert_eq!((even.held, even.beside()), (16_776, 0));
        assert_eq!((odd.held, odd.beside()), (16_704, 16_704 * 1_004 * 4));
        assert_eq!(plan(1 << 20, 1 << 20, 131_071), None);
    }
}
