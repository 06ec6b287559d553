//! What a process of its own costs: the same runs on this machine's cores in this process and in a device process.
//!
//! `cargo run --release -p assay-device --example overhead`
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "not part of the product")]

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use assay_device::{Devices, Kind, Lane, Limits, Program, child};
use assay_kernels::{
    executor::{Backend, Commit, Cpu},
    gemm_i8,
    handling::{Trial, noise},
};

const COMMAND: &str = "device-process";
const ROUNDS: usize = 5;

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let done = work();
    (done, started.elapsed())
}

/// The shortest of some.
fn best(mut work: impl FnMut()) -> Duration {
    (0..ROUNDS).map(|_| timed(&mut work).1).min().unwrap()
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(COMMAND) {
        return child::main().into();
    }
    let program = Program::this([COMMAND]).unwrap();
    let (lane, start) = timed(|| Lane::open("cores", program, Kind::Cpu, Limits::default()).unwrap());
    let devices = Devices::of(vec![lane]);
    println!("start with known answers: {start:?}");
    let product = |m: u32, n: u32, k: u32| {
        let params = gemm_i8::Params { m, n, k };
        let rows = |rows: u32, seed| noise(u64::from(rows) * params.row_bytes(), seed);
        Trial::new(params.to_bytes(), [rows(m, 1), rows(n, 2)])
    };
    for (words, job) in [
        ("large inputs (64 MiB), small result", product(65_536, 64, 1_024)),
        ("small inputs, large result (64 MiB)", product(4_096, 4_096, 64)),
        ("much work", product(2_048, 2_048, 4_096)),
    ] {
        let all = assay_kernels::registry::geometry(2, &job.params).unwrap().leaves().unwrap();
        let run = |by: &dyn Backend| by.run(2, &job.params, &job.inputs(), 0..all).unwrap();
        let (here, there) = (run(&Cpu), timed(|| run(&devices)));
        assert_eq!(here, there.0);
        let (cores, process) = (best(|| drop(run(&Cpu))), best(|| drop(run(&devices))));
        let ratio = process.as_secs_f64() / cores.as_secs_f64();
        println!("{words}: cores {cores:?}, process {process:?}, ratio {ratio:.2}; first run there {:?}", there.1);
        let commit = Commit { salt: [1; 32], level: 10 };
        let hashed = |by: &dyn Backend| by.run_hashed(2, &job.params, &job.inputs(), 0..all, &commit).unwrap();
        assert_eq!(hashed(&Cpu), hashed(&devices));
    }
    let check = best(|| {
        let job = product(4, 4, 4);
        let mark = devices.mark();
        devices.run(2, &job.params, &job.inputs(), 0..1).unwrap();
        devices.verify(mark).unwrap();
    });
    println!("known answers once more, as before every commitment: {check:?}");
    ExitCode::SUCCESS
}
