//! Whole jobs on real chains: real workers over JSON-RPC and WebSocket, real result files, a forger, a validator, a
//! restart in the middle. On the embedded chain always; on the genuine Agave test validator when
//! `ASSAY_TEST_VALIDATOR` names one. The drawing of samples is computed again here, from the chain's slot hashes.

#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "test code")]

use anchor_lang::Discriminator;
use anyhow::{Context as _, Result, bail, ensure};
use assay_client::{answer::InputData, ix, token};
use assay_kernels::{
    escape_time,
    executor::{Backend as _, Cpu, Inputs},
    gemm_i8,
    hash::sha256,
};
use assay_localnet::{Chain, TestValidator};
use assay_migrations::programs::VERIFIER;
use assay_settlement::{
    DrawSeed, InputTree, Job, Kernel, Renter, ShardState, instructions::JobRequest, rules::judgement::Fault, seeds,
};
use assay_tests::stage::{Forger, Stage, USDC, at_their_ids, embedded, padded, programs, request};
use assay_worker::{Validator, ValidatorConfig};
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(300);

/// The seed of a draw window as protocol.md states it, from the sysvar's raw bytes; None when it is not all there.
fn seed_from(slot_hashes: &[u8], window: u64) -> Option<[u8; 32]> {
    let mut entries: Vec<(u64, [u8; 32])> = slot_hashes[8..]
        .chunks_exact(40)
        .map(|e| (u64::from_le_bytes(e[..8].try_into().unwrap()), e[8..].try_into().unwrap()))
        .collect();
    let count = usize::try_from(u64::from_le_bytes(slot_hashes[..8].try_into().unwrap())).unwrap();
    entries.truncate(count);
    entries.sort_unstable_by_key(|e| e.0);
    if entries.first()?.0 > window * 64 {
        return None;
    }
    let hashes: Vec<u8> = entries.iter().filter(|e| e.0 >= window * 64).take(12).flat_map(|e| e.1).collect();
    (hashes.len() == 12 * 32).then(|| sha256(&[b"assay:seed:v1", &window.to_le_bytes(), &hashes]))
}

/// The draw of a shard of equal cells as protocol.md states it.
fn drawn(seed: &[u8; 32], shard: &Pubkey, root: &[u8; 32], cells: u64, k: u8) -> Vec<u64> {
    (0..k)
        .map(|i| {
            let digest = sha256(&[b"assay:draw:v1", seed, shard.as_ref(), root, &[i]]);
            let x = u64::from_le_bytes(digest[..8].try_into().unwrap());
            u64::try_from((u128::from(x) * u128::from(cells)) >> 64).unwrap()
        })
        .collect()
}

/// Watches jobs until `done`, checking every draw against the slot hashes on the way.
struct Watch<'a> {
    stage: &'a Stage,
    seeds: BTreeMap<u64, bool>,
    draws: BTreeSet<Pubkey>,
}

impl Watch<'_> {
    async fn until(&mut self, jobs: &[Pubkey], what: &str, done: impl Fn(&[Job]) -> bool) -> Result<Vec<Job>> {
        let started = Instant::now();
        loop {
            let mut data = Vec::new();
            for job in jobs {
                data.push(self.stage.reader.job(job).await?);
                self.check_draws(job, data.last().context("just pushed")?).await?;
            }
            if done(&data) {
                return Ok(data);
            }
            if started.elapsed() > PATIENCE {
                let states: Vec<_> = data.iter().map(|j| (j.active, j.settled, j.slashed)).collect();
                bail!(
                    "{what} did not happen in {} seconds; (active, settled, slashed): {states:?}",
                    PATIENCE.as_secs()
                );
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }

    async fn check_draws(&mut self, job: &Pubkey, data: &Job) -> Result<()> {
        for (address, shard) in self.stage.reader.shards_of_job(job).await? {
            if shard.drawn == 0 {
                continue;
            }
            let recorded = self.stage.reader.draw_seed(shard.window).await?.context("drawn without a seed")?;
            if !self.seeds.contains_key(&shard.window) {
                let sysvar = Pubkey::from_str_const("SysvarS1otHashes111111111111111111111111111");
                let hashes = self.stage.reader.rpc().account(&sysvar).await?.context("no slot hashes")?;
                let expected = seed_from(&hashes.data, shard.window);
                ensure!(expected.is_none_or(|e| e == recorded.seed), "seed of window {}", shard.window);
                self.seeds.insert(shard.window, expected.is_some());
            }
            let cells =
                data.terms.shard(shard.index).context("no such shard")?.cells().map_err(|e| anyhow::anyhow!("{e}"))?;
            let expected = drawn(&recorded.seed, &address, &shard.root, cells, data.terms.samples);
            ensure!(shard.cells[..usize::from(shard.drawn)] == expected[..], "draw of shard {}", shard.index);
            self.draws.insert(address);
        }
        Ok(())
    }
}

async fn result(stage: &Stage, job: &Pubkey, data: &Job) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for index in 0..data.terms.shards {
        let shard = stage.reader.shard(job, index).await?.context("no shard")?;
        let provider = stage.reader.provider(&shard.provider).await?;
        let endpoint = assay_client::accounts::text(&provider.endpoint).to_owned();
        let url = format!("{endpoint}/v1/shards/{}/result", seeds::shard(job, index));
        bytes.extend(reqwest::get(url).await?.error_for_status()?.bytes().await?);
    }
    Ok(bytes)
}

async fn whole_jobs(chain: Chain) -> Result<()> {
    let mut stage = Stage::new(&chain).await?;
    let folder = tempfile::tempdir()?;
    let renter = stage.wallet(&chain, 100 * USDC).await?;
    let honest = stage.register(&chain, 200 * USDC).await?;
    let forger = stage.register(&chain, 20 * USDC).await?;
    let checker = Arc::new(stage.wallet(&chain, 0).await?);
    let stage = stage;

    let honest_folder = folder.path().join("honest");
    let worker = honest.start(&stage, &honest_folder, Arc::new(Cpu), true).await?;
    let mut config = ValidatorConfig::new(stage.cluster.clone(), checker.clone(), stage.market);
    config.accepted_verifiers = vec![VERIFIER];
    config.allow_local_urls = true;
    config.poll = Duration::from_millis(500);
    let validator = Validator::start(config, Arc::new(Cpu)).await?;

    // An image of three shards, the last one short.
    let image =
        escape_time::Params { width: 90, height: 31, max_iter: 200, x0: -(2 << 28), y0: -(1 << 28), step: 1 << 23 };
    // Only for the honest one: while its worker is down the forger must not take a shard of it.
    let asked = JobRequest { reserved_for: honest.provider, ..request(0, image.to_bytes().to_vec(), 18) };
    let picture = stage.create(&renter, 1, asked).await?;

    // A product of two shards whose rows take two chunks; inputs from files.
    let (m, n, k) = (12usize, 20usize, 1_500usize);
    let value = |seed: usize, i: usize| i8::from_le_bytes([sha256(&[&[seed as u8], &(i as u64).to_le_bytes()])[0]]);
    let a: Vec<Vec<i8>> = (0..m).map(|r| (0..k).map(|c| value(1, r * k + c)).collect()).collect();
    let bt: Vec<Vec<i8>> = (0..n).map(|r| (0..k).map(|c| value(2, r * k + c)).collect()).collect();
    let inputs_folder = folder.path().join("inputs");
    std::fs::create_dir(&inputs_folder)?;
    let mut inputs = Vec::new();
    for rows in [&a, &bt] {
        let data = InputData::new(padded(rows))?;
        let name: String = data.root().iter().map(|b| format!("{b:02x}")).collect();
        std::fs::write(inputs_folder.join(name), data.bytes())?;
        inputs.push(InputTree { root: data.root(), bytes: data.bytes().len() as u64 });
    }
    let params = gemm_i8::Params { m: m as u32, n: n as u32, k: k as u32 };
    let locator = format!("file://{}", inputs_folder.display());
    let asked =
        JobRequest { locator, inputs, reserved_for: honest.provider, ..request(1, params.to_bytes().to_vec(), 2) };
    let product = stage.create(&renter, 2, asked).await?;

    // The renter names cells of the product's first shard as soon as it is committed.
    let mut watch = Watch { stage: &stage, seeds: BTreeMap::new(), draws: BTreeSet::new() };
    let committed = Instant::now();
    while stage.reader.shard(&product, 0).await?.is_none_or(|s| s.state < ShardState::Committed as u8) {
        ensure!(committed.elapsed() < PATIENCE, "nobody committed the product's first shard");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    stage.send(&[ix::name_cells(renter.pubkey(), &product, 0, vec![5, 127])], &[&renter]).await?;

    // The worker dies in the middle of its obligations and comes back on the same folder.
    worker.stop();
    worker.join().await?;
    let worker = honest.start(&stage, &honest_folder, Arc::new(Cpu), true).await?;

    // A job that only the forger may claim.
    let forging = forger.start(&stage, &folder.path().join("forger"), Arc::new(Forger), false).await?;
    let reserved = JobRequest { reserved_for: forger.provider, ..request(2, image.to_bytes().to_vec(), 44) };
    let forged = stage.create(&renter, 1, reserved).await?;

    let jobs = [picture, product, forged];
    let all = watch.until(&jobs, "settling the honest shards and convicting the forger", |jobs| {
        (jobs[0].settled, jobs[1].settled, jobs[2].slashed) == (3, 2, 1)
    });
    let data = all.await?;
    ensure!(watch.draws.len() >= 5, "every settled shard was seen drawn");
    ensure!(watch.seeds.values().any(|verified| *verified), "at least one seed was computed from the slot hashes");
    let convicted = stage.reader.shard(&forged, 0).await?.context("no shard")?;
    ensure!(convicted.fault == Fault::WrongCell as u8, "slashed by re-execution, fault {}", convicted.fault);
    let named = stage.reader.shard(&product, 0).await?.context("no shard")?;
    ensure!(named.named == 2, "both named cells had to be answered before the settlement");

    // The results are what the mathematics says.
    let leaves = data[0].terms.leaves;
    let expected = Cpu.run(1, &image.to_bytes(), &Inputs::default(), 0..leaves)?;
    ensure!(result(&stage, &picture, &data[0]).await? == expected, "the picture is the reference's");
    let bytes = result(&stage, &product, &data[1]).await?;
    for (i, got) in bytes.chunks_exact(4).enumerate() {
        let (row, column) = (i / n, i % n);
        let sum: i32 = (0..k).map(|x| i32::from(a[row][x]) * i32::from(bt[column][x])).sum();
        ensure!(i32::from_le_bytes(got.try_into()?) == sum, "product at {row}, {column}");
    }
    ensure!(bytes.len() == 4 * m * n, "the product is whole");

    // Everyone gets out. The validator's bounty is paid by itself.
    let waited = Instant::now();
    while stage.reader.shard(&forged, 0).await?.is_some_and(|s| s.owed_bounty > 0) {
        ensure!(waited.elapsed() < PATIENCE, "the bounty was not paid");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    validator.stop();
    validator.join().await?;
    worker.drain();
    worker.join().await?;
    forging.drain();
    forging.join().await?;

    let destination = token::associated(&renter.pubkey(), &stage.mint);
    for job in &jobs {
        for (_, shard) in stage.reader.shards_of_job(job).await? {
            stage.send(&[ix::close_shard(job, shard.index, shard.rent_payer)], &[&renter]).await?;
        }
        let data = stage.reader.job(job).await?;
        stage.send(&[ix::close_job(job, &data, &stage.market, &stage.market_data, destination)], &[&renter]).await?;
        ensure!(stage.reader.find_job(job).await?.is_none(), "the job is closed");
    }
    for who in [&honest, &forger] {
        let data = stage.reader.provider(&who.provider).await?;
        ensure!(data.locked == 0 && data.active == 0, "nothing is locked any more");
        let to = token::associated(&who.owner.pubkey(), &stage.mint);
        let withdraw =
            ix::withdraw_stake(who.owner.pubkey(), &who.provider, &data, &stage.market_data, to, data.staked);
        let close = ix::close_provider(who.owner.pubkey(), &who.provider, &data, &stage.market_data, to);
        stage.send(&[withdraw, close], &[&who.owner]).await?;
    }
    let treasury = stage.tokens(&stage.market_data.treasury).await?;
    ensure!(treasury > 0, "the market earned its fees");
    let deployer = stage.deployer.pubkey();
    let purse = token::associated(&deployer, &stage.mint);
    let make = token::create_associated(deployer, &deployer, &stage.mint);
    let close = ix::close_market(deployer, &stage.market, &stage.market_data, purse);
    stage.send(&[make, close], &[&stage.deployer]).await?;
    // What is left for good are the kernels and the renter's count of jobs; seeds stay for 30 days.
    let all = stage.reader.rpc().program_accounts(&assay_settlement::ID, Vec::new()).await?;
    let stays = |data: &[u8]| {
        let kinds = [Kernel::DISCRIMINATOR, Renter::DISCRIMINATOR, DrawSeed::DISCRIMINATOR];
        kinds.iter().any(|kind| data.starts_with(kind))
    };
    let left: Vec<Pubkey> = all.iter().filter(|(_, account)| !stays(&account.data)).map(|(key, _)| *key).collect();
    ensure!(left.is_empty(), "{left:?} are left");
    let mut sum = stage.tokens(&purse).await?;
    for owner in [&renter, &honest.owner, &forger.owner, &checker] {
        sum += stage.tokens(&token::associated(&owner.pubkey(), &stage.mint)).await?;
    }
    let honest_now = stage.tokens(&token::associated(&honest.owner.pubkey(), &stage.mint)).await?;
    let forger_now = stage.tokens(&token::associated(&forger.owner.pubkey(), &stage.mint)).await?;
    let checker_now = stage.tokens(&token::associated(&checker.pubkey(), &stage.mint)).await?;
    ensure!(sum == stage.minted, "no unit was made or lost");
    ensure!(honest_now > 200 * USDC, "the honest provider earned");
    ensure!(forger_now < 20 * USDC, "the forger lost collateral");
    ensure!(checker_now > 0, "the validator got its bounty");
    chain.stop();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_jobs_on_the_embedded_chain() -> Result<()> {
    whole_jobs(embedded().await?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_jobs_on_the_agave_test_validator() -> Result<()> {
    let Some(path) = TestValidator::from_environment() else {
        eprintln!("skipped: ASSAY_TEST_VALIDATOR names no validator");
        return Ok(());
    };
    let elfs = programs();
    whole_jobs(Chain::TestValidator(TestValidator::start(&path, &at_their_ids(&elfs)).await?)).await
}
