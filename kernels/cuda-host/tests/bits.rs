//! The CUDA source and the reference agree bit for bit.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used)]

use assay_cuda_host::{Image, escape_time};
use assay_kernels::abi::Geometry;
use assay_kernels::executor::{Inputs, reference_leaf};
use assay_kernels::{escape_time as escape_kernel, registry};
use proptest::prelude::*;

/// All leaves of a job by the reference.
fn reference(kernel: u16, params: &[u8], inputs: &Inputs) -> Vec<u8> {
    let geometry: Geometry = registry::geometry(kernel, params).unwrap();
    (0..geometry.leaves().unwrap()).flat_map(|leaf| reference_leaf(kernel, params, inputs, leaf).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn escape_time_cu_is_the_reference(
        width in 1u32..200, height in 1u32..20, max_iter in 1u32..600, x in -7i64..=7, y in -7i64..=7,
        step in 1i64..5_000_000, cut in any::<prop::sample::Index>(),
    ) {
        let (x0, y0) = (x << 27, y << 27);
        let params = escape_kernel::Params { width, height, max_iter, x0, y0, step };
        prop_assume!(registry::geometry(1, &params.to_bytes()).is_ok());
        let expected = reference(1, &params.to_bytes(), &Inputs::default());
        let first = cut.index((width * height) as usize) as u64;
        let image = Image { width, max_iter, x0, y0, step };
        let made: Vec<u8> =
            escape_time(image, first, width * height - first as u32).into_iter().flat_map(u32::to_le_bytes).collect();
        prop_assert_eq!(&made[..], &expected[4 * first as usize..]);
    }
}
