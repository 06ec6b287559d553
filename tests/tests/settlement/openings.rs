//! What adjudication takes as evidence, with a verifier that has two stages and says what the test wants it to say.

use assay_client::ix;
use assay_kernels::abi::{IN_EVIDENCE, SOURCE_LEAVES};
use assay_settlement::{
    ShardState,
    constants::MAX_OPENINGS,
    error::AssayError as E,
    instructions::{AdjudicateArgs, OpeningArgs},
    seeds,
};
use assay_tests::{
    Provider, Refusal, Spec, Task, Work, World,
    scripted::{Says, Script, two_stages},
};

const CELL: [u8; 4] = [1, 2, 3, 4];

/// A committed shard of the scripted kernel: 8 leaves of 4 cells, then 4 leaves of 2, all of them [`CELL`].
fn committed(cell: Says, forged: Option<usize>) -> (World, Task, Provider, Work) {
    let mut w = World::new();
    let kernel = w.register_script(&Script { cell, ..Script::new(5, &two_stages(), &CELL) }, 5);
    let spec = Spec { kernel: 5, params: vec![7], inputs: Vec::new(), shard_leaves: 12 };
    let renter = w.renter.clone();
    let request = w.request(&renter, &spec);
    let task = Task { job: seeds::job(&renter.id(), request.nonce), renter: renter.clone(), spec };
    w.ok(&[w.create_on_ix(&renter, &kernel, request)], &[&renter]);
    let alice = w.alice.clone();
    w.claim(&task, 0, &alice);
    let mut bytes = CELL.repeat(40);
    if let Some(cell) = forged {
        bytes[4 * cell] ^= 1;
    }
    let work = Work::of_bytes(&task, &w.job(&task).terms, 0, &alice.account, bytes);
    w.commit(&task, &alice, &work);
    (w, task, alice, work)
}

/// Arguments for a cell without openings: the leaf and its path inline.
fn bare(work: &Work, leaf: u64, cell: u32) -> AdjudicateArgs {
    let mut inline = work.tree.leaf(leaf).unwrap().to_vec();
    let leaf_path_at = u32::try_from(inline.len()).unwrap();
    inline.extend(path(work, leaf));
    AdjudicateArgs { leaf, cell, leaf_at: 0, leaf_path_at, openings: Vec::new(), inline }
}

/// Bytes of a leaf's path.
fn path(work: &Work, leaf: u64) -> Vec<u8> {
    let tree = assay_kernels::merkle::Tree::from_leaf_hashes(work.tree.hashes().to_vec());
    tree.path(leaf).as_flattened().to_vec()
}

/// `args` that open earlier leaf `earlier`, too.
fn reading(work: &Work, mut args: AdjudicateArgs, earlier: u64) -> AdjudicateArgs {
    let at = u32::try_from(args.inline.len()).unwrap();
    let bytes = work.tree.leaf(earlier).unwrap();
    args.inline.extend_from_slice(bytes);
    let path_at = u32::try_from(args.inline.len()).unwrap();
    args.inline.extend(path(work, earlier));
    args.openings.push(OpeningArgs { source: SOURCE_LEAVES, start: earlier, level: 0, at, path_at });
    args
}

fn judge(w: &mut World, task: &Task, args: AdjudicateArgs) -> Result<(), Refusal> {
    let stranger = w.stranger.clone();
    let judge = ix::adjudicate(stranger.id(), &task.job, &w.job(task), 0, None, args);
    w.send(&[judge], &[&stranger]).map(|_| ())
}

#[test]
fn a_staged_kernel_draws_in_every_stage_and_settles() {
    let (mut w, task, alice, work) = committed(Says::Bytes(CELL.to_vec()), None);
    w.draw(&task, 0);
    let shard = w.shard(&task, 0);
    assert_eq!(shard.drawn, 3);
    assert!(shard.cells[0] < 32 && shard.cells[1] >= 32, "one of each stage");
    let terms = w.job(&task).terms;
    assert_eq!((terms.amplification_bps, shard.collateral), (20_000, 3_000_000), "1.5 x A x price");
    for number in shard.cells[..3].to_vec() {
        let place = work.place(&terms, number);
        match judge(&mut w, &task, bare(&work, place.leaf, place.cell)) {
            Ok(()) | Err(Refusal::Settlement(E::NotDemanded)) => (),
            Err(refusal) => panic!("{refusal:?}"),
        }
    }
    w.pass_window(&task);
    w.settle(&task, 0, &alice);
}

#[test]
fn a_cell_may_read_earlier_leaves_of_its_shard_and_no_others() {
    let (mut w, task, _, work) = committed(Says::Bytes(CELL.to_vec()), None);
    let renter = w.renter.clone();
    w.ok(&[ix::name_cells(renter.id(), &task.job, 0, vec![36])], &[&renter]);
    // Cell 36 is cell 0 of leaf 10.
    for later in [10, 11] {
        assert_eq!(judge(&mut w, &task, reading(&work, bare(&work, 10, 0), later)), Err(E::BadOpening.into()));
    }
    let mut absent = reading(&work, bare(&work, 10, 0), 3);
    absent.openings[0].start = u64::MAX;
    assert_eq!(judge(&mut w, &task, absent), Err(E::BadOpening.into()));
    let mut level = reading(&work, bare(&work, 10, 0), 3);
    level.openings[0].level = 1;
    assert_eq!(judge(&mut w, &task, level), Err(E::BadOpening.into()));
    let mut moved = reading(&work, bare(&work, 10, 0), 3);
    moved.openings[0].start = 8;
    assert_eq!(judge(&mut w, &task, moved), Err(E::WrongPath.into()));
    // Two earlier leaves, one of them twice: extra openings change nothing.
    let args = reading(&work, reading(&work, reading(&work, bare(&work, 10, 0), 3), 9), 3);
    assert_eq!(judge(&mut w, &task, args), Ok(()));
}

#[test]
fn malformed_openings_are_refused() {
    let (mut w, task, _, work) = committed(Says::Bytes(CELL.to_vec()), None);
    let with = |opening: OpeningArgs| {
        let mut args = bare(&work, 0, 0);
        args.openings.push(opening);
        args
    };
    let opening = OpeningArgs { source: 0, start: 0, level: 0, at: 0, path_at: 0 };
    // The job has no inputs; no other source exists.
    for source in [0, 3, 4, 254] {
        assert_eq!(judge(&mut w, &task, with(OpeningArgs { source, ..opening })), Err(E::BadOpening.into()));
    }
    // Bytes and paths outside of what was brought.
    let changes: [fn(&mut AdjudicateArgs); 7] = [
        |a| a.leaf_at = 1_000,
        |a| a.leaf_at = u32::MAX & !IN_EVIDENCE,
        |a| a.leaf_at |= IN_EVIDENCE,
        |a| a.leaf_at = u32::MAX,
        |a| a.leaf_path_at += 1,
        |a| a.leaf_path_at = u32::MAX,
        |a| a.inline.clear(),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let mut args = bare(&work, 0, 0);
        change(&mut args);
        assert_eq!(judge(&mut w, &task, args), Err(E::BadOpening.into()), "change {i}");
    }
    // More openings than one judgement takes, each of them right.
    let many = |count: usize| {
        let mut args = reading(&work, bare(&work, 9, 0), 1);
        let one = args.openings[0];
        args.openings.resize(count, one);
        args
    };
    let stranger = w.stranger.clone();
    for (count, error) in [(MAX_OPENINGS, E::NotDemanded), (MAX_OPENINGS + 1, E::BadOpening)] {
        let judge = ix::adjudicate(stranger.id(), &task.job, &w.job(&task), 0, None, many(count));
        assert_eq!(w.chain.dry_run(&[judge], &[&stranger]), Err(error.into()), "{count}");
    }
    // Places that do not exist.
    for (leaf, cell) in [(0, 4), (8, 2), (11, u32::MAX)] {
        assert_eq!(judge(&mut w, &task, bare(&work, leaf, cell)), Err(E::NoSuchCell.into()));
    }
    for (leaf, error) in [(12, E::NoSuchCell), (1 << 40, E::NoSuchCell), (u64::MAX, E::Overflow)] {
        let args = AdjudicateArgs { leaf, ..bare(&work, 0, 0) };
        assert_eq!(judge(&mut w, &task, args), Err(error.into()));
    }
}

#[test]
fn input_runs_must_be_aligned_and_inside_the_input() {
    let mut w = World::new();
    let task = w.create(Spec::product(16, 16, 2_500));
    let (alice, operator) = (w.alice.clone(), w.alice.operator.clone());
    let work = w.claim_and_commit(&task, 0, &alice);
    let answer = w.answer(&task, &work, 17);
    let evidence = w.upload(&operator, "e", &answer);
    let job = w.job(&task);
    let changes: [fn(&mut OpeningArgs); 8] = [
        |o| o.level = 41,
        |o| o.level = 255,
        |o| (o.start, o.level) = (1, 1),
        |o| o.start = 48,
        |o| o.start = u64::MAX,
        |o| (o.start, o.level) = (0, 9),
        |o| o.source = 2,
        |o| o.at = IN_EVIDENCE | 300_000,
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let mut args = answer.args.clone();
        change(&mut args.openings[0]);
        let judge = ix::adjudicate(operator.id(), &task.job, &job, 0, evidence, args);
        let refusal = w.send(&[judge], &[&operator]).map(|r| r.logs);
        assert_eq!(refusal, Err(Refusal::Settlement(E::BadOpening)), "change {i}");
    }
    // The other input's row in the place of this one's: authenticated against the wrong root.
    let mut args = answer.args.clone();
    args.openings[0].source = 1;
    w.refused(E::WrongPath, &[ix::adjudicate(operator.id(), &task.job, &job, 0, evidence, args)], &[&operator]);
}

#[test]
fn a_verifier_that_fails_or_answers_nonsense_neither_answers_nor_convicts() {
    let cases = [
        (Says::Nothing, Refusal::from(E::VerifierAnswer)),
        (Says::Bytes(vec![1, 2, 3]), E::VerifierAnswer.into()),
        (Says::Bytes(vec![1, 2, 3, 4, 0]), E::VerifierAnswer.into()),
        (Says::Fails(9_005), Refusal::Verifier(assay_kernels::abi::VerifierError::MissingOpening)),
        (Says::Fails(77), Refusal::Custom(77)),
    ];
    for (says, expected) in cases {
        let (mut w, task, _, work) = committed(says, Some(0));
        assert_eq!(judge(&mut w, &task, bare(&work, 0, 0)), Err(expected));
        assert_eq!(w.shard(&task, 0).state(), Some(ShardState::Committed));
    }
}

#[test]
fn a_forged_cell_of_a_later_stage_is_convicted() {
    let (mut w, task, alice, work) = committed(Says::Bytes(CELL.to_vec()), Some(33));
    // Cell 33 is cell 1 of leaf 8.
    assert_eq!(judge(&mut w, &task, bare(&work, 8, 0)), Err(E::NotDemanded.into()));
    assert_eq!(judge(&mut w, &task, bare(&work, 8, 1)), Ok(()));
    let shard = w.shard(&task, 0);
    assert_eq!(shard.state(), Some(ShardState::Slashed));
    // A is 2: the renter gets twice the price, as far as the lock goes.
    assert_eq!((shard.owed_bounty, shard.owed_renter, shard.owed_treasury), (300_000, 2_000_000, 700_000));
    let stranger = w.stranger.clone();
    w.ok(&[w.seize_ix(&task, 0, &alice), w.bounty_ix(&task, 0, &alice, stranger.tokens)], &[&stranger]);
}

#[test]
fn a_shard_without_a_commitment_cannot_be_judged() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let alice = w.alice.clone();
    w.claim(&task, 0, &alice);
    let work = w.work(&task, 0, &alice);
    let refusal = w.judge(&task, &work, 0, &alice.operator).map(|r| r.logs);
    assert_eq!(refusal, Err(Refusal::Settlement(E::WrongPath)), "there is no root yet");
    w.ok(&[w.release_ix(&task, 0, &alice)], &[&alice.operator]);
    let refusal = w.judge(&task, &work, 0, &alice.operator).map(|r| r.logs);
    assert_eq!(refusal, Err(Refusal::Settlement(E::WrongPath)));
}
