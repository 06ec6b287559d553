//! Kernel 1.

use assay_kernels::{
    abi::{Op, RequestWriter},
    escape_time,
    executor::{Inputs, reference_cell},
    kernel::AnyKernel,
    registry,
};
use proptest::prelude::*;

use crate::cases;
use assay_tests::verifier::Verifier;

#[test]
fn escape_time_cells_equal_the_reference_within_their_compute_units() {
    let chain = Verifier::new();
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
    // A point of the set looks at every iteration whether it has escaped.
    let longest = escape_time::Params { width: 1, height: 1, max_iter: escape_time::MAX_ITER, x0: 0, y0: 0, step: 1 };
    let (answer, cu) = chain.ask(&RequestWriter::new(Op::Cell, 1, &longest.to_bytes(), 0, 0)).unwrap();
    assert_eq!(answer, escape_time::pixel(0, 0, escape_time::MAX_ITER).to_bytes());
    assert_eq!(answer[..2], 4096u16.to_le_bytes());
    println!("escape_time, 4,096 iterations: {cu} CU");
    assert!(cu <= limit, "{cu} CU");
}
