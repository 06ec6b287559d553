//! Seeds, draws, and cells that the renter names.

use assay_client::ix;
use assay_tests::World;

use super::{Case, case};
use crate::{
    measure::Shot,
    scene::{committed, done, tries, world},
};

pub const CASES: &[Case] = &[
    case("record_seed", "", record),
    case("draw_samples", "3 of 128 cells", draw).floor(1_510).aim(3_000),
    case("roll_window", "", roll),
    case("name_cells", "3 cells", name),
];

fn record() -> (World, Shot) {
    let mut w = world();
    let (task, _) = committed(&mut w);
    let window = w.shard(&task, 0).window;
    w.reach(window);
    let shot = Shot::new(w.record_ix(window), &[&w.watcher]).deriving(&[tries::draw_seed(window)]);
    (w, shot)
}

fn draw() -> (World, Shot) {
    let (mut w, shot) = record();
    let watcher = w.watcher.clone();
    let seed = shot.instruction;
    done(&mut w, seed, &[&watcher]);
    // The only shard there is.
    let (_, shard) = assay_tests::books::all::<assay_settlement::Shard>(&w.chain)[0];
    let draw = ix::draw_samples(&shard.job, 0, shard.window);
    (w, Shot::new(draw, &[&watcher]))
}

fn roll() -> (World, Shot) {
    let mut w = world();
    let (task, _) = committed(&mut w);
    let window = w.shard(&task, 0).window;
    w.age_out(&task, 0);
    let roll = ix::roll_window(w.stranger.id(), &task.job, 0, window);
    let shot = Shot::new(roll, &[&w.stranger]).deriving(&[tries::draw_seed(window)]);
    (w, shot)
}

fn name() -> (World, Shot) {
    let mut w = world();
    let (task, _) = committed(&mut w);
    let name = ix::name_cells(w.watcher.id(), &task.job, 0, vec![3, 77, 100]);
    let shot = Shot::new(name, &[&w.watcher]);
    (w, shot)
}
