//! Closing what lives longer than a job: providers, markets, kernels. Rent goes back to whoever paid it.

use crate::{
    chain::{
        account, token,
        vault::{MarketVault, StakeVault, check_market_mint},
    },
    error::AssayError,
    events::*,
    rules::{ensure, same},
    state::{Kernel, Market, Provider},
};
use anchor_lang::prelude::*;

/// Accounts of `close_provider`.
#[derive(Accounts)]
pub struct CloseProvider<'info> {
    /// The provider's owner.
    pub owner: Signer<'info>,
    #[account(mut)]
    pub market: AccountLoader<'info, Market>,
    #[account(mut)]
    pub provider: AccountLoader<'info, Provider>,
    /// CHECK: compared with the provider's vault.
    #[account(mut)]
    pub vault: UncheckedAccount<'info>,
    /// CHECK: receives what somebody sent to the vault unasked; the token program checks it.
    #[account(mut)]
    pub destination: UncheckedAccount<'info>,
    /// CHECK: compared with who paid the provider's rent.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
    /// CHECK: compared with the market's mint.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with the market's token program.
    pub token_program: UncheckedAccount<'info>,
}

/// Closes a provider that holds no stake and has nothing in work. Its record goes with it.
pub fn close_provider(ctx: Context<CloseProvider>) -> Result<()> {
    let a = ctx.accounts;
    let stake = StakeVault { provider: &a.provider, vault: &a.vault, mint: &a.mint, token_program: &a.token_program };
    let dust = {
        let (mut market, provider) = (a.market.load_mut()?, a.provider.load()?);
        same(&provider.market, &a.market.key(), AssayError::WrongMarket)?;
        same(&provider.owner, &a.owner.key(), AssayError::NotAuthorized)?;
        same(&provider.rent_payer, &a.rent_payer.key(), AssayError::WrongRentPayer)?;
        stake.check(&provider)?;
        check_market_mint(&market, &a.mint, &a.token_program)?;
        let idle = provider.staked == 0 && provider.locked == 0 && provider.active == 0;
        ensure(idle, AssayError::StillNeeded)?;
        market.providers = market.providers.checked_sub(1).ok_or(AssayError::Overflow)?;
        token::read(&a.vault, a.token_program.key)?.amount
    };
    stake.pay(&a.destination, dust)?;
    stake.close(&a.rent_payer)?;
    emit!(ProviderClosed { provider: a.provider.key(), market: a.market.key() });
    account::close(a.provider.as_ref(), &a.rent_payer)
}

/// Accounts of `close_market`.
#[derive(Accounts)]
pub struct CloseMarket<'info> {
    /// The market's authority.
    pub authority: Signer<'info>,
    #[account(mut)]
    pub market: AccountLoader<'info, Market>,
    /// CHECK: compared with the market's treasury.
    #[account(mut)]
    pub treasury: UncheckedAccount<'info>,
    /// CHECK: receives what is left in the treasury; the token program checks it.
    #[account(mut)]
    pub destination: UncheckedAccount<'info>,
    /// CHECK: compared with who paid the market's rent.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
    /// CHECK: compared with the market's mint.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with the market's token program.
    pub token_program: UncheckedAccount<'info>,
}

/// Closes a market in which no job and no provider is left.
pub fn close_market(ctx: Context<CloseMarket>) -> Result<()> {
    let a = ctx.accounts;
    let treasury =
        MarketVault { market: &a.market, vault: &a.treasury, mint: &a.mint, token_program: &a.token_program };
    let left = {
        let market = a.market.load()?;
        same(&market.authority, &a.authority.key(), AssayError::NotAuthorized)?;
        same(&market.rent_payer, &a.rent_payer.key(), AssayError::WrongRentPayer)?;
        treasury.check(&market)?;
        ensure(market.jobs == 0 && market.providers == 0, AssayError::StillNeeded)?;
        token::read(&a.treasury, a.token_program.key)?.amount
    };
    treasury.pay(&a.destination, left)?;
    treasury.close(&a.rent_payer)?;
    emit!(MarketClosed { market: a.market.key(), amount: left });
    account::close(a.market.as_ref(), &a.rent_payer)
}

/// Accounts of `close_kernel`.
#[derive(Accounts)]
pub struct CloseKernel<'info> {
    /// Who paid the kernel's rent.
    #[account(mut)]
    pub rent_payer: Signer<'info>,
    #[account(mut)]
    pub kernel: AccountLoader<'info, Kernel>,
}

/// Closes a kernel's registration. Jobs keep their own copy of everything; anyone may register the kernel again.
pub fn close_kernel(ctx: Context<CloseKernel>) -> Result<()> {
    let a = ctx.accounts;
    same(&a.kernel.load()?.rent_payer, &a.rent_payer.key(), AssayError::WrongRentPayer)?;
    emit!(KernelClosed { kernel: a.kernel.key() });
    account::close(a.kernel.as_ref(), &a.rent_payer)
}
