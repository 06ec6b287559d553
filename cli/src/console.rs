//! Where output goes: results to stdout (text, or one JSON document with `--json`), everything else to stderr.

use crate::error::{CliError, Result};
use serde::Serialize;
use std::{
    io::{IsTerminal, Write},
    sync::{Mutex, PoisonError},
};

/// The two streams of a command and how it talks.
pub struct Console {
    json: bool,
    interactive: bool,
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
}

impl Console {
    /// The process's own streams. Questions are asked only of a person: stdin and stderr are terminals, and `NO_DNA`
    /// (a program is calling) is not set.
    pub fn process(json: bool) -> Self {
        let called_by_program = std::env::var_os("NO_DNA").is_some_and(|value| !value.is_empty() && value != "0");
        let interactive =
            !json && !called_by_program && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        Self::new(json, interactive, Box::new(std::io::stdout()), Box::new(std::io::stderr()))
    }

    /// Given streams, for tests.
    pub fn new(json: bool, interactive: bool, out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        Self { json, interactive, out: Mutex::new(out), err: Mutex::new(err) }
    }

    /// Whether results are JSON.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Whether there is a person who can be asked and shown moving progress.
    pub fn interactive(&self) -> bool {
        self.interactive
    }

    /// A line of the result, in text mode only.
    pub fn say(&self, text: impl AsRef<str>) {
        if !self.json {
            line(&self.out, text.as_ref());
        }
    }

    /// A line beside the result: progress, hints, warnings.
    pub fn note(&self, text: impl AsRef<str>) {
        line(&self.err, text.as_ref());
    }

    /// The result as JSON, in JSON mode only: the one document, or one of the lines of a command that runs on.
    ///
    /// # Errors
    /// A value that JSON can't hold, which none of ours is.
    pub fn document(&self, value: &impl Serialize) -> Result<()> {
        if self.json {
            let text =
                serde_json::to_string(value).map_err(|e| CliError::internal(format!("the result is not JSON: {e}")))?;
            line(&self.out, &text);
        }
        Ok(())
    }

    /// Asks yes or no. `assume_yes` (the flag `--yes`) answers for the person; where nobody can be asked it is required.
    ///
    /// # Errors
    /// Refused, or nobody to ask.
    pub fn confirm(&self, question: &str, assume_yes: bool) -> Result<()> {
        if assume_yes {
            return Ok(());
        }
        if !self.interactive {
            return Err(CliError::usage(
                "this spends money and nobody can be asked here. Nothing was sent or paid. Check the quote, then repeat the command with --yes",
            ));
        }
        self.note(format!("{question} [y/N]"));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map_err(|e| CliError::io("reading the answer", &e))?;
        if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
            return Ok(());
        }
        Err(CliError::new(crate::error::Exit::Usage, "declined", "not confirmed. Nothing was sent or paid"))
    }

    /// Reports an error: text on stderr, with `--json` also a document on stdout.
    pub fn fail(&self, error: &CliError) {
        if self.json {
            let document =
                serde_json::json!({"error": {"code": error.code, "exit": error.exit as u8, "message": error.message}});
            line(&self.out, &document.to_string());
        }
        self.note(error.to_string());
    }
}

/// A reader that has gone away (a closed pipe) is no reason to fail or to panic: the work itself goes on.
fn line(to: &Mutex<Box<dyn Write + Send>>, text: &str) {
    let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
    if writeln!(to, "{text}").and_then(|()| to.flush()).is_err() {
        tracing::debug!("an output stream is closed");
    }
}
