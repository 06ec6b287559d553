//! A worker whose journal is lost after a commitment, while the result is still there: the chain has the root, and nothing is
//! computed anew, which might take longer than there is time.

use anyhow::{Result, bail, ensure};
use assay_kernels::executor::Cpu;
use assay_settlement::ShardState;
use assay_tests::stage::{Stage, USDC, embedded, request};
use assay_worker::What;
use std::sync::Arc;

use super::{PATIENCE, image, wait};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_journal_is_lost() -> Result<()> {
    let chain = embedded().await?;
    let mut stage = Stage::new(&chain).await?;
    let renter = stage.wallet(&chain, 200 * USDC).await?;
    let provider = stage.register(&chain, 300 * USDC).await?;
    let folder = tempfile::tempdir()?;
    let worker = provider.start(&stage, folder.path(), Arc::new(Cpu), true).await?;
    let mut events = worker.subscribe();
    let job = stage.create(&renter, 1, request(0, image(64), 32)).await?;
    wait(&mut events, |what| matches!(what, What::Committed { .. })).await?;
    worker.stop();
    worker.join().await?;
    let mut lost = 0;
    for entry in std::fs::read_dir(folder.path())? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("journal")) {
            std::fs::remove_file(path)?;
            lost += 1;
        }
    }
    ensure!(lost > 0, "there was a journal");

    let worker = provider.start(&stage, folder.path(), Arc::new(Cpu), true).await?;
    let mut events = worker.subscribe();
    loop {
        match tokio::time::timeout(PATIENCE, events.recv()).await??.what {
            What::Computed { .. } => bail!("it was computed again"),
            What::Settled { .. } => break,
            _ => {}
        }
    }
    worker.drain();
    tokio::time::timeout(PATIENCE, worker.join()).await??;
    let shards = stage.reader.shards_of_job(&job).await?;
    ensure!(shards.len() == 1 && shards.iter().all(|(_, shard)| shard.state() == Some(ShardState::Settled)));
    chain.stop();
    Ok(())
}
