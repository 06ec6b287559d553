//! The settlement tests on one build of the program with one check taken out.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    mutants::{
        accounts::Check,
        sites::{Kind, Site},
    },
    run::{cargo, say},
    sbf::files,
};

/// Modules of tests that take long; they run where the others noticed nothing.
const SLOW: [&str; 4] = ["matrix::", "walks::", "queue::", "fairness::"];
/// Tests of files that somebody may be changing meanwhile. They run no program.
const FILES: [&str; 1] = ["attacks_doc::"];
/// A mutant that makes a test hang is noticed too.
const PATIENCE: Duration = Duration::from_secs(300);

pub struct Trial {
    workspace: PathBuf,
    /// The programs that the tests load.
    folder: PathBuf,
    /// A copy of the tests: whoever works on meanwhile builds the original anew.
    tests: PathBuf,
    /// The program with every check in place.
    original: Vec<u8>,
    threads: usize,
}

impl Trial {
    /// `tests`: a binary of the settlement tests; none: built now.
    pub fn new(
        workspace: &Path,
        folder: PathBuf,
        original: Vec<u8>,
        tests: Option<&Path>,
        threads: usize,
    ) -> Result<Self> {
        for kind in [Kind::Own, Kind::Anchor(Check::Signer)] {
            place_of(&original, kind.mark())?;
        }
        let verifier = "assay_verifier.so";
        files::write(&folder.join(verifier), &files::read(&workspace.join("programs/bin").join(verifier))?)?;
        let copy = folder.join("settlement-tests");
        files::remove(&copy)?;
        let built = tests.map_or_else(|| test_binary(workspace), |tests| Ok(tests.to_path_buf()))?;
        std::fs::copy(built, &copy).context("cannot copy the tests")?;
        Ok(Self { workspace: workspace.to_path_buf(), folder, tests: copy, original, threads })
    }

    /// Hashes of the program and of the tests: what a verdict holds for.
    pub fn hashes(&self) -> Result<(String, String)> {
        Ok((files::sha256_hex(&self.original), files::sha256_file(&self.tests)?))
    }

    /// The first test that fails with every check in place.
    pub fn plain(&self) -> Result<Option<String>> {
        self.all(&self.original, None)
    }

    /// The first test that fails without this check; none when all pass.
    pub fn without(&self, site: &Site) -> Result<Option<String>> {
        let mut bytes = self.original.clone();
        let mark = site.kind.mark();
        let at = place_of(&bytes, mark)?.checked_add(mark.len()).context("a file of this size")?;
        let end = at.checked_add(site.place.len());
        let room = end.and_then(|end| bytes.get_mut(at..end)).context("no room for a mark")?;
        room.copy_from_slice(&site.place);
        self.all(&bytes, likely(site.kind))
    }

    fn all(&self, program: &[u8], likely: Option<&str>) -> Result<Option<String>> {
        files::write(&self.folder.join("assay_settlement.so"), program)?;
        if let Some(likely) = likely
            && let Some(found) = self.noticed(&[likely])?
        {
            return Ok(Some(found));
        }
        // The quick ones notice nearly everything.
        let quick: Vec<_> = SLOW.iter().chain(&FILES).flat_map(|name| ["--skip", name]).collect();
        match self.noticed(&quick)? {
            None => self.noticed(&SLOW),
            found => Ok(found),
        }
    }

    /// The first of the tests chosen by `names` that fails; none when all pass.
    fn noticed(&self, names: &[&str]) -> Result<Option<String>> {
        let cwd = self.workspace.join("tests");
        let mut child = Command::new(&self.tests)
            .args(["--test-threads", &self.threads.to_string()])
            .args(names)
            .current_dir(&cwd)
            .env("CARGO_MANIFEST_DIR", &cwd)
            .env("ASSAY_PROGRAMS", &self.folder)
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
}

/// Where the tests look at such a check; they run first.
fn likely(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Own => None,
        Kind::Anchor(Check::Signer) => Some("signers::"),
        Kind::Anchor(_) => Some("counterfeits::"),
    }
}

/// Where the only mark of its kind begins.
fn place_of(program: &[u8], mark: &[u8]) -> Result<usize> {
    let mut places = program.windows(mark.len()).enumerate().filter(|(_, bytes)| *bytes == mark).map(|(at, _)| at);
    match (places.next(), places.next()) {
        (Some(at), None) => Ok(at),
        (None, _) => bail!("the build has no mark {}", String::from_utf8_lossy(mark)),
        _ => bail!("the build has more than one mark {}", String::from_utf8_lossy(mark)),
    }
}

/// Builds the settlement tests, optimised because they run hundreds of times, and returns their binary.
fn test_binary(workspace: &Path) -> Result<PathBuf> {
    say("compiling the settlement tests, optimised (about 9 minutes on two cores the first time)");
    let mut build = cargo();
    build.current_dir(workspace).args(["test", "--locked", "--no-run", "--test", "settlement"]);
    build.args(["--profile", "long", "--package", "assay-tests", "--no-default-features"]);
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
