//! Sysvars, read by syscall so that no account can stand in for them.

use crate::{
    error::AssayError,
    rules::{
        time::Now,
        window::{self, Window},
    },
};
use anchor_lang::prelude::*;

#[cfg(target_os = "solana")]
const SLOT_HASHES: Pubkey = pubkey!("SysvarS1otHashes111111111111111111111111111");
#[cfg(target_os = "solana")]
const RENT: Pubkey = pubkey!("SysvarRent111111111111111111111111111111111");
#[cfg(target_os = "solana")]
const LAST_RESTART_SLOT: Pubkey = pubkey!("SysvarLastRestartS1ot1111111111111111111111");

#[cfg(target_os = "solana")]
fn read(sysvar: &Pubkey, offset: u64, out: &mut [u8]) -> core::result::Result<(), AssayError> {
    let id = sysvar.as_ref().as_ptr();
    // SAFETY: `id` points at 32 bytes and `out` at `out.len()` writable bytes of this program's own memory.
    let code =
        unsafe { solana_define_syscall::definitions::sol_get_sysvar(id, out.as_mut_ptr(), offset, out.len() as u64) };
    if code == 0 { Ok(()) } else { Err(AssayError::Overflow) }
}

/// Clock and LastRestartSlot.
pub fn now() -> Result<Now> {
    let clock = Clock::get()?;
    #[cfg(target_os = "solana")]
    let last_restart_slot = {
        let mut slot = [0u8; 8];
        read(&LAST_RESTART_SLOT, 0, &mut slot)?;
        u64::from_le_bytes(slot)
    };
    #[cfg(not(target_os = "solana"))]
    let last_restart_slot = 0;
    Ok(Now { time: clock.unix_timestamp, slot: clock.slot, last_restart_slot })
}

/// Clock alone, for what has no deadline to compare: the last restart is not read.
pub fn moment() -> Result<Now> {
    let clock = Clock::get()?;
    Ok(Now { time: clock.unix_timestamp, slot: clock.slot, last_restart_slot: 0 })
}

/// Lamports that an account of `space` bytes must hold.
///
/// Rent's own arithmetic is in floating point, which costs hundreds of compute units on chain; its threshold has only ever
/// been 2 years, and becomes 1 with SIMD-0194. For any other the ordinary way is taken.
pub fn minimum_balance(space: usize) -> Result<u64> {
    #[cfg(target_os = "solana")]
    {
        const OVERHEAD: u64 = 128;
        let mut rent = [0u64; 2];
        read(&RENT, 0, bytemuck::cast_slice_mut(&mut rent))?;
        let [rate, threshold] = rent;
        let years = [1u64, 2].into_iter().zip([1f64, 2f64]).find(|(_, t)| t.to_bits() == threshold);
        if let Some((years, _)) = years {
            let bytes = u64::try_from(space).ok().and_then(|s| s.checked_add(OVERHEAD)).ok_or(AssayError::Overflow)?;
            let lamports = bytes.checked_mul(rate).and_then(|l| l.checked_mul(years));
            return Ok(lamports.ok_or(AssayError::Overflow)?);
        }
    }
    Ok(Rent::get()?.minimum_balance(space))
}

/// What SlotHashes holds of a draw window.
pub fn draw_window(number: u64) -> Result<Window> {
    #[cfg(target_os = "solana")]
    let found = window::find(|offset, out| read(&SLOT_HASHES, offset, out), number)?;
    #[cfg(not(target_os = "solana"))]
    let found = window::find(|_, _| Err(AssayError::Overflow), number)?;
    Ok(found)
}
