//! `option_risk` on a graphics card; what runs on all cores is in [`super::cpu`].

use core::ops::Range;

use cudarc::driver::DeviceRepr;

use super::{OptionRisk, PIECES, Params, cpu, model};
use crate::executor::{Accelerated, CudaSource, ExecError, Gpu, Inputs};
use crate::kernel::Kernel;

/// Threads of a block: `BLOCK` in option_risk.cu.
const BLOCK: u32 = 128;
/// Normal variates of one launch, unless a single cell takes more: some tens of milliseconds.
const LAUNCH_NORMALS: u64 = 1 << 31;
/// Paths of one launch at most.
const LAUNCH_PATHS: u64 = 1 << 24;
/// Entry points, with how many assets they take at most.
const FUNCTIONS: [(u8, &str); 3] = [(4, "option_risk_4"), (8, "option_risk_8"), (16, "option_risk_16")];

/// The paths of a launch, as `Job` in option_risk.cu.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Launch {
    first: u64,
    seed: u64,
    count: u32,
    steps: u32,
    assets: u32,
    positions: u32,
    per_cell: u32,
    cell_words: u32,
    flags: u32,
    baskets: u32,
}

// SAFETY: plain words, laid out as the struct of the same content in option_risk.cu.
unsafe impl DeviceRepr for Launch {}

impl Launch {
    /// `cells` cells from `first_cell` on; `None` when they have 2^32 paths or more.
    pub fn new(params: &Params, first_cell: u64, cells: u32) -> Option<Self> {
        Some(Self {
            first: params.first_path(first_cell),
            seed: params.seed,
            count: cells.checked_mul(u32::from(params.paths))?,
            steps: u32::from(params.steps),
            assets: u32::from(params.assets),
            positions: u32::from(params.positions),
            per_cell: u32::from(params.paths),
            cell_words: params.cell_words(),
            flags: u32::from(params.flags),
            baskets: u32::from(params.baskets),
        })
    }

    /// Paths.
    pub fn count(&self) -> u32 {
        self.count
    }
}

/// Cells of `leaves` in a job with these params.
fn cells(params: &Params, leaves: &Range<u64>) -> Range<u64> {
    let before = |leaf: u64| leaf.saturating_mul(u64::from(params.cells_per_leaf())).min(params.cells);
    before(leaves.start)..before(leaves.end)
}

/// Cells of one launch: whole leaves.
fn launch_cells(params: &Params) -> u64 {
    let normals = u64::from(params.steps).saturating_mul(u64::from(params.assets));
    let paths = LAUNCH_NORMALS.checked_div(normals).unwrap_or(0).min(LAUNCH_PATHS);
    let leaf = u64::from(params.cells_per_leaf()).max(1);
    let leaf_paths = u64::from(params.paths).saturating_mul(leaf);
    paths.checked_div(leaf_paths).unwrap_or(0).max(1).saturating_mul(leaf)
}

impl Accelerated for OptionRisk {
    fn cuda_source(&self) -> CudaSource {
        CudaSource {
            kernel: Self::ID,
            name: Self::NAME,
            functions: &["option_risk_4", "option_risk_8", "option_risk_16"],
            cu: include_str!("option_risk.cu"),
            ptx: include_str!("option_risk.ptx"),
        }
    }

    fn cpu(&self, params: &[u8], inputs: &Inputs, leaves: Range<u64>, out: &mut [u8]) -> Result<(), ExecError> {
        let params = Self::parse(params)?;
        cpu::simulate(&params, inputs.inputs[0], cells(&params, &leaves), out);
        Ok(())
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
        let range = cells(&params, &leaves);
        let most = launch_cells(&params).min(range.end.saturating_sub(range.start));
        if most == 0 {
            return Ok(());
        }
        let name = FUNCTIONS.iter().find(|(assets, _)| params.assets <= *assets).map_or("option_risk_16", |(_, f)| f);
        let function = gpu.function(Self::ID, name)?;
        let table = gpu.upload(bytemuck::cast_slice(&PIECES))?;
        let model = gpu.upload(bytemuck::cast_slice(&model::words(inputs.inputs[0])))?;
        let cell_bytes = params.cell_bytes() as usize;
        let mut tiles = gpu.tiles(out, (most as usize).saturating_mul(cell_bytes))?;
        while let Some(tile) = tiles.upcoming() {
            let before = |byte: usize| byte.checked_div(cell_bytes).unwrap_or(0);
            let first = range.start.saturating_add(before(tile.start) as u64);
            // At most 2^24 of them, or a leaf.
            let job = Launch::new(&params, first, before(tile.len()) as u32).ok_or(ExecError::LeafRange)?;
            let buffer = tiles.buffer()?;
            // Digests and sums are added up in it.
            gpu.clear(buffer, tile.len())?;
            let mut launch = gpu.launch(&function);
            launch.bytes_mut(buffer).bytes(&table).bytes(&model).value(&job);
            // SAFETY: the arguments are those of option_risk.cu in order and type; it reads the whole table and the 256
            // words of any model, and writes the words of the tile's cells.
            unsafe { launch.run((job.count().div_ceil(BLOCK), 1), (BLOCK, 1)) }?;
            tiles.emit()?;
        }
        tiles.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launches_are_whole_leaves_and_count_their_paths_in_32_bits() {
        for (paths, steps, assets) in [(1, 1, 1), (64, 1, 1), (64, 252, 5), (7, 4_096, 16)] {
            let (cells, first, seed, reference) = (1 << 40, 0, 0, 0);
            let (baskets, positions, flags, value_bits) = (0, 1, 0, 0);
            let params =
                Params { cells, first, seed, steps, assets, baskets, positions, paths, flags, value_bits, reference };
            let cells = launch_cells(&params);
            assert!(cells > 0 && cells.is_multiple_of(params.cells_per_leaf().into()));
            assert!(Launch::new(&params, 0, u32::try_from(cells).unwrap()).is_some());
        }
    }
}
