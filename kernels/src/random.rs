//! Random numbers for jobs to test machines with: from a seed, the same everywhere. Not for secrets.

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    #[inline]
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 where there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        // The quotient of the bits and 2^64, times `end`: below it.
        (u128::from(self.bits()).wrapping_mul(u128::from(end)) >> 64) as u64
    }

    /// A number from `least` to `most`; `least` where that is more.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least.saturating_add(self.below(most.saturating_sub(least).saturating_add(1)))
    }

    /// As [`between`](Self::between), with every length of a number as likely as the others: small ones come up often.
    pub fn small(&mut self, least: u64, most: u64) -> u64 {
        let bits = u64::from(64u32.saturating_sub(most.leading_zeros()));
        let length = self.between(1, bits) as u32;
        let top = u64::MAX.checked_shr(64u32.saturating_sub(length)).unwrap_or(0).min(most);
        self.between(least, top)
    }

    /// True once in `in_so_many` times.
    pub fn once_in(&mut self, in_so_many: u64) -> bool {
        self.below(in_so_many) == 0
    }

    /// One of several; `None` of none.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(usize::try_from(self.below(of.len() as u64)).ok()?)
    }

    /// So many bytes: mostly all random, at times all the same or mostly zero, which is where carries and signs go wrong.
    pub fn bytes(&mut self, len: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        match self.below(8) {
            0 => {
                let same = self.one(&[0x80, 0x7f, 0xff, 0x01, 0x00]).copied().unwrap_or(0x80);
                bytes.fill(same);
            }
            1 => {
                for byte in &mut bytes {
                    let bits = self.bits();
                    *byte = if bits & 0xf00 == 0 { bits as u8 } else { 0 };
                }
            }
            _ => {
                for piece in bytes.chunks_mut(8) {
                    let bits = self.bits().to_le_bytes();
                    piece.iter_mut().zip(bits).for_each(|(to, from)| *to = from);
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_splitmix() {
        // Vigna's reference implementation, from seed 1234567.
        let mut random = Random::new(1_234_567);
        let numbers: [u64; 5] = std::array::from_fn(|_| random.bits());
        let reference = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(numbers, reference);
    }

    #[test]
    fn numbers_stay_in_their_bounds_and_reach_them() {
        let mut random = Random::new(5);
        let seen: std::collections::BTreeSet<u64> = (0..500).map(|_| random.between(3, 9)).collect();
        assert_eq!(seen, (3..=9).collect());
        let small: Vec<u64> = (0..2_000).map(|_| random.small(1, 1_000)).collect();
        assert!(small.iter().all(|n| (1..=1_000).contains(n)) && small.contains(&1));
        assert!(small.iter().filter(|n| **n < 32).count() > 600 && small.iter().any(|n| *n > 900));
        assert_eq!((random.below(0), random.below(1), random.between(7, 7)), (0, 0, 7));
        assert_eq!(random.one::<u8>(&[]), None);
        for len in [0, 1, 7, 8, 1_024] {
            assert_eq!(random.bytes(len).len() as u64, len);
        }
    }
}
