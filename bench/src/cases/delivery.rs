//! Delivery: leaves posted to the ledger, and what an attestor says.

use assay_client::ix;
use assay_settlement::{DeliveryMode, seeds};
use assay_tests::{Task, Work, World};

use super::{Case, case};
use crate::{
    measure::Shot,
    scene::{committed_with, done, tries, world},
};

pub const CASES: &[Case] = &[
    case("demand_leaves", "1 leaf", || demand(&[0])),
    case("demand_leaves", "2 leaves", || demand(&[0, 1])),
    case("post_leaf", "a leaf of 256 bytes, inline", post),
    case("close_delivery", "", close),
    case("attest_delivery", "", attest),
];

/// A committed shard of a job with ledger delivery.
fn ledger() -> (World, Task, Work) {
    let mut w = world();
    let (task, work) = committed_with(&mut w, |request| request.delivery = DeliveryMode::Ledger as u8);
    (w, task, work)
}

fn demand(leaves: &[u64]) -> (World, Shot) {
    let (w, task, _) = ledger();
    let found = [tries::delivery(&seeds::shard(&task.job, 0))];
    let shot = Shot::new(w.demand_ix(&task, 0, leaves), &[&task.renter]).deriving(&found);
    (w, shot)
}

fn post() -> (World, Shot) {
    let (mut w, task, work) = ledger();
    w.demand(&task, 0, &[0, 1]);
    let operator = w.alice.operator.clone();
    let shot = Shot::new(w.post_ix(&task, &work, 1, 1, &operator), &[&operator]);
    (w, shot)
}

fn close() -> (World, Shot) {
    let (mut w, task, work) = ledger();
    w.demand(&task, 0, &[0]);
    let (alice, stranger) = (w.alice.clone(), w.stranger.clone());
    w.post_all(&task, &work, &alice.operator);
    w.accept(&task, 0);
    let settle = w.settle_ix(&task, 0, &alice);
    done(&mut w, settle, &[&stranger]);
    let shot = Shot::new(w.close_delivery_ix(&task, 0), &[&stranger]);
    (w, shot)
}

fn attest() -> (World, Shot) {
    let mut w = world();
    let attestor = w.stranger.clone();
    let (task, _) = committed_with(&mut w, |request| {
        request.delivery = DeliveryMode::Attested as u8;
        request.attestor = attestor.id();
    });
    (w, Shot::new(ix::attest_delivery(attestor.id(), &task.job, 0, true), &[&attestor]))
}
