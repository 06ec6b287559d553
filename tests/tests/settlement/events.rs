//! Every transition emits its event.

use anchor_lang::Discriminator;
use assay_client::{answer::Answer, ix};
use assay_kernels::abi::{STEP_MORE, STEP_STATE_BYTES};
use assay_settlement::{events::*, instructions::AdjudicateArgs, seeds};
use assay_tests::{
    Spec, Task, Work, World,
    scripted::{Says, Script, two_stages},
};

/// Challenges answered and given back, leaves posted, a word of an attestor, an acceptance, a waiver.
fn disputes(w: &mut World) {
    let (alice, watcher, stranger) = (w.alice.clone(), w.watcher.clone(), w.stranger.clone());
    w.deposit(&alice, 10_000_000);
    let task = w.create_with(Spec::image(), |r| r.delivery = 1);
    let renter = task.renter.clone();
    w.ok(&[ix::set_watch_keys(renter.id(), task.job, [watcher.id(); 2])], &[&renter]);
    let work = w.claim_and_commit(&task, 0, &alice);
    w.challenge(&task, 0, 1, &stranger);
    w.challenge(&task, 0, 2, &stranger);
    w.demand(&task, 0, &[0]);
    w.post_all(&task, &work, &alice.operator);
    w.judge(&task, &work, 1, &alice.operator).unwrap();
    w.accept(&task, 0);
    w.settle(&task, 0, &alice);
    w.pay_challenge(&task, 0, 1);
    w.return_bond(&task, 0, 2);
    w.ok(&[w.close_delivery_ix(&task, 0)], &[&stranger]);
    w.cancel(&task);
    w.close(&task);
    let key = stranger.id();
    let task = w.create_with(Spec::image(), |r| (r.delivery, r.attestor) = (2, key));
    w.claim(&task, 0, &alice);
    let work = w.forged(&task, 0, &alice, &[1]);
    w.commit(&task, &alice, &work);
    w.ok(&[ix::attest_delivery(key, &task.job, 0, true)], &[&stranger]);
    w.judge(&task, &work, 1, &watcher).unwrap();
    w.ok(&[w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&stranger]);
    let vault = w.provider(&alice).vault;
    w.freeze(&vault, true);
    w.ok(&[w.seize_ix(&task, 0, &alice)], &[&stranger]);
    w.ok(&[w.waive_ix(&task, 0, &alice)], &[&renter]);
    w.freeze(&vault, false);
    w.cancel(&task);
    w.close(&task);
}

/// A step of a stepped cell, a seed that is old enough, and everything closed.
fn the_rest(w: &mut World) {
    let (alice, bob, creator) = (w.alice.clone(), w.bob.clone(), w.creator.clone());
    let (watcher, stranger) = (w.watcher.clone(), w.stranger.clone());
    let state = [&[STEP_MORE][..], &[0; STEP_STATE_BYTES]].concat();
    let script = Script { cell: Says::Bytes(state), ..Script::new(5, &two_stages(), &[0; 4]) };
    let kernel = w.register_script(&script, 5);
    let spec = Spec { kernel: 5, params: vec![7], inputs: Vec::new(), shard_leaves: 12 };
    let renter = w.renter.clone();
    let request = w.request(&renter, &spec);
    let task = Task { job: seeds::job(&renter.id(), request.nonce), renter: renter.clone(), spec };
    w.ok(&[w.create_on_ix(&renter, &kernel, request)], &[&renter]);
    w.claim(&task, 0, &alice);
    let work = Work::of_bytes(&task, &w.job(&task).terms, 0, &alice.account, vec![0; 160]);
    w.commit(&task, &alice, &work);
    let args =
        AdjudicateArgs { leaf: 0, cell: 0, leaf_at: 0, leaf_path_at: 0, openings: Vec::new(), inline: Vec::new() };
    let answer = Answer { args: args.clone(), evidence: Some(vec![0; 8]) };
    let evidence = w.upload(&stranger, "step", &answer).unwrap();
    let step = ix::step_cell(stranger.id(), &task.job, &w.job(&task), 0, evidence, args);
    w.ok(&[step], &[&stranger]);
    w.accept(&task, 0);
    w.settle(&task, 0, &alice);
    w.close(&task);
    w.chain.pass(assay_settlement::constants::SEED_KEEP_SECONDS);
    for (_, seed) in assay_tests::books::all::<assay_settlement::DrawSeed>(&w.chain) {
        w.ok(&[ix::close_seed(seed.window, seed.rent_payer)], &[&stranger]);
    }
    w.retire(&alice);
    w.retire(&bob);
    let hand_over =
        [ix::propose_authority(creator.id(), w.market, watcher.id()), ix::accept_authority(watcher.id(), w.market)];
    w.ok(&hand_over, &[&creator, &watcher]);
    let close = ix::close_market(watcher.id(), &w.market, &w.market_data(), watcher.tokens);
    w.ok(&[close, ix::close_kernel(creator.id(), kernel)], &[&watcher, &creator]);
}

#[test]
fn every_transition_is_told() {
    let mut w = World::new();
    let (alice, bob, creator, watcher) = (w.alice.clone(), w.bob.clone(), w.creator.clone(), w.watcher.clone());
    w.pause(true);
    w.pause(false);
    let task = w.create(Spec::image());
    // Paid, with a fee that leaves the treasury.
    w.claim(&task, 0, &alice);
    w.ok(&[w.release_ix(&task, 0, &alice)], &[&alice.operator]);
    let work = w.claim_and_commit(&task, 0, &alice);
    let window = w.shard(&task, 0).window;
    w.age_out(&task, 0);
    w.ok(&[ix::roll_window(watcher.id(), &task.job, 0, window)], &[&watcher]);
    w.ok(&[ix::name_cells(watcher.id(), &task.job, 0, vec![4])], &[&watcher]);
    w.draw(&task, 0);
    w.answer_all(&task, &work, &alice);
    w.pass_window(&task);
    w.settle(&task, 0, &alice);
    w.ok(&[ix::sweep_fees(&task.job, &w.job(&task), &w.market_data())], &[&watcher]);
    // Convicted.
    w.claim(&task, 1, &bob);
    let forged = w.forged(&task, 1, &bob, &[1]);
    w.commit(&task, &bob, &forged);
    w.judge(&task, &forged, 1, &watcher).unwrap();
    w.ok(&[w.seize_ix(&task, 1, &bob), w.bounty_ix(&task, 1, &bob, watcher.tokens)], &[&watcher]);
    w.cancel(&task);
    w.ok(&[w.refund_ix(&task)], &[&watcher]);
    w.close(&task);
    w.withdraw(&alice, 1);
    let market = w.market_data();
    w.ok(&[ix::withdraw_treasury(creator.id(), &w.market, &market, creator.tokens, 1)], &[&creator]);

    // Challenged, delivered, accepted, handed over, waived.
    disputes(&mut w);
    the_rest(&mut w);

    let expected: [(&str, &[u8]); 42] = [
        ("MarketOpened", MarketOpened::DISCRIMINATOR),
        ("MarketPausedSet", MarketPausedSet::DISCRIMINATOR),
        ("TreasuryWithdrawn", TreasuryWithdrawn::DISCRIMINATOR),
        ("KernelRegistered", KernelRegistered::DISCRIMINATOR),
        ("ProviderUpdated", ProviderUpdated::DISCRIMINATOR),
        ("StakeDeposited", StakeDeposited::DISCRIMINATOR),
        ("StakeWithdrawn", StakeWithdrawn::DISCRIMINATOR),
        ("JobCreated", JobCreated::DISCRIMINATOR),
        ("JobCancelled", JobCancelled::DISCRIMINATOR),
        ("RefundWithdrawn", RefundWithdrawn::DISCRIMINATOR),
        ("FeesSwept", FeesSwept::DISCRIMINATOR),
        ("JobClosed", JobClosed::DISCRIMINATOR),
        ("ShardClaimed", ShardClaimed::DISCRIMINATOR),
        ("ClaimEnded", ClaimEnded::DISCRIMINATOR),
        ("ResultCommitted", ResultCommitted::DISCRIMINATOR),
        ("SeedRecorded", SeedRecorded::DISCRIMINATOR),
        ("CellsDrawn", CellsDrawn::DISCRIMINATOR),
        ("WindowRolled", WindowRolled::DISCRIMINATOR),
        ("CellsNamed", CellsNamed::DISCRIMINATOR),
        ("CellAnswered", CellAnswered::DISCRIMINATOR),
        ("ShardSlashed", ShardSlashed::DISCRIMINATOR),
        ("CollateralSeized", CollateralSeized::DISCRIMINATOR),
        ("BountyPaid", BountyPaid::DISCRIMINATOR),
        ("ShardSettled", ShardSettled::DISCRIMINATOR),
        ("ShardClosed", ShardClosed::DISCRIMINATOR),
        ("AuthorityProposed", AuthorityProposed::DISCRIMINATOR),
        ("AuthorityChanged", AuthorityChanged::DISCRIMINATOR),
        ("MarketClosed", MarketClosed::DISCRIMINATOR),
        ("KernelClosed", KernelClosed::DISCRIMINATOR),
        ("ProviderClosed", ProviderClosed::DISCRIMINATOR),
        ("WatchKeysSet", WatchKeysSet::DISCRIMINATOR),
        ("SeedClosed", SeedClosed::DISCRIMINATOR),
        ("CellStepped", CellStepped::DISCRIMINATOR),
        ("ChallengeOpened", ChallengeOpened::DISCRIMINATOR),
        ("ChallengePaid", ChallengePaid::DISCRIMINATOR),
        ("BondReturned", BondReturned::DISCRIMINATOR),
        ("ShardAccepted", ShardAccepted::DISCRIMINATOR),
        ("LeavesDemanded", LeavesDemanded::DISCRIMINATOR),
        ("LeafPosted", LeafPosted::DISCRIMINATOR),
        ("DeliveryAttested", DeliveryAttested::DISCRIMINATOR),
        ("DeliveryClosed", DeliveryClosed::DISCRIMINATOR),
        ("DebtsWaived", DebtsWaived::DISCRIMINATOR),
    ];
    let silent: Vec<&str> =
        expected.iter().filter(|(_, d)| !w.chain.events.iter().any(|e| e == d)).map(|(name, _)| *name).collect();
    assert!(silent.is_empty(), "never emitted: {silent:?}");
    assert_eq!(w.chain.events.len(), expected.len(), "an event that is not in the list above");
}
