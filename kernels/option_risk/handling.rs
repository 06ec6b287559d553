//! `option_risk` in the hands of workers and renters: compute units as work; the value's mean and its losses.

use std::borrow::Cow;

use super::example::example;
use super::import::Job;
use super::{OptionRisk, Params, SUMS, result};
use crate::abi::ParamError;
use crate::handling::{Fact, Format, Handling, Part, Trial, doubled, noise};
use crate::kernel::Kernel;
use crate::merkle::CHUNK_BYTES;

/// Measured: a path of one step takes as long as if it had this much more work.
const PATH_WORK: u64 = 500;

impl OptionRisk {
    fn is_whole(params: &Params, result: &[u8]) -> bool {
        params.cells.checked_mul(u64::from(params.cell_bytes())) == Some(result.len() as u64)
    }
}

/// Any bytes are a model: these are random ones.
fn random(params: Params, seed: u64) -> Trial {
    let bytes = params.model_chunks().saturating_mul(CHUNK_BYTES as u64);
    Trial::new(params.to_bytes(), [noise(bytes, seed)])
}

impl Handling for OptionRisk {
    /// Compute units that the chain would need for the paths, and what a path costs an executor besides.
    fn work_of_cost_one(&self, params: &[u8]) -> Result<u64, ParamError> {
        let params = Self::parse(params)?;
        let path = params.path_units().saturating_add(PATH_WORK);
        Ok(path.saturating_mul(u64::from(params.paths)))
    }

    fn trial(&self, size: u32) -> Option<Trial> {
        let Job { params, input } = example().job(63, 1 << 20, 7, false).ok()?;
        let cells = u64::from(doubled(1_024, size, 1 << 19)?);
        Some(Trial::new(Params { cells, ..params }.to_bytes(), [input]))
    }

    fn checks(&self) -> Vec<Trial> {
        let flags = super::AVERAGES | SUMS;
        let wide = Params {
            cells: 5,
            first: u64::MAX >> 20,
            seed: 0x0123_4567_89ab_cdef,
            steps: 3,
            assets: 16,
            baskets: 4,
            positions: 32,
            paths: 3,
            flags,
            value_bits: 0,
            reference: 0,
        };
        let narrow = Params { cells: 40, assets: 3, baskets: 1, positions: 2, paths: 5, flags: 0, ..wide };
        let mut checks = vec![random(wide, 5), random(narrow, 6)];
        let real = example().job(12, 150, 8, true);
        checks.extend(real.ok().map(|job| Trial::new(job.params.to_bytes(), [job.input])));
        checks
    }

    fn parts(&self, params: &[u8]) -> Result<Vec<Part>, ParamError> {
        let params = Self::parse(params)?;
        let mut parts = vec![Part::new("values", Format::Array { dtype: "<i8", shape: vec![params.all_paths()] })];
        if params.has(SUMS) {
            let shape = vec![params.cells, u64::from(params.positions)];
            parts.push(Part::new("sums", Format::Array { dtype: "<i8", shape }));
        }
        Ok(parts)
    }

    fn content<'a>(&self, params: &[u8], part: &str, result: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let params = Self::parse(params).ok()?;
        let numbers = match part {
            "values" => result::values(&params, result)?,
            "sums" if params.has(SUMS) => result::sums(&params, result)?,
            _ => return None,
        };
        Some(numbers.into_iter().flat_map(i64::to_le_bytes).collect())
    }

    fn facts(&self, params: &[u8], result: &[u8]) -> Vec<Fact> {
        let params = Self::parse(params).ok().filter(|params| Self::is_whole(params, result));
        let both = params.and_then(|params| {
            let scale = f64::exp2(-f64::from(params.value_bits));
            let extremes = result::extremes(&params, result)?.map(|(cell, value)| (cell, value as f64 * scale));
            Some((result::risk(&params, result)?, extremes))
        });
        let Some((risk, extremes)) = both else { return Vec::new() };
        let mut facts = vec![Fact { name: "paths", value: risk.paths.to_string() }];
        let mut add = |name: &'static str, value: f64| facts.push(Fact { name, value: format!("{value:.6}") });
        add("value", risk.value.mean);
        add("standard-error", risk.value.standard_error);
        let names = [("value-at-risk-95", "expected-shortfall-95"), ("value-at-risk-99", "expected-shortfall-99")];
        for ((at_risk, shortfall), losses) in names.into_iter().zip(risk.losses) {
            add(at_risk, losses.value_at_risk);
            add(shortfall, losses.expected_shortfall);
        }
        // A single forged value could move the mean: these are the cells to name.
        for (name, (cell, value)) in ["least-value", "largest-value"].into_iter().zip(extremes) {
            facts.push(Fact { name, value: format!("{value:.6} in cell {cell} of the job") });
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::super::MAX_PATHS;
    use super::*;
    use crate::executor::{Backend, Cpu};

    #[test]
    fn the_example_is_a_job() {
        let job = example().job(63, 1_000, 7, false).unwrap();
        assert!(job.params.paths > 1 && job.params.paths <= MAX_PATHS);
        assert!(job.params.all_paths() >= 1_000);
    }

    #[test]
    fn facts_are_those_of_the_values() {
        let job = example().job(12, 1_000, 8, false).unwrap();
        let bytes = job.params.to_bytes();
        let paid = 5_000.0;
        // Without what was paid, losses are counted from the mean.
        let flags = job.params.flags & !super::super::REFERENCE;
        let mean_bytes = super::super::Params { flags, reference: 0, ..job.params }.to_bytes();
        let trial = Trial::new(bytes, [job.input]);
        let leaves = OptionRisk::geometry(&job.params).unwrap().leaves().unwrap();
        let result = Cpu.run(OptionRisk::ID, &bytes, &trial.inputs(), 0..leaves).unwrap();
        let facts = OptionRisk.facts(&mean_bytes, &result);
        let fact = |name: &str| facts.iter().find(|fact| fact.name == name).unwrap().value.parse::<f64>().unwrap();
        let mut values: Vec<f64> = result::values(&job.params, &result)
            .unwrap()
            .into_iter()
            .map(|value| value as f64 / f64::exp2(job.params.value_bits.into()))
            .collect();
        let count = values.len();
        assert_eq!(facts[0].value, count.to_string());
        let mean = values.iter().sum::<f64>() / count as f64;
        assert!((fact("value") - mean).abs() < 1e-5);
        values.sort_by(f64::total_cmp);
        let worst = count.div_ceil(20);
        assert!((fact("value-at-risk-95") - (mean - values[worst - 1])).abs() < 1e-5);
        let shortfall = mean - values[..worst].iter().sum::<f64>() / worst as f64;
        assert!((fact("expected-shortfall-95") - shortfall).abs() < 1e-5);
        assert!(fact("expected-shortfall-99") > shortfall);
        let [.., least, most] = &facts[..] else { panic!("{facts:?}") };
        // Where the value stands in the result: cells of a digest and so many values.
        let paths = usize::from(job.params.paths);
        for (fact, value) in [(least, values[0]), (most, values[count - 1])] {
            let (number, cell) = fact.value.split_once(" in cell ").unwrap();
            let cell: usize = cell.split(' ').next().unwrap().parse().unwrap();
            assert!((number.parse::<f64>().unwrap() - value).abs() < 1e-5);
            let words = result.as_chunks::<8>().0[cell * (paths + 1)..][1..=paths].iter();
            let scale = f64::exp2(-f64::from(job.params.value_bits));
            assert!(words.map(|word| i64::from_le_bytes(*word) as f64 * scale).any(|found| found == value));
        }
        assert_eq!(OptionRisk.facts(&bytes, &result[8..]), Vec::new());
        let moved: f64 = OptionRisk.facts(&bytes, &result)[3].value.parse().unwrap();
        assert!((moved - (paid - values[worst - 1])).abs() < 1e-5);
    }
}
