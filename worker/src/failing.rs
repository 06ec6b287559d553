//! What a device that fails means for what it has computed.

use assay_kernels::executor::{Backend, ExecError};

use crate::error::{Result, WorkerError};

/// What a backend's failure is to the worker: trouble of the device for good, for now, or of the job.
pub(crate) fn failure(error: ExecError) -> WorkerError {
    let why = error.to_string();
    match error {
        ExecError::Interrupted(_) => WorkerError::Interrupted { why },
        error => WorkerError::Backend { broken: matches!(error, ExecError::Device(_)), why },
    }
}

/// What `compute` gives, where the device that it was computed on has not failed meanwhile and gives its known answers
/// still: one that fails may have computed wrongly before anybody saw it.
pub(crate) fn verified<T>(backend: &dyn Backend, compute: impl FnOnce() -> Result<T>) -> Result<T> {
    let mark = backend.mark();
    let computed = compute()?;
    backend.verify(mark).map_err(failure)?;
    Ok(computed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_kernels::executor::{Cpu, Inputs};
    use std::{
        ops::Range,
        sync::atomic::{AtomicU64, Ordering},
    };

    /// Counts faults, and says what a supervisor does when there were any since.
    struct Failing {
        faults: AtomicU64,
        then: ExecError,
    }

    impl Backend for Failing {
        fn name(&self) -> String {
            "failing".to_owned()
        }

        fn run(&self, _: u16, _: &[u8], _: &Inputs, _: Range<u64>) -> Result<Vec<u8>, ExecError> {
            self.faults.fetch_add(1, Ordering::Relaxed);
            Err(self.then.clone())
        }

        fn mark(&self) -> u64 {
            self.faults.load(Ordering::Relaxed)
        }

        fn verify(&self, mark: u64) -> Result<(), ExecError> {
            if mark == self.mark() { Ok(()) } else { Err(self.then.clone()) }
        }
    }

    #[test]
    fn nothing_counts_that_was_computed_around_a_fault() {
        let of = |then: ExecError, fault: bool| {
            // Faults from before do not matter.
            let device = Failing { faults: AtomicU64::new(7), then };
            verified(&device, || {
                // Somebody else's run, as far as this computation can see.
                let ran = fault.then(|| device.run(0, &[], &Inputs::default(), 0..1));
                assert!(ran.is_none_or(|ran| ran.is_err()));
                Ok(5)
            })
        };
        let (interrupted, broken) = (ExecError::Interrupted("x".into()), ExecError::Device("x".into()));
        assert_eq!(of(interrupted.clone(), false).unwrap(), 5);
        assert_eq!(verified(&Cpu, || Ok(5)).unwrap(), 5);
        // The first is tried again, the second ends all claims.
        assert_eq!(of(interrupted, true).unwrap_err().code(), "device-interrupted");
        assert!(matches!(of(broken, true), Err(WorkerError::Backend { broken: true, .. })));
        assert!(matches!(failure(ExecError::DeviceMemory(1)), WorkerError::Backend { broken: false, .. }));
        let own: Result<u8> = Err(WorkerError::Stopped);
        assert_eq!(verified(&Cpu, || own).unwrap_err().code(), "stopped");
    }
}
