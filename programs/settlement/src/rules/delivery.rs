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

/// The attestor says, once, inside the challenge window, whether the result arrived. After it silence has spoken.
pub fn attest(shard: &mut Shard, terms: &JobTerms, by: &Pubkey, arrived: bool, now: &Now) -> Result<()> {
    state_is(shard, &[ShardState::Committed, ShardState::Sampled])?;
    ensure(!challenge_window(shard, terms).passed(now), AssayError::WindowOver)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::CostClass;
    use bytemuck::Zeroable;
    use proptest::prelude::*;

    fn job(mode: DeliveryMode) -> Job {
        let mut job = Job::zeroed();
        job.renter = Pubkey::new_from_array([1; 32]);
        let t = &mut job.terms;
        (t.shards, t.leaves, t.shard_leaves, t.classes) = (1, 100, 100, 1);
        (t.challenge_seconds, t.response_seconds, t.answer_transactions) = (900, 3_600, 5);
        t.class[0] = CostClass { cells: 400, cost: 1, cells_per_leaf: 4, cell_bytes: 300, stage: 0, reserved: 0 };
        (t.delivery, t.post_per_kib) = (mode as u8, 7);
        job
    }

    fn committed() -> Shard {
        Shard { state: ShardState::Committed as u8, committed_at: 1_000, committed_slot: 3_000, ..Shard::zeroed() }
    }

    fn at(time: i64) -> Now {
        Now { time, slot: u64::try_from(time).unwrap() * 3, last_restart_slot: 0 }
    }

    #[test]
    fn a_missing_leaf_decides_only_when_it_is_overdue() {
        let (mut j, mut s, mut d) = (job(DeliveryMode::Ledger), committed(), Delivery::zeroed());
        assert_eq!(delivered(&s, &j.terms, &at(2_000)), Ok(true), "nothing was demanded");
        let renter = j.renter;
        // A leaf of 1,200 bytes is two KiB, begun ones counted.
        assert_eq!(demand(&mut j, &mut s, &mut d, &renter, &[3, 99], &at(1_100)), Ok(28));
        assert_eq!((j.prepaid, s.prepaid, d.count), (28, 28, 2));
        assert_eq!(delivered(&s, &j.terms, &at(2_000)), Err(AssayError::DeliveryOpen));
        post(&mut s, &mut d, &j.terms, 1, 1_200).unwrap();
        assert_eq!(post(&mut s, &mut d, &j.terms, 1, 1_200), Err(AssayError::AlreadyPosted));
        assert_eq!(post(&mut s, &mut d, &j.terms, 2, 1_200), Err(AssayError::BadLeaves));
        let due = 1_100 + 3_600 + 2 * 10;
        assert_eq!(delivered(&s, &j.terms, &at(due - 1)), Err(AssayError::DeliveryOpen));
        assert_eq!(delivered(&s, &j.terms, &at(due)), Ok(false));
        post(&mut s, &mut d, &j.terms, 0, 1_200).unwrap();
        assert_eq!(delivered(&s, &j.terms, &at(due)), Ok(true), "late ones count until it is settled");
        assert_eq!(s.posted_pay, 28);
    }

    #[test]
    fn who_may_demand_what() {
        let (mut j, s, d) = (job(DeliveryMode::Ledger), committed(), Delivery::zeroed());
        let renter = j.renter;
        let ask = |j: &mut Job, by: Pubkey, leaves: &[u64], time| {
            demand(j, &mut s.clone(), &mut d.clone(), &by, leaves, &at(time))
        };
        assert_eq!(ask(&mut j, Pubkey::new_from_array([2; 32]), &[1], 1_100), Err(AssayError::NotAuthorized));
        for bad in [&[][..], &[1, 1], &[2, 1], &[100], &[0; 65]] {
            assert_eq!(ask(&mut j, renter, bad, 1_100), Err(AssayError::BadLeaves));
        }
        assert_eq!(ask(&mut j, renter, &[1], 1_900), Err(AssayError::WindowOver));
        assert_eq!(ask(&mut job(DeliveryMode::None), renter, &[1], 1_100), Err(AssayError::WrongDelivery));
        assert!(ask(&mut j, renter, &(0..64).collect::<Vec<_>>(), 1_899).is_ok());
    }

    #[test]
    fn an_attestor_speaks_once_and_silence_has_a_meaning() {
        let mut j = job(DeliveryMode::Attested);
        j.terms.attestor = Pubkey::new_from_array([3; 32]);
        let (attestor, mut s) = (j.terms.attestor, committed());
        assert_eq!(delivered(&s, &j.terms, &at(2_000)), Ok(true));
        j.terms.silence = Silence::Refund as u8;
        assert_eq!(delivered(&s, &j.terms, &at(2_000)), Ok(false));
        assert_eq!(attest(&mut s, &j.terms, &j.renter, true, &at(1_100)), Err(AssayError::NotAuthorized));
        attest(&mut s, &j.terms, &attestor, true, &at(1_899)).unwrap();
        assert_eq!(delivered(&s, &j.terms, &at(2_000)), Ok(true));
        assert_eq!(attest(&mut s, &j.terms, &attestor, false, &at(1_100)), Err(AssayError::AlreadyDelivered));
        assert_eq!(attest(&mut committed(), &j.terms, &attestor, true, &at(1_900)), Err(AssayError::WindowOver));
        let mut no = committed();
        attest(&mut no, &j.terms, &attestor, false, &at(1_100)).unwrap();
        assert_eq!(delivered(&no, &j.terms, &at(2_000)), Ok(false));
    }

    proptest! {
        #[test]
        fn posting_never_earns_more_than_was_prepaid(leaves in prop::collection::btree_set(0u64..100, 1..=64), posts in prop::collection::vec(0u8..64, 0..100)) {
            let (mut j, mut s, mut d) = (job(DeliveryMode::Ledger), committed(), Delivery::zeroed());
            let leaves: Vec<u64> = leaves.into_iter().collect();
            let renter = j.renter;
            let prepaid = demand(&mut j, &mut s, &mut d, &renter, &leaves, &at(1_100)).unwrap();
            let mut posted = std::collections::BTreeSet::new();
            for i in posts {
                let fresh = usize::from(i) < leaves.len() && !posted.contains(&i);
                prop_assert_eq!(post(&mut s, &mut d, &j.terms, i, 1_200).is_ok(), fresh);
                if fresh { posted.insert(i); }
            }
            prop_assert!(s.posted_pay <= prepaid);
            prop_assert_eq!(usize::from(s.leaves_posted), posted.len());
            prop_assert_eq!(delivered(&s, &j.terms, &at(2_000)).is_ok(), posted.len() == leaves.len());
        }
    }
}
