//! All cards as one backend: each run goes to a card that is free.

use std::{
    ops::Range,
    sync::{Condvar, Mutex, PoisonError},
    thread,
};

use assay_kernels::executor::{Backend, Commit, ExecError, Finding, Inputs, Piece};

use crate::{
    job::Job,
    lane::Lane,
    limits::Limits,
    message::{Card, Kind},
    process::{Process, Unusable},
    program::Program,
};

/// Which cards are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All that work.
    All,
    /// These, as the driver counts those that are visible, from 0. Each must work.
    These(Vec<usize>),
}

/// What was found besides the cards that are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What is missing without keeping anything from working.
    pub notes: Vec<String>,
    /// Cards that are there and can't be used, and why.
    pub unused: Vec<String>,
}

/// Cards, each with a process of its own.
pub struct Devices {
    lanes: Vec<Lane>,
    busy: Mutex<Vec<bool>>,
    freed: Condvar,
}

/// A lane that is in use; free again when dropped.
struct Turn<'a> {
    devices: &'a Devices,
    number: usize,
    lane: &'a Lane,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut busy = self.devices.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(busy) = busy.get_mut(self.number) {
            *busy = false;
        }
        drop(busy);
        self.devices.freed.notify_all();
    }
}

impl Devices {
    /// Looks for cards and starts a process for each.
    ///
    /// # Errors
    /// Why no card can be used.
    pub fn open(program: &Program, choice: &Choice, limits: Limits) -> Result<(Self, Found), Finding> {
        let (cards, notes) = Self::cards(program, limits)?;
        let mut found = Found { notes, unused: Vec::new() };
        let wanted: Vec<usize> = match choice {
            Choice::All => (0..cards.len()).collect(),
            Choice::These(numbers) => numbers.clone(),
        };
        let chosen = wanted.iter().map(|number| {
            let card = cards.get(*number).ok_or_else(|| Finding {
                problem: format!("there is no card {number}: the driver shows {}", cards.len()),
                remedy: "cards are counted from 0; check nvidia-smi and CUDA_VISIBLE_DEVICES".to_owned(),
            })?;
            Ok((*number, card))
        });
        let chosen = chosen.collect::<Result<Vec<(usize, &Card)>, Finding>>()?;
        let opened: Vec<Result<Lane, Finding>> = thread::scope(|scope| {
            let open = |(number, card): &(usize, &Card)| {
                let (label, program) = (format!("card {number} ({})", card.name), program.clone().for_card(*number));
                scope.spawn(move || Lane::open(label, program, Kind::Cuda, limits))
            };
            let opening: Vec<_> = chosen.iter().map(open).collect();
            opening.into_iter().map(|lane| lane.join().unwrap_or_else(|_| Err(panicked()))).collect()
        });
        let (mut lanes, mut first) = (Vec::new(), None);
        for ((number, _), opened) in chosen.iter().zip(opened) {
            match opened {
                Ok(lane) => lanes.push(lane),
                Err(finding) if matches!(choice, Choice::These(_)) => return Err(finding),
                Err(finding) => {
                    found.unused.push(format!("card {number} is not used: {finding}"));
                    first.get_or_insert(finding);
                }
            }
        }
        match first {
            Some(finding) if lanes.is_empty() => Err(finding),
            _ if lanes.is_empty() => {
                Err(Finding { problem: "no card was chosen".to_owned(), remedy: "name at least one".to_owned() })
            }
            _ => Ok((Self::of(lanes), found)),
        }
    }

    /// The cards that the driver shows, and what is missing without keeping anything from working.
    ///
    /// # Errors
    /// Why there is none.
    pub fn cards(program: &Program, limits: Limits) -> Result<(Vec<Card>, Vec<String>), Finding> {
        Process::list(program, limits).map_err(|unusable| match unusable {
            Unusable::Finding(finding) => finding,
            Unusable::Fault(why) => Finding {
                problem: format!("the process that looks for cards failed: {why}"),
                remedy: "check the driver with nvidia-smi".to_owned(),
            },
        })
    }

    /// These devices as one.
    pub fn of(lanes: Vec<Lane>) -> Self {
        let busy = Mutex::new(vec![false; lanes.len()]);
        Self { lanes, busy, freed: Condvar::new() }
    }

    /// The single devices.
    pub fn devices(&self) -> &[Lane] {
        &self.lanes
    }

    /// Waits for a free device that is not broken: one that has the inputs before one that has not, and one that runs
    /// before one that is to be started anew.
    fn turn(&self, job: &Job) -> Result<Turn<'_>, ExecError> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let works: Vec<(usize, &Lane)> =
                self.lanes.iter().enumerate().filter(|(_, lane)| lane.broken().is_none()).collect();
            if works.is_empty() {
                return Err(ExecError::Device(self.why_broken()));
            }
            let free = works.into_iter().filter(|(number, _)| busy.get(*number) == Some(&false));
            if let Some((number, lane)) = free.max_by_key(|(_, lane)| (lane.ready(), lane.has(job))) {
                if let Some(busy) = busy.get_mut(number) {
                    *busy = true;
                }
                return Ok(Turn { devices: self, number, lane });
            }
            busy = self.freed.wait(busy).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn why_broken(&self) -> String {
        self.lanes.iter().filter_map(Lane::broken).collect::<Vec<_>>().join("; ")
    }

    fn compute(&self, job: &Job) -> Result<Piece, ExecError> {
        let turn = self.turn(job)?;
        turn.lane.compute(job).map_err(|error| self.softened(error))
    }

    fn any_works(&self) -> bool {
        self.lanes.iter().any(|lane| lane.broken().is_none())
    }

    /// Where a device is broken for good, the others go on.
    fn softened(&self, error: ExecError) -> ExecError {
        match error {
            ExecError::Device(why) if self.any_works() => ExecError::Interrupted(why),
            error => error,
        }
    }
}

fn panicked() -> Finding {
    Finding { problem: "opening a card panicked".to_owned(), remedy: "report it as a fault of this program".to_owned() }
}

impl Backend for Devices {
    fn name(&self) -> String {
        let mut names: Vec<(String, usize)> = Vec::new();
        for lane in &self.lanes {
            match names.iter_mut().find(|(name, _)| *name == lane.name()) {
                Some((_, count)) => *count = count.saturating_add(1),
                None => names.push((lane.name(), 1)),
            }
        }
        let words = |(name, count): &(String, usize)| match count {
            1 => name.clone(),
            count => format!("{count} x {name}"),
        };
        names.iter().map(words).collect::<Vec<_>>().join(", ")
    }

    fn run(&self, kernel: u16, params: &[u8], inputs: &Inputs, leaves: Range<u64>) -> Result<Vec<u8>, ExecError> {
        Ok(self.compute(&Job::new(kernel, params, inputs, leaves, None)?)?.bytes)
    }

    fn run_hashed(
        &self,
        kernel: u16,
        params: &[u8],
        inputs: &Inputs,
        leaves: Range<u64>,
        commit: &Commit,
    ) -> Result<Piece, ExecError> {
        self.compute(&Job::new(kernel, params, inputs, leaves, Some(commit))?)
    }

    fn lanes(&self) -> usize {
        self.lanes.len()
    }

    fn mark(&self) -> u64 {
        self.lanes.iter().fold(0, |sum, lane| sum.saturating_add(lane.faults()))
    }

    /// A fault of any card since the mark counts, whichever computed.
    fn verify(&self, mark: u64) -> Result<(), ExecError> {
        for lane in self.lanes.iter().filter(|lane| lane.broken().is_none()) {
            lane.check().map_err(|error| self.softened(error))?;
        }
        if self.mark() == mark {
            return Ok(());
        }
        let why = "a device failed while this was computed".to_owned();
        Err(if self.any_works() { ExecError::Interrupted(why) } else { ExecError::Device(self.why_broken()) })
    }
}
