//! How much a provider may take on: the cells that the chain may draw and the renter may name of its shards in work, and the
//! leaves that a renter may have posted, all demanded at once, must be possible in time.
//!
//! Why nobody who keeps its pace is late, however claims, draws, named cells, demanded leaves and challenges fall together: a
//! provider that works on what is due first misses a due time `d` only after a time `t` since when it was never idle and did
//! nothing but work that was demanded since `t` and is due by `d`. Take the shard or challenge of that work that was claimed or
//! opened last. All that is left of that work then was counted at that moment. If it is a challenge, it is due the response
//! time after all that was counted. If it is a claim, less than the response time was counted (see [`fits`]), and its cells and
//! leaves are due the response time after they are demanded, or later. So it all fits before `d`.
//!
//! Keeping its pace: a unit of time for each answer (two seconds a transaction), left for a more urgent one where there is one.
//! Claims, commitments, draws and payments are not counted: nothing of them has to be done within the response time, and
//! anyone can draw and settle. Two seconds a transaction leave room for them.
//!
//! The program itself refuses only claims that are too many without any challenge ([`take`]): else challenges could keep a
//! provider from claiming. That it claims nothing while challenges wait, as far as [`fits`] says, is its own to do.

use crate::{
    constants::{MAX_DEMANDED_LEAVES, RESPONSE_FLOOR_SECONDS, SECONDS_PER_ANSWER_TRANSACTION},
    error::AssayError,
    rules::{Result, decrement, ensure, increment},
    state::{DeliveryMode, JobTerms, Provider, Shard, unit_seconds},
};

/// Bytes of a leaf and its path that go to the ledger inside one transaction of the oldest form.
const POSTED_INLINE_BYTES: u32 = 800;
/// Bytes that one transaction writes to an evidence account.
const PIECE_BYTES: u32 = 900;

/// Time that answering all cells takes that can be drawn or named of one shard, and posting as many leaves as can be demanded,
/// seconds.
pub fn of_shard(terms: &JobTerms) -> u32 {
    let cells = u32::from(terms.samples).saturating_add(u32::from(terms.named));
    let answers = unit_seconds(terms.answer_transactions).saturating_mul(cells);
    let posted = if terms.delivery() == Some(DeliveryMode::Ledger) { posting(terms) } else { 0 };
    answers.saturating_add(posted)
}

/// Time that posting leaves of one shard takes, seconds, as many as can be demanded and the largest that there are.
fn posting(terms: &JobTerms) -> u32 {
    let leaves = u32::try_from(terms.shard_leaves).unwrap_or(u32::MAX).min(MAX_DEMANDED_LEAVES as u32);
    let bytes = terms.classes().iter().map(|c| c.cells_per_leaf.saturating_mul(c.cell_bytes)).max().unwrap_or(0);
    let levels = 64u32.saturating_sub(terms.shard_leaves.saturating_sub(1).leading_zeros());
    let opening = bytes.saturating_add(levels.saturating_mul(32));
    // An account to be made, written and closed besides, where it does not fit.
    let written = opening.div_ceil(PIECE_BYTES).saturating_add(3);
    let transactions = if opening <= POSTED_INLINE_BYTES { 1 } else { written };
    transactions.saturating_mul(SECONDS_PER_ANSWER_TRANSACTION).saturating_mul(leaves)
}

/// A provider's shards in work load it with less than this, seconds. Experimental markets with shorter response times get the
/// floor of the others: there nobody is promised that much.
pub fn limit(terms: &JobTerms) -> u32 {
    terms.response_seconds.max(RESPONSE_FLOOR_SECONDS)
}

/// Refuses a job of which not even a single shard could be answered in time.
pub fn check(terms: &JobTerms) -> Result<()> {
    ensure(of_shard(terms) < limit(terms), AssayError::CellsTooDear)
}

/// True while a provider that keeps its pace can take one more shard of a job, whatever is demanded of it.
pub fn fits(provider: &Provider, terms: &JobTerms) -> bool {
    let counted = u64::from(provider.load_seconds).saturating_add(provider.queued_seconds);
    counted.saturating_add(u64::from(of_shard(terms))) < u64::from(limit(terms))
}

/// One more shard in work.
pub fn take(provider: &mut Provider, shard: &mut Shard, terms: &JobTerms) -> Result<()> {
    let load = of_shard(terms);
    let loaded = provider.load_seconds.saturating_add(load);
    ensure(loaded < limit(terms), AssayError::ProviderLoaded)?;
    provider.active = increment(provider.active)?;
    provider.load_seconds = loaded;
    shard.load_seconds = u64::from(load);
    Ok(())
}

/// One shard less, and with it the challenges of it that nobody has to answer any more: where their bonds lie counts nothing,
/// so nobody's queue depends on whether a challenger can be paid. Nothing that is counted here keeps a provider from leaving.
pub fn leave(provider: &mut Provider, shard: &mut Shard, terms: &JobTerms) -> Result<()> {
    provider.active = decrement(provider.active)?;
    let load = u32::try_from(shard.load_seconds).unwrap_or(u32::MAX);
    provider.load_seconds = provider.load_seconds.saturating_sub(load);
    shard.load_seconds = 0;
    let unit = u64::from(unit_seconds(terms.answer_transactions));
    let unanswered = unit.saturating_mul(u64::from(shard.open_challenges));
    provider.queued_seconds = provider.queued_seconds.saturating_sub(unanswered);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        constants::MAX_SHARDS,
        rules::{
            challenge,
            delivery::posting_due,
            judgement::{draw_due, named_due},
            time::Now,
        },
        state::{Challenge, CostClass, Job, ShardState},
    };
    use bytemuck::Zeroable;
    use proptest::prelude::*;

    fn at(time: i64) -> Now {
        Now { time, slot: u64::try_from(time).unwrap() * 3, last_restart_slot: 0 }
    }

    fn job(answer_transactions: u16, delivery: DeliveryMode) -> Job {
        let mut j = Job::zeroed();
        let t = &mut j.terms;
        (t.shards, t.leaves, t.shard_leaves, t.classes) = (MAX_SHARDS, u64::from(MAX_SHARDS) * 16, 16, 1);
        t.class[0] =
            CostClass { cells: t.leaves * 16, cost: 1, cells_per_leaf: 16, cell_bytes: 4, ..CostClass::zeroed() };
        (t.samples, t.named, t.answer_transactions, t.delivery) = (3, 3, answer_transactions, delivery as u8);
        (t.response_seconds, t.challenge_seconds) = (4_000, u32::MAX);
        j
    }

    #[test]
    fn a_job_that_nobody_could_answer() {
        let mut t = job(333, DeliveryMode::None).terms;
        assert_eq!((of_shard(&t), limit(&t), check(&t)), (3_996, 4_000, Ok(())));
        (t.samples, t.named, t.answer_transactions) = (4, 4, 250);
        assert_eq!(check(&t), Err(AssayError::CellsTooDear));
        (t.response_seconds, t.samples) = (1, 3);
        assert_eq!((limit(&t), check(&t)), (RESPONSE_FLOOR_SECONDS, Ok(())));
    }

    #[test]
    fn leaves_that_can_be_demanded_count() {
        // Sixteen leaves of 64 bytes under four levels, one transaction each.
        let mut t = job(5, DeliveryMode::Ledger).terms;
        assert_eq!(of_shard(&t), 6 * 10 + 16 * 2);
        // At most 64; 800 bytes with the path still fit, more take an account: here two pieces and three transactions.
        (t.shard_leaves, t.class[0].cell_bytes, t.class[0].cells_per_leaf) = (128, 4, (800 - 7 * 32) / 4);
        assert_eq!(of_shard(&t), 60 + 64 * 2);
        (t.class[0].cell_bytes, t.class[0].cells_per_leaf) = (1_024, 1);
        assert_eq!(of_shard(&t), 60 + 64 * 2 * 5);
        t.shard_leaves = 1;
        assert_eq!(of_shard(&t), 60 + 2 * 5);
    }

    /// A shard in work: of which of the two jobs, and whether its cells were drawn and named.
    #[derive(Clone, Copy)]
    struct Work {
        job: usize,
        shard: Shard,
        done: bool,
    }

    /// What somebody demanded of a shard: a cell, a leaf, or a cell under a challenge; work that is left, seconds.
    struct Demanded {
        of: usize,
        challenge: Option<Challenge>,
        due: i64,
        left: i64,
    }

    /// Demands three drawn and three named cells and all leaves of a shard, as far as they are not.
    fn demand(of: usize, work: &mut Work, terms: &JobTerms, wanted: [bool; 3], time: i64) -> Vec<Demanded> {
        let (s, unit, mut demands) = (&mut work.shard, i64::from(unit_seconds(terms.answer_transactions)), Vec::new());
        if wanted[0] && s.drawn == 0 {
            (s.drawn, s.drawn_at) = (3, time);
            demands.extend([(draw_due(s, terms).time(), unit); 3]);
        }
        if wanted[1] && s.named == 0 {
            (s.named, s.named_at) = (3, time);
            demands.extend([(named_due(s, terms).time(), unit); 3]);
        }
        if wanted[2] && s.leaves_demanded == 0 && terms.delivery() == Some(DeliveryMode::Ledger) {
            (s.leaves_demanded, s.demanded_at) = (16, time);
            demands.extend([(posting_due(s, terms).time(), 2); 16]);
        }
        demands.into_iter().map(|(due, left)| Demanded { of, challenge: None, due, left }).collect()
    }

    proptest! {
        /// Whoever works on what is due first, each in its time, and claims no more than fits, is never late.
        #[test]
        fn a_provider_that_keeps_its_pace_is_never_late(
            events in prop::collection::vec((0u8..8, any::<usize>(), 0i64..900), 1..150),
        ) {
            let mut jobs = [job(5, DeliveryMode::Ledger), job(80, DeliveryMode::None)];
            let (mut p, mut time) = (Provider::zeroed(), 10i64);
            let (mut works, mut queue) = (Vec::<Work>::new(), Vec::<Demanded>::new());
            for (kind, which, pause) in events {
                let in_work: Vec<usize> = (0..works.len()).filter(|i| !works[*i].done).collect();
                let picked = in_work.get(which % in_work.len().max(1)).copied();
                match (kind, picked) {
                    // It claims as many as it can answer for.
                    (0, _) => while fits(&p, &jobs[which % 2].terms) {
                        let mut shard = Shard { state: ShardState::Committed as u8, ..Shard::zeroed() };
                        take(&mut p, &mut shard, &jobs[which % 2].terms).unwrap();
                        works.push(Work { job: which % 2, shard, done: false });
                    },
                    // All shards at once.
                    (1, _) => for i in in_work {
                        let work = &mut works[i];
                        let wanted = [true, which % 2 == 0, which % 3 == 0];
                        queue.extend(demand(i, work, &jobs[work.job].terms, wanted, time));
                    },
                    // One.
                    (2..5, Some(i)) => {
                        let work = &mut works[i];
                        let wanted = [kind == 2, kind == 3, kind == 4];
                        queue.extend(demand(i, work, &jobs[work.job].terms, wanted, time));
                    }
                    // A flood of challenges.
                    (5, Some(i)) => for _ in 0..which % 30 {
                        let (work, mut c, by) = (&mut works[i], Challenge::zeroed(), Default::default());
                        challenge::open(&jobs[work.job], &mut p, &mut work.shard, &mut c, &by, 5, &at(time)).unwrap();
                        let (due, left) = (c.due().time(), i64::from(c.unit));
                        queue.push(Demanded { of: i, challenge: Some(c), due, left });
                    },
                    // Its renter accepts one and it is settled, whatever is open.
                    (6, Some(i)) => {
                        let work = &mut works[i];
                        leave(&mut p, &mut work.shard, &jobs[work.job].terms).unwrap();
                        work.done = true;
                        queue.retain(|d| d.of != i);
                    }
                    _ => {}
                }
                let mut pause = pause;
                while pause > 0 && !queue.is_empty() {
                    queue.sort_by_key(|d| d.due);
                    let step = pause.min(queue[0].left);
                    (queue[0].left, pause, time) = (queue[0].left - step, pause - step, time + step);
                    if queue[0].left > 0 {
                        continue;
                    }
                    let finished = queue.remove(0);
                    prop_assert!(time < finished.due, "{} seconds late", time - finished.due);
                    let (i, work) = (finished.of, &mut works[finished.of]);
                    let job = &mut jobs[work.job];
                    if let Some(mut c) = finished.challenge {
                        challenge::answered(&mut work.shard, &mut c).unwrap();
                        challenge::pay(job, Some(&mut p), &mut work.shard, &c).unwrap();
                    }
                    // Drawn and nothing open: it is settled, and nothing more can be demanded of it.
                    if work.shard.drawn > 0 && !queue.iter().any(|d| d.of == i) {
                        work.done = true;
                        leave(&mut p, &mut work.shard, &job.terms).unwrap();
                    }
                }
                time += pause;
            }
            let left: u64 = works.iter().filter(|w| !w.done).map(|w| w.shard.load_seconds).sum();
            prop_assert_eq!(u64::from(p.load_seconds), left);
            let open = queue.iter().filter_map(|d| d.challenge.as_ref()).map(|c| u64::from(c.unit)).sum::<u64>();
            prop_assert_eq!(p.queued_seconds, open);
        }
    }
}
