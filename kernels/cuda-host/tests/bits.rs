//! The CUDA source and the reference agree bit for bit.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used)]

use assay_cuda_host::{Image, Product, escape_time, gemm_i8};
use assay_kernels::abi::Geometry;
use assay_kernels::executor::{Inputs, reference_leaf};
use assay_kernels::{escape_time as escape_kernel, gemm_i8 as gemm_kernel, registry};
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

    #[test]
    fn gemm_i8_cu_is_the_reference(
        m in 1u32..80, n in 1u32..80, k in prop_oneof![1u32..10, 120u32..140, 1020u32..1030, 2040u32..2060],
        seed in any::<u64>(), row in any::<prop::sample::Index>(), from in any::<prop::sample::Index>(),
    ) {
        let params = gemm_kernel::Params { m, n, k };
        let (a, b) = (bytes(m, &params, seed), bytes(n, &params, !seed));
        let inputs = Inputs { inputs: [&a, &b, &[], &[]] };
        let expected = reference(2, &params.to_bytes(), &inputs);
        // Any row to begin with, and in its first row any element.
        let row0 = row.index(m as usize) as u64;
        let first = row0 * u64::from(n) + from.index(n as usize) as u64;
        let a_rows = &a[(row0 * params.row_bytes()) as usize..];
        let product = Product {
            a: &words(a_rows),
            b: &words(&b),
            row_words: (params.row_bytes() / 4) as u32,
            k,
            n,
            rows: m - row0 as u32,
            row0,
        };
        let made = gemm_i8(product, first, params.elements() - first).unwrap();
        let made: Vec<u8> = made.into_iter().flat_map(i32::to_le_bytes).collect();
        prop_assert_eq!(&made[..], &expected[4 * first as usize..]);
    }
}

#[test]
fn gemm_i8_cu_is_exact_at_the_largest_k_with_extreme_values() {
    let params = gemm_kernel::Params { m: 1, n: 2, k: gemm_kernel::MAX_K };
    for (x, y) in [(0x80, 0x80), (0x80, 0x7f), (0x7f, 0x7f)] {
        let row = params.row_bytes() as usize;
        let (a, b) = (vec![x; row], vec![y; 2 * row]);
        let row_words = (row / 4) as u32;
        let product = Product { a: &words(&a), b: &words(&b), row_words, k: params.k, n: 2, rows: 1, row0: 0 };
        let expected = i32::from(x as i8) * i32::from(y as i8) * params.k as i32;
        assert_eq!(gemm_i8(product, 0, 2), Some(vec![expected; 2]));
        assert_eq!(gemm_i8(product, 1, 1), Some(vec![expected]));
    }
}

/// Rows with padding that is not zero: it must not matter.
fn bytes(rows: u32, params: &gemm_kernel::Params, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    (0..u64::from(rows) * params.row_bytes())
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            if state >> 61 == 0 { 0x80 } else { (state >> 40) as u8 }
        })
        .collect()
}

fn words(bytes: &[u8]) -> Vec<i32> {
    bytes.as_chunks::<4>().0.iter().map(|word| i32::from_le_bytes(*word)).collect()
}
