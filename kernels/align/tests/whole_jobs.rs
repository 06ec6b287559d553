//! The reference, every way of the executor and the textbook's recurrence agree on whole jobs.

use proptest::prelude::*;

use super::jobs;
use crate::align::handling::random;
use crate::align::import::Record;
use crate::align::sweep::{self, Way};
use crate::align::tile::TILE_BYTES;
use crate::align::{Align, CODE, Matrix, Params, SEPARATOR, Scoring, cpu, result};
use crate::executor::{Backend, Cpu, Inputs, reference_job, reference_leaf};
use crate::handling::Trial;
use crate::kernel::Kernel;

fn ways() -> Vec<(&'static str, Way)> {
    let mut ways = vec![("narrow", sweep::NARROW), ("exact", sweep::EXACT), ("best", sweep::best())];
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx2") {
            ways.push(("avx2", sweep::x86::AVX2));
        }
        if std::is_x86_feature_detected!("avx512bw") && std::is_x86_feature_detected!("avx512vl") {
            ways.push(("avx512", sweep::x86::AVX512));
        }
    }
    ways
}

/// The leaves `leaves` in a given way.
fn by(way: Way, trial: &Trial, leaves: core::ops::Range<u64>) -> Vec<u8> {
    let params = Align::parse(&trial.params).unwrap();
    let mut out = vec![0x77; (leaves.end - leaves.start) as usize * TILE_BYTES];
    cpu::run_by(way, &params, &trial.inputs(), leaves, &mut out).unwrap();
    out
}

fn reference(trial: &Trial) -> Vec<u8> {
    reference_job(Align::ID, &trial.params, &trial.inputs()).unwrap().into_values().flatten().collect()
}

/// Symbols of which many are alike, with separators now and then.
fn alike(trial: &mut Trial, mask: u8) {
    for byte in trial.inputs.iter_mut().flatten() {
        if *byte & CODE != SEPARATOR || *byte < 0x80 {
            *byte &= mask;
        }
    }
}

/// The scores of a result are those of the textbook's recurrence, sequence by sequence.
fn check_scores(trial: &Trial, leaves: &[u8]) -> u32 {
    let params = Align::parse(&trial.params).unwrap();
    let [queries, rows, ..] = &trial.inputs;
    let rows = &rows[..params.rows as usize * params.row_bytes() as usize];
    let mut expected = Vec::new();
    for query in queries.chunks(params.query_bytes() as usize).take(params.queries as usize) {
        let query: Vec<u8> = query.chunks(64).flat_map(|strip| &strip[..48]).copied().collect();
        for row in rows.chunks(params.row_bytes() as usize) {
            for target in row.split(|symbol| symbol & CODE == SEPARATOR).filter(|run| !run.is_empty()) {
                expected.push(result::local(&params.scoring, &query, target).0);
            }
        }
    }
    let params = Params { records: expected.len() as u32 / params.queries, ..params };
    let best = result::best(&params, leaves).unwrap();
    assert_eq!(best, expected);
    best.iter().map(|best| best.score).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_way_is_the_reference(params in jobs(3), seed in any::<u64>(), mask in prop_oneof![Just(0xffu8), Just(0xe3), Just(0xe0)]) {
        let Some(mut trial) = random(params, seed) else { return Ok(()) };
        alike(&mut trial, mask);
        let expected = reference(&trial);
        let leaves = params.pairs() * params.tiles();
        for (name, way) in ways() {
            prop_assert!(by(way, &trial, 0..leaves) == expected, "{}", name);
        }
        check_scores(&trial, &expected);
        let from = seed % leaves;
        let to = from + 1 + (seed >> 32) % (leaves - from);
        let part = &expected[from as usize * TILE_BYTES..to as usize * TILE_BYTES];
        prop_assert!(by(sweep::best(), &trial, from..to) == part, "{}..{}", from, to);
    }
}

/// Scores beyond 16 bits are computed in 32, also where only some of a batch's rows have them.
#[test]
fn nothing_is_cut_off_at_sixteen_bits() {
    let matrix = Matrix::Nucleotides { equal: 120, different: 127 };
    for (query_tiles, row_tiles) in [(6, 4), (5, 4), (12, 6), (6, 2)] {
        let scoring = Scoring { matrix, open: 7, extend: 3 };
        let params = Params { queries: 1, rows: 35, records: 1, query_tiles, row_tiles, groups: 1, scoring };
        let mut trial = random(params, 9).unwrap();
        for query in &mut trial.inputs[0] {
            *query = 2;
        }
        // Row 33 is alike throughout, with a few others in it.
        let row = params.row_bytes() as usize;
        for (at, symbol) in trial.inputs[1][33 * row..34 * row].iter_mut().enumerate() {
            *symbol = if at % 97 == 96 { 3 } else { 2 };
        }
        let leaves = params.pairs() * params.tiles();
        let made: Vec<Vec<u8>> = ways().into_iter().map(|(_, way)| by(way, &trial, 0..leaves)).collect();
        assert!(made.iter().all(|other| *other == made[0]));
        let highest = check_scores(&trial, &made[0]);
        assert_eq!(highest > 32_767, query_tiles != 5 && row_tiles != 2, "{highest}");
        // The pair's last tile by the reference.
        let leaf = params.leaf(crate::align::Place { pair: 33, tile: params.tiles() - 1 });
        let expected = reference_leaf(Align::ID, &trial.params, &trial.inputs(), leaf).unwrap();
        assert!(made[0][leaf as usize * TILE_BYTES..][..TILE_BYTES] == expected);
    }
}

/// One symbol more or less alike anywhere in a pair changes its tile's digest or edge: nothing of a tile can be left out.
#[test]
fn every_symbol_counts() {
    let params =
        Params { queries: 1, rows: 1, records: 1, query_tiles: 1, row_tiles: 1, groups: 1, scoring: Scoring::PROTEIN };
    let mut trial = random(params, 4).unwrap();
    for byte in trial.inputs.iter_mut().flatten() {
        *byte = *byte % 20 + if *byte > 0xf0 { 1 } else { 0 };
    }
    let whole = by(sweep::best(), &trial, 0..1);
    let digest = |bytes: &[u8]| bytes[12..16].to_vec();
    let mut same = 0;
    for (input, len) in [(0, 48), (1, 128)] {
        for at in 0..len {
            let mut other = trial.clone();
            let symbol = &mut other.inputs[input][at];
            // Tryptophan, of which there is hardly any.
            *symbol = if *symbol == 17 { 4 } else { 17 };
            same += usize::from(digest(&by(sweep::best(), &other, 0..1)) == digest(&whole));
        }
    }
    assert!(same <= 2, "{same} of 176 symbols could be read wrongly");
}

#[test]
fn inputs_and_results_of_other_lengths_are_refused() {
    let trial = random(
        Params { queries: 1, rows: 2, records: 1, query_tiles: 1, row_tiles: 2, groups: 1, scoring: Scoring::DNA },
        3,
    );
    let trial = trial.unwrap();
    let inputs = trial.inputs();
    let result = Cpu.run(Align::ID, &trial.params, &inputs, 0..4).unwrap();
    assert_eq!(result, reference(&trial));
    assert!(Cpu.run(Align::ID, &trial.params, &inputs, 0..5).is_err());
    let short = Inputs { inputs: [&inputs.inputs[0][..512], inputs.inputs[1], &[], &[]] };
    assert!(Cpu.run(Align::ID, &trial.params, &short, 0..1).is_err());
    let params = Align::parse(&trial.params).unwrap();
    assert!(result::best(&params, &result).is_some());
    assert!(result::best(&Params { records: params.records + 1, ..params }, &result).is_none());
    assert!(result::best(&params, &result[..result.len() - 1]).is_none());
    assert!(result::hits(&params, &result, &[], &[Record { name: "a".into(), symbols: vec![1] }], 1, 0).is_err());
}
