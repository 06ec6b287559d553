//! Markets and kernels.

use super::{SYSTEM, build};
use assay_settlement::{Market, Terms, accounts, instruction, seeds};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// Opens market `id` of `creator`. Signers: creator, payer.
pub fn open_market(
    creator: Pubkey,
    payer: Pubkey,
    id: u16,
    mint: Pubkey,
    token_program: Pubkey,
    terms: Terms,
    experimental: bool,
) -> Instruction {
    let market = seeds::market(&creator, id);
    let accounts = accounts::OpenMarket {
        creator,
        payer,
        market,
        treasury: seeds::treasury(&market),
        mint,
        token_program,
        system_program: SYSTEM,
    };
    build(&accounts, &instruction::OpenMarket { id, terms, experimental })
}

/// Pauses or resumes a market. Signer: its authority.
pub fn set_paused(authority: Pubkey, market: Pubkey, paused: bool) -> Instruction {
    build(&accounts::SetPaused { authority, market }, &instruction::SetPaused { paused })
}

/// Moves fees to `destination`. Signer: the market's authority.
pub fn withdraw_treasury(
    authority: Pubkey,
    market: &Pubkey,
    data: &Market,
    destination: Pubkey,
    amount: u64,
) -> Instruction {
    let accounts = accounts::WithdrawTreasury {
        authority,
        market: *market,
        treasury: data.treasury,
        destination,
        mint: data.mint,
        token_program: data.token_program,
    };
    build(&accounts, &instruction::WithdrawTreasury { amount })
}

/// Registers kernel `id` of a verifier. Signer: payer.
pub fn register_kernel(payer: Pubkey, verifier: Pubkey, id: u16) -> Instruction {
    let accounts = accounts::RegisterKernel {
        payer,
        kernel: seeds::kernel(&verifier, id),
        verifier,
        program_data: program_data_address(&verifier),
        system_program: SYSTEM,
    };
    build(&accounts, &instruction::RegisterKernel { id })
}

/// The account that holds an upgradeable program's code and says who may change it.
pub fn program_data_address(program: &Pubkey) -> Pubkey {
    let loader = assay_settlement::constants::UPGRADEABLE_LOADER;
    Pubkey::find_program_address(&[program.as_ref()], &loader).0
}

/// Names who will be the market's authority once it accepts; the zero key for nobody. Signer: its authority.
pub fn propose_authority(authority: Pubkey, market: Pubkey, proposed: Pubkey) -> Instruction {
    build(&accounts::ProposeAuthority { authority, market }, &instruction::ProposeAuthority { proposed })
}

/// Takes a market's authority over. Signer: who was proposed.
pub fn accept_authority(proposed: Pubkey, market: Pubkey) -> Instruction {
    build(&accounts::AcceptAuthority { proposed, market }, &instruction::AcceptAuthority {})
}

/// Closes a market; what is left in its treasury goes to `destination`. Signer: its authority.
pub fn close_market(authority: Pubkey, market: &Pubkey, data: &Market, destination: Pubkey) -> Instruction {
    let accounts = accounts::CloseMarket {
        authority,
        market: *market,
        treasury: data.treasury,
        destination,
        rent_payer: data.rent_payer,
        mint: data.mint,
        token_program: data.token_program,
    };
    build(&accounts, &instruction::CloseMarket {})
}

/// Closes a kernel's registration. Signer: who paid its rent.
pub fn close_kernel(rent_payer: Pubkey, kernel: Pubkey) -> Instruction {
    build(&accounts::CloseKernel { rent_payer, kernel }, &instruction::CloseKernel {})
}
