//! Kernel 6: tiles with both neighbours, right ones and ones that only a forger commits.

use assay_kernels::{
    align::{Matrix, Params, Scoring},
    kernel::AnyKernel,
};
use assay_tests::verifier::{Job, Verifier, crowd};

/// Two queries against two rows, 3 x 2 tiles a pair.
fn job(scoring: Scoring) -> Job {
    let params = Params { queries: 2, rows: 2, records: 2, query_tiles: 3, row_tiles: 2, groups: 1, scoring };
    Job::random(AnyKernel::Align, params.to_bytes().to_vec())
}

#[test]
fn the_dearest_tiles_stay_within_their_compute_units() {
    let verifier = Verifier::new();
    let limit = u64::from(AnyKernel::Align.describe().cell_cu_max);
    let steep = Scoring { matrix: Matrix::Nucleotides { equal: 1, different: 127 }, open: 126, extend: 1 };
    let mut most = 0;
    for (name, scoring) in [("BLOSUM62", Scoring::PROTEIN), ("nucleotides", Scoring::DNA), ("steep", steep)] {
        let honest = job(scoring);
        // Tile 3 of the last pair, in the second row and column of tiles, reads the tile above and the one to its left.
        let leaf = 3 * 6 + 3;
        for poison in [None, Some(0x00), Some(0x7f), Some(0x80), Some(0xff)] {
            let mut job = Job { leaves: honest.leaves.clone(), inputs: honest.inputs.clone(), ..job(scoring) };
            if let Some(byte) = poison {
                job.leaves.range_mut(..leaf).for_each(|(_, bytes)| bytes.fill(byte));
            }
            let expected = job.expected(leaf, 0);
            let mut request = job.request(leaf, 0, 1, 0, |_| false);
            assert_eq!(request.openings.len(), 4, "two inputs, two neighbours");
            let (answer, plain) = verifier.ask(&request).unwrap();
            assert_eq!(answer, expected, "{name}, neighbours {poison:?}");
            if poison.is_none() {
                assert_eq!(answer, honest.leaves[&leaf]);
            }
            crowd(&mut request, 0);
            let (again, crowded) = verifier.ask(&request).unwrap();
            assert_eq!(again, answer);
            println!(
                "align, {name}, neighbours {poison:02x?}: {plain} CU, with {} openings {crowded}",
                request.openings.len()
            );
            most = most.max(crowded);
        }
    }
    assert!(most <= limit, "{most} CU, {limit} declared");
}
