//! The numbers of docs/kernels/option_risk.md.

use super::super::example::example;
use super::super::random::{normal, philox, price};
use super::super::{OptionRisk, result};
use super::{Params, unhex};
use crate::executor::{Backend, Cpu, Inputs};
use crate::handling::Handling;
use crate::kernel::Kernel;

#[test]
fn the_pages_example_gives_its_numbers() {
    let job = example().job(63, 30_000, 2_026, true).unwrap();
    let Params { cells, paths, .. } = job.params;
    assert_eq!((cells, paths, job.params.cell_bytes(), job.params.units()), (10_000, 3, 88, 283_310));
    let bytes = job.params.to_bytes();
    let leaves = OptionRisk::geometry(&job.params).unwrap().leaves().unwrap();
    let inputs = Inputs { inputs: [&job.input, &[], &[], &[]] };
    let result = Cpu.run(OptionRisk::ID, &bytes, &inputs, 0..leaves).unwrap();
    let facts = OptionRisk.facts(&bytes, &result);
    let expected = [
        ("paths", 30_000.0),
        ("value", 4_754.650_630),
        ("standard-error", 30.415_855),
        ("value-at-risk-95", 7_471.307_187),
        ("expected-shortfall-95", 10_392.751_857),
        ("value-at-risk-99", 12_117.942_034),
        ("expected-shortfall-99", 14_798.547_426),
    ];
    assert_eq!(facts.len(), expected.len() + 2);
    for (fact, (name, value)) in facts.iter().zip(expected) {
        // Logarithms of the model come out of the machine's library of functions: their last bits may differ.
        let found: f64 = fact.value.parse().unwrap();
        assert!(fact.name == name && (found - value).abs() < 0.01, "{fact:?} {value}");
    }
    let payoffs = result::payoffs(&job.params, &result).unwrap();
    let expected = [3.608_358, 5.261_449, 4.653_969, 21.170_910, 30.493_666, 2.321_323, 0.434_533];
    let exact = [Some(3.5836), Some(5.2984), None, None, None, Some(2.4623), Some(0.4332)];
    assert_eq!(payoffs.len(), expected.len());
    for ((found, expected), exact) in payoffs.iter().zip(expected).zip(exact) {
        assert!((found.mean - expected).abs() < 1e-4, "{found:?} {expected}");
        assert!(exact.is_none_or(|exact| (found.mean - exact).abs() < 3.0 * found.standard_error), "{found:?}");
    }
}

#[test]
fn the_path_by_hand_is_right() {
    let words = philox([0; 4], [7, 0]);
    assert_eq!(words, [0xf460_7a2d, 0xc009_f9dc, 0x1d3a_ba42, 0x15ed_ac82]);
    assert_eq!(normal(words[0]), -30_616_384);
    let log = 478_743_563_211_997_057i64 + 1_039_561_283_098_107 + 77_453_566 * normal(words[0]);
    assert_eq!((log, (log + (1 << 31)) >> 32), (477_411_776_376_269_820, 111_156_091));
    assert_eq!(price(111_156_091), 103_526_102);
    // A cell of that path alone: the digest, and a value of 0.
    let line = include_str!("../vectors.txt").lines().find(|line| !line.starts_with('#')).unwrap();
    let [params, input, ..] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let params = Params { cells: 1, paths: 1, ..OptionRisk::parse(&unhex(params)).unwrap() };
    let mut input = unhex(input);
    input.resize(1_024, 0);
    let cell = super::cell_of(&params, &input, 0, 0).unwrap();
    assert_eq!(cell, [0x44f9_26a0_0766_2800u64.to_le_bytes(), [0; 8]].concat());
}
