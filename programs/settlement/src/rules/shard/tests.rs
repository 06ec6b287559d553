//! The life of shards against a ledger: single steps, and random sequences of all of them over one job and two
//! providers, with vaults that move exactly what the steps return.

use super::*;
use crate::{
    rules::judgement::{Verdict, adjudicate, demanded, slash_unanswered, unanswered},
    state::CostClass,
};
use bytemuck::Zeroable;
use proptest::prelude::*;

const SHARDS: u32 = 3;
const PRICE_MAX: u64 = 1_000_003;
const STAKE: u64 = 4_000_000;

fn key(n: u8) -> Pubkey {
    Pubkey::new_from_array([n; 32])
}

fn job() -> Job {
    let mut job = Job::zeroed();
    let t = &mut job.terms;
    t.market = key(9);
    t.shards = SHARDS;
    t.leaves = 10;
    t.shard_leaves = 4;
    t.price_start = 100_001;
    t.price_max = PRICE_MAX;
    t.ramp_seconds = 50;
    t.execute_seconds = 100;
    t.challenge_seconds = 200;
    t.response_seconds = 300;
    t.expires_at = 5_000;
    t.collateral_bps = 15_000;
    t.amplification_bps = 10_000;
    t.fee_bps = 200;
    t.bounty_bps = 1_000;
    t.release_min_bps = 200;
    t.release_max_bps = 2_000;
    t.expiry_bps = 2_500;
    t.samples = 3;
    t.named = 3;
    t.answer_transactions = 5;
    t.classes = 1;
    t.class[0] = CostClass { cells: 38, cost: 1, cells_per_leaf: 4, cell_bytes: 4, stage: 0, reserved: 0 };
    job
}

fn provider(n: u8) -> Provider {
    let mut provider = Provider::zeroed();
    provider.market = key(9);
    provider.operators[0] = key(n);
    provider.staked = STAKE;
    provider
}

fn shard(index: u32) -> Shard {
    Shard { index, ..Shard::zeroed() }
}

fn at(time: i64) -> Now {
    Now { time, slot: u64::try_from(time).unwrap() * 3, last_restart_slot: 0 }
}

fn claim_of(n: u8) -> Claim {
    Claim { provider: key(n.wrapping_add(100)), operator: key(n), terms_hash: [0; 32], min_price: 0 }
}

/// A shard claimed at 10, committed at 20 and drawn at 60.
fn sampled() -> (Job, Provider, Shard) {
    let (mut j, mut p, mut s) = (job(), provider(1), shard(0));
    claim(&mut j, &mut p, &mut s, &claim_of(1), &at(10)).unwrap();
    commit(&mut s, &p, &key(1), [7; 32], &at(20)).unwrap();
    let window = s.window;
    draw(&mut s, &j.terms, &key(50), window, &[3; 32], &at(60)).unwrap();
    (j, p, s)
}

fn answer_all(j: &Job, s: &mut Shard, now: &Now) {
    while unanswered(s, &j.terms) != 0 {
        let i = usize::try_from(unanswered(s, &j.terms).trailing_zeros()).unwrap();
        let cell = s.cells[i];
        assert_eq!(adjudicate(s, &j.terms, cell, true, None, &key(1), now), Ok(Verdict::Answered));
    }
}

#[test]
fn settles_once_and_only_when_everything_is_over() {
    let (mut j, mut p, mut s) = sampled();
    assert_eq!(settle(&mut j, &mut p, &mut s, &at(1_000)), Err(AssayError::Unanswered));
    answer_all(&j, &mut s, &at(70));
    assert_eq!(settle(&mut j, &mut p, &mut s, &at(219)), Err(AssayError::WindowOpen));
    let (locked, price) = (s.collateral, s.price);
    let paid = settle(&mut j, &mut p, &mut s, &at(220)).unwrap();
    assert_eq!(paid.to_provider + paid.fee, price);
    assert_eq!((paid.to_job, p.locked, p.staked), (0, 0, STAKE + paid.to_provider));
    assert!(locked >= price + price / 2);
    assert_eq!(settle(&mut j, &mut p, &mut s, &at(9_999)), Err(AssayError::WrongState));
    assert_eq!(slash_unanswered(&mut s, &j.terms, &key(2), &at(9_999)), Err(AssayError::WrongState));
    assert_eq!(adjudicate(&mut s, &j.terms, 0, false, None, &key(2), &at(9_999)), Err(AssayError::WrongState));
}

#[test]
fn an_unanswered_cell_is_slashed_only_when_due() {
    let (j, _, mut s) = sampled();
    assert_eq!(slash_unanswered(&mut s, &j.terms, &key(2), &at(359)), Err(AssayError::TooEarly));
    let halted = Now { time: 9_999, slot: at(60).slot + 10, last_restart_slot: 0 };
    assert_eq!(slash_unanswered(&mut s, &j.terms, &key(2), &halted), Err(AssayError::TooEarly));
    let cell = slash_unanswered(&mut s, &j.terms, &key(2), &at(360)).unwrap();
    assert!(s.cells[..3].contains(&cell));
    assert_eq!((s.state(), s.fault, s.bounty_to), (Some(ShardState::Slashed), Fault::Unanswered as u8, key(2)));
    assert_eq!(s.owed_renter + s.owed_bounty + s.owed_treasury, s.collateral);
}

#[test]
fn a_late_answer_counts_until_somebody_slashes() {
    let (j, _, mut s) = sampled();
    answer_all(&j, &mut s, &at(4_000));
    assert_eq!(slash_unanswered(&mut s, &j.terms, &key(2), &at(4_000)), Err(AssayError::NothingUnanswered));
}

#[test]
fn any_wrong_cell_convicts_and_a_right_one_nobody_asked_for_is_refused() {
    let (j, _, mut s) = sampled();
    let free = (0..16).find(|c| !s.cells[..3].contains(c)).unwrap();
    assert_eq!(adjudicate(&mut s, &j.terms, free, true, None, &key(2), &at(70)), Err(AssayError::NotDemanded));
    assert_eq!(adjudicate(&mut s, &j.terms, free, false, None, &key(2), &at(70)), Ok(Verdict::Convicted));
}

#[test]
fn named_cells_are_due_on_their_own_and_only_once() {
    let (mut j, mut p, mut s) = sampled();
    answer_all(&j, &mut s, &at(70));
    assert_eq!(name(&mut s, &j.terms, &[16], &at(100)), Err(AssayError::NoSuchCell));
    assert_eq!(name(&mut s, &j.terms, &[], &at(100)), Err(AssayError::TooManyCells));
    assert_eq!(name(&mut s, &j.terms, &[1, 2, 3, 4], &at(100)), Err(AssayError::TooManyCells));
    assert_eq!(name(&mut s, &j.terms, &[1], &at(220)), Err(AssayError::WindowOver));
    name(&mut s, &j.terms, &[15, 15, 0], &at(219)).unwrap();
    assert_eq!(name(&mut s, &j.terms, &[1], &at(219)), Err(AssayError::AlreadyNamed));
    assert_eq!(settle(&mut j, &mut p, &mut s, &at(400)), Err(AssayError::Unanswered));
    assert_eq!(slash_unanswered(&mut s, &j.terms, &key(2), &at(518)), Err(AssayError::TooEarly));
    adjudicate(&mut s, &j.terms, 15, true, None, &key(1), &at(400)).unwrap();
    assert_eq!(unanswered(&s, &j.terms).count_ones(), 1, "a cell named twice is answered once");
    assert_eq!(slash_unanswered(&mut s, &j.terms, &key(2), &at(519)), Ok(0), "the late one, not the first");
}

#[test]
fn rolling_a_window_costs_a_kth_of_the_lock_until_it_is_used_up() {
    let (mut j, mut p, mut s) = (job(), provider(1), shard(0));
    claim(&mut j, &mut p, &mut s, &claim_of(1), &at(10)).unwrap();
    commit(&mut s, &p, &key(1), [7; 32], &at(20)).unwrap();
    let step = s.collateral.div_ceil(3);
    assert_eq!(roll(&mut s, &j.terms, &key(2), &at(600)), Ok(Roll::Rolled { owed: step }));
    assert_eq!(roll(&mut s, &j.terms, &key(2), &at(1_200)), Ok(Roll::Rolled { owed: step }));
    let mut rolled_out = s;
    assert_eq!(roll(&mut rolled_out, &j.terms, &key(2), &at(1_800)), Ok(Roll::RolledOut));
    assert_eq!(rolled_out.state(), Some(ShardState::Slashed));
    // What was rolled is paid out of a settlement.
    let window = s.window;
    draw(&mut s, &j.terms, &key(50), window, &[3; 32], &at(1_300)).unwrap();
    answer_all(&j, &mut s, &at(1_300));
    let price = s.price;
    let paid = settle(&mut j, &mut p, &mut s, &at(1_400)).unwrap();
    assert_eq!(paid.to_provider + paid.fee + 2 * step, price + paid.to_job);
}

#[test]
fn only_a_restart_makes_rolling_free() {
    let (mut j, mut p, mut s) = (job(), provider(1), shard(0));
    claim(&mut j, &mut p, &mut s, &claim_of(1), &at(10)).unwrap();
    commit(&mut s, &p, &key(1), [7; 32], &at(20)).unwrap();
    let restarted = Now { last_restart_slot: 1_000, slot: 1_000 + 7_199, time: 4_000 };
    for _ in 0..9 {
        assert_eq!(roll(&mut s, &j.terms, &key(2), &restarted), Ok(Roll::Rolled { owed: 0 }));
    }
    let step = s.collateral.div_ceil(3);
    assert_eq!(roll(&mut s, &j.terms, &key(2), &Now { slot: 8_200, ..restarted }), Ok(Roll::Rolled { owed: step }));
    assert_eq!(roll(&mut s, &j.terms, &key(2), &at(20 + 90 * 86_400)), Ok(Roll::Rolled { owed: step }));
}

#[test]
fn frozen_vaults_hold_nobody_elses_money() {
    let (mut j, mut p, mut s) = (job(), provider(1), shard(0));
    claim(&mut j, &mut p, &mut s, &claim_of(1), &at(10)).unwrap();
    assert_eq!(expire(&mut j, &mut p, &mut s, true, &at(110)), Ok(0), "the penalty can't be moved, so it is waived");
    assert_eq!((p.locked, p.staked, j.active), (0, STAKE, 0));
    let (mut j, mut p, mut s) = sampled();
    adjudicate(&mut s, &j.terms, 1, false, None, &key(2), &at(70)).unwrap();
    let owed = (s.owed_renter, s.owed_treasury);
    assert_eq!(seize(&mut j, &mut p, &mut s, true, &at(80)), Ok(0));
    assert_eq!((j.active, j.slashed, p.active, s.owed_renter, s.owed_treasury), (0, 1, 0, owed.0, owed.1));
    assert_eq!(seize(&mut j, &mut p, &mut s, true, &at(80)), Err(AssayError::NothingOwed));
    assert_eq!(seize(&mut j, &mut p, &mut s, false, &at(90)), Ok(owed.0 + owed.1), "thawed: the debts move once");
    assert_eq!(seize(&mut j, &mut p, &mut s, false, &at(90)), Err(AssayError::NothingOwed));
}

#[test]
fn a_claim_that_comes_back_gives_the_ramp_its_time_back() {
    let (mut j, mut p, mut s) = (job(), provider(1), shard(0));
    claim(&mut j, &mut p, &mut s, &claim_of(1), &at(10)).unwrap();
    assert_eq!(expire(&mut j, &mut p, &mut s, false, &at(109)), Err(AssayError::TooEarly));
    let price = s.price;
    assert_eq!(expire(&mut j, &mut p, &mut s, false, &at(110)).unwrap(), price.div_ceil(4));
    assert_eq!((s.ramp_from, p.locked, j.active), (100, 0, 0));
    claim(&mut j, &mut p, &mut s, &claim_of(1), &at(110)).unwrap();
    assert_eq!(s.price, price, "the auction goes on where the claim interrupted it");
}

#[test]
fn claims_are_refused_by_name() {
    let (mut j, mut p, mut s) = (job(), provider(1), shard(0));
    let ok = claim_of(1);
    let mut refused =
        |j: &mut Job, p: &mut Provider, claim_: Claim, time: i64| claim(j, p, &mut s, &claim_, &at(time)).unwrap_err();
    assert_eq!(refused(&mut j, &mut p, Claim { terms_hash: [1; 32], ..ok }, 10), AssayError::TermsChanged);
    assert_eq!(refused(&mut j, &mut p, Claim { operator: key(2), ..ok }, 10), AssayError::NotAuthorized);
    assert_eq!(refused(&mut j, &mut p, Claim { operator: NOBODY, ..ok }, 10), AssayError::NotAuthorized);
    assert_eq!(refused(&mut j, &mut p, Claim { min_price: PRICE_MAX, ..ok }, 10), AssayError::PriceTooLow);
    assert_eq!(refused(&mut j, &mut p, ok, 5_000), AssayError::JobClosed);
    let mut poor = p;
    poor.staked = 100;
    assert_eq!(refused(&mut j, &mut poor, ok, 10), AssayError::StakeTooSmall);
    let mut elsewhere = p;
    elsewhere.market = key(8);
    assert_eq!(refused(&mut j, &mut elsewhere, ok, 10), AssayError::WrongMarket);
    j.terms.reserved_for = key(77);
    assert_eq!(refused(&mut j, &mut p, ok, 10), AssayError::Reserved);
    j.terms.reserved_for = NOBODY;
    j.cancelled = 1;
    assert_eq!(refused(&mut j, &mut p, ok, 10), AssayError::JobClosed);
    assert_eq!((j.active, p.locked), (0, 0), "a refused claim changes nothing");
}

/// One step of a random sequence; numbers pick shard, provider and cell.
#[derive(Clone, Debug)]
enum Op {
    Claim(u8),
    Release,
    Expire,
    Commit,
    Draw([u8; 32]),
    Roll,
    Name(u8),
    Answer(u8),
    Convict(u8),
    SlashLate,
    Settle,
    Seize,
    Bounty,
    Cancel,
    Refund,
    Freeze(bool),
}

fn ops() -> impl Strategy<Value = Vec<(Op, u32, u16)>> {
    let op = prop_oneof![
        6 => (0u8..2).prop_map(Op::Claim),
        1 => Just(Op::Release),
        1 => Just(Op::Expire),
        6 => Just(Op::Commit),
        5 => any::<[u8; 32]>().prop_map(Op::Draw),
        1 => Just(Op::Roll),
        1 => (0u8..20).prop_map(Op::Name),
        8 => (0u8..20).prop_map(Op::Answer),
        1 => (0u8..20).prop_map(Op::Convict),
        2 => Just(Op::SlashLate),
        4 => Just(Op::Settle),
        3 => Just(Op::Seize),
        2 => Just(Op::Bounty),
        1 => Just(Op::Refund),
        1 => any::<bool>().prop_map(Op::Freeze),
    ];
    let op = prop_oneof![60 => op, 1 => Just(Op::Cancel)];
    proptest::collection::vec((op, 0..SHARDS, 0u16..200), 0..120)
}

struct Ledger {
    job: Job,
    providers: [Provider; 2],
    shards: Vec<Shard>,
    job_vault: u64,
    stake_vaults: [u64; 2],
    paid_out: u64,
    now: Now,
    frozen: bool,
}

impl Ledger {
    fn new() -> Self {
        Ledger {
            job: job(),
            providers: [provider(0), provider(1)].map(|mut p| {
                p.operators = [key(1); MAX_OPERATORS];
                p
            }),
            shards: (0..SHARDS).map(shard).collect(),
            job_vault: PRICE_MAX * u64::from(SHARDS),
            stake_vaults: [STAKE; 2],
            paid_out: 0,
            now: at(1),
            frozen: false,
        }
    }

    fn holder(&self, i: usize) -> usize {
        usize::from(self.shards[i].provider == key(101))
    }

    fn apply(&mut self, op: &Op, i: usize) -> Result<()> {
        let who = self.holder(i);
        let (j, s, now) = (&mut self.job, &mut self.shards[i], self.now);
        let p = &mut self.providers[who];
        match op {
            // Frozen vaults move nothing: the token program refuses.
            Op::Settle | Op::Bounty | Op::Refund if self.frozen => return Err(AssayError::Overflow),
            Op::Claim(n) => {
                let claim_ = Claim { provider: key(100 + n), operator: key(1), terms_hash: [0; 32], min_price: 0 };
                claim(j, &mut self.providers[usize::from(*n)], s, &claim_, &now)?;
            }
            Op::Release | Op::Expire => {
                let penalty = if matches!(op, Op::Release) {
                    release(j, p, s, &key(1), self.frozen, &now)?
                } else {
                    expire(j, p, s, self.frozen, &now)?
                };
                self.stake_vaults[who] -= penalty;
                self.job_vault += penalty;
            }
            Op::Commit => commit(s, p, &key(1), [7; 32], &now)?,
            Op::Draw(seed) => draw(s, &j.terms, &key(50), s.window, seed, &now)?,
            Op::Roll => {
                roll(s, &j.terms, &key(2), &now)?;
            }
            Op::Name(c) => name(s, &j.terms, &[u64::from(*c)], &now)?,
            Op::Answer(c) | Op::Convict(c) => {
                let matches = matches!(op, Op::Answer(_));
                adjudicate(s, &j.terms, u64::from(*c), matches, None, &key(2), &now)?;
            }
            Op::SlashLate => {
                slash_unanswered(s, &j.terms, &key(2), &now)?;
            }
            Op::Settle => {
                assert_eq!(unanswered(s, &j.terms) & demanded(s, &j.terms), unanswered(s, &j.terms));
                let paid = settle(j, p, s, &now)?;
                self.job_vault = self.job_vault - paid.to_provider + paid.to_job;
                self.stake_vaults[who] = self.stake_vaults[who] + paid.to_provider - paid.to_job;
            }
            Op::Seize => {
                let amount = seize(j, p, s, self.frozen, &now)?;
                self.stake_vaults[who] -= amount;
                self.job_vault += amount;
            }
            Op::Bounty => {
                let amount = pay_bounty(p, s)?;
                self.stake_vaults[who] -= amount;
                self.paid_out += amount;
            }
            Op::Freeze(frozen) => self.frozen = *frozen,
            Op::Cancel => j.cancelled = 1,
            Op::Refund => {
                let owed = j.owed(&now).unwrap();
                let free = self.job_vault - owed.escrow - owed.fees;
                self.job_vault -= free;
                self.paid_out += free;
            }
        }
        Ok(())
    }

    fn check(&self) {
        let total = self.job_vault + self.stake_vaults.iter().sum::<u64>() + self.paid_out;
        assert_eq!(total, PRICE_MAX * u64::from(SHARDS) + 2 * STAKE, "no unit is made or lost");
        let owed = self.job.owed(&self.now).unwrap();
        assert!(self.job_vault >= owed.escrow + owed.fees, "the job's vault holds what it owes");
        let unseized = |s: &Shard| s.state() == Some(ShardState::Slashed);
        for n in 0..2 {
            let p = &self.providers[n];
            assert_eq!(self.stake_vaults[n], p.staked, "the stake vault holds the stake");
            let locks: u64 = (0..self.shards.len())
                .filter(|i| self.holder(*i) == n && self.shards[*i].claims > 0)
                .map(|i| &self.shards[i])
                .filter(|s| matches!(s.state, 1..=3) || unseized(s))
                .map(|s| s.collateral)
                .sum();
            assert_eq!(p.locked, locks, "the lock is the sum of its shards' locks");
            assert!(p.locked <= p.staked);
        }
        let working = self.shards.iter().filter(|s| matches!(s.state, 1..=3) || (unseized(s) && s.seized == 0)).count();
        assert_eq!(usize::try_from(self.job.active).unwrap(), working);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn money_is_conserved_and_debts_are_covered(steps in ops()) {
        let mut l = Ledger::new();
        for (op, i, seconds) in steps {
            l.now = at(l.now.time + i64::from(seconds));
            let before = (l.job, l.providers, l.shards.clone());
            let i = usize::try_from(i).unwrap();
            if l.apply(&op, i).is_err() {
                // On chain a refused step is rolled back whole; here it must not have moved anything.
                (l.job, l.providers, l.shards) = before;
            }
            l.check();
        }
        l.frozen = false;
        // Everyone gets out: time passes, anyone cranks, and every vault comes down to the stake and the fees.
        l.now = at(l.now.time + 40 * 86_400);
        for i in 0..l.shards.len() {
            for op in [Op::Expire, Op::Draw([1; 32]), Op::SlashLate, Op::Settle, Op::Seize] {
                l.apply(&op, i).ok();
            }
            if l.shards[i].state() == Some(ShardState::Sampled) {
                l.now = at(l.now.time + 400);
                l.apply(&Op::SlashLate, i).ok();
                l.apply(&Op::Settle, i).ok();
                l.apply(&Op::Seize, i).ok();
            }
            l.check();
        }
        l.now = at(l.now.time + 40 * 86_400);
        for i in 0..l.shards.len() {
            l.apply(&Op::Seize, i).ok();
        }
        l.check();
        prop_assert!(l.job.terminal(&l.now), "{:?}", l.shards.iter().map(|s| s.state).collect::<Vec<_>>());
        prop_assert!(l.shards.iter().all(|s| s.claims == 0 || closable(s, &l.job, &l.now)));
        prop_assert_eq!(l.providers.map(|p| p.locked), [0, 0]);
        l.apply(&Op::Refund, 0).unwrap();
        prop_assert_eq!(l.job_vault, l.job.fees_owed);
    }
}

#[test]
fn claims_load_a_provider_with_no_more_than_it_can_answer() {
    // Six cells of five transactions, two seconds each.
    let (mut j, mut p, mut s) = (job(), provider(1), shard(0));
    assert_eq!((load::of_shard(&j.terms), load::limit(&j.terms)), (60, RESPONSE_FLOOR_SECONDS));
    p.load_seconds = RESPONSE_FLOOR_SECONDS - 60;
    let before = (j.active, p.locked);
    assert_eq!(claim(&mut j, &mut p, &mut s, &claim_of(1), &at(10)), Err(AssayError::ProviderLoaded));
    assert_eq!((j.active, p.locked), before, "a refused claim changes nothing");
    p.load_seconds -= 1;
    claim(&mut j, &mut p, &mut s, &claim_of(1), &at(10)).unwrap();
    assert_eq!(p.load_seconds, RESPONSE_FLOOR_SECONDS - 1);
    // Longer response times allow for more.
    j.terms.response_seconds = 10_000;
    claim(&mut j, &mut p, &mut shard(1), &claim_of(1), &at(10)).unwrap();
    // Given back, settled, slashed: the load goes with the shard.
    let loaded = p.load_seconds;
    release(&mut j, &mut p, &mut s, &key(1), false, &at(11)).unwrap();
    assert_eq!(p.load_seconds, loaded - 60);
    let (mut j, mut p, mut s) = sampled();
    answer_all(&j, &mut s, &at(70));
    assert_eq!(p.load_seconds, 60);
    settle(&mut j, &mut p, &mut s, &at(220)).unwrap();
    assert_eq!(p.load_seconds, 0);
    let (mut j, mut p, mut s) = sampled();
    slash_unanswered(&mut s, &j.terms, &key(2), &at(360)).unwrap();
    assert_eq!(p.load_seconds, 60, "the provider is told when the debts move");
    seize(&mut j, &mut p, &mut s, false, &at(361)).unwrap();
    assert_eq!(p.load_seconds, 0);
}
