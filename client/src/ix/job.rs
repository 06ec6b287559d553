//! Jobs: created, cancelled, watched.

use super::{SYSTEM, build};
use assay_settlement::{
    Kernel, Market, accounts, constants::MAX_WATCH_KEYS, instruction, instructions::JobRequest, seeds,
};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// Creates a job and pays its escrow out of `source`. Signers: owner, payer. `market_data`: what the renter has read; under
/// other terms the program refuses.
#[allow(clippy::too_many_arguments, reason = "each is an account or the request; a struct would only rename them")]
pub fn create_job(
    owner: Pubkey,
    payer: Pubkey,
    market: &Pubkey,
    market_data: &Market,
    kernel: &Pubkey,
    kernel_data: &Kernel,
    source: Pubkey,
    request: JobRequest,
) -> Instruction {
    let job = seeds::job(&owner, request.nonce);
    let accounts = accounts::CreateJob {
        owner,
        payer,
        renter: seeds::renter(&owner),
        market: *market,
        kernel: *kernel,
        verifier: kernel_data.verifier,
        job,
        vault: seeds::vault(&job),
        source,
        mint: market_data.mint,
        token_program: market_data.token_program,
        system_program: SYSTEM,
    };
    build(&accounts, &instruction::CreateJob { request, market_terms: market_data.terms.hash() })
}

/// Takes no more claims. Signer: the renter.
pub fn cancel_job(owner: Pubkey, job: Pubkey) -> Instruction {
    build(&accounts::CancelJob { owner, job }, &instruction::CancelJob {})
}

/// Replaces the keys that may name cells. Signer: the renter.
pub fn set_watch_keys(owner: Pubkey, job: Pubkey, keys: [Pubkey; MAX_WATCH_KEYS]) -> Instruction {
    build(&accounts::SetWatchKeys { owner, job }, &instruction::SetWatchKeys { keys })
}
