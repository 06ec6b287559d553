//! Small jobs, what is computed for them, and forgeries of it.

use crate::chain::Actor;
use assay_client::answer::{InputData, InputTrees, ShardTree};
use assay_kernels::{
    escape_time,
    executor::{Backend, Cpu, Inputs},
    gemm_i8,
    merkle::{CHUNK_BYTES, Tree},
};
use assay_settlement::{InputTree, JobTerms, rules::draw::Place, seeds};
use rand::{Rng, SeedableRng, rngs::StdRng};
use solana_pubkey::Pubkey;

/// What a job computes.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Number of the kernel in the verifier.
    pub kernel: u16,
    /// Its params.
    pub params: Vec<u8>,
    /// Its inputs, padded to chunks.
    pub inputs: Vec<Vec<u8>>,
    /// Leaves of a shard.
    pub shard_leaves: u64,
}

impl Spec {
    /// An image of 32 x 8 pixels: 4 leaves of 64 pixels, 2 shards of 128 cells.
    pub fn image() -> Self {
        Self::rows(8)
    }

    /// An image of 32 columns and `rows` rows, a multiple of 4, in 2 shards.
    pub fn rows(rows: u32) -> Self {
        let one = 1i64 << escape_time::FRACTION_BITS;
        let params =
            escape_time::Params { width: 32, height: rows, max_iter: 200, x0: -2 * one, y0: -one, step: one / 10 };
        Self { kernel: 1, params: params.to_bytes().to_vec(), inputs: Vec::new(), shard_leaves: u64::from(rows / 4) }
    }

    /// A product of random matrices, m x k by k x n: leaves of 64 elements, one shard.
    pub fn product(m: u32, n: u32, k: u32) -> Self {
        let params = gemm_i8::Params { m, n, k };
        let mut random = StdRng::seed_from_u64(u64::from(m) << 40 | u64::from(n) << 20 | u64::from(k));
        let mut rows = |rows: u32| {
            let mut bytes = vec![0u8; usize::try_from(u64::from(rows) * params.row_bytes()).unwrap()];
            random.fill(&mut bytes[..]);
            bytes
        };
        let leaves = params.elements().div_ceil(u64::from(gemm_i8::ELEMENTS_PER_LEAF));
        Self { kernel: 2, params: params.to_bytes().to_vec(), inputs: vec![rows(m), rows(n)], shard_leaves: leaves }
    }

    /// A product of 8 x 64 by 64 x 8: one leaf.
    pub fn small_product() -> Self {
        Self::product(8, 8, 64)
    }

    /// Roots and lengths of the inputs.
    pub fn input_trees(&self) -> Vec<InputTree> {
        let tree = |bytes: &Vec<u8>| InputTree {
            root: Tree::from_bytes(bytes, CHUNK_BYTES, None).root(),
            bytes: bytes.len() as u64,
        };
        self.inputs.iter().map(tree).collect()
    }

    /// The bytes of these leaves.
    pub fn compute(&self, leaves: core::ops::Range<u64>) -> Vec<u8> {
        let mut inputs = Inputs::default();
        for (slot, bytes) in inputs.inputs.iter_mut().zip(&self.inputs) {
            *slot = bytes;
        }
        Cpu.run(self.kernel, &self.params, &inputs, leaves).unwrap()
    }
}

/// A job on the chain.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its address.
    pub job: Pubkey,
    /// Whose it is.
    pub renter: Actor,
    /// What it computes.
    pub spec: Spec,
}

/// What a provider has for a shard.
#[derive(Clone, Debug)]
pub struct Work {
    /// Number of the shard.
    pub index: u32,
    /// Its result under the tree that is committed.
    pub tree: ShardTree,
    /// The job's inputs.
    pub inputs: InputTrees,
    first_leaf: u64,
}

impl Work {
    /// The right result of shard `index`, for `provider`; with every cell in `forged` (numbered inside the shard) wrong.
    pub fn new(task: &Task, terms: &JobTerms, index: u32, provider: &Pubkey, forged: &[u64]) -> Self {
        let range = terms.shard(index).unwrap();
        let mut bytes = task.spec.compute(range.first_leaf..range.first_leaf + range.leaves);
        let cell_bytes = usize::try_from(terms.classes()[0].cell_bytes).unwrap();
        for cell in forged {
            bytes[usize::try_from(*cell).unwrap() * cell_bytes] ^= 1;
        }
        Self::of_bytes(task, terms, index, provider, bytes)
    }

    /// These bytes as result of shard `index`.
    pub fn of_bytes(task: &Task, terms: &JobTerms, index: u32, provider: &Pubkey, bytes: Vec<u8>) -> Self {
        let tree = ShardTree::new(terms, index, &seeds::shard(&task.job, index), provider, bytes).unwrap();
        let inputs = task.spec.inputs.iter().cloned().map(|bytes| InputData::new(bytes).unwrap()).collect();
        let first_leaf = terms.shard(index).unwrap().first_leaf;
        Self { index, tree, inputs: InputTrees::new(terms, inputs).unwrap(), first_leaf }
    }

    /// Bytes of the path of a job-wide leaf.
    pub fn path(&self, leaf: u64) -> Vec<u8> {
        let leaves = self.tree.hashes().to_vec();
        let own = leaf - self.first_leaf;
        Tree::from_leaf_hashes(leaves).path(own).as_flattened().to_vec()
    }

    /// Where cell `number` of the shard lies.
    pub fn place(&self, terms: &JobTerms, number: u64) -> Place {
        terms.shard(self.index).unwrap().place(number).unwrap()
    }
}
