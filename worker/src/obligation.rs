//! One step of one obligation: asks the chain where the shard is, decides, acts, and writes down where it is now. What
//! is asked of a committed shard is answered in `prove`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use assay_client::{ClientError, accounts::decode, ix};
use assay_settlement::{
    Shard, ShardState,
    rules::{shard::execution_deadline, time::Now, window::Window},
    seeds,
};
use solana_pubkey::Pubkey;

use crate::{
    chain::{Order, overtaken},
    context::{Context, JobContext, Task, lock},
    error::{Result, WorkerError},
    events::{Action, ShardRef, What},
    journal::{Obligation, State},
    step::{Fate, Here, Step, fate, may_draw, next, state_of},
    troubles::Place,
};

/// A computation that ended the process so often is not tried again while it can be given back.
const MAX_ATTEMPTS: u32 = 2;

/// Whether another step may follow at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Did {
    Something,
    Nothing,
}

impl Context {
    /// Drives an obligation as far as it goes now. Errors are kept as trouble of this shard and tried again later.
    pub async fn drive(self: Arc<Self>, obligation: Obligation) {
        let shard = obligation.shard;
        let place = Place::Shard(shard.shard);
        loop {
            match self.step(&obligation).await {
                Ok(Did::Something) => {
                    self.troubles.well(place);
                    // There may be room for another claim now.
                    self.wake.notify_one();
                }
                Ok(Did::Nothing) => return self.troubles.well(place),
                // The chain is ahead of what was read: look again in the next round.
                Err(error) if overtaken(&error) => return tracing::debug!(?shard, %error, "overtaken"),
                Err(WorkerError::Stopped) => return,
                Err(error) => return self.trouble(place, Some(shard), &error),
            }
        }
    }

    /// Draws for an obligation while something else is done for it, or could not be done. For who holds
    /// [`Task::Draw`].
    pub async fn draw_beside(self: Arc<Self>, shard: ShardRef) {
        let place = Place::Draw(shard.shard);
        let drawn = async {
            let Some(account) = self.read_shard(&shard).await? else { return Ok(Did::Nothing) };
            let ready = account.provider == self.provider && may_draw(&account, &self.chain.now().await?);
            if ready { self.draw(shard, &account).await } else { Ok(Did::Nothing) }
        };
        match drawn.await {
            Err(error) if !overtaken(&error) => self.trouble(place, Some(shard), &error),
            _ => self.troubles.well(place),
        }
    }

    pub async fn read_shard(&self, shard: &ShardRef) -> Result<Option<Shard>> {
        let account = self.chain.reader.rpc().account(&shard.shard).await?;
        match account {
            Some(account) if account.owner == assay_settlement::ID => Ok(Some(decode(&shard.shard, &account)?)),
            _ => Ok(None),
        }
    }

    /// Where the journal can't be read the last known row does.
    async fn step(self: &Arc<Self>, known: &Obligation) -> Result<Did> {
        let row = match self.noted(self.journal.get(&known.shard.shard)) {
            None => known.clone(),
            Some(None) => return Ok(Did::Nothing),
            Some(Some(row)) => row,
        };
        let shard = &row.shard;
        if row.state == State::Claiming
            && let Some(did) = self.resolve_claim(&row).await?
        {
            return Ok(did);
        }
        if row.state.is_final() {
            return Ok(Did::Nothing);
        }
        let Some(account) = self.read_shard(shard).await? else {
            // Closed after the job's end, or the job is gone with it; or a node that lags behind.
            if self.is_certain(&shard.shard) {
                self.noted(self.journal.advance(&shard.shard, State::GivenBack));
            }
            return Ok(Did::Nothing);
        };
        let job = self.job(&shard.job).await?;
        let now = self.chain.now().await?;
        let here = self.here(&row, &account).await?;
        let asked = self.asked(shard, &account, &job.job.terms).await?;
        self.pay_beside(*shard, &account);
        let step = next(&self.provider, &job.job.terms, Some(&account), &asked, here, &now);
        if step != Step::End(State::GivenBack) {
            self.is_sure(&shard.shard);
        }
        if account.provider == self.provider
            && let Some(state) = state_of(&account, here.has_result)
            && !matches!(step, Step::End(_))
        {
            self.noted(self.journal.advance(&shard.shard, state));
        }
        match step {
            Step::Wait => Ok(Did::Nothing),
            Step::End(State::GivenBack) if !self.is_certain(&shard.shard) => Ok(Did::Nothing),
            Step::End(state) => Ok(self.end(shard, &account, state)),
            Step::Compute => self.compute_for(&job, *shard, &account, &now).await,
            Step::Commit => self.commit(&job, *shard, &row).await,
            Step::Release => self.release(&job, *shard).await,
            Step::Draw => match self.take(Task::Draw(shard.shard)) {
                Some(_drawing) => self.draw(*shard, &account).await,
                None => Ok(Did::Nothing),
            },
            Step::Answer(demands) => self.answer(&job, *shard, &account, demands).await,
            Step::Settle => self.settle(&job, *shard, &account).await,
        }
    }

    /// What the chain can't know of an obligation.
    async fn here(&self, row: &Obligation, account: &Shard) -> Result<Here> {
        let shard = &row.shard;
        // The result is there: its root is known and its file exists. What it holds is checked when it is used. The chain
        // remembers a committed root even where the journal was lost, or had no room to write it down.
        let on_chain = matches!(account.state(), Some(ShardState::Committed | ShardState::Sampled))
            && !lock(&self.given_up).contains(&shard.shard);
        let path = self.store.result_path(&shard.shard);
        let what = || format!("looking for {}", path.display());
        let has_result = match self.root_of(row).or(on_chain.then_some(account.root)) {
            Some(_) => tokio::fs::try_exists(&path).await.map_err(WorkerError::io(what()))?,
            None => false,
        };
        if row.attempts >= MAX_ATTEMPTS && !has_result {
            let why = format!("computing shard {} ended the process {} times", shard.index, row.attempts);
            self.set_uncomputable(&shard.job, why);
        }
        Ok(Here {
            has_result,
            uncomputable: self.uncomputable(&shard.job).is_some(),
            compute_failed: lock(&self.compute_failed).contains(&shard.shard),
        })
    }

    /// A claim of unknown fate: ours if the chain says so (None: it goes on as such), lost once its transaction can't
    /// land any more.
    async fn resolve_claim(self: &Arc<Self>, row: &Obligation) -> Result<Option<Did>> {
        // The height first: what is not there afterwards never will be.
        let height = match &row.last {
            Some(_) => Some(self.chain.block_height().await?),
            None => None,
        };
        let shard = &row.shard.shard;
        let account = self.read_shard(&row.shard).await?;
        let can_land = row.last.as_ref().zip(height).is_some_and(|(sent, height)| height <= sent.last_valid);
        match (fate(&self.provider, account.as_ref(), can_land), account) {
            (Fate::Ours, Some(account)) => {
                self.is_sure(shard);
                self.noted(self.journal.set_price(shard, account.price));
                if self.noted(self.journal.advance(shard, State::Claimed)) == Some(true) {
                    let signature = row.last.as_ref().map(|sent| sent.signature);
                    let what = What::Claimed { price: account.price, collateral: account.collateral };
                    self.tell(row.shard, signature, what);
                }
                Ok(None)
            }
            (Fate::Open, _) => {
                self.is_sure(shard);
                Ok(Some(Did::Nothing))
            }
            _ => {
                // One that was never sent is lost for sure.
                if row.last.is_none() || self.is_certain(shard) {
                    self.noted(self.journal.advance(shard, State::GivenBack));
                }
                Ok(Some(Did::Nothing))
            }
        }
    }

    fn end(&self, shard: &ShardRef, account: &Shard, state: State) -> Did {
        if self.noted(self.journal.advance(&shard.shard, state)) == Some(true) {
            let what = match state {
                // Somebody else may have settled it for us; whoever did, it is told once.
                State::Settled => What::Settled { price: account.price },
                State::Slashed => What::Slashed { fault: account.fault },
                _ => What::GivenBack { reason: "the claim has ended".to_owned() },
            };
            self.tell(*shard, None, what);
        }
        Did::Nothing
    }

    async fn compute_for(
        self: &Arc<Self>,
        job: &Arc<JobContext>,
        shard: ShardRef,
        account: &Shard,
        now: &Now,
    ) -> Result<Did> {
        let claimed = account.state() == Some(ShardState::Claimed);
        if self.troubles.has(Place::Backend) && claimed {
            return self.release(job, shard).await;
        }
        // Late already, it is worth a try: a late commitment counts until somebody ends the claim.
        let left = execution_deadline(account, &job.job.terms).time().saturating_sub(now.time);
        let left = u64::try_from(left).ok().filter(|left| claimed && *left > 0);
        let until = left.and_then(|left| Instant::now().checked_add(Duration::from_secs(left)));
        let computed = self.compute(job, shard, until, !claimed).await;
        match &computed {
            Ok(_) => _ = lock(&self.compute_failed).remove(&shard.shard),
            // A disk that gives back something else than was written is this shard's trouble.
            Err(WorkerError::Chain(ClientError::ResultChanged | ClientError::ResultUnreadable { .. })) => {
                lock(&self.compute_failed).insert(shard.shard);
            }
            // The chain's is not, and a stop is no failure.
            Err(WorkerError::Chain(_) | WorkerError::Stopped) => {}
            Err(_) => _ = lock(&self.compute_failed).insert(shard.shard),
        }
        match computed {
            Ok(root) if !claimed && root != account.root => {
                self.store.remove_result(&shard.shard)?;
                self.forget_result(&shard.shard);
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
                    WorkerError::TooSlow { .. } => self.set_uncomputable(&shard.job, error.to_string()),
                    _ => return Err(error),
                }
                if claimed { self.release(job, shard).await } else { Err(error) }
            }
        }
    }

    async fn commit(self: &Arc<Self>, job: &Arc<JobContext>, shard: ShardRef, row: &Obligation) -> Result<Did> {
        let Some(root) = self.root_of(row) else { return Ok(Did::Something) };
        if self.result(job, shard, root).await?.is_none() {
            // The disk does not hold what was computed: compute it again, after a pause, rather than commit what can't be
            // proven. Where that goes on the claim goes back.
            self.forget_result(&shard.shard);
            lock(&self.compute_failed).insert(shard.shard);
            return Err(WorkerError::ResultDamaged { shard: shard.shard });
        }
        let commit = ix::commit_result(self.chain.me(), &shard.job, &self.provider, shard.index, root);
        let order = Order { action: Action::CommitResult, shard: Some(shard), instructions: &[commit], units: None };
        let signature = self.chain.send(order).await?;
        self.noted(self.journal.advance(&shard.shard, State::Committed));
        let window = self.read_shard(&shard).await.ok().flatten().map_or(0, |account| account.window);
        self.tell(shard, Some(signature), What::Committed { root: hex::encode(root), window });
        Ok(Did::Something)
    }

    async fn release(self: &Arc<Self>, job: &Arc<JobContext>, shard: ShardRef) -> Result<Did> {
        let provider = self.chain.reader.provider(&self.provider).await?;
        let release = ix::release_claim(self.chain.me(), &shard.job, &job.job, &self.provider, &provider, shard.index);
        let order = Order { action: Action::ReleaseClaim, shard: Some(shard), instructions: &[release], units: None };
        let signature = self.chain.send(order).await?;
        self.noted(self.journal.advance(&shard.shard, State::GivenBack));
        lock(&self.compute_failed).remove(&shard.shard);
        let reason = self.uncomputable(&shard.job).or_else(|| self.troubles.words().into_iter().next());
        self.tell(shard, Some(signature), What::GivenBack { reason: reason.unwrap_or_default() });
        Ok(Did::Nothing)
    }

    /// Draws the cells, recording the seed in the same transaction where nobody has.
    async fn draw(self: &Arc<Self>, shard: ShardRef, account: &Shard) -> Result<Did> {
        let window = account.window;
        let draw = ix::draw_samples(&shard.job, shard.index, window);
        let mut instructions = vec![draw];
        let mut recording = None;
        if self.chain.reader.draw_seed(window).await?.is_none() {
            match self.chain.reader.draw_window(window).await? {
                Window::TooEarly => return Ok(Did::Nothing),
                Window::AgedOut => return self.roll(shard, window).await,
                Window::Ready(_) => {}
            }
            // Shards of one window share a seed: one of ours records it, the others look again.
            let Some(busy) = self.take(Task::Seed(window)) else { return Ok(Did::Nothing) };
            recording = Some(busy);
            instructions.insert(0, ix::record_seed(self.chain.me(), window));
        }
        let order = Order { action: Action::DrawSamples, shard: Some(shard), instructions: &instructions, units: None };
        let sent = self.chain.send(order).await;
        let signature = match sent {
            // Another provider was first to record it, or drew for us: the next look tells.
            Err(error) if recording.is_some() && overtaken(&error) => return Ok(Did::Nothing),
            sent => sent?,
        };
        drop(recording);
        self.noted(self.journal.advance(&shard.shard, State::Sampled));
        // The others of its window draw now.
        self.wake.notify_one();
        let drawn = self.read_shard(&shard).await.ok().flatten();
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

    async fn settle(self: &Arc<Self>, job: &Arc<JobContext>, shard: ShardRef, account: &Shard) -> Result<Did> {
        let provider = self.chain.reader.provider(&self.provider).await?;
        let settle = ix::settle_shard(&shard.job, &job.job, &self.provider, &provider, shard.index);
        let order = Order { action: Action::SettleShard, shard: Some(shard), instructions: &[settle], units: None };
        let signature = self.chain.send(order).await?;
        if self.noted(self.journal.advance(&shard.shard, State::Settled)) == Some(true) {
            self.tell(shard, Some(signature), What::Settled { price: account.price });
        }
        Ok(Did::Nothing)
    }
}

/// The reference to shard `index` of a job.
pub(crate) fn shard_ref(job: Pubkey, index: u32) -> ShardRef {
    ShardRef { job, index, shard: seeds::shard(&job, index) }
}
