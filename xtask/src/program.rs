//! `cargo xtask program`: builds the on-chain programs and their IDL, and proves what is committed of them.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::{
    idl, mutants, paths,
    run::{run, say, spell, works},
    sbf::{
        self, Home,
        build::{Place, SETTLEMENT_ID},
        files::{self, Make},
        setup,
    },
};

#[derive(Args)]
pub struct Options {
    /// Toolchain to build with [default: anza where `cargo build-sbf` is installed, else pinned]
    #[arg(long, value_enum)]
    toolchain: Option<Toolchain>,
    /// Build with the pinned toolchain and fail where the committed files differ; writes nothing
    #[arg(long, conflicts_with = "reproduce")]
    check: bool,
    /// Build twice with the pinned toolchain, from two home folders and two copies of the sources, and compare the bytes
    #[arg(long)]
    reproduce: bool,
    /// Only this part
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Address of the settlement program, for a cluster of your own. Writes to `deploy` in the target folder, never to the
    /// committed files. The command line program and the worker must be built with ASSAY_SETTLEMENT_ID set to it
    #[arg(long, value_name = "ADDRESS", value_parser = address, conflicts_with_all = ["check", "reproduce"])]
    settlement_id: Option<String>,
}

/// An address as people write it, as far as that can be told without decoding it; the compiler decodes it.
fn address(text: &str) -> Result<String, String> {
    const ALPHABET: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    if (32..=44).contains(&text.len()) && text.chars().all(|c| ALPHABET.contains(c)) {
        return Ok(text.to_owned());
    }
    Err("an address has 32 to 44 characters of base 58".to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Toolchain {
    /// rustc, LLVM and linker of exact versions from package registries: the only one that makes the committed bytes
    Pinned,
    /// Anza's platform tools: `cargo build-sbf`
    Anza,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Settlement,
    Verifier,
    Idl,
}

impl Part {
    /// The package, for the parts that are programs.
    fn package(self) -> Option<&'static str> {
        match self {
            Part::Settlement => Some("assay-settlement"),
            Part::Verifier => Some("assay-verifier"),
            Part::Idl => None,
        }
    }
    /// The name of its file.
    fn file_name(self) -> &'static str {
        let file = self.committed();
        file.rsplit_once('/').map_or(file, |(_, name)| name)
    }
    /// The committed file, from the root of the workspace.
    fn committed(self) -> &'static str {
        match self {
            Part::Settlement => "programs/bin/assay_settlement.so",
            Part::Verifier => "programs/bin/assay_verifier.so",
            Part::Idl => "programs/idl/assay_settlement.json",
        }
    }
}

/// Hashes of the committed files, as `sha256sum` writes and checks them.
const SUMS: &str = "programs/SHA256SUMS";
/// The workspace's own crates that are compiled into a program.
const OWN: [&str; 4] = ["assay-settlement", "assay-verifier", "assay-kernels", "sbf-rt"];

pub fn main(options: &Options) -> Result<()> {
    let parts = match options.only {
        Some(part) => vec![part],
        None => ALL.to_vec(),
    };
    let anza = || works("cargo", &["build-sbf", "--version"]);
    let id = options.settlement_id.as_deref();
    match options.toolchain {
        Some(Toolchain::Anza) if options.check || options.reproduce => {
            bail!("--check and --reproduce compare bytes, and only the pinned toolchain makes the committed ones")
        }
        _ if options.check => check(&parts),
        _ if options.reproduce => reproduce(&parts),
        Some(Toolchain::Anza) if !anza() => bail!(
            "`cargo build-sbf` is not installed: install Anza's platform tools, or leave out --toolchain for the pinned toolchain"
        ),
        Some(Toolchain::Anza) => with_anza(&parts, id),
        None if anza() => with_anza(&parts, id),
        _ => match id {
            Some(id) => write_elsewhere(&parts, id),
            None => write(&parts),
        },
    }
}

/// Every part.
const ALL: [Part; 3] = [Part::Settlement, Part::Verifier, Part::Idl];

/// Fails where any committed file differs from what the sources give.
pub fn check_all() -> Result<()> {
    check(&ALL)
}

/// Builds both programs twice and fails where the bytes differ.
pub fn reproduce_all() -> Result<()> {
    reproduce(&ALL)
}

/// Fails where a committed file differs from what the sources give.
fn check(parts: &[Part]) -> Result<()> {
    let workspace = paths::workspace()?;
    let place = place(&workspace, true, None)?;
    place.distrust(&OWN)?;
    let mut differences = Vec::new();
    for part in parts {
        let (file, bytes) = (part.committed(), make(&place, *part)?);
        let expected = files::sha256_hex(&bytes);
        match files::read(&workspace.join(file)) {
            Ok(found) if found == bytes => println!("{expected}  {file}: as committed"),
            Ok(found) => differences.push(format!(
                "{file}: committed {} ({} bytes), the sources give {expected} ({} bytes)",
                files::sha256_hex(&found),
                found.len(),
                bytes.len()
            )),
            Err(_) => differences.push(format!("{file}: missing, the sources give {expected}")),
        }
    }
    let sums = workspace.join(SUMS);
    if differences.is_empty() && files::read(&sums).ok().as_deref() != Some(self::sums(&workspace)?.as_bytes()) {
        differences.push(format!("{SUMS}: not the hashes of the committed files, or another toolchain"));
    }
    if differences.is_empty() {
        return Ok(());
    }
    bail!(
        "what is committed differs from the sources:\n  {}\nrun `cargo xtask program --toolchain pinned` and commit the result",
        differences.join("\n  ")
    )
}

/// Builds with the pinned toolchain and writes the files that are committed, each as soon as it is built.
fn write(parts: &[Part]) -> Result<()> {
    let workspace = paths::workspace()?;
    let place = place(&workspace, false, None)?;
    place.distrust(&OWN)?;
    for part in parts {
        let (file, bytes) = (part.committed(), make(&place, *part)?);
        files::write(&workspace.join(file), &bytes)?;
        println!("{}  {file} ({} bytes)", files::sha256_hex(&bytes), bytes.len());
        files::write(&workspace.join(SUMS), sums(&workspace)?.as_bytes())?;
    }
    Ok(())
}

/// Builds with the pinned toolchain for another address of the settlement program. The committed files stay what they are.
fn write_elsewhere(parts: &[Part], id: &str) -> Result<()> {
    let workspace = paths::workspace()?;
    let place = place(&workspace, true, Some(id))?;
    place.distrust(&OWN)?;
    let folder = paths::target()?.join("deploy");
    for part in parts {
        let bytes = make(&place, *part)?;
        let file = folder.join(part.file_name());
        files::write(&file, &bytes)?;
        println!("{}  {} ({} bytes)", files::sha256_hex(&bytes), file.display(), bytes.len());
    }
    // Another build must not take what was compiled for this address.
    place.distrust(&OWN)?;
    say(&format!(
        "for a settlement program at {id}: build `assay` and workers with {SETTLEMENT_ID}={id} (migrations/README.md)"
    ));
    Ok(())
}

/// The settlement program in which any single check can be taken out; never for a chain. Built in `folder`, apart from the
/// other builds: it has a changed Anchor.
pub fn with_mutants(folder: &Path) -> Result<Vec<u8>> {
    let workspace = paths::workspace()?;
    let target = folder.join("build");
    let mut arguments = mutants::anchor_copy(&workspace, folder)?;
    arguments.extend(["--features".into(), "mutants".into()]);
    let place = Place {
        workspace,
        home: setup::ready()?,
        cargo_home: paths::cargo_home()?,
        _lock: Some(files::lock(&target.join("lock"))?),
        target,
        // With a Cargo.lock of its own, in which Anchor comes from elsewhere.
        locked: false,
        settlement_id: None,
        arguments,
    };
    // Another checkout may have used the folder.
    place.distrust(&OWN)?;
    program(&place, "assay-settlement")
}

/// The text of [`SUMS`] for the files that are there now.
fn sums(workspace: &Path) -> Result<String> {
    let mut text = format!(
        "# rustc {}, sbpf-linker {}, toolchain {}: `cargo xtask program --check`\n",
        sbf::RUSTC,
        sbf::LINKER,
        sbf::toolchain_id()
    );
    for part in ALL {
        let file = part.committed();
        let path = workspace.join(file);
        if path.is_file() {
            let name = file.strip_prefix("programs/").unwrap_or(file);
            text.push_str(&format!("{}  {name}\n", files::sha256_file(&path)?));
        }
    }
    Ok(text)
}

/// The bytes of a part, built with the pinned toolchain.
fn make(place: &Place, part: Part) -> Result<Vec<u8>> {
    match part.package() {
        Some(package) => program(place, package),
        None => idl::build(&place.workspace, place.settlement_id.as_deref()),
    }
}

fn place(workspace: &Path, locked: bool, settlement_id: Option<&str>) -> Result<Place> {
    let target = paths::cache()?.join("sbf-target").join(sbf::build_id());
    Ok(Place {
        workspace: workspace.to_path_buf(),
        home: setup::ready()?,
        cargo_home: paths::cargo_home()?,
        // Another checkout may build in the same folder, and must not while this one does.
        _lock: Some(files::lock(&target.join("lock"))?),
        target,
        locked,
        settlement_id: settlement_id.map(str::to_owned),
        arguments: Vec::new(),
    })
}

fn program(place: &Place, package: &str) -> Result<Vec<u8>> {
    say(&format!("{package} for the chain (about a minute the first time, then seconds)"));
    let start = Instant::now();
    let bytes = files::read(&place.build(package)?)?;
    say(&format!("{package}: {} bytes in {}", bytes.len(), spell(start.elapsed())));
    Ok(bytes)
}

/// Builds with Anza's platform tools, for local use: the committed files stay what they are.
fn with_anza(parts: &[Part], id: Option<&str>) -> Result<()> {
    let workspace = paths::workspace()?;
    let folder = paths::target()?.join("deploy");
    for part in parts {
        match part.package() {
            Some(package) => {
                let manifest = Path::new("programs").join(package.trim_start_matches("assay-")).join("Cargo.toml");
                let mut command = Command::new("cargo");
                match id {
                    Some(id) => command.env(SETTLEMENT_ID, id),
                    None => command.env_remove(SETTLEMENT_ID),
                };
                run(command
                    .args(["build-sbf", "--manifest-path"])
                    .arg(manifest)
                    .arg("--sbf-out-dir")
                    .arg(&folder)
                    // The workspace asks for a rustc that the platform tools may be behind of; the programs need less.
                    .args(["--", "--ignore-rust-version"])
                    .current_dir(&workspace))
                .context("Anza's platform tools cannot build it here: try --toolchain pinned")?;
            }
            None => files::write(&folder.join(part.file_name()), &idl::build(&workspace, id)?)?,
        }
    }
    say(&format!(
        "built with Anza's platform tools into {}; the committed files come from the pinned toolchain only (--toolchain pinned)",
        folder.display()
    ));
    Ok(())
}

/// Builds the programs here, and again in another world: other home, toolchain folder, cargo home, target and source folder.
fn reproduce(parts: &[Part]) -> Result<()> {
    let workspace = paths::workspace()?;
    let here = place(&workspace, true, None)?;
    let world = World::new(&here)?;
    let mut wrong = Vec::new();
    here.distrust(&OWN)?;
    for part in parts {
        let Some(package) = part.package() else {
            continue;
        };
        let first = files::sha256_hex(&program(&here, package)?);
        let second = files::sha256_hex(&program(&world.place, package)?);
        println!("{first}  {package} from {}", here.home.path().display());
        println!("{second}  {package} from {}", world.place.home.path().display());
        if first != second {
            wrong.push(package);
        }
    }
    if !wrong.is_empty() {
        // The folder stays for whoever looks for the reason.
        let kept = world.keep();
        bail!("two builds of {} differ: see {}", wrong.join(", "), kept.display());
    }
    world.discard()?;
    println!("both builds give the same bytes");
    Ok(())
}

/// A second home folder with everything of its own in it.
struct World {
    folder: PathBuf,
    place: Place,
    /// Held for as long as the folder is in use.
    _lock: File,
}

impl World {
    fn new(here: &Place) -> Result<Self> {
        let folder = paths::cache()?.join("sbf-second-home");
        let lock = files::lock(&paths::cache()?.join("sbf-second-home.lock"))?;
        files::remove(&folder)?;
        say(&format!("a second home folder in {} (hard links; removed afterwards)", folder.display()));
        let place = Place {
            workspace: folder.join("elsewhere/sources"),
            home: Home(folder.join("toolchain")),
            cargo_home: folder.join("cargo"),
            target: folder.join("target"),
            locked: true,
            settlement_id: None,
            arguments: Vec::new(),
            _lock: None,
        };
        let none = |_: &Path| false;
        for sub in ["tc", "sid", "library", "linker"] {
            files::tree(&here.home.path().join(sub), &place.home.path().join(sub), Make::HardLink, &none)?;
        }
        // The downloads are shared, to spare the registry; cargo unpacks them anew.
        for sub in ["registry/index", "registry/cache"] {
            let from = here.cargo_home.join(sub);
            if from.is_dir() {
                files::tree(&from, &place.cargo_home.join(sub), Make::Copy, &none)?;
            }
        }
        for name in ["config.toml", "config"] {
            let from = here.cargo_home.join(name);
            if from.is_file() {
                files::write(&place.cargo_home.join(name), &files::read(&from)?)?;
            }
        }
        let built = [paths::target()?, folder.clone()];
        let skip = |path: &Path| {
            path.file_name().is_some_and(|name| name == ".git" || name == "target")
                || built.iter().any(|built| path == built)
        };
        files::tree(&here.workspace, &place.workspace, Make::Copy, &skip)?;
        Ok(Self { folder, place, _lock: lock })
    }

    fn keep(self) -> PathBuf {
        self.folder
    }

    fn discard(self) -> Result<()> {
        files::remove(&self.folder).context("the second home folder stays")
    }
}
