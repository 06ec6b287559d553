//! `gemm_i8` on all cores: rows of C in groups, so that a row of B read once serves the whole group.

use core::ops::Range;

use rayon::prelude::*;

use super::accelerated::slice;
use super::{ELEMENT_BYTES, Params};
use crate::executor::ExecError;

/// Rows of C that one task makes together.
const GROUP: u64 = 4;

/// A run of C's elements that one task makes: some columns of one row, or whole rows.
struct Task<'a> {
    rows: Range<u64>,
    columns: Range<u64>,
    out: &'a mut [u8],
}

/// Writes the elements `range` of C, in row-major order, to `out`.
///
/// # Errors
/// [`ExecError::LeafRange`] when `out` or the inputs don't have the sizes that params and range require.
pub(super) fn multiply(
    params: &Params,
    a: &[u8],
    b: &[u8],
    range: Range<u64>,
    out: &mut [u8],
) -> Result<(), ExecError> {
    let dot = best_dot();
    cut(params, range, out)?.into_par_iter().try_for_each(|task| run(params, a, b, task, dot))
}

/// Cuts a range into tasks: the rest of its first row, groups of whole rows, the beginning of its last row.
fn cut<'a>(params: &Params, range: Range<u64>, out: &'a mut [u8]) -> Result<Vec<Task<'a>>, ExecError> {
    let n = u64::from(params.n);
    let (mut next, mut out) = (range.start, out);
    let mut tasks = Vec::new();
    while next < range.end {
        let (row, column) = params.place(next);
        let left = range.end.saturating_sub(next);
        let whole_rows = if column == 0 { left.checked_div(n).unwrap_or(0).min(GROUP) } else { 0 };
        let (rows, columns) = if whole_rows == 0 {
            (row..row.saturating_add(1), column..column.saturating_add(left).min(n))
        } else {
            (row..row.saturating_add(whole_rows), 0..n)
        };
        let elements = rows.end.saturating_sub(rows.start).saturating_mul(columns.end.saturating_sub(columns.start));
        let bytes = usize::try_from(elements.saturating_mul(u64::from(ELEMENT_BYTES))).unwrap_or(usize::MAX);
        let (piece, rest) = core::mem::take(&mut out).split_at_mut_checked(bytes).ok_or(ExecError::LeafRange)?;
        tasks.push(Task { rows, columns, out: piece });
        (next, out) = (next.saturating_add(elements), rest);
    }
    Ok(tasks)
}

fn run(params: &Params, a: &[u8], b: &[u8], task: Task, dot: DotFn) -> Result<(), ExecError> {
    let (k, row_bytes) = (u64::from(params.k), params.row_bytes());
    let row_of = |input, row: u64| slice(input, row.saturating_mul(row_bytes), k);
    let a_rows = task.rows.clone().map(|row| row_of(a, row)).collect::<Result<Vec<_>, _>>()?;
    let width = usize::try_from(task.columns.end.saturating_sub(task.columns.start)).unwrap_or(usize::MAX);
    let (elements, _) = task.out.as_chunks_mut::<{ ELEMENT_BYTES as usize }>();
    let mut out_rows: Vec<&mut [[u8; 4]]> = elements.chunks_mut(width.max(1)).collect();
    for (at, column) in task.columns.enumerate() {
        let b_row = row_of(b, column)?;
        for (a_row, out_row) in a_rows.iter().zip(&mut out_rows) {
            *out_row.get_mut(at).ok_or(ExecError::LeafRange)? = dot(a_row, b_row).to_le_bytes();
        }
    }
    Ok(())
}

/// Dot product of int8 vectors of the same length, at most 131,071 elements, so that nothing overflows.
type DotFn = fn(&[u8], &[u8]) -> i32;

/// The fastest that this processor has.
fn best_dot() -> DotFn {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        return |a, b| {
            // SAFETY: this closure is returned only where the processor has AVX2.
            unsafe { dot_avx2(a, b) }
        };
    }
    dot
}

/// The plain loop, which the compiler turns into vector instructions.
#[inline(always)]
fn dot(a: &[u8], b: &[u8]) -> i32 {
    a.iter()
        .zip(b)
        .fold(0, |sum: i32, (a, b)| sum.wrapping_add(i32::from(i16::from(*a as i8).wrapping_mul(i16::from(*b as i8)))))
}

/// The same loop with wider instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dot_avx2(a: &[u8], b: &[u8]) -> i32 {
    dot(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dot_is_exact_at_the_extremes() {
        for len in [0usize, 1, 15, 31, 1000, 32_768, 131_071] {
            for (x, y) in [(-128i8, -128i8), (-128, 127), (127, 127)] {
                let (a, b) = (vec![x as u8; len], vec![y as u8; len]);
                let expected = i32::from(x) * i32::from(y) * len as i32;
                assert_eq!(dot(&a, &b), expected);
                assert_eq!(best_dot()(&a, &b), expected);
            }
        }
    }
}
