//! A renter's model, in the terms of the trade, as params and input of a job.
//!
//! What is computed here is not checked by anybody but the renter: a job is whatever its params and its input say.

use super::model::{
    AVERAGE, BARRIER, BARRIER_BITS, CALL, DIGITAL, DOWN, FACTOR_BITS, FORWARD, IN, LOG_BITS, PRICE_BITS, PUT,
    WEIGHT_BITS,
};
use super::{AVERAGES, MAX_ASSETS, MAX_BASKETS, MAX_POSITIONS, OptionRisk, Params, REFERENCE, SUMS, model};
use crate::kernel::Kernel;
use crate::merkle::CHUNK_BYTES;

/// Bits that are left for the fraction of a quantity at most.
const QUANTITY_BITS: u8 = 24;
/// Standard deviations within which prices must stay below the largest there is.
const ROOM: f64 = 7.0;
/// Most that a normal variate is.
const MOST_NORMAL: f64 = 6.4;
/// Most that the weights of a basket come to, signs left out: products then fit 64 bits.
const MOST_WEIGHT: f64 = 64.0;
/// Logarithm of the price that is out of range, to base 2.
const MOST_LOG: f64 = 20.0;

/// Why a model can't be a job.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ImportError {
    /// Too few or too many of something.
    #[error("a model has {least} to {most} {what}, not {got}")]
    Count {
        /// What.
        what: &'static str,
        /// At least.
        least: usize,
        /// At most.
        most: usize,
        /// There are.
        got: usize,
    },
    /// A number that can't be what it stands for.
    #[error("{what} can't be {value}")]
    Value {
        /// What.
        what: String,
        /// The number.
        value: f64,
    },
    /// A price may leave the range.
    #[error(
        "the price of asset {asset} may come above 1,048,576 in {ROOM} standard deviations: use a larger unit of money"
    )]
    PriceRange {
        /// Which.
        asset: usize,
    },
    /// The correlations are not those of any random numbers.
    #[error(
        "the correlations are not a symmetric matrix with ones on its diagonal, a row and a column for each asset, that is \
         positive definite"
    )]
    Correlation,
    /// A basket that does not say what each asset weighs.
    #[error("basket {basket} has {got} weights, there are {assets} assets")]
    Weights {
        /// Which.
        basket: usize,
        /// Its weights.
        got: usize,
        /// Assets.
        assets: usize,
    },
    /// A position with something that there is not.
    #[error("position {position} refers to an asset or a basket that the model does not have")]
    NoSuch {
        /// Which.
        position: usize,
    },
    /// An expiry that is not at a step.
    #[error(
        "position {position} expires after {years} years, which is not at the end of one of the steps of {step} years"
    )]
    NotAStep {
        /// Which.
        position: usize,
        /// Its expiry.
        years: f64,
        /// Years of a step.
        step: f64,
    },
    /// Positions out of order.
    #[error("position {position} expires before the one in front of it: put those that expire first to the front")]
    Order {
        /// Which.
        position: usize,
    },
    /// Quantities that are too large together.
    #[error("the quantities come to {0} together, above 2,147,483,647: use larger lots")]
    Quantities(f64),
    /// No job is that large, or its paths are too long for a cell.
    #[error(
        "no job has such paths: at most 2^40 cells and 4,096 steps, and a path has to cost at most 259,000 compute units on \
         chain, which is some 1,100 steps of one asset, 250 of five or 60 of sixteen, a fifth less with averages"
    )]
    TooLong,
}

/// An asset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asset {
    /// Price today.
    pub spot: f64,
    /// Standard deviation of the price's logarithm after a year.
    pub volatility: f64,
    /// How the expected price grows, a year: interest less dividends where options are priced, an opinion where risk is
    /// measured in the real world.
    pub growth: f64,
}

/// What a position is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Underlying {
    /// An asset by its number, from 0.
    Asset(usize),
    /// A basket by its number, from 0.
    Basket(usize),
}

/// What is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What the underlying is above the strike.
    Call,
    /// What it is below.
    Put,
    /// The difference, whatever its sign.
    Forward,
    /// 1 where it is above.
    Digital,
}

/// A barrier, looked at after each step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Barrier {
    /// Asset whose price is compared.
    pub asset: usize,
    /// Price that touches it.
    pub level: f64,
    /// Touched from above; else from below.
    pub down: bool,
    /// Nothing is paid unless it was touched; else nothing once it was.
    pub knock_in: bool,
}

/// A position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// What it is on.
    pub underlying: Underlying,
    /// What it pays.
    pub kind: Kind,
    /// Strike.
    pub strike: f64,
    /// How many; below 0 for those sold.
    pub quantity: f64,
    /// Whether the average of prices after each step up to the expiry counts, not the last one.
    pub average: bool,
    /// A barrier, where there is one.
    pub barrier: Option<Barrier>,
    /// Years until it is settled; none for the end of the paths.
    pub expiry: Option<f64>,
}

/// A model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Assets, 1 to 16.
    pub assets: Vec<Asset>,
    /// Correlation of the assets' logarithms.
    pub correlation: Vec<Vec<f64>>,
    /// For each basket, the weight of each asset.
    pub baskets: Vec<Vec<f64>>,
    /// Positions, those that expire first in front.
    pub positions: Vec<Position>,
    /// Interest that payoffs are discounted with, a year, compounded all the time.
    pub rate: f64,
    /// Years of a path.
    pub years: f64,
    /// What the portfolio cost: losses are counted from it. None: from the mean.
    pub paid: Option<f64>,
}

/// A job.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Params.
    pub params: Params,
    /// Input 0.
    pub input: Vec<u8>,
}

/// `value` with `bits` fractional bits, where it has a magnitude below `most`.
fn fixed(what: impl Fn() -> String, value: f64, bits: u32, most: f64) -> Result<i64, ImportError> {
    // A number that is none is not below anything.
    if value.abs() < most {
        Ok((value * f64::exp2(bits.into())).round() as i64)
    } else {
        Err(ImportError::Value { what: what(), value })
    }
}

fn count(what: &'static str, got: usize, least: usize, most: usize) -> Result<u8, ImportError> {
    let fits = u8::try_from(got).ok().filter(|_| (least..=most).contains(&got));
    fits.ok_or(ImportError::Count { what, least, most, got })
}

impl Model {
    /// A job of at least so many paths of so many steps, `paths` rounded up to whole cells, which are as large as they can be.
    /// With `sums`, cells also hold the payoffs of each position.
    ///
    /// # Errors
    /// See [`ImportError`].
    pub fn job(&self, steps: u16, paths: u64, seed: u64, sums: bool) -> Result<Job, ImportError> {
        let assets = count("assets", self.assets.len(), 1, MAX_ASSETS)?;
        let baskets = count("baskets", self.baskets.len(), 0, MAX_BASKETS)?;
        let positions = count("positions", self.positions.len(), 1, MAX_POSITIONS)?;
        let step = self.years / f64::from(steps.max(1));
        if !(self.years > 0.0 && self.years.is_finite()) {
            return Err(ImportError::Value { what: "the years of a path".into(), value: self.years });
        }
        if !self.rate.is_finite() {
            return Err(ImportError::Value { what: "the interest".into(), value: self.rate });
        }
        let (settled, quantity_bits) = self.settled(steps)?;
        let mut input = Vec::new();
        for (number, asset) in self.assets.iter().enumerate() {
            let (start, drift) = self.walk(number, asset, step)?;
            input.extend(start.to_le_bytes());
            input.extend(drift.to_le_bytes());
        }
        for (position, (expiry, quantity)) in self.positions.iter().zip(settled) {
            input.extend(bytemuck::bytes_of(&self.position(position, expiry, quantity, quantity_bits)?));
        }
        for (number, (asset, row)) in self.assets.iter().zip(self.root()?).enumerate() {
            // Of the logarithm to base 2.
            let deviation = asset.volatility * step.sqrt() / core::f64::consts::LN_2;
            let reach: f64 = row.iter().map(|share| share.abs() * deviation * MOST_NORMAL).sum();
            let what = || format!("the volatility of a step of asset {number}");
            fixed(what, reach, 0, 120.0)?;
            for share in row {
                let factor = fixed(what, share * deviation, FACTOR_BITS, 7.9)?;
                input.extend((factor as i32).to_le_bytes());
            }
        }
        for (basket, weights) in self.baskets.iter().enumerate() {
            let (got, assets) = (weights.len(), self.assets.len());
            if got != assets {
                return Err(ImportError::Weights { basket, got, assets });
            }
            let what = || format!("the weights of basket {basket} together");
            fixed(what, weights.iter().map(|weight| weight.abs()).sum(), 0, MOST_WEIGHT)?;
            for weight in weights {
                input.extend((fixed(what, *weight, WEIGHT_BITS, MOST_WEIGHT)? as i32).to_le_bytes());
            }
        }
        input.resize(input.len().next_multiple_of(CHUNK_BYTES), 0);
        // At most 28.
        let value_bits = quantity_bits.saturating_add(PRICE_BITS as u8).saturating_sub(16);
        let has_average = self.positions.iter().any(|position| position.average);
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = flag(has_average, AVERAGES) | flag(sums, SUMS) | flag(self.paid.is_some(), REFERENCE);
        let most = f64::exp2(f64::from(62u8.saturating_sub(value_bits)));
        let reference = fixed(|| "what was paid".into(), self.paid.unwrap_or(0.0), value_bits.into(), most)?;
        let base = Params {
            cells: 1,
            first: 0,
            seed,
            steps,
            assets,
            baskets,
            positions,
            paths: 1,
            flags,
            value_bits,
            reference,
        };
        let most = u8::try_from(paths).unwrap_or(u8::MAX).max(1);
        let cell = base.with_most_paths(most).ok_or(ImportError::TooLong)?;
        let cells = paths.div_ceil(u64::from(cell.paths)).max(1);
        let params = OptionRisk::parse(&Params { cells, ..cell }.to_bytes()).map_err(|_| ImportError::TooLong)?;
        Ok(Job { params, input })
    }

    /// Start and drift of an asset.
    fn walk(&self, number: usize, asset: &Asset, step: f64) -> Result<(i64, i64), ImportError> {
        let value =
            |what: &str, value: f64| ImportError::Value { what: format!("the {what} of asset {number}"), value };
        let Asset { spot, volatility, growth } = *asset;
        if spot.is_nan() || spot <= 0.0 {
            return Err(value("price", spot));
        }
        if volatility.is_nan() || volatility < 0.0 {
            return Err(value("volatility", volatility));
        }
        let drift = (growth - volatility * volatility / 2.0) / core::f64::consts::LN_2;
        let room = ROOM * volatility * self.years.sqrt() / core::f64::consts::LN_2;
        let start = spot.log2();
        if start.max(start + drift * self.years) + room >= MOST_LOG {
            return Err(ImportError::PriceRange { asset: number });
        }
        let start = fixed(|| format!("the price of asset {number}"), start, LOG_BITS, 40.0)?;
        let drift = fixed(|| format!("the growth of asset {number}"), drift * step, LOG_BITS, 40.0)?;
        Ok((start, drift))
    }

    /// The steps at which the positions are settled, their discounted quantities, and the fractional bits that those can have.
    fn settled(&self, steps: u16) -> Result<(Vec<(u16, f64)>, u8), ImportError> {
        let step = self.years / f64::from(steps.max(1));
        let mut settled: Vec<(u16, f64)> = Vec::new();
        for (position, of) in self.positions.iter().enumerate() {
            let years = of.expiry.unwrap_or(self.years);
            let at = years / step;
            if !((at - at.round()).abs() < 1e-6 && (1.0..=f64::from(steps)).contains(&at.round())) {
                return Err(ImportError::NotAStep { position, years, step });
            }
            let at = at.round() as u16;
            if settled.last().is_some_and(|(before, _)| *before > at) {
                return Err(ImportError::Order { position });
            }
            let quantity = of.quantity * (-self.rate * step * f64::from(at)).exp();
            if !quantity.is_finite() {
                return Err(ImportError::Value {
                    what: format!("the quantity of position {position}"),
                    value: quantity,
                });
            }
            settled.push((at, quantity));
        }
        let all: f64 = settled.iter().map(|(_, quantity)| quantity.abs()).sum();
        // Half a unit more for each, for they are rounded.
        let fits = |bits: &u8| all * f64::exp2(f64::from(*bits)) < 2_147_483_600.0;
        let bits = (0..=QUANTITY_BITS).rev().find(fits).ok_or(ImportError::Quantities(all))?;
        Ok((settled, bits))
    }

    fn position(&self, of: &Position, expiry: u16, quantity: f64, bits: u8) -> Result<model::Position, ImportError> {
        let position = self.positions.iter().position(|other| core::ptr::eq(other, of)).unwrap_or(0);
        let number = |number: usize, count: usize, before: usize| {
            let number = Some(number).filter(|number| *number < count).and_then(|number| number.checked_add(before));
            number.and_then(|number| u8::try_from(number).ok()).ok_or(ImportError::NoSuch { position })
        };
        let assets = self.assets.len();
        let underlying = match of.underlying {
            Underlying::Asset(asset) => number(asset, assets, 0)?,
            Underlying::Basket(basket) => number(basket, self.baskets.len(), assets)?,
        };
        let kind = match of.kind {
            Kind::Call => CALL,
            Kind::Put => PUT,
            Kind::Forward => FORWARD,
            Kind::Digital => DIGITAL,
        };
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let mut style = flag(of.average, AVERAGE);
        let (mut barrier, mut watched) = (0, 0);
        if let Some(of) = of.barrier {
            let level = |value: f64| ImportError::Value { what: format!("the barrier of position {position}"), value };
            if of.level.is_nan() || of.level <= 0.0 {
                return Err(level(of.level));
            }
            watched = number(of.asset, assets, 0)?;
            barrier =
                fixed(|| format!("the barrier of position {position}"), of.level.log2(), BARRIER_BITS, 100.0)? as i32;
            style |= BARRIER | flag(of.down, DOWN) | flag(of.knock_in, IN);
        }
        let strike =
            fixed(|| format!("the strike of position {position}"), of.strike, PRICE_BITS, f64::exp2(MOST_LOG))?;
        let quantity = (quantity * f64::exp2(bits.into())).round() as i32;
        Ok(model::Position {
            strike: strike.to_le(),
            quantity: quantity.to_le(),
            barrier: barrier.to_le(),
            expiry: expiry.to_le(),
            underlying,
            watched,
            kind,
            style,
            unused: [0; 2],
        })
    }

    /// Cholesky's factor of the correlations, row by row up to the diagonal.
    fn root(&self) -> Result<Vec<Vec<f64>>, ImportError> {
        let count = self.assets.len();
        let is_square = self.correlation.len() == count && self.correlation.iter().all(|row| row.len() == count);
        let entry =
            |i: usize, j: usize| self.correlation.get(i).and_then(|row| row.get(j)).copied().unwrap_or(f64::NAN);
        let is_fine = |i: usize, j: usize| {
            (entry(i, j) - entry(j, i)).abs() < 1e-9 && (i != j || (entry(i, i) - 1.0).abs() < 1e-9)
        };
        if !is_square || !(0..count).all(|i| (0..=i).all(|j| is_fine(i, j))) {
            return Err(ImportError::Correlation);
        }
        let mut root: Vec<Vec<f64>> = Vec::new();
        for i in 0..count {
            let mut row: Vec<f64> = Vec::new();
            for (j, above) in root.iter().enumerate() {
                let known: f64 = row.iter().zip(above).map(|(a, b)| a * b).sum();
                row.push((entry(i, j) - known) / above.last().copied().unwrap_or(f64::NAN));
            }
            let rest = 1.0 - row.iter().map(|share| share * share).sum::<f64>();
            if rest.is_nan() || rest <= 1e-12 {
                return Err(ImportError::Correlation);
            }
            row.push(rest.sqrt());
            root.push(row);
        }
        Ok(root)
    }
}
