//! Tokens and lamports: moved, never made.

use super::{Gate, Model, Place, gate};
use crate::cast::{Who, key};
use solana_pubkey::Pubkey;

/// A token account.
#[derive(Clone, Copy, Debug)]
pub struct Purse {
    /// Number of its mint.
    pub mint: usize,
    /// Base units in it.
    pub amount: u64,
    /// Whether it is frozen.
    pub frozen: bool,
}

impl Model {
    /// Base units in a token account.
    pub fn held(&self, purse: &Pubkey) -> u64 {
        self.purses.get(purse).map_or(0, |p| p.amount)
    }

    /// Whether a token account is frozen.
    pub fn frozen(&self, purse: &Pubkey) -> bool {
        self.purses.get(purse).is_some_and(|p| p.frozen)
    }

    /// What a transfer needs. One of nothing is not made.
    pub fn need_transfer(&self, gate: &mut Gate, from: &Pubkey, to: &Pubkey, amount: u64) {
        if amount > 0 {
            gate.need(!self.frozen(from) && !self.frozen(to), gate::FROZEN);
            gate.need(self.held(from) >= amount, gate::TOO_LITTLE);
        }
    }

    /// Moves tokens.
    pub fn transfer(&mut self, from: &Pubkey, to: &Pubkey, amount: u64) {
        if amount == 0 {
            return;
        }
        let (a, b) = (self.purses[from].mint, self.purses[to].mint);
        assert_eq!(a, b, "tokens of one mint");
        self.purses.get_mut(from).unwrap().amount -= amount;
        self.purses.get_mut(to).unwrap().amount += amount;
    }

    /// Lamports at an address.
    pub fn lamports_of(&self, address: &Pubkey) -> u64 {
        self.lamports.get(address).copied().unwrap_or(0)
    }

    /// Moves lamports.
    pub fn move_lamports(&mut self, from: &Pubkey, to: &Pubkey, amount: u64) {
        *self.lamports.get_mut(from).unwrap() -= amount;
        *self.lamports.entry(*to).or_default() += amount;
    }

    /// `payer` makes an account that needs so much rent; what is there already counts.
    pub fn make(&mut self, payer: Who, address: &Pubkey, rent: u64) {
        let missing = rent.saturating_sub(self.lamports_of(address));
        self.move_lamports(&key(payer), address, missing);
    }

    /// An account goes, and its lamports to `to`.
    pub fn unmake(&mut self, address: &Pubkey, to: Who) {
        let all = self.lamports_of(address);
        self.move_lamports(address, &key(to), all);
    }

    /// A new token account of the program.
    pub fn make_purse(&mut self, payer: Who, address: &Pubkey, mint: usize) {
        self.make(payer, address, self.rents.purse);
        self.purses.insert(*address, Purse { mint, amount: 0, frozen: false });
        self.places.insert(*address, Place::Purse);
    }
}
