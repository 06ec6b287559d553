//! The world that cases play in. Its keys and its first draw window are chosen so that every address that a program
//! derives is found at the first try, and figures don't depend on luck.

use assay_client::ix::PROGRAM;
use assay_kernels::escape_time;
use assay_settlement::{
    Terms,
    constants::{ASSOCIATED_TOKEN_PROGRAM, WINDOW_SLOTS},
    instructions::JobRequest,
    rules::window,
    seeds,
};
use assay_tests::{
    Actor, Provider, Spec, Task, Work, World, experimental_terms,
    tokens::Money,
    world::{LAMPORTS, STAKE, TOKENS},
};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// Tries that a derivation takes: bumps count down from 255.
pub mod tries {
    use super::*;

    fn of(seeds: &[&[u8]], program: &Pubkey) -> u32 {
        256 - u32::from(Pubkey::find_program_address(seeds, program).1)
    }
    /// Of a Market.
    pub fn market(creator: &Pubkey, id: u16) -> u32 {
        of(&[seeds::MARKET, creator.as_ref(), &id.to_le_bytes()], &PROGRAM)
    }
    /// Of a treasury.
    pub fn treasury(market: &Pubkey) -> u32 {
        of(&[seeds::TREASURY, market.as_ref()], &PROGRAM)
    }
    /// Of a Kernel.
    pub fn kernel(verifier: &Pubkey, id: u16) -> u32 {
        of(&[seeds::KERNEL, verifier.as_ref(), &id.to_le_bytes()], &PROGRAM)
    }
    /// Of a Provider.
    pub fn provider(market: &Pubkey, owner: &Pubkey) -> u32 {
        of(&[seeds::PROVIDER, market.as_ref(), owner.as_ref()], &PROGRAM)
    }
    /// Of a stake vault.
    pub fn stake(provider: &Pubkey) -> u32 {
        of(&[seeds::STAKE, provider.as_ref()], &PROGRAM)
    }
    /// Of a Renter.
    pub fn renter(owner: &Pubkey) -> u32 {
        of(&[seeds::RENTER, owner.as_ref()], &PROGRAM)
    }
    /// Of a Job.
    pub fn job(owner: &Pubkey, nonce: u64) -> u32 {
        of(&[seeds::JOB, owner.as_ref(), &nonce.to_le_bytes()], &PROGRAM)
    }
    /// Of a job's vault.
    pub fn vault(job: &Pubkey) -> u32 {
        of(&[seeds::VAULT, job.as_ref()], &PROGRAM)
    }
    /// Of a Shard.
    pub fn shard(job: &Pubkey, index: u32) -> u32 {
        of(&[seeds::SHARD, job.as_ref(), &index.to_le_bytes()], &PROGRAM)
    }
    /// Of a DrawSeed.
    pub fn draw_seed(window: u64) -> u32 {
        of(&[seeds::SEED, &window.to_le_bytes()], &PROGRAM)
    }
    /// Of a Challenge.
    pub fn challenge(shard: &Pubkey, number: u64) -> u32 {
        of(&[seeds::CHALLENGE, shard.as_ref(), &number.to_le_bytes()], &PROGRAM)
    }
    /// Of the vault of a challenge's bond.
    pub fn bond(challenge: &Pubkey) -> u32 {
        of(&[seeds::BOND, challenge.as_ref()], &PROGRAM)
    }
    /// Of a Delivery.
    pub fn delivery(shard: &Pubkey) -> u32 {
        of(&[seeds::DELIVERY, shard.as_ref()], &PROGRAM)
    }
    /// Of an associated token account.
    pub fn associated(owner: &Pubkey, token_program: &Pubkey, mint: &Pubkey) -> u32 {
        of(&[owner.as_ref(), token_program.as_ref(), mint.as_ref()], &ASSOCIATED_TOKEN_PROGRAM)
    }
}

/// An image of so many pixels, from -2 - i on, as wide as 3; leaves of 64 pixels and 256 bytes.
pub fn image(width: u32, height: u32, shard_leaves: u64) -> Spec {
    let one = 1i64 << escape_time::FRACTION_BITS;
    let step = 3 * one / i64::from(width);
    let params = escape_time::Params { width, height, max_iter: 200, x0: -2 * one, y0: -one, step };
    Spec { params: params.to_bytes().to_vec(), shard_leaves, ..Spec::image() }
}

/// A world with a challenge window of ten minutes that settles in SPL Token.
pub fn world() -> World {
    world_with(experimental_terms(), Money::Token)
}

/// A world whose market has these terms and settles in this money.
pub fn world_with(terms: Terms, money: Money) -> World {
    let mut w = World::with_money(terms, money);
    w.renter = pick(&mut w, |id| {
        let jobs = [seeds::job(id, 0), seeds::job(id, 1)];
        tries::renter(id) == 1
            && (0..2).all(|nonce| tries::job(id, nonce) == 1)
            && jobs.iter().all(|job| tries::vault(job) == 1)
            && tries::shard(&jobs[0], 0) == 1
            && tries::delivery(&seeds::shard(&jobs[0], 0)) == 1
    });
    w.watcher = pick(&mut w, |_| true);
    w.stranger = pick(&mut w, |_| true);
    w.alice = provider(&mut w);
    w.register(&w.alice.clone());
    w.deposit(&w.alice.clone(), STAKE);
    while tries::draw_seed(window::window_of(w.chain.now().slot).unwrap()) != 1 {
        w.chain.advance_slots(WINDOW_SLOTS);
    }
    w
}

/// A provider with lamports and tokens that is not registered yet.
pub fn provider(w: &mut World) -> Provider {
    let market = w.market;
    let fits = |id: &Pubkey| tries::provider(&market, id) == 1 && tries::stake(&seeds::provider(&market, id)) == 1;
    let (owner, operator) = (pick(w, fits), pick(w, |_| true));
    Provider { account: seeds::provider(&market, &owner.id()), owner, operator }
}

/// Somebody new with lamports and tokens, whose key is as wanted.
pub fn pick(w: &mut World, fits: impl Fn(&Pubkey) -> bool) -> Actor {
    loop {
        let mut actor = Actor { key: w.chain.keypair(), tokens: Pubkey::default() };
        if associated_tries(w, &actor.id()) == 1 && fits(&actor.id()) {
            actor.tokens = w.associated(&actor.id());
            w.chain.fund(&actor.id(), LAMPORTS);
            w.give(&actor.id(), TOKENS);
            return actor;
        }
    }
}

/// Tries that the address of somebody's token account takes.
pub fn associated_tries(w: &World, owner: &Pubkey) -> u32 {
    tries::associated(owner, &w.token_program, &w.mint)
}

/// Lets this land.
pub fn done(w: &mut World, instruction: Instruction, signers: &[&Actor]) {
    w.ok(&[instruction], signers);
}

/// A job of two shards without inputs, the first of which alice has claimed.
pub fn claimed(w: &mut World) -> Task {
    let task = w.create(Spec::image());
    let alice = w.alice.clone();
    w.claim(&task, 0, &alice);
    task
}

/// The same, the right result committed.
pub fn committed(w: &mut World) -> (Task, Work) {
    committed_with(w, |_| ())
}

/// The same of a job with changes to the usual request.
pub fn committed_with(w: &mut World, change: impl FnOnce(&mut JobRequest)) -> (Task, Work) {
    let task = w.create_with(Spec::image(), change);
    let alice = w.alice.clone();
    let work = w.claim_and_commit(&task, 0, &alice);
    (task, work)
}

/// A cell of a shard whose challenge, and the vault of its bond, are found at the first try.
pub fn challengeable(task: &Task) -> u64 {
    let shard = seeds::shard(&task.job, 0);
    let lucky = |n: &u64| tries::challenge(&shard, *n) == 1 && tries::bond(&seeds::challenge(&shard, *n)) == 1;
    (0..128).find(lucky).unwrap()
}

/// The same, the cells drawn.
pub fn drawn(w: &mut World) -> (Task, Work) {
    let (task, work) = committed(w);
    w.draw(&task, 0);
    (task, work)
}

/// The same, everything answered and the challenge window over.
pub fn proven(w: &mut World) -> Task {
    let (task, work) = drawn(w);
    let alice = w.alice.clone();
    w.answer_all(&task, &work, &alice);
    w.pass_window(&task);
    task
}

/// The same, paid.
pub fn settled(w: &mut World) -> Task {
    let task = proven(w);
    let alice = w.alice.clone();
    w.settle(&task, 0, &alice);
    task
}

/// The drawn cells of a shard unanswered for too long; the watcher had it slashed.
pub fn slashed(w: &mut World) -> Task {
    let (task, _) = drawn(w);
    w.chain.pass(w.job(&task).terms.response_seconds);
    let watcher = w.watcher.clone();
    let slash = w.slash_ix(&task, 0, &watcher);
    done(w, slash, &[&watcher]);
    task
}
