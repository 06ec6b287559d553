//! `align` in the hands of workers and renters: pairs of symbols as work; scores and their ends as arrays.

use std::borrow::Cow;

use super::result::{self, Best};
use super::tile::{TILE_COLUMNS, TILE_ROWS};
use super::{Align, CODE, Matrix, Params, SEPARATOR, Scoring};
use crate::abi::ParamError;
use crate::handling::{Fact, Format, Handling, Part, Trial, doubled, noise};
use crate::kernel::Kernel;
use crate::merkle::CHUNK_BYTES;

/// A job with random symbols, the first of both inputs all the same; `records` follows from them.
pub(super) fn random(params: Params, seed: u64) -> Option<Trial> {
    let (queries, rows) = params.input_chunks();
    let input = |chunks: u64, seed: u64| noise(chunks.saturating_mul(CHUNK_BYTES as u64), seed);
    let (queries, rows) = (input(queries, seed), input(rows, !seed));
    let row_bytes = usize::try_from(params.row_bytes()).ok()?;
    let is_separator = |symbol: &u8| symbol & CODE == SEPARATOR;
    let runs = |row: &[u8]| row.split(is_separator).filter(|run| !run.is_empty()).count();
    let records = rows.chunks_exact(row_bytes).take(params.rows as usize).map(runs).sum::<usize>();
    let params = Params { records: u32::try_from(records).ok()?, ..params };
    params.check().ok()?;
    Some(Trial::new(params.to_bytes(), [queries, rows]))
}

impl Handling for Align {
    /// Pairs of symbols.
    fn work_of_cost_one(&self, params: &[u8]) -> Result<u64, ParamError> {
        Self::parse(params).map(|_| (TILE_ROWS * TILE_COLUMNS) as u64)
    }

    fn trial(&self, size: u32) -> Option<Trial> {
        let rows = doubled(32, size, 4_096)?;
        let scoring = Scoring::PROTEIN;
        random(Params { queries: 1, rows, records: 1, query_tiles: 8, row_tiles: 12, groups: 1, scoring }, 6)
    }

    fn checks(&self) -> Vec<Trial> {
        // Two queries and rows enough for several runs of them, in one stage and in two.
        let small = Params {
            queries: 2,
            rows: 3,
            records: 1,
            query_tiles: 2,
            row_tiles: 3,
            groups: 1,
            scoring: Scoring::PROTEIN,
        };
        let ragged = Params { rows: 5, row_tiles: 4, groups: 3, scoring: Scoring::DNA, ..small };
        // The first symbols are all the same: more than 16 bits hold.
        let matrix = Matrix::Nucleotides { equal: 120, different: 127 };
        let scoring = Scoring { matrix, open: 7, extend: 7 };
        let high = Params { queries: 1, rows: 2, query_tiles: 6, row_tiles: 4, scoring, ..small };
        [random(small, 1), random(ragged, 2), random(high, 3)].into_iter().flatten().collect()
    }

    fn parts(&self, params: &[u8]) -> Result<Vec<Part>, ParamError> {
        let params = Self::parse(params)?;
        let shape = vec![u64::from(params.queries), u64::from(params.records)];
        let array = |name: &'static str| Part::new(name, Format::Array { dtype: "<u4", shape: shape.clone() });
        Ok(vec![array("scores"), array("ends")])
    }

    fn content<'a>(&self, params: &[u8], part: &str, bytes: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let of: fn(&Best) -> u32 = match part {
            "scores" => |best| best.score,
            "ends" => |best| best.end,
            _ => return None,
        };
        let best = result::best(&Self::parse(params).ok()?, bytes)?;
        Some(best.iter().flat_map(|best| of(best).to_le_bytes()).collect())
    }

    fn facts(&self, params: &[u8], bytes: &[u8]) -> Vec<Fact> {
        let best = Self::parse(params).ok().and_then(|params| result::best(&params, bytes));
        let highest = best.and_then(|best| best.iter().map(|best| best.score).max());
        highest.map(|score| Fact { name: "highest-score", value: score.to_string() }).into_iter().collect()
    }
}
