//! Requests as a client makes them: for simulation, for tests, and for the CPU reference.

use super::{IN_EVIDENCE, OPENING_BYTES, Op, Opening, STEP_STATE_BYTES, encode_header};

/// A request under construction. Bytes of openings go inline or into evidence, one after the other.
#[derive(Clone, Debug)]
pub struct RequestWriter {
    /// What is asked.
    pub op: Op,
    /// Number of the kernel in the verifier.
    pub kernel: u16,
    /// The job's params.
    pub params: Vec<u8>,
    /// Job-wide leaf index.
    pub leaf: u64,
    /// Cell inside the leaf.
    pub cell: u32,
    /// The openings, in order.
    pub openings: Vec<Opening>,
    /// Inline bytes.
    pub inline: Vec<u8>,
    /// Data of the evidence account.
    pub evidence: Vec<u8>,
}

impl RequestWriter {
    /// A request without openings; leaf and cell matter only to `cell` and `step`.
    pub fn new(op: Op, kernel: u16, params: &[u8], leaf: u64, cell: u32) -> Self {
        let (openings, inline, evidence) = Default::default();
        Self { op, kernel, params: params.to_vec(), leaf, cell, openings, inline, evidence }
    }

    /// A request for the step after `done` ones, without openings.
    pub fn step(kernel: u16, params: &[u8], leaf: u64, cell: u32, done: u64, state: &[u8; STEP_STATE_BYTES]) -> Self {
        let mut request = Self::new(Op::Step, kernel, params, leaf, cell);
        request.inline.extend_from_slice(&done.to_le_bytes());
        request.inline.extend_from_slice(state);
        request
    }

    /// Opens `bytes` of `source` from unit `start` on, inline. `None` when offsets overflow.
    pub fn open_inline(&mut self, source: u8, start: u64, bytes: &[u8]) -> Option<()> {
        let at = u32::try_from(self.inline.len()).ok().filter(|at| at & IN_EVIDENCE == 0)?;
        let len = u32::try_from(bytes.len()).ok()?;
        self.inline.extend_from_slice(bytes);
        self.openings.push(Opening { source, start, len, at });
        Some(())
    }

    /// Opens `bytes` of `source` from unit `start` on, in the evidence account. `None` when offsets overflow.
    pub fn open_in_evidence(&mut self, source: u8, start: u64, bytes: &[u8]) -> Option<()> {
        let at = u32::try_from(self.evidence.len()).ok().filter(|at| at & IN_EVIDENCE == 0)?;
        let len = u32::try_from(bytes.len()).ok()?;
        self.evidence.extend_from_slice(bytes);
        self.openings.push(Opening { source, start, len, at: at | IN_EVIDENCE });
        Some(())
    }

    /// The instruction data. `None` when there are more openings or params than the header can count.
    pub fn data(&self) -> Option<Vec<u8>> {
        let count = u16::try_from(self.openings.len()).ok()?;
        let openings = self.openings.len().checked_mul(OPENING_BYTES)?;
        let mut data = vec![0; super::HEADER_BYTES.checked_add(self.params.len())?];
        encode_header(&mut data, self.op, self.kernel, &self.params, count, self.leaf, self.cell)?;
        data.reserve_exact(openings.checked_add(self.inline.len())?);
        for opening in &self.openings {
            data.extend_from_slice(&opening.to_bytes());
        }
        data.extend_from_slice(&self.inline);
        Some(data)
    }
}
