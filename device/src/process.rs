//! One device process under its watchdog. Nothing here waits for the process itself: three threads of its own read,
//! write and watch, and whoever waits for an answer is woken when the process is given up. That holds for a process
//! that can't even be killed because its driver hangs in the kernel.

use std::{
    collections::VecDeque,
    io::{BufReader, BufWriter},
    process::{Child, ChildStdin, ChildStdout, ExitStatus},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use assay_kernels::{
    executor::{ExecError, Finding, Piece},
    hash::Hash,
};

use crate::{
    frame::{Frame, Greeting, MAX_DATA},
    job::Job,
    limits::Limits,
    message::{Card, Doing, Failure, Kind, Order, Reply, Run},
    program::Program,
};

/// Frames that wait to be written, or to be taken.
const QUEUE: usize = 8;
/// A process that closed its pipe gets so long to say by its exit code why.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Whoever lets a process go waits so long at most for it to be gone.
const GONE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(5);

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
}

struct State {
    outbox: VecDeque<Frame>,
    inbox: VecDeque<Frame>,
    greeted: bool,
    beat: Instant,
    moved: Instant,
    progress: u64,
    doing: Doing,
    /// How long it may get nothing done; none while nothing is asked of it.
    asked: Option<Duration>,
    closed: bool,
    /// Why it was given up.
    over: Option<String>,
    reaped: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    limits: Limits,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Gives the process up; the watchdog kills it.
    fn give_up(&self, why: impl Into<String>) {
        let mut state = self.lock();
        if state.over.is_none() {
            state.over = Some(why.into());
        }
        drop(state);
        self.changed.notify_all();
    }

    fn send(&self, frame: Frame) -> Result<(), String> {
        let mut state = self.lock();
        while state.over.is_none() && state.outbox.len() >= QUEUE {
            state = self.wait(state);
        }
        if let Some(why) = &state.over {
            return Err(why.clone());
        }
        state.outbox.push_back(frame);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    fn receive(&self) -> Result<Frame, String> {
        let mut state = self.lock();
        loop {
            if let Some(frame) = state.inbox.pop_front() {
                drop(state);
                self.changed.notify_all();
                return Ok(frame);
            }
            if let Some(why) = &state.over {
                return Err(why.clone());
            }
            state = self.wait(state);
        }
    }

    /// From now on something is asked of it, and it must get on with it.
    fn ask(&self, limit: Duration) {
        let mut state = self.lock();
        (state.asked, state.moved) = (Some(limit), Instant::now());
        drop(state);
        self.changed.notify_all();
    }

    fn answered(&self) {
        self.lock().asked = None;
    }
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
        let end = Instant::now().checked_add(GONE);
        let mut state = self.shared.lock();
        while !state.reaped {
            let left = end.map_or(Duration::ZERO, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            state = self.shared.wait_for(state, left);
        }
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
        let now = Instant::now();
        let state = State {
            outbox: VecDeque::new(),
            inbox: VecDeque::new(),
            greeted: false,
            beat: now,
            moved: now,
            progress: 0,
            doing: Doing::Waiting,
            asked: Some(limits.start),
            closed: false,
            over: None,
            reaped: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), limits });
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
        let mut state = shared.lock();
        while !state.greeted {
            if let Some(why) = &state.over {
                return Err(why.clone());
            }
            state = shared.wait(state);
        }
        drop(state);
        let beat_ms = u32::try_from(limits.beat.as_millis()).unwrap_or(u32::MAX);
        process.order(&Order::Begin { beat_ms, cache_bytes: limits.cache_bytes })?;
        Ok(process)
    }

    /// Why it was given up, if it was.
    pub fn over(&self) -> Option<String> {
        self.shared.lock().over.clone()
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

/// Takes what the process says. Ends with it.
fn reader(shared: &Shared, stdout: ChildStdout) {
    let mut from = BufReader::new(stdout);
    let greeting = Greeting::read(&mut from);
    match greeting {
        Ok(greeting) => match greeting.check() {
            Ok(()) => shared.lock().greeted = true,
            Err(why) => return shared.give_up(format!("it is not of this build: {why}")),
        },
        Err(crate::frame::WireError::Ended | crate::frame::WireError::Io(_)) => return closed(shared),
        Err(error) => return shared.give_up(error.to_string()),
    }
    shared.changed.notify_all();
    loop {
        let frame = match Frame::read(&mut from) {
            Ok(frame) => frame,
            Err(crate::frame::WireError::Ended | crate::frame::WireError::Io(_)) => return closed(shared),
            Err(error) => return shared.give_up(format!("it does not keep to the protocol: {error}")),
        };
        let beat = match &frame {
            Frame::Message(_) => frame.message::<Reply>().ok(),
            Frame::Data(_) => None,
        };
        let now = Instant::now();
        let mut state = shared.lock();
        state.beat = now;
        if let Some(Reply::Beat { progress, doing }) = beat {
            state.doing = doing;
            if progress != state.progress {
                (state.progress, state.moved) = (progress, now);
            }
            drop(state);
            shared.changed.notify_all();
            continue;
        }
        state.moved = now;
        while state.over.is_none() && state.asked.is_some() && state.inbox.len() >= QUEUE {
            state = shared.wait(state);
        }
        if state.over.is_some() {
            return;
        }
        let refusal = matches!(beat, Some(Reply::Refused(_)));
        if state.asked.is_none() && !refusal {
            drop(state);
            return shared.give_up("it does not keep to the protocol: it sent what nobody asked for");
        }
        state.inbox.push_back(frame);
        drop(state);
        shared.changed.notify_all();
    }
}

fn closed(shared: &Shared) {
    shared.lock().closed = true;
    shared.changed.notify_all();
}

/// Gives the process what waits to be written. Ends with it.
fn writer(shared: &Shared, stdin: ChildStdin) {
    let mut to = BufWriter::new(stdin);
    // A pipe that is closed is seen where the answers come from.
    if Greeting::ours().write(&mut to).is_err() {
        return;
    }
    loop {
        let mut state = shared.lock();
        let frame = loop {
            if state.over.is_some() {
                return;
            }
            if let Some(frame) = state.outbox.pop_front() {
                break frame;
            }
            state = shared.wait(state);
        };
        drop(state);
        shared.changed.notify_all();
        if frame.write(&mut to).is_err() {
            return;
        }
    }
}

/// The watchdog: kills the process when it is given up, falls silent or gets nothing done, and buries it.
fn watch(shared: &Shared, mut child: Child) {
    let limits = shared.limits;
    let mut state = shared.lock();
    loop {
        if state.over.is_some() {
            break;
        }
        if state.closed {
            drop(state);
            let status = last_words(&mut child);
            state = shared.lock();
            if state.over.is_none() {
                state.over = Some(ended(status));
            }
            break;
        }
        let now = Instant::now();
        let silent = now.saturating_duration_since(state.beat);
        let idle = now.saturating_duration_since(state.moved);
        if silent >= limits.silence {
            state.over = Some(format!("no sign of life for {}", seconds(silent)));
            break;
        }
        if let Some(limit) = state.asked.filter(|limit| idle >= *limit) {
            let doing = state.doing.words();
            state.over = Some(format!("it hangs: {doing}, and nothing got done for {}", seconds(limit)));
            break;
        }
        let until_silent = limits.silence.saturating_sub(silent);
        let until_idle = state.asked.map_or(Duration::MAX, |limit| limit.saturating_sub(idle));
        state = shared.wait_for(state, until_silent.min(until_idle));
    }
    drop(state);
    shared.changed.notify_all();
    kill(&mut child);
    // May take for ever with a driver that hangs in the kernel; nobody waits for this thread.
    if let Err(error) = child.wait() {
        tracing::debug!("a device process can't be waited for: {error}");
    }
    shared.lock().reaped = true;
    shared.changed.notify_all();
}

fn last_words(child: &mut Child) -> Option<ExitStatus> {
    let end = Instant::now().checked_add(LAST_WORDS)?;
    loop {
        if let Some(status) = child.try_wait().ok()? {
            return Some(status);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(LOOK);
    }
}

fn ended(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "it closed its pipe".to_owned(), |status| format!("it ended by itself, {status}"))
}

fn kill(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // The process is its group's first and not yet buried, so the number is no other's.
        if child.try_wait().ok().flatten().is_none()
            && let Err(error) = rustix::process::kill_process_group(group, rustix::process::Signal::KILL)
        {
            tracing::debug!("the group of a device process can't be killed: {error}");
        }
    }
    if let Err(error) = child.kill() {
        tracing::debug!("a device process can't be killed: {error}");
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_millis() as f64 / 1_000.0)
}
