//! Kernel 2, whose largest cells take steps.

use assay_kernels::{
    abi::{Opening, STEP_DONE, STEP_MORE, STEP_STATE_BYTES, VerifierError},
    gemm_i8,
    kernel::AnyKernel,
    registry,
};
use proptest::prelude::*;

use crate::cases;
use assay_tests::verifier::{Job, Verifier, crowd, named};

#[test]
fn gemm_cells_equal_the_reference_and_need_every_opening() {
    let chain = Verifier::new();
    let mut runner = proptest::test_runner::TestRunner::new(cases(60));
    let sizes = (1u32..9, 1u32..40, prop_oneof![1u32..20, 1000u32..1050, 2000u32..4200]);
    let cuts = (1usize..5, 0usize..20, any::<u64>());
    let jobs = (sizes, any::<u64>(), any::<prop::sample::Index>(), cuts);
    runner
        .run(&jobs, |((m, n, k), seed, at, (chunks, skip, places))| {
            let job = Job::gemm(m, n, k, seed);
            let at = registry::geometry(2, &job.params).unwrap().locate(at.index((m * n) as usize) as u64).unwrap();
            // At most four chunks go inline: instruction data is limited.
            let inline = |i: usize| i * chunks < 4 && places >> i & 1 == 1;
            let request = job.request(at.leaf, at.cell, chunks, skip, inline);
            let expected = job.expected(at.leaf, at.cell);
            prop_assert_eq!(chain.ask(&request).unwrap().0, &expected[..]);
            for i in 0..request.openings.len() {
                // Without one of them the cell fails; its bytes being there does not help.
                let mut without = request.clone();
                let dropped = without.openings.remove(i);
                prop_assert_eq!(chain.ask(&without), named(VerifierError::MissingOpening), "without {:?}", dropped);
                // Nor does the same run of another source, nor a run one chunk off.
                for other in
                    [Opening { source: dropped.source ^ 3, ..dropped }, Opening { start: dropped.start + 1, ..dropped }]
                {
                    let mut moved = request.clone();
                    moved.openings[i] = other;
                    prop_assert_ne!(chain.ask(&moved).map(|(answer, _)| answer).ok(), Some(expected.clone()));
                }
                // Twice, in another order, or beside what the cell does not read: no difference.
                let mut more = request.clone();
                more.openings.insert(0, dropped);
                more.openings.reverse();
                let elsewhere = Opening { source: 0, start: u64::from(m) * 4 + 7, ..dropped };
                more.openings.insert(i, elsewhere);
                more.openings.insert(0, Opening { source: 255, ..elsewhere });
                more.openings.insert(0, Opening { len: 0, ..dropped });
                more.openings.insert(0, Opening { start: 0, source: 3, ..dropped });
                prop_assert_eq!(chain.ask(&more).unwrap().0, &expected[..]);
            }
            Ok(())
        })
        .unwrap();
}

/// Step after step of a cell of many products: as the reference and the textbook, with every opening needed and others
/// of no account.
#[test]
fn gemm_cells_in_steps_equal_the_reference_and_need_every_opening() {
    let chain = Verifier::new();
    let mut runner = proptest::test_runner::TestRunner::new(cases(8));
    let k = prop_oneof![Just(32_769u32), Just(gemm_i8::MAX_K), 32_769u32..=gemm_i8::MAX_K];
    let jobs = (1u32..4, 1u32..4, k, any::<u64>(), any::<prop::sample::Index>(), 7usize..40);
    runner
        .run(&jobs, |(m, n, k, seed, at, chunks)| {
            let job = Job::gemm(m, n, k, seed);
            let cell = at.index((m * n) as usize) as u32;
            let row = |input: usize, row: u32| {
                let bytes = job.inputs[input].chunks(k.next_multiple_of(1024) as usize).nth(row as usize).unwrap();
                bytes[..k as usize].iter().map(|x| i32::from(*x as i8)).collect::<Vec<i32>>()
            };
            let textbook: i32 = row(0, cell / n).iter().zip(row(1, cell % n)).map(|(x, y)| x * y).sum();
            let mut state = [0; STEP_STATE_BYTES];
            let steps = u64::from(k.div_ceil(32_768));
            for done in 0..steps {
                let request = job.step(0, cell, done, &state, chunks);
                let (answer, _) = chain.ask(&request).unwrap();
                for i in 0..request.openings.len() {
                    let mut without = request.clone();
                    let dropped = without.openings.remove(i);
                    prop_assert_eq!(chain.ask(&without), named(VerifierError::MissingOpening), "without {:?}", dropped);
                    let mut more = request.clone();
                    more.openings.insert(0, dropped);
                    more.openings.reverse();
                    let elsewhere = Opening { source: 0, start: u64::from(m) * 128 + 7, ..dropped };
                    more.openings.insert(i, elsewhere);
                    more.openings.insert(0, Opening { source: 255, ..elsewhere });
                    more.openings.insert(0, Opening { len: 0, ..dropped });
                    prop_assert_eq!(&chain.ask(&more).unwrap().0, &answer);
                }
                // What another step reads is not what this one does.
                let other = job.step(0, cell, (done + 1) % steps, &state, chunks);
                let mut swapped = request.clone();
                (swapped.openings, swapped.evidence) = (other.openings, other.evidence);
                prop_assert_eq!(chain.ask(&swapped), named(VerifierError::MissingOpening));
                if done + 1 < steps {
                    prop_assert_eq!(answer[0], STEP_MORE);
                    state.copy_from_slice(&answer[1..]);
                    prop_assert!(state[4..].iter().all(|byte| *byte == 0));
                    continue;
                }
                prop_assert_eq!(&answer, &[&[STEP_DONE][..], &textbook.to_le_bytes()].concat());
                prop_assert_eq!(&answer[1..], job.expected(0, cell));
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_largest_gemm_steps_stay_within_their_compute_units() {
    let chain = Verifier::new();
    let limit = u64::from(AnyKernel::GemmI8.describe().cell_cu_max);
    let mut job = Job::gemm(3, 3, gemm_i8::MAX_K, 5);
    for done in 0..4 {
        let mut request = job.step(0, 5, done, &[0x7f; STEP_STATE_BYTES], 1);
        let (_, whole) = chain.ask(&job.step(0, 5, done, &[0; STEP_STATE_BYTES], 32)).unwrap();
        crowd(&mut request, 1);
        let (_, most) = chain.ask(&request).unwrap();
        println!("gemm_i8, k = 131,071, step {done}: {whole} CU, with {} openings {most}", request.openings.len());
        assert!(most <= limit, "{most} CU");
    }
    // The largest sum there is.
    job.inputs = [vec![0x80; 3 << 17], vec![0x80; 3 << 17], Vec::new(), Vec::new()];
    let mut state = [0; STEP_STATE_BYTES];
    for done in 0..3 {
        let (answer, _) = chain.ask(&job.step(0, 0, done, &state, 32)).unwrap();
        state.copy_from_slice(&answer[1..]);
    }
    let (answer, _) = chain.ask(&job.step(0, 0, 3, &state, 32)).unwrap();
    assert_eq!(answer, [&[STEP_DONE][..], &2_147_467_264i32.to_le_bytes()].concat());
}

#[test]
fn the_largest_gemm_cells_stay_within_their_compute_units() {
    let chain = Verifier::new();
    let limit = u64::from(AnyKernel::GemmI8.describe().cell_cu_max);
    let job = Job::gemm(3, 3, gemm_i8::STEP_K, 5);
    let expected = job.expected(0, 5);
    // Whole rows; every chunk on its own, at odd offsets.
    for (chunks, skip) in [(32, 0), (32, 8), (32, 3), (1, 0), (1, 5)] {
        let request = job.request(0, 5, chunks, skip, |_| false);
        let (answer, cu) = chain.ask(&request).unwrap();
        assert_eq!(answer, expected);
        println!("gemm_i8, k = 32,768, openings of {chunks} chunks at offset {skip}: {cu} CU");
        assert!(cu <= limit, "{cu} CU");
    }
    let mut request = job.request(0, 5, 1, 3, |_| false);
    crowd(&mut request, 1);
    let (answer, cu) = chain.ask(&request).unwrap();
    assert_eq!(answer, expected);
    println!("gemm_i8, k = 32,768, {} openings: {cu} CU", request.openings.len());
    assert!(cu <= limit, "{cu} CU");
    // Extreme values, and the whole evidence inline.
    for (x, y) in [(0x80, 0x80), (0x7f, 0x80)] {
        let mut job = Job::gemm(1, 1, gemm_i8::STEP_K, 0);
        job.inputs = [vec![x; 32_768], vec![y; 32_768], Vec::new(), Vec::new()];
        let (answer, _) = chain.ask(&job.request(0, 0, 32, 0, |_| false)).unwrap();
        let expected = i32::from(x as i8) * i32::from(y as i8) * 32_768;
        assert_eq!(answer, expected.to_le_bytes());
    }
    let job = Job::gemm(1, 1, 4096, 9);
    let (answer, cu) = chain.ask(&job.request(0, 0, 4, 0, |_| true)).unwrap();
    assert_eq!(answer, job.expected(0, 0));
    println!("gemm_i8, k = 4,096, all inline: {cu} CU");
}
