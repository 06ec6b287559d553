//! Serving results: the bytes of committed shards and their salted leaf hashes, over HTTP.
//!
//! In this version bytes are public: whoever knows a shard's address gets them, which is what lets anyone check them. The
//! server knows nobody, so a job that does not ask for public results gets no other treatment.
//! Served is only what the journal has as committed; a path is made of a parsed key, never of a caller's text.
//!
//! - `GET /v1/shards/{shard}/result`: the shard's bytes, leaf after leaf.
//! - `GET /v1/shards/{shard}/hashes`: its salted leaf hashes, 32 bytes each.
//! - `GET /v1/health`: `{"ok":true}`.

use std::{io::ErrorKind, net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{
        StatusCode,
        header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Json, Response},
    routing::get,
};
use futures_util::stream;
use solana_pubkey::Pubkey;
use tokio::{fs::File, io::AsyncReadExt, net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use crate::doorkeeper::Bounds;
use crate::{
    doorkeeper::Doorkeeper,
    error::{Result, WorkerError},
    journal::{Journal, State as ShardState},
    store::Store,
};

/// Bytes that are read from disk at a time.
const PIECE: usize = 64 * 1_024;

/// What the server serves from.
#[derive(Clone)]
pub struct Shelf {
    /// Says which shards may be served.
    pub journal: Journal,
    /// Has their files.
    pub store: Arc<Store>,
}

impl Shelf {
    /// Whether a shard's bytes are public: committed, so that serving them early helps nobody to copy them.
    fn is_public(&self, shard: &Pubkey) -> Result<bool> {
        let row = self.journal.get(shard)?;
        Ok(row.is_some_and(|row| {
            row.root.is_some()
                && matches!(
                    row.state,
                    ShardState::Committed | ShardState::Sampled | ShardState::Settled | ShardState::Slashed
                )
        }))
    }
}

/// The routes.
pub fn router(shelf: Shelf) -> Router {
    Router::new()
        .route("/v1/health", get(async || Json(serde_json::json!({ "ok": true }))))
        .route("/v1/shards/{shard}/result", get(result))
        .route("/v1/shards/{shard}/hashes", get(hashes))
        .with_state(shelf)
}

/// Listens on `address` and serves until `stop`, within the default [`Bounds`]. Returns the address that was bound.
///
/// # Errors
/// [`WorkerError::Listen`].
pub async fn serve(address: SocketAddr, shelf: Shelf, stop: CancellationToken) -> Result<(SocketAddr, JoinHandle<()>)> {
    serve_within(Bounds::default(), address, shelf, stop).await
}

/// [`serve`], with other bounds.
///
/// # Errors
/// [`WorkerError::Listen`].
pub async fn serve_within(
    bounds: Bounds,
    address: SocketAddr,
    shelf: Shelf,
    stop: CancellationToken,
) -> Result<(SocketAddr, JoinHandle<()>)> {
    let listen = |source| WorkerError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    let listener = Doorkeeper::new(listener, bounds);
    let task = tokio::spawn(async move {
        let ended = axum::serve(listener, router(shelf)).with_graceful_shutdown(async move { stop.cancelled().await });
        if let Err(error) = ended.await {
            tracing::error!(%error, "the result server ended");
        }
    });
    Ok((bound, task))
}

async fn result(State(shelf): State<Shelf>, Path(shard): Path<String>) -> Response {
    file(&shelf, &shard, |store, shard| store.result_path(shard)).await
}

async fn hashes(State(shelf): State<Shelf>, Path(shard): Path<String>) -> Response {
    file(&shelf, &shard, |store, shard| store.hashes_path(shard)).await
}

async fn file(shelf: &Shelf, shard: &str, path: impl Fn(&Store, &Pubkey) -> PathBuf) -> Response {
    let Ok(shard) = shard.parse::<Pubkey>() else {
        return (StatusCode::BAD_REQUEST, "not a shard's address\n").into_response();
    };
    let missing = || (StatusCode::NOT_FOUND, "no result of this shard is served here\n").into_response();
    match shelf.is_public(&shard) {
        Ok(true) => {}
        Ok(false) => return missing(),
        Err(error) => return failed(&error.to_string()),
    }
    let file = match File::open(path(&shelf.store, &shard)).await {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return missing(),
        Err(error) => return failed(&error.to_string()),
    };
    let length = match file.metadata().await {
        Ok(metadata) => metadata.len(),
        Err(error) => return failed(&error.to_string()),
    };
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), file)))
    });
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, length.to_string()),
        // What a committed shard's address leads to never changes; a browser elsewhere may check it.
        (CACHE_CONTROL, "public, max-age=86400, immutable".to_owned()),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned()),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}

fn failed(why: &str) -> Response {
    tracing::error!(why, "a result could not be served");
    (StatusCode::INTERNAL_SERVER_ERROR, "the result can't be read\n").into_response()
}
