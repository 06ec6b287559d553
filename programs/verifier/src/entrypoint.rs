//! The program's door: reads the loader's input, sets return data, turns errors into codes.

use assay_kernels::abi::VerifierError;
use solana_define_syscall::definitions::sol_set_return_data;

use crate::{MAX_ANSWER_BYTES, process};

/// 128-bit library calls; see there why every program links them.
#[cfg(target_arch = "bpf")]
use sbf_rt as _;

/// Bytes behind an account's data in which a writable one could grow.
const GROWTH_BYTES: usize = 10_240;
/// Offset of the writable mark from the beginning of an account.
const WRITABLE_AT: usize = 2;
/// Offset of the data's length from the beginning of an account: marks 8, key 32, owner 32, lamports 8.
const DATA_LEN_AT: usize = 8 + 32 + 32 + 8;
/// Bytes behind the growth room: rent epoch.
const RENT_EPOCH_BYTES: usize = 8;

/// Called by the loader.
///
/// # Safety
/// `input` must be what the loader lays out for a program: number of accounts, accounts, instruction data.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn entrypoint(input: *const u8) -> u64 {
    let mut out = [0u8; MAX_ANSWER_BYTES];
    // SAFETY: as the caller promises.
    let done = unsafe { read(input) }.and_then(|(data, evidence)| process(data, evidence, &mut out));
    match done {
        Ok(len) => {
            // SAFETY: `out` is valid for its length.
            unsafe { sol_set_return_data(out.as_ptr(), len.min(out.len()) as u64) };
            0
        }
        Err(error) => u64::from(error.code()),
    }
}

/// Instruction data and the data of the only account, empty without one.
///
/// # Safety
/// As for [`entrypoint`].
unsafe fn read<'a>(input: *const u8) -> Result<(&'a [u8], &'a [u8]), VerifierError> {
    // SAFETY: the input lies at a multiple of 8; every field read as a word does, too: accounts are padded to it.
    unsafe {
        let word = |at: *const u8| (*at.cast::<u64>()) as usize;
        let mut next = input.add(8);
        let mut evidence: &[u8] = &[];
        match word(input) {
            0 => {}
            1 => {
                // The first account can't be a duplicate of an earlier one, so it is laid out in full.
                if *next.add(WRITABLE_AT) != 0 {
                    return Err(VerifierError::EvidenceWritable);
                }
                let len = word(next.add(DATA_LEN_AT));
                let data = next.add(DATA_LEN_AT).add(8);
                evidence = core::slice::from_raw_parts(data, len);
                next = data.add(len.next_multiple_of(8)).add(GROWTH_BYTES).add(RENT_EPOCH_BYTES);
            }
            _ => return Err(VerifierError::TooManyAccounts),
        }
        Ok((core::slice::from_raw_parts(next.add(8), word(next)), evidence))
    }
}

/// The standard library calls it before it aborts. Nothing here panics; if something did, the program fails, which
/// neither answers nor convicts. A message would need a system call that workers do not want to see in a verifier.
#[unsafe(no_mangle)]
fn custom_panic(_: &core::panic::PanicInfo<'_>) {}
