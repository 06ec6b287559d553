//! DrawSeed: the randomness of one draw window, recorded once for every shard that draws from it.

use anchor_lang::prelude::*;

/// The randomness of one draw window, for every shard that draws from it.
#[account(zero_copy)]
#[derive(Debug)]
pub struct DrawSeed {
    /// Layout version.
    pub version: u8,
    /// Canonical bump of this account.
    pub bump: u8,
    /// Zero.
    pub padding: [u8; 6],
    /// The window; its first slot is 64 x window.
    pub window: u64,
    /// SHA-256 of tag, window and the first 12 slot hashes of the window.
    pub seed: [u8; 32],
    /// Who paid the rent and gets it back.
    pub rent_payer: Pubkey,
    /// When it was recorded, unix seconds.
    pub recorded_at: i64,
    /// Slot in which it was recorded.
    pub recorded_slot: u64,
    /// Zero; for later versions.
    pub reserved: [u8; 32],
}
