//! `escape_time` on processors: eight neighbouring pixels at a time, which the compiler turns into vector instructions.

use super::{ESCAPED, FRACTION_BITS};

/// Pixels at a time.
pub(super) const LANES: usize = 8;

/// [`escape`](super::escape) of eight points, with the same bounds.
pub(super) type EscapeFn = fn(&[i64; LANES], &[i64; LANES], u32) -> [u32; LANES];

/// The fastest that this processor has.
pub(super) fn best_escape() -> EscapeFn {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        return |cx, cy, max_iter| {
            // SAFETY: this closure is returned only where the processor has AVX2.
            unsafe { escape_avx2(cx, cy, max_iter) }
        };
    }
    escape_lanes
}

/// Runs until all eight have escaped; those that did count no further, and what becomes of them does not matter.
#[inline(always)]
fn escape_lanes(cx: &[i64; LANES], cy: &[i64; LANES], max_iter: u32) -> [u32; LANES] {
    let (mut x, mut y) = ([0i64; LANES], [0i64; LANES]);
    let (mut inside, mut count) = ([-1i64; LANES], [0i64; LANES]);
    for _ in 0..max_iter {
        let mut any = 0;
        for lane in 0..LANES {
            // Inside they fit 32 bits, which makes for one vector multiplication instead of three.
            let (a, b) = (i64::from(x[lane] as i32), i64::from(y[lane] as i32));
            let (aa, bb, ab) = (a.wrapping_mul(a), b.wrapping_mul(b), a.wrapping_mul(b));
            inside[lane] &= if aa.wrapping_add(bb) > ESCAPED { 0 } else { -1 };
            count[lane] = count[lane].wrapping_sub(inside[lane]);
            any |= inside[lane];
            x[lane] = (aa.wrapping_sub(bb) >> FRACTION_BITS).wrapping_add(cx[lane]);
            y[lane] = (ab >> (FRACTION_BITS - 1)).wrapping_add(cy[lane]);
        }
        if any == 0 {
            break;
        }
    }
    count.map(|count| count as u32)
}

/// The same loop with wider instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn escape_avx2(cx: &[i64; LANES], cy: &[i64; LANES], max_iter: u32) -> [u32; LANES] {
    escape_lanes(cx, cy, max_iter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{PLANE, escape};
    use super::*;

    proptest! {
        #[test]
        fn every_lane_is_the_reference(
            points in prop::array::uniform8((-PLANE + 1..PLANE, -PLANE + 1..PLANE)), near in any::<u8>(),
            max_iter in 1u32..400,
        ) {
            // Some points near the set, where orbits are long.
            let mut lane = 0;
            let points = points.map(|(x, y)| {
                lane += 1;
                if near >> (lane - 1) & 1 == 1 { (x / 4 - PLANE / 8, y / 4) } else { (x, y) }
            });
            let expected = points.map(|(x, y)| escape(x, y, max_iter));
            let (cx, cy) = (points.map(|point| point.0), points.map(|point| point.1));
            prop_assert_eq!(escape_lanes(&cx, &cy, max_iter), expected);
            prop_assert_eq!(best_escape()(&cx, &cy, max_iter), expected);
        }
    }
}
