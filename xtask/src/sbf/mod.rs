//! The pinned toolchain for the on-chain programs, made from package registries alone.
//!
//! rustc 1.95.0 compiles to LLVM bitcode for the target in `xtask/sbf/`, `sbpf-linker` makes an sBPF V3 `.so` of it with
//! Debian's LLVM 23. Every input is pinned: rustc by version, the Debian packages by SHA-256, `sbpf-linker` by version.
//! Whoever has Anza's platform tools needs none of it, but only this toolchain makes the committed bytes.

pub mod build;
pub mod debs;
pub mod files;
pub mod linker;
pub mod repair;
pub mod setup;
pub mod stdlib;

use std::path::{Path, PathBuf};

use crate::sbf::files::sha256_hex;

/// The one compiler that the programs are built with.
pub const RUSTC: &str = "1.95.0";
/// The one linker, by its version in the registry.
pub const LINKER: &str = "0.2.6";
/// The name of the target; also the stem of its file, which cargo takes the name from.
pub const TARGET: &str = "sbpf-solana-solana";
/// The target's specification.
pub const TARGET_FILE: &str = include_str!("../../sbf/sbpf-solana-solana.json");

/// A folder with the toolchain in it.
#[derive(Clone, Debug)]
pub struct Home(pub PathBuf);

impl Home {
    pub fn path(&self) -> &Path {
        &self.0
    }
    /// The compiler: a copy of rustup's with the patched library sources beside it.
    pub fn compiler(&self) -> PathBuf {
        self.0.join("tc")
    }
    /// The patched library sources.
    pub fn library(&self) -> PathBuf {
        self.0.join("library")
    }
    /// Libraries of the Debian release that LLVM 23 comes from.
    pub fn debian_libraries(&self) -> PathBuf {
        self.0.join("sid/root/usr/lib/x86_64-linux-gnu")
    }
    /// The folder in which sbpf-linker finds LLVM under the name it looks for.
    pub fn llvm(&self) -> PathBuf {
        self.0.join("sid/llvm")
    }
    pub fn linker(&self) -> PathBuf {
        self.0.join("linker/bin/sbpf-linker")
    }
}

/// Identifies the compiler, the linker, LLVM and the target: what the committed programs were made with.
pub fn toolchain_id() -> String {
    id(&[RUSTC, LINKER, TARGET_FILE, debs::PINS])
}

/// Identifies the toolchain and how it is used here. Builds that differ in it share no target folder, because cargo sees no
/// difference between them.
pub fn build_id() -> String {
    id(&[
        &toolchain_id(),
        include_str!("build.rs"),
        include_str!("linker.rs"),
        include_str!("repair.rs"),
        include_str!("stdlib.rs"),
    ])
}

fn id(parts: &[&str]) -> String {
    let mut id = sha256_hex(parts.join("\0").as_bytes());
    id.truncate(16);
    id
}
