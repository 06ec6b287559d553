//! What moves recorded amounts between vaults: settlement, seizure, bounties, refunds. Anyone may crank them.

use crate::{
    chain::{
        sysvar, token,
        vault::{JobVault, StakeVault},
    },
    error::AssayError,
    events::*,
    rules::{self, ensure, same},
    state::{Job, Market, Provider, Shard},
};
use anchor_lang::prelude::*;

/// Accounts of `settle_shard` and `seize`.
#[derive(Accounts)]
pub struct MoveShardMoney<'info> {
    #[account(mut)]
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub provider: AccountLoader<'info, Provider>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
    /// CHECK: compared with the job's vault.
    #[account(mut)]
    pub job_vault: UncheckedAccount<'info>,
    /// CHECK: compared with the provider's vault.
    #[account(mut)]
    pub stake_vault: UncheckedAccount<'info>,
    /// CHECK: compared with the job's mint.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with the job's token program.
    pub token_program: UncheckedAccount<'info>,
}

impl<'info> MoveShardMoney<'info> {
    fn vaults(&self) -> (JobVault<'_, 'info>, StakeVault<'_, 'info>) {
        let (mint, token_program) = (&self.mint, &self.token_program);
        (
            JobVault { job: &self.job, vault: &self.job_vault, mint, token_program },
            StakeVault { provider: &self.provider, vault: &self.stake_vault, mint, token_program },
        )
    }

    fn check(&self) -> Result<()> {
        let (job, provider, shard) = (self.job.load()?, self.provider.load()?, self.shard.load()?);
        let (escrow, stake) = self.vaults();
        same(&shard.job, &self.job.key(), AssayError::WrongJob)?;
        same(&shard.provider, &self.provider.key(), AssayError::WrongProvider)?;
        escrow.check(&job)?;
        stake.check(&provider)
    }
}

/// Pays a proven shard: the price less fee to the provider, the rest stays for the renter.
pub fn settle_shard(ctx: Context<MoveShardMoney>) -> Result<()> {
    let a = ctx.accounts;
    a.check()?;
    let now = sysvar::now()?;
    let paid = {
        let (mut job, mut provider, mut shard) = (a.job.load_mut()?, a.provider.load_mut()?, a.shard.load_mut()?);
        rules::shard::settle(&mut job, &mut provider, &mut shard, &now)?
    };
    let (escrow, stake) = a.vaults();
    escrow.pay(&a.stake_vault, paid.to_provider)?;
    stake.pay(&a.job_vault, paid.to_job)?;
    emit!(ShardSettled {
        job: a.job.key(),
        shard: a.shard.key(),
        provider: a.provider.key(),
        paid: paid.to_provider,
        fee: paid.fee,
        to_renter: paid.to_job,
        delivered: paid.delivered
    });
    Ok(())
}

/// Moves the renter's and the treasury's part of a slashed lock into the job's vault.
pub fn seize(ctx: Context<MoveShardMoney>) -> Result<()> {
    let a = ctx.accounts;
    a.check()?;
    let now = sysvar::now()?;
    let frozen = token::is_frozen(&a.stake_vault)? || token::is_frozen(&a.job_vault)?;
    let amount = {
        let (mut job, mut provider, mut shard) = (a.job.load_mut()?, a.provider.load_mut()?, a.shard.load_mut()?);
        rules::shard::seize(&mut job, &mut provider, &mut shard, frozen, &now)?
    };
    a.vaults().1.pay(&a.job_vault, amount)?;
    emit!(CollateralSeized { job: a.job.key(), shard: a.shard.key(), provider: a.provider.key(), amount });
    Ok(())
}

/// Accounts of `waive_debts`.
#[derive(Accounts)]
pub struct WaiveDebts<'info> {
    /// The renter.
    pub owner: Signer<'info>,
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub provider: AccountLoader<'info, Provider>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
    /// CHECK: compared with the job's vault.
    pub job_vault: UncheckedAccount<'info>,
    /// CHECK: compared with the provider's vault.
    pub stake_vault: UncheckedAccount<'info>,
}

/// The renter gives up debts that can't be moved because a vault is frozen, so that its job can close.
pub fn waive_debts(ctx: Context<WaiveDebts>) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::now()?;
    let (job, mut provider, mut shard) = (a.job.load()?, a.provider.load_mut()?, a.shard.load_mut()?);
    same(&job.renter, &a.owner.key(), AssayError::NotAuthorized)?;
    same(&shard.job, &a.job.key(), AssayError::WrongJob)?;
    same(&shard.provider, &a.provider.key(), AssayError::WrongProvider)?;
    same(&job.vault, &a.job_vault.key(), AssayError::WrongVault)?;
    same(&provider.vault, &a.stake_vault.key(), AssayError::WrongVault)?;
    let frozen = token::is_frozen(&a.stake_vault)? || token::is_frozen(&a.job_vault)?;
    let amount = rules::shard::waive(&mut provider, &mut shard, frozen, &now)?;
    emit!(DebtsWaived { shard: a.shard.key(), provider: a.provider.key(), amount });
    Ok(())
}

/// Accounts of `pay_bounty`.
#[derive(Accounts)]
pub struct PayBounty<'info> {
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub provider: AccountLoader<'info, Provider>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
    /// CHECK: compared with the provider's vault.
    #[account(mut)]
    pub stake_vault: UncheckedAccount<'info>,
    /// CHECK: a token account of the mint, held by whom the bounty is owed to.
    #[account(mut)]
    pub destination: UncheckedAccount<'info>,
    /// CHECK: compared with the job's mint.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with the job's token program.
    pub token_program: UncheckedAccount<'info>,
}

/// Pays the bounty of a slashed shard to whoever proved the fault.
pub fn pay_bounty(ctx: Context<PayBounty>) -> Result<()> {
    let a = ctx.accounts;
    let stake =
        StakeVault { provider: &a.provider, vault: &a.stake_vault, mint: &a.mint, token_program: &a.token_program };
    let (amount, to) = {
        let (job, mut provider, mut shard) = (a.job.load()?, a.provider.load_mut()?, a.shard.load_mut()?);
        same(&shard.job, &a.job.key(), AssayError::WrongJob)?;
        same(&shard.provider, &a.provider.key(), AssayError::WrongProvider)?;
        stake.check(&provider)?;
        same(&job.terms.mint, &a.mint.key(), AssayError::WrongMint)?;
        same(&job.terms.token_program, &a.token_program.key(), AssayError::WrongTokenProgram)?;
        token::check_destination(&a.destination, &job.terms.token_program, &job.terms.mint, &shard.bounty_to)?;
        (rules::shard::pay_bounty(&mut provider, &mut shard)?, shard.bounty_to)
    };
    stake.pay(&a.destination, amount)?;
    emit!(BountyPaid { shard: a.shard.key(), provider: a.provider.key(), to, amount });
    Ok(())
}

/// Accounts of `withdraw_refund`.
#[derive(Accounts)]
pub struct WithdrawRefund<'info> {
    #[account(mut)]
    pub job: AccountLoader<'info, Job>,
    /// CHECK: compared with the job's vault.
    #[account(mut)]
    pub job_vault: UncheckedAccount<'info>,
    /// CHECK: a token account of the mint, held by the renter.
    #[account(mut)]
    pub destination: UncheckedAccount<'info>,
    /// CHECK: compared with the job's mint.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with the job's token program.
    pub token_program: UncheckedAccount<'info>,
}

/// Moves to the renter what no shard in work, no open shard and no fee needs: what settled shards cost less than the
/// maximum, compensation, and the escrow of shards that can't be claimed any more.
pub fn withdraw_refund(ctx: Context<WithdrawRefund>) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::now()?;
    let escrow = JobVault { job: &a.job, vault: &a.job_vault, mint: &a.mint, token_program: &a.token_program };
    let amount = {
        let mut job = a.job.load_mut()?;
        escrow.check(&job)?;
        // Escrow of open shards goes out once the job has expired: from then on no claim may ever need it again.
        if job.closed(&now) {
            job.cancelled = 1;
        }
        token::check_destination(&a.destination, &job.terms.token_program, &job.terms.mint, &job.renter)?;
        let owed = job.owed(&now).ok_or(AssayError::Overflow)?;
        let kept = owed.total().ok_or(AssayError::Overflow)?;
        let amount = escrow.held(&job)?.checked_sub(kept).ok_or(AssayError::Overflow)?;
        ensure(amount > 0, AssayError::NothingOwed)?;
        amount
    };
    escrow.pay(&a.destination, amount)?;
    emit!(RefundWithdrawn { job: a.job.key(), amount });
    Ok(())
}

/// Accounts of `sweep_fees`.
#[derive(Accounts)]
pub struct SweepFees<'info> {
    #[account(mut)]
    pub job: AccountLoader<'info, Job>,
    /// CHECK: compared with the job's vault.
    #[account(mut)]
    pub job_vault: UncheckedAccount<'info>,
    pub market: AccountLoader<'info, Market>,
    /// CHECK: compared with the market's treasury.
    #[account(mut)]
    pub treasury: UncheckedAccount<'info>,
    /// CHECK: compared with the job's mint.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with the job's token program.
    pub token_program: UncheckedAccount<'info>,
}

/// Moves what a job owes the treasury, so that fees never wait for the renter. `close_job` does the same at the end.
pub fn sweep_fees(ctx: Context<SweepFees>) -> Result<()> {
    let a = ctx.accounts;
    let escrow = JobVault { job: &a.job, vault: &a.job_vault, mint: &a.mint, token_program: &a.token_program };
    let amount = {
        let (mut job, market) = (a.job.load_mut()?, a.market.load()?);
        escrow.check(&job)?;
        same(&job.terms.market, &a.market.key(), AssayError::WrongMarket)?;
        same(&market.treasury, &a.treasury.key(), AssayError::WrongVault)?;
        let amount = job.fees_owed;
        ensure(amount > 0, AssayError::NothingOwed)?;
        job.fees_owed = 0;
        amount
    };
    escrow.pay(&a.treasury, amount)?;
    emit!(FeesSwept { job: a.job.key(), amount });
    Ok(())
}
