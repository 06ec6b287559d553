//! Coverage-guided fuzzing of the settlement program as it is built for the chain. libFuzzer drives; see README.md.

#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "a harness for tests: where it cannot go on it panics, and its sums are of test amounts"
)]

mod args;
#[path = "../../tests/src/books.rs"]
#[allow(dead_code, reason = "the check is used here, what tests read one by one is not")]
mod books;
mod call;
mod chain;
mod check;
mod coverage;
mod focus;
mod idl;
mod input;
mod mutate;
mod roles;
mod run;
mod stats;
mod tokens {
    pub use assay_fuzz::tokens::{TOKEN_2022, WRAPPED_SOL};
}

use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target};
use run::Base;
use std::{cell::RefCell, sync::OnceLock};

/// Compiled in: it belongs to the client that is compiled in, and a run must not change when the file does.
const IDL: &str = include_str!("../../programs/idl/assay_settlement.json");

static NAMES: OnceLock<Vec<(String, [u8; 2])>> = OnceLock::new();

thread_local! {
    static BASE: RefCell<Base> = RefCell::new(make());
}

fn make() -> Base {
    let base = Base::new(IDL);
    mutate::check(NAMES.get_or_init(|| base.names()));
    base
}

fuzz_target!(
    init: { BASE.with(|_| ()) },
    |data: &[u8]| {
        let show = std::env::var_os("ASSAY_FUZZ_SHOW").is_some();
        BASE.with(|base| base.borrow_mut().run(data, show));
    }
);

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let names = NAMES.get().expect("made before the first input");
    mutate::mutate(&mut data[..max_size], size, seed, names)
});

fuzz_crossover!(|data1: &[u8], data2: &[u8], out: &mut [u8], seed: u32| { mutate::cross(data1, data2, out, seed) });
