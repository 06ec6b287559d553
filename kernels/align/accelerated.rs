//! `align` on a graphics card; what runs on all cores is in [`super::cpu`].

use core::ops::Range;

use super::tile::{TILE_BYTES, TILE_COLUMNS, TILE_ROWS};
use super::{Align, Class, Params, SYMBOLS, cpu};
use crate::executor::{Accelerated, Buffer, CudaSource, ExecError, Function, Gpu, Inputs};
use crate::kernel::Kernel;

/// Threads of a block, and pairs that it takes: `BLOCK` and `BLOCK` / `TEAM` in align.cu.
const BLOCK: u32 = 128;
const BLOCK_PAIRS: u32 = BLOCK / 16;
/// Pairs of symbols of one launch, unless a single pair of sequences has more: some tens of milliseconds.
const LAUNCH_WORK: u64 = 1 << 35;
/// Bytes of tiles of one launch, likewise.
const LAUNCH_BYTES: u64 = 1 << 28;

/// Pairs of one launch.
fn launch_pairs(params: &Params) -> u64 {
    let tiles = params.tiles();
    let by_work = LAUNCH_WORK.checked_div(tiles.saturating_mul((TILE_ROWS * TILE_COLUMNS) as u64)).unwrap_or(0);
    let by_bytes = LAUNCH_BYTES.checked_div(tiles.saturating_mul(TILE_BYTES as u64)).unwrap_or(0);
    by_work.min(by_bytes).max(1)
}

/// What all launches read.
struct Symbols {
    queries: Buffer,
    rows: Buffer,
    table: Buffer,
}

impl Accelerated for Align {
    fn cuda_source(&self) -> CudaSource {
        CudaSource {
            kernel: Self::ID,
            name: Self::NAME,
            functions: &["align_pairs"],
            cu: include_str!("align.cu"),
            ptx: include_str!("align.ptx"),
        }
    }

    fn cpu(&self, params: &[u8], inputs: &Inputs, leaves: Range<u64>, out: &mut [u8]) -> Result<(), ExecError> {
        cpu::run(&Self::parse(params)?, inputs, leaves, out)
    }

    fn cuda(
        &self,
        gpu: &Gpu,
        params: &[u8],
        inputs: &Inputs,
        leaves: Range<u64>,
        out: &mut [u8],
    ) -> Result<(), ExecError> {
        let params = Self::parse(params)?;
        let [queries, rows, ..] = inputs.inputs;
        let mut own = [[0; SYMBOLS]; SYMBOLS];
        let table = params.scoring.matrix.table(&mut own).as_flattened();
        let symbols = Symbols {
            queries: gpu.upload(queries)?,
            rows: gpu.upload(rows)?,
            table: gpu.upload(bytemuck::cast_slice(table))?,
        };
        let launches = launches(&params, &leaves);
        let most = launches.iter().map(|launch| launch.pairs.end.saturating_sub(launch.pairs.start)).max().unwrap_or(0);
        let function = gpu.function(Self::ID, "align_pairs")?;
        let of_pairs =
            |bytes: u64| usize::try_from(most.saturating_mul(bytes)).map_err(|_| ExecError::DeviceMemory(u64::MAX));
        let mut edge = gpu.zeros(of_pairs(params.row_bytes().saturating_mul(3 * 4))?)?;
        let bytes = of_pairs(params.tiles().saturating_mul(TILE_BYTES as u64))?;
        let mut tiles = gpu.pieces(out, bytes, launches.len())?;
        for Work { pairs, pieces } in launches {
            align(gpu, &function, &params, &symbols, pairs, &mut edge, tiles.buffer()?)?;
            tiles.emit_pieces(pieces)?;
        }
        tiles.finish()
    }
}

/// A launch.
#[derive(Debug)]
struct Work {
    pairs: Range<u64>,
    /// What is asked for of what it makes: byte of its result, and place among the leaves asked for.
    pieces: Vec<(usize, Range<usize>)>,
}

/// All launches that these leaves take.
fn launches(params: &Params, leaves: &Range<u64>) -> Vec<Work> {
    let classes: Vec<Class> = params.classes().collect();
    let mut launches = Vec::new();
    // A group's classes have the same pairs.
    for group in classes.chunk_by(|a, b| a.first_pair == b.first_pair) {
        let asked = group.iter().filter_map(|class| pairs_of(class, leaves));
        let Some(pairs) = asked.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)) else { continue };
        let mut first = pairs.start;
        while first < pairs.end {
            let end = first.saturating_add(launch_pairs(params)).min(pairs.end);
            launches.push(Work { pairs: first..end, pieces: pieces(group, first..end, leaves) });
            first = end;
        }
    }
    launches
}

/// The pairs of a class of which leaves are asked for.
fn pairs_of(class: &Class, leaves: &Range<u64>) -> Option<Range<u64>> {
    let start = leaves.start.max(class.first_leaf).checked_sub(class.first_leaf)?;
    let end = leaves.end.min(class.first_leaf.saturating_add(class.leaves())).checked_sub(class.first_leaf)?;
    let pair = |inside: u64| class.first_pair.checked_add(inside.checked_div(class.tiles)?);
    if start < end { Some(pair(start)?..pair(end.checked_sub(1)?)?.checked_add(1)?) } else { None }
}

/// Begins to make all tiles of some pairs, stage by stage.
fn align(
    gpu: &Gpu,
    function: &Function,
    params: &Params,
    symbols: &Symbols,
    pairs: Range<u64>,
    edge: &mut Buffer,
    out: &mut Buffer,
) -> Result<(), ExecError> {
    let count = u32::try_from(pairs.end.saturating_sub(pairs.start)).map_err(|_| ExecError::LeafRange)?;
    let (query_tiles, row_tiles) = (u32::from(params.query_tiles), u32::from(params.row_tiles));
    // At most 6.
    let stage_tiles = params.stage_tiles() as u32;
    let (open, extend) = (i32::from(params.scoring.open), i32::from(params.scoring.extend));
    let mut launch = gpu.launch(function);
    launch
        .bytes_mut(out)
        .bytes_mut(edge)
        .bytes(&symbols.queries)
        .bytes(&symbols.rows)
        .bytes(&symbols.table)
        .value(&pairs.start)
        .value(&count)
        .value(&params.rows)
        .value(&query_tiles)
        .value(&row_tiles)
        .value(&stage_tiles)
        .value(&open)
        .value(&extend);
    // SAFETY: the arguments are those of align.cu in order and type. It reads the queries and rows of these pairs, which
    // the inputs have, and 1,024 scores, and writes all tiles of `count` pairs and three numbers for each of their columns:
    // both buffers have room for the largest launch.
    unsafe { launch.run((count.div_ceil(BLOCK_PAIRS), 1), (BLOCK, 1)) }
}

/// What is asked for of the tiles of some pairs: where it begins there, and its place among the leaves asked for.
fn pieces(group: &[Class], pairs: Range<u64>, leaves: &Range<u64>) -> Vec<(usize, Range<usize>)> {
    // Results have fewer bytes than a number of this machine counts.
    let bytes = |leaves: u64| leaves.saturating_mul(TILE_BYTES as u64) as usize;
    let mut before = 0u64;
    let mut pieces = Vec::new();
    for class in group {
        let leaf_of = |pair: u64| {
            let before = pair.saturating_sub(class.first_pair).saturating_mul(class.tiles);
            class.first_leaf.saturating_add(before)
        };
        let (first, end) = (leaf_of(pairs.start), leaf_of(pairs.end));
        let (from, to) = (first.max(leaves.start), end.min(leaves.end));
        if from < to {
            let place = |leaf: u64| bytes(leaf.saturating_sub(leaves.start));
            pieces.push((bytes(before.saturating_add(from.saturating_sub(first))), place(from)..place(to)));
        }
        before = before.saturating_add(end.saturating_sub(first));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::align::Scoring;
    use crate::align::handling::random;
    use crate::executor::{Backend, Cpu};
    use crate::handling::Trial;

    /// What no tile is full of.
    const UNSEEN: u8 = 0x5a;

    /// What a card would return for some pairs, out of the whole result: the tiles stage by stage.
    fn by_stage(params: &Params, group: &[Class], result: &[u8], pairs: Range<u64>) -> Vec<u8> {
        let mut tiles = Vec::new();
        for class in group {
            for pair in pairs.clone() {
                for tile in class.first_tile..class.first_tile + class.tiles {
                    let leaf = params.leaf(crate::align::Place { pair, tile }) as usize;
                    tiles.extend_from_slice(&result[leaf * TILE_BYTES..][..TILE_BYTES]);
                }
            }
        }
        tiles
    }

    #[test]
    fn launches_come_together_to_any_run_of_leaves() {
        let base = Params {
            queries: 2,
            rows: 7,
            records: 1,
            query_tiles: 2,
            row_tiles: 4,
            groups: 3,
            scoring: Scoring::PROTEIN,
        };
        let Trial { params: bytes, inputs } = random(base, 5).unwrap();
        let params = Params::from_bytes(&bytes).unwrap();
        let inputs = Inputs { inputs: inputs.each_ref().map(Vec::as_slice) };
        let all = params.pairs() * params.tiles();
        let result = Cpu.run(Align::ID, &bytes, &inputs, 0..all).unwrap();
        let classes: Vec<Class> = params.classes().collect();
        for (start, end) in [(0, all), (0, 1), (13, 14), (5, 77), (40, 41), (39, 81), (all - 1, all)] {
            let leaves = start..end;
            let mut out = vec![UNSEEN; (end - start) as usize * TILE_BYTES];
            for group in classes.chunk_by(|a, b| a.first_pair == b.first_pair) {
                let asked = group.iter().filter_map(|class| pairs_of(class, &leaves));
                let Some(pairs) = asked.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)) else { continue };
                for first in pairs.clone().step_by(2) {
                    let run = first..(first + 2).min(pairs.end);
                    let tiles = by_stage(&params, group, &result, run.clone());
                    for (from, to) in pieces(group, run, &leaves) {
                        assert!(out[to.clone()].iter().all(|byte| *byte == UNSEEN), "every leaf comes once");
                        out[to.clone()].copy_from_slice(&tiles[from..from + to.len()]);
                    }
                }
            }
            assert_eq!(out, result[start as usize * TILE_BYTES..end as usize * TILE_BYTES], "{start}..{end}");
            let pieces = launches(&params, &leaves).into_iter().flat_map(|launch| launch.pieces);
            assert_eq!(pieces.map(|(_, to)| to.len()).sum::<usize>(), out.len());
        }
    }
}
