//! FASTA files as jobs, and parasail's answers.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::align::import::{self, ImportError, Record};
use crate::align::result::{self, Best, HitError};
use crate::align::tile::TILE_BYTES;
use crate::align::{Align, MAX_TILES, Matrix, Params, SEPARATOR, Scoring};
use crate::executor::{Backend, Cpu, Inputs, reference_leaf};
use crate::kernel::Kernel;

const VECTORS: &str = include_str!("../vectors.txt");

fn data(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "align/data", name].iter().collect()
}

fn read(name: &str, matrix: &Matrix) -> Vec<Record> {
    import::read(&data(name), matrix).unwrap()
}

fn symbols(matrix: &Matrix, text: &str) -> Vec<u8> {
    import::parse(Path::new("text"), format!(">x\n{text}").as_bytes(), matrix).unwrap().remove(0).symbols
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A line of vectors.txt that tells a score.
struct Known {
    scoring: Scoring,
    query: Vec<u8>,
    target: Vec<u8>,
    best: Best,
    query_end: u32,
}

fn known(line: &str) -> Option<Known> {
    let words: Vec<&str> = line.strip_prefix("score ")?.split(' ').collect();
    let matrix = match words[0].split_once('/') {
        None => Matrix::Blosum62,
        Some((equal, different)) => {
            Matrix::Nucleotides { equal: equal.parse().unwrap(), different: different.parse().unwrap() }
        }
    };
    let number = |at: usize| words[at].parse::<u32>().unwrap();
    Some(Known {
        scoring: Scoring { matrix, open: number(1) as u8, extend: number(2) as u8 },
        query: symbols(&matrix, words[3]),
        target: symbols(&matrix, words[4]),
        best: Best { score: number(5), end: if number(5) == 0 { 0 } else { number(7) } },
        query_end: if number(5) == 0 { 0 } else { number(6) },
    })
}

/// Parasail's scores come out of the textbook's recurrence and, sequence by sequence, of a job with that pair alone.
#[test]
fn scores_are_parasails() {
    let mut count = 0;
    for known in VECTORS.lines().filter_map(known) {
        let (best, query_end) = result::local(&known.scoring, &known.query, &known.target);
        assert_eq!((best, query_end), (known.best, known.query_end), "line {count}");
        let record = |symbols: &[u8]| vec![Record { name: "it".into(), symbols: symbols.to_vec() }];
        let (query, target) = (record(&known.query), record(&known.target));
        let params = import::params(known.scoring, &query, &target, 1).unwrap();
        let (queries, rows) = (import::queries_input(&params, &query), import::database_input(&params, &target));
        let inputs = Inputs { inputs: [&queries, &rows, &[], &[]] };
        let leaves = Cpu.run(Align::ID, &params.to_bytes(), &inputs, 0..params.pairs() * params.tiles()).unwrap();
        assert_eq!(result::best(&params, &leaves).unwrap(), [known.best]);
        count += 1;
    }
    assert_eq!(count, 121 + 2 * 10 + 3 + 3);
}

/// Inputs, leaves, scores and hits of whole files, as vectors.py makes them.
#[test]
fn files_become_the_jobs_of_the_second_implementation() {
    let mut lines = VECTORS.lines().peekable();
    let mut jobs = 0;
    while let Some(line) = lines.next() {
        let Some(line) = line.strip_prefix("job ") else { continue };
        let words: Vec<&str> = line.split(' ').collect();
        let params = Align::parse(&bytes(words[1])).unwrap();
        let matrix = params.scoring.matrix;
        let (queries, database) = match words[0] {
            "globins" => {
                let all = read("proteins.fasta", &matrix);
                (vec![all[0].clone(), all[2].clone()], all)
            }
            "reads" => (read("reads.fasta", &matrix), read("phix174.fasta", &matrix)),
            _ => {
                let reads = read("reads.fasta", &matrix);
                (vec![reads[1].clone()], reads)
            }
        };
        let inputs = [import::queries_input(&params, &queries), import::database_input(&params, &database)];
        assert_eq!([sha256(&inputs[0]), sha256(&inputs[1])], [words[2], words[3]], "{}", words[0]);
        let inputs = Inputs { inputs: [&inputs[0], &inputs[1], &[], &[]] };
        let count = params.pairs() * params.tiles();
        let leaves = Cpu.run(Align::ID, &params.to_bytes(), &inputs, 0..count).unwrap();
        assert_eq!(sha256(&leaves), words[4], "{}", words[0]);
        while let Some(words) = lines.peek().and_then(|line| line.strip_prefix("leaf ")) {
            let (leaf, tile) = words.split_once(' ').unwrap();
            let leaf: u64 = leaf.parse().unwrap();
            assert_eq!(leaves[leaf as usize * TILE_BYTES..][..TILE_BYTES], bytes(tile));
            assert_eq!(reference_leaf(Align::ID, &params.to_bytes(), &inputs, leaf).unwrap(), bytes(tile));
            lines.next();
        }
        let all: Vec<Known> = lines.by_ref().take(queries.len() * database.len()).filter_map(known).collect();
        let best = result::best(&params, &leaves).unwrap();
        assert_eq!(best, all.iter().map(|known| known.best).collect::<Vec<_>>());
        let hits = result::hits(&params, &leaves, &queries, &database, 2, 1).unwrap();
        assert_eq!(hits.len(), queries.len() * database.len().min(2));
        for hit in &hits {
            let known = &all[hit.query * database.len() + hit.target];
            assert_eq!((hit.score, hit.target_end), (known.best.score, known.best.end));
            assert_eq!(hit.query_end, known.query_end);
        }
        if words[0] == "globins" {
            let text = result::tsv(&hits, &queries, &database);
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines[0], "query\ttarget\tscore\tquery_end\ttarget_end\tquery_length\ttarget_length");
            assert_eq!(lines[1], "sp|P69905|HBA_HUMAN\tsp|P69905|HBA_HUMAN\t733\t142\t142\t142\t142");
            assert!(lines[2].starts_with("sp|P69905|HBA_HUMAN\tsp|P68871|HBB_HUMAN\t"), "{}", lines[2]);
            assert_eq!(lines.len(), 5);
            // Somebody makes more of a pair than there is.
            let mut forged = leaves.clone();
            let place = crate::align::Place { pair: 0, tile: params.tiles() - u64::from(params.row_tiles) };
            forged[params.leaf(place) as usize * TILE_BYTES + 9] = 9;
            let error = result::hits(&params, &forged, &queries, &database, 2, 1).unwrap_err();
            assert!(matches!(error, HitError::Wrong { query: 1, target: 1, expected: 733, .. }), "{error}");
        }
        // The files as they are submitted: other rows, the same scores.
        for shards in [1, 3] {
            let own = import::params(params.scoring, &queries, &database, shards).unwrap();
            let inputs = [import::queries_input(&own, &queries), import::database_input(&own, &database)];
            let inputs = Inputs { inputs: [&inputs[0], &inputs[1], &[], &[]] };
            let leaves = Cpu.run(Align::ID, &own.to_bytes(), &inputs, 0..own.pairs() * own.tiles()).unwrap();
            assert_eq!(result::best(&own, &leaves).unwrap(), best);
            if queries.len() < 3 {
                break;
            }
        }
        jobs += 1;
    }
    assert_eq!(jobs, 3);
}

#[test]
fn symbols_are_told_by_their_alphabet() {
    let dna = Scoring::DNA.matrix;
    assert_eq!(
        symbols(&dna, "acgtuACGTU\nN ryswkm\r\nBDHV"),
        [vec![0, 1, 2, 3, 3, 0, 1, 2, 3, 3], vec![4; 11]].concat()
    );
    assert_eq!(symbols(&Matrix::Blosum62, "ARNDCQEGHILKMFPSTWYVBZX*"), (0..24).collect::<Vec<u8>>());
    assert_eq!(symbols(&Matrix::Blosum62, "uojw"), [22, 22, 22, 17]);
    let records = import::parse(Path::new("f"), b"\n>a b c\nAC\n\nGT\n>b\r\nTT", &dna).unwrap();
    assert_eq!(records[0], Record { name: "a".into(), symbols: vec![0, 1, 2, 3] });
    assert_eq!(records[1], Record { name: "b".into(), symbols: vec![3, 3] });
}

#[test]
fn every_fault_of_a_file_names_its_line() {
    let fault =
        |text: &[u8], matrix: Matrix| import::parse(Path::new("some.fasta"), text, &matrix).unwrap_err().to_string();
    let (dna, protein) = (Scoring::DNA.matrix, Matrix::Blosum62);
    for (text, matrix, expected) in [
        (&b""[..], dna, "no FASTA record"),
        (b"\n \n", dna, "no FASTA record"),
        (b"\nACGT\n>a\nACGT", dna, "line 2: a sequence without a header"),
        (b">a\nAC\n>\nGT", dna, "line 3: a header line without a name"),
        (b">a\nAC\n> a\nGT", dna, "line 3: a header line without a name"),
        (b">a\n\n>b\nGT", dna, "line 1: the record a has no symbols"),
        (b">a\nA\n>b\n", dna, "line 3: the record b has no symbols"),
        (b">a\nAC\nAE", dna, "line 3: 'E' is not a symbol of nucleotides"),
        (b">a\nAC-GT", dna, "line 2: '-' is not a symbol"),
        (b">a\nMK\nA1", protein, "line 3: '1' is not a symbol of amino acids"),
        (b">a\nM\xffK", protein, "line 2: '\u{ff}' is not"),
    ] {
        let text = fault(text, matrix);
        assert!(text.contains(expected) && text.contains("some.fasta"), "{text} instead of {expected}");
    }
    assert!(matches!(import::read(&data("none.fasta"), &dna), Err(ImportError::Unreadable { .. })));
}

fn of_lengths(lengths: impl IntoIterator<Item = usize>) -> Vec<Record> {
    lengths.into_iter().map(|length| Record { name: format!("of-{length}"), symbols: vec![1; length] }).collect()
}

#[test]
fn sequences_are_cut_into_few_tiles() {
    let params = |queries: &[usize], database: &[usize], shards: u32| {
        let (queries, database) = (of_lengths(queries.iter().copied()), of_lengths(database.iter().copied()));
        let params = import::params(Scoring::PROTEIN, &queries, &database, shards);
        if let Ok(params) = &params {
            assert_eq!(Align::parse(&params.to_bytes()), Ok(*params));
            let rows = import::database_input(params, &database);
            assert_eq!(rows.len() as u64, params.input_chunks().1 * 1_024);
            assert_eq!(import::queries_input(params, &queries).len() as u64, params.input_chunks().0 * 1_024);
            let row = params.row_bytes() as usize;
            let rows = rows[..row * params.rows as usize].chunks(row);
            let runs: Vec<usize> = rows
                .flat_map(|row| row.split(|symbol| *symbol == SEPARATOR).map(<[u8]>::len).filter(|len| *len > 0))
                .collect();
            let expected: Vec<usize> = database.iter().map(|record| record.symbols.len()).collect();
            assert_eq!(runs, expected, "every sequence, in order");
        }
        params
    };
    let shape = |params: Params| (params.query_tiles, params.row_tiles, params.rows, params.groups);
    assert_eq!(shape(params(&[48], &[128], 1).unwrap()), (1, 1, 1, 1));
    assert_eq!(shape(params(&[49], &[129], 1).unwrap()), (2, 2, 1, 1));
    // 127 and a separator fill a tile; what ends a row needs none.
    assert_eq!(shape(params(&[10], &[127, 128, 127, 128], 1).unwrap()), (1, 1, 4, 1));
    assert_eq!(shape(params(&[10], &[127, 129, 127, 129], 1).unwrap()), (1, 5, 1, 1));
    assert_eq!(shape(params(&[10], &[128, 128], 2).unwrap()), (1, 1, 2, 1));
    // Average proteins: two shards of eight stages each, or one with longer rows and less padding.
    let many: Vec<usize> = (0..400).map(|i| 50 + i * 7 % 600).collect();
    assert_eq!(params(&[350], &many, 2).unwrap().groups, 2);
    let proteins = params(&[350], &many, 1).unwrap();
    let tiles = proteins.pairs() * proteins.tiles();
    let least = many.iter().sum::<usize>() as u64 * 8 / 128;
    assert!(tiles < least * 5 / 4, "{tiles} tiles, {least} at least");
    assert!(matches!(params(&[350], &many, 16), Err(ImportError::Shards(2))));
    // One row in five stages: a group for each of three pairs at most.
    assert!(matches!(params(&[150, 150, 150], &[852], 4), Err(ImportError::Shards(3))));
    assert_eq!(shape(params(&[150, 150, 150], &[852], 3).unwrap()), (4, 7, 1, 3));
    assert!(matches!(params(&[1, 1, 1, 480], &many, 1), Err(ImportError::Ragged { least: 1, most: 480 })));
    assert!(matches!(params(&[48 * 13], &[128 * 8], 1), Err(ImportError::TooLongPair { query: 624, target: 1_024 })));
    assert!(matches!(params(&[48 * 97], &[1], 1), Err(ImportError::TooLongPair { .. })));
    assert!(params(&[48], &[128 * MAX_TILES as usize], 1).is_ok());
    assert!(params(&[48 * MAX_TILES as usize], &[128], 1).is_ok());
    let wrong = Scoring { extend: 0, ..Scoring::DNA };
    assert!(matches!(import::params(wrong, &[], &[], 1), Err(ImportError::Params(_))));
}
