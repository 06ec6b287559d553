//! Challenges, from the bond to its end.

use assay_client::ix;
use assay_settlement::seeds;
use assay_tests::{Task, Work, World, experimental_terms, tokens::Money};

use super::{Case, case};
use crate::{
    measure::Shot,
    scene::{associated_tries, challengeable, claimed, committed, done, tries, world, world_with},
};

pub const CASES: &[Case] = &[
    case("open_challenge", "p-token", || open(Money::Token)),
    case("open_challenge", "Token-2022", || open(Money::Token2022)),
    case("adjudicate", "match: a pixel of `escape_time` that is challenged, inline", answer),
    case("slash_unanswered", "a challenged cell", slash),
    case("pay_challenge", "p-token", || pay(Money::Token)),
    case("pay_challenge", "Token-2022", || pay(Money::Token2022)),
    case("return_bond", "of a won challenge", give_back),
];

fn open(money: Money) -> (World, Shot) {
    let mut w = world_with(experimental_terms(), money);
    let (task, _) = committed(&mut w);
    let (number, shard) = (challengeable(&task), seeds::shard(&task.job, 0));
    let found = [tries::challenge(&shard, number), tries::bond(&seeds::challenge(&shard, number))];
    let shot = Shot::new(w.challenge_ix(&task, 0, number, &w.watcher), &[&w.watcher]).deriving(&found);
    (w, shot)
}

/// A committed shard with a cell that the watcher has challenged.
fn challenged(w: &mut World) -> (Task, Work, u64) {
    let (task, work) = committed(w);
    let (number, watcher) = (challengeable(&task), w.watcher.clone());
    w.challenge(&task, 0, number, &watcher);
    (task, work, number)
}

/// The provider's operator answers for a cell. While a shard has open challenges the cell's is derived.
fn judge(w: &World, task: &Task, work: &Work, number: u64) -> Shot {
    let operator = &w.alice.operator;
    let answer = w.answer(task, work, number);
    let judge = ix::adjudicate(operator.id(), &task.job, &w.job(task), 0, None, answer.args);
    Shot::new(judge, &[operator]).deriving(&[tries::challenge(&seeds::shard(&task.job, 0), number)])
}

fn answer() -> (World, Shot) {
    let mut w = world();
    let (task, work, number) = challenged(&mut w);
    let shot = judge(&w, &task, &work, number);
    (w, shot)
}

fn slash() -> (World, Shot) {
    let mut w = world();
    let (task, _, number) = challenged(&mut w);
    w.chain.pass(w.challenge_data(&task, 0, number).seconds);
    let shot = Shot::new(w.slash_challenged_ix(&task, 0, number, &w.stranger), &[&w.stranger]);
    (w, shot)
}

fn pay(money: Money) -> (World, Shot) {
    let mut w = world_with(experimental_terms(), money);
    let (task, work, number) = challenged(&mut w);
    let (operator, answer) = (w.alice.operator.clone(), judge(&w, &task, &work, number));
    done(&mut w, answer.instruction, &[&operator]);
    let shot = Shot::new(w.pay_challenge_ix(&task, 0, number), &[&w.stranger]);
    (w, shot)
}

fn give_back() -> (World, Shot) {
    let mut w = world();
    let task = claimed(&mut w);
    let number = challengeable(&task);
    let (alice, watcher) = (w.alice.clone(), w.watcher.clone());
    let work = w.forged(&task, 0, &alice, &[number]);
    w.commit(&task, &alice, &work);
    w.challenge(&task, 0, number, &watcher);
    let convict = judge(&w, &task, &work, number);
    done(&mut w, convict.instruction, &[&alice.operator]);
    let shot = Shot::new(w.return_bond_ix(&task, 0, number), &[&w.stranger]);
    let shot = shot.deriving(&[associated_tries(&w, &watcher.id())]);
    (w, shot)
}
