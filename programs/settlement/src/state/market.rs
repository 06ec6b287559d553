//! Market: one settlement mint, one set of terms, one treasury. Anyone may open one.

use anchor_lang::prelude::*;
use assay_kernels::hash::{Hash, sha256};

/// Flag: terms may lie below the floors; for tests and demonstrations only. Workers refuse such markets without a flag.
pub const EXPERIMENTAL: u8 = 1;
/// Flag: no new jobs and no new claims.
pub const PAUSED: u8 = 2;

/// Flag: the mint had a freeze authority when the market was opened: it can stop every vault.
pub const FREEZABLE: u8 = 4;

/// What a job of this market is dealt under. A job keeps its own copy: later changes do not touch it.
#[zero_copy]
#[derive(Debug, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
#[borsh(crate = "anchor_lang::prelude::borsh")]
pub struct Terms {
    /// Smallest part of a challenge's bond, base units.
    pub bond_base: u64,
    /// Bond for each KiB of evidence that the answer may need, base units.
    pub bond_per_kib: u64,
    /// Collateral of a claim, basis points of A x price.
    pub collateral_bps: u32,
    /// Length of the challenge window, seconds from the commitment.
    pub challenge_seconds: u32,
    /// Time to answer a demanded cell, seconds.
    pub response_seconds: u32,
    /// Fee out of the price, basis points.
    pub fee_bps: u16,
    /// Share of what is seized that goes to whoever proved the fault, basis points.
    pub bounty_bps: u16,
    /// Penalty for releasing a claim at once, basis points of the price.
    pub release_min_bps: u16,
    /// Penalty for releasing a claim at its deadline, basis points of the price.
    pub release_max_bps: u16,
    /// Penalty for letting a claim expire, basis points of the price.
    pub expiry_bps: u16,
    /// Cells the chain draws of a shard (k).
    pub samples: u8,
    /// Cells the renter may name (m).
    pub named: u8,
    /// What a renter prepays for each KiB of a leaf that it wants posted to the ledger, base units.
    pub post_per_kib: u64,
    /// Zero; for later versions.
    pub reserved: [u64; 5],
}

impl Terms {
    /// SHA-256 of the terms as they lie in the account: what a renter signs, so that its job is dealt under no others.
    pub fn hash(&self) -> Hash {
        sha256(&[bytemuck::bytes_of(self)])
    }
}

/// One settlement mint, one set of terms, one treasury.
#[account(zero_copy)]
#[derive(Debug)]
pub struct Market {
    /// Layout version.
    pub version: u8,
    /// Canonical bump of this account.
    pub bump: u8,
    /// Canonical bump of the treasury.
    pub treasury_bump: u8,
    /// EXPERIMENTAL, PAUSED, FREEZABLE.
    pub flags: u8,
    /// Number that its creator gave it.
    pub id: u16,
    /// Decimals of the mint.
    pub decimals: u8,
    /// Zero.
    pub padding: u8,
    /// Who opened it; part of its address.
    pub creator: Pubkey,
    /// Who may pause it and withdraw from its treasury. It can touch neither escrow nor stake.
    pub authority: Pubkey,
    /// Who will be the authority once it accepts; zero for nobody.
    pub pending_authority: Pubkey,
    /// The mint of every price, collateral and bond.
    pub mint: Pubkey,
    /// The mint's token program.
    pub token_program: Pubkey,
    /// Token account that receives fees and what is left of seized collateral.
    pub treasury: Pubkey,
    /// Who paid the rent and gets it back.
    pub rent_payer: Pubkey,
    /// What new jobs are dealt under.
    pub terms: Terms,
    /// Jobs that are not closed.
    pub jobs: u64,
    /// Providers that are not closed.
    pub providers: u64,
    /// Zero; for later versions.
    pub reserved: [u64; 30],
}
