//! What a kernel must say of itself, in terms that settlement, workers and validators use without knowing it.

use crate::abi::{
    AbiError, Describe, Geometry, ParamError, Request, STEP_DONE, STEP_MORE, STEP_STATE_BYTES, VerifierError,
};

/// A run that a cell reads, so that whoever answers knows what to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Input 0 to 3, or [`SOURCE_LEAVES`](crate::abi::SOURCE_LEAVES).
    pub source: u8,
    /// First chunk, or job-wide index of the first leaf.
    pub start: u64,
    /// Number of chunks or leaves, at least 1.
    pub count: u64,
}

/// A kernel: params, geometry and the cell function. The reference that everything else must equal bit for bit.
pub trait Kernel {
    /// Number of the kernel in its verifier; never used again for anything else.
    const ID: u16;
    /// Name in lower-case ASCII, at most 24 bytes.
    const NAME: &'static str;
    /// Params that were checked: every computation on them fits its integers.
    type Params;

    /// Reads and checks the params of a job.
    ///
    /// # Errors
    /// Params that no job of this kernel can have.
    fn parse(params: &[u8]) -> Result<Self::Params, ParamError>;

    /// The kernel's limits and costs, whatever the job.
    fn describe() -> Describe;

    /// How a job with these params is cut and what it reads.
    ///
    /// # Errors
    /// A geometry beyond the ABI's limits; none of those that `parse` lets through.
    fn geometry(params: &Self::Params) -> Result<Geometry, ParamError>;

    /// Calls `out` for each run that the cell reads, in all of its steps; for no run when there is no such cell.
    fn reads(params: &Self::Params, leaf: u64, cell: u32, out: &mut dyn FnMut(Read));

    /// Computes cell `cell` of the job-wide leaf `leaf` from the request's openings into the front of `out` and
    /// returns its length in bytes. Total: any opened bytes give an output.
    ///
    /// # Errors
    /// [`AbiError::MissingOpening`] unless everything in [`reads`](Self::reads) is open, [`AbiError::NoSuchCell`],
    /// [`AbiError::OutputTooSmall`].
    fn cell(params: &Self::Params, request: &Request, leaf: u64, cell: u32, out: &mut [u8]) -> Result<usize, AbiError>;

    /// Transactions in which the chain computes a cell of such a job: 1 for [`cell`](Self::cell), more for that many
    /// calls of [`step`](Self::step). Machines with the whole input at hand use `cell` for all of them.
    fn steps(_params: &Self::Params) -> u64 {
        1
    }

    /// Calls `out` for each run that step `step` of the cell, from 0, reads; for no run when there is no such step.
    fn step_reads(params: &Self::Params, leaf: u64, cell: u32, step: u64, out: &mut dyn FnMut(Read)) {
        if step == 0 {
            Self::reads(params, leaf, cell, out);
        }
    }

    /// Carries a cell one step further: `state` is zero before the first step and else what the step before has left,
    /// and the cell's bytes go to the front of `out` in the last step, which returns their length; the others return
    /// nothing. Total, as `cell` is. Called for the steps below [`steps`](Self::steps), and only where there are several.
    ///
    /// # Errors
    /// As [`cell`](Self::cell), for what is in [`step_reads`](Self::step_reads).
    fn step(
        params: &Self::Params,
        request: &Request,
        _step: u64,
        _state: &mut [u8; STEP_STATE_BYTES],
        out: &mut [u8],
    ) -> Result<Option<usize>, AbiError> {
        Self::cell(params, request, request.leaf, request.cell, out).map(Some)
    }
}

pub use crate::registry::AnyKernel;

/// Job-wide index of a cell in a job of one cost class; for kernels with uniform leaves.
///
/// # Errors
/// [`AbiError::NoSuchCell`] when the leaf has no such cell or the job no such leaf.
pub fn uniform_cell(cells: u64, cells_per_leaf: u32, leaf: u64, cell: u32) -> Result<u64, AbiError> {
    if cell >= cells_per_leaf {
        return Err(AbiError::NoSuchCell);
    }
    leaf.checked_mul(u64::from(cells_per_leaf))
        .and_then(|first| first.checked_add(u64::from(cell)))
        .filter(|index| *index < cells)
        .ok_or(AbiError::NoSuchCell)
}

/// Transactions that proving a cell takes at most, evidence uploaded in v0 transactions, in a job of so many leaves; for
/// kernels whose cells read nothing: all that is opened is the leaf and its path.
pub fn answer_without_inputs(leaf_bytes: u32, leaves: u64, steps: u64) -> u16 {
    // Bytes of evidence that an adjudication takes inline, and of a piece of evidence in a transaction of its own.
    const INLINE: u64 = 827;
    const PIECE: u64 = 940;
    let height = u64::from(64u32.saturating_sub(leaves.saturating_sub(1).leading_zeros()));
    let evidence = u64::from(leaf_bytes).saturating_add(height.saturating_mul(32));
    if steps <= 1 && evidence <= INLINE {
        return 1;
    }
    // The account, the pieces, and each step.
    let transactions = evidence.div_ceil(PIECE).saturating_add(steps).saturating_add(1);
    u16::try_from(transactions).unwrap_or(u16::MAX)
}

/// Runs a kernel's cell function on a request whose params are still bytes.
pub(crate) fn cell_of<K: Kernel>(request: &Request, out: &mut [u8]) -> Result<usize, VerifierError> {
    let params = K::parse(request.params)?;
    if K::steps(&params) > 1 {
        return Err(VerifierError::Stepped);
    }
    Ok(K::cell(&params, request, request.leaf, request.cell, out)?)
}

/// Runs one step of a cell and writes the answer to the front of `out`: [`STEP_MORE`] and the next state, or
/// [`STEP_DONE`] and the cell.
pub(crate) fn step_of<K: Kernel>(request: &Request, out: &mut [u8]) -> Result<usize, VerifierError> {
    let params = K::parse(request.params)?;
    let steps = K::steps(&params);
    if steps <= 1 {
        return Err(VerifierError::NotStepped);
    }
    let (done, state) = request.progress()?;
    if done >= steps {
        return Err(VerifierError::NoSuchStep);
    }
    let mut state = *state;
    let (kind, rest) = out.split_first_mut().ok_or(AbiError::OutputTooSmall)?;
    let len = match K::step(&params, request, done, &mut state, rest)? {
        Some(len) => {
            *kind = STEP_DONE;
            len
        }
        None => {
            *kind = STEP_MORE;
            rest.get_mut(..state.len()).ok_or(AbiError::OutputTooSmall)?.copy_from_slice(&state);
            state.len()
        }
    };
    Ok(len.saturating_add(1))
}
