//! What is asked of a committed shard of ours: cells that were drawn, named or challenged, leaves that the renter wants
//! on the ledger. Found on the chain, told, answered by what is due first, and paid for.

use std::{collections::HashSet, sync::Arc};

use assay_client::{
    accounts::decode_data,
    answer::{InputTrees, ShardTree},
    ix,
};
use assay_settlement::{
    Challenge, ChallengeState, JobTerms, Shard,
    rules::{challenge::divide, draw::Place as CellPlace},
};
use futures_util::{StreamExt, stream};
use solana_pubkey::Pubkey;

use crate::{
    answer::{Answering, adjudicate, post},
    chain::{Order, closed, overtaken},
    context::{Context, JobContext, lock},
    error::{Result, WorkerError},
    events::{Action, ShardRef, What},
    execute::cell_is_right,
    fetch::blocking,
    obligation::{Did, shard_ref},
    step::{Asked, Demand, Wanted, is_asked},
    troubles::Place,
};

/// Cells and leaves of one shard that are answered at the same time.
const ANSWERS_AT_ONCE: usize = 4;
/// Bonds that one round of closing divides: there is always a next one.
const PAID_AT_ONCE: usize = 16;

impl Context {
    /// What is asked of a shard outside its own account; nothing is read where the account tells of nothing.
    pub(crate) async fn asked(&self, shard: &ShardRef, account: &Shard, terms: &JobTerms) -> Result<Asked> {
        let mut asked = Asked::default();
        if !is_asked(account, terms) || account.provider != self.provider {
            return Ok(asked);
        }
        if account.open_challenges > 0 {
            let found = self.chain.reader.challenges_of_shard(&shard.shard).await?;
            for (address, challenge) in &found {
                self.tell_challenge(shard, account, terms, address, challenge);
            }
            asked.challenges = found.into_iter().map(|(_, challenge)| challenge).collect();
        }
        if account.leaves_posted < account.leaves_demanded {
            asked.delivery = self.chain.reader.delivery(&shard.shard).await?;
        }
        Ok(asked)
    }

    fn tell_challenge(&self, shard: &ShardRef, account: &Shard, terms: &JobTerms, address: &Pubkey, found: &Challenge) {
        let place = terms.shard(account.index).and_then(|range| range.place(found.cell).ok());
        if let Some(place) = place
            && found.state() == Some(ChallengeState::Open)
            && lock(&self.challenges).insert(*address)
        {
            let due = found.due().time();
            let what = What::Challenged { leaf: place.leaf, cell: place.cell, bond: found.bond, due };
            self.tell(*shard, None, what);
        }
    }

    /// Answers what is asked of a shard, several things at a time, what is due first before the others.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        job: &Arc<JobContext>,
        shard: ShardRef,
        account: &Shard,
        demands: Vec<Demand>,
    ) -> Result<Did> {
        let inputs = job.inputs(&self.fetcher, Some(&self.store)).await?;
        let Some(result) = self.result(job, shard, account.root).await? else {
            self.forget_result(&shard.shard);
            return Ok(Did::Something);
        };
        let result = Arc::new(result);
        let answers = demands.into_iter().map(|demand| {
            let (result, inputs) = (result.clone(), inputs.clone());
            async move {
                let answering = Answering { context: self, due: demand.due };
                let place = match demand.wanted {
                    Wanted::Cell(place) => place,
                    Wanted::Leaf { at, leaf } => {
                        let posted = post(&self.chain, answering, shard, &result, at, leaf).await?;
                        let what = What::Posted { leaf, evidence: posted.evidence };
                        self.tell(shard, Some(posted.signature), what);
                        return Ok(());
                    }
                };
                self.make_sure(job, &result, &inputs, place).await?;
                let judged = adjudicate(&self.chain, Some(answering), &job.job, shard, &result, &inputs, place).await?;
                let what = What::Answered { leaf: place.leaf, cell: place.cell, evidence: judged.evidence };
                self.tell(shard, Some(judged.signature), what);
                Ok(())
            }
        });
        // Each is tried, whatever becomes of the others.
        let outcomes: Vec<Result<()>> = stream::iter(answers).buffer_unordered(ANSWERS_AT_ONCE).collect().await;
        let now = self.read_shard(&shard).await?;
        if now.is_some_and(|account| account.unpaid_challenges > 0) {
            let found = self.chain.reader.challenges_of_shard(&shard.shard).await?;
            // Nothing hangs on when the bonds are divided, and the next round of closing does what fails here.
            if let Err(error) = self.collect_bonds(found).await {
                self.trouble(Place::Tidying, Some(shard), &error);
            }
        }
        outcomes.into_iter().filter(|o| !o.as_ref().is_err_and(overtaken)).collect::<Result<()>>()?;
        let more = now.is_some_and(|account| is_asked(&account, &job.job.terms));
        Ok(if more { Did::Nothing } else { Did::Something })
    }

    /// Computes a cell of our own once more: bringing a wrong one before the judge would convict this provider at once.
    async fn make_sure(
        self: &Arc<Self>,
        job: &Arc<JobContext>,
        result: &Arc<ShardTree>,
        inputs: &Arc<InputTrees>,
        place: CellPlace,
    ) -> Result<()> {
        let (job, result, inputs) = (job.clone(), result.clone(), inputs.clone());
        let right =
            blocking(&self.tasks, move || cell_is_right(&job.job.terms, &inputs, &result, place.leaf, place.cell));
        if right.await? { Ok(()) } else { Err(WorkerError::SelfCheck { leaf: place.leaf, cell: place.cell }) }
    }

    /// Divides the bonds of challenges that were answered, by us or by somebody else. Each is tried.
    pub(crate) async fn collect_bonds(&self, challenges: Vec<(Pubkey, Challenge)>) -> Result<()> {
        let answered = challenges.into_iter().filter(|(_, c)| c.state() == Some(ChallengeState::Answered));
        let mut failed = Ok(());
        for (address, challenge) in answered.take(PAID_AT_ONCE) {
            match self.collect_bond(&address, &challenge).await {
                // Somebody else did.
                Err(error) if closed(&error) => {}
                Err(error) => failed = Err(error),
                Ok(()) => {}
            }
        }
        failed
    }

    async fn collect_bond(&self, address: &Pubkey, challenge: &Challenge) -> Result<()> {
        let Some(job) = self.chain.reader.find_job(&challenge.job).await? else { return Ok(()) };
        let provider = self.chain.reader.find_provider(&challenge.provider).await?;
        let account = self.chain.reader.rpc().account(&challenge.shard).await?;
        let account = account.and_then(|account| decode_data::<Shard>(&account.data));
        let shard = account.map(|account| shard_ref(challenge.job, account.index));
        let pay = ix::pay_challenge(address, challenge, &job, provider.as_ref());
        let order = Order { action: Action::PayChallenge, shard, instructions: &[pay], units: None };
        let signature = self.chain.send(order).await?;
        let amount = divide(challenge.bond, provider.is_some()).map_or(0, |parts| parts.provider);
        self.events.tell(shard, Some(signature), What::ChallengePaid { amount });
        Ok(())
    }

    /// Divides the bonds of all challenges of this provider that are answered, and forgets those that are gone.
    pub(crate) async fn collect_all_bonds(&self) -> Result<()> {
        let found = self.chain.reader.challenges_of_provider(&self.provider).await?;
        let there: HashSet<Pubkey> = found.iter().map(|(address, _)| *address).collect();
        lock(&self.challenges).retain(|address| there.contains(address));
        self.collect_bonds(found).await
    }
}
