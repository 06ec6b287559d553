//! `assay job watch-keys`: hot keys that may name cells for the renter, and nothing else.

use crate::{
    args::WatchKeys,
    context::Context,
    error::{CliError, Result},
    job::own,
};
use assay_client::ix;
use assay_settlement::constants::{MAX_WATCH_KEYS, NOBODY};
use solana_signer::Signer;

/// Runs the command.
///
/// # Errors
/// Not this renter's job, too many keys, or the chain can't be reached or refuses.
pub async fn run(context: &Context<'_>, args: &WatchKeys) -> Result<()> {
    if args.key.len() > MAX_WATCH_KEYS {
        return Err(CliError::usage(format!("a job has {MAX_WATCH_KEYS} watch keys at most. Nothing was sent")));
    }
    let owner = context.keypair()?;
    own(context, &owner, &args.job).await?;
    let mut keys = [NOBODY; MAX_WATCH_KEYS];
    for (slot, key) in keys.iter_mut().zip(&args.key) {
        *slot = *key;
    }
    let signature = context.send(&[ix::set_watch_keys(owner.pubkey(), args.job, keys)], &[&*owner]).await?;
    let listed: Vec<String> = args.key.iter().map(ToString::to_string).collect();
    let whose = if listed.is_empty() { "nobody but you".to_owned() } else { format!("you, {}", listed.join(" and ")) };
    context.console.say(format!("cells of job {} may be named by {whose}\ntransaction {signature}", args.job));
    context.console.document(&serde_json::json!({
        "job": args.job.to_string(),
        "watch_keys": listed,
        "signature": signature.to_string(),
    }))
}
