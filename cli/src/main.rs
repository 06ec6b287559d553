//! The program `assay`; what it does is in the library.

fn main() -> std::process::ExitCode {
    assay_cli::main().into()
}
