//! Bytes from strangers' URLs: a renter's locator, a provider's endpoint. Nothing is believed but what hashes to the
//! root; nothing is read beyond the length that is known; and unless it is allowed nobody's URL makes this machine look
//! around behind its firewall.

use std::{
    io::Read,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use assay_client::answer::{InputData, InputTrees};
use assay_settlement::JobTerms;
use futures_util::StreamExt;
use reqwest::{
    Client, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use solana_pubkey::Pubkey;
use tokio_util::task::TaskTracker;

use crate::{
    error::{Result, WorkerError},
    store::Store,
};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(30);
/// A download has this long, and a second more for each megabyte.
const BASE: Duration = Duration::from_secs(60);
const BYTES_PER_SECOND: u64 = 1_000_000;

/// Downloads with bounds. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: Client,
    allow_local: bool,
    max_bytes: u64,
    tasks: TaskTracker,
}

/// Resolves names to addresses on the public internet only.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("the host is not on the public internet".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one that a stranger's URL may point to.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let benchmark = a == 198 && (18..20).contains(&b);
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_documentation()
                || ip.is_multicast()
                || shared
                || benchmark
                || a == 0
                || a >= 240)
        }
        IpAddr::V6(ip) => {
            if let Some(inner) = ip.to_ipv4() {
                return is_public(IpAddr::V4(inner));
            }
            let first = ip.segments().first().copied().unwrap_or_default();
            // Global unicast is 2000::/3; 2001:db8::/32 documents, 2002::/16 tunnels to IPv4, 64:ff9b::/96 is outside.
            let documentation = first == 0x2001 && ip.segments().get(1) == Some(&0xdb8);
            (0x2000..0x4000).contains(&first) && first != 0x2002 && !documentation
        }
    }
}

/// A URL fit to be shown: without user info and query.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Only URLs that can't have user info refuse these, and they have none.
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return url.scheme().to_owned();
    }
    url.into()
}

impl Fetcher {
    /// A fetcher. `allow_local`: also `file://` and hosts on this machine or in private networks. `max_bytes`: most
    /// bytes of one download.
    ///
    /// # Errors
    /// [`WorkerError::Internal`] where the HTTP client can't be made.
    pub fn new(allow_local: bool, max_bytes: u64) -> Result<Self> {
        let mut builder = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            // A redirect could lead where the first URL may not.
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")));
        if !allow_local {
            builder = builder.dns_resolver(Arc::new(PublicOnly));
        }
        let client = builder.build().map_err(|error| WorkerError::Internal(error.to_string()))?;
        Ok(Self { client, allow_local, max_bytes, tasks: TaskTracker::new() })
    }

    /// The same, with its work on threads counted by `tasks`.
    pub(crate) fn counted_by(mut self, tasks: TaskTracker) -> Self {
        self.tasks = tasks;
        self
    }

    /// Exactly `bytes` bytes from a URL.
    ///
    /// # Errors
    /// [`WorkerError::Fetch`] where they can't be had, [`WorkerError::FetchMismatch`] for more or fewer bytes.
    pub async fn get(&self, url: &str, bytes: u64) -> Result<Vec<u8>> {
        let url = Url::parse(url)
            .map_err(|error| WorkerError::Fetch { url: "(not a URL)".to_owned(), why: error.to_string() })?;
        let failed = |why: String| WorkerError::Fetch { url: shown(&url), why };
        if bytes > self.max_bytes {
            return Err(failed(format!("{bytes} bytes are more than this worker fetches ({})", self.max_bytes)));
        }
        let capacity = usize::try_from(bytes).map_err(|_| failed("too many bytes for this machine".to_owned()))?;
        let patience = BASE.saturating_add(Duration::from_secs(bytes / BYTES_PER_SECOND));
        let found = match url.scheme() {
            "http" | "https" => {
                if !self.allow_local {
                    let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
                    if literal.is_some_and(|ip| !is_public(ip)) {
                        return Err(failed("the host is not on the public internet".to_owned()));
                    }
                }
                tokio::time::timeout(patience, self.http(url.clone(), bytes, capacity))
                    .await
                    .map_err(|_| failed(format!("not complete after {} seconds", patience.as_secs())))?
            }
            "file" if self.allow_local => {
                let path = url.to_file_path().map_err(|()| failed("it names no file".to_owned()))?;
                let read = move || read_file(&path, bytes);
                tokio::task::spawn_blocking(read).await.map_err(|error| failed(error.to_string()))?
            }
            "file" => Err("files of this machine are not taken as inputs".to_owned()),
            scheme => Err(format!("{scheme} URLs are not understood")),
        };
        let mismatch = |why: String| Err(WorkerError::FetchMismatch { url: shown(&url), why });
        match found.map_err(failed)? {
            None => mismatch(format!("more than {bytes} bytes")),
            Some(found) if found.len() != capacity => mismatch(format!("{} bytes instead of {bytes}", found.len())),
            Some(found) => Ok(found),
        }
    }

    /// The body; None where it is longer than `bytes`, which are `capacity`.
    async fn http(&self, url: Url, bytes: u64, capacity: usize) -> Result<Option<Vec<u8>>, String> {
        // reqwest's own text names the URL with all that is in it; its cause does not.
        let told = |error: reqwest::Error| {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            if error.is_timeout() {
                "no answer in time".to_owned()
            } else if std::ptr::eq(cause, &error as &dyn std::error::Error) {
                "the connection failed".to_owned()
            } else {
                cause.to_string()
            }
        };
        let response = self.client.get(url).send().await.map_err(told)?;
        if !response.status().is_success() {
            return Err(format!("HTTP status {}", response.status()));
        }
        if response.content_length().is_some_and(|length| length > bytes) {
            return Ok(None);
        }
        let mut body = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(told)?;
            if body.len().saturating_add(piece.len()) > capacity {
                return Ok(None);
            }
            // Grows as bytes come: a length that a stranger wrote takes no memory by itself.
            body.try_reserve(piece.len()).map_err(|_| "not enough memory".to_owned())?;
            body.extend_from_slice(&piece);
        }
        Ok(Some(body))
    }

    /// The inputs of a job, from the store or from its locator, checked against the roots in its terms. What was
    /// fetched is kept in the store where there is one.
    ///
    /// # Errors
    /// [`WorkerError::Fetch`], [`WorkerError::FetchMismatch`], [`WorkerError::Job`], [`WorkerError::Io`].
    pub async fn inputs(&self, job: &Pubkey, terms: &JobTerms, store: Option<&Arc<Store>>) -> Result<InputTrees> {
        let locator = assay_client::accounts::text(&terms.locator).trim_end_matches('/').to_owned();
        let listed = terms.input.get(..usize::from(terms.inputs)).unwrap_or(&terms.input);
        let total = listed.iter().fold(0u64, |sum, input| sum.saturating_add(input.bytes));
        let job = *job;
        if total > self.max_bytes {
            let why = format!("its inputs have {total} bytes, this worker takes {}", self.max_bytes);
            return Err(WorkerError::Job { job, why });
        }
        let mut inputs = Vec::with_capacity(listed.len());
        for input in listed {
            let (root, length) = (input.root, input.bytes);
            let kept = match store.cloned() {
                // A file that can't be read is fetched again.
                Some(store) => blocking(&self.tasks, move || store.input(&root)).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "an input that was kept can't be read");
                    None
                }),
                None => None,
            };
            if let Some(bytes) = kept
                && let Some(data) = checked(&self.tasks, bytes, root, length).await?
            {
                inputs.push(data);
                continue;
            }
            let url = format!("{locator}/{}", hex::encode(root));
            let bytes = self.get(&url, length).await?;
            let Some(data) = checked(&self.tasks, bytes, root, length).await? else {
                let url = Url::parse(&url).map_or(url, |url| shown(&url));
                return Err(WorkerError::FetchMismatch { url, why: "its Merkle root is not the job's".to_owned() });
            };
            let data = match store.cloned() {
                Some(store) => {
                    blocking(&self.tasks, move || {
                        // What is in memory serves now, kept or not.
                        if let Err(error) = store.put_input(&root, data.bytes()) {
                            tracing::warn!(%error, "an input can't be kept");
                        }
                        Ok(data)
                    })
                    .await?
                }
                None => data,
            };
            inputs.push(data);
        }
        InputTrees::new(terms, inputs).map_err(|error| WorkerError::Job { job, why: error.to_string() })
    }
}

/// Hashes an input off the async threads; None when it is not the one with this root and length.
async fn checked(tasks: &TaskTracker, bytes: Vec<u8>, root: [u8; 32], length: u64) -> Result<Option<InputData>> {
    blocking(tasks, move || {
        if u64::try_from(bytes.len()).ok() != Some(length) {
            return Ok(None);
        }
        Ok(InputData::new(bytes).ok().filter(|data| data.root() == root))
    })
    .await
}

/// Runs something that blocks or computes on a thread of its own. Whoever waits for `tasks` waits for it, too, also when
/// nobody waits for its result any more.
pub(crate) async fn blocking<T: Send + 'static>(
    tasks: &TaskTracker,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tasks.spawn_blocking(work).await.map_err(|error| WorkerError::Internal(error.to_string()))?
}

/// The file; None where it is longer than `bytes`.
fn read_file(path: &Path, bytes: u64) -> Result<Option<Vec<u8>>, String> {
    let told = |error: std::io::Error| error.to_string();
    let file = std::fs::File::open(path).map_err(told)?;
    if !file.metadata().map_err(told)?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut found = Vec::new();
    file.take(bytes.saturating_add(1)).read_to_end(&mut found).map_err(told)?;
    Ok((u64::try_from(found.len()).is_ok_and(|length| length <= bytes)).then_some(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_kernels::registry::AnyKernel;

    #[test]
    fn addresses_behind_a_firewall_are_not_public() {
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
            "ff02::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111"] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    /// A disk that is full, or gives nothing back, keeps no input from being used that can be had.
    #[tokio::test]
    async fn inputs_are_used_that_can_not_be_kept() {
        let kernel = AnyKernel::from_name("gemm_i8").unwrap();
        let job = kernel.handling().checks().remove(0);
        let (mut terms, inputs) = crate::execute::tests::terms_of(kernel, &job);
        let folder = tempfile::tempdir().unwrap();
        let served = folder.path().join("served");
        std::fs::create_dir(&served).unwrap();
        for (input, slice) in terms.input.iter().take(usize::from(terms.inputs)).zip(inputs.slices()) {
            std::fs::write(served.join(hex::encode(input.root)), slice).unwrap();
        }
        let store = Arc::new(Store::open(&folder.path().join("data")).unwrap());
        let kept = folder.path().join("data/inputs");
        std::fs::remove_dir_all(&kept).unwrap();
        let fetcher = Fetcher::new(true, 1 << 30).unwrap();
        let locator = Url::from_file_path(&served).unwrap().to_string();
        terms.locator[..locator.len()].copy_from_slice(locator.as_bytes());
        let job = Pubkey::default();
        let fetch = || fetcher.inputs(&job, &terms, Some(&store));
        assert_eq!(fetch().await.unwrap().slices(), inputs.slices(), "there is no folder for them");
        // A folder in a file's place can't be read, either.
        std::fs::create_dir_all(kept.join(hex::encode(terms.input[0].root))).unwrap();
        assert_eq!(fetch().await.unwrap().slices(), inputs.slices());
    }

    #[tokio::test]
    async fn strangers_urls_do_not_reach_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x"), b"abcd").unwrap();
        let file = Url::from_file_path(folder.path().join("x")).unwrap().to_string();
        let strict = Fetcher::new(false, 100).unwrap();
        let open = Fetcher::new(true, 100).unwrap();
        for url in [
            file.as_str(),
            "http://127.0.0.1:1/x",
            "http://[::1]:1/x",
            "http://localhost:1/x",
            "ftp://example.com/x",
            "x",
        ] {
            assert_eq!(strict.get(url, 4).await.unwrap_err().code(), "fetch", "{url}");
        }
        assert_eq!(open.get(&file, 4).await.unwrap(), b"abcd");
        assert_eq!(open.get(&file, 3).await.unwrap_err().code(), "fetch-mismatch");
        assert_eq!(open.get(&file, 5).await.unwrap_err().code(), "fetch-mismatch");
        assert_eq!(open.get(&file, 101).await.unwrap_err().code(), "fetch");
        let folder = Url::from_file_path(folder.path()).unwrap().to_string();
        assert_eq!(open.get(&folder, 4).await.unwrap_err().code(), "fetch");
    }

    #[test]
    fn secrets_in_urls_are_not_shown() {
        let url = Url::parse("https://user:secret@host.example/a?key=secret#secret").unwrap();
        assert_eq!(shown(&url), "https://host.example/a");
    }
}
