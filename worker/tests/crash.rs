//! An obligation driven by the worker's own decisions through the settlement program's own rules, with the worker
//! killed at random points: it always ends as settled and paid, and nothing is ever done twice.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeMap;

use assay_settlement::{
    Challenge, ChallengeState, CostClass, Delivery, DeliveryMode, Job, Provider, Shard, ShardState,
    rules::{self, judgement::Verdict, shard::Claim, time::Now},
    seeds,
};
use assay_worker::{
    events::ShardRef,
    journal::{Journal, Obligation, Sent, State},
    step::{Asked, Demand, Fate, Here, Step, Wanted, fate, next, state_of},
};
use bytemuck::Zeroable;
use proptest::prelude::*;
use solana_pubkey::Pubkey;
use solana_signature::Signature;

const ROOT: [u8; 32] = [7; 32];
/// Slots in which a transaction can land.
const VALID: u64 = 150;

fn key(byte: u8) -> Pubkey {
    Pubkey::new_from_array([byte; 32])
}

/// When the worker dies in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    No,
    BeforeSending,
    /// The transaction has landed; nothing is written down.
    AfterLanding,
}

struct World {
    folder: tempfile::TempDir,
    journal: Journal,
    shard: ShardRef,
    job: Job,
    provider_key: Pubkey,
    provider: Provider,
    account: Option<Shard>,
    challenges: Vec<Challenge>,
    delivery: Option<Delivery>,
    seed: Option<u64>,
    /// The result lies on disk.
    file: bool,
    now: Now,
    settled: u32,
    rolled: u64,
    penalties: u64,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal")).unwrap();
        let mut job = Job::zeroed();
        let t = &mut job.terms;
        (t.leaves, t.shard_leaves, t.shards, t.classes) = (8, 8, 1, 1);
        t.class[0] = CostClass { cells: 64, cost: 1, cells_per_leaf: 8, cell_bytes: 2, stage: 0, reserved: 0 };
        (t.price_start, t.price_max, t.expires_at) = (1_000, 1_000, 10_000_000);
        (t.execute_seconds, t.challenge_seconds, t.response_seconds) = (600, 300, 43_200);
        (t.collateral_bps, t.amplification_bps, t.samples, t.fee_bps, t.expiry_bps) = (15_000, 10_000, 3, 200, 2_500);
        (t.bond, t.answer_transactions, t.delivery, t.post_per_kib) = (50, 3, DeliveryMode::Ledger as u8, 10);
        job.terms_hash = job.terms.hash();
        let mut provider = Provider::zeroed();
        (provider.staked, provider.operators[0]) = (1_000_000, key(9));
        let job_key = key(1);
        let shard = ShardRef { job: job_key, index: 0, shard: seeds::shard(&job_key, 0) };
        let now = Now { time: 1_000, slot: 10_000, last_restart_slot: 0 };
        Self {
            folder,
            journal,
            shard,
            job,
            provider_key: key(2),
            provider,
            account: None,
            challenges: Vec::new(),
            delivery: None,
            seed: None,
            file: false,
            now,
            settled: 0,
            rolled: 0,
            penalties: 0,
        }
    }

    fn row(&self) -> Option<Obligation> {
        self.journal.get(&self.shard.shard).unwrap()
    }

    fn die(&mut self) {
        self.journal = Journal::open(&self.folder.path().join("journal")).unwrap();
    }

    fn pass(&mut self, slots: u64) {
        self.now.slot += slots;
        self.now.time = 1_000 + ((self.now.slot - 10_000) as i64 * 2) / 5;
    }

    fn send(&self, action: &str) {
        let last_valid = self.now.slot + VALID;
        let sent = Sent { action: action.to_owned(), signature: Signature::from([5; 64]), last_valid };
        self.journal.set_sent(&self.shard.shard, &sent).unwrap();
    }

    /// What the worker finds besides the shard's account.
    fn asked(&self) -> Asked {
        let Some(shard) = self.account else { return Asked::default() };
        let challenges = if shard.open_challenges > 0 { self.challenges.clone() } else { Vec::new() };
        Asked { challenges, delivery: self.delivery.filter(|_| shard.leaves_posted < shard.leaves_demanded) }
    }

    /// What others do: anyone challenges a cell, the renter demands leaves, the renter accepts. Where the program refuses
    /// nothing happens.
    fn disturb(&mut self, what: u8) {
        let World { job, provider, account: Some(shard), now, .. } = self else { return };
        match what {
            0..64 => {
                if self.challenges.iter().any(|c| c.cell == u64::from(what) && c.state == ChallengeState::Open as u8) {
                    return;
                }
                let mut challenge = Challenge::zeroed();
                let (cell, by) = (u64::from(what), key(30));
                if rules::challenge::open(job, provider, shard, &mut challenge, &by, cell, now).is_ok() {
                    self.challenges.push(challenge);
                }
            }
            64..72 => {
                let mut delivery = Delivery::zeroed();
                let leaves: Vec<u64> = (0..=u64::from(what - 64)).collect();
                let renter = job.renter;
                if rules::delivery::demand(job, shard, &mut delivery, &renter, &leaves, now).is_ok() {
                    self.delivery = Some(delivery);
                }
            }
            72 => drop(rules::shard::accept(shard)),
            _ => {}
        }
    }

    /// The chain's part of a step, by the program's rules.
    fn land(&mut self, step: &Step) {
        let World { job, provider, now, .. } = self;
        let shard = self.account.as_mut().unwrap();
        match step {
            Step::Commit => rules::shard::commit(shard, provider, &key(9), ROOT, now).unwrap(),
            Step::Draw => {
                let start = shard.window * 64;
                if self.seed != Some(shard.window) && now.slot > start + 512 {
                    let before = shard.owed_renter;
                    rules::shard::roll(shard, &job.terms, &key(9), now).unwrap();
                    self.rolled += shard.owed_renter - before;
                    return;
                }
                self.seed = Some(shard.window);
                let window = shard.window;
                rules::shard::draw(shard, &job.terms, &self.shard.shard, window, &[3; 32], now).unwrap();
            }
            Step::Answer(demands) => {
                assert!(demands.is_sorted_by_key(Demand::rank));
                for demand in demands {
                    assert!(demand.due > now.time, "late: {demand:?}");
                    match demand.wanted {
                        Wanted::Cell(place) => {
                            let number = place.leaf * 8 + u64::from(place.cell);
                            let is_it = |c: &&mut Challenge| c.cell == number && c.state == ChallengeState::Open as u8;
                            let challenge = self.challenges.iter_mut().find(is_it);
                            let verdict =
                                rules::judgement::adjudicate(shard, &job.terms, number, true, challenge, &key(9), now);
                            assert_eq!(verdict, Ok(Verdict::Answered));
                        }
                        Wanted::Leaf { at, leaf } => {
                            let delivery = self.delivery.as_mut().unwrap();
                            assert_eq!(rules::delivery::demanded_leaf(delivery, at), Ok(leaf));
                            rules::delivery::post(shard, delivery, &job.terms, at, 16).unwrap();
                        }
                    }
                }
            }
            Step::Settle => {
                rules::shard::settle(job, provider, shard, now).unwrap();
                self.settled += 1;
            }
            other => panic!("{other:?} is not sent"),
        }
    }

    fn claim(&mut self, death: Death) {
        if !self.journal.open_obligation(&self.shard, State::Claiming, 1_000).unwrap() {
            return;
        }
        if death == Death::BeforeSending {
            return self.die();
        }
        self.send("claim_shard");
        let mut account = self.account.unwrap_or_else(Shard::zeroed);
        let terms_hash = self.job.terms_hash;
        let claim = Claim { provider: self.provider_key, operator: key(9), terms_hash, min_price: 1 };
        rules::shard::claim(&mut self.job, &mut self.provider, &mut account, &claim, &self.now).unwrap();
        self.account = Some(account);
        if death == Death::AfterLanding {
            return self.die();
        }
        assert!(self.journal.advance(&self.shard.shard, State::Claimed).unwrap());
    }

    /// One round of the worker.
    fn round(&mut self, death: Death) {
        let Some(row) = self.row() else { return self.claim(death) };
        match row.state {
            State::Claiming => {
                let can_land = row.last.as_ref().is_some_and(|sent| self.now.slot <= sent.last_valid);
                match fate(&self.provider_key, self.account.as_ref(), can_land) {
                    Fate::Ours => assert!(self.journal.advance(&self.shard.shard, State::Claimed).unwrap()),
                    Fate::Lost => assert!(self.journal.advance(&self.shard.shard, State::GivenBack).unwrap()),
                    Fate::Open => {}
                }
            }
            State::GivenBack => self.claim(death),
            State::Settled | State::Slashed => {}
            _ => self.drive(&row, death),
        }
    }

    fn drive(&mut self, row: &Obligation, death: Death) {
        let here = Here { has_result: self.file && row.root.is_some(), ..Here::default() };
        let asked = self.asked();
        let step = next(&self.provider_key, &self.job.terms, self.account.as_ref(), &asked, here, &self.now);
        match &step {
            Step::Wait => {}
            Step::End(state) => assert!(self.journal.advance(&self.shard.shard, *state).unwrap()),
            Step::Compute => {
                self.file = true;
                if death != Death::No {
                    return self.die();
                }
                self.journal.set_root(&self.shard.shard, &ROOT).unwrap();
            }
            Step::Release => panic!("nothing fails here"),
            Step::Draw if !self.drawable() => {}
            _ if death == Death::BeforeSending => self.die(),
            _ => {
                self.send("step");
                self.land(&step);
                if death == Death::AfterLanding {
                    return self.die();
                }
                let state = state_of(&self.account.unwrap(), here.has_result).unwrap();
                assert!(self.journal.advance(&self.shard.shard, state).unwrap());
            }
        }
    }

    fn drawable(&self) -> bool {
        self.account.is_some_and(|shard| self.now.slot >= shard.window * 64 + 12)
    }

    /// Somebody ends a claim that is late.
    fn expire(&mut self) {
        if let Some(shard) = &mut self.account
            && shard.state() == Some(ShardState::Claimed)
            && let Ok(penalty) = rules::shard::expire(&mut self.job, &mut self.provider, shard, false, &self.now)
        {
            self.penalties += penalty;
        }
    }
}

fn death() -> impl Strategy<Value = Death> {
    prop_oneof![2 => Just(Death::No), 1 => Just(Death::BeforeSending), 1 => Just(Death::AfterLanding)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn killed_anywhere_it_still_settles_once(
        rounds in proptest::collection::vec((death(), 0u64..200, any::<bool>(), 0u8..76), 0..40),
        lost_file in proptest::option::of(0usize..40),
    ) {
        let mut world = World::new();
        for (i, (death, slots, expire, disturbance)) in rounds.into_iter().enumerate() {
            if lost_file == Some(i) {
                world.file = false;
            }
            world.round(death);
            world.disturb(disturbance);
            world.pass(slots);
            if expire {
                world.expire();
            }
        }
        // From here on it is left alone: a bounded number of rounds ends it.
        for _ in 0..200 {
            world.round(Death::No);
            world.pass(20);
        }
        prop_assert_eq!(world.row().unwrap().state, State::Settled);
        prop_assert_eq!(world.settled, 1);
        prop_assert_eq!((world.provider.active, world.provider.locked, world.provider.settled), (0, 0, 1));
        let shard = world.account.unwrap();
        // Each leaf is 16 bytes, paid as a KiB.
        let posted = u64::from(shard.leaves_posted) * 10;
        prop_assert_eq!(world.provider.staked + world.rolled + world.penalties, 1_000_000 + 980 + posted);
        let open = world.challenges.iter().any(|c| c.state == ChallengeState::Open as u8);
        prop_assert!(shard.accepted != 0 || (!open && shard.leaves_posted == shard.leaves_demanded));
        prop_assert!(world.challenges.iter().all(|c| c.state != ChallengeState::Won as u8));
        prop_assert!(world.journal.unfinished().unwrap().is_empty());
    }

    #[test]
    fn what_was_written_is_there_after_a_crash(
        steps in proptest::collection::vec((0u8..4, 0usize..State::ALL.len(), 0u8..3), 1..60),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        let mut model: BTreeMap<u8, (State, Option<[u8; 32]>)> = BTreeMap::new();
        for (what, state, shard) in steps {
            let state = State::ALL[state];
            let reference = ShardRef { job: key(1), index: u32::from(shard), shard: key(100 + shard) };
            match what {
                0 => {
                    let opened = journal.open_obligation(&reference, State::Claiming, 5).unwrap();
                    let before = model.get(&shard).copied();
                    let may = before.is_none_or(|(state, _)| state == State::GivenBack);
                    prop_assert_eq!(opened, may);
                    if may {
                        model.insert(shard, (State::Claiming, before.and_then(|(_, root)| root)));
                    }
                }
                1 => {
                    let may = model.get(&shard).is_some_and(|(now, _)| now.may_become(state));
                    prop_assert_eq!(journal.advance(&reference.shard, state).unwrap(), may);
                    if may && let Some((now, _)) = model.get_mut(&shard) {
                        *now = state;
                    }
                }
                2 => {
                    journal.set_root(&reference.shard, &[shard; 32]).unwrap();
                    if let Some((_, root)) = model.get_mut(&shard) {
                        *root = Some([shard; 32]);
                    }
                }
                _ => journal = Journal::open(&path).unwrap(),
            }
            for (shard, (state, root)) in &model {
                let row = journal.get(&key(100 + shard)).unwrap().unwrap();
                prop_assert_eq!((row.state, row.root), (*state, *root));
            }
            let open = model.values().filter(|(state, _)| !state.is_final()).count();
            prop_assert_eq!(journal.unfinished().unwrap().len(), open);
        }
    }
}

/// A lost claim is one that was ours and ended without a commitment: not a race that another won, nor a settled shard.
#[test]
fn claims_that_ended_without_a_commitment_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal")).unwrap();
    let shard = |job: u8, index: u8| ShardRef { job: key(job), index: u32::from(index), shard: key(job + index) };
    let walk = |shard: ShardRef, states: &[State]| {
        journal.open_obligation(&shard, State::Claiming, 1).unwrap();
        for state in states {
            assert!(journal.advance(&shard.shard, *state).unwrap());
        }
    };
    let hour = std::time::Duration::from_secs(3_600);
    walk(shard(10, 0), &[State::GivenBack]);
    walk(shard(10, 1), &[State::Claimed, State::Computed, State::Committed, State::Sampled, State::Settled]);
    walk(shard(10, 2), &[State::Claimed, State::Committed, State::Slashed]);
    assert_eq!((journal.losses_of(&key(10)).unwrap(), journal.losses_within(hour).unwrap()), (0, 0));
    walk(shard(10, 3), &[State::Claimed, State::GivenBack]);
    walk(shard(20, 0), &[State::Claimed, State::Computed, State::GivenBack, State::GivenBack]);
    walk(shard(20, 0), &[State::Claimed, State::GivenBack]);
    assert_eq!((journal.losses_of(&key(10)).unwrap(), journal.losses_of(&key(20)).unwrap()), (1, 2));
    assert_eq!(journal.losses_within(hour).unwrap(), 3);
}

#[test]
fn computations_that_end_the_process_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let shard = ShardRef { job: key(1), index: 0, shard: key(2) };
    let attempts = |journal: &Journal| journal.get(&shard.shard).unwrap().unwrap().attempts;
    let journal = Journal::open(&path).unwrap();
    journal.open_obligation(&shard, State::Claimed, 1).unwrap();
    for _ in 0..3 {
        journal.begin_attempt(&shard.shard).unwrap();
        journal.end_attempt(&shard.shard).unwrap();
    }
    assert_eq!(attempts(&journal), 0);
    journal.begin_attempt(&shard.shard).unwrap();
    drop(journal);
    let journal = Journal::open(&path).unwrap();
    journal.begin_attempt(&shard.shard).unwrap();
    drop(journal);
    let journal = Journal::open(&path).unwrap();
    assert_eq!(attempts(&journal), 2);
    // A new claim begins anew.
    journal.advance(&shard.shard, State::GivenBack).unwrap();
    journal.open_obligation(&shard, State::Claiming, 1).unwrap();
    assert_eq!(attempts(&journal), 0);
    journal.probe().unwrap();
    journal.probe().unwrap();
}

/// A worker that was stopped with the first schema goes on with this one.
#[test]
fn an_older_journal_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let shard = ShardRef { job: key(1), index: 0, shard: key(2) };
    let journal = Journal::open(&path).unwrap();
    journal.open_obligation(&shard, State::Claimed, 7).unwrap();
    drop(journal);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch("DROP TABLE losses; DROP TABLE probe; ALTER TABLE obligations DROP COLUMN attempts;")
        .unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    drop(connection);
    let row = Journal::open(&path).unwrap().get(&shard.shard).unwrap().unwrap();
    assert_eq!((row.state, row.price, row.attempts), (State::Claimed, 7, 0));
}

/// What is drawn in minutes waits for nothing that takes hours, and what is only the chain's trouble ends no claim.
#[test]
fn drawing_comes_before_computing_and_troubles_release_nothing() {
    let mut world = World::new();
    let mut shard = Shard::zeroed();
    (shard.provider, shard.state, shard.window) = (world.provider_key, ShardState::Committed as u8, 200);
    let step = |world: &World, shard: &Shard, here| {
        next(&world.provider_key, &world.job.terms, Some(shard), &Asked::default(), here, &world.now)
    };
    let lost = Here::default();
    world.now.slot = 200 * 64 + 11;
    assert_eq!(step(&world, &shard, lost), Step::Compute);
    world.now.slot = 200 * 64 + 12;
    assert_eq!(step(&world, &shard, lost), Step::Draw);
    assert_eq!(step(&world, &shard, Here { has_result: true, ..lost }), Step::Draw);
    (shard.state, shard.committed_at) = (ShardState::Sampled as u8, world.now.time);
    assert_eq!(step(&world, &shard, lost), Step::Compute);

    (shard.state, shard.claimed_at) = (ShardState::Claimed as u8, world.now.time - 500);
    assert_eq!(step(&world, &shard, lost), Step::Compute);
    assert_eq!(step(&world, &shard, Here { compute_failed: true, ..lost }), Step::Release);
    shard.claimed_at = world.now.time - 100;
    assert_eq!(step(&world, &shard, Here { compute_failed: true, ..lost }), Step::Compute);
    assert_eq!(step(&world, &shard, Here { uncomputable: true, ..lost }), Step::Release);
}

#[test]
fn a_newer_journal_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    drop(Journal::open(&path).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert_eq!(Journal::open(&path).err().unwrap().code(), "journal-version");
}
