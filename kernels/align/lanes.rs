//! Several numbers at a time, one for each database row that a query meets: in 16 bits, where sums stop at the largest
//! number, in vectors of the processor, or in 32 bits, where nothing of the kernel's is too large.
//!
//! No number is negative but scores and sums with scores; [`Vector::less`] and [`Vector::is_full`] rely on it.

use super::scoring::{NEVER, SEPARATOR, SYMBOLS};

/// Most numbers of a vector.
pub(super) const MOST: usize = 32;

/// A number for each of some rows.
pub(super) trait Vector: Copy {
    /// How many.
    const LANES: usize;
    /// Scores of one symbol with all others, as they are looked up.
    type Row: Copy;

    /// The same in all.
    fn all(value: i16) -> Self;
    /// The codes in the first bytes.
    fn codes(bytes: &[u8; MOST]) -> Self;
    /// A row, as this looks it up.
    fn row(scores: &[i16; SYMBOLS]) -> Self::Row;
    /// The scores of these codes. A separator's is so low that no sum with it is positive.
    fn scores(row: &Self::Row, codes: Self) -> Self;
    /// `cost`, but more than any number for a separator's code.
    fn costs(codes: Self, cost: Self) -> Self;
    /// Sum, or the largest number where it is larger.
    fn sum(self, other: Self) -> Self;
    /// Difference, or 0 where it is negative.
    fn less(self, other: Self) -> Self;
    /// The larger.
    fn max(self, other: Self) -> Self;
    /// Sum modulo 2^16.
    fn wrapping_sum(self, other: Self) -> Self;
    /// Difference modulo 2^16.
    fn wrapping_less(self, other: Self) -> Self;
    /// The low bytes, lane by lane in front.
    fn low_bytes(self) -> [u8; MOST];
    /// The numbers, lane by lane in front.
    fn values(self) -> [i32; MOST];
    /// Whether one of them is the largest number: it may be too small.
    fn is_full(self) -> bool;
}

/// Arrays, for any processor.
#[derive(Clone, Copy)]
pub(super) struct Plain<T, const N: usize>([T; N]);

macro_rules! plain {
    ($number:ident, $lanes:literal, $separator:expr) => {
        impl Plain<$number, $lanes> {
            #[inline(always)]
            fn with(self, other: Self, of: impl Fn($number, $number) -> $number) -> Self {
                let mut made = self;
                for (to, from) in made.0.iter_mut().zip(other.0) {
                    *to = of(*to, from);
                }
                made
            }
        }

        impl Vector for Plain<$number, $lanes> {
            const LANES: usize = $lanes;
            type Row = [i16; SYMBOLS];

            #[inline(always)]
            fn all(value: i16) -> Self {
                Self([$number::from(value); $lanes])
            }

            #[inline(always)]
            fn codes(bytes: &[u8; MOST]) -> Self {
                let mut codes = [0; $lanes];
                for (to, from) in codes.iter_mut().zip(bytes) {
                    *to = $number::from(*from);
                }
                Self(codes)
            }

            #[inline(always)]
            fn row(scores: &[i16; SYMBOLS]) -> Self::Row {
                *scores
            }

            #[inline(always)]
            fn scores(row: &Self::Row, codes: Self) -> Self {
                Self(codes.0.map(|code| {
                    let score = row.get(code as usize).copied().unwrap_or(NEVER);
                    if code == $number::from(SEPARATOR) { $separator } else { $number::from(score) }
                }))
            }

            #[inline(always)]
            fn costs(codes: Self, cost: Self) -> Self {
                codes.with(cost, |code, cost| if code == $number::from(SEPARATOR) { $number::MAX } else { cost })
            }

            #[inline(always)]
            fn sum(self, other: Self) -> Self {
                self.with(other, $number::saturating_add)
            }

            #[inline(always)]
            fn less(self, other: Self) -> Self {
                self.with(other, |a, b| a.wrapping_sub(b).max(0))
            }

            #[inline(always)]
            fn max(self, other: Self) -> Self {
                self.with(other, $number::max)
            }

            #[inline(always)]
            fn wrapping_sum(self, other: Self) -> Self {
                self.with(other, $number::wrapping_add)
            }

            #[inline(always)]
            fn wrapping_less(self, other: Self) -> Self {
                self.with(other, $number::wrapping_sub)
            }

            #[inline(always)]
            fn low_bytes(self) -> [u8; MOST] {
                let mut bytes = [0; MOST];
                for (to, from) in bytes.iter_mut().zip(self.0) {
                    *to = from as u8;
                }
                bytes
            }

            #[inline(always)]
            fn values(self) -> [i32; MOST] {
                let mut values = [0; MOST];
                for (to, from) in values.iter_mut().zip(self.0) {
                    *to = i32::from(from);
                }
                values
            }

            #[inline(always)]
            fn is_full(self) -> bool {
                self.0.contains(&$number::MAX)
            }
        }
    };
}

/// 16 bits, without instructions of any processor's own.
pub(super) type Narrow = Plain<i16, 16>;
/// 32 bits: for what is too large for 16.
pub(super) type Exact = Plain<i32, 8>;

plain!(i16, 16, NEVER);
// A larger number than any alignment scores.
plain!(i32, 8, i32::MIN / 2);

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! Nothing here may be called but from a function that was compiled for the vectors in question and is called only
    //! where the processor has them: whoever names one of the types promises that.

    use core::arch::x86_64::{
        __m128i, __m256i, __m512i, _mm256_add_epi16, _mm256_adds_epi16, _mm256_and_si256, _mm256_andnot_si256,
        _mm256_blendv_epi8, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi16, _mm256_cmpgt_epi16, _mm256_cvtepu8_epi16,
        _mm256_max_epi16, _mm256_movemask_epi8, _mm256_or_si256, _mm256_packus_epi16, _mm256_permute4x64_epi64,
        _mm256_set1_epi16, _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_srai_epi16, _mm256_sub_epi16,
        _mm256_subs_epu16, _mm512_add_epi16, _mm512_adds_epi16, _mm512_cmpeq_epi16_mask, _mm512_cvtepi16_epi8,
        _mm512_cvtepu8_epi16, _mm512_mask_mov_epi16, _mm512_max_epi16, _mm512_permutexvar_epi16, _mm512_set1_epi16,
        _mm512_sub_epi16, _mm512_subs_epu16,
    };
    use core::mem::transmute;

    use super::{MOST, NEVER, SEPARATOR, SYMBOLS, Vector};

    /// 32 numbers of 16 bits. Needs AVX-512BW.
    #[derive(Clone, Copy)]
    pub struct Avx512(__m512i);

    /// 16 numbers of 16 bits. Needs AVX2.
    #[derive(Clone, Copy)]
    pub struct Avx2(__m256i);

    /// An instruction that the processor must have, or a change of type between plain bytes of equal length.
    macro_rules! on {
        ($call:expr) => {
            // SAFETY: see the head of the module.
            unsafe { $call }
        };
    }

    impl Vector for Avx512 {
        const LANES: usize = 32;
        type Row = __m512i;

        #[inline(always)]
        fn all(value: i16) -> Self {
            Self(on!(_mm512_set1_epi16(value)))
        }

        #[inline(always)]
        fn codes(bytes: &[u8; MOST]) -> Self {
            Self(on!(_mm512_cvtepu8_epi16(transmute::<[u8; MOST], __m256i>(*bytes))))
        }

        #[inline(always)]
        fn row(scores: &[i16; SYMBOLS]) -> __m512i {
            on!(transmute::<[i16; SYMBOLS], __m512i>(*scores))
        }

        #[inline(always)]
        fn scores(row: &__m512i, codes: Self) -> Self {
            Self(on!(_mm512_permutexvar_epi16(codes.0, *row)))
        }

        #[inline(always)]
        fn costs(codes: Self, cost: Self) -> Self {
            let separators = on!(_mm512_cmpeq_epi16_mask(codes.0, _mm512_set1_epi16(i16::from(SEPARATOR))));
            Self(on!(_mm512_mask_mov_epi16(cost.0, separators, _mm512_set1_epi16(i16::MAX))))
        }

        #[inline(always)]
        fn sum(self, other: Self) -> Self {
            Self(on!(_mm512_adds_epi16(self.0, other.0)))
        }

        #[inline(always)]
        fn less(self, other: Self) -> Self {
            Self(on!(_mm512_subs_epu16(self.0, other.0)))
        }

        #[inline(always)]
        fn max(self, other: Self) -> Self {
            Self(on!(_mm512_max_epi16(self.0, other.0)))
        }

        #[inline(always)]
        fn wrapping_sum(self, other: Self) -> Self {
            Self(on!(_mm512_add_epi16(self.0, other.0)))
        }

        #[inline(always)]
        fn wrapping_less(self, other: Self) -> Self {
            Self(on!(_mm512_sub_epi16(self.0, other.0)))
        }

        #[inline(always)]
        fn low_bytes(self) -> [u8; MOST] {
            on!(transmute::<__m256i, [u8; MOST]>(_mm512_cvtepi16_epi8(self.0)))
        }

        #[inline(always)]
        fn values(self) -> [i32; MOST] {
            on!(transmute::<__m512i, [i16; MOST]>(self.0)).map(i32::from)
        }

        #[inline(always)]
        fn is_full(self) -> bool {
            on!(_mm512_cmpeq_epi16_mask(self.0, _mm512_set1_epi16(i16::MAX))) != 0
        }
    }

    impl Vector for Avx2 {
        const LANES: usize = 16;
        /// Scores as bytes, those of the low and of the high sixteen codes, each twice; -128 where it is [`NEVER`].
        type Row = [__m256i; 2];

        #[inline(always)]
        fn all(value: i16) -> Self {
            Self(on!(_mm256_set1_epi16(value)))
        }

        #[inline(always)]
        fn codes(bytes: &[u8; MOST]) -> Self {
            let bytes = bytes.first_chunk::<16>().copied().unwrap_or_default();
            Self(on!(_mm256_cvtepu8_epi16(transmute::<[u8; 16], __m128i>(bytes))))
        }

        #[inline(always)]
        fn row(scores: &[i16; SYMBOLS]) -> [__m256i; 2] {
            // All others are -127 to 127.
            let bytes: [u8; SYMBOLS] = scores.map(|score| score.max(-128) as u8);
            on!(transmute::<[u8; SYMBOLS], [__m128i; 2]>(bytes)).map(|half| on!(_mm256_broadcastsi128_si256(half)))
        }

        #[inline(always)]
        fn scores([low, high]: &[__m256i; 2], codes: Self) -> Self {
            // The high byte of each index has its top bit set, which looks up a zero.
            let index = on!(_mm256_or_si256(codes.0, _mm256_set1_epi16(NEVER)));
            let (low, high) = (on!(_mm256_shuffle_epi8(*low, index)), on!(_mm256_shuffle_epi8(*high, index)));
            let is_high = on!(_mm256_cmpgt_epi16(codes.0, _mm256_set1_epi16(15)));
            let score = on!(_mm256_blendv_epi8(low, high, is_high));
            let score = on!(_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(score)));
            // -128 to -32,768: all bits between go.
            let never = on!(_mm256_cmpeq_epi16(score, _mm256_set1_epi16(-128)));
            Self(on!(_mm256_andnot_si256(_mm256_and_si256(never, _mm256_set1_epi16(0x7f80)), score)))
        }

        #[inline(always)]
        fn costs(codes: Self, cost: Self) -> Self {
            let separators = on!(_mm256_cmpeq_epi16(codes.0, _mm256_set1_epi16(i16::from(SEPARATOR))));
            Self(on!(_mm256_blendv_epi8(cost.0, _mm256_set1_epi16(i16::MAX), separators)))
        }

        #[inline(always)]
        fn sum(self, other: Self) -> Self {
            Self(on!(_mm256_adds_epi16(self.0, other.0)))
        }

        #[inline(always)]
        fn less(self, other: Self) -> Self {
            Self(on!(_mm256_subs_epu16(self.0, other.0)))
        }

        #[inline(always)]
        fn max(self, other: Self) -> Self {
            Self(on!(_mm256_max_epi16(self.0, other.0)))
        }

        #[inline(always)]
        fn wrapping_sum(self, other: Self) -> Self {
            Self(on!(_mm256_add_epi16(self.0, other.0)))
        }

        #[inline(always)]
        fn wrapping_less(self, other: Self) -> Self {
            Self(on!(_mm256_sub_epi16(self.0, other.0)))
        }

        #[inline(always)]
        fn low_bytes(self) -> [u8; MOST] {
            let low = on!(_mm256_and_si256(self.0, _mm256_set1_epi16(0xff)));
            // Halves of lanes are packed each for itself: the first and the third quarter hold the bytes.
            let packed = on!(_mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi16(low, low)));
            on!(transmute::<__m256i, [u8; MOST]>(packed))
        }

        #[inline(always)]
        fn values(self) -> [i32; MOST] {
            let mut values = [0; MOST];
            for (to, from) in values.iter_mut().zip(on!(transmute::<__m256i, [i16; 16]>(self.0))) {
                *to = i32::from(from);
            }
            values
        }

        #[inline(always)]
        fn is_full(self) -> bool {
            on!(_mm256_movemask_epi8(_mm256_cmpeq_epi16(self.0, _mm256_set1_epi16(i16::MAX)))) != 0
        }
    }
}
