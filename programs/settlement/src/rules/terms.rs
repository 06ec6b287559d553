//! What a market, a kernel and a job may ask for.

use crate::{
    constants::*,
    error::AssayError,
    rules::{Result, draw::class_leaves, ensure},
    state::{CostClass, DeliveryMode, JobTerms, Kernel, PUBLIC_RESULTS, RENTER_CHALLENGES, Silence, Terms},
};

/// Caps hold in every market, floors outside experimental ones.
pub fn check_market(terms: &Terms, experimental: bool) -> Result<()> {
    let durations = [terms.challenge_seconds, terms.response_seconds];
    let cells = terms.samples.checked_add(terms.named).ok_or(AssayError::TermsOutOfRange)?;
    ensure(
        (COLLATERAL_FLOOR_BPS..=COLLATERAL_CAP_BPS).contains(&terms.collateral_bps)
            && terms.fee_bps <= FEE_CAP_BPS
            && terms.bounty_bps <= BOUNTY_CAP_BPS
            && terms.release_min_bps <= terms.release_max_bps
            && terms.release_max_bps <= PENALTY_CAP_BPS
            && terms.expiry_bps <= PENALTY_CAP_BPS
            && terms.expiry_bps >= terms.release_max_bps
            && durations.iter().all(|d| *d <= DURATION_CAP_SECONDS)
            && terms.samples >= 1
            && terms.response_seconds >= 1
            && usize::from(cells) <= MAX_CELLS
            && terms.reserved == [0; 5],
        AssayError::TermsOutOfRange,
    )?;
    ensure(
        experimental
            || (terms.samples >= SAMPLES_FLOOR
                && terms.response_seconds >= RESPONSE_FLOOR_SECONDS
                && terms.challenge_seconds >= CHALLENGE_FLOOR_SECONDS
                && terms.bond_base >= 1
                && terms.release_min_bps >= RELEASE_FLOOR_BPS
                && terms.expiry_bps >= EXPIRY_FLOOR_BPS),
        AssayError::TermsBelowFloor,
    )
}

/// What answering a cell of a job takes: transactions, and the bond of a challenge, base units: the base, and the rate for
/// each KiB of evidence. `transactions` and `kib` are what the verifier states of this job; 0: as much as the kernel declares,
/// and never more.
pub fn answer(terms: &Terms, kernel: &Kernel, transactions: u16, kib: u16) -> Result<(u16, u64)> {
    let most = kernel.evidence_bytes_max.div_ceil(1_024);
    ensure(transactions <= kernel.answer_transactions && u32::from(kib) <= most, AssayError::VerifierAnswer)?;
    let transactions = if transactions == 0 { kernel.answer_transactions } else { transactions };
    let kib = if kib == 0 { u64::from(most) } else { u64::from(kib) };
    let rated = terms.bond_per_kib.checked_mul(kib).ok_or(AssayError::Overflow)?;
    Ok((transactions, terms.bond_base.checked_add(rated).ok_or(AssayError::Overflow)?))
}

/// Checks how a job wants its results delivered, and its flags: nothing is set that has no meaning.
pub fn check_delivery(terms: &JobTerms) -> Result<()> {
    let mode = terms.delivery().ok_or(AssayError::BadDelivery)?;
    let silence = terms.silence().ok_or(AssayError::BadDelivery)?;
    let attested = mode == DeliveryMode::Attested;
    // Leaves are demanded and arrivals attested inside the challenge window: without one nobody could.
    ensure(mode == DeliveryMode::None || terms.challenge_seconds > 0, AssayError::BadDelivery)?;
    ensure(attested == (terms.attestor != NOBODY), AssayError::BadDelivery)?;
    ensure(attested || silence == Silence::Pay, AssayError::BadDelivery)?;
    ensure(terms.flags & !(RENTER_CHALLENGES | PUBLIC_RESULTS) == 0, AssayError::BadDelivery)
}

/// The renter's own part of a job's terms.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Price of a shard at first, base units.
    pub price_start: u64,
    /// Price of a shard at last, base units.
    pub price_max: u64,
    /// Seconds from the first to the last.
    pub ramp_seconds: u32,
    /// Seconds from claim to commitment.
    pub execute_seconds: u32,
    /// Seconds from creation until open shards are refunded.
    pub life_seconds: u32,
    /// Leaves of a shard.
    pub shard_leaves: u64,
}

/// What follows from a job's geometry and the renter's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobSize {
    /// Leaves of the job.
    pub leaves: u64,
    /// Shards of the job.
    pub shards: u32,
    /// What the renter escrows: max price x shards, base units.
    pub escrow: u64,
}

/// What a kernel declared of itself when it was registered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes of a cell.
    pub cell_bytes: u32,
    /// Most bytes of a leaf.
    pub leaf_bytes: u32,
    /// Stages; A was declared for so many.
    pub stages: u8,
}

/// Checks the geometry that a verifier stated against the program's limits and the kernel's own.
pub fn check_geometry(classes: &[CostClass], limits: &Limits) -> Result<u64> {
    ensure(!classes.is_empty() && classes.len() <= MAX_CLASSES, AssayError::VerifierAnswer)?;
    let (mut leaves, mut cost) = (0u64, 0u64);
    for class in classes {
        ensure(
            class.cells > 0
                && class.cost > 0
                && class.cells_per_leaf > 0
                && class.cell_bytes > 0
                && class.cell_bytes <= limits.cell_bytes.min(MAX_CELL_BYTES)
                && class
                    .cells_per_leaf
                    .checked_mul(class.cell_bytes)
                    .is_some_and(|b| b <= limits.leaf_bytes.min(MAX_LEAF_BYTES))
                && class.stage < u32::from(limits.stages),
            AssayError::VerifierAnswer,
        )?;
        leaves = leaves.checked_add(class_leaves(class)?).ok_or(AssayError::Overflow)?;
        let weight = class.cells.checked_mul(class.cost).ok_or(AssayError::Overflow)?;
        cost = cost.checked_add(weight).ok_or(AssayError::Overflow)?;
    }
    ensure(leaves <= MAX_LEAVES && cost <= MAX_COST, AssayError::JobOutOfRange)?;
    Ok(leaves)
}

/// Cuts a job into shards and checks prices and durations. `align`: shards are cut at multiples of this many leaves.
pub fn size_job(leaves: u64, align: u64, wish: &Wish) -> Result<JobSize> {
    ensure(
        wish.price_start >= 1
            && wish.price_start <= wish.price_max
            && wish.price_start >= wish.price_max.div_ceil(PRICE_SPAN_CAP)
            && (1..=DURATION_CAP_SECONDS).contains(&wish.execute_seconds)
            && wish.ramp_seconds <= DURATION_CAP_SECONDS
            && wish.life_seconds >= 1
            && i64::from(wish.life_seconds) <= JOB_LIFE_CAP_SECONDS
            && wish.shard_leaves >= 1,
        AssayError::JobOutOfRange,
    )?;
    let aligned = align > 0 && wish.shard_leaves.checked_rem(align) == Some(0);
    ensure(aligned || wish.shard_leaves >= leaves, AssayError::ShardAlignment)?;
    let shards = u32::try_from(leaves.div_ceil(wish.shard_leaves)).map_err(|_| AssayError::JobOutOfRange)?;
    ensure((1..=MAX_SHARDS).contains(&shards), AssayError::JobOutOfRange)?;
    let escrow = wish.price_max.checked_mul(u64::from(shards)).ok_or(AssayError::Overflow)?;
    Ok(JobSize { leaves, shards, escrow })
}

/// A staged kernel draws one cell of each stage and at least one by cost: k >= S + 1.
pub fn samples_for(samples: u8, classes: &[CostClass]) -> Result<u8> {
    let stages = classes.iter().map(|c| c.stage).max().unwrap_or(0).saturating_add(1);
    if stages == 1 {
        return Ok(samples);
    }
    let least = u8::try_from(stages.saturating_add(1)).map_err(|_| AssayError::JobOutOfRange)?;
    Ok(samples.max(least))
}
