//! `mlp_i8` in the hands of workers and renters: multiplications as work; answers, logits and sums as arrays.

use std::borrow::Cow;

use super::{Activation, Layer, MAX_CLASSES, MAX_LAYERS, MAX_SHIFT, MlpI8, Output, Params, result};
use crate::abi::ParamError;
use crate::handling::{Format, Handling, Part, Trial, doubled, noise};
use crate::kernel::Kernel;
use crate::merkle::CHUNK_BYTES;
use crate::random::Random;

/// A network's job with random samples and weights.
fn job(params: Result<Params, ParamError>) -> Option<Trial> {
    let params = params.ok()?;
    let (samples, weights) = params.input_chunks();
    let input = |chunks: u64, seed: u64| noise(chunks.saturating_mul(CHUNK_BYTES as u64), seed);
    Some(Trial::new(params.to_vec(), [input(samples, 3), input(weights, 4)]))
}

fn hidden(width: u32, activation: Activation) -> Layer {
    Layer { width, multiplier: 0x5a82_799a, shift: 9, activation }
}

/// The layer whose sums a part holds: `logits` for the last, `sums-0`, `sums-1`, ... for those before.
fn layer_of(params: &Params, part: &str) -> Option<usize> {
    let last = params.layers().len().checked_sub(1)?;
    match part.strip_prefix("sums-") {
        None => (part == "logits").then_some(last),
        Some(number) => (0..last).find(|layer| layer.to_string() == number),
    }
}

impl Handling for MlpI8 {
    /// Multiplications, and comparisons for the answers: a cell's cost counts them.
    fn work_of_cost_one(&self, params: &[u8]) -> Result<u64, ParamError> {
        Self::parse(params).map(|_| 1)
    }

    fn trial(&self, size: u32) -> Option<Trial> {
        // Narrow layers take longer for their work than wide ones: these are rather narrow.
        let batch = doubled(256, size, 1 << 16)?;
        let layers = [hidden(256, Activation::Relu), hidden(64, Activation::Relu), Layer::last(10)];
        job(Params::new(batch, 1, Output::Argmax, 784, &layers))
    }

    fn checks(&self) -> Vec<Trial> {
        let layers = [hidden(130, Activation::Relu), hidden(67, Activation::None), Layer::last(11)];
        // Samples that lie in several leaves, and a group smaller than the others.
        let wide = [hidden(300, Activation::Relu), Layer::last(290)];
        let ragged = Params::new(70, 2, Output::Argmax, 129, &layers);
        [ragged, Params::new(7, 3, Output::Sums, 33, &wide)].into_iter().filter_map(job).collect()
    }

    fn random(&self, random: &mut Random) -> Option<Vec<u8>> {
        let count = random.between(1, MAX_LAYERS as u64);
        let output = if random.once_in(2) { Output::Argmax } else { Output::Sums };
        let last = Layer::last(random.small(2, 300) as u32);
        let layers: Vec<Layer> = (1..count)
            .map(|_| Layer {
                width: random.small(1, 300) as u32,
                multiplier: random.between(1, (1 << 31) - 1) as u32,
                shift: random.below(u64::from(MAX_SHIFT).saturating_add(1)) as u8,
                activation: if random.once_in(2) { Activation::Relu } else { Activation::None },
            })
            .chain([last])
            .collect();
        // As many groups as there are classes for.
        let stages = count.saturating_add(u64::from(output == Output::Argmax));
        let groups = random.between(1, (MAX_CLASSES as u64).checked_div(stages)?) as u8;
        let batch = random.small(u64::from(groups), 300) as u32;
        let params = Params::new(batch.max(groups.into()), groups, output, random.small(1, 1_100) as u32, &layers);
        params.ok().map(|params| params.to_vec())
    }

    fn parts(&self, params: &[u8]) -> Result<Vec<Part>, ParamError> {
        let params = Self::parse(params)?;
        let batch = u64::from(params.batch);
        let mut parts = Vec::new();
        if params.output == Output::Argmax {
            parts.push(Part::new("answers", Format::Array { dtype: "<u2", shape: vec![batch] }));
        }
        let last = params.layers().len().saturating_sub(1);
        let sums = |layer: &Layer| Format::Array { dtype: "<i4", shape: vec![batch, u64::from(layer.width)] };
        parts.extend(params.layers().last().map(|layer| Part::new("logits", sums(layer))));
        let hidden = params.layers().iter().enumerate().take(last);
        parts.extend(hidden.map(|(number, layer)| Part::new(format!("sums-{number}"), sums(layer))));
        Ok(parts)
    }

    fn content<'a>(&self, params: &[u8], part: &str, bytes: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let params = Self::parse(params).ok()?;
        if part == "answers" {
            let answers = result::answers(&params, bytes)?;
            return Some(answers.into_iter().flat_map(u16::to_le_bytes).collect());
        }
        let sums = result::sums(&params, bytes, layer_of(&params, part)?)?;
        Some(sums.into_iter().flat_map(i32::to_le_bytes).collect())
    }
}
