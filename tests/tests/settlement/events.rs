//! Every transition emits its event.

use anchor_lang::Discriminator;
use assay_client::ix;
use assay_settlement::events::*;
use assay_tests::{Spec, World};

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

    let expected: [(&str, &[u8]); 25] = [
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
    ];
    let silent: Vec<&str> =
        expected.iter().filter(|(_, d)| !w.chain.events.iter().any(|e| e == d)).map(|(name, _)| *name).collect();
    assert!(silent.is_empty(), "never emitted: {silent:?}");
    assert_eq!(w.chain.events.len(), expected.len(), "an event that is not in the list above");
}
