//! Every instruction without each of its signatures in turn.

use anchor_lang::error::ErrorCode;
use assay_client::{answer::Answer, ix, token};
use assay_settlement::seeds;
use assay_tests::{Actor, Refusal, Spec, World, world::VERIFIER};

/// Instructions that nobody signs for: they move what is recorded, to whom it is recorded for.
const UNSIGNED: [&str; 12] = [
    "draw_samples",
    "settle_shard",
    "seize",
    "pay_bounty",
    "pay_challenge",
    "return_bond",
    "withdraw_refund",
    "sweep_fees",
    "close_shard",
    "close_job",
    "close_seed",
    "close_delivery",
];

#[test]
fn no_instruction_works_without_its_signatures() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, renter, watcher, creator) = (w.alice.clone(), w.renter.clone(), w.watcher.clone(), w.creator.clone());
    w.claim(&task, 0, &alice);
    let (job, market, stranger) = (w.job(&task), w.market_data(), w.stranger.clone());
    let somebody = w.actor();
    let mut next = w.request(&renter, &task.spec);
    next.nonce += 1;
    let work = w.work(&task, 0, &alice);
    let args = Answer::build(&job, 0, &work.tree, &work.inputs, work.place(&job.terms, 0)).unwrap().args;
    let rent = w.chain.svm.minimum_balance_for_rent_exemption(500);
    let evidence = ix::create_evidence(watcher.id(), "e", 500, rent).unwrap();
    w.ok(&evidence, &[&watcher]);
    let address = ix::evidence_address(&watcher.id(), "e").unwrap();
    let profile = World::profile(&somebody.id());
    // Where two must sign, the second one pays.
    let mut create = w.create_ix(&renter, &task.spec, next);
    create.accounts[1].pubkey = somebody.id();
    let instructions = [
        create,
        ix::open_market(creator.id(), somebody.id(), 4, w.mint, token::SPL_TOKEN, market.terms, true),
        ix::register_provider(renter.id(), somebody.id(), &w.market, &market, profile.clone()),
        ix::set_paused(creator.id(), w.market, true),
        ix::withdraw_treasury(creator.id(), &w.market, &market, creator.tokens, 1),
        ix::register_kernel(creator.id(), VERIFIER, 3),
        ix::update_provider(alice.owner.id(), &w.market, profile),
        w.deposit_ix(&alice, 1),
        w.withdraw_ix(&alice, 1),
        ix::cancel_job(renter.id(), task.job),
        w.claim_ix(&task, 1, &alice),
        w.release_ix(&task, 0, &alice),
        w.expire_ix(&task, 0, &alice, &watcher),
        w.commit_ix(&task, 0, &alice, [1; 32]),
        ix::record_seed(watcher.id(), 1),
        ix::roll_window(watcher.id(), &task.job, 0, 0),
        ix::name_cells(renter.id(), &task.job, 0, vec![1]),
        evidence[1].clone(),
        ix::write_evidence(watcher.id(), address, 400, vec![1]),
        ix::close_evidence(watcher.id(), address),
        ix::adjudicate(watcher.id(), &task.job, &job, 0, None, args.clone()),
        w.slash_ix(&task, 0, &watcher),
        ix::slash_challenged(watcher.id(), &task.job, 0, 1),
        ix::step_cell(watcher.id(), &task.job, &job, 0, address, args.clone()),
        ix::open_challenge(watcher.id(), somebody.id(), &task.job, &job, &alice.account, 0, watcher.tokens, 1),
        ix::accept_shard(renter.id(), &task.job, 0),
        ix::demand_leaves(renter.id(), somebody.id(), &task.job, &job, 0, renter.tokens, vec![0]),
        ix::post_leaf(watcher.id(), &task.job, 0, 0, None, w.leaf_bytes(&work, 0)),
        ix::attest_delivery(watcher.id(), &task.job, 0, true),
        ix::set_watch_keys(renter.id(), task.job, [watcher.id(); 2]),
        ix::waive_debts(renter.id(), &task.job, &job, &alice.account, &w.provider(&alice), 0),
        w.close_provider_ix(&alice),
        w.close_market_ix(),
        ix::propose_authority(creator.id(), w.market, watcher.id()),
        ix::accept_authority(watcher.id(), w.market),
        ix::close_kernel(creator.id(), seeds::kernel(&VERIFIER, 1)),
    ];
    let keys: Vec<&Actor> = vec![&stranger, &creator, &renter, &somebody, &watcher, &alice.owner, &alice.operator];
    let idl: serde_json::Value = serde_json::from_slice(&assay_tests::artifacts::idl("assay_settlement.json")).unwrap();
    for known in idl["instructions"].as_array().unwrap() {
        let discriminator: Vec<u8> = known["discriminator"]
            .as_array()
            .unwrap()
            .iter()
            .map(|b| u8::try_from(b.as_u64().unwrap()).unwrap())
            .collect();
        let tried = instructions.iter().any(|i| i.data.starts_with(&discriminator));
        let name = known["name"].as_str().unwrap();
        assert_ne!(tried, UNSIGNED.contains(&name), "{name}: signed for, or a crank that nobody signs for");
    }
    // A missing signature is found before anything else: it need not matter here that some could not land yet.
    for (i, instruction) in instructions.iter().enumerate() {
        let signatures: Vec<usize> =
            (0..instruction.accounts.len()).filter(|a| instruction.accounts[*a].is_signer).collect();
        assert!(!signatures.is_empty());
        for missing in signatures {
            let mut unsigned = instruction.clone();
            unsigned.accounts[missing].is_signer = false;
            let still: Vec<_> = unsigned.accounts.iter().filter(|a| a.is_signer).map(|a| a.pubkey).collect();
            let signers: Vec<&Actor> =
                keys.iter().enumerate().filter(|(n, k)| *n == 0 || still.contains(&k.id())).map(|(_, k)| *k).collect();
            let refusal = w.send(&[unsigned], &signers).map(|r| r.logs);
            let expected = Refusal::from(ErrorCode::AccountNotSigner);
            assert_eq!(refusal, Err(expected), "instruction {i}, signature {missing}");
        }
    }
}
