//! What is to be done next for a shard of ours, from what the chain says now. A plain function: whatever happened
//! before (a crash, a lost answer, a transaction of unknown fate), the next step follows from the chain alone.

use assay_settlement::{
    JobTerms, Shard, ShardState,
    constants::{MAX_CELLS, SEED_HASHES},
    rules::{
        draw::Place,
        judgement::unanswered,
        shard::{challenge_window, execution_deadline},
        time::Now,
        window::first_slot,
    },
};
use solana_pubkey::Pubkey;

use crate::journal::State;

/// The next step of an obligation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Compute the result and put it on disk. Also for a committed shard whose bytes are lost.
    Compute,
    /// Put the root on the chain.
    Commit,
    /// Give the claim back: it can't be computed here.
    Release,
    /// Record the seed of the draw window where nobody has, and draw; or roll the window where it aged out.
    Draw,
    /// Prove these cells.
    Answer(Vec<Place>),
    /// Collect the price.
    Settle,
    /// Nothing now.
    Wait,
    /// Nothing ever: final.
    End(State),
}

/// What the chain can't know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Here {
    /// The result lies on disk.
    pub has_result: bool,
    /// Computing it failed in a way that trying again does not change.
    pub uncomputable: bool,
    /// Computing it failed the last time, maybe for the moment only. That the chain can't be asked does not count.
    pub compute_failed: bool,
}

/// The next step for a shard that is or was ours. `shard` is None where there is no account: never claimed, or closed.
pub fn next(provider: &Pubkey, terms: &JobTerms, shard: Option<&Shard>, here: Here, now: &Now) -> Step {
    let Some(shard) = shard else { return Step::End(State::GivenBack) };
    if shard.provider != *provider {
        return Step::End(State::GivenBack);
    }
    match shard.state() {
        Some(ShardState::Open) => Step::End(State::GivenBack),
        // A late commitment counts until somebody ends the claim, so a result that is there is always committed.
        Some(ShardState::Claimed) if here.has_result => Step::Commit,
        Some(ShardState::Claimed) if here.uncomputable || (here.compute_failed && half_over(shard, terms, now)) => {
            Step::Release
        }
        Some(ShardState::Claimed) => Step::Compute,
        // The window closes in minutes, answers have hours: drawing comes first, whatever became of the result.
        Some(ShardState::Committed) if may_draw(shard, now) => Step::Draw,
        Some(ShardState::Committed | ShardState::Sampled) if !here.has_result => Step::Compute,
        Some(ShardState::Committed) => match demanded(shard, terms) {
            cells if cells.is_empty() => Step::Wait,
            cells => Step::Answer(cells),
        },
        Some(ShardState::Sampled) => match demanded(shard, terms) {
            cells if !cells.is_empty() => Step::Answer(cells),
            _ if challenge_window(shard, terms).passed(now) => Step::Settle,
            _ => Step::Wait,
        },
        Some(ShardState::Settled) => Step::End(State::Settled),
        Some(ShardState::Slashed) => Step::End(State::Slashed),
        // A newer program than this worker knows: don't touch it.
        None => Step::Wait,
    }
}

/// What became of a claim that was sent, as far as the chain tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The shard is ours.
    Ours,
    /// It is not and, by this claim, never will be.
    Lost,
    /// The transaction may still land.
    Open,
}

/// The fate of a claim. `can_land`: the chain's height, asked **before** the shard was read, lets its transaction land.
pub fn fate(provider: &Pubkey, shard: Option<&Shard>, can_land: bool) -> Fate {
    match shard {
        Some(shard) if shard.provider == *provider && shard.state() != Some(ShardState::Open) => Fate::Ours,
        _ if can_land => Fate::Open,
        _ => Fate::Lost,
    }
}

/// Whether the slot hashes of a committed shard's draw window can be complete.
pub fn may_draw(shard: &Shard, now: &Now) -> bool {
    let ready = first_slot(shard.window).ok().and_then(|slot| slot.checked_add(SEED_HASHES as u64));
    shard.state() == Some(ShardState::Committed) && ready.is_some_and(|slot| now.slot >= slot)
}

/// Half of the time to commit is gone: giving back costs less now than later.
fn half_over(shard: &Shard, terms: &JobTerms, now: &Now) -> bool {
    let deadline = execution_deadline(shard, terms);
    now.time.saturating_sub(shard.claimed_at) >= deadline.time().saturating_sub(shard.claimed_at) / 2
}

/// The demanded cells that are not answered, each once.
pub fn demanded(shard: &Shard, terms: &JobTerms) -> Vec<Place> {
    let open = unanswered(shard, terms);
    let Some(range) = terms.shard(shard.index) else { return Vec::new() };
    let mut places = Vec::with_capacity(MAX_CELLS);
    for (bit, number) in (0u32..).zip(&shard.cells) {
        if open.checked_shr(bit).unwrap_or(0) & 1 == 1
            && let Ok(place) = range.place(*number)
            && !places.contains(&place)
        {
            places.push(place);
        }
    }
    places
}

/// The journal's state for what the chain says of a shard that is ours.
pub fn state_of(shard: &Shard, has_result: bool) -> Option<State> {
    Some(match shard.state()? {
        ShardState::Open => State::GivenBack,
        ShardState::Claimed if has_result => State::Computed,
        ShardState::Claimed => State::Claimed,
        ShardState::Committed => State::Committed,
        ShardState::Sampled => State::Sampled,
        ShardState::Settled => State::Settled,
        ShardState::Slashed => State::Slashed,
    })
}
