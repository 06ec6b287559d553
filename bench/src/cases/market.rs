//! Markets and kernels.

use assay_client::ix;
use assay_settlement::seeds;
use assay_tests::{World, artifacts, experimental_terms, world::VERIFIER};
use solana_signer::Signer;

use super::{Case, case};
use crate::{
    measure::Shot,
    scene::{done, settled, tries, world},
};

pub const CASES: &[Case] = &[
    case("open_market", "", open),
    case("set_paused", "", pause),
    case("withdraw_treasury", "", withdraw),
    case("propose_authority", "", propose),
    case("accept_authority", "", accept),
    case("close_market", "nothing in its treasury", close),
    case("register_kernel", "", register_kernel),
    case("close_kernel", "", close_kernel),
];

fn open() -> (World, Shot) {
    let w = world();
    let creator = w.creator.clone();
    let lucky =
        |id: &u16| tries::market(&creator.id(), *id) == 1 && tries::treasury(&seeds::market(&creator.id(), *id)) == 1;
    let id = (1..).find(lucky).unwrap();
    let open = ix::open_market(creator.id(), creator.id(), id, w.mint, w.token_program, experimental_terms(), true);
    let found = [tries::market(&creator.id(), id), tries::treasury(&seeds::market(&creator.id(), id))];
    (w, Shot::new(open, &[&creator]).deriving(&found))
}

fn pause() -> (World, Shot) {
    let w = world();
    let shot = Shot::new(ix::set_paused(w.creator.id(), w.market, true), &[&w.creator]);
    (w, shot)
}

fn withdraw() -> (World, Shot) {
    let mut w = world();
    let task = settled(&mut w);
    let (creator, market) = (w.creator.clone(), w.market_data());
    let sweep = ix::sweep_fees(&task.job, &w.job(&task), &market);
    done(&mut w, sweep, &[&creator]);
    let amount = w.held(&market.treasury);
    let withdraw = ix::withdraw_treasury(creator.id(), &w.market, &market, creator.tokens, amount);
    (w, Shot::new(withdraw, &[&creator]))
}

fn propose() -> (World, Shot) {
    let w = world();
    let shot = Shot::new(ix::propose_authority(w.creator.id(), w.market, w.stranger.id()), &[&w.creator]);
    (w, shot)
}

fn accept() -> (World, Shot) {
    let (mut w, propose) = propose();
    let (creator, stranger) = (w.creator.clone(), w.stranger.clone());
    done(&mut w, propose.instruction, &[&creator]);
    let accept = ix::accept_authority(stranger.id(), w.market);
    (w, Shot::new(accept, &[&stranger]))
}

fn close() -> (World, Shot) {
    let mut w = world();
    w.market = w.open_another(1, w.mint);
    let shot = Shot::new(w.close_market_ix(), &[&w.creator]);
    (w, shot)
}

fn close_kernel() -> (World, Shot) {
    let w = world();
    let shot = Shot::new(ix::close_kernel(w.creator.id(), seeds::kernel(&VERIFIER, 1)), &[&w.creator]);
    (w, shot)
}

fn register_kernel() -> (World, Shot) {
    let mut w = world();
    let creator = w.creator.clone();
    // The verifier at an address whose kernel is found at the first try.
    let verifier = loop {
        let address = w.chain.keypair().pubkey();
        if tries::kernel(&address, 1) == 1 {
            break address;
        }
    };
    w.chain.deploy(verifier, &artifacts::program("assay_verifier.so"), None);
    let shot = Shot::new(ix::register_kernel(creator.id(), verifier, 1), &[&creator]);
    (w, shot.deriving(&[tries::kernel(&verifier, 1)]))
}
