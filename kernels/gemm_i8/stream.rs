//! A product in pieces: brings rows to a machine with memory of its own, has it multiply, and takes the results home.

use core::ops::Range;

pub use super::plan::Limits;
use super::plan::{Area, Plan, SPARE_ROWS, Step};
use super::{ELEMENT_BYTES, Params, slice};
use crate::executor::ExecError;

/// What multiplies: a graphics card, or in tests its program on CPU threads.
pub trait Machine {
    /// Makes room for so many bytes of A, of B and of the result of one launch.
    ///
    /// # Errors
    /// Whatever the machine refuses.
    fn prepare(&mut self, a: usize, b: usize, out: usize) -> Result<(), ExecError>;

    /// Rows of A take the place of those before. What is behind k in each of them must become zeros up to the next
    /// multiple of 128.
    ///
    /// # Errors
    /// Whatever the machine refuses.
    fn load_a(&mut self, rows: &[u8]) -> Result<(), ExecError>;

    /// Rows of B transposed take the place of those before.
    ///
    /// # Errors
    /// Whatever the machine refuses.
    fn load_b(&mut self, rows: &[u8]) -> Result<(), ExecError>;

    /// Makes a rectangle of C, in rows of `stride` numbers of the result's room.
    ///
    /// # Errors
    /// Whatever the machine refuses.
    fn multiply(&mut self, part: &Part) -> Result<(), ExecError>;

    /// Waits and copies the result's bytes from `start` on.
    ///
    /// # Errors
    /// Whatever the machine refuses.
    fn fetch(&mut self, start: usize, to: &mut [u8]) -> Result<(), ExecError>;
}

/// A launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Byte that the first row of A lies at, of what was loaded.
    pub a: u64,
    /// Byte that the first row of B lies at.
    pub b: u64,
    /// Byte of the result's room that the first number of C goes to.
    pub out: u64,
    /// Rows of C.
    pub rows: u32,
    /// Columns of C.
    pub columns: u32,
    /// Numbers from a row of C to the next, a multiple of four: at least `columns`, up to three more where they are all of
    /// the room's.
    pub stride: u32,
}

/// Writes the elements `range` of C, in row-major order, to `out`.
///
/// # Errors
/// [`ExecError::DeviceMemory`] where not even a single element fits, [`ExecError::LeafRange`] where inputs or `out` are not
/// what params and range require, and whatever the machine refuses.
pub fn stream(
    machine: &mut impl Machine,
    limits: &Limits,
    params: &Params,
    [a, b]: [&[u8]; 2],
    range: Range<u64>,
    out: &mut [u8],
) -> Result<(), ExecError> {
    let Some(area) = Area::of(params, &range) else { return Ok(()) };
    let plan = Plan::new(&area, params, limits).ok_or(ExecError::DeviceMemory(limits.memory))?;
    let row_bytes = params.row_bytes();
    let bytes = |count: u64| usize::try_from(count).map_err(|_| ExecError::DeviceMemory(count));
    let room = |rows: u64| bytes(rows.saturating_add(SPARE_ROWS).saturating_mul(row_bytes));
    let (a_rows, b_rows) = plan.held();
    machine.prepare(room(a_rows)?, room(b_rows)?, bytes(plan.out_bytes())?)?;
    let rows_of = |input, rows: &Range<u64>| {
        let count = rows.end.saturating_sub(rows.start);
        slice(input, rows.start.saturating_mul(row_bytes), count.saturating_mul(row_bytes))
    };
    let mut home = Home { params, range, out, scratch: Vec::new() };
    for Step { area, a: a_rows, new_a, b: b_rows, new_b } in plan.steps() {
        if new_a {
            machine.load_a(rows_of(a, &a_rows)?)?;
        }
        if new_b {
            machine.load_b(rows_of(b, &b_rows)?)?;
        }
        let at = |first: u64, loaded: &Range<u64>| first.saturating_sub(loaded.start).saturating_mul(row_bytes);
        // Sides of inputs are at most 2^20.
        let side = |range: &Range<u64>| range.end.saturating_sub(range.start) as u32;
        let columns = side(&area.columns);
        let part = Part {
            a: at(area.rows.start, &a_rows),
            b: at(area.columns.start, &b_rows),
            out: 0,
            rows: side(&area.rows),
            columns,
            stride: columns.next_multiple_of(4),
        };
        machine.multiply(&part)?;
        home.take(machine, &area, part.stride)?;
    }
    Ok(())
}

/// Where results go.
struct Home<'a> {
    params: &'a Params,
    range: Range<u64>,
    out: &'a mut [u8],
    scratch: Vec<u8>,
}

impl Home<'_> {
    /// Bytes of `out` that are these columns of a row, as far as they are asked for, and the bytes of columns before those.
    fn bytes(&self, row: u64, columns: &Range<u64>) -> (Range<usize>, usize) {
        let row = row.saturating_mul(self.params.n.into());
        let begin = row.saturating_add(columns.start);
        let start = begin.clamp(self.range.start, self.range.end);
        let end = row.saturating_add(columns.end).clamp(start, self.range.end.max(start));
        let bytes = |elements: u64| elements.saturating_mul(ELEMENT_BYTES.into()) as usize;
        let at = |element: u64| bytes(element.saturating_sub(self.range.start));
        // Columns of which none is asked for have none before those, wherever the range begins.
        let before = if start < end { start.saturating_sub(begin) } else { 0 };
        (at(start)..at(end), bytes(before))
    }

    /// Fetches a launch's result and puts it where it belongs.
    fn take(&mut self, machine: &mut impl Machine, area: &Area, stride: u32) -> Result<(), ExecError> {
        let last = area.rows.end.saturating_sub(1);
        if area.columns == (0..u64::from(self.params.n)) && stride == self.params.n || area.rows.start == last {
            // Lies there as it lies here.
            let (first, skip) = self.bytes(area.rows.start, &area.columns);
            let (last, _) = self.bytes(last, &area.columns);
            return machine.fetch(skip, self.out.get_mut(first.start..last.end).ok_or(ExecError::LeafRange)?);
        }
        let rows = area.rows.end.saturating_sub(area.rows.start) as usize;
        let row_bytes = stride.saturating_mul(ELEMENT_BYTES) as usize;
        self.scratch.resize(rows.saturating_mul(row_bytes), 0);
        machine.fetch(0, &mut self.scratch)?;
        for (row, from) in area.rows.clone().zip(self.scratch.chunks(row_bytes)) {
            let (to, skip) = self.bytes(row, &area.columns);
            let from = from.get(skip..).and_then(|from| from.get(..to.len())).ok_or(ExecError::LeafRange)?;
            self.out.get_mut(to).ok_or(ExecError::LeafRange)?.copy_from_slice(from);
        }
        Ok(())
    }
}
