//! A backend against this machine's cores, and those against the reference, on random jobs: whether a card computes the
//! right bits in more than the few jobs of its self-test.
//!
//! A job comes from one number. The one that shows a difference is named with it, and comes again from it.

use core::fmt;
use core::ops::Range;
use std::time::Instant;

use super::{Backend, Commit, Cpu, ExecError, Leaves, reference_cell_after};
use crate::abi::{Geometry, SOURCE_LEAVES};
use crate::handling::Trial;
use crate::random::Random;
use crate::registry::AnyKernel;

/// Most bytes of a random job's result.
const MAX_RESULT_BYTES: u64 = 16 << 20;
/// Most bytes of its inputs together.
const MAX_INPUT_BYTES: u64 = 64 << 20;
/// Most of its kernel's own units of work, a multiplication or an iteration or the like: a second or less on two cores.
const MAX_WORK: u64 = 1 << 31;
/// Cells of each job that the reference computes as well.
const REFERENCE_CELLS: u64 = 4;

/// How long a comparison goes on: it ends with the first of these, but not before the first job.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limit {
    /// Jobs.
    pub jobs: Option<u64>,
    /// When no further job begins.
    pub until: Option<Instant>,
}

impl Limit {
    /// So many jobs.
    pub const fn jobs(jobs: u64) -> Self {
        Self { jobs: Some(jobs), until: None }
    }

    /// Jobs until then.
    pub const fn until(then: Instant) -> Self {
        Self { jobs: None, until: Some(then) }
    }

    /// Without any, one job is compared.
    fn is_reached(&self, jobs: u64) -> bool {
        jobs > 0
            && (self.jobs.is_some_and(|most| jobs >= most)
                || self.until.is_some_and(|then| Instant::now() >= then)
                || self.jobs.is_none() && self.until.is_none())
    }
}

/// What was compared and came out the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Jobs.
    pub jobs: u64,
    /// Cells, each byte of them.
    pub cells: u64,
    /// Cells that the reference has computed, too.
    pub reference_cells: u64,
    /// Leaves hashed by the backend.
    pub hashed_leaves: u64,
    /// Jobs that the backend has refused because its memory is too small for them.
    pub too_large: u64,
}

/// A job that came out differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Its kernel.
    pub kernel: AnyKernel,
    /// What it comes from: `compare` with this seed begins with the same job.
    pub seed: u64,
    /// Jobs that came out the same before.
    pub jobs_before: u64,
    /// Its params.
    pub params: Vec<u8>,
    /// The leaves that were asked for.
    pub leaves: Range<u64>,
    /// What differs.
    pub difference: Difference,
}

/// How.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Other bytes in a cell than those that this machine's cores compute; the first such cell.
    Cell {
        /// Job-wide index of its leaf.
        leaf: u64,
        /// Index inside the leaf.
        cell: u32,
        /// Its bytes by the cores.
        expected: Vec<u8>,
        /// Its bytes by the backend.
        got: Vec<u8>,
    },
    /// Another number of bytes.
    Length {
        /// As the geometry says.
        expected: usize,
        /// From the backend.
        got: usize,
    },
    /// The bytes are the same, the hashes over them are not; the first such node.
    Node {
        /// Its index among the nodes asked for.
        index: usize,
        /// Their level in the tree.
        level: u8,
    },
    /// This machine's cores compute another cell than the reference: not the backend's fault.
    Reference {
        /// Job-wide index of its leaf.
        leaf: u64,
        /// Index inside the leaf.
        cell: u32,
    },
    /// The backend has failed.
    Failed(ExecError),
    /// The cores or the reference have failed.
    NoExpectation(ExecError),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, seed, jobs_before, leaves, .. } = self;
        let Range { start, end } = leaves;
        write!(f, "{}, seed {seed}, after {jobs_before} jobs, leaves {start} to {end}: ", kernel.name())?;
        match &self.difference {
            Difference::Cell { leaf, cell, expected, got } => {
                write!(f, "cell {cell} of leaf {leaf} is {} and has to be {}", Hex(got), Hex(expected))
            }
            Difference::Length { expected, got } => write!(f, "{got} bytes came, {expected} have to"),
            Difference::Node { index, level } => {
                write!(f, "node {index} at level {level} is not the hash of its leaves")
            }
            Difference::Reference { leaf, cell } => {
                write!(f, "the cores' cell {cell} of leaf {leaf} is not the reference's")
            }
            Difference::Failed(error) => write!(f, "{error}"),
            Difference::NoExpectation(error) => write!(f, "the cores: {error}"),
        }?;
        write!(f, "; params {}", Hex(&self.params))
    }
}

impl core::error::Error for Mismatch {}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Has a backend and this machine's cores compute random jobs of a kernel until the limit, the n-th from `seed` + n, and
/// compares every byte, half the time the hashes as well, and a few cells with the reference. Jobs come in all sizes up to
/// a second's work of two cores; often only some of their leaves are asked for.
///
/// # Errors
/// The first difference.
pub fn compare(backend: &dyn Backend, kernel: AnyKernel, limit: Limit, seed: u64) -> Result<Compared, Box<Mismatch>> {
    let mut compared = Compared::default();
    while !limit.is_reached(compared.jobs) {
        let seed = seed.wrapping_add(compared.jobs);
        let mut random = Random::new(seed);
        let job = random_job(kernel, &mut random);
        let mut leaves = 0..0;
        one(backend, kernel, &job, &mut random, &mut leaves, &mut compared).map_err(|difference| {
            let jobs_before = compared.jobs;
            Box::new(Mismatch { kernel, seed, jobs_before, params: job.params, leaves, difference })
        })?;
        compared.jobs = compared.jobs.saturating_add(1);
    }
    Ok(compared)
}

/// Compares one job. `asked` becomes the leaves that are asked for.
fn one(
    backend: &dyn Backend,
    kernel: AnyKernel,
    job: &Trial,
    random: &mut Random,
    asked: &mut Range<u64>,
    compared: &mut Compared,
) -> Result<(), Difference> {
    let (id, params, inputs) = (kernel.id(), job.params.as_slice(), job.inputs());
    let geometry = kernel.geometry(params).map_err(|error| Difference::NoExpectation(error.into()))?;
    let missing = || Difference::NoExpectation(ExecError::LeafRange);
    let count = geometry.leaves().ok_or_else(missing)?;
    *asked = some_leaves(&geometry, count, random);
    let whole = Cpu.run(id, params, &inputs, 0..count).map_err(Difference::NoExpectation)?;
    let place = |leaf| usize::try_from(geometry.bytes_before(leaf)?).ok();
    let (start, end) = place(asked.start).zip(place(asked.end)).ok_or_else(missing)?;
    let expected = whole.get(start..end).ok_or_else(missing)?;

    let hashed = random.once_in(2);
    // A level at which a shard is kept, or the leaves themselves.
    let level = if random.once_in(2) { 0 } else { random.between(1, 12) as u8 };
    let salt = core::array::from_fn(|_| random.bits() as u8);
    let commit = Commit { salt, level };
    let result = if hashed {
        backend.run_hashed(id, params, &inputs, asked.clone(), &commit).map(|piece| (piece.bytes, Some(piece.nodes)))
    } else {
        backend.run(id, params, &inputs, asked.clone()).map(|bytes| (bytes, None))
    };
    let (got, nodes) = match result {
        Ok(result) => result,
        Err(ExecError::DeviceMemory(_) | ExecError::OutOfMemory(_)) => {
            compared.too_large = compared.too_large.saturating_add(1);
            return Ok(());
        }
        Err(error) => return Err(Difference::Failed(error)),
    };
    if got.len() != expected.len() {
        return Err(Difference::Length { expected: expected.len(), got: got.len() });
    }
    if let Some(at) = got.iter().zip(expected).position(|(got, expected)| got != expected) {
        return Err(cell_at(&geometry, asked, &got, expected, at).unwrap_or_else(missing));
    }
    if let Some(nodes) = nodes {
        let wanted = commit.nodes(&geometry, asked.clone(), expected).ok_or_else(missing)?;
        if nodes != wanted {
            let same = nodes.iter().zip(&wanted).take_while(|(node, wanted)| node == wanted).count();
            return Err(Difference::Node { index: same, level });
        }
        let leaves = asked.end.saturating_sub(asked.start);
        compared.hashed_leaves = compared.hashed_leaves.saturating_add(leaves);
    }
    compared.reference_cells =
        compared.reference_cells.saturating_add(by_reference(kernel, job, &geometry, &whole, random)?);
    let cells = geometry.cells_before(asked.end).zip(geometry.cells_before(asked.start)).ok_or_else(missing)?;
    compared.cells = compared.cells.saturating_add(cells.0.saturating_sub(cells.1));
    Ok(())
}

/// All leaves, or a run of them that begins where shards of the job may.
fn some_leaves(geometry: &Geometry, count: u64, random: &mut Random) -> Range<u64> {
    if random.once_in(2) {
        return 0..count;
    }
    let align = geometry.shard_align.max(1);
    let places = count.div_ceil(align);
    let first = random.below(places);
    let end = random.between(first.saturating_add(1), places);
    first.saturating_mul(align)..end.saturating_mul(align).min(count)
}

/// The cell that byte `at` of these leaves belongs to, both ways.
fn cell_at(geometry: &Geometry, leaves: &Range<u64>, got: &[u8], expected: &[u8], at: usize) -> Option<Difference> {
    let mut start = 0usize;
    for leaf in leaves.clone() {
        let span = geometry.leaf_span(leaf)?;
        let end = start.checked_add(usize::try_from(span.bytes).ok()?)?;
        if at < end {
            let width = usize::try_from(span.cell_bytes).ok()?;
            let cell = at.checked_sub(start)?.checked_div(width)?;
            let first = start.checked_add(cell.checked_mul(width)?)?;
            let bytes = first..first.checked_add(width)?;
            let (expected, got) = (expected.get(bytes.clone())?.to_vec(), got.get(bytes)?.to_vec());
            return Some(Difference::Cell { leaf, cell: u32::try_from(cell).ok()?, expected, got });
        }
        start = end;
    }
    None
}

/// A few cells of what the cores have computed by the reference, out of the leaves before them. How many there were.
fn by_reference(
    kernel: AnyKernel,
    job: &Trial,
    geometry: &Geometry,
    whole: &[u8],
    random: &mut Random,
) -> Result<u64, Difference> {
    let failed = Difference::NoExpectation;
    let mut earlier = Leaves::new();
    let cells = geometry.cells().unwrap_or(0);
    let each = REFERENCE_CELLS.min(cells);
    for _ in 0..each {
        let at = geometry.locate(random.below(cells)).ok_or(failed(ExecError::LeafRange))?;
        read_before(kernel, job, geometry, whole, (at.leaf, at.cell), &mut earlier).map_err(failed)?;
        let expected = reference_cell_after(kernel.id(), &job.params, &job.inputs(), &earlier, at.leaf, at.cell)
            .map_err(failed)?;
        let start = geometry.bytes_before(at.leaf).unwrap_or(u64::MAX);
        let start = start.saturating_add(u64::from(at.cell).saturating_mul(expected.len() as u64));
        let got = usize::try_from(start).ok().and_then(|start| whole.get(start..)?.get(..expected.len()));
        if got != Some(expected.as_slice()) {
            return Err(Difference::Reference { leaf: at.leaf, cell: at.cell });
        }
    }
    Ok(each)
}

/// Puts the leaves that a cell reads among `earlier`, out of the whole result.
fn read_before(
    kernel: AnyKernel,
    job: &Trial,
    geometry: &Geometry,
    whole: &[u8],
    (leaf, cell): (u64, u32),
    earlier: &mut Leaves,
) -> Result<(), ExecError> {
    let bytes_of = |leaf: u64| {
        let place = |leaf| usize::try_from(geometry.bytes_before(leaf)?).ok();
        whole.get(place(leaf)?..place(leaf.checked_add(1)?)?)
    };
    let mut all_there = true;
    kernel.reads(&job.params, leaf, cell, &mut |read| {
        if read.source != SOURCE_LEAVES {
            return;
        }
        for leaf in read.start..read.start.saturating_add(read.count) {
            match bytes_of(leaf) {
                Some(bytes) => drop(earlier.insert(leaf, bytes.to_vec())),
                None => all_there = false,
            }
        }
    })?;
    if all_there { Ok(()) } else { Err(ExecError::LeafRange) }
}

/// A random job: of the kernel's own making, or one of its small jobs with some params changed; the inputs random.
pub fn random_job(kernel: AnyKernel, random: &mut Random) -> Trial {
    let own = kernel.handling().random(random).filter(|params| fits(kernel, params).is_some());
    let params = own.unwrap_or_else(|| changed(kernel, random));
    let lengths = fits(kernel, &params).map(|geometry| geometry.input_bytes).unwrap_or_default();
    Trial { params, inputs: lengths.map(|len| random.bytes(len)) }
}

/// The geometry of a job that is not too large to be compared.
fn fits(kernel: AnyKernel, params: &[u8]) -> Option<Geometry> {
    let geometry = kernel.geometry(params).ok().filter(Geometry::is_valid)?;
    let work = geometry.weight()?.checked_mul(kernel.handling().work_of_cost_one(params).ok()?)?;
    let inputs = geometry.input_bytes.iter().try_fold(0u64, |sum, bytes| sum.checked_add(*bytes))?;
    (work <= MAX_WORK && geometry.bytes()? <= MAX_RESULT_BYTES && inputs <= MAX_INPUT_BYTES).then_some(geometry)
}

/// The params of one of a kernel's small jobs with some bytes changed, as far as that is a job still.
fn changed(kernel: AnyKernel, random: &mut Random) -> Vec<u8> {
    let handling = kernel.handling();
    let jobs: Vec<Trial> = handling.checks().into_iter().chain(handling.trial(0)).collect();
    let base = random.one(&jobs).map(|job| job.params.clone()).unwrap_or_default();
    let mut params = base.clone();
    for _ in 0..random.between(1, 24) {
        let mut next = params.clone();
        let at = random.below(next.len() as u64) as usize;
        match random.below(3) {
            0 => next.iter_mut().skip(at).take(1).for_each(|byte| *byte = random.bits() as u8),
            1 => next.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
            // Most numbers in params have four bytes.
            _ => {
                let number = (random.small(0, 4_096) as u32).to_le_bytes();
                next.iter_mut().skip(at & !3).zip(number).for_each(|(to, from)| *to = from);
            }
        }
        if fits(kernel, &next).is_some() {
            params = next;
        }
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::{Inputs, Piece};

    /// The cores, with something wrong.
    struct Wrong(fn(&mut Piece));

    impl Backend for Wrong {
        fn name(&self) -> String {
            "wrong".into()
        }

        fn run(&self, kernel: u16, params: &[u8], inputs: &Inputs, leaves: Range<u64>) -> Result<Vec<u8>, ExecError> {
            let mut piece = Piece { bytes: Cpu.run(kernel, params, inputs, leaves)?, nodes: Vec::new() };
            self.0(&mut piece);
            Ok(piece.bytes)
        }

        fn run_hashed(
            &self,
            kernel: u16,
            params: &[u8],
            inputs: &Inputs,
            leaves: Range<u64>,
            commit: &Commit,
        ) -> Result<Piece, ExecError> {
            let mut piece = Cpu.run_hashed(kernel, params, inputs, leaves, commit)?;
            self.0(&mut piece);
            Ok(piece)
        }
    }

    /// A card that cannot do a thing.
    struct Failing(ExecError);

    impl Backend for Failing {
        fn name(&self) -> String {
            "failing".into()
        }

        fn run(&self, _: u16, _: &[u8], _: &Inputs, _: Range<u64>) -> Result<Vec<u8>, ExecError> {
            Err(self.0.clone())
        }
    }

    #[test]
    fn the_cores_are_like_themselves_and_the_reference() {
        for kernel in AnyKernel::ALL {
            let compared = compare(&Cpu, *kernel, Limit::jobs(6), 1).unwrap();
            assert_eq!((compared.jobs, compared.too_large), (6, 0));
            assert!(compared.cells > 6 && compared.reference_cells >= 6, "{}: {compared:?}", kernel.name());
            assert!(compared.hashed_leaves > 0, "{}: {compared:?}", kernel.name());
        }
        let past = Limit::until(Instant::now());
        assert_eq!(compare(&Cpu, AnyKernel::GemmI8, past, 1).unwrap().jobs, 1);
        assert_eq!(compare(&Cpu, AnyKernel::GemmI8, Limit::default(), 1).unwrap().jobs, 1);
    }

    #[test]
    fn one_wrong_bit_is_found_named_and_comes_again_from_its_seed() {
        // Only results of some size are wrong: the first few jobs may come out right.
        let wrong = Wrong(|piece| {
            let middle = piece.bytes.len() / 2;
            if middle > 2_000 {
                piece.bytes[middle] ^= 0x10;
            }
        });
        for kernel in AnyKernel::ALL {
            let found = *compare(&wrong, *kernel, Limit::jobs(200), 7).unwrap_err();
            assert_eq!((found.kernel, found.seed), (*kernel, 7 + found.jobs_before));
            let Difference::Cell { leaf, cell, expected, got } = found.difference.clone() else { panic!("{found}") };
            assert!(found.leaves.contains(&leaf));
            assert_eq!(expected.iter().zip(&got).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>(), 1);
            // It is the byte in the middle of what was asked for.
            let geometry = kernel.geometry(&found.params).unwrap();
            let before = |leaf| geometry.bytes_before(leaf).unwrap();
            let middle = (before(found.leaves.end) - before(found.leaves.start)) / 2 + before(found.leaves.start);
            let start = before(leaf) + u64::from(cell) * expected.len() as u64;
            assert!((start..start + expected.len() as u64).contains(&middle), "{found}");
            let again = *compare(&wrong, *kernel, Limit::jobs(1), found.seed).unwrap_err();
            assert_eq!(again, Mismatch { jobs_before: 0, ..found.clone() });
            assert!(found.to_string().contains(&format!("seed {}", found.seed)), "{found}");
        }
    }

    #[test]
    fn wrong_hashes_and_lengths_are_found() {
        let hash = Wrong(|piece| {
            if let Some(node) = piece.nodes.last_mut() {
                node[31] ^= 1;
            }
        });
        let found = compare(&hash, AnyKernel::GemmI8, Limit::jobs(40), 3).unwrap_err();
        assert!(matches!(found.difference, Difference::Node { .. }), "{found}");
        let fewer = Wrong(|piece| {
            piece.nodes.pop();
        });
        let found = compare(&fewer, AnyKernel::GemmI8, Limit::jobs(40), 3).unwrap_err();
        assert!(matches!(found.difference, Difference::Node { .. }), "{found}");
        let short = Wrong(|piece| {
            piece.bytes.pop();
        });
        let found = compare(&short, AnyKernel::Search, Limit::jobs(1), 3).unwrap_err();
        assert!(matches!(found.difference, Difference::Length { .. }), "{found}");
    }

    #[test]
    fn a_failure_is_a_difference_and_little_memory_is_not() {
        let failing = Failing(ExecError::Device("it is off".into()));
        let found = compare(&failing, AnyKernel::EscapeTime, Limit::jobs(3), 3).unwrap_err();
        assert_eq!(found.difference, Difference::Failed(failing.0));
        let small = Failing(ExecError::DeviceMemory(5));
        let compared = compare(&small, AnyKernel::EscapeTime, Limit::jobs(3), 3).unwrap();
        assert_eq!(compared, Compared { jobs: 3, too_large: 3, ..Compared::default() });
    }

    #[test]
    fn random_jobs_differ_and_are_none_too_large() {
        for kernel in AnyKernel::ALL {
            let jobs: Vec<Trial> = (0..40).map(|seed| random_job(*kernel, &mut Random::new(seed))).collect();
            let params: std::collections::BTreeSet<&[u8]> = jobs.iter().map(|job| job.params.as_slice()).collect();
            assert!(params.len() > 30, "{}: {} different", kernel.name(), params.len());
            for job in &jobs {
                let geometry = fits(*kernel, &job.params).unwrap();
                assert_eq!(geometry.input_bytes, job.inputs.each_ref().map(|input| input.len() as u64));
            }
            // And without the kernel's help.
            let changes: std::collections::BTreeSet<Vec<u8>> =
                (0..40).map(|seed| changed(*kernel, &mut Random::new(seed))).collect();
            assert!(changes.len() > 20 && changes.iter().all(|params| fits(*kernel, params).is_some()));
        }
    }
}
