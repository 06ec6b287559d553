//! Small jobs of every kernel of the verifier, ragged and with extreme values, through the whole program: proven and paid
//! where they are right, convicted by re-execution where one byte of one cell is not. A new kernel is covered by its
//! line in the registry.

use assay_client::{ix, proof::Proof};
use assay_kernels::{abi::Geometry, handling::Trial, registry::AnyKernel};
use assay_settlement::{ShardState, rules::judgement::unanswered};
use assay_tests::{Actor, Spec, Task, Work, World, world::VERIFIER};

/// A market in which this kernel is registered, and a job of it in one shard.
fn job_of(kernel: AnyKernel, trial: Trial) -> (World, Task) {
    let mut w = World::new();
    if ![1, 2].contains(&kernel.id()) {
        let creator = w.creator.clone();
        w.ok(&[ix::register_kernel(creator.id(), VERIFIER, kernel.id())], &[&creator]);
    }
    let leaves = kernel.geometry(&trial.params).unwrap().leaves().unwrap();
    let inputs = trial.inputs.into_iter().filter(|input| !input.is_empty()).collect();
    let task = w.create(Spec { kernel: kernel.id(), params: trial.params, inputs, shard_leaves: leaves });
    (w, task)
}

/// Has a cell judged, in one transaction or in steps; returns the most compute units of one of them.
#[track_caller]
fn judge(w: &mut World, task: &Task, work: &Work, number: u64, by: &Actor) -> u64 {
    let job = w.job(task);
    let place = work.place(&job.terms, number);
    let steps = match Proof::build(&job, work.index, &work.tree, &work.inputs, place).unwrap() {
        Proof::Once(_) => return w.judge(task, work, number, by).unwrap().units,
        Proof::Steps(steps) => steps,
    };
    let bytes = steps.iter().filter_map(|step| step.evidence_account_bytes()).max().unwrap();
    let rent = w.chain.svm.minimum_balance_for_rent_exemption(bytes);
    w.ok(&ix::create_evidence(by.id(), "steps", bytes as u64, rent).unwrap(), &[by]);
    let evidence = ix::evidence_address(&by.id(), "steps").unwrap();
    let mut most = 0;
    for step in steps {
        for (offset, piece) in step.pieces() {
            w.ok(&[ix::write_evidence(by.id(), evidence, offset, piece)], &[by]);
        }
        most = most.max(w.ok(&[ix::step_cell(by.id(), &task.job, &job, work.index, evidence, step.args)], &[by]).units);
    }
    w.ok(&[ix::close_evidence(by.id(), evidence)], &[by]);
    most
}

/// Cells that are the first and the last of each cost class, numbered inside of the only shard.
fn edges(geometry: &Geometry) -> Vec<u64> {
    let mut before = 0;
    let ends = geometry.class[..usize::from(geometry.classes)].iter().flat_map(|class| {
        let first = before;
        before += class.cells;
        [first, before - 1]
    });
    ends.collect()
}

#[test]
fn right_results_are_proven_and_paid() {
    for kernel in AnyKernel::ALL {
        for trial in kernel.handling().checks() {
            let (mut w, task) = job_of(*kernel, trial);
            let alice = w.alice.clone();
            let work = w.claim_and_commit(&task, 0, &alice);
            w.draw(&task, 0);
            let (shard, terms) = (w.shard(&task, 0), w.job(&task).terms);
            let open = unanswered(&shard, &terms);
            assert_ne!(open, 0);
            let drawn: Vec<u64> =
                (0..shard.cells.len()).filter(|place| open >> place & 1 == 1).map(|place| shard.cells[place]).collect();
            let mut answered: Vec<u64> = Vec::new();
            let mut most = 0;
            for number in drawn {
                // A cell that was drawn twice is answered by one proof.
                if !answered.contains(&number) {
                    most = most.max(judge(&mut w, &task, &work, number, &alice.operator));
                    answered.push(number);
                }
            }
            assert_eq!(unanswered(&w.shard(&task, 0), &terms), 0);
            println!("{}: {} cells answered, at most {most} CU a transaction", kernel.name(), answered.len());
            w.pass_window(&task);
            w.settle(&task, 0, &alice);
            w.close(&task);
        }
    }
}

#[test]
fn one_wrong_byte_anywhere_is_convicted() {
    for kernel in AnyKernel::ALL {
        for trial in kernel.handling().checks() {
            let geometry = kernel.geometry(&trial.params).unwrap();
            for number in edges(&geometry) {
                let (mut w, task) = job_of(*kernel, trial.clone());
                let (alice, stranger) = (w.alice.clone(), w.stranger.clone());
                w.claim(&task, 0, &alice);
                let terms = w.job(&task).terms;
                let place = terms.shard(0).unwrap().place(number).unwrap();
                let cell_bytes = u64::from(geometry.leaf_span(place.leaf).unwrap().cell_bytes);
                let end = geometry.bytes_before(place.leaf).unwrap() + u64::from(place.cell + 1) * cell_bytes;
                let mut bytes = task.spec.compute(0..terms.leaves);
                bytes[usize::try_from(end).unwrap() - 1] ^= 0x80;
                let work = Work::of_bytes(&task, &terms, 0, &alice.account, bytes);
                w.commit(&task, &alice, &work);
                w.draw(&task, 0);
                judge(&mut w, &task, &work, number, &stranger);
                assert_eq!(w.shard(&task, 0).state(), Some(ShardState::Slashed), "{}, cell {number}", kernel.name());
            }
        }
    }
}
