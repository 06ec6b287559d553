//! Shard: one claimed, committed, checked and paid part of a job. Made by the first claim, lives until the job closes.

use crate::constants::MAX_CELLS;
use anchor_lang::prelude::*;

/// Where a shard is in its life. A shard without an account is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ShardState {
    /// Given back: can be claimed again.
    Open = 0,
    /// A provider works on it.
    Claimed = 1,
    /// A root is committed; its cells are not drawn yet.
    Committed = 2,
    /// Its cells are drawn.
    Sampled = 3,
    /// Paid. Terminal.
    Settled = 4,
    /// Convicted. Terminal.
    Slashed = 5,
}

/// One claimed, committed, checked and paid part of a job.
#[account(zero_copy)]
#[derive(Debug)]
pub struct Shard {
    /// Layout version.
    pub version: u8,
    /// Canonical bump of this account.
    pub bump: u8,
    /// ShardState.
    pub state: u8,
    /// Cells drawn: `cells[0..drawn]`.
    pub drawn: u8,
    /// Cells named: `cells[k..k + named]`.
    pub named: u8,
    /// Times the draw window was rolled.
    pub rolls: u8,
    /// Why it was slashed: 0 not, 1 a wrong cell, 2 an unanswered cell, 3 rolled windows used up the lock.
    pub fault: u8,
    /// 1 once the renter has accepted the result: settlement waits for nothing else.
    pub accepted: u8,
    /// Number of the shard inside the job.
    pub index: u32,
    /// Bit i: `cells[i]` is answered.
    pub answered: u32,
    /// Challenges that wait for an answer, or were not answered when it ended: they count in the provider's queue until then.
    pub open_challenges: u32,
    /// Times it was claimed.
    pub claims: u32,
    /// Challenges that were answered and whose bonds are not divided yet.
    pub unpaid_challenges: u32,
    /// Leaves that the renter demanded on the ledger.
    pub leaves_demanded: u8,
    /// Of these, leaves that were posted.
    pub leaves_posted: u8,
    /// What the attestor said: 0 nothing, 1 it arrived, 2 it did not.
    pub attested: u8,
    /// Zero.
    pub padding: u8,
    /// The job.
    pub job: Pubkey,
    /// The Provider account that holds the claim; the last one when given back.
    pub provider: Pubkey,
    /// The operator key that claimed.
    pub operator: Pubkey,
    /// Who paid the rent and gets it back.
    pub rent_payer: Pubkey,
    /// Who is owed the bounty; zero for nobody.
    pub bounty_to: Pubkey,
    /// The commitment: root of the salted leaves.
    pub root: [u8; 32],
    /// Zero (unsalted root of receipts, later version).
    pub plain_root: [u8; 32],
    /// Price of the claim, base units.
    pub price: u64,
    /// What the provider has locked for it, base units.
    pub collateral: u64,
    /// From when the price ramps, unix seconds; moved by the time that given-back claims held it.
    pub ramp_from: i64,
    /// When it was claimed, unix seconds.
    pub claimed_at: i64,
    /// Slot of the claim.
    pub claimed_slot: u64,
    /// When the root was committed, unix seconds.
    pub committed_at: i64,
    /// Slot of the commitment.
    pub committed_slot: u64,
    /// Draw window.
    pub window: u64,
    /// When the cells were drawn, unix seconds.
    pub drawn_at: i64,
    /// Slot of the draw.
    pub drawn_slot: u64,
    /// When cells were named, unix seconds; 0 when none.
    pub named_at: i64,
    /// Slot in which cells were named.
    pub named_slot: u64,
    /// When leaves were demanded, unix seconds; 0 when none.
    pub demanded_at: i64,
    /// Slot in which leaves were demanded.
    pub demanded_slot: u64,
    /// What the renter prepaid for posting them, base units; in the job's vault.
    pub prepaid: u64,
    /// Of this, what the provider has earned by posting, base units.
    pub posted_pay: u64,
    /// When it became terminal, unix seconds.
    pub ended_at: i64,
    /// Slot in which it became terminal.
    pub ended_slot: u64,
    /// Owed to the renter out of the lock: rolled windows while in work, compensation once slashed, base units.
    pub owed_renter: u64,
    /// Owed to `bounty_to` out of the lock, base units.
    pub owed_bounty: u64,
    /// Owed to the treasury out of the lock, base units.
    pub owed_treasury: u64,
    /// 1 once a slashed shard's debts to renter and treasury were moved and job and provider were told.
    pub seized: u64,
    /// Numbers, inside the shard, of the cells demanded without a bond: drawn ones from 0, named ones from k.
    pub cells: [u64; MAX_CELLS],
    /// What its claim loads the provider with, seconds: goes with the shard when it ends or is given back.
    pub load_seconds: u64,
    /// Zero; for later versions.
    pub reserved: [u64; 7],
}

impl Shard {
    /// The state; none for a byte this version does not know.
    pub fn state(&self) -> Option<ShardState> {
        Some(match self.state {
            0 => ShardState::Open,
            1 => ShardState::Claimed,
            2 => ShardState::Committed,
            3 => ShardState::Sampled,
            4 => ShardState::Settled,
            5 => ShardState::Slashed,
            _ => return None,
        })
    }
}
