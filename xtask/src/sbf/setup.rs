//! Sets the pinned toolchain up, once, in the user's cache folder. Installs nothing system-wide.

use std::{path::Path, process::Command, time::Instant};

use anyhow::{Context, Result, bail};

use crate::{
    paths,
    run::{cargo, output, run, say, spell},
    sbf::{
        Home, LINKER, RUSTC, debs,
        files::{self, Make, Mark},
        linker, stdlib,
    },
};

/// Folder names inside a rustup toolchain that compiling does not need.
const UNNEEDED: [&str; 2] = ["doc", "man"];

/// The toolchain, set up where it was not.
///
/// # Errors
/// Another rustc than the pinned one, a machine that is not Debian on x86-64 without the packages, no network.
pub fn ready() -> Result<Home> {
    let home = Home(paths::cache()?.join("sbf"));
    files::create(home.path())?;
    let _lock = files::lock(&home.path().join("lock"))?;

    let version = output(Command::new("rustc").arg("-vV").current_dir(paths::workspace()?))?;
    if !version.lines().any(|line| line == format!("release: {RUSTC}")) {
        bail!("the programs are built with rustc {RUSTC} exactly; here is\n{version}");
    }
    if !version.lines().any(|line| line == "host: x86_64-unknown-linux-gnu") {
        bail!(
            "the pinned toolchain exists for x86-64 Linux only: use Anza's platform tools (`cargo build-sbf`, \
             `--toolchain anza`), or the programs as committed in programs/bin"
        );
    }
    let packages = Mark::new(home.path(), "packages", debs::PINS);
    let library = Mark::new(home.path(), "library", &[debs::PINS, include_str!("stdlib.rs")].join("\0"));
    let compiler = Mark::new(home.path(), "compiler", &version);
    let link = Mark::new(home.path(), "linker", LINKER);
    if [&packages, &library, &compiler, &link].iter().all(|mark| mark.is_set()) {
        return Ok(home);
    }

    let start = Instant::now();
    say(&format!(
        "setting up the toolchain for the programs in {} (once; about 5 minutes on two cores, 2 GB)",
        home.path().display()
    ));
    if !packages.is_set() {
        packages.clear()?;
        unpack(&home)?;
        packages.set()?;
    }
    if !library.is_set() {
        library.clear()?;
        say("sources of the standard library, patched for Solana");
        let sources = home.path().join(format!("rust-src/usr/src/rustc-{RUSTC}/library"));
        stdlib::patched_copy(&sources, &home.library())?;
        library.set()?;
    }
    if !compiler.is_set() {
        compiler.clear()?;
        say("the compiler, hard-linked where that is possible");
        let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(paths::workspace()?))?;
        copy_compiler(Path::new(sysroot.trim()), &home)?;
        compiler.set()?;
    }
    if !link.is_set() {
        link.clear()?;
        say(&format!("sbpf-linker {LINKER} from the registry (about 4 minutes)"));
        install_linker(&home)?;
        link.set()?;
    }
    output(linker::command(&home).arg("--version")).context("sbpf-linker does not run")?;
    say(&format!("the toolchain is ready after {}", spell(start.elapsed())));
    Ok(home)
}

fn unpack(home: &Home) -> Result<()> {
    let folder = home.path().join("debs");
    debs::fetch(&folder, &home.path().join("apt"))?;
    let (libraries, sources) = (home.path().join("sid"), home.path().join("rust-src"));
    files::remove(&libraries)?;
    files::remove(&sources)?;
    debs::unpack(&folder, &libraries.join("root"), &sources)?;
    // sbpf-linker looks for this name, and must not find the other libraries of that Debian beside it.
    let llvm = Path::new("../root/usr/lib/x86_64-linux-gnu/libLLVM.so.23.1");
    files::link(llvm, &home.llvm().join("libLLVM-23.so"))
}

fn copy_compiler(sysroot: &Path, home: &Home) -> Result<()> {
    files::remove(&home.compiler())?;
    let skip = |path: &Path| {
        path.parent().is_some_and(|folder| folder.ends_with("share"))
            && path.file_name().is_some_and(|name| UNNEEDED.iter().any(|unneeded| name == *unneeded))
    };
    files::tree(sysroot, &home.compiler(), Make::HardLink, &skip)?;
    // Relative, so that a copy of the whole folder has its own sources.
    let library = home.compiler().join("lib/rustlib/src/rust/library");
    files::link(Path::new("../../../../../library"), &library)
}

fn install_linker(home: &Home) -> Result<()> {
    let (root, build) = (home.path().join("linker"), home.path().join("linker-build"));
    files::remove(&root)?;
    run(cargo()
        .args(["install", "sbpf-linker", "--version", LINKER, "--locked", "--root"])
        .arg(&root)
        .arg("--target-dir")
        .arg(&build)
        .current_dir(paths::workspace()?))?;
    files::remove(&build)
}
