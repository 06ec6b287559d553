//! One function for each instruction of the settlement program. Addresses that follow from others are derived here;
//! accounts that a caller must have read anyway come as references. Amounts are base units of the market's mint.

mod delivery;
mod evidence;
mod job;
mod judge;
mod market;
mod money;
mod name;
mod provider;
mod work;

pub use delivery::*;
pub use evidence::*;
pub use job::*;
pub use judge::*;
pub use market::*;
pub use money::*;
pub use name::name;
pub use provider::*;
pub use work::*;

use anchor_lang::{InstructionData, ToAccountMetas};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use solana_system_interface::program::ID as SYSTEM;

/// Address of the settlement program.
pub const PROGRAM: Pubkey = assay_settlement::ID;

fn build(accounts: &impl ToAccountMetas, data: &impl InstructionData) -> Instruction {
    Instruction { program_id: PROGRAM, accounts: accounts.to_account_metas(None), data: data.data() }
}
