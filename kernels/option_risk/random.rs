//! Random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011), and
//! normal variates by the inverse of the distribution function, in integers.

use super::pieces::{PER_OCTAVE, PIECES, POWERS};

/// Multipliers.
pub const M: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
/// What is added to the key after each round.
pub const W: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
/// Rounds.
pub const ROUNDS: usize = 10;
/// Bits of a cubic's variable.
pub const T_BITS: u32 = 28;

/// The block of random words with this counter and this key.
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    const LOW: u64 = 0xffff_ffff;
    // Words in registers of 64 bits: on chain each narrowing would cost two units.
    let [mut c0, mut c1, mut c2, mut c3] = counter.map(u64::from);
    let [mut k0, mut k1] = key.map(u64::from);
    for _ in 0..ROUNDS {
        // Both factors are below 2^32.
        let (p0, p1) = (c0.wrapping_mul(u64::from(M[0])), c2.wrapping_mul(u64::from(M[1])));
        (c0, c1, c2, c3) = ((p1 >> 32) ^ c1 ^ k0, p1 & LOW, (p0 >> 32) ^ c3 ^ k1, p0 & LOW);
        k0 = k0.wrapping_add(u64::from(W[0])) & LOW;
        k1 = k1.wrapping_add(u64::from(W[1])) & LOW;
    }
    [c0 as u32, c1 as u32, c2 as u32, c3 as u32]
}

/// [`PIECES`] in numbers of 64 bits: on chain, widening them at each use would cost a twentieth of the kernel.
static WIDE: [[i64; 4]; PIECES.len()] = {
    let mut wide = [[0; 4]; PIECES.len()];
    let mut i = 0;
    while i < wide.len() {
        let [c0, c1, c2, c3] = PIECES[i];
        wide[i] = [c0 as i64, c1 as i64, c2 as i64, c3 as i64];
        i = i.wrapping_add(1);
    }
    wide
};

/// The value at `t` of a cubic of the table, shifts rounding down.
#[inline(always)]
fn cubic(index: usize, t: u32) -> i64 {
    const NONE: [i64; 4] = [0; 4];
    let [c0, c1, c2, c3] = WIDE.get(index).unwrap_or(&NONE);
    let t = i64::from(t);
    let mut value = c3.wrapping_mul(t) >> T_BITS;
    value = c2.wrapping_add(value).wrapping_mul(t) >> T_BITS;
    value = c1.wrapping_add(value).wrapping_mul(t) >> T_BITS;
    c0.wrapping_add(value)
}

/// The normal variate of a random word, 28 fractional bits: the word's top bit is the sign, the other 31 bits v stand for
/// the tail probability (2 v + 1) / 2^33.
#[inline(always)]
pub fn normal(word: u32) -> i64 {
    let mut place = (word << 1) | 1;
    // Two rounds on average; on chain, counting zeros would take as long as ten.
    let mut octave = 0usize;
    while place < 1 << 31 {
        place <<= 1;
        octave = octave.wrapping_add(1);
    }
    let eighth = (place >> T_BITS) as usize & (PER_OCTAVE.wrapping_sub(1));
    let index = octave.wrapping_mul(PER_OCTAVE).wrapping_add(eighth);
    let size = cubic(index, place & ((1 << T_BITS) - 1));
    if word >> 31 == 0 { size } else { size.wrapping_neg() }
}

/// Most and least logarithms whose price is told apart, 24 fractional bits.
pub const LOG_RANGE: (i64, i64) = (-44 << 24, (20 << 24) - 1);

/// The price, 20 fractional bits, of a logarithm to base 2, 24 fractional bits; cut to [`LOG_RANGE`].
#[inline(always)]
pub fn price(log: i64) -> i64 {
    let log = log.clamp(LOG_RANGE.0, LOG_RANGE.1);
    let index = POWERS.wrapping_add((log >> 19) as usize & 31);
    let t = ((log & ((1 << 19) - 1)) as u32) << (T_BITS - 19);
    let power = cubic(index, t);
    // 30 fractional bits and at most 2^20: 9 bits up, then 0 to 63 down.
    (power << 9).wrapping_shr(19i64.wrapping_sub(log >> 24) as u32)
}
