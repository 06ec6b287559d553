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
    abi::{Geometry, SOURCE_LEAVES},
    executor::{self, Backend, ExecError, Inputs, Leaves, reference_cell_after},
    registry::{self, AnyKernel},
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
    failing::{failure, verified},
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
        Ok(Err(error)) => Err(failure(error)),
        Err(_) => Err(WorkerError::Backend { broken: true, why: "it panicked".to_owned() }),
    }
}

/// One cell by the reference, from the earlier leaves of `result` that it reads, right or wrong: what the judge would make
/// of it.
pub(crate) fn reference(
    terms: &JobTerms,
    inputs: &InputTrees,
    result: &ShardTree,
    leaf: u64,
    cell: u32,
) -> Result<Vec<u8>> {
    let failed = |error: ExecError| WorkerError::Backend { why: error.to_string(), broken: false };
    let mut earlier = Leaves::new();
    for leaf in leaves_read(terms, leaf, cell)? {
        let bytes = result.leaf(leaf).ok_or_else(|| WorkerError::Internal("a leaf of another shard".to_owned()))?;
        earlier.insert(leaf, bytes.to_vec());
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
    result: &ShardTree,
    leaf: u64,
    cell: u32,
) -> Result<bool> {
    let geometry = geometry(terms);
    let ours = result.leaf(leaf).and_then(|bytes| cell_of(&geometry, leaf, cell, bytes));
    Ok(ours == Some(reference(terms, inputs, result, leaf, cell)?.as_slice()))
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

/// Leaves that have to be computed in one go, as they read each other: the backend would compute them again for every run
/// that begins between them. 1 where no leaf reads another.
fn inseparable(terms: &JobTerms) -> u64 {
    if terms.classes().iter().all(|class| class.stage == 0) {
        return 1;
    }
    // Shards are cut between them, so they begin with the shard's first leaf.
    registry::geometry(terms.kernel_id, terms.params()).map_or(u64::MAX, |geometry| geometry.shard_align.max(1))
}

/// Computes leaves run by run, with a look at the limits between runs. A run takes about [`RUN`] as the speeds say, and
/// its length follows what it takes in truth; it ends only where leaves that read each other do. Blocking.
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
    let together = inseparable(terms);
    let mut at = leaves.start;
    let started = Instant::now();
    while at < leaves.end {
        limits.check(started, Instant::now(), at.saturating_sub(leaves.start), all)?;
        let whole = length.checked_next_multiple_of(together).unwrap_or(u64::MAX);
        let to = at.saturating_add(whole).min(leaves.end);
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
                let (started, backend) = (Instant::now(), context.backend.as_ref());
                let compute = || run_by_run(backend, &context.speeds, terms, &inputs, leaves, &limits);
                let bytes = verified(backend, compute)?;
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
pub(crate) mod tests {
    use super::*;
    use assay_client::answer::InputData;
    use assay_kernels::{escape_time, executor::Cpu, handling::Trial};
    use assay_settlement::{CostClass, InputTree};
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

    fn image() -> JobTerms {
        let image = escape_time::Params { width: 64, height: 64, max_iter: 20, x0: 0, y0: 0, step: 1 << 20 };
        terms_of(AnyKernel::EscapeTime, &Trial::new(image.to_bytes(), [])).0
    }

    fn compute(stop_in: usize) -> (Result<Vec<u8>>, Vec<Range<u64>>) {
        compute_of(&image(), &InputTrees::default(), stop_in)
    }

    fn compute_of(terms: &JobTerms, inputs: &InputTrees, stop_in: usize) -> (Result<Vec<u8>>, Vec<Range<u64>>) {
        let recorder = Recorder { runs: Mutex::default(), stop: CancellationToken::new(), stop_in };
        let limits = Limits { stop: recorder.stop.clone(), until: None };
        // No speed is known: it begins with one leaf.
        let bytes = run_by_run(&recorder, &Speeds::default(), terms, inputs, 0..terms.leaves, &limits);
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
    fn leaves_that_read_each_other_are_computed_in_one_go() {
        let mut staged = 0;
        for kernel in AnyKernel::ALL {
            for job in kernel.handling().checks() {
                let geometry = kernel.geometry(&job.params).unwrap();
                if geometry.used_classes().iter().all(|class| class.stage == 0) {
                    continue;
                }
                staged += 1;
                let (terms, inputs) = terms_of(*kernel, &job);
                let (bytes, runs) = compute_of(&terms, &inputs, 0);
                let whole = Cpu.run(kernel.id(), &job.params, &job.inputs(), 0..terms.leaves).unwrap();
                assert_eq!(bytes.unwrap(), whole);
                assert!(runs.len() > 1, "there is something to separate");
                assert!(runs.iter().all(|run| run.start % geometry.shard_align == 0));
            }
        }
        assert!(staged > 0);
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
