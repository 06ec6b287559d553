//! Delivery and acceptance: what the renter, its attestor and the provider say about whether a result arrived.

use super::evidence::owned;
use crate::{
    chain::{account, sysvar, token, vault::JobVault},
    constants::*,
    error::AssayError,
    events::*,
    rules::{
        self, ensure,
        opening::{Bytes, Commitment},
        same,
    },
    seeds,
    state::{Delivery, Job, Shard, ShardState},
};
use anchor_lang::prelude::*;

/// Accounts of `accept_shard`.
#[derive(Accounts)]
pub struct AcceptShard<'info> {
    /// The renter.
    pub owner: Signer<'info>,
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
}

/// The renter pays at once, whatever is still open. Challenges that wait for an answer get their bonds back with the settlement.
pub fn accept_shard(ctx: Context<AcceptShard>) -> Result<()> {
    let a = ctx.accounts;
    let (job, mut shard) = (a.job.load()?, a.shard.load_mut()?);
    same(&shard.job, &a.job.key(), AssayError::WrongJob)?;
    same(&job.renter, &a.owner.key(), AssayError::NotAuthorized)?;
    rules::shard::accept(&mut shard)?;
    emit!(ShardAccepted { job: shard.job, shard: a.shard.key(), provider: shard.provider });
    Ok(())
}

/// Accounts of `demand_leaves`.
#[derive(Accounts)]
pub struct DemandLeaves<'info> {
    /// The renter; prepays the posting.
    pub owner: Signer<'info>,
    /// Pays rent and gets it back.
    #[account(mut)]
    pub payer: Signer<'info>,
    #[account(mut)]
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
    /// CHECK: made here at its canonical address.
    #[account(mut)]
    pub delivery: UncheckedAccount<'info>,
    /// CHECK: compared with the job's vault.
    #[account(mut)]
    pub job_vault: UncheckedAccount<'info>,
    /// CHECK: the token program checks it.
    #[account(mut)]
    pub source: UncheckedAccount<'info>,
    /// CHECK: compared with the job's mint.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with the job's token program.
    pub token_program: UncheckedAccount<'info>,
    pub system_program: Program<'info, System>,
}

impl DemandLeaves<'_> {
    /// Makes the delivery's account.
    fn make(&self) -> Result<()> {
        let shard = self.shard.key();
        let bump = account::canonical(&self.delivery, &[seeds::DELIVERY, shard.as_ref()])?;
        ensure(account::is_vacant(&self.delivery), AssayError::AlreadyDemanded)?;
        account::create_typed::<Delivery>(&self.payer, &self.delivery, &[seeds::DELIVERY, shard.as_ref(), &[bump]])?;
        let mut delivery = account::load_mut::<Delivery>(&self.delivery)?;
        delivery.version = ACCOUNT_VERSION;
        delivery.bump = bump;
        delivery.job = self.job.key();
        delivery.shard = shard;
        delivery.rent_payer = self.payer.key();
        Ok(())
    }
}

/// The renter of a job with ledger delivery demands leaves, once, and prepays their posting.
pub fn demand_leaves(ctx: Context<DemandLeaves>, leaves: Vec<u64>) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::now()?;
    a.make()?;
    let prepaid = {
        let (mut job, mut shard) = (a.job.load_mut()?, a.shard.load_mut()?);
        same(&shard.job, &a.job.key(), AssayError::WrongJob)?;
        JobVault { job: &a.job, vault: &a.job_vault, mint: &a.mint, token_program: &a.token_program }.check(&job)?;
        let mut delivery = account::load_mut::<Delivery>(&a.delivery)?;
        let by = a.owner.key();
        let prepaid = rules::delivery::demand(&mut job, &mut shard, &mut delivery, &by, &leaves, &now)?;
        let due = rules::delivery::posting_due(&shard, &job.terms).time();
        emit!(LeavesDemanded { job: shard.job, shard: a.shard.key(), leaves, prepaid, due });
        prepaid
    };
    token::Transfer {
        token_program: &a.token_program,
        mint: &a.mint,
        from: &a.source,
        to: &a.job_vault,
        authority: &a.owner,
        amount: prepaid,
    }
    .invoke(&[])
}

/// Accounts of `post_leaf`.
#[derive(Accounts)]
pub struct PostLeaf<'info> {
    /// Anyone with the data. Owner of the evidence, if there is any.
    pub submitter: Signer<'info>,
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
    #[account(mut)]
    pub delivery: AccountLoader<'info, Delivery>,
    /// CHECK: an Evidence account of the submitter, or this program's id for none.
    pub evidence: Option<UncheckedAccount<'info>>,
}

/// Posts the demanded leaf at `index`: its bytes and path, inline or (top bit of the offsets) in an evidence account,
/// whose contents the ledger holds too. They must lead to the committed root.
pub fn post_leaf(ctx: Context<PostLeaf>, index: u8, at: u32, path_at: u32, inline: Vec<u8>) -> Result<()> {
    let a = ctx.accounts;
    let (job, mut shard, mut delivery) = (a.job.load()?, a.shard.load_mut()?, a.delivery.load_mut()?);
    same(&shard.job, &a.job.key(), AssayError::WrongJob)?;
    same(&delivery.shard, &a.shard.key(), AssayError::WrongDelivery)?;
    let evidence: Option<&AccountInfo> = a.evidence.as_ref().map(|e| e.as_ref());
    let borrowed = owned(evidence, a.submitter.key)?;
    let leaf = rules::delivery::demanded_leaf(&delivery, index)?;
    let commitment = Commitment::of(&job.terms, &shard, &a.shard.key())?;
    let bytes = Bytes { inline: &inline, evidence: borrowed.as_ref().map_or(&[], |d| d) };
    let (_, span) = commitment.leaf(leaf, at, path_at, &bytes)?;
    rules::delivery::post(&mut shard, &mut delivery, &job.terms, index, span.bytes()?)?;
    emit!(LeafPosted {
        shard: a.shard.key(),
        leaf,
        left: shard.leaves_demanded.saturating_sub(shard.leaves_posted),
        posted_pay: shard.posted_pay
    });
    Ok(())
}

/// Accounts of `attest_delivery`.
#[derive(Accounts)]
pub struct AttestDelivery<'info> {
    /// The attestor named in the job's terms.
    pub attestor: Signer<'info>,
    pub job: AccountLoader<'info, Job>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
}

/// The attestor says, once, inside the challenge window, whether the result arrived.
pub fn attest_delivery(ctx: Context<AttestDelivery>, arrived: bool) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::now()?;
    let (job, mut shard) = (a.job.load()?, a.shard.load_mut()?);
    same(&shard.job, &a.job.key(), AssayError::WrongJob)?;
    rules::delivery::attest(&mut shard, &job.terms, a.attestor.key, arrived, &now)?;
    emit!(DeliveryAttested { job: shard.job, shard: a.shard.key(), arrived });
    Ok(())
}

/// Accounts of `close_delivery`.
#[derive(Accounts)]
pub struct CloseDelivery<'info> {
    #[account(mut)]
    pub delivery: AccountLoader<'info, Delivery>,
    /// CHECK: the delivery's shard; vacant when its account is closed.
    pub shard: UncheckedAccount<'info>,
    /// CHECK: compared with who paid the delivery's rent.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
}

/// Closes the list of demanded leaves of a shard that has ended. Anyone.
pub fn close_delivery(ctx: Context<CloseDelivery>) -> Result<()> {
    let a = ctx.accounts;
    {
        let delivery = a.delivery.load()?;
        same(&delivery.shard, &a.shard.key(), AssayError::WrongDelivery)?;
        same(&delivery.rent_payer, &a.rent_payer.key(), AssayError::WrongRentPayer)?;
        let ended = account::is_vacant(&a.shard) || {
            let state = account::load::<Shard>(&a.shard)?.state();
            matches!(state, Some(ShardState::Settled | ShardState::Slashed))
        };
        ensure(ended, AssayError::StillNeeded)?;
    }
    emit!(DeliveryClosed { delivery: a.delivery.key(), shard: a.shard.key() });
    account::close(a.delivery.as_ref(), &a.rent_payer)
}
