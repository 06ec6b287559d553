//! A renter's own sequences: FASTA in, params and input bytes out.
//!
//! A record is a line that begins with `>` and the lines behind it, up to the next such line. Its name is what stands
//! between the `>` and the first white space. In its symbols white space and case do not matter.
//!
//! | matrix | symbols |
//! | --- | --- |
//! | BLOSUM62 | the 20 amino acids, `B`, `Z`, `X`, `*`; `U`, `O` and `J` count as `X` |
//! | nucleotides | `A`, `C`, `G`, `T`; `U` counts as `T`; `N` and IUPAC's other codes (`RYSWKMBDHV`) match nothing |
//!
//! Anything else is an error that names the line; so are gaps (`-`, `.`): aligned sequences have to be unaligned first.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::params::{MAX_CLASSES, MAX_TILES, Params, QUERY_SLOT};
use super::scoring::{AMINO_ACIDS, ANY_NUCLEOTIDE, Matrix, NUCLEOTIDES, SEPARATOR, Scoring};
use super::tile::{TILE_COLUMNS, TILE_ROWS};
use crate::abi::ParamError;
use crate::merkle::CHUNK_BYTES;

/// Most bytes of one file.
const MAX_FILE_BYTES: u64 = 1 << 30;
/// What A covers: with b tiles of a pair in a stage, and a share s of all tiles not mere padding, b / s may be 9 at most
/// (docs/kernels/align.md).
const MOST_PER_SHARE: u64 = 9;

/// A sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// Codes of its symbols.
    pub symbols: Vec<u8>,
}

/// Why sequences are not a job, for people.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file can't be read.
    #[error("{path} can't be read: {error}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// More than fits.
    #[error("{0} has more than {MAX_FILE_BYTES} bytes: cut it into several")]
    TooLong(PathBuf),
    /// No record in it.
    #[error("{0} has no FASTA record: a line that begins with > and a sequence behind it")]
    Empty(PathBuf),
    /// Symbols before the first header.
    #[error("{path}, line {line}: a sequence without a header line (>name) before it")]
    NoHeader {
        /// Which.
        path: PathBuf,
        /// From 1 on.
        line: usize,
    },
    /// A header without a name.
    #[error("{path}, line {line}: a header line without a name behind the >")]
    NoName {
        /// Which.
        path: PathBuf,
        /// From 1 on.
        line: usize,
    },
    /// A header without symbols.
    #[error("{path}, line {line}: the record {name} has no symbols")]
    NoSymbols {
        /// Which.
        path: PathBuf,
        /// Of its header, from 1 on.
        line: usize,
        /// Its name.
        name: String,
    },
    /// A byte that is no symbol.
    #[error("{path}, line {line}: {symbol:?} is not a symbol of {what}")]
    Symbol {
        /// Which.
        path: PathBuf,
        /// From 1 on.
        line: usize,
        /// As found.
        symbol: char,
        /// Of what.
        what: &'static str,
    },
    /// A pair with more tiles than there can be.
    #[error(
        "the longest query has {query} symbols and the longest sequence of the database {target}: that is more than the \
         {MAX_TILES} tiles of {TILE_ROWS} x {TILE_COLUMNS} that a pair can have"
    )]
    TooLongPair {
        /// Symbols.
        query: usize,
        /// Symbols.
        target: usize,
    },
    /// Too much padding.
    #[error(
        "queries of {least} to {most} symbols are too different in length for one job, which would be padding for the most \
         part: cut the file by length"
    )]
    Ragged {
        /// Symbols of the shortest.
        least: usize,
        /// Symbols of the longest.
        most: usize,
    },
    /// No such number of shards.
    #[error("sequences as long as these can be cut into {0} shards at most")]
    Shards(u64),
    /// Scores or costs that the kernel does not have, or too many sequences.
    #[error("the kernel does not align with these scores and costs, or not so many sequences: {0}")]
    Params(#[from] ParamError),
}

/// The code of a symbol.
fn code(matrix: &Matrix, symbol: u8) -> Option<u8> {
    let of = |alphabet: &[u8], symbol: u8| (0u8..).zip(alphabet).find(|(_, own)| **own == symbol).map(|(code, _)| code);
    let symbol = symbol.to_ascii_uppercase();
    match matrix {
        Matrix::Blosum62 => of(AMINO_ACIDS, if matches!(symbol, b'U' | b'O' | b'J') { b'X' } else { symbol }),
        Matrix::Nucleotides { .. } => match symbol {
            b'N' | b'R' | b'Y' | b'S' | b'W' | b'K' | b'M' | b'B' | b'D' | b'H' | b'V' => Some(ANY_NUCLEOTIDE),
            _ => of(NUCLEOTIDES, if symbol == b'U' { b'T' } else { symbol }),
        },
    }
}

/// Reads a FASTA file.
///
/// # Errors
/// See [`ImportError`].
pub fn read(path: &Path, matrix: &Matrix) -> Result<Vec<Record>, ImportError> {
    let unreadable = |error| ImportError::Unreadable { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ImportError::TooLong(path.to_owned()));
    }
    parse(path, &bytes, matrix)
}

/// Reads the bytes of a FASTA file; `path` is for the errors.
///
/// # Errors
/// See [`ImportError`].
pub fn parse(path: &Path, bytes: &[u8], matrix: &Matrix) -> Result<Vec<Record>, ImportError> {
    let named = || path.to_owned();
    let what = match matrix {
        Matrix::Blosum62 => "amino acids",
        Matrix::Nucleotides { .. } => "nucleotides",
    };
    let mut records: Vec<Record> = Vec::new();
    let mut header = 0;
    let no_symbols = |records: &[Record], line: usize| match records.last() {
        Some(last) if last.symbols.is_empty() => {
            Err(ImportError::NoSymbols { path: path.to_owned(), line, name: last.name.clone() })
        }
        _ => Ok(()),
    };
    for (line, text) in (1usize..).zip(bytes.split(|byte| *byte == b'\n')) {
        if let Some(text) = text.strip_prefix(b">") {
            no_symbols(&records, header)?;
            let name = text.split(u8::is_ascii_whitespace).next().unwrap_or_default();
            if name.is_empty() {
                return Err(ImportError::NoName { path: named(), line });
            }
            records.push(Record { name: String::from_utf8_lossy(name).into_owned(), symbols: Vec::new() });
            header = line;
            continue;
        }
        for symbol in text.iter().filter(|byte| !byte.is_ascii_whitespace()) {
            let record = records.last_mut().ok_or_else(|| ImportError::NoHeader { path: named(), line })?;
            let code = code(matrix, *symbol);
            let wrong = || ImportError::Symbol { path: named(), line, symbol: char::from(*symbol), what };
            record.symbols.push(code.ok_or_else(wrong)?);
        }
    }
    no_symbols(&records, header)?;
    if records.is_empty() { Err(ImportError::Empty(named())) } else { Ok(records) }
}

/// The sequences one behind the other in rows of `row_tiles` tiles, in their order, with a separator behind each that
/// does not end its row: a sequence that does not fit goes to the next row. Rows, and tiles along them that hold a symbol.
/// `None` where a sequence is longer than a row.
fn rows_of(lengths: impl Iterator<Item = usize>, row_tiles: u8) -> Option<(u64, u64)> {
    let row = usize::from(row_tiles).saturating_mul(TILE_COLUMNS);
    let (mut rows, mut tiles, mut used) = (0u64, 0u64, row);
    let mut filled = 0;
    for length in lengths {
        if length > row {
            return None;
        }
        if row.saturating_sub(used) < length {
            (rows, used) = (rows.saturating_add(1), 0);
            tiles = tiles.saturating_add(filled);
        }
        filled = used.saturating_add(length).div_ceil(TILE_COLUMNS) as u64;
        used = used.saturating_add(length).saturating_add(1);
    }
    Some((rows, tiles.saturating_add(filled)))
}

/// The params of a job that aligns these sequences and can be cut into `shards` shards: of all lengths of rows the one with
/// the fewest tiles, or one with a few more and fewer stages.
///
/// # Errors
/// See [`ImportError`].
pub fn params(scoring: Scoring, queries: &[Record], database: &[Record], shards: u32) -> Result<Params, ImportError> {
    scoring.check()?;
    let lengths = |records: &[Record]| records.iter().map(|record| record.symbols.len()).collect::<Vec<_>>();
    let (own, others) = (lengths(queries), lengths(database));
    let longest = |lengths: &[usize]| lengths.iter().max().copied().unwrap_or(0);
    let (query, target) = (longest(&own), longest(&others));
    let too_long = || ImportError::TooLongPair { query, target };
    let query_tiles = u8::try_from(query.div_ceil(TILE_ROWS)).ok().filter(|tiles| u64::from(*tiles) <= MAX_TILES);
    let query_tiles = query_tiles.ok_or_else(too_long)?;
    let strips = own.iter().fold(0u64, |sum, length| sum.saturating_add(length.div_ceil(TILE_ROWS) as u64));
    let count = |lengths: &[usize]| u32::try_from(lengths.len()).map_err(|_| ParamError::TooLarge);
    let base = Params {
        queries: count(&own)?,
        rows: 1,
        records: count(&others)?,
        query_tiles,
        row_tiles: 1,
        groups: 1,
        scoring,
    };
    let mut found: Option<Params> = None;
    let mut found_one_row = false;
    let mut refused = too_long();
    let most = MAX_TILES.checked_div(u64::from(query_tiles)).ok_or(ParamError::Zero)?;
    for row_tiles in 1..=u8::try_from(most).unwrap_or(u8::MAX) {
        let Some((rows, filled)) = rows_of(others.iter().copied(), row_tiles) else { continue };
        if found_one_row {
            // Longer ones only add padding.
            break;
        }
        found_one_row = rows == 1;
        let rows = u32::try_from(rows).map_err(|_| ParamError::TooLarge)?;
        let mut params = Params { rows, row_tiles, ..base };
        // Tiles without a symbol of one side cost next to nothing and are drawn all the same.
        let all = params.pairs().saturating_mul(params.tiles());
        if params.stage_tiles().saturating_mul(all) > MOST_PER_SHARE.saturating_mul(strips).saturating_mul(filled) {
            refused = ImportError::Ragged { least: own.iter().min().copied().unwrap_or(0), most: query };
            continue;
        }
        let cuts = if params.stages() > 1 { MAX_CLASSES.checked_div(params.stages()).unwrap_or(0) } else { u64::MAX };
        let cuts = cuts.min(params.pairs());
        if u64::from(shards) > cuts {
            let before = if let ImportError::Shards(most) = refused { most } else { 0 };
            refused = ImportError::Shards(cuts.max(before));
            continue;
        }
        if params.stages() > 1 {
            let size = params.pairs().div_ceil(u64::from(shards.max(1))).max(1);
            params.groups = u8::try_from(params.pairs().div_ceil(size)).map_err(|_| ParamError::TooLarge)?;
        }
        params.check()?;
        // A stage more is a proof more of each shard: worth it where it saves a hundredth of the work.
        let price = |params: &Params| {
            let tiles = u128::from(params.pairs().saturating_mul(params.tiles()));
            tiles.saturating_mul(u128::from(params.stages().saturating_add(100)))
        };
        if found.as_ref().is_none_or(|best| price(&params) < price(best)) {
            found = Some(params);
        }
    }
    found.ok_or(refused)
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(CHUNK_BYTES), SEPARATOR);
    bytes
}

/// Input 0 of a job with these params: the queries, each filled up.
pub fn queries_input(params: &Params, queries: &[Record]) -> Vec<u8> {
    let length = usize::try_from(params.query_bytes()).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    for (query, number) in queries.iter().zip(1usize..) {
        for symbols in query.symbols.chunks(TILE_ROWS) {
            bytes.extend_from_slice(symbols);
            bytes.resize(bytes.len().next_multiple_of(QUERY_SLOT as usize), SEPARATOR);
        }
        bytes.resize(length.saturating_mul(number), SEPARATOR);
    }
    padded(bytes)
}

/// Input 1: the rows, as [`params`] has counted them.
pub fn database_input(params: &Params, database: &[Record]) -> Vec<u8> {
    let row = usize::try_from(params.row_bytes()).unwrap_or(usize::MAX);
    let mut bytes: Vec<u8> = Vec::new();
    for record in database {
        let used = bytes.len().checked_rem(row).unwrap_or(0);
        // A row that is full ends where the next begins.
        if row.saturating_sub(used) < record.symbols.len() {
            bytes.resize(bytes.len().next_multiple_of(row), SEPARATOR);
        }
        bytes.extend_from_slice(&record.symbols);
        if !bytes.len().is_multiple_of(row) {
            bytes.push(SEPARATOR);
        }
    }
    bytes.resize(bytes.len().next_multiple_of(row), SEPARATOR);
    padded(bytes)
}
