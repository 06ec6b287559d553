//! What an operation is about: one job and one shard of it, as the chain holds them now, and the results that its
//! provider could have.

use crate::chain::Chain;
use assay_client::{accounts::decode_data, proof::Proof};
use assay_fuzz::{Kind, Stage, work::Work};
use assay_kernels::merkle::Tree;
use assay_settlement::{Job, Shard, instructions::AdjudicateArgs, seeds, state::EVIDENCE_HEADER_BYTES};
use solana_pubkey::Pubkey;
use std::{collections::HashMap, rc::Rc};

/// A job that was created: its address, its number among the kinds, what it was at first.
#[derive(Clone)]
pub struct Known {
    /// Its address.
    pub address: Pubkey,
    /// What it computes: number in the stage's kinds.
    pub kind: usize,
    /// The account when it was new; its terms never change.
    pub job: Box<Job>,
}

/// One job, one shard.
pub struct Focus {
    /// The job.
    pub known: Known,
    /// Number of the shard.
    pub index: u32,
    /// Address of the shard.
    pub shard: Pubkey,
    /// The shard's account, if there is one.
    pub data: Option<Box<Shard>>,
}

/// Results that were computed before.
pub type Works = HashMap<(Pubkey, u32, Pubkey), Rc<[Work; 2]>>;

impl Focus {
    /// Shard `index` of a job.
    pub fn new(chain: &Chain, known: &Known, index: u8) -> Self {
        let index = u32::from(index) % known.job.terms.shards.max(1);
        let shard = seeds::shard(&known.address, index);
        let data = chain.data(&shard).and_then(|data| decode_data::<Shard>(&data)).map(Box::new);
        Self { known: known.clone(), index, shard, data }
    }

    /// The right result and a wrong one, for the provider that holds the claim.
    pub fn works(&self, stage: &Stage, cache: &mut Works) -> Option<Rc<[Work; 2]>> {
        let provider = self.data.as_ref()?.provider;
        let key = (self.known.address, self.index, provider);
        if let Some(found) = cache.get(&key) {
            return Some(found.clone());
        }
        let kind: &Kind = &stage.kinds[self.known.kind];
        let make =
            |forged| assay_fuzz::work(kind, self.known.address, &self.known.job.terms, self.index, &provider, forged);
        let made = Rc::new([make(false)?, make(true)?]);
        cache.insert(key, made.clone());
        Some(made)
    }

    /// The result whose root is committed; the right one where neither is.
    pub fn committed(&self, works: &[Work; 2]) -> usize {
        usize::from(self.data.as_ref().is_some_and(|shard| shard.root == works[1].tree.root()))
    }

    /// A cell of the shard: demanded ones first, then any, then one that may not exist.
    pub fn cell(&self, arg: u64) -> u64 {
        let cells = self.known.job.terms.shard(self.index).and_then(|s| s.cells().ok()).unwrap_or(1).max(1);
        match (&self.data, arg % 4) {
            (Some(shard), 0 | 1) => shard.cells[usize::from(arg.to_le_bytes()[1]) % shard.cells.len()],
            (_, 2) => 3,
            _ => (arg >> 2) % cells.saturating_add(1),
        }
    }

    /// Bytes and path of a leaf, one after the other, and where the path begins.
    pub fn leaf(&self, work: &Work, leaf: u64) -> Option<(Vec<u8>, u32)> {
        let first = self.known.job.terms.shard(self.index)?.first_leaf;
        let mut bytes = work.tree.leaf(leaf)?.to_vec();
        let path_at = u32::try_from(bytes.len()).ok()?;
        let path = Tree::from_leaf_hashes(work.tree.hashes().to_vec()).path(leaf.checked_sub(first)?);
        bytes.extend_from_slice(path.as_flattened());
        Some((bytes, path_at))
    }

    /// What carries a cell a step further after so many: arguments, and what the evidence account must hold behind its
    /// header.
    pub fn step(&self, work: &Work, number: u64, done: u64) -> Option<(AdjudicateArgs, Option<Vec<u8>>)> {
        let place = self.known.job.terms.shard(self.index)?.place(number).ok()?;
        if let Ok(Proof::Steps(steps)) = Proof::build(&self.known.job, self.index, &work.tree, &work.inputs, place) {
            let answer = steps.get(usize::try_from(done).ok()? % steps.len())?;
            return Some((answer.args.clone(), answer.evidence.clone()));
        }
        // A scripted kernel reads nothing; others refuse this.
        let (evidence, path_at) = self.leaf(work, place.leaf)?;
        let (leaf, cell, leaf_at) = (place.leaf, place.cell, EVIDENCE_HEADER_BYTES as u32);
        let (openings, inline) = (Vec::new(), Vec::new());
        Some((
            AdjudicateArgs { leaf, cell, leaf_at, leaf_path_at: leaf_at + path_at, openings, inline },
            Some(evidence),
        ))
    }

    /// What proves or disproves a cell: arguments, and what the evidence account must hold behind its header.
    pub fn answer(&self, work: &Work, number: u64) -> Option<(AdjudicateArgs, Option<Vec<u8>>)> {
        let place = self.known.job.terms.shard(self.index)?.place(number).ok()?;
        let built = assay_client::answer::Answer::build(&self.known.job, self.index, &work.tree, &work.inputs, place);
        if let Ok(answer) = built {
            return Some((answer.args, answer.evidence));
        }
        // A scripted kernel: it reads nothing.
        let (inline, leaf_path_at) = self.leaf(work, place.leaf)?;
        let (leaf, cell) = (place.leaf, place.cell);
        Some((AdjudicateArgs { leaf, cell, leaf_at: 0, leaf_path_at, openings: Vec::new(), inline }, None))
    }
}
