//! The model, input 0 of a job: assets, positions, factors, weights, one after the other, little-endian, and padding up to
//! whole chunks whose content does not matter. Whatever the bytes are, they are a model.

use bytemuck::{Pod, Zeroable};

use super::Params;

/// Bytes of an asset: start and drift.
pub const ASSET_BYTES: usize = 16;
/// Bytes of a position.
pub const POSITION_BYTES: usize = 24;
/// Words of eight bytes that hold any model.
pub const MODEL_WORDS: usize = 256;
/// Fractional bits of logarithms of prices, to base 2.
pub const LOG_BITS: u32 = 56;
/// Fractional bits of a factor, which is at least -8 and below 8.
pub const FACTOR_BITS: u32 = 28;
/// Fractional bits of a price.
pub const PRICE_BITS: u32 = 20;
/// Fractional bits of a basket's weight.
pub const WEIGHT_BITS: u32 = 16;
/// Fractional bits of a barrier, a logarithm.
pub const BARRIER_BITS: u32 = 24;

/// Kind: what the underlying is above the strike, or nothing.
pub const CALL: u8 = 0;
/// Kind: what the underlying is below the strike, or nothing.
pub const PUT: u8 = 1;
/// Kind: the underlying less the strike.
pub const FORWARD: u8 = 2;
/// Kind: 1 where the underlying is above the strike.
pub const DIGITAL: u8 = 3;
/// Style: settled by averages over the steps so far, not by the last prices.
pub const AVERAGE: u8 = 1;
/// Style: there is a barrier.
pub const BARRIER: u8 = 2;
/// Style: the barrier is touched from above, not from below.
pub const DOWN: u8 = 4;
/// Style: nothing is paid unless the barrier was touched; else nothing is paid once it was.
pub const IN: u8 = 8;

/// An asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Asset {
    /// Logarithm of the price at first, [`LOG_BITS`].
    pub start: i64,
    /// What each step adds to it, likewise.
    pub drift: i64,
}

/// A position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Position {
    /// Strike, [`PRICE_BITS`].
    pub strike: i64,
    /// Quantity times discount; a value is payoff times quantity over 2^16.
    pub quantity: i32,
    /// Logarithm of the barrier, [`BARRIER_BITS`].
    pub barrier: i32,
    /// Step at which it is settled, from 1.
    pub expiry: u16,
    /// Number of an asset or, from the number of assets on, of a basket.
    pub underlying: u8,
    /// Asset that is compared with the barrier.
    pub watched: u8,
    /// [`CALL`] and the others, modulo 4.
    pub kind: u8,
    /// [`AVERAGE`] and the others.
    pub style: u8,
    /// What these bytes hold does not matter.
    pub unused: [u8; 2],
}

/// A model in place. Its numbers are little-endian in memory: read them with `from_le`.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    /// Assets.
    pub assets: &'a [Asset],
    /// Positions, in the order in which they are settled.
    pub positions: &'a [Position],
    /// Lower triangle, row by row: what the normal variates of a step weigh in the logarithm of each asset's price.
    pub factors: &'a [i32],
    /// Weights of all assets in each basket.
    pub weights: &'a [i32],
}

impl<'a> Model<'a> {
    /// The model in these words.
    pub fn new(params: &Params, words: &'a [u64; MODEL_WORDS]) -> Self {
        let bytes: &[u8] = bytemuck::cast_slice(words);
        let count = |of: u8, size: usize| usize::from(of).wrapping_mul(size);
        let (assets, rest) = split(bytes, count(params.assets, ASSET_BYTES));
        let (positions, rest) = split(rest, count(params.positions, POSITION_BYTES));
        let (factors, rest) = split(rest, params.factors().wrapping_mul(4));
        let (weights, _) = split(rest, count(params.baskets, 4).wrapping_mul(usize::from(params.assets)));
        Self {
            assets: bytemuck::cast_slice(assets),
            positions: bytemuck::cast_slice(positions),
            factors: bytemuck::cast_slice(factors),
            weights: bytemuck::cast_slice(weights),
        }
    }
}

/// Everything fits: [`Params::model_bytes`] is at most 1,824.
fn split(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    bytes.split_at_checked(at).unwrap_or((&[], bytes))
}

/// The words of an input.
#[cfg(feature = "std")]
pub fn words(input: &[u8]) -> [u64; MODEL_WORDS] {
    let mut words = [0; MODEL_WORDS];
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    for (to, from) in bytes.iter_mut().zip(input) {
        *to = *from;
    }
    words
}
