//! Kernel 3, `search`: the lowest SHA-256 over a range of nonces, with a digest over all of its candidates.
//!
//! A candidate is a message with a nonce written into it; its hash is SHA-256 of that, or of the digest of that once
//! more. A cell covers 512 to 65,536 candidates in a row and holds the best of them and 16 bytes of a hash over what all
//! of them gave, so that a cell is as hard to guess as it is to compute. There is no input. [`Params`] says what a job
//! is made of; the layout of a cell is that of [`Cell`].
//!
//! On chain a segment of 512 candidates is a step; a cell of one segment is computed in one go.

mod best;
mod params;

use crate::abi::{ABI, AbiError, Describe, Geometry, ParamError, Request, STEP_STATE_BYTES};
use crate::hash::{Hash, sha256, sha256_into};
use crate::kernel::{Kernel, Read, uniform_cell};

#[cfg(feature = "std")]
mod accelerated;
#[cfg(feature = "std")]
mod cpu;
#[cfg(feature = "std")]
mod handling;
#[cfg(feature = "std")]
pub mod template;

pub use best::{Best, best_of};
#[cfg(feature = "std")]
pub use cpu::{Way, ways};
pub use params::{
    BIG_ENDIAN, DOUBLE, HEADER_BYTES, MAX_CELLS, MAX_MESSAGE_BYTES, MAX_SIZE, Params, REVERSED, SEGMENT, WIDE,
};

/// Bytes of a cell.
pub const CELL_BYTES: u32 = 32;
/// Cells in a leaf.
pub const CELLS_PER_LEAF: u32 = 8;
/// Bytes of every candidate's digest that the digest over all of them takes in.
pub const HEAD_BYTES: usize = 4;
/// Bytes of the digest over all candidates in a cell.
pub const DIGEST_BYTES: usize = 16;

/// The kernel.
#[derive(Clone, Copy, Debug)]
pub struct Search;

/// What a cell says, in the order of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The first eight bytes of the lowest score, in the order in which scores are compared.
    pub score: [u8; 8],
    /// The nonce that has it, the lowest one of several; little-endian in the cell's bytes, whatever it is in the message.
    pub nonce: u64,
    /// The first bytes of the last link of the chain over all candidates.
    pub digest: [u8; DIGEST_BYTES],
}

impl Cell {
    /// The cell in these bytes.
    pub fn from_bytes(bytes: &[u8; CELL_BYTES as usize]) -> Self {
        let (score, rest) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let (nonce, rest) = rest.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let digest = rest.first_chunk().copied().unwrap_or_default();
        Self { score: *score, nonce: u64::from_le_bytes(*nonce), digest }
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> [u8; CELL_BYTES as usize] {
        let mut out = [0; CELL_BYTES as usize];
        put(&mut out, &[&self.score, &self.nonce.to_le_bytes(), &self.digest]);
        out
    }
}

/// Writes `parts` one after the other; what does not fit is left out.
fn put(mut out: &mut [u8], parts: &[&[u8]]) {
    for part in parts {
        let Some((place, rest)) = core::mem::take(&mut out).split_at_mut_checked(part.len()) else { return };
        place.copy_from_slice(part);
        out = rest;
    }
}

/// A cell under way: what one segment hands on to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    /// Zeros, then SHA-256 of a segment's heads and of the link before.
    chain: Hash,
    /// The lowest score so far.
    score: Hash,
    /// Its nonce.
    nonce: u64,
}

impl Progress {
    /// Before the first candidate, which has nonce `nonce`.
    fn new(nonce: u64) -> Self {
        Self { chain: [0; 32], score: [0xff; 32], nonce }
    }

    /// What the state of a step holds: chain, score, nonce.
    fn from_state(state: &[u8; STEP_STATE_BYTES]) -> Self {
        let (chain, rest) = state.split_first_chunk().unwrap_or((&[0; 32], &[]));
        let (score, rest) = rest.split_first_chunk().unwrap_or((&[0; 32], &[]));
        let nonce = rest.first_chunk().copied().unwrap_or_default();
        Self { chain: *chain, score: *score, nonce: u64::from_le_bytes(nonce) }
    }

    fn write_state(&self, state: &mut [u8; STEP_STATE_BYTES]) {
        put(state, &[&self.chain, &self.score, &self.nonce.to_le_bytes()]);
    }

    /// The cell, once all segments are done.
    fn cell(&self) -> Cell {
        let score = self.score.first_chunk().copied().unwrap_or_default();
        Cell { score, nonce: self.nonce, digest: self.chain.first_chunk().copied().unwrap_or_default() }
    }
}

/// A digest at a multiple of eight: on chain its words are then read as words.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Aligned(Hash);

/// Tries the segment of candidates whose first nonce is `first`.
// A frame of its own: the heads alone take half of what a function has on chain.
#[inline(never)]
fn segment(params: &Params, first: u64, progress: &mut Progress) {
    let (double, reversed) = (params.has(DOUBLE), params.has(REVERSED));
    let mut message = params.message;
    let mut heads = [0u32; SEGMENT as usize];
    let (mut once, mut twice) = (Aligned([0; 32]), Aligned([0; 32]));
    let mut lowest = leading(&progress.score);
    let mut nonce = first;
    for head in &mut heads {
        params.set_nonce(&mut message, nonce);
        sha256_into(&[params.used(&message)], &mut once.0);
        let digest = if double {
            sha256_into(&[&once.0], &mut twice.0);
            &twice
        } else {
            &once
        };
        let [h0, h1, h2, h3, ..] = digest.0;
        // In the order of its bytes, whatever machine this is.
        *head = u32::from_ne_bytes([h0, h1, h2, h3]);
        let score = if reversed { trailing(&digest.0) } else { leading(&digest.0) };
        if score <= lowest {
            let score = params.score(&digest.0);
            if score < progress.score {
                (progress.score, progress.nonce) = (score, nonce);
                lowest = leading(&score);
            }
        }
        // The last nonce of all may be the largest number there is.
        nonce = nonce.wrapping_add(1);
    }
    progress.chain = sha256(&[bytemuck::cast_slice(&heads), &progress.chain]);
}

/// The first eight bytes as a number, in the order in which scores are compared.
#[inline(always)]
fn leading(bytes: &Hash) -> u64 {
    let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = *bytes;
    u64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7])
}

/// [`leading`] of the digest with its bytes reversed.
#[inline(always)]
fn trailing(bytes: &Hash) -> u64 {
    let [.., b0, b1, b2, b3, b4, b5, b6, b7] = *bytes;
    u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7])
}

impl Kernel for Search {
    const ID: u16 = 3;
    const NAME: &'static str = "search";
    type Params = Params;

    fn parse(params: &[u8]) -> Result<Params, ParamError> {
        Params::from_bytes(params)
    }

    fn describe() -> Describe {
        Describe {
            abi: ABI,
            inputs: 0,
            stages: 1,
            // Every cell of a job hashes as many messages of the same length.
            flags: 0,
            kernel: Self::ID,
            max_cost_classes: 1,
            amplification_bps: 10_000,
            cell_bytes_max: CELL_BYTES,
            leaf_bytes_max: CELL_BYTES.wrapping_mul(CELLS_PER_LEAF),
            cell_cu_max: 300_000,
            answer_transactions: params::answer_transactions(MAX_CELLS, Params::segments_of(MAX_SIZE)),
            reserved: 0,
            evidence_bytes_max: 0,
            name: Describe::pad_name(Self::NAME),
            version: 1,
        }
    }

    fn geometry(params: &Params) -> Result<Geometry, ParamError> {
        let mut geometry = Geometry::uniform(params.cells, CELLS_PER_LEAF, CELL_BYTES);
        geometry.answer_transactions = params::answer_transactions(params.cells, params.segments());
        Ok(geometry)
    }

    fn reads(_: &Params, _: u64, _: u32, _: &mut dyn FnMut(Read)) {}

    fn cell(params: &Params, _: &Request, leaf: u64, cell: u32, out: &mut [u8]) -> Result<usize, AbiError> {
        let cell = uniform_cell(params.cells, CELLS_PER_LEAF, leaf, cell)?;
        let mut progress = Progress::new(params.nonce(cell, 0));
        for index in 0..params.segments() {
            segment(params, params.nonce(cell, index), &mut progress);
        }
        write(&progress, out)
    }

    fn steps(params: &Params) -> u64 {
        params.segments()
    }

    fn step(
        params: &Params,
        request: &Request,
        step: u64,
        state: &mut [u8; STEP_STATE_BYTES],
        out: &mut [u8],
    ) -> Result<Option<usize>, AbiError> {
        let cell = uniform_cell(params.cells, CELLS_PER_LEAF, request.leaf, request.cell)?;
        let first = params.nonce(cell, step);
        let mut progress = if step == 0 { Progress::new(first) } else { Progress::from_state(state) };
        segment(params, first, &mut progress);
        if step.saturating_add(1) >= params.segments() {
            return write(&progress, out).map(Some);
        }
        progress.write_state(state);
        Ok(None)
    }
}

fn write(progress: &Progress, out: &mut [u8]) -> Result<usize, AbiError> {
    let cell = progress.cell().to_bytes();
    out.get_mut(..cell.len()).ok_or(AbiError::OutputTooSmall)?.copy_from_slice(&cell);
    Ok(cell.len())
}

#[cfg(test)]
mod tests;
