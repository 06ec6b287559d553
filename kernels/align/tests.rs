use proptest::prelude::*;

use super::*;

#[cfg(feature = "std")]
mod files;
#[cfg(feature = "std")]
mod whole_jobs;

/// Scores and costs of every kind within the limits.
pub(super) fn scorings() -> impl Strategy<Value = Scoring> {
    let matrix = (any::<bool>(), 1u8..=126, 0u8..=127).prop_map(|(protein, equal, different)| {
        if protein { Matrix::Blosum62 } else { Matrix::Nucleotides { equal, different } }
    });
    (matrix, any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(matrix, open, extend)| {
        let largest = Scoring { matrix, open: 1, extend: 1 }.largest();
        let open = 1 + open.index(usize::from(MAX_STEP - largest)) as u8;
        Scoring { matrix, open, extend: 1 + extend.index(usize::from(open)) as u8 }
    })
}

/// Params of small jobs.
pub(super) fn jobs(tiles: u8) -> impl Strategy<Value = Params> {
    (scorings(), 1u32..4, 1u32..40, 1..=tiles, 1..=tiles, 1u8..8).prop_filter_map(
        "more groups than there is room for",
        |(scoring, queries, rows, query_tiles, row_tiles, groups)| {
            let params = Params { queries, rows, records: 1, query_tiles, row_tiles, groups, scoring };
            let params = if params.stages() == 1 { Params { groups: 1, ..params } } else { params };
            params.check().ok().map(|()| params)
        },
    )
}

fn good() -> Params {
    Params { queries: 2, rows: 7, records: 9, query_tiles: 3, row_tiles: 4, groups: 2, scoring: Scoring::DNA }
}

#[test]
fn params_are_checked_by_name() {
    let bytes = good().to_bytes();
    assert_eq!(bytes, [2, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 3, 4, 2, 1, 7, 2, 2, 3]);
    assert_eq!(Align::parse(&bytes), Ok(good()));
    for len in [0, 19] {
        assert_eq!(Align::parse(&bytes[..len]), Err(ParamError::Length));
    }
    assert_eq!(Align::parse(&[&bytes[..], &[0]].concat()), Err(ParamError::Length));
    let with = |change: fn(&mut Params)| {
        let mut params = good();
        change(&mut params);
        Align::parse(&params.to_bytes())
    };
    let zeros: [fn(&mut Params); 8] = [
        |p| p.queries = 0,
        |p| p.rows = 0,
        |p| p.records = 0,
        |p| p.query_tiles = 0,
        |p| p.row_tiles = 0,
        |p| p.groups = 0,
        |p| p.scoring.extend = 0,
        |p| p.scoring.matrix = Matrix::Nucleotides { equal: 0, different: 1 },
    ];
    for change in zeros {
        assert_eq!(with(change), Err(ParamError::Zero));
    }
    let large: [fn(&mut Params); 11] = [
        |p| p.scoring.extend = 8,
        |p| p.scoring.open = 126,
        |p| p.scoring.matrix = Matrix::Nucleotides { equal: 2, different: 128 },
        |p| p.scoring = Scoring { open: 117, ..Scoring::PROTEIN },
        // Two stages: 16 classes are eight groups.
        |p| p.groups = 9,
        |p| (p.groups, p.row_tiles) = (2, 2),
        |p| (p.groups, p.query_tiles, p.row_tiles) = (1, 97, 1),
        // The last group would be empty.
        |p| (p.queries, p.rows, p.groups) = (1, 5, 4),
        |p| (p.queries, p.rows) = (u32::MAX, u32::MAX),
        |p| p.records = 7 * 512 + 1,
        |p| (p.groups, p.query_tiles) = (2, 14),
    ];
    for (number, change) in large.into_iter().enumerate() {
        assert_eq!(with(change), Err(ParamError::TooLarge), "{number}");
    }
    let byte = |at: usize, value: u8| {
        let mut bytes = bytes;
        bytes[at] = value;
        Align::parse(&bytes)
    };
    assert_eq!(byte(15, 2), Err(ParamError::TooLarge), "no such matrix");
    assert_eq!(byte(15, 0), Err(ParamError::TooLarge), "scores of nucleotides in BLOSUM62");
    for scoring in [Scoring::PROTEIN, Scoring { open: 116, extend: 116, ..Scoring::PROTEIN }, Scoring::DNA] {
        assert_eq!(scoring.check(), Ok(()));
    }
}

#[test]
fn the_matrix_is_symmetric_and_ends_where_the_amino_acids_do() {
    for (a, row) in BLOSUM62.iter().enumerate() {
        for (b, score) in row.iter().enumerate() {
            assert_eq!(*score, BLOSUM62[b][a]);
            assert_eq!(*score == NEVER, a >= 24 || b >= 24);
            assert!(*score <= i16::from(Scoring::PROTEIN.largest()));
        }
    }
    let mut own = [[0; SYMBOLS]; SYMBOLS];
    let table = Matrix::Nucleotides { equal: 5, different: 4 }.table(&mut own);
    for (a, row) in table.iter().enumerate() {
        for (b, score) in row.iter().enumerate() {
            let expected = if a > 4 || b > 4 {
                NEVER
            } else if a == b && a < 4 {
                5
            } else {
                -4
            };
            assert_eq!(*score, expected, "{a}, {b}");
        }
    }
}

#[test]
fn geometry_of_the_largest_jobs() {
    let most = Align::describe();
    for (query_tiles, row_tiles, groups) in
        [(1, 96, 1), (96, 1, 1), (12, 8, 1), (8, 11, 1), (7, 1, 8), (2, 3, 1), (1, 1, 1)]
    {
        let pairs = MAX_JOB_TILES / (u64::from(query_tiles) * u64::from(row_tiles));
        let params = Params {
            queries: (pairs >> 20) as u32,
            rows: 1 << 20,
            records: 1 << 20,
            query_tiles,
            row_tiles,
            groups,
            scoring: Scoring::PROTEIN,
        };
        let params = Align::parse(&params.to_bytes()).unwrap();
        let geometry = Align::geometry(&params).unwrap();
        assert!(geometry.is_valid());
        assert!(geometry.classes <= most.max_cost_classes && geometry.inputs == most.inputs);
        assert!(geometry.used_classes().iter().all(|class| class.stage < u32::from(most.stages)));
        assert!(geometry.answer_transactions <= most.answer_transactions);
        assert!(u32::from(geometry.evidence_kib) <= most.evidence_bytes_max.div_ceil(1_024));
        let leaves = geometry.leaves().unwrap();
        assert_eq!(leaves, params.pairs() * params.tiles());
        assert_eq!(params.locate(leaves), None);
        assert_eq!(params.locate(u64::MAX), None);
        let last = params.locate(leaves - 1).unwrap();
        assert_eq!(last, Place { pair: params.pairs() - 1, tile: params.tiles() - 1 });
    }
}

proptest! {
    #[test]
    fn every_leaf_is_a_tile_and_reads_earlier_leaves_of_its_shard(params in jobs(6)) {
        prop_assert_eq!(Align::parse(&params.to_bytes()), Ok(params));
        let geometry = Align::geometry(&params).unwrap();
        prop_assert!(geometry.is_valid());
        let leaves = geometry.leaves().unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for leaf in 0..leaves {
            let place = params.locate(leaf).unwrap();
            prop_assert!(seen.insert((place.pair, place.tile)));
            prop_assert_eq!(params.leaf(place), leaf);
            let span = geometry.leaf_span(leaf).unwrap();
            prop_assert_eq!((span.cells, span.bytes as usize), (1, TILE_BYTES));
            let class = geometry.class[span.class];
            prop_assert_eq!(u64::from(class.stage), place.tile / params.stage_tiles());
            let mut reads = Vec::new();
            Align::reads(&params, leaf, 0, &mut |read| reads.push(read));
            let (row, column) = params.row_and_column(place);
            prop_assert_eq!(reads.len(), 2 + usize::from(row > 0) + usize::from(column > 0));
            for read in reads {
                prop_assert_eq!(read.count, 1);
                if read.source == SOURCE_LEAVES {
                    prop_assert!(read.start < leaf);
                    // In whatever shard the leaf is.
                    prop_assert_eq!(read.start / geometry.shard_align, leaf / geometry.shard_align);
                } else {
                    prop_assert!(read.start < geometry.input_bytes[usize::from(read.source)] / 1_024);
                }
            }
            let mut none = 0;
            Align::reads(&params, leaf, 1, &mut |_| none += 1);
            prop_assert_eq!(none, 0);
        }
        prop_assert_eq!(seen.len() as u64, params.pairs() * params.tiles());
    }

    /// Total: a tile from any bytes whatever, and no sum overflows (tests check that).
    #[test]
    fn any_bytes_give_a_tile(
        scoring in scorings(), left in any::<bool>(), above in any::<bool>(), fill in any::<Option<u8>>(), seed in any::<u64>(),
    ) {
        let mut state = seed;
        let mut byte = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            fill.unwrap_or((state >> 56) as u8)
        };
        let (query, target) = (core::array::from_fn(|_| byte()), core::array::from_fn(|_| byte()));
        let mut tile = || Tile::from_bytes(&core::array::from_fn::<u8, TILE_BYTES, _>(|_| byte())).copied().unwrap();
        let (left, above) = (left.then(&mut tile), above.then(&mut tile));
        let mut own = [[0; SYMBOLS]; SYMBOLS];
        let table = scoring.matrix.table(&mut own);
        let (left, above) = (left.as_ref(), above.as_ref());
        let parts = tile::Parts { scoring: &scoring, table, query: &query, target: &target, left, above };
        let mut out = Tile::from_bytes(&[0x55; TILE_BYTES]).copied().unwrap();
        tile::compute(&parts, &mut out);
        let mut again = Tile::from_bytes(&[0xaa; TILE_BYTES]).copied().unwrap();
        tile::compute(&parts, &mut again);
        prop_assert_eq!(out, again, "every byte is written");
    }
}
