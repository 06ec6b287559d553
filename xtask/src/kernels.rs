//! `cargo xtask bench kernels` and `cargo xtask gpu-suite`: the program of `bench/kernels`, which has no chain in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    cuda, host, paths,
    run::{cargo, output, run, say, works},
    sbf::files,
    wheels::Wheels,
};

/// Libraries that kernels are measured beside, for Python 3.11 to 3.13 on x86-64 Linux.
const LIBRARIES: Wheels = Wheels {
    name: "bench-libraries",
    requirements: &[
        "numpy==2.2.6 --hash=sha256:ba10f8411898fc418a521833e014a77d3ca01c15b0c6cdcce6a0d2897e6dbbdf \
         --hash=sha256:fd83c01228a688733f1ded5201c678f0c53ecc1006ffbc404db9f7a899ac6249 \
         --hash=sha256:1bc23a79bfabc5d056d106f9befb8d50c31ced2fbc70eedb8155aec74a45798f",
        "onnxruntime==1.22.1 --hash=sha256:f6effa1299ac549a05c784d50292e3378dbbf010346ded67400193b09ddc2f04 \
         --hash=sha256:2d39a530aff1ec8d02e365f35e503193991417788641b184f5b1e8c9a6d5ce8d \
         --hash=sha256:b0c37070268ba4e02a1a9d28560cd00cd1e94f0d4f275cbef283854f861a65fa",
        "parasail==1.3.4 --hash=sha256:ede927ccbd8cd4180c33c4c44af9d720aedb31d098b2a83cdc32ba0059d7ea59",
    ],
    brings: "onnxruntime",
    what: "libraries to measure kernels beside: NumPy, ONNX Runtime, parasail (downloads 49 MB, takes 180 MB)",
};

/// Most bytes of what `--pack` makes.
const PACK_BYTES: u64 = 64 << 20;

#[derive(Args)]
pub struct BenchOptions {
    /// Measure a graphics card as well
    #[arg(long)]
    gpu: bool,
    /// Write the page to docs/bench-kernels.md
    #[arg(long, conflicts_with = "json")]
    write: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct SuiteOptions {
    /// Minutes of comparing, all kernels together; measuring comes on top
    #[arg(long, default_value = "5")]
    minutes: String,
    /// Do not run, but put a program that does into this folder, to be carried to a machine with a card
    #[arg(long)]
    pack: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// More arguments for the program: --seed N, --kernel NAME, --no-bench, --on-processor
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds the program: optimised, as it measures.
fn build() -> Result<PathBuf> {
    host::provide(&[&host::COMPILER])?;
    say("compiling the kernels, optimised (about 2 minutes on two cores the first time, then seconds)");
    let build = ["build", "--locked", "--release", "--quiet", "--package", "assay-kernel-bench"];
    run(cargo().args(build).current_dir(paths::workspace()?))?;
    Ok(paths::target()?.join("release/kernel-bench"))
}

/// `cargo xtask bench kernels`.
pub fn bench(options: &BenchOptions) -> Result<()> {
    let (program, workspace) = (build()?, paths::workspace()?);
    let mut command = Command::new(program);
    command.arg("bench").current_dir(&workspace);
    match LIBRARIES.ready() {
        Ok(packages) => drop(command.env("PYTHONPATH", packages)),
        Err(error) => say(&format!("kernels are measured without libraries beside them: {error:#}")),
    }
    for (flag, chosen) in [("--gpu", options.gpu), ("--json", options.json)] {
        if chosen {
            command.arg(flag);
        }
    }
    if options.write {
        command.args(["--write", "docs/bench-kernels.md"]);
    }
    run(&mut command)
}

/// `cargo xtask gpu-suite`. The exit code is the program's: 0 right, 1 wrong, 3 without a card.
pub fn suite(options: &SuiteOptions) -> Result<ExitCode> {
    let program = build()?;
    if let Some(folder) = &options.pack {
        return pack(&program, &std::path::absolute(folder)?).map(|()| ExitCode::SUCCESS);
    }
    let mut command = Command::new(&program);
    command.args(["suite", "--minutes", &options.minutes]).args(&options.arguments);
    if options.json {
        command.arg("--json");
    }
    let status = command.status().with_context(|| format!("cannot start {}", program.display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// The program, its cubins beside it.
fn pack(program: &Path, folder: &Path) -> Result<()> {
    files::remove(folder)?;
    files::create(folder)?;
    let packed = folder.join("kernel-bench");
    fs::copy(program, &packed).with_context(|| format!("cannot copy to {}", packed.display()))?;
    if works("strip", &["--version"]) {
        run(Command::new("strip").arg(&packed))?;
    }
    cuda::cubins_into(&folder.join("cubins"))?;
    let mut bytes = 0u64;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for path in files::entries(&next)? {
            let data = fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
            if data.is_dir() {
                folders.push(path);
            } else {
                bytes = bytes.saturating_add(data.len());
            }
        }
    }
    if bytes > PACK_BYTES {
        bail!("{} has {bytes} bytes, more than {PACK_BYTES}", folder.display());
    }
    let version = newest_glibc(&packed).unwrap_or_else(|| "unknown".into());
    say(&format!(
        "{}: {bytes} bytes; needs glibc {version} and python3 with PyTorch for cuBLASLt's part",
        folder.display()
    ));
    println!("There: {}/kernel-bench suite --minutes {}", folder.display(), 6);
    Ok(())
}

/// The newest glibc that a program asks for.
fn newest_glibc(program: &Path) -> Option<String> {
    let symbols = output(Command::new("objdump").arg("-T").arg(program)).ok()?;
    newest_of(&symbols)
}

fn newest_of(symbols: &str) -> Option<String> {
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|rest| {
        let version = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
        Some((numbers.next()??, numbers.next()??))
    });
    versions.max().map(|(major, minor)| format!("{major}.{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_is_the_largest_number() {
        let symbols = "0000 DF *UND* 0000 (GLIBC_2.2.5) read\n0000 DF *UND* 0000 (GLIBC_2.34) dlsym\n\
                       0000 DF *UND* 0000 (GLIBC_2.9) pipe2\n";
        assert_eq!(newest_of(symbols).as_deref(), Some("2.34"));
        assert_eq!(newest_of("nothing"), None);
    }
}
