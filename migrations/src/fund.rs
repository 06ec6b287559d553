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

/// Makes a mint whose authority is `payer`. No freeze authority.
///
/// # Errors
/// The chain can't be reached or refuses.
pub async fn create_mint(
    sender: &Sender,
    payer: &Keypair,
    mint: &Keypair,
    decimals: u8,
) -> Result<Signature, MigrationError> {
    let bytes = usize::try_from(token::MINT_BYTES).unwrap_or(usize::MAX);
    let lamports = sender.rpc().minimum_balance(bytes).await?;
    let instructions = token::create_mint(&payer.pubkey(), &mint.pubkey(), &payer.pubkey(), decimals, lamports);
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
    let account = token::associated(owner, mint);
    let mut instructions = vec![token::create_associated(authority.pubkey(), owner, mint)];
    if amount > 0 {
        instructions.push(token::mint_to(mint, &account, &authority.pubkey(), amount));
    }
    sender.send(&instructions, &[authority], SendOptions::default()).await?.landed()?;
    Ok(account)
}
