//! From a sum to the int8 value that the next layer reads: gemmlowp's two roundings, and no other.
//!
//! `RoundingDivideByPOT(SaturatingRoundingDoublingHighMul(sum, multiplier), shift)`, then cut to the activation's range.
//! Both are defined in gemmlowp's `fixedpoint/fixedpoint.h` (commit 032a5999). The first rounds halves up, the second
//! halves away from zero. The first saturates only where both factors are -2^31, and a multiplier never is.

/// A layer's requantisation, ready to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requantise {
    multiplier: i64,
    shift: u32,
    /// Half of what the shift takes off; 0 without a shift.
    half: i64,
    /// -1 where halves of negative numbers are still to be turned away from zero, else 0.
    away: i64,
    low: i64,
}

/// 2^30: half of what the doubling high multiplication takes off.
const NUDGE: i64 = 1 << 30;

impl Requantise {
    /// For a multiplier up to 2^31 - 1 and a shift up to 31; `relu` cuts at 0 instead of -128.
    pub fn new(multiplier: u32, shift: u8, relu: bool) -> Self {
        let shift = u32::from(shift.min(super::MAX_SHIFT));
        Self {
            multiplier: i64::from(multiplier),
            shift,
            half: (1i64 << shift) >> 1,
            away: if shift > 0 { -1 } else { 0 },
            low: if relu { 0 } else { -128 },
        }
    }

    /// The int8 value of a sum.
    #[inline(always)]
    pub fn value(&self, sum: i32) -> i8 {
        // gemmlowp adds 2^30 or, below zero, 1 - 2^30 and divides by 2^31 towards zero: for either sign that is the sum
        // with 2^30 added, shifted. All of it stays far below 2^63.
        let high = i64::from(sum).wrapping_mul(self.multiplier).wrapping_add(NUDGE) >> 31;
        // gemmlowp adds 1 to the shifted number where the rest is more than a half, or from zero up a half.
        let away = (high >> 63) & self.away;
        let shifted = high.wrapping_add(self.half).wrapping_add(away) >> self.shift;
        shifted.max(self.low).min(127) as i8
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// gemmlowp's `SaturatingRoundingDoublingHighMul` as it stands there.
    fn doubling_high_mul(a: i32, b: i32) -> i32 {
        if a == b && a == i32::MIN {
            return i32::MAX;
        }
        let product = i64::from(a) * i64::from(b);
        let nudge = if product >= 0 { 1i64 << 30 } else { 1 - (1i64 << 30) };
        ((product + nudge) / (1i64 << 31)) as i32
    }

    /// gemmlowp's `RoundingDivideByPOT` as it stands there.
    fn divide_by_power(x: i32, exponent: u32) -> i32 {
        let mask = ((1i64 << exponent) - 1) as i32;
        let remainder = x & mask;
        let threshold = (mask >> 1) + i32::from(x < 0);
        (x >> exponent) + i32::from(remainder > threshold)
    }

    /// The value by gemmlowp's own words.
    pub fn by_the_book(sum: i32, multiplier: u32, shift: u8, relu: bool) -> i8 {
        let value = divide_by_power(doubling_high_mul(sum, multiplier as i32), u32::from(shift));
        value.clamp(if relu { 0 } else { -128 }, 127) as i8
    }

    #[test]
    fn halves_go_where_gemmlowp_sends_them() {
        // With multiplier 2^30 (one half): the first rounding sends halves up.
        for (sum, expected) in [(1, 1), (-1, 0), (3, 2), (-3, -1), (5, 3), (-5, -2)] {
            assert_eq!(Requantise::new(1 << 30, 0, false).value(sum), expected, "{sum}");
        }
        // The second sends them away from zero; 2^31 - 1 leaves small numbers as they are.
        for (sum, expected) in [(1, 1), (-1, -1), (3, 2), (-3, -2), (2, 1), (-2, -1), (5, 3), (-5, -3)] {
            assert_eq!(Requantise::new(i32::MAX as u32, 1, false).value(sum), expected, "{sum}");
        }
    }

    /// Values by another implementation: `train/requantise_vectors.py`, in Python's integers.
    #[test]
    fn known_answers() {
        let mut seen = 0;
        for line in include_str!("requantise.txt").lines().filter(|line| !line.starts_with('#')) {
            let numbers: Vec<i64> = line.split_whitespace().map(|word| word.parse().unwrap()).collect();
            let [sum, multiplier, shift, relu, value] = numbers[..] else { panic!("{line}") };
            let made = Requantise::new(multiplier as u32, shift as u8, relu == 1).value(sum as i32);
            assert_eq!(i64::from(made), value, "{line}");
            seen += 1;
        }
        assert!(seen > 1_000, "{seen} known answers");
    }

    fn edge() -> impl Strategy<Value = i32> {
        let near = |x: i32| (-3..=3).prop_map(move |d| x.wrapping_add(d));
        prop_oneof![
            any::<i32>(),
            -70_000..70_000,
            near(0),
            near(i32::MIN),
            near(1 << 30),
            (0u32..31, -2..=2i32).prop_map(|(s, d)| (1i32 << s).wrapping_add(d)),
            (0u32..31, -2..=2i32).prop_map(|(s, d)| (-(1i32 << s)).wrapping_add(d)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn equals_gemmlowps_definition(
            sum in edge(), shift in 0u8..=31, relu in any::<bool>(),
            multiplier in prop_oneof![1..=i32::MAX as u32, Just(1), Just(1 << 30), Just(i32::MAX as u32)],
        ) {
            let made = Requantise::new(multiplier, shift, relu).value(sum);
            prop_assert_eq!(made, by_the_book(sum, multiplier, shift, relu));
        }
    }
}
