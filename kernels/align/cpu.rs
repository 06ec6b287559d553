//! `align` on all cores: a query with as many rows as a vector has lanes at a time.

use core::ops::Range;
use std::collections::BTreeMap;

use rayon::prelude::*;

use super::sweep::{Job, Way, best, run as sweep};
use super::tile::{TILE_BYTES, Tile};
use super::{Params, SYMBOLS, Table};
use crate::executor::{ExecError, Inputs};

/// A tile that was asked for: the row among the batch's, the tile of the pair, and where it goes.
struct Wanted<'a> {
    lane: usize,
    tile: u64,
    out: &'a mut [u8; TILE_BYTES],
}

/// A query and the first of some rows, with what is wanted of them.
type Batch<'a> = ((u64, u64), Vec<Wanted<'a>>);

/// Writes the leaves `leaves` to `out`, which has exactly their bytes.
///
/// # Errors
/// [`ExecError::LeafRange`] when `out` or the inputs don't have the sizes that params and range require.
pub(super) fn run(params: &Params, inputs: &Inputs, leaves: Range<u64>, out: &mut [u8]) -> Result<(), ExecError> {
    run_by(best(), params, inputs, leaves, out)
}

/// The same in a given way.
pub(super) fn run_by(
    way: Way,
    params: &Params,
    inputs: &Inputs,
    leaves: Range<u64>,
    out: &mut [u8],
) -> Result<(), ExecError> {
    let mut own = [[0; SYMBOLS]; SYMBOLS];
    let table = params.scoring.matrix.table(&mut own);
    batches(params, way.0, leaves, out)?.into_par_iter().try_for_each(|batch| align(way, params, table, inputs, batch))
}

fn batches<'a>(
    params: &Params,
    lanes: usize,
    leaves: Range<u64>,
    out: &'a mut [u8],
) -> Result<Vec<Batch<'a>>, ExecError> {
    let (places, rest) = out.as_chunks_mut::<TILE_BYTES>();
    if !rest.is_empty() || leaves.end.checked_sub(leaves.start) != Some(places.len() as u64) {
        return Err(ExecError::LeafRange);
    }
    let mut places = places.iter_mut();
    let mut batches: BTreeMap<(u64, u64), Vec<Wanted>> = BTreeMap::new();
    let lanes = lanes as u64;
    for class in params.classes() {
        let end = class.first_leaf.saturating_add(class.leaves());
        let (from, to) = (leaves.start.max(class.first_leaf), leaves.end.min(end));
        if from >= to {
            continue;
        }
        let inside = from.saturating_sub(class.first_leaf);
        let pair_of = |leaf: u64| leaf.checked_div(class.tiles).unwrap_or(0);
        let last = to.saturating_sub(class.first_leaf).saturating_sub(1);
        let mut skip = inside.checked_rem(class.tiles).unwrap_or(0);
        for pair in pair_of(inside)..=pair_of(last) {
            let (query, row) = params.query_and_row(class.first_pair.saturating_add(pair));
            let lane = row.checked_rem(lanes).unwrap_or(0);
            let before = pair.saturating_mul(class.tiles);
            let count = class.tiles.min(last.saturating_add(1).saturating_sub(before));
            let batch = batches.entry((query, row.saturating_sub(lane))).or_default();
            let tiles = class.first_tile.saturating_add(skip)..class.first_tile.saturating_add(count);
            batch.extend(tiles.zip(&mut places).map(|(tile, out)| Wanted { lane: lane as usize, tile, out }));
            skip = 0;
        }
    }
    if places.next().is_some() { Err(ExecError::LeafRange) } else { Ok(batches.into_iter().collect()) }
}

fn align(way: Way, params: &Params, table: &Table, inputs: &Inputs, batch: Batch) -> Result<(), ExecError> {
    let ((query, first), wanted) = batch;
    let [queries, database, ..] = inputs.inputs;
    let of = |input: &'static str| move || ExecError::Device(format!("an input of {input} is too short"));
    let query = slice(queries, query, params.query_bytes()).ok_or_else(of("queries"))?;
    let count = u64::from(params.rows).saturating_sub(first).min(way.0 as u64);
    let rows: Option<Vec<&[u8]>> =
        (first..first.saturating_add(count)).map(|row| slice(database, row, params.row_bytes())).collect();
    let rows = rows.ok_or_else(of("rows"))?;
    // Below 96 each.
    let tiles = params.tiles() as usize;
    let (mut down, mut right) = (0, 0);
    let mut places: Vec<Option<&mut [u8; TILE_BYTES]>> = Vec::new();
    places.resize_with(tiles.saturating_mul(way.0), || None);
    for Wanted { lane, tile, out } in wanted {
        let row_tiles = u64::from(params.row_tiles);
        down = down.max(tile.checked_div(row_tiles).unwrap_or(0).saturating_add(1) as usize);
        right = right.max(tile.checked_rem(row_tiles).unwrap_or(0).saturating_add(1) as usize);
        if let Some(place) = places.get_mut(lane.saturating_mul(tiles).saturating_add(tile as usize)) {
            *place = Some(out);
        }
    }
    let job = Job { scoring: &params.scoring, table, query, rows: &rows, down, right };
    sweep(way, &job, &mut |lane, down, right, tile: &Tile| {
        let tile_number = down.saturating_mul(usize::from(params.row_tiles)).saturating_add(right);
        if let Some(Some(place)) = places.get_mut(lane.saturating_mul(tiles).saturating_add(tile_number)) {
            place.copy_from_slice(bytemuck::bytes_of(tile));
        }
    });
    Ok(())
}

fn slice(bytes: &[u8], number: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(number.checked_mul(len)?).ok()?;
    bytes.get(start..)?.get(..usize::try_from(len).ok()?)
}
