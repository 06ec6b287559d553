//! Debts that a frozen vault holds back can be given up by the renter, so that its job can close; only then, and never
//! the bounty of somebody else.

use assay_settlement::{Job, constants::BOUNTY_WAIT_SECONDS, error::AssayError as E};
use assay_tests::{Provider, Refusal, Spec, Task, World, world::STAKE};

/// SPL Token's "account is frozen".
const FROZEN: Refusal = Refusal::Custom(17);

/// A convicted shard whose debts nobody has moved; the watcher is owed the bounty.
fn slashed() -> (World, Task, Provider) {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, watcher) = (w.alice.clone(), w.watcher.clone());
    w.claim(&task, 0, &alice);
    let forged = w.forged(&task, 0, &alice, &[3]);
    w.commit(&task, &alice, &forged);
    w.judge(&task, &forged, 3, &watcher).unwrap();
    w.cancel(&task);
    (w, task, alice)
}

#[test]
fn debts_are_not_waived_while_they_can_be_paid() {
    let (mut w, task, alice) = slashed();
    let renter = task.renter.clone();
    w.refused(E::NotFrozen, &[w.waive_ix(&task, 0, &alice)], &[&renter]);
    w.ok(&[w.seize_ix(&task, 0, &alice)], &[&renter]);
    w.refused(E::NotFrozen, &[w.waive_ix(&task, 0, &alice)], &[&renter]);
}

#[test]
fn only_the_renter_waives_and_only_what_a_slash_left() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, renter, stranger) = (w.alice.clone(), w.renter.clone(), w.stranger.clone());
    w.claim(&task, 0, &alice);
    let vault = w.provider(&alice).vault;
    w.freeze(&vault, true);
    w.refused(E::WrongState, &[w.waive_ix(&task, 0, &alice)], &[&renter]);
    let waive = assay_tests::world::swapped(&w.waive_ix(&task, 0, &alice), &renter.id(), &stranger.id());
    w.refused(E::NotAuthorized, &[waive], &[&stranger]);
}

#[test]
fn a_bounty_is_not_the_renters_to_waive() {
    let (mut w, task, alice) = slashed();
    let (renter, stranger, watcher) = (task.renter.clone(), w.stranger.clone(), w.watcher.clone());
    let vault = w.provider(&alice).vault;
    w.freeze(&vault, true);
    // The escrow of the shard is freed first.
    w.refused(E::StillNeeded, &[w.waive_ix(&task, 0, &alice)], &[&renter]);
    w.ok(&[w.seize_ix(&task, 0, &alice)], &[&stranger]);
    w.refused(E::StillNeeded, &[w.waive_ix(&task, 0, &alice)], &[&renter]);
    w.refused(FROZEN, &[w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&stranger]);
    w.chain.advance(u64::from(BOUNTY_WAIT_SECONDS) - 10);
    w.refused(E::StillNeeded, &[w.waive_ix(&task, 0, &alice)], &[&renter]);
    w.chain.pass(BOUNTY_WAIT_SECONDS);
    w.ok(&[w.waive_ix(&task, 0, &alice)], &[&renter]);
    w.refused(E::NothingOwed, &[w.waive_ix(&task, 0, &alice)], &[&renter]);
    w.refused(E::NothingOwed, &[w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&stranger]);
    w.refused(E::NothingOwed, &[w.seize_ix(&task, 0, &alice)], &[&stranger]);
    let provider = w.provider(&alice);
    assert_eq!((provider.locked, provider.staked), (0, STAKE), "given up is given back");
    w.close(&task);
    assert!(w.find::<Job>(&task.job).is_none());
    w.freeze(&vault, false);
    w.withdraw(&alice, STAKE);
}

#[test]
fn a_paid_bounty_leaves_the_rest_to_be_waived_at_once() {
    let (mut w, task, alice) = slashed();
    let (renter, stranger, watcher) = (task.renter.clone(), w.stranger.clone(), w.watcher.clone());
    w.ok(&[w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&stranger]);
    let vault = w.provider(&alice).vault;
    w.freeze(&vault, true);
    w.ok(&[w.seize_ix(&task, 0, &alice)], &[&stranger]);
    assert_eq!(w.provider(&alice).locked, 1_350_000);
    w.ok(&[w.waive_ix(&task, 0, &alice)], &[&renter]);
    assert_eq!((w.provider(&alice).locked, w.provider(&alice).staked), (0, STAKE - 150_000));
    w.close(&task);
}

#[test]
fn a_frozen_job_vault_is_reason_enough() {
    let (mut w, task, alice) = slashed();
    let (renter, stranger, watcher) = (task.renter.clone(), w.stranger.clone(), w.watcher.clone());
    w.ok(&[w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&stranger]);
    let vault = w.job(&task).vault;
    w.freeze(&vault, true);
    w.ok(&[w.seize_ix(&task, 0, &alice)], &[&stranger]);
    w.ok(&[w.waive_ix(&task, 0, &alice)], &[&renter]);
    // Shard and provider are free; the job's own vault waits for the mint's issuer.
    w.ok(&[w.close_shard_ix(&task, 0)], &[&stranger]);
    w.retire(&alice);
    w.refused(FROZEN, &[w.close_job_ix(&task)], &[&stranger]);
    w.freeze(&vault, false);
    w.ok(&[w.close_job_ix(&task)], &[&stranger]);
}

#[test]
fn a_frozen_vault_holds_back_an_answered_bond_and_its_shard() {
    // What waiving does not reach: an answered challenge waits for the vault, and the shard's account for the challenge.
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, stranger) = (w.alice.clone(), w.stranger.clone());
    let work = w.claim_and_commit(&task, 0, &alice);
    w.challenge(&task, 0, 9, &stranger);
    w.judge(&task, &work, 9, &alice.operator).unwrap();
    w.accept(&task, 0);
    w.settle(&task, 0, &alice);
    w.cancel(&task);
    let vault = w.provider(&alice).vault;
    w.freeze(&vault, true);
    w.refused(FROZEN, &[w.pay_challenge_ix(&task, 0, 9)], &[&stranger]);
    w.refused(E::StillNeeded, &[w.close_shard_ix(&task, 0)], &[&stranger]);
    // The renter has its money; only rent waits.
    w.ok(&[w.refund_ix(&task)], &[&stranger]);
    w.freeze(&vault, false);
    w.pay_challenge(&task, 0, 9);
    w.close(&task);
}
