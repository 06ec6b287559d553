//! `mlp_i8` on a graphics card; what runs on all cores is in [`super::cpu`].

use core::ops::Range;

use super::plan::{Group, plan};
use super::{Activation, Layer, MlpI8, Params, SUM_BYTES, cpu};
use crate::executor::{Accelerated, Buffer, CudaSource, ExecError, Gpu, Inputs};
use crate::gemm_i8::slice;
use crate::kernel::Kernel;
use crate::merkle::CHUNK_BYTES;

/// Samples and neurons along each side of the tile that one block of mlp_i8.cu makes.
const TILE: u64 = 64;
/// Threads along each side of a block.
const SIDE: u32 = 16;
/// Threads of a block that chooses largest sums.
const CHOICE_BLOCK: u32 = 128;
/// Multiply-adds of one launch, unless a single row of tiles takes more: some tens of milliseconds.
const LAUNCH_WORK: u64 = 1 << 37;
/// Bytes of a layer's sums in one launch, unless a single row of tiles has more.
const LAUNCH_BYTES: u64 = 1 << 28;

/// Samples that go through the network together: whole tiles.
fn launch_samples(params: &Params) -> u64 {
    let stages = 0..params.layers().len();
    let widest = stages.clone().map(|stage| params.width(stage)).max().unwrap_or(1);
    let work = |stage| u64::from(params.width(stage)).saturating_mul(u64::from(params.fan_in(stage)));
    let most_work = stages.map(work).max().unwrap_or(1);
    let by_work = LAUNCH_WORK.checked_div(most_work).unwrap_or(0);
    let by_bytes = LAUNCH_BYTES.checked_div(u64::from(widest.saturating_mul(SUM_BYTES))).unwrap_or(0);
    // The grid has at most 65,535 tiles in this direction; TILE is a power of two.
    (by_work.min(by_bytes).min(1 << 20) & !(TILE - 1)).max(TILE)
}

impl Accelerated for MlpI8 {
    fn cuda_source(&self) -> CudaSource {
        CudaSource {
            kernel: Self::ID,
            name: Self::NAME,
            functions: &["mlp_i8_layer", "mlp_i8_largest"],
            cu: include_str!("mlp_i8.cu"),
            ptx: include_str!("mlp_i8.ptx"),
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
        let [samples, weights, ..] = inputs.inputs;
        let weights = gpu.upload(weights)?;
        for mut group in plan(&params, leaves, out)? {
            let [need, ..] = group.need.clone();
            let mut first = need.start;
            while first < need.end {
                let size = u32::try_from(launch_samples(&params)).unwrap_or(u32::MAX);
                let end = first.saturating_add(size).min(need.end);
                forward(gpu, &params, samples, &weights, &mut group, first..end)?;
                first = end;
            }
        }
        Ok(())
    }
}

/// Takes some samples of a group through the stages, as far as any of the group's cells are asked for.
fn forward(
    gpu: &Gpu,
    params: &Params,
    samples: &[u8],
    weights: &Buffer,
    group: &mut Group,
    run: Range<u32>,
) -> Result<(), ExecError> {
    let layer_function = gpu.function(MlpI8::ID, "mlp_i8_layer")?;
    let choice = gpu.function(MlpI8::ID, "mlp_i8_largest")?;
    let count = run.end.saturating_sub(run.start);
    let row = u64::from(params.sample_bytes());
    let first = u64::from(params.samples(group.group).0.saturating_add(run.start));
    let mut values = gpu.upload(slice(samples, first.saturating_mul(row), u64::from(count).saturating_mul(row))?)?;
    let mut value_words = params.sample_bytes() / 4;
    let mut sums = gpu.zeros(0)?;
    let stages = group.need.iter().take(params.stages()).take_while(|need| !need.is_empty()).count();
    for stage in 0..stages {
        let (n, k) = (params.width(stage), params.fan_in(stage));
        let made = match params.layer(stage) {
            Some(layer) => {
                let bytes = u64::from(count).saturating_mul(u64::from(n)).saturating_mul(u64::from(SUM_BYTES));
                let mut to = gpu.zeros(usize::try_from(bytes).unwrap_or(usize::MAX))?;
                // The last layer's sums are nobody's values.
                let is_last = params.layer(stage.saturating_add(1)).is_none();
                let next_words = if is_last { 0 } else { n.div_ceil(4) };
                let next_bytes = u64::from(count).saturating_mul(u64::from(next_words)).saturating_mul(4);
                let mut next = gpu.zeros(usize::try_from(next_bytes).unwrap_or(usize::MAX))?;
                let weights_at = params.layer_start(stage).saturating_mul(CHUNK_BYTES as u64 / 4);
                let weight_words = params.weight_bytes(stage) / 4;
                // Below 2^31, and a shift of at most 31.
                let (multiplier, shift) = (layer.multiplier as i32, i32::from(layer.shift));
                let low = low_of(layer);
                let mut launch = gpu.launch(&layer_function);
                launch
                    .bytes_mut(&mut to)
                    .bytes_mut(&mut next)
                    .bytes(&values)
                    .bytes(weights)
                    .value(&weights_at)
                    .value(&value_words)
                    .value(&weight_words)
                    .value(&next_words)
                    .value(&k)
                    .value(&n)
                    .value(&count)
                    .value(&multiplier)
                    .value(&shift)
                    .value(&low);
                let grid = (n.div_ceil(TILE as u32), count.div_ceil(TILE as u32));
                // SAFETY: the arguments are those of mlp_i8.cu in order and type. It reads `count` rows of values, the
                // layer's rows of weights, and writes `count` rows of sums and of next values: what the buffers hold.
                unsafe { launch.run(grid, (SIDE, SIDE)) }?;
                (values, value_words) = (next, next_words);
                to
            }
            None => {
                let mut to = gpu.zeros((count as usize).saturating_mul(2))?;
                let mut launch = gpu.launch(&choice);
                launch.bytes_mut(&mut to).bytes(&sums).value(&k).value(&count);
                // SAFETY: as above. It reads `count` rows of `k` sums, the last layer's, and writes as many numbers.
                unsafe { launch.run((count.div_ceil(CHOICE_BLOCK), 1), (CHOICE_BLOCK, 1)) }?;
                to
            }
        };
        if let Some(part) = group.parts.iter_mut().find(|part| part.stage == stage) {
            let width = u64::from(n);
            let held = u64::from(run.start).saturating_mul(width);
            let wanted = part.split_front(params, u64::from(run.end).saturating_mul(width))?;
            let skip = wanted.cells.start.saturating_sub(held).saturating_mul(u64::from(params.cell_bytes(stage)));
            gpu.fetch_from(&made, usize::try_from(skip).unwrap_or(usize::MAX), wanted.out)?;
        }
        sums = made;
    }
    Ok(())
}

/// The least value of a layer.
fn low_of(layer: &Layer) -> i32 {
    if layer.activation == Activation::Relu { 0 } else { -128 }
}
