//! Where things are: the workspace, and what may be kept between runs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the workspace that this binary was built from.
pub fn workspace() -> Result<PathBuf> {
    // cargo sets the variable when it runs the binary; the compiled-in value serves a direct call.
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = manifest.parent().context("the xtask crate has no parent folder")?;
    root.canonicalize().with_context(|| format!("no workspace at {}", root.display()))
}

/// The folder of everything that is set up once per user: `${XDG_CACHE_HOME:-~/.cache}/assay`.
pub fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(
            std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set: where may a cache folder be?")?,
        )
        .join(".cache"),
    };
    Ok(base.join("assay"))
}

/// cargo's home: `${CARGO_HOME:-~/.cargo}`.
pub fn cargo_home() -> Result<PathBuf> {
    match std::env::var_os("CARGO_HOME").filter(|value| !value.is_empty()) {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => {
            Ok(PathBuf::from(std::env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?).join(".cargo"))
        }
    }
}

/// The target folder of ordinary builds of the workspace: the one that cargo built this binary in, whatever chose it.
pub fn target() -> Result<PathBuf> {
    let binary = std::env::current_exe().context("where is this binary?")?;
    let target = binary.parent().and_then(Path::parent);
    target.map(Path::to_path_buf).with_context(|| format!("{} is in no target folder", binary.display()))
}
