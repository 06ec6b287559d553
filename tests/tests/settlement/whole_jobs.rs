//! Jobs from creation to the last closed account: every token and every lamport accounted for.

use assay_client::ix;
use assay_settlement::{Job, Shard, ShardState, seeds};
use assay_tests::{Actor, Spec, World, world::PRICES};
use solana_pubkey::Pubkey;
use std::collections::HashMap;

fn everyone(w: &World) -> Vec<Actor> {
    let w = [
        &w.creator,
        &w.renter,
        &w.watcher,
        &w.stranger,
        &w.alice.owner,
        &w.alice.operator,
        &w.bob.owner,
        &w.bob.operator,
    ];
    w.into_iter().cloned().collect()
}

/// Lamports of everybody, fees that they spent added back.
fn wealth(w: &World) -> HashMap<Pubkey, u64> {
    let of = |a: &Actor| (a.id(), w.chain.lamports(&a.id()) + w.chain.fees.get(&a.id()).unwrap_or(&0));
    everyone(w).iter().map(of).collect()
}

/// Runs a job to its end and checks that all rent came back, except that of the Renter account and of the seeds.
fn all_rent_comes_back(spec: Spec) {
    let mut w = World::new();
    let before = wealth(&w);
    let task = w.create(spec);
    let shards = w.job(&task).terms.shards;
    let providers = [w.alice.clone(), w.bob.clone()];
    let mut windows = Vec::new();
    for index in 0..shards {
        w.prove(&task, index, &providers[index as usize % 2]);
        windows.push(w.shard(&task, index).window);
    }
    w.close(&task);
    w.chain.pass(assay_settlement::constants::SEED_KEEP_SECONDS);
    windows.dedup();
    let (watcher, stranger) = (w.watcher.clone(), w.stranger.clone());
    for window in windows {
        w.ok(&[ix::close_seed(window, watcher.id())], &[&stranger]);
    }
    assert!(w.find::<Job>(&task.job).is_none());
    assert_eq!(w.chain.lamports(&seeds::vault(&task.job)), 0);
    let renter = w.renter.clone();
    let kept = w.chain.lamports(&seeds::renter(&renter.id()));
    assert!(kept > 0, "the Renter account stays");
    let mut expected = before;
    *expected.get_mut(&renter.id()).unwrap() -= kept;
    assert_eq!(wealth(&w), expected);
}

#[test]
fn an_image_leaves_nothing_behind() {
    all_rent_comes_back(Spec::image());
}

#[test]
fn a_product_with_uploaded_evidence_leaves_nothing_behind() {
    all_rent_comes_back(Spec::small_product());
}

#[test]
fn a_product_of_long_rows_and_several_leaves() {
    // Rows of three chunks: each is opened as two runs. Four leaves: paths of two nodes.
    let mut w = World::new();
    let task = w.create(Spec::product(16, 16, 2_500));
    let bob = w.bob.clone();
    let work = w.claim_and_commit(&task, 0, &bob);
    w.draw(&task, 0);
    let shard = w.shard(&task, 0);
    let answer = w.answer(&task, &work, shard.cells[0]);
    assert!(answer.args.openings.len() >= 4 && answer.evidence.is_some());
    let receipts = w.answer_all(&task, &work, &bob);
    let most = receipts.iter().map(|r| r.units).max().unwrap();
    println!("a cell of 2 x 2,500 bytes: {most} compute units");
    w.pass_window(&task);
    w.settle(&task, 0, &bob);
    w.close(&task);
}

#[test]
fn the_price_is_divided_to_the_unit() {
    let mut w = World::new();
    let renter = w.renter.clone();
    let alice = w.alice.clone();
    let paid_in = w.held(&renter.tokens);
    let task = w.create(Spec::image());
    assert_eq!(paid_in - w.held(&renter.tokens), 2 * PRICES.1, "the escrow is the highest price of every shard");

    // Claimed at once: the first price. The second shard is never claimed.
    w.claim(&task, 0, &alice);
    assert_eq!(w.shard(&task, 0).price, PRICES.0);
    assert_eq!(w.provider(&alice).locked, 1_500_000, "one and a half times the price");
    let work = w.work(&task, 0, &alice);
    w.commit(&task, &alice, &work);
    w.draw(&task, 0);
    w.answer_all(&task, &work, &alice);
    w.pass_window(&task);
    let staked = w.provider(&alice).staked;
    w.settle(&task, 0, &alice);
    assert_eq!(w.provider(&alice).staked - staked, 980_000, "the price less 2 %");
    assert_eq!(w.provider(&alice).locked, 0);
    let job = w.job(&task);
    assert_eq!((job.fees_owed, job.paid, job.settled, job.active), (20_000, 980_000, 1, 0));

    // The surplus of the settled shard can be had while the other shard is still open.
    let stranger = w.stranger.clone();
    w.ok(&[w.refund_ix(&task)], &[&stranger]);
    assert_eq!(w.held(&job.vault), PRICES.1 + 20_000);
    w.cancel(&task);
    w.close(&task);
    assert_eq!(paid_in - w.held(&renter.tokens), 1_000_000, "the renter paid the price of one shard");
    assert_eq!(w.held(&w.market_data().treasury), 20_000);

    // What was earned leaves like stake; the fee leaves by the market's authority.
    let before = w.held(&alice.owner.tokens);
    let free = w.provider(&alice).staked;
    w.withdraw(&alice, free);
    assert_eq!(w.held(&alice.owner.tokens) - before, free);
    let creator = w.creator.clone();
    let take = ix::withdraw_treasury(creator.id(), &w.market, &w.market_data(), creator.tokens, 20_000);
    w.ok(&[take], &[&creator]);
    assert_eq!(w.held(&w.market_data().treasury), 0);
}

#[test]
fn the_price_rises_with_the_ramp_and_stays_at_the_top() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, bob) = (w.alice.clone(), w.bob.clone());
    w.chain.advance(500);
    w.claim(&task, 0, &alice);
    assert_eq!(w.shard(&task, 0).price, 1_500_000);
    w.chain.advance(5_000);
    w.claim(&task, 1, &bob);
    assert_eq!(w.shard(&task, 1).price, 2_000_000);
}

#[test]
fn one_seed_serves_every_shard_of_its_window() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, bob) = (w.alice.clone(), w.bob.clone());
    let first = w.claim_and_commit(&task, 0, &alice);
    let second = w.claim_and_commit(&task, 1, &bob);
    assert_eq!(w.shard(&task, 0).window, w.shard(&task, 1).window);
    w.draw(&task, 0);
    w.draw(&task, 1);
    let (a, b) = (w.shard(&task, 0), w.shard(&task, 1));
    assert_eq!((a.drawn, b.drawn), (3, 3));
    assert_ne!(a.cells[..3], b.cells[..3], "the shard and its root are part of the draw");
    w.answer_all(&task, &first, &alice);
    w.answer_all(&task, &second, &bob);
    assert_eq!(w.shard(&task, 0).state(), Some(ShardState::Sampled));
}

#[test]
fn the_draw_is_what_the_rules_say_of_the_slot_hashes() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let alice = w.alice.clone();
    let work = w.claim_and_commit(&task, 0, &alice);
    let shard = w.shard(&task, 0);
    w.draw(&task, 0);
    let start = shard.window * 64;
    let hashes = core::array::from_fn(|i| assay_tests::Chain::slot_hash(start + i as u64));
    let seed = assay_settlement::rules::window::seed(shard.window, &hashes);
    let job = w.job(&task);
    let mut cells = [0; 32];
    let address = seeds::shard(&task.job, 0).to_bytes();
    let k = job.terms.shard(0).unwrap().draw(&seed, &address, &work.tree.root(), 3, &mut cells).unwrap();
    let drawn: Shard = w.shard(&task, 0);
    assert_eq!((drawn.drawn, drawn.cells), (k, cells));
}

#[test]
fn a_shard_with_no_more_cells_than_draws_has_all_of_them_drawn() {
    let mut w = World::new();
    let task = w.create(Spec::product(2, 1, 5));
    let alice = w.alice.clone();
    let work = w.claim_and_commit(&task, 0, &alice);
    w.draw(&task, 0);
    let shard = w.shard(&task, 0);
    assert_eq!((shard.drawn, shard.cells[..2].to_vec()), (2, vec![0, 1]));
    // Named cells lie behind the k drawn ones, of which there are only two.
    let renter = w.renter.clone();
    w.ok(&[ix::name_cells(renter.id(), &task.job, 0, vec![1])], &[&renter]);
    assert_eq!(w.answer_all(&task, &work, &alice).len(), 2, "a cell demanded twice is answered once");
    w.pass_window(&task);
    w.settle(&task, 0, &alice);
}

#[test]
fn renters_number_their_jobs_and_keep_counting_after_a_job_is_closed() {
    let mut w = World::new();
    let first = w.create(Spec::image());
    let second = w.create(Spec::small_product());
    assert_eq!((w.job(&first).nonce, w.job(&second).nonce), (0, 1));
    w.cancel(&first);
    w.close(&first);
    let third = w.create(Spec::image());
    assert_eq!(w.job(&third).nonce, 2);
    assert_ne!(third.job, first.job);
}

#[test]
fn the_largest_cells_fit_one_transaction() {
    let mut w = World::new();
    let (alice, bob) = (w.alice.clone(), w.bob.clone());
    // Two rows of 32 KiB out of trees of 64 chunks.
    let task = w.create(Spec::product(2, 2, assay_kernels::gemm_i8::STEP_K));
    let work = w.claim_and_commit(&task, 0, &alice);
    w.draw(&task, 0);
    let number = w.shard(&task, 0).cells[0];
    let product = w.judge(&task, &work, number, &alice.operator).unwrap();
    // A pixel inside the set, which looks at every iteration whether it has escaped.
    let one = 1i64 << assay_kernels::escape_time::FRACTION_BITS;
    let params = assay_kernels::escape_time::Params {
        width: 32,
        height: 8,
        max_iter: assay_kernels::escape_time::MAX_ITER,
        x0: -one / 8,
        y0: -one / 8,
        step: 1,
    };
    let task = w.create(Spec { params: params.to_bytes().to_vec(), ..Spec::image() });
    let work = w.claim_and_commit(&task, 0, &bob);
    w.draw(&task, 0);
    let number = w.shard(&task, 0).cells[0];
    let pixel = w.judge(&task, &work, number, &bob.operator).unwrap();
    println!("the largest element: {} compute units; a pixel of most iterations: {}", product.units, pixel.units);
    assert!(product.units.max(pixel.units) < 1_000_000, "a client asks for no more than 1,400,000");
}
