//! Hashing the leaves of a job's result, many of one length at a time.

use core::ops::Range;

use super::tree::{above, leaf_hashes};
use crate::abi::Geometry;
use crate::hash::Hash;

/// The salted hashes of `leaves`, whose bytes these are, on all cores; none where they are not as long.
pub fn salted_leaf_hashes(geometry: &Geometry, leaves: Range<u64>, bytes: &[u8], salt: &Hash) -> Option<Vec<Hash>> {
    let mut hashes = Vec::new();
    let all = usize::try_from(leaves.end.checked_sub(leaves.start)?).ok()?;
    hashes.try_reserve_exact(all).ok()?;
    hashes.resize(all, [0; 32]);
    let (mut to, mut rest, mut at) = (hashes.as_mut_slice(), bytes, leaves.start);
    while at < leaves.end {
        let (count, each) = leaves_alike(geometry, at..leaves.end)?;
        let these = usize::try_from(count.checked_mul(u64::from(each))?).ok()?;
        let (own, behind) = rest.split_at_checked(these)?;
        let (places, others) = to.split_at_mut_checked(usize::try_from(count).ok()?)?;
        leaf_hashes(own, usize::try_from(each).ok()?, Some(salt), places);
        (at, rest, to) = (at.checked_add(count)?, behind, others);
    }
    rest.is_empty().then_some(hashes)
}

/// The nodes at `level` over leaf hashes, counted from the first: the last stands for what is left.
pub fn nodes_of(hashes: Vec<Hash>, level: u8) -> Vec<Hash> {
    let mut nodes = hashes;
    for _ in 0..level {
        if nodes.len() <= 1 {
            break;
        }
        nodes = above(&nodes);
    }
    nodes
}

/// How many of the leaves, from the first on, have its length, and what it is. None where there is no such leaf.
pub(crate) fn leaves_alike(geometry: &Geometry, leaves: Range<u64>) -> Option<(u64, u32)> {
    let each = geometry.leaf_span(leaves.start)?.bytes;
    let mut before = 0u64;
    for class in geometry.used_classes() {
        let end = before.checked_add(class.leaves()?)?;
        if leaves.start < end {
            // Of a class only the last leaf may be shorter.
            let whole = before.checked_add(class.cells.checked_div(u64::from(class.cells_per_leaf))?)?;
            let to = whole.max(leaves.start.checked_add(1)?).min(leaves.end);
            return Some((to.checked_sub(leaves.start)?, each));
        }
        before = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::CostClass;
    use crate::merkle::{Tree, salted_leaf_hash};
    use proptest::prelude::*;

    proptest! {
        /// Any range of leaves of a job with several classes is hashed leaf by leaf, short ones among them.
        #[test]
        fn leaves_of_all_lengths(
            classes in prop::collection::vec((1u64..60, 1u32..5, 1u32..70), 1..5), a in any::<prop::sample::Index>(),
            b in any::<prop::sample::Index>(), level in 0u8..7,
        ) {
            let mut geometry = Geometry::uniform(1, 1, 1);
            geometry.classes = classes.len() as u16;
            for (to, (cells, cells_per_leaf, cell_bytes)) in geometry.class.iter_mut().zip(&classes) {
                let of = CostClass { cells: *cells, cells_per_leaf: *cells_per_leaf, cell_bytes: *cell_bytes, ..*to };
                *to = CostClass { cost: 1, ..of };
            }
            let leaves = geometry.leaves().unwrap();
            let (a, b) = (a.index(leaves as usize + 1) as u64, b.index(leaves as usize + 1) as u64);
            let range = a.min(b)..a.max(b);
            let (mut bytes, mut expected) = (Vec::new(), Vec::new());
            for leaf in range.clone() {
                let own: Vec<u8> = (0..geometry.leaf_span(leaf).unwrap().bytes).map(|i| (leaf * 31) as u8 ^ i as u8).collect();
                expected.push(salted_leaf_hash(&[5; 32], &own));
                bytes.extend(own);
            }
            let hashes = salted_leaf_hashes(&geometry, range.clone(), &bytes, &[5; 32]);
            prop_assert_eq!(hashes.as_ref(), Some(&expected));
            let runs = expected.chunks(1 << level).map(|run| Tree::from_leaf_hashes(run.to_vec()).root());
            prop_assert_eq!(nodes_of(expected.clone(), level), runs.collect::<Vec<_>>());
            bytes.push(0);
            prop_assert_eq!(salted_leaf_hashes(&geometry, range.clone(), &bytes, &[5; 32]), None);
            bytes.truncate(bytes.len().saturating_sub(2));
            prop_assert!(range.is_empty() || salted_leaf_hashes(&geometry, range, &bytes, &[5; 32]).is_none());
            prop_assert_eq!(salted_leaf_hashes(&geometry, 0..leaves + 1, &bytes, &[5; 32]), None);
        }
    }
}
