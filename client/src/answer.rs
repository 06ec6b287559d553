//! Building what adjudication needs: the cell's leaf and everything the cell reads, with paths, inline where it fits
//! one transaction and else laid out for an evidence account.

use crate::client_error::ClientError;
use assay_kernels::{
    abi::{CostClass, Geometry, IN_EVIDENCE, SOURCE_LEAVES},
    hash::Hash,
    merkle::{self, CHUNK_BYTES, Tree, runs},
    registry,
};
use assay_settlement::{
    EVIDENCE_HEADER_BYTES, Job, JobTerms,
    constants::MAX_EVIDENCE_BYTES,
    instructions::{AdjudicateArgs, OpeningArgs},
    rules::draw::Place,
};
use bytemuck::Zeroable;
use solana_pubkey::Pubkey;

/// Most bytes of evidence data inline in a v0 transaction of 1,232 bytes: 358 of signature, keys and budget, 8 of
/// discriminator, 36 of fixed arguments.
const INLINE_BYTES: usize = 827;
/// Bytes of one opening in the arguments.
const OPENING_ARG_BYTES: usize = 18;
/// Most bytes that one write to an evidence account carries in a v0 transaction.
pub const PIECE_BYTES: usize = 940;

fn broken(what: &str) -> ClientError {
    ClientError::UnexpectedAccount { what: what.to_owned() }
}

/// The geometry of a job, from its account.
pub fn geometry(terms: &JobTerms) -> Geometry {
    let mut geometry = Geometry::zeroed();
    geometry.abi = assay_kernels::abi::ABI;
    geometry.inputs = terms.inputs;
    geometry.classes = u16::from(terms.classes);
    geometry.shard_align = 1;
    for (to, from) in geometry.input_bytes.iter_mut().zip(&terms.input) {
        *to = from.bytes;
    }
    for (to, from) in geometry.class.iter_mut().zip(&terms.class) {
        *to = bytemuck::cast::<_, CostClass>(*from);
    }
    geometry
}

/// Salt of a shard's leaves, for one provider.
pub fn salt(shard: &Pubkey, provider: &Pubkey) -> Hash {
    merkle::salt(&assay_settlement::ID.to_bytes(), &shard.to_bytes(), &provider.to_bytes())
}

/// A shard's result: its bytes, leaf after leaf, under the tree that its provider commits.
#[derive(Clone, Debug)]
pub struct ShardTree {
    bytes: Vec<u8>,
    offsets: Vec<usize>,
    first_leaf: u64,
    tree: Tree,
}

impl ShardTree {
    /// Hashes the result of shard `index` at address `shard` for `provider`.
    ///
    /// # Errors
    /// [`ClientError::UnexpectedAccount`] when the bytes are not as many as the shard's leaves hold.
    pub fn new(
        terms: &JobTerms,
        index: u32,
        shard: &Pubkey,
        provider: &Pubkey,
        bytes: Vec<u8>,
    ) -> Result<Self, ClientError> {
        let range = terms.shard(index).ok_or_else(|| broken("the job has no such shard"))?;
        let geometry = geometry(terms);
        let salt = salt(shard, provider);
        let end = range.first_leaf.saturating_add(range.leaves);
        let (mut offsets, mut at) = (vec![0usize], 0usize);
        let mut hashes = Vec::new();
        for leaf in range.first_leaf..end {
            let span = geometry.leaf_span(leaf).ok_or_else(|| broken("the job has no such leaf"))?;
            let to = at.saturating_add(usize::try_from(span.bytes).unwrap_or(usize::MAX));
            let data = bytes.get(at..to).ok_or_else(|| broken("the result is shorter than the shard's leaves"))?;
            hashes.push(merkle::salted_leaf_hash(&salt, data));
            offsets.push(to);
            at = to;
        }
        if at != bytes.len() {
            return Err(broken("the result is longer than the shard's leaves"));
        }
        Ok(Self { bytes, offsets, first_leaf: range.first_leaf, tree: Tree::from_leaf_hashes(hashes) })
    }

    /// What the provider commits.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// The salted leaf hashes.
    pub fn hashes(&self) -> &[Hash] {
        self.tree.leaf_hashes()
    }

    /// The whole result.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of a job-wide leaf.
    pub fn leaf(&self, leaf: u64) -> Option<&[u8]> {
        let index = usize::try_from(leaf.checked_sub(self.first_leaf)?).ok()?;
        self.bytes.get(*self.offsets.get(index)?..*self.offsets.get(index.checked_add(1)?)?)
    }

    fn path(&self, leaf: u64) -> Vec<Hash> {
        self.tree.path(leaf.saturating_sub(self.first_leaf))
    }
}

/// One input: its bytes under its tree.
#[derive(Clone, Debug)]
pub struct InputData {
    bytes: Vec<u8>,
    tree: Tree,
}

impl InputData {
    /// Hashes an input. Its length must be a multiple of 1,024 bytes.
    ///
    /// # Errors
    /// [`ClientError::UnexpectedAccount`] for other lengths, and for none.
    pub fn new(bytes: Vec<u8>) -> Result<Self, ClientError> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(CHUNK_BYTES) {
            return Err(broken("an input is not a whole number of chunks of 1,024 bytes"));
        }
        let tree = Tree::from_bytes(&bytes, CHUNK_BYTES, None);
        Ok(Self { bytes, tree })
    }

    /// Its root.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The inputs of a job, checked against its terms.
#[derive(Clone, Debug, Default)]
pub struct InputTrees {
    inputs: Vec<InputData>,
}

impl InputTrees {
    /// Checks that these are the job's inputs.
    ///
    /// # Errors
    /// [`ClientError::UnexpectedAccount`] naming the input whose number, length or root differs.
    pub fn new(terms: &JobTerms, inputs: Vec<InputData>) -> Result<Self, ClientError> {
        if inputs.len() != usize::from(terms.inputs) {
            return Err(broken("the job has another number of inputs"));
        }
        for (i, (input, expected)) in inputs.iter().zip(&terms.input).enumerate() {
            if u64::try_from(input.bytes.len()).ok() != Some(expected.bytes) || input.root() != expected.root {
                return Err(broken(&format!("input {i} is not the one whose root the job names")));
            }
        }
        Ok(Self { inputs })
    }

    /// The bytes of each input, for an executor.
    pub fn slices(&self) -> [&[u8]; 4] {
        core::array::from_fn(|i| self.inputs.get(i).map_or(&[][..], |input| input.bytes()))
    }
}

/// What adjudication of one cell needs.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The arguments.
    pub args: AdjudicateArgs,
    /// What the evidence account must hold from `EVIDENCE_HEADER_BYTES` on; None when everything is inline.
    pub evidence: Option<Vec<u8>>,
}

impl Answer {
    /// Builds the answer for (or the conviction of) a cell of shard `index`.
    ///
    /// # Errors
    /// [`ClientError::UnexpectedAccount`] when the job's kernel is not known here, the cell does not exist, or its
    /// evidence is larger than an evidence account.
    pub fn build(
        job: &Job,
        index: u32,
        result: &ShardTree,
        inputs: &InputTrees,
        place: Place,
    ) -> Result<Self, ClientError> {
        let terms = &job.terms;
        let missing = || broken("the shard has no such cell");
        let mut pool = Vec::new();
        let mut openings = Vec::new();
        let mut paths = Vec::new();
        let mut failed = false;
        let shard_of = terms.shard(index).ok_or_else(missing)?;
        shard_of.leaf(place.leaf).map_err(|_| missing())?;
        registry::reads(terms.kernel_id, terms.params(), place.leaf, place.cell, &mut |read| {
            let end = read.start.saturating_add(read.count);
            if read.source == SOURCE_LEAVES {
                for leaf in read.start..end {
                    let Some(data) = result.leaf(leaf) else {
                        failed = true;
                        return;
                    };
                    openings.push((SOURCE_LEAVES, leaf, 0u8, pool.len()));
                    pool.extend_from_slice(data);
                    paths.push(result.path(leaf));
                }
                return;
            }
            let Some(input) = inputs.inputs.get(usize::from(read.source)) else {
                failed = true;
                return;
            };
            for run in runs(read.start, end, input.tree.len()) {
                let byte = |chunk: u64| usize::try_from(chunk.saturating_mul(CHUNK_BYTES as u64)).unwrap_or(usize::MAX);
                let Some(data) = input.bytes.get(byte(run.start)..byte(run.start.saturating_add(run.count))) else {
                    failed = true;
                    return;
                };
                openings.push((read.source, run.start, run.level, pool.len()));
                pool.extend_from_slice(data);
                paths.push(input.tree.run_path(run.start, run.level));
            }
        })
        .map_err(|error| broken(&format!("the job's kernel is not known here: {error}")))?;
        if failed {
            return Err(broken("the cell reads data that is not at hand"));
        }
        let path_offsets: Vec<usize> = paths
            .iter()
            .map(|path| {
                let at = pool.len();
                pool.extend_from_slice(path.as_flattened());
                at
            })
            .collect();
        let leaf_at = pool.len();
        pool.extend_from_slice(result.leaf(place.leaf).ok_or_else(missing)?);
        let leaf_path_at = pool.len();
        pool.extend_from_slice(result.path(place.leaf).as_flattened());

        let inline = pool.len().saturating_add(openings.len().saturating_mul(OPENING_ARG_BYTES)) <= INLINE_BYTES;
        if !inline && pool.len().saturating_add(EVIDENCE_HEADER_BYTES) > MAX_EVIDENCE_BYTES {
            return Err(broken("the cell's evidence is larger than an evidence account"));
        }
        let offset = |at: usize| {
            let at = if inline { at } else { at.saturating_add(EVIDENCE_HEADER_BYTES) };
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            if inline { at } else { at | IN_EVIDENCE }
        };
        let args = AdjudicateArgs {
            leaf: place.leaf,
            cell: place.cell,
            leaf_at: offset(leaf_at),
            leaf_path_at: offset(leaf_path_at),
            openings: openings
                .iter()
                .zip(&path_offsets)
                .map(|((source, start, level, at), path_at)| OpeningArgs {
                    source: *source,
                    start: *start,
                    level: *level,
                    at: offset(*at),
                    path_at: offset(*path_at),
                })
                .collect(),
            inline: if inline { pool.clone() } else { Vec::new() },
        };
        Ok(Self { args, evidence: if inline { None } else { Some(pool) } })
    }

    /// Bytes of the evidence account, header included; None when everything is inline.
    pub fn evidence_account_bytes(&self) -> Option<usize> {
        self.evidence.as_ref().map(|data| data.len().saturating_add(EVIDENCE_HEADER_BYTES))
    }

    /// The pieces to write: offset in the account's data, and bytes. Each fits one v0 transaction.
    pub fn pieces(&self) -> Vec<(u32, Vec<u8>)> {
        let data = self.evidence.as_deref().unwrap_or_default();
        (EVIDENCE_HEADER_BYTES..)
            .step_by(PIECE_BYTES)
            .zip(data.chunks(PIECE_BYTES))
            .map(|(at, piece)| (u32::try_from(at).unwrap_or(u32::MAX), piece.to_vec()))
            .collect()
    }
}
