//! `assay job status`.

use crate::{
    context::Context,
    error::Result,
    job::{find, market_of, span},
};
use assay_client::accounts::text;
use assay_settlement::{
    constants::NOBODY,
    rules::{delivery::posting_due, judgement::unanswered},
    state::{
        Challenge, ChallengeState, DeliveryMode, Job, JobState, PUBLIC_RESULTS, RENTER_CHALLENGES, Shard, ShardState,
        Silence,
    },
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
    /// Cells drawn or named and still to prove.
    pub unanswered: u32,
    /// Challenged cells that are still to prove.
    pub open_challenges: u32,
    /// Challenges that were answered and whose bonds are not divided yet.
    pub unpaid_challenges: u32,
    /// The renter pays whatever is still open.
    pub accepted: bool,
    /// Leaves that the renter wants on the ledger.
    pub leaves_demanded: u8,
    /// Of these, posted.
    pub leaves_posted: u8,
    /// Until when they must be posted, unix seconds; 0 where none are demanded.
    pub leaves_due: i64,
    /// What the attestor said: empty, "arrived" or "missing".
    pub attested: &'static str,
    /// Why it was slashed, in words; empty when it was not.
    pub fault: &'static str,
}

impl Default for ShardLine {
    fn default() -> Self {
        Self {
            index: 0,
            state: "open",
            provider: None,
            price: 0,
            unanswered: 0,
            open_challenges: 0,
            unpaid_challenges: 0,
            accepted: false,
            leaves_demanded: 0,
            leaves_posted: 0,
            leaves_due: 0,
            attested: "",
            fault: "",
        }
    }
}

impl ShardLine {
    /// What acceptance and delivery say of it, in words.
    fn delivery(&self) -> String {
        match (self.accepted, self.leaves_demanded, self.attested) {
            (true, _, _) => "accepted".to_owned(),
            (false, 0, said) => said.to_owned(),
            (false, demanded, _) => format!("{} of {demanded} leaves", self.leaves_posted),
        }
    }
}

/// A challenge as shown.
#[derive(Clone, Debug, Serialize)]
pub struct ChallengeLine {
    /// Number of the shard.
    pub shard: u32,
    /// Number of the cell in the shard.
    pub cell: u64,
    /// Open, answered or won.
    pub state: &'static str,
    /// Its bond, base units.
    pub bond: u64,
    /// Until when the cell must be proven, unix seconds.
    pub due: i64,
    /// Who put up the bond.
    pub challenger: String,
}

/// The challenges of a job's shards, what is due first at the front.
fn challenge_lines(challenges: &[(Pubkey, Challenge)], shards: &[(Pubkey, Shard)]) -> Vec<ChallengeLine> {
    let line = |challenge: &Challenge| {
        let (_, shard) = shards.iter().find(|(address, _)| *address == challenge.shard)?;
        Some(ChallengeLine {
            shard: shard.index,
            cell: challenge.cell,
            state: match challenge.state() {
                Some(ChallengeState::Open) => "open",
                Some(ChallengeState::Answered) => "answered",
                Some(ChallengeState::Won) => "won",
                None => "of a newer version",
            },
            bond: challenge.bond,
            due: challenge.due().time(),
            challenger: challenge.challenger.to_string(),
        })
    };
    let mut lines: Vec<_> = challenges.iter().filter_map(|(_, challenge)| line(challenge)).collect();
    lines.sort_by_key(|line| (line.due, line.shard, line.cell));
    lines
}

fn delivery_name(job: &Job) -> &'static str {
    match (job.terms.delivery(), job.terms.silence()) {
        (Some(DeliveryMode::None), _) => "none",
        (Some(DeliveryMode::Ledger), _) => "ledger",
        (Some(DeliveryMode::Attested), Some(Silence::Pay)) => "attested, silence pays",
        (Some(DeliveryMode::Attested), Some(Silence::Refund)) => "attested, silence refunds",
        _ => "of a newer version",
    }
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
            None => ShardLine { index, ..ShardLine::default() },
            Some((_, shard)) => ShardLine {
                index,
                state: state_name(shard.state()),
                provider: Some(shard.provider.to_string()),
                price: shard.price,
                unanswered: unanswered(shard, &job.terms).count_ones(),
                open_challenges: shard.open_challenges,
                unpaid_challenges: shard.unpaid_challenges,
                accepted: shard.accepted != 0,
                leaves_demanded: shard.leaves_demanded,
                leaves_posted: shard.leaves_posted,
                leaves_due: if shard.leaves_demanded > 0 { posting_due(shard, &job.terms).time() } else { 0 },
                attested: match shard.attested {
                    0 => "",
                    1 => "arrived",
                    _ => "missing",
                },
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
    let market = market_of(context, &job).await?;
    let lines = lines(&job, &shards);
    let challenges = challenge_lines(&context.reader.challenges_of_job(address).await?, &shards);
    let kernel = assay_kernels::registry::AnyKernel::from_id(job.terms.kernel_id)
        .map_or("of a newer version", |kernel| kernel.name());
    let state = if job.state() == JobState::Open { "open" } else { "cancelled" };
    let console = context.console;
    console.say(format!(
        "job {address}: {kernel}, {state}, {} of {} shards settled, {} slashed, {} in work\npaid to providers {}, compensation received {}, inputs at {}\ndelivery {}, {} may challenge under a bond of {}",
        job.settled,
        job.terms.shards,
        job.slashed,
        job.active,
        market.show(job.paid),
        market.show(job.compensated),
        if job.terms.inputs == 0 { "(none needed)" } else { text(&job.terms.locator) },
        delivery_name(&job),
        if job.terms.flags & RENTER_CHALLENGES != 0 { "only the renter" } else { "anyone" },
        market.show(job.terms.bond),
    ));
    let mut table =
        crate::tables::table(["shard", "state", "price", "to prove", "challenges", "delivery", "provider", "fault"]);
    for line in &lines {
        table.add_row([
            line.index.to_string(),
            line.state.to_owned(),
            market.show(line.price),
            line.unanswered.to_string(),
            line.open_challenges.to_string(),
            line.delivery(),
            line.provider.clone().unwrap_or_default(),
            line.fault.to_owned(),
        ]);
    }
    console.say(table.to_string());
    if !challenges.is_empty() {
        let now = context.reader.now().await?;
        let mut table = crate::tables::table(["shard", "cell", "challenge", "due in", "bond", "challenger"]);
        for line in &challenges {
            let due = if line.state == "open" { span(line.due.saturating_sub(now.time)) } else { String::new() };
            table.add_row([
                line.shard.to_string(),
                line.cell.to_string(),
                line.state.to_owned(),
                due,
                market.show(line.bond),
                line.challenger.clone(),
            ]);
        }
        console.say(table.to_string());
    }
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
        "delivery": delivery_name(&job),
        "attestor": (job.terms.attestor != NOBODY).then(|| job.terms.attestor.to_string()),
        "only_renter_challenges": job.terms.flags & RENTER_CHALLENGES != 0,
        "public_results": job.terms.flags & PUBLIC_RESULTS != 0,
        "bond": job.terms.bond,
        "watch_keys": job.watch_keys.iter().filter(|key| **key != NOBODY).map(ToString::to_string).collect::<Vec<_>>(),
        "shards": lines,
        "challenges": challenges,
    }))
}
