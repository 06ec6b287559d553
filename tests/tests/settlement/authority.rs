//! Keys that change hands: a market's authority in two steps, watch keys at once. None of them reaches money that is not
//! its own.

use anchor_lang::error::ErrorCode;
use assay_client::ix;
use assay_settlement::{constants::NOBODY, error::AssayError as E};
use assay_tests::{Spec, World, tokens};

#[test]
fn an_authority_is_handed_on_in_two_steps() {
    let mut w = World::new();
    let (old, new, stranger, market) = (w.creator.clone(), w.watcher.clone(), w.stranger.clone(), w.market);
    w.refused(E::NotProposed, &[ix::accept_authority(new.id(), market)], &[&new]);
    w.refused(E::NotAuthorized, &[ix::propose_authority(new.id(), market, new.id())], &[&new]);
    w.ok(&[ix::propose_authority(old.id(), market, new.id())], &[&old]);
    assert_eq!((w.market_data().authority, w.market_data().pending_authority), (old.id(), new.id()));
    // Nothing has changed yet.
    w.refused(E::NotAuthorized, &[ix::set_paused(new.id(), market, true)], &[&new]);
    w.refused(E::NotProposed, &[ix::accept_authority(stranger.id(), market)], &[&stranger]);
    w.refused(E::NotProposed, &[ix::accept_authority(old.id(), market)], &[&old]);
    w.pause(true);
    w.pause(false);
    w.ok(&[ix::accept_authority(new.id(), market)], &[&new]);
    assert_eq!((w.market_data().authority, w.market_data().pending_authority), (new.id(), NOBODY));
    w.refused(E::NotProposed, &[ix::accept_authority(new.id(), market)], &[&new]);
    // The old one has nothing left, although the market's address is made of its key.
    let treasury = w.market_data().treasury;
    w.donate(&treasury, 10);
    let data = w.market_data();
    let take = |by: &assay_tests::Actor| ix::withdraw_treasury(by.id(), &market, &data, by.tokens, 10);
    for refused in [
        ix::set_paused(old.id(), market, true),
        ix::propose_authority(old.id(), market, old.id()),
        take(&old),
        ix::close_market(old.id(), &market, &data, old.tokens),
    ] {
        w.refused(E::NotAuthorized, &[refused], &[&old]);
    }
    w.ok(&[ix::set_paused(new.id(), market, true), take(&new)], &[&new]);
}

#[test]
fn a_proposal_can_be_changed_and_taken_back() {
    let mut w = World::new();
    let (old, new, other, market) = (w.creator.clone(), w.watcher.clone(), w.stranger.clone(), w.market);
    w.ok(&[ix::propose_authority(old.id(), market, new.id())], &[&old]);
    w.ok(&[ix::propose_authority(old.id(), market, other.id())], &[&old]);
    w.refused(E::NotProposed, &[ix::accept_authority(new.id(), market)], &[&new]);
    w.ok(&[ix::propose_authority(old.id(), market, NOBODY)], &[&old]);
    w.refused(E::NotProposed, &[ix::accept_authority(other.id(), market)], &[&other]);
    // "Nobody" never signs; its key without a signature is no acceptance.
    let mut nobody = ix::accept_authority(NOBODY, market);
    nobody.accounts[0].is_signer = false;
    w.refused(ErrorCode::AccountNotSigner, &[nobody], &[&other]);
    // To oneself, and on in one transaction.
    w.ok(&[ix::propose_authority(old.id(), market, old.id()), ix::accept_authority(old.id(), market)], &[&old]);
    let hand_over = [
        ix::propose_authority(old.id(), market, new.id()),
        ix::accept_authority(new.id(), market),
        ix::set_paused(old.id(), market, true),
    ];
    w.refused(E::NotAuthorized, &hand_over, &[&old, &new]);
    w.ok(&hand_over[..2], &[&old, &new]);
}

#[test]
fn an_authority_touches_no_deal_and_no_stake() {
    let mut w = World::new();
    let task = w.create_with(Spec::image(), |r| r.delivery = 1);
    let (alice, creator) = (w.alice.clone(), w.creator.clone());
    let work = w.claim_and_commit(&task, 0, &alice);
    w.draw(&task, 0);
    let (job, provider) = (w.job(&task), w.provider(&alice));
    let as_authority = [
        ix::cancel_job(creator.id(), task.job),
        ix::accept_shard(creator.id(), &task.job, 0),
        ix::set_watch_keys(creator.id(), task.job, [creator.id(), NOBODY]),
        ix::name_cells(creator.id(), &task.job, 0, vec![1]),
        ix::waive_debts(creator.id(), &task.job, &job, &alice.account, &provider, 0),
        ix::withdraw_stake(creator.id(), &alice.account, &provider, &w.market_data(), creator.tokens, 1),
        ix::close_provider(creator.id(), &alice.account, &provider, &w.market_data(), creator.tokens),
        ix::demand_leaves(creator.id(), creator.id(), &task.job, &job, 0, creator.tokens, vec![0]),
    ];
    for refused in as_authority {
        w.refused(E::NotAuthorized, &[refused], &[&creator]);
    }
    w.pause(true);
    w.answer_all(&task, &work, &alice);
    w.pass_window(&task);
    w.settle(&task, 0, &alice);
}

#[test]
fn watch_keys_come_and_go_by_the_renters_hand() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, renter, old, new) = (w.alice.clone(), w.renter.clone(), w.watcher.clone(), w.stranger.clone());
    w.claim_and_commit(&task, 0, &alice);
    for by in [&old, &new, &alice.owner] {
        w.refused(E::NotAuthorized, &[ix::set_watch_keys(by.id(), task.job, [by.id(), NOBODY])], &[by]);
    }
    w.refused(E::NotAuthorized, &[ix::name_cells(new.id(), &task.job, 0, vec![1])], &[&new]);
    w.ok(&[ix::set_watch_keys(renter.id(), task.job, [NOBODY, new.id()])], &[&renter]);
    assert_eq!(w.job(&task).watch_keys, [NOBODY, new.id()]);
    // A removed key is powerless at once, a new one works at once, the zero key is nobody's.
    w.refused(E::NotAuthorized, &[ix::name_cells(old.id(), &task.job, 0, vec![1])], &[&old]);
    w.ok(&[ix::name_cells(new.id(), &task.job, 0, vec![1])], &[&new]);
    // A watch key names cells and nothing else.
    let job = w.job(&task);
    for refused in [
        ix::cancel_job(new.id(), task.job),
        ix::accept_shard(new.id(), &task.job, 0),
        ix::set_watch_keys(new.id(), task.job, [new.id(), NOBODY]),
    ] {
        w.refused(E::NotAuthorized, &[refused], &[&new]);
    }
    assert_eq!(job.terms_hash, w.job(&task).terms_hash, "watch keys are no terms");
    w.ok(&[ix::set_watch_keys(renter.id(), task.job, [NOBODY; 2])], &[&renter]);
    w.refused(E::NotAuthorized, &[ix::name_cells(new.id(), &task.job, 0, vec![1])], &[&new]);
    // The terms that a claim agrees to stay the same, so no change of keys stops one.
    w.claim(&task, 1, &alice);
}

#[test]
fn operators_come_and_go_by_the_owners_hand_and_never_withdraw() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, new) = (w.alice.clone(), w.watcher.clone());
    let mut profile = World::profile(&alice.operator.id());
    profile.operators = [NOBODY, new.id(), NOBODY, alice.operator.id()];
    for by in [&alice.operator, &new] {
        let mut update = ix::update_provider(by.id(), &w.market, profile.clone());
        update.accounts[1].pubkey = alice.account;
        w.refused(E::NotAuthorized, &[update], &[by]);
    }
    w.ok(&[ix::update_provider(alice.owner.id(), &w.market, profile.clone())], &[&alice.owner]);
    let second = assay_tests::Provider { operator: new.clone(), ..alice.clone() };
    w.claim(&task, 0, &second);
    // Whoever of the operators claimed, another may commit.
    let work = w.work(&task, 0, &alice);
    w.commit(&task, &alice, &work);
    let market = w.market_data();
    let data = w.provider(&alice);
    for by in [&alice.operator, &new] {
        let take = ix::withdraw_stake(by.id(), &alice.account, &data, &market, by.tokens, 1);
        w.refused(E::NotAuthorized, &[take], &[by]);
        w.refused(E::NotAuthorized, &[ix::close_provider(by.id(), &alice.account, &data, &market, by.tokens)], &[by]);
    }
    profile.operators = [NOBODY; 4];
    w.ok(&[ix::update_provider(alice.owner.id(), &w.market, profile)], &[&alice.owner]);
    for by in [&alice, &second] {
        w.refused(E::NotAuthorized, &[w.claim_ix(&task, 1, by)], &[&by.operator]);
    }
    // Tokens of the vault leave by the owner's signature to wherever the owner says.
    let data = w.provider(&alice);
    let away = ix::withdraw_stake(alice.owner.id(), &alice.account, &data, &w.market_data(), new.tokens, 5);
    w.ok(&[away], &[&alice.owner]);
    let gift = tokens::transfer(new.tokens, alice.owner.tokens, &new, w.token_program, 5);
    w.ok(&[gift], &[&new]);
}
