//! SHA-256's compression function (FIPS 180-4, 6.2.2), of one message or of several at a time in the lanes of vectors.

/// A word of one message, or the same word of several.
pub(crate) trait Word: Copy {
    /// The same word in every lane.
    fn all(word: u32) -> Self;
    /// Sum modulo 2^32.
    fn add(self, other: Self) -> Self;
    /// Bits moved to the right, those that fall off coming in again at the left; `LEFT` is 32 - `RIGHT`.
    fn rotate<const RIGHT: i32, const LEFT: i32>(self) -> Self;
    /// Bits moved to the right, zeros coming in at the left.
    fn shift<const RIGHT: u32>(self) -> Self;
    /// The three added without carry.
    fn xor3(self, b: Self, c: Self) -> Self;
    /// Bits of `b` where this has ones, of `c` where it has zeros.
    fn choose(self, b: Self, c: Self) -> Self;
    /// The bits that at least two have.
    fn majority(self, b: Self, c: Self) -> Self;
}

impl Word for u32 {
    #[inline(always)]
    fn all(word: u32) -> Self {
        word
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn rotate<const RIGHT: i32, const LEFT: i32>(self) -> Self {
        self.rotate_right(RIGHT as u32)
    }

    #[inline(always)]
    fn shift<const RIGHT: u32>(self) -> Self {
        self >> RIGHT
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        self ^ b ^ c
    }

    #[inline(always)]
    fn choose(self, b: Self, c: Self) -> Self {
        c ^ (self & (b ^ c))
    }

    #[inline(always)]
    fn majority(self, b: Self, c: Self) -> Self {
        (self & b) | (c & (self | b))
    }
}

/// The state before the first block (FIPS 180-4, 5.3.3).
pub(crate) const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The constants of the rounds (FIPS 180-4, 4.2.2).
#[rustfmt::skip]
const K: [[u32; 16]; 4] = [
    [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
        0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    ],
    [
        0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
        0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    ],
    [
        0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
        0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    ],
    [
        0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
        0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ],
];

/// Carries states on by a block each.
// Indices are taken modulo 16 and never add up to more than 29.
#[allow(clippy::arithmetic_side_effects)]
#[inline(always)]
pub(crate) fn compress<W: Word>(state: &mut [W; 8], block: &[W; 16]) {
    let mut w = *block;
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (group, constants) in K.iter().enumerate() {
        for (i, constant) in constants.iter().enumerate() {
            if group > 0 {
                let (w1, w9, w14) = (w[(i + 1) % 16], w[(i + 9) % 16], w[(i + 14) % 16]);
                let s0 = w1.rotate::<7, 25>().xor3(w1.rotate::<18, 14>(), w1.shift::<3>());
                let s1 = w14.rotate::<17, 15>().xor3(w14.rotate::<19, 13>(), w14.shift::<10>());
                w[i] = w[i].add(s0).add(w9.add(s1));
            }
            let s1 = e.rotate::<6, 26>().xor3(e.rotate::<11, 21>(), e.rotate::<25, 7>());
            let t1 = h.add(w[i].add(W::all(*constant))).add(s1.add(e.choose(f, g)));
            let s0 = a.rotate::<2, 30>().xor3(a.rotate::<13, 19>(), a.rotate::<22, 10>());
            let t2 = s0.add(a.majority(b, c));
            (h, g, f, e) = (g, f, e, d.add(t1));
            (d, c, b, a) = (c, b, a, t1.add(t2));
        }
    }
    for (word, add) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = word.add(add);
    }
}
