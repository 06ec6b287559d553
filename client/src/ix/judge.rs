//! Judgement: cells re-executed, silence slashed, challenges opened and ended.

use super::{SYSTEM, build};
use assay_settlement::{
    Challenge, Job, Provider, accounts, instruction, instructions::AdjudicateArgs, rules::draw::Place, seeds,
};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// Has a cell re-executed. Names the cell's challenge whether there is one or not: one may be opened before this lands.
/// Signer: submitter, which owns the evidence.
pub fn adjudicate(
    submitter: Pubkey,
    job: &Pubkey,
    data: &Job,
    index: u32,
    evidence: Option<Pubkey>,
    args: AdjudicateArgs,
) -> Instruction {
    let shard = seeds::shard(job, index);
    let number = cell_number(data, index, Place { leaf: args.leaf, cell: args.cell });
    let accounts = accounts::Adjudicate {
        submitter,
        job: *job,
        shard,
        verifier: data.terms.verifier,
        evidence,
        challenge: number.map(|number| seeds::challenge(&shard, number)),
    };
    build(&accounts, &instruction::Adjudicate { args })
}

/// Carries a cell that takes steps one step further; the last one judges it. Names the cell's challenge as [`adjudicate`]
/// does. Signer: submitter, which owns the evidence.
pub fn step_cell(
    submitter: Pubkey,
    job: &Pubkey,
    data: &Job,
    index: u32,
    evidence: Pubkey,
    args: AdjudicateArgs,
) -> Instruction {
    let shard = seeds::shard(job, index);
    let number = cell_number(data, index, Place { leaf: args.leaf, cell: args.cell });
    let accounts = accounts::StepCell {
        submitter,
        job: *job,
        shard,
        verifier: data.terms.verifier,
        evidence,
        challenge: number.map(|number| seeds::challenge(&shard, number)),
    };
    build(&accounts, &instruction::StepCell { args })
}

/// Slashes a shard with an unanswered cell past its due time. Signer: caller.
pub fn slash_unanswered(caller: Pubkey, job: &Pubkey, index: u32) -> Instruction {
    let accounts = accounts::SlashUnanswered { caller, job: *job, shard: seeds::shard(job, index), challenge: None };
    build(&accounts, &instruction::SlashUnanswered {})
}

/// Number inside the shard of a cell; none when the shard has no such cell.
pub fn cell_number(data: &Job, index: u32, place: Place) -> Option<u64> {
    let span = data.terms.shard(index)?.leaf(place.leaf).ok()?;
    if place.cell < span.cells { span.first_cell.checked_add(u64::from(place.cell)) } else { None }
}

/// Slashes a shard for the challenge of cell `number` that is past its due time. Signer: caller.
pub fn slash_challenged(caller: Pubkey, job: &Pubkey, index: u32, number: u64) -> Instruction {
    let shard = seeds::shard(job, index);
    let challenge = Some(seeds::challenge(&shard, number));
    let accounts = accounts::SlashUnanswered { caller, job: *job, shard, challenge };
    build(&accounts, &instruction::SlashUnanswered {})
}

/// Demands cell `number` of a shard; `source` pays the bond. Signers: challenger, payer.
#[allow(clippy::too_many_arguments, reason = "each is an account or the cell; a struct would only rename them")]
pub fn open_challenge(
    challenger: Pubkey,
    payer: Pubkey,
    job: &Pubkey,
    data: &Job,
    provider: &Pubkey,
    index: u32,
    source: Pubkey,
    number: u64,
) -> Instruction {
    let shard = seeds::shard(job, index);
    let challenge = seeds::challenge(&shard, number);
    let accounts = accounts::OpenChallenge {
        challenger,
        payer,
        job: *job,
        provider: *provider,
        shard,
        challenge,
        bond_vault: seeds::bond(&challenge),
        source,
        mint: data.terms.mint,
        token_program: data.terms.token_program,
        system_program: SYSTEM,
    };
    build(&accounts, &instruction::OpenChallenge { number })
}

/// Divides the bond of an answered challenge. `provider_data`: none when its account is closed. No signer.
pub fn pay_challenge(
    challenge: &Pubkey,
    data: &Challenge,
    job_data: &Job,
    provider_data: Option<&Provider>,
) -> Instruction {
    let accounts = accounts::PayChallenge {
        job: data.job,
        provider: data.provider,
        shard: data.shard,
        challenge: *challenge,
        bond_vault: data.vault,
        stake_vault: provider_data.map_or_else(|| seeds::stake(&data.provider), |p| p.vault),
        job_vault: job_data.vault,
        rent_payer: data.rent_payer,
        mint: data.mint,
        token_program: data.token_program,
    };
    build(&accounts, &instruction::PayChallenge {})
}

/// Gives a bond back to `destination`, the challenger's associated token account. No signer.
pub fn return_bond(challenge: &Pubkey, data: &Challenge, destination: Pubkey) -> Instruction {
    let accounts = accounts::ReturnBond {
        challenge: *challenge,
        shard: data.shard,
        bond_vault: data.vault,
        destination,
        rent_payer: data.rent_payer,
        mint: data.mint,
        token_program: data.token_program,
    };
    build(&accounts, &instruction::ReturnBond {})
}
