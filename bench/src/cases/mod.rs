//! The cases: for each line of the table a function that brings a world to where one instruction can be sent, and that
//! instruction. A new instruction gets a function in the file of what it is about, and a line in that file's list.

mod challenge;
mod close;
mod delivery;
mod draw;
mod evidence;
mod job;
mod judge;
mod market;
mod money;
mod provider;
mod shard;

use assay_tests::World;

use crate::measure::Shot;

/// One line of the table.
#[derive(Clone, Copy)]
pub struct Case {
    /// Name of the instruction, as in the IDL.
    pub instruction: &'static str,
    /// What is particular about this case; empty where there is nothing to tell apart.
    pub name: &'static str,
    /// Brings a world there.
    pub take: fn() -> (World, Shot),
    /// Compute units of a program without framework, written by hand for the feasibility study, where it had this one.
    pub floor: Option<u64>,
    /// Compute units to stay within.
    pub aim: Option<u64>,
}

const fn case(instruction: &'static str, name: &'static str, take: fn() -> (World, Shot)) -> Case {
    Case { instruction, name, take, floor: None, aim: None }
}

impl Case {
    const fn floor(mut self, units: u64) -> Self {
        self.floor = Some(units);
        self
    }
    const fn aim(mut self, units: u64) -> Self {
        self.aim = Some(units);
        self
    }
}

/// Every case, in the order of the table.
pub fn all() -> Vec<Case> {
    [
        market::CASES,
        provider::CASES,
        job::CASES,
        shard::CASES,
        draw::CASES,
        evidence::CASES,
        judge::CASES,
        challenge::CASES,
        delivery::CASES,
        money::CASES,
        close::CASES,
    ]
    .concat()
}
