//! A run as the supervisor checks it before it goes anywhere: what comes back must be exactly that long.

use std::ops::Range;

use assay_kernels::{
    executor::{Commit, ExecError, Inputs},
    hash::Hash,
    registry::AnyKernel,
};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Bytes that one core hashes at a time.
const PIECE: usize = 4 << 20;

/// A run.
pub(crate) struct Job<'a> {
    pub kernel: u16,
    pub params: &'a [u8],
    pub inputs: [Input<'a>; 4],
    pub leaves: Range<u64>,
    pub commit: Option<Commit>,
    /// Bytes of the leaves.
    pub bytes: usize,
    /// Nodes over them.
    pub nodes: usize,
}

/// An input and its name.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub name: Option<Hash>,
    pub bytes: &'a [u8],
}

impl<'a> Job<'a> {
    pub fn new(
        kernel: u16,
        params: &'a [u8],
        inputs: &Inputs<'a>,
        leaves: Range<u64>,
        commit: Option<&Commit>,
    ) -> Result<Self, ExecError> {
        let geometry = AnyKernel::from_id(kernel)?.geometry(params)?;
        for (input, (expected, bytes)) in geometry.input_bytes.iter().zip(inputs.inputs).enumerate() {
            let (expected, got) = (*expected, bytes.len() as u64);
            if expected != got {
                return Err(ExecError::InputLength { input, expected, got });
            }
        }
        let bytes = match (geometry.bytes_before(leaves.start), geometry.bytes_before(leaves.end)) {
            (Some(start), Some(end)) if leaves.start <= leaves.end => end.saturating_sub(start),
            _ => return Err(ExecError::LeafRange),
        };
        let too_much = |_| ExecError::OutOfMemory(bytes);
        let nodes = commit.map_or(0, |commit| {
            let count = leaves.end.saturating_sub(leaves.start);
            // One node stands for all leaves where a node may stand for more than there are numbers for.
            1u64.checked_shl(commit.level.into()).map_or(u64::from(count > 0), |run| count.div_ceil(run))
        });
        Ok(Self {
            kernel,
            params,
            inputs: inputs.inputs.map(|bytes| Input { name: name_of(bytes), bytes }),
            leaves,
            commit: commit.copied(),
            bytes: usize::try_from(bytes).map_err(too_much)?,
            nodes: usize::try_from(nodes).map_err(too_much)?,
        })
    }

    /// Bytes of its inputs, each counted once.
    pub fn input_bytes(&self) -> u64 {
        let mut seen = Vec::new();
        let mut sum = 0u64;
        for input in &self.inputs {
            if input.name.is_some() && !seen.contains(&input.name) {
                seen.push(input.name);
                sum = sum.saturating_add(input.bytes.len() as u64);
            }
        }
        sum
    }
}

/// What an input is called: a digest, on all cores. None for an empty one. Renters choose inputs, so it has to be one
/// that nobody finds two inputs for.
fn name_of(bytes: &[u8]) -> Option<Hash> {
    if bytes.is_empty() {
        return None;
    }
    let pieces: Vec<Hash> = bytes.par_chunks(PIECE).map(|piece| Sha256::digest(piece).into()).collect();
    let mut whole = Sha256::new();
    whole.update((bytes.len() as u64).to_le_bytes());
    whole.update(pieces.as_flattened());
    Some(whole.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_inputs_apart() {
        let zeros = vec![0; PIECE + 1];
        let mut other = zeros.clone();
        other[PIECE] = 1;
        let names = [&zeros[..], &zeros[1..], &zeros[..1], &other[..]].map(name_of);
        assert!((0..4).all(|i| (0..i).all(|j| names[i] != names[j])));
        assert_eq!((name_of(&[]), name_of(&zeros)), (None, names[0]));
    }

    #[test]
    fn knows_what_has_to_come_back() {
        let kernel = AnyKernel::GemmI8;
        let job = kernel.handling().checks().remove(0);
        let all = kernel.geometry(&job.params).unwrap().leaves().unwrap();
        let of = |leaves, level| {
            let commit = Commit { salt: [1; 32], level };
            Job::new(kernel.id(), &job.params, &job.inputs(), leaves, Some(&commit)).map(|job| (job.bytes, job.nodes))
        };
        let whole = of(0..all, 0).unwrap();
        assert_eq!((whole.1 as u64, of(0..all, 1).unwrap().1 as u64), (all, all.div_ceil(2)));
        assert_eq!((of(0..all, 63).unwrap().1, of(0..all, 64).unwrap().1, of(2..2, 64).unwrap()), (1, 1, (0, 0)));
        assert_eq!(of(0..all + 1, 0), Err(ExecError::LeafRange));
        assert!(matches!(
            Job::new(kernel.id(), &job.params, &Inputs::default(), 0..1, None).map(|job| job.bytes),
            Err(ExecError::InputLength { input: 0, .. })
        ));
    }
}
