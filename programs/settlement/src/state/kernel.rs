//! Kernel: a registered function. Its verifier can't change any more; what it declares of itself is copied here.

use anchor_lang::prelude::*;

/// A registered function: its verifier, and what that declares of itself.
#[account(zero_copy)]
#[derive(Debug)]
pub struct Kernel {
    /// Layout version.
    pub version: u8,
    /// Canonical bump of this account.
    pub bump: u8,
    /// Number of the kernel inside its verifier.
    pub id: u16,
    /// Input trees that a job must bring.
    pub inputs: u8,
    /// Stages; 1 when no cell reads another leaf.
    pub stages: u8,
    /// Transactions that answering one cell takes, at most.
    pub answer_transactions: u16,
    /// The verifier program.
    pub verifier: Pubkey,
    /// The verifier's ProgramData account, without upgrade authority.
    pub program_data: Pubkey,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// When it was registered, unix seconds.
    pub registered_at: i64,
    /// A: how much more than the price a cheater may save, basis points.
    pub amplification_bps: u32,
    /// Most bytes of a cell.
    pub cell_bytes_max: u32,
    /// Most bytes of a leaf.
    pub leaf_bytes_max: u32,
    /// Most compute units that re-executing one cell takes.
    pub cell_cu_max: u32,
    /// Most bytes of evidence that one cell takes.
    pub evidence_bytes_max: u32,
    /// Version of the semantics, as the verifier states it.
    pub semantics: u32,
    /// Most cost classes of a job.
    pub classes_max: u16,
    /// Bit 0: cells differ in cost depending on params and data, and draws do not follow that: A does not cover it.
    pub flags: u8,
    /// Zero.
    pub padding: [u8; 5],
    /// Name, ASCII, zero padded. For people only: a kernel is known by its verifier and number.
    pub name: [u8; 24],
    /// Zero.
    pub padding2: [u8; 8],
    /// Zero; for later versions.
    pub reserved: [u8; 128],
}
