//! `cargo xtask fuzz`: the coverage-guided fuzzer of the settlement program (`fuzz/README.md`).

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    host, paths,
    run::{cargo, run, say},
    sbf::files,
};

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
/// Where inputs lie that once found something, under the fuzzer's folder.
const REGRESSIONS: &str = "regressions";
/// The corpus: each input with its length in front (u16, little-endian).
const CORPUS: &str = "corpus/inputs.bin";

pub fn main(options: &Options) -> Result<()> {
    let fuzz = paths::workspace()?.join("fuzz");
    // A folder of its own: register tracing changes what the chain's crates are compiled with.
    let target = paths::target()?.join("fuzz");
    let binary = build(&fuzz, &target)?;
    let (inputs, regressions) = (target.join("inputs"), fuzz.join(REGRESSIONS));
    let kept = unpack(&fuzz.join(CORPUS), &inputs)?;
    say(&format!("{kept} inputs of the corpus, and those of {REGRESSIONS}"));
    run(Command::new(&binary).arg("-runs=0").args([&inputs, &regressions]))?;
    if options.replay {
        return Ok(());
    }
    say(&format!("fuzzing for {} s; a finding ends it and lies in {REGRESSIONS}", options.seconds));
    let found = run(Command::new(&binary)
        .arg(format!("-max_total_time={}", options.seconds))
        .arg(format!("-max_len={INPUT_BYTES}"))
        .arg(format!("-artifact_prefix={}/", regressions.display()))
        .args(["-len_control=0", "-timeout=60", "-print_final_stats=1"])
        .args([&inputs, &regressions]));
    if options.keep {
        let least = target.join("least");
        files::remove(&least)?;
        files::create(&least)?;
        run(Command::new(&binary)
            .args(["-set_cover_merge=1", &format!("-max_len={INPUT_BYTES}")])
            .args([&least, &inputs]))?;
        let count = pack(&least, &fuzz.join(CORPUS))?;
        say(&format!("{count} inputs in {CORPUS}"));
    }
    found.context("the fuzzer found something: what, stands above")
}

/// Compiles the fuzzer: 13 minutes on two cores the first time.
fn build(fuzz: &Path, target: &Path) -> Result<PathBuf> {
    host::provide(&[&host::COMPILER])?;
    say("the fuzzer (about 13 minutes on two cores the first time)");
    run(cargo().args(["build", "--locked"]).current_dir(fuzz).env("CARGO_TARGET_DIR", target))?;
    Ok(target.join("debug/settlement"))
}

/// Writes each input of the corpus to a file of its own; returns how many there are.
fn unpack(corpus: &Path, folder: &Path) -> Result<usize> {
    files::remove(folder)?;
    files::create(folder)?;
    let bytes = if corpus.is_file() { files::read(corpus)? } else { Vec::new() };
    let inputs = split(&bytes).with_context(|| format!("{} is broken", corpus.display()))?;
    for (number, input) in inputs.iter().enumerate() {
        fs::write(folder.join(format!("{number:05}")), input)?;
    }
    Ok(inputs.len())
}

/// The inputs that these bytes hold.
fn split(mut bytes: &[u8]) -> Result<Vec<&[u8]>> {
    let mut inputs = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<2>().context("half a length at the end")?;
        let len = usize::from(u16::from_le_bytes(*len));
        if rest.len() < len {
            bail!("an input of {len} bytes is cut off");
        }
        let (input, rest) = rest.split_at(len);
        inputs.push(input);
        bytes = rest;
    }
    Ok(inputs)
}

/// The bytes that hold these inputs.
fn join(inputs: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for input in inputs {
        bytes.extend_from_slice(&u16::try_from(input.len()).context("an input is too long")?.to_le_bytes());
        bytes.extend_from_slice(input);
    }
    Ok(bytes)
}

/// Puts all files of a folder into the corpus, in order of their bytes; returns how many there are.
fn pack(folder: &Path, corpus: &Path) -> Result<usize> {
    let mut inputs = Vec::new();
    for file in files::entries(folder)? {
        inputs.push(files::read(&file)?);
    }
    inputs.sort_unstable();
    files::write(corpus, &join(&inputs)?)?;
    Ok(inputs.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corpus_comes_back_as_it_went_in() {
        let inputs = [vec![], vec![1; 512], vec![7]];
        let bytes = join(&inputs).expect("short inputs");
        assert_eq!(split(&bytes).expect("whole"), inputs.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert!(split(&bytes[..bytes.len() - 1]).is_err());
        assert!(split(&bytes[..3]).is_err());
    }
}
