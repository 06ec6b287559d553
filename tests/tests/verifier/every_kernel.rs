//! Every kernel of the registry on its own small jobs, in one go or step by step as it says: equal to the reference, from
//! exactly what it says it reads, within the compute units that it states.

use assay_kernels::{
    abi::{Opening, RequestWriter, SOURCE_LEAVES, STEP_DONE, STEP_STATE_BYTES, VerifierError},
    executor::{Leaves, random_job},
    kernel::AnyKernel,
    random::Random,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use assay_tests::verifier::{Job, Verifier, named};

/// Random cells of each job that are looked at, besides the first and the last of every cost class.
const CELLS: usize = 12;

fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for kernel in AnyKernel::ALL {
        jobs.extend(kernel.handling().checks().into_iter().map(|trial| Job::of(*kernel, trial)));
    }
    jobs
}

/// Cells of a job, by leaf.
fn places(job: &Job, random: &mut StdRng) -> Vec<(u64, u32)> {
    let geometry = job.kernel.geometry(&job.params).unwrap();
    let mut numbers = Vec::new();
    let mut first = 0;
    for class in geometry.used_classes() {
        numbers.extend([first, first + class.cells - 1]);
        first += class.cells;
    }
    numbers.extend((0..CELLS).map(|_| random.random_range(0..first)));
    numbers.into_iter().map(|number| geometry.locate(number).map(|at| (at.leaf, at.cell)).unwrap()).collect()
}

/// Has the chain compute a cell; shows each request with its answer, and returns the cell and the most compute units.
fn judge(
    chain: &Verifier,
    job: &Job,
    (leaf, cell): (u64, u32),
    chunks: usize,
    mut show: impl FnMut(&RequestWriter, &[u8]),
) -> (Vec<u8>, u64) {
    let steps = job.kernel.steps(&job.params).unwrap();
    if steps <= 1 {
        let request = job.request(leaf, cell, chunks, 0, |_| false);
        let (answer, cu) = chain.ask(&request).unwrap();
        show(&request, &answer);
        return (answer, cu);
    }
    let (mut state, mut most) = ([0; STEP_STATE_BYTES], 0);
    for done in 0..steps {
        let request = job.step(leaf, cell, done, &state, chunks);
        let (answer, cu) = chain.ask(&request).unwrap();
        show(&request, &answer);
        most = most.max(cu);
        match answer.split_first().unwrap() {
            (&STEP_DONE, bytes) => {
                assert_eq!(done + 1, steps, "done before its last step");
                return (bytes.to_vec(), most);
            }
            (_, next) => state.copy_from_slice(next),
        }
    }
    panic!("the last step did not end the cell");
}

/// Random params and inputs, as a card is compared with: what the processor's vectors make of them, the chain does.
#[test]
fn random_jobs_are_the_processors_on_chain() {
    const JOBS: u64 = 30;
    let chain = Verifier::new();
    for kernel in AnyKernel::ALL {
        let most = u64::from(kernel.describe().cell_cu_max);
        let (mut cells, mut highest) = (0, 0);
        for seed in 0..JOBS {
            let mut random = Random::new(seed);
            let job = Job::computed(*kernel, random_job(*kernel, &mut random));
            let geometry = kernel.geometry(&job.params).unwrap();
            let all: u64 = geometry.used_classes().iter().map(|class| class.cells).sum();
            for number in [0, all - 1, random.below(all), random.below(all)] {
                let at = geometry.locate(number).unwrap();
                let width = geometry.leaf_span(at.leaf).unwrap().cell_bytes as usize;
                let (answer, cu) = judge(&chain, &job, (at.leaf, at.cell), 32, |_, _| ());
                let expected = &job.leaves[&at.leaf][at.cell as usize * width..][..width];
                assert_eq!(answer, expected, "{}: seed {seed}, leaf {}, cell {}", kernel.name(), at.leaf, at.cell);
                highest = highest.max(cu);
                cells += 1;
            }
        }
        println!("{}: {cells} cells of {JOBS} random jobs, at most {highest} CU", kernel.name());
        assert!(highest <= most, "{}: {highest} CU", kernel.name());
    }
}

#[test]
fn cells_equal_the_reference_and_need_every_opening() {
    let chain = Verifier::new();
    let mut random = StdRng::seed_from_u64(1);
    for job in jobs() {
        let (describe, name) = (job.kernel.describe(), job.kernel.name());
        let geometry = job.kernel.geometry(&job.params).unwrap();
        let mut highest = 0;
        for (leaf, cell) in places(&job, &mut random) {
            let span = geometry.leaf_span(leaf).unwrap();
            let expected = &job.leaves[&leaf][(cell * span.cell_bytes) as usize..][..span.cell_bytes as usize];
            let (whole, cu) = judge(&chain, &job, (leaf, cell), 64, |_, _| {});
            assert_eq!(whole, expected, "{name}: leaf {leaf}, cell {cell}");
            highest = highest.max(cu);
            let (piecewise, cu) = judge(&chain, &job, (leaf, cell), 1, |request, answer| {
                for i in 0..request.openings.len() {
                    let mut without = request.clone();
                    let dropped = without.openings.remove(i);
                    let refused = named(VerifierError::MissingOpening);
                    assert_eq!(chain.ask(&without), refused, "{name}: leaf {leaf}, cell {cell}, without {dropped:?}");
                    // Twice, in another order, or beside what the cell does not read: no difference.
                    let mut more = request.clone();
                    more.openings.insert(0, dropped);
                    more.openings.reverse();
                    more.openings.insert(0, Opening { len: 0, ..dropped });
                    more.openings.insert(0, Opening { source: 3, start: 0, ..dropped });
                    more.openings.insert(0, Opening { source: SOURCE_LEAVES, start: leaf, ..dropped });
                    assert_eq!(chain.ask(&more).unwrap().0, answer, "{name}: leaf {leaf}, cell {cell}");
                }
            });
            assert_eq!(piecewise, expected, "{name}: leaf {leaf}, cell {cell}, chunk by chunk");
            highest = highest.max(cu);
        }
        println!("{name}, {} bytes of params: at most {highest} CU", job.params.len());
        assert!(highest <= u64::from(describe.cell_cu_max), "{name}: {highest} CU");
        // What there is not is refused by name.
        let last = geometry.leaves().unwrap();
        let steps = job.kernel.steps(&job.params).unwrap();
        for (leaf, cell) in [(last, 0), (u64::MAX, 0), (0, u32::MAX)] {
            let mut request = if steps > 1 {
                job.step(0, 0, 0, &[0; STEP_STATE_BYTES], 1)
            } else {
                job.request(0, 0, 1, 0, |_| false)
            };
            (request.leaf, request.cell) = (leaf, cell);
            assert_eq!(chain.ask(&request), named(VerifierError::NoSuchCell), "{name}: leaf {leaf}, cell {cell}");
        }
    }
}

/// What the chain makes of wrong earlier leaves is what the reference does, so that all who recompute agree about a cell
/// behind them.
#[test]
fn cells_behind_wrong_leaves_equal_the_reference_for_those() {
    let chain = Verifier::new();
    let mut random = StdRng::seed_from_u64(2);
    let mut looked = 0;
    for mut job in jobs() {
        let reads_leaves = |job: &Job, (leaf, cell): (u64, u32)| {
            let mut reads = false;
            job.kernel.reads(&job.params, leaf, cell, &mut |read| reads |= read.source == SOURCE_LEAVES).unwrap();
            reads
        };
        let places: Vec<_> = places(&job, &mut random).into_iter().filter(|place| reads_leaves(&job, *place)).collect();
        let wrong = |leaf: &Vec<u8>| leaf.iter().map(|byte| byte ^ 0x40).collect::<Vec<u8>>();
        let honest = std::mem::take(&mut job.leaves);
        job.leaves = honest.iter().map(|(number, leaf)| (*number, wrong(leaf))).collect::<Leaves>();
        for place in places {
            let (bytes, _) = judge(&chain, &job, place, 1, |_, _| {});
            assert_eq!(bytes, job.expected(place.0, place.1), "{}: {place:?}", job.kernel.name());
            looked += 1;
        }
    }
    assert!(looked > 0, "a kernel reads leaves");
}
