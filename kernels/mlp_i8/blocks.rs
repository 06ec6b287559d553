//! `mlp_i8` in the blocks of `gemm_i8`: each layer's weights are packed once for all samples; tiles of samples go through
//! all layers, and what comes of their sums (cells, the next layer's values, the choice of the largest) is made of a piece
//! of them while it lies in the processor's caches.

use rayon::prelude::*;

use super::cpu::{Tile, put, put_sums, row_of};
use super::{BIAS_BYTES, Params, Requantise};
use crate::executor::{ExecError, Inputs};
use crate::gemm_i8::simd::{Packed, Side, Simd};

/// Columns of a piece of sums.
const COLUMNS: usize = 192;

/// The weights of the layers that are needed, packed; their sums begin with the biases.
struct Network {
    simd: Simd,
    layers: Vec<Packed>,
    requantise: RequantiseFn,
}

/// Memory of a task that the next one takes over.
#[derive(Default)]
struct Room {
    packed: Packed,
    sums: Vec<i32>,
    /// The values that a layer reads, sample by sample, and those that it makes.
    values: Vec<u8>,
    next: Vec<u8>,
    /// Each sample's largest sum so far, and its number.
    best: Vec<(i32, u16)>,
}

/// Makes tiles of samples.
///
/// # Errors
/// [`ExecError::LeafRange`] when the inputs don't have the sizes that params require.
pub(super) fn run(params: &Params, inputs: &Inputs, tiles: Vec<Tile>, simd: Simd) -> Result<(), ExecError> {
    let [_, weights, ..] = inputs.inputs;
    let is_needed = |stage: usize| tiles.iter().any(|tile| tile.need.get(stage).is_some_and(|need| !need.is_empty()));
    let needed = (0..params.layers().len()).take_while(|stage| is_needed(*stage));
    let layers = needed.map(|stage| pack(params, weights, stage, simd)).collect::<Result<_, _>>()?;
    let network = Network { simd, layers, requantise: best_requantise() };
    let forward = |room: &mut Room, tile| forward(params, inputs, tile, &network, room);
    tiles.into_par_iter().try_for_each_init(Room::default, forward)
}

/// Packs a layer's weights.
fn pack(params: &Params, weights: &[u8], stage: usize, simd: Simd) -> Result<Packed, ExecError> {
    let rows = (0..params.width(stage)).map(|neuron| row_of(weights, &params.weight_row(stage, neuron)));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let values = rows.iter().map(|row| row.get(..params.fan_in(stage) as usize).ok_or(ExecError::LeafRange));
    let mut packed = Packed::default();
    simd.pack_together(Side::B, &values.collect::<Result<Vec<_>, _>>()?, &mut packed);
    let bias = |row: &&[u8]| row.last_chunk::<{ BIAS_BYTES as usize }>().map_or(0, |bias| i32::from_le_bytes(*bias));
    packed.begin_with(rows.iter().map(bias));
    Ok(packed)
}

/// Takes a tile through the stages, as far as it is asked for.
fn forward(params: &Params, inputs: &Inputs, tile: Tile, network: &Network, room: &mut Room) -> Result<(), ExecError> {
    let [samples, ..] = inputs.inputs;
    let Tile { group, need: need_of, mut parts } = tile;
    let (first_sample, simd) = (params.samples(group).0, network.simd);
    // The samples whose values or largest sums are at hand.
    let mut held = 0..0;
    for (stage, need) in need_of.iter().enumerate().take_while(|(_, need)| !need.is_empty()) {
        let mut part = parts.iter_mut().find(|part| part.stage == stage);
        let skip = need.start.saturating_sub(held.start) as usize;
        let Some((layer, weights)) = params.layer(stage).zip(network.layers.get(stage)) else {
            if let Some(part) = part {
                for (sample, (_, number)) in need.clone().zip(room.best.get(skip..).unwrap_or_default()) {
                    put(part, params, u64::from(sample), &number.to_le_bytes());
                }
            }
            continue;
        };
        let (width, fan_in) = (layer.width as usize, params.fan_in(stage) as usize);
        let rows: Vec<&[u8]> = if stage == 0 {
            let row = |sample| row_of(samples, &params.sample_row(first_sample.wrapping_add(sample)));
            let values = |sample| row(sample)?.get(..fan_in).ok_or(ExecError::LeafRange);
            need.clone().map(values).collect::<Result<_, _>>()?
        } else {
            // The stage before was needed for at least these.
            room.values.chunks_exact(fan_in.max(1)).skip(skip).take(need.len()).collect()
        };
        simd.pack(Side::A, &rows, &mut room.packed);
        let is_read = need_of.get(stage.saturating_add(1)).is_some_and(|need| !need.is_empty());
        let requantise = layer.requantise();
        let is_hidden = params.layer(stage.saturating_add(1)).is_some();
        if is_read && is_hidden {
            room.next.resize(need.len().saturating_mul(width), 0);
        } else if is_read {
            room.best.clear();
            room.best.resize(need.len(), (i32::MIN, 0));
        }
        let down = need.len().div_ceil(simd.height);
        for first in (0..width).step_by(COLUMNS) {
            let columns = width.saturating_sub(first).min(COLUMNS);
            // Pieces are whole panels.
            let panel = first.checked_div(simd.width).unwrap_or(0);
            let across = panel..panel.saturating_add(columns.div_ceil(simd.width));
            let stride = across.len().saturating_mul(simd.width).max(1);
            room.sums.clear();
            simd.multiply((&room.packed, 0..down), (weights, across), &mut room.sums);
            for ((sums, sample), row) in room.sums.chunks_exact(stride).zip(need.clone()).zip(0usize..) {
                let sums = sums.get(..columns).unwrap_or_default();
                if let Some(part) = part.as_deref_mut() {
                    let cell = u64::from(sample).saturating_mul(u64::from(layer.width));
                    put_sums(part, cell.saturating_add(first as u64), sums);
                }
                if is_read && is_hidden {
                    let to = room.next.get_mut(row.saturating_mul(width).saturating_add(first)..);
                    (network.requantise)(&requantise, sums, to.unwrap_or_default());
                } else if is_read && let Some(best) = room.best.get_mut(row) {
                    choose(best, first, sums);
                }
            }
        }
        core::mem::swap(&mut room.values, &mut room.next);
        held = need.clone();
    }
    Ok(())
}

/// Goes on with the choice of the largest sum, the first of equal ones, by those from number `first` on.
fn choose(best: &mut (i32, u16), first: usize, sums: &[i32]) {
    for (sum, number) in sums.iter().zip(first..) {
        // Of all sums at the least value there is, the first is number 0, with which the choice begins.
        if *sum > best.0 {
            // At most 4,096 of them.
            *best = (*sum, number as u16);
        }
    }
}

/// Makes values of sums.
type RequantiseFn = fn(&Requantise, &[i32], &mut [u8]);

/// The fastest that this processor has.
fn best_requantise() -> RequantiseFn {
    if std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512dq") {
        return |by, sums, values| {
            // SAFETY: this closure is returned only where the processor has these.
            unsafe { requantise_avx512(by, sums, values) }
        };
    }
    if std::is_x86_feature_detected!("avx2") {
        return |by, sums, values| {
            // SAFETY: this closure is returned only where the processor has AVX2.
            unsafe { requantise_avx2(by, sums, values) }
        };
    }
    requantise
}

/// The plain loop, which the compiler turns into vector instructions.
#[inline(always)]
fn requantise(by: &Requantise, sums: &[i32], values: &mut [u8]) {
    let by = *by;
    for (value, sum) in values.iter_mut().zip(sums) {
        *value = by.value(*sum).cast_unsigned();
    }
}

/// The same loop with wider instructions.
#[target_feature(enable = "avx512f,avx512dq")]
fn requantise_avx512(by: &Requantise, sums: &[i32], values: &mut [u8]) {
    requantise(by, sums, values);
}

/// The same loop with wider instructions.
#[target_feature(enable = "avx2")]
fn requantise_avx2(by: &Requantise, sums: &[i32], values: &mut [u8]) {
    requantise(by, sums, values);
}
