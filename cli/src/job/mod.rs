//! `assay job`: what a renter does.

pub mod accept;
pub mod asked;
pub mod challenge;
pub mod deliver;
pub mod end;
pub mod fetch;
pub mod file;
pub mod hits;
pub mod name;
pub mod results;
pub mod slashed;
pub mod status;
pub mod submit;
pub mod watch;

use crate::{
    context::{Context, MarketAt},
    error::{CliError, Exit, Result},
};
use assay_settlement::state::{Job, Shard, ShardState};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

/// Reads a job.
///
/// # Errors
/// `no-such-job`, exit code 6.
pub async fn find(context: &Context<'_>, address: &Pubkey) -> Result<Job> {
    let refused = |why: &str| {
        let text = format!(
            "{why} on the chain at {}. Nothing was sent or paid. Check the address and --url; a job that was closed is gone.",
            context.cluster.shown()
        );
        CliError::not_found("no-such-job", text)
    };
    context.reach().await?;
    let Some(account) = context.reader.rpc().account(address).await? else {
        return Err(refused(&format!("there is no job {address}")));
    };
    assay_client::accounts::decode(address, &account).map_err(|_| refused(&format!("{address} is not a job")))
}

/// Reads a job of this renter.
///
/// # Errors
/// As [`find`], or `not-your-job`, exit code 7.
pub async fn own(context: &Context<'_>, owner: &Keypair, address: &Pubkey) -> Result<Job> {
    let job = find(context, address).await?;
    if job.renter != owner.pubkey() {
        let text = format!(
            "job {address} belongs to {}, not to {}. Nothing was sent or paid. Check --keypair",
            job.renter,
            owner.pubkey()
        );
        return Err(CliError::new(Exit::Refused, "not-your-job", text));
    }
    Ok(job)
}

/// The market of a job.
///
/// # Errors
/// The chain can't be read.
pub async fn market_of(context: &Context<'_>, job: &Job) -> Result<MarketAt> {
    let address = job.terms.market;
    Ok(MarketAt { address, data: context.reader.market(&address).await? })
}

/// A shard of a job whose result is committed and not decided yet.
///
/// # Errors
/// `no-such-shard` (exit code 6), `not-committed` (9: it may be later), or `shard-ended` (7).
pub async fn committed(context: &Context<'_>, address: &Pubkey, job: &Job, index: u32) -> Result<Shard> {
    if index >= job.terms.shards {
        let text = format!(
            "job {address} has {} shards, numbered from 0: there is no shard {index}. Nothing was sent or paid",
            job.terms.shards
        );
        return Err(CliError::not_found("no-such-shard", text));
    }
    let shard = context.reader.shard(address, index).await?;
    match shard.as_ref().and_then(Shard::state) {
        Some(ShardState::Committed | ShardState::Sampled) => {}
        Some(ended @ (ShardState::Settled | ShardState::Slashed)) => {
            let text = format!(
                "shard {index} is {}: nothing can be demanded of it any more. Nothing was sent or paid",
                status::state_name(Some(ended))
            );
            return Err(CliError::new(Exit::Refused, "shard-ended", text));
        }
        _ => return Err(not_committed(index)),
    }
    shard.ok_or_else(|| not_committed(index))
}

fn not_committed(index: u32) -> CliError {
    let text = format!(
        "shard {index} has no committed result yet. Nothing was sent or paid. Try again when `assay job status` shows it as committed"
    );
    CliError::new(Exit::NotReady, "not-committed", text)
}

/// A number of seconds in words.
pub fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match (seconds / 3_600, seconds % 3_600 / 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_are_read_at_a_glance() {
        let words = [span(-5), span(59), span(3_599), span(43_260)];
        assert_eq!(words, ["0 s", "59 s", "59 min 59 s", "12 h 1 min"]);
    }
}
