//! What a provider does first for a committed shard.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]

use assay_settlement::{
    Challenge, ChallengeState, CostClass, Delivery, DeliveryMode, JobTerms, Shard, ShardState,
    rules::{draw::Place, time::Now},
};
use assay_worker::step::{Asked, Demand, Here, Step, WHOLE_LEAF, Wanted, at_work, demanded, next};
use bytemuck::Zeroable;
use solana_pubkey::Pubkey;

/// A shard of 8 leaves of 8 cells, three of them drawn and two named, with delivery on the ledger.
fn terms() -> JobTerms {
    let mut t = JobTerms::zeroed();
    (t.leaves, t.shard_leaves, t.shards, t.classes) = (8, 8, 1, 1);
    t.class[0] = CostClass { cells: 64, cost: 1, cells_per_leaf: 8, cell_bytes: 2, stage: 0, reserved: 0 };
    (t.challenge_seconds, t.response_seconds, t.samples, t.named) = (300, 43_200, 3, 2);
    (t.answer_transactions, t.delivery) = (3, DeliveryMode::Ledger as u8);
    t
}

/// What is asked comes in the order in which it is due, each cell once; acceptance ends all of it; what can't be posted any
/// more keeps the collateral from nobody.
#[test]
fn what_is_due_first_is_proven_first() {
    let provider = Pubkey::new_from_array([2; 32]);
    let (terms, now) = (terms(), Now { time: 50_000, slot: 200_000, last_restart_slot: 0 });
    let mut shard = Shard::zeroed();
    (shard.provider, shard.state, shard.drawn, shard.named) = (provider, ShardState::Sampled as u8, 3, 2);
    (shard.drawn_at, shard.named_at, shard.committed_at) = (40_000, 39_000, 38_000);
    shard.cells[..5].copy_from_slice(&[10, 11, 12, 11, 20]);
    (shard.open_challenges, shard.leaves_demanded, shard.demanded_at) = (2, 2, 30_000);
    shard.answered = 1;
    let challenge = |cell, opened_at| {
        let mut challenge = Challenge::zeroed();
        (challenge.cell, challenge.opened_at, challenge.seconds) = (cell, opened_at, 43_206);
        challenge
    };
    let mut won = challenge(40, 1);
    won.state = ChallengeState::Answered as u8;
    let mut delivery = Delivery::zeroed();
    (delivery.count, delivery.leaves[1], delivery.posted) = (2, 7, 1);
    shard.leaves_posted = 1;
    let asked = Asked { challenges: vec![challenge(12, 45_000), challenge(63, 20_000), won], delivery: Some(delivery) };
    let cell =
        |number: u64, due| Demand { wanted: Wanted::Cell(Place { leaf: number / 8, cell: (number % 8) as u32 }), due };
    let leaf = Demand { wanted: Wanted::Leaf { at: 1, leaf: 7 }, due: 30_000 + 43_200 + 12 };
    let expected = vec![cell(63, 63_206), leaf, cell(11, 82_200), cell(20, 82_200), cell(12, 83_200)];
    assert_eq!(demanded(&shard, &terms, &asked), expected);
    let here = Here { has_result: true, ..Here::default() };
    let step = |shard: &Shard, here, time| {
        let now = Now { time, slot: 1_000_000, ..now };
        next(&provider, &terms, Some(shard), &asked, here, &now)
    };
    assert_eq!(step(&shard, here, 50_000), Step::Answer(expected.clone()));
    assert_eq!(step(&shard, Here::default(), 50_000), Step::Compute);
    let accepted = Shard { accepted: 1, ..shard };
    assert_eq!(step(&accepted, Here::default(), 50_000), Step::Settle);
    assert_eq!(step(&Shard { state: ShardState::Committed as u8, window: 1, ..accepted }, here, 50_000), Step::Settle);

    // Proven, and one leaf is still to be posted: in time, late, and too late to be worth the wait.
    let proven = Shard { answered: u32::MAX, open_challenges: 0, ..shard };
    let post = |time| matches!(step(&proven, here, time), Step::Answer(_));
    assert!(post(60_000) && post(73_212) && post(73_212 + 43_211));
    assert_eq!(step(&proven, here, 73_212 + 43_212), Step::Settle);
    assert_eq!(step(&proven, Here::default(), 73_211), Step::Compute);
    assert_eq!(step(&proven, Here::default(), 73_212), Step::Settle);
    // Nothing may be settled while a challenge is open, though this worker's node does not show it yet.
    let unseen = Shard { answered: u32::MAX, leaves_posted: 2, ..shard };
    let asked = Asked::default();
    let now = Now { time: 90_000, slot: 1_000_000, ..now };
    assert_eq!(next(&provider, &terms, Some(&unseen), &asked, here, &now), Step::Wait);
}

/// A late leaf costs the price, a late cell the collateral.
#[test]
fn a_leaf_comes_after_cells_that_are_due_at_about_the_same_time() {
    let (mut terms, now) = (terms(), 20_000);
    terms.answer_transactions = 1;
    let mut shard = Shard::zeroed();
    (shard.state, shard.drawn, shard.drawn_at) = (ShardState::Sampled as u8, 3, now);
    shard.cells[..3].copy_from_slice(&[1, 2, 3]);
    (shard.named, shard.cells[3], shard.cells[4]) = (2, 4, 5);
    (shard.leaves_demanded, shard.open_challenges) = (1, 0);
    let mut delivery = Delivery::zeroed();
    (delivery.count, delivery.leaves[0]) = (1, 7);
    let asked = Asked { challenges: Vec::new(), delivery: Some(delivery) };
    // The leaf is due two seconds after the time for an answer: `before` the drawn cells, with the named ones well after both.
    let place_of_leaf = |before: i64| {
        let mut shard = shard;
        (shard.demanded_at, shard.named_at) = (now - 2 - before, now + 1_000);
        let demands = demanded(&shard, &terms, &asked);
        assert_eq!(demands.len(), 6);
        assert!(demands.is_sorted_by_key(Demand::rank));
        let leaf = demands.iter().position(|demand| demand.wanted == Wanted::Leaf { at: 0, leaf: 7 }).unwrap();
        assert_eq!(demands[leaf].wanted.place(), Place { leaf: 7, cell: WHOLE_LEAF });
        (leaf, demands[leaf].due - (now + 43_200))
    };
    assert_eq!(place_of_leaf(0), (3, 0));
    assert_eq!(place_of_leaf(59), (3, -59));
    assert_eq!(place_of_leaf(61), (0, -61));
    assert_eq!(place_of_leaf(-900), (3, 900));
}

/// The first few are in work, and what rests keeps nothing behind it waiting.
#[test]
fn what_is_at_work_are_the_first_that_do_not_rest() {
    let cell = |cell, due| Demand { wanted: Wanted::Cell(Place { leaf: 0, cell }), due };
    let demands: Vec<Demand> = (0..10).map(|i| cell(i, i64::from(i))).collect();
    assert_eq!(at_work(&demands, 4, |_| false), demands[..4]);
    let odd = |wanted: &Wanted| wanted.place().cell % 2 == 1;
    assert_eq!(at_work(&demands, 4, odd), [demands[0], demands[2], demands[4], demands[6]]);
    assert_eq!(at_work(&demands, 40, odd).len(), 5);
    assert!(at_work(&demands, 4, |_| true).is_empty());
}
