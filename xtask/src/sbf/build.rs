//! Builds one program of the workspace with the pinned toolchain. Two builds of the same sources give the same bytes,
//! wherever the workspace, the toolchain, cargo's home and the target folder are.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    run::run,
    sbf::{Home, TARGET, TARGET_FILE, files, linker},
};

/// The settlement crate takes the program's address from this variable when it is compiled.
pub const SETTLEMENT_ID: &str = "ASSAY_SETTLEMENT_ID";

/// Everything that a build has around it; none of it may show in the bytes.
pub struct Place {
    pub workspace: PathBuf,
    pub home: Home,
    pub cargo_home: PathBuf,
    pub target: PathBuf,
    /// Fail rather than change Cargo.lock.
    pub locked: bool,
    /// Address of the settlement program; none: the declared one.
    pub settlement_id: Option<String>,
    /// More arguments for cargo; none for what goes on chain.
    pub arguments: Vec<OsString>,
    /// Keeps others out of the target folder, where they could be.
    pub _lock: Option<File>,
}

impl Place {
    /// Builds the library of `package` and returns the path of its `.so`.
    pub fn build(&self, package: &str) -> Result<PathBuf> {
        let specification = self.target.join(format!("{TARGET}.json"));
        // Written only when it differs: cargo compares times.
        if !files::read(&specification).is_ok_and(|found| found == TARGET_FILE.as_bytes()) {
            files::write(&specification, TARGET_FILE.as_bytes())?;
        }
        let mut command = self.command()?;
        command.args(["build", "--release", "--lib", "--package", package, "--target"]).arg(&specification);
        if self.locked {
            command.arg("--locked");
        }
        command.args(&self.arguments);
        run(&mut command)?;
        let file = self.artifacts().join(format!("lib{}.so", package.replace('-', "_")));
        if !file.is_file() {
            bail!("cargo built {package}, but there is no {}", file.display());
        }
        Ok(file)
    }

    /// Makes cargo compile the workspace's own crates anew, although their files may look older than what is there: another
    /// checkout may have used the same target folder. What comes from the registry stays.
    pub fn distrust(&self, crates: &[&str]) -> Result<()> {
        let folder = self.artifacts().join(".fingerprint");
        if !folder.is_dir() {
            return Ok(());
        }
        for path in files::entries(&folder)? {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.rsplit_once('-').is_some_and(|(name, _)| crates.contains(&name)) {
                files::remove(&path)?;
            }
        }
        Ok(())
    }

    fn artifacts(&self) -> PathBuf {
        self.target.join(TARGET).join("release")
    }

    /// A copy of this binary for rustc to call. The original may be replaced by a newer one while cargo runs.
    fn linker(&self) -> Result<PathBuf> {
        let (linker, scratch) =
            (self.target.join("sbpf-ld"), self.target.join(format!("sbpf-ld.{}", std::process::id())));
        std::fs::copy("/proc/self/exe", &scratch)
            .and_then(|_| std::fs::rename(&scratch, &linker))
            .with_context(|| format!("cannot create {}", linker.display()))?;
        Ok(linker)
    }

    fn command(&self) -> Result<Command> {
        let compiler = self.home.compiler().join("bin");
        let mut command = Command::new(compiler.join("cargo"));
        // What a user or an outer cargo set for other builds must not reach this one.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let foreign =
                ["CARGO_BUILD_", "CARGO_ENCODED_", "CARGO_PROFILE_", "CARGO_TARGET_", "CARGO_UNSTABLE_", "CARGO_PKG_"];
            if foreign.iter().any(|prefix| text.starts_with(prefix))
                || [
                    "CARGO",
                    "CARGO_INCREMENTAL",
                    "LD_LIBRARY_PATH",
                    "RUSTC_WRAPPER",
                    "RUSTC_WORKSPACE_WRAPPER",
                    "RUSTFLAGS",
                ]
                .contains(&text.as_ref())
            {
                command.env_remove(&name);
            }
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(compiler.clone()).chain(std::env::split_paths(&path)))
            .context("PATH cannot be extended")?;
        let linker = self.linker()?;
        command
            .current_dir(&self.workspace)
            .env("PATH", path)
            .env("RUSTC", compiler.join("rustc"))
            // The standard library is built from source, and the target is one of ours: both are unstable features.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_HOME", &self.cargo_home)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_UNSTABLE_BUILD_STD", "core,alloc,std,panic_abort")
            .env("CARGO_UNSTABLE_BUILD_STD_FEATURES", "")
            .env("CARGO_UNSTABLE_JSON_TARGET_SPEC", "true")
            // sbpf-linker optimises the whole program itself.
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
            .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true")
            .env("CARGO_TARGET_SBPF_SOLANA_SOLANA_LINKER", linker)
            .env("CARGO_TARGET_SBPF_SOLANA_SOLANA_RUSTFLAGS", self.flags()?)
            .env(linker::MODE, self.home.path());
        // Never out of the caller's environment: it is part of the bytes.
        match &self.settlement_id {
            Some(id) => command.env(SETTLEMENT_ID, id),
            None => command.env_remove(SETTLEMENT_ID),
        };
        Ok(command)
    }

    /// Flags that keep every path of this machine out of the bytes.
    fn flags(&self) -> Result<String> {
        let registry = self.cargo_home.join("registry");
        let mut remap: Vec<(PathBuf, String)> = vec![
            (self.workspace.clone(), ".".to_owned()),
            (self.home.path().to_path_buf(), "/sbf".to_owned()),
            (registry.join("src"), "/cargo".to_owned()),
        ];
        // One folder per registry; a mirror has another name than the registry that it mirrors.
        for name in registries(&registry)? {
            remap.push((registry.join("src").join(name), "/cargo".to_owned()));
        }
        let mut flags = vec!["-Cpanic=abort".to_owned(), "-Cpasses=lower-atomic".to_owned()];
        for (from, to) in remap {
            let from = from.to_str().context("a path is no UTF-8")?.to_owned();
            if from.contains(char::is_whitespace) {
                bail!("cargo cannot pass a path with a space to rustc: {from}");
            }
            flags.push(format!("--remap-path-prefix={from}={to}"));
        }
        Ok(flags.join(" "))
    }
}

/// Names of the registries that cargo has a folder for.
fn registries(folder: &Path) -> Result<BTreeSet<OsString>> {
    let mut names = BTreeSet::new();
    for sub in ["src", "cache", "index"] {
        let folder = folder.join(sub);
        if folder.is_dir() {
            names.extend(files::entries(&folder)?.iter().filter_map(|path| path.file_name().map(ToOwned::to_owned)));
        }
    }
    Ok(names)
}
