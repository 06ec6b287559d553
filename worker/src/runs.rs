//! A shard's leaves in runs, each straight from the backend to its file: short enough to stop in between and to have room
//! in memory, long enough to keep a device busy.

use std::{
    io::Write,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{SyncSender, sync_channel},
    time::{Duration, Instant},
};

use assay_client::{answer::InputTrees, result::Layout};
use assay_kernels::{
    executor::{Backend, Commit, ExecError, Inputs, Piece},
    merkle::{Crown, CrownBuilder, KEPT_LEVEL},
    registry,
};
use assay_settlement::JobTerms;
use tokio_util::sync::CancellationToken;

use crate::{
    effort::Speeds,
    error::{Result, WorkerError},
    failing::failure,
};

/// What one run of a computation should take: short enough to stop in between, long enough to keep a device busy.
const RUN: Duration = Duration::from_secs(2);
const TOO_SHORT: Duration = Duration::from_secs(1);
const TOO_LONG: Duration = Duration::from_secs(4);
/// Most bytes of a run's leaves, however fast they come; more only where leaves that read each other are more.
///
/// With its hashes a run takes at most this and 48 bytes a leaf, the one before it, which is being written, as much again
/// without hashes, and the shard's tree a quarter of a byte a leaf: that is all that computing a result keeps in memory,
/// whatever its length.
const RUN_BYTES: u64 = 256 << 20;

/// Runs a backend on leaves of a job. A backend that panics counts as broken.
fn guarded<T>(work: impl FnOnce() -> core::result::Result<T, ExecError>) -> Result<T> {
    // What a panic left of the backend is not used again: the caller marks it as broken.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(error)) => Err(failure(error)),
        Err(_) => Err(WorkerError::Backend { broken: true, why: "it panicked".to_owned() }),
    }
}

/// The bytes of leaves, by a backend.
pub(crate) fn run(backend: &dyn Backend, terms: &JobTerms, inputs: &InputTrees, leaves: Range<u64>) -> Result<Vec<u8>> {
    let inputs = Inputs { inputs: inputs.slices() };
    guarded(|| backend.run(terms.kernel_id, terms.params(), &inputs, leaves))
}

/// The bytes of leaves and the nodes over them, by a backend.
fn run_hashed(
    backend: &dyn Backend,
    terms: &JobTerms,
    inputs: &InputTrees,
    leaves: Range<u64>,
    commit: &Commit,
) -> Result<Piece> {
    let inputs = Inputs { inputs: inputs.slices() };
    guarded(|| backend.run_hashed(terms.kernel_id, terms.params(), &inputs, leaves, commit))
}

/// How long a computation may go on.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Ends it between two runs.
    pub stop: CancellationToken,
    /// When the result must be there; None where a late one counts, too.
    pub until: Option<Instant>,
}

/// How fast a computation goes. Its first run shows nothing: it may wait for a device that starts, and brings it the inputs.
#[derive(Default)]
struct Pace {
    /// When the first run ended, and how many leaves it had.
    since: Option<(Instant, u64)>,
}

impl Pace {
    /// Whether to go on with `done` of `all` leaves computed. Asked before every run.
    ///
    /// # Errors
    /// [`WorkerError::Stopped`], or [`WorkerError::TooSlow`] when at this pace the result comes too late.
    fn check(&mut self, limits: &Limits, now: Instant, done: u64, all: u64) -> Result<()> {
        if limits.stop.is_cancelled() {
            return Err(WorkerError::Stopped);
        }
        let (since, before) = self.since.unwrap_or((now, done));
        if done > 0 && self.since.is_none() {
            self.since = Some((now, done));
        }
        let Some(until) = limits.until else { return Ok(()) };
        let took = now.saturating_duration_since(since).as_millis();
        let left = until.saturating_duration_since(now).as_millis();
        let (done, rest) = (u128::from(done.saturating_sub(before)), u128::from(all.saturating_sub(done)));
        let needed = took.saturating_mul(rest).checked_div(done).unwrap_or(0);
        if needed > left || left == 0 {
            Err(WorkerError::TooSlow { seconds: (needed / 1_000).try_into().unwrap_or(u64::MAX) })
        } else {
            Ok(())
        }
    }
}

/// Leaves that have to be computed in one go, as they read each other: the backend would compute them again for every run
/// that begins between them. 1 where no leaf reads another.
fn inseparable(terms: &JobTerms) -> u64 {
    // Shards are cut between them, so they begin with the shard's first leaf.
    registry::geometry(terms.kernel_id, terms.params()).map_or(u64::MAX, |geometry| geometry.shard_align.max(1))
}

/// Where a run ends that begins `done` leaves into the shard and should have about `wanted` leaves: where leaves that read
/// each other do (every `together`), and where a node does that is as high as possible, up to those that are kept.
fn end_of_run(done: u64, wanted: u64, together: u64) -> u64 {
    let target = done.saturating_add(wanted);
    let units = (0..=KEPT_LEVEL).rev().map(|level| together.saturating_mul(1 << level));
    let last = |unit: u64| target.checked_div(unit).unwrap_or(0).saturating_mul(unit);
    units.map(last).find(|end| *end > done).unwrap_or(done.saturating_add(together))
}

/// Computes a shard's leaves run by run into `out`, with a look at the limits between runs, and returns their tree. A run
/// takes about [`RUN`] as the speeds say, and its length follows what it takes in truth; it ends only where leaves that
/// read each other do. A run is written while the next is computed. Blocking.
pub(crate) fn run_by_run(
    backend: &dyn Backend,
    speeds: &Speeds,
    terms: &JobTerms,
    inputs: &InputTrees,
    layout: &Layout,
    limits: &Limits,
    out: &mut (dyn Write + Send),
) -> Result<Crown> {
    std::thread::scope(|scope| {
        // Without a place in between: one run is being written, and one computed.
        let (send, receive) = sync_channel::<Vec<u8>>(0);
        let writer = scope.spawn(move || receive.into_iter().try_for_each(|bytes| out.write_all(&bytes)));
        let made = compute(backend, speeds, terms, inputs, layout, limits, send);
        // What kept it from being written is what ended the computation.
        let written = writer.join().map_err(|_| WorkerError::Internal("writing a result panicked".to_owned()))?;
        written.map_err(WorkerError::io("writing a result"))?;
        made
    })
}

/// The runs one after the other; ends where nobody takes them any more.
fn compute(
    backend: &dyn Backend,
    speeds: &Speeds,
    terms: &JobTerms,
    inputs: &InputTrees,
    layout: &Layout,
    limits: &Limits,
    out: SyncSender<Vec<u8>>,
) -> Result<Crown> {
    let leaves = layout.leaves();
    let all = leaves.end.saturating_sub(leaves.start);
    let mut length = speeds.leaves_in(terms, &leaves, RUN);
    let fit = RUN_BYTES.checked_div(layout.longest_leaf()).unwrap_or(0).max(1);
    let no_memory = || WorkerError::Backend { why: "not enough memory for the shard's tree".to_owned(), broken: false };
    let mut tree = CrownBuilder::new(KEPT_LEVEL, all).ok_or_else(no_memory)?;
    let together = inseparable(terms);
    let mut pace = Pace::default();
    while tree.len() < all {
        let done = tree.len();
        pace.check(limits, Instant::now(), done, all)?;
        let end = end_of_run(done, length.min(fit), together).min(all);
        let count = end.saturating_sub(done);
        let level = tree.level_for(count, end == all);
        let these = leaves.start.saturating_add(done)..leaves.start.saturating_add(end);
        let began = Instant::now();
        let piece = run_hashed(backend, terms, inputs, these.clone(), &layout.commit(level))?;
        let bytes = layout.place(these).map(|place| place.end.saturating_sub(place.start));
        if bytes != Some(piece.bytes.len() as u64) || tree.push(level, count, piece.nodes).is_none() {
            let why = "it gave more or fewer bytes or nodes than the leaves have".to_owned();
            return Err(WorkerError::Backend { why, broken: true });
        }
        let took = began.elapsed();
        out.send(piece.bytes).map_err(|_| WorkerError::Internal("a result is not written any more".to_owned()))?;
        if took < TOO_SHORT {
            length = length.saturating_mul(2);
        } else if took > TOO_LONG {
            length = (length / 2).max(1);
        }
    }
    Ok(tree.finish())
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "test code")]
mod tests {
    use super::*;
    use crate::{context::lock, execute::tests::terms_of};
    use assay_client::result::ShardTree;
    use assay_kernels::{escape_time, executor::Cpu, handling::Trial, registry::AnyKernel};
    use solana_pubkey::Pubkey;
    use std::sync::Mutex;

    const KEY: Pubkey = Pubkey::new_from_array([7; 32]);

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

        fn run(
            &self,
            kernel: u16,
            params: &[u8],
            inputs: &Inputs,
            leaves: Range<u64>,
        ) -> core::result::Result<Vec<u8>, ExecError> {
            let mut runs = lock(&self.runs);
            runs.push(leaves.clone());
            if runs.len() == self.stop_in {
                self.stop.cancel();
            }
            Cpu.run(kernel, params, inputs, leaves)
        }
    }

    fn image() -> JobTerms {
        let image = escape_time::Params { width: 64, height: 64, max_iter: 20, x0: 0, y0: 0, step: 1 << 20 };
        terms_of(AnyKernel::EscapeTime, &Trial::new(image.to_bytes(), [])).0
    }

    fn compute(stop_in: usize) -> (Result<Vec<u8>>, Vec<Range<u64>>) {
        compute_of(&image(), &InputTrees::default(), stop_in)
    }

    /// What is written, once its tree was found to be the one over it, and the runs.
    fn compute_of(terms: &JobTerms, inputs: &InputTrees, stop_in: usize) -> (Result<Vec<u8>>, Vec<Range<u64>>) {
        let recorder = Recorder { runs: Mutex::default(), stop: CancellationToken::new(), stop_in };
        let limits = Limits { stop: recorder.stop.clone(), until: None };
        let layout = Layout::new(terms, 0, &KEY, &KEY).unwrap();
        let mut bytes = Vec::new();
        // No speed is known: it begins with one leaf.
        let speeds = Speeds::default();
        let tree = run_by_run(&recorder, &speeds, terms, inputs, &layout, &limits, &mut bytes);
        let bytes = tree.map(|tree| {
            assert_eq!(tree.root(), ShardTree::new(terms, 0, &KEY, &KEY, bytes.clone()).unwrap().root());
            bytes
        });
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
        let (mut staged, mut separated) = (0, 0);
        for kernel in AnyKernel::ALL {
            for job in kernel.handling().checks() {
                let geometry = kernel.geometry(&job.params).unwrap();
                if geometry.shard_align == 1 {
                    continue;
                }
                staged += 1;
                let (terms, inputs) = terms_of(*kernel, &job);
                let (bytes, runs) = compute_of(&terms, &inputs, 0);
                let whole = Cpu.run(kernel.id(), &job.params, &job.inputs(), 0..terms.leaves).unwrap();
                assert_eq!(bytes.unwrap(), whole);
                separated += usize::from(runs.len() > 1);
                assert!(runs.iter().all(|run| run.start % geometry.shard_align == 0));
            }
        }
        assert!(staged > separated && separated > 1, "jobs of one run, and of several");
    }

    /// Fast leaves end with a node that is kept, slow ones as soon as they can.
    #[test]
    fn runs_end_where_nodes_do() {
        for together in [1, 3, 7, 40, 256, 1_000, u64::MAX] {
            for (done, wanted) in [(0, 1), (0, 700), (1, 3), (3, 2), (40, 41), (255, 10), (256, 300), (700, 100_000)] {
                let done = done / together * together;
                let end = end_of_run(done, wanted, together);
                assert!(
                    end > done && (end == u64::MAX || end.is_multiple_of(together)),
                    "{together} {done} {wanted}: {end}"
                );
                assert!(end <= done.saturating_add(wanted.max(together)));
                // A whole node of the kept level fits: there it ends.
                if let Some(node) = together.checked_mul(256)
                    && (done + wanted) / node > done / node
                {
                    assert!(end.is_multiple_of(256), "{together} {done} {wanted}: {end}");
                }
            }
        }
    }

    /// However fast a backend is, a run is not longer than there is room for.
    #[test]
    fn no_run_has_more_bytes_than_there_is_room_for() {
        struct Zeros(Mutex<u64>);
        impl Backend for Zeros {
            fn name(&self) -> String {
                "zeros".to_owned()
            }

            fn run(
                &self,
                kernel: u16,
                params: &[u8],
                _: &Inputs,
                leaves: Range<u64>,
            ) -> core::result::Result<Vec<u8>, ExecError> {
                let geometry = registry::geometry(kernel, params)?;
                let bytes = geometry.bytes_before(leaves.end).unwrap() - geometry.bytes_before(leaves.start).unwrap();
                let mut most = lock(&self.0);
                *most = bytes.max(*most);
                Ok(vec![0; usize::try_from(bytes).unwrap()])
            }
        }
        let image = escape_time::Params { width: 1 << 14, height: 1 << 14, max_iter: 20, x0: 0, y0: 0, step: 1 << 10 };
        let terms = terms_of(AnyKernel::EscapeTime, &Trial::new(image.to_bytes(), [])).0;
        let layout = Layout::new(&terms, 0, &KEY, &KEY).unwrap();
        assert!(layout.bytes() > RUN_BYTES);
        let speeds = [(terms.kernel_id, u64::MAX)].into_iter().collect();
        let limits = Limits { stop: CancellationToken::new(), until: None };
        let zeros = Zeros(Mutex::new(0));
        let mut out = Counted(0);
        let tree = run_by_run(&zeros, &speeds, &terms, &InputTrees::default(), &layout, &limits, &mut out).unwrap();
        let most = zeros.0.into_inner().unwrap();
        assert!(most <= RUN_BYTES && most > RUN_BYTES / 2, "{most}");
        assert_eq!((out.0, tree.len()), (layout.bytes(), terms.leaves));
    }

    /// Counts what is written.
    struct Counted(u64);

    impl Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A disk that is full ends it.
    #[test]
    fn what_can_not_be_written_is_not_computed_to_its_end() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::StorageFull.into())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let terms = image();
        let recorder = Recorder { runs: Mutex::default(), stop: CancellationToken::new(), stop_in: 0 };
        let layout = Layout::new(&terms, 0, &KEY, &KEY).unwrap();
        let limits = Limits { stop: CancellationToken::new(), until: None };
        let (inputs, speeds) = (InputTrees::default(), Speeds::default());
        let error = run_by_run(&recorder, &speeds, &terms, &inputs, &layout, &limits, &mut Full).unwrap_err();
        assert_eq!(error.code(), "worker-io");
        assert!(lock(&recorder.runs).len() <= 2);
    }

    /// A backend whose bytes or nodes are not as many as the leaves have is broken.
    #[test]
    fn a_backend_that_gives_too_little_is_broken() {
        struct Short(bool);
        impl Backend for Short {
            fn name(&self) -> String {
                "short".to_owned()
            }

            fn run(
                &self,
                kernel: u16,
                params: &[u8],
                inputs: &Inputs,
                of: Range<u64>,
            ) -> core::result::Result<Vec<u8>, ExecError> {
                Cpu.run(kernel, params, inputs, of)
            }

            fn run_hashed(
                &self,
                kernel: u16,
                params: &[u8],
                inputs: &Inputs,
                of: Range<u64>,
                commit: &Commit,
            ) -> core::result::Result<Piece, ExecError> {
                let mut piece = Cpu.run_hashed(kernel, params, inputs, of, commit)?;
                if self.0 {
                    piece.bytes.pop();
                } else {
                    piece.nodes.pop();
                }
                Ok(piece)
            }
        }
        let terms = image();
        let layout = Layout::new(&terms, 0, &KEY, &KEY).unwrap();
        let limits = Limits { stop: CancellationToken::new(), until: None };
        for short in [Short(true), Short(false)] {
            let (inputs, speeds) = (InputTrees::default(), Speeds::default());
            let made = run_by_run(&short, &speeds, &terms, &inputs, &layout, &limits, &mut Vec::new());
            assert!(matches!(made, Err(WorkerError::Backend { broken: true, .. })));
        }
    }

    #[test]
    fn what_comes_too_late_is_given_up() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let limits = Limits { stop: CancellationToken::new(), until: Some(at(100)) };
        let checked = |checks: &[(u64, u64)]| {
            let mut pace = Pace::default();
            let mut checks = checks.iter().map(|(seconds, done)| pace.check(&limits, at(*seconds), *done, 11));
            checks.find_map(Result::err).map(|error| error.code())
        };
        assert_eq!(checked(&[(0, 0)]), None, "nothing is known yet");
        assert_eq!(checked(&[(0, 0), (90, 1)]), None, "nor after a run that a device started in");
        assert_eq!(checked(&[(0, 0), (10, 1), (50, 6)]), None);
        assert_eq!(checked(&[(0, 0), (10, 1), (55, 6)]), None);
        assert_eq!(checked(&[(0, 0), (10, 1), (56, 6)]), Some("too-slow"));
        assert_eq!(checked(&[(0, 0), (100, 1)]), Some("too-slow"), "the time is over");
        assert!(Pace::default().check(&Limits { until: None, ..limits.clone() }, at(200), 1, 10).is_ok());
        limits.stop.cancel();
        assert_eq!(Pace::default().check(&limits, at(1), 5, 10).unwrap_err().code(), "stopped");
    }
}
