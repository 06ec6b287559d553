//! Kernel 3: the messages that take most, and the largest cells, which take 128 steps.

use assay_kernels::{
    abi::{Op, RequestWriter, STEP_STATE_BYTES},
    executor::Inputs,
    kernel::AnyKernel,
    search::{BIG_ENDIAN, DOUBLE, MAX_MESSAGE_BYTES, MAX_SIZE, Params, REVERSED, WIDE},
};

use assay_tests::verifier::{Job, Verifier, crowd};

#[test]
fn the_longest_messages_stay_within_their_compute_units() {
    let chain = Verifier::new();
    let limit = u64::from(AnyKernel::Search.describe().cell_cu_max);
    let longest = Params::of(&[0xc3; MAX_MESSAGE_BYTES]).unwrap();
    let mut most = 0;
    for flags in 0..=(DOUBLE | WIDE | BIG_ENDIAN | REVERSED) {
        for nonce_at in [0, 61, MAX_MESSAGE_BYTES as u8 - 8] {
            let job = Job::random(AnyKernel::Search, Params { flags, nonce_at, cells: 2, ..longest }.to_bytes());
            let mut request = job.request(0, 1, 1, 0, |_| false);
            let (answer, whole) = chain.ask(&request).unwrap();
            assert_eq!(answer, job.leaves[&0][32..]);
            // With evidence that nobody reads.
            request.evidence = vec![7; 1024];
            crowd(&mut request, 0);
            let (crowded, cu) = chain.ask(&request).unwrap();
            assert_eq!(crowded, answer);
            println!("search, 247 bytes, flags {flags}, nonce at {nonce_at}: {whole} CU, with many openings {cu}");
            most = most.max(cu);
        }
    }
    assert!(most <= limit, "{most} CU");
}

#[test]
fn the_largest_cells_in_steps_equal_the_processors() {
    let chain = Verifier::new();
    let limit = u64::from(AnyKernel::Search.describe().cell_cu_max);
    let header = Params::of(&[0x5a; 80]).unwrap();
    let params =
        Params { cells: 3, size: MAX_SIZE, nonce_at: 76, start: 1_000_000, flags: DOUBLE | REVERSED, ..header };
    let job = Job::random(AnyKernel::Search, params.to_bytes());
    let steps = AnyKernel::Search.steps(&job.params).unwrap();
    assert_eq!(steps, 128);
    let (mut state, mut most) = ([0; STEP_STATE_BYTES], 0);
    for done in 0..steps {
        let (answer, cu) = chain.ask(&job.step(0, 2, done, &state, 1)).unwrap();
        most = most.max(cu);
        if done + 1 < steps {
            state.copy_from_slice(&answer[1..]);
        } else {
            assert_eq!(answer[1..], job.leaves[&0][64..]);
        }
    }
    println!("search, 80 bytes twice, the dearest of 128 steps: {most} CU");
    assert!(most <= limit, "{most} CU");
}

/// Block 0 of Bitcoin: its nonce is found on chain.
#[test]
fn a_known_block_is_found_on_chain() {
    let chain = Verifier::new();
    let mut header = vec![0; 80];
    header[0] = 1;
    let merkle_root = [
        0x3b, 0xa3, 0xed, 0xfd, 0x7a, 0x7b, 0x12, 0xb2, 0x7a, 0xc7, 0x2c, 0x3e, 0x67, 0x76, 0x8f, 0x61, 0x7f, 0xc8,
        0x1b, 0xc3, 0x88, 0x8a, 0x51, 0x32, 0x3a, 0x9f, 0xb8, 0xaa, 0x4b, 0x1e, 0x5e, 0x4a,
    ];
    header[36..68].copy_from_slice(&merkle_root);
    header[68..76].copy_from_slice(&[0x29, 0xab, 0x5f, 0x49, 0xff, 0xff, 0, 0x1d]);
    let nonce = 2_083_236_893u64;
    let params = Params { start: nonce - 200, nonce_at: 76, flags: DOUBLE | REVERSED, ..Params::of(&header).unwrap() };
    let request = RequestWriter::new(Op::Cell, AnyKernel::Search.id(), &params.to_bytes(), 0, 0);
    let (cell, cu) = chain.ask(&request).unwrap();
    println!("search, a block header twice: {cu} CU");
    assert_eq!(cell[..8], [0, 0, 0, 0, 0, 0x19, 0xd6, 0x68]);
    assert_eq!(cell[8..16], nonce.to_le_bytes());
    let of = assay_kernels::executor::reference_cell(3, &params.to_bytes(), &Inputs::default(), 0, 0).unwrap();
    assert_eq!(cell, of);
}
