//! The demo's jobs: submitting them, waiting for their shards, submitting again what a forger spoiled, and putting the
//! fetched results together.

use crate::{
    context::Context,
    demo::{
        display::Display,
        parties::{Parties, UNIT},
    },
    error::{CliError, Exit, Result},
    job::{
        end, find, results,
        submit::{self, Deal},
    },
    npy::Matrix,
    store,
    work::Work,
};
use assay_kernels::escape_time::{PIXELS_PER_LEAF, Params};
use assay_settlement::state::{Shard, ShardState};
use solana_pubkey::Pubkey;
use std::time::{Duration, Instant};

/// How long the shards of a job may take. A busy machine needs a minute.
const PATIENCE: Duration = Duration::from_secs(400);
/// How often the chain is looked at.
const LOOK: Duration = Duration::from_millis(400);
const EXECUTE_SECONDS: u32 = 180;
const LIFE_SECONDS: u32 = 3_600;
const RAMP_SECONDS: u32 = 60;

/// What a job computes.
#[derive(Clone, Debug)]
pub enum Task {
    /// A picture.
    Picture(Params),
    /// A product.
    Product(Box<[Matrix<i8>; 2]>),
}

/// A job of the demo.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// For people.
    pub name: String,
    /// What it computes.
    pub task: Task,
    /// Its address.
    pub address: Pubkey,
    /// Its shards.
    pub shards: u32,
    /// Leaves of a shard.
    pub shard_leaves: u64,
}

/// A shard that was slashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slashed {
    /// Its number.
    pub index: u32,
    /// Who computed it.
    pub provider: Pubkey,
    /// Why: 1 a wrong cell.
    pub fault: u8,
}

impl Task {
    fn work(&self, shards: u32) -> Result<Work> {
        match self {
            Self::Picture(params) => Work::image(params, shards),
            Self::Product(matrices) => {
                let [a, b] = &**matrices;
                Work::product(a, b, shards)
            }
        }
    }

    /// First and last price of a shard, base units: a product's cells need evidence, which costs the provider more.
    fn prices(&self) -> (u64, u64) {
        match self {
            Self::Picture(_) => (UNIT / 5, UNIT / 2),
            Self::Product(_) => (UNIT / 2, UNIT),
        }
    }

    /// The part of it that one shard of `shard_leaves` leaves is, as a job of its own. The demo's sizes are such that
    /// shards are whole rows.
    fn part(&self, shard_leaves: u64, index: u32) -> Result<Self> {
        let uneven = || CliError::internal("a shard of the demo is not a number of whole rows");
        let (cells, width) = match self {
            Self::Picture(params) => (shard_leaves.saturating_mul(u64::from(PIXELS_PER_LEAF)), params.width),
            Self::Product(matrices) => {
                (shard_leaves.saturating_mul(u64::from(assay_kernels::gemm_i8::ELEMENTS_PER_LEAF)), matrices[1].columns)
            }
        };
        if cells.checked_rem(u64::from(width)) != Some(0) {
            return Err(uneven());
        }
        let rows = cells.checked_div(u64::from(width)).and_then(|rows| u32::try_from(rows).ok()).ok_or_else(uneven)?;
        let first = rows.checked_mul(index).ok_or_else(uneven)?;
        match self {
            Self::Picture(params) => {
                let down = i64::from(first).saturating_mul(params.step);
                Ok(Self::Picture(Params {
                    height: rows.min(params.height.saturating_sub(first)),
                    y0: params.y0.saturating_add(down),
                    ..*params
                }))
            }
            Self::Product(matrices) => {
                let [a, b] = &**matrices;
                let some = a.some_rows(first, rows.min(a.rows.saturating_sub(first))).ok_or_else(uneven)?;
                Ok(Self::Product(Box::new([some, b.clone()])))
            }
        }
    }
}

/// Submits a task as a job of the renter.
///
/// # Errors
/// The store or the chain refuses.
pub async fn submit(
    context: &Context<'_>,
    parties: &Parties,
    store: &str,
    name: &str,
    task: Task,
    shards: u32,
    reserved_for: Option<Pubkey>,
) -> Result<Submitted> {
    let work = task.work(shards)?;
    let (price_start, price_max) = task.prices();
    let deal = Deal {
        price_start,
        price_max,
        ramp_seconds: RAMP_SECONDS,
        execute_seconds: EXECUTE_SECONDS,
        life_seconds: LIFE_SECONDS,
        reserved_for,
        terms: submit::Terms::default(),
    };
    let locator = if work.inputs.is_empty() { "" } else { store };
    let created = submit::create(context, &parties.renter, &parties.market, &work, &deal, locator).await?;
    Ok(Submitted {
        name: name.to_owned(),
        task,
        address: created.address,
        shards: work.shards,
        shard_leaves: work.shard_leaves,
    })
}

/// Submits again what shard `lost` of `job` should have been, as a job that only one provider may claim.
///
/// # Errors
/// The store or the chain refuses.
pub async fn submit_again(
    context: &Context<'_>,
    parties: &Parties,
    store: &str,
    job: &Submitted,
    lost: &Slashed,
    provider: Pubkey,
) -> Result<Submitted> {
    let part = job.task.part(job.shard_leaves, lost.index)?;
    submit(context, parties, store, &format!("{}, shard {}", job.name, lost.index), part, 1, Some(provider)).await
}

/// How the shards of a job ended, read from the chain.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// Shards that were paid.
    pub settled: u32,
    /// Shards that were convicted.
    pub slashed: Vec<Slashed>,
    /// Cells that the chain drew of settled shards.
    pub drawn: u32,
    /// Of these, the ones that were re-executed on chain and are right.
    pub answered: u32,
}

impl Ended {
    fn of(shards: &[(Pubkey, Shard)]) -> Self {
        let mut ended = Self::default();
        for (_, shard) in shards {
            match shard.state() {
                Some(ShardState::Settled) => {
                    ended.settled = ended.settled.saturating_add(1);
                    ended.drawn = ended.drawn.saturating_add(u32::from(shard.drawn));
                    ended.answered = ended.answered.saturating_add(shard.answered.count_ones());
                }
                Some(ShardState::Slashed) => {
                    ended.slashed.push(Slashed { index: shard.index, provider: shard.provider, fault: shard.fault })
                }
                _ => {}
            }
        }
        ended.slashed.sort_by_key(|one| one.index);
        ended
    }
}

/// True once a shard is paid, or slashed with everything moved that it owes.
fn ended(shard: &Shard) -> bool {
    match shard.state() {
        Some(ShardState::Settled) => true,
        Some(ShardState::Slashed) => {
            shard.seized != 0 && [shard.owed_renter, shard.owed_bounty, shard.owed_treasury] == [0; 3]
        }
        _ => false,
    }
}

/// Waits until every shard of the jobs is settled, or slashed and seized. Tells how, job by job.
///
/// # Errors
/// Not within the demo's patience, or the chain can't be read.
pub async fn wait(context: &Context<'_>, display: &Display, jobs: &[Submitted]) -> Result<Vec<Ended>> {
    let bars: Vec<_> = jobs.iter().map(|job| display.bar(&job.name, job.shards)).collect();
    let started = Instant::now();
    loop {
        let mut all = Vec::new();
        let mut complete = true;
        for (job, bar) in jobs.iter().zip(&bars) {
            let shards = context.reader.shards_of_job(&job.address).await?;
            let done = shards.iter().filter(|(_, shard)| ended(shard)).count() as u64;
            let so_far = Ended::of(&shards);
            bar.set_position(done);
            bar.set_message(progress(job, &shards));
            complete &= done == u64::from(job.shards);
            all.push(so_far);
        }
        if complete {
            bars.iter().for_each(indicatif::ProgressBar::finish_and_clear);
            return Ok(all);
        }
        if started.elapsed() > PATIENCE {
            let text = format!(
                "the demo's shards did not end within {} seconds. What went wrong on the way: {:?}",
                PATIENCE.as_secs(),
                display.tally().troubles
            );
            return Err(CliError::new(Exit::Other, "demo-too-slow", text));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// How far the shards of a job are, in words.
fn progress(job: &Submitted, shards: &[(Pubkey, Shard)]) -> String {
    let count = |at_least: ShardState| {
        let there = |shard: &Shard| shard.state().is_some_and(|state| state as u8 >= at_least as u8);
        shards.iter().filter(|(_, shard)| there(shard)).count()
    };
    let is = |wanted: ShardState| shards.iter().filter(|(_, shard)| shard.state() == Some(wanted)).count();
    format!(
        "of {}: claimed {}, committed {}, drawn {}, settled {}, slashed {}",
        job.shards,
        count(ShardState::Claimed),
        count(ShardState::Committed),
        count(ShardState::Sampled),
        is(ShardState::Settled),
        is(ShardState::Slashed)
    )
}

/// The whole result of a job: settled shards from their providers, each checked against the chain, slashed ones from
/// the jobs that took their place.
///
/// # Errors
/// A provider does not serve, serves other bytes, or a part is missing.
pub async fn collect(context: &Context<'_>, job: &Submitted, replacements: &[(u32, Submitted)]) -> Result<Vec<u8>> {
    let client = store::http()?;
    let data = find(context, &job.address).await?;
    let mut shards = context.reader.shards_of_job(&job.address).await?;
    shards.sort_by_key(|(_, shard)| shard.index);
    let mut bytes = Vec::new();
    for (address, shard) in &shards {
        if shard.state() == Some(ShardState::Settled) {
            bytes.extend(results::fetch(&client, &context.reader, &data, address, shard).await?);
            continue;
        }
        let replacement = replacements.iter().find(|(index, _)| *index == shard.index).map(|(_, job)| job);
        let replacement = replacement
            .ok_or_else(|| CliError::internal(format!("nothing took the place of shard {}", shard.index)))?;
        let data = find(context, &replacement.address).await?;
        for (address, shard) in context.reader.shards_of_job(&replacement.address).await? {
            bytes.extend(results::fetch(&client, &context.reader, &data, &address, &shard).await?);
        }
    }
    Ok(bytes)
}

/// Closes jobs: fees to the treasury, what is left to the renter, rents back.
///
/// # Errors
/// The chain refuses.
pub async fn close(context: &Context<'_>, parties: &Parties, jobs: &[&Submitted]) -> Result<()> {
    for job in jobs {
        end::close_all(context, &parties.renter, &job.address, false).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_kernels::executor::{Backend, Cpu, Inputs};

    #[test]
    fn a_part_of_a_picture_is_its_rows() {
        let params = Params { width: 256, height: 64, max_iter: 40, x0: -(1 << 29), y0: -(1 << 27), step: 1 << 20 };
        let work = Work::image(&params, 4).unwrap();
        let Task::Picture(part) = Task::Picture(params).part(work.shard_leaves, 2).unwrap() else { panic!() };
        let run = |p: &Params, leaves| Cpu.run(1, &p.to_bytes(), &Inputs::default(), leaves).unwrap();
        let leaves = work.shard_leaves;
        assert_eq!(run(&part, 0..leaves), run(&params, 2 * leaves..3 * leaves));
    }

    #[test]
    fn a_part_of_a_product_is_its_rows() {
        let [a, b] = crate::demo::check::matrices(3, 64);
        let task = Task::Product(Box::new([a.clone(), b.clone()]));
        let Task::Product(part) = task.part(16, 3).unwrap() else { panic!() };
        let whole = crate::demo::check::product(&a, &b);
        assert_eq!(crate::demo::check::product(&part[0], &part[1]), whole[3 * 16 * 256..]);
    }
}
