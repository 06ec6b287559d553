//! `cargo xtask mutants`: takes every check out of the settlement program in turn and shows that a test notices.
//!
//! The program is built once with its feature `mutants`: then `ensure`, `same` and `expect` look up a mark in the file
//! before they refuse. Writing the place of a check over the mark takes that one out. So a mutant costs no build, only the
//! tests on the real `.so`.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    demo::SELECTION,
    paths, program,
    run::{cargo, say, spell},
    sbf::files,
};

#[derive(Args)]
pub struct Options {
    /// Only checks in files whose path contains this
    #[arg(long)]
    file: Option<String>,
    /// Only list the checks
    #[arg(long)]
    list: bool,
    /// Tests that run at the same time
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// The functions that refuse.
const CHECKS: [&str; 4] = ["ensure(", "same(", "expect(", "state_is("];
/// Where the program keeps the place of the check that is off, see `programs/settlement/src/mutants.rs`.
const MARK: &[u8] = b"ASSAY-MUTANT-OFF";
/// Modules of tests that take long; they run where the others noticed nothing.
const SLOW: [&str; 4] = ["matrix::", "walks::", "queue::", "fairness::"];
/// A mutant that makes a test hang is noticed too.
const PATIENCE: Duration = Duration::from_secs(300);

/// A check in the source.
struct Site {
    /// Path below `src`.
    file: String,
    line: u32,
    text: String,
}

pub fn main(options: &Options) -> Result<()> {
    let workspace = paths::workspace()?;
    let sources = workspace.join("programs/settlement/src");
    let mut sites = Vec::new();
    collect(&sources, &sources, &mut sites)?;
    sites.retain(|site| options.file.as_ref().is_none_or(|part| site.file.contains(part)));
    if options.list {
        for site in &sites {
            println!("{}:{}  {}", site.file, site.line, site.text);
        }
        println!("{} checks", sites.len());
        return Ok(());
    }
    let folder = paths::target()?.join("mutants");
    let original = program::with_mutants()?;
    let at = original.windows(MARK.len()).position(|bytes| bytes == MARK).context("the build has no mark")?;
    let at = at.checked_add(MARK.len()).context("a file of this size")?;
    let verifier = "assay_verifier.so";
    files::write(&folder.join(verifier), &files::read(&workspace.join("programs/bin").join(verifier))?)?;
    // A copy: whoever works on meanwhile builds the original anew.
    let tests = folder.join("settlement-tests");
    files::remove(&tests)?;
    std::fs::copy(test_binary(&workspace)?, &tests).context("cannot copy the tests")?;
    let run = |bytes: &[u8]| -> Result<Option<String>> {
        files::write(&folder.join("assay_settlement.so"), bytes)?;
        let round = |names: Vec<&str>| noticed(&tests, &workspace.join("tests"), &folder, options.threads, &names);
        // The quick ones notice nearly everything.
        match round(SLOW.iter().flat_map(|name| ["--skip", name]).collect())? {
            None => round(SLOW.to_vec()),
            found => Ok(found),
        }
    };
    say("the tests with every check in place");
    if let Some(test) = run(&original)? {
        bail!("{test} fails without a mutant");
    }
    let (start, mut survivors) = (Instant::now(), Vec::new());
    for (i, site) in (1usize..).zip(&sites) {
        let mut bytes = original.clone();
        let place = [name_hash(&site.file).to_le_bytes(), site.line.to_le_bytes()].concat();
        let room = at.checked_add(place.len()).and_then(|end| bytes.get_mut(at..end)).context("no room for a mark")?;
        room.copy_from_slice(&place);
        let verdict = run(&bytes)?;
        println!(
            "{i:>3}/{}  {}:{}  {}  {}",
            sites.len(),
            site.file,
            site.line,
            verdict.as_deref().map_or("SURVIVES".to_owned(), |test| format!("caught by {test}")),
            site.text
        );
        if verdict.is_none() {
            survivors.push(site);
        }
    }
    println!("\n{} checks, {} survive, {}", sites.len(), survivors.len(), spell(start.elapsed()));
    for site in survivors {
        println!("SURVIVES  {}:{}  {}", site.file, site.line, site.text);
    }
    Ok(())
}

/// Every call of a refusing function in the sources below `folder`, apart from tests.
fn collect(root: &Path, folder: &Path, sites: &mut Vec<Site>) -> Result<()> {
    let mut entries = files::entries(folder)?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, sites)?;
            continue;
        }
        let file = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        if path.extension().is_none_or(|e| e != "rs") || file.ends_with("tests.rs") || file == "mutants.rs" {
            continue;
        }
        let source = String::from_utf8(files::read(&path)?).with_context(|| format!("{file} is no text"))?;
        for (line, text) in (1u32..).zip(source.lines()) {
            let text = text.trim();
            if text.starts_with("#[cfg(test)]") {
                break;
            }
            if !text.starts_with("//") && !text.contains("fn ") && CHECKS.iter().any(|check| calls(text, check)) {
                sites.push(Site { file: file.clone(), line, text: text.chars().take(90).collect() });
            }
        }
    }
    Ok(())
}

/// True when the line calls the function itself, not one whose name ends like it.
fn calls(text: &str, check: &str) -> bool {
    text.match_indices(check).any(|(at, _)| {
        text.get(..at)
            .and_then(|before| before.chars().next_back())
            .is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '.')
    })
}

/// FNV-1a, as in the program.
fn name_hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Builds the settlement tests and returns their binary.
fn test_binary(workspace: &Path) -> Result<PathBuf> {
    let mut build = cargo();
    build.current_dir(workspace).args(["test", "--locked", "--no-run", "--test", "settlement"]).args(SELECTION);
    let output = build.stderr(Stdio::piped()).output().context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("the tests do not compile:\n{text}");
    }
    let path = text.lines().rev().find(|line| line.contains("settlement")).and_then(|line| line.split_once('('));
    let (_, path) = path.with_context(|| format!("cargo named no test binary:\n{text}"))?;
    let path = PathBuf::from(path.trim_end_matches(')'));
    Ok(if path.is_absolute() { path } else { workspace.join(path) })
}

/// The first of the tests chosen by `names` that fails with the programs in `folder`; none when all pass.
fn noticed(tests: &Path, cwd: &Path, folder: &Path, threads: usize, names: &[&str]) -> Result<Option<String>> {
    let mut child = Command::new(tests)
        .args(["--test-threads", &threads.to_string()])
        .args(names)
        .current_dir(cwd)
        .env("CARGO_MANIFEST_DIR", cwd)
        .env("ASSAY_PROGRAMS", folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the tests")?;
    let output = child.stdout.take().context("the tests have no output")?;
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    let start = Instant::now();
    let mut passed = false;
    let verdict = loop {
        let left = PATIENCE.saturating_sub(start.elapsed());
        match receive.recv_timeout(left) {
            Ok(line) => match line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
                // What fails on purpose when others did not run is no verdict.
                Some((name, "FAILED")) => break Some(name.to_owned()),
                _ => passed |= line.starts_with("test result: ok"),
            },
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => break Some("a test that hangs".to_owned()),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                break if passed { None } else { Some("a crash of the tests".to_owned()) };
            }
        }
    };
    // Whatever still runs has nothing to add.
    child.kill().ok();
    child.wait().context("waiting for the tests")?;
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_other_names() {
        assert!(calls("ensure(a, b)?;", "ensure("));
        assert!(calls("let x = !same(&a, &b, E);", "same("));
        assert!(!calls("checks.ensure(a)", "ensure("));
        assert!(!calls("roughly_same(a)", "same("));
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(name_hash(""), 0x811c_9dc5);
        assert_eq!(name_hash("a"), 0xe40c_292c);
    }
}
