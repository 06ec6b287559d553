//! `cargo xtask fuzz`: the coverage-guided fuzzer of the settlement program (`fuzz/README.md`).

mod corpus;
mod summary;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    host, paths,
    run::{cargo, run, say},
    sbf::files::{self, Make},
};
use corpus::{pack, unpack};
use summary::Summary;

#[derive(Args)]
pub struct Options {
    /// How long to fuzz, seconds
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Only run what is kept: the corpus, and the inputs that once found something
    #[arg(long)]
    replay: bool,
    /// Afterwards put what was found into the committed corpus, reduced to what it takes for the same coverage
    #[arg(long, conflicts_with = "replay")]
    keep: bool,
}

/// Most bytes of an input: 16 operations of 32.
const INPUT_BYTES: usize = 512;
/// Most bytes of the committed corpus.
const CORPUS_BYTES: usize = 900_000;
/// A run goes on after a finding, up to so many: then there is something to mend first.
const MOST_FINDINGS: usize = 10;
/// Where inputs lie that once found something, under the fuzzer's folder.
const REGRESSIONS: &str = "regressions";
/// The corpus, under the fuzzer's folder.
const CORPUS: &str = "corpus/inputs.bin";

/// What one run works with. All of it is copied, so that builds beside it change nothing.
struct Fuzzer {
    binary: PathBuf,
    programs: PathBuf,
    stats: PathBuf,
    /// The inputs that it knows, one a file.
    inputs: PathBuf,
    /// Inputs that once found something.
    regressions: PathBuf,
    /// What this run finds.
    findings: PathBuf,
}

pub fn main(options: &Options) -> Result<()> {
    let workspace = paths::workspace()?;
    let fuzz = workspace.join("fuzz");
    // A folder of its own: register tracing changes what the chain's crates are compiled with.
    let target = paths::target()?.join("fuzz");
    let built = build(&fuzz, &target)?;
    // Two folders, so that the corpus can be replayed while a long run goes on.
    let home = target.join(if options.replay { "replay" } else { "run" });
    let _lock = files::lock(&home.with_extension("lock"))?;
    let fuzzer = Fuzzer::new(&built, &workspace, &fuzz, &home)?;
    let kept = unpack(&fuzz.join(CORPUS), &fuzzer.inputs)?;
    say(&format!("{kept} inputs of the corpus, and those of {REGRESSIONS}"));
    let mut summary = Summary::default();
    let start = Instant::now();
    run(fuzzer.start().arg("-runs=0").args([&fuzzer.inputs, &fuzzer.regressions]))?;
    if options.replay {
        summary.add(&fuzzer.stats, start.elapsed())?;
        tell(&summary.lines());
        return Ok(());
    }
    let findings = fuzzer.fuzz(Duration::from_secs(options.seconds), &mut summary)?;
    let mut lines = summary.lines();
    if options.keep {
        lines.push(format!("corpus        {}", fuzzer.keep(&fuzz.join(CORPUS))?));
    }
    lines.push(format!("findings      {}", findings.len()));
    tell(&lines);
    if findings.is_empty() {
        return Ok(());
    }
    for finding in &findings {
        eprintln!("   ASSAY_FUZZ_SHOW=1 {} {}", built.display(), finding.display());
    }
    bail!("the fuzzer found something: what, stands above; the inputs lie in {REGRESSIONS}");
}

fn tell(lines: &[String]) {
    say("summary");
    lines.iter().for_each(|line| eprintln!("   {line}"));
}

/// Compiles the fuzzer: 13 minutes on two cores the first time.
fn build(fuzz: &Path, target: &Path) -> Result<PathBuf> {
    host::provide(&[&host::COMPILER])?;
    say("the fuzzer (about 13 minutes on two cores the first time)");
    run(cargo().args(["build", "--locked"]).current_dir(fuzz).env("CARGO_TARGET_DIR", target))?;
    Ok(target.join("debug/settlement"))
}

impl Fuzzer {
    /// Copies what is needed to `home`.
    fn new(built: &Path, workspace: &Path, fuzz: &Path, home: &Path) -> Result<Self> {
        files::remove(home)?;
        files::create(home)?;
        let fuzzer = Self {
            binary: home.join("settlement"),
            programs: home.join("programs"),
            stats: home.join("stats"),
            inputs: home.join("inputs"),
            regressions: fuzz.join(REGRESSIONS),
            findings: home.join("findings"),
        };
        fs::copy(built, &fuzzer.binary).with_context(|| format!("cannot copy {}", built.display()))?;
        // The same variable as for the tests.
        let programs = std::env::var_os("ASSAY_PROGRAMS").map_or_else(|| workspace.join("programs/bin"), PathBuf::from);
        files::tree(&programs, &fuzzer.programs, Make::Copy, &|_| false)?;
        files::create(&fuzzer.findings)?;
        Ok(fuzzer)
    }

    /// The fuzzer: what it finds goes to the findings.
    fn start(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.env("ASSAY_PROGRAMS", &self.programs).env("ASSAY_FUZZ_STATS", &self.stats);
        command.arg(format!("-artifact_prefix={}/", self.findings.display()));
        command
    }

    /// Fuzzes for so long; what it found lies among the regressions then.
    fn fuzz(&self, time: Duration, summary: &mut Summary) -> Result<Vec<PathBuf>> {
        say(&format!("fuzzing for {} s; it goes on after a finding", time.as_secs()));
        let begin = Instant::now();
        loop {
            let start = Instant::now();
            let left = time.saturating_sub(begin.elapsed()).as_secs();
            let before = files::entries(&self.findings)?.len();
            if left == 0 || before >= MOST_FINDINGS {
                break;
            }
            let ended = run(self
                .start()
                .arg(format!("-max_total_time={left}"))
                .arg(format!("-max_len={INPUT_BYTES}"))
                .args(["-len_control=0", "-timeout=60", "-print_final_stats=1"])
                .args([&self.inputs, &self.regressions]));
            summary.add(&self.stats, start.elapsed())?;
            if files::entries(&self.findings)?.len() == before {
                // Over, or something else is wrong.
                ended?;
                break;
            }
        }
        let mut kept = Vec::new();
        for finding in files::entries(&self.findings)? {
            let name = finding.file_name().with_context(|| format!("{} has no name", finding.display()))?;
            let regression = self.regressions.join(name);
            files::write(&regression, &files::read(&finding)?)?;
            kept.push(regression);
        }
        Ok(kept)
    }

    /// Puts the inputs into the committed corpus: as few as give the same coverage. Says how many those are.
    fn keep(&self, corpus: &Path) -> Result<String> {
        // First with how often each jump was taken; where that takes too many inputs, only with whether.
        for counters in ["-use_counters=1", "-use_counters=0"] {
            let least = self.inputs.with_file_name("least");
            files::remove(&least)?;
            files::create(&least)?;
            run(self
                .start()
                .args(["-set_cover_merge=1", counters, &format!("-max_len={INPUT_BYTES}")])
                .args([&least, &self.inputs]))?;
            let (bytes, count) = pack(&least)?;
            if bytes.len() <= CORPUS_BYTES {
                files::write(corpus, &bytes)?;
                return Ok(format!("{count} inputs, {} KB, in {CORPUS}", bytes.len() / 1_000));
            }
            say(&format!("{count} inputs with {} bytes are more than the {CORPUS_BYTES} that are kept", bytes.len()));
        }
        bail!("even without counts of jumps the corpus is too large; it is left as it was");
    }
}
