//! The reference on whole inputs: what every executor and every chain must equal. Slow: one cell at a time.

use super::{ExecError, Inputs, check_inputs};
use crate::abi::{AbiError, Op, Request, RequestWriter, SOURCE_LEAVES, VerifierError};
use crate::kernel::Read;
use crate::merkle::CHUNK_BYTES;
use crate::registry::AnyKernel;

/// Everything that a cell reads, with its bytes, in the order of [`Kernel::reads`](crate::kernel::Kernel::reads).
///
/// # Errors
/// Params that no job has, inputs shorter than what is read, and kernels that read earlier leaves (no kernel here).
pub fn open_reads<'a>(
    kernel: u16,
    params: &[u8],
    inputs: &Inputs<'a>,
    leaf: u64,
    cell: u32,
) -> Result<Vec<(Read, &'a [u8])>, ExecError> {
    let mut reads = Vec::new();
    AnyKernel::from_id(kernel)?.reads(params, leaf, cell, &mut |read| reads.push(read))?;
    let bytes_of = |read: &Read| {
        if read.source == SOURCE_LEAVES {
            return None;
        }
        let unit = CHUNK_BYTES as u64;
        let start = usize::try_from(read.start.checked_mul(unit)?).ok()?;
        let len = usize::try_from(read.count.checked_mul(unit)?).ok()?;
        inputs.inputs.get(usize::from(read.source))?.get(start..)?.get(..len)
    };
    reads
        .into_iter()
        .map(|read| Some((read, bytes_of(&read)?)))
        .collect::<Option<Vec<_>>>()
        .ok_or(ExecError::Kernel(VerifierError::MissingOpening))
}

/// One cell by the reference, from exactly the openings that the kernel says it reads.
///
/// # Errors
/// Params that no job has, inputs of the wrong length, a cell that does not exist.
pub fn reference_cell(kernel: u16, params: &[u8], inputs: &Inputs, leaf: u64, cell: u32) -> Result<Vec<u8>, ExecError> {
    let any = AnyKernel::from_id(kernel)?;
    check_inputs(&any.geometry(params)?, inputs)?;
    let mut writer = RequestWriter::new(Op::Cell, kernel, params, leaf, cell);
    for (read, bytes) in open_reads(kernel, params, inputs, leaf, cell)? {
        writer.open_in_evidence(read.source, read.start, bytes).ok_or(VerifierError::OpeningOutOfBounds)?;
    }
    let data = writer.data().ok_or(VerifierError::Truncated)?;
    let request = Request::parse(&data, &writer.evidence).map_err(VerifierError::from)?;
    let mut out = vec![0; any.describe().cell_bytes_max as usize];
    let len = any.cell(&request, &mut out)?;
    out.truncate(len);
    Ok(out)
}

/// One leaf by the reference: its cells one after the other.
///
/// # Errors
/// As [`reference_cell`].
pub fn reference_leaf(kernel: u16, params: &[u8], inputs: &Inputs, leaf: u64) -> Result<Vec<u8>, ExecError> {
    let geometry = AnyKernel::from_id(kernel)?.geometry(params)?;
    let span = geometry.leaf_span(leaf).ok_or(VerifierError::from(AbiError::NoSuchCell))?;
    let mut bytes = Vec::new();
    for cell in 0..span.cells {
        bytes.extend(reference_cell(kernel, params, inputs, leaf, cell)?);
    }
    Ok(bytes)
}
