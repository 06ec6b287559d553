//! The kernels' `.cu` files compiled for the host: the tests of this crate run them on CPU threads.
//!
//! Nothing but tests depends on this crate, so whoever uses the kernels compiles no C++.

mod align;
mod mlp;
mod search;

pub use align::{Pairs as AlignPairs, align_pairs};
pub use mlp::{Layer as MlpLayer, mlp_i8_largest, mlp_i8_layer};
pub use search::search;

unsafe extern "C" {
    fn host_escape_time(
        grid: u32,
        block: u32,
        out: *mut u16,
        first: u64,
        count: u32,
        width: u32,
        max_iter: u32,
        x0: i64,
        y0: i64,
        step: i64,
    );
    fn host_gemm_i8(
        grid_x: u32,
        grid_y: u32,
        out: *mut i32,
        a: *const i32,
        b: *const i32,
        row_words: u32,
        k: u32,
        n: u32,
        rows: u32,
        row0: u64,
        first: u64,
        count: u64,
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

/// `count` pixels from pixel `first` on, by escape_time.cu in blocks of 256 threads.
pub fn escape_time(image: Image, first: u64, count: u32) -> Vec<u16> {
    let mut out = vec![0xffff; count as usize];
    let Image { width, max_iter, x0, y0, step } = image;
    // SAFETY: the kernel writes `count` pixels.
    unsafe {
        host_escape_time(count.div_ceil(256), 256, out.as_mut_ptr(), first, count, width, max_iter, x0, y0, step);
    }
    out
}

/// A product as gemm_i8.cu takes it: rows `row0 ..` of A, all rows of B transposed, words of four bytes.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// Rows of A from `row0` on.
    pub a: &'a [i32],
    /// B transposed.
    pub b: &'a [i32],
    /// Words of a padded row.
    pub row_words: u32,
    /// Bytes of a row that count.
    pub k: u32,
    /// Columns of C.
    pub n: u32,
    /// Rows in `a`.
    pub rows: u32,
    /// Row of the job that `a` begins with.
    pub row0: u64,
}

/// The elements `first .. first + count` of C, by gemm_i8.cu in tiles of 64 x 64; `None` when a slice is too short.
pub fn gemm_i8(product: Product, first: u64, count: u64) -> Option<Vec<i32>> {
    let Product { a, b, row_words, k, n, rows, row0 } = product;
    let words = |rows: u32| usize::try_from(u64::from(rows).checked_mul(u64::from(row_words))?).ok();
    if a.len() < words(rows)? || b.len() < words(n)? || k.div_ceil(4) > row_words {
        return None;
    }
    let mut out = vec![i32::MIN; usize::try_from(count).ok()?];
    let (grid_x, grid_y) = (n.div_ceil(64), rows.div_ceil(64));
    // SAFETY: the kernel reads `rows` rows of A and n of B, checked above, and writes at most `count` elements.
    unsafe {
        host_gemm_i8(
            grid_x,
            grid_y,
            out.as_mut_ptr(),
            a.as_ptr(),
            b.as_ptr(),
            row_words,
            k,
            n,
            rows,
            row0,
            first,
            count,
        );
    }
    Some(out)
}
