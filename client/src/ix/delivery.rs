//! Delivery and acceptance.

use super::{SYSTEM, build};
use assay_settlement::{Job, accounts, instruction, seeds};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// Pays a shard at once, whatever is still open. Signer: the renter.
pub fn accept_shard(owner: Pubkey, job: &Pubkey, index: u32) -> Instruction {
    let accounts = accounts::AcceptShard { owner, job: *job, shard: seeds::shard(job, index) };
    build(&accounts, &instruction::AcceptShard {})
}

/// Demands job-wide leaves, ascending, on the ledger; `source` prepays their posting. Signers: the renter, payer.
pub fn demand_leaves(
    owner: Pubkey,
    payer: Pubkey,
    job: &Pubkey,
    data: &Job,
    index: u32,
    source: Pubkey,
    leaves: Vec<u64>,
) -> Instruction {
    let shard = seeds::shard(job, index);
    let accounts = accounts::DemandLeaves {
        owner,
        payer,
        job: *job,
        shard,
        delivery: seeds::delivery(&shard),
        job_vault: data.vault,
        source,
        mint: data.terms.mint,
        token_program: data.terms.token_program,
        system_program: SYSTEM,
    };
    build(&accounts, &instruction::DemandLeaves { leaves })
}

/// Where the bytes and the path of a leaf lie, as `post_leaf` wants them.
#[derive(Clone, Debug)]
pub struct LeafBytes {
    /// Offset of the leaf's bytes: inline, or with the top bit set in the evidence account.
    pub at: u32,
    /// Offset of its path, likewise.
    pub path_at: u32,
    /// The inline bytes.
    pub inline: Vec<u8>,
}

/// Posts the demanded leaf at `place` of the delivery's list. Signer: submitter, which owns the evidence.
pub fn post_leaf(
    submitter: Pubkey,
    job: &Pubkey,
    index: u32,
    place: u8,
    evidence: Option<Pubkey>,
    bytes: LeafBytes,
) -> Instruction {
    let shard = seeds::shard(job, index);
    let accounts = accounts::PostLeaf { submitter, job: *job, shard, delivery: seeds::delivery(&shard), evidence };
    let LeafBytes { at, path_at, inline } = bytes;
    build(&accounts, &instruction::PostLeaf { index: place, at, path_at, inline })
}

/// Says whether a result arrived. Signer: the attestor.
pub fn attest_delivery(attestor: Pubkey, job: &Pubkey, index: u32, arrived: bool) -> Instruction {
    let accounts = accounts::AttestDelivery { attestor, job: *job, shard: seeds::shard(job, index) };
    build(&accounts, &instruction::AttestDelivery { arrived })
}

/// Closes the list of demanded leaves of an ended shard. No signer.
pub fn close_delivery(job: &Pubkey, index: u32, rent_payer: Pubkey) -> Instruction {
    let shard = seeds::shard(job, index);
    let accounts = accounts::CloseDelivery { delivery: seeds::delivery(&shard), shard, rent_payer };
    build(&accounts, &instruction::CloseDelivery {})
}
