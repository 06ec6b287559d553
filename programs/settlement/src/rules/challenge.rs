//! Challenges: a cell demanded under a bond, its place in the provider's queue, and what becomes of the bond.

use crate::{
    constants::BOUNTY_WAIT_SECONDS,
    error::AssayError,
    rules::{
        Result, decrement, ensure, increment,
        judgement::{is_answered, state_is},
        shard::challenge_window,
        time::{Deadline, Now},
    },
    state::{Challenge, ChallengeState, Job, JobTerms, Provider, RENTER_CHALLENGES, Shard, ShardState, unit_seconds},
};
use anchor_lang::prelude::Pubkey;

/// Demands cell `number` under a bond, inside the challenge window. Every challenge that the provider has open adds to the
/// time for this one, so that any number at once leaves an honest provider the time to answer them one after the other.
/// The challenge's addresses and payer are the handler's to set, and the bond of the terms its to move.
pub fn open(
    job: &Job,
    provider: &mut Provider,
    shard: &mut Shard,
    challenge: &mut Challenge,
    challenger: &Pubkey,
    number: u64,
    now: &Now,
) -> Result<()> {
    state_is(shard, &[ShardState::Committed, ShardState::Sampled])?;
    let terms = &job.terms;
    ensure(shard.accepted == 0, AssayError::Accepted)?;
    ensure(!challenge_window(shard, terms).passed(now), AssayError::WindowOver)?;
    let restricted = terms.flags & RENTER_CHALLENGES != 0;
    ensure(!restricted || *challenger == job.renter, AssayError::ChallengeRestricted)?;
    let cells = terms.shard(shard.index).ok_or(AssayError::NoSuchShard)?.cells()?;
    ensure(number < cells, AssayError::NoSuchCell)?;
    ensure(!is_answered(shard, terms, number), AssayError::AlreadyAnswered)?;
    challenge.state = ChallengeState::Open as u8;
    challenge.challenger = *challenger;
    challenge.cell = number;
    challenge.bond = terms.bond;
    challenge.opened_at = now.time;
    challenge.opened_slot = now.slot;
    challenge.unit = unit_seconds(terms.answer_transactions);
    let queued = provider.queued_seconds.checked_add(u64::from(challenge.unit)).ok_or(AssayError::Overflow)?;
    challenge.seconds = time_to_answer(queued.saturating_add(u64::from(provider.load_seconds)), terms);
    provider.queued_seconds = queued;
    shard.open_challenges = increment(shard.open_challenges)?;
    Ok(())
}

/// Seconds to answer a challenge with which the provider's load and queue are `queued` seconds long: the response time, and
/// all that may have to be answered before it, itself included. Why whoever keeps its pace is never late then: `rules/load.rs`.
/// (What lies before a challenge only gets less.)
///
/// It is the challenges that still want an answer which count, not those ever opened: a queue that only the clock shortens
/// could be filled for nothing but fees, by challenging oneself in a job of one's own and accepting it, and would put off all
/// later challenges for as long as one likes. Here whoever puts off others keeps a bond tied up for every unit.
fn time_to_answer(queued: u64, terms: &JobTerms) -> u32 {
    terms.response_seconds.saturating_add(u32::try_from(queued).unwrap_or(u32::MAX))
}

/// An answered challenge's account is about to close: its provider has so much less to do. A provider that closed its account
/// and registered again since has begun a new queue, in which this challenge is not. What is not answered leaves the queue with
/// its shard, see `load::leave`.
fn leave_queue(provider: &mut Provider, challenge: &Challenge) {
    if challenge.opened_at >= provider.registered_at {
        provider.queued_seconds = provider.queued_seconds.saturating_sub(u64::from(challenge.unit));
    }
}

/// A challenge's cell was re-executed and is right.
pub fn answered(shard: &mut Shard, challenge: &mut Challenge) -> Result<()> {
    challenge.state = ChallengeState::Answered as u8;
    shard.open_challenges = decrement(shard.open_challenges)?;
    shard.unpaid_challenges = increment(shard.unpaid_challenges)?;
    Ok(())
}

/// How the bond of an answered challenge is divided. The two parts add up to the bond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BondParts {
    /// To the provider's stake, base units: for the trouble.
    pub provider: u64,
    /// To the renter, by way of the job's vault, base units.
    pub renter: u64,
}

/// Half of the bond, rounded down, to the provider; all of it to the renter where the provider has closed its account.
pub fn divide(bond: u64, provider_exists: bool) -> Result<BondParts> {
    let provider = if provider_exists { bond / 2 } else { 0 };
    Ok(BondParts { provider, renter: bond.checked_sub(provider).ok_or(AssayError::Overflow)? })
}

/// Divides the bond of an answered challenge and books it. Once.
pub fn pay(
    job: &mut Job,
    provider: Option<&mut Provider>,
    shard: &mut Shard,
    challenge: &Challenge,
) -> Result<BondParts> {
    ensure(challenge.state() == Some(ChallengeState::Answered), AssayError::ChallengeOpen)?;
    let parts = divide(challenge.bond, provider.is_some())?;
    if let Some(provider) = provider {
        leave_queue(provider, challenge);
        provider.staked = provider.staked.checked_add(parts.provider).ok_or(AssayError::Overflow)?;
        provider.earned = provider.earned.saturating_add(parts.provider);
    }
    job.compensated = job.compensated.saturating_add(parts.renter);
    shard.unpaid_challenges = decrement(shard.unpaid_challenges)?;
    Ok(parts)
}

/// True when the bond goes back whole: the challenge is won, or its shard has ended without an answer. `shard`: none when its
/// account is closed. An accepted shard has only its settlement before it, which anyone can bring about; until then the
/// challenge stays, so that the bounty of a cell that is proven wrong in between is the challenger's. Where a frozen vault
/// keeps it from settling, the bond waits no longer than a bounty would.
pub fn returnable(challenge: &Challenge, shard: Option<&Shard>, now: &Now) -> Result<()> {
    match challenge.state() {
        Some(ChallengeState::Won) => Ok(()),
        Some(ChallengeState::Answered) | None => Err(AssayError::ChallengeAnswered),
        Some(ChallengeState::Open) => {
            let waited = Deadline { seconds: BOUNTY_WAIT_SECONDS, ..challenge.due() }.passed(now);
            let ended = shard.is_none_or(|s| {
                matches!(s.state(), Some(ShardState::Settled | ShardState::Slashed)) || s.accepted != 0 && waited
            });
            ensure(ended, AssayError::ChallengeOpen)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::CostClass;
    use bytemuck::Zeroable;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    const RESPONSE: u32 = 3_600;

    fn job(flags: u8) -> Job {
        let mut job = Job::zeroed();
        job.renter = Pubkey::new_from_array([1; 32]);
        let t = &mut job.terms;
        (t.shards, t.leaves, t.shard_leaves, t.classes) = (1, 10, 10, 1);
        (t.samples, t.challenge_seconds, t.response_seconds, t.answer_transactions) = (3, 900, RESPONSE, 5);
        t.class[0] = CostClass { cells: 40, cost: 1, cells_per_leaf: 4, cell_bytes: 4, stage: 0, reserved: 0 };
        (t.bond, t.flags) = (1_001, flags);
        job
    }

    fn committed() -> Shard {
        Shard { state: ShardState::Committed as u8, committed_at: 1_000, committed_slot: 3_000, ..Shard::zeroed() }
    }

    fn at(time: i64) -> Now {
        Now { time, slot: u64::try_from(time).unwrap() * 3, last_restart_slot: 0 }
    }

    fn open_at(job: &Job, p: &mut Provider, s: &mut Shard, by: u8, cell: u64, now: &Now) -> Result<Challenge> {
        let mut c = Challenge::zeroed();
        open(job, p, s, &mut c, &Pubkey::new_from_array([by; 32]), cell, now)?;
        Ok(c)
    }

    #[test]
    fn who_may_challenge_what_and_when() {
        let (j, mut p, mut s) = (job(0), Provider::zeroed(), committed());
        let mut shot =
            |s: &mut Shard, j: &Job, by, cell, time| open_at(j, &mut p, s, by, cell, &at(time)).map(|c| c.bond);
        assert_eq!(shot(&mut s, &j, 7, 39, 1_899), Ok(1_001));
        assert_eq!(shot(&mut s, &j, 7, 40, 1_899), Err(AssayError::NoSuchCell));
        assert_eq!(shot(&mut s, &j, 7, 0, 1_900), Err(AssayError::WindowOver));
        assert_eq!(shot(&mut s, &job(RENTER_CHALLENGES), 7, 0, 1_100), Err(AssayError::ChallengeRestricted));
        assert_eq!(shot(&mut s, &job(RENTER_CHALLENGES), 1, 0, 1_100), Ok(1_001));
        (s.drawn, s.cells[1], s.answered) = (3, 17, 0b010);
        assert_eq!(shot(&mut s, &j, 7, 17, 1_100), Err(AssayError::AlreadyAnswered));
        s.accepted = 1;
        assert_eq!(shot(&mut s, &j, 7, 3, 1_100), Err(AssayError::Accepted));
        let mut claimed = Shard { state: ShardState::Claimed as u8, ..committed() };
        assert_eq!(shot(&mut claimed, &j, 7, 3, 1_100), Err(AssayError::WrongState));
        assert_eq!(s.open_challenges, 2);
    }

    #[test]
    fn a_bond_is_divided_once_and_whole() {
        let (mut j, mut p, mut s) = (job(0), Provider::zeroed(), committed());
        let mut c = open_at(&j, &mut p, &mut s, 7, 5, &at(1_100)).unwrap();
        assert_eq!(pay(&mut j, Some(&mut p), &mut s, &c), Err(AssayError::ChallengeOpen));
        assert_eq!(returnable(&c, Some(&s), &at(1_200)), Err(AssayError::ChallengeOpen));
        answered(&mut s, &mut c).unwrap();
        assert_eq!(returnable(&c, None, &at(1_200)), Err(AssayError::ChallengeAnswered));
        assert_eq!(pay(&mut j, Some(&mut p), &mut s, &c), Ok(BondParts { provider: 500, renter: 501 }));
        assert_eq!((p.staked, p.earned, p.queued_seconds, j.compensated, s.unpaid_challenges), (500, 500, 0, 501, 0));
        assert_eq!(divide(1_001, false), Ok(BondParts { provider: 0, renter: 1_001 }));
        let open = open_at(&j, &mut p, &mut s, 7, 6, &at(1_100)).unwrap();
        for state in [ShardState::Settled, ShardState::Slashed] {
            assert_eq!(returnable(&open, Some(&Shard { state: state as u8, ..s }), &at(1_200)), Ok(()));
        }
        assert_eq!(returnable(&open, None, &at(1_200)), Ok(()));
        let accepted = Shard { accepted: 1, ..s };
        let over = 1_100 + i64::from(BOUNTY_WAIT_SECONDS);
        assert_eq!(returnable(&open, Some(&accepted), &at(over - 1)), Err(AssayError::ChallengeOpen));
        assert_eq!(returnable(&open, Some(&accepted), &at(over)), Ok(()));
        assert_eq!(returnable(&open, Some(&s), &at(over)), Err(AssayError::ChallengeOpen));
    }

    #[test]
    fn no_number_of_challenges_makes_a_provider_immune() {
        let j = job(0);
        assert_eq!(time_to_answer(10, &j.terms), RESPONSE + 10);
        assert_eq!(time_to_answer(u64::MAX, &j.terms), u32::MAX);
        let (mut p, mut s) = (Provider { queued_seconds: u64::from(u32::MAX), ..Provider::zeroed() }, committed());
        let late = open_at(&j, &mut p, &mut s, 7, 5, &at(1_100)).unwrap();
        assert_eq!(late.seconds, u32::MAX);
    }

    #[test]
    fn a_provider_that_comes_back_begins_a_new_queue() {
        let (j, mut p, mut s) = (job(0), Provider::zeroed(), committed());
        let old = open_at(&j, &mut p, &mut s, 7, 5, &at(1_100)).unwrap();
        let mut back = Provider { registered_at: 1_200, ..Provider::zeroed() };
        let new = open_at(&j, &mut back, &mut s, 7, 6, &at(1_300)).unwrap();
        leave_queue(&mut back, &old);
        assert_eq!(back.queued_seconds, 10);
        leave_queue(&mut back, &new);
        assert_eq!(back.queued_seconds, 0);
    }

    proptest! {
        /// Whoever answers in the order of opening, each in its unit, is never late, whatever others open and take back.
        #[test]
        fn an_answerer_that_keeps_its_pace_is_never_late(
            events in prop::collection::vec((0u8..4, 1u64..40, 0i64..200), 1..200),
        ) {
            // Jobs of two kernels: their answers take five transactions and eighty.
            let jobs = [5, 80].map(|transactions| {
                let mut j = job(0);
                (j.terms.challenge_seconds, j.terms.answer_transactions) = (u32::MAX, transactions);
                j
            });
            let (mut p, mut s, mut time) = (Provider::zeroed(), committed(), 1_000i64);
            let (mut queue, mut busy_until) = (VecDeque::<Challenge>::new(), time);
            for (kind, count, pause) in events {
                match kind {
                    // A burst.
                    0 | 1 => for _ in 0..count {
                        let j = &jobs[usize::from(kind)];
                        queue.push_back(open_at(j, &mut p, &mut s, 7, 5, &at(time)).unwrap());
                    },
                    // Their owners end some, the latest or the oldest first.
                    2 => for i in 0..count {
                        let ended = if i % 2 == 0 { queue.pop_back() } else { queue.pop_front() };
                        if let Some(ended) = ended { leave_queue(&mut p, &ended); }
                    },
                    _ => {}
                }
                time += pause;
                // The answerer works on; it was idle where nothing waited.
                while let Some(first) = queue.front() {
                    let done = busy_until.max(first.opened_at) + i64::from(first.unit);
                    if done > time { break; }
                    busy_until = done;
                    prop_assert!(busy_until < first.due().time());
                    leave_queue(&mut p, first);
                    queue.pop_front();
                }
            }
            while let Some(first) = queue.pop_front() {
                busy_until = busy_until.max(first.opened_at) + i64::from(first.unit);
                prop_assert!(busy_until < first.due().time());
                leave_queue(&mut p, &first);
            }
            prop_assert_eq!(p.queued_seconds, 0);
        }
    }
}
