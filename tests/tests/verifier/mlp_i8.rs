//! Kernel 4: the cells that read most, of every kind of layer.

use assay_kernels::{
    abi::SOURCE_LEAVES,
    kernel::AnyKernel,
    mlp_i8::{Activation, Layer, MAX_INPUT_WIDTH, MAX_WIDTH, Output, Params},
};

use assay_tests::verifier::{Job, Verifier, crowd};

fn job(batch: u32, inputs: u32, layers: &[Layer]) -> Job {
    let params = Params::new(batch, 1, Output::Argmax, inputs, layers).unwrap();
    Job::random(AnyKernel::MlpI8, params.to_vec())
}

/// A cell whole, chunk by chunk at an odd offset, and among as many useless openings as a request can have. Returns the
/// most compute units.
fn most(chain: &Verifier, job: &Job, leaf: u64, cell: u32) -> u64 {
    let geometry = AnyKernel::MlpI8.geometry(&job.params).unwrap();
    let width = geometry.leaf_span(leaf).unwrap().cell_bytes as usize;
    let expected = &job.leaves[&leaf][cell as usize * width..][..width];
    let mut most = 0;
    for (chunks, skip, useless) in
        [(32, 0, None), (1, 3, None), (1, 0, Some(0)), (1, 0, Some(1)), (1, 0, Some(SOURCE_LEAVES))]
    {
        let mut request = job.request(leaf, cell, chunks, skip, |_| false);
        if let Some(source) = useless {
            crowd(&mut request, source);
        }
        let (answer, cu) = chain.ask(&request).unwrap();
        assert_eq!(answer, expected, "leaf {leaf}, cell {cell}, openings of {chunks} chunks");
        let openings = request.openings.len();
        println!("mlp_i8, leaf {leaf}, {openings} openings of at most {chunks} chunks: {cu} CU");
        most = most.max(cu);
    }
    most
}

#[test]
fn the_largest_cells_stay_within_their_compute_units() {
    let chain = Verifier::new();
    let limit = u64::from(AnyKernel::MlpI8.describe().cell_cu_max);
    // The longest sample and row, of the second sample and the last neuron: what is read begins nowhere near the front.
    let first = job(2, MAX_INPUT_WIDTH, &[Layer::last(5)]);
    let cu = most(&chain, &first, 0, 9);
    assert!(cu <= limit, "the first layer: {cu} CU");
    // The widest layer whose samples do not begin with leaves, before and behind: 17 leaves of sums.
    let hidden = Layer { width: MAX_WIDTH - 1, multiplier: 0x5a82_799a, shift: 9, activation: Activation::Relu };
    let later = job(3, 1, &[hidden, Layer::last(MAX_WIDTH - 1)]);
    let leaves = later.leaves.len() as u64;
    let of_layer = u64::from(3 * (MAX_WIDTH - 1)).div_ceil(256);
    assert_eq!(leaves, 2 * of_layer + 1, "two layers, one leaf of answers");
    let cu = most(&chain, &later, 2 * of_layer - 1, 0);
    assert!(cu <= limit, "a later layer: {cu} CU");
    let cu = most(&chain, &later, 2 * of_layer, 2);
    assert!(cu <= limit, "an answer: {cu} CU");
}
