//! Computing whole leaves: on all cores, or on a graphics card when there is a usable one.

pub(crate) mod blaslt;
mod compare;
pub mod cubins;
mod cuda;
mod gpu;
mod plan;
mod reference;
mod signature;
mod tiles;

use core::ops::Range;

pub use compare::{Compared, Difference, Limit, Mismatch, compare, random_job};
pub use cuda::{Cuda, Finding};
pub use gpu::{Buffer, Function, Gpu, Launch};
pub use plan::{LeafRun, Plan, levels};
pub use reference::{
    Leaves, open_reads, open_reads_after, open_step_reads, open_step_reads_after, reference_cell, reference_cell_after,
    reference_job, reference_leaf,
};
pub use tiles::Tiles;

use crate::abi::{Geometry, MAX_INPUTS, ParamError, VerifierError};
use crate::hash::Hash;
use crate::merkle::{nodes_of, salted_leaf_hashes};
use crate::registry::AnyKernel;

/// A job's inputs, each exactly as long as its geometry says; empty slices for those that are not there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inputs<'a> {
    /// Input 0 to 3, padded to whole chunks.
    pub inputs: [&'a [u8]; MAX_INPUTS],
}

/// Why leaves could not be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecError {
    /// Unknown kernel, or params that no job of it can have.
    #[error("the job is not one that can be computed: {0}")]
    Kernel(#[from] VerifierError),
    /// An input is not as long as the geometry says.
    #[error("input {input} has {got} bytes, the job's params require {expected}")]
    InputLength {
        /// Which input.
        input: usize,
        /// Bytes that the params require.
        expected: u64,
        /// Bytes that were given.
        got: u64,
    },
    /// The leaves asked for are not all in the job.
    #[error("the job does not have all of these leaves")]
    LeafRange,
    /// Not enough memory on this machine for the result.
    #[error("not enough memory for {0} bytes of result")]
    OutOfMemory(u64),
    /// The device does not have enough memory. Nothing is broken: a smaller job or the CPU will do.
    #[error("not enough memory on the device for this job ({0} bytes asked for)")]
    DeviceMemory(u64),
    /// The device or its driver failed. What it returns from here on is not to be trusted: end the process.
    #[error("the device failed: {0}")]
    Device(String),
    /// The device failed and was started anew. Nothing that it computed since it last passed its known answers counts;
    /// computing all of it again may go well.
    #[error("the device failed and was started anew, what it had computed does not count: {0}")]
    Interrupted(String),
}

impl From<ParamError> for ExecError {
    fn from(error: ParamError) -> Self {
        Self::Kernel(error.into())
    }
}

/// Something that computes leaves.
pub trait Backend: Send + Sync {
    /// What it runs on, for people.
    fn name(&self) -> String;

    /// What serves less well than it could, and why, in words: a library that is missing, a way that gives wrong numbers.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Computes the leaves `leaves` of the job: their bytes, one after the other.
    ///
    /// # Errors
    /// See [`ExecError`].
    fn run(&self, kernel: u16, params: &[u8], inputs: &Inputs, leaves: Range<u64>) -> Result<Vec<u8>, ExecError>;

    /// Computes leaves as [`run`](Self::run) does and hashes them where they were computed.
    ///
    /// # Errors
    /// See [`ExecError`].
    fn run_hashed(
        &self,
        kernel: u16,
        params: &[u8],
        inputs: &Inputs,
        leaves: Range<u64>,
        commit: &Commit,
    ) -> Result<Piece, ExecError> {
        let geometry = AnyKernel::from_id(kernel)?.geometry(params)?;
        let bytes = self.run(kernel, params, inputs, leaves.clone())?;
        let nodes = commit.nodes(&geometry, leaves, &bytes).ok_or(ExecError::LeafRange)?;
        Ok(Piece { bytes, nodes })
    }

    /// How many runs it can do at the same time: its devices.
    fn lanes(&self) -> usize {
        1
    }

    /// A mark to take before the first run of something whose result is to count as a whole; see
    /// [`verify`](Self::verify).
    fn mark(&self) -> u64 {
        0
    }

    /// Whether what was computed since `mark` may count: no device has failed since, and those that computed give their
    /// known answers still.
    ///
    /// # Errors
    /// [`ExecError::Interrupted`], [`ExecError::Device`].
    fn verify(&self, _mark: u64) -> Result<(), ExecError> {
        Ok(())
    }
}

/// How leaves are hashed into a shard's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// What every leaf is hashed with.
    pub salt: Hash,
    /// The lowest level of the tree that is wanted: its nodes each stand for 2^level leaves, counted from the first of
    /// those computed, the last of them for what is left.
    pub level: u8,
}

/// Some leaves of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// The leaves' bytes, one after the other.
    pub bytes: Vec<u8>,
    /// The nodes over them at the level that was asked for.
    pub nodes: Vec<Hash>,
}

impl Commit {
    /// The nodes over `bytes`, which are those of `leaves`; none where they are not. On all cores.
    pub fn nodes(&self, geometry: &Geometry, leaves: Range<u64>, bytes: &[u8]) -> Option<Vec<Hash>> {
        Some(nodes_of(salted_leaf_hashes(geometry, leaves, bytes, &self.salt)?, self.level))
    }
}

/// What a kernel's CUDA side, or the tree's, is made of.
#[derive(Clone, Copy, Debug)]
pub struct CudaSource {
    /// Number of the kernel; 0, which none has, for the tree.
    pub kernel: u16,
    /// Name of the kernel or the tree, of its folder and its files.
    pub name: &'static str,
    /// Entry points.
    pub functions: &'static [&'static str],
    /// CUDA C++ source.
    pub cu: &'static str,
    /// What NVRTC makes of it.
    pub ptx: &'static str,
}

/// What NVRTC makes of a kernel's source for newer cards than those of [`CudaSource::ptx`]: the same entry points and more.
#[derive(Clone, Copy, Debug)]
pub struct CudaVariant {
    /// Architecture, as NVRTC calls it: `compute_80`.
    pub arch: &'static str,
    /// Compute capability of the oldest cards that it is for.
    pub capability: (i32, i32),
    /// Whether it is for no newer cards either, as architectures with an `a` at their end.
    pub exact: bool,
    /// Entry points that [`CudaSource::functions`] does not have. None needs all of them.
    pub functions: &'static [&'static str],
    /// What NVRTC makes.
    pub ptx: &'static str,
}

impl CudaVariant {
    /// Whether a card of this compute capability can run it.
    pub fn runs_on(&self, capability: (i32, i32)) -> bool {
        capability == self.capability || !self.exact && capability > self.capability
    }
}

/// A kernel on processors and graphics cards. `out` has exactly the bytes of `leaves`, all of which exist, and the
/// inputs have the lengths that the geometry says: [`Backend::run`] has checked it.
pub trait Accelerated: Send + Sync {
    /// The CUDA side.
    fn cuda_source(&self) -> CudaSource;

    /// What the CUDA side has more for newer cards.
    fn cuda_variants(&self) -> &'static [CudaVariant] {
        &[]
    }

    /// Computes leaves on all cores.
    ///
    /// # Errors
    /// See [`ExecError`].
    fn cpu(&self, params: &[u8], inputs: &Inputs, leaves: Range<u64>, out: &mut [u8]) -> Result<(), ExecError>;

    /// Computes leaves on a graphics card. What leaves it for `out` in whole leaves is hashed there as well: by [`Tiles`]
    /// while the next tile is computed, by [`Gpu::fetch`] while it is copied. Else the cores hash.
    ///
    /// # Errors
    /// See [`ExecError`].
    fn cuda(
        &self,
        gpu: &Gpu,
        params: &[u8],
        inputs: &Inputs,
        leaves: Range<u64>,
        out: &mut [u8],
    ) -> Result<(), ExecError>;
}

/// All kernels' CUDA sources, and the tree's.
pub fn cuda_sources() -> impl Iterator<Item = CudaSource> {
    let kernels = AnyKernel::ALL.iter().map(|kernel| kernel.accelerated().cuda_source());
    kernels.chain(core::iter::once(tiles::SOURCE))
}

/// What kernel `kernel` has more for newer cards.
pub fn cuda_variants(kernel: u16) -> &'static [CudaVariant] {
    AnyKernel::from_id(kernel).map_or(&[], |kernel| kernel.accelerated().cuda_variants())
}

/// All cores of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu;

impl Backend for Cpu {
    fn name(&self) -> String {
        format!("CPU, {} threads", rayon::current_num_threads())
    }

    fn run(&self, kernel: u16, params: &[u8], inputs: &Inputs, leaves: Range<u64>) -> Result<Vec<u8>, ExecError> {
        let kernel = AnyKernel::from_id(kernel)?;
        let mut out = prepare(kernel, params, inputs, &leaves)?;
        kernel.accelerated().cpu(params, inputs, leaves, &mut out)?;
        Ok(out)
    }
}

/// Has a backend compute and hash a kernel's small jobs, which must come out as the reference's.
///
/// # Errors
/// What failed or came out otherwise, in words.
pub fn check(backend: &dyn Backend, kernel: AnyKernel) -> Result<(), String> {
    for job in kernel.handling().checks() {
        let told = |error: ExecError| error.to_string();
        let expected = reference_job(kernel.id(), &job.params, &job.inputs()).map_err(told)?;
        let leaves = expected.len() as u64;
        let bytes: Vec<u8> = expected.into_values().flatten().collect();
        // A level with full nodes and, mostly, one over fewer leaves.
        let commit = Commit { salt: [0xa5; 32], level: 2 };
        let geometry = kernel.geometry(&job.params).map_err(|error| error.text().to_owned())?;
        let nodes = commit.nodes(&geometry, 0..leaves, &bytes).unwrap_or_default();
        let made = backend.run_hashed(kernel.id(), &job.params, &job.inputs(), 0..leaves, &commit).map_err(told)?;
        if made.bytes != bytes {
            return Err("other bytes than the reference's".to_owned());
        }
        if made.nodes != nodes {
            return Err("other hashes than the reference's".to_owned());
        }
    }
    Ok(())
}

/// Checks what [`Accelerated`] relies on and makes room for the result.
fn prepare(kernel: AnyKernel, params: &[u8], inputs: &Inputs, leaves: &Range<u64>) -> Result<Vec<u8>, ExecError> {
    let geometry = kernel.geometry(params)?;
    check_inputs(&geometry, inputs)?;
    let bytes = match (geometry.bytes_before(leaves.start), geometry.bytes_before(leaves.end)) {
        (Some(start), Some(end)) if leaves.start <= leaves.end => end.saturating_sub(start),
        _ => return Err(ExecError::LeafRange),
    };
    let mut out = Vec::new();
    let len = usize::try_from(bytes).map_err(|_| ExecError::OutOfMemory(bytes))?;
    out.try_reserve_exact(len).map_err(|_| ExecError::OutOfMemory(bytes))?;
    out.resize(len, 0);
    Ok(out)
}

fn check_inputs(geometry: &Geometry, inputs: &Inputs) -> Result<(), ExecError> {
    for (input, (expected, bytes)) in geometry.input_bytes.iter().zip(inputs.inputs).enumerate() {
        let (expected, got) = (*expected, bytes.len() as u64);
        if expected != got {
            return Err(ExecError::InputLength { input, expected, got });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
