//! What shards and jobs owe, moved by whoever turns the crank.

use super::Pick;
use crate::{
    cast::{self, Who, key},
    model::{Answer, Gate, Mode, Model, Phase, Shard, Verdict},
};
use assay_client::ix;
use assay_settlement::error::AssayError;
use solana_instruction::Instruction;

/// Seconds that an unpaid bounty waits.
const BOUNTY_WAIT: u64 = 30 * 86_400;

/// See the module.
#[derive(Clone, Debug)]
pub enum Paying {
    /// Pays a proven shard.
    Settle { job: usize, shard: u32, provider: usize },
    /// Moves the debts of a slashed shard.
    Seize { job: usize, shard: u32, provider: usize },
    /// Pays its bounty, to the wallet of `to`.
    Bounty { job: usize, shard: u32, provider: usize, to: Who },
    /// Moves what a job does not need, to the wallet of `to`.
    Refund { job: usize, to: Who },
    /// Moves a job's fees.
    Sweep { job: usize },
    /// The renter gives up debts that a frozen vault holds fast.
    Waive { job: usize, shard: u32, provider: usize, by: Who },
}

impl Paying {
    /// One at random.
    pub fn random(pick: &mut Pick) -> Option<Self> {
        Some(match pick.below(15) {
            0..6 => {
                let (job, shard) = pick.shard_in(&[Phase::Sampled])?;
                Self::Settle { job, shard, provider: pick.holder(job, shard) }
            }
            6..8 => {
                let (job, shard) = pick.shard_in(&[Phase::Slashed])?;
                Self::Seize { job, shard, provider: pick.holder(job, shard) }
            }
            8..10 => {
                let (job, shard) = pick.shard_in(&[Phase::Slashed])?;
                let hunter = pick.model.shard(job, shard).hunter.unwrap_or(0);
                Self::Bounty { job, shard, provider: pick.holder(job, shard), to: pick.mostly(hunter) }
            }
            10..13 => {
                let job = pick.job()?;
                Self::Refund { job, to: pick.mostly(pick.model.jobs[job].renter) }
            }
            13 => Self::Sweep { job: pick.job()? },
            _ => {
                let model = pick.model;
                let held_fast = |s: &Shard| {
                    let vault = model.providers.get(s.holder).map(|p| p.data.vault);
                    s.phase == Phase::Slashed && s.lock > 0 && vault.is_some_and(|v| model.frozen(&v))
                };
                let (job, shard) = pick.shard(held_fast)?;
                let by = pick.mostly(pick.model.jobs[job].renter);
                Self::Waive { job, shard, provider: pick.holder(job, shard), by }
            }
        })
    }

    /// The instruction's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Settle { .. } => "settle_shard",
            Self::Seize { .. } => "seize",
            Self::Bounty { .. } => "pay_bounty",
            Self::Refund { .. } => "withdraw_refund",
            Self::Sweep { .. } => "sweep_fees",
            Self::Waive { .. } => "waive_debts",
        }
    }

    /// The instruction.
    pub fn instructions(&self, model: &Model) -> Vec<Instruction> {
        let (jobs, providers) = (&model.jobs, &model.providers);
        vec![match *self {
            Self::Settle { job, shard, provider } => {
                let (j, p) = (&jobs[job], &providers[provider]);
                ix::settle_shard(&j.key, &j.data, &p.key, &p.data, shard)
            }
            Self::Seize { job, shard, provider } => {
                let (j, p) = (&jobs[job], &providers[provider]);
                ix::seize(&j.key, &j.data, &p.key, &p.data, shard)
            }
            Self::Bounty { job, shard, provider, to } => {
                let (j, p) = (&jobs[job], &providers[provider]);
                ix::pay_bounty(&j.key, &j.data, &p.key, &p.data, shard, model.wallet(to, j.market))
            }
            Self::Refund { job, to } => {
                ix::withdraw_refund(&jobs[job].key, &jobs[job].data, model.wallet(to, jobs[job].market))
            }
            Self::Sweep { job } => {
                ix::sweep_fees(&jobs[job].key, &jobs[job].data, &model.markets[jobs[job].market].data)
            }
            Self::Waive { job, shard, provider, by } => {
                let (j, p) = (&jobs[job], &providers[provider]);
                ix::waive_debts(key(by), &j.key, &j.data, &p.key, &p.data, shard)
            }
        }]
    }

    /// The rule.
    pub fn apply(&self, model: &mut Model) -> Verdict {
        match *self {
            Self::Settle { job, shard, provider } => settle(model, (job, shard), provider),
            Self::Seize { job, shard, provider } => seize(model, (job, shard), provider),
            Self::Bounty { job, shard, provider, to } => bounty(model, (job, shard), provider, to),
            Self::Refund { job, to } => refund(model, job, to),
            Self::Waive { job, shard, provider, by } => waive(model, (job, shard), provider, by),
            Self::Sweep { job } => {
                let of = &model.jobs[job];
                let mut gate = Gate::default();
                gate.exists(of.exists);
                gate.verdict()?;
                let mut gate = Gate::default();
                let (vault, treasury, fees) = (of.data.vault, model.markets[of.market].data.treasury, of.fees);
                gate.need(fees > 0, AssayError::NothingOwed);
                model.need_transfer(&mut gate, &vault, &treasury, fees);
                gate.verdict()?;
                model.transfer(&vault, &treasury, fees);
                model.jobs[job].fees = 0;
                Ok(())
            }
        }
    }
}

fn settle(model: &mut Model, at: (usize, u32), provider: usize) -> Verdict {
    let (job, s) = model.standing(at.0, at.1)?;
    let terms = model.markets[job.market].terms;
    let mut gate = Gate::default();
    gate.exists(model.providers[provider].exists);
    gate.need(s.holder == provider, AssayError::WrongProvider);
    let mut delivered = true;
    if s.accepted {
        gate.need(s.judgeable(), AssayError::WrongState);
    } else {
        gate.need(s.phase == Phase::Sampled, AssayError::WrongState);
        let challenged = !model.challenged(at.0, at.1, Answer::Open).is_empty();
        gate.need(s.unanswered().is_empty() && !challenged, AssayError::Unanswered);
        let over = model.time.passed(s.committed, u64::from(terms.challenge_seconds));
        gate.need(over, AssayError::WindowOpen);
        match (job.mode, s.demanded) {
            (Mode::Ledger, Some((at_moment, count))) if model.missing_leaves(at) > 0 => {
                delivered = false;
                let unit = 2 * model.answer(at.0).0;
                let due = u64::from(terms.response_seconds) + unit * count;
                gate.need(model.time.passed(at_moment, due), AssayError::DeliveryOpen);
            }
            (Mode::Attested(silence_pays), _) => delivered = s.attested.unwrap_or(silence_pays),
            _ => {}
        }
    }
    gate.verdict()?;
    let mut gate = Gate::default();
    let (stake, escrow) = (model.providers[provider].data.vault, job.data.vault);
    let price = if delivered { s.price } else { 0 };
    let fee = price * u64::from(terms.fee_bps) / 10_000;
    let (earned, rolled) = (price - fee + s.posted, s.debts[0]);
    // What rolled windows cost is set off against the pay.
    let (pay, charge) = (earned.saturating_sub(rolled), rolled.saturating_sub(earned));
    model.need_transfer(&mut gate, &escrow, &stake, pay);
    model.need_transfer(&mut gate, &stake, &escrow, charge);
    gate.verdict()?;
    model.transfer(&escrow, &stake, pay);
    model.transfer(&stake, &escrow, charge);
    let now = model.time.now;
    let p = &mut model.providers[provider];
    p.staked = p.staked + pay - charge;
    p.record[0] += 1;
    p.record[3] += pay;
    p.record[4] += fee;
    let j = &mut model.jobs[at.0];
    j.fees += fee;
    j.totals[0] += rolled;
    j.totals[1] += pay;
    let s = model.shard_mut(at.0, at.1);
    (s.phase, s.ended, s.debts[0], s.prepaid) = (Phase::Settled, now, 0, 0);
    Ok(())
}

fn seize(model: &mut Model, at: (usize, u32), provider: usize) -> Verdict {
    let (job, s) = model.standing(at.0, at.1)?;
    let mut gate = Gate::default();
    let (stake, escrow) = (model.providers[provider].data.vault, job.data.vault);
    gate.need(s.phase == Phase::Slashed, AssayError::WrongState);
    gate.exists(model.providers[provider].exists);
    gate.need(s.holder == provider, AssayError::WrongProvider);
    let forfeited = if model.time.passed(s.ended, BOUNTY_WAIT) { s.debts[1] } else { 0 };
    let [renter, _, treasury] = s.debts;
    let amount = renter + treasury + forfeited;
    let frozen = model.frozen(&stake) || model.frozen(&escrow);
    gate.need(!s.seized || amount > 0 && !frozen, AssayError::NothingOwed);
    gate.verdict()?;
    let first = !s.seized;
    let s = model.shard_mut(at.0, at.1);
    s.seized = true;
    s.prepaid = 0;
    if !frozen {
        s.debts = [0, s.debts[1] - forfeited, 0];
        s.lock -= amount;
        model.transfer(&stake, &escrow, amount);
        let j = &mut model.jobs[at.0];
        j.fees += treasury + forfeited;
        j.totals[0] += renter;
        model.providers[provider].staked -= amount;
    }
    model.providers[provider].record[1] += u64::from(first);
    Ok(())
}

fn bounty(model: &mut Model, at: (usize, u32), provider: usize, to: Who) -> Verdict {
    let (job, s) = model.standing(at.0, at.1)?;
    let mut gate = Gate::default();
    let (stake, wallet) = (model.providers[provider].data.vault, cast::wallet(to, model.markets[job.market].mint));
    gate.need(s.phase == Phase::Slashed, AssayError::WrongState);
    gate.exists(model.providers[provider].exists);
    gate.need(s.holder == provider, AssayError::WrongProvider);
    gate.need(s.hunter == Some(to), AssayError::WrongTokenOwner);
    let amount = s.debts[1];
    gate.need(amount > 0, AssayError::NothingOwed);
    gate.verdict()?;
    let mut gate = Gate::default();
    model.need_transfer(&mut gate, &stake, &wallet, amount);
    gate.verdict()?;
    model.transfer(&stake, &wallet, amount);
    model.providers[provider].staked -= amount;
    let s = model.shard_mut(at.0, at.1);
    s.debts[1] = 0;
    s.lock -= amount;
    Ok(())
}

fn refund(model: &mut Model, job: usize, to: Who) -> Verdict {
    let of = &model.jobs[job];
    let mut gate = Gate::default();
    gate.exists(of.exists);
    gate.verdict()?;
    let mut gate = Gate::default();
    let (vault, wallet) = (of.data.vault, model.wallet(to, of.market));
    gate.need(to == of.renter, AssayError::WrongTokenOwner);
    let amount = model.held(&vault) - model.kept(of);
    gate.need(amount > 0, AssayError::NothingOwed);
    model.need_transfer(&mut gate, &vault, &wallet, amount);
    gate.verdict()?;
    let closed = model.closed(of);
    model.transfer(&vault, &wallet, amount);
    model.jobs[job].cancelled |= closed;
    Ok(())
}

fn waive(model: &mut Model, at: (usize, u32), provider: usize, by: Who) -> Verdict {
    let (job, s) = model.standing(at.0, at.1)?;
    let mut gate = Gate::default();
    gate.exists(model.providers[provider].exists);
    gate.need(by == job.renter, AssayError::NotAuthorized);
    gate.need(s.holder == provider, AssayError::WrongProvider);
    gate.need(s.phase == Phase::Slashed, AssayError::WrongState);
    let frozen = model.frozen(&job.data.vault) || model.frozen(&model.providers[provider].data.vault);
    gate.need(frozen, AssayError::NotFrozen);
    gate.need(s.seized && (s.debts[1] == 0 || model.time.passed(s.ended, BOUNTY_WAIT)), AssayError::StillNeeded);
    gate.need(s.lock > 0, AssayError::NothingOwed);
    gate.verdict()?;
    let s = model.shard_mut(at.0, at.1);
    (s.lock, s.debts) = (0, [0; 3]);
    Ok(())
}
