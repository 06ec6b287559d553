//! Claims, given back, expired or committed.

use super::Pick;
use crate::{
    cast::{Manner, Who, key, operator_of},
    model::{Gate, Model, Phase, Shard, Verdict, Work},
};
use assay_client::{answer::ShardTree, ix};
use assay_settlement::error::AssayError;
use solana_instruction::Instruction;
use std::rc::Rc;

/// See the module.
#[derive(Clone, Debug)]
pub enum Claiming {
    /// An operator claims a shard, under the right terms or others.
    Claim { job: usize, shard: u32, provider: usize, by: Who, least: u64, right_terms: bool },
    /// An operator gives it back.
    Release { job: usize, shard: u32, provider: usize, by: Who },
    /// Anybody ends an overdue claim.
    Expire { job: usize, shard: u32, provider: usize, by: Who },
    /// An operator commits a root.
    Commit { job: usize, shard: u32, provider: usize, by: Who, work: Rc<Work> },
}

/// What an honest provider commits.
pub fn right_work(model: &Model, job: usize, shard: u32, provider: usize) -> Rc<Work> {
    wrong_work(model, job, shard, provider, &[])
}

fn wrong_work(model: &Model, job: usize, shard: u32, provider: usize, wrong: &[u64]) -> Rc<Work> {
    let of = &model.jobs[job];
    let bytes = model.kind(job).bytes(shard, wrong);
    let tree =
        ShardTree::new(&of.data.terms, shard, &of.shards[shard as usize].key, &model.providers[provider].key, bytes);
    let tree = tree.unwrap();
    Rc::new(Work { root: tree.root(), tree: Some(tree), wrong: wrong.iter().copied().collect() })
}

/// What the price of a shard is now: a straight line from the first to the last.
fn price(model: &Model, job: usize, shard: &Shard) -> u64 {
    let of = &model.jobs[job];
    let from = if shard.claims == 0 { of.created.time } else { shard.ramp_from };
    let elapsed = u128::try_from((model.time.now.time - from).max(0)).unwrap();
    let (start, last) = of.prices;
    if elapsed >= u128::from(of.ramp) {
        return last;
    }
    start + u64::try_from(u128::from(last - start) * elapsed / u128::from(of.ramp)).unwrap()
}

/// What is locked for a price: so many basis points of A x price, each rounded up.
fn collateral(model: &Model, job: usize, price: u64) -> u64 {
    let terms = &model.markets[model.jobs[job].market].terms;
    let amplified = (price * model.kernel(job).amplification).div_ceil(10_000);
    (amplified * u64::from(terms.collateral_bps)).div_ceil(10_000)
}

impl Claiming {
    /// One at random. Honest providers only claim here; what follows they do in their own time.
    pub fn random(pick: &mut Pick) -> Option<Self> {
        match pick.below(10) {
            0..5 => Self::claim(pick),
            5..8 => Self::commit(pick),
            8 => {
                let (job, shard) = pick.shard_in(&[Phase::Claimed])?;
                let provider = pick.holder(job, shard);
                let of = &pick.model.providers[provider];
                let (honest, by) = (of.manner() == Manner::Honest, operator_of(of.owner));
                // An honest operator that gives a claim back pays for it, which is none of the wrongs looked for here.
                let by = if honest { crate::cast::STRANGER } else { pick.mostly(by) };
                let foreign = model_operates(pick.model, provider, by) && honest;
                if foreign || pick.once_in(2) { None } else { Some(Self::Release { job, shard, provider, by }) }
            }
            _ => {
                let (job, shard) = pick.shard_in(&[Phase::Claimed])?;
                Some(Self::Expire { job, shard, provider: pick.holder(job, shard), by: pick.crank() })
            }
        }
    }

    fn claim(pick: &mut Pick) -> Option<Self> {
        let (job, shard) = pick.shard_to_claim()?;
        let of = &pick.model.jobs[job];
        let provider = if pick.once_in(20) {
            pick.provider()
        } else {
            let here: Vec<usize> =
                (0..pick.model.providers.len()).filter(|p| pick.model.providers[*p].market == of.market).collect();
            match of.reserved {
                Some(provider) if !pick.once_in(4) => provider,
                _ => pick.one(&here)?,
            }
        };
        let by = pick.mostly(operator_of(pick.model.providers[provider].owner));
        let least = if pick.once_in(12) { of.prices.1 + 1 } else { pick.below(of.prices.0 + 1) };
        Some(Self::Claim { job, shard, provider, by, least, right_terms: !pick.once_in(25) })
    }

    fn commit(pick: &mut Pick) -> Option<Self> {
        let (job, shard) = pick.shard(|s| s.phase == Phase::Claimed)?;
        let provider = pick.holder(job, shard);
        let of = &pick.model.providers[provider];
        if of.manner() == Manner::Honest {
            return None;
        }
        let cells = pick.model.kind(job).count(shard);
        let by = pick.mostly(operator_of(of.owner));
        let nothing = |root: [u8; 32]| Rc::new(Work { root, tree: None, wrong: Default::default() });
        let work = match (of.manner(), pick.below(8)) {
            (Manner::Forger, 0..4) => {
                let wrong = [pick.below(cells)];
                wrong_work(pick.model, job, shard, provider, &wrong)
            }
            (Manner::Forger, _) => {
                let share = 1 + pick.below(3);
                let wrong: Vec<u64> = (0..cells).filter(|_| pick.below(4) < share).collect();
                wrong_work(pick.model, job, shard, provider, &wrong)
            }
            (Manner::Griefer, 0..2) => nothing([7; 32]),
            // The root that another provider committed elsewhere, or would have.
            (Manner::Griefer, 2..4) => {
                let other = (provider + 1) % pick.model.providers.len();
                nothing(right_work(pick.model, job, shard, other).root)
            }
            _ => right_work(pick.model, job, shard, provider),
        };
        Some(Self::Commit { job, shard, provider, by, work })
    }

    /// The instruction's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Claim { .. } => "claim_shard",
            Self::Release { .. } => "release_claim",
            Self::Expire { .. } => "expire_claim",
            Self::Commit { .. } => "commit_result",
        }
    }

    /// The instruction.
    pub fn instructions(&self, model: &Model) -> Vec<Instruction> {
        let (jobs, providers) = (&model.jobs, &model.providers);
        vec![match self {
            Self::Claim { job, shard, provider, by, least, right_terms } => {
                let mut data = *jobs[*job].data;
                if !right_terms {
                    data.terms_hash[0] ^= 1;
                }
                ix::claim_shard(key(*by), &jobs[*job].key, &data, &providers[*provider].key, *shard, *least)
            }
            Self::Release { job, shard, provider, by } => {
                let (j, p) = (&jobs[*job], &providers[*provider]);
                ix::release_claim(key(*by), &j.key, &j.data, &p.key, &p.data, *shard)
            }
            Self::Expire { job, shard, provider, by } => {
                let (j, p) = (&jobs[*job], &providers[*provider]);
                ix::expire_claim(key(*by), &j.key, &j.data, &p.key, &p.data, *shard)
            }
            Self::Commit { job, shard, provider, by, work } => {
                ix::commit_result(key(*by), &jobs[*job].key, &providers[*provider].key, *shard, work.root)
            }
        }]
    }

    /// The rule.
    pub fn apply(&self, model: &mut Model) -> Verdict {
        match self {
            Self::Claim { job, shard, provider, by, least, right_terms } => {
                claim(model, (*job, *shard), *provider, *by, *least, *right_terms)
            }
            Self::Release { job, shard, provider, by } => give_back(model, (*job, *shard), *provider, Some(*by)),
            Self::Expire { job, shard, provider, .. } => give_back(model, (*job, *shard), *provider, None),
            Self::Commit { job, shard, provider, by, work } => {
                let (_, s) = model.standing(*job, *shard)?;
                let mut gate = Gate::default();
                gate.need(s.phase == Phase::Claimed, AssayError::WrongState);
                gate.need(s.holder == *provider, AssayError::WrongProvider);
                gate.exists(model.providers[*provider].exists);
                gate.need(model_operates(model, *provider, *by), AssayError::NotAuthorized);
                gate.verdict()?;
                let now = model.time.now;
                let s = model.shard_mut(*job, *shard);
                s.phase = Phase::Committed;
                s.committed = now;
                // The first window that begins at least 32 slots from now.
                s.window = (now.slot + 32).div_ceil(64);
                s.work = Some(work.clone());
                Ok(())
            }
        }
    }
}

fn model_operates(model: &Model, provider: usize, who: Who) -> bool {
    model.providers[provider].operators.contains(&who)
}

fn claim(model: &mut Model, at: (usize, u32), provider: usize, by: Who, least: u64, right_terms: bool) -> Verdict {
    let of = &model.jobs[at.0];
    let mut gate = Gate::default();
    gate.exists(of.exists);
    gate.need(!model.markets[of.market].paused, AssayError::MarketPaused);
    let s = of.shards.get(at.1 as usize).ok_or_else(|| vec![AssayError::NoSuchShard.into()])?;
    let taken = matches!(s.phase, Phase::Claimed | Phase::Committed | Phase::Sampled);
    gate.need(!taken || s.payer.is_none(), AssayError::ShardClaimed);
    gate.need(!matches!(s.phase, Phase::Settled | Phase::Slashed) || s.payer.is_none(), AssayError::WrongState);
    let expired = model.time.now.time >= of.created.time + i64::from(of.life);
    gate.need(!of.cancelled && !expired && of.open() > 0, AssayError::JobClosed);
    gate.exists(model.providers[provider].exists);
    gate.need(right_terms, AssayError::TermsChanged);
    gate.need(model.providers[provider].market == of.market, AssayError::WrongMarket);
    gate.need(model_operates(model, provider, by), AssayError::NotAuthorized);
    gate.need(of.reserved.is_none_or(|p| p == provider), AssayError::Reserved);
    let price = price(model, at.0, s);
    let lock = collateral(model, at.0, price);
    gate.need(price >= least, AssayError::PriceTooLow);
    gate.need(model.locked(provider).0 + lock <= model.providers[provider].staked, AssayError::StakeTooSmall);
    let loaded = model.loaded(provider) + model.load(at.0);
    gate.need(loaded < model.load_limit(of.market), AssayError::ProviderLoaded);
    gate.verdict()?;
    let (key, created, now, rent) = (s.key, of.created, model.time.now, model.rents.shard);
    if s.payer.is_none() {
        model.make(by, &key, rent);
        model.shard_mut(at.0, at.1).payer = Some(by);
    }
    let s = model.shard_mut(at.0, at.1);
    if s.claims == 0 {
        s.ramp_from = created.time;
    }
    (s.phase, s.holder, s.price, s.lock, s.claimed) = (Phase::Claimed, provider, price, lock, now);
    s.claims += 1;
    Ok(())
}

fn give_back(model: &mut Model, at: (usize, u32), provider: usize, released_by: Option<Who>) -> Verdict {
    let (job, s) = model.standing(at.0, at.1)?;
    let terms = model.markets[job.market].terms;
    let mut gate = Gate::default();
    gate.need(s.phase == Phase::Claimed, AssayError::WrongState);
    gate.need(s.holder == provider, AssayError::WrongProvider);
    gate.exists(model.providers[provider].exists);
    let held = (model.time.now.time - s.claimed.time).max(0);
    let bps = match released_by {
        Some(by) => {
            gate.need(model_operates(model, provider, by), AssayError::NotAuthorized);
            let (low, high) = (u64::from(terms.release_min_bps), u64::from(terms.release_max_bps));
            let whole = u64::from(job.execute);
            low + (high - low) * u64::try_from(held).unwrap().min(whole) / whole
        }
        None => {
            gate.need(model.time.passed(s.claimed, u64::from(job.execute)), AssayError::TooEarly);
            u64::from(terms.expiry_bps)
        }
    };
    gate.verdict()?;
    let (stake, escrow) = (model.providers[provider].data.vault, job.data.vault);
    let frozen = model.frozen(&stake) || model.frozen(&escrow);
    let penalty = if frozen { 0 } else { (s.price * bps).div_ceil(10_000).min(s.lock) };
    model.transfer(&stake, &escrow, penalty);
    model.providers[provider].staked -= penalty;
    model.providers[provider].record[2] += 1;
    model.jobs[at.0].totals[0] += penalty;
    let s = model.shard_mut(at.0, at.1);
    s.ramp_from += held;
    (s.phase, s.price, s.lock) = (Phase::Open, 0, 0);
    Ok(())
}
