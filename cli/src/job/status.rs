//! `assay job status`.

use crate::{
    context::{Context, MarketAt},
    error::Result,
    job::find,
};
use assay_client::accounts::text;
use assay_settlement::{
    rules::judgement::unanswered,
    state::{Job, JobState, Shard, ShardState},
};
use serde::Serialize;
use solana_pubkey::Pubkey;

/// A shard as shown.
#[derive(Clone, Debug, Serialize)]
pub struct ShardLine {
    /// Its number.
    pub index: u32,
    /// Its state.
    pub state: &'static str,
    /// Who claimed it, if anyone.
    pub provider: Option<String>,
    /// Price of the claim, base units; 0 while open.
    pub price: u64,
    /// Cells demanded and still to prove.
    pub unanswered: u32,
    /// Why it was slashed, in words; empty when it was not.
    pub fault: &'static str,
}

/// Name of a shard's state.
pub fn state_name(state: Option<ShardState>) -> &'static str {
    match state {
        Some(ShardState::Open) => "open",
        Some(ShardState::Claimed) => "claimed",
        Some(ShardState::Committed) => "committed",
        Some(ShardState::Sampled) => "sampled",
        Some(ShardState::Settled) => "settled",
        Some(ShardState::Slashed) => "slashed",
        None => "of a newer version",
    }
}

fn fault_name(fault: u8) -> &'static str {
    match fault {
        0 => "",
        1 => "a wrong cell",
        2 => "a cell not proven in time",
        3 => "draw windows missed",
        _ => "of a newer version",
    }
}

/// All shards of a job, those without an account included.
pub fn lines(job: &Job, shards: &[(Pubkey, Shard)]) -> Vec<ShardLine> {
    (0..job.terms.shards)
        .map(|index| match shards.iter().find(|(_, shard)| shard.index == index) {
            None => ShardLine { index, state: "open", provider: None, price: 0, unanswered: 0, fault: "" },
            Some((_, shard)) => ShardLine {
                index,
                state: state_name(shard.state()),
                provider: Some(shard.provider.to_string()),
                price: shard.price,
                unanswered: unanswered(shard, &job.terms).count_ones(),
                fault: fault_name(shard.fault),
            },
        })
        .collect()
}

/// Runs the command.
///
/// # Errors
/// No such job, or the chain can't be read.
pub async fn run(context: &Context<'_>, address: &Pubkey) -> Result<()> {
    let job = find(context, address).await?;
    let shards = context.reader.shards_of_job(address).await?;
    let data = context.reader.market(&job.terms.market).await?;
    let market = MarketAt { address: job.terms.market, data };
    let lines = lines(&job, &shards);
    let kernel = assay_kernels::registry::AnyKernel::from_id(job.terms.kernel_id)
        .map_or("of a newer version", |kernel| kernel.name());
    let state = if job.state() == JobState::Open { "open" } else { "cancelled" };
    let console = context.console;
    console.say(format!(
        "job {address}: {kernel}, {state}, {} of {} shards settled, {} slashed, {} in work\npaid to providers {}, compensation received {}, inputs at {}",
        job.settled,
        job.terms.shards,
        job.slashed,
        job.active,
        market.show(job.paid),
        market.show(job.compensated),
        if job.terms.inputs == 0 { "(none needed)" } else { text(&job.terms.locator) },
    ));
    let mut table = crate::tables::table(["shard", "state", "price", "to prove", "provider", "fault"]);
    for line in &lines {
        table.add_row([
            line.index.to_string(),
            line.state.to_owned(),
            market.show(line.price),
            line.unanswered.to_string(),
            line.provider.clone().unwrap_or_default(),
            line.fault.to_owned(),
        ]);
    }
    console.say(table.to_string());
    console.document(&serde_json::json!({
        "job": address.to_string(),
        "market": job.terms.market.to_string(),
        "renter": job.renter.to_string(),
        "kernel": kernel,
        "state": state,
        "expires_at": job.terms.expires_at,
        "settled": job.settled,
        "slashed": job.slashed,
        "active": job.active,
        "paid": job.paid,
        "compensated": job.compensated,
        "shards": lines,
    }))
}
