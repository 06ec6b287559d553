//! Prices and losses against formulas: within four standard errors, for seeds that are fixed.

use super::super::import::{Barrier, Kind, Model, Position, Underlying};
use super::super::random::normal;
use super::super::result::{self, Estimate};
use super::identities::{asset, model, option, run};

/// Paths of a test, of few steps.
const PATHS: u64 = 1 << 16;
/// Standard errors that an estimate may be off.
const ERRORS: f64 = 4.0;

/// The normal distribution function: a sum of 800 terms by Simpson's rule, good to ten digits.
fn phi(x: f64) -> f64 {
    let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * core::f64::consts::PI).sqrt();
    let width = x / 800.0;
    let weight = |i: u32| if i == 0 || i == 800 { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
    0.5 + (0..=800).map(|i| weight(i) * density(f64::from(i) * width)).sum::<f64>() * width / 3.0
}

/// Black and Scholes, not discounted: call, put, chance that the call pays.
fn black_scholes(spot: f64, strike: f64, growth: f64, volatility: f64, years: f64) -> (f64, f64, f64) {
    let forward = spot * (growth * years).exp();
    let deviation = volatility * years.sqrt();
    let d1 = (forward / strike).ln() / deviation + deviation / 2.0;
    let d2 = d1 - deviation;
    let call = forward * phi(d1) - strike * phi(d2);
    (call, call - forward + strike, phi(d2))
}

#[track_caller]
fn near(found: &Estimate, exact: f64, what: &str) {
    assert!(found.standard_error > 0.0, "{what}");
    let off = (found.mean - exact) / found.standard_error;
    assert!(off.abs() < ERRORS, "{what}: {} is {off:.1} standard errors from {exact}", found.mean);
}

fn payoffs(model: &Model, steps: u16, paths: u64, seed: u64) -> Vec<Estimate> {
    let (params, bytes) = run(model, steps, paths, seed);
    result::payoffs(&params, &bytes).unwrap()
}

/// The chance of more than `x`, where that is at least 2: the continued fraction of Laplace.
fn tail(x: f64) -> f64 {
    let fraction = (1..=300).rev().fold(0.0, |below, i| f64::from(i) / (x + below));
    (-x * x / 2.0).exp() / (2.0 * core::f64::consts::PI).sqrt() / (x + fraction)
}

#[test]
fn every_cubic_is_the_inverse_of_the_distribution_function() {
    assert!((tail(2.0) - (1.0 - phi(2.0))).abs() < 1e-11);
    let mut worst = 0f64;
    for octave in 0..31u32 {
        // From 2^(31 - octave) on; every eighth is a piece of its own, and in the last octaves every number.
        let (first, count) = (1u64 << (31 - octave), 1u64 << (31 - octave).min(7));
        for part in 0..count {
            // Odd numbers stand for probabilities; two pieces meet between them.
            let place = (first + part * (first / count)) | 1;
            let size = normal((place >> 1) as u32) as f64 / f64::exp2(28.0);
            let chance = place as f64 / f64::exp2(33.0);
            let found = if size < 2.0 { 1.0 - phi(size) } else { tail(size) };
            let density = (-size * size / 2.0).exp() / (2.0 * core::f64::consts::PI).sqrt();
            worst = worst.max(((found - chance) / density).abs());
        }
    }
    assert!(worst < 1.7e-7 && worst > 1e-8, "{worst}");
}

#[test]
fn the_formula_is_right() {
    // Hull, Options, Futures, and Other Derivatives, example 15.6: S 42, K 40, r 10 %, sigma 20 %, half a year.
    let (call, put, _) = black_scholes(42.0, 40.0, 0.1, 0.2, 0.5);
    let discount = (-0.05f64).exp();
    assert!((call * discount - 4.759).abs() < 5e-4 && (put * discount - 0.808).abs() < 1e-3);
}

#[test]
fn european_prices_are_those_of_black_and_scholes() {
    for (seed, volatility, growth) in [(1, 0.2, 0.05), (2, 0.6, -0.02), (3, 0.05, 0.0)] {
        let strikes = [80.0, 95.0, 100.0, 110.0];
        let kinds = [Kind::Call, Kind::Put, Kind::Digital, Kind::Forward];
        let positions = strikes.iter().flat_map(|strike| kinds.map(|kind| option(kind, *strike))).collect();
        let model = model(vec![asset(100.0, volatility, growth)], positions);
        let found = payoffs(&model, 1, PATHS, seed);
        for (strike, found) in strikes.iter().zip(found.as_chunks::<4>().0) {
            let (call, put, chance) = black_scholes(100.0, *strike, growth, volatility, 1.0);
            for (found, exact) in found.iter().zip([call, put, chance, call - put]) {
                // Far from the money nothing pays on so few paths.
                if found.standard_error > 0.0 {
                    near(found, exact, &format!("volatility {volatility}, strike {strike}"));
                } else {
                    assert!(exact.min(1.0 - exact).abs() < 1e-3, "strike {strike}: {exact}");
                }
            }
        }
    }
}

#[test]
fn steps_do_not_change_european_prices() {
    let early = Position { expiry: Some(0.5), ..option(Kind::Call, 100.0) };
    let model = model(vec![asset(100.0, 0.3, 0.04)], vec![early, option(Kind::Call, 100.0)]);
    let found = payoffs(&model, 6, PATHS / 2, 4);
    near(&found[0], black_scholes(100.0, 100.0, 0.04, 0.3, 0.5).0, "half a year");
    near(&found[1], black_scholes(100.0, 100.0, 0.04, 0.3, 1.0).0, "a year");
}

#[test]
fn the_error_falls_with_the_root_of_the_paths() {
    let model = model(vec![asset(100.0, 0.2, 0.05)], vec![option(Kind::Call, 105.0)]);
    let exact = black_scholes(100.0, 105.0, 0.05, 0.2, 1.0).0;
    let mut scaled = Vec::new();
    for exponent in [8, 10, 12, 14, 16, 18] {
        let (params, bytes) = run(&model, 1, 1 << exponent, 5);
        let value = result::risk(&params, &bytes).unwrap().value;
        near(&value, exact, &format!("2^{exponent} paths"));
        scaled.push(value.standard_error * f64::exp2(f64::from(exponent) / 2.0));
        // Their spread over seeds is what the error says.
        if exponent == 10 {
            let errors = (0..64u64).map(|seed| {
                let (params, bytes) = run(&model, 1, 1 << exponent, 1_000 + seed);
                let value = result::risk(&params, &bytes).unwrap().value;
                ((value.mean - exact) / value.standard_error).powi(2)
            });
            let mean = errors.sum::<f64>() / 64.0;
            // Four deviations of a mean of 64 squares of normal numbers.
            assert!((mean - 1.0).abs() < 4.0 * (2.0f64 / 64.0).sqrt(), "{mean}");
        }
    }
    let [.., last] = scaled[..] else { panic!() };
    assert!(scaled.iter().all(|scaled| (scaled / last - 1.0).abs() < 0.25), "{scaled:?}");
}

#[test]
fn exchanging_assets_is_margrabes_price() {
    // Margrabe (1978): an option on the difference depends on the correlation alone.
    for (seed, correlation) in [(6, 0.8), (7, -0.5), (8, 0.0)] {
        let position = Position { underlying: Underlying::Basket(0), ..option(Kind::Call, 0.0) };
        let mut model = model(vec![asset(100.0, 0.3, 0.02), asset(96.0, 0.2, 0.02)], vec![position]);
        model.baskets = vec![vec![1.0, -1.0]];
        model.correlation = vec![vec![1.0, correlation], vec![correlation, 1.0]];
        let spread = (0.3f64 * 0.3 + 0.2 * 0.2 - 2.0 * correlation * 0.3 * 0.2).sqrt();
        let exact = black_scholes(100.0, 96.0, 0.0, spread, 1.0).0 * 0.02f64.exp();
        near(&payoffs(&model, 1, PATHS, seed)[0], exact, &format!("correlation {correlation}"));
    }
}

#[test]
fn averages_have_their_mean() {
    let forward = Position { average: true, ..option(Kind::Forward, 90.0) };
    let early = Position { expiry: Some(0.5), ..forward };
    let model = model(vec![asset(100.0, 0.3, 0.08)], vec![early, forward]);
    let found = payoffs(&model, 8, PATHS / 4, 9);
    let mean = |steps: u32| (1..=steps).map(|i| 100.0 * (0.01 * f64::from(i)).exp()).sum::<f64>() / f64::from(steps);
    near(&found[0], mean(4) - 90.0, "half a year");
    near(&found[1], mean(8) - 90.0, "a year");
}

#[test]
fn averages_of_logarithms_bound_averages() {
    // Kemna and Vorst (1990): the option on the geometric average has a closed form and is worth less, by little.
    let (volatility, growth, steps) = (0.2f64, 0.05f64, 16u32);
    let position = Position { average: true, ..option(Kind::Call, 100.0) };
    let model = model(vec![asset(100.0, volatility, growth)], vec![position]);
    let found = payoffs(&model, 16, PATHS / 4, 10).remove(0);
    let n = f64::from(steps);
    let mean_time = (n + 1.0) / (2.0 * n);
    let variance = volatility * volatility * (n + 1.0) * (2.0 * n + 1.0) / (6.0 * n * n);
    let forward = 100.0 * ((growth - volatility * volatility / 2.0) * mean_time + variance / 2.0).exp();
    let geometric = black_scholes(forward, 100.0, 0.0, variance.sqrt(), 1.0).0;
    let above = found.mean - geometric;
    assert!(above > -ERRORS * found.standard_error && above < 0.35, "{above}");
}

#[test]
fn barriers_are_near_their_formula() {
    // A down-and-out call (Merton 1973), the barrier moved for looking at steps only (Broadie, Glasserman, Kou 1997).
    let (volatility, level, steps) = (0.25f64, 88.0f64, 50u16);
    let barrier = Some(Barrier { asset: 0, level, down: true, knock_in: false });
    let model = model(vec![asset(100.0, volatility, 0.0)], vec![Position { barrier, ..option(Kind::Call, 100.0) }]);
    let found = payoffs(&model, steps, PATHS / 8, 11).remove(0);
    let moved = level * (-0.5826 * volatility * (1.0 / f64::from(steps)).sqrt()).exp();
    let call = black_scholes(100.0, 100.0, 0.0, volatility, 1.0).0;
    // Without growth the image is a call on H^2 / S, S / H of them.
    let image = black_scholes(moved * moved / 100.0, 100.0, 0.0, volatility, 1.0).0 * 100.0 / moved;
    near(&found, call - image, "down and out");
    assert!(call - image < call * 0.93, "the barrier matters");
}

#[test]
fn losses_of_a_share_are_quantiles_of_its_price() {
    let (volatility, growth, years) = (0.3f64, 0.05f64, 10.0 / 252.0);
    let mut model = model(vec![asset(100.0, volatility, growth)], vec![option(Kind::Forward, 0.0)]);
    model.years = years;
    model.paid = Some(100.0);
    let (params, bytes) = run(&model, 1, PATHS, 12);
    let risk = result::risk(&params, &bytes).unwrap();
    assert_eq!(risk.paths, params.all_paths());
    let deviation = volatility * years.sqrt();
    for (losses, quantile) in risk.losses.iter().zip([1.644_853_626_951_472_2, 2.326_347_874_040_841]) {
        let edge = 100.0 * ((growth - volatility * volatility / 2.0) * years - quantile * deviation).exp();
        let share = 1.0 - f64::from(losses.level) / 100.0;
        // The mean below a quantile of a log-normal number.
        let mean = 100.0 * (growth * years).exp() * phi(-quantile - deviation) / share;
        // Standard error of a quantile: sqrt(share (1 - share) / n) over the density there.
        let density = (-quantile * quantile / 2.0).exp() / (2.0 * core::f64::consts::PI).sqrt() / (edge * deviation);
        let error = (share * (1.0 - share) / risk.paths as f64).sqrt() / density;
        assert!((losses.value_at_risk - (100.0 - edge)).abs() < ERRORS * error, "{losses:?} {edge}");
        assert!((losses.expected_shortfall - (100.0 - mean)).abs() < 2.0 * ERRORS * error, "{losses:?} {mean}");
    }
    near(&risk.value, 100.0 * (growth * years).exp(), "the share");
}
