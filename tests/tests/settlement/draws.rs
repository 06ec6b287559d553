//! Draw windows: when a seed can be recorded, what an unrecorded window costs, and the renter's named cells.

use anchor_lang::error::ErrorCode;
use assay_client::ix;
use assay_settlement::{
    DrawSeed, ShardState,
    constants::{RESTART_GRACE_SECONDS, SEED_KEEP_SECONDS, SLOTS_PER_SECOND},
    error::AssayError as E,
    rules::judgement::Fault,
    seeds,
};
use assay_tests::{Provider, Refusal, Spec, Task, Work, World, world::STAKE};

fn committed() -> (World, Task, Provider, Work) {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let alice = w.alice.clone();
    let work = w.claim_and_commit(&task, 0, &alice);
    (w, task, alice, work)
}

/// Goes to the slot.
fn go(w: &mut World, slot: u64) {
    w.chain.advance_slots(slot - w.chain.now().slot);
}

#[test]
fn a_seed_needs_twelve_hashes_of_its_window() {
    let (mut w, task, _, _) = committed();
    let watcher = w.watcher.clone();
    let shard = w.shard(&task, 0);
    let start = shard.window * 64;
    assert!(start >= shard.committed_slot + 32, "nobody knows the window's hashes when a root is committed");
    w.refused(E::DrawTooEarly, &[w.record_ix(shard.window)], &[&watcher]);
    go(&mut w, start + 11);
    w.refused(E::DrawTooEarly, &[w.record_ix(shard.window)], &[&watcher]);
    let draw = ix::draw_samples(&task.job, 0, shard.window);
    w.refused(ErrorCode::AccountOwnedByWrongProgram, &[draw.clone()], &[&watcher]);
    go(&mut w, start + 12);
    w.ok(&[w.record_ix(shard.window), draw.clone()], &[&watcher]);
    let seed: DrawSeed = w.read(&seeds::draw_seed(shard.window));
    assert_eq!((seed.window, seed.rent_payer), (shard.window, watcher.id()));
    w.refused(E::WrongState, &[draw], &[&watcher]);
    const ALREADY_IN_USE: u32 = 0;
    w.refused(Refusal::Custom(ALREADY_IN_USE), &[w.record_ix(shard.window)], &[&watcher]);
}

#[test]
fn a_window_can_be_recorded_until_its_first_slot_has_aged_out() {
    for (late, error) in [(0, None), (1, Some(E::DrawAgedOut))] {
        let (mut w, task, _, _) = committed();
        let watcher = w.watcher.clone();
        let window = w.shard(&task, 0).window;
        // SlotHashes holds the 512 slots before the current one.
        go(&mut w, window * 64 + 512 + late);
        let record = w.record_ix(window);
        match error {
            None => drop(w.ok(&[record], &[&watcher])),
            Some(error) => w.refused(error, &[record], &[&watcher]),
        }
    }
}

#[test]
fn windows_that_no_shard_waits_for_cannot_be_used_to_any_effect() {
    let (mut w, task, _, _) = committed();
    let watcher = w.watcher.clone();
    let window = w.shard(&task, 0).window;
    w.refused(E::Overflow, &[w.record_ix(u64::MAX)], &[&watcher]);
    w.refused(E::DrawAgedOut, &[w.record_ix(0)], &[&watcher]);
    w.reach(window + 1);
    // The seed of the window after: anyone may record it, and it draws nothing here.
    w.ok(&[w.record_ix(window + 1)], &[&watcher]);
    w.refused(E::WrongWindow, &[ix::draw_samples(&task.job, 0, window + 1)], &[&watcher]);
    w.draw(&task, 0);
}

#[test]
fn a_window_is_rolled_only_when_it_can_no_longer_be_recorded() {
    let (mut w, task, alice, _) = committed();
    let stranger = w.stranger.clone();
    let window = w.shard(&task, 0).window;
    let roll = ix::roll_window(stranger.id(), &task.job, 0, window);
    w.refused(E::DrawStillPossible, &[roll.clone()], &[&stranger]);
    w.reach(window);
    w.refused(E::DrawStillPossible, &[roll.clone()], &[&stranger]);
    // Recorded in time, it is never rolled, however late it is drawn.
    let watcher = w.watcher.clone();
    w.ok(&[w.record_ix(window)], &[&watcher]);
    w.age_out(&task, 0);
    w.refused(E::DrawStillPossible, &[roll], &[&stranger]);
    w.ok(&[ix::draw_samples(&task.job, 0, window)], &[&stranger]);
    assert_eq!(w.shard(&task, 0).state(), Some(ShardState::Sampled));
    assert_eq!(w.provider(&alice).locked, 1_500_000);

    // A shard that is merely claimed has no window.
    let bob = w.bob.clone();
    w.claim(&task, 1, &bob);
    w.refused(E::WrongState, &[ix::roll_window(stranger.id(), &task.job, 1, 0)], &[&stranger]);
}

#[test]
fn each_rolled_window_costs_a_share_of_the_collateral_paid_at_settlement() {
    // Pay is 980,000. One roll owes 500,000; two owe more than was earned.
    for (rolls, staked) in [(1u64, STAKE + 480_000), (2, STAKE - 20_000)] {
        let (mut w, task, alice, work) = committed();
        let stranger = w.stranger.clone();
        for n in 1..=rolls {
            let before = w.shard(&task, 0).window;
            w.age_out(&task, 0);
            w.ok(&[ix::roll_window(stranger.id(), &task.job, 0, before)], &[&stranger]);
            let shard = w.shard(&task, 0);
            assert_eq!((shard.owed_renter, u64::from(shard.rolls)), (500_000 * n, n));
            assert!(shard.window > before);
            let old = ix::draw_samples(&task.job, 0, before);
            w.refused(ErrorCode::AccountOwnedByWrongProgram, &[old], &[&stranger]);
        }
        w.draw(&task, 0);
        w.answer_all(&task, &work, &alice);
        w.pass_window(&task);
        w.settle(&task, 0, &alice);
        assert_eq!((w.provider(&alice).staked, w.provider(&alice).locked), (staked, 0), "{rolls} rolls");
        assert_eq!((w.job(&task).compensated, w.job(&task).fees_owed), (500_000 * rolls, 20_000));
        let renter_had = w.held(&task.renter.tokens);
        w.cancel(&task);
        w.close(&task);
        assert_eq!(w.held(&task.renter.tokens) - renter_had, 3_000_000 + 500_000 * rolls);
    }
}

#[test]
fn a_window_missed_in_the_hour_after_a_restart_costs_nothing() {
    let (mut w, task, alice, work) = committed();
    let stranger = w.stranger.clone();
    w.chain.restart();
    let restart = w.chain.now().slot;
    let roll = |w: &World| ix::roll_window(w.stranger.id(), &task.job, 0, w.shard(&task, 0).window);
    for n in 1..=5 {
        w.age_out(&task, 0);
        w.ok(&[roll(&w)], &[&stranger]);
        let shard = w.shard(&task, 0);
        assert_eq!((shard.owed_renter, shard.rolls), (0, n));
    }
    // An hour of slots after the restart the excuse is over.
    go(&mut w, restart + SLOTS_PER_SECOND * u64::from(RESTART_GRACE_SECONDS));
    w.age_out(&task, 0);
    w.ok(&[roll(&w)], &[&stranger]);
    assert_eq!(w.shard(&task, 0).owed_renter, 500_000);
    w.draw(&task, 0);
    w.answer_all(&task, &work, &alice);
    w.pass_window(&task);
    w.chain.pass(RESTART_GRACE_SECONDS);
    w.settle(&task, 0, &alice);
}

#[test]
fn a_lone_cheater_pays_for_every_window_it_lets_pass() {
    // Half of the cells are wrong, nobody else watches, and it waits as long as it likes between looks.
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, operator) = (w.alice.clone(), w.alice.operator.clone());
    w.claim(&task, 0, &alice);
    let wrong: Vec<u64> = (0..64).collect();
    let work = w.forged(&task, 0, &alice, &wrong);
    w.commit(&task, &alice, &work);
    for looks in 1..=3 {
        let window = w.shard(&task, 0).window;
        w.chain.pass(SEED_KEEP_SECONDS);
        w.ok(&[ix::roll_window(operator.id(), &task.job, 0, window)], &[&operator]);
        assert_eq!(w.shard(&task, 0).state() == Some(ShardState::Slashed), looks == 3);
    }
}

#[test]
fn whoever_waits_for_ever_loses_the_whole_lock() {
    let (mut w, task, alice, work) = committed();
    let stranger = w.stranger.clone();
    for _ in 0..3 {
        let window = w.shard(&task, 0).window;
        w.age_out(&task, 0);
        w.ok(&[ix::roll_window(stranger.id(), &task.job, 0, window)], &[&stranger]);
    }
    let shard = w.shard(&task, 0);
    assert_eq!((shard.state(), shard.fault), (Some(ShardState::Slashed), Fault::RolledOut as u8));
    assert_eq!((shard.owed_bounty, shard.owed_renter, shard.owed_treasury), (150_000, 1_350_000, 0));
    let args = w.answer(&task, &work, 0).args;
    let answer = ix::adjudicate(alice.operator.id(), &task.job, &w.job(&task), 0, None, args);
    w.refused(E::WrongState, &[answer], &[&alice.operator]);
    w.ok(&[w.seize_ix(&task, 0, &alice), w.bounty_ix(&task, 0, &alice, stranger.tokens)], &[&stranger]);
    assert_eq!((w.provider(&alice).staked, w.provider(&alice).locked), (STAKE - 1_500_000, 0));
}

#[test]
fn a_wrong_cell_convicts_between_rolls_and_debts_stay_within_the_lock() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, watcher, stranger) = (w.alice.clone(), w.watcher.clone(), w.stranger.clone());
    w.claim(&task, 0, &alice);
    let work = w.forged(&task, 0, &alice, &[0]);
    w.commit(&task, &alice, &work);
    for _ in 0..2 {
        let window = w.shard(&task, 0).window;
        w.age_out(&task, 0);
        w.ok(&[ix::roll_window(stranger.id(), &task.job, 0, window)], &[&stranger]);
    }
    w.judge(&task, &work, 0, &watcher).unwrap();
    let shard = w.shard(&task, 0);
    assert_eq!((shard.owed_bounty, shard.owed_renter, shard.owed_treasury), (150_000, 1_000_000, 350_000));
}

#[test]
fn cells_are_named_once_within_limits_by_renter_or_watch_key() {
    let (mut w, task, alice, work) = committed();
    let (renter, watcher) = (w.renter.clone(), w.watcher.clone());
    let name = |w: &World, cells: &[u64]| ix::name_cells(w.watcher.id(), &task.job, 0, cells.to_vec());
    w.refused(E::TooManyCells, &[name(&w, &[])], &[&watcher]);
    w.refused(E::TooManyCells, &[name(&w, &[1, 2, 3, 4])], &[&watcher]);
    w.refused(E::NoSuchCell, &[name(&w, &[1, 128])], &[&watcher]);
    w.refused(E::NoSuchCell, &[name(&w, &[u64::MAX])], &[&watcher]);
    w.ok(&[name(&w, &[127, 0, 127])], &[&watcher]);
    w.refused(E::AlreadyNamed, &[name(&w, &[1])], &[&watcher]);
    w.refused(E::AlreadyNamed, &[ix::name_cells(renter.id(), &task.job, 0, vec![1])], &[&renter]);
    // They can be answered before the draw, and the same cell named twice is answered once.
    assert_eq!(w.answer_all(&task, &work, &alice).len(), 2);
    w.draw(&task, 0);
    w.answer_all(&task, &work, &alice);
    w.pass_window(&task);
    w.settle(&task, 0, &alice);
    w.refused(E::WrongState, &[name(&w, &[1])], &[&watcher]);
}

#[test]
fn cells_named_in_the_last_second_hold_the_payment_until_they_are_answered() {
    let (mut w, task, alice, work) = committed();
    let (renter, stranger) = (w.renter.clone(), w.stranger.clone());
    w.draw(&task, 0);
    w.answer_all(&task, &work, &alice);
    let shard = w.shard(&task, 0);
    let end = shard.committed_at + i64::from(w.job(&task).terms.challenge_seconds);
    w.chain.advance(u64::try_from(end - 1 - w.chain.now().time).unwrap());
    let name = ix::name_cells(renter.id(), &task.job, 0, vec![100]);
    w.ok(&[name], &[&renter]);
    w.chain.advance(1);
    w.refused(E::Unanswered, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
    w.refused(E::TooEarly, &[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
    w.answer_all(&task, &work, &alice);
    w.settle(&task, 0, &alice);
}

#[test]
fn naming_ends_with_the_window() {
    let (mut w, task, _, _) = committed();
    let renter = w.renter.clone();
    w.pass_window(&task);
    w.refused(E::WindowOver, &[ix::name_cells(renter.id(), &task.job, 0, vec![0])], &[&renter]);
    let bob = w.bob.clone();
    w.claim(&task, 1, &bob);
    w.refused(E::WrongState, &[ix::name_cells(renter.id(), &task.job, 1, vec![0])], &[&renter]);
}

#[test]
fn an_unanswered_named_cell_is_slashed_also_before_the_draw() {
    let (mut w, task, _, work) = committed();
    let (renter, stranger, alice) = (w.renter.clone(), w.stranger.clone(), w.alice.clone());
    w.ok(&[ix::name_cells(renter.id(), &task.job, 0, vec![7, 8])], &[&renter]);
    w.judge(&task, &work, 7, &alice.operator).unwrap();
    let due = w.job(&task).terms.response_seconds;
    w.chain.advance(u64::from(due) - 1);
    w.refused(E::TooEarly, &[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
    w.chain.advance(1);
    w.ok(&[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
    assert_eq!(w.shard(&task, 0).fault, Fault::Unanswered as u8);
}
