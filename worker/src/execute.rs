//! Computing a shard: on the backend, then some cells again by the reference, then to disk. Nothing that was not
//! checked is ever committed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use assay_client::answer::{InputTrees, ShardTree, geometry};
use assay_kernels::{
    abi::Geometry,
    escape_time::EscapeTime,
    executor::{Backend, ExecError, Inputs, reference_cell, reference_leaf},
    kernel::Kernel,
};
use assay_settlement::JobTerms;
use rand::Rng;
use solana_pubkey::Pubkey;

use crate::{
    config::SELF_CHECK_CELLS,
    context::{Context, JobContext},
    error::{Result, WorkerError},
    events::{ShardRef, What},
    fetch::blocking,
};

/// Runs a backend on leaves of a job. A backend that panics counts as broken.
pub(crate) fn run(
    backend: &dyn Backend,
    terms: &JobTerms,
    inputs: &InputTrees,
    leaves: core::ops::Range<u64>,
) -> Result<Vec<u8>> {
    let inputs = Inputs { inputs: inputs.slices() };
    // What a panic left of the backend is not used again: the caller marks it as broken.
    let ran = catch_unwind(AssertUnwindSafe(|| backend.run(terms.kernel_id, terms.params(), &inputs, leaves)));
    match ran {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            Err(WorkerError::Backend { broken: matches!(error, ExecError::Device(_)), why: error.to_string() })
        }
        Err(_) => Err(WorkerError::Backend { broken: true, why: "it panicked".to_owned() }),
    }
}

/// One cell by the reference.
pub(crate) fn reference(terms: &JobTerms, inputs: &InputTrees, leaf: u64, cell: u32) -> Result<Vec<u8>> {
    let inputs = Inputs { inputs: inputs.slices() };
    reference_cell(terms.kernel_id, terms.params(), &inputs, leaf, cell)
        .map_err(|error| WorkerError::Backend { why: error.to_string(), broken: false })
}

/// Bytes of a cell inside its leaf.
pub(crate) fn cell_of<'a>(geometry: &Geometry, leaf: u64, cell: u32, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let width = usize::try_from(geometry.leaf_span(leaf)?.cell_bytes).ok()?;
    let from = usize::try_from(cell).ok()?.checked_mul(width)?;
    bytes.get(from..from.checked_add(width)?)
}

/// Whether a cell of a result is what the reference computes.
pub(crate) fn cell_is_right(
    terms: &JobTerms,
    inputs: &InputTrees,
    result: &ShardTree,
    leaf: u64,
    cell: u32,
) -> Result<bool> {
    let geometry = geometry(terms);
    let ours = result.leaf(leaf).and_then(|bytes| cell_of(&geometry, leaf, cell, bytes));
    Ok(ours == Some(reference(terms, inputs, leaf, cell)?.as_slice()))
}

/// Computes the first, the last and some random cells again by the reference.
///
/// # Errors
/// [`WorkerError::SelfCheck`] naming the first that differs.
fn self_check(terms: &JobTerms, inputs: &InputTrees, result: &ShardTree, index: u32) -> Result<()> {
    let range = terms.shard(index).ok_or_else(|| WorkerError::Internal("no such shard".to_owned()))?;
    let cells = range.cells().map_err(|error| WorkerError::Internal(error.to_string()))?;
    let last = cells.saturating_sub(1);
    let mut random = rand::rng();
    let numbers = [0, last].into_iter().chain((0..SELF_CHECK_CELLS).map(|_| random.random_range(0..=last)));
    for number in numbers {
        let place = range.place(number).map_err(|error| WorkerError::Internal(error.to_string()))?;
        if !cell_is_right(terms, inputs, result, place.leaf, place.cell)? {
            return Err(WorkerError::SelfCheck { leaf: place.leaf, cell: place.cell });
        }
    }
    Ok(())
}

/// A small known job on the backend: it must equal the reference bit for bit.
///
/// # Errors
/// [`WorkerError::Backend`], broken.
pub(crate) fn self_test(backend: &dyn Backend) -> Result<()> {
    let broken = |why: String| WorkerError::Backend { why, broken: true };
    let mut params = Vec::new();
    for value in [48u32, 32, 64] {
        params.extend_from_slice(&value.to_le_bytes());
    }
    // The plane from -2.25 and -1 in steps of 1/16, in Q4.28.
    for value in [-603_979_776i64, -268_435_456, 16_777_216] {
        params.extend_from_slice(&value.to_le_bytes());
    }
    let told = |error: ExecError| broken(format!("self-test: {error}"));
    let leaves = assay_kernels::registry::geometry(EscapeTime::ID, &params)
        .ok()
        .and_then(|geometry| geometry.leaves())
        .ok_or_else(|| broken("self-test: its job is not one".to_owned()))?;
    let inputs = Inputs::default();
    let ours = catch_unwind(AssertUnwindSafe(|| backend.run(EscapeTime::ID, &params, &inputs, 0..leaves)))
        .map_err(|_| broken("it panicked in its self-test".to_owned()))?
        .map_err(told)?;
    let mut expected = Vec::new();
    for leaf in 0..leaves {
        expected.extend(reference_leaf(EscapeTime::ID, &params, &inputs, leaf).map_err(told)?);
    }
    if ours == expected {
        Ok(())
    } else {
        Err(broken("it failed its self-test: other bytes than the reference's".to_owned()))
    }
}

impl Context {
    /// Computes a shard's result, checks it and puts it on disk under the root that it returns.
    pub async fn compute(self: &Arc<Self>, job: &Arc<JobContext>, shard: ShardRef) -> Result<[u8; 32]> {
        let inputs = job.inputs(&self.fetcher, Some(&self.store)).await?;
        let one_at_a_time = self.computing.acquire().await.map_err(|error| WorkerError::Internal(error.to_string()))?;
        let (context, job) = (self.clone(), job.clone());
        let (result, milliseconds) = blocking(&self.tasks, move || {
            let terms = &job.job.terms;
            let range = terms.shard(shard.index).ok_or_else(|| WorkerError::Internal("no such shard".to_owned()))?;
            let end = range.first_leaf.saturating_add(range.leaves);
            let started = Instant::now();
            let bytes = run(context.backend.as_ref(), terms, &inputs, range.first_leaf..end)?;
            let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let result = ShardTree::new(terms, shard.index, &shard.shard, &context.provider, bytes)
                .map_err(|error| WorkerError::Backend { why: error.to_string(), broken: true })?;
            if context.config.self_check {
                self_check(terms, &inputs, &result, shard.index)?;
            }
            context.store.put_result(&shard.shard, result.bytes(), result.hashes())?;
            Ok((result, milliseconds))
        })
        .await?;
        drop(one_at_a_time);
        let root = result.root();
        self.journal.set_root(&shard.shard, &root)?;
        let bytes = u64::try_from(result.bytes().len()).unwrap_or(u64::MAX);
        self.tell(shard, None, What::Computed { bytes, milliseconds });
        Ok(root)
    }

    /// The result on disk under its tree; None where there is none, or where the disk has other bytes than `root`.
    pub async fn result(
        self: &Arc<Self>,
        job: &Arc<JobContext>,
        shard: ShardRef,
        root: [u8; 32],
    ) -> Result<Option<ShardTree>> {
        let (context, job) = (self.clone(), job.clone());
        blocking(&self.tasks, move || {
            let Some(bytes) = context.store.result(&shard.shard)? else { return Ok(None) };
            let tree = tree(&job.job.terms, shard.index, &shard.shard, &context.provider, bytes);
            Ok(tree.filter(|tree| tree.root() == root))
        })
        .await
    }
}

/// The tree over a result; None when its length is not the shard's.
pub(crate) fn tree(
    terms: &JobTerms,
    index: u32,
    shard: &Pubkey,
    provider: &Pubkey,
    bytes: Vec<u8>,
) -> Option<ShardTree> {
    ShardTree::new(terms, index, shard, provider, bytes).ok()
}
