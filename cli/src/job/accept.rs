//! `assay job accept`: the renter pays at once.

use crate::{
    args::Accept,
    context::Context,
    error::{CliError, Exit, Result},
    job::{committed, market_of, own},
};
use assay_client::ix;
use assay_settlement::state::ShardState;
use solana_signer::Signer;

/// Shards that are accepted in one transaction.
const PER_TRANSACTION: usize = 8;

/// Runs the command.
///
/// # Errors
/// Not this renter's job, shards without a committed result (exit code 9), nothing to accept, or the chain can't be
/// reached or refuses.
pub async fn run(context: &Context<'_>, args: &Accept) -> Result<()> {
    let owner = context.keypair()?;
    let job = own(context, &owner, &args.job).await?;
    let market = market_of(context, &job).await?;
    let mut shards = Vec::new();
    if args.shard.is_empty() {
        let all = context.reader.shards_of_job(&args.job).await?.into_iter().map(|(_, shard)| shard);
        shards.extend(all.filter(|shard| matches!(shard.state(), Some(ShardState::Committed | ShardState::Sampled))));
    } else {
        for index in &args.shard {
            shards.push(committed(context, &args.job, &job, *index).await?);
        }
    }
    shards.retain(|shard| shard.accepted == 0);
    shards.sort_by_key(|shard| shard.index);
    shards.dedup_by_key(|shard| shard.index);
    if shards.is_empty() {
        let text = "no shard has a committed result that is not accepted yet. Nothing was sent or paid. See `assay job status`";
        return Err(CliError::new(Exit::NotReady, "nothing-to-accept", text));
    }
    let price = shards.iter().fold(0u64, |sum, shard| sum.saturating_add(shard.price));
    let challenges = shards.iter().fold(0u32, |sum, shard| sum.saturating_add(shard.open_challenges));
    let list: Vec<u32> = shards.iter().map(|shard| shard.index).collect();
    context.console.note(format!(
        "Shards {list:?}: {} tokens of your escrow go to their providers, less the market's fee, as soon as somebody settles them. \
         What was not drawn, proven or delivered yet never will be; {challenges} open challenges get their bonds back. \
         Only a cell that is proven wrong before the settlement still convicts.",
        market.show(price)
    ));
    context.console.confirm("Accept them?", args.yes)?;
    let mut signatures = Vec::new();
    for some in list.chunks(PER_TRANSACTION) {
        let accepts: Vec<_> = some.iter().map(|index| ix::accept_shard(owner.pubkey(), &args.job, *index)).collect();
        signatures.push(context.send(&accepts, &[&*owner]).await?.to_string());
    }
    context.console.say(format!("accepted shards {list:?} of job {}", args.job));
    context.console.document(&serde_json::json!({
        "job": args.job.to_string(),
        "accepted": list,
        "price": price,
        "signatures": signatures,
    }))
}
