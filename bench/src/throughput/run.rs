//! One run: everything claimed, committed, drawn, answered and settled, and the time of each phase.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use assay_localnet::Chain;
use assay_settlement::{Shard, ShardState};
use assay_tests::stage::Stage;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    drawing,
    flood::{Flood, Order, send},
    scene,
    work::Work,
};

/// What a run took.
#[derive(Clone, Debug)]
pub struct Run {
    /// Renters, and as many providers.
    pub renters: usize,
    /// Shards in all.
    pub shards: usize,
    /// As many transfers of SOL as there are shards, sent before in the same way by the same wallets.
    pub plain: Flood,
    /// Name and figures of each phase, in order.
    pub phases: Vec<(&'static str, Flood)>,
    /// Draw windows whose seeds were recorded.
    pub windows: usize,
    /// Seconds that nothing was sent in because the last window was not over.
    pub waited: f64,
    /// From the first claim to the last settlement.
    pub seconds: f64,
    /// Slots that passed meanwhile.
    pub slots: u64,
}

/// A run with so many renters.
pub async fn of(chain: &Chain, stage: &Stage, renters: usize, shards: u32) -> Result<Run> {
    let pairs = scene::pairs(chain, stage, renters, shards).await?;
    let works = pairs.iter().map(Work::new).collect::<Result<Vec<_>>>()?;
    let rpc = stage.reader.rpc();

    let plain = send(rpc, all(&works, Work::transfers)).await.context("transfers")?;
    let first_slot = rpc.slot().await?;
    let started = Instant::now();
    let over = AtomicBool::new(false);
    let work = async {
        let claims = send(rpc, all(&works, Work::claims)).await.context("claims")?;
        let commitments = send(rpc, all(&works, Work::commitments)).await.context("commitments")?;
        let waiting = Instant::now();
        let committed = shards_of(stage, &works).await?;
        let last = committed.iter().flatten().map(|shard| shard.window).max().context("no shards")?;
        while stage.reader.draw_seed(last).await?.is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        over.store(true, Ordering::Relaxed);
        let waited = waiting.elapsed().as_secs_f64();
        let draws = works.iter().zip(&committed).map(|(w, shards)| w.draws(shards)).collect();
        let draws = send(rpc, interleaved(draws)).await.context("draws")?;
        let drawn = shards_of(stage, &works).await?;
        let answers = works.iter().zip(&drawn).map(|(w, shards)| w.answers(shards)).collect::<Result<_>>()?;
        let answers = send(rpc, interleaved(answers)).await.context("answers")?;
        let settlements = send(rpc, all(&works, Work::settlements)).await.context("settlements")?;
        let seconds = started.elapsed().as_secs_f64();
        let phases = vec![
            ("claim", claims),
            ("commit", commitments),
            ("draw", draws),
            ("answer", answers),
            ("settle", settlements),
        ];
        Ok::<_, anyhow::Error>((phases, waited, seconds))
    };
    let ((phases, waited, seconds), windows) = tokio::try_join!(work, drawing::record(stage, first_slot, &over))?;
    let slots = rpc.slot().await?.saturating_sub(first_slot);
    let settled = shards_of(stage, &works).await?;
    let all_settled = settled.iter().flatten().all(|s| s.state() == Some(ShardState::Settled) && s.fault == 0);
    ensure!(all_settled, "a shard is not settled");
    Ok(Run { renters, shards: renters * shards as usize, plain, phases, windows, waited, seconds, slots })
}

/// A phase of every pair.
fn all<'a>(works: &[Work<'a>], phase: fn(&Work<'a>) -> Vec<Order<'a>>) -> Vec<Order<'a>> {
    interleaved(works.iter().map(phase).collect())
}

/// The first of each, then the second of each: no provider's transactions come all at once.
fn interleaved(orders: Vec<Vec<Order<'_>>>) -> Vec<Order<'_>> {
    let mut columns: Vec<_> = orders.into_iter().map(Vec::into_iter).collect();
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(columns.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            return all;
        }
    }
}

/// Each pair's shards as they are on the chain, by index.
async fn shards_of(stage: &Stage, works: &[Work<'_>]) -> Result<Vec<Vec<Shard>>> {
    let read = works.iter().map(|work| async {
        let mut shards: Vec<Shard> =
            stage.reader.shards_of_job(&work.pair.job).await?.into_iter().map(|(_, shard)| shard).collect();
        shards.sort_unstable_by_key(|shard| shard.index);
        ensure!(shards.len() == work.pair.job_data.terms.shards as usize, "a shard is missing");
        Ok(shards)
    });
    stream::iter(read).buffered(8).try_collect().await
}
