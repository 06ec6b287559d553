//! The program's due times are met by whoever works on what is due first (`rules/load.rs`). Here its own rules demand cells and
//! leaves of a provider as others please, and the worker's own choice of answers and its own gate decide what is sent when,
//! one transaction a second. At each transaction one that is less urgent may be under way already, so an answer goes on every
//! other second at the latest: the two seconds a transaction that the program counts with.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]

use std::{collections::VecDeque, pin::Pin};

use assay_settlement::{
    Challenge, CostClass, Delivery, DeliveryMode, Job, Provider, Shard, ShardState,
    rules::{challenge, judgement::is_answered, load, time::Now},
};
use assay_worker::{
    gate::{Gate, Permit},
    step::{Asked, Demand, Wanted, at_work, demanded},
};
use bytemuck::Zeroable;
use futures_util::FutureExt;
use proptest::prelude::*;
use tokio::sync::watch;

/// How answers are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// As the worker does.
    DueFirst,
    /// All that a shard demands is done, by when it is due, before the shard is read again.
    InPasses,
}

const AT_ONCE: usize = 8;
const RESPONSE: u32 = 4_000;
const LEAVES: u64 = 16;

/// Sixteen leaves a shard, three cells drawn and three named, leaves posted on demand.
fn job(answer_transactions: u16) -> Job {
    let mut job = Job::zeroed();
    let t = &mut job.terms;
    (t.shards, t.leaves, t.shard_leaves, t.classes) = (64, 64 * LEAVES, LEAVES, 1);
    t.class[0] = CostClass { cells: t.leaves * 16, cost: 1, cells_per_leaf: 16, cell_bytes: 4, ..CostClass::zeroed() };
    (t.samples, t.named, t.answer_transactions, t.delivery) = (3, 3, answer_transactions, DeliveryMode::Ledger as u8);
    (t.response_seconds, t.challenge_seconds) = (RESPONSE, u32::MAX);
    job
}

struct Work {
    job: usize,
    shard: Shard,
    challenges: Vec<Challenge>,
    delivery: Option<Delivery>,
    /// What is left of a pass, where work is done in passes.
    pass: VecDeque<Demand>,
}

/// An answer in work: how many transactions are left, and its way through the gate to the next one.
struct Answer<'a> {
    of: usize,
    demand: Demand,
    left: u16,
    /// What it is due by now: a cell that is challenged may be named besides.
    rank: watch::Sender<i64>,
    way: Pin<Box<dyn Future<Output = Permit> + 'a>>,
}

struct World {
    way: Way,
    jobs: [Job; 2],
    provider: Provider,
    works: Vec<Work>,
    time: i64,
    /// The latest of all answers: how long after it was due.
    latest: i64,
    answers: usize,
}

impl World {
    fn new(way: Way, jobs: [Job; 2]) -> Self {
        Self { way, jobs, provider: Provider::zeroed(), works: Vec::new(), time: 10, latest: i64::MIN, answers: 0 }
    }

    fn now(&self) -> Now {
        Now { time: self.time, slot: u64::try_from(self.time).unwrap() * 3, last_restart_slot: 0 }
    }

    /// Claims as many shards of a job as fit, and commits them.
    fn claim(&mut self, job: usize) {
        while load::fits(&self.provider, &self.jobs[job].terms) {
            let index = u32::try_from(self.works.len()).unwrap();
            let mut shard = Shard { state: ShardState::Committed as u8, index, ..Shard::zeroed() };
            load::take(&mut self.provider, &mut shard, &self.jobs[job].terms).unwrap();
            let (challenges, pass) = (Vec::new(), VecDeque::new());
            self.works.push(Work { job, shard, challenges, delivery: None, pass });
        }
    }

    fn draw(&mut self, of: usize) {
        let (time, shard) = (self.time, &mut self.works[of].shard);
        if shard.drawn == 0 {
            (shard.drawn, shard.drawn_at, shard.state) = (3, time, ShardState::Sampled as u8);
            shard.cells[..3].copy_from_slice(&[200, 201, 202]);
        }
    }

    /// Names three cells from this one on, which may be challenged as well.
    fn name(&mut self, of: usize, first: u64) {
        let (time, shard) = (self.time, &mut self.works[of].shard);
        if shard.named == 0 {
            (shard.named, shard.named_at) = (3, time);
            shard.cells[3..6].copy_from_slice(&[first, first + 1, first + 2]);
        }
    }

    fn demand_leaves(&mut self, of: usize) {
        let (time, Work { shard, delivery, .. }) = (self.time, &mut self.works[of]);
        if delivery.is_none() {
            (shard.leaves_demanded, shard.demanded_at) = (16, time);
            let mut wanted = Delivery::zeroed();
            wanted.count = 16;
            let first = u64::from(shard.index) * LEAVES;
            wanted.leaves.iter_mut().zip(first..first + LEAVES).for_each(|(to, leaf)| *to = leaf);
            *delivery = Some(wanted);
        }
    }

    fn challenge(&mut self, of: usize, count: usize) {
        for _ in 0..count {
            let (now, Work { job, shard, challenges, .. }) = (self.now(), &mut self.works[of]);
            // Of the first 192, each once while it is open, and none that is proven already.
            let terms = &self.jobs[*job].terms;
            let may = |cell: &u64| !challenges.iter().any(|c| c.cell == *cell) && !is_answered(shard, terms, *cell);
            let Some(cell) = (0..192).find(may) else { return };
            let mut opened = Challenge::zeroed();
            let by = Default::default();
            challenge::open(&self.jobs[*job], &mut self.provider, shard, &mut opened, &by, cell, &now).unwrap();
            opened.cell = cell;
            challenges.push(opened);
        }
    }

    fn demanded(&self, of: usize) -> Vec<Demand> {
        let Work { job, shard, challenges, delivery, .. } = &self.works[of];
        demanded(shard, &self.jobs[*job].terms, &Asked { challenges: challenges.clone(), delivery: *delivery })
    }

    /// A look at every shard: begins what is to be in work and is not.
    fn look<'a>(&mut self, gate: &'a Gate, in_work: &mut Vec<Answer<'a>>) {
        for of in 0..self.works.len() {
            let begun = |in_work: &[Answer<'_>], demand: &Demand| {
                in_work.iter().any(|answer| answer.of == of && answer.demand.wanted == demand.wanted)
            };
            let mine = in_work.iter().filter(|answer| answer.of == of).count();
            let begin: Vec<Demand> = match self.way {
                Way::DueFirst => {
                    let first = at_work(&self.demanded(of), AT_ONCE, |_| false);
                    first.into_iter().filter(|demand| !begun(in_work, demand)).collect()
                }
                Way::InPasses => {
                    if mine == 0 && self.works[of].pass.is_empty() {
                        self.works[of].pass = self.demanded(of).into();
                    }
                    let pass = &mut self.works[of].pass;
                    pass.drain(..pass.len().min(AT_ONCE - mine)).collect()
                }
            };
            for demand in begin {
                let transactions = match demand.wanted {
                    Wanted::Cell(_) => self.jobs[self.works[of].job].terms.answer_transactions,
                    Wanted::Leaf { .. } => 1,
                };
                let rank = watch::Sender::new(demand.rank());
                let way = pass(gate, rank.subscribe());
                in_work.push(Answer { of, demand, left: transactions, rank, way });
            }
            if self.way == Way::DueFirst {
                let demands = self.demanded(of);
                for answer in in_work.iter_mut().filter(|answer| answer.of == of) {
                    let demand = demands.iter().find(|demand| demand.wanted == answer.demand.wanted).unwrap();
                    answer.demand = *demand;
                    answer.rank.send_if_modified(|rank| std::mem::replace(rank, demand.rank()) != demand.rank());
                }
            }
        }
    }

    fn given(&mut self, of: usize, demand: Demand) {
        let Work { shard, challenges, delivery, .. } = &mut self.works[of];
        match demand.wanted {
            Wanted::Leaf { at, .. } => {
                delivery.as_mut().unwrap().posted |= 1 << at;
                shard.leaves_posted += 1;
            }
            Wanted::Cell(place) => {
                let number = place.leaf % LEAVES * 16 + u64::from(place.cell);
                for bit in (0..shard.cells.len()).filter(|bit| shard.cells[*bit] == number) {
                    shard.answered |= 1 << bit;
                }
                if let Some(at) = challenges.iter().position(|challenge| challenge.cell == number) {
                    let mut answered = challenges.swap_remove(at);
                    challenge::answered(shard, &mut answered).unwrap();
                    challenge::pay(&mut self.jobs[0].clone(), Some(&mut self.provider), shard, &answered).unwrap();
                }
            }
        }
        self.answers += 1;
        self.latest = self.latest.max(self.time - demand.due);
    }

    /// So many seconds, or until everything is answered.
    fn run<'a>(&mut self, gate: &'a Gate, in_work: &mut Vec<Answer<'a>>, seconds: i64) {
        self.look(gate, in_work);
        let end = self.time.saturating_add(seconds);
        while self.time < end && !in_work.is_empty() {
            let granted = in_work.iter_mut().enumerate().find_map(|(at, answer)| {
                let permit = answer.way.as_mut().now_or_never()?;
                Some((at, permit))
            });
            // Somebody always may send.
            let (at, permit) = granted.unwrap();
            self.time += 1;
            in_work[at].left -= 1;
            drop(permit);
            if in_work[at].left > 0 {
                in_work[at].way = pass(gate, in_work[at].rank.subscribe());
            } else {
                let Answer { of, demand, .. } = in_work.swap_remove(at);
                self.given(of, demand);
                self.look(gate, in_work);
            }
        }
        if seconds < i64::MAX {
            self.time = self.time.max(end);
        }
    }
}

/// The way to the next transaction; in the line from now on.
fn pass<'a>(gate: &'a Gate, rank: watch::Receiver<i64>) -> Pin<Box<dyn Future<Output = Permit> + 'a>> {
    let mut way: Pin<Box<dyn Future<Output = Permit> + 'a>> = Box::pin(async move { gate.pass_as_due(&rank).await });
    match way.as_mut().now_or_never() {
        Some(permit) => Box::pin(std::future::ready(permit)),
        None => way,
    }
}

/// A renter challenges many cells of its shard, which are due late, and once they are in work names cells of it, which are due
/// early; and all shards are drawn. Returns how late the latest answer was.
fn challenged_then_named(way: Way) -> i64 {
    let gate = Gate::new(1);
    let mut in_work = Vec::new();
    let mut world = World::new(way, [job(80), job(80)]);
    world.claim(0);
    assert!(world.works.len() > 2, "{}", world.works.len());
    world.challenge(0, 60);
    world.run(&gate, &mut in_work, 30);
    for of in 0..world.works.len() {
        world.draw(of);
        world.name(of, 210);
    }
    world.run(&gate, &mut in_work, i64::MAX);
    assert_eq!(world.answers, 60 + 6 * world.works.len());
    world.latest
}

#[test]
fn cells_that_are_named_while_challenges_are_answered_are_in_time() {
    let latest = challenged_then_named(Way::DueFirst);
    assert!(latest < 0, "{latest} seconds late");
    // It is the order that does it.
    let latest = challenged_then_named(Way::InPasses);
    assert!(latest > 0, "{} seconds to spare", -latest);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Whatever is demanded, however it falls together: a provider that claims no more than fits is never late.
    #[test]
    fn the_worker_is_never_late(
        events in prop::collection::vec((0u8..8, any::<usize>(), 0i64..600), 1..40),
    ) {
        let gate = Gate::new(1);
        let mut in_work = Vec::new();
        let mut world = World::new(Way::DueFirst, [job(5), job(80)]);
        for (kind, which, pause) in events {
            let of = which.checked_rem(world.works.len());
            match (kind, of) {
                (0, _) => world.claim(which % 2),
                (1, _) => (0..world.works.len()).for_each(|of| {
                    world.draw(of);
                    world.name(of, (which % 60) as u64);
                    if which % 2 == 0 {
                        world.demand_leaves(of);
                    }
                }),
                (2, Some(of)) => world.draw(of),
                (3, Some(of)) => world.name(of, (which % 200) as u64),
                (4, Some(of)) => world.demand_leaves(of),
                (5 | 6, Some(of)) => world.challenge(of, which % 40),
                _ => {}
            }
            world.run(&gate, &mut in_work, pause);
            prop_assert!(world.latest < 0, "{} seconds late", world.latest);
        }
        world.run(&gate, &mut in_work, i64::MAX);
        prop_assert!(world.latest < 0, "{} seconds late", world.latest);
        prop_assert!((0..world.works.len()).all(|of| world.demanded(of).is_empty()), "everything is answered");
    }
}
