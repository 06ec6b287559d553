//! Child processes, and words about time.

use std::{
    ffi::OsStr,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};

/// Says what happens now.
pub fn say(text: &str) {
    eprintln!("== {text}");
}

/// Runs a command with its output shown.
///
/// # Errors
/// It cannot be started, or ends with another code than 0.
pub fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    eprintln!("   $ {line}");
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs a command quietly and returns its standard output.
///
/// # Errors
/// It cannot be started, ends with another code than 0 (the error then carries what it said), or prints no UTF-8.
pub fn output(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed ({})\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` printed no UTF-8"))
}

/// Runs a command and returns its standard output; what it says on standard error is shown while it runs.
///
/// # Errors
/// As [`output`], but what the command said was shown already.
pub fn capture(command: &mut Command) -> Result<String> {
    let line = line(command);
    eprintln!("   $ {line}");
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed ({})", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` printed no UTF-8"))
}

/// True where the command can be started and ends with code 0.
pub fn works(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The cargo that rustup (or the user) chose for this workspace.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo says to this program about itself is not for other builds: `ring` looks at it, and it and all that need
    // it would be compiled anew after each build that was not started from here.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// `1 min 5 s`, `4.2 s`.
pub fn spell(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds.checked_div(60) {
        None | Some(0) => format!("{:.1} s", time.as_secs_f64()),
        Some(minutes) => format!("{minutes} min {} s", seconds.checked_rem(60).unwrap_or(0)),
    }
}

/// A command as one would type it.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(quote).collect::<Vec<_>>().join(" ")
}

fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+:,%@~".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_spelled_in_seconds_then_minutes() {
        assert_eq!(spell(Duration::from_millis(4_240)), "4.2 s");
        assert_eq!(spell(Duration::from_secs(65)), "1 min 5 s");
    }

    #[test]
    fn a_failing_command_is_an_error_with_what_it_said() {
        let error = output(Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"]))
            .map_err(|error| error.to_string())
            .expect_err("exit code 3");
        assert!(error.contains("no such thing") && error.contains('3'), "{error}");
        assert!(run(Command::new("sh").args(["-c", "exit 1"])).is_err());
    }
}
