//! What the tests share: processes with a fault, small jobs, short limits.
#![allow(dead_code, clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]

use std::{path::Path, time::Duration};

use assay_device::{Devices, Kind, Lane, Limits, Program};
use assay_kernels::{
    executor::Finding,
    gemm_i8::Params,
    handling::{Trial, noise},
    registry::AnyKernel,
};

/// The faulty program.
pub fn program(fault: &str, file: Option<&Path>) -> Program {
    let arguments = [fault.into()].into_iter().chain(file.map(|file| file.as_os_str().to_owned()));
    Program { quiet: true, ..Program::at(env!("CARGO_BIN_EXE_assay-device-faults"), arguments) }
}

/// Short, and long enough for a busy machine where nothing is to fail.
pub fn limits() -> Limits {
    Limits {
        beat: Duration::from_millis(20),
        silence: Duration::from_secs(3),
        start: Duration::from_secs(60),
        progress: Duration::from_secs(2),
        backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(2),
        max_faults: 6,
        window: Duration::from_secs(3_600),
        cache_bytes: 64 << 20,
    }
}

/// A device with such a process.
pub fn device(fault: &str, file: Option<&Path>, limits: Limits) -> Result<Devices, Finding> {
    Ok(Devices::of(vec![Lane::open("device 0", program(fault, file), Kind::Cpu, limits)?]))
}

/// From now on the fault happens.
pub fn trigger(file: &Path) {
    std::fs::write(file, []).unwrap();
}

/// A product of random matrices.
pub fn job(m: u32, n: u32, k: u32) -> Trial {
    let product = Params { m, n, k };
    let rows = |rows: u32, seed| noise(u64::from(rows) * product.row_bytes(), seed);
    Trial::new(product.to_bytes(), [rows(m, 1), rows(n, 2)])
}

/// One of some leaves.
pub fn small_job() -> Trial {
    job(100, 90, 300)
}

/// Its leaves.
pub fn all_of(job: &Trial) -> u64 {
    AnyKernel::GemmI8.geometry(&job.params).unwrap().leaves().unwrap()
}

/// Sends the process of the first device a signal.
pub fn signal(devices: &Devices, signal: rustix::process::Signal) {
    let process = devices.devices()[0].process().unwrap();
    rustix::process::kill_process(pid(process), signal).unwrap();
}

/// Whether there is such a process.
pub fn is_there(process: u32) -> bool {
    rustix::process::test_kill_process(pid(process)).is_ok()
}

fn pid(process: u32) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(process.try_into().unwrap()).unwrap()
}
