//! The reference on whole inputs: what every executor and every chain must equal. Slow: one cell at a time.

use super::{ExecError, Inputs, check_inputs};
use crate::abi::{
    AbiError, MAX_CELL_BYTES, Op, Request, RequestWriter, SOURCE_LEAVES, STEP_DONE, STEP_STATE_BYTES, VerifierError,
};
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
    with_bytes(reads, inputs)
}

/// Everything that step `step` of a cell reads, likewise.
///
/// # Errors
/// As [`open_reads`].
pub fn open_step_reads<'a>(
    kernel: u16,
    params: &[u8],
    inputs: &Inputs<'a>,
    leaf: u64,
    cell: u32,
    step: u64,
) -> Result<Vec<(Read, &'a [u8])>, ExecError> {
    let mut reads = Vec::new();
    AnyKernel::from_id(kernel)?.step_reads(params, leaf, cell, step, &mut |read| reads.push(read))?;
    with_bytes(reads, inputs)
}

fn with_bytes<'a>(reads: Vec<Read>, inputs: &Inputs<'a>) -> Result<Vec<(Read, &'a [u8])>, ExecError> {
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

/// One cell by the reference, from exactly the openings that the kernel says it reads: in one go or in steps, as on chain.
///
/// # Errors
/// Params that no job has, inputs of the wrong length, a cell that does not exist.
pub fn reference_cell(kernel: u16, params: &[u8], inputs: &Inputs, leaf: u64, cell: u32) -> Result<Vec<u8>, ExecError> {
    let any = AnyKernel::from_id(kernel)?;
    check_inputs(&any.geometry(params)?, inputs)?;
    let mut out = vec![0; MAX_CELL_BYTES as usize];
    let steps = any.steps(params)?;
    if steps <= 1 {
        let writer = RequestWriter::new(Op::Cell, kernel, params, leaf, cell);
        let len = ask(writer, open_reads(kernel, params, inputs, leaf, cell)?, |request| any.cell(request, &mut out))?;
        out.truncate(len);
        return Ok(out);
    }
    let mut state = [0; STEP_STATE_BYTES];
    for step in 0..steps {
        let writer = RequestWriter::step(kernel, params, leaf, cell, step, &state);
        let reads = open_step_reads(kernel, params, inputs, leaf, cell, step)?;
        let len = ask(writer, reads, |request| any.step(request, &mut out))?;
        match out.get(..len).and_then(<[u8]>::split_first) {
            Some((&STEP_DONE, cell)) => return Ok(cell.to_vec()),
            Some((_, next)) => state = next.try_into().map_err(|_| VerifierError::Truncated)?,
            None => return Err(VerifierError::Truncated.into()),
        }
    }
    Err(VerifierError::NoSuchStep.into())
}

/// Has a request with these openings, all of them in evidence, carried out.
fn ask(
    mut writer: RequestWriter,
    reads: Vec<(Read, &[u8])>,
    kernel: impl FnOnce(&Request) -> Result<usize, VerifierError>,
) -> Result<usize, ExecError> {
    for (read, bytes) in reads {
        writer.open_in_evidence(read.source, read.start, bytes).ok_or(VerifierError::OpeningOutOfBounds)?;
    }
    let data = writer.data().ok_or(VerifierError::Truncated)?;
    Ok(kernel(&Request::parse(&data, &writer.evidence).map_err(VerifierError::from)?)?)
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
