//! The committed interface: every instruction in it has a line in the table.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cases::Case;

/// Names of the instructions in the committed IDL.
fn instructions() -> Result<BTreeSet<String>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../programs/idl/assay_settlement.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let idl: Value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let list = idl["instructions"].as_array().context("the IDL has no instructions")?;
    let names: BTreeSet<String> = list.iter().filter_map(|i| Some(i["name"].as_str()?.to_owned())).collect();
    ensure!(!names.is_empty() && names.len() == list.len(), "the IDL has instructions without names of their own");
    Ok(names)
}

/// Checks that every instruction has a case, and every case an instruction.
///
/// # Errors
/// Some do not: they are named.
pub fn covered(cases: &[Case]) -> Result<()> {
    covers(&instructions()?, cases)
}

fn covers(names: &BTreeSet<String>, cases: &[Case]) -> Result<()> {
    let measured: BTreeSet<String> = cases.iter().map(|case| case.instruction.to_owned()).collect();
    let missing: Vec<_> = names.difference(&measured).map(String::as_str).collect();
    ensure!(missing.is_empty(), "not measured: {}; add a case to bench/src/cases", missing.join(", "));
    let unknown: Vec<_> = measured.difference(names).map(String::as_str).collect();
    ensure!(unknown.is_empty(), "the program has no instruction {}: bench/src/cases", unknown.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;

    #[test]
    fn an_instruction_without_a_case_is_named() {
        let cases = cases::all();
        assert!(covered(&cases).is_ok());
        let mut names = instructions().unwrap();
        names.insert("new_thing".to_owned());
        assert!(covers(&names, &cases).unwrap_err().to_string().contains("not measured: new_thing;"));
        names.remove("new_thing");
        names.remove("claim_shard");
        assert!(covers(&names, &cases).unwrap_err().to_string().contains("claim_shard"));
    }
}
