//! One step of one obligation: asks the chain where the shard is, decides, acts, and writes down where it is now.

use std::sync::Arc;

use assay_client::{accounts::decode, ix};
use assay_settlement::{
    Shard, ShardState,
    rules::{draw::Place as CellPlace, shard::unanswered, window::Window},
    seeds,
};
use futures_util::{StreamExt, stream};
use solana_pubkey::Pubkey;

use crate::{
    answer::{adjudicate, close_evidence},
    chain::{Order, overtaken},
    context::{Context, JobContext, Place},
    error::{Result, WorkerError},
    events::{Action, ShardRef, What},
    execute::cell_is_right,
    fetch::blocking,
    journal::{Obligation, State},
    step::{Fate, Here, Step, fate, next, state_of},
};

/// Cells of one shard that are answered at the same time.
const ANSWERS_AT_ONCE: usize = 4;

/// Whether another step may follow at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    Something,
    Nothing,
}

impl Context {
    /// Drives an obligation as far as it goes now. Errors are kept as trouble of this shard and tried again later.
    pub async fn drive(self: Arc<Self>, obligation: Obligation) {
        let shard = obligation.shard;
        let place = Place::Shard(shard.shard);
        loop {
            match self.step(&shard).await {
                Ok(Did::Something) => {
                    self.well(place);
                    // There may be room for another claim now.
                    self.wake.notify_one();
                }
                Ok(Did::Nothing) => return self.well(place),
                // The chain is ahead of what was read: look again in the next round.
                Err(error) if overtaken(&error) => return tracing::debug!(?shard, %error, "overtaken"),
                Err(error) => return self.trouble(place, Some(shard), &error),
            }
        }
    }

    async fn read_shard(&self, shard: &ShardRef) -> Result<Option<Shard>> {
        let account = self.chain.reader.rpc().account(&shard.shard).await?;
        match account {
            Some(account) if account.owner == assay_settlement::ID => Ok(Some(decode(&shard.shard, &account)?)),
            _ => Ok(None),
        }
    }

    async fn step(self: &Arc<Self>, shard: &ShardRef) -> Result<Did> {
        let Some(row) = self.journal.get(&shard.shard)? else { return Ok(Did::Nothing) };
        if row.state == State::Claiming {
            return self.resolve_claim(&row).await;
        }
        if row.state.is_final() {
            return Ok(Did::Nothing);
        }
        let account = self.read_shard(shard).await?;
        if account.is_none() {
            // Closed after the job's end, or the job is gone with it.
            self.journal.advance(&shard.shard, State::GivenBack)?;
            return Ok(Did::Nothing);
        }
        let job = self.job(&shard.job).await?;
        let now = self.chain.now().await?;
        let here = Here {
            has_result: self.has_result(&row).await?,
            uncomputable: self.uncomputable(&shard.job).is_some(),
            failing: self.is_troubled(Place::Shard(shard.shard)),
        };
        let step = next(&self.provider, &job.job.terms, account.as_ref(), here, &now);
        let Some(account) = account else { return Ok(Did::Nothing) };
        if account.provider == self.provider
            && let Some(state) = state_of(&account, here.has_result)
            && !matches!(step, Step::End(_))
        {
            self.journal.advance(&shard.shard, state)?;
        }
        match step {
            Step::Wait => Ok(Did::Nothing),
            Step::End(state) => self.end(shard, &account, state),
            Step::Compute => self.compute_for(&job, *shard, &account).await,
            Step::Commit => self.commit(&job, *shard, &row).await,
            Step::Release => self.release(&job, *shard).await,
            Step::Draw => self.draw(*shard, &account).await,
            Step::Answer(cells) => self.answer(&job, *shard, &account, cells).await,
            Step::Settle => self.settle(&job, *shard, &account).await,
        }
    }

    /// The result is there: its root is written down and its file exists. What the file holds is checked when used.
    async fn has_result(self: &Arc<Self>, row: &Obligation) -> Result<bool> {
        let path = self.store.result_path(&row.shard.shard);
        Ok(row.root.is_some() && tokio::fs::try_exists(path).await.unwrap_or(false))
    }

    /// A claim of unknown fate: ours if the chain says so, lost once its transaction can't land any more.
    async fn resolve_claim(self: &Arc<Self>, row: &Obligation) -> Result<Did> {
        // The height first: what is not there afterwards never will be.
        let height = match &row.last {
            Some(_) => Some(self.chain.block_height().await?),
            None => None,
        };
        let account = self.read_shard(&row.shard).await?;
        let can_land = row.last.as_ref().zip(height).is_some_and(|(sent, height)| height <= sent.last_valid);
        match (fate(&self.provider, account.as_ref(), can_land), account) {
            (Fate::Ours, Some(account)) => {
                self.journal.set_price(&row.shard.shard, account.price)?;
                self.journal.advance(&row.shard.shard, State::Claimed)?;
                let signature = row.last.as_ref().map(|sent| sent.signature);
                self.tell(row.shard, signature, What::Claimed { price: account.price, collateral: account.collateral });
                Ok(Did::Something)
            }
            (Fate::Open, _) => Ok(Did::Nothing),
            _ => {
                self.journal.advance(&row.shard.shard, State::GivenBack)?;
                Ok(Did::Nothing)
            }
        }
    }

    fn end(&self, shard: &ShardRef, account: &Shard, state: State) -> Result<Did> {
        if self.journal.advance(&shard.shard, state)? {
            let what = match state {
                // Somebody else may have settled it for us; whoever did, it is told once.
                State::Settled => What::Settled { price: account.price },
                State::Slashed => What::Slashed { fault: account.fault },
                _ => What::GivenBack { reason: "the claim has ended".to_owned() },
            };
            self.tell(*shard, None, what);
        }
        Ok(Did::Nothing)
    }

    async fn compute_for(self: &Arc<Self>, job: &Arc<JobContext>, shard: ShardRef, account: &Shard) -> Result<Did> {
        if self.is_troubled(Place::Backend) && account.state() == Some(ShardState::Claimed) {
            return self.release(job, shard).await;
        }
        match self.compute(job, shard).await {
            Ok(root) if account.state() != Some(ShardState::Claimed) && root != account.root => {
                self.store.remove_result(&shard.shard)?;
                self.journal.forget_result(&shard.shard)?;
                Err(WorkerError::ResultLost { shard: shard.shard })
            }
            Ok(_) => Ok(Did::Something),
            Err(error) => {
                match &error {
                    // It would do the same again; claims go back at once, while that is cheap.
                    WorkerError::SelfCheck { .. } | WorkerError::Backend { broken: true, .. } => {
                        self.trouble(Place::Backend, Some(shard), &error);
                    }
                    WorkerError::Backend { why, .. } => self.set_uncomputable(&shard.job, why.clone()),
                    _ => return Err(error),
                }
                if account.state() == Some(ShardState::Claimed) { self.release(job, shard).await } else { Err(error) }
            }
        }
    }

    async fn commit(self: &Arc<Self>, job: &Arc<JobContext>, shard: ShardRef, row: &Obligation) -> Result<Did> {
        let Some(root) = row.root else { return Ok(Did::Something) };
        if self.result(job, shard, root).await?.is_none() {
            // The disk does not hold what was computed: compute it again rather than commit what can't be proven.
            self.journal.forget_result(&shard.shard)?;
            return Ok(Did::Something);
        }
        let commit = ix::commit_result(self.chain.me(), &shard.job, &self.provider, shard.index, root);
        let order = Order { action: Action::CommitResult, shard: Some(shard), instructions: &[commit], units: None };
        let signature = self.chain.send(order).await?;
        self.journal.advance(&shard.shard, State::Committed)?;
        let window = self.read_shard(&shard).await?.map_or(0, |account| account.window);
        self.tell(shard, Some(signature), What::Committed { root: hex::encode(root), window });
        Ok(Did::Something)
    }

    async fn release(self: &Arc<Self>, job: &Arc<JobContext>, shard: ShardRef) -> Result<Did> {
        let provider = self.chain.reader.provider(&self.provider).await?;
        let release = ix::release_claim(self.chain.me(), &shard.job, &job.job, &self.provider, &provider, shard.index);
        let order = Order { action: Action::ReleaseClaim, shard: Some(shard), instructions: &[release], units: None };
        let signature = self.chain.send(order).await?;
        self.journal.advance(&shard.shard, State::GivenBack)?;
        let reason = self.uncomputable(&shard.job).or_else(|| self.troubles().into_iter().next());
        self.tell(shard, Some(signature), What::GivenBack { reason: reason.unwrap_or_default() });
        Ok(Did::Nothing)
    }

    async fn draw(self: &Arc<Self>, shard: ShardRef, account: &Shard) -> Result<Did> {
        let window = account.window;
        if self.chain.reader.draw_seed(window).await?.is_none() {
            match self.chain.reader.draw_window(window).await? {
                Window::TooEarly => return Ok(Did::Nothing),
                Window::AgedOut => return self.roll(shard, window).await,
                Window::Ready(_) => {}
            }
            // Shards of one window share a seed: one of ours records it, the others look again.
            let Some(_recording) = self.take(seeds::draw_seed(window)) else { return Ok(Did::Nothing) };
            let record = ix::record_seed(self.chain.me(), window);
            let order = Order { action: Action::RecordSeed, shard: Some(shard), instructions: &[record], units: None };
            match self.chain.send(order).await {
                Err(error) if !overtaken(&error) => return Err(error),
                // Another provider was first.
                _ => {}
            }
        }
        let draw = ix::draw_samples(&shard.job, shard.index, window);
        let order = Order { action: Action::DrawSamples, shard: Some(shard), instructions: &[draw], units: None };
        let signature = self.chain.send(order).await?;
        self.journal.advance(&shard.shard, State::Sampled)?;
        let drawn = self.read_shard(&shard).await?;
        let cells = drawn.map_or_else(Vec::new, |a| a.cells.iter().take(usize::from(a.drawn)).copied().collect());
        self.tell(shard, Some(signature), What::Drawn { cells });
        Ok(Did::Something)
    }

    async fn roll(self: &Arc<Self>, shard: ShardRef, window: u64) -> Result<Did> {
        let roll = ix::roll_window(self.chain.me(), &shard.job, shard.index, window);
        let order = Order { action: Action::RollWindow, shard: Some(shard), instructions: &[roll], units: None };
        let signature = self.chain.send(order).await?;
        if let Some(account) = self.read_shard(&shard).await? {
            self.tell(shard, Some(signature), What::Rolled { window: account.window, owed: account.owed_renter });
        }
        Ok(Did::Something)
    }

    async fn answer(
        self: &Arc<Self>,
        job: &Arc<JobContext>,
        shard: ShardRef,
        account: &Shard,
        cells: Vec<CellPlace>,
    ) -> Result<Did> {
        let inputs = job.inputs(&self.fetcher, Some(&self.store)).await?;
        let Some(result) = self.result(job, shard, account.root).await? else {
            self.journal.forget_result(&shard.shard)?;
            return Ok(Did::Something);
        };
        let result = Arc::new(result);
        let answers = cells.into_iter().map(|place| {
            let (result, inputs) = (result.clone(), inputs.clone());
            async move {
                let (job_, result_, inputs_) = (job.clone(), result.clone(), inputs.clone());
                let right = blocking(&self.tasks, move || {
                    cell_is_right(&job_.job.terms, &inputs_, &result_, place.leaf, place.cell)
                });
                if !right.await? {
                    // Bringing a wrong cell before the judge would convict this provider at once.
                    return Err(WorkerError::SelfCheck { leaf: place.leaf, cell: place.cell });
                }
                let judged =
                    adjudicate(&self.chain, Some(&self.journal), &job.job, shard, &result, &inputs, place).await?;
                let what = What::Answered { leaf: place.leaf, cell: place.cell, evidence: judged.evidence };
                self.tell(shard, Some(judged.signature), what);
                Ok(())
            }
        });
        // Each cell is tried, whatever becomes of the others.
        let outcomes: Vec<Result<()>> = stream::iter(answers).buffer_unordered(ANSWERS_AT_ONCE).collect().await;
        outcomes.into_iter().filter(|o| !o.as_ref().is_err_and(overtaken)).collect::<Result<()>>()?;
        let left = self.read_shard(&shard).await?.map_or(0, |account| unanswered(&account, &job.job.terms));
        Ok(if left == 0 { Did::Something } else { Did::Nothing })
    }

    async fn settle(self: &Arc<Self>, job: &Arc<JobContext>, shard: ShardRef, account: &Shard) -> Result<Did> {
        let provider = self.chain.reader.provider(&self.provider).await?;
        let settle = ix::settle_shard(&shard.job, &job.job, &self.provider, &provider, shard.index);
        let order = Order { action: Action::SettleShard, shard: Some(shard), instructions: &[settle], units: None };
        let signature = self.chain.send(order).await?;
        if self.journal.advance(&shard.shard, State::Settled)? {
            self.tell(shard, Some(signature), What::Settled { price: account.price });
        }
        Ok(Did::Nothing)
    }

    /// Closes evidence accounts that a crash or a lost answer left behind, of shards that nobody works on now.
    pub async fn close_left_evidence(self: &Arc<Self>) -> Result<()> {
        for (address, shard) in self.journal.evidence()? {
            let Some(_busy) = self.take(shard) else { continue };
            let Some(row) = self.journal.get(&shard)? else { continue };
            // Still to be answered: the next answer uses it.
            if !row.state.is_final() && self.still_demands(&row.shard).await? {
                continue;
            }
            close_evidence(&self.chain, Some(&self.journal), Some(row.shard), &address).await?;
        }
        Ok(())
    }

    async fn still_demands(self: &Arc<Self>, shard: &ShardRef) -> Result<bool> {
        let Some(account) = self.read_shard(shard).await? else { return Ok(false) };
        let job = self.job(&shard.job).await?;
        Ok(unanswered(&account, &job.job.terms) != 0)
    }
}

/// The reference to shard `index` of a job.
pub(crate) fn shard_ref(job: Pubkey, index: u32) -> ShardRef {
    ShardRef { job, index, shard: seeds::shard(&job, index) }
}
