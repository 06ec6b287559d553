//! Cold authorities that are programs: a derived address that signs by CPI, as the vault of a multi-signature wallet does,
//! is provider, market authority, renter, challenger and attestor.

use assay_client::ix;
use assay_settlement::{Provider as ProviderAccount, constants::NOBODY, error::AssayError as E, seeds};
use assay_tests::{Actor, Provider, Spec, World, tokens, vault::Vault};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// Sends with the vault's signature; the stranger pays.
#[track_caller]
fn signed(w: &mut World, vault: &Vault, instruction: &Instruction, others: &[&Actor]) {
    let stranger = w.stranger.clone();
    let call = vault.sign(&mut w.chain, instruction);
    let mut signers = vec![&stranger];
    signers.extend(others.iter().filter(|a| a.id() != stranger.id()));
    w.ok(&[call], &signers);
}

/// A world with a vault that has tokens, and its token account.
fn with_vault() -> (World, Vault, Pubkey) {
    let mut w = World::new();
    let vault = Vault::new(0);
    w.give(&vault.key, 10_000_000);
    let tokens = w.associated(&vault.key);
    (w, vault, tokens)
}

#[test]
fn a_vault_owns_a_provider_with_hot_operators() {
    let (mut w, vault, tokens) = with_vault();
    let (payer, hot, new) = (w.stranger.clone(), w.watcher.clone(), w.alice.operator.clone());
    let (market, data) = (w.market, w.market_data());
    let register = ix::register_provider(vault.key, payer.id(), &market, &data, World::profile(&hot.id()));
    // Without the vault's signature, and with that of another program for the same address, nothing happens.
    let mut unsigned = register.clone();
    unsigned.accounts[0].is_signer = false;
    w.refused(anchor_lang::error::ErrorCode::AccountNotSigner, &[unsigned], &[&payer]);
    let call = vault.impostor(1).sign(&mut w.chain, &register);
    assert!(w.send(&[call], &[&payer]).is_err(), "a program signs only for its own addresses");
    signed(&mut w, &vault, &register, &[]);
    let account = seeds::provider(&market, &vault.key);
    let provider: ProviderAccount = w.read(&account);
    assert_eq!(provider.owner, vault.key);
    let deposit = ix::deposit_stake(vault.key, &account, &provider, &data, tokens, 9_000_000);
    signed(&mut w, &vault, &deposit, &[]);

    // The hot key works; the vault replaces it; the old key is powerless at once.
    let task = w.create(Spec::image());
    let worker = |operator: &Actor| Provider { owner: payer.clone(), operator: operator.clone(), account };
    let first = worker(&hot);
    let work = w.claim_and_commit(&task, 0, &first);
    signed(&mut w, &vault, &ix::update_provider(vault.key, &market, World::profile(&new.id())), &[]);
    w.refused(E::NotAuthorized, &[w.claim_ix(&task, 1, &first)], &[&hot]);
    let second = worker(&new);
    w.claim(&task, 1, &second);
    w.ok(&[w.release_ix(&task, 1, &second)], &[&new]);
    w.draw(&task, 0);
    w.answer_all(&task, &work, &second);
    w.pass_window(&task);
    w.settle(&task, 0, &second);

    // Withdrawing and closing are the vault's alone.
    let provider: ProviderAccount = w.read(&account);
    let take = |by: Pubkey| ix::withdraw_stake(by, &account, &provider, &data, tokens, provider.staked);
    w.refused(E::NotAuthorized, &[take(new.id())], &[&new]);
    signed(&mut w, &vault, &take(vault.key), &[]);
    assert_eq!(w.held(&tokens), 10_000_000 + 980_000 - 20_000 - (w.shard(&task, 0).price - 1_000_000));
    signed(&mut w, &vault, &ix::close_provider(vault.key, &account, &provider, &data, tokens), &[]);
    assert!(w.find::<ProviderAccount>(&account).is_none());
}

#[test]
fn a_vault_takes_over_a_market_and_hands_it_back() {
    let (mut w, vault, tokens) = with_vault();
    let (creator, market) = (w.creator.clone(), w.market);
    w.ok(&[ix::propose_authority(creator.id(), market, vault.key)], &[&creator]);
    signed(&mut w, &vault, &ix::accept_authority(vault.key, market), &[]);
    assert_eq!(w.market_data().authority, vault.key);
    w.refused(E::NotAuthorized, &[ix::set_paused(creator.id(), market, true)], &[&creator]);
    signed(&mut w, &vault, &ix::set_paused(vault.key, market, true), &[]);
    signed(&mut w, &vault, &ix::set_paused(vault.key, market, false), &[]);
    let treasury = w.market_data().treasury;
    w.donate(&treasury, 40);
    let take = ix::withdraw_treasury(vault.key, &market, &w.market_data(), tokens, 40);
    signed(&mut w, &vault, &take, &[]);
    assert_eq!(w.held(&tokens), 10_000_040);
    signed(&mut w, &vault, &ix::propose_authority(vault.key, market, creator.id()), &[]);
    w.ok(&[ix::accept_authority(creator.id(), market)], &[&creator]);
}

#[test]
fn a_vault_rents_with_a_hot_watch_key() {
    let (mut w, vault, tokens) = with_vault();
    let (payer, watcher, new, alice) = (w.stranger.clone(), w.watcher.clone(), w.bob.operator.clone(), w.alice.clone());
    // The renter of the tests' steps is whoever signs; here the vault is, and the stranger pays the rent.
    let renter = Actor { key: payer.key.clone(), tokens };
    let spec = Spec::image();
    let mut request = w.request(&renter, &spec);
    (request.nonce, request.delivery, request.attestor) = (0, 2, vault.key);
    let mut create = w.create_ix(&renter, &spec, request);
    create.accounts[0].pubkey = vault.key;
    create.accounts[2].pubkey = seeds::renter(&vault.key);
    let job = seeds::job(&vault.key, 0);
    create.accounts[6].pubkey = job;
    create.accounts[7].pubkey = seeds::vault(&job);
    signed(&mut w, &vault, &create, &[]);
    let task = assay_tests::Task { job, renter, spec };
    assert_eq!(w.job(&task).renter, vault.key);
    w.claim_and_commit(&task, 0, &alice);
    let keys = [new.id(), NOBODY];
    signed(&mut w, &vault, &ix::set_watch_keys(vault.key, job, keys), &[]);
    w.refused(E::NotAuthorized, &[ix::name_cells(watcher.id(), &job, 0, vec![3])], &[&watcher]);
    w.ok(&[ix::name_cells(new.id(), &job, 0, vec![3])], &[&new]);
    signed(&mut w, &vault, &ix::attest_delivery(vault.key, &job, 0, true), &[]);
    w.refused(E::NotAuthorized, &[ix::accept_shard(payer.id(), &job, 0)], &[&payer]);
    signed(&mut w, &vault, &ix::accept_shard(vault.key, &job, 0), &[]);
    w.settle(&task, 0, &alice);
    signed(&mut w, &vault, &ix::cancel_job(vault.key, job), &[]);
    w.close(&task);
    assert_eq!(w.held(&tokens), 10_000_000 - 1_000_000);
}

#[test]
fn a_vault_challenges_and_gets_its_bond_and_its_bounty() {
    let (mut w, vault, tokens) = with_vault();
    let (payer, alice) = (w.stranger.clone(), w.alice.clone());
    let task = w.create(Spec::image());
    w.claim(&task, 0, &alice);
    let forged = w.forged(&task, 0, &alice, &[6]);
    w.commit(&task, &alice, &forged);
    let open = ix::open_challenge(vault.key, payer.id(), &task.job, &w.job(&task), &alice.account, 0, tokens, 6);
    signed(&mut w, &vault, &open, &[]);
    w.judge(&task, &forged, 6, &payer).unwrap();
    assert_eq!(w.shard(&task, 0).bounty_to, vault.key);
    w.return_bond(&task, 0, 6);
    w.ok(&[w.seize_ix(&task, 0, &alice), w.bounty_ix(&task, 0, &alice, tokens)], &[&payer]);
    assert_eq!(w.held(&tokens), 10_000_000 + 150_000);
    assert_eq!(tokens, tokens::associated(&vault.key, &w.mint, &w.token_program));
}
