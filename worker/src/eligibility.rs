//! Which jobs this provider takes, and why not the others. Plain functions over what the chain says.

use std::{cmp::Ordering, collections::HashMap};

use assay_client::answer::geometry;
use assay_kernels::registry;
use assay_settlement::{
    DeliveryMode, EXPERIMENTAL, Job, JobTerms, Market, PAUSED, PUBLIC_RESULTS, Provider, RENTER_CHALLENGES, Shard,
    ShardState, Silence,
    constants::NOBODY,
    rules::{load, money, time::Now},
};
use serde::Serialize;
use solana_pubkey::Pubkey;

use crate::{
    config::{AcceptAttested, ProviderConfig},
    effort::{Speeds, input_bytes, shard_bytes},
};

/// Why a job is left alone. Amounts in base units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Skip {
    /// The market is experimental and this worker does not work in such.
    #[error("the market is experimental: its terms may lie below the program's floors")]
    ExperimentalMarket,
    /// The market takes no claims.
    #[error("the market is paused")]
    MarketPaused,
    /// The job takes no claims any more.
    #[error("the job is cancelled or past its expiry")]
    JobClosed,
    /// Every shard is claimed or done.
    #[error("no shard of the job is open")]
    NothingOpen,
    /// For another provider.
    #[error("the job is reserved for another provider")]
    Reserved,
    /// This worker's key is none of the provider's operators.
    #[error("this worker's key is not an operator of the provider")]
    NotOperator,
    /// The verifier is not one that this provider accepts.
    #[error("the verifier is not one that this worker accepts")]
    UnknownVerifier,
    /// This version of the worker has no such kernel.
    #[error("this worker has no such kernel")]
    UnknownKernel,
    /// The worker's kernel cuts the job in another way than the chain does: another version of the kernel.
    #[error("this worker's kernel understands the job differently")]
    KernelDiffers,
    /// Terms of a newer version.
    #[error("the job has terms that this worker does not know")]
    UnknownTerms,
    /// A key that the renter named decides whether the price is paid, and this worker does not take such jobs.
    #[error("the job is paid only {}, which this worker does not take", attested(.pays_on_silence))]
    Attested {
        /// Whether it is paid where the attestor says nothing.
        pays_on_silence: bool,
    },
    /// The price is below this provider's minimum.
    #[error("the price is {price}, this worker's minimum is {minimum}")]
    PriceTooLow {
        /// Price now.
        price: u64,
        /// Least price that this worker takes.
        minimum: u64,
    },
    /// The stake that is not locked does not cover the collateral.
    #[error("the collateral is {needed}, of the stake {free} is free")]
    NotEnoughStake {
        /// Stake that nothing holds.
        free: u64,
        /// Collateral of a claim now.
        needed: u64,
    },
    /// With it, answering all that can be demanded of this provider could take longer than there is time.
    #[error(
        "answering what is and can be demanded may take {seconds} seconds, and {more} with this shard: {limit} in all are too many"
    )]
    Loaded {
        /// Seconds that all cells of the shards in work and the challenges take.
        seconds: u64,
        /// Seconds that all cells of this shard take.
        more: u64,
        /// What both must stay below.
        limit: u64,
    },
    /// The hot key could not pay for answering.
    #[error("answering may take {needed} lamports, this worker's key has {lamports}")]
    NotEnoughSol {
        /// Lamports of the hot key.
        lamports: u64,
        /// Lamports that claim and answers may take at a time.
        needed: u64,
    },
    /// The inputs can't be had, or are not the ones that the job names.
    #[error("the inputs can't be had: {why}")]
    Inputs {
        /// Why.
        why: String,
    },
    /// The inputs are on their way.
    #[error("the inputs are being fetched")]
    Fetching,
    /// The chain refused the claim for a reason that is not known here.
    #[error("the claim was refused: {why}")]
    Refused {
        /// What the chain said.
        why: String,
    },
    /// The job gives too little time to compute and commit, be it by mistake or to keep the penalty.
    #[error("the job gives {seconds} seconds to commit, this worker wants {needed}")]
    TooLittleTime {
        /// Seconds that the job gives.
        seconds: u64,
        /// Seconds that this worker wants: for what waits before it, for computing, and to spare.
        needed: u64,
    },
    /// More bytes than this worker takes.
    #[error("the {what} have {bytes} bytes, this worker takes {limit}")]
    TooLarge {
        /// Inputs or results.
        what: &'static str,
        /// Bytes of them.
        bytes: u64,
        /// Most bytes that this worker takes.
        limit: u64,
    },
    /// The backend failed to compute the kernel's speed test.
    #[error("this worker does not know how long the kernel takes on its backend")]
    SpeedUnknown,
    /// A claim of it has ended without a commitment before.
    #[error("an earlier claim of this job was given back or has expired")]
    LostBefore,
    /// An earlier try to compute a shard of it failed.
    #[error("this worker can't compute the job: {why}")]
    Uncomputable {
        /// Why.
        why: String,
    },
}

/// When a job with attested delivery is paid.
fn attested(pays_on_silence: &bool) -> &'static str {
    if *pays_on_silence { "where its attestor does not object" } else { "where its attestor agrees" }
}

/// What a claim would be worth now. Base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Price.
    pub price: u64,
    /// What it would lock.
    pub collateral: u64,
    /// What it would load the provider with, seconds.
    pub load: u32,
}

/// How much a job pays for how much of what a provider can have in work. The greatest is taken first.
#[derive(Clone, Copy, Debug)]
pub struct Pay {
    /// Price, base units.
    pub price: u64,
    /// Load, seconds.
    pub load: u32,
    /// When the job was made, unix seconds: of two that pay the same the older comes first.
    pub created_at: i64,
    /// Its address, where nothing else decides.
    pub job: Pubkey,
}

impl Pay {
    /// Compares the price for each second of load alone.
    pub fn rate(&self, other: &Self) -> Ordering {
        // Of 64 and 32 bits: it fits.
        let scaled = |price: u64, load: u32| u128::from(price).saturating_mul(u128::from(load.max(1)));
        scaled(self.price, other.load).cmp(&scaled(other.price, self.load))
    }
}

impl Ord for Pay {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rate(other).then(other.created_at.cmp(&self.created_at)).then(other.job.cmp(&self.job))
    }
}

impl PartialOrd for Pay {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pay {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pay {}

/// What is known when a job is judged.
pub struct View<'a> {
    /// The worker's configuration.
    pub config: &'a ProviderConfig,
    /// The operator key.
    pub operator: &'a Pubkey,
    /// Address of the Provider account.
    pub provider_key: &'a Pubkey,
    /// The Provider account.
    pub provider: &'a Provider,
    /// The market.
    pub market: &'a Market,
    /// The chain's time.
    pub now: &'a Now,
    /// How fast the backend is.
    pub speeds: &'a Speeds,
    /// Seconds that computing the claims takes that are not computed yet.
    pub queued_seconds: u64,
}

impl View<'_> {
    /// Whether any shard of the job is wanted, by everything that does not depend on the shard.
    ///
    /// # Errors
    /// The reason why not.
    pub fn job(&self, job: &Job) -> Result<(), Skip> {
        let refuse = |skip: Skip, when: bool| if when { Err(skip) } else { Ok(()) };
        refuse(Skip::ExperimentalMarket, self.market.flags & EXPERIMENTAL != 0 && !self.config.allow_experimental)?;
        refuse(Skip::MarketPaused, self.market.flags & PAUSED != 0)?;
        refuse(Skip::JobClosed, !job.takes_claims(self.now))?;
        refuse(Skip::NothingOpen, job.open_shards().is_none_or(|open| open == 0))?;
        let reserved = job.terms.reserved_for;
        refuse(Skip::Reserved, reserved != NOBODY && reserved != *self.provider_key)?;
        refuse(Skip::NotOperator, !self.provider.is_operator(self.operator))?;
        refuse(Skip::UnknownVerifier, !self.config.accepted_verifiers.contains(&job.terms.verifier))?;
        delivery(&job.terms, self.config.accept_attested)?;
        let (bytes, limit) = (input_bytes(&job.terms), self.config.max_input_bytes);
        refuse(Skip::TooLarge { what: "inputs", bytes, limit }, bytes > limit)?;
        // The price of a shard that nobody has claimed is the highest.
        let (price, minimum) = (self.price(&job.terms, job.terms.created_at), self.least_price(&job.terms));
        refuse(Skip::PriceTooLow { price, minimum }, price < minimum)?;
        if !load::fits(self.provider, &job.terms) {
            let (waiting, limit) = (u64::from(self.provider.load_seconds), u64::from(load::limit(&job.terms)));
            let seconds = waiting.saturating_add(self.provider.queued_seconds);
            return Err(Skip::Loaded { seconds, more: u64::from(load::of_shard(&job.terms)), limit });
        }
        kernel(&job.terms)
    }

    /// The most that any shard of the job pays now: a shard that was given back has a price that began to rise later.
    pub fn most(&self, key: Pubkey, job: &Job) -> Pay {
        let t = &job.terms;
        Pay { price: self.price(t, t.created_at), load: load::of_shard(t), created_at: t.created_at, job: key }
    }

    fn price(&self, t: &JobTerms, from: i64) -> u64 {
        money::ramp_price(t.price_start, t.price_max, from, t.ramp_seconds, self.now.time).unwrap_or(0)
    }

    fn least_price(&self, terms: &JobTerms) -> u64 {
        self.config.least_price(load::of_shard(terms))
    }

    /// What claiming shard `index` would bring; `shard` is None for one that was never claimed.
    ///
    /// # Errors
    /// The time, the length of the result, the price or the stake.
    pub fn shard(&self, job: &Job, index: u32, shard: Option<&Shard>) -> Result<Offer, Skip> {
        let t = &job.terms;
        let (bytes, limit) = (shard_bytes(t, index).unwrap_or(u64::MAX), self.config.max_result_bytes);
        if bytes > limit {
            return Err(Skip::TooLarge { what: "results", bytes, limit });
        }
        let computing = self.speeds.seconds(t, index).ok_or(Skip::SpeedUnknown)?.saturating_add(self.queued_seconds);
        let seconds = u64::from(t.execute_seconds);
        // A third of what remains must do: machines are slower when they are hot, busy or throttled.
        let needed = computing.saturating_mul(3).saturating_add(u64::from(self.config.min_execute_seconds));
        if seconds < needed {
            return Err(Skip::TooLittleTime { seconds, needed });
        }
        let from = shard.filter(|shard| shard.claims > 0).map_or(t.created_at, |shard| shard.ramp_from);
        let (price, minimum) = (self.price(t, from), self.least_price(t));
        if price < minimum {
            return Err(Skip::PriceTooLow { price, minimum });
        }
        let free = self.provider.staked.saturating_sub(self.provider.locked);
        let collateral = money::collateral(price, t.collateral_bps, t.amplification_bps).unwrap_or(u64::MAX);
        if collateral > free {
            return Err(Skip::NotEnoughStake { free, needed: collateral });
        }
        Ok(Offer { price, collateral, load: load::of_shard(t) })
    }
}

/// Whether delivery under these terms is wanted.
///
/// # Errors
/// [`Skip::UnknownTerms`], [`Skip::Attested`].
fn delivery(terms: &JobTerms, accepted: AcceptAttested) -> Result<(), Skip> {
    if terms.flags & !(RENTER_CHALLENGES | PUBLIC_RESULTS) != 0 {
        return Err(Skip::UnknownTerms);
    }
    let (Some(mode), Some(silence)) = (terms.delivery(), terms.silence()) else { return Err(Skip::UnknownTerms) };
    let pays_on_silence = silence == Silence::Pay;
    let is_taken = match (mode, accepted) {
        // Posting what the renter demands is this worker's own to do.
        (DeliveryMode::None | DeliveryMode::Ledger, _) | (_, AcceptAttested::All) => true,
        (DeliveryMode::Attested, AcceptAttested::PayOnSilence) => pays_on_silence,
        (DeliveryMode::Attested, AcceptAttested::No) => false,
    };
    if is_taken { Ok(()) } else { Err(Skip::Attested { pays_on_silence }) }
}

/// Whether this version's kernel is the one that the chain cut the job with.
///
/// # Errors
/// [`Skip::UnknownKernel`], [`Skip::KernelDiffers`].
pub fn kernel(terms: &JobTerms) -> Result<(), Skip> {
    if registry::describe(terms.kernel_id).is_err() {
        return Err(Skip::UnknownKernel);
    }
    let ours = registry::geometry(terms.kernel_id, terms.params()).map_err(|_| Skip::KernelDiffers)?;
    let theirs = geometry(terms);
    let same = ours.inputs == theirs.inputs
        && ours.input_bytes == theirs.input_bytes
        && ours.used_classes() == theirs.used_classes()
        && ours.leaves() == Some(terms.leaves);
    if same { Ok(()) } else { Err(Skip::KernelDiffers) }
}

/// The open shards of a job in the order in which this provider tries them: from a place that differs from provider to
/// provider, so that they don't all want the same one. `known` has the shards that have an account.
pub fn order<'a>(
    job_key: &Pubkey,
    job: &Job,
    provider: &Pubkey,
    known: &'a HashMap<u32, Shard>,
) -> impl Iterator<Item = (u32, Option<&'a Shard>)> + use<'a> {
    let shards = job.terms.shards;
    let digest = assay_kernels::hash::sha256(&[provider.as_ref(), job_key.as_ref()]);
    let seed = digest.first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let first = seed.checked_rem(shards).unwrap_or(0);
    (first..shards).chain(0..first).filter_map(|index| match known.get(&index) {
        None => Some((index, None)),
        Some(shard) if shard.state() == Some(ShardState::Open) => Some((index, Some(shard))),
        Some(_) => None,
    })
}
