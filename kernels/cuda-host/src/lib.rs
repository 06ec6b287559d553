//! The kernels' `.cu` files compiled for the host: the tests of this crate run them on CPU threads.
//!
//! Nothing but tests depends on this crate, so whoever uses the kernels compiles no C++.

mod align;
mod gemm;
mod merkle;
mod mlp;
mod risk;
mod search;

pub use align::{Pairs as AlignPairs, align_pairs};
pub use gemm::GemmMachine;
pub use merkle::{merkle_leaves, merkle_nodes};
pub use mlp::{Layer as MlpLayer, mlp_i8_largest, mlp_i8_layer, mlp_i8_rows};
pub use risk::option_risk;
pub use search::search;

unsafe extern "C" {
    fn host_escape_time(
        grid: u32,
        block: u32,
        out: *mut u32,
        first: u64,
        count: u32,
        width: u32,
        max_iter: u32,
        x0: i64,
        y0: i64,
        step: i64,
    );
}

/// Image params as the `.cu` takes them.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    /// Pixels along a row.
    pub width: u32,
    /// Most iterations.
    pub max_iter: u32,
    /// Left edge, Q4.28.
    pub x0: i64,
    /// First row, Q4.28.
    pub y0: i64,
    /// Distance of pixels, Q4.28.
    pub step: i64,
}

/// `count` pixels from pixel `first` on, by escape_time.cu in blocks of 256 threads: the count in the lower half, the trace in
/// the upper.
pub fn escape_time(image: Image, first: u64, count: u32) -> Vec<u32> {
    let mut out = vec![0xffff_ffff; count as usize];
    let Image { width, max_iter, x0, y0, step } = image;
    // SAFETY: the kernel writes `count` pixels.
    unsafe {
        host_escape_time(count.div_ceil(256), 256, out.as_mut_ptr(), first, count, width, max_iter, x0, y0, step);
    }
    out
}
