//! Kernel 5: the dearest cells that params allow, each bounded by what the kernel counts for it.

use assay_kernels::{
    kernel::AnyKernel,
    option_risk::{AVERAGES, Params, SUMS},
};
use assay_tests::verifier::{Job, Verifier, crowd};

/// What a job of the table on the kernel's page is made of.
fn params(assets: u8, steps: u16, paths: u8, positions: u8, baskets: u8, flags: u8) -> Params {
    let (cells, first, seed) = (3, 1 << 40, 0x0123_4567_89ab_cdef);
    Params { cells, first, seed, steps, assets, baskets, positions, paths, flags, value_bits: 8, reference: 0 }
}

#[test]
fn the_dearest_cells_cost_less_than_the_kernel_counts() {
    let verifier = Verifier::new();
    let limit = u64::from(AnyKernel::OptionRisk.describe().cell_cu_max);
    for params in [
        params(1, 1, 1, 1, 0, 0),
        params(1, 1, 64, 1, 0, SUMS),
        params(1, 1, 60, 32, 0, AVERAGES),
        params(5, 63, 3, 7, 1, AVERAGES),
        params(5, 252, 1, 10, 1, 0),
        params(5, 200, 1, 10, 1, AVERAGES | SUMS),
        params(16, 1, 14, 32, 4, AVERAGES),
        params(16, 59, 1, 1, 0, 0),
        params(1, 1_120, 1, 1, 0, 0),
    ] {
        // Any bytes are a model.
        let job = Job::random(AnyKernel::OptionRisk, params.to_bytes().to_vec());
        let width = params.cell_bytes() as usize;
        let whole: Vec<u8> = job.leaves.values().flatten().copied().collect();
        let geometry = AnyKernel::OptionRisk.geometry(&job.params).unwrap();
        let last = geometry.leaves().unwrap() - 1;
        let cell = geometry.leaf_span(last).unwrap().cells - 1;
        let mut request = job.request(last, cell, 1, 0, |_| false);
        let (answer, plain) = verifier.ask(&request).unwrap();
        assert_eq!(answer, whole[whole.len() - width..]);
        crowd(&mut request, 0);
        let (again, crowded) = verifier.ask(&request).unwrap();
        assert_eq!(again, answer);
        println!(
            "option_risk, {} assets, {} steps, {} paths, {} positions, {} baskets, flags {}: {plain} CU, with {} openings \
             {crowded}, counted {}",
            params.assets,
            params.steps,
            params.paths,
            params.positions,
            params.baskets,
            params.flags,
            request.openings.len(),
            params.units(),
        );
        assert!(crowded <= params.units() && params.units() <= limit, "{crowded} CU, {} counted", params.units());
    }
}
