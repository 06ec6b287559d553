//! The validator daemon: watches a market's shards, has wrong ones convicted, and turns the cranks that anyone may.

use std::{
    collections::{HashMap, HashSet},
    mem::offset_of,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anchor_lang::Discriminator;
use assay_client::accounts::decode;
use assay_kernels::executor::Backend;
use assay_settlement::{Challenge, Job, Provider, Shard, ShardState, rules::time::Now};
use solana_pubkey::Pubkey;
use solana_rpc_client_api::filter::{Memcmp, RpcFilterType};
use tokio::{
    sync::{Notify, Semaphore, broadcast},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    answer::{close_evidence, strays},
    chain::{Chain, overtaken, told},
    config::ValidatorConfig,
    context::{JobContext, lock},
    error::{Result, WorkerError},
    events::{Event, Events, ShardRef, What},
    execute::self_test,
    fetch::{Fetcher, blocking},
    obligation::shard_ref,
    wake::watch,
};

mod bonds;
mod check;
mod cranks;

/// Bytes of Anchor's discriminator in front of an account.
const DISCRIMINATOR: usize = 8;
/// What failed is tried again after this long, then twice as long, and so on.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// Shards that are checked at the same time, in all and of one provider.
const CHECKS: usize = 64;
const CHECKS_PER_PROVIDER: usize = 8;
/// Evidence accounts of an earlier run are closed so long after the start.
const SWEEP: Duration = Duration::from_secs(600);
/// Shards whose cranks are turned at the same time.
const CRANKS: usize = 32;
/// Notifications that come within this time are one.
const GATHER: Duration = Duration::from_millis(100);

/// A running validator daemon. Dropping it lets the daemon run on.
#[derive(Clone)]
pub struct ValidatorHandle {
    events: Events,
    stop: CancellationToken,
    ended: Arc<tokio::sync::Mutex<Option<JoinHandle<()>>>>,
}

impl ValidatorHandle {
    /// Everything that happens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Ends it now. It owes nobody anything.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// [`WorkerError::Internal`] where it ended in a way it must not, to the first who asks.
    pub async fn join(&self) -> Result<()> {
        let mut ended = self.ended.lock().await;
        match ended.as_mut() {
            None => Ok(()),
            Some(task) => {
                let result = task.await.map_err(|error| WorkerError::Internal(error.to_string()));
                *ended = None;
                result
            }
        }
    }
}

/// What is done with a shard, or with a challenge of this key. They never wait for each other: a provider that serves
/// slowly delays its check, not its slashing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Work {
    Check,
    Crank,
    Bond,
}

/// Why a shard is not looked at for a while.
struct Later {
    not_before: Instant,
    pause: Duration,
    message: String,
}

/// A shard that is worked on; free again when dropped.
struct Busy {
    validator: Arc<Validator>,
    key: (Pubkey, Work),
}

impl Drop for Busy {
    fn drop(&mut self) {
        lock(&self.validator.busy).remove(&self.key);
    }
}

/// The validator daemon.
pub struct Validator {
    config: ValidatorConfig,
    backend: Arc<dyn Backend>,
    chain: Chain,
    fetcher: Fetcher,
    events: Events,
    jobs: Mutex<HashMap<Pubkey, Arc<JobContext>>>,
    /// Shards whose committed root was checked, with that root.
    checked: Mutex<HashMap<Pubkey, [u8; 32]>>,
    later: Mutex<HashMap<(Pubkey, Work), Later>>,
    /// Shards that are worked on just now, with their providers.
    busy: Mutex<HashMap<(Pubkey, Work), Pubkey>>,
    /// As many shards are computed at a time as there are devices: each takes a whole one.
    computing: Semaphore,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A shard in work, as it was just read.
pub(crate) struct Seen {
    pub shard: ShardRef,
    pub account: Shard,
    pub job: Arc<JobContext>,
    /// Its challenges that are not closed.
    pub challenges: Vec<Challenge>,
}

impl Validator {
    /// Starts a daemon. After a while it closes evidence accounts that an earlier run of the same key left; so don't run
    /// two with one key, nor a provider's operator key.
    ///
    /// # Errors
    /// A configuration that contradicts itself, a chain or market that is not there, a backend that fails its
    /// self-test.
    pub async fn start(config: ValidatorConfig, backend: Arc<dyn Backend>) -> Result<ValidatorHandle> {
        Self::start_with(config, backend, Events::default()).await
    }

    /// [`Validator::start`], telling to `events`.
    ///
    /// # Errors
    /// As [`Validator::start`].
    pub async fn start_with(
        config: ValidatorConfig,
        backend: Arc<dyn Backend>,
        events: Events,
    ) -> Result<ValidatorHandle> {
        if !(config.rate > 0.0 && config.rate <= 1.0) {
            return Err(WorkerError::Config {
                why: format!("a rate of {} checks nothing, or more than all", config.rate),
            });
        }
        if config.accepted_verifiers.is_empty() {
            let why = "no verifier is accepted, so no result would be checked; name at least one".to_owned();
            return Err(WorkerError::Config { why });
        }
        let tested = backend.clone();
        blocking(&TaskTracker::new(), move || self_test(tested.as_ref())).await?;
        let chain = Chain::new(&config.cluster, config.keypair.clone(), None, events.clone());
        if chain.reader.find_market(&config.market).await?.is_none() {
            let todo = "Check the market's address and the cluster";
            return Err(WorkerError::NoAccount { kind: "Market", address: config.market, todo });
        }
        let fetcher = Fetcher::new(config.allow_local_urls, config.max_bytes)?;
        events.tell(None, None, What::Started { backend: backend.name() });
        let stop = CancellationToken::new();
        let computing = Semaphore::new(backend.lanes().max(1));
        let validator = Self {
            config,
            backend,
            chain,
            fetcher,
            events: events.clone(),
            jobs: Mutex::default(),
            checked: Mutex::default(),
            later: Mutex::default(),
            busy: Mutex::default(),
            computing,
            tasks: TaskTracker::new(),
            stop: stop.clone(),
        };
        let ended = tokio::spawn(Arc::new(validator).run());
        Ok(ValidatorHandle { events, stop, ended: Arc::new(tokio::sync::Mutex::new(Some(ended))) })
    }

    async fn run(self: Arc<Self>) {
        let stop = self.stop.clone();
        let wake = Arc::new(Notify::new());
        let patterns = vec![vec![(0, Shard::DISCRIMINATOR.to_vec())], vec![(0, Challenge::DISCRIMINATOR.to_vec())]];
        self.tasks.spawn(watch(self.config.cluster.clone(), patterns, wake.clone(), stop.clone()));
        let gather = GATHER.min(self.config.poll);
        // Trouble that is of no shard.
        let whole = (self.config.market, Work::Crank);
        let work = async {
            // Evidence that was there at the start and is there later on is nobody's: not of this run, and of no other
            // that is at work with the same key.
            let mut left: Option<(Instant, Vec<Pubkey>)> = None;
            let mut swept = false;
            loop {
                if !swept {
                    match self.sweep(&mut left).await {
                        Ok(done) => swept = done,
                        Err(error) => self.tell_trouble(None, (self.config.market, Work::Check), &error),
                    }
                }
                match self.round().await {
                    Ok(()) => self.well(whole),
                    Err(error) => self.tell_trouble(None, whole, &error),
                }
                tokio::select! {
                    () = async { wake.notified().await; tokio::time::sleep(gather).await } => {}
                    () = tokio::time::sleep(self.config.poll) => {}
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
        self.tasks.close();
        self.tasks.wait().await;
        self.events.tell(None, None, What::Stopped);
    }

    /// Closes the evidence accounts that an earlier run left. True when that is done.
    async fn sweep(&self, left: &mut Option<(Instant, Vec<Pubkey>)>) -> Result<bool> {
        let Some((at, seen)) = left else {
            let found = strays(&self.chain, None).await?;
            let none = found.is_empty();
            *left = Some((Instant::now(), found));
            return Ok(none);
        };
        if at.elapsed() < SWEEP {
            return Ok(false);
        }
        for address in seen {
            close_evidence(&self.chain, None, None, address).await?;
        }
        Ok(true)
    }

    /// One look at every shard in work.
    async fn round(self: &Arc<Self>) -> Result<()> {
        let now = self.chain.now().await?;
        let challenges = self.chain.reader.challenges().await?;
        let seen = self.shards(&challenges).await?;
        let mine: Vec<_> = challenges.into_iter().filter(|(_, c)| c.challenger == self.chain.me()).collect();
        let present: HashSet<Pubkey> = seen.iter().map(|seen| seen.shard.shard).collect();
        lock(&self.checked).retain(|shard, _| present.contains(shard));
        let bonds: HashSet<Pubkey> = mine.iter().map(|(address, _)| *address).collect();
        lock(&self.later)
            .retain(|(key, _), _| present.contains(key) || bonds.contains(key) || *key == self.config.market);
        let jobs: HashSet<Pubkey> = seen.iter().map(|seen| seen.shard.job).collect();
        lock(&self.jobs).retain(|job, _| jobs.contains(job));
        self.look_at_bonds(mine);
        for seen in seen {
            let seen = Arc::new(seen);
            for work in [Work::Crank, Work::Check] {
                let Some(busy) = self.take(&seen, work, &now) else { continue };
                let (this, seen) = (self.clone(), seen.clone());
                self.tasks.spawn(async move {
                    tokio::select! {
                        () = this.stop.cancelled() => {}
                        () = this.look_at(&seen, work, &now) => {}
                    }
                    drop(busy);
                });
            }
        }
        Ok(())
    }

    /// Takes a shard to work on. None: there is nothing to do, somebody does it, it is to be left alone for a while, or
    /// enough is under way. Few checks of one provider at a time, so that one that serves slowly keeps nobody else's
    /// from being checked.
    fn take(self: &Arc<Self>, seen: &Seen, work: Work, now: &Now) -> Option<Busy> {
        let key = (seen.shard.shard, work);
        let wanted = match work {
            Work::Check => self.wants_check(seen),
            Work::Crank => self.wants_crank(seen, now),
            Work::Bond => false,
        };
        if !wanted || !self.is_due(&key) {
            return None;
        }
        let mut busy = lock(&self.busy);
        let same = busy.keys().filter(|(_, other)| *other == work).count();
        let of_provider = busy.iter().filter(|((_, other), p)| *other == work && **p == seen.account.provider).count();
        let crowded = match work {
            Work::Check => same >= CHECKS || of_provider >= CHECKS_PER_PROVIDER,
            Work::Crank | Work::Bond => same >= CRANKS,
        };
        if crowded || busy.contains_key(&key) {
            return None;
        }
        busy.insert(key, seen.account.provider);
        Some(Busy { validator: self.clone(), key })
    }

    /// Whether a committed root is there that was not checked yet.
    fn wants_check(&self, seen: &Seen) -> bool {
        let committed = matches!(seen.account.state(), Some(ShardState::Committed | ShardState::Sampled));
        // Another verifier's kernel of the same number may be another function: nobody is judged by the wrong one.
        let known = self.config.accepted_verifiers.contains(&seen.job.job.terms.verifier);
        committed && known && lock(&self.checked).get(&seen.shard.shard) != Some(&seen.account.root)
    }

    async fn look_at(self: &Arc<Self>, seen: &Seen, work: Work, now: &Now) {
        let key = (seen.shard.shard, work);
        let done = match work {
            Work::Bond => Ok(()),
            Work::Crank => self.crank(seen, now).await,
            Work::Check => self.check(seen).await.map(|()| {
                lock(&self.checked).insert(seen.shard.shard, seen.account.root);
            }),
        };
        match done {
            Ok(()) => self.well(key),
            Err(error) if overtaken(&error) => {}
            Err(error @ (WorkerError::Fetch { .. } | WorkerError::FetchMismatch { .. })) => {
                // No judgement: a network may have failed, and whoever lacks bytes can have a cell demanded.
                let message = error.to_string();
                if self.put_off(key, &message) {
                    self.events.tell(Some(seen.shard), None, What::Unavailable { message });
                }
            }
            Err(error) => {
                // Computing it once more would change nothing.
                if matches!(error, WorkerError::VerifierDisagrees { .. }) {
                    lock(&self.checked).insert(seen.shard.shard, seen.account.root);
                }
                self.tell_trouble(Some(seen.shard), key, &error);
            }
        }
    }

    /// Shards of the market (or of the jobs given) that something can still happen to.
    async fn shards(&self, challenges: &[(Pubkey, Challenge)]) -> Result<Vec<Seen>> {
        let mut seen = Vec::new();
        for state in [ShardState::Claimed, ShardState::Committed, ShardState::Sampled, ShardState::Slashed] {
            let filters = vec![
                RpcFilterType::Memcmp(Memcmp::new_raw_bytes(0, Shard::DISCRIMINATOR.to_vec())),
                RpcFilterType::Memcmp(Memcmp::new_raw_bytes(
                    DISCRIMINATOR.saturating_add(offset_of!(Shard, state)),
                    vec![state as u8],
                )),
            ];
            for (address, account) in self.chain.reader.rpc().program_accounts(&assay_settlement::ID, filters).await? {
                let account: Shard = decode(&address, &account)?;
                if !self.config.jobs.is_empty() && !self.config.jobs.contains(&account.job) {
                    continue;
                }
                let job = self.job(&account.job).await?;
                if job.job.terms.market == self.config.market {
                    let of_it = challenges.iter().filter(|(_, challenge)| challenge.shard == address);
                    let challenges = of_it.map(|(_, challenge)| *challenge).collect();
                    seen.push(Seen { shard: shard_ref(account.job, account.index), account, job, challenges });
                }
            }
        }
        // What was committed first is settled first.
        seen.sort_by_key(|seen| (seen.account.committed_at, seen.shard.shard));
        Ok(seen)
    }

    async fn job(&self, key: &Pubkey) -> Result<Arc<JobContext>> {
        if let Some(known) = lock(&self.jobs).get(key) {
            return Ok(known.clone());
        }
        let job: Job = self.chain.reader.job(key).await?;
        Ok(lock(&self.jobs).entry(*key).or_insert_with(|| Arc::new(JobContext::new(*key, job))).clone())
    }

    async fn provider(&self, key: &Pubkey) -> Result<Provider> {
        Ok(self.chain.reader.provider(key).await?)
    }

    fn is_due(&self, key: &(Pubkey, Work)) -> bool {
        lock(&self.later).get(key).is_none_or(|later| Instant::now() >= later.not_before)
    }

    /// Leaves a shard alone for a while. True when the reason is a new one.
    fn put_off(&self, key: (Pubkey, Work), message: &str) -> bool {
        let mut later = lock(&self.later);
        let before = later.get(&key);
        let pause = before.map_or(FIRST_PAUSE, |before| before.pause.saturating_mul(2).min(LONGEST_PAUSE));
        let new = before.is_none_or(|before| before.message != message);
        let not_before = Instant::now().checked_add(pause).unwrap_or_else(Instant::now);
        later.insert(key, Later { not_before, pause, message: message.to_owned() });
        new
    }

    fn well(&self, key: (Pubkey, Work)) {
        lock(&self.later).remove(&key);
    }

    fn tell_trouble(&self, shard: Option<ShardRef>, key: (Pubkey, Work), error: &WorkerError) {
        let message = told(error);
        if self.put_off(key, &message) {
            self.events.tell(shard, None, What::Trouble { code: error.code(), message });
        }
    }
}
