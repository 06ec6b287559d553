//! CUDA as a backend: finds out without ever failing hard whether there is a card that computes the right bits.

use core::fmt;
use core::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use cudarc::driver::{CudaContext, sys};

use super::{Backend, Commit, ExecError, Gpu, Inputs, Piece, check, cuda_sources, prepare};
use crate::hash::Hash;
use crate::registry::AnyKernel;

/// The oldest driver that takes the committed PTX, as CUDA counts versions: 12.0.
const MIN_DRIVER: i32 = 12_000;
/// The oldest cards that the committed PTX runs on (Turing, 2018): compute capability 7.5.
const MIN_CAPABILITY: (i32, i32) = (7, 5);

/// Why there is no CUDA here, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is missing or wrong.
    pub problem: String,
    /// What to do when a card is wanted.
    pub remedy: String,
}

impl Finding {
    fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.remedy)
    }
}

/// A graphics card that has passed its self-test.
pub struct Cuda {
    /// Launches of different jobs take turns; `None` after an error that leaves the card in an unknown state.
    gpu: Mutex<Option<Gpu>>,
    name: String,
}

impl Cuda {
    /// The first card of this machine, when its driver is new enough and the card computes known answers. Which card
    /// is first is set by `CUDA_VISIBLE_DEVICES`.
    ///
    /// # Errors
    /// What is missing. Never panics: cudarc's panics for missing libraries and symbols become findings as well.
    pub fn probe() -> Result<Self, Finding> {
        // SAFETY: only tries to load the driver library, which is what this backend is for.
        guarded(|| if unsafe { sys::is_culib_present() } { Ok(()) } else { Err(no_driver()) })?;
        guarded(check_driver)?;
        let cuda = guarded(open)?;
        guarded(|| cuda.self_test())?;
        Ok(cuda)
    }

    /// Small jobs of every kernel against the reference.
    fn self_test(&self) -> Result<(), Finding> {
        AnyKernel::ALL.iter().try_for_each(|kernel| {
            check(self, *kernel).map_err(|why| {
                Finding::new(
                    format!("{}: the self-test of {} failed: {why}", self.name, kernel.name()),
                    "don't use this card; check it with nvidia-smi and its log of Xid errors",
                )
            })
        })
    }
}

impl Backend for Cuda {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn notes(&self) -> Vec<String> {
        self.gpu.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or_else(Vec::new, Gpu::notes)
    }

    fn run(&self, kernel: u16, params: &[u8], inputs: &Inputs, leaves: Range<u64>) -> Result<Vec<u8>, ExecError> {
        self.compute(kernel, params, inputs, leaves, None).map(|(bytes, _)| bytes)
    }

    fn run_hashed(
        &self,
        kernel: u16,
        params: &[u8],
        inputs: &Inputs,
        leaves: Range<u64>,
        commit: &Commit,
    ) -> Result<Piece, ExecError> {
        let (bytes, nodes) = self.compute(kernel, params, inputs, leaves.clone(), Some(commit))?;
        let by_cores = || {
            let geometry = AnyKernel::from_id(kernel).and_then(|kernel| kernel.geometry(params)).ok()?;
            commit.nodes(&geometry, leaves, &bytes)
        };
        let nodes = nodes.or_else(by_cores).ok_or(ExecError::LeafRange)?;
        Ok(Piece { bytes, nodes })
    }
}

impl Cuda {
    /// The leaves' bytes and, with `commit`, their nodes where they left the card as whole leaves.
    fn compute(
        &self,
        kernel: u16,
        params: &[u8],
        inputs: &Inputs,
        leaves: Range<u64>,
        commit: Option<&Commit>,
    ) -> Result<(Vec<u8>, Option<Vec<Hash>>), ExecError> {
        let kernel = AnyKernel::from_id(kernel)?;
        let mut out = prepare(kernel, params, inputs, &leaves)?;
        let geometry = kernel.geometry(params)?;
        let mut place = self.gpu.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(gpu) = place.as_ref() else {
            return Err(ExecError::Device("the card failed before; restart the process".into()));
        };
        let work = || {
            // Jobs come on any thread, and not every call of the driver says which card it means.
            gpu.bind()?;
            if let Some(commit) = commit {
                gpu.begin_hashing(&geometry, leaves.clone(), commit, &out)?;
            }
            let made = kernel.accelerated().cuda(gpu, params, inputs, leaves, &mut out);
            // After a failure, too: nothing of it is left for the next job.
            let nodes = gpu.end_hashing();
            made.and_then(|()| gpu.finish())?;
            nodes
        };
        let done = catch_unwind(AssertUnwindSafe(work))
            .unwrap_or_else(|panic| Err(ExecError::Device(panic_text(panic.as_ref()).into())));
        if let Err(ExecError::Device(_)) = &done {
            // CUDA errors poison the process for good. Dropping the context could panic or hang, so leave it.
            core::mem::forget(place.take());
        }
        done.map(|nodes| (out, nodes))
    }
}

/// Runs one step of the probe and turns a panic of cudarc into a finding.
fn guarded<T>(step: impl FnOnce() -> Result<T, Finding>) -> Result<T, Finding> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
        Err(Finding::new(
            format!("the NVIDIA driver can't be used: {}", panic_text(panic.as_ref())),
            "install an NVIDIA driver for CUDA 12.0 or newer",
        ))
    })
}

pub(super) fn panic_text(panic: &(dyn core::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without words")
}

fn no_driver() -> Finding {
    Finding::new(
        "there is no NVIDIA driver on this machine (libcuda was not found)",
        "for a GPU, install the NVIDIA driver; CUDA itself is not needed",
    )
}

fn check_driver() -> Result<(), Finding> {
    let mut version = 0;
    // SAFETY: writes one int; may be called before cuInit.
    let asked = unsafe { sys::cuDriverGetVersion(&mut version) }.result();
    if let Err(error) = asked {
        return Err(Finding::new(format!("the NVIDIA driver does not state its version: {error}"), "reinstall it"));
    }
    if version < MIN_DRIVER {
        let (major, minor) = (version / 1000, version % 1000 / 10);
        return Err(Finding::new(
            format!("the NVIDIA driver is for CUDA {major}.{minor}"),
            "install a driver for CUDA 12.0 or newer",
        ));
    }
    let devices = CudaContext::device_count().map_err(|error| {
        Finding::new(
            format!("the NVIDIA driver finds no usable card: {error}"),
            "check nvidia-smi; in a container, pass the card through (--gpus all)",
        )
    })?;
    if devices < 1 {
        return Err(Finding::new("the NVIDIA driver has no card", "check nvidia-smi and CUDA_VISIBLE_DEVICES"));
    }
    Ok(())
}

fn open() -> Result<Cuda, Finding> {
    let failed = |error: cudarc::driver::DriverError| {
        Finding::new(
            format!("the card can't be opened: {error}"),
            "check with nvidia-smi that it is free and healthy, and that the driver is for CUDA 12.0 or newer",
        )
    };
    let context = CudaContext::new(0).map_err(failed)?;
    let (major, minor) = context.compute_capability().map_err(failed)?;
    if (major, minor) < MIN_CAPABILITY {
        return Err(Finding::new(
            format!("the card has compute capability {major}.{minor}"),
            "7.5 (Turing) or newer is needed",
        ));
    }
    let gpu = Gpu::open(0, cuda_sources()).map_err(failed)?;
    let name = gpu.name().map_err(failed)?;
    Ok(Cuda { gpu: Mutex::new(Some(gpu)), name })
}
