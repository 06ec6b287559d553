//! Kernel 1, `escape_time`: an escape-time fractal (the Mandelbrot set) in Q4.28 fixed point.
//!
//! Params, 36 bytes, little-endian: width u32, height u32, max_iter u32, x0 i64, y0 i64, step i64. Pixel (i, j) stands
//! for c = (x0 + i step, y0 + j step). A cell is a pixel: the number of iterations z = z^2 + c, from z = 0, after
//! which |z| > 2, at most max_iter, as u16. A leaf is a run of 128 pixels in row-major order. There is no input.

use crate::abi::{ABI, AbiError, Describe, FLAG_COST_DEPENDS_ON_DATA, Geometry, ParamError, Request};
use crate::kernel::{Kernel, Read, uniform_cell};

#[cfg(feature = "std")]
mod accelerated;
#[cfg(feature = "std")]
mod cpu;
#[cfg(feature = "std")]
mod handling;

/// Pixels in a leaf.
pub const PIXELS_PER_LEAF: u32 = 128;
/// Bytes of a pixel.
pub const PIXEL_BYTES: u32 = 2;
/// Most pixels along one side.
pub const MAX_SIDE: u32 = 1 << 16;
/// Most iterations: about 83,000 compute units.
pub const MAX_ITER: u32 = 4096;
/// Bytes of the params.
pub const PARAMS_BYTES: usize = 36;
/// Fraction bits of the fixed-point numbers.
pub const FRACTION_BITS: u32 = 28;
/// Coordinates are below this in magnitude: 4.0.
pub const PLANE: i64 = 4 << FRACTION_BITS;
/// |z|^2 = 4 at twice the fraction bits: beyond it a point has escaped.
const ESCAPED: i64 = 4 << (2 * FRACTION_BITS);

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

/// Iterations after which the orbit of c = (`cx`, `cy`) has left the circle of radius 2, at most `max_iter`.
///
/// Exact for |cx|, |cy| < 4.0, where nothing overflows: inside the circle x^2 + y^2 <= 4, so x^2 - y^2 and 2xy are
/// at most 4.0 in magnitude, the next x and y below 8.0, and their squares below 2^62.
#[inline]
pub fn escape(cx: i64, cy: i64, max_iter: u32) -> u32 {
    let (mut x, mut y) = (0i64, 0i64);
    // 64 bits wide, or the chain would cut it down to 32 in every round.
    let mut left = u64::from(max_iter);
    while left != 0 {
        let xx = x.wrapping_mul(x);
        let yy = y.wrapping_mul(y);
        if xx.wrapping_add(yy) > ESCAPED {
            return max_iter.wrapping_sub(left as u32);
        }
        let xy = x.wrapping_mul(y);
        x = (xx.wrapping_sub(yy) >> FRACTION_BITS).wrapping_add(cx);
        y = (xy >> (FRACTION_BITS - 1)).wrapping_add(cy);
        left = left.wrapping_sub(1);
    }
    max_iter
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
            // Pixels inside the set take all iterations, others few; which is which is known only by computing them.
            flags: FLAG_COST_DEPENDS_ON_DATA,
            kernel: Self::ID,
            max_cost_classes: 1,
            amplification_bps: 10_000,
            cell_bytes_max: PIXEL_BYTES,
            leaf_bytes_max: PIXEL_BYTES.wrapping_mul(PIXELS_PER_LEAF),
            cell_cu_max: 150_000,
            answer_transactions: 1,
            reserved: 0,
            evidence_bytes_max: 0,
            name: Describe::pad_name(Self::NAME),
            version: 1,
        }
    }

    fn geometry(params: &Params) -> Result<Geometry, ParamError> {
        Ok(Geometry::uniform(params.pixels(), PIXELS_PER_LEAF, PIXEL_BYTES))
    }

    fn reads(_: &Params, _: u64, _: u32, _: &mut dyn FnMut(Read)) {}

    fn cell(params: &Params, _: &Request, leaf: u64, cell: u32, out: &mut [u8]) -> Result<usize, AbiError> {
        let pixel = uniform_cell(params.pixels(), PIXELS_PER_LEAF, leaf, cell)?;
        let (cx, cy) = params.point(pixel);
        // At most MAX_ITER, which fits.
        let count = (escape(cx, cy, params.max_iter) as u16).to_le_bytes();
        out.get_mut(..count.len()).ok_or(AbiError::OutputTooSmall)?.copy_from_slice(&count);
        Ok(count.len())
    }
}

#[cfg(test)]
mod tests;
