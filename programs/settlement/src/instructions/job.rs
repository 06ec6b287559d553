//! Creating and cancelling a job.

use super::provider::url_bytes;
use crate::{
    chain::{account, sysvar, token, vault::check_market_mint, verifier},
    constants::*,
    error::AssayError,
    events::*,
    rules::{
        ensure, load, same,
        terms::{self, Limits, Wish, check_delivery, check_geometry, samples_for, size_job},
    },
    seeds,
    state::{CostClass, InputTree, Job, Kernel, Market, PAUSED, Renter},
};
use anchor_lang::{Discriminator, prelude::*};

/// What a renter asks for. Everything else follows from the market, the kernel and the verifier.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug, Default)]
pub struct JobRequest {
    /// Number of the job: the Renter account's `next_nonce`, 0 when there is none yet.
    pub nonce: u64,
    /// Price of a shard at first, base units.
    pub price_start: u64,
    /// Price of a shard at last, base units; escrowed for each shard.
    pub price_max: u64,
    /// Seconds from the first price to the last.
    pub ramp_seconds: u32,
    /// Seconds a provider has from its claim to its commitment.
    pub execute_seconds: u32,
    /// Seconds until open shards are refunded.
    pub life_seconds: u32,
    /// Leaves of a shard; a multiple of what the kernel's geometry asks for.
    pub shard_leaves: u64,
    /// The one Provider account that may claim; zero for anyone.
    pub reserved_for: Pubkey,
    /// Hot keys that may name cells; zero for none.
    pub watch_keys: [Pubkey; MAX_WATCH_KEYS],
    /// Where the inputs are found: `{locator}/{root in hex}`; at most 128 bytes.
    pub locator: String,
    /// The inputs, as many as the kernel reads.
    pub inputs: Vec<InputTree>,
    /// Parameters of the kernel, at most 512 bytes.
    pub params: Vec<u8>,
    /// DeliveryMode: how delivery decides who gets the price.
    pub delivery: u8,
    /// Silence: what it means under attested delivery that the attestor says nothing.
    pub silence: u8,
    /// The attestor, under attested delivery; else zero.
    pub attestor: Pubkey,
    /// RENTER_CHALLENGES, PUBLIC_RESULTS.
    pub flags: u8,
}

/// Accounts of `create_job`.
#[derive(Accounts)]
pub struct CreateJob<'info> {
    /// Whose job it is; pays the escrow.
    pub owner: Signer<'info>,
    /// Pays rent and gets it back.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// CHECK: the owner's Renter account at its canonical address; made here for the first job.
    #[account(mut)]
    pub renter: UncheckedAccount<'info>,
    /// Counts its jobs.
    #[account(mut)]
    pub market: AccountLoader<'info, Market>,
    pub kernel: AccountLoader<'info, Kernel>,
    /// CHECK: compared with the kernel's verifier.
    pub verifier: UncheckedAccount<'info>,
    /// CHECK: made here at its canonical address, by hand: Anchor's `init` would decode the request a second time for it.
    #[account(mut)]
    pub job: UncheckedAccount<'info>,
    /// CHECK: made here at its canonical address.
    #[account(mut)]
    pub vault: UncheckedAccount<'info>,
    /// CHECK: the token program checks it.
    #[account(mut)]
    pub source: UncheckedAccount<'info>,
    /// CHECK: compared with the market's mint.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with the market's token program.
    pub token_program: UncheckedAccount<'info>,
    pub system_program: Program<'info, System>,
}

impl CreateJob<'_> {
    /// Takes the renter's next number; makes the Renter account for the first job.
    fn take_nonce(&self, nonce: u64) -> Result<()> {
        let owner = self.owner.key();
        if account::is_vacant(&self.renter) {
            let bump = account::canonical(&self.renter, &[seeds::RENTER, owner.as_ref()])?;
            account::create_typed::<Renter>(&self.payer, &self.renter, &[seeds::RENTER, owner.as_ref(), &[bump]])?;
            let mut renter = account::load_mut::<Renter>(&self.renter)?;
            renter.version = ACCOUNT_VERSION;
            renter.bump = bump;
            renter.owner = owner;
            renter.rent_payer = self.payer.key();
        }
        let mut renter = account::load_mut::<Renter>(&self.renter)?;
        same(&renter.owner, &owner, AssayError::NotAuthorized)?;
        ensure(renter.next_nonce == nonce, AssayError::WrongNonce)?;
        renter.next_nonce = nonce.checked_add(1).ok_or(AssayError::Overflow)?;
        Ok(())
    }
}

/// Emits the event of a new job; in a frame of its own, which on chain holds 4,096 bytes.
#[inline(never)]
fn announce(key: Pubkey, job: &Job, escrow: u64, request: JobRequest) {
    let event = JobCreated::new(key, job, escrow, request);
    // As `emit!` does, but with room for all of it from the start: a vector that grows is copied.
    let mut data = Vec::with_capacity(1_536);
    data.extend_from_slice(JobCreated::DISCRIMINATOR);
    if event.serialize(&mut data).is_ok() {
        anchor_lang::solana_program::log::sol_log_data(&[&data]);
    }
}

/// Creates a job: the verifier checks the parameters and states the geometry, the escrow is paid. `market_terms`: SHA-256 of
/// the market's terms as the renter read them (`Terms::hash`): a market that was closed and opened again with others is
/// refused.
pub fn create_job(ctx: Context<CreateJob>, request: JobRequest, market_terms: [u8; 32]) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::moment()?;
    a.take_nonce(request.nonce)?;
    let (job_key, owner) = (a.job.key(), a.owner.key());
    let nonce = request.nonce.to_le_bytes();
    let bump = account::canonical(&a.job, &[seeds::JOB, owner.as_ref(), &nonce])?;
    account::create_typed::<Job>(&a.payer, &a.job, &[seeds::JOB, owner.as_ref(), &nonce, &[bump]])?;
    let escrow = {
        let (mut market, kernel) = (a.market.load_mut()?, a.kernel.load()?);
        ensure(market.flags & PAUSED == 0, AssayError::MarketPaused)?;
        check_market_mint(&market, &a.mint, &a.token_program)?;
        ensure(market.terms.hash() == market_terms, AssayError::MarketTermsChanged)?;
        market.jobs = market.jobs.checked_add(1).ok_or(AssayError::Overflow)?;
        same(&kernel.verifier, &a.verifier.key(), AssayError::WrongVerifier)?;
        ensure(request.params.len() <= MAX_PARAMS, AssayError::JobOutOfRange)?;

        let geometry = verifier::check(&a.verifier, kernel.id, &request.params)?;
        let classes = usize::from(geometry.classes);
        ensure(geometry.classes <= kernel.classes_max, AssayError::VerifierAnswer)?;
        ensure(geometry.inputs == kernel.inputs, AssayError::VerifierAnswer)?;

        let mut job = account::load_mut::<Job>(&a.job)?;
        let job = &mut *job;
        let stated = geometry.class.get(..classes).ok_or(AssayError::VerifierAnswer)?;
        for (class, stated) in job.terms.class.iter_mut().zip(stated) {
            *class = bytemuck::cast::<_, CostClass>(*stated);
        }
        let t = &mut job.terms;
        t.classes = u8::try_from(classes).map_err(|_| AssayError::VerifierAnswer)?;
        let limits =
            Limits { cell_bytes: kernel.cell_bytes_max, leaf_bytes: kernel.leaf_bytes_max, stages: kernel.stages };
        let leaves = check_geometry(t.classes(), &limits)?;
        let wish = Wish {
            price_start: request.price_start,
            price_max: request.price_max,
            ramp_seconds: request.ramp_seconds,
            execute_seconds: request.execute_seconds,
            life_seconds: request.life_seconds,
            shard_leaves: request.shard_leaves,
        };
        let size = size_job(leaves, geometry.shard_align, &wish)?;

        ensure(request.inputs.len() == usize::from(geometry.inputs), AssayError::InputLength)?;
        for ((slot, input), bytes) in t.input.iter_mut().zip(&request.inputs).zip(&geometry.input_bytes) {
            ensure(input.bytes == *bytes && *bytes > 0 && bytes.is_multiple_of(1_024), AssayError::InputLength)?;
            *slot = *input;
        }
        t.params.get_mut(..request.params.len()).ok_or(AssayError::JobOutOfRange)?.copy_from_slice(&request.params);
        t.params_len = u16::try_from(request.params.len()).map_err(|_| AssayError::JobOutOfRange)?;
        t.inputs = geometry.inputs;
        t.locator = url_bytes(&request.locator)?;
        t.market = a.market.key();
        t.kernel = a.kernel.key();
        t.verifier = a.verifier.key();
        t.mint = a.mint.key();
        t.token_program = a.token_program.key();
        t.reserved_for = request.reserved_for;
        t.price_start = wish.price_start;
        t.price_max = wish.price_max;
        t.created_at = now.time;
        t.created_slot = now.slot;
        t.expires_at = now.time.checked_add(i64::from(wish.life_seconds)).ok_or(AssayError::Overflow)?;
        t.leaves = size.leaves;
        t.shard_leaves = wish.shard_leaves;
        t.shards = size.shards;
        t.ramp_seconds = wish.ramp_seconds;
        t.execute_seconds = wish.execute_seconds;
        let m = &market.terms;
        (t.answer_transactions, t.bond) =
            terms::answer(m, &kernel, geometry.answer_transactions, geometry.evidence_kib)?;
        t.post_per_kib = m.post_per_kib;
        t.delivery = request.delivery;
        t.silence = request.silence;
        t.attestor = request.attestor;
        t.flags = request.flags;
        t.challenge_seconds = m.challenge_seconds;
        t.response_seconds = m.response_seconds;
        check_delivery(t)?;
        t.collateral_bps = m.collateral_bps;
        t.fee_bps = m.fee_bps;
        t.bounty_bps = m.bounty_bps;
        t.release_min_bps = m.release_min_bps;
        t.release_max_bps = m.release_max_bps;
        t.expiry_bps = m.expiry_bps;
        t.samples = samples_for(m.samples, t.classes())?;
        t.named = m.named;
        ensure(usize::from(t.samples).saturating_add(usize::from(t.named)) <= MAX_CELLS, AssayError::JobOutOfRange)?;
        load::check(t)?;
        t.amplification_bps = kernel.amplification_bps;
        t.kernel_id = kernel.id;

        job.version = ACCOUNT_VERSION;
        job.bump = bump;
        job.vault_bump = account::canonical(&a.vault, &[seeds::VAULT, job_key.as_ref()])?;
        job.nonce = request.nonce;
        job.renter = a.owner.key();
        job.vault = a.vault.key();
        job.rent_payer = a.payer.key();
        job.watch_keys = request.watch_keys;
        job.terms_hash = job.terms.hash();
        token::create_vault(
            &a.payer,
            &a.vault,
            &a.mint,
            &job_key,
            &a.token_program,
            &[seeds::VAULT, job_key.as_ref(), &[job.vault_bump]],
        )?;
        announce(job_key, job, size.escrow, request);
        size.escrow
    };
    token::Transfer {
        token_program: &a.token_program,
        mint: &a.mint,
        from: &a.source,
        to: &a.vault,
        authority: &a.owner,
        amount: escrow,
    }
    .invoke(&[])
}

/// Accounts of `cancel_job`.
#[derive(Accounts)]
pub struct CancelJob<'info> {
    /// The renter.
    pub owner: Signer<'info>,
    #[account(mut)]
    pub job: AccountLoader<'info, Job>,
}

/// No more claims; what is claimed goes on and is paid. Open shards are refunded by `withdraw_refund` and `close_job`.
pub fn cancel_job(ctx: Context<CancelJob>) -> Result<()> {
    let mut job = ctx.accounts.job.load_mut()?;
    same(&job.renter, &ctx.accounts.owner.key(), AssayError::NotAuthorized)?;
    ensure(job.cancelled == 0, AssayError::JobClosed)?;
    job.cancelled = 1;
    emit!(JobCancelled { job: ctx.accounts.job.key() });
    Ok(())
}

/// Accounts of `set_watch_keys`.
#[derive(Accounts)]
pub struct SetWatchKeys<'info> {
    /// The renter.
    pub owner: Signer<'info>,
    #[account(mut)]
    pub job: AccountLoader<'info, Job>,
}

/// Replaces the keys that may name cells of a job. A removed key is powerless at once.
pub fn set_watch_keys(ctx: Context<SetWatchKeys>, keys: [Pubkey; MAX_WATCH_KEYS]) -> Result<()> {
    let mut job = ctx.accounts.job.load_mut()?;
    same(&job.renter, &ctx.accounts.owner.key(), AssayError::NotAuthorized)?;
    job.watch_keys = keys;
    emit!(WatchKeysSet { job: ctx.accounts.job.key(), keys });
    Ok(())
}
