//! Compiles each kernel's host.cpp, which includes the real .cu text, with the shim force-included.

const KERNELS: [&str; 5] = ["escape_time", "gemm_i8", "search", "mlp_i8", "align"];

fn main() {
    println!("cargo:rerun-if-changed=shim");
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").opt_level(2).warnings(false);
    build.flag("-include").flag("shim/cuda_host.h").flag("-Wno-unknown-pragmas");
    for kernel in KERNELS {
        println!("cargo:rerun-if-changed=../{kernel}/{kernel}.cu");
        build.file(format!("../{kernel}/host.cpp"));
        println!("cargo:rerun-if-changed=../{kernel}/host.cpp");
    }
    build.compile("assay_cuda_host");
}
