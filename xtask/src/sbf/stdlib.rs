//! Patches Rust's standard library so that it builds for `target_os = "solana"`.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::sbf::files::{self, Make};

/// One replacement in one file. It must be found, or the sources are not the ones that it was written for.
struct Patch {
    file: &'static str,
    old: &'static str,
    new: &'static str,
    /// Every occurrence instead of the first.
    everywhere: bool,
}

const PATCHES: [Patch; 11] = [
    // No `restricted_std` gate.
    Patch {
        file: "std/build.rs",
        old: "|| target_os == \"zkvm\"",
        new: "|| target_os == \"zkvm\"\n        || target_os == \"solana\"",
        everywhere: false,
    },
    // A System allocator that has nothing: programs install their own #[global_allocator].
    Patch {
        file: "std/src/sys/alloc/mod.rs",
        old: "target_os = \"zkvm\" => {\n        mod zkvm;\n    }",
        new: "target_os = \"zkvm\" => {\n        mod zkvm;\n    }\n    target_os = \"solana\" => {\n        mod solana;\n    }",
        everywhere: false,
    },
    Patch {
        file: "std/src/sys/alloc/mod.rs",
        old: "target_arch = \"wasm64\",",
        new: "target_arch = \"wasm64\",\n    target_arch = \"bpf\",",
        everywhere: false,
    },
    Patch {
        file: "std/src/sys/thread_local/mod.rs",
        old: "target_os = \"vexos\",",
        new: "target_os = \"vexos\",\n        target_os = \"solana\",",
        everywhere: true,
    },
    Patch {
        file: "std/src/sys/io/error/mod.rs",
        old: "target_os = \"vexos\",",
        new: "target_os = \"vexos\",\n        target_os = \"solana\",",
        everywhere: true,
    },
    Patch {
        file: "std/src/sys/random/mod.rs",
        old: "target_os = \"vexos\",",
        new: "target_os = \"vexos\",\n        target_os = \"solana\",",
        everywhere: true,
    },
    // Abort is the syscall `abort`.
    Patch {
        file: "std/src/sys/pal/unsupported/common.rs",
        old: "core::intrinsics::abort();",
        new: "unsafe extern \"C\" {\n        fn abort() -> !;\n    }\n    unsafe { abort() }",
        everywhere: false,
    },
    // A panic goes to the program's `custom_panic` (solana-program-entrypoint), then aborts.
    Patch {
        file: "std/src/panicking.rs",
        old: "pub fn panic_handler(info: &core::panic::PanicInfo<'_>) -> ! {\n",
        new: "pub fn panic_handler(info: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(target_os = \"solana\")]
    {
        unsafe extern \"Rust\" {
            fn custom_panic(info: &core::panic::PanicInfo<'_>);
        }
        unsafe { custom_panic(info) };
        crate::sys::abort_internal()
    }
    #[cfg(not(target_os = \"solana\"))]
    std_panic_handler(info)
}

#[cfg(not(target_os = \"solana\"))]
fn std_panic_handler(info: &core::panic::PanicInfo<'_>) -> ! {
",
        everywhere: false,
    },
    // std::panic! paths (2018-edition crates, out of memory): no hooks, no panic counters, as sBPF has no writable data.
    Patch {
        file: "std/src/panicking.rs",
        old: "    let must_abort = panic_count::increase(true);\n",
        new: "    #[cfg(target_os = \"solana\")]
    {
        unsafe extern \"C\" {
            fn sol_panic_(file: *const u8, len: u64, line: u64, column: u64) -> !;
        }
        let _ = (&payload, can_unwind, force_no_backtrace);
        let file = location.file();
        unsafe {
            sol_panic_(file.as_ptr(), file.len() as u64, location.line() as u64, location.column() as u64)
        }
    }

    #[cfg_attr(target_os = \"solana\", allow(unreachable_code))]
    let must_abort = panic_count::increase(true);
",
        everywhere: false,
    },
    // Keys of HashMap are constants: there are no thread-locals, and the chain is deterministic.
    Patch {
        file: "std/src/hash/random.rs",
        old: "        thread_local!(static KEYS: Cell<(u64, u64)> = {\n",
        new: "        #[cfg(target_os = \"solana\")]
        return RandomState { k0: 0, k1: 0 };

        #[cfg_attr(target_os = \"solana\", allow(unreachable_code))]
        thread_local!(static KEYS: Cell<(u64, u64)> = {
",
        everywhere: false,
    },
    // The stable sort's buffer must fit the 4,096 bytes of an sBPF stack frame.
    Patch {
        file: "core/src/slice/sort/stable/mod.rs",
        old: "AlignedStorage::<T, 4096>::new()",
        new: "AlignedStorage::<T, 1024>::new()",
        everywhere: true,
    },
];

const ALLOCATOR: &str = r#"use crate::alloc::{GlobalAlloc, Layout, System};

#[stable(feature = "alloc_system_type", since = "1.28.0")]
unsafe impl GlobalAlloc for System {
    #[inline]
    unsafe fn alloc(&self, _layout: Layout) -> *mut u8 {
        crate::ptr::null_mut()
    }

    #[inline]
    unsafe fn dealloc(&self, _ptr: *mut u8, _layout: Layout) {}
}
"#;

/// Makes a patched copy of the library folder `from` at `to`.
pub fn patched_copy(from: &Path, to: &Path) -> Result<()> {
    files::remove(to)?;
    let skip =
        |path: &Path| path.file_name().is_some_and(|name| name == "vendor" || name == "tests" || name == "benches");
    files::tree(from, to, Make::Copy, &skip)?;
    files::write(&to.join("std/src/sys/alloc/solana.rs"), ALLOCATOR.as_bytes())?;
    for patch in &PATCHES {
        let path = to.join(patch.file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if !text.contains(patch.old) {
            bail!("{} is not the file that the patch was written for: no {:?} in it", path.display(), patch.old);
        }
        let count = if patch.everywhere { usize::MAX } else { 1 };
        files::write(&path, text.replacen(patch.old, patch.new, count).as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_sources_than_the_expected_ones_are_refused() {
        let root = std::env::temp_dir().join(format!("assay-stdlib-{}", std::process::id()));
        files::write(&root.join("from/std/build.rs"), b"fn main() {}").expect("written");
        let error = patched_copy(&root.join("from"), &root.join("to")).expect_err("nothing to patch").to_string();
        assert!(error.contains("is not the file that the patch was written for"), "{error}");
        files::remove(&root).expect("removed");
    }
}
