//! The verifier's real `.so` in a real SVM against the reference: cells over random jobs, openings dropped and added,
//! hostile requests, and the compute units that `describe` promises.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]

mod align;
mod escape_time;
mod every_kernel;
mod gemm_i8;
mod mlp_i8;
mod option_risk;
mod search;

use assay_kernels::abi::{Describe, Geometry, Op, RequestWriter, STEP_STATE_BYTES, VerifierError};
use assay_kernels::kernel::AnyKernel;
use assay_kernels::registry;
use assay_tests::verifier::{EVIDENCE, Failure, Job, OTHER, Verifier, named};
use proptest::prelude::*;
use solana_instruction::AccountMeta;

/// Failures are printed, not written beside the source.
pub fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn describe_and_check_are_the_registrys() {
    let chain = Verifier::new();
    for kernel in AnyKernel::ALL {
        let (answer, cu) = chain.ask(&RequestWriter::new(Op::Describe, kernel.id(), &[], 0, 0)).unwrap();
        assert_eq!(bytemuck::pod_read_unaligned::<Describe>(&answer), kernel.describe());
        println!("describe {}: {cu} CU", kernel.name());
    }
    let mut jobs: Vec<(AnyKernel, Vec<u8>)> = Vec::new();
    for kernel in AnyKernel::ALL {
        let handling = kernel.handling();
        jobs.extend(handling.checks().into_iter().map(|job| (*kernel, job.params)));
        jobs.extend((0..3).filter_map(|size| handling.trial(size)).map(|job| (*kernel, job.params)));
    }
    for (kernel, params) in jobs {
        let (kernel, name) = (kernel.id(), kernel.name());
        let (answer, cu) = chain.ask(&RequestWriter::new(Op::Check, kernel, &params, 0, 0)).unwrap();
        let geometry = bytemuck::pod_read_unaligned::<Geometry>(&answer);
        assert_eq!(geometry, registry::geometry(kernel, &params).unwrap());
        assert!(geometry.is_valid());
        println!("check of {name}: {cu} CU");
    }
}

#[test]
fn refusals_have_their_names_on_chain() {
    let chain = Verifier::new();
    let product = |m, n, k| assay_kernels::gemm_i8::Params { m, n, k }.to_bytes().to_vec();
    let step = |n, k, done, cell| RequestWriter::step(2, &product(1, n, k), 0, cell, done, &[0; STEP_STATE_BYTES]);
    let check = |kernel, params: &[u8]| RequestWriter::new(Op::Check, kernel, params, 0, 0);
    for (request, error) in [
        (check(2, &product(1, 1, 131_072)), VerifierError::ParamsTooLarge),
        (check(2, &product(1, (1 << 17) + 1, 131_071)), VerifierError::ParamsTooLarge),
        (check(2, &product(0, 1, 1)), VerifierError::ParamsZero),
        (check(2, &product(1, u32::MAX, 1)), VerifierError::ParamsTooLarge),
        (check(2, &[]), VerifierError::ParamsLength),
        (check(1, &product(1, 1, 1)), VerifierError::ParamsLength),
        (check(0, &product(1, 1, 1)), VerifierError::UnknownKernel),
        (check(99, &product(1, 1, 1)), VerifierError::UnknownKernel),
        (check(3, &product(1, 1, 1)), VerifierError::ParamsLength),
        (check(4, &product(1, 1, 1)), VerifierError::ParamsZero),
        (step(1, 1, 0, 0), VerifierError::NotStepped),
        (RequestWriter::new(Op::Step, 1, &product(1, 1, 1), 0, 0), VerifierError::ParamsLength),
        (RequestWriter::new(Op::Cell, 2, &product(1, 1, 32_769), 0, 0), VerifierError::Stepped),
        (RequestWriter::new(Op::Step, 2, &product(1, 1, 32_769), 0, 0), VerifierError::Truncated),
        (step(1, 32_769, 2, 0), VerifierError::NoSuchStep),
        (step(1, 32_769, u64::MAX, 0), VerifierError::NoSuchStep),
        (step(1, 32_769, 0, 1), VerifierError::NoSuchCell),
        (step(1, 32_769, 0, 0), VerifierError::MissingOpening),
        (RequestWriter::new(Op::Cell, 2, &product(1, 1, 1), 0, 1), VerifierError::NoSuchCell),
        (RequestWriter::new(Op::Cell, 2, &product(1, 1, 1), u64::MAX, 0), VerifierError::NoSuchCell),
        (RequestWriter::new(Op::Cell, 2, &product(1, 1, 1), 0, 0), VerifierError::MissingOpening),
    ] {
        assert_eq!(chain.ask(&request), named(error), "{request:?}");
    }
    let job = Job::gemm(1, 1, 1024, 1);
    let request = job.request(0, 0, 1, 0, |_| false);
    let data = request.data().unwrap();
    chain.put(EVIDENCE, &request.evidence);
    chain.put(OTHER, &request.evidence);
    let read_only = || AccountMeta::new_readonly(EVIDENCE, false);
    assert!(chain.call(data.clone(), vec![read_only()]).is_ok());
    let two = vec![read_only(), AccountMeta::new_readonly(OTHER, false)];
    assert_eq!(chain.call(data.clone(), two), named(VerifierError::TooManyAccounts));
    let twice = vec![read_only(), read_only()];
    assert_eq!(chain.call(data.clone(), twice), named(VerifierError::TooManyAccounts));
    let writable = vec![AccountMeta::new(EVIDENCE, false)];
    assert_eq!(chain.call(data.clone(), writable), named(VerifierError::EvidenceWritable));
    assert_eq!(chain.call(data.clone(), vec![]), named(VerifierError::OpeningOutOfBounds));
    chain.put(EVIDENCE, &request.evidence[1..]);
    assert_eq!(chain.call(data, vec![read_only()]), named(VerifierError::OpeningOutOfBounds));
    assert_eq!(chain.call(vec![], vec![]), named(VerifierError::Truncated));
}

#[test]
fn any_bytes_are_answered_or_refused_by_name() {
    let chain = Verifier::new();
    chain.put(EVIDENCE, &[0x55; 3000]);
    let mut runner = proptest::test_runner::TestRunner::new(cases(400));
    let valid = Job::gemm(2, 2, 1500, 3).request(0, 1, 1, 0, |_| false).data().unwrap();
    let noise = prop::collection::vec(any::<u8>(), 0..120);
    // Half noise, half a valid request with some bytes changed and its end cut off.
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    runner
        .run(&(any::<bool>(), noise, changes, any::<prop::sample::Index>()), |(use_noise, noise, changes, cut)| {
            let mut data = if use_noise { noise } else { valid.clone() };
            for (at, byte) in changes {
                if !data.is_empty() {
                    let at = at.index(data.len());
                    data[at] = byte;
                }
            }
            data.truncate(cut.index(2 * data.len() + 1).max(1));
            let answer = chain.call(data, vec![AccountMeta::new_readonly(EVIDENCE, false)]);
            prop_assert!(matches!(answer, Ok(_) | Err(Failure::Named(_))), "{:?}", answer);
            Ok(())
        })
        .unwrap();
}
