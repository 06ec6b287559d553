//! The content store: inputs by their root over HTTP, for local chains and small set-ups. `PUT /{root}` takes only
//! bytes whose root that is, so nobody can put other bytes in an input's place. There is no login: whoever reaches it
//! can read all and fill it up to its limit.

use crate::{
    error::{CliError, Exit, Result},
    npy::write_file,
    work::Input,
};
use assay_kernels::merkle::{CHUNK_BYTES, Tree};
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How long an upload or a download may take in all.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(600);

/// How to run a store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Folder of the inputs, one file each.
    pub folder: PathBuf,
    /// Most bytes of one input.
    pub max_input_bytes: usize,
    /// Most bytes of all inputs together.
    pub max_total_bytes: u64,
}

/// A running store. Stops when `stop` is called or it is dropped.
pub struct Store {
    address: SocketAddr,
    stopping: CancellationToken,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

struct Shelf {
    folder: PathBuf,
    max_total_bytes: u64,
    total_bytes: AtomicU64,
}

impl Store {
    /// Starts it; returns once it listens.
    ///
    /// # Errors
    /// A folder that can't be used, a port that is taken.
    pub async fn start(options: StoreOptions) -> Result<Self> {
        let folder = options.folder;
        let total_bytes = prepare(&folder)
            .map_err(|e| CliError::io(&format!("preparing the store's folder {}", folder.display()), &e))?;
        let shelf = Arc::new(Shelf {
            folder,
            max_total_bytes: options.max_total_bytes,
            total_bytes: AtomicU64::new(total_bytes),
        });
        let app = Router::new()
            .route("/{root}", get(fetch).put(keep))
            .layer(DefaultBodyLimit::max(options.max_input_bytes))
            .with_state(shelf);
        let listener = tokio::net::TcpListener::bind(options.bind)
            .await
            .map_err(|e| CliError::io(&format!("listening on {}", options.bind), &e))?;
        let address = listener.local_addr().map_err(|e| CliError::io("listening", &e))?;
        let stopping = CancellationToken::new();
        let stopped = stopping.clone().cancelled_owned();
        let task = tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(stopped).await });
        Ok(Self { address, stopping, task })
    }

    /// Its base URL: an input lies at `{url}/{root in hex}`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops taking requests and waits until those under way are done.
    ///
    /// # Errors
    /// The server failed.
    pub async fn stop(mut self) -> Result<()> {
        self.stopping.cancel();
        match (&mut self.task).await {
            Ok(result) => result.map_err(|e| CliError::io("running the store", &e)),
            Err(error) => Err(CliError::internal(format!("the store ended: {error}"))),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

/// Makes the folder and counts the bytes in it; files that an interrupted upload left are removed.
fn prepare(folder: &std::path::Path) -> std::io::Result<u64> {
    std::fs::create_dir_all(folder)?;
    let mut total = 0u64;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".part") {
            std::fs::remove_file(entry.path())?;
        } else {
            total = total.saturating_add(entry.metadata()?.len());
        }
    }
    Ok(total)
}

/// A root as it stands in a URL: 64 lower-case hex digits, nothing else, so that no path can leave the folder.
fn root_of(text: &str) -> Option<[u8; 32]> {
    let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() != 64 || !lower {
        return None;
    }
    hex::decode(text).ok()?.try_into().ok()
}

async fn fetch(State(shelf): State<Arc<Shelf>>, Path(name): Path<String>) -> Response {
    if root_of(&name).is_none() {
        return (StatusCode::BAD_REQUEST, "the path must be a root: 64 lower-case hex digits\n").into_response();
    }
    match tokio::fs::read(shelf.folder.join(&name)).await {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            (StatusCode::NOT_FOUND, "no such input\n").into_response()
        }
        Err(error) => {
            tracing::warn!(%error, root = name, "an input can't be read");
            (StatusCode::INTERNAL_SERVER_ERROR, "the input can't be read\n").into_response()
        }
    }
}

async fn keep(State(shelf): State<Arc<Shelf>>, Path(name): Path<String>, body: Bytes) -> Response {
    let Some(root) = root_of(&name) else {
        return (StatusCode::BAD_REQUEST, "the path must be a root: 64 lower-case hex digits\n").into_response();
    };
    let kept = tokio::task::spawn_blocking(move || shelve(&shelf, &name, &root, &body)).await;
    match kept {
        Ok(Ok(status)) => status.into_response(),
        Ok(Err((status, text))) => (status, text).into_response(),
        Err(error) => {
            tracing::warn!(%error, "an upload failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn shelve(
    shelf: &Shelf,
    name: &str,
    root: &[u8; 32],
    body: &[u8],
) -> std::result::Result<StatusCode, (StatusCode, String)> {
    if body.is_empty() || !body.len().is_multiple_of(CHUNK_BYTES) {
        return Err((
            StatusCode::BAD_REQUEST,
            format!("an input has a multiple of {CHUNK_BYTES} bytes, and not none\n"),
        ));
    }
    if Tree::from_bytes(body, CHUNK_BYTES, None).root() != *root {
        return Err((StatusCode::BAD_REQUEST, "these bytes have another root\n".to_owned()));
    }
    let path = shelf.folder.join(name);
    if path.exists() {
        return Ok(StatusCode::OK);
    }
    let bytes = body.len() as u64;
    let before = shelf.total_bytes.fetch_add(bytes, Ordering::SeqCst);
    let refuse = |status, text: String| {
        shelf.total_bytes.fetch_sub(bytes, Ordering::SeqCst);
        (status, text)
    };
    if before.saturating_add(bytes) > shelf.max_total_bytes {
        return Err(refuse(
            StatusCode::INSUFFICIENT_STORAGE,
            format!("the store is full: it takes {} bytes in all\n", shelf.max_total_bytes),
        ));
    }
    write_file(&path, body).map_err(|error| {
        tracing::warn!(%error, root = name, "an input can't be written");
        refuse(StatusCode::INTERNAL_SERVER_ERROR, "the input can't be written\n".to_owned())
    })?;
    Ok(StatusCode::CREATED)
}

/// An HTTP client for stores and providers.
///
/// # Errors
/// The TLS library could not be set up.
pub fn http() -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .timeout(TRANSFER_TIMEOUT)
        .build()
        .map_err(|e| CliError::internal(format!("the HTTP client can't be set up: {e}")))
}

/// Uploads inputs to the store at `url`; those that are there already are not sent again.
///
/// # Errors
/// The store can't be reached or refuses (code `store-unreachable`, `store-refused`).
pub async fn upload(url: &str, inputs: &[Input]) -> Result<()> {
    let client = http()?;
    for input in inputs {
        let at = format!("{}/{}", url.trim_end_matches('/'), hex::encode(input.root));
        let unreachable = |e: reqwest::Error| {
            let text = format!(
                "the content store can't be reached: {}. No job was made and nothing was paid. Check --store.",
                e.without_url()
            );
            CliError::new(Exit::Other, "store-unreachable", text)
        };
        let there = client.head(&at).send().await.map_err(unreachable)?;
        if there.status().is_success() {
            continue;
        }
        let answer = client.put(&at).body(input.bytes.clone()).send().await.map_err(unreachable)?;
        if !answer.status().is_success() {
            let status = answer.status();
            let why: String = answer.text().await.unwrap_or_default().chars().take(200).collect();
            let text = format!(
                "the content store refused an input: {status} {}. No job was made and nothing was paid.",
                why.trim()
            );
            return Err(CliError::new(Exit::Other, "store-refused", text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store(folder: &std::path::Path, total: u64) -> Store {
        let bind = "127.0.0.1:0".parse().unwrap();
        Store::start(StoreOptions { bind, folder: folder.into(), max_input_bytes: 8_192, max_total_bytes: total })
            .await
            .unwrap()
    }

    fn input(fill: u8, chunks: usize) -> Input {
        let bytes = vec![fill; chunks * CHUNK_BYTES];
        Input { root: Tree::from_bytes(&bytes, CHUNK_BYTES, None).root(), bytes }
    }

    #[tokio::test]
    async fn keeps_only_what_its_name_says() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), 1 << 20).await;
        let good = input(7, 3);
        upload(&store.url(), std::slice::from_ref(&good)).await.unwrap();
        upload(&store.url(), std::slice::from_ref(&good)).await.unwrap();
        let client = http().unwrap();
        let at = format!("{}/{}", store.url(), hex::encode(good.root));
        assert_eq!(client.get(&at).send().await.unwrap().bytes().await.unwrap(), good.bytes);

        let forged = Input { root: [1; 32], bytes: good.bytes.clone() };
        assert_eq!(upload(&store.url(), &[forged]).await.unwrap_err().code, "store-refused");
        let big = input(1, 9);
        assert_eq!(upload(&store.url(), &[big]).await.unwrap_err().code, "store-refused");
        for path in ["..%2f..%2fetc%2fpasswd", "00", &hex::encode(good.root).to_uppercase()] {
            let status = client.get(format!("{}/{path}", store.url())).send().await.unwrap().status();
            assert_eq!(status.as_u16(), 400, "{path}");
        }
        let absent = format!("{}/{}", store.url(), hex::encode([9; 32]));
        assert_eq!(client.get(absent).send().await.unwrap().status().as_u16(), 404);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        store.stop().await.unwrap();
    }

    #[tokio::test]
    async fn is_full_at_its_limit_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let first = store(dir.path(), 4_096).await;
        upload(&first.url(), &[input(1, 3)]).await.unwrap();
        assert_eq!(upload(&first.url(), &[input(2, 2)]).await.unwrap_err().code, "store-refused");
        first.stop().await.unwrap();
        let second = store(dir.path(), 4_096).await;
        assert_eq!(upload(&second.url(), &[input(2, 2)]).await.unwrap_err().code, "store-refused");
        upload(&second.url(), &[input(3, 1)]).await.unwrap();
    }

    #[tokio::test]
    async fn a_dead_store_is_said() {
        let error = upload("http://127.0.0.1:1", &[input(1, 1)]).await.unwrap_err();
        assert_eq!(error.code, "store-unreachable");
        assert!(error.message.contains("nothing was paid"), "{error}");
    }
}
