//! What must hold after every transaction: no token is made or lost, every vault holds what the accounts say it owes,
//! locks and counters add up.

use crate::chain::Chain;
use assay_client::{accounts::decode_data, token};
use assay_settlement::{Job, Provider, Shard, ShardState};
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
    let accounts = chain.svm.get_program_accounts(&token::SPL_TOKEN);
    accounts.iter().filter(|(_, a)| a.data.starts_with(mint.as_ref())).filter_map(|(_, a)| token::amount(&a.data)).sum()
}

/// Base units of `mint` that were ever made, as the mint says.
pub fn supply(chain: &Chain, mint: &Pubkey) -> u64 {
    chain.data(mint).and_then(|data| Some(u64::from_le_bytes(*data.get(36..)?.first_chunk()?))).unwrap_or(0)
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
    let mut jobs: HashMap<Pubkey, [u32; 4]> = HashMap::new();
    for (key, shard) in all::<Shard>(chain) {
        let state = shard.state().expect("a known state");
        let owes = shard.owed_renter + shard.owed_bounty + shard.owed_treasury;
        let working = matches!(state, ShardState::Claimed | ShardState::Committed | ShardState::Sampled)
            || state == ShardState::Slashed && shard.seized == 0;
        if !matches!(state, ShardState::Open | ShardState::Settled) {
            let lock = locks.entry(shard.provider).or_default();
            lock.0 += shard.collateral;
            lock.1 += u32::from(working);
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
        let (locked, active) = locks.remove(&key).unwrap_or_default();
        assert_eq!((provider.locked, provider.active), (locked, active), "locks of provider {key}");
        assert!(provider.locked <= provider.staked, "stake of provider {key}");
        assert!(provider.staked <= held(chain, &provider.vault), "vault of provider {key}");
    }
    assert!(locks.is_empty(), "locks of providers that do not exist");
    for (key, job) in all::<Job>(chain) {
        let [active, settled, slashed, accounts] = jobs.remove(&key).unwrap_or_default();
        assert_eq!((job.active, job.shard_accounts), (active, accounts), "shards of job {key}");
        assert!(job.settled >= settled && job.slashed >= slashed, "counters of job {key}");
        let owed = job.owed(&chain.now()).expect("small sums");
        assert!(owed.total().expect("small sums") <= held(chain, &job.vault), "vault of job {key}");
    }
    assert!(jobs.is_empty(), "shards of jobs that do not exist");
}
