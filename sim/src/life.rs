//! One shard, from its claim to the last payment, by the program's rules.

use anchor_lang::prelude::Pubkey;
use assay_kernels::hash::Hash;
use assay_settlement::{
    constants::{MAX_CELLS, SEED_HASHES, WINDOW_SLOTS},
    rules::{
        challenge,
        judgement::{self, Verdict},
        shard::{self, Claim, Roll},
        time::Now,
        window,
    },
    state::{Challenge, Job, Provider, Shard, ShardState},
};
use bytemuck::Zeroable;
use rand::Rng;

use crate::{
    Result,
    deal::{Deal, OPERATOR},
    wrong::{Placed, Wrong},
};

/// An account of the provider's own: bounties that go there are won back.
pub const POCKET: Pubkey = Pubkey::new_from_array([1; 32]);
/// Somebody else.
pub const STRANGER: Pubkey = Pubkey::new_from_array([2; 32]);
/// Entries of the SlotHashes sysvar: a window older than that has aged out.
pub const HORIZON_SLOTS: u64 = 512;
/// A day in the middle of nowhere, so that nothing begins at zero.
const START: Now = Now { time: 1_000_000, slot: 2_500_000, last_restart_slot: 0 };

/// Who looks at a shard besides the chain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    /// Share of shards whose renter names cells, m of them, drawn by cost with a seed of its own.
    pub naming: f64,
    /// Share of shards that somebody computes again in full, and says so.
    pub recheck: f64,
}

/// How a shard ended for its provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct End {
    /// True when it was slashed.
    pub slashed: bool,
    /// What provider and pocket have more than before, in prices. The cost of the work is not in it.
    pub money: f64,
}

/// A committed shard and those it belongs to.
#[derive(Clone)]
pub struct Life<'a> {
    deal: &'a Deal,
    job: Job,
    provider: Provider,
    shard: Shard,
    address: Pubkey,
    staked_before: u64,
    /// The chain's time.
    pub now: Now,
}

/// The seed of a window whose hashes nobody chose.
pub fn fresh_seed(chance: &mut impl Rng, w: u64) -> Hash {
    let mut hashes = [[0u8; 32]; SEED_HASHES];
    chance.fill_bytes(hashes.as_flattened_mut());
    window::seed(w, &hashes)
}

impl<'a> Life<'a> {
    /// A shard claimed at once and committed a minute later.
    pub fn committed(deal: &'a Deal, chance: &mut impl Rng) -> Result<Self> {
        Self::committed_after(deal, 150, chance)
    }

    /// A shard claimed at once and committed so many slots later.
    pub fn committed_after(deal: &'a Deal, slots: u64, chance: &mut impl Rng) -> Result<Self> {
        let mut life = Self::claimed(deal, chance)?;
        life.now.slot = life.now.slot.saturating_add(slots);
        life.commit(chance.random())?;
        Ok(life)
    }

    /// Commits this root now.
    pub fn commit(&mut self, root: Hash) -> Result<()> {
        shard::commit(&mut self.shard, &self.provider, &OPERATOR, root, &self.now)
    }

    /// A shard just claimed.
    pub fn claimed(deal: &'a Deal, chance: &mut impl Rng) -> Result<Self> {
        let mut address = [0u8; 32];
        chance.fill_bytes(&mut address);
        let (mut job, mut provider, mut shard) = (deal.job()?, deal.provider(), Shard::zeroed());
        job.terms.created_at = START.time;
        job.terms.expires_at = START.time.saturating_add(i64::from(u32::MAX));
        let staked_before = provider.staked;
        claim(&mut job, &mut provider, &mut shard, &START)?;
        Ok(Life { deal, job, provider, shard, address: address.into(), staked_before, now: START })
    }

    /// Lets time pass, in slots of 400 ms.
    pub fn pass(&mut self, seconds: u32) {
        self.now.time = self.now.time.saturating_add(i64::from(seconds));
        self.now.slot = self.now.slot.saturating_add(u64::from(seconds).saturating_mul(5).div_ceil(2));
    }

    /// The claim is given back by its operator. Returns the penalty, base units.
    pub fn release(&mut self) -> Result<u64> {
        shard::release(&mut self.job, &mut self.provider, &mut self.shard, &OPERATOR, false, &self.now)
    }

    /// The claim is ended because its time is over. Returns the penalty, base units.
    pub fn expire(&mut self) -> Result<u64> {
        shard::expire(&mut self.job, &mut self.provider, &mut self.shard, false, &self.now)
    }

    /// The shard, given back, is claimed once more. Returns its price, base units.
    pub fn claim_again(&mut self) -> Result<u64> {
        claim(&mut self.job, &mut self.provider, &mut self.shard, &self.now)?;
        Ok(self.shard.price)
    }

    /// Price of the claim, base units.
    pub fn price(&self) -> u64 {
        self.shard.price
    }

    /// The window that draws.
    pub fn window(&self) -> u64 {
        self.shard.window
    }

    /// Moves the clock to the first slot in which the window has aged out.
    pub fn age_out(&mut self) {
        let gone = self.shard.window.saturating_mul(WINDOW_SLOTS).saturating_add(HORIZON_SLOTS).saturating_add(1);
        let slots = gone.saturating_sub(self.now.slot);
        self.now.slot = gone.max(self.now.slot);
        let seconds = i64::try_from(slots.saturating_mul(2).div_euclid(5)).unwrap_or(i64::MAX);
        self.now.time = self.now.time.saturating_add(seconds);
    }

    /// Whether a seed would draw none of the wrong cells: what a cheater computes before it acts.
    pub fn spares(&self, seed: &Hash, wrong: &Placed) -> Result<bool> {
        self.root_spares(&self.shard.root, seed, wrong)
    }

    /// The same for a root that is not committed yet.
    pub fn root_spares(&self, root: &Hash, seed: &Hash, wrong: &Placed) -> Result<bool> {
        let drawn = self.cells_of(seed, root, self.job.terms.samples)?;
        Ok(!drawn.iter().any(|cell| wrong.contains(*cell)))
    }

    fn cells_of(&self, seed: &Hash, root: &Hash, n: u8) -> Result<Vec<u64>> {
        let Some(range) = self.job.terms.shard(self.shard.index) else { return Ok(Vec::new()) };
        let mut cells = [0u64; MAX_CELLS];
        let n = range.draw(seed, &self.address.to_bytes(), root, n, &mut cells)?;
        Ok(cells.into_iter().take(usize::from(n)).collect())
    }

    /// Draws with this seed.
    pub fn draw(&mut self, seed: &Hash) -> Result<()> {
        let w = self.shard.window;
        shard::draw(&mut self.shard, &self.job.terms, &self.address, w, seed, &self.now)
    }

    /// Rolls a window that aged out.
    pub fn roll(&mut self) -> Result<Roll> {
        shard::roll(&mut self.shard, &self.job.terms, &POCKET, &self.now)
    }

    /// The renter names m cells, drawn as the chain draws, with a seed that only it knows.
    pub fn name(&mut self, chance: &mut impl Rng) -> Result<()> {
        let named = self.cells_of(&chance.random(), &self.shard.root, self.job.terms.named)?;
        if named.is_empty() { Ok(()) } else { shard::name(&mut self.shard, &self.job.terms, &named, &self.now) }
    }

    /// The provider answers what is demanded; the first wrong cell convicts it, by its own hand, for the bounty.
    pub fn answer(&mut self, wrong: &Placed) -> Result<()> {
        while !self.slashed() {
            let open = judgement::unanswered(&self.shard, &self.job.terms);
            let first = usize::try_from(open.trailing_zeros()).unwrap_or(usize::MAX);
            let Some(cell) = self.shard.cells.get(first).copied() else { return Ok(()) };
            self.judge(cell, wrong, &POCKET)?;
        }
        Ok(())
    }

    /// Somebody shows a cell to the judge.
    pub fn judge(&mut self, cell: u64, wrong: &Placed, by: &Pubkey) -> Result<Verdict> {
        let right = !wrong.contains(cell);
        judgement::adjudicate(&mut self.shard, &self.job.terms, cell, right, None, by, &self.now)
    }

    /// Somebody challenges a cell. Returns the challenge and when it is due, unix seconds.
    pub fn challenge(&mut self, cell: u64, by: &Pubkey) -> Result<(Challenge, i64)> {
        let mut made = Challenge::zeroed();
        challenge::open(&self.job, &mut self.provider, &mut self.shard, &mut made, by, cell, &self.now)?;
        let due = made.due().time();
        Ok((made, due))
    }

    /// Answers a challenge and divides its bond. Returns the provider's and the renter's part, base units.
    pub fn answer_challenge(&mut self, made: &mut Challenge) -> Result<(u64, u64)> {
        let (terms, cell) = (&self.job.terms, made.cell);
        judgement::adjudicate(&mut self.shard, terms, cell, true, Some(made), &POCKET, &self.now)?;
        let parts = challenge::pay(&mut self.job, Some(&mut self.provider), &mut self.shard, made)?;
        Ok((parts.provider, parts.renter))
    }

    /// The renter accepts the shard, and somebody settles it.
    pub fn accept(&mut self) -> Result<()> {
        shard::accept(&mut self.shard)?;
        shard::settle(&mut self.job, &mut self.provider, &mut self.shard, &self.now)?;
        Ok(())
    }

    /// The bond of this challenge goes back whole; refused unless it may.
    pub fn return_bond(&self, made: &Challenge) -> Result<()> {
        challenge::returnable(made, Some(&self.shard), &self.now)
    }

    /// Seconds in the provider's queue of challenges.
    pub fn queued(&self) -> u64 {
        self.provider.queued_seconds
    }

    /// The renter accepts a shard of a provider whose queue is so long by now. Returns what is left of the queue, seconds.
    pub fn accept_of(&mut self, queued: u64) -> Result<u64> {
        self.provider.queued_seconds = queued;
        self.accept()?;
        Ok(self.provider.queued_seconds)
    }

    /// The same provider, with its queue, at work on a shard of another job.
    pub fn elsewhere(&self, deal: &'a Deal, chance: &mut impl Rng) -> Result<Self> {
        let mut other = Life::committed(deal, chance)?;
        other.provider.queued_seconds = self.provider.queued_seconds;
        Ok(other)
    }

    /// True once convicted.
    pub fn slashed(&self) -> bool {
        self.shard.state() == Some(ShardState::Slashed)
    }

    /// Lets the renter name cells, the provider answer and a validator look, as `watch` has it, and ends the shard.
    pub fn watched(mut self, wrong: &Placed, watch: &Watch, chance: &mut impl Rng) -> Result<End> {
        self.answer(wrong)?;
        if !self.slashed() && chance.random_bool(watch.naming) {
            self.name(chance)?;
            self.answer(wrong)?;
        }
        if !self.slashed()
            && chance.random_bool(watch.recheck)
            && let Some(cell) = wrong.any()
        {
            self.judge(cell, wrong, &STRANGER)?;
        }
        self.end()
    }

    /// Settles when the window is over, or seizes and pays the bounty; counts the money.
    pub fn end(mut self) -> Result<End> {
        let mut won = 0u64;
        if self.slashed() {
            shard::seize(&mut self.job, &mut self.provider, &mut self.shard, false, &self.now)?;
            let bounty = shard::pay_bounty(&mut self.provider, &mut self.shard)?;
            won = if self.shard.bounty_to == POCKET { bounty } else { 0 };
        } else {
            self.pass(self.job.terms.challenge_seconds);
            shard::settle(&mut self.job, &mut self.provider, &mut self.shard, &self.now)?;
        }
        let has = self.provider.staked.saturating_add(won);
        let money = (has as f64 - self.staked_before as f64) / self.deal.price as f64;
        Ok(End { slashed: self.slashed(), money })
    }
}

fn claim(job: &mut Job, provider: &mut Provider, shard: &mut Shard, now: &Now) -> Result<()> {
    let claim = Claim { provider: POCKET, operator: OPERATOR, terms_hash: job.terms_hash, min_price: 0 };
    shard::claim(job, provider, shard, &claim, now)
}

/// A whole life: claim, commitment, a seed nobody chose, watchers, payment.
pub fn live(deal: &Deal, wrong: &Wrong, watch: &Watch, chance: &mut impl Rng) -> Result<End> {
    let placed = wrong.place(chance);
    let mut life = Life::committed(deal, chance)?;
    let seed = fresh_seed(chance, life.window());
    life.draw(&seed)?;
    life.watched(&placed, watch, chance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assume::Assumptions;

    fn one(share: f64, watch: Watch) -> End {
        let a = Assumptions::default();
        let deal = Deal::plain(&a);
        let wrong = Wrong::everywhere(&deal.classes, share);
        live(&deal, &wrong, &watch, &mut a.chance("life")).unwrap_or(End { slashed: false, money: f64::NAN })
    }

    #[test]
    fn the_honest_are_paid_and_the_caught_keep_only_their_own_bounty() {
        let watched = Watch { naming: 1.0, recheck: 1.0 };
        assert_eq!(one(0.0, watched), End { slashed: false, money: 0.98 });
        let end = one(1.0, Watch::default());
        assert!(end.slashed && (end.money + 1.35).abs() < 1e-9, "{end:?}");
    }

    #[test]
    fn who_is_found_by_a_stranger_loses_the_bounty_too() {
        let end = one(1.0 / 16_384.0, Watch { naming: 0.0, recheck: 1.0 });
        assert!(end.slashed && (end.money + 1.5).abs() < 1e-9, "{end:?}");
    }
}
