//! The amount of random instructions that CI runs; `cargo xtask invariants` runs any other. And that the run is worth
//! something: it is the same each time, and notices a single unit.

#![allow(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects, reason = "test code")]

use assay_invariants::{
    check,
    episode::{Base, Stage},
    run::{Options, run},
};

/// Instructions of the settlement program in a run.
const STEPS: u64 = 100_000;
/// Times that each instruction must have landed, so that the run is worth something.
const LANDED: u64 = 3;

#[test]
fn what_must_hold_always_does() {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let report = run(Options { seed: 1, steps: STEPS, episode: None, threads }, |_, _| ());
    if let Some(failure) = &report.failure {
        let log = failure.log.join("\n");
        panic!(
            "seed 1, episode {}, step {}: {}\n{log}\nagain: cargo xtask invariants --seed 1 --episode {}",
            failure.episode, failure.step, failure.what, failure.episode
        );
    }
    let t = &report.tally;
    println!("seed 1: {} instructions, {} episodes, {:.1} s", t.instructions, t.episodes, report.took.as_secs_f64());
    assert!(t.instructions >= STEPS);
    for (name, [landed, refused]) in &t.kinds {
        assert!(*landed >= LANDED, "{name} landed {landed} times, and was refused {refused} times");
    }
    assert!(t.settled > 0 && t.slashed.iter().all(|n| *n > 0), "{} settled, {:?} slashed", t.settled, t.slashed);
}

#[test]
fn a_seed_is_replayed_exactly() {
    let once = || run(Options { seed: 7, steps: 1, episode: Some(3), threads: 1 }, |_, _| ());
    let (a, b) = (once(), once());
    assert!(a.failure.is_none() && b.failure.is_none());
    assert_eq!((a.tally.kinds, a.tally.codes, a.tally.seconds), (b.tally.kinds, b.tally.codes, b.tally.seconds));
}

/// Anything that the chain has and the model has not is noticed, were it one unit or one lamport.
#[test]
fn one_unit_is_noticed() {
    let fresh = || Stage::new(&Base::default(), 1, 0);
    let stage = fresh();
    assert_eq!(check::all(&stage.machine, &stage.model), Ok(()));
    let changes: [fn(&mut Stage); 5] = [
        |s| s.model.providers[0].staked += 1,
        |s| {
            let vault = s.model.providers[0].data.vault;
            s.model.purses.get_mut(&vault).unwrap().amount -= 1;
        },
        |s| *s.model.lamports.values_mut().max().unwrap() += 1,
        |s| s.model.markets[1].paused = true,
        |s| s.model.supply[2] += 1,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut stage = fresh();
        change(&mut stage);
        assert!(check::all(&stage.machine, &stage.model).is_err(), "change {number} was not noticed");
    }
}
