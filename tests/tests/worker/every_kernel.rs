//! Jobs of every kernel of the registry, in the hands of a worker on a real chain: found, priced, computed, committed,
//! proven and paid without a word about any kernel in the worker.

use anyhow::{Result, bail, ensure};
use assay_client::answer::InputData;
use assay_kernels::{executor::Cpu, registry::AnyKernel};
use assay_settlement::{InputTree, ShardState, instructions::JobRequest};
use assay_tests::stage::{Stage, USDC, embedded, request};
use assay_worker::What;
use std::{collections::HashSet, sync::Arc};

use super::PATIENCE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_every_kernel_are_settled() -> Result<()> {
    let chain = embedded().await?;
    let mut stage = Stage::new(&chain).await?;
    let renter = stage.wallet(&chain, 500 * USDC).await?;
    let provider = stage.register(&chain, 500 * USDC).await?;
    let folder = tempfile::tempdir()?;
    let files = folder.path().join("files");
    std::fs::create_dir(&files)?;

    let mut jobs = HashSet::new();
    for kernel in AnyKernel::ALL {
        for trial in kernel.handling().checks() {
            let leaves = kernel.geometry(&trial.params)?.leaves().unwrap_or(0);
            let mut inputs = Vec::new();
            for input in trial.inputs.into_iter().filter(|input| !input.is_empty()) {
                let data = InputData::new(input)?;
                let name: String = data.root().iter().map(|b| format!("{b:02x}")).collect();
                std::fs::write(files.join(name), data.bytes())?;
                inputs.push(InputTree { root: data.root(), bytes: data.bytes().len() as u64 });
            }
            let locator = format!("file://{}", files.display());
            let asked = JobRequest { locator, inputs, ..request(jobs.len() as u64, trial.params, leaves) };
            jobs.insert(stage.create(&renter, kernel.id(), asked).await?);
        }
    }

    let worker = provider.start(&stage, &folder.path().join("data"), Arc::new(Cpu), true).await?;
    let mut events = worker.subscribe();
    let mut open = jobs.clone();
    let mut skipped = Vec::new();
    while !open.is_empty() {
        let Ok(event) = tokio::time::timeout(PATIENCE, events.recv()).await else {
            bail!("{open:?} are not settled; skipped: {skipped:?}");
        };
        let event = event?;
        match event.what {
            What::Settled { .. } => {
                open.retain(|job| event.shard.as_ref().is_none_or(|shard| shard.job != *job));
            }
            What::Skipped { job, reason } => skipped.push((job, reason)),
            _ => {}
        }
    }
    worker.drain();
    tokio::time::timeout(PATIENCE, worker.join()).await??;
    for job in jobs {
        for (_, shard) in stage.reader.shards_of_job(&job).await? {
            ensure!(shard.state() == Some(ShardState::Settled) && shard.fault == 0, "{job}: {shard:?}");
        }
    }
    chain.stop();
    Ok(())
}
