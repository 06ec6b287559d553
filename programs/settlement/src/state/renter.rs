//! Renter: gives each job of an owner its number. Never closed, so that no job address can come back to life.

use anchor_lang::prelude::*;

/// Gives each job of an owner its number.
#[account(zero_copy)]
#[derive(Debug)]
pub struct Renter {
    /// Layout version.
    pub version: u8,
    /// Canonical bump of this account.
    pub bump: u8,
    /// Zero.
    pub padding: [u8; 6],
    /// Whose jobs it numbers.
    pub owner: Pubkey,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Number of the next job; never goes back.
    pub next_nonce: u64,
    /// Zero; for later versions.
    pub reserved: [u8; 64],
}
