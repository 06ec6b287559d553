//! Bonds: divided when the cell is right, given back when it is wrong, unanswered or will never be answered; to the unit,
//! once, and to nobody else.

use anchor_lang::error::ErrorCode;
use assay_settlement::{Challenge, Shard, Terms, error::AssayError as E, seeds};
use assay_tests::{Provider, Refusal, Spec, Task, Work, World, experimental_terms, tokens::hand_over};

/// An image whose first shard Alice has committed, with these cells wrong, in a market with this bond.
fn committed(bond: u64, forged: &[u64]) -> (World, Task, Provider, Work) {
    let mut w = World::with_terms(Terms { bond_base: bond, bond_per_kib: 0, ..experimental_terms() });
    let task = w.create(Spec::image());
    let alice = w.alice.clone();
    w.claim(&task, 0, &alice);
    let work = w.forged(&task, 0, &alice, forged);
    w.commit(&task, &alice, &work);
    (w, task, alice, work)
}

/// Everything from the answer to the settlement.
fn settle(w: &mut World, task: &Task, alice: &Provider, work: &Work, challenged: &[u64]) {
    for number in challenged {
        w.judge(task, work, *number, &alice.operator).unwrap();
    }
    w.draw(task, 0);
    w.answer_all(task, work, alice);
    w.pass_window(task);
    w.settle(task, 0, alice);
}

#[test]
fn an_answered_bond_is_halved_to_the_unit() {
    for (bond, to_provider, to_renter) in [(1_000_001, 500_000, 500_001), (1, 0, 1), (2, 1, 1), (0, 0, 0)] {
        let (mut w, task, alice, work) = committed(bond, &[]);
        let stranger = w.stranger.clone();
        assert_eq!(w.job(&task).terms.bond, bond);
        w.challenge(&task, 0, 9, &stranger);
        w.judge(&task, &work, 9, &alice.operator).unwrap();
        let (before, job) = (w.provider(&alice), w.job(&task));
        let (key, vault) = (w.challenge_key(&task, 0, 9), w.challenge_data(&task, 0, 9).vault);
        let held = w.held(&job.vault);
        let lamports = w.chain.lamports(&stranger.id()) + w.chain.fees[&stranger.id()];
        w.pay_challenge(&task, 0, 9);
        let after = w.provider(&alice);
        assert_eq!((after.staked - before.staked, after.earned - before.earned), (to_provider, to_provider));
        assert_eq!((w.held(&job.vault) - held, w.job(&task).compensated), (to_renter, to_renter));
        assert_eq!(w.shard(&task, 0).unpaid_challenges, 0);
        assert_eq!((w.chain.lamports(&key), w.chain.lamports(&vault)), (0, 0));
        assert!(w.chain.lamports(&stranger.id()) + w.chain.fees[&stranger.id()] > lamports, "rent is back");
        // What was added to the stake can be had like all of it.
        let free = after.staked - after.locked;
        w.withdraw(&alice, free);
    }
}

#[test]
fn what_somebody_puts_into_a_bonds_vault_goes_where_the_bond_goes() {
    let (mut w, task, alice, work) = committed(1_001, &[]);
    let stranger = w.stranger.clone();
    w.challenge(&task, 0, 9, &stranger);
    let vault = w.challenge_data(&task, 0, 9).vault;
    w.donate(&vault, 7);
    w.judge(&task, &work, 9, &alice.operator).unwrap();
    let (staked, held) = (w.provider(&alice).staked, w.held(&w.job(&task).vault));
    w.pay_challenge(&task, 0, 9);
    assert_eq!((w.provider(&alice).staked - staked, w.held(&w.job(&task).vault) - held), (500, 501 + 7));
    // A bond that goes back takes the gift along; its vault closes all the same.
    w.challenge(&task, 0, 10, &stranger);
    let vault = w.challenge_data(&task, 0, 10).vault;
    w.donate(&vault, 3);
    w.accept(&task, 0);
    w.settle(&task, 0, &alice);
    let had = w.held(&stranger.tokens);
    w.return_bond(&task, 0, 10);
    assert_eq!((w.held(&stranger.tokens) - had, w.chain.lamports(&vault)), (1_004, 0));
}

#[test]
fn a_provider_that_has_left_leaves_its_half_to_the_renter() {
    let (mut w, task, alice, work) = committed(1_001, &[]);
    let stranger = w.stranger.clone();
    w.challenge(&task, 0, 9, &stranger);
    settle(&mut w, &task, &alice, &work, &[9]);
    w.retire(&alice);
    // Lamports at the provider's address make no provider.
    w.chain.fund(&alice.account, 5_000_000);
    let held = w.held(&w.job(&task).vault);
    w.pay_challenge(&task, 0, 9);
    assert_eq!(w.held(&w.job(&task).vault) - held, 1_001);
    w.cancel(&task);
    w.close(&task);
}

#[test]
fn a_provider_that_has_come_back_gets_its_half() {
    let (mut w, task, alice, work) = committed(1_001, &[]);
    let stranger = w.stranger.clone();
    w.challenge(&task, 0, 9, &stranger);
    settle(&mut w, &task, &alice, &work, &[9]);
    w.retire(&alice);
    w.register(&alice);
    w.pay_challenge(&task, 0, 9);
    assert_eq!(w.provider(&alice).staked, 500);
    w.cancel(&task);
    w.close(&task);
}

#[test]
fn a_shard_stays_until_its_bonds_are_divided() {
    let (mut w, task, alice, work) = committed(1_000, &[]);
    let stranger = w.stranger.clone();
    w.challenge(&task, 0, 9, &stranger);
    w.challenge(&task, 0, 10, &stranger);
    settle(&mut w, &task, &alice, &work, &[9, 10]);
    w.cancel(&task);
    for number in [9, 10] {
        w.refused(E::StillNeeded, &[w.close_shard_ix(&task, 0)], &[&stranger]);
        w.refused(E::StillNeeded, &[w.close_job_ix(&task)], &[&stranger]);
        w.pay_challenge(&task, 0, number);
    }
    w.close(&task);
}

#[test]
fn nothing_is_divided_or_given_back_before_it_is_decided() {
    let (mut w, task, alice, work) = committed(1_000, &[]);
    let stranger = w.stranger.clone();
    w.challenge(&task, 0, 9, &stranger);
    w.refused(E::ChallengeOpen, &[w.pay_challenge_ix(&task, 0, 9)], &[&stranger]);
    w.refused(E::ChallengeOpen, &[w.return_bond_ix(&task, 0, 9)], &[&stranger]);
    w.judge(&task, &work, 9, &alice.operator).unwrap();
    w.refused(E::ChallengeAnswered, &[w.return_bond_ix(&task, 0, 9)], &[&stranger]);
    // Not after the shard has been accepted and settled either: the cell was proven, the bond is spent.
    w.accept(&task, 0);
    w.refused(E::ChallengeAnswered, &[w.return_bond_ix(&task, 0, 9)], &[&stranger]);
    w.settle(&task, 0, &alice);
    w.refused(E::ChallengeAnswered, &[w.return_bond_ix(&task, 0, 9)], &[&stranger]);
    w.pay_challenge(&task, 0, 9);
}

#[test]
fn a_won_bond_goes_back_whole_and_once() {
    let (mut w, task, alice, work) = committed(1_001, &[9]);
    let (stranger, watcher) = (w.stranger.clone(), w.watcher.clone());
    w.challenge(&task, 0, 9, &watcher);
    w.judge(&task, &work, 9, &stranger).unwrap();
    w.refused(E::ChallengeOpen, &[w.pay_challenge_ix(&task, 0, 9)], &[&stranger]);
    let back = w.return_bond_ix(&task, 0, 9);
    let had = w.held(&watcher.tokens);
    w.refused(ErrorCode::AccountOwnedByWrongProgram, &[back.clone(), back.clone()], &[&stranger]);
    w.ok(std::slice::from_ref(&back), &[&stranger]);
    assert_eq!(w.held(&watcher.tokens) - had, 1_001);
    w.refused(ErrorCode::AccountOwnedByWrongProgram, std::slice::from_ref(&back), &[&stranger]);
    // Lamports that come to the address afterwards bring no challenge back.
    w.chain.fund(&seeds::challenge(&seeds::shard(&task.job, 0), 9), 10_000_000);
    w.refused(ErrorCode::AccountOwnedByWrongProgram, &[back], &[&stranger]);
    w.ok(&[w.seize_ix(&task, 0, &alice), w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&stranger]);
}

#[test]
fn a_divided_bond_is_divided_once() {
    let (mut w, task, alice, work) = committed(1_001, &[]);
    let stranger = w.stranger.clone();
    w.challenge(&task, 0, 9, &stranger);
    w.challenge(&task, 0, 10, &stranger);
    w.judge(&task, &work, 9, &alice.operator).unwrap();
    w.judge(&task, &work, 10, &alice.operator).unwrap();
    let pay = w.pay_challenge_ix(&task, 0, 9);
    w.refused(ErrorCode::AccountOwnedByWrongProgram, &[pay.clone(), pay.clone()], &[&stranger]);
    w.ok(std::slice::from_ref(&pay), &[&stranger]);
    w.refused(ErrorCode::AccountOwnedByWrongProgram, &[pay], &[&stranger]);
    w.pay_challenge(&task, 0, 10);
}

#[test]
fn a_bond_goes_back_when_the_shard_fell_for_another_reason() {
    let (mut w, task, alice, work) = committed(1_001, &[9]);
    let (stranger, watcher) = (w.stranger.clone(), w.watcher.clone());
    w.challenge(&task, 0, 20, &watcher);
    w.judge(&task, &work, 9, &stranger).unwrap();
    let had = w.held(&watcher.tokens);
    w.return_bond(&task, 0, 20);
    assert_eq!(w.held(&watcher.tokens) - had, 1_001);
    w.ok(&[w.seize_ix(&task, 0, &alice), w.bounty_ix(&task, 0, &alice, stranger.tokens)], &[&stranger]);
    w.cancel(&task);
    w.close(&task);
}

#[test]
fn a_bond_goes_back_once_its_accepted_shard_is_settled() {
    let (mut w, task, alice, _) = committed(1_001, &[]);
    let watcher = w.watcher.clone();
    w.challenge(&task, 0, 20, &watcher);
    w.accept(&task, 0);
    w.refused(E::ChallengeOpen, &[w.return_bond_ix(&task, 0, 20)], &[&watcher]);
    w.settle(&task, 0, &alice);
    let had = w.held(&watcher.tokens);
    w.return_bond(&task, 0, 20);
    assert_eq!(w.held(&watcher.tokens) - had, 1_001);
    w.cancel(&task);
    w.close(&task);
}

#[test]
fn a_challenger_that_cannot_be_paid_is_in_nobodys_way() {
    // Its bond stays where it is. What it challenged needs no answer any more and counts in no queue, so nothing keeps the
    // provider from claiming, and nobody else is put off.
    for accepted in [true, false] {
        let (mut w, task, alice, work) = committed(1_001, if accepted { &[] } else { &[20] });
        let stranger = w.stranger.clone();
        for number in [20, 21, 22] {
            w.challenge(&task, 0, number, &stranger);
        }
        w.ok(&[hand_over(stranger.tokens, &stranger.id(), &w.watcher.id())], &[&stranger]);
        if accepted {
            w.accept(&task, 0);
            w.settle(&task, 0, &alice);
        } else {
            w.judge(&task, &work, 20, &alice.operator).unwrap();
            assert!(w.provider(&alice).queued_seconds > 0);
            w.ok(&[w.seize_ix(&task, 0, &alice)], &[&stranger]);
        }
        w.refused(E::WrongTokenOwner, &[w.return_bond_ix(&task, 0, 20)], &[&stranger]);
        let provider = w.provider(&alice);
        assert_eq!((provider.queued_seconds, provider.load_seconds), (0, 0));
        w.ok(&[hand_over(stranger.tokens, &w.watcher.id(), &stranger.id())], &[&w.watcher.clone()]);
        w.return_bond(&task, 0, 20);
        assert_eq!(w.provider(&alice).queued_seconds, 0);
    }
}

#[test]
fn a_bond_goes_back_when_the_shards_account_is_closed() {
    for forged in [true, false] {
        let (mut w, task, alice, work) = committed(1_001, if forged { &[20] } else { &[] });
        let (watcher, stranger) = (w.watcher.clone(), w.stranger.clone());
        w.challenge(&task, 0, 20, &watcher);
        if forged {
            w.judge(&task, &work, 20, &stranger).unwrap();
            w.ok(&[w.seize_ix(&task, 0, &alice), w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&stranger]);
        } else {
            w.accept(&task, 0);
            w.settle(&task, 0, &alice);
        }
        // Nobody waits for the challenger: shard, job, provider and market go their ways first.
        w.cancel(&task);
        w.close(&task);
        assert!(w.find::<Shard>(&seeds::shard(&task.job, 0)).is_none());
        let (alice, bob, creator) = (w.alice.clone(), w.bob.clone(), w.creator.clone());
        w.retire(&alice);
        w.retire(&bob);
        w.ok(&[w.close_market_ix()], &[&creator]);
        w.chain.fund(&seeds::shard(&task.job, 0), 2_000_000);
        let had = w.held(&watcher.tokens);
        w.return_bond(&task, 0, 20);
        assert_eq!(w.held(&watcher.tokens) - had, 1_001);
        assert!(w.find::<Challenge>(&w.challenge_key(&task, 0, 20)).is_none());
    }
}

#[test]
fn a_frozen_challenger_stops_only_its_own_bond() {
    const FROZEN: Refusal = Refusal::Custom(17);
    let (mut w, task, alice, work) = committed(1_001, &[]);
    let (watcher, stranger) = (w.watcher.clone(), w.stranger.clone());
    w.challenge(&task, 0, 20, &watcher);
    w.challenge(&task, 0, 21, &stranger);
    w.freeze(&watcher.tokens, true);
    w.judge(&task, &work, 21, &alice.operator).unwrap();
    w.accept(&task, 0);
    w.settle(&task, 0, &alice);
    w.pay_challenge(&task, 0, 21);
    w.refused(FROZEN, &[w.return_bond_ix(&task, 0, 20)], &[&stranger]);
    w.cancel(&task);
    w.close(&task);
    w.freeze(&watcher.tokens, false);
    w.return_bond(&task, 0, 20);
}
