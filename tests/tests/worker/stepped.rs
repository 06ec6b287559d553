//! Cells that take several transactions: the daemons bring them before the judge step by step.

use anyhow::{Context as _, Result, ensure};
use assay_client::answer::InputData;
use assay_kernels::{executor::Cpu, gemm_i8};
use assay_migrations::programs::VERIFIER;
use assay_settlement::{InputTree, ShardState, instructions::JobRequest, rules::judgement::Fault};
use assay_tests::stage::{Forger, Stage, USDC, embedded, padded, request};
use assay_worker::{Action, Event, Events, Validator, ValidatorConfig, What};
use solana_signer::Signer;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::broadcast;

use super::{PATIENCE, left};

/// One element of 40,000 products, which takes two steps; its inputs as files in `folder`.
fn long_row(folder: &Path) -> Result<JobRequest> {
    const K: u32 = 40_000;
    let files = folder.join("files");
    std::fs::create_dir(&files)?;
    let mut inputs = Vec::new();
    for by in [7, 11] {
        let row: Vec<i8> = (0..K).map(|at| (at * by % 251) as u8 as i8).collect();
        let data = InputData::new(padded(&[row]))?;
        let name: String = data.root().iter().map(|b| format!("{b:02x}")).collect();
        std::fs::write(files.join(name), data.bytes())?;
        inputs.push(InputTree { root: data.root(), bytes: data.bytes().len() as u64 });
    }
    let params = gemm_i8::Params { m: 1, n: 1, k: K }.to_bytes().to_vec();
    let locator = format!("file://{}", files.display());
    Ok(JobRequest { locator, inputs, ..request(0, params, 1) })
}

/// What was sent until `last` was.
async fn sent(events: &mut broadcast::Receiver<Event>, last: Action) -> Result<Vec<Action>> {
    let mut sent = Vec::new();
    while sent.last() != Some(&last) {
        if let What::Sent { action } = tokio::time::timeout(PATIENCE, events.recv()).await??.what {
            sent.push(action);
        }
    }
    Ok(sent)
}

/// A worker that is killed between two steps goes on with the second one, out of the account of the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_two_steps() -> Result<()> {
    let chain = embedded().await?;
    let mut stage = Stage::new(&chain).await?;
    let renter = stage.wallet(&chain, 200 * USDC).await?;
    let provider = stage.register(&chain, 300 * USDC).await?;
    let stage = stage;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let worker = provider.start(&stage, &data, Arc::new(Cpu), true).await?;
    let mut events = worker.subscribe();
    let job = stage.create(&renter, 2, long_row(folder.path())?).await?;
    let before = sent(&mut events, Action::StepCell).await?;
    worker.stop();
    worker.join().await?;
    let evidence = left(&stage, &provider.operator_key()).await?;
    ensure!(evidence.len() == 1, "the state waits in one account: {evidence:?}");
    let shard = stage.reader.shard(&job, 0).await?.context("no shard")?;
    ensure!(shard.answered == 0, "it was killed in time: {shard:?}");

    let worker = provider.start(&stage, &data, Arc::new(Cpu), true).await?;
    let mut events = worker.subscribe();
    let after = sent(&mut events, Action::StepCell).await?;
    worker.drain();
    tokio::time::timeout(PATIENCE, worker.join()).await??;
    let count = |action| before.iter().chain(&after).filter(|sent| **sent == action).count();
    ensure!((count(Action::CreateEvidence), count(Action::StepCell)) == (1, 2), "{before:?} {after:?}");
    let shard = stage.reader.shard(&job, 0).await?.context("no shard")?;
    ensure!(shard.state() == Some(ShardState::Settled) && shard.fault == 0, "{shard:?}");
    ensure!(left(&stage, &provider.operator_key()).await?.is_empty(), "evidence is closed");
    chain.stop();
    Ok(())
}

/// A validator convicts a cell in steps, and closes what it made for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_cell_is_convicted_in_steps() -> Result<()> {
    let chain = embedded().await?;
    let mut stage = Stage::new(&chain).await?;
    let renter = stage.wallet(&chain, 200 * USDC).await?;
    let forger = stage.register(&chain, 300 * USDC).await?;
    let validator = Arc::new(stage.wallet(&chain, 5 * USDC).await?);
    let stage = stage;
    let folder = tempfile::tempdir()?;
    let mut config = ValidatorConfig::new(stage.cluster.clone(), validator.clone(), stage.market);
    config.accepted_verifiers = vec![VERIFIER];
    config.allow_local_urls = true;
    config.poll = Duration::from_millis(300);
    let events = Events::default();
    let mut told = events.subscribe();
    let running = Validator::start_with(config, Arc::new(Cpu), events).await?;
    let forging = forger.start(&stage, &folder.path().join("data"), Arc::new(Forger), false).await?;
    let job = stage.create(&renter, 2, long_row(folder.path())?).await?;
    let (mut steps, mut convicted) = (0, false);
    while !convicted {
        match tokio::time::timeout(PATIENCE, told.recv()).await??.what {
            What::Sent { action: Action::StepCell } => steps += 1,
            What::Convicted { .. } => convicted = true,
            _ => {}
        }
    }
    running.stop();
    running.join().await?;
    forging.stop();
    forging.join().await?;
    ensure!(steps == 2, "{steps} steps");
    let shard = stage.reader.shard(&job, 0).await?.context("no shard")?;
    ensure!(shard.fault == Fault::WrongCell as u8 && shard.bounty_to == validator.pubkey(), "{shard:?}");
    ensure!(left(&stage, &validator.pubkey()).await?.is_empty(), "evidence is closed");
    chain.stop();
    Ok(())
}
