//! Running the tests and counting them, so that the last line says how many there were.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// Tests of all binaries together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
}

impl Tally {
    /// Adds a test binary's closing line (`test result: ok. 3 passed; 0 failed; ...`); other lines change nothing.
    fn add(&mut self, line: &str) {
        let Some(counts) = line.trim_start().strip_prefix("test result: ") else { return };
        for part in counts.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next().and_then(|n| n.parse::<u64>().ok()), words.next()) else {
                continue;
            };
            match what {
                "passed" => self.passed = self.passed.saturating_add(number),
                "failed" => self.failed = self.failed.saturating_add(number),
                _ => {}
            }
        }
    }
}

/// Runs `cargo test` with its output copied to `out` and returns the counts.
///
/// # Errors
/// It cannot be started or fails, or no test was run.
pub fn run_tests(command: &mut Command, out: &mut impl Write) -> Result<Tally> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start `cargo test`")?;
    let mut tally = Tally::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line.context("reading what the tests print")?;
            tally.add(&line);
            writeln!(out, "{line}")?;
        }
    }
    let status = child.wait().context("waiting for `cargo test`")?;
    writeln!(out, "{} passed, {} failed", tally.passed, tally.failed)?;
    if !status.success() {
        bail!("`cargo test` failed ({status})");
    }
    if tally.passed == 0 {
        bail!("`cargo test` ran no test");
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_add_up() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test a ... ok",
            "test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        ] {
            tally.add(line);
        }
        assert_eq!(tally, Tally { passed: 8, failed: 2 });
    }

    #[test]
    fn no_test_is_a_failure() {
        let run = |script: &str| {
            let mut shown = Vec::new();
            let tally = run_tests(Command::new("sh").args(["-c", script]), &mut shown);
            (tally.map(|tally| tally.passed).ok(), String::from_utf8(shown).unwrap())
        };
        let one = "echo 'test result: ok. 1 passed; 0 failed;'";
        assert_eq!(run("echo hello"), (None, "hello\n0 passed, 0 failed\n".to_owned()));
        assert_eq!(run(one).0, Some(1));
        assert!(run(one).1.ends_with("\n1 passed, 0 failed\n"));
        assert_eq!(run(&format!("{one}; exit 1")).0, None);
    }
}
