//! Challenges: cells demanded under a bond, and what becomes of the bond.

use super::Pick;
use crate::{
    cast::{Who, key},
    model::{Answer, Challenge, Gate, Model, Phase, Place, Verdict, gone},
};
use assay_client::ix;
use assay_settlement::{constants::NOBODY, error::AssayError, seeds};
use bytemuck::Zeroable;
use solana_instruction::Instruction;

/// See the module.
#[derive(Clone, Debug)]
pub enum Challenging {
    /// Somebody demands a cell.
    Open { job: usize, shard: u32, cell: u64, provider: usize, by: Who, payer: Who },
    /// Divides the bond of an answered one.
    Pay { job: usize, shard: u32, cell: u64 },
    /// Gives a bond back, to the wallet of `to`.
    Return { job: usize, shard: u32, cell: u64, to: Who },
    /// Slashes for one past its due time.
    Slash { job: usize, shard: u32, cell: u64, by: Who },
}

impl Challenging {
    /// One at random.
    pub fn random(pick: &mut Pick) -> Option<Self> {
        let known: Vec<(usize, u32, u64)> = pick.model.challenges.keys().copied().collect();
        let kind = pick.below(10);
        if kind < 5 || known.is_empty() {
            return Self::open(pick);
        }
        let (job, shard, cell) = pick.one(&known)?;
        let away = !pick.model.providers[pick.model.challenges[&(job, shard, cell)].provider].exists;
        // Some bonds are still out when a provider comes back.
        if away && !pick.once_in(5) {
            return None;
        }
        Some(match kind {
            5 | 6 => Self::Pay { job, shard, cell },
            7 | 8 => {
                let by = pick.model.challenges[&(job, shard, cell)].by;
                Self::Return { job, shard, cell, to: pick.mostly(by) }
            }
            _ => Self::Slash { job, shard, cell, by: pick.crank() },
        })
    }

    fn open(pick: &mut Pick) -> Option<Self> {
        let (job, shard) = pick.shard_in_window(|_| true)?;
        let cells = pick.model.kind(job).count(shard);
        let s = pick.model.shard(job, shard);
        let (wrong, drawn) = (s.work.as_ref().and_then(|w| w.wrong.last().copied()), s.drawn.first().map(|d| d.cell));
        let cell = match pick.below(10) {
            0..4 => wrong,
            4 => drawn,
            5 => Some(cells),
            _ => None,
        };
        let cell = cell.unwrap_or_else(|| pick.below(cells));
        let provider = pick.holder(job, shard);
        let by = if pick.once_in(3) { pick.model.jobs[job].renter } else { pick.anyone() };
        let payer = if pick.once_in(4) { pick.anyone() } else { by };
        Some(Self::Open { job, shard, cell, provider, by, payer })
    }

    /// The instruction's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open_challenge",
            Self::Pay { .. } => "pay_challenge",
            Self::Return { .. } => "return_bond",
            Self::Slash { .. } => "slash_unanswered",
        }
    }

    /// The instruction.
    pub fn instructions(&self, model: &Model) -> Vec<Instruction> {
        vec![match *self {
            Self::Open { job, shard, cell, provider, by, payer } => {
                let j = &model.jobs[job];
                let (p, source) = (&model.providers[provider].key, model.wallet(by, j.market));
                ix::open_challenge(key(by), key(payer), &j.key, &j.data, p, shard, source, cell)
            }
            Self::Pay { job, shard, cell } => {
                let (address, data) = account(model, job, shard, cell);
                let p = model.providers.iter().find(|p| p.key == data.provider).map(|p| &*p.data);
                ix::pay_challenge(&address, &data, &model.jobs[job].data, p)
            }
            Self::Return { job, shard, cell, to } => {
                let (address, data) = account(model, job, shard, cell);
                ix::return_bond(&address, &data, model.wallet(to, model.jobs[job].market))
            }
            Self::Slash { job, shard, cell, by } => ix::slash_challenged(key(by), &model.jobs[job].key, shard, cell),
        }]
    }

    /// The rule.
    pub fn apply(&self, model: &mut Model) -> Verdict {
        match *self {
            Self::Open { job, shard, cell, provider, by, payer } => {
                open(model, (job, shard), cell, provider, by, payer)
            }
            Self::Pay { job, shard, cell } => pay(model, (job, shard), cell),
            Self::Return { job, shard, cell, to } => give_back(model, (job, shard), cell, to),
            Self::Slash { job, shard, cell, by: _ } => slash(model, (job, shard), cell),
        }
    }
}

/// What a caller has to know of a challenge; of one that is not there, what it would be.
fn account(model: &Model, job: usize, shard: u32, cell: u64) -> (solana_pubkey::Pubkey, assay_settlement::Challenge) {
    let j = &model.jobs[job];
    let s = &j.shards[shard as usize];
    let known = model.challenges.get(&(job, shard, cell));
    let address = known.map_or_else(|| seeds::challenge(&s.key, cell), |c| c.key);
    let provider = known.map_or(s.holder, |c| c.provider);
    let data = assay_settlement::Challenge {
        job: j.key,
        shard: s.key,
        provider: model.providers.get(provider).map_or(NOBODY, |p| p.key),
        vault: seeds::bond(&address),
        mint: j.data.terms.mint,
        token_program: j.data.terms.token_program,
        rent_payer: known.map_or(NOBODY, |c| key(c.payer)),
        ..assay_settlement::Challenge::zeroed()
    };
    (address, data)
}

fn open(model: &mut Model, at: (usize, u32), cell: u64, provider: usize, by: Who, payer: Who) -> Verdict {
    let (job, s) = model.standing(at.0, at.1)?;
    let terms = model.markets[job.market].terms;
    let mut gate = Gate::default();
    gate.exists(model.providers[provider].exists);
    gate.need(s.holder == provider, AssayError::WrongProvider);
    gate.need(s.judgeable(), AssayError::WrongState);
    gate.need(!s.accepted, AssayError::Accepted);
    let over = model.time.passed(s.committed, u64::from(terms.challenge_seconds));
    gate.need(!over, AssayError::WindowOver);
    gate.need(!job.restricted || by == job.renter, AssayError::ChallengeRestricted);
    gate.need(cell < model.kind(at.0).count(at.1), AssayError::NoSuchCell);
    let answered = s.drawn.iter().chain(&s.named).any(|d| d.cell == cell && d.answered);
    gate.need(!answered, AssayError::AlreadyAnswered);
    gate.need(!model.challenges.contains_key(&(at.0, at.1, cell)), AssayError::AlreadyChallenged);
    let (transactions, kib) = model.answer(at.0);
    let bond = terms.bond_base + terms.bond_per_kib * kib;
    let (source, address) = (model.wallet(by, job.market), seeds::challenge(&s.key, cell));
    let vault = seeds::bond(&address);
    model.need_transfer(&mut gate, &source, &vault, bond);
    gate.verdict()?;
    let (now, unit) = (model.time.now, 2 * transactions);
    let mint = model.markets[job.market].mint;
    let seconds = u64::from(terms.response_seconds) + model.loaded(provider) + model.queued(provider) + unit;
    model.make(payer, &address, model.rents.challenge);
    model.make_purse(payer, &vault, mint);
    model.transfer(&source, &vault, bond);
    model.places.insert(address, Place::Challenge(at.0, at.1, cell));
    let answer = Answer::Open;
    let challenge = Challenge { key: address, vault, by, payer, provider, answer, bond, opened: now, unit, seconds };
    model.challenges.insert((at.0, at.1, cell), challenge);
    model.shard_mut(at.0, at.1).waiting += 1;
    Ok(())
}

fn pay(model: &mut Model, at: (usize, u32), cell: u64) -> Verdict {
    let (job, _) = model.standing(at.0, at.1)?;
    let c = *model.challenges.get(&(at.0, at.1, cell)).ok_or_else(gone)?;
    let mut gate = Gate::default();
    gate.need(c.answer == Answer::Right, AssayError::ChallengeOpen);
    gate.verdict()?;
    let mut gate = Gate::default();
    let p = &model.providers[c.provider];
    let half = if p.exists { c.bond / 2 } else { 0 };
    let (stake, escrow, rest) = (p.data.vault, job.data.vault, model.held(&c.vault) - half);
    model.need_transfer(&mut gate, &c.vault, &stake, half);
    model.need_transfer(&mut gate, &c.vault, &escrow, rest);
    gate.verdict()?;
    model.transfer(&c.vault, &stake, half);
    model.transfer(&c.vault, &escrow, rest);
    model.providers[c.provider].staked += half;
    model.providers[c.provider].record[3] += half;
    model.jobs[at.0].totals[0] += c.bond - half;
    end(model, at, cell);
    Ok(())
}

fn give_back(model: &mut Model, at: (usize, u32), cell: u64, to: Who) -> Verdict {
    let c = *model.challenges.get(&(at.0, at.1, cell)).ok_or_else(gone)?;
    let s = model.shard(at.0, at.1);
    let waited = s.accepted && model.time.passed(c.opened, 30 * 86_400);
    let ended = s.payer.is_none() || waited || matches!(s.phase, Phase::Settled | Phase::Slashed);
    let mut gate = Gate::default();
    gate.need(c.answer != Answer::Right, AssayError::ChallengeAnswered);
    gate.need(c.answer == Answer::Won || ended, AssayError::ChallengeOpen);
    gate.need(to == c.by, AssayError::WrongTokenOwner);
    let wallet = model.wallet(to, model.jobs[at.0].market);
    model.need_transfer(&mut gate, &c.vault, &wallet, model.held(&c.vault));
    gate.verdict()?;
    model.transfer(&c.vault, &wallet, model.held(&c.vault));
    end(model, at, cell);
    Ok(())
}

/// A challenge and its vault go.
fn end(model: &mut Model, at: (usize, u32), cell: u64) {
    let c = model.challenges.remove(&(at.0, at.1, cell)).unwrap();
    model.purses.remove(&c.vault);
    model.unmake(&c.vault, c.payer);
    model.unmake(&c.key, c.payer);
}

fn slash(model: &mut Model, at: (usize, u32), cell: u64) -> Verdict {
    let (_, s) = model.standing(at.0, at.1)?;
    let c = *model.challenges.get(&(at.0, at.1, cell)).ok_or_else(gone)?;
    let mut gate = Gate::default();
    gate.need(s.judgeable(), AssayError::WrongState);
    gate.need(!s.accepted, AssayError::Accepted);
    gate.need(c.answer == Answer::Open, AssayError::NothingUnanswered);
    gate.need(model.time.passed(c.opened, c.seconds), AssayError::TooEarly);
    gate.verdict()?;
    super::draw::slash(model, at, crate::model::Fault::Late, c.by);
    model.challenges.get_mut(&(at.0, at.1, cell)).unwrap().answer = Answer::Won;
    Ok(())
}
