//! What inputs are called without reading all of them first: most runs have the inputs of the one before, at the same place
//! in memory. That is presumed while the run goes on and found out meanwhile; nothing counts before it is.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use assay_kernels::executor::{ExecError, Inputs, Piece};

use crate::job::{Job, Names, Refusal, names_of};

/// Inputs of fewer bytes are read first: that takes no time.
const WORTH_IT: usize = 1 << 20;

/// Where the inputs of some runs lay in memory, and what they were called.
#[derive(Default)]
pub(crate) struct Memo(Mutex<Vec<(Places, Names)>>);

/// Address and length of each input. Never followed.
type Places = [(usize, usize); 4];

/// Jobs whose inputs are remembered.
const JOBS: usize = 16;

fn places(inputs: &Inputs) -> Places {
    inputs.inputs.map(|input| (input.as_ptr().addr(), input.len()))
}

impl Memo {
    fn presumed(&self, inputs: &Inputs) -> Option<Names> {
        let bytes = inputs.inputs.iter().fold(0usize, |sum, input| sum.saturating_add(input.len()));
        let places = places(inputs);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_them = known.iter().find(|(known, _)| *known == places).map(|(_, names)| *names);
        of_them.filter(|_| bytes >= WORTH_IT)
    }

    fn remember(&self, inputs: &Inputs, names: Names) {
        let places = places(inputs);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(known, _)| *known != places);
        known.truncate(JOBS.saturating_sub(1));
        known.insert(0, (places, names));
    }

    /// Does a job that has no names yet.
    pub fn run(
        &self,
        mut job: Job,
        inputs: &Inputs,
        run: impl Fn(&Job) -> Result<Piece, Refusal>,
    ) -> Result<Piece, ExecError> {
        let mut names = None;
        if let Some(presumed) = self.presumed(inputs) {
            job.name(presumed, true);
            let (done, named) = thread::scope(|scope| {
                let naming = scope.spawn(|| names_of(inputs));
                let done = run(&job);
                (done, naming.join().ok())
            });
            names = named;
            match done {
                Ok(piece) if names == Some(presumed) => return Ok(piece),
                // A device that failed has failed whatever it was given.
                Err(Refusal::Failed(error @ (ExecError::Interrupted(_) | ExecError::Device(_)))) => return Err(error),
                Err(Refusal::Failed(error)) if names == Some(presumed) => return Err(error),
                // It was computed from other inputs, or not at all.
                _ => {}
            }
        }
        let names = names.unwrap_or_else(|| names_of(inputs));
        self.remember(inputs, names);
        job.name(names, false);
        run(&job).map_err(Refusal::into_error)
    }
}

impl Refusal {
    /// The error of a job with names that are sure.
    pub fn into_error(self) -> ExecError {
        match self {
            Self::Failed(error) => error,
            Self::Unsure => ExecError::Interrupted("an input was presumed to be there".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_kernels::{executor::Backend, executor::Cpu, gemm_i8::Params, handling::noise, registry::AnyKernel};
    use std::sync::Mutex;

    /// Runs of a backend that holds inputs by name, as a device process does: the bytes are those that first came under
    /// the name.
    #[derive(Default)]
    struct Holder(Mutex<Vec<([u8; 32], Vec<u8>)>>);

    impl Holder {
        fn run(&self, job: &Job) -> Result<Piece, Refusal> {
            let mut held = self.0.lock().unwrap();
            let mut inputs = [const { Vec::new() }; 4];
            for (to, input) in inputs.iter_mut().zip(job.inputs) {
                let Some(name) = input.name else { continue };
                let here = held.iter().position(|(known, _)| *known == name);
                let Some(at) = here.or_else(|| (!job.presumed).then_some(held.len())) else {
                    return Err(Refusal::Unsure);
                };
                if at == held.len() {
                    held.push((name, input.bytes.to_vec()));
                }
                *to = held[at].1.clone();
            }
            let inputs = Inputs { inputs: inputs.each_ref().map(Vec::as_slice) };
            let bytes = Cpu.run(job.kernel, job.params, &inputs, job.leaves.clone())?;
            Ok(Piece { bytes, nodes: Vec::new() })
        }
    }

    /// Whatever becomes of the memory that inputs lie in, results are those of what lies there now.
    #[test]
    fn a_presumption_is_never_taken_for_the_truth() {
        let product = Params { m: 1_100, n: 40, k: 1_000 };
        let rows = |rows: u32, seed| noise(u64::from(rows) * product.row_bytes(), seed);
        let (mut a, b) = (rows(product.m, 1), rows(product.n, 2));
        assert!(a.len() >= WORTH_IT);
        let (memo, holder, params) = (Memo::default(), Holder::default(), product.to_bytes());
        let asked = Mutex::new(Vec::new());
        let compute = |a: &[u8]| {
            let inputs = Inputs { inputs: [a, &b, &[], &[]] };
            let job = Job::nameless(AnyKernel::GemmI8.id(), &params, &inputs, 0..3, None).unwrap();
            let piece = memo.run(job, &inputs, |job| {
                asked.lock().unwrap().push(job.presumed);
                holder.run(job)
            });
            assert_eq!(piece.unwrap().bytes, Cpu.run(AnyKernel::GemmI8.id(), &params, &inputs, 0..3).unwrap());
            std::mem::take(&mut *asked.lock().unwrap())
        };
        assert_eq!(compute(&a), [false], "nothing is known yet");
        assert_eq!(compute(&a), [true]);
        // Other bytes at the same place.
        a[5] ^= 1;
        assert_eq!(compute(&a), [true, false]);
        assert_eq!(compute(&a), [true]);
        // The device has lost what it had.
        holder.0.lock().unwrap().clear();
        assert_eq!(compute(&a), [true, false]);
        // Lost, and others at the same place: nothing is kept under a wrong name.
        holder.0.lock().unwrap().clear();
        a[5] ^= 1;
        assert_eq!(compute(&a), [true, false]);
        a[5] ^= 1;
        assert_eq!(compute(&a), [true, false]);
        assert_eq!(compute(&a), [true]);
        assert_eq!(compute(&a.clone()), [false], "another place");
    }

    #[test]
    fn a_fault_is_told_at_once() {
        let product = Params { m: 1_100, n: 40, k: 1_000 };
        let a = noise(u64::from(product.m) * product.row_bytes(), 1);
        let b = noise(u64::from(product.n) * product.row_bytes(), 2);
        let (memo, params, inputs) = (Memo::default(), product.to_bytes(), Inputs { inputs: [&a, &b, &[], &[]] });
        let runs = Mutex::new(0);
        let compute = |error: Option<ExecError>| {
            let job = Job::nameless(AnyKernel::GemmI8.id(), &params, &inputs, 0..1, None).unwrap();
            let done = memo.run(job, &inputs, |_| {
                *runs.lock().unwrap() += 1;
                error.clone().map_or(Ok(Piece::default()), |error| Err(error.into()))
            });
            (done.err(), std::mem::take(&mut *runs.lock().unwrap()))
        };
        assert_eq!(compute(None), (None, 1));
        for error in [ExecError::Interrupted("x".into()), ExecError::Device("y".into()), ExecError::DeviceMemory(1)] {
            assert_eq!(compute(Some(error.clone())), (Some(error), 1));
        }
    }
}
