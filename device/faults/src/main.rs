//! A device process that goes wrong in the way that its first argument names. It is the real one, with something else to
//! compute on; only what no real one could do (garbage, other versions) is written here.
//!
//! The second argument, where a fault is to happen once, is a file: the fault happens while it is there, and takes it
//! away.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]

use std::{
    fs::File,
    io::{Read, Write, stdin, stdout},
    ops::Range,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    thread::{park, spawn},
};

use assay_device::{
    Card, Devices, Kind, Lane, Limits, Program,
    child::{Opener, serve},
    frame::{Frame, Greeting, MAX_DATA},
    message::{Order, Reply},
};
use assay_kernels::{
    executor::{Backend, Cpu, ExecError, Finding, Inputs},
    registry::AnyKernel,
};

/// A processor with a fault.
struct Faulty {
    fault: String,
    once: Option<PathBuf>,
    runs: AtomicU64,
}

/// Known answers come first: as many runs as there are jobs of them pass. Marks the others by their first leaf.
const AFTER_SELF_TEST: u64 = 1;

impl Faulty {
    /// Whether the fault happens now.
    fn now(&self) -> bool {
        match &self.once {
            Some(file) => std::fs::remove_file(file).is_ok(),
            None => true,
        }
    }
}

impl Backend for Faulty {
    fn name(&self) -> String {
        format!("faulty: {}", self.fault)
    }

    fn run(&self, kernel: u16, params: &[u8], inputs: &Inputs, leaves: Range<u64>) -> Result<Vec<u8>, ExecError> {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let mut bytes = Cpu.run(kernel, params, inputs, leaves.clone())?;
        // Known answers are asked for from leaf 0 on.
        let asked = leaves.start >= AFTER_SELF_TEST;
        match self.fault.as_str() {
            "hangs" if asked && self.now() => loop {
                park();
            },
            "panics" if asked && self.now() => panic!("as asked for"),
            "exits" if asked && self.now() => std::process::exit(3),
            "aborts" if asked && self.now() => std::process::abort(),
            "device-error" if asked && self.now() => Err(ExecError::Device("CUDA_ERROR_ILLEGAL_ADDRESS".to_owned())),
            "refuses" if asked && self.now() => Err(ExecError::LeafRange),
            "short" if asked && self.now() => Ok(bytes.split_off(1)),
            "little-memory" if leaves.end - leaves.start > 3 && asked => {
                Err(ExecError::DeviceMemory(bytes.len() as u64))
            }
            "no-memory" if asked => Err(ExecError::DeviceMemory(bytes.len() as u64)),
            // As after an Xid: it answers, and wrongly, from its known answers on.
            "wrong-later" if self.once.as_ref().is_some_and(|file| file.exists()) => {
                bytes[0] ^= 1;
                Ok(bytes)
            }
            "wrong" => {
                bytes[0] ^= 1;
                Ok(bytes)
            }
            // Until the other card's process does the other half of it: both at the same time, or for ever.
            "meets" if asked => {
                let pipe = self.once.as_ref().unwrap();
                if on_second() {
                    drop(File::options().write(true).open(pipe).unwrap());
                } else {
                    drop(File::open(pipe).unwrap());
                }
                Ok(bytes)
            }
            "prints" => {
                println!("a driver that prints, run {number}");
                Ok(bytes)
            }
            _ => Ok(bytes),
        }
    }
}

impl Opener for Faulty {
    fn cards(&self) -> Result<(Vec<Card>, Vec<String>), Finding> {
        let card = |name: &str| Card { name: name.to_owned(), memory: 1 << 30, capability: (9, 0) };
        match self.fault.as_str() {
            "no-card" => Err(finding()),
            "lists-for-ever" => loop {
                park();
            },
            _ => Ok((vec![card("first"), card("second")], vec!["a note".to_owned()])),
        }
    }

    fn open(&self, _kind: Kind) -> Result<Box<dyn Backend>, Finding> {
        let second = on_second();
        match self.fault.as_str() {
            "no-card" => Err(finding()),
            "second-missing" if second => Err(finding()),
            "second-breaks" if !second => Ok(Box::new(Cpu)),
            "second-breaks" => {
                Ok(Box::new(Self { fault: "device-error".to_owned(), once: None, runs: AtomicU64::new(0) }))
            }
            "open-for-ever" => loop {
                park();
            },
            fault => Ok(Box::new(Self { fault: fault.to_owned(), once: self.once.clone(), runs: AtomicU64::new(0) })),
        }
    }
}

/// Whether this process has the second card.
fn on_second() -> bool {
    std::env::var("CUDA_VISIBLE_DEVICES").is_ok_and(|card| card == "1")
}

fn finding() -> Finding {
    Finding { problem: "there is no card".to_owned(), remedy: "put one in".to_owned() }
}

/// Says its greeting and opens as a real one, then does `then` when it is asked to compute.
fn until_the_first_run(then: impl Fn(u64)) -> ! {
    let (mut input, mut output) = (stdin().lock(), stdout().lock());
    Greeting::ours().write(&mut output).unwrap();
    Greeting::read(&mut input).unwrap();
    loop {
        let frame = Frame::read(&mut input).unwrap();
        match frame.message::<Order>() {
            Ok(Order::Open(_)) => say(&mut output, &Reply::Opened { name: "liar".to_owned() }),
            Ok(Order::Run(run)) => {
                drop(output);
                then(run.id);
                output = stdout().lock();
            }
            _ => {}
        }
    }
}

fn say(output: &mut impl Write, reply: &Reply) {
    Frame::of(reply).unwrap().write(output).unwrap();
}

/// Supervises a healthy process, or one that hangs by now, tells its number and waits to be killed.
fn supervise(fault: &Path) -> ! {
    let (limits, kind) = (Limits::default(), Kind::Cpu);
    let program = Program::this([fault]).unwrap();
    let devices = Devices::of(vec![Lane::open("device 0", program, kind, limits).unwrap()]);
    let process = devices.devices()[0].process().unwrap();
    if fault == Path::new("hangs") {
        let job = AnyKernel::GemmI8.handling().checks().remove(0);
        spawn(move || devices.run(AnyKernel::GemmI8.id(), &job.params, &job.inputs(), 1..2));
        println!("{process}");
    } else {
        println!("{process}");
        std::mem::forget(devices);
    }
    loop {
        park();
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let fault = arguments.next().unwrap_or_default();
    let once = arguments.next().map(PathBuf::from);
    let out = |bytes: &[u8]| {
        stdout().write_all(bytes).unwrap();
        stdout().flush().unwrap();
    };
    match fault.as_str() {
        "environment" => {
            // What a process that holds no keys may know: written where the test can see it.
            let names: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
            std::fs::write(once.unwrap(), names.join("\n")).unwrap();
        }
        "babbles" => out(b"running 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured\n"),
        "silent" => {
            // Until it is killed: no greeting, no reading.
            loop {
                park();
            }
        }
        "deaf" => {
            Greeting::ours().write(&mut stdout()).unwrap();
            loop {
                park();
            }
        }
        "ends-at-once" => {}
        "real" => return assay_device::child::main().into(),
        "supervisor" => supervise(&once.unwrap()),
        "older" => {
            Greeting { protocol: 0, ..Greeting::ours() }.write(&mut stdout()).unwrap();
            drop(stdin().read_to_end(&mut Vec::new()));
        }
        "other-build" => {
            Greeting { build: "0.0.1+0123".to_owned(), ..Greeting::ours() }.write(&mut stdout()).unwrap();
            drop(stdin().read_to_end(&mut Vec::new()));
        }
        "garbage" => until_the_first_run(|_| out(b"\x07garbage")),
        "huge-frame" => until_the_first_run(|_| out(&[2, 0xff, 0xff, 0xff, 0xff])),
        "half-frame" => until_the_first_run(|_| {
            out(&[2, 9, 0, 0, 0, 1, 2]);
            std::process::exit(0)
        }),
        "other-run" => until_the_first_run(|id| say(&mut stdout(), &Reply::Done { id: id + 1 })),
        "other-length" => {
            until_the_first_run(|id| say(&mut stdout(), &Reply::Result { id, bytes: u64::MAX, nodes: 0 }))
        }
        "flood" => {
            Greeting::ours().write(&mut stdout()).unwrap();
            say(&mut stdout(), &Reply::Opened { name: "flood".to_owned() });
            loop {
                Frame::Data(vec![0; MAX_DATA]).write(&mut stdout()).unwrap();
            }
        }
        _ => return serve(&Faulty { fault, once, runs: AtomicU64::new(0) }).into(),
    }
    ExitCode::SUCCESS
}
