//! One path, as the specification says it: the reference.

use super::model::{AVERAGE, BARRIER, CALL, DIGITAL, DOWN, FORWARD, IN, Model, PRICE_BITS, PUT, Position};
use super::params::{AVERAGES, MAX_ASSETS, MAX_POSITIONS};
use super::random::{normal, philox, price};
use super::{Params, WEIGHT_BITS};

/// Factor of the digest, odd.
pub const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// Carries a digest on by a word: every word makes another digest, whatever the others are.
#[inline(always)]
pub fn mix(digest: u64, word: u64) -> u64 {
    let digest = (digest ^ word).wrapping_mul(MIX);
    digest ^ (digest >> 32)
}

/// The normal variates of a path, one after the other.
struct Normals {
    path: [u32; 2],
    key: [u32; 2],
    block: u32,
    words: [u32; 4],
    used: usize,
}

impl Normals {
    #[inline(always)]
    fn new(seed: u64, path: u64) -> Self {
        let halves = |word: u64| [word as u32, (word >> 32) as u32];
        Self { path: halves(path), key: halves(seed), block: 0, words: [0; 4], used: 4 }
    }

    #[inline(always)]
    fn next(&mut self) -> i64 {
        if self.used >= 4 {
            self.words = philox([self.path[0], self.path[1], self.block, 0], self.key);
            self.block = self.block.wrapping_add(1);
            self.used = 0;
        }
        let word = self.words.get(self.used).copied().unwrap_or(0);
        self.used = self.used.wrapping_add(1);
        normal(word)
    }
}

/// What an asset has come to.
#[derive(Clone, Copy)]
struct Asset {
    /// Logarithm of its price, 56 fractional bits.
    log: i64,
    /// The same, 24 fractional bits, rounded: a number of 32 bits, but in a register of 64, as on chain each narrowing
    /// costs two units.
    rounded: i64,
    /// The most that was.
    high: i64,
    /// The least.
    low: i64,
    /// Price after this step, where it is asked for.
    price: i64,
    /// Sum of prices so far, where averages are kept.
    sum: i64,
}

/// Value of the portfolio and digest of path `number`; each position's payoff is added to `sums`.
// A frame of its own, for its numbers take half of what a function has on chain.
#[inline(never)]
pub fn path(params: &Params, model: &Model, number: u64, sums: &mut [i64; MAX_POSITIONS]) -> (i64, u64) {
    let mut normals = Normals::new(params.seed, number);
    let none = Asset { log: 0, rounded: 0, high: i64::from(i32::MIN), low: i64::from(i32::MAX), price: 0, sum: 0 };
    let mut all = [none; MAX_ASSETS];
    let assets = all.get_mut(..model.assets.len()).unwrap_or_default();
    for (asset, from) in assets.iter_mut().zip(model.assets) {
        asset.log = i64::from_le(from.start);
    }
    let mut drawn = [0i64; MAX_ASSETS];
    let mut value = 0i64;
    let mut left = model.positions;
    let mut totals = sums.iter_mut();
    for step in 1..=params.steps {
        for variate in drawn.iter_mut().take(assets.len()) {
            *variate = normals.next();
        }
        let mut factors = model.factors;
        let mut row = 0usize;
        for (asset, from) in assets.iter_mut().zip(model.assets) {
            row = row.wrapping_add(1);
            let (own, rest) = factors.split_at_checked(row).unwrap_or_default();
            factors = rest;
            let mut log = asset.log.wrapping_add(i64::from_le(from.drift));
            for (factor, variate) in own.iter().zip(&drawn) {
                log = log.wrapping_add(i64::from(i32::from_le(*factor)).wrapping_mul(*variate));
            }
            asset.log = log;
            asset.rounded = log.wrapping_add(1 << 31) >> 32;
            asset.high = asset.high.max(asset.rounded);
            asset.low = asset.low.min(asset.rounded);
        }
        let due = |left: &[Position]| {
            left.first().is_some_and(|next| u16::from_le(next.expiry) <= step || step == params.steps)
        };
        if params.has(AVERAGES) || due(left) {
            for asset in assets.iter_mut() {
                asset.price = price(asset.rounded);
                if params.has(AVERAGES) {
                    asset.sum = asset.sum.wrapping_add(asset.price);
                }
            }
        }
        while due(left) {
            let Some((position, rest)) = left.split_first() else { break };
            left = rest;
            let payoff = payoff(model, assets, position, step);
            if let Some(total) = totals.next() {
                *total = total.wrapping_add(payoff);
            }
            value = value.wrapping_add(times(payoff, i32::from_le(position.quantity)));
        }
    }
    let mut digest = number;
    for asset in assets.iter() {
        let extremes = u64::from(asset.high as u32) << 32 | u64::from(asset.low as u32);
        digest = mix(mix(mix(digest, asset.log as u64), asset.sum as u64), extremes);
    }
    (value, digest)
}

/// The payoff times the quantity over 2^16, rounded down.
#[inline(always)]
fn times(payoff: i64, quantity: i32) -> i64 {
    let quantity = i64::from(quantity);
    let whole = (payoff >> 16).wrapping_mul(quantity);
    whole.wrapping_add((payoff & 0xffff).wrapping_mul(quantity) >> 16)
}

/// What a position pays after `step`, 20 fractional bits.
#[inline(never)]
fn payoff(model: &Model, assets: &[Asset], position: &Position, step: u16) -> i64 {
    if position.style & BARRIER != 0 {
        let barrier = i64::from(i32::from_le(position.barrier));
        let touched = assets
            .get(usize::from(position.watched))
            .is_some_and(|asset| if position.style & DOWN != 0 { asset.low <= barrier } else { asset.high >= barrier });
        if touched != (position.style & IN != 0) {
            return 0;
        }
    }
    let average = position.style & AVERAGE != 0;
    let reached = |asset: &Asset| {
        // Sums are of at most 4,096 prices below 2^40, and not negative.
        if average { (asset.sum as u64).checked_div(u64::from(step)).unwrap_or(0) as i64 } else { asset.price }
    };
    let number = usize::from(position.underlying);
    let underlying = match number.checked_sub(assets.len()) {
        None => assets.get(number).map_or(0, reached),
        Some(basket) => {
            let weights = model.weights.chunks_exact(assets.len().max(1)).nth(basket).unwrap_or_default();
            let parts = weights.iter().zip(assets);
            let sum = parts.fold(0i64, |sum, (weight, asset)| {
                sum.wrapping_add(i64::from(i32::from_le(*weight)).wrapping_mul(reached(asset)))
            });
            sum >> WEIGHT_BITS
        }
    };
    let above = underlying.wrapping_sub(i64::from_le(position.strike));
    match position.kind & 3 {
        CALL => above.max(0),
        PUT => above.wrapping_neg().max(0),
        FORWARD => above,
        DIGITAL => i64::from(above > 0) << PRICE_BITS,
        _ => 0,
    }
}
