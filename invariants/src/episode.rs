//! One world from its beginning to its end: random steps, each of them done to the chain and to the model.

use crate::{
    actions::{Action, Pick, Staking},
    cast, check,
    exit::leave,
    kind::{Kind, kinds},
    laws,
    machine::{Machine, Refusal},
    model::{Fault, Model, Phase, Place},
    setup,
    tally::Tally,
};
use assay_client::accounts::decode_data;
use assay_kernels::hash::sha256;
use rand::{Rng, SeedableRng, rngs::StdRng};
use solana_pubkey::Pubkey;
use std::{
    collections::{BTreeSet, VecDeque},
    rc::Rc,
};

/// Random steps of an episode.
pub const STEPS: u32 = 2_500;
/// Steps between two audits of everything.
const AUDIT: u32 = 200;
/// One step in so many is followed by everybody's exit, on a clone of the world.
const EXIT: u32 = 900;
/// Actions that are kept to be shown when something is wrong.
const REMEMBERED: usize = 30;

/// A chain, the model of it, and the dice.
#[derive(Clone)]
pub struct Stage {
    /// The chain.
    pub machine: Machine,
    /// What should be.
    pub model: Model,
    /// The dice.
    pub random: StdRng,
    /// What was done.
    pub tally: Tally,
    /// Whether honest providers still do their part.
    pub alive: bool,
    /// The last actions.
    pub log: VecDeque<String>,
    /// Random steps so far.
    pub step: u32,
}

/// What an episode begins with, the same for each.
pub struct Base {
    machine: Machine,
    kinds: Rc<Vec<Kind>>,
}

impl Default for Base {
    fn default() -> Self {
        Self { machine: setup::base(), kinds: Rc::new(kinds()) }
    }
}

impl Stage {
    /// Episode `number` of a run.
    pub fn new(base: &Base, seed: u64, number: u64) -> Self {
        let mix = sha256(&[b"invariants episode", &seed.to_le_bytes(), &number.to_le_bytes()]);
        let mut random = StdRng::from_seed(mix);
        let mut machine = base.machine.clone();
        let plans = cast::markets(&mut random);
        let model = setup::world(&mut machine, plans, base.kinds.clone());
        let log = VecDeque::with_capacity(REMEMBERED);
        Self { machine, model, random, tally: Tally::default(), alive: true, log, step: 0 }
    }

    /// The whole episode.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn run(&mut self) -> Result<(), String> {
        let began = self.model.time.now.time;
        while self.step < STEPS {
            self.step += 1;
            if self.random.random_range(0..7) == 0 {
                self.pass_time()?;
            } else if let Some(action) = Action::random(&mut Pick { model: &self.model, random: &mut self.random }) {
                self.act(&action)?;
            }
            if self.random.random_range(0..3) == 0 {
                self.honest_turn(false)?;
            }
            if self.step.is_multiple_of(AUDIT) {
                check::all(&self.machine, &self.model)?;
            }
            if self.random.random_range(0..EXIT) == 0 {
                let mut clone = self.clone();
                clone.tally = Tally::default();
                let left = leave(&mut clone, true);
                self.tally.add(&clone.tally);
                if left.is_err() {
                    core::mem::swap(&mut self.log, &mut clone.log);
                }
                left?;
            }
        }
        leave(self, false)?;
        self.tally.episodes += 1;
        self.tally.seconds += self.model.time.now.time - began;
        Ok(())
    }

    /// Writes a line down.
    pub fn note(&mut self, line: String) {
        if self.log.len() == REMEMBERED {
            self.log.pop_front();
        }
        self.log.push_back(line);
    }

    /// Does something, to the model and to the chain, and compares. Returns whether it landed.
    ///
    /// # Errors
    /// When the chain says something else than the model, or what must hold does not.
    pub fn act(&mut self, action: &Action) -> Result<bool, String> {
        self.note(format!("step {} {:?}: {action:?}", self.step, self.model.time.now));
        let instructions = action.instructions(&self.model);
        let jobs = self.model.jobs.len();
        let verdict = action.apply(&mut self.model);
        let answer = self.machine.send(&instructions);
        if let Some(line) = self.log.back_mut() {
            line.push_str(": ");
            line.push_str(&outcome(&answer));
        }
        let refused = match (verdict, answer) {
            (_, Err(Refusal::Crash(text))) => return Err(format!("the program broke: {text}")),
            (Ok(()), Ok(_)) => None,
            (Err(codes), Err(Refusal::Code(code))) if codes.is_empty() || codes.contains(&code) => Some(code),
            (Err(codes), Err(Refusal::Named(_))) if codes.is_empty() => Some(u32::MAX),
            (Ok(()), Err(refusal)) => return Err(format!("it was refused and must land: {refusal:?}")),
            (Err(codes), Ok(_)) => return Err(format!("it landed and must be refused, with one of {codes:?}")),
            (Err(codes), Err(refusal)) => return Err(format!("refused with {refusal:?}, not with one of {codes:?}")),
        };
        self.tally.count(action.name(), refused);
        if refused.is_some() {
            return Ok(false);
        }
        if self.model.jobs.len() > jobs {
            self.adopt(jobs)?;
        }
        if let Action::Staking(Staking::Register { provider }) = action
            && self.model.challenges.values().any(|c| c.provider == *provider)
        {
            self.tally.count("(back, with bonds)", None);
        }
        let touched: BTreeSet<Pubkey> =
            instructions.iter().flat_map(|i| &i.accounts).filter(|a| a.is_writable).map(|a| a.pubkey).collect();
        for address in &touched {
            check::account(&self.machine, &self.model, address)?;
            self.judge(address)?;
        }
        Ok(true)
    }

    /// Reads the account of a job that was just made.
    fn adopt(&mut self, number: usize) -> Result<(), String> {
        let key = self.model.jobs[number].key;
        let data = self.machine.account(&key).and_then(|a| decode_data(&a.data));
        self.model.jobs[number].data = Rc::new(data.ok_or("the new job can't be read")?);
        self.tally.jobs += 1;
        laws::dealt_as_asked(&self.model, number)
    }

    /// The laws that a change of this account could break; and the tally of what ended.
    fn judge(&mut self, address: &Pubkey) -> Result<(), String> {
        match self.model.places.get(address) {
            Some(Place::Shard(job, index)) => {
                let (job, index) = (*job, *index);
                laws::shard(&self.model, job, index, self.alive)?;
                let s = self.model.shard(job, index);
                // A shard that ended in this moment is counted; no other step of it happens in the same one.
                if s.payer.is_some() && s.ended == self.model.time.now {
                    match (s.phase, s.fault) {
                        (Phase::Settled, _) => self.tally.settled += 1,
                        (Phase::Slashed, Some(fault)) if !s.seized && s.debts[1..] != [0, 0] => {
                            self.tally.slashed[match fault {
                                Fault::Wrong => 0,
                                Fault::Late => 1,
                                Fault::Rolled => 2,
                            }] += 1;
                        }
                        _ => {}
                    }
                }
                Ok(())
            }
            Some(Place::Provider(number)) if self.alive => laws::honest_provider(&self.model, *number),
            _ => Ok(()),
        }
    }
}

fn outcome(answer: &Result<u64, Refusal>) -> String {
    match answer {
        Ok(units) => format!("landed, {units} units"),
        Err(Refusal::Code(code)) => format!("refused, {code}"),
        Err(Refusal::Named(name) | Refusal::Crash(name)) => format!("refused, {}", name.lines().next().unwrap_or("")),
    }
}
