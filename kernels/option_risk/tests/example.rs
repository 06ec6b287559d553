//! The numbers of docs/kernels/option_risk.md.

use super::super::example::example;
use super::super::{OptionRisk, result};
use crate::executor::{Backend, Cpu, Inputs};
use crate::handling::Handling;
use crate::kernel::Kernel;

#[test]
fn the_pages_example_gives_its_numbers() {
    let job = example().job(63, 30_000, 2_026, true).unwrap();
    let params = job.params;
    println!("{params:?} {}", params.units());
    let leaves = OptionRisk::geometry(&params).unwrap().leaves().unwrap();
    let inputs = Inputs { inputs: [&job.input, &[], &[], &[]] };
    let result = Cpu.run(OptionRisk::ID, &params.to_bytes(), &inputs, 0..leaves).unwrap();
    for fact in OptionRisk.facts(&params.to_bytes(), &result) {
        println!("{} {}", fact.name, fact.value);
    }
    for estimate in result::payoffs(&params, &result).unwrap() {
        println!("{estimate:?}");
    }
}
