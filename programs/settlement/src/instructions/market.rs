//! Opening a market, pausing it, and withdrawing its fees.

use crate::{
    chain::{account, token, vault::check_market_mint},
    constants::*,
    error::AssayError,
    events::*,
    rules, seeds,
    state::{EXPERIMENTAL, Market, PAUSED, Terms},
};
use anchor_lang::prelude::*;

/// Accounts of `open_market`.
#[derive(Accounts)]
#[instruction(id: u16)]
pub struct OpenMarket<'info> {
    /// Opens the market; becomes its authority.
    pub creator: Signer<'info>,
    /// Pays rent and gets it back.
    #[account(mut)]
    pub payer: Signer<'info>,
    #[account(init, payer = payer, space = crate::state::space_of::<Market>(),
        seeds = [seeds::MARKET, creator.key().as_ref(), &id.to_le_bytes()], bump)]
    pub market: AccountLoader<'info, Market>,
    /// CHECK: made here at its canonical address.
    #[account(mut)]
    pub treasury: UncheckedAccount<'info>,
    /// CHECK: checked by `token::check_mint`.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with SPL Token's address.
    #[account(address = TOKEN_PROGRAM @ AssayError::WrongTokenProgram)]
    pub token_program: UncheckedAccount<'info>,
    pub system_program: Program<'info, System>,
}

/// Opens a market with its treasury.
pub fn open_market(ctx: Context<OpenMarket>, id: u16, terms: Terms, experimental: bool) -> Result<()> {
    rules::terms::check_market(&terms, experimental)?;
    let a = ctx.accounts;
    let decimals = token::check_mint(&a.mint)?;
    let market_key = a.market.key();
    let treasury_bump = account::canonical(&a.treasury, &[seeds::TREASURY, market_key.as_ref()])?;
    token::create_vault(
        &a.payer,
        &a.treasury,
        &a.mint,
        &market_key,
        &a.token_program,
        &[seeds::TREASURY, market_key.as_ref(), &[treasury_bump]],
    )?;
    let mut market = a.market.load_init()?;
    market.version = ACCOUNT_VERSION;
    market.bump = ctx.bumps.market;
    market.treasury_bump = treasury_bump;
    market.flags = if experimental { EXPERIMENTAL } else { 0 };
    market.id = id;
    market.decimals = decimals;
    market.creator = a.creator.key();
    market.authority = a.creator.key();
    market.mint = a.mint.key();
    market.token_program = a.token_program.key();
    market.treasury = a.treasury.key();
    market.rent_payer = a.payer.key();
    market.terms = terms;
    emit!(MarketOpened {
        market: market_key,
        creator: market.creator,
        id,
        mint: market.mint,
        authority: market.authority,
        experimental,
        terms
    });
    Ok(())
}

/// Accounts of `set_paused`.
#[derive(Accounts)]
pub struct SetPaused<'info> {
    /// The market's authority.
    pub authority: Signer<'info>,
    #[account(mut)]
    pub market: AccountLoader<'info, Market>,
}

/// Stops or resumes new jobs and new claims. Every exit stays open.
pub fn set_paused(ctx: Context<SetPaused>, paused: bool) -> Result<()> {
    let mut market = ctx.accounts.market.load_mut()?;
    require_keys_eq!(market.authority, ctx.accounts.authority.key(), AssayError::NotAuthorized);
    market.flags = if paused { market.flags | PAUSED } else { market.flags & !PAUSED };
    emit!(MarketPausedSet { market: ctx.accounts.market.key(), paused });
    Ok(())
}

/// Accounts of `withdraw_treasury`.
#[derive(Accounts)]
pub struct WithdrawTreasury<'info> {
    /// The market's authority.
    pub authority: Signer<'info>,
    pub market: AccountLoader<'info, Market>,
    /// CHECK: compared with the market's treasury.
    #[account(mut)]
    pub treasury: UncheckedAccount<'info>,
    /// CHECK: the token program checks it.
    #[account(mut)]
    pub destination: UncheckedAccount<'info>,
    /// CHECK: compared with the market's mint.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with the market's token program.
    pub token_program: UncheckedAccount<'info>,
}

/// Moves fees from the treasury to a token account that the authority names.
pub fn withdraw_treasury(ctx: Context<WithdrawTreasury>, amount: u64) -> Result<()> {
    require!(amount > 0, AssayError::ZeroAmount);
    let a = ctx.accounts;
    let (creator, id, bump) = {
        let market = a.market.load()?;
        require_keys_eq!(market.authority, a.authority.key(), AssayError::NotAuthorized);
        require_keys_eq!(market.treasury, a.treasury.key(), AssayError::WrongVault);
        check_market_mint(&market, &a.mint, &a.token_program)?;
        (market.creator, market.id, market.bump)
    };
    token::Transfer {
        token_program: &a.token_program,
        mint: &a.mint,
        from: &a.treasury,
        to: &a.destination,
        authority: a.market.as_ref(),
        amount,
    }
    .invoke(&[&[seeds::MARKET, creator.as_ref(), &id.to_le_bytes(), &[bump]]])?;
    emit!(TreasuryWithdrawn { market: a.market.key(), amount });
    Ok(())
}
