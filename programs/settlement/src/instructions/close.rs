//! Closing accounts: rent goes back to whoever paid it, dust in a vault to its owner.

use crate::{
    chain::{account, sysvar, token, vault::JobVault},
    constants::*,
    error::AssayError,
    events::*,
    rules::{self, ensure, same, time::Deadline},
    state::{DrawSeed, Job, Market, Shard},
};
use anchor_lang::prelude::*;

/// Accounts of `close_shard`.
#[derive(Accounts)]
pub struct CloseShard<'info> {
    #[account(mut)]
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
    /// CHECK: compared with who paid the shard's rent.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
}

/// Closes a shard's account once nothing can happen to any shard of the job any more. Anyone may.
pub fn close_shard(ctx: Context<CloseShard>) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::now()?;
    {
        let (mut job, shard) = (a.job.load_mut()?, a.shard.load()?);
        same(&shard.job, &a.job.key(), AssayError::WrongJob)?;
        same(&shard.rent_payer, &a.rent_payer.key(), AssayError::WrongRentPayer)?;
        ensure(rules::shard::closable(&shard, &job, &now), AssayError::StillNeeded)?;
        // From here on the shard's address is vacant: no claim may ever fill it again.
        job.cancelled = 1;
        job.shard_accounts = job.shard_accounts.checked_sub(1).ok_or(AssayError::Overflow)?;
    }
    account::close(a.shard.as_ref(), &a.rent_payer)?;
    emit!(ShardClosed { job: a.job.key(), shard: a.shard.key() });
    Ok(())
}

/// Accounts of `close_job`.
#[derive(Accounts)]
pub struct CloseJob<'info> {
    #[account(mut)]
    pub job: AccountLoader<'info, Job>,
    /// CHECK: compared with the job's vault.
    #[account(mut)]
    pub job_vault: UncheckedAccount<'info>,
    #[account(mut)]
    pub market: AccountLoader<'info, Market>,
    /// CHECK: compared with the market's treasury.
    #[account(mut)]
    pub treasury: UncheckedAccount<'info>,
    /// CHECK: a token account of the mint, held by the renter.
    #[account(mut)]
    pub destination: UncheckedAccount<'info>,
    /// CHECK: compared with who paid the job's rent.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
    /// CHECK: compared with the job's mint.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with the job's token program.
    pub token_program: UncheckedAccount<'info>,
}

/// Closes a job: fees to the treasury, everything else in the vault to the renter, rent to whoever paid it. Anyone may
/// once the job is terminal and its shard accounts are closed.
pub fn close_job(ctx: Context<CloseJob>) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::now()?;
    let escrow = JobVault { job: &a.job, vault: &a.job_vault, mint: &a.mint, token_program: &a.token_program };
    let (fees, refund) = {
        let (job, mut market) = (a.job.load()?, a.market.load_mut()?);
        escrow.check(&job)?;
        same(&job.terms.market, &a.market.key(), AssayError::WrongMarket)?;
        same(&market.treasury, &a.treasury.key(), AssayError::WrongVault)?;
        same(&job.rent_payer, &a.rent_payer.key(), AssayError::WrongRentPayer)?;
        ensure(job.terminal(&now) && job.shard_accounts == 0, AssayError::StillNeeded)?;
        market.jobs = market.jobs.checked_sub(1).ok_or(AssayError::Overflow)?;
        let refund = escrow.held(&job)?.checked_sub(job.fees_owed).ok_or(AssayError::Overflow)?;
        // Where nothing is left for the renter, its token account does not matter.
        if refund > 0 {
            token::check_destination(&a.destination, &job.terms.token_program, &job.terms.mint, &job.renter)?;
        }
        (job.fees_owed, refund)
    };
    escrow.pay(&a.treasury, fees)?;
    escrow.pay(&a.destination, refund)?;
    escrow.close(&a.rent_payer)?;
    emit!(JobClosed { job: a.job.key(), fees, refund });
    account::close(a.job.as_ref(), &a.rent_payer)
}

/// Accounts of `close_seed`.
#[derive(Accounts)]
pub struct CloseSeed<'info> {
    #[account(mut)]
    pub seed: AccountLoader<'info, DrawSeed>,
    /// CHECK: compared with who paid the seed's rent.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
}

/// Closes a seed 30 days after it was recorded. Anyone may.
pub fn close_seed(ctx: Context<CloseSeed>) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::now()?;
    {
        let seed = a.seed.load()?;
        same(&seed.rent_payer, &a.rent_payer.key(), AssayError::WrongRentPayer)?;
        let kept =
            Deadline { opened_at: seed.recorded_at, opened_slot: seed.recorded_slot, seconds: SEED_KEEP_SECONDS };
        ensure(kept.passed(&now), AssayError::TooEarly)?;
    }
    emit!(SeedClosed { window: a.seed.load()?.window });
    account::close(a.seed.as_ref(), &a.rent_payer)
}
