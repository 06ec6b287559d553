//! Kernel 2, `gemm_i8`: C = A B with A of m x k and B of k x n in int8 and C in int32, exact.
//!
//! Params, 12 bytes, little-endian: m u32, n u32, k u32. Input 0 is A row by row, input 1 is B transposed, row by row
//! (n rows of k); every row is padded to whole chunks of 1,024 bytes, and what the padding holds does not matter. A
//! cell is one element of C as i32, a leaf a run of 64 elements in row-major order. Cell (i, j) reads row i of A and
//! row j of B transposed.
//!
//! On chain, elements of more than 32,768 products are computed in steps of as many; the state is the sum so far, i32,
//! then zeros.

pub(crate) mod dot;

use crate::abi::{ABI, AbiError, Describe, Geometry, ParamError, Request, STEP_STATE_BYTES};
use crate::kernel::{Kernel, Read, uniform_cell};
use crate::merkle::CHUNK_BYTES;

#[cfg(feature = "std")]
mod accelerated;
#[cfg(feature = "std")]
mod card;
#[cfg(feature = "std")]
pub mod cpu;
#[cfg(feature = "std")]
mod handling;
#[cfg(feature = "std")]
mod plan;
#[cfg(feature = "std")]
pub mod rows;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub(crate) mod simd;
#[cfg(feature = "std")]
pub mod stream;
#[cfg(feature = "std")]
pub(crate) use accelerated::slice;
#[cfg(feature = "std")]
pub(crate) use card::Ways;
#[cfg(feature = "std")]
pub use card::{ENTRIES, Entry};
#[cfg(feature = "std")]
pub(crate) use plan::SPARE_ROWS;

/// Elements of C in a leaf.
pub const ELEMENTS_PER_LEAF: u32 = 64;
/// Bytes of an element of C.
pub const ELEMENT_BYTES: u32 = 4;
/// Most products that the chain adds up in one transaction: two pieces of rows, 64 KiB, about 200,000 compute units.
pub const STEP_K: u32 = 32_768;
/// Largest k: a sum of so many products stays within 32 bits, one of more need not.
pub const MAX_K: u32 = 131_071;
const _: () = assert!(MAX_K as u64 * 128 * 128 < 1 << 31 && (MAX_K as u64 + 1) * 128 * 128 >= 1 << 31);
/// Most chunks of an input where k takes steps: 16 GiB. Longer paths would take an answer beyond the transactions that it
/// may have.
pub const MAX_STEPPED_CHUNKS: u64 = 1 << 24;
/// Largest m and n.
pub const MAX_SIDE: u32 = 1 << 20;
/// Bytes of the params.
pub const PARAMS_BYTES: usize = 12;

/// The kernel.
#[derive(Clone, Copy, Debug)]
pub struct GemmI8;

/// A matrix product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Rows of A and C.
    pub m: u32,
    /// Columns of B and C.
    pub n: u32,
    /// Columns of A, rows of B.
    pub k: u32,
}

impl Params {
    /// The params as a job carries them.
    pub fn to_bytes(&self) -> [u8; PARAMS_BYTES] {
        let ([m0, m1, m2, m3], [n0, n1, n2, n3]) = (self.m.to_le_bytes(), self.n.to_le_bytes());
        let [k0, k1, k2, k3] = self.k.to_le_bytes();
        [m0, m1, m2, m3, n0, n1, n2, n3, k0, k1, k2, k3]
    }

    /// Elements of C.
    pub fn elements(&self) -> u64 {
        // 2^20 times 2^20 at most.
        u64::from(self.m).wrapping_mul(u64::from(self.n))
    }

    /// Chunks of a padded row.
    pub fn row_chunks(&self) -> u64 {
        u64::from(self.k).div_ceil(CHUNK_BYTES as u64)
    }

    /// Chunk `chunk` of row `row`, in the whole input.
    fn chunk(&self, row: u64, chunk: u64) -> u64 {
        // Rows are below 2^20, chunks of a row below 2^7.
        row.wrapping_mul(self.row_chunks()).wrapping_add(chunk)
    }

    /// Bytes of a padded row.
    pub fn row_bytes(&self) -> u64 {
        self.row_chunks().wrapping_mul(CHUNK_BYTES as u64)
    }

    /// Steps of a cell on chain.
    pub fn steps(&self) -> u64 {
        u64::from(self.k.div_ceil(STEP_K))
    }

    /// First chunk of a row that step `step` reads, and how many products it adds up.
    fn piece(&self, step: u64) -> (u64, u64) {
        let first = step.saturating_mul(u64::from(STEP_K));
        let left = u64::from(self.k).saturating_sub(first);
        // Steps begin with whole chunks.
        (first.div_ceil(CHUNK_BYTES as u64), left.min(u64::from(STEP_K)))
    }

    /// Transactions that proving an element takes at most, and KiB of evidence: from above, in v0 pieces of 940 bytes. Never
    /// more than the kernel declares.
    fn answer(&self) -> (u16, u16) {
        const PIECE: u64 = 940;
        let log2 = |n: u64| u64::from(64u32.saturating_sub(n.leading_zeros()));
        // A row of c chunks is at most 2 log2(c) aligned runs, each with a path as long as the input's tree is high.
        let chunks = self.row_chunks();
        let height = log2(u64::from(self.m.max(self.n)).wrapping_mul(chunks));
        let steps = self.steps();
        let runs =
            log2(chunks.min(u64::from(STEP_K).div_ceil(CHUNK_BYTES as u64))).saturating_mul(2).saturating_mul(steps);
        let leaf = u64::from(ELEMENTS_PER_LEAF.wrapping_mul(ELEMENT_BYTES)).saturating_add(40 * 32);
        let paths = runs.saturating_mul(2).saturating_mul(height).saturating_mul(32);
        let rows = self.row_bytes().saturating_mul(2);
        let pieces = rows.saturating_add(paths).saturating_add(leaf).div_ceil(PIECE);
        // Each step is a transaction and may leave a piece half full; one more makes the account.
        let transactions = pieces.saturating_add(steps.saturating_mul(2)).saturating_add(1);
        let most = Self::describe_most();
        (
            u16::try_from(transactions).unwrap_or(most.0).min(most.0),
            u16::try_from(rows.div_ceil(1_024)).unwrap_or(most.1).min(most.1),
        )
    }

    /// What the kernel declares for all of its jobs.
    fn describe_most() -> (u16, u16) {
        let most = GemmI8::describe();
        (most.answer_transactions, u16::try_from(most.evidence_bytes_max.div_ceil(1_024)).unwrap_or(u16::MAX))
    }

    /// Row and column of an element of C.
    fn place(&self, element: u64) -> (u64, u64) {
        let n = u64::from(self.n);
        (element.checked_div(n).unwrap_or(0), element.checked_rem(n).unwrap_or(0))
    }
}

impl Kernel for GemmI8 {
    const ID: u16 = 2;
    const NAME: &'static str = "gemm_i8";
    type Params = Params;

    fn parse(params: &[u8]) -> Result<Params, ParamError> {
        let bytes: &[u8; PARAMS_BYTES] = params.try_into().map_err(|_| ParamError::Length)?;
        let [m0, m1, m2, m3, n0, n1, n2, n3, k0, k1, k2, k3] = *bytes;
        let params = Params {
            m: u32::from_le_bytes([m0, m1, m2, m3]),
            n: u32::from_le_bytes([n0, n1, n2, n3]),
            k: u32::from_le_bytes([k0, k1, k2, k3]),
        };
        if params.m == 0 || params.n == 0 || params.k == 0 {
            return Err(ParamError::Zero);
        }
        if params.m > MAX_SIDE || params.n > MAX_SIDE {
            return Err(ParamError::TooLarge);
        }
        if params.k > MAX_K {
            return Err(ParamError::TooLarge);
        }
        // At most 2^20 times 2^7.
        let chunks = u64::from(params.m.max(params.n)).wrapping_mul(params.row_chunks());
        if params.steps() > 1 && chunks > MAX_STEPPED_CHUNKS {
            return Err(ParamError::TooLarge);
        }
        Ok(params)
    }

    fn describe() -> Describe {
        Describe {
            abi: ABI,
            inputs: 2,
            stages: 1,
            flags: 0,
            kernel: Self::ID,
            max_cost_classes: 1,
            amplification_bps: 10_000,
            cell_bytes_max: ELEMENT_BYTES,
            leaf_bytes_max: ELEMENT_BYTES.wrapping_mul(ELEMENTS_PER_LEAF),
            cell_cu_max: 300_000,
            // Two rows of 128 KiB in pieces of 940 bytes, the paths of up to 12 runs in each step, the account and the
            // steps themselves: 319 at worst, counted in the tests of assay-client.
            answer_transactions: 320,
            reserved: 0,
            evidence_bytes_max: MAX_K.next_multiple_of(CHUNK_BYTES as u32).wrapping_mul(2),
            name: Describe::pad_name(Self::NAME),
            version: 1,
        }
    }

    fn geometry(params: &Params) -> Result<Geometry, ParamError> {
        let mut geometry = Geometry::uniform(params.elements(), ELEMENTS_PER_LEAF, ELEMENT_BYTES);
        geometry.inputs = 2;
        // 2^20 rows of 2^17 bytes at most.
        let bytes_of = |rows: u32| u64::from(rows).wrapping_mul(params.row_bytes());
        geometry.input_bytes = [bytes_of(params.m), bytes_of(params.n), 0, 0];
        let (transactions, kib) = params.answer();
        (geometry.answer_transactions, geometry.evidence_kib) = (transactions, kib);
        Ok(geometry)
    }

    fn reads(params: &Params, leaf: u64, cell: u32, out: &mut dyn FnMut(Read)) {
        read(params, leaf, cell, 0, u64::from(params.k), out);
    }

    fn cell(params: &Params, request: &Request, leaf: u64, cell: u32, out: &mut [u8]) -> Result<usize, AbiError> {
        let element = uniform_cell(params.elements(), ELEMENTS_PER_LEAF, leaf, cell)?;
        write(dot(params, request, element, 0, u64::from(params.k))?, out)
    }

    fn steps(params: &Params) -> u64 {
        params.steps()
    }

    fn step_reads(params: &Params, leaf: u64, cell: u32, step: u64, out: &mut dyn FnMut(Read)) {
        let (chunk, products) = params.piece(step);
        read(params, leaf, cell, chunk, products, out);
    }

    fn step(
        params: &Params,
        request: &Request,
        step: u64,
        state: &mut [u8; STEP_STATE_BYTES],
        out: &mut [u8],
    ) -> Result<Option<usize>, AbiError> {
        let element = uniform_cell(params.elements(), ELEMENTS_PER_LEAF, request.leaf, request.cell)?;
        let (chunk, products) = params.piece(step);
        let added = dot(params, request, element, chunk, products)?;
        let [s0, s1, s2, s3, ..] = state;
        // Never beyond 32 bits from the zeros of the first step on; any other state has some sum, too.
        let sum = i32::from_le_bytes([*s0, *s1, *s2, *s3]).wrapping_add(added);
        if step.saturating_add(1) >= params.steps() {
            return write(sum, out).map(Some);
        }
        [*s0, *s1, *s2, *s3] = sum.to_le_bytes();
        Ok(None)
    }
}

/// What `products` products of a cell read, from chunk `chunk` of its rows on.
fn read(params: &Params, leaf: u64, cell: u32, chunk: u64, products: u64, out: &mut dyn FnMut(Read)) {
    let count = products.div_ceil(CHUNK_BYTES as u64);
    if let Ok(element) = uniform_cell(params.elements(), ELEMENTS_PER_LEAF, leaf, cell)
        && count > 0
    {
        let (row, column) = params.place(element);
        out(Read { source: 0, start: params.chunk(row, chunk), count });
        out(Read { source: 1, start: params.chunk(column, chunk), count });
    }
}

/// Sum of `products` products of an element, from chunk `chunk` of its rows on.
fn dot(params: &Params, request: &Request, element: u64, chunk: u64, products: u64) -> Result<i32, AbiError> {
    let (row, column) = params.place(element);
    let mut dot = dot::Dot::new();
    let mut a_row = request.pieces(0, params.chunk(row, chunk));
    let mut b_row = request.pieces(1, params.chunk(column, chunk));
    let mut left = products as usize;
    // Each row may lie in several openings; go on to where the first of the two ends.
    while left > 0 {
        let a = a_row.next(left)?;
        let b = b_row.next(a.len())?;
        a_row.unread(a.len().saturating_sub(b.len()));
        dot.add(a, b);
        left = left.saturating_sub(b.len());
    }
    Ok(dot.sum())
}

fn write(element: i32, out: &mut [u8]) -> Result<usize, AbiError> {
    let element = element.to_le_bytes();
    out.get_mut(..element.len()).ok_or(AbiError::OutputTooSmall)?.copy_from_slice(&element);
    Ok(element.len())
}

#[cfg(test)]
mod tests;
