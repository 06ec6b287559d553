//! The mechanism as plain functions: money, time, windows, draws and the life of a shard. No framework types, no
//! account loading, no transfers: handlers load, call these, transfer and emit.

pub mod challenge;
pub mod delivery;
pub mod draw;
pub mod judgement;
pub mod mint;
pub mod money;
pub mod opening;
pub mod shard;
pub mod terms;
pub mod time;
pub mod window;

use crate::error::AssayError;

/// What a rule gives, or why it refuses.
pub type Result<T> = core::result::Result<T, AssayError>;

/// Refuses with `error` unless `holds`.
pub fn ensure(holds: bool, error: AssayError) -> Result<()> {
    if holds { Ok(()) } else { Err(error) }
}

/// One more.
pub fn increment(n: u32) -> Result<u32> {
    n.checked_add(1).ok_or(AssayError::Overflow)
}

/// One fewer.
pub fn decrement(n: u32) -> Result<u32> {
    n.checked_sub(1).ok_or(AssayError::Overflow)
}
