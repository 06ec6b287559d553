//! Computing a shard: on the backend, then some cells again by the reference, then to disk. Nothing that was not
//! checked is ever committed.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
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
use tokio_util::sync::CancellationToken;

use crate::{
    config::SELF_CHECK_CELLS,
    context::{Context, JobContext, lock},
    effort::{Speeds, bytes_of, leaves_of},
    error::{Result, WorkerError},
    events::{ShardRef, What},
    fetch::blocking,
    journal::Obligation,
};

/// What one run of a computation should take: short enough to stop in between, long enough to keep a device busy.
const RUN: Duration = Duration::from_secs(2);
const TOO_SHORT: Duration = Duration::from_secs(1);
const TOO_LONG: Duration = Duration::from_secs(4);

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

/// How long a computation may go on.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Ends it between two runs.
    pub stop: CancellationToken,
    /// When the result must be there; None where a late one counts, too.
    pub until: Option<Instant>,
}

impl Limits {
    /// Whether to go on after `done` of `all` leaves took so long.
    ///
    /// # Errors
    /// [`WorkerError::Stopped`], or [`WorkerError::TooSlow`] when at this pace the result comes too late.
    fn check(&self, started: Instant, now: Instant, done: u64, all: u64) -> Result<()> {
        if self.stop.is_cancelled() {
            return Err(WorkerError::Stopped);
        }
        let Some(until) = self.until else { return Ok(()) };
        let took = now.saturating_duration_since(started).as_millis();
        let left = until.saturating_duration_since(now).as_millis();
        let rest = u128::from(all.saturating_sub(done));
        let needed = took.saturating_mul(rest).checked_div(u128::from(done)).unwrap_or(0);
        if needed > left {
            Err(WorkerError::TooSlow { seconds: (needed / 1_000).try_into().unwrap_or(u64::MAX) })
        } else {
            Ok(())
        }
    }
}

/// Computes leaves run by run, with a look at the limits between runs. A run takes about [`RUN`] as the speeds say, and
/// its length follows what it takes in truth. Blocking.
fn run_by_run(
    backend: &dyn Backend,
    speeds: &Speeds,
    terms: &JobTerms,
    inputs: &InputTrees,
    leaves: Range<u64>,
    limits: &Limits,
) -> Result<Vec<u8>> {
    let all = leaves.end.saturating_sub(leaves.start);
    let mut length = speeds.leaves_in(terms, &leaves, RUN);
    let mut bytes = Vec::new();
    // All at once: growing would take twice as much for moments.
    let total = bytes_of(terms, leaves.clone()).and_then(|total| usize::try_from(total).ok()).unwrap_or(usize::MAX);
    if bytes.try_reserve_exact(total).is_err() {
        let why = format!("not enough memory for {total} bytes of result");
        return Err(WorkerError::Backend { why, broken: false });
    }
    let mut at = leaves.start;
    let started = Instant::now();
    while at < leaves.end {
        limits.check(started, Instant::now(), at.saturating_sub(leaves.start), all)?;
        let to = at.saturating_add(length).min(leaves.end);
        let began = Instant::now();
        let piece = run(backend, terms, inputs, at..to)?;
        bytes.extend_from_slice(&piece);
        let took = began.elapsed();
        if took < TOO_SHORT {
            length = length.saturating_mul(2);
        } else if took > TOO_LONG {
            length = (length / 2).max(1);
        }
        at = to;
    }
    Ok(bytes)
}

impl Context {
    /// Computes a shard's result, checks it and puts it on disk under the root that it returns. `until`: when it must be
    /// there. Once the last leaf is computed the result is kept, also when the worker stops meanwhile.
    pub async fn compute(
        self: &Arc<Self>,
        job: &Arc<JobContext>,
        shard: ShardRef,
        until: Option<Instant>,
    ) -> Result<[u8; 32]> {
        let inputs = job.inputs(&self.fetcher, Some(&self.store)).await?;
        let one_at_a_time = self.computing.acquire().await.map_err(|error| WorkerError::Internal(error.to_string()))?;
        let (context, job) = (self.clone(), job.clone());
        let limits = Limits { stop: self.stop.clone(), until };
        let (result, milliseconds) = blocking(&self.tasks, move || {
            let terms = &job.job.terms;
            let leaves =
                leaves_of(terms, shard.index).ok_or_else(|| WorkerError::Internal("no such shard".to_owned()))?;
            let compute = || {
                let started = Instant::now();
                let bytes = run_by_run(context.backend.as_ref(), &context.speeds, terms, &inputs, leaves, &limits)?;
                let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                let result = ShardTree::new(terms, shard.index, &shard.shard, &context.provider, bytes)
                    .map_err(|error| WorkerError::Backend { why: error.to_string(), broken: true })?;
                if context.config.self_check {
                    self_check(terms, &inputs, &result, shard.index)?;
                }
                context.store.put_result(&shard.shard, result.bytes(), result.hashes())?;
                lock(&context.roots).insert(shard.shard, result.root());
                context.noted(context.journal.set_root(&shard.shard, &result.root()));
                Ok((result, milliseconds))
            };
            // Written down first: what ends the process, by its memory for one, is not tried for ever.
            context.noted(context.journal.begin_attempt(&shard.shard));
            let ended = compute();
            context.noted(context.journal.end_attempt(&shard.shard));
            ended
        })
        .await?;
        drop(one_at_a_time);
        let bytes = u64::try_from(result.bytes().len()).unwrap_or(u64::MAX);
        self.tell(shard, None, What::Computed { bytes, milliseconds });
        Ok(result.root())
    }

    /// The root of the result on disk, as it was written down or, where that failed, remembered.
    pub fn root_of(&self, row: &Obligation) -> Option<[u8; 32]> {
        row.root.or_else(|| lock(&self.roots).get(&row.shard.shard).copied())
    }

    /// The result on disk is not there any more, or not what it was.
    pub fn forget_result(&self, shard: &Pubkey) {
        lock(&self.roots).remove(shard);
        lock(&self.results).remove(shard);
        self.noted(self.journal.forget_result(shard));
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

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "test code")]
mod tests {
    use super::*;
    use assay_kernels::{escape_time, executor::Cpu, registry};
    use assay_settlement::CostClass;
    use bytemuck::Zeroable;
    use std::sync::Mutex;

    /// Remembers its runs, and stops the worker in one of them.
    struct Recorder {
        runs: Mutex<Vec<Range<u64>>>,
        stop: CancellationToken,
        stop_in: usize,
    }

    impl Backend for Recorder {
        fn name(&self) -> String {
            "recorder".to_owned()
        }

        fn run(&self, kernel: u16, params: &[u8], inputs: &Inputs, leaves: Range<u64>) -> Result<Vec<u8>, ExecError> {
            let mut runs = lock(&self.runs);
            runs.push(leaves.clone());
            if runs.len() == self.stop_in {
                self.stop.cancel();
            }
            Cpu.run(kernel, params, inputs, leaves)
        }
    }

    fn image() -> JobTerms {
        let params =
            escape_time::Params { width: 64, height: 64, max_iter: 20, x0: 0, y0: 0, step: 1 << 20 }.to_bytes();
        let geometry = registry::geometry(EscapeTime::ID, &params).unwrap();
        let mut terms = JobTerms::zeroed();
        (terms.kernel_id, terms.params_len, terms.classes) = (EscapeTime::ID, u16::try_from(params.len()).unwrap(), 1);
        terms.params[..params.len()].copy_from_slice(&params);
        terms.class[0] = bytemuck::cast::<_, CostClass>(geometry.class[0]);
        terms.leaves = geometry.leaves().unwrap();
        terms
    }

    fn compute(stop_in: usize) -> (Result<Vec<u8>>, Vec<Range<u64>>) {
        let terms = image();
        let recorder = Recorder { runs: Mutex::default(), stop: CancellationToken::new(), stop_in };
        let limits = Limits { stop: recorder.stop.clone(), until: None };
        // No speed is known: it begins with one leaf.
        let (speeds, inputs) = (Speeds::default(), InputTrees::default());
        let bytes = run_by_run(&recorder, &speeds, &terms, &inputs, 0..terms.leaves, &limits);
        (bytes, recorder.runs.into_inner().unwrap())
    }

    #[test]
    fn runs_make_up_the_whole_and_stop_between_leaves() {
        let terms = image();
        let (bytes, runs) = compute(0);
        let whole = Cpu.run(terms.kernel_id, terms.params(), &Inputs::default(), 0..terms.leaves).unwrap();
        assert_eq!(bytes.unwrap(), whole);
        assert!(runs.len() > 1 && runs[0] == (0..1));
        assert!(runs.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!(runs.last().unwrap().end, terms.leaves);

        let (stopped, runs) = compute(2);
        assert_eq!((stopped.unwrap_err().code(), runs.len()), ("stopped", 2));
        // Stopped in its last run it is complete.
        let (bytes, _) = compute(compute(0).1.len());
        assert_eq!(bytes.unwrap(), whole);
    }

    #[test]
    fn what_comes_too_late_is_given_up() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let limits = Limits { stop: CancellationToken::new(), until: Some(at(100)) };
        assert!(limits.check(start, at(0), 0, 10).is_ok(), "nothing is known yet");
        assert!(limits.check(start, at(40), 5, 10).is_ok());
        assert!(limits.check(start, at(50), 5, 10).is_ok());
        assert_eq!(limits.check(start, at(51), 5, 10).unwrap_err().code(), "too-slow");
        assert_eq!(limits.check(start, at(200), 9, 10).unwrap_err().code(), "too-slow");
        assert!(Limits { until: None, ..limits.clone() }.check(start, at(200), 1, 10).is_ok());
        limits.stop.cancel();
        assert_eq!(limits.check(start, at(1), 5, 10).unwrap_err().code(), "stopped");
    }
}
