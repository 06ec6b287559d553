//! Downloading a shard's result from its provider and checking it against the chain.

use crate::error::{CliError, Exit, Result};
use assay_client::{Reader, accounts::text, answer::ShardTree};
use assay_settlement::state::{Job, Shard};
use futures_util::StreamExt;
use solana_pubkey::Pubkey;

/// Downloads and checks the result of one shard: its bytes must have the root that is committed on the chain, under
/// the salt of this shard and provider.
///
/// # Errors
/// The provider does not serve it (`result-unavailable`), or serves other bytes (`result-forged`, exit code 8).
pub async fn fetch(
    client: &reqwest::Client,
    reader: &Reader,
    job: &Job,
    address: &Pubkey,
    shard: &Shard,
) -> Result<Vec<u8>> {
    let index = shard.index;
    let expected =
        shard_bytes(job, index).ok_or_else(|| CliError::internal(format!("the job has no shard {index}")))?;
    let provider = reader.provider(&shard.provider).await?;
    let endpoint = text(&provider.endpoint);
    let unavailable = |why: String| {
        let text = format!(
            "provider {} does not serve shard {index} now ({why}). The shard's root is on the chain, so nothing is lost: try again later.",
            shard.provider
        );
        CliError::new(Exit::NotReady, "result-unavailable", text)
    };
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        return Err(unavailable("it names no http(s) endpoint".to_owned()));
    }
    let url = format!("{}/v1/shards/{address}/result", endpoint.trim_end_matches('/'));
    let answer = client.get(url).send().await.map_err(|e| unavailable(e.without_url().to_string()))?;
    if !answer.status().is_success() {
        return Err(unavailable(format!("HTTP status {}", answer.status())));
    }
    let mut bytes = Vec::new();
    let mut stream = answer.bytes_stream();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.map_err(|e| unavailable(e.without_url().to_string()))?);
        // A provider can't fill this machine's memory.
        if bytes.len() as u64 > expected {
            break;
        }
    }
    let forged = || {
        let text = format!(
            "provider {} serves bytes for shard {index} that are not the ones it was paid for (their root is not the one on the chain). They were not written. \
             Ask again later; keep the bytes if you want to show them.",
            shard.provider
        );
        CliError::verification("result-forged", text)
    };
    if bytes.len() as u64 != expected {
        return Err(forged());
    }
    let tree = ShardTree::new(&job.terms, index, address, &shard.provider, bytes)?;
    if tree.root() != shard.root {
        return Err(forged());
    }
    Ok(tree.bytes().to_vec())
}

/// Bytes of the result of one shard.
fn shard_bytes(job: &Job, index: u32) -> Option<u64> {
    let range = job.terms.shard(index)?;
    let geometry = assay_client::answer::geometry(&job.terms);
    let end = geometry.bytes_before(range.first_leaf.checked_add(range.leaves)?)?;
    end.checked_sub(geometry.bytes_before(range.first_leaf)?)
}
