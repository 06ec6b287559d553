use proptest::prelude::*;

use super::*;

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn hash(hex: &str) -> Hash {
    unhex(hex).try_into().unwrap()
}

/// The reference tree of the Certificate Transparency implementations (`merkle_tree_test`).
const CT_LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const CT_ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
/// Inclusion proofs of the same suite: leaf (from 1), tree size, path.
const CT_PATHS: [(u64, u64, &[&str]); 4] = [
    (
        1,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (3, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        2,
        5,
        &[
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
];

#[test]
fn certificate_transparency_vectors() {
    let leaves: Vec<Hash> = CT_LEAVES.iter().map(|leaf| leaf_hash(&unhex(leaf))).collect();
    for (n, root) in (1..).zip(CT_ROOTS) {
        assert_eq!(Tree::from_leaf_hashes(leaves[..n].to_vec()).root(), hash(root), "{n} leaves");
        let mut run = RunHasher::new();
        leaves[..n].iter().for_each(|leaf| run.push(*leaf));
        assert_eq!(run.finish(), Some(hash(root)), "{n} leaves one by one");
    }
    for (leaf, size, path) in CT_PATHS {
        let (index, path): (u64, Vec<Hash>) = (leaf - 1, path.iter().map(|node| hash(node)).collect());
        let root = hash(CT_ROOTS[size as usize - 1]);
        assert!(verify_leaf(&leaves[index as usize], index, size, &path, &root), "leaf {leaf} of {size}");
        assert_eq!(Tree::from_leaf_hashes(leaves[..size as usize].to_vec()).path(index), path);
        assert_eq!(path_len(index, size) as usize, path.len());
    }
    let empty = Tree::from_leaf_hashes(Vec::new());
    assert_eq!(empty.root(), hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    assert!(empty.is_empty() && empty.path(0).is_empty());
    assert_eq!(RunHasher::new().finish(), None);
}

/// Proofs for leaves of a tree of eight and of smaller ones, and what becomes of them where they are altered.
#[test]
fn inclusion_proofs_of_transparency_dev() {
    let (mut right, mut wrong, mut of_the_suite) = (0, 0, 0);
    for line in include_str!("inclusion.txt").lines().filter(|line| !line.starts_with('#')) {
        let [verdict, index, size, root, leaf, path] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let (index, size): (u64, u64) = (index.parse().unwrap(), size.parse().unwrap());
        let path: Vec<Hash> = path.split(',').filter(|node| *node != "-").map(hash).collect();
        let verdict = verdict == "right";
        assert_eq!(verify_leaf(&hash(leaf), index, size, &path, &hash(root)), verdict, "{line}");
        *(if verdict { &mut right } else { &mut wrong }) += 1;
        // One tree is of a leaf that is not among the suite's.
        if verdict && root == CT_ROOTS[size as usize - 1] {
            of_the_suite += 1;
            let leaves: Vec<Hash> = CT_LEAVES[..size as usize].iter().map(|leaf| leaf_hash(&unhex(leaf))).collect();
            let tree = Tree::from_leaf_hashes(leaves);
            assert_eq!((tree.root(), tree.path(index)), (hash(root), path));
        }
    }
    assert_eq!((right, wrong, of_the_suite), (6, 66, 5));
}

#[test]
fn salts_and_tags_separate() {
    let (a, b, c) = ([1; 32], [2; 32], [3; 32]);
    let own = salt(&a, &b, &c);
    assert_eq!(own, sha256(&[b"assay:salt:v1", &[1; 32], &[2; 32], &[3; 32]]));
    assert_ne!(own, salt(&b, &a, &c));
    assert_ne!(own, salt(&a, &c, &b));
    assert_eq!(salted_leaf_hash(&own, b"x"), sha256(&[&[0], &own, b"x"]));
    assert_ne!(leaf_hash(&[own, own].concat()), node_hash(&own, &own));
}

/// RFC 6962's definition, word by word.
fn rfc_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let k = leaves.len().next_power_of_two() / 2;
            node_hash(&rfc_root(&leaves[..k]), &rfc_root(&leaves[k..]))
        }
    }
}

/// RFC 6962's definition of a path, and for each node whether it stands on the left, lowest first.
fn rfc_path(index: usize, leaves: &[Hash]) -> Vec<(Hash, bool)> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let k = leaves.len().next_power_of_two() / 2;
    let mut path;
    if index < k {
        path = rfc_path(index, &leaves[..k]);
        path.push((rfc_root(&leaves[k..]), false));
    } else {
        path = rfc_path(index - k, &leaves[k..]);
        path.push((rfc_root(&leaves[..k]), true));
    }
    path
}

fn leaves(size: usize) -> Vec<Hash> {
    (0..size as u64).map(|i| leaf_hash(&i.to_le_bytes())).collect()
}

fn sides(index: u64, size: u64) -> Option<Vec<bool>> {
    (index < size).then(|| rfc_path(index as usize, &leaves(size as usize)).into_iter().map(|node| node.1).collect())
}

proptest! {
    #[test]
    fn tree_is_the_rfc_definition_and_every_proof_verifies(size in 1usize..700, index in any::<prop::sample::Index>()) {
        let leaves = leaves(size);
        let tree = Tree::from_leaf_hashes(leaves.clone());
        prop_assert_eq!(tree.root(), rfc_root(&leaves));
        prop_assert_eq!(tree.len(), size as u64);
        let index = index.index(size);
        let path: Vec<Hash> = rfc_path(index, &leaves).into_iter().map(|node| node.0).collect();
        prop_assert_eq!(&tree.path(index as u64), &path);
        prop_assert_eq!(path_len(index as u64, size as u64) as usize, path.len());
        prop_assert!(verify_leaf(&leaves[index], index as u64, size as u64, &path, &tree.root()));
    }

    #[test]
    fn whatever_is_altered_fails(
        size in 1u64..200, index in any::<prop::sample::Index>(), other in 0u64..400, at in any::<prop::sample::Index>(),
        bit in 0usize..256,
    ) {
        let leaves = leaves(size as usize);
        let tree = Tree::from_leaf_hashes(leaves.clone());
        let (index, root) = (index.index(size as usize), tree.root());
        let (leaf, path, index) = (leaves[index], tree.path(index as u64), index as u64);
        let flip = |hash: &Hash| { let mut hash = *hash; hash[bit / 8] ^= 1 << (bit % 8); hash };
        prop_assert!(!verify_leaf(&flip(&leaf), index, size, &path, &root));
        prop_assert!(!verify_leaf(&leaf, index, size, &path, &flip(&root)));
        if other != index {
            prop_assert!(!verify_leaf(&leaf, other, size, &path, &root), "index {other}");
        }
        // Another size is told apart wherever it gives the leaf another way up; the job fixes the size.
        let same_way = sides(index, other) == sides(index, size);
        prop_assert_eq!(verify_leaf(&leaf, index, other, &path, &root), same_way, "size {}", other);
        if !path.is_empty() {
            let at = at.index(path.len());
            let mut altered = path.clone();
            altered[at] = flip(&altered[at]);
            prop_assert!(!verify_leaf(&leaf, index, size, &altered, &root));
            prop_assert!(!verify_leaf(&leaf, index, size, &path[..path.len() - 1], &root));
            let mut without = path.clone();
            without.remove(at);
            prop_assert!(!verify_leaf(&leaf, index, size, &without, &root));
        }
        let mut longer = path.clone();
        longer.push(root);
        prop_assert!(!verify_leaf(&leaf, index, size, &longer, &root));
    }

    #[test]
    fn runs_are_nodes_of_the_leafwise_tree(size in 1u64..700, start in any::<prop::sample::Index>(), level in 0u8..12) {
        let leaves = leaves(size as usize);
        let tree = Tree::from_leaf_hashes(leaves.clone());
        let start = start.index(size as usize) as u64 >> level << level;
        let count = run_count(start, level, size).unwrap();
        prop_assert_eq!(count, (1u64 << level).min(size - start));
        let run = &leaves[start as usize..(start + count) as usize];
        let mut hasher = RunHasher::new();
        run.iter().for_each(|leaf| hasher.push(*leaf));
        let run_root = hasher.finish().unwrap();
        prop_assert_eq!(run_root, rfc_root(run));
        prop_assert_eq!(tree.run_root(start, level), Some(run_root));
        let path = tree.run_path(start, level);
        prop_assert!(verify_run(&run_root, start, level, size, &path, &tree.root()));
        // Not elsewhere, not at another height, not with a leaf changed or moved.
        prop_assert!(!verify_run(&run_root, start ^ (1 << level), level, size, &path, &tree.root()));
        if level > 0 {
            prop_assert!(!verify_run(&run_root, start + 1, level, size, &path, &tree.root()));
            let below = run_count(start, level - 1, size) == Some(count);
            prop_assert_eq!(verify_run(&run_root, start, level - 1, size, &path, &tree.root()), below);
        }
        if count > 1 {
            let mut hasher = RunHasher::new();
            run.iter().rev().for_each(|leaf| hasher.push(*leaf));
            prop_assert!(!verify_run(&hasher.finish().unwrap(), start, level, size, &path, &tree.root()));
        }
    }

    #[test]
    fn covering_runs_cover_exactly(size in 1u64..5000, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let (a, b) = (a.index(size as usize + 1) as u64, b.index(size as usize + 1) as u64);
        let (start, end) = (a.min(b), a.max(b));
        let mut next = start;
        let mut found = 0;
        for run in runs(start, end, size) {
            prop_assert_eq!(run.start, next);
            prop_assert_eq!(run_count(run.start, run.level, size), Some(run.count));
            next += run.count;
            found += 1;
        }
        prop_assert_eq!(next, end);
        prop_assert!(found <= 2 * 13);
    }

    #[test]
    fn path_len_never_fails(index in any::<u64>(), size in any::<u64>()) {
        let len = path_len(index, size);
        prop_assert!(len <= 64);
        prop_assert_eq!(len == 0, index >= size || size == 1);
    }
}

#[test]
fn run_edges() {
    assert_eq!(run_count(0, 40, 5), Some(5));
    assert_eq!(run_count(0, 41, 5), None);
    assert_eq!(run_count(1, 1, 5), None);
    assert_eq!(run_count(4, 2, 5), Some(1));
    assert_eq!(run_count(8, 2, 5), None);
    assert_eq!(run_count(0, 0, 0), None);
    assert_eq!(run_count(u64::MAX - 1, 0, u64::MAX), Some(1));
    assert!(!verify_leaf(&[0; 32], 0, 0, &[], &[0; 32]));
    assert!(verify_leaf(&[7; 32], 0, 1, &[], &[7; 32]));
    assert_eq!(runs(0, 9, 5).count(), 0);
    assert_eq!(runs(0, 5, 5).collect::<Vec<_>>(), vec![Run { start: 0, level: 3, count: 5 }]);
    let expected = [(3, 0, 1), (4, 2, 4), (8, 1, 2)].map(|(start, level, count)| Run { start, level, count });
    assert_eq!(runs(3, 10, 11).collect::<Vec<_>>(), expected);
}

#[test]
fn large_trees_from_bytes_equal_the_serial_ones() {
    let bytes: Vec<u8> = (0..300_000u32).flat_map(|i| i.to_le_bytes()).collect();
    let salt = [9; 32];
    let serial: Vec<Hash> = bytes.chunks(256).map(|leaf| salted_leaf_hash(&salt, leaf)).collect();
    assert_eq!(Tree::from_bytes(&bytes, 256, Some(&salt)).leaf_hashes(), &serial);
    assert_eq!(Tree::from_bytes(&bytes, 256, Some(&salt)).root(), rfc_root(&serial));
    let serial: Vec<Hash> = bytes.chunks(1000).map(leaf_hash).collect();
    assert_eq!(Tree::from_bytes(&bytes, 1000, None).root(), rfc_root(&serial));
}
