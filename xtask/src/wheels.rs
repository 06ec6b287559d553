//! Python packages from their registry into the cache folder, pinned by hash. No virtual environment: a folder for
//! `PYTHONPATH`, or files in it.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use crate::{
    host, paths,
    run::{run, say},
    sbf::files::{self, Mark},
};

/// Packages that are installed together.
pub struct Wheels {
    /// Folder in the cache.
    pub name: &'static str,
    /// Names, versions and SHA-256 of the wheels, as in a requirements file.
    pub requirements: &'static [&'static str],
    /// A file that they bring, in the folder of the packages.
    pub brings: &'static str,
    /// What they are and what they cost, to be said before they are fetched.
    pub what: &'static str,
}

impl Wheels {
    /// The folder of the packages, fetched where they are not there yet.
    pub fn ready(&self) -> Result<PathBuf> {
        let home = paths::cache()?.join(self.name);
        let packages = home.join("packages");
        let list = self.requirements.join("\n");
        let mark = Mark::new(&home, "wheel", &list);
        if mark.is_set() {
            return Ok(packages);
        }
        host::provide(&[&host::PIP])?;
        say(&format!("{} into {} (once)", self.what, home.display()));
        mark.clear()?;
        files::remove(&packages)?;
        let requirements = home.join("requirements.txt");
        files::write(&requirements, list.as_bytes())?;
        run(Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"])
            .arg("--requirement")
            .arg(&requirements)
            .arg("--target")
            .arg(&packages))
        .with_context(|| format!("{} cannot be fetched", self.name))?;
        if !packages.join(self.brings).exists() {
            bail!("the packages have no {}", packages.join(self.brings).display());
        }
        mark.set()?;
        Ok(packages)
    }
}
