//! search.cu and the reference agree bit for bit.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used)]

use assay_cuda_host::search;
use assay_kernels::executor::{Inputs, reference_leaf};
use assay_kernels::search::template::Template;
use assay_kernels::search::{DOUBLE, MAX_MESSAGE_BYTES, MAX_SIZE, Params, REVERSED, WIDE};
use proptest::prelude::*;

/// The whole job by the reference and by the card's source.
fn both(params: &Params) -> (Vec<u8>, Vec<u8>) {
    let bytes = params.to_bytes();
    let leaves = params.cells.div_ceil(8);
    let expected = (0..leaves).flat_map(|leaf| reference_leaf(3, &bytes, &Inputs::default(), leaf).unwrap()).collect();
    let made = search(&Template::new(params), params.start, params.cells as u32, params.segments() as u32).unwrap();
    (made, expected)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn search_cu_is_the_reference(
        message in prop::collection::vec(any::<u8>(), 8..=MAX_MESSAGE_BYTES), flags in 0u8..16, size in 0u8..3,
        cells in 1u64..12, at in any::<prop::sample::Index>(), start in any::<u64>(), near in any::<bool>(),
    ) {
        let base = Params { flags, size, cells, ..Params::of(&message).unwrap() };
        let wide = flags & WIDE != 0;
        let nonce_at = at.index(message.len() + 1 - base.nonce_bytes()) as u8;
        let last = if wide { u64::MAX } else { u64::from(u32::MAX) } - (base.candidates() - 1);
        let start = match (near, wide) {
            (true, true) => u64::from(u32::MAX) - base.candidates() / 2,
            (true, false) => last,
            (false, _) => start.min(last),
        };
        let (made, expected) = both(&Params { start, nonce_at, ..base });
        prop_assert_eq!(made, expected);
    }
}

/// Every place of a nonce in the words of its block and beyond, and every number of blocks.
#[test]
fn every_place_of_a_nonce_is_the_references() {
    let message: Vec<u8> = (0..MAX_MESSAGE_BYTES).map(|i| (i * 7) as u8).collect();
    for nonce_at in 0..64u8 {
        let len = usize::from(nonce_at) + 8 + usize::from(nonce_at) * 11 % 170;
        let base = Params::of(&message[..len.min(MAX_MESSAGE_BYTES)]).unwrap();
        let flags = WIDE | (nonce_at & 13);
        let (made, expected) = both(&Params { flags, nonce_at, start: 0xfedc_ba98_7654_3210, ..base });
        assert_eq!(made, expected, "at {nonce_at} of {len}");
    }
}

#[test]
fn the_longest_cell_is_the_references() {
    let base = Params::of(&[0x5a; 80]).unwrap();
    let (made, expected) = both(&Params { flags: DOUBLE | REVERSED, size: MAX_SIZE, nonce_at: 76, ..base });
    assert_eq!(made, expected);
}
