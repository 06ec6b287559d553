use proptest::prelude::*;

use super::*;
use crate::abi::{Op, Request};
#[cfg(feature = "std")]
use crate::executor::{Backend, Cpu, Inputs, reference_leaf};

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The same recurrence in 128 bits, where nothing overflows, and without the reference's order of operations; `None` where
/// a coordinate left the 32 bits that it has before the orbit had escaped.
fn wide_pixel(cx: i64, cy: i64, max_iter: u32) -> Option<Pixel> {
    let (cx, cy, unit) = (i128::from(cx), i128::from(cy), 1i128 << 32);
    let (mut x, mut y, mut hash, mut count) = (0i128, 0i128, 0x9e37_79b1_85eb_ca77_i128, None);
    for i in 0..max_iter {
        let square = x * x + y * y;
        if square > 4 << 56 {
            count = count.or(Some(i));
        }
        let (low, high) = ((hash ^ square).rem_euclid(unit), (hash ^ square).div_euclid(unit));
        let next = [(16 * (x * x - y * y) + high).div_euclid(unit) + cx, (32 * x * y + high).div_euclid(unit) + cy];
        let wrapped = next.map(|to| i128::from(to as i32));
        if count.is_none() && wrapped != next {
            return None;
        }
        [x, y] = wrapped;
        hash = (low ^ high) * 0x9e37_79b1;
    }
    let trace = (hash >> 48 ^ x ^ y) as u16;
    Some(Pixel { count: count.unwrap_or(max_iter) as u16, trace })
}

/// Iterations in floating point, which is not exact.
fn float_count(cx: i64, cy: i64, max_iter: u32) -> u32 {
    let (cx, cy) = (cx as f64 / f64::from(1 << 28), cy as f64 / f64::from(1 << 28));
    let (mut x, mut y) = (0.0, 0.0);
    for i in 0..max_iter {
        if x * x + y * y > 4.0 {
            return i;
        }
        (x, y) = (x * x - y * y + cx, 2.0 * x * y + cy);
    }
    max_iter
}

proptest! {
    #[test]
    fn nothing_overflows_in_the_plane_before_it_escapes(
        cx in -PLANE + 1..PLANE, cy in -PLANE + 1..PLANE, near in any::<bool>(), max_iter in 1u32..600,
    ) {
        // Half of the points near the set, where orbits are long.
        let (cx, cy) = if near { (cx / 4 - PLANE / 8, cy / 4) } else { (cx, cy) };
        prop_assert_eq!(Some(pixel(cx, cy, max_iter)), wide_pixel(cx, cy, max_iter));
    }

    #[test]
    fn the_last_iteration_counts_like_any_other(cx in -PLANE + 1..PLANE, cy in -PLANE + 1..PLANE, max_iter in 1u32..300) {
        // What the trace is after one iteration less is another number, but for one case in 65,536.
        let traces: Vec<u16> = (max_iter..max_iter + 8).map(|most| pixel(cx, cy, most).trace).collect();
        prop_assert!(traces.windows(2).filter(|two| two[0] == two[1]).count() <= 1, "{:?}", traces);
    }
}

/// That a hash decides how an iteration rounds changes no picture: few pixels are off, by little, as with any rounding.
#[test]
fn counts_are_those_of_floating_point_but_for_some_at_the_edge() {
    let (mut same, mut all) = (0, 0);
    for i in -100i64..60 {
        for j in -60i64..60 {
            let (cx, cy) = (i * 5_400_000, j * 5_400_000);
            let (exact, float) = (u32::from(pixel(cx, cy, 500).count), float_count(cx, cy, 500));
            same += u32::from(exact == float);
            all += 1;
        }
    }
    assert!(same * 1_000 >= all * 995, "{same} of {all}");
}

/// Inside the set an orbit comes close to a cycle. If it ever ran into one exactly, what follows could be told without
/// computing it.
#[test]
fn no_orbit_repeats_itself() {
    let mut tried = 0;
    let exact = [(0, 0), (1, 0), (-PLANE / 4, 0), (-PLANE / 2, 0), (0, PLANE / 4), (-PLANE / 4 + 1, 0)];
    let inside = (0..400).map(|i| (-PLANE / 3 + i * 1_300_003, (i % 20) * 3_000_017));
    for (cx, cy) in exact.into_iter().chain(inside) {
        if u32::from(pixel(cx, cy, MAX_ITER).count) < MAX_ITER {
            continue;
        }
        let (mut orbit, mut seen) = (Orbit::START, std::collections::HashSet::new());
        for _ in 0..MAX_ITER {
            // Of the hash only these bits go on.
            assert!(seen.insert((orbit.x, orbit.y, (orbit.hash ^ orbit.hash >> 32) as u32)), "{cx} {cy}");
            orbit.step((cx as u64) << 32, (cy as u64) << 32);
        }
        tried += 1;
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn known_points() {
    let at = |x: f64, y: f64| pixel((x * f64::from(1 << 28)) as i64, (y * f64::from(1 << 28)) as i64, 1000).count;
    assert_eq!(at(0.0, 0.0), 1000);
    assert_eq!(at(-1.0, 0.0), 1000);
    // On the circle of radius 2 itself -2 stays and 2 leaves at the second step.
    assert_eq!(at(-2.0, 0.0), 1000);
    assert_eq!(at(2.0, 0.0), 2);
    assert_eq!(at(3.9, 3.9), 1);
    assert_eq!(at(1.0, 0.0), 3);
    let corner = PLANE - 1;
    for (x, y) in [(corner, corner), (-corner, corner), (corner, -corner), (-corner, -corner)] {
        assert_eq!(pixel(x, y, 4096).count, 1);
    }
}

#[test]
fn cells_are_those_of_another_implementation() {
    let lines = include_str!("vectors.txt").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for line in lines {
        let [params, leaf, bytes] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (bytes, leaf) = (unhex(bytes), leaf.parse().unwrap());
        let params = EscapeTime::parse(&unhex(params)).unwrap();
        let first = leaf * u64::from(PIXELS_PER_LEAF);
        let cells = (first..params.pixels()).take(PIXELS_PER_LEAF as usize);
        let made: Vec<u8> = cells
            .flat_map(|at| {
                let (cx, cy) = params.point(at);
                pixel(cx, cy, params.max_iter).to_bytes()
            })
            .collect();
        assert_eq!(made, bytes);
        #[cfg(feature = "std")]
        {
            let params = params.to_bytes();
            assert_eq!(reference_leaf(1, &params, &Inputs::default(), leaf).unwrap(), bytes);
            assert_eq!(Cpu.run(1, &params, &Inputs::default(), leaf..leaf + 1).unwrap(), bytes);
        }
        count += 1;
    }
    assert_eq!(count, 9);
}

#[test]
fn a_pixel_is_its_bytes() {
    let pixel = Pixel { count: 4_096, trace: 0xabcd };
    assert_eq!(pixel.to_bytes(), [0x00, 0x10, 0xcd, 0xab]);
    assert_eq!(Pixel::from_bytes(pixel.to_bytes()), pixel);
}

fn image() -> Params {
    Params { width: 100, height: 70, max_iter: 64, x0: -(2 << 28), y0: -(1 << 28), step: 8_000_000 }
}

#[test]
fn params_are_checked_by_name() {
    let good = image();
    assert_eq!(EscapeTime::parse(&good.to_bytes()), Ok(good));
    let refused = |change: &dyn Fn(&mut Params)| {
        let mut params = good;
        change(&mut params);
        EscapeTime::parse(&params.to_bytes()).err()
    };
    assert_eq!(EscapeTime::parse(&[0; 35]), Err(ParamError::Length));
    assert_eq!(EscapeTime::parse(&[0; 37]), Err(ParamError::Length));
    assert_eq!(refused(&|p| p.width = 0), Some(ParamError::Zero));
    assert_eq!(refused(&|p| p.height = 0), Some(ParamError::Zero));
    assert_eq!(refused(&|p| p.max_iter = 0), Some(ParamError::Zero));
    assert_eq!(refused(&|p| p.step = 0), Some(ParamError::Zero));
    assert_eq!(refused(&|p| p.width = MAX_SIDE + 1), Some(ParamError::TooLarge));
    assert_eq!(refused(&|p| p.height = u32::MAX), Some(ParamError::TooLarge));
    assert_eq!(refused(&|p| p.max_iter = MAX_ITER + 1), Some(ParamError::TooLarge));
    assert_eq!(refused(&|p| p.max_iter = MAX_ITER), None);
    for bad in [PLANE, -PLANE, i64::MAX, i64::MIN] {
        assert_eq!(refused(&|p| p.x0 = bad), Some(ParamError::OutOfPlane));
        assert_eq!(refused(&|p| p.y0 = bad), Some(ParamError::OutOfPlane));
    }
    for bad in [-1, i64::MIN, i64::MAX, 8 << 28] {
        assert_eq!(refused(&|p| p.step = bad), Some(ParamError::OutOfPlane));
    }
    // The last column lies exactly on the edge or just inside.
    let edge = |x0: i64| refused(&|p| (p.x0, p.step, p.width) = (x0, 1 << 20, 101));
    assert_eq!(edge(PLANE - 1 - (100 << 20)), None);
    assert_eq!(edge(PLANE - (100 << 20)), Some(ParamError::OutOfPlane));
}

#[test]
fn description_and_geometry() {
    let describe = EscapeTime::describe();
    assert_eq!(describe.name(), "escape_time");
    let geometry = EscapeTime::geometry(&image()).unwrap();
    assert!(geometry.is_valid());
    assert_eq!(geometry.cells(), Some(7000));
    assert_eq!(geometry.leaves(), Some(110));
    assert_eq!(geometry.leaf_span(0).unwrap().bytes, 256);
    assert_eq!(geometry.leaf_span(109).unwrap().bytes, 4 * (7000 - 109 * 64));
    assert_eq!(geometry.answer_transactions, 1);
    let largest = Params { width: MAX_SIDE, height: MAX_SIDE, step: 1, ..image() };
    assert!(EscapeTime::geometry(&EscapeTime::parse(&largest.to_bytes()).unwrap()).unwrap().is_valid());
    // 17 hashes and the leaf fit an adjudication, 21 two pieces of evidence.
    let transactions = |width, height| {
        EscapeTime::geometry(&Params { width, height, step: 1, ..image() }).unwrap().answer_transactions
    };
    assert_eq!((transactions(1 << 12, 1 << 11), transactions(1 << 12, (1 << 11) + 1)), (1, 3));
    assert_eq!((transactions(1 << 14, 1 << 13), transactions(1 << 14, (1 << 13) + 1)), (3, 4));
    assert_eq!((transactions(MAX_SIDE, MAX_SIDE), describe.answer_transactions), (4, 4));
    assert_eq!((describe.flags, describe.amplification_bps), (0, 10_000));
}

#[test]
fn cells_that_do_not_exist_are_refused() {
    let params = image();
    let request = |leaf, cell| {
        let mut data = [0; 20];
        crate::abi::encode_header(&mut data, Op::Cell, 1, &[], 0, leaf, cell).unwrap();
        let request = Request::parse(&data, &[]).unwrap();
        EscapeTime::cell(&params, &request, leaf, cell, &mut [0; 8])
    };
    assert_eq!(request(0, 63), Ok(4));
    assert_eq!(request(109, 23), Ok(4));
    assert_eq!(request(109, 24), Err(AbiError::NoSuchCell));
    assert_eq!(request(0, 64), Err(AbiError::NoSuchCell));
    assert_eq!(request(110, 0), Err(AbiError::NoSuchCell));
    assert_eq!(request(u64::MAX, u32::MAX), Err(AbiError::NoSuchCell));
    let data = [1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let request = Request::parse(&data, &[]).unwrap();
    assert_eq!(EscapeTime::cell(&params, &request, 0, 0, &mut [0; 3]), Err(AbiError::OutputTooSmall));
}

#[cfg(feature = "std")]
proptest! {
    #[test]
    fn executor_equals_reference(
        width in 1u32..300, height in 1u32..40, max_iter in 1u32..200, x in 0i64..100, y in 0i64..100,
        step in 1i64..1_000_000, cut in any::<prop::sample::Index>(),
    ) {
        let params = Params { width, height, max_iter, x0: (x - 60) << 24, y0: (y - 50) << 24, step }.to_bytes();
        let leaves = crate::registry::geometry(1, &params).unwrap().leaves().unwrap();
        let inputs = Inputs::default();
        let mut expected = Vec::new();
        let start = cut.index(leaves as usize) as u64;
        for leaf in start..leaves {
            expected.extend(reference_leaf(1, &params, &inputs, leaf).unwrap());
        }
        prop_assert_eq!(Cpu.run(1, &params, &inputs, start..leaves).unwrap(), expected);
        prop_assert_eq!(Cpu.run(1, &params, &inputs, start..start).unwrap(), Vec::<u8>::new());
    }
}
