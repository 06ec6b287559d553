//! Judgement: which cells are demanded, what re-execution says of them, and what a conviction costs. Plain data in,
//! plain data out.

use crate::{
    constants::MAX_CELLS,
    error::AssayError,
    rules::{
        Result, challenge, ensure, money,
        time::{Deadline, Now},
    },
    state::{Challenge, ChallengeState, JobTerms, Shard, ShardState},
};
use anchor_lang::prelude::Pubkey;

/// Why a shard was slashed; stored in its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// Re-execution gave other bytes than the committed ones.
    WrongCell = 1,
    /// A demanded cell was not answered in time.
    Unanswered = 2,
    /// The draw window was rolled until the lock was used up.
    RolledOut = 3,
}

/// What became of a cell that was adjudicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The committed bytes are right, and the cell was demanded.
    Answered,
    /// The committed bytes are wrong.
    Convicted,
}

/// Refuses a shard that is in none of these states.
#[cfg_attr(feature = "mutants", track_caller)]
pub fn state_is(shard: &Shard, states: &[ShardState]) -> Result<()> {
    ensure(shard.state().is_some_and(|s| states.contains(&s)), AssayError::WrongState)
}

fn run_of_bits(from: u8, count: u8) -> u32 {
    let ones = u64::from(u32::MAX).checked_shr(32u32.saturating_sub(u32::from(count))).unwrap_or(0);
    let shifted = ones.checked_shl(u32::from(from)).unwrap_or(0) & u64::from(u32::MAX);
    u32::try_from(shifted).unwrap_or(u32::MAX)
}

/// Bits of `cells` that are demanded: drawn ones once drawn, named ones once named.
pub fn demanded(shard: &Shard, terms: &JobTerms) -> u32 {
    run_of_bits(0, shard.drawn) | run_of_bits(terms.samples, shard.named)
}

/// Bits of `cells` that are demanded and not answered.
pub fn unanswered(shard: &Shard, terms: &JobTerms) -> u32 {
    demanded(shard, terms) & !shard.answered
}

/// Until when the drawn cells must be answered.
pub fn draw_due(shard: &Shard, terms: &JobTerms) -> Deadline {
    Deadline { opened_at: shard.drawn_at, opened_slot: shard.drawn_slot, seconds: terms.response_seconds }
}

/// Until when the named cells must be answered.
pub fn named_due(shard: &Shard, terms: &JobTerms) -> Deadline {
    Deadline { opened_at: shard.named_at, opened_slot: shard.named_slot, seconds: terms.response_seconds }
}

/// Those of the given bits of `cells` that hold cell `number`.
fn places(shard: &Shard, number: u64, bits: u32) -> u32 {
    let (mut hits, mut left) = (0u32, bits);
    while left != 0 {
        let lowest = left & left.wrapping_neg();
        let at = usize::try_from(left.trailing_zeros()).unwrap_or(MAX_CELLS);
        if shard.cells.get(at) == Some(&number) {
            hits |= lowest;
        }
        left ^= lowest;
    }
    hits
}

/// True for a cell that was drawn or named and is answered.
pub fn is_answered(shard: &Shard, terms: &JobTerms, number: u64) -> bool {
    places(shard, number, demanded(shard, terms) & shard.answered) != 0
}

/// Judges cell `number`, re-executed by the verifier: `matches` says whether the committed bytes are right.
/// A wrong cell convicts at any time before settlement, demanded or not: the bounty goes to whoever has challenged this
/// cell, else to the submitter. A right one answers if it was demanded. `challenge`: that of this cell, if there is one.
pub fn adjudicate(
    shard: &mut Shard,
    terms: &JobTerms,
    number: u64,
    matches: bool,
    challenge: Option<&mut Challenge>,
    submitter: &Pubkey,
    now: &Now,
) -> Result<Verdict> {
    state_is(shard, &[ShardState::Committed, ShardState::Sampled])?;
    let challenge = challenge.filter(|c| c.state() == Some(ChallengeState::Open));
    if !matches {
        let bounty_to = challenge.as_ref().map_or(*submitter, |c| c.challenger);
        slash(shard, terms, Fault::WrongCell, &bounty_to, now)?;
        if let Some(challenge) = challenge {
            challenge.state = ChallengeState::Won as u8;
        }
        return Ok(Verdict::Convicted);
    }
    let hits = places(shard, number, unanswered(shard, terms));
    ensure(hits != 0 || challenge.is_some(), AssayError::NotDemanded)?;
    shard.answered |= hits;
    if let Some(challenge) = challenge {
        challenge::answered(shard, challenge)?;
    }
    Ok(Verdict::Answered)
}

/// Slashes for a challenge that is past its due time: its challenger gets the bounty. Returns the number of its cell.
pub fn slash_unanswered_challenge(
    shard: &mut Shard,
    terms: &JobTerms,
    challenge: &mut Challenge,
    now: &Now,
) -> Result<u64> {
    state_is(shard, &[ShardState::Committed, ShardState::Sampled])?;
    ensure(shard.accepted == 0, AssayError::Accepted)?;
    ensure(challenge.state() == Some(ChallengeState::Open), AssayError::NothingUnanswered)?;
    ensure(challenge.due().passed(now), AssayError::TooEarly)?;
    slash(shard, terms, Fault::Unanswered, &challenge.challenger, now)?;
    challenge.state = ChallengeState::Won as u8;
    Ok(challenge.cell)
}

/// Slashes when a drawn or named cell is past its due time. Returns the number of such a cell.
pub fn slash_unanswered(shard: &mut Shard, terms: &JobTerms, caller: &Pubkey, now: &Now) -> Result<u64> {
    state_is(shard, &[ShardState::Committed, ShardState::Sampled])?;
    ensure(shard.accepted == 0, AssayError::Accepted)?;
    let open = unanswered(shard, terms);
    ensure(open != 0, AssayError::NothingUnanswered)?;
    let drawn = if draw_due(shard, terms).passed(now) { run_of_bits(0, shard.drawn) } else { 0 };
    let named = if named_due(shard, terms).passed(now) { run_of_bits(terms.samples, shard.named) } else { 0 };
    let late = open & (drawn | named);
    ensure(late != 0, AssayError::TooEarly)?;
    let first = usize::try_from(late.trailing_zeros()).map_err(|_| AssayError::Overflow)?;
    let cell = shard.cells.get(first).copied().ok_or(AssayError::NoSuchCell)?;
    slash(shard, terms, Fault::Unanswered, caller, now)?;
    Ok(cell)
}

/// Divides the lock into debts. The lock itself stays locked until the debts are moved; job and provider are told then.
pub fn slash(shard: &mut Shard, terms: &JobTerms, fault: Fault, bounty_to: &Pubkey, now: &Now) -> Result<()> {
    let parts =
        money::seizure(shard.collateral, shard.price, terms.amplification_bps, terms.bounty_bps, shard.owed_renter)?;
    shard.state = ShardState::Slashed as u8;
    shard.fault = fault as u8;
    shard.owed_renter = parts.compensation;
    shard.owed_bounty = parts.bounty;
    shard.owed_treasury = parts.treasury;
    shard.bounty_to = *bounty_to;
    shard.ended_at = now.time;
    shard.ended_slot = now.slot;
    Ok(())
}
