//! A provider's stake and its operators.

use super::Pick;
use crate::{
    cast::{Manner, Who, key, operator_of},
    model::{Gate, Model, Verdict, gate::IN_USE},
};
use assay_client::ix;
use assay_settlement::{constants::NOBODY, error::AssayError, instructions::ProviderProfile};
use solana_instruction::Instruction;
use std::collections::BTreeSet;

/// See the module.
#[derive(Clone, Debug)]
pub enum Staking {
    /// Somebody adds stake.
    Deposit { provider: usize, by: Who, amount: u64 },
    /// Stake that is not locked goes to the caller.
    Withdraw { provider: usize, by: Who, amount: u64 },
    /// Other operators.
    Update { provider: usize, by: Who, operators: BTreeSet<Who> },
    /// Closes a provider.
    Close { provider: usize, by: Who },
    /// Registers one that was closed anew.
    Register { provider: usize },
}

impl Staking {
    /// One at random. Honest providers keep their operator and leave their stake in.
    pub fn random(pick: &mut Pick) -> Self {
        if let (Some(leaving), false) = (Self::leaving(pick), pick.once_in(3)) {
            return leaving;
        }
        let provider = pick.provider();
        let of = &pick.model.providers[provider];
        let (owner, market) = (of.owner, of.market);
        if !of.exists && !pick.once_in(5) {
            return Self::Register { provider };
        }
        let idle = of.exists && pick.model.locked(provider) == (0, 0);
        match pick.below(6) {
            4 if idle && of.staked > 0 && of.manner() != Manner::Honest => {
                Self::Withdraw { provider, by: owner, amount: of.staked }
            }
            4 | 5 if of.staked == 0 || pick.once_in(8) => Self::Close { provider, by: pick.mostly(owner) },
            4 => Self::Register { provider },
            0 | 1 | 5 => {
                let amount = pick.below(20 * crate::cast::unit(pick.model.markets[market].mint));
                let by = if pick.once_in(4) { pick.anyone() } else { owner };
                Self::Deposit { provider, by, amount }
            }
            2 => {
                let free = of.staked - pick.model.locked(provider).0;
                let amount = match pick.below(6) {
                    0 => free + 1,
                    1 => free,
                    _ => pick.below(free / 4 + 1),
                };
                Self::Withdraw { provider, by: pick.mostly(owner), amount }
            }
            _ => {
                let mut operators = BTreeSet::from([operator_of(owner)]);
                if of.manner() != Manner::Honest && pick.once_in(3) {
                    operators.insert(owner);
                }
                Self::Update { provider, by: pick.mostly(owner), operators }
            }
        }
    }

    /// A provider with challenges that are not ended and nothing else to do leaves and comes back, so that it has left
    /// their queue.
    fn leaving(pick: &mut Pick) -> Option<Self> {
        let model = pick.model;
        let mut challenged: Vec<usize> = model.challenges.values().map(|c| c.provider).collect();
        challenged.retain(|p| model.providers[*p].manner() != Manner::Honest && model.locked(*p) == (0, 0));
        let provider = pick.one(&challenged)?;
        let of = &model.providers[provider];
        Some(match (of.exists, of.staked) {
            (false, _) => Self::Register { provider },
            (true, 0) => Self::Close { provider, by: of.owner },
            (true, amount) => Self::Withdraw { provider, by: of.owner, amount },
        })
    }

    /// The instruction's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Deposit { .. } => "deposit_stake",
            Self::Withdraw { .. } => "withdraw_stake",
            Self::Update { .. } => "update_provider",
            Self::Close { .. } => "close_provider",
            Self::Register { .. } => "register_provider",
        }
    }

    /// The instruction.
    pub fn instructions(&self, model: &Model) -> Vec<Instruction> {
        vec![match self {
            Self::Deposit { provider, by, amount } => {
                let of = &model.providers[*provider];
                let (market, from) = (&model.markets[of.market].data, model.wallet(*by, of.market));
                ix::deposit_stake(key(*by), &of.key, &of.data, market, from, *amount)
            }
            Self::Withdraw { provider, by, amount } => {
                let of = &model.providers[*provider];
                let (market, to) = (&model.markets[of.market].data, model.wallet(*by, of.market));
                ix::withdraw_stake(key(*by), &of.key, &of.data, market, to, *amount)
            }
            Self::Update { provider, by, operators } => {
                let of = &model.providers[*provider];
                // The address follows from the signer, so that of another signer is of another provider, or of none.
                let mut update = ix::update_provider(key(*by), &model.markets[of.market].key, profile(operators));
                update.accounts[1].pubkey = of.key;
                update
            }
            Self::Close { provider, by } => {
                let of = &model.providers[*provider];
                let market = &model.markets[of.market].data;
                ix::close_provider(key(*by), &of.key, &of.data, market, model.wallet(*by, of.market))
            }
            Self::Register { provider } => {
                let of = &model.providers[*provider];
                let (owner, market) = (key(of.owner), &model.markets[of.market]);
                let profile = profile(&BTreeSet::from([operator_of(of.owner)]));
                ix::register_provider(owner, owner, &market.key, &market.data, profile)
            }
        }]
    }

    /// The rule.
    pub fn apply(&self, model: &mut Model) -> Verdict {
        let mut gate = Gate::default();
        match self {
            Self::Deposit { provider, by, amount } => {
                let of = &model.providers[*provider];
                let (from, vault) = (model.wallet(*by, of.market), of.data.vault);
                gate.exists(of.exists);
                gate.need(*amount > 0, AssayError::ZeroAmount);
                model.need_transfer(&mut gate, &from, &vault, *amount);
                gate.verdict()?;
                model.transfer(&from, &vault, *amount);
                model.providers[*provider].staked += amount;
                model.providers[*provider].invested += i128::from(*amount);
            }
            Self::Withdraw { provider, by, amount } => {
                let of = &model.providers[*provider];
                let (to, vault) = (model.wallet(*by, of.market), of.data.vault);
                gate.exists(of.exists);
                gate.need(*by == of.owner, AssayError::NotAuthorized);
                gate.need(*amount > 0, AssayError::ZeroAmount);
                gate.need(*amount <= of.staked - model.locked(*provider).0, AssayError::StakeTooSmall);
                model.need_transfer(&mut gate, &vault, &to, (*amount).min(of.staked));
                gate.verdict()?;
                model.transfer(&vault, &to, *amount);
                model.providers[*provider].staked -= amount;
                model.providers[*provider].invested -= i128::from(*amount);
            }
            Self::Update { provider, by, operators } => {
                gate.exists(model.providers[*provider].exists);
                gate.need(*by == model.providers[*provider].owner, AssayError::NotAuthorized);
                gate.verdict()?;
                model.providers[*provider].operators = operators.clone();
            }
            Self::Close { provider, by } => {
                let of = &model.providers[*provider];
                gate.exists(of.exists);
                gate.need(*by == of.owner, AssayError::NotAuthorized);
                gate.need(of.staked == 0 && model.locked(*provider) == (0, 0), AssayError::StillNeeded);
                gate.verdict()?;
                let mut gate = Gate::default();
                let (address, vault, owner, to) = (of.key, of.data.vault, of.owner, model.wallet(*by, of.market));
                let dust = model.held(&vault);
                model.need_transfer(&mut gate, &vault, &to, dust);
                gate.verdict()?;
                model.transfer(&vault, &to, dust);
                model.gifts.remove(&vault);
                model.purses.remove(&vault);
                model.unmake(&vault, owner);
                model.unmake(&address, owner);
                model.providers[*provider].exists = false;
            }
            Self::Register { provider } => {
                let of = &model.providers[*provider];
                let (address, vault, owner, market) = (of.key, of.data.vault, of.owner, of.market);
                gate.need(!of.exists, IN_USE);
                gate.exists(model.markets[market].exists);
                gate.verdict()?;
                model.make(owner, &address, model.rents.provider);
                model.make_purse(owner, &vault, model.markets[market].mint);
                let now = model.time.now.time;
                let of = &mut model.providers[*provider];
                (of.exists, of.registered, of.invested, of.record) = (true, now, 0, [0; 5]);
                of.operators = BTreeSet::from([operator_of(owner)]);
            }
        }
        Ok(())
    }
}

/// A profile with these operators.
pub fn profile(operators: &BTreeSet<Who>) -> ProviderProfile {
    let mut keys = [NOBODY; 4];
    for (slot, who) in keys.iter_mut().zip(operators) {
        *slot = key(*who);
    }
    ProviderProfile { operators: keys, encryption_key: [0; 32], endpoint: "http://127.0.0.1:1".to_owned() }
}
