//! A card, whichever process serves it now. A process that fails is given up with everything it computed since it last
//! gave its known answers; a new one is started after a pause, and not for ever.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use assay_kernels::executor::{Backend, Commit, ExecError, Finding, Inputs, Piece};

use crate::{
    job::{Job, Refusal},
    known::{COMMIT, known_answers},
    limits::Limits,
    message::Kind,
    process::{Miss, Process, Unusable},
    program::Program,
};

/// A card under supervision. One run at a time.
pub struct Lane {
    /// What it is called in messages.
    label: String,
    name: String,
    program: Program,
    kind: Kind,
    limits: Limits,
    state: Mutex<State>,
    /// Faults so far.
    faults: AtomicU64,
    /// Why it is not used any more.
    broken: Mutex<Option<String>>,
}

struct State {
    process: Option<Process>,
    /// Something was computed since the known answers.
    unchecked: bool,
    /// Faults of late.
    faults: VecDeque<Instant>,
}

impl Lane {
    /// Starts a process for a card and has it give the known answers.
    ///
    /// # Errors
    /// What is missing, or how it failed.
    pub fn open(label: impl Into<String>, program: Program, kind: Kind, limits: Limits) -> Result<Self, Finding> {
        let label = label.into();
        let started = start(&program, kind, limits).map_err(|unusable| match unusable {
            Unusable::Finding(finding) => finding,
            Unusable::Fault(why) => Finding {
                problem: format!("the device process of {label} failed at its start: {why}"),
                remedy: "check the device with nvidia-smi and its log of Xid errors; see also what the process wrote"
                    .to_owned(),
            },
        })?;
        let name = started.name.clone();
        let state = State { process: Some(started), unchecked: false, faults: VecDeque::new() };
        let (faults, broken) = (AtomicU64::new(0), Mutex::default());
        Ok(Self { label, name, program, kind, limits, state: Mutex::new(state), faults, broken })
    }

    /// What it is called in messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Why it is not used any more, if so.
    pub fn broken(&self) -> Option<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Faults so far.
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Acquire)
    }

    /// The number of the process that serves it now, for those who look at it from outside.
    pub fn process(&self) -> Option<u32> {
        self.lock().process.as_ref().map(|process| process.id)
    }

    /// Bytes of a job's inputs that the card has already; none while something is going on there.
    pub(crate) fn has(&self, job: &Job) -> u64 {
        let state = self.state.try_lock().ok();
        state.and_then(|state| state.process.as_ref().map(|process| process.has(job))).unwrap_or(0)
    }

    /// Whether a run would begin at once: a process is there.
    pub(crate) fn ready(&self) -> bool {
        self.state.try_lock().is_ok_and(|state| state.process.is_some())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Computes. After a fault nothing is returned but the fault, and the next call starts the device anew.
    pub(crate) fn compute(&self, job: &Job) -> Result<Piece, Refusal> {
        let mut state = self.lock();
        let process = self.process_of(&mut state)?;
        match process.run(job) {
            Ok(piece) => {
                state.unchecked = true;
                Ok(piece)
            }
            Err(Miss::Job(error)) => Err(error.into()),
            Err(Miss::Unsure) => Err(Refusal::Unsure),
            Err(Miss::Fault(why)) => Err(self.fault(&mut state, why).into()),
        }
    }

    /// Has the card give its known answers if it computed something since it last did.
    ///
    /// # Errors
    /// It failed since, or fails now.
    pub(crate) fn check(&self) -> Result<(), ExecError> {
        let mut state = self.lock();
        if !state.unchecked {
            return Ok(());
        }
        let checked = match state.process.as_mut() {
            Some(process) => check(process),
            None => return Ok(()),
        };
        match checked {
            Ok(()) => {
                state.unchecked = false;
                Ok(())
            }
            Err(why) => Err(self.fault(&mut state, why)),
        }
    }

    /// The process that serves the card; a new one where the last one failed.
    fn process_of<'a>(&self, state: &'a mut State) -> Result<&'a mut Process, ExecError> {
        if let Some(why) = self.broken() {
            return Err(ExecError::Device(why));
        }
        // It may have ended while nothing was asked of it.
        if let Some(why) = state.process.as_ref().and_then(Process::over) {
            return Err(self.fault(state, why));
        }
        if state.process.is_none() {
            let pause = self.limits.pause_after(state.faults.len());
            let since = state.faults.back().map_or(pause, Instant::elapsed);
            thread::sleep(pause.saturating_sub(since));
            match start(&self.program, self.kind, self.limits) {
                Ok(process) => {
                    tracing::info!("{} was started anew and gives its known answers", self.label);
                    state.process = Some(process);
                }
                Err(Unusable::Finding(finding)) => return Err(self.fault(state, finding.to_string())),
                Err(Unusable::Fault(why)) => return Err(self.fault(state, why)),
            }
        }
        state.process.as_mut().ok_or_else(|| ExecError::Device("no process".to_owned()))
    }

    /// Gives the process up with all that it computed.
    fn fault(&self, state: &mut State, why: String) -> ExecError {
        let why = format!("{}: {why}", self.label);
        self.faults.fetch_add(1, Ordering::AcqRel);
        (state.process, state.unchecked) = (None, false);
        let now = Instant::now();
        state.faults.push_back(now);
        state.faults.retain(|fault| now.saturating_duration_since(*fault) < self.limits.window);
        if state.faults.len() < self.limits.max_faults {
            tracing::warn!("a device failed, what it computed is thrown away: {why}");
            return ExecError::Interrupted(why);
        }
        let why = format!(
            "it failed {} times within {} minutes and is not used any more; check it with nvidia-smi and its log of Xid \
             errors, then start the worker again. The last time: {why}",
            state.faults.len(),
            self.limits.window.as_secs().div_ceil(60),
        );
        tracing::error!("a device is broken: {why}");
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.clone());
        ExecError::Device(why)
    }
}

impl Backend for Lane {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn run(&self, kernel: u16, params: &[u8], inputs: &Inputs, leaves: Range<u64>) -> Result<Vec<u8>, ExecError> {
        let job = Job::new(kernel, params, inputs, leaves, None)?;
        Ok(self.compute(&job).map_err(Refusal::into_error)?.bytes)
    }

    fn run_hashed(
        &self,
        kernel: u16,
        params: &[u8],
        inputs: &Inputs,
        leaves: Range<u64>,
        commit: &Commit,
    ) -> Result<Piece, ExecError> {
        self.compute(&Job::new(kernel, params, inputs, leaves, Some(commit))?).map_err(Refusal::into_error)
    }

    fn mark(&self) -> u64 {
        self.faults()
    }

    fn verify(&self, mark: u64) -> Result<(), ExecError> {
        self.check()?;
        match self.broken() {
            Some(why) => Err(ExecError::Device(why)),
            None if self.faults() == mark => Ok(()),
            None => Err(ExecError::Interrupted(format!("{} failed while this was computed", self.label))),
        }
    }
}

/// A process that has given its known answers.
fn start(program: &Program, kind: Kind, limits: Limits) -> Result<Process, Unusable> {
    let mut process = Process::open(program, kind, limits)?;
    check(&mut process).map_err(Unusable::Fault)?;
    Ok(process)
}

fn check(process: &mut Process) -> Result<(), String> {
    for known in known_answers()? {
        let failed = |why: String| format!("the self-test of {} failed: {why}", known.kernel.name());
        let inputs = known.job.inputs();
        let job = Job::new(known.kernel.id(), &known.job.params, &inputs, 0..known.leaves, Some(&COMMIT))
            .map_err(|error| failed(error.to_string()))?;
        let piece = process.run(&job).map_err(|miss| match miss {
            Miss::Job(error) => failed(error.to_string()),
            Miss::Fault(why) => failed(why),
            Miss::Unsure => failed("its inputs have no names".to_owned()),
        })?;
        if piece.bytes != known.bytes {
            return Err(failed("other bytes than the reference's".to_owned()));
        }
        if piece.nodes != known.nodes {
            return Err(failed("other hashes than those of the reference's bytes".to_owned()));
        }
    }
    Ok(())
}
