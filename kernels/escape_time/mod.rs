//! Kernel 1, `escape_time`: an escape-time fractal (the Mandelbrot set) in Q4.28 fixed point.
//!
//! Params, 36 bytes, little-endian: width u32, height u32, max_iter u32, x0 i64, y0 i64, step i64. Pixel (i, j) stands
//! for c = (x0 + i step, y0 + j step). A cell is a pixel, 4 bytes: the number of iterations z = z^2 + c, from z = 0, after
//! which |z| > 2, at most max_iter, as u16; and the trace, 16 bits of a hash that every iteration has changed, as u16. A
//! leaf is a run of 64 pixels in row-major order. There is no input.
//!
//! Every pixel takes max_iter iterations, whether it has escaped or not, and what an iteration rounds to depends on the
//! hash: no pixel is cheaper than another, and none is known before it was computed. [`Orbit::step`] is all of it.

use crate::abi::{ABI, AbiError, Describe, Geometry, ParamError, Request};
use crate::kernel::{Kernel, Read, answer_without_inputs, uniform_cell};

#[cfg(feature = "std")]
mod accelerated;
#[cfg(feature = "std")]
mod cpu;
#[cfg(feature = "std")]
mod handling;

/// Pixels in a leaf.
pub const PIXELS_PER_LEAF: u32 = 64;
/// Bytes of a pixel.
pub const PIXEL_BYTES: u32 = 4;
/// Most pixels along one side.
pub const MAX_SIDE: u32 = 1 << 16;
/// Most iterations: 123,445 compute units.
pub const MAX_ITER: u32 = 4096;
/// Bytes of the params.
pub const PARAMS_BYTES: usize = 36;
/// Fraction bits of the fixed-point numbers.
pub const FRACTION_BITS: u32 = 28;
/// Coordinates are below this in magnitude: 4.0.
pub const PLANE: i64 = 4 << FRACTION_BITS;
/// |z|^2 = 4 at twice the fraction bits: beyond it a point has escaped.
const ESCAPED: u64 = 4 << (2 * FRACTION_BITS);
/// What the hash is before the first iteration.
const FIRST_HASH: u64 = 0x9e37_79b1_85eb_ca77;
/// What the hash is multiplied with: a prime.
const MULTIPLIER: u64 = 0x9e37_79b1;
/// Shift that brings an x^2 - y^2 to the place where its whole part, and what lies behind the point, are 32 bits each: bit
/// 28, the last that a coordinate keeps, to bit 32.
const SQUARES_UP: u32 = 32 - FRACTION_BITS;
/// The same of an xy, doubled.
const PRODUCT_UP: u32 = SQUARES_UP + 1;

/// The kernel.
#[derive(Clone, Copy, Debug)]
pub struct EscapeTime;

/// An image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Pixels along a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Most iterations, 1 to 4,096.
    pub max_iter: u32,
    /// Real part at the left edge, Q4.28.
    pub x0: i64,
    /// Imaginary part at the first row, Q4.28.
    pub y0: i64,
    /// Distance of neighbouring pixels, Q4.28, at least 1.
    pub step: i64,
}

impl Params {
    /// The params as a job carries them.
    pub fn to_bytes(&self) -> [u8; PARAMS_BYTES] {
        let mut out = [0; PARAMS_BYTES];
        let fields: [&[u8]; 6] = [
            &self.width.to_le_bytes(),
            &self.height.to_le_bytes(),
            &self.max_iter.to_le_bytes(),
            &self.x0.to_le_bytes(),
            &self.y0.to_le_bytes(),
            &self.step.to_le_bytes(),
        ];
        let mut left: &mut [u8] = &mut out;
        for field in fields {
            if let Some((place, rest)) = core::mem::take(&mut left).split_at_mut_checked(field.len()) {
                place.copy_from_slice(field);
                left = rest;
            }
        }
        out
    }

    /// Pixels of the image.
    pub fn pixels(&self) -> u64 {
        // 2^16 times 2^16 at most.
        u64::from(self.width).wrapping_mul(u64::from(self.height))
    }

    /// The point that a pixel stands for; pixels are counted row by row.
    #[inline]
    fn point(&self, pixel: u64) -> (i64, i64) {
        let width = u64::from(self.width);
        let (row, column) = match (pixel.checked_div(width), pixel.checked_rem(width)) {
            (Some(row), Some(column)) => (row as i64, column as i64),
            _ => (0, 0),
        };
        // `parse` has computed the last column and row with checks; these are not farther out.
        (self.x0.wrapping_add(column.wrapping_mul(self.step)), self.y0.wrapping_add(row.wrapping_mul(self.step)))
    }
}

/// What a cell says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pixel {
    /// Iterations after which the orbit has left the circle of radius 2, at most `max_iter`.
    pub count: u16,
    /// Sixteen bits that the whole orbit has gone into.
    pub trace: u16,
}

impl Pixel {
    /// The pixel in these bytes.
    pub fn from_bytes(bytes: [u8; PIXEL_BYTES as usize]) -> Self {
        let [c0, c1, t0, t1] = bytes;
        Self { count: u16::from_le_bytes([c0, c1]), trace: u16::from_le_bytes([t0, t1]) }
    }

    /// Its bytes.
    pub fn to_bytes(self) -> [u8; PIXEL_BYTES as usize] {
        let ([c0, c1], [t0, t1]) = (self.count.to_le_bytes(), self.trace.to_le_bytes());
        [c0, c1, t0, t1]
    }
}

/// A point on its way, and the hash of where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Orbit {
    /// Real part: a number of 32 bits with its sign.
    x: i64,
    /// Imaginary part, likewise.
    y: i64,
    /// 64 bits.
    hash: u64,
}

impl Orbit {
    const START: Self = Self { x: 0, y: 0, hash: FIRST_HASH };

    /// One iteration; returns |z|^2 as it was before, at twice the fraction bits. `cx` and `cy` are c in the high halves.
    ///
    /// x and y are below 2^31 in magnitude, so their products are exact in 64 bits and |z|^2 is, without a sign. What is
    /// added to them is taken modulo 2^64, of which the high half becomes the next coordinate: modulo 2^32, which changes
    /// nothing before the orbit has escaped. The hash's share of what is added is below 1 in the last place of a
    /// coordinate: it decides which way the bits behind that place are rounded.
    #[inline(always)]
    fn step(&mut self, cx: u64, cy: u64) -> u64 {
        let Self { x, y, hash } = *self;
        let (xx, yy, xy) = (x.wrapping_mul(x), y.wrapping_mul(y), x.wrapping_mul(y));
        let square = (xx as u64).wrapping_add(yy as u64);
        let mixed = hash ^ square;
        let dither = mixed >> 32;
        let wide_x = ((xx.wrapping_sub(yy) as u64) << SQUARES_UP).wrapping_add(cx).wrapping_add(dither);
        let wide_y = ((xy as u64) << PRODUCT_UP).wrapping_add(cy).wrapping_add(dither);
        let low = (mixed ^ dither) & 0xffff_ffff;
        *self = Self { x: (wide_x as i64) >> 32, y: (wide_y as i64) >> 32, hash: low.wrapping_mul(MULTIPLIER) };
        square
    }

    /// What the trace is after the last iteration.
    #[inline(always)]
    fn trace(&self) -> u16 {
        ((self.hash >> 48) ^ (self.x as u64) ^ (self.y as u64)) as u16
    }
}

/// The pixel of c = (`cx`, `cy`): always `max_iter` iterations.
#[inline]
pub fn pixel(cx: i64, cy: i64, max_iter: u32) -> Pixel {
    let (cx, cy) = ((cx as u64) << 32, (cy as u64) << 32);
    let mut orbit = Orbit::START;
    // 64 bits wide, or the chain would cut it down to 32 in every round.
    let mut left = u64::from(max_iter);
    let mut count = max_iter;
    while left != 0 {
        let square = orbit.step(cx, cy);
        if square > ESCAPED {
            count = max_iter.wrapping_sub(left as u32);
            left = left.wrapping_sub(1);
            break;
        }
        left = left.wrapping_sub(1);
    }
    while left != 0 {
        orbit.step(cx, cy);
        left = left.wrapping_sub(1);
    }
    // At most MAX_ITER, which fits.
    Pixel { count: count as u16, trace: orbit.trace() }
}

impl Kernel for EscapeTime {
    const ID: u16 = 1;
    const NAME: &'static str = "escape_time";
    type Params = Params;

    fn parse(params: &[u8]) -> Result<Params, ParamError> {
        let bytes: &[u8; PARAMS_BYTES] = params.try_into().map_err(|_| ParamError::Length)?;
        let (words, rest) = bytes.split_at(12);
        let u32_at = |i: usize| match words.as_chunks::<4>().0.get(i) {
            Some(word) => u32::from_le_bytes(*word),
            None => 0,
        };
        let i64_at = |i: usize| match rest.as_chunks::<8>().0.get(i) {
            Some(word) => i64::from_le_bytes(*word),
            None => 0,
        };
        let params = Params {
            width: u32_at(0),
            height: u32_at(1),
            max_iter: u32_at(2),
            x0: i64_at(0),
            y0: i64_at(1),
            step: i64_at(2),
        };
        if params.width == 0 || params.height == 0 || params.max_iter == 0 || params.step == 0 {
            return Err(ParamError::Zero);
        }
        if params.width > MAX_SIDE || params.height > MAX_SIDE || params.max_iter > MAX_ITER {
            return Err(ParamError::TooLarge);
        }
        let in_plane = |first: i64, pixels: u32| {
            let last = i64::from(pixels)
                .checked_sub(1)
                .and_then(|steps| steps.checked_mul(params.step))
                .and_then(|way| first.checked_add(way));
            let inside = |at: i64| -PLANE < at && at < PLANE;
            inside(first) && last.is_some_and(inside)
        };
        if params.step < 0 || !in_plane(params.x0, params.width) || !in_plane(params.y0, params.height) {
            return Err(ParamError::OutOfPlane);
        }
        Ok(params)
    }

    fn describe() -> Describe {
        Describe {
            abi: ABI,
            inputs: 0,
            stages: 1,
            // Every pixel takes as many iterations.
            flags: 0,
            kernel: Self::ID,
            max_cost_classes: 1,
            amplification_bps: 10_000,
            cell_bytes_max: PIXEL_BYTES,
            leaf_bytes_max: PIXEL_BYTES.wrapping_mul(PIXELS_PER_LEAF),
            cell_cu_max: 170_000,
            answer_transactions: answer_transactions(1 << 32),
            reserved: 0,
            evidence_bytes_max: 0,
            name: Describe::pad_name(Self::NAME),
            version: 2,
        }
    }

    fn geometry(params: &Params) -> Result<Geometry, ParamError> {
        let mut geometry = Geometry::uniform(params.pixels(), PIXELS_PER_LEAF, PIXEL_BYTES);
        geometry.answer_transactions = answer_transactions(params.pixels());
        Ok(geometry)
    }

    fn reads(_: &Params, _: u64, _: u32, _: &mut dyn FnMut(Read)) {}

    fn cell(params: &Params, _: &Request, leaf: u64, cell: u32, out: &mut [u8]) -> Result<usize, AbiError> {
        let at = uniform_cell(params.pixels(), PIXELS_PER_LEAF, leaf, cell)?;
        let (cx, cy) = params.point(at);
        let bytes = pixel(cx, cy, params.max_iter).to_bytes();
        out.get_mut(..bytes.len()).ok_or(AbiError::OutputTooSmall)?.copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

/// Transactions that proving a pixel of an image of so many takes.
fn answer_transactions(pixels: u64) -> u16 {
    answer_without_inputs(PIXEL_BYTES.wrapping_mul(PIXELS_PER_LEAF), pixels.div_ceil(u64::from(PIXELS_PER_LEAF)), 1)
}

#[cfg(test)]
mod tests;
