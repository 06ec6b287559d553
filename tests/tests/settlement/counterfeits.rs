//! Every instruction with its own accounts tampered with, one at a time and where they are, so that every comparison of
//! addresses still holds: the same bytes in the hands of another program, with another type's name on them, cut short. And
//! with a fresh key that signs where an account is to be made, and another program in the system program's place. Each must
//! be refused by the check that is there for it, not by chance by a later one. The scenes are those of `matrix`.

use super::{
    matrix,
    zoo::{
        Free::{self, Unused},
        Trial::Counterfeits,
        Zoo,
    },
};
use anchor_lang::error::ErrorCode;
use assay_client::token;
use assay_settlement::{EVIDENCE_DISCRIMINATOR, error::AssayError as E};
use assay_tests::{Actor, Refusal};
use solana_account::Account;
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;
use solana_system_interface::program::ID as SYSTEM;

/// Where Anchor makes an account at the address of its seeds. The program itself makes the others.
const SEEDED: [(&str, usize); 4] =
    [("open_market", 2), ("register_kernel", 1), ("register_provider", 3), ("record_seed", 1)];

/// Tries every counterfeit of every account of the instruction.
#[track_caller]
pub(super) fn each(z: &mut Zoo, name: &str, instruction: &Instruction, free: &[(usize, Free)]) {
    for (place, meta) in instruction.accounts.iter().enumerate() {
        // What is not looked at may be anything.
        if free.contains(&(place, Unused)) {
            continue;
        }
        match z.w.chain.svm.get_account(&meta.pubkey) {
            _ if meta.pubkey == SYSTEM => {
                let changed = with(instruction, place, AccountMeta::new_readonly(token::SPL_TOKEN, false));
                refused(z, name, place, &changed, None, &[ErrorCode::InvalidProgramId.into()]);
            }
            Some(real) if real.owner == assay_settlement::ID => tampered(z, name, place, instruction, &real),
            Some(real) if real.lamports > 0 => {}
            // What is read only is gone, and not made here.
            _ if !meta.is_writable => {}
            _ => {
                let fresh = z.w.actor();
                let changed = with(instruction, place, AccountMeta::new(fresh.id(), true));
                let seeded = SEEDED.contains(&(name, place));
                let error = if seeded { ErrorCode::ConstraintSeeds.into() } else { E::WrongAddress.into() };
                refused(z, name, place, &changed, Some(&fresh), &[error]);
            }
        }
    }
}

/// Tries the instruction with its account in another's hands, under another type's name, and cut short.
#[track_caller]
fn tampered(z: &mut Zoo, name: &str, place: usize, instruction: &Instruction, real: &Account) {
    let evidence = real.data.starts_with(&EVIDENCE_DISCRIMINATOR) || real.data.starts_with(&[0; 8]);
    let foreign = Account { owner: token::SPL_TOKEN, ..real.clone() };
    let mut renamed = real.clone();
    renamed.data[0] ^= 0xff;
    let mut short = real.clone();
    short.data.pop();
    let mut counterfeits =
        vec![(foreign, ErrorCode::AccountOwnedByWrongProgram), (renamed, ErrorCode::AccountDiscriminatorMismatch)];
    // Evidence has any length.
    if !evidence {
        counterfeits.push((short, ErrorCode::AccountDidNotDeserialize));
    }
    let key: Pubkey = instruction.accounts[place].pubkey;
    for (counterfeit, error) in counterfeits {
        z.w.chain.svm.set_account(key, counterfeit).unwrap();
        let error = if evidence { E::NotEvidence.into() } else { error.into() };
        refused(z, name, place, instruction, None, &[error]);
        z.w.chain.svm.set_account(key, real.clone()).unwrap();
    }
}

fn with(instruction: &Instruction, place: usize, meta: AccountMeta) -> Instruction {
    let mut changed = instruction.clone();
    changed.accounts[place] = meta;
    changed
}

#[track_caller]
fn refused(z: &mut Zoo, name: &str, place: usize, changed: &Instruction, more: Option<&Actor>, errors: &[Refusal]) {
    let mut known = changed.clone();
    known.accounts.iter_mut().filter(|a| more.is_some_and(|m| m.id() == a.pubkey)).for_each(|a| a.is_signer = false);
    let signers = z.signers(&known).expect("keys of the zoo");
    let signers: Vec<&Actor> = signers.iter().chain(more).collect();
    z.tried += 1;
    let refusal = z.w.chain.dry_run(core::slice::from_ref(changed), &signers);
    assert!(
        refusal.as_ref().is_err_and(|r| errors.contains(r)),
        "{name}, account {place}: {refusal:?} instead of {errors:?}"
    );
}

#[test]
fn of_markets_kernels_and_providers() {
    matrix::markets(Counterfeits);
}

#[test]
fn of_jobs_and_claims() {
    matrix::jobs(Counterfeits);
}

#[test]
fn of_challenges_and_judgement() {
    matrix::challenges(Counterfeits);
}

#[test]
fn of_convictions_silence_and_waivers() {
    matrix::convictions(Counterfeits);
}

#[test]
fn of_steps() {
    matrix::stepping(Counterfeits);
}

#[test]
fn of_evidence_delivery_and_payments() {
    matrix::payments(Counterfeits);
}
