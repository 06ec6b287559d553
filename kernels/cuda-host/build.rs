//! Compiles the host.cpp of every kernel's folder and of the tree's, which includes the real .cu text, with the shim
//! force-included.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=shim");
    println!("cargo:rerun-if-changed=../src/hash/sha256.cuh");
    // A new kernel has a line there, too.
    println!("cargo:rerun-if-changed=../src/lib.rs");
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").opt_level(2).warnings(false);
    build.flag("-include").flag("shim/cuda_host.h").flag("-Wno-unknown-pragmas");
    for host in hosts() {
        println!("cargo:rerun-if-changed={}", host.display());
        if let Some(folder) = host.parent().and_then(|folder| Some(folder.join(folder.file_name()?))) {
            println!("cargo:rerun-if-changed={}", folder.with_extension("cu").display());
        }
        build.file(host);
    }
    build.compile("assay_cuda_host");
}

/// In the order of their names, so that every build is the same.
fn hosts() -> Vec<PathBuf> {
    let folders = std::fs::read_dir("..").into_iter().flatten().flatten();
    let mut hosts: Vec<PathBuf> =
        folders.map(|folder| folder.path().join("host.cpp")).filter(|host| host.is_file()).collect();
    hosts.sort();
    hosts
}
