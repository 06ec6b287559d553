//! Adjudication: the judge's own cost beside a cell that costs next to nothing, and real cells.

use assay_client::{
    answer::{Answer, salt},
    ix,
};
use assay_kernels::{
    abi::{Geometry, IN_EVIDENCE, STEP_DONE, STEP_MORE, STEP_STATE_BYTES},
    merkle,
};
use assay_settlement::{EVIDENCE_HEADER_BYTES, instructions::AdjudicateArgs, seeds};
use assay_tests::{
    Spec, Task, Work, World,
    scripted::{Script, description},
};

use super::{Case, case};
use crate::{
    measure::Shot,
    scene::{claimed, drawn, world},
};

pub const CASES: &[Case] = &[
    case("adjudicate", "match: leaf of 256 bytes under 20 levels, a cell of next to nothing", empty_cell)
        .floor(5_500)
        .aim(8_000),
    case("adjudicate", "match: a pixel of `escape_time`, inline", pixel),
    case("adjudicate", "match: an element of `gemm_i8`, inline", element_inline),
    case("adjudicate", "match: an element of `gemm_i8`, evidence account", element),
    case("adjudicate", "mismatch: a pixel of `escape_time`, inline", convict),
    case("step_cell", "carried on: a step of next to nothing", step_on),
    case("step_cell", "the last one, match: leaf of 256 bytes under 20 levels, next to nothing", step_last),
    case("slash_unanswered", "a drawn cell", slash),
];

const LEVELS: u32 = 20;
const CELL: [u8; 4] = [1, 2, 3, 4];
const CELLS_PER_LEAF: u32 = 64;

/// A drawn shard of 2^20 leaves of 256 bytes, all alike, whose verifier answers with fixed bytes and costs next to nothing.
struct Tiny {
    world: World,
    task: Task,
    leaf: Vec<u8>,
    path: Vec<u8>,
}

/// `answer`: what the verifier says to a cell and to a step of one.
fn tiny(answer: &[u8]) -> Tiny {
    let mut w = world();
    let geometry = Geometry::uniform(u64::from(CELLS_PER_LEAF) << LEVELS, CELLS_PER_LEAF, 4);
    let mut describe = description(5);
    (describe.stages, describe.max_cost_classes, describe.leaf_bytes_max) = (1, 1, 256);
    let described = Script::described(&describe).describe;
    let kernel = w.register_script(&Script { describe: described, ..Script::new(5, &geometry, answer) }, 5);
    let spec = Spec { kernel: 5, params: vec![7], inputs: Vec::new(), shard_leaves: 1 << LEVELS };
    let (renter, alice) = (w.renter.clone(), w.alice.clone());
    let request = w.request(&renter, &spec);
    let task = Task { job: seeds::job(&renter.id(), request.nonce), renter: renter.clone(), spec };
    let create = w.create_on_ix(&renter, &kernel, request);
    w.ok(&[create], &[&renter]);
    w.claim(&task, 0, &alice);

    // All leaves are the same, so are all nodes of a level, and the path of every leaf.
    let leaf = CELL.repeat(CELLS_PER_LEAF as usize);
    let mut node = merkle::salted_leaf_hash(&salt(&seeds::shard(&task.job, 0), &alice.account), &leaf);
    let mut path = Vec::new();
    for _ in 0..LEVELS {
        path.extend(node);
        node = merkle::node_hash(&node, &node);
    }
    let commit = w.commit_ix(&task, 0, &alice, node);
    w.ok(&[commit], &[&alice.operator]);
    w.draw(&task, 0);
    Tiny { world: w, task, leaf, path }
}

impl Tiny {
    /// The first drawn cell, its leaf and path inline.
    fn args(&self) -> AdjudicateArgs {
        let terms = self.world.job(&self.task).terms;
        let place = terms.shard(0).unwrap().place(self.world.shard(&self.task, 0).cells[0]).unwrap();
        AdjudicateArgs {
            leaf: place.leaf,
            cell: place.cell,
            leaf_at: 0,
            leaf_path_at: u32::try_from(self.leaf.len()).unwrap(),
            openings: Vec::new(),
            inline: [&self.leaf[..], &self.path].concat(),
        }
    }
}

fn empty_cell() -> (World, Shot) {
    let tiny = tiny(&CELL);
    let (w, operator) = (&tiny.world, tiny.world.alice.operator.clone());
    let judge = ix::adjudicate(operator.id(), &tiny.task.job, &w.job(&tiny.task), 0, None, tiny.args());
    (tiny.world, Shot::new(judge, &[&operator]))
}

/// A step of a cell whose leaf and path lie in an evidence account; `answer`: what the verifier says.
fn step(answer: &[u8]) -> (World, Shot) {
    let mut tiny = tiny(answer);
    let operator = tiny.world.alice.operator.clone();
    let header = u32::try_from(EVIDENCE_HEADER_BYTES).unwrap();
    let mut args = tiny.args();
    let bytes = core::mem::take(&mut args.inline);
    (args.leaf_at, args.leaf_path_at) = (header | IN_EVIDENCE, (header + args.leaf_path_at) | IN_EVIDENCE);
    let answer = Answer { args, evidence: Some(bytes) };
    let evidence = tiny.world.upload(&operator, "bench", &answer).expect("it has evidence");
    let job = tiny.world.job(&tiny.task);
    let step = ix::step_cell(operator.id(), &tiny.task.job, &job, 0, evidence, answer.args);
    (tiny.world, Shot::new(step, &[&operator]))
}

fn step_on() -> (World, Shot) {
    step(&[&[STEP_MORE][..], &[0; STEP_STATE_BYTES]].concat())
}

fn step_last() -> (World, Shot) {
    step(&[&[STEP_DONE][..], &CELL].concat())
}

/// Adjudication of the first drawn cell by the provider's operator; evidence, where there is some, is uploaded.
fn first(mut w: World, task: &Task, work: &Work, change: fn(Answer) -> Answer) -> (World, Shot) {
    let operator = w.alice.operator.clone();
    let number = w.shard(task, 0).cells[0];
    let answer = change(w.answer(task, work, number));
    let evidence = w.upload(&operator, "bench", &answer);
    let judge = ix::adjudicate(operator.id(), &task.job, &w.job(task), 0, evidence, answer.args);
    (w, Shot::new(judge, &[&operator]))
}

fn pixel() -> (World, Shot) {
    let mut w = world();
    let (task, work) = drawn(&mut w);
    first(w, &task, &work, |answer| answer)
}

/// A product of 8 x 64 by 64 x 8; its cells read two chunks of 1,024 bytes.
fn product() -> (World, Task, Work) {
    let mut w = world();
    let task = w.create(Spec::small_product());
    let alice = w.alice.clone();
    let work = w.claim_and_commit(&task, 0, &alice);
    w.draw(&task, 0);
    (w, task, work)
}

fn element() -> (World, Shot) {
    let (w, task, work) = product();
    first(w, &task, &work, |answer| answer)
}

fn element_inline() -> (World, Shot) {
    let (w, task, work) = product();
    first(w, &task, &work, inline)
}

/// The answer with what would go to an evidence account in the instruction: it needs a transaction of version 1.
fn inline(answer: Answer) -> Answer {
    let header = u32::try_from(EVIDENCE_HEADER_BYTES).unwrap();
    let moved = |at: u32| (at & !IN_EVIDENCE) - header;
    let mut args = answer.args;
    (args.leaf_at, args.leaf_path_at) = (moved(args.leaf_at), moved(args.leaf_path_at));
    for opening in &mut args.openings {
        (opening.at, opening.path_at) = (moved(opening.at), moved(opening.path_at));
    }
    args.inline = answer.evidence.expect("it was too large for a packet");
    Answer { args, evidence: None }
}

fn convict() -> (World, Shot) {
    let mut w = world();
    let task = claimed(&mut w);
    let alice = w.alice.clone();
    let work = w.forged(&task, 0, &alice, &[100]);
    w.commit(&task, &alice, &work);
    let watcher = w.watcher.clone();
    let answer = w.answer(&task, &work, 100);
    let judge = ix::adjudicate(watcher.id(), &task.job, &w.job(&task), 0, None, answer.args);
    (w, Shot::new(judge, &[&watcher]))
}

fn slash() -> (World, Shot) {
    let mut w = world();
    let (task, _) = drawn(&mut w);
    w.chain.pass(w.job(&task).terms.response_seconds);
    let shot = Shot::new(w.slash_ix(&task, 0, &w.watcher), &[&w.watcher]);
    (w, shot)
}
