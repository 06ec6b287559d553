//! Jobs: created, cancelled, their money taken back.

use assay_client::ix;
use assay_settlement::seeds;
use assay_tests::{Spec, World};

use super::{Case, case};
use crate::{
    measure::Shot,
    scene::{associated_tries, settled, tries, world},
};

pub const CASES: &[Case] = &[
    case("create_job", "first job, no input", || create(Spec::image(), true)).aim(20_000),
    case("create_job", "later job, no input", || create(Spec::image(), false)).aim(20_000),
    case("create_job", "first job, 2 inputs", || create(Spec::small_product(), true)).aim(20_000),
    case("create_job", "later job, 2 inputs", || create(Spec::small_product(), false)).aim(20_000),
    case("cancel_job", "", cancel),
    case("set_watch_keys", "", watch),
    case("withdraw_refund", "", refund),
    case("sweep_fees", "", sweep),
];

/// The first job of a renter makes its Renter account, too.
fn create(spec: Spec, first: bool) -> (World, Shot) {
    let mut w = world();
    if !first {
        w.create(Spec::image());
    }
    let renter = w.renter.clone();
    let request = w.request(&renter, &spec);
    let job = seeds::job(&renter.id(), request.nonce);
    let mut found = vec![tries::job(&renter.id(), request.nonce), tries::vault(&job)];
    if first {
        found.push(tries::renter(&renter.id()));
    }
    let shot = Shot::new(w.create_ix(&renter, &spec, request), &[&renter]).deriving(&found);
    (w, shot)
}

fn cancel() -> (World, Shot) {
    let mut w = world();
    let task = w.create(Spec::image());
    (w, Shot::new(ix::cancel_job(task.renter.id(), task.job), &[&task.renter]))
}

fn watch() -> (World, Shot) {
    let mut w = world();
    let task = w.create(Spec::image());
    let keys = [w.watcher.id(), w.stranger.id()];
    (w, Shot::new(ix::set_watch_keys(task.renter.id(), task.job, keys), &[&task.renter]))
}

fn refund() -> (World, Shot) {
    let mut w = world();
    let task = w.create(Spec::image());
    w.cancel(&task);
    let shot = Shot::new(w.refund_ix(&task), &[&w.stranger]).deriving(&[associated_tries(&w, &task.renter.id())]);
    (w, shot)
}

fn sweep() -> (World, Shot) {
    let mut w = world();
    let task = settled(&mut w);
    let shot = Shot::new(ix::sweep_fees(&task.job, &w.job(&task), &w.market_data()), &[&w.stranger]);
    (w, shot)
}
