//! Token moves by raw instruction: the vaults are compared with the keys that accounts record, so nothing needs to be
//! deserialised twice. Layouts and instruction numbers are SPL Token's, which Token-2022 keeps.

use crate::{
    constants::{ASSOCIATED_TOKEN_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM},
    error::AssayError,
    rules::{
        ensure,
        mint::{self, MintFacts},
        same,
    },
};
use anchor_lang::{
    prelude::*,
    solana_program::{
        instruction::{AccountMeta, Instruction},
        program::invoke_signed_unchecked,
    },
};

/// Bytes of an SPL Token account without extensions.
pub const ACCOUNT_BYTES: usize = 165;
const CLOSE_ACCOUNT: u8 = 9;
const TRANSFER_CHECKED: u8 = 12;
const INITIALIZE_ACCOUNT_3: u8 = 18;

/// Checks that a mint may settle a market: one of SPL Token, or of Token-2022 with nothing but allowed extensions.
pub fn check_mint(mint: &AccountInfo, token_program: &AccountInfo) -> Result<MintFacts> {
    let known = [TOKEN_PROGRAM, TOKEN_2022_PROGRAM].contains(token_program.key);
    ensure(known, AssayError::WrongTokenProgram)?;
    same(mint.owner, token_program.key, AssayError::MintNotAllowed)?;
    Ok(mint::check(&mint.try_borrow_data()?, *token_program.key == TOKEN_2022_PROGRAM)?)
}

/// What this program reads of a token account.
#[derive(Clone, Copy, Debug)]
pub struct TokenAccount {
    /// Its mint.
    pub mint: Pubkey,
    /// Who may move what it holds.
    pub owner: Pubkey,
    /// Base units in it.
    pub amount: u64,
}

/// Reads a token account of `token_program`.
pub fn read(account: &AccountInfo, token_program: &Pubkey) -> Result<TokenAccount> {
    same(account.owner, token_program, AssayError::WrongTokenProgram)?;
    let data = account.try_borrow_data()?;
    ensure(data.len() >= ACCOUNT_BYTES, AssayError::WrongTokenOwner)?;
    let key = |at: usize| -> Option<Pubkey> { Some(Pubkey::new_from_array(*data.get(at..)?.first_chunk()?)) };
    let amount = data.get(64..).and_then(|d| d.first_chunk()).map(|b| u64::from_le_bytes(*b));
    match (key(0), key(32), amount) {
        (Some(mint), Some(owner), Some(amount)) => Ok(TokenAccount { mint, owner, amount }),
        _ => Err(AssayError::WrongTokenOwner.into()),
    }
}

/// True for a token account that the mint's freeze authority has frozen.
pub fn is_frozen(account: &AccountInfo) -> Result<bool> {
    const STATE_AT: usize = 108;
    const FROZEN: u8 = 2;
    Ok(account.try_borrow_data()?.get(STATE_AT) == Some(&FROZEN))
}

/// Checks that money owed to `owner` can be paid to `account`: its associated token account. Anyone may call for a
/// payment, so no other account will do: a program's address can own many, for many people.
pub fn check_destination(account: &AccountInfo, token_program: &Pubkey, mint: &Pubkey, owner: &Pubkey) -> Result<()> {
    let seeds = [owner.as_ref(), token_program.as_ref(), mint.as_ref()];
    let (address, _) = Pubkey::find_program_address(&seeds, &ASSOCIATED_TOKEN_PROGRAM);
    let token = read(account, token_program)?;
    same(&token.mint, mint, AssayError::WrongMint)?;
    same(&token.owner, owner, AssayError::WrongTokenOwner)?;
    same(account.key, &address, AssayError::WrongTokenOwner)?;
    Ok(())
}

/// Creates a vault at its program-derived address. `seeds` end with the bump; `authority` is the account that owns it.
pub fn create_vault<'info>(
    payer: &AccountInfo<'info>,
    vault: &AccountInfo<'info>,
    mint: &AccountInfo<'info>,
    authority: &Pubkey,
    token_program: &AccountInfo<'info>,
    seeds: &[&[u8]],
) -> Result<()> {
    crate::chain::account::create(payer, vault, ACCOUNT_BYTES, token_program.key, seeds)?;
    let mut data = Vec::with_capacity(33);
    data.push(INITIALIZE_ACCOUNT_3);
    data.extend_from_slice(authority.as_ref());
    let accounts = vec![AccountMeta::new(*vault.key, false), AccountMeta::new_readonly(*mint.key, false)];
    let make = Instruction { program_id: *token_program.key, accounts, data };
    Ok(invoke_signed_unchecked(&make, &[vault.clone(), mint.clone(), token_program.clone()], &[])?)
}

/// One transfer of tokens.
pub struct Transfer<'a, 'info> {
    /// Token program, already compared with the market's.
    pub token_program: &'a AccountInfo<'info>,
    /// Mint, already compared with the market's.
    pub mint: &'a AccountInfo<'info>,
    /// Pays.
    pub from: &'a AccountInfo<'info>,
    /// Receives.
    pub to: &'a AccountInfo<'info>,
    /// Signs: a wallet, or the account that owns the vault.
    pub authority: &'a AccountInfo<'info>,
    /// Base units.
    pub amount: u64,
}

impl Transfer<'_, '_> {
    /// TransferChecked; `seeds` (with bump) when the authority is program-derived, else empty.
    pub fn invoke(&self, seeds: &[&[&[u8]]]) -> Result<()> {
        if self.amount == 0 {
            return Ok(());
        }
        let decimals = self.mint.try_borrow_data()?.get(44).copied().ok_or(AssayError::MintNotAllowed)?;
        let mut data = Vec::with_capacity(10);
        data.push(TRANSFER_CHECKED);
        data.extend_from_slice(&self.amount.to_le_bytes());
        data.push(decimals);
        let accounts = vec![
            AccountMeta::new(*self.from.key, false),
            AccountMeta::new_readonly(*self.mint.key, false),
            AccountMeta::new(*self.to.key, false),
            AccountMeta::new_readonly(*self.authority.key, true),
        ];
        let instruction = Instruction { program_id: *self.token_program.key, accounts, data };
        let infos = [self.from.clone(), self.mint.clone(), self.to.clone(), self.authority.clone()];
        Ok(invoke_signed_unchecked(&instruction, &infos, seeds)?)
    }
}

/// Closes an empty vault; its lamports go to `to`.
pub fn close_vault<'info>(
    token_program: &AccountInfo<'info>,
    vault: &AccountInfo<'info>,
    to: &AccountInfo<'info>,
    authority: &AccountInfo<'info>,
    seeds: &[&[u8]],
) -> Result<()> {
    let accounts = vec![
        AccountMeta::new(*vault.key, false),
        AccountMeta::new(*to.key, false),
        AccountMeta::new_readonly(*authority.key, true),
    ];
    let instruction = Instruction { program_id: *token_program.key, accounts, data: vec![CLOSE_ACCOUNT] };
    Ok(invoke_signed_unchecked(&instruction, &[vault.clone(), to.clone(), authority.clone()], &[seeds])?)
}
