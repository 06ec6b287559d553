//! Acceptance: the renter pays at once, whatever is still open, and cannot take it back.

use assay_client::ix;
use assay_settlement::{ShardState, error::AssayError as E, rules::judgement::Fault};
use assay_tests::{Provider, Spec, Task, Work, World, world::PRICES};

fn committed(forged: &[u64]) -> (World, Task, Provider, Work) {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let alice = w.alice.clone();
    w.claim(&task, 0, &alice);
    let work = w.forged(&task, 0, &alice, forged);
    w.commit(&task, &alice, &work);
    (w, task, alice, work)
}

#[test]
fn an_accepted_shard_is_paid_at_once() {
    for drawn in [false, true] {
        let (mut w, task, alice, _) = committed(&[]);
        if drawn {
            w.draw(&task, 0);
        }
        let stranger = w.stranger.clone();
        let staked = w.provider(&alice).staked;
        w.accept(&task, 0);
        w.refused(E::Accepted, &[ix::accept_shard(task.renter.id(), &task.job, 0)], &[&task.renter]);
        w.ok(&[w.settle_ix(&task, 0, &alice)], &[&stranger]);
        assert_eq!(w.provider(&alice).staked - staked, 980_000, "the same fee as ever");
        assert_eq!((w.job(&task).fees_owed, w.provider(&alice).locked), (20_000, 0));
        w.refused(E::WrongState, &[ix::accept_shard(task.renter.id(), &task.job, 0)], &[&task.renter]);
        w.refused(E::WrongState, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
        w.cancel(&task);
        w.close(&task);
    }
}

#[test]
fn accepting_and_settling_fit_one_transaction() {
    let (mut w, task, alice, _) = committed(&[]);
    let both = [ix::accept_shard(task.renter.id(), &task.job, 0), w.settle_ix(&task, 0, &alice)];
    w.ok(&both, &[&task.renter]);
    assert_eq!(w.shard(&task, 0).state(), Some(ShardState::Settled));
}

#[test]
fn only_the_renter_accepts_and_only_what_is_committed() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, watcher, stranger) = (w.alice.clone(), w.watcher.clone(), w.stranger.clone());
    w.claim(&task, 0, &alice);
    w.refused(E::WrongState, &[ix::accept_shard(task.renter.id(), &task.job, 0)], &[&task.renter]);
    let work = w.forged(&task, 0, &alice, &[4]);
    w.commit(&task, &alice, &work);
    // Not a watch key, not the provider, not anybody.
    for by in [&watcher, &alice.operator, &alice.owner, &stranger] {
        w.refused(E::NotAuthorized, &[ix::accept_shard(by.id(), &task.job, 0)], &[by]);
    }
    w.judge(&task, &work, 4, &watcher).unwrap();
    w.refused(E::WrongState, &[ix::accept_shard(task.renter.id(), &task.job, 0)], &[&task.renter]);
}

#[test]
fn silence_costs_an_accepted_provider_nothing() {
    let (mut w, task, alice, _) = committed(&[]);
    let (stranger, watcher) = (w.stranger.clone(), w.watcher.clone());
    w.draw(&task, 0);
    w.challenge(&task, 0, 9, &watcher);
    w.ok(&[ix::name_cells(watcher.id(), &task.job, 0, vec![3])], &[&watcher]);
    w.accept(&task, 0);
    w.refused(E::Accepted, &[w.challenge_ix(&task, 0, 10, &watcher)], &[&watcher]);
    w.chain.pass(100_000);
    w.refused(E::Accepted, &[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
    w.refused(E::Accepted, &[w.slash_challenged_ix(&task, 0, 9, &stranger)], &[&stranger]);
    w.settle(&task, 0, &alice);
    w.return_bond(&task, 0, 9);
    assert_eq!(w.provider(&alice).slashed, 0);
}

#[test]
fn an_accepted_shard_is_not_rolled() {
    let (mut w, task, alice, _) = committed(&[]);
    let stranger = w.stranger.clone();
    // One roll before the acceptance: what it cost stays owed.
    let window = w.shard(&task, 0).window;
    w.age_out(&task, 0);
    w.ok(&[ix::roll_window(stranger.id(), &task.job, 0, window)], &[&stranger]);
    assert_eq!(w.shard(&task, 0).owed_renter, 500_000);
    w.accept(&task, 0);
    let window = w.shard(&task, 0).window;
    w.age_out(&task, 0);
    w.refused(E::Accepted, &[ix::roll_window(stranger.id(), &task.job, 0, window)], &[&stranger]);
    let staked = w.provider(&alice).staked;
    w.settle(&task, 0, &alice);
    assert_eq!(w.provider(&alice).staked - staked, 480_000);
}

#[test]
fn a_wrong_cell_convicts_until_the_settlement() {
    let (mut w, task, alice, work) = committed(&[4, 5]);
    let (watcher, stranger) = (w.watcher.clone(), w.stranger.clone());
    w.challenge(&task, 0, 5, &watcher);
    w.accept(&task, 0);
    w.judge(&task, &work, 5, &stranger).unwrap();
    let shard = w.shard(&task, 0);
    assert_eq!((shard.fault, shard.bounty_to), (Fault::WrongCell as u8, watcher.id()));
    w.refused(E::WrongState, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
    w.return_bond(&task, 0, 5);
    w.ok(&[w.seize_ix(&task, 0, &alice), w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&stranger]);
    let had = w.held(&task.renter.tokens);
    w.cancel(&task);
    w.close(&task);
    assert_eq!(w.held(&task.renter.tokens) - had, 2 * PRICES.1 + 1_000_000);
}

#[test]
fn nobody_takes_the_bounty_of_an_accepted_shards_challenger() {
    // Accepted, not settled: the bond stays, and with it the challenger's right to the bounty.
    let (mut w, task, _, work) = committed(&[4]);
    let (watcher, stranger) = (w.watcher.clone(), w.stranger.clone());
    w.challenge(&task, 0, 4, &watcher);
    w.accept(&task, 0);
    w.refused(E::ChallengeOpen, &[w.return_bond_ix(&task, 0, 4)], &[&stranger]);
    w.refused(E::Accepted, &[w.challenge_ix(&task, 0, 5, &watcher)], &[&watcher]);
    w.judge(&task, &work, 4, &stranger).unwrap();
    assert_eq!(w.shard(&task, 0).bounty_to, watcher.id());
    w.return_bond(&task, 0, 4);
}

#[test]
fn a_bond_that_went_back_before_the_settlement_leaves_no_hole_for_the_bounty() {
    // A shard that is accepted and still not settled after 30 days gives its bonds back; if it is convicted then, the address
    // of the challenge is vacant, and must still be named.
    let (mut w, task, _, work) = committed(&[4]);
    let (watcher, stranger) = (w.watcher.clone(), w.stranger.clone());
    w.challenge(&task, 0, 4, &watcher);
    w.accept(&task, 0);
    w.chain.pass(30 * 86_400 - 1);
    w.refused(E::ChallengeOpen, &[w.return_bond_ix(&task, 0, 4)], &[&stranger]);
    w.chain.pass(1);
    w.return_bond(&task, 0, 4);
    w.judge(&task, &work, 4, &stranger).unwrap();
    assert_eq!(w.shard(&task, 0).bounty_to, stranger.id());
}

#[test]
fn what_is_answered_after_the_acceptance_is_paid_for() {
    let (mut w, task, alice, work) = committed(&[]);
    let watcher = w.watcher.clone();
    w.challenge(&task, 0, 9, &watcher);
    w.accept(&task, 0);
    w.judge(&task, &work, 9, &alice.operator).unwrap();
    w.settle(&task, 0, &alice);
    let staked = w.provider(&alice).staked;
    w.pay_challenge(&task, 0, 9);
    assert!(w.provider(&alice).staked > staked);
}
