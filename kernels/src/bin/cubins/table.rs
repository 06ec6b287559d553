//! The committed table of what the sources compile to: for programs, `kernels/cubins.txt`, and for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::ptxas::Entry;

/// A kernel for an architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Name of the source.
    pub name: String,
    /// `sm_75`.
    pub arch: String,
    /// Entry points, by name.
    pub entries: Vec<Entry>,
    /// Bytes of the cubin.
    pub bytes: u64,
    /// SHA-256 of the cubin in hexadecimal.
    pub sha256: String,
}

/// Bytes of each source's committed PTX.
pub type PtxBytes = Vec<(String, u64)>;

const HEAD: &str = "\
# What the CUDA sources compile to, for each architecture, with NVRTC and ptxas of CUDA 12.9.86.
# Written by `cargo xtask cubins --write`, checked by `cargo xtask test`. The worker loads a cubin only with the hash that
# stands here.
# cubin KERNEL ARCHITECTURE BYTES SHA-256
# entry KERNEL ARCHITECTURE FUNCTION REGISTERS SHARED STACK SPILL-STORES SPILL-LOADS (bytes but for the registers)
";

/// The table for programs.
pub fn text(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    for Row { name, arch, entries, bytes, sha256 } in rows {
        text += &format!("cubin {name} {arch} {bytes} {sha256}\n");
        for Entry { name: function, registers, shared, stack, spill_stores, spill_loads } in entries {
            text +=
                &format!("entry {name} {arch} {function} {registers} {shared} {stack} {spill_stores} {spill_loads}\n");
        }
    }
    text
}

/// Spilled bytes of each entry point in a table for programs, written and read together.
fn spills(table: &str) -> BTreeMap<String, u64> {
    let spill = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["entry", kernel, arch, function, _, _, _, stores, loads] => {
                let bytes = stores.parse::<u64>().ok()?.checked_add(loads.parse().ok()?)?;
                Some((format!("{function} of {kernel} for {arch}"), bytes))
            }
            _ => None,
        }
    };
    table.lines().filter_map(spill).collect()
}

/// Entry points that spill more in the table `now` than in the one committed, each in words.
pub fn worse_spills(committed: &str, now: &str) -> Vec<String> {
    let before = spills(committed);
    let worse = spills(now).into_iter().filter_map(|(entry, bytes)| {
        let most = before.get(&entry).copied().unwrap_or(0);
        (bytes > most).then(|| format!("{entry} spills {bytes} bytes, and {most} are in the table"))
    });
    worse.collect()
}

/// Lines that one table has and the other lacks, in words.
pub fn differences(committed: &str, now: &str) -> Vec<String> {
    let lines = |text: &str| -> BTreeSet<String> {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    let (before, after) = (lines(committed), lines(now));
    let gone = before.difference(&after).map(|line| format!("- {line}"));
    gone.chain(after.difference(&before).map(|line| format!("+ {line}"))).collect()
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

const PAGE: &str = "\
# What the kernels need of a card

Written by `cargo xtask cubins --write` with NVRTC and ptxas of CUDA 12.9.86; `cargo xtask test` fails when the sources give
something else, when one spills more than stands here, or when PTX has an instruction whose result depends on the card or on
an order (docs/cuda.md). The same for programs: kernels/cubins.txt.

## Registers, shared memory, spills

Registers of a thread; then, where there are some, bytes of shared memory of a block (without what a launch adds), bytes of
stack of a thread, and in bold bytes written / read for want of registers.

";

/// The table for people.
pub fn page(rows: &[Row], ptx: &PtxBytes) -> String {
    let mut arches: Vec<&str> = Vec::new();
    for row in rows {
        if !arches.contains(&row.arch.as_str()) {
            arches.push(&row.arch);
        }
    }
    let mut text = PAGE.to_owned();
    let head = |first: &str, last: &str| {
        let columns = arches.iter().fold(String::new(), |text, arch| text + " " + arch + " |");
        let rule = "| --- ".repeat(first.matches('|').count().saturating_add(arches.len()).saturating_sub(1));
        let more = if last.is_empty() { "" } else { "| --- " };
        format!("{first}{columns}{last}\n{rule}{more}|\n")
    };
    text += &head("| Kernel | Function |", "");
    for (name, _) in ptx {
        let of_kernel: Vec<&Row> = rows.iter().filter(|row| row.name == *name).collect();
        let functions: BTreeSet<&str> =
            of_kernel.iter().flat_map(|row| row.entries.iter().map(|entry| entry.name.as_str())).collect();
        for function in functions {
            text += &format!("| `{name}` | `{function}` |");
            for arch in &arches {
                let row = of_kernel.iter().find(|row| row.arch == *arch);
                let entry = row.and_then(|row| row.entries.iter().find(|entry| entry.name == function));
                text += &entry.map_or_else(|| " |".to_owned(), |entry| format!(" {} |", needs(entry)));
            }
            text.push('\n');
        }
    }
    text += "\n## Bytes of the cubins\n\nPTX: what is compiled into the worker for all other cards.\n\n";
    text += &head("| Kernel |", " PTX |");
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, ptx) in ptx {
        text += &format!("| `{name}` |");
        for arch in &arches {
            let bytes = rows.iter().find(|row| row.name == *name && row.arch == *arch).map_or(0, |row| row.bytes);
            let sum = sums.entry(arch).or_default();
            *sum = sum.saturating_add(bytes);
            text += &format!(" {} |", thousands(bytes));
        }
        text += &format!(" {} |\n", thousands(*ptx));
    }
    text += "| all |";
    for arch in &arches {
        text += &format!(" {} |", thousands(sums.get(arch).copied().unwrap_or(0)));
    }
    let all_ptx = ptx.iter().fold(0u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
    text += &format!(" {} |\n", thousands(all_ptx));
    let all = sums.values().fold(0u64, |sum, bytes| sum.saturating_add(*bytes));
    text += &format!("\nAll cubins together: {} bytes.\n", thousands(all));
    text
}

fn needs(entry: &Entry) -> String {
    let mut text = entry.registers.to_string();
    let mut add = |bytes: u64, what: &str| {
        if bytes > 0 {
            // Writing to a string does not fail.
            write!(text, ", {what} {}", thousands(bytes)).unwrap_or_default();
        }
    };
    add(entry.shared, "shared");
    add(entry.stack, "stack");
    if entry.spill_stores > 0 || entry.spill_loads > 0 {
        text += &format!(", **spills {} / {}**", thousands(entry.spill_stores), thousands(entry.spill_loads));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_kernels::executor::cubins;

    fn row(arch: &str, registers: u64, spill_loads: u64) -> Row {
        let entry = Entry { name: "f".into(), registers, shared: 16_896, spill_loads, ..Entry::default() };
        Row { name: "k".into(), arch: arch.into(), entries: vec![entry], bytes: 1_234, sha256: "ab".repeat(32) }
    }

    #[test]
    fn the_loader_reads_what_is_written() {
        let text = text(&[row("sm_75", 40, 0), row("sm_90a", 41, 0)]);
        let read: Vec<_> = cubins::cubins(&text).collect();
        assert_eq!(read.len(), 2);
        assert_eq!((read[1].name, read[1].arch.to_string().as_str(), read[1].bytes), ("k", "sm_90a", 1_234));
        assert_eq!(read[0].sha256, [0xab; 32]);
    }

    #[test]
    fn more_spills_are_worse_and_fewer_are_only_another_table() {
        let tables = [0, 8, 12].map(|spill| text(&[row("sm_75", 40, spill)]));
        let [none, some, more] = &tables;
        assert_eq!(worse_spills(some, more), ["f of k for sm_75 spills 12 bytes, and 8 are in the table"]);
        assert_eq!(worse_spills("", some).len(), 1);
        assert!(worse_spills(some, some).is_empty() && worse_spills(some, none).is_empty());
        assert_eq!(differences(some, none).len(), 2);
        assert!(differences(some, some).is_empty());
        assert_eq!(differences("", none).len(), 2);
    }

    #[test]
    fn people_see_what_a_kernel_needs() {
        let page = page(&[row("sm_75", 40, 8), row("sm_80", 41, 0)], &vec![("k".into(), 5_000)]);
        assert!(page.contains("| Kernel | Function | sm_75 | sm_80 |\n| --- | --- | --- | --- |\n"), "{page}");
        assert!(page.contains("| `k` | `f` | 40, shared 16,896, **spills 0 / 8** | 41, shared 16,896 |\n"), "{page}");
        assert!(page.contains("| Kernel | sm_75 | sm_80 | PTX |\n| --- | --- | --- | --- |\n"), "{page}");
        assert!(page.contains("| all | 1,234 | 1,234 | 5,000 |\n\nAll cubins together: 2,468 bytes."), "{page}");
    }
}
