//! Looking for work: what pays most for the load that it is, inputs checked first, then one claim at a time.

use std::{
    collections::{BinaryHeap, HashMap, HashSet},
    mem::{Discriminant, discriminant},
    sync::Arc,
    time::{Duration, Instant},
};

use assay_client::{ClientError, ix};
use assay_settlement::{Job, Shard, error::AssayError};
use solana_pubkey::Pubkey;
use tokio::task::JoinHandle;

use crate::{
    chain::{Order, had_no_effect, overtaken, refusal, told},
    context::{Context, JobContext, Task, lock},
    eligibility::{Offer, Pay, Skip, View, order},
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
    /// Inputs on their way.
    fetching: HashMap<Pubkey, Fetch>,
}

/// Inputs on their way.
struct Fetch {
    /// Ends with the reason why not, if any.
    task: JoinHandle<Option<Skip>>,
    /// What the job pays: a better one takes its place.
    pay: Pay,
}

/// How one try to claim ended.
enum Tried {
    Claimed,
    /// Somebody else has it.
    Lost,
    /// Nothing more of this job now.
    Leave(Skip),
}

/// A job that may be claimed from: the most that it can pay, or what the shard pays that would be claimed.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Choice {
    pay: Pay,
    /// None: nobody has looked at its shards yet.
    found: Option<Found>,
}

/// A shard to claim.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    index: u32,
    collateral: u64,
}

/// Jobs by what they pay. Which shard of a job is open is asked only for those that may be the best: the most that a job can
/// pay is known before.
struct Choices(BinaryHeap<Choice>);

/// What is to be done next of the jobs that are left.
enum Best {
    /// To be looked at: no other pays more than this one may.
    Look(Pay),
    /// To be claimed: nothing that is left pays more.
    Claim(Pay, Found),
}

impl Choices {
    fn new(most: impl IntoIterator<Item = Pay>) -> Self {
        Self(most.into_iter().map(|pay| Choice { pay, found: None }).collect())
    }

    fn next(&mut self) -> Option<Best> {
        self.0.pop().map(|Choice { pay, found }| match found {
            None => Best::Look(pay),
            Some(found) => Best::Claim(pay, found),
        })
    }

    /// A job that was looked at: what its shard pays, which is not more than was thought.
    fn found(&mut self, pay: Pay, found: Found) {
        self.0.push(Choice { pay, found: Some(found) });
    }
}

/// What stays the same until something is claimed.
struct Round<'a> {
    view: View<'a>,
    /// Jobs that this round is done with.
    left: &'a mut HashSet<Pubkey>,
    jobs: &'a HashMap<Pubkey, Job>,
}

impl Hunt {
    fn skip(&mut self, context: &Context, job: Pubkey, reason: Skip) {
        // What ends by itself is wanted all the same.
        let passes =
            matches!(reason, Skip::Fetching | Skip::Inputs { .. } | Skip::NotEnoughSol { .. } | Skip::Loaded { .. });
        if !passes {
            lock(&context.wanted).remove(&job);
        }
        // Not worth a word.
        if reason == Skip::Fetching {
            return;
        }
        if self.told.insert((job, discriminant(&reason))) {
            context.events.tell(None, None, What::Skipped { job, reason });
        }
    }

    /// Claims up to `room` shards, those first that pay most for the load that they are. Returns how many.
    pub async fn round(&mut self, context: &Arc<Context>, room: usize) -> Result<usize> {
        let count = context.journal.losses_within(LOSSES_IN)?;
        if count >= LOSSES {
            return Err(WorkerError::TooManyLosses { count });
        }
        let reader = &context.chain.reader;
        let market = reader.market(&context.config.market).await?;
        let jobs: HashMap<Pubkey, Job> = reader.jobs_of_market(&context.config.market).await?.into_iter().collect();
        self.told.retain(|(job, _)| jobs.contains_key(job));
        self.later.retain(|job, _| jobs.contains_key(job));
        lock(&context.wanted).retain(|job| jobs.contains_key(job));
        let (mut claimed, mut left, mut lost) = (0usize, HashSet::new(), HashMap::<Pubkey, u32>::new());
        while claimed < room && !context.may_not_claim() {
            let provider = reader.provider(&context.provider).await?;
            let (now, operator) = (context.chain.now().await?, context.chain.me());
            let view = View {
                config: &context.config,
                operator: &operator,
                provider_key: &context.provider,
                provider: &provider,
                market: &market,
                now: &now,
                speeds: &context.speeds,
                queued_seconds: queued(context).await?,
            };
            match self.best(context, Round { view, left: &mut left, jobs: &jobs }).await? {
                None => break,
                Some((_, Tried::Claimed)) => claimed = claimed.saturating_add(1),
                Some((job, _)) => {
                    let lost = lost.entry(job).or_default();
                    *lost = lost.saturating_add(1);
                    if *lost >= RACES {
                        left.insert(job);
                    }
                }
            }
        }
        Ok(claimed)
    }

    /// Tries to claim the best shard there is, the next where that one can't be claimed now, and so on. None: there is none
    /// left. Otherwise things have changed: it was claimed, or somebody else has it.
    async fn best(&mut self, context: &Arc<Context>, round: Round<'_>) -> Result<Option<(Pubkey, Tried)>> {
        let Round { view, left, jobs } = round;
        let mut most = Vec::new();
        for (key, job) in jobs.iter().filter(|(key, _)| !left.contains(*key)).collect::<Vec<_>>() {
            match self.wants(context, &view, key, job)? {
                Ok(()) => most.push(view.most(*key, job)),
                Err(reason) => {
                    left.insert(*key);
                    self.skip(context, *key, reason);
                }
            }
        }
        let mut choices = Choices::new(most);
        while let Some(best) = choices.next() {
            // What the main loop decides meanwhile counts at once.
            if context.may_not_claim() {
                return Ok(None);
            }
            let (Best::Look(Pay { job: key, .. }) | Best::Claim(Pay { job: key, .. }, _)) = best;
            let Some(job) = jobs.get(&key) else { continue };
            let reason = match best {
                Best::Look(most) => match open(context, &view, &key, job).await? {
                    Ok((index, Offer { price, collateral, load })) => {
                        lock(&context.wanted).insert(key);
                        choices.found(Pay { price, load, ..most }, Found { index, collateral });
                        continue;
                    }
                    Err(reason) => reason,
                },
                Best::Claim(pay, found) => match self.one(context, job, pay, found).await? {
                    Tried::Leave(reason) => reason,
                    changed => return Ok(Some((key, changed))),
                },
            };
            left.insert(key);
            self.skip(context, key, reason);
        }
        Ok(None)
    }

    /// Whether a job is wanted, by everything that does not depend on the shard.
    fn wants(
        &self,
        context: &Context,
        view: &View<'_>,
        key: &Pubkey,
        job: &Job,
    ) -> Result<std::result::Result<(), Skip>> {
        if let Err(reason) = view.job(job) {
            return Ok(Err(reason));
        }
        if let Some(why) = context.uncomputable(key) {
            return Ok(Err(Skip::Uncomputable { why }));
        }
        Ok(if context.journal.losses_of(key)? > 0 { Err(Skip::LostBefore) } else { Ok(()) })
    }

    /// Claims one shard, where the job is not put off, its inputs are here and there are lamports for it.
    async fn one(&mut self, context: &Arc<Context>, job: &Job, pay: Pay, found: Found) -> Result<Tried> {
        let key = pay.job;
        if let Some((until, reason)) = self.later.get(&key)
            && Instant::now() < *until
        {
            return Ok(Tried::Leave(reason.clone()));
        }
        let known_job = context.remember_job(key, *job);
        let needed = context.lamports_to_claim(&job.terms).await?;
        let lamports = context.chain.reader.rpc().balance(&context.chain.me()).await?;
        if lamports < needed {
            return Ok(Tried::Leave(Skip::NotEnoughSol { lamports, needed }));
        }
        // Before anything is locked: the whole input is here and is what the job's roots say.
        if !known_job.inputs_at_hand() {
            let reason = self.fetch(context, known_job, pay).await?;
            return Ok(Tried::Leave(reason));
        }
        let offer = Offer { price: pay.price, collateral: found.collateral, load: pay.load };
        let tried = claim(context, &known_job, found.index, offer).await?;
        if let Tried::Leave(reason @ Skip::Refused { .. }) = &tried {
            self.put_off(key, reason.clone());
        }
        Ok(tried)
    }

    fn put_off(&mut self, job: Pubkey, reason: Skip) {
        let until = Instant::now().checked_add(PAUSE).unwrap_or_else(Instant::now);
        self.later.insert(job, (until, reason));
    }

    /// Fetches a job's inputs beside the hunt, so that a slow or hostile host keeps no other job waiting: neither one whose
    /// inputs are here, nor, where as many are fetched as may be, one that pays more.
    async fn fetch(&mut self, context: &Arc<Context>, job: Arc<JobContext>, pay: Pay) -> Result<Skip> {
        if let Some(fetch) = self.fetching.get_mut(&job.key).filter(|fetch| !fetch.task.is_finished()) {
            fetch.pay = pay;
            return Ok(Skip::Fetching);
        }
        // Out of the list before anything else: one that panicked must not be asked twice.
        if let Some(done) = self.fetching.remove(&job.key) {
            let ended = done.task.await.unwrap_or_else(|error| Some(Skip::Inputs { why: error.to_string() }));
            if let Some(reason) = ended {
                self.put_off(job.key, reason.clone());
                return Ok(reason);
            }
        }
        let running: Vec<Pay> =
            self.fetching.values().filter(|fetch| !fetch.task.is_finished()).map(|fetch| fetch.pay).collect();
        match place_for(&pay, &running, FETCHES) {
            Room::None => return Ok(Skip::Fetching),
            Room::InPlaceOf(other) => {
                if let Some(cheaper) = self.fetching.remove(&other) {
                    cheaper.task.abort();
                }
            }
            Room::Free => {}
        }
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
        self.fetching.insert(key, Fetch { task, pay });
        Ok(Skip::Fetching)
    }
}

/// Whether inputs may be fetched now.
#[derive(Debug, PartialEq, Eq)]
enum Room {
    Free,
    /// Where those of this job are given up, which pays least of those that are fetched and less than this one.
    InPlaceOf(Pubkey),
    None,
}

fn place_for(pay: &Pay, running: &[Pay], at_once: usize) -> Room {
    if running.len() < at_once {
        return Room::Free;
    }
    // What pays the same is not worth beginning anew for.
    let cheaper = running.iter().filter(|other| other.rate(pay).is_lt()).min();
    cheaper.map_or(Room::None, |cheaper| Room::InPlaceOf(cheaper.job))
}

/// The first shard of a job that is open and wanted, and what it would bring.
async fn open(
    context: &Context,
    view: &View<'_>,
    key: &Pubkey,
    job: &Job,
) -> Result<std::result::Result<(u32, Offer), Skip>> {
    let known: HashMap<u32, Shard> =
        context.chain.reader.shards_of_job(key).await?.into_iter().map(|(_, shard)| (shard.index, shard)).collect();
    let mut best = Skip::NothingOpen;
    for (index, shard) in order(key, job, &context.provider, &known) {
        // One whose fate is not known yet, or that ended while this was read.
        let row = context.journal.get(&shard_ref(*key, index).shard)?;
        if row.is_some_and(|row| row.state != State::GivenBack) {
            continue;
        }
        match view.shard(job, index, shard) {
            Ok(offer) => return Ok(Ok((index, offer))),
            Err(reason) => best = reason,
        }
    }
    Ok(Err(best))
}

/// Seconds until a device is free for one more shard: as many are computed at a time as there are devices, in turn.
async fn queued(context: &Context) -> Result<u64> {
    let mut seconds = 0u64;
    for row in context.journal.unfinished()? {
        if row.state < State::Computed {
            let job = context.job(&row.shard.job).await?;
            let of_it = context.speeds.seconds(&job.job.terms, row.shard.index).unwrap_or(0);
            seconds = seconds.saturating_add(of_it);
        }
    }
    Ok(seconds.div_ceil(u64::try_from(context.backend.lanes().max(1)).unwrap_or(u64::MAX)))
}

/// Claims one shard: written down first, then sent.
async fn claim(context: &Arc<Context>, job: &JobContext, index: u32, offer: Offer) -> Result<Tried> {
    let shard = shard_ref(job.key, index);
    let Some(_busy) = context.take(Task::Shard(shard.shard)) else { return Ok(Tried::Lost) };
    if !context.journal.open_obligation(&shard, State::Claiming, offer.price)? {
        // An obligation of it is unfinished here, or it ended for good: the chain will tell which.
        return Ok(Tried::Leave(Skip::NothingOpen));
    }
    let min_price = context.config.least_price(offer.load);
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

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "test code")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pay(job: u8, price: u64, load: u32, created_at: i64) -> Pay {
        Pay { price, load, created_at, job: Pubkey::new_from_array([job; 32]) }
    }

    #[test]
    fn a_better_jobs_inputs_come_before_a_cheaper_ones() {
        let slow = [pay(1, 10, 10, 5), pay(2, 10, 20, 5), pay(3, 10, 20, 4)];
        assert_eq!(place_for(&pay(9, 0, 10, 9), &slow[..2], 3), Room::Free);
        // Of the two that pay least the newer one, and neither for what pays no more.
        assert_eq!(place_for(&pay(9, 11, 20, 9), &slow, 3), Room::InPlaceOf(slow[1].job));
        assert_eq!(place_for(&pay(9, 10, 20, 1), &slow, 3), Room::None);
        assert_eq!(place_for(&pay(9, 9, 20, 1), &slow, 3), Room::None);
    }

    proptest! {
        /// Whatever jobs turn out to pay once their shards are known, they are claimed in that order, and none is looked at
        /// that could not have been better than what was claimed before.
        #[test]
        fn what_pays_most_is_claimed_first(
            jobs in prop::collection::vec((0u64..50, 0u64..50, 0u32..5, 0i64..3), 1..20),
        ) {
            let most: Vec<Pay> =
                jobs.iter().zip(0u8..).map(|((price, more, load, made), i)| pay(i, price + more, *load, *made)).collect();
            let actual = |job: &Pubkey| {
                let i = usize::from(job.to_bytes()[0]);
                Pay { price: jobs[i].0, ..most[i] }
            };
            let mut expected: Vec<Pay> = most.iter().map(|pay| actual(&pay.job)).collect();
            expected.sort_by(|a, b| b.cmp(a));
            let mut choices = Choices::new(most.clone());
            let mut claimed = Vec::new();
            while let Some(best) = choices.next() {
                match best {
                    Best::Look(most) => {
                        prop_assert!(claimed.iter().all(|claimed: &Pay| *claimed > most));
                        choices.found(actual(&most.job), Found { index: 0, collateral: 0 });
                    }
                    Best::Claim(pay, _) => claimed.push(pay),
                }
            }
            prop_assert_eq!(claimed, expected);
        }
    }
}
