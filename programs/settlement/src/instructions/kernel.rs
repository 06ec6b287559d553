//! Registering a kernel: its verifier must be unchangeable, and says itself what the kernel is.

use crate::{
    chain::verifier,
    constants::*,
    error::AssayError,
    events::*,
    rules::{ensure, same},
    seeds,
    state::Kernel,
};
use anchor_lang::prelude::*;

/// Accounts of `register_kernel`.
#[derive(Accounts)]
#[instruction(id: u16)]
pub struct RegisterKernel<'info> {
    /// Pays rent. Anyone.
    #[account(mut)]
    pub payer: Signer<'info>,
    #[account(init, payer = payer, space = crate::state::space_of::<Kernel>(),
        seeds = [seeds::KERNEL, verifier.key().as_ref(), &id.to_le_bytes()], bump)]
    pub kernel: AccountLoader<'info, Kernel>,
    /// CHECK: a program of the upgradeable loader, checked below.
    pub verifier: UncheckedAccount<'info>,
    /// CHECK: the verifier's ProgramData, compared with what the program account says.
    pub program_data: UncheckedAccount<'info>,
    pub system_program: Program<'info, System>,
}

// UpgradeableLoaderState, bincode: Program { tag 2u32, programdata address }, ProgramData { tag 3u32, slot u64,
// authority Option<Pubkey> with a one-byte tag }.
const PROGRAM_TAG: [u8; 4] = 2u32.to_le_bytes();
const PROGRAM_DATA_TAG: [u8; 4] = 3u32.to_le_bytes();
const AUTHORITY_AT: usize = 12;

/// Checks that nobody can change the program any more.
fn check_immutable(program: &AccountInfo, program_data: &AccountInfo) -> Result<()> {
    ensure(program.executable, AssayError::VerifierNotProgram)?;
    same(program.owner, &UPGRADEABLE_LOADER, AssayError::VerifierNotProgram)?;
    same(program_data.owner, &UPGRADEABLE_LOADER, AssayError::VerifierNotProgram)?;
    let state = program.try_borrow_data()?;
    let points_at = state.strip_prefix(&PROGRAM_TAG).and_then(|rest| rest.first_chunk::<32>());
    ensure(points_at == Some(&program_data.key.to_bytes()), AssayError::VerifierNotProgram)?;
    let data = program_data.try_borrow_data()?;
    ensure(data.starts_with(&PROGRAM_DATA_TAG), AssayError::VerifierNotProgram)?;
    ensure(data.get(AUTHORITY_AT) == Some(&0), AssayError::VerifierMutable)?;
    Ok(())
}

/// Copies what the verifier declares of kernel `id`, within the program's caps.
pub fn register_kernel(ctx: Context<RegisterKernel>, id: u16) -> Result<()> {
    let a = ctx.accounts;
    check_immutable(&a.verifier, &a.program_data)?;
    let d = verifier::describe(&a.verifier, id)?;
    ensure(
        usize::from(d.inputs) <= MAX_INPUTS
            && (1..=16).contains(&d.stages)
            && (BPS..=AMPLIFICATION_CAP_BPS).contains(&d.amplification_bps)
            && (1..=MAX_CELL_BYTES).contains(&d.cell_bytes_max)
            && (1..=MAX_LEAF_BYTES).contains(&d.leaf_bytes_max)
            && (1..=MAX_CELL_CU).contains(&d.cell_cu_max)
            && (1..=MAX_ANSWER_TRANSACTIONS).contains(&d.answer_transactions)
            && usize::try_from(d.evidence_bytes_max).is_ok_and(|b| b <= MAX_EVIDENCE_BYTES),
        AssayError::KernelOutOfRange,
    )?;
    let mut kernel = a.kernel.load_init()?;
    kernel.version = ACCOUNT_VERSION;
    kernel.bump = ctx.bumps.kernel;
    kernel.id = id;
    kernel.inputs = d.inputs;
    kernel.stages = d.stages;
    kernel.answer_transactions = d.answer_transactions;
    kernel.verifier = a.verifier.key();
    kernel.program_data = a.program_data.key();
    kernel.rent_payer = a.payer.key();
    kernel.registered_at = Clock::get()?.unix_timestamp;
    kernel.amplification_bps = d.amplification_bps;
    kernel.cell_bytes_max = d.cell_bytes_max;
    kernel.leaf_bytes_max = d.leaf_bytes_max;
    kernel.cell_cu_max = d.cell_cu_max;
    kernel.evidence_bytes_max = d.evidence_bytes_max;
    kernel.semantics = d.version;
    kernel.classes_max = d.max_cost_classes;
    kernel.flags = d.flags;
    kernel.name = d.name;
    emit!(KernelRegistered {
        kernel: a.kernel.key(),
        verifier: kernel.verifier,
        id,
        amplification_bps: kernel.amplification_bps,
        stages: kernel.stages,
        inputs: kernel.inputs,
        answer_transactions: kernel.answer_transactions,
        evidence_bytes_max: kernel.evidence_bytes_max,
        rent_payer: kernel.rent_payer,
        name: kernel.name
    });
    Ok(())
}
