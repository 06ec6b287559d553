//! What the result server gives out, and what it does not.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]

use std::{io::Write, sync::Arc, time::Duration};

use assay_client::result::{Layout, ShardTree};
use assay_settlement::{CostClass, JobTerms};
use assay_worker::{
    events::ShardRef,
    fetch::Fetcher,
    journal::{Journal, State},
    server::{Bounds, Shelf, serve, serve_within},
    store::Store,
};
use bytemuck::Zeroable;
use solana_pubkey::Pubkey;
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_util::sync::CancellationToken;

fn shard(index: u8) -> ShardRef {
    ShardRef {
        job: Pubkey::new_from_array([1; 32]),
        index: u32::from(index),
        shard: Pubkey::new_from_array([100 + index; 32]),
    }
}

/// 200,000 bytes in leaves of 256.
fn layout(shard: &Pubkey) -> Layout {
    let mut terms = JobTerms::zeroed();
    (terms.classes, terms.leaves, terms.shard_leaves, terms.shards) = (1, 782, 782, 1);
    terms.class[0] = CostClass { cells: 25_000, cost: 1, cells_per_leaf: 32, cell_bytes: 8, ..CostClass::zeroed() };
    Layout::new(&terms, 0, shard, shard).unwrap()
}

#[tokio::test]
async fn only_committed_results_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let journal = Journal::open(store.journal()).unwrap();
    let result: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
    let states = [
        State::Claimed,
        State::Computed,
        State::Committed,
        State::Sampled,
        State::Settled,
        State::Slashed,
        State::GivenBack,
    ];
    for (i, state) in (0u8..).zip(states) {
        let shard = shard(i);
        journal.open_obligation(&shard, State::Claimed, 1).unwrap();
        let mut new = store.new_result(&shard.shard).unwrap();
        new.write_all(&result).unwrap();
        new.keep(&layout(&shard.shard)).unwrap();
        journal.set_root(&shard.shard, &[0; 32]).unwrap();
        assert!(journal.advance(&shard.shard, state).unwrap());
    }
    let stop = CancellationToken::new();
    let shelf = Shelf { journal: journal.clone(), store: store.clone() };
    let (address, task) = serve(([127, 0, 0, 1], 0).into(), shelf, stop.clone()).await.unwrap();
    let get = async |path: &str| {
        let response = reqwest::get(format!("http://{address}{path}")).await.unwrap();
        (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
    };
    for (i, state) in (0u8..).zip(states) {
        let public = matches!(state, State::Committed | State::Sampled | State::Settled | State::Slashed);
        let (status, body) = get(&format!("/v1/shards/{}/result", shard(i).shard)).await;
        assert_eq!(status, if public { 200 } else { 404 }, "{state:?}");
        assert_eq!(body == result, public);
        let (status, body) = get(&format!("/v1/shards/{}/hashes", shard(i).shard)).await;
        assert_eq!(status, if public { 200 } else { 404 });
        let hashes = ShardTree::read(layout(&shard(i).shard), result.clone()).unwrap().hashes();
        assert_eq!(hashes.len(), 782);
        assert_eq!(body == hashes.as_flattened(), public);
    }
    assert_eq!(get("/v1/health").await, (200, br#"{"ok":true}"#.to_vec()));

    // A shard that is not in the journal, one whose file is gone, and names that are no keys.
    std::fs::write(store.result_path(&shard(50).shard), b"x").unwrap();
    assert_eq!(get(&format!("/v1/shards/{}/result", shard(50).shard)).await.0, 404);
    store.remove_result(&shard(4).shard).unwrap();
    assert_eq!(get(&format!("/v1/shards/{}/result", shard(4).shard)).await.0, 404);
    for name in ["..%2f..%2fjournal.sqlite", "x", "..%5cjournal", "%00", &"1".repeat(500)] {
        let (status, body) = get(&format!("/v1/shards/{name}/result")).await;
        assert_eq!((status, body), (400, b"not a shard's address\n".to_vec()), "{name}");
    }
    for path in ["/v1/shards/../../journal.sqlite", "/v1/shards/%2e%2e/%2e%2e/journal.sqlite", "/journal.sqlite", "/"] {
        assert_eq!(get(path).await.0, 404, "{path}");
    }

    // Exactly the length that is expected is taken.
    let url = format!("http://{address}/v1/shards/{}/result", shard(2).shard);
    let fetcher = Fetcher::new(true, 1 << 20).unwrap();
    assert_eq!(fetcher.get(&url, 200_000).await.unwrap(), result);
    assert_eq!(fetcher.get(&url, 199_999).await.unwrap_err().code(), "fetch-mismatch");
    assert_eq!(fetcher.get(&url, 200_001).await.unwrap_err().code(), "fetch-mismatch");

    stop.cancel();
    task.await.unwrap();
}

/// Connections that say nothing end by themselves, and more than so many are not let in.
#[tokio::test]
async fn idle_connections_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let shelf = Shelf { journal: Journal::open(store.journal()).unwrap(), store };
    let stop = CancellationToken::new();
    let bounds = Bounds { total: 2, per_address: 8, idle: Duration::from_millis(200) };
    let (address, task) = serve_within(bounds, ([127, 0, 0, 1], 0).into(), shelf, stop.clone()).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..2 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    // Full: closed at once, or let in after the idle ones have gone; each ends without a byte.
    idle.push(TcpStream::connect(address).await.unwrap());
    for mut connection in idle {
        let mut bytes = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(30), connection.read_to_end(&mut bytes)).await.unwrap();
        assert!(ended.is_err() || bytes.is_empty());
    }
    let health = reqwest::get(format!("http://{address}/v1/health")).await.unwrap();
    assert_eq!(health.status().as_u16(), 200);
    stop.cancel();
    task.await.unwrap();
}
