//! What the parts of a provider daemon share: configuration, chain, journal, files, jobs at hand, and what is wrong.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use assay_client::answer::InputTrees;
use assay_kernels::executor::Backend;
use assay_settlement::Job;
use solana_pubkey::Pubkey;
use tokio::sync::{Notify, OnceCell, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    chain::{Chain, told},
    config::ProviderConfig,
    error::{Result, WorkerError},
    events::{Events, ShardRef, What},
    fetch::Fetcher,
    journal::Journal,
    store::Store,
};

/// A failed step is tried again after this long, then twice as long, and so on.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

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

/// Where something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// The chain can't be asked.
    Chain,
    /// Claiming; does not keep other things from going on.
    Claiming,
    /// What the backend computes is not to be trusted: for good.
    Backend,
    /// The journal or the disk.
    Disk,
    /// An obligation.
    Shard(Pubkey),
}

/// Something that is wrong: nothing new is claimed while it lasts.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub message: String,
    pause: Duration,
    not_before: Instant,
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
    /// One shard is computed at a time: each takes the whole device.
    pub computing: Semaphore,
    /// Something may have changed: look again.
    pub wake: Arc<Notify>,
    /// No new claims from here on.
    pub drain: CancellationToken,
    jobs: Mutex<HashMap<Pubkey, Arc<JobContext>>>,
    busy: Mutex<HashSet<Pubkey>>,
    troubles: Mutex<BTreeMap<Place, Trouble>>,
    /// What looking for work remembers.
    pub hunt: tokio::sync::Mutex<crate::claim::Hunt>,
    /// Ends everything at once.
    pub stop: CancellationToken,
    /// Everything that runs beside the main loop.
    pub tasks: TaskTracker,
    /// Jobs that can't be computed here, and why.
    uncomputable: Mutex<HashMap<Pubkey, String>>,
}

/// Marks a shard (or window) as being worked on; free again when dropped.
pub(crate) struct Busy {
    context: Arc<Context>,
    key: Pubkey,
}

impl Drop for Busy {
    fn drop(&mut self) {
        lock(&self.context.busy).remove(&self.key);
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
    ) -> Self {
        let tasks = TaskTracker::new();
        Self {
            config,
            provider,
            backend,
            chain,
            journal,
            store,
            fetcher: fetcher.counted_by(tasks.clone()),
            events,
            computing: Semaphore::new(1),
            wake: Arc::default(),
            drain: CancellationToken::new(),
            jobs: Mutex::default(),
            busy: Mutex::default(),
            troubles: Mutex::default(),
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

    /// Takes a shard to work on; None while somebody does.
    pub fn take(self: &Arc<Self>, key: Pubkey) -> Option<Busy> {
        lock(&self.busy).insert(key).then(|| Busy { context: self.clone(), key })
    }

    /// Whether somebody works on it.
    pub fn is_busy(&self, key: &Pubkey) -> bool {
        lock(&self.busy).contains(key)
    }

    /// Whether a step there may be tried now.
    pub fn may_try(&self, place: Place) -> bool {
        lock(&self.troubles).get(&place).is_none_or(|trouble| Instant::now() >= trouble.not_before)
    }

    /// Something failed: told (unless it is what was told last), and tried again after a pause.
    pub fn trouble(&self, place: Place, shard: Option<ShardRef>, error: &WorkerError) {
        let message = told(error);
        let mut troubles = lock(&self.troubles);
        let before = troubles.get(&place);
        let repeated = before.is_some_and(|before| before.message == message);
        let pause = before.map_or(FIRST_PAUSE, |before| before.pause.saturating_mul(2).min(LONGEST_PAUSE));
        let not_before = Instant::now().checked_add(pause).unwrap_or_else(Instant::now);
        troubles.insert(place, Trouble { message: message.clone(), pause, not_before });
        drop(troubles);
        if !repeated {
            self.events.tell(shard, None, What::Trouble { code: error.code(), message });
        }
    }

    /// It works (again).
    pub fn well(&self, place: Place) {
        lock(&self.troubles).remove(&place);
    }

    /// Shards that are no obligations any more are no trouble either.
    pub fn keep_troubles(&self, obligations: &HashSet<Pubkey>) {
        lock(&self.troubles).retain(|place, _| match place {
            Place::Shard(shard) => obligations.contains(shard),
            _ => true,
        });
    }

    /// What is wrong, in words; empty when all is well.
    pub fn troubles(&self) -> Vec<String> {
        lock(&self.troubles).values().map(|trouble| trouble.message.clone()).collect()
    }

    /// Nothing new is claimed while draining, and while anything is wrong.
    pub fn may_not_claim(&self) -> bool {
        self.drain.is_cancelled() || lock(&self.troubles).keys().any(|place| *place != Place::Claiming)
    }

    /// Whether a shard's last step failed.
    pub fn is_troubled(&self, place: Place) -> bool {
        lock(&self.troubles).contains_key(&place)
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
