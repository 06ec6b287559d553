//! A job's params: which queries and rows, how they score, and where their tiles lie.

use super::scoring::{Matrix, Scoring};
use super::tile::TILE_COLUMNS;
use crate::abi::ParamError;
use crate::merkle::CHUNK_BYTES;

/// Bytes of the params.
pub const PARAMS_BYTES: usize = 20;
/// Bytes of input 0 for each tile along a query: its symbols, and padding, so that no tile's lie in two chunks.
pub const QUERY_SLOT: u64 = 64;
/// Most tiles of a pair that one stage has, so that a wrong tile which cheapens all behind it is drawn often enough.
pub const STAGE_TILES: u64 = 6;
/// Most cost classes of a job, which are its groups times its stages.
pub const MAX_CLASSES: u64 = crate::abi::MAX_CLASSES as u64;
/// Most tiles of a pair.
pub const MAX_TILES: u64 = STAGE_TILES * MAX_CLASSES;
/// Most tiles of a job.
pub const MAX_JOB_TILES: u64 = 1 << 40;

/// What a job aligns. A *pair* is a query and a database row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Queries.
    pub queries: u32,
    /// Rows of the database.
    pub rows: u32,
    /// Sequences in the database, for whoever reads the result: runs of symbols between separators.
    pub records: u32,
    /// Tiles along a query.
    pub query_tiles: u8,
    /// Tiles along a row.
    pub row_tiles: u8,
    /// Runs of pairs that lie behind each other with all their stages; 1 where there is one stage.
    pub groups: u8,
    /// How it scores.
    pub scoring: Scoring,
}

/// Where a tile lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Pair of the job: query times rows plus row.
    pub pair: u64,
    /// Tile of the pair, row of tiles by row of tiles.
    pub tile: u64,
}

/// A cost class: the tiles of one stage of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its first leaf in the job.
    pub first_leaf: u64,
    /// Its stage.
    pub stage: u64,
    /// The first pair.
    pub first_pair: u64,
    /// Pairs.
    pub pairs: u64,
    /// The first tile of each pair.
    pub first_tile: u64,
    /// Tiles of each pair.
    pub tiles: u64,
}

impl Class {
    /// Leaves, a tile each.
    pub fn leaves(&self) -> u64 {
        self.pairs.wrapping_mul(self.tiles)
    }
}

/// Quotient and rest; zeros for a divisor of 0, which no params have.
fn div_rem(n: u64, by: u64) -> (u64, u64) {
    (n.checked_div(by).unwrap_or(0), n.checked_rem(by).unwrap_or(0))
}

impl Params {
    /// Reads and checks params. 20 bytes, little-endian: queries u32, rows u32, records u32, then a byte each: tiles
    /// along a query, tiles along a row, groups, matrix (0 BLOSUM62, 1 nucleotides), open, extend, and for nucleotides
    /// what equal ones earn and different ones cost.
    ///
    /// # Errors
    /// [`ParamError::Length`], [`ParamError::Zero`], [`ParamError::TooLarge`] also for a byte that has no meaning.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParamError> {
        let bytes: &[u8; PARAMS_BYTES] = bytes.try_into().map_err(|_| ParamError::Length)?;
        let [numbers @ .., query_tiles, row_tiles, groups, matrix, open, extend, equal, different] = *bytes;
        let [queries, rows, records] = bytemuck::cast::<[u8; 12], [[u8; 4]; 3]>(numbers).map(u32::from_le_bytes);
        let matrix = match (matrix, equal, different) {
            (0, 0, 0) => Matrix::Blosum62,
            (1, equal, different) => Matrix::Nucleotides { equal, different },
            _ => return Err(ParamError::TooLarge),
        };
        let scoring = Scoring { matrix, open, extend };
        let params = Self { queries, rows, records, query_tiles, row_tiles, groups, scoring };
        params.check()?;
        Ok(params)
    }

    /// The params as a job carries them.
    pub fn to_bytes(&self) -> [u8; PARAMS_BYTES] {
        let mut bytes = [0; PARAMS_BYTES];
        let (matrix, equal, different) = match self.scoring.matrix {
            Matrix::Blosum62 => (0, 0, 0),
            Matrix::Nucleotides { equal, different } => (1, equal, different),
        };
        let [numbers @ .., b0, b1, b2, b3, b4, b5, b6, b7] = &mut bytes;
        *numbers = bytemuck::cast([self.queries, self.rows, self.records].map(u32::to_le_bytes));
        (*b0, *b1, *b2, *b3) = (self.query_tiles, self.row_tiles, self.groups, matrix);
        (*b4, *b5, *b6, *b7) = (self.scoring.open, self.scoring.extend, equal, different);
        bytes
    }

    /// Checks them.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn check(&self) -> Result<(), ParamError> {
        if self.queries == 0 || self.rows == 0 || self.records == 0 || self.tiles() == 0 || self.groups == 0 {
            return Err(ParamError::Zero);
        }
        self.scoring.check()?;
        let classes = self.stages().saturating_mul(u64::from(self.groups));
        let most = if self.stages() == 1 { 1 } else { MAX_CLASSES };
        let before = self.group_size().saturating_mul(u64::from(self.groups.saturating_sub(1)));
        if self.tiles() > MAX_TILES
            || classes > most
            || before >= self.pairs()
            || self.pairs().saturating_mul(self.tiles()) > MAX_JOB_TILES
            || u64::from(self.records) > u64::from(self.rows).saturating_mul(self.row_bytes())
        {
            return Err(ParamError::TooLarge);
        }
        Ok(())
    }

    /// Tiles of a pair.
    pub fn tiles(&self) -> u64 {
        u64::from(self.query_tiles).wrapping_mul(u64::from(self.row_tiles))
    }

    /// Pairs.
    pub fn pairs(&self) -> u64 {
        // Two numbers of 32 bits.
        u64::from(self.queries).wrapping_mul(u64::from(self.rows))
    }

    /// Stages: as few as have [`STAGE_TILES`] tiles of a pair at most.
    pub fn stages(&self) -> u64 {
        self.tiles().div_ceil(STAGE_TILES)
    }

    /// Tiles of a pair in each stage; the last may have fewer.
    pub fn stage_tiles(&self) -> u64 {
        self.tiles().div_ceil(self.stages().max(1))
    }

    /// Pairs of a group; the last may have fewer.
    pub fn group_size(&self) -> u64 {
        self.pairs().div_ceil(u64::from(self.groups.max(1)))
    }

    /// Shards are cut at multiples of this many leaves: between groups, or between pairs where one stage has them whole.
    pub fn shard_align(&self) -> u64 {
        let pairs = if self.stages() == 1 { 1 } else { self.group_size() };
        pairs.saturating_mul(self.tiles())
    }

    /// Every group and stage, in the order of their leaves.
    pub fn classes(&self) -> impl Iterator<Item = Class> + '_ {
        let (size, tiles, each) = (self.group_size(), self.tiles(), self.stage_tiles());
        (0..u64::from(self.groups)).flat_map(move |group| {
            let first_pair = group.saturating_mul(size).min(self.pairs());
            let pairs = size.min(self.pairs().saturating_sub(first_pair));
            (0..self.stages()).map(move |stage| {
                let first_tile = stage.saturating_mul(each).min(tiles);
                let first_leaf = first_pair.saturating_mul(tiles).saturating_add(pairs.saturating_mul(first_tile));
                let tiles = each.min(tiles.saturating_sub(first_tile));
                Class { first_leaf, stage, first_pair, pairs, first_tile, tiles }
            })
        })
    }

    /// Where the tile in a job-wide leaf lies; none when the job has no such leaf.
    pub fn locate(&self, leaf: u64) -> Option<Place> {
        // Whole groups, and in one a whole number of pairs for each stage.
        let (group, inside) = div_rem(leaf, self.group_size().saturating_mul(self.tiles()));
        let first_pair = group.checked_mul(self.group_size())?;
        let pairs = self.group_size().min(self.pairs().checked_sub(first_pair)?);
        let (stage, inside) = div_rem(inside, pairs.checked_mul(self.stage_tiles())?);
        let first_tile = stage.checked_mul(self.stage_tiles())?;
        let (pair, tile) = div_rem(inside, self.stage_tiles().min(self.tiles().checked_sub(first_tile)?));
        (pair < pairs && first_tile < self.tiles())
            .then_some(Place { pair: first_pair.checked_add(pair)?, tile: first_tile.checked_add(tile)? })
    }

    /// The leaf of a tile that the job has.
    pub fn leaf(&self, place: Place) -> u64 {
        let (group, pair) = div_rem(place.pair, self.group_size());
        let first_pair = group.wrapping_mul(self.group_size());
        let pairs = self.group_size().min(self.pairs().saturating_sub(first_pair));
        let (stage, tile) = div_rem(place.tile, self.stage_tiles());
        let first_tile = stage.wrapping_mul(self.stage_tiles());
        let tiles = self.stage_tiles().min(self.tiles().saturating_sub(first_tile));
        // Below 2^40, as all leaves are.
        let before = first_pair.wrapping_mul(self.tiles()).wrapping_add(pairs.wrapping_mul(first_tile));
        before.wrapping_add(pair.wrapping_mul(tiles)).wrapping_add(tile)
    }

    /// The tile's row of tiles and its number in that row.
    pub fn row_and_column(&self, place: Place) -> (u64, u64) {
        div_rem(place.tile, u64::from(self.row_tiles))
    }

    /// The tile at the left of one, and the one above it.
    pub fn neighbours(&self, place: Place) -> (Option<Place>, Option<Place>) {
        let (row, column) = self.row_and_column(place);
        let before = |tiles: u64| Place { tile: place.tile.wrapping_sub(tiles), ..place };
        ((column > 0).then(|| before(1)), (row > 0).then(|| before(u64::from(self.row_tiles))))
    }

    /// Query and row of a pair.
    pub fn query_and_row(&self, pair: u64) -> (u64, u64) {
        div_rem(pair, u64::from(self.rows))
    }

    /// Bytes of a query, padding included.
    pub fn query_bytes(&self) -> u64 {
        u64::from(self.query_tiles).wrapping_mul(QUERY_SLOT)
    }

    /// Symbols and bytes of a row.
    pub fn row_bytes(&self) -> u64 {
        u64::from(self.row_tiles).wrapping_mul(TILE_COLUMNS as u64)
    }

    /// Where a tile's symbols begin in the input of queries and in that of rows. They do not cross a chunk.
    pub fn symbols(&self, place: Place) -> (u64, u64) {
        let (query, row) = self.query_and_row(place.pair);
        let (down, right) = self.row_and_column(place);
        // Inputs have less than 2^48 bytes.
        let query = query.wrapping_mul(self.query_bytes()).wrapping_add(down.wrapping_mul(QUERY_SLOT));
        let row = row.wrapping_mul(self.row_bytes()).wrapping_add(right.wrapping_mul(TILE_COLUMNS as u64));
        (query, row)
    }

    /// Chunks of the queries, and of the rows.
    pub fn input_chunks(&self) -> (u64, u64) {
        let chunks = |count: u32, bytes: u64| u64::from(count).wrapping_mul(bytes).div_ceil(CHUNK_BYTES as u64);
        (chunks(self.queries, self.query_bytes()), chunks(self.rows, self.row_bytes()))
    }
}
