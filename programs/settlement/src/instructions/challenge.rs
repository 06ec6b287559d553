//! Challenges: opened with a bond; once decided, the bond moves and the accounts close.

use crate::{
    chain::{
        account, sysvar, token,
        vault::{BondVault, JobVault},
    },
    constants::*,
    error::AssayError,
    events::*,
    rules::{self, ensure, same},
    seeds,
    state::{Challenge, Job, Provider, Shard},
};
use anchor_lang::prelude::*;

/// Accounts of `open_challenge`.
#[derive(Accounts)]
pub struct OpenChallenge<'info> {
    /// Pays the bond; gets it back, and the bounty, when the cell is wrong or stays unanswered.
    pub challenger: Signer<'info>,
    /// Pays rent and gets it back.
    #[account(mut)]
    pub payer: Signer<'info>,
    pub job: AccountLoader<'info, Job>,
    /// The shard's provider; it gets one more challenge to answer.
    #[account(mut)]
    pub provider: AccountLoader<'info, Provider>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
    /// CHECK: made here at its canonical address.
    #[account(mut)]
    pub challenge: UncheckedAccount<'info>,
    /// CHECK: made here at its canonical address.
    #[account(mut)]
    pub bond_vault: UncheckedAccount<'info>,
    /// CHECK: the token program checks it.
    #[account(mut)]
    pub source: UncheckedAccount<'info>,
    /// CHECK: compared with the job's mint.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with the job's token program.
    pub token_program: UncheckedAccount<'info>,
    pub system_program: Program<'info, System>,
}

impl OpenChallenge<'_> {
    /// Makes the challenge's account and the vault of its bond.
    fn make(&self, number: u64) -> Result<()> {
        let (key, shard) = (self.challenge.key(), self.shard.key());
        let cell = number.to_le_bytes();
        let bump = account::canonical(&self.challenge, &[seeds::CHALLENGE, shard.as_ref(), &cell])?;
        ensure(account::is_vacant(&self.challenge), AssayError::AlreadyChallenged)?;
        let signer: &[&[u8]] = &[seeds::CHALLENGE, shard.as_ref(), &cell, &[bump]];
        account::create_typed::<Challenge>(&self.payer, &self.challenge, signer)?;
        let vault_bump = account::canonical(&self.bond_vault, &[seeds::BOND, key.as_ref()])?;
        token::create_vault(
            &self.payer,
            &self.bond_vault,
            &self.mint,
            &key,
            &self.token_program,
            &[seeds::BOND, key.as_ref(), &[vault_bump]],
        )?;
        let mut challenge = account::load_mut::<Challenge>(&self.challenge)?;
        challenge.version = ACCOUNT_VERSION;
        challenge.bump = bump;
        challenge.vault_bump = vault_bump;
        challenge.job = self.job.key();
        challenge.shard = shard;
        challenge.provider = self.provider.key();
        challenge.vault = self.bond_vault.key();
        challenge.mint = self.mint.key();
        challenge.token_program = self.token_program.key();
        challenge.rent_payer = self.payer.key();
        Ok(())
    }
}

/// Demands cell `number` of a shard under a bond.
pub fn open_challenge(ctx: Context<OpenChallenge>, number: u64) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::now()?;
    {
        let (job, shard) = (a.job.load()?, a.shard.load()?);
        same(&shard.job, &a.job.key(), AssayError::WrongJob)?;
        same(&shard.provider, &a.provider.key(), AssayError::WrongProvider)?;
        same(&job.terms.mint, &a.mint.key(), AssayError::WrongMint)?;
        same(&job.terms.token_program, &a.token_program.key(), AssayError::WrongTokenProgram)?;
    }
    a.make(number)?;
    let bond = {
        let (job, mut provider, mut shard) = (a.job.load()?, a.provider.load_mut()?, a.shard.load_mut()?);
        let mut challenge = account::load_mut::<Challenge>(&a.challenge)?;
        let by = a.challenger.key();
        rules::challenge::open(&job, &mut provider, &mut shard, &mut challenge, &by, number, &now)?;
        let place = job.terms.shard(shard.index).ok_or(AssayError::NoSuchShard)?.place(number)?;
        emit!(ChallengeOpened {
            challenge: a.challenge.key(),
            job: shard.job,
            shard: a.shard.key(),
            provider: shard.provider,
            challenger: by,
            number,
            leaf: place.leaf,
            cell: place.cell,
            bond: challenge.bond,
            due: challenge.due().time()
        });
        challenge.bond
    };
    token::Transfer {
        token_program: &a.token_program,
        mint: &a.mint,
        from: &a.source,
        to: &a.bond_vault,
        authority: &a.challenger,
        amount: bond,
    }
    .invoke(&[])
}

/// Accounts of `pay_challenge`.
#[derive(Accounts)]
pub struct PayChallenge<'info> {
    #[account(mut)]
    pub job: AccountLoader<'info, Job>,
    /// CHECK: the challenge's provider; vacant when it has closed its account.
    #[account(mut)]
    pub provider: UncheckedAccount<'info>,
    #[account(mut)]
    pub shard: AccountLoader<'info, Shard>,
    #[account(mut)]
    pub challenge: AccountLoader<'info, Challenge>,
    /// CHECK: compared with the challenge's vault.
    #[account(mut)]
    pub bond_vault: UncheckedAccount<'info>,
    /// CHECK: compared with the provider's vault.
    #[account(mut)]
    pub stake_vault: UncheckedAccount<'info>,
    /// CHECK: compared with the job's vault.
    #[account(mut)]
    pub job_vault: UncheckedAccount<'info>,
    /// CHECK: compared with who paid the challenge's rent.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
    /// CHECK: compared with the job's mint.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with the job's token program.
    pub token_program: UncheckedAccount<'info>,
}

/// Divides the bond of an answered challenge between the provider's stake and the renter's escrow, and closes it. Anyone.
pub fn pay_challenge(ctx: Context<PayChallenge>) -> Result<()> {
    let a = ctx.accounts;
    let bond =
        BondVault { challenge: &a.challenge, vault: &a.bond_vault, mint: &a.mint, token_program: &a.token_program };
    let (parts, rest) = {
        let (mut job, mut shard, challenge) = (a.job.load_mut()?, a.shard.load_mut()?, a.challenge.load()?);
        same(&challenge.job, &a.job.key(), AssayError::WrongJob)?;
        same(&challenge.shard, &a.shard.key(), AssayError::WrongChallenge)?;
        same(&challenge.provider, &a.provider.key(), AssayError::WrongProvider)?;
        same(&challenge.rent_payer, &a.rent_payer.key(), AssayError::WrongRentPayer)?;
        bond.check(&challenge)?;
        JobVault { job: &a.job, vault: &a.job_vault, mint: &a.mint, token_program: &a.token_program }.check(&job)?;
        let parts = if account::is_vacant(&a.provider) {
            rules::challenge::pay(&mut job, None, &mut shard, &challenge)?
        } else {
            let mut provider = account::load_mut::<Provider>(&a.provider)?;
            same(&provider.vault, &a.stake_vault.key(), AssayError::WrongVault)?;
            rules::challenge::pay(&mut job, Some(&mut provider), &mut shard, &challenge)?
        };
        // What somebody sent to the vault unasked goes the renter's way too.
        (parts, bond.held()?.checked_sub(parts.provider).ok_or(AssayError::Overflow)?)
    };
    bond.pay(&a.stake_vault, parts.provider)?;
    bond.pay(&a.job_vault, rest)?;
    bond.close(&a.rent_payer)?;
    emit!(ChallengePaid {
        challenge: a.challenge.key(),
        shard: a.shard.key(),
        provider: a.provider.key(),
        to_provider: parts.provider,
        to_renter: rest
    });
    account::close(a.challenge.as_ref(), &a.rent_payer)
}

/// Accounts of `return_bond`.
#[derive(Accounts)]
pub struct ReturnBond<'info> {
    #[account(mut)]
    pub challenge: AccountLoader<'info, Challenge>,
    /// CHECK: the challenge's shard; vacant when its account is closed.
    pub shard: UncheckedAccount<'info>,
    /// CHECK: compared with the challenge's vault.
    #[account(mut)]
    pub bond_vault: UncheckedAccount<'info>,
    /// CHECK: the challenger's associated token account.
    #[account(mut)]
    pub destination: UncheckedAccount<'info>,
    /// CHECK: compared with who paid the challenge's rent.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
    /// CHECK: compared with the challenge's mint.
    pub mint: UncheckedAccount<'info>,
    /// CHECK: compared with the challenge's token program.
    pub token_program: UncheckedAccount<'info>,
}

/// Gives the bond of a won challenge, or of one whose shard ended before an answer, back to the
/// challenger, and closes it. Anyone.
pub fn return_bond(ctx: Context<ReturnBond>) -> Result<()> {
    let a = ctx.accounts;
    let now = sysvar::now()?;
    let bond =
        BondVault { challenge: &a.challenge, vault: &a.bond_vault, mint: &a.mint, token_program: &a.token_program };
    let (amount, to) = {
        let challenge = a.challenge.load()?;
        same(&challenge.shard, &a.shard.key(), AssayError::WrongChallenge)?;
        same(&challenge.rent_payer, &a.rent_payer.key(), AssayError::WrongRentPayer)?;
        bond.check(&challenge)?;
        // A shard's address is never used again: a vacant one means that the shard ended.
        if account::is_vacant(&a.shard) {
            rules::challenge::returnable(&challenge, None, &now)?;
        } else {
            rules::challenge::returnable(&challenge, Some(&*account::load::<Shard>(&a.shard)?), &now)?;
        }
        let c = &challenge;
        token::check_destination(&a.destination, &c.token_program, &c.mint, &c.challenger)?;
        (bond.held()?, c.challenger)
    };
    bond.pay(&a.destination, amount)?;
    bond.close(&a.rent_payer)?;
    emit!(BondReturned { challenge: a.challenge.key(), shard: a.shard.key(), to, amount });
    account::close(a.challenge.as_ref(), &a.rent_payer)
}
