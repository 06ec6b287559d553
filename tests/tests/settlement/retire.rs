//! Closing providers, markets and kernels: what keeps them open, where rent and dust go, and that nothing of them comes
//! back with the address.

use anchor_lang::error::ErrorCode;
use assay_client::{ix, token};
use assay_settlement::{Kernel, Market, Provider as ProviderAccount, Terms, error::AssayError as E, seeds};
use assay_tests::{
    Actor, Spec, World, experimental_terms,
    world::{STAKE, VERIFIER, swapped},
};

/// Lamports of an actor, spent fees added back.
fn wealth(w: &World, actor: &Actor) -> u64 {
    w.chain.lamports(&actor.id()) + w.chain.fees.get(&actor.id()).unwrap_or(&0)
}

#[test]
fn a_provider_closes_without_stake_lock_and_work() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, stranger) = (w.alice.clone(), w.stranger.clone());
    let close = w.close_provider_ix(&alice);
    w.refused(E::StillNeeded, std::slice::from_ref(&close), &[&alice.owner]);
    w.withdraw(&alice, STAKE - 3_000_000);
    w.claim(&task, 0, &alice);
    w.refused(E::StillNeeded, std::slice::from_ref(&close), &[&alice.owner]);
    w.withdraw(&alice, 1_500_000);
    w.refused(E::StillNeeded, std::slice::from_ref(&close), &[&alice.owner]);
    let work = w.forged(&task, 0, &alice, &[1]);
    w.commit(&task, &alice, &work);
    w.judge(&task, &work, 1, &stranger).unwrap();
    w.refused(E::StillNeeded, std::slice::from_ref(&close), &[&alice.owner]);
    w.ok(&[w.seize_ix(&task, 0, &alice)], &[&stranger]);
    w.refused(E::StillNeeded, std::slice::from_ref(&close), &[&alice.owner]);
    w.ok(&[w.bounty_ix(&task, 0, &alice, stranger.tokens)], &[&stranger]);
    // Nothing is left but what somebody put into the vault.
    let (data, had, before) = (w.provider(&alice), w.held(&alice.owner.tokens), wealth(&w, &alice.owner));
    w.donate(&data.vault, 11);
    let rents = w.chain.lamports(&alice.account) + w.chain.lamports(&data.vault);
    for by in [&stranger, &alice.operator] {
        w.refused(E::NotAuthorized, &[swapped(&close, &alice.owner.id(), &by.id())], &[by]);
    }
    w.ok(std::slice::from_ref(&close), &[&alice.owner]);
    assert_eq!(w.held(&alice.owner.tokens) - had, 11);
    assert_eq!(wealth(&w, &alice.owner) - before, rents);
    assert_eq!((w.chain.lamports(&alice.account), w.chain.lamports(&data.vault)), (0, 0));
    assert_eq!(w.market_data().providers, 1);
    w.refused(ErrorCode::AccountOwnedByWrongProgram, &[close], &[&alice.owner]);
    w.refused(ErrorCode::AccountOwnedByWrongProgram, &[w.claim_ix(&task, 1, &alice)], &[&alice.operator]);
    w.cancel(&task);
    w.close(&task);
}

#[test]
fn a_provider_that_comes_back_begins_anew() {
    for together in [true, false] {
        let mut w = World::new();
        let task = w.create(Spec::image());
        let (alice, stranger) = (w.alice.clone(), w.stranger.clone());
        w.challenge_and_prove(&task, &alice, &stranger);
        let old = w.provider(&alice);
        assert!(old.settled == 1 && old.earned > 0 && old.registered_at > 0);
        w.withdraw(&alice, old.staked);
        let (owner, market) = (alice.owner.clone(), w.market_data());
        let new = World::profile(&stranger.id());
        let register = ix::register_provider(owner.id(), owner.id(), &w.market, &market, new);
        let close = w.close_provider_ix(&alice);
        if together {
            w.ok(&[close, register], &[&owner]);
        } else {
            w.ok(&[close], &[&owner]);
            w.chain.fund(&alice.account, 1_000_000);
            w.chain.advance(10);
            w.ok(&[register], &[&owner]);
        }
        let data: ProviderAccount = w.provider(&alice);
        assert_eq!((data.staked, data.locked, u64::from(data.active), data.queued_seconds), (0, 0, 0, 0));
        assert_eq!((data.settled, data.slashed, data.given_back, data.earned, data.fees), (0, 0, 0, 0, 0));
        assert_eq!(data.operators[0], stranger.id(), "the old operators are gone");
        w.refused(E::NotAuthorized, &[w.claim_ix(&task, 1, &alice)], &[&alice.operator]);
        let back = assay_tests::Provider { operator: stranger.clone(), ..alice.clone() };
        w.refused(E::StakeTooSmall, &[w.claim_ix(&task, 1, &back)], &[&stranger]);
        w.deposit(&back, 3_000_000);
        w.claim(&task, 1, &back);
    }
}

/// A shard that was challenged, and paid; a step of these tests alone.
trait Challenged {
    fn challenge_and_prove(&mut self, task: &assay_tests::Task, provider: &assay_tests::Provider, by: &Actor);
}

impl Challenged for World {
    fn challenge_and_prove(&mut self, task: &assay_tests::Task, provider: &assay_tests::Provider, by: &Actor) {
        let work = self.claim_and_commit(task, 0, provider);
        self.challenge(task, 0, 9, by);
        self.judge(task, &work, 9, &provider.operator).unwrap();
        self.draw(task, 0);
        self.answer_all(task, &work, provider);
        self.pass_window(task);
        self.settle(task, 0, provider);
        self.pay_challenge(task, 0, 9);
    }
}

#[test]
fn a_market_closes_without_jobs_and_providers() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, bob, creator, stranger) = (w.alice.clone(), w.bob.clone(), w.creator.clone(), w.stranger.clone());
    w.prove(&task, 0, &alice);
    let close = w.close_market_ix();
    w.refused(E::StillNeeded, std::slice::from_ref(&close), &[&creator]);
    w.retire(&alice);
    w.retire(&bob);
    assert_eq!((w.market_data().jobs, w.market_data().providers), (1, 0));
    w.refused(E::StillNeeded, std::slice::from_ref(&close), &[&creator]);
    w.cancel(&task);
    w.close(&task);
    w.refused(E::NotAuthorized, &[swapped(&close, &creator.id(), &stranger.id())], &[&stranger]);
    // Fees that nobody took out, and a gift, go along.
    let (data, had, before) = (w.market_data(), w.held(&creator.tokens), wealth(&w, &creator));
    w.donate(&data.treasury, 5);
    let rents = w.chain.lamports(&w.market) + w.chain.lamports(&data.treasury);
    w.ok(std::slice::from_ref(&close), &[&creator]);
    assert_eq!(w.held(&creator.tokens) - had, 20_000 + 5);
    assert_eq!(wealth(&w, &creator) - before, rents);
    assert_eq!((w.chain.lamports(&w.market), w.chain.lamports(&data.treasury)), (0, 0));
    w.refused(ErrorCode::AccountOwnedByWrongProgram, &[close], &[&creator]);
    let request = w.request_in(&data);
    w.refused(ErrorCode::AccountOwnedByWrongProgram, &[request], &[&w.renter.clone()]);
}

trait Asks {
    fn request_in(&self, market: &Market) -> solana_instruction::Instruction;
}

impl Asks for World {
    /// A job in a market that may be closed.
    fn request_in(&self, market: &Market) -> solana_instruction::Instruction {
        let (spec, renter, kernel) = (Spec::image(), self.renter.clone(), seeds::kernel(&VERIFIER, 1));
        let (data, request) = (self.read::<Kernel>(&kernel), self.request(&renter, &spec));
        let id = renter.id();
        ix::create_job(id, id, &self.market, market, &kernel, &data, renter.tokens, request)
    }
}

#[test]
fn a_market_that_is_opened_again_is_a_new_one() {
    for together in [true, false] {
        let mut w = World::new();
        let (alice, bob, creator, new) = (w.alice.clone(), w.bob.clone(), w.creator.clone(), w.watcher.clone());
        w.pause(true);
        w.ok(&[ix::propose_authority(creator.id(), w.market, new.id())], &[&creator]);
        w.retire(&alice);
        w.retire(&bob);
        let (mint, _) = w.other_mint(&creator);
        let terms = Terms { fee_bps: 300, ..experimental_terms() };
        let open = ix::open_market(creator.id(), creator.id(), 0, mint, token::SPL_TOKEN, terms, false);
        w.refused(E::TermsBelowFloor, &[w.close_market_ix(), open], &[&creator]);
        let open = ix::open_market(creator.id(), creator.id(), 0, mint, token::SPL_TOKEN, terms, true);
        let close = w.close_market_ix();
        if together {
            w.ok(&[close, open], &[&creator]);
        } else {
            w.ok(&[close], &[&creator]);
            w.chain.fund(&w.market.clone(), 1_000_000);
            w.chain.advance(5);
            w.ok(&[open], &[&creator]);
        }
        let market = w.market_data();
        assert_eq!((market.mint, market.terms.fee_bps, market.jobs, market.providers), (mint, 300, 0, 0));
        assert_eq!(market.flags & assay_settlement::PAUSED, 0);
        w.refused(E::NotProposed, &[ix::accept_authority(new.id(), w.market)], &[&new]);
        assert!(w.find::<ProviderAccount>(&alice.account).is_none());
        assert_eq!(w.held(&market.treasury), 0);
    }
}

#[test]
fn a_market_closes_by_whoever_has_its_authority_and_pays_rent_to_whoever_opened_it() {
    let mut w = World::new();
    let (alice, bob, creator, new) = (w.alice.clone(), w.bob.clone(), w.creator.clone(), w.watcher.clone());
    w.retire(&alice);
    w.retire(&bob);
    let hand_over = [ix::propose_authority(creator.id(), w.market, new.id()), ix::accept_authority(new.id(), w.market)];
    w.ok(&hand_over, &[&creator, &new]);
    w.refused(E::NotAuthorized, &[w.close_market_ix()], &[&creator]);
    let close = ix::close_market(new.id(), &w.market, &w.market_data(), new.tokens);
    w.refused(E::WrongRentPayer, &[swapped_rent_payer(&close, &creator, &new)], &[&new]);
    let before = wealth(&w, &creator);
    w.ok(&[close], &[&new]);
    assert!(wealth(&w, &creator) > before);
}

/// The rent to somebody else.
fn swapped_rent_payer(
    close: &solana_instruction::Instruction,
    from: &Actor,
    to: &Actor,
) -> solana_instruction::Instruction {
    swapped(close, &from.id(), &to.id())
}

#[test]
fn a_kernels_registration_closes_by_its_payer_and_jobs_go_on() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, creator, stranger) = (w.alice.clone(), w.creator.clone(), w.stranger.clone());
    let kernel = seeds::kernel(&VERIFIER, 1);
    w.refused(E::WrongRentPayer, &[ix::close_kernel(stranger.id(), kernel)], &[&stranger]);
    let (before, rent) = (wealth(&w, &creator), w.chain.lamports(&kernel));
    let stated: Kernel = w.read(&kernel);
    w.ok(&[ix::close_kernel(creator.id(), kernel)], &[&creator]);
    assert_eq!((wealth(&w, &creator) - before, w.chain.lamports(&kernel)), (rent, 0));
    // The job has its own copy of everything.
    w.prove(&task, 0, &alice);
    // New jobs need it registered, by anyone: it is what its verifier says.
    w.refused(ErrorCode::AccountOwnedByWrongProgram, &[ix::close_kernel(creator.id(), kernel)], &[&creator]);
    w.ok(&[ix::register_kernel(stranger.id(), VERIFIER, 1)], &[&stranger]);
    let again: Kernel = w.read(&kernel);
    assert_eq!((again.rent_payer, again.name, again.bump), (stranger.id(), stated.name, stated.bump));
    w.refused(E::WrongRentPayer, &[ix::close_kernel(creator.id(), kernel)], &[&creator]);
    w.create(Spec::image());
    let both = [ix::close_kernel(stranger.id(), kernel), ix::register_kernel(stranger.id(), VERIFIER, 1)];
    w.ok(&both, &[&stranger]);
}
