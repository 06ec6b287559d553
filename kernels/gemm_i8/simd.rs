//! Blocks of a product with vector instructions: rows are packed so that what is multiplied together lies together, and a
//! block of sums stays in registers while a piece of k goes by.
//!
//! A word of a packed row holds as many numbers as the instruction multiplies at once: four bytes, or two of 16 bits. The
//! instruction with four bytes (`vpdpbusd`) takes one side unsigned: B's bytes have 128 added, and 128 times the sum of A's
//! row is taken off in the end. Sums wrap on the way and come out right, because they are right modulo 2^32.
//! `vpmaddwd` multiplies 16-bit numbers, so that nothing saturates, as `vpmaddubsw` would.
// Indices and lengths are those of the packed blocks of this file; sums wrap by themselves.
#![allow(clippy::arithmetic_side_effects)]

use core::arch::x86_64::*;

/// Bytes of a row that are packed at a time.
pub(super) const DEPTH: usize = 1_024;

/// Adds the products of packed rows of A and of B to a block of sums, row by row.
type Multiply = unsafe fn(&[u32], &[u32], &mut [i32]);

/// An instruction that multiplies.
#[derive(Clone, Copy, Debug)]
pub struct Simd {
    /// Name, for people.
    pub(super) name: &'static str,
    /// Rows of a block.
    pub(super) height: usize,
    /// Columns of a block.
    pub(super) width: usize,
    /// Whether words hold four bytes, B's with 128 added, or two numbers of 16 bits.
    pub(super) bytes: bool,
    multiply: Multiply,
}

/// What this processor has, the best first.
pub(super) fn available() -> Vec<Simd> {
    let mut all = Vec::new();
    if std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512vnni") {
        all.push(Simd { name: "AVX-512 VNNI", height: 12, width: 32, bytes: true, multiply: avx512_vnni });
    }
    if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("avxvnni") {
        all.push(Simd { name: "AVX-VNNI", height: 4, width: 24, bytes: true, multiply: avx_vnni });
    }
    if std::is_x86_feature_detected!("avx2") {
        all.push(Simd { name: "AVX2", height: 4, width: 24, bytes: false, multiply: avx2 });
    }
    all
}

impl Simd {
    /// Packs pieces of rows, at most [`DEPTH`] bytes each and all of the same length, in groups of `lanes`, a multiple of
    /// four; rows that a group lacks are zeros.
    fn pack(&self, rows: &[&[u8]], lanes: usize, flip: u32, out: &mut Vec<u32>) -> usize {
        let len = rows.first().map_or(0, |row| row.len());
        let words = len.div_ceil(16) * if self.bytes { 4 } else { 8 };
        out.clear();
        out.resize(rows.len().div_ceil(lanes) * lanes * words, flip);
        for (group, packed) in rows.chunks(lanes).zip(out.chunks_exact_mut(lanes * words)) {
            for (four, lane) in group.chunks(4).zip((0..).step_by(4)) {
                let row = |i: usize| four.get(i).copied().unwrap_or(&[]);
                let rows = [row(0), row(1), row(2), row(3)];
                for (step, from) in (0..len).step_by(16).enumerate() {
                    let bytes = rows.map(|row| sixteen(row, from));
                    if self.bytes {
                        put(bytes, flip, lanes, lane, &mut packed[step * 4 * lanes..]);
                    } else {
                        put(bytes.map(low), flip, lanes, lane, &mut packed[step * 8 * lanes..]);
                        put(bytes.map(high), flip, lanes, lane, &mut packed[(step * 8 + 4) * lanes..]);
                    }
                }
            }
        }
        words
    }

    /// Adds the products of rows of A and of B, at most [`DEPTH`] bytes of each and all of the same length, to `sums`: block
    /// after block, those of a row of blocks together, each row by row.
    pub(super) fn add(&self, a: &[&[u8]], b: &[&[u8]], room: &mut Room, sums: &mut [i32]) {
        let words = self.pack(a, self.height, 0, &mut room.a);
        self.pack(b, self.width, if self.bytes { 0x8080_8080 } else { 0 }, &mut room.b);
        let of_a = room.a.chunks_exact((self.height * words).max(1));
        let blocks = b.len().div_ceil(self.width);
        for (a, sums) in of_a.zip(sums.chunks_exact_mut((blocks * self.height * self.width).max(1))) {
            let of_b = room.b.chunks_exact((self.width * words).max(1));
            for (b, sums) in of_b.zip(sums.chunks_exact_mut(self.height * self.width)) {
                // SAFETY: this instruction is only given out where the processor has it.
                unsafe { (self.multiply)(a, b, sums) }
            }
        }
    }
}

/// Packed rows, kept from piece to piece.
#[derive(Default)]
pub(super) struct Room {
    a: Vec<u32>,
    b: Vec<u32>,
}

/// 16 bytes of a row, zeros behind its end.
#[inline]
fn sixteen(row: &[u8], from: usize) -> __m128i {
    let rest = row.get(from..).unwrap_or(&[]);
    if let Some(bytes) = rest.first_chunk::<16>() {
        return load(bytes);
    }
    let mut bytes = [0; 16];
    bytes[..rest.len()].copy_from_slice(rest);
    load(&bytes)
}

#[inline]
fn load(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: reads 16 bytes, wherever they lie.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// The lower eight bytes as 16-bit numbers. Nothing newer than what every processor of this architecture has.
#[inline]
fn low(bytes: __m128i) -> __m128i {
    // SAFETY: SSE2 is part of the architecture.
    unsafe { _mm_srai_epi16::<8>(_mm_unpacklo_epi8(bytes, bytes)) }
}

/// The upper eight bytes as 16-bit numbers.
#[inline]
fn high(bytes: __m128i) -> __m128i {
    // SAFETY: SSE2 is part of the architecture.
    unsafe { _mm_srai_epi16::<8>(_mm_unpackhi_epi8(bytes, bytes)) }
}

/// Four words of each of four rows: word by word, the rows' beside each other from `lane` on.
#[inline]
fn put(rows: [__m128i; 4], flip: u32, lanes: usize, lane: usize, to: &mut [u32]) {
    let [a, b, c, d] = rows;
    // SAFETY: SSE2 is part of the architecture; each store goes to four words of `to`.
    unsafe {
        let flip = _mm_set1_epi32(flip as i32);
        let (ab, cd) = (_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d));
        let (ab_high, cd_high) = (_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d));
        let words = [
            _mm_unpacklo_epi64(ab, cd),
            _mm_unpackhi_epi64(ab, cd),
            _mm_unpacklo_epi64(ab_high, cd_high),
            _mm_unpackhi_epi64(ab_high, cd_high),
        ];
        for (word, four) in words.into_iter().enumerate() {
            let to = &mut to[word * lanes + lane..][..4];
            _mm_storeu_si128(to.as_mut_ptr().cast(), _mm_xor_si128(four, flip));
        }
    }
}

/// A block of `$height` rows and `$vectors` vectors of columns, which stays in registers.
macro_rules! block {
    ($name:ident, $features:literal, $height:literal, $vectors:literal, $lanes:literal, $zero:ident, $load:ident, $store:ident,
     $all:ident, $add:ident, |$sum:ident, $x:ident, $y:ident| $multiply:expr) => {
        #[target_feature(enable = $features)]
        fn $name(a: &[u32], b: &[u32], sums: &mut [i32]) {
            let mut block = [[$zero(); $vectors]; $height];
            let steps = a.as_chunks::<$height>().0.iter().zip(b.as_chunks::<{ $vectors * $lanes }>().0);
            for (a, b) in steps {
                let mut columns = [$zero(); $vectors];
                for (column, b) in columns.iter_mut().zip(b.as_chunks::<$lanes>().0) {
                    // SAFETY: a vector of so many words, wherever they lie.
                    *column = unsafe { $load(b.as_ptr().cast()) };
                }
                for (row, a) in block.iter_mut().zip(a) {
                    let $x = $all(*a as i32);
                    for (sum, $y) in row.iter_mut().zip(columns) {
                        let $sum = *sum;
                        *sum = $multiply;
                    }
                }
            }
            for (row, sums) in block.iter().zip(sums.as_chunks_mut::<{ $vectors * $lanes }>().0) {
                for (vector, sums) in row.iter().zip(sums.as_chunks_mut::<$lanes>().0) {
                    // SAFETY: a vector of so many words, wherever they lie.
                    unsafe { $store(sums.as_mut_ptr().cast(), $add($load(sums.as_ptr().cast()), *vector)) }
                }
            }
        }
    };
}

block!(
    avx512_vnni,
    "avx512f,avx512vnni",
    12,
    2,
    16,
    _mm512_setzero_si512,
    _mm512_loadu_si512,
    _mm512_storeu_si512,
    _mm512_set1_epi32,
    _mm512_add_epi32,
    |sum, x, y| _mm512_dpbusd_epi32(sum, y, x)
);
block!(
    avx_vnni,
    "avx2,avxvnni",
    4,
    3,
    8,
    _mm256_setzero_si256,
    _mm256_loadu_si256,
    _mm256_storeu_si256,
    _mm256_set1_epi32,
    _mm256_add_epi32,
    |sum, x, y| _mm256_dpbusd_avx_epi32(sum, y, x)
);
block!(
    avx2,
    "avx2",
    4,
    3,
    8,
    _mm256_setzero_si256,
    _mm256_loadu_si256,
    _mm256_storeu_si256,
    _mm256_set1_epi32,
    _mm256_add_epi32,
    |sum, x, y| _mm256_add_epi32(sum, _mm256_madd_epi16(x, y))
);
