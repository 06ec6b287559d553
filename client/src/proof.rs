//! How a cell is brought before the judge: in one go, or step by step where it is too large for one transaction.

use crate::{
    answer::{Answer, InputTrees, steps},
    client_error::ClientError,
    result::CommittedResult,
    wire::Wire,
};
use assay_settlement::{Job, rules::draw::Place};

/// What judging one cell takes.
#[derive(Clone, Debug)]
pub enum Proof {
    /// One `adjudicate`.
    Once(Answer),
    /// One `step_cell` after the other, all with the same evidence account. It holds what a step reads while that runs,
    /// and is written over for the next; the state is the program's and lies in the header.
    Steps(Vec<Answer>),
}

impl Proof {
    /// Builds the proof of a cell of shard `index`: right, or wrong; inline where a v0 transaction takes it.
    ///
    /// # Errors
    /// [`ClientError::UnexpectedAccount`] when the job's kernel is not known here, the cell does not exist, or its
    /// evidence is larger than an evidence account.
    pub fn build(
        job: &Job,
        index: u32,
        result: &dyn CommittedResult,
        inputs: &InputTrees,
        place: Place,
    ) -> Result<Self, ClientError> {
        Self::build_for(Wire::V0, job, index, result, inputs, place)
    }

    /// [`build`](Self::build), inline where a transaction of this form takes it.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_for(
        wire: Wire,
        job: &Job,
        index: u32,
        result: &dyn CommittedResult,
        inputs: &InputTrees,
        place: Place,
    ) -> Result<Self, ClientError> {
        let steps = steps(&job.terms, index, place)?;
        if steps <= 1 {
            return Answer::build_for(wire, job, index, result, inputs, place).map(Self::Once);
        }
        (0..steps)
            .map(|step| Answer::build_step(job, index, result, inputs, place, step))
            .collect::<Result<_, _>>()
            .map(Self::Steps)
    }

    /// The adjudication, or the steps in their order.
    pub fn parts(&self) -> &[Answer] {
        match self {
            Self::Once(answer) => core::slice::from_ref(answer),
            Self::Steps(steps) => steps,
        }
    }

    /// Bytes of the evidence account, header included, with room for each step; None when everything is inline.
    pub fn evidence_account_bytes(&self) -> Option<usize> {
        self.parts().iter().filter_map(Answer::evidence_account_bytes).max()
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]
mod tests {
    use super::*;
    use crate::answer::{InputData, PIECE_BYTES, ShardTree};
    use assay_kernels::{
        gemm_i8::{GemmI8, MAX_STEPPED_CHUNKS, Params},
        kernel::Kernel,
        merkle::{CHUNK_BYTES, path_len, runs},
    };
    use assay_settlement::{CostClass, InputTree};
    use bytemuck::Zeroable;
    use solana_pubkey::Pubkey;
    use std::collections::BTreeSet;

    /// Bytes of `count` chunks from `start` on out of `size`, and of their paths.
    fn opened(start: u64, count: u64, size: u64) -> usize {
        let paths: u32 = runs(start, start + count, size)
            .map(|run| path_len(run.start >> run.level, size.div_ceil(1 << run.level)))
            .sum();
        count as usize * CHUNK_BYTES + 32 * paths as usize
    }

    /// Bytes that each step opens of row `row` of an input of `rows` rows.
    fn of_row(params: &Params, row: u64, rows: u32) -> Vec<usize> {
        let chunks = params.row_chunks();
        (0..chunks)
            .step_by(32)
            .map(|from| opened(row * chunks + from, (chunks - from).min(32), u64::from(rows) * chunks))
            .collect()
    }

    /// Bytes of evidence of each step, from those of both rows, when the leaf and its path take so many.
    fn sizes(a: &[usize], b: &[usize], leaf: usize) -> Vec<usize> {
        let mut sizes: Vec<usize> = a.iter().zip(b).map(|(a, b)| a + b).collect();
        *sizes.last_mut().unwrap() += leaf;
        sizes
    }

    #[test]
    fn the_largest_answers_take_no_more_transactions_than_the_kernel_says() {
        // 64 elements, and the path in a tree of 2^34 leaves: no shard has more.
        const LEAF: usize = 256 + 34 * 32;
        let mut most = 0;
        for chunks in 1..=128u32 {
            let rows = if chunks > 32 { (MAX_STEPPED_CHUNKS / u64::from(chunks)) as u32 } else { 1 << 20 };
            let params = Params { m: rows, n: rows, k: (chunks * 1_024).min(assay_kernels::gemm_i8::MAX_K) };
            assert!(GemmI8::parse(&params.to_bytes()).is_ok());
            // Rows begin in the same places of aligned runs every 128 rows.
            let rows: BTreeSet<Vec<usize>> = (0..128).map(|row| of_row(&params, row, rows)).collect();
            let mut own = 0;
            for (a, b) in rows.iter().flat_map(|a| rows.iter().map(move |b| (a, b))) {
                let steps: usize = sizes(a, b, LEAF).iter().map(|bytes| bytes.div_ceil(PIECE_BYTES) + 1).sum();
                // One more makes the account.
                own = own.max(steps + 1);
            }
            // What the verifier states of a job with this k is enough for it, and not twice as much.
            let stated = usize::from(GemmI8::geometry(&params).unwrap().answer_transactions);
            assert!((own..own * 2).contains(&stated), "{chunks} chunks: {own} transactions, stated {stated}");
            most = most.max(own);
        }
        let registered = usize::from(GemmI8::describe().answer_transactions);
        assert!((registered - 5..=registered).contains(&most), "{most} transactions");
    }

    #[test]
    fn proofs_have_the_sizes_that_are_counted() {
        for (m, n, k) in [(3, 5, 900), (3, 2, 32_768), (3, 5, 32_769), (2, 3, 40_000), (3, 1, 131_071)] {
            let params = Params { m, n, k };
            let geometry = GemmI8::geometry(&params).unwrap();
            let mut job = Job::zeroed();
            let t = &mut job.terms;
            (t.kernel_id, t.classes, t.inputs) = (GemmI8::ID, 1, 2);
            t.params_len = 12;
            t.params[..12].copy_from_slice(&params.to_bytes());
            t.class[0] = bytemuck::cast::<_, CostClass>(geometry.class[0]);
            t.leaves = geometry.leaves().unwrap();
            (t.shard_leaves, t.shards) = (t.leaves, 1);
            let data: Vec<InputData> = geometry.input_bytes[..2]
                .iter()
                .map(|bytes| InputData::new(vec![9; usize::try_from(*bytes).unwrap()]).unwrap())
                .collect();
            for (to, from) in t.input.iter_mut().zip(&data) {
                *to = InputTree { root: from.root(), bytes: from.bytes().len() as u64 };
            }
            let key = Pubkey::new_from_array([1; 32]);
            let bytes = vec![0; usize::try_from(4 * params.elements()).unwrap()];
            let result = ShardTree::new(&job.terms, 0, &key, &key, bytes.clone()).unwrap();
            let inputs = InputTrees::new(&job.terms, data).unwrap();
            for cell in 0..u32::try_from(params.elements()).unwrap() {
                let proof = Proof::build(&job, 0, &result, &inputs, Place { leaf: 0, cell }).unwrap();
                let built: Vec<usize> = proof.parts().iter().map(|a| a.evidence.as_ref().unwrap().len()).collect();
                let row = of_row(&params, u64::from(cell / n), m);
                let column = of_row(&params, u64::from(cell % n), n);
                assert_eq!(built, sizes(&row, &column, bytes.len()), "{m} {n} {k}, cell {cell}");
                assert_eq!(matches!(proof, Proof::Steps(_)), k > 32_768);
                let largest = built.iter().max().unwrap() + assay_settlement::EVIDENCE_HEADER_BYTES;
                assert_eq!(proof.evidence_account_bytes(), Some(largest));
            }
            let beyond = Answer::build_step(&job, 0, &result, &inputs, Place { leaf: 0, cell: 0 }, 4);
            assert!(beyond.is_err());
        }
    }
}
