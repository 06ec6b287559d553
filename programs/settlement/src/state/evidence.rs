//! Evidence: bytes too large for one transaction, written in pieces by their owner and read by adjudication.
//!
//! The account is made with a seed of its owner (`create_account_with_seed`, owned by this program, all zero), then
//! `init_evidence` takes it. Offsets of openings count from the account's first byte, this header included.

use anchor_lang::prelude::*;
use bytemuck::{Pod, Zeroable};

/// First bytes of an Evidence account: SHA-256("account:Evidence"), first 8 bytes.
pub const EVIDENCE_DISCRIMINATOR: [u8; 8] = [160, 73, 93, 206, 99, 242, 62, 92];
/// Bytes before the evidence itself; a multiple of 8.
pub const EVIDENCE_HEADER_BYTES: usize = 8 + 8 + 32 + 32 + 8 + 256;

/// The header, at the start of the account.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct EvidenceHeader {
    /// EVIDENCE_DISCRIMINATOR.
    pub discriminator: [u8; 8],
    /// Layout version.
    pub version: u8,
    /// 1 once a stepped cell has frozen the bytes (later version); 0 now.
    pub frozen: u8,
    /// Zero.
    pub padding: [u8; 6],
    /// Who writes, uses and closes it, and gets its lamports back.
    pub owner: Pubkey,
    /// Shard a frozen account belongs to (later version); zero now.
    pub shard: Pubkey,
    /// Steps done (later version); 0 now.
    pub steps: u64,
    /// State of a stepped cell (later version); zero now.
    pub state: [u8; 256],
}
