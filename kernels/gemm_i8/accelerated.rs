//! `gemm_i8` on a graphics card; what runs on all cores is in [`super::cpu`].

use core::ops::Range;

use super::{ELEMENT_BYTES, ELEMENTS_PER_LEAF, GemmI8, Params, cpu};
use crate::executor::{Accelerated, CudaSource, ExecError, Gpu, Inputs};
use crate::kernel::Kernel;

/// Elements along each side of the tile that one block of gemm_i8.cu makes.
const TILE: u64 = 64;
/// Threads along each side of a block.
const SIDE: u32 = 16;
/// Multiply-adds of one launch, unless a single row of tiles takes more: some tens of milliseconds.
const LAUNCH_WORK: u64 = 1 << 37;
/// Bytes of results of one launch, unless a single row of tiles has more.
const LAUNCH_BYTES: u64 = 1 << 28;

/// Elements of `leaves` in a job with these params.
fn elements(params: &Params, leaves: &Range<u64>) -> Range<u64> {
    let before = |leaf: u64| leaf.saturating_mul(u64::from(ELEMENTS_PER_LEAF)).min(params.elements());
    before(leaves.start)..before(leaves.end)
}

/// Rows of C that one launch makes: whole tiles.
fn launch_rows(params: &Params) -> u64 {
    let (n, k) = (u64::from(params.n), u64::from(params.k));
    let by_work = LAUNCH_WORK.checked_div(n.saturating_mul(k)).unwrap_or(0);
    let by_bytes = LAUNCH_BYTES.checked_div(n.saturating_mul(u64::from(ELEMENT_BYTES))).unwrap_or(0);
    // The grid has at most 65,535 tiles in this direction; TILE is a power of two.
    by_work.min(by_bytes).min(1 << 20) & !(TILE - 1)
}

impl Accelerated for GemmI8 {
    fn cuda_source(&self) -> CudaSource {
        CudaSource {
            kernel: Self::ID,
            name: Self::NAME,
            functions: &["gemm_i8"],
            cu: include_str!("gemm_i8.cu"),
            ptx: include_str!("gemm_i8.ptx"),
        }
    }

    fn cpu(&self, params: &[u8], inputs: &Inputs, leaves: Range<u64>, out: &mut [u8]) -> Result<(), ExecError> {
        let params = Self::parse(params)?;
        let [a, b, ..] = inputs.inputs;
        cpu::multiply(&params, a, b, elements(&params, &leaves), out)
    }

    fn cuda(
        &self,
        gpu: &Gpu,
        params: &[u8],
        inputs: &Inputs,
        leaves: Range<u64>,
        out: &mut [u8],
    ) -> Result<(), ExecError> {
        let params = Self::parse(params)?;
        let range = elements(&params, &leaves);
        let Some(last) = range.end.checked_sub(1).filter(|_| !range.is_empty()) else { return Ok(()) };
        let function = gpu.function(Self::ID, "gemm_i8")?;
        let [a, b, ..] = inputs.inputs;
        let (n, row_bytes) = (u64::from(params.n), params.row_bytes());
        let row_words = (row_bytes / 4) as u32;
        let b = gpu.upload(b)?;
        let end_row = params.place(last).0.saturating_add(1);
        let (mut row, mut out) = (params.place(range.start).0, out);
        while row < end_row {
            let next = row.saturating_add(launch_rows(&params).max(TILE)).min(end_row);
            let rows = next.saturating_sub(row);
            let first = row.saturating_mul(n).max(range.start);
            let count = next.saturating_mul(n).min(range.end).saturating_sub(first);
            let a = gpu.upload(slice(a, row.saturating_mul(row_bytes), rows.saturating_mul(row_bytes))?)?;
            let bytes = usize::try_from(count.saturating_mul(u64::from(ELEMENT_BYTES))).unwrap_or(usize::MAX);
            let (piece, rest) = core::mem::take(&mut out).split_at_mut_checked(bytes).ok_or(ExecError::LeafRange)?;
            let mut buffer = gpu.zeros(piece.len())?;
            let rows = rows as u32;
            let mut launch = gpu.launch(&function);
            launch
                .bytes_mut(&mut buffer)
                .bytes(&a)
                .bytes(&b)
                .value(&row_words)
                .value(&params.k)
                .value(&params.n)
                .value(&rows)
                .value(&row)
                .value(&first)
                .value(&count);
            let grid = (params.n.div_ceil(TILE as u32), rows.div_ceil(TILE as u32));
            // SAFETY: the arguments are those of gemm_i8.cu in order and type. It reads `rows` rows of A, n of B, and
            // writes `count` elements: what the three buffers hold.
            unsafe { launch.run(grid, (SIDE, SIDE)) }?;
            gpu.fetch(&buffer, piece)?;
            (row, out) = (next, rest);
        }
        Ok(())
    }
}

/// `len` bytes of an input from `start` on.
pub(crate) fn slice(input: &[u8], start: u64, len: u64) -> Result<&[u8], ExecError> {
    let (start, len) = (usize::try_from(start), usize::try_from(len));
    match (start, len) {
        (Ok(start), Ok(len)) => input.get(start..).and_then(|rest| rest.get(..len)).ok_or(ExecError::LeafRange),
        _ => Err(ExecError::LeafRange),
    }
}
