//! Calls to verifiers, by their interface (protocol.md, section 7). Whoever answered is checked; what it answered is
//! data of fixed size.

use crate::{
    constants::*,
    error::AssayError,
    rules::{ensure, same},
};
use anchor_lang::{
    prelude::*,
    solana_program::{
        instruction::{AccountMeta, Instruction},
        program::{get_return_data, invoke_unchecked},
    },
};
use assay_kernels::abi::{self, Describe, Geometry, OPENING_BYTES, Op, STEP_DONE, STEP_MORE, STEP_STATE_BYTES};
use bytemuck::{Pod, Zeroable};

fn call(verifier: &AccountInfo, evidence: Option<&AccountInfo>, data: Vec<u8>) -> Result<Vec<u8>> {
    ensure(data.len() <= MAX_VERIFIER_DATA, AssayError::BadOpening)?;
    let accounts = evidence.iter().map(|e| AccountMeta::new_readonly(*e.key, false)).collect();
    let instruction = Instruction { program_id: *verifier.key, accounts, data };
    match evidence {
        Some(account) => invoke_unchecked(&instruction, core::slice::from_ref(account))?,
        None => invoke_unchecked(&instruction, &[])?,
    }
    let (program, answer) = get_return_data().ok_or(AssayError::VerifierAnswer)?;
    same(&program, verifier.key, AssayError::WrongVerifier)?;
    Ok(answer)
}

fn request(
    op: Op,
    kernel: u16,
    params: &[u8],
    openings: &[abi::Opening],
    leaf: u64,
    cell: u32,
    inline: &[u8],
) -> Result<Vec<u8>> {
    let openings_bytes = openings.len().checked_mul(OPENING_BYTES).ok_or(AssayError::Overflow)?;
    let room = [params.len(), openings_bytes, inline.len()]
        .iter()
        .try_fold(abi::HEADER_BYTES, |n, part| n.checked_add(*part))
        .ok_or(AssayError::Overflow)?;
    let mut data = Vec::with_capacity(room);
    data.resize(abi::HEADER_BYTES.saturating_add(params.len()), 0);
    let count = u16::try_from(openings.len()).map_err(|_| AssayError::BadOpening)?;
    abi::encode_header(&mut data, op, kernel, params, count, leaf, cell).ok_or(AssayError::BadOpening)?;
    for opening in openings {
        data.extend_from_slice(&opening.to_bytes());
    }
    data.extend_from_slice(inline);
    Ok(data)
}

fn pod<T: Pod>(answer: &[u8]) -> Result<T> {
    let mut value = T::zeroed();
    let bytes = bytemuck::bytes_of_mut(&mut value);
    ensure(answer.len() == bytes.len(), AssayError::VerifierAnswer)?;
    bytes.copy_from_slice(answer);
    Ok(value)
}

/// What the verifier declares of kernel `id`.
pub fn describe(verifier: &AccountInfo, id: u16) -> Result<Describe> {
    let answer = pod::<Describe>(&call(verifier, None, request(Op::Describe, id, &[], &[], 0, 0, &[])?)?)?;
    ensure(answer.abi == abi::ABI, AssayError::VerifierAbi)?;
    ensure(answer.kernel == id, AssayError::VerifierAnswer)?;
    Ok(answer)
}

/// Has the verifier check a job's parameters; it states the job's geometry, or fails.
pub fn check(verifier: &AccountInfo, id: u16, params: &[u8]) -> Result<Box<Geometry>> {
    let answer = call(verifier, None, request(Op::Check, id, params, &[], 0, 0, &[])?)?;
    let mut geometry = Box::new(Geometry::zeroed());
    let bytes = bytemuck::bytes_of_mut(geometry.as_mut());
    ensure(answer.len() == bytes.len(), AssayError::VerifierAnswer)?;
    bytes.copy_from_slice(&answer);
    ensure(geometry.abi == abi::ABI, AssayError::VerifierAbi)?;
    Ok(geometry)
}

/// A cell to be re-executed.
pub struct Cell<'a> {
    /// Number of the kernel inside its verifier.
    pub kernel: u16,
    /// Parameters of the job.
    pub params: &'a [u8],
    /// Job-wide leaf.
    pub leaf: u64,
    /// Cell inside the leaf.
    pub cell: u32,
    /// Authenticated openings.
    pub openings: &'a [abi::Opening],
    /// The inline bytes that they point into.
    pub inline: &'a [u8],
}

/// Re-executes a cell and returns its bytes.
pub fn execute(verifier: &AccountInfo, evidence: Option<&AccountInfo>, cell: &Cell) -> Result<Vec<u8>> {
    call(
        verifier,
        evidence,
        request(Op::Cell, cell.kernel, cell.params, cell.openings, cell.leaf, cell.cell, cell.inline)?,
    )
}

/// What a step of a cell gave.
pub enum Step {
    /// The state for the next step.
    More(Box<[u8; STEP_STATE_BYTES]>),
    /// The bytes of the cell.
    Done(Vec<u8>),
}

/// Carries a cell one step further: the verifier gets the number of steps done and the state that the last one left.
pub fn step(
    verifier: &AccountInfo,
    evidence: &AccountInfo,
    cell: &Cell,
    steps: u64,
    state: &[u8; STEP_STATE_BYTES],
) -> Result<Step> {
    let mut inline = Vec::with_capacity(STEP_STATE_BYTES.saturating_add(8));
    inline.extend_from_slice(&steps.to_le_bytes());
    inline.extend_from_slice(state);
    // The inline bytes are the state: what a step reads lies in the evidence account.
    ensure(cell.openings.iter().all(|o| o.in_evidence()), AssayError::BadOpening)?;
    let data = request(Op::Step, cell.kernel, cell.params, cell.openings, cell.leaf, cell.cell, &inline)?;
    let answer = call(verifier, Some(evidence), data)?;
    match answer.split_first() {
        Some((&STEP_MORE, state)) => {
            let state: [u8; STEP_STATE_BYTES] = state.try_into().map_err(|_| AssayError::VerifierAnswer)?;
            Ok(Step::More(Box::new(state)))
        }
        Some((&STEP_DONE, bytes)) => Ok(Step::Done(bytes.to_vec())),
        _ => Err(AssayError::VerifierAnswer.into()),
    }
}
