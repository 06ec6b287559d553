//! `assay job demand-leaves` and `assay job attest`: whether a result arrived.

use crate::{
    args::{Attest, DemandLeaves},
    context::Context,
    error::{CliError, Exit, Result},
    job::{committed, find, market_of, own, span},
};
use assay_client::ix;
use assay_settlement::{
    constants::MAX_DEMANDED_LEAVES,
    rules::delivery::{posting_due, posting_price},
    state::{DeliveryMode, Job, Shard},
};
use solana_signer::Signer;

fn check_mode(job: &Job, wanted: DeliveryMode, words: &str) -> Result<()> {
    if job.terms.delivery() == Some(wanted) {
        return Ok(());
    }
    let text = format!(
        "the delivery of this job is not `{words}`: that was chosen when it was submitted. Nothing was sent or paid"
    );
    Err(CliError::new(Exit::Refused, "other-delivery", text))
}

/// Base units that posting these leaves costs.
fn price(job: &Job, shard: &Shard, leaves: &[u64]) -> Result<u64> {
    let range = job.terms.shard(shard.index).ok_or_else(|| CliError::internal("the job has no such shard"))?;
    let last = range.first_leaf.saturating_add(range.leaves).saturating_sub(1);
    let mut sum = 0u64;
    for leaf in leaves {
        let bytes = range.leaf(*leaf).and_then(|span| span.bytes()).map_err(|_| {
            let text = format!(
                "shard {} has leaves {} to {last}, not {leaf}. Nothing was sent or paid",
                shard.index, range.first_leaf
            );
            CliError::not_found("no-such-leaf", text)
        })?;
        let one = posting_price(bytes, &job.terms).unwrap_or(u64::MAX);
        sum = sum.saturating_add(one);
    }
    Ok(sum)
}

/// Runs `assay job demand-leaves`.
///
/// # Errors
/// Not this renter's job, another delivery, leaves that are not the shard's, too few tokens, or the chain can't be reached
/// or refuses.
pub async fn demand(context: &Context<'_>, args: &DemandLeaves) -> Result<()> {
    let mut leaves = args.leaf.clone();
    leaves.sort_unstable();
    leaves.dedup();
    if leaves.len() > MAX_DEMANDED_LEAVES {
        let text = format!("{MAX_DEMANDED_LEAVES} leaves of a shard can be demanded at most. Nothing was sent or paid");
        return Err(CliError::usage(text));
    }
    let owner = context.keypair()?;
    let key = owner.pubkey();
    let job = own(context, &owner, &args.job).await?;
    check_mode(&job, DeliveryMode::Ledger, "ledger")?;
    let shard = committed(context, &args.job, &job, args.shard).await?;
    let market = market_of(context, &job).await?;
    let prepaid = price(&job, &shard, &leaves)?;
    let now = context.reader.now().await?;
    let asked = Shard {
        demanded_at: now.time,
        demanded_slot: now.slot,
        leaves_demanded: u8::try_from(leaves.len()).unwrap_or(u8::MAX),
        ..shard
    };
    let due = posting_due(&asked, &job.terms);
    context.require_tokens(&key, &market, prepaid).await?;
    context.console.note(format!(
        "Leaves {leaves:?} of shard {}: you prepay {} tokens, which the provider gets for what it posts and you for what it does not. \
         If one is missing {} from now, the price of the shard ({}) comes back to you. Leaves of a shard can be demanded once.",
        args.shard,
        market.show(prepaid),
        span(i64::from(due.seconds)),
        market.show(shard.price),
    ));
    context.console.confirm("Demand them and prepay?", args.yes)?;
    let demand = ix::demand_leaves(key, key, &args.job, &job, args.shard, market.purse(&key), leaves.clone());
    let signature = context.send(&[demand], &[&*owner]).await?;
    context.console.say(format!(
        "{} leaves of shard {} are demanded\ntransaction {signature}",
        leaves.len(),
        args.shard
    ));
    context.console.document(&serde_json::json!({
        "job": args.job.to_string(),
        "shard": args.shard,
        "leaves": leaves,
        "prepaid": prepaid,
        "due": due.time(),
        "signature": signature.to_string(),
    }))
}

/// Runs `assay job attest`.
///
/// # Errors
/// Another delivery, not the attestor, or the chain can't be reached or refuses.
pub async fn attest(context: &Context<'_>, args: &Attest) -> Result<()> {
    let attestor = context.keypair()?;
    let job = find(context, &args.job).await?;
    check_mode(&job, DeliveryMode::Attested, "attested")?;
    if job.terms.attestor != attestor.pubkey() {
        let text = format!(
            "the attestor of this job is {}, not {}. Nothing was sent or paid. Check --keypair",
            job.terms.attestor,
            attestor.pubkey()
        );
        return Err(CliError::new(Exit::Refused, "not-the-attestor", text));
    }
    committed(context, &args.job, &job, args.shard).await?;
    let attest = ix::attest_delivery(attestor.pubkey(), &args.job, args.shard, args.arrived);
    let signature = context.send(&[attest], &[&*attestor]).await?;
    let said = if args.arrived { "arrived" } else { "did not arrive" };
    context.console.say(format!("shard {}: the result {said}\ntransaction {signature}", args.shard));
    context.console.document(&serde_json::json!({
        "job": args.job.to_string(),
        "shard": args.shard,
        "arrived": args.arrived,
        "signature": signature.to_string(),
    }))
}
