//! The provider daemon: starts, watches, drives every obligation, claims while all is well, and ends in two phases.

use std::{
    collections::HashSet,
    mem::offset_of,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anchor_lang::Discriminator;
use assay_kernels::executor::{Backend, Cpu};
use assay_settlement::{EXPERIMENTAL, Job, JobTerms, Shard, seeds};
use serde::Serialize;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use tokio::{sync::broadcast, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    chain::{Books, Chain},
    config::ProviderConfig,
    context::{Context, Task, lock},
    effort::Speeds,
    error::{Result, WorkerError},
    events::{Event, Events, What},
    execute::self_test,
    fetch::{Fetcher, blocking},
    journal::{Journal, Obligation, State},
    server::{Shelf, serve},
    store::Store,
    troubles::{Place, Troubles},
    wake::watch,
};

/// Bytes of Anchor's discriminator in front of an account.
const DISCRIMINATOR: usize = 8;
/// Downloads that are under way at the end get so much longer.
const GOODBYE: Duration = Duration::from_secs(2);
/// Notifications that come within this time are one.
const GATHER: Duration = Duration::from_millis(100);

/// What a provider daemon is doing.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// The Provider account.
    pub provider: String,
    /// What it computes with.
    pub backend: String,
    /// Where it serves results.
    pub serving: Option<SocketAddr>,
    /// No new claims; ends when the obligations are done.
    pub draining: bool,
    /// It has ended.
    pub stopped: bool,
    /// Shards in work, the oldest first: address, number in its job, where it is.
    pub obligations: Vec<(String, u32, String)>,
    /// Why nothing is claimed just now; empty when all is well.
    pub troubles: Vec<String>,
}

/// A running provider daemon. Dropping it lets the daemon run on.
#[derive(Clone)]
pub struct Handle {
    provider: Pubkey,
    serving: SocketAddr,
    events: Events,
    status: Arc<Mutex<Status>>,
    drain: CancellationToken,
    stop: CancellationToken,
    ended: Arc<tokio::sync::Mutex<Option<JoinHandle<Result<()>>>>>,
}

impl Handle {
    /// The Provider account it works for.
    pub fn provider(&self) -> Pubkey {
        self.provider
    }

    /// Where results are served.
    pub fn serving(&self) -> SocketAddr {
        self.serving
    }

    /// Everything that happens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// What it is doing.
    pub fn status(&self) -> Status {
        lock(&self.status).clone()
    }

    /// First phase of ending: no new claims; ends by itself when every obligation is done, which takes as long as the
    /// challenge windows do.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Second phase: ends now; what the device is doing just now is finished first, since nothing can interrupt it.
    /// Obligations stay; they go on when a daemon is started on the same folder, and their deadlines run meanwhile.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Drains the first time, stops the second.
    pub fn shut_down(&self) {
        if self.drain.is_cancelled() { self.stop() } else { self.drain() }
    }

    /// Waits until it has ended; then its data folder is free.
    ///
    /// # Errors
    /// What ended it, to the first who asks.
    pub async fn join(&self) -> Result<()> {
        let mut ended = self.ended.lock().await;
        match ended.as_mut() {
            None => Ok(()),
            Some(task) => {
                let result = task.await.map_err(|error| WorkerError::Internal(error.to_string()));
                *ended = None;
                result?
            }
        }
    }
}

/// The provider daemon.
pub struct Provider;

impl Provider {
    /// Starts a daemon: checks configuration, key, market and backend, takes the data folder, reads the journal,
    /// listens, and works until its handle ends it.
    ///
    /// # Errors
    /// Whatever keeps it from starting; nothing was sent.
    pub async fn start(config: ProviderConfig, backend: Arc<dyn Backend>) -> Result<Handle> {
        Self::start_with(config, backend, Events::default()).await
    }

    /// [`Provider::start`], telling to `events`, so that nothing is missed that happens while it starts.
    ///
    /// # Errors
    /// As [`Provider::start`].
    pub async fn start_with(config: ProviderConfig, backend: Arc<dyn Backend>, events: Events) -> Result<Handle> {
        let provider = seeds::provider(&config.market, &config.owner);
        let folder = config.data_dir.clone();
        let starting = TaskTracker::new();
        let (store, journal) = blocking(&starting, move || {
            let store = Store::open(&folder)?;
            let journal = Journal::open(store.journal())?;
            Ok((Arc::new(store), journal))
        })
        .await?;
        let troubles = Arc::new(Troubles::new(events.clone()));
        let books = Books { journal: journal.clone(), troubles: troubles.clone() };
        let chain = Chain::new(&config.cluster, config.operator.clone(), Some(books), events.clone());
        check(&config, &chain, &provider).await?;
        let owes = !journal.unfinished()?.is_empty();
        let (tested, self_check) = (backend.clone(), config.self_check);
        let (speeds, failed) = blocking(&starting, move || {
            let failed = if self_check { self_test(tested.as_ref()).err() } else { None };
            match failed {
                // Whoever owes something starts all the same: answers need no device.
                Some(error) if owes => Ok((Speeds::measure(&Cpu), Some(error))),
                Some(error) => Err(error),
                None => Ok((Speeds::measure(tested.as_ref()), None)),
            }
        })
        .await?;
        if let Some(error) = failed {
            troubles.raise(Place::Backend, None, &error);
        }
        let fetcher = Fetcher::new(config.allow_local_urls, config.max_input_bytes)?;
        let shelf = Shelf { journal: journal.clone(), store: store.clone() };
        let (bind, name) = (config.bind, backend.name());
        let context =
            Context::new(config, provider, backend, chain, journal, store, fetcher, events.clone(), troubles, speeds);
        let context = Arc::new(context);
        let stop = context.stop.clone();
        let (serving, server) = serve(bind, shelf, stop.clone()).await?;
        let status = Status {
            provider: provider.to_string(),
            backend: name.clone(),
            serving: Some(serving),
            ..Status::default()
        };
        let status = Arc::new(Mutex::new(status));
        let drain = context.drain.clone();
        events.tell(None, None, What::Started { backend: name });
        let daemon = Daemon { context, status: status.clone() };
        let ended = tokio::spawn(async move {
            let ended = daemon.run().await;
            // The server goes with the daemon, whoever still downloads.
            if tokio::time::timeout(GOODBYE, server).await.is_err() {
                tracing::debug!("downloads were cut off");
            }
            ended
        });
        let ended = Arc::new(tokio::sync::Mutex::new(Some(ended)));
        Ok(Handle { provider, serving, events, status, drain, stop, ended })
    }
}

async fn check(config: &ProviderConfig, chain: &Chain, provider: &Pubkey) -> Result<()> {
    let wrong = |why: String| WorkerError::Config { why };
    let market = chain.reader.find_market(&config.market).await?;
    let Some(market) = market else {
        let todo = "Check the market's address and the cluster";
        return Err(WorkerError::NoAccount { kind: "Market", address: config.market, todo });
    };
    if market.flags & EXPERIMENTAL != 0 && !config.allow_experimental {
        return Err(wrong("the market is experimental; allow experimental markets, or choose another".to_owned()));
    }
    let Some(account) = chain.reader.find_provider(provider).await? else {
        let todo = "Register the provider first";
        return Err(WorkerError::NoAccount { kind: "Provider", address: *provider, todo });
    };
    let operator = config.operator.pubkey();
    if !account.is_operator(&operator) {
        return Err(wrong(format!("{operator} is not an operator of provider {provider}; its owner can make it one")));
    }
    if config.accepted_verifiers.is_empty() {
        return Err(wrong("no verifier is accepted, so no job would be; name at least one".to_owned()));
    }
    Ok(())
}

struct Daemon {
    context: Arc<Context>,
    status: Arc<Mutex<Status>>,
}

impl Daemon {
    async fn run(self) -> Result<()> {
        let context = &self.context;
        let market = (
            DISCRIMINATOR.saturating_add(offset_of!(Job, terms)).saturating_add(offset_of!(JobTerms, market)),
            context.config.market.to_bytes().to_vec(),
        );
        let provider =
            (DISCRIMINATOR.saturating_add(offset_of!(Shard, provider)), context.provider.to_bytes().to_vec());
        let patterns =
            vec![vec![(0, Job::DISCRIMINATOR.to_vec()), market], vec![(0, Shard::DISCRIMINATOR.to_vec()), provider]];
        let watching = watch(context.config.cluster.clone(), patterns, context.wake.clone(), context.stop.clone());
        context.tasks.spawn(watching);
        let ended = self.work().await;
        context.stop.cancel();
        context.tasks.close();
        context.tasks.wait().await;
        // Connections to the server that are still open only read; the folder is free for another daemon.
        context.store.release()?;
        self.look(&context.journal.unfinished().unwrap_or_default());
        lock(&self.status).stopped = true;
        context.events.tell(None, None, What::Stopped);
        ended
    }

    /// Waits for nothing but time and notifications: whatever asks the chain or computes runs beside.
    async fn work(&self) -> Result<()> {
        let context = &self.context;
        let mut told_draining = false;
        let gather = GATHER.min(context.config.poll);
        let mut unfinished = Vec::new();
        // Since when nothing is left while draining.
        let mut done_since: Option<Instant> = None;
        loop {
            // Asked before the journal: a hunt that ended by now has written down what it claimed, a search what it
            // found; and once draining no other hunt begins.
            let draining = context.drain.is_cancelled();
            let hunting = context.is_busy(Task::Hunt);
            let searched = *lock(&context.searched);
            let read = context.noted(context.journal.unfinished());
            let is_read = read.is_some();
            // Where the journal can't be read, what was last known is still owed.
            unfinished = read.unwrap_or(unfinished);
            context.probe_disk();
            self.spawn_due(&unfinished);
            if draining && !told_draining {
                told_draining = true;
                context.events.tell(None, None, What::Draining { obligations: unfinished.len() });
            }
            let done = draining && !hunting && is_read && unfinished.is_empty();
            done_since = if done { done_since.or_else(|| Some(Instant::now())) } else { None };
            // Only a search that began after that shows that nothing was overlooked.
            let is_certain = done_since.zip(searched).is_some_and(|(since, searched)| searched > since);
            if is_certain || context.stop.is_cancelled() {
                return Ok(());
            }
            self.search(searched, done_since.is_some());
            if searched.is_some() && !draining {
                self.hunt(&unfinished);
            }
            self.look(&unfinished);
            tokio::select! {
                () = context.stop.cancelled() => return Ok(()),
                () = context.drain.cancelled(), if !draining => {}
                // What changes at once wakes once.
                () = async { context.wake.notified().await; tokio::time::sleep(gather).await } => {}
                () = tokio::time::sleep(context.config.poll) => {}
            }
        }
    }

    /// Drives every obligation that nobody drives and whose pause is over, the oldest first. Drawing waits for nothing
    /// else that is done for a shard, nor for the pause after something else failed: its window is over in minutes. A journal that can't be
    /// written does not know of a commitment.
    fn spawn_due(&self, unfinished: &[Obligation]) {
        let context = &self.context;
        let kept: HashSet<Pubkey> = unfinished.iter().map(|row| row.shard.shard).collect();
        context.keep_obligations(&kept);
        for row in unfinished {
            let (key, shard) = (row.shard.shard, Some(row.shard));
            let due = context.troubles.may_try(Place::Shard(key));
            if let Some(busy) = due.then(|| context.take(Task::Shard(key))).flatten() {
                context.spawn(busy, Place::Shard(key), shard, context.clone().drive(row.clone()));
            } else if matches!(row.state, State::Computed | State::Committed)
                && context.troubles.may_try(Place::Draw(key))
                && let Some(busy) = context.take(Task::Draw(key))
            {
                context.spawn(busy, Place::Draw(key), shard, context.clone().draw_beside(row.shard));
            }
        }
    }

    /// Looks for work, one hunt at a time, where there is room for more.
    fn hunt(&self, unfinished: &[Obligation]) {
        let context = &self.context;
        let computing = unfinished.iter().filter(|row| row.state < State::Committed).count();
        let room = context.config.max_claims.saturating_sub(computing);
        let room = room.min(context.config.max_obligations.saturating_sub(unfinished.len()));
        if room == 0 || context.may_not_claim() || !context.troubles.may_try(Place::Claiming) {
            return;
        }
        let Some(busy) = context.take(Task::Hunt) else { return };
        let this = context.clone();
        context.spawn(busy, Place::Claiming, None, async move {
            let mut hunt = this.hunt.lock().await;
            match hunt.round(&this, room).await {
                Ok(claimed) => {
                    this.troubles.well(Place::Claiming);
                    if claimed > 0 {
                        this.wake.notify_one();
                    }
                }
                Err(error) => this.trouble(Place::Claiming, None, &error),
            }
        });
    }

    /// Searches the chain for what was overlooked when it is time, and then closes what is left over.
    fn search(&self, searched: Option<Instant>, last: bool) {
        let context = &self.context;
        let troubled = context.troubles.has(Place::Chain);
        let due = last || troubled || searched.is_none_or(|at| at.elapsed() >= context.config.pace.search);
        if !due || !context.troubles.may_try(Place::Chain) {
            return;
        }
        let Some(busy) = context.take(Task::Search) else { return };
        let this = context.clone();
        context.spawn(busy, Place::Chain, None, async move {
            match this.search().await {
                Ok(()) => {
                    this.troubles.well(Place::Chain);
                    this.wake.notify_one();
                }
                Err(error) => failed(&this, &error),
            }
            // Beside, so that no slow node keeps the next search waiting.
            if this.troubles.may_try(Place::Tidying)
                && let Some(busy) = this.take(Task::Tidy)
            {
                let tidier = this.clone();
                this.spawn(busy, Place::Tidying, None, async move {
                    match tidier.tidy().await {
                        Ok(()) => tidier.troubles.well(Place::Tidying),
                        Err(error) => tidier.trouble(Place::Tidying, None, &error),
                    }
                });
            }
        });
    }

    /// Refreshes the status.
    fn look(&self, unfinished: &[Obligation]) {
        let mut status = lock(&self.status);
        status.draining = self.context.drain.is_cancelled();
        status.troubles = self.context.troubles.words();
        status.obligations = unfinished
            .iter()
            .map(|row| (row.shard.shard.to_string(), row.shard.index, format!("{:?}", row.state).to_lowercase()))
            .collect();
    }
}

fn failed(context: &Context, error: &WorkerError) {
    let place = match error {
        WorkerError::Journal(_) | WorkerError::Io { .. } => Place::Disk,
        _ => Place::Chain,
    };
    context.trouble(place, None, error);
}
