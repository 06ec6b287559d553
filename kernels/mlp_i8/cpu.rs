//! `mlp_i8` on all cores: tiles of samples go through all layers, so that a row of weights read once serves the whole
//! tile and the values between the layers stay in the processor's caches. With vector instructions that multiply int8 they
//! do so in blocks ([`super::blocks`]); without them, or with few samples, by the dot products of this file.

use core::ops::Range;

use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use super::blocks;
use super::plan::{Group, Part, plan};
use super::{BIAS_BYTES, Layer, Params, Row, SUM_BYTES};
use crate::executor::{ExecError, Inputs};
#[cfg(target_arch = "x86_64")]
use crate::gemm_i8::simd::{self, Simd};
use crate::merkle::CHUNK_BYTES;

/// Samples of a tile by dot products: at most 32 of 4,096 values of two bytes, twice.
const TILE: u32 = 32;
/// Samples of a tile in blocks, a multiple of all blocks' rows.
#[cfg(target_arch = "x86_64")]
const TILE_OF_BLOCKS: u32 = 96;
/// With fewer samples packing the weights costs more than it saves.
#[cfg(target_arch = "x86_64")]
const FEW: u32 = 8;
/// Samples that one pass over rows of weights serves.
const LANES: usize = 4;
/// Rows of weights of a pass.
const ROWS: usize = 2;
/// Values of a vector: rows are filled up with zeros to whole ones.
const VECTOR: usize = 16;

/// Some samples of one group, and the cells of them that are asked for.
pub(super) struct Tile<'a> {
    pub group: u32,
    pub need: Vec<Range<u32>>,
    pub parts: Vec<Part<'a>>,
}

/// A way to multiply on this processor.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// By dot products.
    Sums(SumsFn),
    /// In blocks.
    #[cfg(target_arch = "x86_64")]
    Blocks(Simd),
}

/// What this processor can do, the fastest first.
pub(super) fn ways() -> Vec<Way> {
    #[cfg(target_arch = "x86_64")]
    let blocks = simd::available().into_iter().map(Way::Blocks);
    #[cfg(not(target_arch = "x86_64"))]
    let blocks = core::iter::empty();
    blocks.chain([Way::Sums(best_sums()), Way::Sums(sums)]).collect()
}

/// Writes the leaves `leaves` to `out`, which has exactly their bytes.
///
/// # Errors
/// [`ExecError::LeafRange`] when `out` or the inputs don't have the sizes that params and range require.
pub(super) fn run(params: &Params, inputs: &Inputs, leaves: Range<u64>, out: &mut [u8]) -> Result<(), ExecError> {
    let groups = plan(params, leaves, out)?;
    let way = ways().first().copied().unwrap_or(Way::Sums(sums));
    #[cfg(target_arch = "x86_64")]
    let way = match way {
        Way::Blocks(_) if samples_of(&groups) < FEW => Way::Sums(best_sums()),
        way => way,
    };
    run_by(way, params, inputs, groups)
}

/// Samples that a run goes through.
#[cfg(target_arch = "x86_64")]
fn samples_of(groups: &[Group]) -> u32 {
    groups.iter().fold(0, |sum, group| {
        let [samples, ..] = &group.need;
        sum.saturating_add(samples.end.saturating_sub(samples.start))
    })
}

/// As [`run`] does, by one of [`ways`].
///
/// # Errors
/// [`ExecError::LeafRange`] when the inputs don't have the sizes that params require.
pub(super) fn run_by(way: Way, params: &Params, inputs: &Inputs, groups: Vec<Group>) -> Result<(), ExecError> {
    match way {
        Way::Sums(sums) => {
            let tiles = tiles(params, groups, 1, TILE)?;
            tiles.into_par_iter().try_for_each(|tile| forward(params, inputs, tile, sums))
        }
        #[cfg(target_arch = "x86_64")]
        Way::Blocks(simd) => {
            let tiles = tiles(params, groups, simd.height as u32, TILE_OF_BLOCKS)?;
            blocks::run(params, inputs, tiles, simd)
        }
    }
}

/// Cuts groups into tiles of at most `most` samples, a multiple of `step` of them but for the last.
fn tiles<'a>(params: &Params, groups: Vec<Group<'a>>, step: u32, most: u32) -> Result<Vec<Tile<'a>>, ExecError> {
    let mut tiles = Vec::new();
    for mut group in groups {
        let [samples, ..] = group.need.clone();
        let count = samples.end.saturating_sub(samples.start);
        let threads = u32::try_from(rayon::current_num_threads()).unwrap_or(u32::MAX).max(1);
        // As many as give every core the same.
        let cuts = count.div_ceil(most.max(1)).checked_next_multiple_of(threads).unwrap_or(threads).max(1);
        let size = count.div_ceil(cuts).max(1).next_multiple_of(step.max(1));
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
        let values: Vec<Vec<Vector>> = if stage == 0 {
            let row = |sample| row_of(samples, &params.sample_row(first_sample.wrapping_add(sample)));
            need.clone().map(|sample| widen(row(sample)?, params, 0)).collect::<Result<_, _>>()?
        } else {
            // The stage before was needed for at least these.
            let from = need.start.saturating_sub(held.start) as usize;
            let len = need.end.saturating_sub(need.start) as usize;
            let requantise = params.layer_before(stage).map(Layer::requantise).ok_or(ExecError::LeafRange)?;
            let sums = last_sums.get(from..).and_then(|sums| sums.get(..len)).ok_or(ExecError::LeafRange)?;
            sums.iter().map(|sums| vectors(sums.iter().map(|sum| requantise.value(*sum)))).collect()
        };
        held = need.clone();
        last_sums = vec![vec![0; layer.width as usize]; values.len()];
        for neuron in (0..layer.width).step_by(ROWS) {
            let mut factors: [Vec<Vector>; ROWS] = Default::default();
            let mut biases = [0; ROWS];
            for ((factors, bias), neuron) in factors.iter_mut().zip(&mut biases).zip(neuron..layer.width) {
                let row = row_of(weights, &params.weight_row(stage, neuron))?;
                *bias = row.last_chunk::<{ BIAS_BYTES as usize }>().map_or(0, |bias| i32::from_le_bytes(*bias));
                *factors = widen(row, params, stage)?;
            }
            let factors = factors.each_ref().map(Vec::as_slice);
            for (values, to) in values.chunks(LANES).zip(last_sums.chunks_mut(LANES)) {
                let lane = |i: usize| values.get(i).map_or(&[][..], Vec::as_slice);
                let made = sums(factors, core::array::from_fn(lane));
                for (to, made) in to.iter_mut().zip(made) {
                    for ((to, sum), bias) in to.iter_mut().skip(neuron as usize).zip(made).zip(biases) {
                        *to = bias.wrapping_add(sum);
                    }
                }
            }
        }
        if let Some(part) = part {
            let width = u64::from(layer.width);
            for (sample, sums) in need.zip(&last_sums) {
                put_sums(part, u64::from(sample).saturating_mul(width), sums);
            }
        }
    }
    Ok(())
}

/// Writes sums, the first of them that of cell `first`, where they were asked for.
pub(super) fn put_sums(part: &mut Part, first: u64, sums: &[i32]) {
    let skip = part.cells.start.saturating_sub(first);
    let end = part.cells.end.saturating_sub(first).min(sums.len() as u64);
    let at = first.saturating_add(skip).saturating_sub(part.cells.start) as usize;
    // Empty, or beyond the end, where none of them was.
    let sums = sums.get(skip as usize..end as usize).unwrap_or_default();
    for (to, sum) in part.out.as_chunks_mut::<{ SUM_BYTES as usize }>().0.iter_mut().skip(at).zip(sums) {
        *to = sum.to_le_bytes();
    }
}

/// Writes a cell where it was asked for.
pub(super) fn put(part: &mut Part, params: &Params, cell: u64, bytes: &[u8]) {
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

pub(super) fn row_of<'a>(input: &'a [u8], row: &Row) -> Result<&'a [u8], ExecError> {
    let start = row.chunk.checked_mul(CHUNK_BYTES as u64).and_then(|start| start.checked_add(u64::from(row.offset)));
    start
        .and_then(|start| usize::try_from(start).ok())
        .and_then(|start| input.get(start..)?.get(..row.bytes as usize))
        .ok_or(ExecError::LeafRange)
}

/// Values as the processor multiplies them.
type Vector = [i16; VECTOR];

/// The values of a row that layer `stage` reads.
fn widen(row: &[u8], params: &Params, stage: usize) -> Result<Vec<Vector>, ExecError> {
    let row = row.get(..params.fan_in(stage) as usize).ok_or(ExecError::LeafRange)?;
    Ok(vectors(row.iter().map(|value| value.cast_signed())))
}

fn vectors(values: impl ExactSizeIterator<Item = i8>) -> Vec<Vector> {
    let mut all = vec![[0; VECTOR]; values.len().div_ceil(VECTOR)];
    for (to, value) in all.as_flattened_mut().iter_mut().zip(values) {
        *to = i16::from(value);
    }
    all
}

/// For each sample, the sums of its products with each row; an empty one counts as zeros. Nothing overflows: at most
/// 16,384 products of at most 2^14.
type SumsFn = fn([&[Vector]; ROWS], [&[Vector]; LANES]) -> [[i32; ROWS]; LANES];

/// The fastest that this processor has.
fn best_sums() -> SumsFn {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        return |rows, values| {
            // SAFETY: this closure is returned only where the processor has AVX2.
            unsafe { avx2::sums(rows, values) }
        };
    }
    sums
}

/// The plain loop.
fn sums(rows: [&[Vector]; ROWS], values: [&[Vector]; LANES]) -> [[i32; ROWS]; LANES] {
    let product = |(a, b): (&i16, &i16)| i32::from(*a).wrapping_mul(i32::from(*b));
    values.map(|values| {
        rows.map(|row| {
            let products = row.as_flattened().iter().zip(values.as_flattened()).map(product);
            products.fold(0, i32::wrapping_add)
        })
    })
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use core::arch::x86_64::{__m256i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_setzero_si256};

    use super::{LANES, ROWS, Vector};

    #[target_feature(enable = "avx2")]
    fn load(vector: &Vector) -> __m256i {
        // SAFETY: a vector has 32 bytes; the load takes any address.
        unsafe { _mm256_loadu_si256(vector.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2")]
    fn total(sum: __m256i) -> i32 {
        // SAFETY: both are 32 bytes in which every pattern is a value.
        let parts: [i32; 8] = unsafe { core::mem::transmute(sum) };
        parts.into_iter().fold(0, i32::wrapping_add)
    }

    /// The same as [`super::sums`], with each row and each sample loaded once for all of its products.
    #[target_feature(enable = "avx2")]
    pub fn sums(rows: [&[Vector]; ROWS], values: [&[Vector]; LANES]) -> [[i32; ROWS]; LANES] {
        let [first, second] = rows;
        // An empty side gives no products; what the loop below reads must be as long as the first row.
        let whole = |side: &[Vector]| side.len() == first.len();
        if !whole(second) || !values.iter().all(|side| whole(side)) {
            return super::sums(rows, values);
        }
        let [v0, v1, v2, v3] = values;
        let mut sums = [[_mm256_setzero_si256(); ROWS]; LANES];
        for (((((r0, r1), v0), v1), v2), v3) in first.iter().zip(second).zip(v0).zip(v1).zip(v2).zip(v3) {
            let rows = [load(r0), load(r1)];
            for (sums, value) in sums.iter_mut().zip([v0, v1, v2, v3]) {
                let value = load(value);
                for (sum, row) in sums.iter_mut().zip(rows) {
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(row, value));
                }
            }
        }
        let mut totals = [[0; ROWS]; LANES];
        for (totals, sums) in totals.iter_mut().zip(sums) {
            for (to, sum) in totals.iter_mut().zip(sums) {
                *to = total(sum);
            }
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_add_up_is_exact() {
        for len in [0usize, 1, 15, 16, 17, 100, 16_384] {
            let of = |x: i8| vectors(vec![x; len].into_iter());
            let extreme = [of(-128), of(127), of(-1), of(1)];
            let rows = [&extreme[0][..], &extreme[1][..]];
            for count in 0..=LANES {
                let values = core::array::from_fn(|i| if i < count { &extreme[i][..] } else { &[] });
                let expected = core::array::from_fn(|i| {
                    let x = if i < count { [-128, 127, -1, 1][i] } else { 0 };
                    [-128 * x * len as i32, 127 * x * len as i32]
                });
                assert_eq!(sums(rows, values), expected, "{len}, {count}");
                assert_eq!(best_sums()(rows, values), expected, "{len}, {count}");
                assert_eq!(
                    best_sums()([rows[0], &[]], values).map(|[first, _]| first),
                    expected.map(|[first, _]| first)
                );
                assert!(best_sums()([rows[0], &[]], values).iter().all(|[_, second]| *second == 0));
            }
        }
    }
}
