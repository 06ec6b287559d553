//! `escape_time` on all cores and on a graphics card.

use core::ops::Range;

use rayon::prelude::*;

use super::{EscapeTime, PIXEL_BYTES, PIXELS_PER_LEAF, Params, cpu};
use crate::executor::{Accelerated, CudaSource, ExecError, Gpu, Inputs};
use crate::kernel::Kernel;

/// Bytes of a full leaf.
const LEAF_BYTES: usize = PIXELS_PER_LEAF as usize * PIXEL_BYTES as usize;
/// Pixels of one launch: at most 2^33 iterations, some tens of milliseconds on a small card.
const LAUNCH_PIXELS: u64 = 1 << 21;
/// Bytes of results of one launch.
const LAUNCH_BYTES: usize = LAUNCH_PIXELS as usize * PIXEL_BYTES as usize;
// Tiles are whole leaves: then the card hashes them.
const _: () = assert!(LAUNCH_BYTES.is_multiple_of(LEAF_BYTES));
/// Threads of a block.
const BLOCK: u32 = 256;

/// Pixels of `leaves` in a job with these params.
fn pixels(params: &Params, leaves: &Range<u64>) -> Range<u64> {
    let before = |leaf: u64| leaf.saturating_mul(u64::from(PIXELS_PER_LEAF)).min(params.pixels());
    before(leaves.start)..before(leaves.end)
}

impl Accelerated for EscapeTime {
    fn cuda_source(&self) -> CudaSource {
        CudaSource {
            kernel: Self::ID,
            name: Self::NAME,
            functions: &["escape_time"],
            cu: include_str!("escape_time.cu"),
            ptx: include_str!("escape_time.ptx"),
        }
    }

    fn cpu(&self, params: &[u8], _: &Inputs, leaves: Range<u64>, out: &mut [u8]) -> Result<(), ExecError> {
        let params = Self::parse(params)?;
        let first = pixels(&params, &leaves).start;
        let way = cpu::best();
        out.par_chunks_mut(LEAF_BYTES).enumerate().for_each(|(leaf, bytes)| {
            let mut pixel = first.saturating_add((leaf as u64).saturating_mul(u64::from(PIXELS_PER_LEAF)));
            for group in bytes.as_chunks_mut::<{ PIXEL_BYTES as usize }>().0.chunks_mut(cpu::LANES) {
                // A short group repeats its first point.
                let mut points = [params.point(pixel); cpu::LANES];
                for (point, pixel) in points.iter_mut().zip(pixel..).take(group.len()) {
                    *point = params.point(pixel);
                }
                for (place, pixel) in group.iter_mut().zip(way.pixels(&points, params.max_iter)) {
                    *place = pixel.to_bytes();
                }
                pixel = pixel.saturating_add(cpu::LANES as u64);
            }
        });
        Ok(())
    }

    fn cuda(&self, gpu: &Gpu, params: &[u8], _: &Inputs, leaves: Range<u64>, out: &mut [u8]) -> Result<(), ExecError> {
        let params = Self::parse(params)?;
        let function = gpu.function(Self::ID, "escape_time")?;
        let pixels = pixels(&params, &leaves);
        let mut tiles = gpu.tiles(out, LAUNCH_BYTES)?;
        while let Some(tile) = tiles.upcoming() {
            let before = |byte: usize| byte.checked_div(PIXEL_BYTES as usize).unwrap_or(0) as u64;
            let first = pixels.start.saturating_add(before(tile.start));
            let count = before(tile.len()) as u32;
            let mut launch = gpu.launch(&function);
            launch
                .bytes_mut(tiles.buffer()?)
                .value(&first)
                .value(&count)
                .value(&params.width)
                .value(&params.max_iter)
                .value(&params.x0)
                .value(&params.y0)
                .value(&params.step);
            // SAFETY: the arguments are those of escape_time.cu in order and type; it writes the first `count`
            // pixels of the buffer, which holds at least that many.
            unsafe { launch.run((count.div_ceil(BLOCK), 1), (BLOCK, 1)) }?;
            tiles.emit()?;
        }
        tiles.finish()
    }
}
