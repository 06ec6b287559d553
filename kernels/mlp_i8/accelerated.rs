//! `mlp_i8` on a graphics card; what runs on all cores is in [`super::cpu`].
//!
//! A layer's product is one of gemm_i8's, in whichever way is the fastest there; its sums stay on the card, where
//! mlp_i8.cu adds the biases and makes the next layer's rows of them. Samples go through all layers in runs, and a run's
//! sums leave the card while the next one is computed.

use core::ops::Range;
use std::sync::Arc;

use super::plan::plan;
use super::{Activation, Layer, MlpI8, Params, SUM_BYTES, cpu};
use crate::executor::blaslt::Product;
use crate::executor::{Accelerated, Buffer, CudaSource, ExecError, Function, Gpu, Inputs};
use crate::gemm_i8::{SPARE_ROWS, Ways, slice};
use crate::kernel::Kernel;
use crate::merkle::CHUNK_BYTES;

/// Threads of a block: `BLOCK` in mlp_i8.cu.
const BLOCK: u32 = 128;
/// Products of one launch, unless a single sample has more: some tens of milliseconds on a small card.
const LAUNCH_WORK: u64 = 1 << 40;
/// Bytes of a run's sums of all layers, unless a single sample has more.
const RUN_BYTES: u64 = 1 << 27;
/// What the places of stages in a run are multiples of, in bytes.
const PLACE: u64 = 16;

/// Bytes of a row of so many values, as the products take it.
fn row_bytes(values: u32) -> u32 {
    values.next_multiple_of(128)
}

fn gcd(a: u64, b: u64) -> u64 {
    b.checked_rem(a).map_or(b, |rest| gcd(rest, a))
}

/// Samples of a run: such that leaves of all stages begin with each, where that is possible.
fn run_samples(params: &Params) -> u32 {
    let (mut bytes, mut work, mut step) = (u64::from(row_bytes(params.input_width)), 1u64, 1u64);
    for stage in 0..params.stages() {
        let width = u64::from(params.width(stage));
        bytes = bytes.saturating_add(width.saturating_mul(u64::from(SUM_BYTES)));
        work = work.max(width.saturating_mul(u64::from(params.fan_in(stage))));
        let cells = u64::from(params.cells_per_leaf(stage));
        let samples = cells.checked_div(gcd(width, cells)).unwrap_or(1).max(1);
        step = step.checked_div(gcd(step, samples)).unwrap_or(1).saturating_mul(samples);
    }
    let by_bytes = RUN_BYTES.checked_div(bytes).unwrap_or(0);
    let most = LAUNCH_WORK.checked_div(work).unwrap_or(0).min(by_bytes).clamp(1, 1 << 20);
    let whole = most.checked_div(step).unwrap_or(0).saturating_mul(step);
    u32::try_from(if whole > 0 { whole } else { most }).unwrap_or(1)
}

/// Some samples of a group, taken through the layers together.
#[derive(Debug)]
struct Run {
    /// Among all samples of the job.
    first: u32,
    count: u32,
    /// Stages that are needed for any of them: the first so many.
    stages: usize,
    /// What is asked for of the run: where it begins there, and its place among the leaves asked for.
    pieces: Vec<(usize, Range<usize>)>,
}

/// Byte of a run of `count` samples with which the cells of a stage begin; of the number of stages, its bytes.
fn place(params: &Params, count: u32, stage: usize) -> u64 {
    (0..stage).fold(0u64, |at, stage| {
        let cells = u64::from(count).saturating_mul(u64::from(params.width(stage)));
        at.saturating_add(cells.saturating_mul(u64::from(params.cell_bytes(stage))).next_multiple_of(PLACE))
    })
}

/// All runs that these leaves take; `out` has exactly their bytes.
fn runs(params: &Params, leaves: Range<u64>, out: &mut [u8], size: u32) -> Result<Vec<Run>, ExecError> {
    let mut runs = Vec::new();
    let mut at = 0usize;
    for group in plan(params, leaves, out)? {
        let mut parts = Vec::new();
        for part in &group.parts {
            parts.push((part.stage, part.cells.clone(), at));
            at = at.saturating_add(part.out.len());
        }
        // What a later stage needs, those before it do, too.
        let [need, ..] = group.need.clone();
        let mut start = need.start;
        while start < need.end {
            // Runs end with multiples of their size in the group, where leaves do.
            let next = start.checked_div(size).unwrap_or(0).saturating_add(1).saturating_mul(size);
            let run = start..next.min(need.end);
            let count = run.end.saturating_sub(run.start);
            let needs = |need: &&Range<u32>| need.start < run.end && run.start < need.end;
            let stages = group.need.iter().take(params.stages()).rposition(|need| needs(&need));
            let piece = |(stage, cells, at): &(usize, Range<u64>, usize)| {
                let (width, bytes) = (u64::from(params.width(*stage)), u64::from(params.cell_bytes(*stage)));
                let held = u64::from(run.start).saturating_mul(width)..u64::from(run.end).saturating_mul(width);
                let (from, to) = (cells.start.max(held.start), cells.end.min(held.end));
                // Results have fewer bytes than a number of this machine counts.
                let bytes = |cells: u64| cells.saturating_mul(bytes) as usize;
                let own =
                    (place(params, count, *stage) as usize).saturating_add(bytes(from.saturating_sub(held.start)));
                let to_byte = |cell: u64| at.saturating_add(bytes(cell.saturating_sub(cells.start)));
                (from < to).then(|| (own, to_byte(from)..to_byte(to)))
            };
            let pieces: Vec<_> = parts.iter().filter_map(piece).collect();
            let stages = stages.map_or(0, |last| last.saturating_add(1));
            if stages > 0 {
                let first = params.samples(group.group).0.saturating_add(run.start);
                runs.push(Run { first, count, stages, pieces });
            }
            start = run.end;
        }
    }
    Ok(runs)
}

impl Accelerated for MlpI8 {
    fn cuda_source(&self) -> CudaSource {
        CudaSource {
            kernel: Self::ID,
            name: Self::NAME,
            functions: &["mlp_i8_rows", "mlp_i8_biases", "mlp_i8_requantise", "mlp_i8_largest"],
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
        let runs = runs(&params, leaves, out, run_samples(&params))?;
        let Some(most) = runs.iter().map(|run| run.count).max() else { return Ok(()) };
        let mut network = Network::new(gpu, &params, weights, most)?;
        let bytes = place(&params, most, params.stages());
        let mut tiles = gpu.pieces(out, usize::try_from(bytes).unwrap_or(usize::MAX), runs.len())?;
        for run in runs {
            network.load(samples, &run)?;
            let sums = tiles.buffer()?.address();
            for stage in 0..run.stages {
                // SAFETY: the buffer has room for all stages of `most` samples, of which the run has no more.
                unsafe { network.make(stage, run.count, sums) }?;
            }
            tiles.emit_pieces(run.pieces)?;
        }
        tiles.finish()
    }
}

/// A network on the card, and room for a run of samples.
struct Network<'a> {
    gpu: &'a Gpu,
    params: &'a Params,
    ways: Arc<Ways>,
    rows: Function,
    requantise: Function,
    largest: Function,
    layers: Vec<OnCard>,
    /// Samples as they come.
    samples: Buffer,
    /// Rows of values that a layer reads, and those that it makes.
    values: [Buffer; 2],
    products: Buffer,
}

/// A layer's weights, as the products take them, and its biases.
struct OnCard {
    rows: Buffer,
    biases: Buffer,
}

fn bytes(rows: u32, of: u32) -> usize {
    usize::try_from(u64::from(rows).saturating_mul(of.into())).unwrap_or(usize::MAX)
}

fn blocks(threads: u64) -> (u32, u32) {
    (u32::try_from(threads.div_ceil(BLOCK.into())).unwrap_or(u32::MAX), 1)
}

/// Begins to make rows as the products take them: `count` rows of `to`, of rows of `from_bytes` bytes from word `at` of
/// `from` on, of which k bytes count.
///
/// # Safety
/// Both buffers must have so many rows.
unsafe fn make_rows(
    gpu: &Gpu,
    function: &Function,
    to: &mut Buffer,
    (from, at, from_bytes): (&Buffer, u64, u32),
    k: u32,
    count: u32,
) -> Result<(), ExecError> {
    let (from_words, to_words) = (from_bytes / 4, row_bytes(k) / 4);
    let mut launch = gpu.launch(function);
    launch.bytes_mut(to).bytes(from).value(&at).value(&from_words).value(&to_words).value(&k).value(&count);
    // SAFETY: the arguments are those of mlp_i8_rows in order and type, and the caller promises the rows.
    unsafe { launch.run(blocks(u64::from(count).saturating_mul(to_words.into())), (BLOCK, 1)) }
}

impl<'a> Network<'a> {
    /// With room for `most` samples.
    fn new(gpu: &'a Gpu, params: &'a Params, weights: &[u8], most: u32) -> Result<Self, ExecError> {
        let ways = Ways::of(gpu)?;
        let function = |name| gpu.function(MlpI8::ID, name);
        let (rows, biases) = (function("mlp_i8_rows")?, function("mlp_i8_biases")?);
        let weights = gpu.upload(weights)?;
        let (mut layers, mut value_bytes, mut stride) = (Vec::new(), row_bytes(params.input_width), 0);
        for (stage, layer) in params.layers().iter().enumerate() {
            let (n, k) = (layer.width, params.fan_in(stage));
            let at = params.layer_start(stage).saturating_mul(CHUNK_BYTES as u64 / 4);
            let (from_bytes, weight_words) = (params.weight_bytes(stage), params.weight_bytes(stage) / 4);
            // The spare rows at the end stay zeros.
            let spare = u32::try_from(SPARE_ROWS).unwrap_or(0);
            let mut made = gpu.zeros(bytes(n.saturating_add(spare), row_bytes(k)))?;
            // SAFETY: the input has the layer's n rows of weights from there on, and the buffer n and more.
            unsafe { make_rows(gpu, &rows, &mut made, (&weights, at, from_bytes), k, n) }?;
            let mut own = gpu.zeros(bytes(n, SUM_BYTES))?;
            let mut launch = gpu.launch(&biases);
            launch.bytes_mut(&mut own).bytes(&weights).value(&at).value(&weight_words).value(&n);
            // SAFETY: the arguments are those of mlp_i8_biases in order and type; the layer has n rows, the buffer as
            // many numbers.
            unsafe { launch.run(blocks(n.into()), (BLOCK, 1)) }?;
            layers.push(OnCard { rows: made, biases: own });
            (value_bytes, stride) = (value_bytes.max(row_bytes(n)), stride.max(n.next_multiple_of(4)));
        }
        let values = || gpu.zeros(bytes(most, value_bytes));
        Ok(Self {
            gpu,
            params,
            ways,
            rows,
            requantise: function("mlp_i8_requantise")?,
            largest: function("mlp_i8_largest")?,
            layers,
            samples: gpu.zeros(bytes(most, params.sample_bytes()))?,
            values: [values()?, values()?],
            products: gpu.zeros(bytes(most, stride.saturating_mul(SUM_BYTES)))?,
        })
    }

    /// Brings a run's samples.
    fn load(&mut self, samples: &[u8], run: &Run) -> Result<(), ExecError> {
        let (row, k) = (self.params.sample_bytes(), self.params.input_width);
        let from = u64::from(run.first).saturating_mul(row.into());
        let own = slice(samples, from, u64::from(run.count).saturating_mul(row.into()))?;
        self.gpu.upload_to(&mut self.samples, own)?;
        let [values, _] = &mut self.values;
        // SAFETY: that many rows were brought, and the room is for as many.
        unsafe { make_rows(self.gpu, &self.rows, values, (&self.samples, 0, row), k, run.count) }
    }

    /// Begins to make a stage's cells of `count` samples, behind those of the stages before it in the run at the address
    /// `run`; all of those were begun before, each once.
    ///
    /// # Safety
    /// The run must have room for this stage and those before it, and `count` be no more than there is room for.
    unsafe fn make(&mut self, stage: usize, count: u32, run: u64) -> Result<(), ExecError> {
        let Self { gpu, params, .. } = *self;
        let at = |stage: usize| run.saturating_add(place(params, count, stage));
        let (to, n, k) = (at(stage), params.width(stage), params.fan_in(stage));
        let (Some(layer), Some(own)) = (params.layer(stage), self.layers.get(stage)) else {
            let sums = at(stage.saturating_sub(1));
            let mut launch = gpu.launch(&self.largest);
            launch.value(&to).value(&sums).value(&k).value(&count);
            // SAFETY: the arguments are those of mlp_i8_largest in order and type, addresses for pointers. It reads `count`
            // rows of k sums, the last layer's, and writes as many numbers.
            return unsafe { launch.run(blocks(count.into()), (BLOCK, 1)) };
        };
        let stride = n.next_multiple_of(4);
        let [values, next] = &mut self.values;
        let product = Product {
            out: self.products.address(),
            a: values.address(),
            b: own.rows.address(),
            row_bytes: row_bytes(k),
            k,
            rows: count,
            columns: n,
            stride,
        };
        // SAFETY: `count` rows of values and n rows of weights lie there, with rows to spare, zeros behind their k bytes;
        // there is room for `count` rows of the widest layer's products.
        unsafe { self.ways.multiply(gpu, &product) }?;
        // The last layer's sums are nobody's values.
        let is_last = params.layer(stage.saturating_add(1)).is_none();
        let next_words = if is_last { 0 } else { row_bytes(n) / 4 };
        // Below 2^31, and a shift of at most 31.
        let (multiplier, shift, low) = (layer.multiplier as i32, i32::from(layer.shift), low_of(layer));
        let mut launch = gpu.launch(&self.requantise);
        launch.value(&to).bytes_mut(next).bytes(&self.products).bytes(&own.biases);
        launch.value(&n).value(&stride).value(&next_words).value(&count);
        launch.value(&multiplier).value(&shift).value(&low);
        let threads = u64::from(count).saturating_mul(next_words.max(stride / 4).into());
        // SAFETY: the arguments are those of mlp_i8_requantise in order and type, an address for the first pointer. It
        // reads `count` rows of products and n biases, and writes `count` rows of sums and of next values.
        unsafe { launch.run(blocks(threads), (BLOCK, 1)) }?;
        self.values.swap(0, 1);
        Ok(())
    }
}

/// The least value of a layer.
fn low_of(layer: &Layer) -> i32 {
    if layer.activation == Activation::Relu { 0 } else { -128 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::Plan;
    use crate::mlp_i8::Output;

    fn network(batch: u32, groups: u8, output: Output, input_width: u32, widths: &[u32]) -> Params {
        let (last, hidden) = widths.split_last().unwrap();
        let layer = |width| Layer { width, multiplier: 1 << 30, shift: 3, activation: Activation::Relu };
        let mut layers: Vec<Layer> = hidden.iter().map(|width| layer(*width)).collect();
        layers.push(Layer::last(*last));
        Params::new(batch, groups, output, input_width, &layers).unwrap()
    }

    #[test]
    fn every_byte_comes_once_from_where_its_cell_lies() {
        let params = network(200, 2, Output::Argmax, 70, &[300, 10]);
        let geometry = MlpI8::geometry(&params).unwrap();
        let all = geometry.leaves().unwrap();
        for (from, to) in [(0, all), (0, 1), (3, 117), (116, 118), (120, all - 1), (all - 1, all)] {
            let start = geometry.bytes_before(from).unwrap();
            let mut out = vec![0u8; (geometry.bytes_before(to).unwrap() - start) as usize];
            for size in [64, 17, 1 << 20] {
                let mut seen = vec![0u8; out.len()];
                for run in runs(&params, from..to, &mut out, size).unwrap() {
                    assert!(run.stages > 0 && run.count > 0 && run.count <= size);
                    let group = run.first / params.group_size();
                    for (at, to) in &run.pieces {
                        assert!(at + to.len() <= place(&params, run.count, run.stages) as usize);
                        seen[to.clone()].iter_mut().for_each(|count| *count += 1);
                        // The piece's first cell, by where it lies in the run and by where it goes to.
                        let stage =
                            (0..run.stages).rfind(|stage| place(&params, run.count, *stage) <= *at as u64).unwrap();
                        let class =
                            params.classes().find(|class| (class.group, class.stage) == (group, stage)).unwrap();
                        let before = geometry.bytes_before(class.first_leaf).unwrap();
                        let inside = *at as u64 - place(&params, run.count, stage);
                        let first_cell =
                            u64::from(run.first - params.samples(group).0) * u64::from(params.width(stage));
                        let byte = before + first_cell * u64::from(params.cell_bytes(stage)) + inside;
                        assert_eq!(byte, start + to.start as u64);
                    }
                }
                assert!(seen.iter().all(|count| *count == 1), "{from}..{to} {size}");
            }
        }
    }

    #[test]
    fn runs_are_whole_leaves_of_all_stages() {
        for widths in [&[4_096, 4_096, 4_096, 1_000][..], &[48, 32, 10], &[300, 100, 7], &[1], &[257, 255]] {
            let params = network(1 << 14, 2, Output::Argmax, 784, widths);
            let geometry = MlpI8::geometry(&params).unwrap();
            let leaves = geometry.leaves().unwrap();
            let size = run_samples(&params);
            let mut out =
                vec![0u8; if widths[0] > 1_000 { 0 } else { geometry.bytes_before(leaves).unwrap() as usize }];
            if out.is_empty() {
                // Too much to hold here: what leaves go by.
                assert!(size >= 512 && size.is_multiple_of(64), "{size}");
                continue;
            }
            let mut hashed = Plan::new(&geometry, 0..leaves);
            for run in runs(&params, 0..leaves, &mut out, size).unwrap() {
                for (_, to) in run.pieces {
                    assert!(!hashed.take(to.start as u64..to.end as u64).is_empty());
                }
            }
            assert!(hashed.is_complete(), "{widths:?} {size}");
        }
        let widest = network(1 << 20, 1, Output::Sums, 16_384, &[4_096; 6]);
        assert!((256..2_048).contains(&run_samples(&widest)), "{}", run_samples(&widest));
    }
}
