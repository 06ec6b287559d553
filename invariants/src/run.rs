//! Many episodes, on many threads, and what came of them.

use crate::{
    episode::{Base, Stage},
    tally::Tally,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Everything random follows from it.
    pub seed: u64,
    /// Instructions at least; the last episode is finished.
    pub steps: u64,
    /// Only this episode.
    pub episode: Option<u64>,
    /// Threads.
    pub threads: usize,
}

/// What is wrong, and how to see it again.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Number of the episode.
    pub episode: u64,
    /// Random step in it.
    pub step: u32,
    /// What is wrong.
    pub what: String,
    /// The last actions.
    pub log: Vec<String>,
}

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Counts.
    pub tally: Tally,
    /// Time on the wall.
    pub took: Duration,
    /// The first thing that was wrong.
    pub failure: Option<Failure>,
}

/// Runs episodes until there are enough instructions or something is wrong. `told` hears of every episode that ended.
pub fn run(options: Options, told: impl Fn(&Tally, Duration) + Sync) -> Report {
    let start = Instant::now();
    let (next, over) = (AtomicU64::new(options.episode.unwrap_or(0)), AtomicBool::new(false));
    let report = Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for _ in 0..options.threads.max(1) {
            scope.spawn(|| {
                let base = Base::default();
                while !over.load(Ordering::SeqCst) {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let (tally, failure) = episode(&base, options.seed, number);
                    let mut report = report.lock().unwrap();
                    report.tally.add(&tally);
                    told(&report.tally, start.elapsed());
                    let enough = report.tally.instructions >= options.steps || options.episode.is_some();
                    if enough || failure.is_some() {
                        over.store(true, Ordering::SeqCst);
                    }
                    if report.failure.is_none() {
                        report.failure = failure;
                    }
                }
            });
        }
    });
    let mut report = report.into_inner().unwrap();
    report.took = start.elapsed();
    report
}

fn episode(base: &Base, seed: u64, number: u64) -> (Tally, Option<Failure>) {
    let mut stage = Stage::new(base, seed, number);
    // A model that does not know what to make of something panics; that is a finding like any other.
    let result = catch_unwind(AssertUnwindSafe(|| stage.run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.unwrap_or_else(|| format!("panicked: {:?}", panic.downcast_ref::<&str>())))
    });
    let failure = result.err().map(|what| Failure {
        episode: number,
        step: stage.step,
        what,
        log: stage.log.iter().cloned().collect(),
    });
    (stage.tally, failure)
}
