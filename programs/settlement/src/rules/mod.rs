//! The mechanism as plain functions: money, time, windows, draws and the life of a shard. No framework types, no
//! account loading, no transfers: handlers load, call these, transfer and emit.

pub mod challenge;
pub mod delivery;
pub mod draw;
pub mod judgement;
pub mod load;
pub mod mint;
pub mod money;
pub mod opening;
pub mod shard;
pub mod terms;
pub mod time;
pub mod window;

use crate::error::AssayError;
use anchor_lang::prelude::Pubkey;

/// What a rule gives, or why it refuses.
pub type Result<T> = core::result::Result<T, AssayError>;

/// Refuses with `error` unless `holds`.
#[cfg_attr(feature = "mutants", track_caller)]
pub fn ensure(holds: bool, error: AssayError) -> Result<()> {
    #[cfg(feature = "mutants")]
    let holds = holds || crate::mutants::is_off(core::panic::Location::caller());
    if holds { Ok(()) } else { Err(error) }
}

/// Refuses with `error` unless the two keys are equal.
#[cfg_attr(feature = "mutants", track_caller)]
pub fn same(one: &Pubkey, other: &Pubkey, error: AssayError) -> Result<()> {
    ensure(one == other, error)
}

/// One more.
pub fn increment(n: u32) -> Result<u32> {
    n.checked_add(1).ok_or(AssayError::Overflow)
}

/// One fewer.
pub fn decrement(n: u32) -> Result<u32> {
    n.checked_sub(1).ok_or(AssayError::Overflow)
}
