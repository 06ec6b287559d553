//! What must hold after every operation: refusals are refusals and not crashes; the books balance (`books.rs` of the
//! tests); nobody loses what is theirs without their signature; what is final stays.

use crate::chain::Chain;
use assay_client::{accounts::decode_data, token};
use assay_settlement::{
    Challenge, DrawSeed, Job, JobTerms, Kernel, Market, Provider, Renter, Shard, ShardState, rules::time::Now,
};
use litesvm::types::{FailedTransactionMetadata, TransactionResult};
use solana_account::ReadableAccount;
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use std::collections::{BTreeMap, BTreeSet};

/// Errors with which the runtime stops a program that did what no program may, or that broke down.
const CRASHES: [&str; 21] = [
    "ProgramFailedToComplete",
    "ProgramEnvironmentSetupFailure",
    "ComputationalBudgetExceeded",
    "UnbalancedInstruction",
    "UnbalancedTransaction",
    "ModifiedProgramId",
    "ExternalAccountLamportSpend",
    "ExternalAccountDataModified",
    "ReadonlyLamportChange",
    "ReadonlyDataModified",
    "DuplicateAccountIndex",
    "DuplicateAccountOutOfSync",
    "ExecutableModified",
    "ExecutableDataModified",
    "ExecutableLamportChange",
    "RentEpochModified",
    "AccountDataSizeChanged",
    "InvalidRealloc",
    "AccountBorrowOutstanding",
    "CallDepth",
    "ReentrancyNotAllowed",
];

/// How a transaction ended, in a word.
pub fn outcome(result: &TransactionResult) -> String {
    match result {
        Ok(_) => "landed".to_owned(),
        Err(failed) => format!("{:?}", failed.err),
    }
}

/// What is wrong with a failure; none for a clean refusal.
pub fn failure(failed: &FailedTransactionMetadata) -> Option<String> {
    let text = format!("{:?}", failed.err);
    let name = text.trim_end_matches(')').rsplit([' ', '(']).next().unwrap_or_default();
    CRASHES.contains(&name).then(|| format!("no clean refusal: {text}, {} units", failed.meta.compute_units_consumed))
}

/// The books, as the tests check them.
pub fn books(chain: &Chain, mints: &[Pubkey]) {
    crate::books::check(chain, mints);
}

/// What is compared before and after.
#[derive(Clone, Default)]
pub struct View {
    tokens: BTreeMap<Pubkey, (Pubkey, u64)>,
    providers: BTreeMap<Pubkey, Box<Provider>>,
    markets: BTreeMap<Pubkey, Box<Market>>,
    jobs: BTreeMap<Pubkey, Box<Job>>,
    shards: BTreeMap<Pubkey, Box<Shard>>,
    challenges: BTreeMap<Pubkey, Box<Challenge>>,
    nonces: BTreeMap<Pubkey, u64>,
    /// Kernels and seeds: whole accounts, which nothing changes.
    fixed: BTreeMap<Pubkey, Vec<u8>>,
}

impl View {
    /// Of a chain.
    pub fn of(chain: &Chain) -> Self {
        let mut view = Self::default();
        for (key, account) in &chain.svm.accounts_db().inner {
            let data = account.data();
            if *account.owner() == token::SPL_TOKEN {
                if let (Some(amount), Some(owner)) = (token::amount(data), data.get(32..64)) {
                    let owner = Pubkey::try_from(owner).expect("32 bytes");
                    view.tokens.insert(*key, (owner, amount));
                }
            } else if *account.owner() == assay_settlement::ID {
                if let Some(x) = decode_data::<Provider>(data) {
                    view.providers.insert(*key, Box::new(x));
                } else if let Some(x) = decode_data::<Market>(data) {
                    view.markets.insert(*key, Box::new(x));
                } else if let Some(x) = decode_data::<Job>(data) {
                    view.jobs.insert(*key, Box::new(x));
                } else if let Some(x) = decode_data::<Shard>(data) {
                    view.shards.insert(*key, Box::new(x));
                } else if let Some(x) = decode_data::<Challenge>(data) {
                    view.challenges.insert(*key, Box::new(x));
                } else if let Some(x) = decode_data::<Renter>(data) {
                    view.nonces.insert(x.owner, x.next_nonce);
                } else if decode_data::<Kernel>(data).is_some() || decode_data::<DrawSeed>(data).is_some() {
                    view.fixed.insert(*key, data.to_vec());
                }
            }
        }
        view
    }

    /// Which states shards went from and to.
    pub fn states(&self, before: &Self) -> Vec<(u8, u8, u32)> {
        let changed = |key: &Pubkey, now: &Shard| {
            let was = before.shards.get(key).map_or(255, |shard| shard.state);
            (was != now.state).then_some((was, now.state, now.answered.count_ones()))
        };
        self.shards.iter().filter_map(|(key, now)| changed(key, now)).collect()
    }
}

/// Checks what one transaction did. `closed`: where jobs and shards were; none may come back there.
///
/// # Panics
/// On a finding.
pub fn step(before: &View, after: &View, call: &Instruction, name: &str, now: &Now, closed: &mut BTreeSet<Pubkey>) {
    let signed = |key: &Pubkey| call.accounts.iter().any(|a| a.is_signer && a.pubkey == *key);
    ownership(before, after, name, &signed);
    if call.program_id == assay_settlement::ID {
        gains(before, after, name, &signed);
    }
    finality(before, after, name, now);
    closed.extend(before.jobs.keys().filter(|key| !after.jobs.contains_key(key)));
    closed.extend(before.shards.keys().filter(|key| !after.shards.contains_key(key)));
    for key in after.jobs.keys().chain(after.shards.keys()) {
        assert!(!closed.contains(key), "{name}: {key} was closed and is there again");
    }
}

fn ownership(before: &View, after: &View, name: &str, signed: &impl Fn(&Pubkey) -> bool) {
    let authorities: BTreeMap<Pubkey, Pubkey> =
        before.markets.values().map(|market| (market.treasury, market.authority)).collect();
    let ours = |owner: &Pubkey| {
        before.jobs.contains_key(owner) || before.providers.contains_key(owner) || before.markets.contains_key(owner)
    };
    for (key, (owner, amount)) in &before.tokens {
        let left = after.tokens.get(key).map_or(0, |(_, amount)| *amount);
        if left >= *amount {
            continue;
        }
        match authorities.get(key) {
            Some(authority) => assert!(signed(authority), "{name}: treasury {key} lost tokens unsigned"),
            // What vaults may lose is in the books.
            None if ours(owner) || !owner.is_on_curve() => (),
            None => assert!(signed(owner), "{name}: {owner} lost tokens of {key} unsigned"),
        }
    }
    for (key, was) in &before.providers {
        let free = |provider: &Provider| i128::from(provider.staked) - i128::from(provider.locked);
        let Some(is) = after.providers.get(key) else {
            assert!(signed(&was.owner), "{name}: provider {key} closed unsigned");
            continue;
        };
        let its = signed(&was.owner) || was.operators.iter().any(signed);
        assert!(free(is) >= free(was) || its, "{name}: provider {key} lost free stake unsigned");
        let keys = (is.owner, is.operators, is.endpoint) == (was.owner, was.operators, was.endpoint);
        assert!(keys || signed(&was.owner), "{name}: keys of provider {key} changed unsigned");
        assert!(
            (is.market, is.vault, is.rent_payer) == (was.market, was.vault, was.rent_payer),
            "{name}: provider {key}"
        );
    }
    for (key, was) in &before.jobs {
        let Some(is) = after.jobs.get(key) else { continue };
        let said = (is.cancelled, is.watch_keys) != (was.cancelled, was.watch_keys);
        assert!(!said || signed(&was.renter) || is.watch_keys == was.watch_keys, "{name}: keys of job {key}");
    }
    for (key, was) in &before.shards {
        let (Some(is), Some(job)) = (after.shards.get(key), before.jobs.get(&was.job)) else { continue };
        assert!(is.accepted == was.accepted || signed(&job.renter), "{name}: shard {key} accepted unsigned");
        assert!(is.attested == was.attested || signed(&job.terms.attestor), "{name}: shard {key} attested unsigned");
        assert!(is.leaves_demanded == was.leaves_demanded || signed(&job.renter), "{name}: leaves of {key}");
    }
    for (key, was) in &before.markets {
        let Some(is) = after.markets.get(key) else {
            assert!(signed(&was.authority), "{name}: market {key} closed unsigned");
            continue;
        };
        let same = (is.flags, is.authority, is.pending_authority) == (was.flags, was.authority, was.pending_authority);
        assert!(
            same || signed(&was.authority) || signed(&was.pending_authority),
            "{name}: market {key} changed unsigned"
        );
        assert!(
            (is.mint, is.treasury, is.terms, is.creator) == (was.mint, was.treasury, was.terms, was.creator),
            "{name}: market {key}"
        );
    }
}

/// Whoever gets tokens out of the program was owed them: a renter by its job, a prover its bounty, and who signs for a
/// provider or a treasury decides where they go.
fn gains(before: &View, after: &View, name: &str, signed: &impl Fn(&Pubkey) -> bool) {
    let held = |view: &View, key: &Pubkey| view.tokens.get(key).map_or(0, |(_, amount)| *amount);
    let fell = |key: &Pubkey| held(after, key) < held(before, key);
    let vaults = before.jobs.values().map(|job| job.vault).chain(before.providers.values().map(|p| p.vault));
    let vaults = vaults.chain(before.challenges.values().chain(after.challenges.values()).map(|c| c.vault));
    let vaults: BTreeSet<Pubkey> = vaults.chain(before.markets.values().map(|market| market.treasury)).collect();
    if before.tokens.keys().any(|key| !vaults.contains(key) && fell(key)) {
        // It was paid by somebody who signed.
        return;
    }
    let free = before.providers.values().any(|p| signed(&p.owner) && fell(&p.vault))
        || before.markets.values().any(|m| signed(&m.authority) && fell(&m.treasury));
    for (key, (owner, amount)) in &after.tokens {
        if vaults.contains(key) || *amount <= held(before, key) || !owner.is_on_curve() {
            continue;
        }
        let gain = amount - held(before, key);
        let refund = before.jobs.values().any(|job| job.renter == *owner && fell(&job.vault));
        let bounty = before.shards.iter().any(|(shard, was)| {
            let left = after.shards.get(shard).map_or(0, |is| is.owed_bounty);
            was.bounty_to == *owner && was.owed_bounty.checked_sub(left) == Some(gain)
        });
        let bond = before.challenges.values().any(|c| c.challenger == *owner && fell(&c.vault));
        assert!(free || refund || bounty || bond, "{name}: {owner} got {gain} that nobody owed it");
    }
}

fn finality(before: &View, after: &View, name: &str, now: &Now) {
    for (key, was) in &before.jobs {
        let Some(is) = after.jobs.get(key) else {
            assert!(was.active == 0 && was.shard_accounts == 0, "{name}: job {key} closed with work in it");
            continue;
        };
        assert!(is.terms.hash() == was.terms_hash && is.terms_hash == was.terms_hash, "{name}: terms of job {key}");
        assert!((is.renter, is.vault, is.rent_payer) == (was.renter, was.vault, was.rent_payer), "{name}: job {key}");
        assert!(is.cancelled >= was.cancelled, "{name}: job {key} opened again");
        assert!(is.settled >= was.settled && is.slashed >= was.slashed, "{name}: job {key} forgot shards");
        assert!(is.paid >= was.paid && is.compensated >= was.compensated, "{name}: job {key} forgot payments");
    }
    for (key, is) in &after.jobs {
        if !before.jobs.contains_key(key) {
            let next = |view: &View| view.nonces.get(&is.renter).copied().unwrap_or(0);
            assert!(
                (next(before), next(after)) == (is.nonce, is.nonce + 1),
                "{name}: job {key} is not the next of its renter"
            );
            assert!(is.terms.created_at == now.time && is.active == 0, "{name}: job {key} is new and has a past");
        }
    }
    for (key, was) in &before.shards {
        let Some(is) = after.shards.get(key) else {
            let over = matches!(was.state(), Some(ShardState::Open | ShardState::Settled | ShardState::Slashed));
            assert!(over, "{name}: shard {key} closed in work");
            assert!(
                was.owed_renter + was.owed_bounty + was.owed_treasury == 0,
                "{name}: shard {key} closed with debts"
            );
            let job = after.jobs.get(&was.job);
            assert!(job.is_none_or(|job| job.cancelled == 1), "{name}: shard {key} closed, its job takes claims");
            continue;
        };
        shard(key, was, is, name);
        if was.state != is.state
            && is.state() == Some(ShardState::Settled)
            && was.accepted == 0
            && let Some(job) = before.jobs.get(&was.job)
        {
            proven(key, was, &job.terms, name, now);
        }
    }
    for (key, was) in &before.nonces {
        assert!(after.nonces.get(key).is_some_and(|is| is >= was), "{name}: numbers of renter {key} went back");
    }
    for (key, was) in &before.fixed {
        let is = after.fixed.get(key);
        assert!(is.is_none_or(|is| is == was), "{name}: {key} changed");
        assert!(is.is_some() || name.starts_with("close_"), "{name}: {key} is gone");
    }
}

/// What is paid was drawn and answered, and its challenge window is over.
fn proven(key: &Pubkey, shard: &Shard, terms: &JobTerms, name: &str, now: &Now) {
    let (drawn, first_named) = (usize::from(shard.drawn), usize::from(terms.samples));
    let named = first_named..first_named + usize::from(shard.named);
    let answered = |cell: usize| shard.answered >> cell & 1 == 1;
    assert!(drawn > 0 && (0..drawn).chain(named).all(answered), "{name}: shard {key} paid without answers");
    let seconds = now.time - shard.committed_at;
    assert!(seconds >= i64::from(terms.challenge_seconds), "{name}: shard {key} paid after {seconds} s");
}

fn shard(key: &Pubkey, was: &Shard, is: &Shard, name: &str) {
    use ShardState::{Claimed, Committed, Open, Sampled, Settled, Slashed};
    let states = (was.state().expect("known"), is.state().expect("known"));
    let right = match states {
        (a, b) if a == b => true,
        (Open, Claimed) => name == "claim_shard",
        (Claimed, Open) => name == "release_claim" || name == "expire_claim",
        (Claimed, Committed) => name == "commit_result",
        (Committed, Sampled) => name == "draw_samples",
        (Sampled, Settled) => name == "settle_shard",
        (Committed, Settled) => name == "settle_shard" && was.accepted == 1,
        (Committed, Slashed) => ["adjudicate", "slash_unanswered", "roll_window"].contains(&name),
        (Sampled, Slashed) => ["adjudicate", "slash_unanswered"].contains(&name),
        _ => false,
    };
    assert!(right, "{name}: shard {key} went {states:?}");
    assert!((is.job, is.index, is.rent_payer) == (was.job, was.index, was.rent_payer), "{name}: shard {key}");
    if was.state != 0 && was.state != 1 {
        assert!(
            (is.root, is.provider, is.price) == (was.root, was.provider, was.price),
            "{name}: shard {key} has another commitment"
        );
        assert!(is.answered & was.answered == was.answered, "{name}: shard {key} forgot answers");
        let asked = usize::from(was.drawn);
        assert!(is.cells[..asked] == was.cells[..asked], "{name}: shard {key} has other cells");
        assert!(is.collateral <= was.collateral, "{name}: shard {key} locks more");
        assert!(is.accepted >= was.accepted && is.attested >= was.attested, "{name}: shard {key} took a word back");
        assert!(is.accepted == was.accepted || name == "accept_shard", "{name}: shard {key} was accepted");
        assert!(is.attested == was.attested || name == "attest_delivery", "{name}: shard {key} was attested");
        assert!(is.leaves_posted >= was.leaves_posted, "{name}: shard {key} forgot leaves");
    }
}
