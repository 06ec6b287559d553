//! Building what adjudication needs: the cell's leaf and everything the cell reads, with paths, inline where it fits
//! one transaction and else laid out for an evidence account.

pub use crate::result::ShardTree;
use crate::{client_error::ClientError, result::CommittedResult, wire::Wire};
use assay_kernels::{
    abi::{CostClass, Geometry, IN_EVIDENCE, SOURCE_LEAVES, VerifierError},
    hash::Hash,
    kernel::Read,
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

/// Most bytes of evidence data inline in a v0 transaction.
pub const INLINE_BYTES: usize = Wire::V0.inline_bytes();
/// Bytes of one opening in the arguments.
const OPENING_ARG_BYTES: usize = 18;
/// Most bytes that one write to an evidence account carries in a v0 transaction.
pub const PIECE_BYTES: usize = Wire::V0.piece_bytes();

pub(crate) fn broken(what: &str) -> ClientError {
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

/// What adjudication of one cell, or one step of it, needs.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The arguments.
    pub args: AdjudicateArgs,
    /// What the evidence account must hold from `EVIDENCE_HEADER_BYTES` on; None when everything is inline.
    pub evidence: Option<Vec<u8>>,
}

/// Opened runs: their bytes and then their paths, one after the other.
#[derive(Default)]
struct Pool {
    bytes: Vec<u8>,
    /// Source, start and level of each, and where its bytes and its path begin.
    openings: Vec<(u8, u64, u8, usize, usize)>,
}

impl Pool {
    /// Opens what is to be read.
    fn open(result: &dyn CommittedResult, inputs: &InputTrees, reads: &[Read]) -> Result<Self, ClientError> {
        let missing = || broken("the cell reads data that is not at hand");
        let mut pool = Self::default();
        let mut paths = Vec::new();
        for read in reads {
            let end = read.start.saturating_add(read.count);
            if read.source == SOURCE_LEAVES {
                for leaf in read.start..end {
                    pool.openings.push((SOURCE_LEAVES, leaf, 0, pool.bytes.len(), 0));
                    let (bytes, path) = result.open(leaf)?;
                    pool.bytes.extend_from_slice(&bytes);
                    paths.push(path);
                }
                continue;
            }
            let input = inputs.inputs.get(usize::from(read.source)).ok_or_else(missing)?;
            for run in runs(read.start, end, input.tree.len()) {
                let byte = |chunk: u64| usize::try_from(chunk.saturating_mul(CHUNK_BYTES as u64)).unwrap_or(usize::MAX);
                let data = input.bytes.get(byte(run.start)..byte(run.start.saturating_add(run.count)));
                pool.openings.push((read.source, run.start, run.level, pool.bytes.len(), 0));
                pool.bytes.extend_from_slice(data.ok_or_else(missing)?);
                paths.push(input.tree.run_path(run.start, run.level));
            }
        }
        for (opening, path) in pool.openings.iter_mut().zip(&paths) {
            opening.4 = pool.bytes.len();
            pool.bytes.extend_from_slice(path.as_flattened());
        }
        Ok(pool)
    }

    /// Adds the leaf of the cell and its path; returns where they begin.
    fn add_leaf(&mut self, result: &dyn CommittedResult, leaf: u64) -> Result<(usize, usize), ClientError> {
        let (bytes, path) = result.open(leaf)?;
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&bytes);
        let path_at = self.bytes.len();
        self.bytes.extend_from_slice(path.as_flattened());
        Ok((at, path_at))
    }

    /// Whether all of it fits one transaction.
    fn fits_inline(&self, wire: Wire) -> bool {
        let openings = self.openings.len().saturating_mul(OPENING_ARG_BYTES);
        self.bytes.len().saturating_add(openings) <= wire.inline_bytes()
    }

    /// The arguments that point into it, with the leaf at `leaf_at`.
    fn answer(self, place: Place, leaf_at: (usize, usize), inline: bool) -> Result<Answer, ClientError> {
        if !inline && account_bytes(&self.bytes) > MAX_EVIDENCE_BYTES {
            return Err(broken("the cell's evidence is larger than an evidence account"));
        }
        let offset = |at: usize| {
            let at = if inline { at } else { at.saturating_add(EVIDENCE_HEADER_BYTES) };
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            if inline { at } else { at | IN_EVIDENCE }
        };
        let openings = self.openings.iter().map(|(source, start, level, at, path_at)| OpeningArgs {
            source: *source,
            start: *start,
            level: *level,
            at: offset(*at),
            path_at: offset(*path_at),
        });
        let (leaf_at, leaf_path_at) = leaf_at;
        let args = AdjudicateArgs {
            leaf: place.leaf,
            cell: place.cell,
            leaf_at: offset(leaf_at),
            leaf_path_at: offset(leaf_path_at),
            openings: openings.collect(),
            inline: Vec::new(),
        };
        Ok(if inline {
            Answer { args: AdjudicateArgs { inline: self.bytes, ..args }, evidence: None }
        } else {
            Answer { args, evidence: Some(self.bytes) }
        })
    }
}

impl Answer {
    /// Builds the answer for (or the conviction of) a cell of shard `index` whose job has it judged in one go, inline
    /// where a v0 transaction takes it; for any job see [`Proof`](crate::proof::Proof).
    ///
    /// # Errors
    /// [`ClientError::UnexpectedAccount`] when the job's kernel is not known here, the cell does not exist, it takes
    /// steps, or its evidence is larger than an evidence account.
    pub fn build(
        job: &Job,
        index: u32,
        result: &dyn CommittedResult,
        inputs: &InputTrees,
        place: Place,
    ) -> Result<Self, ClientError> {
        Self::build_for(Wire::V0, job, index, result, inputs, place)
    }

    /// [`build`](Self::build), inline where a transaction of this form takes it.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_for(
        wire: Wire,
        job: &Job,
        index: u32,
        result: &dyn CommittedResult,
        inputs: &InputTrees,
        place: Place,
    ) -> Result<Self, ClientError> {
        let terms = &job.terms;
        if steps(terms, index, place)? > 1 {
            return Err(broken("the job's cells are judged in steps"));
        }
        let mut reads = Vec::new();
        let (kernel, params) = (terms.kernel_id, terms.params());
        registry::reads(kernel, params, place.leaf, place.cell, &mut |read| reads.push(read)).map_err(unknown)?;
        let mut pool = Pool::open(result, inputs, &reads)?;
        let leaf_at = pool.add_leaf(result, place.leaf)?;
        let inline = pool.fits_inline(wire);
        pool.answer(place, leaf_at, inline)
    }

    /// Builds step `step` of a cell of shard `index` whose job has it judged in steps: what the step reads, always in
    /// evidence, and with the last step the cell's leaf.
    ///
    /// # Errors
    /// As [`build`](Self::build), and when the cell has no such step.
    pub fn build_step(
        job: &Job,
        index: u32,
        result: &dyn CommittedResult,
        inputs: &InputTrees,
        place: Place,
        step: u64,
    ) -> Result<Self, ClientError> {
        let terms = &job.terms;
        let steps = steps(terms, index, place)?;
        if steps <= 1 || step >= steps {
            return Err(broken("the cell has no such step"));
        }
        let mut reads = Vec::new();
        let (kernel, params) = (terms.kernel_id, terms.params());
        registry::step_reads(kernel, params, place.leaf, place.cell, step, &mut |read| reads.push(read))
            .map_err(unknown)?;
        let mut pool = Pool::open(result, inputs, &reads)?;
        let last = step.saturating_add(1) == steps;
        let leaf_at = if last { pool.add_leaf(result, place.leaf)? } else { (0, 0) };
        pool.answer(place, leaf_at, false)
    }

    /// Bytes of the evidence account, header included; None when everything is inline.
    pub fn evidence_account_bytes(&self) -> Option<usize> {
        self.evidence.as_deref().map(account_bytes)
    }

    /// The pieces to write: offset in the account's data, and bytes. Each fits one v0 transaction.
    pub fn pieces(&self) -> Vec<(u32, Vec<u8>)> {
        pieces(Wire::V0, 0, self.evidence.as_deref().unwrap_or_default())
    }
}

/// Steps in which a cell of shard `index` is judged: 1 for one adjudication.
///
/// # Errors
/// [`ClientError::UnexpectedAccount`] when the job's kernel is not known here or there is no such leaf.
pub fn steps(terms: &JobTerms, index: u32, place: Place) -> Result<u64, ClientError> {
    let missing = || broken("the shard has no such cell");
    terms.shard(index).ok_or_else(missing)?.leaf(place.leaf).map_err(|_| missing())?;
    registry::steps(terms.kernel_id, terms.params()).map_err(unknown)
}

fn unknown(error: VerifierError) -> ClientError {
    broken(&format!("the job's kernel is not known here: {error}"))
}

/// Bytes of an evidence account that holds `data`, header included.
pub fn account_bytes(data: &[u8]) -> usize {
    data.len().saturating_add(EVIDENCE_HEADER_BYTES)
}

/// The pieces in which `data`, from byte `from` on, is written to an evidence account: offset in the account's data, and
/// bytes. Each fits one transaction of this form.
pub fn pieces(wire: Wire, from: usize, data: &[u8]) -> Vec<(u32, Vec<u8>)> {
    (EVIDENCE_HEADER_BYTES.saturating_add(from)..)
        .step_by(wire.piece_bytes())
        .zip(data.get(from..).unwrap_or_default().chunks(wire.piece_bytes()))
        .map(|(at, piece)| (u32::try_from(at).unwrap_or(u32::MAX), piece.to_vec()))
        .collect()
}
