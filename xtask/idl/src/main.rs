//! Prints the Anchor IDL of the program in the folder that is the first argument; the second one is the target folder to use.
//!
//! A crate of its own, so that nothing else compiles Anchor's IDL builder.

use std::{path::PathBuf, process::ExitCode};

use anchor_lang_idl::build::IdlBuilder;
use anyhow::{Context, Result};

fn main() -> ExitCode {
    match idl() {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn idl() -> Result<String> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().context("usage: assay-idl <program folder> <target folder>");
    let (program, target) = (argument()?, argument()?);
    let cargo = ["--lib", "--locked", "--target-dir", &target].map(str::to_owned);
    let builder = IdlBuilder::new().program_path(PathBuf::from(program)).cargo_args(cargo.to_vec());
    Ok(serde_json::to_string_pretty(&builder.build()?)?)
}
