//! Jobs, and requests for their cells.

use assay_kernels::{
    abi::{
        IN_EVIDENCE, MAX_CPI_DATA_BYTES, MAX_INPUTS, OPENING_BYTES, Op, Opening, RequestWriter, SOURCE_LEAVES,
        STEP_STATE_BYTES,
    },
    executor::{
        Backend, Cpu, Inputs, Leaves, open_reads_after, open_step_reads_after, reference_cell_after, reference_job,
    },
    gemm_i8,
    handling::{Trial, noise},
    kernel::{AnyKernel, Read},
};

/// A job with its inputs, and its leaves where cells of it read some.
pub struct Job {
    /// Its kernel.
    pub kernel: AnyKernel,
    /// Its params.
    pub params: Vec<u8>,
    /// Its inputs, padded to chunks.
    pub inputs: [Vec<u8>; MAX_INPUTS],
    /// Its leaves.
    pub leaves: Leaves,
}

impl Job {
    /// Of a kernel's own making, computed by the reference.
    pub fn of(kernel: AnyKernel, trial: Trial) -> Self {
        let leaves = reference_job(kernel.id(), &trial.params, &trial.inputs()).unwrap();
        Self { kernel, params: trial.params, inputs: trial.inputs, leaves }
    }

    /// With random inputs, computed by the processor: for what is large.
    pub fn random(kernel: AnyKernel, params: Vec<u8>) -> Self {
        let geometry = kernel.geometry(&params).unwrap();
        let mut seed = 0;
        let inputs = geometry.input_bytes.map(|bytes| {
            seed += 1;
            noise(bytes, seed)
        });
        Self::computed(kernel, Trial { params, inputs })
    }

    /// Computed by the processor.
    pub fn computed(kernel: AnyKernel, trial: Trial) -> Self {
        let geometry = kernel.geometry(&trial.params).unwrap();
        let job = Self { kernel, params: trial.params, inputs: trial.inputs, leaves: Leaves::new() };
        let count = geometry.leaves().unwrap();
        let bytes = Cpu.run(kernel.id(), &job.params, &job.inputs(), 0..count).unwrap();
        let at = |leaf: u64| geometry.bytes_before(leaf).unwrap() as usize;
        let leaves = (0..count).map(|leaf| (leaf, bytes[at(leaf)..at(leaf + 1)].to_vec())).collect();
        Self { leaves, ..job }
    }

    /// A product of random matrices, without its leaves.
    pub fn gemm(m: u32, n: u32, k: u32, seed: u64) -> Self {
        let params = gemm_i8::Params { m, n, k };
        let mut state = seed | 1;
        let mut bytes = |rows: u32| {
            (0..u64::from(rows) * params.row_bytes())
                .map(|_| {
                    state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                    if state >> 61 == 0 { 0x80 } else { (state >> 40) as u8 }
                })
                .collect::<Vec<u8>>()
        };
        let inputs = [bytes(m), bytes(n), Vec::new(), Vec::new()];
        Self { kernel: AnyKernel::GemmI8, params: params.to_bytes().to_vec(), inputs, leaves: Leaves::new() }
    }

    /// The inputs as an executor takes them.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs { inputs: self.inputs.each_ref().map(Vec::as_slice) }
    }

    /// The cell by the reference, for the leaves as they are.
    pub fn expected(&self, leaf: u64, cell: u32) -> Vec<u8> {
        reference_cell_after(self.kernel.id(), &self.params, &self.inputs(), &self.leaves, leaf, cell).unwrap()
    }

    /// A request for the step after `done` ones, each opening of at most `chunks` chunks, all in the evidence account.
    pub fn step(
        &self,
        leaf: u64,
        cell: u32,
        done: u64,
        state: &[u8; STEP_STATE_BYTES],
        chunks: usize,
    ) -> RequestWriter {
        let id = self.kernel.id();
        let mut writer = RequestWriter::step(id, &self.params, leaf, cell, done, state);
        let reads = open_step_reads_after(id, &self.params, &self.inputs(), &self.leaves, leaf, cell, done).unwrap();
        for (source, start, bytes) in pieces(&reads, chunks) {
            writer.open_in_evidence(source, start, bytes).unwrap();
        }
        writer
    }

    /// A request for a cell with what it reads cut into openings of at most `chunks` chunks each. `place` says for
    /// each whether it goes inline; the evidence begins with `skip` bytes of something else.
    pub fn request(
        &self,
        leaf: u64,
        cell: u32,
        chunks: usize,
        skip: usize,
        place: impl Fn(usize) -> bool,
    ) -> RequestWriter {
        let id = self.kernel.id();
        let mut writer = RequestWriter::new(Op::Cell, id, &self.params, leaf, cell);
        writer.evidence = vec![0xaa; skip];
        let reads = open_reads_after(id, &self.params, &self.inputs(), &self.leaves, leaf, cell).unwrap();
        for (source, start, bytes) in pieces(&reads, chunks) {
            if place(writer.openings.len()) {
                writer.open_inline(source, start, bytes).unwrap();
            } else {
                writer.open_in_evidence(source, start, bytes).unwrap();
            }
        }
        writer
    }
}

/// What is read, in openings of at most `chunks` chunks; each leaf in one.
fn pieces<'a>(reads: &[(Read, &'a [u8])], chunks: usize) -> Vec<(u8, u64, &'a [u8])> {
    let mut pieces = Vec::new();
    for (read, bytes) in reads {
        if read.source == SOURCE_LEAVES {
            pieces.push((read.source, read.start, *bytes));
            continue;
        }
        for (i, piece) in bytes.chunks(chunks * 1024).enumerate() {
            pieces.push((read.source, read.start + (i * chunks) as u64, piece));
        }
    }
    pieces
}

/// Puts as many openings in front as instruction data can hold, of a run of `source` that the cell does not read.
pub fn crowd(request: &mut RequestWriter, source: u8) {
    let room = (MAX_CPI_DATA_BYTES - request.data().unwrap().len()) / OPENING_BYTES;
    let len = 1024.min(request.evidence.len() as u32);
    let useless = Opening { source, start: 0, len, at: IN_EVIDENCE };
    request.openings.splice(0..0, vec![useless; room]);
}
