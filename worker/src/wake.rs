//! Looking sooner than the next poll: subscriptions to the accounts that matter. They only ever wake a loop that asks
//! the chain itself, so a lost or lying socket costs time and nothing else.

use std::{sync::Arc, time::Duration};

use assay_client::cluster::Cluster;
use futures_util::StreamExt;
use solana_account_decoder_client_types::{UiAccountEncoding, UiDataSliceConfig};
use solana_commitment_config::CommitmentConfig;
use solana_pubsub_client::nonblocking::pubsub_client::PubsubClient;
use solana_rpc_client_api::{
    config::{RpcAccountInfoConfig, RpcProgramAccountsConfig},
    filter::{Memcmp, RpcFilterType},
};
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

/// How long connecting may take, and how long to wait before trying again.
const PATIENCE: Duration = Duration::from_secs(10);

/// A part of an account by which it is recognised: offset and bytes.
pub(crate) type Pattern = Vec<(usize, Vec<u8>)>;

/// Notifies `wake` whenever an account of the program that has one of these patterns changes, until `stop`.
pub(crate) async fn watch(cluster: Cluster, patterns: Vec<Pattern>, wake: Arc<Notify>, stop: CancellationToken) {
    loop {
        let round = async {
            if let Err(why) = once(&cluster, &patterns, &wake).await {
                // The URL may hold a key and stays out of the log.
                tracing::debug!(why, "no subscription: polling only");
            }
            tokio::time::sleep(PATIENCE).await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = round => {}
        }
    }
}

async fn once(cluster: &Cluster, patterns: &[Pattern], wake: &Notify) -> Result<(), String> {
    let client = timeout(PATIENCE, PubsubClient::new(cluster.ws_url.as_str()))
        .await
        .map_err(|_| "no connection in time".to_owned())?
        .map_err(|error| error.to_string())?;
    let mut streams = Vec::new();
    for pattern in patterns {
        let filters =
            pattern.iter().map(|(at, bytes)| RpcFilterType::Memcmp(Memcmp::new_raw_bytes(*at, bytes.clone())));
        let config = RpcProgramAccountsConfig {
            filters: Some(filters.collect()),
            account_config: RpcAccountInfoConfig {
                encoding: Some(UiAccountEncoding::Base64),
                // Only that it changed matters.
                data_slice: Some(UiDataSliceConfig { offset: 0, length: 0 }),
                commitment: Some(CommitmentConfig::confirmed()),
                ..RpcAccountInfoConfig::default()
            },
            ..RpcProgramAccountsConfig::default()
        };
        let subscribed = timeout(PATIENCE, client.program_subscribe(&assay_settlement::ID, Some(config))).await;
        let (stream, _unsubscribe) =
            subscribed.map_err(|_| "no subscription in time".to_owned())?.map_err(|error| error.to_string())?;
        streams.push(stream);
    }
    let mut all = futures_util::stream::select_all(streams);
    while all.next().await.is_some() {
        wake.notify_one();
    }
    Err("the connection was lost".to_owned())
}
