//! Prints the Anchor IDL of the program in the folder that is the first argument; the second one is the target folder to use.
//!
//! A crate of its own, so that nothing else compiles Anchor's IDL builder.

use std::path::PathBuf;

use anchor_lang_idl::build::IdlBuilder;
use anyhow::{Context, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let program = arguments
        .next()
        .context("usage: assay-idl <program folder> <target folder>")?;
    let target = arguments
        .next()
        .context("usage: assay-idl <program folder> <target folder>")?;
    let cargo = ["--lib", "--locked", "--target-dir", &target]
        .map(str::to_owned)
        .to_vec();
    let idl = IdlBuilder::new()
        .program_path(PathBuf::from(program))
        .cargo_args(cargo)
        .build()?;
    println!("{}", serde_json::to_string_pretty(&idl)?);
    Ok(())
}
