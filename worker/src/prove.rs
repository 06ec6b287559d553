//! What is asked of a committed shard of ours: cells that were drawn, named or challenged, leaves that the renter wants
//! on the ledger. Found on the chain, told, answered by what is due first, and paid for. Each answer is a task of its own.

use std::{collections::HashSet, sync::Arc, time::Instant};

use assay_client::{accounts::decode_data, answer::InputTrees, client_error::ClientError, ix, result::ResultFile};
use assay_settlement::{
    Challenge, ChallengeState, JobTerms, Shard,
    rules::{challenge::divide, draw::Place},
};
use solana_pubkey::Pubkey;
use tokio::sync::watch;

use crate::{
    answer::{Answering, adjudicate, post},
    chain::{Order, closed, overtaken, told},
    context::{Busy, Context, JobContext, Task, lock},
    error::{Result, WorkerError},
    events::{Action, ShardRef, What},
    execute::cell_is_right,
    fetch::blocking,
    obligation::{Did, shard_ref},
    step::{Asked, Demand, Wanted, at_work, is_asked},
    troubles::Place as Trouble,
};

/// Cells and leaves of one shard that are answered at the same time, besides those that something more urgent has overtaken.
const ANSWERS_AT_ONCE: usize = 8;
/// Bonds that one round of closing divides: there is always a next one.
const PAID_AT_ONCE: usize = 16;

/// What an answer is made of.
struct Of {
    job: Arc<JobContext>,
    shard: ShardRef,
    inputs: Arc<InputTrees>,
    result: Arc<ResultFile>,
}

/// An answer that is tried. It counts as failed where it ends in a way that nothing else tells of: a panic, a stop.
struct Trying<'a> {
    context: &'a Context,
    shard: Pubkey,
    wanted: Wanted,
    is_told: bool,
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            lock(&self.context.tries).failed(&self.shard, &self.wanted, Instant::now(), String::new());
        }
    }
}

impl Context {
    /// What is asked of a shard outside its own account; nothing is read where the account tells of nothing.
    pub(crate) async fn asked(&self, shard: &ShardRef, account: &Shard, terms: &JobTerms) -> Result<Asked> {
        let mut asked = Asked::default();
        if !is_asked(account, terms) || account.provider != self.provider {
            self.forget_answers(&shard.shard);
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

    /// Nothing is asked of a shard any more: nothing of its answers is remembered.
    fn forget_answers(&self, shard: &Pubkey) {
        lock(&self.results).remove(shard);
        lock(&self.tries).keep(shard, &[]);
        self.troubles.well(Trouble::Answer(*shard));
    }

    /// Sees to it that the answers to what is due first are in work, each beside everything else. What is asked is read anew
    /// whenever one has ended and in every round of the daemon, so that nothing waits for what is due later: neither here nor,
    /// as the transactions of all answers pass one gate by [`Demand::rank`], behind another shard.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        job: &Arc<JobContext>,
        shard: ShardRef,
        account: &Shard,
        demands: Vec<Demand>,
    ) -> Result<Did> {
        let now = Instant::now();
        let first: Vec<Demand> = {
            let mut tries = lock(&self.tries);
            tries.keep(&shard.shard, &demands);
            tries.hurry(&shard.shard, &demands);
            at_work(&demands, ANSWERS_AT_ONCE, |wanted| tries.rests(&shard.shard, wanted, now))
        };
        self.note_recovery(&shard.shard);
        let free = |demand: Demand| {
            let Place { leaf, cell } = demand.wanted.place();
            self.take(Task::Answer(shard.shard, leaf, cell)).map(|busy| (demand, busy))
        };
        let begun: Vec<(Demand, Busy)> = first.into_iter().filter_map(free).collect();
        if begun.is_empty() {
            return Ok(Did::Nothing);
        }
        let inputs = job.inputs(&self.fetcher, Some(&self.store)).await?;
        let Some(result) = self.result_at_hand(job, shard, account.root).await? else {
            self.forget_result(&shard.shard);
            return Ok(Did::Something);
        };
        for (demand, busy) in begun {
            let of = Of { job: job.clone(), shard, inputs: inputs.clone(), result: result.clone() };
            self.spawn(busy, Trouble::Answer(shard.shard), Some(shard), self.clone().try_answer(of, demand));
        }
        Ok(Did::Nothing)
    }

    /// A shard's result, read and checked once for as long as anything is asked of it.
    async fn result_at_hand(
        self: &Arc<Self>,
        job: &Arc<JobContext>,
        shard: ShardRef,
        root: [u8; 32],
    ) -> Result<Option<Arc<ResultFile>>> {
        let known = lock(&self.results).get(&shard.shard).cloned();
        if let Some(known) = known.filter(|known| known.root() == root) {
            return Ok(Some(known));
        }
        let Some(read) = self.result(job, shard, root).await?.map(Arc::new) else { return Ok(None) };
        lock(&self.results).insert(shard.shard, read.clone());
        Ok(Some(read))
    }

    /// No failed answer is left: that trouble is over.
    fn note_recovery(&self, shard: &Pubkey) {
        if !lock(&self.tries).any_failed(shard) {
            self.troubles.well(Trouble::Answer(*shard));
        }
    }

    /// One answer, as far as it goes now; what fails is tried again after a pause of its own.
    async fn try_answer(self: Arc<Self>, of: Of, demand: Demand) {
        let shard = of.shard;
        let rank = lock(&self.tries).begin(&shard.shard, &demand);
        let mut trying = Trying { context: &self, shard: shard.shard, wanted: demand.wanted, is_told: false };
        let outcome = self.give(&of, demand.wanted, &rank).await;
        if matches!(outcome, Err(WorkerError::Stopped)) {
            return;
        }
        trying.is_told = true;
        let now = Instant::now();
        match outcome {
            Ok(()) => {
                lock(&self.tries).given(&shard.shard, &demand.wanted, now);
                // The next one may begin.
                self.wake.notify_one();
            }
            // The chain is ahead of what was read: look again in the next round.
            Err(error) if overtaken(&error) => {
                lock(&self.tries).given(&shard.shard, &demand.wanted, now);
                tracing::debug!(?shard, %error, "overtaken");
            }
            // Disk and tree differ, or the disk gives nothing any more: in the next round it is computed again.
            Err(WorkerError::Chain(error @ (ClientError::ResultChanged | ClientError::ResultUnreadable { .. }))) => {
                lock(&self.tries).given(&shard.shard, &demand.wanted, now);
                tracing::error!(?shard, %error, "the result on disk is given up");
                self.forget_result(&shard.shard);
                self.wake.notify_one();
            }
            Err(error) => {
                let is_new = lock(&self.tries).failed(&shard.shard, &demand.wanted, now, told(&error));
                if is_new {
                    self.trouble(Trouble::Answer(shard.shard), Some(shard), &error);
                }
            }
        }
        self.note_recovery(&shard.shard);
    }

    async fn give(self: &Arc<Self>, of: &Of, wanted: Wanted, rank: &watch::Receiver<i64>) -> Result<()> {
        let Of { job, shard, inputs, result } = of;
        let answering = Answering { context: self, rank };
        let place = match wanted {
            Wanted::Cell(place) => place,
            Wanted::Leaf { at, leaf } => {
                let posted = post(&self.chain, answering, *shard, result, at, leaf).await?;
                let what = What::Posted { leaf, evidence: posted.evidence };
                self.tell(*shard, Some(posted.signature), what);
                return Ok(());
            }
        };
        self.make_sure(job, result, inputs, place).await?;
        let judged = adjudicate(&self.chain, Some(answering), &job.job, *shard, result, inputs, place).await?;
        let what = What::Answered { leaf: place.leaf, cell: place.cell, evidence: judged.evidence };
        self.tell(*shard, Some(judged.signature), what);
        Ok(())
    }

    /// Divides bonds of a shard's answered challenges, where there are any, beside everything else: nothing hangs on when.
    pub(crate) fn pay_beside(self: &Arc<Self>, shard: ShardRef, account: &Shard) {
        let place = Trouble::Bonds(shard.shard);
        if account.unpaid_challenges == 0 || account.provider != self.provider || !self.troubles.may_try(place) {
            return;
        }
        let Some(busy) = self.take(Task::Bonds(shard.shard)) else { return };
        let this = self.clone();
        self.spawn(busy, place, Some(shard), async move {
            let paid = async {
                let found = this.chain.reader.challenges_of_shard(&shard.shard).await?;
                this.collect_bonds(found).await
            };
            match paid.await {
                Ok(()) => this.troubles.well(place),
                Err(error) => this.trouble(place, Some(shard), &error),
            }
        });
    }

    /// Computes a cell of our own once more: bringing a wrong one before the judge would convict this provider at once.
    async fn make_sure(
        self: &Arc<Self>,
        job: &Arc<JobContext>,
        result: &Arc<ResultFile>,
        inputs: &Arc<InputTrees>,
        place: Place,
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
