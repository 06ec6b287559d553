//! A verifier that answers what a test tells it to: a real program for the Solana VM, assembled here from a dozen
//! instructions. It shows what settlement does with verifiers that lie, fail, or have kernels that ours does not have.

use assay_kernels::{
    abi::{ABI, Describe, Geometry},
    hash::sha256,
};
use bytemuck::{Zeroable, bytes_of};

/// What it says to one kind of request.
#[derive(Clone, Debug)]
pub enum Says {
    /// Succeeds with this return data.
    Bytes(Vec<u8>),
    /// Succeeds and returns nothing.
    Nothing,
    /// Fails with this custom code.
    Fails(u32),
}

/// What it says to `describe`, `check` and everything else.
#[derive(Clone, Debug)]
pub struct Script {
    /// To `describe`.
    pub describe: Says,
    /// To `check`.
    pub check: Says,
    /// To `cell`.
    pub cell: Says,
}

/// A description of kernel `id` that settlement accepts: two classes at most, one input, cells of 4 bytes.
pub fn description(id: u16) -> Describe {
    Describe {
        abi: ABI,
        inputs: 0,
        stages: 2,
        flags: 0,
        kernel: id,
        max_cost_classes: 2,
        amplification_bps: 20_000,
        cell_bytes_max: 4,
        leaf_bytes_max: 64,
        cell_cu_max: 10_000,
        answer_transactions: 1,
        reserved: 0,
        evidence_bytes_max: 1_024,
        name: Describe::pad_name("scripted"),
        version: 1,
    }
}

/// A geometry of two stages: 8 leaves of 4 cells of 4 bytes, then 4 leaves of 2 such cells; cut at multiples of 12.
pub fn two_stages() -> Geometry {
    let mut geometry = Geometry::uniform(32, 4, 4);
    geometry.classes = 2;
    geometry.shard_align = 12;
    geometry.class[1] =
        assay_kernels::abi::CostClass { cells: 8, cost: 5, cells_per_leaf: 2, stage: 1, ..geometry.class[0] };
    geometry
}

impl Script {
    /// Kernel `id` with this geometry, every cell of which is `cell`.
    pub fn new(id: u16, geometry: &Geometry, cell: &[u8]) -> Self {
        Self {
            describe: Says::Bytes(bytes_of(&description(id)).to_vec()),
            check: Says::Bytes(bytes_of(geometry).to_vec()),
            cell: Says::Bytes(cell.to_vec()),
        }
    }

    /// As [`Script::new`], described as told.
    pub fn described(describe: &Describe) -> Self {
        let mut script = Self::new(describe.kernel, &Geometry::zeroed(), &[]);
        script.describe = Says::Bytes(bytes_of(describe).to_vec());
        script
    }

    /// An address for it that no other script has.
    pub fn address(&self) -> solana_pubkey::Pubkey {
        solana_pubkey::Pubkey::new_from_array(sha256(&[b"scripted", &self.elf()]))
    }

    /// The program, as an SBPF v3 file.
    pub fn elf(&self) -> Vec<u8> {
        const HEAD: usize = 5;
        let mut data = vec![0u8; 8];
        // The input begins with the number of accounts; without any, the instruction's length and bytes follow. Only
        // cells come with an account. The second byte of a request is its operation.
        let blocks: Vec<Vec<u8>> = [&self.cell, &self.describe, &self.check].map(|says| block(says, &mut data)).into();
        let after_head = |n: usize| blocks[..n].iter().map(Vec::len).sum::<usize>() / 8;
        let skip = |from: usize, n: usize| i16::try_from(HEAD + after_head(n) - (from + 1)).unwrap();
        let mut code = Vec::new();
        code.extend(op(LOAD_8, 7, 1, 0, 0));
        code.extend(op(JUMP_NOT_EQUAL, 7, 0, skip(1, 0), 0));
        code.extend(op(LOAD_1, 6, 1, 17, 0));
        code.extend(op(JUMP_EQUAL, 6, 0, skip(3, 1), 0));
        code.extend(op(JUMP_EQUAL, 6, 0, skip(4, 2), 1));
        code.extend(blocks.concat());
        file(&data, &code)
    }
}

const LOAD_1: u8 = 0x71;
const LOAD_8: u8 = 0x79;
pub(crate) const MOVE: u8 = 0xb7;
pub(crate) const SHIFT_LEFT: u8 = 0x67;
const JUMP_EQUAL: u8 = 0x15;
const JUMP_NOT_EQUAL: u8 = 0x55;
pub(crate) const CALL: u8 = 0x85;
pub(crate) const EXIT: u8 = 0x95;
/// Murmur3 of "sol_set_return_data".
const SET_RETURN_DATA: u32 = 0xa226_d3eb;

/// One instruction of eight bytes.
pub(crate) fn op(code: u8, to: u8, from: u8, offset: i16, value: u32) -> [u8; 8] {
    let (o, v) = (offset.to_le_bytes(), value.to_le_bytes());
    [code, to | from << 4, o[0], o[1], v[0], v[1], v[2], v[3]]
}

/// Instructions that say it and exit; what they need of data goes to the end of `data`.
fn block(says: &Says, data: &mut Vec<u8>) -> Vec<u8> {
    let mut code = Vec::new();
    if let Says::Bytes(bytes) = says {
        code.extend(op(MOVE, 1, 0, 0, u32::try_from(data.len()).unwrap()));
        code.extend(op(MOVE, 2, 0, 0, u32::try_from(bytes.len()).unwrap()));
        code.extend(op(CALL, 0, 0, 0, SET_RETURN_DATA));
        data.extend_from_slice(bytes);
        data.resize(data.len().next_multiple_of(8), 0);
    }
    let result = if let Says::Fails(error) = says { *error } else { 0 };
    code.extend(op(MOVE, 0, 0, 0, result));
    code.extend(op(EXIT, 0, 0, 0, 0));
    code
}

/// A program of SBPF v3 with this read-only data, which lies at address 0, and this code.
pub(crate) fn file(data: &[u8], code: &[u8]) -> Vec<u8> {
    const HEADER: u64 = 64;
    const SEGMENT: u64 = 56;
    const CODE_AT: u64 = 1 << 32;
    let data_from = HEADER + 2 * SEGMENT;
    let mut out = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // Shared object for BPF, version 1, entry, program headers, no sections, SBPF v3.
    out.extend(3u16.to_le_bytes());
    out.extend(247u16.to_le_bytes());
    out.extend(1u32.to_le_bytes());
    out.extend(CODE_AT.to_le_bytes());
    out.extend(HEADER.to_le_bytes());
    out.extend(0u64.to_le_bytes());
    out.extend(3u32.to_le_bytes());
    for half in [64u16, 56, 2, 64, 0, 0] {
        out.extend(half.to_le_bytes());
    }
    let segments = [(4u32, data_from, 0u64, data.len()), (1, data_from + data.len() as u64, CODE_AT, code.len())];
    for (flags, offset, address, len) in segments {
        out.extend(1u32.to_le_bytes());
        out.extend(flags.to_le_bytes());
        for word in [offset, address, address, len as u64, len as u64, 8] {
            out.extend(word.to_le_bytes());
        }
    }
    out.extend_from_slice(data);
    out.extend_from_slice(code);
    out
}
