//! Who takes part in the demo, and bringing them onto the chain.

use crate::{
    console::Console,
    context::{Context, MarketAt},
    demo::{forger::Forger, ledger::Purse},
    error::{CliError, Result},
    localnet::{WALLET_LAMPORTS, prepare},
    provider,
};
use assay_client::{Rpc, token};
use assay_kernels::executor::{Backend, Cpu};
use assay_localnet::{Chain, ports};
use assay_migrations::{fund, programs::VERIFIER};
use assay_settlement::seeds;
use assay_worker::{
    Events, Provider, ProviderConfig, Validator, ValidatorConfig, provider::Handle, validator::ValidatorHandle,
};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::{collections::HashSet, net::SocketAddr, path::Path, sync::Arc, time::Duration};

/// Windows of the demo's market, seconds.
pub const CHALLENGE_SECONDS: u32 = 20;
/// Time to answer a demanded cell, seconds: more than a busy machine needs.
pub const RESPONSE_SECONDS: u32 = 120;
/// How often the daemons ask the chain.
const POLL: Duration = Duration::from_millis(500);
/// Least seconds from claim to commitment: the demonstration's jobs are small and its renter is no stranger.
const MIN_EXECUTE_SECONDS: u32 = 10;
/// Base units of one token.
pub const UNIT: u64 = 1_000_000;
/// What the renter brings.
const RENTER_TOKENS: u64 = 100 * UNIT;
/// What each provider brings.
const PROVIDER_TOKENS: u64 = 20 * UNIT;
/// What an honest provider stakes.
const STAKE: u64 = 15 * UNIT;
/// What the forger stakes: as little as lets it work.
const FORGER_STAKE: u64 = 2 * UNIT;
/// Shards that an honest provider takes on at one time. Together with the forger's they are all of the demo's, so that
/// the forger gets some.
const OBLIGATIONS: usize = 5;
const FORGER_OBLIGATIONS: usize = 2;

/// A provider of the demo.
pub struct Worker {
    /// For people.
    pub name: &'static str,
    /// Cold key: stakes and withdraws.
    pub owner: Arc<Keypair>,
    /// Hot key: works.
    pub operator: Arc<Keypair>,
    /// Its Provider account.
    pub account: Pubkey,
    /// Whether it returns what it computed.
    pub honest: bool,
    port: u16,
}

/// Everybody.
pub struct Parties {
    /// Opens the market and mints the tokens.
    pub admin: Keypair,
    /// Pays for the jobs.
    pub renter: Keypair,
    /// Two honest ones and a forger.
    pub workers: Vec<Worker>,
    /// Checks.
    pub validator: Arc<Keypair>,
    /// The market.
    pub market: MarketAt,
    /// The token.
    pub mint: Pubkey,
}

impl Parties {
    /// Makes keys, mint and market, and gives everybody SOL and tokens.
    ///
    /// # Errors
    /// The chain refuses.
    pub async fn gather(context: &Context<'_>, chain: &Chain) -> Result<Self> {
        let (admin, renter, validator) = (Keypair::new(), Keypair::new(), Arc::new(Keypair::new()));
        chain.airdrop(&admin.pubkey(), WALLET_LAMPORTS).await?;
        let report = prepare(context, &admin, Keypair::new(), CHALLENGE_SECONDS, RESPONSE_SECONDS).await?;
        let data = context.reader.market(&report.market).await?;
        let market = MarketAt { address: report.market, data };
        let first_port = ports::free_block(3)?;
        let mut workers = Vec::new();
        for (name, port) in ["provider 1", "provider 2", "forger"].into_iter().zip(first_port..) {
            let owner = Arc::new(Keypair::new());
            let account = seeds::provider(&market.address, &owner.pubkey());
            workers.push(Worker {
                name,
                owner,
                operator: Arc::new(Keypair::new()),
                account,
                honest: name != "forger",
                port,
            });
        }
        let parties = Self { admin, renter, workers, validator, market, mint: report.mint };
        for wallet in parties.wallets().iter().filter(|wallet| **wallet != parties.admin.pubkey()) {
            chain.airdrop(wallet, WALLET_LAMPORTS).await?;
        }
        let fund = async |owner: Pubkey, amount: u64| {
            fund::mint_tokens(&context.sender, &parties.admin, &report.mint, &owner, amount).await
        };
        fund(parties.renter.pubkey(), RENTER_TOKENS).await?;
        fund(parties.validator.pubkey(), 0).await?;
        for worker in &parties.workers {
            fund(worker.owner.pubkey(), PROVIDER_TOKENS).await?;
        }
        Ok(parties)
    }

    /// The parties' own accounts: those that hold their SOL.
    pub fn wallets(&self) -> HashSet<Pubkey> {
        let mut all = HashSet::from([self.admin.pubkey(), self.renter.pubkey(), self.validator.pubkey()]);
        all.extend(self.workers.iter().flat_map(|worker| [worker.owner.pubkey(), worker.operator.pubkey()]));
        all
    }

    /// Lamports that everybody together gave out since the airdrops.
    ///
    /// # Errors
    /// The chain can't be read.
    pub async fn lamports_spent(&self, rpc: &Rpc) -> Result<u64> {
        let wallets: Vec<Pubkey> = self.wallets().into_iter().collect();
        let given = WALLET_LAMPORTS.saturating_mul(wallets.len() as u64);
        let held = rpc.accounts(&wallets).await?;
        let held = held.iter().flatten().fold(0u64, |sum, account| sum.saturating_add(account.lamports));
        Ok(given.saturating_sub(held))
    }

    /// Every token account there is, the vaults of `jobs` included.
    pub fn purses(&self, jobs: &[(String, Pubkey)]) -> Vec<Purse> {
        let own =
            |name: &str, key: Pubkey| Purse { name: name.to_owned(), account: token::associated(&key, &self.mint) };
        let mut purses = vec![own("renter", self.renter.pubkey())];
        for worker in &self.workers {
            purses.push(own(worker.name, worker.owner.pubkey()));
            purses.push(Purse { name: format!("{}, stake", worker.name), account: seeds::stake(&worker.account) });
        }
        purses.push(own("validator", self.validator.pubkey()));
        purses.push(Purse { name: "treasury".to_owned(), account: seeds::treasury(&self.market.address) });
        purses.extend(
            jobs.iter().map(|(name, job)| Purse { name: format!("escrow, {name}"), account: seeds::vault(job) }),
        );
        purses
    }

    /// Registers the providers and deposits their stakes.
    ///
    /// # Errors
    /// The chain refuses.
    pub async fn enrol(&self, context: &Context<'_>) -> Result<()> {
        for worker in &self.workers {
            let endpoint = format!("http://127.0.0.1:{}", worker.port);
            provider::enrol(context, &worker.owner, &self.market, &[worker.operator.pubkey()], &endpoint).await?;
            let stake = if worker.honest { STAKE } else { FORGER_STAKE };
            provider::stake(context, &worker.owner, &self.market, stake).await?;
        }
        Ok(())
    }

    /// An honest provider, a different one for each number in turn.
    ///
    /// # Errors
    /// There is none, which does not happen.
    pub fn honest(&self, number: usize) -> Result<&Worker> {
        let honest: Vec<&Worker> = self.workers.iter().filter(|worker| worker.honest).collect();
        let at = number.checked_rem(honest.len()).unwrap_or(0);
        honest.get(at).copied().ok_or_else(|| CliError::internal("the demo has no honest provider"))
    }
}

/// The running daemons.
pub struct Daemons {
    providers: Vec<Handle>,
    validator: ValidatorHandle,
}

impl Daemons {
    /// Starts the three providers, with their data under `folder`, and the validator. `listen` gets each one's name and
    /// events before it starts.
    ///
    /// # Errors
    /// One does not start.
    pub async fn start(
        context: &Context<'_>,
        parties: &Parties,
        folder: &Path,
        mut listen: impl FnMut(&'static str, &Events),
    ) -> Result<Self> {
        let mut providers = Vec::new();
        for worker in &parties.workers {
            let data = folder.join(worker.name.replace(' ', "-"));
            let mut config = ProviderConfig::new(
                context.cluster.clone(),
                worker.operator.clone(),
                worker.owner.pubkey(),
                parties.market.address,
                data,
            );
            config.accepted_verifiers = vec![VERIFIER];
            config.max_claims = OBLIGATIONS;
            config.min_execute_seconds = MIN_EXECUTE_SECONDS;
            config.max_obligations = if worker.honest { OBLIGATIONS } else { FORGER_OBLIGATIONS };
            config.bind = SocketAddr::from(([127, 0, 0, 1], worker.port));
            config.allow_experimental = true;
            config.allow_local_urls = true;
            config.poll = POLL;
            config.self_check = worker.honest;
            let backend: Arc<dyn Backend> = if worker.honest { Arc::new(Cpu) } else { Arc::new(Forger) };
            let events = Events::default();
            listen(worker.name, &events);
            providers.push(Provider::start_with(config, backend, events).await?);
        }
        let mut config =
            ValidatorConfig::new(context.cluster.clone(), parties.validator.clone(), parties.market.address);
        config.accepted_verifiers = vec![VERIFIER];
        config.allow_local_urls = true;
        config.poll = POLL;
        let events = Events::default();
        listen("validator", &events);
        let validator = Validator::start_with(config, Arc::new(Cpu), events).await?;
        Ok(Self { providers, validator })
    }

    /// Ends them all: everything is settled by now.
    ///
    /// # Errors
    /// One of them failed.
    pub async fn stop(self) -> Result<()> {
        for handle in &self.providers {
            handle.stop();
        }
        self.validator.stop();
        for handle in &self.providers {
            handle.join().await?;
        }
        self.validator.join().await?;
        Ok(())
    }
}

/// A demo that fails or is interrupted leaves no daemon behind.
impl Drop for Daemons {
    fn drop(&mut self) {
        for handle in &self.providers {
            handle.stop();
        }
        self.validator.stop();
    }
}

/// Tells apart what belongs to whom in lists of addresses.
pub fn name_of(parties: &Parties, account: &Pubkey) -> String {
    let worker = parties.workers.iter().find(|worker| worker.account == *account);
    worker.map_or_else(|| account.to_string(), |worker| worker.name.to_owned())
}

/// Console of the demo's own commands: their notes would disturb the display.
pub fn silent() -> Console {
    Console::new(false, false, Box::new(std::io::sink()), Box::new(std::io::sink()))
}
