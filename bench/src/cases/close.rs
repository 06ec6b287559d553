//! Closing what is over.

use assay_client::ix;
use assay_settlement::constants::SEED_KEEP_SECONDS;
use assay_tests::World;

use super::{Case, case};
use crate::{
    measure::Shot,
    scene::{associated_tries, committed, done, settled, world},
};

pub const CASES: &[Case] = &[case("close_shard", "", shard), case("close_job", "", job), case("close_seed", "", seed)];

fn shard() -> (World, Shot) {
    let mut w = world();
    let task = settled(&mut w);
    w.cancel(&task);
    let shot = Shot::new(w.close_shard_ix(&task, 0), &[&w.stranger]);
    (w, shot)
}

fn job() -> (World, Shot) {
    let mut w = world();
    let task = settled(&mut w);
    w.cancel(&task);
    let stranger = w.stranger.clone();
    let shard = w.close_shard_ix(&task, 0);
    done(&mut w, shard, &[&stranger]);
    let close = w.close_job_ix(&task);
    let shot = Shot::new(close, &[&stranger]).deriving(&[associated_tries(&w, &task.renter.id())]);
    (w, shot)
}

fn seed() -> (World, Shot) {
    let mut w = world();
    let (task, _) = committed(&mut w);
    w.draw(&task, 0);
    let window = w.shard(&task, 0).window;
    w.chain.pass(SEED_KEEP_SECONDS);
    let shot = Shot::new(ix::close_seed(window, w.watcher.id()), &[&w.stranger]);
    (w, shot)
}
