//! Looking for work: which jobs, which shard, inputs checked first, then one claim at a time.

use std::{
    sync::Arc,
    collections::{HashMap, HashSet},
    mem::{Discriminant, discriminant},
    time::{Duration, Instant},
};

use assay_client::ix;
use assay_settlement::{EVIDENCE_HEADER_BYTES, Job, Market, Provider, Shard, error::AssayError, space_of};
use solana_pubkey::Pubkey;

use crate::{
    chain::{Order, had_no_effect, overtaken, refusal},
    context::{Context, JobContext},
    eligibility::{Offer, Skip, View, order},
    error::{Result, WorkerError},
    events::{Action, What},
    journal::State,
    obligation::shard_ref,
};

/// Inputs that could not be had are tried again after this long.
const INPUTS_PAUSE: Duration = Duration::from_secs(15);
/// So many lost races for one job, and this round leaves it to the others.
const RACES: u32 = 8;
/// Lamports for the fees of a shard's life, priority fees included; some hundred transactions.
const FEES: u64 = 5_000_000;

/// What the hunt remembers from round to round.
#[derive(Default)]
pub(crate) struct Hunt {
    told: HashSet<(Pubkey, Discriminant<Skip>)>,
    inputs_later: HashMap<Pubkey, Instant>,
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
        if self.told.insert((job, discriminant(&reason))) {
            context.events.tell(None, None, What::Skipped { job, reason });
        }
    }

    /// Claims up to `room` shards. Returns how many.
    pub async fn round(&mut self, context: &Arc<Context>, room: usize) -> Result<usize> {
        let reader = &context.chain.reader;
        let market = reader.market(&context.config.market).await?;
        let mut jobs = reader.jobs_of_market(&context.config.market).await?;
        jobs.sort_by_key(|(key, job)| (job.terms.created_at, *key));
        let present: HashSet<Pubkey> = jobs.iter().map(|(key, _)| *key).collect();
        self.told.retain(|(job, _)| present.contains(job));
        self.inputs_later.retain(|job, _| present.contains(job));
        let mut claimed = 0usize;
        for (key, job) in &jobs {
            let mut lost = 0u32;
            while claimed < room && lost < RACES && !context.may_not_claim() {
                let provider = reader.provider(&context.provider).await?;
                match self.one(context, &market, &provider, key, job).await? {
                    Tried::Claimed => claimed = claimed.saturating_add(1),
                    Tried::Lost => lost = lost.saturating_add(1),
                    Tried::Leave(reason) => {
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
        };
        if let Err(reason) = view.job(job) {
            return Ok(Tried::Leave(reason));
        }
        if let Some(why) = context.uncomputable(key) {
            return Ok(Tried::Leave(Skip::Uncomputable { why }));
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
            match view.shard(job, shard) {
                Ok(offer) => {
                    chosen = Some((index, offer));
                    break;
                }
                Err(reason) => best = reason,
            }
        }
        let Some((index, offer)) = chosen else { return Ok(Tried::Leave(best)) };
        if self.inputs_later.get(key).is_some_and(|later| Instant::now() < *later) {
            return Ok(Tried::Leave(Skip::Inputs { why: "tried a moment ago".to_owned() }));
        }
        let known_job = context.remember_job(*key, *job);
        if let Some(reason) = self.sol(context, &known_job).await? {
            return Ok(Tried::Leave(reason));
        }
        // Before anything is locked: the whole input is here and is what the job's roots say.
        if let Err(error) = known_job.inputs(&context.fetcher, Some(&context.store)).await {
            return match error {
                WorkerError::Fetch { .. } | WorkerError::FetchMismatch { .. } | WorkerError::Job { .. } => {
                    let later = Instant::now().checked_add(INPUTS_PAUSE).unwrap_or_else(Instant::now);
                    self.inputs_later.insert(*key, later);
                    Ok(Tried::Leave(Skip::Inputs { why: error.to_string() }))
                }
                error => Err(error),
            };
        }
        claim(context, &known_job, index, offer).await
    }

    /// Whether the hot key could pay for the shard's rent and the largest evidence of an answer.
    async fn sol(&self, context: &Context, job: &JobContext) -> Result<Option<Skip>> {
        let rpc = context.chain.reader.rpc();
        let kernel = context.chain.reader.kernel(&job.job.terms.kernel).await?;
        let inputs: u64 = job.job.terms.input.iter().fold(0, |sum, input| sum.saturating_add(input.bytes));
        // Without inputs everything is inline; small inputs bound the evidence better than the kernel's limit.
        let evidence = match inputs {
            0 => 0,
            inputs => {
                let limit = u64::from(kernel.evidence_bytes_max).min(inputs.saturating_mul(2));
                let bytes = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(EVIDENCE_HEADER_BYTES);
                rpc.minimum_balance(bytes).await?
            }
        };
        let rent = rpc.minimum_balance(space_of::<Shard>()).await?;
        let needed = evidence.saturating_add(rent).saturating_add(FEES);
        let lamports = rpc.balance(&context.chain.me()).await?;
        Ok((lamports < needed).then_some(Skip::NotEnoughSol { lamports, needed }))
    }
}

/// Claims one shard: written down first, then sent.
async fn claim(context: &Arc<Context>, job: &JobContext, index: u32, offer: Offer) -> Result<Tried> {
    let shard = shard_ref(job.key, index);
    let Some(_busy) = context.take(shard.shard) else { return Ok(Tried::Lost) };
    if !context.journal.open_obligation(&shard, State::Claiming, offer.price)? {
        // An obligation of it is unfinished here, or it ended for good: the chain will tell which.
        return Ok(Tried::Leave(Skip::NothingOpen));
    }
    let min_price = context.config.min_price;
    let claim = ix::claim_shard(context.chain.me(), &job.key, &job.job, &context.provider, index, min_price);
    let order = Order { action: Action::ClaimShard, shard: Some(shard), instructions: &[claim], units: None };
    match context.chain.send(order).await {
        Ok(signature) => {
            context.journal.advance(&shard.shard, State::Claimed)?;
            let account = context.chain.reader.shard(&job.key, index).await;
            // Told from what was offered where the account can't be read at this moment.
            let (price, collateral) = match account {
                Ok(Some(account)) => (account.price, account.collateral),
                _ => (offer.price, offer.collateral),
            };
            context.journal.set_price(&shard.shard, price)?;
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
                _ => Err(error),
            }
        }
        // Its fate is not known: the row stays and the next rounds find out.
        Err(error) => Err(error),
    }
}
