//! Seeds of draw windows, recorded while the chain still has their slot hashes: 512 slots, half a minute here.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Result, bail};
use assay_client::{ix, send::SendOptions};
use assay_settlement::rules::window::{Window, window_of};
use assay_tests::stage::Stage;
use solana_signer::Signer;

/// How often the chain is asked.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Records every window from the one on that a commitment made in slot `from` has, until `over`; returns how many.
pub async fn record(stage: &Stage, from: u64, over: &AtomicBool) -> Result<usize> {
    let mut recorded = BTreeSet::new();
    let mut next = window_of(from).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    while !over.load(Ordering::Relaxed) {
        match stage.reader.draw_window(next).await? {
            Window::TooEarly => tokio::time::sleep(LOOK_EVERY).await,
            Window::AgedOut => bail!("window {next} aged out before it was recorded"),
            Window::Ready(_) => {
                let record = ix::record_seed(stage.deployer.pubkey(), next);
                stage.sender.send(&[record], &[&stage.deployer], SendOptions::default()).await?.landed()?;
                recorded.insert(next);
                next += 1;
            }
        }
    }
    Ok(recorded.len())
}
