//! Creating, cancelling, expiring and closing jobs.

use anchor_lang::error::ErrorCode;
use assay_client::{ix, token};
use assay_kernels::abi::{CostClass, Describe, Geometry, VerifierError};
use assay_settlement::{Job, Terms, error::AssayError as E, instructions::JobRequest, seeds};
use assay_tests::{
    Refusal, Spec, World, experimental_terms,
    scripted::{Says, Script, description, two_stages},
    world::{LIFE, PRICES},
};
use solana_pubkey::Pubkey;

#[track_caller]
fn refused(w: &mut World, spec: &Spec, error: impl Into<Refusal>, change: impl FnOnce(&mut JobRequest)) {
    let renter = w.renter.clone();
    let mut request = w.request(&renter, spec);
    change(&mut request);
    let create = w.create_ix(&renter, spec, request);
    w.refused(error, &[create], &[&renter]);
}

#[test]
fn what_a_renter_may_ask_for() {
    let mut w = World::new();
    let image = Spec::image();
    const DAY: u32 = 86_400;
    let out_of_range: [fn(&mut JobRequest); 9] = [
        |r| r.price_start = 0,
        |r| r.price_start = r.price_max + 1,
        |r| r.price_max = 4 * r.price_start + 1,
        |r| r.execute_seconds = 0,
        |r| r.execute_seconds = 30 * DAY + 1,
        |r| r.ramp_seconds = 30 * DAY + 1,
        |r| r.life_seconds = 0,
        |r| r.life_seconds = 90 * DAY + 1,
        |r| r.shard_leaves = 0,
    ];
    for change in out_of_range {
        refused(&mut w, &image, E::JobOutOfRange, change);
    }
    // So many params need a transaction of version 1.
    let renter = w.renter.clone();
    let long = JobRequest { params: vec![0; 513], locator: String::new(), ..w.request(&renter, &image) };
    let create = w.create_ix(&renter, &image, long);
    assert_eq!(w.chain.dry_run(&[create], &[&renter]), Err(E::JobOutOfRange.into()));
    refused(&mut w, &image, E::Overflow, |r| (r.price_start, r.price_max) = (1 << 63, 1 << 63));
    refused(&mut w, &image, E::WrongNonce, |r| r.nonce = 1);
    refused(&mut w, &image, E::WrongNonce, |r| r.nonce = u64::MAX);
    refused(&mut w, &image, E::BadUrl, |r| r.locator = "u".repeat(129));
    refused(&mut w, &image, E::BadUrl, |r| r.locator = "http://a\0b".to_owned());
    refused(&mut w, &image, VerifierError::ParamsLength, |r| r.params = vec![0; 35]);
    refused(&mut w, &image, VerifierError::ParamsZero, |r| r.params = vec![0; 36]);
    const INSUFFICIENT_FUNDS: u32 = 1;
    refused(&mut w, &image, Refusal::Custom(INSUFFICIENT_FUNDS), |r| {
        (r.price_start, r.price_max) = (600_000_000, 600_000_000)
    });
    // More shards than a job may have: 2^26 leaves, one to a shard.
    let side = 1u32 << 16;
    let params = assay_kernels::escape_time::Params { width: side, height: side, max_iter: 1, x0: 0, y0: 0, step: 1 };
    let huge = Spec { params: params.to_bytes().to_vec(), shard_leaves: 1, ..image.clone() };
    refused(&mut w, &huge, E::JobOutOfRange, |_| ());
    // At the limits.
    let task = w.create_with(image, |r| {
        (r.execute_seconds, r.ramp_seconds, r.life_seconds) = (30 * DAY, 30 * DAY, 90 * DAY);
        r.locator = "u".repeat(128);
        r.price_start = r.price_max;
        // A shard that is larger than the job is the whole job.
        r.shard_leaves = 1_000;
    });
    assert_eq!(w.job(&task).terms.shards, 1);
}

#[test]
fn inputs_are_what_the_params_ask_for() {
    let mut w = World::new();
    let product = Spec::small_product();
    refused(&mut w, &product, E::InputLength, |r| r.inputs.truncate(1));
    refused(&mut w, &product, E::InputLength, |r| r.inputs.push(r.inputs[0]));
    refused(&mut w, &product, E::InputLength, |r| r.inputs[1].bytes += 1_024);
    refused(&mut w, &product, E::InputLength, |r| r.inputs[0].bytes = 0);
    refused(&mut w, &Spec::image(), E::InputLength, |r| r.inputs = Spec::small_product().input_trees());
    let task = w.create(product.clone());
    assert_eq!(w.job(&task).terms.input[..2], product.input_trees()[..]);
}

#[test]
fn a_job_keeps_its_terms_and_their_hash() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let job = w.job(&task);
    assert_eq!(job.terms_hash, job.terms.hash());
    assert_eq!((job.terms.fee_bps, job.terms.samples, job.terms.named), (200, 3, 3));
    assert_eq!((job.terms.leaves, job.terms.shards, job.terms.kernel_id), (4, 2, 1));
    assert_eq!(w.held(&job.vault), 2 * PRICES.1);
}

#[test]
fn a_job_is_dealt_under_the_terms_that_its_renter_signed() {
    // While the renter's transaction is under way, the market is closed and opened again with another fee.
    let mut w = World::new();
    let (alice, bob, creator, renter) = (w.alice.clone(), w.bob.clone(), w.creator.clone(), w.renter.clone());
    w.retire(&alice);
    w.retire(&bob);
    let signed = w.create_ix(&renter, &Spec::image(), w.request(&renter, &Spec::image()));
    let terms = Terms { fee_bps: 1_000, ..experimental_terms() };
    let open = ix::open_market(creator.id(), creator.id(), 0, w.mint, w.token_program, terms, true);
    w.ok(&[w.close_market_ix(), open], &[&creator]);
    w.refused(E::MarketTermsChanged, &[signed], &[&renter]);
    let signed = w.create_ix(&renter, &Spec::image(), w.request(&renter, &Spec::image()));
    w.ok(&[signed], &[&renter]);
}

#[test]
fn what_a_verifier_states_of_a_job_has_limits() {
    let cell = CostClass { cells: 32, cost: 1, cells_per_leaf: 4, cell_bytes: 4, stage: 0, reserved: 0 };
    let one = |class: CostClass| {
        let mut geometry = Geometry::uniform(1, 1, 1);
        geometry.class[0] = class;
        geometry
    };
    let with = |change: fn(&mut Geometry)| {
        let mut geometry = two_stages();
        change(&mut geometry);
        geometry
    };
    let cases: Vec<(Geometry, E)> = vec![
        (with(|g| g.abi = 2), E::VerifierAbi),
        (with(|g| g.classes = 0), E::VerifierAnswer),
        (with(|g| g.classes = 3), E::VerifierAnswer),
        (with(|g| g.classes = 300), E::VerifierAnswer),
        // One more than the kernel declared, all as they should be.
        (with(|g| (g.classes, g.class[2]) = (3, g.class[1])), E::VerifierAnswer),
        (with(|g| g.inputs = 1), E::VerifierAnswer),
        // More to answer with than the kernel declared: it makes bonds dearer and due times longer.
        (with(|g| (g.answer_transactions, g.shard_align) = (2, 1)), E::VerifierAnswer),
        (with(|g| (g.evidence_kib, g.shard_align) = (2, 1)), E::VerifierAnswer),
        (one(CostClass { cells: 0, ..cell }), E::VerifierAnswer),
        (one(CostClass { cost: 0, ..cell }), E::VerifierAnswer),
        (one(CostClass { cells_per_leaf: 0, ..cell }), E::VerifierAnswer),
        (one(CostClass { cell_bytes: 0, ..cell }), E::VerifierAnswer),
        (one(CostClass { cell_bytes: 5, ..cell }), E::VerifierAnswer),
        (one(CostClass { cells_per_leaf: 17, ..cell }), E::VerifierAnswer),
        (one(CostClass { cells_per_leaf: u32::MAX, ..cell }), E::VerifierAnswer),
        // The kernel declared two stages.
        (one(CostClass { stage: 2, ..cell }), E::VerifierAnswer),
        (one(CostClass { cells: 1 << 43, ..cell }), E::JobOutOfRange),
        (one(CostClass { cost: 1 << 44, ..cell }), E::JobOutOfRange),
        (one(CostClass { cells: u64::MAX, cost: 2, cells_per_leaf: 1, ..cell }), E::Overflow),
        (with(|g| g.shard_align = 0), E::ShardAlignment),
        (with(|g| g.shard_align = 5), E::ShardAlignment),
    ];
    let mut w = World::new();
    let renter = w.renter.clone();
    let spec = Spec { kernel: 5, params: vec![1, 2, 3], inputs: Vec::new(), shard_leaves: 6 };
    for (i, (geometry, error)) in cases.into_iter().enumerate() {
        let kernel = w.register_script(&Script::new(5, &geometry, &[0; 4]), 5);
        let create = w.create_on_ix(&renter, &kernel, w.request(&renter, &spec));
        let refusal = w.send(&[create], &[&renter]).map(|r| r.logs);
        assert_eq!(refusal, Err(Refusal::Settlement(error)), "case {i}");
    }
    for says in [Says::Nothing, Says::Bytes(vec![1; 559]), Says::Bytes(vec![1; 561])] {
        let kernel = w.register_script(&Script { check: says, ..Script::new(5, &two_stages(), &[0; 4]) }, 5);
        let create = w.create_on_ix(&renter, &kernel, w.request(&renter, &spec));
        w.refused(E::VerifierAnswer, &[create], &[&renter]);
    }
    // Inputs of lengths that are no whole chunks, though the renter brings just those.
    for bytes in [0, 1_000] {
        let mut geometry = two_stages();
        (geometry.inputs, geometry.input_bytes[0], geometry.shard_align) = (1, bytes, 1);
        let mut script = Script::new(5, &geometry, &[0; 4]);
        script.describe = Says::Bytes(bytemuck::bytes_of(&Describe { inputs: 1, ..description(5) }).to_vec());
        let kernel = w.register_script(&script, 5);
        let mut request = w.request(&renter, &spec);
        request.inputs = vec![assay_settlement::InputTree { root: [1; 32], bytes }];
        w.refused(E::InputLength, &[w.create_on_ix(&renter, &kernel, request)], &[&renter]);
    }
}

#[test]
fn stages_may_ask_for_more_draws_than_there_is_room_for() {
    // 16 stages draw 17 cells, which leaves room for 15 named ones.
    for (named, room) in [(15, true), (16, false)] {
        let mut w = World::with_terms(Terms { named, ..experimental_terms() });
        let renter = w.renter.clone();
        let mut geometry = two_stages();
        (geometry.shard_align, geometry.class[1].stage) = (1, 15);
        let mut script = Script::new(5, &geometry, &[0; 4]);
        script.describe = Says::Bytes(bytemuck::bytes_of(&Describe { stages: 16, ..description(5) }).to_vec());
        let kernel = w.register_script(&script, 5);
        let spec = Spec { kernel: 5, params: vec![1], inputs: Vec::new(), shard_leaves: 6 };
        let create = w.create_on_ix(&renter, &kernel, w.request(&renter, &spec));
        if room {
            w.ok(&[create], &[&renter]);
        } else {
            w.refused(E::JobOutOfRange, &[create], &[&renter]);
        }
    }
}

#[test]
fn a_reserved_job_is_for_one_provider() {
    let mut w = World::new();
    let (alice, bob) = (w.alice.clone(), w.bob.clone());
    let task = w.create_with(Spec::image(), |r| r.reserved_for = bob.account);
    w.refused(E::Reserved, &[w.claim_ix(&task, 0, &alice)], &[&alice.operator]);
    w.claim(&task, 0, &bob);
}

#[test]
fn a_cancelled_job_takes_no_claims_and_finishes_what_is_claimed() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, bob, stranger) = (w.alice.clone(), w.bob.clone(), w.stranger.clone());
    let renter_had = w.held(&task.renter.tokens);
    let work = w.claim_and_commit(&task, 0, &alice);
    w.refused(E::NothingOwed, &[w.refund_ix(&task)], &[&stranger]);
    w.cancel(&task);
    w.refused(E::JobClosed, &[ix::cancel_job(task.renter.id(), task.job)], &[&task.renter]);
    w.refused(E::JobClosed, &[w.claim_ix(&task, 1, &bob)], &[&bob.operator]);
    // The escrow of the shard that nobody claimed comes back at once.
    w.ok(&[w.refund_ix(&task)], &[&stranger]);
    assert_eq!(w.held(&task.renter.tokens) - renter_had, PRICES.1);
    w.draw(&task, 0);
    w.answer_all(&task, &work, &alice);
    w.pass_window(&task);
    w.settle(&task, 0, &alice);
    w.close(&task);
    assert_eq!(w.held(&task.renter.tokens) - renter_had, 2 * PRICES.1 - PRICES.0);
}

#[test]
fn a_job_that_nobody_wants_is_refunded_once_it_has_expired() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, stranger) = (w.alice.clone(), w.stranger.clone());
    let renter_had = w.held(&task.renter.tokens);
    w.chain.advance(u64::from(LIFE) - 1);
    w.refused(E::NothingOwed, &[w.refund_ix(&task)], &[&stranger]);
    w.chain.advance(1);
    w.refused(E::JobClosed, &[w.claim_ix(&task, 0, &alice)], &[&alice.operator]);
    w.ok(&[w.refund_ix(&task)], &[&stranger]);
    assert_eq!(w.held(&task.renter.tokens) - renter_had, 2 * PRICES.1);
    // A restart gives every deadline its grace again. The escrow is paid out, so the job stays closed all the same.
    w.chain.restart();
    assert!(!w.job(&task).terms.expiry().passed(&w.chain.now()));
    w.refused(E::NothingOwed, &[w.refund_ix(&task)], &[&stranger]);
    w.refused(E::JobClosed, &[w.claim_ix(&task, 0, &alice)], &[&alice.operator]);
    w.close(&task);
    assert!(w.find::<Job>(&task.job).is_none());
}

#[test]
fn a_job_closes_without_its_renter_and_whatever_lies_in_its_vault() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let alice = w.alice.clone();
    // Somebody donates to the vault, so that it never is empty.
    let vault = w.job(&task).vault;
    let creator = w.creator.clone();
    w.ok(&[assay_client::token::mint_to(&w.mint, &vault, &creator.id(), 7)], &[&creator]);
    let renter_had = w.held(&task.renter.tokens);
    w.prove(&task, 0, &alice);
    w.prove(&task, 1, &alice);
    w.close(&task);
    let paid: u64 = w.held(&task.renter.tokens) - renter_had;
    // The first shard was claimed at once, the second one while the ramp rose.
    assert!(paid >= 7 + PRICES.1 - PRICES.0);
    assert_eq!(w.chain.lamports(&vault), 0);
    // Its address never comes back: the number is used up.
    let mut request = w.request(&task.renter, &task.spec);
    request.nonce = 0;
    let create = w.create_ix(&task.renter, &task.spec, request);
    assert!(create.accounts.iter().any(|a| a.pubkey == task.job));
    w.refused(E::WrongNonce, &[create], &[&task.renter]);
}

#[test]
fn closing_and_creating_in_one_transaction_brings_nothing_back() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, stranger, renter) = (w.alice.clone(), w.stranger.clone(), w.renter.clone());
    w.claim(&task, 0, &alice);
    w.ok(&[w.release_ix(&task, 0, &alice)], &[&alice.operator]);
    w.cancel(&task);
    let close = w.close_shard_ix(&task, 0);
    let claim = w.claim_ix(&task, 0, &alice);
    w.refused(E::JobClosed, &[close.clone(), claim.clone()], &[&alice.operator]);
    // Lamports sent after the closing leave a vacant address with lamports, and no shard.
    let shard = seeds::shard(&task.job, 0);
    let revive = solana_system_interface::instruction::transfer(&stranger.id(), &shard, 10_000_000);
    w.ok(&[close, revive], &[&stranger]);
    assert_eq!(w.chain.data(&shard), Some(Vec::new()));
    w.refused(E::JobClosed, &[claim], &[&alice.operator]);

    let mut request = w.request(&renter, &task.spec);
    request.nonce = 0;
    let again = w.create_ix(&renter, &task.spec, request);
    w.refused(E::WrongNonce, &[w.close_job_ix(&task), again], &[&renter]);
    w.ok(&[w.close_job_ix(&task)], &[&renter]);
}

#[test]
fn a_closed_shard_of_a_finished_job_cannot_be_claimed_again() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, bob, stranger) = (w.alice.clone(), w.bob.clone(), w.stranger.clone());
    w.prove(&task, 0, &alice);
    w.refused(E::StillNeeded, &[w.close_shard_ix(&task, 0)], &[&stranger]);
    w.prove(&task, 1, &alice);
    let claims = [0, 1].map(|index| w.claim_ix(&task, index, &bob));
    w.ok(&[w.close_shard_ix(&task, 0)], &[&stranger]);
    w.refused(E::JobClosed, &[claims[0].clone()], &[&bob.operator]);
    w.refused(E::WrongState, &[claims[1].clone()], &[&bob.operator]);
    assert_eq!(w.job(&task).cancelled, 1, "and no later change of the counters can open it again");
    w.close(&task);
    w.refused(ErrorCode::AccountOwnedByWrongProgram, &[claims[0].clone()], &[&bob.operator]);
}

#[test]
fn lamports_sent_to_an_address_beforehand_stop_nothing() {
    for lamports in [890_880, 1_000_000_000] {
        let mut w = World::new();
        let fresh = w.actor();
        let job = seeds::job(&fresh.id(), 0);
        let shard = seeds::shard(&job, 0);
        let market = seeds::market(&fresh.id(), 3);
        let provider = seeds::provider(&market, &fresh.id());
        let fund = |w: &mut World, addresses: &[Pubkey]| addresses.iter().for_each(|a| w.chain.fund(a, lamports));
        fund(&mut w, &[job, shard, seeds::vault(&job), seeds::renter(&fresh.id())]);
        fund(&mut w, &[market, seeds::treasury(&market), provider, seeds::stake(&provider)]);

        w.ok(
            &[ix::open_market(fresh.id(), fresh.id(), 3, w.mint, token::SPL_TOKEN, experimental_terms(), true)],
            &[&fresh],
        );
        let ours = core::mem::replace(&mut w.market, market);
        let worker = assay_tests::Provider { owner: fresh.clone(), operator: fresh.clone(), account: provider };
        w.register(&worker);
        w.deposit(&worker, 10_000_000);
        w.renter = fresh.clone();
        let task = w.create(Spec::image());
        assert_eq!(task.job, job);
        let work = w.claim_and_commit(&task, 0, &worker);
        let window = w.shard(&task, 0).window;
        fund(&mut w, &[seeds::draw_seed(window)]);
        w.draw(&task, 0);
        w.answer_all(&task, &work, &worker);
        w.pass_window(&task);
        w.settle(&task, 0, &worker);
        w.cancel(&task);
        w.close(&task);
        w.market = ours;
    }
}
