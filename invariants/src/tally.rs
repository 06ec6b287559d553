//! What a run did, counted.

use std::collections::BTreeMap;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// By instruction: landed, refused as the model said.
    pub kinds: BTreeMap<&'static str, [u64; 2]>,
    /// Refusals by code.
    pub codes: BTreeMap<u32, u64>,
    /// Instructions of the settlement program in all.
    pub instructions: u64,
    /// Episodes.
    pub episodes: u64,
    /// Exits, on clones in the middle and at the ends.
    pub exits: u64,
    /// Shards settled.
    pub settled: u64,
    /// Shards slashed: for a wrong cell, for a late answer, for rolled windows.
    pub slashed: [u64; 3],
    /// Jobs created.
    pub jobs: u64,
    /// Seconds of the clusters' clocks.
    pub seconds: i64,
}

impl Tally {
    /// Counts an attempt of so many instructions.
    pub fn count(&mut self, name: &'static str, refused: Option<u32>) {
        let kind = self.kinds.entry(name).or_default();
        kind[usize::from(refused.is_some())] += 1;
        self.instructions += u64::from(!name.starts_with('('));
        if let Some(code) = refused {
            *self.codes.entry(code).or_default() += 1;
        }
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (name, counts) in &other.kinds {
            let kind = self.kinds.entry(name).or_default();
            kind.iter_mut().zip(counts).for_each(|(a, b)| *a += b);
        }
        for (code, count) in &other.codes {
            *self.codes.entry(*code).or_default() += count;
        }
        self.slashed.iter_mut().zip(other.slashed).for_each(|(a, b)| *a += b);
        self.instructions += other.instructions;
        self.episodes += other.episodes;
        self.exits += other.exits;
        self.settled += other.settled;
        self.jobs += other.jobs;
        self.seconds += other.seconds;
    }
}
