use proptest::prelude::*;

use super::*;
use crate::abi::{Op, Request};
#[cfg(feature = "std")]
use crate::executor::{Backend, Cpu, Inputs, reference_leaf};

/// The same recurrence in 128 bits, where nothing can overflow, and without the reference's order of operations.
fn wide_escape(cx: i64, cy: i64, max_iter: u32) -> u32 {
    let (cx, cy, one) = (i128::from(cx), i128::from(cy), 1i128 << FRACTION_BITS);
    let (mut x, mut y) = (0i128, 0i128);
    for i in 0..max_iter {
        if x * x + y * y > 4 * one * one {
            return i;
        }
        (x, y) = ((x * x - y * y).div_euclid(one) + cx, (2 * x * y).div_euclid(one) + cy);
    }
    max_iter
}

proptest! {
    #[test]
    fn nothing_overflows_in_the_plane(cx in -PLANE + 1..PLANE, cy in -PLANE + 1..PLANE, near in any::<bool>()) {
        // Half of the points near the set, where orbits are long.
        let (cx, cy) = if near { (cx / 4 - PLANE / 8, cy / 4) } else { (cx, cy) };
        prop_assert_eq!(escape(cx, cy, 300), wide_escape(cx, cy, 300));
    }
}

#[test]
fn known_points() {
    let at = |x: f64, y: f64| escape((x * f64::from(1 << 28)) as i64, (y * f64::from(1 << 28)) as i64, 1000);
    assert_eq!(at(0.0, 0.0), 1000);
    assert_eq!(at(-1.0, 0.0), 1000);
    // On the circle of radius 2 itself -2 stays and 2 leaves at the second step.
    assert_eq!(at(-2.0, 0.0), 1000);
    assert_eq!(at(2.0, 0.0), 2);
    assert_eq!(at(3.9, 3.9), 1);
    assert_eq!(at(1.0, 0.0), 3);
    let corner = PLANE - 1;
    for (x, y) in [(corner, corner), (-corner, corner), (corner, -corner), (-corner, -corner)] {
        assert_eq!(escape(x, y, 4096), 1);
    }
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
    assert_eq!(geometry.leaves(), Some(55));
    assert_eq!(geometry.leaf_span(0).unwrap().bytes, 256);
    assert_eq!(geometry.leaf_span(54).unwrap().bytes, 2 * (7000 - 54 * 128));
    let largest = Params { width: MAX_SIDE, height: MAX_SIDE, step: 1, ..image() };
    assert!(EscapeTime::geometry(&EscapeTime::parse(&largest.to_bytes()).unwrap()).unwrap().is_valid());
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
    assert_eq!(request(0, 127), Ok(2));
    assert_eq!(request(54, 87), Ok(2));
    assert_eq!(request(54, 88), Err(AbiError::NoSuchCell));
    assert_eq!(request(0, 128), Err(AbiError::NoSuchCell));
    assert_eq!(request(55, 0), Err(AbiError::NoSuchCell));
    assert_eq!(request(u64::MAX, u32::MAX), Err(AbiError::NoSuchCell));
    let data = [1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let request = Request::parse(&data, &[]).unwrap();
    assert_eq!(EscapeTime::cell(&params, &request, 0, 0, &mut [0; 1]), Err(AbiError::OutputTooSmall));
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
