//! The dot product of int8 vectors in 64-bit words: about 6 compute units per multiply-add on chain, where a plain
//! loop takes 16. The same code runs everywhere, so the tests on the host are about what runs on chain.
//!
//! Eight bytes of each side are taken at once, offset by 128 to be unsigned. With b's bytes reversed, the product of
//! (a0 + a4 2^32) and (b4 + b0 2^32) has a0 b0 + a4 b4 in its upper half, so four multiplications do eight elements.
//! From sum (a + 128)(b + 128) the sum of a b follows by the sums of both sides.
// Every sum in this file is bounded beside it. The inner loop wraps in name only: checks would double its cost.
#![allow(clippy::arithmetic_side_effects)]

/// Words of a block whose sums fit their lanes: 128 elements.
const BLOCK_WORDS: usize = 16;
/// Words copied to aligned memory at a time: one chunk.
const BUFFER_WORDS: usize = 128;
const BUFFER_BYTES: usize = BUFFER_WORDS * 8;
const BLOCK_BYTES: usize = BLOCK_WORDS * 8;

/// Two bytes of a word, 32 bits apart.
const PAIR: u64 = 0x0000_00ff_0000_00ff;
/// Adds 128 to every byte, modulo 256.
const OFFSET: u64 = 0x8080_8080_8080_8080;

/// A dot product under way, with aligned memory for a piece of each side.
pub struct Dot {
    a: [u64; BUFFER_WORDS],
    b: [u64; BUFFER_WORDS],
    sum: i64,
}

impl Dot {
    /// The empty sum.
    pub fn new() -> Self {
        Self { a: [0; BUFFER_WORDS], b: [0; BUFFER_WORDS], sum: 0 }
    }

    /// Adds the products of elements at the same place; the longer side's rest does not count.
    pub fn add(&mut self, a: &[u8], b: &[u8]) {
        for (a, b) in a.chunks(BUFFER_BYTES).zip(b.chunks(BUFFER_BYTES)) {
            let words = load(&mut self.a, a, b.len()).min(load(&mut self.b, b, a.len()));
            let blocks = self.a.as_chunks::<BLOCK_WORDS>().0.iter().zip(self.b.as_chunks::<BLOCK_WORDS>().0);
            for (a, b) in blocks.take(words / BLOCK_WORDS) {
                // At most 128 times 2^14 in magnitude each, and at most 2^40 blocks could ever be read.
                self.sum += block(a, b);
            }
        }
    }

    /// The sum modulo 2^32; exact up to 131,071 elements.
    pub fn sum(&self) -> i32 {
        self.sum as i32
    }
}

/// Copies the first `limit` bytes of `from` to the front of `to`, zeros up to a whole block behind them, and returns
/// the words of those blocks. A zero on both sides adds nothing.
#[inline]
fn load(to: &mut [u64; BUFFER_WORDS], from: &[u8], limit: usize) -> usize {
    let from = from.get(..limit).unwrap_or(from);
    let whole = from.len().div_ceil(BLOCK_BYTES) * BLOCK_BYTES;
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(to);
    let Some((front, padding)) = bytes.get_mut(..whole).and_then(|bytes| bytes.split_at_mut_checked(from.len())) else {
        return 0;
    };
    copy(front, from);
    padding.fill(0);
    whole / 8
}

/// The system call copies 1 KiB for 10 compute units; the compiler's own copy takes one per byte or word.
#[cfg(target_os = "solana")]
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    let len = to.len().min(from.len());
    // SAFETY: both are valid for `len` bytes, and a unique reference does not overlap a shared one.
    unsafe { solana_define_syscall::definitions::sol_memcpy_(to.as_mut_ptr(), from.as_ptr(), len as u64) }
}

#[cfg(not(target_os = "solana"))]
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    to.copy_from_slice(from);
}

/// Dot product of 128 elements.
#[inline]
fn block(a: &[u64; BLOCK_WORDS], b: &[u64; BLOCK_WORDS]) -> i64 {
    let (mut products, mut sums) = (0u64, 0u64);
    for (a, b) in a.iter().zip(b) {
        let (x, y) = (a ^ OFFSET, (b ^ OFFSET).swap_bytes());
        let (x0, x1, x2, x3) = (x & PAIR, x >> 8 & PAIR, x >> 16 & PAIR, x >> 24 & PAIR);
        let (y0, y1, y2, y3) = (y >> 24 & PAIR, y >> 16 & PAIR, y >> 8 & PAIR, y & PAIR);
        // Each half grows by at most 8 * 255 a word: 32,640 in all.
        sums = sums.wrapping_add(x0).wrapping_add(x1).wrapping_add(x2).wrapping_add(x3);
        sums = sums.wrapping_add(y0).wrapping_add(y1).wrapping_add(y2).wrapping_add(y3);
        // Each half grows by at most 2 * 255^2 a product, 64 products: below 2^24, so the lower never carries over.
        products = products.wrapping_add(x0.wrapping_mul(y0)).wrapping_add(x1.wrapping_mul(y1));
        products = products.wrapping_add(x2.wrapping_mul(y2)).wrapping_add(x3.wrapping_mul(y3));
    }
    let both = (sums >> 32) + (sums & 0xffff_ffff);
    (products >> 32) as i64 - 128 * both as i64 + 128 * 128 * (BLOCK_BYTES as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(a: &[u8], b: &[u8]) -> i32 {
        a.iter().zip(b).map(|(a, b)| i32::from(*a as i8) * i32::from(*b as i8)).sum()
    }

    #[test]
    fn extremes_are_exact() {
        for len in [1, 7, 8, 127, 128, 129, 1023, 1024, 1025, 32_768, 131_071] {
            for (x, y) in [(-128i8, -128i8), (-128, 127), (127, 127), (-1, 1), (0, -128)] {
                let (a, b) = (vec![x as u8; len], vec![y as u8; len]);
                let mut dot = Dot::new();
                dot.add(&a, &b);
                assert_eq!(i64::from(dot.sum()), i64::from(x) * i64::from(y) * len as i64, "{len} {x} {y}");
            }
        }
    }

    proptest! {
        #[test]
        fn equals_the_plain_sum_in_any_pieces(
            a in prop::collection::vec(any::<u8>(), 0..5000),
            seed in any::<u64>(),
            cuts in prop::collection::vec(0usize..5000, 0..6),
        ) {
            let mut state = seed | 1;
            let b: Vec<u8> = a.iter().map(|_| {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                (state >> 56) as u8
            }).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(a.len())).collect();
            cuts.extend([0, a.len()]);
            cuts.sort_unstable();
            let mut dot = Dot::new();
            for pair in cuts.windows(2) {
                dot.add(&a[pair[0]..pair[1]], &b[pair[0]..pair[1]]);
            }
            prop_assert_eq!(dot.sum(), plain(&a, &b));
            // The shorter side decides.
            let mut dot = Dot::new();
            let half = a.len() / 2;
            dot.add(&a, &b[..half]);
            prop_assert_eq!(dot.sum(), plain(&a[..half], &b[..half]));
        }
    }
}
