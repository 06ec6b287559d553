//! The verifier's real `.so` in a real SVM against the reference: cells over random jobs, openings dropped and added,
//! hostile requests, and the compute units that `describe` promises.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used)]

use std::cell::RefCell;
use std::path::Path;

use assay_kernels::abi::{
    Describe, Geometry, IN_EVIDENCE, MAX_CPI_DATA_BYTES, Op, Opening, RequestWriter, STEP_DONE, STEP_MORE,
    STEP_STATE_BYTES, VerifierError,
};
use assay_kernels::executor::{Inputs, open_reads, open_step_reads, reference_cell};
use assay_kernels::kernel::AnyKernel;
use assay_kernels::{escape_time, gemm_i8, registry};
use litesvm::LiteSVM;
use proptest::prelude::*;
use solana_account::Account;
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_instruction::{AccountMeta, Instruction, error::InstructionError};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_transaction::Transaction;

/// Compute units of the instruction that sets the limit.
const BUDGET_INSTRUCTION_CU: u64 = 150;
const EVIDENCE: Pubkey = Pubkey::new_from_array([0xe0; 32]);
const OTHER: Pubkey = Pubkey::new_from_array([0xe1; 32]);
/// The verifier does not care where it lies.
const VERIFIER: Pubkey = Pubkey::new_from_array([0xf0; 32]);

struct Chain {
    /// Property tests call with a shared reference.
    svm: RefCell<LiteSVM>,
    payer: Keypair,
}

/// The answer's bytes and the verifier's compute units, or what it failed with.
type Answer = Result<(Vec<u8>, u64), Failure>;

#[derive(Debug, PartialEq, Eq)]
enum Failure {
    Named(VerifierError),
    Other(String),
}

impl Chain {
    fn new() -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs/bin/assay_verifier.so");
        let mut svm = LiteSVM::new().with_sigverify(false);
        svm.add_program_from_file(VERIFIER, program).unwrap();
        let payer = Keypair::new();
        svm.airdrop(&payer.pubkey(), 100_000_000_000).unwrap();
        Self { svm: RefCell::new(svm), payer }
    }

    fn put(&self, address: Pubkey, data: &[u8]) {
        let account = Account { lamports: 10_000_000_000, data: data.to_vec(), owner: OTHER, ..Account::default() };
        self.svm.borrow_mut().set_account(address, account).unwrap();
    }

    /// Simulates one call, so that nothing but the evidence account's content carries over to the next.
    fn call(&self, data: Vec<u8>, accounts: Vec<AccountMeta>) -> Answer {
        let instructions = [
            ComputeBudgetInstruction::set_compute_unit_limit(1_400_000),
            Instruction { program_id: VERIFIER, accounts, data },
        ];
        let payer = self.payer.pubkey();
        let svm = self.svm.borrow();
        let transaction =
            Transaction::new_signed_with_payer(&instructions, Some(&payer), &[&self.payer], svm.latest_blockhash());
        match svm.simulate_transaction(transaction) {
            Ok(done) => {
                let cu = done.meta.compute_units_consumed - BUDGET_INSTRUCTION_CU;
                Ok((done.meta.return_data.data, cu))
            }
            Err(failed) => Err(match failed.err {
                solana_transaction::TransactionError::InstructionError(1, InstructionError::Custom(code)) => {
                    VerifierError::from_code(code).map_or(Failure::Other(format!("code {code}")), Failure::Named)
                }
                other => Failure::Other(format!("{other:?} {:?}", failed.meta.logs)),
            }),
        }
    }

    /// Calls with a request's evidence in a read-only account, or without account where it has none.
    fn ask(&self, request: &RequestWriter) -> Answer {
        let mut accounts = Vec::new();
        if !request.evidence.is_empty() {
            self.put(EVIDENCE, &request.evidence);
            accounts.push(AccountMeta::new_readonly(EVIDENCE, false));
        }
        self.call(request.data().unwrap(), accounts)
    }
}

fn named(error: VerifierError) -> Answer {
    Err(Failure::Named(error))
}

/// A job with its inputs, owned.
struct Job {
    kernel: AnyKernel,
    params: Vec<u8>,
    inputs: [Vec<u8>; 2],
}

impl Job {
    fn gemm(m: u32, n: u32, k: u32, seed: u64) -> Self {
        let params = gemm_i8::Params { m, n, k };
        let mut state = seed | 1;
        let mut bytes = |rows: u32| {
            (0..u64::from(rows) * params.row_bytes())
                .map(|_| {
                    state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                    if state >> 61 == 0 { 0x80 } else { (state >> 40) as u8 }
                })
                .collect::<Vec<u8>>()
        };
        let inputs = [bytes(m), bytes(n)];
        Self { kernel: AnyKernel::GemmI8, params: params.to_bytes().to_vec(), inputs }
    }

    fn inputs(&self) -> Inputs<'_> {
        let [a, b] = &self.inputs;
        Inputs { inputs: [a, b, &[], &[]] }
    }

    fn expected(&self, leaf: u64, cell: u32) -> Vec<u8> {
        reference_cell(self.kernel.id(), &self.params, &self.inputs(), leaf, cell).unwrap()
    }

    /// A request for the step after `done` ones, each opening of at most `chunks` chunks, all in the evidence account.
    fn step(&self, leaf: u64, cell: u32, done: u64, state: &[u8; STEP_STATE_BYTES], chunks: usize) -> RequestWriter {
        let mut writer = RequestWriter::step(self.kernel.id(), &self.params, leaf, cell, done, state);
        for (read, bytes) in open_step_reads(self.kernel.id(), &self.params, &self.inputs(), leaf, cell, done).unwrap()
        {
            for (i, piece) in bytes.chunks(chunks * 1024).enumerate() {
                writer.open_in_evidence(read.source, read.start + (i * chunks) as u64, piece).unwrap();
            }
        }
        writer
    }

    /// A request for a cell with what it reads cut into openings of at most `chunks` chunks each. `place` says for
    /// each whether it goes inline; the evidence begins with `skip` bytes of something else.
    fn request(
        &self,
        leaf: u64,
        cell: u32,
        chunks: usize,
        skip: usize,
        place: impl Fn(usize) -> bool,
    ) -> RequestWriter {
        let mut writer = RequestWriter::new(Op::Cell, self.kernel.id(), &self.params, leaf, cell);
        writer.evidence = vec![0xaa; skip];
        for (read, bytes) in open_reads(self.kernel.id(), &self.params, &self.inputs(), leaf, cell).unwrap() {
            for (i, piece) in bytes.chunks(chunks * 1024).enumerate() {
                let start = read.start + (i * chunks) as u64;
                if place(writer.openings.len()) {
                    writer.open_inline(read.source, start, piece).unwrap();
                } else {
                    writer.open_in_evidence(read.source, start, piece).unwrap();
                }
            }
        }
        writer
    }
}

/// Failures are printed, not written beside the source.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn describe_and_check_are_the_registrys() {
    let chain = Chain::new();
    for kernel in AnyKernel::ALL {
        let (answer, cu) = chain.ask(&RequestWriter::new(Op::Describe, kernel.id(), &[], 0, 0)).unwrap();
        assert_eq!(bytemuck::pod_read_unaligned::<Describe>(&answer), kernel.describe());
        println!("describe {}: {cu} CU", kernel.name());
    }
    let image = escape_time::Params {
        width: 1920,
        height: 1080,
        max_iter: 1000,
        x0: -(2 << 28),
        y0: -(1 << 28),
        step: 400_000,
    };
    let product = gemm_i8::Params { m: 1024, n: 1024, k: 1024 };
    for (kernel, params) in [(1, image.to_bytes().to_vec()), (2, product.to_bytes().to_vec())] {
        let (answer, cu) = chain.ask(&RequestWriter::new(Op::Check, kernel, &params, 0, 0)).unwrap();
        let geometry = bytemuck::pod_read_unaligned::<Geometry>(&answer);
        assert_eq!(geometry, registry::geometry(kernel, &params).unwrap());
        assert!(geometry.is_valid());
        println!("check of kernel {kernel}: {cu} CU");
    }
}

#[test]
fn escape_time_cells_equal_the_reference_within_their_compute_units() {
    let chain = Chain::new();
    let limit = u64::from(AnyKernel::EscapeTime.describe().cell_cu_max);
    let mut runner = proptest::test_runner::TestRunner::new(cases(150));
    let jobs = (1u32..300, 1u32..300, 1u32..=4096, -48i64..48, -48i64..48, 1i64..500_000, any::<prop::sample::Index>());
    runner
        .run(&jobs, |(width, height, max_iter, x, y, step, at)| {
            let params = escape_time::Params { width, height, max_iter, x0: x << 24, y0: y << 24, step }.to_bytes();
            let at =
                registry::geometry(1, &params).unwrap().locate(at.index((width * height) as usize) as u64).unwrap();
            let (answer, cu) = chain.ask(&RequestWriter::new(Op::Cell, 1, &params, at.leaf, at.cell)).unwrap();
            prop_assert_eq!(answer, reference_cell(1, &params, &Inputs::default(), at.leaf, at.cell).unwrap());
            prop_assert!(cu <= limit);
            Ok(())
        })
        .unwrap();
    // A point of the set takes all iterations.
    let longest = escape_time::Params { width: 1, height: 1, max_iter: escape_time::MAX_ITER, x0: 0, y0: 0, step: 1 };
    let (answer, cu) = chain.ask(&RequestWriter::new(Op::Cell, 1, &longest.to_bytes(), 0, 0)).unwrap();
    assert_eq!(answer, 4096u16.to_le_bytes());
    println!("escape_time, 4,096 iterations: {cu} CU");
    assert!(cu <= limit, "{cu} CU");
}

#[test]
fn gemm_cells_equal_the_reference_and_need_every_opening() {
    let chain = Chain::new();
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
    let chain = Chain::new();
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
    let chain = Chain::new();
    let limit = u64::from(AnyKernel::GemmI8.describe().cell_cu_max);
    let mut job = Job::gemm(3, 3, gemm_i8::MAX_K, 5);
    for done in 0..4 {
        let mut request = job.step(0, 5, done, &[0x7f; STEP_STATE_BYTES], 1);
        let (_, whole) = chain.ask(&job.step(0, 5, done, &[0; STEP_STATE_BYTES], 32)).unwrap();
        // As many openings as instruction data can hold, the useful ones last and each chunk on its own.
        let room = (MAX_CPI_DATA_BYTES - request.data().unwrap().len()) / assay_kernels::abi::OPENING_BYTES;
        let useless = Opening { source: 1, start: 0, len: 1024, at: IN_EVIDENCE };
        request.openings.splice(0..0, vec![useless; room]);
        let (_, most) = chain.ask(&request).unwrap();
        println!("gemm_i8, k = 131,071, step {done}: {whole} CU, with {} openings {most}", request.openings.len());
        assert!(most <= limit, "{most} CU");
    }
    // The largest sum there is.
    job.inputs = [vec![0x80; 3 << 17], vec![0x80; 3 << 17]];
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
    let chain = Chain::new();
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
    // As many openings as instruction data can hold, the useful ones last and each chunk on its own.
    let mut request = job.request(0, 5, 1, 3, |_| false);
    let room = (MAX_CPI_DATA_BYTES - request.data().unwrap().len()) / assay_kernels::abi::OPENING_BYTES;
    let useless = Opening { source: 1, start: 0, len: 1024, at: IN_EVIDENCE };
    request.openings.splice(0..0, vec![useless; room]);
    let (answer, cu) = chain.ask(&request).unwrap();
    assert_eq!(answer, expected);
    println!("gemm_i8, k = 32,768, {} openings: {cu} CU", request.openings.len());
    assert!(cu <= limit, "{cu} CU");
    // Extreme values, and the whole evidence inline.
    for (x, y) in [(0x80, 0x80), (0x7f, 0x80)] {
        let mut job = Job::gemm(1, 1, gemm_i8::STEP_K, 0);
        job.inputs = [vec![x; 32_768], vec![y; 32_768]];
        let (answer, _) = chain.ask(&job.request(0, 0, 32, 0, |_| false)).unwrap();
        let expected = i32::from(x as i8) * i32::from(y as i8) * 32_768;
        assert_eq!(answer, expected.to_le_bytes());
    }
    let job = Job::gemm(1, 1, 4096, 9);
    let (answer, cu) = chain.ask(&job.request(0, 0, 4, 0, |_| true)).unwrap();
    assert_eq!(answer, job.expected(0, 0));
    println!("gemm_i8, k = 4,096, all inline: {cu} CU");
}

#[test]
fn refusals_have_their_names_on_chain() {
    let chain = Chain::new();
    let product = |m, n, k| gemm_i8::Params { m, n, k }.to_bytes().to_vec();
    let step = |n, k, done, cell| RequestWriter::step(2, &product(1, n, k), 0, cell, done, &[0; STEP_STATE_BYTES]);
    let check = |kernel, params: &[u8]| RequestWriter::new(Op::Check, kernel, params, 0, 0);
    for (request, error) in [
        (check(2, &product(1, 1, 131_072)), VerifierError::ParamsTooLarge),
        (check(2, &product(1, (1 << 17) + 1, 131_071)), VerifierError::ParamsTooLarge),
        (check(2, &product(0, 1, 1)), VerifierError::ParamsZero),
        (check(2, &product(1, u32::MAX, 1)), VerifierError::ParamsTooLarge),
        (check(2, &[]), VerifierError::ParamsLength),
        (check(1, &product(1, 1, 1)), VerifierError::ParamsLength),
        (check(3, &product(1, 1, 1)), VerifierError::UnknownKernel),
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
    let chain = Chain::new();
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
