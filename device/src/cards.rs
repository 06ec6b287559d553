//! What a device process finds on its machine. Only ever called there: it loads the driver.

use std::panic::{AssertUnwindSafe, catch_unwind};

use assay_kernels::executor::{Cuda, Finding};
use cudarc::driver::{DriverError, result, sys};

use crate::message::Card;

/// Where cuBLASLt may be, newest first.
const CUBLASLT: [&str; 4] = ["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11", "libcublasLt.so"];

/// The cards that the driver shows, and what is missing without keeping anything from working.
///
/// # Errors
/// What is missing: no driver, one that does not work, no card.
pub fn cards() -> Result<(Vec<Card>, Vec<String>), Finding> {
    // A library or a symbol that is missing is a panic in cudarc.
    match catch_unwind(AssertUnwindSafe(list)) {
        Ok(Some(Ok(cards))) if !cards.is_empty() => Ok((cards, notes())),
        // The probe says in words what is wrong, and finds it anew.
        other => match Cuda::probe() {
            Err(finding) => Err(finding),
            Ok(_) => Err(Finding {
                problem: match other {
                    Ok(Some(Err(error))) => format!("the NVIDIA driver does not list its cards: {error}"),
                    _ => "the NVIDIA driver does not list its cards".to_owned(),
                },
                remedy: "check nvidia-smi; install an NVIDIA driver for CUDA 12.0 or newer".to_owned(),
            }),
        },
    }
}

fn list() -> Option<Result<Vec<Card>, DriverError>> {
    // SAFETY: only tries to load the driver library, which is what this process is for.
    unsafe { sys::is_culib_present() }.then(|| {
        result::init()?;
        (0..result::device::get_count()?).map(card).collect()
    })
}

fn card(number: i32) -> Result<Card, DriverError> {
    use sys::CUdevice_attribute_enum::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
    };
    let device = result::device::get(number)?;
    let name = result::device::get_name(device)?;
    // SAFETY: the device is one that the driver has just given.
    let (memory, major, minor) = unsafe {
        (
            result::device::total_mem(device)?,
            result::device::get_attribute(device, MAJOR)?,
            result::device::get_attribute(device, MINOR)?,
        )
    };
    let number = |number: i32| u32::try_from(number).unwrap_or(0);
    Ok(Card { name, memory: memory as u64, capability: (number(major), number(minor)) })
}

fn notes() -> Vec<String> {
    // SAFETY: loads NVIDIA's library and runs its initialisers, in a process that is for that and ends soon.
    let there = CUBLASLT.iter().any(|name| unsafe { libloading::Library::new(*name) }.is_ok());
    if there {
        return Vec::new();
    }
    vec![
        "cuBLASLt was not found: int8 products run on the kernel's own code. For the vendor's, install the CUDA libraries \
         and name their folder in LD_LIBRARY_PATH"
            .to_owned(),
    ]
}
