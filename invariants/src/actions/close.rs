//! The end of accounts.

use super::Pick;
use crate::{
    cast::{Who, key},
    model::{Answer, Gate, Model, Phase, Verdict, gone},
};
use assay_client::ix;
use assay_settlement::{error::AssayError, seeds};
use solana_instruction::Instruction;

/// Seconds that a seed is kept.
const SEED_KEPT: u64 = 30 * 86_400;

/// See the module.
#[derive(Clone, Debug)]
pub enum Closing {
    /// Closes a shard's account, its rent to `to`.
    Shard { job: usize, shard: u32, to: Who },
    /// Closes a job, what is left to the wallet of `to`.
    Job { job: usize, to: Who },
    /// Closes a seed, its rent to `to`.
    Seed { window: u64, to: Who },
}

impl Closing {
    /// One at random.
    pub fn random(pick: &mut Pick) -> Option<Self> {
        Some(match pick.below(6) {
            0..3 => {
                let ended = [Phase::Settled, Phase::Slashed, Phase::Open];
                let (job, shard) = pick.shard(|s| s.payer.is_some() && ended.contains(&s.phase))?;
                let to = pick.model.shard(job, shard).payer.unwrap_or(0);
                Self::Shard { job, shard, to: pick.mostly(to) }
            }
            3..5 => {
                let job = pick.job()?;
                Self::Job { job, to: pick.mostly(pick.model.jobs[job].renter) }
            }
            _ => {
                let windows: Vec<u64> = pick.model.seeds.keys().copied().collect();
                let window = if pick.once_in(2) { pick.one(&windows)? } else { *windows.first()? };
                Self::Seed { window, to: pick.mostly(pick.model.seeds[&window].payer) }
            }
        })
    }

    /// The instruction's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Shard { .. } => "close_shard",
            Self::Job { .. } => "close_job",
            Self::Seed { .. } => "close_seed",
        }
    }

    /// The instruction.
    pub fn instructions(&self, model: &Model) -> Vec<Instruction> {
        vec![match *self {
            Self::Shard { job, shard, to } => ix::close_shard(&model.jobs[job].key, shard, key(to)),
            Self::Job { job, to } => {
                let (j, m) = (&model.jobs[job], &model.markets[model.jobs[job].market]);
                ix::close_job(&j.key, &j.data, &m.key, &m.data, model.wallet(to, j.market))
            }
            Self::Seed { window, to } => ix::close_seed(window, key(to)),
        }]
    }

    /// The rule.
    pub fn apply(&self, model: &mut Model) -> Verdict {
        let mut gate = Gate::default();
        match *self {
            Self::Shard { job, shard, to } => {
                let (of, s) = model.standing(job, shard)?;
                gate.need(s.payer == Some(to), AssayError::WrongRentPayer);
                let done = match s.phase {
                    Phase::Open | Phase::Settled => true,
                    Phase::Slashed => s.seized && s.debts == [0; 3],
                    _ => false,
                };
                let unpaid = !model.challenged(job, shard, Answer::Right).is_empty();
                gate.need(model.terminal(of) && done && !unpaid, AssayError::StillNeeded);
                gate.verdict()?;
                let address = s.key;
                model.unmake(&address, to);
                model.shard_mut(job, shard).payer = None;
                model.jobs[job].cancelled = true;
            }
            Self::Job { job, to } => {
                let of = &model.jobs[job];
                gate.exists(of.exists);
                gate.verdict()?;
                let mut gate = Gate::default();
                gate.need(model.terminal(of) && of.accounts() == 0, AssayError::StillNeeded);
                let (address, vault, payer) = (of.key, of.data.vault, of.payer);
                let (treasury, wallet) = (model.markets[of.market].data.treasury, model.wallet(to, of.market));
                let fees = of.fees;
                let rest = model.held(&vault) - fees;
                gate.need(rest == 0 || to == of.renter, AssayError::WrongTokenOwner);
                model.need_transfer(&mut gate, &vault, &treasury, fees);
                model.need_transfer(&mut gate, &vault, &wallet, rest);
                gate.verdict()?;
                model.transfer(&vault, &treasury, fees);
                model.transfer(&vault, &wallet, rest);
                model.purses.remove(&vault);
                model.unmake(&vault, payer);
                model.unmake(&address, payer);
                model.jobs[job].exists = false;
            }
            Self::Seed { window, to } => {
                let seed = *model.seeds.get(&window).ok_or_else(gone)?;
                gate.need(seed.payer == to, AssayError::WrongRentPayer);
                gate.need(model.time.passed(seed.recorded, SEED_KEPT), AssayError::TooEarly);
                gate.verdict()?;
                model.seeds.remove(&window);
                model.unmake(&seeds::draw_seed(window), to);
            }
        }
        Ok(())
    }
}
