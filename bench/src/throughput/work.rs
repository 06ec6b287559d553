//! The shards of one pair's job: results computed beforehand, and the transactions of each phase.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use assay_client::{
    answer::{Answer, InputTrees, ShardTree},
    ix,
};
use assay_kernels::executor::{Backend as _, Cpu, Inputs};
use assay_settlement::{Shard, seeds};

use crate::{
    flood::Order,
    scene::{Pair, params},
};

/// Compute units asked for: some more than docs/bench-cu.md says.
const CLAIM: u32 = 30_000;
const COMMIT: u32 = 10_000;
const DRAW: u32 = 15_000;
const ADJUDICATE: u32 = 60_000;
const SETTLE: u32 = 25_000;

/// A pair and what its provider has computed.
pub struct Work<'a> {
    /// Whose it is.
    pub pair: &'a Pair,
    trees: Vec<ShardTree>,
}

impl<'a> Work<'a> {
    /// Computes every shard.
    pub fn new(pair: &'a Pair) -> Result<Self> {
        let terms = &pair.job_data.terms;
        let params = params(terms.shards).to_bytes();
        let tree = |index| {
            let range = terms.shard(index).context("the job has no such shard")?;
            let leaves = range.first_leaf..range.first_leaf + range.leaves;
            let bytes = Cpu.run(terms.kernel_id, &params, &Inputs::default(), leaves)?;
            Ok(ShardTree::new(terms, index, &seeds::shard(&pair.job, index), &pair.provider, bytes)?)
        };
        Ok(Self { pair, trees: (0..terms.shards).map(tree).collect::<Result<_>>()? })
    }

    fn each(&self, units: u32, make: impl Fn(u32) -> solana_instruction::Instruction) -> Vec<Order<'a>> {
        let one = |index| Order { instructions: vec![make(index)], signers: vec![&self.pair.operator], units };
        (0..self.pair.job_data.terms.shards).map(one).collect()
    }

    fn me(&self) -> solana_pubkey::Pubkey {
        solana_signer::Signer::pubkey(&self.pair.operator)
    }

    /// For comparison: as many transactions that move a lamport from a wallet to itself.
    pub fn transfers(&self) -> Vec<Order<'a>> {
        let me = self.me();
        self.each(1_000, |index| solana_system_interface::instruction::transfer(&me, &me, u64::from(index) + 1))
    }

    /// Claims of every shard.
    pub fn claims(&self) -> Vec<Order<'a>> {
        let Pair { job, job_data, provider, .. } = self.pair;
        self.each(CLAIM, |index| ix::claim_shard(self.me(), job, job_data, provider, index, 0))
    }

    /// Their commitments.
    pub fn commitments(&self) -> Vec<Order<'a>> {
        let Pair { job, provider, .. } = self.pair;
        self.each(COMMIT, |index| ix::commit_result(self.me(), job, provider, index, self.trees[index as usize].root()))
    }

    /// Their draws. `shards`: as they are on the chain, by index.
    pub fn draws(&self, shards: &[Shard]) -> Vec<Order<'a>> {
        self.each(DRAW, |index| ix::draw_samples(&self.pair.job, index, shards[index as usize].window))
    }

    /// An adjudication of each cell that was drawn.
    pub fn answers(&self, shards: &[Shard]) -> Result<Vec<Order<'a>>> {
        let Pair { job, job_data, operator, .. } = self.pair;
        let inputs = InputTrees::default();
        let mut orders = Vec::new();
        for (shard, tree) in shards.iter().zip(&self.trees) {
            let range = job_data.terms.shard(shard.index).context("the job has no such shard")?;
            let drawn = &shard.cells[..usize::from(shard.drawn)];
            ensure!(!drawn.is_empty(), "shard {} has no drawn cells", shard.index);
            for number in drawn.iter().collect::<BTreeSet<_>>() {
                let place = range.place(*number).ok().context("there is no such cell")?;
                let answer = Answer::build(job_data, shard.index, tree, &inputs, place)?;
                ensure!(answer.evidence.is_none(), "a pixel has no inputs");
                let judge = ix::adjudicate(self.me(), job, job_data, shard.index, None, answer.args);
                orders.push(Order { instructions: vec![judge], signers: vec![operator], units: ADJUDICATE });
            }
        }
        Ok(orders)
    }

    /// Their settlements.
    pub fn settlements(&self) -> Vec<Order<'a>> {
        let Pair { job, job_data, provider, provider_data, .. } = self.pair;
        self.each(SETTLE, |index| ix::settle_shard(job, job_data, provider, provider_data, index))
    }
}
