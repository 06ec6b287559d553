//! `assay job cancel` and `assay job close`: taking back what is the renter's.

use crate::{
    args::JobClose,
    context::Context,
    error::{CliError, Exit, Result},
    job::{
        challenge::move_bond,
        market_of, own,
        slashed::{Slashed, owes},
    },
};
use assay_client::{ix, token};
use assay_settlement::{
    rules::{challenge::returnable, shard::closable},
    state::{ChallengeState, Job, JobState},
};
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;

/// Shard accounts that are closed in one transaction: each takes one account and one instruction.
const CLOSES_PER_TRANSACTION: usize = 8;

/// Makes the associated token account of a job's renter unless it exists; and its address.
fn purse(job: &Job, owner: &Pubkey) -> (Instruction, Pubkey) {
    let (program, mint) = (&job.terms.token_program, &job.terms.mint);
    (token::create_associated_of(program, *owner, owner, mint), token::associated_of(program, owner, mint))
}

/// Moves to the renter what no shard needs. None when there is nothing to move.
///
/// # Errors
/// The chain can't be reached or refuses.
pub async fn refund(context: &Context<'_>, owner: &Keypair, address: &Pubkey) -> Result<Option<(Signature, u64)>> {
    let job = own(context, owner, address).await?;
    let now = context.reader.now().await?;
    let vault = context.reader.rpc().account(&job.vault).await?;
    let held = vault.and_then(|account| token::amount(&account.data)).unwrap_or(0);
    let owed = job.owed(&now).and_then(|owed| owed.total());
    let free = held.saturating_sub(owed.unwrap_or(held));
    if free == 0 {
        return Ok(None);
    }
    let key = owner.pubkey();
    let (make, purse) = purse(&job, &key);
    let instructions = [make, ix::withdraw_refund(address, &job, purse)];
    Ok(Some((context.send(&instructions, &[owner]).await?, free)))
}

/// Runs `assay job cancel`. Running it again only takes back what has become free since.
///
/// # Errors
/// Not this renter's job, or the chain can't be reached or refuses.
pub async fn cancel(context: &Context<'_>, address: &Pubkey) -> Result<()> {
    let owner = context.keypair()?;
    let job = own(context, &owner, address).await?;
    let cancelled = match job.state() {
        JobState::Open => Some(context.send(&[ix::cancel_job(owner.pubkey(), *address)], &[&*owner]).await?),
        JobState::Cancelled => None,
    };
    let refunded = refund(context, &owner, address).await?;
    let market = market_of(context, &job).await?;
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
    /// Challenges that were closed, their bonds moved.
    pub challenges: u32,
    /// Lists of demanded leaves that were closed.
    pub deliveries: u32,
}

/// Ends what hangs on a terminal job's shards: divides and returns bonds, closes lists of demanded leaves. Returns how many
/// of each.
async fn close_around(context: &Context<'_>, owner: &Keypair, address: &Pubkey, job: &Job) -> Result<(u32, u32)> {
    let market = market_of(context, job).await?;
    let shards = context.reader.shards_of_job(address).await?;
    let now = context.reader.now().await?;
    let (mut challenges, mut deliveries) = (0u32, 0u32);
    for (key, challenge) in context.reader.challenges_of_job(address).await? {
        let answered = challenge.state() == Some(ChallengeState::Answered);
        let shard = shards.iter().find(|(shard, _)| *shard == challenge.shard).map(|(_, shard)| shard);
        if !answered && returnable(&challenge, shard, &now).is_err() {
            continue;
        }
        match move_bond(context, owner, &market, &key, &challenge, job).await {
            Ok(_) => challenges = challenges.saturating_add(1),
            // A bond that can't go back to its challenger keeps the job from nothing; an answered one does.
            Err(error) if answered => return Err(error),
            Err(error) => context.console.note(format!("challenge {key} stays: {}", error.message)),
        }
    }
    for (_, delivery) in context.reader.deliveries_of_job(address).await? {
        let shard = shards.iter().find(|(shard, _)| *shard == delivery.shard);
        if let Some((_, shard)) = shard {
            let close = ix::close_delivery(address, shard.index, delivery.rent_payer);
            context.send(&[close], &[owner]).await?;
            deliveries = deliveries.saturating_add(1);
        }
    }
    Ok((challenges, deliveries))
}

/// Has the debts of slashed shards moved, as far as nobody has done so. `waive`: gives up those that a frozen vault holds.
async fn collect_debts(context: &Context<'_>, owner: &Keypair, address: &Pubkey, job: &Job, waive: bool) -> Result<()> {
    let market = market_of(context, job).await?;
    for (_, shard) in context.reader.shards_of_job(address).await?.iter().filter(|(_, shard)| owes(shard)) {
        let index = shard.index;
        let slashed = Slashed { address, job, market: &market, shard };
        let refused = slashed.pay_out(context, owner).await.err();
        // The first seizure lands behind a frozen vault too, and moves nothing.
        if !context.reader.shard(address, index).await?.is_some_and(|shard| owes(&shard)) {
            continue;
        }
        let why = refused.map_or_else(|| "a vault is frozen".to_owned(), |error| error.message);
        context.console.note(format!("what shard {index} owes can't be moved now: {why}"));
        if waive {
            slashed.waive(context, owner).await?;
            context.console.note(format!("shard {index}: you gave up what it owed you; it is the provider's again"));
        }
    }
    Ok(())
}

/// Closes a terminal job and its shards' accounts: fees to the treasury, the rest to the renter, rents to their payers.
/// `waive`: gives up what slashed shards owe where a frozen vault holds it.
///
/// # Errors
/// A job in which something can still happen (`job-not-finished`, exit code 9), or the chain can't be reached.
pub async fn close_all(context: &Context<'_>, owner: &Keypair, address: &Pubkey, waive: bool) -> Result<Closed> {
    let job = own(context, owner, address).await?;
    collect_debts(context, owner, address, &job, waive).await?;
    let job = own(context, owner, address).await?;
    let now = context.reader.now().await?;
    if !job.terminal(&now) {
        let text = format!(
            "{} shards are in work and {} open. Nothing was sent or paid. Wait for them, or cancel the job first",
            job.active,
            job.open_shards().unwrap_or(0)
        );
        return Err(CliError::new(Exit::NotReady, "job-not-finished", text));
    }
    let (challenges, deliveries) = close_around(context, owner, address, &job).await?;
    let shards = context.reader.shards_of_job(address).await?;
    let open: Vec<u32> =
        shards.iter().filter(|(_, shard)| !closable(shard, &job, &now)).map(|(_, shard)| shard.index).collect();
    if !open.is_empty() {
        let text = format!(
            "of shards {open:?} something is still owed: a vault is frozen, or a bounty waits for whoever proved the fault, 30 days at most. Nothing is lost; try again later, or give up what a frozen vault holds with --waive-debts. `assay job cancel` takes back what is free now"
        );
        return Err(CliError::new(Exit::NotReady, "shards-owe", text));
    }
    for some in shards.chunks(CLOSES_PER_TRANSACTION) {
        let closes: Vec<_> =
            some.iter().map(|(_, shard)| ix::close_shard(address, shard.index, shard.rent_payer)).collect();
        context.send(&closes, &[owner]).await?;
    }
    let data = context.reader.market(&job.terms.market).await?;
    let key = owner.pubkey();
    let (make, purse) = purse(&job, &key);
    let instructions = [make, ix::close_job(address, &job, &job.terms.market, &data, purse)];
    let signature = context.send(&instructions, &[owner]).await?;
    Ok(Closed { signature, shards: u32::try_from(shards.len()).unwrap_or(u32::MAX), challenges, deliveries })
}

/// Runs `assay job close`.
///
/// # Errors
/// As [`close_all`].
pub async fn close(context: &Context<'_>, args: &JobClose) -> Result<()> {
    let (owner, address) = (context.keypair()?, &args.job);
    let closed = close_all(context, &owner, address, args.waive_debts).await?;
    context.console.say(format!("job {address} is closed, with {} shard accounts. Results stay with their providers for a while: fetch them soon.", closed.shards));
    context.console.document(&serde_json::json!({
        "job": address.to_string(),
        "signature": closed.signature.to_string(),
        "shards": closed.shards,
        "challenges": closed.challenges,
        "deliveries": closed.deliveries,
    }))
}
