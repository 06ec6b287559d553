//! Provider: the stake of one owner in one market, its keys, and its record.

use crate::constants::{MAX_OPERATORS, URL_BYTES};
use anchor_lang::prelude::*;

/// The stake of one owner in one market, its keys, and its record.
#[account(zero_copy)]
#[derive(Debug)]
pub struct Provider {
    /// Layout version.
    pub version: u8,
    /// Canonical bump of this account.
    pub bump: u8,
    /// Canonical bump of the stake vault.
    pub vault_bump: u8,
    /// Zero.
    pub padding: [u8; 5],
    /// The market it works in.
    pub market: Pubkey,
    /// The cold authority: withdraws, and names operators.
    pub owner: Pubkey,
    /// Token account that holds the stake and what was earned.
    pub vault: Pubkey,
    /// Who paid the rent and gets it back.
    pub rent_payer: Pubkey,
    /// The hot keys: claim, commit, release. They never withdraw. Zero for none.
    pub operators: [Pubkey; MAX_OPERATORS],
    /// X25519 key to which renters encrypt inputs; zero for none.
    pub encryption_key: [u8; 32],
    /// Where results are served: URL, UTF-8, zero padded.
    pub endpoint: [u8; URL_BYTES],
    /// Base units in the vault that are the owner's: stake and earnings.
    pub staked: u64,
    /// Of these, base units that claims and debts hold.
    pub locked: u64,
    /// Time that answering the challenges takes whose accounts are not closed, seconds: the next one has so much more.
    pub queued_seconds: u64,
    /// Shards claimed and not yet settled, slashed or given back.
    pub active: u32,
    /// Time that answering all cells takes that can be drawn or named of its shards in work, seconds: claims keep it within
    /// what can be answered in time even when all are demanded at once.
    pub load_seconds: u32,
    /// Record: shards settled.
    pub settled: u64,
    /// Record: shards slashed.
    pub slashed: u64,
    /// Record: claims released or expired.
    pub given_back: u64,
    /// Record: base units earned, after fees.
    pub earned: u64,
    /// Record: fees paid to the market, base units.
    pub fees: u64,
    /// When it was registered, unix seconds.
    pub registered_at: i64,
    /// Zero; for later versions.
    pub reserved: [u8; 128],
}

impl Provider {
    /// True for a key that may claim and commit for this provider.
    pub fn is_operator(&self, key: &Pubkey) -> bool {
        *key != crate::constants::NOBODY && self.operators.contains(key)
    }
}
