//! The known answers: small jobs of every kernel with what the reference makes of them, computed once in this process.

use std::sync::OnceLock;

use assay_kernels::{
    executor::{Commit, ExecError, reference_job},
    handling::Trial,
    hash::Hash,
    registry::AnyKernel,
};

/// A job and its result.
pub struct Known {
    /// The kernel.
    pub kernel: AnyKernel,
    /// The job.
    pub job: Trial,
    /// Its leaves.
    pub leaves: u64,
    /// Their bytes.
    pub bytes: Vec<u8>,
    /// The nodes over them, by [`COMMIT`].
    pub nodes: Vec<Hash>,
}

/// How known answers are hashed: a card that hashes wrongly is as bad as one that computes wrongly.
pub const COMMIT: Commit = Commit { salt: [0xa5; 32], level: 2 };

/// All known answers.
///
/// # Errors
/// The reference fails on a kernel's own small jobs, which is a fault of this program.
pub fn known_answers() -> Result<&'static [Known], &'static str> {
    static KNOWN: OnceLock<Result<Vec<Known>, String>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let jobs =
            AnyKernel::ALL.iter().flat_map(|kernel| kernel.handling().checks().into_iter().map(|job| (*kernel, job)));
        let answer = |(kernel, job): (AnyKernel, Trial)| {
            let leaves = reference_job(kernel.id(), &job.params, &job.inputs())?;
            let (count, bytes) = (leaves.len() as u64, leaves.into_values().flatten().collect::<Vec<u8>>());
            let geometry = kernel.geometry(&job.params)?;
            let nodes = COMMIT.nodes(&geometry, 0..count, &bytes).ok_or(ExecError::LeafRange)?;
            Ok(Known { kernel, job, leaves: count, bytes, nodes })
        };
        jobs.map(answer).collect::<Result<_, ExecError>>().map_err(|error| error.to_string())
    });
    known.as_deref().map_err(String::as_str)
}
