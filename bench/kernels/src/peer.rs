//! Others' libraries for the same work: Python programs that are asked for one run after the other, and loops of our own
//! over public Rust crates.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use assay_kernels::{escape_time, kernel::Kernel, option_risk, registry::AnyKernel, search};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{round::seconds, work::Work};

const SCRIPT: &str = include_str!("peers/peers.py");
/// What the straightforward CUDA implementation is made of.
const OPTION_RISK: &str = include_str!("peers/option_risk.cu");

/// Another way to do a job, ready to run.
pub enum Peer<'a> {
    /// A Python program.
    Python(Box<Python>),
    /// A loop in this program.
    Rust(&'a Work, fn(&Work) -> Result<f64>),
}

/// A Python program with its inputs ready.
pub struct Python {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl<'a> Peer<'a> {
    /// The peer `key` for about as much work as `work` is.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub fn ready(key: &str, work: &'a Work) -> Result<Self> {
        match key {
            "rust:escape_time" => Ok(Self::Rust(work, pixels)),
            "rust:search" => Ok(Self::Rust(work, headers)),
            _ => Python::ready(&[key, &format!("{}", work.units), &format!("{}", count(work)), OPTION_RISK])
                .map(|python| Self::Python(Box::new(python))),
        }
    }

    /// Runs once: units a second.
    ///
    /// # Errors
    /// It failed.
    pub fn run(&mut self) -> Result<f64> {
        match self {
            Self::Python(python) => python.run(),
            Self::Rust(work, run) => run(work),
        }
    }
}

impl Python {
    /// Starts `peers.py` with these arguments and waits until it has made its inputs.
    ///
    /// # Errors
    /// Why it cannot run here: it says so.
    pub fn ready(arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new("python3")
            .arg("-c")
            .arg(SCRIPT)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("there is no python3")?;
        let (to, from) = (child.stdin.take(), child.stdout.take().context("no output")?);
        let mut python = Self { child, to, from: BufReader::new(from) };
        match python.line()?.trim() {
            "ready" => Ok(python),
            "" => bail!("the program ended at once"),
            other => bail!("{other}"),
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        Ok(line)
    }

    /// Has it run once: units a second.
    ///
    /// # Errors
    /// It failed.
    pub fn run(&mut self) -> Result<f64> {
        let to = self.to.as_mut().context("the program has ended")?;
        to.write_all(b"run\n").and_then(|()| to.flush()).context("the program has ended")?;
        let line = self.line()?;
        let numbers: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [units, seconds] = numbers[..] else { bail!("it said: {}", line.trim()) };
        ensure!(units > 0.0 && seconds > 0.0, "it said: {}", line.trim());
        Ok(units / seconds)
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It ends when nothing more is asked for.
        self.to.take();
        if self.child.wait().is_err() {
            eprintln!("a Python program did not end");
        }
    }
}

/// How many of what a job counts it has, for peers that have units of another kind: paths.
fn count(work: &Work) -> u64 {
    let params = option_risk::OptionRisk::parse(&work.job.params).ok().filter(|_| work.kernel == AnyKernel::OptionRisk);
    params.map_or(0, |params| params.cells * u64::from(params.paths))
}

/// Pixels one after the other, rows side by side.
fn pixels(work: &Work) -> Result<f64> {
    let params = escape_time::EscapeTime::parse(&work.job.params).context("not an image")?;
    let rows = || {
        let row = |row: u32| -> Vec<u8> {
            let y = params.y0 + i64::from(row) * params.step;
            let pixel = |column: u32| {
                let x = params.x0 + i64::from(column) * params.step;
                escape_time::pixel(x, y, params.max_iter).to_bytes()
            };
            (0..params.width).flat_map(pixel).collect()
        };
        (0..params.height).into_par_iter().flat_map_iter(row).collect::<Vec<u8>>()
    };
    let (bytes, time) = seconds(rows);
    ensure!(bytes.len() as u64 == work.bytes, "another image");
    Ok(work.units / time)
}

/// Block headers of 80 bytes, hashed twice, one after the other; the first 64 bytes, which all have, once for all.
fn headers(work: &Work) -> Result<f64> {
    const HEADERS: u32 = 1 << 20;
    let params = search::Search::parse(&work.job.params).context("not a search")?;
    let message = params.message.get(..80).context("no header")?;
    let (front, back) = message.split_at(64);
    let before = Sha256::new_with_prefix(front);
    let best = || {
        (0..HEADERS)
            .into_par_iter()
            .map(|nonce| {
                let mut tail: [u8; 16] = back.try_into().unwrap_or_default();
                tail[12..].copy_from_slice(&nonce.to_le_bytes());
                let mut hash = before.clone();
                hash.update(tail);
                let mut digest: [u8; 32] = Sha256::digest(hash.finalize()).into();
                digest.reverse();
                digest
            })
            .min()
    };
    let (best, time) = seconds(best);
    ensure!(best.is_some_and(|best| best[0] == 0), "a million hashes have one that begins with a zero");
    // Two blocks each: the end of the header, and the hash of the hash.
    Ok(2.0 * f64::from(HEADERS) / time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_loop_computes_the_picture() {
        let trial = AnyKernel::EscapeTime.handling().trial(0).unwrap();
        let work = Work::new(AnyKernel::EscapeTime, trial.params, 1).unwrap();
        assert!(pixels(&work).unwrap() > 0.0);
    }

    #[test]
    fn a_peer_that_is_not_there_says_why() {
        let trial = AnyKernel::GemmI8.handling().trial(0).unwrap();
        let work = Work::new(AnyKernel::GemmI8, trial.params, 1).unwrap();
        let error = Peer::ready("no_such_peer", &work).map(|_| ()).unwrap_err();
        assert!(!error.to_string().is_empty());
    }
}
