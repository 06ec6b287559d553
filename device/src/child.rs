//! The process that computes. It takes orders from stdin and answers on what was its stdout, until stdin ends: then
//! nobody needs it any more, and it ends at once, whatever a driver is busy with.

use std::{
    collections::HashMap,
    fs::File,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use assay_kernels::{
    executor::{Backend, Cpu, Cuda, ExecError, Finding, Inputs, Piece},
    hash::Hash,
};

use crate::{
    cards,
    frame::{Frame, Greeting, MAX_DATA, WireError},
    message::{Card, Doing, Failure, Kind, Order, Reply, Run},
    split::Splitting,
};

/// Exit code after the device failed.
pub const EXIT_DEVICE: u8 = 70;
/// Exit code after the supervisor did what the protocol does not allow, or is of another build.
pub const EXIT_PROTOCOL: u8 = 71;
/// Exit code when the system gives no pipes or threads.
pub const EXIT_SYSTEM: u8 = 72;

/// What there is to compute on.
pub trait Opener: Sync {
    /// The cards, and what is missing without keeping anything from working.
    ///
    /// # Errors
    /// Why there is none.
    fn cards(&self) -> Result<(Vec<Card>, Vec<String>), Finding>;

    /// Takes a device.
    ///
    /// # Errors
    /// Why it can't be used.
    fn open(&self, kind: Kind) -> Result<Box<dyn Backend>, Finding>;
}

/// What there is on this machine.
pub struct Machine;

impl Opener for Machine {
    fn cards(&self) -> Result<(Vec<Card>, Vec<String>), Finding> {
        cards::cards()
    }

    fn open(&self, kind: Kind) -> Result<Box<dyn Backend>, Finding> {
        Ok(match kind {
            Kind::Cuda => Box::new(Cuda::probe()?),
            Kind::Cpu => Box::new(Cpu),
        })
    }
}

/// Serves this process's supervisor until that goes away. Returns the exit code.
pub fn main() -> u8 {
    serve(&Machine)
}

/// [`main`] with something else to compute on.
pub fn serve(opener: &dyn Opener) -> u8 {
    match pipes() {
        Ok((input, output)) => conduct(input, output, opener),
        Err(error) => {
            tracing::error!("no pipes to a supervisor: {error}");
            EXIT_SYSTEM
        }
    }
}

/// The pipes to the supervisor as files that nothing else in this process knows: a driver that prints goes to stderr.
fn pipes() -> io::Result<(File, File)> {
    const ABOVE_STDIO: i32 = 3;
    let input = rustix::io::fcntl_dupfd_cloexec(io::stdin(), ABOVE_STDIO)?;
    let output = rustix::io::fcntl_dupfd_cloexec(io::stdout(), ABOVE_STDIO)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok((input.into(), output.into()))
}

/// Ends this process now. No destructors and no exit handlers: a driver's may hang.
fn end_now() -> ! {
    if rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).is_err() {
        std::process::abort();
    }
    loop {
        thread::park();
    }
}

/// What the threads share.
struct Desk {
    output: Mutex<File>,
    progress: AtomicU64,
    doing: AtomicU8,
    /// An order is being carried out.
    busy: AtomicBool,
}

impl Desk {
    fn write(&self, write: impl FnOnce(&mut File) -> io::Result<()>) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if write(&mut output).is_err() {
            end_now();
        }
    }

    fn say(&self, reply: &Reply) {
        self.write(|output| Frame::of(reply)?.write(output));
        self.progressed();
    }

    fn data(&self, bytes: &[u8]) {
        self.write(|output| Frame::write_data(output, bytes));
        self.progressed();
    }

    fn progressed(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    fn does(&self, doing: Doing) {
        let number = match doing {
            Doing::Waiting => 0,
            Doing::Opening => 1,
            Doing::Computing => 2,
            Doing::Sending => 3,
        };
        self.doing.store(number, Ordering::Relaxed);
        self.progressed();
    }

    fn doing(&self) -> Doing {
        match self.doing.load(Ordering::Relaxed) {
            1 => Doing::Opening,
            2 => Doing::Computing,
            3 => Doing::Sending,
            _ => Doing::Waiting,
        }
    }

    /// The last frame of an answer: after it the next order may come.
    fn answer(&self, reply: &Reply) {
        self.does(Doing::Waiting);
        self.busy.store(false, Ordering::Release);
        self.say(reply);
    }

    fn beat(&self, every: Duration) -> ! {
        loop {
            let progress = self.progress.load(Ordering::Relaxed);
            let beat = Reply::Beat { progress, doing: self.doing() };
            // A sign of life is no progress.
            self.write(|output| Frame::of(&beat)?.write(output));
            thread::sleep(every);
        }
    }

    fn refuse(&self, why: impl Into<String>) -> ! {
        self.say(&Reply::Refused(why.into()));
        std::process::exit(EXIT_PROTOCOL.into())
    }
}

/// The inputs of a run.
type Held = [Option<Arc<Vec<u8>>>; 4];

/// What the main thread is to do.
enum Task {
    List,
    Open(Kind),
    Run(Box<(Run, Held)>),
}

fn conduct(mut input: File, mut output: File, opener: &dyn Opener) -> u8 {
    if Greeting::ours().write(&mut output).is_err() {
        return EXIT_PROTOCOL;
    }
    let Ok(theirs) = Greeting::read(&mut input) else { return EXIT_PROTOCOL };
    let desk = Arc::new(Desk {
        output: Mutex::new(output),
        progress: AtomicU64::new(0),
        doing: AtomicU8::new(0),
        busy: AtomicBool::new(false),
    });
    if let Err(why) = theirs.check() {
        desk.refuse(why);
    }
    let (tasks, work) = channel();
    let reader = Reader { desk: desk.clone(), tasks, inputs: HashMap::new(), held: 0, most: None, coming: None };
    let started = thread::Builder::new().name("orders".to_owned()).spawn(move || reader.read(input));
    if started.is_err() {
        return EXIT_SYSTEM;
    }
    compute(&desk, &work, opener)
}

/// The thread that takes orders. It never waits for anything but the supervisor, so that it sees it go.
struct Reader {
    desk: Arc<Desk>,
    tasks: Sender<Task>,
    inputs: HashMap<Hash, Arc<Vec<u8>>>,
    /// Bytes of all inputs, those that are coming included.
    held: u64,
    /// Most of them; none before the first order.
    most: Option<u64>,
    /// An input of which not all is there.
    coming: Option<(Hash, u64, Vec<u8>)>,
}

impl Reader {
    fn read(mut self, mut input: File) {
        loop {
            match Frame::read(&mut input) {
                Ok(frame) => self.take(frame),
                Err(WireError::Ended | WireError::Io(_)) => end_now(),
                Err(error) => self.desk.refuse(error.to_string()),
            }
            self.desk.progressed();
        }
    }

    fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Data(bytes) => self.data(&bytes),
            message @ Frame::Message(_) => match message.message() {
                Ok(order) => self.order(order),
                Err(error) => self.desk.refuse(error.to_string()),
            },
        }
    }

    fn data(&mut self, bytes: &[u8]) {
        let Some((name, length, mut have)) = self.coming.take() else { self.desk.refuse("data of nothing") };
        have.extend_from_slice(bytes);
        let got = have.len() as u64;
        if bytes.is_empty() || got > length {
            self.desk.refuse("an input of another length");
        }
        if got == length {
            self.inputs.insert(name, Arc::new(have));
        } else {
            self.coming = Some((name, length, have));
        }
    }

    fn order(&mut self, order: Order) {
        if self.coming.is_some() {
            self.desk.refuse("an order inside of an input");
        }
        let began = self.most.is_some();
        match order {
            Order::Begin { beat_ms, cache_bytes } if !began => self.begin(beat_ms, cache_bytes),
            _ if !began => self.desk.refuse("an order before the first one"),
            Order::Begin { .. } => self.desk.refuse("the first order twice"),
            Order::List => self.give(Task::List),
            Order::Open(kind) => self.give(Task::Open(kind)),
            Order::Input { name, bytes } => self.expect(name, bytes),
            Order::Forget(name) => {
                let Some(input) = self.inputs.remove(&name) else { self.desk.refuse("an input that is not here") };
                self.held = self.held.saturating_sub(input.len() as u64);
            }
            Order::Run(run) => {
                let mut inputs = [const { None }; 4];
                for (to, name) in inputs.iter_mut().zip(run.inputs) {
                    let Some(name) = name else { continue };
                    *to = self.inputs.get(&name).cloned();
                    if to.is_none() {
                        self.desk.refuse("a run with an input that is not here");
                    }
                }
                self.give(Task::Run(Box::new((run, inputs))));
            }
        }
    }

    fn begin(&mut self, beat_ms: u32, cache_bytes: u64) {
        self.most = Some(cache_bytes);
        let (desk, every) = (self.desk.clone(), Duration::from_millis(beat_ms.max(1).into()));
        let beats = thread::Builder::new().name("beats".to_owned()).spawn(move || desk.beat(every));
        if beats.is_err() {
            self.desk.refuse("no thread for signs of life");
        }
    }

    fn expect(&mut self, name: Hash, bytes: u64) {
        self.held = self.held.saturating_add(bytes);
        if bytes == 0 || self.inputs.contains_key(&name) || self.most.is_none_or(|most| self.held > most) {
            self.desk.refuse("an input that is empty, here already, or too much");
        }
        let mut have = Vec::new();
        if usize::try_from(bytes).ok().is_none_or(|bytes| have.try_reserve_exact(bytes).is_err()) {
            self.desk.refuse(format!("no memory for an input of {bytes} bytes"));
        }
        self.coming = Some((name, bytes, have));
    }

    fn give(&self, task: Task) {
        if self.desk.busy.swap(true, Ordering::AcqRel) {
            self.desk.refuse("an order before the one before it was carried out");
        }
        if self.tasks.send(task).is_err() {
            end_now();
        }
    }
}

/// The main thread: the only one that touches a device.
fn compute(desk: &Arc<Desk>, work: &Receiver<Task>, opener: &dyn Opener) -> u8 {
    let mut backend: Option<Splitting> = None;
    for task in work {
        match task {
            Task::List => {
                desk.does(Doing::Opening);
                match opener.cards() {
                    Ok((cards, notes)) => desk.answer(&Reply::Cards { cards, notes }),
                    Err(finding) => desk.answer(&finding.into()),
                }
            }
            Task::Open(kind) => {
                desk.does(Doing::Opening);
                match opener.open(kind) {
                    Ok(opened) => {
                        let name = opened.name();
                        let parts = desk.clone();
                        backend = Some(Splitting::new(opened, move || parts.progressed()));
                        desk.answer(&Reply::Opened { name });
                    }
                    Err(finding) => desk.answer(&finding.into()),
                }
            }
            Task::Run(order) => {
                let (run, inputs) = *order;
                let Some(backend) = &backend else { desk.refuse("a run without a device") };
                desk.does(Doing::Computing);
                match carry_out(backend, &run, &inputs) {
                    Ok(piece) => send(desk, run.id, &piece),
                    Err(why) => {
                        let over = matches!(why, Failure::Device(_));
                        desk.answer(&Reply::Failed { id: run.id, why });
                        if over {
                            // Such errors stay with the process for good.
                            return EXIT_DEVICE;
                        }
                    }
                }
            }
        }
    }
    end_now()
}

fn carry_out(backend: &dyn Backend, run: &Run, inputs: &Held) -> Result<Piece, Failure> {
    let bytes = inputs.each_ref().map(|input| input.as_ref().map_or(&[][..], |bytes| bytes.as_slice()));
    let inputs = Inputs { inputs: bytes };
    let ran = catch_unwind(AssertUnwindSafe(|| match run.commit() {
        Some(commit) => backend.run_hashed(run.kernel, &run.params, &inputs, run.leaves(), &commit),
        None => {
            let bytes = backend.run(run.kernel, &run.params, &inputs, run.leaves())?;
            Ok::<Piece, ExecError>(Piece { bytes, nodes: Vec::new() })
        }
    }));
    match ran {
        Ok(done) => done.map_err(Failure::from),
        Err(_) => Err(Failure::Device("it panicked".to_owned())),
    }
}

fn send(desk: &Desk, id: u64, piece: &Piece) {
    desk.does(Doing::Sending);
    desk.say(&Reply::Result { id, bytes: piece.bytes.len() as u64, nodes: piece.nodes.len() as u64 });
    for bytes in piece.bytes.chunks(MAX_DATA).chain(piece.nodes.as_flattened().chunks(MAX_DATA)) {
        desk.data(bytes);
    }
    desk.answer(&Reply::Done { id });
}
