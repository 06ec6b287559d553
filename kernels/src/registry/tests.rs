//! What every kernel of the registry must keep, shown on the small jobs of its own making and on params that nobody made.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::abi::{
    MAX_PARAMS_BYTES, Op, RequestWriter, SOURCE_LEAVES, STEP_DONE, STEP_MORE, STEP_STATE_BYTES, VerifierError,
};
use crate::executor::{Backend, Cpu, open_reads, open_step_reads, reference_cell};
use crate::handling::Trial;
use crate::merkle::CHUNK_BYTES;

/// Cells of a job that are looked at: the first and the last of every class, and some between them.
fn places(geometry: &Geometry) -> Vec<(u64, u32)> {
    let (mut numbers, mut first) = (Vec::new(), 0);
    for class in geometry.used_classes() {
        numbers.extend([first, first + class.cells / 3, first + class.cells / 2, first + class.cells - 1]);
        first += class.cells;
    }
    numbers.into_iter().map(|number| geometry.locate(number).map(|at| (at.leaf, at.cell)).unwrap()).collect()
}

fn each_job(mut look: impl FnMut(AnyKernel, &Trial, &Geometry)) {
    for kernel in AnyKernel::ALL {
        for job in kernel.handling().checks() {
            look(*kernel, &job, &kernel.geometry(&job.params).unwrap());
        }
    }
}

/// A geometry is one that the settlement program takes from this kernel.
fn fits(kernel: AnyKernel, geometry: &Geometry) {
    let (describe, name) = (kernel.describe(), kernel.name());
    assert!(geometry.is_valid(), "{name}");
    assert_eq!(geometry.inputs, describe.inputs, "{name}");
    assert!(geometry.classes <= describe.max_cost_classes, "{name}");
    assert!(geometry.answer_transactions <= describe.answer_transactions, "{name}");
    let kib = u32::from(geometry.evidence_kib);
    assert!(kib <= describe.evidence_bytes_max.div_ceil(1_024), "{name}: {kib} KiB");
    let mut stage = 0;
    for class in geometry.used_classes() {
        assert!(class.cell_bytes <= describe.cell_bytes_max, "{name}");
        assert!(class.cells_per_leaf * class.cell_bytes <= describe.leaf_bytes_max, "{name}");
        assert!(class.stage < u32::from(describe.stages), "{name}");
        stage = stage.max(class.stage);
    }
    assert!(stage == 0 || geometry.shard_align >= 1, "{name}");
}

#[test]
fn numbers_and_names_are_ones_own() {
    let numbers: BTreeSet<u16> = AnyKernel::ALL.iter().map(|kernel| kernel.id()).collect();
    let names: BTreeSet<&str> = AnyKernel::ALL.iter().map(|kernel| kernel.name()).collect();
    assert_eq!((numbers.len(), names.len()), (AnyKernel::ALL.len(), AnyKernel::ALL.len()));
    assert!(!numbers.contains(&0), "0 is no kernel's");
    for name in names {
        let of_a_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        assert!((1..=24).contains(&name.len()) && name.bytes().all(of_a_name), "{name}");
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        for file in ["mod.rs", "host.cpp", &format!("{name}.cu"), &format!("{name}.ptx")] {
            assert!(folder.join(file).is_file(), "{name} has no {file}");
        }
    }
}

#[test]
fn geometries_are_as_declared() {
    each_job(|kernel, job, geometry| {
        assert!(job.params.len() <= MAX_PARAMS_BYTES, "{}", kernel.name());
        fits(kernel, geometry);
        let lengths = job.inputs.each_ref().map(|input| input.len() as u64);
        assert_eq!(lengths, geometry.input_bytes, "{}", kernel.name());
    });
}

#[test]
fn some_leaves_are_a_part_of_all() {
    each_job(|kernel, job, geometry| {
        let (run, leaves) =
            (|leaves| Cpu.run(kernel.id(), &job.params, &job.inputs(), leaves).unwrap(), geometry.leaves().unwrap());
        let whole = run(0..leaves);
        let at = |leaf| geometry.bytes_before(leaf).unwrap() as usize;
        let middle = leaves / 2;
        for some in [0..1, leaves - 1..leaves, 0..middle, middle..leaves, middle..middle + 1, 1..leaves, leaves..leaves]
        {
            assert_eq!(run(some.clone()), whole[at(some.start)..at(some.end)], "{} {some:?}", kernel.name());
        }
        let beyond = Cpu.run(kernel.id(), &job.params, &job.inputs(), 0..leaves + 1);
        assert!(beyond.is_err(), "{}", kernel.name());
    });
}

#[test]
fn cells_are_as_long_as_declared_and_those_that_are_not_there_are_refused() {
    each_job(|kernel, job, geometry| {
        for (leaf, cell) in places(geometry).into_iter().take(4) {
            let span = geometry.leaf_span(leaf).unwrap();
            let made = reference_cell(kernel.id(), &job.params, &job.inputs(), leaf, cell).unwrap();
            assert_eq!(made.len(), span.cell_bytes as usize, "{}", kernel.name());
        }
        let (last, steps) = (geometry.leaves().unwrap(), kernel.steps(&job.params).unwrap());
        let of_last = geometry.leaf_span(last - 1).unwrap().cells;
        for (leaf, cell) in [(last, 0), (last - 1, of_last), (0, u32::MAX), (u64::MAX, 0), (u64::MAX, u32::MAX)] {
            let (id, params) = (kernel.id(), &job.params);
            // With all that the first cell reads.
            let (mut request, reads) = if steps > 1 {
                let reads = open_step_reads(id, params, &job.inputs(), 0, 0, 0).unwrap();
                (RequestWriter::step(id, params, leaf, cell, 0, &[0; STEP_STATE_BYTES]), reads)
            } else {
                let reads = open_reads(id, params, &job.inputs(), 0, 0).unwrap();
                (RequestWriter::new(Op::Cell, id, params, leaf, cell), reads)
            };
            for (read, bytes) in reads {
                request.open_in_evidence(read.source, read.start, bytes).unwrap();
            }
            let evidence = request.evidence.clone();
            let data = request.data().unwrap();
            let request = Request::parse(&data, &evidence).unwrap();
            let mut out = [0; 1_024];
            let answer = if steps > 1 { kernel.step(&request, &mut out) } else { kernel.cell(&request, &mut out) };
            assert_eq!(answer, Err(VerifierError::NoSuchCell), "{}: leaf {leaf}, cell {cell}", kernel.name());
            let mut reads = 0;
            kernel.reads(params, leaf, cell, &mut |_| reads += 1).unwrap();
            assert_eq!(reads, 0, "{}: leaf {leaf}, cell {cell}", kernel.name());
        }
    });
}

/// Chunks and leaves that a cell reads lie in the job, earlier leaves before its own, and are no more than declared; its
/// steps together read the same.
#[test]
fn reads_lie_in_the_job_and_are_no_more_than_declared() {
    each_job(|kernel, job, geometry| {
        let name = kernel.name();
        for (leaf, cell) in places(geometry) {
            let mut units = BTreeMap::new();
            kernel.reads(&job.params, leaf, cell, &mut |read| note(read, &mut units)).unwrap();
            let mut bytes = 0;
            for (source, start) in units.keys().copied() {
                if source == SOURCE_LEAVES {
                    assert!(start < leaf, "{name}: leaf {leaf} reads leaf {start}");
                    bytes += u64::from(geometry.leaf_span(start).unwrap().bytes);
                } else {
                    let input = geometry.input_bytes[usize::from(source)];
                    assert!((start + 1) * CHUNK_BYTES as u64 <= input, "{name}: chunk {start} of input {source}");
                    bytes += CHUNK_BYTES as u64;
                }
            }
            assert!(bytes <= u64::from(kernel.describe().evidence_bytes_max), "{name}: {bytes} bytes");
            let (steps, mut of_steps) = (kernel.steps(&job.params).unwrap(), BTreeMap::new());
            for step in 0..steps {
                let mut note = |read| note(read, &mut of_steps);
                kernel.step_reads(&job.params, leaf, cell, step, &mut note).unwrap();
            }
            assert!(of_steps.keys().eq(units.keys()), "{name}: its steps read something else");
            let mut behind = 0;
            kernel.step_reads(&job.params, leaf, cell, steps, &mut |_| behind += 1).unwrap();
            assert_eq!(behind, 0, "{name}: there is no step {steps}");
        }
    });
}

/// Notes every chunk and leaf of a run.
fn note(read: Read, units: &mut BTreeMap<(u8, u64), ()>) {
    assert!(read.count > 0);
    units.extend((read.start..read.start + read.count).map(|start| ((read.source, start), ())));
}

/// Whatever a job's params are and whatever stands in a request, there is an answer: bytes of the declared length, or a
/// refusal.
fn answers(kernel: AnyKernel, params: &[u8], (leaf, cell, step): (u64, u32, u64), state: u8) {
    let Ok(geometry) = kernel.geometry(params) else { return };
    fits(kernel, &geometry);
    let steps = kernel.steps(params).unwrap();
    let leaf = leaf % (geometry.leaves().unwrap() + 1);
    let mut reads = Vec::new();
    kernel.step_reads(params, leaf, cell, step % (steps + 1), &mut |read| reads.push(read)).unwrap();
    let data = if steps > 1 {
        RequestWriter::step(kernel.id(), params, leaf, cell, step % (steps + 1), &[state; STEP_STATE_BYTES]).data()
    } else {
        RequestWriter::new(Op::Cell, kernel.id(), params, leaf, cell).data()
    };
    let data = data.unwrap();
    let request = Request::parse(&data, &[]).unwrap();
    let mut out = [0; 1_024];
    let answer = if steps > 1 { kernel.step(&request, &mut out) } else { kernel.cell(&request, &mut out) };
    // A cell that reads something lacks it here.
    match answer {
        Ok(len) => {
            let span = geometry.leaf_span(leaf).unwrap();
            assert!(cell < span.cells && reads.is_empty(), "{}", kernel.name());
            match (steps > 1, out[0]) {
                (true, STEP_MORE) => assert_eq!(len, 1 + STEP_STATE_BYTES),
                (true, STEP_DONE) => assert_eq!(len, 1 + span.cell_bytes as usize),
                (stepped, _) => assert!(!stepped && len == span.cell_bytes as usize),
            }
        }
        Err(error) => assert!(
            matches!(error, VerifierError::MissingOpening | VerifierError::NoSuchCell | VerifierError::NoSuchStep),
            "{}: {error:?}",
            kernel.name()
        ),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_params_break_a_kernel(
        kernel in prop::sample::select(AnyKernel::ALL), mut params in prop::collection::vec(any::<u8>(), 0..200),
        job in any::<prop::sample::Index>(), from in 0..4, changed in any::<prop::sample::Index>(), to in any::<u8>(),
        place in any::<(u64, u32, u64)>(), state in any::<u8>(),
    ) {
        // Mostly those of a job with a byte changed: of other ones most kernels look at the length alone.
        if from > 0 {
            let jobs = kernel.handling().checks();
            params.clone_from(&jobs[job.index(jobs.len())].params);
            let at = changed.index(params.len());
            params[at] = to;
        }
        answers(kernel, &params, place, state);
        answers(kernel, &params, (place.0, place.1 % 8, place.2), state);
    }
}

#[test]
fn params_cut_off_are_no_jobs() {
    each_job(|kernel, job, _| {
        // Behind the end of its header a kernel may take any number of bytes.
        assert!(kernel.geometry(&[]).is_err() && kernel.geometry(&job.params[..1]).is_err(), "{}", kernel.name());
        assert!(kernel.geometry(&[0xff; MAX_PARAMS_BYTES]).is_err(), "{}", kernel.name());
    });
}
