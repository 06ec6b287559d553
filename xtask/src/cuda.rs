//! NVIDIA's compilers, which need no GPU and no CUDA installation, and `cargo xtask cubins`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use clap::Args;

use crate::{
    demo::SELECTION,
    paths,
    run::{cargo, run, say},
    wheels::Wheels,
};

/// The run-time compiler, CUDA C++ to PTX; the wheel for x86-64 Linux.
const NVRTC: Wheels = Wheels {
    name: "nvrtc",
    requirements: &[
        "nvidia-cuda-nvrtc-cu12==12.9.86 --hash=sha256:210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4",
    ],
    brings: "nvidia/cuda_nvrtc/lib/libnvrtc.so.12",
    what: "NVIDIA's run-time compiler NVRTC (downloads 90 MB, takes 220 MB)",
};
/// The assembler, PTX to cubins, likewise.
const PTXAS: Wheels = Wheels {
    name: "ptxas",
    requirements: &[
        "nvidia-cuda-nvcc-cu12==12.9.86 --hash=sha256:5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0",
    ],
    brings: "nvidia/cuda_nvcc/bin/ptxas",
    what: "NVIDIA's assembler ptxas (downloads 41 MB, takes 98 MB)",
};

/// The folder with `libnvrtc.so.12` in it.
fn nvrtc() -> Result<PathBuf> {
    Ok(NVRTC.ready()?.join("nvidia/cuda_nvrtc/lib"))
}

#[derive(Args)]
pub struct Options {
    /// Write kernels/cubins.txt and docs/cuda-table.md; else they are checked
    #[arg(long, conflicts_with = "into")]
    write: bool,
    /// Write even where a kernel spills more registers than the table says
    #[arg(long, requires = "write")]
    accept_spills: bool,
    /// Put the cubins of the table into this folder, for the worker: `cubins` beside its binary
    #[arg(long)]
    into: Option<PathBuf>,
}

/// Puts the cubins of the table into a folder.
pub fn cubins_into(folder: &Path) -> Result<()> {
    main(&Options { write: false, accept_spills: false, into: Some(folder.to_path_buf()) })
}

pub fn main(options: &Options) -> Result<()> {
    let mut arguments: Vec<PathBuf> = Vec::new();
    match &options.into {
        Some(folder) => arguments.extend(["--into".into(), std::path::absolute(folder)?]),
        None if options.write => arguments.push("--write".into()),
        None => arguments.push("--check".into()),
    }
    if options.accept_spills {
        arguments.push("--accept-spills".into());
    }
    let workspace = paths::workspace()?;
    // Not `cargo run`: it takes no SELECTION, and would compile the kernels a second time.
    run(cargo().args(["build", "--locked", "--bin", "cubins"]).args(SELECTION).current_dir(&workspace))?;
    cubins(&workspace, &arguments)
}

/// The committed PTX and the table of cubins are what the sources give.
pub fn check() -> Result<()> {
    let workspace = paths::workspace()?;
    run(cargo()
        .args(["build", "--locked", "--bin", "ptx", "--bin", "cubins"])
        .args(SELECTION)
        .current_dir(&workspace))?;
    run(Command::new(paths::target()?.join("debug/ptx"))
        .arg("--check")
        .current_dir(&workspace)
        .env("LD_LIBRARY_PATH", nvrtc()?))?;
    cubins(&workspace, &["--check".into()])
}

fn cubins(workspace: &Path, arguments: &[PathBuf]) -> Result<()> {
    say("every kernel for every architecture (seconds; what was made before is remembered)");
    run(Command::new(paths::target()?.join("debug/cubins"))
        .args(arguments)
        .current_dir(workspace)
        .env("LD_LIBRARY_PATH", nvrtc()?)
        .env("ASSAY_PTXAS", PTXAS.ready()?.join(PTXAS.brings))
        .env("ASSAY_CUBIN_CACHE", paths::cache()?.join("cubins")))
}
