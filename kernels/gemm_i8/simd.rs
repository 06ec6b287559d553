//! Blocks of a product with vector instructions: rows are packed so that what is multiplied together lies together, and a
//! block of sums stays in registers while a piece of k goes by. `gemm_i8` and the layers of `mlp_i8` are made of these.
//!
//! A word of a packed row holds as many numbers as the instruction multiplies at once: four bytes, or two of 16 bits. The
//! instruction with four bytes (`vpdpbusd`) takes one side unsigned: A's bytes have 128 added, and every sum begins with -128
//! times the sum of B's row. Sums wrap on the way and come out right, because they are right modulo 2^32.
//! `vpmaddwd` multiplies 16-bit numbers, so that nothing saturates, as `vpmaddubsw` would.
// Indices and lengths are those of the packed blocks of this file; sums wrap by themselves.
#![allow(clippy::arithmetic_side_effects)]

use core::{arch::x86_64::*, ops::Range};

use rayon::prelude::*;

/// Words of packed rows that go by at a time: of both sides they stay in the fastest cache.
const DEPTH: usize = 192;

/// Adds the products of packed rows of A and of B to a block of sums, whose rows lie so many sums apart.
type Multiply = unsafe fn(&[u32], &[u32], &mut [i32], usize);

/// An instruction that multiplies.
#[derive(Clone, Copy, Debug)]
pub struct Simd {
    /// Name, for people.
    pub(super) name: &'static str,
    /// Rows of a block.
    pub(crate) height: usize,
    /// Columns of a block.
    pub(crate) width: usize,
    /// Whether words hold four bytes, A's with 128 added, or two numbers of 16 bits.
    bytes: bool,
    multiply: Multiply,
}

/// What this processor has, the best first.
pub(crate) fn available() -> Vec<Simd> {
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

/// A side of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Rows of the product.
    A,
    /// Columns of the product.
    B,
}

/// Packed rows: panels of as many as a block has, word by word.
#[derive(Default)]
pub(crate) struct Packed {
    panels: Vec<u32>,
    /// Words of a packed row.
    words: usize,
    /// What the sums of each of B's rows begin with.
    begins: Vec<i32>,
}

impl Packed {
    /// Adds to what the sums of each of B's rows begin with.
    pub(crate) fn begin_with(&mut self, more: impl IntoIterator<Item = i32>) {
        for (begin, more) in self.begins.iter_mut().zip(more) {
            *begin = begin.wrapping_add(more);
        }
    }
}

impl Simd {
    /// Rows of a panel.
    fn lanes(&self, side: Side) -> usize {
        match side {
            Side::A => self.height,
            Side::B => self.width,
        }
    }

    /// Words that a row of so many bytes is packed into.
    pub(crate) fn words(&self, bytes: usize) -> usize {
        bytes.div_ceil(16) * if self.bytes { 4 } else { 8 }
    }

    /// Makes room for so many rows of so many bytes. What it holds is rubbish.
    fn prepare(&self, side: Side, rows: usize, bytes: usize, to: &mut Packed) {
        let panels = rows.div_ceil(self.lanes(side));
        to.words = self.words(bytes);
        let len = panels * self.lanes(side) * to.words;
        if to.panels.capacity() < len {
            // Zeros from the system cost nothing until they are used.
            to.panels = vec![0; len];
        }
        to.panels.resize(len, 0);
        to.begins.resize(panels * self.lanes(side), 0);
    }

    /// Packs rows that are all of the same length.
    pub(crate) fn pack(&self, side: Side, rows: &[&[u8]], to: &mut Packed) {
        self.prepare(side, rows.len(), rows.first().map_or(0, |row| row.len()), to);
        let lanes = self.lanes(side);
        let panels = to.panels.chunks_exact_mut((lanes * to.words).max(1)).zip(to.begins.chunks_exact_mut(lanes));
        for (rows, (panel, begins)) in rows.chunks(lanes).zip(panels) {
            self.panel(side, rows, panel, begins);
        }
    }

    /// As [`pack`](Self::pack) does, on all cores.
    pub(crate) fn pack_together(&self, side: Side, rows: &[&[u8]], to: &mut Packed) {
        self.prepare(side, rows.len(), rows.first().map_or(0, |row| row.len()), to);
        let lanes = self.lanes(side);
        let panels = to.panels.par_chunks_exact_mut((lanes * to.words).max(1));
        let panels = panels.zip(to.begins.par_chunks_exact_mut(lanes));
        rows.par_chunks(lanes).zip(panels).for_each(|(rows, (panel, begins))| self.panel(side, rows, panel, begins));
    }

    /// Packs a panel. Lanes without a row keep what they had: nobody reads their sums.
    fn panel(&self, side: Side, rows: &[&[u8]], panel: &mut [u32], begins: &mut [i32]) {
        let (lanes, len) = (self.lanes(side), rows.first().map_or(0, |row| row.len()));
        let flip = if self.bytes && side == Side::A { 0x8080_8080 } else { 0 };
        for (four, lane) in rows.chunks(4).zip((0..).step_by(4)) {
            let row = |i: usize| four.get(i).copied().unwrap_or(&[]);
            let rows = [row(0), row(1), row(2), row(3)];
            for (step, from) in (0..len).step_by(16).enumerate() {
                let bytes = rows.map(|row| sixteen(row, from));
                if self.bytes {
                    put(bytes, flip, lanes, lane, &mut panel[step * 4 * lanes..]);
                } else {
                    put(bytes.map(low), flip, lanes, lane, &mut panel[step * 8 * lanes..]);
                    put(bytes.map(high), flip, lanes, lane, &mut panel[(step * 8 + 4) * lanes..]);
                }
            }
        }
        for (begin, row) in begins.iter_mut().zip(rows) {
            // At most 2^24 in magnitude before it is multiplied.
            *begin = if self.bytes && side == Side::B { total(row).wrapping_mul(-128) } else { 0 };
        }
    }

    /// Adds the products of some panels of A and of B to their sums, row by row, in a stride of as many as B's panels have
    /// columns. Without sums it makes them.
    pub(crate) fn multiply(
        &self,
        (a, of_a): (&Packed, Range<usize>),
        (b, of_b): (&Packed, Range<usize>),
        sums: &mut Vec<i32>,
    ) {
        let (words, stride) = (a.words.min(b.words), of_b.len() * self.width);
        let begins = &b.begins[of_b.start * self.width..][..stride];
        if sums.is_empty() {
            for _ in 0..of_a.len() * self.height {
                sums.extend_from_slice(begins);
            }
        } else {
            for (sum, begin) in sums.chunks_exact_mut(stride.max(1)).flat_map(|line| line.iter_mut().zip(begins)) {
                *sum = sum.wrapping_add(*begin);
            }
        }
        for start in (0..words).step_by(DEPTH) {
            let piece = |packed: &Packed, panel: usize, lanes: usize| {
                (panel * packed.words + start) * lanes..(panel * packed.words + (start + DEPTH).min(words)) * lanes
            };
            for (right, of_b) in of_b.clone().enumerate() {
                let b = &b.panels[piece(b, of_b, self.width)];
                for (down, of_a) in of_a.clone().enumerate() {
                    let a = &a.panels[piece(a, of_a, self.height)];
                    let sums = &mut sums[down * self.height * stride + right * self.width..];
                    // SAFETY: this instruction is only given out where the processor has it.
                    unsafe { (self.multiply)(a, b, sums, stride) }
                }
            }
        }
    }
}

/// Sum of a row's numbers, at most 2^24 in magnitude.
fn total(row: &[u8]) -> i32 {
    let mut sum = 0i32;
    for from in (0..row.len()).step_by(16) {
        // SAFETY: SSE2 is part of the architecture.
        let [low, high]: [u64; 2] = unsafe {
            let flipped = _mm_xor_si128(sixteen(row, from), _mm_set1_epi8(-128));
            core::mem::transmute(_mm_sad_epu8(flipped, _mm_setzero_si128()))
        };
        // Sixteen bytes with 128 added each.
        sum += (low + high) as i32 - 16 * 128;
    }
    sum
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
        fn $name(a: &[u32], b: &[u32], sums: &mut [i32], stride: usize) {
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
            for (row, sums) in block.iter().zip(sums.chunks_mut(stride)) {
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
    |sum, x, y| _mm512_dpbusd_epi32(sum, x, y)
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
    |sum, x, y| _mm256_dpbusd_avx_epi32(sum, x, y)
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
