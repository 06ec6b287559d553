//! Evidence accounts: initialised, written in pieces, closed. Only their owner touches them.

use crate::{
    chain::account,
    constants::*,
    error::AssayError,
    rules::{ensure, same},
    state::{EVIDENCE_DISCRIMINATOR, EVIDENCE_HEADER_BYTES, EvidenceHeader},
};
use anchor_lang::prelude::*;
use bytemuck::Zeroable;
use core::cell::Ref;

/// Accounts of the three evidence instructions.
#[derive(Accounts)]
pub struct UseEvidence<'info> {
    /// Owner of the evidence; gets the lamports back.
    #[account(mut)]
    pub owner: Signer<'info>,
    /// CHECK: an account of this program; its header is checked below.
    #[account(mut, owner = crate::ID @ AssayError::NotEvidence)]
    pub evidence: UncheckedAccount<'info>,
}

/// Reads the header of an evidence account.
pub fn header(data: &[u8]) -> Result<EvidenceHeader> {
    let bytes = data.get(..EVIDENCE_HEADER_BYTES).ok_or(AssayError::NotEvidence)?;
    let header: EvidenceHeader = bytemuck::pod_read_unaligned(bytes);
    ensure(header.discriminator == EVIDENCE_DISCRIMINATOR, AssayError::NotEvidence)?;
    Ok(header)
}

/// Borrows the data of an evidence account that `owner` must own; none when no account was given.
pub fn owned<'a>(evidence: Option<&'a AccountInfo>, owner: &Pubkey) -> Result<Option<Ref<'a, [u8]>>> {
    let Some(account) = evidence else { return Ok(None) };
    same(account.owner, &crate::ID, AssayError::NotEvidence)?;
    let data = account.try_borrow_data()?;
    same(&header(&data)?.owner, owner, AssayError::WrongEvidenceOwner)?;
    Ok(Some(Ref::map(data, |d| &**d)))
}

/// Takes a fresh, all-zero account of this program for the signer's evidence. The account lies at the address that
/// `create_account_with_seed` gives the signer, so nobody can take another's.
pub fn init_evidence(ctx: Context<UseEvidence>, seed: String) -> Result<()> {
    let a = ctx.accounts;
    let address = Pubkey::create_with_seed(a.owner.key, &seed, &crate::ID).map_err(|_| AssayError::WrongAddress)?;
    same(&address, &a.evidence.key(), AssayError::WrongAddress)?;
    let mut data = a.evidence.try_borrow_mut_data()?;
    ensure(data.len() <= MAX_EVIDENCE_BYTES, AssayError::EvidenceBounds)?;
    let head = data.get_mut(..EVIDENCE_HEADER_BYTES).ok_or(AssayError::EvidenceBounds)?;
    ensure(head.iter().all(|b| *b == 0), AssayError::NotEvidence)?;
    let mut new = EvidenceHeader::zeroed();
    new.discriminator = EVIDENCE_DISCRIMINATOR;
    new.version = ACCOUNT_VERSION;
    new.owner = a.owner.key();
    head.copy_from_slice(bytemuck::bytes_of(&new));
    Ok(())
}

/// Writes `bytes` at `offset` of the account's data; never over the header.
pub fn write_evidence(ctx: Context<UseEvidence>, offset: u32, bytes: Vec<u8>) -> Result<()> {
    let a = ctx.accounts;
    let mut data = a.evidence.try_borrow_mut_data()?;
    same(&header(&data)?.owner, &a.owner.key(), AssayError::WrongEvidenceOwner)?;
    let from = usize::try_from(offset).map_err(|_| AssayError::EvidenceBounds)?;
    ensure(from >= EVIDENCE_HEADER_BYTES, AssayError::EvidenceBounds)?;
    let to = from.checked_add(bytes.len()).ok_or(AssayError::EvidenceBounds)?;
    data.get_mut(from..to).ok_or(AssayError::EvidenceBounds)?.copy_from_slice(&bytes);
    Ok(())
}

/// Closes the account; its lamports go to its owner.
pub fn close_evidence(ctx: Context<UseEvidence>) -> Result<()> {
    let a = ctx.accounts;
    let owner = header(&a.evidence.try_borrow_data()?)?.owner;
    same(&owner, &a.owner.key(), AssayError::WrongEvidenceOwner)?;
    account::close(&a.evidence, &a.owner)
}
