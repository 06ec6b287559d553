//! The IDL of the settlement program, made by Anchor's own IDL build (crate `assay-idl`).

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::{
    paths,
    run::{capture, cargo, output, say},
    sbf::build::SETTLEMENT_ID,
};

/// Builds the IDL and returns its JSON text, with this address of the program; none: the declared one.
pub fn build(workspace: &Path, settlement_id: Option<&str>) -> Result<Vec<u8>> {
    say("the IDL of the settlement program, by Anchor's IDL build (about 2 minutes the first time)");
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(workspace))?;
    let tools = Path::new(sysroot.trim()).join("bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&path)))
        .context("PATH cannot be extended")?;
    let mut command = cargo();
    match settlement_id {
        Some(id) => command.env(SETTLEMENT_ID, id),
        None => command.env_remove(SETTLEMENT_ID),
    };
    let text = capture(
        command
            .args(["run", "--quiet", "--package", "assay-idl", "--"])
            .arg(workspace.join("programs/settlement"))
            // Anchor compiles with flags of its own: in one folder with the rest, each would throw away the other's work.
            .arg(paths::target()?.join("idl"))
            .current_dir(workspace)
            // Anchor's builder runs `cargo`, and mistakes a toolchain named by this variable.
            .env_remove("RUSTUP_TOOLCHAIN")
            .env("PATH", path),
    )?;
    if !text.starts_with('{') {
        bail!("Anchor's IDL build printed no JSON: {text}");
    }
    Ok(text.into_bytes())
}
