//! Claiming a shard, giving it back, and committing its root.

use crate::{
    chain::{
        account, sysvar, token,
        vault::{JobVault, StakeVault},
    },
    constants::*,
    error::AssayError,
    events::*,
    rules::{self, ensure, same, shard::Claim},
    seeds,
    state::{Job, Market, PAUSED, Provider, Shard},
};
use anchor_lang::prelude::*;

/// Accounts of `claim_shard`.
#[derive(Accounts)]
pub struct ClaimShard<'info> {
    /// One of the provider's operators; pays the shard's rent and gets it back.
    #[account(mut)]
    pub operator: Signer<'info>,
    pub market: AccountLoader<'info, Market>,
    #[account(mut)]
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub provider: AccountLoader<'info, Provider>,
    /// CHECK: the shard's canonical address; made here by the first claim.
    #[account(mut)]
    pub shard: UncheckedAccount<'info>,
    pub system_program: Program<'info, System>,
}

/// Claims shard `index` at the price of this moment and locks the collateral.
pub fn claim_shard(ctx: Context<ClaimShard>, index: u32, terms_hash: [u8; 32], min_price: u64) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::moment()?;
    let (job_key, shard_key) = (a.job.key(), a.shard.key());
    let mut job = a.job.load_mut()?;
    same(&job.terms.market, &a.market.key(), AssayError::WrongMarket)?;
    ensure(a.market.load()?.flags & PAUSED == 0, AssayError::MarketPaused)?;
    ensure(index < job.terms.shards, AssayError::NoSuchShard)?;
    if account::is_vacant(&a.shard) {
        let bump = account::canonical(&a.shard, &[seeds::SHARD, job_key.as_ref(), &index.to_le_bytes()])?;
        account::create_typed::<Shard>(
            &a.operator,
            &a.shard,
            &[seeds::SHARD, job_key.as_ref(), &index.to_le_bytes(), &[bump]],
        )?;
        let mut shard = account::load_mut::<Shard>(&a.shard)?;
        shard.version = ACCOUNT_VERSION;
        shard.bump = bump;
        shard.index = index;
        shard.job = job_key;
        shard.rent_payer = a.operator.key();
        job.shard_accounts = job.shard_accounts.checked_add(1).ok_or(AssayError::Overflow)?;
    }
    let mut shard = account::load_mut::<Shard>(&a.shard)?;
    same(&shard.job, &job_key, AssayError::WrongJob)?;
    ensure(shard.index == index, AssayError::NoSuchShard)?;
    let claim = Claim { provider: a.provider.key(), operator: a.operator.key(), terms_hash, min_price };
    let mut provider = a.provider.load_mut()?;
    rules::shard::claim(&mut job, &mut provider, &mut shard, &claim, &now)?;
    emit!(ShardClaimed {
        job: job_key,
        shard: shard_key,
        index,
        provider: shard.provider,
        operator: shard.operator,
        price: shard.price,
        collateral: shard.collateral,
        deadline: rules::shard::execution_deadline(&shard, &job.terms).time()
    });
    Ok(())
}

/// Accounts of `release_claim` and `expire_claim`.
#[derive(Accounts)]
pub struct EndClaim<'info> {
    /// Release: one of the provider's operators. Expiry: anyone.
    pub caller: Signer<'info>,
    #[account(mut)]
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub provider: AccountLoader<'info, Provider>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
    /// CHECK: compared with the provider's vault.
    #[account(mut)]
    pub stake_vault: UncheckedAccount<'info>,
    /// CHECK: compared with the job's vault.
    #[account(mut)]
    pub job_vault: UncheckedAccount<'info>,
    /// CHECK: compared with the job's mint.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with the job's token program.
    pub token_program: UncheckedAccount<'info>,
}

fn end_claim(ctx: Context<EndClaim>, expired: bool) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::now()?;
    let escrow = JobVault { job: &a.job, vault: &a.job_vault, mint: &a.mint, token_program: &a.token_program };
    let stake =
        StakeVault { provider: &a.provider, vault: &a.stake_vault, mint: &a.mint, token_program: &a.token_program };
    let penalty = {
        let (mut job, mut provider, mut shard) = (a.job.load_mut()?, a.provider.load_mut()?, a.shard.load_mut()?);
        same(&shard.job, &a.job.key(), AssayError::WrongJob)?;
        same(&shard.provider, &a.provider.key(), AssayError::WrongProvider)?;
        stake.check(&provider)?;
        escrow.check(&job)?;
        let frozen = token::is_frozen(&a.stake_vault)? || token::is_frozen(&a.job_vault)?;
        if expired {
            rules::shard::expire(&mut job, &mut provider, &mut shard, frozen, &now)?
        } else {
            rules::shard::release(&mut job, &mut provider, &mut shard, &a.caller.key(), frozen, &now)?
        }
    };
    stake.pay(&a.job_vault, penalty)?;
    emit!(ClaimEnded { job: a.job.key(), shard: a.shard.key(), provider: a.provider.key(), expired, penalty });
    Ok(())
}

/// The operator gives a claim back; the penalty grows with the time it was held.
pub fn release_claim(ctx: Context<EndClaim>) -> Result<()> {
    end_claim(ctx, false)
}

/// Anyone ends a claim whose time to commit is over.
pub fn expire_claim(ctx: Context<EndClaim>) -> Result<()> {
    end_claim(ctx, true)
}

/// Accounts of `commit_result`.
#[derive(Accounts)]
pub struct CommitResult<'info> {
    /// One of the provider's operators.
    pub operator: Signer<'info>,
    pub provider: AccountLoader<'info, Provider>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
}

/// Commits the shard's root, once and for all.
pub fn commit_result(ctx: Context<CommitResult>, root: [u8; 32]) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::moment()?;
    let (provider, mut shard) = (a.provider.load()?, a.shard.load_mut()?);
    same(&shard.provider, &a.provider.key(), AssayError::WrongProvider)?;
    rules::shard::commit(&mut shard, &provider, &a.operator.key(), root, &now)?;
    emit!(ResultCommitted { shard: a.shard.key(), operator: shard.operator, root, window: shard.window });
    Ok(())
}
