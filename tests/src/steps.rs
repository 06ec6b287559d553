//! Every step of a job as one call on a [`World`]: `..._ix` builds the instruction, the plain name sends it and insists
//! that it lands.

use crate::{
    chain::{Actor, Receipt, Refusal},
    work::{Spec, Task, Work},
    world::{EXECUTE, LIFE, PRICES, Provider, RAMP, VERIFIER, World},
};
use assay_client::{answer::Answer, ix};
use assay_settlement::{
    Kernel, Shard,
    constants::{NOBODY, WINDOW_SLOTS},
    instructions::JobRequest,
    rules::window,
    seeds,
};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

impl World {
    /// What the renter usually asks for.
    pub fn request(&self, renter: &Actor, spec: &Spec) -> JobRequest {
        JobRequest {
            nonce: self.find::<assay_settlement::Renter>(&seeds::renter(&renter.id())).map_or(0, |r| r.next_nonce),
            price_start: PRICES.0,
            price_max: PRICES.1,
            ramp_seconds: RAMP,
            execute_seconds: EXECUTE,
            life_seconds: LIFE,
            shard_leaves: spec.shard_leaves,
            reserved_for: NOBODY,
            watch_keys: [self.watcher.id(), NOBODY],
            locator: "http://127.0.0.1:2".to_owned(),
            inputs: spec.input_trees(),
            params: spec.params.clone(),
            ..JobRequest::default()
        }
    }

    /// A job on a kernel of our verifier.
    pub fn create_ix(&self, renter: &Actor, spec: &Spec, request: JobRequest) -> Instruction {
        self.create_on_ix(renter, &seeds::kernel(&VERIFIER, spec.kernel), request)
    }

    /// A job on any kernel.
    pub fn create_on_ix(&self, renter: &Actor, kernel: &Pubkey, request: JobRequest) -> Instruction {
        let data: Kernel = self.read(kernel);
        ix::create_job(
            renter.id(),
            renter.id(),
            &self.market,
            &self.market_data(),
            kernel,
            &data,
            renter.tokens,
            request,
        )
    }

    /// Creates a job with changes to the usual request.
    #[track_caller]
    pub fn create_with(&mut self, spec: Spec, change: impl FnOnce(&mut JobRequest)) -> Task {
        let renter = self.renter.clone();
        let mut request = self.request(&renter, &spec);
        change(&mut request);
        let job = seeds::job(&renter.id(), request.nonce);
        self.ok(&[self.create_ix(&renter, &spec, request)], &[&renter]);
        Task { job, renter, spec }
    }

    /// Creates a job.
    #[track_caller]
    pub fn create(&mut self, spec: Spec) -> Task {
        self.create_with(spec, |_| ())
    }

    /// Takes no more claims.
    #[track_caller]
    pub fn cancel(&mut self, task: &Task) -> Receipt {
        self.ok(&[ix::cancel_job(task.renter.id(), task.job)], &[&task.renter])
    }

    // Shards.

    /// Claims at any price.
    pub fn claim_ix(&self, task: &Task, index: u32, provider: &Provider) -> Instruction {
        ix::claim_shard(provider.operator.id(), &task.job, &self.job(task), &provider.account, index, 0)
    }

    /// Claims at any price.
    #[track_caller]
    pub fn claim(&mut self, task: &Task, index: u32, provider: &Provider) -> Receipt {
        self.ok(&[self.claim_ix(task, index, provider)], &[&provider.operator])
    }

    /// Gives a claim back.
    pub fn release_ix(&self, task: &Task, index: u32, provider: &Provider) -> Instruction {
        let data = self.provider(provider);
        ix::release_claim(provider.operator.id(), &task.job, &self.job(task), &provider.account, &data, index)
    }

    /// Ends a claim whose time is over.
    pub fn expire_ix(&self, task: &Task, index: u32, provider: &Provider, caller: &Actor) -> Instruction {
        let data = self.provider(provider);
        ix::expire_claim(caller.id(), &task.job, &self.job(task), &provider.account, &data, index)
    }

    /// The right result.
    pub fn work(&self, task: &Task, index: u32, provider: &Provider) -> Work {
        self.forged(task, index, provider, &[])
    }

    /// A result with these cells wrong.
    pub fn forged(&self, task: &Task, index: u32, provider: &Provider, cells: &[u64]) -> Work {
        Work::new(task, &self.job(task).terms, index, &provider.account, cells)
    }

    /// Commits a root.
    pub fn commit_ix(&self, task: &Task, index: u32, provider: &Provider, root: [u8; 32]) -> Instruction {
        ix::commit_result(provider.operator.id(), &task.job, &provider.account, index, root)
    }

    /// Commits a result.
    #[track_caller]
    pub fn commit(&mut self, task: &Task, provider: &Provider, work: &Work) -> Receipt {
        self.ok(&[self.commit_ix(task, work.index, provider, work.tree.root())], &[&provider.operator])
    }

    /// Claims and commits the right result.
    #[track_caller]
    pub fn claim_and_commit(&mut self, task: &Task, index: u32, provider: &Provider) -> Work {
        self.claim(task, index, provider);
        let work = self.work(task, index, provider);
        self.commit(task, provider, &work);
        work
    }

    /// Lets slots pass until a window can be recorded.
    pub fn reach(&mut self, window: u64) {
        let ready = window::first_slot(window).unwrap() + 12;
        let missing = ready.saturating_sub(self.chain.now().slot);
        self.chain.advance_slots(missing);
    }

    /// Records the seed of a window; the watcher pays.
    pub fn record_ix(&self, window: u64) -> Instruction {
        ix::record_seed(self.watcher.id(), window)
    }

    /// Waits for the shard's window, records its seed when nobody has, and draws.
    #[track_caller]
    pub fn draw(&mut self, task: &Task, index: u32) -> Receipt {
        let window = self.shard(task, index).window;
        let watcher = self.watcher.clone();
        if self.recorded.insert(window) {
            self.reach(window);
            self.ok(&[self.record_ix(window)], &[&watcher]);
        }
        self.ok(&[ix::draw_samples(&task.job, index, window)], &[&watcher])
    }

    /// Lets the window of a shard age out of the slot hashes.
    pub fn age_out(&mut self, task: &Task, index: u32) {
        let start = window::first_slot(self.shard(task, index).window).unwrap();
        let gone = start + WINDOW_SLOTS + crate::chain::SLOT_HASHES;
        self.chain.advance_slots(gone.saturating_sub(self.chain.now().slot));
    }

    /// What proves or disproves cell `number` of the shard.
    pub fn answer(&self, task: &Task, work: &Work, number: u64) -> Answer {
        let job = self.job(task);
        Answer::build(&job, work.index, &work.tree, &work.inputs, work.place(&job.terms, number)).unwrap()
    }

    /// An evidence account of `owner` filled with `data`.
    #[track_caller]
    pub fn upload(&mut self, owner: &Actor, seed: &str, answer: &Answer) -> Option<Pubkey> {
        let bytes = answer.evidence_account_bytes()?;
        let rent = self.chain.svm.minimum_balance_for_rent_exemption(bytes);
        let make = ix::create_evidence(owner.id(), seed, bytes as u64, rent).unwrap();
        self.ok(&make, &[owner]);
        let evidence = ix::evidence_address(&owner.id(), seed).unwrap();
        for (offset, piece) in answer.pieces() {
            self.ok(&[ix::write_evidence(owner.id(), evidence, offset, piece)], &[owner]);
        }
        Some(evidence)
    }

    /// Has a cell re-executed by `submitter`, evidence and all; the evidence account is closed again.
    pub fn judge(&mut self, task: &Task, work: &Work, number: u64, submitter: &Actor) -> Result<Receipt, Refusal> {
        let answer = self.answer(task, work, number);
        let evidence = self.upload(submitter, "judge", &answer);
        let job = self.job(task);
        let judge = ix::adjudicate(submitter.id(), &task.job, &job, work.index, evidence, answer.args);
        let receipt = self.send(&[judge], &[submitter]);
        if let Some(evidence) = evidence {
            self.ok(&[ix::close_evidence(submitter.id(), evidence)], &[submitter]);
        }
        receipt
    }

    /// Answers every demanded cell that is not answered yet.
    #[track_caller]
    pub fn answer_all(&mut self, task: &Task, work: &Work, provider: &Provider) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        loop {
            let shard = self.shard(task, work.index);
            let open = assay_settlement::rules::judgement::unanswered(&shard, &self.job(task).terms);
            if open == 0 {
                return receipts;
            }
            let number = shard.cells[open.trailing_zeros() as usize];
            match self.judge(task, work, number, &provider.operator) {
                Ok(receipt) => receipts.push(receipt),
                Err(refusal) => panic!("cell {number}: {refusal:?}"),
            }
        }
    }

    /// Lets the challenge window of a shard pass.
    pub fn pass_window(&mut self, task: &Task) {
        let seconds = self.job(task).terms.challenge_seconds;
        self.chain.pass(seconds);
    }

    /// Pays a proven shard.
    pub fn settle_ix(&self, task: &Task, index: u32, provider: &Provider) -> Instruction {
        ix::settle_shard(&task.job, &self.job(task), &provider.account, &self.provider(provider), index)
    }

    /// Pays a proven shard.
    #[track_caller]
    pub fn settle(&mut self, task: &Task, index: u32, provider: &Provider) -> Receipt {
        let stranger = self.stranger.clone();
        self.ok(&[self.settle_ix(task, index, provider)], &[&stranger])
    }

    /// Everything from the claim to the payment.
    #[track_caller]
    pub fn prove(&mut self, task: &Task, index: u32, provider: &Provider) {
        let work = self.claim_and_commit(task, index, provider);
        self.draw(task, index);
        self.answer_all(task, &work, provider);
        self.pass_window(task);
        self.settle(task, index, provider);
    }

    /// Slashes a shard with an unanswered cell past its due time.
    pub fn slash_ix(&self, task: &Task, index: u32, caller: &Actor) -> Instruction {
        ix::slash_unanswered(caller.id(), &task.job, index)
    }

    /// Moves the debts of a slashed shard.
    pub fn seize_ix(&self, task: &Task, index: u32, provider: &Provider) -> Instruction {
        ix::seize(&task.job, &self.job(task), &provider.account, &self.provider(provider), index)
    }

    /// Pays the bounty of a slashed shard.
    pub fn bounty_ix(&self, task: &Task, index: u32, provider: &Provider, destination: Pubkey) -> Instruction {
        ix::pay_bounty(&task.job, &self.job(task), &provider.account, &self.provider(provider), index, destination)
    }

    /// Moves what the job does not need to its renter.
    pub fn refund_ix(&self, task: &Task) -> Instruction {
        ix::withdraw_refund(&task.job, &self.job(task), task.renter.tokens)
    }

    /// Closes a shard's account.
    pub fn close_shard_ix(&self, task: &Task, index: u32) -> Instruction {
        ix::close_shard(&task.job, index, self.shard(task, index).rent_payer)
    }

    /// Closes a job.
    pub fn close_job_ix(&self, task: &Task) -> Instruction {
        ix::close_job(&task.job, &self.job(task), &self.market, &self.market_data(), task.renter.tokens)
    }

    /// Closes every shard account of a terminal job, then the job.
    #[track_caller]
    pub fn close(&mut self, task: &Task) {
        let stranger = self.stranger.clone();
        for index in 0..self.job(task).terms.shards {
            if self.find::<Shard>(&seeds::shard(&task.job, index)).is_some() {
                self.ok(&[self.close_shard_ix(task, index)], &[&stranger]);
            }
        }
        self.ok(&[self.close_job_ix(task)], &[&stranger]);
    }
}
