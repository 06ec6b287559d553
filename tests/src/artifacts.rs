//! Where the built programs lie.

use std::path::PathBuf;

/// The folder with the built programs: `ASSAY_PROGRAMS` when it is set, else the committed ones in `programs/bin`.
pub fn folder() -> PathBuf {
    match std::env::var_os("ASSAY_PROGRAMS") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../programs/bin"),
    }
}

/// The bytes of a built program; `name` without folder.
///
/// # Panics
/// When it is not there: `cargo xtask program` builds it.
pub fn program(name: &str) -> Vec<u8> {
    let path = folder().join(name);
    std::fs::read(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; build the programs with `cargo xtask program`", path.display()))
}

/// The interface description of a program, JSON; `name` without folder.
///
/// # Panics
/// When it is not there.
pub fn idl(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../programs/idl").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
