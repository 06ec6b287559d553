//! Evidence: bytes too large for one transaction, written in pieces by their owner and read by adjudication.
//!
//! The account is made with a seed of its owner (`create_account_with_seed`, owned by this program, all zero), then
//! `init_evidence` takes it. Offsets of openings count from the account's first byte, this header included.

use anchor_lang::prelude::*;
use bytemuck::{Pod, Zeroable};

/// First bytes of an Evidence account: SHA-256("account:Evidence"), first 8 bytes.
pub const EVIDENCE_DISCRIMINATOR: [u8; 8] = [160, 73, 93, 206, 99, 242, 62, 92];
/// Bytes before the evidence itself; a multiple of 8.
pub const EVIDENCE_HEADER_BYTES: usize = 8 + 8 + 32 + 32 + 8 + 8 + 256;

/// The header, at the start of the account.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct EvidenceHeader {
    /// EVIDENCE_DISCRIMINATOR.
    pub discriminator: [u8; 8],
    /// Layout version.
    pub version: u8,
    /// 1 once the account carries the state of a stepped cell.
    pub stepping: u8,
    /// Zero.
    pub padding: [u8; 2],
    /// Cell inside the leaf, of a stepped cell.
    pub cell: u32,
    /// Who writes, uses and closes it, and gets its lamports back.
    pub owner: Pubkey,
    /// Shard of the stepped cell.
    pub shard: Pubkey,
    /// Job-wide leaf of the stepped cell.
    pub leaf: u64,
    /// Steps done.
    pub steps: u64,
    /// What the last step handed on; written by this program alone.
    pub state: [u8; assay_kernels::abi::STEP_STATE_BYTES],
}
