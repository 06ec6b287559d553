//! Claims: under which terms, at which price, and what giving one back costs.

use assay_client::ix;
use assay_kernels::abi::{Describe, Geometry};
use assay_settlement::{ShardState, error::AssayError as E, seeds};
use assay_tests::{
    Provider, Spec, Task, World,
    scripted::{Says, Script, description},
    world::{EXECUTE, PRICES, RAMP, STAKE},
};

fn claimed() -> (World, Task, Provider) {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let alice = w.alice.clone();
    w.claim(&task, 0, &alice);
    (w, task, alice)
}

#[test]
fn a_claim_names_its_terms_and_its_least_price() {
    let mut w = World::new();
    let (task, other) = (w.create(Spec::image()), w.create(Spec::small_product()));
    let alice = w.alice.clone();
    let claim = |w: &World, terms: &Task, min: u64| {
        let mut job = w.job(&task);
        job.terms_hash = w.job(terms).terms_hash;
        ix::claim_shard(alice.operator.id(), &task.job, &job, &alice.account, 0, min)
    };
    w.refused(E::TermsChanged, &[claim(&w, &other, 0)], &[&alice.operator]);
    w.refused(E::PriceTooLow, &[claim(&w, &task, PRICES.0 + 1)], &[&alice.operator]);
    w.refused(E::PriceTooLow, &[claim(&w, &task, u64::MAX)], &[&alice.operator]);
    w.chain.advance(1);
    w.ok(&[claim(&w, &task, PRICES.0 + (PRICES.1 - PRICES.0) / u64::from(RAMP))], &[&alice.operator]);
}

#[test]
fn stake_that_is_locked_stays() {
    let (mut w, task, alice) = claimed();
    let locked = w.provider(&alice).locked;
    assert_eq!(locked, 1_500_000);
    w.refused(E::StakeTooSmall, &[w.withdraw_ix(&alice, STAKE - locked + 1)], &[&alice.owner]);
    w.refused(E::StakeTooSmall, &[w.withdraw_ix(&alice, u64::MAX)], &[&alice.owner]);
    w.withdraw(&alice, STAKE - locked);
    // Nothing free is left: no second claim.
    w.refused(E::StakeTooSmall, &[w.claim_ix(&task, 1, &alice)], &[&alice.operator]);
    w.deposit(&alice, 1_499_999);
    w.refused(E::StakeTooSmall, &[w.claim_ix(&task, 1, &alice)], &[&alice.operator]);
    w.deposit(&alice, 1);
    w.claim(&task, 1, &alice);
    w.refused(E::StakeTooSmall, &[w.withdraw_ix(&alice, 1)], &[&alice.owner]);
}

#[test]
fn a_provider_takes_no_more_shards_than_it_can_answer_in_time() {
    // Six cells of 200 transactions take 2,400 seconds: of an hour there is not room for two.
    let mut w = World::new();
    let geometry = Geometry { answer_transactions: 200, ..Geometry::uniform(32, 4, 4) };
    let mut script = Script::new(9, &geometry, &[0; 4]);
    let described = Describe { answer_transactions: 200, ..description(9) };
    script.describe = Says::Bytes(bytemuck::bytes_of(&described).to_vec());
    let kernel = w.register_script(&script, 9);
    let (alice, bob, renter) = (w.alice.clone(), w.bob.clone(), w.renter.clone());
    let spec = Spec { kernel: 9, params: Vec::new(), inputs: Vec::new(), shard_leaves: 3 };
    let request = w.request(&renter, &spec);
    let job = seeds::job(&renter.id(), request.nonce);
    w.ok(&[w.create_on_ix(&renter, &kernel, request)], &[&renter]);
    let task = Task { job, renter, spec };
    w.claim(&task, 0, &alice);
    assert_eq!(w.provider(&alice).load_seconds, 2_400);
    w.refused(E::ProviderLoaded, &[w.claim_ix(&task, 1, &alice)], &[&alice.operator]);
    // Another has its own hours, and a shard that is given back leaves room.
    w.claim(&task, 1, &bob);
    w.ok(&[w.release_ix(&task, 0, &alice)], &[&alice.operator]);
    assert_eq!(w.provider(&alice).load_seconds, 0);
    w.claim(&task, 2, &alice);
}

#[test]
fn anyone_may_add_stake_and_tokens_sent_to_the_vault_are_not_stake() {
    let mut w = World::new();
    let (alice, stranger) = (w.alice.clone(), w.stranger.clone());
    let data = w.provider(&alice);
    let gift = ix::deposit_stake(stranger.id(), &alice.account, &data, &w.market_data(), stranger.tokens, 500);
    w.ok(&[gift], &[&stranger]);
    assert_eq!(w.provider(&alice).staked, STAKE + 500);
    let creator = w.creator.clone();
    w.ok(&[assay_client::token::mint_to(&w.mint, &data.vault, &creator.id(), 900)], &[&creator]);
    assert_eq!(w.provider(&alice).staked, STAKE + 500);
    w.refused(E::StakeTooSmall, &[w.withdraw_ix(&alice, STAKE + 501)], &[&alice.owner]);
}

#[test]
fn the_penalty_for_giving_back_grows_with_the_time_held() {
    for (held, penalty) in [(0, 20_000), (EXECUTE / 2, 110_000), (EXECUTE, 200_000), (EXECUTE * 3, 200_000)] {
        let (mut w, task, alice) = claimed();
        w.chain.advance(u64::from(held));
        let vault = w.job(&task).vault;
        let before = w.held(&vault);
        w.ok(&[w.release_ix(&task, 0, &alice)], &[&alice.operator]);
        assert_eq!(w.held(&vault) - before, penalty, "after {held} s");
        let provider = w.provider(&alice);
        assert_eq!((provider.staked, provider.locked, provider.given_back), (STAKE - penalty, 0, 1));
        assert_eq!(w.shard(&task, 0).state(), Some(ShardState::Open));
        // It is the renter's at once, without waiting for the job's end.
        let stranger = w.stranger.clone();
        let renter_had = w.held(&task.renter.tokens);
        w.ok(&[w.refund_ix(&task)], &[&stranger]);
        assert_eq!(w.held(&task.renter.tokens) - renter_had, penalty);
    }
}

#[test]
fn a_claim_expires_after_its_time_and_not_before() {
    let (mut w, task, alice) = claimed();
    let stranger = w.stranger.clone();
    w.chain.advance(u64::from(EXECUTE) - 1);
    w.refused(E::TooEarly, &[w.expire_ix(&task, 0, &alice, &stranger)], &[&stranger]);
    w.chain.advance(1);
    w.ok(&[w.expire_ix(&task, 0, &alice, &stranger)], &[&stranger]);
    assert_eq!(w.provider(&alice).staked, STAKE - 250_000, "25 % of the price");
    assert_eq!(w.job(&task).compensated, 250_000);
    w.refused(E::WrongState, &[w.expire_ix(&task, 0, &alice, &stranger)], &[&stranger]);
    w.refused(E::WrongState, &[w.release_ix(&task, 0, &alice)], &[&alice.operator]);
    let work = w.work(&task, 0, &alice);
    w.refused(E::WrongState, &[w.commit_ix(&task, 0, &alice, work.tree.root())], &[&alice.operator]);
}

#[test]
fn a_late_commitment_counts_until_somebody_expires_the_claim() {
    let (mut w, task, alice) = claimed();
    let stranger = w.stranger.clone();
    w.chain.advance(u64::from(EXECUTE) * 2);
    let work = w.work(&task, 0, &alice);
    w.commit(&task, &alice, &work);
    w.refused(E::WrongState, &[w.expire_ix(&task, 0, &alice, &stranger)], &[&stranger]);
    w.refused(E::WrongState, &[w.release_ix(&task, 0, &alice)], &[&alice.operator]);
    w.refused(E::WrongState, &[w.commit_ix(&task, 0, &alice, [9; 32])], &[&alice.operator]);
}

#[test]
fn the_ramp_stands_still_while_a_shard_is_claimed() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, bob) = (w.alice.clone(), w.bob.clone());
    w.chain.advance(100);
    w.claim(&task, 0, &alice);
    assert_eq!(w.shard(&task, 0).price, 1_100_000);
    w.chain.advance(400);
    w.ok(&[w.release_ix(&task, 0, &alice)], &[&alice.operator]);
    // 500 s after creation, of which the claim took 400: the price is where it was.
    w.claim(&task, 0, &bob);
    assert_eq!(w.shard(&task, 0).price, 1_100_000);
    w.ok(&[w.release_ix(&task, 0, &bob)], &[&bob.operator]);
    w.chain.advance(300);
    w.claim(&task, 0, &alice);
    let shard = w.shard(&task, 0);
    assert_eq!((shard.price, shard.claims, shard.provider), (1_400_000, 3, alice.account));
    // A shard that nobody claimed has ramped on.
    w.claim(&task, 1, &bob);
    assert_eq!(w.shard(&task, 1).price, 1_800_000);
}

#[test]
fn a_shard_given_back_is_refunded_when_the_job_is_cancelled() {
    let (mut w, task, alice) = claimed();
    let (bob, stranger) = (w.bob.clone(), w.stranger.clone());
    w.ok(&[w.release_ix(&task, 0, &alice)], &[&alice.operator]);
    w.cancel(&task);
    w.refused(E::JobClosed, &[w.claim_ix(&task, 0, &bob)], &[&bob.operator]);
    let renter_had = w.held(&task.renter.tokens);
    w.ok(&[w.refund_ix(&task)], &[&stranger]);
    assert_eq!(w.held(&task.renter.tokens) - renter_had, 2 * PRICES.1 + 20_000);
    w.close(&task);
}

#[test]
fn a_removed_operator_is_powerless_at_once() {
    let (mut w, task, alice) = claimed();
    let new = w.actor();
    let update = ix::update_provider(alice.owner.id(), &w.market, World::profile(&new.id()));
    w.ok(&[update], &[&alice.owner]);
    let work = w.work(&task, 0, &alice);
    w.refused(E::NotAuthorized, &[w.commit_ix(&task, 0, &alice, work.tree.root())], &[&alice.operator]);
    w.refused(E::NotAuthorized, &[w.release_ix(&task, 0, &alice)], &[&alice.operator]);
    w.refused(E::NotAuthorized, &[w.claim_ix(&task, 1, &alice)], &[&alice.operator]);
    let alice = Provider { operator: new, ..alice };
    w.commit(&task, &alice, &work);
    let mut long = World::profile(&alice.operator.id());
    long.endpoint = "e".repeat(129);
    w.refused(E::BadUrl, &[ix::update_provider(alice.owner.id(), &w.market, long)], &[&alice.owner]);
}
