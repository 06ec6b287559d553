//! One event for every transition, with what an indexer needs to rebuild the state. Amounts in base units, times in unix
//! seconds.

use crate::state::Terms;
use anchor_lang::prelude::*;

/// A market was opened.
#[event]
pub struct MarketOpened {
    pub market: Pubkey,
    pub creator: Pubkey,
    pub id: u16,
    pub mint: Pubkey,
    pub authority: Pubkey,
    pub experimental: bool,
    pub terms: Terms,
}

/// A market was paused, or resumed.
#[event]
pub struct MarketPausedSet {
    pub market: Pubkey,
    pub paused: bool,
}

/// Fees left a market's treasury.
#[event]
pub struct TreasuryWithdrawn {
    pub market: Pubkey,
    pub amount: u64,
}

/// A kernel was registered.
#[event]
pub struct KernelRegistered {
    pub kernel: Pubkey,
    pub verifier: Pubkey,
    pub id: u16,
    pub amplification_bps: u32,
    pub name: [u8; 24],
}

/// A provider was registered, or changed its keys or endpoint.
#[event]
pub struct ProviderUpdated {
    pub provider: Pubkey,
    pub market: Pubkey,
    pub owner: Pubkey,
    pub operators: [Pubkey; 4],
    pub encryption_key: [u8; 32],
    pub endpoint: String,
}

/// Stake came in.
#[event]
pub struct StakeDeposited {
    pub provider: Pubkey,
    pub amount: u64,
    pub staked: u64,
}

/// Stake or earnings went out.
#[event]
pub struct StakeWithdrawn {
    pub provider: Pubkey,
    pub amount: u64,
    pub staked: u64,
}

/// A job was created and its escrow paid.
#[event]
pub struct JobCreated {
    pub job: Pubkey,
    pub renter: Pubkey,
    pub nonce: u64,
    pub market: Pubkey,
    pub kernel: Pubkey,
    pub terms_hash: [u8; 32],
    pub shards: u32,
    pub leaves: u64,
    pub price_start: u64,
    pub price_max: u64,
    pub escrow: u64,
    pub expires_at: i64,
}

/// A job takes no more claims.
#[event]
pub struct JobCancelled {
    pub job: Pubkey,
}

/// Money of a job's vault that no shard needs went to the renter.
#[event]
pub struct RefundWithdrawn {
    pub job: Pubkey,
    pub amount: u64,
}

/// Fees of a job went to its market's treasury before the job closed.
#[event]
pub struct FeesSwept {
    pub job: Pubkey,
    pub amount: u64,
}

/// A job was closed.
#[event]
pub struct JobClosed {
    pub job: Pubkey,
    pub fees: u64,
    pub refund: u64,
}

/// A shard was claimed.
#[event]
pub struct ShardClaimed {
    pub job: Pubkey,
    pub shard: Pubkey,
    pub index: u32,
    pub provider: Pubkey,
    pub operator: Pubkey,
    pub price: u64,
    pub collateral: u64,
    pub deadline: i64,
}

/// A claim was given back, or expired.
#[event]
pub struct ClaimEnded {
    pub job: Pubkey,
    pub shard: Pubkey,
    pub provider: Pubkey,
    pub expired: bool,
    pub penalty: u64,
}

/// A root was committed.
#[event]
pub struct ResultCommitted {
    pub job: Pubkey,
    pub shard: Pubkey,
    pub provider: Pubkey,
    pub root: [u8; 32],
    pub window: u64,
    pub challenge_ends: i64,
}

/// The seed of a draw window was recorded.
#[event]
pub struct SeedRecorded {
    pub window: u64,
    pub seed: [u8; 32],
}

/// Cells of a shard were drawn. Numbers count inside the shard.
#[event]
pub struct CellsDrawn {
    pub shard: Pubkey,
    pub cells: Vec<u64>,
    pub due: i64,
}

/// A draw window had aged out unrecorded.
#[event]
pub struct WindowRolled {
    pub shard: Pubkey,
    pub window: u64,
    pub owed: u64,
}

/// The renter named cells.
#[event]
pub struct CellsNamed {
    pub shard: Pubkey,
    pub by: Pubkey,
    pub cells: Vec<u64>,
    pub due: i64,
}

/// A demanded cell was re-executed and is right.
#[event]
pub struct CellAnswered {
    pub shard: Pubkey,
    pub leaf: u64,
    pub cell: u32,
    pub left: u32,
}

/// A shard was convicted. `fault`: 1 a wrong cell, 2 an unanswered cell, 3 rolled windows.
#[event]
pub struct ShardSlashed {
    pub shard: Pubkey,
    pub provider: Pubkey,
    pub fault: u8,
    pub leaf: u64,
    pub cell: u32,
    pub bounty_to: Pubkey,
    pub compensation: u64,
    pub bounty: u64,
    pub treasury: u64,
}

/// Debts of a slashed shard went from the stake to the job's vault.
#[event]
pub struct CollateralSeized {
    pub shard: Pubkey,
    pub provider: Pubkey,
    pub amount: u64,
}

/// A bounty was paid.
#[event]
pub struct BountyPaid {
    pub shard: Pubkey,
    pub to: Pubkey,
    pub amount: u64,
}

/// A shard was settled.
#[event]
pub struct ShardSettled {
    pub job: Pubkey,
    pub shard: Pubkey,
    pub provider: Pubkey,
    pub paid: u64,
    pub fee: u64,
    pub to_renter: u64,
}

/// A terminal shard's account was closed.
#[event]
pub struct ShardClosed {
    pub job: Pubkey,
    pub shard: Pubkey,
}
