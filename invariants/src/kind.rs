//! What jobs compute, with their right results: leaf by leaf and cell by cell in tables, counted out by hand.

use crate::{
    machine::VERIFIER,
    scripted::{Says, Script, description},
};
use assay_client::answer::{InputData, InputTrees};
use assay_kernels::{
    abi::{CostClass, Describe, Geometry},
    escape_time,
    executor::{Backend, Cpu, Inputs},
    gemm_i8,
    hash::sha256,
    merkle::{CHUNK_BYTES, Tree},
    registry,
};
use assay_settlement::{InputTree, JobTerms, rules::draw::Place};
use bytemuck::{Zeroable, bytes_of};
use solana_pubkey::Pubkey;
use std::{cell::OnceCell, ops::Range, sync::LazyLock};

/// Number of the kernel of two stages.
const STAGED: u16 = 7;
/// What each of its cells is. The first byte is no answer to a step.
const ANSWER: [u8; 4] = [7, 1, 4, 2];
/// Its A, basis points: one at which everything has to be rounded.
const AMPLIFICATION: u32 = 13_337;

/// The kernel of two stages, which no verifier of ours has: 32 cells in leaves of four, then eight that cost five times as
/// much in leaves of two, cut at every second leaf.
pub fn staged() -> Script {
    let cells = |stage: u32, cells: u64, cost: u64, cells_per_leaf: u32| CostClass {
        cells,
        cost,
        cells_per_leaf,
        cell_bytes: 4,
        stage,
        ..CostClass::zeroed()
    };
    let mut geometry = Geometry::uniform(32, 4, 4);
    geometry.classes = 2;
    geometry.shard_align = 2;
    (geometry.class[0], geometry.class[1]) = (cells(0, 32, 1, 4), cells(1, 8, 5, 2));
    let describe = Describe { amplification_bps: AMPLIFICATION, ..description(STAGED) };
    Script { describe: Says::Bytes(bytes_of(&describe).to_vec()), ..Script::new(STAGED, &geometry, &ANSWER) }
}

static STAGED_VERIFIER: LazyLock<Pubkey> = LazyLock::new(|| staged().address());

/// Verifiers and what their kernels declare.
pub fn kernels() -> [(Pubkey, Describe); 3] {
    let staged = Describe { amplification_bps: AMPLIFICATION, ..description(STAGED) };
    [(VERIFIER, registry::describe(1).unwrap()), (VERIFIER, registry::describe(2).unwrap()), (*STAGED_VERIFIER, staged)]
}

/// What a job computes.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its verifier.
    pub verifier: Pubkey,
    /// Number of the kernel in the verifier.
    pub kernel: u16,
    /// Its params.
    pub params: Vec<u8>,
    /// Its inputs, padded to chunks.
    pub inputs: Vec<Vec<u8>>,
    /// Leaves of a shard.
    pub shard_leaves: u64,
}

/// A leaf.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Number in the job of its first cell.
    pub first_cell: u64,
    /// Its cells.
    pub cells: u64,
    /// Its place in the result.
    pub bytes: Range<usize>,
}

/// A cell.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// Its leaf, in the job.
    pub leaf: u64,
    /// Its number in the leaf.
    pub number: u32,
    /// Where its bytes begin in the result.
    pub at: usize,
    /// What it costs.
    pub cost: u64,
    /// Its stage.
    pub stage: u32,
}

/// What a job computes, with its right result.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Kernel, params, inputs, leaves of a shard.
    pub spec: Spec,
    /// Roots and lengths of the inputs.
    pub trees: Vec<InputTree>,
    /// The leaves of the job.
    pub leaves: Vec<Leaf>,
    /// The cells of the job.
    pub cells: Vec<Cell>,
    /// Stages of the cells.
    pub stages: u32,
    /// Steps in which a cell is judged.
    pub steps: u64,
    /// Transactions that answering a cell takes, and KiB of evidence, as the verifier states them of such a job; 0 for
    /// what its kernel declares.
    pub stated: (u16, u16),
    /// The right result of the whole job.
    pub result: Vec<u8>,
    inputs: OnceCell<InputTrees>,
}

/// Cells of one kind in a row: cells, cells of a leaf, bytes and cost of a cell, stage.
type Class = (u64, u64, usize, u64, u32);

impl Kind {
    fn new(spec: Spec, classes: &[Class], steps: u64, result: Vec<u8>) -> Self {
        let (mut leaves, mut cells, mut at) = (Vec::<Leaf>::new(), Vec::new(), 0usize);
        for (count, per_leaf, cell_bytes, cost, stage) in classes.iter().copied() {
            for first in (0..count).step_by(usize::try_from(per_leaf).unwrap()) {
                let of_leaf = per_leaf.min(count - first);
                let leaf = Leaf { first_cell: cells.len() as u64, cells: of_leaf, bytes: at..at };
                for number in 0..u32::try_from(of_leaf).unwrap() {
                    cells.push(Cell { leaf: leaves.len() as u64, number, at, cost, stage });
                    at += cell_bytes;
                }
                leaves.push(Leaf { bytes: leaf.bytes.start..at, ..leaf });
            }
        }
        assert_eq!(result.len(), at, "a result as long as its leaves");
        let tree = |bytes: &Vec<u8>| InputTree {
            root: Tree::from_bytes(bytes, CHUNK_BYTES, None).root(),
            bytes: bytes.len() as u64,
        };
        let trees = spec.inputs.iter().map(tree).collect();
        let stages = 1 + classes.iter().map(|class| class.4).max().unwrap();
        let stated = match registry::geometry(spec.kernel, &spec.params) {
            Ok(geometry) if spec.verifier == VERIFIER => (geometry.answer_transactions, geometry.evidence_kib),
            _ => (0, 0),
        };
        Self { trees, leaves, cells, stages, steps, stated, result, inputs: OnceCell::new(), spec }
    }

    fn computed(spec: &Spec, leaves: u64) -> Vec<u8> {
        let mut inputs = Inputs::default();
        for (slot, bytes) in inputs.inputs.iter_mut().zip(&spec.inputs) {
            *slot = bytes;
        }
        Cpu.run(spec.kernel, &spec.params, &inputs, 0..leaves).unwrap()
    }

    fn image(width: u32, height: u32, shard_leaves: u64) -> Self {
        let one = 1i64 << escape_time::FRACTION_BITS;
        let params = escape_time::Params { width, height, max_iter: 40, x0: -2 * one, y0: -one, step: one / 10 };
        let params = params.to_bytes().to_vec();
        let spec = Spec { verifier: VERIFIER, kernel: 1, params, inputs: Vec::new(), shard_leaves };
        let (cells, per_leaf) = (u64::from(width * height), u64::from(escape_time::PIXELS_PER_LEAF));
        let result = Self::computed(&spec, cells.div_ceil(per_leaf));
        Self::new(spec, &[(cells, per_leaf, escape_time::PIXEL_BYTES as usize, 1, 0)], 1, result)
    }

    fn product(m: u32, n: u32, k: u32) -> Self {
        let params = gemm_i8::Params { m, n, k };
        let rows = |rows: u32| -> Vec<u8> {
            let words = u64::from(rows) * params.row_bytes() / 32;
            (0..words).flat_map(|at| sha256(&[&rows.to_le_bytes(), &at.to_le_bytes()])).collect()
        };
        let (cells, per_leaf) = (u64::from(m * n), u64::from(gemm_i8::ELEMENTS_PER_LEAF));
        let shard_leaves = cells.div_ceil(per_leaf);
        let (steps, inputs, params) = (params.steps(), vec![rows(m), rows(n)], params.to_bytes().to_vec());
        let spec = Spec { verifier: VERIFIER, kernel: 2, params, inputs, shard_leaves };
        let result = Self::computed(&spec, shard_leaves);
        Self::new(spec, &[(cells, per_leaf, gemm_i8::ELEMENT_BYTES as usize, 1, 0)], steps, result)
    }

    fn in_stages(shard_leaves: u64) -> Self {
        let spec =
            Spec { verifier: *STAGED_VERIFIER, kernel: STAGED, params: vec![3; 9], inputs: Vec::new(), shard_leaves };
        Self::new(spec, &[(32, 4, 4, 1, 0), (8, 2, 4, 5, 1)], 1, ANSWER.repeat(40))
    }

    /// Whether its cells are those of a verifier of ours.
    pub fn is_ours(&self) -> bool {
        self.spec.verifier == VERIFIER
    }

    /// Shards of the job.
    pub fn shards(&self) -> u32 {
        u32::try_from((self.leaves.len() as u64).div_ceil(self.spec.shard_leaves)).unwrap()
    }

    /// Leaves of a shard.
    pub fn leaf_range(&self, shard: u32) -> Range<u64> {
        let first = u64::from(shard) * self.spec.shard_leaves;
        first..(first + self.spec.shard_leaves).min(self.leaves.len() as u64)
    }

    /// A leaf.
    pub fn leaf(&self, leaf: u64) -> &Leaf {
        &self.leaves[usize::try_from(leaf).unwrap()]
    }

    /// Cells of a shard.
    pub fn cells_of(&self, shard: u32) -> &[Cell] {
        let leaves = self.leaf_range(shard);
        let (first, last) = (self.leaf(leaves.start), self.leaf(leaves.end - 1));
        let at = |cell: u64| usize::try_from(cell).unwrap();
        &self.cells[at(first.first_cell)..at(last.first_cell + last.cells)]
    }

    /// How many cells a shard has.
    pub fn count(&self, shard: u32) -> u64 {
        self.cells_of(shard).len() as u64
    }

    /// Where a cell of a shard lies; behind its last cell there is none.
    pub fn place(&self, shard: u32, cell: u64) -> Place {
        let cell = self.cells_of(shard)[usize::try_from(cell).unwrap()];
        Place { leaf: cell.leaf, cell: cell.number }
    }

    /// The result of a shard with these cells (numbered inside it) wrong.
    pub fn bytes(&self, shard: u32, wrong: &[u64]) -> Vec<u8> {
        let leaves = self.leaf_range(shard);
        let from = self.leaf(leaves.start).bytes.start;
        let mut bytes = self.result[from..self.leaf(leaves.end - 1).bytes.end].to_vec();
        for cell in wrong {
            bytes[self.cells_of(shard)[usize::try_from(*cell).unwrap()].at - from] ^= 1;
        }
        bytes
    }

    /// The inputs under their trees.
    pub fn inputs(&self, terms: &JobTerms) -> &InputTrees {
        let data = || self.spec.inputs.iter().cloned().map(|bytes| InputData::new(bytes).unwrap()).collect();
        self.inputs.get_or_init(|| InputTrees::new(terms, data()).unwrap())
    }
}

/// The kinds of jobs: two shards of 128 cells, three of 64 with a short last leaf, four cells in one shard, a product
/// that takes evidence accounts, one whose cells take two steps, two stages in one shard and cut so that the first shard
/// has no cell of the second stage.
pub fn kinds() -> Vec<Kind> {
    vec![
        Kind::image(32, 8, 2),
        Kind::image(20, 9, 1),
        Kind::image(2, 2, 1),
        Kind::product(8, 8, 64),
        Kind::product(1, 3, 33_000),
        Kind::in_stages(12),
        Kind::in_stages(6),
    ]
}
