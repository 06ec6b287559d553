//! How much work a shard is and how long it takes on this machine's backend: measured at the start for each kernel, so
//! that no claim is made whose deadline can't be met, and no computation goes on for long without a look at the clock.

use std::{
    collections::BTreeMap,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use assay_client::answer::geometry;
use assay_kernels::{executor::Backend, registry::AnyKernel};
use assay_settlement::JobTerms;

/// A measurement counts once it took this long; shorter ones mostly measure how a device is started.
const LONG_ENOUGH: Duration = Duration::from_millis(50);

/// Work of one cell of cost 1, in the kernel's own units. None for a kernel that is not known here.
pub fn cell_work(kernel: u16, params: &[u8]) -> Option<u64> {
    AnyKernel::from_id(kernel).ok()?.handling().work_of_cost_one(params).ok()
}

/// Work of leaves of a job: their cells by cost, times [`cell_work`]. None for unknown kernels and leaves.
pub fn work_units(terms: &JobTerms, leaves: Range<u64>) -> Option<u64> {
    let geometry = geometry(terms);
    let weight = geometry.weight_before(leaves.end)?.checked_sub(geometry.weight_before(leaves.start)?)?;
    weight.checked_mul(cell_work(terms.kernel_id, terms.params())?)
}

/// The leaves of a shard, job-wide.
pub fn leaves_of(terms: &JobTerms, index: u32) -> Option<Range<u64>> {
    let shard = terms.shard(index)?;
    Some(shard.first_leaf..shard.first_leaf.checked_add(shard.leaves)?)
}

/// Bytes of leaves of a job.
pub fn bytes_of(terms: &JobTerms, leaves: Range<u64>) -> Option<u64> {
    let geometry = geometry(terms);
    geometry.bytes_before(leaves.end)?.checked_sub(geometry.bytes_before(leaves.start)?)
}

/// Bytes of a shard's result.
pub fn shard_bytes(terms: &JobTerms, index: u32) -> Option<u64> {
    bytes_of(terms, leaves_of(terms, index)?)
}

/// Bytes of all inputs of a job.
pub fn input_bytes(terms: &JobTerms) -> u64 {
    terms.input.iter().take(usize::from(terms.inputs)).fold(0, |sum, input| sum.saturating_add(input.bytes))
}

/// What a backend computes in a second, by kernel, in units of [`work_units`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Speeds(BTreeMap<u16, u64>);

impl FromIterator<(u16, u64)> for Speeds {
    fn from_iter<I: IntoIterator<Item = (u16, u64)>>(speeds: I) -> Self {
        Self(speeds.into_iter().collect())
    }
}

impl Speeds {
    /// Measures a backend with growing jobs of each kernel. A kernel that it fails on has no speed. Blocking; about a
    /// second.
    pub fn measure(backend: &dyn Backend) -> Self {
        AnyKernel::ALL.iter().filter_map(|kernel| Some((kernel.id(), measure(backend, *kernel)?))).collect()
    }

    /// Seconds that a shard takes, rounded up; None where the kernel's speed is not known.
    pub fn seconds(&self, terms: &JobTerms, index: u32) -> Option<u64> {
        let speed = self.0.get(&terms.kernel_id).copied().filter(|speed| *speed > 0)?;
        Some(work_units(terms, leaves_of(terms, index)?)?.div_ceil(speed))
    }

    /// Leaves of a shard that take about `time`; at least 1.
    pub fn leaves_in(&self, terms: &JobTerms, leaves: &Range<u64>, time: Duration) -> u64 {
        let count = leaves.end.saturating_sub(leaves.start);
        let fit = || {
            let speed = u128::from(*self.0.get(&terms.kernel_id)?);
            let work = u128::from(work_units(terms, leaves.clone())?);
            let done = speed.checked_mul(time.as_millis())?.checked_mul(u128::from(count))? / 1_000;
            u64::try_from(done.checked_div(work)?).ok()
        };
        fit().unwrap_or(1).clamp(1, count.max(1))
    }
}

fn measure(backend: &dyn Backend, kernel: AnyKernel) -> Option<u64> {
    let mut speed = None;
    for size in 0.. {
        let Some(job) = kernel.handling().trial(size) else { break };
        let geometry = kernel.geometry(&job.params).ok()?;
        let leaves = geometry.leaves()?;
        let work = geometry.weight_before(leaves)?.checked_mul(cell_work(kernel.id(), &job.params)?)?;
        // What a panic left of the backend shows in its self-test.
        let run =
            |leaves| catch_unwind(AssertUnwindSafe(|| backend.run(kernel.id(), &job.params, &job.inputs(), leaves)));
        // Inputs go to a device once in a job, and a job has many runs: a short one takes them there.
        run(0..leaves.min(1)).ok()?.ok()?;
        let started = Instant::now();
        run(0..leaves).ok()?.ok()?;
        let took = started.elapsed();
        let per_second = u128::from(work).checked_mul(1_000_000)?.checked_div(took.as_micros().max(1))?;
        speed = u64::try_from(per_second).ok().map(|speed| speed.max(1));
        if took >= LONG_ENOUGH {
            break;
        }
    }
    speed
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "test code")]
mod tests {
    use super::*;
    use assay_kernels::{
        executor::Cpu,
        gemm_i8::{self, GemmI8},
        kernel::Kernel,
        registry,
    };
    use assay_settlement::CostClass;
    use bytemuck::Zeroable;

    fn product() -> JobTerms {
        let params = gemm_i8::Params { m: 64, n: 10, k: 100 }.to_bytes();
        let geometry = registry::geometry(GemmI8::ID, &params).unwrap();
        let mut terms = JobTerms::zeroed();
        (terms.kernel_id, terms.params_len, terms.classes) = (GemmI8::ID, 12, 1);
        terms.params[..12].copy_from_slice(&params);
        terms.class[0] = bytemuck::cast::<_, CostClass>(geometry.class[0]);
        (terms.leaves, terms.shard_leaves, terms.shards) = (10, 4, 3);
        terms
    }

    #[test]
    fn work_is_cells_times_depth() {
        let terms = product();
        assert_eq!(work_units(&terms, 0..10), Some(64_000));
        assert_eq!(leaves_of(&terms, 2), Some(8..10));
        assert_eq!(
            (shard_bytes(&terms, 0), shard_bytes(&terms, 2), shard_bytes(&terms, 3)),
            (Some(1_024), Some(512), None)
        );
        let speeds: Speeds = [(GemmI8::ID, 10_000)].into_iter().collect();
        // 4 leaves of 64 cells of 100 multiplications.
        assert_eq!((speeds.seconds(&terms, 0), speeds.seconds(&terms, 2)), (Some(3), Some(2)));
        assert_eq!(Speeds::default().seconds(&terms, 0), None);
        let in_time = |seconds| speeds.leaves_in(&terms, &(0..10), Duration::from_secs(seconds));
        assert_eq!((in_time(0), in_time(2), in_time(100)), (1, 3, 10));
    }

    #[test]
    fn a_processor_has_a_speed_for_every_kernel() {
        let speeds = Speeds::measure(&Cpu);
        assert!(speeds.seconds(&product(), 0).is_some());
        assert_eq!(speeds.0.len(), AnyKernel::ALL.len());
    }
}
