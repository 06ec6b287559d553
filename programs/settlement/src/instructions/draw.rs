//! Recording seeds, drawing cells, rolling windows that aged out, and the renter's named cells.

use crate::{
    chain::{account, sysvar},
    constants::*,
    error::AssayError,
    events::*,
    rules::{
        self, ensure,
        judgement::Fault,
        same,
        shard::Roll,
        window::{self, Window},
    },
    seeds,
    state::{DrawSeed, Job, Shard},
};
use anchor_lang::prelude::*;

/// Accounts of `record_seed`.
#[derive(Accounts)]
#[instruction(window: u64)]
pub struct RecordSeed<'info> {
    /// Pays rent and gets it back. Anyone.
    #[account(mut)]
    pub payer: Signer<'info>,
    #[account(init, payer = payer, space = crate::state::space_of::<DrawSeed>(),
        seeds = [seeds::SEED, &window.to_le_bytes()], bump)]
    pub seed: AccountLoader<'info, DrawSeed>,
    pub system_program: Program<'info, System>,
}

/// Records the seed of a window while its hashes are still on chain. It serves every shard of the window.
pub fn record_seed(ctx: Context<RecordSeed>, window: u64) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::moment()?;
    let hashes = match sysvar::draw_window(window)? {
        Window::Ready(hashes) => hashes,
        Window::TooEarly => return Err(AssayError::DrawTooEarly.into()),
        Window::AgedOut => return Err(AssayError::DrawAgedOut.into()),
    };
    let mut record = a.seed.load_init()?;
    record.version = ACCOUNT_VERSION;
    record.bump = ctx.bumps.seed;
    record.window = window;
    record.seed = window::seed(window, &hashes);
    record.rent_payer = a.payer.key();
    record.recorded_at = now.time;
    record.recorded_slot = now.slot;
    emit!(SeedRecorded { window, seed: record.seed, rent_payer: record.rent_payer });
    Ok(())
}

/// Accounts of `draw_samples`.
#[derive(Accounts)]
pub struct DrawSamples<'info> {
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
    pub seed: AccountLoader<'info, DrawSeed>,
}

/// Draws the cells that must be proven. Anyone may.
pub fn draw_samples(ctx: Context<DrawSamples>) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::moment()?;
    let key = a.shard.key();
    let (job, mut shard, record) = (a.job.load()?, a.shard.load_mut()?, a.seed.load()?);
    same(&shard.job, &a.job.key(), AssayError::WrongJob)?;
    rules::shard::draw(&mut shard, &job.terms, &key, record.window, &record.seed, &now)?;
    emit!(CellsDrawn {
        shard: key,
        cells: shard.cells.iter().take(usize::from(shard.drawn)).copied().collect(),
        due: rules::judgement::draw_due(&shard, &job.terms).time()
    });
    Ok(())
}

/// Accounts of `roll_window`.
#[derive(Accounts)]
pub struct RollWindow<'info> {
    /// Anyone; gets the bounty when this uses up the lock.
    pub caller: Signer<'info>,
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
    /// CHECK: the canonical address of the window's seed, at which there must be none.
    pub seed: UncheckedAccount<'info>,
}

/// Gives a shard whose window aged out unrecorded a new one, at the provider's cost.
pub fn roll_window(ctx: Context<RollWindow>) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::now()?;
    let (job, mut shard) = (a.job.load()?, a.shard.load_mut()?);
    same(&shard.job, &a.job.key(), AssayError::WrongJob)?;
    account::canonical(&a.seed, &[seeds::SEED, &shard.window.to_le_bytes()])?;
    ensure(account::is_vacant(&a.seed), AssayError::DrawStillPossible)?;
    ensure(sysvar::draw_window(shard.window)? == Window::AgedOut, AssayError::DrawStillPossible)?;
    let roll = rules::shard::roll(&mut shard, &job.terms, &a.caller.key(), &now)?;
    match roll {
        Roll::Rolled { owed } => {
            emit!(WindowRolled { shard: a.shard.key(), window: shard.window, owed, rolls: shard.rolls })
        }
        Roll::RolledOut => {
            emit!(ShardSlashed::new(a.shard.key(), &shard, Fault::RolledOut, u64::MAX, u32::MAX))
        }
    }
    Ok(())
}

/// Accounts of `name_cells`.
#[derive(Accounts)]
pub struct NameCells<'info> {
    /// The renter or one of the job's watch keys.
    pub caller: Signer<'info>,
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
}

/// Demands cells of the renter's own choice, once, without a bond. Numbers count inside the shard.
pub fn name_cells(ctx: Context<NameCells>, cells: Vec<u64>) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::now()?;
    let (job, mut shard) = (a.job.load()?, a.shard.load_mut()?);
    same(&shard.job, &a.job.key(), AssayError::WrongJob)?;
    ensure(job.may_name(&a.caller.key()), AssayError::NotAuthorized)?;
    rules::shard::name(&mut shard, &job.terms, &cells, &now)?;
    emit!(CellsNamed {
        shard: a.shard.key(),
        by: a.caller.key(),
        cells,
        due: rules::judgement::named_due(&shard, &job.terms).time()
    });
    Ok(())
}
