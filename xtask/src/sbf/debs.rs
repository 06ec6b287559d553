//! The Debian packages of the toolchain: exact versions, known by their SHA-256.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    host,
    run::{output, run, say},
    sbf::files,
};

/// `sha256  file name` per package, as `sha256sum` writes it.
pub const PINS: &str = include_str!("../../sbf/debs.sha256");
/// Names a folder that already has the packages.
pub const FOLDER: &str = "ASSAY_SBF_DEBS";
const SUITES: [&str; 2] = ["trixie-backports", "sid"];

/// One pinned package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    pub file: String,
    pub sha256: String,
    /// `name=version`, as apt wants it.
    pub request: String,
    /// True for the sources of the standard library, false for the libraries of LLVM 23.
    pub is_source: bool,
}

/// Reads [`PINS`].
pub fn pinned() -> Result<Vec<Package>> {
    PINS.lines()
        .map(|line| {
            let (sha256, file) = line.split_once("  ").with_context(|| format!("not `sha256  file`: {line}"))?;
            let mut words = file.split('_');
            let (Some(name), Some(version)) = (words.next(), words.next()) else {
                bail!("not `name_version_architecture.deb`: {file}")
            };
            Ok(Package {
                file: file.to_owned(),
                sha256: sha256.to_owned(),
                request: format!("{name}={}", version.replace("%3a", ":")),
                is_source: name == "rust-src",
            })
        })
        .collect()
}

/// Puts every pinned package into `folder`, from a local folder where [`FOLDER`] names one, else from Debian.
pub fn fetch(folder: &Path, scratch: &Path) -> Result<()> {
    files::create(folder)?;
    let missing = missing(folder)?;
    if missing.is_empty() {
        return Ok(());
    }
    match std::env::var_os(FOLDER).filter(|value| !value.is_empty()) {
        Some(local) => {
            let local = PathBuf::from(local);
            say(&format!("Debian packages from {}", local.display()));
            for package in &missing {
                let from = local.join(&package.file);
                std::fs::copy(&from, folder.join(&package.file))
                    .with_context(|| format!("{FOLDER} is set, but {} cannot be copied", from.display()))?;
            }
        }
        None => download(&missing, folder, scratch)?,
    }
    verify(folder)
}

/// The packages that are not in `folder` with their right bytes.
fn missing(folder: &Path) -> Result<Vec<Package>> {
    let is_missing = |package: &Package| {
        let path = folder.join(&package.file);
        !path.is_file() || files::sha256_file(&path).map_or(true, |sha256| sha256 != package.sha256)
    };
    Ok(pinned()?.into_iter().filter(is_missing).collect())
}

fn verify(folder: &Path) -> Result<()> {
    if let Some(package) = missing(folder)?.into_iter().next() {
        bail!("{} is not the pinned package (SHA-256 {})", folder.join(&package.file).display(), package.sha256);
    }
    Ok(())
}

/// Downloads with apt, but with lists of its own, so that nothing of the machine changes.
fn download(packages: &[Package], folder: &Path, scratch: &Path) -> Result<()> {
    if !host::is_debian() {
        bail!(
            "the pinned toolchain takes LLVM 23 from Debian, and this is no Debian machine. Either install Anza's \
             platform tools (`cargo build-sbf`) and use `--toolchain anza`, or set {FOLDER} to a folder with the \
             packages that xtask/sbf/debs.sha256 names, or use the programs as committed in programs/bin"
        );
    }
    let mirror = mirror()?;
    say("Debian packages, 90 MB, with apt but without touching this machine's own lists");
    download_from(&mirror, packages, folder, scratch).with_context(|| {
        format!(
            "this machine's mirror no longer has all pinned versions: put the packages that xtask/sbf/debs.sha256 \
             names into a folder and set {FOLDER} to it"
        )
    })
}

fn download_from(source: &str, packages: &[Package], folder: &Path, scratch: &Path) -> Result<()> {
    files::remove(scratch)?;
    for sub in ["lists/partial", "cache/archives/partial"] {
        files::create(&scratch.join(sub))?;
    }
    let list = scratch.join("sources.list");
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let lines = SUITES.map(|suite| format!("deb [signed-by={keyring}] {source} {suite} main\n"));
    files::write(&list, lines.concat().as_bytes())?;
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.arg("-q")
            .arg("-o")
            .arg(format!("Dir::Etc::SourceList={}", list.display()))
            .args(["-o", "Dir::Etc::SourceParts=/dev/null"])
            .arg("-o")
            .arg(format!("Dir::State::Lists={}", scratch.join("lists").display()))
            .arg("-o")
            .arg(format!("Dir::Cache={}", scratch.join("cache").display()))
            // apt would else read as a user who may not enter this folder.
            .args(["-o", "APT::Sandbox::User=root"])
            .current_dir(folder);
        apt
    };
    run(apt().arg("update"))?;
    run(apt().arg("download").args(packages.iter().map(|package| &package.request)))?;
    files::remove(scratch)?;
    verify(folder)
}

/// The Debian mirror that this machine already uses.
fn mirror() -> Result<String> {
    let query = || {
        output(Command::new("apt-get").args([
            "indextargets",
            "--format",
            "$(REPO_URI) $(LABEL)",
            "Created-By: Packages",
        ]))
    };
    let find = |text: &str| {
        text.lines().find_map(|line| {
            line.split_once(' ').filter(|(_, label)| *label == "Debian").map(|(uri, _)| uri.to_owned())
        })
    };
    if let Some(uri) = find(&query()?) {
        return Ok(uri);
    }
    // Lists were never fetched here, and apt names only targets that it has.
    host::as_root("to learn which mirror this machine uses", &["apt-get", "-q", "update"])?;
    find(&query()?).context("apt knows no Debian mirror: see /etc/apt/sources.list")
}

/// Unpacks every package: libraries into `libraries`, the standard library's sources into `sources`.
pub fn unpack(folder: &Path, libraries: &Path, sources: &Path) -> Result<()> {
    for package in pinned()? {
        let to = if package.is_source { sources } else { libraries };
        files::create(to)?;
        output(Command::new("dpkg-deb").arg("-x").arg(folder.join(&package.file)).arg(to))
            .context("cannot unpack a Debian package")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_complete() {
        let packages = pinned().expect("readable");
        assert_eq!(packages.iter().filter(|package| package.is_source).count(), 1);
        let llvm = packages.iter().find(|package| package.file.starts_with("libllvm23_")).expect("LLVM");
        // The epoch is escaped in the file name only.
        assert!(llvm.request.starts_with("libllvm23=1:23."), "{}", llvm.request);
        assert!(packages.iter().all(|package| package.sha256.len() == 64 && package.file.ends_with(".deb")));
    }

    #[test]
    fn a_package_with_other_bytes_is_refused() {
        let folder = std::env::temp_dir().join(format!("assay-debs-{}", std::process::id()));
        files::create(&folder).expect("created");
        let all = pinned().expect("readable");
        files::write(&folder.join(&all[0].file), b"something else").expect("written");
        assert_eq!(missing(&folder).expect("checked"), all);
        assert!(verify(&folder).is_err());
        files::remove(&folder).expect("removed");
    }
}
