//! A frozen token account stops what its owner is paid, and nobody else (protocol.md, sections 4 and 8).

use assay_client::ix;
use assay_settlement::{ShardState, error::AssayError as E};
use assay_tests::{
    Refusal, Spec, World,
    tokens::hand_over,
    world::{EXECUTE, PRICES, STAKE},
};
use solana_pubkey::Pubkey;

/// SPL Token's "account is frozen".
const FROZEN: Refusal = Refusal::Custom(17);

#[test]
fn a_frozen_renter_stops_no_provider() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, stranger) = (w.alice.clone(), w.stranger.clone());
    w.freeze(&task.renter.tokens, true);
    w.prove(&task, 0, &alice);
    let free = w.provider(&alice).staked;
    w.withdraw(&alice, free);
    w.cancel(&task);
    w.refused(FROZEN, &[w.refund_ix(&task)], &[&stranger]);
    w.freeze(&task.renter.tokens, false);
    w.close(&task);
}

#[test]
fn a_frozen_treasury_stops_no_refund() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, stranger) = (w.alice.clone(), w.stranger.clone());
    let treasury = w.market_data().treasury;
    w.freeze(&treasury, true);
    w.prove(&task, 0, &alice);
    w.cancel(&task);
    w.ok(&[w.refund_ix(&task)], &[&stranger]);
    w.ok(&[w.close_shard_ix(&task, 0)], &[&stranger]);
    // Only the sweep of fees waits, and with it the rent of the job's two accounts.
    w.refused(FROZEN, &[w.close_job_ix(&task)], &[&stranger]);
    w.freeze(&treasury, false);
    w.ok(&[w.close_job_ix(&task)], &[&stranger]);
}

#[test]
fn a_frozen_stake_vault_stops_neither_judgement_nor_the_others() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, bob, watcher) = (w.alice.clone(), w.bob.clone(), w.watcher.clone());
    w.claim(&task, 0, &alice);
    let forged = w.forged(&task, 0, &alice, &[3]);
    let vault = w.provider(&alice).vault;
    w.freeze(&vault, true);
    w.commit(&task, &alice, &forged);
    w.draw(&task, 0);
    w.judge(&task, &forged, 3, &watcher).unwrap();
    assert_eq!(w.shard(&task, 0).state(), Some(ShardState::Slashed));
    // What it owes waits for the mint's issuer. The renter gets its escrow of the shard back, and the other shard goes
    // its way.
    let renter_had = w.held(&task.renter.tokens);
    w.ok(&[w.seize_ix(&task, 0, &alice)], &[&watcher]);
    w.refused(E::NothingOwed, &[w.seize_ix(&task, 0, &alice)], &[&watcher]);
    w.refused(FROZEN, &[w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&watcher]);
    assert_eq!((w.provider(&alice).locked, w.job(&task).slashed), (1_500_000, 1));
    w.ok(&[w.refund_ix(&task)], &[&watcher]);
    assert_eq!(w.held(&task.renter.tokens) - renter_had, PRICES.1);
    w.prove(&task, 1, &bob);
    w.refused(E::StillNeeded, &[w.close_shard_ix(&task, 0)], &[&watcher]);
    w.freeze(&vault, false);
    w.ok(&[w.seize_ix(&task, 0, &alice), w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&watcher]);
    assert_eq!((w.provider(&alice).locked, w.job(&task).slashed), (0, 1));
    w.close(&task);
}

#[test]
fn a_claim_behind_a_frozen_vault_ends_without_its_penalty() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, bob, stranger) = (w.alice.clone(), w.bob.clone(), w.stranger.clone());
    w.claim(&task, 0, &alice);
    w.claim(&task, 1, &bob);
    let vault = w.provider(&alice).vault;
    w.freeze(&vault, true);
    w.chain.pass(EXECUTE);
    w.ok(&[w.expire_ix(&task, 0, &alice, &stranger)], &[&stranger]);
    assert_eq!((w.provider(&alice).staked, w.provider(&alice).locked), (STAKE, 0));
    // The job's own vault, frozen, lets a claim go in the same way.
    let vault = w.job(&task).vault;
    w.freeze(&vault, true);
    w.ok(&[w.release_ix(&task, 1, &bob)], &[&bob.operator]);
    assert_eq!((w.provider(&bob).staked, w.provider(&bob).locked), (STAKE, 0));
}

#[test]
fn a_frozen_bounty_account_stops_no_seizure() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, watcher, stranger) = (w.alice.clone(), w.watcher.clone(), w.stranger.clone());
    w.claim(&task, 0, &alice);
    let forged = w.forged(&task, 0, &alice, &[3]);
    w.commit(&task, &alice, &forged);
    w.judge(&task, &forged, 3, &watcher).unwrap();
    w.freeze(&watcher.tokens, true);
    w.refused(FROZEN, &[w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&stranger]);
    w.ok(&[w.seize_ix(&task, 0, &alice)], &[&stranger]);
    w.ok(&[w.refund_ix(&task)], &[&stranger]);
    // It can be had in any other account that its owner holds: not frozen, not somebody else's.
    w.refused(E::WrongTokenOwner, &[w.bounty_ix(&task, 0, &alice, stranger.tokens)], &[&stranger]);
    w.freeze(&watcher.tokens, false);
    w.ok(&[w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&stranger]);
    let take = ix::cancel_job(task.renter.id(), task.job);
    w.ok(&[take], &[&task.renter]);
    w.close(&task);
}

#[test]
fn a_renter_that_gives_its_token_account_away_keeps_no_fees_from_the_treasury() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, renter, stranger) = (w.alice.clone(), w.renter.clone(), w.stranger.clone());
    let sweep = |w: &World| ix::sweep_fees(&task.job, &w.job(&task), &w.market_data());
    w.refused(E::NothingOwed, &[sweep(&w)], &[&stranger]);
    w.prove(&task, 0, &alice);
    w.cancel(&task);
    let give = |from: &Pubkey, to: &Pubkey| hand_over(renter.tokens, from, to);
    w.ok(&[give(&renter.id(), &stranger.id())], &[&renter]);
    w.ok(&[w.close_shard_ix(&task, 0)], &[&stranger]);
    w.refused(E::WrongTokenOwner, &[w.close_job_ix(&task)], &[&stranger]);
    let (treasury, fees) = (w.market_data().treasury, w.job(&task).fees_owed);
    let had = w.held(&treasury);
    w.ok(&[sweep(&w)], &[&stranger]);
    assert_eq!((w.held(&treasury) - had, w.job(&task).fees_owed), (fees, 0));
    // With nothing left for the renter, nobody asks for its token account.
    w.ok(&[give(&stranger.id(), &renter.id())], &[&stranger]);
    w.ok(&[w.refund_ix(&task)], &[&stranger]);
    w.ok(&[give(&renter.id(), &stranger.id())], &[&renter]);
    w.ok(&[w.close_job_ix(&task)], &[&stranger]);
}
