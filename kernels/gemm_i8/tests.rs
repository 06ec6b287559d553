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
    assert_eq!(parse(1, 1, MAX_K + 1), Err(ParamError::TooLarge));
    assert_eq!(parse(1, 1, u32::MAX), Err(ParamError::TooLarge));
    // With steps an input is 2^24 chunks at most: 2^17 rows of 128.
    for (m, n) in [((1 << 17) + 1, 1), (1, (1 << 17) + 1)] {
        assert_eq!(parse(m, n, MAX_K), Err(ParamError::TooLarge));
    }
    for (m, n, k) in [(MAX_SIDE, MAX_SIDE, STEP_K), (1 << 17, 1 << 17, MAX_K)] {
        let largest = parse(m, n, k).unwrap();
        assert!(GemmI8::geometry(&largest).unwrap().is_valid());
    }
}

#[test]
fn steps_read_the_whole_rows_piece_by_piece() {
    fn all(of: impl Fn(&mut dyn FnMut(Read))) -> Vec<(u8, u64)> {
        let mut chunks = Vec::new();
        of(&mut |read| chunks.extend((read.start..read.start + read.count).map(|chunk| (read.source, chunk))));
        chunks.sort_unstable();
        chunks
    }
    for (k, steps) in [(1, 1), (STEP_K, 1), (STEP_K + 1, 2), (40_000, 2), (65_536, 2), (65_537, 3), (MAX_K, 4)] {
        let params = Params { m: 7, n: 70, k };
        assert_eq!(GemmI8::steps(&params), steps);
        // Element (6, 69), the last.
        let (leaf, cell) = (7, 41);
        let whole = all(|out| GemmI8::reads(&params, leaf, cell, out));
        let row_chunks = params.row_chunks();
        assert_eq!(whole.len() as u64, 2 * row_chunks);
        assert_eq!((whole[0], whole[row_chunks as usize]), ((0, 6 * row_chunks), (1, 69 * row_chunks)));
        let pieces = all(|out| (0..steps).for_each(|step| GemmI8::step_reads(&params, leaf, cell, step, out)));
        assert_eq!(pieces, whole);
        for none in [(leaf, cell + 1, 0), (leaf + 1, 0, 0), (leaf, cell, steps), (leaf, cell, u64::MAX)] {
            assert!(all(|out| GemmI8::step_reads(&params, none.0, none.1, none.2, out)).is_empty(), "{none:?}");
        }
    }
}

#[test]
fn geometry_pads_rows_to_chunks() {
    for (k, row_bytes) in [(1, 1024), (1024, 1024), (1025, 2048), (STEP_K, 32_768), (MAX_K, 131_072)] {
        let params = Params { m: 3, n: 50, k };
        let geometry = GemmI8::geometry(&params).unwrap();
        assert!(geometry.is_valid());
        assert_eq!(geometry.input_bytes, [3 * row_bytes, 50 * row_bytes, 0, 0]);
        assert_eq!(geometry.leaves(), Some(3));
        assert_eq!(geometry.leaf_span(2).unwrap().bytes, 4 * (150 - 128));
    }
    assert_eq!(GemmI8::describe().name(), "gemm_i8");
}

/// A product of vectors.txt: params, both inputs and the SHA-256 of C.
#[cfg(feature = "std")]
fn vectors() -> Vec<(Params, [Vec<u8>; 2], crate::hash::Hash)> {
    let hash = |text: &str| -> crate::hash::Hash {
        core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    };
    let matrix = |what: &str, rows: u32, params: &Params| -> Vec<u8> {
        let bytes = 0..u64::from(rows) * params.row_bytes();
        let (kind, number) = what.split_once(':').unwrap();
        let mut state: u64 = number.parse().unwrap();
        let mut next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 56) as u8
        };
        if kind == "lcg" { bytes.map(|_| next()).collect() } else { bytes.map(|_| number.parse().unwrap()).collect() }
    };
    let lines = include_str!("vectors.txt").lines().filter(|line| !line.starts_with('#'));
    let made = lines.map(|line| {
        let [m, n, k, a, b, a_hash, b_hash, c_hash] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let params = Params { m: m.parse().unwrap(), n: n.parse().unwrap(), k: k.parse().unwrap() };
        let (a, b) = (matrix(a, params.m, &params), matrix(b, params.n, &params));
        assert_eq!(crate::hash::sha256(&[&a]), hash(a_hash), "{line}");
        assert_eq!(crate::hash::sha256(&[&b]), hash(b_hash), "{line}");
        (params, [a, b], hash(c_hash))
    });
    made.collect()
}

/// NumPy's numbers: by the executor, by the reference and, through both, by the steps on chain.
#[cfg(feature = "std")]
#[test]
fn the_committed_vectors_hold() {
    use crate::executor::{Backend, Cpu, Inputs, reference_leaf};
    let vectors = vectors();
    assert_eq!(vectors.len(), 35);
    for (params, [a, b], expected) in vectors {
        let inputs = Inputs { inputs: [&a, &b, &[], &[]] };
        let leaves = GemmI8::geometry(&params).unwrap().leaves().unwrap();
        let made = Cpu.run(2, &params.to_bytes(), &inputs, 0..leaves).unwrap();
        assert_eq!(crate::hash::sha256(&[&made]), expected, "{params:?}");
        // The reference is slow where nothing is optimised: not all of the largest.
        for leaf in (0..leaves).step_by(7) {
            let reference = reference_leaf(2, &params.to_bytes(), &inputs, leaf).unwrap();
            assert_eq!(made[leaf as usize * 256..][..reference.len()], reference, "{params:?}");
        }
    }
}

#[cfg(feature = "std")]
mod whole_jobs {
    use proptest::prelude::*;

    use super::*;
    use crate::abi::{Op, RequestWriter, STEP_DONE, STEP_MORE};
    use crate::executor::{Backend, Cpu, ExecError, Inputs, open_reads, reference_cell, reference_leaf};

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
            for k in [STEP_K, STEP_K + 1, MAX_K] {
                let a = vec![vec![x; k as usize]; 2];
                let bt = vec![vec![y; k as usize]; 3];
                let expected = textbook(&a, &bt);
                assert_eq!(expected[..4], (i32::from(x) * i32::from(y) * k as i32).to_le_bytes());
                let (a, bt) = (padded(&a, 0x80), padded(&bt, 0x80));
                let inputs = Inputs { inputs: [&a, &bt, &[], &[]] };
                let params = Params { m: 2, n: 3, k }.to_bytes();
                assert_eq!(Cpu.run(2, &params, &inputs, 0..1).unwrap(), expected);
                assert_eq!(reference_leaf(2, &params, &inputs, 0).unwrap(), expected);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// What the chain does in steps, the textbook, the cell function in one go and the executor: the same.
        #[test]
        fn steps_equal_the_cell_in_one_go(
            m in 1u32..4, n in 1u32..4, seed in any::<u64>(), padding in any::<u8>(),
            k in prop_oneof![Just(STEP_K + 1), Just(2 * STEP_K), Just(2 * STEP_K + 1), Just(MAX_K), STEP_K + 1..=MAX_K],
        ) {
            let (a, bt) = (matrix(m, k, seed), matrix(n, k, !seed));
            let expected = textbook(&a, &bt);
            let (a, bt) = (padded(&a, padding), padded(&bt, !padding));
            let inputs = Inputs { inputs: [&a, &bt, &[], &[]] };
            let params = Params { m, n, k };
            prop_assert_eq!(&Cpu.run(2, &params.to_bytes(), &inputs, 0..1).unwrap(), &expected);
            prop_assert_eq!(&reference_leaf(2, &params.to_bytes(), &inputs, 0).unwrap(), &expected);
            for (cell, expected) in (0..).zip(expected.chunks(4)) {
                let mut writer = RequestWriter::new(Op::Cell, 2, &params.to_bytes(), 0, cell);
                for (read, bytes) in open_reads(2, &params.to_bytes(), &inputs, 0, cell).unwrap() {
                    writer.open_in_evidence(read.source, read.start, bytes).unwrap();
                }
                let data = writer.data().unwrap();
                let request = Request::parse(&data, &writer.evidence).unwrap();
                let mut out = [0; 4];
                prop_assert_eq!(GemmI8::cell(&params, &request, 0, cell, &mut out), Ok(4));
                prop_assert_eq!(&out[..], expected);
                // A verifier refuses to do it so: it would not fit a transaction.
                prop_assert_eq!(crate::registry::cell(&request, &mut out), Err(VerifierError::Stepped));
            }
        }
    }

    #[test]
    fn steps_are_refused_by_name() {
        let answer = |params: Params, done: u64, cell: u32, change: fn(&mut RequestWriter)| {
            let mut writer = RequestWriter::step(2, &params.to_bytes(), 0, cell, done, &[0; STEP_STATE_BYTES]);
            let row = vec![1; 1 << 17];
            writer.open_in_evidence(0, 0, &row).unwrap();
            writer.open_in_evidence(1, 0, &row).unwrap();
            change(&mut writer);
            let data = writer.data().unwrap();
            let mut out = [0xaa; 300];
            let kernel = crate::registry::AnyKernel::GemmI8;
            let len = kernel.step(&Request::parse(&data, &writer.evidence).unwrap(), &mut out)?;
            Ok(out[..len].to_vec())
        };
        let long = Params { m: 1, n: 1, k: MAX_K };
        let first = answer(long, 0, 0, |_| ()).unwrap();
        assert_eq!((first.len(), first[0]), (1 + STEP_STATE_BYTES, STEP_MORE));
        assert_eq!(first[1..6], [0, 0x80, 0, 0, 0]);
        let last = answer(long, 3, 0, |_| ()).unwrap();
        assert_eq!(last, [&[STEP_DONE][..], &32_767i32.to_le_bytes()].concat());
        // Any state is one: the sum wraps.
        let wrapped = answer(long, 3, 0, |writer| writer.inline[8..].fill(0xff)).unwrap();
        assert_eq!(wrapped, [&[STEP_DONE][..], &32_766i32.to_le_bytes()].concat());
        for (answer, error) in [
            (answer(Params { k: STEP_K, ..long }, 0, 0, |_| ()), VerifierError::NotStepped),
            (answer(long, 4, 0, |_| ()), VerifierError::NoSuchStep),
            (answer(long, u64::MAX, 0, |_| ()), VerifierError::NoSuchStep),
            (answer(long, 0, 1, |_| ()), VerifierError::NoSuchCell),
            (answer(long, 0, 0, |writer| writer.inline.truncate(263)), VerifierError::Truncated),
            (answer(long, 0, 0, |writer| writer.inline.truncate(7)), VerifierError::Truncated),
            (answer(long, 1, 0, |writer| writer.openings[0].len = (1 << 16) - 1), VerifierError::MissingOpening),
            (answer(long, 0, 0, |writer| writer.openings.truncate(1)), VerifierError::MissingOpening),
        ] {
            assert_eq!(answer, Err(error));
        }
        // What a step does not read need not be open.
        let piece = answer(long, 1, 0, |writer| {
            writer.openings.iter_mut().for_each(|opening| (opening.start, opening.len) = (32, 1 << 15));
        });
        assert_eq!(piece, answer(long, 1, 0, |_| ()));
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
