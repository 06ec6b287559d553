//! What those who handle jobs have to know of a kernel besides how to compute it: how much work a job is, jobs to measure
//! and test a machine with, and what a result is to people. Each kernel says it in its own folder.

use std::borrow::Cow;

use crate::abi::{MAX_INPUTS, ParamError};
use crate::executor::Inputs;
use crate::random::Random;

/// A job of a kernel's own making, with its inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// Params.
    pub params: Vec<u8>,
    /// Inputs, as long as the geometry says; empty where there is none.
    pub inputs: [Vec<u8>; MAX_INPUTS],
}

impl Trial {
    /// A job with these params and its first inputs.
    pub fn new(params: impl Into<Vec<u8>>, inputs: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut trial = Self { params: params.into(), ..Self::default() };
        for (to, from) in trial.inputs.iter_mut().zip(inputs) {
            *to = from;
        }
        trial
    }

    /// The inputs as an executor takes them.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs { inputs: self.inputs.each_ref().map(Vec::as_slice) }
    }
}

/// How bytes are to be written for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// A picture: for each pixel, row by row, a byte that says which colour of the palette it has.
    Picture {
        /// Pixels along a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Red, green and blue of at most 256 colours.
        palette: Vec<[u8; 3]>,
    },
    /// A NumPy array: its elements in C order.
    Array {
        /// NumPy's name of the element type, little-endian: `<i4`.
        dtype: &'static str,
        /// Length of each dimension.
        shape: Vec<u64>,
    },
    /// Bytes as they are.
    Raw,
}

/// Something that a renter may want out of a whole result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name, in lower-case ASCII without spaces.
    pub name: Cow<'static, str>,
    /// How it is written.
    pub format: Format,
}

impl Part {
    /// A part.
    pub fn new(name: impl Into<Cow<'static, str>>, format: Format) -> Self {
        Self { name: name.into(), format }
    }
}

/// Something that a result says in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is about, in lower-case ASCII: words with dashes between them.
    pub name: &'static str,
    /// What it says.
    pub value: String,
}

/// A kernel in the hands of workers and renters. The params given are those of a job that is on the chain or to be put
/// there; others are refused by name.
pub trait Handling: Send + Sync {
    /// Units of work of a cell of cost 1: what takes the kernel's executors about the same time whatever the job. Its
    /// dimension is the kernel's own (multiplications, iterations at most, blocks hashed); only ratios count.
    ///
    /// # Errors
    /// Params that no job of this kernel can have.
    fn work_of_cost_one(&self, params: &[u8]) -> Result<u64, ParamError>;

    /// A job to measure a machine's speed with, larger with each `size` from 0 on, of the kind that takes the most time for
    /// its [work](Self::work_of_cost_one) among ordinary ones. None beyond the largest, which takes at most a few
    /// hundred MB of memory.
    fn trial(&self, size: u32) -> Option<Trial>;

    /// Small jobs that show whether a machine computes this kernel right: ragged in every dimension, with extreme values,
    /// and few enough cells for the reference to compute them all.
    fn checks(&self) -> Vec<Trial>;

    /// Params of a random job to [compare](crate::executor::compare) machines with: of every shape that the kernel has a
    /// path of its own for, mostly small. None where changing those of its [checks](Self::checks) at random will do.
    fn random(&self, _random: &mut Random) -> Option<Vec<u8>> {
        None
    }

    /// What a renter may want out of a whole result, what most will want first.
    ///
    /// # Errors
    /// Params that no job of this kernel can have.
    fn parts(&self, params: &[u8]) -> Result<Vec<Part>, ParamError>;

    /// The bytes of a part, in its format, out of those of all leaves. None when there is no such part, or `result` is
    /// not a whole result of these params.
    fn content<'a>(&self, params: &[u8], part: &str, result: &'a [u8]) -> Option<Cow<'a, [u8]>>;

    /// What the whole result says in a few words. Nothing is said of a result that is not one of these params.
    fn facts(&self, _params: &[u8], _result: &[u8]) -> Vec<Fact> {
        Vec::new()
    }
}

/// `first`, doubled `size` times; none where that is more than `most`.
pub fn doubled(first: u32, size: u32, most: u32) -> Option<u32> {
    first.checked_mul(2u32.checked_pow(size)?).filter(|number| *number <= most)
}

/// Bytes from a linear congruential generator, the first of them the lowest that an int8 can be.
pub fn noise(len: u64, seed: u64) -> Vec<u8> {
    const EXTREMES: u64 = 512;
    let mut state = seed;
    let next = |i| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        if i < EXTREMES { 0x80 } else { state.to_le_bytes()[7] }
    };
    (0..len).map(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::{Backend, Cpu, reference_job};
    use crate::registry::AnyKernel;

    fn whole(kernel: AnyKernel, job: &Trial) -> Vec<u8> {
        let leaves = kernel.geometry(&job.params).unwrap().leaves().unwrap();
        Cpu.run(kernel.id(), &job.params, &job.inputs(), 0..leaves).unwrap()
    }

    #[test]
    fn checks_are_jobs_that_the_processor_computes_as_the_reference() {
        for kernel in AnyKernel::ALL {
            let checks = kernel.handling().checks();
            assert!(!checks.is_empty(), "{}", kernel.name());
            for job in checks {
                let reference = reference_job(kernel.id(), &job.params, &job.inputs()).unwrap();
                assert!(reference.len() > 1, "one leaf shows little");
                assert_eq!(whole(*kernel, &job), reference.into_values().flatten().collect::<Vec<u8>>());
            }
        }
    }

    #[test]
    fn trials_grow_and_end() {
        for kernel in AnyKernel::ALL {
            let handling = kernel.handling();
            let sizes = (0..64).take_while(|size| handling.trial(*size).is_some()).count() as u32;
            assert!((4..20).contains(&sizes), "{}: {sizes}", kernel.name());
            assert!((sizes..200).all(|size| handling.trial(size).is_none()));
            let mut before = 0;
            for size in 0..sizes {
                let job = handling.trial(size).unwrap();
                let geometry = kernel.geometry(&job.params).unwrap();
                assert_eq!(geometry.input_bytes, job.inputs.each_ref().map(|input| input.len() as u64));
                let weight = geometry.weight_before(geometry.leaves().unwrap()).unwrap();
                let work = weight.checked_mul(handling.work_of_cost_one(&job.params).unwrap()).unwrap();
                assert!(work >= before * 2, "{} {size}: {work} after {before}", kernel.name());
                let bytes = geometry.bytes().unwrap() + geometry.input_bytes.iter().sum::<u64>();
                assert!(bytes < 400 << 20, "{} {size}: {bytes} bytes", kernel.name());
                before = work;
            }
        }
    }

    #[test]
    fn every_part_has_the_bytes_of_its_format() {
        for kernel in AnyKernel::ALL {
            let handling = kernel.handling();
            for job in handling.checks() {
                let result = whole(*kernel, &job);
                let parts = handling.parts(&job.params).unwrap();
                assert!(!parts.is_empty());
                for part in &parts {
                    let content = handling.content(&job.params, &part.name, &result).unwrap();
                    match &part.format {
                        Format::Picture { width, height, palette } => {
                            assert_eq!(content.len() as u64, u64::from(*width) * u64::from(*height));
                            assert!(content.iter().all(|index| usize::from(*index) < palette.len()));
                        }
                        Format::Array { dtype, shape } => {
                            let element: u64 = dtype[2..].parse().unwrap();
                            assert_eq!(content.len() as u64, shape.iter().product::<u64>() * element, "{}", part.name);
                        }
                        Format::Raw => assert_eq!(*content, *result),
                    }
                    // Neither too much nor too little of a result passes for a whole one.
                    let short = &result[..result.len() - 1];
                    let long = [&result[..], &[0]].concat();
                    assert_eq!(handling.content(&job.params, &part.name, short), None, "{}", part.name);
                    assert_eq!(handling.content(&job.params, &part.name, &long), None, "{}", part.name);
                    assert!(handling.facts(&job.params, short).is_empty());
                }
                assert_eq!(handling.content(&job.params, "no such part", &result), None);
            }
            assert!(handling.parts(&[]).is_err() && handling.work_of_cost_one(&[]).is_err());
            assert_eq!(handling.content(&[], "raw", &[]), None);
            assert!(handling.facts(&[], &[]).is_empty());
        }
    }
}
