//! NVIDIA's run-time compiler, from the Python registry into the cache folder: it needs no GPU and no CUDA installation.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use crate::{
    host, paths,
    run::{run, say},
    sbf::files::{self, Mark},
};

/// Name, version and SHA-256 of the wheel for x86-64 Linux.
const WHEEL: &str =
    "nvidia-cuda-nvrtc-cu12==12.9.86 --hash=sha256:210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4";

/// The folder with `libnvrtc.so.12` in it.
pub fn ready() -> Result<PathBuf> {
    let home = paths::cache()?.join("nvrtc");
    let libraries = home.join("packages/nvidia/cuda_nvrtc/lib");
    let mark = Mark::new(&home, "wheel", WHEEL);
    if mark.is_set() {
        return Ok(libraries);
    }
    host::provide(&[&host::PIP])?;
    say(&format!("NVRTC into {} (once; downloads 90 MB, takes 220 MB)", home.display()));
    mark.clear()?;
    files::remove(&home.join("packages"))?;
    let requirements = home.join("requirements.txt");
    files::write(&requirements, WHEEL.as_bytes())?;
    run(Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
            "--requirement",
        ])
        .arg(&requirements)
        .arg("--target")
        .arg(home.join("packages")))
    .context("NVRTC cannot be fetched")?;
    if !libraries.join("libnvrtc.so.12").is_file() {
        bail!("the NVRTC package has no {}", libraries.join("libnvrtc.so.12").display());
    }
    mark.set()?;
    Ok(libraries)
}
