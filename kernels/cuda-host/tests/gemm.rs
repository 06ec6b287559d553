//! gemm_i8.cu and what streams a product through a card, against the reference. The instructions of the tensor cores are
//! shim/tensor.h's.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used)]

use assay_cuda_host::GemmMachine;
use assay_kernels::executor::{ExecError, Inputs, cuda_sources, cuda_variants, reference_leaf};
use assay_kernels::gemm_i8::rows::{Rows, by_rows};
use assay_kernels::gemm_i8::stream::{Limits, stream};
use assay_kernels::gemm_i8::{ENTRIES, Entry, MAX_K, Params};
use assay_kernels::{handling::noise, hash::sha256, registry};
use proptest::prelude::*;

/// The fallback of cards without tensor cores, and Hopper's own.
const DP4A: Entry = ENTRIES[3];
const WGMMA: Entry = ENTRIES[0];
/// More than any job of these tests needs.
const AMPLE: Limits = Limits { memory: 1 << 34, work: 1 << 40, out: 1 << 28, streamed: 1 << 30 };

/// All of C by the reference.
fn reference(params: &Params, a: &[u8], b: &[u8]) -> Vec<u8> {
    let (bytes, inputs) = (params.to_bytes(), Inputs { inputs: [a, b, &[], &[]] });
    let leaves = registry::geometry(2, &bytes).unwrap().leaves().unwrap();
    (0..leaves).flat_map(|leaf| reference_leaf(2, &bytes, &inputs, leaf).unwrap()).collect()
}

/// Both inputs, padding that is not zero and all.
fn inputs(params: &Params, seed: u64) -> [Vec<u8>; 2] {
    [(params.m, seed), (params.n, !seed)].map(|(rows, seed)| noise(u64::from(rows) * params.row_bytes(), seed))
}

/// Elements of C by an entry, and how many launches it took.
fn made(
    entry: Entry,
    limits: &Limits,
    params: &Params,
    [a, b]: [&[u8]; 2],
    range: core::ops::Range<u64>,
) -> Result<(Vec<u8>, usize), ExecError> {
    let mut out = vec![0x5a; (range.end - range.start) as usize * 4];
    let mut machine = GemmMachine::new(entry, *params);
    stream(&mut machine, limits, params, [a, b], range, &mut out)?;
    Ok((out, machine.launches))
}

/// The same, run by run; `None` where the plan for it does not fit.
fn made_by_rows(
    entry: Entry,
    limits: &Limits,
    params: &Params,
    inputs: [&[u8]; 2],
    range: core::ops::Range<u64>,
) -> Option<Vec<u8>> {
    let plan = Rows::new(params, &range, limits)?;
    let mut machine = GemmMachine::new(entry, *params);
    let bytes = (range.end - range.start) as usize * 4;
    machine.prepare_runs(plan.rooms().map(|room| room as usize), plan.run_bytes() as usize, bytes).unwrap();
    by_rows(&mut machine, &plan, inputs).unwrap();
    Some(machine.result)
}

fn any_k() -> impl Strategy<Value = u32> {
    prop_oneof![1u32..40, 56u32..72, 120u32..136, 250u32..400, 640u32..650]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Every entry, tiles whole and ragged, any range of elements.
    #[test]
    fn every_entry_is_the_reference(
        m in 1u32..200, n in 1u32..330, k in any_k(), seed in any::<u64>(),
        from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
    ) {
        let params = Params { m, n, k };
        let [a, b] = inputs(&params, seed);
        let expected = reference(&params, &a, &b);
        let (from, to) = (from.index(params.elements() as usize) as u64, to.index(params.elements() as usize) as u64);
        for entry in ENTRIES {
            for range in [0..params.elements(), from.min(to)..from.max(to) + 1] {
                let (made, launches) = made(entry, &AMPLE, &params, [&a, &b], range.clone()).unwrap();
                prop_assert_eq!(launches, 1);
                prop_assert!(made == expected[range.start as usize * 4..range.end as usize * 4], "{}", entry.name);
            }
        }
    }

    /// A card with so little memory that both matrices go through it in pieces.
    #[test]
    fn pieces_are_the_whole(
        m in 1u32..90, n in 1u32..90, k in prop_oneof![1u32..9, 1000u32..1050, 2040u32..2060], seed in any::<u64>(),
        memory in 10u64..100, out in 4u64..8_000, work in 1u64..3_000_000, streamed in 1u64..100_000,
        from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
    ) {
        let params = Params { m, n, k };
        let [a, b] = inputs(&params, seed);
        let limits = Limits { memory: memory * params.row_bytes(), out, work: work.max(k.into()), streamed };
        let (from, to) = (from.index(params.elements() as usize) as u64, to.index(params.elements() as usize) as u64);
        let range = from.min(to)..from.max(to) + 1;
        let (made, _) = made(DP4A, &limits, &params, [&a, &b], range.clone()).unwrap();
        prop_assert!(made == reference(&params, &a, &b)[range.start as usize * 4..range.end as usize * 4]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Runs of whole leaves, made as they are or packed.
    #[test]
    fn runs_are_the_whole(
        m in 1u32..90, n in prop_oneof![1u32..90, (1u32..20).prop_map(|n| 4 * n), Just(64)], k in any_k(),
        seed in any::<u64>(), rows in 1u64..100, out in 256u64..8_000, work in 1u64..300_000,
        from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), mma in any::<bool>(),
    ) {
        let params = Params { m, n, k };
        let [a, b] = inputs(&params, seed);
        let limits = Limits { memory: 1 << 30, work, out, streamed: rows * params.row_bytes() };
        let leaves = params.elements().div_ceil(64) as usize;
        let (from, to) = (from.index(leaves) as u64, to.index(leaves) as u64);
        let range = from.min(to) * 64..((from.max(to) + 1) * 64).min(params.elements());
        let entry = ENTRIES[if mma { 2 } else { 3 }];
        let made = made_by_rows(entry, &limits, &params, [&a, &b], range.clone()).unwrap();
        prop_assert!(made == reference(&params, &a, &b)[range.start as usize * 4..range.end as usize * 4]);
    }
}

#[test]
fn many_launches_of_tensor_cores_are_the_whole() {
    let params = Params { m: 300, n: 700, k: 70 };
    let [a, b] = inputs(&params, 9);
    let expected = reference(&params, &a, &b);
    // 600 rows of 1,024 bytes: neither matrix lies there whole with the other's piece.
    let limits = Limits { memory: 600 << 10, work: 1 << 40, out: 1 << 16, streamed: 1 << 16 };
    for entry in ENTRIES {
        let (made, launches) = made(entry, &limits, &params, [&a, &b], 0..params.elements()).unwrap();
        assert!(made == expected, "{}", entry.name);
        assert!(launches > 10, "{launches}");
    }
}

/// More than eight rows of tiles: blocks go through them in bands.
#[test]
fn bands_of_tiles_are_the_whole() {
    let params = Params { m: 9 * 64 + 3, n: 150, k: 5 };
    let [a, b] = inputs(&params, 1);
    let expected = reference(&params, &a, &b);
    assert!(made(DP4A, &AMPLE, &params, [&a, &b], 0..params.elements()).unwrap().0 == expected);
}

#[test]
fn the_largest_k_with_extreme_values_is_exact() {
    let params = Params { m: 1, n: 2, k: MAX_K };
    for (x, y) in [(0x80, 0x80), (0x80, 0x7f)] {
        let row = params.row_bytes() as usize;
        let (a, b) = (vec![x; row], vec![y; 2 * row]);
        let expected = i32::from(x as i8) * i32::from(y as i8) * params.k as i32;
        // Fragments wrap the same way everywhere: the two entries that take no minutes here.
        for entry in [DP4A, WGMMA] {
            let (made, _) = made(entry, &AMPLE, &params, [&a, &b], 0..2).unwrap();
            assert_eq!(made, [expected.to_le_bytes(); 2].concat(), "{}", entry.name);
        }
    }
}

#[test]
fn extreme_values_are_exact_in_every_entry() {
    let params = Params { m: 20, n: 12, k: 200 };
    for (x, y) in [(0x80, 0x80), (0x80, 0x7f), (0x7f, 0x7f)] {
        let row = params.row_bytes() as usize;
        let (a, b) = (vec![x; 20 * row], vec![y; 12 * row]);
        let expected = i32::from(x as i8) * i32::from(y as i8) * params.k as i32;
        for entry in ENTRIES {
            let (made, _) = made(entry, &AMPLE, &params, [&a, &b], 0..240).unwrap();
            assert!(made == [expected.to_le_bytes(); 240].concat(), "{}", entry.name);
        }
    }
}

/// NumPy's numbers, as far as the emulated tensor cores get in a short time.
#[test]
fn the_committed_vectors_hold() {
    let lines = include_str!("../../gemm_i8/vectors.txt").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for line in lines {
        let [m, n, k, a, b, .., expected] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let params = Params { m: m.parse().unwrap(), n: n.parse().unwrap(), k: k.parse().unwrap() };
        let [a, b] =
            [(a, params.m), (b, params.n)].map(|(what, rows)| matrix(what, u64::from(rows) * params.row_bytes()));
        for entry in ENTRIES {
            // The largest k has a test of its own.
            if params.k > if entry == DP4A { MAX_K } else { 2_048 } {
                continue;
            }
            let (made, _) = made(entry, &AMPLE, &params, [&a, &b], 0..params.elements()).unwrap();
            let hash: String = sha256(&[&made]).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hash, expected, "{} {line}", entry.name);
            count += 1;
        }
    }
    assert!(count > 80, "{count}");
}

/// What a line of vectors.txt says of an input.
fn matrix(what: &str, len: u64) -> Vec<u8> {
    let (kind, number) = what.split_once(':').unwrap();
    let mut state: u64 = number.parse().unwrap();
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 56) as u8
    };
    (0..len).map(|_| if kind == "lcg" { next() } else { number.parse().unwrap() }).collect()
}

#[test]
fn a_card_without_room_for_anything_is_told_so() {
    let params = Params { m: 2, n: 2, k: 10 };
    let [a, b] = inputs(&params, 5);
    let limits = Limits { memory: 8 * 1024, ..AMPLE };
    let error = ExecError::DeviceMemory(8 * 1024);
    assert_eq!(made(DP4A, &limits, &params, [&a, &b], 0..4).unwrap_err(), error);
}

/// What runs here is what cards are given.
#[test]
fn every_entry_is_in_the_ptx() {
    let source = cuda_sources().find(|source| source.kernel == 2).unwrap();
    assert_eq!((DP4A.name, WGMMA.name), ("gemm_i8", "gemm_i8_wgmma"));
    for entry in ENTRIES {
        let everywhere = source.functions.contains(&entry.name);
        assert!(everywhere || cuda_variants(2).iter().any(|variant| variant.functions.contains(&entry.name)));
    }
}
