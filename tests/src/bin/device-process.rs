//! A device process as a worker's supervisor starts it, for tests that kill it.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(assay_device::child::main())
}
