//! The file of verdicts: a JSON object on each line, written as soon as it is known.

use std::{collections::BTreeMap, fs::OpenOptions, io::Write, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{mutants::sites::Site, sbf::files};

/// What became of the program without one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The test that failed; none: it survives.
    pub caught_by: Option<String>,
}

/// Adds a line. `hashes`: of program and tests.
pub fn add(file: &Path, site: &Site, verdict: &Verdict, hashes: &(String, String), seconds: f64) -> Result<()> {
    let line = json!({
        "check": site.name,
        "kind": site.kind.name(),
        "text": site.text,
        "caught_by": verdict.caught_by,
        "seconds": seconds,
        "program": hashes.0,
        "tests": hashes.1,
    });
    let mut out = OpenOptions::new().create(true).append(true).open(file);
    let out = out.as_mut().map_err(|e| anyhow::anyhow!("cannot write {}: {e}", file.display()))?;
    writeln!(out, "{line}").with_context(|| format!("cannot write {}", file.display()))
}

/// What the file says of this program. A check that was noticed stays so when tests were added; one that survived was
/// looked at by these tests or does not count. A line that a killed run left unfinished does not count either.
pub fn known(file: &Path, hashes: &(String, String)) -> Result<BTreeMap<String, Verdict>> {
    if !file.is_file() {
        return Ok(BTreeMap::new());
    }
    let text = String::from_utf8(files::read(file)?).context("the file of verdicts is no text")?;
    let read = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let caught_by = line["caught_by"].as_str().map(ToOwned::to_owned);
        let holds = line["program"] == hashes.0.as_str() && (caught_by.is_some() || line["tests"] == hashes.1.as_str());
        holds.then(|| Some((line["check"].as_str()?.to_owned(), Verdict { caught_by })))?
    };
    Ok(text.lines().filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;
    use crate::mutants::sites::Kind;

    #[test]
    fn verdicts_hold_for_their_program_and_survivors_for_their_tests() {
        let file = std::env::temp_dir().join(format!("assay-verdicts-{}", std::process::id()));
        files::remove(&file).unwrap();
        let site = |name: &str| Site { name: name.to_owned(), text: String::new(), place: [1; 8], kind: Kind::Own };
        let hashes = |program: &str, tests: &str| (program.to_owned(), tests.to_owned());
        let (caught, survives) = (Verdict { caught_by: Some("t".to_owned()) }, Verdict { caught_by: None });
        assert!(known(&file, &hashes("p", "t")).unwrap().is_empty());
        add(&file, &site("a"), &caught, &hashes("p", "t"), 1.0).unwrap();
        add(&file, &site("b"), &survives, &hashes("p", "t"), 1.0).unwrap();
        let both = BTreeMap::from([("a".to_owned(), caught.clone()), ("b".to_owned(), survives)]);
        assert_eq!(known(&file, &hashes("p", "t")).unwrap(), both);
        let one = BTreeMap::from([("a".to_owned(), caught)]);
        assert_eq!(known(&file, &hashes("p", "more")).unwrap(), one);
        assert!(known(&file, &hashes("other", "t")).unwrap().is_empty());
        files::remove(&file).unwrap();
    }
}
