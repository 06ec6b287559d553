//! What a renter reads out of a whole result: scores, where they end, and hits by name.

use super::import::Record;
use super::tile::{TILE_BYTES, Tile};
use super::{CODE, Params, Place, SYMBOLS, Scoring};

/// The best local alignment of a query with a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Best {
    /// Its score; 0 where nothing scores.
    pub score: u32,
    /// The sequence's symbol with which it ends, from 0 on: the first of several.
    pub end: u32,
}

/// For each query, in order, the best alignment with each sequence of the database, row by row. `None` unless `result` is
/// the bytes of all leaves of a job with these params, whose rows hold as many sequences as the params say.
pub fn best(params: &Params, result: &[u8]) -> Option<Vec<Best>> {
    let (tiles, rest) = result.as_chunks::<TILE_BYTES>();
    if tiles.len() as u64 != params.pairs().checked_mul(params.tiles())? || !rest.is_empty() {
        return None;
    }
    let row_tiles = u64::from(params.row_tiles);
    let last_strip = params.tiles().checked_sub(row_tiles)?;
    let mut all = Vec::new();
    for query in 0..u64::from(params.queries) {
        let first = all.len();
        for row in 0..u64::from(params.rows) {
            let pair = query.checked_mul(u64::from(params.rows))?.checked_add(row)?;
            let mut open: Option<(Best, u32)> = None;
            for tile in last_strip..params.tiles() {
                let leaf = params.leaf(Place { pair, tile });
                let tile = Tile::from_bytes(tiles.get(usize::try_from(leaf).ok()?)?)?;
                for (score, is_separator) in tile.best() {
                    if is_separator {
                        all.extend(open.take().map(|(best, _)| best));
                        continue;
                    }
                    let (best, symbols) = open.get_or_insert_default();
                    if score > best.score {
                        *best = Best { score, end: *symbols };
                    }
                    *symbols = symbols.saturating_add(1);
                }
            }
            all.extend(open.map(|(best, _)| best));
        }
        if all.len().checked_sub(first)? as u64 != u64::from(params.records) {
            return None;
        }
    }
    Some(all)
}

/// A hit: what is written of it in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Number of the query.
    pub query: usize,
    /// Number of the sequence.
    pub target: usize,
    /// Score.
    pub score: u32,
    /// The query's symbol with which the alignment ends, from 0 on.
    pub query_end: u32,
    /// The sequence's.
    pub target_end: u32,
}

/// Why there are no hits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HitError {
    /// Other files than those of the job, or half a result.
    #[error("the result is not one of these queries and this database, or not whole")]
    OtherFiles,
    /// A result that somebody has settled and that is wrong.
    #[error(
        "the result says that query {query} scores {found} with sequence {target}; computed here, it is {expected}: the \
         result is wrong"
    )]
    Wrong {
        /// Number of the query, from 1 on.
        query: usize,
        /// Number of the sequence, from 1 on.
        target: usize,
        /// In the result.
        found: u32,
        /// As it should be.
        expected: u32,
    },
}

/// The `top` best sequences of each query that score `least` or more, best first, of equal ones the first in the database.
/// Each of them is aligned once more here, which gives the query's end and shows a result that makes more of a pair than
/// there is.
///
/// # Errors
/// See [`HitError`].
pub fn hits(
    params: &Params,
    result: &[u8],
    queries: &[Record],
    database: &[Record],
    top: usize,
    least: u32,
) -> Result<Vec<Hit>, HitError> {
    let best = best(params, result).ok_or(HitError::OtherFiles)?;
    if queries.len() != params.queries as usize || database.len() != params.records as usize || database.is_empty() {
        return Err(HitError::OtherFiles);
    }
    let mut hits = Vec::new();
    for ((number, query), best) in queries.iter().enumerate().zip(best.chunks(database.len())) {
        let mut order: Vec<(usize, &Best)> = best.iter().enumerate().filter(|(_, best)| best.score >= least).collect();
        order.sort_by_key(|(_, best)| core::cmp::Reverse(best.score));
        for (target, best) in order.into_iter().take(top) {
            let symbols = database.get(target).map_or(&[][..], |record| &record.symbols);
            let (own, query_end) = local(&params.scoring, &query.symbols, symbols);
            if own != *best {
                let (query, target) = (number.saturating_add(1), target.saturating_add(1));
                return Err(HitError::Wrong { query, target, found: best.score, expected: own.score });
            }
            let Best { score, end } = own;
            hits.push(Hit { query: number, target, score, query_end, target_end: end });
        }
    }
    Ok(hits)
}

/// The hits as text: a line of names of columns, then one for each hit, parted by tabs. Ends are counted from 1 on.
pub fn tsv(hits: &[Hit], queries: &[Record], database: &[Record]) -> String {
    let mut text = "query\ttarget\tscore\tquery_end\ttarget_end\tquery_length\ttarget_length\n".to_owned();
    for hit in hits {
        let (Some(query), Some(target)) = (queries.get(hit.query), database.get(hit.target)) else { continue };
        let end = |end: u32, score: u32| if score == 0 { 0 } else { end.saturating_add(1) };
        text.push_str(&format!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
            query.name,
            target.name,
            hit.score,
            end(hit.query_end, hit.score),
            end(hit.target_end, hit.score),
            query.symbols.len(),
            target.symbols.len()
        ));
    }
    text
}

/// The best local alignment of two sequences of codes, and the query's symbol with which it ends: of several alignments
/// that end with the earliest symbol of the target, and of those with the earliest of the query. Straight from the
/// definition, symbol by symbol of the target.
pub fn local(scoring: &Scoring, query: &[u8], target: &[u8]) -> (Best, u32) {
    let mut own = [[0; SYMBOLS]; SYMBOLS];
    let table = scoring.matrix.table(&mut own);
    let (open, extend) = (i64::from(scoring.open), i64::from(scoring.extend));
    // H of the last symbol of the target, and E of this one: the best that ends with a gap in the query.
    let mut before = vec![(0i64, i64::MIN / 2); query.len()];
    let (mut best, mut query_end) = (Best::default(), 0);
    for (j, target) in (0u32..).zip(target) {
        let (mut diagonal, mut above, mut f) = (0, 0i64, i64::MIN / 2);
        for ((i, query), (h, e)) in (0u32..).zip(query).zip(&mut before) {
            let row = table.get(usize::from(target & CODE));
            let score = row.and_then(|row| row.get(usize::from(query & CODE))).copied().unwrap_or(0);
            *e = e.saturating_sub(extend).max(h.saturating_sub(open));
            f = f.saturating_sub(extend).max(above.saturating_sub(open));
            above = i64::from(score).saturating_add(diagonal).max(*e).max(f).max(0);
            (diagonal, *h) = (*h, above);
            if above > i64::from(best.score) {
                // Below 2^32: at most 2^24 symbols of 127.
                (best, query_end) = (Best { score: above as u32, end: j }, i);
            }
        }
    }
    (best, query_end)
}
