//! Merkle trees on the processor's cores.

use anyhow::{Result, ensure};
use assay_kernels::{
    hash::{
        Hash,
        many::{Messages, Way, hash_all_by},
    },
    merkle::{LEAF_TAG, Tree, salted_leaf_hash},
    random::Random,
};
use rayon::prelude::*;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    report::{Section, ratio},
    round::{Turns, seconds, turns},
    work::spell,
};

const LEAVES: usize = 1 << 17;
const LEAF_BYTES: usize = 256;

const TEXT: &str = "\
Leaves of 256 bytes, salted (five blocks of SHA-256 each), and inner nodes (two blocks each), all cores. **Plain**:
RustCrypto's sha2 with the processor's instructions where it has them, one message after the other on every core.
";

fn plain_leaf(salt: &Hash, leaf: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(salt).chain_update(leaf).finalize().into()
}

fn plain_level(below: &[Hash]) -> Vec<Hash> {
    let node = |pair: &[Hash]| match pair {
        [left, right] => Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into(),
        other => other.first().copied().unwrap_or_default(),
    };
    below.par_chunks(2).map(node).collect()
}

/// Measures hashing of leaves, of nodes, and of both together.
///
/// # Errors
/// The two ways do not agree.
pub fn section() -> Result<Section> {
    eprintln!("hashing on the processor");
    let mut section = Section::new("hashing", "Hashing on the processor", TEXT);
    section.columns(&["What", "Hashes/s", "Plain, hashes/s", "Ratio"]);
    let mut random = Random::new(3);
    let bytes: Vec<u8> = (0..LEAVES * LEAF_BYTES / 8).flat_map(|_| random.bits().to_le_bytes()).collect();
    let salt: Hash = std::array::from_fn(|_| random.bits() as u8);
    let leaves = || bytes.par_chunks(LEAF_BYTES).map(|leaf| plain_leaf(&salt, leaf)).collect::<Vec<Hash>>();
    let root = |leaves: Vec<Hash>| {
        let mut level = leaves;
        while level.len() > 1 {
            level = plain_level(&level);
        }
        level.first().copied().unwrap_or_default()
    };
    let hashes = leaves();
    let tree = Tree::from_bytes(&bytes, LEAF_BYTES, Some(&salt));
    ensure!(tree.root() == root(hashes.clone()), "another root");
    ensure!(tree.leaf_hashes().first() == bytes.get(..LEAF_BYTES).map(|leaf| salted_leaf_hash(&salt, leaf)).as_ref());

    let (nodes, all) = ((LEAVES - 1) as f64, (2 * LEAVES - 1) as f64);
    let rate = |number: f64, time: f64| Ok(number / time);
    let measured = [
        (
            "inner nodes",
            turns(
                || rate(nodes, seconds(|| Tree::from_leaf_hashes(hashes.clone())).1),
                || rate(nodes, seconds(|| root(hashes.clone())).1),
            )?,
        ),
        (
            "leaves and inner nodes",
            turns(
                || rate(all, seconds(|| Tree::from_bytes(&bytes, LEAF_BYTES, Some(&salt))).1),
                || rate(all, seconds(|| root(leaves())).1),
            )?,
        ),
    ];
    // The ways that this processor has, each over the plain one: the fastest, as measured here, is what trees are made with.
    let own = |way: Way| {
        let mut out = vec![[0; 32]; LEAVES];
        let messages = Messages { tag: LEAF_TAG, prefix: &salt, bytes: &bytes, each: LEAF_BYTES };
        let run = || {
            let time = seconds(|| hash_all_by(way, &messages, &mut out)).1;
            ensure!(out.first() == hashes.first() && out.last() == hashes.last(), "{}: another hash", way.name());
            Ok(LEAVES as f64 / time)
        };
        turns(run, || rate(LEAVES as f64, seconds(leaves).1))
    };
    let mut lines: Vec<(String, Turns)> = Vec::new();
    for way in Way::ALL.into_iter().filter(|way| way.is_here()) {
        let fastest = if way == Way::fastest() { ", the fastest here" } else { "" };
        lines.push((format!("leaves, {}{fastest}", way.name()), own(way)?));
    }
    lines.extend(measured.map(|(what, turns)| (what.to_owned(), turns)));
    for (what, turns) in lines {
        let json = json!({
            "what": what,
            "hashes_per_second": turns.ours,
            "plain_hashes_per_second": turns.theirs,
            "ratio": turns.ratio,
            "ratio_least": turns.least,
            "ratio_most": turns.most,
        });
        section.add(&[&what, &spell(turns.ours), &spell(turns.theirs), &ratio(&turns)], json);
    }
    Ok(section)
}
