//! The vaults of jobs, providers, markets and challenges: compared with what their owner's account records, paid out
//! under its signature.

use crate::{
    chain::token,
    error::AssayError,
    rules::same,
    seeds,
    state::{Challenge, Job, Market, Provider},
};
use anchor_lang::prelude::*;

/// A job's vault, with what a transfer out of it needs.
pub struct JobVault<'a, 'info> {
    /// The job; owns the vault.
    pub job: &'a AccountLoader<'info, Job>,
    /// What was given as its vault.
    pub vault: &'a AccountInfo<'info>,
    /// What was given as its mint.
    pub mint: &'a AccountInfo<'info>,
    /// What was given as its token program.
    pub token_program: &'a AccountInfo<'info>,
}

impl<'info> JobVault<'_, 'info> {
    /// Compares vault, mint and token program with the job's.
    pub fn check(&self, job: &Job) -> Result<()> {
        same(&job.vault, self.vault.key, AssayError::WrongVault)?;
        same(&job.terms.mint, self.mint.key, AssayError::WrongMint)?;
        same(&job.terms.token_program, self.token_program.key, AssayError::WrongTokenProgram)?;
        Ok(())
    }

    /// Base units in the vault.
    pub fn held(&self, job: &Job) -> Result<u64> {
        Ok(token::read(self.vault, &job.terms.token_program)?.amount)
    }

    /// Moves base units out of the vault. The job must not be borrowed.
    pub fn pay(&self, to: &AccountInfo<'info>, amount: u64) -> Result<()> {
        let (renter, nonce, bump) = self.signer()?;
        token::Transfer {
            token_program: self.token_program,
            mint: self.mint,
            from: self.vault,
            to,
            authority: self.job.as_ref(),
            amount,
        }
        .invoke(&[&[seeds::JOB, renter.as_ref(), &nonce, &[bump]]])
    }

    /// Closes the empty vault; its lamports go to `to`. The job must not be borrowed.
    pub fn close(&self, to: &AccountInfo<'info>) -> Result<()> {
        let (renter, nonce, bump) = self.signer()?;
        let signer: &[&[u8]] = &[seeds::JOB, renter.as_ref(), &nonce, &[bump]];
        token::close_vault(self.token_program, self.vault, to, self.job.as_ref(), signer)
    }

    fn signer(&self) -> Result<(Pubkey, [u8; 8], u8)> {
        let job = self.job.load()?;
        Ok((job.renter, job.nonce.to_le_bytes(), job.bump))
    }
}

/// A provider's stake vault, with what a transfer out of it needs. Mint and token program are compared by the caller:
/// with the job's, or with the market's.
pub struct StakeVault<'a, 'info> {
    /// The provider; owns the vault.
    pub provider: &'a AccountLoader<'info, Provider>,
    /// What was given as its vault.
    pub vault: &'a AccountInfo<'info>,
    /// The mint.
    pub mint: &'a AccountInfo<'info>,
    /// The token program.
    pub token_program: &'a AccountInfo<'info>,
}

impl<'info> StakeVault<'_, 'info> {
    /// Compares the vault with the provider's.
    pub fn check(&self, provider: &Provider) -> Result<()> {
        same(&provider.vault, self.vault.key, AssayError::WrongVault)?;
        Ok(())
    }

    /// Moves base units out of the vault. The provider must not be borrowed.
    pub fn pay(&self, to: &AccountInfo<'info>, amount: u64) -> Result<()> {
        let (market, owner, bump) = self.signer()?;
        token::Transfer {
            token_program: self.token_program,
            mint: self.mint,
            from: self.vault,
            to,
            authority: self.provider.as_ref(),
            amount,
        }
        .invoke(&[&[seeds::PROVIDER, market.as_ref(), owner.as_ref(), &[bump]]])
    }

    /// Closes the empty vault; its lamports go to `to`. The provider must not be borrowed.
    pub fn close(&self, to: &AccountInfo<'info>) -> Result<()> {
        let (market, owner, bump) = self.signer()?;
        let signer: &[&[u8]] = &[seeds::PROVIDER, market.as_ref(), owner.as_ref(), &[bump]];
        token::close_vault(self.token_program, self.vault, to, self.provider.as_ref(), signer)
    }

    fn signer(&self) -> Result<(Pubkey, Pubkey, u8)> {
        let provider = self.provider.load()?;
        Ok((provider.market, provider.owner, provider.bump))
    }
}

/// A market's treasury, with what a transfer out of it needs.
pub struct MarketVault<'a, 'info> {
    /// The market; owns the treasury.
    pub market: &'a AccountLoader<'info, Market>,
    /// What was given as its treasury.
    pub vault: &'a AccountInfo<'info>,
    /// What was given as its mint.
    pub mint: &'a AccountInfo<'info>,
    /// What was given as its token program.
    pub token_program: &'a AccountInfo<'info>,
}

impl<'info> MarketVault<'_, 'info> {
    /// Compares treasury, mint and token program with the market's.
    pub fn check(&self, market: &Market) -> Result<()> {
        same(&market.treasury, self.vault.key, AssayError::WrongVault)?;
        check_market_mint(market, self.mint, self.token_program)
    }

    /// Moves base units out of the treasury. The market must not be borrowed.
    pub fn pay(&self, to: &AccountInfo<'info>, amount: u64) -> Result<()> {
        let (creator, id, bump) = self.signer()?;
        token::Transfer {
            token_program: self.token_program,
            mint: self.mint,
            from: self.vault,
            to,
            authority: self.market.as_ref(),
            amount,
        }
        .invoke(&[&[seeds::MARKET, creator.as_ref(), &id, &[bump]]])
    }

    /// Closes the empty treasury; its lamports go to `to`. The market must not be borrowed.
    pub fn close(&self, to: &AccountInfo<'info>) -> Result<()> {
        let (creator, id, bump) = self.signer()?;
        let signer: &[&[u8]] = &[seeds::MARKET, creator.as_ref(), &id, &[bump]];
        token::close_vault(self.token_program, self.vault, to, self.market.as_ref(), signer)
    }

    fn signer(&self) -> Result<(Pubkey, [u8; 2], u8)> {
        let market = self.market.load()?;
        Ok((market.creator, market.id.to_le_bytes(), market.bump))
    }
}

/// The vault of a challenge's bond, with what a transfer out of it needs.
pub struct BondVault<'a, 'info> {
    /// The challenge; owns the vault.
    pub challenge: &'a AccountLoader<'info, Challenge>,
    /// What was given as its vault.
    pub vault: &'a AccountInfo<'info>,
    /// What was given as its mint.
    pub mint: &'a AccountInfo<'info>,
    /// What was given as its token program.
    pub token_program: &'a AccountInfo<'info>,
}

impl<'info> BondVault<'_, 'info> {
    /// Compares vault, mint and token program with the challenge's.
    pub fn check(&self, challenge: &Challenge) -> Result<()> {
        same(&challenge.vault, self.vault.key, AssayError::WrongVault)?;
        same(&challenge.mint, self.mint.key, AssayError::WrongMint)?;
        same(&challenge.token_program, self.token_program.key, AssayError::WrongTokenProgram)?;
        Ok(())
    }

    /// Base units in the vault.
    pub fn held(&self) -> Result<u64> {
        Ok(token::read(self.vault, self.token_program.key)?.amount)
    }

    /// Moves base units out of the vault. The challenge must not be borrowed.
    pub fn pay(&self, to: &AccountInfo<'info>, amount: u64) -> Result<()> {
        let (shard, cell, bump) = self.signer()?;
        token::Transfer {
            token_program: self.token_program,
            mint: self.mint,
            from: self.vault,
            to,
            authority: self.challenge.as_ref(),
            amount,
        }
        .invoke(&[&[seeds::CHALLENGE, shard.as_ref(), &cell, &[bump]]])
    }

    /// Closes the empty vault; its lamports go to `to`. The challenge must not be borrowed.
    pub fn close(&self, to: &AccountInfo<'info>) -> Result<()> {
        let (shard, cell, bump) = self.signer()?;
        let signer: &[&[u8]] = &[seeds::CHALLENGE, shard.as_ref(), &cell, &[bump]];
        token::close_vault(self.token_program, self.vault, to, self.challenge.as_ref(), signer)
    }

    fn signer(&self) -> Result<(Pubkey, [u8; 8], u8)> {
        let challenge = self.challenge.load()?;
        Ok((challenge.shard, challenge.cell.to_le_bytes(), challenge.bump))
    }
}

/// Compares mint and token program with the market's.
pub fn check_market_mint(market: &Market, mint: &AccountInfo, token_program: &AccountInfo) -> Result<()> {
    same(&market.mint, mint.key, AssayError::WrongMint)?;
    same(&market.token_program, token_program.key, AssayError::WrongTokenProgram)?;
    Ok(())
}
