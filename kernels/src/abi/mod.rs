//! The verifier ABI (protocol.md, section 7): what a settlement program says to a verifier and what comes back.
//! All integers are little-endian.
//!
//! Instruction data: a header of [`HEADER_BYTES`], `params_len` bytes of params, `count` openings of
//! [`OPENING_BYTES`] each, and the rest are *inline bytes*. At most one read-only account goes with it, the evidence
//! account. An opening says where the bytes of one authenticated run lie: inline or in the evidence account. Whoever
//! calls has checked every opening against the roots in the job; the verifier believes them.
//!
//! Return data: [`Describe`] for `describe`, [`Geometry`] for `check`, the cell's bytes for `cell`. For `step` the inline
//! bytes are the number of steps done (u64) and [`STEP_STATE_BYTES`] of state, and what comes back is [`STEP_MORE`] and the
//! next state, or [`STEP_DONE`] and the cell's bytes. Everything else fails with [`VerifierError`].

mod error;
mod layout;
mod request;
#[cfg(feature = "std")]
mod writer;

pub use error::{AbiError, ParamError, VerifierError};
pub use layout::{
    CellAt, CostClass, Describe, FLAG_COST_DEPENDS_ON_DATA, Geometry, LeafSpan, MAX_CELL_BYTES, MAX_CLASSES,
    MAX_INPUTS, MAX_WEIGHT,
};
pub use request::{Opening, Openings, Pieces, Request, encode_header};
#[cfg(feature = "std")]
pub use writer::RequestWriter;

/// Version of this ABI, the first byte of every request and answer.
pub const ABI: u8 = 1;
/// `source` of an opening that holds earlier leaves of the shard, not input chunks.
pub const SOURCE_LEAVES: u8 = 255;
/// Top bit of `at`: the bytes lie in the evidence account, not inline.
pub const IN_EVIDENCE: u32 = 1 << 31;
/// Bytes of abi, op, kernel, params_len, count, leaf and cell.
pub const HEADER_BYTES: usize = 1 + 1 + 2 + 2 + 2 + 8 + 4;
/// Bytes of source, start, len and at.
pub const OPENING_BYTES: usize = 1 + 8 + 4 + 4;
/// Bytes of state that a step of a cell hands on to the next; zero before the first.
pub const STEP_STATE_BYTES: usize = 256;
/// First byte of the answer to a step: another one must follow.
pub const STEP_MORE: u8 = 0;
/// First byte of the answer to a step: the cell's bytes follow, at most 1,023.
pub const STEP_DONE: u8 = 1;
/// Most bytes of params a job may have.
pub const MAX_PARAMS_BYTES: usize = 512;
/// Most bytes of instruction data that one program may pass to another.
pub const MAX_CPI_DATA_BYTES: usize = 10_240;

/// What a verifier is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    /// State the kernel's limits and costs: [`Describe`].
    Describe = 0,
    /// Check params and state the geometry that they give: [`Geometry`].
    Check = 1,
    /// Compute one cell from its openings.
    Cell = 2,
    /// Compute one piece of a cell that is too large for one transaction.
    Step = 3,
}

impl Op {
    /// The operation with this code.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Describe),
            1 => Some(Self::Check),
            2 => Some(Self::Cell),
            3 => Some(Self::Step),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
