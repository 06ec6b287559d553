//! `mlp_i8` on all cores: tiles of samples go through all layers, so that a row of weights read once serves the whole
//! tile and the values between the layers stay in the processor's caches.

use core::ops::Range;

use rayon::prelude::*;

use super::plan::{Part, plan};
use super::{BIAS_BYTES, Layer, Params, Row};
use crate::executor::{ExecError, Inputs};
use crate::merkle::CHUNK_BYTES;

/// Samples of a tile: at most 32 of 4,096 values of two bytes, twice.
const TILE: u32 = 32;
/// Samples that one pass over a row of weights serves.
const LANES: usize = 4;

/// Some samples of one group, and the cells of them that are asked for.
struct Tile<'a> {
    group: u32,
    need: Vec<Range<u32>>,
    parts: Vec<Part<'a>>,
}

/// Writes the leaves `leaves` to `out`, which has exactly their bytes.
///
/// # Errors
/// [`ExecError::LeafRange`] when `out` or the inputs don't have the sizes that params and range require.
pub(super) fn run(params: &Params, inputs: &Inputs, leaves: Range<u64>, out: &mut [u8]) -> Result<(), ExecError> {
    let sums = best_sums();
    tiles(params, leaves, out)?.into_par_iter().try_for_each(|tile| forward(params, inputs, tile, sums))
}

fn tiles<'a>(params: &Params, leaves: Range<u64>, out: &'a mut [u8]) -> Result<Vec<Tile<'a>>, ExecError> {
    let mut tiles = Vec::new();
    for mut group in plan(params, leaves, out)? {
        let [samples, ..] = group.need.clone();
        let count = samples.end.saturating_sub(samples.start);
        let threads = u32::try_from(rayon::current_num_threads()).unwrap_or(u32::MAX).max(1);
        let size = count.div_ceil(threads).clamp(1, TILE);
        let mut first = samples.start;
        while first < samples.end {
            let end = first.saturating_add(size).min(samples.end);
            let need = group.need.iter().map(|need| need.start.max(first)..need.end.min(end)).collect();
            let parts = group
                .parts
                .iter_mut()
                .map(|part| {
                    let width = u64::from(params.width(part.stage));
                    part.split_front(params, u64::from(end).saturating_mul(width))
                })
                .collect::<Result<_, _>>()?;
            tiles.push(Tile { group: group.group, need, parts });
            first = end;
        }
    }
    Ok(tiles)
}

/// Takes a tile through the stages, as far as it is asked for.
fn forward(params: &Params, inputs: &Inputs, tile: Tile, sums: SumsFn) -> Result<(), ExecError> {
    let [samples, weights, ..] = inputs.inputs;
    let Tile { group, need, mut parts } = tile;
    let first_sample = params.samples(group).0;
    let mut last_sums: Vec<Vec<i32>> = Vec::new();
    // The samples that `last_sums` are of.
    let mut held = 0..0;
    for (stage, need) in need.into_iter().enumerate().take_while(|(_, need)| !need.is_empty()) {
        let part = parts.iter_mut().find(|part| part.stage == stage);
        let Some(layer) = params.layer(stage) else {
            if let Some(part) = part {
                for sample in need {
                    let sums = last_sums.get(sample.saturating_sub(held.start) as usize).ok_or(ExecError::LeafRange)?;
                    put(part, params, u64::from(sample), &largest(sums).to_le_bytes());
                }
            }
            continue;
        };
        let values: Vec<Vec<i16>> = if stage == 0 {
            need.clone()
                .map(|sample| widen(row_of(samples, &params.sample_row(first_sample.wrapping_add(sample)))?, params, 0))
                .collect::<Result<_, _>>()?
        } else {
            // The stage before was needed for at least these.
            let from = need.start.saturating_sub(held.start) as usize;
            let len = need.end.saturating_sub(need.start) as usize;
            let requantise = params.layer_before(stage).map(Layer::requantise).ok_or(ExecError::LeafRange)?;
            last_sums
                .get(from..)
                .and_then(|sums| sums.get(..len))
                .ok_or(ExecError::LeafRange)?
                .iter()
                .map(|sums| sums.iter().map(|sum| i16::from(requantise.value(*sum))).collect())
                .collect()
        };
        held = need.clone();
        last_sums = vec![vec![0; layer.width as usize]; values.len()];
        for neuron in 0..layer.width {
            let row = row_of(weights, &params.weight_row(stage, neuron))?;
            let bias = row.last_chunk::<{ BIAS_BYTES as usize }>().map_or(0, |bias| i32::from_le_bytes(*bias));
            let factors = widen(row, params, stage)?;
            for (values, to) in values.chunks(LANES).zip(last_sums.chunks_mut(LANES)) {
                let lane = |i: usize| values.get(i).map_or(&[][..], Vec::as_slice);
                let made = sums(&factors, [lane(0), lane(1), lane(2), lane(3)]);
                for (to, sum) in to.iter_mut().zip(made) {
                    if let Some(to) = to.get_mut(neuron as usize) {
                        *to = bias.wrapping_add(sum);
                    }
                }
            }
        }
        if let Some(part) = part {
            let width = u64::from(layer.width);
            for (sample, sums) in need.zip(&last_sums) {
                let first = u64::from(sample).saturating_mul(width);
                for (cell, sum) in (first..).zip(sums) {
                    put(part, params, cell, &sum.to_le_bytes());
                }
            }
        }
    }
    Ok(())
}

/// Writes a cell where it was asked for.
fn put(part: &mut Part, params: &Params, cell: u64, bytes: &[u8]) {
    let at = cell.checked_sub(part.cells.start).filter(|_| cell < part.cells.end);
    let at = at.and_then(|at| usize::try_from(at.checked_mul(u64::from(params.cell_bytes(part.stage)))?).ok());
    if let Some(to) = at.and_then(|at| part.out.get_mut(at..)?.get_mut(..bytes.len())) {
        to.copy_from_slice(bytes);
    }
}

fn largest(sums: &[i32]) -> u16 {
    let best = (0u16..).zip(sums).reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map_or(0, |(number, _)| number)
}

fn row_of<'a>(input: &'a [u8], row: &Row) -> Result<&'a [u8], ExecError> {
    let start = row.chunk.checked_mul(CHUNK_BYTES as u64).and_then(|start| start.checked_add(u64::from(row.offset)));
    start
        .and_then(|start| usize::try_from(start).ok())
        .and_then(|start| input.get(start..)?.get(..row.bytes as usize))
        .ok_or(ExecError::LeafRange)
}

/// The values of a row that layer `stage` reads, as i16.
fn widen(row: &[u8], params: &Params, stage: usize) -> Result<Vec<i16>, ExecError> {
    let row = row.get(..params.fan_in(stage) as usize).ok_or(ExecError::LeafRange)?;
    Ok(row.iter().map(|value| i16::from(value.cast_signed())).collect())
}

/// Sums of products of one row with each of four; an empty one counts as zeros. Nothing overflows: at most 16,384
/// products of at most 2^14.
type SumsFn = fn(&[i16], [&[i16]; LANES]) -> [i32; LANES];

/// The fastest that this processor has.
fn best_sums() -> SumsFn {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        return |row, values| {
            // SAFETY: this closure is returned only where the processor has AVX2.
            unsafe { sums_avx2(row, values) }
        };
    }
    sums
}

/// The plain loop, which the compiler turns into vector instructions.
#[inline(always)]
fn sums(row: &[i16], values: [&[i16]; LANES]) -> [i32; LANES] {
    values.map(|values| {
        row.iter().zip(values).fold(0, |sum: i32, (a, b)| sum.wrapping_add(i32::from(*a).wrapping_mul(i32::from(*b))))
    })
}

/// The same loop with wider instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sums_avx2(row: &[i16], values: [&[i16]; LANES]) -> [i32; LANES] {
    sums(row, values)
}
