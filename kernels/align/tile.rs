//! A tile: 48 symbols of a query against 128 of a database row, and what its neighbours and the renter read of it.

use bytemuck::{Pod, Zeroable};

use super::scoring::{CODE, SEPARATOR, SYMBOLS, Scoring, Table};

/// Symbols of a query along a tile.
pub const TILE_ROWS: usize = 48;
/// Symbols of a database row along a tile.
pub const TILE_COLUMNS: usize = 128;
/// Bytes of a tile, which is a cell and a leaf.
pub const TILE_BYTES: usize = 16 + 2 * TILE_ROWS + 3 * TILE_COLUMNS;
/// Difference that stands for a value of 0 in a column of a separator.
pub const RESET: u8 = 0x80;
/// What a digest is multiplied with before the next column's sum is added.
pub const DIGEST_FACTOR: u32 = 0x9e37_79b1;
/// The bits of a whole value that count: no value of an honest tile has more, and no sum of any overflows.
const VALUE_BITS: u32 = (1 << 30) - 1;

/// The bytes of a tile. H, E and F are those of docs/kernels/align.md; C of a column is its largest H, from the query's
/// first symbol on. Differences are modulo 256, whole values u32, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Tile {
    /// H above the last column.
    pub corner: [u8; 4],
    /// H of the last row in the first column.
    pub bottom: [u8; 4],
    /// C of the first column.
    pub best: [u8; 4],
    /// Over all H.
    pub digest: [u8; 4],
    /// H of the last column, each as its difference from the one above it.
    pub right_h: [u8; TILE_ROWS],
    /// E of the column behind the last, each as its difference from what opening a gap gives.
    pub right_e: [u8; TILE_ROWS],
    /// H of the last row, each as its difference from the one before it, or [`RESET`].
    pub bottom_h: [u8; TILE_COLUMNS],
    /// F of the row below the last, each as its difference from what opening a gap gives.
    pub bottom_f: [u8; TILE_COLUMNS],
    /// C, each as its difference from the one before it, or [`RESET`].
    pub best_h: [u8; TILE_COLUMNS],
}

const _: () = assert!(size_of::<Tile>() == TILE_BYTES);

impl Tile {
    /// The tile in these bytes, which have the right length.
    pub fn from_bytes(bytes: &[u8]) -> Option<&Self> {
        bytemuck::try_from_bytes(bytes).ok()
    }

    /// C of every column, and whether it is a separator's.
    pub fn best(&self) -> impl Iterator<Item = (u32, bool)> + '_ {
        self.best_h.iter().scan(value(self.best), |best, difference| {
            *best = next(*best, *difference);
            // Never negative.
            Some((*best as u32, *difference == RESET))
        })
    }
}

fn value(bytes: [u8; 4]) -> i64 {
    i64::from(u32::from_le_bytes(bytes) & VALUE_BITS)
}

/// The value with this difference from `before`.
#[inline(always)]
fn next(before: i64, difference: u8) -> i64 {
    if difference == RESET { 0 } else { before.wrapping_add(i64::from(difference as i8)).max(0) }
}

/// A difference as a byte.
#[inline(always)]
fn byte(of: i64) -> u8 {
    of as u8
}

/// What a tile is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Costs of gaps.
    pub scoring: &'a Scoring,
    /// Scores of symbols, those of `scoring`.
    pub table: &'a Table,
    /// Symbols of the query, five bits of each byte.
    pub query: &'a [u8; TILE_ROWS],
    /// Symbols of the row, likewise.
    pub target: &'a [u8; TILE_COLUMNS],
    /// The tile at the left.
    pub left: Option<&'a Tile>,
    /// The tile above.
    pub above: Option<&'a Tile>,
}

/// Computes a tile.
// 64-bit numbers: on chain all others are widened again and again. No sum overflows: values begin below 2^30, and each
// step adds 2^15 at most.
#[inline(never)]
pub fn compute(parts: &Parts, out: &mut Tile) {
    let Parts { scoring, table, query, target, left, above } = *parts;
    let gap =
        Gap { open: i64::from(scoring.open), first: i64::from(scoring.first()), extend: i64::from(scoring.extend) };
    let mut rows = [Row { h: 0, e: 0, code: 0 }; TILE_ROWS];
    for (row, symbol) in rows.iter_mut().zip(query) {
        row.code = u64::from(symbol & CODE);
    }
    let mut diagonal = 0;
    if let Some(left) = left {
        diagonal = value(left.corner);
        let mut before = diagonal;
        for ((row, h), e) in rows.iter_mut().zip(&left.right_h).zip(&left.right_e) {
            before = next(before, *h);
            (row.h, row.e) = (before, gap.opened(before).wrapping_add(i64::from(*e)));
        }
    }
    let (mut above_h, mut above_c) = above.map_or((0, 0), |above| (value(above.bottom), value(above.best)));
    let (mut last_h, mut last_c) = (0, 0);
    let mut digest = 0u32;
    for (j, target) in target.iter().enumerate() {
        let code = target & CODE;
        let (mut top, mut f, mut c) = (0, 0, 0);
        if let Some(above) = above {
            above_h = next(above_h, at(&above.bottom_h, j));
            above_c = next(above_c, at(&above.best_h, j));
            (top, f, c) = (above_h, gap.opened(above_h).wrapping_add(i64::from(at(&above.bottom_f, j))), above_c);
        }
        let mut sum = 0;
        if code == SEPARATOR {
            for row in &mut rows {
                (row.h, row.e) = (0, 0);
            }
            (top, f, c) = (0, 0, 0);
        } else {
            // Always there.
            let scores = table.get(usize::from(code)).unwrap_or(&[0; SYMBOLS]);
            (f, c, sum) = column(&gap, scores, &mut rows, (diagonal, f, c));
        }
        diagonal = top;
        digest = digest.wrapping_mul(DIGEST_FACTOR).wrapping_add(u32::from(sum as u16));
        let [.., Row { h: bottom, .. }] = rows;
        if j == 0 {
            (last_h, last_c) = (bottom, c);
            (out.bottom, out.best) = ((bottom as u32).to_le_bytes(), (c as u32).to_le_bytes());
        }
        let difference = |now: i64, before: i64| {
            if code == SEPARATOR { RESET } else { byte(now.wrapping_sub(before)) }
        };
        put(&mut out.bottom_h, j, difference(bottom, last_h));
        put(&mut out.bottom_f, j, byte(f.wrapping_sub(gap.opened(bottom))));
        put(&mut out.best_h, j, difference(c, last_c));
        (last_h, last_c) = (bottom, c);
    }
    out.digest = digest.to_le_bytes();
    out.corner = (diagonal as u32).to_le_bytes();
    for ((row, h), e) in rows.iter().zip(&mut out.right_h).zip(&mut out.right_e) {
        *h = byte(row.h.wrapping_sub(diagonal));
        *e = byte(row.e.max(0).wrapping_sub(gap.opened(row.h)));
        diagonal = row.h;
    }
}

/// A row of a tile under way.
#[derive(Clone, Copy)]
struct Row {
    /// H of the last column.
    h: i64,
    /// E of the next, or something below 0 where it is 0.
    e: i64,
    /// The query's symbol.
    code: u64,
}

fn at(bytes: &[u8; TILE_COLUMNS], index: usize) -> u8 {
    bytes.get(index).copied().unwrap_or(0)
}

fn put(bytes: &mut [u8; TILE_COLUMNS], index: usize, byte: u8) {
    if let Some(place) = bytes.get_mut(index) {
        *place = byte;
    }
}

struct Gap {
    open: i64,
    /// What opening costs more than extending.
    first: i64,
    extend: i64,
}

impl Gap {
    /// What is left of a score when a gap opens behind it.
    #[inline(always)]
    fn opened(&self, h: i64) -> i64 {
        h.wrapping_sub(self.open).max(0)
    }
}

/// Computes a column down the rows. Comes with H at the left of the row above, F of the first row and C; goes with F of the
/// row below, C and the sum of all H.
// The inside of every cell: each instruction here counts 6,144 times. E and F may fall below 0 on the way: where they do, H
// is what it is with 0 in their place.
#[inline(always)]
fn column(
    gap: &Gap,
    scores: &[i16; SYMBOLS],
    rows: &mut [Row; TILE_ROWS],
    (mut diagonal, mut f, mut c): (i64, i64, i64),
) -> (i64, i64, i64) {
    let mut sum = 0i64;
    let Gap { first, extend, .. } = *gap;
    for row in rows {
        let score = scores[(row.code & u64::from(CODE)) as usize];
        let mut h = diagonal.wrapping_add(i64::from(score)).max(0);
        if row.e > h {
            h = row.e;
        }
        if f > h {
            h = f;
        }
        if h > c {
            c = h;
        }
        sum = sum.wrapping_add(h);
        (diagonal, row.h) = (row.h, h);
        let opened = h.wrapping_sub(first);
        row.e = row.e.max(opened).wrapping_sub(extend);
        f = f.max(opened).wrapping_sub(extend);
    }
    (f.max(0), c, sum)
}
