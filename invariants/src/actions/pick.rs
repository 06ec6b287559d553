//! Choosing at random who does what to what.

use crate::{
    cast::{self, CRANKS, Who},
    model::{Model, Phase, Shard},
};
use rand::{Rng, rngs::StdRng};
use solana_pubkey::Pubkey;
use std::collections::BTreeSet;

/// Chooses, with the model in sight.
pub struct Pick<'a> {
    /// What is.
    pub model: &'a Model,
    /// The dice.
    pub random: &'a mut StdRng,
}

impl Pick<'_> {
    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.random.random_range(0..end)
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of these, if there are any.
    pub fn one<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() { None } else { Some(of[self.random.random_range(0..of.len())]) }
    }

    /// Anybody.
    pub fn anyone(&mut self) -> Who {
        self.random.random_range(0..cast::PEOPLE)
    }

    /// The right one, and now and then anybody.
    pub fn mostly(&mut self, who: Who) -> Who {
        if self.once_in(15) { self.anyone() } else { who }
    }

    /// Somebody who turns cranks, and now and then anybody.
    pub fn crank(&mut self) -> Who {
        let crank = CRANKS[self.random.random_range(0..CRANKS.len())];
        if self.once_in(4) { self.anyone() } else { crank }
    }

    /// A market.
    pub fn market(&mut self) -> usize {
        self.random.random_range(0..self.model.markets.len())
    }

    /// A provider.
    pub fn provider(&mut self) -> usize {
        self.random.random_range(0..self.model.providers.len())
    }

    /// A job; a closed one now and then.
    pub fn job(&mut self) -> Option<usize> {
        if self.once_in(40) && !self.model.jobs.is_empty() {
            return Some(self.random.random_range(0..self.model.jobs.len()));
        }
        let living: Vec<usize> = self.model.living().collect();
        self.one(&living)
    }

    /// A shard of a job that is there, of which this holds; now and then any shard.
    pub fn shard(&mut self, fits: impl Fn(&Shard) -> bool) -> Option<(usize, u32)> {
        let any = self.once_in(12);
        if self.once_in(60) && !self.model.jobs.is_empty() {
            let job = self.random.random_range(0..self.model.jobs.len());
            return Some((job, u32::try_from(self.below(self.model.jobs[job].shards.len() as u64)).unwrap()));
        }
        let model = self.model;
        let all = model.living().flat_map(|job| (0..).zip(&model.jobs[job].shards).map(move |(i, s)| (job, i, s)));
        let fitting: Vec<(usize, u32)> = all.filter(|(_, _, s)| any || fits(s)).map(|(j, i, _)| (j, i)).collect();
        self.one(&fitting)
    }

    /// A shard whose challenge window is open and that is not accepted, of which this holds; now and then any shard.
    pub fn shard_in_window(&mut self, fits: impl Fn(&Shard) -> bool) -> Option<(usize, u32)> {
        let model = self.model;
        let open: BTreeSet<Pubkey> = model
            .living()
            .flat_map(|job| model.jobs[job].shards.iter().map(move |s| (job, s)))
            .filter(|(job, s)| {
                let seconds = model.markets[model.jobs[*job].market].terms.challenge_seconds;
                s.judgeable() && !s.accepted && !model.time.passed(s.committed, u64::from(seconds))
            })
            .map(|(_, s)| s.key)
            .collect();
        self.shard(|s| open.contains(&s.key) && fits(s))
    }

    /// A shard that can be claimed; now and then any shard.
    pub fn shard_to_claim(&mut self) -> Option<(usize, u32)> {
        let model = self.model;
        let takes = |job: &usize| {
            let j = &model.jobs[*job];
            let alive = model.time.now.time < j.created.time + i64::from(j.life);
            alive && !j.cancelled && !model.markets[j.market].paused
        };
        let open: BTreeSet<Pubkey> = model
            .living()
            .filter(takes)
            .flat_map(|job| model.jobs[job].shards.iter().filter(|s| s.phase == Phase::Open).map(|s| s.key))
            .collect();
        self.shard(|s| open.contains(&s.key))
    }

    /// A shard in one of these phases; now and then any shard.
    pub fn shard_in(&mut self, phases: &[Phase]) -> Option<(usize, u32)> {
        self.shard(|s| phases.contains(&s.phase))
    }

    /// The provider that has a shard; now and then any.
    pub fn holder(&mut self, job: usize, index: u32) -> usize {
        let holder = self.model.shard(job, index).holder;
        if holder == usize::MAX || self.once_in(25) { self.provider() } else { holder }
    }
}
