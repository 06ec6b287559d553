//! The "linker" that rustc calls for the programs' target: this very binary, told by an environment variable.
//!
//! It runs sbpf-linker under the glibc of the Debian release that LLVM 23 comes from, twice: (1) link and optimise everything
//! to one textual LLVM module, which [`repair`] then corrects; (2) generate code and write the sBPF file.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output},
};

use anyhow::{Context, Result, bail};

use crate::sbf::{Home, files, repair};

/// Set to the toolchain's folder, it makes this binary the linker.
pub const MODE: &str = "ASSAY_SBF_LINK_WITH";
/// Largest stack frame of sBPF V3, bytes.
const STACK: u32 = 4_096;

/// Entry point in linker mode.
pub fn main(home: &Path) -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).map(speed).collect();
    match link(&Home(home.to_path_buf()), &arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// sbpf-linker as a command.
pub fn command(home: &Home) -> Command {
    let libraries = home.debian_libraries();
    let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
    command.arg("--library-path").arg(&libraries).arg(home.linker()).env("LD_LIBRARY_PATH", home.llvm());
    command
}

/// LLVM 23 knows "small" only as an attribute of functions, which rustc has set: the pipeline for it is that of level 2.
fn speed(argument: OsString) -> OsString {
    if argument == "-Os" || argument == "-Oz" { "-O2".into() } else { argument }
}

fn link(home: &Home, arguments: &[OsString]) -> Result<()> {
    let at = arguments.iter().position(|argument| argument == "-o").context("rustc named no output (-o)")?;
    let at = at.checked_add(1).filter(|at| *at < arguments.len()).context("rustc named no output (-o)")?;
    let folder = Scratch::new()?;
    let (linked, repaired) = (folder.0.join("linked.ll"), folder.0.join("repaired.ll"));

    let mut first = arguments.to_vec();
    if let Some(output) = first.get_mut(at) {
        *output = linked.clone().into_os_string();
    }
    let output = pass(home, first, &["--emit".into(), "llvm-ir".into()])?;
    // sbpf-linker reports a failure after it wrote a textual module: only a missing one counts.
    if !linked.is_file() {
        show(&output)?;
        bail!("sbpf-linker could not link ({})", output.status);
    }
    let module = fs::read_to_string(&linked).context("the linked module is not text")?;
    files::write(&repaired, repair::repair(&module).as_bytes())?;

    // The second pass takes the options, and the repaired module instead of the inputs.
    let is_input = |argument: &OsStr| {
        let text = argument.to_string_lossy();
        !text.starts_with('-') && [".rlib", ".o", ".a"].iter().any(|suffix| text.ends_with(suffix))
    };
    let second = arguments.iter().filter(|argument| !is_input(argument)).cloned().collect();
    let output = pass(home, second, &[repaired.into_os_string()])?;
    show(&output)?;
    if !output.status.success() {
        bail!("sbpf-linker could not generate code ({})", output.status);
    }
    Ok(())
}

fn pass(home: &Home, arguments: Vec<OsString>, more: &[OsString]) -> Result<Output> {
    let exports = [repair::SINGLE, repair::OTHER].join(" ").replace(' ', ",");
    command(home)
        .args(arguments)
        .args(["--arch", "v3", "--deploy=false", "--export", &exports])
        .arg(format!("--llvm-args=--bpf-stack-size={STACK}"))
        .args(more)
        .output()
        .context("cannot start sbpf-linker")
}

fn show(output: &Output) -> Result<()> {
    std::io::stdout().write_all(&output.stdout).context("cannot print")?;
    std::io::stderr().write_all(&output.stderr).context("cannot print")
}

/// A folder that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("assay-sbf-link-{}", std::process::id()));
        files::remove(&folder)?;
        files::create(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = files::remove(&self.0) {
            eprintln!("warning: {error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_become_a_level_that_llvm_knows() {
        let map = |argument: &str| speed(argument.into());
        assert_eq!([map("-Os"), map("-Oz"), map("-O3"), map("s")], ["-O2", "-O2", "-O3", "s"]);
    }

    #[test]
    fn without_an_output_nothing_is_linked() {
        let home = Home(PathBuf::from("no such folder"));
        for arguments in [vec![], vec!["-o"]] {
            let arguments: Vec<_> = arguments.into_iter().map(OsString::from).collect();
            let error = link(&home, &arguments).expect_err("no output").to_string();
            assert!(error.contains("no output"), "{error}");
        }
    }
}
