//! SPL Token from outside: associated token accounts, mints, balances.

use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;
use solana_system_interface::{instruction as system, program::ID as SYSTEM};

/// SPL Token.
pub const SPL_TOKEN: Pubkey = assay_settlement::constants::TOKEN_PROGRAM;
/// SPL Token-2022.
pub const TOKEN_2022: Pubkey = assay_settlement::constants::TOKEN_2022_PROGRAM;
/// The associated token account program.
pub const ASSOCIATED_TOKEN: Pubkey = Pubkey::from_str_const("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
/// Bytes of a mint without extensions.
pub const MINT_BYTES: u64 = 82;
/// Bytes of a token account without extensions.
pub const ACCOUNT_BYTES: usize = assay_settlement::chain::token::ACCOUNT_BYTES;

/// The associated token account of `owner` for a mint of SPL Token.
pub fn associated(owner: &Pubkey, mint: &Pubkey) -> Pubkey {
    associated_of(&SPL_TOKEN, owner, mint)
}

/// The associated token account of `owner` for a mint of `token_program`.
pub fn associated_of(token_program: &Pubkey, owner: &Pubkey, mint: &Pubkey) -> Pubkey {
    Pubkey::find_program_address(&[owner.as_ref(), token_program.as_ref(), mint.as_ref()], &ASSOCIATED_TOKEN).0
}

/// Makes the associated token account of `owner` for a mint of SPL Token unless it exists. Signer: payer.
pub fn create_associated(payer: Pubkey, owner: &Pubkey, mint: &Pubkey) -> Instruction {
    create_associated_of(&SPL_TOKEN, payer, owner, mint)
}

/// Makes the associated token account of `owner` for a mint of `token_program` unless it exists. Signer: payer.
pub fn create_associated_of(token_program: &Pubkey, payer: Pubkey, owner: &Pubkey, mint: &Pubkey) -> Instruction {
    const CREATE_IDEMPOTENT: u8 = 1;
    Instruction {
        program_id: ASSOCIATED_TOKEN,
        accounts: vec![
            AccountMeta::new(payer, true),
            AccountMeta::new(associated_of(token_program, owner, mint), false),
            AccountMeta::new_readonly(*owner, false),
            AccountMeta::new_readonly(*mint, false),
            AccountMeta::new_readonly(SYSTEM, false),
            AccountMeta::new_readonly(*token_program, false),
        ],
        data: vec![CREATE_IDEMPOTENT],
    }
}

/// The same instruction of the other token program: SPL Token's instructions mean the same to Token-2022.
pub fn by(token_program: &Pubkey, instruction: Instruction) -> Instruction {
    Instruction { program_id: *token_program, ..instruction }
}

/// Makes a mint of SPL Token. `lamports`: the rent of a mint. Signers: payer, mint.
pub fn create_mint(payer: &Pubkey, mint: &Pubkey, authority: &Pubkey, decimals: u8, lamports: u64) -> [Instruction; 2] {
    create_mint_of(&SPL_TOKEN, payer, mint, authority, decimals, lamports)
}

/// Makes a mint of `token_program`, without extensions. `lamports`: the rent of a mint. Signers: payer, mint.
pub fn create_mint_of(
    token_program: &Pubkey,
    payer: &Pubkey,
    mint: &Pubkey,
    authority: &Pubkey,
    decimals: u8,
    lamports: u64,
) -> [Instruction; 2] {
    let mut data = vec![20, decimals];
    data.extend_from_slice(authority.as_ref());
    data.push(0);
    [
        system::create_account(payer, mint, lamports, MINT_BYTES, token_program),
        Instruction { program_id: *token_program, accounts: vec![AccountMeta::new(*mint, false)], data },
    ]
}

/// Mints `amount` base units of a mint of SPL Token; see [`by`] for the other program. Signer: the mint's authority.
pub fn mint_to(mint: &Pubkey, to: &Pubkey, authority: &Pubkey, amount: u64) -> Instruction {
    let mut data = vec![7];
    data.extend_from_slice(&amount.to_le_bytes());
    Instruction {
        program_id: SPL_TOKEN,
        accounts: vec![
            AccountMeta::new(*mint, false),
            AccountMeta::new(*to, false),
            AccountMeta::new_readonly(*authority, true),
        ],
        data,
    }
}

/// Base units in a token account, from the account's data; none when it is not a token account.
pub fn amount(data: &[u8]) -> Option<u64> {
    if data.len() < ACCOUNT_BYTES {
        return None;
    }
    data.get(64..)?.first_chunk().map(|b| u64::from_le_bytes(*b))
}
