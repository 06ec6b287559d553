//! NVRTC, NVIDIA's run-time compiler: CUDA C++ to PTX, for what makes and checks what is committed.
//!
//! It comes with CUDA or, alone, as the Python package `nvidia-cuda-nvrtc-cu12`; its folder belongs in `LD_LIBRARY_PATH`.

use cudarc::nvrtc::{self, CompileError, CompileOptions};

/// The release that what is committed is made with, as (major, minor).
pub const VERSION: (i32, i32) = (12, 9);
/// Options besides the architecture. Floats are as they are written: no fused operation that the source has not, no
/// flushed denormals, divisions and roots rounded as they should.
pub const OPTIONS: [&str; 5] = ["--std=c++17", "--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true"];

/// cudarc panics where a library is missing, so ask first.
pub fn check() -> Result<(), String> {
    // SAFETY: only tries to load the library, which is what this program is for.
    if !unsafe { nvrtc::sys::is_culib_present() } {
        return Err(format!(
            "libnvrtc is not here; get it with: pip download --no-deps nvidia-cuda-nvrtc-cu12=={}.{}.86, unzip it and \
             put the folder of libnvrtc.so.{} into LD_LIBRARY_PATH",
            VERSION.0, VERSION.1, VERSION.0
        ));
    }
    let mut version = (0, 0);
    // SAFETY: writes two ints.
    unsafe { nvrtc::sys::nvrtcVersion(&mut version.0, &mut version.1) }
        .result()
        .map_err(|error| format!("NVRTC does not state its version: {error:?}"))?;
    if version != VERSION {
        return Err(format!("NVRTC is {}.{}, the PTX is made with {}.{}", version.0, version.1, VERSION.0, VERSION.1));
    }
    Ok(())
}

/// The PTX of the source `cu`, which errors call `name`.cu, for cards of `arch` (`compute_75`).
pub fn compile(name: &str, cu: &str, arch: &'static str) -> Result<String, String> {
    let options = CompileOptions {
        arch: Some(arch),
        name: Some(format!("{name}.cu")),
        options: OPTIONS.map(String::from).to_vec(),
        ..Default::default()
    };
    let ptx = nvrtc::compile_ptx_with_opts(cu, options).map_err(|error| match error {
        CompileError::CompileError { log, .. } => format!("{name}.cu for {arch}: {}", log.to_string_lossy()),
        other => format!("{name}.cu for {arch}: {other:?}"),
    })?;
    Ok(ptx.to_src())
}
