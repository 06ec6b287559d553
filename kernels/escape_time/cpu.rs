//! `escape_time` on processors: 32 pixels at a time, in vectors where the processor has them.
//!
//! The vectors run blocks of iterations without counting. A block in which a point that was inside may have escaped is run
//! again from its start, that point alone, to see at which iteration: once for each point.

use super::{ESCAPED, FIRST_HASH, Orbit, Pixel};

/// Pixels at a time.
pub(super) const LANES: usize = 32;
/// Iterations between two looks at whether a point has escaped.
const BLOCK: u32 = 16;

/// Points on their way, coordinates modulo 2^32.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Orbits {
    x: [u64; LANES],
    y: [u64; LANES],
    hash: [u64; LANES],
    /// c, in the high halves.
    cx: [u64; LANES],
    cy: [u64; LANES],
    /// Bits that |z|^2 has had in this block.
    seen: [u64; LANES],
}

impl Orbits {
    fn orbit(&self, lane: usize) -> Orbit {
        Orbit {
            x: i64::from(self.x[lane] as u32 as i32),
            y: i64::from(self.y[lane] as u32 as i32),
            hash: self.hash[lane],
        }
    }
}

/// Carries all points on by so many iterations, and notes the bits of |z|^2.
type AdvanceFn = fn(&mut Orbits, u32);

/// The fastest that this processor has.
pub(super) fn best() -> Way {
    wide().or_else(narrow).unwrap_or(Way(advance))
}

/// A way to carry points on.
#[derive(Clone, Copy)]
pub(super) struct Way(AdvanceFn);

impl Way {
    /// The pixels of these points.
    pub(super) fn pixels(self, points: &[(i64, i64); LANES], max_iter: u32) -> [Pixel; LANES] {
        let zeros = [0; LANES];
        let mut orbits = Orbits {
            x: zeros,
            y: zeros,
            hash: [FIRST_HASH; LANES],
            cx: points.map(|point| (point.0 as u64) << 32),
            cy: points.map(|point| (point.1 as u64) << 32),
            seen: zeros,
        };
        // Ones for the points that have not escaped.
        let (mut counts, mut inside) = ([max_iter as u16; LANES], [u64::MAX; LANES]);
        let mut done = 0;
        while done < max_iter {
            let (before, iterations) = (orbits, BLOCK.min(max_iter.wrapping_sub(done)));
            orbits.seen = zeros;
            (self.0)(&mut orbits, iterations);
            let any = inside.iter().zip(&orbits.seen).fold(0, |any, (inside, seen)| any | inside & seen);
            for lane in (0..LANES).filter(|_| any >= ESCAPED) {
                if inside[lane] & orbits.seen[lane] < ESCAPED {
                    continue;
                }
                let (mut orbit, cx, cy) = (before.orbit(lane), orbits.cx[lane], orbits.cy[lane]);
                // None, where |z| was 2 and no more.
                if let Some(after) = (0..iterations).find(|_| orbit.step(cx, cy) > ESCAPED) {
                    (inside[lane], counts[lane]) = (0, done.wrapping_add(after) as u16);
                }
            }
            done = done.wrapping_add(iterations);
        }
        let mut pixels = [Pixel { count: 0, trace: 0 }; LANES];
        for (lane, (pixel, count)) in pixels.iter_mut().zip(counts).enumerate() {
            *pixel = Pixel { count, trace: orbits.orbit(lane).trace() };
        }
        pixels
    }
}

/// Without vectors: four points side by side, as an iteration waits for the one before it.
fn advance(orbits: &mut Orbits, iterations: u32) {
    const TOGETHER: usize = 4;
    for first in (0..LANES).step_by(TOGETHER) {
        let lanes: [usize; TOGETHER] = core::array::from_fn(|i| first.wrapping_add(i));
        let (mut some, mut seen) = (lanes.map(|lane| orbits.orbit(lane)), [0; TOGETHER]);
        let (cx, cy) = (lanes.map(|lane| orbits.cx[lane]), lanes.map(|lane| orbits.cy[lane]));
        for _ in 0..iterations {
            for i in 0..TOGETHER {
                seen[i] |= some[i].step(cx[i], cy[i]);
            }
        }
        for ((lane, orbit), seen) in lanes.into_iter().zip(some).zip(seen) {
            (orbits.x[lane], orbits.y[lane], orbits.hash[lane]) = (orbit.x as u64, orbit.y as u64, orbit.hash);
            orbits.seen[lane] = seen;
        }
    }
}

/// With vectors of 512 bits, where the processor has them.
fn wide() -> Option<Way> {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx512f") {
        // SAFETY: this closure is returned only where the processor has AVX-512F.
        return Some(Way(|orbits, iterations| unsafe { vectors::advance_avx512(orbits, iterations) }));
    }
    None
}

/// With vectors of 256 bits, where the processor has them.
fn narrow() -> Option<Way> {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        // SAFETY: this closure is returned only where the processor has AVX2.
        return Some(Way(|orbits, iterations| unsafe { vectors::advance_avx2(orbits, iterations) }));
    }
    None
}

#[cfg(target_arch = "x86_64")]
mod vectors {
    use core::arch::x86_64::*;

    use super::super::{MULTIPLIER, PRODUCT_UP, SQUARES_UP};
    use super::Orbits;

    /// A function that carries all points on, `$together` vectors of `$lanes` at a time, so that one computes while
    /// another waits.
    macro_rules! advance {
        (
            $name:ident, $feature:literal, $vector:ty, $lanes:literal x $together:literal, $load:ident, $store:ident,
            $all:ident, $mul_signed:ident, $mul:ident, $add:ident, $sub:ident, $xor:ident, $or:ident, $up:ident, $down:ident
        ) => {
            #[target_feature(enable = $feature)]
            pub(super) fn $name(orbits: &mut Orbits, iterations: u32) {
                const GROUP: usize = $lanes * $together;
                let load = |from: &[u64; GROUP]| -> [$vector; $together] {
                    let (parts, _) = from.as_chunks::<$lanes>();
                    // SAFETY: a part has the bytes of a vector.
                    core::array::from_fn(|at| unsafe { $load(parts[at].as_ptr().cast()) })
                };
                let store = |to: &mut [u64; GROUP], vectors: [$vector; $together]| {
                    let (parts, _) = to.as_chunks_mut::<$lanes>();
                    for (part, vector) in parts.iter_mut().zip(vectors) {
                        // SAFETY: as above.
                        unsafe { $store(part.as_mut_ptr().cast(), vector) };
                    }
                };
                let multiplier = $all(MULTIPLIER as i64);
                let Orbits { x, y, hash, cx, cy, seen } = orbits;
                let groups = x
                    .as_chunks_mut::<GROUP>()
                    .0
                    .iter_mut()
                    .zip(y.as_chunks_mut::<GROUP>().0)
                    .zip(hash.as_chunks_mut::<GROUP>().0)
                    .zip(cx.as_chunks::<GROUP>().0)
                    .zip(cy.as_chunks::<GROUP>().0)
                    .zip(seen.as_chunks_mut::<GROUP>().0);
                for (((((x_of, y_of), hash_of), cx), cy), seen_of) in groups {
                    let (mut x, mut y, mut hash) = (load(x_of), load(y_of), load(hash_of));
                    let (cx, cy, mut seen) = (load(cx), load(cy), load(seen_of));
                    for _ in 0..iterations {
                        for i in 0..$together {
                            let (xx, yy) = ($mul_signed(x[i], x[i]), $mul_signed(y[i], y[i]));
                            let xy = $mul_signed(x[i], y[i]);
                            let square = $add(xx, yy);
                            let mixed = $xor(hash[i], square);
                            let dither = $down::<32>(mixed);
                            seen[i] = $or(seen[i], square);
                            hash[i] = $mul($xor(mixed, dither), multiplier);
                            let wide_x = $add($add($up::<{ SQUARES_UP as _ }>($sub(xx, yy)), cx[i]), dither);
                            let wide_y = $add($add($up::<{ PRODUCT_UP as _ }>(xy), cy[i]), dither);
                            (x[i], y[i]) = ($down::<32>(wide_x), $down::<32>(wide_y));
                        }
                    }
                    store(x_of, x);
                    store(y_of, y);
                    store(hash_of, hash);
                    store(seen_of, seen);
                }
            }
        };
    }

    advance!(
        advance_avx2, "avx2", __m256i, 4 x 2, _mm256_loadu_si256, _mm256_storeu_si256, _mm256_set1_epi64x,
        _mm256_mul_epi32, _mm256_mul_epu32, _mm256_add_epi64, _mm256_sub_epi64, _mm256_xor_si256, _mm256_or_si256,
        _mm256_slli_epi64, _mm256_srli_epi64
    );
    advance!(
        advance_avx512, "avx512f", __m512i, 8 x 4, _mm512_loadu_si512, _mm512_storeu_si512, _mm512_set1_epi64,
        _mm512_mul_epi32, _mm512_mul_epu32, _mm512_add_epi64, _mm512_sub_epi64, _mm512_xor_si512, _mm512_or_si512,
        _mm512_slli_epi64, _mm512_srli_epi64
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{MAX_ITER, PLANE, pixel};
    use super::*;

    fn ways() -> impl Iterator<Item = Way> {
        [Some(Way(advance)), narrow(), wide(), Some(best())].into_iter().flatten()
    }

    proptest! {
        #[test]
        fn every_way_is_the_reference(
            points in prop::array::uniform32((-PLANE + 1..PLANE, -PLANE + 1..PLANE)), near in any::<u32>(),
            max_iter in 1u32..400,
        ) {
            // Some points near the set, where orbits are long.
            let mut lane = 0;
            let points = points.map(|(x, y)| {
                lane += 1;
                if near >> (lane - 1) & 1 == 1 { (x / 4 - PLANE / 8, y / 4) } else { (x, y) }
            });
            let expected = points.map(|(x, y)| pixel(x, y, max_iter));
            for way in ways() {
                prop_assert_eq!(way.pixels(&points, max_iter), expected);
            }
        }
    }

    #[test]
    fn points_at_the_limits_are_the_references() {
        let (two, corner) = (PLANE / 2, PLANE - 1);
        // On the circle of radius 2 for ever, just outside of it, the corners of the plane, and the set's own.
        let marks = [(-two, 0), (-two - 1, 0), (two, 0), (0, two), (0, 0), (1, 0), (-two / 2, 0), (0, two / 2)];
        let corners = [(corner, corner), (-corner, corner), (corner, -corner), (-corner, -corner)];
        let mut points = [(0, 0); LANES];
        for (place, point) in points.iter_mut().zip(marks.into_iter().chain(corners).cycle()) {
            *place = point;
        }
        for max_iter in [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, MAX_ITER] {
            for way in ways() {
                assert_eq!(way.pixels(&points, max_iter), points.map(|(x, y)| pixel(x, y, max_iter)), "{max_iter}");
            }
        }
    }
}
