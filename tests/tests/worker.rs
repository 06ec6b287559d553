//! The provider daemon on a real chain: killed at any moment, with its folder lost, and draining.

#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]

use anyhow::{Context as _, Result, ensure};
use assay_client::answer::InputData;
use assay_kernels::{escape_time, executor::Cpu, gemm_i8};
use assay_settlement::{InputTree, ShardState, instructions::JobRequest};
use assay_tests::stage::{Stage, USDC, embedded, padded, request};
use assay_worker::{Event, What};
use rand::{Rng, SeedableRng, rngs::StdRng};
use solana_pubkey::Pubkey;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::broadcast;

const PATIENCE: Duration = Duration::from_secs(240);

fn image(width: u32) -> Vec<u8> {
    let params =
        escape_time::Params { width, height: 32, max_iter: 100, x0: -(2 << 28), y0: -(1 << 28), step: 1 << 23 };
    params.to_bytes().to_vec()
}

/// A worker that is killed again and again, now and then with everything on its disk, settles every shard all the
/// same: nothing is claimed and given back, nothing slashed, no window missed, no lamports left in evidence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment() -> Result<()> {
    let chain = embedded().await?;
    let mut stage = Stage::new(&chain).await?;
    let renter = stage.wallet(&chain, 200 * USDC).await?;
    let provider = stage.register(&chain, 300 * USDC).await?;
    let stage = stage;
    let folder = tempfile::tempdir()?;

    let picture = stage.create(&renter, 1, request(0, image(64), 2)).await?;
    let rows = |count: usize, length: usize, by: usize| -> Vec<Vec<i8>> {
        (0..count).map(|r| (0..length).map(|c| ((r * 31 + c * by) % 251) as u8 as i8).collect()).collect()
    };
    let files = folder.path().join("files");
    std::fs::create_dir(&files)?;
    let mut inputs = Vec::new();
    for input in [rows(16, 1_100, 7), rows(16, 1_100, 11)] {
        let data = InputData::new(padded(&input))?;
        let name: String = data.root().iter().map(|b| format!("{b:02x}")).collect();
        std::fs::write(files.join(name), data.bytes())?;
        inputs.push(InputTree { root: data.root(), bytes: data.bytes().len() as u64 });
    }
    let params = gemm_i8::Params { m: 16, n: 16, k: 1_100 }.to_bytes().to_vec();
    let asked = JobRequest { locator: format!("file://{}", files.display()), inputs, ..request(1, params, 1) };
    let product = stage.create(&renter, 2, asked).await?;

    let mut random = StdRng::seed_from_u64(7);
    let started = Instant::now();
    let data = folder.path().join("data");
    let mut kills = 0;
    loop {
        let worker = provider.start(&stage, &data, Arc::new(Cpu), true).await?;
        // Later runs are longer, so that it ends.
        let run = Duration::from_millis(random.random_range(50..1_500 + 100 * kills));
        let killed = tokio::time::timeout(run, worker.join()).await;
        ensure!(killed.is_err(), "it ended by itself: {killed:?}");
        worker.stop();
        worker.join().await?;
        kills += 1;
        if random.random_bool(0.2) {
            std::fs::remove_dir_all(&data)?;
        }
        let jobs = [stage.reader.job(&picture).await?, stage.reader.job(&product).await?];
        if jobs.iter().all(|job| job.settled == job.terms.shards) {
            break;
        }
        ensure!(started.elapsed() < PATIENCE, "not settled after {kills} kills: {:?}", jobs.map(|j| (j.active, j.settled, j.slashed)));
    }
    ensure!(kills > 3, "it was killed in the middle of its work");
    for job in [picture, product] {
        for (_, shard) in stage.reader.shards_of_job(&job).await? {
            ensure!(shard.claims == 1 && shard.rolls == 0 && shard.fault == 0, "shard {} of {job}", shard.index);
        }
    }
    let account = stage.reader.provider(&provider.provider).await?;
    ensure!((account.given_back, account.slashed, account.locked, account.active) == (0, 0, 0, 0));
    ensure!(account.settled == 8 + 4, "{} settled", account.settled);

    // One more start closes what the last kill left.
    let worker = provider.start(&stage, &data, Arc::new(Cpu), true).await?;
    let cleaned = Instant::now();
    while !left(&stage, &provider.operator_key()).await?.is_empty() {
        ensure!(cleaned.elapsed() < PATIENCE, "evidence accounts are left");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    worker.drain();
    worker.join().await?;
    chain.stop();
    Ok(())
}

/// Evidence accounts of a key.
async fn left(stage: &Stage, owner: &Pubkey) -> Result<Vec<Pubkey>> {
    let all = stage.reader.rpc().program_accounts(&assay_settlement::ID, Vec::new()).await?;
    let evidence = all.into_iter().filter(|(_, account)| {
        assay_settlement::instructions::evidence::header(&account.data).is_ok_and(|header| header.owner == *owner)
    });
    Ok(evidence.map(|(address, _)| address).collect())
}

async fn wait(events: &mut broadcast::Receiver<Event>, is: impl Fn(&What) -> bool) -> Result<()> {
    while !is(&tokio::time::timeout(PATIENCE, events.recv()).await??.what) {}
    Ok(())
}

/// Draining: what is claimed is finished, nothing new is claimed, and then it ends by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drains() -> Result<()> {
    let chain = embedded().await?;
    let mut stage = Stage::new(&chain).await?;
    let renter = stage.wallet(&chain, 200 * USDC).await?;
    let provider = stage.register(&chain, 300 * USDC).await?;
    let folder = tempfile::tempdir()?;
    let worker = provider.start(&stage, folder.path(), Arc::new(Cpu), true).await?;
    let mut events = worker.subscribe();
    // Inputs that can't be had are a reason not to claim, and no reason to stop.
    let bad = InputTree { root: [1; 32], bytes: 1_024 };
    let params = gemm_i8::Params { m: 1, n: 1, k: 1 }.to_bytes().to_vec();
    let asked = JobRequest { locator: "file:///nonexistent".to_owned(), inputs: vec![bad, bad], ..request(0, params, 1) };
    let unavailable = stage.create(&renter, 2, asked).await?;
    wait(&mut events, |what| matches!(what, What::Skipped { job, .. } if *job == unavailable)).await?;
    let job = stage.create(&renter, 1, request(1, image(128), 1)).await?;
    wait(&mut events, |what| matches!(what, What::Claimed { .. })).await?;
    worker.drain();
    tokio::time::timeout(PATIENCE, worker.join()).await??;
    let data = stage.reader.job(&job).await?;
    let shards = stage.reader.shards_of_job(&job).await?;
    ensure!(!shards.is_empty() && shards.len() < data.terms.shards as usize, "{} of {}", shards.len(), data.terms.shards);
    ensure!(shards.iter().all(|(_, shard)| shard.state() == Some(ShardState::Settled)), "every claim was finished");
    ensure!(stage.reader.job(&unavailable).await?.shard_accounts == 0, "nothing was claimed blindly");
    let status = worker.status();
    ensure!(status.stopped && status.obligations.is_empty(), "{status:?}");
    stage.reader.find_job(&job).await?.context("still there")?;
    chain.stop();
    Ok(())
}
