//! What should be: every account that matters, every token and every lamport, kept by rules that were written from
//! protocol.md and not from the program. Counters that the program keeps (locks, work in progress) are sums here.

pub mod gate;
mod job;
mod ledger;
mod shard;

use crate::{
    cast::{self, Manner, Who},
    kind::Kind,
    time::{Moment, Time},
};
use assay_settlement::{Market as MarketData, Provider as ProviderData, Terms};
use solana_pubkey::Pubkey;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};

pub use gate::{Gate, Verdict, gone};
pub use job::{Job, Mode};
pub use ledger::Purse;
pub use shard::{Demand, Fault, Phase, Shard, Work};

/// Rent of the accounts, lamports.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rents {
    /// A token account.
    pub purse: u64,
    /// A Market.
    pub market: u64,
    /// A Provider.
    pub provider: u64,
    /// A Renter.
    pub renter: u64,
    /// A Job.
    pub job: u64,
    /// A Shard.
    pub shard: u64,
    /// A DrawSeed.
    pub seed: u64,
    /// A Challenge.
    pub challenge: u64,
    /// A Delivery.
    pub delivery: u64,
    /// A Kernel.
    pub kernel: u64,
}

/// A registered kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Its address.
    pub key: Pubkey,
    /// Its verifier.
    pub verifier: Pubkey,
    /// Its number in the verifier.
    pub number: u16,
    /// Who paid its rent, while it is registered.
    pub payer: Option<Who>,
    /// A, basis points.
    pub amplification: u64,
    /// Most bytes of evidence that a cell takes.
    pub evidence_bytes: u64,
    /// Transactions that answering a cell takes.
    pub answer_transactions: u64,
}

/// What became of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet.
    Open,
    /// The cell is right.
    Right,
    /// It is wrong, or nobody answered.
    Won,
}

/// A challenge of a cell.
#[derive(Clone, Copy, Debug)]
pub struct Challenge {
    /// Its address.
    pub key: Pubkey,
    /// Its vault.
    pub vault: Pubkey,
    /// Who put up the bond.
    pub by: Who,
    /// Who paid the rent.
    pub payer: Who,
    /// The provider that must answer.
    pub provider: usize,
    /// What became of it.
    pub answer: Answer,
    /// The bond, base units.
    pub bond: u64,
    /// When it was opened.
    pub opened: Moment,
    /// Its part of the provider's queue, seconds.
    pub unit: u64,
    /// Seconds until it is due.
    pub seconds: u64,
}

/// Leaves that a renter wants posted.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its address.
    pub key: Pubkey,
    /// Who paid the rent.
    pub payer: Who,
    /// Job-wide leaves, and whether each was posted.
    pub leaves: Vec<(u64, bool)>,
}

/// A market.
#[derive(Clone, Debug)]
pub struct Market {
    /// Its address.
    pub key: Pubkey,
    /// Number of its mint.
    pub mint: usize,
    /// What jobs are dealt under.
    pub terms: Terms,
    /// No new jobs and claims.
    pub paused: bool,
    /// Who may pause it and take its fees.
    pub authority: Who,
    /// Who may take it over.
    pub heir: Option<Who>,
    /// Whether its account exists.
    pub exists: bool,
    /// Its account as it was opened.
    pub data: Rc<MarketData>,
}

/// A provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its address.
    pub key: Pubkey,
    /// Number of its market.
    pub market: usize,
    /// Its owner.
    pub owner: Who,
    /// Whoever may claim for it.
    pub operators: BTreeSet<Who>,
    /// Whether its account exists.
    pub exists: bool,
    /// When it was registered, unix seconds.
    pub registered: i64,
    /// What is its own of its vault, base units.
    pub staked: u64,
    /// Record: shards settled, slashed, given back; earned and fees, base units.
    pub record: [u64; 5],
    /// Paid in less taken out, base units.
    pub invested: i128,
    /// Its account as it was registered.
    pub data: Rc<ProviderData>,
}

impl Provider {
    /// How it behaves.
    pub fn manner(&self) -> Manner {
        cast::manner(self.owner)
    }
}

/// A recorded seed.
#[derive(Clone, Copy, Debug)]
pub struct Seed {
    /// Who paid its rent.
    pub payer: Who,
    /// When it was recorded.
    pub recorded: Moment,
    /// The randomness.
    pub seed: [u8; 32],
}

/// An evidence account.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Who writes and uses it.
    pub owner: Who,
    /// Bytes of the account, header included.
    pub bytes: usize,
    /// The cell that it carries in steps: job, shard, cell, and the steps done.
    pub stepping: Option<(usize, u32, u64, u64)>,
}

/// What stands behind an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A token account.
    Purse,
    /// A market, by number.
    Market(usize),
    /// A provider, by number.
    Provider(usize),
    /// A job, by number.
    Job(usize),
    /// A shard, by job and index.
    Shard(usize, u32),
    /// A seed, by window.
    Seed(u64),
    /// A challenge, by job, shard and cell.
    Challenge(usize, u32, u64),
    /// A delivery, by job and shard.
    Delivery(usize, u32),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Model {
    /// The time.
    pub time: Time,
    /// Kinds of jobs.
    pub kinds: Rc<Vec<Kind>>,
    /// Rents.
    pub rents: Rents,
    /// Token accounts.
    pub purses: HashMap<Pubkey, Purse>,
    /// Lamports of everybody and of every account that the program made or that somebody sent lamports to.
    pub lamports: HashMap<Pubkey, u64>,
    /// Markets.
    pub markets: Vec<Market>,
    /// Providers.
    pub providers: Vec<Provider>,
    /// Jobs, closed ones too.
    pub jobs: Vec<Job>,
    /// Number of each renter's next job.
    pub nonces: BTreeMap<Who, u64>,
    /// Seeds.
    pub seeds: BTreeMap<u64, Seed>,
    /// Evidence accounts.
    pub evidence: BTreeMap<Pubkey, Evidence>,
    /// What stands behind the addresses.
    pub places: HashMap<Pubkey, Place>,
    /// Tokens that somebody sent to token accounts of the program of his own accord, base units.
    pub gifts: HashMap<Pubkey, u64>,
    /// Challenges, by job, shard and cell.
    pub challenges: BTreeMap<(usize, u32, u64), Challenge>,
    /// Deliveries, by job and shard.
    pub deliveries: BTreeMap<(usize, u32), Delivery>,
    /// The kernels.
    pub kernels: Vec<Kernel>,
    /// Base units of each mint that exist.
    pub supply: Vec<u64>,
}

impl Model {
    /// What a job computes.
    pub fn kind(&self, job: usize) -> &Kind {
        &self.kinds[self.jobs[job].kind]
    }

    /// The mint of a market.
    pub fn mint(&self, market: usize) -> Pubkey {
        cast::mint(self.markets[market].mint)
    }

    /// A person's token account for a market's mint.
    pub fn wallet(&self, who: Who, market: usize) -> Pubkey {
        cast::wallet(who, self.markets[market].mint)
    }

    /// A shard.
    pub fn shard(&self, job: usize, index: u32) -> &Shard {
        &self.jobs[job].shards[index as usize]
    }

    /// A shard, to change it.
    pub fn shard_mut(&mut self, job: usize, index: u32) -> &mut Shard {
        &mut self.jobs[job].shards[index as usize]
    }

    /// A job and its shard, or how their absence is refused.
    pub fn standing(&self, job: usize, index: u32) -> Result<(&Job, &Shard), Vec<u32>> {
        let found = &self.jobs[job];
        let shard = found.shards.get(index as usize).ok_or_else(gone)?;
        if found.exists && shard.payer.is_some() { Ok((found, shard)) } else { Err(gone()) }
    }

    /// What claims and debts hold of a provider's stake, base units; and its shards in work.
    pub fn locked(&self, provider: usize) -> (u64, u32) {
        let held = |s: &&Shard| {
            s.holder == provider
                && matches!(s.phase, Phase::Claimed | Phase::Committed | Phase::Sampled | Phase::Slashed)
        };
        let of_it = self.jobs.iter().filter(|j| j.exists).flat_map(|j| &j.shards).filter(held);
        of_it.fold((0, 0), |(lock, work), s| (lock + s.lock, work + u32::from(s.in_work())))
    }

    /// Seconds that answering the challenges of a provider takes: of its shards in work those that were not answered, and
    /// answered ones that exist and were opened since it registered.
    pub fn queued(&self, provider: usize) -> u64 {
        let since = self.providers[provider].registered;
        let answered = |c: &&Challenge| c.provider == provider && c.answer == Answer::Right && c.opened.time >= since;
        let paid_for: u64 = self.challenges.values().filter(answered).map(|c| c.unit).sum();
        let of_shards = |job: usize| self.jobs[job].shards.iter().filter(|s| s.holder == provider && s.in_work());
        let open = |job: usize| 2 * self.answer(job).0 * of_shards(job).map(|s| s.waiting).sum::<u64>();
        let here = self.living().filter(|job| self.jobs[*job].market == self.providers[provider].market);
        paid_for + here.filter(|job| of_shards(*job).next().is_some()).map(open).sum::<u64>()
    }

    /// Seconds that answering all cells takes that can be drawn or named of one shard of a job, and posting all leaves that can
    /// be demanded.
    pub fn load(&self, job: usize) -> u64 {
        let cells = self.samples(job) + self.markets[self.jobs[job].market].terms.named;
        let answers = 2 * self.answer(job).0 * u64::from(cells);
        let terms = &self.jobs[job].data.terms;
        let largest = terms.classes().iter().map(|c| u64::from(c.cells_per_leaf * c.cell_bytes)).max().unwrap_or(0);
        let opening = largest + 32 * u64::from(terms.shard_leaves.next_power_of_two().trailing_zeros());
        let transactions = if opening > 800 { 3 + opening.div_ceil(900) } else { 1 };
        let ledger = u64::from(self.jobs[job].mode == Mode::Ledger);
        answers + ledger * terms.shard_leaves.min(64) * 2 * transactions
    }

    /// The same for all shards that a provider has in work.
    pub fn loaded(&self, provider: usize) -> u64 {
        let living = self.living().filter(|job| self.jobs[*job].market == self.providers[provider].market);
        let in_work = |job: usize| self.jobs[job].shards.iter().filter(|s| s.holder == provider && s.in_work()).count();
        living.map(|job| (job, in_work(job) as u64)).filter(|(_, n)| *n > 0).map(|(job, n)| n * self.load(job)).sum()
    }

    /// Claims load a provider of a market with less than this, seconds.
    pub fn load_limit(&self, market: usize) -> u64 {
        u64::from(self.markets[market].terms.response_seconds.max(3_600))
    }

    /// Whether a job takes no more claims, in a way that no halt can bring about.
    pub fn closed(&self, job: &Job) -> bool {
        job.cancelled || self.time.passed(job.created, u64::from(job.life))
    }

    /// Whether nothing can happen to any shard of a job any more.
    pub fn terminal(&self, job: &Job) -> bool {
        job.active() == 0 && (self.closed(job) || job.open() == 0)
    }

    /// What a job's vault must keep, base units.
    pub fn kept(&self, job: &Job) -> u64 {
        let open = if self.closed(job) { 0 } else { job.open() };
        let prepaid: u64 = job.shards.iter().map(|s| s.prepaid).sum();
        (job.active() + open) * job.prices.1 + prepaid + job.fees
    }

    /// Challenges of a shard that are in this state, by cell.
    pub fn challenged(&self, job: usize, index: u32, answer: Answer) -> Vec<u64> {
        let of_shard = self.challenges.range((job, index, 0)..=(job, index, u64::MAX));
        of_shard.filter(|(_, c)| c.answer == answer).map(|((_, _, cell), _)| *cell).collect()
    }

    /// The challenge of a cell that waits for its answer.
    pub fn open_challenge(&self, at: (usize, u32), cell: u64) -> Option<&Challenge> {
        self.challenges.get(&(at.0, at.1, cell)).filter(|c| c.answer == Answer::Open)
    }

    /// Demanded leaves of a shard that are not posted.
    pub fn missing_leaves(&self, at: (usize, u32)) -> usize {
        self.deliveries.get(&at).map_or(0, |d| d.leaves.iter().filter(|l| !l.1).count())
    }

    /// The kernel of a kind of job, registered or not.
    pub fn kernel_of(&self, kind: usize) -> &Kernel {
        let spec = &self.kinds[kind].spec;
        self.kernels.iter().find(|k| k.verifier == spec.verifier && k.number == spec.kernel).unwrap()
    }

    /// The kernel of a job.
    pub fn kernel(&self, job: usize) -> &Kernel {
        self.kernel_of(self.jobs[job].kind)
    }

    /// Transactions that answering a cell of a job takes, and KiB of evidence.
    pub fn answer(&self, job: usize) -> (u64, u64) {
        let (kernel, (transactions, kib)) = (self.kernel(job), self.kind(job).stated);
        let or = |stated: u16, declared: u64| if stated == 0 { declared } else { u64::from(stated) };
        (or(transactions, kernel.answer_transactions), or(kib, kernel.evidence_bytes.div_ceil(1_024)))
    }

    /// Cells that are drawn of a job's shards: with stages one of each, and one besides.
    pub fn samples(&self, job: usize) -> u8 {
        let (samples, stages) = (self.markets[self.jobs[job].market].terms.samples, self.kind(job).stages);
        if stages == 1 { samples } else { samples.max(u8::try_from(stages + 1).unwrap()) }
    }

    /// Jobs whose account exists.
    pub fn living(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.jobs.len()).filter(|job| self.jobs[*job].exists)
    }

    /// Writes a new job down.
    pub fn add_job(&mut self, mut job: Job, keys: Vec<Pubkey>) -> usize {
        let number = self.jobs.len();
        self.places.insert(job.key, Place::Job(number));
        for (index, key) in (0..).zip(keys) {
            self.places.insert(key, Place::Shard(number, index));
            job.shards.push(Shard::new(key));
        }
        self.jobs.push(job);
        number
    }
}
