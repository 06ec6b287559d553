//! What a renter's model becomes, and what is refused.

use super::super::import::{Barrier, ImportError, Kind, Model, Position, Underlying};
use super::super::{MAX_UNITS, REFERENCE};
use super::identities::{asset, model, option};

fn two() -> Model {
    let mut model = model(vec![asset(100.0, 0.2, 0.03), asset(64.0, 0.4, 0.0)], vec![option(Kind::Call, 100.0)]);
    model.correlation = vec![vec![1.0, 0.6], vec![0.6, 1.0]];
    model.rate = 0.03;
    model
}

fn refused(change: impl Fn(&mut Model)) -> ImportError {
    let mut model = two();
    change(&mut model);
    model.job(4, 100, 1, false).unwrap_err()
}

#[test]
fn numbers_are_where_the_page_says() {
    let mut model = two();
    model.paid = Some(8.0);
    let job = model.job(4, 1_000, 1, false).unwrap();
    let word = |at: usize| i64::from_le_bytes(*job.input[at..].first_chunk().unwrap());
    let half = |at: usize| i32::from_le_bytes(*job.input[at..].first_chunk().unwrap());
    assert_eq!(job.input.len(), 1_024);
    assert_eq!((word(16), word(32)), (6 << 56, 100 << 20));
    let drift = (-0.08 / 4.0) / core::f64::consts::LN_2;
    assert!((word(24) as f64 / f64::exp2(56.0) - drift).abs() < 1e-15);
    let quantity = (-0.03f64).exp() * f64::exp2(24.0);
    assert!((f64::from(half(40)) - quantity).abs() <= 0.5);
    assert_eq!(half(48), 4, "the expiry, and asset 0");
    let factors = [half(56), half(60), half(64)].map(|factor| f64::from(factor) / f64::exp2(28.0));
    let expected = [0.1, 0.2 * 0.6, 0.2 * 0.8].map(|factor: f64| factor / core::f64::consts::LN_2);
    for (found, expected) in factors.iter().zip(expected) {
        assert!((found - expected).abs() < 4e-9);
    }
    assert_eq!((job.params.value_bits, job.params.flags), (28, REFERENCE));
    assert_eq!(job.params.reference, 8 << 28);
    assert!(job.params.all_paths() >= 1_000 && job.params.units() <= MAX_UNITS);
    // Quantities take what bits there are.
    model.positions[0].quantity = 1e6;
    assert_eq!(model.job(4, 1_000, 1, false).unwrap().params.value_bits, 15);
}

#[test]
fn what_can_not_be_is_refused_by_name() {
    assert!(matches!(refused(|m| m.assets.clear()), ImportError::Count { what: "assets", .. }));
    assert!(matches!(refused(|m| m.positions.clear()), ImportError::Count { what: "positions", .. }));
    assert!(matches!(refused(|m| m.baskets = vec![vec![]; 5]), ImportError::Count { what: "baskets", .. }));
    assert!(matches!(refused(|m| m.baskets = vec![vec![1.0]]), ImportError::Weights { got: 1, assets: 2, .. }));
    assert!(matches!(refused(|m| m.baskets = vec![vec![60.0, -5.0]]), ImportError::Value { .. }));
    let values: [fn(&mut Model, f64); 8] = [
        |m, x| m.assets[0].spot = x,
        |m, x| m.assets[1].volatility = x,
        |m, x| m.assets[1].growth = x,
        |m, x| m.positions[0].strike = x,
        |m, x| m.positions[0].quantity = x,
        |m, x| m.years = x,
        |m, x| m.rate = x,
        |m, x| m.positions[0].barrier = Some(Barrier { asset: 0, level: x, down: true, knock_in: true }),
    ];
    for (at, set) in values.iter().enumerate() {
        assert!(matches!(refused(|m| set(m, f64::NAN)), ImportError::Value { .. }), "{at}");
        let infinite = refused(|m| set(m, f64::INFINITY));
        assert!(matches!(infinite, ImportError::Value { .. } | ImportError::PriceRange { .. }), "{at}: {infinite}");
    }
    assert!(matches!(refused(|m| m.assets[0].spot = 0.0), ImportError::Value { .. }));
    assert!(matches!(refused(|m| m.assets[0].volatility = -0.1), ImportError::Value { .. }));
    assert!(matches!(refused(|m| m.assets[0].spot = 400_000.0), ImportError::PriceRange { asset: 0 }));
    assert!(matches!(refused(|m| m.correlation[0][1] = 0.5), ImportError::Correlation));
    assert!(matches!(refused(|m| m.correlation[1][1] = 0.9), ImportError::Correlation));
    assert!(matches!(refused(|m| m.correlation = vec![vec![1.0; 2]; 2]), ImportError::Correlation));
    assert!(matches!(refused(|m| m.correlation.truncate(1)), ImportError::Correlation));
    assert!(matches!(
        refused(|m| m.positions[0].underlying = Underlying::Asset(2)),
        ImportError::NoSuch { position: 0 }
    ));
    assert!(matches!(refused(|m| m.positions[0].underlying = Underlying::Basket(0)), ImportError::NoSuch { .. }));
    let far = Some(Barrier { asset: 2, level: 90.0, down: true, knock_in: false });
    assert!(matches!(refused(|m| m.positions[0].barrier = far), ImportError::NoSuch { .. }));
    for years in [0.3, 0.0, 1.25, -0.25, f64::NAN] {
        assert!(matches!(refused(|m| m.positions[0].expiry = Some(years)), ImportError::NotAStep { .. }), "{years}");
    }
    let early = Position { expiry: Some(0.25), ..option(Kind::Put, 90.0) };
    assert!(matches!(refused(|m| m.positions.push(early)), ImportError::Order { position: 1 }));
    assert!(matches!(refused(|m| m.positions[0].quantity = -3e9), ImportError::Quantities(_)));
    assert_eq!(two().job(4_097, 10, 1, false), Err(ImportError::TooLong));
    assert_eq!(two().job(0, 10, 1, false).unwrap_err(), ImportError::NotAStep { position: 0, years: 1.0, step: 1.0 });
    assert_eq!(two().job(4, u64::MAX, 1, false), Err(ImportError::TooLong));
}
