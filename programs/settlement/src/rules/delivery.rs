//! Delivery: who receives the price of a proven shard, never whether collateral is seized.

use crate::{
    constants::MAX_DEMANDED_LEAVES,
    error::AssayError,
    rules::{
        Result, ensure,
        judgement::state_is,
        shard::challenge_window,
        time::{Deadline, Now},
    },
    state::{Delivery, DeliveryMode, Job, JobTerms, Shard, ShardState, Silence, unit_seconds},
};
use anchor_lang::prelude::Pubkey;

/// The attestor said that the result arrived.
pub const ARRIVED: u8 = 1;
/// The attestor said that the result did not arrive.
pub const MISSING: u8 = 2;

/// What the renter prepays for having a leaf of `bytes` bytes posted, base units.
pub fn posting_price(bytes: u32, terms: &JobTerms) -> Result<u64> {
    u64::from(bytes.div_ceil(1_024)).checked_mul(terms.post_per_kib).ok_or(AssayError::Overflow)
}

/// The renter demands leaves, once, inside the challenge window. Returns what it prepays, base units. The delivery's
/// addresses and payer are the handler's to set.
pub fn demand(
    job: &mut Job,
    shard: &mut Shard,
    delivery: &mut Delivery,
    by: &Pubkey,
    leaves: &[u64],
    now: &Now,
) -> Result<u64> {
    state_is(shard, &[ShardState::Committed, ShardState::Sampled])?;
    ensure(*by == job.renter, AssayError::NotAuthorized)?;
    ensure(job.terms.delivery() == Some(DeliveryMode::Ledger), AssayError::WrongDelivery)?;
    ensure(shard.accepted == 0, AssayError::Accepted)?;
    ensure(shard.leaves_demanded == 0, AssayError::AlreadyDemanded)?;
    ensure(!challenge_window(shard, &job.terms).passed(now), AssayError::WindowOver)?;
    ensure(!leaves.is_empty() && leaves.len() <= MAX_DEMANDED_LEAVES, AssayError::BadLeaves)?;
    ensure(leaves.is_sorted_by(|a, b| a < b), AssayError::BadLeaves)?;
    let range = job.terms.shard(shard.index).ok_or(AssayError::NoSuchShard)?;
    let mut prepaid = 0u64;
    for (slot, leaf) in delivery.leaves.iter_mut().zip(leaves) {
        let bytes = range.leaf(*leaf).map_err(|_| AssayError::BadLeaves)?.bytes()?;
        prepaid = prepaid.checked_add(posting_price(bytes, &job.terms)?).ok_or(AssayError::Overflow)?;
        *slot = *leaf;
    }
    let count = u8::try_from(leaves.len()).map_err(|_| AssayError::BadLeaves)?;
    delivery.count = count;
    shard.leaves_demanded = count;
    shard.demanded_at = now.time;
    shard.demanded_slot = now.slot;
    shard.prepaid = prepaid;
    job.prepaid = job.prepaid.checked_add(prepaid).ok_or(AssayError::Overflow)?;
    Ok(prepaid)
}

/// Number of the demanded leaf at `index`.
pub fn demanded_leaf(delivery: &Delivery, index: u8) -> Result<u64> {
    ensure(index < delivery.count, AssayError::BadLeaves)?;
    delivery.leaves.get(usize::from(index)).copied().ok_or(AssayError::BadLeaves)
}

/// The demanded leaf at `index`, of `bytes` bytes, was posted and leads to the root. Counts until the shard is settled.
pub fn post(shard: &mut Shard, delivery: &mut Delivery, terms: &JobTerms, index: u8, bytes: u32) -> Result<()> {
    state_is(shard, &[ShardState::Committed, ShardState::Sampled])?;
    ensure(index < delivery.count, AssayError::BadLeaves)?;
    let bit = 1u64.checked_shl(u32::from(index)).ok_or(AssayError::BadLeaves)?;
    ensure(delivery.posted & bit == 0, AssayError::AlreadyPosted)?;
    delivery.posted |= bit;
    shard.leaves_posted = shard.leaves_posted.checked_add(1).ok_or(AssayError::Overflow)?;
    let pay = shard.posted_pay.checked_add(posting_price(bytes, terms)?).ok_or(AssayError::Overflow)?;
    shard.posted_pay = pay.min(shard.prepaid);
    Ok(())
}

/// The attestor says, once, whether the result arrived.
pub fn attest(shard: &mut Shard, terms: &JobTerms, by: &Pubkey, arrived: bool) -> Result<()> {
    state_is(shard, &[ShardState::Committed, ShardState::Sampled])?;
    ensure(terms.delivery() == Some(DeliveryMode::Attested), AssayError::WrongDelivery)?;
    ensure(*by == terms.attestor, AssayError::NotAuthorized)?;
    ensure(shard.attested == 0, AssayError::AlreadyDelivered)?;
    shard.attested = if arrived { ARRIVED } else { MISSING };
    Ok(())
}

/// Until when the demanded leaves must be posted: the response time, and time for one after the other.
pub fn posting_due(shard: &Shard, terms: &JobTerms) -> Deadline {
    let posting = unit_seconds(terms.answer_transactions).saturating_mul(u32::from(shard.leaves_demanded));
    let seconds = terms.response_seconds.saturating_add(posting);
    Deadline { opened_at: shard.demanded_at, opened_slot: shard.demanded_slot, seconds }
}

/// True when the price goes to the provider, false when it goes back to the renter. Asked once the challenge window is
/// over: from then on silence has a meaning, and no more leaves can be demanded.
pub fn delivered(shard: &Shard, terms: &JobTerms, now: &Now) -> Result<bool> {
    match terms.delivery().ok_or(AssayError::BadDelivery)? {
        DeliveryMode::None => Ok(true),
        DeliveryMode::Ledger if shard.leaves_posted == shard.leaves_demanded => Ok(true),
        DeliveryMode::Ledger => {
            ensure(posting_due(shard, terms).passed(now), AssayError::DeliveryOpen)?;
            Ok(false)
        }
        DeliveryMode::Attested => Ok(match shard.attested {
            0 => terms.silence() == Some(Silence::Pay),
            said => said == ARRIVED,
        }),
    }
}
