//! What a run did and how far it came, kept in a file for whoever started it: `cargo xtask fuzz` prints it at the end.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::Write as _,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Names the file, in the environment.
const FILE: &str = "ASSAY_FUZZ_STATS";
/// How often it is written where nothing new was reached.
const EVERY: Duration = Duration::from_secs(1);
/// Bytes of an instruction of the virtual machine.
const SLOT_BYTES: u64 = 8;

thread_local! {
    static STATS: RefCell<Stats> = RefCell::new(Stats::default());
}

/// Counts of this process, and where they go.
#[derive(Default)]
pub struct Stats {
    file: Option<PathBuf>,
    written: Option<Instant>,
    fresh: bool,
    inputs: u64,
    /// Calls of the program and those of them that landed, by name.
    calls: BTreeMap<String, [u64; 2]>,
    executed: u64,
    counters: Seen,
    edges: Seen,
    slots: u64,
}

/// Which numbers came up.
#[derive(Default)]
struct Seen {
    known: Vec<bool>,
    count: u64,
}

impl Seen {
    /// True for a number that is new.
    fn add(&mut self, number: usize) -> bool {
        if self.known.len() <= number {
            self.known.resize(number + 1, false);
        }
        let known = &mut self.known[number];
        let new = !*known;
        *known = true;
        self.count += u64::from(new);
        new
    }
}

impl Stats {
    /// A program counter was executed.
    pub fn counter(&mut self, counter: u64) {
        self.executed += 1;
        // Frames begin and end at numbers in the program; anything else would be a broken trace.
        if counter < self.slots {
            self.fresh |= self.counters.add(counter as usize);
        }
    }

    /// A jump, by its place in the table of jumps.
    pub fn edge(&mut self, place: usize) {
        self.fresh |= self.edges.add(place);
    }

    fn text(&self) -> String {
        let sum = |which: usize| self.calls.values().map(|call| call[which]).sum::<u64>();
        let mut text = String::new();
        for (name, value) in [
            ("inputs", self.inputs),
            ("sent", sum(0)),
            ("landed", sum(1)),
            ("executed", self.executed),
            ("edges", self.edges.count),
            ("counters", self.counters.count),
            ("slots", self.slots),
        ] {
            writeln!(text, "{name} {value}").expect("a string takes it");
        }
        for (name, [sent, landed]) in &self.calls {
            writeln!(text, "call {name} {sent} {landed}").expect("a string takes it");
        }
        text
    }

    fn end_of_input(&mut self) {
        self.inputs += 1;
        let due = self.written.is_none_or(|written| written.elapsed() >= EVERY);
        if let Some(file) = self.file.as_ref().filter(|_| due || self.fresh) {
            std::fs::write(file, self.text()).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            self.written = Some(Instant::now());
            self.fresh = false;
        }
    }
}

/// Begins: the names of all instructions, and the settlement program as it was built.
pub fn begin<'n>(names: impl Iterator<Item = &'n str>, elf: &[u8]) {
    change(|stats| {
        stats.file = std::env::var_os(FILE).map(PathBuf::from);
        stats.calls = names.map(|name| (name.to_owned(), [0; 2])).collect();
        stats.slots = slots(elf);
    });
}

/// Lets a caller count.
pub fn change<R>(with: impl FnOnce(&mut Stats) -> R) -> R {
    STATS.with_borrow_mut(with)
}

/// A call of the program ended.
pub fn call(name: &str, landed: bool) {
    change(|stats| {
        let count = stats.calls.entry(name.to_owned()).or_default();
        count[0] += 1;
        count[1] += u64::from(landed);
    });
}

/// An input ended.
pub fn input() {
    change(Stats::end_of_input);
}

/// How many instructions a program has room for: the bytes of its executable parts.
fn slots(elf: &[u8]) -> u64 {
    let number = |at: usize, size: usize| {
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(&elf[at..at + size]);
        u64::from_le_bytes(bytes)
    };
    let (table, count) = (number(32, 8) as usize, number(56, 2) as usize);
    let parts = (0..count).map(|part| table + part * 56);
    parts.filter(|at| number(at + 4, 4) & 1 == 1).map(|at| number(at + 32, 8)).sum::<u64>() / SLOT_BYTES
}
