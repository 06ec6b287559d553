//! Several cards, each with a process of its own, as one backend.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used, reason = "test code")]

mod stage;

use std::{path::Path, process::Command, thread, time::Duration};

use assay_device::{Choice, Devices, Found, Limits};
use assay_kernels::executor::{Backend, Cpu, ExecError, Finding};
use stage::{all_of, limits, program, small_job};

fn open(fault: &str, file: Option<&Path>, choice: &Choice) -> Result<(Devices, Found), Finding> {
    Devices::open(&program(fault, file), choice, limits())
}

fn run(devices: &Devices) -> Result<(), ExecError> {
    let job = small_job();
    let leaves = 1..all_of(&job);
    let bytes = devices.run(2, &job.params, &job.inputs(), leaves.clone())?;
    assert_eq!(bytes, Cpu.run(2, &job.params, &job.inputs(), leaves).unwrap());
    Ok(())
}

#[test]
fn every_card_gets_a_process_of_its_own() {
    let (devices, found) = open("healthy", None, &Choice::All).unwrap();
    assert_eq!((devices.name().as_str(), devices.lanes()), ("2 x faulty: healthy", 2));
    assert_eq!(found, Found { notes: vec!["a note".to_owned()], unused: Vec::new() });
    let processes: Vec<_> = devices.devices().iter().map(|lane| lane.process().unwrap()).collect();
    assert_ne!(processes[0], processes[1]);
    run(&devices).unwrap();
    let (second, _) = open("healthy", None, &Choice::These(vec![1])).unwrap();
    assert_eq!((second.lanes(), second.devices()[0].label()), (1, "card 1 (second)"));
    run(&second).unwrap();
    let none = open("healthy", None, &Choice::These(vec![2])).err().unwrap();
    assert_eq!(none.problem, "there is no card 2: the driver shows 2");
}

#[test]
fn cards_that_do_not_work_are_named() {
    let (devices, found) = open("second-missing", None, &Choice::All).unwrap();
    assert_eq!(
        (devices.lanes(), found.unused),
        (1, vec!["card 1 is not used: there is no card; put one in".to_owned()])
    );
    // One that was asked for by its number is not left out silently.
    assert_eq!(open("second-missing", None, &Choice::These(vec![0, 1])).err().unwrap().problem, "there is no card");
    assert_eq!(open("no-card", None, &Choice::All).err().unwrap().problem, "there is no card");
    let slow = Limits { start: Duration::from_secs(2), ..limits() };
    let hangs = Devices::open(&program("lists-for-ever", None), &Choice::All, slow).err().unwrap();
    assert!(hangs.problem.contains("it hangs: opening"), "{hangs}");
}

/// Two runs at the same time are on two cards at the same time: each process waits for the other.
#[test]
fn runs_at_the_same_time_go_to_different_cards() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let limits = Limits { progress: Duration::from_secs(60), ..limits() };
    let (devices, _) = Devices::open(&program("meets", Some(&pipe)), &Choice::All, limits).unwrap();
    let mark = devices.mark();
    thread::scope(|scope| {
        let both = [scope.spawn(|| run(&devices)), scope.spawn(|| run(&devices))];
        for one in both {
            one.join().unwrap().unwrap();
        }
    });
    devices.verify(mark).unwrap();
}

/// A card that breaks for good is left out; what was computed meanwhile does not count; the other goes on.
#[test]
fn a_broken_card_leaves_the_others_at_work() {
    let (devices, _) = open("second-breaks", None, &Choice::All).unwrap();
    let broken = || devices.devices()[1].broken().is_some();
    let mark = devices.mark();
    // Two at a time, so that the second card gets its share.
    while !broken() {
        thread::scope(|scope| {
            for one in [scope.spawn(|| run(&devices)), scope.spawn(|| run(&devices))] {
                match one.join().unwrap() {
                    Ok(()) | Err(ExecError::Interrupted(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
        });
    }
    assert!(matches!(devices.verify(mark), Err(ExecError::Interrupted(_))));
    let mark = devices.mark();
    for _ in 0..3 {
        run(&devices).unwrap();
    }
    devices.verify(mark).unwrap();
    assert_eq!((devices.devices()[0].broken(), devices.devices()[1].faults()), (None, 6));
}
