//! The work on a shard: claimed, committed, drawn, named.

use super::{SYSTEM, build};
use assay_settlement::{Job, Provider, accounts, instruction, seeds};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// Claims a shard for at least `min_price`, under the terms that `data` holds. Signer: operator.
pub fn claim_shard(
    operator: Pubkey,
    job: &Pubkey,
    data: &Job,
    provider: &Pubkey,
    index: u32,
    min_price: u64,
) -> Instruction {
    let accounts = accounts::ClaimShard {
        operator,
        market: data.terms.market,
        job: *job,
        provider: *provider,
        shard: seeds::shard(job, index),
        system_program: SYSTEM,
    };
    build(&accounts, &instruction::ClaimShard { index, terms_hash: data.terms_hash, min_price })
}

fn end_claim(
    caller: Pubkey,
    job: &Pubkey,
    data: &Job,
    provider: &Pubkey,
    provider_data: &Provider,
    index: u32,
) -> accounts::EndClaim {
    accounts::EndClaim {
        caller,
        job: *job,
        provider: *provider,
        shard: seeds::shard(job, index),
        stake_vault: provider_data.vault,
        job_vault: data.vault,
        mint: data.terms.mint,
        token_program: data.terms.token_program,
    }
}

/// Gives a claim back for a penalty. Signer: operator.
pub fn release_claim(
    operator: Pubkey,
    job: &Pubkey,
    data: &Job,
    provider: &Pubkey,
    provider_data: &Provider,
    index: u32,
) -> Instruction {
    build(&end_claim(operator, job, data, provider, provider_data, index), &instruction::ReleaseClaim {})
}

/// Ends a claim whose time is over. Signer: caller.
pub fn expire_claim(
    caller: Pubkey,
    job: &Pubkey,
    data: &Job,
    provider: &Pubkey,
    provider_data: &Provider,
    index: u32,
) -> Instruction {
    build(&end_claim(caller, job, data, provider, provider_data, index), &instruction::ExpireClaim {})
}

/// Commits a shard's root. Signer: operator.
pub fn commit_result(operator: Pubkey, job: &Pubkey, provider: &Pubkey, index: u32, root: [u8; 32]) -> Instruction {
    let accounts = accounts::CommitResult { operator, provider: *provider, shard: seeds::shard(job, index) };
    build(&accounts, &instruction::CommitResult { root })
}

/// Records the seed of a draw window. Signer: payer.
pub fn record_seed(payer: Pubkey, window: u64) -> Instruction {
    let accounts = accounts::RecordSeed { payer, seed: seeds::draw_seed(window), system_program: SYSTEM };
    build(&accounts, &instruction::RecordSeed { window })
}

/// Draws a shard's cells from the seed of its window. No signer.
pub fn draw_samples(job: &Pubkey, index: u32, window: u64) -> Instruction {
    let accounts = accounts::DrawSamples { job: *job, shard: seeds::shard(job, index), seed: seeds::draw_seed(window) };
    build(&accounts, &instruction::DrawSamples {})
}

/// Replaces the draw window `window` that aged out. Signer: caller.
pub fn roll_window(caller: Pubkey, job: &Pubkey, index: u32, window: u64) -> Instruction {
    let accounts =
        accounts::RollWindow { caller, job: *job, shard: seeds::shard(job, index), seed: seeds::draw_seed(window) };
    build(&accounts, &instruction::RollWindow {})
}

/// Demands cells, numbered inside the shard. Signer: the renter or a watch key.
pub fn name_cells(caller: Pubkey, job: &Pubkey, index: u32, cells: Vec<u64>) -> Instruction {
    let accounts = accounts::NameCells { caller, job: *job, shard: seeds::shard(job, index) };
    build(&accounts, &instruction::NameCells { cells })
}
