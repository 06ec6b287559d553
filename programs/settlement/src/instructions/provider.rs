//! Providers: registration, keys, stake in and out.

use crate::{
    chain::{
        account, token,
        vault::{StakeVault, check_market_mint},
    },
    constants::*,
    error::AssayError,
    events::*,
    rules::{ensure, same},
    seeds,
    state::{Market, Provider},
};
use anchor_lang::prelude::*;

/// A URL as it is stored: UTF-8, zero padded.
pub fn url_bytes(url: &str) -> Result<[u8; URL_BYTES]> {
    let mut bytes = [0u8; URL_BYTES];
    let text = url.as_bytes();
    ensure(!text.contains(&0), AssayError::BadUrl)?;
    bytes.get_mut(..text.len()).ok_or(AssayError::BadUrl)?.copy_from_slice(text);
    Ok(bytes)
}

/// What a provider tells of itself.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct ProviderProfile {
    /// Hot keys that claim and commit; zero for none.
    pub operators: [Pubkey; MAX_OPERATORS],
    /// X25519 key for encrypted inputs; zero for none.
    pub encryption_key: [u8; 32],
    /// Where results are served; at most 128 bytes.
    pub endpoint: String,
}

/// Accounts of `register_provider`.
#[derive(Accounts)]
pub struct RegisterProvider<'info> {
    /// The cold authority.
    pub owner: Signer<'info>,
    /// Pays rent and gets it back.
    #[account(mut)]
    pub payer: Signer<'info>,
    #[account(mut)]
    pub market: AccountLoader<'info, Market>,
    #[account(init, payer = payer, space = crate::state::space_of::<Provider>(),
        seeds = [seeds::PROVIDER, market.key().as_ref(), owner.key().as_ref()], bump)]
    pub provider: AccountLoader<'info, Provider>,
    /// CHECK: made here at its canonical address.
    #[account(mut)]
    pub vault: UncheckedAccount<'info>,
    /// CHECK: compared with the market's mint.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with the market's token program.
    pub token_program: UncheckedAccount<'info>,
    pub system_program: Program<'info, System>,
}

fn emit_profile(key: Pubkey, provider: &Provider, profile: ProviderProfile) {
    emit!(ProviderUpdated {
        provider: key,
        market: provider.market,
        owner: provider.owner,
        operators: profile.operators,
        encryption_key: profile.encryption_key,
        endpoint: profile.endpoint
    });
}

/// Registers the signer as provider of a market, with an empty stake vault.
pub fn register_provider(ctx: Context<RegisterProvider>, profile: ProviderProfile) -> Result<()> {
    let a = ctx.accounts;
    {
        let mut market = a.market.load_mut()?;
        check_market_mint(&market, &a.mint, &a.token_program)?;
        market.providers = market.providers.checked_add(1).ok_or(AssayError::Overflow)?;
    }
    let key = a.provider.key();
    let vault_bump = account::canonical(&a.vault, &[seeds::STAKE, key.as_ref()])?;
    token::create_vault(
        &a.payer,
        &a.vault,
        &a.mint,
        &key,
        &a.token_program,
        &[seeds::STAKE, key.as_ref(), &[vault_bump]],
    )?;
    let mut provider = a.provider.load_init()?;
    provider.version = ACCOUNT_VERSION;
    provider.bump = ctx.bumps.provider;
    provider.vault_bump = vault_bump;
    provider.market = a.market.key();
    provider.owner = a.owner.key();
    provider.vault = a.vault.key();
    provider.rent_payer = a.payer.key();
    provider.registered_at = Clock::get()?.unix_timestamp;
    provider.operators = profile.operators;
    provider.encryption_key = profile.encryption_key;
    provider.endpoint = url_bytes(&profile.endpoint)?;
    emit_profile(key, &provider, profile);
    Ok(())
}

/// Accounts of `update_provider`.
#[derive(Accounts)]
pub struct UpdateProvider<'info> {
    /// The cold authority.
    pub owner: Signer<'info>,
    #[account(mut)]
    pub provider: AccountLoader<'info, Provider>,
}

/// Replaces operators, encryption key and endpoint. A removed operator key is powerless at once.
pub fn update_provider(ctx: Context<UpdateProvider>, profile: ProviderProfile) -> Result<()> {
    let mut provider = ctx.accounts.provider.load_mut()?;
    same(&provider.owner, &ctx.accounts.owner.key(), AssayError::NotAuthorized)?;
    provider.operators = profile.operators;
    provider.encryption_key = profile.encryption_key;
    provider.endpoint = url_bytes(&profile.endpoint)?;
    emit_profile(ctx.accounts.provider.key(), &provider, profile);
    Ok(())
}

/// Accounts of `deposit_stake` and `withdraw_stake`.
#[derive(Accounts)]
pub struct MoveStake<'info> {
    /// Deposits: holds `token_account`; anyone. Withdrawals: the provider's owner.
    pub authority: Signer<'info>,
    #[account(mut)]
    pub provider: AccountLoader<'info, Provider>,
    /// CHECK: compared with the provider's vault.
    #[account(mut)]
    pub vault: UncheckedAccount<'info>,
    /// CHECK: the token program checks it.
    #[account(mut)]
    pub token_account: UncheckedAccount<'info>,
    pub market: AccountLoader<'info, Market>,
    /// CHECK: compared with the market's mint.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with the market's token program.
    pub token_program: UncheckedAccount<'info>,
}

impl<'info> MoveStake<'info> {
    fn stake(&self) -> StakeVault<'_, 'info> {
        StakeVault {
            provider: &self.provider,
            vault: &self.vault,
            mint: &self.mint,
            token_program: &self.token_program,
        }
    }

    fn check(&self) -> Result<()> {
        let (provider, market) = (self.provider.load()?, self.market.load()?);
        same(&provider.market, &self.market.key(), AssayError::WrongMarket)?;
        self.stake().check(&provider)?;
        check_market_mint(&market, &self.mint, &self.token_program)?;
        // A transfer from the vault to itself would count as a deposit and move nothing.
        ensure(self.vault.key() != self.token_account.key(), AssayError::WrongVault)?;
        Ok(())
    }
}

/// Adds stake.
pub fn deposit_stake(ctx: Context<MoveStake>, amount: u64) -> Result<()> {
    ensure(amount > 0, AssayError::ZeroAmount)?;
    let a = ctx.accounts;
    a.check()?;
    let staked = {
        let mut provider = a.provider.load_mut()?;
        provider.staked = provider.staked.checked_add(amount).ok_or(AssayError::Overflow)?;
        provider.staked
    };
    token::Transfer {
        token_program: &a.token_program,
        mint: &a.mint,
        from: &a.token_account,
        to: &a.vault,
        authority: &a.authority,
        amount,
    }
    .invoke(&[])?;
    emit!(StakeDeposited { provider: a.provider.key(), amount, staked });
    Ok(())
}

/// Takes out what no claim and no debt holds.
pub fn withdraw_stake(ctx: Context<MoveStake>, amount: u64) -> Result<()> {
    ensure(amount > 0, AssayError::ZeroAmount)?;
    let a = ctx.accounts;
    a.check()?;
    let staked = {
        let mut provider = a.provider.load_mut()?;
        same(&provider.owner, &a.authority.key(), AssayError::NotAuthorized)?;
        let free = provider.staked.checked_sub(provider.locked).ok_or(AssayError::Overflow)?;
        ensure(amount <= free, AssayError::StakeTooSmall)?;
        provider.staked = provider.staked.checked_sub(amount).ok_or(AssayError::Overflow)?;
        provider.staked
    };
    a.stake().pay(&a.token_account, amount)?;
    emit!(StakeWithdrawn { provider: a.provider.key(), amount, staked });
    Ok(())
}
