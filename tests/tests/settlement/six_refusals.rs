//! What issue 2 names: a forged leaf, a wrong Merkle path, foreign evidence, a second claim, an answer after its
//! deadline, a settlement before the window's end.

use assay_client::ix;
use assay_kernels::abi::VerifierError;
use assay_settlement::{ShardState, error::AssayError as E, rules::judgement::Fault, seeds};
use assay_tests::{Actor, Refusal, Spec, Task, Work, World, world::swapped};
use solana_instruction::Instruction;

/// Adjudication of a cell whose evidence fits inline.
fn adjudicate(w: &World, task: &Task, work: &Work, number: u64, submitter: &Actor) -> Instruction {
    let args = w.answer(task, work, number).args;
    ix::adjudicate(submitter.id(), &task.job, &w.job(task), work.index, None, args)
}

#[test]
fn a_forged_leaf_is_convicted_by_anyone_with_the_data() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, watcher, stranger) = (w.alice.clone(), w.watcher.clone(), w.stranger.clone());
    w.claim(&task, 0, &alice);
    let work = w.forged(&task, 0, &alice, &[77]);
    w.commit(&task, &alice, &work);

    // Cells beside the forged one are right, and nobody demanded them.
    let right = adjudicate(&w, &task, &work, 78, &watcher);
    w.refused(E::NotDemanded, &[right], &[&watcher]);
    // Nobody demanded the forged one either: it convicts all the same, before any draw.
    let receipt = w.judge(&task, &work, 77, &watcher).unwrap();
    println!("a conviction: {} compute units, {} bytes", receipt.units, receipt.bytes);
    let shard = w.shard(&task, 0);
    assert_eq!((shard.state(), shard.fault), (Some(ShardState::Slashed), Fault::WrongCell as u8));
    assert_eq!(shard.bounty_to, watcher.id());
    assert_eq!((shard.owed_bounty, shard.owed_renter, shard.owed_treasury), (150_000, 1_000_000, 350_000));

    // It pays once, and what it owes reaches everybody without the provider.
    let again = w.judge(&task, &work, 77, &watcher);
    assert_eq!(again.unwrap_err(), Refusal::Settlement(E::WrongState));
    w.refused(E::WrongState, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
    let (staked, tokens) = (w.provider(&alice).staked, w.held(&watcher.tokens));
    w.ok(&[w.seize_ix(&task, 0, &alice)], &[&stranger]);
    w.refused(E::NothingOwed, &[w.seize_ix(&task, 0, &alice)], &[&stranger]);
    w.ok(&[w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&stranger]);
    w.refused(E::NothingOwed, &[w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&stranger]);
    assert_eq!(w.held(&watcher.tokens) - tokens, 150_000);
    let provider = w.provider(&alice);
    assert_eq!((staked - provider.staked, provider.locked, provider.slashed), (1_500_000, 0, 1));
    let job = w.job(&task);
    assert_eq!((job.slashed, job.active, job.fees_owed, job.compensated), (1, 0, 350_000, 1_000_000));

    let renter_had = w.held(&task.renter.tokens);
    w.cancel(&task);
    w.close(&task);
    assert_eq!(
        w.held(&task.renter.tokens) - renter_had,
        4_000_000 + 1_000_000,
        "escrow of both shards and compensation"
    );
    assert_eq!(w.held(&w.market_data().treasury), 350_000);
}

#[test]
fn a_forged_element_is_convicted_with_uploaded_evidence() {
    let mut w = World::new();
    let task = w.create(Spec::small_product());
    let (bob, watcher) = (w.bob.clone(), w.watcher.clone());
    w.claim(&task, 0, &bob);
    let work = w.forged(&task, 0, &bob, &[5]);
    w.commit(&task, &bob, &work);
    w.draw(&task, 0);
    w.judge(&task, &work, 5, &watcher).unwrap();
    assert_eq!(w.shard(&task, 0).state(), Some(ShardState::Slashed));
}

#[test]
fn a_forger_cannot_answer_with_the_right_bytes_under_its_root() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, renter) = (w.alice.clone(), w.renter.clone());
    w.claim(&task, 0, &alice);
    let forged = w.forged(&task, 0, &alice, &[77]);
    w.commit(&task, &alice, &forged);
    w.ok(&[ix::name_cells(renter.id(), &task.job, 0, vec![77])], &[&renter]);
    let honest = w.work(&task, 0, &alice);
    // The right leaf with the forged tree's path, and with its own.
    let mut args = w.answer(&task, &forged, 77).args;
    let right = w.answer(&task, &honest, 77).args;
    let leaf = args.leaf_at as usize..args.leaf_path_at as usize;
    args.inline[leaf.clone()].copy_from_slice(&right.inline[leaf]);
    let mixed = ix::adjudicate(alice.operator.id(), &task.job, &w.job(&task), 0, None, args);
    w.refused(E::WrongPath, &[mixed], &[&alice.operator]);
    let own = adjudicate(&w, &task, &honest, 77, &alice.operator);
    w.refused(E::WrongPath, &[own], &[&alice.operator]);
    // Answering truthfully convicts it; not answering is slashed.
    let due = w.job(&task).terms.response_seconds;
    w.chain.pass(due);
    let stranger = w.stranger.clone();
    w.ok(&[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
    assert_eq!(w.shard(&task, 0).fault, Fault::Unanswered as u8);
}

#[test]
fn a_wrong_merkle_path_is_refused_wherever_it_is_wrong() {
    let mut w = World::new();
    let task = w.create(Spec::product(16, 16, 64));
    let (alice, operator) = (w.alice.clone(), w.alice.operator.clone());
    let work = w.claim_and_commit(&task, 0, &alice);
    w.draw(&task, 0);
    let number = w.shard(&task, 0).cells[0];
    let answer = w.answer(&task, &work, number);
    let data = answer.evidence.clone().unwrap();
    // One wrong byte in an input chunk, its path, the leaf, and the leaf's path.
    let offset = |at: u32| (at & !assay_kernels::abi::IN_EVIDENCE) as usize - assay_settlement::EVIDENCE_HEADER_BYTES;
    let places = [
        offset(answer.args.openings[0].at) + 1_023,
        offset(answer.args.openings[1].at),
        offset(answer.args.openings[0].path_at),
        offset(answer.args.openings[1].path_at) + 33,
        offset(answer.args.leaf_at) + 255,
        offset(answer.args.leaf_path_at),
        data.len() - 1,
    ];
    for (i, place) in places.into_iter().enumerate() {
        let mut wrong = answer.clone();
        wrong.evidence.as_mut().unwrap()[place] ^= 1;
        let evidence = w.upload(&operator, &format!("wrong {i}"), &wrong);
        let judge = ix::adjudicate(operator.id(), &task.job, &w.job(&task), 0, evidence, wrong.args);
        w.refused(E::WrongPath, &[judge], &[&operator]);
    }
    // The right bytes in another place of the tree, which reads other rows.
    let evidence = w.upload(&operator, "right", &answer);
    let mut elsewhere = answer.args.clone();
    elsewhere.leaf = (elsewhere.leaf + 1) % 4;
    let job = w.job(&task);
    let moved = ix::adjudicate(operator.id(), &task.job, &job, 0, evidence, elsewhere);
    w.refused(VerifierError::MissingOpening, &[moved], &[&operator]);
    // Input chunks of another row, properly authenticated: the verifier misses the ones that the cell reads.
    let mut other_row = answer.clone();
    let place = work.place(&job.terms, number);
    let other = (place.leaf * 64 + u64::from(place.cell) + 32) % 256;
    let foreign = w.answer(&task, &work, other);
    other_row.args.openings = foreign.args.openings.clone();
    let mut bytes = foreign.evidence.clone().unwrap();
    let leaf_from = offset(answer.args.leaf_at);
    bytes[leaf_from..].copy_from_slice(&data[leaf_from..]);
    other_row.evidence = Some(bytes);
    let evidence = w.upload(&operator, "other row", &other_row);
    let judge = ix::adjudicate(operator.id(), &task.job, &job, 0, evidence, other_row.args);
    let refusal = w.send(&[judge], &[&operator]).unwrap_err();
    assert_eq!(refusal, Refusal::Verifier(VerifierError::MissingOpening), "neither answered nor convicted");
    assert_eq!(w.shard(&task, 0).answered, 0);
    w.judge(&task, &work, number, &operator).unwrap();
}

#[test]
fn foreign_evidence_is_refused() {
    let mut w = World::new();
    let (alice, bob) = (w.alice.clone(), w.bob.clone());
    let task = w.create(Spec::product(16, 8, 64));
    let other = w.create(Spec::product(16, 8, 65));
    let work = w.claim_and_commit(&task, 0, &alice);
    let foreign = w.claim_and_commit(&other, 0, &alice);
    w.draw(&task, 0);
    let number = w.shard(&task, 0).cells[0];
    let answer = w.answer(&task, &work, number);
    let job = w.job(&task);

    // Somebody else's evidence account, though it holds the right bytes.
    let bobs = w.upload(&bob.operator, "mine", &answer);
    let judge = ix::adjudicate(alice.operator.id(), &task.job, &job, 0, bobs, answer.args.clone());
    w.refused(E::WrongEvidenceOwner, &[judge], &[&alice.operator]);
    // An account that is no evidence: a shard, a token vault.
    for account in [seeds::shard(&other.job, 0), w.job(&other).vault] {
        let judge = ix::adjudicate(alice.operator.id(), &task.job, &job, 0, Some(account), answer.args.clone());
        w.refused(E::NotEvidence, &[judge], &[&alice.operator]);
    }
    // Leaf and path of another job, and of the same leaf claimed by another provider.
    let theirs = w.answer(&other, &foreign, number);
    let evidence = w.upload(&alice.operator, "theirs", &theirs);
    let judge = ix::adjudicate(alice.operator.id(), &task.job, &job, 0, evidence, theirs.args.clone());
    w.refused(E::WrongPath, &[judge], &[&alice.operator]);
    let under_bob = w.work(&task, 0, &bob);
    assert_eq!(under_bob.tree.bytes(), work.tree.bytes(), "the same work");
    let stolen = w.answer(&task, &under_bob, number);
    let evidence = w.upload(&alice.operator, "stolen", &stolen);
    let judge = ix::adjudicate(alice.operator.id(), &task.job, &job, 0, evidence, stolen.args);
    w.refused(E::WrongPath, &[judge], &[&alice.operator]);
    // Inputs that are not the job's, under a right leaf.
    let mut other_inputs = answer.clone();
    let bytes = other_inputs.evidence.as_mut().unwrap();
    bytes[..2_048].copy_from_slice(&theirs.evidence.as_ref().unwrap()[..2_048]);
    let evidence = w.upload(&alice.operator, "other inputs", &other_inputs);
    let judge = ix::adjudicate(alice.operator.id(), &task.job, &job, 0, evidence, other_inputs.args);
    w.refused(E::WrongPath, &[judge], &[&alice.operator]);
    // A shard of another job in the place of this one's.
    let evidence = w.upload(&alice.operator, "right", &answer);
    let judge = ix::adjudicate(alice.operator.id(), &task.job, &job, 0, evidence, answer.args);
    let mixed = swapped(&judge, &seeds::shard(&task.job, 0), &seeds::shard(&other.job, 0));
    w.refused(E::WrongJob, &[mixed], &[&alice.operator]);
    w.ok(&[judge], &[&alice.operator]);
}

#[test]
fn another_providers_root_is_worthless() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, bob) = (w.alice.clone(), w.bob.clone());
    let honest = w.claim_and_commit(&task, 0, &alice);
    // Bob copies the root of the same shard's bytes as Alice salted them. He can prove no leaf of it.
    w.claim(&task, 1, &bob);
    w.ok(&[w.commit_ix(&task, 1, &bob, honest.tree.root())], &[&bob.operator]);
    w.draw(&task, 1);
    let number = w.shard(&task, 1).cells[0];
    let mut args = w.answer(&task, &honest, number).args;
    args.leaf += 2;
    let judge = ix::adjudicate(bob.operator.id(), &task.job, &w.job(&task), 1, None, args);
    w.refused(E::WrongPath, &[judge], &[&bob.operator]);
}

#[test]
fn a_claimed_shard_cannot_be_claimed_again() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, bob) = (w.alice.clone(), w.bob.clone());
    w.claim(&task, 0, &alice);
    for provider in [&bob, &alice] {
        w.refused(E::ShardClaimed, &[w.claim_ix(&task, 0, provider)], &[&provider.operator]);
    }
    let work = w.work(&task, 0, &alice);
    w.commit(&task, &alice, &work);
    w.refused(E::ShardClaimed, &[w.claim_ix(&task, 0, &bob)], &[&bob.operator]);
    w.draw(&task, 0);
    w.refused(E::ShardClaimed, &[w.claim_ix(&task, 0, &bob)], &[&bob.operator]);
    w.answer_all(&task, &work, &alice);
    w.pass_window(&task);
    w.settle(&task, 0, &alice);
    w.refused(E::WrongState, &[w.claim_ix(&task, 0, &bob)], &[&bob.operator]);
    // Twice in one transaction.
    let twice = [w.claim_ix(&task, 1, &bob), w.claim_ix(&task, 1, &bob)];
    w.refused(E::ShardClaimed, &twice, &[&bob.operator]);
}

#[test]
fn late_answers_count_until_the_slash_and_not_after_it() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, bob, stranger) = (w.alice.clone(), w.bob.clone(), w.stranger.clone());
    let late = w.claim_and_commit(&task, 0, &alice);
    let too_late = w.claim_and_commit(&task, 1, &bob);
    w.refused(E::NothingUnanswered, &[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
    w.draw(&task, 0);
    w.draw(&task, 1);
    w.refused(E::TooEarly, &[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
    let due = w.job(&task).terms.response_seconds;
    w.chain.pass(due);
    w.chain.advance(10_000);

    w.answer_all(&task, &late, &alice);
    w.refused(E::NothingUnanswered, &[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
    w.settle(&task, 0, &alice);

    w.ok(&[w.slash_ix(&task, 1, &stranger)], &[&stranger]);
    let shard = w.shard(&task, 1);
    assert_eq!(
        (shard.state(), shard.fault, shard.bounty_to),
        (Some(ShardState::Slashed), Fault::Unanswered as u8, stranger.id())
    );
    let answer = adjudicate(&w, &task, &too_late, shard.cells[0], &bob.operator);
    w.refused(E::WrongState, &[answer], &[&bob.operator]);
    w.refused(E::WrongState, &[w.slash_ix(&task, 1, &stranger)], &[&stranger]);
}

#[test]
fn one_unanswered_cell_is_enough_to_be_slashed() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, stranger) = (w.alice.clone(), w.stranger.clone());
    let work = w.claim_and_commit(&task, 0, &alice);
    w.draw(&task, 0);
    let cells = w.shard(&task, 0).cells;
    for cell in &cells[..2] {
        w.judge(&task, &work, *cell, &alice.operator).unwrap();
    }
    let again = adjudicate(&w, &task, &work, cells[0], &alice.operator);
    w.refused(E::NotDemanded, &[again], &[&alice.operator]);
    w.pass_window(&task);
    w.refused(E::Unanswered, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
    w.ok(&[w.slash_ix(&task, 0, &stranger)], &[&stranger]);
}

#[test]
fn nothing_settles_before_its_window_is_over() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, stranger) = (w.alice.clone(), w.stranger.clone());
    w.claim(&task, 0, &alice);
    w.refused(E::WrongState, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
    let work = w.work(&task, 0, &alice);
    w.commit(&task, &alice, &work);
    let (committed, window) = (w.shard(&task, 0).committed_at, w.job(&task).terms.challenge_seconds);
    w.refused(E::WrongState, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
    w.draw(&task, 0);
    w.refused(E::Unanswered, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
    w.answer_all(&task, &work, &alice);
    w.refused(E::WindowOpen, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
    // One second before the end, then the end itself.
    let left = u64::try_from(committed + i64::from(window) - w.chain.now().time).unwrap();
    w.chain.advance(left - 1);
    w.refused(E::WindowOpen, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
    w.chain.advance(1);
    w.settle(&task, 0, &alice);
    w.refused(E::WrongState, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
}
