use super::model::{MODEL_WORDS, Model};
use super::random::{normal, philox, price};
use super::*;
use proptest::prelude::*;

#[cfg(feature = "std")]
#[path = "tests/closed_forms.rs"]
mod closed_forms;
#[cfg(feature = "std")]
#[path = "tests/example.rs"]
mod example;
#[cfg(feature = "std")]
#[path = "tests/identities.rs"]
mod identities;
#[cfg(feature = "std")]
#[path = "tests/import.rs"]
mod import;

pub(super) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// Params of a job with few enough paths to compute them all by the reference.
pub(super) fn any_params() -> impl Strategy<Value = Params> {
    let sizes = (1u64..40, any::<u64>(), any::<u64>(), 1u16..9, 1u8..=16);
    (sizes, 0u8..=4, 1u8..=32, 1u8..=9, 0u8..4).prop_map(|(sizes, baskets, positions, paths, flags)| {
        let (cells, first, seed, steps, assets) = sizes;
        let first = first.min(u64::MAX - cells * u64::from(paths));
        let params = Params {
            cells,
            first,
            seed,
            steps,
            assets,
            baskets,
            positions,
            paths,
            flags,
            value_bits: 20,
            reference: 0,
        };
        params.with_most_paths(paths).unwrap()
    })
}

/// Bytes of an input: noise, or a model with numbers of the usual sizes.
pub(super) fn any_input() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(any::<u8>(), 2_048), any::<bool>()).prop_map(|(mut bytes, is_noise)| {
        if !is_noise {
            // High bytes of words to zeros or ones, so that prices and barriers come into reach.
            for word in bytes.as_chunks_mut::<4>().0 {
                word[3] = if word[3] & 1 == 0 { 0 } else { 0xff };
            }
        }
        bytes
    })
}

#[cfg(feature = "std")]
fn input_of(params: &Params, bytes: &[u8]) -> Vec<u8> {
    let mut input = bytes.to_vec();
    input.resize(params.model_chunks() as usize * CHUNK_BYTES, 0);
    input
}

fn cell_of(params: &Params, input: &[u8], leaf: u64, index: u32) -> Result<Vec<u8>, AbiError> {
    let mut data = [0; 20];
    crate::abi::encode_header(&mut data, crate::abi::Op::Cell, 5, &[], 1, 0, 0).unwrap();
    let len = input.len() as u32;
    let opening = crate::abi::Opening { source: 0, start: 0, len, at: 0 };
    let data = [&data[..], &opening.to_bytes(), input].concat();
    let mut out = [0xaa; 800];
    let len = OptionRisk::cell(params, &Request::parse(&data, &[]).unwrap(), leaf, index, &mut out)?;
    assert!(out[len..].iter().all(|byte| *byte == 0xaa));
    Ok(out[..len].to_vec())
}

#[test]
fn philox_gives_the_known_answers() {
    // Random123, tests/kat_vectors, philox4x32 of 10 rounds.
    let ones = u32::MAX;
    assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
    assert_eq!(philox([ones; 4], [ones; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    let pi = philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]);
    assert_eq!(pi, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
}

#[test]
fn normal_variates_are_the_quantiles() {
    // Tail probabilities and their quantiles from tables of the distribution (Abramowitz and Stegun 26.2, and R's qnorm).
    let known = [
        (0.25, 0.674_489_750_196_081_7),
        (0.025, 1.959_963_984_540_054),
        (0.01, 2.326_347_874_040_841),
        (0.001, 3.090_232_306_167_813),
        (1e-6, 4.753_424_308_822_899),
        (1e-9, 5.997_807_015_007_687),
    ];
    for (tail, quantile) in known {
        // The nearest of the tail probabilities (2 v + 1) / 2^33.
        let v = (tail * f64::exp2(32.0)).floor() as u32;
        let found = normal(v) as f64 / f64::exp2(28.0);
        let slack = 1.7e-7 + 0.6 / (f64::exp2(32.0) * tail * quantile);
        assert!((found - quantile).abs() < slack, "{tail}: {found}");
        assert_eq!(normal(v | 1 << 31), -normal(v));
    }
    assert!(normal(0) > 6 << 28 && normal(0) < 64 * (1 << 28) / 10);
    assert!(normal(0x7fff_ffff).abs() < 8, "the middle is zero");
    // It falls from the tail to the middle, but for the last bits where two pieces meet.
    let mut before = i64::MAX;
    for v in (0..0x8000_0000u32).step_by(49_999).chain(0..5_000) {
        if v == 0 {
            before = i64::MAX;
        }
        let next = normal(v);
        assert!(next <= before.saturating_add(64), "{v}");
        before = next;
    }
}

#[test]
fn moments_of_the_variates_are_those_of_the_distribution() {
    // One word out of each of 2^20 equal parts.
    let (mut m1, mut m2, mut m4) = (0.0, 0.0, 0.0);
    let count = 1u32 << 20;
    for part in 0..count {
        let z = normal((part << 12) | 0x800) as f64 / f64::exp2(28.0);
        m1 += z;
        m2 += z * z;
        m4 += z.powi(4);
    }
    let count = f64::from(count);
    assert!((m1 / count).abs() < 1e-8);
    // What is left is the tail inside of the last parts.
    assert!((m2 / count - 1.0).abs() < 1e-5, "{}", m2 / count);
    assert!((m4 / count - 3.0).abs() < 1e-3, "{}", m4 / count);
}

#[test]
fn prices_are_powers_of_two() {
    for log in (-20i64 << 24..20 << 24).step_by(77_777) {
        let exact = f64::exp2(log as f64 / f64::exp2(24.0)) * f64::exp2(20.0);
        let found = price(log) as f64;
        assert!((found - exact).abs() <= exact * 3e-9 + 1.0, "{log}: {found} {exact}");
    }
    assert_eq!(price(0), 1 << 20);
    // Cut at both ends.
    assert_eq!((price(i32::MIN.into()), price(-45 << 24), price(-44 << 24)), (0, 0, 0));
    let most = price((20 << 24) - 1);
    assert!(most < 1 << 40 && most > (1 << 40) - (1 << 18));
    assert_eq!((price(20 << 24), price(i32::MAX.into())), (most, most));
}

fn good() -> Params {
    Params {
        cells: 9,
        first: 3,
        seed: 4,
        steps: 5,
        assets: 6,
        baskets: 1,
        positions: 7,
        paths: 3,
        flags: SUMS,
        value_bits: 20,
        reference: 0,
    }
}

#[test]
fn params_are_checked_by_name() {
    let good = good();
    assert_eq!(OptionRisk::parse(&good.to_bytes()), Ok(good));
    for len in (0..PARAMS_BYTES).chain([PARAMS_BYTES + 1]) {
        let mut bytes = good.to_bytes().to_vec();
        bytes.resize(len, 0);
        assert_eq!(OptionRisk::parse(&bytes), Err(ParamError::Length));
    }
    let refused = |change: &dyn Fn(&mut Params)| {
        let mut params = good;
        change(&mut params);
        OptionRisk::parse(&params.to_bytes()).err()
    };
    let zero: [&dyn Fn(&mut Params); 5] =
        [&|p| p.cells = 0, &|p| p.steps = 0, &|p| p.assets = 0, &|p| p.positions = 0, &|p| p.paths = 0];
    let too_large: [&dyn Fn(&mut Params); 12] = [
        &|p| p.cells = MAX_CELLS + 1,
        &|p| p.steps = MAX_STEPS + 1,
        &|p| p.assets = 17,
        &|p| p.baskets = 5,
        &|p| p.positions = 33,
        &|p| p.paths = 65,
        &|p| p.flags = 8,
        &|p| p.value_bits = 49,
        &|p| p.reference = 1,
        &|p| p.first = u64::MAX - 26,
        &|p| p.steps = 260,
        &|p| (p.assets, p.steps, p.paths) = (16, 20, 4),
    ];
    for (at, change) in zero.iter().enumerate() {
        assert_eq!(refused(*change), Some(ParamError::Zero), "{at}");
    }
    for (at, change) in too_large.iter().enumerate() {
        assert_eq!(refused(*change), Some(ParamError::TooLarge), "{at}");
    }
    let fine: [&dyn Fn(&mut Params); 4] =
        [&|p| p.first = u64::MAX - 27, &|p| (p.flags, p.reference) = (REFERENCE, -5), &|p| p.cells = MAX_CELLS, &|p| {
            p.baskets = 0
        }];
    for (at, change) in fine.iter().enumerate() {
        assert_eq!(refused(*change), None, "{at}");
    }
}

#[test]
fn description_and_geometry() {
    let describe = OptionRisk::describe();
    assert_eq!((describe.name(), describe.flags, describe.answer_transactions), ("option_risk", 0, 7));
    assert!(describe.cell_cu_max >= MAX_UNITS as u32);
    let params = good();
    let geometry = OptionRisk::geometry(&params).unwrap();
    assert!(geometry.is_valid());
    // Digest, three values, seven sums; five of them in a leaf.
    assert_eq!((params.cell_bytes(), params.cells_per_leaf()), (88, 5));
    assert_eq!((geometry.cells(), geometry.leaves(), geometry.weight()), (Some(9), Some(2), Some(9)));
    assert_eq!((geometry.leaf_span(0).unwrap().bytes, geometry.leaf_span(1).unwrap().bytes), (440, 352));
    assert_eq!((geometry.input_bytes, geometry.evidence_kib), ([1_024, 0, 0, 0], 1));
    let base = Params { cells: 1, first: 0, steps: 1, assets: 16, baskets: 4, positions: 32, paths: 64, ..params };
    let largest = base.with_most_paths(64).unwrap();
    assert!(largest.units() <= MAX_UNITS && largest.paths > 1);
    assert_eq!((largest.model_bytes(), largest.model_chunks()), (1_824, 2));
    let small = Params { assets: 1, baskets: 0, positions: 32, paths: 32, ..largest };
    assert_eq!((small.cell_bytes(), small.cells_per_leaf()), (520, 1));
    // Five assets every day of a year; with averages, 200 days.
    let year = Params { steps: 252, assets: 5, baskets: 1, positions: 10, paths: 1, flags: 0, ..params };
    for fits in [year, Params { steps: 200, flags: AVERAGES, ..year }] {
        assert!(fits.units() <= MAX_UNITS, "{}", fits.units());
        assert_eq!(OptionRisk::parse(&fits.to_bytes()), Ok(fits));
    }
    assert_eq!(OptionRisk::parse(&Params { flags: AVERAGES, ..year }.to_bytes()), Err(ParamError::TooLarge));
}

#[test]
fn cells_read_the_model_and_nothing_else() {
    let params = good();
    let read = |leaf, cell| {
        let mut reads = Vec::new();
        OptionRisk::reads(&params, leaf, cell, &mut |read| reads.push((read.source, read.start, read.count)));
        reads
    };
    assert_eq!(read(1, 3), [(0, 0, 1)]);
    assert_eq!((read(1, 4), read(2, 0), read(0, 5)), (vec![], vec![], vec![]));
    let input = [7; 1_024];
    assert!(cell_of(&params, &input, 1, 3).is_ok());
    for (leaf, index) in [(1, 4), (0, 5), (2, 0), (u64::MAX, u32::MAX)] {
        assert_eq!(cell_of(&params, &input, leaf, index), Err(AbiError::NoSuchCell));
    }
    assert_eq!(cell_of(&params, &[], 0, 0), Err(AbiError::MissingOpening));
    assert_eq!(cell_of(&params, &input[..params.model_bytes() - 1], 0, 0), Err(AbiError::MissingOpening));
}

#[test]
fn the_committed_vectors_hold() {
    let lines = include_str!("vectors.txt").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for line in lines {
        let [params, input, leaf, bytes] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let params = OptionRisk::parse(&unhex(params)).unwrap();
        let (mut input, leaf, bytes) = (unhex(input), leaf.parse().unwrap(), unhex(bytes));
        input.resize(params.model_chunks() as usize * CHUNK_BYTES, 0);
        let span = OptionRisk::geometry(&params).unwrap().leaf_span(leaf).unwrap();
        let made: Vec<u8> = (0..span.cells).flat_map(|index| cell_of(&params, &input, leaf, index).unwrap()).collect();
        assert_eq!(made, bytes, "vector {count}");
        #[cfg(feature = "std")]
        {
            use crate::executor::{Backend, Cpu, Inputs};
            let inputs = Inputs { inputs: [&input, &[], &[], &[]] };
            assert_eq!(Cpu.run(5, &params.to_bytes(), &inputs, leaf..leaf + 1).unwrap(), bytes);
        }
        count += 1;
    }
    assert_eq!(count, 8);
}

#[test]
fn every_word_of_a_path_changes_its_digest() {
    let params = Params { assets: 2, positions: 1, baskets: 0, steps: 3, flags: AVERAGES, ..good() };
    let digest = |words: &[u64; MODEL_WORDS]| path::path(&params, &Model::new(&params, words), 9, &mut [0; 32]).1;
    let mut words = [0u64; MODEL_WORDS];
    let plain = digest(&words);
    // A start, a drift, and the last factor, whose product is in the last asset's logarithm alone.
    for (at, value) in [(0, 1u64), (3, 1), (2, 1 << 40), (7 + 1, 1)] {
        words[at] = value;
        assert_ne!(digest(&words), plain, "{at}");
        words[at] = 0;
    }
}

#[cfg(feature = "std")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn executor_equals_the_cells(
        params in any_params(), bytes in any_input(), cut in any::<prop::sample::Index>(),
    ) {
        use crate::executor::{Backend, Cpu, Inputs, reference_leaf};
        let input = input_of(&params, &bytes);
        let inputs = Inputs { inputs: [&input, &[], &[], &[]] };
        let bytes = params.to_bytes();
        prop_assert_eq!(OptionRisk::parse(&bytes), Ok(params));
        let leaves = OptionRisk::geometry(&params).unwrap().leaves().unwrap();
        let start = cut.index(leaves as usize) as u64;
        let mut expected = Vec::new();
        for leaf in start..leaves {
            expected.extend(reference_leaf(5, &bytes, &inputs, leaf).unwrap());
        }
        prop_assert_eq!(&Cpu.run(5, &bytes, &inputs, start..leaves).unwrap(), &expected);
        // Every way that this processor has.
        let first = start * u64::from(params.cells_per_leaf());
        for run in lanes::all() {
            let mut out = vec![0; expected.len()];
            cpu::simulate_by(run, &params, &input, first..params.cells, &mut out);
            prop_assert_eq!(&out, &expected);
        }
    }

    #[test]
    fn a_path_does_not_depend_on_its_job(params in any_params(), bytes in any_input()) {
        // The paths of a job's last cell, as the first ones of another with cells of one path.
        let input = input_of(&params, &bytes);
        let last = params.cells - 1;
        let one = Params { cells: 1, paths: 1, flags: params.flags & AVERAGES, ..params };
        let per_leaf = u64::from(params.cells_per_leaf());
        let cell = cell_of(&params, &input, last / per_leaf, (last % per_leaf) as u32).unwrap();
        let mut digest = 0;
        for at in 0..u64::from(params.paths) {
            let alone = cell_of(&Params { first: params.first_path(last) + at, ..one }, &input, 0, 0).unwrap();
            let from = 8 * (1 + at as usize);
            prop_assert_eq!(&alone[8..16], &cell[from..from + 8]);
            digest ^= u64::from_le_bytes(*alone.first_chunk().unwrap());
        }
        prop_assert_eq!(&cell[..8], &digest.to_le_bytes());
    }
}
