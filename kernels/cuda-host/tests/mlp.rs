//! mlp_i8.cu and the CPU executor agree bit for bit on whole networks; the executor's tests tie it to the reference.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used)]

use assay_cuda_host::{MlpLayer, mlp_i8_largest, mlp_i8_layer, mlp_i8_rows};
use assay_kernels::executor::{Backend, Cpu, Inputs, reference_job};
use assay_kernels::gemm_i8::{ENTRIES, Entry};
use assay_kernels::mlp_i8::{Activation, Layer, Output, Params};
use assay_kernels::registry;
use proptest::prelude::*;

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

/// Whatever bytes: padding is then not zero, and biases are any.
fn bytes(chunks: u64, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    (0..chunks * 1024)
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            if state >> 61 == 0 { 0x80 } else { (state >> 40) as u8 }
        })
        .collect()
}

/// A job's leaves by the .cu, launched as on a card: group by group, stage by stage.
fn by_cu(entry: Entry, params: &Params, samples: &[u8], weights: &[u8]) -> Vec<u8> {
    let (samples, weights) = (words(samples), words(weights));
    let mut leaves = Vec::new();
    for group in 0..u32::from(params.groups) {
        let (first, count) = params.samples(group);
        let row = params.sample_bytes() / 4;
        let row_words = |values: u32| values.next_multiple_of(128) / 4;
        let (at, width) = (u64::from(first) * u64::from(row), params.input_width);
        let mut values = mlp_i8_rows(&samples, at, row, row_words(width), width, count).unwrap();
        let mut sums = Vec::new();
        for (stage, layer) in params.layers().iter().enumerate() {
            let is_last = stage + 1 == params.layers().len();
            let layer = MlpLayer {
                weights: &weights,
                weights_at: params.layer_start(stage) * 256,
                weight_words: params.weight_bytes(stage) / 4,
                next_words: if is_last { 0 } else { row_words(layer.width) },
                k: params.fan_in(stage),
                n: layer.width,
                samples: count,
                multiplier: layer.multiplier as i32,
                shift: i32::from(layer.shift),
                low: if layer.activation == Activation::Relu { 0 } else { -128 },
            };
            let (made, next) = mlp_i8_layer(entry, layer, &values).unwrap();
            leaves.extend(made.iter().flat_map(|sum| sum.to_le_bytes()));
            (sums, values) = (made, next);
        }
        if params.output == Output::Argmax {
            let width = params.layers().last().unwrap().width;
            leaves.extend(mlp_i8_largest(&sums, width).unwrap().into_iter().flat_map(u16::to_le_bytes));
        }
    }
    leaves
}

fn networks() -> impl Strategy<Value = Params> {
    let width = || prop_oneof![1u32..10, 60u32..70, 120u32..140];
    let layer = (width(), 1..=i32::MAX as u32, 0u8..=31, any::<bool>()).prop_map(|(width, multiplier, shift, relu)| {
        let activation = if relu { Activation::Relu } else { Activation::None };
        Layer { width, multiplier, shift: if shift > 16 { shift % 12 } else { shift }, activation }
    });
    let output = prop_oneof![Just(Output::Sums), Just(Output::Argmax)];
    let inputs = prop_oneof![1u32..10, 120u32..140, 1020u32..1030];
    (1u32..80, 1u8..=5, output, inputs, prop::collection::vec(layer, 0..=2), width()).prop_filter_map(
        "more groups than there is room for",
        |(batch, groups, output, inputs, mut layers, last)| {
            layers.push(Layer::last(last));
            Params::new(batch, groups, output, inputs, &layers).ok()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn mlp_i8_cu_is_the_executor(params in networks(), seed in any::<u64>(), mma in 0u8..4) {
        let (samples, weights) = params.input_chunks();
        let (samples, weights) = (bytes(samples, seed), bytes(weights, !seed));
        let inputs = Inputs { inputs: [&samples, &weights, &[], &[]] };
        let leaves = registry::geometry(4, &params.to_vec()).unwrap().leaves().unwrap();
        let expected = Cpu.run(4, &params.to_vec(), &inputs, 0..leaves).unwrap();
        // Most by dp4a: the tensor cores of the host take their time, and have tests of their own.
        let entry = ENTRIES[if mma == 0 { 1 } else { 3 }];
        prop_assert_eq!(by_cu(entry, &params, &samples, &weights), expected);
    }
}

#[test]
fn mlp_i8_cu_is_the_reference() {
    let layer = |width, activation| Layer { width, multiplier: 0x5a82_799a, shift: 9, activation };
    let layers = [layer(70, Activation::Relu), layer(5, Activation::None), Layer::last(66)];
    let params = Params::new(66, 2, Output::Argmax, 129, &layers).unwrap();
    let (samples, weights) = params.input_chunks();
    let (samples, weights) = (bytes(samples, 1), bytes(weights, 2));
    let inputs = Inputs { inputs: [&samples, &weights, &[], &[]] };
    let expected: Vec<u8> = reference_job(4, &params.to_vec(), &inputs).unwrap().into_values().flatten().collect();
    for entry in ENTRIES {
        assert!(by_cu(entry, &params, &samples, &weights) == expected, "{}", entry.name);
    }
}
