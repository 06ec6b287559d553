//! Looking for work: which jobs, which shard, inputs checked first, then one claim at a time.

use std::{
    collections::{HashMap, HashSet},
    mem::{Discriminant, discriminant},
    sync::Arc,
    time::{Duration, Instant},
};

use assay_client::{ClientError, ix};
use assay_settlement::{Job, Market, Provider, Shard, error::AssayError};
use solana_pubkey::Pubkey;
use tokio::task::JoinHandle;

use crate::{
    chain::{Order, had_no_effect, overtaken, refusal, told},
    context::{Context, JobContext, Task, lock},
    eligibility::{Offer, Skip, View, order},
    error::{Result, WorkerError},
    events::{Action, What},
    journal::State,
    obligation::shard_ref,
};

/// A job whose inputs could not be had, or whose claim was refused, is tried again after this long.
const PAUSE: Duration = Duration::from_secs(15);
/// Jobs whose inputs are fetched at the same time.
const FETCHES: usize = 3;
/// So many lost races for one job, and this round leaves it to the others.
const RACES: u32 = 8;
/// So many claims that ended without a commitment in this time, and nothing more is claimed until some time has passed:
/// something is wrong here, or somebody makes a business of it.
const LOSSES: u64 = 3;
const LOSSES_IN: Duration = Duration::from_secs(3_600);

/// What the hunt remembers from round to round.
#[derive(Default)]
pub(crate) struct Hunt {
    told: HashSet<(Pubkey, Discriminant<Skip>)>,
    /// Jobs that are left alone until then, and why.
    later: HashMap<Pubkey, (Instant, Skip)>,
    /// Inputs on their way; each ends with the reason why not, if any.
    fetching: HashMap<Pubkey, JoinHandle<Option<Skip>>>,
}

/// How one try to claim ended.
enum Tried {
    Claimed,
    /// Somebody else has it.
    Lost,
    /// Nothing more of this job now.
    Leave(Skip),
}

impl Hunt {
    fn skip(&mut self, context: &Context, job: Pubkey, reason: Skip) {
        // Not worth a word: it ends by itself.
        if reason == Skip::Fetching {
            return;
        }
        if self.told.insert((job, discriminant(&reason))) {
            context.events.tell(None, None, What::Skipped { job, reason });
        }
    }

    /// Claims up to `room` shards. Returns how many.
    pub async fn round(&mut self, context: &Arc<Context>, room: usize) -> Result<usize> {
        let count = context.journal.losses_within(LOSSES_IN)?;
        if count >= LOSSES {
            return Err(WorkerError::TooManyLosses { count });
        }
        let reader = &context.chain.reader;
        let market = reader.market(&context.config.market).await?;
        let mut jobs = reader.jobs_of_market(&context.config.market).await?;
        jobs.sort_by_key(|(key, job)| (job.terms.created_at, *key));
        let present: HashSet<Pubkey> = jobs.iter().map(|(key, _)| *key).collect();
        self.told.retain(|(job, _)| present.contains(job));
        self.later.retain(|job, _| present.contains(job));
        lock(&context.wanted).retain(|job| present.contains(job));
        let mut claimed = 0usize;
        for (key, job) in &jobs {
            let mut lost = 0u32;
            while claimed < room && lost < RACES && !context.may_not_claim() {
                let provider = reader.provider(&context.provider).await?;
                match self.one(context, &market, &provider, key, job).await? {
                    Tried::Claimed => claimed = claimed.saturating_add(1),
                    Tried::Lost => lost = lost.saturating_add(1),
                    Tried::Leave(reason) => {
                        // What is being fetched, or was put off for a while, is wanted all the same.
                        if !matches!(reason, Skip::Fetching | Skip::Inputs { .. } | Skip::NotEnoughSol { .. }) {
                            lock(&context.wanted).remove(key);
                        }
                        self.skip(context, *key, reason);
                        break;
                    }
                }
            }
        }
        Ok(claimed)
    }

    async fn one(
        &mut self,
        context: &Arc<Context>,
        market: &Market,
        provider: &Provider,
        key: &Pubkey,
        job: &Job,
    ) -> Result<Tried> {
        let now = context.chain.now().await?;
        let operator = context.chain.me();
        let view = View {
            config: &context.config,
            operator: &operator,
            provider_key: &context.provider,
            provider,
            market,
            now: &now,
            speeds: &context.speeds,
            queued_seconds: queued(context).await?,
        };
        if let Err(reason) = view.job(job) {
            return Ok(Tried::Leave(reason));
        }
        if let Some(why) = context.uncomputable(key) {
            return Ok(Tried::Leave(Skip::Uncomputable { why }));
        }
        if context.journal.losses_of(key)? > 0 {
            return Ok(Tried::Leave(Skip::LostBefore));
        }
        let known: HashMap<u32, Shard> =
            context.chain.reader.shards_of_job(key).await?.into_iter().map(|(_, shard)| (shard.index, shard)).collect();
        let mut best = Skip::NothingOpen;
        let mut chosen = None;
        for (index, shard) in order(key, job, &context.provider, &known) {
            // One whose fate is not known yet, or that ended while this was read.
            let row = context.journal.get(&shard_ref(*key, index).shard)?;
            if row.is_some_and(|row| row.state != State::GivenBack) {
                continue;
            }
            match view.shard(job, index, shard) {
                Ok(offer) => {
                    chosen = Some((index, offer));
                    break;
                }
                Err(reason) => best = reason,
            }
        }
        let Some((index, offer)) = chosen else { return Ok(Tried::Leave(best)) };
        lock(&context.wanted).insert(*key);
        if let Some((until, reason)) = self.later.get(key)
            && Instant::now() < *until
        {
            return Ok(Tried::Leave(reason.clone()));
        }
        let known_job = context.remember_job(*key, *job);
        let needed = context.lamports_to_claim(&job.terms).await?;
        let lamports = context.chain.reader.rpc().balance(&operator).await?;
        if lamports < needed {
            return Ok(Tried::Leave(Skip::NotEnoughSol { lamports, needed }));
        }
        // Before anything is locked: the whole input is here and is what the job's roots say.
        if !known_job.inputs_at_hand() {
            let reason = self.fetch(context, known_job).await?;
            return Ok(Tried::Leave(reason));
        }
        let tried = claim(context, &known_job, index, offer).await?;
        if let Tried::Leave(reason @ Skip::Refused { .. }) = &tried {
            self.put_off(*key, reason.clone());
        }
        Ok(tried)
    }

    fn put_off(&mut self, job: Pubkey, reason: Skip) {
        let until = Instant::now().checked_add(PAUSE).unwrap_or_else(Instant::now);
        self.later.insert(job, (until, reason));
    }

    /// Fetches a job's inputs beside the hunt, so that a slow or hostile host keeps no other job waiting.
    async fn fetch(&mut self, context: &Arc<Context>, job: Arc<JobContext>) -> Result<Skip> {
        if self.fetching.get(&job.key).is_some_and(|task| !task.is_finished()) {
            return Ok(Skip::Fetching);
        }
        // Out of the list before anything else: one that panicked must not be asked twice.
        if let Some(done) = self.fetching.remove(&job.key) {
            let ended = done.await.unwrap_or_else(|error| Some(Skip::Inputs { why: error.to_string() }));
            if let Some(reason) = ended {
                self.put_off(job.key, reason.clone());
                return Ok(reason);
            }
        }
        if self.fetching.values().filter(|task| !task.is_finished()).count() < FETCHES {
            let (context, key) = (context.clone(), job.key);
            let tasks = context.tasks.clone();
            let task = tasks.spawn(async move {
                let fetched = tokio::select! {
                    () = context.stop.cancelled() => return None,
                    fetched = job.inputs(&context.fetcher, Some(&context.store)) => fetched,
                };
                context.wake.notify_one();
                fetched.err().map(|error| Skip::Inputs { why: error.to_string() })
            });
            self.fetching.insert(key, task);
        }
        Ok(Skip::Fetching)
    }
}

/// Seconds that computing what is claimed and not computed takes; one is computed at a time.
async fn queued(context: &Context) -> Result<u64> {
    let mut seconds = 0u64;
    for row in context.journal.unfinished()? {
        if row.state < State::Computed {
            let job = context.job(&row.shard.job).await?;
            let of_it = context.speeds.seconds(&job.job.terms, row.shard.index).unwrap_or(0);
            seconds = seconds.saturating_add(of_it);
        }
    }
    Ok(seconds)
}

/// Claims one shard: written down first, then sent.
async fn claim(context: &Arc<Context>, job: &JobContext, index: u32, offer: Offer) -> Result<Tried> {
    let shard = shard_ref(job.key, index);
    let Some(_busy) = context.take(Task::Shard(shard.shard)) else { return Ok(Tried::Lost) };
    if !context.journal.open_obligation(&shard, State::Claiming, offer.price)? {
        // An obligation of it is unfinished here, or it ended for good: the chain will tell which.
        return Ok(Tried::Leave(Skip::NothingOpen));
    }
    let min_price = context.config.min_price;
    let claim = ix::claim_shard(context.chain.me(), &job.key, &job.job, &context.provider, index, min_price);
    let order = Order { action: Action::ClaimShard, shard: Some(shard), instructions: &[claim], units: None };
    match context.chain.send(order).await {
        Ok(signature) => {
            // It landed: what can't be written down now, the chain tells again.
            context.noted(context.journal.advance(&shard.shard, State::Claimed));
            let account = context.chain.reader.shard(&job.key, index).await;
            // Told from what was offered where the account can't be read at this moment.
            let (price, collateral) = match account {
                Ok(Some(account)) => (account.price, account.collateral),
                _ => (offer.price, offer.collateral),
            };
            context.noted(context.journal.set_price(&shard.shard, price));
            context.tell(shard, Some(signature), What::Claimed { price, collateral });
            Ok(Tried::Claimed)
        }
        Err(error) if had_no_effect(&error) => {
            context.journal.advance(&shard.shard, State::GivenBack)?;
            match refusal(&error) {
                // A lost race is normal.
                Some(_) if overtaken(&error) => Ok(Tried::Lost),
                Some(AssayError::JobClosed) => Ok(Tried::Leave(Skip::JobClosed)),
                Some(AssayError::MarketPaused) => Ok(Tried::Leave(Skip::MarketPaused)),
                Some(AssayError::PriceTooLow) => {
                    Ok(Tried::Leave(Skip::PriceTooLow { price: offer.price, minimum: min_price }))
                }
                Some(AssayError::StakeTooSmall) => {
                    Ok(Tried::Leave(Skip::NotEnoughStake { free: 0, needed: offer.collateral }))
                }
                // Whatever a job is made of that makes its claims fail, it must not keep other jobs from being claimed.
                _ if matches!(error, WorkerError::Chain(ClientError::TransactionFailed { .. })) => {
                    Ok(Tried::Leave(Skip::Refused { why: told(&error) }))
                }
                _ => Err(error),
            }
        }
        // Its fate is not known: the row stays and the next rounds find out.
        Err(error) => Err(error),
    }
}
