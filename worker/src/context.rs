//! What the parts of a provider daemon share: configuration, chain, journal, files, jobs at hand, and what is wrong.

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use assay_client::{answer::InputTrees, result::ResultFile};
use assay_kernels::executor::Backend;
use assay_settlement::Job;
use futures_util::FutureExt;
use solana_pubkey::Pubkey;
use tokio::sync::{Notify, OnceCell, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    chain::Chain,
    config::ProviderConfig,
    effort::Speeds,
    error::{Result, WorkerError},
    events::{Events, ShardRef, What},
    fetch::Fetcher,
    journal::Journal,
    purse::Purse,
    store::Store,
    tries::Tries,
    troubles::{Place, Troubles},
};

/// Locks a mutex whose data no panic can leave half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A job that this worker has to do with. Only what never changes is used of `job`: its terms, renter and vault.
pub(crate) struct JobContext {
    pub key: Pubkey,
    pub job: Job,
    inputs: OnceCell<Arc<InputTrees>>,
}

impl JobContext {
    pub fn new(key: Pubkey, job: Job) -> Self {
        Self { key, job, inputs: OnceCell::new() }
    }

    /// The inputs, where they are at hand; a job without inputs has them at once.
    pub fn inputs_at_hand(&self) -> bool {
        self.job.terms.inputs == 0 || self.inputs.initialized()
    }

    /// The inputs, fetched and checked once.
    pub async fn inputs(&self, fetcher: &Fetcher, store: Option<&Arc<Store>>) -> Result<Arc<InputTrees>> {
        let fetch = async || Ok(Arc::new(fetcher.inputs(&self.key, &self.job.terms, store).await?));
        self.inputs.get_or_try_init(fetch).await.cloned()
    }
}

/// Something that one part of the daemon works on at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Task {
    /// An obligation's next step.
    Shard(Pubkey),
    /// Drawing an obligation's cells, which waits for nothing else that is done for it.
    Draw(Pubkey),
    /// Proving a cell of an obligation or posting a leaf: shard, leaf, cell. Each waits for no other.
    Answer(Pubkey, u64, u32),
    /// Dividing bonds of an obligation's answered challenges.
    Bonds(Pubkey),
    /// Recording the seed of a draw window.
    Seed(u64),
    /// Looking for work.
    Hunt,
    /// Searching the chain for what was overlooked.
    Search,
    /// Closing what is not needed any more.
    Tidy,
}

/// Shared state of a provider daemon.
pub(crate) struct Context {
    pub config: ProviderConfig,
    pub provider: Pubkey,
    pub backend: Arc<dyn Backend>,
    pub chain: Chain,
    pub journal: Journal,
    pub store: Arc<Store>,
    pub fetcher: Fetcher,
    pub events: Events,
    /// As many shards are computed at a time as there are devices: each takes a whole one.
    pub computing: Semaphore,
    /// Something may have changed: look again.
    pub wake: Arc<Notify>,
    /// No new claims from here on.
    pub drain: CancellationToken,
    jobs: Mutex<HashMap<Pubkey, Arc<JobContext>>>,
    busy: Mutex<HashSet<Task>>,
    /// What is wrong.
    pub troubles: Arc<Troubles>,
    /// How fast the backend is.
    pub speeds: Speeds,
    /// Lamports for evidence.
    pub purse: Purse,
    /// Jobs of the last hunt that this provider would claim a shard of.
    pub wanted: Mutex<HashSet<Pubkey>>,
    /// When the last search began that came to its end.
    pub searched: Mutex<Option<Instant>>,
    /// Evidence accounts that the journal does not know, and when they were first seen.
    pub strays: Mutex<HashMap<Pubkey, Instant>>,
    /// Open challenges that were told of.
    pub challenges: Mutex<HashSet<Pubkey>>,
    /// Answers that were tried.
    pub tries: Mutex<Tries>,
    /// Results of shards of which something is asked just now: reading one through takes long.
    pub results: Mutex<HashMap<Pubkey, Arc<ResultFile>>>,
    /// Claims that seem to be gone, and since when.
    unsure: Mutex<HashMap<Pubkey, Instant>>,
    /// Roots of results that lie on disk, where the journal can't be written.
    pub roots: Mutex<HashMap<Pubkey, [u8; 32]>>,
    /// Shards whose last computation failed.
    pub compute_failed: Mutex<HashSet<Pubkey>>,
    /// Shards whose result on disk is not the committed one, or can't be read: it is not used again before it was computed
    /// anew.
    pub given_up: Mutex<HashSet<Pubkey>>,
    /// What looking for work remembers.
    pub hunt: tokio::sync::Mutex<crate::claim::Hunt>,
    /// Ends everything at once.
    pub stop: CancellationToken,
    /// Everything that runs beside the main loop.
    pub tasks: TaskTracker,
    /// Jobs that can't be computed here, and why.
    uncomputable: Mutex<HashMap<Pubkey, String>>,
}

/// Marks something as being worked on; free again when dropped.
pub(crate) struct Busy {
    context: Arc<Context>,
    task: Task,
}

impl Drop for Busy {
    fn drop(&mut self) {
        lock(&self.context.busy).remove(&self.task);
    }
}

impl Context {
    #[allow(clippy::too_many_arguments, reason = "called once; a builder would only name them again")]
    pub fn new(
        config: ProviderConfig,
        provider: Pubkey,
        backend: Arc<dyn Backend>,
        chain: Chain,
        journal: Journal,
        store: Arc<Store>,
        fetcher: Fetcher,
        events: Events,
        troubles: Arc<Troubles>,
        speeds: Speeds,
    ) -> Self {
        let (tasks, computing) = (TaskTracker::new(), Semaphore::new(backend.lanes().max(1)));
        Self {
            config,
            provider,
            backend,
            chain,
            journal,
            store,
            fetcher: fetcher.counted_by(tasks.clone()),
            events,
            computing,
            wake: Arc::default(),
            drain: CancellationToken::new(),
            jobs: Mutex::default(),
            busy: Mutex::default(),
            troubles,
            speeds,
            purse: Purse::default(),
            wanted: Mutex::default(),
            searched: Mutex::default(),
            strays: Mutex::default(),
            challenges: Mutex::default(),
            tries: Mutex::default(),
            results: Mutex::default(),
            unsure: Mutex::default(),
            roots: Mutex::default(),
            compute_failed: Mutex::default(),
            given_up: Mutex::default(),
            hunt: tokio::sync::Mutex::default(),
            stop: CancellationToken::new(),
            tasks,
            uncomputable: Mutex::default(),
        }
    }

    /// The job's context, read from the chain the first time.
    pub async fn job(&self, key: &Pubkey) -> Result<Arc<JobContext>> {
        if let Some(known) = lock(&self.jobs).get(key) {
            return Ok(known.clone());
        }
        let job = self.chain.reader.job(key).await?;
        Ok(self.remember_job(*key, job))
    }

    /// The context of a job that was just read.
    pub fn remember_job(&self, key: Pubkey, job: Job) -> Arc<JobContext> {
        lock(&self.jobs).entry(key).or_insert_with(|| Arc::new(JobContext::new(key, job))).clone()
    }

    /// Whether all of these jobs have been read.
    pub fn knows(&self, jobs: &HashSet<Pubkey>) -> bool {
        let known = lock(&self.jobs);
        jobs.iter().all(|job| known.contains_key(job))
    }

    /// Forgets every job but these, with its inputs in memory.
    pub fn keep_jobs(&self, kept: &HashSet<Pubkey>) {
        lock(&self.jobs).retain(|key, _| kept.contains(key));
    }

    /// Roots of the inputs of the jobs at hand.
    pub fn input_roots(&self) -> Vec<[u8; 32]> {
        let jobs = lock(&self.jobs);
        jobs.values()
            .flat_map(|c| c.job.terms.input.iter().take(usize::from(c.job.terms.inputs)).map(|i| i.root))
            .collect()
    }

    /// Takes something to work on; None while somebody does.
    pub fn take(self: &Arc<Self>, task: Task) -> Option<Busy> {
        lock(&self.busy).insert(task).then(|| Busy { context: self.clone(), task })
    }

    /// Whether somebody works on it.
    pub fn is_busy(&self, task: Task) -> bool {
        lock(&self.busy).contains(&task)
    }

    /// Whether anything that is asked of a shard is being answered.
    pub fn is_answering(&self, shard: &Pubkey) -> bool {
        lock(&self.busy).iter().any(|task| matches!(task, Task::Answer(of, ..) if of == shard))
    }

    /// Runs `work` beside everything else, until the daemon stops. A panic in it is trouble at `place` like any other
    /// failure, and what it worked on is free again.
    pub fn spawn(
        self: &Arc<Self>,
        busy: Busy,
        place: Place,
        shard: Option<ShardRef>,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let (context, stop) = (self.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                ended = AssertUnwindSafe(work).catch_unwind() => if ended.is_err() {
                    let error = WorkerError::Internal("a step panicked, and will be tried again".to_owned());
                    context.troubles.raise(place, shard, &error);
                }
            }
            drop(busy);
        });
    }

    /// Something failed there; see [`Troubles::raise`].
    pub fn trouble(&self, place: Place, shard: Option<ShardRef>, error: &WorkerError) {
        self.troubles.raise(place, shard, error);
    }

    /// What the journal or the disk gave; where it gave nothing that is told and keeps new claims from being made,
    /// while what is owed goes on: a full disk must not cost a lock.
    pub fn noted<T>(&self, written: Result<T>) -> Option<T> {
        written.inspect_err(|error| self.troubles.raise(Place::Disk, None, error)).ok()
    }

    /// Forgets what is remembered of shards that are no obligations any more.
    pub fn keep_obligations(&self, kept: &HashSet<Pubkey>) {
        self.troubles.keep(kept);
        lock(&self.unsure).retain(|shard, _| kept.contains(shard));
        lock(&self.compute_failed).retain(|shard| kept.contains(shard));
        lock(&self.given_up).retain(|shard| kept.contains(shard));
        lock(&self.roots).retain(|shard, _| kept.contains(shard));
        lock(&self.results).retain(|shard, _| kept.contains(shard));
        lock(&self.tries).keep_shards(|shard| kept.contains(shard));
    }

    /// Nothing new is claimed while draining, and while anything is wrong.
    pub fn may_not_claim(&self) -> bool {
        self.drain.is_cancelled() || self.troubles.forbid_claims()
    }

    /// True when what was seen of `shard` was seen before, and so long ago that no node that lags behind explains it.
    /// One look at a time says it.
    pub fn is_certain(&self, shard: &Pubkey) -> bool {
        let mut unsure = lock(&self.unsure);
        let Some(first) = unsure.get(shard) else {
            unsure.insert(*shard, Instant::now());
            return false;
        };
        let certain = first.elapsed() >= self.config.pace.confirm;
        if certain {
            unsure.remove(shard);
        }
        certain
    }

    /// What was seen is as it should be.
    pub fn is_sure(&self, shard: &Pubkey) {
        lock(&self.unsure).remove(shard);
    }

    /// The job can't be computed on this machine: what is claimed of it is given back, nothing more is claimed.
    pub fn set_uncomputable(&self, job: &Pubkey, why: String) {
        lock(&self.uncomputable).insert(*job, why);
    }

    /// Why the job can't be computed here.
    pub fn uncomputable(&self, job: &Pubkey) -> Option<String> {
        lock(&self.uncomputable).get(job).cloned()
    }

    pub fn tell(&self, shard: ShardRef, signature: Option<solana_signature::Signature>, what: What) {
        self.events.tell(Some(shard), signature, what);
    }
}
