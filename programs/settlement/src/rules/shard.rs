//! The life of a shard: `Open -> Claimed -> Committed -> Sampled -> Settled | Slashed`, and what each step does to the
//! shard, the provider and the job. Plain data in, plain data out; amounts to move come back as values.

use crate::{
    constants::*,
    error::AssayError,
    rules::{
        Result, delivery, ensure, increment,
        judgement::{Fault, slash, state_is, unanswered},
        load, money,
        time::{Deadline, Now},
        window,
    },
    state::{Job, JobTerms, Provider, Shard, ShardState},
};
use anchor_lang::prelude::Pubkey;

/// Who claims, and under which conditions.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The Provider account.
    pub provider: Pubkey,
    /// The signing operator.
    pub operator: Pubkey,
    /// Hash of the terms the operator agreed to.
    pub terms_hash: [u8; 32],
    /// Least price it takes, base units.
    pub min_price: u64,
}

/// Open -> Claimed. Locks the collateral. The shard's address, index and rent payer are the handler's to set.
pub fn claim(job: &mut Job, provider: &mut Provider, shard: &mut Shard, claim: &Claim, now: &Now) -> Result<()> {
    let taken = [ShardState::Claimed, ShardState::Committed, ShardState::Sampled];
    ensure(!shard.state().is_some_and(|s| taken.contains(&s)), AssayError::ShardClaimed)?;
    state_is(shard, &[ShardState::Open])?;
    ensure(job.takes_claims(now) && job.open_shards().is_some_and(|n| n > 0), AssayError::JobClosed)?;
    ensure(claim.terms_hash == job.terms_hash, AssayError::TermsChanged)?;
    ensure(provider.market == job.terms.market, AssayError::WrongMarket)?;
    ensure(provider.is_operator(&claim.operator), AssayError::NotAuthorized)?;
    let reserved = job.terms.reserved_for;
    ensure(reserved == NOBODY || reserved == claim.provider, AssayError::Reserved)?;
    if shard.claims == 0 {
        shard.ramp_from = job.terms.created_at;
    }
    let t = &job.terms;
    let price = money::ramp_price(t.price_start, t.price_max, shard.ramp_from, t.ramp_seconds, now.time)?;
    ensure(price >= claim.min_price, AssayError::PriceTooLow)?;
    let collateral = money::collateral(price, t.collateral_bps, t.amplification_bps)?;
    let locked = provider.locked.checked_add(collateral).ok_or(AssayError::Overflow)?;
    ensure(locked <= provider.staked, AssayError::StakeTooSmall)?;

    load::take(provider, shard, t)?;
    provider.locked = locked;
    job.active = increment(job.active)?;
    shard.state = ShardState::Claimed as u8;
    shard.claims = increment(shard.claims)?;
    shard.provider = claim.provider;
    shard.operator = claim.operator;
    shard.price = price;
    shard.collateral = collateral;
    shard.claimed_at = now.time;
    shard.claimed_slot = now.slot;
    Ok(())
}

/// Until when a claimed shard must be committed.
pub fn execution_deadline(shard: &Shard, terms: &JobTerms) -> Deadline {
    Deadline { opened_at: shard.claimed_at, opened_slot: shard.claimed_slot, seconds: terms.execute_seconds }
}

/// Claimed -> Open, by the operator. Returns the penalty, base units, to be moved from stake vault to job vault.
/// `frozen`: the mint's freeze authority has frozen one of the two vaults, so nothing can move and nothing is owed.
pub fn release(
    job: &mut Job,
    provider: &mut Provider,
    shard: &mut Shard,
    operator: &Pubkey,
    frozen: bool,
    now: &Now,
) -> Result<u64> {
    state_is(shard, &[ShardState::Claimed])?;
    ensure(provider.is_operator(operator), AssayError::NotAuthorized)?;
    let t = &job.terms;
    let held = now.time.saturating_sub(shard.claimed_at);
    let penalty = money::release_penalty(shard.price, t.release_min_bps, t.release_max_bps, held, t.execute_seconds)?;
    give_back(job, provider, shard, if frozen { 0 } else { penalty }, now)
}

/// Claimed -> Open, by anyone once the time to commit is over. Returns the penalty, base units; see [`release`].
pub fn expire(job: &mut Job, provider: &mut Provider, shard: &mut Shard, frozen: bool, now: &Now) -> Result<u64> {
    state_is(shard, &[ShardState::Claimed])?;
    ensure(execution_deadline(shard, &job.terms).passed(now), AssayError::TooEarly)?;
    let penalty = money::share_ceil(shard.price, u32::from(job.terms.expiry_bps))?;
    give_back(job, provider, shard, if frozen { 0 } else { penalty }, now)
}

fn give_back(job: &mut Job, provider: &mut Provider, shard: &mut Shard, penalty: u64, now: &Now) -> Result<u64> {
    let penalty = penalty.min(shard.collateral);
    provider.locked = provider.locked.checked_sub(shard.collateral).ok_or(AssayError::Overflow)?;
    provider.staked = provider.staked.checked_sub(penalty).ok_or(AssayError::Overflow)?;
    load::leave(provider, shard, &job.terms)?;
    provider.given_back = provider.given_back.checked_add(1).ok_or(AssayError::Overflow)?;
    job.active = job.active.checked_sub(1).ok_or(AssayError::Overflow)?;
    job.compensated = job.compensated.saturating_add(penalty);
    let held = now.time.saturating_sub(shard.claimed_at).max(0);
    shard.ramp_from = shard.ramp_from.checked_add(held).ok_or(AssayError::Overflow)?;
    shard.state = ShardState::Open as u8;
    shard.price = 0;
    shard.collateral = 0;
    Ok(penalty)
}

/// Claimed -> Committed: once. Late commitments count until the claim is expired by somebody.
pub fn commit(shard: &mut Shard, provider: &Provider, operator: &Pubkey, root: [u8; 32], now: &Now) -> Result<()> {
    state_is(shard, &[ShardState::Claimed])?;
    ensure(provider.is_operator(operator), AssayError::NotAuthorized)?;
    shard.window = window::window_of(now.slot)?;
    shard.root = root;
    shard.state = ShardState::Committed as u8;
    shard.committed_at = now.time;
    shard.committed_slot = now.slot;
    shard.operator = *operator;
    Ok(())
}

/// The window in which cells can be named and challenged.
pub fn challenge_window(shard: &Shard, terms: &JobTerms) -> Deadline {
    Deadline { opened_at: shard.committed_at, opened_slot: shard.committed_slot, seconds: terms.challenge_seconds }
}

/// Committed -> Sampled.
pub fn draw(
    shard: &mut Shard,
    terms: &JobTerms,
    address: &Pubkey,
    window: u64,
    seed: &[u8; 32],
    now: &Now,
) -> Result<()> {
    state_is(shard, &[ShardState::Committed])?;
    ensure(shard.window == window, AssayError::WrongWindow)?;
    let range = terms.shard(shard.index).ok_or(AssayError::NoSuchShard)?;
    // Writes the first k places only: behind them stand cells that the renter has named already.
    shard.drawn = range.draw(seed, address.as_array(), &shard.root, terms.samples, &mut shard.cells)?;
    shard.state = ShardState::Sampled as u8;
    shard.drawn_at = now.time;
    shard.drawn_slot = now.slot;
    Ok(())
}

/// What rolling a window did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roll {
    /// A new window; the renter is owed this much more, base units.
    Rolled { owed: u64 },
    /// The lock is used up: the shard is slashed.
    RolledOut,
}

/// True when a missed window can't be held against the provider: within an hour of slots after a cluster restart that
/// came after the commitment. Nothing else excuses it: whoever could roll for nothing would look at the hashes of window
/// after window and record the first one that spares its wrong cells.
fn roll_is_free(shard: &Shard, now: &Now) -> bool {
    let grace = SLOTS_PER_SECOND.saturating_mul(u64::from(RESTART_GRACE_SECONDS));
    now.last_restart_slot > shard.committed_slot && now.slot < now.last_restart_slot.saturating_add(grace)
}

/// The renter pays whatever the shard's cells are: settlement waits for nothing else, and silence costs the provider
/// nothing any more. A wrong cell still convicts until the shard is settled.
pub fn accept(shard: &mut Shard) -> Result<()> {
    state_is(shard, &[ShardState::Committed, ShardState::Sampled])?;
    ensure(shard.accepted == 0, AssayError::Accepted)?;
    shard.accepted = 1;
    Ok(())
}

/// Committed -> Committed with a new window, or -> Slashed once the rolls have used up the lock. The handler has made
/// sure that the old window has aged out and that no seed of it exists.
pub fn roll(shard: &mut Shard, terms: &JobTerms, roller: &Pubkey, now: &Now) -> Result<Roll> {
    state_is(shard, &[ShardState::Committed])?;
    ensure(shard.accepted == 0, AssayError::Accepted)?;
    let step = if roll_is_free(shard, now) { 0 } else { shard.collateral.div_ceil(u64::from(terms.samples.max(1))) };
    let owed = shard.owed_renter.checked_add(step).ok_or(AssayError::Overflow)?.min(shard.collateral);
    let added = owed.checked_sub(shard.owed_renter).ok_or(AssayError::Overflow)?;
    shard.rolls = shard.rolls.saturating_add(1);
    shard.owed_renter = owed;
    if step > 0 && owed >= shard.collateral {
        slash(shard, terms, Fault::RolledOut, roller, now)?;
        return Ok(Roll::RolledOut);
    }
    shard.window = window::window_of(now.slot)?;
    Ok(Roll::Rolled { owed: added })
}

/// The renter's own choice of cells: once, inside the challenge window.
pub fn name(shard: &mut Shard, terms: &JobTerms, cells: &[u64], now: &Now) -> Result<()> {
    state_is(shard, &[ShardState::Committed, ShardState::Sampled])?;
    ensure(shard.named == 0, AssayError::AlreadyNamed)?;
    ensure(!challenge_window(shard, terms).passed(now), AssayError::WindowOver)?;
    ensure(!cells.is_empty() && cells.len() <= usize::from(terms.named), AssayError::TooManyCells)?;
    let count = terms.shard(shard.index).ok_or(AssayError::NoSuchShard)?.cells()?;
    ensure(cells.iter().all(|c| *c < count), AssayError::NoSuchCell)?;
    for (slot, number) in shard.cells.iter_mut().skip(usize::from(terms.samples)).zip(cells) {
        *slot = *number;
    }
    shard.named = u8::try_from(cells.len()).map_err(|_| AssayError::TooManyCells)?;
    shard.named_at = now.time;
    shard.named_slot = now.slot;
    Ok(())
}

/// What a settlement moves. At most one of the first two amounts is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    /// From the job's vault to the stake vault, base units.
    pub to_provider: u64,
    /// From the stake vault to the job's vault (rolled windows cost more than was earned), base units.
    pub to_job: u64,
    /// Fee that stays in the job's vault for the treasury, base units.
    pub fee: u64,
    /// False when the price goes back to the renter because the result did not arrive.
    pub delivered: bool,
}

/// Whether the shard may be settled now, and if so, whether the provider gets the price.
fn settleable(shard: &Shard, terms: &JobTerms, now: &Now) -> Result<bool> {
    if shard.accepted != 0 {
        state_is(shard, &[ShardState::Committed, ShardState::Sampled])?;
        return Ok(true);
    }
    state_is(shard, &[ShardState::Sampled])?;
    ensure(unanswered(shard, terms) == 0 && shard.open_challenges == 0, AssayError::Unanswered)?;
    ensure(challenge_window(shard, terms).passed(now), AssayError::WindowOpen)?;
    delivery::delivered(shard, terms, now)
}

/// Sampled -> Settled, or Committed -> Settled for an accepted shard. Without delivery the renter keeps the price, and the
/// provider gets its collateral back and what it earned by posting leaves.
pub fn settle(job: &mut Job, provider: &mut Provider, shard: &mut Shard, now: &Now) -> Result<Payment> {
    let delivered = settleable(shard, &job.terms, now)?;
    let price = if delivered { shard.price } else { 0 };
    let parts = money::settlement(price, job.terms.fee_bps)?;
    let rolled = shard.owed_renter;
    let earned = parts.pay.checked_add(shard.posted_pay).ok_or(AssayError::Overflow)?;
    let to_provider = earned.saturating_sub(rolled);
    let to_job = rolled.saturating_sub(earned);

    provider.locked = provider.locked.checked_sub(shard.collateral).ok_or(AssayError::Overflow)?;
    provider.staked =
        provider.staked.checked_add(to_provider).and_then(|s| s.checked_sub(to_job)).ok_or(AssayError::Overflow)?;
    load::leave(provider, shard, &job.terms)?;
    provider.settled = provider.settled.checked_add(1).ok_or(AssayError::Overflow)?;
    provider.earned = provider.earned.saturating_add(to_provider);
    provider.fees = provider.fees.saturating_add(parts.fee);
    job.active = job.active.checked_sub(1).ok_or(AssayError::Overflow)?;
    job.settled = increment(job.settled)?;
    job.prepaid = job.prepaid.checked_sub(shard.prepaid).ok_or(AssayError::Overflow)?;
    job.fees_owed = job.fees_owed.checked_add(parts.fee).ok_or(AssayError::Overflow)?;
    job.paid = job.paid.saturating_add(to_provider);
    job.compensated = job.compensated.saturating_add(rolled);
    shard.state = ShardState::Settled as u8;
    shard.owed_renter = 0;
    shard.prepaid = 0;
    shard.ended_at = now.time;
    shard.ended_slot = now.slot;
    Ok(Payment { to_provider, to_job, fee: parts.fee, delivered })
}

/// Moves the renter's and the treasury's part of a slashed lock. Returns what goes from stake vault to job vault.
/// A bounty that nobody fetched in 30 days goes to the treasury with it.
/// `frozen`: one of the two vaults is frozen. Then only the shard's work ends, which frees the renter's escrow of it;
/// the debts stay locked and can be moved by another call once the vaults are thawed.
pub fn seize(job: &mut Job, provider: &mut Provider, shard: &mut Shard, frozen: bool, now: &Now) -> Result<u64> {
    state_is(shard, &[ShardState::Slashed])?;
    let forfeited = if bounty_wait(shard).passed(now) { shard.owed_bounty } else { 0 };
    let treasury = shard.owed_treasury.checked_add(forfeited).ok_or(AssayError::Overflow)?;
    let amount = shard.owed_renter.checked_add(treasury).ok_or(AssayError::Overflow)?;
    // `collateral` is what the lock still holds for this shard. The first seizure also ends the shard's work.
    let first = shard.seized == 0;
    ensure(first || (amount > 0 && !frozen), AssayError::NothingOwed)?;
    if first {
        shard.seized = 1;
        job.active = job.active.checked_sub(1).ok_or(AssayError::Overflow)?;
        job.slashed = increment(job.slashed)?;
        job.prepaid = job.prepaid.checked_sub(shard.prepaid).ok_or(AssayError::Overflow)?;
        shard.prepaid = 0;
        load::leave(provider, shard, &job.terms)?;
        provider.slashed = provider.slashed.checked_add(1).ok_or(AssayError::Overflow)?;
    }
    if frozen {
        return Ok(0);
    }
    job.fees_owed = job.fees_owed.checked_add(treasury).ok_or(AssayError::Overflow)?;
    job.compensated = job.compensated.saturating_add(shard.owed_renter);
    shard.owed_bounty = shard.owed_bounty.checked_sub(forfeited).ok_or(AssayError::Overflow)?;
    shard.owed_renter = 0;
    shard.owed_treasury = 0;
    unlock(provider, shard, amount)?;
    Ok(amount)
}

/// The renter gives up the debts of a slashed shard that can't be moved because a vault is frozen, so that the shard and
/// its job can close. They go back to the provider's stake. A bounty is not the renter's to give up: it must be paid, or
/// have waited its 30 days. Returns what was given up, base units.
pub fn waive(provider: &mut Provider, shard: &mut Shard, frozen: bool, now: &Now) -> Result<u64> {
    state_is(shard, &[ShardState::Slashed])?;
    ensure(frozen, AssayError::NotFrozen)?;
    ensure(shard.seized != 0 && (shard.owed_bounty == 0 || bounty_wait(shard).passed(now)), AssayError::StillNeeded)?;
    let debts = shard.collateral;
    ensure(debts > 0, AssayError::NothingOwed)?;
    provider.locked = provider.locked.checked_sub(debts).ok_or(AssayError::Overflow)?;
    shard.collateral = 0;
    shard.owed_renter = 0;
    shard.owed_bounty = 0;
    shard.owed_treasury = 0;
    Ok(debts)
}

/// How long a bounty waits for its owner.
fn bounty_wait(shard: &Shard) -> Deadline {
    Deadline { opened_at: shard.ended_at, opened_slot: shard.ended_slot, seconds: BOUNTY_WAIT_SECONDS }
}

/// Moves the bounty. Returns what goes from the stake vault to the token account of `bounty_to`.
pub fn pay_bounty(provider: &mut Provider, shard: &mut Shard) -> Result<u64> {
    state_is(shard, &[ShardState::Slashed])?;
    let amount = shard.owed_bounty;
    ensure(amount > 0, AssayError::NothingOwed)?;
    shard.owed_bounty = 0;
    unlock(provider, shard, amount)?;
    Ok(amount)
}

/// Takes `amount` out of the lock and out of the stake.
fn unlock(provider: &mut Provider, shard: &mut Shard, amount: u64) -> Result<()> {
    shard.collateral = shard.collateral.checked_sub(amount).ok_or(AssayError::Overflow)?;
    provider.locked = provider.locked.checked_sub(amount).ok_or(AssayError::Overflow)?;
    provider.staked = provider.staked.checked_sub(amount).ok_or(AssayError::Overflow)?;
    Ok(())
}

/// True when nothing depends on the shard's account any more: the whole job is terminal, so it can't be claimed anew.
pub fn closable(shard: &Shard, job: &Job, now: &Now) -> bool {
    let debts = [shard.owed_renter, shard.owed_bounty, shard.owed_treasury];
    job.terminal(now)
        && shard.unpaid_challenges == 0
        && match shard.state() {
            Some(ShardState::Settled | ShardState::Open) => true,
            Some(ShardState::Slashed) => shard.seized != 0 && debts == [0; 3],
            _ => false,
        }
}

#[cfg(test)]
mod tests;
