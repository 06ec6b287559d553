//! The verifier program: re-executes one cell of a kernel on chain, and states what kernels are like.
//!
//! Written without a framework: it owns no account, writes none, signs nothing, calls no program, and imports only
//! memory functions, SHA-256 (`sol_sha256`, for the kernel `search`) and return data. Whoever opts in to it can check that. It is deployed without upgrade authority;
//! another version is another program. The ABI is in [`assay_kernels::abi`], the kernels are that crate's registry.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::arithmetic_side_effects))]

use assay_kernels::abi::{MAX_CELL_BYTES, Op, Request, VerifierError};
use assay_kernels::registry::AnyKernel;

mod base58;
#[cfg(all(target_os = "solana", not(feature = "no-entrypoint")))]
mod entrypoint;

/// The program's address.
pub const ID: [u8; 32] = base58::address("CkbT5ZwGQo51LGcYCBCQMHhzmgad5VUAsadGWk8ZEuyv");

/// What return data holds, and so the most that a verifier answers.
pub const MAX_ANSWER_BYTES: usize = MAX_CELL_BYTES as usize;

/// Carries out the request in `data` and writes the answer to the front of `out`; returns its length in bytes.
///
/// # Errors
/// Everything that a verifier refuses. On chain the code of it is the program's custom error.
pub fn process(data: &[u8], evidence: &[u8], out: &mut [u8; MAX_ANSWER_BYTES]) -> Result<usize, VerifierError> {
    let request = Request::parse(data, evidence)?;
    let kernel = AnyKernel::from_id(request.kernel)?;
    match request.op {
        Op::Describe => describe(kernel, out),
        Op::Check => check(kernel, request.params, out),
        Op::Cell => kernel.cell(&request, out),
        Op::Step => kernel.step(&request, out),
    }
}

// On chain a function's frame has 4,096 bytes: what is large stays in a function of its own.

#[inline(never)]
fn describe(kernel: AnyKernel, out: &mut [u8]) -> Result<usize, VerifierError> {
    answer(bytemuck::bytes_of(&kernel.describe()), out)
}

#[inline(never)]
fn check(kernel: AnyKernel, params: &[u8], out: &mut [u8]) -> Result<usize, VerifierError> {
    answer(bytemuck::bytes_of(&kernel.geometry(params)?), out)
}

fn answer(bytes: &[u8], out: &mut [u8]) -> Result<usize, VerifierError> {
    out.get_mut(..bytes.len()).ok_or(VerifierError::OutputTooSmall)?.copy_from_slice(bytes);
    Ok(bytes.len())
}

#[cfg(test)]
mod tests;
