//! Challenges: who may demand a cell, of which shard and when, who is owed what when the cell is right, wrong or never
//! answered, and how long an honest provider has. What becomes of the bonds is in `bonds`.

use assay_client::ix;
use assay_settlement::{
    ChallengeState, RENTER_CHALLENGES, Shard, ShardState, error::AssayError as E, rules::judgement::Fault,
    state::unit_seconds,
};
use assay_tests::{Provider, Refusal, Spec, Task, Work, World, tokens, world::TOKENS};

/// An image whose first shard Alice has committed, with these cells wrong.
fn committed(forged: &[u64]) -> (World, Task, Provider, Work) {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let alice = w.alice.clone();
    w.claim(&task, 0, &alice);
    let work = w.forged(&task, 0, &alice, forged);
    w.commit(&task, &alice, &work);
    (w, task, alice, work)
}

/// A cell that the chain did not draw.
fn undrawn(shard: &Shard) -> u64 {
    (0..).find(|n| !shard.cells[..usize::from(shard.drawn)].contains(n)).unwrap()
}

#[test]
fn a_challenge_keeps_a_shard_from_settling_until_it_is_answered() {
    let (mut w, task, alice, work) = committed(&[]);
    let stranger = w.stranger.clone();
    w.draw(&task, 0);
    w.answer_all(&task, &work, &alice);
    let cell = undrawn(&w.shard(&task, 0));
    let had = w.held(&stranger.tokens);
    w.challenge(&task, 0, cell, &stranger);
    let (challenge, bond) = (w.challenge_data(&task, 0, cell), w.job(&task).terms.bond);
    assert!(bond > 0 && bond == challenge.bond);
    assert_eq!((had - w.held(&stranger.tokens), w.held(&challenge.vault)), (bond, bond));
    assert_eq!((challenge.challenger, challenge.rent_payer), (stranger.id(), stranger.id()));
    w.pass_window(&task);
    w.refused(E::Unanswered, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
    // Late, and in time all the same: nobody has slashed.
    w.judge(&task, &work, cell, &alice.operator).unwrap();
    assert_eq!(w.challenge_data(&task, 0, cell).state(), Some(ChallengeState::Answered));
    let shard = w.shard(&task, 0);
    assert_eq!((shard.open_challenges, shard.unpaid_challenges), (0, 1));
    w.settle(&task, 0, &alice);
}

#[test]
fn a_challenge_before_the_draw_answers_the_draw_too() {
    let (mut w, task, alice, work) = committed(&[]);
    let stranger = w.stranger.clone();
    w.draw(&task, 0);
    let drawn = w.shard(&task, 0).cells[0];
    w.challenge(&task, 0, drawn, &stranger);
    w.judge(&task, &work, drawn, &alice.operator).unwrap();
    let shard = w.shard(&task, 0);
    assert_eq!(
        (shard.answered & 1, shard.open_challenges, shard.unpaid_challenges),
        (1, 0, 1),
        "one proof, two demands"
    );
    // The proof of one demand is the proof of the other, whichever came first.
    w.pay_challenge(&task, 0, drawn);
    w.refused(E::AlreadyAnswered, &[w.challenge_ix(&task, 0, drawn, &stranger)], &[&stranger]);
    let named = undrawn(&shard);
    let watcher = w.watcher.clone();
    w.ok(&[ix::name_cells(watcher.id(), &task.job, 0, vec![named])], &[&watcher]);
    w.judge(&task, &work, named, &alice.operator).unwrap();
    w.refused(E::AlreadyAnswered, &[w.challenge_ix(&task, 0, named, &stranger)], &[&stranger]);
}

#[test]
fn a_challenge_is_of_a_cell_of_a_committed_shard_in_its_window() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, stranger) = (w.alice.clone(), w.stranger.clone());
    w.claim(&task, 0, &alice);
    w.refused(E::WrongState, &[w.challenge_ix(&task, 0, 0, &stranger)], &[&stranger]);
    let work = w.work(&task, 0, &alice);
    w.commit(&task, &alice, &work);
    w.draw(&task, 0);
    w.answer_all(&task, &work, &alice);
    for number in [128, 1 << 40, u64::MAX] {
        w.refused(E::NoSuchCell, &[w.challenge_ix(&task, 0, number, &stranger)], &[&stranger]);
    }
    let shard = w.shard(&task, 0);
    let [first, second, third]: [u64; 3] =
        (0..128).rev().filter(|n| !shard.cells[..3].contains(n)).take(3).collect::<Vec<_>>().try_into().unwrap();
    w.challenge(&task, 0, first, &stranger);
    let end = shard.committed_at + i64::from(w.job(&task).terms.challenge_seconds);
    w.chain.advance(u64::try_from(end - w.chain.now().time).unwrap() - 1);
    w.challenge(&task, 0, second, &stranger);
    w.chain.advance(1);
    w.refused(E::WindowOver, &[w.challenge_ix(&task, 0, third, &stranger)], &[&stranger]);
    // A shard that was given back has nothing to challenge; neither has one that has ended.
    w.claim(&task, 1, &alice);
    w.ok(&[w.release_ix(&task, 1, &alice)], &[&alice.operator]);
    w.refused(E::WrongState, &[w.challenge_ix(&task, 1, 0, &stranger)], &[&stranger]);
    w.judge(&task, &work, first, &alice.operator).unwrap();
    w.judge(&task, &work, second, &alice.operator).unwrap();
    w.settle(&task, 0, &alice);
    w.refused(E::WrongState, &[w.challenge_ix(&task, 0, third, &stranger)], &[&stranger]);
}

#[test]
fn a_slashed_shard_is_challenged_no_more() {
    let (mut w, task, _, work) = committed(&[7]);
    let (stranger, watcher) = (w.stranger.clone(), w.watcher.clone());
    w.judge(&task, &work, 7, &watcher).unwrap();
    w.refused(E::WrongState, &[w.challenge_ix(&task, 0, 7, &stranger)], &[&stranger]);
}

#[test]
fn a_cell_has_one_challenge_at_a_time() {
    let (mut w, task, alice, work) = committed(&[]);
    let (stranger, watcher) = (w.stranger.clone(), w.watcher.clone());
    w.challenge(&task, 0, 5, &stranger);
    for by in [&stranger, &watcher] {
        w.refused(E::AlreadyChallenged, &[w.challenge_ix(&task, 0, 5, by)], &[by]);
    }
    let twice = [w.challenge_ix(&task, 0, 6, &stranger), w.challenge_ix(&task, 0, 6, &stranger)];
    w.refused(E::AlreadyChallenged, &twice, &[&stranger]);
    w.judge(&task, &work, 5, &alice.operator).unwrap();
    w.refused(E::AlreadyChallenged, &[w.challenge_ix(&task, 0, 5, &stranger)], &[&stranger]);
    w.refused(E::NotDemanded, &[judge_with(&w, &task, &work, 5, Some(5))], &[&stranger]);
    // Once its bond is divided the cell can be demanded anew, under a new bond and with a new due time, be it in the
    // same transaction: whoever asks for a proof twice pays for it twice.
    let before = w.challenge_data(&task, 0, 5).due().time();
    let again = [w.pay_challenge_ix(&task, 0, 5), w.challenge_ix(&task, 0, 5, &watcher)];
    w.ok(&again, &[&watcher]);
    let challenge = w.challenge_data(&task, 0, 5);
    assert_eq!((challenge.state(), challenge.challenger), (Some(ChallengeState::Open), watcher.id()));
    assert_eq!(w.held(&challenge.vault), challenge.bond);
    assert!(challenge.due().time() >= before);
    w.judge(&task, &work, 5, &alice.operator).unwrap();
    w.pay_challenge(&task, 0, 5);
}

#[test]
fn a_job_may_keep_challenges_to_its_renter() {
    let mut w = World::new();
    let task = w.create_with(Spec::image(), |r| r.flags = RENTER_CHALLENGES);
    let (alice, stranger, watcher, renter) = (w.alice.clone(), w.stranger.clone(), w.watcher.clone(), w.renter.clone());
    let work = w.claim_and_commit(&task, 0, &alice);
    // Neither a stranger nor a watch key nor the provider itself.
    for by in [&stranger, &watcher, &alice.operator] {
        w.refused(E::ChallengeRestricted, &[w.challenge_ix(&task, 0, 3, by)], &[by]);
    }
    w.challenge(&task, 0, 3, &renter);
    // Proving a wrong cell stays everybody's business.
    w.judge(&task, &work, 3, &stranger).unwrap();
}

#[test]
fn a_bond_comes_out_of_the_challengers_own_tokens() {
    let (mut w, task, _, _) = committed(&[]);
    let (stranger, watcher) = (w.stranger.clone(), w.watcher.clone());
    const INSUFFICIENT_FUNDS: u32 = 1;
    const OWNER_DOES_NOT_MATCH: u32 = 4;
    let bond = w.job(&task).terms.bond;
    let challenge = w.challenge_ix(&task, 0, 1, &stranger);
    let others = assay_tests::world::swapped(&challenge, &stranger.tokens, &watcher.tokens);
    w.refused(Refusal::Custom(OWNER_DOES_NOT_MATCH), &[others], &[&stranger]);
    let all_but = TOKENS - (bond - 1);
    let move_away = tokens::transfer(stranger.tokens, watcher.tokens, &stranger, w.token_program, all_but);
    w.ok(&[move_away], &[&stranger]);
    w.refused(Refusal::Custom(INSUFFICIENT_FUNDS), std::slice::from_ref(&challenge), &[&stranger]);
    assert_eq!(w.shard(&task, 0).open_challenges, 0, "a refused challenge leaves nothing");
    w.donate(&stranger.tokens, 1);
    w.ok(&[challenge], &[&stranger]);
    assert_eq!(w.held(&stranger.tokens), 0);
}

/// Adjudication by the stranger with the challenge address of another cell, or none.
fn judge_with(w: &World, task: &Task, work: &Work, number: u64, named: Option<u64>) -> solana_instruction::Instruction {
    let args = w.answer(task, work, number).args;
    let mut judge = ix::adjudicate(w.stranger.id(), &task.job, &w.job(task), work.index, None, args);
    // An optional account that is not given is the program's own address.
    judge.accounts[5].pubkey = named.map_or(assay_settlement::ID, |n| w.challenge_key(task, work.index, n));
    judge.accounts[5].is_writable = named.is_some();
    judge
}

#[test]
fn nobody_takes_a_challengers_bounty() {
    let (mut w, task, alice, work) = committed(&[77, 78]);
    let (watcher, stranger) = (w.watcher.clone(), w.stranger.clone());
    w.challenge(&task, 0, 77, &watcher);
    w.challenge(&task, 0, 3, &watcher);
    // Leaving the challenger out, or naming another's challenge instead, is refused.
    for named in [None, Some(78), Some(3)] {
        w.refused(E::WrongChallenge, &[judge_with(&w, &task, &work, 77, named)], &[&stranger]);
    }
    let mut unwritable = judge_with(&w, &task, &work, 77, Some(77));
    unwritable.accounts[5].is_writable = false;
    w.refused(anchor_lang::error::ErrorCode::ConstraintMut, &[unwritable], &[&stranger]);
    // The stranger may do the challenger's work, for the challenger's bounty.
    w.ok(&[judge_with(&w, &task, &work, 77, Some(77))], &[&stranger]);
    let shard = w.shard(&task, 0);
    assert_eq!((shard.state(), shard.fault), (Some(ShardState::Slashed), Fault::WrongCell as u8));
    assert_eq!(shard.bounty_to, watcher.id());
    assert_eq!(w.challenge_data(&task, 0, 77).state(), Some(ChallengeState::Won));
    let had = w.held(&watcher.tokens);
    w.refused(E::WrongTokenOwner, &[w.bounty_ix(&task, 0, &alice, stranger.tokens)], &[&stranger]);
    w.ok(&[w.seize_ix(&task, 0, &alice), w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&stranger]);
    w.return_bond(&task, 0, 77);
    w.return_bond(&task, 0, 3);
    assert_eq!(w.held(&watcher.tokens) - had, 150_000 + 2 * w.job(&task).terms.bond);
    w.cancel(&task);
    w.close(&task);
}

#[test]
fn an_unchallenged_wrong_cell_pays_whoever_proves_it() {
    let (mut w, task, _, work) = committed(&[77, 78]);
    let (watcher, stranger) = (w.watcher.clone(), w.stranger.clone());
    w.challenge(&task, 0, 77, &watcher);
    w.refused(E::WrongChallenge, &[judge_with(&w, &task, &work, 78, None)], &[&stranger]);
    w.refused(E::WrongChallenge, &[judge_with(&w, &task, &work, 78, Some(77))], &[&stranger]);
    w.ok(&[judge_with(&w, &task, &work, 78, Some(78))], &[&stranger]);
    assert_eq!(w.shard(&task, 0).bounty_to, stranger.id());
    assert_eq!(
        w.challenge_data(&task, 0, 77).state(),
        Some(ChallengeState::Open),
        "not decided, and nobody's any more"
    );
    w.return_bond(&task, 0, 77);
}

#[test]
fn without_open_challenges_nobody_need_name_one() {
    let (mut w, task, _, work) = committed(&[77]);
    let stranger = w.stranger.clone();
    // Another cell's address, or none: nothing is looked at while no challenge is open.
    w.refused(E::NotDemanded, &[judge_with(&w, &task, &work, 3, Some(4))], &[&stranger]);
    w.ok(&[judge_with(&w, &task, &work, 77, None)], &[&stranger]);
    assert_eq!(w.shard(&task, 0).bounty_to, stranger.id());
}

#[test]
fn silence_pays_the_challenger_whoever_calls() {
    let (mut w, task, alice, work) = committed(&[]);
    let (watcher, stranger) = (w.watcher.clone(), w.stranger.clone());
    w.challenge(&task, 0, 10, &watcher);
    w.challenge(&task, 0, 11, &watcher);
    let due = w.challenge_data(&task, 0, 10).seconds;
    w.chain.advance(u64::from(due) - 1);
    w.refused(E::TooEarly, &[w.slash_challenged_ix(&task, 0, 10, &stranger)], &[&stranger]);
    w.chain.advance(1);
    w.refused(E::NothingUnanswered, &[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
    w.refused(E::TooEarly, &[w.slash_challenged_ix(&task, 0, 11, &stranger)], &[&stranger]);
    w.ok(&[w.slash_challenged_ix(&task, 0, 10, &stranger)], &[&stranger]);
    let shard = w.shard(&task, 0);
    assert_eq!((shard.fault, shard.bounty_to), (Fault::Unanswered as u8, watcher.id()));
    // The answer comes too late now, and nothing is slashed twice.
    let refusal = w.judge(&task, &work, 10, &alice.operator).map(|r| r.logs);
    assert_eq!(refusal, Err(E::WrongState.into()));
    for cell in [10, 11] {
        w.refused(E::WrongState, &[w.slash_challenged_ix(&task, 0, cell, &stranger)], &[&stranger]);
        w.return_bond(&task, 0, cell);
    }
}

#[test]
fn an_answered_challenge_slashes_nobody() {
    let (mut w, task, alice, work) = committed(&[]);
    let (watcher, stranger) = (w.watcher.clone(), w.stranger.clone());
    w.challenge(&task, 0, 10, &watcher);
    w.judge(&task, &work, 10, &alice.operator).unwrap();
    let due = w.challenge_data(&task, 0, 10).seconds;
    w.chain.pass(due);
    w.refused(E::NothingUnanswered, &[w.slash_challenged_ix(&task, 0, 10, &stranger)], &[&stranger]);
    // Another shard's challenge is no reason either.
    let bob = w.bob.clone();
    w.claim_and_commit(&task, 1, &bob);
    let mut other = w.slash_challenged_ix(&task, 1, 0, &stranger);
    other.accounts[3].pubkey = w.challenge_key(&task, 0, 10);
    w.refused(E::WrongChallenge, &[other], &[&stranger]);
}

#[test]
fn a_challenge_may_be_the_providers_own_and_costs_it_half_the_bond() {
    let (mut w, task, alice, work) = committed(&[]);
    let owner = alice.owner.clone();
    let had = w.held(&owner.tokens) + w.provider(&alice).staked;
    w.challenge(&task, 0, 10, &owner);
    w.judge(&task, &work, 10, &alice.operator).unwrap();
    w.pay_challenge(&task, 0, 10);
    let has = w.held(&owner.tokens) + w.provider(&alice).staked;
    let bond = w.job(&task).terms.bond;
    assert_eq!(had - has, bond - bond / 2);
}

#[test]
fn the_nth_of_many_challenges_at_once_is_due_n_units_later() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, bob, stranger) = (w.alice.clone(), w.bob.clone(), w.stranger.clone());
    let work = w.claim_and_commit(&task, 0, &alice);
    let other = w.create(Spec::image());
    w.claim_and_commit(&other, 0, &alice);
    w.claim_and_commit(&other, 1, &bob);
    let terms = w.job(&task).terms;
    let unit = unit_seconds(terms.answer_transactions);
    assert!(unit >= 2);
    // Three cells of each shard in work may be drawn and three named: they may all come first.
    let (load, alices) = (6 * unit, 2);
    let response = terms.response_seconds + alices * load;
    // One queue for all shards of a provider.
    for n in 1..=6 {
        let of = if n % 2 == 0 { &task } else { &other };
        w.challenge(of, 0, u64::from(n), &stranger);
        assert_eq!(w.challenge_data(of, 0, u64::from(n)).seconds, response + n * unit);
    }
    // Another provider has its own.
    w.challenge(&other, 1, 0, &stranger);
    assert_eq!(w.challenge_data(&other, 1, 0).seconds, terms.response_seconds + load + unit);
    // Time alone shortens no queue: what is open is still to be answered.
    w.chain.advance(400);
    w.challenge(&task, 0, 100, &stranger);
    assert_eq!(w.challenge_data(&task, 0, 100).seconds, response + 7 * unit);
    // An answered challenge counts until its bond is divided.
    for n in [2, 4, 6] {
        w.judge(&task, &work, n, &alice.operator).unwrap();
    }
    w.challenge(&task, 0, 101, &stranger);
    assert_eq!(w.challenge_data(&task, 0, 101).seconds, response + 8 * unit);
    for n in [2, 4, 6] {
        w.pay_challenge(&task, 0, n);
    }
    w.accept(&other, 0);
    // What is not answered leaves the queue with its shard, wherever its bond lies.
    w.settle(&other, 0, &alice);
    let provider = w.provider(&alice);
    assert_eq!((provider.queued_seconds, provider.load_seconds), (2 * u64::from(unit), load));
    w.return_bond(&other, 0, 1);
    assert_eq!(w.provider(&alice).queued_seconds, 2 * u64::from(unit));
    w.challenge(&task, 0, 102, &stranger);
    assert_eq!(w.challenge_data(&task, 0, 102).seconds, terms.response_seconds + load + 3 * unit);
}

#[test]
fn putting_others_off_keeps_a_bond_tied_up_for_every_unit() {
    // A cheater that fills its own queue by challenging itself, in a job of its own that it accepts, has emptied the
    // queue again once it has its bonds back.
    let (mut w, task, alice, _) = committed(&[]);
    let (renter, watcher) = (w.renter.clone(), w.watcher.clone());
    let own = w.create(Spec::image());
    w.claim_and_commit(&own, 0, &alice);
    for number in 0..20 {
        w.challenge(&own, 0, number, &renter);
    }
    w.accept(&own, 0);
    w.settle(&own, 0, &alice);
    for number in 0..20 {
        w.return_bond(&own, 0, number);
    }
    w.challenge(&task, 0, 3, &watcher);
    let terms = w.job(&task).terms;
    let alone = terms.response_seconds + (6 + 1) * unit_seconds(terms.answer_transactions);
    assert_eq!(w.challenge_data(&task, 0, 3).seconds, alone);
}
