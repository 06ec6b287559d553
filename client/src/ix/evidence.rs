//! Evidence accounts.

use super::{PROGRAM, build};
use assay_settlement::{accounts, instruction};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use solana_system_interface::instruction as system;

/// Address of the evidence account that `owner` makes with `seed` (at most 32 bytes).
pub fn evidence_address(owner: &Pubkey, seed: &str) -> Option<Pubkey> {
    Pubkey::create_with_seed(owner, seed, &PROGRAM).ok()
}

/// Makes and initialises an evidence account of `bytes` bytes, header included. Both must go in one transaction.
/// `lamports`: the rent of so many bytes. None when the seed is too long. Signer: owner.
pub fn create_evidence(owner: Pubkey, seed: &str, bytes: u64, lamports: u64) -> Option<[Instruction; 2]> {
    let evidence = evidence_address(&owner, seed)?;
    Some([
        system::create_account_with_seed(&owner, &evidence, &owner, seed, lamports, bytes, &PROGRAM),
        build(&accounts::UseEvidence { owner, evidence }, &instruction::InitEvidence { seed: seed.to_owned() }),
    ])
}

/// Writes a piece of evidence at `offset` of the account's data. Signer: owner.
pub fn write_evidence(owner: Pubkey, evidence: Pubkey, offset: u32, bytes: Vec<u8>) -> Instruction {
    build(&accounts::UseEvidence { owner, evidence }, &instruction::WriteEvidence { offset, bytes })
}

/// Closes evidence. Signer: owner.
pub fn close_evidence(owner: Pubkey, evidence: Pubkey) -> Instruction {
    build(&accounts::UseEvidence { owner, evidence }, &instruction::CloseEvidence {})
}
