//! `assay job fetch`: all shards, each checked against the chain, as one file.

use crate::{
    args::Fetch,
    context::Context,
    error::{CliError, Exit, Result},
    job::{
        file::{Made, check_name},
        find,
        hits::{self, Hits},
        results, status,
    },
    npy, store,
};
use assay_settlement::state::ShardState;
use std::collections::BTreeMap;

/// Runs the command.
///
/// # Errors
/// No such job, not all shards settled yet (exit code 9), a provider that does not serve, or bytes that are not the
/// committed ones (exit code 8). A file is written only when everything was right.
pub async fn run(context: &Context<'_>, args: &Fetch) -> Result<()> {
    let job = find(context, &args.job).await?;
    let made = Made::new(job.terms.kernel_id, job.terms.params())?;
    let part = made.part(args.part.as_deref())?;
    let hits = Hits::wanted(&made, args)?;
    match &hits {
        Some(_) => hits::check_name(&args.out)?,
        None => check_name(&part, &args.out)?,
    }
    let mut shards = context.reader.shards_of_job(&args.job).await?;
    shards.sort_by_key(|(_, shard)| shard.index);
    let missing: Vec<_> = status::lines(&job, &shards).into_iter().filter(|line| line.state != "settled").collect();
    if !missing.is_empty() {
        let list = missing.iter().map(|line| format!("{} ({})", line.index, line.state)).collect::<Vec<_>>().join(", ");
        let lost = missing.iter().any(|line| line.state == "slashed");
        let advice = if lost {
            "Slashed shards were refunded with compensation: submit that part of the work again."
        } else {
            "Try again when `assay job status` shows them settled."
        };
        return Err(CliError::new(
            Exit::NotReady,
            "job-not-finished",
            format!("these shards are not settled: {list}. Nothing was written. {advice}"),
        ));
    }
    let client = store::http()?;
    let mut bytes = Vec::new();
    for (address, shard) in shards.iter().filter(|(_, shard)| shard.state() == Some(ShardState::Settled)) {
        bytes.extend(results::fetch(&client, &context.reader, &job, address, shard).await?);
        context.console.note(format!(
            "shard {} of {}: {} bytes so far, root as on the chain",
            shard.index,
            job.terms.shards,
            bytes.len()
        ));
    }
    let (name, file) = match &hits {
        Some(hits) => (hits::NAME, hits.encode(&bytes)?),
        None => (part.name.as_ref(), made.encode(&part, &bytes)?),
    };
    npy::write_file(&args.out, &file)?;
    let facts = made.kernel.handling().facts(job.terms.params(), &bytes);
    let lines: String = facts.iter().map(|fact| format!("\n{}: {}", fact.name, fact.value)).collect();
    let file = args.out.display();
    context.console.say(format!("{file} written ({}): every shard's root is the one on the chain{lines}", name));
    context.console.document(&serde_json::json!({
        "job": args.job.to_string(),
        "file": args.out.display().to_string(),
        "part": name,
        "facts": facts.into_iter().map(|fact| (fact.name, fact.value)).collect::<BTreeMap<_, _>>(),
        "shards": job.terms.shards,
        "bytes": bytes.len(),
        "verified": true,
    }))
}
