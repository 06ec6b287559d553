//! Renters and providers, each with a job of its own: no account that two of them write is left.

use anyhow::{Context, Result};
use assay_client::{ix, token};
use assay_kernels::escape_time;
use assay_localnet::Chain;
use assay_migrations::programs::VERIFIER;
use assay_settlement::{Job, Provider, instructions::JobRequest, seeds};
use assay_tests::stage::{Stage, USDC, profile, request};
use futures_util::{StreamExt, TryStreamExt, stream};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_system_interface::instruction::transfer;

use crate::flood::{Order, send};

const SOL: u64 = 1_000_000_000;
/// For rents and fees, of each wallet.
const LAMPORTS: u64 = 5 * SOL;
/// Of the market's mint, for each wallet.
const TOKENS: u64 = 10_000 * USDC;
/// Cells of a pixel each in a leaf; a shard has one leaf.
const LEAF: u32 = escape_time::PIXELS_PER_LEAF;

/// A renter with its job, and the provider for which the job is reserved.
pub struct Pair {
    /// The provider's hot key, which pays for all that is measured.
    pub operator: Keypair,
    /// The Provider account.
    pub provider: Pubkey,
    /// The Job account.
    pub job: Pubkey,
    /// What it held before the first claim.
    pub job_data: Job,
    /// What the Provider account held before the first claim.
    pub provider_data: Provider,
}

struct Keys {
    renter: Keypair,
    owner: Keypair,
    operator: Keypair,
}

/// The picture that every job draws: a leaf in each row.
pub fn params(shards: u32) -> escape_time::Params {
    let one = 1i64 << escape_time::FRACTION_BITS;
    escape_time::Params { width: LEAF, height: shards, max_iter: 200, x0: -2 * one, y0: -one, step: one / 64 }
}

/// Wallets, stakes and jobs of so many pairs.
pub async fn pairs(chain: &Chain, stage: &Stage, count: usize, shards: u32) -> Result<Vec<Pair>> {
    let rpc = stage.reader.rpc();
    let deployer = &stage.deployer;
    chain.airdrop(&deployer.pubkey(), (count as u64 + 1) * 3 * LAMPORTS).await?;
    let keys: Vec<Keys> =
        (0..count).map(|_| Keys { renter: Keypair::new(), owner: Keypair::new(), operator: Keypair::new() }).collect();

    let mut wallets = Vec::new();
    for Keys { renter, owner, operator } in &keys {
        let give = |to: &Keypair| transfer(&deployer.pubkey(), &to.pubkey(), LAMPORTS);
        wallets.push(Order {
            instructions: [renter, owner, operator].map(give).to_vec(),
            signers: vec![deployer],
            units: 10_000,
        });
        for to in [renter, owner] {
            let purse = token::associated(&to.pubkey(), &stage.mint);
            let make = token::create_associated(deployer.pubkey(), &to.pubkey(), &stage.mint);
            let mint = token::mint_to(&stage.mint, &purse, &deployer.pubkey(), TOKENS);
            wallets.push(Order { instructions: vec![make, mint], signers: vec![deployer], units: 100_000 });
        }
    }
    send(rpc, wallets).await.context("wallets")?;

    let (market, data) = (&stage.market, &stage.market_data);
    let register = keys.iter().map(|k| {
        let profile = profile(k.operator.pubkey(), "http://127.0.0.1:1");
        let register = ix::register_provider(k.owner.pubkey(), k.owner.pubkey(), market, data, profile);
        Order { instructions: vec![register], signers: vec![&k.owner], units: 100_000 }
    });
    send(rpc, register.collect()).await.context("providers")?;

    let kernel = seeds::kernel(&VERIFIER, 1);
    let kernel_data = stage.reader.kernel(&kernel).await?;
    let mut orders = Vec::new();
    for k in &keys {
        let provider = seeds::provider(market, &k.owner.pubkey());
        let account = stage.reader.provider(&provider).await?;
        let purse = token::associated(&k.owner.pubkey(), &stage.mint);
        let deposit = ix::deposit_stake(k.owner.pubkey(), &provider, &account, data, purse, TOKENS);
        orders.push(Order { instructions: vec![deposit], signers: vec![&k.owner], units: 100_000 });
        let asked = JobRequest {
            execute_seconds: 600,
            reserved_for: provider,
            ..request(0, params(shards).to_bytes().to_vec(), 1)
        };
        let key = k.renter.pubkey();
        let purse = token::associated(&key, &stage.mint);
        let create = ix::create_job(key, key, market, data, &kernel, &kernel_data, purse, asked);
        orders.push(Order { instructions: vec![create], signers: vec![&k.renter], units: 200_000 });
    }
    send(rpc, orders).await.context("stakes and jobs")?;

    let read = keys.into_iter().map(|Keys { renter, owner, operator }| async move {
        let provider = seeds::provider(market, &owner.pubkey());
        let job = seeds::job(&renter.pubkey(), 0);
        let (job_data, provider_data) = (stage.reader.job(&job).await?, stage.reader.provider(&provider).await?);
        Ok(Pair { operator, provider, job, job_data, provider_data })
    });
    stream::iter(read).buffered(16).try_collect().await
}
