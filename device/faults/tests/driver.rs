//! The real device process with drivers that fail: each is a finding that says what is wrong and what to do, and never a
//! panic or a hang. The drivers are made here, of a few lines of C.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used, reason = "test code")]

mod stage;

use std::{path::Path, process::Command, time::Duration};

use assay_device::{Choice, Devices, Limits};
use assay_kernels::executor::Finding;
use stage::{limits, program};

/// Makes a driver with these macros.
fn driver(folder: &Path, macros: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/driver.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-w", "-o"])
        .arg(folder.join("libcuda.so"))
        .args(macros.iter().map(|one| format!("-D{one}")))
        .arg(source)
        .status();
    assert!(built.expect("a C compiler, as other tests need one, too").success());
}

fn finding(macros: &[&str], limits: Limits) -> Finding {
    let folder = tempfile::tempdir().unwrap();
    driver(folder.path(), macros);
    open(folder.path(), limits).expect_err("a driver that fails")
}

fn open(folder: &Path, limits: Limits) -> Result<usize, Finding> {
    let mut program = program("real", None);
    program.environment.insert("LD_LIBRARY_PATH".into(), folder.into());
    Devices::open(&program, &Choice::All, limits).map(|(devices, _)| devices.devices().len())
}

#[test]
fn drivers_that_fail_are_findings() {
    let drivers: [(&[&str], &str, &str); 9] = [
        (&["VERSION=11040"], "the NVIDIA driver is for CUDA 11.4", "CUDA 12.0 or newer"),
        (&["INIT=100"], "no CUDA-capable device is detected", "nvidia-smi"),
        (&["INIT=803"], "unsupported display driver", "nvidia-smi"),
        (&["COUNT=0"], "has no card", "CUDA_VISIBLE_DEVICES"),
        (&["EMPTY"], "can't be used", "install an NVIDIA driver"),
        (&["MAJOR=6", "CONTEXT=0"], "compute capability 6.1", "7.5"),
        (&["CONTEXT=2"], "out of memory", "nvidia-smi"),
        (&["CONTEXT=999"], "can't be opened", "nvidia-smi"),
        (&["CRASH"], "signal: 11", "nvidia-smi"),
    ];
    for (macros, problem, remedy) in drivers {
        let finding = finding(macros, limits());
        assert!(finding.problem.contains(problem) && finding.remedy.contains(remedy), "{macros:?}: {finding}");
    }
}

#[test]
fn a_driver_that_hangs_is_a_finding() {
    let finding = finding(&["HANG"], Limits { start: Duration::from_secs(2), ..limits() });
    assert!(finding.problem.contains("it hangs: opening the device"), "{finding}");
}

/// A driver shows its cards before any of them is opened.
#[test]
fn cards_are_listed_and_what_is_missing_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    driver(folder.path(), &["COUNT=2"]);
    let mut program = program("real", None);
    program.environment.insert("LD_LIBRARY_PATH".into(), folder.path().into());
    let (cards, notes) = Devices::cards(&program, limits()).unwrap();
    assert_eq!(cards.len(), 2);
    assert_eq!((cards[1].name.as_str(), cards[1].memory, cards[1].capability), ("Fake 9000", 1 << 33, (9, 1)));
    assert!(notes.iter().all(|note| note.contains("cuBLASLt")), "{notes:?}");
}

#[test]
fn a_machine_without_a_driver_has_a_finding() {
    // Where there is a driver all the same, its cards work or are a finding, too.
    let folder = tempfile::tempdir().unwrap();
    match open(folder.path(), Limits { start: Duration::from_secs(300), ..limits() }) {
        Ok(cards) => assert!(cards > 0),
        Err(finding) => assert!(!finding.problem.is_empty() && !finding.remedy.is_empty()),
    }
}
