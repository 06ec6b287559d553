//! A shard: where it is in its life, what was committed, what must be proven of it, and what it owes.

use crate::{cast::Who, time::Moment};
use assay_client::answer::ShardTree;
use solana_pubkey::Pubkey;
use std::{collections::BTreeSet, rc::Rc};

/// Where a shard is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nobody has it.
    Open,
    /// A provider works on it.
    Claimed,
    /// A root is committed.
    Committed,
    /// Its cells are drawn.
    Sampled,
    /// Paid.
    Settled,
    /// Convicted.
    Slashed,
}

/// A cell that must be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Its number in the shard.
    pub cell: u64,
    /// Whether it was proven.
    pub answered: bool,
}

/// What a provider committed.
#[derive(Clone)]
pub struct Work {
    /// The root.
    pub root: [u8; 32],
    /// The result under the root; none for a root of nothing.
    pub tree: Option<ShardTree>,
    /// Cells of it that are wrong.
    pub wrong: BTreeSet<u64>,
}

impl core::fmt::Debug for Work {
    fn fmt(&self, f: &mut core::fmt::Formatter) -> core::fmt::Result {
        let known = if self.tree.is_some() { "known" } else { "of nothing" };
        write!(f, "root {:02x}{:02x}.. {known}, wrong {:?}", self.root[0], self.root[1], self.wrong)
    }
}

/// Why a shard was slashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A wrong cell.
    Wrong = 1,
    /// A cell not answered in time.
    Late = 2,
    /// Draw windows rolled until the lock was used up.
    Rolled = 3,
}

/// A shard.
#[derive(Clone, Debug)]
pub struct Shard {
    /// Its address.
    pub key: Pubkey,
    /// Who paid the rent of its account, while there is one.
    pub payer: Option<Who>,
    /// Where it is.
    pub phase: Phase,
    /// Times it was claimed.
    pub claims: u32,
    /// From when its price rises, unix seconds.
    pub ramp_from: i64,
    /// The provider that has it, or had it last.
    pub holder: usize,
    /// Price of the claim, base units.
    pub price: u64,
    /// What is locked for it, base units.
    pub lock: u64,
    /// When it was claimed.
    pub claimed: Moment,
    /// When it was committed.
    pub committed: Moment,
    /// Its draw window.
    pub window: u64,
    /// Times the window was rolled.
    pub rolls: u32,
    /// What was committed.
    pub work: Option<Rc<Work>>,
    /// The cells the chain drew.
    pub drawn: Vec<Demand>,
    /// When.
    pub drawn_at: Moment,
    /// The cells the renter named.
    pub named: Vec<Demand>,
    /// When.
    pub named_at: Moment,
    /// The renter pays whatever its cells are.
    pub accepted: bool,
    /// Challenges that were opened and not answered, whatever became of their bonds.
    pub waiting: u64,
    /// When leaves were demanded; how many.
    pub demanded: Option<(Moment, u64)>,
    /// Prepaid for posting them, base units.
    pub prepaid: u64,
    /// Of this, earned, base units.
    pub posted: u64,
    /// What the attestor said.
    pub attested: Option<bool>,
    /// Why it was slashed.
    pub fault: Option<Fault>,
    /// Owed to renter, bounty hunter, treasury out of the lock, base units.
    pub debts: [u64; 3],
    /// Who is owed the bounty.
    pub hunter: Option<Who>,
    /// Whether job and provider were told that it is slashed.
    pub seized: bool,
    /// When it became terminal.
    pub ended: Moment,
}

impl Shard {
    /// One that nobody has claimed.
    pub fn new(key: Pubkey) -> Self {
        Self {
            key,
            payer: None,
            phase: Phase::Open,
            claims: 0,
            ramp_from: 0,
            holder: usize::MAX,
            price: 0,
            lock: 0,
            claimed: Moment::default(),
            committed: Moment::default(),
            window: 0,
            rolls: 0,
            work: None,
            drawn: Vec::new(),
            drawn_at: Moment::default(),
            named: Vec::new(),
            named_at: Moment::default(),
            accepted: false,
            waiting: 0,
            demanded: None,
            prepaid: 0,
            posted: 0,
            attested: None,
            fault: None,
            debts: [0; 3],
            hunter: None,
            seized: false,
            ended: Moment::default(),
        }
    }

    /// True while a provider is bound by it.
    pub fn in_work(&self) -> bool {
        matches!(self.phase, Phase::Claimed | Phase::Committed | Phase::Sampled)
            || self.phase == Phase::Slashed && !self.seized
    }

    /// True while cells of it can be judged.
    pub fn judgeable(&self) -> bool {
        matches!(self.phase, Phase::Committed | Phase::Sampled)
    }

    /// Cells still to be proven.
    pub fn unanswered(&self) -> Vec<u64> {
        self.drawn.iter().chain(&self.named).filter(|d| !d.answered).map(|d| d.cell).collect()
    }
}
