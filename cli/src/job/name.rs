//! `assay job name`: the renter's own choice of cells, without a bond. It is what a leader who biases the chain's draw can't
//! foresee.

use crate::{
    args::Name,
    context::Context,
    error::{CliError, Exit, Result},
    job::{committed, find},
};
use assay_client::{ix, naming};
use assay_settlement::{
    Job, Shard, ShardState,
    rules::{judgement::named_due, shard::challenge_window},
    seeds,
};
use solana_signer::Signer;
use std::{collections::HashMap, time::Duration};

/// Runs the command.
///
/// # Errors
/// Neither the renter nor a watch key, a job without named cells, a shard that is not committed or whose cells are named
/// already, or the chain can't be reached or refuses.
pub async fn run(context: &Context<'_>, args: &Name) -> Result<()> {
    let key = context.keypair()?;
    let job = find(context, &args.job).await?;
    if !job.may_name(&key.pubkey()) {
        let text = format!(
            "cells of job {} are named by its renter and its watch keys, not by {}. Nothing was sent or paid. Check --keypair",
            args.job,
            key.pubkey()
        );
        return Err(CliError::new(Exit::Refused, "not-your-job", text));
    }
    if job.terms.named == 0 {
        let text = "the market of this job lets nobody name cells. Nothing was sent or paid";
        return Err(CliError::new(Exit::Refused, "no-named-cells", text));
    }
    if args.follow {
        return follow(context, args, &job).await;
    }
    let index =
        args.shard.ok_or_else(|| CliError::usage("which shard? Give its number, or --follow for all of them"))?;
    let shard = committed(context, &args.job, &job, index).await?;
    if shard.named > 0 {
        let text = format!("cells of shard {index} were named already, which is done once. Nothing was sent or paid");
        return Err(CliError::new(Exit::Refused, "already-named", text));
    }
    let cells = if args.cell.is_empty() { choose(&job, args, &shard) } else { args.cell.clone() };
    if cells.is_empty() {
        let text =
            format!("the chain has drawn every cell of shard {index}: there is none left to name. Nothing was sent");
        return Err(CliError::new(Exit::Refused, "nothing-to-name", text));
    }
    let signature = name(context, args, index, cells.clone()).await?;
    context.console.say(format!(
        "cells {cells:?} of shard {index} must be proven in {}\ntransaction {signature}",
        super::span(i64::from(job.terms.response_seconds))
    ));
    let named = context.reader.shard(&args.job, index).await?;
    context.console.document(&serde_json::json!({
        "job": args.job.to_string(),
        "shard": index,
        "cells": cells,
        "due": named.map(|shard| named_due(&shard, &job.terms).time()),
        "signature": signature,
    }))
}

fn choose(job: &Job, args: &Name, shard: &Shard) -> Vec<u64> {
    naming::choose(&job.terms, &seeds::shard(&args.job, shard.index), shard, rand::random::<[u8; 32]>)
}

async fn name(context: &Context<'_>, args: &Name, index: u32, cells: Vec<u64>) -> Result<String> {
    let key = context.keypair()?;
    let name = ix::name_cells(key.pubkey(), &args.job, index, cells);
    Ok(context.send(&[name], &[&*key]).await?.to_string())
}

/// When cells of a shard are named, as a share of its challenge window: late, so that a provider learns of it when its root
/// is long fixed and little of the window is left, and early enough for a transaction that has to be sent again.
const EARLIEST: f64 = 0.5;
const LATEST: f64 = 0.85;

/// Stays until every shard of the job has ended, and names cells of each at a moment of its own.
async fn follow(context: &Context<'_>, args: &Name, job: &Job) -> Result<()> {
    let window = f64::from(job.terms.challenge_seconds);
    let pause = Duration::from_secs_f64((window / 40.0).clamp(0.5, 30.0));
    let mut moments: HashMap<u32, f64> = HashMap::new();
    let mut done: Vec<(u32, Vec<u64>)> = Vec::new();
    context.console.note(format!(
        "Naming {} cells of every shard of job {}, each at a moment of its own choice in its challenge window. Ends with the job.",
        job.terms.named, args.job
    ));
    loop {
        let now = context.reader.now().await?;
        let Some(data) = context.reader.find_job(&args.job).await? else { break };
        for (_, shard) in context.reader.shards_of_job(&args.job).await? {
            let waits = matches!(shard.state(), Some(ShardState::Committed | ShardState::Sampled));
            let over = challenge_window(&shard, &job.terms).passed(&now);
            if !waits || shard.named > 0 || shard.accepted != 0 || over {
                continue;
            }
            let at = *moments.entry(shard.index).or_insert_with(|| rand::random_range(EARLIEST..LATEST));
            #[allow(clippy::cast_precision_loss, reason = "seconds of a window")]
            let gone = now.time.saturating_sub(shard.committed_at) as f64;
            if gone < at * window {
                continue;
            }
            let cells = choose(job, args, &shard);
            if cells.is_empty() {
                continue;
            }
            match name(context, args, shard.index, cells.clone()).await {
                Ok(signature) => {
                    context
                        .console
                        .say(format!("shard {}: cells {cells:?} named, transaction {signature}", shard.index));
                    done.push((shard.index, cells));
                }
                // The next look tells whether it landed after all; others must not wait for it.
                Err(error) => context.console.note(format!("shard {}: {error}; trying again", shard.index)),
            }
        }
        if data.terminal(&now) {
            break;
        }
        tokio::time::sleep(pause).await;
    }
    let named: Vec<_> =
        done.iter().map(|(shard, cells)| serde_json::json!({ "shard": shard, "cells": cells })).collect();
    context.console.document(&serde_json::json!({ "job": args.job.to_string(), "named": named }))
}
