//! What was overlooked and what is left over: shards of ours that the journal does not know, files that nobody needs,
//! evidence that a crash left, accounts whose rent we paid and that nothing depends on any more.

use std::{collections::HashMap, mem::offset_of, sync::Arc, time::Instant};

use anchor_lang::Discriminator;
use assay_client::{accounts::decode, ix};
use assay_settlement::{
    DrawSeed, JobTerms, Shard, ShardState,
    constants::SEED_KEEP_SECONDS,
    rules::{
        shard::closable,
        time::{Deadline, Now},
    },
};
use bytemuck::Pod;
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use solana_rpc_client_api::filter::{Memcmp, RpcFilterType};

use crate::{
    answer::{close_evidence, strays},
    chain::{Order, overtaken},
    context::{Context, Task, lock},
    error::Result,
    events::{Action, ShardRef, What},
    fetch::blocking,
    journal::State,
    step::is_asked,
    troubles::Place,
};

/// Bytes of Anchor's discriminator in front of an account.
const DISCRIMINATOR: usize = 8;
/// Accounts of a kind that one round closes: there is always a next one.
const CLOSED_AT_ONCE: usize = 16;

/// Whether this worker takes a shard of its provider into work that it finds on the chain and its journal does not
/// know. A claim of another key is another machine's to compute and to give back; what is committed is everybody's to
/// answer.
pub(crate) fn adopts(account: &Shard, operator: &Pubkey) -> bool {
    match account.state() {
        Some(ShardState::Claimed) => account.operator == *operator,
        Some(ShardState::Committed | ShardState::Sampled) => true,
        _ => false,
    }
}

/// Whether a shard's account was kept long enough after its end: as long as its result is.
fn is_stale(shard: &Shard, terms: &JobTerms, kept: i64, now: &Now) -> bool {
    let ended = if shard.ended_at > 0 { shard.ended_at } else { terms.expires_at };
    now.time >= ended.saturating_add(kept)
}

/// Accounts seen in two looks of which the first was `age` ago; `seen` remembers the looks.
fn lasting(
    seen: &mut HashMap<Pubkey, Instant>,
    now_there: &[Pubkey],
    now: Instant,
    age: std::time::Duration,
) -> Vec<Pubkey> {
    seen.retain(|address, _| now_there.contains(address));
    let lasting = now_there.iter().filter(|address| {
        let first = seen.get(*address).copied();
        seen.entry(**address).or_insert(now);
        first.is_some_and(|first| now.saturating_duration_since(first) >= age)
    });
    lasting.copied().collect()
}

impl Context {
    /// Takes shards of ours on the chain into the journal that it does not know, and forgets what is not needed.
    pub async fn search(self: &Arc<Self>) -> Result<()> {
        let began = Instant::now();
        // Asked before the chain: a claim that lands in between has a row by then.
        for (address, account) in self.chain.reader.shards_of_provider(&self.provider).await? {
            if !adopts(&account, &self.chain.me()) {
                continue;
            }
            let job = self.job(&account.job).await?;
            if job.job.terms.market != self.config.market {
                continue;
            }
            let shard = ShardRef { job: account.job, index: account.index, shard: address };
            if self.journal.open_obligation(&shard, State::Claimed, account.price)? {
                self.tell(shard, None, What::Found);
            }
        }
        *lock(&self.searched) = Some(began);
        let unfinished = self.journal.unfinished()?;
        // Of a job that is still wanted the inputs stay: they may just have been fetched.
        let mut kept = lock(&self.wanted).clone();
        kept.extend(unfinished.iter().map(|row| row.shard.job));
        self.keep_jobs(&kept);
        // Where a job has not been read yet its inputs are not known, and may be wanted for an answer: all stay.
        let are_known = self.knows(&kept);
        let (roots, context) = (self.input_roots(), self.clone());
        blocking(&self.tasks, move || {
            for shard in context.journal.finished_before(context.config.keep_results)? {
                context.store.remove_result(&shard)?;
                context.journal.forget_result(&shard)?;
            }
            if are_known { context.store.keep_inputs(&roots) } else { Ok(()) }
        })
        .await
    }

    /// Closes what holds lamports of ours and nobody needs.
    pub async fn tidy(self: &Arc<Self>) -> Result<()> {
        self.close_left_evidence().await?;
        let strays = strays(&self.chain, Some(&self.journal)).await?;
        let closable = lasting(&mut lock(&self.strays), &strays, Instant::now(), self.config.pace.sweep);
        for address in closable {
            close_evidence(&self.chain, None, None, &address).await?;
        }
        // A bond that can't be divided, its vault being frozen, keeps nothing else from being closed.
        let bonds = self.collect_all_bonds().await;
        self.close_shards().await?;
        self.close_seeds().await?;
        bonds
    }

    /// Closes evidence accounts that a crash or a lost answer left behind, of shards that nobody works on now.
    async fn close_left_evidence(self: &Arc<Self>) -> Result<()> {
        for (address, shard) in self.journal.evidence()? {
            // Answers begin only while the shard is taken.
            let Some(_busy) = self.take(Task::Shard(shard)).filter(|_| !self.is_answering(&shard)) else { continue };
            let Some(row) = self.journal.get(&shard)? else { continue };
            // Still to be answered: the next answer uses it.
            if !row.state.is_final() && self.still_demands(&row.shard).await? {
                continue;
            }
            close_evidence(&self.chain, Some(&self.journal), Some(row.shard), &address).await?;
        }
        Ok(())
    }

    async fn still_demands(self: &Arc<Self>, shard: &ShardRef) -> Result<bool> {
        let Some(account) = self.read_shard(shard).await? else { return Ok(false) };
        let job = self.job(&shard.job).await?;
        Ok(is_asked(&account, &job.job.terms))
    }

    /// Accounts of a type whose rent our key paid.
    async fn paid_by_us<T: Pod + Discriminator>(&self, rent_payer: usize) -> Result<Vec<(Pubkey, T)>> {
        let filters = vec![
            RpcFilterType::Memcmp(Memcmp::new_raw_bytes(0, T::DISCRIMINATOR.to_vec())),
            RpcFilterType::Memcmp(Memcmp::new_raw_bytes(
                DISCRIMINATOR.saturating_add(rent_payer),
                self.chain.me().to_bytes().to_vec(),
            )),
        ];
        let found = self.chain.reader.rpc().program_accounts(&assay_settlement::ID, filters).await?;
        found.into_iter().map(|(address, account)| Ok((address, decode(&address, &account)?))).collect()
    }

    async fn close(&self, action: Action, shard: Option<ShardRef>, close: Instruction) -> Result<()> {
        // Not of the journal's making: nothing to look up after a crash.
        match self.chain.send(Order { action, shard, instructions: &[close], units: None }).await {
            // Somebody else did.
            Err(error) if !overtaken(&error) => Err(error),
            _ => Ok(()),
        }
    }

    async fn close_shards(&self) -> Result<()> {
        let shards: Vec<(Pubkey, Shard)> = self.paid_by_us(offset_of!(Shard, rent_payer)).await?;
        let now = self.chain.now().await?;
        let kept = i64::try_from(self.config.keep_results.as_secs()).unwrap_or(i64::MAX);
        let mut closed = 0usize;
        for (address, account) in shards {
            // What can't be old enough needs no look at its job.
            let young = account.ended_at > 0 && now.time < account.ended_at.saturating_add(kept);
            let working = matches!(
                account.state(),
                None | Some(ShardState::Claimed | ShardState::Committed | ShardState::Sampled)
            );
            if young || working || closed >= CLOSED_AT_ONCE {
                continue;
            }
            // Read anew: what is remembered of jobs is only what never changes.
            let Some(job) = self.chain.reader.find_job(&account.job).await? else { continue };
            if closable(&account, &job, &now) && is_stale(&account, &job.terms, kept, &now) {
                let shard = ShardRef { job: account.job, index: account.index, shard: address };
                let close = ix::close_shard(&account.job, account.index, account.rent_payer);
                self.close(Action::CloseShard, Some(shard), close).await?;
                closed = closed.saturating_add(1);
            }
        }
        Ok(())
    }

    async fn close_seeds(&self) -> Result<()> {
        let seeds: Vec<(Pubkey, DrawSeed)> = self.paid_by_us(offset_of!(DrawSeed, rent_payer)).await?;
        let now = self.chain.now().await?;
        let old = seeds.into_iter().filter(|(_, seed)| {
            let kept =
                Deadline { opened_at: seed.recorded_at, opened_slot: seed.recorded_slot, seconds: SEED_KEEP_SECONDS };
            kept.passed(&now)
        });
        for (_, seed) in old.take(CLOSED_AT_ONCE) {
            self.close(Action::CloseSeed, None, ix::close_seed(seed.window, seed.rent_payer)).await?;
        }
        Ok(())
    }

    /// Whether the journal can be written again, after it could not.
    pub fn probe_disk(&self) {
        if self.troubles.has(Place::Disk)
            && self.troubles.may_try(Place::Disk)
            && self.noted(self.journal.probe()).is_some()
        {
            self.troubles.well(Place::Disk);
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "test code")]
mod tests {
    use super::*;
    use bytemuck::Zeroable;
    use std::time::Duration;

    #[test]
    fn claims_of_another_machine_are_its_own() {
        let (ours, other) = (Pubkey::new_from_array([1; 32]), Pubkey::new_from_array([2; 32]));
        let shard = |state: ShardState, operator| {
            let mut shard = Shard::zeroed();
            (shard.state, shard.operator) = (state as u8, operator);
            shard
        };
        assert!(adopts(&shard(ShardState::Claimed, ours), &ours));
        assert!(!adopts(&shard(ShardState::Claimed, other), &ours));
        for state in [ShardState::Committed, ShardState::Sampled] {
            assert!(adopts(&shard(state, ours), &ours) && adopts(&shard(state, other), &ours));
        }
        for state in [ShardState::Open, ShardState::Settled, ShardState::Slashed] {
            assert!(!adopts(&shard(state, ours), &ours));
        }
    }

    #[test]
    fn only_what_lasts_is_closed() {
        let keys: Vec<Pubkey> = (0..3).map(|i| Pubkey::new_from_array([i; 32])).collect();
        let (start, age) = (Instant::now(), Duration::from_secs(600));
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut seen = HashMap::new();
        assert!(lasting(&mut seen, &keys[..2], at(0), age).is_empty());
        assert!(lasting(&mut seen, &keys, at(599), age).is_empty());
        assert_eq!(lasting(&mut seen, &keys, at(600), age), keys[..2]);
        // One that was gone in between begins anew.
        assert!(lasting(&mut seen, &keys[2..], at(700), age).is_empty());
        assert_eq!(lasting(&mut seen, &keys, at(1_200), age), keys[2..]);
        assert!(lasting(&mut seen, &keys[..1], at(1_201), Duration::ZERO).len() == 1);
        assert!(lasting(&mut HashMap::new(), &keys, at(0), Duration::ZERO).is_empty(), "once is not twice");
    }

    #[test]
    fn shard_accounts_stay_as_long_as_results() {
        let (mut shard, mut terms) = (Shard::zeroed(), JobTerms::zeroed());
        terms.expires_at = 1_000;
        let at = |time| Now { time, ..Now::default() };
        assert!(!is_stale(&shard, &terms, 500, &at(1_499)) && is_stale(&shard, &terms, 500, &at(1_500)));
        shard.ended_at = 2_000;
        assert!(!is_stale(&shard, &terms, 500, &at(2_499)) && is_stale(&shard, &terms, 500, &at(2_500)));
    }
}
