//! A market with its actors, and every step of a job as one call: `..._ix` builds the instruction, the plain name sends
//! it and insists that it lands.

use crate::{
    artifacts, books,
    chain::{Actor, Chain, Receipt, Refusal},
    scripted::Script,
    work::{Spec, Task, Work},
};
use anchor_lang::Discriminator;
use assay_client::{accounts::decode_data, answer::Answer, ix, token};
use assay_settlement::{
    Job, Kernel, Market, Provider as ProviderAccount, Shard, Terms,
    constants::{MAX_OPERATORS, NOBODY, WINDOW_SLOTS},
    instructions::{JobRequest, ProviderProfile},
    rules::window,
    seeds,
};
use bytemuck::Pod;
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;
use std::collections::HashSet;

/// The verifier's declared address.
pub const VERIFIER: Pubkey = Pubkey::from_str_const("CkbT5ZwGQo51LGcYCBCQMHhzmgad5VUAsadGWk8ZEuyv");
/// What every actor starts with, base units.
pub const TOKENS: u64 = 1_000_000_000;
/// What every actor starts with, lamports.
pub const LAMPORTS: u64 = 100_000_000_000;
/// What each provider stakes at the start, base units.
pub const STAKE: u64 = 100_000_000;
/// First and last price of a shard, base units.
pub const PRICES: (u64, u64) = (1_000_000, 2_000_000);
/// Seconds between them.
pub const RAMP: u32 = 1_000;
/// Seconds to commit.
pub const EXECUTE: u32 = 600;
/// Seconds until open shards are refunded.
pub const LIFE: u32 = 3 * 86_400;

/// The default percentages with short windows.
pub fn experimental_terms() -> Terms {
    Terms {
        bond_base: 1_000_000,
        bond_per_kib: 20_000,
        collateral_bps: 15_000,
        challenge_seconds: 600,
        response_seconds: 300,
        fee_bps: 200,
        bounty_bps: 1_000,
        release_min_bps: 200,
        release_max_bps: 2_000,
        expiry_bps: 2_500,
        samples: 3,
        named: 3,
        reserved: [0; 48],
    }
}

/// A provider: cold owner, hot operator.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Stakes and withdraws.
    pub owner: Actor,
    /// Claims and commits.
    pub operator: Actor,
    /// The Provider account.
    pub account: Pubkey,
}

/// See the module.
pub struct World {
    /// The chain.
    pub chain: Chain,
    /// The settlement mint.
    pub mint: Pubkey,
    /// All mints whose tokens are counted.
    pub mints: Vec<Pubkey>,
    /// The market.
    pub market: Pubkey,
    /// Its creator and authority; mints tokens, too.
    pub creator: Actor,
    /// Has jobs done.
    pub renter: Actor,
    /// A provider.
    pub alice: Provider,
    /// Another.
    pub bob: Provider,
    /// Holds everyone to account.
    pub watcher: Actor,
    /// Has no business here.
    pub stranger: Actor,
    recorded: HashSet<u64>,
}

impl World {
    /// An experimental market of [`experimental_terms`].
    pub fn new() -> Self {
        Self::with_terms(experimental_terms())
    }

    /// An experimental market with other terms.
    pub fn with_terms(terms: Terms) -> Self {
        let mut chain = Chain::new();
        chain.deploy(assay_settlement::ID, &artifacts::program("assay_settlement.so"), None);
        chain.deploy(VERIFIER, &artifacts::program("assay_verifier.so"), None);
        let mut fresh = || Actor { key: chain.keypair(), tokens: Pubkey::default() };
        let [creator, renter, watcher, stranger, a1, a2, b1, b2, mint] = core::array::from_fn(|_| fresh());
        let provider = |owner: Actor, operator: Actor, market: &Pubkey| Provider {
            account: seeds::provider(market, &owner.id()),
            owner,
            operator,
        };
        let market = seeds::market(&creator.id(), 0);
        let (alice, bob) = (provider(a1, a2, &market), provider(b1, b2, &market));
        let mut world = Self {
            mint: mint.id(),
            mints: vec![mint.id()],
            market,
            chain,
            creator,
            renter,
            alice,
            bob,
            watcher,
            stranger,
            recorded: HashSet::new(),
        };
        world.chain.fund(&world.creator.id(), LAMPORTS);
        world.make_mint(&mint);
        for actor in [
            &mut world.creator,
            &mut world.renter,
            &mut world.watcher,
            &mut world.stranger,
            &mut world.alice.owner,
            &mut world.alice.operator,
            &mut world.bob.owner,
            &mut world.bob.operator,
        ] {
            actor.tokens = token::associated(&actor.id(), &world.mint);
        }
        let creator = world.creator.clone();
        for actor in [
            world.renter.clone(),
            world.watcher.clone(),
            world.stranger.clone(),
            world.alice.owner.clone(),
            world.alice.operator.clone(),
            world.bob.owner.clone(),
            world.bob.operator.clone(),
            creator.clone(),
        ] {
            if actor.id() != creator.id() {
                world.chain.fund(&actor.id(), LAMPORTS);
            }
            world.give(&actor.id(), TOKENS);
        }
        let open = ix::open_market(creator.id(), creator.id(), 0, world.mint, terms, true);
        world.ok(&[open], &[&creator]);
        for kernel in [1, 2] {
            world.ok(&[ix::register_kernel(creator.id(), VERIFIER, kernel)], &[&creator]);
        }
        for provider in [world.alice.clone(), world.bob.clone()] {
            world.register(&provider);
            world.deposit(&provider, STAKE);
        }
        world
    }

    // Actors and tokens.

    /// Somebody new, with lamports and tokens.
    pub fn actor(&mut self) -> Actor {
        let key = self.chain.keypair();
        let mut actor = Actor { key, tokens: Pubkey::default() };
        actor.tokens = token::associated(&actor.id(), &self.mint);
        self.chain.fund(&actor.id(), LAMPORTS);
        self.give(&actor.id(), TOKENS);
        actor
    }

    /// Makes `mint` a mint of 6 decimals whose authority is the creator, who may also freeze accounts.
    pub fn make_mint(&mut self, mint: &Actor) {
        let creator = self.creator.clone();
        let rent = self.chain.svm.minimum_balance_for_rent_exemption(82);
        let mut make = token::create_mint(&creator.id(), &mint.id(), &creator.id(), 6, rent);
        // The last byte says that there is no freeze authority.
        *make[1].data.last_mut().unwrap() = 1;
        make[1].data.extend_from_slice(creator.id().as_ref());
        self.chain.send(&make, &[&creator, mint]).unwrap();
    }

    /// Freezes or thaws a token account of the market's mint.
    #[track_caller]
    pub fn freeze(&mut self, account: &Pubkey, frozen: bool) {
        let creator = self.creator.clone();
        let accounts = vec![
            AccountMeta::new(*account, false),
            AccountMeta::new_readonly(self.mint, false),
            AccountMeta::new_readonly(creator.id(), true),
        ];
        let data = vec![if frozen { 10 } else { 11 }];
        self.ok(&[Instruction { program_id: token::SPL_TOKEN, accounts, data }], &[&creator]);
    }

    /// Another mint, with a token account of `owner` that holds [`TOKENS`] of it.
    pub fn other_mint(&mut self, owner: &Actor) -> (Pubkey, Pubkey) {
        let mint = Actor { key: self.chain.keypair(), tokens: Pubkey::default() };
        self.make_mint(&mint);
        self.mints.push(mint.id());
        let ours = core::mem::replace(&mut self.mint, mint.id());
        self.give(&owner.id(), TOKENS);
        self.mint = ours;
        (mint.id(), token::associated(&owner.id(), &mint.id()))
    }

    /// Mints tokens to somebody's associated token account, which it makes.
    pub fn give(&mut self, owner: &Pubkey, amount: u64) {
        let creator = self.creator.clone();
        let account = token::associated(owner, &self.mint);
        let make = token::create_associated(creator.id(), owner, &self.mint);
        self.chain.send(&[make, token::mint_to(&self.mint, &account, &creator.id(), amount)], &[&creator]).unwrap();
    }

    /// Base units in a token account.
    pub fn held(&self, account: &Pubkey) -> u64 {
        books::held(&self.chain, account)
    }

    // Sending.

    /// Sends; checks the books when it landed.
    pub fn send(&mut self, instructions: &[Instruction], signers: &[&Actor]) -> Result<Receipt, Refusal> {
        let receipt = self.chain.send(instructions, signers)?;
        books::check(&self.chain, &self.mints);
        Ok(receipt)
    }

    /// Sends what must land.
    #[track_caller]
    pub fn ok(&mut self, instructions: &[Instruction], signers: &[&Actor]) -> Receipt {
        match self.send(instructions, signers) {
            Ok(receipt) => receipt,
            Err(refusal) => panic!("refused: {refusal:?}"),
        }
    }

    /// Sends what must be refused, with this error: one of the settlement program's, or of [`Refusal`].
    #[track_caller]
    pub fn refused(&mut self, error: impl Into<Refusal>, instructions: &[Instruction], signers: &[&Actor]) {
        let expected = error.into();
        match self.send(instructions, signers) {
            Ok(_) => panic!("it landed, and must be refused with {expected:?}"),
            Err(refusal) => assert_eq!(refusal, expected),
        }
    }

    // Reading.

    /// An account of the program.
    #[track_caller]
    pub fn read<T: Pod + Discriminator>(&self, address: &Pubkey) -> T {
        self.find(address).expect("there is such an account")
    }

    /// An account of the program, if it is there.
    pub fn find<T: Pod + Discriminator>(&self, address: &Pubkey) -> Option<T> {
        decode_data(&self.chain.data(address)?)
    }

    /// The market.
    pub fn market_data(&self) -> Market {
        self.read(&self.market)
    }

    /// A job.
    #[track_caller]
    pub fn job(&self, task: &Task) -> Job {
        self.read(&task.job)
    }

    /// A shard.
    #[track_caller]
    pub fn shard(&self, task: &Task, index: u32) -> Shard {
        self.read(&seeds::shard(&task.job, index))
    }

    /// A provider.
    #[track_caller]
    pub fn provider(&self, provider: &Provider) -> ProviderAccount {
        self.read(&provider.account)
    }

    // Market and kernels.

    /// Deploys a scripted verifier and registers its kernel; the Kernel account's address comes back.
    pub fn register_script(&mut self, script: &Script, kernel: u16) -> Pubkey {
        let verifier = script.address();
        self.chain.deploy(verifier, &script.elf(), None);
        let creator = self.creator.clone();
        self.ok(&[ix::register_kernel(creator.id(), verifier, kernel)], &[&creator]);
        seeds::kernel(&verifier, kernel)
    }

    /// Opens another market of the same creator.
    pub fn open_another(&mut self, id: u16, mint: Pubkey) -> Pubkey {
        let creator = self.creator.clone();
        self.ok(&[ix::open_market(creator.id(), creator.id(), id, mint, experimental_terms(), true)], &[&creator]);
        seeds::market(&creator.id(), id)
    }

    /// Pauses or resumes.
    pub fn pause(&mut self, paused: bool) {
        let creator = self.creator.clone();
        self.ok(&[ix::set_paused(creator.id(), self.market, paused)], &[&creator]);
    }

    // Providers.

    /// A profile with this one operator.
    pub fn profile(operator: &Pubkey) -> ProviderProfile {
        let mut operators = [NOBODY; MAX_OPERATORS];
        operators[0] = *operator;
        ProviderProfile { operators, encryption_key: [0; 32], endpoint: "http://127.0.0.1:1".to_owned() }
    }

    /// Registers a provider of the market.
    pub fn register(&mut self, provider: &Provider) {
        let owner = provider.owner.clone();
        let profile = Self::profile(&provider.operator.id());
        let register = ix::register_provider(owner.id(), owner.id(), &self.market, &self.market_data(), profile);
        self.ok(&[register], &[&owner]);
    }

    /// Adds stake out of the owner's tokens.
    pub fn deposit_ix(&self, provider: &Provider, amount: u64) -> Instruction {
        let data = self.provider(provider);
        let owner = &provider.owner;
        ix::deposit_stake(owner.id(), &provider.account, &data, &self.market_data(), owner.tokens, amount)
    }

    /// Adds stake out of the owner's tokens.
    pub fn deposit(&mut self, provider: &Provider, amount: u64) -> Receipt {
        self.ok(&[self.deposit_ix(provider, amount)], &[&provider.owner])
    }

    /// Takes stake out to the owner's tokens.
    pub fn withdraw_ix(&self, provider: &Provider, amount: u64) -> Instruction {
        let data = self.provider(provider);
        let owner = &provider.owner;
        ix::withdraw_stake(owner.id(), &provider.account, &data, &self.market_data(), owner.tokens, amount)
    }

    /// Takes stake out to the owner's tokens.
    pub fn withdraw(&mut self, provider: &Provider, amount: u64) -> Receipt {
        self.ok(&[self.withdraw_ix(provider, amount)], &[&provider.owner])
    }

    // Jobs.

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
        }
    }

    /// A job on a kernel of our verifier.
    pub fn create_ix(&self, renter: &Actor, spec: &Spec, request: JobRequest) -> Instruction {
        self.create_on_ix(renter, &seeds::kernel(&VERIFIER, spec.kernel), request)
    }

    /// A job on any kernel.
    pub fn create_on_ix(&self, renter: &Actor, kernel: &Pubkey, request: JobRequest) -> Instruction {
        let data: Kernel = self.read(kernel);
        ix::create_job(renter.id(), renter.id(), &self.market, &self.market_data(), kernel, &data, renter.tokens, request)
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
            let open = assay_settlement::rules::shard::unanswered(&shard, &self.job(task).terms);
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

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// The instruction with account `from` replaced by `to`, everywhere.
///
/// # Panics
/// When it has no such account.
pub fn swapped(instruction: &Instruction, from: &Pubkey, to: &Pubkey) -> Instruction {
    let mut changed = instruction.clone();
    let mut found = false;
    for account in changed.accounts.iter_mut().filter(|a| a.pubkey == *from) {
        account.pubkey = *to;
        found = true;
    }
    assert!(found, "the instruction has no account {from}");
    changed
}
