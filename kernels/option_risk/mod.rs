//! Kernel 5, `option_risk`: a portfolio of options valued along random paths of correlated assets.
//!
//! Logarithms of prices are random walks with normal steps; where drift and factors say so, prices are those of Black and
//! Scholes. A path gives the portfolio's value, the discounted payoffs of all positions. A cell holds the values of 1 to 64
//! paths, a digest over what all its paths came to, and perhaps the sum of each position's payoffs. Everything is in
//! integers; [`Params`] and [`model`] say what a job is made of, docs/kernels/option_risk.md has all of it.
//!
//! Input 0 is the model, one or two chunks, which every cell reads.

mod params;
mod path;
mod pieces;

pub mod model;
pub mod random;

use crate::abi::{ABI, AbiError, Describe, Geometry, ParamError, Request};
use crate::gemm_i8::dot::copy;
use crate::kernel::{Kernel, Read, uniform_cell};
use crate::merkle::CHUNK_BYTES;

#[cfg(feature = "std")]
mod accelerated;
#[cfg(feature = "std")]
mod cpu;
#[cfg(feature = "std")]
pub mod example;
#[cfg(feature = "std")]
mod handling;
#[cfg(feature = "std")]
pub mod import;
#[cfg(feature = "std")]
mod lanes;
#[cfg(feature = "std")]
pub mod result;

#[cfg(feature = "std")]
pub use accelerated::Launch;
pub use model::WEIGHT_BITS;
pub use params::{
    AVERAGES, MAX_ASSETS, MAX_BASKETS, MAX_CELLS, MAX_PATHS, MAX_POSITIONS, MAX_STEPS, MAX_UNITS, MAX_VALUE_BITS,
    PARAMS_BYTES, Params, REFERENCE, SUMS,
};
pub use pieces::PIECES;

use model::{MODEL_WORDS, Model};

/// Bytes of evidence that one transaction carries.
const PIECE: u64 = 940;

/// The kernel.
#[derive(Clone, Copy, Debug)]
pub struct OptionRisk;

impl Kernel for OptionRisk {
    const ID: u16 = 5;
    const NAME: &'static str = "option_risk";
    type Params = Params;

    fn parse(params: &[u8]) -> Result<Params, ParamError> {
        Params::from_bytes(params)
    }

    fn describe() -> Describe {
        Describe {
            abi: ABI,
            inputs: 1,
            stages: 1,
            // Every cell of a job has as many paths through the same model.
            flags: 0,
            kernel: Self::ID,
            max_cost_classes: 1,
            amplification_bps: 10_000,
            cell_bytes_max: 776,
            leaf_bytes_max: 776,
            cell_cu_max: 320_000,
            answer_transactions: answer_transactions(2, 776, MAX_CELLS),
            reserved: 0,
            evidence_bytes_max: 2_048,
            name: Describe::pad_name(Self::NAME),
            version: 1,
        }
    }

    fn geometry(params: &Params) -> Result<Geometry, ParamError> {
        let per_leaf = params.cells_per_leaf();
        let mut geometry = Geometry::uniform(params.cells, per_leaf, params.cell_bytes());
        let chunks = params.model_chunks();
        geometry.inputs = 1;
        geometry.input_bytes[0] = chunks.wrapping_mul(CHUNK_BYTES as u64);
        // 1 or 2 KiB.
        geometry.evidence_kib = chunks as u16;
        let leaves = params.cells.div_ceil(u64::from(per_leaf).max(1));
        let leaf_bytes = u64::from(per_leaf).wrapping_mul(u64::from(params.cell_bytes()));
        geometry.answer_transactions = answer_transactions(chunks, leaf_bytes, leaves);
        Ok(geometry)
    }

    fn reads(params: &Params, leaf: u64, cell: u32, out: &mut dyn FnMut(Read)) {
        if uniform_cell(params.cells, params.cells_per_leaf(), leaf, cell).is_ok() {
            out(Read { source: 0, start: 0, count: params.model_chunks() });
        }
    }

    fn cell(params: &Params, request: &Request, leaf: u64, cell: u32, out: &mut [u8]) -> Result<usize, AbiError> {
        let cell = uniform_cell(params.cells, params.cells_per_leaf(), leaf, cell)?;
        // Aligned: on chain a number at any address would cost ten instructions.
        let mut words = [0u64; MODEL_WORDS];
        read_model(params, request, &mut words)?;
        let len = params.cell_bytes() as usize;
        let (cells, _) = out.get_mut(..len).ok_or(AbiError::OutputTooSmall)?.as_chunks_mut::<8>();
        fill(params, &Model::new(params, &words), params.first_path(cell), cells);
        Ok(len)
    }
}

#[inline(never)]
fn read_model(params: &Params, request: &Request, words: &mut [u64; MODEL_WORDS]) -> Result<(), AbiError> {
    let mut to: &mut [u8] = bytemuck::cast_slice_mut(words);
    let mut left = params.model_bytes();
    let mut pieces = request.pieces(0, 0);
    while left > 0 {
        let piece = pieces.next(left)?;
        // A model fits.
        let Some((place, rest)) = core::mem::take(&mut to).split_at_mut_checked(piece.len()) else { break };
        copy(place, piece);
        to = rest;
        left = left.saturating_sub(piece.len());
    }
    Ok(())
}

/// Writes a cell: digest, values, sums.
#[inline(never)]
fn fill(params: &Params, model: &Model, first: u64, out: &mut [[u8; 8]]) {
    let Some((digest_at, rest)) = out.split_first_mut() else { return };
    let Some((values, totals)) = rest.split_at_mut_checked(usize::from(params.paths)) else { return };
    let mut sums = [0i64; MAX_POSITIONS];
    let mut digest = 0u64;
    // The last number of all may be the largest there is.
    let mut number = first;
    for place in values {
        let (value, of_path) = path::path(params, model, number, &mut sums);
        *place = value.to_le_bytes();
        digest ^= of_path;
        number = number.wrapping_add(1);
    }
    *digest_at = digest.to_le_bytes();
    // None where they are not asked for.
    for (place, sum) in totals.iter_mut().zip(sums) {
        *place = sum.to_le_bytes();
    }
}

/// Transactions that proving a cell takes at most, in v0 pieces: the model, its path, the leaf and its path; one more makes
/// the account, one judges.
fn answer_transactions(chunks: u64, leaf_bytes: u64, leaves: u64) -> u16 {
    let height = u64::from(64u32.saturating_sub(leaves.leading_zeros()));
    let paths = height.saturating_add(chunks).saturating_mul(32);
    let bytes = chunks.saturating_mul(CHUNK_BYTES as u64).saturating_add(leaf_bytes).saturating_add(paths);
    // Seven at most.
    bytes.div_ceil(PIECE).saturating_add(2) as u16
}

#[cfg(test)]
mod tests;
