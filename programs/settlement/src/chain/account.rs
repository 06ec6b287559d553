//! Program-derived accounts: made at their canonical address even when somebody sent lamports there first, loaded with
//! owner and type checked.

use crate::{chain::sysvar, error::AssayError, rules::same};
use anchor_lang::{
    Discriminator,
    prelude::*,
    solana_program::{
        instruction::{AccountMeta, Instruction},
        program::invoke_signed_unchecked,
        system_instruction,
    },
    system_program,
};
use bytemuck::Pod;
use core::cell::{Ref, RefMut};

/// Derives the canonical address, checks that `account` is it, and returns the bump.
pub fn canonical(account: &AccountInfo, seeds: &[&[u8]]) -> Result<u8> {
    let (address, bump) = Pubkey::find_program_address(seeds, &crate::ID);
    same(&address, account.key, AssayError::WrongAddress)?;
    Ok(bump)
}

/// The system program's CreateAccount: number 0, lamports, bytes, owner. Written by hand, as every claim pays for it: the
/// library's serialiser costs some hundreds of compute units.
fn create_account(from: &Pubkey, to: &Pubkey, lamports: u64, space: u64, owner: &Pubkey) -> Instruction {
    let mut data = Vec::with_capacity(52);
    data.extend_from_slice(&[0; 4]);
    data.extend_from_slice(&lamports.to_le_bytes());
    data.extend_from_slice(&space.to_le_bytes());
    data.extend_from_slice(owner.as_ref());
    let accounts = vec![AccountMeta::new(*from, true), AccountMeta::new(*to, true)];
    Instruction { program_id: system_program::ID, accounts, data }
}

/// Creates the account at a program-derived address. `seeds` end with the bump. Lamports that somebody sent there
/// beforehand count towards the rent and cannot keep the account from being made.
pub fn create<'info>(
    payer: &AccountInfo<'info>,
    account: &AccountInfo<'info>,
    space: usize,
    owner: &Pubkey,
    seeds: &[&[u8]],
) -> Result<()> {
    let rent = sysvar::minimum_balance(space)?;
    let space = u64::try_from(space).map_err(|_| AssayError::Overflow)?;
    if account.lamports() == 0 {
        let make = create_account(payer.key, account.key, rent, space, owner);
        return Ok(invoke_signed_unchecked(&make, &[payer.clone(), account.clone()], &[seeds])?);
    }
    same(account.owner, &system_program::ID, AssayError::WrongAddress)?;
    if let Some(missing) = rent.checked_sub(account.lamports())
        && missing > 0
    {
        let pay = system_instruction::transfer(payer.key, account.key, missing);
        invoke_signed_unchecked(&pay, &[payer.clone(), account.clone()], &[])?;
    }
    let accounts = core::slice::from_ref(account);
    invoke_signed_unchecked(&system_instruction::allocate(account.key, space), accounts, &[seeds])?;
    Ok(invoke_signed_unchecked(&system_instruction::assign(account.key, owner), accounts, &[seeds])?)
}

/// Creates an account of this program with its discriminator written and everything else zero.
pub fn create_typed<'info, T: Discriminator>(
    payer: &AccountInfo<'info>,
    account: &AccountInfo<'info>,
    seeds: &[&[u8]],
) -> Result<()> {
    create(payer, account, crate::state::space_of::<T>(), &crate::ID, seeds)?;
    let mut data = account.try_borrow_mut_data()?;
    data.get_mut(..8).ok_or(AssayError::WrongAddress)?.copy_from_slice(T::DISCRIMINATOR);
    Ok(())
}

/// Refuses with Anchor's own error unless `holds`.
#[cfg_attr(feature = "mutants", track_caller)]
fn expect(holds: bool, error: ErrorCode) -> Result<()> {
    #[cfg(feature = "mutants")]
    let holds = holds || crate::mutants::is_off(core::panic::Location::caller());
    if holds { Ok(()) } else { Err(error.into()) }
}

fn check<T: Discriminator>(account: &AccountInfo, data: &[u8]) -> Result<()> {
    expect(*account.owner == crate::ID, ErrorCode::AccountOwnedByWrongProgram)?;
    expect(data.len() == crate::state::space_of::<T>(), ErrorCode::AccountDidNotDeserialize)?;
    expect(data.starts_with(T::DISCRIMINATOR), ErrorCode::AccountDiscriminatorMismatch)?;
    Ok(())
}

/// Loads an account of this program for reading.
pub fn load<'a, T: Pod + Discriminator>(account: &'a AccountInfo) -> Result<Ref<'a, T>> {
    let data = account.try_borrow_data()?;
    check::<T>(account, &data)?;
    Ok(Ref::map(data, |d| bytemuck::from_bytes(d.split_at(8).1)))
}

/// Loads an account of this program for writing.
pub fn load_mut<'a, T: Pod + Discriminator>(account: &'a AccountInfo) -> Result<RefMut<'a, T>> {
    let data = account.try_borrow_mut_data()?;
    check::<T>(account, &data)?;
    expect(account.is_writable, ErrorCode::ConstraintMut)?;
    Ok(RefMut::map(data, |d| bytemuck::from_bytes_mut(d.split_at_mut(8).1)))
}

/// True for an address at which no account of anyone but the system program exists.
pub fn is_vacant(account: &AccountInfo) -> bool {
    *account.owner == system_program::ID && account.data_is_empty()
}

/// Closes an account of this program: its lamports go to `to`, its data is gone, the system program owns the address.
/// What lamports somebody sends there in the same transaction revives nothing: the discriminator is gone.
pub fn close(account: &AccountInfo, to: &AccountInfo) -> Result<()> {
    let sum = to.lamports().checked_add(account.lamports()).ok_or(AssayError::Overflow)?;
    **to.try_borrow_mut_lamports()? = sum;
    **account.try_borrow_mut_lamports()? = 0;
    account.assign(&system_program::ID);
    Ok(account.resize(0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_made_as_the_library_makes_it() {
        let [from, to, owner] = [1, 2, 3].map(|n| Pubkey::new_from_array([n; 32]));
        let theirs = system_instruction::create_account(&from, &to, 0x0102_0304_0506_0708, 77, &owner);
        assert_eq!(create_account(&from, &to, 0x0102_0304_0506_0708, 77, &owner), theirs);
    }
}
