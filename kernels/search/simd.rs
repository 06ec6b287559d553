//! Several messages at a time, in the vectors of x86 processors: eight with AVX2, sixteen with AVX-512F.
//!
//! Nothing here may be called but from a function that was compiled for the vectors in question and is called only where
//! the processor has them: whoever names one of the types in [`Vector`] promises that.

use core::arch::x86_64::{
    __m256i, __m512i, _mm_cvtsi32_si128, _mm256_add_epi32, _mm256_and_si256, _mm256_or_si256, _mm256_set1_epi32,
    _mm256_slli_epi32, _mm256_srl_epi32, _mm256_srli_epi32, _mm256_xor_si256, _mm512_add_epi32, _mm512_ror_epi32,
    _mm512_set1_epi32, _mm512_srli_epi32, _mm512_ternarylogic_epi32,
};
use core::mem::transmute;

use super::lanes::Word;

/// A word of each of `L` messages.
///
/// # Safety
/// The type has the bytes of `[u32; L]` and any of them are one.
pub(super) unsafe trait Vector<const L: usize>: Word {
    /// Of these words, message by message.
    fn new(words: [u32; L]) -> Self;
    /// The words, message by message.
    fn words(self) -> [u32; L];
}

macro_rules! vector {
    ($name:ident, $lanes:literal, $inner:ty) => {
        #[doc = concat!("A word of each of ", $lanes, " messages.")]
        #[derive(Clone, Copy)]
        pub(super) struct $name($inner);

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
        }
    };
}

vector!(Eight, 8, __m256i);
vector!(Sixteen, 16, __m512i);

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
