//! One function for each instruction of the settlement program. Addresses that follow from others are derived here;
//! accounts that a caller must have read anyway come as references. Amounts are base units of the market's mint.

use anchor_lang::{InstructionData, ToAccountMetas};
use assay_settlement::{
    Job, Kernel, Market, Provider, Terms, accounts, instruction,
    instructions::{AdjudicateArgs, JobRequest, ProviderProfile},
    seeds,
};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use solana_system_interface::{instruction as system, program::ID as SYSTEM};

/// Address of the settlement program.
pub const PROGRAM: Pubkey = assay_settlement::ID;

fn build(accounts: &impl ToAccountMetas, data: &impl InstructionData) -> Instruction {
    Instruction { program_id: PROGRAM, accounts: accounts.to_account_metas(None), data: data.data() }
}

/// Opens market `id` of `creator`. Signers: creator, payer.
pub fn open_market(
    creator: Pubkey,
    payer: Pubkey,
    id: u16,
    mint: Pubkey,
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
        token_program: crate::token::SPL_TOKEN,
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

/// Registers `owner` as provider of a market. Signers: owner, payer.
pub fn register_provider(
    owner: Pubkey,
    payer: Pubkey,
    market: &Pubkey,
    data: &Market,
    profile: ProviderProfile,
) -> Instruction {
    let provider = seeds::provider(market, &owner);
    let accounts = accounts::RegisterProvider {
        owner,
        payer,
        market: *market,
        provider,
        vault: seeds::stake(&provider),
        mint: data.mint,
        token_program: data.token_program,
        system_program: SYSTEM,
    };
    build(&accounts, &instruction::RegisterProvider { profile })
}

/// Replaces operators, encryption key and endpoint. Signer: owner.
pub fn update_provider(owner: Pubkey, market: &Pubkey, profile: ProviderProfile) -> Instruction {
    let provider = seeds::provider(market, &owner);
    build(&accounts::UpdateProvider { owner, provider }, &instruction::UpdateProvider { profile })
}

fn move_stake(
    authority: Pubkey,
    provider: &Pubkey,
    data: &Provider,
    market: &Market,
    token_account: Pubkey,
) -> accounts::MoveStake {
    accounts::MoveStake {
        authority,
        provider: *provider,
        vault: data.vault,
        token_account,
        market: data.market,
        mint: market.mint,
        token_program: market.token_program,
    }
}

/// Adds stake from a token account of `authority`. Signer: authority.
pub fn deposit_stake(
    authority: Pubkey,
    provider: &Pubkey,
    data: &Provider,
    market: &Market,
    from: Pubkey,
    amount: u64,
) -> Instruction {
    build(&move_stake(authority, provider, data, market, from), &instruction::DepositStake { amount })
}

/// Takes out stake and earnings. Signer: the provider's owner.
pub fn withdraw_stake(
    owner: Pubkey,
    provider: &Pubkey,
    data: &Provider,
    market: &Market,
    to: Pubkey,
    amount: u64,
) -> Instruction {
    build(&move_stake(owner, provider, data, market, to), &instruction::WithdrawStake { amount })
}

/// Creates a job and pays its escrow out of `source`. Signers: owner, payer.
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
    build(&accounts, &instruction::CreateJob { request })
}

/// Takes no more claims. Signer: the renter.
pub fn cancel_job(owner: Pubkey, job: Pubkey) -> Instruction {
    build(&accounts::CancelJob { owner, job }, &instruction::CancelJob {})
}

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
    let accounts = accounts::CommitResult { operator, job: *job, provider: *provider, shard: seeds::shard(job, index) };
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

/// Has a cell re-executed. Signer: submitter, which owns the evidence.
pub fn adjudicate(
    submitter: Pubkey,
    job: &Pubkey,
    data: &Job,
    index: u32,
    evidence: Option<Pubkey>,
    args: AdjudicateArgs,
) -> Instruction {
    let accounts = accounts::Adjudicate {
        submitter,
        job: *job,
        shard: seeds::shard(job, index),
        verifier: data.terms.verifier,
        evidence,
    };
    build(&accounts, &instruction::Adjudicate { args })
}

/// Slashes a shard with an unanswered cell past its due time. Signer: caller.
pub fn slash_unanswered(caller: Pubkey, job: &Pubkey, index: u32) -> Instruction {
    let accounts = accounts::SlashUnanswered { caller, job: *job, shard: seeds::shard(job, index) };
    build(&accounts, &instruction::SlashUnanswered {})
}

fn move_shard_money(
    job: &Pubkey,
    data: &Job,
    provider: &Pubkey,
    provider_data: &Provider,
    index: u32,
) -> accounts::MoveShardMoney {
    accounts::MoveShardMoney {
        job: *job,
        provider: *provider,
        shard: seeds::shard(job, index),
        job_vault: data.vault,
        stake_vault: provider_data.vault,
        mint: data.terms.mint,
        token_program: data.terms.token_program,
    }
}

/// Pays a proven shard. No signer.
pub fn settle_shard(job: &Pubkey, data: &Job, provider: &Pubkey, provider_data: &Provider, index: u32) -> Instruction {
    build(&move_shard_money(job, data, provider, provider_data, index), &instruction::SettleShard {})
}

/// Moves the debts of a slashed shard. No signer.
pub fn seize(job: &Pubkey, data: &Job, provider: &Pubkey, provider_data: &Provider, index: u32) -> Instruction {
    build(&move_shard_money(job, data, provider, provider_data, index), &instruction::Seize {})
}

/// Pays the bounty of a slashed shard to a token account of whom it is owed to. No signer.
pub fn pay_bounty(
    job: &Pubkey,
    data: &Job,
    provider: &Pubkey,
    provider_data: &Provider,
    index: u32,
    destination: Pubkey,
) -> Instruction {
    let accounts = accounts::PayBounty {
        job: *job,
        provider: *provider,
        shard: seeds::shard(job, index),
        stake_vault: provider_data.vault,
        destination,
        mint: data.terms.mint,
        token_program: data.terms.token_program,
    };
    build(&accounts, &instruction::PayBounty {})
}

/// Moves what a job does not need to a token account of its renter. No signer.
pub fn withdraw_refund(job: &Pubkey, data: &Job, destination: Pubkey) -> Instruction {
    let accounts = accounts::WithdrawRefund {
        job: *job,
        job_vault: data.vault,
        destination,
        mint: data.terms.mint,
        token_program: data.terms.token_program,
    };
    build(&accounts, &instruction::WithdrawRefund {})
}

/// Moves what a job owes the treasury. No signer.
pub fn sweep_fees(job: &Pubkey, data: &Job, market_data: &Market) -> Instruction {
    let accounts = accounts::SweepFees {
        job: *job,
        job_vault: data.vault,
        market: data.terms.market,
        treasury: market_data.treasury,
        mint: data.terms.mint,
        token_program: data.terms.token_program,
    };
    build(&accounts, &instruction::SweepFees {})
}

/// Closes a shard's account of a terminal job. No signer.
pub fn close_shard(job: &Pubkey, index: u32, rent_payer: Pubkey) -> Instruction {
    let accounts = accounts::CloseShard { job: *job, shard: seeds::shard(job, index), rent_payer };
    build(&accounts, &instruction::CloseShard {})
}

/// Closes a terminal job; `destination` is a token account of its renter. No signer.
pub fn close_job(job: &Pubkey, data: &Job, market: &Pubkey, market_data: &Market, destination: Pubkey) -> Instruction {
    let accounts = accounts::CloseJob {
        job: *job,
        job_vault: data.vault,
        market: *market,
        treasury: market_data.treasury,
        destination,
        rent_payer: data.rent_payer,
        mint: data.terms.mint,
        token_program: data.terms.token_program,
    };
    build(&accounts, &instruction::CloseJob {})
}

/// Closes a seed 30 days after it was recorded. No signer.
pub fn close_seed(window: u64, rent_payer: Pubkey) -> Instruction {
    build(&accounts::CloseSeed { seed: seeds::draw_seed(window), rent_payer }, &instruction::CloseSeed {})
}
