//! A worker whose device process is killed again and again while it computes: it starts another, computes anew what was
//! lost, and owes nothing.

use anyhow::{Context as _, Result, bail, ensure};
use assay_device::{Devices, Kind, Lane, Limits, Program};
use assay_settlement::ShardState;
use assay_tests::stage::{Stage, USDC, embedded, request};
use assay_worker::What;
use std::{process::Command, sync::Arc, time::Duration};

use super::{PATIENCE, image};

/// Most kills, fewer than make a lane give up.
const KILLS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_device_process_is_killed() -> Result<()> {
    let chain = embedded().await?;
    let mut stage = Stage::new(&chain).await?;
    let renter = stage.wallet(&chain, 200 * USDC).await?;
    let provider = stage.register(&chain, 300 * USDC).await?;
    let folder = tempfile::tempdir()?;

    let program = Program::at(env!("CARGO_BIN_EXE_device-process"), [""; 0]);
    let limits = Limits { backoff: Duration::from_millis(10), ..Limits::default() };
    let lane = Lane::open("the cores", program, Kind::Cpu, limits).map_err(|finding| anyhow::anyhow!("{finding}"))?;
    let devices = Arc::new(Devices::of(vec![lane]));
    let lane = || devices.devices().first().context("no lane");

    let worker = provider.start(&stage, folder.path(), devices.clone(), true).await?;
    let mut events = worker.subscribe();
    let job = stage.create(&renter, 1, request(0, image(128), 8)).await?;
    let (mut killed, mut settled) = (Vec::new(), 0);
    let shards = stage.reader.job(&job).await?.terms.shards;
    while settled < shards {
        let Ok(event) = tokio::time::timeout(PATIENCE, events.recv()).await else {
            bail!("{settled} of {shards} settled, killed {killed:?}");
        };
        match event?.what {
            // It is about to compute, unless the process was killed before and there is no other yet.
            What::Claimed { .. } if killed.len() < KILLS => {
                let process = lane()?.process().filter(|process| !killed.contains(process));
                if let Some(process) = process {
                    Command::new("kill").args(["-9", &process.to_string()]).status()?;
                    killed.push(process);
                }
            }
            What::Settled { .. } => settled += 1,
            _ => {}
        }
    }
    worker.drain();
    tokio::time::timeout(PATIENCE, worker.join()).await??;
    ensure!(!killed.is_empty() && lane()?.faults() >= 1, "{killed:?}, {} faults", lane()?.faults());
    ensure!(lane()?.broken().is_none());
    for (_, shard) in stage.reader.shards_of_job(&job).await? {
        ensure!(shard.state() == Some(ShardState::Settled) && shard.claims == 1 && shard.fault == 0, "{shard:?}");
    }
    chain.stop();
    Ok(())
}
