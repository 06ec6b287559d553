//! Makes the committed PTX from the `.cu` files with NVRTC, or checks that it is what they give.
//!
//! `ptx --write` and `ptx --check`, run in a checkout. A provider needs none of it: its driver loads the PTX. The PTX is
//! compared byte by byte, so `--check` wants the release of NVRTC that [`nvrtc::VERSION`] names.

mod nvrtc;

use std::path::PathBuf;
use std::process::ExitCode;

use assay_kernels::executor::{CudaSource, cuda_sources, cuda_variants};

/// The oldest cards that a kernel's first PTX runs on; variants name their own.
const ARCH: &str = "compute_75";
/// What NVRTC 12.9 writes into its output, and what stands in ours. Drivers refuse PTX of a newer ISA than their own
/// (8.8 needs CUDA 12.9); the kernels use nothing that 8.0 (CUDA 12.0) lacks.
const ISA: (&str, &str) = ("\n.version 8.8\n", "\n.version 8.0\n");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--write"] => run(true),
        ["--check"] => run(false),
        _ => Err("usage: ptx --write | --check".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ptx: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(write: bool) -> Result<(), String> {
    nvrtc::check()?;
    let mut stale = Vec::new();
    for source in cuda_sources() {
        let mut wanted = vec![(ARCH, format!("{}.ptx", source.name), source.ptx)];
        for variant in cuda_variants(source.kernel) {
            wanted.push((variant.arch, format!("{}.{}.ptx", source.name, variant.arch), variant.ptx));
        }
        for (arch, file, committed) in wanted {
            let made = compile(&source, arch)?;
            if write {
                let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), source.name, &file].iter().collect();
                std::fs::write(&path, made).map_err(|error| format!("{}: {error}", path.display()))?;
                println!("wrote {}", path.display());
            } else if made != committed {
                stale.push(file);
            } else {
                println!("{file}: what the source gives");
            }
        }
    }
    if stale.is_empty() { Ok(()) } else { Err(format!("stale PTX of {}: run ptx --write", stale.join(", "))) }
}

fn compile(source: &CudaSource, arch: &'static str) -> Result<String, String> {
    let text = nvrtc::compile(source.name, source.cu, arch)?;
    if text.matches(ISA.0).count() != 1 {
        return Err(format!("{}.cu: NVRTC's output does not have the line {}", source.name, ISA.0.trim()));
    }
    Ok(text.replace(ISA.0, ISA.1))
}
