//! What moves recorded amounts.

use assay_client::ix;
use assay_settlement::constants::BOUNTY_WAIT_SECONDS;
use assay_tests::{World, experimental_terms, tokens::Money};

use super::{Case, case};
use crate::{
    measure::Shot,
    scene::{associated_tries, committed, done, proven, slashed, world, world_with},
};

pub const CASES: &[Case] = &[
    case("settle_shard", "p-token", || settle(Money::Token)).floor(3_300).aim(6_000),
    case("settle_shard", "Token-2022", || settle(Money::Token2022)).floor(6_700).aim(8_000),
    case("accept_shard", "", accept),
    case("seize", "", seize),
    case("pay_bounty", "", bounty),
    case("waive_debts", "", waive),
];

fn settle(money: Money) -> (World, Shot) {
    let mut w = world_with(experimental_terms(), money);
    let task = proven(&mut w);
    let shot = Shot::new(w.settle_ix(&task, 0, &w.alice), &[&w.stranger]);
    (w, shot)
}

fn seize() -> (World, Shot) {
    let mut w = world();
    let task = slashed(&mut w);
    let shot = Shot::new(w.seize_ix(&task, 0, &w.alice), &[&w.stranger]);
    (w, shot)
}

fn bounty() -> (World, Shot) {
    let mut w = world();
    let task = slashed(&mut w);
    let pay = w.bounty_ix(&task, 0, &w.alice, w.watcher.tokens);
    let shot = Shot::new(pay, &[&w.stranger]).deriving(&[associated_tries(&w, &w.watcher.id())]);
    (w, shot)
}

fn accept() -> (World, Shot) {
    let mut w = world();
    let (task, _) = committed(&mut w);
    (w, Shot::new(ix::accept_shard(task.renter.id(), &task.job, 0), &[&task.renter]))
}

fn waive() -> (World, Shot) {
    let mut w = world();
    let task = slashed(&mut w);
    let (alice, stranger) = (w.alice.clone(), w.stranger.clone());
    let vault = w.provider(&alice).vault;
    w.freeze(&vault, true);
    let seize = w.seize_ix(&task, 0, &alice);
    done(&mut w, seize, &[&stranger]);
    w.chain.pass(BOUNTY_WAIT_SECONDS);
    let shot = Shot::new(w.waive_ix(&task, 0, &alice), &[&task.renter]);
    (w, shot)
}
