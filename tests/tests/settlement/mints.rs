//! Whole lives in each kind of money that a market may settle in, to the unit and to the lamport; and the mints that no
//! market takes, each by the name of what is wrong with it.

use assay_client::{ix, token};
use assay_settlement::{
    DrawSeed, FREEZABLE, Job, Market, Provider as ProviderAccount, Shard, Terms, constants::SEED_KEEP_SECONDS,
    error::AssayError as E, seeds,
};
use assay_tests::{
    Actor, Refusal, Spec, World, books, experimental_terms,
    tokens::{self, Extension, Money, TOKEN_2022, WRAPPED_SOL},
    world::{TOKENS, VERIFIER},
};
use solana_pubkey::Pubkey;
use solana_system_interface::instruction as system;
use std::collections::HashMap;

fn everyone(w: &World) -> Vec<Actor> {
    let all = [
        &w.creator,
        &w.renter,
        &w.watcher,
        &w.stranger,
        &w.alice.owner,
        &w.alice.operator,
        &w.bob.owner,
        &w.bob.operator,
    ];
    all.into_iter().cloned().collect()
}

/// Lamports of everybody, fees that they spent added back.
fn wealth(w: &World) -> HashMap<Pubkey, u64> {
    let of = |a: &Actor| (a.id(), w.chain.lamports(&a.id()) + w.chain.fees.get(&a.id()).unwrap_or(&0));
    everyone(w).iter().map(of).collect()
}

/// Everything that can happen to money, in a market of its own, until nothing of it is left.
fn whole_life(money: Money) {
    let terms = Terms { bond_base: 1_000_001, bond_per_kib: 0, post_per_kib: 777, ..experimental_terms() };
    let mut w = World::with_money(terms, money);
    let mut expected = wealth(&w);
    let (alice, bob) = (w.alice.clone(), w.bob.clone());
    let (creator, renter) = (w.creator.clone(), w.renter.clone());
    let (watcher, stranger) = (w.watcher.clone(), w.stranger.clone());
    // What making the world cost comes back, too.
    let market = w.market_data();
    let kernels = [1, 2].map(|id| seeds::kernel(&VERIFIER, id));
    for (payer, account) in [
        (&creator, w.market),
        (&creator, market.treasury),
        (&creator, kernels[0]),
        (&creator, kernels[1]),
        (&alice.owner, alice.account),
        (&alice.owner, w.provider(&alice).vault),
        (&bob.owner, bob.account),
        (&bob.owner, w.provider(&bob).vault),
    ] {
        // The lamports of an account of wrapped SOL are tokens but for its rent.
        let wrapped = money == Money::Wrapped && w.chain.svm.get_account(&account).unwrap().owner == token::SPL_TOKEN;
        let tokens = if wrapped { w.held(&account) } else { 0 };
        *expected.get_mut(&payer.id()).unwrap() += w.chain.lamports(&account) - tokens;
    }

    // An image: Alice's half is proven, challenged in vain, posted and paid; Bob's is forged and found out.
    let image = w.create_with(Spec::image(), |r| r.delivery = 1);
    let honest = w.claim_and_commit(&image, 0, &alice);
    w.claim(&image, 1, &bob);
    let forged = w.forged(&image, 1, &bob, &[77]);
    w.commit(&image, &bob, &forged);
    w.challenge(&image, 0, 30, &stranger);
    w.challenge(&image, 1, 77, &watcher);
    w.challenge(&image, 1, 78, &stranger);
    w.demand(&image, 0, &[0, 1]);
    w.draw(&image, 0);
    w.answer_all(&image, &honest, &alice);
    w.judge(&image, &honest, 30, &alice.operator).unwrap();
    w.judge(&image, &forged, 77, &stranger).unwrap();
    w.post_all(&image, &honest, &alice.operator);
    let gift = w.challenge_data(&image, 0, 30).vault;
    w.donate(&gift, 5);
    w.pay_challenge(&image, 0, 30);
    w.return_bond(&image, 1, 77);
    w.return_bond(&image, 1, 78);
    w.ok(&[w.seize_ix(&image, 1, &bob), w.bounty_ix(&image, 1, &bob, watcher.tokens)], &[&stranger]);
    w.pass_window(&image);
    w.settle(&image, 0, &alice);
    // A product with uploaded evidence: Alice gives her claim back, the renter accepts Bob's work unseen.
    let product = w.create(Spec::small_product());
    w.claim(&product, 0, &alice);
    w.ok(&[w.release_ix(&product, 0, &alice)], &[&alice.operator]);
    let product_work = w.claim_and_commit(&product, 0, &bob);
    w.challenge(&product, 0, 1, &watcher);
    w.judge(&product, &product_work, 1, &bob.operator).unwrap();
    w.accept(&product, 0);
    w.settle(&product, 0, &bob);
    w.pay_challenge(&product, 0, 1);
    // Another image: one claim expires, one challenge is never answered, the rest is refunded.
    let silent = w.create(Spec::image());
    w.claim_and_commit(&silent, 0, &alice);
    w.claim(&silent, 1, &bob);
    w.challenge(&silent, 0, 8, &watcher);
    let late = w.challenge_data(&silent, 0, 8).seconds.max(w.job(&silent).terms.execute_seconds);
    w.chain.pass(late);
    w.ok(&[w.expire_ix(&silent, 1, &bob, &stranger)], &[&stranger]);
    w.ok(&[w.slash_challenged_ix(&silent, 0, 8, &stranger)], &[&stranger]);
    w.ok(&[w.seize_ix(&silent, 0, &alice), w.bounty_ix(&silent, 0, &alice, watcher.tokens)], &[&stranger]);
    w.cancel(&silent);
    w.ok(&[w.refund_ix(&silent)], &[&stranger]);
    w.return_bond(&silent, 0, 8);

    // Everybody goes.
    w.ok(&[w.close_delivery_ix(&image, 0)], &[&stranger]);
    for task in [&image, &product, &silent] {
        w.close(task);
    }
    w.chain.pass(SEED_KEEP_SECONDS);
    for (_, seed) in books::all::<DrawSeed>(&w.chain) {
        w.ok(&[ix::close_seed(seed.window, seed.rent_payer)], &[&stranger]);
    }
    w.retire(&alice);
    w.retire(&bob);
    let fees = w.held(&market.treasury);
    let take = ix::withdraw_treasury(creator.id(), &w.market, &w.market_data(), creator.tokens, fees / 2);
    w.ok(&[take], &[&creator]);
    w.ok(&[w.close_market_ix()], &[&creator]);
    for kernel in kernels {
        w.ok(&[ix::close_kernel(creator.id(), kernel)], &[&creator]);
    }

    // The program has one account left: the renter's number of its next job.
    let left = w.chain.svm.get_program_accounts(&assay_settlement::ID);
    let kept = seeds::renter(&renter.id());
    assert_eq!(left.iter().map(|(key, _)| *key).collect::<Vec<_>>(), vec![kept]);
    *expected.get_mut(&renter.id()).unwrap() -= w.chain.lamports(&kept);
    if money == Money::Wrapped {
        // Lamports that were wrapped for the gift.
        *expected.get_mut(&creator.id()).unwrap() -= 5;
    }
    assert_eq!(wealth(&w), expected, "rent returned to the lamport");

    // And every token is in somebody's own account, where it belongs.
    let of = |actor: &Actor| i64::try_from(w.held(&actor.tokens)).unwrap() - i64::try_from(TOKENS).unwrap();
    assert_eq!(everyone(&w).iter().map(of).sum::<i64>(), 5, "the gift, and nothing made or lost");
    let (bond, half) = (1_000_001i64, 500_000i64);
    let price = |n: u64| i64::try_from(n).unwrap();
    assert_eq!(of(&stranger), -bond, "a challenge in vain, of a cell that was right");
    let alices_lock = 1_500_000;
    let posted = 2 * 777;
    assert!(of(&watcher) > -bond && of(&creator) > 0 && of(&alice.operator) == 0 && of(&bob.operator) == 0);
    println!(
        "{money:?}: renter {}, watcher {}, stranger {}, alice {}, bob {}, creator {}",
        of(&renter),
        of(&watcher),
        of(&stranger),
        of(&alice.owner),
        of(&bob.owner),
        of(&creator)
    );
    // Alice: paid, half a bond, her posting; then a lock lost, and the penalty of a claim given back at once.
    assert_eq!(of(&alice.owner), 980_000 + half + posted - price(alices_lock) - 20_000);
    assert!(w.find::<Job>(&image.job).is_none() && w.find::<Shard>(&seeds::shard(&image.job, 0)).is_none());
    assert!(w.find::<Market>(&w.market).is_none() && w.find::<ProviderAccount>(&alice.account).is_none());
}

#[test]
fn a_whole_life_in_a_coin_of_spl_token() {
    whole_life(Money::Token);
}

#[test]
fn a_whole_life_in_wrapped_sol() {
    whole_life(Money::Wrapped);
}

#[test]
fn a_whole_life_in_a_coin_of_token_2022_with_metadata() {
    whole_life(Money::Token2022);
}

#[test]
fn a_market_tells_whether_its_coin_can_be_frozen() {
    for (money, freezable, decimals) in
        [(Money::Token, true, 6), (Money::Wrapped, false, 9), (Money::Token2022, true, 6)]
    {
        let market = World::with_money(experimental_terms(), money).market_data();
        assert_eq!((market.flags & FREEZABLE != 0, market.decimals), (freezable, decimals), "{money:?}");
        assert_eq!(market.token_program, money.program());
    }
}

/// A market of this mint.
fn open(w: &mut World, mint: Pubkey, program: Pubkey, id: u16) -> Result<(), Refusal> {
    let creator = w.creator.clone();
    let open = ix::open_market(creator.id(), creator.id(), id, mint, program, experimental_terms(), true);
    w.send(&[open], &[&creator]).map(|_| ())
}

/// A new Token-2022 mint with these extensions.
fn mint_with(w: &mut World, with: &[Extension]) -> Pubkey {
    let creator = w.creator.clone();
    let mint = Actor { key: w.chain.keypair(), tokens: Pubkey::default() };
    let make = tokens::mint_2022(&w.chain, &creator.id(), &mint.id(), with, 0);
    w.chain.send(&make, &[&creator, &mint]).unwrap();
    mint.id()
}

#[test]
fn every_extension_that_could_hurt_keeps_a_mint_out_by_its_name() {
    let mut w = World::new();
    let expected = [
        ("TransferFeeConfig", Some(E::MintTransferFee)),
        ("MintCloseAuthority", Some(E::MintExtension)),
        ("ConfidentialTransferMint", Some(E::MintConfidential)),
        ("DefaultAccountState", Some(E::MintDefaultState)),
        ("NonTransferable", Some(E::MintNonTransferable)),
        ("InterestBearingConfig", Some(E::MintExtension)),
        ("PermanentDelegate", Some(E::MintPermanentDelegate)),
        ("TransferHook", Some(E::MintTransferHook)),
        ("ScaledUiAmount", Some(E::MintExtension)),
        ("Pausable", Some(E::MintPausable)),
        ("MetadataPointer", None),
        ("GroupPointer", None),
        ("GroupMemberPointer", None),
    ];
    let known = tokens::extensions(&w.creator.id());
    assert_eq!(known.len(), expected.len());
    let pointer = known.iter().find(|e| e.name == "MetadataPointer").unwrap().clone();
    for (id, (name, error)) in (100..).zip(expected) {
        let one = known.iter().find(|e| e.name == name).unwrap().clone();
        let mint = mint_with(&mut w, std::slice::from_ref(&one));
        let verdict = error.map_or(Ok(()), |e| Err(Refusal::Settlement(e)));
        assert_eq!(open(&mut w, mint, TOKEN_2022, id), verdict, "{name}");
        // Behind an allowed one, too.
        if error.is_some() {
            let mint = mint_with(&mut w, &[pointer.clone(), one]);
            assert_eq!(open(&mut w, mint, TOKEN_2022, id), verdict, "{name} behind a pointer");
        }
    }
}

#[test]
fn a_coin_of_token_2022_without_extensions_is_taken() {
    let mut w = World::new();
    let mint = mint_with(&mut w, &[]);
    assert_eq!(open(&mut w, mint, TOKEN_2022, 50), Ok(()));
}

#[test]
fn what_is_no_mint_of_its_program_settles_nothing() {
    let mut w = World::with_money(experimental_terms(), Money::Token2022);
    let (ours, tokens_of) = (w.mint, w.creator.tokens);
    tokens::make_wrapped_sol(&mut w.chain);
    let classic = WRAPPED_SOL;
    // The other program's mint, in both directions; a program that is none of the two.
    assert_eq!(open(&mut w, ours, token::SPL_TOKEN, 60), Err(E::MintNotAllowed.into()));
    assert_eq!(open(&mut w, classic, TOKEN_2022, 60), Err(E::MintNotAllowed.into()));
    for program in [assay_settlement::ID, VERIFIER, token::ASSOCIATED_TOKEN] {
        assert_eq!(open(&mut w, ours, program, 60), Err(E::WrongTokenProgram.into()));
    }
    // A token account with extensions in the place of a mint.
    assert_eq!(open(&mut w, tokens_of, TOKEN_2022, 60), Err(E::MintNotAllowed.into()));
    // An account of the program that is not initialised yet.
    let creator = w.creator.clone();
    let raw = Actor { key: w.chain.keypair(), tokens: Pubkey::default() };
    let rent = w.chain.svm.minimum_balance_for_rent_exemption(82);
    let make = system::create_account(&creator.id(), &raw.id(), rent, 82, &TOKEN_2022);
    w.chain.send(&[make], &[&creator, &raw]).unwrap();
    assert_eq!(open(&mut w, raw.id(), TOKEN_2022, 60), Err(E::MintNotAllowed.into()));
}

#[test]
fn payments_go_to_the_associated_account_of_the_right_program() {
    let mut w = World::with_money(experimental_terms(), Money::Token2022);
    let task = w.create(Spec::image());
    let (alice, stranger, renter) = (w.alice.clone(), w.stranger.clone(), w.renter.clone());
    w.prove(&task, 0, &alice);
    w.cancel(&task);
    let second = w.second_account(&renter);
    let refund = w.refund_ix(&task);
    let to = |account: &Pubkey| assay_tests::world::swapped(&refund, &renter.tokens, account);
    w.refused(E::WrongTokenOwner, &[to(&second)], &[&stranger]);
    // The address that SPL Token would have is vacant, and a mint is no token account however long it is.
    let classic = token::associated(&renter.id(), &w.mint);
    w.refused(E::WrongTokenProgram, &[to(&classic)], &[&stranger]);
    let mint = w.mint;
    let mut not_mine = refund.clone();
    not_mine.accounts[2].pubkey = mint;
    w.refused(E::WrongMint, &[not_mine], &[&stranger]);
    w.ok(&[refund], &[&stranger]);
}
