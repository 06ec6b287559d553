//! The reference on whole inputs: what every executor and every chain must equal. Slow: one cell at a time.

use std::collections::BTreeMap;

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
/// Params that no job has, inputs shorter than what is read, and cells that read earlier leaves: those are opened by
/// [`open_reads_after`].
pub fn open_reads<'a>(
    kernel: u16,
    params: &[u8],
    inputs: &Inputs<'a>,
    leaf: u64,
    cell: u32,
) -> Result<Vec<(Read, &'a [u8])>, ExecError> {
    open_reads_after(kernel, params, inputs, &NO_LEAVES, leaf, cell)
}

/// Leaves of a job by their number.
pub type Leaves = BTreeMap<u64, Vec<u8>>;

static NO_LEAVES: Leaves = BTreeMap::new();

/// [`open_reads`] of a cell that may read earlier leaves, each an opening of its own.
///
/// # Errors
/// As [`open_reads`], and when a leaf that is read is not among `earlier`.
pub fn open_reads_after<'a>(
    kernel: u16,
    params: &[u8],
    inputs: &Inputs<'a>,
    earlier: &'a Leaves,
    leaf: u64,
    cell: u32,
) -> Result<Vec<(Read, &'a [u8])>, ExecError> {
    let reads = reads_of(AnyKernel::from_id(kernel)?, params, leaf, cell)?;
    with_bytes(reads, inputs, earlier)
}

/// What a cell reads, leaf by leaf.
fn reads_of(kernel: AnyKernel, params: &[u8], leaf: u64, cell: u32) -> Result<Vec<Read>, ExecError> {
    let mut reads = Vec::new();
    kernel.reads(params, leaf, cell, &mut |read| leaf_by_leaf(read, &mut reads))?;
    Ok(reads)
}

/// Notes a run; one of leaves as so many of a leaf each.
fn leaf_by_leaf(read: Read, reads: &mut Vec<Read>) {
    if read.source == SOURCE_LEAVES {
        let leaves = read.start..read.start.saturating_add(read.count);
        reads.extend(leaves.map(|start| Read { start, count: 1, ..read }));
    } else {
        reads.push(read);
    }
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
    open_step_reads_after(kernel, params, inputs, &NO_LEAVES, leaf, cell, step)
}

/// [`open_step_reads`] of a cell that may read earlier leaves.
///
/// # Errors
/// As [`open_reads_after`].
pub fn open_step_reads_after<'a>(
    kernel: u16,
    params: &[u8],
    inputs: &Inputs<'a>,
    earlier: &'a Leaves,
    leaf: u64,
    cell: u32,
    step: u64,
) -> Result<Vec<(Read, &'a [u8])>, ExecError> {
    let kernel = AnyKernel::from_id(kernel)?;
    let mut reads = Vec::new();
    kernel.step_reads(params, leaf, cell, step, &mut |read| leaf_by_leaf(read, &mut reads))?;
    with_bytes(reads, inputs, earlier)
}

fn with_bytes<'a>(
    reads: Vec<Read>,
    inputs: &Inputs<'a>,
    earlier: &'a Leaves,
) -> Result<Vec<(Read, &'a [u8])>, ExecError> {
    let bytes_of = |read: &Read| {
        if read.source == SOURCE_LEAVES {
            return earlier.get(&read.start).map(Vec::as_slice);
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
/// Earlier leaves that it reads are computed first.
///
/// # Errors
/// Params that no job has, inputs of the wrong length, a cell that does not exist.
pub fn reference_cell(kernel: u16, params: &[u8], inputs: &Inputs, leaf: u64, cell: u32) -> Result<Vec<u8>, ExecError> {
    cell_after(kernel, params, inputs, &mut BTreeMap::new(), leaf, cell)
}

/// One cell by the reference, from earlier leaves as somebody committed them, right or wrong: what the chain would make
/// of it.
///
/// # Errors
/// As [`open_reads_after`].
pub fn reference_cell_after(
    kernel: u16,
    params: &[u8],
    inputs: &Inputs,
    earlier: &Leaves,
    leaf: u64,
    cell: u32,
) -> Result<Vec<u8>, ExecError> {
    let any = AnyKernel::from_id(kernel)?;
    let steps = any.steps(params)?;
    let mut out = vec![0; MAX_CELL_BYTES as usize];
    if steps <= 1 {
        let writer = RequestWriter::new(Op::Cell, kernel, params, leaf, cell);
        let reads = open_reads_after(kernel, params, inputs, earlier, leaf, cell)?;
        let len = ask(writer, reads, |request| any.cell(request, &mut out))?;
        out.truncate(len);
        return Ok(out);
    }
    let mut state = [0; STEP_STATE_BYTES];
    for step in 0..steps {
        let writer = RequestWriter::step(kernel, params, leaf, cell, step, &state);
        let reads = open_step_reads_after(kernel, params, inputs, earlier, leaf, cell, step)?;
        let len = ask(writer, reads, |request| any.step(request, &mut out))?;
        match out.get(..len).and_then(<[u8]>::split_first) {
            Some((&STEP_DONE, cell)) => return Ok(cell.to_vec()),
            Some((_, next)) => state = next.try_into().map_err(|_| VerifierError::Truncated)?,
            None => return Err(VerifierError::Truncated.into()),
        }
    }
    Err(VerifierError::NoSuchStep.into())
}

/// One cell; earlier leaves that it reads are taken from `earlier`, or computed and put there.
fn cell_after(
    kernel: u16,
    params: &[u8],
    inputs: &Inputs,
    earlier: &mut Leaves,
    leaf: u64,
    cell: u32,
) -> Result<Vec<u8>, ExecError> {
    let any = AnyKernel::from_id(kernel)?;
    check_inputs(&any.geometry(params)?, inputs)?;
    for read in reads_of(any, params, leaf, cell)? {
        // A leaf at or behind its own reader's would never end; no kernel reads one, and no chain would open it.
        if read.source == SOURCE_LEAVES && read.start < leaf && !earlier.contains_key(&read.start) {
            let bytes = leaf_after(kernel, params, inputs, earlier, read.start)?;
            earlier.insert(read.start, bytes);
        }
    }
    reference_cell_after(kernel, params, inputs, earlier, leaf, cell)
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

/// One leaf by the reference: its cells one after the other. Earlier leaves that they read are computed first.
///
/// # Errors
/// As [`reference_cell`].
pub fn reference_leaf(kernel: u16, params: &[u8], inputs: &Inputs, leaf: u64) -> Result<Vec<u8>, ExecError> {
    leaf_after(kernel, params, inputs, &mut BTreeMap::new(), leaf)
}

/// All leaves of a job by the reference, each computed once.
///
/// # Errors
/// As [`reference_cell`].
pub fn reference_job(kernel: u16, params: &[u8], inputs: &Inputs) -> Result<Leaves, ExecError> {
    let count = AnyKernel::from_id(kernel)?.geometry(params)?.leaves().ok_or(ExecError::LeafRange)?;
    let mut leaves = BTreeMap::new();
    for leaf in 0..count {
        let bytes = leaf_after(kernel, params, inputs, &mut leaves, leaf)?;
        leaves.insert(leaf, bytes);
    }
    Ok(leaves)
}

fn leaf_after(
    kernel: u16,
    params: &[u8],
    inputs: &Inputs,
    earlier: &mut Leaves,
    leaf: u64,
) -> Result<Vec<u8>, ExecError> {
    let geometry = AnyKernel::from_id(kernel)?.geometry(params)?;
    let span = geometry.leaf_span(leaf).ok_or(VerifierError::from(AbiError::NoSuchCell))?;
    let mut bytes = Vec::new();
    for cell in 0..span.cells {
        bytes.extend(cell_after(kernel, params, inputs, earlier, leaf, cell)?);
    }
    Ok(bytes)
}
