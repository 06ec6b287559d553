//! Lamports for what is owed: how much evidence may take, whether a claim can be afforded beside what is open, and who
//! may make an evidence account next when there is not enough for all at once.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use assay_client::{
    ClientError,
    answer::{INLINE_BYTES, PIECE_BYTES, geometry},
};
use assay_kernels::{abi::SOURCE_LEAVES, merkle::CHUNK_BYTES, registry};
use assay_settlement::{
    DeliveryMode, DrawSeed, EVIDENCE_HEADER_BYTES, JobTerms, Shard,
    constants::{MAX_DEMANDED_LEAVES, MAX_EVIDENCE_BYTES},
    space_of,
};
use tokio::sync::watch;

use crate::{
    context::{Context, lock},
    error::{Result, WorkerError},
    gate::{Gate, Permit},
};

/// Lamports of a transaction: its signature, and as much again for a priority fee.
const FEE: u64 = 10_000;
/// Transactions of a shard besides its answers, tries that fail included.
const TRANSACTIONS: u64 = 30;
/// Transactions of an answer besides the pieces of its evidence, tries that fail included.
const ANSWER_TRANSACTIONS: u64 = 8;
/// Challenges of a shard that lamports are kept for. Each one more brings half of its bond, which is worth more than its
/// answer costs.
const CHALLENGES: u64 = 4;
/// So long is waited for lamports that other answers hold, before it is told.
const PATIENCE: Duration = Duration::from_secs(30);
/// The balance is asked this often meanwhile.
const ASK: Duration = Duration::from_secs(1);

const HASH_BYTES: u64 = 32;

/// Levels of a tree over so many leaves.
fn depth(leaves: u64) -> u64 {
    u64::from(u64::BITS.saturating_sub(leaves.saturating_sub(1).leading_zeros()))
}

/// Evidence that answering one cell takes at most.
struct Evidence {
    /// Bytes of the account, header included; 0 where every answer is inline.
    account: u64,
    /// Bytes that are written to it, in all steps.
    written: u64,
    /// Steps, 1 for one adjudication.
    steps: u64,
}

/// Leaves of a class whose cells show what any of its cells reads: those at its ends, as leaves that read others come in the
/// same order again and again.
fn probes(first: u64, count: u64) -> impl Iterator<Item = u64> {
    const ENDS: u64 = 8;
    let end = first.saturating_add(count);
    (first..first.saturating_add(ENDS).min(end)).chain(end.saturating_sub(ENDS).max(first)..end)
}

/// Bytes that the first cell of a leaf reads in a step, paths included; none where the kernel does not know the job.
fn read_bytes(terms: &JobTerms, leaf: u64, step: u64) -> Option<u64> {
    let mut bytes = 0u64;
    let reads = registry::step_reads(terms.kernel_id, terms.params(), leaf, 0, step, &mut |read| {
        if read.source == SOURCE_LEAVES {
            // Another cell's run of as many cells may begin inside a leaf and touch one more.
            let (count, each) = (read.count.saturating_add(1), leaf_bytes(terms));
            bytes = bytes.saturating_add(count.saturating_mul(each));
            return;
        }
        let input = terms.input.get(usize::from(read.source)).map_or(0, |input| input.bytes);
        let levels = depth(input.div_ceil(CHUNK_BYTES as u64));
        // A run in any place is cut into at most so many aligned ones, each with a path.
        let runs = depth(read.count).saturating_mul(2).saturating_add(1);
        bytes = bytes
            .saturating_add(read.count.saturating_mul(CHUNK_BYTES as u64))
            .saturating_add(runs.saturating_mul(levels).saturating_mul(HASH_BYTES));
    });
    reads.ok().map(|()| bytes)
}

/// Counts what the cells of a job read in each step, the paths of it, the cell's leaf and its path.
fn evidence(terms: &JobTerms) -> Evidence {
    let geometry = geometry(terms);
    let steps = registry::steps(terms.kernel_id, terms.params()).unwrap_or(1);
    let (mut account, mut written) = (0u64, 0u64);
    let mut first = 0u64;
    let mut reads_any = false;
    for class in geometry.used_classes() {
        let leaf = u64::from(class.cells_per_leaf)
            .saturating_mul(u64::from(class.cell_bytes))
            .saturating_add(depth(terms.shard_leaves).saturating_mul(HASH_BYTES));
        let count = class.cells.div_ceil(u64::from(class.cells_per_leaf).max(1));
        let mut all_steps = 0u64;
        for step in 0..steps {
            // The judge gets the leaf in the last one.
            let own = if step.saturating_add(1) == steps { leaf } else { 0 };
            let read = probes(first, count).map(|probe| read_bytes(terms, probe, step)).max().flatten();
            reads_any |= read != Some(0);
            let bytes = read.map_or(MAX_EVIDENCE_BYTES as u64, |read| read.saturating_add(own));
            account = account.max(bytes);
            all_steps = all_steps.saturating_add(bytes);
        }
        written = written.max(all_steps);
        first = first.saturating_add(count);
    }
    // Steps have their account, whatever they read: the state lies in it.
    if !reads_any && steps <= 1 && account <= INLINE_BYTES as u64 {
        return Evidence { account: 0, written: 0, steps };
    }
    account = account.saturating_add(EVIDENCE_HEADER_BYTES as u64).min(MAX_EVIDENCE_BYTES as u64);
    Evidence { account, written, steps }
}

/// Most bytes of the evidence account that answering a cell of a job takes, header included; 0 where every answer is
/// inline.
pub fn evidence_bytes(terms: &JobTerms) -> u64 {
    evidence(terms).account
}

/// Most bytes of a leaf and its path.
fn leaf_bytes(terms: &JobTerms) -> u64 {
    let bytes = |cells: u32, each: u32| u64::from(cells).saturating_mul(u64::from(each));
    let most = terms.classes().iter().map(|class| bytes(class.cells_per_leaf, class.cell_bytes)).max().unwrap_or(0);
    most.saturating_add(depth(terms.shard_leaves).saturating_mul(HASH_BYTES))
}

/// Most lamports of all fees of a shard's life: its answers to every cell that may be demanded and to a few challenges,
/// the leaves that may have to be posted, and the rest.
pub fn fees(terms: &JobTerms) -> u64 {
    let leaves = match terms.delivery() {
        Some(DeliveryMode::Ledger) => terms.shard_leaves.min(MAX_DEMANDED_LEAVES as u64),
        _ => 0,
    };
    fees_of(terms, CHALLENGES, leaves)
}

/// The same without what may never be asked: so much is kept when another shard's evidence is paid for. What is due now is
/// not left undone for the sake of challenges and leaves that nobody has demanded.
fn least_fees(terms: &JobTerms) -> u64 {
    fees_of(terms, 0, 0)
}

fn fees_of(terms: &JobTerms, challenges: u64, leaves: u64) -> u64 {
    let cells = u64::from(terms.samples).saturating_add(u64::from(terms.named)).saturating_add(challenges);
    let of = |count: u64, bytes: u64, steps: u64| {
        let pieces = bytes.div_ceil(PIECE_BYTES as u64).saturating_add(steps.saturating_mul(2));
        count.saturating_mul(pieces.saturating_add(ANSWER_TRANSACTIONS))
    };
    let evidence = evidence(terms);
    let cells = of(cells, evidence.written, evidence.steps);
    let answers = cells.saturating_add(of(leaves, leaf_bytes(terms), 1));
    answers.saturating_add(TRANSACTIONS).saturating_mul(FEE)
}

/// Who waits to make an evidence account, and what is known of rents.
pub(crate) struct Purse {
    /// One at a time, the one that is due first before the others.
    turns: Gate,
    rents: Mutex<HashMap<u64, u64>>,
}

impl Default for Purse {
    fn default() -> Self {
        Self { turns: Gate::new(1), rents: Mutex::default() }
    }
}

impl Context {
    async fn rent(&self, bytes: u64) -> Result<u64> {
        if let Some(known) = lock(&self.purse.rents).get(&bytes) {
            return Ok(*known);
        }
        let size = usize::try_from(bytes).unwrap_or(usize::MAX);
        let rent = self.chain.reader.rpc().minimum_balance(size).await?;
        lock(&self.purse.rents).insert(bytes, rent);
        Ok(rent)
    }

    /// Lamports that a shard may take from now to its end: the rent of evidence (of one cell after the other), and fees.
    async fn cost(&self, terms: &JobTerms) -> Result<u64> {
        let evidence = match evidence_bytes(terms) {
            0 => 0,
            bytes => self.rent(bytes).await?,
        };
        Ok(evidence.saturating_add(fees(terms)))
    }

    /// Lamports that the key must have to claim one more shard of a job, beside everything that is open.
    pub async fn lamports_to_claim(&self, terms: &JobTerms) -> Result<u64> {
        let accounts = [space_of::<Shard>(), space_of::<DrawSeed>()];
        let mut needed = self.cost(terms).await?;
        for bytes in accounts {
            needed = needed.saturating_add(self.rent(u64::try_from(bytes).unwrap_or(u64::MAX)).await?);
        }
        for row in self.journal.unfinished()? {
            let job = self.job(&row.shard.job).await?;
            needed = needed.saturating_add(self.cost(&job.job.terms).await?);
        }
        Ok(needed)
    }

    /// Waits until an evidence account with this rent may be made: when it is its turn by what comes first, and fees
    /// remain to finish what is open. The turn lasts until the account is made.
    ///
    /// # Errors
    /// Too few lamports, also after others had time to close theirs.
    pub async fn turn_for_evidence(&self, rank: &watch::Receiver<i64>, rent: u64) -> Result<Permit> {
        let mut turn = self.purse.turns.pass_as_due(rank).await;
        let mut needed = rent;
        for row in self.noted(self.journal.unfinished()).unwrap_or_default() {
            let job = self.job(&row.shard.job).await?;
            needed = needed.saturating_add(least_fees(&job.job.terms));
        }
        let started = Instant::now();
        loop {
            let lamports = self.chain.reader.rpc().balance(&self.chain.me()).await?;
            if lamports >= needed {
                return Ok(turn);
            }
            if started.elapsed() >= PATIENCE {
                let why = format!("the next answer, and fees to finish what is open, take {needed}");
                return Err(WorkerError::Chain(ClientError::InsufficientSol { payer: self.chain.me(), lamports, why }));
            }
            tokio::time::sleep(ASK).await;
            // What is more urgent has come meanwhile: the lamports are its own.
            let due = *rank.borrow();
            if self.purse.turns.is_awaited_before(due) {
                drop(turn);
                turn = self.purse.turns.pass_as_due(rank).await;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "test code")]
mod tests {
    use super::*;
    use assay_client::{
        answer::{InputData, InputTrees, ShardTree},
        proof::Proof,
    };
    use assay_kernels::{escape_time, gemm_i8, kernel::Kernel};
    use assay_settlement::{CostClass, InputTree, Job, rules::draw::Place};
    use bytemuck::Zeroable;
    use solana_pubkey::Pubkey;

    fn job(kernel: u16, params: &[u8], inputs: &[InputData]) -> Job {
        let geometry = registry::geometry(kernel, params).unwrap();
        let mut job = Job::zeroed();
        let t = &mut job.terms;
        (t.kernel_id, t.classes, t.samples, t.named) = (kernel, 1, 3, 3);
        t.params_len = u16::try_from(params.len()).unwrap();
        t.params[..params.len()].copy_from_slice(params);
        t.class[0] = bytemuck::cast::<_, CostClass>(geometry.class[0]);
        t.leaves = geometry.leaves().unwrap();
        (t.shard_leaves, t.shards) = (t.leaves, 1);
        t.inputs = u8::try_from(inputs.len()).unwrap();
        for (to, from) in t.input.iter_mut().zip(inputs) {
            *to = InputTree { root: from.root(), bytes: from.bytes().len() as u64 };
        }
        job
    }

    #[test]
    fn no_evidence_is_larger_than_expected() {
        for (m, n, k) in [(1, 1, 1), (5, 70, 1_000), (9, 33, 5_000), (3, 7, 32_768), (3, 2, 40_000), (2, 1, 131_071)] {
            let params = gemm_i8::Params { m, n, k };
            let input = |rows: u32| {
                InputData::new(vec![7; usize::try_from(u64::from(rows) * params.row_bytes()).unwrap()]).unwrap()
            };
            let inputs = vec![input(m), input(n)];
            let job = job(gemm_i8::GemmI8::ID, &params.to_bytes(), &inputs);
            let bytes = vec![0; usize::try_from(params.elements() * 4).unwrap()];
            let shard = Pubkey::new_from_array([1; 32]);
            let result = ShardTree::new(&job.terms, 0, &shard, &shard, bytes).unwrap();
            let inputs = InputTrees::new(&job.terms, inputs).unwrap();
            let most = evidence_bytes(&job.terms);
            for leaf in 0..job.terms.leaves {
                for cell in 0..u32::try_from((params.elements() - leaf * 64).min(64)).unwrap() {
                    let proof = Proof::build(&job, 0, &result, &inputs, Place { leaf, cell }).unwrap();
                    let bytes = proof.evidence_account_bytes().unwrap_or(0) as u64;
                    assert!(bytes <= most, "{m} {n} {k}: cell {cell} of {leaf} takes {bytes}, expected {most}");
                    let pieces: usize = proof.parts().iter().map(|part| part.pieces().len() + 1).sum();
                    // Ten cells may be demanded: their writes and steps, and each account made and closed.
                    assert!(fees(&job.terms) >= 10 * (pieces as u64 + 2) * FEE, "{m} {n} {k}: {pieces}");
                }
            }
            assert!(fees(&job.terms) >= 6 * (most / 1_000) * 5_000);
        }
        let image = escape_time::Params { width: 90, height: 90, max_iter: 9, x0: 0, y0: 0, step: 1 };
        assert_eq!(evidence_bytes(&job(escape_time::EscapeTime::ID, &image.to_bytes(), &[]).terms), 0);
    }

    /// Of any kernel, earlier leaves that a cell reads among it.
    #[test]
    fn no_kernels_evidence_is_larger_than_expected() {
        for kernel in registry::AnyKernel::ALL {
            for trial in kernel.handling().checks() {
                let (terms, inputs) = crate::execute::tests::terms_of(*kernel, &trial);
                let mut job = Job::zeroed();
                job.terms = terms;
                let geometry = geometry(&terms);
                let bytes = vec![0; usize::try_from(geometry.bytes().unwrap()).unwrap()];
                let shard = Pubkey::new_from_array([1; 32]);
                let result = ShardTree::new(&terms, 0, &shard, &shard, bytes).unwrap();
                let (most, mut largest) = (evidence_bytes(&terms), 0);
                for leaf in 0..terms.leaves {
                    for cell in 0..geometry.leaf_span(leaf).unwrap().cells {
                        let proof = Proof::build(&job, 0, &result, &inputs, Place { leaf, cell }).unwrap();
                        largest = largest.max(proof.evidence_account_bytes().unwrap_or(0) as u64);
                    }
                }
                assert!(largest <= most, "{}: {largest} bytes, expected {most}", kernel.name());
                assert!(most <= 3 * largest, "{}: far too much is kept: {most}, not {largest}", kernel.name());
            }
        }
    }

    /// A claim is made with lamports for what may be asked; what is due is paid for without keeping all of that.
    #[test]
    fn challenges_and_leaves_are_provided_for() {
        let image = escape_time::Params { width: 640, height: 90, max_iter: 9, x0: 0, y0: 0, step: 1 };
        let mut job = job(escape_time::EscapeTime::ID, &image.to_bytes(), &[]);
        let plain = fees(&job.terms);
        assert!(plain >= least_fees(&job.terms) + CHALLENGES * FEE);
        job.terms.delivery = DeliveryMode::Ledger as u8;
        assert!(fees(&job.terms) >= plain + 64 * FEE);
        job.terms.shard_leaves = 10;
        assert!((plain + 10 * FEE..plain + 64 * FEE * 10).contains(&fees(&job.terms)));
        assert_eq!(least_fees(&job.terms) - TRANSACTIONS * FEE, 6 * (ANSWER_TRANSACTIONS + 2) * FEE);
    }
}
