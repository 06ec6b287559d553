//! One device process: started, asked and let go. What is waited for here is always something that its threads end.

use std::{
    process::{ChildStdin, ChildStdout},
    sync::Arc,
    thread,
    time::Duration,
};

use assay_kernels::{
    executor::{ExecError, Finding, Piece},
    hash::Hash,
};

use crate::{
    frame::{Frame, MAX_DATA},
    job::Job,
    limits::Limits,
    message::{Card, Failure, Kind, Order, Reply, Run},
    program::Program,
    threads::{Shared, reader, watch, writer},
};

/// Whoever lets a process go waits so long at most for it to be gone.
const GONE: Duration = Duration::from_secs(2);

/// Why a process does not serve.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// There is nothing to compute on, and what to do about it.
    Finding(Finding),
    /// It failed.
    Fault(String),
}

/// Why a run gave nothing.
#[derive(Debug)]
pub(crate) enum Miss {
    /// The run can't be done. The process is well.
    Job(ExecError),
    /// The process is given up.
    Fault(String),
    /// The inputs' names are presumed, and not all of them are there. Nothing was done.
    Unsure,
}

/// A device process. Dropped, it is killed.
pub(crate) struct Process {
    shared: Arc<Shared>,
    pub name: String,
    pub id: u32,
    /// Inputs that it has, those that were used last at the end, with their lengths.
    held: Vec<(Hash, u64)>,
    runs: u64,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.shared.give_up("it is not needed any more");
        self.shared.gone_within(GONE);
    }
}

impl Process {
    /// Starts a process that opens its device.
    pub fn open(program: &Program, kind: Kind, limits: Limits) -> Result<Self, Unusable> {
        let mut process = Self::start(program, limits).map_err(Unusable::Fault)?;
        match process.request(&Order::Open(kind))? {
            Reply::Opened { name } => process.name = name,
            other => return Err(process.unexpected(&other)),
        }
        process.shared.answered();
        Ok(process)
    }

    /// Has a process look for cards, and lets it go.
    pub fn list(program: &Program, limits: Limits) -> Result<(Vec<Card>, Vec<String>), Unusable> {
        let process = Self::start(program, limits).map_err(Unusable::Fault)?;
        match process.request(&Order::List)? {
            Reply::Cards { cards, notes } => Ok((cards, notes)),
            other => Err(process.unexpected(&other)),
        }
    }

    fn start(program: &Program, limits: Limits) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("it can't be started: {error}");
        let mut child = program.command().spawn().map_err(failed)?;
        let id = child.id();
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("it has no pipes".to_owned());
        };
        widen(&stdin, &stdout);
        let shared = Arc::new(Shared::new(limits));
        let process = Self { shared: shared.clone(), name: String::new(), id, held: Vec::new(), runs: 0 };
        // The watchdog first: without it nothing would end the process.
        let watched = shared.clone();
        thread::Builder::new().name("device-watch".to_owned()).spawn(move || watch(&watched, child)).map_err(failed)?;
        let read = shared.clone();
        thread::Builder::new().name("device-read".to_owned()).spawn(move || reader(&read, stdout)).map_err(failed)?;
        let written = shared.clone();
        thread::Builder::new()
            .name("device-write".to_owned())
            .spawn(move || writer(&written, stdin))
            .map_err(failed)?;
        shared.greeted()?;
        let beat_ms = u32::try_from(limits.beat.as_millis()).unwrap_or(u32::MAX);
        process.order(&Order::Begin { beat_ms, cache_bytes: limits.cache_bytes })?;
        Ok(process)
    }

    /// Why it was given up, if it was.
    pub fn over(&self) -> Option<String> {
        self.shared.over()
    }

    /// Bytes of these inputs that it has already.
    pub fn has(&self, job: &Job) -> u64 {
        let here = |name: Option<Hash>| self.held.iter().any(|(held, _)| Some(*held) == name);
        job.inputs.iter().filter(|input| here(input.name)).map(|input| input.bytes.len() as u64).sum()
    }

    fn order(&self, order: &Order) -> Result<(), String> {
        self.shared.send(Frame::of(order).map_err(|error| error.to_string())?)
    }

    fn reply(&self) -> Result<Reply, String> {
        let reply = self.shared.receive()?.message().map_err(|error| self.garbage(&error))?;
        match reply {
            Reply::Refused(why) => {
                let why = format!("it refuses to go on: {why}");
                self.shared.give_up(why.clone());
                Err(why)
            }
            reply => Ok(reply),
        }
    }

    fn garbage(&self, why: &impl std::fmt::Display) -> String {
        let why = format!("it does not keep to the protocol: {why}");
        self.shared.give_up(why.clone());
        why
    }

    fn request(&self, order: &Order) -> Result<Reply, Unusable> {
        self.shared.ask(self.shared.limits.start);
        self.order(order).and_then(|()| self.reply()).map_err(Unusable::Fault)
    }

    fn unexpected(&self, reply: &Reply) -> Unusable {
        match reply {
            Reply::Finding { problem, remedy } => {
                Unusable::Finding(Finding { problem: problem.clone(), remedy: remedy.clone() })
            }
            _ => Unusable::Fault(self.garbage(&"another answer than to what was asked")),
        }
    }

    /// Has it compute. What comes back is whole or it is nothing.
    pub fn run(&mut self, job: &Job) -> Result<Piece, Miss> {
        let here = |name: &Hash| self.held.iter().any(|(held, _)| held == name);
        if job.presumed && !job.inputs.iter().filter_map(|input| input.name.as_ref()).all(here) {
            return Err(Miss::Unsure);
        }
        let needed = job.input_bytes();
        if needed > self.shared.limits.cache_bytes {
            return Err(Miss::Job(ExecError::OutOfMemory(needed)));
        }
        let mut piece = Piece::default();
        let room = piece.bytes.try_reserve_exact(job.bytes).and_then(|()| piece.nodes.try_reserve_exact(job.nodes));
        room.map_err(|_| Miss::Job(ExecError::OutOfMemory(job.bytes as u64)))?;
        self.shared.ask(self.shared.limits.progress);
        let done = self.asked_run(job, piece);
        self.shared.answered();
        done
    }

    fn asked_run(&mut self, job: &Job, piece: Piece) -> Result<Piece, Miss> {
        self.bring(job).map_err(Miss::Fault)?;
        self.runs = self.runs.wrapping_add(1);
        let id = self.runs;
        let run = Run {
            id,
            kernel: job.kernel,
            params: job.params.to_vec(),
            inputs: job.inputs.map(|input| input.name),
            first: job.leaves.start,
            end: job.leaves.end,
            commit: job.commit.map(|commit| (commit.salt, commit.level)),
        };
        self.order(&Order::Run(run)).map_err(Miss::Fault)?;
        match self.reply().map_err(Miss::Fault)? {
            Reply::Result { id: of, bytes, nodes } if of == id => {
                if (bytes, nodes) != (job.bytes as u64, job.nodes as u64) {
                    let why = format!("{bytes} bytes and {nodes} nodes instead of {} and {}", job.bytes, job.nodes);
                    return Err(Miss::Fault(self.garbage(&why)));
                }
                self.collect(job, piece, id).map_err(Miss::Fault)
            }
            Reply::Failed { id: of, why } if of == id => Err(match why {
                Failure::OutOfMemory(bytes) => Miss::Job(ExecError::OutOfMemory(bytes)),
                Failure::DeviceMemory(bytes) => Miss::Job(ExecError::DeviceMemory(bytes)),
                Failure::Device(why) => {
                    let why = format!("the device failed: {why}");
                    self.shared.give_up(why.clone());
                    Miss::Fault(why)
                }
                // The job was found right here. A process that thinks otherwise is not one to go on with.
                Failure::Refused(why) => Miss::Fault(self.garbage(&why)),
            }),
            _ => Err(Miss::Fault(self.garbage(&"another answer than to the run that was asked"))),
        }
    }

    fn collect(&self, job: &Job, mut piece: Piece, id: u64) -> Result<Piece, String> {
        let mut node_bytes = Vec::new();
        let of_nodes = job.nodes.saturating_mul(32);
        while piece.bytes.len() < job.bytes || node_bytes.len() < of_nodes {
            let Frame::Data(data) = self.shared.receive()? else {
                return Err(self.garbage(&"a message inside of a result"));
            };
            let (to, most) =
                if piece.bytes.len() < job.bytes { (&mut piece.bytes, job.bytes) } else { (&mut node_bytes, of_nodes) };
            if data.is_empty() || data.len() > most.saturating_sub(to.len()) {
                return Err(self.garbage(&"a result of another length than it said"));
            }
            to.extend_from_slice(&data);
        }
        piece.nodes.extend_from_slice(node_bytes.as_chunks().0);
        match self.reply()? {
            Reply::Done { id: of } if of == id => Ok(piece),
            _ => Err(self.garbage(&"a result without an end")),
        }
    }

    /// Sends the inputs that it does not have, and has it forget others where that would be too much.
    fn bring(&mut self, job: &Job) -> Result<(), String> {
        let wanted = |name: &Hash| job.inputs.iter().any(|input| input.name.as_ref() == Some(name));
        // Those of this job to the end: they are the last to go.
        self.held.sort_by_key(|(name, _)| wanted(name));
        for input in &job.inputs {
            let Some(name) = input.name else { continue };
            if self.held.iter().any(|(held, _)| *held == name) {
                continue;
            }
            let bytes = input.bytes.len() as u64;
            while self.held.iter().fold(bytes, |sum, (_, of)| sum.saturating_add(*of)) > self.shared.limits.cache_bytes
            {
                let Some((oldest, _)) = self.held.first().copied() else { break };
                self.held.remove(0);
                self.order(&Order::Forget(oldest))?;
            }
            self.order(&Order::Input { name, bytes })?;
            for piece in input.bytes.chunks(MAX_DATA) {
                self.shared.send(Frame::Data(piece.to_vec()))?;
            }
            self.held.push((name, bytes));
        }
        Ok(())
    }
}

/// Pipes that hold a whole frame: fewer turns of writer and reader. Where the system refuses, they stay as they are.
#[cfg(target_os = "linux")]
fn widen(stdin: &ChildStdin, stdout: &ChildStdout) {
    let widened = rustix::pipe::fcntl_setpipe_size(stdin, MAX_DATA);
    if let Err(error) = widened.and_then(|_| rustix::pipe::fcntl_setpipe_size(stdout, MAX_DATA)) {
        tracing::debug!("pipes stay narrow: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn widen(_: &ChildStdin, _: &ChildStdout) {}
