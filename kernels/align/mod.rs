//! Kernel 6, `align`: Smith-Waterman scores of queries against a database, with affine gaps, exact.
//!
//! Input 0 holds queries, input 1 rows of a database in which sequences lie one behind the other with a separator
//! between them. Every query meets every row in *tiles* of 48 x 128 symbols. A tile is a cell and a leaf of its own and
//! holds what its neighbours read (H, E and F along its edges, as differences of a byte), for each column the largest
//! H so far, in which the scores and their places are read, and a digest over all H in it, so that none can be skipped.
//!
//! With more than six tiles a pair is staged: a stage is a run of them, and a wrong tile stands out in the draw of its
//! stage. [`Params`] says how a job is cut, [`tile`] what is computed; docs/kernels/align.md has all of it.

mod params;
mod scoring;
pub mod tile;

pub use params::{Class, MAX_CLASSES, MAX_JOB_TILES, MAX_TILES, PARAMS_BYTES, Params, Place, QUERY_SLOT, STAGE_TILES};
pub use scoring::{
    AMINO_ACIDS, ANY_NUCLEOTIDE, BLOSUM62, CODE, MAX_STEP, Matrix, NEVER, NUCLEOTIDES, SEPARATOR, SYMBOLS, Scoring,
    Table,
};

use crate::abi::{ABI, AbiError, CostClass, Describe, Geometry, ParamError, Request, SOURCE_LEAVES};
use crate::kernel::{Kernel, Read};
use crate::merkle::CHUNK_BYTES;
use tile::{TILE_BYTES, TILE_COLUMNS, TILE_ROWS, Tile};

#[cfg(feature = "std")]
mod accelerated;
#[cfg(feature = "std")]
mod cpu;
#[cfg(feature = "std")]
mod handling;
#[cfg(feature = "std")]
pub mod import;
#[cfg(feature = "std")]
mod lanes;
#[cfg(feature = "std")]
pub mod result;
#[cfg(feature = "std")]
mod sweep;

/// Transactions that an answer takes at most: counted in [`answer`] for the largest job.
const ANSWER_TRANSACTIONS: u16 = 16;
/// Bytes of a chunk.
const CHUNK: u64 = CHUNK_BYTES as u64;
/// Bytes that a cell reads at most: a chunk of each input and two tiles.
const EVIDENCE_BYTES: u32 = 2 * (CHUNK_BYTES as u32 + TILE_BYTES as u32);

const _: () = assert!(STAGE_TILES == 6, "A is stated for so many");

/// The kernel.
#[derive(Clone, Copy, Debug)]
pub struct Align;

impl Kernel for Align {
    const ID: u16 = 6;
    const NAME: &'static str = "align";
    type Params = Params;

    fn parse(params: &[u8]) -> Result<Params, ParamError> {
        Params::from_bytes(params)
    }

    fn describe() -> Describe {
        Describe {
            abi: ABI,
            inputs: 2,
            // At most 16.
            stages: MAX_CLASSES as u8,
            flags: 0,
            kernel: Self::ID,
            max_cost_classes: MAX_CLASSES as u16,
            // A wrong tile among the six of its stage may make all of its pair's later ones cheap.
            amplification_bps: 60_000,
            cell_bytes_max: TILE_BYTES as u32,
            leaf_bytes_max: TILE_BYTES as u32,
            cell_cu_max: 350_000,
            answer_transactions: ANSWER_TRANSACTIONS,
            reserved: 0,
            evidence_bytes_max: EVIDENCE_BYTES,
            name: Describe::pad_name(Self::NAME),
            version: 1,
        }
    }

    fn geometry(params: &Params) -> Result<Geometry, ParamError> {
        let mut geometry = Geometry::uniform(1, 1, 1);
        geometry.inputs = 2;
        geometry.classes = 0;
        for (to, class) in geometry.class.iter_mut().zip(params.classes()) {
            *to = CostClass {
                cells: class.leaves(),
                cost: 1,
                cells_per_leaf: 1,
                cell_bytes: TILE_BYTES as u32,
                // Below 16.
                stage: class.stage as u32,
                reserved: 0,
            };
            geometry.classes = geometry.classes.saturating_add(1);
        }
        geometry.shard_align = params.shard_align();
        let (queries, rows) = params.input_chunks();
        let bytes_of = |chunks: u64| chunks.wrapping_mul(CHUNK);
        geometry.input_bytes = [bytes_of(queries), bytes_of(rows), 0, 0];
        (geometry.answer_transactions, geometry.evidence_kib) = answer(params);
        Ok(geometry)
    }

    fn reads(params: &Params, leaf: u64, cell: u32, out: &mut dyn FnMut(Read)) {
        let Some(place) = params.locate(leaf).filter(|_| cell == 0) else { return };
        let (query, row) = params.symbols(place);
        let chunk = |source: u8, byte: u64| Read { source, start: byte / CHUNK, count: 1 };
        out(chunk(0, query));
        out(chunk(1, row));
        let (left, above) = params.neighbours(place);
        for place in [above, left].into_iter().flatten() {
            out(Read { source: SOURCE_LEAVES, start: params.leaf(place), count: 1 });
        }
    }

    fn cell(params: &Params, request: &Request, leaf: u64, cell: u32, out: &mut [u8]) -> Result<usize, AbiError> {
        let place = params.locate(leaf).filter(|_| cell == 0).ok_or(AbiError::NoSuchCell)?;
        let (query, row) = params.symbols(place);
        let query = symbols::<TILE_ROWS>(request, 0, query)?;
        let row = symbols::<TILE_COLUMNS>(request, 1, row)?;
        let tile = |place: Option<Place>| {
            place.map(|place| {
                let bytes = request.read(SOURCE_LEAVES, params.leaf(place), 0, TILE_BYTES)?;
                Tile::from_bytes(bytes).ok_or(AbiError::MissingOpening)
            })
        };
        let (left, above) = params.neighbours(place);
        let (left, above) = (tile(left).transpose()?, tile(above).transpose()?);
        let out = out.get_mut(..TILE_BYTES).and_then(|out| bytemuck::try_from_bytes_mut(out).ok());
        let out = out.ok_or(AbiError::OutputTooSmall)?;
        let mut own = [[0; SYMBOLS]; SYMBOLS];
        let table = params.scoring.matrix.table(&mut own);
        let scoring = &params.scoring;
        tile::compute(&tile::Parts { scoring, table, query, target: row, left, above }, out);
        Ok(TILE_BYTES)
    }
}

/// The `N` symbols from byte `byte` of an input on.
fn symbols<'a, const N: usize>(request: &Request<'a>, source: u8, byte: u64) -> Result<&'a [u8; N], AbiError> {
    let bytes = request.read(source, byte / CHUNK, byte % CHUNK, N)?;
    bytes.first_chunk().ok_or(AbiError::MissingOpening)
}

/// Transactions that proving a cell of such a job takes at most, and KiB of evidence: from above, in v0 pieces of 940
/// bytes. Never more than the kernel declares.
fn answer(params: &Params) -> (u16, u16) {
    const PIECE: u64 = 940;
    const NODE: u64 = 32;
    let path = |leaves: u64| u64::from(64u32.saturating_sub(leaves.leading_zeros())).saturating_mul(NODE);
    let (queries, rows) = params.input_chunks();
    let leaf = (TILE_BYTES as u64).saturating_add(path(params.pairs().saturating_mul(params.tiles())));
    let chunks = (2 * CHUNK).saturating_add(path(queries)).saturating_add(path(rows));
    let read = if params.tiles() == 1 { 0u64 } else { 2 };
    let all = chunks.saturating_add(leaf.saturating_mul(read.saturating_add(1)));
    // One more makes the account, one judges.
    let transactions = all.div_ceil(PIECE).saturating_add(2);
    let bytes = (2 * CHUNK).saturating_add(read.saturating_mul(TILE_BYTES as u64));
    (
        u16::try_from(transactions).unwrap_or(u16::MAX).min(ANSWER_TRANSACTIONS),
        u16::try_from(bytes.div_ceil(1_024)).unwrap_or(u16::MAX),
    )
}

#[cfg(test)]
mod tests;
