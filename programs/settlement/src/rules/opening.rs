//! Authenticating what an adjudication brings: the leaf that holds the cell, and the input chunks and earlier leaves
//! that the cell reads, each against the root that the job or the commitment fixed.

use crate::{
    constants::*,
    error::AssayError,
    rules::{
        Result,
        draw::{LeafSpan, Shard},
    },
    state::{JobTerms, Shard as ShardAccount},
};
use anchor_lang::prelude::Pubkey;
use assay_kernels::{
    abi::{self, IN_EVIDENCE, SOURCE_LEAVES},
    hash::Hash,
    merkle,
};

/// A run of chunks or one leaf, with its Merkle path. Lengths follow from the job, so they are not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// 0 to 3: an input. 255: the shard's own leaves.
    pub source: u8,
    /// First chunk of the input, or job-wide number of the leaf.
    pub start: u64,
    /// The run is aligned to and holds 2^level chunks (fewer at the end of the input); 0 for leaves.
    pub level: u8,
    /// Where its bytes lie: offset into the inline bytes, or with the top bit set into the evidence account.
    pub at: u32,
    /// Where its path lies, likewise: 32 bytes a node, from the run upwards.
    pub path_at: u32,
}

/// Where opened bytes lie.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a> {
    /// Bytes of the instruction.
    pub inline: &'a [u8],
    /// The whole data of the evidence account, its header included; empty when there is none.
    pub evidence: &'a [u8],
}

impl<'a> Bytes<'a> {
    /// `len` bytes at `at`.
    pub fn get(&self, at: u32, len: usize) -> Result<&'a [u8]> {
        let whole = if at & IN_EVIDENCE == 0 { self.inline } else { self.evidence };
        let from = usize::try_from(at & !IN_EVIDENCE).map_err(|_| AssayError::BadOpening)?;
        let to = from.checked_add(len).ok_or(AssayError::BadOpening)?;
        whole.get(from..to).ok_or(AssayError::BadOpening)
    }

    fn path(&self, at: u32, nodes: u32) -> Result<&'a [Hash]> {
        let nodes = usize::try_from(nodes).map_err(|_| AssayError::BadOpening)?;
        let len = nodes.checked_mul(32).ok_or(AssayError::BadOpening)?;
        Ok(self.get(at, len)?.as_chunks::<32>().0)
    }
}

/// What the committed tree of a shard is checked with.
#[derive(Clone, Copy, Debug)]
pub struct Commitment<'a> {
    /// The shard's leaves.
    pub shard: Shard<'a>,
    /// Salt of the leaves.
    pub salt: Hash,
    /// The committed root.
    pub root: Hash,
}

impl<'a> Commitment<'a> {
    /// The commitment of the shard whose account lies at `address`.
    pub fn of(terms: &'a JobTerms, shard: &ShardAccount, address: &Pubkey) -> Result<Self> {
        Ok(Commitment {
            shard: terms.shard(shard.index).ok_or(AssayError::NoSuchShard)?,
            salt: merkle::salt(&crate::ID.to_bytes(), &address.to_bytes(), &shard.provider.to_bytes()),
            root: shard.root,
        })
    }

    /// Checks the path of a leaf of the shard and returns its bytes and what it holds.
    pub fn leaf<'b>(&self, leaf: u64, at: u32, path_at: u32, bytes: &Bytes<'b>) -> Result<(&'b [u8], LeafSpan)> {
        let span = self.shard.leaf(leaf)?;
        let len = usize::try_from(span.bytes()?).map_err(|_| AssayError::BadOpening)?;
        let data = bytes.get(at, len)?;
        let index = leaf.checked_sub(self.shard.first_leaf).ok_or(AssayError::BadOpening)?;
        let path = bytes.path(path_at, merkle::path_len(index, self.shard.leaves))?;
        let hash = merkle::salted_leaf_hash(&self.salt, data);
        if merkle::verify_leaf(&hash, index, self.shard.leaves, path, &self.root) {
            Ok((data, span))
        } else {
            Err(AssayError::WrongPath)
        }
    }
}

/// Checks a run that cell of leaf `own` wants to read, and returns the opening that the verifier is told of.
pub fn authenticate(
    run: &Run,
    own: u64,
    terms: &JobTerms,
    commitment: &Commitment,
    bytes: &Bytes,
) -> Result<abi::Opening> {
    if run.source == SOURCE_LEAVES {
        if run.level != 0 || run.start >= own {
            return Err(AssayError::BadOpening);
        }
        let (data, _) = commitment.leaf(run.start, run.at, run.path_at, bytes)?;
        let len = u32::try_from(data.len()).map_err(|_| AssayError::BadOpening)?;
        return Ok(abi::Opening { source: SOURCE_LEAVES, start: run.start, len, at: run.at });
    }
    if run.source >= terms.inputs {
        return Err(AssayError::BadOpening);
    }
    let input = terms.input.get(usize::from(run.source)).ok_or(AssayError::BadOpening)?;
    let chunk = merkle::CHUNK_BYTES as u64;
    let size = input.bytes.checked_div(chunk).ok_or(AssayError::BadOpening)?;
    let count = merkle::run_count(run.start, run.level, size).ok_or(AssayError::BadOpening)?;
    let len = count
        .checked_mul(chunk)
        .and_then(|l| usize::try_from(l).ok())
        .filter(|l| *l <= MAX_EVIDENCE_BYTES)
        .ok_or(AssayError::BadOpening)?;
    let data = bytes.get(run.at, len)?;
    let mut hasher = merkle::RunHasher::new();
    for chunk in data.as_chunks::<{ merkle::CHUNK_BYTES }>().0 {
        hasher.push(merkle::leaf_hash(chunk));
    }
    let root = hasher.finish().ok_or(AssayError::BadOpening)?;
    let (node, width) = (
        run.start.checked_shr(u32::from(run.level)).ok_or(AssayError::BadOpening)?,
        size.div_ceil(1u64.checked_shl(u32::from(run.level)).ok_or(AssayError::BadOpening)?),
    );
    let path = bytes.path(run.path_at, merkle::path_len(node, width))?;
    if !merkle::verify_run(&root, run.start, run.level, size, path, &input.root) {
        return Err(AssayError::WrongPath);
    }
    let len = u32::try_from(len).map_err(|_| AssayError::BadOpening)?;
    Ok(abi::Opening { source: run.source, start: run.start, len, at: run.at })
}

/// Compares a re-executed cell with the committed leaf: true when they agree.
pub fn cell_matches(leaf: &[u8], span: &LeafSpan, cell: u32, computed: &[u8]) -> Result<bool> {
    if cell >= span.cells {
        return Err(AssayError::NoSuchCell);
    }
    let width = usize::try_from(span.cell_bytes).map_err(|_| AssayError::BadOpening)?;
    let from = usize::try_from(cell).ok().and_then(|c| c.checked_mul(width)).ok_or(AssayError::BadOpening)?;
    let committed = from.checked_add(width).and_then(|to| leaf.get(from..to)).ok_or(AssayError::BadOpening)?;
    if computed.len() != width {
        return Err(AssayError::VerifierAnswer);
    }
    Ok(committed == computed)
}
