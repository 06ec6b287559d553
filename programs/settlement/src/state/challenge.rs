//! Challenge: one cell, demanded by somebody who put up a bond. The bond lies in a vault of its own.

use crate::{constants::SECONDS_PER_ANSWER_TRANSACTION, rules::time::Deadline};
use anchor_lang::prelude::*;

/// What became of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ChallengeState {
    /// Waits for its answer.
    Open = 0,
    /// The cell is right: the bond goes half to the provider, half to the renter's escrow.
    Answered = 1,
    /// The cell is wrong, or was not answered in time: the challenger gets the bond back and is owed the bounty.
    Won = 2,
}

/// One cell, demanded by somebody who put up a bond.
#[account(zero_copy)]
#[derive(Debug)]
pub struct Challenge {
    /// Layout version.
    pub version: u8,
    /// Canonical bump of this account.
    pub bump: u8,
    /// Canonical bump of the bond's vault.
    pub vault_bump: u8,
    /// ChallengeState.
    pub state: u8,
    /// From its opening until it is due, seconds.
    pub seconds: u32,
    /// Its part of the provider's queue, seconds.
    pub unit: u32,
    /// Zero.
    pub padding: u32,
    /// The job.
    pub job: Pubkey,
    /// The shard.
    pub shard: Pubkey,
    /// The Provider account that must answer.
    pub provider: Pubkey,
    /// Who put up the bond and gets the bounty of a conviction.
    pub challenger: Pubkey,
    /// Token account that holds the bond.
    pub vault: Pubkey,
    /// The mint of the bond.
    pub mint: Pubkey,
    /// The mint's token program.
    pub token_program: Pubkey,
    /// Who paid the rent and gets it back.
    pub rent_payer: Pubkey,
    /// Number of the cell inside the shard.
    pub cell: u64,
    /// The bond, base units.
    pub bond: u64,
    /// When it was opened, unix seconds.
    pub opened_at: i64,
    /// Slot in which it was opened.
    pub opened_slot: u64,
    /// Zero; for later versions.
    pub reserved: [u8; 64],
}

impl Challenge {
    /// The state; none for a byte this version does not know.
    pub fn state(&self) -> Option<ChallengeState> {
        Some(match self.state {
            0 => ChallengeState::Open,
            1 => ChallengeState::Answered,
            2 => ChallengeState::Won,
            _ => return None,
        })
    }

    /// Until when it must be answered.
    pub fn due(&self) -> Deadline {
        Deadline { opened_at: self.opened_at, opened_slot: self.opened_slot, seconds: self.seconds }
    }
}

/// How long one challenge keeps a provider busy, seconds.
pub fn unit_seconds(answer_transactions: u16) -> u32 {
    u32::from(answer_transactions).saturating_mul(SECONDS_PER_ANSWER_TRANSACTION)
}
