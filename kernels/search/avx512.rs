//! Sixteen messages at a time, in the vectors of AVX-512F.
//!
//! Nothing here may be called but from a function that was compiled for AVX-512F and is called only where the processor
//! has it: [`Sixteen`] can be made only with [`Sixteen::new`], whose caller promises that.

use core::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_ror_epi32, _mm512_set1_epi32, _mm512_srli_epi32, _mm512_ternarylogic_epi32,
};

use super::lanes::Word;

/// A word of each message.
#[derive(Clone, Copy)]
pub(super) struct Sixteen(__m512i);

macro_rules! avx512 {
    ($call:expr) => {
        // SAFETY: see the head of the file.
        Self(unsafe { $call })
    };
}

impl Sixteen {
    /// The words of sixteen messages.
    ///
    /// # Safety
    /// The processor has AVX-512F.
    #[inline(always)]
    pub(super) unsafe fn new(words: [u32; 16]) -> Self {
        // SAFETY: any 64 bytes are a vector.
        Self(unsafe { core::mem::transmute::<[u32; 16], __m512i>(words) })
    }

    /// The words, message by message.
    #[inline(always)]
    pub(super) fn words(self) -> [u32; 16] {
        // SAFETY: a vector is 64 bytes, whatever they hold.
        unsafe { core::mem::transmute::<__m512i, [u32; 16]>(self.0) }
    }
}

impl Word for Sixteen {
    #[inline(always)]
    fn all(word: u32) -> Self {
        avx512!(_mm512_set1_epi32(word as i32))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        avx512!(_mm512_add_epi32(self.0, other.0))
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self) -> Self {
        avx512!(_mm512_ror_epi32::<BITS>(self.0))
    }

    #[inline(always)]
    fn shift<const BITS: u32>(self) -> Self {
        avx512!(_mm512_srli_epi32::<BITS>(self.0))
    }

    // The number is the function's table of truth.
    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        avx512!(_mm512_ternarylogic_epi32::<0x96>(self.0, b.0, c.0))
    }

    #[inline(always)]
    fn choose(self, b: Self, c: Self) -> Self {
        avx512!(_mm512_ternarylogic_epi32::<0xca>(self.0, b.0, c.0))
    }

    #[inline(always)]
    fn majority(self, b: Self, c: Self) -> Self {
        avx512!(_mm512_ternarylogic_epi32::<0xe8>(self.0, b.0, c.0))
    }
}
