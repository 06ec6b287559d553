//! Pausing a market and taking its fees out.

use super::Pick;
use crate::{
    cast::{AUTHORITY, HEIR, Who, key},
    model::{Gate, Model, Verdict},
};
use assay_client::ix;
use assay_settlement::{constants::NOBODY, error::AssayError};
use solana_instruction::Instruction;

/// See the module.
#[derive(Clone, Debug)]
pub enum Governing {
    /// Stops or resumes new jobs and claims.
    Pause { market: usize, by: Who, on: bool },
    /// Moves fees to the caller.
    Withdraw { market: usize, by: Who, amount: u64 },
    /// Names the next authority, or nobody.
    Propose { market: usize, by: Who, heir: Option<Who> },
    /// Becomes the authority.
    Accept { market: usize, by: Who },
    /// Closes a market without jobs and providers; what is left goes to the caller.
    Close { market: usize, by: Who },
}

impl Governing {
    /// One at random. A market does not stay paused for long.
    pub fn random(pick: &mut Pick) -> Self {
        let market = pick.market();
        let by = pick.mostly(pick.model.markets[market].authority);
        match pick.below(10) {
            0 => return Self::Close { market, by },
            1 | 2 => {
                let heir = if pick.once_in(3) { None } else { Some(if pick.once_in(2) { HEIR } else { AUTHORITY }) };
                return Self::Propose { market, by, heir };
            }
            3 | 4 => {
                let heir = pick.model.markets[market].heir.unwrap_or(by);
                return Self::Accept { market, by: pick.mostly(heir) };
            }
            _ => {}
        }
        if pick.once_in(2) {
            let on = !pick.model.markets[market].paused && pick.once_in(4);
            return Self::Pause { market, by, on };
        }
        let held = pick.model.held(&pick.model.markets[market].data.treasury);
        Self::Withdraw { market, by, amount: if pick.once_in(8) { held + 1 } else { pick.below(held + 1) } }
    }

    /// The instruction's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pause { .. } => "set_paused",
            Self::Withdraw { .. } => "withdraw_treasury",
            Self::Propose { .. } => "propose_authority",
            Self::Accept { .. } => "accept_authority",
            Self::Close { .. } => "close_market",
        }
    }

    /// The instruction.
    pub fn instructions(&self, model: &Model) -> Vec<Instruction> {
        vec![match *self {
            Self::Pause { market, by, on } => ix::set_paused(key(by), model.markets[market].key, on),
            Self::Withdraw { market, by, amount } => {
                let of = &model.markets[market];
                ix::withdraw_treasury(key(by), &of.key, &of.data, model.wallet(by, market), amount)
            }
            Self::Propose { market, by, heir } => {
                ix::propose_authority(key(by), model.markets[market].key, heir.map_or(NOBODY, key))
            }
            Self::Accept { market, by } => ix::accept_authority(key(by), model.markets[market].key),
            Self::Close { market, by } => {
                let of = &model.markets[market];
                ix::close_market(key(by), &of.key, &of.data, model.wallet(by, market))
            }
        }]
    }

    /// The rule.
    pub fn apply(&self, model: &mut Model) -> Verdict {
        let mut gate = Gate::default();
        match *self {
            Self::Pause { market, by, on } => {
                gate.exists(model.markets[market].exists);
                gate.need(by == model.markets[market].authority, AssayError::NotAuthorized);
                gate.verdict()?;
                model.markets[market].paused = on;
            }
            Self::Withdraw { market, by, amount } => {
                let (treasury, to) = (model.markets[market].data.treasury, model.wallet(by, market));
                gate.exists(model.markets[market].exists);
                gate.need(by == model.markets[market].authority, AssayError::NotAuthorized);
                gate.need(amount > 0, AssayError::ZeroAmount);
                model.need_transfer(&mut gate, &treasury, &to, amount);
                gate.verdict()?;
                model.transfer(&treasury, &to, amount);
            }
            Self::Propose { market, by, heir } => {
                gate.exists(model.markets[market].exists);
                gate.need(by == model.markets[market].authority, AssayError::NotAuthorized);
                gate.verdict()?;
                model.markets[market].heir = heir;
            }
            Self::Accept { market, by } => {
                gate.exists(model.markets[market].exists);
                gate.need(model.markets[market].heir == Some(by), AssayError::NotProposed);
                gate.verdict()?;
                model.markets[market].authority = by;
                model.markets[market].heir = None;
            }
            Self::Close { market, by } => {
                let of = &model.markets[market];
                gate.exists(of.exists);
                gate.need(by == of.authority, AssayError::NotAuthorized);
                let jobs = model.jobs.iter().any(|j| j.exists && j.market == market);
                let providers = model.providers.iter().any(|p| p.exists && p.market == market);
                gate.need(!jobs && !providers, AssayError::StillNeeded);
                gate.verdict()?;
                let mut gate = Gate::default();
                let (address, treasury, to) = (of.key, of.data.treasury, model.wallet(by, market));
                let left = model.held(&treasury);
                model.need_transfer(&mut gate, &treasury, &to, left);
                gate.verdict()?;
                model.transfer(&treasury, &to, left);
                model.purses.remove(&treasury);
                model.unmake(&treasury, AUTHORITY);
                model.unmake(&address, AUTHORITY);
                model.markets[market].exists = false;
            }
        }
        Ok(())
    }
}
