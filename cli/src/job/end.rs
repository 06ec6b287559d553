//! `assay job cancel` and `assay job close`: taking back what is the renter's.

use crate::{
    context::{Context, MarketAt},
    error::{CliError, Exit, Result},
    job::find,
};
use assay_client::{ix, token};
use assay_settlement::state::{Job, JobState};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;

/// Shard accounts that are closed in one transaction: each takes one account and one instruction.
const CLOSES_PER_TRANSACTION: usize = 8;

async fn own_job(context: &Context<'_>, owner: &Keypair, address: &Pubkey) -> Result<Job> {
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

/// Moves to the renter what no shard needs. None when there is nothing to move.
///
/// # Errors
/// The chain can't be reached or refuses.
pub async fn refund(context: &Context<'_>, owner: &Keypair, address: &Pubkey) -> Result<Option<(Signature, u64)>> {
    let job = own_job(context, owner, address).await?;
    let now = context.reader.now().await?;
    let vault = context.reader.rpc().account(&job.vault).await?;
    let held = vault.and_then(|account| token::amount(&account.data)).unwrap_or(0);
    let owed = job.owed(&now).and_then(|owed| owed.total());
    let free = held.saturating_sub(owed.unwrap_or(held));
    if free == 0 {
        return Ok(None);
    }
    let key = owner.pubkey();
    let mint = job.terms.mint;
    let instructions = [
        token::create_associated(key, &key, &mint),
        ix::withdraw_refund(address, &job, token::associated(&key, &mint)),
    ];
    Ok(Some((context.send(&instructions, &[owner]).await?, free)))
}

/// Runs `assay job cancel`. Running it again only takes back what has become free since.
///
/// # Errors
/// Not this renter's job, or the chain can't be reached or refuses.
pub async fn cancel(context: &Context<'_>, address: &Pubkey) -> Result<()> {
    let owner = context.keypair()?;
    let job = own_job(context, &owner, address).await?;
    let cancelled = match job.state() {
        JobState::Open => Some(context.send(&[ix::cancel_job(owner.pubkey(), *address)], &[&*owner]).await?),
        JobState::Cancelled => None,
    };
    let refunded = refund(context, &owner, address).await?;
    let data = context.reader.market(&job.terms.market).await?;
    let market = MarketAt { address: job.terms.market, data };
    let amount = refunded.map_or(0, |(_, amount)| amount);
    context.console.say(format!(
        "job {address} takes no more claims; {} tokens refunded. Shards in work go on and are paid.",
        market.show(amount)
    ));
    context.console.document(&serde_json::json!({
        "job": address.to_string(),
        "signature": cancelled.map(|signature| signature.to_string()),
        "refunded": amount,
        "refund_signature": refunded.map(|(signature, _)| signature.to_string()),
        "in_work": job.active,
    }))
}

/// What closing a job moved.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// The last transaction.
    pub signature: Signature,
    /// Shard accounts that were closed.
    pub shards: u32,
}

/// Closes a terminal job and its shards' accounts: fees to the treasury, the rest to the renter, rents to their payers.
///
/// # Errors
/// A job in which something can still happen (`job-not-finished`, exit code 9), or the chain can't be reached.
pub async fn close_all(context: &Context<'_>, owner: &Keypair, address: &Pubkey) -> Result<Closed> {
    let job = own_job(context, owner, address).await?;
    let now = context.reader.now().await?;
    if !job.terminal(&now) {
        let text = format!(
            "{} shards are in work and {} open. Nothing was sent or paid. Wait for them, or cancel the job first",
            job.active,
            job.open_shards().unwrap_or(0)
        );
        return Err(CliError::new(Exit::NotReady, "job-not-finished", text));
    }
    let shards = context.reader.shards_of_job(address).await?;
    for some in shards.chunks(CLOSES_PER_TRANSACTION) {
        let closes: Vec<_> =
            some.iter().map(|(_, shard)| ix::close_shard(address, shard.index, shard.rent_payer)).collect();
        context.send(&closes, &[owner]).await?;
    }
    let data = context.reader.market(&job.terms.market).await?;
    let key = owner.pubkey();
    let mint = job.terms.mint;
    let instructions = [
        token::create_associated(key, &key, &mint),
        ix::close_job(address, &job, &job.terms.market, &data, token::associated(&key, &mint)),
    ];
    let signature = context.send(&instructions, &[owner]).await?;
    Ok(Closed { signature, shards: u32::try_from(shards.len()).unwrap_or(u32::MAX) })
}

/// Runs `assay job close`.
///
/// # Errors
/// As [`close_all`].
pub async fn close(context: &Context<'_>, address: &Pubkey) -> Result<()> {
    let owner = context.keypair()?;
    let closed = close_all(context, &owner, address).await?;
    context.console.say(format!("job {address} is closed, with {} shard accounts. Results stay with their providers for a while: fetch them soon.", closed.shards));
    context.console.document(&serde_json::json!({
        "job": address.to_string(),
        "signature": closed.signature.to_string(),
        "shards": closed.shards,
    }))
}
