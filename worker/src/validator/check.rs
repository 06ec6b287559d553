//! Checking one committed shard: its bytes from the provider, computed again here, and what differs before the judge.

use std::{ops::Range, sync::Arc};

use assay_client::{
    accounts::text,
    answer::{InputTrees, ShardTree, geometry},
    ix,
    proof::Proof,
};
use assay_kernels::executor::Backend;
use assay_settlement::{JobTerms, Shard, ShardState, error::AssayError, rules::draw::Place};
use rand::Rng;

use super::{Seen, Validator};
use crate::{
    answer::adjudicate,
    chain::refusal,
    context::JobContext,
    effort::shard_bytes,
    eligibility::kernel,
    error::{Result, WorkerError},
    events::What,
    execute::{cell_is_right, cell_of, leaves_read, tree},
    fetch::blocking,
    runs::run,
};

/// What computing again showed.
struct Found {
    leaves: u64,
    wrong: Option<Place>,
}

impl Validator {
    /// Fetches a committed result, computes it again, and convicts where a cell is wrong.
    pub(super) async fn check(self: &Arc<Self>, seen: &Seen) -> Result<()> {
        let terms = &seen.job.job.terms;
        if let Err(reason) = kernel(terms) {
            return Err(WorkerError::Job { job: seen.shard.job, why: reason.to_string() });
        }
        let provider = self.provider(&seen.account.provider).await?;
        let endpoint = text(&provider.endpoint).trim_end_matches('/').to_owned();
        let no_length = || WorkerError::Job { job: seen.shard.job, why: "its shards have no length".to_owned() };
        let bytes = shard_bytes(terms, seen.shard.index).ok_or_else(no_length)?;
        let url = format!("{endpoint}/v1/shards/{}/result", seen.shard.shard);
        let bytes = self.fetcher.get(&url, bytes).await?;
        let (job, shard, account) = (seen.job.clone(), seen.shard, seen.account);
        let result = blocking(&self.tasks, move || {
            let tree = tree(&job.job.terms, shard.index, &shard.shard, &account.provider, bytes);
            Ok(tree.filter(|tree| tree.root() == account.root))
        })
        .await?;
        let Some(result) = result else {
            let why = "they do not have the root that is on the chain".to_owned();
            return Err(WorkerError::FetchMismatch {
                url: format!("the provider's endpoint for shard {}", shard.shard),
                why,
            });
        };
        let result = Arc::new(result);
        let inputs = seen.job.inputs(&self.fetcher, None).await?;
        let found = self.compare(seen, &account, &result, &inputs).await?;
        match found.wrong {
            None => {
                self.events.tell(Some(shard), None, What::Checked { leaves: found.leaves });
                Ok(())
            }
            Some(place) => self.convict(seen, &result, &inputs, place).await,
        }
    }

    async fn compare(
        self: &Arc<Self>,
        seen: &Seen,
        account: &Shard,
        result: &Arc<ShardTree>,
        inputs: &Arc<InputTrees>,
    ) -> Result<Found> {
        let (this, job, result, inputs, index) =
            (self.clone(), seen.job.clone(), result.clone(), inputs.clone(), account.index);
        let _one_at_a_time =
            self.computing.acquire().await.map_err(|error| WorkerError::Internal(error.to_string()))?;
        blocking(&self.tasks, move || compare(&this, &job, index, &result, &inputs)).await
    }

    async fn convict(
        self: &Arc<Self>,
        seen: &Seen,
        result: &ShardTree,
        inputs: &InputTrees,
        place: Place,
    ) -> Result<()> {
        let shard = seen.shard;
        self.events.tell(Some(shard), None, What::Forged { leaf: place.leaf, cell: place.cell });
        // Evidence accounts are read with their owner's signature; what goes inline anyone can take and send first.
        if self.config.challenge_first
            && let Proof::Once(answer) = Proof::build(&seen.job.job, shard.index, result, inputs, place)?
            && answer.evidence.is_none()
        {
            let me = self.chain.me();
            let judge = ix::adjudicate(me, &shard.job, &seen.job.job, shard.index, None, answer.args);
            self.challenge_first(seen, place, judge).await;
        }
        let judged = match adjudicate(&self.chain, None, &seen.job.job, shard, result, inputs, place).await {
            // The verifier found the cell right, and nobody had demanded it.
            Err(error) if refusal(&error) == Some(AssayError::NotDemanded) => {
                return Err(WorkerError::VerifierDisagrees { leaf: place.leaf, cell: place.cell });
            }
            judged => judged?,
        };
        let account = self.chain.reader.shard(&shard.job, shard.index).await?;
        let Some(account) = account.filter(|account| account.state() == Some(ShardState::Slashed)) else {
            // It landed, so the judge found the cell right: a demanded one, answered by us.
            return Err(WorkerError::VerifierDisagrees { leaf: place.leaf, cell: place.cell });
        };
        let bounty = if account.bounty_to == self.chain.me() { account.owed_bounty } else { 0 };
        self.events.tell(Some(shard), Some(judged.signature), What::Convicted { bounty });
        self.collect(&seen.with(account)).await
    }
}

/// Computes leaves again on the backend and, where bytes differ, the cell by the reference. Blocking.
fn compare(
    validator: &Validator,
    job: &JobContext,
    index: u32,
    result: &ShardTree,
    inputs: &InputTrees,
) -> Result<Found> {
    let terms = &job.job.terms;
    let range = terms.shard(index).ok_or_else(|| WorkerError::Internal("no such shard".to_owned()))?;
    let end = range.first_leaf.saturating_add(range.leaves);
    let mut checked = 0u64;
    let look = Look { backend: validator.backend.as_ref(), terms, result, inputs };
    for run_of in chosen(range.first_leaf..end, validator.config.rate) {
        match look.at(run_of, range.first_leaf, &mut checked)? {
            None => {}
            wrong => return Ok(Found { leaves: checked, wrong }),
        }
    }
    Ok(Found { leaves: checked, wrong: None })
}

/// Looks for a cell that the judge will find wrong.
struct Look<'a> {
    backend: &'a dyn Backend,
    terms: &'a JobTerms,
    result: &'a ShardTree,
    inputs: &'a InputTrees,
}

impl Look<'_> {
    /// The first wrong cell of these leaves, of a shard whose first leaf is `first`. The judge takes what a cell reads of
    /// earlier leaves as it was committed; a cell that differs may be right for what was. Then an earlier leaf is wrong, which
    /// is looked for; the earliest leaf that differs reads only leaves that don't.
    fn at(&self, leaves: Range<u64>, first: u64, checked: &mut u64) -> Result<Option<Place>> {
        let internal = |what: &str| WorkerError::Internal(what.to_owned());
        let geometry = geometry(self.terms);
        let begin = leaves.start;
        let ours = run(self.backend, self.terms, self.inputs, leaves.clone())?;
        let mut at = 0usize;
        for leaf in leaves {
            let span = geometry.leaf_span(leaf).ok_or_else(|| internal("no such leaf"))?;
            let length = usize::try_from(span.bytes).map_err(|_| internal("a leaf too long"))?;
            let to = at.saturating_add(length);
            let ours = ours.get(at..to).ok_or_else(|| internal("the backend's result is too short"))?;
            let theirs = self.result.leaf(leaf).ok_or_else(|| internal("no such leaf"))?;
            at = to;
            *checked = checked.saturating_add(1);
            if ours == theirs {
                continue;
            }
            let bytes = |of, cell| cell_of(&geometry, leaf, cell, of);
            let mut read_earlier = false;
            for cell in (0..span.cells).filter(|cell| bytes(ours, *cell) != bytes(theirs, *cell)) {
                if !cell_is_right(self.terms, self.inputs, self.result, leaf, cell)? {
                    return Ok(Some(Place { leaf, cell }));
                }
                // The leaves from `begin` on were looked at, and are right.
                let is_unseen = |earlier: &u64| *earlier < begin;
                if !leaves_read(self.terms, leaf, cell)?.iter().any(is_unseen) {
                    // The provider is right and this machine is not: nobody is accused.
                    let why = format!("it computed leaf {leaf}, cell {cell} otherwise than the reference");
                    return Err(WorkerError::Backend { why, broken: true });
                }
                read_earlier = true;
            }
            if read_earlier {
                let wrong = self.at(first..begin, first, checked)?;
                let why = || format!("it computed leaf {leaf} otherwise than the reference, and those before it alike");
                return wrong.map(Some).ok_or_else(|| WorkerError::Backend { why: why(), broken: true });
            }
        }
        Ok(None)
    }
}

/// All leaves in one run, or a random choice of about `rate` of them, one by one and at least one.
fn chosen(leaves: Range<u64>, rate: f64) -> Vec<Range<u64>> {
    if rate >= 1.0 || leaves.is_empty() {
        return vec![leaves];
    }
    let mut random = rand::rng();
    let mut runs: Vec<Range<u64>> = Vec::new();
    for leaf in leaves.clone() {
        if random.random_bool(rate.clamp(0.0, 1.0)) {
            match runs.last_mut() {
                // Neighbours are computed together.
                Some(run) if run.end == leaf => run.end = leaf.saturating_add(1),
                _ => runs.push(leaf..leaf.saturating_add(1)),
            }
        }
    }
    if runs.is_empty() {
        let leaf = random.random_range(leaves);
        runs.push(leaf..leaf.saturating_add(1));
    }
    runs
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "test code")]
mod tests {
    use super::*;
    use crate::execute::{reference, tests::terms_of};
    use assay_kernels::{executor::Cpu, registry::AnyKernel};
    use solana_pubkey::Pubkey;

    /// A sample that meets only cells which are right for a poisoned layer finds the poison.
    #[test]
    fn a_poisoned_layer_is_found_from_behind() {
        let kernel = AnyKernel::ALL.iter().find(|kernel| kernel.describe().stages > 1).unwrap();
        let job = kernel.handling().checks().remove(0);
        let (terms, inputs) = terms_of(*kernel, &job);
        let geometry = geometry(&terms);
        let honest = Cpu.run(kernel.id(), &job.params, &job.inputs(), 0..terms.leaves).unwrap();
        let tree = |bytes: &[u8]| {
            let key = Pubkey::new_from_array([7; 32]);
            ShardTree::new(&terms, 0, &key, &key, bytes.to_vec()).unwrap()
        };
        let look = |bytes: &[u8], leaves: Range<u64>| {
            let (result, mut checked) = (tree(bytes), 0);
            Look { backend: &Cpu, terms: &terms, result: &result, inputs: &inputs }.at(leaves, 0, &mut checked)
        };
        let later = (0..terms.leaves).find(|leaf| !leaves_read(&terms, *leaf, 0).unwrap().is_empty()).unwrap();
        assert_eq!(look(&honest, 0..terms.leaves).unwrap(), None);
        assert_eq!(look(&honest, later..later + 1).unwrap(), None);
        // A whole layer of something else, and behind it a leaf that is right for that.
        let at = |leaf: u64| usize::try_from(geometry.bytes_before(leaf).unwrap()).unwrap();
        let mut poisoned = honest.clone();
        for sum in poisoned[..at(later)].as_chunks_mut::<4>().0 {
            *sum = 0x4000_0000i32.to_le_bytes();
        }
        let span = geometry.leaf_span(later).unwrap();
        let cells = |bytes: &[u8]| {
            let (tree, cell) = (tree(bytes), |tree: &ShardTree, cell| reference(&terms, &inputs, tree, later, cell));
            (0..span.cells).flat_map(|number| cell(&tree, number).unwrap()).collect::<Vec<u8>>()
        };
        let right = cells(&poisoned);
        poisoned[at(later)..at(later + 1)].copy_from_slice(&right);
        assert_ne!(poisoned[at(later)..at(later + 1)], honest[at(later)..at(later + 1)]);
        for leaves in [0..terms.leaves, later..later + 1] {
            assert_eq!(look(&poisoned, leaves).unwrap(), Some(Place { leaf: 0, cell: 0 }));
        }
        // One that is wrong for what lies before it is found where it is.
        let mut forged = honest.clone();
        forged[at(later) + 4] ^= 1;
        assert_eq!(look(&forged, later..later + 1).unwrap(), Some(Place { leaf: later, cell: 1 }));
    }

    /// A machine that computes wrong accuses nobody.
    #[test]
    fn a_wrong_backend_is_told_from_a_wrong_provider() {
        struct Wrong;
        impl Backend for Wrong {
            fn name(&self) -> String {
                "wrong".to_owned()
            }

            fn run(
                &self,
                kernel: u16,
                params: &[u8],
                inputs: &assay_kernels::executor::Inputs,
                leaves: Range<u64>,
            ) -> std::result::Result<Vec<u8>, assay_kernels::executor::ExecError> {
                let mut bytes = Cpu.run(kernel, params, inputs, leaves)?;
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                Ok(bytes)
            }
        }
        for kernel in AnyKernel::ALL {
            let job = kernel.handling().checks().remove(0);
            let (terms, inputs) = terms_of(*kernel, &job);
            let honest = Cpu.run(kernel.id(), &job.params, &job.inputs(), 0..terms.leaves).unwrap();
            let key = Pubkey::new_from_array([7; 32]);
            let result = ShardTree::new(&terms, 0, &key, &key, honest).unwrap();
            let look = Look { backend: &Wrong, terms: &terms, result: &result, inputs: &inputs };
            for leaves in [0..terms.leaves, terms.leaves - 1..terms.leaves] {
                let found = look.at(leaves, 0, &mut 0);
                assert!(matches!(found, Err(WorkerError::Backend { broken: true, .. })), "{found:?}");
            }
        }
    }

    #[test]
    fn a_rate_chooses_about_so_many_leaves() {
        let whole = 1_000..3_000u64;
        assert_eq!(chosen(whole.clone(), 1.0), vec![whole.clone()]);
        let runs = chosen(whole.clone(), 0.25);
        let count: u64 = runs.iter().map(|run| run.end - run.start).sum();
        // 2,000 draws at 1/4: 15 standard deviations to either side.
        assert!((200..800).contains(&count), "{count}");
        assert!(runs.iter().all(|run| run.start >= whole.start && run.end <= whole.end && run.start < run.end));
        assert!(runs.windows(2).all(|pair| matches!(pair, [a, b] if a.end < b.start)));
        assert_eq!(chosen(5..6, 0.000_001), vec![5..6]);
    }
}
