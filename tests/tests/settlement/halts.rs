//! Time: halts and restarts slash nobody and cost nobody; what waits, waits for a bounded time.

use assay_client::ix;
use assay_settlement::{
    ShardState,
    constants::{BOUNTY_WAIT_SECONDS, RESTART_GRACE_SECONDS, SEED_KEEP_SECONDS, SLOTS_PER_SECOND},
    error::AssayError as E,
};
use assay_tests::{Provider, Spec, Task, Work, World, world::LIFE};

const DAY: u64 = 86_400;

fn drawn() -> (World, Task, Provider, Work) {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let alice = w.alice.clone();
    let work = w.claim_and_commit(&task, 0, &alice);
    w.draw(&task, 0);
    (w, task, alice, work)
}

#[test]
fn a_halt_passes_no_deadline() {
    let (mut w, task, alice, work) = drawn();
    let (bob, stranger, renter) = (w.bob.clone(), w.stranger.clone(), w.renter.clone());
    w.claim(&task, 1, &bob);
    w.chain.halt(60 * DAY);
    w.refused(E::TooEarly, &[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
    w.refused(E::TooEarly, &[w.expire_ix(&task, 1, &bob, &stranger)], &[&stranger]);
    w.refused(E::NothingOwed, &[w.refund_ix(&task)], &[&stranger]);
    let window = w.shard(&task, 0).window;
    let watcher = w.watcher.clone();
    w.refused(E::TooEarly, &[ix::close_seed(window, watcher.id())], &[&stranger]);
    // The renter has lost nothing of its window, the provider nothing of its time to answer.
    w.ok(&[ix::name_cells(renter.id(), &task.job, 0, vec![9])], &[&renter]);
    w.answer_all(&task, &work, &alice);
    w.refused(E::WindowOpen, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
    // Slots alone, then, are enough: the clock has long passed.
    let seconds = u64::from(w.job(&task).terms.challenge_seconds);
    let end = w.shard(&task, 0).committed_slot + SLOTS_PER_SECOND * seconds;
    w.chain.advance_slots(end - 1 - w.chain.now().slot);
    w.refused(E::WindowOpen, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
    w.chain.advance_slots(1);
    w.settle(&task, 0, &alice);
}

#[test]
fn a_restart_gives_everybody_an_hour_of_slots() {
    let (mut w, task, alice, work) = drawn();
    let stranger = w.stranger.clone();
    w.chain.advance(100);
    w.chain.halt(2 * DAY);
    w.chain.restart();
    let restart = w.chain.now().slot;
    let due = u64::from(w.job(&task).terms.response_seconds);
    // The response time is over by clock and by slots: still nobody is slashed.
    w.chain.advance(due);
    w.refused(E::TooEarly, &[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
    let grace = SLOTS_PER_SECOND * u64::from(RESTART_GRACE_SECONDS);
    w.chain.advance_slots(restart + grace - 1 - w.chain.now().slot);
    w.refused(E::TooEarly, &[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
    let cell = w.shard(&task, 0).cells[0];
    w.judge(&task, &work, cell, &alice.operator).unwrap();
    w.chain.advance_slots(1);
    w.ok(&[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
}

#[test]
fn a_restart_before_a_deadline_was_opened_changes_nothing() {
    let mut w = World::new();
    w.chain.restart();
    w.chain.advance(10);
    let task = w.create(Spec::image());
    let (alice, stranger) = (w.alice.clone(), w.stranger.clone());
    w.claim_and_commit(&task, 0, &alice);
    w.draw(&task, 0);
    let due = w.job(&task).terms.response_seconds;
    w.chain.pass(due);
    w.ok(&[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
}

#[test]
fn a_jobs_expiry_in_a_halt_stops_claims_and_keeps_the_escrow_of_what_is_claimed() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, stranger) = (w.alice.clone(), w.stranger.clone());
    w.claim(&task, 0, &alice);
    w.chain.halt(u64::from(LIFE));
    w.refused(E::JobClosed, &[w.claim_ix(&task, 1, &alice)], &[&alice.operator]);
    w.refused(E::NothingOwed, &[w.refund_ix(&task)], &[&stranger]);
    w.refused(E::StillNeeded, &[w.close_job_ix(&task)], &[&stranger]);
    let work = w.work(&task, 0, &alice);
    w.commit(&task, &alice, &work);
    w.draw(&task, 0);
    w.answer_all(&task, &work, &alice);
    w.pass_window(&task);
    w.settle(&task, 0, &alice);
    w.chain.pass(LIFE);
    w.close(&task);
}

#[test]
fn a_bounty_waits_thirty_days_and_then_falls_to_the_treasury() {
    let (mut w, task, alice, _) = drawn();
    let stranger = w.stranger.clone();
    let due = w.job(&task).terms.response_seconds;
    w.chain.pass(due);
    w.ok(&[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
    w.ok(&[w.seize_ix(&task, 0, &alice)], &[&stranger]);
    w.cancel(&task);
    // The bounty is still owed: the shard's account stays, and so does the job's.
    w.refused(E::StillNeeded, &[w.close_shard_ix(&task, 0)], &[&stranger]);
    assert_eq!(w.provider(&alice).locked, 150_000);
    w.chain.advance(u64::from(BOUNTY_WAIT_SECONDS) - 1);
    w.refused(E::NothingOwed, &[w.seize_ix(&task, 0, &alice)], &[&stranger]);
    w.chain.advance(1);
    w.ok(&[w.seize_ix(&task, 0, &alice)], &[&stranger]);
    assert_eq!((w.provider(&alice).locked, w.job(&task).fees_owed), (0, 500_000));
    assert_eq!((w.job(&task).slashed, w.provider(&alice).slashed), (1, 1), "counted once");
    w.refused(E::NothingOwed, &[w.seize_ix(&task, 0, &alice)], &[&stranger]);
    w.refused(E::NothingOwed, &[w.bounty_ix(&task, 0, &alice, stranger.tokens)], &[&stranger]);
    w.close(&task);
    assert_eq!(w.held(&w.market_data().treasury), 500_000);
}

#[test]
fn a_bounty_can_be_had_late_as_long_as_nobody_seizes_it() {
    let (mut w, task, alice, _) = drawn();
    let stranger = w.stranger.clone();
    let due = w.job(&task).terms.response_seconds;
    w.chain.pass(due);
    w.ok(&[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
    // Before the rest is seized, and in one go with it after the wait.
    w.ok(&[w.bounty_ix(&task, 0, &alice, stranger.tokens)], &[&stranger]);
    w.chain.pass(BOUNTY_WAIT_SECONDS);
    w.ok(&[w.seize_ix(&task, 0, &alice)], &[&stranger]);
    let job = w.job(&task);
    assert_eq!((job.fees_owed, job.compensated), (350_000, 1_000_000));
}

#[test]
fn nothing_seized_is_nothing_lost_and_open_shards_come_back_meanwhile() {
    let (mut w, task, alice, _) = drawn();
    let stranger = w.stranger.clone();
    let due = w.job(&task).terms.response_seconds;
    w.chain.pass(due);
    w.ok(&[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
    w.refused(E::StillNeeded, &[w.close_shard_ix(&task, 0)], &[&stranger]);
    w.cancel(&task);
    // Slashed and not seized, the shard's escrow still counts as in work.
    w.ok(&[w.refund_ix(&task)], &[&stranger]);
    w.refused(E::NothingOwed, &[w.refund_ix(&task)], &[&stranger]);
    w.ok(&[w.seize_ix(&task, 0, &alice)], &[&stranger]);
    w.ok(&[w.refund_ix(&task)], &[&stranger]);
    w.ok(&[w.bounty_ix(&task, 0, &alice, stranger.tokens)], &[&stranger]);
    w.close(&task);
}

#[test]
fn a_closed_seed_leaves_drawn_shards_alone() {
    let (mut w, task, alice, work) = drawn();
    let (watcher, stranger) = (w.watcher.clone(), w.stranger.clone());
    let window = w.shard(&task, 0).window;
    w.answer_all(&task, &work, &alice);
    w.chain.pass(SEED_KEEP_SECONDS);
    w.ok(&[ix::close_seed(window, watcher.id())], &[&stranger]);
    w.refused(E::WrongState, &[ix::roll_window(stranger.id(), &task.job, 0, window)], &[&stranger]);
    w.settle(&task, 0, &alice);
    assert_eq!(w.shard(&task, 0).state(), Some(ShardState::Settled));
}
