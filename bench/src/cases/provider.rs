//! Providers and their stake.

use assay_client::ix;
use assay_tests::{World, world::STAKE};

use super::{Case, case};
use crate::{
    measure::Shot,
    scene::{provider, tries, world},
};

pub const CASES: &[Case] = &[
    case("register_provider", "", register),
    case("update_provider", "", update),
    case("deposit_stake", "", deposit),
    case("withdraw_stake", "", withdraw),
    case("close_provider", "nothing in its vault", close),
];

fn register() -> (World, Shot) {
    let mut w = world();
    let new = provider(&mut w);
    let (owner, profile) = (new.owner.id(), World::profile(&new.operator.id()));
    let register = ix::register_provider(owner, owner, &w.market, &w.market_data(), profile);
    let found = [tries::provider(&w.market, &owner), tries::stake(&new.account)];
    (w, Shot::new(register, &[&new.owner]).deriving(&found))
}

fn update() -> (World, Shot) {
    let w = world();
    let owner = w.alice.owner.clone();
    let update = ix::update_provider(owner.id(), &w.market, World::profile(&w.bob.operator.id()));
    (w, Shot::new(update, &[&owner]))
}

fn deposit() -> (World, Shot) {
    let w = world();
    let shot = Shot::new(w.deposit_ix(&w.alice, 1), &[&w.alice.owner]);
    (w, shot)
}

fn withdraw() -> (World, Shot) {
    let w = world();
    let shot = Shot::new(w.withdraw_ix(&w.alice, 1), &[&w.alice.owner]);
    (w, shot)
}

fn close() -> (World, Shot) {
    let mut w = world();
    let alice = w.alice.clone();
    w.withdraw(&alice, STAKE);
    let shot = Shot::new(w.close_provider_ix(&alice), &[&alice.owner]);
    (w, shot)
}
