//! Everything that anybody can do, a file for each group: what it looks like as instructions, what the model makes of it,
//! and how one is chosen at random. Most choices make sense; some are early, late, foreign, repeated or forged.

mod challenge;
mod claim;
mod close;
mod deliver;
mod draw;
mod job;
mod judge;
mod market;
mod money;
mod outside;
mod pick;
mod stake;
mod step;
mod tamper;

pub use challenge::Challenging;
pub use claim::{Claiming, right_work};
pub use close::Closing;
pub use deliver::Delivering;
pub use draw::Drawing;
pub use job::Ordering;
pub use judge::{Flaw, Judging};
pub use market::Governing;
pub use money::Paying;
pub use outside::Outside;
pub use pick::Pick;
pub use stake::{Staking, profile};
pub use step::{Misstep, OWN, Stepping, account_of};
pub use tamper::Tampering;

use crate::model::{Model, Verdict};
use solana_instruction::Instruction;

/// One attempt of somebody to do something.
#[derive(Clone, Debug)]
pub enum Action {
    /// Pausing, and taking fees out.
    Governing(Governing),
    /// A provider's stake and keys.
    Staking(Staking),
    /// Jobs, made and cancelled.
    Ordering(Ordering),
    /// Claims, given back or committed.
    Claiming(Claiming),
    /// Seeds, draws, rolled windows, named cells.
    Drawing(Drawing),
    /// Evidence, adjudication, what was not answered.
    Judging(Judging),
    /// Cells judged step by step.
    Stepping(Stepping),
    /// Cells demanded under a bond.
    Challenging(Challenging),
    /// Delivery and acceptance.
    Delivering(Delivering),
    /// What shards and jobs owe.
    Paying(Paying),
    /// The end of accounts.
    Closing(Closing),
    /// What people do to accounts without asking the program.
    Outside(Outside),
    /// Any of these, with something about it that must not be.
    Tampering(Tampering),
}

macro_rules! each {
    ($self:expr, $action:ident => $do:expr) => {
        match $self {
            Action::Governing($action) => $do,
            Action::Staking($action) => $do,
            Action::Ordering($action) => $do,
            Action::Claiming($action) => $do,
            Action::Drawing($action) => $do,
            Action::Judging($action) => $do,
            Action::Stepping($action) => $do,
            Action::Challenging($action) => $do,
            Action::Delivering($action) => $do,
            Action::Paying($action) => $do,
            Action::Closing($action) => $do,
            Action::Outside($action) => $do,
            Action::Tampering($action) => $do,
        }
    };
}

impl Action {
    /// What it is called in the tally: the instruction's name.
    pub fn name(&self) -> &'static str {
        each!(self, a => a.name())
    }

    /// The instructions of its transaction.
    pub fn instructions(&self, model: &Model) -> Vec<Instruction> {
        each!(self, a => a.instructions(model))
    }

    /// Whether the model allows it; then it has happened there.
    pub fn apply(&self, model: &mut Model) -> Verdict {
        each!(self, a => a.apply(model))
    }

    /// One that is not a sequel of others, chosen at random; None where there is nothing of the kind to do now.
    pub fn random(pick: &mut Pick) -> Option<Self> {
        Some(match pick.below(100) {
            0..2 => Self::Governing(Governing::random(pick)),
            2..6 => Self::Staking(Staking::random(pick)),
            6..13 => Self::Ordering(Ordering::random(pick)?),
            13..33 => Self::Claiming(Claiming::random(pick)?),
            33..47 => Self::Drawing(Drawing::random(pick)?),
            47..57 => Self::Judging(Judging::random(pick)?),
            57..60 => Self::Stepping(Stepping::random(pick)?),
            60..66 => Self::Challenging(Challenging::random(pick)?),
            66..72 => Self::Delivering(Delivering::random(pick)?),
            72..84 => Self::Paying(Paying::random(pick)?),
            84..90 => Self::Closing(Closing::random(pick)?),
            90..93 => Self::Outside(Outside::random(pick)?),
            _ => Self::Tampering(Tampering::random(pick)?),
        })
    }
}
