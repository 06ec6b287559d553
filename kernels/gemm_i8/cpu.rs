//! `gemm_i8` on all cores: C is cut into tiles, each made by one task. With vector instructions that multiply int8 a tile
//! is made in blocks ([`super::simd`]); without them, or where it has only a few rows, element by element.

use core::ops::Range;

use rayon::prelude::*;

use super::accelerated::slice;
#[cfg(target_arch = "x86_64")]
use super::simd::{self, Simd};
use super::{ELEMENT_BYTES, Params};
use crate::executor::ExecError;

/// Sides of tiles, rows and columns, the largest first: as large as leaves every core several. All are multiples of all
/// blocks' sides.
const TILES: [(u64, u64); 4] = [(240, 288), (120, 192), (48, 96), (24, 96)];
/// Tiles that each core should have.
const TILES_PER_THREAD: u64 = 4;
/// With fewer rows packing B costs more than it saves.
#[cfg(target_arch = "x86_64")]
const FEW_ROWS: u64 = 4;

/// A way to multiply on this processor.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// Element by element.
    Dot(DotFn),
    /// In blocks.
    #[cfg(target_arch = "x86_64")]
    Blocks(Simd),
}

impl Way {
    /// What it multiplies with, for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dot(_) => "element by element",
            #[cfg(target_arch = "x86_64")]
            Self::Blocks(simd) => simd.name,
        }
    }
}

/// A rectangle of C that one task makes.
struct Tile<'a> {
    rows: Range<u64>,
    columns: Range<u64>,
    /// For each row its first column that is wanted, and where it goes with those behind it.
    out: Vec<(u64, &'a mut [u8])>,
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
    let way = ways().first().copied().unwrap_or(Way::Dot(dot));
    multiply_by(way, params, a, b, range, out)
}

/// What this processor can do, the fastest first.
pub fn ways() -> Vec<Way> {
    #[cfg(target_arch = "x86_64")]
    let blocks = simd::available().into_iter().map(Way::Blocks);
    #[cfg(not(target_arch = "x86_64"))]
    let blocks = core::iter::empty();
    blocks.chain([Way::Dot(best_dot())]).collect()
}

/// As the executor does, by one of [`ways`].
///
/// # Errors
/// [`ExecError::LeafRange`] when `out` or the inputs don't have the sizes that params and range require.
#[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables, reason = "blocks alone need room"))]
pub fn multiply_by(
    way: Way,
    params: &Params,
    a: &[u8],
    b: &[u8],
    range: Range<u64>,
    out: &mut [u8],
) -> Result<(), ExecError> {
    cut(params, range, out)?.into_par_iter().try_for_each_init(Default::default, |room: &mut Room, tile| match way {
        #[cfg(target_arch = "x86_64")]
        Way::Blocks(simd) if tile.rows.end.saturating_sub(tile.rows.start) >= FEW_ROWS => {
            blocks(params, a, b, tile, simd, room)
        }
        Way::Dot(dot) => elements(params, a, b, tile, dot),
        #[cfg(target_arch = "x86_64")]
        Way::Blocks(_) => elements(params, a, b, tile, best_dot()),
    })
}

/// Memory of a task that the next one takes over.
#[derive(Default)]
struct Room {
    #[cfg(target_arch = "x86_64")]
    packed: simd::Room,
    #[cfg(target_arch = "x86_64")]
    sums: Vec<i32>,
}

/// Cuts a range into tiles.
fn cut<'a>(params: &Params, range: Range<u64>, out: &'a mut [u8]) -> Result<Vec<Tile<'a>>, ExecError> {
    let n = u64::from(params.n);
    let Some(last) = range.end.checked_sub(1).filter(|_| !range.is_empty()) else { return Ok(Vec::new()) };
    let (first, last) = (params.place(range.start), params.place(last));
    let columns = if first.0 == last.0 { first.1..last.1.saturating_add(1) } else { 0..n };
    let count = |height: u64, width: u64| {
        let rows = last.0.saturating_sub(first.0).saturating_add(1);
        rows.div_ceil(height).saturating_mul(columns.end.saturating_sub(columns.start).div_ceil(width))
    };
    let enough = (rayon::current_num_threads() as u64).saturating_mul(TILES_PER_THREAD);
    let [.., smallest] = TILES;
    let (height, width) =
        TILES.into_iter().find(|(height, width)| count(*height, *width) >= enough).unwrap_or(smallest);
    let (mut tiles, mut out) = (Vec::new(), out);
    for top in (first.0..=last.0).step_by(height as usize) {
        let rows = top..top.saturating_add(height).min(last.0.saturating_add(1));
        let band = tiles.len();
        for left in columns.clone().step_by(width as usize) {
            let columns = left..left.saturating_add(width).min(columns.end);
            tiles.push(Tile { rows: rows.clone(), columns, out: Vec::new() });
        }
        for row in rows {
            for tile in tiles.iter_mut().skip(band) {
                let begin = row.saturating_mul(n);
                let start = begin.saturating_add(tile.columns.start).clamp(range.start, range.end);
                let end = begin.saturating_add(tile.columns.end).clamp(start, range.end);
                let bytes = end.saturating_sub(start).saturating_mul(ELEMENT_BYTES.into());
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                let (piece, rest) =
                    core::mem::take(&mut out).split_at_mut_checked(bytes).ok_or(ExecError::LeafRange)?;
                tile.out.push((start.saturating_sub(begin), piece));
                out = rest;
            }
        }
    }
    Ok(tiles)
}

/// The bytes `piece` of each of some rows.
fn rows_of<'a>(
    params: &Params,
    input: &'a [u8],
    rows: Range<u64>,
    piece: Range<u64>,
) -> Result<Vec<&'a [u8]>, ExecError> {
    let len = piece.end.saturating_sub(piece.start);
    let row_of = |row: u64| slice(input, row.saturating_mul(params.row_bytes()).saturating_add(piece.start), len);
    rows.map(row_of).collect()
}

fn elements(params: &Params, a: &[u8], b: &[u8], tile: Tile, dot: DotFn) -> Result<(), ExecError> {
    let k = 0..u64::from(params.k);
    let a_rows = rows_of(params, a, tile.rows, k.clone())?;
    let b_rows = rows_of(params, b, tile.columns.clone(), k)?;
    let mut outs: Vec<_> = tile.out.into_iter().map(|(first, out)| (first, out.as_chunks_mut::<4>().0)).collect();
    // A row of B, read once, serves all rows of the tile.
    for (b, column) in b_rows.iter().zip(tile.columns) {
        for (a, (first, out)) in a_rows.iter().zip(&mut outs) {
            if let Some(out) = column.checked_sub(*first).and_then(|at| out.get_mut(at as usize)) {
                *out = dot(a, b).to_le_bytes();
            }
        }
    }
    Ok(())
}

#[cfg(target_arch = "x86_64")]
fn blocks(params: &Params, a: &[u8], b: &[u8], tile: Tile, simd: Simd, room: &mut Room) -> Result<(), ExecError> {
    let k = u64::from(params.k);
    let len = |range: &Range<u64>| range.end.saturating_sub(range.start) as usize;
    let (height, width) = (len(&tile.rows), len(&tile.columns));
    let (down, right) = (height.div_ceil(simd.height), width.div_ceil(simd.width));
    let block = simd.height.saturating_mul(simd.width);
    room.sums.clear();
    room.sums.resize(down.saturating_mul(right).saturating_mul(block), 0);
    // What the 128 added to B's bytes has added to each row's sums.
    let mut excess = vec![0i32; height];
    for start in (0..k).step_by(simd::DEPTH) {
        let piece = start..start.saturating_add(simd::DEPTH as u64).min(k);
        let a_rows = rows_of(params, a, tile.rows.clone(), piece.clone())?;
        let b_rows = rows_of(params, b, tile.columns.clone(), piece)?;
        simd.add(&a_rows, &b_rows, &mut room.packed, &mut room.sums);
        if simd.bytes {
            for (excess, row) in excess.iter_mut().zip(a_rows) {
                // At most 128 * 1,024 in magnitude, times 128.
                let sum = row.iter().fold(0i32, |sum, byte| sum.wrapping_add(i32::from(*byte as i8)));
                *excess = excess.wrapping_add(sum.wrapping_mul(128));
            }
        }
    }
    let rows_of_blocks = room.sums.chunks_exact(right.saturating_mul(block).max(1));
    let lines = rows_of_blocks.flat_map(|blocks| {
        (0..simd.height).map(move |line| {
            let of_block = blocks.chunks_exact(block).filter_map(move |block| block.chunks_exact(simd.width).nth(line));
            of_block.flatten()
        })
    });
    for ((line, (first, out)), excess) in lines.zip(tile.out).zip(excess) {
        let skip = first.saturating_sub(tile.columns.start) as usize;
        for (sum, out) in line.skip(skip).zip(out.as_chunks_mut::<{ ELEMENT_BYTES as usize }>().0) {
            *out = sum.wrapping_sub(excess).to_le_bytes();
        }
    }
    Ok(())
}

/// Dot product of int8 vectors of the same length, at most 131,071 elements, so that nothing overflows.
pub type DotFn = fn(&[u8], &[u8]) -> i32;

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
    use proptest::prelude::*;

    use super::*;
    use crate::handling::noise;

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

    fn plain(params: &Params, a: &[u8], b: &[u8], range: Range<u64>) -> Vec<u8> {
        let row = |input, row: u64| slice(input, row * params.row_bytes(), params.k.into()).unwrap();
        let element = |element| {
            let (i, j) = params.place(element);
            row(a, i).iter().zip(row(b, j)).map(|(x, y)| i32::from(*x as i8) * i32::from(*y as i8)).sum::<i32>()
        };
        range.flat_map(|at| element(at).to_le_bytes()).collect()
    }

    fn every_way(params: &Params, a: &[u8], b: &[u8], range: Range<u64>) -> Result<(), TestCaseError> {
        let expected = plain(params, a, b, range.clone());
        for way in ways() {
            let mut out = vec![0xaa; expected.len()];
            multiply_by(way, params, a, b, range.clone(), &mut out).unwrap();
            prop_assert!(out == expected);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Whatever this processor has, any part of any product, with padding that is not zero.
        #[test]
        fn every_way_gives_the_same(
            m in 1u32..60, n in 1u32..320, k in prop_oneof![1u32..20, 1000u32..1050, 2040u32..2060],
            seed in any::<u64>(), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
        ) {
            let params = Params { m, n, k };
            let [a, b] = [(m, seed), (n, !seed)].map(|(rows, seed)| noise(u64::from(rows) * params.row_bytes(), seed));
            let (from, to) = (from.index(params.elements() as usize) as u64, to.index(params.elements() as usize) as u64);
            every_way(&params, &a, &b, from.min(to)..from.max(to) + 1)?;
            every_way(&params, &a, &b, 0..params.elements())?;
        }
    }

    #[test]
    fn every_way_is_exact_at_the_extremes() {
        for (x, y) in [(0x80, 0x80), (0x80, 0x7f), (0x7f, 0x80), (0x7f, 0x7f)] {
            for k in [131_071, 131_070, 32_768] {
                let params = Params { m: 5, n: 3, k };
                let [a, b] = [(5, x), (3, y)].map(|(rows, byte)| vec![byte; rows * params.row_bytes() as usize]);
                every_way(&params, &a, &b, 0..15).unwrap();
            }
        }
    }

    #[test]
    fn no_elements_are_no_work_and_short_outputs_are_refused() {
        let params = Params { m: 2, n: 2, k: 1 };
        let input = vec![1; 2048];
        assert_eq!(multiply(&params, &input, &input, 1..1, &mut []), Ok(()));
        assert_eq!(multiply(&params, &input, &input, 0..4, &mut [0; 15]), Err(ExecError::LeafRange));
        assert_eq!(multiply(&params, &input[1024..], &input, 0..4, &mut [0; 16]), Err(ExecError::LeafRange));
    }
}
