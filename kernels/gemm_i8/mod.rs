//! Kernel 2, `gemm_i8`: C = A B with A of m x k and B of k x n in int8 and C in int32, exact.
//!
//! Params, 12 bytes, little-endian: m u32, n u32, k u32. Input 0 is A row by row, input 1 is B transposed, row by row
//! (n rows of k); every row is padded to whole chunks of 1,024 bytes, and what the padding holds does not matter. A
//! cell is one element of C as i32, a leaf a run of 64 elements in row-major order. Cell (i, j) reads row i of A and
//! row j of B transposed.

mod dot;

use crate::abi::{ABI, AbiError, Describe, Geometry, ParamError, Request};
use crate::kernel::{Kernel, Read, uniform_cell};
use crate::merkle::CHUNK_BYTES;

#[cfg(feature = "std")]
mod accelerated;
#[cfg(feature = "std")]
mod cpu;

/// Elements of C in a leaf.
pub const ELEMENTS_PER_LEAF: u32 = 64;
/// Bytes of an element of C.
pub const ELEMENT_BYTES: u32 = 4;
/// Largest k: a cell opens two rows of it, 64 KiB, and takes about 200,000 compute units.
pub const MAX_K: u32 = 32_768;
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

    /// Bytes of a padded row.
    pub fn row_bytes(&self) -> u64 {
        self.row_chunks().wrapping_mul(CHUNK_BYTES as u64)
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
            return Err(ParamError::NeedsSteps);
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
            // Two rows of 32 KiB in pieces of about 900 bytes, their paths, and the adjudication itself.
            answer_transactions: 80,
            reserved: 0,
            evidence_bytes_max: MAX_K.wrapping_mul(2),
            name: Describe::pad_name(Self::NAME),
            version: 1,
        }
    }

    fn geometry(params: &Params) -> Result<Geometry, ParamError> {
        let mut geometry = Geometry::uniform(params.elements(), ELEMENTS_PER_LEAF, ELEMENT_BYTES);
        geometry.inputs = 2;
        // 2^20 rows of 2^15 bytes at most.
        let bytes_of = |rows: u32| u64::from(rows).wrapping_mul(params.row_bytes());
        geometry.input_bytes = [bytes_of(params.m), bytes_of(params.n), 0, 0];
        Ok(geometry)
    }

    fn reads(params: &Params, leaf: u64, cell: u32, out: &mut dyn FnMut(Read)) {
        if let Ok(element) = uniform_cell(params.elements(), ELEMENTS_PER_LEAF, leaf, cell) {
            let (row, column) = params.place(element);
            let count = params.row_chunks();
            out(Read { source: 0, start: row.wrapping_mul(count), count });
            out(Read { source: 1, start: column.wrapping_mul(count), count });
        }
    }

    fn cell(params: &Params, request: &Request, leaf: u64, cell: u32, out: &mut [u8]) -> Result<usize, AbiError> {
        let element = uniform_cell(params.elements(), ELEMENTS_PER_LEAF, leaf, cell)?;
        let (row, column) = params.place(element);
        let chunks = params.row_chunks();
        let (a_start, b_start) = (row.wrapping_mul(chunks), column.wrapping_mul(chunks));
        let mut dot = dot::Dot::new();
        let (mut a_row, mut b_row) = (request.pieces(0, a_start), request.pieces(1, b_start));
        let mut left = params.k as usize;
        // Each row may lie in several openings; go on to where the first of the two ends.
        while left > 0 {
            let a = a_row.next(left)?;
            let b = b_row.next(a.len())?;
            a_row.unread(a.len().saturating_sub(b.len()));
            dot.add(a, b);
            left = left.saturating_sub(b.len());
        }
        let element = dot.sum().to_le_bytes();
        out.get_mut(..element.len()).ok_or(AbiError::OutputTooSmall)?.copy_from_slice(&element);
        Ok(element.len())
    }
}

#[cfg(test)]
mod tests;
