use super::*;
use crate::abi::VerifierError;

#[test]
fn params_are_checked_by_name() {
    let parse = |m, n, k| GemmI8::parse(&Params { m, n, k }.to_bytes());
    assert_eq!(parse(1, 2, 3), Ok(Params { m: 1, n: 2, k: 3 }));
    assert_eq!(GemmI8::parse(&[0; 11]), Err(ParamError::Length));
    assert_eq!(GemmI8::parse(&[0; 13]), Err(ParamError::Length));
    for (m, n, k) in [(0, 1, 1), (1, 0, 1), (1, 1, 0)] {
        assert_eq!(parse(m, n, k), Err(ParamError::Zero));
    }
    assert_eq!(parse(MAX_SIDE + 1, 1, 1), Err(ParamError::TooLarge));
    assert_eq!(parse(1, MAX_SIDE + 1, 1), Err(ParamError::TooLarge));
    assert_eq!(parse(1, 1, MAX_K + 1), Err(ParamError::NeedsSteps));
    assert!(VerifierError::from(ParamError::NeedsSteps).text().contains("32,768"));
    let largest = parse(MAX_SIDE, MAX_SIDE, MAX_K).unwrap();
    assert!(GemmI8::geometry(&largest).unwrap().is_valid());
}

#[test]
fn geometry_pads_rows_to_chunks() {
    for (k, row_bytes) in [(1, 1024), (1024, 1024), (1025, 2048), (MAX_K, 32_768)] {
        let params = Params { m: 3, n: 50, k };
        let geometry = GemmI8::geometry(&params).unwrap();
        assert!(geometry.is_valid());
        assert_eq!(geometry.input_bytes, [3 * row_bytes, 50 * row_bytes, 0, 0]);
        assert_eq!(geometry.leaves(), Some(3));
        assert_eq!(geometry.leaf_span(2).unwrap().bytes, 4 * (150 - 128));
    }
    assert_eq!(GemmI8::describe().name(), "gemm_i8");
}

#[cfg(feature = "std")]
mod whole_jobs {
    use proptest::prelude::*;

    use super::*;
    use crate::executor::{Backend, Cpu, ExecError, Inputs, reference_cell, reference_leaf};

    /// Pads rows of k bytes with `padding`, which must not matter.
    fn padded(rows: &[Vec<i8>], padding: u8) -> Vec<u8> {
        rows.iter()
            .flat_map(|row| {
                let mut bytes: Vec<u8> = row.iter().map(|x| *x as u8).collect();
                bytes.resize(row.len().div_ceil(1024) * 1024, padding);
                bytes
            })
            .collect()
    }

    fn matrix(rows: u32, columns: u32, seed: u64) -> Vec<Vec<i8>> {
        let mut state = seed.wrapping_mul(2).wrapping_add(1);
        let mut next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            match state >> 60 {
                0 => -128,
                1 => 127,
                _ => (state >> 40) as i8,
            }
        };
        (0..rows).map(|_| (0..columns).map(|_| next()).collect()).collect()
    }

    /// C by the textbook, in bytes.
    fn textbook(a: &[Vec<i8>], bt: &[Vec<i8>]) -> Vec<u8> {
        let element = |x: &[i8], y: &[i8]| x.iter().zip(y).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum::<i32>();
        a.iter().flat_map(|row| bt.iter().flat_map(|column| element(row, column).to_le_bytes())).collect()
    }

    proptest! {
        #[test]
        fn reference_and_executor_equal_the_textbook(
            m in 1u32..12, n in 1u32..90, k in prop_oneof![1u32..40, 1000u32..1050, 2040u32..2060],
            seed in any::<u64>(), padding in any::<u8>(),
        ) {
            let (a, bt) = (matrix(m, k, seed), matrix(n, k, !seed));
            let expected = textbook(&a, &bt);
            let (a, bt) = (padded(&a, padding), padded(&bt, !padding));
            let inputs = Inputs { inputs: [&a, &bt, &[], &[]] };
            let params = Params { m, n, k }.to_bytes();
            let leaves = crate::registry::geometry(2, &params).unwrap().leaves().unwrap();
            prop_assert_eq!(&Cpu.run(2, &params, &inputs, 0..leaves).unwrap(), &expected);
            for leaf in 0..leaves {
                let reference = reference_leaf(2, &params, &inputs, leaf).unwrap();
                let start = leaf as usize * 256;
                prop_assert_eq!(&reference[..], &expected[start..(start + 256).min(expected.len())]);
                // Leaves begin and end anywhere in a row.
                prop_assert_eq!(Cpu.run(2, &params, &inputs, leaf..leaf + 1).unwrap(), reference);
            }
            let middle = leaves / 3..leaves;
            prop_assert_eq!(&Cpu.run(2, &params, &inputs, middle.clone()).unwrap()[..], &expected[middle.start as usize * 256..]);
        }
    }

    #[test]
    fn largest_k_and_extreme_values_are_exact() {
        for (x, y) in [(-128i8, -128i8), (-128, 127), (127, 127)] {
            let a = vec![vec![x; MAX_K as usize]; 2];
            let bt = vec![vec![y; MAX_K as usize]; 3];
            let expected = textbook(&a, &bt);
            let (a, bt) = (padded(&a, 0), padded(&bt, 0));
            let inputs = Inputs { inputs: [&a, &bt, &[], &[]] };
            let params = Params { m: 2, n: 3, k: MAX_K }.to_bytes();
            assert_eq!(Cpu.run(2, &params, &inputs, 0..1).unwrap(), expected);
            assert_eq!(reference_leaf(2, &params, &inputs, 0).unwrap(), expected);
        }
    }

    #[test]
    fn bad_requests_are_refused_by_name() {
        let params = Params { m: 2, n: 3, k: 5 }.to_bytes();
        let (a, bt) = (vec![0; 2048], vec![0; 3072]);
        let good = Inputs { inputs: [&a, &bt, &[], &[]] };
        assert!(Cpu.run(2, &params, &good, 0..1).is_ok());
        assert_eq!(Cpu.run(2, &params, &good, 0..2), Err(ExecError::LeafRange));
        #[allow(clippy::reversed_empty_ranges)]
        let backwards = 1..0;
        assert_eq!(Cpu.run(2, &params, &good, backwards), Err(ExecError::LeafRange));
        assert_eq!(Cpu.run(9, &params, &good, 0..1), Err(ExecError::Kernel(VerifierError::UnknownKernel)));
        assert_eq!(Cpu.run(2, &[1], &good, 0..1), Err(ExecError::Kernel(VerifierError::ParamsLength)));
        let short = Inputs { inputs: [&a, &bt[..3071], &[], &[]] };
        let error = ExecError::InputLength { input: 1, expected: 3072, got: 3071 };
        assert_eq!(Cpu.run(2, &params, &short, 0..1), Err(error.clone()));
        assert_eq!(reference_cell(2, &params, &short, 0, 0), Err(error));
        assert_eq!(reference_cell(2, &params, &good, 0, 6), Err(ExecError::Kernel(VerifierError::NoSuchCell)));
    }
}
