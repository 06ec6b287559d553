//! The threads around a device process: one reads, one writes, one watches. Whoever waits for an answer is woken when the
//! process is given up, also where the process can't even be killed because its driver hangs in the kernel.

use std::{
    collections::VecDeque,
    io::{BufReader, BufWriter},
    process::{Child, ChildStdin, ChildStdout, ExitStatus},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    frame::{Frame, Greeting, WireError},
    limits::Limits,
    message::{Doing, Reply},
};

/// Frames that wait to be written, or to be taken.
const QUEUE: usize = 8;
/// A process that closed its pipe gets so long to say by its exit code why.
const LAST_WORDS: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(5);

/// What the threads of a process know of it.
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

/// A process as its threads and whoever asks it see it.
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    pub limits: Limits,
}

impl Shared {
    /// Of a process that was just started, and is to say its greeting.
    pub fn new(limits: Limits) -> Self {
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
        Self { state: Mutex::new(state), changed: Condvar::new(), limits }
    }

    /// Waits for its greeting.
    pub fn greeted(&self) -> Result<(), String> {
        let mut state = self.lock();
        loop {
            match &state.over {
                Some(why) => return Err(why.clone()),
                None if state.greeted => return Ok(()),
                None => state = self.wait(state),
            }
        }
    }

    /// Why it was given up.
    pub fn over(&self) -> Option<String> {
        self.lock().over.clone()
    }

    /// Waits until it is buried, so long at most.
    pub fn gone_within(&self, time: Duration) {
        let end = Instant::now().checked_add(time);
        let mut state = self.lock();
        while !state.reaped {
            let left = end.map_or(Duration::ZERO, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            state = self.wait_for(state, left);
        }
    }

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
    pub fn give_up(&self, why: impl Into<String>) {
        let mut state = self.lock();
        if state.over.is_none() {
            state.over = Some(why.into());
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Has a frame written. Waits while many are to be.
    pub fn send(&self, frame: Frame) -> Result<(), String> {
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

    /// Waits for what it says.
    pub fn receive(&self) -> Result<Frame, String> {
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
    pub fn ask(&self, limit: Duration) {
        let mut state = self.lock();
        (state.asked, state.moved) = (Some(limit), Instant::now());
        drop(state);
        self.changed.notify_all();
    }

    /// Nothing is asked of it any more.
    pub fn answered(&self) {
        self.lock().asked = None;
    }
}

/// Takes what the process says. Ends with it.
pub(crate) fn reader(shared: &Shared, stdout: ChildStdout) {
    let mut from = BufReader::new(stdout);
    let greeting = Greeting::read(&mut from);
    match greeting {
        Ok(greeting) => match greeting.check() {
            Ok(()) => shared.lock().greeted = true,
            Err(why) => return shared.give_up(format!("it is not of this build: {why}")),
        },
        Err(WireError::Ended | WireError::Io(_)) => return closed(shared),
        Err(error) => return shared.give_up(error.to_string()),
    }
    shared.changed.notify_all();
    loop {
        let frame = match Frame::read(&mut from) {
            Ok(frame) => frame,
            Err(WireError::Ended | WireError::Io(_)) => return closed(shared),
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
pub(crate) fn writer(shared: &Shared, stdin: ChildStdin) {
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
pub(crate) fn watch(shared: &Shared, mut child: Child) {
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
