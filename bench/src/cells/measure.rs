//! One cell in the virtual machine.

use assay_kernels::{
    abi::{STEP_DONE, STEP_STATE_BYTES},
    kernel::AnyKernel,
};
use assay_tests::verifier::{Verifier, crowd};

use crate::cases::{self, Case};

/// What a cell took.
pub struct Figure {
    /// Its kernel.
    pub kernel: AnyKernel,
    /// What it is.
    pub name: String,
    /// Transactions that compute it.
    pub steps: u64,
    /// Compute units of the dearest of them, as an answerer asks for it.
    pub units: u64,
    /// The same with as many openings that nobody needs as a request can have.
    pub crowded: u64,
    /// Compute units of all steps.
    pub all: u64,
    /// Bytes of inputs and earlier leaves that it reads, in all steps; without paths.
    pub read: usize,
    /// Transactions that an answer takes, as the kernel states for such a job.
    pub answer_transactions: u16,
}

/// All cases.
pub fn all() -> Vec<Figure> {
    let verifier = Verifier::new();
    cases::all().iter().map(|case| figure(&verifier, case)).collect()
}

/// Chunks that lie beside each other are opened together up to this many.
const CHUNKS: usize = 32;

fn figure(verifier: &Verifier, case: &Case) -> Figure {
    let job = &case.job;
    let geometry = job.kernel.geometry(&job.params).unwrap();
    let leaf = case.leaf.unwrap_or(geometry.leaves().unwrap() - 1);
    let span = geometry.leaf_span(leaf).unwrap();
    let (cell, width) = (span.cells - 1, span.cell_bytes as usize);
    let expected = &job.leaves[&leaf][cell as usize * width..][..width];
    let steps = job.kernel.steps(&job.params).unwrap();
    let mut figure = Figure {
        kernel: job.kernel,
        name: case.name.clone(),
        steps,
        units: 0,
        crowded: 0,
        all: 0,
        read: 0,
        answer_transactions: geometry.answer_transactions,
    };
    let mut state = [0; STEP_STATE_BYTES];
    for done in 0..steps {
        let mut request = match steps {
            1 => job.request(leaf, cell, CHUNKS, 0, |_| false),
            _ => job.step(leaf, cell, done, &state, CHUNKS),
        };
        figure.read += request.evidence.len();
        let (answer, units) = verifier.ask(&request).unwrap();
        if request.evidence.is_empty() {
            // Openings have to be of something.
            request.evidence = vec![0; 1_024];
        }
        crowd(&mut request, 0);
        let (again, crowded) = verifier.ask(&request).unwrap();
        assert_eq!(again, answer);
        (figure.units, figure.crowded) = (figure.units.max(units), figure.crowded.max(crowded));
        figure.all += units;
        if steps == 1 {
            assert_eq!(answer, expected, "{}", case.name);
        } else if answer[0] == STEP_DONE {
            assert_eq!(&answer[1..], expected, "{}", case.name);
        } else {
            state.copy_from_slice(&answer[1..]);
        }
    }
    let most = u64::from(job.kernel.describe().cell_cu_max);
    assert!(figure.crowded <= most, "{}: {} CU, {most} declared", case.name, figure.crowded);
    figure
}
