//! A network as a job's params, and where its samples, weights, sums and answers lie.

use super::requantise::Requantise;
use crate::abi::ParamError;
use crate::merkle::CHUNK_BYTES;

/// Most layers.
pub const MAX_LAYERS: usize = 6;
/// Most stages: the layers, and the choice of the largest sum.
pub const MAX_STAGES: usize = MAX_LAYERS + 1;
/// Most values of a sample.
pub const MAX_INPUT_WIDTH: u32 = 16_384;
/// Most neurons of a layer.
pub const MAX_WIDTH: u32 = 4_096;
/// Most samples of a job.
pub const MAX_BATCH: u32 = 1 << 20;
/// Most cost classes of a job, which are its groups times its stages.
pub const MAX_CLASSES: usize = crate::abi::MAX_CLASSES;
/// Largest right shift of a requantisation.
pub const MAX_SHIFT: u8 = 31;
/// Bytes of the params before the layers.
pub const HEADER_BYTES: usize = 12;
/// Bytes of a layer in the params.
pub const LAYER_BYTES: usize = 12;
/// Most bytes of the params.
pub const PARAMS_BYTES_MAX: usize = HEADER_BYTES + MAX_LAYERS * LAYER_BYTES;
/// Bytes of a sum in a leaf.
pub const SUM_BYTES: u32 = 4;
/// Bytes of an answer (the number of the largest sum) in a leaf.
pub const ANSWER_BYTES: u32 = 2;
/// Bytes of a bias, at the end of its neuron's row.
pub const BIAS_BYTES: u32 = 4;
/// Cells of a leaf where whole samples fit in so many.
const SMALL_LEAF: u32 = 64;
/// Most cells of a leaf.
pub const LARGE_LEAF: u32 = 256;
/// Fewest bytes of a row, so that rows begin with whole words.
const LEAST_ROW_BYTES: u32 = 4;

// No sum of products leaves 32 bits, and no job outweighs what a draw by cost allows.
const _: () = assert!((MAX_INPUT_WIDTH as u64) << 14 < 1 << 31);
const _: () = assert!(
    (MAX_BATCH as u64) * (MAX_WIDTH as u64) * (MAX_INPUT_WIDTH as u64 + 5 * MAX_WIDTH as u64 + 1)
        <= crate::abi::MAX_WEIGHT
);

/// What happens to a sum before the next layer reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing but requantisation to -128..=127.
    None,
    /// Requantisation to 0..=127: negative sums become 0.
    Relu,
}

/// What a job answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The sums of every layer; those of the last one are the logits.
    Sums,
    /// Those, and for each sample the number of its largest logit, the lowest of equal ones.
    Argmax,
}

/// A dense layer. The last one's sums are not requantised: its multiplier, shift and activation are 0, 0 and none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Neurons.
    pub width: u32,
    /// Multiplier of the requantisation, Q0.31: 1 to 2^31 - 1.
    pub multiplier: u32,
    /// Right shift after it.
    pub shift: u8,
    /// Activation.
    pub activation: Activation,
}

impl Layer {
    /// A last layer.
    pub const fn last(width: u32) -> Self {
        Self { width, multiplier: 0, shift: 0, activation: Activation::None }
    }

    /// How the next layer reads its sums.
    pub fn requantise(&self) -> Requantise {
        Requantise::new(self.multiplier, self.shift, self.activation == Activation::Relu)
    }
}

/// A network and a batch of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Samples.
    pub batch: u32,
    /// Runs of samples that lie behind each other with all of their stages: shards are cut between them.
    pub groups: u8,
    /// What is answered.
    pub output: Output,
    /// Values of a sample.
    pub input_width: u32,
    layers: u8,
    layer: [Layer; MAX_LAYERS],
}

/// Where a leaf or a cell lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Group of samples.
    pub group: u32,
    /// Stage.
    pub stage: usize,
    /// Job-wide index of the first leaf of this group and stage.
    pub first_leaf: u64,
    /// Index of the cell among those of this group and stage; of a leaf, of its first cell.
    pub cell: u64,
}

/// A row of values in an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Chunk in which it begins.
    pub chunk: u64,
    /// Byte of that chunk with which it begins.
    pub offset: u32,
    /// Bytes of it, padding included.
    pub bytes: u32,
}

impl Row {
    /// Chunks that it touches: one, or all its own.
    pub fn chunks(&self) -> u64 {
        u64::from(self.bytes).div_ceil(CHUNK_BYTES as u64)
    }

    /// The `number`-th of rows that have `bytes` bytes each and begin with chunk `first`. The bytes are a power of two
    /// or whole chunks, so no row shorter than a chunk lies in two.
    fn nth(first: u64, number: u64, bytes: u32) -> Self {
        // At most 2^20 rows of 2^15 bytes.
        let (chunks, offset) = div_rem(number.wrapping_mul(u64::from(bytes)), CHUNK_BYTES as u64);
        Self { chunk: first.wrapping_add(chunks), offset: offset as u32, bytes }
    }
}

/// Bytes of a row of `len` bytes with its padding: the next power of two up to a chunk, else whole chunks.
fn padded(len: u32) -> u32 {
    let chunk = CHUNK_BYTES as u32;
    if len <= chunk { len.max(LEAST_ROW_BYTES).next_power_of_two() } else { len.next_multiple_of(chunk) }
}

/// Quotient and rest; zeros for a divisor of 0, which no params have.
pub(super) fn div_rem(n: u64, by: u64) -> (u64, u64) {
    (n.checked_div(by).unwrap_or(0), n.checked_rem(by).unwrap_or(0))
}

impl Params {
    /// Params of a network whose layers are `layers`.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn new(batch: u32, groups: u8, output: Output, input_width: u32, layers: &[Layer]) -> Result<Self, ParamError> {
        let mut params = Self {
            batch,
            groups,
            output,
            input_width,
            layers: u8::try_from(layers.len()).map_err(|_| ParamError::TooLarge)?,
            layer: [Layer::last(0); MAX_LAYERS],
        };
        params.layer.get_mut(..layers.len()).ok_or(ParamError::TooLarge)?.copy_from_slice(layers);
        params.check()?;
        Ok(params)
    }

    fn check(&self) -> Result<(), ParamError> {
        let (last, hidden) = self.layers().split_last().ok_or(ParamError::Zero)?;
        if self.batch == 0 || self.groups == 0 || self.input_width == 0 {
            return Err(ParamError::Zero);
        }
        if self.batch > MAX_BATCH || self.input_width > MAX_INPUT_WIDTH {
            return Err(ParamError::TooLarge);
        }
        if self.layers().iter().any(|layer| layer.width == 0) || hidden.iter().any(|layer| layer.multiplier == 0) {
            return Err(ParamError::Zero);
        }
        let too_large = |layer: &Layer| {
            layer.width > MAX_WIDTH || layer.multiplier > i32::MAX.unsigned_abs() || layer.shift > MAX_SHIFT
        };
        if self.layers().iter().any(too_large) || *last != Layer::last(last.width) {
            return Err(ParamError::TooLarge);
        }
        // Every group has a sample, and its stages a class each.
        let classes = usize::from(self.groups).saturating_mul(self.stages());
        let before = u64::from(self.group_size()).saturating_mul(u64::from(self.groups.saturating_sub(1)));
        if classes > MAX_CLASSES || before >= u64::from(self.batch) {
            return Err(ParamError::TooLarge);
        }
        Ok(())
    }

    /// Reads and checks params. 12 bytes, little-endian: batch u32, groups u8, layers u8, output u8 (0 sums, 1 argmax),
    /// zero u8, input width u32. For each layer 12 more: width u32, multiplier u32, shift u8, activation u8 (0 none,
    /// 1 ReLU), zero u16.
    ///
    /// # Errors
    /// [`ParamError::Length`] when they are not as long as their number of layers says, [`ParamError::Zero`],
    /// [`ParamError::TooLarge`] also for a byte that has no meaning.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParamError> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(ParamError::Length)?;
        let [b0, b1, b2, b3, groups, layers, output, zero, w0, w1, w2, w3] = *header;
        let (raw, tail) = rest.as_chunks::<LAYER_BYTES>();
        if raw.len() != usize::from(layers) || !tail.is_empty() {
            return Err(ParamError::Length);
        }
        let output = match output {
            0 => Output::Sums,
            1 => Output::Argmax,
            _ => return Err(ParamError::TooLarge),
        };
        let mut layer = [Layer::last(0); MAX_LAYERS];
        if zero != 0 || raw.len() > MAX_LAYERS {
            return Err(ParamError::TooLarge);
        }
        for (to, from) in layer.iter_mut().zip(raw) {
            let [n0, n1, n2, n3, m0, m1, m2, m3, shift, activation, z0, z1] = *from;
            let activation = match (activation, z0, z1) {
                (0, 0, 0) => Activation::None,
                (1, 0, 0) => Activation::Relu,
                _ => return Err(ParamError::TooLarge),
            };
            *to = Layer {
                width: u32::from_le_bytes([n0, n1, n2, n3]),
                multiplier: u32::from_le_bytes([m0, m1, m2, m3]),
                shift,
                activation,
            };
        }
        let batch = u32::from_le_bytes([b0, b1, b2, b3]);
        let input_width = u32::from_le_bytes([w0, w1, w2, w3]);
        let params = Self { batch, groups, output, input_width, layers, layer };
        params.check()?;
        Ok(params)
    }

    /// The params as a job carries them: the front of the array, and how many bytes of it.
    pub fn to_bytes(&self) -> ([u8; PARAMS_BYTES_MAX], usize) {
        let mut bytes = [0; PARAMS_BYTES_MAX];
        if let Some((header, rest)) = bytes.split_first_chunk_mut::<HEADER_BYTES>() {
            let [b0, b1, b2, b3, groups, layers, output, _, w0, w1, w2, w3] = header;
            [*b0, *b1, *b2, *b3] = self.batch.to_le_bytes();
            (*groups, *layers) = (self.groups, self.layers);
            *output = u8::from(self.output == Output::Argmax);
            [*w0, *w1, *w2, *w3] = self.input_width.to_le_bytes();
            for (to, layer) in rest.as_chunks_mut::<LAYER_BYTES>().0.iter_mut().zip(self.layers()) {
                let [n0, n1, n2, n3, m0, m1, m2, m3, shift, activation, _, _] = to;
                [*n0, *n1, *n2, *n3] = layer.width.to_le_bytes();
                [*m0, *m1, *m2, *m3] = layer.multiplier.to_le_bytes();
                *shift = layer.shift;
                *activation = u8::from(layer.activation == Activation::Relu);
            }
        }
        (bytes, HEADER_BYTES.wrapping_add(self.layers().len().wrapping_mul(LAYER_BYTES)))
    }

    /// [`to_bytes`](Self::to_bytes) as a vector.
    #[cfg(feature = "std")]
    pub fn to_vec(&self) -> Vec<u8> {
        let (bytes, len) = self.to_bytes();
        bytes.get(..len).unwrap_or_default().to_vec()
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Layer] {
        self.layer.get(..usize::from(self.layers)).unwrap_or_default()
    }

    /// Layer `stage`, if that stage is one.
    pub fn layer(&self, stage: usize) -> Option<&Layer> {
        self.layers().get(stage)
    }

    /// The layer before `stage`; none before the first.
    pub fn layer_before(&self, stage: usize) -> Option<&Layer> {
        self.layers().get(stage.checked_sub(1)?)
    }

    /// Stages: the layers, and the choice of the largest sum where the job wants it.
    pub fn stages(&self) -> usize {
        usize::from(self.layers).saturating_add(usize::from(self.output == Output::Argmax))
    }

    /// Values that a cell of `stage` adds up or compares: also what it costs.
    pub fn fan_in(&self, stage: usize) -> u32 {
        self.layer_before(stage).map_or(self.input_width, |layer| layer.width)
    }

    /// Cells of a sample in `stage`.
    pub fn width(&self, stage: usize) -> u32 {
        self.layer(stage).map_or(1, |layer| layer.width)
    }

    /// Bytes of a cell of `stage`.
    pub fn cell_bytes(&self, stage: usize) -> u32 {
        if self.layer(stage).is_some() { SUM_BYTES } else { ANSWER_BYTES }
    }

    /// Cells of a leaf of `stage`: whole samples while they fit, else as many as a leaf holds.
    pub fn cells_per_leaf(&self, stage: usize) -> u32 {
        let width = self.width(stage).max(1);
        if width > LARGE_LEAF {
            return LARGE_LEAF;
        }
        // The product is at most 64 where the quotient is not 0.
        SMALL_LEAF.checked_div(width).unwrap_or(0).max(1).wrapping_mul(width)
    }

    /// Samples of a group; the last may have fewer.
    pub fn group_size(&self) -> u32 {
        self.batch.div_ceil(u32::from(self.groups.max(1)))
    }

    /// First sample of a group, and how many it has.
    pub fn samples(&self, group: u32) -> (u32, u32) {
        let size = self.group_size();
        let first = group.saturating_mul(size).min(self.batch);
        (first, size.min(self.batch.saturating_sub(first)))
    }

    /// Cells of `stage` in `group`.
    pub fn cells(&self, group: u32, stage: usize) -> u64 {
        // At most 2^20 samples of 2^12 cells.
        u64::from(self.samples(group).1).wrapping_mul(u64::from(self.width(stage)))
    }

    /// Leaves of `stage` in `group`.
    pub fn leaves(&self, group: u32, stage: usize) -> u64 {
        self.cells(group, stage).div_ceil(u64::from(self.cells_per_leaf(stage).max(1)))
    }

    /// Leaves of a whole group.
    pub fn group_leaves(&self, group: u32) -> u64 {
        (0..self.stages()).fold(0, |sum, stage| sum.wrapping_add(self.leaves(group, stage)))
    }

    /// Every group and stage, in the order of their leaves, with its first leaf.
    pub fn classes(&self) -> impl Iterator<Item = Place> + '_ {
        let mut first_leaf = 0u64;
        (0..u32::from(self.groups)).flat_map(move |group| (0..self.stages()).map(move |stage| (group, stage))).map(
            move |(group, stage)| {
                let place = Place { group, stage, first_leaf, cell: 0 };
                first_leaf = first_leaf.wrapping_add(self.leaves(group, stage));
                place
            },
        )
    }

    /// Where cell `cell` of the job-wide leaf `leaf` lies; none when the job has no such cell.
    pub fn locate(&self, leaf: u64, cell: u32) -> Option<Place> {
        let class = self.classes().find(|class| {
            leaf.checked_sub(class.first_leaf).is_some_and(|inside| inside < self.leaves(class.group, class.stage))
        })?;
        let per_leaf = self.cells_per_leaf(class.stage);
        let inside = leaf.checked_sub(class.first_leaf)?.checked_mul(u64::from(per_leaf))?;
        let index = inside.checked_add(u64::from(cell))?;
        (cell < per_leaf && index < self.cells(class.group, class.stage)).then_some(Place { cell: index, ..class })
    }

    /// The job's sample and the neuron of a cell.
    pub fn sample_and_neuron(&self, place: &Place) -> (u32, u32) {
        // A cell that was located: both fit.
        let (sample, neuron) = div_rem(place.cell, u64::from(self.width(place.stage)));
        (self.samples(place.group).0.wrapping_add(sample as u32), neuron as u32)
    }

    /// The leaves that hold the sums of layer `stage - 1` for the sample of a cell: the first one's job-wide number,
    /// how many, and the cell of the first one with which they begin. None in stage 0.
    pub fn sums_before(&self, place: &Place) -> Option<(u64, u64, u32)> {
        let before = place.stage.checked_sub(1)?;
        let (width, per_leaf) = (u64::from(self.width(before)), u64::from(self.cells_per_leaf(before)));
        let (sample, _) = div_rem(place.cell, u64::from(self.width(place.stage)));
        let first = sample.checked_mul(width)?;
        let (first_leaf, first_cell) = div_rem(first, per_leaf);
        let (last_leaf, _) = div_rem(first.checked_add(width)?.checked_sub(1)?, per_leaf);
        let leaf = place.first_leaf.checked_sub(self.leaves(place.group, before))?.checked_add(first_leaf)?;
        Some((leaf, last_leaf.checked_sub(first_leaf)?.checked_add(1)?, first_cell as u32))
    }

    /// Bytes of a sample's row.
    pub fn sample_bytes(&self) -> u32 {
        padded(self.input_width)
    }

    /// Bytes of a row of weights of layer `stage`, its bias included.
    pub fn weight_bytes(&self, stage: usize) -> u32 {
        padded(self.fan_in(stage).saturating_add(BIAS_BYTES))
    }

    /// Row of a sample.
    pub fn sample_row(&self, sample: u32) -> Row {
        Row::nth(0, u64::from(sample), self.sample_bytes())
    }

    /// Chunks of a layer's weights.
    fn layer_chunks(&self, stage: usize) -> u64 {
        u64::from(self.width(stage)).wrapping_mul(u64::from(self.weight_bytes(stage))).div_ceil(CHUNK_BYTES as u64)
    }

    /// Chunk with which the weights of layer `stage` begin.
    pub fn layer_start(&self, stage: usize) -> u64 {
        (0..stage.min(self.layers().len())).fold(0, |sum, stage| sum.wrapping_add(self.layer_chunks(stage)))
    }

    /// Row of a neuron's weights and bias.
    pub fn weight_row(&self, stage: usize, neuron: u32) -> Row {
        Row::nth(self.layer_start(stage), u64::from(neuron), self.weight_bytes(stage))
    }

    /// Chunks of the samples, and of the weights of all layers.
    pub fn input_chunks(&self) -> (u64, u64) {
        let samples = u64::from(self.batch).wrapping_mul(u64::from(self.sample_bytes()));
        (samples.div_ceil(CHUNK_BYTES as u64), self.layer_start(self.layers().len()))
    }
}
