//! Computing a shard: on the backend, then some cells again by the reference, then to disk. Nothing that was not
//! checked is ever committed.

use std::{
    io::ErrorKind,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use assay_client::{
    ClientError,
    answer::{InputTrees, ShardTree, geometry},
    result::{CommittedResult, Layout, ResultFile},
};
use assay_kernels::{
    abi::{Geometry, SOURCE_LEAVES},
    executor::{self, Backend, Cpu, ExecError, Inputs, Leaves, reference_cell_after},
    registry::{self, AnyKernel},
};
use assay_settlement::JobTerms;
use rand::Rng;
use solana_pubkey::Pubkey;

use crate::{
    config::SELF_CHECK_CELLS,
    context::{Context, JobContext, lock},
    error::{Result, WorkerError},
    events::{ShardRef, What},
    failing::verified,
    fetch::blocking,
    journal::Obligation,
    runs::{Limits, run_by_run},
    troubles::Place,
};

/// One cell by the reference, from the earlier leaves of `result` that it reads, right or wrong: what the judge would make
/// of it. The leaves are those under its root, not what has become of them on a disk.
pub(crate) fn reference(
    terms: &JobTerms,
    inputs: &InputTrees,
    result: &dyn CommittedResult,
    leaf: u64,
    cell: u32,
) -> Result<Vec<u8>> {
    let failed = |error: ExecError| WorkerError::Backend { why: error.to_string(), broken: false };
    let mut earlier = Leaves::new();
    for leaf in leaves_read(terms, leaf, cell)? {
        earlier.insert(leaf, result.open(leaf)?.0);
    }
    let inputs = Inputs { inputs: inputs.slices() };
    reference_cell_after(terms.kernel_id, terms.params(), &inputs, &earlier, leaf, cell).map_err(failed)
}

/// The earlier leaves that a cell reads.
pub(crate) fn leaves_read(terms: &JobTerms, leaf: u64, cell: u32) -> Result<Vec<u64>> {
    let mut leaves = Vec::new();
    registry::reads(terms.kernel_id, terms.params(), leaf, cell, &mut |read| {
        if read.source == SOURCE_LEAVES {
            leaves.extend(read.start..read.start.saturating_add(read.count));
        }
    })
    .map_err(|error| WorkerError::Internal(error.text().to_owned()))?;
    Ok(leaves)
}

/// Bytes of a cell inside its leaf.
pub(crate) fn cell_of<'a>(geometry: &Geometry, leaf: u64, cell: u32, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let width = usize::try_from(geometry.leaf_span(leaf)?.cell_bytes).ok()?;
    let from = usize::try_from(cell).ok()?.checked_mul(width)?;
    bytes.get(from..from.checked_add(width)?)
}

/// Whether a cell of a result is what the reference computes from what lies before it in that result.
pub(crate) fn cell_is_right(
    terms: &JobTerms,
    inputs: &InputTrees,
    result: &dyn CommittedResult,
    leaf: u64,
    cell: u32,
) -> Result<bool> {
    let geometry = geometry(terms);
    let (bytes, _) = result.open(leaf)?;
    let ours = cell_of(&geometry, leaf, cell, &bytes);
    Ok(ours == Some(reference(terms, inputs, result, leaf, cell)?.as_slice()))
}

/// Computes the first, the last and some random cells again by the reference. Their leaves are opened for that, so the nodes
/// over them, which a device may have made, are those of its bytes.
///
/// # Errors
/// [`WorkerError::SelfCheck`] naming the first that differs, [`WorkerError::Backend`] for a wrong node.
fn self_check(terms: &JobTerms, inputs: &InputTrees, result: &dyn CommittedResult, index: u32) -> Result<()> {
    let range = terms.shard(index).ok_or_else(|| WorkerError::Internal("no such shard".to_owned()))?;
    let cells = range.cells().map_err(|error| WorkerError::Internal(error.to_string()))?;
    let last = cells.saturating_sub(1);
    let mut random = rand::rng();
    let numbers = [0, last].into_iter().chain((0..SELF_CHECK_CELLS).map(|_| random.random_range(0..=last)));
    for number in numbers {
        let place = range.place(number).map_err(|error| WorkerError::Internal(error.to_string()))?;
        let right = cell_is_right(terms, inputs, result, place.leaf, place.cell).map_err(|error| match error {
            WorkerError::Chain(ClientError::ResultChanged) => {
                let why =
                    format!("the nodes over leaf {}, or one that it reads, are not those of its bytes", place.leaf);
                WorkerError::Backend { why, broken: true }
            }
            error => error,
        });
        if !right? {
            return Err(WorkerError::SelfCheck { leaf: place.leaf, cell: place.cell });
        }
    }
    Ok(())
}

/// Small jobs of every kernel on the backend: they must equal the reference bit for bit.
///
/// # Errors
/// [`WorkerError::Backend`], broken.
pub(crate) fn self_test(backend: &dyn Backend) -> Result<()> {
    let broken = |kernel: &AnyKernel, why: &str| WorkerError::Backend {
        why: format!("self-test of {}: {why}", kernel.name()),
        broken: true,
    };
    for kernel in AnyKernel::ALL {
        catch_unwind(AssertUnwindSafe(|| executor::check(backend, *kernel)))
            .map_err(|_| broken(kernel, "it panicked"))?
            .map_err(|why| broken(kernel, &why))?;
    }
    Ok(())
}

impl Context {
    /// Computes a shard's result, checks it and puts it on disk under the root that it returns. `until`: when it must be
    /// there; `committed`: its root is on the chain already. Once the last leaf is computed the result is kept, also when the worker stops meanwhile.
    pub async fn compute(
        self: &Arc<Self>,
        job: &Arc<JobContext>,
        shard: ShardRef,
        until: Option<Instant>,
        committed: bool,
    ) -> Result<[u8; 32]> {
        let inputs = job.inputs(&self.fetcher, Some(&self.store)).await?;
        // Answers wait for a committed shard whose bytes are lost: it is computed beside whatever else is.
        let one_at_a_time = match committed {
            true => None,
            false => Some(self.computing.acquire().await.map_err(|error| WorkerError::Internal(error.to_string()))?),
        };
        let (context, job) = (self.clone(), job.clone());
        let limits = Limits { stop: self.stop.clone(), until };
        let (result, milliseconds) = blocking(&self.tasks, move || {
            let terms = &job.job.terms;
            let layout = Layout::new(terms, shard.index, &shard.shard, &context.provider)?;
            let compute = || {
                let started = Instant::now();
                let mut beside = context.store.new_result(&shard.shard)?;
                // A device that is not to be trusted any more keeps nothing owed from being proven.
                let backend: &dyn Backend = match context.troubles.has(Place::Backend) {
                    true => &Cpu,
                    false => context.backend.as_ref(),
                };
                let speeds = &context.speeds;
                let crown =
                    verified(backend, || run_by_run(backend, speeds, terms, &inputs, &layout, &limits, &mut beside))?;
                let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                let result = ResultFile::with_crown(layout.clone(), beside.file()?, crown)
                    .map_err(|error| WorkerError::Backend { why: error.to_string(), broken: true })?;
                if context.config.self_check {
                    self_check(terms, &inputs, &result, shard.index)?;
                }
                beside.keep(&layout)?;
                lock(&context.roots).insert(shard.shard, result.root());
                lock(&context.given_up).remove(&shard.shard);
                context.noted(context.journal.set_root(&shard.shard, &result.root()));
                Ok((result, milliseconds))
            };
            // Written down first: what ends the process, by its memory for one, is not tried for ever.
            context.noted(context.journal.begin_attempt(&shard.shard));
            let ended = compute();
            context.noted(context.journal.end_attempt(&shard.shard));
            // Where there is no room for a second one, a result that was given up makes room for the next attempt.
            if let Err(WorkerError::Io { source, .. }) = &ended
                && matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
                && lock(&context.given_up).contains(&shard.shard)
            {
                context.store.remove_result(&shard.shard)?;
            }
            ended
        })
        .await?;
        drop(one_at_a_time);
        let bytes = result.layout().bytes();
        self.tell(shard, None, What::Computed { bytes, milliseconds });
        Ok(result.root())
    }

    /// The root of the result on disk, as it was written down or, where that failed, remembered.
    pub fn root_of(&self, row: &Obligation) -> Option<[u8; 32]> {
        row.root.or_else(|| lock(&self.roots).get(&row.shard.shard).copied())
    }

    /// The result on disk is not there any more, or not what it was. The file stays until another takes its place: where
    /// computing it again fails, what of it is right may still be had.
    pub fn forget_result(&self, shard: &Pubkey) {
        lock(&self.given_up).insert(*shard);
        lock(&self.roots).remove(shard);
        lock(&self.results).remove(shard);
        self.noted(self.journal.forget_result(shard));
    }

    /// The result on disk under its tree; None where there is none, or where the disk has other bytes than `root`. It is
    /// read once from its beginning to its end.
    pub async fn result(
        self: &Arc<Self>,
        job: &Arc<JobContext>,
        shard: ShardRef,
        root: [u8; 32],
    ) -> Result<Option<ResultFile>> {
        let (context, job) = (self.clone(), job.clone());
        blocking(&self.tasks, move || {
            let Some(file) = context.store.result(&shard.shard)? else { return Ok(None) };
            let layout = Layout::new(&job.job.terms, shard.index, &shard.shard, &context.provider)?;
            let length = file.metadata().map_err(WorkerError::io("looking at a result"))?.len();
            if length != layout.bytes() {
                return Ok(None);
            }
            match ResultFile::read(layout, file) {
                Ok(result) => Ok(Some(result).filter(|result| result.root() == root)),
                // What can't be read proves nothing; computed again, it lies elsewhere on the disk.
                Err(error @ ClientError::ResultUnreadable { .. }) => {
                    tracing::error!(?shard, %error, "the result on disk is given up");
                    Ok(None)
                }
                Err(error) => Err(error.into()),
            }
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

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "test code")]
pub(crate) mod tests {
    use super::*;
    use assay_client::answer::InputData;
    use assay_kernels::{
        handling::Trial,
        merkle::{CrownBuilder, KEPT_LEVEL},
    };
    use assay_settlement::{CostClass, InputTree};
    use bytemuck::Zeroable;
    use std::ops::Range;

    /// The terms of a job in one shard, and its inputs.
    pub(crate) fn terms_of(kernel: AnyKernel, job: &Trial) -> (JobTerms, InputTrees) {
        let geometry = kernel.geometry(&job.params).unwrap();
        let mut terms = JobTerms::zeroed();
        (terms.kernel_id, terms.params_len) = (kernel.id(), u16::try_from(job.params.len()).unwrap());
        terms.params[..job.params.len()].copy_from_slice(&job.params);
        (terms.classes, terms.inputs) = (u8::try_from(geometry.classes).unwrap(), geometry.inputs);
        terms.class = geometry.class.map(bytemuck::cast::<_, CostClass>);
        terms.leaves = geometry.leaves().unwrap();
        (terms.shard_leaves, terms.shards) = (terms.leaves, 1);
        let used = job.inputs.iter().filter(|input| !input.is_empty());
        let inputs: Vec<InputData> = used.map(|input| InputData::new(input.clone()).unwrap()).collect();
        for (to, from) in terms.input.iter_mut().zip(&inputs) {
            *to = InputTree { root: from.root(), bytes: from.bytes().len() as u64 };
        }
        let inputs = InputTrees::new(&terms, inputs).unwrap();
        (terms, inputs)
    }

    /// A cell is judged by what lies before it in the same result: a later one may be right for a wrong earlier one.
    #[test]
    fn cells_are_right_for_what_was_committed_before_them() {
        let kernel = AnyKernel::ALL.iter().find(|kernel| kernel.describe().stages > 1).unwrap();
        let job = kernel.handling().checks().remove(0);
        let (terms, inputs) = terms_of(*kernel, &job);
        let geometry = geometry(&terms);
        let mut bytes = Cpu.run(kernel.id(), &job.params, &job.inputs(), 0..terms.leaves).unwrap();
        let later = (0..terms.leaves).find(|leaf| !leaves_read(&terms, *leaf, 0).unwrap().is_empty()).unwrap();
        let earlier = leaves_read(&terms, later, 0).unwrap()[0];
        let at = |leaf: u64| usize::try_from(geometry.bytes_before(leaf).unwrap()).unwrap();
        let tree = |bytes: &[u8]| {
            let key = Pubkey::new_from_array([7; 32]);
            ShardTree::new(&terms, 0, &key, &key, bytes.to_vec()).unwrap()
        };
        let is_right = |bytes: &[u8], leaf| cell_is_right(&terms, &inputs, &tree(bytes), leaf, 0).unwrap();
        assert!(is_right(&bytes, earlier) && is_right(&bytes, later));
        // Poison every sum of the leaf, then make the later cell what it is for that.
        let poisoned = geometry.leaf_span(earlier).unwrap();
        for sum in 0..usize::try_from(poisoned.bytes).unwrap() / 4 {
            bytes[at(earlier) + sum * 4..][..4].copy_from_slice(&0x4000_0000i32.to_le_bytes());
        }
        assert!(!is_right(&bytes, earlier) && !is_right(&bytes, later));
        let cell = reference(&terms, &inputs, &tree(&bytes), later, 0).unwrap();
        bytes[at(later)..][..cell.len()].copy_from_slice(&cell);
        assert!(!is_right(&bytes, earlier) && is_right(&bytes, later));
    }

    /// Right bytes under wrong nodes are not committed.
    #[test]
    fn the_self_check_is_of_the_nodes_too() {
        let job = AnyKernel::EscapeTime.handling().checks().remove(0);
        let (terms, inputs) = terms_of(AnyKernel::EscapeTime, &job);
        let bytes = Cpu.run(terms.kernel_id, terms.params(), &Inputs::default(), 0..terms.leaves).unwrap();
        let key = Pubkey::new_from_array([7; 32]);
        let layout = Layout::new(&terms, 0, &key, &key).unwrap();
        let under = |wrong: u8| {
            let nodes = layout.commit(KEPT_LEVEL).nodes(&geometry(&terms), layout.leaves(), &bytes).unwrap();
            let nodes = nodes.into_iter().map(|node| node.map(|byte| byte ^ wrong)).collect();
            let mut tree = CrownBuilder::new(KEPT_LEVEL, terms.leaves).unwrap();
            tree.push(KEPT_LEVEL, terms.leaves, nodes).unwrap();
            ShardTree::with_crown(layout.clone(), bytes.clone(), tree.finish()).unwrap()
        };
        self_check(&terms, &inputs, &under(0), 0).unwrap();
        let error = self_check(&terms, &inputs, &under(1), 0).unwrap_err();
        assert!(matches!(error, WorkerError::Backend { broken: true, .. }), "{error}");
    }

    /// A backend that gets a kernel wrong does not work at all.
    #[test]
    fn the_self_test_is_of_every_kernel() {
        struct Wrong(u16);
        impl Backend for Wrong {
            fn name(&self) -> String {
                "wrong".to_owned()
            }

            fn run(&self, kernel: u16, params: &[u8], inputs: &Inputs, of: Range<u64>) -> Result<Vec<u8>, ExecError> {
                let mut bytes = Cpu.run(kernel, params, inputs, of)?;
                if kernel == self.0 {
                    bytes[0] ^= 1;
                }
                Ok(bytes)
            }
        }
        self_test(&Cpu).unwrap();
        for kernel in AnyKernel::ALL {
            let error = self_test(&Wrong(kernel.id())).unwrap_err();
            assert!(error.to_string().contains(kernel.name()), "{error}");
        }
    }
}
