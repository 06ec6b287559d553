//! Nodes and chains that take no transaction of version 1.

use anyhow::{Context as _, Result};
use assay_client::cluster::Cluster;
use assay_localnet::Chain;
use serde_json::{Value, json};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// Most characters of a transaction that a node before Agave 4.1 decodes from base64: 1,232 bytes.
const OLD_LIMIT: usize = 1_644;

/// JSON-RPC in front of a chain that answers as nodes did that knew packets of 1,232 bytes only; all else goes through.
pub struct OldNode {
    url: String,
    refused: Arc<AtomicUsize>,
    old: Arc<AtomicBool>,
}

impl OldNode {
    pub async fn before(chain: &Chain) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (refused, old) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
        let (behind, count, is_old) = (chain.rpc_url().to_owned(), refused.clone(), old.clone());
        tokio::spawn(async move {
            let http = reqwest::Client::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (http, behind, count, is_old) = (http.clone(), behind.clone(), count.clone(), is_old.clone());
                // A connection that breaks is the client's to make again.
                tokio::spawn(async move { one(stream, &http, &behind, &count, &is_old).await.ok() });
            }
        });
        Ok(Self { url, refused, old })
    }

    /// Its address; notifications come from the chain itself.
    pub fn cluster(&self, chain: &Chain) -> Result<Cluster> {
        Ok(Cluster::with_ws(&self.url, chain.ws_url())?)
    }

    /// Transactions refused so far.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// Whether another node that is old, or one that is not, answers from now on.
    pub fn is_old(&self, old: bool) {
        self.old.store(old, Ordering::SeqCst);
    }
}

/// One request on a connection of its own.
async fn one(
    stream: TcpStream,
    http: &reqwest::Client,
    behind: &str,
    refused: &AtomicUsize,
    old: &AtomicBool,
) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head)?.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).context("no length")?;
    let mut body = vec![0; length.trim().parse()?];
    stream.read_exact(&mut body).await?;
    let asked: Value = serde_json::from_slice(&body)?;
    let method = asked["method"].as_str().unwrap_or_default();
    let length = asked["params"][0].as_str().map_or(0, str::len);
    let too_large = matches!(method, "simulateTransaction" | "sendTransaction") && length > OLD_LIMIT;
    let answer = if too_large && old.load(Ordering::SeqCst) {
        refused.fetch_add(1, Ordering::SeqCst);
        let why = format!(
            "base64 encoded solana_transaction::versioned::VersionedTransaction too large: {length} bytes (max: encoded/raw 1644/1232)"
        );
        json!({ "jsonrpc": "2.0", "id": asked["id"], "error": { "code": -32602, "message": why } }).to_string().into()
    } else {
        let request = http.post(behind).header("content-type", "application/json").body(body);
        request.send().await?.bytes().await?
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&answer).await?;
    stream.shutdown().await?;
    Ok(())
}

/// The validator at `path`, started without the feature of version 1: a script in `folder` that does so.
pub fn without_version_1(path: &Path, folder: &Path) -> Result<PathBuf> {
    const FEATURE: &str = "txv1aq4pp281K9um3tnPgkfX8UqtFT6wcVW3hNezGLL";
    let script = folder.join("without-version-1");
    let text = format!("#!/bin/sh\nexec '{}' --deactivate-feature {FEATURE} \"$@\"\n", path.display());
    std::fs::write(&script, text)?;
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755))?;
    Ok(script)
}
