//! What is to be done next for a shard of ours, from what the chain says now. A plain function: whatever happened
//! before (a crash, a lost answer, a transaction of unknown fate), the next step follows from the chain alone.

use assay_settlement::{
    Challenge, ChallengeState, Delivery, JobTerms, Shard, ShardState,
    constants::{MAX_CELLS, SEED_HASHES},
    rules::{
        delivery::{delivered, posting_due},
        draw::Place,
        judgement::{draw_due, named_due, unanswered},
        shard::{challenge_window, execution_deadline},
        time::Now,
        window::first_slot,
    },
};
use solana_pubkey::Pubkey;

use crate::journal::State;

/// What stands for the cell where a whole leaf is meant.
pub const WHOLE_LEAF: u32 = u32::MAX;
/// A late leaf costs the price, a late cell the collateral: a leaf comes after cells that are due less than so many seconds
/// later. So little that it is late by no more than this, and only where all that may be demanded is.
const LEAF_WAITS: i64 = 60;

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
    /// Prove these cells and post these leaves, what is to be done first at the front.
    Answer(Vec<Demand>),
    /// Collect the price.
    Settle,
    /// Nothing now.
    Wait,
    /// Nothing ever: final.
    End(State),
}

/// What others asked for that does not lie in the shard's own account.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Challenges of the shard, whatever their state.
    pub challenges: Vec<Challenge>,
    /// The leaves that the renter wants on the ledger.
    pub delivery: Option<Delivery>,
}

/// A cell to prove or a leaf to post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A cell that was drawn, named or challenged.
    Cell(Place),
    /// A leaf, to the ledger.
    Leaf {
        /// Its place in the delivery's list.
        at: u8,
        /// Its job-wide number.
        leaf: u64,
    },
}

impl Wanted {
    /// The cell, or [`WHOLE_LEAF`] of the leaf.
    pub fn place(&self) -> Place {
        match self {
            Self::Cell(place) => *place,
            Self::Leaf { leaf, .. } => Place { leaf: *leaf, cell: WHOLE_LEAF },
        }
    }
}

/// Something asked of this provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// What.
    pub wanted: Wanted,
    /// Until when, unix seconds.
    pub due: i64,
}

impl Demand {
    /// What is answered first: the lower, of whatever shard. Unix seconds.
    pub fn rank(&self) -> i64 {
        match self.wanted {
            Wanted::Cell(_) => self.due,
            Wanted::Leaf { .. } => self.due.saturating_add(LEAF_WAITS),
        }
    }
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
pub fn next(provider: &Pubkey, terms: &JobTerms, shard: Option<&Shard>, asked: &Asked, here: Here, now: &Now) -> Step {
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
        // The renter pays whatever is still open: nothing is to be drawn, answered or posted any more.
        Some(ShardState::Committed | ShardState::Sampled) if shard.accepted != 0 => Step::Settle,
        // The window closes in minutes, answers have hours: drawing comes first, whatever became of the result.
        Some(ShardState::Committed) if may_draw(shard, now) => Step::Draw,
        Some(ShardState::Committed | ShardState::Sampled) => {
            let may_settle = is_proven(shard, terms, now) && is_delivery_over(shard, terms, here, now);
            match demanded(shard, terms, asked) {
                _ if may_settle => Step::Settle,
                _ if !here.has_result => Step::Compute,
                demands if demands.is_empty() => Step::Wait,
                demands => Step::Answer(demands),
            }
        }
        Some(ShardState::Settled) => Step::End(State::Settled),
        Some(ShardState::Slashed) => Step::End(State::Slashed),
        // A newer program than this worker knows: don't touch it.
        None => Step::Wait,
    }
}

/// Whether every gate of settlement but delivery is passed.
fn is_proven(shard: &Shard, terms: &JobTerms, now: &Now) -> bool {
    shard.state() == Some(ShardState::Sampled)
        && unanswered(shard, terms) == 0
        && shard.open_challenges == 0
        && challenge_window(shard, terms).passed(now)
}

/// Whether nothing that this worker could still do changes who gets the price. A late posting counts until the
/// settlement, so it is tried for as long again as it had, and then the collateral is worth more than waiting.
fn is_delivery_over(shard: &Shard, terms: &JobTerms, here: Here, now: &Now) -> bool {
    match delivered(shard, terms, now) {
        Ok(true) => true,
        Ok(false) if shard.leaves_posted < shard.leaves_demanded => {
            let due = posting_due(shard, terms);
            !here.has_result || now.time >= due.time().saturating_add(i64::from(due.seconds))
        }
        Ok(false) => true,
        Err(_) => false,
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
    let waits = shard.state() == Some(ShardState::Committed) && shard.accepted == 0;
    waits && ready.is_some_and(|slot| now.slot >= slot)
}

/// Half of the time to commit is gone: giving back costs less now than later.
fn half_over(shard: &Shard, terms: &JobTerms, now: &Now) -> bool {
    let deadline = execution_deadline(shard, terms);
    now.time.saturating_sub(shard.claimed_at) >= deadline.time().saturating_sub(shard.claimed_at) / 2
}

/// What is asked of a shard and not done: drawn, named and challenged cells, each once, and leaves to post. What is due
/// first comes first, see [`Demand::rank`].
pub fn demanded(shard: &Shard, terms: &JobTerms, asked: &Asked) -> Vec<Demand> {
    let Some(range) = terms.shard(shard.index) else { return Vec::new() };
    let open = unanswered(shard, terms);
    let is_open = |bit: u32| open.checked_shr(bit).unwrap_or(0) & 1 == 1;
    let (drawn, named) = (draw_due(shard, terms).time(), named_due(shard, terms).time());
    let of_shard = (0u32..).zip(&shard.cells).filter(|(bit, _)| is_open(*bit));
    let of_shard = of_shard.map(|(bit, number)| (*number, if bit < u32::from(terms.samples) { drawn } else { named }));
    let challenged = asked.challenges.iter().filter(|challenge| challenge.state() == Some(ChallengeState::Open));
    let challenged = challenged.map(|challenge| (challenge.cell, challenge.due().time()));
    let mut demands: Vec<Demand> = Vec::with_capacity(MAX_CELLS);
    for (number, due) in of_shard.chain(challenged) {
        let Ok(place) = range.place(number) else { continue };
        let wanted = Wanted::Cell(place);
        match demands.iter_mut().find(|demand| demand.wanted == wanted) {
            // One answer does for all that want the cell.
            Some(known) => known.due = known.due.min(due),
            None => demands.push(Demand { wanted, due }),
        }
    }
    if let Some(delivery) = &asked.delivery {
        let due = posting_due(shard, terms).time();
        let missing = (0u8..delivery.count).zip(&delivery.leaves).filter(|(at, _)| {
            let bit = delivery.posted.checked_shr(u32::from(*at)).unwrap_or(0);
            bit & 1 == 0
        });
        demands.extend(missing.map(|(at, leaf)| Demand { wanted: Wanted::Leaf { at, leaf: *leaf }, due }));
    }
    demands.sort_by_key(Demand::rank);
    demands
}

/// The answers that are to be in work now, of what is asked of a shard: the first few, without those that rest. Asked again
/// whenever one of them has ended, so that what is demanded meanwhile waits for nothing that is due later.
pub fn at_work(demands: &[Demand], at_once: usize, rests: impl Fn(&Wanted) -> bool) -> Vec<Demand> {
    demands.iter().filter(|demand| !rests(&demand.wanted)).take(at_once).copied().collect()
}

/// Whether anything is asked of a shard that its own account tells of.
pub fn is_asked(shard: &Shard, terms: &JobTerms) -> bool {
    let works = matches!(shard.state(), Some(ShardState::Committed | ShardState::Sampled)) && shard.accepted == 0;
    let leaves = shard.leaves_posted < shard.leaves_demanded;
    works && (unanswered(shard, terms) != 0 || shard.open_challenges > 0 || leaves)
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
