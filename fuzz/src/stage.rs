//! What every input starts from: a market with jobs in each state, made by real instructions with the harness of
//! `tests/`. The order of everything here is part of the corpus: append, do not reorder.

// A harness for tests: where it cannot go on it panics, and its sums are of test amounts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::missing_panics_doc,
    reason = "test harness"
)]

#[path = "../../tests/src/artifacts.rs"]
pub mod artifacts;
#[path = "../../tests/src/books.rs"]
pub mod books;
#[path = "../../tests/src/chain.rs"]
pub mod chain;
#[path = "../../tests/src/disputes.rs"]
mod disputes;
#[path = "../../tests/src/scripted.rs"]
#[allow(dead_code, reason = "the tests also write code with instructions that no script here has")]
pub mod scripted;
#[path = "../../tests/src/steps.rs"]
pub mod steps;
#[path = "../../tests/src/tokens.rs"]
pub mod tokens;
#[path = "../../tests/src/work.rs"]
pub mod work;
#[path = "../../tests/src/world.rs"]
pub mod world;

use crate::{
    chain::Actor,
    scripted::{Script, two_stages},
    work::{Spec, Task, Work},
    world::{Provider, VERIFIER, World},
};
use assay_client::ix;
use assay_kernels::abi::{STEP_DONE, STEP_MORE, STEP_STATE_BYTES};
use assay_settlement::{
    Job, JobTerms, instructions::JobRequest, rules::time::Now, seeds, state::EVIDENCE_HEADER_BYTES,
};
use solana_account::Account;
use solana_pubkey::Pubkey;
use std::collections::HashMap;

/// Number of the kernel of the scripted verifiers.
const SCRIPTED: u16 = 7;
/// What a cell of theirs is.
const SCRIPTED_CELL: [u8; 4] = [1, 2, 3, 4];

/// Length of the rows of a product whose cells take two steps.
const STEPPED_K: u32 = 40_000;

/// A kind of job that can be created.
#[derive(Clone, Debug)]
pub struct Kind {
    /// The Kernel account.
    pub kernel: Pubkey,
    /// What it computes.
    pub spec: Spec,
    /// The request, Borsh; its first 8 bytes are the nonce.
    pub request: Vec<u8>,
}

/// The state that every input starts from.
pub struct Stage {
    /// All accounts but programs and sysvars, in order of their address.
    pub accounts: Vec<(Pubkey, Account)>,
    /// The time.
    pub now: Now,
    /// Programs of ours, with their files.
    pub programs: Vec<(Pubkey, Vec<u8>)>,
    /// Who can sign.
    pub actors: Vec<Pubkey>,
    /// Mints whose tokens are counted.
    pub mints: Vec<Pubkey>,
    /// Mints of Token-2022 without tokens.
    pub mints_2022: Vec<Pubkey>,
    /// All markets.
    pub markets: Vec<Pubkey>,
    /// All providers.
    pub providers: Vec<Pubkey>,
    /// All jobs, and their numbers in `kinds`.
    pub jobs: Vec<(Pubkey, usize)>,
    /// What can be created.
    pub kinds: Vec<Kind>,
    /// Evidence accounts, used and fresh.
    pub evidence: Vec<Pubkey>,
    /// Windows with a recorded seed.
    pub windows: Vec<u64>,
    /// Accounts that look like ours and belong to another program, and other strangers.
    pub foreign: Vec<Pubkey>,
    /// A market's terms, Borsh.
    pub terms: Vec<u8>,
    /// A provider's profile, Borsh.
    pub profile: Vec<u8>,
}

/// The result of a shard: the right one, or with its cell 3 wrong.
pub fn work(kind: &Kind, job: Pubkey, terms: &JobTerms, index: u32, provider: &Pubkey, forged: bool) -> Option<Work> {
    let key = std::sync::Arc::new(solana_keypair::Keypair::new_from_array([1; 32]));
    let renter = Actor { key, tokens: Pubkey::default() };
    let task = Task { job, renter, spec: kind.spec.clone() };
    let range = terms.shard(index)?;
    let wrong: &[u64] = if forged { &[3] } else { &[] };
    if kind.spec.kernel != SCRIPTED {
        return Some(Work::new(&task, terms, index, provider, wrong));
    }
    let cells = usize::try_from(range.cells().ok()?).ok()?;
    let mut bytes = SCRIPTED_CELL.repeat(cells);
    if forged {
        bytes[12] ^= 1;
    }
    Some(Work::of_bytes(&task, terms, index, provider, bytes))
}

struct Builder {
    world: World,
    alice: Provider,
    bob: Provider,
    jobs: Vec<(Pubkey, usize)>,
    kinds: Vec<Kind>,
    evidence: Vec<Pubkey>,
}

impl Builder {
    fn kind(&mut self, kernel: Pubkey, spec: Spec) {
        self.kind_with(kernel, spec, |_| ());
    }

    /// A kind that differs from the usual request.
    fn kind_with(&mut self, kernel: Pubkey, spec: Spec, change: impl FnOnce(&mut JobRequest)) {
        let mut request: JobRequest = self.world.request(&self.world.renter.clone(), &spec);
        change(&mut request);
        let request = anchor_lang::prelude::borsh::to_vec(&request).unwrap();
        self.kinds.push(Kind { kernel, spec, request });
    }

    /// Cells that are judged in steps. Named, so that no window need pass.
    fn stepped(&mut self) {
        let (alice, renter) = (self.alice.clone(), self.world.renter.clone());
        // 20: in one step, right. 21: in one step, wrong. 22: by no step. 23: a product, in two steps.
        for (kind, forged) in [(7, false), (7, true), (8, false), (9, false)] {
            let task = self.job(kind);
            self.commit(&task, 0, &alice, forged);
            self.ok(ix::name_cells(renter.id(), &task.job, 0, vec![3, 4]), &renter);
        }
    }

    /// A job of a kind.
    fn job(&mut self, kind: usize) -> Task {
        let (spec, kernel) = (self.kinds[kind].spec.clone(), self.kinds[kind].kernel);
        let renter = self.world.renter.clone();
        let bytes = self.kinds[kind].request.clone();
        let mut request: JobRequest = anchor_lang::prelude::borsh::from_slice(&bytes).unwrap();
        request.nonce = self.world.request(&renter, &spec).nonce;
        let job = seeds::job(&renter.id(), request.nonce);
        let make = self.world.create_on_ix(&renter, &kernel, request);
        self.world.ok(&[make], &[&renter]);
        self.jobs.push((job, kind));
        Task { job, renter, spec }
    }

    fn work(&self, task: &Task, index: u32, provider: &Provider, forged: bool) -> Work {
        let kind = self.jobs.iter().find(|(job, _)| *job == task.job).unwrap().1;
        let terms = self.world.job(task).terms;
        work(&self.kinds[kind], task.job, &terms, index, &provider.account, forged).unwrap()
    }

    fn commit(&mut self, task: &Task, index: u32, provider: &Provider, forged: bool) -> Work {
        self.world.claim(task, index, provider);
        let work = self.work(task, index, provider, forged);
        self.world.commit(task, provider, &work);
        work
    }

    fn ok(&mut self, instruction: solana_instruction::Instruction, signer: &Actor) {
        self.world.ok(&[instruction], &[signer]);
    }

    /// Jobs whose shards are done, or wait for a window that aged out: what took time to reach.
    fn old(&mut self) {
        let (alice, bob) = (self.alice.clone(), self.bob.clone());
        let (watcher, stranger) = (self.world.watcher.clone(), self.world.stranger.clone());
        // 0: all settled.
        let task = self.job(0);
        self.world.prove(&task, 0, &alice);
        self.world.prove(&task, 1, &bob);
        // 1: a wrong cell, not seized; an unanswered cell, seized, its bounty not paid.
        let task = self.job(0);
        let work = self.commit(&task, 0, &alice, true);
        self.world.judge(&task, &work, 3, &watcher).unwrap();
        self.commit(&task, 1, &bob, false);
        self.world.draw(&task, 1);
        self.world.pass_window(&task);
        let slash = self.world.slash_ix(&task, 1, &stranger);
        self.ok(slash, &stranger);
        let seize = self.world.seize_ix(&task, 1, &bob);
        self.ok(seize, &stranger);
        // 2: one settled, its fees swept; one given back.
        let task = self.job(1);
        self.world.prove(&task, 0, &alice);
        let (job, market) = (self.world.job(&task), self.world.market_data());
        self.ok(ix::sweep_fees(&task.job, &job, &market), &stranger);
        let task = self.job(0);
        self.world.claim(&task, 0, &alice);
        let release = self.world.release_ix(&task, 0, &alice);
        self.ok(release, &alice.operator);
        // 3: a window that aged out.
        self.commit(&task, 1, &bob, false);
        self.world.age_out(&task, 1);
    }

    /// Jobs in the middle of it.
    fn fresh(&mut self) {
        let (alice, bob) = (self.alice.clone(), self.bob.clone());
        let renter = self.world.renter.clone();
        // 4: sampled, right and wrong; cells named; one answered.
        let sampled = self.job(0);
        let right = self.commit(&sampled, 0, &alice, false);
        self.commit(&sampled, 1, &bob, true);
        // 5: a product with its evidence uploaded.
        let product = self.job(1);
        let product_work = self.commit(&product, 0, &bob, false);
        // 6, 7: on verifiers that do what they are told.
        let scripted = self.job(2);
        self.commit(&scripted, 0, &alice, false);
        let lying = self.job(3);
        self.commit(&lying, 0, &alice, false);
        for (task, index) in [(&sampled, 0), (&sampled, 1), (&product, 0), (&scripted, 0), (&lying, 0)] {
            self.world.draw(task, index);
        }
        self.ok(ix::name_cells(renter.id(), &sampled.job, 0, vec![5, 200]), &renter);
        self.world.judge(&sampled, &right, 5, &alice.operator).unwrap();
        let number = self.world.shard(&product, 0).cells[0];
        let answer = self.world.answer(&product, &product_work, number);
        if let Some(evidence) = self.world.upload(&bob.operator, "answer", &answer) {
            self.evidence.push(evidence);
        }
        // 8: committed, right and wrong.
        let task = self.job(0);
        self.commit(&task, 0, &alice, false);
        self.commit(&task, 1, &bob, true);
        // 9: cancelled with a claim.
        let task = self.job(0);
        self.world.claim(&task, 0, &bob);
        self.world.cancel(&task);
        // 10: claimed. 11, 12: open.
        let task = self.job(0);
        self.world.claim(&task, 0, &alice);
        self.world.claim(&task, 1, &bob);
        self.job(0);
        self.job(2);
        // 13: one proven, only its window is open; one whose seed is recorded, not drawn.
        let task = self.job(0);
        let work = self.commit(&task, 0, &alice, false);
        self.commit(&task, 1, &bob, false);
        self.world.draw(&task, 0);
        self.world.answer_all(&task, &work, &alice);
        self.disputed();
    }

    /// Challenges in each state, and delivery of each kind.
    fn disputed(&mut self) {
        let (alice, bob) = (self.alice.clone(), self.bob.clone());
        let (watcher, stranger) = (self.world.watcher.clone(), self.world.stranger.clone());
        // 14: two challenges open, one answered; one won against a wrong cell.
        let task = self.job(0);
        let right = self.commit(&task, 0, &alice, false);
        let wrong = self.commit(&task, 1, &bob, true);
        for number in [3, 7, 11] {
            self.world.challenge(&task, 0, number, &watcher);
        }
        self.world.judge(&task, &right, 7, &alice.operator).unwrap();
        self.world.challenge(&task, 1, 3, &stranger);
        self.world.judge(&task, &wrong, 3, &stranger).unwrap();
        // 15: leaves on the ledger, one of two posted; all of them posted.
        let task = self.job(4);
        for (index, provider, posted) in [(0, &alice, 1), (1, &bob, 2)] {
            let work = self.commit(&task, index, provider, false);
            let first = 2 * u64::from(index);
            self.world.demand(&task, index, &[first, first + 1]);
            for place in 0..posted {
                let leaf = first + u64::from(place);
                let post = self.world.post_ix(&task, &work, place, leaf, &provider.operator);
                self.ok(post, &provider.operator);
            }
        }
        // 16: to be attested, one said to be missing. 17: accepted, with a challenge open.
        let task = self.job(5);
        self.commit(&task, 0, &alice, false);
        self.commit(&task, 1, &bob, false);
        self.ok(ix::attest_delivery(watcher.id(), &task.job, 1, false), &watcher);
        let task = self.job(0);
        self.commit(&task, 0, &bob, false);
        self.world.challenge(&task, 0, 9, &watcher);
        self.world.accept(&task, 0);
        // 18: for the renter's challenges only.
        let task = self.job(6);
        self.commit(&task, 0, &alice, false);
        // 19: for the ledger, nothing demanded yet.
        let task = self.job(4);
        self.commit(&task, 0, &bob, false);
    }
}

/// Builds it: about two seconds.
pub fn build() -> Stage {
    let mut world = World::new();
    let (alice, bob) = (world.alice.clone(), world.bob.clone());
    for provider in [&alice, &bob] {
        world.deposit(provider, 400_000_000);
    }
    let honest = Script::new(SCRIPTED, &two_stages(), &SCRIPTED_CELL);
    // Answers of a wrong length.
    let liar = Script::new(SCRIPTED, &two_stages(), &SCRIPTED_CELL[..3]);
    // A verifier that nobody registered yet.
    let fresh = Script::new(SCRIPTED, &two_stages(), &[9; 4]);
    world.chain.deploy(fresh.address(), &fresh.elf(), None);
    // Verifiers that answer in steps: with the cell at once, and never.
    let done = [&[STEP_DONE], &SCRIPTED_CELL[..]].concat();
    let stepping = Script::new(SCRIPTED, &two_stages(), &done);
    let endless = Script::new(SCRIPTED, &two_stages(), &[&[STEP_MORE], &[5; STEP_STATE_BYTES][..]].concat());
    let [honest_kernel, liar_kernel, stepping_kernel, endless_kernel] =
        [&honest, &liar, &stepping, &endless].map(|script| world.register_script(script, SCRIPTED));
    let (other_mint, _) = world.other_mint(&world.renter.clone());
    let other_market = world.open_another(1, other_mint);
    let second = world.second_account(&world.renter.clone());
    // Mints of Token-2022, one with each extension and one with several that are allowed.
    let creator = world.creator.clone();
    let mut sets: Vec<Vec<tokens::Extension>> =
        tokens::extensions(&creator.id()).into_iter().map(|e| vec![e]).collect();
    let pointers = tokens::extensions(&creator.id());
    sets.push(pointers.into_iter().filter(|e| e.name.ends_with("Pointer")).collect());
    sets.push(Vec::new());
    let mut mints_2022 = Vec::new();
    for with in sets {
        let mint = Actor { key: world.chain.keypair(), tokens: Pubkey::default() };
        let make = tokens::mint_2022(&world.chain, &creator.id(), &mint.id(), &with, 0);
        if world.chain.send(&make, &[&creator, &mint]).is_ok() {
            mints_2022.push(mint.id());
        }
    }

    let mut b = Builder { world, alice, bob, jobs: Vec::new(), kinds: Vec::new(), evidence: Vec::new() };
    b.kind(seeds::kernel(&VERIFIER, 1), Spec::image());
    b.kind(seeds::kernel(&VERIFIER, 2), Spec::small_product());
    let scripted = Spec { kernel: SCRIPTED, params: Vec::new(), inputs: Vec::new(), shard_leaves: 12 };
    b.kind(honest_kernel, scripted.clone());
    b.kind(liar_kernel, scripted.clone());
    let image = seeds::kernel(&VERIFIER, 1);
    let attestor = b.world.watcher.id();
    b.kind_with(image, Spec::image(), |request| request.delivery = 1);
    b.kind_with(image, Spec::image(), |request| {
        (request.delivery, request.silence, request.attestor) = (2, 1, attestor);
    });
    b.kind_with(image, Spec::image(), |request| request.flags = 1);
    b.kind(stepping_kernel, scripted.clone());
    b.kind(endless_kernel, scripted);
    b.kind(seeds::kernel(&VERIFIER, 2), Spec::product(3, 2, STEPPED_K));
    b.old();
    b.fresh();
    b.stepped();

    let Builder { mut world, alice, bob, jobs, kinds, mut evidence } = b;
    let actors = [
        &world.renter,
        &alice.operator,
        &bob.operator,
        &alice.owner,
        &bob.owner,
        &world.watcher,
        &world.stranger,
        &world.creator,
    ]
    .map(Actor::id)
    .to_vec();
    // Accounts of this program that nobody took yet, as `create_account_with_seed` leaves them.
    for (actor, bytes) in actors.iter().zip([2_000, 0, 7, EVIDENCE_HEADER_BYTES, 200_000]) {
        let address = ix::evidence_address(actor, "fuzz").unwrap();
        world.chain.svm.set_account(address, blank(vec![0; bytes], assay_settlement::ID)).unwrap();
        evidence.push(address);
    }
    let mut foreign = vec![second];
    let copied = [jobs[11].0, world.market, alice.account, seeds::shard(&jobs[10].0, 0), evidence[0], jobs[8].0];
    for (i, from) in copied.into_iter().enumerate() {
        let mut account = world.chain.svm.get_account(&from).unwrap();
        account.owner = VERIFIER;
        let address = Pubkey::new_from_array([100 + u8::try_from(i).unwrap(); 32]);
        world.chain.svm.set_account(address, account).unwrap();
        foreign.push(address);
    }
    // Addresses with lamports on them before anything is made there.
    let renter = world.renter.id();
    let nonce = jobs.len() as u64;
    let next = seeds::job(&renter, nonce);
    for early in [next, seeds::vault(&next), seeds::shard(&jobs[11].0, 0)] {
        world.chain.svm.set_account(early, Account { lamports: 1_000_000, ..Account::default() }).unwrap();
    }
    let mut windows: Vec<u64> =
        books::all::<assay_settlement::DrawSeed>(&world.chain).iter().map(|(_, seed)| seed.window).collect();
    windows.sort_unstable();
    let to_vec = |profile| anchor_lang::prelude::borsh::to_vec(&profile).unwrap();
    Stage {
        accounts: snapshot(&world),
        now: world.chain.now(),
        programs: vec![
            (assay_settlement::ID, artifacts::program("assay_settlement.so")),
            (VERIFIER, artifacts::program("assay_verifier.so")),
            (honest.address(), honest.elf()),
            (liar.address(), liar.elf()),
            (fresh.address(), fresh.elf()),
            (stepping.address(), stepping.elf()),
            (endless.address(), endless.elf()),
        ],
        actors,
        mints: world.mints.clone(),
        mints_2022,
        markets: vec![world.market, other_market],
        providers: vec![alice.account, bob.account],
        jobs,
        kinds,
        evidence,
        windows,
        foreign,
        terms: anchor_lang::prelude::borsh::to_vec(&world::experimental_terms()).unwrap(),
        profile: to_vec(World::profile(&alice.operator.id())),
    }
}

fn blank(data: Vec<u8>, owner: Pubkey) -> Account {
    Account { lamports: 10_000_000_000, data, owner, executable: false, rent_epoch: 0 }
}

/// Accounts of our program, of SPL Token and of nobody. Programs and sysvars are made anew.
fn snapshot(world: &World) -> Vec<(Pubkey, Account)> {
    let system = solana_system_interface::program::ID;
    let owners = [assay_settlement::ID, assay_client::token::SPL_TOKEN, tokens::TOKEN_2022, system, VERIFIER];
    let all: HashMap<Pubkey, Account> = owners
        .iter()
        .flat_map(|owner| world.chain.svm.get_program_accounts(owner))
        .filter(|(_, account)| !account.executable)
        .collect();
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|(address, _)| *address);
    all
}

/// The terms of a job, from its account.
pub fn terms_of(data: &[u8]) -> Option<JobTerms> {
    assay_client::accounts::decode_data::<Job>(data).map(|job| job.terms)
}
