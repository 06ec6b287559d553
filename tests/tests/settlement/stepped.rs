//! Cells too large for one transaction: judged in steps, whose state lies in the header of an evidence account.

use assay_client::{answer::Answer, ix, proof::Proof};
use assay_kernels::{abi::VerifierError, gemm_i8::GemmI8, kernel::Kernel};
use assay_settlement::{
    ChallengeState, EVIDENCE_HEADER_BYTES, EvidenceHeader, ShardState, Terms,
    error::AssayError as E,
    instructions::{AdjudicateArgs, evidence::header},
    rules::judgement::unanswered,
    seeds,
};
use assay_tests::{Actor, Provider, Receipt, Refusal, Spec, Task, Work, World, experimental_terms};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// More than one step takes, and no whole number of chunks: rows of 40 chunks, each begun in another place of its tree.
const K: u32 = 40_000;

/// A committed product of 3 x 2 elements of 40,000 products each, in one leaf; with the cells in `forged` wrong.
fn committed(forged: &[u64]) -> (World, Task, Provider, Work) {
    let mut w = World::new();
    let alice = w.alice.clone();
    let (task, work) = job_of(&mut w, Spec::product(3, 2, K), forged);
    (w, task, alice, work)
}

fn job_of(w: &mut World, spec: Spec, forged: &[u64]) -> (Task, Work) {
    let alice = w.alice.clone();
    let task = w.create(spec);
    w.claim(&task, 0, &alice);
    let work = w.forged(&task, 0, &alice, forged);
    w.commit(&task, &alice, &work);
    (task, work)
}

/// The steps that judge cell `number`.
fn steps(w: &World, task: &Task, work: &Work, number: u64) -> Vec<Answer> {
    let job = w.job(task);
    let place = work.place(&job.terms, number);
    match Proof::build(&job, work.index, &work.tree, &work.inputs, place).unwrap() {
        Proof::Steps(steps) => steps,
        Proof::Once(_) => panic!("such a cell takes steps"),
    }
}

/// An evidence account of `owner` with room for any step of any cell: cells differ by a few paths.
fn room(w: &mut World, owner: &Actor, seed: &str, task: &Task, work: &Work) -> Pubkey {
    let cells = w.job(task).terms.shard(work.index).unwrap().cells().unwrap();
    let all = (0..cells).flat_map(|number| steps(w, task, work, number));
    let bytes = all.filter_map(|step| step.evidence_account_bytes()).max().unwrap();
    let rent = w.chain.svm.minimum_balance_for_rent_exemption(bytes);
    w.ok(&ix::create_evidence(owner.id(), seed, bytes as u64, rent).unwrap(), &[owner]);
    ix::evidence_address(&owner.id(), seed).unwrap()
}

/// Writes what a step reads; returns in how many transactions.
fn write(w: &mut World, owner: &Actor, evidence: Pubkey, step: &Answer) -> usize {
    let pieces = step.pieces();
    let count = pieces.len();
    for (offset, piece) in pieces {
        w.ok(&[ix::write_evidence(owner.id(), evidence, offset, piece)], &[owner]);
    }
    count
}

fn step_ix(w: &World, task: &Task, by: &Actor, evidence: Pubkey, args: &AdjudicateArgs) -> Instruction {
    ix::step_cell(by.id(), &task.job, &w.job(task), 0, evidence, args.clone())
}

fn step(w: &mut World, task: &Task, by: &Actor, evidence: Pubkey, args: &AdjudicateArgs) -> Result<Receipt, Refusal> {
    let instruction = step_ix(w, task, by, evidence, args);
    w.send(&[instruction], &[by])
}

/// Refuses it with this error, and changes nothing.
#[track_caller]
fn refused(w: &mut World, error: impl Into<Refusal>, task: &Task, by: &Actor, evidence: Pubkey, args: &AdjudicateArgs) {
    let before = w.chain.data(&evidence);
    let instruction = step_ix(w, task, by, evidence, args);
    w.refused(error, &[instruction], &[by]);
    assert_eq!(w.chain.data(&evidence), before);
}

/// Writes and takes all steps of a cell; returns the last one's receipt and the transactions of all.
#[track_caller]
fn judge(w: &mut World, task: &Task, work: &Work, number: u64, by: &Actor, evidence: Pubkey) -> (Receipt, usize) {
    let (mut last, mut transactions) = (None, 0);
    for answer in steps(w, task, work, number) {
        transactions += write(w, by, evidence, &answer) + 1;
        last = Some(step(w, task, by, evidence, &answer.args).unwrap());
    }
    (last.unwrap(), transactions)
}

fn head(w: &World, evidence: Pubkey) -> EvidenceHeader {
    header(&w.chain.data(&evidence).unwrap()).unwrap()
}

/// The sum of the first `products` products of an element, by the textbook.
fn sum(task: &Task, n: u64, number: u64, products: usize) -> i32 {
    let row = |input: usize, row: u64| {
        let bytes = &task.spec.inputs[input];
        let start = usize::try_from(row).unwrap() * bytes.len() / if input == 0 { 3 } else { 2 };
        bytes[start..start + products].iter().map(|x| i32::from(*x as i8)).collect::<Vec<i32>>()
    };
    row(0, number / n).iter().zip(row(1, number % n)).map(|(x, y)| x * y).sum()
}

#[test]
fn a_shard_is_proven_in_steps_and_one_account_serves_all_cells() {
    let (mut w, task, alice, work) = committed(&[]);
    w.draw(&task, 0);
    let drawn = w.shard(&task, 0).cells[..3].to_vec();
    let evidence = room(&mut w, &alice.operator, "steps", &task, &work);
    for number in drawn {
        let terms = w.job(&task).terms;
        let parts = steps(&w, &task, &work, number);
        assert_eq!(parts.len(), 2);
        write(&mut w, &alice.operator, evidence, &parts[0]);
        let first = step(&mut w, &task, &alice.operator, evidence, &parts[0].args).unwrap();
        let (carried, place) = (head(&w, evidence), work.place(&terms, number));
        assert_eq!((carried.stepping, carried.steps), (1, 1));
        assert_eq!((carried.leaf, carried.cell), (place.leaf, place.cell));
        assert_eq!(carried.shard, seeds::shard(&task.job, 0));
        assert_eq!(carried.state[..4], sum(&task, 2, number, 32_768).to_le_bytes());
        let open = unanswered(&w.shard(&task, 0), &terms).count_ones();
        write(&mut w, &alice.operator, evidence, &parts[1]);
        let last = step(&mut w, &task, &alice.operator, evidence, &parts[1].args).unwrap();
        assert_eq!(unanswered(&w.shard(&task, 0), &terms).count_ones(), open - 1);
        assert_eq!(head(&w, evidence).stepping, 0);
        assert!(first.units.max(last.units) < 1_000_000, "{} and {} compute units", first.units, last.units);
        println!("k = 40,000: {} and {} compute units, {} bytes", first.units, last.units, first.bytes);
    }
    w.ok(&[ix::close_evidence(alice.operator.id(), evidence)], &[&alice.operator]);
    w.pass_window(&task);
    w.settle(&task, 0, &alice);
}

#[test]
fn a_wrong_cell_is_convicted_in_steps() {
    let (mut w, task, alice, work) = committed(&[4]);
    let stranger = w.stranger.clone();
    let evidence = room(&mut w, &stranger, "wrong", &task, &work);
    // A right cell that nobody demanded, to the end: the last step fails, so the account goes on carrying it.
    let parts = steps(&w, &task, &work, 3);
    write(&mut w, &stranger, evidence, &parts[0]);
    step(&mut w, &task, &stranger, evidence, &parts[0].args).unwrap();
    write(&mut w, &stranger, evidence, &parts[1]);
    refused(&mut w, E::NotDemanded, &task, &stranger, evidence, &parts[1].args);
    let wrong = steps(&w, &task, &work, 4);
    refused(&mut w, E::OtherCell, &task, &stranger, evidence, &wrong[0].args);
    // Its owner closes it and makes it anew.
    w.ok(&[ix::close_evidence(stranger.id(), evidence)], &[&stranger]);
    let again = room(&mut w, &stranger, "wrong", &task, &work);
    assert_eq!(again, evidence);
    judge(&mut w, &task, &work, 4, &stranger, evidence);
    let shard = w.shard(&task, 0);
    assert_eq!((shard.state(), shard.bounty_to), (Some(ShardState::Slashed), stranger.id()));
    assert_eq!(head(&w, evidence).stepping, 0);
    w.ok(&[w.seize_ix(&task, 0, &alice), w.bounty_ix(&task, 0, &alice, stranger.tokens)], &[&stranger]);
}

#[test]
fn a_state_belongs_to_one_cell_of_one_shard() {
    let (mut w, task, alice, work) = committed(&[]);
    // The same product once more, in another shard of the same provider.
    let (twin, twins) = job_of(&mut w, task.spec.clone(), &[]);
    let parts = steps(&w, &task, &work, 1);
    let by = alice.operator.clone();
    let evidence = room(&mut w, &by, "one", &task, &work);
    write(&mut w, &by, evidence, &parts[0]);
    step(&mut w, &task, &by, evidence, &parts[0].args).unwrap();
    for other in [0, 2, 5] {
        let other = steps(&w, &task, &work, other);
        write(&mut w, &by, evidence, &other[1]);
        refused(&mut w, E::OtherCell, &task, &by, evidence, &other[1].args);
        write(&mut w, &by, evidence, &other[0]);
        refused(&mut w, E::OtherCell, &task, &by, evidence, &other[0].args);
    }
    let same = steps(&w, &twin, &twins, 1);
    write(&mut w, &by, evidence, &same[1]);
    refused(&mut w, E::OtherCell, &twin, &by, evidence, &same[1].args);
    // The state is out of its owner's reach, too.
    for offset in [0, 80, EVIDENCE_HEADER_BYTES as u32 - 256, EVIDENCE_HEADER_BYTES as u32 - 1] {
        let over = ix::write_evidence(by.id(), evidence, offset, vec![1; 4]);
        w.refused(E::EvidenceBounds, &[over], &[&by]);
    }
    assert_eq!(head(&w, evidence).steps, 1);
}

#[test]
fn only_the_owner_steps_with_evidence_and_only_with_evidence() {
    let (mut w, task, alice, work) = committed(&[]);
    let (by, stranger) = (alice.operator.clone(), w.stranger.clone());
    let parts = steps(&w, &task, &work, 0);
    let evidence = room(&mut w, &by, "mine", &task, &work);
    write(&mut w, &by, evidence, &parts[0]);
    refused(&mut w, E::WrongEvidenceOwner, &task, &stranger, evidence, &parts[0].args);
    step(&mut w, &task, &by, evidence, &parts[0].args).unwrap();
    refused(&mut w, E::WrongEvidenceOwner, &task, &stranger, evidence, &parts[1].args);
    // Another account of the program, one of somebody else's, one that does not exist.
    for none in [seeds::shard(&task.job, 0), task.job, by.tokens, Pubkey::new_from_array([7; 32])] {
        let ix = step_ix(&w, &task, &by, none, &parts[0].args);
        assert!(w.send(&[ix], &[&by]).is_err(), "{none}");
    }
    // Of another job with another verifier's kernel: the cells of an image take no steps.
    let (image, pixels) = job_of(&mut w, Spec::image(), &[]);
    let place = pixels.place(&w.job(&image).terms, 0);
    let args = AdjudicateArgs { leaf: place.leaf, cell: place.cell, openings: Vec::new(), ..parts[0].args.clone() };
    let other = room(&mut w, &by, "other", &task, &work);
    refused(&mut w, VerifierError::NotStepped, &image, &by, other, &args);
}

#[test]
fn a_shard_that_is_not_committed_is_not_stepped() {
    let (mut w, task, alice, work) = committed(&[]);
    let by = alice.operator.clone();
    let parts = steps(&w, &task, &work, 0);
    let evidence = room(&mut w, &by, "early", &task, &work);
    write(&mut w, &by, evidence, &parts[0]);
    let twin = w.create(task.spec.clone());
    w.claim(&twin, 0, &alice);
    refused(&mut w, E::WrongState, &twin, &by, evidence, &parts[0].args);
}

/// Of every step: without any one of its openings, with what another step reads, or with a changed byte nothing happens;
/// with more of them than needed nothing else happens.
#[test]
fn every_opening_of_every_step_is_needed_and_others_change_nothing() {
    let (mut w, task, alice, work) = committed(&[]);
    w.draw(&task, 0);
    let (by, number) = (alice.operator.clone(), w.shard(&task, 0).cells[0]);
    let parts = steps(&w, &task, &work, number);
    let evidence = room(&mut w, &by, "each", &task, &work);
    for (at, part) in parts.iter().enumerate() {
        let other = &parts[1 - at];
        write(&mut w, &by, evidence, other);
        refused(&mut w, VerifierError::MissingOpening, &task, &by, evidence, &other.args);
        refused(&mut w, E::WrongPath, &task, &by, evidence, &part.args);
        write(&mut w, &by, evidence, part);
        for i in 0..part.args.openings.len() {
            let mut without = part.args.clone();
            without.openings.remove(i);
            refused(&mut w, VerifierError::MissingOpening, &task, &by, evidence, &without);
            let mut moved = part.args.clone();
            moved.openings[i].source ^= 1;
            refused(&mut w, E::WrongPath, &task, &by, evidence, &moved);
            let mut inline = part.args.clone();
            inline.openings[i].at &= !assay_kernels::abi::IN_EVIDENCE;
            refused(&mut w, E::BadOpening, &task, &by, evidence, &inline);
        }
        let mut spoilt = part.clone();
        spoilt.evidence.as_mut().unwrap()[5_000] ^= 1;
        write(&mut w, &by, evidence, &spoilt);
        refused(&mut w, E::WrongPath, &task, &by, evidence, &part.args);
        write(&mut w, &by, evidence, part);
        // Each a second time, the last ones first.
        let mut more = part.args.clone();
        more.openings.reverse();
        more.openings.extend_from_slice(&part.args.openings);
        if at == 0 {
            step(&mut w, &task, &by, evidence, &more).unwrap();
            assert_eq!(head(&w, evidence).state[..4], sum(&task, 2, number, 32_768).to_le_bytes());
            assert!(head(&w, evidence).state[4..].iter().all(|byte| *byte == 0));
            // What is done is not done again.
            refused(&mut w, VerifierError::MissingOpening, &task, &by, evidence, &part.args);
        } else {
            // The leaf is needed in the last step.
            let gone = AdjudicateArgs { leaf_at: 0, ..more.clone() };
            refused(&mut w, E::BadOpening, &task, &by, evidence, &gone);
            let elsewhere = AdjudicateArgs { leaf_at: more.leaf_at + 1, ..more.clone() };
            refused(&mut w, E::WrongPath, &task, &by, evidence, &elsewhere);
            step(&mut w, &task, &by, evidence, &more).unwrap();
        }
    }
    assert_eq!(w.shard(&task, 0).answered.count_ones(), 1);
}

#[test]
fn the_last_step_of_a_challenged_cell_names_its_challenge() {
    let (mut w, task, alice, work) = committed(&[]);
    let (by, watcher) = (alice.operator.clone(), w.watcher.clone());
    w.challenge(&task, 0, 2, &watcher);
    let parts = steps(&w, &task, &work, 2);
    let evidence = room(&mut w, &by, "asked", &task, &work);
    write(&mut w, &by, evidence, &parts[0]);
    step(&mut w, &task, &by, evidence, &parts[0].args).unwrap();
    write(&mut w, &by, evidence, &parts[1]);
    let before = w.chain.data(&evidence);
    for given in [None, Some(w.challenge_key(&task, 0, 3))] {
        let mut last = step_ix(&w, &task, &by, evidence, &parts[1].args);
        // An optional account that is not given is the program itself.
        last.accounts[5].pubkey = given.unwrap_or(assay_settlement::ID);
        last.accounts[5].is_writable = given.is_some();
        w.refused(E::WrongChallenge, &[last], &[&by]);
    }
    assert_eq!(w.chain.data(&evidence), before);
    step(&mut w, &task, &by, evidence, &parts[1].args).unwrap();
    assert_eq!(w.challenge_data(&task, 0, 2).state(), Some(ChallengeState::Answered));
    assert_eq!(w.shard(&task, 0).open_challenges, 0);
    w.pay_challenge(&task, 0, 2);
}

#[test]
fn a_cell_that_takes_steps_is_not_adjudicated_in_one_go() {
    let (mut w, task, alice, work) = committed(&[1]);
    let by = alice.operator.clone();
    for number in [0, 1] {
        for part in steps(&w, &task, &work, number) {
            let evidence = w.upload(&by, "whole", &part);
            let judge = ix::adjudicate(by.id(), &task.job, &w.job(&task), 0, evidence, part.args);
            w.refused(VerifierError::Stepped, &[judge], &[&by]);
            w.ok(&[ix::close_evidence(by.id(), evidence.unwrap())], &[&by]);
        }
    }
    let job = w.job(&task);
    let place = work.place(&job.terms, 0);
    assert!(Answer::build(&job, 0, &work.tree, &work.inputs, place).is_err());
    assert_eq!(w.shard(&task, 0).state(), Some(ShardState::Committed));
}

#[test]
fn the_largest_element_of_all_takes_four_steps_within_its_transactions() {
    // An hour to answer is too little for six such elements: no such job there.
    let mut w = World::new();
    let mut spec = Spec::product(1, 1, assay_kernels::gemm_i8::MAX_K);
    spec.inputs = vec![vec![0x80; 1 << 17]; 2];
    let renter = w.renter.clone();
    w.refused(E::CellsTooDear, &[w.create_ix(&renter, &spec, w.request(&renter, &spec))], &[&renter]);
    let mut w = World::with_terms(Terms { response_seconds: 12 * 3_600, ..experimental_terms() });
    let alice = w.alice.clone();
    let (task, work) = job_of(&mut w, spec, &[]);
    assert_eq!(work.tree.bytes(), 2_147_467_264i32.to_le_bytes());
    w.draw(&task, 0);
    let parts = steps(&w, &task, &work, 0);
    assert_eq!(parts.len(), 4);
    let evidence = room(&mut w, &alice.operator, "large", &task, &work);
    let (last, transactions) = judge(&mut w, &task, &work, 0, &alice.operator, evidence);
    println!("k = 131,071: {transactions} transactions, {} compute units in the last", last.units);
    assert!(transactions < usize::from(GemmI8::describe().answer_transactions));
    w.ok(&[ix::close_evidence(alice.operator.id(), evidence)], &[&alice.operator]);
    w.pass_window(&task);
    w.settle(&task, 0, &alice);
}
