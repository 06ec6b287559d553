//! The renter's part: the best candidate of a result.

use core::cmp::Ordering;

use super::{CELL_BYTES, Cell, Params};
use crate::hash::Hash;

/// The best candidate of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    /// Its nonce.
    pub nonce: u64,
    /// Its digest.
    pub digest: Hash,
}

/// The candidate with the lowest score in `bytes`, whole cells of a job with these params, in any order: a leaf, a
/// shard or the whole result. Of equal scores the lowest nonce. The digest is computed here, not taken from the cells.
///
/// `None` when there is no cell in `bytes`, something else than whole cells, or when the best of them is wrong: its
/// score is not that of its nonce.
pub fn best_of(params: &Params, bytes: &[u8]) -> Option<Best> {
    let (cells, []) = bytes.as_chunks::<{ CELL_BYTES as usize }>() else { return None };
    let full = |cell: &Cell| params.score(&params.hash(cell.nonce));
    let best = cells.iter().map(Cell::from_bytes).reduce(|best, cell| {
        // A cell has the beginning of its score only; two that begin alike are all but never met.
        let order = match cell.score.cmp(&best.score) {
            Ordering::Equal => full(&cell).cmp(&full(&best)).then(cell.nonce.cmp(&best.nonce)),
            order => order,
        };
        if order == Ordering::Less { cell } else { best }
    })?;
    let digest = params.hash(best.nonce);
    params.score(&digest).starts_with(&best.score).then_some(Best { nonce: best.nonce, digest })
}
