//! `gemm_i8` on all cores: C is cut into tiles, each made by one task. With vector instructions that multiply int8 a tile
//! is made in blocks ([`super::simd`]), from rows of A and of B that were packed once for all the tiles of a field; without
//! them, or where C has only a few rows or columns, element by element.

use core::ops::Range;
#[cfg(target_arch = "x86_64")]
use std::collections::BTreeMap;

use rayon::prelude::*;

use super::accelerated::slice;
use super::plan::Area;
#[cfg(target_arch = "x86_64")]
use super::simd::{self, Packed, Side, Simd};
use super::{ELEMENT_BYTES, Params};
use crate::executor::ExecError;

/// Sides of tiles, rows and columns, the largest first: as large as leaves every core several. All are multiples of all
/// blocks' sides.
const TILES: [(u64, u64); 4] = [(240, 288), (120, 192), (48, 96), (24, 96)];
/// Tiles that each core should have.
const TILES_PER_THREAD: u64 = 4;
/// With fewer rows or columns packing the other side costs more than it saves.
#[cfg(target_arch = "x86_64")]
const FEW: u64 = 4;
/// Bytes of packed rows of a field, and how many more for each core.
const FIELD_BYTES: u64 = 16 << 20;
const FIELD_BYTES_PER_THREAD: u64 = 8 << 20;
/// Bytes of a row that are packed at a time.
const PIECE: u64 = 8_192;

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
pub fn multiply_by(
    way: Way,
    params: &Params,
    a: &[u8],
    b: &[u8],
    range: Range<u64>,
    out: &mut [u8],
) -> Result<(), ExecError> {
    let threads = rayon::current_num_threads() as u64;
    let bytes = FIELD_BYTES.saturating_add(threads.saturating_mul(FIELD_BYTES_PER_THREAD));
    multiply_in_fields(way, params, [a, b], range, out, bytes)
}

/// [`multiply_by`] with fields of so many bytes.
fn multiply_in_fields(
    way: Way,
    params: &Params,
    [a, b]: [&[u8]; 2],
    range: Range<u64>,
    out: &mut [u8],
    bytes: u64,
) -> Result<(), ExecError> {
    let Some(area) = Area::of(params, &range) else { return Ok(()) };
    let dot = match way {
        Way::Dot(dot) => dot,
        #[cfg(target_arch = "x86_64")]
        Way::Blocks(simd) if len(&area.rows).min(len(&area.columns)) >= FEW => {
            let words = simd.words(u64::from(params.k).min(PIECE) as usize) as u64;
            let side = sides(&area, bytes.checked_div(words.saturating_mul(4)).unwrap_or(1));
            let mut fields = BTreeMap::<_, Vec<Tile>>::new();
            for tile in cut(params, &area, side.tile, range, out)? {
                let down = tile.rows.start.saturating_sub(area.rows.start).checked_div(side.field.0);
                let right = tile.columns.start.saturating_sub(area.columns.start).checked_div(side.field.1);
                fields.entry((down, right)).or_default().push(tile);
            }
            return fields.into_values().try_for_each(|tiles| field(params, a, b, tiles, simd));
        }
        #[cfg(target_arch = "x86_64")]
        Way::Blocks(_) => best_dot(),
    };
    let tiles = cut(params, &area, sides(&area, u64::MAX).tile, range, out)?;
    tiles.into_par_iter().try_for_each(|tile| elements(params, a, b, tile, dot))
}

/// Rows and columns of a tile, and of a field: whole tiles whose packed rows lie in memory together.
struct Sides {
    tile: (u64, u64),
    field: (u64, u64),
}

/// How an area is cut where a field may have `most` rows of A and of B together.
fn sides(area: &Area, most: u64) -> Sides {
    let (rows, columns) = (len(&area.rows), len(&area.columns));
    // A half each, or what the other side leaves.
    let half = most.div_ceil(2);
    let rows = rows.min(half.max(most.saturating_sub(columns)));
    let columns = columns.min(half.max(most.saturating_sub(rows)));
    let enough = (rayon::current_num_threads() as u64).saturating_mul(TILES_PER_THREAD);
    let count = |height: u64, width: u64| rows.div_ceil(height).saturating_mul(columns.div_ceil(width));
    let [.., smallest] = TILES;
    let tile = TILES.into_iter().find(|(height, width)| count(*height, *width) >= enough).unwrap_or(smallest);
    let whole = |side: u64, tile: u64| side.checked_div(tile).unwrap_or(0).max(1).saturating_mul(tile);
    Sides { tile, field: (whole(rows, tile.0), whole(columns, tile.1)) }
}

fn len(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

/// Cuts a range into tiles.
fn cut<'a>(
    params: &Params,
    area: &Area,
    (height, width): (u64, u64),
    range: Range<u64>,
    out: &'a mut [u8],
) -> Result<Vec<Tile<'a>>, ExecError> {
    let n = u64::from(params.n);
    let (mut tiles, mut out) = (Vec::new(), out);
    for top in area.rows.clone().step_by(height as usize) {
        let rows = top..top.saturating_add(height).min(area.rows.end);
        let band = tiles.len();
        for left in area.columns.clone().step_by(width as usize) {
            let columns = left..left.saturating_add(width).min(area.columns.end);
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
    piece: &Range<u64>,
) -> Result<Vec<&'a [u8]>, ExecError> {
    let row_of =
        |row: u64| slice(input, row.saturating_mul(params.row_bytes()).saturating_add(piece.start), len(piece));
    rows.map(row_of).collect()
}

fn elements(params: &Params, a: &[u8], b: &[u8], tile: Tile, dot: DotFn) -> Result<(), ExecError> {
    let k = 0..u64::from(params.k);
    let a_rows = rows_of(params, a, tile.rows, &k)?;
    let b_rows = rows_of(params, b, tile.columns.clone(), &k)?;
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

/// Makes the tiles of a field.
#[cfg(target_arch = "x86_64")]
fn field(params: &Params, a: &[u8], b: &[u8], tiles: Vec<Tile>, simd: Simd) -> Result<(), ExecError> {
    let (Some(first), Some(last)) = (tiles.first(), tiles.last()) else { return Ok(()) };
    let (top, left) = (first.rows.start, first.columns.start);
    // With one row of tiles each of B's rows is read by one of them, which packs it for itself.
    let once = last.rows.start == top;
    let (bottom, right) = (last.rows.end, last.columns.end);
    let (mut a_rows, mut b_rows) = (Packed::default(), Packed::default());
    let mut tiles: Vec<(Tile, Vec<i32>)> = tiles.into_iter().map(|tile| (tile, Vec::new())).collect();
    // A tile's first row and column begin a panel: the sides of tiles are multiples of those of blocks.
    let panels = |range: &Range<u64>, first: u64, lanes: usize| {
        let index = |at: u64| at.saturating_sub(first) as usize;
        index(range.start).checked_div(lanes).unwrap_or(0)..index(range.end).div_ceil(lanes)
    };
    let k = u64::from(params.k);
    for start in (0..k).step_by(PIECE as usize) {
        let piece = start..start.saturating_add(PIECE).min(k);
        simd.pack_together(Side::A, &rows_of(params, a, top..bottom, &piece)?, &mut a_rows);
        if !once {
            simd.pack_together(Side::B, &rows_of(params, b, left..right, &piece)?, &mut b_rows);
        }
        tiles.par_iter_mut().try_for_each_init(
            Default::default,
            |(own, spare): &mut (Packed, Vec<i32>), (tile, kept)| {
                let right = panels(&tile.columns, left, simd.width);
                let (b_rows, right) = if once {
                    simd.pack(Side::B, &rows_of(params, b, tile.columns.clone(), &piece)?, own);
                    (&*own, 0..right.len())
                } else {
                    (&b_rows, right)
                };
                let stride = right.len().saturating_mul(simd.width);
                // Sums are kept only where there is another piece.
                let sums = if k > PIECE { kept } else { spare };
                if start == 0 {
                    sums.clear();
                }
                simd.multiply((&a_rows, panels(&tile.rows, top, simd.height)), (b_rows, right), sums);
                if piece.end == k {
                    write(tile, sums, stride);
                }
                Ok::<_, ExecError>(())
            },
        )?;
    }
    Ok(())
}

/// Writes a tile's sums where they belong.
#[cfg(target_arch = "x86_64")]
fn write(tile: &mut Tile, sums: &[i32], stride: usize) {
    for (line, (first, out)) in sums.chunks_exact(stride.max(1)).zip(&mut tile.out) {
        let line = line.get(first.saturating_sub(tile.columns.start) as usize..).unwrap_or_default();
        for (sum, out) in line.iter().zip(out.as_chunks_mut::<{ ELEMENT_BYTES as usize }>().0) {
            *out = sum.to_le_bytes();
        }
    }
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
            prop_assert!(out == expected, "{way:?}");
            // As many fields as there are.
            let mut out = vec![0xaa; expected.len()];
            multiply_in_fields(way, params, [a, b], range.clone(), &mut out, 1).unwrap();
            prop_assert!(out == expected, "{way:?} in small fields");
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
    fn every_way_goes_on_with_the_next_piece_of_long_rows() {
        for (m, n, k) in [(50, 200, PIECE as u32 + 1), (30, 5, 3 * PIECE as u32 - 7), (5, 99, 2 * PIECE as u32)] {
            let params = Params { m, n, k };
            let [a, b] = [(m, 5), (n, 6)].map(|(rows, seed)| noise(u64::from(rows) * params.row_bytes(), seed));
            every_way(&params, &a, &b, 3..params.elements() - 1).unwrap();
        }
    }

    #[test]
    fn every_way_is_exact_at_the_extremes() {
        for (x, y) in [(0x80, 0x80), (0x80, 0x7f), (0x7f, 0x80), (0x7f, 0x7f)] {
            for k in [131_071, 131_070, 32_768] {
                let params = Params { m: 5, n: 7, k };
                let [a, b] = [(5, x), (7, y)].map(|(rows, byte)| vec![byte; rows * params.row_bytes() as usize]);
                every_way(&params, &a, &b, 0..35).unwrap();
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
