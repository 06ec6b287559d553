//! align.cu on CPU threads.

/// Pairs that a block takes.
const BLOCK_PAIRS: u32 = 8;
/// Bytes of a tile.
const TILE_BYTES: usize = 496;

unsafe extern "C" {
    fn host_align_pairs(
        grid: u32,
        out: *mut u8,
        edge: *mut i32,
        queries: *const u8,
        rows: *const u8,
        table: *const i16,
        first: u64,
        pairs: u32,
        row_count: u32,
        query_tiles: u32,
        row_tiles: u32,
        stage_tiles: u32,
        open: i32,
        extend: i32,
    );
}

/// Pairs of queries and rows as align.cu takes them.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    /// All queries.
    pub queries: &'a [u8],
    /// All rows.
    pub rows: &'a [u8],
    /// 32 x 32 scores.
    pub table: &'a [i16],
    /// The first pair.
    pub first: u64,
    /// How many.
    pub pairs: u32,
    /// Rows of the database.
    pub row_count: u32,
    /// Tiles along a query.
    pub query_tiles: u32,
    /// Tiles along a row.
    pub row_tiles: u32,
    /// Tiles of a pair in a stage.
    pub stage_tiles: u32,
    /// Cost of a gap's first symbol.
    pub open: i32,
    /// Cost of each further one.
    pub extend: i32,
}

/// The pairs' tiles, stage by stage, by align.cu; `None` when a slice is too short.
pub fn align_pairs(pairs: Pairs) -> Option<Vec<u8>> {
    let end = pairs.first.checked_add(u64::from(pairs.pairs))?;
    let queries =
        end.div_ceil(u64::from(pairs.row_count)).checked_mul(u64::from(pairs.query_tiles.checked_mul(64)?))?;
    let columns = pairs.row_tiles.checked_mul(128)?;
    let rows = u64::from(pairs.row_count).checked_mul(u64::from(columns))?;
    let short = (pairs.queries.len() as u64) < queries || (pairs.rows.len() as u64) < rows || pairs.table.len() < 1_024;
    if short || pairs.stage_tiles == 0 {
        return None;
    }
    let tiles = pairs.pairs.checked_mul(pairs.query_tiles.checked_mul(pairs.row_tiles)?)?;
    // Aligned as the card's memory is.
    let mut out = vec![0xdead_beef_u32; (tiles as usize).checked_mul(TILE_BYTES / 4)?];
    let mut edge = vec![-1; (pairs.pairs.checked_mul(columns)? as usize).checked_mul(3)?];
    // SAFETY: the kernel reads the queries and rows of these pairs and 1,024 scores, checked above, and writes `tiles` tiles
    // and three numbers for each column of each pair.
    unsafe {
        host_align_pairs(
            pairs.pairs.div_ceil(BLOCK_PAIRS),
            out.as_mut_ptr().cast(),
            edge.as_mut_ptr(),
            pairs.queries.as_ptr(),
            pairs.rows.as_ptr(),
            pairs.table.as_ptr(),
            pairs.first,
            pairs.pairs,
            pairs.row_count,
            pairs.query_tiles,
            pairs.row_tiles,
            pairs.stage_tiles,
            pairs.open,
            pairs.extend,
        );
    }
    Some(out.into_iter().flat_map(u32::to_ne_bytes).collect())
}
