//! Building what posting a demanded leaf needs: its bytes and its path, inline where they fit one transaction and else
//! laid out for an evidence account.

use crate::{
    answer::{account_bytes, broken},
    client_error::ClientError,
    ix::LeafBytes,
    result::CommittedResult,
    wire::Wire,
};
use assay_kernels::abi::IN_EVIDENCE;
use assay_settlement::{EVIDENCE_HEADER_BYTES, constants::MAX_EVIDENCE_BYTES};

/// What `post_leaf` needs of one leaf.
#[derive(Clone, Debug)]
pub struct Posting {
    /// The arguments.
    pub bytes: LeafBytes,
    /// What the evidence account must hold from `EVIDENCE_HEADER_BYTES` on; None when everything is inline.
    pub evidence: Option<Vec<u8>>,
}

impl Posting {
    /// Builds the posting of a job-wide leaf of a result, inline where a transaction of this form takes it.
    ///
    /// # Errors
    /// [`ClientError::UnexpectedAccount`] when the shard has no such leaf.
    pub fn build(wire: Wire, result: &dyn CommittedResult, leaf: u64) -> Result<Self, ClientError> {
        let (mut pool, path) = result.open(leaf)?;
        let path_at = pool.len();
        pool.extend_from_slice(path.as_flattened());
        let inline = pool.len() <= wire.inline_bytes();
        if !inline && account_bytes(&pool) > MAX_EVIDENCE_BYTES {
            return Err(broken("the leaf is larger than an evidence account"));
        }
        let offset = |at: usize| {
            let at = if inline { at } else { at.saturating_add(EVIDENCE_HEADER_BYTES) };
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            if inline { at } else { at | IN_EVIDENCE }
        };
        let (at, path_at) = (offset(0), offset(path_at));
        Ok(if inline {
            Self { bytes: LeafBytes { at, path_at, inline: pool }, evidence: None }
        } else {
            Self { bytes: LeafBytes { at, path_at, inline: Vec::new() }, evidence: Some(pool) }
        })
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "test code")]
mod tests {
    use super::*;
    use crate::answer::{INLINE_BYTES, ShardTree, pieces};
    use assay_settlement::{
        CostClass, JobTerms, Shard,
        rules::opening::{Bytes, Commitment},
    };
    use bytemuck::Zeroable;
    use solana_pubkey::Pubkey;

    /// Posts every leaf of a shard with leaves of so many bytes as the program would take it; returns whether inline.
    fn posted(cells_per_leaf: u32, cell_bytes: u32) -> Vec<bool> {
        let mut terms = JobTerms::zeroed();
        (terms.leaves, terms.shard_leaves, terms.shards, terms.classes) = (5, 5, 1, 1);
        let cells = u64::from(cells_per_leaf) * 5;
        terms.class[0] = CostClass { cells, cost: 1, cells_per_leaf, cell_bytes, stage: 0, reserved: 0 };
        let (address, provider) = (Pubkey::new_from_array([1; 32]), Pubkey::new_from_array([2; 32]));
        let length = usize::try_from(cells * u64::from(cell_bytes)).unwrap();
        let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        let result = ShardTree::new(&terms, 0, &address, &provider, bytes).unwrap();
        let mut shard = Shard::zeroed();
        (shard.provider, shard.root) = (provider, result.root());
        let commitment = Commitment::of(&terms, &shard, &address).unwrap();
        assert!(Posting::build(Wire::V0, &result, 5).is_err());
        let post = |leaf| {
            let Posting { bytes: LeafBytes { at, path_at, inline }, evidence } =
                Posting::build(Wire::V0, &result, leaf).unwrap();
            let mut account = vec![0; evidence.as_deref().map_or(0, account_bytes)];
            for (at, piece) in pieces(Wire::V0, 0, evidence.as_deref().unwrap_or_default()) {
                let at = usize::try_from(at).unwrap();
                account[at..at + piece.len()].copy_from_slice(&piece);
            }
            let bytes = Bytes { inline: &inline, evidence: &account };
            let (found, _) = commitment.leaf(leaf, at, path_at, &bytes).unwrap();
            assert_eq!(Some(found), result.leaf(leaf));
            evidence.is_none()
        };
        (0..5).map(post).collect()
    }

    #[test]
    fn leaves_of_any_size_lead_to_the_root() {
        assert_eq!(posted(128, 2), [true; 5]);
        // The last leaf's path is two nodes shorter than the others'.
        let room = u32::try_from(INLINE_BYTES).unwrap() - 3 * 32;
        assert_eq!(posted(1, room), [true; 5]);
        assert_eq!(posted(1, room + 1), [false, false, false, false, true]);
        assert_eq!(posted(64, 1_024), [false; 5]);
    }
}
