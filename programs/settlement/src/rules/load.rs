//! How much a provider may take on: the cells that the chain may draw and the renter may name of its shards in work, all
//! demanded at once, must be answerable in time.
//!
//! Why nobody who keeps its pace is late, however claims, draws, named cells and challenges fall together: a provider that
//! works on what is due first misses a due time `d` only after a time `t` since when it was never idle and did nothing but
//! work that was demanded since `t` and is due by `d`. Take the shard or challenge of that work that was claimed or opened
//! last. All that is left of that work then was counted at that moment. If it is a challenge, it is due the response time
//! after all that was counted. If it is a claim, less than the response time was counted (see [`fits`]), and its cells are due
//! the response time after they are demanded. So it all fits before `d`.
//!
//! The program itself refuses only claims that are too many without any challenge ([`take`]): else challenges could keep a
//! provider from claiming. That it claims nothing while challenges wait, as far as [`fits`] says, is its own to do.

use crate::{
    constants::RESPONSE_FLOOR_SECONDS,
    error::AssayError,
    rules::{Result, decrement, ensure, increment},
    state::{JobTerms, Provider, unit_seconds},
};

/// Time that answering all cells takes that can be drawn or named of one shard, seconds.
pub fn of_shard(terms: &JobTerms) -> u32 {
    let cells = u32::from(terms.samples).saturating_add(u32::from(terms.named));
    unit_seconds(terms.answer_transactions).saturating_mul(cells)
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
pub fn take(provider: &mut Provider, terms: &JobTerms) -> Result<()> {
    let loaded = provider.load_seconds.saturating_add(of_shard(terms));
    ensure(loaded < limit(terms), AssayError::ProviderLoaded)?;
    provider.active = increment(provider.active)?;
    provider.load_seconds = loaded;
    Ok(())
}

/// One shard less. Nothing that a provider is counted for keeps it from leaving.
pub fn leave(provider: &mut Provider, terms: &JobTerms) -> Result<()> {
    provider.active = decrement(provider.active)?;
    provider.load_seconds = provider.load_seconds.saturating_sub(of_shard(terms));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        constants::MAX_SHARDS,
        rules::{
            challenge,
            judgement::{draw_due, named_due},
            time::Now,
        },
        state::{Challenge, CostClass, Job, Shard, ShardState},
    };
    use bytemuck::Zeroable;
    use proptest::prelude::*;

    fn at(time: i64) -> Now {
        Now { time, slot: u64::try_from(time).unwrap() * 3, last_restart_slot: 0 }
    }

    fn job(answer_transactions: u16) -> Job {
        let mut j = Job::zeroed();
        let t = &mut j.terms;
        (t.shards, t.leaves, t.shard_leaves, t.classes) = (MAX_SHARDS, u64::from(MAX_SHARDS), 1, 1);
        t.class[0] =
            CostClass { cells: t.leaves * 16, cost: 1, cells_per_leaf: 16, cell_bytes: 4, ..CostClass::zeroed() };
        (t.samples, t.named, t.answer_transactions) = (3, 3, answer_transactions);
        (t.response_seconds, t.challenge_seconds) = (4_000, u32::MAX);
        j
    }

    #[test]
    fn a_job_that_nobody_could_answer() {
        let mut t = job(333).terms;
        assert_eq!((of_shard(&t), limit(&t), check(&t)), (3_996, 4_000, Ok(())));
        (t.samples, t.named, t.answer_transactions) = (4, 4, 250);
        assert_eq!(check(&t), Err(AssayError::CellsTooDear));
        (t.response_seconds, t.samples) = (1, 3);
        assert_eq!((limit(&t), check(&t)), (RESPONSE_FLOOR_SECONDS, Ok(())));
    }

    /// A shard in work: of which of the two jobs, and whether its cells were drawn and named.
    #[derive(Clone, Copy)]
    struct Work {
        job: usize,
        shard: Shard,
        done: bool,
    }

    /// A cell that somebody demanded: of which shard, or under which challenge; work that is left, seconds.
    struct Demanded {
        of: std::result::Result<usize, Challenge>,
        due: i64,
        left: i64,
    }

    /// Demands three drawn and three named cells of a shard, as far as they are not.
    fn demand(i: usize, work: &mut Work, terms: &JobTerms, drawn: bool, named: bool, time: i64) -> Vec<Demanded> {
        let (s, left, mut dues) = (&mut work.shard, i64::from(unit_seconds(terms.answer_transactions)), Vec::new());
        if drawn && s.drawn == 0 {
            (s.drawn, s.drawn_at) = (3, time);
            dues.extend([draw_due(s, terms).time(); 3]);
        }
        if named && s.named == 0 {
            (s.named, s.named_at) = (3, time);
            dues.extend([named_due(s, terms).time(); 3]);
        }
        dues.into_iter().map(|due| Demanded { of: Ok(i), due, left }).collect()
    }

    proptest! {
        /// Whoever works on what is due first, each cell in its unit, and claims no more than fits, is never late.
        #[test]
        fn a_provider_that_keeps_its_pace_is_never_late(
            events in prop::collection::vec((0u8..7, any::<usize>(), 0i64..900), 1..150),
        ) {
            let jobs = [job(5), job(80)];
            let (mut p, mut time) = (Provider::zeroed(), 10i64);
            let (mut works, mut queue) = (Vec::<Work>::new(), Vec::<Demanded>::new());
            for (kind, which, pause) in events {
                let in_work: Vec<usize> = (0..works.len()).filter(|i| !works[*i].done).collect();
                let picked = in_work.get(which % in_work.len().max(1)).copied();
                match (kind, picked) {
                    // It claims as many as it can answer for.
                    (0, _) => while fits(&p, &jobs[which % 2].terms) {
                        take(&mut p, &jobs[which % 2].terms).unwrap();
                        let shard = Shard { state: ShardState::Committed as u8, ..Shard::zeroed() };
                        works.push(Work { job: which % 2, shard, done: false });
                    },
                    // Cells of all shards at once.
                    (1, _) => for i in in_work {
                        let work = &mut works[i];
                        queue.extend(demand(i, work, &jobs[work.job].terms, true, which % 2 == 0, time));
                    },
                    // Of one.
                    (2 | 3, Some(i)) => {
                        let work = &mut works[i];
                        queue.extend(demand(i, work, &jobs[work.job].terms, kind == 2, kind == 3, time));
                    }
                    // A flood of challenges.
                    (4, Some(i)) => for _ in 0..which % 30 {
                        let (work, mut c) = (&mut works[i], Challenge::zeroed());
                        let by = Default::default();
                        challenge::open(&jobs[work.job], &mut p, &mut work.shard, &mut c, &by, 5, &at(time)).unwrap();
                        queue.push(Demanded { of: Err(c), due: c.due().time(), left: i64::from(c.unit) });
                    },
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
                    match finished.of {
                        Err(c) => challenge::leave_queue(&mut p, &c),
                        // Drawn and proven: it is settled, and what could have been named can't be any more.
                        Ok(i) if works[i].shard.drawn > 0 && !queue.iter().any(|d| d.of.as_ref().ok() == Some(&i)) => {
                            works[i].done = true;
                            leave(&mut p, &jobs[works[i].job].terms).unwrap();
                        }
                        Ok(_) => {}
                    }
                }
                time += pause;
            }
        }
    }
}
