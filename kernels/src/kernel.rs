//! What a kernel must say of itself, in terms that settlement, workers and validators use without knowing it.

use crate::abi::{AbiError, Describe, Geometry, ParamError, Request, VerifierError};

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

    /// Calls `out` for each run that the cell reads; for no run when there is no such cell.
    fn reads(params: &Self::Params, leaf: u64, cell: u32, out: &mut dyn FnMut(Read));

    /// Computes cell `cell` of the job-wide leaf `leaf` from the request's openings into the front of `out` and
    /// returns its length in bytes. Total: any opened bytes give an output.
    ///
    /// # Errors
    /// [`AbiError::MissingOpening`] unless everything in [`reads`](Self::reads) is open, [`AbiError::NoSuchCell`],
    /// [`AbiError::OutputTooSmall`].
    fn cell(params: &Self::Params, request: &Request, leaf: u64, cell: u32, out: &mut [u8]) -> Result<usize, AbiError>;
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

/// Runs a kernel's cell function on a request whose params are still bytes.
pub(crate) fn cell_of<K: Kernel>(request: &Request, out: &mut [u8]) -> Result<usize, VerifierError> {
    let params = K::parse(request.params)?;
    Ok(K::cell(&params, request, request.leaf, request.cell, out)?)
}
