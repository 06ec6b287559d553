//! Claims and commitments.

use assay_tests::{World, world::EXECUTE};

use super::{Case, case};
use crate::{
    measure::Shot,
    scene::{claimed, done, image, tries, world},
};

pub const CASES: &[Case] = &[
    case("claim_shard", "first claim: makes the shard", || claim(1)).floor(3_800).aim(8_000),
    case("claim_shard", "the same, its address found at the second try", || claim(2)),
    case("claim_shard", "given back before", claim_again),
    case("release_claim", "", release),
    case("expire_claim", "", expire),
    case("commit_result", "", commit).floor(550).aim(2_000),
];

/// Claims a shard whose address takes so many tries.
fn claim(wanted: u32) -> (World, Shot) {
    let mut w = world();
    // 64 leaves, each a shard.
    let task = w.create(image(64, 64, 1));
    let index = (0..64).find(|index| tries::shard(&task.job, *index) == wanted).unwrap();
    let shot = Shot::new(w.claim_ix(&task, index, &w.alice), &[&w.alice.operator]).deriving(&[wanted]);
    (w, shot)
}

fn claim_again() -> (World, Shot) {
    let mut w = world();
    let task = claimed(&mut w);
    let alice = w.alice.clone();
    let release = w.release_ix(&task, 0, &alice);
    done(&mut w, release, &[&alice.operator]);
    let shot = Shot::new(w.claim_ix(&task, 0, &alice), &[&alice.operator]);
    (w, shot)
}

fn release() -> (World, Shot) {
    let mut w = world();
    let task = claimed(&mut w);
    let shot = Shot::new(w.release_ix(&task, 0, &w.alice), &[&w.alice.operator]);
    (w, shot)
}

fn expire() -> (World, Shot) {
    let mut w = world();
    let task = claimed(&mut w);
    w.chain.pass(EXECUTE);
    let shot = Shot::new(w.expire_ix(&task, 0, &w.alice, &w.stranger), &[&w.stranger]);
    (w, shot)
}

fn commit() -> (World, Shot) {
    let mut w = world();
    let task = claimed(&mut w);
    let root = w.work(&task, 0, &w.alice).tree.root();
    let shot = Shot::new(w.commit_ix(&task, 0, &w.alice, root), &[&w.alice.operator]);
    (w, shot)
}
