//! The committed table against what was measured now.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::{spell::spell, table::Line};

/// A figure may move by one part in so many.
const PARTS: u64 = 50;

/// Checks that both tables have the same lines, and that no figure has moved by more than 2 %.
///
/// # Errors
/// They don't; every difference is named.
pub fn check(committed: &BTreeMap<String, Line>, now: &BTreeMap<String, Line>) -> Result<()> {
    let found = differences(committed, now);
    ensure!(
        found.is_empty(),
        "docs/bench-cu.md is not what the programs cost:\n  {}\nIf that is meant, run `cargo xtask bench cu --write` \
         and commit the page",
        found.join("\n  ")
    );
    Ok(())
}

fn differences(committed: &BTreeMap<String, Line>, now: &BTreeMap<String, Line>) -> Vec<String> {
    let mut found = Vec::new();
    for name in committed.keys().filter(|name| !now.contains_key(*name)) {
        found.push(format!("{name}: in the table, but not measured"));
    }
    for (name, line) in now {
        let Some(before) = committed.get(name) else {
            found.push(format!("{name}: not in the table"));
            continue;
        };
        for (column, figure) in line {
            match before.get(column) {
                Some(old) if figure.abs_diff(*old).saturating_mul(PARTS) <= *old => {}
                Some(old) => {
                    found.push(format!("{name}: {column} {} in the table, {} now", spell(*old), spell(*figure)))
                }
                None => found.push(format!("{name}: {column} is not in the table, {} now", spell(*figure))),
            }
        }
        for column in before.keys().filter(|column| !line.contains_key(*column)) {
            found.push(format!("{name}: {column} is in the table, but not measured"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(lines: &[(&str, u64)]) -> BTreeMap<String, Line> {
        lines.iter().map(|(name, units)| ((*name).to_owned(), Line::from([("CU".to_owned(), *units)]))).collect()
    }

    #[test]
    fn two_per_cent_either_way_pass_and_more_does_not() {
        let committed = table(&[("a", 10_000)]);
        for now in [9_800, 10_000, 10_200] {
            assert!(check(&committed, &table(&[("a", now)])).is_ok(), "{now}");
        }
        for now in [9_799, 10_201, 0] {
            let error = check(&committed, &table(&[("a", now)])).unwrap_err().to_string();
            assert!(error.contains(&format!("a: CU 10,000 in the table, {} now", spell(now))), "{error}");
        }
        // Nothing may come of nothing.
        assert!(check(&table(&[("a", 0)]), &table(&[("a", 1)])).is_err());
    }

    #[test]
    fn lines_and_columns_that_come_or_go_are_differences() {
        let (one, two) = (table(&[("a", 1)]), table(&[("a", 1), ("b", 1)]));
        assert_eq!(differences(&one, &two), ["b: not in the table"]);
        assert_eq!(differences(&two, &one), ["b: in the table, but not measured"]);
        let empty = BTreeMap::from([("a".to_owned(), Line::new())]);
        assert_eq!(differences(&empty, &one), ["a: CU is not in the table, 1 now"]);
        assert_eq!(differences(&one, &empty), ["a: CU is in the table, but not measured"]);
    }
}
