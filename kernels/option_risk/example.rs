//! The portfolio of docs/kernels/option_risk.md and of example.json beside this file.

use super::import::{Asset, Barrier, Kind, Model, Position, Underlying};

/// Five assets for a quarter of a year, 63 trading days: options of two expiries, with an average, a barrier and a basket.
/// Prices, volatilities and correlations are of the usual size for such assets; they are nobody's quotes.
pub fn example() -> Model {
    let asset = |spot, volatility, growth| Asset { spot, volatility, growth };
    let position = |underlying, kind, strike, quantity| Position {
        underlying,
        kind,
        strike,
        quantity,
        average: false,
        barrier: None,
        expiry: None,
    };
    let (spy, aapl, msft, nvda, gld) = (0, 1, 2, 3, 4);
    let on = Underlying::Asset;
    let barrier = Some(Barrier { asset: msft, level: 380.0, down: true, knock_in: false });
    Model {
        assets: vec![
            asset(590.0, 0.15, 0.028),
            asset(230.0, 0.27, 0.036),
            asset(420.0, 0.24, 0.033),
            asset(140.0, 0.50, 0.04),
            asset(245.0, 0.16, 0.04),
        ],
        correlation: vec![
            vec![1.00, 0.68, 0.72, 0.65, 0.10],
            vec![0.68, 1.00, 0.60, 0.48, 0.05],
            vec![0.72, 0.60, 1.00, 0.58, 0.02],
            vec![0.65, 0.48, 0.58, 1.00, 0.00],
            vec![0.10, 0.05, 0.02, 0.00, 1.00],
        ],
        baskets: vec![vec![0.0, 1.0, 0.5, 2.0, 0.0]],
        positions: vec![
            Position { expiry: Some(1.0 / 12.0), ..position(on(aapl), Kind::Call, 240.0, 200.0) },
            position(on(spy), Kind::Put, 560.0, 100.0),
            Position { average: true, ..position(on(nvda), Kind::Call, 150.0, -300.0) },
            Position { barrier, ..position(on(msft), Kind::Call, 420.0, 150.0) },
            position(Underlying::Basket(0), Kind::Put, 700.0, 40.0),
            position(on(gld), Kind::Forward, 245.0, 50.0),
            position(on(spy), Kind::Digital, 600.0, 1_000.0),
        ],
        rate: 0.04,
        years: 0.25,
        paid: Some(5_000.0),
    }
}
