//! As `swapped_accounts`, for challenges, acceptance, delivery and closings: one account at a time replaced by another of
//! the right kind, and by which error it is refused.

use super::swapped_accounts::Two;
use anchor_lang::error::ErrorCode;
use assay_client::ix;
use assay_settlement::{error::AssayError as E, seeds};
use assay_tests::{
    Provider, Spec, World,
    world::{VERIFIER, swapped},
};

#[test]
fn challenges() {
    let mut t = Two::new();
    let (alice, bob, stranger, watcher) =
        (t.w.alice.clone(), t.w.bob.clone(), t.w.stranger.clone(), t.w.watcher.clone());
    let (task, other) = (t.task.clone(), t.other.clone());
    let [shard, other_shard] = t.shards();
    let works = [(&task, &alice), (&other, &bob)].map(|(task, by)| {
        let work = t.w.work(task, 0, by);
        t.w.commit(task, by, &work);
        work
    });
    t.w.challenge(&other, 0, 5, &watcher);
    let [mine, theirs] = [shard, other_shard].map(|s| seeds::challenge(&s, 5));
    let open = t.w.challenge_ix(&task, 0, 5, &stranger);
    let system = solana_system_interface::program::ID;
    let spoofed = swapped(&open, &system, &VERIFIER);
    t.w.refused(ErrorCode::InvalidProgramId, &[spoofed], &[&stranger]);
    let swaps = t.with_tokens(&[
        (task.job, other.job, E::WrongJob),
        (shard, other_shard, E::WrongJob),
        (alice.account, bob.account, E::WrongProvider),
        (alice.account, t.provider.account, E::WrongProvider),
        (mine, seeds::challenge(&shard, 6), E::WrongAddress),
        (mine, theirs, E::WrongAddress),
        (seeds::bond(&mine), seeds::bond(&seeds::challenge(&shard, 6)), E::WrongAddress),
        (seeds::bond(&mine), seeds::bond(&theirs), E::WrongAddress),
        (seeds::bond(&mine), seeds::stake(&alice.account), E::WrongAddress),
    ]);
    // The system program stands for the token program in one of these swaps, so it is told apart by its place.
    t.each(&open, &[&stranger], &swaps[..swaps.len() - 1]);

    // Answered: the halves go into the vaults of this provider and this job.
    t.w.judge(&task, &works[0], 5, &alice.operator).unwrap();
    t.w.judge(&other, &works[1], 5, &bob.operator).unwrap();
    let [job_vault, other_vault, stake, other_stake] = t.vaults();
    let swaps = t.with_tokens(&[
        (task.job, other.job, E::WrongJob),
        (shard, other_shard, E::WrongChallenge),
        (alice.account, bob.account, E::WrongProvider),
        (alice.account, t.provider.account, E::WrongProvider),
        (mine, theirs, E::WrongJob),
        (seeds::bond(&mine), seeds::bond(&theirs), E::WrongVault),
        (seeds::bond(&mine), stake, E::WrongVault),
        (stake, other_stake, E::WrongVault),
        (stake, stranger.tokens, E::WrongVault),
        (job_vault, other_vault, E::WrongVault),
        (job_vault, stake, E::WrongVault),
        (stranger.id(), watcher.id(), E::WrongRentPayer),
        (stranger.id(), mine, E::WrongRentPayer),
    ]);
    let pay = t.w.pay_challenge_ix(&task, 0, 5);
    t.each(&pay, &[&watcher], &swaps);

    // Given back: to the challenger's associated account, and its rent to whoever paid it.
    t.w.challenge(&task, 0, 6, &stranger);
    t.w.challenge(&other, 0, 6, &watcher);
    t.w.accept(&task, 0);
    t.w.accept(&other, 0);
    let [mine, theirs] = [shard, other_shard].map(|s| seeds::challenge(&s, 6));
    let second = t.w.second_account(&stranger);
    let swaps = t.with_tokens(&[
        (shard, other_shard, E::WrongChallenge),
        (shard, seeds::shard(&task.job, 1), E::WrongChallenge),
        (mine, theirs, E::WrongChallenge),
        (seeds::bond(&mine), seeds::bond(&theirs), E::WrongVault),
        (stranger.tokens, second, E::WrongTokenOwner),
        (stranger.tokens, watcher.tokens, E::WrongTokenOwner),
        (stranger.tokens, t.foreign_tokens, E::WrongMint),
        (stranger.tokens, stranger.id(), E::WrongTokenProgram),
        (stranger.id(), watcher.id(), E::WrongRentPayer),
    ]);
    for (task, by) in [(&task, &alice), (&other, &bob)] {
        t.w.settle(task, 0, by);
    }
    let back = t.w.return_bond_ix(&task, 0, 6);
    t.each(&back, &[&watcher], &swaps);
}

#[test]
fn overdue_challenges() {
    let mut t = Two::new();
    let (alice, bob, stranger) = (t.w.alice.clone(), t.w.bob.clone(), t.w.stranger.clone());
    let (task, other) = (t.task.clone(), t.other.clone());
    for (task, by) in [(&task, &alice), (&other, &bob)] {
        let work = t.w.work(task, 0, by);
        t.w.commit(task, by, &work);
        t.w.challenge(task, 0, 5, &stranger);
    }
    let [shard, other_shard] = t.shards();
    let [mine, theirs] = [shard, other_shard].map(|s| seeds::challenge(&s, 5));
    t.w.chain.pass(10_000);
    let slash = t.w.slash_challenged_ix(&task, 0, 5, &stranger);
    // Other types in the challenge's place, and a vacant address.
    for (account, error) in [
        (shard, ErrorCode::AccountDiscriminatorMismatch),
        (task.job, ErrorCode::AccountDiscriminatorMismatch),
        (seeds::bond(&mine), ErrorCode::AccountOwnedByWrongProgram),
        (seeds::challenge(&shard, 6), ErrorCode::AccountOwnedByWrongProgram),
    ] {
        let changed = swapped(&slash, &mine, &account);
        let refusal = t.w.send(&[changed], &[&stranger]).map(|r| r.logs);
        let known = [error, ErrorCode::AccountNotInitialized, ErrorCode::ConstraintDuplicateMutableAccount];
        assert!(known.iter().any(|e| refusal == Err((*e).into())), "{account}: {refusal:?}");
    }
    let swaps =
        [(task.job, other.job, E::WrongJob), (shard, other_shard, E::WrongJob), (mine, theirs, E::WrongChallenge)];
    t.each(&slash, &[&stranger], &swaps);
}

#[test]
fn acceptance_and_delivery() {
    let mut t = Two::new();
    let (alice, bob, stranger, renter) = (t.w.alice.clone(), t.w.bob.clone(), t.w.stranger.clone(), t.w.renter.clone());
    let (task, other) = (t.task.clone(), t.other.clone());
    let [shard, other_shard] = t.shards();
    let works = [(&task, &alice), (&other, &bob)].map(|(task, by)| {
        let work = t.w.work(task, 0, by);
        t.w.commit(task, by, &work);
        work
    });
    t.w.demand(&other, 0, &[0]);
    let [mine, theirs] = [shard, other_shard].map(|s| seeds::delivery(&s));
    let [job_vault, other_vault, stake, _] = t.vaults();
    let demand = t.w.demand_ix(&task, 0, &[0]);
    let swaps = t.with_tokens(&[
        (task.job, other.job, E::WrongJob),
        (shard, other_shard, E::WrongAddress),
        (mine, theirs, E::WrongAddress),
        (mine, seeds::delivery(&seeds::shard(&task.job, 1)), E::WrongAddress),
        (job_vault, other_vault, E::WrongVault),
        (job_vault, stake, E::WrongVault),
    ]);
    t.each(&demand, &[&renter], &swaps[..swaps.len() - 1]);

    let wrong_job = [(task.job, other.job, E::WrongJob), (shard, other_shard, E::WrongJob)];
    let post = t.w.post_ix(&task, &works[0], 0, 0, &stranger);
    let mut swaps = wrong_job.to_vec();
    swaps.push((mine, theirs, E::WrongDelivery));
    t.each(&post, &[&stranger], &swaps);

    let accept = ix::accept_shard(renter.id(), &task.job, 0);
    t.w.refused(E::NotAuthorized, &[swapped(&accept, &renter.id(), &stranger.id())], &[&stranger]);
    t.each(&accept, &[&renter], &wrong_job);

    t.w.settle(&task, 0, &alice);
    let close = t.w.close_delivery_ix(&task, 0);
    let swaps = [
        (shard, other_shard, E::WrongDelivery),
        (mine, theirs, E::WrongDelivery),
        (renter.id(), stranger.id(), E::WrongRentPayer),
    ];
    t.each(&close, &[&stranger], &swaps);

    let key = stranger.id();
    let [one, two] = [0, 1].map(|_| {
        let task = t.w.create_with(Spec::image(), |r| (r.delivery, r.attestor) = (2, key));
        t.w.claim_and_commit(&task, 0, &alice);
        task
    });
    let attest = ix::attest_delivery(stranger.id(), &one.job, 0, true);
    t.w.refused(E::NotAuthorized, &[swapped(&attest, &stranger.id(), &alice.owner.id())], &[&alice.owner]);
    let [first, second] = [&one, &two].map(|t| seeds::shard(&t.job, 0));
    t.each(&attest, &[&stranger], &[(one.job, two.job, E::WrongJob), (first, second, E::WrongJob)]);
}

#[test]
fn waivers() {
    let mut t = Two::new();
    let (alice, bob, stranger, renter) = (t.w.alice.clone(), t.w.bob.clone(), t.w.stranger.clone(), t.w.renter.clone());
    let (task, other) = (t.task.clone(), t.other.clone());
    for (task, by) in [(&task, &alice), (&other, &bob)] {
        let forged = t.w.forged(task, 0, by, &[3]);
        t.w.commit(task, by, &forged);
        t.w.judge(task, &forged, 3, &stranger).unwrap();
        t.w.ok(&[t.w.bounty_ix(task, 0, by, stranger.tokens)], &[&stranger]);
        let vault = t.w.provider(by).vault;
        t.w.freeze(&vault, true);
        t.w.ok(&[t.w.seize_ix(task, 0, by)], &[&stranger]);
    }
    let [shard, other_shard] = t.shards();
    let [job_vault, other_vault, stake, other_stake] = t.vaults();
    let waive = t.w.waive_ix(&task, 0, &alice);
    t.each(
        &waive,
        &[&renter],
        &[
            (task.job, other.job, E::WrongJob),
            (shard, other_shard, E::WrongJob),
            (alice.account, bob.account, E::WrongProvider),
            (alice.account, t.provider.account, E::WrongProvider),
            (job_vault, other_vault, E::WrongVault),
            (stake, other_stake, E::WrongVault),
            (stake, stranger.tokens, E::WrongVault),
        ],
    );
}

#[test]
fn closings() {
    let mut t = Two::new();
    let (creator, stranger, bob) = (t.w.creator.clone(), t.w.stranger.clone(), t.w.bob.clone());
    let new = Provider {
        account: seeds::provider(&t.w.market, &stranger.id()),
        owner: stranger.clone(),
        operator: stranger.clone(),
    };
    let register = ix::register_provider(
        stranger.id(),
        creator.id(),
        &t.w.market,
        &t.w.market_data(),
        World::profile(&bob.owner.id()),
    );
    t.w.ok(&[register], &[&stranger, &creator]);
    let vault = seeds::stake(&new.account);
    t.w.donate(&vault, 3);
    let close = t.w.close_provider_ix(&new);
    let swaps = t.with_tokens(&[
        (t.w.market, t.market, E::WrongMarket),
        (new.account, bob.account, E::NotAuthorized),
        (new.account, t.provider.account, E::WrongMarket),
        (vault, seeds::stake(&bob.account), E::WrongVault),
        (vault, stranger.tokens, E::WrongVault),
        (creator.id(), stranger.id(), E::WrongRentPayer),
    ]);
    t.each(&close, &[&stranger], &swaps);

    // The third market of the creator, with dust in its treasury and its rent paid by the stranger.
    let third = seeds::market(&creator.id(), 3);
    let open = ix::open_market(
        creator.id(),
        stranger.id(),
        3,
        t.w.mint,
        t.w.token_program,
        assay_tests::experimental_terms(),
        true,
    );
    t.w.ok(&[open], &[&creator, &stranger]);
    let treasury = seeds::treasury(&third);
    t.w.donate(&treasury, 3);
    let close = ix::close_market(creator.id(), &third, &t.w.read(&third), creator.tokens);
    t.w.refused(E::NotAuthorized, &[swapped(&close, &creator.id(), &bob.owner.id())], &[&bob.owner]);
    let swaps = t.with_tokens(&[
        (third, t.w.market, E::WrongRentPayer),
        (treasury, seeds::treasury(&t.market), E::WrongVault),
        (treasury, stranger.tokens, E::WrongVault),
        (stranger.id(), bob.owner.id(), E::WrongRentPayer),
    ]);
    t.each(&close, &[&creator], &swaps);

    let kernel = seeds::kernel(&VERIFIER, 1);
    let close = ix::close_kernel(creator.id(), kernel);
    t.w.refused(E::WrongRentPayer, &[swapped(&close, &creator.id(), &stranger.id())], &[&stranger]);
    for (account, error) in [
        (t.w.market, ErrorCode::AccountDiscriminatorMismatch),
        (creator.tokens, ErrorCode::AccountOwnedByWrongProgram),
        (seeds::kernel(&VERIFIER, 9), ErrorCode::AccountOwnedByWrongProgram),
    ] {
        t.w.refused(error, &[swapped(&close, &kernel, &account)], &[&creator]);
    }
    t.w.ok(&[close], &[&creator]);
}
