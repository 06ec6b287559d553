//! How a daemon is to behave. Nothing secret is ever printed.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use assay_client::cluster::Cluster;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

/// Most bytes of all inputs of a job, by default.
pub const DEFAULT_MAX_INPUT_BYTES: u64 = 4 << 30;
/// Most bytes of a shard's result, by default.
pub const DEFAULT_MAX_RESULT_BYTES: u64 = 2 << 30;
/// Least seconds from claim to commitment, besides the computation itself, by default.
pub const DEFAULT_MIN_EXECUTE_SECONDS: u32 = 600;
/// Own cells computed again by the reference before a commitment, besides the first and the last.
pub const SELF_CHECK_CELLS: u32 = 14;

/// How a provider daemon makes sure. The defaults are for real chains; local ones may be faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How often the chain is searched for shards of this provider that the journal does not know.
    pub search: Duration,
    /// That a claim is gone counts when two reads so far apart say so: a node that lags behind may say it once.
    pub confirm: Duration,
    /// An evidence account that the journal does not know is closed when it was seen so long ago and is still there.
    pub sweep: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { search: Duration::from_secs(60), confirm: Duration::from_secs(60), sweep: Duration::from_secs(600) }
    }
}

/// Which jobs with attested delivery a provider takes: there a key that the renter named decides whether it is paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcceptAttested {
    /// None.
    No,
    /// Those that pay where the attestor says nothing.
    #[default]
    PayOnSilence,
    /// Those that give the price back where the attestor says nothing, too.
    All,
}

/// A provider daemon's configuration.
#[derive(Clone)]
pub struct ProviderConfig {
    /// The chain.
    pub cluster: Cluster,
    /// The hot key: one of the provider's operators; pays fees and rents. It can't withdraw. Of this worker alone: it
    /// closes evidence accounts of the key that its journal does not know and that stay.
    pub operator: Arc<Keypair>,
    /// The owner of the Provider account (cold; not needed to sign).
    pub owner: Pubkey,
    /// The market to work in.
    pub market: Pubkey,
    /// Verifier programs whose judgement this provider accepts.
    pub accepted_verifiers: Vec<Pubkey>,
    /// Least price of a shard, base units.
    pub min_price: u64,
    /// Least price of a shard for each second of its load, base units; 0 for none. Its load is the time that all its answers
    /// may take at the pace that the program expects (two seconds a transaction), and a provider can have only so much of it
    /// in work, about as long as the response time: without a least price, jobs that pay next to nothing can take up all of
    /// that. What a provider wants to earn in an hour of nothing but answering, divided by 3,600, is a good choice.
    pub min_price_per_load_second: u64,
    /// Most shards that are claimed and not yet committed at the same time.
    pub max_claims: usize,
    /// Most shards in work at the same time, from claim to settlement.
    pub max_obligations: usize,
    /// Where journal, inputs and results are kept.
    pub data_dir: PathBuf,
    /// Where results are served. The provider's account must name a URL that leads here.
    pub bind: SocketAddr,
    /// Work in markets whose terms lie below the program's floors (local chains and demonstrations).
    pub allow_experimental: bool,
    /// Take inputs from `file://` and from hosts on this machine or in private networks. Off: a job's locator, which a
    /// stranger wrote, can't make this worker look around behind its firewall.
    pub allow_local_urls: bool,
    /// Most bytes of all inputs of a job.
    pub max_input_bytes: u64,
    /// Most bytes of a shard's result, which is held in memory while it is computed.
    pub max_result_bytes: u64,
    /// Least seconds that a job must give from claim to commitment, besides three times what computing takes by this
    /// backend's measured speed. A renter who gives less could have claims expire on purpose and keep the penalties.
    pub min_execute_seconds: u32,
    /// Jobs in which an attestor decides whether the price is paid.
    pub accept_attested: AcceptAttested,
    /// How often the chain is asked. Subscriptions make it faster, never slower.
    pub poll: Duration,
    /// How often it is made sure that nothing was overlooked, and how long before it counts.
    pub pace: Pace,
    /// How long results of finished shards are kept and served.
    pub keep_results: Duration,
    /// Compute own cells again by the reference before committing them, and test the backend at start.
    ///
    /// **Dangerous when false**: a wrong result that is committed costs the collateral. Off only where a test or a
    /// demonstration wants a forger; the CLI refuses it anywhere but on a local chain.
    pub self_check: bool,
}

impl ProviderConfig {
    /// A configuration with careful defaults; what has none is asked for.
    pub fn new(cluster: Cluster, operator: Arc<Keypair>, owner: Pubkey, market: Pubkey, data_dir: PathBuf) -> Self {
        Self {
            cluster,
            operator,
            owner,
            market,
            accepted_verifiers: Vec::new(),
            min_price: 1,
            min_price_per_load_second: 0,
            max_claims: 1,
            max_obligations: 64,
            data_dir,
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            allow_experimental: false,
            allow_local_urls: false,
            max_input_bytes: DEFAULT_MAX_INPUT_BYTES,
            max_result_bytes: DEFAULT_MAX_RESULT_BYTES,
            min_execute_seconds: DEFAULT_MIN_EXECUTE_SECONDS,
            accept_attested: AcceptAttested::default(),
            poll: Duration::from_secs(5),
            pace: Pace::default(),
            keep_results: Duration::from_secs(30 * 86_400),
            self_check: true,
        }
    }
}

impl ProviderConfig {
    /// Least price of a shard that loads the provider with so many seconds, base units.
    pub fn least_price(&self, load: u32) -> u64 {
        self.min_price.max(self.min_price_per_load_second.saturating_mul(u64::from(load)))
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderConfig")
            .field("cluster", &self.cluster)
            .field("operator", &self.operator.pubkey())
            .field("owner", &self.owner)
            .field("market", &self.market)
            .field("accepted_verifiers", &self.accepted_verifiers)
            .field("min_price", &self.min_price)
            .field("min_price_per_load_second", &self.min_price_per_load_second)
            .field("max_claims", &self.max_claims)
            .field("max_obligations", &self.max_obligations)
            .field("data_dir", &self.data_dir)
            .field("bind", &self.bind)
            .field("allow_experimental", &self.allow_experimental)
            .field("allow_local_urls", &self.allow_local_urls)
            .field("max_input_bytes", &self.max_input_bytes)
            .field("max_result_bytes", &self.max_result_bytes)
            .field("min_execute_seconds", &self.min_execute_seconds)
            .field("accept_attested", &self.accept_attested)
            .field("poll", &self.poll)
            .field("pace", &self.pace)
            .field("keep_results", &self.keep_results)
            .field("self_check", &self.self_check)
            .finish()
    }
}

/// What a validator does besides checking results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cranks {
    /// Slash shards with a demanded cell past its due time (pays a bounty), or with a challenge past its due time (pays a
    /// bounty to its challenger).
    pub slash_unanswered: bool,
    /// Roll draw windows that aged out unrecorded (pays a bounty when it uses up the lock).
    pub roll: bool,
    /// End claims whose time is over, so that the shard can be claimed anew.
    pub expire: bool,
    /// Move the debts of slashed shards, whoever convicted them.
    pub seize: bool,
    /// Settle what is proven, for its provider.
    pub settle: bool,
}

impl Default for Cranks {
    fn default() -> Self {
        Self { slash_unanswered: true, roll: true, expire: true, seize: true, settle: false }
    }
}

/// A validator daemon's configuration.
#[derive(Clone)]
pub struct ValidatorConfig {
    /// The chain.
    pub cluster: Cluster,
    /// Pays fees and the rent of evidence, and receives bounties.
    pub keypair: Arc<Keypair>,
    /// The market to watch.
    pub market: Pubkey,
    /// Only these jobs; empty for all of the market.
    pub jobs: Vec<Pubkey>,
    /// Verifier programs whose kernels are the ones that this version computes: results of jobs of others are not
    /// checked, since the same number may name another function there. Their cranks are turned all the same.
    pub accepted_verifiers: Vec<Pubkey>,
    /// Share of a shard's leaves that is computed again: 1 for all, less for a random choice of them.
    pub rate: f64,
    /// Fetch from hosts on this machine or in private networks, and `file://`. See [`ProviderConfig`].
    pub allow_local_urls: bool,
    /// Most bytes of a job's inputs, and of a shard's result.
    pub max_bytes: u64,
    /// How often the chain is asked.
    pub poll: Duration,
    /// What else it does.
    pub cranks: Cranks,
    /// Challenge a wrong cell before adjudicating it, where its evidence goes inline: whoever sees that on its way could
    /// send it first and take the bounty. The bond comes back with the conviction.
    pub challenge_first: bool,
    /// Most base units that are in bonds of this key at a time. What does not fit is adjudicated without a challenge.
    pub max_bonds: u64,
}

impl ValidatorConfig {
    /// A configuration with careful defaults.
    pub fn new(cluster: Cluster, keypair: Arc<Keypair>, market: Pubkey) -> Self {
        Self {
            cluster,
            keypair,
            market,
            jobs: Vec::new(),
            accepted_verifiers: Vec::new(),
            rate: 1.0,
            allow_local_urls: false,
            max_bytes: DEFAULT_MAX_INPUT_BYTES,
            poll: Duration::from_secs(5),
            cranks: Cranks::default(),
            challenge_first: true,
            max_bonds: u64::MAX,
        }
    }
}

impl fmt::Debug for ValidatorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidatorConfig")
            .field("cluster", &self.cluster)
            .field("keypair", &self.keypair.pubkey())
            .field("market", &self.market)
            .field("jobs", &self.jobs)
            .field("accepted_verifiers", &self.accepted_verifiers)
            .field("rate", &self.rate)
            .field("allow_local_urls", &self.allow_local_urls)
            .field("max_bytes", &self.max_bytes)
            .field("poll", &self.poll)
            .field("cranks", &self.cranks)
            .field("challenge_first", &self.challenge_first)
            .field("max_bonds", &self.max_bonds)
            .finish()
    }
}
