//! One query against as many database rows as a vector has lanes, a few columns at a time, from the query's first symbol to
//! its last; what the tiles say is taken down at their edges.

use bytemuck::Zeroable;

use super::lanes::{Exact, MOST, Narrow, Vector};
use super::params::QUERY_SLOT;
use super::scoring::{CODE, SEPARATOR, SYMBOLS, Scoring, Table};
use super::tile::{DIGEST_FACTOR, RESET, TILE_COLUMNS, TILE_ROWS, Tile};

/// Tiles of a query with some rows.
pub(super) struct Job<'a> {
    pub scoring: &'a Scoring,
    pub table: &'a Table,
    /// The query as it lies in its input: symbols, five bits of each byte, and padding behind those of each tile.
    pub query: &'a [u8],
    /// Symbols of the rows; not more of them than lanes.
    pub rows: &'a [&'a [u8]],
    /// Tiles to make, from the first on: down the query and along the rows.
    pub down: usize,
    pub right: usize,
}

/// Takes a tile: which row it is of, how far down and right it lies, its bytes.
pub(super) type Sink<'a> = &'a mut dyn FnMut(usize, usize, usize, &Tile);

/// A way to make tiles: how many rows it takes, and the way. It says whether numbers were large enough.
pub(super) type Way = (usize, fn(&Job, Sink) -> bool);

/// The fastest that this processor has.
pub(super) fn best() -> Way {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512bw") && std::is_x86_feature_detected!("avx512vl") {
            return x86::AVX512;
        }
        if std::is_x86_feature_detected!("avx2") {
            return x86::AVX2;
        }
    }
    NARROW
}

/// In 16 bits on any processor.
pub(super) const NARROW: Way = (Narrow::LANES, sweep::<Narrow>);
/// In 32 bits.
pub(super) const EXACT: Way = (Exact::LANES, sweep::<Exact>);

/// All tiles of the job in 16 bits, and those of rows among which a score is too large for them once more in 32.
pub(super) fn run((_, fast): Way, job: &Job, sink: Sink) {
    if fast(job, sink) {
        return;
    }
    let (lanes, exact) = EXACT;
    for (rows, first) in job.rows.chunks(lanes).zip((0..).step_by(lanes)) {
        let part = Job { rows, ..*job };
        exact(&part, &mut |row, down, right, tile| sink(row.saturating_add(first), down, right, tile));
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use super::super::lanes::{Avx2, Avx512};
    use super::{Job, Sink, Vector, Way, sweep};

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn sweep_avx512(job: &Job, sink: Sink) -> bool {
        sweep::<Avx512>(job, sink)
    }

    #[target_feature(enable = "avx2")]
    fn sweep_avx2(job: &Job, sink: Sink) -> bool {
        sweep::<Avx2>(job, sink)
    }

    /// For processors with AVX-512BW and AVX-512VL alone.
    pub const AVX512: Way = (Avx512::LANES, |job, sink| {
        // SAFETY: chosen only where the processor has them.
        unsafe { sweep_avx512(job, sink) }
    });

    /// For processors with AVX2 alone.
    pub const AVX2: Way = (Avx2::LANES, |job, sink| {
        // SAFETY: as above.
        unsafe { sweep_avx2(job, sink) }
    });
}

/// A column of the lower edge of a row of tiles: H, F of the row below, and C.
#[derive(Clone, Copy)]
struct Bottom<V> {
    h: V,
    f: V,
    c: V,
}

/// What is known between two columns.
struct State<V> {
    /// H of the last column.
    h: Vec<V>,
    /// E of the next.
    e: Vec<V>,
    /// For each row of tiles and each column of the tile.
    bottom: Vec<[Bottom<V>; TILE_COLUMNS]>,
    /// For each row of tiles.
    digest: Vec<[u32; MOST]>,
    /// The largest C so far.
    largest: V,
}

#[inline(always)]
fn sweep<V: Vector>(job: &Job, sink: Sink) -> bool {
    let strips = job.query.chunks(QUERY_SLOT as usize).take(job.down);
    let query: Vec<u8> = strips.flat_map(|strip| strip.iter().take(TILE_ROWS)).map(|symbol| symbol & CODE).collect();
    let zero = V::all(0);
    let mut state = State {
        h: vec![zero; query.len()],
        e: vec![zero; query.len()],
        bottom: vec![[Bottom { h: zero, f: zero, c: zero }; TILE_COLUMNS]; job.down],
        digest: vec![[0; MOST]; job.down],
        largest: zero,
    };
    let rows = job.table.each_ref().map(V::row);
    let mut used = [false; SYMBOLS];
    for symbol in &query {
        if let Some(used) = used.get_mut(usize::from(*symbol)) {
            *used = true;
        }
    }
    for right in 0..job.right {
        let columns = columns(job, right);
        state.digest.fill([0; MOST]);
        for (number, some) in columns.as_chunks::<ABREAST>().0.iter().enumerate() {
            let j = number.saturating_mul(ABREAST);
            let mut profile = [[zero; ABREAST]; SYMBOLS];
            let mut ahead = [V::all(i16::from(job.scoring.extend)); ABREAST];
            for (k, column) in some.iter().enumerate() {
                let codes = V::codes(column);
                for ((to, row), used) in profile.iter_mut().zip(&rows).zip(used) {
                    if used {
                        to[k] = V::scores(row, codes);
                    }
                }
                if let Some(next) = columns.get(j.saturating_add(k).saturating_add(1)) {
                    ahead[k] = V::costs(V::codes(next), ahead[k]);
                }
            }
            walk(job.scoring, &mut state, &query, &profile, ahead, j);
        }
        take_down(job, &state, &columns, right, sink);
        // What a tile says of E does not know the next column, which may be a separator's.
        let codes = V::codes(&column(job, right.saturating_add(1).saturating_mul(TILE_COLUMNS)));
        let cost = V::costs(codes, zero);
        for e in &mut state.e {
            *e = e.less(cost);
        }
    }
    !state.largest.is_full()
}

/// Columns that go down the query together: what is known of a row is read and written once for them.
const ABREAST: usize = 2;

/// Some columns, from `column` on, down the whole query.
#[inline(always)]
fn walk<V: Vector>(
    scoring: &Scoring,
    state: &mut State<V>,
    query: &[u8],
    profile: &[[V; ABREAST]; SYMBOLS],
    ahead: [V; ABREAST],
    column: usize,
) {
    let (first, extend) = (V::all(i16::from(scoring.first())), V::all(i16::from(scoring.extend)));
    let zeros = [V::all(0); ABREAST];
    let (mut diagonal, mut f, mut c) = (zeros, zeros, zeros);
    let tiles = state.h.chunks_mut(TILE_ROWS).zip(state.e.chunks_mut(TILE_ROWS)).zip(query.chunks(TILE_ROWS));
    for (((h, e), query), (bottom, digest)) in tiles.zip(state.bottom.iter_mut().zip(&mut state.digest)) {
        let (mut sum, mut last) = (zeros, zeros);
        for ((h, e), symbol) in h.iter_mut().zip(e).zip(query) {
            let scores = &profile[usize::from(symbol & CODE)];
            // H at the left, and E.
            let (mut before, mut gap) = (*h, *e);
            for k in 0..ABREAST {
                let value = diagonal[k].sum(scores[k]).max(gap).max(f[k]);
                (diagonal[k], before, last[k]) = (before, value, value);
                sum[k] = sum[k].wrapping_sum(value);
                c[k] = c[k].max(value);
                let opened = value.less(first);
                gap = gap.max(opened).less(ahead[k]);
                f[k] = f[k].max(opened).less(extend);
            }
            (*h, *e) = (before, gap);
        }
        for k in 0..ABREAST {
            if let Some(bottom) = bottom.get_mut(column.saturating_add(k)) {
                *bottom = Bottom { h: last[k], f: f[k], c: c[k] };
            }
            for (digest, sum) in digest.iter_mut().zip(sum[k].values()) {
                *digest = digest.wrapping_mul(DIGEST_FACTOR).wrapping_add(u32::from(sum as u16));
            }
        }
    }
    for c in c {
        state.largest = state.largest.max(c);
    }
}

/// The symbols of a column, row by row; separators where there is none.
fn column(job: &Job, at: usize) -> [u8; MOST] {
    let mut column = [SEPARATOR; MOST];
    for (to, row) in column.iter_mut().zip(job.rows) {
        *to = row.get(at).map_or(SEPARATOR, |symbol| symbol & CODE);
    }
    column
}

/// The columns of the tiles that lie `right` of the first.
fn columns(job: &Job, right: usize) -> [[u8; MOST]; TILE_COLUMNS] {
    let mut columns = [[SEPARATOR; MOST]; TILE_COLUMNS];
    for (lane, row) in job.rows.iter().enumerate().take(MOST) {
        let symbols = row.iter().skip(right.saturating_mul(TILE_COLUMNS));
        for (column, symbol) in columns.iter_mut().zip(symbols) {
            column[lane] = symbol & CODE;
        }
    }
    columns
}

/// Hands out the tiles of a column of tiles.
#[inline(always)]
fn take_down<V: Vector>(job: &Job, state: &State<V>, columns: &[[u8; MOST]; TILE_COLUMNS], right: usize, sink: Sink) {
    let open = V::all(i16::from(job.scoring.open));
    let mut above = V::all(0);
    let mut tiles = [Tile::zeroed(); MOST];
    let edges = state.h.as_chunks::<TILE_ROWS>().0.iter().zip(state.e.as_chunks::<TILE_ROWS>().0);
    for (down, ((h, e), (bottom, digest))) in edges.zip(state.bottom.iter().zip(&state.digest)).enumerate() {
        let [first, ..] = bottom;
        let heads = above.values().into_iter().zip(first.h.values()).zip(first.c.values()).zip(digest);
        for (tile, (((corner, bottom), best), digest)) in tiles.iter_mut().zip(heads) {
            // None of them is negative.
            (tile.corner, tile.bottom) = ((corner as u32).to_le_bytes(), (bottom as u32).to_le_bytes());
            (tile.best, tile.digest) = ((best as u32).to_le_bytes(), digest.to_le_bytes());
        }
        let mut lines = [[0; MOST]; TILE_ROWS];
        for (line, h) in lines.iter_mut().zip(h) {
            *line = h.wrapping_less(above).low_bytes();
            above = *h;
        }
        transpose(&lines, &mut tiles, |tile| &mut tile.right_h);
        for ((line, h), e) in lines.iter_mut().zip(h).zip(e) {
            *line = e.wrapping_less(h.less(open)).low_bytes();
        }
        transpose(&lines, &mut tiles, |tile| &mut tile.right_e);
        let mut lines = [[0; MOST]; TILE_COLUMNS];
        let mut before = first.h;
        for (line, bottom) in lines.iter_mut().zip(bottom) {
            *line = bottom.h.wrapping_less(before).low_bytes();
            before = bottom.h;
        }
        transpose(&lines, &mut tiles, |tile| &mut tile.bottom_h);
        for (line, bottom) in lines.iter_mut().zip(bottom) {
            *line = bottom.f.wrapping_less(bottom.h.less(open)).low_bytes();
        }
        transpose(&lines, &mut tiles, |tile| &mut tile.bottom_f);
        let mut before = first.c;
        for (line, bottom) in lines.iter_mut().zip(bottom) {
            *line = bottom.c.wrapping_less(before).low_bytes();
            before = bottom.c;
        }
        transpose(&lines, &mut tiles, |tile| &mut tile.best_h);
        for (j, column) in columns.iter().enumerate().filter(|(_, column)| column.contains(&SEPARATOR)) {
            for (tile, _) in tiles.iter_mut().zip(column).filter(|(_, code)| **code == SEPARATOR) {
                (tile.bottom_h[j], tile.best_h[j]) = (RESET, RESET);
            }
        }
        for (lane, tile) in tiles.iter().enumerate().take(job.rows.len()) {
            sink(lane, down, right, tile);
        }
    }
}

/// Lines of a byte for each lane into the lanes' own arrays, eight by eight.
#[inline(always)]
fn transpose<const N: usize>(
    lines: &[[u8; MOST]; N],
    tiles: &mut [Tile; MOST],
    field: impl Fn(&mut Tile) -> &mut [u8; N],
) {
    const SIDE: usize = 8;
    for (number, eight) in lines.as_chunks::<SIDE>().0.iter().enumerate() {
        for (part, tiles) in tiles.as_chunks_mut::<SIDE>().0.iter_mut().enumerate() {
            let part_of = |line: &[u8; MOST]| {
                let (parts, _) = line.as_chunks::<SIDE>();
                u64::from_le_bytes(parts.get(part).copied().unwrap_or_default())
            };
            let turned = turn(eight.each_ref().map(part_of));
            for (tile, bytes) in tiles.iter_mut().zip(turned) {
                if let Some(place) = field(tile).as_chunks_mut::<SIDE>().0.get_mut(number) {
                    *place = bytes.to_le_bytes();
                }
            }
        }
    }
}

/// Eight by eight bytes, turned about their diagonal.
#[inline(always)]
fn turn(mut lines: [u64; 8]) -> [u64; 8] {
    for (distance, bits, mask) in
        [(4, 32, 0xffff_ffffu64), (2, 16, 0x0000_ffff_0000_ffff), (1, 8, 0x00ff_00ff_00ff_00ff)]
    {
        for index in 0..8usize {
            if index & distance == 0 {
                let (a, b) = (lines[index], lines[index | distance]);
                lines[index] = (a & mask) | ((b & mask) << bits);
                lines[index | distance] = ((a >> bits) & mask) | (b & !mask);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turning_bytes_puts_rows_into_columns() {
        let lines: [u64; 8] = core::array::from_fn(|i| u64::from_le_bytes(core::array::from_fn(|j| (i * 8 + j) as u8)));
        let turned = turn(lines);
        for (i, line) in turned.iter().enumerate() {
            assert_eq!(line.to_le_bytes(), core::array::from_fn(|j| (j * 8 + i) as u8));
        }
    }
}
