//! align.cu and the CPU executor agree bit for bit on whole jobs; the executor's tests tie it to the reference.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used)]

use assay_cuda_host::{AlignPairs, align_pairs};
use assay_kernels::align::{Matrix, Params, SYMBOLS, Scoring};
use assay_kernels::executor::{Backend, Cpu, Inputs, reference_job};
use assay_kernels::registry;
use proptest::prelude::*;

/// Symbols of any meaning; `alike` makes the inputs repeat few of them.
fn bytes(chunks: u64, seed: u64, alike: u8) -> Vec<u8> {
    let mut state = seed | 1;
    (0..chunks * 1024)
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let byte = (state >> 40) as u8;
            if state >> 56 > u64::from(alike) { byte } else { byte & 0xe1 }
        })
        .collect()
}

/// A job's leaves by the .cu: every group in launches of three pairs, brought into the order of leaves.
fn by_cu(params: &Params, queries: &[u8], rows: &[u8]) -> Vec<u8> {
    let mut own = [[0; SYMBOLS]; SYMBOLS];
    let table = params.scoring.matrix.table(&mut own).as_flattened().to_vec();
    let mut leaves = vec![0; (params.pairs() * params.tiles()) as usize * 496];
    let classes: Vec<_> = params.classes().collect();
    for group in classes.chunk_by(|a, b| a.first_pair == b.first_pair) {
        let (start, end) = (group[0].first_pair, group[0].first_pair + group[0].pairs);
        for first in (start..end).step_by(3) {
            let pairs = (end - first).min(3);
            let made = align_pairs(AlignPairs {
                queries,
                rows,
                table: &table,
                first,
                pairs: pairs as u32,
                row_count: params.rows,
                query_tiles: params.query_tiles.into(),
                row_tiles: params.row_tiles.into(),
                stage_tiles: params.stage_tiles() as u32,
                open: params.scoring.open.into(),
                extend: params.scoring.extend.into(),
            })
            .unwrap();
            let mut rest = &made[..];
            for class in group {
                let (run, behind) = rest.split_at((pairs * class.tiles) as usize * 496);
                let at = class.first_leaf + (first - class.first_pair) * class.tiles;
                leaves[at as usize * 496..][..run.len()].copy_from_slice(run);
                rest = behind;
            }
            assert!(rest.is_empty());
        }
    }
    leaves
}

fn scorings() -> impl Strategy<Value = Scoring> {
    let matrix = (any::<bool>(), 1u8..=126, 0u8..=127).prop_map(|(protein, equal, different)| {
        if protein { Matrix::Blosum62 } else { Matrix::Nucleotides { equal, different } }
    });
    (matrix, any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(matrix, open, extend)| {
        let largest = Scoring { matrix, open: 1, extend: 1 }.largest();
        let open = 1 + open.index(usize::from(127 - largest)) as u8;
        Scoring { matrix, open, extend: 1 + extend.index(usize::from(open)) as u8 }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn align_cu_is_the_executor(
        scoring in scorings(), queries in 1u32..3, rows in 1u32..10, query_tiles in 1u8..=3, row_tiles in 1u8..=3,
        groups in 1u8..4, seed in any::<u64>(), alike in any::<u8>(),
    ) {
        let params = Params { queries, rows, records: 1, query_tiles, row_tiles, groups, scoring };
        let groups = if params.stages() == 1 { 1 } else { groups };
        let params = Params { groups, ..params };
        prop_assume!(params.check().is_ok());
        let (queries, rows) = params.input_chunks();
        let (queries, rows) = (bytes(queries, seed, alike), bytes(rows, !seed, alike));
        let inputs = Inputs { inputs: [&queries, &rows, &[], &[]] };
        let leaves = registry::geometry(6, &params.to_bytes()).unwrap().leaves().unwrap();
        let expected = Cpu.run(6, &params.to_bytes(), &inputs, 0..leaves).unwrap();
        prop_assert!(by_cu(&params, &queries, &rows) == expected);
    }
}

#[test]
fn align_cu_is_the_reference() {
    let scoring = Scoring { matrix: Matrix::Nucleotides { equal: 120, different: 4 }, open: 7, extend: 2 };
    let params = Params { queries: 2, rows: 3, records: 1, query_tiles: 6, row_tiles: 3, groups: 2, scoring };
    let (queries, rows) = params.input_chunks();
    // Alike enough for scores beyond 16 bits.
    let (queries, rows) = (bytes(queries, 1, 255), bytes(rows, 1, 255));
    let inputs = Inputs { inputs: [&queries, &rows, &[], &[]] };
    let expected: Vec<u8> = reference_job(6, &params.to_bytes(), &inputs).unwrap().into_values().flatten().collect();
    assert!(by_cu(&params, &queries, &rows) == expected);
}
