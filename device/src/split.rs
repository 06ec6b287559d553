//! Less at a time where a device has too little memory for all of it.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use assay_kernels::{
    abi::Geometry,
    executor::{Backend, Commit, ExecError, Inputs, Piece},
    registry::AnyKernel,
};

/// A backend that computes leaves in several parts where its device can't hold them all. Parts end only where leaves
/// that read each other do, and nodes do.
pub struct Splitting {
    inner: Box<dyn Backend>,
    /// Called after every part.
    done: Box<dyn Fn() + Send + Sync>,
    /// What fitted last, so that not every run of a job begins with too much.
    fitted: Mutex<Option<Fitted>>,
}

struct Fitted {
    kernel: u16,
    params: Vec<u8>,
    leaves: u64,
}

impl Splitting {
    /// Around a backend. `done` is called after every part that was computed.
    pub fn new(inner: Box<dyn Backend>, done: impl Fn() + Send + Sync + 'static) -> Self {
        Self { inner, done: Box::new(done), fitted: Mutex::default() }
    }

    /// Leaves of this job that fitted at one time; none where nothing was ever too much.
    fn fitted(&self, kernel: u16, params: &[u8]) -> Option<u64> {
        let fitted = self.fitted.lock().unwrap_or_else(PoisonError::into_inner);
        fitted.as_ref().filter(|of| of.kernel == kernel && of.params == params).map(|of| of.leaves)
    }

    fn fits(&self, kernel: u16, params: &[u8], leaves: u64) {
        let fitted = Fitted { kernel, params: params.to_vec(), leaves };
        *self.fitted.lock().unwrap_or_else(PoisonError::into_inner) = Some(fitted);
    }

    fn parts(&self, job: &Job, leaves: Range<u64>, commit: Option<&Commit>, step: u64) -> Result<Piece, ExecError> {
        let mut whole = Piece::default();
        let mut most = self.fitted(job.kernel, job.params).unwrap_or(u64::MAX);
        let mut at = leaves.start;
        loop {
            // A first part may be shorter, so that the others begin where a group of leaves does.
            let over = if commit.is_some() { 0 } else { at.checked_rem(step).unwrap_or(0) };
            let length = rounded_down(most.max(step).saturating_add(over), step).saturating_sub(over);
            let to = at.saturating_add(length).min(leaves.end);
            match self.part(job, at..to, commit) {
                Ok(piece) => {
                    (self.done)();
                    append(&mut whole.bytes, &piece.bytes)?;
                    whole.nodes.extend_from_slice(&piece.nodes);
                    at = to;
                    if at >= leaves.end {
                        return Ok(whole);
                    }
                }
                Err(ExecError::DeviceMemory(bytes)) => {
                    let tried = to.saturating_sub(at);
                    if tried <= step {
                        return Err(ExecError::DeviceMemory(bytes));
                    }
                    most = rounded_down(tried / 2, step).max(step);
                    self.fits(job.kernel, job.params, most);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn part(&self, job: &Job, leaves: Range<u64>, commit: Option<&Commit>) -> Result<Piece, ExecError> {
        match commit {
            Some(commit) => self.inner.run_hashed(job.kernel, job.params, job.inputs, leaves, commit),
            None => {
                let bytes = self.inner.run(job.kernel, job.params, job.inputs, leaves)?;
                Ok(Piece { bytes, nodes: Vec::new() })
            }
        }
    }
}

struct Job<'a> {
    kernel: u16,
    params: &'a [u8],
    inputs: &'a Inputs<'a>,
}

impl Backend for Splitting {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn run(&self, kernel: u16, params: &[u8], inputs: &Inputs, leaves: Range<u64>) -> Result<Vec<u8>, ExecError> {
        let unit = unit(&AnyKernel::from_id(kernel)?.geometry(params)?);
        Ok(self.parts(&Job { kernel, params, inputs }, leaves, None, unit)?.bytes)
    }

    fn run_hashed(
        &self,
        kernel: u16,
        params: &[u8],
        inputs: &Inputs,
        leaves: Range<u64>,
        commit: &Commit,
    ) -> Result<Piece, ExecError> {
        let geometry = AnyKernel::from_id(kernel)?.geometry(params)?;
        let (unit, job) = (unit(&geometry), Job { kernel, params, inputs });
        // Parts that end with a group of leaves and with a node: what they give is put together as it is.
        let aligned = leaves.start.checked_rem(unit) == Some(0);
        let step = 1u64.checked_shl(commit.level.into()).and_then(|node| common_multiple(unit, node));
        if let Some(step) = step.filter(|_| aligned) {
            match self.parts(&job, leaves.clone(), Some(commit), step) {
                Err(ExecError::DeviceMemory(_)) if step > unit => {}
                done => return done,
            }
        }
        let bytes = self.parts(&job, leaves.clone(), None, unit)?.bytes;
        let nodes = commit.nodes(&geometry, leaves, &bytes).ok_or(ExecError::LeafRange)?;
        Ok(Piece { bytes, nodes })
    }
}

/// Leaves that have to be computed in one go because they read each other; see the worker's runs.
pub(crate) fn unit(geometry: &Geometry) -> u64 {
    geometry.shard_align.max(1)
}

fn common_multiple(a: u64, b: u64) -> Option<u64> {
    let (mut x, mut y) = (a, b);
    while let Some(rest) = x.checked_rem(y) {
        (x, y) = (y, rest);
    }
    a.checked_div(x)?.checked_mul(b)
}

fn rounded_down(number: u64, step: u64) -> u64 {
    number.saturating_sub(number.checked_rem(step).unwrap_or(0))
}

fn append(to: &mut Vec<u8>, bytes: &[u8]) -> Result<(), ExecError> {
    to.try_reserve(bytes.len()).map_err(|_| ExecError::OutOfMemory(bytes.len() as u64))?;
    to.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_kernels::executor::Cpu;
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    /// A processor that has room for so many leaves at a time.
    struct Small {
        room: u64,
        runs: Arc<Mutex<Vec<Range<u64>>>>,
    }

    impl Backend for Small {
        fn name(&self) -> String {
            "small".to_owned()
        }

        fn run(&self, kernel: u16, params: &[u8], inputs: &Inputs, leaves: Range<u64>) -> Result<Vec<u8>, ExecError> {
            self.runs.lock().unwrap().push(leaves.clone());
            if leaves.end - leaves.start > self.room {
                return Err(ExecError::DeviceMemory(leaves.end - leaves.start));
            }
            Cpu.run(kernel, params, inputs, leaves)
        }
    }

    struct Setup {
        splitting: Splitting,
        runs: Arc<Mutex<Vec<Range<u64>>>>,
        parts: Arc<AtomicU64>,
    }

    fn room_for(room: u64) -> Setup {
        let (runs, parts) = (Arc::<Mutex<Vec<Range<u64>>>>::default(), Arc::new(AtomicU64::new(0)));
        let (small, counted) = (Small { room, runs: runs.clone() }, parts.clone());
        let splitting = Splitting::new(Box::new(small), move || _ = counted.fetch_add(1, Ordering::Relaxed));
        Setup { splitting, runs, parts }
    }

    /// Every kernel's small jobs: whatever fits at a time, the bytes and the nodes are the same.
    #[test]
    fn parts_put_together_are_the_whole() {
        for kernel in AnyKernel::ALL {
            for job in kernel.handling().checks() {
                let geometry = kernel.geometry(&job.params).unwrap();
                let (unit, all) = (unit(&geometry), geometry.leaves().unwrap());
                let whole = Cpu.run(kernel.id(), &job.params, &job.inputs(), 0..all).unwrap();
                for room in [unit, unit * 3, unit * 8, all] {
                    let Setup { splitting, runs, parts } = room_for(room);
                    let run = |leaves| splitting.run(kernel.id(), &job.params, &job.inputs(), leaves);
                    assert_eq!(run(0..all).unwrap(), whole, "{} {room}", kernel.name());
                    assert!(parts.load(Ordering::Relaxed) >= all / room);
                    for run in runs.lock().unwrap().iter() {
                        assert!(run.start % unit == 0 && (run.end % unit == 0 || run.end == all), "{run:?}");
                    }
                    for level in [0, 1, 3, 60, 64] {
                        let commit = Commit { salt: [7; 32], level };
                        let hashed =
                            |by: &dyn Backend| by.run_hashed(kernel.id(), &job.params, &job.inputs(), 0..all, &commit);
                        assert_eq!(hashed(&splitting), hashed(&Cpu), "{} {room} {level}", kernel.name());
                    }
                }
                let none = room_for(unit.saturating_sub(1));
                let run = none.splitting.run(kernel.id(), &job.params, &job.inputs(), 0..all);
                assert!(matches!(run, Err(ExecError::DeviceMemory(_))), "one unit is the least there is");
            }
        }
    }

    #[test]
    fn what_did_not_fit_is_not_tried_again() {
        let kernel = AnyKernel::EscapeTime;
        let job = kernel.handling().checks().remove(0);
        let all = kernel.geometry(&job.params).unwrap().leaves().unwrap();
        let Setup { splitting, runs, .. } = room_for(all / 4);
        splitting.run(kernel.id(), &job.params, &job.inputs(), 0..all).unwrap();
        runs.lock().unwrap().clear();
        splitting.run(kernel.id(), &job.params, &job.inputs(), 0..all).unwrap();
        assert!(runs.lock().unwrap().iter().all(|run| run.end - run.start <= all / 4));
    }
}
