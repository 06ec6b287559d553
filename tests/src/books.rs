//! What must hold after every transaction: no token is made or lost, every vault holds what the accounts say it owes,
//! locks and counters add up.

use crate::{
    chain::Chain,
    tokens::{TOKEN_2022, WRAPPED_SOL},
};
use assay_client::{accounts::decode_data, token};
use assay_settlement::{
    Challenge, ChallengeState, Delivery, Job, Market, Provider, Shard, ShardState, rules::load, seeds,
    state::unit_seconds,
};
use bytemuck::Pod;
use solana_pubkey::Pubkey;
use std::collections::HashMap;

/// All accounts of one type.
pub fn all<T: Pod + anchor_lang::Discriminator>(chain: &Chain) -> Vec<(Pubkey, T)> {
    let accounts = chain.svm.get_program_accounts(&assay_settlement::ID);
    accounts.into_iter().filter_map(|(key, account)| Some((key, decode_data::<T>(&account.data)?))).collect()
}

/// Base units in a token account.
pub fn held(chain: &Chain, account: &Pubkey) -> u64 {
    chain.data(account).and_then(|data| token::amount(&data)).unwrap_or(0)
}

/// Base units of `mint` in all token accounts together.
pub fn in_circulation(chain: &Chain, mint: &Pubkey) -> u64 {
    let of = |program| chain.svm.get_program_accounts(program).into_iter().map(|(_, a)| a.data);
    let all = of(&token::SPL_TOKEN).chain(of(&TOKEN_2022));
    all.filter(|data| data.starts_with(mint.as_ref())).filter_map(|data| token::amount(&data)).sum()
}

/// Base units of `mint` that were ever made, as the mint says; for wrapped SOL, as the tests count.
pub fn supply(chain: &Chain, mint: &Pubkey) -> u64 {
    if *mint == WRAPPED_SOL {
        return chain.wrapped;
    }
    chain.data(mint).and_then(|data| Some(u64::from_le_bytes(*data.get(36..)?.first_chunk()?))).unwrap_or(0)
}

/// Whether a provider has it in work, as its account counts.
fn in_work(shard: &Shard) -> bool {
    matches!(shard.state(), Some(ShardState::Claimed | ShardState::Committed | ShardState::Sampled))
        || shard.state() == Some(ShardState::Slashed) && shard.seized == 0
}

/// Checks everything.
///
/// # Panics
/// When something does not add up, with what it is.
pub fn check(chain: &Chain, mints: &[Pubkey]) {
    for mint in mints {
        assert_eq!(in_circulation(chain, mint), supply(chain, mint), "tokens of {mint}");
    }
    let mut locks: HashMap<Pubkey, (u64, u32)> = HashMap::new();
    let mut loads: HashMap<Pubkey, u64> = HashMap::new();
    let load_of: HashMap<Pubkey, u32> =
        all::<Job>(chain).iter().map(|(key, job)| (*key, load::of_shard(&job.terms))).collect();
    let mut jobs: HashMap<Pubkey, [u32; 4]> = HashMap::new();
    for (key, shard) in all::<Shard>(chain) {
        let state = shard.state().expect("a known state");
        let owes = shard.owed_renter + shard.owed_bounty + shard.owed_treasury;
        let working = in_work(&shard);
        if !matches!(state, ShardState::Open | ShardState::Settled) {
            let lock = locks.entry(shard.provider).or_default();
            lock.0 += shard.collateral;
            lock.1 += u32::from(working);
            if working {
                *loads.entry(shard.provider).or_default() += u64::from(load_of[&shard.job]);
            }
            assert!(owes <= shard.collateral, "debts of {key} exceed its own lock");
        }
        assert!(state != ShardState::Slashed || owes == shard.collateral, "a slashed lock is divided whole, {key}");
        let count = jobs.entry(shard.job).or_default();
        count[0] += u32::from(working);
        count[1] += u32::from(state == ShardState::Settled);
        count[2] += u32::from(state == ShardState::Slashed && shard.seized != 0);
        count[3] += 1;
    }
    for (key, provider) in all::<Provider>(chain) {
        assert_eq!(u64::from(provider.load_seconds), loads.remove(&key).unwrap_or_default(), "load of provider {key}");
        let (locked, active) = locks.remove(&key).unwrap_or_default();
        assert_eq!((provider.locked, provider.active), (locked, active), "locks of provider {key}");
        assert!(provider.locked <= provider.staked, "stake of provider {key}");
        assert!(provider.staked <= held(chain, &provider.vault), "vault of provider {key}");
    }
    // A slashed shard that owes nothing any more holds no lock, and its provider may have left.
    assert!(locks.values().all(|lock| *lock == (0, 0)), "locks of providers that do not exist");
    for (key, job) in all::<Job>(chain) {
        let [active, settled, slashed, accounts] = jobs.remove(&key).unwrap_or_default();
        assert_eq!((job.active, job.shard_accounts), (active, accounts), "shards of job {key}");
        assert!(job.settled >= settled && job.slashed >= slashed, "counters of job {key}");
        let owed = job.owed(&chain.now()).expect("small sums");
        assert!(owed.total().expect("small sums") <= held(chain, &job.vault), "vault of job {key}");
    }
    assert!(jobs.is_empty(), "shards of jobs that do not exist");
    disputes(chain);
    counters(chain);
}

/// Bonds lie in their vaults, and shards know how many of their challenges wait for what.
fn disputes(chain: &Chain) {
    let mut states: HashMap<Pubkey, [u32; 3]> = HashMap::new();
    for (key, challenge) in all::<Challenge>(chain) {
        assert_eq!(key, seeds::challenge(&challenge.shard, challenge.cell));
        assert!(challenge.bond <= held(chain, &challenge.vault), "bond of {key}");
        states.entry(challenge.shard).or_default()[usize::from(challenge.state)] += 1;
    }
    let units: HashMap<Pubkey, u32> =
        all::<Job>(chain).iter().map(|(key, job)| (*key, unit_seconds(job.terms.answer_transactions))).collect();
    let mut waiting: HashMap<Pubkey, u64> = HashMap::new();
    for (key, shard) in all::<Shard>(chain) {
        if in_work(&shard) {
            let seconds = u64::from(units[&shard.job]) * u64::from(shard.open_challenges);
            *waiting.entry(shard.provider).or_default() += seconds;
        }
        let [open, answered, won] = states.remove(&key).unwrap_or_default();
        let working = matches!(shard.state(), Some(ShardState::Committed | ShardState::Sampled)) && shard.accepted == 0;
        assert!(if working { shard.open_challenges == open } else { shard.open_challenges >= open }, "{key}: open");
        assert_eq!(shard.unpaid_challenges, answered, "{key}: answered and unpaid");
        assert!(won <= u32::from(shard.state() == Some(ShardState::Slashed)), "{key}: one challenge wins, once");
        assert!(shard.accepted == 0 || shard.state() != Some(ShardState::Claimed), "{key}: accepted");
    }
    for (key, provider) in all::<Provider>(chain) {
        // Unanswered ones count with their shard; answered ones while they exist, unless the provider left and came back.
        let answered = all::<Challenge>(chain).into_iter().map(|(_, c)| c).filter(|c| {
            let answered = c.state() == Some(ChallengeState::Answered);
            answered && c.provider == key && c.opened_at >= provider.registered_at
        });
        let queued = answered.map(|c| u64::from(c.unit)).sum::<u64>() + waiting.remove(&key).unwrap_or_default();
        assert_eq!(provider.queued_seconds, queued, "queue of provider {key}");
    }
    let left = states.values().map(|s| s[ChallengeState::Answered as usize]).sum::<u32>();
    assert_eq!(left, 0, "a shard's account closed before its answered challenges were paid");
    let deliveries: HashMap<Pubkey, Delivery> = all::<Delivery>(chain).into_iter().collect();
    for delivery in deliveries.values() {
        assert!(delivery.posted.count_ones() <= u32::from(delivery.count), "delivery of {}", delivery.shard);
    }
    for (key, shard) in all::<Shard>(chain) {
        let delivery = deliveries.get(&seeds::delivery(&key));
        let listed = delivery.map(|d| (u32::from(d.count), d.posted.count_ones()));
        let told = (u32::from(shard.leaves_demanded), u32::from(shard.leaves_posted));
        assert!(listed.is_none_or(|l| l == told), "{key}: {listed:?} listed, {told:?} in the shard");
        let ended = matches!(shard.state(), Some(ShardState::Settled | ShardState::Slashed));
        assert!(ended || listed.is_some() == (told.0 > 0), "{key}: demanded leaves without a list");
    }
}

/// Markets know how many jobs and providers they have, jobs what was prepaid.
fn counters(chain: &Chain) {
    let mut prepaid: HashMap<Pubkey, u64> = HashMap::new();
    for (key, shard) in all::<Shard>(chain) {
        *prepaid.entry(shard.job).or_default() += shard.prepaid;
        let ended = shard.state() == Some(ShardState::Settled);
        assert!(ended || shard.seized != 0 || shard.posted_pay <= shard.prepaid, "{key}: posting was prepaid");
    }
    let mut counted: HashMap<Pubkey, (u64, u64)> = HashMap::new();
    for (key, job) in all::<Job>(chain) {
        assert_eq!(job.prepaid, prepaid.get(&key).copied().unwrap_or_default(), "prepaid in job {key}");
        counted.entry(job.terms.market).or_default().0 += 1;
    }
    for (_, provider) in all::<Provider>(chain) {
        counted.entry(provider.market).or_default().1 += 1;
    }
    for (key, market) in all::<Market>(chain) {
        let counted = counted.remove(&key).unwrap_or_default();
        assert_eq!((market.jobs, market.providers), counted, "jobs and providers of market {key}");
    }
    assert!(counted.is_empty(), "jobs or providers of markets that do not exist");
}
