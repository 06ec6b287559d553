//! Cells that are too large for one transaction: each step brings what it reads, and an evidence account carries the state
//! from one to the next. Whoever likes begins, goes on, mixes cells up, or leaves off.

use super::{
    Pick,
    judge::{rent, rule, weigh},
    right_work,
};
use crate::{
    cast::{Who, key},
    model::{Answer as Outcome, Evidence, Gate, Model, Verdict},
};
use assay_client::{answer::Answer, ix};
use assay_kernels::abi::VerifierError;
use assay_settlement::{EVIDENCE_HEADER_BYTES, error::AssayError, instructions::AdjudicateArgs};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// Bytes of the accounts: the header, two runs of 32 chunks, and their paths.
const ACCOUNT_BYTES: usize = 70_000;
/// Bytes of a piece: much larger than what fits a packet, which here nobody counts.
const PIECE_BYTES: usize = 8_000;
/// The account that honest providers use, which nobody else's choice falls on.
pub const OWN: u8 = 9;

/// What is wrong with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misstep {
    /// Nothing.
    None,
    /// A byte of what it reads is changed.
    Altered,
    /// The bytes are inline, where the state belongs.
    Inline,
    /// The account is this one's.
    OthersEvidence(Pubkey),
}

/// See the module.
#[derive(Clone, Debug)]
pub enum Stepping {
    /// Writes what step `step` of a cell reads to account number `account` of `by`, made where it is missing, and carries
    /// the cell so much further; the last step judges it.
    Step { job: usize, shard: u32, cell: u64, by: Who, account: u8, step: u64, flaw: Misstep },
}

/// The address of somebody's account number `account`.
pub fn account_of(by: Who, account: u8) -> Pubkey {
    ix::evidence_address(&key(by), &seed(account)).unwrap()
}

fn seed(account: u8) -> String {
    format!("step {account}")
}

impl Stepping {
    /// One at random: mostly of a cell that takes steps.
    pub fn random(pick: &mut Pick) -> Option<Self> {
        let model = pick.model;
        let mut step = Self::begin(pick)?;
        // Half of the time somebody goes on with what was begun.
        let begun: Vec<(Pubkey, (usize, u32, u64, u64))> =
            model.evidence.iter().filter_map(|(account, of)| of.stepping.map(|cell| (*account, cell))).collect();
        let Self::Step { job, shard, cell, by, account, step: at, flaw } = &mut step;
        if let (Some((address, begun)), true) = (pick.one(&begun), pick.once_in(2)) {
            let owner = model.evidence[&address].owner;
            let number = (0..=OWN).find(|number| account_of(owner, *number) == address);
            (*job, *shard, *cell, *by, *account) = (begun.0, begun.1, begun.2, owner, number.unwrap_or(0));
        }
        let carried = model.evidence.get(&account_of(*by, *account)).and_then(|of| of.stepping);
        *at = carried.map_or(0, |carried| carried.3);
        if pick.once_in(12) {
            *at = pick.below(model.kind(*job).steps);
        }
        let known: Vec<Pubkey> = model.evidence.keys().copied().collect();
        *flaw = match pick.below(24) {
            0 if model.kind(*job).steps > 1 => Misstep::Altered,
            1 if model.kind(*job).steps > 1 => Misstep::Inline,
            2 => pick.one(&known).map_or(Misstep::None, Misstep::OthersEvidence),
            _ => Misstep::None,
        };
        Some(step)
    }

    /// The first step of a cell, and of one that somebody demands if there is any.
    fn begin(pick: &mut Pick) -> Option<Self> {
        let model = pick.model;
        let stepped: Vec<Pubkey> = model
            .living()
            .filter(|job| model.kind(*job).steps > 1)
            .flat_map(|job| model.jobs[job].shards.iter().filter(|s| s.judgeable()).map(|s| s.key))
            .collect();
        let (job, shard) = pick.shard(|s| stepped.contains(&s.key))?;
        let kind = model.kind(job);
        // A cell of ours that reads nothing, or one of the scripted verifier: both are refused.
        if kind.steps == 1 && !kind.spec.inputs.is_empty() || model.shard(job, shard).holder == usize::MAX {
            return None;
        }
        let mut open = model.shard(job, shard).unanswered();
        open.extend(model.challenged(job, shard, Outcome::Open));
        let cell = pick.one(&open).unwrap_or_else(|| pick.below(kind.count(shard)));
        let account = u8::try_from(pick.below(2)).unwrap();
        Some(Self::Step { job, shard, cell, by: pick.crank(), account, step: 0, flaw: Misstep::None })
    }

    /// The instruction's name.
    pub fn name(&self) -> &'static str {
        "step_cell"
    }

    /// The account that is written, what is written to it, and the step.
    pub fn instructions(&self, model: &Model) -> Vec<Instruction> {
        let Self::Step { job, shard, cell, by, account, step, flaw } = self;
        let (j, s) = (&model.jobs[*job], model.shard(*job, *shard));
        let kind = model.kind(*job);
        let place = kind.place(*shard, *cell);
        let mut answer = if kind.steps > 1 {
            let known = s.work.as_ref().filter(|w| w.tree.is_some()).cloned();
            let other = if s.holder == usize::MAX { 0 } else { (s.holder + 1) % model.providers.len() };
            let work = known.unwrap_or_else(|| right_work(model, *job, *shard, other));
            let inputs = kind.inputs(&j.data.terms);
            Answer::build_step(&j.data, *shard, work.tree.as_ref().unwrap(), inputs, place, *step).unwrap()
        } else {
            let args = AdjudicateArgs {
                leaf: place.leaf,
                cell: place.cell,
                leaf_at: 0,
                leaf_path_at: 0,
                openings: Vec::new(),
                inline: Vec::new(),
            };
            Answer { args, evidence: None }
        };
        let mut bytes = answer.evidence.take().unwrap_or_default();
        match flaw {
            Misstep::Altered => bytes[100] ^= 1,
            Misstep::Inline => answer.args.openings[0].at = 0,
            Misstep::None | Misstep::OthersEvidence(_) => {}
        }
        let own = account_of(*by, *account);
        let mut all = Vec::new();
        if !model.evidence.contains_key(&own) {
            let lamports = rent(model, ACCOUNT_BYTES);
            all.extend(ix::create_evidence(key(*by), &seed(*account), ACCOUNT_BYTES as u64, lamports).unwrap());
        }
        all.extend(
            (EVIDENCE_HEADER_BYTES..)
                .step_by(PIECE_BYTES)
                .zip(bytes.chunks(PIECE_BYTES))
                .map(|(at, piece)| ix::write_evidence(key(*by), own, u32::try_from(at).unwrap(), piece.to_vec())),
        );
        let evidence = if let Misstep::OthersEvidence(account) = flaw { *account } else { own };
        all.push(ix::step_cell(key(*by), &j.key, &j.data, *shard, evidence, answer.args));
        all
    }

    /// The rule.
    pub fn apply(&self, model: &mut Model) -> Verdict {
        let Self::Step { job, shard, cell, by, account, step, flaw } = *self;
        let (_, s) = model.standing(job, shard)?;
        let (kind, own) = (model.kind(job), account_of(by, account));
        let mut gate = Gate::default();
        gate.need(s.judgeable(), AssayError::WrongState);
        gate.need(flaw != Misstep::Altered, AssayError::WrongPath);
        // Whatever lies there is not what the path leads to, and nothing lies there.
        gate.need(flaw != Misstep::Inline, AssayError::BadOpening);
        let mut used = own;
        if let Misstep::OthersEvidence(address) = flaw {
            used = address;
            match model.evidence.get(&address) {
                None => gate.need(false, AssayError::NotEvidence),
                Some(of) => gate.need(of.owner == by, AssayError::WrongEvidenceOwner),
            }
            // Its bytes are of another step, unless it is the one that was just written to.
            let same = address == own || kind.steps == 1;
            gate.need(same, AssayError::BadOpening);
            gate.need(same, AssayError::WrongPath);
        }
        let carried = model.evidence.get(&used).and_then(|of| of.stepping);
        let other = carried.is_some_and(|carried| (carried.0, carried.1, carried.2) != (job, shard, cell));
        gate.need(!other, AssayError::OtherCell);
        let done = carried.map_or(0, |carried| carried.3);
        if kind.steps == 1 {
            gate.need(!kind.is_ours(), VerifierError::NotStepped.code());
            gate.need(kind.is_ours(), AssayError::VerifierAnswer);
        } else {
            gate.need(step == done, VerifierError::MissingOpening.code());
        }
        let last = done + 1 >= kind.steps;
        let weighed = if last { Some(weigh(model, (job, shard), cell, &mut gate)) } else { None };
        gate.verdict()?;
        if !model.evidence.contains_key(&own) {
            model.make(by, &own, rent(model, ACCOUNT_BYTES));
            model.evidence.insert(own, Evidence { owner: by, bytes: ACCOUNT_BYTES, stepping: None });
        }
        model.evidence.get_mut(&used).unwrap().stepping = (!last).then_some((job, shard, cell, done + 1));
        if let Some(weighed) = weighed {
            rule(model, (job, shard), cell, by, weighed);
        }
        Ok(())
    }
}
