//! Opening a market, pausing it, handing its authority on, and withdrawing its fees.

use crate::{
    chain::{account, token, vault::MarketVault},
    constants::*,
    error::AssayError,
    events::*,
    rules::{self, ensure, same},
    seeds,
    state::{EXPERIMENTAL, FREEZABLE, Market, PAUSED, Terms},
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
    /// CHECK: SPL Token or Token-2022, checked by `token::check_mint`.
    pub token_program: UncheckedAccount<'info>,
    pub system_program: Program<'info, System>,
}

/// Opens a market with its treasury.
pub fn open_market(ctx: Context<OpenMarket>, id: u16, terms: Terms, experimental: bool) -> Result<()> {
    rules::terms::check_market(&terms, experimental)?;
    let a = ctx.accounts;
    let facts = token::check_mint(&a.mint, &a.token_program)?;
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
    market.flags = if experimental { EXPERIMENTAL } else { 0 } | if facts.freezable { FREEZABLE } else { 0 };
    market.id = id;
    market.decimals = facts.decimals;
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
        token_program: market.token_program,
        decimals: market.decimals,
        freezable: facts.freezable,
        authority: market.authority,
        treasury: market.treasury,
        rent_payer: market.rent_payer,
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
    same(&market.authority, &ctx.accounts.authority.key(), AssayError::NotAuthorized)?;
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
    ensure(amount > 0, AssayError::ZeroAmount)?;
    let a = ctx.accounts;
    let treasury =
        MarketVault { market: &a.market, vault: &a.treasury, mint: &a.mint, token_program: &a.token_program };
    {
        let market = a.market.load()?;
        same(&market.authority, &a.authority.key(), AssayError::NotAuthorized)?;
        treasury.check(&market)?;
    }
    treasury.pay(&a.destination, amount)?;
    emit!(TreasuryWithdrawn { market: a.market.key(), amount });
    Ok(())
}

/// Accounts of `propose_authority`.
#[derive(Accounts)]
pub struct ProposeAuthority<'info> {
    /// The market's authority.
    pub authority: Signer<'info>,
    #[account(mut)]
    pub market: AccountLoader<'info, Market>,
}

/// Names who will be the authority once it accepts; the zero key takes a proposal back. Nothing changes until then.
pub fn propose_authority(ctx: Context<ProposeAuthority>, proposed: Pubkey) -> Result<()> {
    let mut market = ctx.accounts.market.load_mut()?;
    same(&market.authority, &ctx.accounts.authority.key(), AssayError::NotAuthorized)?;
    market.pending_authority = proposed;
    emit!(AuthorityProposed { market: ctx.accounts.market.key(), proposed });
    Ok(())
}

/// Accounts of `accept_authority`.
#[derive(Accounts)]
pub struct AcceptAuthority<'info> {
    /// Who was proposed.
    pub proposed: Signer<'info>,
    #[account(mut)]
    pub market: AccountLoader<'info, Market>,
}

/// Makes the proposed key the authority. That it signs shows that somebody holds it.
pub fn accept_authority(ctx: Context<AcceptAuthority>) -> Result<()> {
    let mut market = ctx.accounts.market.load_mut()?;
    let proposed = ctx.accounts.proposed.key();
    ensure(proposed != NOBODY && market.pending_authority == proposed, AssayError::NotProposed)?;
    market.authority = proposed;
    market.pending_authority = NOBODY;
    emit!(AuthorityChanged { market: ctx.accounts.market.key(), authority: proposed });
    Ok(())
}
