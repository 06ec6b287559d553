//! Mutation that knows where operations begin: whole ones are added, dropped, moved and taken from other inputs; within
//! one, fields change.

use crate::input::{MAX_OPS, OP_BYTES};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Instructions by name, each with the bytes that mean it.
pub type Names = [(String, [u8; 2])];

/// Jobs of the stage.
const JOBS: u8 = 24;
/// At least as many as there are kinds of jobs and actors.
const KINDS: u8 = 10;

/// What a step of a recipe is.
enum Step {
    /// This instruction; `arg` of the operation as given.
    Call(&'static str, u64),
    /// Time passes: which of the run's durations, and how (0: time, 4: slots).
    Time(u64, u8),
    /// The job's vault is frozen.
    Freeze,
}
use Step::{Call, Freeze, Time};

/// The usual ways through a job, so that they need not be found by chance. All steps are about the same shard.
const RECIPES: [&[Step]; 20] = [
    &[Call("claim_shard", 0), Call("commit_result", 0)],
    &[Call("claim_shard", 0), Call("commit_result", 1), Call("adjudicate", 2)],
    &[Time(4, 4), Call("record_seed", 0), Call("draw_samples", 0)],
    &[Call("adjudicate", 0), Call("adjudicate", 0x100), Call("adjudicate", 0x200), Call("adjudicate", 0x300)],
    &[Time(9, 0), Call("settle_shard", 0), Call("sweep_fees", 0)],
    &[Time(9, 0), Call("slash_unanswered", 0), Call("seize", 0), Call("pay_bounty", 0)],
    &[Time(7, 4), Time(6, 4), Call("roll_window", 0)],
    &[Time(9, 0), Call("expire_claim", 0), Call("withdraw_refund", 0)],
    &[Call("cancel_job", 0), Call("close_shard", 0), Call("close_job", 0)],
    &[Call("open_challenge", 2), Call("adjudicate", 2), Call("pay_challenge", 2), Call("return_bond", 2)],
    &[Call("open_challenge", 2), Time(9, 0), Call("slash_unanswered", 2), Call("return_bond", 2)],
    &[Call("withdraw_stake", 4), Call("close_provider", 0), Call("register_provider", 0)],
    &[Call("pay_bounty", 0), Freeze, Call("seize", 0), Call("waive_debts", 0), Call("close_shard", 0)],
    &[Call("demand_leaves", 0), Call("post_leaf", 0), Time(9, 0), Call("settle_shard", 0), Call("close_delivery", 0)],
    &[Call("attest_delivery", 1), Time(9, 0), Call("settle_shard", 0)],
    &[Call("accept_shard", 0), Call("settle_shard", 0)],
    &[Call("init_evidence", 0), Call("write_evidence", 0), Call("close_evidence", 0)],
    &[Call("step_cell", 0), Call("step_cell", 0), Call("close_evidence", 0)],
    &[Call("claim_shard", 0), Call("commit_result", 1), Call("step_cell", 2), Call("step_cell", 2)],
    &[Call("propose_authority", 0), Call("accept_authority", 0)],
];

/// Checks that the program has every instruction of the recipes.
///
/// # Panics
/// Where one is gone or has another name.
pub fn check(names: &Names) {
    for step in RECIPES.into_iter().flatten() {
        if let Call(name, _) = step {
            assert!(names.iter().any(|(known, _)| known == name), "a recipe calls `{name}`, which the program lacks");
        }
    }
}

/// Changes `data[..size]`; returns the new size. `names`: the program's instructions.
pub fn mutate(data: &mut [u8], size: usize, seed: u32, names: &Names) -> usize {
    let mut random = StdRng::seed_from_u64(u64::from(seed));
    let room = (data.len() / OP_BYTES).min(MAX_OPS);
    let mut ops: Vec<[u8; OP_BYTES]> = data[..size].as_chunks::<OP_BYTES>().0.to_vec();
    ops.truncate(room);
    for _ in 0..random.random_range(1..=3) {
        let count = ops.len();
        let choice = if count == 0 { 0 } else { random.random_range(0..20) };
        match choice {
            0 | 1 if count < room => {
                let op = fresh(&mut random, names);
                ops.insert(random.random_range(0..=count), op);
            }
            2 => {
                let at = random.random_range(0..=count);
                ops.splice(at..at, recipe(&mut random, names));
                ops.truncate(room);
            }
            3 if count > 1 => {
                ops.remove(random.random_range(0..count));
            }
            4 if count < room => {
                let op = ops[random.random_range(0..count)];
                ops.insert(random.random_range(0..=count), op);
            }
            5 if count > 1 => {
                let (a, b) = (random.random_range(0..count), random.random_range(0..count));
                ops.swap(a, b);
            }
            _ if count > 0 => change(&mut ops[random.random_range(0..count)], &mut random, names),
            _ => (),
        }
    }
    let bytes = ops.as_flattened();
    data[..bytes.len()].copy_from_slice(bytes);
    bytes.len()
}

/// A recipe for some shard.
fn recipe(random: &mut StdRng, names: &Names) -> Vec<[u8; OP_BYTES]> {
    let (job, shard, other) = (random.random_range(0..JOBS), random.random_range(0..2), random.random_range(0..KINDS));
    let step = |step: &Step| {
        let mut op = [0u8; OP_BYTES];
        (op[3], op[4], op[6]) = (job, shard, other);
        match step {
            Call(name, arg) => {
                op[1..3].copy_from_slice(&names.iter().find(|(known, _)| known == name)?.1);
                op[7..15].copy_from_slice(&arg.to_le_bytes());
            }
            Freeze => (op[0], op[7]) = (236, 2),
            Time(which, how) => {
                (op[0], op[6]) = (176, *how);
                op[7..15].copy_from_slice(&which.to_le_bytes());
            }
        }
        Some(op)
    };
    let mut ops: Vec<_> = RECIPES[random.random_range(0..RECIPES.len())].iter().filter_map(step).collect();
    // A right way with one thing wrong in it finds the most.
    if !ops.is_empty() && random.random_ratio(2, 3) {
        let at = random.random_range(0..ops.len());
        if random.random_ratio(1, 3) {
            random.fill(&mut ops[at][8..15]);
        } else {
            ops[at][16..20].copy_from_slice(&flaw(random));
        }
    }
    ops
}

/// Some change to a call.
fn flaw(random: &mut StdRng) -> [u8; 4] {
    [random.random_range(1..=18), random.random_range(0..12), random.random(), random.random()]
}

/// An operation of random kind, mostly a right call.
fn fresh(random: &mut StdRng, names: &Names) -> [u8; OP_BYTES] {
    let mut op = [0u8; OP_BYTES];
    op[0] = [0, 0, 0, 0, 0, 0, 0, 176, 176, 216, 236][random.random_range(0..11)];
    op[1..3].copy_from_slice(&names[random.random_range(0..names.len())].1);
    op[3] = random.random_range(0..JOBS);
    op[4] = random.random_range(0..2);
    if random.random_ratio(1, 5) {
        op[5] = random.random_range(0..10);
    }
    op[6] = random.random_range(0..KINDS);
    random.fill(&mut op[7..15]);
    if random.random_ratio(1, 2) {
        op[8..15].fill(0);
    }
    if random.random_ratio(1, 4) {
        op[16..20].copy_from_slice(&flaw(random));
    }
    op
}

fn change(op: &mut [u8; OP_BYTES], random: &mut StdRng, names: &Names) {
    match random.random_range(0..13) {
        0 => op[1..3].copy_from_slice(&names[random.random_range(0..names.len())].1),
        1 => op[3] = random.random_range(0..JOBS),
        2 => op[4] = random.random_range(0..3),
        3 => op[5] = random.random_range(0..10),
        4 => op[6] = random.random_range(0..12),
        5 => op[7] = random.random(),
        6 => random.fill(&mut op[7..15]),
        7..=10 => {
            let at = 16 + 5 * random.random_range(0..3usize);
            op[at..at + 4].copy_from_slice(&flaw(random));
        }
        11 => {
            let at = 16 + 5 * random.random_range(0..3usize);
            op[at..at + 4].fill(0);
        }
        _ => op[random.random_range(0..OP_BYTES)] ^= 1 << random.random_range(0..8u32),
    }
}

/// The beginning of one input and the end of another.
pub fn cross(one: &[u8], two: &[u8], out: &mut [u8], seed: u32) -> usize {
    let mut random = StdRng::seed_from_u64(u64::from(seed));
    let (one, two) = (one.as_chunks::<OP_BYTES>().0, two.as_chunks::<OP_BYTES>().0);
    let head = &one[..random.random_range(0..=one.len())];
    let tail = &two[random.random_range(0..=two.len())..];
    let room = (out.len() / OP_BYTES).min(MAX_OPS);
    let ops: Vec<_> = head.iter().chain(tail).take(room).copied().collect();
    out[..ops.as_flattened().len()].copy_from_slice(ops.as_flattened());
    ops.as_flattened().len()
}
