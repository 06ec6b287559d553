//! The judge and the clock: evidence, adjudication, cells that were not answered in time.

use super::{Pick, claim::right_work, deliver::path, draw::slash};
use crate::{
    cast::{Manner, Who, key},
    model::{Answer as Outcome, Evidence, Fault, Gate, Model, Phase, Verdict},
};
use assay_client::{
    answer::{Answer, ShardTree},
    ix,
};
use assay_kernels::abi::VerifierError;
use assay_settlement::{
    EVIDENCE_HEADER_BYTES, error::AssayError, instructions::AdjudicateArgs, rules::draw::Place, seeds,
};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// What is wrong with what is brought to the judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// The leaf's bytes are not the committed ones, so that they would convict.
    Altered,
    /// The right result, under another provider's salt.
    Foreign,
    /// A cell behind the leaf's last.
    NoCell,
    /// A leaf of no shard.
    NoLeaf,
    /// What the cell reads is missing.
    NoOpenings,
    /// Another cell's challenge is named.
    OtherChallenge,
    /// Somebody else's evidence account.
    OthersEvidence(Pubkey),
}

/// See the module.
#[derive(Clone, Debug)]
pub enum Judging {
    /// Has a cell re-executed. Where it takes an evidence account, that is made, filled and closed in the same transaction.
    Adjudicate { job: usize, shard: u32, cell: u64, by: Who, flaw: Flaw },
    /// Slashes for a cell past its due time.
    Slash { job: usize, shard: u32, by: Who },
    /// Makes an evidence account; a second time where it exists.
    MakeEvidence { by: Who, seed: u8, bytes: usize },
    /// Writes to one.
    WriteEvidence { account: Pubkey, by: Who, offset: u32, bytes: usize },
    /// Closes one.
    CloseEvidence { account: Pubkey, by: Who },
}

impl Judging {
    /// One at random.
    pub fn random(pick: &mut Pick) -> Option<Self> {
        match pick.below(20) {
            0..13 => Self::adjudicate(pick),
            13..17 => {
                let (job, shard) = pick.shard(|s| s.judgeable() && !s.unanswered().is_empty())?;
                Some(Self::Slash { job, shard, by: pick.crank() })
            }
            17 => {
                let seed = u8::try_from(pick.below(3)).unwrap();
                let bytes = EVIDENCE_HEADER_BYTES + usize::try_from(pick.below(3_000)).unwrap();
                Some(Self::MakeEvidence { by: pick.anyone(), seed, bytes })
            }
            kind => {
                let accounts: Vec<Pubkey> = pick.model.evidence.keys().copied().collect();
                let account = pick.one(&accounts)?;
                let of = &pick.model.evidence[&account];
                let by = pick.mostly(of.owner);
                if kind == 18 {
                    return Some(Self::CloseEvidence { account, by });
                }
                let offset = u32::try_from(pick.below(of.bytes as u64 + 10)).unwrap();
                Some(Self::WriteEvidence { account, by, offset, bytes: usize::try_from(pick.below(500)).unwrap() })
            }
        }
    }

    fn adjudicate(pick: &mut Pick) -> Option<Self> {
        let (job, shard) = pick.shard(|s| s.judgeable())?;
        let s = pick.model.shard(job, shard);
        if s.holder == usize::MAX {
            return None;
        }
        let lazy = pick.model.providers[s.holder].manner() == Manner::Lazy;
        if lazy && !pick.once_in(3) {
            return None;
        }
        let cells = pick.model.kind(job).count(shard);
        if pick.model.kind(job).steps > 1 && !pick.once_in(8) {
            return None;
        }
        let wrong: Vec<u64> = s.work.iter().flat_map(|w| &w.wrong).copied().collect();
        let mut open = s.unanswered();
        open.extend(pick.model.challenged(job, shard, Outcome::Open));
        let cell = match pick.below(20) {
            0..15 => pick.one(&open),
            15..17 => pick.one(&wrong),
            _ => None,
        };
        let foreign: Vec<Pubkey> = pick.model.evidence.keys().copied().collect();
        let flaw = match pick.below(80) {
            0 | 1 => Flaw::Altered,
            2 | 3 => Flaw::Foreign,
            4 => Flaw::NoCell,
            5 => Flaw::NoLeaf,
            6..10 => Flaw::NoOpenings,
            12..16 => Flaw::OtherChallenge,
            10..12 => pick.one(&foreign).map_or(Flaw::None, Flaw::OthersEvidence),
            _ => Flaw::None,
        };
        Some(Self::Adjudicate { job, shard, cell: cell.unwrap_or_else(|| pick.below(cells)), by: pick.crank(), flaw })
    }

    /// The instruction's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Adjudicate { .. } => "adjudicate",
            Self::Slash { .. } => "slash_unanswered",
            Self::MakeEvidence { .. } => "init_evidence",
            Self::WriteEvidence { .. } => "write_evidence",
            Self::CloseEvidence { .. } => "close_evidence",
        }
    }

    /// The instructions.
    pub fn instructions(&self, model: &Model) -> Vec<Instruction> {
        match self {
            Self::Adjudicate { job, shard, cell, by, flaw } => adjudication(model, (*job, *shard), *cell, *by, *flaw),
            Self::Slash { job, shard, by } => vec![ix::slash_unanswered(key(*by), &model.jobs[*job].key, *shard)],
            Self::MakeEvidence { by, seed, bytes } => {
                let make =
                    ix::create_evidence(key(*by), &seed.to_string(), *bytes as u64, rent(model, *bytes)).unwrap();
                // Where it exists, only the second half can be tried again.
                let exists = model.evidence.contains_key(&make[1].accounts[1].pubkey);
                make.into_iter().skip(usize::from(exists)).collect()
            }
            Self::WriteEvidence { account, by, offset, bytes } => {
                vec![ix::write_evidence(key(*by), *account, *offset, vec![5; *bytes])]
            }
            Self::CloseEvidence { account, by } => vec![ix::close_evidence(key(*by), *account)],
        }
    }

    /// The rule.
    pub fn apply(&self, model: &mut Model) -> Verdict {
        let mut gate = Gate::default();
        match self {
            Self::Adjudicate { job, shard, cell, by, flaw } => judge(model, (*job, *shard), *cell, *by, *flaw),
            Self::Slash { job, shard, by } => late(model, (*job, *shard), *by),
            Self::MakeEvidence { by, seed, bytes } => {
                let address = ix::evidence_address(&key(*by), &seed.to_string()).unwrap();
                gate.need(!model.evidence.contains_key(&address), AssayError::NotEvidence);
                gate.verdict()?;
                model.make(*by, &address, rent(model, *bytes));
                model.evidence.insert(address, Evidence { owner: *by, bytes: *bytes, stepping: None });
                Ok(())
            }
            Self::WriteEvidence { account, by, offset, bytes } => {
                let Some(of) = model.evidence.get(account) else { return Err(vec![AssayError::NotEvidence.into()]) };
                gate.need(of.owner == *by, AssayError::WrongEvidenceOwner);
                let from = *offset as usize;
                let inside = from >= EVIDENCE_HEADER_BYTES && from + bytes <= of.bytes;
                gate.need(inside, AssayError::EvidenceBounds);
                gate.verdict()
            }
            Self::CloseEvidence { account, by } => {
                let Some(of) = model.evidence.get(account) else { return Err(vec![AssayError::NotEvidence.into()]) };
                gate.need(of.owner == *by, AssayError::WrongEvidenceOwner);
                gate.verdict()?;
                model.evidence.remove(account);
                model.unmake(account, *by);
                Ok(())
            }
        }
    }
}

/// Lamports for an account of so many bytes.
pub fn rent(model: &Model, bytes: usize) -> u64 {
    // In proportion to what two accounts of known size take.
    let (small, large) = (assay_client::token::ACCOUNT_BYTES as u64, job_bytes());
    let each = (model.rents.job - model.rents.purse) / (large - small);
    model.rents.purse + each * bytes as u64 - each * small
}

fn job_bytes() -> u64 {
    assay_settlement::space_of::<assay_settlement::Job>() as u64
}

/// Everything that one adjudication takes.
fn adjudication(model: &Model, at: (usize, u32), cell: u64, by: Who, flaw: Flaw) -> Vec<Instruction> {
    let job = &model.jobs[at.0];
    let s = &job.shards[at.1 as usize];
    let kind = model.kind(at.0);
    let known = s.work.as_ref().filter(|w| w.tree.is_some() && flaw != Flaw::Foreign).cloned();
    let other = if s.holder == usize::MAX { 0 } else { (s.holder + 1) % model.providers.len() };
    let work = known.unwrap_or_else(|| right_work(model, at.0, at.1, other));
    let (place, tree) = (kind.place(at.1, cell), work.tree.as_ref().unwrap());
    let mut answer = if !kind.is_ours() {
        of_leaf(tree, place, kind.leaf_range(at.1).start)
    } else if kind.steps > 1 {
        Answer::build_step(&job.data, at.1, tree, kind.inputs(&job.data.terms), place, kind.steps - 1).unwrap()
    } else {
        Answer::build(&job.data, at.1, tree, kind.inputs(&job.data.terms), place).unwrap()
    };
    let args = &mut answer.args;
    match flaw {
        Flaw::Altered => {
            let at = (args.leaf_at & !assay_kernels::abi::IN_EVIDENCE) as usize;
            match answer.evidence.as_mut() {
                Some(evidence) => evidence[at - EVIDENCE_HEADER_BYTES] ^= 1,
                None => args.inline[at] ^= 1,
            }
        }
        Flaw::NoCell => args.cell = u32::try_from(kind.leaf(place.leaf).cells).unwrap(),
        Flaw::NoLeaf => args.leaf = kind.leaves.len() as u64,
        Flaw::NoOpenings => args.openings.clear(),
        Flaw::None | Flaw::Foreign | Flaw::OtherChallenge | Flaw::OthersEvidence(_) => {}
    }
    let judge = |evidence| {
        let mut judge = ix::adjudicate(key(by), &job.key, &job.data, at.1, evidence, answer.args.clone());
        if flaw == Flaw::OtherChallenge {
            judge.accounts[5].pubkey = seeds::challenge(&s.key, cell + 1);
        }
        judge
    };
    if let Flaw::OthersEvidence(account) = flaw {
        return vec![judge(Some(account))];
    }
    let Some(bytes) = answer.evidence_account_bytes() else { return vec![judge(None)] };
    let seed = "judge";
    let evidence = ix::evidence_address(&key(by), seed).unwrap();
    let mut all = Vec::from(ix::create_evidence(key(by), seed, bytes as u64, rent(model, bytes)).unwrap());
    all.extend(answer.pieces().into_iter().map(|(at, piece)| ix::write_evidence(key(by), evidence, at, piece)));
    all.push(judge(Some(evidence)));
    all.push(ix::close_evidence(key(by), evidence));
    all
}

/// A cell that reads nothing, with its leaf inline.
fn of_leaf(tree: &ShardTree, place: Place, first_leaf: u64) -> Answer {
    let bytes = tree.leaf(place.leaf).unwrap();
    let inline = [bytes, path(tree, place.leaf - first_leaf).as_flattened()].concat();
    let leaf_path_at = u32::try_from(bytes.len()).unwrap();
    let args =
        AdjudicateArgs { leaf: place.leaf, cell: place.cell, leaf_at: 0, leaf_path_at, openings: Vec::new(), inline };
    Answer { args, evidence: None }
}

fn judge(model: &mut Model, at: (usize, u32), cell: u64, by: Who, flaw: Flaw) -> Verdict {
    let (_, s) = model.standing(at.0, at.1)?;
    let mut gate = Gate::default();
    let known = s.work.as_ref().filter(|w| w.tree.is_some());
    gate.need(s.judgeable(), AssayError::WrongState);
    gate.need(model.kind(at.0).steps == 1, VerifierError::Stepped.code());
    let reads = !model.kind(at.0).spec.inputs.is_empty();
    match flaw {
        Flaw::None => {}
        Flaw::Altered => gate.need(false, AssayError::WrongPath),
        // A shard of one leaf has no path, so nothing about the right bytes is another provider's.
        Flaw::Foreign => {
            let one = model.kind(at.0).leaf_range(at.1).count() == 1;
            gate.need(one && known.is_some_and(|w| w.wrong.is_empty()), AssayError::WrongPath);
        }
        // Settlement or the verifier: whoever looks first.
        Flaw::NoCell | Flaw::NoLeaf => {
            gate.need(false, AssayError::NoSuchCell);
            gate.need(false, VerifierError::NoSuchCell.code());
        }
        // Nobody takes a challenger's bounty by leaving the challenge out.
        Flaw::OtherChallenge => {
            let any = s.waiting > 0;
            // An ended shard is refused for one or the other.
            gate.need(!any && s.judgeable(), AssayError::WrongChallenge);
        }
        Flaw::NoOpenings => gate.need(!reads, VerifierError::MissingOpening.code()),
        Flaw::OthersEvidence(account) => match model.evidence.get(&account) {
            None => gate.need(false, AssayError::NotEvidence),
            Some(evidence) => {
                gate.need(evidence.owner == by, AssayError::WrongEvidenceOwner);
                // Its bytes are not the ones that the openings are about.
                gate.need(!reads, AssayError::BadOpening);
                gate.need(!reads, AssayError::WrongPath);
            }
        },
    }
    let weighed = weigh(model, at, cell, &mut gate);
    gate.verdict()?;
    rule(model, at, cell, by, weighed);
    Ok(())
}

/// Whether a re-executed cell is right, and who has challenged it.
pub type Weighed = (bool, Option<Who>);

/// What judging a cell needs of its shard: a root of something, and for a right cell somebody who wants it proven.
pub fn weigh(model: &Model, at: (usize, u32), cell: u64, gate: &mut Gate) -> Weighed {
    let s = model.shard(at.0, at.1);
    let known = s.work.as_ref().filter(|w| w.tree.is_some());
    gate.need(known.is_some(), AssayError::WrongPath);
    let right = known.is_none_or(|w| !w.wrong.contains(&cell));
    let challenger = model.open_challenge(at, cell).map(|c| c.by);
    if right {
        gate.need(s.unanswered().contains(&cell) || challenger.is_some(), AssayError::NotDemanded);
    }
    (right, challenger)
}

/// Answers with a right cell, convicts with a wrong one: the bounty is its challenger's, else whoever brought it.
pub fn rule(model: &mut Model, at: (usize, u32), cell: u64, by: Who, (right, challenger): Weighed) {
    if let Some(challenge) = challenger.and_then(|_| model.challenges.get_mut(&(at.0, at.1, cell))) {
        challenge.answer = if right { Outcome::Right } else { Outcome::Won };
    }
    if !right {
        slash(model, at, Fault::Wrong, challenger.unwrap_or(by));
        return;
    }
    let s = model.shard_mut(at.0, at.1);
    s.waiting -= u64::from(challenger.is_some());
    for demand in s.drawn.iter_mut().chain(&mut s.named).filter(|d| d.cell == cell) {
        demand.answered = true;
    }
}

fn late(model: &mut Model, at: (usize, u32), by: Who) -> Verdict {
    let (job, s) = model.standing(at.0, at.1)?;
    let mut gate = Gate::default();
    gate.need(matches!(s.phase, Phase::Committed | Phase::Sampled), AssayError::WrongState);
    gate.need(!s.accepted, AssayError::Accepted);
    let response = u64::from(model.markets[job.market].terms.response_seconds);
    let open = |demands: &[crate::model::Demand]| demands.iter().any(|d| !d.answered);
    gate.need(open(&s.drawn) || open(&s.named), AssayError::NothingUnanswered);
    let drawn = open(&s.drawn) && model.time.passed(s.drawn_at, response);
    let named = open(&s.named) && model.time.passed(s.named_at, response);
    gate.need(drawn || named, AssayError::TooEarly);
    gate.verdict()?;
    slash(model, at, Fault::Late, by);
    Ok(())
}
