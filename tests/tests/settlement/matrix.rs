//! Every instruction, with each of its accounts in turn replaced by every account of a whole zoo: the same type of another
//! market, job, shard, owner or cell, other types, token accounts and mints, wallets, vacant, pre-funded and closed
//! addresses, sysvars, programs, and the instruction's own other accounts. Each replacement must be refused, except at the
//! places named here, with the reason why anybody may choose what stands there. Then the unchanged instruction lands, so
//! that nothing else can have been at fault. `swapped_accounts` shows for the most telling of them which error it is.

use super::zoo::{
    Free::{self, Also, Caller, Destination, Payer, Unused},
    SYSVARS, Trial, Zoo,
};
use assay_client::{ix, ix::LeafBytes, token};
use assay_kernels::abi::{STEP_MORE, STEP_STATE_BYTES};
use assay_settlement::{
    constants::{NOBODY, SEED_KEEP_SECONDS},
    instructions::AdjudicateArgs,
    seeds,
};
use assay_tests::{
    Actor, Provider, Spec, Task, Work, World, experimental_terms,
    scripted::{Says, Script, two_stages},
};

#[test]
fn markets_kernels_and_providers() {
    markets(Trial::Replacements);
}

pub(super) fn markets(trial: Trial) {
    let mut z = Zoo::new(trial);
    let (creator, stranger, alice) = (z.w.creator.clone(), z.w.stranger.clone(), z.w.alice.clone());
    let (market, mint) = (z.w.market, z.w.mint);
    let open = ix::open_market(creator.id(), stranger.id(), 7, mint, token::SPL_TOKEN, experimental_terms(), true);
    // Another mint makes another market.
    let other_mint = z.other_mint;
    z.each("open_market", open, &[(1, Payer), (4, Also(other_mint))]);
    let third = seeds::market(&creator.id(), 7);
    // All markets are the creator's, to pause and to hand on.
    z.add(&[third]);
    let second = z.market;
    z.each("set_paused", ix::set_paused(creator.id(), market, true), &[(1, Also(second)), (1, Also(third))]);
    z.w.pause(false);
    let propose = ix::propose_authority(creator.id(), third, stranger.id());
    z.each("propose_authority", propose, &[(1, Also(market)), (1, Also(second))]);
    z.each("accept_authority", ix::accept_authority(stranger.id(), third), &[]);
    let treasury = seeds::treasury(&market);
    z.w.donate(&treasury, 500);
    let data = z.w.market_data();
    let take = ix::withdraw_treasury(creator.id(), &market, &data, creator.tokens, 100);
    z.each("withdraw_treasury", take, &[(3, Destination)]);

    let verifier = Script::new(5, &two_stages(), &[0; 4]);
    let address = verifier.address();
    z.w.chain.deploy(address, &verifier.elf(), None);
    z.each("register_kernel", ix::register_kernel(stranger.id(), address, 5), &[(0, Payer)]);
    let kernel = seeds::kernel(&address, 5);
    z.add(&[kernel, address]);
    z.each("close_kernel", ix::close_kernel(stranger.id(), kernel), &[]);

    let profile = World::profile(&alice.operator.id());
    let register = ix::register_provider(stranger.id(), creator.id(), &market, &data, profile.clone());
    z.each("register_provider", register, &[(1, Payer)]);
    // Alice's other provider is hers to change as well.
    let abroad = z.abroad.account;
    z.each("update_provider", ix::update_provider(alice.owner.id(), &market, profile), &[(1, Also(abroad))]);
    let deposit = z.w.deposit_ix(&alice, 10);
    z.each("deposit_stake", deposit, &[]);
    let withdraw = z.w.withdraw_ix(&alice, 10);
    z.each("withdraw_stake", withdraw, &[(3, Destination)]);
    let new = Provider { account: seeds::provider(&market, &stranger.id()), owner: stranger.clone(), ..alice };
    let vault = seeds::stake(&new.account);
    z.w.donate(&vault, 3);
    let close = z.w.close_provider_ix(&new);
    z.each("close_provider", close, &[(4, Destination)]);
    let third_data = z.w.read(&third);
    let vault = seeds::treasury(&third);
    z.w.donate(&vault, 3);
    let close = ix::close_market(stranger.id(), &third, &third_data, stranger.tokens);
    z.each("close_market", close, &[(3, Destination)]);
    println!("{} replacements", z.tried);
}

#[test]
fn jobs_and_claims() {
    jobs(Trial::Replacements);
}

pub(super) fn jobs(trial: Trial) {
    let mut z = Zoo::new(trial);
    let (alice, stranger, renter) = (z.w.alice.clone(), z.w.stranger.clone(), z.w.renter.clone());
    let spec = Spec::image();
    let request = z.w.request(&renter, &spec);
    let next = seeds::job(&renter.id(), request.nonce);
    let mut create = z.w.create_ix(&renter, &spec, request);
    create.accounts[1].pubkey = stranger.id();
    // Another market of the same mint is another market to be in; the other kernel refuses the params.
    let market = z.market;
    z.each("create_job", create, &[(1, Payer), (3, Also(market))]);
    z.add(&[next, seeds::vault(&next)]);
    let (task, other) = (z.task.clone(), z.other.clone());
    // All these jobs are the renter's own, to watch and to cancel.
    let own: Vec<(usize, Free)> = [task.job, other.job, next, z.foreign].map(|job| (1, Also(job))).into();
    z.each("set_watch_keys", ix::set_watch_keys(renter.id(), task.job, [stranger.id(), NOBODY]), &own);
    z.each("cancel_job", ix::cancel_job(renter.id(), next), &own);

    let claim = z.w.claim_ix(&task, 1, &alice);
    z.each("claim_shard, new", claim, &[]);
    let release = z.w.release_ix(&task, 1, &alice);
    // Alice's other claim of the same job is hers to give back.
    let first = seeds::shard(&task.job, 0);
    z.each("release_claim", release, &[(3, Also(first))]);
    let claim = z.w.claim_ix(&task, 1, &alice);
    z.each("claim_shard, given back", claim, &[]);
    let work = z.w.work(&task, 0, &alice);
    let commit = z.w.commit_ix(&task, 0, &alice, work.tree.root());
    // She has claimed the other one again as well.
    let second = seeds::shard(&task.job, 1);
    z.each("commit_result", commit, &[(2, Also(second))]);
    let seconds = z.w.job(&task).terms.execute_seconds;
    z.w.chain.pass(seconds);
    let expire = z.w.expire_ix(&task, 1, &alice, &stranger);
    z.each("expire_claim", expire, &[(0, Caller)]);

    let window = z.w.shard(&task, 0).window;
    z.w.age_out(&task, 0);
    // Bob's shard has the same window, and may be rolled as well: it belongs to another job.
    z.each("roll_window", ix::roll_window(stranger.id(), &task.job, 0, window), &[(0, Caller)]);
    let window = z.w.shard(&task, 0).window;
    z.w.reach(window);
    let watcher = z.w.watcher.clone();
    z.each("record_seed", ix::record_seed(watcher.id(), window), &[(0, Payer)]);
    z.w.reach(window + 1);
    z.w.ok(&[ix::record_seed(watcher.id(), window + 1)], &[&watcher]);
    z.add(&[seeds::draw_seed(window), seeds::draw_seed(window + 1)]);
    z.each("draw_samples", ix::draw_samples(&task.job, 0, window), &[]);
    let cells = ix::name_cells(renter.id(), &other.job, 0, vec![1]);
    // Too late here; the other shard's window is over as well.
    let refusal = z.w.chain.dry_run(&[cells], &[&renter]);
    assert_eq!(refusal, Err(assay_settlement::error::AssayError::WindowOver.into()));
    z.w.chain.pass(SEED_KEEP_SECONDS);
    // Both seeds were recorded by the same payer: the other one may be closed, too.
    z.pool.retain(|a| *a != seeds::draw_seed(window + 1));
    z.each("close_seed", ix::close_seed(window, watcher.id()), &[]);
    println!("{} replacements", z.tried);
}

#[test]
fn challenges_and_judgement() {
    challenges(Trial::Replacements);
}

pub(super) fn challenges(trial: Trial) {
    let mut z = Zoo::new(trial);
    let (alice, stranger, watcher, renter) =
        (z.w.alice.clone(), z.w.stranger.clone(), z.w.watcher.clone(), z.w.renter.clone());
    let task = z.task.clone();
    let forged = z.w.forged(&task, 0, &alice, &[77]);
    z.w.commit(&task, &alice, &forged);
    z.w.ok(&[ix::set_watch_keys(renter.id(), task.job, [NOBODY; 2])], &[&renter]);
    z.each("name_cells", ix::name_cells(renter.id(), &task.job, 0, vec![4]), &[]);
    let mut open = z.w.challenge_ix(&task, 0, 3, &watcher);
    open.accounts[1].pubkey = stranger.id();
    z.each("open_challenge", open, &[(1, Payer)]);
    let three = z.w.challenge_key(&task, 0, 3);
    z.w.challenge(&task, 0, 77, &watcher);
    z.w.challenge(&task, 0, 8, &stranger);
    let [wrong, eight] = [77, 8].map(|n| z.w.challenge_key(&task, 0, n));
    z.add(&[three, seeds::bond(&three), wrong, seeds::bond(&wrong), eight, seeds::bond(&eight)]);

    let judge = |z: &Zoo, number: u64, by: &Actor| {
        let args = z.w.answer(&task, &forged, number).args;
        ix::adjudicate(by.id(), &task.job, &z.w.job(&task), 0, None, args)
    };
    // The evidence of somebody else is refused, one's own is not looked at where everything is inline.
    z.each("adjudicate, answers", judge(&z, 3, &stranger), &[(0, Caller)]);
    z.each("pay_challenge", z.w.pay_challenge_ix(&task, 0, 3), &[]);
    let due = z.w.challenge_data(&task, 0, 8).seconds.max(z.w.challenge_data(&task, 0, 77).seconds);
    z.w.chain.pass(due);
    // Either of the overdue challenges is reason enough to slash, and so is the named cell; one is left here.
    z.pool.retain(|a| *a != eight);
    let slash = z.w.slash_challenged_ix(&task, 0, 77, &stranger);
    let own = z.pool.clone();
    z.pool.retain(|a| *a != assay_settlement::ID);
    let before = z.tried;
    z.each("slash_unanswered, challenged", slash, &[(0, Caller)]);
    assert!(z.tried > before);
    z.pool = own;
    z.pool.push(eight);
    // The watcher's tokens are the one place where the bond may go.
    let back = z.w.return_bond_ix(&task, 0, 77);
    z.each("return_bond", back, &[]);
    let seize = z.w.seize_ix(&task, 0, &alice);
    z.each("seize", seize, &[]);
    let bounty = z.w.bounty_ix(&task, 0, &alice, watcher.tokens);
    z.each("pay_bounty", bounty, &[]);
    // The bond of the one who was not answered goes back after the shard's account is closed.
    z.w.cancel(&task);
    z.w.ok(&[z.w.close_shard_ix(&task, 0)], &[&stranger]);
    let back = z.w.return_bond_ix(&task, 0, 8);
    z.each("return_bond, shard closed", back, &[]);
    println!("{} replacements", z.tried);
}

#[test]
fn convictions_silence_and_waivers() {
    convictions(Trial::Replacements);
}

pub(super) fn convictions(trial: Trial) {
    let mut z = Zoo::new(trial);
    let (alice, stranger, watcher) = (z.w.alice.clone(), z.w.stranger.clone(), z.w.watcher.clone());
    let task = z.task.clone();
    let forged = z.w.forged(&task, 0, &alice, &[77]);
    z.w.commit(&task, &alice, &forged);
    z.w.challenge(&task, 0, 77, &watcher);
    let wrong = z.w.challenge_key(&task, 0, 77);
    z.add(&[wrong, seeds::bond(&wrong)]);
    let args = z.w.answer(&task, &forged, 77).args;
    let judge = ix::adjudicate(stranger.id(), &task.job, &z.w.job(&task), 0, None, args);
    z.each("adjudicate, convicts", judge, &[(0, Caller)]);
    z.w.ok(&[z.w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&stranger]);
    let vault = z.w.provider(&alice).vault;
    z.w.freeze(&vault, true);
    let seize = z.w.seize_ix(&task, 0, &alice);
    z.each("seize, frozen", seize, &[]);
    let waive = z.w.waive_ix(&task, 0, &alice);
    z.each("waive_debts", waive, &[]);
    println!("{} replacements", z.tried);

    let mut z = Zoo::new(trial);
    let (task, alice) = (z.task.clone(), z.w.alice.clone());
    let work = z.w.work(&task, 0, &alice);
    z.w.commit(&task, &alice, &work);
    z.w.draw(&task, 0);
    let due = z.w.job(&task).terms.response_seconds;
    z.w.chain.pass(due);
    let stranger = z.w.stranger.clone();
    let slash = z.w.slash_ix(&task, 0, &stranger);
    z.each("slash_unanswered", slash, &[(0, Caller)]);
}

#[test]
fn steps() {
    stepping(Trial::Replacements);
}

pub(super) fn stepping(trial: Trial) {
    let mut z = Zoo::new(trial);
    let (alice, stranger, renter) = (z.w.alice.clone(), z.w.stranger.clone(), z.w.renter.clone());
    let state = [&[STEP_MORE][..], &[0; STEP_STATE_BYTES]].concat();
    let script = Script { cell: Says::Bytes(state), ..Script::new(5, &two_stages(), &[0; 4]) };
    let kernel = z.w.register_script(&script, 5);
    let spec = Spec { kernel: 5, params: vec![7], inputs: Vec::new(), shard_leaves: 12 };
    let tasks = [0, 1].map(|_| {
        let request = z.w.request(&renter, &spec);
        let task = Task { job: seeds::job(&renter.id(), request.nonce), renter: renter.clone(), spec: spec.clone() };
        z.w.ok(&[z.w.create_on_ix(&renter, &kernel, request)], &[&renter]);
        z.w.claim(&task, 0, &alice);
        let work = Work::of_bytes(&task, &z.w.job(&task).terms, 0, &alice.account, vec![0; 160]);
        z.w.commit(&task, &alice, &work);
        task
    });
    let rent = z.w.chain.svm.minimum_balance_for_rent_exemption(2_000);
    for seed in ["one", "two"] {
        z.w.ok(&ix::create_evidence(stranger.id(), seed, 2_000, rent).unwrap(), &[&stranger]);
    }
    let [one, two] = ["one", "two"].map(|seed| ix::evidence_address(&stranger.id(), seed).unwrap());
    z.add(&[one, two, kernel, script.address(), tasks[1].job, seeds::shard(&tasks[1].job, 0)]);
    let args =
        AdjudicateArgs { leaf: 0, cell: 0, leaf_at: 0, leaf_path_at: 0, openings: Vec::new(), inline: Vec::new() };
    let step = ix::step_cell(stranger.id(), &tasks[0].job, &z.w.job(&tasks[0]), 0, one, args);
    // Both evidence accounts are the stranger's; challenges matter to the last step alone.
    z.each("step_cell", step, &[(4, Also(two)), (5, Unused)]);
    println!("{} replacements", z.tried);
}

#[test]
fn evidence_delivery_and_payments() {
    payments(Trial::Replacements);
}

pub(super) fn payments(trial: Trial) {
    let mut z = Zoo::new(trial);
    let (alice, stranger, renter) = (z.w.alice.clone(), z.w.stranger.clone(), z.w.renter.clone());
    let task = z.task.clone();
    let work = z.w.work(&task, 0, &alice);
    z.w.commit(&task, &alice, &work);
    let mut demand = z.w.demand_ix(&task, 0, &[0, 1]);
    demand.accounts[1].pubkey = stranger.id();
    z.each("demand_leaves", demand, &[(1, Payer)]);
    let delivery = seeds::delivery(&seeds::shard(&task.job, 0));
    z.add(&[delivery]);
    let post = z.w.post_ix(&task, &work, 0, 0, &stranger);
    z.each("post_leaf", post, &[(0, Caller)]);

    // Evidence: an account of its maker alone.
    let operator = alice.operator.clone();
    let whole = z.w.leaf_bytes(&work, 1);
    let size = assay_settlement::EVIDENCE_HEADER_BYTES + whole.inline.len();
    let rent = z.w.chain.svm.minimum_balance_for_rent_exemption(size);
    let [make, init] = ix::create_evidence(operator.id(), "leaf", size as u64, rent).unwrap();
    z.w.ok(&[make], &[&operator]);
    z.each("init_evidence", init, &[]);
    let evidence = ix::evidence_address(&operator.id(), "leaf").unwrap();
    z.add(&[evidence]);
    let head = u32::try_from(assay_settlement::EVIDENCE_HEADER_BYTES).unwrap();
    let write = ix::write_evidence(operator.id(), evidence, head, whole.inline.clone());
    z.each("write_evidence", write, &[]);
    let at = head | assay_kernels::abi::IN_EVIDENCE;
    let there = LeafBytes { at, path_at: at + whole.path_at, inline: Vec::new() };
    z.each("post_leaf, evidence", ix::post_leaf(operator.id(), &task.job, 0, 1, Some(evidence), there), &[]);
    z.each("close_evidence", ix::close_evidence(operator.id(), evidence), &[]);

    // The renter's other shards are its own to accept.
    let other_shard = seeds::shard(&z.other.job, 0);
    z.pool.retain(|a| *a != other_shard);
    z.each("accept_shard", ix::accept_shard(renter.id(), &task.job, 0), &[]);
    z.pool.push(other_shard);
    let settle = z.w.settle_ix(&task, 0, &alice);
    z.each("settle_shard", settle, &[]);
    let close = z.w.close_delivery_ix(&task, 0);
    z.each("close_delivery", close, &[]);
    let refund = z.w.refund_ix(&task);
    z.each("withdraw_refund", refund, &[]);
    let (job, market) = (z.w.job(&task), z.w.market_data());
    z.each("sweep_fees", ix::sweep_fees(&task.job, &job, &market), &[]);
    z.w.cancel(&task);
    let close = z.w.close_shard_ix(&task, 0);
    z.each("close_shard", close, &[]);
    let vault = seeds::vault(&task.job);
    z.w.donate(&vault, 9);
    let close = z.w.close_job_ix(&task);
    z.each("close_job", close, &[]);
    println!("{} replacements", z.tried);

    // Attested: only the attestor's word counts, and only for the shard that it is about.
    let key = stranger.id();
    let task = z.w.create_with(Spec::image(), |r| (r.delivery, r.attestor) = (2, key));
    z.w.claim_and_commit(&task, 0, &alice);
    z.each("attest_delivery", ix::attest_delivery(stranger.id(), &task.job, 0, true), &[]);
    // With nothing left for the renter nobody looks at its token account.
    let gone = z.w.create(Spec::image());
    z.w.cancel(&gone);
    z.w.ok(&[z.w.refund_ix(&gone)], &[&stranger]);
    let close = z.w.close_job_ix(&gone);
    z.each("close_job, empty", close, &[(4, Unused)]);
}

#[test]
fn the_zoo_has_every_instruction() {
    let text = include_str!("matrix.rs");
    let idl: serde_json::Value = serde_json::from_slice(&assay_tests::artifacts::idl("assay_settlement.json")).unwrap();
    let mut missing = Vec::new();
    for instruction in idl["instructions"].as_array().unwrap() {
        let name = instruction["name"].as_str().unwrap();
        let listed = [format!("\"{name}\","), format!("\"{name}, ")];
        if !listed.iter().any(|l| text.contains(l)) {
            missing.push(name.to_owned());
        }
        // Sysvars are read by system call: no instruction takes one as an account, so none can be spoofed.
        for account in instruction["accounts"].as_array().unwrap() {
            let address = account["address"].as_str().unwrap_or_default();
            assert!(!SYSVARS.iter().any(|s| s.to_string() == address), "{name} takes a sysvar");
        }
    }
    assert!(missing.is_empty(), "not in the zoo: {missing:?}");
}
