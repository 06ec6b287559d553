//! Jobs from creation to the last closed account.

use assay_settlement::ShardState;
use assay_tests::{Spec, World};

#[test]
fn an_image_is_proven_paid_and_leaves_nothing_behind() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, bob) = (w.alice.clone(), w.bob.clone());
    w.prove(&task, 0, &alice);
    w.prove(&task, 1, &bob);
    assert_eq!(w.shard(&task, 0).state(), Some(ShardState::Settled));
    w.close(&task);
}
