//! Whole jobs on real chains: an initialised cluster, wallets with tokens, workers as they run for a provider. What the
//! tests of the daemons share.

use crate::artifacts;
use anyhow::{Context as _, Result, ensure};
use assay_client::{Cluster, Reader, ix, rpc::Rpc, send::SendOptions, send::Sender, token};
use assay_kernels::{
    executor::{Backend, Cpu, ExecError, Inputs},
    registry::AnyKernel,
};
use assay_localnet::{Chain, Embedded, EmbeddedOptions, Program};
use assay_migrations::{fund, programs::VERIFIER, setup, terms};
use assay_settlement::{
    Market, Terms,
    instructions::{JobRequest, ProviderProfile},
    seeds,
};
use assay_worker::{Handle, Pace, Provider, ProviderConfig};
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::{ops::Range, path::Path, sync::Arc, time::Duration};

/// One unit of the mint, base units.
pub const USDC: u64 = 1_000_000;

/// Computes right and alters one byte of every leaf, so that any check finds it.
pub struct Forger;

impl Backend for Forger {
    fn name(&self) -> String {
        "forger".to_owned()
    }

    fn run(&self, kernel: u16, params: &[u8], inputs: &Inputs, leaves: Range<u64>) -> Result<Vec<u8>, ExecError> {
        let mut bytes = Cpu.run(kernel, params, inputs, leaves)?;
        bytes.iter_mut().step_by(2).for_each(|byte| *byte ^= 0x55);
        Ok(bytes)
    }
}

/// A cluster that was initialised, and who pays for it.
pub struct Stage {
    /// Where it answers.
    pub cluster: Cluster,
    /// Sends to it.
    pub sender: Sender,
    /// Reads it.
    pub reader: Reader,
    /// Made mint and market.
    pub deployer: Keypair,
    /// The mint.
    pub mint: Pubkey,
    /// The market, experimental, with windows of seconds.
    pub market: Pubkey,
    /// Its account.
    pub market_data: Market,
    /// Base units in existence.
    pub minted: u64,
}

impl Stage {
    /// Makes mint, kernels and market; a second time to show that it changes nothing.
    pub async fn new(chain: &Chain) -> Result<Self> {
        Self::with_terms(chain, terms::experimental(10, 90)).await
    }

    /// [`Stage::new`] with other terms of the market.
    pub async fn with_terms(chain: &Chain, terms: Terms) -> Result<Self> {
        let cluster = chain.cluster().clone();
        let sender = Sender::new(&cluster);
        let reader = Reader::new(Rpc::new(&cluster));
        let deployer = Keypair::new();
        chain.airdrop(&deployer.pubkey(), 100_000_000_000).await?;
        let kernels: Vec<u16> = AnyKernel::ALL.iter().map(|kernel| kernel.id()).collect();
        let plan = setup::Plan {
            known_programs: None,
            mint: setup::MintPlan::New(Box::new(Keypair::new()), 6),
            kernels: &kernels,
            market_id: 0,
            terms,
            experimental: true,
        };
        let report = setup::initialise(&sender, &deployer, &plan).await?;
        let again = setup::initialise(
            &sender,
            &deployer,
            &setup::Plan { mint: setup::MintPlan::Existing(report.mint), ..plan },
        )
        .await?;
        ensure!(again.steps.iter().all(|step| step.signature.is_none()), "initialising twice changes nothing");
        let market_data = reader.market(&report.market).await?;
        Ok(Self { cluster, sender, reader, deployer, mint: report.mint, market: report.market, market_data, minted: 0 })
    }

    /// Sends and waits until it landed.
    pub async fn send(&self, instructions: &[Instruction], signers: &[&Keypair]) -> Result<()> {
        let signers: Vec<&(dyn Signer + Sync)> = signers.iter().map(|s| *s as &(dyn Signer + Sync)).collect();
        self.sender.send(instructions, &signers, SendOptions::default()).await?.landed()?;
        Ok(())
    }

    /// A wallet with SOL and tokens.
    pub async fn wallet(&mut self, chain: &Chain, tokens: u64) -> Result<Keypair> {
        let wallet = Keypair::new();
        chain.airdrop(&wallet.pubkey(), 20_000_000_000).await?;
        fund::mint_tokens(&self.sender, &self.deployer, &self.mint, &wallet.pubkey(), tokens).await?;
        self.minted = self.minted.checked_add(tokens).context("overflow")?;
        Ok(wallet)
    }

    /// Base units in a token account; 0 where there is none.
    pub async fn tokens(&self, account: &Pubkey) -> Result<u64> {
        let account = self.reader.rpc().account(account).await?;
        Ok(account.and_then(|a| token::amount(&a.data)).unwrap_or(0))
    }

    /// A provider with this stake.
    pub async fn register(&mut self, chain: &Chain, stake: u64) -> Result<Worker> {
        let owner = self.wallet(chain, stake).await?;
        let operator = Arc::new(Keypair::new());
        chain.airdrop(&operator.pubkey(), 20_000_000_000).await?;
        let profile = profile(operator.pubkey(), "http://127.0.0.1:1");
        let register = ix::register_provider(owner.pubkey(), owner.pubkey(), &self.market, &self.market_data, profile);
        self.send(&[register], &[&owner]).await?;
        let provider = seeds::provider(&self.market, &owner.pubkey());
        let data = self.reader.provider(&provider).await?;
        let from = token::associated(&owner.pubkey(), &self.mint);
        let deposit = ix::deposit_stake(owner.pubkey(), &provider, &data, &self.market_data, from, stake);
        self.send(&[deposit], &[&owner]).await?;
        Ok(Worker { owner, operator, provider })
    }

    /// Creates a job.
    pub async fn create(&self, renter: &Keypair, kernel: u16, request: JobRequest) -> Result<Pubkey> {
        let kernel = seeds::kernel(&VERIFIER, kernel);
        let kernel_data = self.reader.kernel(&kernel).await?;
        let source = token::associated(&renter.pubkey(), &self.mint);
        let key = renter.pubkey();
        let job = seeds::job(&key, request.nonce);
        let create = ix::create_job(key, key, &self.market, &self.market_data, &kernel, &kernel_data, source, request);
        self.send(&[create], &[renter]).await?;
        Ok(job)
    }
}

/// A provider and its keys.
pub struct Worker {
    /// The cold key.
    pub owner: Keypair,
    /// The hot key.
    pub operator: Arc<Keypair>,
    /// The Provider account.
    pub provider: Pubkey,
}

impl Worker {
    /// The hot key's address.
    pub fn operator_key(&self) -> Pubkey {
        self.operator.pubkey()
    }

    /// Starts the daemon and tells the chain where it serves.
    pub async fn start(&self, stage: &Stage, folder: &Path, backend: Arc<dyn Backend>, honest: bool) -> Result<Handle> {
        let config = ProviderConfig {
            accepted_verifiers: vec![VERIFIER],
            max_claims: 3,
            allow_experimental: true,
            allow_local_urls: true,
            min_execute_seconds: 10,
            poll: Duration::from_millis(500),
            pace: Pace {
                search: Duration::from_secs(2),
                confirm: Duration::from_secs(2),
                sweep: Duration::from_secs(5),
            },
            self_check: honest,
            ..ProviderConfig::new(
                stage.cluster.clone(),
                self.operator.clone(),
                self.owner.pubkey(),
                stage.market,
                folder.to_owned(),
            )
        };
        let handle = Provider::start(config, backend).await?;
        let endpoint = format!("http://{}", handle.serving());
        let update =
            ix::update_provider(self.owner.pubkey(), &stage.market, profile(self.operator.pubkey(), &endpoint));
        stage.send(&[update], &[&self.owner]).await?;
        Ok(handle)
    }
}

/// A provider's profile with one operator.
pub fn profile(operator: Pubkey, endpoint: &str) -> ProviderProfile {
    let mut operators = [Pubkey::default(); 4];
    operators[0] = operator;
    ProviderProfile { operators, encryption_key: [0; 32], endpoint: endpoint.to_owned() }
}

/// A job of an ordinary kind without inputs.
pub fn request(nonce: u64, params: Vec<u8>, shard_leaves: u64) -> JobRequest {
    JobRequest {
        nonce,
        price_start: USDC,
        price_max: 3 * USDC,
        ramp_seconds: 600,
        execute_seconds: 120,
        life_seconds: 3_600,
        shard_leaves,
        reserved_for: Pubkey::default(),
        watch_keys: [Pubkey::default(); 2],
        locator: String::new(),
        inputs: Vec::new(),
        params,
        ..JobRequest::default()
    }
}

/// Rows of `k` values, each padded to whole chunks of 1,024 bytes.
pub fn padded(rows: &[Vec<i8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in rows {
        bytes.extend(row.iter().map(|v| v.to_le_bytes()[0]));
        bytes.resize(bytes.len().next_multiple_of(1_024), 0);
    }
    bytes
}

/// The committed programs: settlement, verifier.
pub fn programs() -> [Vec<u8>; 2] {
    [artifacts::program("assay_settlement.so"), artifacts::program("assay_verifier.so")]
}

/// Both programs at their declared ids, immutable.
pub fn at_their_ids(elfs: &[Vec<u8>; 2]) -> [Program<'_>; 2] {
    [
        Program { id: assay_settlement::ID, elf: &elfs[0], upgrade_authority: None },
        Program { id: VERIFIER, elf: &elfs[1], upgrade_authority: None },
    ]
}

/// An embedded chain with both programs, 50 ms to a slot.
pub async fn embedded() -> Result<Chain> {
    embedded_with(Duration::from_millis(50)).await
}

/// An embedded chain with both programs.
pub async fn embedded_with(slot_time: Duration) -> Result<Chain> {
    let elfs = programs();
    let options = EmbeddedOptions { slot_time, ..EmbeddedOptions::default() };
    Ok(Chain::Embedded(Embedded::start(options, &at_their_ids(&elfs)).await?))
}
