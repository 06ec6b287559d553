//! Serving results: the bytes of committed shards and their salted leaf hashes, over HTTP.
//!
//! In this version bytes are public: whoever knows a shard's address gets them, which is what lets anyone check them. The
//! server knows nobody, so a job that does not ask for public results gets no other treatment.
//! Served is only what the journal has as committed; a path is made of a parsed key, never of a caller's text.
//!
//! - `GET /v1/shards/{shard}/result`: the shard's bytes, leaf after leaf.
//! - `GET /v1/shards/{shard}/hashes`: its salted leaf hashes, 32 bytes each.
//! - `GET /v1/health`: `{"ok":true}`.

use std::{io::ErrorKind, net::SocketAddr, ops::Range, sync::Arc};

use assay_client::result::{Layout, Source};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{
        HeaderName, StatusCode,
        header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Json, Response},
    routing::get,
};
use futures_util::stream;
use solana_pubkey::Pubkey;
use tokio::{fs::File, io::AsyncReadExt, net::TcpListener, sync::Semaphore, task::JoinHandle};
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

/// Hashing takes all cores for moments, and 16 MiB: one part at a time, whoever asks.
static HASHING: Semaphore = Semaphore::const_new(1);

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
    let (_, file, length) = match open(&shelf, &shard).await {
        Ok(opened) => opened,
        Err(answer) => return *answer,
    };
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), file)))
    });
    (headers(length), Body::from_stream(pieces)).into_response()
}

/// The leaf hashes are not kept: they are made again from the result, one part at a time for all who ask.
async fn hashes(State(shelf): State<Shelf>, Path(shard): Path<String>) -> Response {
    let (shard, file, length) = match open(&shelf, &shard).await {
        Ok(opened) => opened,
        Err(answer) => return *answer,
    };
    let layout = match tokio::task::spawn_blocking(move || shelf.store.layout(&shard)).await {
        Ok(Ok(Some(layout))) if layout.bytes() == length => Arc::new(layout),
        Ok(Ok(Some(_))) => return failed("a result is not as long as its leaves"),
        Ok(Ok(None)) => return missing(),
        Ok(Err(error)) => return failed(&error.to_string()),
        Err(error) => return failed(&error.to_string()),
    };
    let leaves = layout.leaves();
    let length = leaves.end.saturating_sub(leaves.start).saturating_mul(32);
    let file = Arc::new(file.into_std().await);
    let pieces = stream::try_unfold(layout.parts(), move |mut parts| {
        let (file, layout) = (file.clone(), layout.clone());
        async move {
            let Some(part) = parts.next() else { return Ok::<_, std::io::Error>(None) };
            let _turn = HASHING.acquire().await.map_err(std::io::Error::other)?;
            let hashes = tokio::task::spawn_blocking(move || part_hashes(&file, &layout, part)).await;
            Ok(Some((hashes.map_err(std::io::Error::other)??, parts)))
        }
    });
    (headers(length), Body::from_stream(pieces)).into_response()
}

/// The salted hashes of leaves of a result.
fn part_hashes(file: &std::fs::File, layout: &Layout, leaves: Range<u64>) -> std::io::Result<Bytes> {
    let mut buffer = Vec::new();
    let changed = || std::io::Error::other("the result is not as long as its leaves");
    let bytes = file.read(layout.place(leaves.clone()).ok_or_else(changed)?, &mut buffer)?;
    let hashes = layout.hashes(leaves, bytes).ok_or_else(changed)?;
    Ok(Bytes::from(hashes.into_flattened()))
}

/// The file of a shard that may be served, and its length; else what to answer.
async fn open(shelf: &Shelf, shard: &str) -> std::result::Result<(Pubkey, File, u64), Box<Response>> {
    let Ok(shard) = shard.parse::<Pubkey>() else {
        return Err(Box::new((StatusCode::BAD_REQUEST, "not a shard's address\n").into_response()));
    };
    match shelf.is_public(&shard) {
        Ok(true) => {}
        Ok(false) => return Err(Box::new(missing())),
        Err(error) => return Err(Box::new(failed(&error.to_string()))),
    }
    let opened = async {
        let file = File::open(shelf.store.result_path(&shard)).await?;
        let length = file.metadata().await?.len();
        Ok::<_, std::io::Error>((shard, file, length))
    };
    opened.await.map_err(|error| {
        let answer = if error.kind() == ErrorKind::NotFound { missing() } else { failed(&error.to_string()) };
        Box::new(answer)
    })
}

fn headers(length: u64) -> [(HeaderName, String); 4] {
    [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, length.to_string()),
        // What a committed shard's address leads to never changes; a browser elsewhere may check it.
        (CACHE_CONTROL, "public, max-age=86400, immutable".to_owned()),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned()),
    ]
}

fn missing() -> Response {
    (StatusCode::NOT_FOUND, "no result of this shard is served here\n").into_response()
}

fn failed(why: &str) -> Response {
    tracing::error!(why, "a result could not be served");
    (StatusCode::INTERNAL_SERVER_ERROR, "the result can't be read\n").into_response()
}
