//! What can be taken out: the program's own checks, by their place in the source, and Anchor's, by instruction and
//! account.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, Result, bail};

use crate::{
    mutants::{accounts, hash},
    sbf::files,
};

/// The functions that refuse.
const CHECKS: [&str; 4] = ["ensure(", "same(", "expect(", "state_is("];

/// A check.
pub struct Site {
    /// `chain/account.rs:69`, or `anchor:create_job.owner:signer`.
    pub name: String,
    /// What it says there.
    pub text: String,
    /// What takes it out, written over the mark of its kind.
    pub place: [u8; 8],
    pub kind: Kind,
}

/// Who refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of [`CHECKS`].
    Own,
    /// An account type of Anchor or the code that its derive writes.
    Anchor(accounts::Check),
}

impl Kind {
    /// Where the build keeps the place of the check that is off.
    pub fn mark(self) -> &'static [u8] {
        match self {
            // See `programs/settlement/src/mutants.rs`.
            Kind::Own => b"ASSAY-MUTANT-OFF",
            // See `hook.rs`.
            Kind::Anchor(_) => b"ASSAY-ANCHOR-OFF",
        }
    }
    pub fn name(self) -> &'static str {
        match self {
            Kind::Own => "own",
            Kind::Anchor(check) => check.name(),
        }
    }
    pub const ALL: [Kind; 6] = [
        Kind::Own,
        Kind::Anchor(accounts::Check::Signer),
        Kind::Anchor(accounts::Check::Owner),
        Kind::Anchor(accounts::Check::Type),
        Kind::Anchor(accounts::Check::Program),
        Kind::Anchor(accounts::Check::Seeds),
    ];
}

/// Every check of the settlement program. The order, and so the numbers, change only with the program.
pub fn all(workspace: &Path) -> Result<Vec<Site>> {
    let sources = workspace.join("programs/settlement/src");
    let mut sites = Vec::new();
    collect(&sources, &sources, &mut sites)?;
    sites.extend(accounts::sites(workspace)?);
    let mut seen = BTreeSet::new();
    for site in &sites {
        if site.place == [0; 8] || !seen.insert((site.kind.mark(), site.place)) {
            bail!("{} cannot be told from another check", site.name);
        }
    }
    Ok(sites)
}

/// Every call of a refusing function in the sources below `folder`, apart from tests.
fn collect(root: &Path, folder: &Path, sites: &mut Vec<Site>) -> Result<()> {
    let mut entries = files::entries(folder)?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, sites)?;
            continue;
        }
        let file = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        if path.extension().is_none_or(|e| e != "rs") || file.ends_with("tests.rs") || file == "mutants.rs" {
            continue;
        }
        let source = String::from_utf8(files::read(&path)?).with_context(|| format!("{file} is no text"))?;
        // What a refusing function calls in its turn has the place of whoever called it.
        let mut inside_refuser = false;
        for (line, whole) in (1u32..).zip(source.lines()) {
            let text = whole.trim();
            if text.starts_with("#[cfg(test)]") {
                break;
            }
            inside_refuser = whole != "}" && (inside_refuser || text.contains("track_caller"));
            if !inside_refuser
                && !text.starts_with("//")
                && !text.contains("fn ")
                && CHECKS.iter().any(|check| calls(text, check))
            {
                let mut place = [0; 8];
                let (name, number) = place.split_at_mut(4);
                name.copy_from_slice(&hash::of_32(&file).to_le_bytes());
                number.copy_from_slice(&line.to_le_bytes());
                let text = text.chars().take(90).collect();
                sites.push(Site { name: format!("{file}:{line}"), text, place, kind: Kind::Own });
            }
        }
    }
    Ok(())
}

/// True when the line calls the function itself, not one whose name ends like it.
fn calls(text: &str, check: &str) -> bool {
    text.match_indices(check).any(|(at, _)| {
        text.get(..at)
            .and_then(|before| before.chars().next_back())
            .is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_other_names() {
        assert!(calls("ensure(a, b)?;", "ensure("));
        assert!(calls("let x = !same(&a, &b, E);", "same("));
        assert!(!calls("checks.ensure(a)", "ensure("));
        assert!(!calls("roughly_same(a)", "same("));
    }
}
