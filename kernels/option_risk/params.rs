//! The params of a job: little-endian, 40 bytes.
//!
//! | byte | field | |
//! | --- | --- | --- |
//! | 0 | cells u64 | cells of the job, 1 to 2^40 |
//! | 8 | first u64 | number of the first path |
//! | 16 | seed u64 | key of the random numbers |
//! | 24 | steps u16 | steps of a path, 1 to 4,096 |
//! | 26 | assets u8 | 1 to 16 |
//! | 27 | baskets u8 | 0 to 4 |
//! | 28 | positions u8 | 1 to 32 |
//! | 29 | paths u8 | paths of a cell, 1 to 64 |
//! | 30 | flags u8 | [`AVERAGES`], [`SUMS`], [`REFERENCE`] |
//! | 31 | value_bits u8 | fractional bits of a value, at most 48; for whoever reads the result |
//! | 32 | reference i64 | value that losses are counted from; likewise, 0 without [`REFERENCE`] |

use crate::abi::ParamError;
use crate::merkle::CHUNK_BYTES;

use super::model::{ASSET_BYTES, POSITION_BYTES};

/// Flag: averages of prices over the steps are kept, for positions that are settled by them.
pub const AVERAGES: u8 = 1;
/// Flag: a cell also holds, for each position, the sum of its payoffs.
pub const SUMS: u8 = 2;
/// Flag: losses are counted from `reference`, not from the mean.
pub const REFERENCE: u8 = 4;
/// Most cells of a job.
pub const MAX_CELLS: u64 = 1 << 40;
/// Most steps of a path.
pub const MAX_STEPS: u16 = 4_096;
/// Most assets.
pub const MAX_ASSETS: usize = 16;
/// Most baskets.
pub const MAX_BASKETS: usize = 4;
/// Most positions.
pub const MAX_POSITIONS: usize = 32;
/// Most paths of a cell.
pub const MAX_PATHS: u8 = 64;
/// Most fractional bits of a value.
pub const MAX_VALUE_BITS: u8 = 48;
/// Most that a cell may cost by [`Params::units`].
pub const MAX_UNITS: u64 = 300_000;
/// Bytes of the params.
pub const PARAMS_BYTES: usize = 40;
/// Bytes that leaves have at most, unless a single cell has more.
const LEAF_BYTES: u32 = 512;

/// Compute units that parts of a cell cost on chain, some hundredths more than what was measured: docs/kernels/option_risk.md.
/// The cell's own are for a request full of openings that nobody needs.
mod units {
    pub const CELL: u64 = 41_000;
    pub const PATH: u64 = 260;
    pub const PATH_ASSET: u64 = 60;
    pub const STEP: u64 = 70;
    pub const STEP_ASSET: u64 = 20;
    pub const BLOCK: u64 = 205;
    pub const NORMAL: u64 = 74;
    pub const FACTOR: u64 = 14;
    pub const PRICE: u64 = 49;
    pub const POSITION: u64 = 110;
    pub const WEIGHT: u64 = 16;
}

/// What a job is made of, besides the model in its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Cells, each of `paths` paths.
    pub cells: u64,
    /// Number of the first path.
    pub first: u64,
    /// Key of the random numbers.
    pub seed: u64,
    /// Steps of a path.
    pub steps: u16,
    /// Assets, 1 to [`MAX_ASSETS`].
    pub assets: u8,
    /// Baskets of assets, at most [`MAX_BASKETS`].
    pub baskets: u8,
    /// Positions, 1 to [`MAX_POSITIONS`].
    pub positions: u8,
    /// Paths of a cell, 1 to [`MAX_PATHS`].
    pub paths: u8,
    /// Flags.
    pub flags: u8,
    /// Fractional bits of a value.
    pub value_bits: u8,
    /// Value that losses are counted from.
    pub reference: i64,
}

impl Params {
    /// The params as a job carries them.
    pub fn to_bytes(&self) -> [u8; PARAMS_BYTES] {
        let mut out = [0; PARAMS_BYTES];
        let [s0, s1] = self.steps.to_le_bytes();
        let small = [s0, s1, self.assets, self.baskets, self.positions, self.paths, self.flags, self.value_bits];
        let words = [self.cells.to_le_bytes(), self.first.to_le_bytes(), self.seed.to_le_bytes(), small];
        for (to, from) in out.as_chunks_mut().0.iter_mut().zip(words.into_iter().chain([self.reference.to_le_bytes()]))
        {
            *to = from;
        }
        out
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, ParamError> {
        let bytes: &[u8; PARAMS_BYTES] = bytes.try_into().map_err(|_| ParamError::Length)?;
        let ([cells, first, seed, small, reference], []) = bytes.as_chunks::<8>() else {
            return Err(ParamError::Length);
        };
        let [s0, s1, assets, baskets, positions, paths, flags, value_bits] = *small;
        let params = Self {
            cells: u64::from_le_bytes(*cells),
            first: u64::from_le_bytes(*first),
            seed: u64::from_le_bytes(*seed),
            steps: u16::from_le_bytes([s0, s1]),
            assets,
            baskets,
            positions,
            paths,
            flags,
            value_bits,
            reference: i64::from_le_bytes(*reference),
        };
        params.check().map(|()| params)
    }

    fn check(&self) -> Result<(), ParamError> {
        if self.cells == 0 || self.steps == 0 || self.assets == 0 || self.positions == 0 || self.paths == 0 {
            return Err(ParamError::Zero);
        }
        let too_large = self.cells > MAX_CELLS
            || self.steps > MAX_STEPS
            || usize::from(self.assets) > MAX_ASSETS
            || usize::from(self.baskets) > MAX_BASKETS
            || usize::from(self.positions) > MAX_POSITIONS
            || self.paths > MAX_PATHS
            || self.flags & !(AVERAGES | SUMS | REFERENCE) != 0
            || self.value_bits > MAX_VALUE_BITS
            || (!self.has(REFERENCE) && self.reference != 0)
            || self.units() > MAX_UNITS
            || self.first.checked_add(self.all_paths()).is_none();
        if too_large { Err(ParamError::TooLarge) } else { Ok(()) }
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Paths of the job.
    pub fn all_paths(&self) -> u64 {
        // 2^40 times 64 at most.
        self.cells.saturating_mul(u64::from(self.paths))
    }

    /// Number of the first path of a cell; exact for those that are in the job.
    pub fn first_path(&self, cell: u64) -> u64 {
        self.first.wrapping_add(cell.wrapping_mul(u64::from(self.paths)))
    }

    /// Words of eight bytes of a cell: the digest, a value for each path, and perhaps a sum for each position.
    pub fn cell_words(&self) -> u32 {
        let sums = if self.has(SUMS) { u32::from(self.positions) } else { 0 };
        sums.wrapping_add(u32::from(self.paths)).wrapping_add(1)
    }

    /// Bytes of a cell, at most 776.
    pub fn cell_bytes(&self) -> u32 {
        self.cell_words().wrapping_mul(8)
    }

    /// Cells of a leaf.
    pub fn cells_per_leaf(&self) -> u32 {
        LEAF_BYTES.checked_div(self.cell_bytes()).unwrap_or(0).max(1)
    }

    /// Numbers in the lower triangle of the factors.
    pub fn factors(&self) -> usize {
        let assets = usize::from(self.assets);
        // 16 times 17 at most.
        assets.wrapping_mul(assets.wrapping_add(1)) / 2
    }

    /// Bytes of the model without padding, at most 1,824.
    pub fn model_bytes(&self) -> usize {
        let weights = usize::from(self.baskets).wrapping_mul(usize::from(self.assets));
        let numbers = self.factors().wrapping_add(weights).wrapping_mul(4);
        let assets = usize::from(self.assets).wrapping_mul(ASSET_BYTES);
        let positions = usize::from(self.positions).wrapping_mul(POSITION_BYTES);
        numbers.wrapping_add(assets).wrapping_add(positions)
    }

    /// Chunks of the input, 1 or 2.
    pub fn model_chunks(&self) -> u64 {
        self.model_bytes().div_ceil(CHUNK_BYTES) as u64
    }

    /// Compute units that a cell costs on chain at most, as the kernel counts them: what its parts cost, times how often
    /// they occur.
    pub fn units(&self) -> u64 {
        self.path_units().saturating_mul(u64::from(self.paths)).saturating_add(units::CELL)
    }

    /// As many paths as a cell can have, at most `most`; none where already one path is too long.
    pub fn with_most_paths(mut self, most: u8) -> Option<Self> {
        let fit = MAX_UNITS.saturating_sub(units::CELL).checked_div(self.path_units())?;
        self.paths = u8::try_from(fit.min(u64::from(most.min(MAX_PATHS)))).ok().filter(|paths| *paths > 0)?;
        Some(self)
    }

    /// The part of it that each path takes.
    pub(super) fn path_units(&self) -> u64 {
        let (steps, assets) = (u64::from(self.steps), u64::from(self.assets));
        let (positions, factors) = (u64::from(self.positions), self.factors() as u64);
        // 65,536 normals at most, so nothing here comes near 2^64.
        let times = |unit: u64, count: u64| unit.wrapping_mul(count);
        let normals = times(steps, assets);
        let priced = if self.has(AVERAGES) { steps } else { steps.min(positions) };
        let weights = if self.baskets > 0 { times(positions, assets) } else { 0 };
        [
            units::PATH,
            times(units::PATH_ASSET, assets),
            times(units::STEP, steps),
            times(units::STEP_ASSET.wrapping_add(units::NORMAL), normals),
            times(units::BLOCK, normals.div_ceil(4)),
            times(units::FACTOR, times(steps, factors)),
            times(units::PRICE, times(priced, assets)),
            times(units::POSITION, positions),
            times(units::WEIGHT, weights),
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}
