//! `search` on a graphics card; what runs on all cores is in [`super::cpu`].

use core::ops::Range;

use cudarc::driver::DeviceRepr;

use super::template::Template;
use super::{CELL_BYTES, CELLS_PER_LEAF, Params, Search, cpu};
use crate::executor::{Accelerated, CudaSource, ExecError, Gpu, Inputs};
use crate::kernel::Kernel;

/// Threads of a block: `BLOCK` in search.cu.
const BLOCK: u32 = 128;
/// Bytes that a segment leaves for its cell: `RECORD` words in search.cu.
const RECORD_BYTES: usize = 4 * 18;
/// Blocks of SHA-256 of one launch, unless a single leaf takes more: some tens of milliseconds.
const LAUNCH_WORK: u64 = 1 << 28;

// SAFETY: plain words, laid out as the struct of the same name in search.cu.
unsafe impl DeviceRepr for Template {}

/// Cells of `leaves` in a job with these params.
fn cells(params: &Params, leaves: &Range<u64>) -> Range<u64> {
    let before = |leaf: u64| leaf.saturating_mul(u64::from(CELLS_PER_LEAF)).min(params.cells);
    before(leaves.start)..before(leaves.end)
}

/// Cells of one launch: whole leaves.
fn launch_cells(params: &Params, template: &Template) -> u64 {
    let blocks = u64::from(template.len).saturating_add(u64::from(template.double()));
    let cells = LAUNCH_WORK.checked_div(params.cell_candidates().saturating_mul(blocks)).unwrap_or(0);
    let leaf = u64::from(CELLS_PER_LEAF);
    cells.checked_div(leaf).unwrap_or(0).max(1).saturating_mul(leaf)
}

impl Accelerated for Search {
    fn cuda_source(&self) -> CudaSource {
        CudaSource {
            kernel: Self::ID,
            name: Self::NAME,
            functions: &["search_segments", "search_cells"],
            cu: concat!(include_str!("../src/hash/sha256.cuh"), include_str!("search.cu")),
            ptx: include_str!("search.ptx"),
        }
    }

    fn cpu(&self, params: &[u8], _: &Inputs, leaves: Range<u64>, out: &mut [u8]) -> Result<(), ExecError> {
        let params = Self::parse(params)?;
        cpu::search(&params, cells(&params, &leaves), out);
        Ok(())
    }

    fn cuda(&self, gpu: &Gpu, params: &[u8], _: &Inputs, leaves: Range<u64>, out: &mut [u8]) -> Result<(), ExecError> {
        let params = Self::parse(params)?;
        let range = cells(&params, &leaves);
        let template = Template::new(&params);
        let most = launch_cells(&params, &template).min(range.end.saturating_sub(range.start));
        if most == 0 {
            return Ok(());
        }
        let (segments_of, cells_of) =
            (gpu.function(Self::ID, "search_segments")?, gpu.function(Self::ID, "search_cells")?);
        // At most 2^19 segments and as many cells.
        let (most, per_cell) = (most as usize, params.segments() as u32);
        let mut records = gpu.zeros(most.saturating_mul(per_cell as usize).saturating_mul(RECORD_BYTES))?;
        let cell_bytes = CELL_BYTES as usize;
        let mut tiles = gpu.tiles(out, most.saturating_mul(cell_bytes))?;
        while let Some(tile) = tiles.upcoming() {
            let before = |byte: usize| byte.checked_div(cell_bytes).unwrap_or(0) as u64;
            let first = range.start.saturating_add(before(tile.start));
            let nonce = params.nonce(first, 0);
            let cells = before(tile.len()) as u32;
            let segments = cells.saturating_mul(per_cell);
            let mut launch = gpu.launch(&segments_of);
            launch.bytes_mut(&mut records).value(&template).value(&nonce).value(&segments);
            // SAFETY: the arguments are those of search.cu in order and type; it writes a record for each segment.
            unsafe { launch.run((segments.div_ceil(BLOCK), 1), (BLOCK, 1)) }?;
            let mut launch = gpu.launch(&cells_of);
            launch.bytes_mut(tiles.buffer()?).bytes(&records).value(&cells).value(&per_cell);
            // SAFETY: likewise; it reads the records of all segments and writes `cells` cells.
            unsafe { launch.run((cells.div_ceil(BLOCK), 1), (BLOCK, 1)) }?;
            tiles.emit()?;
        }
        tiles.finish()
    }
}
