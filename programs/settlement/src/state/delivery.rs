//! Delivery: the leaves of a shard that its renter wants posted to the ledger.

use crate::constants::MAX_DEMANDED_LEAVES;
use anchor_lang::prelude::*;

/// The leaves of a shard that its renter wants posted to the ledger.
#[account(zero_copy)]
#[derive(Debug)]
pub struct Delivery {
    /// Layout version.
    pub version: u8,
    /// Canonical bump of this account.
    pub bump: u8,
    /// Leaves that were demanded: `leaves[0..count]`.
    pub count: u8,
    /// Zero.
    pub padding: [u8; 5],
    /// The job.
    pub job: Pubkey,
    /// The shard.
    pub shard: Pubkey,
    /// Who paid the rent and gets it back.
    pub rent_payer: Pubkey,
    /// Bit i: `leaves[i]` is posted.
    pub posted: u64,
    /// Job-wide numbers of the leaves, ascending.
    pub leaves: [u64; MAX_DEMANDED_LEAVES],
    /// Zero; for later versions.
    pub reserved: [u8; 64],
}
