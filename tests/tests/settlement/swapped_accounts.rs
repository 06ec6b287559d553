//! Every instruction with one account at a time replaced by another of the right kind: another market's, job's,
//! provider's, vault, mint, token program, destination, signer. After the refusals the unchanged instruction lands, so
//! that nothing else can have been at fault.

use anchor_lang::error::ErrorCode;
use assay_client::{ix, token};
use assay_settlement::{
    EVIDENCE_HEADER_BYTES, Shard, constants::NOBODY, error::AssayError as E, rules::judgement::Fault, seeds,
};
use assay_tests::{
    Actor, Provider, Refusal, Spec, Task, World,
    world::{VERIFIER, swapped},
};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use solana_system_interface::program::ID as SYSTEM;

/// A world with a second one of everything.
pub(super) struct Two {
    pub(super) w: World,
    /// Another market of the same mint and creator.
    pub(super) market: Pubkey,
    /// A provider there: Alice's keys.
    pub(super) provider: Provider,
    /// Another mint, and the stranger's account of it.
    pub(super) mint: Pubkey,
    pub(super) foreign_tokens: Pubkey,
    /// An image, its first shard claimed by Alice, and another, its first shard claimed by Bob. Both are delivered on the
    /// ledger.
    pub(super) task: Task,
    pub(super) other: Task,
}

impl Two {
    pub(super) fn new() -> Self {
        let mut w = World::new();
        let market = w.open_another(1, w.mint);
        let mut provider = w.alice.clone();
        provider.account = seeds::provider(&market, &provider.owner.id());
        let ours = core::mem::replace(&mut w.market, market);
        w.register(&provider);
        w.market = ours;
        let (mint, foreign_tokens) = w.other_mint(&w.stranger.clone());
        let [task, other] = [0, 1].map(|_| w.create_with(Spec::image(), |r| r.delivery = 1));
        let (alice, bob) = (w.alice.clone(), w.bob.clone());
        w.claim(&task, 0, &alice);
        w.claim(&other, 0, &bob);
        Self { w, market, provider, mint, foreign_tokens, task, other }
    }

    /// Sends the instruction with each of the swaps, then as it is.
    #[track_caller]
    pub(super) fn each(&mut self, instruction: &Instruction, signers: &[&Actor], swaps: &[(Pubkey, Pubkey, E)]) {
        for (from, to, error) in swaps {
            let changed = swapped(instruction, from, to);
            let refusal = self.w.send(&[changed], signers).map(|r| r.logs);
            assert_eq!(refusal, Err(Refusal::Settlement(*error)), "{from} replaced by {to}");
        }
        self.w.ok(&[instruction.clone()], signers);
    }

    /// Swaps of mint and token program, which every instruction that moves tokens must refuse.
    pub(super) fn with_tokens(&self, swaps: &[(Pubkey, Pubkey, E)]) -> Vec<(Pubkey, Pubkey, E)> {
        let mut all = swaps.to_vec();
        all.push((self.w.mint, self.mint, E::WrongMint));
        all.push((token::SPL_TOKEN, SYSTEM, E::WrongTokenProgram));
        all
    }

    pub(super) fn vaults(&self) -> [Pubkey; 4] {
        [&self.task, &self.other]
            .map(|t| seeds::vault(&t.job))
            .into_iter()
            .chain([&self.w.alice, &self.w.bob].map(|p| seeds::stake(&p.account)))
            .collect::<Vec<_>>()
            .try_into()
            .unwrap()
    }

    pub(super) fn shards(&self) -> [Pubkey; 2] {
        [&self.task, &self.other].map(|t| seeds::shard(&t.job, 0))
    }

    /// Swaps of what `release_claim`, `expire_claim`, `settle_shard` and `seize` load.
    pub(super) fn between_vaults(&self) -> Vec<(Pubkey, Pubkey, E)> {
        let [job_vault, other_job_vault, stake, other_stake] = self.vaults();
        let [shard, other_shard] = self.shards();
        self.with_tokens(&[
            (self.task.job, self.other.job, E::WrongJob),
            (shard, other_shard, E::WrongJob),
            (self.w.alice.account, self.w.bob.account, E::WrongProvider),
            (self.w.alice.account, self.provider.account, E::WrongProvider),
            (job_vault, other_job_vault, E::WrongVault),
            (job_vault, stake, E::WrongVault),
            (stake, other_stake, E::WrongVault),
            (stake, self.w.stranger.tokens, E::WrongVault),
        ])
    }
}

#[test]
fn markets() {
    let mut t = Two::new();
    let (creator, stranger) = (t.w.creator.clone(), t.w.stranger.clone());
    let market = t.w.market;
    t.w.refused(E::NotAuthorized, &[ix::set_paused(stranger.id(), market, true)], &[&stranger]);
    let unsigned = {
        let mut i = ix::set_paused(creator.id(), market, true);
        i.accounts[0].is_signer = false;
        i
    };
    t.w.refused(ErrorCode::AccountNotSigner, &[unsigned], &[&stranger]);

    // Fees for the treasury.
    t.w.give(&market, 0);
    let give = 5_000;
    let data = t.w.market_data();
    let fill = Instruction {
        program_id: token::SPL_TOKEN,
        accounts: vec![
            solana_instruction::AccountMeta::new(stranger.tokens, false),
            solana_instruction::AccountMeta::new(data.treasury, false),
            solana_instruction::AccountMeta::new_readonly(stranger.id(), true),
        ],
        data: [&[3u8][..], &u64::to_le_bytes(give)].concat(),
    };
    t.w.ok(&[fill], &[&stranger]);
    let take = ix::withdraw_treasury(creator.id(), &market, &data, creator.tokens, give);
    t.w.refused(E::NotAuthorized, &[swapped(&take, &creator.id(), &stranger.id())], &[&stranger]);
    t.w.refused(E::ZeroAmount, &[ix::withdraw_treasury(creator.id(), &market, &data, creator.tokens, 0)], &[&creator]);
    let swaps = t.with_tokens(&[
        (market, t.market, E::WrongVault),
        (data.treasury, seeds::treasury(&t.market), E::WrongVault),
        (data.treasury, t.vaults()[0], E::WrongVault),
    ]);
    t.each(&take, &[&creator], &swaps);

    // Opening one: canonical addresses only, SPL Token only.
    let open = ix::open_market(
        creator.id(),
        creator.id(),
        7,
        t.w.mint,
        token::SPL_TOKEN,
        assay_tests::experimental_terms(),
        true,
    );
    let new = seeds::market(&creator.id(), 7);
    t.w.refused(ErrorCode::ConstraintSeeds, &[swapped(&open, &new, &stranger.id())], &[&creator]);
    t.each(
        &open,
        &[&creator],
        &[
            (seeds::treasury(&new), seeds::treasury(&seeds::market(&creator.id(), 8)), E::WrongAddress),
            (token::SPL_TOKEN, SYSTEM, E::WrongTokenProgram),
            (t.w.mint, creator.tokens, E::MintNotAllowed),
            (t.w.mint, t.w.market, E::MintNotAllowed),
        ],
    );
}

#[test]
fn providers_and_their_stake() {
    let mut t = Two::new();
    let (alice, bob, stranger) = (t.w.alice.clone(), t.w.bob.clone(), t.w.stranger.clone());
    let new = Provider {
        account: seeds::provider(&t.w.market, &stranger.id()),
        owner: stranger.clone(),
        operator: stranger.clone(),
    };
    let data = t.w.market_data();
    let register = ix::register_provider(stranger.id(), stranger.id(), &t.w.market, &data, World::profile(&NOBODY));
    t.w.refused(ErrorCode::ConstraintSeeds, &[swapped(&register, &t.w.market, &t.market)], &[&stranger]);
    let swaps = t.with_tokens(&[(seeds::stake(&new.account), seeds::stake(&t.w.market), E::WrongAddress)]);
    t.each(&register, &[&stranger], &swaps);

    // Somebody else's profile.
    let mut update = ix::update_provider(stranger.id(), &t.w.market, World::profile(&stranger.id()));
    update = swapped(&update, &new.account, &alice.account);
    t.w.refused(E::NotAuthorized, &[update], &[&stranger]);
    // The operator is hot: it changes and withdraws nothing.
    let mut update = ix::update_provider(alice.operator.id(), &t.w.market, World::profile(&alice.operator.id()));
    update.accounts[1].pubkey = alice.account;
    t.w.refused(E::NotAuthorized, &[update], &[&alice.operator]);

    let swaps = t.with_tokens(&[
        (t.w.market, t.market, E::WrongMarket),
        (alice.account, bob.account, E::WrongVault),
        (alice.account, t.provider.account, E::WrongMarket),
        (seeds::stake(&alice.account), seeds::stake(&bob.account), E::WrongVault),
        (seeds::stake(&alice.account), stranger.tokens, E::WrongVault),
        (alice.owner.tokens, seeds::stake(&alice.account), E::WrongVault),
    ]);
    t.each(&t.w.deposit_ix(&alice, 10), &[&alice.owner], &swaps);
    let withdraw = t.w.withdraw_ix(&alice, 10);
    for signer in [&alice.operator, &bob.owner, &stranger] {
        t.w.refused(E::NotAuthorized, &[swapped(&withdraw, &alice.owner.id(), &signer.id())], &[signer]);
    }
    t.each(&withdraw, &[&alice.owner], &swaps);
    for zero in [t.w.deposit_ix(&alice, 0), t.w.withdraw_ix(&alice, 0)] {
        t.w.refused(E::ZeroAmount, &[zero], &[&alice.owner]);
    }
}

#[test]
fn jobs() {
    let mut t = Two::new();
    let (renter, stranger, alice) = (t.w.renter.clone(), t.w.stranger.clone(), t.w.alice.clone());
    // Another renter, so that there is another Renter account.
    let spec = Spec::image();
    let theirs = t.w.request(&stranger, &spec);
    t.w.ok(&[t.w.create_ix(&stranger, &spec, theirs)], &[&stranger]);

    let request = t.w.request(&renter, &spec);
    let create = t.w.create_ix(&renter, &spec, request.clone());
    let job = seeds::job(&renter.id(), request.nonce);
    let not_canonical = swapped(&create, &job, &seeds::job(&renter.id(), request.nonce + 1));
    t.w.refused(E::WrongAddress, &[not_canonical], &[&renter]);
    let other_kernel = swapped(&create, &seeds::kernel(&VERIFIER, 1), &seeds::kernel(&VERIFIER, 2));
    t.w.refused(assay_kernels::abi::VerifierError::ParamsLength, &[other_kernel], &[&renter]);
    let no_kernel = swapped(&create, &seeds::kernel(&VERIFIER, 1), &t.w.market);
    t.w.refused(ErrorCode::AccountDiscriminatorMismatch, &[no_kernel], &[&renter]);
    let no_market = swapped(&create, &t.w.market, &renter.tokens);
    t.w.refused(ErrorCode::AccountOwnedByWrongProgram, &[no_market], &[&renter]);
    let swaps = t.with_tokens(&[
        (VERIFIER, assay_settlement::ID, E::WrongVerifier),
        (seeds::renter(&renter.id()), seeds::renter(&stranger.id()), E::NotAuthorized),
        (seeds::renter(&renter.id()), seeds::renter(&alice.owner.id()), E::WrongAddress),
        (seeds::vault(&job), seeds::vault(&t.task.job), E::WrongAddress),
        (seeds::vault(&job), seeds::vault(&renter.id()), E::WrongAddress),
    ]);
    t.each(&create, &[&renter], &swaps);
    // Tokens of somebody else, and of another mint: SPL Token refuses.
    let another = t.w.create_ix(&renter, &spec, t.w.request(&renter, &spec));
    const OWNER_DOES_NOT_MATCH: u32 = 4;
    const MINT_MISMATCH: u32 = 3;
    let not_mine = swapped(&another, &renter.tokens, &alice.owner.tokens);
    t.w.refused(Refusal::Custom(OWNER_DOES_NOT_MATCH), &[not_mine], &[&renter]);
    let foreign = swapped(&another, &renter.tokens, &t.foreign_tokens);
    t.w.refused(Refusal::Custom(MINT_MISMATCH), &[foreign], &[&renter]);

    let cancel = ix::cancel_job(renter.id(), t.task.job);
    t.w.refused(E::NotAuthorized, &[swapped(&cancel, &renter.id(), &stranger.id())], &[&stranger]);
}

#[test]
fn claims() {
    let mut t = Two::new();
    let (alice, bob) = (t.w.alice.clone(), t.w.bob.clone());
    let claim = t.w.claim_ix(&t.task, 1, &alice);
    let [claimed, other_claimed] = t.shards();
    let owner_signs = swapped(&claim, &alice.operator.id(), &alice.owner.id());
    t.w.refused(E::NotAuthorized, &[owner_signs], &[&alice.owner]);
    let bob_signs = swapped(&claim, &alice.operator.id(), &bob.operator.id());
    t.w.refused(E::NotAuthorized, &[bob_signs], &[&bob.operator]);
    let one = seeds::shard(&t.task.job, 1);
    t.each(
        &claim,
        &[&alice.operator],
        &[
            (t.w.market, t.market, E::WrongMarket),
            (alice.account, bob.account, E::NotAuthorized),
            (alice.account, t.provider.account, E::WrongMarket),
            (t.task.job, t.other.job, E::WrongAddress),
            (one, other_claimed, E::WrongJob),
            (one, claimed, E::NoSuchShard),
            (one, seeds::shard(&t.task.job, 2), E::WrongAddress),
        ],
    );
    t.w.refused(E::NoSuchShard, &[t.w.claim_ix(&t.task, 2, &bob)], &[&bob.operator]);
    // Accounts of other types and of other programs in the shard's place.
    let claim = t.w.claim_ix(&t.task, 0, &bob);
    for (account, error) in [
        (seeds::renter(&t.task.renter.id()), ErrorCode::AccountDidNotDeserialize),
        (alice.account, ErrorCode::AccountDidNotDeserialize),
        (alice.owner.tokens, ErrorCode::AccountOwnedByWrongProgram),
    ] {
        t.w.refused(error, &[swapped(&claim, &claimed, &account)], &[&bob.operator]);
    }

    let release = t.w.release_ix(&t.task, 0, &alice);
    let bob_signs = swapped(&release, &alice.operator.id(), &bob.operator.id());
    t.w.refused(E::NotAuthorized, &[bob_signs], &[&bob.operator]);
    let swaps = t.between_vaults();
    t.each(&release, &[&alice.operator], &swaps);

    t.w.claim(&t.task.clone(), 0, &alice);
    let execute = t.w.job(&t.task).terms.execute_seconds;
    t.w.chain.pass(execute);
    let stranger = t.w.stranger.clone();
    t.each(&t.w.expire_ix(&t.task, 0, &alice, &stranger), &[&stranger], &swaps);
}

#[test]
fn commitments_draws_and_judgements() {
    let mut t = Two::new();
    let (alice, bob, watcher, stranger) =
        (t.w.alice.clone(), t.w.bob.clone(), t.w.watcher.clone(), t.w.stranger.clone());
    let [shard, other_shard] = t.shards();
    let (job, other_job) = (t.task.job, t.other.job);
    let wrong_job = [(job, other_job, E::WrongJob), (shard, other_shard, E::WrongJob)];

    let work = t.w.work(&t.task, 0, &alice);
    let commit = t.w.commit_ix(&t.task, 0, &alice, work.tree.root());
    for signer in [&alice.owner, &bob.operator, &stranger] {
        t.w.refused(E::NotAuthorized, &[swapped(&commit, &alice.operator.id(), &signer.id())], &[signer]);
    }
    let swaps = [(shard, other_shard, E::WrongProvider), (alice.account, bob.account, E::WrongProvider)];
    t.each(&commit, &[&alice.operator], &swaps);
    t.w.refused(E::WrongState, &[commit], &[&alice.operator]);

    let window = t.w.shard(&t.task, 0).window;
    let roll = ix::roll_window(stranger.id(), &job, 0, window);
    t.w.refused(
        E::WrongAddress,
        &[swapped(&roll, &seeds::draw_seed(window), &seeds::draw_seed(window + 1))],
        &[&stranger],
    );
    t.w.refused(E::WrongJob, &[swapped(&roll, &job, &other_job)], &[&stranger]);

    let next = window + 1;
    t.w.reach(next);
    let record = t.w.record_ix(window);
    let misplaced = swapped(&record, &seeds::draw_seed(window), &seeds::draw_seed(next));
    t.w.refused(ErrorCode::ConstraintSeeds, &[misplaced], &[&watcher]);
    t.w.ok(&[record, t.w.record_ix(next)], &[&watcher]);
    let mut swaps = wrong_job.to_vec();
    swaps.push((seeds::draw_seed(window), seeds::draw_seed(next), E::WrongWindow));
    t.each(&ix::draw_samples(&job, 0, window), &[&stranger], &swaps);

    let name = ix::name_cells(t.task.renter.id(), &job, 0, vec![0]);
    for nobody in [&stranger, &alice.operator] {
        t.w.refused(E::NotAuthorized, &[swapped(&name, &t.task.renter.id(), &nobody.id())], &[nobody]);
    }
    let renter = t.task.renter.clone();
    t.each(&name, &[&renter], &wrong_job);

    let args = t.w.answer(&t.task, &work, 0).args;
    let judge = ix::adjudicate(stranger.id(), &job, &t.w.job(&t.task), 0, None, args);
    let mut swaps = wrong_job.to_vec();
    swaps.push((VERIFIER, token::SPL_TOKEN, E::WrongVerifier));
    t.each(&judge, &[&stranger], &swaps);

    let due = t.w.job(&t.task).terms.response_seconds;
    t.w.chain.pass(due);
    t.each(&t.w.slash_ix(&t.task, 0, &stranger), &[&stranger], &wrong_job);
    assert_eq!(t.w.shard(&t.task, 0).fault, Fault::Unanswered as u8);

    // What the slash owes.
    let swaps = t.between_vaults();
    t.each(&t.w.seize_ix(&t.task, 0, &alice), &[&watcher], &swaps);
    let [_, _, stake, other_stake] = t.vaults();
    let second = t.w.second_account(&stranger);
    let swaps = t.with_tokens(&[
        (job, other_job, E::WrongJob),
        (shard, other_shard, E::WrongJob),
        (alice.account, bob.account, E::WrongProvider),
        (stake, other_stake, E::WrongVault),
        (stranger.tokens, second, E::WrongTokenOwner),
        (stranger.tokens, watcher.tokens, E::WrongTokenOwner),
        (stranger.tokens, t.foreign_tokens, E::WrongMint),
        (stranger.tokens, stranger.id(), E::WrongTokenProgram),
        (stranger.tokens, t.w.mint, E::WrongTokenOwner),
    ]);
    t.each(&t.w.bounty_ix(&t.task, 0, &alice, stranger.tokens), &[&watcher], &swaps);
}

#[test]
fn payments_refunds_and_closing() {
    let mut t = Two::new();
    let (alice, watcher, stranger) = (t.w.alice.clone(), t.w.watcher.clone(), t.w.stranger.clone());
    let (task, other) = (t.task.clone(), t.other.clone());
    let [job_vault, other_vault, stake, _] = t.vaults();
    let work = t.w.work(&task, 0, &alice);
    t.w.commit(&task, &alice, &work);
    t.w.draw(&task, 0);
    t.w.answer_all(&task, &work, &alice);
    t.w.pass_window(&task);
    let swaps = t.between_vaults();
    t.each(&t.w.settle_ix(&task, 0, &alice), &[&watcher], &swaps);

    // Anyone may call for a payment, so it goes to the one account that follows from its owner.
    let second = t.w.second_account(&task.renter);
    let destinations = [
        (task.renter.tokens, second, E::WrongTokenOwner),
        (task.renter.tokens, stranger.tokens, E::WrongTokenOwner),
        (task.renter.tokens, t.foreign_tokens, E::WrongMint),
        (task.renter.tokens, task.renter.id(), E::WrongTokenProgram),
    ];
    let mut swaps = t.with_tokens(&destinations);
    swaps.extend([
        (job_vault, other_vault, E::WrongVault),
        (job_vault, stake, E::WrongVault),
        (task.job, other.job, E::WrongVault),
    ]);
    t.each(&t.w.refund_ix(&task), &[&watcher], &swaps);
    t.w.refused(E::NothingOwed, &[t.w.refund_ix(&task)], &[&watcher]);

    let treasury = t.w.market_data().treasury;
    let mut swaps = t.with_tokens(&[]);
    swaps.extend([
        (job_vault, other_vault, E::WrongVault),
        (task.job, other.job, E::WrongVault),
        (t.w.market, t.market, E::WrongMarket),
        (treasury, seeds::treasury(&t.market), E::WrongVault),
        (treasury, stranger.tokens, E::WrongVault),
    ]);
    t.each(&ix::sweep_fees(&task.job, &t.w.job(&task), &t.w.market_data()), &[&watcher], &swaps);

    t.w.refused(E::StillNeeded, &[t.w.close_shard_ix(&task, 0)], &[&watcher]);
    t.w.refused(E::StillNeeded, &[t.w.close_job_ix(&task)], &[&watcher]);
    t.w.cancel(&task);
    t.w.refused(E::StillNeeded, &[t.w.close_job_ix(&task)], &[&watcher]);
    let shard: Shard = t.w.shard(&task, 0);
    let [shard_key, other_shard] = t.shards();
    t.each(
        &t.w.close_shard_ix(&task, 0),
        &[&watcher],
        &[
            (task.job, other.job, E::WrongJob),
            (shard_key, other_shard, E::WrongJob),
            (shard.rent_payer, watcher.id(), E::WrongRentPayer),
        ],
    );
    let mut swaps = t.with_tokens(&destinations);
    swaps.extend([
        (task.job, other.job, E::WrongVault),
        (job_vault, other_vault, E::WrongVault),
        (t.w.market, t.market, E::WrongMarket),
        (t.w.market_data().treasury, seeds::treasury(&t.market), E::WrongVault),
        (t.w.market_data().treasury, stranger.tokens, E::WrongVault),
        (task.renter.id(), stranger.id(), E::WrongRentPayer),
    ]);
    t.each(&t.w.close_job_ix(&task), &[&watcher], &swaps);

    t.w.refused(E::TooEarly, &[ix::close_seed(shard.window, watcher.id())], &[&stranger]);
    t.w.chain.pass(assay_settlement::constants::SEED_KEEP_SECONDS);
    t.each(
        &ix::close_seed(shard.window, watcher.id()),
        &[&stranger],
        &[(watcher.id(), stranger.id(), E::WrongRentPayer)],
    );
}

#[test]
fn evidence() {
    let mut t = Two::new();
    let (watcher, stranger) = (t.w.watcher.clone(), t.w.stranger.clone());
    let rent = t.w.chain.svm.minimum_balance_for_rent_exemption(1_000);
    let make = ix::create_evidence(watcher.id(), "one", 1_000, rent).unwrap();
    t.w.ok(&make, &[&watcher]);
    let address = ix::evidence_address(&watcher.id(), "one").unwrap();
    t.w.refused(E::NotEvidence, &[make[1].clone()], &[&watcher]);
    // Nobody takes another's account, under this seed or another.
    t.w.refused(E::WrongAddress, &[swapped(&make[1], &watcher.id(), &stranger.id())], &[&stranger]);
    let other = ix::create_evidence(watcher.id(), "two", 1_000, rent).unwrap();
    let misplaced = swapped(&other[1], &ix::evidence_address(&watcher.id(), "two").unwrap(), &address);
    t.w.refused(E::WrongAddress, &[misplaced], &[&watcher]);
    const HEAD: u32 = EVIDENCE_HEADER_BYTES as u32;
    let write = ix::write_evidence(watcher.id(), address, HEAD, vec![7; 1_000 - EVIDENCE_HEADER_BYTES]);
    let close = ix::close_evidence(watcher.id(), address);
    for theirs in [&write, &close] {
        t.w.refused(E::WrongEvidenceOwner, &[swapped(theirs, &watcher.id(), &stranger.id())], &[&stranger]);
        let renter = seeds::renter(&t.w.renter.id());
        for account in [t.w.market, t.task.job, t.w.alice.account, renter, watcher.tokens, stranger.id()] {
            t.w.refused(E::NotEvidence, &[swapped(theirs, &address, &account)], &[&watcher]);
        }
    }
    // Over the header, over the end, and as far as the numbers go.
    for (offset, bytes) in [(HEAD - 1, 1), (0, 8), (HEAD, 1_001 - EVIDENCE_HEADER_BYTES), (1_000, 1), (u32::MAX, 1)] {
        t.w.refused(
            E::EvidenceBounds,
            &[ix::write_evidence(watcher.id(), address, offset, vec![0; bytes])],
            &[&watcher],
        );
    }
    t.w.ok(&[write], &[&watcher]);
    // Closed and made anew in one transaction, it is empty.
    t.w.ok(&[close, make[0].clone(), make[1].clone()], &[&watcher]);
    assert!(t.w.chain.data(&address).unwrap()[EVIDENCE_HEADER_BYTES..].iter().all(|b| *b == 0));
    // Too small for a header, larger than is allowed.
    for bytes in [EVIDENCE_HEADER_BYTES - 1, 262_145] {
        let rent = t.w.chain.svm.minimum_balance_for_rent_exemption(bytes);
        let make = ix::create_evidence(watcher.id(), "size", bytes as u64, rent).unwrap();
        t.w.refused(E::EvidenceBounds, &make, &[&watcher]);
    }
}
