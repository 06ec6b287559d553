//! Challenges: a cell demanded under a bond, its place in the provider's queue, and what becomes of the bond.

use crate::{
    error::AssayError,
    rules::{
        Result, decrement, ensure, increment,
        judgement::{is_answered, state_is},
        shard::challenge_window,
        time::Now,
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
    challenge.seconds = time_to_answer(provider.challenges, terms);
    provider.challenges = provider.challenges.checked_add(1).ok_or(AssayError::Overflow)?;
    shard.open_challenges = increment(shard.open_challenges)?;
    Ok(())
}

/// Seconds to answer a challenge that comes behind `before` others of the same provider: the response time, and a unit for
/// each of them and for itself. Whoever answers in the order of opening, one in a unit, is never late: what lies before a
/// challenge only gets less.
///
/// It is the challenges that exist which count, not those that were ever opened: a queue that only the clock shortens could
/// be filled for nothing but fees, by challenging oneself in a job of one's own and accepting it, and would put off every
/// later challenge for as long as one likes. Here whoever puts off others keeps a bond tied up for every unit.
fn time_to_answer(before: u64, terms: &JobTerms) -> u32 {
    let places = u32::try_from(before.saturating_add(1)).unwrap_or(u32::MAX);
    terms.response_seconds.saturating_add(unit_seconds(terms.answer_transactions).saturating_mul(places))
}

/// A challenge's account is about to close: one fewer for its provider. A provider that closed its account and registered
/// again has begun a new count.
pub fn leave_queue(provider: &mut Provider) {
    provider.challenges = provider.challenges.saturating_sub(1);
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
        leave_queue(provider);
        provider.staked = provider.staked.checked_add(parts.provider).ok_or(AssayError::Overflow)?;
        provider.earned = provider.earned.saturating_add(parts.provider);
    }
    job.compensated = job.compensated.checked_add(parts.renter).ok_or(AssayError::Overflow)?;
    shard.unpaid_challenges = decrement(shard.unpaid_challenges)?;
    Ok(parts)
}

/// True when the bond goes back whole: the challenge is won, or its shard has ended, or will be settled whatever its
/// cells are, without an answer. `shard`: none when its account is closed.
pub fn returnable(challenge: &Challenge, shard: Option<&Shard>) -> Result<()> {
    match challenge.state() {
        Some(ChallengeState::Won) => Ok(()),
        Some(ChallengeState::Answered) | None => Err(AssayError::ChallengeAnswered),
        Some(ChallengeState::Open) => {
            let ended = shard.is_none_or(|s| {
                s.accepted != 0 || matches!(s.state(), Some(ShardState::Settled | ShardState::Slashed))
            });
            ensure(ended, AssayError::ChallengeOpen)
        }
    }
}
