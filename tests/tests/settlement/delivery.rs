//! Delivery decides who receives the price of a proven shard, never whether collateral is seized: none, on the ledger,
//! attested.

use assay_client::{answer::Answer, ix, ix::LeafBytes};
use assay_kernels::abi::IN_EVIDENCE;
use assay_settlement::{
    Delivery, EVIDENCE_HEADER_BYTES, Terms,
    constants::NOBODY,
    error::AssayError as E,
    instructions::{AdjudicateArgs, JobRequest},
    seeds,
    state::unit_seconds,
};
use assay_tests::{
    Actor, Provider, Spec, Task, Work, World, experimental_terms,
    world::{PRICES, STAKE},
};

const NONE: u8 = 0;
const LEDGER: u8 = 1;
const ATTESTED: u8 = 2;
/// What posting a leaf of up to 1 KiB costs in these tests.
const POSTING: u64 = 2_001;
/// Price less fee of a shard claimed at once.
const PAY: u64 = 980_000;

fn terms() -> Terms {
    // Longer to post than to challenge, so that a settlement can find leaves that are not due yet.
    Terms { post_per_kib: POSTING, response_seconds: 1_000, ..experimental_terms() }
}

/// A job delivered this way, its first shard committed by Alice.
fn committed(spec: Spec, change: impl FnOnce(&mut JobRequest, &World)) -> (World, Task, Provider, Work) {
    let mut w = World::with_terms(terms());
    let renter = w.renter.clone();
    let mut request = w.request(&renter, &spec);
    change(&mut request, &w);
    let task = w.create_with(spec, |r| *r = request);
    let alice = w.alice.clone();
    let work = w.claim_and_commit(&task, 0, &alice);
    (w, task, alice, work)
}

fn on_the_ledger() -> (World, Task, Provider, Work) {
    committed(Spec::image(), |r, _| r.delivery = LEDGER)
}

fn attested(silence: u8) -> (World, Task, Provider, Work) {
    committed(Spec::image(), |r, w| (r.delivery, r.silence, r.attestor) = (ATTESTED, silence, w.stranger.id()))
}

/// Draws, answers, and lets the challenge window pass.
fn prove(w: &mut World, task: &Task, work: &Work, alice: &Provider) {
    w.draw(task, 0);
    w.answer_all(task, work, alice);
    w.pass_window(task);
}

#[test]
fn a_job_asks_for_what_there_is() {
    let mut w = World::new();
    let renter = w.renter.clone();
    let key = w.stranger.id();
    let bad: [(u8, u8, solana_pubkey::Pubkey, u8); 9] = [
        (3, 0, NOBODY, 0),
        (255, 0, NOBODY, 0),
        (ATTESTED, 2, key, 0),
        (ATTESTED, 0, NOBODY, 0),
        (NONE, 0, key, 0),
        (LEDGER, 0, key, 0),
        (NONE, 1, NOBODY, 0),
        (LEDGER, 1, NOBODY, 0),
        (NONE, 0, NOBODY, 4),
    ];
    let spec = Spec::image();
    for (delivery, silence, attestor, flags) in bad {
        let request = JobRequest { delivery, silence, attestor, flags, ..w.request(&renter, &spec) };
        w.refused(E::BadDelivery, &[w.create_ix(&renter, &spec, request)], &[&renter]);
    }
    for (delivery, silence, attestor, flags) in
        [(NONE, 0, NOBODY, 3), (LEDGER, 0, NOBODY, 2), (ATTESTED, 0, key, 1), (ATTESTED, 1, key, 0)]
    {
        let task = w.create_with(spec.clone(), |r| {
            (r.delivery, r.silence, r.attestor, r.flags) = (delivery, silence, attestor, flags);
        });
        let terms = w.job(&task).terms;
        assert_eq!((terms.delivery, terms.silence, terms.attestor, terms.flags), (delivery, silence, attestor, flags));
        w.cancel(&task);
        w.close(&task);
    }
}

#[test]
fn without_a_challenge_window_nobody_could_demand_or_attest() {
    let mut w = World::with_terms(Terms { challenge_seconds: 0, ..experimental_terms() });
    let (renter, spec, key) = (w.renter.clone(), Spec::image(), w.stranger.id());
    for (delivery, attestor) in [(LEDGER, NOBODY), (ATTESTED, key)] {
        let request = JobRequest { delivery, attestor, ..w.request(&renter, &spec) };
        w.refused(E::BadDelivery, &[w.create_ix(&renter, &spec, request)], &[&renter]);
    }
    w.create(spec);
}

#[test]
fn what_is_not_demanded_needs_no_delivery() {
    let (mut w, task, alice, work) = on_the_ledger();
    prove(&mut w, &task, &work, &alice);
    w.settle(&task, 0, &alice);
    assert_eq!(w.provider(&alice).staked - STAKE, PAY);
}

#[test]
fn posted_leaves_are_paid_for_beside_the_price() {
    let (mut w, task, alice, work) = on_the_ledger();
    let (renter, stranger) = (task.renter.clone(), w.stranger.clone());
    let had = w.held(&renter.tokens);
    w.demand(&task, 0, &[0, 1]);
    assert_eq!((had - w.held(&renter.tokens), w.job(&task).prepaid), (2 * POSTING, 2 * POSTING));
    prove(&mut w, &task, &work, &alice);
    w.refused(E::DeliveryOpen, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
    // What was prepaid for a shard in work is nobody's yet.
    w.refused(E::NothingOwed, &[w.refund_ix(&task)], &[&stranger]);
    w.ok(&[w.post_ix(&task, &work, 1, 1, &alice.operator)], &[&alice.operator]);
    w.refused(E::AlreadyPosted, &[w.post_ix(&task, &work, 1, 1, &alice.operator)], &[&alice.operator]);
    w.refused(E::DeliveryOpen, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
    // Anyone with the bytes may post; the provider is paid for it.
    w.ok(&[w.post_ix(&task, &work, 0, 0, &stranger)], &[&stranger]);
    w.settle(&task, 0, &alice);
    assert_eq!(w.provider(&alice).staked - STAKE, PAY + 2 * POSTING);
    assert_eq!((w.job(&task).prepaid, w.job(&task).fees_owed), (0, 20_000), "posting bears no fee");
    w.refused(E::WrongState, &[w.post_ix(&task, &work, 0, 0, &stranger)], &[&stranger]);
    w.ok(&[w.close_delivery_ix(&task, 0)], &[&stranger]);
    w.cancel(&task);
    w.close(&task);
    assert_eq!(had + 2 * PRICES.1 - w.held(&renter.tokens), 1_000_000 + 2 * POSTING);
}

#[test]
fn a_missing_leaf_sends_the_price_back_and_seizes_nothing() {
    for posted in 0..2u8 {
        let (mut w, task, alice, work) = on_the_ledger();
        let stranger = w.stranger.clone();
        let had = w.held(&task.renter.tokens);
        w.demand(&task, 0, &[0, 1]);
        if posted == 1 {
            w.ok(&[w.post_ix(&task, &work, 0, 0, &alice.operator)], &[&alice.operator]);
        }
        prove(&mut w, &task, &work, &alice);
        let terms = w.job(&task).terms;
        let due = terms.response_seconds + 2 * unit_seconds(terms.answer_transactions);
        if terms.challenge_seconds < due {
            w.refused(E::DeliveryOpen, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
            w.chain.pass(due - terms.challenge_seconds);
        } else {
            w.chain.pass(1);
        }
        w.settle(&task, 0, &alice);
        let provider = w.provider(&alice);
        let earned = u64::from(posted) * POSTING;
        assert_eq!((provider.staked - STAKE, provider.locked, provider.slashed), (earned, 0, 0));
        assert_eq!((provider.settled, w.job(&task).fees_owed), (1, 0), "no price, no fee");
        w.cancel(&task);
        w.close(&task);
        assert_eq!(had + 2 * PRICES.1 - w.held(&task.renter.tokens), earned, "only the posting is spent");
        w.ok(&[w.close_delivery_ix(&task, 0)], &[&stranger]);
    }
}

#[test]
fn the_time_to_post_counts_from_the_demand_and_by_the_leaves() {
    let (mut w, task, alice, work) = on_the_ledger();
    let stranger = w.stranger.clone();
    w.draw(&task, 0);
    w.answer_all(&task, &work, &alice);
    let terms = w.job(&task).terms;
    let left = w.shard(&task, 0).committed_at + i64::from(terms.challenge_seconds) - w.chain.now().time;
    w.chain.advance(u64::try_from(left).unwrap() - 1);
    w.demand(&task, 0, &[0, 1]);
    let due = terms.response_seconds + 2 * unit_seconds(terms.answer_transactions);
    w.chain.advance(u64::from(due) - 1);
    w.refused(E::DeliveryOpen, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
    w.chain.advance(1);
    // Overdue. Posted before anybody settles, it counts all the same.
    w.post_all(&task, &work, &alice.operator);
    w.settle(&task, 0, &alice);
    assert_eq!(w.provider(&alice).staked - STAKE, PAY + 2 * POSTING);
}

#[test]
fn a_halt_lets_no_delivery_fail() {
    let (mut w, task, alice, work) = on_the_ledger();
    let stranger = w.stranger.clone();
    w.demand(&task, 0, &[0]);
    prove(&mut w, &task, &work, &alice);
    w.chain.halt(1_000_000);
    w.chain.restart();
    w.chain.advance(1_000);
    w.refused(E::WindowOpen, &[w.settle_ix(&task, 0, &alice)], &[&stranger]);
    w.chain.pass(3_000);
    w.post_all(&task, &work, &stranger);
    w.settle(&task, 0, &alice);
    assert_eq!(w.provider(&alice).staked - STAKE, PAY + POSTING);
}

#[test]
fn leaves_are_demanded_once_by_the_renter_in_the_window() {
    let (mut w, task, alice, _) = on_the_ledger();
    let (stranger, watcher) = (w.stranger.clone(), w.watcher.clone());
    for by in [&stranger, &watcher, &alice.operator] {
        let demand = ix::demand_leaves(by.id(), by.id(), &task.job, &w.job(&task), 0, by.tokens, vec![0]);
        w.refused(E::NotAuthorized, &[demand], &[by]);
    }
    // None, one twice, descending, another shard's, none at all, more than there is room for.
    let bad: [Vec<u64>; 8] =
        [vec![], vec![0, 0], vec![1, 0], vec![2], vec![0, 1, 2], vec![u64::MAX], vec![1 << 40], (0..65).collect()];
    for leaves in bad {
        w.refused(E::BadLeaves, &[w.demand_ix(&task, 0, &leaves)], &[&task.renter]);
    }
    assert_eq!(w.job(&task).prepaid, 0);
    w.demand(&task, 0, &[1]);
    for leaves in [[0], [1]] {
        w.refused(E::AlreadyDemanded, &[w.demand_ix(&task, 0, &leaves)], &[&task.renter]);
    }
    // The other shard: not before it is committed, not after its window, not after it is accepted.
    let bob = w.bob.clone();
    w.claim(&task, 1, &bob);
    w.refused(E::WrongState, &[w.demand_ix(&task, 1, &[2])], &[&task.renter]);
    let work = w.work(&task, 1, &bob);
    w.commit(&task, &bob, &work);
    w.refused(E::BadLeaves, &[w.demand_ix(&task, 1, &[1])], &[&task.renter]);
    w.pass_window(&task);
    w.refused(E::WindowOver, &[w.demand_ix(&task, 1, &[2])], &[&task.renter]);
    w.accept(&task, 1);
    w.refused(E::Accepted, &[w.demand_ix(&task, 1, &[2])], &[&task.renter]);
}

#[test]
fn demanding_needs_a_job_that_delivers_on_the_ledger() {
    let (mut w, task, _, _) = committed(Spec::image(), |_, _| ());
    w.refused(E::WrongDelivery, &[w.demand_ix(&task, 0, &[0])], &[&task.renter]);
    let (mut w, task, _, _) = attested(0);
    w.refused(E::WrongDelivery, &[w.demand_ix(&task, 0, &[0])], &[&task.renter]);
    // An attestor has nothing to say anywhere else.
    let (mut w, task, _, _) = on_the_ledger();
    let stranger = w.stranger.clone();
    w.refused(E::WrongDelivery, &[ix::attest_delivery(stranger.id(), &task.job, 0, true)], &[&stranger]);
}

#[test]
fn a_price_of_posting_beyond_all_bounds_is_refused() {
    let mut w = World::with_terms(Terms { post_per_kib: u64::MAX, ..experimental_terms() });
    let task = w.create_with(Spec::image(), |r| r.delivery = LEDGER);
    let alice = w.alice.clone();
    w.claim_and_commit(&task, 0, &alice);
    w.refused(E::Overflow, &[w.demand_ix(&task, 0, &[0, 1])], &[&task.renter]);
    const INSUFFICIENT_FUNDS: u32 = 1;
    w.refused(assay_tests::Refusal::Custom(INSUFFICIENT_FUNDS), &[w.demand_ix(&task, 0, &[0])], &[&task.renter]);
    assert_eq!((w.job(&task).prepaid, w.shard(&task, 0).leaves_demanded), (0, 0));
}

#[test]
fn sixty_four_leaves_are_the_most() {
    let (mut w, task, alice, work) = committed(Spec::product(64, 64, 64), |r, _| r.delivery = LEDGER);
    let all: Vec<u64> = (0..64).collect();
    let receipt = w.demand(&task, 0, &all);
    println!("64 leaves demanded: {} bytes, {} compute units", receipt.bytes, receipt.units);
    assert_eq!(w.job(&task).prepaid, 64 * POSTING);
    prove(&mut w, &task, &work, &alice);
    w.post_all(&task, &work, &alice.operator);
    assert_eq!(w.delivery_data(&task, 0).posted, u64::MAX);
    w.settle(&task, 0, &alice);
    assert_eq!(w.provider(&alice).staked - STAKE, PAY + 64 * POSTING);
}

/// An evidence account of `owner` that holds these bytes.
fn upload(w: &mut World, owner: &Actor, seed: &str, bytes: Vec<u8>) -> solana_pubkey::Pubkey {
    let args =
        AdjudicateArgs { leaf: 0, cell: 0, leaf_at: 0, leaf_path_at: 0, openings: Vec::new(), inline: Vec::new() };
    w.upload(owner, seed, &Answer { args, evidence: Some(bytes) }).unwrap()
}

#[test]
fn leaves_can_be_posted_out_of_evidence() {
    let (mut w, task, alice, work) = on_the_ledger();
    let operator = alice.operator.clone();
    w.demand(&task, 0, &[0, 1]);
    let at = u32::try_from(EVIDENCE_HEADER_BYTES).unwrap() | IN_EVIDENCE;
    for (place, leaf) in [(0u8, 0u64), (1, 1)] {
        let whole = w.leaf_bytes(&work, leaf);
        let evidence = upload(&mut w, &operator, &format!("leaf {leaf}"), whole.inline.clone());
        let there = LeafBytes { at, path_at: at + whole.path_at, inline: Vec::new() };
        let post =
            |by: &Actor, bytes: &LeafBytes| ix::post_leaf(by.id(), &task.job, 0, place, Some(evidence), bytes.clone());
        let stranger = w.stranger.clone();
        w.refused(E::WrongEvidenceOwner, &[post(&stranger, &there)], &[&stranger]);
        let not_evidence = ix::post_leaf(operator.id(), &task.job, 0, place, Some(w.market), there.clone());
        w.refused(E::NotEvidence, &[not_evidence], &[&operator]);
        // Half there, half inline.
        let split = LeafBytes { at, path_at: 0, inline: whole.inline[whole.path_at as usize..].to_vec() };
        let bytes = if leaf == 0 { there } else { split };
        w.ok(&[post(&operator, &bytes)], &[&operator]);
        w.ok(&[ix::close_evidence(operator.id(), evidence)], &[&operator]);
    }
    assert_eq!(w.shard(&task, 0).leaves_posted, 2);
}

#[test]
fn only_the_demanded_bytes_count() {
    let (mut w, task, alice, work) = on_the_ledger();
    let operator = alice.operator.clone();
    w.demand(&task, 0, &[1]);
    let right = w.leaf_bytes(&work, 1);
    let post = |place: u8, bytes: LeafBytes| ix::post_leaf(operator.id(), &task.job, 0, place, None, bytes);
    for byte in [0, right.path_at as usize - 1, right.path_at as usize, right.inline.len() - 1] {
        let mut wrong = right.clone();
        wrong.inline[byte] ^= 1;
        w.refused(E::WrongPath, &[post(0, wrong)], &[&operator]);
    }
    w.refused(E::WrongPath, &[post(0, w.leaf_bytes(&work, 0))], &[&operator]);
    // The right bytes as another provider would salt them.
    let bob = w.bob.clone();
    let theirs = w.work(&task, 0, &bob);
    w.refused(E::WrongPath, &[post(0, w.leaf_bytes(&theirs, 1))], &[&operator]);
    for place in [1, 63, 64, 255] {
        w.refused(E::BadLeaves, &[post(place, right.clone())], &[&operator]);
    }
    let changes: [fn(&mut LeafBytes); 6] = [
        |b| b.at += 33,
        |b| b.at = !IN_EVIDENCE,
        |b| b.at |= IN_EVIDENCE,
        |b| b.path_at += 1,
        |b| b.path_at = u32::MAX,
        |b| b.inline.clear(),
    ];
    for change in changes {
        let mut bytes = right.clone();
        change(&mut bytes);
        w.refused(E::BadOpening, &[post(0, bytes)], &[&operator]);
    }
    assert_eq!(w.shard(&task, 0).leaves_posted, 0);
    w.ok(&[post(0, right)], &[&operator]);
}

#[test]
fn a_slashed_shard_gives_back_what_was_prepaid() {
    let mut w = World::with_terms(terms());
    let task = w.create_with(Spec::image(), |r| r.delivery = LEDGER);
    let (alice, watcher, stranger) = (w.alice.clone(), w.watcher.clone(), w.stranger.clone());
    let had = w.held(&task.renter.tokens);
    w.claim(&task, 0, &alice);
    let work = w.forged(&task, 0, &alice, &[0]);
    w.commit(&task, &alice, &work);
    w.demand(&task, 0, &[0, 1]);
    w.post_all(&task, &work, &stranger);
    w.judge(&task, &work, 0, &watcher).unwrap();
    w.refused(E::WrongState, &[w.post_ix(&task, &work, 0, 0, &stranger)], &[&stranger]);
    w.ok(&[w.seize_ix(&task, 0, &alice), w.bounty_ix(&task, 0, &alice, watcher.tokens)], &[&stranger]);
    assert_eq!(w.job(&task).prepaid, 0);
    w.cancel(&task);
    w.close(&task);
    assert_eq!(w.held(&task.renter.tokens) - had, 2 * PRICES.1 + 1_000_000);
}

#[test]
fn the_list_of_demanded_leaves_goes_when_its_shard_has_ended() {
    let (mut w, task, alice, work) = on_the_ledger();
    let stranger = w.stranger.clone();
    let before = w.chain.lamports(&task.renter.id());
    let fees = w.chain.fees[&task.renter.id()];
    w.demand(&task, 0, &[0]);
    let close = w.close_delivery_ix(&task, 0);
    w.refused(E::StillNeeded, std::slice::from_ref(&close), &[&stranger]);
    prove(&mut w, &task, &work, &alice);
    w.refused(E::StillNeeded, std::slice::from_ref(&close), &[&stranger]);
    w.post_all(&task, &work, &stranger);
    w.settle(&task, 0, &alice);
    // After the shard's account, too: nothing waits for anything.
    w.cancel(&task);
    w.ok(&[w.close_shard_ix(&task, 0)], &[&stranger]);
    w.ok(&[close], &[&stranger]);
    assert!(w.find::<Delivery>(&seeds::delivery(&seeds::shard(&task.job, 0))).is_none());
    let spent = w.chain.fees[&task.renter.id()] - fees;
    assert_eq!(before - w.chain.lamports(&task.renter.id()), spent, "rent is back");
}

#[test]
fn an_accepted_shard_waits_for_no_delivery() {
    let (mut w, task, alice, work) = on_the_ledger();
    w.demand(&task, 0, &[0, 1]);
    w.ok(&[w.post_ix(&task, &work, 0, 0, &alice.operator)], &[&alice.operator]);
    w.accept(&task, 0);
    w.settle(&task, 0, &alice);
    assert_eq!(w.provider(&alice).staked - STAKE, PAY + POSTING);
    let (mut w, task, alice, _) = attested(1);
    let stranger = w.stranger.clone();
    w.ok(&[ix::attest_delivery(stranger.id(), &task.job, 0, false)], &[&stranger]);
    w.accept(&task, 0);
    w.settle(&task, 0, &alice);
    assert_eq!(w.provider(&alice).staked - STAKE, PAY);
}

#[test]
fn what_an_attestor_says_or_does_not_say_decides() {
    for (says, silence, paid) in [
        (Some(true), 0, true),
        (Some(true), 1, true),
        (Some(false), 0, false),
        (Some(false), 1, false),
        (None, 0, true),
        (None, 1, false),
    ] {
        let (mut w, task, alice, work) = attested(silence);
        let attestor = w.stranger.clone();
        let had = w.held(&task.renter.tokens);
        if let Some(arrived) = says {
            w.ok(&[ix::attest_delivery(attestor.id(), &task.job, 0, arrived)], &[&attestor]);
        }
        w.draw(&task, 0);
        w.answer_all(&task, &work, &alice);
        // Not even a word of the attestor ends the challenge window.
        w.refused(E::WindowOpen, &[w.settle_ix(&task, 0, &alice)], &[&attestor]);
        w.pass_window(&task);
        w.settle(&task, 0, &alice);
        let provider = w.provider(&alice);
        assert_eq!(provider.staked - STAKE, if paid { PAY } else { 0 }, "{says:?}, silence {silence}");
        assert_eq!((provider.locked, provider.slashed), (0, 0));
        w.cancel(&task);
        w.close(&task);
        let price = if paid { 1_000_000 } else { 0 };
        assert_eq!(had + 2 * PRICES.1 - w.held(&task.renter.tokens), price);
    }
}

#[test]
fn the_attestor_speaks_once_and_nobody_else_does() {
    let (mut w, task, alice, work) = attested(1);
    let (attestor, renter) = (w.stranger.clone(), w.renter.clone());
    for by in [&renter, &alice.owner, &alice.operator, &w.watcher.clone()] {
        w.refused(E::NotAuthorized, &[ix::attest_delivery(by.id(), &task.job, 0, true)], &[by]);
    }
    w.draw(&task, 0);
    w.answer_all(&task, &work, &alice);
    // In the last second of the challenge window.
    let end = w.shard(&task, 0).committed_at + i64::from(w.job(&task).terms.challenge_seconds);
    w.chain.advance(u64::try_from(end - w.chain.now().time).unwrap() - 1);
    w.ok(&[ix::attest_delivery(attestor.id(), &task.job, 0, true)], &[&attestor]);
    for arrived in [true, false] {
        w.refused(E::AlreadyDelivered, &[ix::attest_delivery(attestor.id(), &task.job, 0, arrived)], &[&attestor]);
    }
    w.chain.advance(1);
    w.settle(&task, 0, &alice);
    assert_eq!(w.provider(&alice).staked - STAKE, PAY);
    w.refused(E::WrongState, &[ix::attest_delivery(attestor.id(), &task.job, 0, true)], &[&attestor]);
    // A shard that is not committed has not arrived anywhere.
    let bob = w.bob.clone();
    w.claim(&task, 1, &bob);
    w.refused(E::WrongState, &[ix::attest_delivery(attestor.id(), &task.job, 1, true)], &[&attestor]);
}

#[test]
fn after_the_window_silence_has_spoken() {
    // An attestor and a settlement in one block: neither can take the word out of the other's mouth.
    let (mut w, task, alice, work) = attested(1);
    let attestor = w.stranger.clone();
    prove(&mut w, &task, &work, &alice);
    for arrived in [true, false] {
        w.refused(E::WindowOver, &[ix::attest_delivery(attestor.id(), &task.job, 0, arrived)], &[&attestor]);
    }
    w.settle(&task, 0, &alice);
    assert_eq!((w.provider(&alice).staked, w.provider(&alice).settled), (STAKE, 1));
}

#[test]
fn delivery_never_saves_a_wrong_cell() {
    let mut w = World::with_terms(terms());
    let key = w.stranger.id();
    let task = w.create_with(Spec::image(), |r| (r.delivery, r.attestor) = (ATTESTED, key));
    let (alice, attestor, watcher) = (w.alice.clone(), w.stranger.clone(), w.watcher.clone());
    w.claim(&task, 0, &alice);
    let work = w.forged(&task, 0, &alice, &[0]);
    w.commit(&task, &alice, &work);
    w.ok(&[ix::attest_delivery(attestor.id(), &task.job, 0, true)], &[&attestor]);
    w.judge(&task, &work, 0, &watcher).unwrap();
    assert_eq!(w.shard(&task, 0).fault, 1);
}
