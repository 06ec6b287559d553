//! Symbols, substitution scores and gaps.

use crate::abi::ParamError;

/// Codes of symbols.
pub const SYMBOLS: usize = 32;
/// The bits of a byte that are a symbol's code, whatever its others are.
pub const CODE: u8 = 0x1f;
/// What parts the sequences of a database row from each other, and fills up rows of both inputs.
pub const SEPARATOR: u8 = 31;
/// Score of a symbol that has no meaning, against any: no alignment gains by it.
pub const NEVER: i16 = i16::MIN;
/// Most that the largest score and the cost of a gap's first symbol may come to, so that neighbours' differences fit a byte.
pub const MAX_STEP: u8 = 127;
/// Amino acids in the order of NCBI's BLOSUM62: the codes from 0 on.
pub const AMINO_ACIDS: &[u8; 24] = b"ARNDCQEGHILKMFPSTWYVBZX*";
/// Nucleotides: the codes from 0 on.
pub const NUCLEOTIDES: &[u8; 4] = b"ACGT";
/// Code of any other nucleotide, which matches none.
pub const ANY_NUCLEOTIDE: u8 = 4;

/// A score for each pair of codes.
pub type Table = [[i16; SYMBOLS]; SYMBOLS];

/// Scores of pairs of symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matrix {
    /// NCBI's BLOSUM62, for amino acids.
    Blosum62,
    /// Nucleotides: what equal ones earn and different ones cost.
    Nucleotides {
        /// Score of equal ones, at least 1.
        equal: u8,
        /// What different ones cost, at most 127.
        different: u8,
    },
}

/// Scores, and what gaps cost: one of n symbols costs `open + (n - 1) * extend`, as parasail counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scoring {
    /// Scores of pairs.
    pub matrix: Matrix,
    /// Cost of the first symbol of a gap; not less than `extend`.
    pub open: u8,
    /// Cost of each further one, at least 1.
    pub extend: u8,
}

impl Scoring {
    /// BLOSUM62, 12 for a gap's first symbol and 1 for each further one (BLAST's "existence 11, extension 1").
    pub const PROTEIN: Self = Self { matrix: Matrix::Blosum62, open: 12, extend: 1 };
    /// 2 for equal nucleotides, -3 for different ones, 7 and 2 for gaps (BLAST's "existence 5, extension 2").
    pub const DNA: Self = Self { matrix: Matrix::Nucleotides { equal: 2, different: 3 }, open: 7, extend: 2 };

    /// The largest score of a pair.
    pub const fn largest(&self) -> u8 {
        match self.matrix {
            Matrix::Blosum62 => 11,
            Matrix::Nucleotides { equal, .. } => equal,
        }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`ParamError::Zero`] for a score or cost that may not be 0, [`ParamError::TooLarge`] for one beyond its limit.
    pub fn check(&self) -> Result<(), ParamError> {
        if self.extend == 0 || self.largest() == 0 {
            return Err(ParamError::Zero);
        }
        let step = self.largest().saturating_add(self.open);
        let wide = matches!(self.matrix, Matrix::Nucleotides { different, .. } if different > MAX_STEP);
        if self.extend > self.open || step > MAX_STEP || wide {
            return Err(ParamError::TooLarge);
        }
        Ok(())
    }

    /// What the first symbol of a gap costs more than a further one.
    pub(super) const fn first(&self) -> u8 {
        self.open.saturating_sub(self.extend)
    }
}

impl Matrix {
    /// The score of every pair of codes; `own` is room for one that is not kept ready.
    // On chain a frame has 4 KiB: the room is the caller's.
    #[inline(never)]
    pub fn table<'a>(&self, own: &'a mut Table) -> &'a Table {
        let Self::Nucleotides { equal, different } = *self else { return &BLOSUM62 };
        let (equal, different) = (i16::from(equal), i16::from(different).wrapping_neg());
        for (code, row) in own.iter_mut().enumerate() {
            *row = [NEVER; SYMBOLS];
            if code > usize::from(ANY_NUCLEOTIDE) {
                continue;
            }
            for score in row.iter_mut().take(usize::from(ANY_NUCLEOTIDE).wrapping_add(1)) {
                *score = different;
            }
            if let Some(score) = row.get_mut(code).filter(|_| code < usize::from(ANY_NUCLEOTIDE)) {
                *score = equal;
            }
        }
        own
    }
}

/// NCBI's BLOSUM62 (`BLOSUM62` of the BLAST distribution), then codes without meaning.
pub static BLOSUM62: Table = filled([
    [4, -1, -2, -2, 0, -1, -1, 0, -2, -1, -1, -1, -1, -2, -1, 1, 0, -3, -2, 0, -2, -1, 0, -4],
    [-1, 5, 0, -2, -3, 1, 0, -2, 0, -3, -2, 2, -1, -3, -2, -1, -1, -3, -2, -3, -1, 0, -1, -4],
    [-2, 0, 6, 1, -3, 0, 0, 0, 1, -3, -3, 0, -2, -3, -2, 1, 0, -4, -2, -3, 3, 0, -1, -4],
    [-2, -2, 1, 6, -3, 0, 2, -1, -1, -3, -4, -1, -3, -3, -1, 0, -1, -4, -3, -3, 4, 1, -1, -4],
    [0, -3, -3, -3, 9, -3, -4, -3, -3, -1, -1, -3, -1, -2, -3, -1, -1, -2, -2, -1, -3, -3, -2, -4],
    [-1, 1, 0, 0, -3, 5, 2, -2, 0, -3, -2, 1, 0, -3, -1, 0, -1, -2, -1, -2, 0, 3, -1, -4],
    [-1, 0, 0, 2, -4, 2, 5, -2, 0, -3, -3, 1, -2, -3, -1, 0, -1, -3, -2, -2, 1, 4, -1, -4],
    [0, -2, 0, -1, -3, -2, -2, 6, -2, -4, -4, -2, -3, -3, -2, 0, -2, -2, -3, -3, -1, -2, -1, -4],
    [-2, 0, 1, -1, -3, 0, 0, -2, 8, -3, -3, -1, -2, -1, -2, -1, -2, -2, 2, -3, 0, 0, -1, -4],
    [-1, -3, -3, -3, -1, -3, -3, -4, -3, 4, 2, -3, 1, 0, -3, -2, -1, -3, -1, 3, -3, -3, -1, -4],
    [-1, -2, -3, -4, -1, -2, -3, -4, -3, 2, 4, -2, 2, 0, -3, -2, -1, -2, -1, 1, -4, -3, -1, -4],
    [-1, 2, 0, -1, -3, 1, 1, -2, -1, -3, -2, 5, -1, -3, -1, 0, -1, -3, -2, -2, 0, 1, -1, -4],
    [-1, -1, -2, -3, -1, 0, -2, -3, -2, 1, 2, -1, 5, 0, -2, -1, -1, -1, -1, 1, -3, -1, -1, -4],
    [-2, -3, -3, -3, -2, -3, -3, -3, -1, 0, 0, -3, 0, 6, -4, -2, -2, 1, 3, -1, -3, -3, -1, -4],
    [-1, -2, -2, -1, -3, -1, -1, -2, -2, -3, -3, -1, -2, -4, 7, -1, -1, -4, -3, -2, -2, -1, -2, -4],
    [1, -1, 1, 0, -1, 0, 0, 0, -1, -2, -2, 0, -1, -2, -1, 4, 1, -3, -2, -2, 0, 0, 0, -4],
    [0, -1, 0, -1, -1, -1, -1, -2, -2, -1, -1, -1, -1, -2, -1, 1, 5, -2, -2, 0, -1, -1, 0, -4],
    [-3, -3, -4, -4, -2, -2, -3, -2, -2, -3, -2, -3, -1, 1, -4, -3, -2, 11, 2, -3, -4, -3, -2, -4],
    [-2, -2, -2, -3, -2, -1, -2, -3, 2, -1, -1, -2, -1, 3, -3, -2, -2, 2, 7, -1, -3, -2, -1, -4],
    [0, -3, -3, -3, -1, -2, -2, -3, -3, 3, 1, -2, 1, -1, -2, -2, 0, -3, -1, 4, -3, -2, -1, -4],
    [-2, -1, 3, 4, -3, 0, 1, -1, 0, -3, -4, 0, -3, -3, -2, 0, -1, -4, -3, -3, 4, 1, -1, -4],
    [-1, 0, 0, 1, -3, 3, 4, -2, 0, -3, -3, 1, -1, -3, -1, 0, -1, -3, -2, -2, 1, 4, -1, -4],
    [0, -1, -1, -1, -2, -1, -1, -1, -1, -1, -1, -1, -1, -1, -2, 0, 0, -2, -1, -1, -1, -1, -1, -4],
    [-4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, 1],
]);

/// A table with these scores in front.
const fn filled(known: [[i16; 24]; 24]) -> Table {
    let mut table = [[NEVER; SYMBOLS]; SYMBOLS];
    let mut row = 0usize;
    while row < known.len() {
        let mut column = 0usize;
        while column < known.len() {
            table[row][column] = known[row][column];
            column = column.wrapping_add(1);
        }
        row = row.wrapping_add(1);
    }
    table
}
