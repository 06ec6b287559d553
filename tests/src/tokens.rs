//! The tokens that markets of the tests settle in: SPL Token, wrapped SOL, Token-2022 with extensions. Instructions by
//! hand, so that the real token programs are asked and no library of theirs stands between.

use crate::chain::{Actor, Chain};
use assay_client::token;
use assay_kernels::hash::sha256;
use assay_settlement::constants::TOKEN_2022_PROGRAM;
use solana_account::Account;
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;
use solana_system_interface::{instruction as system, program::ID as SYSTEM};

/// The mint of wrapped SOL.
pub const WRAPPED_SOL: Pubkey = Pubkey::from_str_const("So11111111111111111111111111111111111111112");
/// Token-2022.
pub const TOKEN_2022: Pubkey = TOKEN_2022_PROGRAM;

/// What a market settles in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Money {
    /// A mint of SPL Token with six decimals and a freeze authority, as the large stable coins have.
    Token,
    /// Wrapped SOL: its supply is not counted by the mint, and a vault's lamports are its tokens.
    Wrapped,
    /// A mint of Token-2022 with a metadata pointer and metadata inside the mint, as newer coins have.
    Token2022,
}

impl Money {
    /// Its token program.
    pub fn program(self) -> Pubkey {
        if self == Self::Token2022 { TOKEN_2022 } else { token::SPL_TOKEN }
    }
}

/// The associated token account of `owner`.
pub fn associated(owner: &Pubkey, mint: &Pubkey, program: &Pubkey) -> Pubkey {
    Pubkey::find_program_address(&[owner.as_ref(), program.as_ref(), mint.as_ref()], &token::ASSOCIATED_TOKEN).0
}

/// Makes an associated token account unless it exists.
pub fn create_associated(payer: Pubkey, owner: &Pubkey, mint: &Pubkey, program: &Pubkey) -> Instruction {
    const CREATE_IDEMPOTENT: u8 = 1;
    Instruction {
        program_id: token::ASSOCIATED_TOKEN,
        accounts: vec![
            AccountMeta::new(payer, true),
            AccountMeta::new(associated(owner, mint, program), false),
            AccountMeta::new_readonly(*owner, false),
            AccountMeta::new_readonly(*mint, false),
            AccountMeta::new_readonly(SYSTEM, false),
            AccountMeta::new_readonly(*program, false),
        ],
        data: vec![CREATE_IDEMPOTENT],
    }
}

/// Moves base units between token accounts: what any owner of tokens can do.
pub fn transfer(from: Pubkey, to: Pubkey, owner: &Actor, program: Pubkey, amount: u64) -> Instruction {
    const TRANSFER: u8 = 3;
    Instruction {
        program_id: program,
        accounts: vec![
            AccountMeta::new(from, false),
            AccountMeta::new(to, false),
            AccountMeta::new_readonly(owner.id(), true),
        ],
        data: [&[TRANSFER][..], &amount.to_le_bytes()].concat(),
    }
}

/// Base units that come to a token account out of nothing: minted by `authority`, or for wrapped SOL out of its lamports.
pub fn fill(mint: &Pubkey, program: &Pubkey, to: &Pubkey, authority: &Pubkey, amount: u64) -> Vec<Instruction> {
    const SYNC_NATIVE: u8 = 17;
    if *mint == WRAPPED_SOL {
        let sync =
            Instruction { program_id: *program, accounts: vec![AccountMeta::new(*to, false)], data: vec![SYNC_NATIVE] };
        return vec![system::transfer(authority, to, amount), sync];
    }
    vec![Instruction { program_id: *program, ..token::mint_to(mint, to, authority, amount) }]
}

/// Puts the mint of wrapped SOL where it is on every cluster.
pub fn make_wrapped_sol(chain: &mut Chain) {
    let mut data = vec![0u8; 82];
    (data[44], data[45]) = (9, 1);
    let lamports = chain.svm.minimum_balance_for_rent_exemption(82);
    let mint = Account { lamports, data, owner: token::SPL_TOKEN, executable: false, rent_epoch: 0 };
    chain.svm.set_account(WRAPPED_SOL, mint).unwrap();
}

/// An extension of a Token-2022 mint.
#[derive(Clone, Debug)]
pub struct Extension {
    /// Its name in Token-2022.
    pub name: &'static str,
    /// Bytes of its entry, without type and length.
    pub bytes: usize,
    /// Data of the instruction that sets it up; a mint is its one account.
    pub data: Vec<u8>,
}

/// Extensions of mints that Token-2022 has, by the instruction that sets each of them up. `key`: whoever they empower.
pub fn extensions(key: &Pubkey) -> Vec<Extension> {
    let key = key.as_ref();
    let optional = [&[1u8], key].concat();
    let make = |name, bytes, parts: &[&[u8]]| Extension { name, bytes, data: parts.concat() };
    vec![
        make("TransferFeeConfig", 108, &[&[26, 0], &optional, &optional, &100u16.to_le_bytes(), &[255; 8]]),
        make("MintCloseAuthority", 32, &[&[25], &optional]),
        make("ConfidentialTransferMint", 65, &[&[27, 0], key, &[1], &[0; 32]]),
        make("DefaultAccountState", 1, &[&[28, 0, 2]]),
        make("NonTransferable", 0, &[&[32]]),
        make("InterestBearingConfig", 52, &[&[33, 0], key, &500i16.to_le_bytes()]),
        make("PermanentDelegate", 32, &[&[35], key]),
        make("TransferHook", 64, &[&[36, 0], key, key]),
        make("MetadataPointer", 64, &[&[39, 0], key, key]),
        make("GroupPointer", 64, &[&[40, 0], key, key]),
        make("GroupMemberPointer", 64, &[&[41, 0], key, key]),
        make("ScaledUiAmount", 56, &[&[43, 0], key, &2f64.to_le_bytes()]),
        make("Pausable", 33, &[&[44, 0], key]),
    ]
}

/// Makes a Token-2022 mint of six decimals with these extensions; `creator` is mint and freeze authority.
/// `spare`: lamports for bytes that are added later.
pub fn mint_2022(chain: &Chain, creator: &Pubkey, mint: &Pubkey, with: &[Extension], spare: usize) -> Vec<Instruction> {
    const INITIALIZE_MINT_2: u8 = 20;
    const WITHOUT: usize = 82;
    const HEAD: usize = 166;
    let bytes = if with.is_empty() { WITHOUT } else { HEAD + with.iter().map(|e| 4 + e.bytes).sum::<usize>() };
    let rent = chain.svm.minimum_balance_for_rent_exemption(bytes + spare);
    let ask =
        |data: Vec<u8>| Instruction { program_id: TOKEN_2022, accounts: vec![AccountMeta::new(*mint, false)], data };
    let mut make = vec![system::create_account(creator, mint, rent, bytes as u64, &TOKEN_2022)];
    make.extend(with.iter().map(|e| ask(e.data.clone())));
    make.push(ask([&[INITIALIZE_MINT_2, 6][..], creator.as_ref(), &[1], creator.as_ref()].concat()));
    make
}

/// Writes name, symbol and address of a picture into a mint that points at itself (spl-token-metadata-interface).
pub fn write_metadata(creator: &Pubkey, mint: &Pubkey) -> Instruction {
    let mut data = sha256(&[b"spl_token_metadata_interface:initialize_account"])[..8].to_vec();
    for text in ["Assay test coin", "TEST", "https://example.org/coin.json"] {
        data.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        data.extend(text.as_bytes());
    }
    Instruction {
        program_id: TOKEN_2022,
        accounts: vec![
            AccountMeta::new(*mint, false),
            AccountMeta::new_readonly(*creator, false),
            AccountMeta::new_readonly(*mint, false),
            AccountMeta::new_readonly(*creator, true),
        ],
        data,
    }
}

/// Makes `to` the owner of a token account of SPL Token that `from` owns, which `from` signs: payments meant for `from` then
/// find no account.
pub fn hand_over(account: Pubkey, from: &Pubkey, to: &Pubkey) -> Instruction {
    const SET_AUTHORITY: u8 = 6;
    const ACCOUNT_OWNER: u8 = 2;
    Instruction {
        program_id: token::SPL_TOKEN,
        accounts: vec![AccountMeta::new(account, false), AccountMeta::new_readonly(*from, true)],
        data: [&[SET_AUTHORITY, ACCOUNT_OWNER, 1], to.as_ref()].concat(),
    }
}
