//! A mint that we control and tokens of it, for local chains and tests.

use crate::MigrationError;
use assay_client::{
    send::{SendOptions, Sender},
    token,
};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;

/// The token program of a mint: whoever owns it, Token-2022, else SPL Token. What is no mint at all the programs refuse.
///
/// # Errors
/// The chain can't be reached.
pub async fn token_program(sender: &Sender, mint: &Pubkey) -> Result<Pubkey, MigrationError> {
    let owner = sender.rpc().account(mint).await?.map(|account| account.owner);
    Ok(owner.filter(|owner| *owner == token::TOKEN_2022).unwrap_or(token::SPL_TOKEN))
}

/// Makes a mint of SPL Token whose authority is `payer`. No freeze authority.
///
/// # Errors
/// The chain can't be reached or refuses.
pub async fn create_mint(
    sender: &Sender,
    payer: &Keypair,
    mint: &Keypair,
    decimals: u8,
) -> Result<Signature, MigrationError> {
    create_mint_of(&token::SPL_TOKEN, sender, payer, mint, decimals).await
}

/// The same of another token program, without extensions.
///
/// # Errors
/// As [`create_mint`].
pub async fn create_mint_of(
    token_program: &Pubkey,
    sender: &Sender,
    payer: &Keypair,
    mint: &Keypair,
    decimals: u8,
) -> Result<Signature, MigrationError> {
    let bytes = usize::try_from(token::MINT_BYTES).unwrap_or(usize::MAX);
    let lamports = sender.rpc().minimum_balance(bytes).await?;
    let (key, mint_key) = (payer.pubkey(), mint.pubkey());
    let instructions = token::create_mint_of(token_program, &key, &mint_key, &key, decimals, lamports);
    let outcome = sender.send(&instructions, &[payer, mint], SendOptions::default()).await?;
    Ok(outcome.landed()?.0)
}

/// Mints `amount` base units to the associated token account of `owner`, which it makes where it is missing. Returns
/// that account.
///
/// # Errors
/// The chain can't be reached or refuses: `authority` must be the mint's authority.
pub async fn mint_tokens(
    sender: &Sender,
    authority: &Keypair,
    mint: &Pubkey,
    owner: &Pubkey,
    amount: u64,
) -> Result<Pubkey, MigrationError> {
    let program = token_program(sender, mint).await?;
    let account = token::associated_of(&program, owner, mint);
    let mut instructions = vec![token::create_associated_of(&program, authority.pubkey(), owner, mint)];
    if amount > 0 {
        instructions.push(token::by(&program, token::mint_to(mint, &account, &authority.pubkey(), amount)));
    }
    sender.send(&instructions, &[authority], SendOptions::default()).await?.landed()?;
    Ok(account)
}
