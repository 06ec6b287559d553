//! The machine that this runs on: what it is, what it lacks, and how that is installed.

use std::{fs, process::Command};

use anyhow::{Result, bail};

use crate::run::{output, run, say, works};

/// True on Debian itself (not on its derivatives: their releases differ).
pub fn is_debian() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    release.lines().any(|line| line == "ID=debian") && works("apt-get", &["--version"])
}

/// Something that a build needs from the system.
pub struct Need {
    /// Debian's package.
    pub package: &'static str,
    /// What needs it.
    pub why: &'static str,
    /// A command that works where it is installed.
    pub probe: (&'static str, &'static [&'static str]),
}

/// To compile the C and C++ parts of dependencies, and the CUDA sources for the CPU.
pub const COMPILER: Need = Need {
    package: "g++",
    why: "SQLite is compiled from C, and the tests run the CUDA sources on the CPU as C++",
    probe: ("c++", &["--version"]),
};
/// To find OpenSSL.
pub const PKG_CONFIG: Need =
    Need { package: "pkg-config", why: "finds OpenSSL for the embedded chain", probe: ("pkg-config", &["--version"]) };
/// For Surfpool.
pub const OPENSSL: Need = Need {
    package: "libssl-dev",
    why: "the embedded chain (Surfpool) links OpenSSL",
    probe: ("pkg-config", &["--exists", "openssl"]),
};
/// For NVIDIA's compilers, and what kernels are measured against.
pub const PIP: Need = Need {
    package: "python3-pip",
    why: "fetches NVIDIA's compilers, which the PTX check compiles with, and libraries that benches compare with",
    probe: ("python3", &["-m", "pip", "--version"]),
};

/// Installs what is missing, after it said what and why.
///
/// # Errors
/// Something is missing and cannot be installed here: the error says what to install.
pub fn provide(needs: &[&Need]) -> Result<()> {
    let missing: Vec<_> = needs.iter().filter(|need| !works(need.probe.0, need.probe.1)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    say("system packages that are missing here:");
    for need in &missing {
        eprintln!("   {}: {}", need.package, need.why);
    }
    let packages: Vec<_> = missing.iter().map(|need| need.package).collect();
    if !works("apt-get", &["--version"]) {
        bail!("there is no apt-get here: install what Debian calls {} and run this again", packages.join(", "));
    }
    as_root("for the packages above", &["apt-get", "-q", "update"])?;
    let mut install = vec!["apt-get", "-q", "install", "-y", "--no-install-recommends"];
    install.extend(&packages);
    as_root("for the packages above", &install)?;
    if let Some(need) = missing.iter().find(|need| !works(need.probe.0, need.probe.1)) {
        bail!("{} is installed, but `{} {}` still fails", need.package, need.probe.0, need.probe.1.join(" "));
    }
    Ok(())
}

/// Runs a command as root: directly, or through sudo, which may ask for a password.
pub fn as_root(why: &str, command: &[&str]) -> Result<()> {
    let is_root = output(Command::new("id").arg("-u"))?.trim() == "0";
    let line = command.join(" ");
    say(&format!("`{line}` {why}"));
    let words: Vec<_> =
        if is_root { command.to_vec() } else { std::iter::once("sudo").chain(command.iter().copied()).collect() };
    let Some((program, arguments)) = words.split_first() else { bail!("no command") };
    if !is_root && !works("sudo", &["--version"]) {
        bail!("this needs root, and there is no sudo here: run `{line}` as root, then this again");
    }
    run(Command::new(program).args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
}
