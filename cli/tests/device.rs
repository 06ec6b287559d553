//! The program as a device process, as `provider run` starts it for each card.

use assay_device::{Choice, Devices, Kind, Lane, Limits, Program};
use assay_kernels::{
    executor::{Backend, Limit, check, compare},
    registry::AnyKernel,
};

fn program() -> Program {
    Program::at(env!("CARGO_BIN_EXE_assay"), [assay_cli::device::COMMAND])
}

#[test]
fn the_program_computes_for_whoever_started_it() {
    let lane = Lane::open("the cores", program(), Kind::Cpu, Limits::default()).unwrap();
    let devices = Devices::of(vec![lane]);
    let mark = devices.mark();
    for kernel in AnyKernel::ALL {
        check(&devices, *kernel).unwrap();
        compare(&devices, *kernel, Limit::jobs(3), 17).unwrap();
    }
    devices.verify(mark).unwrap();
    assert!(devices.name().starts_with("CPU"));
}

#[test]
fn it_looks_for_cards_and_says_what_it_finds() {
    match Devices::open(&program(), &Choice::All, Limits::default()) {
        Ok((devices, _)) => assert!(devices.lanes() > 0),
        Err(finding) => {
            assert!(!finding.remedy.is_empty());
            // What goes wrong in the process itself would be said so.
            assert!(!finding.problem.contains("process"), "{finding}");
        }
    }
}
