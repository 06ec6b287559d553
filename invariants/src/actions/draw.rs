//! Which cells must be proven: seeds, draws, rolled windows, and the renter's choice.

use super::Pick;
use crate::{
    cast::{Who, key},
    kind::Cell,
    model::{Demand, Fault, Gate, Model, Phase, Seed, Verdict, gate},
    time::View,
};
use assay_client::ix;
use assay_kernels::hash::sha256;
use assay_settlement::{error::AssayError, seeds};
use solana_instruction::Instruction;

/// See the module.
#[derive(Clone, Debug)]
pub enum Drawing {
    /// Records the seed of a window.
    Record { window: u64, by: Who },
    /// Draws a shard's cells from the seed of a window.
    Draw { job: usize, shard: u32, window: u64 },
    /// Replaces a window that aged out.
    Roll { job: usize, shard: u32, window: u64, by: Who },
    /// Names cells.
    Name { job: usize, shard: u32, cells: Vec<u64>, by: Who },
}

impl Drawing {
    /// One at random.
    pub fn random(pick: &mut Pick) -> Option<Self> {
        let kind = pick.below(10);
        if kind >= 7 {
            return Self::name_cells(pick);
        }
        let (job, shard) = pick.shard_in(&[Phase::Committed])?;
        let mut window = pick.model.shard(job, shard).window;
        if pick.once_in(20) {
            window = (window + pick.below(3)).saturating_sub(1);
        }
        Some(match kind {
            0..2 => Self::Record { window, by: pick.crank() },
            2..5 => Self::Draw { job, shard, window },
            _ => Self::Roll { job, shard, window, by: pick.crank() },
        })
    }

    fn name_cells(pick: &mut Pick) -> Option<Self> {
        let (job, shard) = pick.shard_in_window(|s| s.named.is_empty())?;
        let of = &pick.model.jobs[job];
        let by = match of.watcher {
            Some(watcher) if pick.once_in(2) => watcher,
            _ => of.renter,
        };
        let most = u64::from(pick.model.markets[of.market].terms.named);
        let count = if pick.once_in(10) { pick.below(most + 3) } else { 1 + pick.below(most.max(1)) };
        let cells = pick.model.kind(job).count(shard) + u64::from(pick.once_in(12));
        // Half of the time the renter knows what is wrong.
        let wrong = pick.model.shard(job, shard).work.as_ref().and_then(|w| w.wrong.first().copied());
        let mut named: Vec<u64> = (0..count).map(|_| pick.below(cells)).collect();
        if let (Some(slot), Some(cell), true) = (named.first_mut(), wrong, pick.once_in(2)) {
            *slot = cell;
        }
        Some(Self::Name { job, shard, cells: named, by: pick.mostly(by) })
    }

    /// The instruction's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Record { .. } => "record_seed",
            Self::Draw { .. } => "draw_samples",
            Self::Roll { .. } => "roll_window",
            Self::Name { .. } => "name_cells",
        }
    }

    /// The instruction.
    pub fn instructions(&self, model: &Model) -> Vec<Instruction> {
        vec![match self {
            Self::Record { window, by } => ix::record_seed(key(*by), *window),
            Self::Draw { job, shard, window } => ix::draw_samples(&model.jobs[*job].key, *shard, *window),
            Self::Roll { job, shard, window, by } => ix::roll_window(key(*by), &model.jobs[*job].key, *shard, *window),
            Self::Name { job, shard, cells, by } => {
                ix::name_cells(key(*by), &model.jobs[*job].key, *shard, cells.clone())
            }
        }]
    }

    /// The rule.
    pub fn apply(&self, model: &mut Model) -> Verdict {
        match self {
            Self::Record { window, by } => record(model, *window, *by),
            Self::Draw { job, shard, window } => draw(model, (*job, *shard), *window),
            Self::Roll { job, shard, window, by } => roll(model, (*job, *shard), *window, *by),
            Self::Name { job, shard, cells, by } => name(model, (*job, *shard), cells, *by),
        }
    }
}

fn record(model: &mut Model, window: u64, by: Who) -> Verdict {
    let mut gate = Gate::default();
    gate.need(!model.seeds.contains_key(&window), gate::IN_USE);
    let view = model.time.view(window);
    gate.need(view != View::TooEarly, AssayError::DrawTooEarly);
    gate.need(view != View::AgedOut, AssayError::DrawAgedOut);
    gate.verdict()?;
    let View::Ready(seed) = view else { unreachable!("the gate let nothing else through") };
    let address = seeds::draw_seed(window);
    model.make(by, &address, model.rents.seed);
    model.seeds.insert(window, Seed { payer: by, recorded: model.time.now, seed });
    model.places.insert(address, crate::model::Place::Seed(window));
    Ok(())
}

/// The cells that a seed draws: all where there are at most k. With stages the first draws take one cell of each, any
/// with the same chance; the others take a cell by what it costs. A stage without a cell in the shard leaves its draw to
/// the others.
fn drawn(seed: &[u8; 32], shard: &[u8], root: &[u8; 32], k: u8, cells: &[Cell], stages: u32) -> Vec<u64> {
    if cells.len() <= usize::from(k) {
        return (0..cells.len() as u64).collect();
    }
    let share = |x: u64, of: u64| u64::try_from((u128::from(x) * u128::from(of)) >> 64).unwrap();
    let all = || (0u64..).zip(cells);
    let one = |i: u8| {
        let digest = sha256(&[b"assay:draw:v1", seed, shard, root, &[i]]);
        let x = u64::from_le_bytes(*digest.first_chunk().unwrap());
        let staged = stages > 1 && u32::from(i) < stages;
        let of_stage: Vec<u64> =
            all().filter(|(_, cell)| staged && cell.stage == u32::from(i)).map(|(number, _)| number).collect();
        if !of_stage.is_empty() {
            return of_stage[usize::try_from(share(x, of_stage.len() as u64)).unwrap()];
        }
        let mut left = share(x, cells.iter().map(|cell| cell.cost).sum());
        for (number, cell) in all() {
            match left.checked_sub(cell.cost) {
                Some(rest) => left = rest,
                None => return number,
            }
        }
        unreachable!("a share of the cost lies below it")
    };
    (0..k).map(one).collect()
}

fn draw(model: &mut Model, at: (usize, u32), window: u64) -> Verdict {
    let (_, s) = model.standing(at.0, at.1)?;
    let seed = model.seeds.get(&window).ok_or_else(crate::model::gone)?;
    let mut gate = Gate::default();
    gate.need(s.phase == Phase::Committed, AssayError::WrongState);
    gate.need(s.window == window, AssayError::WrongWindow);
    gate.verdict()?;
    let root = s.work.as_ref().unwrap().root;
    let (kind, k) = (model.kind(at.0), model.samples(at.0));
    let drawn = drawn(&seed.seed, s.key.as_ref(), &root, k, kind.cells_of(at.1), kind.stages);
    let now = model.time.now;
    let s = model.shard_mut(at.0, at.1);
    s.drawn = drawn.into_iter().map(|cell| Demand { cell, answered: false }).collect();
    (s.drawn_at, s.phase) = (now, Phase::Sampled);
    Ok(())
}

fn roll(model: &mut Model, at: (usize, u32), window: u64, by: Who) -> Verdict {
    let (_, s) = model.standing(at.0, at.1)?;
    let mut gate = Gate::default();
    gate.need(s.phase == Phase::Committed, AssayError::WrongState);
    gate.need(!s.accepted, AssayError::Accepted);
    gate.need(s.window == window, AssayError::WrongAddress);
    gate.need(!model.seeds.contains_key(&window), AssayError::DrawStillPossible);
    gate.need(model.time.view(s.window) == View::AgedOut, AssayError::DrawStillPossible);
    gate.verdict()?;
    let charged = !model.time.shaken(s.committed);
    let step = if charged { s.lock.div_ceil(u64::from(model.samples(at.0))) } else { 0 };
    let owed = (s.debts[0] + step).min(s.lock);
    let now = model.time.now;
    let s = model.shard_mut(at.0, at.1);
    s.rolls += 1;
    s.debts[0] = owed;
    if charged && owed >= s.lock {
        slash(model, at, Fault::Rolled, by);
    } else {
        s.window = (now.slot + 32).div_ceil(64);
    }
    Ok(())
}

fn name(model: &mut Model, at: (usize, u32), cells: &[u64], by: Who) -> Verdict {
    let (job, s) = model.standing(at.0, at.1)?;
    let terms = model.markets[job.market].terms;
    let mut gate = Gate::default();
    gate.need(s.judgeable(), AssayError::WrongState);
    gate.need(by == job.renter || job.watcher == Some(by), AssayError::NotAuthorized);
    gate.need(s.named.is_empty(), AssayError::AlreadyNamed);
    let over = model.time.passed(s.committed, u64::from(terms.challenge_seconds));
    gate.need(!over, AssayError::WindowOver);
    gate.need((1..=usize::from(terms.named)).contains(&cells.len()), AssayError::TooManyCells);
    let count = model.kind(at.0).count(at.1);
    gate.need(cells.iter().all(|cell| *cell < count), AssayError::NoSuchCell);
    gate.verdict()?;
    let now = model.time.now;
    let s = model.shard_mut(at.0, at.1);
    s.named = cells.iter().map(|cell| Demand { cell: *cell, answered: false }).collect();
    s.named_at = now;
    Ok(())
}

/// Divides the lock: the bounty, what makes the renter whole up to A x price (rolled windows are part of it), the rest.
pub fn slash(model: &mut Model, at: (usize, u32), fault: Fault, hunter: Who) {
    let terms = model.markets[model.jobs[at.0].market].terms;
    let (now, amplification) = (model.time.now, model.kernel(at.0).amplification);
    let s = model.shard_mut(at.0, at.1);
    let bounty = s.lock * u64::from(terms.bounty_bps) / 10_000;
    let left = s.lock - bounty;
    let renter = (s.price * amplification / 10_000).max(s.debts[0]).min(left);
    s.debts = [renter, bounty, left - renter];
    (s.phase, s.fault, s.hunter, s.ended) = (Phase::Slashed, Some(fault), Some(hunter), now);
}
