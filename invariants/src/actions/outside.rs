//! What people do to accounts without asking the program: tokens and lamports sent to them, accounts frozen by the mint's
//! freeze authority.

use super::Pick;
use crate::{
    cast::{self, AUTHORITY, RENTERS, Who, key},
    model::{Gate, Model, Phase, Verdict},
};
use assay_settlement::seeds;
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;
use solana_system_interface::instruction as system;

/// See the module.
#[derive(Clone, Debug)]
pub enum Outside {
    /// Tokens of a market's mint to any token account of it.
    Tokens { market: usize, by: Who, to: Pubkey, amount: u64 },
    /// Lamports to any address, made or not.
    Lamports { by: Who, to: Pubkey, amount: u64 },
    /// The freeze authority freezes a token account, or thaws it.
    Freeze { mint: usize, account: Pubkey, on: bool },
}

impl Outside {
    /// One at random. What is frozen is soon thawed.
    pub fn random(pick: &mut Pick) -> Option<Self> {
        let model = pick.model;
        let mut frozen: Vec<Pubkey> = model.purses.iter().filter(|(_, p)| p.frozen).map(|(k, _)| *k).collect();
        frozen.sort();
        let job = pick.job()?;
        let of = &model.jobs[job];
        let market = of.market;
        let vault = if pick.once_in(2) && of.exists {
            of.data.vault
        } else {
            let provider = &model.providers[pick.provider()];
            if provider.market != market { model.markets[market].data.treasury } else { provider.data.vault }
        };
        // A provider may have closed its account, and its vault with it.
        if !model.purses.contains_key(&vault) {
            return None;
        }
        Some(match pick.below(10) {
            0..2 => Self::Tokens { market, by: pick.anyone(), to: vault, amount: 1 + pick.below(50) },
            2..5 => {
                let address = match pick.below(7) {
                    5 => {
                        let shard = of.shards[usize::try_from(pick.below(of.shards.len() as u64)).unwrap()].key;
                        seeds::delivery(&shard)
                    }
                    6 => {
                        let shard = of.shards[0].key;
                        let challenge = seeds::challenge(&shard, pick.below(4));
                        if pick.once_in(2) { challenge } else { seeds::bond(&challenge) }
                    }
                    0 => of.key,
                    1 => of.data.vault,
                    2 => of.shards[usize::try_from(pick.below(of.shards.len() as u64)).unwrap()].key,
                    3 => seeds::draw_seed((model.time.now.slot + 32).div_ceil(64)),
                    _ => {
                        let renter = RENTERS[usize::try_from(pick.below(3)).unwrap()];
                        let next = seeds::job(&key(renter), model.nonces.get(&renter).copied().unwrap_or(0));
                        if pick.once_in(2) { next } else { seeds::vault(&next) }
                    }
                };
                Self::Lamports { by: pick.anyone(), to: address, amount: 1_000_000 + pick.below(10_000_000) }
            }
            // Where somebody was slashed, so that debts can't be moved.
            5 if frozen.is_empty() && pick.once_in(2) => {
                let (job, shard) = pick.shard(|s| s.phase == Phase::Slashed && s.lock > 0)?;
                let provider = model.providers.get(model.shard(job, shard).holder).filter(|p| p.exists)?;
                Self::Freeze { mint: model.markets[provider.market].mint, account: provider.data.vault, on: true }
            }
            5 if frozen.is_empty() => {
                let wallet = model.wallet(of.renter, market);
                let account = if pick.once_in(4) { wallet } else { vault };
                Self::Freeze { mint: model.markets[market].mint, account, on: true }
            }
            _ => {
                let account = pick.one(&frozen)?;
                Self::Freeze { mint: model.purses[&account].mint, account, on: false }
            }
        })
    }

    /// What the tally calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Tokens { .. } => "(tokens sent)",
            Self::Lamports { .. } => "(lamports sent)",
            Self::Freeze { .. } => "(frozen or thawed)",
        }
    }

    /// The instruction.
    pub fn instructions(&self, model: &Model) -> Vec<Instruction> {
        vec![match *self {
            Self::Tokens { market, by, to, amount } => {
                let accounts = vec![
                    AccountMeta::new(model.wallet(by, market), false),
                    AccountMeta::new(to, false),
                    AccountMeta::new_readonly(key(by), true),
                ];
                // Transfer.
                let data = [&[3u8][..], &amount.to_le_bytes()].concat();
                let program_id = cast::token_program(model.markets[market].mint);
                Instruction { program_id, accounts, data }
            }
            Self::Lamports { by, to, amount } => system::transfer(&key(by), &to, amount),
            Self::Freeze { mint, account, on } => {
                let accounts = vec![
                    AccountMeta::new(account, false),
                    AccountMeta::new_readonly(cast::mint(mint), false),
                    AccountMeta::new_readonly(key(AUTHORITY), true),
                ];
                // FreezeAccount, ThawAccount.
                let data = vec![if on { 10 } else { 11 }];
                Instruction { program_id: cast::token_program(mint), accounts, data }
            }
        }]
    }

    /// The rule.
    pub fn apply(&self, model: &mut Model) -> Verdict {
        let mut gate = Gate::default();
        match *self {
            Self::Tokens { market, by, to, amount } => {
                let from = model.wallet(by, market);
                model.need_transfer(&mut gate, &from, &to, amount);
                gate.verdict()?;
                model.transfer(&from, &to, amount);
                *model.gifts.entry(to).or_default() += amount;
            }
            Self::Lamports { by, to, amount } => model.move_lamports(&key(by), &to, amount),
            Self::Freeze { account, on, .. } => model.purses.get_mut(&account).unwrap().frozen = on,
        }
        Ok(())
    }
}
