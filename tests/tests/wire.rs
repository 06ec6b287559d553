//! Evidence goes up in as few transactions as the chain takes: version 1 of 4,096 bytes where it takes that, else
//! version 0. On the embedded chain always; on the genuine Agave test validator when `ASSAY_TEST_VALIDATOR` names one.
//! `--nocapture` prints transactions and bytes.

#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]

use anyhow::{Context as _, Result, ensure};
use assay_client::{answer::InputData, cluster::Cluster};
use assay_kernels::{executor::Cpu, gemm_i8};
use assay_localnet::{Chain, TestValidator};
use assay_migrations::terms;
use assay_settlement::{EVIDENCE_HEADER_BYTES, InputTree, ShardState, instructions::JobRequest};
use assay_tests::stage::{Stage, USDC, at_their_ids, embedded, padded, programs, request};
use assay_worker::{Action, Event, What};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::sync::broadcast;

#[path = "wire/old_node.rs"]
mod old_node;
#[path = "wire/promises.rs"]
mod promises;

use old_node::OldNode;

const PATIENCE: Duration = Duration::from_secs(240);
/// First byte of a transaction of version 1. Before it comes the number of signatures, below 128.
const V1_PREFIX: u8 = 0x81;

/// A product whose cells read two rows of `k` values, none of them 0: what is to be 0 need not be written. Its inputs as files in `folder`.
fn product(folder: &Path, m: u32, n: u32, k: u32) -> Result<JobRequest> {
    let mut inputs = Vec::new();
    for (rows, by) in [(m, 7), (n, 11)] {
        let row = |r: u32| (0..k).map(|c| ((r * 31 + c * by) % 251 + 1) as u8 as i8).collect();
        let data = InputData::new(padded(&(0..rows).map(row).collect::<Vec<_>>()))?;
        let name: String = data.root().iter().map(|b| format!("{b:02x}")).collect();
        std::fs::write(folder.join(name), data.bytes())?;
        inputs.push(InputTree { root: data.root(), bytes: data.bytes().len() as u64 });
    }
    let params = gemm_i8::Params { m, n, k }.to_bytes().to_vec();
    Ok(JobRequest { locator: format!("file://{}", folder.display()), inputs, ..request(0, params, 1 << 20) })
}

/// A transaction as the chain has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct OnChain {
    version: u8,
    bytes: usize,
    slot: u64,
}

/// What a worker sent for one job.
#[derive(Default)]
struct Sent {
    /// For each evidence account the transaction that made it, and the writes to it.
    uploads: BTreeMap<Pubkey, (OnChain, Vec<OnChain>)>,
    adjudications: Vec<OnChain>,
}

/// Reads a transaction: what it is on the wire, and its accounts.
async fn on_chain(stage: &Stage, signature: &Signature) -> Result<(OnChain, Vec<Pubkey>)> {
    let options = json!({ "encoding": "base64", "commitment": "confirmed", "maxSupportedTransactionVersion": 1 });
    let ask =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "getTransaction", "params": [signature.to_string(), options] });
    let http = reqwest::Client::new();
    let asked = tokio::time::Instant::now();
    let found = loop {
        let answer: Value = http.post(&stage.cluster.rpc_url).json(&ask).send().await?.json().await?;
        if answer["result"].is_object() {
            break answer["result"].clone();
        }
        ensure!(asked.elapsed() < Duration::from_secs(20), "{signature} is not on the chain: {answer}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let raw = BASE64_STANDARD.decode(found["transaction"][0].as_str().context("no transaction")?)?;
    let version = u8::from(raw[0] == V1_PREFIX);
    // Signer, count and version come in front of the addresses; ours all have one signature.
    let (signed, count, keys) = match version {
        1 => (&raw[raw.len() - 64..], usize::from(raw[41]), 42),
        _ => (&raw[1..65], usize::from(raw[69]), 70),
    };
    ensure!(signed == signature.as_ref(), "its signature");
    let keys = raw[keys..].chunks_exact(32).take(count).map(|key| Pubkey::try_from(key).unwrap()).collect();
    let slot = found["slot"].as_u64().context("no slot")?;
    Ok((OnChain { version, bytes: raw.len(), slot }, keys))
}

/// What was sent until the shard was settled.
async fn until_settled(stage: &Stage, events: &mut broadcast::Receiver<Event>) -> Result<Sent> {
    let mut sent = Sent::default();
    loop {
        let event = tokio::time::timeout(PATIENCE, events.recv()).await??;
        let (What::Sent { action }, Some(signature)) = (event.what, event.signature) else { continue };
        match action {
            Action::CreateEvidence => {
                let (found, keys) = on_chain(stage, &signature).await?;
                // The payer, then the account that it makes.
                sent.uploads.insert(keys[1], (found, Vec::new()));
            }
            Action::WriteEvidence => {
                let (found, keys) = on_chain(stage, &signature).await?;
                sent.uploads.get_mut(&keys[1]).context("a write into nothing")?.1.push(found);
            }
            Action::Adjudicate => sent.adjudications.push(on_chain(stage, &signature).await?.0),
            Action::SettleShard => return Ok(sent),
            _ => {}
        }
    }
}

/// A worker of its own that answers for one job, at this address of the chain.
struct Run {
    what: &'static str,
    cluster: Cluster,
    /// Rows and columns of the product, and K.
    shape: (u32, u32, u32),
}

impl Run {
    async fn of(self, chain: &Chain, stage: &mut Stage, renter: &Keypair, nonce: u64) -> Result<Sent> {
        let folder = tempfile::tempdir()?;
        let (m, n, k) = self.shape;
        let provider = stage.register(chain, 100 * USDC).await?;
        let own = std::mem::replace(&mut stage.cluster, self.cluster);
        let worker = provider.start(stage, &folder.path().join("data"), Arc::new(Cpu), true).await;
        stage.cluster = own;
        let worker = worker?;
        let mut events = worker.subscribe();
        let inputs = folder.path().join("inputs");
        std::fs::create_dir(&inputs)?;
        let asked = JobRequest { nonce, reserved_for: provider.provider, ..product(&inputs, m, n, k)? };
        let job = stage.create(renter, 2, asked).await?;
        let sent = until_settled(stage, &mut events).await?;
        worker.drain();
        worker.join().await?;

        let shard = stage.reader.shard(&job, 0).await?.context("no shard")?;
        ensure!(shard.state() == Some(ShardState::Settled) && shard.fault == 0, "{shard:?}");
        let cells = shard.cells[..usize::from(shard.drawn)].iter().collect::<BTreeSet<_>>().len();
        ensure!(sent.adjudications.len() == cells, "each of {cells} cells was adjudicated once");
        for (made, writes) in sent.uploads.values() {
            let bytes = made.bytes + writes.iter().map(|w| w.bytes).sum::<usize>();
            let count = writes.len();
            let slots: BTreeSet<u64> = writes.iter().map(|w| w.slot).collect();
            println!(
                "{}: {m} x {n}, K = {k}: evidence in {} transactions of version {}, {bytes} bytes; {count} of them in {} slots",
                self.what,
                count + 1,
                made.version,
                slots.len()
            );
            // Who waits for one before it sends the next needs a slot for each.
            ensure!(count <= 3 || slots.len() < count, "they went up one after the other: {writes:?}");
        }
        for judged in &sent.adjudications {
            println!("{}: adjudicated by version {}, {} bytes", self.what, judged.version, judged.bytes);
        }
        Ok(sent)
    }
}

/// Versions and bytes of what filled an account: what made it, then the writes, the largest first.
fn sizes((made, writes): &(OnChain, Vec<OnChain>)) -> Vec<(u8, usize)> {
    let mut sizes: Vec<(u8, usize)> = writes.iter().map(|w| (w.version, w.bytes)).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.insert(0, (made.version, made.bytes));
    sizes
}

/// Two rows of K = 4,096 in one run of 4 chunks each, out of 1,024 and 64; a leaf of 64 elements out of 1,024.
const LARGE: (u32, u32, u32) = (1_024, 64, 4_096);
const LARGE_BYTES: usize = 2 * 4_096 + 32 * (10 + 6) + 256 + 32 * 10;
/// Two chunks out of 8 each; one leaf of 64 elements.
const SMALL: (u32, u32, u32) = (8, 8, 900);
const SMALL_BYTES: usize = 2 * 1_024 + 32 * (3 + 3) + 256;

/// Bytes of the making of an account, and of a write, besides what they carry: with a limit of compute units and without a
/// price.
const V0_BESIDES: (usize, usize) = (472, 262);
const V1_BESIDES: (usize, usize) = (444, 232);

/// What fills an account with `data` bytes, as transactions.
fn expected(version: u8, data: usize) -> Vec<(u8, usize)> {
    let (first, piece, (making, besides)) =
        if version == 1 { (3_640, 3_840, V1_BESIDES) } else { (740, 940, V0_BESIDES) };
    let mut sizes = vec![(version, first.min(data) + making)];
    let mut left = data - first.min(data);
    while left > 0 {
        // Version 0 counts the bytes of short instructions (16 of them are not the piece's) in one byte, not two.
        let short = usize::from(version == 0 && left.min(piece) + 16 < 128);
        sizes.push((version, left.min(piece) + besides - short));
        left -= left.min(piece);
    }
    sizes
}

fn as_expected(sent: &Sent, version: u8, data: usize) -> Result<()> {
    ensure!(sent.uploads.len() == sent.adjudications.len(), "an account for each cell");
    for upload in sent.uploads.values() {
        ensure!(sizes(upload) == expected(version, data), "{:?}, not {:?}", sizes(upload), expected(version, data));
    }
    // Offsets of what lies in the account are all that goes with it.
    ensure!(sent.adjudications.iter().all(|judged| judged.version == 0 && judged.bytes < 600));
    Ok(())
}

async fn stage_on(chain: &Chain) -> Result<(Stage, Keypair)> {
    let mut stage = Stage::with_terms(chain, terms::experimental(0, 90)).await?;
    let renter = stage.wallet(chain, 100 * USDC).await?;
    Ok((stage, renter))
}

async fn as_few_as_the_chain_takes(chain: Chain) -> Result<()> {
    let (mut stage, renter) = stage_on(&chain).await?;
    let cluster = chain.cluster().clone();

    let run = Run { what: "version 1", cluster: cluster.clone(), shape: LARGE };
    as_expected(&run.of(&chain, &mut stage, &renter, 0).await?, 1, LARGE_BYTES)?;
    ensure!(expected(1, LARGE_BYTES).len() == 3);

    let run = Run { what: "version 0", cluster: cluster.clone().v0_only(), shape: LARGE };
    as_expected(&run.of(&chain, &mut stage, &renter, 1).await?, 0, LARGE_BYTES)?;
    ensure!(expected(0, LARGE_BYTES).len() == 11);

    // What fits one transaction of version 1 takes no evidence at all.
    let run = Run { what: "version 1", cluster: cluster.clone(), shape: SMALL };
    let sent = run.of(&chain, &mut stage, &renter, 2).await?;
    ensure!(sent.uploads.is_empty(), "inline");
    for judged in &sent.adjudications {
        ensure!(judged.version == 1 && (SMALL_BYTES..SMALL_BYTES + 450).contains(&judged.bytes), "{judged:?}");
    }
    let run = Run { what: "version 0", cluster: cluster.v0_only(), shape: SMALL };
    as_expected(&run.of(&chain, &mut stage, &renter, 3).await?, 0, SMALL_BYTES)?;
    chain.stop();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_few_transactions_as_the_embedded_chain_takes() -> Result<()> {
    as_few_as_the_chain_takes(embedded().await?).await
}

/// The genuine validator; None where the environment names none.
async fn validator() -> Result<Option<Chain>> {
    let Some(path) = TestValidator::from_environment() else {
        eprintln!("skipped: ASSAY_TEST_VALIDATOR names no validator");
        return Ok(None);
    };
    let elfs = programs();
    Ok(Some(Chain::TestValidator(TestValidator::start(&path, &at_their_ids(&elfs)).await?)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_few_transactions_as_the_agave_test_validator_takes() -> Result<()> {
    match validator().await? {
        Some(chain) => as_few_as_the_chain_takes(chain).await,
        None => Ok(()),
    }
}

/// A node that knows no version 1 is told from its answer to the one question; nothing else is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_node_gets_version_0() -> Result<()> {
    let chain = embedded().await?;
    let (mut stage, renter) = stage_on(&chain).await?;
    let node = OldNode::before(&chain).await?;
    let run = Run { what: "behind an old node", cluster: node.cluster(&chain)?, shape: LARGE };
    as_expected(&run.of(&chain, &mut stage, &renter, 0).await?, 0, LARGE_BYTES)?;
    ensure!(node.refused() == 1, "{} refused", node.refused());
    chain.stop();
    Ok(())
}

/// A genuine chain on which the feature of version 1 is not active.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_without_version_1_gets_version_0() -> Result<()> {
    let Some(path) = TestValidator::from_environment() else {
        eprintln!("skipped: ASSAY_TEST_VALIDATOR names no validator");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let without = old_node::without_version_1(&path, folder.path())?;
    let elfs = programs();
    let chain = Chain::TestValidator(TestValidator::start(&without, &at_their_ids(&elfs)).await?);
    let (mut stage, renter) = stage_on(&chain).await?;
    let run = Run { what: "without the feature", cluster: chain.cluster().clone(), shape: LARGE };
    as_expected(&run.of(&chain, &mut stage, &renter, 0).await?, 0, LARGE_BYTES)?;
    chain.stop();
    Ok(())
}

#[test]
fn a_header_lies_in_front_of_the_first_piece() {
    let pieces = assay_client::answer::pieces(assay_client::wire::Wire::V1, 100, &[7; 9_000]);
    let at: Vec<usize> = pieces.iter().map(|(at, _)| *at as usize - EVIDENCE_HEADER_BYTES).collect();
    assert_eq!((at, pieces[2].1.len()), (vec![100, 3_940, 7_780], 1_220));
}
