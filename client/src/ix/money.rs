//! Money that moves once it is decided, and accounts that close.

use super::build;
use assay_settlement::{Job, Market, Provider, accounts, instruction, seeds};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

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

/// Gives up the debts of a slashed shard that a frozen vault keeps from moving. Signer: the renter.
pub fn waive_debts(
    owner: Pubkey,
    job: &Pubkey,
    data: &Job,
    provider: &Pubkey,
    provider_data: &Provider,
    index: u32,
) -> Instruction {
    let accounts = accounts::WaiveDebts {
        owner,
        job: *job,
        provider: *provider,
        shard: seeds::shard(job, index),
        job_vault: data.vault,
        stake_vault: provider_data.vault,
    };
    build(&accounts, &instruction::WaiveDebts {})
}
