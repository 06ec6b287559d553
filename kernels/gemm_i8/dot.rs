//! The dot product of int8 vectors in 64-bit words: about 6 compute units per multiply-add on chain, where a plain
//! loop takes 16. The same code runs everywhere, so the tests on the host are about what runs on chain.
//!
//! Eight bytes of each side are taken at once, in four pairs (a0 + a4 2^32) of signed numbers. With b's bytes reversed,
//! the product of (a0 + a4 2^32) and (b4 + b0 2^32) has a0 b0 + a4 b4 in its upper half (what lies above 2^64 falls off),
//! so four multiplications do eight elements. A byte becomes signed by adding 128 modulo 256 and then taking 128 off.
// Every sum in this file is bounded beside it. The inner loop wraps in name only: checks would double its cost.
#![allow(clippy::arithmetic_side_effects)]

use core::hint::black_box;

/// Words of each side that are copied to aligned memory and multiplied at a time: one chunk.
const BUFFER_WORDS: usize = 128;
const BUFFER_BYTES: usize = BUFFER_WORDS * 8;
/// Words of one round of the inner loop: with one the loop itself costs more, with four registers run out.
const ROUND_WORDS: usize = 2;
const ROUND_BYTES: usize = ROUND_WORDS * 8;

/// Two bytes of a word, 32 bits apart.
const PAIR: u64 = 0x0000_00ff_0000_00ff;
/// 128 in both places of a pair.
const PAIR_OFFSET: u64 = 0x0000_0080_0000_0080;
/// Adds 128 to every byte, modulo 256.
const OFFSET: u64 = 0x8080_8080_8080_8080;

#[derive(Clone, Copy)]
struct Constants {
    offset: u64,
    pair: u64,
    pair_offset: u64,
}

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
            let len = a.len().min(b.len());
            let rounds = len.div_ceil(ROUND_BYTES);
            load(&mut self.a, a, len);
            load(&mut self.b, b, len);
            // At most 2^24 in magnitude each; a row is at most 2^17 elements long.
            self.sum = self.sum.wrapping_add(multiply(&self.a, &self.b, rounds));
        }
    }

    /// The sum modulo 2^32; exact up to 131,071 elements.
    pub fn sum(&self) -> i32 {
        self.sum as i32
    }
}

/// Copies the first `len` bytes of `from` to the front of `to`, and zeros up to a whole round behind them: a zero on
/// both sides adds nothing.
#[inline]
fn load(to: &mut [u64; BUFFER_WORDS], from: &[u8], len: usize) {
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(to);
    let whole = len.div_ceil(ROUND_BYTES) * ROUND_BYTES;
    if let (Some(from), Some(to)) = (from.get(..len), bytes.get_mut(..whole)) {
        let (front, padding) = to.split_at_mut(len);
        copy(front, from);
        padding.fill(0);
    }
}

/// The system call copies 1 KiB for 10 compute units; the compiler's own copy takes one per byte or word.
#[cfg(target_os = "solana")]
#[inline]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    let len = to.len().min(from.len());
    // SAFETY: both are valid for `len` bytes, and a unique reference does not overlap a shared one.
    unsafe { solana_define_syscall::definitions::sol_memcpy_(to.as_mut_ptr(), from.as_ptr(), len as u64) }
}

#[cfg(not(target_os = "solana"))]
#[inline]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    to.copy_from_slice(from);
}

/// Dot product of the first `rounds` times 16 elements, at most 1,024.
#[inline]
fn multiply(a: &[u64; BUFFER_WORDS], b: &[u64; BUFFER_WORDS], rounds: usize) -> i64 {
    // Unknown to the compiler, or it would load each constant anew at every use, for a compute unit a time.
    let constants = black_box(Constants { offset: OFFSET, pair: PAIR, pair_offset: PAIR_OFFSET });
    let mut sum = 0u64;
    let words = a.as_chunks::<ROUND_WORDS>().0.iter().zip(b.as_chunks::<ROUND_WORDS>().0);
    for ([a0, a1], [b0, b1]) in words.take(rounds) {
        sum = word(sum, *a0, *b0, &constants);
        sum = word(sum, *a1, *b1, &constants);
    }
    // Either half is a signed number: take the lower one off, so that the upper one is exact.
    (sum.wrapping_sub(i64::from(sum as i32) as u64) as i64) >> 32
}

/// Adds the dot product of eight elements to the upper half of `sum`. Either half grows by at most 8 * 2^14 in
/// magnitude, so neither leaves 32 bits in 128 words.
#[inline(always)]
fn word(sum: u64, a: u64, b: u64, constants: &Constants) -> u64 {
    let (x, y) = (a ^ constants.offset, (b ^ constants.offset).swap_bytes());
    let pair = |bytes: u64| (bytes & constants.pair).wrapping_sub(constants.pair_offset);
    sum.wrapping_add(pair(x).wrapping_mul(pair(y >> 24)))
        .wrapping_add(pair(x >> 8).wrapping_mul(pair(y >> 16)))
        .wrapping_add(pair(x >> 16).wrapping_mul(pair(y >> 8)))
        .wrapping_add(pair(x >> 24).wrapping_mul(pair(y)))
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
