//! Random sequences of everything that anybody can do, and what must hold in every one of them (protocol.md, section
//! 8): the books add up after each transaction, a provider that does its part in time loses nothing, and from wherever
//! a sequence ends everybody gets out what is theirs by cranks that a stranger turns.

use assay_client::ix;
use assay_settlement::{
    Challenge, ChallengeState, Delivery, Job, Shard, ShardState, constants::BOUNTY_WAIT_SECONDS,
    rules::judgement::unanswered, seeds,
};
use assay_tests::{
    Actor, Provider, Spec, Task, Work, World, books,
    world::{EXECUTE, LIFE, STAKE},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use solana_instruction::Instruction;
use std::collections::BTreeMap;

/// What `everybody_out` tries on each shard, in this order.
const CRANKS: [&str; 8] = ["expire", "record", "draw", "roll", "slash", "settle", "seize", "close shard"];

struct Walk {
    w: World,
    random: StdRng,
    tasks: Vec<Task>,
    /// What Bob committed, and the right results that he did not.
    works: BTreeMap<(usize, u32), Work>,
    /// How often each kind of step landed.
    landed: BTreeMap<&'static str, u32>,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self { w: World::new(), random, tasks: Vec::new(), works: BTreeMap::new(), landed: BTreeMap::new() }
    }

    fn try_it(&mut self, what: &'static str, instruction: Instruction, signer: &Actor) -> bool {
        let landed = self.w.send(&[instruction], &[signer]).is_ok();
        *self.landed.entry(what).or_default() += u32::from(landed);
        landed
    }

    /// A job that is still there.
    fn any_task(&mut self) -> Option<usize> {
        let open: Vec<usize> =
            (0..self.tasks.len()).filter(|i| self.w.find::<Job>(&self.tasks[*i].job).is_some()).collect();
        (!open.is_empty()).then(|| open[self.random.random_range(0..open.len())])
    }

    fn anyone(&mut self) -> Actor {
        let w = &self.w;
        let all = [&w.renter, &w.watcher, &w.stranger, &w.bob.operator];
        all[self.random.random_range(0..all.len())].clone()
    }

    /// One random step of somebody.
    fn step(&mut self) {
        if self.random.random_bool(0.2) {
            return self.pass_time();
        }
        let kind = self.random.random_range(3..32);
        if kind == 3 && self.tasks.len() < 8 {
            let spec = if self.random.random() { Spec::image() } else { Spec::small_product() };
            if self.w.market_data().flags & assay_settlement::PAUSED == 0 {
                let (delivery, restricted) = (self.random.random_range(0..2), self.random.random_bool(0.2));
                let task = self.w.create_with(spec, |r| (r.delivery, r.flags) = (delivery, u8::from(restricted)));
                self.tasks.push(task);
            }
            return;
        }
        if kind == 4 {
            let (creator, on) = (self.w.creator.clone(), self.random.random_bool(0.15));
            self.try_it("pause", ix::set_paused(creator.id(), self.w.market, on), &creator);
            return;
        }
        let Some(n) = self.any_task() else { return };
        let task = self.tasks[n].clone();
        let job = self.w.job(&task);
        let index = self.random.random_range(0..job.terms.shards);
        if kind == 5 && self.random.random_bool(0.15) {
            self.try_it("cancel", ix::cancel_job(task.renter.id(), task.job), &task.renter);
            return;
        }
        let bob = self.w.bob.clone();
        if kind < 8 {
            self.try_it("claim", self.w.claim_ix(&task, index, &bob), &bob.operator);
            return;
        }
        let Some(shard) = self.w.find::<Shard>(&seeds::shard(&task.job, index)) else { return };
        let caller = self.anyone();
        let holder = self.holder(&shard);
        match kind {
            8..11 => self.commit(n, &task, &shard, &bob),
            11 if self.random.random_bool(0.3) => {
                let release = self.w.release_ix(&task, index, &bob);
                self.try_it("release", release, &bob.operator);
            }
            11..14 => {
                self.try_it("expire", self.w.expire_ix(&task, index, &holder, &caller), &caller);
            }
            14 => {
                self.try_it("record", ix::record_seed(caller.id(), shard.window), &caller);
            }
            15 => {
                self.try_it("draw", ix::draw_samples(&task.job, index, shard.window), &caller);
            }
            16 if self.random.random_bool(0.5) => {
                let cells = (0..self.random.random_range(1..4)).map(|_| self.random.random_range(0..128)).collect();
                self.try_it("name", ix::name_cells(caller.id(), &task.job, index, cells), &caller);
            }
            16 => {
                self.try_it("roll", ix::roll_window(caller.id(), &task.job, index, shard.window), &caller);
            }
            17 | 18 | 19 => self.judge(n, &task, &shard, &caller),
            20 => {
                self.try_it("slash", self.w.slash_ix(&task, index, &caller), &caller);
            }
            21 => {
                self.try_it("settle", self.w.settle_ix(&task, index, &holder), &caller);
            }
            22 => {
                self.try_it("seize", self.w.seize_ix(&task, index, &holder), &caller);
            }
            23 => {
                let to = assay_client::token::associated(&shard.bounty_to, &self.w.mint);
                self.try_it("bounty", self.w.bounty_ix(&task, index, &holder, to), &caller);
            }
            24 => {
                self.try_it("refund", self.w.refund_ix(&task), &caller);
            }
            25..32 => self.dispute(kind, n, &task, &shard, &caller),
            _ => (),
        }
    }

    /// Challenges and what becomes of them, acceptance, delivery, closing.
    fn dispute(&mut self, kind: u32, n: usize, task: &Task, shard: &Shard, caller: &Actor) {
        let index = shard.index;
        match kind {
            25 => {
                self.try_it("close shard", self.w.close_shard_ix(task, index), caller);
                self.try_it("close job", self.w.close_job_ix(task), caller);
            }
            26 | 27 => {
                let number = self.random.random_range(0..12);
                self.try_it("challenge", self.w.challenge_ix(task, index, number, caller), caller);
            }
            28 if self.random.random_bool(0.1) => {
                self.try_it("accept", ix::accept_shard(task.renter.id(), &task.job, index), &task.renter);
            }
            29 => {
                let first = self.w.job(task).terms.shard(index).unwrap().first_leaf;
                self.try_it("demand", self.w.demand_ix(task, index, &[first]), &task.renter);
            }
            30 => self.post(n, task, shard, caller),
            _ => {
                let all = self.challenges(|_| true);
                if let Some(challenge) = all.get(self.random.random_range(0..all.len().max(1))).copied() {
                    self.turn(&challenge, caller);
                }
            }
        }
    }

    fn challenges(&self, which: impl Fn(&Challenge) -> bool) -> Vec<Challenge> {
        let mut all = books::all::<Challenge>(&self.w.chain);
        // In an order that does not depend on the run.
        all.sort_by_key(|(key, _)| *key);
        all.into_iter().map(|(_, challenge)| challenge).filter(which).collect()
    }

    /// Everything that anybody can do about a challenge whose cell is not to be computed.
    fn turn(&mut self, challenge: &Challenge, caller: &Actor) {
        let key = seeds::challenge(&challenge.shard, challenge.cell);
        if let (Some(job), Some(shard)) = (self.w.find::<Job>(&challenge.job), self.w.find::<Shard>(&challenge.shard)) {
            let slash = ix::slash_challenged(caller.id(), &challenge.job, shard.index, challenge.cell);
            self.try_it("slash challenged", slash, caller);
            let provider = self.w.find(&challenge.provider);
            self.try_it("pay challenge", ix::pay_challenge(&key, challenge, &job, provider.as_ref()), caller);
        }
        if self.w.find::<Challenge>(&key).is_some() {
            let to = self.w.associated(&challenge.challenger);
            self.try_it("return bond", ix::return_bond(&key, challenge, to), caller);
        }
    }

    /// Posts the demanded leaf of a shard, when there is one.
    fn post(&mut self, n: usize, task: &Task, shard: &Shard, caller: &Actor) {
        let Some(work) = self.works.get(&(n, shard.index)).cloned() else { return };
        let key = seeds::delivery(&seeds::shard(&task.job, shard.index));
        let Some(delivery) = self.w.find::<Delivery>(&key) else { return };
        if delivery.posted == 0 {
            let leaf = delivery.leaves[0];
            self.try_it("post", self.w.post_ix(task, &work, 0, leaf, caller), caller);
        }
    }

    /// Less time than anything that Alice must do may take; now and then a halt, long, or a restart.
    fn pass_time(&mut self) {
        let seconds = self.random.random_range(1..100);
        match self.random.random_range(0..40) {
            0 => self.w.chain.restart(),
            1 => self.w.chain.halt(seconds * 500),
            _ => self.w.chain.advance(seconds),
        }
    }

    fn holder(&self, shard: &Shard) -> Provider {
        let (alice, bob) = (&self.w.alice, &self.w.bob);
        if shard.provider == alice.account { alice.clone() } else { bob.clone() }
    }

    /// Bob commits: the right result, a forged one, or a root of nothing.
    fn commit(&mut self, n: usize, task: &Task, shard: &Shard, bob: &Provider) {
        let forged: &[u64] = [&[][..], &[], &[2], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]][self.random.random_range(0..4)];
        let work = self.w.forged(task, shard.index, bob, forged);
        let root = if self.random.random_bool(0.3) { [3; 32] } else { work.tree.root() };
        let commit = self.w.commit_ix(task, shard.index, bob, root);
        if self.try_it("commit", commit, &bob.operator) {
            self.works.insert((n, shard.index), work);
        }
    }

    /// Somebody has cells re-executed: demanded ones where there are any, else one of the first ten.
    fn judge(&mut self, n: usize, task: &Task, shard: &Shard, caller: &Actor) {
        let Some(work) = self.works.get(&(n, shard.index)).cloned() else { return };
        let open = unanswered(shard, &self.w.job(task).terms);
        let demanded = (0..32).filter(|bit| open & 1 << bit != 0).map(|bit| shard.cells[bit]);
        let mut cells: Vec<u64> = demanded.take(self.random.random_range(1..6)).collect();
        let of = seeds::shard(&task.job, shard.index);
        cells.extend(self.challenges(|c| c.shard == of && c.state == 0).iter().take(2).map(|c| c.cell));
        if cells.is_empty() {
            cells.push(self.random.random_range(0..10));
        }
        for number in cells {
            let landed = self.w.judge(task, &work, number, caller).is_ok();
            *self.landed.entry("judge").or_default() += u32::from(landed);
        }
    }

    /// Alice does her part: claims now and then, commits at once, records, draws, answers, settles.
    fn alices_turn(&mut self) {
        let alice = self.w.alice.clone();
        for n in 0..self.tasks.len() {
            let task = self.tasks[n].clone();
            let Some(job) = self.w.find::<Job>(&task.job) else { continue };
            for index in 0..job.terms.shards {
                let claims = self.random.random_bool(0.008);
                if claims && self.try_it("alice claims", self.w.claim_ix(&task, index, &alice), &alice.operator) {
                    let work = self.w.work(&task, index, &alice);
                    self.w.commit(&task, &alice, &work);
                    self.works.insert((n, index), work);
                }
                let Some(shard) = self.w.find::<Shard>(&seeds::shard(&task.job, index)) else { continue };
                if shard.provider != alice.account {
                    continue;
                }
                if shard.state() == Some(ShardState::Committed) {
                    self.try_it("record", ix::record_seed(alice.operator.id(), shard.window), &alice.operator);
                    self.try_it("draw", ix::draw_samples(&task.job, index, shard.window), &alice.operator);
                }
                if matches!(shard.state(), Some(ShardState::Committed | ShardState::Sampled)) {
                    let work = self.works[&(n, index)].clone();
                    self.w.answer_all(&task, &work, &alice);
                    let of = seeds::shard(&task.job, index);
                    for challenge in self.challenges(|c| c.shard == of && c.state == ChallengeState::Open as u8) {
                        self.w.judge(&task, &work, challenge.cell, &alice.operator).unwrap();
                    }
                    self.post(n, &task, &shard, &alice.operator);
                    self.try_it("alice settles", self.w.settle_ix(&task, index, &alice), &alice.operator);
                }
            }
        }
        let provider = self.w.provider(&alice);
        assert_eq!((provider.slashed, provider.given_back), (0, 0), "Alice did nothing wrong");
        assert_eq!(provider.staked, STAKE + provider.earned, "and is charged nothing");
    }

    /// A stranger turns every crank until nothing is left; the market stays as it is, paused or not.
    fn everybody_out(&mut self) {
        let stranger = self.w.stranger.clone();
        for round in 0..8 {
            for task in self.tasks.clone() {
                let Some(job) = self.w.find::<Job>(&task.job) else { continue };
                for index in 0..job.terms.shards {
                    let key = seeds::shard(&task.job, index);
                    let Some(shard) = self.w.find::<Shard>(&key) else { continue };
                    let holder = self.holder(&shard);
                    let window = shard.window;
                    let cranks = [
                        self.w.expire_ix(&task, index, &holder, &stranger),
                        ix::record_seed(stranger.id(), window),
                        ix::draw_samples(&task.job, index, window),
                        ix::roll_window(stranger.id(), &task.job, index, window),
                        self.w.slash_ix(&task, index, &stranger),
                        self.w.settle_ix(&task, index, &holder),
                        self.w.seize_ix(&task, index, &holder),
                        self.w.close_shard_ix(&task, index),
                    ];
                    for (crank, what) in cranks.into_iter().zip(CRANKS) {
                        self.try_it(what, crank, &stranger);
                    }
                }
                self.try_it("refund", self.w.refund_ix(&task), &stranger);
                self.try_it("close job", self.w.close_job_ix(&task), &stranger);
            }
            for challenge in self.challenges(|_| true) {
                self.turn(&challenge, &stranger);
            }
            for (key, delivery) in books::all::<Delivery>(&self.w.chain) {
                let mut close = ix::close_delivery(&delivery.job, 0, delivery.rent_payer);
                (close.accounts[0].pubkey, close.accounts[1].pubkey) = (key, delivery.shard);
                self.try_it("close delivery", close, &stranger);
            }
            // Long enough for every deadline of the terms; then for the job's life, then for unclaimed bounties.
            match round {
                0..3 => self.w.chain.pass(EXECUTE.max(3_600)),
                3 => self.w.chain.pass(LIFE),
                5 => self.w.chain.pass(BOUNTY_WAIT_SECONDS),
                _ => self.w.chain.pass(3_600),
            }
        }
        let left: Vec<Shard> = books::all::<Shard>(&self.w.chain).into_iter().map(|(_, shard)| shard).collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(books::all::<Job>(&self.w.chain).is_empty());
        assert!(books::all::<Challenge>(&self.w.chain).is_empty(), "every bond went somewhere");
        assert!(books::all::<Delivery>(&self.w.chain).is_empty());
        for provider in [self.w.alice.clone(), self.w.bob.clone()] {
            let data = self.w.provider(&provider);
            assert_eq!((data.locked, data.active), (0, 0));
            assert_eq!(self.w.held(&data.vault), data.staked, "nothing is stranded in a vault");
            self.w.retire(&provider);
        }
        let creator = self.w.creator.clone();
        self.w.ok(&[self.w.close_market_ix()], &[&creator]);
    }
}

#[test]
fn random_walks() {
    let mut landed: BTreeMap<&'static str, u32> = BTreeMap::new();
    for seed in 0..10 {
        let mut walk = Walk::new(seed);
        for _ in 0..450 {
            walk.step();
            walk.alices_turn();
        }
        walk.everybody_out();
        for (what, times) in walk.landed {
            *landed.entry(what).or_default() += times;
        }
    }
    println!("{landed:?}");
    // The walks are worth something only if every kind of step lands in them.
    let kinds = [
        "alice claims",
        "alice settles",
        "accept",
        "bounty",
        "cancel",
        "challenge",
        "claim",
        "close delivery",
        "demand",
        "pay challenge",
        "post",
        "return bond",
        "slash challenged",
        "close job",
        "close shard",
        "commit",
        "draw",
        "expire",
        "judge",
        "name",
        "pause",
        "record",
        "refund",
        "release",
        "roll",
        "seize",
        "settle",
        "slash",
    ];
    for kind in kinds {
        assert!(landed.get(kind).is_some_and(|n| *n > 0), "{kind} never landed: {landed:?}");
    }
}
