//! Providers and their stake.

use super::{SYSTEM, build};
use assay_settlement::{Market, Provider, accounts, instruction, instructions::ProviderProfile, seeds};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// Registers `owner` as provider of a market. Signers: owner, payer.
pub fn register_provider(
    owner: Pubkey,
    payer: Pubkey,
    market: &Pubkey,
    data: &Market,
    profile: ProviderProfile,
) -> Instruction {
    let provider = seeds::provider(market, &owner);
    let accounts = accounts::RegisterProvider {
        owner,
        payer,
        market: *market,
        provider,
        vault: seeds::stake(&provider),
        mint: data.mint,
        token_program: data.token_program,
        system_program: SYSTEM,
    };
    build(&accounts, &instruction::RegisterProvider { profile })
}

/// Replaces operators, encryption key and endpoint. Signer: owner.
pub fn update_provider(owner: Pubkey, market: &Pubkey, profile: ProviderProfile) -> Instruction {
    let provider = seeds::provider(market, &owner);
    build(&accounts::UpdateProvider { owner, provider }, &instruction::UpdateProvider { profile })
}

fn move_stake(
    authority: Pubkey,
    provider: &Pubkey,
    data: &Provider,
    market: &Market,
    token_account: Pubkey,
) -> accounts::MoveStake {
    accounts::MoveStake {
        authority,
        provider: *provider,
        vault: data.vault,
        token_account,
        market: data.market,
        mint: market.mint,
        token_program: market.token_program,
    }
}

/// Adds stake from a token account of `authority`. Signer: authority.
pub fn deposit_stake(
    authority: Pubkey,
    provider: &Pubkey,
    data: &Provider,
    market: &Market,
    from: Pubkey,
    amount: u64,
) -> Instruction {
    build(&move_stake(authority, provider, data, market, from), &instruction::DepositStake { amount })
}

/// Takes out stake and earnings. Signer: the provider's owner.
pub fn withdraw_stake(
    owner: Pubkey,
    provider: &Pubkey,
    data: &Provider,
    market: &Market,
    to: Pubkey,
    amount: u64,
) -> Instruction {
    build(&move_stake(owner, provider, data, market, to), &instruction::WithdrawStake { amount })
}

/// Closes a provider without stake and work; what somebody sent to its vault goes to `destination`. Signer: its owner.
pub fn close_provider(
    owner: Pubkey,
    provider: &Pubkey,
    data: &Provider,
    market: &Market,
    destination: Pubkey,
) -> Instruction {
    let accounts = accounts::CloseProvider {
        owner,
        market: data.market,
        provider: *provider,
        vault: data.vault,
        destination,
        rent_payer: data.rent_payer,
        mint: market.mint,
        token_program: market.token_program,
    };
    build(&accounts, &instruction::CloseProvider {})
}
