//! Uploading a program: the buffer account that the upgradeable loader deploys from.
//!
//! The buffer's address derives from payer, program and the bytes to be uploaded. So a second run finds what the first
//! one paid for and goes on with it, no key has to be kept, and a late transaction of an earlier run with other bytes
//! writes somewhere else. What is in the buffer is read back: only what differs is written, and nothing is deployed
//! before all of it is right.

use crate::{MigrationError, deploy::Settings};
use assay_client::{
    Rpc,
    send::{Outcome, SendOptions, Sender},
};
use assay_kernels::hash::sha256;
use futures_util::{FutureExt, StreamExt, stream};
use serde::Serialize;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_loader_v3_interface::instruction as loader;
use solana_pubkey::Pubkey;
use solana_rpc_client_api::filter::{Memcmp, RpcFilterType};
use solana_signature::Signature;
use solana_signer::Signer;
use solana_system_interface::instruction as system;

/// Owner of programs, their data, and buffers.
const LOADER: Pubkey = assay_settlement::constants::UPGRADEABLE_LOADER;
/// A buffer account: tag u32, authority flag u8 and key, then the bytes.
const HEADER: usize = 37;
const TAG: [u8; 4] = 1u32.to_le_bytes();
/// Bytes that one transaction writes: with one signature, a limit and a price of compute units it fills a packet.
pub const CHUNK: usize = 950;
/// Compute units of a write: 2,370 of the loader, 150 of each compute budget instruction.
pub(crate) const WRITE_UNITS: u32 = 3_000;
/// Writes under way at one time.
const IN_FLIGHT: usize = 32;
/// Writes that share a blockhash, so few that they are sent long before it runs out.
const PER_BLOCKHASH: usize = 128;
/// How often the buffer is read back and what is missing is written again.
const ROUNDS: usize = 8;
/// Buffers closed by one transaction.
const CLOSED_AT_ONCE: usize = 10;

/// Where the bytes of an ELF for a program are collected.
pub struct Buffer<'a> {
    /// Its address.
    pub address: Pubkey,
    seed: String,
    payer: Pubkey,
    elf: &'a [u8],
}

/// What a buffer holds.
pub struct Contents {
    /// Whether the account was made.
    pub exists: bool,
    /// Its lamports.
    pub lamports: u64,
    /// Indices of the chunks of [`CHUNK`] bytes that are not yet right.
    pub missing: Vec<usize>,
}

/// A buffer that its authority can close.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Its address.
    #[serde(serialize_with = "crate::text")]
    pub address: Pubkey,
    /// What closing it gives back, lamports.
    pub lamports: u64,
    /// Bytes it has room for.
    pub bytes: usize,
}

impl<'a> Buffer<'a> {
    /// The buffer of this payer for this ELF at this program.
    ///
    /// # Errors
    /// The loader's address could not be the owner of a derived one, which it can.
    pub fn new(payer: &Pubkey, program: &Pubkey, elf: &'a [u8]) -> Result<Self, MigrationError> {
        let digest = sha256(&[b"assay:buffer:v1", program.as_ref(), &sha256(&[elf])]);
        let seed: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let address = Pubkey::create_with_seed(payer, &seed, &LOADER).map_err(|error| MigrationError::Conflict {
            what: format!("no buffer address derives from {payer}: {error}"),
        })?;
        Ok(Self { address, seed, payer: *payer, elf })
    }

    /// Bytes of the account.
    pub fn space(&self) -> usize {
        HEADER.saturating_add(self.elf.len())
    }

    /// Reads what it holds.
    ///
    /// # Errors
    /// The chain can't be read, or the account was left in another state.
    pub async fn contents(&self, rpc: &Rpc) -> Result<Contents, MigrationError> {
        let account = rpc.account(&self.address).await?;
        let lamports = account.as_ref().map_or(0, |account| account.lamports);
        let Some(account) = account.filter(|account| account.owner == LOADER) else {
            // Nothing there, or lamports that somebody sent.
            let missing = differing(&[], self.elf);
            return Ok(Contents { exists: false, lamports, missing });
        };
        let header = [&TAG[..], &[1], self.payer.as_ref()].concat();
        match account.data.strip_prefix(header.as_slice()) {
            Some(bytes) if bytes.len() == self.elf.len() => {
                Ok(Contents { exists: true, lamports, missing: differing(bytes, self.elf) })
            }
            _ => Err(MigrationError::Conflict {
                what: format!(
                    "buffer {} is not in the state this program leaves it in: close it with `assay program reclaim`, then try again",
                    self.address
                ),
            }),
        }
    }

    /// Makes the account and writes until all its bytes are right. `progress` is told how many chunks are right, of
    /// how many.
    ///
    /// # Errors
    /// The chain refuses or can't be reached, or writes don't get through. What was written stays.
    pub async fn fill(
        &self,
        sender: &Sender,
        payer: &Keypair,
        settings: Settings,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<(), MigrationError> {
        let total = self.elf.len().div_ceil(CHUNK);
        let mut before = usize::MAX;
        for _ in 0..ROUNDS {
            let contents = self.contents(sender.rpc()).await?;
            if !contents.exists {
                self.create(sender, payer, contents.lamports, settings).await?;
                continue;
            }
            let left = contents.missing.len();
            progress(total.saturating_sub(left), total);
            if left == 0 {
                return Ok(());
            }
            if left >= before {
                break;
            }
            before = left;
            let mut done = total.saturating_sub(left);
            for group in contents.missing.chunks(PER_BLOCKHASH) {
                let mut landed = || {
                    done = done.saturating_add(1);
                    progress(done, total);
                };
                self.write(sender, payer, group, settings, &mut landed).await?;
            }
        }
        let left = self.contents(sender.rpc()).await?.missing.len();
        if left == 0 {
            return Ok(());
        }
        Err(MigrationError::Unfinished {
            what: format!("{left} of {total} pieces of the program did not get into buffer {}", self.address),
        })
    }

    async fn create(
        &self,
        sender: &Sender,
        payer: &Keypair,
        lamports: u64,
        settings: Settings,
    ) -> Result<(), MigrationError> {
        let rent = sender.rpc().minimum_balance(self.space()).await?;
        let space = u64::try_from(self.space()).unwrap_or(u64::MAX);
        let mut instructions = Vec::new();
        // Not `create_account`: that fails where somebody sent lamports to the address.
        if rent > lamports {
            instructions.push(system::transfer(&self.payer, &self.address, rent.saturating_sub(lamports)));
        }
        instructions.push(system::allocate_with_seed(&self.address, &self.payer, &self.seed, space, &LOADER));
        let initialise = loader::create_buffer(&self.payer, &self.address, &self.payer, rent, self.elf.len());
        instructions.push(last_of(initialise.map_err(|error| encoding(&error))?)?);
        let options = SendOptions { priority_micro_lamports: settings.priority_micro_lamports, ..Default::default() };
        match sender.send(&instructions, &[payer], options).await? {
            // Looked up by the next round.
            Outcome::Expired { .. } | Outcome::Unknown { .. } => Ok(()),
            outcome => Ok(outcome.landed().map(drop)?),
        }
    }

    /// Sends the writes of these chunks and tells of each that landed. One that expired or whose outcome is unknown is no
    /// error: the buffer tells.
    async fn write(
        &self,
        sender: &Sender,
        payer: &Keypair,
        chunks: &[usize],
        settings: Settings,
        landed: &mut (dyn FnMut() + Send),
    ) -> Result<(), MigrationError> {
        let options = SendOptions {
            compute_unit_limit: Some(WRITE_UNITS),
            priority_micro_lamports: settings.priority_micro_lamports,
            blockhash: Some(sender.rpc().recent_blockhash().await?),
            preflight: false,
            ..SendOptions::default()
        };
        let signers: [&(dyn Signer + Sync); 1] = [payer];
        let instructions: Vec<Instruction> = chunks.iter().filter_map(|index| self.write_instruction(*index)).collect();
        // Boxed, because the compiler can't show otherwise that a caller's future can move between threads.
        let send = |instruction| async move { sender.send(&[instruction], &signers, options).await }.boxed();
        let mut writes = stream::iter(instructions).map(send).buffer_unordered(IN_FLIGHT);
        while let Some(outcome) = writes.next().await {
            match outcome? {
                Outcome::Expired { .. } | Outcome::Unknown { .. } => {}
                outcome => {
                    outcome.landed()?;
                    landed();
                }
            }
        }
        Ok(())
    }

    fn write_instruction(&self, index: usize) -> Option<Instruction> {
        let offset = index.checked_mul(CHUNK)?;
        let bytes = self.elf.chunks(CHUNK).nth(index)?;
        Some(loader::write(&self.address, &self.payer, u32::try_from(offset).ok()?, bytes.to_vec()))
    }
}

/// Indices of the chunks in which `found` is not `wanted`; a new buffer is all zeros.
fn differing(found: &[u8], wanted: &[u8]) -> Vec<usize> {
    let differs = |index: usize, chunk: &[u8]| {
        let start = index.saturating_mul(CHUNK);
        match found.get(start..start.saturating_add(chunk.len())) {
            Some(found) => found != chunk,
            None => chunk.iter().any(|byte| *byte != 0),
        }
    };
    wanted.chunks(CHUNK).enumerate().filter(|(index, chunk)| differs(*index, chunk)).map(|(index, _)| index).collect()
}

/// The buffers on this cluster that `authority` can close, whoever made them.
///
/// # Errors
/// The chain can't be read; some nodes refuse this search.
pub async fn left(rpc: &Rpc, authority: &Pubkey) -> Result<Vec<Left>, MigrationError> {
    let header = [&TAG[..], &[1], authority.as_ref()].concat();
    let filter = RpcFilterType::Memcmp(Memcmp::new_raw_bytes(0, header));
    let found = rpc.program_accounts(&LOADER, vec![filter]).await?;
    Ok(found
        .into_iter()
        .filter(|(_, account)| account.lamports > 0)
        .map(|(address, account)| Left {
            address,
            lamports: account.lamports,
            bytes: account.data.len().saturating_sub(HEADER),
        })
        .collect())
}

/// Closes buffers; their lamports go to `authority`.
///
/// # Errors
/// The chain refuses or can't be reached. Those closed before stay closed.
pub async fn reclaim(sender: &Sender, authority: &Keypair, buffers: &[Left]) -> Result<Vec<Signature>, MigrationError> {
    let key = authority.pubkey();
    let mut signatures = Vec::new();
    for group in buffers.chunks(CLOSED_AT_ONCE) {
        let close: Vec<_> = group.iter().map(|buffer| loader::close(&buffer.address, &key, &key)).collect();
        let outcome = sender.send(&close, &[authority], SendOptions::default()).await?;
        signatures.push(outcome.landed()?.0);
    }
    Ok(signatures)
}

/// The loader's own instruction, behind the one that makes its account: ours is made in another way.
pub(crate) fn last_of(mut instructions: Vec<Instruction>) -> Result<Instruction, MigrationError> {
    instructions.pop().ok_or_else(|| encoding(&"no instruction"))
}

pub(crate) fn encoding(error: &dyn std::fmt::Display) -> MigrationError {
    MigrationError::Conflict { what: format!("the loader's instruction can't be encoded: {error}") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "test code")]
mod tests {
    use super::*;
    use assay_client::{Cluster, rpc::RecentBlockhash, send::Prepared};

    #[test]
    fn only_what_differs_is_written() {
        let mut wanted = vec![7u8; 3 * CHUNK + 10];
        wanted[CHUNK..2 * CHUNK].fill(0);
        assert_eq!(differing(&[], &wanted), [0, 2, 3], "a new buffer is all zeros");
        assert_eq!(differing(&vec![0; wanted.len()], &wanted), [0, 2, 3]);
        let mut found = wanted.clone();
        found[2 * CHUNK] ^= 1;
        found[CHUNK] = 1;
        assert_eq!(differing(&found, &wanted), [1, 2]);
        assert!(differing(&wanted, &wanted).is_empty());
    }

    #[test]
    fn every_payer_program_and_elf_has_a_buffer_of_its_own() {
        let keys = [Pubkey::new_from_array([1; 32]), Pubkey::new_from_array([2; 32])];
        let address =
            |payer: usize, program: usize, elf: &[u8]| Buffer::new(&keys[payer], &keys[program], elf).unwrap().address;
        let usual = address(0, 1, b"elf");
        assert_eq!(usual, address(0, 1, b"elf"));
        for other in [address(1, 1, b"elf"), address(0, 0, b"elf"), address(0, 1, b"elg")] {
            assert_ne!(usual, other);
        }
    }

    #[tokio::test]
    async fn a_write_fits_a_packet() {
        let payer = Keypair::new();
        let elf = vec![1; 10_000 * CHUNK];
        let buffer = Buffer::new(&payer.pubkey(), &Pubkey::new_from_array([9; 32]), &elf).unwrap();
        let write = buffer.write_instruction(9_999).unwrap();
        let options = SendOptions {
            compute_unit_limit: Some(WRITE_UNITS),
            priority_micro_lamports: Some(u64::MAX),
            blockhash: Some(RecentBlockhash { hash: Default::default(), last_valid_block_height: 0 }),
            ..SendOptions::default()
        };
        let sender = Sender::new(&Cluster::parse("http://127.0.0.1:1").unwrap());
        let prepared = sender.prepare(&[write], &[&payer], options).await.unwrap();
        assert!(matches!(prepared, Prepared::Ready(_)));
    }
}
