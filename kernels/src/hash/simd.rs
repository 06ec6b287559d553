//! Several messages at a time, in the vectors of x86 processors: eight with AVX2, sixteen with AVX-512F.
//!
//! Nothing here may be called but from a function that was compiled for the vectors in question and is called only where
//! the processor has them: whoever names one of the types in [`Vector`] promises that.

use core::arch::x86_64::{
    __m256i, __m512i, _mm_cvtsi32_si128, _mm256_add_epi32, _mm256_and_si256, _mm256_loadu_si256, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set1_epi32, _mm256_setr_epi8, _mm256_shuffle_epi8, _mm256_slli_epi32,
    _mm256_srl_epi32, _mm256_srli_epi32, _mm256_storeu_si256, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64,
    _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256, _mm512_add_epi32, _mm512_castsi512_si256,
    _mm512_extracti64x4_epi64, _mm512_loadu_si512, _mm512_or_si512, _mm512_ror_epi32, _mm512_set1_epi32,
    _mm512_shuffle_i32x4, _mm512_slli_epi32, _mm512_srli_epi32, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};
use core::mem::transmute;

use super::{Hash, lanes::Word};

/// A word of each of `L` messages.
///
/// # Safety
/// The type has the bytes of `[u32; L]` and any of them are one.
pub(crate) unsafe trait Vector<const L: usize>: Word {
    /// Of these words, message by message.
    fn new(words: [u32; L]) -> Self;
    /// The words, message by message.
    fn words(self) -> [u32; L];
    /// The 16 big-endian words of a block of each message.
    fn rows(blocks: &[&[u8; 64]; L]) -> [Self; 16];
    /// The digests that the eight words of a state are.
    fn digests(state: [Self; 8], out: &mut [Hash; L]);
    /// The bytes of these words moved on by one: the last byte of `before` comes in as the first.
    fn after(self, before: Self) -> Self;
}

macro_rules! vector {
    ($name:ident, $lanes:literal, $inner:ty, $rows:ident, $digests:ident, $after:ident) => {
        #[doc = concat!("A word of each of ", $lanes, " messages.")]
        #[derive(Clone, Copy)]
        pub(crate) struct $name($inner);

        // SAFETY: a vector is its bytes, whatever they hold.
        unsafe impl Vector<$lanes> for $name {
            #[inline(always)]
            fn new(words: [u32; $lanes]) -> Self {
                // SAFETY: as above.
                Self(unsafe { transmute::<[u32; $lanes], $inner>(words) })
            }

            #[inline(always)]
            fn words(self) -> [u32; $lanes] {
                // SAFETY: as above.
                unsafe { transmute::<$inner, [u32; $lanes]>(self.0) }
            }

            #[inline(always)]
            fn rows(blocks: &[&[u8; 64]; $lanes]) -> [Self; 16] {
                // SAFETY: see the head of the file; a block of vectors is one of this struct around them.
                unsafe { transmute::<[$inner; 16], [Self; 16]>($rows(blocks)) }
            }

            #[inline(always)]
            fn digests(state: [Self; 8], out: &mut [Hash; $lanes]) {
                // SAFETY: as above.
                unsafe { $digests(transmute::<[Self; 8], [$inner; 8]>(state), out) }
            }

            #[inline(always)]
            fn after(self, before: Self) -> Self {
                // SAFETY: see the head of the file.
                Self(unsafe { $after(self.0, before.0) })
            }
        }
    };
}

vector!(Eight, 8, __m256i, rows_of_eight, digests_of_eight, after_of_eight);
vector!(Sixteen, 16, __m512i, rows_of_sixteen, digests_of_sixteen, after_of_sixteen);

/// Exchanges rows and columns.
#[inline(always)]
unsafe fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
    let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
    // SAFETY: see the head of the file; so it is in what follows.
    unsafe {
        let (a0, a1) = (_mm256_unpacklo_epi32(r0, r1), _mm256_unpackhi_epi32(r0, r1));
        let (a2, a3) = (_mm256_unpacklo_epi32(r2, r3), _mm256_unpackhi_epi32(r2, r3));
        let (b0, b1) = (_mm256_unpacklo_epi32(r4, r5), _mm256_unpackhi_epi32(r4, r5));
        let (b2, b3) = (_mm256_unpacklo_epi32(r6, r7), _mm256_unpackhi_epi32(r6, r7));
        let (c0, c1) = (_mm256_unpacklo_epi64(a0, a2), _mm256_unpackhi_epi64(a0, a2));
        let (c2, c3) = (_mm256_unpacklo_epi64(a1, a3), _mm256_unpackhi_epi64(a1, a3));
        let (d0, d1) = (_mm256_unpacklo_epi64(b0, b2), _mm256_unpackhi_epi64(b0, b2));
        let (d2, d3) = (_mm256_unpacklo_epi64(b1, b3), _mm256_unpackhi_epi64(b1, b3));
        [
            _mm256_permute2x128_si256::<0x20>(c0, d0),
            _mm256_permute2x128_si256::<0x20>(c1, d1),
            _mm256_permute2x128_si256::<0x20>(c2, d2),
            _mm256_permute2x128_si256::<0x20>(c3, d3),
            _mm256_permute2x128_si256::<0x31>(c0, d0),
            _mm256_permute2x128_si256::<0x31>(c1, d1),
            _mm256_permute2x128_si256::<0x31>(c2, d2),
            _mm256_permute2x128_si256::<0x31>(c3, d3),
        ]
    }
}

/// Bytes of each word in the opposite order.
#[inline(always)]
unsafe fn swap_of_eight(words: __m256i) -> __m256i {
    // SAFETY: as above.
    unsafe {
        let order = _mm256_setr_epi8(
            3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12,
        );
        _mm256_shuffle_epi8(words, order)
    }
}

/// Bytes of each word in the opposite order.
#[inline(always)]
unsafe fn swap_of_sixteen(words: __m512i) -> __m512i {
    // SAFETY: as above. The bytes at odd places come from one rotation, those at even places from the other.
    unsafe {
        let odd = _mm512_set1_epi32(0xff00_ff00_u32 as i32);
        _mm512_ternarylogic_epi32::<0xca>(odd, _mm512_ror_epi32::<8>(words), _mm512_ror_epi32::<24>(words))
    }
}

#[inline(always)]
unsafe fn after_of_eight(words: __m256i, before: __m256i) -> __m256i {
    // SAFETY: as above.
    unsafe { _mm256_or_si256(_mm256_srli_epi32::<8>(words), _mm256_slli_epi32::<24>(before)) }
}

#[inline(always)]
unsafe fn after_of_sixteen(words: __m512i, before: __m512i) -> __m512i {
    // SAFETY: as above.
    unsafe { _mm512_or_si512(_mm512_srli_epi32::<8>(words), _mm512_slli_epi32::<24>(before)) }
}

#[inline(always)]
unsafe fn rows_of_eight(blocks: &[&[u8; 64]; 8]) -> [__m256i; 16] {
    // SAFETY: as above; every load is of one half of a block of 64 bytes.
    unsafe {
        let (mut low, mut high) = ([_mm256_set1_epi32(0); 8], [_mm256_set1_epi32(0); 8]);
        for lane in 0..8 {
            let block = blocks[lane].as_ptr();
            low[lane] = swap_of_eight(_mm256_loadu_si256(block.cast()));
            high[lane] = swap_of_eight(_mm256_loadu_si256(block.add(32).cast()));
        }
        transmute::<[[__m256i; 8]; 2], [__m256i; 16]>([transpose(low), transpose(high)])
    }
}

#[inline(always)]
unsafe fn digests_of_eight(state: [__m256i; 8], out: &mut [Hash; 8]) {
    // SAFETY: as above; every store is of a digest's 32 bytes.
    unsafe {
        let rows = transpose(state);
        for lane in 0..8 {
            _mm256_storeu_si256(out[lane].as_mut_ptr().cast(), swap_of_eight(rows[lane]));
        }
    }
}

#[inline(always)]
unsafe fn rows_of_sixteen(blocks: &[&[u8; 64]; 16]) -> [__m512i; 16] {
    // SAFETY: as above; every load is of one block of 64 bytes.
    unsafe {
        let zero = _mm512_set1_epi32(0);
        // Of each four blocks: the words 4 l + j of all four in the l-th quarter of vector j.
        let mut fours = [[zero; 4]; 4];
        for (four, group) in fours.iter_mut().enumerate() {
            let first = four.wrapping_mul(4);
            let r0 = swap_of_sixteen(_mm512_loadu_si512(blocks[first].as_ptr().cast()));
            let r1 = swap_of_sixteen(_mm512_loadu_si512(blocks[first | 1].as_ptr().cast()));
            let r2 = swap_of_sixteen(_mm512_loadu_si512(blocks[first | 2].as_ptr().cast()));
            let r3 = swap_of_sixteen(_mm512_loadu_si512(blocks[first | 3].as_ptr().cast()));
            let (a0, a1) = (_mm512_unpacklo_epi32(r0, r1), _mm512_unpackhi_epi32(r0, r1));
            let (a2, a3) = (_mm512_unpacklo_epi32(r2, r3), _mm512_unpackhi_epi32(r2, r3));
            *group = [
                _mm512_unpacklo_epi64(a0, a2),
                _mm512_unpackhi_epi64(a0, a2),
                _mm512_unpacklo_epi64(a1, a3),
                _mm512_unpackhi_epi64(a1, a3),
            ];
        }
        let mut words = [zero; 16];
        for j in 0..4 {
            let (f0, f1, f2, f3) = (fours[0][j], fours[1][j], fours[2][j], fours[3][j]);
            let (even01, even23) = (_mm512_shuffle_i32x4::<0x88>(f0, f1), _mm512_shuffle_i32x4::<0x88>(f2, f3));
            let (odd01, odd23) = (_mm512_shuffle_i32x4::<0xdd>(f0, f1), _mm512_shuffle_i32x4::<0xdd>(f2, f3));
            words[j] = _mm512_shuffle_i32x4::<0x88>(even01, even23);
            words[j | 4] = _mm512_shuffle_i32x4::<0x88>(odd01, odd23);
            words[j | 8] = _mm512_shuffle_i32x4::<0xdd>(even01, even23);
            words[j | 12] = _mm512_shuffle_i32x4::<0xdd>(odd01, odd23);
        }
        words
    }
}

#[inline(always)]
unsafe fn digests_of_sixteen(state: [__m512i; 8], out: &mut [Hash; 16]) {
    // SAFETY: as above.
    unsafe {
        let (mut low, mut high) = ([_mm256_set1_epi32(0); 8], [_mm256_set1_epi32(0); 8]);
        for word in 0..8 {
            low[word] = _mm512_castsi512_si256(state[word]);
            high[word] = _mm512_extracti64x4_epi64::<1>(state[word]);
        }
        if let [first, second] = out.as_chunks_mut::<8>().0 {
            digests_of_eight(low, first);
            digests_of_eight(high, second);
        }
    }
}

/// An instruction that the processor must have.
macro_rules! on {
    ($call:expr) => {
        // SAFETY: see the head of the file.
        Self(unsafe { $call })
    };
}

impl Word for Eight {
    #[inline(always)]
    fn all(word: u32) -> Self {
        on!(_mm256_set1_epi32(word as i32))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        on!(_mm256_add_epi32(self.0, other.0))
    }

    #[inline(always)]
    fn rotate<const RIGHT: i32, const LEFT: i32>(self) -> Self {
        on!(_mm256_or_si256(_mm256_srli_epi32::<RIGHT>(self.0), _mm256_slli_epi32::<LEFT>(self.0)))
    }

    #[inline(always)]
    fn shift<const RIGHT: u32>(self) -> Self {
        // Its number may be a variable: the compiler sees that it is none.
        on!(_mm256_srl_epi32(self.0, _mm_cvtsi32_si128(RIGHT as i32)))
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        on!(_mm256_xor_si256(self.0, _mm256_xor_si256(b.0, c.0)))
    }

    #[inline(always)]
    fn choose(self, b: Self, c: Self) -> Self {
        on!(_mm256_xor_si256(c.0, _mm256_and_si256(self.0, _mm256_xor_si256(b.0, c.0))))
    }

    #[inline(always)]
    fn majority(self, b: Self, c: Self) -> Self {
        on!(_mm256_or_si256(_mm256_and_si256(self.0, b.0), _mm256_and_si256(c.0, _mm256_or_si256(self.0, b.0))))
    }
}

impl Word for Sixteen {
    #[inline(always)]
    fn all(word: u32) -> Self {
        on!(_mm512_set1_epi32(word as i32))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        on!(_mm512_add_epi32(self.0, other.0))
    }

    #[inline(always)]
    fn rotate<const RIGHT: i32, const LEFT: i32>(self) -> Self {
        on!(_mm512_ror_epi32::<RIGHT>(self.0))
    }

    #[inline(always)]
    fn shift<const RIGHT: u32>(self) -> Self {
        on!(_mm512_srli_epi32::<RIGHT>(self.0))
    }

    // The number is the function's table of truth.
    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        on!(_mm512_ternarylogic_epi32::<0x96>(self.0, b.0, c.0))
    }

    #[inline(always)]
    fn choose(self, b: Self, c: Self) -> Self {
        on!(_mm512_ternarylogic_epi32::<0xca>(self.0, b.0, c.0))
    }

    #[inline(always)]
    fn majority(self, b: Self, c: Self) -> Self {
        on!(_mm512_ternarylogic_epi32::<0xe8>(self.0, b.0, c.0))
    }
}
