//! option_risk.cu and the reference agree bit for bit.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used)]

use assay_cuda_host::option_risk;
use assay_kernels::executor::{Inputs, reference_leaf};
use assay_kernels::handling::Handling;
use assay_kernels::kernel::Kernel;
use assay_kernels::option_risk::{OptionRisk, Params};
use proptest::prelude::*;

/// The whole job by the reference and by the card's source, in two launches.
fn both(params: &Params, input: &[u8], most: u32) -> (Vec<u8>, Vec<u8>) {
    let inputs = Inputs { inputs: [input, &[], &[], &[]] };
    let leaves = OptionRisk::geometry(params).unwrap().leaves().unwrap();
    let bytes = params.to_bytes();
    let expected = (0..leaves).flat_map(|leaf| reference_leaf(5, &bytes, &inputs, leaf).unwrap()).collect();
    let front = params.cells as u32 / 2;
    let mut made = option_risk(params, input, 0, front, most).unwrap();
    made.extend(option_risk(params, input, u64::from(front), params.cells as u32 - front, most).unwrap());
    (made, expected)
}

fn fitting(assets: u8) -> impl Iterator<Item = u32> {
    [4, 8, 16].into_iter().filter(move |most| u32::from(assets) <= *most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn option_risk_cu_is_the_reference(
        sizes in (1u64..60, any::<u64>(), any::<u64>(), 1u16..9, 1u8..=16),
        counts in (0u8..=4, 1u8..=32, 1u8..=9, 0u8..4),
        mut bytes in prop::collection::vec(any::<u8>(), 2_048), is_noise in any::<bool>(),
    ) {
        let ((cells, first, seed, steps, assets), (baskets, positions, paths, flags)) = (sizes, counts);
        if !is_noise {
            // Numbers of the usual sizes.
            for word in bytes.as_chunks_mut::<4>().0 {
                word[3] = if word[3] & 1 == 0 { 0 } else { 0xff };
            }
        }
        let first = first.min(u64::MAX - 10 * cells);
        let base = Params {
            cells, first, seed, steps, assets, baskets, positions, paths, flags, value_bits: 0, reference: 0,
        };
        let params = base.with_most_paths(paths).unwrap();
        let input = &bytes[..1_024 * params.model_chunks() as usize];
        for most in fitting(assets) {
            let (made, expected) = both(&params, input, most);
            prop_assert_eq!(made, expected, "up to {} assets", most);
        }
    }
}

#[test]
fn the_kernels_own_jobs_are_the_references() {
    for job in OptionRisk.checks() {
        let params = OptionRisk::parse(&job.params).unwrap();
        for most in fitting(params.assets) {
            let (made, expected) = both(&params, &job.inputs[0], most);
            assert_eq!(made, expected);
        }
    }
}
