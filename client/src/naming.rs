//! Which cells a renter names: drawn by itself, by cost, from randomness that nobody else has seen. A leader who biases the
//! chain's draw knows nothing of these, which is what makes the bias worthless (docs/economics.md).

use assay_settlement::{JobTerms, Shard, constants::MAX_CELLS};
use solana_pubkey::Pubkey;

/// How often cells that the chain drew already are drawn anew before they are left out.
const TRIES: usize = 16;

/// Cells to name of a committed shard, numbered inside it, ascending and each once: as many as the terms allow, none of those
/// that the chain has drawn. Fewer, or none, where the shard has no others. `random` gives fresh random bytes at every call.
pub fn choose(terms: &JobTerms, address: &Pubkey, shard: &Shard, mut random: impl FnMut() -> [u8; 32]) -> Vec<u64> {
    let wanted = usize::from(terms.named);
    let drawn: Vec<u64> = shard.cells.iter().take(usize::from(shard.drawn)).copied().collect();
    let mut chosen = Vec::with_capacity(wanted);
    let Some(range) = terms.shard(shard.index) else { return chosen };
    for _ in 0..TRIES {
        let mut cells = [0u64; MAX_CELLS];
        let Ok(count) = range.draw(&random(), address.as_array(), &shard.root, terms.named, &mut cells) else { break };
        for cell in cells.into_iter().take(usize::from(count)) {
            if chosen.len() < wanted && !chosen.contains(&cell) && !drawn.contains(&cell) {
                chosen.push(cell);
            }
        }
        if chosen.len() == wanted {
            break;
        }
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_settlement::CostClass;
    use bytemuck::Zeroable;

    fn terms(cells: u64, named: u8) -> JobTerms {
        let mut t = JobTerms::zeroed();
        (t.shards, t.classes, t.named) = (1, 1, named);
        t.class[0] = CostClass { cells, cost: 1, cells_per_leaf: 4, cell_bytes: 4, ..CostClass::zeroed() };
        (t.leaves, t.shard_leaves) = (cells.div_ceil(4), cells.div_ceil(4));
        t
    }

    fn counter() -> impl FnMut() -> [u8; 32] {
        let mut n = 0u8;
        move || {
            n = n.wrapping_add(1);
            [n; 32]
        }
    }

    #[test]
    fn as_many_as_allowed_and_none_that_is_drawn_already() {
        let mut shard = Shard::zeroed();
        shard.drawn = 3;
        shard.cells[..3].copy_from_slice(&[0, 5, 9]);
        let cells = choose(&terms(12, 6), &Pubkey::new_from_array([1; 32]), &shard, counter());
        assert_eq!(cells.len(), 6);
        assert!(cells.is_sorted_by(|a, b| a < b) && cells.iter().all(|c| *c < 12 && ![0, 5, 9].contains(c)));
    }

    #[test]
    fn nothing_is_left_to_name_of_a_shard_that_is_drawn_whole() {
        let mut shard = Shard::zeroed();
        shard.drawn = 3;
        shard.cells[..3].copy_from_slice(&[0, 1, 2]);
        assert!(choose(&terms(3, 3), &Pubkey::default(), &shard, counter()).is_empty());
    }

    #[test]
    fn other_randomness_names_other_cells() {
        let shard = Shard::zeroed();
        let (one, two) = (
            choose(&terms(1 << 20, 3), &Pubkey::default(), &shard, || [1; 32]),
            choose(&terms(1 << 20, 3), &Pubkey::default(), &shard, || [2; 32]),
        );
        assert_ne!(one, two);
    }
}
