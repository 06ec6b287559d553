//! Compiles the CUDA sources for each architecture and keeps the table of what comes out: `cargo xtask cubins`.
//!
//! `cubins --check`: the committed table is what the sources give, nothing spills more, no PTX is forbidden.
//! `cubins --write [--accept-spills]`: writes the table. `cubins --into FOLDER`: puts the cubins there, for the worker.
//! Needs NVRTC as [`nvrtc`] says, and ptxas of CUDA 12.9.86, which `ASSAY_PTXAS` names. What was made is remembered in the
//! folder that `ASSAY_CUBIN_CACHE` names.

mod forbidden;
#[path = "../nvrtc/mod.rs"]
mod nvrtc;
mod ptxas;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use assay_kernels::executor::{CudaSource, cubins::TABLE, cuda_sources, cuda_variants};
use assay_kernels::hash::sha256;
use rayon::prelude::*;

use ptxas::Ptxas;
use table::Row;

/// What there are cubins for, and what NVRTC calls it. Turing, Ampere (A100, then others), Ada, Hopper, Blackwell (data
/// centres, then others). All other cards get the PTX.
const ARCHES: [(&str, &str); 7] = [
    ("sm_75", "compute_75"),
    ("sm_80", "compute_80"),
    ("sm_86", "compute_86"),
    ("sm_89", "compute_89"),
    ("sm_90a", "compute_90a"),
    ("sm_100", "compute_100"),
    ("sm_120", "compute_120"),
];

/// What to do.
#[derive(Default)]
struct Options {
    write: bool,
    accept_spills: bool,
    into: Option<PathBuf>,
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cubins: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: cubins --check | --write [--accept-spills] | --into FOLDER";
    let mut check = false;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--check" => check = true,
            "--write" => options.write = true,
            "--accept-spills" => options.accept_spills = true,
            "--into" => options.into = Some(arguments.next().ok_or(usage)?.into()),
            _ => return Err(usage.into()),
        }
    }
    let chosen = [check, options.write, options.into.is_some()].iter().filter(|chosen| **chosen).count();
    if chosen == 1 && (options.write || !options.accept_spills) { Ok(options) } else { Err(usage.into()) }
}

fn variable(name: &str) -> Result<PathBuf, String> {
    std::env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("{name} is not set: run `cargo xtask cubins`"))
}

fn run(options: &Options) -> Result<(), String> {
    nvrtc::check()?;
    let ptxas = Ptxas::new(variable("ASSAY_PTXAS")?, variable("ASSAY_CUBIN_CACHE")?)?;
    let sources: Vec<CudaSource> = cuda_sources().collect();
    let work: Vec<_> = sources.iter().flat_map(|source| ARCHES.map(|arch| (source, arch))).collect();
    let made: Vec<(Row, Vec<u8>)> = work
        .par_iter()
        .map(|(source, (sm, compute))| one(&ptxas, source, sm, compute))
        .collect::<Result<_, String>>()?;
    for source in &sources {
        allowed(source.name, "as committed", &forbidden::forbidden(source.ptx, source.cu))?;
        for variant in cuda_variants(source.kernel) {
            allowed(source.name, variant.arch, &forbidden::forbidden(variant.ptx, source.cu))?;
        }
    }
    if let Some(folder) = &options.into {
        return put(folder, &made);
    }
    let rows: Vec<Row> = made.into_iter().map(|(row, _)| row).collect();
    let now = table::text(&rows);
    let ptx = sources.iter().map(|source| (source.name.to_owned(), ptx_bytes(source))).collect();
    let page = table::page(&rows, &ptx);
    let worse = table::worse_spills(TABLE, &now);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [(root.join("cubins.txt"), now.clone()), (root.join("../docs/cuda-table.md"), page)];
    if options.write {
        if !worse.is_empty() && !options.accept_spills {
            return Err(format!("{}\nMend the kernel, or accept it with --accept-spills", worse.join("\n")));
        }
        for (path, text) in &files {
            fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        println!("wrote kernels/cubins.txt and docs/cuda-table.md: {} cubins", rows.len());
        return Ok(());
    }
    if !worse.is_empty() {
        return Err(worse.join("\n"));
    }
    let stale = table::differences(TABLE, &now);
    let same = files.iter().all(|(path, text)| fs::read_to_string(path).is_ok_and(|committed| committed == *text));
    if !stale.is_empty() || !same {
        let what = stale.join("\n");
        return Err(format!(
            "the committed table is not what the sources give: run `cargo xtask cubins --write`\n{what}"
        ));
    }
    println!("{} cubins of {} sources are what the table says", rows.len(), sources.len());
    Ok(())
}

/// Bytes of all PTX of a source that is compiled into the worker.
fn ptx_bytes(source: &CudaSource) -> u64 {
    let variants = cuda_variants(source.kernel).iter().map(|variant| variant.ptx.len());
    variants.fold(source.ptx.len(), usize::saturating_add) as u64
}

/// Compiles a source for an architecture.
fn one(ptxas: &Ptxas, source: &CudaSource, sm: &str, compute: &'static str) -> Result<(Row, Vec<u8>), String> {
    let (major, minor) = nvrtc::VERSION;
    let version = format!("{major}.{minor} {}", nvrtc::OPTIONS.join(" "));
    let ptx = ptxas.remembered(&[&version, compute, source.name, source.cu], "ptx", || {
        nvrtc::compile(source.name, source.cu, compute).map(String::into_bytes)
    })?;
    let ptx = String::from_utf8(ptx).map_err(|_| "a file of the cache is no text: remove the cache")?;
    allowed(source.name, sm, &forbidden::forbidden(&ptx, source.cu))?;
    let made = ptxas.assemble(source.name, &ptx, sm)?;
    if let Some(missing) = source.functions.iter().find(|name| made.entries.iter().all(|entry| entry.name != **name)) {
        return Err(format!("{} for {sm} has no function {missing}", source.name));
    }
    let row = Row {
        name: source.name.to_owned(),
        arch: sm.to_owned(),
        entries: made.entries,
        bytes: made.cubin.len() as u64,
        sha256: sha256(&[&made.cubin]).iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    Ok((row, made.cubin))
}

fn allowed(name: &str, what: &str, forbidden: &[String]) -> Result<(), String> {
    if forbidden.is_empty() {
        return Ok(());
    }
    Err(format!("the PTX of {name} ({what}) has what none may have:\n{}", forbidden.join("\n")))
}

/// Puts the cubins into a folder as the worker looks for them, if they are those of the committed table.
fn put(folder: &Path, made: &[(Row, Vec<u8>)]) -> Result<(), String> {
    for (row, cubin) in made {
        if !TABLE.contains(&format!("cubin {} {} {} {}\n", row.name, row.arch, row.bytes, row.sha256)) {
            return Err(format!("{} for {} is not the table's: cargo xtask cubins --write", row.name, row.arch));
        }
        let place = folder.join(&row.arch);
        let path = place.join(&row.name).with_extension("cubin");
        fs::create_dir_all(&place)
            .and_then(|()| fs::write(&path, cubin))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let bytes = made.iter().fold(0u64, |sum, (row, _)| sum.saturating_add(row.bytes));
    println!("{} cubins, {bytes} bytes, in {}", made.len(), folder.display());
    Ok(())
}
