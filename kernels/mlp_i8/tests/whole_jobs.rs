//! Reference, CPU executor and the textbook agree on whole jobs.

use super::super::requantise::tests::by_the_book;
use super::*;
use crate::abi::{Op, RequestWriter};
use crate::executor::{
    Backend, Cpu, ExecError, Inputs, open_reads, open_reads_after, reference_cell, reference_cell_after, reference_job,
    reference_leaf,
};

/// A network's weights as plain lists, and what they and the samples look like as inputs.
pub struct Job {
    pub params: Params,
    samples: Vec<Vec<i8>>,
    weights: Vec<Vec<Vec<i8>>>,
    biases: Vec<Vec<i32>>,
    pub inputs: [Vec<u8>; 2],
}

/// A linear congruential generator with many extremes.
fn random(seed: u64) -> impl FnMut() -> i8 {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    move || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        match state >> 60 {
            0 => -128,
            1 => 127,
            _ => (state >> 40) as i8,
        }
    }
}

/// By the words of the specification, not by the kernel's own layout.
fn row_bytes(len: usize) -> usize {
    if len <= 1024 { len.max(4).next_power_of_two() } else { len.next_multiple_of(1024) }
}

impl Job {
    pub fn new(params: Params, seed: u64) -> Self {
        let mut next = random(seed);
        Self::with(params, &mut next, |next| i32::from(next()) * 9)
    }

    pub fn with(params: Params, mut next: impl FnMut() -> i8, bias: impl Fn(&mut dyn FnMut() -> i8) -> i32) -> Self {
        let widths: Vec<usize> = params.layers().iter().map(|layer| layer.width as usize).collect();
        let mut fan_in = params.input_width as usize;
        let mut list = |len: usize| (0..len).map(|_| next()).collect::<Vec<i8>>();
        let samples: Vec<Vec<i8>> = (0..params.batch).map(|_| list(fan_in)).collect();
        let mut weights = Vec::new();
        for width in &widths {
            weights.push((0..*width).map(|_| list(fan_in)).collect::<Vec<_>>());
            fan_in = *width;
        }
        let biases: Vec<Vec<i32>> = widths.iter().map(|width| (0..*width).map(|_| bias(&mut next)).collect()).collect();
        let mut inputs = [Vec::new(), Vec::new()];
        // What pads a row must not matter.
        let mut pad = |to: &mut Vec<u8>, len: usize| to.extend((0..len).map(|_| next() as u8));
        for sample in &samples {
            inputs[0].extend(sample.iter().map(|x| *x as u8));
            pad(&mut inputs[0], row_bytes(sample.len()) - sample.len());
        }
        let end = inputs[0].len().next_multiple_of(1024) - inputs[0].len();
        pad(&mut inputs[0], end);
        for (rows, biases) in weights.iter().zip(&biases) {
            for (row, bias) in rows.iter().zip(biases) {
                inputs[1].extend(row.iter().map(|x| *x as u8));
                pad(&mut inputs[1], row_bytes(row.len() + 4) - row.len() - 4);
                inputs[1].extend(bias.to_le_bytes());
            }
            let end = inputs[1].len().next_multiple_of(1024) - inputs[1].len();
            pad(&mut inputs[1], end);
        }
        Self { params, samples, weights, biases, inputs }
    }

    pub fn inputs(&self) -> Inputs<'_> {
        Inputs { inputs: [&self.inputs[0], &self.inputs[1], &[], &[]] }
    }

    /// The sums of each layer for one sample.
    fn sums(&self, sample: &[i8]) -> Vec<Vec<i32>> {
        let mut values = sample.to_vec();
        let mut all = Vec::new();
        for ((rows, biases), layer) in self.weights.iter().zip(&self.biases).zip(self.params.layers()) {
            let sum = |row: &Vec<i8>| row.iter().zip(&values).map(|(w, x)| i64::from(*w) * i64::from(*x)).sum::<i64>();
            let sums: Vec<i32> = rows.iter().zip(biases).map(|(row, b)| (sum(row) + i64::from(*b)) as i32).collect();
            let relu = layer.activation == Activation::Relu;
            values = sums.iter().map(|sum| by_the_book(*sum, layer.multiplier, layer.shift, relu)).collect();
            all.push(sums);
        }
        all
    }

    /// The whole result, by the textbook: in each group stage by stage, in that sample by sample.
    pub fn textbook(&self) -> Vec<u8> {
        let size = self.params.batch.div_ceil(u32::from(self.params.groups)) as usize;
        let mut bytes = Vec::new();
        for group in self.samples.chunks(size) {
            let sums: Vec<Vec<Vec<i32>>> = group.iter().map(|sample| self.sums(sample)).collect();
            for stage in 0..self.params.layers().len() {
                bytes.extend(sums.iter().flat_map(|sums| &sums[stage]).flat_map(|sum| sum.to_le_bytes()));
            }
            if self.params.output == Output::Argmax {
                for sums in &sums {
                    let logits = sums.last().unwrap();
                    let best = logits.iter().max().unwrap();
                    let answer = logits.iter().position(|logit| logit == best).unwrap() as u16;
                    bytes.extend(answer.to_le_bytes());
                }
            }
        }
        bytes
    }
}

/// Whatever this processor has gives `expected` for some leaves, however few samples they have.
fn every_way(job: &Job, leaves: core::ops::Range<u64>, expected: &[u8]) -> Result<(), TestCaseError> {
    use super::super::{cpu, plan};
    for (number, way) in cpu::ways().into_iter().enumerate() {
        let mut out = vec![0xaa; expected.len()];
        cpu::run_by(way, &job.params, &job.inputs(), plan::plan(&job.params, leaves.clone(), &mut out).unwrap())
            .unwrap();
        prop_assert!(out == expected, "way {}, leaves {:?}", number, leaves);
    }
    Ok(())
}

/// Every value and weight -128 or 127, the widest samples, layers of several pieces, biases at their ends.
#[test]
fn every_way_is_exact_at_the_extremes() {
    let layers = [Layer { shift: 12, activation: Activation::None, ..hidden(200) }, Layer::last(193)];
    for (x, bias) in [(-128, i32::MIN), (127, i32::MAX), (-128, 0)] {
        let params = Params::new(13, 1, Output::Argmax, MAX_INPUT_WIDTH, &layers).unwrap();
        let job = Job::with(params, || x, |_| bias);
        let leaves = MlpI8::geometry(&params).unwrap().leaves().unwrap();
        every_way(&job, 0..leaves, &job.textbook()).unwrap();
    }
}

fn all_by_reference(job: &Job) -> Vec<u8> {
    reference_job(4, &job.params.to_vec(), &job.inputs()).unwrap().into_values().flatten().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn reference_and_executor_equal_the_textbook(
        params in networks(), seed in any::<u64>(),
        cuts in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let job = Job::new(params, seed);
        let expected = job.textbook();
        let bytes = params.to_vec();
        let geometry = MlpI8::geometry(&params).unwrap();
        let leaves = geometry.leaves().unwrap();
        prop_assert_eq!(&Cpu.run(4, &bytes, &job.inputs(), 0..leaves).unwrap(), &expected);
        prop_assert_eq!(&all_by_reference(&job), &expected);
        every_way(&job, 0..leaves, &expected)?;
        // Any run of leaves.
        let (a, b) = (cuts.0.index(leaves as usize) as u64, cuts.1.index(leaves as usize) as u64);
        for range in [a.min(b)..a.max(b) + 1, a..a + 1, leaves - 1..leaves, a..a] {
            let byte = |leaf| geometry.bytes_before(leaf).unwrap() as usize;
            let made = Cpu.run(4, &bytes, &job.inputs(), range.clone()).unwrap();
            prop_assert_eq!(&made[..], &expected[byte(range.start)..byte(range.end)], "{:?}", range);
            every_way(&job, range.clone(), &made)?;
        }
    }
}

/// Every opening is needed, more of them change nothing, and a leaf counts as it was committed.
#[test]
fn a_cell_needs_every_opening_and_no_other() {
    let relu = |width| Layer { width, multiplier: 1 << 30, shift: 9, activation: Activation::Relu };
    let none = |width| Layer { width, multiplier: 1 << 30, shift: 9, activation: Activation::None };
    let layers = [relu(520), none(9), Layer::last(1_050)];
    let job = Job::new(Params::new(5, 2, Output::Argmax, 2_050, &layers).unwrap(), 7);
    let params = job.params.to_vec();
    let leaves = reference_job(4, &params, &job.inputs()).unwrap();
    let geometry = MlpI8::geometry(&job.params).unwrap();
    let ask_into = |leaf, cell, reads: &[(Read, &[u8])], out: &mut [u8]| {
        let mut writer = RequestWriter::new(Op::Cell, 4, &params, leaf, cell);
        for (read, bytes) in reads {
            writer.open_in_evidence(read.source, read.start, bytes).unwrap();
        }
        let data = writer.data().unwrap();
        let request = Request::parse(&data, &writer.evidence).unwrap();
        MlpI8::cell(&job.params, &request, leaf, cell, out).map(|len| out[..len].to_vec())
    };
    let ask = |leaf, cell, reads: &[(Read, &[u8])]| ask_into(leaf, cell, reads, &mut [0; 4]);
    let mut stages = Vec::new();
    for leaf in leaves.keys().copied() {
        let span = geometry.leaf_span(leaf).unwrap();
        for cell in [0, span.cells - 1] {
            let (at, len) = ((cell * span.cell_bytes) as usize, span.cell_bytes as usize);
            let right = leaves[&leaf][at..at + len].to_vec();
            // Chunk by chunk, in any order.
            let mut reads: Vec<(Read, &[u8])> = Vec::new();
            for (read, bytes) in open_reads_after(4, &params, &job.inputs(), &leaves, leaf, cell).unwrap() {
                let unit = if read.source == SOURCE_LEAVES { bytes.len() } else { 1024 };
                reads.extend(
                    (read.start..)
                        .zip(bytes.chunks(unit))
                        .map(|(start, bytes)| (Read { start, count: 1, ..read }, bytes)),
                );
            }
            reads.reverse();
            assert_eq!(ask(leaf, cell, &reads), Ok(right.clone()));
            let mut out = [0; 1];
            assert_eq!(ask_into(leaf, cell, &reads, &mut out), Err(AbiError::OutputTooSmall));
            for i in 0..reads.len() {
                let mut fewer = reads.clone();
                let (dropped, _) = fewer.remove(i);
                assert_eq!(ask(leaf, cell, &fewer), Err(AbiError::MissingOpening), "{leaf} {cell} {dropped:?}");
            }
            let mut more = reads.clone();
            let other = [0x55; 1024];
            more.insert(0, (Read { source: 0, start: 99, count: 1 }, &other));
            more.insert(0, (Read { source: SOURCE_LEAVES, start: 99, count: 1 }, &other));
            more.insert(0, (Read { source: 3, start: 0, count: 1 }, &other));
            assert_eq!(ask(leaf, cell, &more), Ok(right.clone()));
            // Whatever is committed earlier yields a cell, in general another.
            let mut poisoned = reads.clone();
            let huge = [0x7f; 1024];
            for (_, bytes) in poisoned.iter_mut().filter(|(read, _)| read.source == SOURCE_LEAVES) {
                *bytes = &huge[..bytes.len()];
            }
            let made = ask(leaf, cell, &poisoned).unwrap();
            let stage = job.params.locate(leaf, cell).unwrap().stage;
            assert!(stage == 0 || stage == 3 || made != right, "stage {stage}");
            stages.push(stage);
            assert_eq!(reference_cell(4, &params, &job.inputs(), leaf, cell), Ok(right));
        }
    }
    stages.dedup();
    assert_eq!(stages, [0, 1, 2, 3, 0, 1, 2, 3]);
}

#[test]
fn the_widest_layers_and_extreme_values_are_exact() {
    let layer = |width| Layer { width, multiplier: i32::MAX as u32, shift: 0, activation: Activation::None };
    for (x, bias) in [(-128i8, 0), (127, i32::MAX), (-128, i32::MAX), (127, i32::MIN)] {
        let layers = [layer(MAX_WIDTH), Layer::last(2)];
        let params = Params::new(1, 1, Output::Argmax, MAX_INPUT_WIDTH, &layers).unwrap();
        let job = Job::with(params, || x, |_| bias);
        let expected = job.textbook();
        let first = (i32::from(x) * i32::from(x) * MAX_INPUT_WIDTH as i32).wrapping_add(bias);
        assert_eq!(expected[..4], first.to_le_bytes());
        let geometry = MlpI8::geometry(&params).unwrap();
        let leaves = geometry.leaves().unwrap();
        let made = Cpu.run(4, &params.to_vec(), &job.inputs(), 0..leaves).unwrap();
        assert_eq!(made, expected);
        // By the reference only a few cells: a whole leaf has 256 of them.
        assert_eq!(reference_cell(4, &params.to_vec(), &job.inputs(), 3, 200).unwrap(), first.to_le_bytes());
        let earlier = (0..leaves)
            .map(|leaf| {
                let byte = |leaf| geometry.bytes_before(leaf).unwrap() as usize;
                (leaf, expected[byte(leaf)..byte(leaf + 1)].to_vec())
            })
            .collect();
        let made = reference_cell_after(4, &params.to_vec(), &job.inputs(), &earlier, 16, 1).unwrap();
        assert_eq!(made, expected[4 * 4096 + 4..4 * 4096 + 8]);
    }
}

#[test]
fn the_first_of_equal_sums_is_the_answer() {
    let params = Params::new(3, 1, Output::Argmax, 1, &[Layer::last(300)]).unwrap();
    // All sums are equal, so are those of -1 and 1 below in places of their own.
    let mut job = Job::with(params, || 1, |_| 0);
    let answers = |job: &Job| {
        let expected = job.textbook();
        assert_eq!(all_by_reference(job), expected);
        assert_eq!(Cpu.run(4, &params.to_vec(), &job.inputs(), 0..5).unwrap(), expected);
        expected[expected.len() - 6..].to_vec()
    };
    assert_eq!(answers(&job), [0; 6]);
    for (neuron, bias) in [(257usize, 5i32), (299, 5)] {
        job.biases[0][neuron] = bias;
        job.inputs[1][neuron * 8 + 4..neuron * 8 + 8].copy_from_slice(&bias.to_le_bytes());
    }
    assert_eq!(answers(&job), [1, 1, 1, 1, 1, 1]);
}

#[test]
fn bad_requests_are_refused_by_name() {
    let job = Job::new(Params::new(2, 1, Output::Sums, 3, &[hidden(4), Layer::last(5)]).unwrap(), 1);
    let params = job.params.to_vec();
    let error = |code| Err(ExecError::Kernel(code));
    assert_eq!(Cpu.run(4, &params, &job.inputs(), 0..3), Err(ExecError::LeafRange));
    assert_eq!(Cpu.run(4, &params[1..], &job.inputs(), 0..1), error(crate::abi::VerifierError::ParamsLength));
    let short = Inputs { inputs: [&job.inputs[0], &[], &[], &[]] };
    let length = ExecError::InputLength { input: 1, expected: 2048, got: 0 };
    assert_eq!(Cpu.run(4, &params, &short, 0..1), Err(length.clone()));
    assert_eq!(reference_leaf(4, &params, &short, 0), Err(length));
    assert_eq!(reference_cell(4, &params, &job.inputs(), 0, 8), error(crate::abi::VerifierError::NoSuchCell));
    // Without earlier leaves a later stage can't be opened.
    let missing = ExecError::Kernel(crate::abi::VerifierError::MissingOpening);
    assert_eq!(open_reads(4, &params, &job.inputs(), 1, 0), Err(missing));
    assert!(open_reads(4, &params, &job.inputs(), 0, 0).is_ok());
}
