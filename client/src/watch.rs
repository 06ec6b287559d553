//! Signature notifications over one WebSocket connection that all senders share, made again when it drops.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use solana_commitment_config::CommitmentConfig;
use solana_pubsub_client::nonblocking::pubsub_client::PubsubClient;
use solana_rpc_client_api::{
    client_error::TransactionError, config::RpcSignatureSubscribeConfig, response::RpcSignatureResult,
};
use solana_signature::Signature;
use tokio::{
    sync::{Mutex, oneshot},
    time::timeout,
};
use tracing::debug;

/// How long connecting, or a reply to a subscription, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// After a failed connection attempt nobody tries again for this long: senders poll meanwhile.
const PAUSE: Duration = Duration::from_secs(5);

/// A transaction reached the commitment asked for.
#[derive(Debug)]
pub(crate) struct Notice {
    /// Slot it landed in or, from some nodes, the slot of the notice.
    pub slot: u64,
    /// The error it failed with.
    pub error: Option<TransactionError>,
}

/// The shared connection.
pub(crate) struct Watcher {
    url: String,
    connection: Mutex<Connection>,
}

#[derive(Default)]
struct Connection {
    client: Option<Arc<PubsubClient>>,
    not_before: Option<Instant>,
}

impl Watcher {
    pub(crate) fn new(url: String) -> Self {
        Self { url, connection: Mutex::default() }
    }

    /// Subscribes to a signature at `confirmed`. The receiver gets one notice, or is closed when the connection is
    /// lost. None: no subscription now, so poll.
    pub(crate) async fn watch(&self, signature: Signature) -> Option<oneshot::Receiver<Notice>> {
        // The second round is for a connection that had died unnoticed.
        for _ in 0..2 {
            let client = self.client().await?;
            let (ready, is_ready) = oneshot::channel();
            let (notice, notified) = oneshot::channel();
            // A task of its own: a subscription that is cancelled while its reply is under way makes PubsubClient
            // close the connection for everybody.
            tokio::spawn(follow(client.clone(), signature, ready, notice));
            if let Ok(Ok(())) = timeout(PATIENCE, is_ready).await {
                return Some(notified);
            }
            self.forget(&client).await;
        }
        None
    }

    async fn client(&self) -> Option<Arc<PubsubClient>> {
        let mut connection = self.connection.lock().await;
        if let Some(client) = &connection.client {
            return Some(client.clone());
        }
        if connection.not_before.is_some_and(|at| Instant::now() < at) {
            return None;
        }
        match timeout(PATIENCE, PubsubClient::new(self.url.as_str())).await {
            Ok(Ok(client)) => {
                let client = Arc::new(client);
                *connection = Connection { client: Some(client.clone()), not_before: None };
                Some(client)
            }
            failed => {
                // The URL may hold a key and stays out of the log.
                debug!(error = ?failed.map(|result| result.map(|_| ()).map_err(|error| error.to_string())), "no WebSocket connection: polling instead");
                connection.not_before = Instant::now().checked_add(PAUSE);
                None
            }
        }
    }

    async fn forget(&self, client: &Arc<PubsubClient>) {
        let mut connection = self.connection.lock().await;
        if connection.client.as_ref().is_some_and(|current| Arc::ptr_eq(current, client)) {
            connection.client = None;
        }
    }
}

/// Holds one subscription until its notice came, the connection closed, or nobody waits any more.
async fn follow(
    client: Arc<PubsubClient>,
    signature: Signature,
    ready: oneshot::Sender<()>,
    mut notice: oneshot::Sender<Notice>,
) {
    let config = RpcSignatureSubscribeConfig {
        commitment: Some(CommitmentConfig::confirmed()),
        enable_received_notification: Some(false),
    };
    let (mut notices, unsubscribe) = match client.signature_subscribe(&signature, Some(config)).await {
        Ok(subscription) => subscription,
        Err(error) => {
            debug!(%signature, %error, "signatureSubscribe failed");
            return;
        }
    };
    if ready.send(()).is_ok() {
        loop {
            tokio::select! {
                next = notices.next() => match next {
                    Some(response) => if let RpcSignatureResult::ProcessedSignature(result) = response.value {
                        let error = result.err.map(Into::into);
                        if notice.send(Notice { slot: response.context.slot, error }).is_err() {
                            debug!(%signature, "nobody waits for this notice any more");
                        }
                        break;
                    },
                    None => return,
                },
                () = notice.closed() => break,
            }
        }
    }
    // The server forgets a signature subscription by itself, PubsubClient's table does not.
    unsubscribe().await;
}
