//! Real processes that go wrong. Whatever they do, the supervisor says so in words or goes on, never hangs, and never
//! returns bytes that are not the whole and the right ones.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used, reason = "test code")]

mod stage;

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    time::Duration,
};

use assay_device::Limits;
use assay_kernels::executor::{Backend, Commit, Cpu, ExecError};
use stage::{all_of, device, limits, program, small_job, trigger};

/// What every run must be, if it is anything.
fn right(backend: &dyn Backend) -> Result<(), ExecError> {
    let job = small_job();
    let leaves = 1..all_of(&job);
    let bytes = backend.run(2, &job.params, &job.inputs(), leaves.clone())?;
    assert_eq!(bytes, Cpu.run(2, &job.params, &job.inputs(), leaves).unwrap());
    Ok(())
}

fn interrupted(backend: &dyn Backend) -> String {
    match right(backend) {
        Err(ExecError::Interrupted(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_healthy_process_computes_what_the_reference_does() {
    let device = device("healthy", None, limits()).unwrap();
    assert_eq!(device.name(), "faulty: healthy");
    let mark = device.mark();
    for kernel in assay_kernels::registry::AnyKernel::ALL {
        assay_kernels::executor::check(&device, *kernel).unwrap();
    }
    right(&device).unwrap();
    let (job, commit) = (small_job(), Commit { salt: [9; 32], level: 2 });
    let hashed = |by: &dyn Backend| by.run_hashed(2, &job.params, &job.inputs(), 0..all_of(&job), &commit).unwrap();
    assert_eq!(hashed(&device), hashed(&Cpu));
    device.verify(mark).unwrap();
    // What is wrong with a job is said of the job, and nothing happens to the process.
    let process = device.devices()[0].process();
    let run = |leaves| device.run(2, &job.params, &job.inputs(), leaves);
    assert_eq!(run(0..u64::MAX), Err(ExecError::LeafRange));
    assert!(matches!(device.run(99, &[], &Default::default(), 0..1), Err(ExecError::Kernel(_))));
    assert_eq!((device.devices()[0].process(), device.devices()[0].faults()), (process, 0));
}

/// Large inputs and results go over in many pieces, and inputs only once, as long as there is room for them.
#[test]
fn inputs_are_kept_within_their_room() {
    let job = stage::job(700, 900, 1_000);
    let of_it: u64 = job.inputs.iter().map(|input| input.len() as u64).sum();
    let tight = Limits { cache_bytes: of_it + 1_000, ..limits() };
    let device = device("healthy", None, tight).unwrap();
    let other = stage::job(900, 700, 1_000);
    for job in [&job, &job, &other, &job] {
        let all = all_of(job);
        let bytes = device.run(2, &job.params, &job.inputs(), 0..all).unwrap();
        assert_eq!(bytes, Cpu.run(2, &job.params, &job.inputs(), 0..all).unwrap());
    }
    let large = stage::job(1_500, 900, 1_000);
    let run = device.run(2, &large.params, &large.inputs(), 0..1);
    assert!(matches!(run, Err(ExecError::OutOfMemory(_))), "{run:?}");
    assert_eq!(device.devices()[0].faults(), 0);
}

/// Each of these happens once; afterwards the device is started anew, gives its known answers and computes.
#[test]
fn after_a_fault_the_device_is_started_anew() {
    let folder = tempfile::tempdir().unwrap();
    let faults = [
        ("hangs", "it hangs: computing"),
        ("panics", "it panicked"),
        ("exits", "exit status: 3"),
        ("aborts", "signal: 6"),
        ("device-error", "CUDA_ERROR_ILLEGAL_ADDRESS"),
        ("refuses", "does not have all of these leaves"),
        ("short", "does not keep to the protocol"),
    ];
    for (fault, words) in faults {
        let once = folder.path().join(fault);
        let device = device(fault, Some(&once), limits()).unwrap();
        right(&device).unwrap();
        let (mark, before) = (device.mark(), device.devices()[0].process());
        right(&device).unwrap();
        trigger(&once);
        let why = interrupted(&device);
        assert!(why.contains(words), "{fault}: {why}");
        right(&device).unwrap();
        assert_ne!(device.devices()[0].process(), before, "{fault}");
        // What was computed before the fault does not count, though the device works again.
        assert!(matches!(device.verify(mark), Err(ExecError::Interrupted(_))), "{fault}");
        let mark = device.mark();
        right(&device).unwrap();
        device.verify(mark).unwrap();
    }
}

/// Stopped by a signal it neither computes nor beats; killed, it says nothing.
#[test]
fn a_stopped_and_a_killed_process_are_replaced() {
    for (signal, words) in
        [(rustix::process::Signal::STOP, "no sign of life"), (rustix::process::Signal::KILL, "signal: 9")]
    {
        let device = device("healthy", None, Limits { progress: limits().start, ..limits() }).unwrap();
        right(&device).unwrap();
        let mark = device.mark();
        stage::signal(&device, signal);
        let why = interrupted(&device);
        assert!(why.contains(words), "{why}");
        right(&device).unwrap();
        assert!(device.verify(mark).is_err());
    }
}

/// A card that computes wrongly after its self-test is found before what it computed counts.
#[test]
fn what_was_computed_counts_only_when_the_known_answers_still_come() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong");
    let device = device("wrong-later", Some(&wrong), limits()).unwrap();
    let mark = device.mark();
    right(&device).unwrap();
    device.verify(mark).unwrap();
    right(&device).unwrap();
    trigger(&wrong);
    match device.verify(mark) {
        Err(ExecError::Interrupted(why)) => assert!(why.contains("other bytes than the reference's"), "{why}"),
        other => panic!("{other:?}"),
    }
    // It stays wrong: no process of it is used.
    let why = interrupted(&device);
    assert!(why.contains("self-test"), "{why}");
    std::fs::remove_file(&wrong).unwrap();
    right(&device).unwrap();
}

#[test]
fn faults_without_end_break_the_device() {
    let device = device("device-error", None, Limits { max_faults: 3, ..limits() }).unwrap();
    let mark = device.mark();
    interrupted(&device);
    interrupted(&device);
    for _ in 0..2 {
        match right(&device) {
            Err(ExecError::Device(why)) => {
                assert!(why.contains("failed 3 times") && why.contains("nvidia-smi"), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(device.verify(mark), Err(ExecError::Device(_))));
    assert_eq!((device.devices()[0].process(), device.devices()[0].faults()), (None, 3));
}

/// What no process of this build would say.
#[test]
fn garbage_is_a_fault_in_words() {
    let failures = [
        ("garbage", "unknown kind 7"),
        ("huge-frame", "4294967295 bytes"),
        ("half-frame", "exit status: 0"),
        ("other-run", "another answer"),
        ("other-length", "does not keep to the protocol"),
        ("flood", "does not keep to the protocol"),
        ("wrong", "other bytes than the reference's"),
        ("older", "version 0 of the protocol"),
        ("other-build", "it is build 0.0.1+0123"),
        ("babbles", "does not begin with a greeting"),
        ("ends-at-once", "exit status: 0"),
    ];
    for (fault, words) in failures {
        let error = device(fault, None, limits()).err().expect(fault);
        assert!(error.problem.contains(words), "{fault}: {error}");
        assert!(!error.remedy.is_empty());
    }
    let quiet = Limits { silence: Duration::from_millis(700), ..limits() };
    let slow = Limits { start: Duration::from_secs(2), ..limits() };
    let failures = [
        ("silent", quiet, "no sign of life"),
        ("deaf", quiet, "no sign of life"),
        ("open-for-ever", slow, "it hangs: opening"),
    ];
    for (fault, limits, words) in failures {
        let error = device(fault, None, limits).err().expect(fault);
        assert!(error.problem.contains(words), "{fault}: {error}");
    }
}

#[test]
fn a_program_that_is_not_there_is_a_finding() {
    let missing = assay_device::Program::at("/no/such/program", ["x"]);
    let opened = assay_device::Devices::open(&missing, &assay_device::Choice::All, limits());
    assert!(opened.err().unwrap().problem.contains("can't be started"));
}

/// Too little memory on the card: less at a time, and at last an error of the job's, not of the card's.
#[test]
fn too_little_memory_splits_and_in_the_end_fails_the_job_only() {
    let device = device("little-memory", None, limits()).unwrap();
    right(&device).unwrap();
    right(&device).unwrap();
    assert_eq!(device.devices()[0].faults(), 0);
    let none = stage::device("no-memory", None, limits()).unwrap();
    assert!(matches!(right(&none), Err(ExecError::DeviceMemory(_))));
    assert_eq!(none.devices()[0].faults(), 0);
}

/// A driver that prints does not disturb the protocol.
#[test]
fn what_a_driver_prints_goes_elsewhere() {
    right(&device("prints", None, limits()).unwrap()).unwrap();
}

/// No process is left behind: neither when the supervisor lets it go, nor when it dies itself.
#[test]
fn no_process_is_left_behind() {
    let device = device("healthy", None, limits()).unwrap();
    let process = device.devices()[0].process().unwrap();
    assert!(stage::is_there(process));
    drop(device);
    assert!(!stage::is_there(process));
    // A supervisor that is killed has no time to say anything. Its process has its stderr: that ends with both of them.
    for computes in ["waits", "hangs"] {
        let mut supervisor = Command::new(env!("CARGO_BIN_EXE_assay-device-faults"))
            .args(["supervisor", computes])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let process = line.trim().parse().unwrap();
        assert!(stage::is_there(process), "{computes}");
        supervisor.kill().unwrap();
        supervisor.stderr.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
        supervisor.wait().unwrap();
    }
}

/// The process knows nothing of its supervisor's environment but what a driver needs.
#[test]
fn the_environment_is_next_to_empty() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("environment");
    assert!(stage::device("environment", Some(&file), limits()).is_err(), "it does not serve");
    let names = std::fs::read_to_string(&file).unwrap();
    assert!(std::env::var_os("PATH").is_some() && std::env::var_os("CARGO_PKG_NAME").is_some());
    for name in names.lines() {
        assert!(
            name.starts_with("CUDA_") || ["LD_LIBRARY_PATH", "RAYON_NUM_THREADS", "TMPDIR"].contains(&name),
            "{name}"
        );
    }
    assert_eq!(program("x", None).environment.len(), names.lines().count());
}
