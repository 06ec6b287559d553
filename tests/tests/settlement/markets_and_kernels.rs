//! What a market may ask for and what a verifier may declare.

use assay_client::{ix, token};
use assay_kernels::abi::{Describe, VerifierError};
use assay_settlement::{Kernel, Terms, error::AssayError as E, seeds};
use assay_tests::{
    Refusal, World, experimental_terms,
    scripted::{Says, Script, description, two_stages},
    world::{VERIFIER, swapped},
};
use solana_account::Account;
use solana_pubkey::Pubkey;

const HOUR: u32 = 3_600;

/// The default terms of protocol.md, section 9.
fn default_terms() -> Terms {
    Terms { challenge_seconds: 4 * HOUR, response_seconds: 12 * HOUR, ..experimental_terms() }
}

fn changed(of: Terms, change: impl FnOnce(&mut Terms)) -> Terms {
    let mut terms = of;
    change(&mut terms);
    terms
}

#[test]
fn caps_hold_in_every_market() {
    let mut w = World::new();
    let creator = w.creator.clone();
    let beyond: [fn(&mut Terms); 14] = [
        |t| t.collateral_bps = 14_999,
        |t| t.collateral_bps = 100_001,
        |t| t.fee_bps = 1_001,
        |t| t.bounty_bps = 2_001,
        |t| t.release_min_bps = t.release_max_bps + 1,
        |t| (t.release_max_bps, t.expiry_bps) = (5_001, 5_001),
        |t| t.expiry_bps = 5_001,
        |t| t.expiry_bps = t.release_max_bps - 1,
        |t| t.challenge_seconds = 30 * 24 * HOUR + 1,
        |t| t.response_seconds = 30 * 24 * HOUR + 1,
        |t| t.response_seconds = 0,
        |t| t.samples = 0,
        |t| (t.samples, t.named) = (30, 3),
        |t| (t.samples, t.named) = (255, 255),
    ];
    for (i, change) in beyond.into_iter().enumerate() {
        for (base, experimental) in [(experimental_terms(), true), (default_terms(), false)] {
            let open = ix::open_market(
                creator.id(),
                creator.id(),
                9,
                w.mint,
                token::SPL_TOKEN,
                changed(base, change),
                experimental,
            );
            let refusal = w.send(&[open], &[&creator]).map(|r| r.logs);
            assert_eq!(
                refusal,
                Err(Refusal::Settlement(E::TermsOutOfRange)),
                "change {i}, experimental: {experimental}"
            );
        }
    }
    let reserved = changed(default_terms(), |t| t.reserved[4] = 1);
    w.refused(
        E::TermsOutOfRange,
        &[ix::open_market(creator.id(), creator.id(), 9, w.mint, token::SPL_TOKEN, reserved, false)],
        &[&creator],
    );
    let at_the_caps = changed(experimental_terms(), |t| {
        (t.collateral_bps, t.fee_bps, t.bounty_bps) = (100_000, 1_000, 2_000);
        (t.release_max_bps, t.expiry_bps) = (5_000, 5_000);
        (t.challenge_seconds, t.response_seconds) = (30 * 24 * HOUR, 30 * 24 * HOUR);
        (t.samples, t.named) = (29, 3);
    });
    w.ok(&[ix::open_market(creator.id(), creator.id(), 9, w.mint, token::SPL_TOKEN, at_the_caps, false)], &[&creator]);
}

#[test]
fn floors_hold_outside_experimental_markets() {
    let mut w = World::new();
    let creator = w.creator.clone();
    let below: [fn(&mut Terms); 5] = [
        |t| t.samples = 2,
        |t| t.response_seconds = HOUR - 1,
        |t| t.challenge_seconds = HOUR - 1,
        |t| t.release_min_bps = 0,
        |t| (t.release_max_bps, t.expiry_bps) = (500, 999),
    ];
    for (id, change) in (10..).zip(below) {
        let terms = changed(default_terms(), change);
        w.refused(
            E::TermsBelowFloor,
            &[ix::open_market(creator.id(), creator.id(), id, w.mint, token::SPL_TOKEN, terms, false)],
            &[&creator],
        );
        w.ok(&[ix::open_market(creator.id(), creator.id(), id, w.mint, token::SPL_TOKEN, terms, true)], &[&creator]);
    }
    let lowest = changed(default_terms(), |t| {
        (t.response_seconds, t.challenge_seconds) = (HOUR, HOUR);
        (t.release_min_bps, t.release_max_bps, t.expiry_bps) = (1, 1, 1_000);
    });
    w.ok(&[ix::open_market(creator.id(), creator.id(), 20, w.mint, token::SPL_TOKEN, lowest, false)], &[&creator]);
}

#[test]
fn a_market_cannot_be_opened_twice() {
    let mut w = World::new();
    let creator = w.creator.clone();
    const ALREADY_IN_USE: u32 = 0;
    let again = ix::open_market(creator.id(), creator.id(), 0, w.mint, token::SPL_TOKEN, experimental_terms(), true);
    w.refused(Refusal::Custom(ALREADY_IN_USE), &[again], &[&creator]);
}

#[test]
fn a_verifier_must_be_an_immutable_program() {
    let mut w = World::new();
    let creator = w.creator.clone();
    let script = Script::new(5, &two_stages(), &[0; 4]);
    let verifier = script.address();
    let register = ix::register_kernel(creator.id(), verifier, 5);
    w.refused(E::VerifierNotProgram, &[register.clone()], &[&creator]);
    w.chain.deploy(verifier, &script.elf(), Some(creator.id()));
    w.refused(E::VerifierMutable, &[register.clone()], &[&creator]);
    // The ProgramData of another program, which is immutable.
    let data = ix::program_data_address(&verifier);
    let borrowed = swapped(&register, &data, &ix::program_data_address(&VERIFIER));
    w.refused(E::VerifierNotProgram, &[borrowed], &[&creator]);
    let forged = swapped(&register, &data, &creator.tokens);
    w.refused(E::VerifierNotProgram, &[forged], &[&creator]);
    w.chain.deploy(verifier, &script.elf(), None);
    w.ok(&[register], &[&creator]);
    // A wallet, a program of the loader without authorities, a ProgramData account.
    let old_loader = Pubkey::from_str_const("BPFLoader2111111111111111111111111111111111");
    let old = Pubkey::new_from_array([9; 32]);
    w.chain.svm.add_program_with_loader(old, &script.elf(), old_loader).unwrap();
    for address in [creator.id(), old, data] {
        w.refused(E::VerifierNotProgram, &[ix::register_kernel(creator.id(), address, 1)], &[&creator]);
    }
}

#[test]
fn a_verifiers_accounts_are_the_loaders_own() {
    // Everything about them is right but one thing each. Only the loader could bring most of these about: it is not asked to.
    let script = Script::new(5, &two_stages(), &[0; 4]);
    let (verifier, other) = (script.address(), Pubkey::from_str_const("BPFLoader2111111111111111111111111111111111"));
    let data = ix::program_data_address(&verifier);
    let changes: [(Pubkey, fn(&mut Account, Pubkey)); 3] =
        [(verifier, |a, _| a.executable = false), (data, |a, other| a.owner = other), (data, |a, _| a.data[0] = 1)];
    for (i, (address, change)) in changes.into_iter().enumerate() {
        let mut w = World::new();
        let creator = w.creator.clone();
        w.chain.deploy(verifier, &script.elf(), None);
        let mut account = w.chain.svm.get_account(&address).unwrap();
        change(&mut account, other);
        // A program that can't be loaded is written all the same.
        drop(w.chain.svm.set_account(address, account.clone()));
        assert_eq!(w.chain.svm.get_account(&address), Some(account), "case {i}");
        let register = ix::register_kernel(creator.id(), verifier, 5);
        assert_eq!(w.send(&[register], &[&creator]).map(|r| r.logs), Err(E::VerifierNotProgram.into()), "case {i}");
    }
}

#[test]
fn a_kernel_is_what_its_verifier_says() {
    let mut w = World::new();
    let creator = w.creator.clone();
    w.refused(VerifierError::UnknownKernel, &[ix::register_kernel(creator.id(), VERIFIER, 77)], &[&creator]);
    let kernel: Kernel = w.read(&seeds::kernel(&VERIFIER, 2));
    let stated = assay_kernels::registry::describe(2).unwrap();
    assert_eq!((kernel.name, kernel.cell_cu_max, kernel.inputs), (stated.name, stated.cell_cu_max, 2));
    assert_eq!((kernel.verifier, kernel.program_data), (VERIFIER, ix::program_data_address(&VERIFIER)));
}

#[test]
fn what_a_verifier_declares_has_caps() {
    let mut w = World::new();
    let creator = w.creator.clone();
    let beyond: [fn(&mut Describe); 15] = [
        |d| d.inputs = 5,
        |d| d.stages = 0,
        |d| d.stages = 17,
        |d| d.amplification_bps = 9_999,
        |d| d.amplification_bps = 640_001,
        |d| d.cell_bytes_max = 0,
        |d| d.cell_bytes_max = 1_025,
        |d| d.leaf_bytes_max = 0,
        |d| d.leaf_bytes_max = 65_537,
        |d| d.cell_cu_max = 0,
        |d| d.cell_cu_max = 700_001,
        |d| d.answer_transactions = 0,
        |d| d.answer_transactions = 321,
        |d| d.evidence_bytes_max = 262_145,
        |d| (d.inputs, d.stages) = (255, 255),
    ];
    let declare = |w: &mut World, script: &Script| {
        w.chain.deploy(script.address(), &script.elf(), None);
        w.send(&[ix::register_kernel(creator.id(), script.address(), 5)], &[&creator]).map(|r| r.logs)
    };
    for (i, change) in beyond.into_iter().enumerate() {
        let mut description = description(5);
        change(&mut description);
        let refusal = declare(&mut w, &Script::described(&description));
        assert_eq!(refusal, Err(Refusal::Settlement(E::KernelOutOfRange)), "change {i}");
    }
    let other_abi = Describe { abi: 2, ..description(5) };
    assert_eq!(declare(&mut w, &Script::described(&other_abi)), Err(E::VerifierAbi.into()));
    let mut other_kernel = Script::described(&description(6));
    other_kernel.cell = Says::Nothing;
    assert_eq!(declare(&mut w, &other_kernel), Err(E::VerifierAnswer.into()));
    for (says, expected) in [
        (Says::Nothing, Refusal::from(E::VerifierAnswer)),
        (Says::Bytes(vec![1; 59]), E::VerifierAnswer.into()),
        (Says::Bytes(vec![1; 61]), E::VerifierAnswer.into()),
        (Says::Fails(4_321), Refusal::Custom(4_321)),
    ] {
        let mut script = Script::described(&description(5));
        script.describe = says;
        assert_eq!(declare(&mut w, &script), Err(expected));
    }
    assert!(declare(&mut w, &Script::described(&description(5))).is_ok());
}

#[test]
fn pausing_stops_new_jobs_and_claims_and_no_exit() {
    let mut w = World::new();
    let spec = assay_tests::Spec::image();
    let task = w.create(spec.clone());
    let (alice, bob, renter) = (w.alice.clone(), w.bob.clone(), w.renter.clone());
    w.claim(&task, 0, &alice);
    w.claim(&task, 1, &bob);
    w.pause(true);
    let request = w.request(&renter, &spec);
    w.refused(E::MarketPaused, &[w.create_ix(&renter, &spec, request)], &[&renter]);
    // Bob gives his claim back, nobody may take it; Alice proves hers; everybody leaves.
    w.ok(&[w.release_ix(&task, 1, &bob)], &[&bob.operator]);
    w.refused(E::MarketPaused, &[w.claim_ix(&task, 1, &bob)], &[&bob.operator]);
    let work = w.work(&task, 0, &alice);
    w.commit(&task, &alice, &work);
    w.draw(&task, 0);
    w.answer_all(&task, &work, &alice);
    w.pass_window(&task);
    w.settle(&task, 0, &alice);
    w.cancel(&task);
    w.close(&task);
    for provider in [&alice, &bob] {
        let free = w.provider(provider).staked;
        w.withdraw(provider, free);
    }
    w.pause(false);
    let again = w.create(spec);
    w.deposit(&alice, 2_000_000);
    w.claim(&again, 0, &alice);
}
