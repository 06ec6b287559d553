//! Kernel 4, `mlp_i8`: a batch of samples through a network of dense layers in int8, every layer's sums committed.
//!
//! A sum is `bias + sum of weight * value`, i32 (the bias added modulo 2^32). The values of the first layer are the
//! sample's, those of any other the requantised sums of the layer before ([`Requantise`]: gemmlowp's rounding, then
//! ReLU or nothing, cut to int8). The last layer's sums are the logits; a job may also want the number of the largest.
//!
//! Params are in [`Params::from_bytes`], at most 84 bytes. Input 0 holds the samples, input 1 the layers' weights, a
//! row for each neuron with its bias in the row's last four bytes. A row is padded to the next power of two of bytes up
//! to 1,024, then to whole chunks; a layer's rows begin with a chunk. What the padding holds does not matter.
//!
//! Stage s is layer s; a cell is one neuron's sum for one sample, i32, and a leaf a run of them, sample by sample. The
//! last stage, where it is wanted, holds a u16 for each sample. A cell of a later stage reads the leaves with the sums
//! of the layer before, so every layer is provable alone. **Sums and not int8 values are committed**, because after a
//! ReLU most values are 0 and could be guessed.
//!
//! A cell reads leaves of its own shard, and a shard is a run of leaves: `groups` cuts the batch into runs of samples
//! that lie behind each other with all their stages, and shards are cut between them. docs/kernels/mlp_i8.md has more.

mod params;
mod requantise;

pub use params::{
    ANSWER_BYTES, Activation, BIAS_BYTES, HEADER_BYTES, LARGE_LEAF, LAYER_BYTES, Layer, MAX_BATCH, MAX_CLASSES,
    MAX_INPUT_WIDTH, MAX_LAYERS, MAX_SHIFT, MAX_STAGES, MAX_WIDTH, Output, PARAMS_BYTES_MAX, Params, Place, Row,
    SUM_BYTES,
};
pub use requantise::Requantise;

use crate::abi::{ABI, AbiError, CostClass, Describe, Geometry, ParamError, Request, SOURCE_LEAVES};
use crate::gemm_i8::dot::{Dot, copy};
use crate::kernel::{Kernel, Read};
use crate::merkle::CHUNK_BYTES;

#[cfg(feature = "std")]
mod accelerated;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod blocks;
#[cfg(feature = "std")]
mod cpu;
#[cfg(feature = "std")]
mod handling;
#[cfg(feature = "std")]
pub mod import;
#[cfg(feature = "std")]
mod plan;
#[cfg(feature = "std")]
pub mod result;

/// Sums that are requantised and multiplied at a time.
const PIECE: usize = 128;
/// Bytes of them.
const PIECE_BYTES: usize = PIECE * SUM_BYTES as usize;
/// Most leaves that a cell reads: a sample's sums, which may begin inside a leaf.
const MAX_LEAVES_READ: usize = (MAX_WIDTH / LARGE_LEAF) as usize + 1;

/// The kernel.
#[derive(Clone, Copy, Debug)]
pub struct MlpI8;

impl Kernel for MlpI8 {
    const ID: u16 = 4;
    const NAME: &'static str = "mlp_i8";
    type Params = Params;

    fn parse(params: &[u8]) -> Result<Params, ParamError> {
        Params::from_bytes(params)
    }

    fn describe() -> Describe {
        Describe {
            abi: ABI,
            inputs: 2,
            stages: MAX_STAGES as u8,
            flags: 0,
            kernel: Self::ID,
            max_cost_classes: MAX_CLASSES as u16,
            // What a poisoned layer saves in later ones: docs/kernels/mlp_i8.md.
            amplification_bps: 40_000,
            cell_bytes_max: SUM_BYTES,
            leaf_bytes_max: LARGE_LEAF.wrapping_mul(SUM_BYTES),
            cell_cu_max: 300_000,
            // A sample of 16 KiB and a row of 17 with their paths, in pieces of 940 bytes; counted in the tests.
            answer_transactions: 64,
            reserved: 0,
            // The same without paths. A later layer reads 17 leaves and 5 chunks at most.
            evidence_bytes_max: MAX_INPUT_WIDTH.wrapping_mul(2).wrapping_add(CHUNK_BYTES as u32),
            name: Describe::pad_name(Self::NAME),
            version: 1,
        }
    }

    fn geometry(params: &Params) -> Result<Geometry, ParamError> {
        let mut geometry = Geometry::uniform(1, 1, 1);
        geometry.inputs = 2;
        geometry.classes = 0;
        for (class, place) in geometry.class.iter_mut().zip(params.classes()) {
            *class = CostClass {
                cells: params.cells(place.group, place.stage),
                cost: u64::from(params.fan_in(place.stage)),
                cells_per_leaf: params.cells_per_leaf(place.stage),
                cell_bytes: params.cell_bytes(place.stage),
                // At most 6.
                stage: place.stage as u32,
                reserved: 0,
            };
            geometry.classes = geometry.classes.saturating_add(1);
        }
        // All groups but the last, which no shard begins behind, have as many leaves as the first.
        geometry.shard_align = params.group_leaves(0);
        let (samples, weights) = params.input_chunks();
        let bytes_of = |chunks: u64| chunks.wrapping_mul(CHUNK_BYTES as u64);
        geometry.input_bytes = [bytes_of(samples), bytes_of(weights), 0, 0];
        (geometry.answer_transactions, geometry.evidence_kib) = answer(params);
        Ok(geometry)
    }

    fn reads(params: &Params, leaf: u64, cell: u32, out: &mut dyn FnMut(Read)) {
        let Some(place) = params.locate(leaf, cell) else { return };
        let (sample, neuron) = params.sample_and_neuron(&place);
        let mut input = |source: u8, row: Row| out(Read { source, start: row.chunk, count: row.chunks() });
        if place.stage == 0 {
            input(0, params.sample_row(sample));
        }
        if params.layer(place.stage).is_some() {
            input(1, params.weight_row(place.stage, neuron));
        }
        if let Some((start, count, _)) = params.sums_before(&place) {
            out(Read { source: SOURCE_LEAVES, start, count });
        }
    }

    fn cell(params: &Params, request: &Request, leaf: u64, cell: u32, out: &mut [u8]) -> Result<usize, AbiError> {
        let place = params.locate(leaf, cell).ok_or(AbiError::NoSuchCell)?;
        let (sample, neuron) = params.sample_and_neuron(&place);
        if params.layer(place.stage).is_none() {
            return write(&largest(params, request, &place)?.to_le_bytes(), out);
        }
        let weights = params.weight_row(place.stage, neuron);
        let sum = match params.layer_before(place.stage) {
            None => sum_of_sample(params, request, &params.sample_row(sample), &weights)?,
            Some(before) => sum_of_layer(params, request, &place, before, &weights)?,
        };
        write(&sum.wrapping_add(bias(request, &weights)?).to_le_bytes(), out)
    }
}

/// Sum of a cell of the first layer, without its bias.
#[inline(never)]
fn sum_of_sample(params: &Params, request: &Request, sample: &Row, weights: &Row) -> Result<i32, AbiError> {
    let mut dot = Dot::new();
    let mut left = params.input_width as usize;
    let (mut a, mut b) = (Values::new(request, 0, sample)?, Values::new(request, 1, weights)?);
    // Each row may lie in several openings; go on to where the first of the two ends.
    while left > 0 {
        let values = a.next(left)?;
        let factors = b.next(values.len())?;
        a.unread(values.len().saturating_sub(factors.len()));
        dot.add(values, factors);
        left = left.saturating_sub(factors.len());
    }
    Ok(dot.sum())
}

/// Sum of a cell of a later layer, without its bias, from the committed sums of the layer before.
#[inline(never)]
fn sum_of_layer(
    params: &Params,
    request: &Request,
    place: &Place,
    before: &Layer,
    weights: &Row,
) -> Result<i32, AbiError> {
    let requantise = before.requantise();
    let mut dot = Dot::new();
    let mut weights = Values::new(request, 1, weights)?;
    let (mut sums, mut values) = ([0u32; PIECE], [0u8; PIECE]);
    each_piece(params, request, place, |bytes| {
        // To aligned memory: words at any address would cost ten instructions each.
        copy(bytemuck::cast_slice_mut(sums.get_mut(..bytes.len() / 4).unwrap_or_default()), bytes);
        for (value, sum) in values.iter_mut().zip(&sums).take(bytes.len() / 4) {
            *value = requantise.value(u32::from_le(*sum) as i32) as u8;
        }
        let mut left = values.get(..bytes.len() / 4).unwrap_or_default();
        while !left.is_empty() {
            let factors = weights.next(left.len())?;
            dot.add(left, factors);
            left = left.get(factors.len()..).unwrap_or_default();
        }
        Ok(())
    })?;
    Ok(dot.sum())
}

/// Number of the largest committed sum of a sample in the last layer, the lowest of equal ones.
#[inline(never)]
fn largest(params: &Params, request: &Request, place: &Place) -> Result<u16, AbiError> {
    let mut best: Option<(i32, u16)> = None;
    let mut number = 0u16;
    let mut sums = [0u32; PIECE];
    each_piece(params, request, place, |bytes| {
        copy(bytemuck::cast_slice_mut(sums.get_mut(..bytes.len() / 4).unwrap_or_default()), bytes);
        for sum in sums.iter().take(bytes.len() / 4) {
            let sum = u32::from_le(*sum) as i32;
            if best.is_none_or(|(most, _)| sum > most) {
                best = Some((sum, number));
            }
            // At most 4,096 of them.
            number = number.wrapping_add(1);
        }
        Ok(())
    })?;
    Ok(best.map_or(0, |(_, number)| number))
}

/// Calls `with` for the sums of the layer before, for the sample of a cell, in pieces of whole sums.
#[inline(always)]
fn each_piece<'a>(
    params: &Params,
    request: &Request<'a>,
    place: &Place,
    mut with: impl FnMut(&'a [u8]) -> Result<(), AbiError>,
) -> Result<(), AbiError> {
    let (first, count, cell) = params.sums_before(place).ok_or(AbiError::NoSuchCell)?;
    let per_leaf = params.cells_per_leaf(place.stage.saturating_sub(1));
    let (mut left, mut cell) = (params.fan_in(place.stage), cell);
    for leaf in request.leaves::<MAX_LEAVES_READ>(first).into_iter().take(count as usize) {
        let here = left.min(per_leaf.saturating_sub(cell));
        let (from, len) = (cell.wrapping_mul(SUM_BYTES), here.wrapping_mul(SUM_BYTES));
        let sums = leaf.get(from as usize..).and_then(|sums| sums.get(..len as usize));
        for piece in sums.ok_or(AbiError::MissingOpening)?.chunks(PIECE_BYTES) {
            with(piece)?;
        }
        (left, cell) = (left.saturating_sub(here), 0);
    }
    Ok(())
}

/// The bytes of a row, opening by opening.
struct Values<'a>(crate::abi::Pieces<'a>);

impl<'a> Values<'a> {
    fn new(request: &Request<'a>, source: u8, row: &Row) -> Result<Self, AbiError> {
        let mut pieces = request.pieces(source, row.chunk);
        // Less than a chunk, and chunks are open whole: in one piece.
        pieces.next(row.offset as usize)?;
        Ok(Self(pieces))
    }

    fn next(&mut self, most: usize) -> Result<&'a [u8], AbiError> {
        self.0.next(most)
    }

    fn unread(&mut self, len: usize) {
        self.0.unread(len);
    }
}

/// The bias in the last bytes of a row.
fn bias(request: &Request, row: &Row) -> Result<i32, AbiError> {
    let at = u64::from(row.offset).saturating_add(u64::from(row.bytes)).saturating_sub(u64::from(BIAS_BYTES));
    // A row ends within its first chunk or with a whole one.
    let (chunks, offset) = params::div_rem(at, CHUNK_BYTES as u64);
    let bytes = request.read(1, row.chunk.wrapping_add(chunks), offset, BIAS_BYTES as usize)?;
    bytes.first_chunk().map(|bytes| i32::from_le_bytes(*bytes)).ok_or(AbiError::MissingOpening)
}

fn write(cell: &[u8], out: &mut [u8]) -> Result<usize, AbiError> {
    out.get_mut(..cell.len()).ok_or(AbiError::OutputTooSmall)?.copy_from_slice(cell);
    Ok(cell.len())
}

/// Transactions that proving a cell of such a job takes at most, and KiB of evidence: from above, in v0 pieces of 940
/// bytes. Never more than the kernel declares.
fn answer(params: &Params) -> (u16, u16) {
    const PIECE: u64 = 940;
    const NODE: u64 = 32;
    let log2 = |n: u64| u64::from(64u32.saturating_sub(n.leading_zeros()));
    // A row of c chunks is at most 2 log2(c) aligned runs, each with a path as long as the input's tree is high.
    let input = |row: Row, chunks: u64| {
        let paths = log2(row.chunks()).saturating_mul(2).saturating_mul(log2(chunks)).saturating_mul(NODE);
        (row.chunks().saturating_mul(CHUNK_BYTES as u64), paths)
    };
    let (samples, weights) = params.input_chunks();
    let leaves = (0..u32::from(params.groups)).fold(0u64, |sum, group| sum.saturating_add(params.group_leaves(group)));
    let path = log2(leaves).saturating_mul(NODE);
    let leaf_bytes =
        |stage: usize| u64::from(params.cells_per_leaf(stage)).saturating_mul(u64::from(params.cell_bytes(stage)));
    let (mut transactions, mut bytes) = (0u64, 0u64);
    for stage in 0..params.stages() {
        let row = |on: bool, row: Row, chunks: u64| if on { input(row, chunks) } else { (0, 0) };
        let sample = row(stage == 0, params.sample_row(0), samples);
        let weight = row(params.layer(stage).is_some(), params.weight_row(stage, 0), weights);
        // Whole samples in a leaf: one leaf. Else they may begin anywhere in the first of them.
        let sums = stage.checked_sub(1).map_or((0, 0), |before| {
            let (width, per_leaf) = (u64::from(params.width(before)), u64::from(params.cells_per_leaf(before)));
            let count = if width <= per_leaf { 1 } else { width.div_ceil(per_leaf.max(1)).saturating_add(1) };
            (count.saturating_mul(leaf_bytes(before)), count.saturating_mul(path))
        });
        let read = sample.0.saturating_add(weight.0).saturating_add(sums.0);
        let paths = sample.1.saturating_add(weight.1).saturating_add(sums.1);
        let all = read.saturating_add(paths).saturating_add(leaf_bytes(stage)).saturating_add(path);
        // One more makes the account, one judges.
        transactions = transactions.max(all.div_ceil(PIECE).saturating_add(2));
        bytes = bytes.max(read);
    }
    let most = MlpI8::describe();
    let most_kib = u16::try_from(most.evidence_bytes_max.div_ceil(1_024)).unwrap_or(u16::MAX);
    (
        u16::try_from(transactions).unwrap_or(u16::MAX).min(most.answer_transactions),
        u16::try_from(bytes.div_ceil(1_024)).unwrap_or(u16::MAX).min(most_kib),
    )
}

#[cfg(test)]
mod tests;
