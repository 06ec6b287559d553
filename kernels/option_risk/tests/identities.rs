//! What must hold exactly on every path, whatever the random numbers.

use super::super::import::{Asset, Barrier, Kind, Model, Position, Underlying};
use super::super::{OptionRisk, result};
use crate::executor::{Backend, Cpu, Inputs};
use crate::kernel::Kernel;

pub(super) fn asset(spot: f64, volatility: f64, growth: f64) -> Asset {
    Asset { spot, volatility, growth }
}

pub(super) fn option(kind: Kind, strike: f64) -> Position {
    Position {
        underlying: Underlying::Asset(0),
        kind,
        strike,
        quantity: 1.0,
        average: false,
        barrier: None,
        expiry: None,
    }
}

/// Independent assets without interest.
pub(super) fn model(assets: Vec<Asset>, positions: Vec<Position>) -> Model {
    let count = assets.len();
    let correlation = (0..count).map(|i| (0..count).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    Model { assets, correlation, baskets: vec![], positions, rate: 0.0, years: 1.0, paid: None }
}

/// The whole result of a model with sums.
pub(super) fn run(model: &Model, steps: u16, paths: u64, seed: u64) -> (super::Params, Vec<u8>) {
    let job = model.job(steps, paths, seed, true).unwrap();
    let leaves = OptionRisk::geometry(&job.params).unwrap().leaves().unwrap();
    let inputs = Inputs { inputs: [&job.input, &[], &[], &[]] };
    let bytes = Cpu.run(OptionRisk::ID, &job.params.to_bytes(), &inputs, 0..leaves).unwrap();
    (job.params, bytes)
}

/// Sums of payoffs over all paths, position by position.
fn totals(model: &Model, steps: u16) -> Vec<i64> {
    let (params, bytes) = run(model, steps, 2_000, 3);
    let sums = result::sums(&params, &bytes).unwrap();
    let column = |at| sums.iter().skip(at).step_by(model.positions.len()).sum();
    (0..model.positions.len()).map(column).collect()
}

#[test]
fn a_call_less_a_put_is_a_forward() {
    let positions = [Kind::Call, Kind::Put, Kind::Forward].map(|kind| option(kind, 101.5));
    let totals = totals(&model(vec![asset(100.0, 0.3, 0.05)], positions.to_vec()), 3);
    assert!(totals[0] > 0 && totals[1] > 0);
    assert_eq!(totals[0] - totals[1], totals[2]);
}

#[test]
fn in_and_out_are_the_whole() {
    for down in [false, true] {
        let level = if down { 90.0 } else { 115.0 };
        let barrier = |knock_in| Some(Barrier { asset: 0, level, down, knock_in });
        let plain = option(Kind::Call, 100.0);
        let positions =
            vec![Position { barrier: barrier(true), ..plain }, Position { barrier: barrier(false), ..plain }, plain];
        let totals = totals(&model(vec![asset(100.0, 0.3, 0.0)], positions), 12);
        assert!(totals[0] > 0 && totals[1] > 0);
        assert_eq!(totals[0] + totals[1], totals[2]);
    }
}

#[test]
fn a_basket_of_one_and_an_average_of_one_are_the_asset() {
    let plain = option(Kind::Call, 100.0);
    let average = Position { average: true, expiry: Some(0.25), ..plain };
    let early = Position { expiry: Some(0.25), ..plain };
    let basket = Position { underlying: Underlying::Basket(0), ..plain };
    let mut model = model(vec![asset(100.0, 0.2, 0.0), asset(50.0, 0.4, 0.0)], vec![average, early, basket, plain]);
    model.baskets = vec![vec![1.0, 0.0]];
    let totals = totals(&model, 4);
    assert_eq!(totals[0], totals[1], "the average of the first step alone");
    assert_eq!(totals[2], totals[3]);
    assert!(totals[3] > totals[1]);
}

#[test]
fn values_are_payoffs_times_quantities() {
    // Quantities without fractions, and nothing is discounted: exact.
    let sold = Position { quantity: -3.0, ..option(Kind::Call, 90.0) };
    let bought = Position { quantity: 2.0, ..option(Kind::Put, 120.0) };
    let model = model(vec![asset(100.0, 0.25, 0.0)], vec![sold, bought]);
    let (params, bytes) = run(&model, 2, 1_000, 9);
    let sums = result::sums(&params, &bytes).unwrap();
    let values: i64 = result::values(&params, &bytes).unwrap().iter().sum();
    let expected: i64 = sums.as_chunks::<2>().0.iter().map(|[call, put]| 2 * put - 3 * call).sum();
    assert_eq!(values, expected << (params.value_bits - 20));
}
