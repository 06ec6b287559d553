//! What moves recorded amounts between vaults: settlement, seizure, bounties, refunds. Anyone may crank them.

use crate::{
    chain::{sysvar, token},
    error::AssayError,
    events::*,
    rules, seeds,
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

impl MoveShardMoney<'_> {
    fn check(&self) -> Result<()> {
        let (job, provider, shard) = (self.job.load()?, self.provider.load()?, self.shard.load()?);
        require_keys_eq!(shard.job, self.job.key(), AssayError::WrongJob);
        require_keys_eq!(shard.provider, self.provider.key(), AssayError::WrongProvider);
        require_keys_eq!(job.vault, self.job_vault.key(), AssayError::WrongVault);
        require_keys_eq!(provider.vault, self.stake_vault.key(), AssayError::WrongVault);
        require_keys_eq!(job.terms.mint, self.mint.key(), AssayError::WrongMint);
        require_keys_eq!(job.terms.token_program, self.token_program.key(), AssayError::WrongTokenProgram);
        Ok(())
    }

    fn job_to_provider(&self, amount: u64) -> Result<()> {
        let (renter, nonce, bump) = {
            let job = self.job.load()?;
            (job.renter, job.nonce, job.bump)
        };
        token::Transfer {
            token_program: &self.token_program,
            mint: &self.mint,
            from: &self.job_vault,
            to: &self.stake_vault,
            authority: self.job.as_ref(),
            amount,
        }
        .invoke(&[&[seeds::JOB, renter.as_ref(), &nonce.to_le_bytes(), &[bump]]])
    }

    fn provider_to_job(&self, amount: u64) -> Result<()> {
        let (market, owner, bump) = {
            let provider = self.provider.load()?;
            (provider.market, provider.owner, provider.bump)
        };
        token::Transfer {
            token_program: &self.token_program,
            mint: &self.mint,
            from: &self.stake_vault,
            to: &self.job_vault,
            authority: self.provider.as_ref(),
            amount,
        }
        .invoke(&[&[seeds::PROVIDER, market.as_ref(), owner.as_ref(), &[bump]]])
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
    a.job_to_provider(paid.to_provider)?;
    a.provider_to_job(paid.to_job)?;
    emit!(ShardSettled {
        job: a.job.key(),
        shard: a.shard.key(),
        provider: a.provider.key(),
        paid: paid.to_provider,
        fee: paid.fee,
        to_renter: paid.to_job
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
    a.provider_to_job(amount)?;
    emit!(CollateralSeized { shard: a.shard.key(), provider: a.provider.key(), amount });
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
    let (amount, to, market, owner, bump) = {
        let (job, mut provider, mut shard) = (a.job.load()?, a.provider.load_mut()?, a.shard.load_mut()?);
        require_keys_eq!(shard.job, a.job.key(), AssayError::WrongJob);
        require_keys_eq!(shard.provider, a.provider.key(), AssayError::WrongProvider);
        require_keys_eq!(provider.vault, a.stake_vault.key(), AssayError::WrongVault);
        require_keys_eq!(job.terms.mint, a.mint.key(), AssayError::WrongMint);
        require_keys_eq!(job.terms.token_program, a.token_program.key(), AssayError::WrongTokenProgram);
        token::check_destination(&a.destination, &job.terms.token_program, &job.terms.mint, &shard.bounty_to)?;
        let amount = rules::shard::pay_bounty(&mut provider, &mut shard)?;
        (amount, shard.bounty_to, provider.market, provider.owner, provider.bump)
    };
    token::Transfer {
        token_program: &a.token_program,
        mint: &a.mint,
        from: &a.stake_vault,
        to: &a.destination,
        authority: a.provider.as_ref(),
        amount,
    }
    .invoke(&[&[seeds::PROVIDER, market.as_ref(), owner.as_ref(), &[bump]]])?;
    emit!(BountyPaid { shard: a.shard.key(), to, amount });
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
    let (amount, renter, nonce, bump) = {
        let mut job = a.job.load_mut()?;
        require_keys_eq!(job.vault, a.job_vault.key(), AssayError::WrongVault);
        require_keys_eq!(job.terms.mint, a.mint.key(), AssayError::WrongMint);
        require_keys_eq!(job.terms.token_program, a.token_program.key(), AssayError::WrongTokenProgram);
        // Escrow of open shards goes out once the job has expired: from then on no claim may ever need it again.
        if job.closed(&now) {
            job.cancelled = 1;
        }
        token::check_destination(&a.destination, &job.terms.token_program, &job.terms.mint, &job.renter)?;
        let held = token::read(&a.job_vault, &job.terms.token_program)?.amount;
        let owed = job.owed(&now).ok_or(AssayError::Overflow)?;
        let kept = owed.escrow.checked_add(owed.fees).ok_or(AssayError::Overflow)?;
        let amount = held.checked_sub(kept).ok_or(AssayError::Overflow)?;
        require!(amount > 0, AssayError::NothingOwed);
        (amount, job.renter, job.nonce, job.bump)
    };
    token::Transfer {
        token_program: &a.token_program,
        mint: &a.mint,
        from: &a.job_vault,
        to: &a.destination,
        authority: a.job.as_ref(),
        amount,
    }
    .invoke(&[&[seeds::JOB, renter.as_ref(), &nonce.to_le_bytes(), &[bump]]])?;
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
    let (amount, renter, nonce, bump) = {
        let (mut job, market) = (a.job.load_mut()?, a.market.load()?);
        require_keys_eq!(job.vault, a.job_vault.key(), AssayError::WrongVault);
        require_keys_eq!(job.terms.market, a.market.key(), AssayError::WrongMarket);
        require_keys_eq!(market.treasury, a.treasury.key(), AssayError::WrongVault);
        require_keys_eq!(job.terms.mint, a.mint.key(), AssayError::WrongMint);
        require_keys_eq!(job.terms.token_program, a.token_program.key(), AssayError::WrongTokenProgram);
        let amount = job.fees_owed;
        require!(amount > 0, AssayError::NothingOwed);
        job.fees_owed = 0;
        (amount, job.renter, job.nonce, job.bump)
    };
    token::Transfer {
        token_program: &a.token_program,
        mint: &a.mint,
        from: &a.job_vault,
        to: &a.treasury,
        authority: a.job.as_ref(),
        amount,
    }
    .invoke(&[&[seeds::JOB, renter.as_ref(), &nonce.to_le_bytes(), &[bump]]])?;
    emit!(FeesSwept { job: a.job.key(), amount });
    Ok(())
}
