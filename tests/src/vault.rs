//! A wallet that is a program: its address is derived, and it signs by CPI, as the vaults of multi-signature programs do.
//! What it signs is assembled into the program itself, so that it needs no more than one system call.

use crate::{
    chain::Chain,
    scripted::{CALL, EXIT, MOVE, SHIFT_LEFT, file, op},
};
use assay_kernels::hash::sha256;
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;

/// Murmur3 of "sol_memcpy_".
const COPY: u32 = 0x717c_c4a3;
/// Murmur3 of "sol_invoke_signed_c".
const INVOKE_SIGNED: u32 = 0xa22b_9c85;
const SEED: &[u8] = b"vault";
/// Where the runtime lays out an instruction's accounts for a program.
const INPUT: u64 = 4 << 32;
/// Bytes that each account may grow by, which lie behind its data.
const ROOM: u64 = 10_240;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Vault {
    /// The program.
    pub program: Pubkey,
    /// The address that it signs for.
    pub key: Pubkey,
    bump: u8,
}

/// Read-only data of the program, as it grows.
#[derive(Default)]
struct Data(Vec<u8>);

impl Data {
    /// Appends bytes at the next multiple of eight and says where they lie.
    fn put(&mut self, bytes: &[u8]) -> u64 {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        let at = self.0.len() as u64;
        self.0.extend_from_slice(bytes);
        at
    }

    fn words(&mut self, words: &[u64]) -> u64 {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.put(&bytes)
    }
}

impl Vault {
    /// The `n`-th one.
    pub fn new(n: u8) -> Self {
        let program = Pubkey::new_from_array(sha256(&[b"vault program", &[n]]));
        let (key, bump) = Pubkey::find_program_address(&[SEED], &program);
        Self { program, key, bump }
    }

    /// Another program that claims this one's address.
    pub fn impostor(&self, n: u8) -> Self {
        Self { program: Self::new(n).program, ..*self }
    }

    /// Puts a program in place that sends this instruction with the vault's signature, and returns the instruction that
    /// calls it. Other signatures are those of the transaction.
    pub fn sign(&self, chain: &mut Chain, instruction: &Instruction) -> Instruction {
        let mut accounts: Vec<AccountMeta> = Vec::new();
        let program = AccountMeta::new_readonly(instruction.program_id, false);
        for meta in instruction.accounts.iter().chain([&program]) {
            let signs = meta.is_signer && meta.pubkey != self.key;
            match accounts.iter_mut().find(|a| a.pubkey == meta.pubkey) {
                Some(known) => {
                    known.is_signer |= signs;
                    known.is_writable |= meta.is_writable;
                }
                None => accounts.push(AccountMeta { is_signer: signs, ..meta.clone() }),
            }
        }
        let elf = self.elf(chain, instruction, &accounts);
        chain.deploy(self.program, &elf, None);
        Instruction { program_id: self.program, accounts, data: Vec::new() }
    }

    fn elf(&self, chain: &Chain, instruction: &Instruction, accounts: &[AccountMeta]) -> Vec<u8> {
        let mut data = Data::default();
        data.words(&[0]);
        // SolAccountInfo of each account, which points into the input.
        let mut at = INPUT + 8;
        let mut infos = Vec::new();
        for meta in accounts {
            let len = chain.svm.get_account(&meta.pubkey).map_or(0, |a| a.data.len() as u64);
            let flags = u64::from(meta.is_signer) | u64::from(meta.is_writable) << 8;
            infos.extend([at + 8, at + 72, len, at + 88, at + 40, u64::MAX, flags]);
            at += (88 + len + ROOM).next_multiple_of(8) + 8;
        }
        let infos_at = data.words(&infos);
        let mut metas = Vec::new();
        for meta in &instruction.accounts {
            let key = data.put(meta.pubkey.as_ref());
            metas.extend([key, u64::from(meta.is_writable) | u64::from(meta.is_signer) << 8]);
        }
        let metas_at = data.words(&metas);
        let program = data.put(instruction.program_id.as_ref());
        let bytes = data.put(&instruction.data);
        let call =
            data.words(&[program, metas_at, instruction.accounts.len() as u64, bytes, instruction.data.len() as u64]);
        let (seed, bump) = (data.put(SEED), data.put(&[self.bump]));
        let seeds = data.words(&[seed, SEED.len() as u64, bump, 1]);
        let signers = data.words(&[seeds, 2]);
        data.words(&[0]);

        let number = |n: u64| u32::try_from(n).unwrap();
        let mut code = Vec::new();
        // The runtime writes into the SolAccountInfos, so they are copied to the heap, which begins at 3 << 32.
        let heap = |register| [op(MOVE, register, 0, 0, 3), op(SHIFT_LEFT, register, 0, 0, 32)].concat();
        code.extend(heap(1));
        for (register, value) in [(2, infos_at), (3, 8 * infos.len() as u64)] {
            code.extend(op(MOVE, register, 0, 0, number(value)));
        }
        code.extend(op(CALL, 0, 0, 0, COPY));
        code.extend(heap(2));
        for (register, value) in [(1, call), (3, accounts.len() as u64), (4, signers), (5, 1)] {
            code.extend(op(MOVE, register, 0, 0, number(value)));
        }
        code.extend(op(CALL, 0, 0, 0, INVOKE_SIGNED));
        code.extend(op(EXIT, 0, 0, 0, 0));
        file(&data.0, &code)
    }
}
