//! `assay job submit`: quote, upload, escrow.

use crate::{
    args::{self, Offer, SubmitCommand},
    context::{Context, MarketAt},
    error::{CliError, Exit, Result},
    job::asked::{Asked, asked},
    store,
    work::Work,
};
use assay_client::{ix, token};
use assay_migrations::programs::VERIFIER;
use assay_settlement::{
    constants::{MAX_WATCH_KEYS, NOBODY},
    instructions::JobRequest,
    seeds,
    state::{DeliveryMode, InputTree, Job, PAUSED, PUBLIC_RESULTS, RENTER_CHALLENGES, Silence},
};
use serde::Serialize;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;

/// What a job costs at most, shown before anything is paid.
#[derive(Clone, Debug, Serialize)]
pub struct Quote {
    /// Shards.
    pub shards: u32,
    /// First price of a shard, base units.
    pub price_start: u64,
    /// Last price of a shard, base units.
    pub price_max: u64,
    /// What is escrowed, and the most that the job can cost: price_max x shards, base units.
    pub escrow: u64,
    /// Rent of the job's accounts, lamports; comes back when the job is closed.
    pub rent_lamports: u64,
    /// Bytes of the inputs to upload.
    pub input_bytes: u64,
    /// Bytes of the result.
    pub result_bytes: u64,
    /// What comes back, when.
    pub refund: &'static str,
    /// What delivery means for the price.
    pub delivery: &'static str,
}

const REFUND: &str = "Shards that nobody claims are refunded when the job expires or is cancelled; of a shard that is claimed below the \
    maximum the difference is yours; a shard that is proven wrong or not proven in time is refunded in full, with compensation out of the provider's \
    collateral. The market's fee comes out of the provider's price. Network fees (fractions of a cent) are not refunded.";

/// How it is decided whether the result arrived, who may challenge, and who is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How delivery decides who gets the price.
    pub delivery: DeliveryMode,
    /// What the attestor's silence means.
    pub silence: Silence,
    /// The attestor, under attested delivery.
    pub attestor: Option<Pubkey>,
    /// `RENTER_CHALLENGES`, `PUBLIC_RESULTS`.
    pub flags: u8,
}

impl Default for Terms {
    fn default() -> Self {
        Self { delivery: DeliveryMode::None, silence: Silence::Pay, attestor: None, flags: 0 }
    }
}

impl Terms {
    fn of(offer: &Offer) -> Result<Self> {
        let delivery = match offer.delivery {
            args::Delivery::None => DeliveryMode::None,
            args::Delivery::Ledger => DeliveryMode::Ledger,
            args::Delivery::Attested => DeliveryMode::Attested,
        };
        let attested = delivery == DeliveryMode::Attested;
        if attested != offer.attestor.is_some() || (offer.silence.is_some() && !attested) {
            return Err(CliError::usage(
                "--delivery attested takes --attestor, and --attestor and --silence are for --delivery attested only. Nothing was sent or paid",
            ));
        }
        let silence = match offer.silence {
            Some(args::Silence::Refund) => Silence::Refund,
            Some(args::Silence::Pay) | None => Silence::Pay,
        };
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = flag(offer.only_renter_challenges, RENTER_CHALLENGES) | flag(offer.public_results, PUBLIC_RESULTS);
        Ok(Self { delivery, silence, attestor: offer.attestor, flags })
    }

    fn words(&self) -> &'static str {
        match (self.delivery, self.silence) {
            (DeliveryMode::None, _) => "Delivery is not asked: a shard is paid once it is proven.",
            (DeliveryMode::Ledger, _) => {
                "While a shard can be challenged you can have up to 64 of its leaves posted to the chain, prepaid (`assay job demand-leaves`); if one is missing when it is due, the shard's price comes back to you."
            }
            (DeliveryMode::Attested, Silence::Pay) => {
                "A shard is paid unless its attestor says in time that the result did not arrive."
            }
            (DeliveryMode::Attested, Silence::Refund) => {
                "A shard is paid only if its attestor says in time that the result arrived. Few providers take such jobs."
            }
        }
    }
}

/// A job that was created.
#[derive(Clone, Copy, Debug)]
pub struct Created {
    /// Its address.
    pub address: Pubkey,
    /// The transaction.
    pub signature: Signature,
    /// Its number among the renter's jobs.
    pub nonce: u64,
}

/// Prices and durations of a job, in base units and seconds.
#[derive(Clone, Copy, Debug)]
pub struct Deal {
    /// First price of a shard.
    pub price_start: u64,
    /// Last price of a shard.
    pub price_max: u64,
    /// Seconds from the first price to the last.
    pub ramp_seconds: u32,
    /// Seconds from claim to commitment.
    pub execute_seconds: u32,
    /// Seconds until open shards are refunded.
    pub life_seconds: u32,
    /// Provider account that alone may claim; none for anyone.
    pub reserved_for: Option<Pubkey>,
    /// Delivery, challenges, serving.
    pub terms: Terms,
}

impl Deal {
    fn of(offer: &Offer, market: &MarketAt) -> Result<Self> {
        let price_max = market.parse(&offer.price)?;
        let price_start = match &offer.price_start {
            Some(text) => market.parse(text)?,
            None => (price_max / 2).max(1),
        };
        if price_start == 0 || price_start > price_max {
            return Err(CliError::usage(
                "the first price must be above 0 and not above --price. Nothing was sent or paid",
            ));
        }
        Ok(Self {
            price_start,
            price_max,
            ramp_seconds: offer.ramp,
            execute_seconds: offer.execute,
            life_seconds: offer.life,
            reserved_for: offer.reserved_for,
            terms: Terms::of(offer)?,
        })
    }
}

/// Runs the command.
///
/// # Errors
/// See [`CliError`]; up to the last step nothing was paid, and that step happens as a whole or not at all.
pub async fn run(context: &Context<'_>, command: &SubmitCommand) -> Result<()> {
    let Asked { work, locator, offer } = asked(command)?;
    let owner = context.keypair()?;
    let market = context.market().await?;
    if market.data.flags & PAUSED != 0 {
        return Err(CliError::new(
            Exit::Refused,
            "market-paused",
            "this market is paused: it takes no new jobs. Nothing was sent or paid. Try later or choose another with --market",
        ));
    }
    let deal = Deal::of(offer, &market)?;
    let quote = quote(context, &work, &deal).await?;
    context.require_tokens(&owner.pubkey(), &market, quote.escrow).await?;
    show(context, &market, &work, &quote);
    context.console.confirm("Create the job and pay the escrow?", offer.yes)?;
    let created = create(context, &owner, &market, &work, &deal, locator).await?;
    context.console.say(format!("job {}\ntransaction {}", created.address, created.signature));
    context.console.note(format!("Watch it: assay job status {}", created.address));
    context.console.document(&serde_json::json!({
        "job": created.address.to_string(),
        "nonce": created.nonce,
        "signature": created.signature.to_string(),
        "kernel": work.kernel.name(),
        "market": market.address.to_string(),
        "quote": quote,
    }))
}

/// What a job costs at most.
///
/// # Errors
/// The chain can't be read, or the sum is out of range.
pub async fn quote(context: &Context<'_>, work: &Work, deal: &Deal) -> Result<Quote> {
    let escrow = deal.price_max.checked_mul(u64::from(work.shards));
    let escrow = escrow.ok_or_else(|| {
        CliError::usage("price times shards is more than any token account holds. Nothing was sent or paid")
    })?;
    let rpc = context.reader.rpc();
    let job = rpc.minimum_balance(assay_settlement::state::space_of::<Job>()).await?;
    let vault = rpc.minimum_balance(token::ACCOUNT_BYTES).await?;
    let input_bytes = work.inputs.iter().fold(0u64, |sum, input| sum.saturating_add(input.bytes.len() as u64));
    Ok(Quote {
        shards: work.shards,
        price_start: deal.price_start,
        price_max: deal.price_max,
        escrow,
        rent_lamports: job.saturating_add(vault),
        input_bytes,
        result_bytes: work.result_bytes(),
        refund: REFUND,
        delivery: deal.terms.words(),
    })
}

fn show(context: &Context<'_>, market: &MarketAt, work: &Work, quote: &Quote) {
    context.console.note(format!(
        "{}: {} shards of {} leaves, {} bytes of result, {} bytes of input to upload\n\
         price of a shard: from {} to at most {} tokens\n\
         worst-case total: {} tokens in escrow, {} lamports of rent that come back\n{}\n{}",
        work.kernel.name(),
        quote.shards,
        work.shard_leaves,
        quote.result_bytes,
        quote.input_bytes,
        market.show(quote.price_start),
        market.show(quote.price_max),
        market.show(quote.escrow),
        quote.rent_lamports,
        quote.refund,
        quote.delivery,
    ));
}

/// Uploads the inputs, then creates the job and pays its escrow in one transaction.
///
/// # Errors
/// See [`CliError`].
pub async fn create(
    context: &Context<'_>,
    owner: &Keypair,
    market: &MarketAt,
    work: &Work,
    deal: &Deal,
    locator: &str,
) -> Result<Created> {
    if !work.inputs.is_empty() {
        store::upload(locator, &work.inputs).await?;
    }
    let key = owner.pubkey();
    let kernel = seeds::kernel(&VERIFIER, work.kernel.id());
    let kernel_data = context.reader.find_kernel(&kernel).await?;
    let kernel_data = kernel_data.ok_or_else(|| {
        CliError::not_found(
            "no-kernel",
            format!(
                "kernel {} is not registered on this chain. Nothing was paid. Run `assay market open`, or check --url",
                work.kernel.name()
            ),
        )
    })?;
    let nonce = context.reader.next_nonce(&key).await?;
    let request = JobRequest {
        nonce,
        price_start: deal.price_start,
        price_max: deal.price_max,
        ramp_seconds: deal.ramp_seconds,
        execute_seconds: deal.execute_seconds,
        life_seconds: deal.life_seconds,
        shard_leaves: work.shard_leaves,
        reserved_for: deal.reserved_for.unwrap_or(NOBODY),
        watch_keys: [NOBODY; MAX_WATCH_KEYS],
        locator: locator.trim_end_matches('/').to_owned(),
        inputs: work
            .inputs
            .iter()
            .map(|input| InputTree { root: input.root, bytes: input.bytes.len() as u64 })
            .collect(),
        params: work.params.clone(),
        delivery: deal.terms.delivery as u8,
        silence: deal.terms.silence as u8,
        attestor: deal.terms.attestor.unwrap_or(NOBODY),
        flags: deal.terms.flags,
    };
    let source = market.purse(&key);
    let address = seeds::job(&key, nonce);
    let instruction = ix::create_job(key, key, &market.address, &market.data, &kernel, &kernel_data, source, request);
    let signature = context.send(&[instruction], &[owner]).await.map_err(|mut error| {
        if error.code == "transaction-unknown" {
            error.message.push_str(&format!(
                ". The job would be {address}: see `assay job status {address}` before submitting again"
            ));
        }
        error
    })?;
    Ok(Created { address, signature, nonce })
}
