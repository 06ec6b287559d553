//! Job: what a renter pays for. Its terms never change after creation and are known by their hash.

use crate::{
    constants::{MAX_CLASSES, MAX_INPUTS, MAX_PARAMS, MAX_WATCH_KEYS, NOBODY, URL_BYTES},
    rules::time::{Deadline, Now},
};
use anchor_lang::prelude::*;
use assay_kernels::hash::{Hash, sha256};
use core::mem::offset_of;

/// A run of leaves whose cells cost the same; the verifier states them, in leaf order.
#[zero_copy]
#[derive(Debug, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
#[borsh(crate = "anchor_lang::prelude::borsh")]
pub struct CostClass {
    /// Cells of the class.
    pub cells: u64,
    /// Relative cost of one cell, at least 1.
    pub cost: u64,
    /// Cells in a leaf; the last leaf of the class may hold fewer.
    pub cells_per_leaf: u32,
    /// Bytes of a cell.
    pub cell_bytes: u32,
    /// Stage of the class, from 0.
    pub stage: u32,
    /// Zero.
    pub reserved: u32,
}

/// An input: an RFC 6962 tree over chunks of 1,024 bytes.
#[zero_copy]
#[derive(Debug, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
#[borsh(crate = "anchor_lang::prelude::borsh")]
pub struct InputTree {
    /// Its root.
    pub root: [u8; 32],
    /// Its length, bytes; a multiple of 1,024.
    pub bytes: u64,
}

/// Everything about a job that never changes. The job's `terms_hash` is the SHA-256 of what is used of these bytes.
#[zero_copy]
#[derive(Debug)]
pub struct JobTerms {
    /// The market.
    pub market: Pubkey,
    /// The kernel account.
    pub kernel: Pubkey,
    /// The kernel's verifier program.
    pub verifier: Pubkey,
    /// The mint.
    pub mint: Pubkey,
    /// The mint's token program.
    pub token_program: Pubkey,
    /// The one Provider account that may claim; zero for anyone.
    pub reserved_for: Pubkey,
    /// Who says whether results arrived, under attested delivery; else zero.
    pub attestor: Pubkey,
    /// Price of a shard when the auction begins, base units.
    pub price_start: u64,
    /// Price of a shard when the ramp is over, base units; what each shard escrows.
    pub price_max: u64,
    /// When it was created, unix seconds.
    pub created_at: i64,
    /// Slot in which it was created.
    pub created_slot: u64,
    /// When it takes no more claims, unix seconds.
    pub expires_at: i64,
    /// Leaves of the job.
    pub leaves: u64,
    /// Leaves of a shard; the last shard may have fewer.
    pub shard_leaves: u64,
    /// Bond of a challenge, base units: the market's base, and its rate for the evidence that a cell of the kernel may take.
    pub bond: u64,
    /// What the renter prepays for each KiB of a leaf that it wants posted to the ledger, base units.
    pub post_per_kib: u64,
    /// Seconds in which the price rises from start to max.
    pub ramp_seconds: u32,
    /// Seconds a provider has from its claim to its commitment.
    pub execute_seconds: u32,
    /// Length of the challenge window, seconds.
    pub challenge_seconds: u32,
    /// Time to answer a demanded cell, seconds.
    pub response_seconds: u32,
    /// Collateral, basis points of A x price.
    pub collateral_bps: u32,
    /// A of the kernel, basis points.
    pub amplification_bps: u32,
    /// Fee out of the price, basis points.
    pub fee_bps: u16,
    /// Bounty out of what is seized, basis points.
    pub bounty_bps: u16,
    /// Release penalty at once, basis points of the price.
    pub release_min_bps: u16,
    /// Release penalty at the deadline, basis points of the price.
    pub release_max_bps: u16,
    /// Penalty of an expired claim, basis points of the price.
    pub expiry_bps: u16,
    /// Number of the kernel inside its verifier.
    pub kernel_id: u16,
    /// Shards of the job.
    pub shards: u32,
    /// Bytes of `params` that count.
    pub params_len: u16,
    /// Transactions that answering one cell takes, at most.
    pub answer_transactions: u16,
    /// Cells drawn of each shard (k).
    pub samples: u8,
    /// Cells that may be named of each shard (m).
    pub named: u8,
    /// Cost classes that count.
    pub classes: u8,
    /// Inputs that count.
    pub inputs: u8,
    /// DeliveryMode: how delivery decides who gets the price.
    pub delivery: u8,
    /// Silence: what it means under attested delivery that the attestor says nothing.
    pub silence: u8,
    /// RENTER_CHALLENGES, PUBLIC_RESULTS.
    pub flags: u8,
    /// Zero.
    pub padding: [u8; 5],
    /// The inputs.
    pub input: [InputTree; MAX_INPUTS],
    /// The cost classes.
    pub class: [CostClass; MAX_CLASSES],
    /// Where the inputs are found: URL, UTF-8, zero padded; an input lies at `{locator}/{root in hex}`.
    pub locator: [u8; URL_BYTES],
    /// Parameters of the kernel.
    pub params: [u8; MAX_PARAMS],
    /// Zero; for later versions.
    pub reserved: [u8; 64],
}

/// Flag of a job: only its renter may challenge.
pub const RENTER_CHALLENGES: u8 = 1;
/// Flag of a job: the provider serves the results' bytes to anyone, not to the renter alone.
pub const PUBLIC_RESULTS: u8 = 2;

/// How delivery decides who receives the price of a proven shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DeliveryMode {
    /// It does not.
    None = 0,
    /// The renter can demand leaves; they must be posted to the ledger in time.
    Ledger = 1,
    /// A key named in the terms says whether the result arrived.
    Attested = 2,
}

/// What it means that the attestor says nothing until the challenge window is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Silence {
    /// The provider is paid.
    Pay = 0,
    /// The renter gets the price back.
    Refund = 1,
}

/// What a job is, apart from its shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Takes claims until it expires.
    Open,
    /// The renter cancelled it: no more claims; what is claimed goes on.
    Cancelled,
}

/// What a renter pays for.
#[account(zero_copy)]
#[derive(Debug)]
pub struct Job {
    /// Layout version.
    pub version: u8,
    /// Canonical bump of this account.
    pub bump: u8,
    /// Canonical bump of the vault.
    pub vault_bump: u8,
    /// 0 open, 1 cancelled.
    pub cancelled: u8,
    /// Zero.
    pub padding: [u8; 4],
    /// Number of the job among the renter's jobs.
    pub nonce: u64,
    /// Whose job it is.
    pub renter: Pubkey,
    /// Token account that holds the escrow, the fees and what is owed to the renter.
    pub vault: Pubkey,
    /// Who paid the rent and gets it back.
    pub rent_payer: Pubkey,
    /// SHA-256 of `terms`, see `JobTerms::hash`.
    pub terms_hash: [u8; 32],
    /// Fees and seized remainders owed to the treasury, base units; swept by close_job.
    pub fees_owed: u64,
    /// Shards claimed and not yet terminal.
    pub active: u32,
    /// Shards settled.
    pub settled: u32,
    /// Shards slashed.
    pub slashed: u32,
    /// Shard accounts that exist.
    pub shard_accounts: u32,
    /// Base units of collateral, penalties and bonds that came to the renter, in total; a statistic, which stops nothing.
    pub compensated: u64,
    /// Base units paid to providers, in total.
    pub paid: u64,
    /// Prepaid by the renter for leaves posted to the ledger, in shards that are not terminal, base units.
    pub prepaid: u64,
    /// Zero.
    pub padding2: u64,
    /// Hot keys that may name cells, nothing else; zero for none.
    pub watch_keys: [Pubkey; MAX_WATCH_KEYS],
    /// Zero; for later versions.
    pub reserved: [u8; 64],
    /// What never changes.
    pub terms: JobTerms,
}

/// What the vault of a job must keep, by what it is owed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// Escrow of shards in work, and of open shards while they can still be claimed, base units.
    pub escrow: u64,
    /// Prepaid for posting leaves, of shards in work, base units.
    pub prepaid: u64,
    /// Owed to the treasury, base units.
    pub fees: u64,
}

impl Amounts {
    /// The sum, base units.
    pub fn total(&self) -> Option<u64> {
        self.escrow.checked_add(self.prepaid)?.checked_add(self.fees)
    }
}

impl JobTerms {
    /// SHA-256 of the terms as they lie in the account, without the unused ends of classes and params, which are zero: how
    /// many are used is part of what is hashed.
    pub fn hash(&self) -> Hash {
        let bytes = bytemuck::bytes_of(self);
        let (class, locator, params) =
            (offset_of!(JobTerms, class), offset_of!(JobTerms, locator), offset_of!(JobTerms, params));
        let part = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
        let classes = bytemuck::cast_slice(self.classes());
        sha256(&[part(0, class), classes, part(locator, params), self.params(), bytemuck::bytes_of(&self.reserved)])
    }

    /// The parameters that count.
    pub fn params(&self) -> &[u8] {
        self.params.get(..usize::from(self.params_len)).unwrap_or(&self.params)
    }

    /// The cost classes that count.
    pub fn classes(&self) -> &[CostClass] {
        self.class.get(..usize::from(self.classes)).unwrap_or(&self.class)
    }

    /// The leaves of shard `index`; none when there is no such shard.
    pub fn shard(&self, index: u32) -> Option<crate::rules::draw::Shard<'_>> {
        if index >= self.shards {
            return None;
        }
        let first_leaf = u64::from(index).checked_mul(self.shard_leaves)?;
        let leaves = self.leaves.checked_sub(first_leaf)?.min(self.shard_leaves);
        Some(crate::rules::draw::Shard { classes: self.classes(), first_leaf, leaves })
    }

    /// How delivery decides; none for a byte this version does not know.
    pub fn delivery(&self) -> Option<DeliveryMode> {
        Some(match self.delivery {
            0 => DeliveryMode::None,
            1 => DeliveryMode::Ledger,
            2 => DeliveryMode::Attested,
            _ => return None,
        })
    }

    /// What silence means; none for a byte this version does not know.
    pub fn silence(&self) -> Option<Silence> {
        Some(match self.silence {
            0 => Silence::Pay,
            1 => Silence::Refund,
            _ => return None,
        })
    }

    /// When open shards can be refunded without the renter's signature.
    pub fn expiry(&self) -> Deadline {
        let seconds = u32::try_from(self.expires_at.saturating_sub(self.created_at).max(0)).unwrap_or(u32::MAX);
        Deadline { opened_at: self.created_at, opened_slot: self.created_slot, seconds }
    }
}

impl Job {
    /// Whether it still takes claims.
    pub fn state(&self) -> JobState {
        if self.cancelled == 0 { JobState::Open } else { JobState::Cancelled }
    }

    /// True while a claim can be made.
    pub fn takes_claims(&self, now: &Now) -> bool {
        self.state() == JobState::Open && now.time < self.terms.expires_at
    }

    /// True once no open shard can be claimed any more, in a way that no halt can bring about.
    pub fn closed(&self, now: &Now) -> bool {
        self.state() == JobState::Cancelled || self.terms.expiry().passed(now)
    }

    /// Shards that nobody works on and that are not done.
    pub fn open_shards(&self) -> Option<u32> {
        self.terms.shards.checked_sub(self.active)?.checked_sub(self.settled)?.checked_sub(self.slashed)
    }

    /// True once nothing more can happen to any shard.
    pub fn terminal(&self, now: &Now) -> bool {
        self.active == 0 && (self.closed(now) || self.open_shards() == Some(0))
    }

    /// What the vault must keep; the rest is the renter's.
    pub fn owed(&self, now: &Now) -> Option<Amounts> {
        let open = if self.closed(now) { 0 } else { self.open_shards()? };
        let shards = u64::from(self.active).checked_add(u64::from(open))?;
        let escrow = shards.checked_mul(self.terms.price_max)?;
        Some(Amounts { escrow, prepaid: self.prepaid, fees: self.fees_owed })
    }

    /// True for the renter and its watch keys.
    pub fn may_name(&self, key: &Pubkey) -> bool {
        *key == self.renter || (*key != NOBODY && self.watch_keys.contains(key))
    }
}
